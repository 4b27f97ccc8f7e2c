//! Reads what a decision needs, and no more. Changes nothing.
//!
//! Each worker goes its own way: its queue; then, if it can be owed something, its cluster's tasks
//! (listed, described) and beside them its base definition and the derived revisions that it will
//! need. What workers share is read once, for whoever comes first. A read that fails stays in its
//! place.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt, stream};
use jiff::Timestamp;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::aws::{QueueRead, ReadCloud};
use crate::config::{Config, QueueRef, Worker};
use crate::decide::{can_owe, foresee};
use crate::definition::TaskDefinition;
use crate::event::Tick;
use crate::ledger::Ledger;
use crate::snapshot::{ClusterTasks, DerivedRevision, Newest, Queue, Read, ReadError, Snapshot};
use crate::units::{ClusterName, Family, ScalerName, TaskDefinitionRef, WorkerName};
use crate::variant::DIGEST_TAG;

/// Workers that are read at once: enough to hide the latency of a thousand, few enough connections
/// for a small function.
const AT_ONCE: usize = 64;

/// Whose tick it is, which one, and when it began.
type OfTick<'a> = (&'a ScalerName, &'a Tick, Timestamp);

/// Reads the world for one tick, and adds what this process remembers of earlier ones.
pub async fn observe(
    cloud: &ReadCloud,
    config: &Config,
    ledger: &Ledger,
    of_tick: OfTick<'_>,
) -> Snapshot {
    let reads = Reads {
        cloud,
        ledger,
        of_tick,
        tasks: cells(config.workers.iter().map(|worker| &worker.cluster)),
        definitions: cells(config.workers.iter().map(|worker| &worker.task_definition)),
        derived: RefCell::default(),
    };
    let queues = stream::iter(&config.workers)
        .map(async |worker| (worker.name.clone(), reads.of(worker).await))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let (scaler, tick, now) = of_tick;
    let remembered = ledger.derived().into_iter();
    let remembered = remembered.map(|(family, known)| (family, Newest::Remembered(known)));
    Snapshot {
        scaler: scaler.clone(),
        tick: tick.clone(),
        now,
        region: cloud.region().clone(),
        queues: confirmed(alone_with_their_queues(queues), config),
        tasks: read(reads.tasks),
        definitions: read(reads.definitions),
        derived: remembered
            .chain(reads.derived.into_inner().into_iter().filter_map(newest))
            .collect(),
        launched: ledger.launched(now),
        memories: ledger.memories(),
    }
}

/// What can be done before the first tick: the queues' URLs are found, which a tick of a warm function
/// knows, and the first connections are open. Where no URL has to be found, one depth is read for the
/// connection's sake. Nothing is lost when it fails: the tick asks again, and tells.
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

/// What the workers of a tick share. A cell is filled by the first who needs it, and stays empty if
/// nobody does.
struct Reads<'a> {
    cloud: &'a ReadCloud,
    ledger: &'a Ledger,
    of_tick: OfTick<'a>,
    tasks: BTreeMap<&'a ClusterName, OnceCell<Read<ClusterTasks>>>,
    definitions: BTreeMap<&'a TaskDefinitionRef, OnceCell<Read<TaskDefinition>>>,
    derived: RefCell<BTreeMap<Family, Derived>>,
}

/// The newest revision of a derived family, which more than one worker may need.
type Derived = Rc<OnceCell<Read<Option<DerivedRevision>>>>;

fn cells<'a, K: Ord, T>(keys: impl Iterator<Item = &'a K>) -> BTreeMap<&'a K, OnceCell<T>> {
    keys.map(|key| (key, OnceCell::new())).collect()
}

fn read<K: Ord + Clone, T>(cells: BTreeMap<&K, OnceCell<T>>) -> BTreeMap<K, T> {
    let filled =
        cells.into_iter().filter_map(|(key, cell)| Some((key.clone(), cell.into_inner()?)));
    filled.collect()
}

fn newest((family, cell): (Family, Derived)) -> Option<(Family, Newest)> {
    Some((family, Newest::Read(cell.get()?.clone())))
}

impl Reads<'_> {
    async fn of(&self, worker: &Worker) -> Read<QueueRead> {
        let read = apart(self.cloud.queue(&worker.queue)).await?;
        let (_, _, now) = self.of_tick;
        if can_owe(worker, &read.queue.depth, now) {
            let definitions = async {
                self.read_definition(&worker.task_definition).await;
                self.read_derived(worker, read.queue).await;
            };
            futures_util::join!(self.read_tasks(&worker.cluster), definitions);
        }
        Ok(read)
    }

    async fn read_tasks(&self, name: &ClusterName) {
        let Some(cell) = self.tasks.get(name) else { return };
        cell.get_or_init(async || apart(Box::pin(self.tasks(name))).await).await;
    }

    async fn tasks(&self, cluster: &ClusterName) -> Read<ClusterTasks> {
        let (scaler, _, now) = self.of_tick;
        let remembered = self.ledger.remembered(cluster, Instant::now());
        let tasks = self.cloud.tasks(cluster, scaler, &remembered).await?;
        Ok(self.ledger.completed(cluster, tasks, now))
    }

    async fn read_definition(&self, name: &TaskDefinitionRef) {
        let Some(cell) = self.definitions.get(name) else { return };
        cell.get_or_init(async || apart(self.cloud.definition(name)).await).await;
    }

    /// What a launch will need is read while the tasks are; a process that has run what this base
    /// revision gives knows it. What cannot be read here is read when it is needed.
    async fn read_derived(&self, worker: &Worker, queue: Queue) {
        let base = self.definitions.get(&worker.task_definition).and_then(OnceCell::get);
        let Some(Ok(base)) = base else { return };
        if worker.packing.registered_sizes.is_none() && self.ledger.has_run(&base.arn) {
            return;
        }
        let families = foresee(worker, &self.alone(worker, (queue, base)));
        join_all(families.into_iter().map(async |family| {
            let cell = self.derived.borrow_mut().entry(family.clone()).or_default().clone();
            cell.get_or_init(async || apart(self.newest(&family)).await).await;
        }))
        .await;
    }

    async fn newest(&self, family: &Family) -> Read<Option<DerivedRevision>> {
        let newest = self.cloud.newest_revision(family).await?;
        Ok(newest.map(|newest| DerivedRevision {
            digest: newest.tag(DIGEST_TAG).map(str::to_owned),
            arn: newest.arn,
        }))
    }

    /// A worker in a world of its own, in which nothing of it is alive.
    fn alone(&self, worker: &Worker, (queue, base): (Queue, &TaskDefinition)) -> Snapshot {
        let (scaler, tick, now) = self.of_tick;
        Snapshot {
            scaler: scaler.clone(),
            tick: tick.clone(),
            now,
            region: self.cloud.region().clone(),
            queues: [(worker.name.clone(), Ok(queue))].into(),
            tasks: [(worker.cluster.clone(), Ok(ClusterTasks::default()))].into(),
            definitions: [(worker.task_definition.clone(), Ok(base.clone()))].into(),
            derived: BTreeMap::new(),
            launched: BTreeMap::new(),
            memories: BTreeMap::new(),
        }
    }
}

/// A panic is a fault of ours, and the trouble of whoever needed the answer.
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

fn alone_with_their_queues(
    queues: BTreeMap<WorkerName, Read<QueueRead>>,
) -> BTreeMap<WorkerName, Read<Queue>> {
    let mut readers: BTreeMap<String, Vec<WorkerName>> = BTreeMap::new();
    for (worker, read) in &queues {
        if let Ok(QueueRead { url, .. }) = read {
            readers.entry(url.clone()).or_default().push(worker.clone());
        }
    }
    let queues = queues.into_iter().map(|(worker, read)| {
        let queue = read.and_then(|read| only_reader(&worker, read, &readers));
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
            && matches!(read, Err(ReadError::Call(error)) if error.is_of_no_queue())
        {
            *read = Err(ReadError::Gone { queue: worker.queue.to_string() });
        }
    }
    queues
}

/// A name and a URL may stand for one queue, which only AWS can tell.
fn only_reader(
    worker: &WorkerName,
    read: QueueRead,
    readers: &BTreeMap<String, Vec<WorkerName>>,
) -> Read<Queue> {
    let others = readers.get(&read.url).into_iter().flatten();
    match others.into_iter().find(|other| *other != worker) {
        Some(other) => Err(ReadError::SameQueue { other: other.clone(), url: read.url }),
        None => Ok(read.queue),
    }
}
