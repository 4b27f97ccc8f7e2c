//! The sentence: event, config, observe, decide, act, report.

mod again;
mod notices;
mod polls;
mod ran;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::join;
use jiff::Timestamp;
use lambda_runtime::Diagnostic;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use crate::act::{AnswerOutcome, Executor, answer};
use crate::aws::{Aws, NoRegion, ReadCloud};
use crate::ledger::Ledger;
use crate::observe::{get_ready, observe};
use crate::report::{ConfigReport, HookReport, Measured, NoticeReport, Report, TickOutcome};
use crate::source::{Current, Source, SourceError};
use decision::config::{Config, ConfigError, Limits, nearest};
use decision::decide::{Unowned, decide, unowned};
use decision::event::{self, Event, EventError, Mode, Woken};
use decision::limits;
use decision::outcome::WorkerOutcome;
use decision::plan::Plan;
use decision::redaction::cut;
use decision::snapshot::{Snapshot, TickContext};
use decision::units::{Containers, ScalerName, WorkerName};

pub use ran::{InvokedBy, Ran};

/// The name of a scaler whose environment gives none.
pub const DEFAULT_NAME: &str = "ecs-queue-scaler";

/// Where its configuration is then.
pub const DEFAULT_SOURCE: &str = "file:workers.yaml";

/// One deployment of the scaler, for the life of its process.
#[derive(Debug)]
pub struct Scaler {
    /// `SCALER_NAME`
    pub name: ScalerName,
    /// The cloud, or why there is none.
    pub aws: Result<Aws, NoRegion>,
    /// The configuration of the deployment.
    pub config: Current,
    /// What every tick may do; an event can ask for less, never for more.
    pub mode: Mode,
    /// The name of the Lambda function.
    pub function: String,
    /// Whether its invocations may overlap: no execution is reserved that keeps two ticks apart.
    pub may_overlap: bool,
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

/// A tick up to where it would change something.
#[derive(Debug)]
pub struct Foreseen {
    /// The configuration, narrowed to the workers that were asked for.
    pub config: Config,
    /// Where that is from.
    pub config_report: ConfigReport,
    /// Tasks of ours whose worker is not in the configuration.
    pub unowned: Vec<Unowned>,
    /// What was read.
    pub snapshot: Snapshot,
    /// What is to be done.
    pub plan: Plan,
    invocation: Invocation,
    /// When it began, by the clock that nobody sets.
    began: Instant,
}

/// Of the 256 KiB that a queue for failed events takes: what an error says in words, and then as a result, in
/// bytes. The rest is for what Lambda puts around it.
/// Source: Lambda developer guide, "Retaining records of asynchronous invocations".
const MOST_WORDS: usize = 32 << 10;
const MOST_RESULT: usize = 128 << 10;

/// Two invocations that see the same messages would both start tasks for them.
const POLLS_OVERLAP: &str = "pollEvery is not heeded: it needs the reserved execution (template: \
                             ReserveConcurrency=yes), without which its ticks would overlap the next \
                             invocation's";

/// What an invocation has where Lambda does not say: the template's timeout.
const DEFAULT_TIME: Duration = Duration::from_mins(1);

/// No call that prepares starts later; Lambda gives ten seconds.
/// Source: Lambda developer guide, "Lambda execution environment lifecycle".
const PREPARATION: Duration = Duration::from_secs(2);

impl Invocation {
    /// Reads Lambda's clock: `deadline` is in milliseconds since 1970. One that is no time from now
    /// on, as of a local runtime, says nothing.
    pub fn new(request_id: &str, now: Timestamp, deadline: u64) -> Self {
        let now_ms = u64::try_from(now.as_millisecond()).unwrap_or_default();
        let left =
            Duration::from_millis(deadline.saturating_sub(now_ms)).min(limits::FUNCTION_TIMEOUT);
        let left = if left.is_zero() { DEFAULT_TIME } else { left };
        let deadline = Instant::now() + left;
        Self { request_id: request_id.to_owned(), now, deadline, is_first: true }
    }

    /// Up to when a call may be started, with so much time left for it.
    fn no_call_after(&self, margin: Duration) -> Instant {
        self.deadline.checked_sub(margin).unwrap_or_else(Instant::now)
    }

    /// The same when so much of its time has passed.
    fn after(&self, passed: Duration) -> Self {
        Self { now: self.now_after(passed), is_first: passed.is_zero(), ..self.clone() }
    }

    /// The time when so much of its own has passed.
    fn now_after(&self, passed: Duration) -> Timestamp {
        self.now.checked_add(passed).unwrap_or(self.now)
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
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The event narrows the tick to a worker that is not configured.
    #[error("`only` names {}", unknown_worker(.unknown, .known))]
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
    /// All was tried, and somebody has to look: at a worker, at the configuration, or at an instance that
    /// goes away.
    #[error("{}", .ran.failure().unwrap_or_default())]
    Done {
        /// What it came to.
        ran: Box<Ran>,
        /// Who invoked it.
        by: InvokedBy,
    },
}

impl RunError {
    /// The one of two that an invocation ends with; the other one is logged.
    fn first(failed: Option<Ran>, later: Self, invocation: &Invocation) -> Self {
        let Some(failed) = failed else { return later };
        later.log(&invocation.request_id);
        // Only a schedule's invocation has several ticks.
        Self::Done { ran: Box::new(failed), by: InvokedBy::Schedule }
    }

    /// One line, unless the report has said it.
    fn log(&self, request_id: &str) {
        if !matches!(self, Self::Done { .. }) {
            tracing::error!(request_id, error = %self, "the invocation failed");
        }
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
            config: Current::new(Source::parse(source)),
            mode,
            function: "local".to_owned(),
            may_overlap: false,
            ledger: Ledger::default(),
        })
    }

    /// What can be done before the first event, at the whole processor that Lambda gives to this
    /// phase: the configuration is read, and the queues are found. What does not come in time, or is
    /// wrong, is the first tick's to read again and to report.
    pub async fn prepare(&self, now: Timestamp) {
        let Ok(aws) = &self.aws else { return };
        let soon = Instant::now() + PREPARATION;
        let cloud = &aws.read.until(soon);
        if let Ok(in_force) = self.config.current(cloud, now).await {
            let ready = get_ready(cloud, &in_force.config.workers);
            let _ = timeout_at(soon, ready).await;
        }
    }

    /// The one way in: whatever the event asks for. What each tick came to goes to `publish` (the function's
    /// is [`Ran::log`]). All is tried before it fails, if something failed, so that Lambda's error metric
    /// sees it.
    ///
    /// # Errors
    /// As [`RunError`] says.
    pub async fn run(
        &self,
        payload: &Value,
        invocation: &Invocation,
        publish: impl Fn(&Ran),
    ) -> Result<Ran, RunError> {
        let ran = self.woken(payload, invocation, publish).await;
        ran.inspect_err(|error| error.log(&invocation.request_id))
    }

    async fn woken(
        &self,
        payload: &Value,
        invocation: &Invocation,
        publish: impl Fn(&Ran),
    ) -> Result<Ran, RunError> {
        let report = match Woken::parse(payload, &invocation.request_id)? {
            Woken::Tick(event) => return Box::pin(self.ticks(&event, invocation, publish)).await,
            Woken::Notice(notice) => Box::pin(self.notice(&notice, invocation)).await?,
            Woken::Test => NoticeReport::of_test(self.context(invocation)),
        };
        let ran = Ran::Notice(Box::new(report));
        publish(&ran);
        ran.checked(InvokedBy::Schedule)
    }

    /// The cloud with an invocation's own rates, and the time that it has before a configuration says
    /// otherwise.
    fn cloud(&self, invocation: &Invocation) -> Result<Aws, NoRegion> {
        let aws = self.aws.as_ref().map_err(Clone::clone)?;
        let end = invocation.no_call_after(Limits::default().deadline_margin);
        Ok(aws.for_tick(invocation.now, end))
    }

    /// The sentence up to `act`.
    ///
    /// # Errors
    /// Where there is no configuration to go by, or the event's time is long gone or still to come.
    pub async fn foresee(
        &self,
        event: &Event,
        invocation: &Invocation,
        cloud: &ReadCloud,
    ) -> Result<Foreseen, RunError> {
        let began = Instant::now();
        let (config, config_report) = self.config_of(event, cloud, invocation.now).await?;
        let known = config.names();
        let mut config = only(config, &event.only)?;
        ask_for(&mut config, &event.minimum);
        if invocation.is_first {
            refuse_if_late(event, &config, invocation.now)?;
            refuse_if_early(event, invocation.now)?;
        }
        let cloud = &cloud.until(invocation.no_call_after(config.limits.deadline_margin));
        let delivery = &format!("{} {}", invocation.request_id, invocation.now);
        let context = TickContext {
            scaler: &self.name,
            tick: &event.tick,
            delivery,
            function: &self.function,
            checks: event.check.unwrap_or(event.mode == Mode::DryRun),
            now: invocation.now,
            // Of several looks one is enough, and Auto Scaling is not asked more often.
            answers_hooks: invocation.is_first,
            may_overlap: self.may_overlap,
        };
        let snapshot = Box::pin(observe(cloud, &config, &self.ledger, context)).await;
        let plan = decide(&config, &snapshot);
        // An event's own workers are not all that there are.
        let unowned = if event.config.is_some() { Vec::new() } else { unowned(&known, &snapshot) };
        let invocation = invocation.clone();
        Ok(Foreseen { config, config_report, unowned, snapshot, plan, invocation, began })
    }

    /// The sentence.
    async fn tick(
        &self,
        event: &Event,
        invocation: &Invocation,
    ) -> Result<(Report, Limits), RunError> {
        let aws = &self.cloud(invocation)?;
        let foreseen = Box::pin(self.foresee(event, invocation, &aws.read)).await?;
        let limits = foreseen.config.limits;
        let aws = &aws.until(invocation.no_call_after(limits.deadline_margin));
        let mode = if self.mode == Mode::DryRun { Mode::DryRun } else { event.mode };
        Ok((Box::pin(self.carry_out(foreseen, aws, mode)).await, limits))
    }

    /// The sentence from `act` on: this plan and no other.
    pub async fn carry_out(&self, foreseen: Foreseen, aws: &Aws, mode: Mode) -> Report {
        let Foreseen { config, config_report, unowned, snapshot, mut plan, invocation, began } =
            foreseen;
        let tick = snapshot.tick.clone();
        let faults = plan.faults.take();
        let hooks = std::mem::take(&mut plan.hooks);
        let (workers, answered) = match mode {
            Mode::Launch => {
                let launched = async {
                    let executor = Executor::new(aws);
                    let attempts = Box::pin(executor.act(plan)).await;
                    let tries = again::try_again(&executor, &config, &snapshot, attempts);
                    let outcomes = Box::pin(tries).await;
                    let over = invocation.now_after(began.elapsed());
                    self.ledger.memory().remember(&snapshot, &outcomes, over);
                    outcomes
                };
                join!(launched, Box::pin(answer(aws, hooks)))
            }
            Mode::DryRun => (
                plan.workers.into_iter().map(WorkerOutcome::not).collect(),
                hooks.into_iter().map(AnswerOutcome::not).collect(),
            ),
        };

        Report::new(TickOutcome {
            name: self.name.clone(),
            tick,
            request_id: invocation.request_id,
            config: config_report,
            mode,
            workers,
            faults,
            draining: answered.into_iter().map(HookReport::of).collect(),
            unowned,
            wanted: config.metrics,
            measured: measured(aws, invocation.now, began),
        })
    }

    /// The event's own configuration, or the deployment's, which is read where that is due.
    async fn config_of(
        &self,
        event: &Event,
        cloud: &ReadCloud,
        now: Timestamp,
    ) -> Result<(Config, ConfigReport), RunError> {
        if let Some(document) = &event.config {
            let config = Config::of_event(document)?;
            let of_config = ConfigReport::of_event().with_warnings(&config);
            return Ok((config, of_config));
        }
        let in_force = self.config.current(cloud, now).await?;
        let mut report = ConfigReport::new(&in_force, now);
        let mut config = Arc::unwrap_or_clone(in_force.config);
        if self.may_overlap && config.limits.poll_every.take().is_some() {
            report.warnings.push(POLLS_OVERLAP.to_owned());
        }
        Ok((config, report))
    }
}

fn measured(aws: &Aws, at: Timestamp, started: Instant) -> Measured {
    let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Measured { at, tally: aws.tally(), milliseconds }
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

/// Asks for so many containers of some workers, under their own bounds.
fn ask_for(config: &mut Config, minimum: &BTreeMap<WorkerName, Containers>) {
    for worker in &mut config.workers {
        if let Some(containers) = minimum.get(&worker.name) {
            worker.scaling.min_containers.asked = *containers;
        }
    }
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

/// That names are none of a worker, and which one may be meant.
pub(crate) fn unknown_worker(unknown: &[WorkerName], known: &[WorkerName]) -> String {
    let names = || known.iter().map(WorkerName::as_str);
    let meant = unknown.first().and_then(|name| nearest(name.as_str(), names()));
    let meant = meant.map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default();
    format!("{}, which is not a worker{meant}; there are {}", quoted(unknown), quoted(known))
}

fn quoted(names: &[WorkerName]) -> String {
    const MOST: usize = 50;
    let quoted: Vec<_> = names.iter().take(MOST).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(MOST) {
        0 => quoted.join(", "),
        more => format!("{} and {more} more", quoted.join(", ")),
    }
}

impl From<RunError> for Diagnostic {
    /// The runtime's own conversion would name the Rust type and give only the outermost message.
    fn from(error: RunError) -> Self {
        let error_type = match &error {
            RunError::Event(_) => "EventError",
            RunError::Source(_) | RunError::Config(_) => "ConfigError",
            RunError::UnknownWorker { .. } => "UnknownWorker",
            RunError::TooOld { .. } => "EventTooOld",
            RunError::Early { .. } => "EventTooEarly",
            RunError::NoRegion(_) => "NoRegion",
            RunError::Done { ran, .. } => ran.error_type(),
        };
        let message = error.to_string();
        let (words, rest) = cut(&message, MOST_WORDS);
        let more = if rest == 0 { "" } else { "..." };
        // Nobody else would see it.
        let result = match &error {
            RunError::Done { ran, by: InvokedBy::Person } => ran.tick(),
            _ => None,
        };
        let result = result.map(|report| format!("\n{}", report.bounded(MOST_RESULT)));
        let result = result.unwrap_or_default();
        Self { error_type: error_type.to_owned(), error_message: format!("{words}{more}{result}") }
    }
}
