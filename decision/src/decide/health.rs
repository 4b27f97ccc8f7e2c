//! Whether a worker's tasks run as they should. Pure.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::own::{OwnEnded, OwnTasks, RAN_WELL};
use crate::config::{Breaker, Worker};
use crate::plan::{Health, Tripped};
use crate::refusal::Cause;
use crate::snapshot::ClusterTasks;
use crate::units::{Containers, TaskArn, Tasks, elapsed};

/// As long as what ended says something about what is started next. ECS does not keep it longer.
/// Source: ECS developer guide, "Stopped tasks error messages".
const TELLS: SignedDuration = SignedDuration::from_hours(1);

/// So many failures in a row open the breaker: one or two happen to everybody.
const FAILURES: usize = 3;

/// How a task came out.
enum Verdict {
    Well,
    Unjudged,
    Badly(String),
}

/// Why the breaker is open: the last tasks came out badly, and none that was started later runs
/// well. A stuck task is one failure, of the time when it became one.
fn tripped(own: &OwnTasks<'_>, now: Timestamp) -> Option<Tripped> {
    let ended = own.ended.iter().map(|own| (own.task.stopped, own.task.created, judge(own)));
    // What waits for instances waits for nothing that the worker could do.
    let stuck = own.alive.iter().filter(|own| own.waits_since.is_none()).filter_map(|own| {
        let verdict = Verdict::Badly("it is stuck and has never run".to_owned());
        Some((own.stuck_since?, own.created, verdict))
    });
    let lately = |came_out: Timestamp| now.duration_since(came_out) < TELLS;
    let mut known: Vec<_> = ended.chain(stuck).filter(|(at, ..)| lately(*at)).collect();
    known.sort_by_key(|(at, ..)| *at);
    let judged = known.into_iter().rev().filter(|(.., v)| !matches!(v, Verdict::Unjudged));
    let failures: Vec<_> = judged
        .map_while(|(_, created, verdict)| match verdict {
            Verdict::Badly(reason) => Some((created, reason)),
            Verdict::Well | Verdict::Unjudged => None,
        })
        .collect();
    let newest = failures.iter().filter_map(|(created, _)| *created).max();
    let recovered = own.alive.iter().any(|own| own.runs_well(now) && newest <= own.created);
    if failures.len() < FAILURES || recovered {
        return None;
    }
    let (_, last) = failures.first()?;
    Some(Tripped { failures: Tasks::counted(failures.len()), last: last.clone() })
}

/// What the tasks of a worker alone say of it, where its definition is not known: its breaker, and which are stuck.
pub fn health_by_tasks(worker: &Worker, tasks: &ClusterTasks, now: Timestamp) -> Health {
    let own = OwnTasks::by_name(worker, tasks, now);
    Health { stuck: own.stuck(), breaker: breaker(worker, &own, now), ..Health::default() }
}

/// How the tasks of a worker ended within the last hour, as far as they are known and as its breaker judges them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// How many ran well.
    pub well: Tasks,
    /// Those that did not.
    pub badly: BTreeSet<TaskArn>,
}

impl Ends {
    /// Whether at least half of them ended badly, and as many as open a breaker.
    pub fn are_failures(&self) -> bool {
        FAILURES <= self.badly.len() && self.well <= Tasks::counted(self.badly.len())
    }
}

/// What became of a worker's tasks.
pub fn ends(worker: &Worker, tasks: &ClusterTasks, now: Timestamp) -> Ends {
    let own = OwnTasks::by_name(worker, tasks, now);
    let lately = own.ended.iter().filter(|own| now.duration_since(own.task.stopped) < TELLS);
    let mut ends = Ends::default();
    for own in lately {
        match judge(own) {
            Verdict::Well => ends.well = ends.well.plus(Tasks(1)),
            Verdict::Badly(_) => drop(ends.badly.insert(own.task.arn.clone())),
            Verdict::Unjudged => {}
        }
    }
    ends
}

/// Why the breaker is open, where the worker has one.
pub(super) fn breaker(worker: &Worker, own: &OwnTasks<'_>, now: Timestamp) -> Option<Tripped> {
    if worker.scaling.breaker == Breaker::On { tripped(own, now) } else { None }
}

fn judge(own: &OwnEnded<'_>) -> Verdict {
    let OwnEnded { task, containers, watcher_gave_up } = own;
    if *watcher_gave_up {
        return Verdict::Badly(WATCHER.to_owned());
    }
    if own.cause() != Cause::OfWorker {
        return Verdict::Unjudged;
    }
    let ran = task.started.map(|started| elapsed(started, task.stopped));
    if own.done() != Containers::ZERO || ran.is_some_and(|ran| RAN_WELL <= ran) {
        return Verdict::Well;
    }
    let exits = containers.iter().filter_map(|container| container.exit);
    let exits: Vec<_> = exits.map(|exit| exit.to_string()).collect();
    let how = how_it_ended(&task.code, own.words());
    Verdict::Badly(match (ran, exits.as_slice()) {
        (None, []) => how,
        (None, exits) => format!("{how}, exit code {}", exits.join(", ")),
        (Some(ran), []) => format!("{how}, exit code none after {} s", ran.as_secs()),
        (Some(ran), exits) => {
            format!("{how}, exit code {} after {} s", exits.join(", "), ran.as_secs())
        }
    })
}

const WATCHER: &str = "its watcher gave up (exit code 69): the image has no wget, awk or timeout, or \
                       the task's metadata address did not answer; its log says which";

fn how_it_ended(code: &str, reason: &str) -> String {
    match (code, reason) {
        ("", "") => "no reason given".to_owned(),
        ("", text) | (text, "") => text.to_owned(),
        (code, reason) => format!("{code}: {reason}"),
    }
}

#[cfg(test)]
mod tests;
