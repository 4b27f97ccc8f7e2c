//! Several ticks in one invocation: `pollEvery`.
//!
//! A schedule's event comes once a minute at most. With `pollEvery` its invocation stays, and looks
//! again after so long, until no call may be started any more: that is when the next event is near,
//! where the function's timeout is the schedule's period. The ticks are named by the schedule's
//! instant and their number after it, so that every delivery of one event names the same ones.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::{Invocation, InvokedBy, Ran, RunError, Scaler};
use decision::config::Limits;
use decision::event::Event;

/// A tick is not begun with less than this left for its calls: what it could not do would be reported as
/// a failure, every minute.
const WHOLE_TICK: Duration = Duration::from_secs(5);

impl Scaler {
    /// One tick, or as many as `pollEvery` asks for, each of which goes to `publish`. All workers are served
    /// first; then the invocation fails if one of them failed in any tick, with that tick's report. The
    /// result is the last tick's.
    ///
    /// # Errors
    /// As [`RunError`] says: that of the first tick that failed.
    pub(super) async fn ticks(
        &self,
        event: &Event,
        invocation: &Invocation,
        publish: impl Fn(&Ran),
    ) -> Result<Ran, RunError> {
        let began = Instant::now();
        let mut failed: Option<Ran> = None;
        let mut after = Duration::ZERO;
        loop {
            let passed = began.elapsed();
            let this = if after.is_zero() { invocation.clone() } else { invocation.after(passed) };
            let (report, limits) = match self.tick(&event.after(after), &this).await {
                Ok(done) => done,
                Err(error) => return Err(RunError::first(failed, error, invocation)),
            };
            let ran = Ran::Tick(Box::new(report));
            publish(&ran);
            let last = (invocation.deadline - began).saturating_sub(limits.deadline_margin);
            let next = next(&limits, began.elapsed(), last).filter(|_| event.is_plain_schedules());
            let Some(next) = next else {
                return failed.unwrap_or(ran).checked(InvokedBy::of(event));
            };
            failed = failed.or(Some(ran).filter(|ran| ran.failure().is_some()));
            after = next;
            sleep_until(began + after).await;
        }
    }
}

/// When the next tick is due, counted from the invocation's beginning. What is overdue is left out.
fn next(limits: &Limits, passed: Duration, last: Duration) -> Option<Duration> {
    let every = limits.poll_every?.as_secs().max(1);
    let number = passed.as_secs().checked_div(every)?.checked_add(1)?;
    let next = Duration::from_secs(number.checked_mul(every)?);
    (next.checked_add(WHOLE_TICK)? <= last).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poll_is_due_at_each_multiple_until_the_time_is_up() {
        let limits = Limits { poll_every: Some(Duration::from_secs(10)), ..Limits::default() };
        let next = |passed| {
            next(&limits, Duration::from_millis(passed), Duration::from_secs(55))
                .map(|at| at.as_secs())
        };
        assert_eq!(next(0), Some(10));
        assert_eq!(next(9_999), Some(10));
        assert_eq!(next(10_000), Some(20));
        assert_eq!(next(34_000), Some(40), "what is overdue is left out");
        assert_eq!(next(40_000), Some(50), "its calls have five seconds");
        assert_eq!(next(50_000), None, "60 s is beyond the end");
        let nine = Limits { poll_every: Some(Duration::from_secs(9)), ..limits };
        let after = Duration::from_secs(45);
        assert_eq!(super::next(&nine, after, Duration::from_secs(55)), None, "54 s is too late");
        assert_eq!(super::next(&Limits::default(), Duration::ZERO, Duration::MAX), None);
    }
}
