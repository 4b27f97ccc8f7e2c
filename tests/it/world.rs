//! An AWS in this process: SQS and ECS behind the real SDK, at its HTTP connector, so that
//! serialization, signing, retries and error parsing are the real ones.
//!
//! It enforces the rules that AWS documents, which emulators do not. State and requests are JSON
//! documents under the API's own names. Its time is tokio's, which tests pause, and what passes while
//! the function is frozen. A test says what happens; or `life` and `weather` do, from a seed, while
//! `watch` looks for what must never be.

pub(crate) mod buckets;
mod clocks;
mod definitions;
mod deployed;
mod foreign;
mod instances;
pub(crate) mod life;
mod placing;
mod proof;
mod query;
mod room;
mod rules;
pub(crate) mod scaling;
mod sqs;
pub(crate) mod stores;
mod tasks;
pub(crate) mod watch;
pub(crate) mod weather;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

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
use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;

use self::buckets::Buckets;
use self::definitions::Definitions;
use self::deployed::{Ages, Deleted, Functions, LOOKS, Logs, Looks};
use self::foreign::foreign;
use self::instances::Instances;
use self::life::Life;
use self::scaling::LifecycleAction;
use self::stores::Stores;
use self::watch::Watch;
use self::weather::Weather;

pub(crate) const REGION: &str = "eu-central-1";
pub(crate) const ACCOUNT: &str = "123456789012";

/// When every world begins.
pub(crate) const BEGINNING: &str = "2026-11-20T21:00:00Z";

/// A world as one process sees it; its clones are the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    state: Arc<Mutex<State>>,
    process: u32,
    /// Tells that a process has crashed.
    crash: Arc<Notify>,
    /// Tells that the function was frozen.
    thaw: Arc<Notify>,
}

#[derive(Debug)]
pub(crate) struct State {
    born: Instant,
    /// How long the function was frozen, all in all: its monotonic clock stood still.
    frozen: Duration,
    /// By how much its wall clock is wrong.
    wrong_by: SignedDuration,
    /// By URL.
    queues: BTreeMap<String, BTreeMap<String, String>>,
    clusters: BTreeSet<String>,
    /// The capacity provider of every cluster's default strategy.
    default_capacity: &'static str,
    definitions: Definitions,
    instances: Instances,
    /// By ARN.
    tasks: BTreeMap<String, Value>,
    /// What `RunTask` answered, by cluster and token, with the request that it answered.
    tokens: BTreeMap<(String, String), (Value, Value)>,
    stores: Stores,
    functions: Functions,
    ages: Ages,
    deleted: Deleted,
    logs: Logs,
    looks: Looks,
    hooks: Vec<LifecycleAction>,
    calls: Vec<Call>,
    faults: Vec<Scripted>,
    page_size: Option<usize>,
    /// How long every call takes where no weather says otherwise, and those of some operations.
    latency: Duration,
    takes: BTreeMap<&'static str, Duration>,
    /// Signatures of another time than this one's are refused.
    checks_clocks: bool,
    /// Bytes of answers without an end that were read.
    read_of_endless: usize,
    /// Tasks that stopped longer ago than any job lasts, and those of them that were on instances.
    forgotten: (usize, usize),
    crashed: BTreeSet<u32>,
    /// Calls, counted from the beginning, at which the function dies.
    crashes: BTreeMap<usize, Executed>,
    pub(crate) buckets: Option<Buckets>,
    pub(crate) life: Option<Life>,
    pub(crate) weather: Option<Weather>,
    pub(crate) watch: Watch,
}

impl Default for State {
    fn default() -> Self {
        Self {
            born: Instant::now(),
            frozen: Duration::ZERO,
            wrong_by: SignedDuration::ZERO,
            queues: BTreeMap::new(),
            clusters: BTreeSet::new(),
            default_capacity: "",
            definitions: Definitions::default(),
            instances: Instances::default(),
            tasks: BTreeMap::new(),
            tokens: BTreeMap::new(),
            stores: Stores::default(),
            functions: Functions::default(),
            ages: Ages::default(),
            deleted: Deleted::default(),
            logs: Logs::default(),
            looks: Looks::default(),
            hooks: Vec::new(),
            calls: Vec::new(),
            faults: Vec::new(),
            page_size: None,
            latency: Duration::ZERO,
            takes: BTreeMap::new(),
            checks_clocks: false,
            read_of_endless: 0,
            forgotten: (0, 0),
            crashed: BTreeSet::new(),
            crashes: BTreeMap::new(),
            buckets: None,
            life: None,
            weather: None,
            watch: Watch::default(),
        }
    }
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
    /// `RunTask` places so many, and fails the rest for this reason; `StartTask` those on the
    /// first so many instances.
    Placed(usize, &'static str),
    /// Executed, and the answer is lost on its way.
    LostAnswer,
    /// Executed, and the connection is closed before the answer.
    Closed,
    /// Executed, and answered with this.
    Answer(Value),
    /// Something on the way answers, with this status, this header and this body.
    Foreign(u16, (&'static str, &'static str), &'static str),
    /// Something on the way answers, and its answer has no end.
    Endless,
    /// A fault of the function itself, on the way to AWS.
    Panic,
    /// Executed; the function's wall clock is set, and is wrong by so much from then on.
    ClockIsSet(SignedDuration),
    /// Never answered; executed or not.
    Hang(Executed),
    /// The function dies; before the call was executed or after.
    Crash(Executed),
}

/// Whether a call took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Executed {
    Yes,
    No,
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
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The same world for another process of the function.
    pub(crate) fn seen_by(&self, process: u32) -> Self {
        Self { process, ..self.clone() }
    }

    /// Waits until a function crashes.
    pub(crate) async fn crashed(&self) {
        self.crash.notified().await;
    }

    /// What a real client needs to talk to this world.
    pub(crate) fn sdk_config(&self) -> SdkConfig {
        let credentials = Credentials::new("test", "test", None, None, "test");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(REGION))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .sleep_impl(aws_sdk_ecs::config::SharedAsyncSleep::new(VirtualSleep))
            .http_client(SharedHttpClient::new(self.clone()))
            .build()
    }

    pub(crate) fn cluster(&self, name: &str) {
        self.state().clusters.insert(name.to_owned());
    }

    /// Where tasks go whose `RunTask` names neither a launch type nor a provider.
    pub(crate) fn default_capacity(&self, provider: &'static str) {
        self.state().default_capacity = provider;
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

    /// The function dies at one of the calls to come, counted from zero.
    pub(crate) fn crash_at(&self, call: usize, executed: Executed) {
        let mut state = self.state();
        let call = state.calls.len() + call;
        state.crashes.insert(call, executed);
    }

    /// Nothing goes wrong any more.
    pub(crate) fn forget_faults(&self) {
        self.state().faults.clear();
    }

    /// Lists come in pages of so many.
    pub(crate) fn page_size(&self, size: usize) {
        self.state().page_size = Some(size);
    }

    /// Every call takes so long.
    pub(crate) fn latency(&self, latency: Duration) {
        self.state().latency = latency;
    }

    /// From now on the answers of an operation take so long, after it was executed.
    pub(crate) fn takes(&self, operation: &'static str, time: Duration) {
        self.state().takes.insert(operation, time);
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
        let changing = [
            "RunTask",
            "StartTask",
            "StopTask",
            "RegisterTaskDefinition",
            "DeregisterTaskDefinition",
            "DeleteTaskDefinitions",
            "TagQueue",
            "UntagQueue",
            "UpdateContainerInstancesState",
            "TagResource",
            "RecordLifecycleActionHeartbeat",
            "CompleteLifecycleAction",
        ];
        changing.into_iter().map(|operation| self.count(operation)).sum()
    }

    async fn respond(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
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
        let signed = request.headers().get("x-amz-date").unwrap_or_default();
        if let Some(refused) = self.state().refuse_clock(signed) {
            return Ok(refused);
        }
        let (call, protocol) = wire::read(&request, operation, input);
        let service = wire::service(&call, protocol);
        assert!(stores::is_signed(&request, service), "{operation}: {:?}", request.headers());
        let (fault, before, after) = self.state().arrive(self.process, &call);
        self.state().explain(self.process, &call, (fault.as_ref(), before + after));
        pass(before).await;
        if self.state().crashed.contains(&self.process) {
            return std::future::pending().await;
        }
        let is_foreign = matches!(fault, Some(Fault::Foreign(..) | Fault::Endless));
        let mut answer = self.execute(&call, fault).await;
        if is_foreign {
            return answer;
        }
        answer = answer.map(|answer| wire::written(&call, protocol, answer));
        pass(after).await;
        let mut state = self.state();
        let now = state.millis();
        let body = answer.as_ref().ok().and_then(|answer| answer.body().bytes());
        state.watch.answered(self.process, &call, (body.unwrap_or_default(), now));
        answer
    }

    async fn execute(
        &self,
        call: &Call,
        fault: Option<Fault>,
    ) -> Result<HttpResponse, ConnectorError> {
        let run = |placed| self.state().execute(self.process, call, placed);
        match fault {
            Some(Fault::Error(status, code, message)) => {
                let refused = Refused { code, message, more: json!({}) };
                Ok(answer(status, &refused.document()))
            }
            Some(Fault::Answer(document)) => Ok(answer(200, &document)),
            Some(Fault::Foreign(status, header, body)) => Ok(foreign(status, header, body)),
            Some(Fault::Endless) => Ok(self.endless()),
            Some(Fault::Panic) => panic!("a fault of the function itself at {}", call.input),
            Some(Fault::ClockIsSet(wrong_by)) => {
                self.clock_is_wrong_by(wrong_by);
                Ok(answered(run(None)))
            }
            Some(Fault::LostAnswer) => {
                let _ = run(None);
                Err(ConnectorError::io("the answer was lost".into()))
            }
            // As hyper tells it, by the SDK's client.
            Some(Fault::Closed) => {
                let _ = run(None);
                Err(ConnectorError::other(
                    "connection closed before message completed".into(),
                    None,
                ))
            }
            Some(Fault::Hang(executed)) => {
                if executed == Executed::Yes {
                    let _ = run(None);
                }
                std::future::pending().await
            }
            Some(Fault::Crash(executed)) => {
                if executed == Executed::Yes {
                    let _ = run(None);
                }
                self.state().crashed.insert(self.process);
                self.crash.notify_one();
                std::future::pending().await
            }
            Some(Fault::Placed(placed, reason)) => Ok(answered(run(Some((placed, reason))))),
            None => Ok(answered(run(None))),
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

    /// A call has come in: what goes wrong with it, and how long its two ways take.
    fn arrive(&mut self, process: u32, call: &Call) -> (Option<Fault>, Duration, Duration) {
        self.catch_up();
        self.calls.push(call.clone());
        if let Some(executed) = self.crashes.remove(&(self.calls.len() - 1)) {
            return (Some(Fault::Crash(executed)), Duration::ZERO, Duration::ZERO);
        }
        if let Some(fault) = self.fault(&call.operation, &call.input) {
            return (Some(fault), Duration::ZERO, Duration::ZERO);
        }
        let now = self.millis();
        self.watch.called(process, call, now);
        let after = self.takes.get(call.operation.as_str()).copied().unwrap_or(self.latency);
        match &mut self.weather {
            Some(weather) => weather.fate(process, call, now),
            None => (None, Duration::ZERO, after),
        }
    }

    /// What goes wrong with a call may be why messages wait; so may a call that takes longer than
    /// anybody waits for it.
    fn explain(&mut self, process: u32, call: &Call, (fault, takes): (Option<&Fault>, Duration)) {
        let now = self.millis();
        match fault {
            Some(fault) => self.watch.waiting.went_wrong(process, call, (fault, now)),
            None if Duration::from_secs(4) < takes => {
                self.watch.waiting.refuse(process, call, ("", now));
            }
            None => {}
        }
    }

    fn execute(
        &mut self,
        process: u32,
        call: &Call,
        placed: Option<(usize, &'static str)>,
    ) -> Answer {
        self.catch_up();
        let Call { operation, input } = call;
        let now = self.millis();
        if let Some(buckets) = &mut self.buckets
            && !buckets.take(operation, (input, self.default_capacity), now)
        {
            self.watch.throttle(process);
            return refuse("ThrottlingException", "Rate exceeded");
        }
        let answer = match operation.as_str() {
            "GetQueueUrl" => self.get_queue_url(input),
            "ListQueues" => Ok(self.list_queues(input)),
            "ListClusters" => Ok(json!({"clusterArns": self.clusters})),
            "GetQueueAttributes" => self.get_queue_attributes(process, input),
            "ListTasks" => self.list_tasks(process, input),
            "DescribeTasks" => self.describe_tasks(process, input),
            "GetParameter" => self.get_parameter(input),
            "GetObject" => self.get_object(input),
            "GetResources" => self.get_resources(input),
            "GetFunctionConfiguration" => self.get_function_configuration(input),
            "Invoke" => self.invoke(input),
            "GetMetricData" => self.get_metric_data(input),
            "FilterLogEvents" => self.filter_log_events(input),
            "RunTask" => self.run_task(process, input, placed),
            "StartTask" => self.start_task(process, input, placed),
            "StopTask" => self.stop_task(input),
            "ListContainerInstances" => self.list_container_instances(process, input),
            "DescribeContainerInstances" => self.describe_container_instances(process, input),
            "UpdateContainerInstancesState" => self.update_container_instances_state(input),
            "TagResource" => self.tag_resource(input),
            "RecordLifecycleActionHeartbeat" => self.heartbeat(input),
            "CompleteLifecycleAction" => self.complete(input),
            "DescribeTaskDefinition" => self.definitions.describe(input),
            "RegisterTaskDefinition" => self.definitions.register(input),
            "DeregisterTaskDefinition" => self.definitions.deregister(input),
            "ListTaskDefinitionFamilies" => Ok(self.definitions.list_families(input)),
            "ListTaskDefinitions" => Ok(self.definitions.list_revisions(input)),
            "DeleteTaskDefinitions" => self.definitions.delete(input),
            "TagQueue" | "UntagQueue" => {
                self.change_tags(operation, input);
                Ok(json!({}))
            }
            "GetCallerIdentity" => Ok(json!({})),
            other if LOOKS.contains(&other) => self.look(other, input),
            other => refuse("UnknownOperationException", format!("{other} is not known")),
        };
        if let Err(refused) = &answer {
            self.watch.refused(now, call, refused);
            self.watch.waiting.refused(process, call, (refused, now));
        }
        if operation.ends_with("egisterTaskDefinition") {
            let about = [text(input, "family"), text(input, "taskDefinition")].concat();
            let came = answer.as_ref().map(|_| "done").map_err(|refused| refused.code);
            self.watch.log.push(format!("{now:>9} {operation} {about}: {came:?}"));
        }
        answer
    }
}

/// Time passes, where there is any to pass.
#[expect(clippy::disallowed_methods, reason = "it is virtual time, which tests pause")]
async fn pass(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
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
        let world = self.clone();
        HttpConnectorFuture::new(async move { world.respond(request).await })
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

/// The SDK's timeouts run on the world's time.
#[derive(Debug)]
struct VirtualSleep;

impl aws_sdk_ecs::config::AsyncSleep for VirtualSleep {
    #[expect(clippy::disallowed_methods, reason = "it is virtual time, which tests pause")]
    fn sleep(&self, duration: Duration) -> aws_sdk_ecs::config::Sleep {
        aws_sdk_ecs::config::Sleep::new(tokio::time::sleep(duration))
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
