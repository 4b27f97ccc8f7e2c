//! Days in memory: observe, decide and remember, without an SDK, a request or a document. For what shows
//! itself only in the long run: brakes, the breaker, containers that take nothing. `make days` runs
//! thousands; a test runs a few.

mod day;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use self::day::{Day, Seen};
use crate::soak::{number, say};

/// What days of one kind of workers came to.
#[derive(Debug, Default)]
struct Sum {
    days: u64,
    messages: u64,
    done: u64,
    started: u64,
    idle: u64,
    waits: Vec<u64>,
    /// What the referee found, and the first day and minute of each kind.
    found: BTreeMap<&'static str, (u64, u64, u64)>,
}

impl Sum {
    fn add(&mut self, day: u64, seen: &Seen) {
        self.days += 1;
        self.messages += seen.messages;
        self.done += seen.done;
        self.started += seen.started;
        self.idle += seen.idle;
        self.waits.extend(&seen.waits);
        for (minute, kind) in &seen.found {
            self.found.entry(kind).or_insert((0, day, *minute)).0 += 1;
        }
    }

    fn line(&self, kind: &str) -> String {
        let Self { days, messages, done, started, idle, .. } = self;
        let mut waits = self.waits.clone();
        waits.sort_unstable();
        let part = |percent: usize| waits.get((waits.len() * percent / 100).saturating_sub(1));
        let minutes = |millis: Option<&u64>| {
            let tenths = millis.copied().unwrap_or_default() / 6_000;
            format!("{}.{}", tenths / 10, tenths % 10)
        };
        let waited = [50, 95, 100].map(|percent| minutes(part(percent))).join(" / ");
        let share = 1000 * idle / (*started).max(1);
        let (whole, tenth) = (share / 10, share % 10);
        format!("{kind} | {days} | {messages} | {done} | {waited} | {started} | {whole}.{tenth} %")
    }
}

/// `DAYS=n` runs so many, from `FROM` on; `DAY=n` one, with what the scaler said of it.
#[test]
fn in_days_of_work_no_message_waits_without_a_true_reason() {
    let (first, count) = match number("DAY") {
        Some(day) => (day, 1),
        None => (number("FROM").unwrap_or(0), number("DAYS").unwrap_or(44)),
    };
    let (next, sums) = (AtomicU64::new(first), Mutex::new(BTreeMap::<&str, Sum>::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if first + count <= number {
                        break;
                    }
                    let mut day = Day::new(number);
                    day.run(24 * 60);
                    let (kind, seen) = (day.kind(), day.seen());
                    if count == 1 {
                        say(&seen.log.join("\n"));
                    }
                    sums.lock().unwrap().entry(kind).or_default().add(number, &seen);
                }
            });
        }
    });
    let sums = sums.into_inner().unwrap();
    say("kind | days | messages | done | waited p50 / p95 / max min | containers | found nothing");
    let mut found = 0;
    for (kind, sum) in &sums {
        say(&sum.line(kind));
        for (what, (times, day, minute)) in &sum.found {
            say(&format!("{times:>9} violations: {what}; first: DAY={day}, minute {minute}"));
            found += times;
        }
        assert!(sum.messages <= sum.done + sum.messages / 100, "{kind}: messages are left");
    }
    assert_eq!(found, 0);
}
