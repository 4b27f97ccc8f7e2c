//! The container instances of a cluster, as our own scheduler needs them. Pure data.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::Read;
use crate::units::{
    CpuUnits, Ec2InstanceId, Expression, Gpus, InstanceArn, MebiBytes, ServiceName, Tasks,
};

/// The container instances of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instances {
    /// The ACTIVE ones, in the order of their ARNs. What is DRAINING takes no task.
    pub active: Vec<Instance>,
    /// Where the daemons run that a worker requires.
    pub daemons: BTreeMap<ServiceName, Read<BTreeSet<InstanceArn>>>,
    /// Where the expressions hold that a worker's constraints ask for, by ECS's own judgement.
    pub matching: BTreeMap<Expression, Read<BTreeSet<InstanceArn>>>,
}

/// A container instance that is ACTIVE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// ECS's name of the container instance.
    pub arn: InstanceArn,
    /// Its machine.
    pub ec2: Ec2InstanceId,
    /// Whether its agent is connected: "only instances connected to an agent can accept task
    /// placement requests". Source: ECS API, `ContainerInstance.agentConnected`.
    pub connected: bool,
    /// What it has when it is empty.
    pub whole: Resources,
    /// What is left of it.
    pub remaining: Resources,
    /// Its attributes, some of which have no value.
    pub attributes: BTreeMap<String, Option<String>>,
    /// Tasks that it runs or is about to run, of everybody.
    pub tasks: Tasks,
    /// When it joined the cluster.
    pub registered: Option<Timestamp>,
    /// Whose capacity it is, where it was brought by a capacity provider.
    pub provider: Option<String>,
}

impl Instance {
    /// The Availability Zone, empty where it is not known.
    /// Source: ECS developer guide, "Amazon ECS container instance attributes".
    pub fn zone(&self) -> &str {
        self.attributes.get("ecs.availability-zone").and_then(Option::as_deref).unwrap_or_default()
    }
}

/// What an instance has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// CPU.
    pub cpu: CpuUnits,
    /// Memory.
    pub memory: MebiBytes,
    /// GPUs.
    pub gpus: Gpus,
    /// TCP ports that are taken.
    /// Source: ECS API, `ContainerInstance.remainingResources`: "any port not specified here is
    /// available for new tasks".
    pub tcp_taken: BTreeSet<u16>,
    /// UDP ports that are taken.
    pub udp_taken: BTreeSet<u16>,
}
