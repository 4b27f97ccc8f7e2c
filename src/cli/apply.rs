//! `apply`: a plan, carried out as it was shown. Here, as a tick of this minute, where no function is; else
//! by the function, which alone knows what it remembers and which alone decides.

mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use decision::event::{Event, Mode, Tick, minute_of};
use decision::snapshot::{CallError, ErrorKind, ReadError};
use decision::units::{Containers, WorkerName};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};

pub use self::text::{Applied, applied};
use super::deployment::{Deployment, TERMINAL};
use super::plan::{PlanError, PlanView, shown, strangers};
use super::result::NoResult;
use crate::aws::{Aws, Invoker, ReadCloud};
use crate::run::{Foreseen, Invocation};

/// A function that runs a tick ends it within a minute, as a rule.
const LONGEST_WAIT: Duration = Duration::from_secs(90);

/// Source: Lambda API reference, `Invoke`, "Errors".
const BUSY: &str = "TooManyRequestsException";

/// Between two tries to reach a function that is busy.
const BETWEEN_TRIES: Duration = Duration::from_secs(2);

/// What was asked for, and what a person vouches for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Only these workers; empty means all.
    pub only: Vec<WorkerName>,
    /// Of these, the ones of which so many containers are to be alive.
    pub minimum: BTreeMap<WorkerName, Containers>,
    /// Whether there is no function that serves them, whatever their tasks say.
    pub no_function: bool,
    /// Whether the name was given, and not taken from a default.
    pub is_name_given: bool,
}

/// Why nothing is applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// There is no plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A function serves these workers.
    #[error(
        "tasks of `{scaler}` were started by {functions}: two that decide at once would both start tasks for the \
         same messages; give --function, so that it is asked to do it, or --no-function if it is gone"
    )]
    Function {
        /// `SCALER_NAME`
        scaler: String,
        /// Which, for a person.
        functions: String,
    },
    /// Whether a function serves them could not be read.
    #[error("whether somebody else serves these workers could not be read: {0}")]
    Unread(#[from] ReadError),
    /// The name may be the wrong one.
    #[error("{}; nothing is started under a name that nobody gave", .0.join("; "))]
    Name(Vec<String>),
    /// The function starts nothing.
    #[error("the function's SCALER_DRY_RUN is true: it starts nothing, whoever asks")]
    StartsNothing,
    /// The function was busy all the time.
    #[error(
        "the function took no invocation for {} s: its one execution ran ticks all the time, or its reserved \
         concurrency is 0; nothing was started ({})",
        LONGEST_WAIT.as_secs(),
        .0
    )]
    Busy(CallError),
    /// The function gave no result.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl From<NoResult> for ApplyError {
    fn from(error: NoResult) -> Self {
        Self::Plan(error.into())
    }
}

/// A plan that can be carried out.
#[derive(Debug)]
pub struct Prepared {
    /// As it is shown.
    pub view: PlanView,
    foreseen: Foreseen,
}

/// Plans a tick of this minute. Nobody else may serve these workers meanwhile, so that is read first.
///
/// # Errors
/// Where there is no plan, or somebody else may serve them.
pub async fn prepare(
    deployment: &Deployment,
    cloud: &ReadCloud,
    asked: &Asked,
    invocation: &Invocation,
) -> Result<Prepared, ApplyError> {
    let event = event(asked, invocation.now);
    let foreseen = Box::pin(deployment.scaler.foresee(&event, invocation, cloud)).await;
    let mut foreseen = foreseen.map_err(PlanError::from)?;
    // What only the function may answer.
    foreseen.plan.hooks.clear();
    if !asked.no_function {
        refuse_beside_a_function(deployment, cloud, invocation.now).await?;
    }
    let strangers = match Box::pin(strangers(deployment, cloud, &foreseen)).await {
        Ok(strangers) => strangers,
        Err(error) if !asked.is_name_given => return Err(ApplyError::Unread(error)),
        Err(_) => Vec::new(),
    };
    if !(asked.is_name_given || strangers.is_empty()) {
        return Err(ApplyError::Name(strangers));
    }
    let mut view = Box::pin(shown(deployment, cloud, &mut foreseen, invocation)).await?;
    view.notes.extend(strangers);
    Ok(Prepared { view, foreseen })
}

/// A second one of the same minute is a second delivery of the same tick.
fn event(asked: &Asked, now: Timestamp) -> Event {
    Event {
        tick: Tick::Scheduled(minute_of(now)),
        mode: Mode::Launch,
        check: Some(false),
        config: None,
        only: asked.only.clone(),
        minimum: asked.minimum.clone(),
    }
}

async fn refuse_beside_a_function(
    deployment: &Deployment,
    cloud: &ReadCloud,
    now: Timestamp,
) -> Result<(), ApplyError> {
    let scaler = &deployment.scaler.name;
    // It may be busy with others of the workers only.
    let in_force = deployment.scaler.config.current(cloud, now).await;
    let config = in_force.map_err(|error| PlanError::Run(error.into()))?.config;
    let names = config.scalers(scaler);
    let clusters: BTreeSet<_> = config.workers.iter().map(|worker| &worker.cluster).collect();
    let mut functions = BTreeSet::new();
    for cluster in clusters {
        functions.extend(Box::pin(cloud.functions_behind(cluster, &names)).await?);
    }
    functions.remove(TERMINAL);
    if functions.is_empty() {
        return Ok(());
    }
    let said = |name: &String| match name.as_str() {
        "" => "a function".to_owned(),
        name => format!("the function `{name}`"),
    };
    let functions: Vec<_> = functions.iter().map(said).collect();
    let (scaler, functions) = (scaler.to_string(), functions.join(" and "));
    Err(ApplyError::Function { scaler, functions })
}

impl Prepared {
    /// Carries out this plan and no other, and gives the result of the tick.
    pub async fn carry_out(self, deployment: &Deployment, aws: &Aws) -> Value {
        let tick = deployment.scaler.carry_out(self.foreseen, aws, Mode::Launch);
        serde_json::to_value(Box::pin(tick).await).unwrap_or_default()
    }
}

/// How the function is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct How {
    /// To plan, or to launch.
    pub mode: Mode,
    /// The time that names its tick. One of its own needs none where its invocations cannot overlap.
    pub tick: Option<Timestamp>,
}

impl How {
    /// To plan.
    pub const PLAN: Self = Self { mode: Mode::DryRun, tick: None };

    /// To launch. Where two invocations of this deployment may overlap, the tick has the minute's name, so that
    /// it and the schedule's are one.
    pub fn launch(deployment: &Deployment, now: Timestamp) -> Self {
        Self { mode: Mode::Launch, tick: deployment.may_overlap.then(|| minute_of(now)) }
    }
}

/// What asks the function for a plan, or has it served: some workers, of which some are to have so many
/// containers. An empty list is refused: it names nobody.
pub fn event_for_function(
    only: &[WorkerName],
    minimum: &BTreeMap<WorkerName, Containers>,
    how: How,
) -> Value {
    let How { mode, tick } = how;
    let mut event = match mode {
        Mode::DryRun => Map::from_iter([("check".to_owned(), json!(false))]),
        Mode::Launch => Map::new(),
    };
    event.insert("dryRun".to_owned(), json!(mode == Mode::DryRun));
    if let Some(tick) = tick {
        event.insert("scheduledTime".to_owned(), json!(tick.to_string()));
    }
    if !only.is_empty() {
        event.insert("only".to_owned(), json!(only));
    }
    if !minimum.is_empty() {
        event.insert("minimum".to_owned(), json!(minimum));
    }
    event.into()
}

/// Has the function do what an event says, and gives its result. While its one execution is busy, it is tried
/// again, for a while; `note` hears that once.
///
/// # Errors
/// When the function is busy all the time, or gives no result.
pub async fn ask_function(
    invoker: &Invoker,
    function: &str,
    event: &Value,
    note: impl Fn(&str),
) -> Result<Value, ApplyError> {
    let began = Instant::now();
    let mut is_noted = false;
    loop {
        let error = match invoker.invoke(function, event).await {
            Ok(result) => return Ok(result),
            Err(error) => error,
        };
        if !(error.kind == ErrorKind::Later && error.code.as_deref() == Some(BUSY)) {
            return result_in(&error).ok_or(ApplyError::Call(error));
        }
        if LONGEST_WAIT <= began.elapsed() {
            return Err(ApplyError::Busy(error));
        }
        if !is_noted {
            note(&format!(
                "{function} is busy with a tick of its own; waiting for its end, {} s at most",
                LONGEST_WAIT.as_secs()
            ));
            is_noted = true;
        }
        pause().await;
    }
}

#[expect(clippy::disallowed_methods, reason = "until the function is free there is nothing to do")]
async fn pause() {
    sleep(BETWEEN_TRIES).await;
}

/// A tick that somebody has to look at fails, and its error ends with the result.
fn result_in(error: &CallError) -> Option<Value> {
    let last = error.message.lines().next_back()?;
    serde_json::from_str(last).ok().filter(Value::is_object)
}
