//! An invocation that the notice of an instance that goes away has made.

use super::{Invocation, RunError, Scaler};
use crate::act::{DrainOutcome, StopOutcome};
use crate::aws::Aws;
use crate::observe::NoticeContext;
use crate::report::NoticeReport;
use crate::{act, observe};
use decision::config::Config;
use decision::decide;
use decision::event::{Mode, Notice};

impl Scaler {
    pub(super) fn context<'a>(&'a self, invocation: &'a Invocation) -> NoticeContext<'a> {
        let Invocation { request_id, now, .. } = invocation;
        NoticeContext { scaler: &self.name, mode: self.mode, request_id, now: *now }
    }

    /// The age of a notice does not matter: what is too late finds nothing to do.
    pub(super) async fn notice(
        &self,
        notice: &Notice,
        invocation: &Invocation,
    ) -> Result<NoticeReport, RunError> {
        let aws = &self.cloud(invocation)?;
        let in_force = self.config.current(&aws.read, invocation.now).await?;
        let config = &*in_force.config;
        let aws = &aws.until(invocation.no_call_after(config.limits.deadline_margin));
        let report = Box::pin(let_go(aws, config, notice, self.context(invocation))).await;
        Ok(NoticeReport { wanted: config.metrics, ..report })
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
        Mode::DryRun => DrainOutcome::not(plan),
    };

    let scalers = config.scalers(context.scaler);
    let standing = observe::look(&aws.read, &scalers, drained.there()).await;
    let plan = decide::stop(config, notice, context.scaler, standing);
    let stopped = match context.mode {
        Mode::Launch => act::stop(aws, plan).await,
        Mode::DryRun => StopOutcome::not(plan),
    };
    NoticeReport::new(notice, context, &drained, &stopped)
}
