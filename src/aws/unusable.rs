//! Answers that cannot be used: they are not AWS's, or something is missing. The one place where an
//! answer is held to what its call needs. A member that is missing is never an empty one.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

use aws_sdk_ecs::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_ecs::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ecs::error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, Metadata};
use http_body_util::LengthLimitError;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::bounded::LONGEST_ANSWER;
use Kind::{List, Map, Text};

/// What an answer of success holds, by the API's name of the call.
/// Sources: the API references of ECS, SQS, SSM, Lambda, CloudWatch (its logs, too) and the Resource Groups Tagging API.
const NEEDED: &[(&str, &[(&str, Kind)])] = &[
    ("GetQueueUrl", &[("QueueUrl", Text)]),
    ("GetQueueAttributes", &[("Attributes", Map)]),
    ("ListTasks", &[("taskArns", List)]),
    ("DescribeTasks", &[("tasks", List)]),
    ("ListContainerInstances", &[("containerInstanceArns", List)]),
    ("DescribeContainerInstances", &[("containerInstances", List)]),
    ("DescribeTaskDefinition", &[("taskDefinition", Map)]),
    ("RegisterTaskDefinition", &[("taskDefinition", Map)]),
    ("DeregisterTaskDefinition", &[("taskDefinition", Map)]),
    ("RunTask", &[("tasks", List), ("failures", List)]),
    ("StartTask", &[("tasks", List), ("failures", List)]),
    ("StopTask", &[("task", Map)]),
    ("UpdateContainerInstancesState", &[("containerInstances", List), ("failures", List)]),
    ("TagResource", &[]),
    ("GetParameter", &[("Parameter", Map)]),
    ("GetResources", &[("ResourceTagMappingList", List)]),
    #[cfg(feature = "cli")]
    ("GetFunctionConfiguration", &[("FunctionName", Text)]),
    #[cfg(feature = "cli")]
    ("GetMetricData", &[("MetricDataResults", List)]),
    #[cfg(feature = "cli")]
    ("FilterLogEvents", &[("events", List)]),
    #[cfg(feature = "cli")]
    ("ListTaskDefinitionFamilies", &[("families", List)]),
    #[cfg(feature = "cli")]
    ("ListTaskDefinitions", &[("taskDefinitionArns", List)]),
    #[cfg(feature = "cli")]
    ("DeleteTaskDefinitions", &[("taskDefinitions", List), ("failures", List)]),
    #[cfg(feature = "cli")]
    ("DescribeClusters", &[("clusters", List)]),
    #[cfg(feature = "cli")]
    ("DescribeServices", &[("services", List)]),
    #[cfg(feature = "cli")]
    ("ListClusters", &[("clusterArns", List)]),
    // Without queues it has no member at all.
    #[cfg(feature = "cli")]
    ("ListQueues", &[]),
    #[cfg(feature = "cli")]
    ("ListServices", &[("serviceArns", List)]),
    #[cfg(feature = "cli")]
    ("DescribeImages", &[("imageDetails", List)]),
    #[cfg(feature = "cli")]
    ("DescribePullThroughCacheRules", &[("pullThroughCacheRules", List)]),
    #[cfg(feature = "cli")]
    ("DescribeLogGroups", &[("logGroups", List)]),
    #[cfg(feature = "cli")]
    ("DescribeParameters", &[("Parameters", List)]),
    #[cfg(feature = "cli")]
    ("DescribeSecret", &[("ARN", Text)]),
    #[cfg(feature = "cli")]
    ("GetServiceQuota", &[("Quota", Map)]),
    #[cfg(feature = "cli")]
    ("ListEventSourceMappings", &[("EventSourceMappings", List)]),
    #[cfg(feature = "cli")]
    ("TagQueue", &[]),
    #[cfg(feature = "cli")]
    ("UntagQueue", &[]),
    // What a function answers is its own.
    #[cfg(feature = "cli")]
    ("Invoke", &[]),
];

/// Calls of Auto Scaling, EC2, IAM and STS, which answer in XML. Source: their API references, the responses' elements.
const IN_XML: &[&str] = &[
    "RecordLifecycleActionHeartbeat",
    "CompleteLifecycleAction",
    #[cfg(feature = "cli")]
    "DescribeRouteTables",
    #[cfg(feature = "cli")]
    "DescribeSecurityGroups",
    #[cfg(feature = "cli")]
    "DescribeSubnets",
    #[cfg(feature = "cli")]
    "DescribeVpcEndpoints",
    #[cfg(feature = "cli")]
    "GetCallerIdentity",
    #[cfg(feature = "cli")]
    "GetRole",
    #[cfg(feature = "cli")]
    "SimulatePrincipalPolicy",
];

/// Of what kind a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    List,
    Map,
    Text,
    Other,
}

/// Why an answer cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unusable {
    /// Something on the way has answered.
    #[error(
        "HTTP {status} with {what} instead of an answer of AWS; something on the way, such as a \
         proxy, has answered, and nothing was done"
    )]
    Foreign { status: u16, what: String },
    /// A gateway has answered; what it has passed on before, nobody knows.
    #[error("HTTP {0} with a page in HTML")]
    Gateway(u16),
    /// It is half an answer, or garbled.
    #[error("the answer cannot be used: HTTP {0} with a body that cannot be understood")]
    Garbled(u16),
    /// It lacks what was asked for.
    #[error("the answer cannot be used: it has no {kind} `{member}`, and missing is not empty")]
    Missing { kind: Kind, member: &'static str },
    /// It goes on and on.
    #[error("the answer has more than {LONGEST_ANSWER} bytes, which are not read")]
    TooLong,
}

impl Unusable {
    /// The reason in an error of the SDK, where it is one of these.
    pub(super) fn in_error(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if error.is::<LengthLimitError>() {
                return Some(Self::TooLong);
            }
            if let Some(unusable) = error.downcast_ref::<Self>() {
                return Some(unusable.clone());
            }
            cause = error.source();
        }
        None
    }

    /// Whether the call never came to AWS.
    pub(super) fn is_foreign(&self) -> bool {
        matches!(self, Self::Foreign { .. })
    }
}

/// Looks at every answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usable;

impl Intercept for Usable {
    fn name(&self) -> &'static str {
        "Usable"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let operation = config.load::<Metadata>().map_or("", |metadata| metadata.name());
        Ok(check(operation, context.response())?)
    }
}

fn check(operation: &str, response: &HttpResponse) -> Result<(), Unusable> {
    // One that was not read to its end is reported by whoever read it.
    let Some(body) = response.body().bytes() else { return Ok(()) };
    let status = response.status().as_u16();
    let header = |name| response.headers().get(name).unwrap_or_default();
    // What an object is stored as is its owner's word.
    let is_called_html =
        operation != "GetObject" && header("content-type").starts_with("text/html");
    let is_html = is_called_html || begins_as_html(body);
    match status {
        304 => Ok(()),
        500.. if is_html => Err(Unusable::Gateway(status)),
        _ if is_html => Err(Unusable::Foreign { status, what: "a page in HTML".to_owned() }),
        // S3 says in XML that a bucket is elsewhere.
        300..400 if !body.starts_with(b"<?xml") => {
            let what = format!("a redirection to {}", host(header("location")));
            Err(Unusable::Foreign { status, what })
        }
        200..300 => check_members(operation, status, body),
        _ => Ok(()),
    }
}

fn check_members(operation: &str, status: u16, body: &[u8]) -> Result<(), Unusable> {
    if operation == "GetObject" {
        return Ok(());
    }
    if IN_XML.contains(&operation) {
        let root = format!("<{operation}Response");
        let is_whole = String::from_utf8_lossy(body).contains(&root);
        return if is_whole { Ok(()) } else { Err(Unusable::Garbled(status)) };
    }
    let garbled = || Unusable::Garbled(status);
    let members: BTreeMap<String, Kind> = serde_json::from_slice(body).map_err(|_| garbled())?;
    let needed = NEEDED.iter().find(|(name, _)| *name == operation);
    // What a call needs has to be known before the call is made anywhere.
    let (_, needed) = needed.ok_or_else(garbled)?;
    match needed.iter().find(|(member, kind)| members.get(*member) != Some(kind)) {
        Some((member, kind)) => Err(Unusable::Missing { kind: *kind, member }),
        None => Ok(()),
    }
}

fn begins_as_html(body: &[u8]) -> bool {
    let beginning = body.trim_ascii_start();
    let begins = |with: &[u8]| {
        beginning.get(..with.len()).is_some_and(|begins| begins.eq_ignore_ascii_case(with))
    };
    begins(b"<!doctype html") || begins(b"<html")
}

/// The host of a location: what comes after it may be anything.
fn host(location: &str) -> &str {
    let (_, rest) = location.split_once("//").unwrap_or_default();
    rest.split(['/', '?', '#']).next().filter(|host| !host.is_empty()).unwrap_or("nowhere")
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            List => "list",
            Map => "object",
            Text => "text",
            Self::Other => "member",
        })
    }
}

impl<'de> Deserialize<'de> for Kind {
    /// Reads over the member, and keeps nothing of it.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Seen)
    }
}

struct Seen;

impl<'de> Visitor<'de> for Seen {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Kind, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(List)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Kind, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Map)
    }

    fn visit_str<E>(self, _text: &str) -> Result<Kind, E> {
        Ok(Text)
    }

    fn visit_bool<E>(self, _value: bool) -> Result<Kind, E> {
        Ok(Kind::Other)
    }

    fn visit_i64<E>(self, _number: i64) -> Result<Kind, E> {
        Ok(Kind::Other)
    }

    fn visit_u64<E>(self, _number: u64) -> Result<Kind, E> {
        Ok(Kind::Other)
    }

    fn visit_f64<E>(self, _number: f64) -> Result<Kind, E> {
        Ok(Kind::Other)
    }

    fn visit_unit<E>(self) -> Result<Kind, E> {
        Ok(Kind::Other)
    }
}

#[cfg(test)]
mod tests {
    use aws_smithy_types::body::SdkBody;

    use super::*;

    fn answer(status: u16, body: &str) -> HttpResponse {
        HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body))
    }

    #[test]
    fn a_member_that_is_missing_null_or_of_another_kind_is_told() {
        for (operation, needed) in NEEDED {
            let whole: serde_json::Map<_, _> = needed
                .iter()
                .map(|(member, kind)| ((*member).to_owned(), example(*kind)))
                .collect();
            let of = |members: &serde_json::Map<String, serde_json::Value>| {
                let body = serde_json::Value::Object(members.clone()).to_string();
                check(operation, &answer(200, &body))
            };
            assert_eq!(of(&whole), Ok(()), "{operation}");
            for (member, kind) in *needed {
                let missing = Err(Unusable::Missing { kind: *kind, member });
                for wrong in [None, Some(serde_json::Value::Null), Some(7.into())] {
                    let mut members = whole.clone();
                    members.remove(*member);
                    members.extend(wrong.map(|wrong| ((*member).to_owned(), wrong)));
                    assert_eq!(of(&members), missing, "{operation} {member}");
                }
            }
        }
    }

    fn example(kind: Kind) -> serde_json::Value {
        match kind {
            List => serde_json::json!([{"a": [1, 2.5, null, true]}]),
            Map => serde_json::json!({"a": {}}),
            Text | Kind::Other => serde_json::json!("a"),
        }
    }

    #[test]
    fn what_is_not_of_aws_is_told_as_what_it_is() {
        let page = "\n<!DOCTYPE html><html>Please log in</html>";
        let mut elsewhere = answer(302, "");
        elsewhere.headers_mut().insert("location", "https://portal.example/login?token=secret");
        let moved = "<?xml version=\"1.0\"?><Error><Code>TemporaryRedirect</Code></Error>";
        let texts = [
            check("ListTasks", &answer(200, page)),
            check("ListTasks", &answer(403, page)),
            check("ListTasks", &answer(502, page)),
            check("ListTasks", &elsewhere),
            check("ListTasks", &answer(200, "{\"taskArns\": [")),
            check("CompleteLifecycleAction", &answer(200, "{}")),
            check("AnOperationOfNextYear", &answer(200, "{}")),
            check("GetObject", &answer(307, moved)),
            check("ListTasks", &answer(400, "no JSON")),
        ];
        let texts =
            texts.map(|result| result.map_or_else(|error| error.to_string(), |()| "-".into()));
        insta::assert_snapshot!(texts.join("\n"));
    }
}
