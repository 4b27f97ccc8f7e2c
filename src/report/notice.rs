//! What came of a notice: the result of its invocation, a log line, and metrics.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::metrics::{counted, own_line};
use super::{VERSION, word};
use crate::act::{DrainCalls, DrainOutcome, StopOutcome};
use crate::aws::Drained;
use crate::log::VERBATIM;
use crate::observe::NoticeContext;
use decision::config::Metrics;
use decision::event::{Mode, Notice, NoticeKind};
use decision::plan::{DrainPlan, DrainStep, HookOwner, Leaving, TaskStep};
use decision::snapshot::CallError;
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
    pub outcome: NoticeOutcome,
    /// Why nothing was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What the instance is in our clusters.
    pub container_instances: Vec<LeavingReport>,
    /// Whose tasks stand there.
    pub workers: Vec<StandingReport>,
    /// What becomes of the hook that holds the instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook: Option<HookOwnerReport>,
    /// What somebody has to look at.
    pub errors: Vec<String>,
    /// Names the invocation.
    #[serde(skip)]
    pub request_id: String,
    /// When the invocation began.
    #[serde(skip)]
    pub at: Timestamp,
    /// Whether it becomes metrics.
    #[serde(skip)]
    pub wanted: Metrics,
}

/// What came of a notice. The later ones outweigh the earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum NoticeOutcome {
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

/// What came of a notice for one container instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LeavingReport {
    /// Where it is.
    pub cluster: ClusterName,
    /// Its ARN.
    pub container_instance: InstanceArn,
    /// What ECS said of it before.
    pub was: String,
    /// What came of it.
    pub outcome: NoticeOutcome,
    /// Why nothing was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// A worker's tasks on the instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StandingReport {
    /// Whose they are.
    pub worker: WorkerName,
    /// Those that have not ended.
    pub tasks: Vec<TaskArn>,
    /// How many of them were stopped now.
    pub stopped: usize,
    /// How many of them a dry run would have stopped.
    #[serde(skip_serializing_if = "super::is_default")]
    pub would_stop: usize,
}

/// What becomes of the hook that holds the instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HookOwnerReport {
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

impl NoticeReport {
    /// Puts together what was found and what was done.
    pub fn new(
        notice: &Notice,
        context: NoticeContext<'_>,
        drained: &DrainOutcome,
        stopped: &StopOutcome,
    ) -> Self {
        let DrainPlan { clusters: _, unread, instances, hook } = &drained.plan;
        let mut errors: Vec<_> = unread.iter().map(ToString::to_string).collect();
        let leaving: Vec<_> = instances.iter().map(|leaving| drained.report(leaving)).collect();
        for leaving in instances {
            errors.extend(drained.errors(leaving));
            errors.extend(stopped.errors(leaving));
        }
        let why = (leaving.is_empty() && errors.is_empty()).then(|| nowhere(notice, &drained.plan));
        let outcome = leaving.iter().map(|leaving| leaving.outcome).max();
        let outcome = outcome.unwrap_or(NoticeOutcome::Ignored);
        Self {
            event: Some(notice.kind),
            instance: Some(notice.instance.clone()),
            outcome: if errors.is_empty() { outcome } else { NoticeOutcome::Failed },
            why,
            container_instances: leaving,
            workers: stopped.by_worker(),
            hook: hook.as_ref().map(|owner| drained.owner(owner)),
            errors,
            ..Self::empty(context)
        }
    }
}

/// Late events, and other people's instances.
fn nowhere(notice: &Notice, plan: &DrainPlan) -> String {
    let names: Vec<_> = plan.clusters.iter().map(|cluster| format!("`{cluster}`")).collect();
    let (instance, names) = (&notice.instance, names.join(", "));
    match plan.clusters.len() {
        0 => format!("{instance} was not looked for: no worker that can be served has a cluster"),
        1 => format!("{instance} is not a container instance of the cluster {names}, or no longer"),
        _ => {
            format!("{instance} is not a container instance of the clusters {names}, or no longer")
        }
    }
}

impl DrainOutcome {
    fn drained(&self, leaving: &Leaving) -> Option<&Result<Drained, CallError>> {
        self.calls.get(&leaving.instance)?.drained.as_ref()
    }

    fn report(&self, leaving: &Leaving) -> LeavingReport {
        let Leaving { cluster, instance, status, step } = leaving;
        let (outcome, why) = match (step, self.drained(leaving)) {
            (DrainStep::Drain, None) => (NoticeOutcome::Planned, None),
            (DrainStep::Drain, Some(Ok(Drained::Done))) => (NoticeOutcome::Drained, None),
            (DrainStep::Drain, Some(Ok(Drained::Gone(reason)))) => {
                (NoticeOutcome::Ignored, Some(format!("it is gone ({reason})")))
            }
            (DrainStep::Drain, Some(Err(_))) | (DrainStep::NotYet, _) => {
                (NoticeOutcome::Failed, None)
            }
            (DrainStep::IsDraining, _) => (NoticeOutcome::AlreadyDraining, None),
            (DrainStep::Leaves, _) => {
                (NoticeOutcome::Ignored, Some(format!("it is {status}, and takes no tasks")))
            }
        };
        let (cluster, container_instance) = (cluster.clone(), instance.clone());
        LeavingReport { cluster, container_instance, was: status.clone(), outcome, why }
    }

    /// What went wrong about a container instance that is there still.
    fn errors(&self, leaving: &Leaving) -> Vec<String> {
        let Leaving { instance, status, step, .. } = leaving;
        if !self.there().any(|there| there.instance == *instance) {
            return Vec::new();
        }
        let not_yet = (*step == DrainStep::NotYet).then(|| {
            format!(
                "{instance} is {status} and cannot be drained before it is ACTIVE; the event has to \
                 come again"
            )
        });
        let DrainCalls { drained, marked } = self.calls.get(instance).cloned().unwrap_or_default();
        let drained = drained.and_then(Result::err).map(|error| error.to_string());
        let marked = marked.and_then(Result::err).map(|error| error.to_string());
        let untaggable = match &self.plan.hook {
            Some(HookOwner::Ours { tags: Err(why), .. }) => Some(why.to_string()),
            _ => None,
        };
        not_yet.into_iter().chain(drained).chain(marked).chain(untaggable).collect()
    }

    fn owner(&self, owner: &HookOwner) -> HookOwnerReport {
        let is_marked = |calls: &DrainCalls| matches!(calls.marked, Some(Ok(())));
        let (hook, why) = match owner {
            HookOwner::NotOurs { hook, why } => (hook, Some(why.to_string())),
            HookOwner::Ours { hook, .. } if self.calls.values().any(is_marked) => (hook, None),
            HookOwner::Ours { hook, tags: Ok(_) }
                if self.calls.is_empty() && self.there().next().is_some() =>
            {
                (hook, Some("a dry run marks nothing; otherwise the ticks would answer it".into()))
            }
            HookOwner::Ours { hook, .. } => {
                (hook, Some("it is left to its own timeout".to_owned()))
            }
        };
        let (group, name) = (hook.group.clone(), hook.name.clone());
        HookOwnerReport { group, name, watched: why.is_none(), why }
    }
}

impl StopOutcome {
    /// What went wrong about the tasks of a container instance.
    fn errors(&self, leaving: &Leaving) -> Vec<String> {
        let of_instance = self.plan.instances.iter().find(|it| it.instance == leaving.instance);
        match of_instance.map(|emptying| &emptying.tasks) {
            None => Vec::new(),
            Some(Err(error)) => vec![error.to_string()],
            Some(Ok(tasks)) => {
                let calls = tasks.iter().filter_map(|task| self.calls.get(&task.arn));
                calls.filter_map(|call| Some(call.as_ref().err()?.to_string())).collect()
            }
        }
    }

    fn by_worker(&self) -> Vec<StandingReport> {
        let mut workers = BTreeMap::new();
        let tasks = self.plan.instances.iter().filter_map(|emptying| emptying.tasks.as_ref().ok());
        for task in tasks.flatten() {
            let standing = workers.entry(&task.worker).or_insert_with(|| StandingReport {
                worker: task.worker.clone(),
                tasks: Vec::new(),
                stopped: 0,
                would_stop: 0,
            });
            standing.tasks.push(task.arn.clone());
            match (task.step, self.calls.get(&task.arn)) {
                (TaskStep::Stop, None) => standing.would_stop += 1,
                (TaskStep::Stop, Some(Ok(()))) => standing.stopped += 1,
                (TaskStep::Stop, Some(Err(_))) | (TaskStep::Leave, _) => {}
            }
        }
        workers.into_values().collect()
    }
}

impl NoticeReport {
    /// Of a try of Auto Scaling's.
    pub fn of_test(context: NoticeContext<'_>) -> Self {
        let why = "Auto Scaling tries whether it can send; there is nothing to do".to_owned();
        Self { why: Some(why), ..Self::empty(context) }
    }

    fn empty(context: NoticeContext<'_>) -> Self {
        let NoticeContext { scaler, mode, request_id, now } = context;
        Self {
            name: scaler.clone(),
            version: VERSION,
            dry_run: mode == Mode::DryRun,
            event: None,
            instance: None,
            outcome: NoticeOutcome::Ignored,
            why: None,
            container_instances: Vec::new(),
            workers: Vec::new(),
            hook: None,
            errors: Vec::new(),
            request_id: request_id.to_owned(),
            at: now,
            wanted: Metrics::Off,
        }
    }

    /// What somebody has to look at.
    pub fn failure(&self) -> Option<String> {
        let instance = self.instance.as_ref().map(Ec2InstanceId::as_str).unwrap_or_default();
        (!self.errors.is_empty()).then(|| format!("{instance}: {}", self.errors.join("; ")))
    }

    /// The line that CloudWatch makes metrics of, where they are wanted.
    pub fn metrics(&self) -> Option<String> {
        let drained = self.container_instances.iter();
        let drained = drained.filter(|leaving| leaving.outcome == NoticeOutcome::Drained).count();
        let stopped: usize = self.workers.iter().map(|worker| worker.stopped).sum();
        let counts = [
            ("Notices", 1),
            ("InstancesDrained", counted(drained)),
            ("TasksStopped", counted(stopped)),
            ("NoticesFailed", u64::from(self.outcome == NoticeOutcome::Failed)),
        ];
        (self.wanted != Metrics::Off).then(|| own_line(&self.name, self.at, &counts))
    }

    /// One line, and the metrics in a line of their own.
    pub fn log(&self) {
        if let Some(line) = self.metrics() {
            tracing::info!(target: VERBATIM, line);
        }
        let instance = self.instance.as_ref().map(Ec2InstanceId::as_str);
        let errors = (!self.errors.is_empty()).then(|| self.errors.join("; "));
        let outcome = word(&self.outcome);
        let workers: Vec<_> = self.workers.iter().map(|of| of.worker.as_str()).collect();
        let instances: Vec<_> =
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
                    notice.container_instances = instances.join(", "),
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
        if self.outcome == NoticeOutcome::Failed { line!(error) } else { line!(info) }
    }
}
