//! The report as metrics: lines of CloudWatch's Embedded Metric Format, which CloudWatch Logs turns
//! into metrics by itself. One line a worker, one for the tick. Pure.
//!
//! What was not read has no metric: it must not look like zero.
//! Source: CloudWatch user guide, "Specification: Embedded metric format".

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::placement::{LOST, NO_DAEMON};
use super::{Launched, Outcome, Report, VERSION, WorkerReport};
use decision::config::Metrics;
use decision::refusal::Cause;
use decision::units::{Containers, Messages, ScalerName, Tasks};

/// The namespace of every metric.
const NAMESPACE: &str = "EcsQueueScaler";

/// CloudWatch API, `Dimension.Value`: 1 to 1024 characters of printable ASCII. A worker's name is
/// much shorter; what is refused for its name may have any.
const LONGEST_DIMENSION: usize = 255;

/// The level that no filter of Lambda's keeps out: it takes a line without a level, or without a time, for
/// INFO. Source: Lambda developer guide, "Log-level filtering".
const LEVEL: &str = "FATAL";

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
enum Unit {
    Count,
    Milliseconds,
    Seconds,
}

/// One line.
struct Line {
    dimensions: Vec<(&'static str, String)>,
    metrics: Vec<(String, Unit, u64)>,
}

/// What a line is of.
struct Of<'a> {
    at: Timestamp,
    version: &'static str,
    tick: Option<&'a str>,
}

impl Report {
    /// The lines of this tick, as far as the configuration wants them.
    pub fn metrics(&self) -> Vec<String> {
        let workers = self.workers.iter().filter(|worker| match self.wanted {
            Metrics::All => true,
            Metrics::Busy => worker.is_busy(),
            Metrics::Off => false,
        });
        let scaler = || ("Scaler", dimension(self.name.as_str()));
        let mut lines: Vec<_> = workers
            .map(|worker| Line {
                dimensions: vec![scaler(), ("Worker", dimension(worker.worker.as_str()))],
                metrics: worker.metrics(),
            })
            .collect();
        if self.wanted != Metrics::Off {
            lines.push(Line { dimensions: vec![scaler()], metrics: self.own_metrics() });
        }
        let of = Of { at: self.at, version: self.version, tick: Some(&self.tick) };
        lines.iter().map(|line| line.rendered(&of)).collect()
    }

    /// The metrics of the tick itself.
    fn own_metrics(&self) -> Vec<(String, Unit, u64)> {
        let totals = &self.totals;
        let workers = |is: fn(&WorkerReport) -> bool| {
            counted(self.workers.iter().filter(|worker| is(worker)).count())
        };
        let deferred: Containers = self.workers.iter().map(|worker| worker.deferred).sum();
        let not_placed: Tasks = self.workers.iter().map(WorkerReport::not_placed).sum();
        let idle = self.workers.iter().filter_map(|worker| worker.alive);
        let idle: Containers = idle.map(|alive| alive.idle).sum();
        let counts = [
            ("Ticks", 1),
            ("WorkersFailed", counted(totals.failed_workers)),
            ("BreakersOpen", workers(|worker| worker.breaker.is_some())),
            ("WorkersAtCap", workers(|worker| worker.at_cap == Some(true))),
            ("WorkersNotServed", workers(WorkerReport::is_not_served)),
            ("TasksLaunched", totals.launched_tasks.0.into()),
            ("ContainersLaunched", totals.launched_containers.0.into()),
            ("ContainersDeferred", deferred.0.into()),
            ("ContainersIdle", idle.0.into()),
            ("LaunchFailures", not_placed.0.into()),
            ("Throttles", totals.throttles),
            ("ApiCalls", totals.api_calls),
        ];
        let counts = counts.into_iter().chain(self.of_instances());
        let counts = counts.map(|(name, count)| (name.to_owned(), Unit::Count, count));
        let duration = ("TickDuration".to_owned(), Unit::Milliseconds, totals.milliseconds);
        let age = ("ConfigAge".to_owned(), Unit::Seconds, self.config.age_seconds);
        counts.chain([duration, age]).collect()
    }

    /// Only where our own scheduler was used.
    fn of_instances(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let faults = self.instances.as_ref().into_iter();
        faults.flat_map(|faults| {
            let with = |word| faults.iter().filter(|t| t.trouble == word).count();
            [("InstancesLost", LOST), ("InstancesWithoutDaemon", NO_DAEMON)]
                .map(|(name, word)| (name, counted(with(word))))
        })
    }
}

impl WorkerReport {
    /// Whether there is anything to see: messages, tasks, or somebody who has to look.
    pub(super) fn is_busy(&self) -> bool {
        let messages = self.depth.is_none_or(|depth| depth.total() != Messages::ZERO);
        let tasks = self.alive.is_some_and(|alive| alive.tasks != Tasks::ZERO);
        messages || tasks || self.outcome != Outcome::Idle
    }

    fn not_placed(&self) -> Tasks {
        self.failures.iter().map(|failed| failed.tasks).sum()
    }

    fn metrics(&self) -> Vec<(String, Unit, u64)> {
        let Self { depth, alive, .. } = self;
        let tasks_were_read = |bool| alive.map(|_| u64::from(bool));
        let without_room = self.placement.as_ref().map(|placed| placed.asked.minus(placed.fit));
        let target = self.decision.as_ref().map(|decision| decision.containers);
        let held_back = self.decision.as_ref().map(|decision| decision.held_back);
        let started = |launched: &Launched| Tasks::counted(launched.tasks.len());
        let tasks: Tasks = self.launched.iter().map(started).sum();
        let each = |launched: &Launched| started(launched).containers(launched.containers_per_task);
        let containers: Containers = self.launched.iter().map(each).sum();
        let metrics = [
            ("QueueVisible", depth.map(|depth| depth.visible.0)),
            ("QueueInFlight", depth.map(|depth| depth.in_flight.0)),
            ("QueueDelayed", depth.map(|depth| depth.delayed.0)),
            ("ContainersAlive", alive.map(|alive| alive.containers.0.into())),
            ("ContainersRunning", alive.map(|alive| alive.running.0.into())),
            ("ContainersStarting", alive.map(|a| a.containers.minus(a.running).0.into())),
            ("ContainersTarget", target.map(|containers| containers.0.into())),
            ("ContainersLaunched", Some(containers.0.into())),
            ("ContainersDeferred", Some(self.deferred.0.into())),
            ("TasksLaunched", Some(tasks.0.into())),
            ("TasksWithoutRoom", without_room.map(|tasks| tasks.0.into())),
            ("TasksStuck", alive.map(|_| counted(self.stuck.len()))),
            // A metric that is always zero costs as much as another.
            ("TasksOutlived", Some(counted(self.outlived.len())).filter(|tasks| *tasks != 0)),
            ("Paused", self.paused.as_ref().map(|_| 1)),
            ("ContainersIdle", alive.map(|alive| alive.idle.0.into())),
            ("LaunchesHeldBack", held_back.map(|containers| containers.0.into())),
            ("BreakerOpen", tasks_were_read(self.breaker.is_some())),
            ("AtCap", self.at_cap.map(u64::from)),
            ("WorkerFailed", Some(self.has_failed().into())),
            ("LaunchFailures", Some(self.not_placed().0.into())),
        ];
        let known = metrics.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        known.chain(self.by_shortage()).map(|(name, value)| (name, Unit::Count, value)).collect()
    }

    /// What ECS did not place, by what it was short of; none for what did not occur.
    fn by_shortage(&self) -> impl Iterator<Item = (String, u64)> {
        let mut by_shortage = BTreeMap::<_, Tasks>::new();
        for failed in &self.failures {
            let tasks = by_shortage.entry(failed.shortage).or_default();
            *tasks = tasks.plus(failed.tasks);
        }
        let named = |(shortage, tasks): (Cause, Tasks)| {
            (format!("LaunchFailures{shortage:?}"), u64::from(tasks.0))
        };
        by_shortage.into_iter().map(named)
    }
}

impl Line {
    fn rendered(&self, of: &Of<'_>) -> String {
        let names: Vec<_> = self.dimensions.iter().map(|(name, _)| name).collect();
        let metric = |(name, unit, _): &(String, Unit, u64)| json!({"Name": name, "Unit": unit});
        let metrics: Vec<_> = self.metrics.iter().map(metric).collect();
        let directive = json!({"Namespace": NAMESPACE, "Dimensions": [names], "Metrics": metrics});
        let aws = json!({"Timestamp": of.at.as_millisecond(), "CloudWatchMetrics": [directive]});
        let mut line = Map::from_iter([
            ("_aws".to_owned(), aws),
            ("level".to_owned(), json!(LEVEL)),
            ("timestamp".to_owned(), json!(of.at)),
        ]);
        // No metrics, but what a query of the log can filter by.
        line.extend(of.tick.map(|tick| ("Tick".to_owned(), json!(tick))));
        line.insert("Version".to_owned(), json!(of.version));
        line.extend(self.dimensions.iter().map(|(name, value)| ((*name).to_owned(), json!(value))));
        line.extend(self.metrics.iter().map(|(name, _, value)| (name.clone(), json!(value))));
        Value::Object(line).to_string()
    }
}

/// A line of counts that belongs to no tick and no worker.
pub(super) fn own_line(scaler: &ScalerName, at: Timestamp, counts: &[(&str, u64)]) -> String {
    let metrics = counts.iter().map(|(name, count)| ((*name).to_owned(), Unit::Count, *count));
    let dimensions = vec![("Scaler", dimension(scaler.as_str()))];
    Line { dimensions, metrics: metrics.collect() }.rendered(&Of {
        at,
        version: VERSION,
        tick: None,
    })
}

/// A text as a dimension may hold it.
fn dimension(text: &str) -> String {
    let legal = |c: char| if c.is_ascii_graphic() { c } else { '?' };
    let value: String = text.chars().map(legal).take(LONGEST_DIMENSION).collect();
    if value.is_empty() { "?".to_owned() } else { value }
}

pub(super) fn counted(things: usize) -> u64 {
    u64::try_from(things).unwrap_or(u64::MAX)
}
