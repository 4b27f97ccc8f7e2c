//! How long messages wait, beside a launcher that knows all arrivals and no service time, and obeys the
//! same rule, cap and rate. A model of its own: it knows nothing of the code that it is compared with.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use fastrand::Rng;

use crate::world::State;
use crate::world::life::{Habit, Jobs};
use crate::world::watch::Rule;

/// Ticks come some seconds late, SQS tells numbers of some seconds ago, and a container that runs receives
/// after some more: the launcher that knows all has none of it.
const LATE: u64 = 15_000;

/// A container that loops waits so long for another message.
const LINGERS: u64 = 60_000;

/// What messages of one kind of workers waited, in milliseconds.
#[derive(Debug, Default)]
pub(super) struct Waits {
    own: Vec<u64>,
    best: Vec<u64>,
    /// What they waited beyond two ticks and a start, of workers that need not have let any wait.
    beyond: Vec<u64>,
    /// Containers that ended by themselves, and those of them that had no message.
    ended: (u64, u64),
}

impl Waits {
    pub(super) fn add(&mut self, other: &Self) {
        self.own.extend(&other.own);
        self.best.extend(&other.best);
        self.beyond.extend(&other.beyond);
        self.ended = (self.ended.0 + other.ended.0, self.ended.1 + other.ended.1);
    }

    /// What is too slow, for workers that are as they should be: two ticks and a start beyond.
    pub(super) fn problem(&self) -> Option<String> {
        let beyond = part(&self.beyond, 95);
        let told =
            || format!("p95 {beyond} ms beyond two ticks, a start and some seconds, at best none");
        (0 < beyond).then(told)
    }
}

/// That of a worker.
pub(super) fn waits_of(state: &State, worker: &str) -> Waits {
    let (Some(life), Some(bounds)) = (&state.life, state.watch.bounds.get(worker)) else {
        return Waits::default();
    };
    let (Some(jobs), Some((rule, _))) = (life.jobs(worker), state.watch.waiting.rules.get(worker))
    else {
        return Waits::default();
    };
    let (waits, period) = (life.waits(worker), state.watch.waiting.period);
    let mut sent: Vec<_> = waits.iter().map(|(sent, _)| *sent).collect();
    sent.sort_unstable();
    let works_well = [Habit::Loops, Habit::OneShot].contains(&jobs.habit) && jobs.hanging == 0;
    let healthy = works_well && !life.has_poison(worker);
    let best = Launcher::new((jobs, period), (rule.clone(), bounds.max_containers)).run(&sent);
    // Jobs of one-shot containers that are far shorter than a look are in no count.
    let is_seen = jobs.habit != Habit::OneShot || period <= jobs.lasts.1.max(60_000);
    let is_right = healthy && rule.suits(&jobs) && is_seen && jobs.groups == 0;
    let has_room = part(&best, 95) == 0 && is_right;
    let allowed = 2 * period + jobs.startup.1 + LATE;
    let beyond = waits.iter().map(|(_, waited)| waited.saturating_sub(allowed));
    Waits {
        beyond: beyond.filter(|_| has_room).collect(),
        own: waits.iter().map(|(_, waited)| *waited).collect(),
        best,
        ended: life.ended(worker),
    }
}

/// Lines for whoever reads.
pub(super) fn table(waits: &BTreeMap<&'static str, Waits>) -> Vec<String> {
    let line = |(kind, waits): (&&str, &Waits)| {
        let Waits { own, best, ended: (ended, idle), .. } = waits;
        let idle = format!("{} of {ended}", share(*idle, *ended));
        format!("{kind} | {} | {} | {} | {idle}", own.len(), three(own), three(best))
    };
    let head = "kind of worker | messages | waited p50 / p95 / max min | at best | found nothing";
    let head = (!waits.is_empty()).then(|| head.to_owned());
    head.into_iter().chain(waits.iter().map(line)).collect()
}

/// The median, the 95th percentile and the longest of some times in milliseconds, in minutes.
pub(crate) fn three(times: &[u64]) -> String {
    let minutes = |percent| {
        let tenths = part(times, percent) / 6_000;
        format!("{}.{}", tenths / 10, tenths % 10)
    };
    [50, 95, 100].map(minutes).join(" / ")
}

/// Such as `12.5 %`.
pub(crate) fn share(some: u64, all: u64) -> String {
    let share = 1000 * some / all.max(1);
    format!("{}.{} %", share / 10, share % 10)
}

/// A percentile.
pub(crate) fn part(times: &[u64], percent: usize) -> u64 {
    let mut times = times.to_vec();
    times.sort_unstable();
    let index = (times.len() * percent).div_ceil(100).saturating_sub(1);
    times.get(index).copied().unwrap_or_default()
}

/// Launches so that a container is up when a message comes.
struct Launcher {
    jobs: Jobs,
    /// Between two ticks.
    period: u64,
    rule: Rule,
    most: u64,
    rng: Rng,
    waiting: VecDeque<u64>,
    /// Containers that work, and when each of them is free.
    busy: BinaryHeap<Reverse<u64>>,
    /// Containers that wait for a message, and when they end.
    idle: VecDeque<u64>,
    waits: Vec<u64>,
}

impl Launcher {
    fn new((jobs, period): (Jobs, u64), (rule, most): (Rule, u64)) -> Self {
        Self {
            jobs,
            period,
            rule,
            most,
            rng: Rng::with_seed(1),
            waiting: VecDeque::new(),
            busy: BinaryHeap::new(),
            idle: VecDeque::new(),
            waits: Vec::new(),
        }
    }

    fn run(mut self, sent: &[u64]) -> Vec<u64> {
        for now in sent {
            self.pass(*now);
            self.waiting.push_back(*now);
            if self.idle.pop_back().is_some() || self.has_room() {
                self.serve(*now);
            }
        }
        self.pass(u64::MAX);
        self.waits
    }

    /// Containers become free, up to a time.
    fn pass(&mut self, now: u64) {
        while let Some(Reverse(free)) = self.busy.peek().copied().filter(|Reverse(at)| *at <= now) {
            self.busy.pop();
            let next = match self.jobs.habit {
                // Nobody knew when it would end: another one comes with the next tick.
                Habit::OneShot if !self.waiting.is_empty() => {
                    (free / self.period + 1) * self.period
                        + self.jobs.startup.0.midpoint(self.jobs.startup.1)
                }
                _ => free,
            };
            if self.waiting.is_empty() {
                if self.jobs.habit != Habit::OneShot {
                    self.idle.push_back(free + LINGERS);
                }
            } else {
                self.serve(next);
            }
        }
        self.idle.retain(|ends| now < *ends);
    }

    fn has_room(&self) -> bool {
        let there = u64::try_from(self.busy.len() + self.idle.len()).unwrap();
        let backlog = u64::try_from(self.waiting.len() + self.busy.len()).unwrap();
        there < self.rule.target(backlog).min(self.most)
    }

    fn serve(&mut self, at: u64) {
        let Some(sent) = self.waiting.pop_front() else { return };
        self.waits.push(at.saturating_sub(sent));
        let (shortest, longest) = self.jobs.lasts;
        self.busy.push(Reverse(at + self.rng.u64(shortest..=longest)));
    }
}
