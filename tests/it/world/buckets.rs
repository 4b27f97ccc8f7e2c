//! The rates of an account, as AWS documents them: so many at once, so many a second.
//! Sources: ECS API reference, "Request throttling for the Amazon ECS API"; ECS developer guide,
//! "AWS Fargate throttling quotas".

use std::collections::BTreeMap;

use serde_json::Value;

use super::weather::rung;

type Row = (&'static str, f64, f64);

const MODIFY: Row = ("cluster resource modify", 100.0, 40.0);
const FARGATE_CALLS: Row = ("Fargate RunTask calls", 20.0, 20.0);
const ON_DEMAND: Row = ("Fargate On-Demand tasks", 100.0, 20.0);
const SPOT: Row = ("Fargate Spot tasks", 100.0, 20.0);

/// What is left in each bucket, and when that was.
#[derive(Debug)]
pub(crate) struct Buckets {
    left: BTreeMap<&'static str, (f64, u64)>,
    /// The part that others of the account take.
    rival: f64,
}

impl Buckets {
    pub(crate) fn new(rival: f64) -> Self {
        Self { left: BTreeMap::new(), rival }
    }

    /// Whether a call passes; one that does not takes nothing.
    pub(super) fn take(
        &mut self,
        operation: &str,
        (input, default): (&Value, &str),
        now: u64,
    ) -> bool {
        let wanted = wanted(operation, input, default);
        let passes = wanted.iter().all(|(row, n)| *n <= self.level(*row, now));
        for (row, n) in wanted.into_iter().filter(|_| passes) {
            let level = self.level(row, now);
            self.left.insert(row.0, (level - n, now));
        }
        passes
    }

    fn level(&self, (name, burst, per_second): Row, now: u64) -> f64 {
        let share = 1.0 - self.rival;
        let Some((level, at)) = self.left.get(name) else { return burst };
        let passed = std::time::Duration::from_millis(now - at).as_secs_f64();
        (level + passed * per_second * share).min(burst)
    }
}

fn wanted(operation: &str, input: &Value, default: &str) -> Vec<(Row, f64)> {
    match operation {
        "RegisterTaskDefinition" | "DeregisterTaskDefinition" => {
            vec![(("task definition modify", 20.0, 1.0), 1.0)]
        }
        "DescribeTaskDefinition" => vec![(("task definition read", 50.0, 20.0), 1.0)],
        "ListTasks" | "DescribeTasks" | "ListContainerInstances" | "DescribeContainerInstances" => {
            vec![(("cluster resource read", 100.0, 20.0), 1.0)]
        }
        "StartTask" | "StopTask" | "UpdateContainerInstancesState" => vec![(MODIFY, 1.0)],
        "TagResource" => vec![(("tag modify", 20.0, 10.0), 1.0)],
        "RunTask" => {
            let count = input["count"].as_f64().unwrap_or(1.0);
            let modify = (MODIFY, 1.0);
            let asked = rung(input);
            match if asked.is_empty() { default } else { asked } {
                "FARGATE" => vec![modify, (FARGATE_CALLS, 1.0), (ON_DEMAND, count)],
                "FARGATE_SPOT" => vec![modify, (FARGATE_CALLS, 1.0), (SPOT, count)],
                _ => vec![modify],
            }
        }
        _ => Vec::new(),
    }
}
