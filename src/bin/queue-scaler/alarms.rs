//! Alarms on what users feel: how long the oldest message of a queue has waited, as a CloudFormation
//! template. SQS measures it, and no function has to run for it.

use decision::config::Worker;
use serde_json::{Map, Value, json};

/// A message of a worker's queue that has waited too long, at two of three looks a minute apart.
const LOOKS: u32 = 3;
const TOO_LONG: u32 = 2;

/// A stack with an alarm for each worker that says how long its messages should wait at most; `None` where
/// none does.
pub(crate) fn template(workers: &[Worker]) -> Option<Value> {
    let wished =
        workers.iter().filter_map(|worker| Some((worker, worker.scaling.wait_within?.as_secs())));
    let mut resources = Map::new();
    for (worker, seconds) in wished {
        let name = unused(&resources, &logical_name(worker.name.as_str()));
        resources.insert(name, alarm(worker, seconds));
    }
    (!resources.is_empty()).then(|| {
        json!({
            "AWSTemplateFormatVersion": "2010-09-09",
            "Description": "ecs-queue-scaler: how long the messages of each worker may wait",
            "Parameters": {
                "AlarmTopicArn": {"Type": "String", "Default": "",
                    "Description": "The SNS topic that gets the alarms; empty means nobody"},
                "RunbookBase": {"Type": "String", "Default": "docs/alarms",
                    "Description": "Where your team reads docs/alarms"},
            },
            "Conditions": {"Tells": {"Fn::Not": [{"Fn::Equals": [{"Ref": "AlarmTopicArn"}, ""]}]}},
            "Resources": resources,
        })
    })
}

/// Source: SQS developer guide, "Available CloudWatch metrics for Amazon SQS".
fn alarm(worker: &Worker, seconds: u64) -> Value {
    let (name, queue) = (worker.name.as_str(), worker.queue.name());
    let text = format!(
        "{name}: the oldest message of queue {queue} has waited for more than {seconds} s, which is what \
         waitWithin allows. What to do: a dry run tells why no more is started, and the worker's own log \
         what its containers do. More: ${{RunbookBase}}/oldest-message.md"
    );
    let actions = json!([{"Fn::If": ["Tells", {"Ref": "AlarmTopicArn"}, {"Ref": "AWS::NoValue"}]}]);
    json!({
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmDescription": {"Fn::Sub": text},
            "Namespace": "AWS/SQS",
            "MetricName": "ApproximateAgeOfOldestMessage",
            "Dimensions": [{"Name": "QueueName", "Value": queue}],
            "Statistic": "Maximum",
            "Period": 60,
            "EvaluationPeriods": LOOKS,
            "DatapointsToAlarm": TOO_LONG,
            "ComparisonOperator": "GreaterThanThreshold",
            "Threshold": seconds,
            "TreatMissingData": "notBreaching",
            "AlarmActions": actions,
            "OKActions": actions,
        },
    })
}

/// Letters and digits only. Source: CloudFormation user guide, "Resources".
fn logical_name(worker: &str) -> String {
    let parts = worker.split(|c: char| !c.is_ascii_alphanumeric()).map(|part| {
        let (head, rest) = part.split_at(part.len().min(1));
        head.to_ascii_uppercase() + rest
    });
    format!("OldestMessageOf{}", parts.collect::<String>())
}

/// Two workers may differ by a hyphen only.
fn unused(taken: &Map<String, Value>, name: &str) -> String {
    let numbered = (2_u32..).map(|number| format!("{name}{number}"));
    let mut names = std::iter::once(name.to_owned()).chain(numbered);
    names.find(|name| !taken.contains_key(name)).unwrap_or_default()
}
