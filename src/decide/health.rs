//! Whether a worker's tasks run as they should. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::plan::Tripped;
use crate::snapshot::{ContainerStatus, Ended, Redrive, Round, Task};
use crate::units::{Messages, Tasks};

/// A task that ran as long as this did run, whatever came then.
const RAN_WELL: SignedDuration = SignedDuration::from_mins(2);

/// So many failures in a row open the breaker: one or two happen to everybody.
const FAILURES: usize = 3;

/// Fruitless launches back off no further than this many doublings of a minute.
const MOST_DOUBLINGS: u32 = 6;

/// How a task came out.
enum Verdict {
    Well,
    Unjudged,
    Badly(String),
}

/// Whether a task has been on its way for too long to be counted on. Of one that ECS does not show
/// yet, nobody knows how far it is: it may run, and is not counted for longer than lists lag.
pub(super) fn is_stuck(task: &Task, now: Timestamp, after: Duration) -> bool {
    let is_shown = !task.containers.is_empty();
    let is_starting = task.containers.iter().all(|(_, s)| *s == ContainerStatus::Starting);
    let after = SignedDuration::try_from(after).unwrap_or(SignedDuration::MAX);
    let is_old = task.created.is_some_and(|created| after <= now.duration_since(created));
    task.started.is_none() && is_shown && is_starting && is_old
}

/// Why the breaker is open: the last tasks came out badly, and none that was started later runs
/// well. `workers` are the names of the worker containers.
pub(super) fn tripped(
    (alive, stuck): (&[&Task], &[&Task]),
    ended: &[&Ended],
    workers: &[String],
    now: Timestamp,
) -> Option<Tripped> {
    let mut known: Vec<_> =
        ended.iter().map(|task| (task.stopped, task.created, judge(task, workers))).collect();
    let never_ran = |task: &&Task| {
        let verdict = Verdict::Badly("it is stuck and has never run".to_owned());
        (now, task.created, verdict)
    };
    known.extend(stuck.iter().map(never_ran));
    known.sort_by_key(|(ended, ..)| *ended);
    let judged = known.into_iter().rev().filter(|(.., v)| !matches!(v, Verdict::Unjudged));
    let failures: Vec<_> = judged
        .map_while(|(_, created, verdict)| match verdict {
            Verdict::Badly(reason) => Some((created, reason)),
            Verdict::Well | Verdict::Unjudged => None,
        })
        .collect();
    let newest = failures.iter().filter_map(|(created, _)| *created).max();
    let recovered = alive.iter().any(|task| {
        let runs_well = task.started.is_some_and(|began| RAN_WELL <= now.duration_since(began));
        runs_well && newest <= task.created
    });
    if failures.len() < FAILURES || recovered {
        return None;
    }
    let (_, last) = failures.first()?;
    Some(Tripped { failures: Tasks::counted(failures.len()), last: last.clone() })
}

fn judge(task: &Ended, workers: &[String]) -> Verdict {
    if !task.by_itself() {
        return Verdict::Unjudged;
    }
    let Some(started) = task.started else {
        return Verdict::Badly(told(&task.code, &task.reason));
    };
    let exits = task.exits.iter().filter(|(name, _)| workers.contains(name)).map(|(_, exit)| *exit);
    let exits: Vec<_> = exits.collect();
    let ran = task.stopped.duration_since(started);
    if RAN_WELL <= ran || exits.contains(&Some(0)) {
        return Verdict::Well;
    }
    let exits: Vec<_> = exits.into_iter().flatten().map(|exit| exit.to_string()).collect();
    let exits = if exits.is_empty() { "none".to_owned() } else { exits.join(", ") };
    let how = told(&task.code, &task.reason);
    Verdict::Badly(format!("{how}, exit code {exits} after {} s", ran.as_secs()))
}

fn told(code: &str, reason: &str) -> String {
    match (code, reason) {
        ("", "") => "no reason given".to_owned(),
        ("", text) | (text, "") => text.to_owned(),
        (code, reason) => format!("{code}: {reason}"),
    }
}

/// How long the next launch has to wait, because the last ones took no message away: tasks have come
/// to their end, and the queue has never been shorter since. Where a redrive policy takes such
/// messages out, or where more have come, there is no need to wait; nor where there was no message
/// and the launch was for the minimum.
pub(super) fn back_off(
    round: Option<&Round>,
    (redrive, total, ended): (Redrive, Messages, &[&Ended]),
    now: Timestamp,
) -> Option<(u32, Duration)> {
    let round = round.filter(|round| redrive == Redrive::Endless && total <= round.backlog)?;
    let fruitless = round.fruitless(ended.iter().copied())?;
    // The first repetition is free: a worker may have been unlucky.
    let doublings = fruitless.saturating_sub(1).min(MOST_DOUBLINGS);
    let pause = Duration::from_mins(if doublings == 0 { 0 } else { 1_u64 << doublings });
    let since = Duration::try_from(now.duration_since(round.at)).unwrap_or_default();
    let wait = pause.saturating_sub(since);
    (!wait.is_zero()).then_some((fruitless, wait))
}

#[cfg(test)]
mod tests;
