//! How long the oldest message of each queue has waited, as CloudWatch has measured it, for a terminal.

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
        let mut ages = BTreeMap::new();
        for queues in queues.chunks(QUEUES_PER_CALL) {
            let about = About { operation: "GetMetricData", subject: "AWS/SQS", rate: Rate::Free };
            let ask = Ask::Document(query(queues, now).to_string());
            let answer = self.ask(about, Request::new(Service::CloudWatch, about.operation, ask));
            let answer = answer.await?.json();
            let results = answer.get("MetricDataResults").and_then(Value::as_array);
            ages.extend(results.into_iter().flatten().filter_map(|result| {
                let index = result.get("Id")?.as_str()?.strip_prefix('q')?.parse::<usize>().ok()?;
                let newest = result.get("Values")?.as_array()?.first()?.as_f64()?;
                let age = Duration::try_from_secs_f64(newest).ok()?;
                Some((queues.get(index)?.clone(), age))
            }));
        }
        Ok(ages)
    }
}

fn query(queues: &[String], now: Timestamp) -> Value {
    let queries = queues.iter().enumerate().map(|(index, queue)| {
        let dimensions = json!([{"Name": "QueueName", "Value": queue}]);
        let metric = json!({
            "Namespace": "AWS/SQS",
            "MetricName": "ApproximateAgeOfOldestMessage",
            "Dimensions": dimensions,
        });
        json!({
            "Id": format!("q{index}"),
            "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Maximum"},
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
