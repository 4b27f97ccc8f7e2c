//! What a tick is going to do, and why. Data; its `Display` is in `sentences.rs`. Pure.

mod check;
mod draining;
mod facts;
mod placement;
mod request;
mod sentences;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::config::{Floor, Launch, Pause, Policy, Problem, Rung};
use crate::definition::{Needs, Tag};
use crate::fargate::MicroDollars;
use crate::refusal::Cause;
use crate::snapshot::{Depth, Progress, ReadError, Redrive, WorkerTick};
use crate::units::{
    ClusterName, Containers, Family, Messages, RevisionArn, ScalerName, TaskArn, Tasks, WorkerName,
};
use crate::variant::{Caution, Obstacle, Variant};

pub use check::{Blocked, Check};
pub use draining::{
    Because, DrainPlan, DrainStep, Emptying, HookAnswer, HookOwner, HookPlan, Leaving, NotOurs,
    Reply, StopPlan, TaskPlan, TaskStep,
};
pub use facts::{Allowance, Brake, Facts, Sizes, TaskBound};
pub use placement::{GroupPlaced, InstanceFault, Lack, Pin, PlacementPlan, Symptom, Way};
pub use request::{TaskOverrides, Unfit};

/// What a tick is going to do.
#[must_use = "a plan does nothing until it is carried out"]
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// One entry a worker, in the order of the configuration.
    pub workers: Vec<WorkerPlan>,
    /// Container instances that somebody has to look at; `None` where our own scheduler was not used.
    pub faults: Option<Vec<InstanceFault>>,
    /// The indices of the workers that are launched, in the order in which they are served.
    pub order: Vec<usize>,
    /// How the lifecycle hooks are answered that hold draining instances.
    pub hooks: Vec<HookPlan>,
}

/// What a tick is going to do for one worker.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerPlan {
    /// Its name.
    pub worker: WorkerName,
    /// Its queue, where it could be read.
    pub depth: Option<Depth>,
    /// Its tasks, where they mattered and could be read.
    pub alive: Option<Alive>,
    /// What is wrong around it, although it can be served.
    pub health: Health,
    /// How its queue moves, as far as this tick has seen it; none where the queue was never looked at.
    pub progress: Option<Progress>,
    /// Since when which of its tasks are seen to go on without their workers; `None` where nobody looked.
    pub without_workers: Option<BTreeMap<TaskArn, Timestamp>>,
    /// What a check found, where one was asked for.
    pub check: Option<Check>,
    /// What the arithmetic went by, where there was something to decide.
    pub facts: Option<Box<Facts>>,
    /// What is to be done.
    pub action: Action,
}

/// What a person may have to look at, although the worker is served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Tasks that have not reached RUNNING for too long: no capacity.
    pub stuck: Vec<TaskArn>,
    /// Tasks that go on although their workers have stopped: no capacity.
    pub outlived: Vec<TaskArn>,
    /// Its tasks that other functions have started under the same scaler's name, by function.
    pub of_others: BTreeMap<String, Tasks>,
    /// Why only a canary is started.
    pub breaker: Option<Tripped>,
    /// What becomes of a message that nobody can process.
    pub redrive: Redrive,
    /// Variants that are to be there and are not.
    pub unregistered: Vec<Unregistered>,
    /// What asks for containers again and again that end before a message can be received.
    pub ahead: Option<Eager>,
    /// What ECS has reported since the last look of tasks that it had accepted.
    pub late: Vec<Late>,
}

/// What asks for containers while no message can be received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eager {
    /// `minContainers`
    Minimum,
    /// `countDelayed`
    Delayed,
}

/// Tasks that ECS accepted and could not start after all, through no fault of the worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Late {
    /// What it means.
    pub cause: Cause,
    /// ECS's words.
    pub reason: String,
    /// The capacity that had accepted them.
    pub on: String,
    /// How many.
    pub tasks: Tasks,
}

/// A variant that may not be registered, and is not there as it would have to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unregistered {
    /// Its family.
    pub family: Family,
    /// What that has, derived from another base or in another way.
    pub newest: Option<RevisionArn>,
    /// The base that it would have to be derived from.
    pub base: RevisionArn,
}

/// An open circuit breaker: the last tasks ended without running well, and none did since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tripped {
    /// How many in a row, as far as they are known.
    pub failures: Tasks,
    /// What the last one ended with.
    pub last: String,
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
    /// What is alive answers the backlog, or a bound is reached.
    Answered(Box<Decision>),
    /// An earlier delivery of this tick, or a later tick, has started tasks already.
    Superseded,
    /// The operator wants nothing started; nothing else was read.
    Paused(Pause),
}

/// What only a person can mend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The configuration.
    #[error("refused by the configuration: {}", sentences::joined(.0))]
    Config(Vec<Problem>),
    /// The task definition.
    #[error(transparent)]
    Definition(#[from] Obstacle),
    /// What its `launch` says of its tasks.
    #[error(transparent)]
    Launch(#[from] Unfit),
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
    /// Of these, the ones of tasks that have not reached RUNNING for too long. They are no
    /// capacity, and still count under `maxContainers`.
    pub stuck: Containers,
    /// Of these, the ones that have run for minutes without a message, though messages wait. They are
    /// no capacity either, and still count under `maxContainers`.
    pub idle: Containers,
    /// Of these, the ones that have stopped in tasks that go on without them for a minute or more.
    /// They are no capacity, and still count under `maxContainers`.
    pub outlived: Containers,
    /// The tasks that are stuck.
    #[serde(skip)]
    pub stuck_tasks: Tasks,
    /// Of the ones that run and are not idle, those beyond what the messages in flight can occupy, at all
    /// looks of the last minute: they become idle if that goes on.
    #[serde(skip)]
    pub doubted: Containers,
    /// Of the containers, the ones that nobody has seen: a call without an answer may have started
    /// them.
    #[serde(skip)]
    pub presumed: Containers,
}

impl Alive {
    /// The containers that answer messages, now or soon.
    pub fn capacity(&self) -> Containers {
        self.containers.minus(self.stuck).minus(self.idle).minus(self.outlived)
    }

    /// The containers that are on their way.
    pub fn starting(&self) -> Containers {
        self.containers.minus(self.stuck).minus(self.running).minus(self.outlived)
    }
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
    /// Containers that the packing gives each task, where the rule counts tasks; else one.
    pub each: Containers,
    /// What is kept at this time even when nothing waits.
    pub minimum: Floor,
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    /// `minContainers` asks for more.
    MinContainers {
        /// So many more than are alive.
        containers: Containers,
        /// The window that asks for them.
        window: Option<String>,
    },
    /// `maxContainers` leaves room for this many.
    MaxContainers(Containers),
    /// So many visible messages are left to those that are not started yet: more containers would
    /// find nothing to do.
    WaitingMessages(Messages),
    /// `packing.maxTasks`, where the rule counts tasks.
    MaxTasks(Tasks),
    /// `maxLaunchPerTick`
    MaxLaunchPerTick(Containers),
    /// The circuit breaker is open: so many, of which none may be starting yet.
    Canary(Containers),
    /// What moved since the last launches allows no more.
    Progress {
        /// So many are owed, and held back.
        held_back: Containers,
        /// To how many, or until when.
        by: HeldBack,
    },
    /// A registry has had too many pulls: the next launch waits so long.
    Registry(Duration),
    /// No message can be received, and what was started ahead of messages has ended by itself: the next
    /// waits so long.
    Ahead(Duration),
}

/// How what moved since the last launches holds the next one back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldBack {
    /// To so many containers.
    ByCredit(Containers),
    /// To one, which shows whether messages move again.
    ToOne,
    /// Until so many containers have shown what they do.
    UntilJudged(Containers),
    /// For so long; then one is started.
    For(Duration),
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
    /// Where the definition can run.
    pub runs_on: RunsOn,
    /// How our tasks are known.
    pub marks: Marks,
    /// One or two groups of tasks.
    pub groups: Vec<Group>,
    /// Tasks of one container, for those of several that ECS has no room for; asked for only where it
    /// answers so. So many at most, those that are placed of the others among them.
    pub smaller: Option<Group>,
    /// Where the tasks go, where our own scheduler places them.
    pub placement: Option<PlacementPlan>,
    /// Containers that are owed and wait for the next tick.
    pub deferred: Option<Deferred>,
    /// Rungs that are not asked, because they ran short after they had accepted tasks.
    pub left_out: Vec<LeftOut>,
    /// About what an hour of these tasks costs, on Fargate.
    pub price: Option<Price>,
    /// Why there are several containers a task, where what they cost decides.
    pub several: Option<Several>,
    /// What somebody should know of the definitions that are derived.
    pub cautions: Vec<Caution>,
    /// Its tasks that pull the watcher's image from ECR Public.
    pub public_pulls: Tasks,
    /// Tasks that were there before: a replayed call may name them again.
    pub known: BTreeSet<TaskArn>,
}

/// About what an hour of tasks costs on Fargate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// Of all of them.
    pub hourly: MicroDollars,
    /// The Region of the price list.
    pub region: &'static str,
    /// What as many containers would cost in tasks of one, where that is less.
    pub singles: Option<MicroDollars>,
}

/// Why there are several containers a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Several {
    /// They cost at least a tenth less.
    Cheaper,
    /// They cost the same, and these would be more tasks than can be started at once.
    AtOnce(Tasks),
    /// They cost the same, and these would be more tasks than may be started.
    Bounded {
        /// So many.
        tasks: Tasks,
        /// What may be started.
        most: Tasks,
    },
    /// They cost the same, and the network has no address for more tasks.
    Addresses,
}

/// A rung of the ladder that is left out for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Which one.
    pub rung: Rung,
    /// What it was short of.
    pub cause: Cause,
    /// How long from now.
    pub wait: Duration,
}

/// Whether `RunTask` takes a network configuration for the definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkMode {
    /// It does.
    AwsVpc,
    /// It does not.
    Other,
}

/// Where a definition can run, as far as it says itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunsOn {
    /// On Fargate and nowhere else.
    Fargate,
    /// On instances, on Fargate perhaps too.
    Anything,
}

/// What a task carries so that we know it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks {
    /// `startedBy`
    pub scaler: ScalerName,
    /// `group`, which names the worker.
    pub group: String,
    /// Worker, tick, container and plan, and what the operator adds.
    pub tags: Vec<Tag>,
}

/// Containers that are owed and not started, and what would have to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deferred {
    /// How many.
    pub containers: Containers,
    /// Tasks that may be started.
    pub tasks: Tasks,
    /// What bounds them.
    pub bound: TaskBound,
    /// Containers a task may have.
    pub per_task: Containers,
    /// Why a task has no more, where the definition says so.
    pub obstacle: Option<Obstacle>,
}

/// Tasks with the same number of worker containers.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// What they run.
    pub revision: Revision,
    /// Worker containers in each.
    pub containers_per_task: Containers,
    /// What an instance must have for one, where our own scheduler places them.
    pub needs: Option<Needs>,
    /// What each has otherwise than its definition says.
    pub overrides: Option<TaskOverrides>,
    /// The calls that start them.
    pub calls: Vec<Call>,
}

/// The task definition that a group runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Revision {
    /// The operator's own, or a derived one that was registered before.
    Registered(RevisionArn),
    /// A derived one, and what is left to do for it.
    Derived(Box<Variant>, Search),
}

/// What is left to do for a derived revision before it can be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Search {
    /// Nothing: this one is it.
    Found(RevisionArn),
    /// It is not there: it is registered, and supersedes this one.
    Missing(Option<RevisionArn>),
    /// It is looked for, and registered where it is missing.
    Open,
}

/// One call that starts tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its number among the worker's calls, from zero.
    pub number: usize,
    /// One to ten. Source: ECS API, `RunTaskRequest.count`.
    pub tasks: Tasks,
    /// By which API.
    pub way: Way,
}

/// Makes a repeated `RunTask` return the first one's tasks. Source: ECS developer guide,
/// "Ensuring idempotency": at most 64 characters, kept for up to 24 hours a cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientToken(String);

impl ClientToken {
    /// The token of a worker's `call`th call of a tick, on one rung of the ladder.
    pub fn new(part: WorkerTick<'_>, call: usize, rung: usize) -> Self {
        let WorkerTick { scaler, worker, tick } = part;
        let name = format!("{scaler}\n{worker}\n{tick}\n{call}\n{rung}");
        Self(hex::encode(Sha256::digest(name)))
    }

    /// 64 characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl WorkerPlan {
    /// Where it is to be done, if anywhere.
    pub fn cluster(&self) -> Option<&ClusterName> {
        match &self.action {
            Action::Launch(launch) => Some(&launch.cluster),
            Action::Idle(_) | Action::Hold(_) | Action::Refuse(_) => None,
        }
    }

    /// A plan of which nothing is known yet.
    pub fn new(worker: &WorkerName) -> Self {
        Self {
            worker: worker.clone(),
            depth: None,
            alive: None,
            health: Health::default(),
            progress: None,
            without_workers: None,
            check: None,
            facts: None,
            action: Action::NONE,
        }
    }
}

impl LaunchPlan {
    /// The tasks of its groups.
    pub fn tasks(&self) -> Tasks {
        self.groups.iter().map(Group::tasks).sum()
    }

    /// What it starts and about what that costs, without how it comes to that.
    pub fn in_short(&self) -> String {
        sentences::in_short(self)
    }

    /// Its tasks by their containers, the largest first.
    pub fn sizes(&self) -> Vec<(Containers, Tasks)> {
        let mut sizes = BTreeMap::<_, Tasks>::new();
        for group in &self.groups {
            let tasks = sizes.entry(group.containers_per_task).or_default();
            *tasks = tasks.plus(group.tasks());
        }
        sizes.into_iter().rev().collect()
    }

    /// Whether its tasks start on Fargate, as far as that is known.
    pub fn is_on_fargate(&self) -> bool {
        let is_fargate = |rung: &Rung| match rung.is_fargate() {
            Some(is_fargate) => is_fargate,
            None => self.runs_on == RunsOn::Fargate,
        };
        self.launch.rungs.iter().any(is_fargate)
    }
}

impl Group {
    /// Leaves calls for so many tasks at most, the first of them.
    pub fn trim(&mut self, most: Tasks) {
        let mut left = most;
        for call in &mut self.calls {
            call.tasks = call.tasks.min(left);
            left = left.minus(call.tasks);
        }
        self.calls.retain(|call| call.tasks != Tasks::ZERO);
    }

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

    /// What the rule asks for, in containers.
    pub fn target_containers(&self) -> Containers {
        match self.target {
            Target::Containers(containers) => containers,
            Target::Tasks(tasks) => tasks.containers(self.each),
        }
    }

    /// What the minimum asks for beyond what is alive.
    pub fn floor(&self) -> Containers {
        self.minimum.containers.minus(self.alive.capacity())
    }

    /// Containers that are owed and held back because too little moved since the last launches.
    pub fn held_back(&self) -> Containers {
        let held_back = self.bounds.iter().map(|bound| match bound {
            Bound::Progress { held_back, .. } => *held_back,
            _ => Containers::ZERO,
        });
        held_back.sum()
    }

    /// The bounds that what is launched comes up to. A cap that would have left room for fewer than are
    /// owed is not reached where the breaker, the brake or another cap allows fewer still.
    pub fn reached(&self) -> impl Iterator<Item = &Bound> {
        let is_reached = |bound: &&Bound| match bound {
            Bound::MaxContainers(most) | Bound::MaxLaunchPerTick(most) => *most <= self.launch,
            Bound::MaxTasks(most) => self.launch_tasks.is_none_or(|tasks| *most <= tasks),
            Bound::MinContainers { .. }
            | Bound::WaitingMessages(_)
            | Bound::Canary(_)
            | Bound::Progress { .. }
            | Bound::Ahead(_)
            | Bound::Registry(_) => true,
        };
        self.bounds.iter().filter(is_reached)
    }

    /// Whether a bound of the operator keeps containers from messages that wait.
    pub fn at_cap(&self) -> bool {
        let is_cap = |bound: &Bound| match bound {
            Bound::MaxContainers(_) | Bound::MaxTasks(_) | Bound::MaxLaunchPerTick(_) => true,
            Bound::MinContainers { .. }
            | Bound::WaitingMessages(_)
            | Bound::Canary(_)
            | Bound::Progress { .. }
            | Bound::Ahead(_)
            | Bound::Registry(_) => false,
        };
        let waiting = self.visible.plus(self.delayed);
        waiting != Messages::ZERO && self.reached().any(is_cap)
    }
}
