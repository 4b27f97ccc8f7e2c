//! Where a worker's tasks go: subnets and their ways out, capacity providers, the account's quota.

use std::collections::BTreeSet;

use decision::config::{AwsVpc, PublicIp, Rung, Worker};
use decision::units::Containers;
use decision::variant::Recipe;

use super::{Finding, Looks};
use crate::aws::Network;

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
            Ok(network) => of_network(network, of_worker),
        }
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

fn of_network(network: &Network, asked: &AwsVpc) -> Vec<Finding> {
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
    for (subnet, way_out) in &network.ways_out {
        let has_address = *assign_public_ip == PublicIp::Enabled;
        let leads_out = way_out.by_nat || (has_address && way_out.by_gateway);
        let missing = way_out.missing_endpoints();
        if leads_out || missing.is_empty() {
            continue;
        }
        let advice = if way_out.by_gateway {
            "it leads to an internet gateway, which needs assignPublicIp: ENABLED"
        } else {
            "give it a NAT gateway"
        };
        findings.push(Finding::warning(format!(
            "subnet {subnet} has no way out for its tasks: {advice}, or the VPC the endpoints {}",
            missing.join(", ")
        )));
    }
    findings
}
