//! What the operator asked for: parsed once, checked, mistakes explained.
//!
//! A mistake in one worker refuses that worker and no other; a
//! mistake in what all share refuses the file. Either way every mistake is reported at once.

mod discovery;
mod draining;
mod form;
mod minimum;
mod names;
mod overrides;
mod parse;
mod pause;
mod placement;
mod query;
mod queue;
mod reader;
mod shape;
mod volumes;
mod written;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use crate::document;
use crate::fargate::TaskSize;
use crate::units::{
    ClusterName, Containers, CpuUnits, Messages, ScalerName, TaskDefinitionRef, Tasks, WorkerName,
};

pub(crate) use form::{Boolean, Form, Special, Text, Whole, Wrong};
pub(crate) use parse::{MOST_CONTAINERS, WORKERS};
pub(crate) use reader::{Fields, ListOf, Reading};

pub use crate::document::{Document, Position, Problem};
pub use discovery::{Discover, TaggedQueue};
pub use draining::{Draining, OnDrain};
pub use minimum::{Floor, Minimum, Window};
pub use overrides::{ContainerOverride, Filler, Filling, Overrides, Template, Variable};
pub use parse::document;
pub use pause::Pause;
pub use placement::{By, Counted, Placement, Rule};
pub use queue::{QueueId, QueueRef};
pub use reader::nearest;
pub use shape::{Shape, shape};
pub use volumes::{EbsVolume, TagSpecification, TerminationPolicy, VolumeConfiguration, VolumeTag};
pub use written::read_settings;

/// The most bytes that are read. A configuration for a thousand workers is well below this.
pub const LARGEST: usize = 1 << 20;

/// A checked configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The workers that can be served, in the order of the file, and then those that are discovered,
    /// in the order of their queues' ARNs.
    pub workers: Vec<Worker>,
    /// Which of them are discovered.
    pub discovered: BTreeSet<WorkerName>,
    /// The workers that cannot, and why.
    pub refused: Vec<Refused>,
    /// What somebody may mean, and most do not.
    pub warnings: Vec<Problem>,
    /// The bounds of a tick over all workers.
    pub limits: Limits,
    /// What becomes metrics.
    pub metrics: Metrics,
    /// How long it is used before its source is checked for a change.
    pub refresh: Duration,
    /// Which queues are workers by their tags.
    pub discover: Option<Discover>,
    /// What is done for an EC2 instance that is about to go away.
    pub draining: Draining,
    /// What the scaler was called before: tasks that were started under these names are its own.
    pub previous_names: Vec<ScalerName>,
}

/// What of a tick becomes metrics, which cost money: one for each worker and name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Metrics {
    /// Every worker at every tick.
    All,
    /// A worker while it has messages or tasks, or needs somebody to look; and every tick.
    #[default]
    Busy,
    /// Nothing.
    Off,
}

/// The bounds of a tick over all workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Tasks that one tick may start.
    pub tasks_per_tick: Tasks,
    /// Tasks that may be started within an hour.
    pub tasks_per_hour: Tasks,
    /// With less than this left of the invocation's time, no call is started.
    pub deadline_margin: Duration,
    /// A schedule's event that is older is refused: it would act for a time that is gone.
    pub max_event_age: Duration,
    /// A schedule's invocation looks again after so long, until its time is up. Whole seconds.
    pub poll_every: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tasks_per_tick: Tasks(1000),
            tasks_per_hour: Tasks(30_000),
            deadline_margin: Duration::from_secs(5),
            max_event_age: Duration::from_mins(5),
            poll_every: None,
        }
    }
}

/// A worker whose part of the configuration is wrong: nothing is done for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Its name, or its path in the file where it has no usable name.
    pub worker: WorkerName,
    /// What it was called before, as far as that can be read: its tasks are somebody's all the same.
    pub previous_names: Vec<WorkerName>,
    /// Everything that is wrong with it.
    pub problems: Vec<Problem>,
}

/// A configuration that cannot be used at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the configuration has {}:\n{}", counted(.0), lines(.0))]
pub struct ConfigError(pub Vec<Problem>);

/// A kind of worker: a queue, and the task definition whose container empties it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    /// Unique in the configuration.
    pub name: WorkerName,
    /// The queue it empties.
    pub queue: QueueRef,
    /// Where its tasks run.
    pub cluster: ClusterName,
    /// What they run.
    pub task_definition: TaskDefinitionRef,
    /// The container that is cloned; `None` where the definition has only one.
    pub container: Option<String>,
    /// How many containers a backlog asks for.
    pub scaling: Scaling,
    /// How containers become tasks.
    pub packing: Packing,
    /// What each `RunTask` call says beside the task definition.
    pub launch: Launch,
    /// What becomes of its tasks on an EC2 instance that goes away.
    pub on_drain: OnDrain,
    /// Whether nothing is started for it, and for how long.
    pub paused: Option<Pause>,
    /// What it was called before: tasks that were started under these names are its own.
    pub previous_names: Vec<WorkerName>,
}

impl Worker {
    /// The pause that it is in at this instant.
    pub fn pause(&self, now: Timestamp) -> Option<&Pause> {
        self.paused.as_ref().filter(|pause| pause.is_on(now))
    }
}

/// How many containers a backlog asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scaling {
    /// The rule from backlog to target.
    pub policy: Policy,
    /// Containers that are kept even when the queue is empty.
    pub min_containers: Minimum,
    /// Containers that are never exceeded.
    pub max_containers: Containers,
    /// Whether the operator has written `maxContainers`.
    pub max_is_written: bool,
    /// Containers that one tick may start.
    pub max_launch_per_tick: Option<Containers>,
    /// Messages that one running container may hold in flight.
    pub in_flight_per_container: Messages,
    /// Whether delayed messages count as backlog.
    pub delayed: Delayed,
    /// A task of which no worker container runs by then no longer counts as capacity.
    pub stuck_after: Duration,
    /// A container that has held no message for so long, though messages wait, no longer counts as
    /// capacity;
    /// none: it always is.
    pub idle_after: Option<Duration>,
    /// How long a message should wait at most: for people, and for an alarm on the queue. No decision
    /// depends on it.
    pub wait_within: Option<Duration>,
    /// What repeated failures of its tasks lead to.
    pub breaker: Breaker,
    /// What launches lead to after which no message moves.
    pub progress_brake: ProgressBrake,
}

/// What launches of a worker lead to after which no message moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProgressBrake {
    /// Fewer containers, down to one now and then, until messages move again.
    #[default]
    On,
    /// Nothing.
    Off,
}

/// What repeated failures of a worker's tasks lead to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Breaker {
    /// One canary at a time, until one runs well.
    #[default]
    On,
    /// Nothing.
    Off,
}

/// What delayed messages mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delayed {
    /// They count when they become visible.
    Ignored,
    /// They count as if they were visible, so that workers are warm when they are.
    Counted,
}

/// The rule from backlog to target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Policy {
    /// So many messages a container, rounded up.
    MessagesPerContainer(Messages),
    /// From this depth on, so many tasks. Depths ascend.
    StepsOfTasks(Vec<(Messages, Tasks)>),
    /// From this depth on, so many containers. Depths ascend.
    StepsOfContainers(Vec<(Messages, Containers)>),
    /// As many as empty the queue in `target`, one message taking `per_message`.
    EmptyWithin {
        /// When the queue is to be empty.
        target: Duration,
        /// How long one container works on one message.
        per_message: Duration,
    },
}

/// How containers become tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packing {
    /// Few large tasks or many small ones.
    pub strategy: Strategy,
    /// The most containers in a task that the operator allows; `None`: what the definition allows.
    pub max_containers_per_task: Option<Containers>,
    /// The only counts of containers a task there may be, where `registration` is off; `None`: what a count
    /// needs is registered. A task of one container runs the base and needs nothing.
    pub registered_sizes: Option<Vec<Containers>>,
    /// Tasks that one tick may start, where the worker has a bound of its own.
    pub max_tasks: Option<Tasks>,
    /// The largest Fargate task, where 32 vCPU are not to be had or not wanted.
    pub max_task_cpu: CpuUnits,
    /// When a task of several containers ends.
    pub completion: Completion,
    /// The image of the watcher that ends a task with its last worker container.
    pub watcher: Watcher,
    /// What others put into every task: no clone's.
    pub reserve: TaskSize,
    /// Whether clones map no ports, whatever the worker does.
    pub drop_port_mappings: bool,
}

/// The image of the watcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watcher {
    /// One with a shell, `wget`, `awk` and `timeout`.
    Image(String),
    /// The worker's own, which has all of these.
    OfWorker,
}

impl Watcher {
    /// A few megabytes of shell, `wget` and `awk`, from a registry without pull limits of its own: AWS
    /// bounds the pulls of an account there.
    pub const DEFAULT: &str = "public.ecr.aws/docker/library/busybox:1.37";

    /// Whether the image comes from ECR Public.
    pub fn is_public(&self) -> bool {
        matches!(self, Self::Image(image) if image.starts_with("public.ecr.aws/"))
    }
}

impl From<String> for Watcher {
    fn from(image: String) -> Self {
        if image == "worker" { Self::OfWorker } else { Self::Image(image) }
    }
}

/// Few large tasks or many small ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// As few containers a task as `maxTasks` allows.
    Spread,
    /// As many containers a task as are allowed.
    Dense,
    /// One container a task, unless more cost a tenth less.
    Cheapest,
}

/// When a task of several worker containers ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completion {
    /// With its last worker container: no job is cut short by another's end.
    All,
    /// With its first: every clone stays essential.
    Any,
}

/// What each `RunTask` call says beside the task definition, in `RunTask`'s own words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Launch {
    /// The capacity ladder: what a rung cannot place is tried on the next. Never empty.
    pub rungs: Vec<Rung>,
    /// Sent where tasks may run on Fargate; unset means `LATEST`.
    pub platform_version: Option<String>,
    /// Sent with definitions of the `awsvpc` network mode, which all others refuse.
    pub network: Option<AwsVpc>,
    /// At most ten, not on Fargate.
    pub placement_constraints: Vec<PlacementConstraint>,
    /// At most five, not on Fargate.
    pub placement_strategy: Vec<PlacementStrategy>,
    /// Our own scheduler instead of ECS's, on EC2 only.
    pub placement: Option<Placement>,
    /// Whether ECS adds `aws:ecs:clusterName` to the task.
    pub enable_ecs_managed_tags: bool,
    /// Whether `ecs execute-command` may enter the task.
    pub enable_execute_command: bool,
    /// Whether tasks get the tags of their task definition.
    pub propagate_tags: PropagateTags,
    /// Tags of tasks beside our own.
    pub tags: BTreeMap<String, String>,
    /// The EBS volume that each task gets; at most one.
    pub volumes: Vec<VolumeConfiguration>,
    /// What tasks have otherwise than their definition says.
    pub overrides: Option<Overrides>,
}

/// Where the tags of a task come from, beside our own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PropagateTags {
    /// From nowhere.
    #[default]
    No,
    /// From the task definition.
    TaskDefinition,
}

/// One rung of the capacity ladder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rung {
    /// The cluster's own default strategy.
    ClusterDefault,
    /// `launchType`: `FARGATE`, `EC2` or `EXTERNAL`.
    LaunchType(String),
    /// A capacity provider of the cluster, such as `FARGATE_SPOT`.
    CapacityProvider(String),
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClusterDefault => f.write_str("the cluster's default capacity"),
            Self::LaunchType(name) | Self::CapacityProvider(name) => f.write_str(name),
        }
    }
}

impl Rung {
    /// Whether tasks of this rung run on Fargate; `None` where only the cluster knows.
    pub fn is_fargate(&self) -> Option<bool> {
        match self {
            Self::ClusterDefault => None,
            Self::LaunchType(name) => Some(name == "FARGATE"),
            Self::CapacityProvider(name) => {
                Some(matches!(name.as_str(), "FARGATE" | "FARGATE_SPOT"))
            }
        }
    }

    /// Whether tasks of this rung run on Fargate Spot.
    pub fn is_spot(&self) -> bool {
        matches!(self, Self::CapacityProvider(name) if name == "FARGATE_SPOT")
    }
}

/// `awsvpcConfiguration`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsVpc {
    /// 1 to 16, all of one VPC.
    pub subnets: Vec<String>,
    /// At most 5; none means the VPC's default group.
    pub security_groups: Vec<String>,
    /// Always sent: the API documents a default for services only.
    pub assign_public_ip: PublicIp,
}

/// `assignPublicIp`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PublicIp {
    /// `ENABLED`
    Enabled,
    /// `DISABLED`
    #[default]
    Disabled,
}

/// One of `placementConstraints`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacementConstraint {
    /// `distinctInstance` or `memberOf`.
    pub kind: String,
    /// What `memberOf` asks, in the cluster query language.
    pub expression: Option<String>,
}

/// One of `placementStrategy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacementStrategy {
    /// `random`, `spread` or `binpack`.
    pub kind: String,
    /// What to spread over or pack by.
    pub field: Option<String>,
}

fn counted(problems: &[Problem]) -> String {
    match document::counted(problems) {
        1 => "1 problem".to_owned(),
        n => format!("{n} problems"),
    }
}

fn lines(problems: &[Problem]) -> String {
    let lines: Vec<_> = problems.iter().map(|problem| format!("  {problem}")).collect();
    lines.join("\n")
}
