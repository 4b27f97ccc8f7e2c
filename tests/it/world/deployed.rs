//! Lambda functions, as a terminal sees them.

use std::collections::BTreeMap;

use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use super::{Answer, Call, State, World, refuse, text};

/// A function by its environment, its other settings, and what it answers to an event.
#[derive(Debug, Default)]
pub(super) struct Functions(BTreeMap<String, (Value, Value, Value)>);

/// The age of the oldest message, in seconds, by the queue's name.
#[derive(Debug, Default)]
pub(super) struct Ages(BTreeMap<String, f64>);

/// Messages that were deleted in each minute, the newest first, by the queue's name.
#[derive(Debug, Default)]
pub(super) struct Deleted(BTreeMap<String, Vec<f64>>);

impl World {
    /// A function with these environment variables, which gives this answer.
    pub(crate) fn function(&self, name: &str, variables: &Value, answer: &Value) {
        let function = (variables.clone(), json!({}), answer.clone());
        self.state().functions.0.insert(name.to_owned(), function);
    }

    /// A function with other settings, too.
    pub(crate) fn function_of(&self, name: &str, variables: &Value, settings: &Value) {
        let function = (variables.clone(), settings.clone(), json!({}));
        self.state().functions.0.insert(name.to_owned(), function);
    }
}

/// Lines of logs: their group, when they came, their message, and the whole.
#[derive(Debug, Default)]
pub(super) struct Logs(Vec<(String, i64, String, String)>);

/// What other services answer: to calls of an operation whose input has a text, the newest first.
#[derive(Debug, Default)]
pub(super) struct Looks(Vec<(String, String, Looked)>);

/// The answer, or the code of an error.
type Looked = Result<Value, &'static str>;

/// Calls that a terminal makes of services that are not simulated.
pub(super) const LOOKS: [&str; 16] = [
    "DescribeClusters",
    "DescribeImages",
    "DescribeLogGroups",
    "DescribeParameters",
    "DescribePullThroughCacheRules",
    "DescribeRouteTables",
    "DescribeSecret",
    "DescribeSecurityGroups",
    "DescribeServices",
    "DescribeSubnets",
    "DescribeVpcEndpoints",
    "GetRole",
    "GetServiceQuota",
    "ListEventSourceMappings",
    "ListServices",
    "SimulatePrincipalPolicy",
];

impl World {
    /// Calls of an operation whose input has a text are answered so; of those that answer in XML, by the text.
    pub(crate) fn answers(&self, operation: &str, about: &str, answer: Value) {
        let entry = (operation.to_owned(), about.to_owned(), Ok(answer));
        self.state().looks.0.insert(0, entry);
    }

    /// And these are refused.
    pub(crate) fn refuses(&self, operation: &str, about: &str, code: &'static str) {
        self.state().looks.0.insert(0, (operation.to_owned(), about.to_owned(), Err(code)));
    }

    /// A log has this line, of that time and message.
    pub(crate) fn log_line(&self, group: &str, (at, message): (i64, &str), line: &str) {
        let line = (group.to_owned(), at, message.to_owned(), line.to_owned());
        self.state().logs.0.push(line);
    }

    /// CloudWatch has seen so many messages go, the newest minute first.
    pub(crate) fn deleted_messages(&self, queue: &str, minutes: &[f64]) {
        self.state().deleted.0.insert(queue.to_owned(), minutes.to_vec());
    }

    /// CloudWatch has seen this of a queue.
    pub(crate) fn oldest_message(&self, queue: &str, seconds: f64) {
        self.state().ages.0.insert(queue.to_owned(), seconds);
    }
}

/// Source: Lambda API reference, `GetFunctionConfiguration`, `Invoke`.
pub(super) fn call_to_lambda(request: &HttpRequest) -> Option<Call> {
    if let Some((_, arn)) = request.uri().split_once("/event-source-mappings/?EventSourceArn=") {
        let operation = "ListEventSourceMappings".to_owned();
        return Some(Call { operation, input: json!({"EventSourceArn": arn}) });
    }
    let (_, path) = request.uri().split_once("/2015-03-31/functions/")?;
    assert!(
        request.uri().starts_with("https://lambda.eu-central-1.amazonaws.com/"),
        "{}",
        request.uri()
    );
    let (name, rest) = path.split_once('/').unwrap();
    let operation = match (request.method(), rest) {
        ("GET", "configuration") => "GetFunctionConfiguration",
        ("POST", "invocations") => "Invoke",
        other => panic!("{other:?}"),
    };
    let body = request.body().bytes().unwrap_or_default();
    let payload: Value = serde_json::from_slice(body).unwrap_or_default();
    let input = json!({"FunctionName": name, "Payload": payload});
    Some(Call { operation: operation.to_owned(), input })
}

/// Source: AWS STS API reference, `GetCallerIdentity`.
pub(super) fn call_to_sts(request: &HttpRequest) -> Option<Call> {
    request.uri().strip_prefix("https://sts.eu-central-1.amazonaws.com/")?;
    assert_eq!(
        request.body().bytes(),
        Some("Action=GetCallerIdentity&Version=2011-06-15".as_bytes())
    );
    Some(Call { operation: "GetCallerIdentity".to_owned(), input: json!({}) })
}

pub(super) fn identity() -> HttpResponse {
    let xml = "<GetCallerIdentityResponse><GetCallerIdentityResult>\
               <Arn>arn:aws:sts::123456789012:assumed-role/developer/anna</Arn>\
               <Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>";
    let mut answer = HttpResponse::new(200.try_into().unwrap(), xml.into());
    answer.headers_mut().insert("content-type", "text/xml");
    answer
}

/// An error's code stands in a header, its message in a document.
pub(super) fn as_rest(answer: &HttpResponse) -> HttpResponse {
    let document: Value =
        serde_json::from_slice(answer.body().bytes().unwrap_or_default()).unwrap_or_default();
    let status = answer.status().as_u16();
    if status == 200 {
        return super::answer(status, &document);
    }
    let code = text(&document, "__type").to_owned();
    let status = if code == "ResourceNotFoundException" { 404 } else { status };
    let message = json!({"Type": "User", "Message": text(&document, "message")});
    let mut answer = super::answer(status, &message);
    answer.headers_mut().insert("x-amzn-errortype", format!("{code}:"));
    answer
}

impl State {
    pub(super) fn get_function_configuration(&self, input: &Value) -> Answer {
        let name = text(input, "FunctionName");
        let Some((variables, settings, _)) = self.functions.0.get(name) else {
            return refuse("ResourceNotFoundException", format!("Function not found: {name}"));
        };
        let mut answer = json!({"FunctionName": name, "Environment": {"Variables": variables}});
        answer.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        Ok(answer)
    }

    /// Source: CloudWatch API reference, `GetMetricData`: one that has no data has no values; each value has its time,
    /// here the newest first; what has more than a page has a token. The function's own metrics take two pages here.
    #[expect(clippy::unnecessary_wraps, reason = "as the other calls")]
    pub(super) fn get_metric_data(&self, input: &Value) -> Answer {
        let queries = super::list(input, "MetricDataQueries");
        assert!((1..=500).contains(&queries.len()), "{}", queries.len());
        assert!(input["StartTime"].as_i64() < input["EndTime"].as_i64(), "{input}");
        let end = input["EndTime"].as_i64().unwrap().div_euclid(60) * 60;
        let is_second = input["NextToken"] == "more";
        let mut has_more = false;
        let mut result = |query: &Value| {
            let metric = &query["MetricStat"]["Metric"];
            let queue = text(&metric["Dimensions"][0], "Value");
            let ages = || self.ages.0.get(queue).into_iter().map(|age| json!(age)).collect();
            let deleted = || self.deleted.0.get(queue).into_iter().flatten().map(|it| json!(it));
            let values: Vec<Value> = match text(metric, "Namespace") {
                "EcsQueueScaler" => {
                    has_more |= !is_second;
                    vec![json!(if is_second { 2 } else { 3 })]
                }
                _ if is_second => Vec::new(),
                _ if text(metric, "MetricName") == "NumberOfMessagesDeleted" => deleted().collect(),
                _ => ages(),
            };
            let first = if is_second { 2 } else { 1 };
            let times = (first..).map(|minute| end - 60 * minute).take(values.len());
            let times: Vec<_> = times.collect();
            json!({"Id": query["Id"], "StatusCode": "Complete", "Timestamps": times, "Values": values})
        };
        let results: Vec<_> = queries.iter().map(&mut result).collect();
        let token = has_more.then_some("more");
        Ok(json!({"MetricDataResults": results, "NextToken": token}))
    }

    /// A line a page, and a page without any. Source: CloudWatch Logs API reference, `FilterLogEvents`:
    /// a page may be empty although others follow.
    pub(super) fn filter_log_events(&self, input: &Value) -> Answer {
        let group = text(input, "logGroupName");
        let of_group = self.logs.0.iter().filter(|(name, ..)| name == group);
        if of_group.clone().next().is_none() {
            return refuse("ResourceNotFoundException", "The specified log group does not exist.");
        }
        let (from, to) = (input["startTime"].as_i64().unwrap(), input["endTime"].as_i64().unwrap());
        let pattern = text(input, "filterPattern").strip_prefix("{ $.message = \"").unwrap();
        let beginning = pattern.strip_suffix("*\" }").unwrap();
        let is_asked = |(_, at, message, _): &&(_, i64, String, _)| {
            (from..=to).contains(at) && message.starts_with(beginning)
        };
        let lines: Vec<_> = of_group.filter(is_asked).collect();
        let page: usize = input["nextToken"].as_str().map_or(0, |token| token.parse().unwrap());
        let event = |(_, at, _, line): &&(String, i64, String, String)| json!({"timestamp": at, "message": line});
        let events: Vec<_> = lines.get(page).into_iter().map(event).collect();
        let next = (page < lines.len()).then(|| (page + 1).to_string());
        Ok(json!({"events": events, "nextToken": next}))
    }

    /// Who has not been told to answer is nobody's to ask.
    pub(super) fn look(&self, operation: &str, input: &Value) -> Answer {
        let asked = input.to_string();
        let known = self
            .looks
            .0
            .iter()
            .find(|(name, about, _)| name == operation && asked.contains(about.as_str()));
        match known {
            Some((_, _, Ok(answer))) => Ok(answer.clone()),
            Some((_, _, Err(code))) => refuse(code, format!("{code}, as the API says it")),
            None => refuse("AccessDeniedException", format!("not authorized: {operation}")),
        }
    }

    pub(super) fn invoke(&self, input: &Value) -> Answer {
        match self.functions.0.get(text(input, "FunctionName")) {
            Some((.., answer)) => Ok(answer.clone()),
            None => refuse("ResourceNotFoundException", "Function not found"),
        }
    }
}
