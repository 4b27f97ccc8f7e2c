//! Counts calls: how many of each API, how many one after the other, and how many of them AWS would
//! have refused.

use std::collections::BTreeMap;
use std::time::Duration;

/// A row of AWS's rates: how many at once, how many a second.
type Row = (&'static str, f64, f64);

/// What was asked since the tick began.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Calls by API.
    pub calls: BTreeMap<String, u64>,
    /// The most calls that came one after the other's answer.
    pub chain: u32,
    /// Calls that came when a rate of AWS was used up. They are answered all the same.
    pub refused: u64,
    /// The largest part of what may be read at once that was ever used up.
    pub drained: f64,
    /// Connections that were opened.
    pub opened: u64,
    /// The greatest depth of a call that is answered.
    answered: u32,
    /// What is left of each rate, and when that was.
    left: BTreeMap<&'static str, (f64, Duration)>,
    /// What was taken of each rate.
    taken: BTreeMap<&'static str, (Row, f64)>,
}

impl Tally {
    /// A call has come in; `time` since any fixed moment. Its depth is one more than the greatest
    /// among the calls that were answered before: it may have waited for any of them.
    pub fn arrived(&mut self, operation: &str, rows: &[(Row, f64)], time: Duration) -> u32 {
        *self.calls.entry(operation.to_owned()).or_default() += 1;
        self.refused += u64::from(!self.take(rows, time));
        let depth = self.answered + 1;
        self.chain = self.chain.max(depth);
        depth
    }

    /// A call's answer goes out.
    pub fn answered(&mut self, depth: u32) {
        self.answered = self.answered.max(depth);
    }

    /// All calls.
    pub fn total(&self) -> u64 {
        self.calls.values().sum()
    }

    /// What AWS's rates add to the least time of these calls, each from a full bucket: the time
    /// until the rate that is used most has given what was taken of it.
    pub fn wait_for_rates(&self) -> Duration {
        let waits = self.taken.values().map(|((_, burst, rate), n)| (n - burst).max(0.0) / rate);
        Duration::from_secs_f64(waits.fold(0.0, f64::max))
    }

    /// Whether the rates would let a call pass; one that does not takes nothing.
    fn take(&mut self, rows: &[(Row, f64)], time: Duration) -> bool {
        for (row, n) in rows {
            self.taken.entry(row.0).or_insert((*row, 0.0)).1 += n;
        }
        let passes = rows.iter().all(|(row, n)| *n <= self.level(*row, time));
        for (row, n) in rows.iter().filter(|_| passes) {
            let level = self.level(*row, time) - n;
            self.left.insert(row.0, (level, time));
            if row.0.ends_with(" read") {
                self.drained = self.drained.max(1.0 - level / row.1);
            }
        }
        passes
    }

    fn level(&self, (name, burst, rate): Row, time: Duration) -> f64 {
        let Some((level, at)) = self.left.get(name) else { return burst };
        (level + time.saturating_sub(*at).as_secs_f64() * rate).min(burst)
    }
}

/// What a call takes of AWS's rates.
/// Sources: ECS API reference, "Request throttling for the Amazon ECS API"; ECS developer guide,
/// "AWS Fargate throttling quotas".
pub fn rows(operation: &str, tasks: u64, fargate: bool) -> Vec<(Row, f64)> {
    match operation {
        "RegisterTaskDefinition" | "DeregisterTaskDefinition" => {
            vec![(("task definition modify", 20.0, 1.0), 1.0)]
        }
        "DescribeTaskDefinition" => vec![(("task definition read", 50.0, 20.0), 1.0)],
        "ListTasks" | "DescribeTasks" => vec![(("cluster resource read", 100.0, 20.0), 1.0)],
        "RunTask" => {
            let mut rows = vec![(("cluster resource modify", 100.0, 40.0), 1.0)];
            if fargate {
                rows.push((("Fargate RunTask calls", 20.0, 20.0), 1.0));
                rows.push((("Fargate On-Demand tasks", 100.0, 20.0), tasks as f64));
            }
            rows
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;

    #[test]
    fn calls_side_by_side_are_one_link_and_an_answer_before_a_call_is_the_next() {
        let mut tally = Tally::default();
        let first = tally.arrived("GetQueueAttributes", &[], NOW);
        let beside = tally.arrived("GetQueueAttributes", &[], NOW);
        assert_eq!((first, beside, tally.chain), (1, 1, 1));
        tally.answered(first);
        let second = tally.arrived("ListTasks", &[], NOW);
        tally.answered(beside);
        let beside = tally.arrived("DescribeTaskDefinition", &[], NOW);
        assert_eq!((second, beside), (2, 2), "the answer of a first call leads to no third link");
        tally.answered(second);
        assert_eq!(tally.arrived("RunTask", &[], NOW), 3);
        assert_eq!((tally.chain, tally.total()), (3, 5));
        assert_eq!(tally.calls.get("GetQueueAttributes"), Some(&2));
    }

    #[test]
    fn what_comes_above_a_rate_is_counted_until_the_rate_has_refilled() {
        let mut tally = Tally::default();
        let mut register = |millis| {
            let rows = rows("RegisterTaskDefinition", 0, false);
            tally.arrived("RegisterTaskDefinition", &rows, Duration::from_millis(millis));
            tally.refused
        };
        assert_eq!((0..20).map(|_| register(0)).max(), Some(0), "a burst of twenty passes");
        assert_eq!(register(0), 1);
        assert_eq!(register(900), 2, "a second is not over");
        assert_eq!(register(1000), 2);
        assert_eq!(tally.wait_for_rates(), Duration::from_secs(3), "23 calls, 20 at once");
    }

    #[test]
    fn fargate_counts_calls_and_tasks_and_ec2_calls_only() {
        let wait = |fargate| {
            let mut tally = Tally::default();
            for _ in 0..30 {
                tally.arrived("RunTask", &rows("RunTask", 10, fargate), NOW);
            }
            tally.wait_for_rates()
        };
        assert_eq!(wait(true), Duration::from_secs(10), "300 tasks, 100 at once, 20 a second");
        assert_eq!(wait(false), Duration::ZERO);
    }
}
