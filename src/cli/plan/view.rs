//! A plan as programs get it, and as `--save` keeps it. Nothing of a task definition is in it but sizes,
//! names and settings.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use decision::fargate::MicroDollars;
use decision::snapshot::ReadError;
use decision::units::{Region, RevisionArn};
use decision::variant::Variant;

use crate::cli::deployment::Deployment;
use crate::cli::difference::Difference;
use crate::cli::result::{ConfigResult, State, WorkerResult, total};

/// The name of this shape.
const PLAN_SCHEMA: &str = "queue-scaler.plan";

/// Grows when a field gets another meaning or goes away, never when one is added.
const VERSION: u32 = 1;

/// What a tick of now would do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanView {
    /// `queue-scaler.plan`
    pub schema: String,
    /// Which version of this shape it is.
    pub version: u32,
    /// `SCALER_NAME`: whose tasks count.
    pub scaler: String,
    /// The Lambda function that it is of, where one was named.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub function: Option<String>,
    /// The Region that was read.
    pub region: String,
    /// When, in UTC.
    pub at: String,
    /// Whether the function has answered, which knows what it remembers.
    #[serde(default)]
    pub is_of_function: bool,
    /// Whether the function starts nothing, whatever is planned: its `SCALER_DRY_RUN`.
    #[serde(default)]
    pub starts_nothing: bool,
    /// What it goes by.
    pub config: ConfigResult,
    /// One entry a worker.
    pub workers: Vec<PlannedWorker>,
    /// What else somebody should know: tasks whose worker is not in the configuration, or that another name
    /// has started, and instances to look at.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub notes: Vec<String>,
    /// Over all workers.
    pub totals: Totals,
}

/// What every shape begins with.
#[derive(Deserialize)]
struct Shape {
    schema: String,
    version: u32,
}

/// What a tick of now would do for one worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedWorker {
    /// As the function's result has it.
    #[serde(flatten)]
    pub result: WorkerResult,
    /// How it would be launched, where something would be and this program has planned it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub launch: Option<LaunchView>,
}

/// How a worker would be launched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LaunchView {
    /// What is run, one of each size.
    pub definitions: Vec<DefinitionView>,
    /// The calls, in their order; equal ones stand once.
    pub calls: Vec<CallView>,
    /// About what an hour of these tasks costs on Fargate On-Demand, in millionths of a dollar.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hourly_micro_dollars: Option<u64>,
    /// The Region of the price list.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub price_region: Option<String>,
}

/// Whether a definition has to be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// It is there.
    Existing,
    /// It is registered first.
    New,
    /// Whether it is there could not be read.
    Unread,
}

/// A task definition that is run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DefinitionView {
    /// `family:revision`, or the family of one that is to be registered.
    pub name: String,
    /// Whether it has to be registered.
    pub status: Status,
    /// What it is derived from, where it is to be registered.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub base: Option<String>,
    /// The revision that it takes the place of.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub supersedes: Option<String>,
    /// What `difference` is against.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub compared_with: Option<String>,
    /// What differs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub difference: Option<Difference>,
    /// Why it is not known whether it is there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
}

/// A call that would be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CallView {
    /// `RunTask` or `StartTask`
    pub operation: String,
    /// Tasks that it asks for.
    pub tasks: u64,
    /// What they run.
    pub task_definition: String,
    /// Where: the capacity ladder from its top, or instances.
    pub on: Vec<String>,
    /// How often.
    pub times: u64,
}

/// Sums over all workers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// Workers that were planned.
    pub workers: u64,
    /// Of these, the ones that launch something.
    pub launching: u64,
    /// Containers that are launched.
    pub containers: u64,
    /// In so many tasks.
    pub tasks: u64,
    /// By so many calls; absent where that is not known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub calls: Option<u64>,
    /// Definitions that are registered; absent where that is not known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub registered: Option<u64>,
    /// About what an hour of all these tasks costs on Fargate On-Demand, in millionths of a dollar; absent
    /// where some have no price.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hourly_micro_dollars: Option<u64>,
    /// Workers that owe nothing.
    pub idle: u64,
    /// Workers that somebody has to look at.
    pub attention: Vec<String>,
}

impl PlanView {
    pub(super) fn new(deployment: &Deployment, region: &Region, now: Timestamp) -> Self {
        Self {
            schema: PLAN_SCHEMA.to_owned(),
            version: VERSION,
            scaler: deployment.scaler.name.to_string(),
            function: deployment.function.clone(),
            region: region.to_string(),
            at: now.to_string(),
            is_of_function: false,
            starts_nothing: deployment.starts_nothing,
            config: ConfigResult::default(),
            workers: Vec::new(),
            notes: Vec::new(),
            totals: Totals::default(),
        }
    }

    /// Reads what `--save` has kept.
    ///
    /// # Errors
    /// When it is something else, or of a younger version.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |error: serde_json::Error| format!("it is no plan: {error}");
        // As some editors write it.
        let text = text.trim_start_matches('\u{feff}');
        let Shape { schema, version } = serde_json::from_str(text).map_err(wrong)?;
        if schema != PLAN_SCHEMA || !(1..=VERSION).contains(&version) {
            return Err(format!(
                "it is `{schema}` version {version}, and this program reads `{PLAN_SCHEMA}` up to \
                 version {VERSION}"
            ));
        }
        serde_json::from_str(text).map_err(wrong)
    }

    /// Whether nothing at all could be read.
    pub fn is_unread(&self) -> bool {
        let mut states = self.workers.iter().map(PlannedWorker::state);
        !self.workers.is_empty() && states.all(|state| state == State::Unknown)
    }

    /// Whether something could not be planned, or goes by what is not the newest.
    pub fn is_incomplete(&self) -> bool {
        let has_failed = |worker: &PlannedWorker| !worker.result.errors.is_empty();
        self.config.problem().is_some() || self.workers.iter().any(has_failed)
    }

    /// Whether anything would be started.
    pub fn launches(&self) -> bool {
        self.totals.tasks != 0
    }
}

impl PlannedWorker {
    pub(super) fn state(&self) -> State {
        self.result.state()
    }
}

impl DefinitionView {
    pub(super) fn existing(arn: &RevisionArn) -> Self {
        Self {
            name: arn.family_and_revision().to_owned(),
            status: Status::Existing,
            base: None,
            supersedes: None,
            compared_with: None,
            difference: None,
            error: None,
        }
    }

    pub(super) fn new(variant: &Variant) -> Self {
        Self {
            name: variant.family.to_string(),
            status: Status::New,
            base: Some(variant.base.family_and_revision().to_owned()),
            ..Self::existing(&variant.base)
        }
    }

    pub(super) fn unread(variant: &Variant, error: &ReadError) -> Self {
        Self { status: Status::Unread, error: Some(error.to_string()), ..Self::new(variant) }
    }
}

impl CallView {
    /// Equal calls that follow one another, as one.
    pub(super) fn each_once(calls: impl Iterator<Item = Self>) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for call in calls {
            match all.last_mut() {
                Some(last) if (Self { times: 1, ..last.clone() }) == call => {
                    last.times = last.times.saturating_add(1);
                }
                _ => all.push(call),
            }
        }
        all
    }
}

impl Totals {
    pub(super) fn of(workers: &[PlannedWorker]) -> Self {
        let launching: Vec<_> =
            workers.iter().filter(|worker| worker.result.tasks() != 0).collect();
        let views = || launching.iter().map(|worker| worker.launch.as_ref());
        let registered = |view: &LaunchView| {
            let new = view.definitions.iter().filter(|definition| definition.status == Status::New);
            counted(new.count())
        };
        let calls = |view: &LaunchView| total(view.calls.iter().map(|call| call.times));
        let in_state = |state| workers.iter().filter(move |worker| worker.state() == state);
        let attention = in_state(State::Attention).chain(in_state(State::Unknown));
        Self {
            workers: counted(workers.len()),
            launching: counted(launching.len()),
            containers: total(launching.iter().map(|worker| worker.result.containers())),
            tasks: total(launching.iter().map(|worker| worker.result.tasks())),
            calls: of_all(views().map(|view| view.map(calls))),
            registered: of_all(views().map(|view| view.map(registered))),
            hourly_micro_dollars: of_all(views().map(|view| view?.hourly_micro_dollars)),
            idle: counted(in_state(State::Idle).count()),
            attention: attention.map(|worker| worker.result.worker.clone()).collect(),
        }
    }

    /// The price of an hour, for a person.
    pub(super) fn hourly(&self) -> Option<MicroDollars> {
        self.hourly_micro_dollars.map(MicroDollars)
    }
}

/// A sum that is known where all of its parts are.
fn of_all(mut parts: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    parts.try_fold(0_u64, |sum, part| Some(sum.saturating_add(part?)))
}

fn counted(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
