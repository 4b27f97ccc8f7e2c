//! What a tick is going to do, and why. Data and its `Display`; pure.

use std::collections::BTreeSet;
use std::fmt;

use sha2::{Digest, Sha256};

use crate::config::{Launch, Policy, Problem};
use crate::definition::Tag;
use crate::event::Tick;
use crate::fargate::MicroDollars;
use crate::snapshot::{Depth, ReadError};
use crate::units::{
    ClusterName, Containers, Messages, RevisionArn, ScalerName, TaskArn, Tasks, WorkerName,
};
use crate::variant::{Obstacle, Variant};

/// What a tick is going to do.
#[must_use = "a plan does nothing until it is carried out"]
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// One entry a worker, in the order of the configuration.
    pub workers: Vec<WorkerPlan>,
}

/// What a tick is going to do for one worker.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerPlan {
    /// Which one.
    pub worker: WorkerName,
    /// Its queue, where it could be read.
    pub depth: Option<Depth>,
    /// Its tasks, where they mattered and could be read.
    pub alive: Option<Alive>,
    /// What is to be done.
    pub action: Action,
}

/// What is to be done for a worker.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Nothing is owed.
    Idle(Idle),
    /// Nothing is done, because something could not be read.
    Hold(ReadError),
    /// Nothing is done, because something is wrong that only a person can mend.
    Refuse(Refusal),
    /// Tasks are started.
    Launch(Box<LaunchPlan>),
}

impl Action {
    /// Nothing, and nothing had to be read for it but the queue.
    pub const NONE: Self = Self::Idle(Idle::Empty);
}

impl From<ReadError> for Action {
    fn from(error: ReadError) -> Self {
        Self::Hold(error)
    }
}

impl From<Refusal> for Action {
    fn from(refusal: Refusal) -> Self {
        Self::Refuse(refusal)
    }
}

/// Why nothing is owed.
#[derive(Clone, Debug, PartialEq)]
pub enum Idle {
    /// The queue is empty and no minimum is set; nothing else was read.
    Empty,
    /// What is alive answers the backlog, or a cap is reached.
    Answered(Decision),
}

/// What only a person can mend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The configuration.
    #[error("refused by the configuration: {}", joined(.0))]
    Config(Vec<Problem>),
    /// The task definition.
    #[error(transparent)]
    Definition(#[from] Obstacle),
    /// The network mode needs what the configuration does not give.
    #[error(
        "the task definition's network mode is awsvpc; give \
         launch.networkConfiguration.awsvpcConfiguration with its subnets"
    )]
    NoNetwork,
}

/// The tasks of a worker that ECS does not want stopped, and their worker containers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Alive {
    /// Tasks.
    pub tasks: Tasks,
    /// Worker containers that have not stopped.
    pub containers: Containers,
    /// Of these, the ones that run.
    pub running: Containers,
}

/// The arithmetic of one worker's launch. Its `Display` is the sum, for a person to check.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Messages that can be received now.
    pub visible: Messages,
    /// Messages that were received and not deleted yet.
    pub in_flight: Messages,
    /// Of these, the ones that somebody can be holding.
    pub held: Messages,
    /// Delayed messages, where they count.
    pub delayed: Messages,
    /// The rule that was applied.
    pub policy: Policy,
    /// What the rule asks for.
    pub target: Target,
    /// What is there.
    pub alive: Alive,
    /// What bounded the rule, in the order it was applied.
    pub bounds: Vec<Bound>,
    /// What is owed: containers to start.
    pub launch: Containers,
    /// Tasks to start, where the rule counts tasks.
    pub launch_tasks: Option<Tasks>,
}

/// What a rule asks for, in what it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Worker containers.
    Containers(Containers),
    /// Tasks, of as many containers as the packing gives them.
    Tasks(Tasks),
}

/// What made a launch larger or smaller than the rule asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// `minContainers` asks for more.
    MinContainers(Containers),
    /// `maxContainers` leaves room for this many.
    MaxContainers(Containers),
    /// So many visible messages are left to those that are not started yet: more containers would
    /// find nothing to do.
    WaitingMessages(Messages),
    /// `packing.maxTasks`, where the rule counts tasks.
    MaxTasks(Tasks),
    /// `maxLaunchPerTick`
    MaxLaunchPerTick(Containers),
}

/// Tasks to start for one worker.
#[derive(Clone, Debug, PartialEq)]
pub struct LaunchPlan {
    /// Why so many.
    pub decision: Decision,
    /// Where.
    pub cluster: ClusterName,
    /// What every call says.
    pub launch: Launch,
    /// Whether the definition's network mode takes the network settings.
    pub network_mode: NetworkMode,
    /// How our tasks are known.
    pub marks: Marks,
    /// One or two sizes of tasks.
    pub groups: Vec<Group>,
    /// Containers that are owed and wait for the next tick.
    pub deferred: Option<Deferred>,
    /// About what an hour of these tasks costs, on Fargate, and the Region of the price list.
    pub hourly_price: Option<(MicroDollars, &'static str)>,
    /// Tasks that were there before: a replayed call may name them again.
    pub known: BTreeSet<TaskArn>,
}

/// Whether `RunTask` takes a network configuration for the definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkMode {
    /// It does.
    AwsVpc,
    /// It does not.
    Other,
}

/// What a task carries so that we know it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks {
    /// `startedBy`
    pub scaler: ScalerName,
    /// `group`, which names the worker.
    pub group: String,
    /// Worker and tick.
    pub tags: Vec<Tag>,
}

/// Containers that are owed and not started, and what would have to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deferred {
    /// How many.
    pub containers: Containers,
    /// `packing.maxTasks`
    pub max_tasks: Tasks,
    /// Containers a task may have.
    pub per_task: Containers,
    /// Why a task has no more, where the definition says so.
    pub obstacle: Option<Obstacle>,
}

/// Tasks of one size.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// What they run.
    pub revision: Revision,
    /// Worker containers in each.
    pub containers_per_task: Containers,
    /// The calls that start them.
    pub calls: Vec<Call>,
}

/// The task definition that a group runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Revision {
    /// The operator's own.
    Base(RevisionArn),
    /// A derived one, to be found by its digest or registered.
    Derived(Box<Variant>),
}

/// One `RunTask` call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// One to ten. Source: ECS API, `RunTaskRequest.count`.
    pub tasks: Tasks,
    /// One for each rung of the capacity ladder.
    pub tokens: Vec<ClientToken>,
}

/// Makes a repeated `RunTask` return the first one's tasks. Source: ECS developer guide,
/// "Ensuring idempotency": at most 64 characters, kept for up to 24 hours a cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientToken(String);

impl ClientToken {
    /// The token of a worker's `call`th call of a tick, on one rung of the ladder.
    pub fn new(marks: (&ScalerName, &WorkerName, &Tick), call: usize, rung: usize) -> Self {
        let (scaler, worker, tick) = marks;
        let name = format!("{scaler}\n{worker}\n{tick}\n{call}\n{rung}");
        Self(hex::encode(Sha256::digest(name)))
    }

    /// 64 characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Revision {
    /// The revision, or the family of one that act is to find or register.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Base(revision) => revision.fmt(f),
            Self::Derived(variant) => variant.family.fmt(f),
        }
    }
}

impl Group {
    /// Tasks in all of its calls.
    pub fn tasks(&self) -> Tasks {
        self.calls.iter().map(|call| call.tasks).sum()
    }

    /// Worker containers in all of its tasks.
    pub fn containers(&self) -> Containers {
        self.tasks().containers(self.containers_per_task)
    }
}

impl Decision {
    /// The messages that the rule is applied to.
    pub fn backlog(&self) -> Messages {
        self.visible.plus(self.held).plus(self.delayed)
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { visible, in_flight, held, delayed, policy, .. } = self;
        write!(f, "{visible} visible + {held}")?;
        if held != in_flight {
            write!(f, " of {in_flight}")?;
        }
        write!(f, " in flight")?;
        if Messages::ZERO < *delayed {
            write!(f, " + {delayed} delayed")?;
        }
        write!(f, " = {}; ", self.backlog())?;
        match policy {
            Policy::MessagesPerContainer(messages) => write!(f, "/ {messages} per container")?,
            Policy::StepsOfTasks(_) | Policy::StepsOfContainers(_) => write!(f, "by steps")?,
            Policy::DrainWithin { target, per_message } => {
                let (work, time) = (per_message.as_secs_f64(), target.as_secs());
                write!(f, "x {work} s per message / {time} s to drain")?;
            }
        }
        self.write_launch(f)
    }
}

impl Decision {
    /// The second half of the sum: from the target to the launch.
    fn write_launch(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, alive, bounds, launch, launch_tasks, .. } = self;
        match target {
            Target::Containers(n) => {
                write!(f, " = {}; - {} alive", counted(n.0, "container"), alive.containers)?;
            }
            Target::Tasks(n) => write!(f, " = {}; - {} alive", counted(n.0, "task"), alive.tasks)?,
        }
        for bound in bounds {
            write!(f, "; {bound}")?;
        }
        write!(f, " = launch {launch}")?;
        match launch_tasks {
            Some(tasks) if Tasks::ZERO < *tasks => write!(f, " in {}", counted(tasks.0, "task")),
            _ => Ok(()),
        }
    }
}

fn counted(n: u32, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MinContainers(n) => write!(f, "minContainers asks for {n}"),
            Self::MaxContainers(n) => write!(f, "maxContainers leaves room for {n}"),
            Self::WaitingMessages(n) => write!(f, "only {n} messages are left for new ones"),
            Self::MaxTasks(n) => write!(f, "maxTasks allows {n}"),
            Self::MaxLaunchPerTick(n) => write!(f, "maxLaunchPerTick allows {n}"),
        }
    }
}

impl fmt::Display for LaunchPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.decision)?;
        for (group, separator) in self.groups.iter().zip(["; ", " + "]) {
            let each = counted(group.containers_per_task.0, "container");
            write!(f, "{separator}{} of {each}", counted(group.tasks().0, "task"))?;
        }
        if let Some(deferred) = &self.deferred {
            write!(f, "; {deferred}")?;
        }
        match self.hourly_price {
            Some((price, region)) => {
                write!(f, "; about {price} an hour (Fargate On-Demand, {region})")
            }
            None => Ok(()),
        }
    }
}

impl fmt::Display for Deferred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { containers, max_tasks, per_task, obstacle } = self;
        write!(f, "{containers} wait for the next tick (maxTasks {max_tasks} x {per_task} a task")?;
        match obstacle {
            Some(obstacle) => write!(f, ": {obstacle})"),
            None => write!(f, ")"),
        }
    }
}

impl fmt::Display for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "nothing waits"),
            Self::Answered(decision) => decision.fmt(f),
        }
    }
}

fn joined(problems: &[Problem]) -> String {
    let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
    problems.join("; ")
}
