//! In which protocol a call comes, for which service it is signed, and how its answer goes back.

use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use serde_json::Value;

use super::{Call, deployed, scaling, stores};

/// How a service is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Json,
    S3,
    Scaling,
    Lambda,
    Sts,
}

/// What is asked: of the JSON protocol, an operation and its input.
pub(super) fn read(request: &HttpRequest, operation: &str, input: Value) -> (Call, Protocol) {
    let others = [
        (stores::call_to_s3(request), Protocol::S3),
        (scaling::call_to_scaling(request), Protocol::Scaling),
        (deployed::call_to_lambda(request), Protocol::Lambda),
        (deployed::call_to_sts(request), Protocol::Sts),
    ];
    let other = others.into_iter().find_map(|(call, protocol)| Some((call?, protocol)));
    other.unwrap_or_else(|| (Call { operation: operation.to_owned(), input }, Protocol::Json))
}

/// The service that a call is signed for.
pub(super) fn service(call: &Call, protocol: Protocol) -> &'static str {
    match (protocol, call.operation.as_str()) {
        (Protocol::S3, _) => "s3",
        (Protocol::Scaling, _) => "autoscaling",
        (Protocol::Lambda, _) => "lambda",
        (Protocol::Sts, _) => "sts",
        (Protocol::Json, "GetParameter") => "ssm",
        (Protocol::Json, "GetResources") => "tagging",
        (Protocol::Json, "GetMetricData") => "monitoring",
        (Protocol::Json, "FilterLogEvents") => "logs",
        (Protocol::Json, "GetQueueUrl" | "GetQueueAttributes" | "TagQueue" | "UntagQueue") => "sqs",
        (Protocol::Json, _) => "ecs",
    }
}

/// An answer, as the service gives it.
pub(super) fn written(call: &Call, protocol: Protocol, answer: HttpResponse) -> HttpResponse {
    match protocol {
        Protocol::Json => answer,
        Protocol::S3 => stores::as_s3(&answer),
        Protocol::Scaling => scaling::as_query(&call.operation, &answer),
        Protocol::Lambda => deployed::as_rest(&answer),
        Protocol::Sts => deployed::identity(),
    }
}
