//! The other half of the referee, for what can be wrong in a day of one worker.

use decision::config::Metrics;
use decision::event::{Mode, Tick};
use decision::outcome::WorkerOutcome;
use decision::units::ScalerName;
use ecs_queue_scaler::report::{
    ConfigReport, Measured, Report, TickOutcome, WaitsFor, WorkerReport,
};

use super::{Container, Day, MINUTE, STUCK_AFTER};
use crate::world::life::Habit;
use crate::world::life::work::Work;

/// A container that hangs is expected to take something for so long.
const PATIENCE: u64 = 15 * MINUTE;

/// A container that has run for so long does run.
const WELL: u64 = 2 * MINUTE;

/// As long as what came out badly says something about what is started next.
const TELLS: u64 = 60 * MINUTE;

/// For so long the brake may err where messages were received and not deleted.
const ERRS_FOR: u64 = 5 * MINUTE;

impl Day {
    /// The other half of the referee, for what can be wrong here.
    pub(super) fn judge(
        &mut self,
        (minute, now): (u64, u64),
        started: u64,
        acted: Vec<WorkerOutcome>,
    ) {
        let before = self.containers.len() - usize::try_from(started).unwrap();
        let there: Vec<_> = self.containers[self.oldest..before].iter().collect();
        let is_useful = |c: &&&Container| match c.started {
            _ if c.ended.is_some() => false,
            Some(began) => !c.hangs || now < began + PATIENCE,
            None => now < c.created + STUCK_AFTER + 2 * MINUTE,
        };
        let useful = there.iter().filter(is_useful).count();
        let running = there.iter().filter(is_useful).filter(|c| c.started.is_some()).count();
        if is_more_in_flight(&self.work, running) {
            self.unheld = Some(now);
        }
        let braked = self.braked.take();
        let (receivable, oldest) = self.work.receivable();
        let Some(oldest) = oldest else { return };
        let target = receivable + self.work.in_flight.min(u64::try_from(running).unwrap());
        let starting = u64::try_from(useful - running).unwrap();
        let owed = target.saturating_sub(u64::try_from(useful).unwrap());
        let owed = owed.min(receivable.saturating_sub(starting));
        let waits = now.saturating_sub(oldest);
        if owed <= started || waits < self.work.jobs.startup.1 + 2 * MINUTE + 10_000 {
            return;
        }
        let report = report(minute, acted);
        self.log.push(format!(
            "{minute:>5} {owed} owed, {:?}: {:?}",
            report.waits_for, report.decision
        ));
        let is_braked = started == 0 && report.waits_for.contains(&WaitsFor::Progress);
        if is_braked && !is_fruitless(&there, now) {
            self.braked = braked.or(Some(now));
        }
        let truths =
            report.waits_for.iter().map(|word| self.is_true(*word, (&there, started), now));
        let truths: Vec<_> = truths.collect();
        if truths.is_empty() {
            self.found.push((minute, "waits without a reason"));
        } else if truths.contains(&false) {
            self.found.push((minute, "a reason that is not true"));
        }
        let nothing = useful == 0 && started == 0;
        if nothing && !report.is_not_served() {
            self.found.push((minute, "not served, and not told"));
        }
    }

    fn is_true(&self, word: WaitsFor, (there, started): (&[&Container], u64), now: u64) -> bool {
        let alive = there.iter().filter(|c| c.ended.is_none());
        let alive = u64::try_from(alive.count()).unwrap() + started;
        match word {
            WaitsFor::MaxContainers => self.most <= alive,
            WaitsFor::Canary => 3 <= failures(there, now),
            // Some of them were let through: by what moved, which no count tells exactly.
            WaitsFor::Progress => {
                0 < started || is_fruitless(there, now) || self.seems_to_fail(now)
            }
            _ => false,
        }
    }

    /// Whether messages were lately in flight that nobody held: received and not deleted, as those of
    /// poison are. Who crashes with a message leaves it so for a visibility timeout. It comes back when
    /// the last containers to be judged are those that did not crash; that it will be done this time is
    /// in no count, and the brake tries it with one container, and with the others a pause or two later:
    /// four minutes after the last look at it in flight, in 10,000 days. For longer, nothing excuses who
    /// lets nobody through while containers move messages.
    fn seems_to_fail(&self, now: u64) -> bool {
        let lately = |at: Option<u64>| at.is_some_and(|at| now < at + ERRS_FOR);
        lately(self.unheld) && lately(self.braked)
    }
}

/// Failures in a row of the last hour, without a success since: one that ended later, or one that runs
/// well and was created no earlier than the newest of them. Who was there before them and goes on to run,
/// such as the last that started before a secret was changed, shows nothing of those that start now, though
/// its two minutes may be over between two failures, or after them: that closes no breaker.
fn failures(there: &[&Container], now: u64) -> usize {
    let ends = there.iter().filter_map(|container| end_of(container, now));
    let mut ends: Vec<_> = ends.filter(|(at, ..)| now < at + TELLS).collect();
    ends.sort_unstable();
    let failed: Vec<_> = ends.iter().rev().take_while(|(_, failed, _)| *failed).collect();
    let newest = failed.iter().map(|(.., created)| *created).max();
    let runs_well = |c: &&Container| {
        let is_well = c.started.is_some_and(|began| began + WELL <= now);
        c.ended.is_none() && is_well && newest <= Some(c.created)
    };
    if there.iter().any(runs_well) { 0 } else { failed.len() }
}

/// When a container came to its end, or became stuck, whether that is a failure, and when it was created.
fn end_of(container: &Container, now: u64) -> Option<(u64, bool, u64)> {
    let Container { created, .. } = *container;
    match (container.started, container.ended) {
        (Some(began), Some((ended, exit))) => {
            Some((ended, exit != 0 && ended < began + WELL, created))
        }
        (Some(_), None) => None,
        (None, _) => {
            let stuck = created + STUCK_AFTER;
            (stuck <= now).then_some((stuck, true, created))
        }
    }
}

/// Whether more messages are in flight than so many containers could hold.
fn is_more_in_flight(work: &Work, running: usize) -> bool {
    let each = match work.jobs.habit {
        Habit::Prefetches(most) => most,
        _ => 1,
    };
    u64::try_from(each * running).unwrap() < work.in_flight
}

/// Whether at least half of the last containers moved no message.
fn is_fruitless(there: &[&Container], now: u64) -> bool {
    let judged = there.iter().filter_map(|c| {
        let judged = c.ended.map(|(ended, _)| ended).or(c.started.map(|s| s + WELL))?;
        (judged <= now).then_some((judged, c.deleted == 0))
    });
    let mut judged: Vec<_> = judged.collect();
    judged.sort_unstable();
    let last: Vec<_> = judged.iter().rev().take(4).collect();
    last.len() <= 2 * last.iter().filter(|(_, fruitless)| *fruitless).count()
}

fn report(minute: u64, acted: Vec<WorkerOutcome>) -> WorkerReport {
    let mut report = Report::new(TickOutcome {
        name: ScalerName::parse("scaler").unwrap(),
        tick: Tick::Request(minute.to_string()),
        request_id: String::new(),
        config: ConfigReport::of_event(),
        mode: Mode::Launch,
        workers: acted,
        faults: None,
        draining: Vec::new(),
        unowned: Vec::new(),
        wanted: Metrics::Off,
        measured: Measured::default(),
    });
    report.workers.remove(0)
}

/// A container that was created at this minute and began half a minute later.
fn since(minute: u64, ended: Option<(u64, i32)>) -> Container {
    let created = minute * MINUTE;
    let started = Some(created + MINUTE / 2);
    Container { created, started, ended, taken: 0, deleted: 0, hangs: false }
}

#[test]
fn who_was_there_before_the_failures_does_not_end_their_row() {
    let failed = |minute: u64| since(minute, Some((minute * MINUTE + 33_000, 1)));
    let with = |other: Container, now: u64| {
        let all = [failed(10), failed(11), failed(12), other];
        failures(&all.iter().collect::<Vec<_>>(), now * MINUTE)
    };
    assert_eq!(with(since(9, None), 13), 3, "its two minutes were over between two of them");
    assert_eq!(with(since(9, None), 60), 3, "and are for long");
    assert_eq!(with(since(12, None), 14), 3, "one that has only begun");
    assert_eq!(with(since(12, None), 15), 0, "one that began with the last of them");
    assert_eq!(with(since(9, Some((13 * MINUTE, 0))), 14), 0, "one that has ended since");
    assert_eq!(with(since(9, Some((11 * MINUTE, 0))), 14), 2, "one that ended between two of them");
    assert_eq!(with(since(9, None), 72), 1, "an hour later");
}
