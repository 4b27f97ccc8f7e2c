//! Reads what a decision needs, and no more. Changes nothing.
//!
//! Three dependent round trips: queues; tasks and base definitions of the workers that can be
//! owed something; the descriptions of the tasks. A read that fails stays in its place.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, stream};

use crate::aws::{Queue, ReadCloud};
use crate::config::{Config, Worker};
use crate::decide::can_owe;
use crate::event::Tick;
use crate::recent::Recent;
use crate::snapshot::{Depth, Read, ReadError, Snapshot};
use crate::units::{ScalerName, WorkerName};

/// Requests under way at once: enough to hide the latency, few enough for a small function.
const AT_ONCE: usize = 32;

/// Reads the world for one tick.
pub async fn observe(
    cloud: &ReadCloud,
    config: &Config,
    recent: &Recent,
    (scaler, tick): (&ScalerName, &Tick),
) -> Snapshot {
    let queues = read_queues(cloud, &config.workers).await;
    let can_owe = |worker: &&Worker| {
        let depth = queues.get(&worker.name).and_then(|depth| depth.as_ref().ok());
        depth.is_some_and(|depth| can_owe(worker, depth))
    };
    let busy: Vec<_> = config.workers.iter().filter(can_owe).collect();
    let clusters: BTreeSet<_> = busy.iter().map(|worker| &worker.cluster).collect();
    let definitions: BTreeSet<_> = busy.iter().map(|worker| &worker.task_definition).collect();
    let tasks = stream::iter(clusters)
        .map(async |cluster| {
            let recent = recent.tasks(cluster);
            (cluster.clone(), cloud.tasks(cluster, scaler, &recent).await)
        })
        .buffered(AT_ONCE)
        .collect::<BTreeMap<_, _>>();
    let definitions = stream::iter(definitions)
        .map(async |name| (name.clone(), cloud.definition(name).await))
        .buffered(AT_ONCE)
        .collect::<BTreeMap<_, _>>();
    let (tasks, definitions) = futures_util::join!(tasks, definitions);
    Snapshot {
        scaler: scaler.clone(),
        tick: tick.clone(),
        region: cloud.region().clone(),
        queues,
        tasks,
        definitions,
    }
}

async fn read_queues(cloud: &ReadCloud, workers: &[Worker]) -> BTreeMap<WorkerName, Read<Depth>> {
    let queues: Vec<_> = stream::iter(workers)
        .map(async |worker| (worker.name.clone(), cloud.queue(&worker.queue).await))
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut readers: BTreeMap<String, Vec<WorkerName>> = BTreeMap::new();
    for (worker, queue) in &queues {
        if let Ok(Queue { url, .. }) = queue {
            readers.entry(url.clone()).or_default().push(worker.clone());
        }
    }
    let queues = queues.into_iter().map(|(worker, queue)| {
        let depth = queue.and_then(|queue| only_reader(&worker, queue, &readers));
        (worker, depth)
    });
    queues.collect()
}

/// A name and a URL may stand for one queue, which only AWS can tell.
fn only_reader(
    worker: &WorkerName,
    queue: Queue,
    readers: &BTreeMap<String, Vec<WorkerName>>,
) -> Read<Depth> {
    let others = readers.get(&queue.url).into_iter().flatten();
    match others.into_iter().find(|other| *other != worker) {
        Some(other) => Err(ReadError::SameQueue { other: other.clone(), url: queue.url }),
        None => Ok(queue.depth),
    }
}
