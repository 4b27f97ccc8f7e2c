//! `validate --aws`: whether what a configuration names is there and works together. It reads, and what may
//! not be read is not called wrong.

mod definition;
mod network;
mod permission;
mod queue;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use decision::config::{Config, QueueRef};
use decision::event::{Event, Mode, Tick};
use decision::plan::{Action, Blocked, WorkerPlan};
use decision::refusal::Cause;
use decision::snapshot::{CallError, ErrorKind, ReadError};
use decision::units::{ClusterName, Tasks, WorkerName};
use futures_util::{StreamExt, stream};
use schemars::JsonSchema;
use serde::Serialize;

use super::deployment::{Deployed, Deployment};
use super::plan::{PlanError, elsewhere};
use crate::aws::{FoundImage, Network, QueueSettings, ReadCloud};
use crate::observe::Once;
use crate::run::{Foreseen, Invocation};

/// The name of this shape.
const SCHEMA: &str = "queue-scaler.checks";

/// Grows when a field gets another meaning or goes away, never when one is added.
const VERSION: u32 = 1;

/// Workers that are looked at at once: the rates of ECS are the function's, too.
const AT_ONCE: usize = 8;

/// How a finding is meant, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Level {
    /// It does not work.
    Wrong,
    /// It works, and somebody may not want what comes of it.
    Warning,
    /// It could not be read.
    NotChecked,
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// How it is meant.
    pub level: Level,
    /// What, and what to do.
    pub message: String,
}

/// What was found of a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckedWorker {
    /// Its name.
    pub worker: String,
    /// The worst first; empty where all is good.
    pub findings: Vec<Finding>,
    #[serde(skip)]
    #[schemars(skip)]
    is_held: bool,
}

/// What was found of all workers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChecksView {
    /// `queue-scaler.checks`
    pub schema: String,
    /// Which version of this shape it is.
    pub version: u32,
    /// Where the configuration is from.
    pub source: String,
    /// In the order of the configuration.
    pub workers: Vec<CheckedWorker>,
    /// What is of no worker alone.
    pub findings: Vec<Finding>,
    /// Calls that were made for it.
    pub calls: u64,
}

impl Finding {
    fn new(level: Level, message: impl Into<String>) -> Self {
        Self { level, message: message.into() }
    }

    fn wrong(message: impl Into<String>) -> Self {
        Self::new(Level::Wrong, message)
    }

    fn warning(message: impl Into<String>) -> Self {
        Self::new(Level::Warning, message)
    }

    fn not_checked(what: &str, error: &ReadError) -> Self {
        Self::new(Level::NotChecked, format!("{what} not checked: {error}"))
    }

    /// What could not be read for a reason that says nothing about it is not checked; what AWS refuses
    /// otherwise is wrong.
    fn of_read(error: &ReadError) -> Self {
        match error {
            ReadError::Call(call) if is_answer(call) => Self::wrong(call.to_string()),
            ReadError::Call(_) | ReadError::Answer { .. } | ReadError::Panic => {
                Self::not_checked("it is", error)
            }
            error => Self::wrong(error.to_string()),
        }
    }
}

/// Whether AWS has looked, and said no. Without a code nobody has: there are no credentials, or something on the
/// way has answered.
fn is_answer(call: &CallError) -> bool {
    let unknown = [Cause::Permission, Cause::Credentials, Cause::Clock, Cause::Throttled];
    let is_answered = call.code.is_some() && call.kind == ErrorKind::Refused;
    is_answered && !unknown.contains(&call.cause())
}

/// Looks at all workers of a configuration.
///
/// # Errors
/// Where there is no configuration to go by.
pub async fn check(
    deployment: &Deployment,
    cloud: &ReadCloud,
    invocation: &Invocation,
) -> Result<ChecksView, PlanError> {
    let event = Event {
        tick: Tick::Request("queue-scaler".to_owned()),
        mode: Mode::DryRun,
        check: Some(true),
        config: None,
        only: Vec::new(),
        minimum: BTreeMap::new(),
    };
    let foreseen = Box::pin(deployment.scaler.foresee(&event, invocation, cloud)).await?;
    let looks = &Looks { cloud, deployment, foreseen: &foreseen, once: Shared::default() };
    let workers = stream::iter(&foreseen.plan.workers)
        .map(async |plan| CheckedWorker {
            worker: plan.worker.to_string(),
            findings: looks.of_worker(plan).await,
            is_held: matches!(plan.action, Action::Hold(_)),
        })
        .buffered(AT_ONCE)
        .collect::<Vec<_>>()
        .await;
    let mut permissions = looks.of_permissions().await;
    let workers = workers.into_iter().map(|mut checked| {
        let of_role = permissions.of_workers.remove(&checked.worker.as_str().into());
        checked.findings.extend(of_role.into_iter().flatten());
        CheckedWorker { findings: sorted(checked.findings), ..checked }
    });
    let workers = workers.collect();
    let mut findings = looks.of_deployment().await;
    findings.extend(permissions.of_all);
    let findings = sorted(findings);
    let tally = cloud.tally();
    Ok(ChecksView {
        schema: SCHEMA.to_owned(),
        version: VERSION,
        source: foreseen.config_report.source.clone(),
        workers,
        findings,
        calls: tally.calls.values().sum(),
    })
}

/// The worst first, each once.
fn sorted(findings: Vec<Finding>) -> Vec<Finding> {
    let mut seen = BTreeSet::new();
    let mut findings: Vec<_> =
        findings.into_iter().filter(|finding| seen.insert(finding.clone())).collect();
    findings.sort_by_key(|finding| finding.level);
    findings
}

/// What several workers may name is read once.
#[derive(Default)]
struct Shared {
    roles: Once<String, Option<bool>>,
    caches: Once<crate::aws::EcrImage, bool>,
    images: Once<crate::aws::EcrImage, FoundImage>,
    log_groups: Once<String, bool>,
    secrets: Once<String, bool>,
    networks: Once<(Vec<String>, Vec<String>), Network>,
    providers: Once<ClusterName, Option<Vec<String>>>,
    quotas: Once<bool, f64>,
    queues: Once<QueueRef, QueueSettings>,
}

/// Looks at what a configuration names.
struct Looks<'a> {
    cloud: &'a ReadCloud,
    deployment: &'a Deployment,
    foreseen: &'a Foreseen,
    once: Shared,
}

impl Looks<'_> {
    async fn of_worker(&self, plan: &WorkerPlan) -> Vec<Finding> {
        let mut findings = of_plan(plan);
        let workers = &self.foreseen.config.workers;
        let Some(worker) = workers.iter().find(|worker| worker.name == plan.worker) else {
            return findings;
        };
        findings.extend(Box::pin(self.of_queue(worker, plan)).await);
        findings.extend(Box::pin(self.of_definition(worker, plan)).await);
        findings.extend(Box::pin(self.of_network(worker)).await);
        findings.extend(Box::pin(self.of_capacity(worker)).await);
        findings
    }

    /// What is of no worker alone.
    async fn of_deployment(&self) -> Vec<Finding> {
        let config = &self.foreseen.config;
        let mut findings = of_config(self.foreseen);
        findings.extend(elsewhere(self.foreseen, self.cloud).map(Finding::wrong));
        findings.extend(self.of_time(config));
        findings.extend(Box::pin(self.of_deployed(config)).await);
        findings
    }

    /// A tick that outlasts the schedule's period meets the next one.
    fn of_time(&self, config: &Config) -> Vec<Finding> {
        let Some(timeout) = self.deployment.timeout else { return Vec::new() };
        let (seconds, margin) = (timeout.as_secs(), config.limits.deadline_margin.as_secs());
        let mut findings = Vec::new();
        if seconds <= margin {
            findings.push(Finding::wrong(format!(
                "the function's timeout is {seconds} s and deadlineMargin {margin} s: no call would ever be made"
            )));
        }
        if config.limits.poll_every.is_some() && 60 < seconds {
            findings.push(Finding::warning(format!(
                "pollEvery fills the function's timeout of {seconds} s, which is longer than a schedule of a \
                 minute: its ticks would bear the names of the next event's; make the timeout 60 s"
            )));
        }
        findings
    }

    /// Whether the function goes by the same, where a file was given beside it.
    async fn of_deployed(&self, config: &Config) -> Vec<Finding> {
        let deployed = match &self.deployment.deployed {
            None => return Vec::new(),
            Some(Deployed::Source(deployed)) => deployed,
            Some(Deployed::Packaged(path)) => {
                let message = format!(
                    "what the function goes by is not compared: it is in its package, at `{path}`"
                );
                return vec![Finding::new(Level::NotChecked, message)];
            }
        };
        let in_force = match deployed.current(self.cloud, self.foreseen.snapshot.now).await {
            Ok(in_force) => in_force,
            Err(error) => {
                let message = format!("what is deployed is not compared: {error}");
                return vec![Finding::new(Level::NotChecked, message)];
            }
        };
        let digests = |config: &Config| -> BTreeMap<String, String> {
            config.workers.iter().map(|w| (w.name.to_string(), w.digest())).collect()
        };
        let (here, there) = (digests(config), digests(&in_force.config));
        let names: BTreeSet<_> = here.keys().chain(there.keys()).collect();
        let differing: Vec<_> = names
            .into_iter()
            .filter(|name| here.get(*name) != there.get(*name))
            .map(|name| match (here.get(name), there.get(name)) {
                (Some(_), None) => format!("{name} (new)"),
                (None, _) => format!("{name} (gone)"),
                _ => name.clone(),
            })
            .collect();
        if differing.is_empty() {
            return Vec::new();
        }
        let differing = differing.join(", ");
        vec![Finding::warning(format!("it differs from what the function goes by: {differing}"))]
    }
}

/// What the configuration alone says, which the function may have from elsewhere.
fn of_config(foreseen: &Foreseen) -> Vec<Finding> {
    let Foreseen { config, plan, .. } = foreseen;
    // What is refused of a worker stands beside its name.
    let is_planned = |name: &WorkerName| plan.workers.iter().any(|plan| plan.worker == *name);
    let refused = config.refused.iter().filter(|refused| !is_planned(&refused.worker));
    let mistakes = refused.flat_map(|refused| &refused.problems);
    let mistakes = mistakes.map(|problem| Finding::wrong(problem.to_string()));
    let warnings = config.warnings.iter().map(|problem| Finding::warning(problem.as_warning()));
    mistakes.chain(warnings).collect()
}

/// What a dry run finds of a worker.
fn of_plan(plan: &WorkerPlan) -> Vec<Finding> {
    let mut findings = match &plan.action {
        Action::Hold(error) => vec![Finding::of_read(error)],
        Action::Refuse(refusal) => vec![Finding::wrong(refusal.to_string())],
        Action::Idle(_) | Action::Launch(_) => Vec::new(),
    };
    let Some(check) = &plan.check else { return findings };
    findings.extend(check.blocked.iter().map(|blocked| match blocked {
        Blocked::Read(error) => Finding::of_read(error),
        Blocked::Refused(refusal) => Finding::wrong(refusal.to_string()),
    }));
    findings.extend(check.unregistered.iter().map(|size| Finding::warning(size.to_string())));
    if let Some(largest) = &check.largest {
        findings.extend(largest.cautions.iter().map(|one| Finding::warning(one.to_string())));
        if let Some(placement) = &largest.placement
            && placement.fit == Tasks::ZERO
        {
            let why = placement.why();
            findings.push(Finding::warning(format!("no instance could take a task now: {why}")));
        }
    }
    findings
}

impl ChecksView {
    /// Whether anything does not work.
    pub fn is_wrong(&self) -> bool {
        self.has(Level::Wrong)
    }

    /// Whether no worker could be looked at.
    pub fn is_unread(&self) -> bool {
        !self.workers.is_empty() && self.workers.iter().all(|worker| worker.is_held)
    }

    /// Whether anything is of this level.
    pub fn has(&self, level: Level) -> bool {
        let all = self.workers.iter().flat_map(|worker| &worker.findings).chain(&self.findings);
        all.clone().any(|finding| finding.level == level)
    }
}
