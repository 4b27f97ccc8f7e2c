//! The sentence: event, config, observe, decide, act, report.

mod again;
mod notices;
mod polls;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use lambda_runtime::Diagnostic;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use crate::act::{Acted, act};
use crate::aws::{Aws, NoRegion, ReadCloud};
use crate::drain::{Watch, watch};
use crate::ledger::Ledger;
use crate::observe::{OfTick, get_ready, observe};
use crate::report::{ConfigReport, Measured, Report};
use crate::source::{Kept, Source, SourceError};
use decision::config::{Config, ConfigError, Limits};
use decision::decide::{decide, unowned};
use decision::event::{self, Event, EventError, Mode};
use decision::units::{ScalerName, WorkerName};

pub use notices::Ran;

/// One deployment of the scaler, for the life of its process.
#[derive(Debug)]
pub struct Scaler {
    /// `SCALER_NAME`
    pub name: ScalerName,
    /// The cloud, or why there is none.
    pub aws: Result<Aws, NoRegion>,
    /// The configuration of the deployment.
    pub config: Kept,
    /// What every tick may do; an event can ask for less, never for more.
    pub mode: Mode,
    /// What this process did in earlier ticks.
    pub ledger: Ledger,
}

/// What Lambda says of an invocation beside its event.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// Names it.
    pub request_id: String,
    /// When it began.
    pub now: Timestamp,
    /// When Lambda ends it.
    pub deadline: Instant,
    /// Whether no tick of it was done yet.
    is_first: bool,
}

/// What an invocation has where Lambda does not tell: the template's timeout.
const UNTOLD_TIME: Duration = Duration::from_mins(1);

/// No function may run longer. Source: Lambda quotas, "Function timeout".
const MOST_TIME: Duration = Duration::from_mins(15);

/// No call that prepares starts later; Lambda gives ten seconds.
/// Source: Lambda developer guide, "Lambda execution environment lifecycle".
const PREPARATION: Duration = Duration::from_secs(2);

impl Invocation {
    /// Reads Lambda's clock: `deadline` is in milliseconds since 1970. One that is no time from now
    /// on, as of a local runtime, tells nothing.
    pub fn new(request_id: &str, now: Timestamp, deadline: u64) -> Self {
        let now_ms = u64::try_from(now.as_millisecond()).unwrap_or_default();
        let left = Duration::from_millis(deadline.saturating_sub(now_ms)).min(MOST_TIME);
        let left = if left.is_zero() { UNTOLD_TIME } else { left };
        let deadline = Instant::now() + left;
        Self { request_id: request_id.to_owned(), now, deadline, is_first: true }
    }

    /// Up to when a call may be started, with so much time left for it.
    fn no_call_after(&self, margin: Duration) -> Instant {
        self.deadline.checked_sub(margin).unwrap_or_else(Instant::now)
    }

    /// The same when so much of its time has passed.
    fn after(&self, passed: Duration) -> Self {
        let now = self.now.checked_add(passed).unwrap_or(self.now);
        Self { now, is_first: passed.is_zero(), ..self.clone() }
    }
}

/// Why an invocation fails.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The event is none of ours.
    #[error(transparent)]
    Event(#[from] EventError),
    /// The deployment's configuration is not usable.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The event's configuration is not usable.
    #[error("in the event's workers: {0}")]
    Config(#[from] ConfigError),
    /// The event narrows the tick to a worker that is not configured.
    #[error("`only` names {}, which is no worker; there are {}", quoted(.unknown), quoted(.known))]
    UnknownWorker {
        /// The names that are not there.
        unknown: Vec<WorkerName>,
        /// The names that are.
        known: Vec<WorkerName>,
    },
    /// The schedule's time is long gone.
    #[error(
        "the event is of {tick}, {age} s ago, and maxEventAge is {most} s: it is not acted on, as a \
         later tick has seen the queues since; give `{{\"dryRun\": false}}` for a tick of now"
    )]
    TooOld {
        /// The schedule's time.
        tick: Timestamp,
        /// How long it is gone, in seconds.
        age: i64,
        /// How long it may be, in seconds.
        most: u64,
    },
    /// The schedule's time is still to come.
    #[error(
        "the event is of {tick}, and it is {now}: it is not acted on, as its tasks would end every tick \
         up to then; correct its time, or the clock that is wrong"
    )]
    Early {
        /// The schedule's time.
        tick: Timestamp,
        /// What time it is here.
        now: Timestamp,
    },
    /// The environment names no Region.
    #[error(transparent)]
    NoRegion(#[from] NoRegion),
    /// The tick is done, and somebody has to look at a worker.
    #[error("{0}")]
    Workers(String),
    /// An instance goes away, or a hook holds it, and not all could be done.
    #[error("{0}")]
    Draining(String),
    /// The tick is done by a configuration that somebody has to look at.
    #[error("{0}")]
    Kept(String),
}

impl RunError {
    /// The one of two that an invocation ends with; the other one is logged.
    fn first(failed: Option<Self>, later: Self, of: &Invocation) -> Self {
        let Some(failed) = failed else { return later };
        later.log(&of.request_id);
        failed
    }

    /// One line, unless the report has told it.
    fn log(&self, request_id: &str) {
        if !matches!(self, Self::Workers(_) | Self::Draining(_) | Self::Kept(_)) {
            tracing::error!(request_id, error = %self, "the invocation failed");
        }
    }

    /// What a tick that is done has to complain of.
    fn of(report: &Report) -> Option<Self> {
        let failure = report.failure()?;
        Some(match report.totals.failed_workers {
            0 if report.config.failure().is_some() => Self::Kept(failure),
            0 => Self::Draining(failure),
            _ => Self::Workers(failure),
        })
    }
}

impl Scaler {
    /// Reads the environment's part.
    ///
    /// # Errors
    /// What is wrong with the name.
    pub fn new(name: &str, source: &str, mode: Mode) -> Result<Self, String> {
        Ok(Self {
            name: ScalerName::parse(name)?,
            aws: Err(NoRegion),
            config: Kept::new(Source::parse(source)),
            mode,
            ledger: Ledger::default(),
        })
    }

    /// What can be done before the first event, at the whole processor that Lambda gives to this
    /// phase: the configuration is read, and the queues are found. What does not come in time, or is
    /// wrong, is the first tick's to read again and to tell.
    pub async fn prepare(&self, now: Timestamp) {
        let Ok(aws) = &self.aws else { return };
        let soon = Instant::now() + PREPARATION;
        let cloud = &aws.read.until(soon);
        if let Ok(in_force) = self.config.current(cloud, now).await {
            let ready = get_ready(cloud, &in_force.config.workers);
            let _ = timeout_at(soon, ready).await;
        }
    }

    /// One tick, and what happened to each worker.
    ///
    /// # Errors
    /// When the tick could not begin.
    pub async fn tick(&self, payload: &Value, of: &Invocation) -> Result<Report, RunError> {
        let event = Event::parse(payload, &of.request_id)?;
        self.turn(&event, of).await.map(|(report, _)| report)
    }

    /// The sentence.
    async fn turn(&self, event: &Event, of: &Invocation) -> Result<(Report, Limits), RunError> {
        let started = Instant::now();
        let aws = self.aws.as_ref().map_err(Clone::clone)?;
        let aws = &aws.for_tick(of.now, of.no_call_after(Limits::default().deadline_margin));
        let (config, of_config) = self.config_of(event, (&aws.read, of.now)).await?;
        let known = config.names();
        let config = only(config, &event.only)?;
        if of.is_first {
            refuse_if_late(event, &config, of.now)?;
            refuse_if_early(event, of.now)?;
        }
        let aws = &aws.until(of.no_call_after(config.limits.deadline_margin));

        let delivery = &format!("{} {}", of.request_id, of.now);
        let of_tick = OfTick { scaler: &self.name, tick: &event.tick, delivery, now: of.now };
        let snapshot = Box::pin(observe(&aws.read, &config, &self.ledger, of_tick)).await;
        let plan = decide(&config, &snapshot);
        let troubles = plan.troubles.clone();
        let mode = if self.mode == Mode::DryRun { Mode::DryRun } else { event.mode };
        let acted = match mode {
            Mode::Launch => {
                let mut acted = Box::pin(act(aws, plan)).await;
                Box::pin(again::try_again(aws, (&config, &snapshot), &mut acted)).await;
                let over = of.now.checked_add(started.elapsed()).unwrap_or(of.now);
                self.ledger.remember(&snapshot, &acted, over);
                acted
            }
            Mode::DryRun => plan.workers.into_iter().map(Acted::not).collect(),
        };
        // Of several looks one is enough, and Auto Scaling is not asked more often.
        let scalers = &config.scalers(&self.name);
        let of_hooks = Watch { scaler: &self.name, scalers, mode, snapshot: &snapshot };
        let draining =
            if of.is_first { Box::pin(watch(aws, &config, of_hooks)).await } else { Vec::new() };

        let measured = Measured {
            at: of.now,
            asked: aws.tally(),
            milliseconds: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        let of_tick = (&self.name, &event.tick, of_config);
        let report = Report::new(of_tick, mode, (acted, troubles), (config.metrics, measured));
        // An event's own workers are not all that there are.
        let unowned = if event.config.is_some() { Vec::new() } else { unowned(&known, &snapshot) };
        let request_id = of.request_id.clone();
        let report = Report { draining, request_id, ..report }.with_unowned(unowned);
        Ok((report, config.limits))
    }

    /// The event's own configuration, or the deployment's, which is read where that is due.
    async fn config_of(
        &self,
        event: &Event,
        (cloud, now): (&ReadCloud, Timestamp),
    ) -> Result<(Config, ConfigReport), RunError> {
        if let Some(document) = &event.config {
            let config = Config::of_event(document)?;
            let of_config = ConfigReport::of_event().with_warnings(&config);
            return Ok((config, of_config));
        }
        let in_force = self.config.current(cloud, now).await?;
        let of_config = ConfigReport::new(&in_force, now);
        Ok((Arc::unwrap_or_clone(in_force.config), of_config))
    }
}

/// The configuration narrowed to some of its workers.
fn only(mut config: Config, only: &[WorkerName]) -> Result<Config, RunError> {
    if only.is_empty() {
        return Ok(config);
    }
    let served = config.workers.iter().map(|worker| &worker.name);
    let known: Vec<_> = served.chain(config.refused.iter().map(|r| &r.worker)).cloned().collect();
    let unknown: Vec<_> = only.iter().filter(|name| !known.contains(name)).cloned().collect();
    if !unknown.is_empty() {
        return Err(RunError::UnknownWorker { unknown, known });
    }
    config.workers.retain(|worker| only.contains(&worker.name));
    config.refused.retain(|refused| only.contains(&refused.worker));
    Ok(config)
}

/// A schedule's event that comes late would act for a time that is gone.
fn refuse_if_late(event: &Event, config: &Config, now: Timestamp) -> Result<(), RunError> {
    let Some(tick) = event.tick.instant() else { return Ok(()) };
    let (age, most) = (now.duration_since(tick).as_secs(), config.limits.max_event_age.as_secs());
    // The tick is the beginning of its minute.
    match u64::try_from(age) {
        Ok(seconds) if most < seconds => Err(RunError::TooOld { tick, age, most }),
        _ => Ok(()),
    }
}

/// Tasks that carry a time to come would end their worker's ticks until it is there.
fn refuse_if_early(event: &Event, now: Timestamp) -> Result<(), RunError> {
    match event.tick.instant() {
        Some(tick) if event::is_to_come(tick, now) => Err(RunError::Early { tick, now }),
        _ => Ok(()),
    }
}

fn quoted(names: &[WorkerName]) -> String {
    const TOLD: usize = 50;
    let quoted: Vec<_> = names.iter().take(TOLD).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(TOLD) {
        0 => quoted.join(", "),
        more => format!("{} and {more} more", quoted.join(", ")),
    }
}

impl From<RunError> for Diagnostic {
    /// The runtime's own conversion would name the Rust type and tell only the outermost message.
    fn from(error: RunError) -> Self {
        let error_type = match &error {
            RunError::Event(_) => "EventError",
            RunError::Source(_) | RunError::Config(_) | RunError::Kept(_) => "ConfigError",
            RunError::UnknownWorker { .. } => "UnknownWorker",
            RunError::TooOld { .. } => "EventTooOld",
            RunError::Early { .. } => "EventTooEarly",
            RunError::NoRegion(_) => "NoRegion",
            RunError::Workers(_) => "WorkersFailed",
            RunError::Draining(_) => "DrainingFailed",
        };
        Self { error_type: error_type.to_owned(), error_message: error.to_string() }
    }
}
