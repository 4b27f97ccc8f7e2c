//! What came of a notice: the result of its invocation, a log line, and metrics.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use super::steps::HookStep;
use super::{Done, OfNotice, Told};
use crate::log::VERBATIM;
use crate::report::{VERSION, counted, own_line, word};
use decision::config::Metrics;
use decision::event::{Mode, Notice, NoticeKind};
use decision::units::{ClusterName, Ec2InstanceId, InstanceArn, ScalerName, TaskArn, WorkerName};

/// The result of an invocation that a notice made.
#[must_use = "an unread report is not actionable"]
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NoticeReport {
    /// `SCALER_NAME`
    pub name: ScalerName,
    /// What made it.
    pub version: &'static str,
    /// Whether nothing was to be changed.
    pub dry_run: bool,
    /// What woke us; none for Auto Scaling's test.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<NoticeKind>,
    /// The instance that goes away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<Ec2InstanceId>,
    /// What came of it.
    pub outcome: Outcome,
    /// Why nothing was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What the instance is in our clusters.
    pub container_instances: Vec<Place>,
    /// Whose tasks stand there.
    pub workers: Vec<OfWorker>,
    /// What became of the hook that holds the instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook: Option<ToldHook>,
    /// What somebody has to look at.
    pub errors: Vec<String>,
    /// Names the invocation.
    #[serde(skip)]
    pub request_id: String,
    /// When the invocation began.
    #[serde(skip)]
    pub at: Timestamp,
}

/// What came of a notice. The later ones outweigh the earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// It is none of our business, or too late.
    Ignored,
    /// No task was placed there any more before.
    AlreadyDraining,
    /// A dry run would have drained it.
    Planned,
    /// No task is placed there any more.
    Drained,
    /// Something could not be done: see the errors.
    Failed,
}

/// A container instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// Where it is.
    pub cluster: ClusterName,
    /// Which one.
    pub container_instance: InstanceArn,
    /// What ECS said of it before.
    pub was: String,
    /// What came of it.
    pub outcome: Outcome,
    /// Why nothing was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// A worker's tasks on the instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OfWorker {
    /// Whose they are.
    pub worker: WorkerName,
    /// Those that have not ended.
    pub tasks: Vec<TaskArn>,
    /// How many of them were told to end now.
    pub stopped: usize,
}

/// What became of a hook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ToldHook {
    /// The Auto Scaling group.
    pub group: String,
    /// Its name.
    pub name: String,
    /// Whether the ticks answer it.
    pub watched: bool,
    /// Why they do not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What there was and what was done.
pub(super) struct Findings<'a> {
    pub(super) clusters: BTreeSet<&'a ClusterName>,
    pub(super) done: Vec<Done>,
    pub(super) errors: Vec<String>,
}

pub(super) fn report(
    (notice, of): (&Notice, OfNotice<'_>),
    found: Findings<'_>,
    hook: HookStep<'_>,
) -> NoticeReport {
    let Findings { clusters, done, mut errors } = found;
    let is_watched = done.iter().any(|done| done.is_watched);
    let workers = by_worker(&done);
    errors.extend(done.iter().flat_map(|done| done.errors.iter().cloned()));
    let why = (done.is_empty() && errors.is_empty()).then(|| nowhere(notice, &clusters));
    let outcome = done.iter().map(|done| done.outcome).max().unwrap_or(Outcome::Ignored);
    NoticeReport {
        event: Some(notice.kind),
        instance: Some(notice.instance.clone()),
        outcome: if errors.is_empty() { outcome } else { Outcome::Failed },
        why,
        container_instances: done.into_iter().map(place).collect(),
        workers,
        hook: told_hook(hook, is_watched),
        errors,
        ..NoticeReport::empty(of)
    }
}

fn place(done: Done) -> Place {
    let Done { cluster, instance, status, outcome, why, tasks: _, is_watched: _, errors: _ } = done;
    Place { cluster, container_instance: instance, was: status, outcome, why }
}

fn by_worker(done: &[Done]) -> Vec<OfWorker> {
    let mut workers = BTreeMap::<_, Vec<_>>::new();
    for (task, told) in done.iter().flat_map(|done| &done.tasks) {
        workers.entry(task.worker.clone()).or_default().push((task.arn.clone(), *told));
    }
    let workers = workers.into_iter().map(|(worker, tasks)| OfWorker {
        worker,
        stopped: tasks.iter().filter(|(_, told)| *told == Told::ToStop).count(),
        tasks: tasks.into_iter().map(|(arn, _)| arn).collect(),
    });
    workers.collect()
}

/// Late events, and other people's instances.
fn nowhere(notice: &Notice, clusters: &BTreeSet<&ClusterName>) -> String {
    let names: Vec<_> = clusters.iter().map(|cluster| format!("`{cluster}`")).collect();
    let (instance, names) = (&notice.instance, names.join(", "));
    match clusters.len() {
        0 => format!("{instance} was not looked for: no worker that can be served has a cluster"),
        1 => format!("{instance} is no container instance of the cluster {names}, or not any more"),
        _ => {
            format!("{instance} is no container instance of the clusters {names}, or not any more")
        }
    }
}

fn told_hook(hook: HookStep<'_>, is_watched: bool) -> Option<ToldHook> {
    let (hook, why) = match hook {
        HookStep::None => return None,
        HookStep::Watch(hook) if is_watched => (hook, None),
        HookStep::Watch(hook) => (hook, Some("it is left to its own timeout".to_owned())),
        HookStep::Leave(hook, why) => (hook, Some(why)),
    };
    let (group, name) = (hook.group.clone(), hook.name.clone());
    Some(ToldHook { group, name, watched: why.is_none(), why })
}

impl NoticeReport {
    /// Of a try of Auto Scaling's.
    pub fn of_test(of: OfNotice<'_>) -> Self {
        let why = "Auto Scaling tries whether it can send; there is nothing to do".to_owned();
        Self { why: Some(why), ..Self::empty(of) }
    }

    fn empty(of: OfNotice<'_>) -> Self {
        Self {
            name: of.scaler.clone(),
            version: VERSION,
            dry_run: of.mode == Mode::DryRun,
            event: None,
            instance: None,
            outcome: Outcome::Ignored,
            why: None,
            container_instances: Vec::new(),
            workers: Vec::new(),
            hook: None,
            errors: Vec::new(),
            request_id: of.request_id.to_owned(),
            at: of.now,
        }
    }

    /// What somebody has to look at.
    pub fn failure(&self) -> Option<String> {
        let instance = self.instance.as_ref().map(Ec2InstanceId::as_str).unwrap_or_default();
        (!self.errors.is_empty()).then(|| format!("{instance}: {}", self.errors.join("; ")))
    }

    /// The line that CloudWatch makes metrics of, where they are wanted.
    pub fn metrics(&self, wanted: Metrics) -> Option<String> {
        let drained = self.container_instances.iter();
        let drained = drained.filter(|place| place.outcome == Outcome::Drained).count();
        let stopped: usize = self.workers.iter().map(|worker| worker.stopped).sum();
        let counts = [
            ("Notices", 1),
            ("InstancesDrained", counted(drained)),
            ("TasksStopped", counted(stopped)),
            ("NoticesFailed", u64::from(self.outcome == Outcome::Failed)),
        ];
        (wanted != Metrics::Off).then(|| own_line(&self.name, self.at, &counts))
    }

    /// One line, and the metrics in a line of their own.
    pub fn log(&self, wanted: Metrics) {
        if let Some(line) = self.metrics(wanted) {
            tracing::info!(target: VERBATIM, line);
        }
        let instance = self.instance.as_ref().map(Ec2InstanceId::as_str);
        let errors = (!self.errors.is_empty()).then(|| self.errors.join("; "));
        let outcome = word(&self.outcome);
        let workers: Vec<_> = self.workers.iter().map(|of| of.worker.as_str()).collect();
        let places: Vec<_> =
            self.container_instances.iter().map(|p| p.container_instance.as_str()).collect();
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    request_id = self.request_id,
                    scaler.name = self.name.as_str(),
                    version = self.version,
                    dry_run = self.dry_run,
                    notice.event = self.event.map(|kind| kind.to_string()),
                    notice.instance = instance,
                    notice.container_instances = places.join(", "),
                    notice.workers = workers.join(", "),
                    tasks.there = self.workers.iter().map(|w| w.tasks.len()).sum::<usize>(),
                    tasks.stopped = self.workers.iter().map(|w| w.stopped).sum::<usize>(),
                    outcome,
                    why = self.why.as_deref(),
                    error = errors.as_deref(),
                    "notice done: {outcome}"
                )
            };
        }
        if self.outcome == Outcome::Failed { line!(error) } else { line!(info) }
    }
}
