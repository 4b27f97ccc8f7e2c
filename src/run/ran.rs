//! What an invocation came to, whatever it was.

use serde::Serialize;

use super::RunError;
use crate::report::{NoticeReport, Report};
use decision::event::Event;

/// What an invocation came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Ran {
    /// What a tick did; the result of several is that of the last.
    Tick(Box<Report>),
    /// What was done about an instance that goes away.
    Notice(Box<NoticeReport>),
}

impl Ran {
    /// What somebody has to look at.
    pub fn failure(&self) -> Option<String> {
        match self {
            Self::Tick(report) => report.failure(),
            Self::Notice(report) => report.failure(),
        }
    }

    /// The lines of the log, and the metrics.
    pub fn log(&self) {
        match self {
            Self::Tick(report) => report.log(),
            Self::Notice(report) => report.log(),
        }
    }

    /// What Lambda is to call the failure.
    pub(super) fn error_type(&self) -> &'static str {
        match self {
            Self::Tick(report) if 0 < report.totals.failed_workers => "WorkersFailed",
            Self::Tick(report) if report.config.failure().is_some() => "ConfigError",
            Self::Tick(_) | Self::Notice(_) => "DrainingFailed",
        }
    }

    /// Whether nothing was to be changed: what is wrong is in the result, and nothing has failed.
    fn is_dry(&self) -> bool {
        match self {
            Self::Tick(report) => report.dry_run,
            Self::Notice(report) => report.dry_run,
        }
    }

    /// The report of a tick. Nobody invokes the function with a notice and waits for its result.
    pub(super) fn tick(&self) -> Option<&Report> {
        match self {
            Self::Tick(report) => Some(report),
            Self::Notice(_) => None,
        }
    }

    /// # Errors
    /// Where somebody has to look at it.
    pub(super) fn checked(self, by: InvokedBy) -> Result<Self, RunError> {
        if self.failure().is_none() || self.is_dry() {
            return Ok(self);
        }
        Err(RunError::Done { ran: Box::new(self), by })
    }
}

/// Who invoked the function, as far as its event tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvokedBy {
    /// A schedule, a rule or Auto Scaling: nobody reads the answer.
    Schedule,
    /// A person, or a program of theirs.
    Person,
}

impl InvokedBy {
    /// Whose event that is.
    pub(super) fn of(event: &Event) -> Self {
        if event.is_plain_schedules() { Self::Schedule } else { Self::Person }
    }
}
