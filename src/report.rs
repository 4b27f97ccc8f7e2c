//! What happened: the result of the invocation, the lines of its log, and metrics. Nothing of a task
//! definition is in any of them but the names of revisions and roles.

mod hook;
mod lines;
mod metrics;
mod notice;
mod placement;
mod waiting;
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::aws::Tally;
use crate::source::InForce;
use decision::config::{Config, Metrics, Pause};
use decision::decide::Unowned;
use decision::event::{Mode, Tick};
use decision::outcome::WorkerOutcome;
use decision::plan::{Alive, Facts, InstanceFault};
use decision::refusal::Cause;
use decision::snapshot::Depth;
use decision::units::{Containers, Messages, ScalerName, TaskArn, Tasks, WorkerName, elapsed};

pub use hook::{HookOutcome, HookReport};
pub use notice::{HookOwnerReport, LeavingReport, NoticeOutcome, NoticeReport, StandingReport};
pub use placement::{InstanceReport, NeedsReport, PlacementReport, Short};
pub use waiting::WaitsFor;

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The result of an invocation.
#[must_use = "an unread report is not actionable"]
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The tick that this was.
    pub tick: String,
    /// `SCALER_NAME`
    pub name: ScalerName,
    /// What made it.
    pub version: &'static str,
    /// Whether nothing was to be changed.
    pub dry_run: bool,
    /// What it went by.
    pub config: ConfigReport,
    /// One entry a worker.
    pub workers: Vec<WorkerReport>,
    /// Container instances that somebody has to look at; absent where our own scheduler was not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instances: Option<Vec<InstanceReport>>,
    /// Over all workers.
    pub totals: Totals,
    /// What was done about instances that a lifecycle hook holds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub draining: Vec<HookReport>,
    /// Tasks of ours whose worker is not in the configuration.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unowned: Vec<Unowned>,
    /// Workers that are not listed, as the result would be too large for an error.
    #[serde(skip_serializing_if = "is_default")]
    pub left_out: usize,
    /// Names the invocation.
    #[serde(skip)]
    pub request_id: String,
    /// When the tick began.
    #[serde(skip)]
    pub at: Timestamp,
    /// What of it becomes metrics.
    #[serde(skip)]
    pub wanted: Metrics,
}

/// All that a tick came to.
#[derive(Clone, Debug)]
pub struct TickOutcome {
    /// `SCALER_NAME`
    pub name: ScalerName,
    /// What names the tick.
    pub tick: Tick,
    /// What names the invocation.
    pub request_id: String,
    /// What it went by.
    pub config: ConfigReport,
    /// Whether anything was to be changed.
    pub mode: Mode,
    /// What came of each worker's plan.
    pub workers: Vec<WorkerOutcome>,
    /// Container instances that somebody has to look at; `None` where our own scheduler was not used.
    pub faults: Option<Vec<InstanceFault>>,
    /// What was done about instances that a lifecycle hook holds.
    pub draining: Vec<HookReport>,
    /// Tasks of ours whose worker is not in the configuration.
    pub unowned: Vec<Unowned>,
    /// What becomes metrics.
    pub wanted: Metrics,
    /// When it was, how long it took, and its calls.
    pub measured: Measured,
}

/// The tick and the invocation that a log line is of.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The tick, as the result names it.
    pub tick: &'a str,
    /// The invocation.
    pub request_id: &'a str,
}

/// What was measured of a tick.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// When it began.
    pub at: Timestamp,
    /// The calls that it made.
    pub tally: Tally,
    /// How long it took.
    pub milliseconds: u64,
}

/// The configuration that a tick went by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigReport {
    /// Where it is from: as `SCALER_CONFIG` says it, `inline` or `event`.
    pub source: String,
    /// Which version it is, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// How long ago its source was checked.
    pub age_seconds: u64,
    /// Why what is newer is not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What it discovered by tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discovery: Option<DiscoveryReport>,
    /// What of it somebody may mean, and most do not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// What was discovered by tags.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DiscoveryReport {
    /// Queues that carry the tag.
    pub queues: usize,
    /// How long ago they were read; absent when that has never worked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<u64>,
    /// Why they could not be read again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What happened to one worker.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerReport {
    /// Its name.
    pub worker: WorkerName,
    /// In one word.
    pub outcome: Outcome,
    /// Its queue, where it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depth: Option<Depth>,
    /// Its tasks before this tick, where they mattered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alive: Option<Alive>,
    /// Why so many, where there was something to decide.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<DecisionReport>,
    /// What that went by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub facts: Option<Box<Facts>>,
    /// Where the tasks had room; absent where ECS places them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placement: Option<PlacementReport>,
    /// What was started, or in a dry run would be.
    pub launched: Vec<Launched>,
    /// What ECS did not place, and why.
    pub failures: Vec<Failed>,
    /// Containers that are owed and wait for the next tick.
    pub deferred: Containers,
    /// Why messages wait although more containers are owed for them; empty where none do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waits_for: Vec<WaitsFor>,
    /// Whether a bound of the configuration keeps containers from messages that wait; absent where
    /// nothing had to be decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_cap: Option<bool>,
    /// That nothing is started for it, as the operator wants it; absent where it is not paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<Pause>,
    /// What a launch would need, where a check was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<CheckReport>,
    /// Why only a canary is started; absent while the circuit breaker is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breaker: Option<String>,
    /// Tasks that have not reached RUNNING for too long.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stuck: Vec<TaskArn>,
    /// Tasks that go on although all of their workers have stopped.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outlived: Vec<TaskArn>,
    /// What went wrong; empty when nothing did.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
    /// What a person may want to know although the worker was served.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// What a launch would need and would be, whether or not one is due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckReport {
    /// The largest launch that the worker's own bounds allow; absent where something is in its way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub largest: Option<String>,
    /// The roles that `PassedRoleArns` has to cover.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub roles: BTreeSet<String>,
    /// The roles that `VolumeRoleArns` has to cover.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub volume_roles: BTreeSet<String>,
}

/// A worker's tick in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// Nothing was owed.
    Idle,
    /// The operator wants nothing started.
    Paused,
    /// All that was planned is there.
    Launched,
    /// Some of it is there.
    Partial,
    /// It is owed, and all of it waits for the next tick: the bounds over all workers are used up.
    Deferred,
    /// A dry run: it would be launched.
    Planned,
    /// Something could not be read, and nothing was done.
    Held,
    /// Something is wrong, or nothing of what was planned is there.
    Failed,
}

/// The arithmetic, in numbers and as a sentence.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DecisionReport {
    /// Messages to answer.
    pub backlog: Messages,
    /// What the policy asks for, in what it counts.
    pub target: u32,
    /// What the policy counts.
    pub counts: Counts,
    /// The target in containers, whatever the policy counts.
    #[serde(skip)]
    pub containers: Containers,
    /// Containers owed.
    pub launch: Containers,
    /// Containers that are owed and held back, because too little moved since the last launches.
    #[serde(skip)]
    pub held_back: Containers,
    /// For a person to check.
    pub why: String,
}

/// What a policy counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Counts {
    /// Worker containers.
    Containers,
    /// Tasks.
    Tasks,
}

/// Tasks with the same number of worker containers.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Launched {
    /// The revision that runs; in a dry run of a derived one, its family.
    pub task_definition: String,
    /// Worker containers in each task.
    pub containers_per_task: Containers,
    /// How many tasks.
    pub count: Tasks,
    /// The tasks; none in a dry run.
    pub tasks: Vec<TaskArn>,
    /// Tasks that an earlier delivery of this tick had started.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub adopted: Vec<TaskArn>,
    /// Whether the revision was registered now.
    pub registered: bool,
}

/// What ECS did not place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failed {
    /// What ECS was short of, or what else kept it, as far as its words say.
    pub shortage: Cause,
    /// ECS's words.
    pub reason: String,
    /// More of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// How many tasks.
    pub tasks: Tasks,
}

/// Sums over all workers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// Workers served or not.
    pub workers: usize,
    /// Tasks started.
    pub launched_tasks: Tasks,
    /// Worker containers in them.
    pub launched_containers: Containers,
    /// Workers with an error.
    pub failed_workers: usize,
    /// Calls of AWS, repetitions included.
    pub api_calls: u64,
    /// The same by the API's name.
    pub calls: BTreeMap<&'static str, u64>,
    /// Of these, the ones that AWS throttled.
    pub throttles: u64,
    /// Tasks of ours whose worker is not in the configuration; absent where there are none.
    #[serde(skip_serializing_if = "is_default")]
    pub unowned_tasks: Tasks,
    /// How long the tick took.
    pub milliseconds: u64,
}

/// Whether a field has nothing to say.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Report {
    /// Puts together what happened.
    pub fn new(outcome: TickOutcome) -> Self {
        let TickOutcome { name, tick, request_id, config, mode, wanted, measured, .. } = outcome;
        let TickOutcome { workers, faults, draining, unowned, .. } = outcome;
        let Measured { at, tally: Tally { calls, throttles }, milliseconds } = measured;
        let workers: Vec<_> =
            workers.into_iter().map(|outcome| worker::report(outcome, mode)).collect();
        let launched = || workers.iter().flat_map(|worker| &worker.launched);
        let started = |launched: &Launched| Tasks::counted(launched.tasks.len());
        let totals = Totals {
            workers: workers.len(),
            launched_tasks: launched().map(started).sum(),
            launched_containers: launched()
                .map(|launched| started(launched).containers(launched.containers_per_task))
                .sum(),
            failed_workers: workers.iter().filter(|worker| worker.has_failed()).count(),
            api_calls: calls.values().sum(),
            calls,
            throttles,
            unowned_tasks: unowned.iter().map(|unowned| unowned.tasks).sum(),
            milliseconds,
        };
        Self {
            tick: tick.to_string(),
            name,
            version: VERSION,
            dry_run: mode == Mode::DryRun,
            config,
            workers,
            instances: faults.map(|faults| faults.iter().map(InstanceReport::from).collect()),
            totals,
            draining,
            unowned,
            left_out: 0,
            request_id,
            at,
            wanted,
        }
    }

    /// What somebody has to look at, a line each; `None` when all were served by a configuration that
    /// is up to date.
    pub fn failure(&self) -> Option<String> {
        let failed = self.workers.iter().filter(|worker| worker.has_failed());
        let mut lines: Vec<_> = failed
            .map(|worker| format!("{}: {}", worker.worker, worker.errors.join("; ")))
            .collect();
        if !lines.is_empty() {
            let (failed, all) = (lines.len(), self.workers.len());
            lines.insert(0, format!("{failed} of {all} workers failed"));
        }
        lines.extend(self.config.failure().map(|why| format!("configuration: {why}")));
        lines.extend(self.draining.iter().filter_map(HookReport::failure));
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    /// The result in one line of at most so many bytes, as it stands in a text of JSON: where it is larger,
    /// only workers are listed, those that failed first, and those that are left out are counted.
    pub fn bounded(&self, most: usize) -> String {
        let whole = serde_json::to_string(self).unwrap_or_default();
        if length(&whole) <= most {
            return whole;
        }
        let mut short = Self {
            config: ConfigReport { warnings: Vec::new(), ..self.config.clone() },
            workers: Vec::new(),
            instances: None,
            draining: Vec::new(),
            unowned: Vec::new(),
            left_out: self.workers.len(),
            ..self.clone()
        };
        let rendered = |report: &Self| serde_json::to_string(report).unwrap_or_default();
        let mut left = most.saturating_sub(length(&rendered(&short)));
        let (failed, others): (Vec<_>, Vec<_>) =
            self.workers.iter().partition(|worker| worker.has_failed());
        for worker in failed.into_iter().chain(others) {
            let size = length(&serde_json::to_string(worker).unwrap_or_default());
            if size <= left {
                left = left.saturating_sub(size);
                short.left_out = short.left_out.saturating_sub(1);
                short.workers.push(worker.clone());
            }
        }
        rendered(&short)
    }
}

/// How long a text is as a value of JSON, its quotes included.
fn length(text: &str) -> usize {
    serde_json::to_string(text).unwrap_or_default().len()
}

fn warnings(config: &Config) -> Vec<String> {
    config.warnings.iter().map(ToString::to_string).collect()
}

impl ConfigReport {
    /// Of an event that brought its own.
    pub fn of_event() -> Self {
        let (version, error, discovery, warnings) = (None, None, None, Vec::new());
        let source = "event".to_owned();
        Self { source, version, age_seconds: 0, error, discovery, warnings }
    }

    /// The same with what is to be said of it.
    #[must_use]
    pub fn with_warnings(self, config: &Config) -> Self {
        Self { warnings: warnings(config), ..self }
    }

    /// Of what is in force.
    pub fn new(in_force: &InForce, now: Timestamp) -> Self {
        let age = |at| elapsed(at, now);
        let discovery = in_force.discovery.as_ref().map(|found| DiscoveryReport {
            queues: found.queues,
            age_seconds: found.checked.map(age).as_ref().map(Duration::as_secs),
            error: found.error.clone(),
        });
        Self {
            source: in_force.source.clone(),
            version: in_force.version.clone(),
            age_seconds: in_force.checked.map(age).unwrap_or_default().as_secs(),
            error: in_force.error.clone(),
            discovery,
            warnings: warnings(&in_force.config),
        }
    }

    pub(crate) fn failure(&self) -> Option<String> {
        let discovery = self.discovery.as_ref().and_then(|found| found.error.as_deref());
        let all = self.error.as_deref().into_iter().chain(discovery);
        let all: Vec<_> = all.collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

impl WorkerReport {
    /// Whether somebody has to look. A shortage that ECS reports under `failures[]` is none, as long
    /// as something was placed: the next tick tries the rest.
    pub fn has_failed(&self) -> bool {
        !self.errors.is_empty()
    }
}

/// A word of the result.
pub(crate) fn word(of: &impl Serialize) -> String {
    let word = serde_json::to_value(of).unwrap_or_default();
    word.as_str().unwrap_or_default().to_owned()
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { shortage: _, reason, detail, tasks } = self;
        write!(f, "{tasks} x {reason}")?;
        match detail {
            Some(detail) => write!(f, " ({detail})"),
            None => Ok(()),
        }
    }
}
