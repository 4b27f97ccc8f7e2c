//! What time it is: in the world, and as the function's clocks tell it.

use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_smithy_async::time::TimeSource;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{BEGINNING, Refused, State, World, answer, pass};

impl World {
    /// What time it is.
    pub(crate) fn now(&self) -> Timestamp {
        self.state().timestamp()
    }

    /// What time the function takes it for.
    pub(crate) fn wall_clock(&self) -> Timestamp {
        let state = self.state();
        state.timestamp() + state.wrong_by
    }

    /// Waits until so much time has passed since the beginning.
    pub(crate) async fn reach(&self, time: Duration) {
        loop {
            let left = time.saturating_sub(self.state().passed());
            if left.is_zero() {
                return;
            }
            tokio::select! {
                () = pass(left) => {}
                () = self.thaw.notified() => {}
            }
        }
    }

    /// So much time passes for all but the function's monotonic clock.
    pub(crate) fn frozen_for(&self, time: Duration) {
        self.state().frozen += time;
        self.thaw.notify_waiters();
    }

    /// The same until so much time has passed since the beginning.
    pub(crate) fn frozen_until(&self, time: Duration) {
        let left = time.saturating_sub(self.state().passed());
        self.frozen_for(left);
    }

    /// The function's wall clock is set to another time.
    pub(crate) fn clock_is_wrong_by(&self, wrong_by: SignedDuration) {
        self.state().wrong_by = wrong_by;
    }

    /// What a client needs that signs by the function's wall clock, in a world that checks it.
    pub(crate) fn sdk_config_with_clock(&self) -> SdkConfig {
        self.state().checks_clocks = true;
        self.sdk_config().into_builder().time_source(WallClock(self.clone())).build()
    }
}

impl State {
    /// Source: IAM user guide, "Signature Version 4": within five minutes.
    pub(super) fn refuse_clock(&self, signed: &str) -> Option<HttpResponse> {
        let signed = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", signed).ok()?;
        let signed = signed.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
        let wrong_by = self.timestamp().duration_since(signed).abs();
        if !self.checks_clocks || wrong_by < SignedDuration::from_mins(5) {
            return None;
        }
        let message = "Signature expired".to_owned();
        let refused = Refused { code: "InvalidSignatureException", message, more: json!({}) };
        let mut answer = answer(403, &refused.document());
        let date = self.timestamp().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        answer.headers_mut().insert("date", date);
        Some(answer)
    }

    /// The time since the world began.
    fn passed(&self) -> Duration {
        self.born.elapsed() + self.frozen
    }

    /// The same in milliseconds.
    pub(crate) fn millis(&self) -> u64 {
        u64::try_from(self.passed().as_millis()).unwrap()
    }

    pub(super) fn timestamp(&self) -> Timestamp {
        let beginning: Timestamp = BEGINNING.parse().unwrap();
        beginning.checked_add(self.passed()).unwrap()
    }

    /// Now, as ECS tells times.
    pub(super) fn epoch_seconds(&self) -> Value {
        json!(self.timestamp().as_duration().as_secs_f64())
    }
}

/// The function's own, right or wrong.
#[derive(Debug)]
struct WallClock(World);

impl TimeSource for WallClock {
    fn now(&self) -> SystemTime {
        self.0.wall_clock().into()
    }
}
