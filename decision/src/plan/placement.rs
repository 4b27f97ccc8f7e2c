//! Where tasks go by our own scheduler.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;

use super::ClientToken;
use crate::definition::Needs;
use crate::refusal::Cause;
use crate::units::{
    ClusterName, Containers, Ec2InstanceId, Expression, InstanceArn, ServiceName, Tasks,
};

/// By which API a call starts its tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// `RunTask`: ECS places them. One token for each rung of the capacity ladder.
    Run(Vec<ClientToken>),
    /// `RunTask` of one task on this instance. `StartTask` has no token, so the first task of a
    /// launch is started by the API that has one: of several deliveries of a tick, one gets its way.
    Pin(ClientToken, Pin),
    /// `StartTask`: one task on each of these instances, which are ten at most and all different.
    Start(Vec<InstanceArn>),
}

/// The only instance that a task may go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// ECS's name of the container instance.
    pub arn: InstanceArn,
    /// By what a placement constraint knows it.
    pub ec2: Ec2InstanceId,
}

/// How the tasks of a launch were placed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlacementPlan {
    /// Expressions that must hold for their instances.
    pub expressions: BTreeSet<Expression>,
    /// ACTIVE instances of the cluster.
    pub instances: usize,
    /// Tasks that have an instance.
    pub fit: Tasks,
    /// Tasks that no instance takes, by their worker containers, the largest first.
    pub without_room: Vec<(Containers, Tasks)>,
    /// Tasks of one container that have an instance, in the place of tasks of so many.
    pub replaced: Option<(Tasks, Containers)>,
    /// What one without room needs, of the larger ones; of the smaller ones where these were asked for
    /// in their place.
    pub needs: Option<Needs>,
    /// What the instances lack for one more of these, and how many of them.
    pub lacks: BTreeMap<Lack, usize>,
}

/// What an instance lacks for a task.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lack {
    /// Its agent is not connected.
    Agent,
    /// ECS refused a task there in this very tick.
    Refused,
    /// It is not of a capacity provider that the worker names.
    Provider,
    /// An attribute, or its value.
    Attribute(String),
    /// A constraint does not hold, or need not hold any more after what this tick placed there.
    Constraint,
    /// A task of this service does not run there.
    Daemon(ServiceName),
    /// It is smaller than the task, even when it is empty.
    Size,
    /// A task of the worker is there already, and each must have its own instance.
    DistinctInstance,
    /// CPU.
    Cpu,
    /// Memory.
    Memory,
    /// GPUs.
    Gpus,
    /// A port of the host.
    Ports,
}

/// A container instance that somebody has to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceFault {
    /// Where.
    pub cluster: ClusterName,
    /// ECS's name of the container instance.
    pub arn: InstanceArn,
    /// Its machine.
    pub ec2: Ec2InstanceId,
    /// Whose capacity it is, where it was brought by a capacity provider.
    pub provider: Option<String>,
    /// What is wrong with it.
    pub symptom: Symptom,
}

/// What is wrong with an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Symptom {
    /// It may be gone: it is listed, and its agent is silent since then, as far as this process knows.
    Lost(Timestamp),
    /// A daemon that is required does not run on it, though it had its time since it joined.
    NoDaemon(ServiceName, Timestamp),
}

/// What came of placing the tasks of a group.
#[derive(Clone, Debug)]
pub struct GroupPlaced {
    /// Tasks that were to be placed.
    pub asked: Tasks,
    /// Of these, the ones that no instance has room for.
    pub without_room: Tasks,
    /// Worker containers in each.
    pub containers_per_task: Containers,
    /// What one of them asks for.
    pub needs: Needs,
    /// At how many instances what is short for one more.
    pub lacks: BTreeMap<Lack, usize>,
}

impl PlacementPlan {
    /// Whether some tasks have no room.
    pub fn is_short(&self) -> bool {
        self.without_room() != Tasks::ZERO
    }

    /// Tasks that no instance takes.
    pub fn without_room(&self) -> Tasks {
        self.without_room.iter().map(|(_, tasks)| *tasks).sum()
    }

    /// Tasks that are owed.
    pub fn asked(&self) -> Tasks {
        self.fit.plus(self.without_room())
    }

    /// The worker containers of the tasks that no instance takes.
    pub fn containers_without_room(&self) -> Containers {
        self.without_room.iter().map(|(n, tasks)| tasks.containers(*n)).sum()
    }

    /// Those of tasks that could be smaller.
    pub fn of_several_without_room(&self) -> Containers {
        let several = self.without_room.iter().filter(|(n, _)| Containers(1) < *n);
        several.map(|(n, tasks)| tasks.containers(*n)).sum()
    }

    /// Why some tasks have no room.
    pub fn why(&self) -> String {
        if self.instances == 0 {
            return "the cluster has no ACTIVE container instance".to_owned();
        }
        let short = self.short();
        let short = short.iter().map(|(lack, instances)| format!("{instances} {lack}"));
        let short: Vec<_> = short.collect();
        let noun = if self.instances == 1 { "instance" } else { "instances" };
        format!("of {} {noun} {}", self.instances, short.join(", "))
    }

    /// What is short, and at how many instances; the most frequent first.
    pub fn short(&self) -> Vec<(&Lack, usize)> {
        let mut short: Vec<_> = self.lacks.iter().map(|(lack, count)| (lack, *count)).collect();
        short.sort_by_key(|(_, instances)| Reverse(*instances));
        short
    }

    /// Adds the tasks of a group, of which some have no room. Of two groups without, the first is reported.
    pub fn add(&mut self, placed: GroupPlaced) {
        let GroupPlaced { asked, without_room, containers_per_task, needs, lacks } = placed;
        self.fit = self.fit.plus(asked.minus(without_room));
        if without_room == Tasks::ZERO {
            return;
        }
        self.without_room.push((containers_per_task, without_room));
        if self.needs.is_none() {
            self.needs = Some(needs);
            self.lacks = lacks;
        }
    }

    /// Tasks of one container were asked for in the place of larger ones without room. Where these have
    /// no room either, it is they that are without; else the larger ones, of which there are fewer.
    pub fn replace(&mut self, placed: GroupPlaced) {
        let GroupPlaced { asked, without_room, needs, lacks, .. } = placed;
        let Some((largest, _)) = self.without_room.first().copied() else { return };
        let fit = asked.minus(without_room);
        let open = self.containers_without_room().minus(fit.containers(Containers(1))).0;
        self.fit = self.fit.plus(fit);
        self.replaced = (fit != Tasks::ZERO).then_some((fit, largest));
        let each = largest.0.max(1);
        let mut left = vec![(largest, Tasks(open / each)), (Containers(1), Tasks(open % each))];
        if without_room != Tasks::ZERO {
            self.needs = Some(needs);
            self.lacks = lacks;
            left = vec![(Containers(1), Tasks(open))];
        }
        left.retain(|(_, tasks)| *tasks != Tasks::ZERO);
        self.without_room = left;
    }
}

impl fmt::Display for PlacementPlan {
    /// What is reported where some tasks have no room.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let have = if self.fit == Tasks(1) { "has" } else { "have" };
        write!(f, "{} of {} tasks {have} room; {}", self.fit, self.asked(), self.why())
    }
}

impl Lack {
    /// As the result names it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Refused => "refused",
            Self::Provider => "capacityProvider",
            Self::Attribute(_) => "attribute",
            Self::Constraint => "placementConstraint",
            Self::Daemon(_) => "daemon",
            Self::Size => "size",
            Self::DistinctInstance => "distinctInstance",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Gpus => "gpu",
            Self::Ports => "ports",
        }
    }

    /// What it is among all that may be short.
    pub fn cause(&self) -> Cause {
        match self {
            Self::Agent => Cause::Agent,
            Self::Provider
            | Self::Attribute(_)
            | Self::Constraint
            | Self::Daemon(_)
            | Self::DistinctInstance => Cause::Placement,
            Self::Refused | Self::Size | Self::Cpu | Self::Memory | Self::Gpus | Self::Ports => {
                Cause::NoRoom
            }
        }
    }

    /// Which one, where there may be several.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Attribute(name) => Some(name),
            Self::Daemon(service) => Some(service.as_str()),
            _ => None,
        }
    }
}

impl fmt::Display for Lack {
    /// After a number of instances.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent => f.write_str("without a connected agent"),
            Self::Refused => f.write_str("that refused a task just now"),
            Self::Provider => f.write_str("of another capacity provider"),
            Self::Attribute(name) => write!(f, "without attribute {name} as it must be"),
            Self::Constraint => f.write_str("outside a placement constraint"),
            Self::Daemon(service) => write!(f, "without daemon {service}"),
            Self::Size => f.write_str("too small for the task"),
            Self::DistinctInstance => f.write_str("with a task of this worker"),
            Self::Cpu => f.write_str("short of CPU"),
            Self::Memory => f.write_str("short of memory"),
            Self::Gpus => f.write_str("short of GPUs"),
            Self::Ports => f.write_str("with the port taken"),
        }
    }
}

impl fmt::Display for InstanceFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cluster, ec2, symptom, .. } = self;
        match symptom {
            Symptom::Lost(since) => write!(
                f,
                "instance {ec2} of cluster {cluster} may be gone: its agent is not connected since \
                 {since:.0}; look at it, or deregister it"
            ),
            Symptom::NoDaemon(daemon, joined) => write!(
                f,
                "instance {ec2} of cluster {cluster} takes no task: daemon {daemon} does not run on \
                 it, and it joined at {joined:.0}"
            ),
        }
    }
}
