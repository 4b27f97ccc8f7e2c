//! What a launch may come to, by what moved since the ones before it. Pure.
//!
//! A launch goes on only while messages move: a worker on another queue, messages that nobody can
//! process, counts that are ghosts, or one FIFO group would start containers for ever that find nothing.
//! The brake is a credit in containers. Each launch spends it, and what moved since the last look pays:
//!
//! ```text
//! pay = max(4 s x rise, higher) + 2 s x drop + growth + 2 x (vouched - failed) - failed
//! ```
//!
//! - `rise`, messages that came: new ones pay for themselves, so that a burst is never braked; and when
//!   the brake is wrong, the backlog that grows by it pays four times and lifts it within a look or two.
//! - `higher`, messages more than at any of the last ten looks: each pays for a container of its own,
//!   whatever the policy asks for, as one-shot containers may take no more than one.
//! - `drop`, messages that went, beyond one for each container that ran all the time: success pays for
//!   its successor and for one more, so that recovery doubles from look to look. Where the policy asks
//!   for less than a container a message, each that ended with exit code 0 stands for one all the same.
//! - `growth`, containers that can be holding a message, more than at any of the last ten looks: what
//!   goes up and down with a visibility timeout is not growth.
//! - `vouched`, containers that ended with exit code 0 and may have held a message: at some look they
//!   were among the longest running ones, as many as the messages in flight occupy.
//! - `failed`, messages in flight that nobody of ours can be holding: received, and not deleted. Those
//!   of a container that others ended are no failures.
//! - `s`, the containers that the policy asks for a message, one at most.
//!
//! Waiting costs nothing, a refusal spends nothing, what others ended is given back, and what another
//! process started is spent. A process that
//! remembers nothing, and an empty queue, have full credit: twice what the policy asks for. Where none
//! is left and nothing that was started is still to be judged, one container is tried when a pause is
//! over, of 1 to 64 minutes, or when the base has a new revision, as its worker may be another: no state
//! is final.
//!
//! A FIFO queue gives out one message of a group at a time, so that visible messages say little. Unless
//! the operator has said by `maxContainers` how many groups there are, its worker starts with four
//! containers, and with as many more as hold messages: growth pays twice there, and who is vouched for
//! once.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::own::{OwnEnded, OwnTask, OwnTasks};
use super::{demand, idle};
use crate::config::Worker;
use crate::plan::{Brake, Tripped};
use crate::refusal::Cause;
use crate::snapshot::{Ahead, Depth, Idling, Progress, TaskSeen};
use crate::units::{Containers, Credit, Messages, RevisionArn, TaskArn};

/// How long nothing is tried after a launch, as long as good comes of some.
const SHORTEST_PAUSE: Duration = Duration::from_mins(1);

/// The same while what is in flight may still be somebody's work.
const LONG_PAUSE: Duration = Duration::from_mins(16);

/// The same while nothing good is to be expected.
const LONGEST_PAUSE: Duration = Duration::from_mins(64);

/// How long nothing more is started ahead of messages, at least, where such containers have ended.
const PAUSE_AHEAD: Duration = Duration::from_mins(2);

/// What the worker of a FIFO queue starts with.
const GENTLY: Containers = Containers(4);

/// So many looks back, what holds messages is compared with: ten minutes at a tick a minute.
const LOOKS_BACK: usize = 10;

/// What has run for so long has shown what it does.
const SHOWN: Duration = Duration::from_mins(5);

/// Ticks of a minute come some seconds early or late.
const PRECISION: Duration = Duration::from_secs(5);

/// A look at a worker's queue and tasks.
#[derive(Clone, Copy)]
pub(super) struct Look<'a> {
    pub(super) worker: &'a Worker,
    pub(super) now: Timestamp,
    /// Without delayed messages where they do not count.
    pub(super) depth: Depth,
    /// What the policy asks for, whatever is there and whatever bounds it.
    pub(super) need: Containers,
    /// Containers that the packing may give a task.
    pub(super) per_task: Containers,
    pub(super) own: &'a OwnTasks<'a>,
    /// The base revision that a launch would run.
    pub(super) base: &'a RevisionArn,
    pub(super) breaker: Option<&'a Tripped>,
}

/// What moved since the last look.
#[derive(Default)]
struct Moved {
    /// Messages that came, by what the policy asks for them.
    rise: Credit,
    /// Messages beyond as many as there were, one container each.
    higher: Containers,
    /// Messages that went, beyond one for each container that ran at both looks.
    drop: Credit,
    /// Whether any went while containers ran.
    some_went: bool,
    /// Containers that can be holding a message.
    held: Containers,
    /// Those, beyond as many as there were.
    growth: Containers,
    /// Containers that the messages in flight would occupy which nobody of ours can be holding.
    locked: Containers,
    /// Those, beyond as many as there were.
    failed: Containers,
    newly_idle: Containers,
    of_tasks: Changes,
}

/// What became of the worker's containers since the last look.
#[derive(Default)]
struct Changes {
    /// Those that ran at both looks.
    stayed: Containers,
    /// Those that ended by themselves.
    ended: Containers,
    /// Of these, the ones that ended with exit code 0.
    done: Containers,
    /// Of these, the ones that may have held a message.
    vouched: Containers,
    /// Those that others ended.
    by_others: Containers,
    /// Those that another process started.
    strange: Containers,
    tasks: BTreeMap<TaskArn, TaskSeen>,
}

impl Look<'_> {
    /// What is known after this look, and after those before it that were looks at the queue alone: where
    /// nothing could be received, nobody asked ECS what became of the tasks.
    pub(super) fn after(&self, before: Option<&Progress>) -> Progress {
        let Some(before) = before else { return self.alone_after(&self.first()) };
        let mut last = before.clone();
        for (now, depth) in std::mem::take(&mut last.glances) {
            let own = &self.own.as_of(now, &last.tasks);
            let need = demand::need(self.worker, &depth, &own.count(), self.per_task);
            last = Look { now, depth, need, own, ..*self }.alone_after(&last);
        }
        self.alone_after(&last)
    }

    fn alone_after(&self, last: &Progress) -> Progress {
        let mut next = last.clone();
        if self.depth.total() == Messages::ZERO {
            next.is_all_done();
        } else {
            next.totals.insert(0, self.depth.total());
            next.totals.truncate(LOOKS_BACK);
        }
        next.idling = idle::look(&last.idling, last.total(), self);
        let moved = self.moved(last, &next.idling);
        next.pause = moved.pause(next.pause);
        let base = next.base.replace(self.base.clone());
        if base.is_some_and(|base| base != *self.base) {
            (next.pause, next.resumes) = (SHORTEST_PAUSE, None);
        }
        // A pause that runs is no longer than one that begins now, and over when messages come.
        let latest = self.now.checked_add(next.pause).unwrap_or(self.now);
        let resumes = next.resumes.filter(|_| moved.rise == Credit::ZERO);
        next.resumes = resumes.map(|at| at.min(latest));
        next.credit = Some(self.credit(&next, &moved));
        if self.breaker.is_none() {
            next.canaries = Containers::ZERO;
        }
        next.ahead = self.ahead(next.ahead, &moved);
        next.held.insert(0, moved.held);
        next.held.truncate(LOOKS_BACK);
        let Moved { locked, of_tasks: Changes { tasks, .. }, .. } = moved;
        Progress { locked, tasks, ..next }
    }

    /// What a process that has seen nothing yet compares its first look with: all was as it is.
    fn first(&self) -> Progress {
        let (held, locked) = self.held_and_locked();
        let tasks = self.changes(&BTreeMap::new()).tasks;
        let (totals, held) = (vec![self.depth.total()], vec![held]);
        Progress { totals, held, locked, tasks, ..Progress::default() }
    }

    /// The containers that the messages in flight occupy: those that can be ours, and the others.
    fn held_and_locked(&self) -> (Containers, Containers) {
        let occupied = self.occupied_by(self.depth.in_flight);
        let running = self.own.alive.iter().map(|own| own.running).sum();
        let held = occupied.min(running);
        (held, occupied.minus(held))
    }

    fn moved(&self, last: &Progress, idling: &Idling) -> Moved {
        let of_tasks = self.changes(&last.tasks);
        let (held, locked) = self.held_and_locked();
        let before = last.held.iter().copied().max().unwrap_or_default();
        let stayed = Messages(u64::from(of_tasks.stayed.0));
        let total = self.depth.total();
        let highest = last.totals.iter().copied().max().unwrap_or_default();
        let went = last.total().minus(total);
        let drop = match stayed {
            // One of a group makes room for the next of the same.
            stayed if self.is_gentle() && stayed != Messages::ZERO => Messages::ZERO,
            stayed => went.minus(stayed),
        };
        Moved {
            rise: self.worth(total.minus(last.total())),
            higher: total.minus(highest).as_containers(),
            drop: self.worth(drop).max(Credit::of(drop.as_containers().min(of_tasks.done))),
            some_went: went != Messages::ZERO && stayed != Messages::ZERO,
            held,
            growth: held.minus(before),
            locked,
            failed: locked.minus(last.locked).minus(of_tasks.by_others),
            newly_idle: idling.idle.minus(last.idling.idle),
            of_tasks,
        }
    }

    fn credit(&self, last: &Progress, moved: &Moved) -> Credit {
        let (of_growth, of_vouched) = if self.is_gentle() { (2, 1) } else { (1, 2) };
        let Changes { vouched, by_others, strange, .. } = &moved.of_tasks;
        let most = self.most(moved.held);
        let earned = [
            moved.rise.times(4).max(Credit::of(moved.higher)),
            moved.drop.times(2),
            Credit::of(moved.growth).times(of_growth),
            Credit::of(vouched.minus(moved.failed)).times(of_vouched),
            Credit::of(*by_others),
        ];
        let credit = last.credit.unwrap_or(most).plus(earned.into_iter().sum());
        let credit = credit.minus(Credit::of(moved.failed.plus(*strange)));
        // Where canaries have shown that tasks run, twice as many may follow.
        let shown = if self.breaker.is_none() { last.canaries } else { Containers::ZERO };
        credit.max(Credit::of(shown).times(2)).min(most)
    }

    /// As much credit as there ever is.
    fn most(&self, held: Containers) -> Credit {
        let base = if self.is_gentle() { held.plus(GENTLY) } else { self.need.max(Containers(1)) };
        Credit::of(base).times(2)
    }

    /// Whether visible messages say little of how many containers can get one.
    fn is_gentle(&self) -> bool {
        self.worker.queue.is_fifo() && !self.worker.scaling.max_is_written
    }

    /// The containers that the policy asks for these messages, one for each at most.
    fn worth(&self, messages: Messages) -> Credit {
        let total = self.depth.total().0.max(1);
        let need = u64::from(self.need.0).clamp(1, total);
        Credit(messages.0.saturating_mul(1000).saturating_mul(need).checked_div(total).unwrap_or(0))
    }

    /// The containers that these messages in flight occupy.
    pub(super) fn occupied_by(&self, in_flight: Messages) -> Containers {
        in_flight.containers_rounded_up(self.worker.scaling.in_flight_per_container)
    }

    /// How long nothing more is started ahead of messages. A message that came ends it, as what ends then
    /// may have taken one.
    fn ahead(&self, last: Ahead, moved: &Moved) -> Ahead {
        let Depth { visible, in_flight, .. } = self.depth;
        if visible.plus(in_flight) != Messages::ZERO {
            return Ahead::default();
        }
        let has_ended = moved.of_tasks.ended != Containers::ZERO && last.launched.is_some();
        let longer = last.pause.saturating_mul(2).clamp(PAUSE_AHEAD, LONG_PAUSE);
        Ahead { pause: if has_ended { longer } else { last.pause }, ..last }
    }

    fn changes(&self, before: &BTreeMap<TaskArn, TaskSeen>) -> Changes {
        let mut changes = Changes::default();
        let mut occupied = self.occupied_by(self.depth.in_flight);
        let mut alive: Vec<_> = self.own.alive.iter().filter(|own| !own.is_presumed).collect();
        alive.sort_by_key(|own| (own.started.is_none(), own.started));
        for own in alive {
            let vouched = own.running.min(occupied);
            occupied = occupied.minus(vouched);
            changes.add_alive(own, before.get(own.arn), vouched);
        }
        // What they did is seen when they have ended.
        for own in &self.own.leaving {
            if let Some(seen) = before.get(own.arn) {
                changes.tasks.insert(own.arn.clone(), *seen);
            }
        }
        for own in &self.own.ended {
            if let Some(seen) = before.get(&own.task.arn) {
                changes.add_ended(own, *seen);
            }
        }
        changes
    }
}

impl Moved {
    /// Longer and longer while containers end or fall idle, nothing good comes of any, and something is in
    /// flight or idle. Where nothing is, nobody knows what they did, and the pause stays as it is.
    fn pause(&self, last: Duration) -> Duration {
        let Self { drop, some_went, held, locked, failed, newly_idle, of_tasks, .. } = self;
        let last = last.max(SHORTEST_PAUSE);
        if *drop != Credit::ZERO || *some_went || *failed < of_tasks.vouched {
            return SHORTEST_PAUSE;
        }
        let happened = of_tasks.ended.plus(*newly_idle) != Containers::ZERO;
        let longest = if *locked != Containers::ZERO {
            LONGEST_PAUSE
        } else if *held != Containers::ZERO {
            LONG_PAUSE
        } else if *newly_idle != Containers::ZERO {
            LONGEST_PAUSE
        } else {
            last
        };
        if happened { last.saturating_mul(2).min(longest).max(last) } else { last }
    }
}

impl Changes {
    fn add_alive(&mut self, own: &OwnTask<'_>, seen: Option<&TaskSeen>, vouched: Containers) {
        if seen.is_none() {
            self.strange = self.strange.plus(own.containers);
        }
        let seen = seen.copied().unwrap_or_default();
        let done = own.done.minus(seen.done);
        let vouched_for = done.min(seen.vouched);
        self.stayed = self.stayed.plus(own.running.min(seen.running));
        self.ended = self.ended.plus(own.stopped.minus(seen.stopped));
        self.done = self.done.plus(done);
        self.vouched = self.vouched.plus(vouched_for);
        let now = TaskSeen {
            running: own.running,
            stopped: own.stopped,
            done: own.done,
            vouched: seen.vouched.minus(vouched_for).max(vouched),
        };
        self.tasks.insert(own.arn.clone(), now);
    }

    fn add_ended(&mut self, own: &OwnEnded<'_>, seen: TaskSeen) {
        let ended = own.count().minus(seen.stopped);
        if own.cause() == Cause::OfWorker {
            let done = own.done().minus(seen.done);
            self.ended = self.ended.plus(ended);
            self.done = self.done.plus(done);
            self.vouched = self.vouched.plus(done.min(seen.vouched));
        } else {
            self.by_others = self.by_others.plus(ended);
        }
    }
}

/// What moved since the last launches, as far as it holds the next one back.
pub(super) fn brake(progress: &Progress, look: &Look<'_>) -> Brake {
    let credit = progress.credit.unwrap_or_default().containers_rounded_down();
    let held = progress.held.first().copied().unwrap_or_default();
    let credit = if look.is_gentle() { credit.min(held.max(GENTLY)) } else { credit };
    if credit != Containers::ZERO {
        return Brake { credit, ..Brake::default() };
    }
    let unjudged = look.unjudged(progress);
    let pause = progress.resumes.and_then(|at| look.wait_until(at));
    Brake { credit, unjudged, pause }
}

/// How long what is started ahead of messages has to wait.
pub(super) fn wait_ahead(progress: &Progress, look: &Look<'_>) -> Option<Duration> {
    let Ahead { launched, pause } = progress.ahead;
    launched?.checked_add(pause).ok().and_then(|at| look.wait_until(at))
}

impl Look<'_> {
    /// Schedules are not exact to the second: what is left of a pause then is over.
    fn wait_until(&self, at: Timestamp) -> Option<Duration> {
        let wait = Duration::try_from(at.duration_since(self.now)).ok();
        wait.filter(|wait| PRECISION < *wait).map(|wait| Duration::from_secs(wait.as_secs()))
    }

    /// Containers that are alive and have yet to show whether they take messages: those that start, and
    /// those that run for a short time and hold none.
    fn unjudged(&self, progress: &Progress) -> Containers {
        let Idling { idle, .. } = progress.idling;
        let alive = self.own.count();
        // Each may hold fewer messages than it could.
        let held = self.depth.in_flight.as_containers().min(alive.running);
        let is_young =
            |own: &&OwnTask<'_>| own.stuck_since.is_none() && !own.has_run_for(SHOWN, self.now);
        let young = self.own.alive.iter().filter(is_young).map(OwnTask::left).sum();
        alive.containers.minus(alive.stuck).minus(held).minus(idle).min(young)
    }
}

#[cfg(test)]
mod tests;
