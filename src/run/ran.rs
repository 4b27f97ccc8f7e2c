//! What an invocation came to, whatever it was.

use serde::Serialize;

use super::RunError;
use crate::report::{NoticeReport, Report};

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

    /// # Errors
    /// Where somebody has to look at it.
    pub(super) fn checked(self) -> Result<Self, RunError> {
        if self.failure().is_some() { Err(RunError::Done(Box::new(self))) } else { Ok(self) }
    }
}
