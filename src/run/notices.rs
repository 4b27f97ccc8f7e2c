//! An invocation is a tick, several ticks, or the notice of an instance that goes away.

use serde::Serialize;
use serde_json::Value;

use super::{Invocation, RunError, Scaler};
use crate::act::{DrainActed, StopActed};
use crate::aws::Aws;
use crate::observe::NoticeContext;
use crate::report::{NoticeReport, Report};
use crate::{act, observe};
use decision::config::{Config, Limits, Metrics};
use decision::decide;
use decision::event::{Mode, Notice, Woken};

/// The result of an invocation.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Ran {
    /// What the last tick did.
    Tick(Box<Report>),
    /// What was done about an instance that goes away.
    Notice(Box<NoticeReport>),
}

impl Scaler {
    /// Whatever the event asks for. It fails after all was tried, if something failed, so that
    /// Lambda's error metric sees it.
    ///
    /// # Errors
    /// As [`RunError`] says.
    pub async fn run(&self, payload: &Value, of: &Invocation) -> Result<Ran, RunError> {
        let ran = self.woken(payload, of).await;
        ran.inspect_err(|error| error.log(&of.request_id))
    }

    async fn woken(&self, payload: &Value, of: &Invocation) -> Result<Ran, RunError> {
        match Woken::parse(payload, &of.request_id)? {
            Woken::Tick(event) => {
                let report = Box::pin(self.ticks_of(&event, of, Report::log)).await?;
                Ok(Ran::Tick(Box::new(report)))
            }
            Woken::Notice(notice) => {
                let report = Box::pin(self.notice(&notice, of)).await?;
                Ok(Ran::Notice(Box::new(report)))
            }
            Woken::Test => {
                let report = NoticeReport::of_test(self.context(of));
                report.log(Metrics::Off);
                Ok(Ran::Notice(Box::new(report)))
            }
        }
    }

    fn context<'a>(&'a self, of: &'a Invocation) -> NoticeContext<'a> {
        let request_id = &of.request_id;
        NoticeContext { scaler: &self.name, mode: self.mode, request_id, now: of.now }
    }

    /// The age of a notice does not matter: what is too late finds nothing to do.
    async fn notice(&self, notice: &Notice, of: &Invocation) -> Result<NoticeReport, RunError> {
        let aws = self.aws.as_ref().map_err(Clone::clone)?;
        let aws = &aws.for_tick(of.now, of.no_call_after(Limits::default().deadline_margin));
        let in_force = self.config.current(&aws.read, of.now).await?;
        let config = &*in_force.config;
        let aws = &aws.until(of.no_call_after(config.limits.deadline_margin));
        let report = Box::pin(let_go(aws, config, notice, self.context(of))).await;
        report.log(config.metrics);
        match report.failure() {
            Some(failure) => Err(RunError::Draining(failure)),
            None => Ok(report),
        }
    }
}

/// The sentence, twice: the instance is drained first and looked at then, so that what is placed in
/// between is seen.
async fn let_go(
    aws: &Aws,
    config: &Config,
    notice: &Notice,
    context: NoticeContext<'_>,
) -> NoticeReport {
    let sought = observe::seek(&aws.read, config, notice, context).await;
    let plan = decide::drain(config, notice, &sought);
    let drained = match context.mode {
        Mode::Launch => act::drain(aws, plan).await,
        Mode::DryRun => DrainActed::not(plan),
    };

    let scalers = config.scalers(context.scaler);
    let standing = observe::look(&aws.read, &scalers, drained.there()).await;
    let plan = decide::stop(config, notice, context.scaler, standing);
    let stopped = match context.mode {
        Mode::Launch => act::stop(aws, plan).await,
        Mode::DryRun => StopActed::not(plan),
    };
    NoticeReport::new(notice, context, &drained, &stopped)
}
