//! Reads what a decision needs, and no more. Changes nothing.
//!
//! Three dependent round trips: queues; tasks and base definitions of the workers that can be
//! owed something; the descriptions of the tasks. A read that fails stays in its place.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;

use futures_util::{FutureExt, StreamExt, stream};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::aws::{QueueRead, ReadCloud};
use crate::config::{Config, Worker};
use crate::decide::can_owe;
use crate::definition::TaskDefinition;
use crate::event::Tick;
use crate::ledger::Ledger;
use crate::snapshot::{ClusterTasks, Queue, Read, ReadError, Snapshot};
use crate::units::{ClusterName, ScalerName, TaskDefinitionRef, WorkerName};

/// Requests under way at once: enough to hide the latency, few enough for a small function.
const AT_ONCE: usize = 32;

/// Reads the world for one tick, and adds what this process remembers of earlier ones.
pub async fn observe(
    cloud: &ReadCloud,
    config: &Config,
    ledger: &Ledger,
    (scaler, tick, now): (&ScalerName, &Tick, Timestamp),
) -> Snapshot {
    let queues = read_queues(cloud, &config.workers).await;
    let can_owe = |worker: &&Worker| {
        let queue = queues.get(&worker.name).and_then(|queue| queue.as_ref().ok());
        queue.is_some_and(|queue| can_owe(worker, &queue.depth, now))
    };
    let busy: Vec<_> = config.workers.iter().filter(can_owe).collect();
    let clusters: BTreeSet<_> = busy.iter().map(|worker| &worker.cluster).collect();
    let tasks = stream::iter(clusters)
        .map(async |cluster| {
            let tasks = Box::pin(read_tasks(cloud, ledger, (cluster, scaler, now)));
            let tasks = apart(tasks).await;
            (cluster.clone(), tasks)
        })
        .buffer_unordered(AT_ONCE)
        .collect::<BTreeMap<_, _>>();
    let (tasks, definitions) =
        futures_util::join!(tasks, read_definitions(cloud, busy.iter().copied()));
    Snapshot {
        scaler: scaler.clone(),
        tick: tick.clone(),
        now,
        region: cloud.region().clone(),
        queues,
        tasks,
        definitions,
        memories: ledger.memories(),
    }
}

/// A panic is a fault of ours, and the trouble of whoever needed the answer.
async fn apart<T>(read: impl Future<Output = Read<T>>) -> Read<T> {
    AssertUnwindSafe(read).catch_unwind().await.unwrap_or(Err(ReadError::Panic))
}

async fn read_tasks(
    cloud: &ReadCloud,
    ledger: &Ledger,
    (cluster, scaler, now): (&ClusterName, &ScalerName, Timestamp),
) -> Read<ClusterTasks> {
    let remembered = ledger.remembered(cluster, Instant::now());
    let tasks = cloud.tasks(cluster, scaler, &remembered).await?;
    Ok(ledger.completed(cluster, tasks, now))
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

async fn read_queues(cloud: &ReadCloud, workers: &[Worker]) -> BTreeMap<WorkerName, Read<Queue>> {
    let queues: BTreeMap<_, _> = stream::iter(workers)
        .map(async |worker| (worker.name.clone(), apart(cloud.queue(&worker.queue)).await))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
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
