//! In which protocol a call comes, for which service it is signed, and how its answer goes back.

use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use serde_json::Value;

use super::{Call, deployed, scaling, stores, text};

/// How a service is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Json,
    S3,
    Scaling,
    Lambda,
    Sts,
    Ec2,
    Iam,
}

/// What is asked: of the JSON protocol, an operation and its input.
pub(super) fn read(request: &HttpRequest, operation: &str, input: Value) -> (Call, Protocol) {
    let others = [
        (stores::call_to_s3(request), Protocol::S3),
        (scaling::call_to_scaling(request), Protocol::Scaling),
        (deployed::call_to_lambda(request), Protocol::Lambda),
        (deployed::call_to_sts(request), Protocol::Sts),
        (scaling::call_in_form(request, EC2), Protocol::Ec2),
        (scaling::call_in_form(request, IAM), Protocol::Iam),
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
        (Protocol::Ec2, _) => "ec2",
        (Protocol::Iam, _) => "iam",
        (Protocol::Json, "DescribeImages" | "DescribePullThroughCacheRules") => "ecr",
        (Protocol::Json, "DescribeSecret") => "secretsmanager",
        (Protocol::Json, "GetServiceQuota") => "servicequotas",
        (Protocol::Json, "GetParameter" | "DescribeParameters") => "ssm",
        (Protocol::Json, "GetResources") => "tagging",
        (Protocol::Json, "GetMetricData") => "monitoring",
        (Protocol::Json, "FilterLogEvents" | "DescribeLogGroups") => "logs",
        (Protocol::Json, name) if name.contains("Queue") => "sqs",
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
        Protocol::Ec2 | Protocol::Iam => as_xml(&answer),
    }
}

const EC2: &str = "https://ec2.eu-central-1.amazonaws.com/";
const IAM: &str = "https://iam.amazonaws.com/";

/// Source: EC2 and IAM API references, "Making query requests", "Error codes".
fn as_xml(answer: &HttpResponse) -> HttpResponse {
    let document: Value =
        serde_json::from_slice(answer.body().bytes().unwrap_or_default()).unwrap_or_default();
    let (status, xml) = if let Some(xml) = document.as_str() {
        (200, xml.to_owned())
    } else {
        let (code, message) = (text(&document, "__type"), text(&document, "message"));
        let error = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
        (400, format!("<Response><Errors>{error}</Errors></Response>"))
    };
    let mut answer = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(xml));
    answer.headers_mut().insert("content-type", "text/xml");
    answer
}
