//! Reads what a decision needs, and no more. Changes nothing.
//!
//! Each worker goes its own way: its queue; then, if it can be owed something, its cluster's tasks
//! (listed, described) and beside them its base definition and the derived revisions that it will
//! need. What workers share is read once, for whoever comes first. The instances that lifecycle hooks
//! hold are read beside all this. A read that fails stays in the snapshot as an error.

mod draining;
mod once;
mod instances;
mod renamed;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt, stream};

pub use self::draining::{NoticeContext, look, seek};
use self::instances::InstanceReads;
pub(crate) use self::once::Once;
use self::renamed::Renamed;
use crate::aws::{QueueRead, ReadCloud};
use crate::ledger::Ledger;
use decision::config::{Config, QueueRef, Worker};
use decision::decide::{can_owe, foresee};
use decision::definition::TaskDefinition;
use decision::refusal::Cause;
use decision::snapshot::{
    ClusterTasks, DerivedRevision, Newest, Queue, Read, ReadError, Snapshot, TickContext,
};
use decision::units::{
    ClusterName, Family, Messages, Region, ScalerName, TaskDefinitionRef, WorkerName,
};

/// Workers that are read at once: enough to hide the latency of a thousand, few enough connections
/// for a small function.
const AT_ONCE: usize = 64;

/// Reads the world for one tick, and adds what this process remembers of earlier ones.
pub async fn observe(
    cloud: &ReadCloud,
    config: &Config,
    ledger: &Ledger,
    context: TickContext<'_>,
) -> Snapshot {
    ledger.memory().begin(context.now);
    cloud.hide_overrides(config);
    let reads = Reads {
        cloud,
        ledger,
        context,
        scalers: config.scalers(context.scaler),
        renamed: Renamed::of(config),
        tasks: Once::default(),
        definitions: Once::default(),
        derived: Once::default(),
        instances: InstanceReads::new(cloud),
    };
    let queues = stream::iter(&config.workers)
        .map(async |worker| (worker.name.clone(), reads.of(worker).await))
        .buffer_unordered(AT_ONCE)
        .collect();
    let held = Box::pin(draining::held(&reads, config));
    let (queues, held) = futures_util::join!(queues, held);
    let urls = urls(&queues);
    let memory = ledger.memory();
    let remembered = memory.derived().into_iter();
    let remembered = remembered.map(|(family, known)| (family, Newest::Remembered(known)));
    let read = reads.derived.into_read().into_iter();
    let read = read.map(|(family, newest)| (family, Newest::Read(newest)));
    Snapshot {
        urls,
        queues: confirmed(alone_with_their_queues(queues, cloud.region()), config),
        tasks: in_words(cloud, reads.tasks.into_read()),
        instances: reads.instances.into_read(),
        disconnected: memory.disconnected(context.now),
        held,
        refusals: reads.renamed.memories(memory.refusals(context.now)),
        definitions: reads.definitions.into_read(),
        derived: remembered.chain(read).collect(),
        launched: memory.launched(context.now),
        memories: reads.renamed.memories(memory.workers()),
        ..Snapshot::unread(context, cloud.region().clone())
    }
}

/// What was read before the definitions is redacted by what they have to hide, too.
fn in_words(
    cloud: &ReadCloud,
    tasks: BTreeMap<ClusterName, Read<ClusterTasks>>,
) -> BTreeMap<ClusterName, Read<ClusterTasks>> {
    let redacted = |read: ClusterTasks| ClusterTasks { ended: cloud.in_words(read.ended), ..read };
    tasks.into_iter().map(|(cluster, read)| (cluster, read.map(redacted))).collect()
}

/// What can be done before the first tick: the queues' URLs are found, which a tick of a warm function
/// knows, and the first connections are open. Where no URL has to be found, one depth is read for the
/// connection's sake. Nothing is lost when it fails: the tick reads again, and reports.
pub async fn get_ready(cloud: &ReadCloud, workers: &[Worker]) {
    let named = workers.iter().filter(|worker| !matches!(worker.queue, QueueRef::Url(_)));
    let found = stream::iter(named)
        .map(async |worker| apart(cloud.queue_url(&worker.queue)).await)
        .buffer_unordered(AT_ONCE)
        .count()
        .await;
    if let (0, Some(worker)) = (found, workers.first()) {
        drop(apart(cloud.queue(&worker.queue)).await);
    }
}

/// What the workers of a tick share.
struct Reads<'a> {
    cloud: &'a ReadCloud,
    ledger: &'a Ledger,
    context: TickContext<'a>,
    scalers: Vec<ScalerName>,
    renamed: Renamed,
    tasks: Once<ClusterName, ClusterTasks>,
    definitions: Once<TaskDefinitionRef, TaskDefinition>,
    derived: Once<Family, Option<DerivedRevision>>,
    instances: InstanceReads<'a>,
}

impl Reads<'_> {
    async fn of(&self, worker: &Worker) -> Read<QueueRead> {
        self.cloud.serves(worker)?;
        let read = apart(self.cloud.queue(&worker.queue)).await;
        let owes = |read: &QueueRead| can_owe(worker, &read.queue.depth, self.context.now);
        match &read {
            Ok(read) if owes(read) || self.context.checks => self.read_rest(worker, read).await,
            Err(_) if self.context.checks => self.read_rest(worker, &QueueRead::default()).await,
            Ok(read) if self.goes_on(worker, read) => self.read_what_goes_on(worker).await,
            Ok(_) | Err(_) => {}
        }
        read
    }

    /// Whether tasks may run on although their queue is empty: nothing else would tell of them. While
    /// messages are in flight, those tell that somebody works.
    fn goes_on(&self, worker: &Worker, read: &QueueRead) -> bool {
        let is_empty = read.queue.depth.total() == Messages::ZERO;
        is_empty && self.ledger.memory().has_alive(&worker.name, &worker.cluster)
    }

    async fn read_what_goes_on(&self, worker: &Worker) {
        let definition = self.definition(&worker.task_definition);
        futures_util::join!(self.read_tasks(&worker.cluster), definition);
    }

    /// What a launch needs beside the queue.
    async fn read_rest(&self, worker: &Worker, queue: &QueueRead) {
        let definitions = async {
            let base = self.definition(&worker.task_definition).await;
            if let Ok(base) = &*base {
                let derived = self.read_derived(worker, queue, base);
                futures_util::join!(derived, self.instances.read_matching(worker, base));
            }
        };
        let tasks = self.read_tasks(&worker.cluster);
        futures_util::join!(tasks, definitions, self.instances.read(worker));
    }

    async fn read_tasks(&self, cluster: &ClusterName) -> Rc<Read<ClusterTasks>> {
        self.tasks.read(cluster, async || Box::pin(self.tasks(cluster)).await).await
    }

    async fn tasks(&self, cluster: &ClusterName) -> Read<ClusterTasks> {
        let now = self.context.now;
        let mut remembered = self.ledger.memory().remembered(cluster, now);
        // What another process starts may end before this one looks again.
        remembered.knows_ended &= !self.context.may_overlap;
        let tasks = self.cloud.tasks(cluster, &self.scalers, &remembered).await?;
        Ok(self.renamed.tasks(self.ledger.memory().completed(cluster, tasks, now)))
    }

    async fn definition(&self, name: &TaskDefinitionRef) -> Rc<Read<TaskDefinition>> {
        self.definitions.read(name, async || self.cloud.definition(name).await).await
    }

    /// What a launch will need is read while the tasks are; a process that has run what this base
    /// revision gives knows it. What cannot be read here is read when it is needed.
    async fn read_derived(&self, worker: &Worker, queue: &QueueRead, base: &TaskDefinition) {
        if worker.packing.registered_sizes.is_none() && self.ledger.memory().has_run(&base.arn) {
            return;
        }
        let families = foresee(worker, &self.alone(worker, queue, base));
        join_all(families.iter().map(async |family| {
            self.derived.read(family, async || self.cloud.newest_revision(family).await).await;
        }))
        .await;
    }

    /// A worker in a world of its own, in which nothing of it is alive.
    fn alone(&self, worker: &Worker, queue: &QueueRead, base: &TaskDefinition) -> Snapshot {
        Snapshot {
            queues: [(worker.name.clone(), Ok(queue.queue))].into(),
            urls: [(worker.name.clone(), queue.url.clone())].into(),
            tasks: [(worker.cluster.clone(), Ok(ClusterTasks::default()))].into(),
            definitions: [(worker.task_definition.clone(), Ok(base.clone()))].into(),
            ..Snapshot::unread(self.context, self.cloud.region().clone())
        }
    }
}

/// The same snapshot with the container instances as they are now, for the workers of which some tasks
/// were refused.
pub async fn with_fresh_instances(
    cloud: &ReadCloud,
    snapshot: Snapshot,
    workers: impl Iterator<Item = &Worker>,
) -> Snapshot {
    let instances = InstanceReads::new(cloud);
    let definitions = &snapshot.definitions;
    join_all(workers.map(async |worker| {
        let base = definitions.get(&worker.task_definition).and_then(|read| read.as_ref().ok());
        let matching = async {
            if let Some(base) = base {
                instances.read_matching(worker, base).await;
            }
        };
        futures_util::join!(instances.read(worker), matching);
    }))
    .await;
    Snapshot { instances: instances.into_read(), ..snapshot }
}

/// A panic is a fault of ours, and the failure of whoever needed the answer.
async fn apart<T>(read: impl Future<Output = Read<T>>) -> Read<T> {
    AssertUnwindSafe(read).catch_unwind().await.unwrap_or(Err(ReadError::Panic))
}

/// The base definitions of some workers, each read once.
pub async fn read_definitions(
    cloud: &ReadCloud,
    workers: impl Iterator<Item = &Worker>,
) -> BTreeMap<TaskDefinitionRef, Read<TaskDefinition>> {
    let names: BTreeSet<_> = workers.map(|worker| worker.task_definition.clone()).collect();
    stream::iter(names)
        .map(async |name| {
            let definition = apart(cloud.definition(&name)).await;
            (name, definition)
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await
}

fn urls(queues: &BTreeMap<WorkerName, Read<QueueRead>>) -> BTreeMap<WorkerName, String> {
    let read = queues.iter().filter_map(|(name, read)| Some((name, read.as_ref().ok()?)));
    read.map(|(name, read)| (name.clone(), read.url.clone())).collect()
}

fn alone_with_their_queues(
    queues: BTreeMap<WorkerName, Read<QueueRead>>,
    here: &Region,
) -> BTreeMap<WorkerName, Read<Queue>> {
    let id = |read: &QueueRead| QueueRef::Url(read.url.clone()).id(here);
    let mut readers: BTreeMap<_, Vec<WorkerName>> = BTreeMap::new();
    for (worker, read) in &queues {
        if let Ok(read) = read {
            readers.entry(id(read)).or_default().push(worker.clone());
        }
    }
    let queues = queues.into_iter().map(|(worker, read)| {
        let queue = read.and_then(|read| {
            let of_queue = readers.get(&id(&read)).map(Vec::as_slice).unwrap_or_default();
            only_reader(&worker, read, of_queue)
        });
        (worker, queue)
    });
    queues.collect()
}

/// A deleted queue may be listed by its tags for a while.
fn confirmed(
    mut queues: BTreeMap<WorkerName, Read<Queue>>,
    config: &Config,
) -> BTreeMap<WorkerName, Read<Queue>> {
    let discovered = config.workers.iter().filter(|w| config.discovered.contains(&w.name));
    for worker in discovered {
        if let Some(read) = queues.get_mut(&worker.name)
            && matches!(read, Err(ReadError::Call(error)) if error.cause() == Cause::Missing)
        {
            *read = Err(ReadError::Gone { queue: worker.queue.to_string() });
        }
    }
    queues
}

/// A name and a URL, or two URLs, may stand for one queue.
fn only_reader(worker: &WorkerName, read: QueueRead, readers: &[WorkerName]) -> Read<Queue> {
    match readers.iter().find(|other| *other != worker) {
        Some(other) => Err(ReadError::SameQueue { other: other.clone(), url: read.url }),
        None => Ok(read.queue),
    }
}
