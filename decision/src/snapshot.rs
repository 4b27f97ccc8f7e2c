//! The world as read once: queues, tasks, task definitions. Pure data.
//!
//! What could not be read is in it as an error, where the value would be. It never looks like zero.

mod draining;
mod instances;
mod progress;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use crate::definition::TaskDefinition;
use crate::event::Tick;
use crate::fargate::{Platform, TaskSize};
use crate::refusal::Cause;
use crate::units::{
    ClusterName, Family, GibiBytes, InstanceArn, Messages, Region, RevisionArn, ScalerName,
    TaskArn, TaskDefinitionRef, Tasks, WorkerName,
};

pub use draining::{Held, Mark, Registration, Sought, Standing, TaskThere, Untaggable};
pub use instances::{Instance, Instances, Resources};
pub use progress::{Ahead, Idling, Progress, Started, TaskSeen};

/// All that a decision may depend on beside the configuration.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Whose tick this is.
    pub scaler: ScalerName,
    /// Which tick this is.
    pub tick: Tick,
    /// Which delivery of it: no other has this name.
    pub delivery: String,
    /// Which function this is.
    pub function: String,
    /// Whether everything is looked at that a launch would need, also where none is due.
    pub checks: bool,
    /// When it began.
    pub now: Timestamp,
    /// Where we are, for the price list.
    pub region: Region,
    /// Every worker's queue.
    pub queues: BTreeMap<WorkerName, Read<Queue>>,
    /// Their URLs, as far as the queues were read.
    pub urls: BTreeMap<WorkerName, String>,
    /// Our tasks, for every cluster that could matter.
    pub tasks: BTreeMap<ClusterName, Read<ClusterTasks>>,
    /// The container instances of the clusters where our own scheduler places something.
    pub instances: BTreeMap<ClusterName, Read<Instances>>,
    /// Since when this process sees instances without a connected agent.
    pub disconnected: BTreeMap<InstanceArn, Timestamp>,
    /// Instances that refused a task of a worker in the last minutes.
    pub refusals: BTreeMap<WorkerName, BTreeSet<InstanceArn>>,
    /// Instances on which a task was placed, or may have been, since the tasks were read.
    pub placed_on: BTreeSet<InstanceArn>,
    /// The draining instances that lifecycle hooks of ours hold, by cluster; empty where the
    /// configuration names no hook, or a tick does not answer them.
    pub held: BTreeMap<ClusterName, Read<Vec<Held>>>,
    /// The base definitions that could matter.
    pub definitions: BTreeMap<TaskDefinitionRef, Read<TaskDefinition>>,
    /// The derived families of which something is known.
    pub derived: BTreeMap<Family, Newest>,
    /// The tasks that this process started within the last hour, by cluster: whatever is read now.
    pub launched: BTreeMap<ClusterName, Tasks>,
    /// What this process knows of earlier ticks.
    pub memories: BTreeMap<WorkerName, WorkerMemory>,
}

/// Which tick it is, whose, and when.
#[derive(Clone, Copy, Debug)]
pub struct TickContext<'a> {
    /// `SCALER_NAME`
    pub scaler: &'a ScalerName,
    /// What names the tick.
    pub tick: &'a Tick,
    /// Which delivery of it.
    pub delivery: &'a str,
    /// The name of the Lambda function.
    pub function: &'a str,
    /// Whether everything is looked at that a launch would need, also where none is due.
    pub checks: bool,
    /// When it began.
    pub now: Timestamp,
    /// Whether it answers lifecycle hooks: of an invocation's several ticks one does.
    pub answers_hooks: bool,
    /// Whether another process may start tasks under the same name meanwhile.
    pub may_overlap: bool,
}

/// A worker's part of a tick, which every call is named after.
#[derive(Clone, Copy, Debug)]
pub struct WorkerTick<'a> {
    /// `SCALER_NAME`
    pub scaler: &'a ScalerName,
    /// The worker.
    pub worker: &'a WorkerName,
    /// What names the tick.
    pub tick: &'a Tick,
}

impl Snapshot {
    /// A worker's part of this tick.
    pub fn worker_tick<'a>(&'a self, worker: &'a WorkerName) -> WorkerTick<'a> {
        WorkerTick { scaler: &self.scaler, worker, tick: &self.tick }
    }

    /// The same tick, with nothing read.
    #[must_use]
    pub fn blank(&self) -> Self {
        let context = TickContext {
            scaler: &self.scaler,
            tick: &self.tick,
            delivery: &self.delivery,
            function: &self.function,
            checks: self.checks,
            now: self.now,
            answers_hooks: false,
            may_overlap: false,
        };
        Self::unread(context, self.region.clone())
    }

    /// A world of which nothing was read yet.
    pub fn unread(context: TickContext<'_>, region: Region) -> Self {
        let TickContext { scaler, tick, delivery, function, checks, now, .. } = context;
        Self {
            scaler: scaler.clone(),
            tick: tick.clone(),
            delivery: delivery.to_owned(),
            function: function.to_owned(),
            checks,
            now,
            region,
            queues: BTreeMap::new(),
            urls: BTreeMap::new(),
            tasks: BTreeMap::new(),
            instances: BTreeMap::new(),
            disconnected: BTreeMap::new(),
            refusals: BTreeMap::new(),
            placed_on: BTreeSet::new(),
            held: BTreeMap::new(),
            definitions: BTreeMap::new(),
            derived: BTreeMap::new(),
            launched: BTreeMap::new(),
            memories: BTreeMap::new(),
        }
    }

    /// Adds tasks that were started since it was read, and those that may have been.
    pub fn add_started(&mut self, cluster: &ClusterName, tasks: Vec<Task>, presumed: Vec<Task>) {
        let instances = tasks.iter().chain(&presumed).filter_map(|task| task.instance.clone());
        self.placed_on.extend(instances);
        if let Some(Ok(read)) = self.tasks.get_mut(cluster) {
            read.alive.extend(tasks);
            read.presumed.extend(presumed);
        }
    }
}

/// The newest ACTIVE revision of a derived family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Newest {
    /// As it was in an earlier tick. It is good as long as its digest is the one that is wanted.
    Remembered(DerivedRevision),
    /// As it is now, if there is one.
    Read(Read<Option<DerivedRevision>>),
}

/// A revision of a derived family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DerivedRevision {
    /// ECS's name of the revision.
    pub arn: RevisionArn,
    /// Of its content; none for one that somebody else has registered.
    pub digest: Option<String>,
}

impl DerivedRevision {
    /// Itself, unless somebody else has registered it: then it is not one to be taken away.
    pub fn of_ours(self) -> Option<RevisionArn> {
        self.digest.is_some().then_some(self.arn)
    }

    /// Whether its content is the one of this digest.
    pub fn has(&self, digest: &str) -> bool {
        self.digest.as_deref() == Some(digest)
    }
}

/// What a read gave.
pub type Read<T> = Result<T, ReadError>;

/// A worker's queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// How much is in it.
    pub depth: Depth,
    /// What becomes of a message that nobody can process.
    pub redrive: Redrive,
}

/// What becomes of a message that nobody can process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Redrive {
    /// A redrive policy takes it out of the queue after some attempts.
    #[default]
    Bounded,
    /// It comes back until it expires, and starts a worker each time.
    Endless,
}

/// A queue's depth. Approximate by nature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Depth {
    /// `ApproximateNumberOfMessages`: can be received now.
    pub visible: Messages,
    /// `ApproximateNumberOfMessagesNotVisible`: received and not deleted yet.
    pub in_flight: Messages,
    /// `ApproximateNumberOfMessagesDelayed`: not to be received yet.
    pub delayed: Messages,
}

impl Depth {
    /// All messages of the queue, whatever their state.
    pub fn total(&self) -> Messages {
        self.visible.plus(self.in_flight).plus(self.delayed)
    }
}

/// Our tasks of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterTasks {
    /// The ones that ECS does not want stopped, whatever they have reached.
    pub alive: Vec<Task>,
    /// The ones that ECS wants stopped and that have not come to their end: how they end is not known yet.
    pub leaving: Vec<Task>,
    /// The ones that ended within the last hour, as far as they are known.
    pub ended: Vec<Ended>,
    /// The ones that a call without an answer may have started, and nobody has seen.
    pub presumed: Vec<Task>,
    /// Those of the ended ones of which this process hears for the first time.
    pub news: BTreeSet<TaskArn>,
}

impl ClusterTasks {
    /// Tasks of all workers that were started since then.
    pub fn started_since(&self, then: Timestamp) -> Tasks {
        let there = self.alive.iter().chain(&self.leaving).chain(&self.presumed);
        let there = there.map(|task| task.created);
        let all = there.chain(self.ended.iter().map(|task| task.created));
        Tasks::counted(all.flatten().filter(|created| then <= *created).count())
    }
}

/// A task of ours that ECS does not want stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// ECS's name of the task.
    pub arn: TaskArn,
    /// Whose it is, from its `group`.
    pub worker: WorkerName,
    /// What it runs.
    pub revision: RevisionArn,
    /// Its containers, sidecars too.
    pub containers: Vec<(String, ContainerStatus)>,
    /// When `RunTask` made it, where ECS gives it.
    pub created: Option<Timestamp>,
    /// When it reached RUNNING.
    pub started: Option<Timestamp>,
    /// The scheduled tick that started it, from its tags.
    pub tick: Option<Timestamp>,
    /// What the worker container was called when it was started, from its tags.
    pub container: Option<String>,
    /// The function that started it, from its tags.
    pub function: Option<String>,
    /// Where it stands; none on Fargate, or as long as it is not placed.
    pub instance: Option<InstanceArn>,
    /// By which capacity it was started.
    pub capacity: Capacity,
    /// Whether ECS still looks for capacity for it: it is `PROVISIONING`.
    pub provisioning: bool,
    /// What it has, where ECS says it of the task itself.
    pub shape: Option<TaskShape>,
}

/// What decides the price of a task on Fargate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskShape {
    /// CPU and memory.
    pub size: TaskSize,
    /// Its disk.
    pub storage: GibiBytes,
    /// What it runs on.
    pub platform: Platform,
}

impl Task {
    /// Whether ECS waits until a capacity provider has brought an instance for it.
    pub fn waits_for_instances(&self) -> bool {
        let provider = self.capacity.provider.as_ref();
        self.provisioning && provider.is_some_and(|name| !name.starts_with("FARGATE"))
    }
}

impl Capacity {
    /// Whether that is Fargate's, also by one of its capacity providers.
    pub fn is_fargate(&self) -> bool {
        let of_provider = self.provider.as_deref().is_some_and(|name| name.starts_with("FARGATE"));
        of_provider || self.launch_type.as_deref() == Some("FARGATE")
    }
}

/// The capacity that a task was started by, as ECS gives it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capacity {
    /// `capacityProviderName`, where there is one.
    pub provider: Option<String>,
    /// `launchType`
    pub launch_type: Option<String>,
}

impl fmt::Display for Capacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.provider.as_ref().or(self.launch_type.as_ref());
        f.write_str(name.map_or("capacity that ECS does not name", String::as_str))
    }
}

/// What is known of tasks that ECS does not show yet.
#[derive(Clone, Copy, Debug)]
pub struct Unseen<'a> {
    /// Whose they are.
    pub worker: &'a WorkerName,
    /// What they run.
    pub revision: &'a RevisionArn,
    /// When the call that started them was made.
    pub created: Timestamp,
    /// The scheduled tick that made it.
    pub tick: Option<Timestamp>,
}

impl Unseen<'_> {
    /// One of them, and where it is, if that is known.
    pub fn task(self, arn: TaskArn, instance: Option<InstanceArn>) -> Task {
        Task {
            arn,
            worker: self.worker.clone(),
            revision: self.revision.clone(),
            containers: Vec::new(),
            created: Some(self.created),
            started: None,
            tick: self.tick,
            container: None,
            instance,
            capacity: Capacity::default(),
            function: None,
            provisioning: false,
            shape: None,
        }
    }

    /// Those that a call without an answer may have started, and where each may be.
    pub fn presumed(self, instances: Vec<Option<InstanceArn>>) -> impl Iterator<Item = Task> {
        instances.into_iter().enumerate().map(move |(number, instance)| {
            let arn = TaskArn(format!("task {number} of a call without an answer"));
            self.task(arn, instance)
        })
    }
}

/// A task of ours that has stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// ECS's name of the task.
    pub arn: TaskArn,
    /// Whose it was.
    pub worker: WorkerName,
    /// What it ran.
    pub revision: RevisionArn,
    /// When `RunTask` made it, where ECS gives it.
    pub created: Option<Timestamp>,
    /// When it reached RUNNING, if it ever did.
    pub started: Option<Timestamp>,
    /// When it stopped.
    pub stopped: Timestamp,
    /// `stopCode`, an open text.
    pub code: String,
    /// `stoppedReason`; cut where it gets long.
    pub reason: String,
    /// Its containers, sidecars too.
    pub containers: Vec<EndedContainer>,
    /// The scheduled tick that started it, from its tags.
    pub tick: Option<Timestamp>,
    /// What the worker container was called when it was started, from its tags.
    pub container: Option<String>,
    /// By which capacity it was started.
    pub capacity: Capacity,
}

/// A container of a task that has stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedContainer {
    /// Its name.
    pub name: String,
    /// Its exit code; none for one that never ran.
    pub exit: Option<i32>,
    /// ECS's words for it, where there are any; cut where they get long.
    pub reason: Option<String>,
}

impl Ended {
    /// What its stop means.
    pub fn cause(&self) -> Cause {
        Cause::of_stop(&self.code, &self.reason)
    }

    /// Whether nobody else ended it. What ECS had no room for after all says nothing about the worker
    /// either.
    pub fn by_itself(&self) -> bool {
        self.cause() == Cause::OfWorker
    }
}

/// What a warm function knows of a worker's earlier ticks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkerMemory {
    /// Ticks in a row in which it was owed something and got nothing.
    pub waited: u32,
    /// How its queue moves, once it was looked at.
    pub progress: Option<Progress>,
    /// Since when which of its tasks are seen to go on without their workers.
    pub without_workers: BTreeMap<TaskArn, Timestamp>,
    /// When a call for its tasks was refused last for want of a network interface.
    pub no_interface: Option<Timestamp>,
}

/// How far a container is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContainerStatus {
    /// Anything before `RUNNING`, and anything that is not known here.
    Starting,
    /// `RUNNING`
    Running,
    /// `STOPPED`, and its exit code, if it has one.
    Stopped(Option<i32>),
}

/// Why something could not be read. It holds the workers that need it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// AWS refused, or did not answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// AWS answered with something that cannot be understood or that is not complete.
    #[error("cannot use the answer of {operation}: {what}")]
    Answer {
        /// The call.
        operation: &'static str,
        /// What is wrong with the answer.
        what: String,
    },
    /// We are wrong ourselves.
    #[error("a fault of ecs-queue-scaler itself (a panic, see stderr); please report it")]
    Panic,
    /// A queue, a cluster or a task definition is elsewhere.
    #[error(
        "{what} `{name}` is in {region} and this function in {here}; run a scaler in each Region"
    )]
    OtherRegion {
        /// What it is.
        what: &'static str,
        /// As configured.
        name: String,
        /// Where it is.
        region: String,
        /// Where we are.
        here: String,
    },
    /// The queue was discovered, and is there no more.
    #[error(
        "queue `{queue}` does not exist any more, though it is still listed by its tags; \
         nothing is started for it"
    )]
    Gone {
        /// The queue.
        queue: String,
    },
    /// Two names of one queue.
    #[error("worker `{other}` has the same queue, {url}; both would answer the same messages")]
    SameQueue {
        /// The other worker.
        other: WorkerName,
        /// What both names stand for.
        url: String,
    },
}

/// A call that AWS refused or did not answer, free of anything secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operation} of {subject} failed: {}{message}{}", prefix(.code.as_ref()), suffix(.request_id.as_ref()))]
pub struct CallError {
    /// The API's name of the call.
    pub operation: &'static str,
    /// What it was about.
    pub subject: String,
    /// The API's name of the error, where there was an answer.
    pub code: Option<String>,
    /// What AWS, or the way to it, says.
    pub message: String,
    /// What to quote to AWS.
    pub request_id: Option<String>,
    /// What it means for the call.
    pub kind: ErrorKind,
}

impl CallError {
    /// What AWS means by it; [`Cause::Other`] where AWS has not said anything.
    pub fn cause(&self) -> Cause {
        Cause::of_error(self.code.as_deref().unwrap_or_default(), &self.message)
    }
}

/// What an error says about the call that it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Nothing was done, and asking again would not help.
    Refused,
    /// Nothing was done, and asking again later may help.
    Later,
    /// It may have been done: the answer is missing.
    Unanswered,
    /// It was not sent: the tick's time was up.
    OutOfTime,
}

fn prefix(code: Option<&String>) -> String {
    code.map(|code| format!("{code}: ")).unwrap_or_default()
}

fn suffix(request_id: Option<&String>) -> String {
    request_id.map(|id| format!(" (request {id})")).unwrap_or_default()
}
