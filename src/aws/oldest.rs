//! How long the oldest message of each queue has waited, and how fast messages go, as CloudWatch has measured it, for
//! a terminal.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::ReadCloud;
use super::measured::Metric;
use decision::snapshot::CallError;

/// SQS publishes each minute, and an active queue's points come a few minutes late.
/// Source: SQS developer guide, "Monitoring Amazon SQS queues using CloudWatch".
const WINDOW: Duration = Duration::from_mins(10);

/// Minutes by which the rate is measured.
const MINUTES: usize = 5;

impl ReadCloud {
    /// The age of the oldest message, by the queue's name; absent where CloudWatch has no point of the last
    /// minutes, as of a queue that was empty for hours.
    ///
    /// # Errors
    /// When CloudWatch may not be read.
    pub async fn oldest_messages(
        &self,
        queues: &[String],
        now: Timestamp,
    ) -> Result<BTreeMap<String, Duration>, CallError> {
        let points = self.points(&AGE, queues, now).await?;
        let newest = points.into_iter().filter_map(|(queue, points)| {
            Some((queue, Duration::try_from_secs_f64(*points.first()?).ok()?))
        });
        Ok(newest.collect())
    }

    /// Messages that were deleted in a minute of the last five that CloudWatch has measured, by the queue's name.
    ///
    /// # Errors
    /// When CloudWatch may not be read.
    pub async fn deleted_a_minute(
        &self,
        queues: &[String],
        now: Timestamp,
    ) -> Result<BTreeMap<String, f64>, CallError> {
        // Of the minute that is not over, not all is counted yet.
        let whole = Timestamp::from_second(now.as_second() / 60 * 60).unwrap_or(now);
        let points = self.points(&DELETED, queues, whole).await?;
        let means = points.into_iter().filter_map(|(queue, points)| {
            let newest = points.get(..MINUTES).unwrap_or(&points);
            let count = u32::try_from(newest.len()).ok().filter(|count| *count != 0)?;
            Some((queue, newest.iter().sum::<f64>() / f64::from(count)))
        });
        Ok(means.collect())
    }

    /// The points of the last minutes, the newest first, by the queue's name.
    async fn points(
        &self,
        metric: &OfQueue,
        queues: &[String],
        now: Timestamp,
    ) -> Result<BTreeMap<String, Vec<f64>>, CallError> {
        let metrics: Vec<_> = queues.iter().map(|queue| metric.of(queue)).collect();
        let begin = now.checked_sub(WINDOW).unwrap_or(now);
        let points = self.measured(&metrics, &(begin..now)).await?;
        let values =
            points.into_iter().map(|points| points.into_iter().map(|it| it.value).collect());
        Ok(queues.iter().cloned().zip(values).collect())
    }
}

/// A metric of a queue.
pub(super) struct OfQueue {
    name: &'static str,
    stat: &'static str,
}

pub(super) const AGE: OfQueue = OfQueue { name: "ApproximateAgeOfOldestMessage", stat: "Maximum" };

const DELETED: OfQueue = OfQueue { name: "NumberOfMessagesDeleted", stat: "Sum" };

impl OfQueue {
    pub(super) fn of<'a>(&self, queue: &'a str) -> Metric<'a> {
        let dimensions = vec![("QueueName", queue)];
        Metric { namespace: "AWS/SQS", name: self.name, stat: self.stat, dimensions }
    }
}
