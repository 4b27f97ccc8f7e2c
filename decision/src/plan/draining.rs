//! What is to be done about instances that are about to go away, and about the lifecycle hooks that
//! hold them.

use std::collections::BTreeSet;
use std::fmt;

use crate::definition::Tag;
use crate::event::Hook;
use crate::snapshot::{ReadError, Untaggable};
use crate::units::{ClusterName, Ec2InstanceId, InstanceArn, TaskArn, WorkerName};

/// What a notice's first look leads to: the machine takes no more tasks.
#[must_use = "a plan does nothing until it is carried out"]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrainPlan {
    /// The clusters in which the machine was looked for.
    pub clusters: BTreeSet<ClusterName>,
    /// Those of them that could not be read, and why.
    pub unread: Vec<ReadError>,
    /// The container instances that it is, in the order of their ARNs.
    pub instances: Vec<Leaving>,
    /// What becomes of the hook that holds it.
    pub hook: Option<HookOwner>,
}

/// A container instance that is about to go away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaving {
    /// Where it is.
    pub cluster: ClusterName,
    /// Its ARN.
    pub instance: InstanceArn,
    /// What ECS says of it.
    pub status: String,
    /// What that asks for.
    pub step: DrainStep,
}

/// What the status of a container instance asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrainStep {
    /// It takes tasks, and is set to DRAINING.
    Drain,
    /// It takes none already.
    IsDraining,
    /// It will take tasks, and ECS does not let it drain yet.
    NotYet,
    /// It is on its way out by itself.
    Leaves,
}

/// What becomes of a lifecycle hook that holds the machine of a notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookOwner {
    /// The ticks are to answer it: these tags say so.
    Ours {
        /// The hook.
        hook: Hook,
        /// For each of its container instances.
        tags: Result<Vec<Tag>, Untaggable>,
    },
    /// It is not ours to answer.
    NotOurs {
        /// The hook.
        hook: Hook,
        /// Why it is not.
        why: NotOurs,
    },
}

/// Why a hook is not ours to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotOurs {
    /// The configuration names this one.
    Another(String),
    /// The configuration names none.
    NoneNamed,
}

impl fmt::Display for NotOurs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Another(ours) => {
                write!(f, "it is somebody else's: draining.lifecycleHook names `{ours}`")
            }
            Self::NoneNamed => f.write_str(
                "draining.lifecycleHook names none, so that it is left to its own timeout",
            ),
        }
    }
}

/// What a notice's second look leads to: tasks are stopped where the operator wants it.
#[must_use = "a plan does nothing until it is carried out"]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopPlan {
    /// `StopTask`'s reason.
    pub reason: String,
    /// One entry for each container instance that was looked at.
    pub instances: Vec<Emptying>,
}

/// A container instance, and what becomes of the tasks on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emptying {
    /// Where it is.
    pub cluster: ClusterName,
    /// Its ARN.
    pub instance: InstanceArn,
    /// Our tasks, or why they are not known.
    pub tasks: Result<Vec<TaskPlan>, ReadError>,
}

/// What becomes of a task on an instance that is about to go away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskPlan {
    /// Whose it is.
    pub worker: WorkerName,
    /// Its ARN.
    pub arn: TaskArn,
    /// What is done.
    pub step: TaskStep,
}

/// What is done about a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskStep {
    /// It runs on, or is on its way out already.
    Leave,
    /// It is stopped.
    Stop,
}

/// What a tick does about the hooks of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookPlan {
    /// Nothing: the cluster's draining instances could not be read.
    Unread {
        /// The cluster.
        cluster: ClusterName,
        /// Why not.
        error: ReadError,
    },
    /// A hook is answered.
    Answer(HookAnswer),
}

/// How a hook that holds an instance is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookAnswer {
    /// Where it is.
    pub cluster: ClusterName,
    /// The instance's ARN.
    pub instance: InstanceArn,
    /// Its machine.
    pub ec2: Ec2InstanceId,
    /// The hook.
    pub hook: Hook,
    /// The answer.
    pub reply: Reply,
    /// The tag that ends it for the ticks, once the hook holds nothing any more.
    pub settled: Tag,
}

/// How a hook is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The instance is still needed.
    Hold(Because),
    /// It can go.
    LetGo,
}

/// Why an instance is still needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Because {
    /// So many tasks of ours are there.
    TasksRun(usize),
    /// None is seen, and a call without an answer may have started some.
    TasksMayStart,
    /// What runs there could not be read.
    NotRead(ReadError),
    /// None is seen, and lists may lag behind what was placed just before it began to drain.
    JustDrained,
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hold(because) => because.fmt(f),
            Self::LetGo => f.write_str("no task of ours is there any more"),
        }
    }
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TasksRun(1) => f.write_str("1 task of ours has not ended"),
            Self::TasksRun(tasks) => write!(f, "{tasks} tasks of ours have not ended"),
            Self::TasksMayStart => {
                f.write_str("a RunTask call without an answer may have started tasks there")
            }
            Self::NotRead(_) => f.write_str("what runs there could not be read"),
            Self::JustDrained => f.write_str(
                "it has been draining for less than five minutes, and ECS's lists may lag",
            ),
        }
    }
}
