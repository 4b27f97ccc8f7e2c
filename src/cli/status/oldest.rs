//! How long the oldest messages have waited, for whoever looks again and again.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use decision::snapshot::CallError;
use decision::units::elapsed;
use jiff::Timestamp;

use crate::aws::ReadCloud;

/// The ages of the oldest messages, by the queue's name.
pub(super) type Ages = BTreeMap<String, Duration>;

/// The ages of the oldest messages. SQS measures them once a minute, and each reading of one has its price.
#[derive(Debug, Default)]
pub struct KeptAges(Mutex<Option<ReadAges>>);

#[derive(Clone, Debug)]
struct ReadAges {
    at: Timestamp,
    ages: Result<Ages, CallError>,
}

/// Source: SQS developer guide, "Monitoring Amazon SQS queues using CloudWatch".
const BETWEEN_POINTS: Duration = Duration::from_mins(1);

impl KeptAges {
    pub(super) async fn read(
        &self,
        cloud: &ReadCloud,
        queues: &[String],
        now: Timestamp,
    ) -> Result<Ages, CallError> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let is_new = |read: &ReadAges| elapsed(read.at, now) < BETWEEN_POINTS;
        if let Some(read) = kept.filter(is_new) {
            return read.ages;
        }
        let ages = cloud.oldest_messages(queues, now).await;
        let read = ReadAges { at: now, ages: ages.clone() };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(read);
        ages
    }
}
