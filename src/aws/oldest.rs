//! How long the oldest message of each queue has waited, and how fast messages go, as CloudWatch has measured it, for
//! a terminal.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::ReadCloud;
use super::pace::{About, Rate};
use super::signed::{Ask, Request, Service};
use decision::snapshot::CallError;

/// Source: CloudWatch API reference, `GetMetricData`: "You can specify up to 500 metrics".
const QUEUES_PER_CALL: usize = 500;

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
        metric: &Metric,
        queues: &[String],
        now: Timestamp,
    ) -> Result<BTreeMap<String, Vec<f64>>, CallError> {
        let mut all = BTreeMap::new();
        for queues in queues.chunks(QUEUES_PER_CALL) {
            let about = About { operation: "GetMetricData", subject: "AWS/SQS", rate: Rate::Free };
            let ask = Ask::Document(query(metric, queues, now).to_string());
            let answer = self.ask(about, Request::new(Service::CloudWatch, about.operation, ask));
            let answer = answer.await?.json();
            let results = answer.get("MetricDataResults").and_then(Value::as_array);
            all.extend(results.into_iter().flatten().filter_map(|result| {
                let index = result.get("Id")?.as_str()?.strip_prefix('q')?.parse::<usize>().ok()?;
                let values = result.get("Values")?.as_array()?.iter();
                Some((queues.get(index)?.clone(), values.filter_map(Value::as_f64).collect()))
            }));
        }
        Ok(all)
    }
}

/// A metric of a queue.
struct Metric {
    name: &'static str,
    stat: &'static str,
}

const AGE: Metric = Metric { name: "ApproximateAgeOfOldestMessage", stat: "Maximum" };

const DELETED: Metric = Metric { name: "NumberOfMessagesDeleted", stat: "Sum" };

fn query(of: &Metric, queues: &[String], now: Timestamp) -> Value {
    let queries = queues.iter().enumerate().map(|(index, queue)| {
        let dimensions = json!([{"Name": "QueueName", "Value": queue}]);
        let metric = json!({
            "Namespace": "AWS/SQS",
            "MetricName": of.name,
            "Dimensions": dimensions,
        });
        json!({
            "Id": format!("q{index}"),
            "MetricStat": {"Metric": metric, "Period": 60, "Stat": of.stat},
        })
    });
    let begin = now.checked_sub(WINDOW).unwrap_or(now);
    json!({
        "MetricDataQueries": queries.collect::<Vec<_>>(),
        "StartTime": begin.as_second(),
        "EndTime": now.as_second(),
        "ScanBy": "TimestampDescending",
    })
}
