//! When what is read next: one read at a time, and at most a quarter of ECS's rate.

use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

/// ECS lets the account read 20 times a second, and the function needs that: a screen takes a quarter.
/// Source: ECS API reference, "Request throttling for the Amazon ECS API".
const CALLS_A_SECOND: u64 = 5;

/// What fails is tried again after twice the time, and then after so much.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// What is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// All workers.
    All,
    /// What waits for them, without the tasks that work on it: queues have a rate of their own.
    Queues,
    /// One worker closely.
    Worker(String),
    /// What stopping a task would mean.
    Stop(Target),
}

/// A task of a worker.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Target {
    /// The worker.
    pub worker: String,
    /// The task's id.
    pub task: String,
}

/// How a read ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With what was asked for.
    Well,
    /// With nothing, or with calls that ECS refused because there were too many.
    Badly,
}

/// How much is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Calls of ECS that the last read of all workers made.
    pub calls_of_ecs: u64,
    /// Calls of SQS that it made.
    pub calls_of_sqs: u64,
    /// Queues of which CloudWatch was asked.
    pub queues: u64,
    /// How long after it the next one begins.
    pub pause: Duration,
    /// How long after it queues are read again.
    pub between: Duration,
}

/// Source: Amazon SQS pricing, standard requests: $0.40 for a million.
const TENTHS_OF_MICRO_DOLLARS_A_CALL_OF_SQS: u64 = 4;

/// Source: Amazon CloudWatch pricing, `GetMetricData`: $0.01 for 1,000 metrics.
pub(in crate::cli) const MICRO_DOLLARS_A_METRIC: u64 = 10;

/// Two of each queue, each minute.
const METRICS_AN_HOUR: u64 = 2 * 60;

impl Reading {
    /// About what an hour of it costs, in millionths of a dollar.
    pub fn hourly_micro_dollars(&self) -> u64 {
        let seconds = self.between.as_secs().max(1);
        let calls = self.calls_of_sqs.saturating_mul(3600) / seconds;
        let metrics = self.queues.saturating_mul(METRICS_AN_HOUR);
        let calls = calls.saturating_mul(TENTHS_OF_MICRO_DOLLARS_A_CALL_OF_SQS) / 10;
        calls.saturating_add(metrics.saturating_mul(MICRO_DOLLARS_A_METRIC))
    }
}

/// What is wanted, and when it may be read.
#[derive(Clone, Debug)]
pub struct Pace {
    every: Duration,
    /// How long after the last read of all the next one begins.
    pause: Duration,
    /// When all is read again.
    next: Instant,
    /// When what waits was read last.
    counted: Instant,
    /// When it is read again alone; none where all is read soon, or nothing could be read.
    queues: Option<Instant>,
    /// Whether the last read of all came to something.
    is_well: bool,
    /// Nothing else is read before: the calls of the last read are paid until then.
    earliest: Instant,
    /// What is being read.
    out: Option<Read>,
    /// What somebody waits for, the newest of each kind.
    all: bool,
    worker: Option<String>,
    stop: Option<Target>,
}

impl Pace {
    /// All is read now, and then at this interval.
    pub fn new(every: Duration, now: Instant) -> Self {
        Self {
            every,
            pause: every,
            next: now,
            counted: now,
            queues: None,
            is_well: false,
            earliest: now,
            out: None,
            all: false,
            worker: None,
            stop: None,
        }
    }

    /// Somebody wants this as soon as it may be read.
    pub fn want(&mut self, read: Read) {
        match read {
            Read::All | Read::Queues => self.all = true,
            Read::Worker(name) => self.worker = Some(name),
            Read::Stop(target) => self.stop = Some(target),
        }
    }

    /// What is to be read now. While the screen is paused, only what somebody wants.
    pub fn begin(&mut self, now: Instant, is_paused: bool) -> Option<Read> {
        if self.out.is_some() {
            return None;
        }
        if now < self.earliest {
            let is_due = !is_paused && self.queues.is_some_and(|at| at <= now);
            self.out = is_due.then_some(Read::Queues);
            return self.out.clone();
        }
        let is_due = self.is_due(now, is_paused);
        let stop = self.stop.take().map(Read::Stop);
        let read = stop.or_else(|| self.worker.take().map(Read::Worker));
        let read = read.or_else(|| is_due.then_some(Read::All))?;
        if read == Read::All {
            self.all = false;
        }
        self.out = Some(read.clone());
        Some(read)
    }

    /// Whether all are to be read next.
    pub fn is_due(&self, now: Instant, is_paused: bool) -> bool {
        self.all || (!is_paused && self.next <= now)
    }

    /// When something may be read, if nothing else happens; none while something is being read.
    pub fn when(&self, is_paused: bool) -> Option<Instant> {
        let is_wanted = self.all || self.worker.is_some() || self.stop.is_some();
        let next = match (is_wanted, is_paused) {
            (true, _) => Some(self.earliest),
            (false, true) => None,
            (false, false) => Some(self.next.max(self.earliest)),
        };
        let queues = self.queues.filter(|_| !is_paused);
        let next = next.map(|next| queues.map_or(next, |queues| queues.min(next)));
        next.filter(|_| self.out.is_none())
    }

    /// A read has ended, after so many calls of ECS.
    pub fn ended(&mut self, now: Instant, calls_of_ecs: u64, ended: Ended) {
        let paid =
            Duration::from_millis(calls_of_ecs.saturating_mul(1000).div_ceil(CALLS_A_SECOND));
        let read = self.out.take();
        if matches!(read, Some(Read::All | Read::Queues)) {
            self.counted = now;
        }
        if read != Some(Read::Queues) {
            self.earliest = now + paid;
        }
        if read == Some(Read::All) {
            let most = LONGEST_PAUSE.max(self.pause);
            self.is_well = ended == Ended::Well;
            self.pause = match ended {
                Ended::Well => self.every.max(paid),
                Ended::Badly => self.pause.saturating_mul(2).min(most).max(paid),
            };
            self.next = now + self.pause;
        }
        let at = now.max(self.counted + self.every);
        let is_long_before = at + self.every / 2 <= self.next.max(self.earliest);
        self.queues = (self.is_well && is_long_before).then_some(at);
    }

    /// How long after the last read of all queues are read again.
    pub fn between(&self) -> Duration {
        let is_in_between = self.is_well && self.every + self.every / 2 <= self.pause;
        if is_in_between { self.every } else { self.pause }
    }

    /// A reading with when the next ones begin.
    pub fn paced(&self, reading: Reading) -> Reading {
        Reading { pause: self.pause(), between: self.between(), ..reading }
    }

    /// How long after the last read of all the next one begins.
    pub fn pause(&self) -> Duration {
        self.pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(5);

    #[test]
    fn what_an_hour_of_it_costs_is_what_the_price_lists_say() {
        let reading = Reading {
            calls_of_ecs: 9,
            calls_of_sqs: 50,
            queues: 50,
            pause: 4 * EVERY,
            between: EVERY,
        };
        // 36,000 calls of SQS and 6,000 metrics.
        assert_eq!(reading.hourly_micro_dollars(), 14_400 + 60_000);
        assert_eq!(Reading::default().hourly_micro_dollars(), 0);
    }

    /// Calls a second that a person makes who leans on all keys.
    #[test]
    fn nobody_reads_more_than_a_quarter_of_the_rate() {
        let begin = Instant::now();
        for (of_all, of_worker) in [(4, 9), (100, 100), (1, 1)] {
            let mut pace = Pace::new(EVERY, begin);
            let (mut now, mut calls) = (begin, 0);
            while now < begin + Duration::from_mins(10) {
                for read in [Read::All, Read::Worker("a".to_owned())] {
                    pace.want(read);
                }
                if let Some(read) = pace.begin(now, false) {
                    assert_eq!(pace.begin(now, false), None, "one at a time");
                    assert_eq!(pace.when(false), None);
                    let made = if read == Read::All { of_all } else { of_worker };
                    calls += made;
                    pace.ended(now, made, Ended::Well);
                }
                now += Duration::from_millis(50);
            }
            let most = 600 * CALLS_A_SECOND + of_all.max(of_worker);
            assert!(calls <= most && most * 8 / 10 <= calls, "{calls} of {most}");
        }
    }

    #[test]
    fn what_fails_is_tried_again_later_and_never_sooner_than_it_is_asked_for() {
        let begin = Instant::now();
        let seconds = |every: u64, calls: u64| {
            let mut pace = Pace::new(Duration::from_secs(every), begin);
            let mut pauses = Vec::new();
            let mut now = begin;
            for _ in 0..6 {
                assert_eq!(pace.begin(now, false), Some(Read::All));
                pace.ended(now, calls, Ended::Badly);
                pauses.push(pace.pause().as_secs());
                now = pace.when(false).unwrap();
            }
            pauses
        };
        assert_eq!(seconds(5, 1), [10, 20, 40, 60, 60, 60]);
        assert_eq!(seconds(3600, 1), [3600; 6]);
        assert_eq!(seconds(5, 600), [120; 6]);
    }

    /// 5,000 tasks take a hundred calls.
    #[test]
    fn queues_are_read_while_the_calls_for_tasks_are_paid() {
        let begin = Instant::now();
        for (calls, is_paused, reads) in [
            (
                100,
                false,
                vec![(5, Read::Queues), (10, Read::Queues), (15, Read::Queues), (20, Read::All)],
            ),
            (30, false, vec![(6, Read::All)]),
            (10, false, vec![(5, Read::All)]),
            (100, true, vec![]),
        ] {
            let mut pace = Pace::new(EVERY, begin);
            assert_eq!(pace.begin(begin, false), Some(Read::All));
            pace.ended(begin, calls, Ended::Well);
            let mut seen = Vec::new();
            while seen.last().is_none_or(|(_, read)| *read == Read::Queues) {
                let Some(now) = pace.when(is_paused) else { break };
                let read = pace.begin(now, is_paused).unwrap();
                assert_eq!(pace.between(), if calls == 100 { EVERY } else { pace.pause() });
                pace.ended(now, 0, Ended::Well);
                seen.push((now.duration_since(begin).as_secs(), read));
            }
            assert_eq!(seen, reads, "{calls}");
        }
        // A worker that is looked at is paid, too: also while that is read what waits is counted.
        let mut pace = Pace::new(EVERY, begin);
        pace.want(Read::Worker("a".to_owned()));
        let mut reads = Vec::new();
        let mut now = begin;
        while now < begin + Duration::from_mins(1) {
            let read = pace.begin(now, false).unwrap();
            let calls = if read == Read::Queues { 0 } else { 100 };
            pace.ended(now, calls, Ended::Well);
            if read == Read::All {
                pace.want(Read::Worker("a".to_owned()));
            }
            reads.push((now.duration_since(begin).as_secs(), read));
            now = pace.when(false).unwrap();
        }
        let counts = reads.iter().filter(|(at, read)| 20 < *at && *read == Read::Queues).count();
        assert!((6..=8).contains(&counts), "{reads:?}");
        let mut pace = Pace::new(EVERY, begin);
        assert_eq!(pace.begin(begin, false), Some(Read::All));
        pace.ended(begin, 100, Ended::Badly);
        let next = pace.when(false).unwrap();
        assert_eq!(pace.begin(next, false), Some(Read::All), "where that failed they would, too");
    }

    #[test]
    fn what_is_paused_reads_only_what_somebody_wants() {
        let begin = Instant::now();
        let mut pace = Pace::new(EVERY, begin);
        assert_eq!((pace.begin(begin, true), pace.when(true)), (None, None));
        pace.want(Read::Worker("a".to_owned()));
        pace.want(Read::Worker("b".to_owned()));
        assert_eq!(pace.begin(begin, true), Some(Read::Worker("b".to_owned())), "the newest");
        pace.ended(begin, 0, Ended::Well);
        assert_eq!(pace.begin(begin, true), None);
        assert_eq!(pace.begin(begin, false), Some(Read::All));
    }
}
