//! The sentence: event, config, observe, decide, act, report.

use std::time::Instant;

use lambda_runtime::Diagnostic;
use serde_json::Value;

use crate::act::{Acted, act};
use crate::aws::{Aws, NoRegion};
use crate::config::{Config, ConfigError, Source, SourceError};
use crate::decide::decide;
use crate::event::{Event, EventError, Mode};
use crate::observe::observe;
use crate::recent::Recent;
use crate::report::Report;
use crate::units::{ScalerName, WorkerName};

/// One deployment of the scaler, for the life of its process.
#[derive(Debug)]
pub struct Scaler {
    /// `SCALER_NAME`
    pub name: ScalerName,
    /// The cloud, or why there is none.
    pub aws: Result<Aws, NoRegion>,
    /// The configuration of the deployment, or why there is none.
    pub config: Result<Config, SourceError>,
    /// What every tick may do; an event can ask for less, never for more.
    pub mode: Mode,
    /// What this process launched in the last minutes.
    pub recent: Recent,
}

/// Why an invocation fails.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The event is none of ours.
    #[error(transparent)]
    Event(#[from] EventError),
    /// The deployment's configuration is not usable.
    #[error("{0}")]
    Source(String),
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
    /// The environment names no Region.
    #[error(transparent)]
    NoRegion(#[from] NoRegion),
    /// The tick is done, and somebody has to look at a worker.
    #[error("{0}")]
    Workers(String),
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
            config: Source::parse(source).and_then(|source| source.read()),
            mode,
            recent: Recent::default(),
        })
    }

    /// One tick. All workers are served first; then the invocation fails if one of them failed,
    /// so that Lambda's error metric sees it.
    ///
    /// # Errors
    /// As [`RunError`] says. Nothing was changed in AWS unless it is [`RunError::Workers`].
    pub async fn run(&self, payload: &Value, request_id: &str) -> Result<Report, RunError> {
        let report = self.tick(payload, request_id).await?;
        report.log();
        match report.failure() {
            Some(failure) => Err(RunError::Workers(failure)),
            None => Ok(report),
        }
    }

    /// One tick, and what happened to each worker.
    ///
    /// # Errors
    /// When the tick could not begin.
    pub async fn tick(&self, payload: &Value, request_id: &str) -> Result<Report, RunError> {
        let started = now();
        let event = Event::parse(payload, request_id)?;
        let config = only(self.config_of(&event)?, &event.only)?;
        let aws = self.aws.as_ref().map_err(Clone::clone)?;
        let calls_before = aws.calls();

        self.recent.forget(started);
        let names = (&self.name, &event.tick);
        let snapshot = observe(&aws.read, &config, &self.recent, names).await;
        let plan = decide(&config, &snapshot);
        let mode = if self.mode == Mode::DryRun { Mode::DryRun } else { event.mode };
        let acted = match mode {
            Mode::Launch => act(aws, plan).await,
            Mode::DryRun => plan.workers.into_iter().map(Acted::not).collect(),
        };
        self.recent.remember(&acted, now());

        let calls = aws.calls().saturating_sub(calls_before);
        let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(Report::new(names, mode, acted, (calls, milliseconds)))
    }

    fn config_of(&self, event: &Event) -> Result<Config, RunError> {
        match (&event.config, &self.config) {
            (Some(document), _) => Ok(Config::from_value(document)?),
            (None, Ok(config)) => Ok(config.clone()),
            (None, Err(error)) => Err(RunError::Source(error_chain(error))),
        }
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

#[expect(clippy::disallowed_methods, reason = "how long a tick took is a fact of the shell")]
fn now() -> Instant {
    Instant::now()
}

fn error_chain(error: &SourceError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

fn quoted(names: &[WorkerName]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

impl From<RunError> for Diagnostic {
    /// The runtime's own conversion would name the Rust type and tell only the outermost message.
    fn from(error: RunError) -> Self {
        let error_type = match &error {
            RunError::Event(_) => "EventError",
            RunError::Source(_) | RunError::Config(_) => "ConfigError",
            RunError::UnknownWorker { .. } => "UnknownWorker",
            RunError::NoRegion(_) => "NoRegion",
            RunError::Workers(_) => "WorkersFailed",
        };
        Self { error_type: error_type.to_owned(), error_message: error.to_string() }
    }
}
