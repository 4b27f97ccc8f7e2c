//! Where a worker's tasks go: subnets and their ways out, capacity providers, the account's quota.

use std::collections::BTreeSet;

use decision::config::{AwsVpc, PublicIp, Rung, Worker};
use decision::definition::TaskDefinition;
use decision::units::Containers;
use decision::variant::Recipe;

use serde_json::Value;

use super::{Finding, Level, Looks};
use crate::aws::{EcrImage, Network, WayOut};

/// CPU units of a vCPU.
const VCPU: f64 = 1024.0;

impl Looks<'_> {
    pub(super) async fn of_network(&self, worker: &Worker) -> Vec<Finding> {
        let Some(of_worker) = &worker.launch.network else { return Vec::new() };
        let key = (of_worker.subnets.clone(), of_worker.security_groups.clone());
        let read = self
            .once
            .networks
            .read(&key, async || Box::pin(self.cloud.network(&key.0, &key.1)).await);
        match &*read.await {
            Err(error) => vec![Finding::not_checked("its network is", error)],
            Ok(network) => of_network(network, of_worker, &self.needs_of(worker)),
        }
    }

    /// What the tasks of a worker have to reach.
    fn needs_of(&self, worker: &Worker) -> Needs {
        let read = self.foreseen.snapshot.definitions.get(&worker.task_definition);
        let definition = read.and_then(|read| read.as_ref().ok());
        let account = definition.map(|found| found.arn.to_string());
        let account = account.and_then(|arn| Some(arn.split(':').nth(4)?.to_owned()));
        let is_on_fargate = worker.launch.rungs.iter().all(|rung| rung.is_fargate() == Some(true));
        let mut needs = Needs {
            endpoints: ["sqs"].into(),
            is_of_internet: false,
            is_on_fargate,
            account: account.unwrap_or_default(),
        };
        // On instances the agent fetches all of it, through the instance's own network.
        for container in definition.into_iter().flat_map(TaskDefinition::containers) {
            if is_on_fargate {
                needs.add(container);
            }
        }
        needs
    }

    pub(super) async fn of_capacity(&self, worker: &Worker) -> Vec<Finding> {
        let mut findings = Vec::new();
        let asked: Vec<_> = worker
            .launch
            .rungs
            .iter()
            .filter_map(|rung| match rung {
                Rung::CapacityProvider(name) => Some(name.clone()),
                Rung::ClusterDefault | Rung::LaunchType(_) => None,
            })
            .collect();
        let cluster = &worker.cluster;
        let read = self
            .once
            .providers
            .read(cluster, async || self.cloud.capacity_providers(cluster).await);
        match &*read.await {
            Err(error) => {
                findings.push(Finding::not_checked(&format!("cluster {cluster} is"), error));
            }
            Ok(None) => {
                findings
                    .push(Finding::wrong(format!("there is no cluster {cluster} that is ACTIVE")));
            }
            Ok(Some(there)) => {
                let missing = asked.iter().filter(|name| !there.contains(name));
                let missing: Vec<_> = missing.map(String::as_str).collect();
                if !missing.is_empty() {
                    findings.push(Finding::wrong(format!(
                        "cluster {cluster} has no capacity provider {}: associate it with the cluster",
                        missing.join(", ")
                    )));
                }
            }
        }
        findings.extend(Box::pin(self.of_quota(worker)).await);
        findings
    }

    /// Whether as many as `maxContainers` could run at once, beside nobody else.
    async fn of_quota(&self, worker: &Worker) -> Option<Finding> {
        let rungs = &worker.launch.rungs;
        let is_on_fargate = rungs.iter().any(|rung| rung.is_fargate() == Some(true));
        let definition = self.foreseen.snapshot.definitions.get(&worker.task_definition)?;
        let definition = definition.as_ref().ok()?;
        let recipe = Recipe::new(definition, worker.into()).ok()?;
        let cpu = recipe.size(Containers(1)).ok()?.cpu?;
        if !is_on_fargate {
            return None;
        }
        let most = worker.scaling.max_containers;
        let wanted = f64::from(cpu.0) / VCPU * f64::from(most.0);
        // The last rung is the one that has to hold all that the others do not.
        let is_spot = rungs.iter().all(Rung::is_spot);
        let read = self.once.quotas.read(&is_spot, async || self.cloud.vcpu_quota(is_spot).await);
        let kind = if is_spot { "Fargate Spot" } else { "Fargate On-Demand" };
        match &*read.await {
            Err(error) => Some(Finding::not_checked(&format!("the quota of {kind} is"), error)),
            Ok(quota) if *quota < wanted => Some(Finding::warning(format!(
                "maxContainers {most} may take {wanted} vCPU, and the account's quota of {kind} is {quota}: ask for \
                 more, or make maxContainers smaller"
            ))),
            Ok(_) => None,
        }
    }
}

/// What tasks have to reach from their subnet.
struct Needs {
    /// Services of AWS, as their endpoints are called.
    endpoints: BTreeSet<&'static str>,
    /// Whether an image is in a registry that no endpoint leads to.
    is_of_internet: bool,
    is_on_fargate: bool,
    /// Whose the tasks are.
    account: String,
}

impl Needs {
    /// What a container needs before it starts.
    /// Source: ECR user guide, "Amazon ECR interface VPC endpoints".
    fn add(&mut self, container: &Value) {
        let text = |pointer: &str| container.pointer(pointer).and_then(Value::as_str);
        let image = text("/image").unwrap_or_default();
        if EcrImage::parse(image).is_some() {
            self.endpoints.extend(["ecr.api", "ecr.dkr", "s3"]);
        } else {
            self.is_of_internet = true;
        }
        if text("/logConfiguration/logDriver") == Some("awslogs") {
            self.endpoints.insert("logs");
        }
        let secrets = container.get("secrets").and_then(Value::as_array).into_iter().flatten();
        for from in secrets.filter_map(|secret| secret.get("valueFrom")?.as_str()) {
            let is_secret = from.contains(":secretsmanager:");
            self.endpoints.insert(if is_secret { "secretsmanager" } else { "ssm" });
        }
    }
}

fn of_network(network: &Network, asked: &AwsVpc, needs: &Needs) -> Vec<Finding> {
    let AwsVpc { subnets, security_groups: groups, assign_public_ip } = asked;
    let mut findings = Vec::new();
    for (what, ids, there) in
        [("subnet", subnets, &network.subnets), ("security group", groups, &network.groups)]
    {
        let missing: Vec<_> = ids.iter().filter(|id| !there.contains_key(*id)).cloned().collect();
        if !missing.is_empty() {
            findings.push(Finding::wrong(format!("there is no {what} {}", missing.join(", "))));
        }
    }
    let vpcs: BTreeSet<_> = network.subnets.values().chain(network.groups.values()).collect();
    if 1 < vpcs.len() {
        let vpcs: Vec<_> = vpcs.into_iter().cloned().collect();
        findings.push(Finding::wrong(format!(
            "its subnets and security groups are of several VPCs: {}",
            vpcs.join(", ")
        )));
    }
    let has_address = *assign_public_ip == PublicIp::Enabled && needs.is_on_fargate;
    for (subnet, way_out) in &network.ways_out {
        let owner = network.owners.get(subnet).filter(|owner| **owner != needs.account);
        findings.extend(of_subnet(subnet, way_out.as_ref(), needs, has_address).map(|message| {
            match owner.filter(|owner| !(owner.is_empty() || needs.account.is_empty())) {
                // What others share shows neither all of its routes nor its endpoints.
                Some(owner) => Finding::new(
                    Level::NotChecked,
                    format!("subnet {subnet} is shared by account {owner}: where it leads is not seen here"),
                ),
                None => message,
            }
        }));
    }
    findings
}

fn of_subnet(
    subnet: &str,
    way_out: Option<&WayOut>,
    needs: &Needs,
    has_address: bool,
) -> Option<Finding> {
    let Some(way_out) = way_out else {
        let message =
            format!("where subnet {subnet} leads is not seen: it has no route table here");
        return Some(Finding::new(Level::NotChecked, message));
    };
    let missing = needs.endpoints.iter().filter(|name| !way_out.endpoints.contains(**name));
    let missing: Vec<_> = missing.copied().collect();
    let leads_out = way_out.by_nat || (has_address && way_out.by_gateway);
    if leads_out || (missing.is_empty() && !needs.is_of_internet) {
        return None;
    }
    let advice = if way_out.by_gateway && needs.is_on_fargate {
        "it leads to an internet gateway, which needs assignPublicIp: ENABLED"
    } else {
        "give it a NAT gateway"
    };
    // To a registry in the internet no endpoint leads.
    let or = if needs.is_of_internet {
        String::new()
    } else {
        format!(", or the VPC the endpoints {}", missing.join(", "))
    };
    Some(Finding::warning(format!("subnet {subnet} has no way out for its tasks: {advice}{or}")))
}
