//! What an account has, for a terminal that proposes a configuration.

use aws_sdk_ecs::types::{AssignPublicIp, Service as EcsService};

use super::ReadCloud;
use super::pace::{About, Rate};
use decision::config::{AwsVpc, PublicIp};
use decision::snapshot::Read;
use decision::units::{ClusterName, Family, RevisionArn};

/// Services that one `DescribeServices` names. Source: ECS API, `DescribeServicesRequest.services`.
const PER_DESCRIBE: usize = 10;

/// A service of a cluster, as far as it says how tasks of its definition run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningService {
    /// Its name.
    pub name: String,
    /// What it runs.
    pub family: Family,
    /// Where it runs.
    pub cluster: ClusterName,
    /// How many tasks it keeps.
    pub desired: u32,
    /// The network of its tasks.
    pub network: Option<AwsVpc>,
    /// Its launch type, where it says one.
    pub launch_type: Option<String>,
    /// Its capacity providers, the first base first.
    pub providers: Vec<String>,
}

impl ReadCloud {
    /// The URLs of all queues of this account and Region.
    ///
    /// # Errors
    /// When they may not be listed.
    pub async fn queue_urls(&self) -> Read<Vec<String>> {
        let about = About { operation: "ListQueues", subject: "all queues", rate: Rate::Free };
        // Without a bound there is one page of a thousand, and no word of the rest.
        // Source: SQS API, `ListQueuesRequest.MaxResults`.
        let call = self.sqs.list_queues().max_results(1000);
        let page = async |token| {
            let page = call.clone().set_next_token(token).send().await;
            page.map(|page| (page.queue_urls, page.next_token))
        };
        Ok(self.pace.pages(about, usize::MAX, page).await?)
    }

    /// The names of all clusters.
    ///
    /// # Errors
    /// When they may not be listed.
    pub async fn clusters(&self) -> Read<Vec<ClusterName>> {
        let (operation, rate) = ("ListClusters", Rate::ClusterRead);
        let about = About { operation, subject: "all clusters", rate };
        let call = self.ecs.list_clusters();
        let page = async |token| {
            let page = call.clone().set_next_token(token).send().await;
            page.map(|page| (page.cluster_arns, page.next_token))
        };
        let arns = self.pace.pages(about, usize::MAX, page).await?;
        let name = |arn: &String| arn.rsplit('/').next().map(ClusterName::from);
        Ok(arns.iter().filter_map(name).collect())
    }

    /// The services of a cluster.
    ///
    /// # Errors
    /// When they may not be read.
    pub async fn services(&self, cluster: &ClusterName) -> Read<Vec<RunningService>> {
        let subject = cluster.as_str();
        let about = About { operation: "ListServices", subject, rate: Rate::ClusterRead };
        let call = self.ecs.list_services().cluster(subject);
        let page = async |token| {
            let page = call.clone().set_next_token(token).send().await;
            page.map(|page| (page.service_arns, page.next_token))
        };
        let arns = self.pace.pages(about, usize::MAX, page).await?;
        let about = About { operation: "DescribeServices", subject, rate: Rate::ClusterRead };
        let mut services = Vec::new();
        for ten in arns.chunks(PER_DESCRIBE) {
            let call = self.ecs.describe_services().cluster(subject);
            let call = call.set_services(Some(ten.to_vec()));
            let answer = self.pace.call(about, async || call.clone().send().await).await;
            let answer = answer.map_err(|error| error.into_call_error(about))?;
            services.extend(answer.services().iter().filter_map(|found| read(found, cluster)));
        }
        Ok(services)
    }
}

fn read(service: &EcsService, cluster: &ClusterName) -> Option<RunningService> {
    let network = service.network_configuration().and_then(|n| n.awsvpc_configuration());
    let network = network.map(|network| AwsVpc {
        subnets: network.subnets().to_vec(),
        security_groups: network.security_groups().to_vec(),
        assign_public_ip: match network.assign_public_ip().map(AssignPublicIp::as_str) {
            Some("ENABLED") => PublicIp::Enabled,
            _ => PublicIp::Disabled,
        },
    });
    let providers = service.capacity_provider_strategy().iter();
    Some(RunningService {
        name: service.service_name()?.to_owned(),
        family: RevisionArn::from(service.task_definition()?).family(),
        cluster: cluster.clone(),
        desired: u32::try_from(service.desired_count()).unwrap_or_default(),
        network,
        launch_type: service.launch_type().map(|name| name.as_str().to_owned()),
        providers: providers.map(|item| item.capacity_provider().to_owned()).collect(),
    })
}
