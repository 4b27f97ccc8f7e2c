//! Tasks that go on although all of their workers have stopped. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::own::{OwnTask, OwnTasks};
use crate::plan::Alive;
use crate::snapshot::WorkerMemory;
use crate::units::{Containers, TaskArn, elapsed};

/// A task needs some seconds to end after its workers, and its sidecars up to two minutes more
/// (`stopTimeout`), in which ECS wants it stopped: it is not alive then.
const OUTLIVES: Duration = Duration::from_mins(1);

/// Since when each of these was seen so, the earlier looks included.
pub(super) fn seen<'a>(
    without_workers: impl Iterator<Item = &'a OwnTask<'a>>,
    memory: Option<&WorkerMemory>,
    now: Timestamp,
) -> BTreeMap<TaskArn, Timestamp> {
    let since = |task: &TaskArn| memory?.without_workers.get(task).copied();
    without_workers
        .map(|task| (task.arn.clone(), since(task.arn).map_or(now, |since| since.min(now))))
        .collect()
}

/// Those that have been seen so for long enough.
pub(super) fn named(seen: &BTreeMap<TaskArn, Timestamp>, now: Timestamp) -> Vec<TaskArn> {
    let named = seen.iter().filter(|(_, since)| OUTLIVES <= elapsed(**since, now));
    named.map(|(task, _)| task.clone()).collect()
}

/// What is alive with their worker containers, which no cap would count otherwise.
pub(super) fn counted(alive: Alive, own: &OwnTasks<'_>, outlived: &[TaskArn]) -> Alive {
    let of_them = own.alive.iter().filter(|task| outlived.contains(task.arn));
    let outlived: Containers = of_them.map(|task| task.containers).sum();
    Alive { containers: alive.containers.plus(outlived), outlived, ..alive }
}
