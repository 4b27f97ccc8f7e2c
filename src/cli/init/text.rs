//! The proposal as a file.

use std::collections::BTreeSet;

use decision::config::{AwsVpc, PublicIp};
use decision::units::Family;
use serde_json::Value;

use super::{Proposal, Proposed, containers};
use crate::aws::RunningService;
use crate::cli::page::{age, counted};
use crate::cli::yaml::quoted;

/// As many families as a person looks through.
const MOST_FAMILIES: usize = 30;

impl Proposal {
    /// The file.
    pub fn text(&self) -> String {
        let mut lines = vec![
            "# Proposed by `queue-scaler init` from the names of queues and task definitions. Read it line by line:"
                .to_owned(),
            "# what it saw is in comments, and what it could not know is a guess. Then:".to_owned(),
            "#   queue-scaler validate --aws && queue-scaler plan".to_owned(),
            String::new(),
        ];
        lines.extend(self.notes.iter().map(|note| format!("# not read: {}", one_line(note))));
        match &self.cluster {
            Some(cluster) => lines.push(format!("cluster: {}", quoted(cluster.as_str()))),
            None => lines.push("cluster: default     # no cluster was found".to_owned()),
        }
        if 1 < self.clusters.len() {
            let all: Vec<_> = self.clusters.iter().map(ToString::to_string).collect();
            lines.push(format!("# there are the clusters {}", all.join(", ")));
        }
        lines.push(String::new());
        lines.extend(self.launch());
        lines.push(String::new());
        if self.workers.is_empty() {
            lines.extend(
                [
                    "# No queue and no task definition are called alike. At least one worker is needed:",
                    "# workers:",
                    "#   - {name: ..., queue: ..., taskDefinition: ..., scaling: {messagesPerContainer: 1}}",
                ]
                .map(str::to_owned),
            );
        } else {
            lines.push("workers:".to_owned());
        }
        let mut names = BTreeSet::new();
        for worker in &self.workers {
            // A queue and its FIFO twin have one name here.
            let name = worker.queue.name.trim_end_matches(".fifo");
            let is_new = names.insert(name.to_owned());
            let name = if is_new { name.to_owned() } else { format!("{name}-fifo") };
            names.insert(name.clone());
            lines.extend(worker.lines(&name));
            lines.extend(self.otherwise(worker));
        }
        lines.extend(self.rest());
        lines.push(String::new());
        lines.join("\n")
    }

    /// The network of the first service that has one, as the workers' tasks would run beside it.
    fn launch(&self) -> Vec<String> {
        let services = || self.workers.iter().filter_map(|worker| worker.service.as_ref());
        let mut lines = Vec::new();
        let providers = services().find(|service| !service.providers.is_empty());
        match providers {
            Some(RunningService { name, providers, .. }) => {
                lines.push(format!("capacity:     # as service {name} has it"));
                lines.extend(
                    providers.iter().map(|name| format!("  - capacityProvider: {}", quoted(name))),
                );
            }
            None => lines.extend(
                [
                    "# The ladder of capacity: what one rung cannot place is tried on the next.",
                    "# capacity: [{capacityProvider: FARGATE_SPOT}, {capacityProvider: FARGATE}]",
                ]
                .map(str::to_owned),
            ),
        }
        let launch_type = services().find_map(|service| service.launch_type.as_ref());
        let network =
            services().find_map(|service| Some((&service.name, service.network.as_ref()?)));
        let has_type = providers.is_none();
        match (network, launch_type.filter(|_| has_type)) {
            // RunTask takes one of both.
            (None, None) if providers.is_some() => {}
            (None, None) => lines.extend(
                [
                    "launch:",
                    "  launchType: FARGATE",
                    "  # networkConfiguration:     # no service was seen whose network could be taken",
                    "  #   awsvpcConfiguration: {subnets: [subnet-...], securityGroups: [sg-...]}",
                ]
                .map(str::to_owned),
            ),
            (network, launch_type) => {
                lines.push("launch:".to_owned());
                lines.extend(launch_type.map(|name| format!("  launchType: {name}")));
                lines.extend(network.into_iter().flat_map(|(name, network)| of_network(name, network)));
            }
        }
        lines
    }

    /// Where a worker's service runs otherwise than the file has it for all.
    fn otherwise(&self, worker: &Proposed) -> Vec<String> {
        let Some(service) = &worker.service else { return Vec::new() };
        let mut lines = Vec::new();
        if self.cluster.as_ref() != Some(&service.cluster) {
            lines.push(format!("    cluster: {}", quoted(service.cluster.as_str())));
        }
        let settings = |of: &RunningService| {
            (of.providers.clone(), of.launch_type.clone(), of.network.clone())
        };
        let mut others = self.workers.iter().filter_map(|worker| worker.service.as_ref());
        if others.any(|other| settings(other) != settings(service)) {
            let how = match (service.launch_type.as_deref(), service.providers.as_slice()) {
                (_, [_, ..]) => service.providers.join(", "),
                (Some(name), _) => name.to_owned(),
                _ => "the cluster's default capacity".to_owned(),
            };
            let subnets = service.network.as_ref().map(|network| network.subnets.join(", "));
            let subnets = subnets.map(|subnets| format!(" in {subnets}")).unwrap_or_default();
            lines.push(format!(
                "    # Not all services run alike: {} runs on {how}{subnets}. `capacity` and `launch` can be given here, \
                 too.",
                service.name
            ));
        }
        lines
    }

    /// What was left out.
    fn rest(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if !self.others.is_empty() {
            lines.push(String::new());
            lines.push("# Queues that no task definition is called like:".to_owned());
            for queue in &self.others {
                let name = quoted(&queue.name);
                lines.push(format!(
                    "#  - {{name: {name}, queue: {name}, taskDefinition: ..., scaling: {{messagesPerContainer: 1}}}}"
                ));
            }
        }
        if !self.families.is_empty() {
            let shown: Vec<_> =
                self.families.iter().take(MOST_FAMILIES).map(Family::as_str).collect();
            let more = self.families.len().saturating_sub(shown.len());
            let more = if more == 0 { String::new() } else { format!(" and {more} more") };
            lines.push(format!(
                "# Task definitions that no queue is called like: {}{more}",
                shown.join(", ")
            ));
        }
        lines
    }
}

impl Proposed {
    fn lines(&self, name: &str) -> Vec<String> {
        let Self { queue, family, definition, service } = self;
        let mut lines = vec![format!("  - name: {}", quoted(name))];
        let timeout = queue.settings.visibility_timeout;
        let timeout = timeout.map(|timeout| format!("     # visibility timeout {}", age(timeout)));
        lines.push(format!("    queue: {}{}", quoted(&queue.name), timeout.unwrap_or_default()));
        if queue.settings.redrive.is_none() {
            lines.push("    # The queue has no dead-letter queue: what nobody can process comes back for days.".to_owned());
        }
        let seen = definition.as_ref().map(|definition| {
            let roles = definition.document.get("taskRoleArn").and_then(Value::as_str);
            let roles = roles.filter(|role| !role.is_empty());
            let role = roles.map(|role| format!(", role {role}")).unwrap_or_default();
            let size = |key: &str| definition.document.get(key).and_then(Value::as_str);
            let size = size("cpu").zip(size("memory"));
            let size = size.map(|(cpu, memory)| format!(", {cpu} CPU units and {memory} MiB"));
            let size = size.unwrap_or_default();
            format!("     # {} now{size}{role}", definition.arn.family_and_revision())
        });
        lines.push(format!(
            "    taskDefinition: {}{}",
            quoted(family.as_str()),
            seen.unwrap_or_default()
        ));
        lines.extend(definition.as_ref().and_then(|definition| {
            let containers = containers(definition);
            let (first, ..) = containers.first().filter(|_| 1 < containers.len())?;
            let all: Vec<_> = containers
                .iter()
                .map(|(name, cpu, memory)| {
                    let size =
                        |size: &Option<u64>| size.map_or_else(|| "?".to_owned(), |n| n.to_string());
                    format!("{name} ({} CPU units, {} MiB)", size(cpu), size(memory))
                })
                .collect();
            Some(format!("    container: {}     # one of {}", quoted(first), all.join(", ")))
        }));
        if let Some(RunningService { name, desired, .. }) = service {
            let tasks = counted(u64::from(*desired), "task");
            lines.push(format!(
                "    # Service {name} keeps {tasks} of it: scale it to 0 before this starts any, or both answer the \
                 same messages."
            ));
        }
        lines.push("    scaling:".to_owned());
        lines.push("      messagesPerContainer: 1     # or steps, or drainWithin".to_owned());
        lines.push("      maxContainers: 10           # a careful beginning".to_owned());
        lines
    }
}

fn of_network(service: &str, network: &AwsVpc) -> Vec<String> {
    let list = |ids: &[String]| ids.iter().map(|id| quoted(id)).collect::<Vec<_>>().join(", ");
    let AwsVpc { subnets, security_groups, assign_public_ip } = network;
    let mut lines = vec![
        format!("  networkConfiguration:     # as service {service} has it"),
        "    awsvpcConfiguration:".to_owned(),
        format!("      subnets: [{}]", list(subnets)),
    ];
    if !security_groups.is_empty() {
        lines.push(format!("      securityGroups: [{}]", list(security_groups)));
    }
    if *assign_public_ip == PublicIp::Enabled {
        lines.push("      assignPublicIp: ENABLED".to_owned());
    }
    lines
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
