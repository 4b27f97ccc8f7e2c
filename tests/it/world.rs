//! An AWS in this process: SQS and ECS behind the real SDK, at its HTTP connector, so that
//! serialization, signing, retries and error parsing are the real ones.
//!
//! It enforces the rules that AWS documents, which emulators do not. State and requests are JSON
//! documents under the API's own names. There is no clock and no chance in it: a test says what
//! happens.

mod definitions;
mod proof;
mod rules;
mod sqs;
mod tasks;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_ecs::config::{
    Credentials, HttpClient, RuntimeComponents, SharedCredentialsProvider, SharedHttpClient,
};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};

use self::definitions::Definitions;

pub(crate) const REGION: &str = "eu-central-1";
pub(crate) const ACCOUNT: &str = "123456789012";

/// A world; its clones are the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct World(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// By URL.
    queues: BTreeMap<String, BTreeMap<String, String>>,
    clusters: BTreeSet<String>,
    definitions: Definitions,
    /// By ARN.
    tasks: BTreeMap<String, Value>,
    /// What `RunTask` answered, by cluster and token, with the request that it answered.
    tokens: BTreeMap<(String, String), (Value, Value)>,
    calls: Vec<Call>,
    faults: Vec<Scripted>,
    page_size: Option<usize>,
}

/// A request as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) operation: String,
    pub(crate) input: Value,
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// Refused with this status, code and message; nothing is executed.
    Error(u16, &'static str, String),
    /// `RunTask` places so many, and fails the rest for this reason.
    Placed(usize, &'static str),
    /// Executed, and the answer is lost on its way.
    LostAnswer,
    /// Executed, and answered with this.
    Answer(Value),
}

#[derive(Debug)]
struct Scripted {
    operation: &'static str,
    text: String,
    times: usize,
    fault: Fault,
}

/// An error as the API tells it.
#[derive(Debug)]
struct Refused {
    code: &'static str,
    message: String,
    more: Value,
}

type Answer = Result<Value, Refused>;

fn refuse<T>(code: &'static str, message: impl Into<String>) -> Result<T, Refused> {
    Err(Refused { code, message: message.into(), more: json!({}) })
}

impl World {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// What a real client needs to talk to this world.
    pub(crate) fn sdk_config(&self) -> SdkConfig {
        let credentials = Credentials::new("test", "test", None, None, "test");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(REGION))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .retry_config(RetryConfig::standard().with_initial_backoff(Duration::ZERO))
            .sleep_impl(aws_sdk_ecs::config::SharedAsyncSleep::new(NoSleep))
            .http_client(SharedHttpClient::new(self.clone()))
            .build()
    }

    pub(crate) fn cluster(&self, name: &str) {
        self.state().clusters.insert(name.to_owned());
    }

    /// Fails the next calls of an operation.
    pub(crate) fn fail(&self, operation: &'static str, times: usize, fault: Fault) {
        self.fail_where(operation, "", (times, fault));
    }

    /// Fails the next calls of an operation whose input contains a text.
    pub(crate) fn fail_where(
        &self,
        operation: &'static str,
        text: &str,
        (times, fault): (usize, Fault),
    ) {
        let text = text.to_owned();
        self.state().faults.push(Scripted { operation, text, times, fault });
    }

    /// Lists come in pages of so many.
    pub(crate) fn page_size(&self, size: usize) {
        self.state().page_size = Some(size);
    }

    /// All requests since the last time they were taken.
    pub(crate) fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.state().calls)
    }

    /// How often an operation was called since calls were taken.
    pub(crate) fn count(&self, operation: &str) -> usize {
        self.state().calls.iter().filter(|call| call.operation == operation).count()
    }

    /// Calls that change something.
    pub(crate) fn changes(&self) -> usize {
        let changing = ["RunTask", "RegisterTaskDefinition", "DeregisterTaskDefinition"];
        changing.into_iter().map(|operation| self.count(operation)).sum()
    }

    fn respond(&self, request: &HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default();
        let body = request.body().bytes().unwrap_or_default();
        let input: Value = serde_json::from_slice(body).unwrap_or_default();
        let declared = request.headers().get("content-length");
        assert!(
            declared.is_none_or(|length| length == body.len().to_string()),
            "{operation} declares {declared:?} bytes and sends {}",
            body.len()
        );
        let mut state = self.state();
        state.calls.push(Call { operation: operation.to_owned(), input: input.clone() });
        match state.fault(operation, &input) {
            Some(Fault::Error(status, code, message)) => {
                let refused = Refused { code, message, more: json!({}) };
                Ok(answer(status, &refused.document()))
            }
            Some(Fault::Answer(document)) => Ok(answer(200, &document)),
            Some(Fault::LostAnswer) => {
                let _ = state.execute(operation, &input, None);
                Err(ConnectorError::io("the answer was lost".into()))
            }
            Some(Fault::Placed(placed, reason)) => {
                Ok(answered(state.execute(operation, &input, Some((placed, reason)))))
            }
            None => Ok(answered(state.execute(operation, &input, None))),
        }
    }
}

impl State {
    fn fault(&mut self, operation: &str, input: &Value) -> Option<Fault> {
        let text = input.to_string();
        let scripted = self.faults.iter_mut().find(|scripted| {
            scripted.operation == operation && 0 < scripted.times && text.contains(&scripted.text)
        })?;
        scripted.times -= 1;
        Some(scripted.fault.clone())
    }

    fn execute(
        &mut self,
        operation: &str,
        input: &Value,
        placed: Option<(usize, &'static str)>,
    ) -> Answer {
        match operation {
            "GetQueueUrl" => self.get_queue_url(input),
            "GetQueueAttributes" => self.get_queue_attributes(input),
            "ListTasks" => self.list_tasks(input),
            "DescribeTasks" => self.describe_tasks(input),
            "RunTask" => self.run_task(input, placed),
            "DescribeTaskDefinition" => self.definitions.describe(input),
            "RegisterTaskDefinition" => self.definitions.register(input),
            "DeregisterTaskDefinition" => self.definitions.deregister(input),
            other => refuse("UnknownOperationException", format!("{other} is not known")),
        }
    }
}

impl Refused {
    fn document(&self) -> Value {
        let mut document = json!({"__type": self.code, "message": self.message});
        let fields = document.as_object_mut().unwrap();
        fields.extend(self.more.as_object().unwrap().clone());
        document
    }
}

fn answered(answered: Answer) -> HttpResponse {
    match answered {
        Ok(document) => answer(200, &document),
        Err(refused) => answer(400, &refused.document()),
    }
}

fn answer(status: u16, document: &Value) -> HttpResponse {
    HttpResponse::new(status.try_into().unwrap(), SdkBody::from(document.to_string()))
}

impl HttpConnector for World {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::ready(self.respond(&request))
    }
}

impl HttpClient for World {
    fn http_connector(
        &self,
        _settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

/// Time does not pass in this world.
#[derive(Debug)]
struct NoSleep;

impl aws_sdk_ecs::config::AsyncSleep for NoSleep {
    fn sleep(&self, _duration: Duration) -> aws_sdk_ecs::config::Sleep {
        aws_sdk_ecs::config::Sleep::new(std::future::ready(()))
    }
}

/// A text member of an input, empty where it is absent.
fn text<'a>(input: &'a Value, member: &str) -> &'a str {
    input.get(member).and_then(Value::as_str).unwrap_or_default()
}

/// A list member of an input, empty where it is absent.
fn list<'a>(input: &'a Value, member: &str) -> &'a [Value] {
    input.get(member).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}
