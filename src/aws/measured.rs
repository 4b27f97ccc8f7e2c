//! What CloudWatch has measured, for a terminal.

use std::ops::Range;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::ReadCloud;
use super::pace::{About, Rate};
use super::signed::{Ask, Request, Service};
use decision::snapshot::CallError;

/// Source: CloudWatch API reference, `GetMetricData`: "You can specify up to 500 metrics".
const METRICS_PER_CALL: usize = 500;

/// A page has 100,800 points: half a day of 500 metrics, by the minute, is four of them.
/// Source: CloudWatch API reference, `GetMetricData`.
const MOST_PAGES: usize = 10;

/// A metric, by the minute.
pub(super) struct Metric<'a> {
    pub(super) namespace: &'static str,
    pub(super) name: &'static str,
    pub(super) stat: &'static str,
    /// By their names.
    pub(super) dimensions: Vec<(&'static str, &'a str)>,
}

/// A minute of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// Its beginning.
    pub at: Timestamp,
    /// By the metric's statistic.
    pub value: f64,
}

impl ReadCloud {
    /// The points of each metric within a time, the newest first; none where CloudWatch has none.
    pub(super) async fn measured(
        &self,
        metrics: &[Metric<'_>],
        within: &Range<Timestamp>,
    ) -> Result<Vec<Vec<Measured>>, CallError> {
        let mut all = Vec::with_capacity(metrics.len());
        for metrics in metrics.chunks(METRICS_PER_CALL) {
            let mut query = query(metrics, within);
            let mut points = vec![Vec::new(); metrics.len()];
            for _ in 0..MOST_PAGES {
                let subject = metrics.first().map_or("", |metric| metric.namespace);
                let about = About { operation: "GetMetricData", subject, rate: Rate::Free };
                let ask = Ask::Document(query.to_string());
                let request = Request::new(Service::CloudWatch, about.operation, ask);
                let answer = self.ask(about, request).await?.json();
                take(&answer, &mut points);
                let token = answer.get("NextToken").filter(|token| token.is_string());
                let (Some(token), Some(query)) = (token, query.as_object_mut()) else { break };
                query.insert("NextToken".to_owned(), token.clone());
            }
            all.append(&mut points);
        }
        Ok(all)
    }
}

fn take(answer: &Value, points: &mut [Vec<Measured>]) {
    let results = answer.get("MetricDataResults").and_then(Value::as_array);
    for result in results.into_iter().flatten() {
        let id = result.get("Id").and_then(Value::as_str).and_then(|id| id.strip_prefix('q'));
        let points = id.and_then(|id| points.get_mut(id.parse::<usize>().ok()?));
        let array = |key: &str| result.get(key).and_then(Value::as_array);
        let (Some(points), Some(values)) = (points, array("Values")) else { continue };
        let times = array("Timestamps").into_iter().flatten();
        let known = times.zip(values).filter_map(|(at, value)| {
            let at = Timestamp::from_second(at.as_i64().or_else(|| whole(at.as_f64()?))?).ok()?;
            Some(Measured { at, value: value.as_f64()? })
        });
        points.extend(known);
    }
}

/// Seconds, as AWS may write them: `1.7E9`.
fn whole(seconds: f64) -> Option<i64> {
    let seconds = std::time::Duration::try_from_secs_f64(seconds).ok()?;
    i64::try_from(seconds.as_secs()).ok()
}

fn query(metrics: &[Metric<'_>], within: &Range<Timestamp>) -> Value {
    let queries = metrics.iter().enumerate().map(|(index, of)| {
        let dimensions = of.dimensions.iter();
        let dimensions: Vec<_> =
            dimensions.map(|(name, value)| json!({"Name": name, "Value": value})).collect();
        let metric = json!({
            "Namespace": of.namespace,
            "MetricName": of.name,
            "Dimensions": dimensions,
        });
        json!({
            "Id": format!("q{index}"),
            "MetricStat": {"Metric": metric, "Period": 60, "Stat": of.stat},
        })
    });
    json!({
        "MetricDataQueries": queries.collect::<Vec<_>>(),
        "StartTime": within.start.as_second(),
        "EndTime": within.end.as_second(),
        "ScanBy": "TimestampDescending",
    })
}
