//! What CloudWatch has measured of the queues, for whoever looks again and again.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use decision::snapshot::CallError;
use decision::units::elapsed;
use jiff::Timestamp;

use crate::aws::ReadCloud;

/// The ages of the oldest messages, by the queue's name.
pub(super) type Ages = BTreeMap<String, Duration>;

/// What was measured. SQS does it once a minute, and each reading of a metric has its price.
#[derive(Debug, Default)]
pub(super) struct KeptMetrics(Mutex<Option<ReadMetrics>>);

#[derive(Clone, Debug)]
struct ReadMetrics {
    at: Timestamp,
    queues: Vec<String>,
    metrics: Metrics,
}

/// What was measured of all queues.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    /// How long the oldest messages have waited.
    pub(super) ages: Result<Ages, CallError>,
    /// Messages that are deleted in a minute, by the queue's name; none where that was not read.
    pub(super) deleted: Option<BTreeMap<String, f64>>,
}

/// Source: SQS developer guide, "Monitoring Amazon SQS queues using CloudWatch".
const BETWEEN_POINTS: Duration = Duration::from_mins(1);

impl KeptMetrics {
    pub(super) async fn read(
        &self,
        cloud: &ReadCloud,
        queues: &[String],
        now: Timestamp,
    ) -> Metrics {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // A clock may be set back, and a configuration may change.
        let is_new = |read: &ReadMetrics| {
            read.at <= now && elapsed(read.at, now) < BETWEEN_POINTS && read.queues == queues
        };
        if let Some(read) = kept.filter(is_new) {
            return read.metrics;
        }
        let metrics = Metrics {
            ages: cloud.oldest_messages(queues, now).await,
            deleted: cloud.deleted_a_minute(queues, now).await.ok(),
        };
        let read = ReadMetrics { at: now, queues: queues.to_vec(), metrics: metrics.clone() };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(read);
        metrics
    }
}
