//! What our own scheduler reports: where tasks had room, what is short, and instances to look at.

use serde::Serialize;

use decision::definition::Needs;
use decision::plan::{InstanceFault, PlacementPlan, Symptom};
use decision::units::{ClusterName, CpuUnits, Ec2InstanceId, Gpus, InstanceArn, MebiBytes, Tasks};

/// How the tasks of a worker were placed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlacementReport {
    /// ACTIVE instances of the cluster.
    pub instances: usize,
    /// Tasks that are owed.
    pub asked: Tasks,
    /// Of these, the ones for which there is room.
    pub fit: Tasks,
    /// What the others are short of; empty when all have room.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub short: Vec<Short>,
    /// What one of the others needs, by which a group can be sized.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needs: Option<NeedsReport>,
}

/// What is short, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Short {
    /// Such as `memory` or `daemon`.
    pub what: &'static str,
    /// Which daemon, which attribute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Instances that take no task for it.
    pub instances: usize,
}

impl std::fmt::Display for Short {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { what, name, instances } = self;
        let name = name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
        let unit = if *instances == 1 { "instance" } else { "instances" };
        write!(f, "{what}{name} ({instances} {unit})")
    }
}

/// What a task takes of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NeedsReport {
    /// CPU.
    pub cpu: CpuUnits,
    /// Memory.
    pub memory: MebiBytes,
    /// GPUs.
    #[serde(skip_serializing_if = "super::is_default")]
    pub gpus: Gpus,
    /// Ports of the host.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<u16>,
}

/// A container instance that somebody has to look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceReport {
    /// Where.
    pub cluster: ClusterName,
    /// Its machine.
    pub instance: Ec2InstanceId,
    /// ECS's name of the container instance.
    pub container_instance: InstanceArn,
    /// Whose capacity it is, where it was brought by a capacity provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity_provider: Option<String>,
    /// In one word.
    pub trouble: &'static str,
    /// What it is and what to do.
    pub why: String,
}

/// The one word of an instance that may be gone.
pub(super) const LOST: &str = "lost";

/// The one word of an instance whose daemon does not come.
pub(super) const NO_DAEMON: &str = "noDaemon";

impl From<&PlacementPlan> for PlacementReport {
    fn from(plan: &PlacementPlan) -> Self {
        let short = plan.short().into_iter().map(|(lack, instances)| Short {
            what: lack.word(),
            name: lack.name().map(str::to_owned),
            instances,
        });
        Self {
            instances: plan.instances,
            asked: plan.asked(),
            fit: plan.fit,
            short: short.collect(),
            needs: plan.needs.as_ref().map(NeedsReport::from),
        }
    }
}

impl From<&Needs> for NeedsReport {
    fn from(needs: &Needs) -> Self {
        let Needs { cpu, memory, gpus, tcp, udp, attributes: _ } = needs;
        let ports = tcp.union(udp).copied().collect();
        Self { cpu: *cpu, memory: *memory, gpus: *gpus, ports }
    }
}

impl From<&InstanceFault> for InstanceReport {
    fn from(fault: &InstanceFault) -> Self {
        Self {
            cluster: fault.cluster.clone(),
            instance: fault.ec2.clone(),
            container_instance: fault.arn.clone(),
            capacity_provider: fault.provider.clone(),
            trouble: match fault.symptom {
                Symptom::Lost(_) => LOST,
                Symptom::NoDaemon(_, _) => NO_DAEMON,
            },
            why: fault.to_string(),
        }
    }
}
