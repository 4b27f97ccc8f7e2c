//! What there is of a worker's containers, and what can be known of those that take nothing.

use serde_json::Value;

use super::super::super::life::{Deeds, is_worker};
use super::super::super::{State, list, text};
use super::{ABOUT, Bounds, millis};

/// A container that runs and takes nothing is expected to, for so long.
const PATIENCE: u64 = 15 * 60_000;

/// So many looks tell what a container does.
const FEWEST_LOOKS: usize = 5;

/// A container that has run for less may not have received yet.
pub(super) const BEGUN: u64 = 2 * 60_000;

/// For so long messages have to wait beside it before that is given up.
const PROVES_IDLE: u64 = 5 * 60_000;

/// From the end of its worker to the end of a task, and a little more.
const A_MOMENT: u64 = 10_000;

/// Whether a container takes messages, or can be expected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Surely,
    /// It does not, and nobody can know that yet.
    Doubtful,
    None,
}

/// A worker container that had not ended when the tasks were listed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Container {
    pub(super) runs: bool,
    pub(super) is_of: Use,
    pub(super) is_heard: bool,
    /// When it began to run, or was created.
    pub(super) since: u64,
}

impl State {
    /// The worker's containers that had not ended when the tasks were listed.
    pub(super) fn containers(
        &self,
        process: u32,
        group: &str,
        (bounds, listed): (Bounds, u64),
    ) -> Vec<Container> {
        let is_shown_idle = self.has_shown_idle(process, group, listed);
        let own = self.tasks.iter().filter(|(_, task)| task["group"] == group);
        own.flat_map(|(arn, task)| {
            let there = list(task, "containers").iter().filter(|container| is_worker(container));
            there.filter_map(|container| {
                let deeds = self.deeds(arn, container);
                let ended = deeds.ended.or(ended_at(task));
                // What ECS does not show yet is presumed to be there.
                let is_shown =
                    self.watch.seen.get(arn).is_none_or(|seen| seen.0.max(seen.1) <= listed);
                if is_shown && ended.is_some_and(|ended| ended + A_MOMENT <= listed) {
                    return None;
                }
                let started = millis(task, "startedAt").filter(|started| *started <= listed);
                let created = millis(task, "createdAt").unwrap_or_default();
                let since = started.unwrap_or(created);
                let age = listed.saturating_sub(since);
                let (doubtful, none) = match started {
                    Some(_) => {
                        let seen = self.looks_since(process, since + BEGUN) > FEWEST_LOOKS;
                        let is_known = seen && PATIENCE <= age && is_shown_idle;
                        (deeds.hangs, deeds.hangs && is_known)
                    }
                    None => (bounds.stuck_after <= age, bounds.stuck_after + ABOUT <= age),
                };
                // It may have ended between the list and the description.
                let doubtful = doubtful || ended.is_some();
                let is_of = match (doubtful, none) {
                    (_, true) => Use::None,
                    (true, false) => Use::Doubtful,
                    (false, false) => Use::Surely,
                };
                let is_heard = self.watch.shown.contains(&(process, arn.clone()));
                let runs = started.is_some() && is_shown;
                Some(Container { runs, is_of, is_heard, since })
            })
        })
        .collect()
    }

    /// Of those that run and take nothing, no more can be known than the messages in flight leave over:
    /// who holds one, and whether somebody does, is not told. And no more than they left over at every
    /// look of the minutes that prove it: a message that was in flight until a minute ago, of a task that
    /// Spot has ended, may have been that of one of them (seed 649).
    pub(super) fn doubt(
        &self,
        process: u32,
        (worker, now): (&str, u64),
        containers: &mut [Container],
    ) {
        let key = (process, worker.to_owned());
        let told = self.watch.waiting.told.get(&key);
        let in_flight = told.map_or(0, |(_, in_flight)| usize::try_from(*in_flight).unwrap());
        let running = containers.iter().filter(|container| container.runs).count();
        let looks = self.watch.waiting.spare.get(&key).into_iter().flatten().rev();
        let proves = looks.take_while(|(at, _)| now < *at + self.proves_idle());
        let spare = proves.map(|(_, spare)| *spare).min();
        let known = running.saturating_sub(in_flight).min(spare.unwrap_or(usize::MAX));
        let hanging = containers.iter_mut().filter(|c| c.runs && c.is_of == Use::None);
        hanging.skip(known).for_each(|container| container.is_of = Use::Doubtful);
    }

    fn looks_since(&self, process: u32, since: u64) -> usize {
        let ticks = self.watch.waiting.ticks.get(&process);
        ticks.map_or(0, |ticks| ticks.iter().rev().take_while(|at| since <= **at).count())
    }

    /// Whether messages have waited for long enough to tell a process that a container takes none.
    fn has_shown_idle(&self, process: u32, group: &str, now: u64) -> bool {
        let worker = group.trim_start_matches("worker:");
        let oldest = self.life.as_ref().and_then(|life| life.receivable(worker).1);
        let shown = self.proves_idle();
        let waiting = &self.watch.waiting;
        let born = waiting.ticks.get(&process).and_then(|ticks| ticks.first().copied());
        let born = born.unwrap_or_default();
        let held = waiting.all_held.get(&(process, worker.to_owned())).copied().unwrap_or_default();
        oldest.is_some_and(|oldest| oldest.max(born).max(held) + shown <= now)
    }

    /// For so long messages have to wait beside a container before a process can know that it is idle.
    fn proves_idle(&self) -> u64 {
        let period = self.watch.waiting.period.max(60_000);
        PROVES_IDLE.max(5 * period) + 2 * period
    }

    pub(super) fn deeds(&self, task: &str, container: &Value) -> Deeds {
        let life = self.life.as_ref();
        life.map(|life| life.deeds(task, text(container, "name"))).unwrap_or_default()
    }
}

/// Since when a task is not wanted any more.
pub(super) fn ended_at(task: &Value) -> Option<u64> {
    millis(task, "stoppingAt").or(millis(task, "stoppedAt"))
}
