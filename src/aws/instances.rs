//! Container instances, as ECS lists and describes them.

use std::collections::BTreeSet;

use aws_sdk_ecs::operation::list_container_instances::builders::ListContainerInstancesFluentBuilder;
use aws_sdk_ecs::types::{
    ContainerInstance as EcsInstance, ContainerInstanceField, ContainerInstanceStatus, Resource,
};
use futures_util::future::try_join_all;

use super::ReadCloud;
use super::pace::{About, Rate};
use super::tasks::timestamp;
use decision::limits;
use decision::snapshot::{Instance, Read, ReadError, Resources};
use decision::units::{
    ClusterName, CpuUnits, Ec2InstanceId, Expression, Gpus, InstanceArn, MebiBytes, ServiceName,
    Tasks,
};

impl ReadCloud {
    /// The ACTIVE container instances of a cluster, in the order of their ARNs.
    ///
    /// # Errors
    /// When a page or an instance is missing: less room would be seen than there is.
    pub async fn active_instances(&self, cluster: &ClusterName) -> Read<Vec<Instance>> {
        self.instances_with(cluster, ContainerInstanceStatus::Active).await
    }

    /// Those that go away: they take no task. In the order of their ARNs.
    ///
    /// # Errors
    /// When a page or an instance is missing.
    #[cfg(feature = "cli")]
    pub async fn draining_instances(&self, cluster: &ClusterName) -> Read<Vec<Instance>> {
        self.instances_with(cluster, ContainerInstanceStatus::Draining).await
    }

    async fn instances_with(
        &self,
        cluster: &ClusterName,
        status: ContainerInstanceStatus,
    ) -> Read<Vec<Instance>> {
        let listed = self.list_instances(cluster, status.clone(), None).await?;
        let described = self.describe_instances(cluster, &listed).await?;
        // One that began to drain since it was listed is described as such.
        let has_it = |i: &&EcsInstance| i.status() == Some(status.as_str()) && is_ec2(i);
        let mut instances: Vec<_> =
            described.iter().filter(has_it).filter_map(read_instance).collect();
        instances.sort_by(|a, b| a.arn.cmp(&b.arn));
        Ok(instances)
    }

    /// The ACTIVE container instances for which an expression holds, as ECS judges it.
    ///
    /// # Errors
    /// Also when ECS cannot read the expression.
    pub async fn instances_where(
        &self,
        cluster: &ClusterName,
        expression: &Expression,
    ) -> Read<BTreeSet<InstanceArn>> {
        let active = ContainerInstanceStatus::Active;
        let listed = self.list_instances(cluster, active, Some(expression)).await?;
        Ok(listed.into_iter().collect())
    }

    /// The container instances on which a task of a service runs.
    ///
    /// # Errors
    /// Also when there is no such service.
    pub async fn instances_running(
        &self,
        cluster: &ClusterName,
        service: &ServiceName,
    ) -> Read<BTreeSet<InstanceArn>> {
        let tasks = self.tasks_of_service(cluster, service).await?;
        let running = tasks.iter().filter(|task| task.last_status() == Some("RUNNING"));
        Ok(running
            .filter_map(|task| task.container_instance_arn())
            .map(InstanceArn::from)
            .collect())
    }

    /// Lists in the order that ECS gives.
    pub(super) async fn list_instances(
        &self,
        cluster: &ClusterName,
        status: ContainerInstanceStatus,
        filter: Option<&Expression>,
    ) -> Read<Vec<InstanceArn>> {
        let call = self.ecs.list_container_instances().cluster(cluster.as_str()).status(status);
        let call = call.set_filter(filter.map(ToString::to_string));
        let subject = filter.map_or(cluster.as_str(), Expression::as_str);
        self.pages_of_instances(subject, call).await
    }

    pub(super) async fn pages_of_instances(
        &self,
        subject: &str,
        call: ListContainerInstancesFluentBuilder,
    ) -> Read<Vec<InstanceArn>> {
        let rate = Rate::ClusterRead;
        let about = About { operation: "ListContainerInstances", subject, rate };
        let page = async |token| {
            let page = call.clone().set_next_token(token).send().await;
            page.map(|page| (page.container_instance_arns, page.next_token))
        };
        let arns = self.pace.pages(about, usize::MAX, page).await?;
        Ok(arns.into_iter().map(InstanceArn).collect())
    }

    /// As ECS describes them, with their tags.
    ///
    /// # Errors
    /// When one is missing for another reason than that it is gone.
    pub(super) async fn describe_instances(
        &self,
        cluster: &ClusterName,
        arns: &[InstanceArn],
    ) -> Read<Vec<EcsInstance>> {
        let hundreds = arns.chunks(limits::INSTANCES_PER_DESCRIBE);
        let described = hundreds.map(|arns| self.describe_hundred(cluster, arns));
        Ok(try_join_all(described).await?.into_iter().flatten().collect())
    }

    async fn describe_hundred(
        &self,
        cluster: &ClusterName,
        arns: &[InstanceArn],
    ) -> Read<Vec<EcsInstance>> {
        let operation = "DescribeContainerInstances";
        let about = About { operation, subject: cluster.as_str(), rate: Rate::ClusterRead };
        let call = self
            .ecs
            .describe_container_instances()
            .cluster(cluster.as_str())
            .set_container_instances(Some(arns.iter().map(ToString::to_string).collect()))
            .include(ContainerInstanceField::Tags);
        let answer = self.pace.call(about, async || call.clone().send().await).await;
        let answer = answer.map_err(|error| error.into_call_error(about))?;
        let described = answer.container_instances.unwrap_or_default();
        let gone = answer.failures.unwrap_or_default();
        let gone = gone.iter().filter(|failure| failure.reason() == Some("MISSING")).count();
        let missing = arns.len().saturating_sub(described.len().saturating_add(gone));
        if 0 < missing {
            let what = format!("{missing} of {} listed instances are not in it", arns.len());
            return Err(ReadError::Answer { operation, what });
        }
        Ok(described)
    }
}

/// Machines of somebody's own are `mi-...`: the launch type EC2 is not for them.
/// Source: ECS developer guide, "Amazon ECS clusters for external instances".
fn is_ec2(instance: &EcsInstance) -> bool {
    instance.ec2_instance_id().is_some_and(|id| id.starts_with("i-"))
}

fn read_instance(instance: &EcsInstance) -> Option<Instance> {
    let attributes = instance.attributes().iter();
    let attributes = attributes.map(|a| (a.name().to_owned(), a.value().map(str::to_owned)));
    // Those that ECS wants to run, which the pending ones are among.
    // Source: ECS API, `ContainerInstance.runningTasksCount`.
    let tasks = u32::try_from(instance.running_tasks_count()).unwrap_or(0);
    Some(Instance {
        arn: InstanceArn::from(instance.container_instance_arn()?),
        ec2: Ec2InstanceId::from(instance.ec2_instance_id().unwrap_or_default()),
        connected: instance.agent_connected(),
        whole: read_resources(instance.registered_resources()),
        remaining: read_resources(instance.remaining_resources()),
        attributes: attributes.collect(),
        tasks: Tasks(tasks),
        registered: instance.registered_at().and_then(timestamp),
        provider: instance.capacity_provider_name().map(str::to_owned),
    })
}

/// Source: ECS API, `ContainerInstance.remainingResources`; a STRINGSET names GPUs by their ids.
fn read_resources(resources: &[Resource]) -> Resources {
    let named = |name| resources.iter().find(|resource| resource.name() == Some(name));
    // A long or double stands where an integer is too small; no instance has so much.
    let number = |name| named(name).and_then(|r| u32::try_from(r.integer_value()).ok());
    let texts = |name| named(name).map(Resource::string_set_value).unwrap_or_default();
    let ports = |name| texts(name).iter().filter_map(|port| port.parse().ok()).collect();
    Resources {
        cpu: CpuUnits(number("CPU").unwrap_or(0)),
        memory: MebiBytes(number("MEMORY").unwrap_or(0)),
        gpus: Gpus::counted(texts("GPU").len()),
        tcp_taken: ports("PORTS"),
        udp_taken: ports("PORTS_UDP"),
    }
}
