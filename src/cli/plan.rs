//! `plan`: what a tick of now would do, without doing it.

mod text;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::iter;

use decision::config::{Config, Worker};
use decision::event::{Event, Mode, Tick};
use decision::outcome::WorkerOutcome;
use decision::plan::{Action, Group, LaunchPlan, Revision, Search, Way, WorkerPlan};
use decision::snapshot::{Read, ReadError, Snapshot};
use decision::units::{RevisionArn, TaskDefinitionRef, WorkerName};
use decision::variant::{Recipe, Variant};

pub use self::text::Shown;
pub use self::view::{
    CallView, DefinitionView, LaunchView, PlanView, PlannedWorker, Status, Totals,
};
use super::deployment::Deployment;
use super::difference::difference;
use super::page::short_id;
use super::result::{NoResult, TickResult};
use super::status::is_of_no_queue;
use crate::aws::{Known, ReadCloud};
use crate::report::{Measured, Report, TickOutcome};
use crate::run::{Foreseen, Invocation, RunError, Scaler, unknown_worker};

/// What names the tick of a terminal: none that would be carried out.
pub(super) const TICK: &str = "queue-scaler";

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A worker that was asked for is not configured.
    #[error("asked for {0}")]
    UnknownWorker(String),
    /// The tick ended before it could plan.
    #[error(transparent)]
    Run(RunError),
    /// What was read does not go into tables.
    #[error("the tables cannot be made: {0}")]
    Tables(String),
    /// What it came to is not understood here.
    #[error(transparent)]
    Result(#[from] NoResult),
}

impl From<RunError> for PlanError {
    fn from(error: RunError) -> Self {
        match error {
            RunError::UnknownWorker { unknown, known } => {
                Self::UnknownWorker(unknown_worker(&unknown, &known))
            }
            error => Self::Run(error),
        }
    }
}

/// Plans a tick of now for some of the workers, or for all.
///
/// # Errors
/// Where there is no configuration to go by, or a worker is not in it.
pub async fn plan(
    deployment: &Deployment,
    cloud: &ReadCloud,
    only: &[WorkerName],
    invocation: &Invocation,
) -> Result<PlanView, PlanError> {
    let scaler = &deployment.scaler;
    let mut foreseen = Box::pin(scaler.foresee(&look_at(only), invocation, cloud)).await?;
    // Who may not read them sees that by what else fails.
    let of_others = Box::pin(strangers(deployment, cloud, &foreseen)).await.unwrap_or_default();
    let mut view = Box::pin(shown(deployment, cloud, &mut foreseen, invocation)).await?;
    view.notes.extend(of_others);
    Ok(view)
}

/// What is foreseen, for a person and for programs.
pub(super) async fn shown(
    deployment: &Deployment,
    cloud: &ReadCloud,
    foreseen: &mut Foreseen,
    invocation: &Invocation,
) -> Result<PlanView, NoResult> {
    if deployment.function.is_none() {
        // Whose tasks the others are, only the function's name would say.
        foreseen.plan.workers.iter_mut().for_each(|plan| plan.health.of_others.clear());
    }
    let result = result(&deployment.scaler, foreseen, invocation)?;
    let mut notes = result.notes();
    notes.extend(elsewhere(foreseen, cloud));
    let TickResult { config, workers, .. } = result;
    let mut planned = Vec::new();
    for (result, plan) in workers.into_iter().zip(&foreseen.plan.workers) {
        let worker = foreseen.config.workers.iter().find(|worker| worker.name == plan.worker);
        let launch = match (&plan.action, worker) {
            (Action::Launch(launch), Some(worker)) => {
                Some(Box::pin(Launching { cloud, worker, launch }.view(&foreseen.snapshot)).await)
            }
            _ => None,
        };
        planned.push(PlannedWorker { result, launch });
    }
    let mut view = PlanView::new(deployment, cloud.region(), invocation.now);
    view.config = config;
    view.notes = notes;
    view.totals = Totals::of(&planned);
    view.workers = planned;
    Ok(view)
}

/// What a terminal reads for: a tick that looks at no more than one needs.
pub(super) fn look_at(only: &[WorkerName]) -> Event {
    Event {
        tick: Tick::Request(TICK.to_owned()),
        mode: Mode::DryRun,
        check: Some(false),
        config: None,
        only: only.to_vec(),
        minimum: BTreeMap::new(),
    }
}

/// Source: ECS API reference, `ListTasks`: "up to 100 results".
const A_PAGE: usize = 100;

/// Where another name's tasks of our workers run, this may be the wrong name, under which all of them would be
/// started again; or two scalers answer the same messages.
pub(super) async fn strangers(
    deployment: &Deployment,
    cloud: &ReadCloud,
    foreseen: &Foreseen,
) -> Read<Vec<String>> {
    let Config { workers, refused, .. } = &foreseen.config;
    let own = &deployment.scaler.name;
    let workers = workers
        .iter()
        .flat_map(|worker| iter::once(&worker.name).chain(&worker.previous_names))
        .chain(refused.iter().flat_map(|it| iter::once(&it.worker).chain(&it.previous_names)));
    let mut known = Known {
        scalers: foreseen.config.scalers(own),
        workers: workers.collect(),
        tasks: BTreeSet::new(),
    };
    let (mut lines, mut unread) = (Vec::new(), None);
    for (cluster, tasks) in &foreseen.snapshot.tasks {
        let Ok(tasks) = tasks else { continue };
        let ours = tasks.alive.iter().chain(&tasks.leaving).map(|task| task.arn.as_str());
        known.tasks = ours.collect();
        // A page shows who else is there: where our own would fill it, it says nothing.
        if A_PAGE <= known.tasks.len() {
            continue;
        }
        let own_tasks = if known.tasks.is_empty() {
            format!(", and none that `{own}` has")
        } else {
            format!(" beside those of `{own}`")
        };
        let found = match cloud.strangers(cluster, &known).await {
            Ok(found) => found,
            Err(error) => {
                unread = Some(error);
                continue;
            }
        };
        for (name, tasks) in found {
            let run =
                if tasks.0 == 1 { "1 task runs".to_owned() } else { format!("{tasks} tasks run") };
            let advice = match &deployment.function {
                None => format!("if that is your deployment, give --name {name} or --function"),
                Some(function) => format!(
                    "where {function} was called so before, add {name} to the configuration's `previousNames`; \
                     else two scalers serve workers of the same name"
                ),
            };
            lines
                .push(format!("{run} in {cluster} that `{name}` has started{own_tasks}: {advice}"));
        }
    }
    // What is known of one cluster stands, whatever is of another.
    unread.filter(|_| lines.is_empty()).map_or(Ok(lines), Err)
}

/// Where no queue is there, this may be the wrong Region.
pub(super) fn elsewhere(foreseen: &Foreseen, cloud: &ReadCloud) -> Option<String> {
    let is_missing = |plan: &WorkerPlan| {
        let Action::Hold(ReadError::Call(call)) = &plan.action else { return false };
        is_of_no_queue(call)
    };
    let workers = &foreseen.plan.workers;
    let all_are = !workers.is_empty() && workers.iter().all(is_missing);
    let region = cloud.region();
    all_are.then(|| {
        format!(
            "no queue of these workers is in {region}: if they are in another Region, give --region"
        )
    })
}

/// What the function itself would answer to a dry run. It knows what it remembers, and a terminal does not;
/// how its definitions differ it does not say.
pub fn plan_of_function(
    deployment: &Deployment,
    result: TickResult,
    cloud: &ReadCloud,
    invocation: &Invocation,
) -> PlanView {
    let notes = result.notes();
    let planned: Vec<_> =
        result.workers.into_iter().map(|result| PlannedWorker { result, launch: None }).collect();
    PlanView {
        config: result.config,
        is_of_function: true,
        notes,
        totals: Totals::of(&planned),
        workers: planned,
        ..PlanView::new(deployment, cloud.region(), invocation.now)
    }
}

/// The result of a dry run of what is foreseen.
pub(super) fn result(
    scaler: &Scaler,
    foreseen: &Foreseen,
    invocation: &Invocation,
) -> Result<TickResult, NoResult> {
    let workers = foreseen.plan.workers.iter().cloned().map(WorkerOutcome::not).collect();
    let report = Report::new(TickOutcome {
        name: scaler.name.clone(),
        tick: foreseen.snapshot.tick.clone(),
        request_id: invocation.request_id.clone(),
        config: foreseen.config_report.clone(),
        mode: Mode::DryRun,
        workers,
        faults: foreseen.plan.faults.clone(),
        draining: Vec::new(),
        unowned: foreseen.unowned.clone(),
        wanted: foreseen.config.metrics,
        measured: Measured { at: invocation.now, ..Measured::default() },
    });
    TickResult::parse(&serde_json::to_value(&report).unwrap_or_default())
}

/// A launch that is planned for a worker.
struct Launching<'a> {
    cloud: &'a ReadCloud,
    worker: &'a Worker,
    launch: &'a LaunchPlan,
}

impl Launching<'_> {
    async fn view(&self, snapshot: &Snapshot) -> LaunchView {
        let LaunchPlan { groups, price, .. } = self.launch;
        let mut definitions = Vec::new();
        for group in groups {
            definitions.push(self.definition(group, snapshot).await);
        }
        let calls = groups.iter().zip(&definitions);
        let calls = calls.flat_map(|(group, definition)| self.calls(group, &definition.name));
        LaunchView {
            calls: CallView::each_once(calls),
            hourly_micro_dollars: price.map(|price| price.hourly.0),
            price_region: price.map(|price| price.region.to_owned()),
            definitions,
        }
    }

    async fn definition(&self, group: &Group, snapshot: &Snapshot) -> DefinitionView {
        let (variant, search) = match &group.revision {
            Revision::Registered(arn) => return DefinitionView::existing(arn),
            Revision::Derived(variant, search) => (variant, search),
        };
        let before = match search {
            Search::Found(arn) => return DefinitionView::existing(arn),
            Search::Missing(before) => before.clone(),
            Search::Open => match self.cloud.newest_revision(&variant.family).await {
                Ok(Some(newest)) if newest.has(&variant.digest) => {
                    return DefinitionView::existing(&newest.arn);
                }
                Ok(newest) => newest.map(|newest| newest.arn),
                Err(error) => return DefinitionView::unread(variant, &error),
            },
        };
        self.new_definition(variant, before, snapshot).await
    }

    /// One that would be registered, compared with the one that it supersedes, or else with its base.
    async fn new_definition(
        &self,
        variant: &Variant,
        before: Option<RevisionArn>,
        snapshot: &Snapshot,
    ) -> DefinitionView {
        let mut view = DefinitionView::new(variant);
        let base = snapshot.definitions.get(&self.worker.task_definition);
        let Some(Ok(base)) = base else { return view };
        let Ok(recipe) = Recipe::new(base, self.worker.into()) else { return view };
        let after = variant.document.as_object().cloned().unwrap_or_default();
        let superseded = match &before {
            Some(arn) => self.cloud.definition(&TaskDefinitionRef(arn.to_string())).await.ok(),
            None => None,
        };
        let (name, document) = match &superseded {
            Some(superseded) => (&superseded.arn, &superseded.document),
            None => (&base.arn, &base.document),
        };
        view.supersedes = before.map(|arn| arn.family_and_revision().to_owned());
        view.compared_with = Some(name.family_and_revision().to_owned());
        view.difference = Some(difference(document, &after, recipe.container()));
        view
    }

    fn calls(&self, group: &Group, definition: &str) -> Vec<CallView> {
        let rungs = self.launch.launch.rungs.iter().map(ToString::to_string);
        let rungs: Vec<_> = rungs.collect();
        let calls = group.calls.iter().map(|call| {
            let (operation, on) = match &call.way {
                Way::Run(_) => ("RunTask", rungs.clone()),
                Way::Pin(_, pin) => ("RunTask", vec![pin.ec2.to_string()]),
                Way::Start(instances) => (
                    "StartTask",
                    instances.iter().map(|arn| short_id(arn.as_str()).to_owned()).collect(),
                ),
            };
            CallView {
                operation: operation.to_owned(),
                tasks: u64::from(call.tasks.0),
                task_definition: definition.to_owned(),
                on,
                times: 1,
            }
        });
        calls.collect()
    }
}
