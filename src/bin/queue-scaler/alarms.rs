//! Alarms on what users feel: how long the oldest message of a queue has waited, as a CloudFormation
//! template. SQS measures it, and no function has to run for it.

use decision::config::Worker;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

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
        resources.insert(logical_name(worker.name.as_str()), alarm(worker, seconds));
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
        "{name}: the oldest message of queue {queue} has waited for more than {seconds} s (waitWithin). What \
         to do: a dry run tells why no more is started, the worker's log what its containers do. \
         More: ${{RunbookBase}}/oldest-message.md"
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

/// Letters and digits only, and of this worker alone: two names may differ by a hyphen, and an alarm has to
/// stay the same when others come and go. Source: CloudFormation user guide, "Resources".
fn logical_name(worker: &str) -> String {
    let readable: String = worker.chars().filter(char::is_ascii_alphanumeric).collect();
    let digest = hex::encode(Sha256::digest(worker));
    format!("Oldest{readable}{}", digest.get(..8).unwrap_or_default())
}
