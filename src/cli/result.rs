//! The result of a tick as a terminal reads it: made here, or sent by the function.

use decision::decide::Unowned;
use decision::units::{ClusterName, Tasks, WorkerName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::page::Meaning;

/// What a tick comes to, as far as it is read here. Younger functions may say more.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TickResult {
    /// `SCALER_NAME`
    pub name: String,
    /// What it went by.
    pub config: ConfigResult,
    /// One entry a worker.
    pub workers: Vec<WorkerResult>,
    /// Container instances that somebody has to look at.
    #[serde(default)]
    pub instances: Vec<InstanceResult>,
    /// Tasks whose worker is not in the configuration.
    #[serde(default)]
    pub unowned: Vec<UnownedResult>,
    /// Workers that are not listed, as the answer would be too large.
    #[serde(default)]
    pub left_out: u64,
}

/// A container instance that somebody has to look at.
#[derive(Clone, Debug, Deserialize)]
pub struct InstanceResult {
    /// Its name.
    pub instance: String,
    /// Where it is.
    pub cluster: String,
    /// What is wrong with it.
    pub why: String,
}

/// Tasks whose worker is not in the configuration.
#[derive(Clone, Debug, Deserialize)]
pub struct UnownedResult {
    /// What the worker is called.
    pub worker: String,
    /// Where they run.
    pub cluster: String,
    /// How many.
    pub tasks: u32,
}

/// The configuration of a tick.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigResult {
    /// Where it is from, as `SCALER_CONFIG` says it.
    pub source: String,
    /// Which version it is, where there are several.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version: Option<String>,
    /// Why what is newer is not used.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
    /// What it discovered by tags.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub discovery: Option<DiscoveryResult>,
    /// What of it may be meant otherwise.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub warnings: Vec<String>,
}

/// What was discovered by tags.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DiscoveryResult {
    /// Queues that carry the tag.
    pub queues: u64,
    /// Why they could not be read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
}

impl ConfigResult {
    /// Why it is not the newest, or not all of it.
    pub fn problem(&self) -> Option<String> {
        let discovery = self.discovery.as_ref().and_then(|found| found.error.clone());
        let all: Vec<_> = self.error.clone().into_iter().chain(discovery).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

/// What a tick comes to for one worker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkerResult {
    /// Its name.
    pub worker: String,
    /// The outcome, as the function's result has it: `idle`, `planned`, `held`, `failed`, ...
    pub outcome: String,
    /// Its queue, where it could be read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub depth: Option<DepthResult>,
    /// Its tasks before the tick, where they were read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub alive: Option<AliveResult>,
    /// Why so many, where there was something to decide.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub decision: Option<DecisionResult>,
    /// What the decision went by, from which `explain` derives it again.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub facts: Option<Value>,
    /// What is started, by its definition and size.
    #[serde(default)]
    pub launched: Vec<LaunchedResult>,
    /// What ECS did not place.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub failures: Vec<FailureResult>,
    /// Containers that are owed and wait for the next tick.
    #[serde(default)]
    pub deferred: u64,
    /// Why messages wait although more containers are owed for them.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub waits_for: Vec<String>,
    /// That the operator wants nothing started.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub paused: Option<PausedResult>,
    /// Why only a canary is started.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub breaker: Option<String>,
    /// Tasks that have not reached RUNNING for too long.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub stuck: Vec<String>,
    /// Tasks that go on although all of their workers have stopped.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub outlived: Vec<String>,
    /// What went wrong.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub errors: Vec<String>,
    /// What a person may want to know although the worker is served.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub warnings: Vec<String>,
}

/// What SQS counts of a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DepthResult {
    /// Messages that can be received now.
    pub visible: u64,
    /// Messages that were received and not deleted yet.
    pub in_flight: u64,
    /// Messages that cannot be received yet.
    pub delayed: u64,
}

/// What is there of a worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AliveResult {
    /// Tasks that ECS does not want stopped.
    pub tasks: u64,
    /// Their worker containers that have not stopped.
    pub containers: u64,
    /// Of these, the ones that run.
    pub running: u64,
    /// Of these, the ones of tasks that do not reach RUNNING.
    pub stuck: u64,
    /// Of these, the ones that run without a message, though messages wait.
    pub idle: u64,
}

/// The arithmetic of a worker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DecisionResult {
    /// Messages to answer.
    pub backlog: u64,
    /// Containers that are owed.
    pub launch: u64,
    /// The sum, as a sentence.
    pub why: String,
}

/// Tasks of one size.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LaunchedResult {
    /// The revision, or the family of one that is to be derived.
    pub task_definition: String,
    /// Worker containers in each task.
    pub containers_per_task: u64,
    /// How many tasks.
    pub count: u64,
    /// Of these, the ones that an earlier delivery of the tick had started.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub adopted: Vec<String>,
}

/// Tasks that ECS did not place, for one reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailureResult {
    /// ECS's words.
    pub reason: String,
    /// More of them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
    /// How many tasks.
    pub tasks: u64,
}

/// Until when nothing is started, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PausedResult {
    /// When it ends by itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub until: Option<String>,
    /// Why, in the operator's words.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub why: Option<String>,
}

/// How a worker is, the most urgent first.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// Something could not be read.
    Unknown,
    /// Somebody has to look.
    Attention,
    /// Containers are to be started.
    Launches,
    /// Messages wait, and no container is started for them now.
    Waits,
    /// Nothing is owed.
    Idle,
}

/// An answer that is not the result of a tick.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer is not the result of a tick: {0}")]
pub struct NoResult(String);

impl TickResult {
    /// What else somebody should know.
    pub fn notes(&self) -> Vec<String> {
        let instances = self.instances.iter().map(|found| {
            let InstanceResult { instance, cluster, why } = found;
            format!("instance {instance} of {cluster}: {why}")
        });
        let unowned = self.unowned.iter().map(|found| {
            let UnownedResult { worker, cluster, tasks } = found;
            let unowned = Unowned {
                worker: WorkerName::from(worker.as_str()),
                cluster: ClusterName::from(cluster.as_str()),
                tasks: Tasks(*tasks),
            };
            unowned.to_string()
        });
        let left_out = (self.left_out != 0).then(|| {
            format!("workers that the function's answer has no room for: {}", self.left_out)
        });
        instances.chain(unowned).chain(left_out).collect()
    }

    /// Reads a function's answer.
    ///
    /// # Errors
    /// When it is no result.
    pub fn parse(answer: &Value) -> Result<Self, NoResult> {
        Self::deserialize(answer).map_err(|error| NoResult(error.to_string()))
    }
}

impl WorkerResult {
    /// How it is.
    pub fn state(&self) -> State {
        let has_trouble =
            !(self.errors.is_empty() && self.stuck.is_empty() && self.outlived.is_empty());
        match self.outcome.as_str() {
            "held" => State::Unknown,
            _ if has_trouble || self.breaker.is_some() => State::Attention,
            _ if self.tasks() != 0 => State::Launches,
            _ if !self.waits_for.is_empty() => State::Waits,
            _ => State::Idle,
        }
    }

    /// Tasks that are started.
    pub fn tasks(&self) -> u64 {
        total(self.launched.iter().map(|launched| launched.count))
    }

    /// Worker containers in them.
    pub fn containers(&self) -> u64 {
        let containers = |of: &LaunchedResult| of.count.saturating_mul(of.containers_per_task);
        total(self.launched.iter().map(containers))
    }

    /// Tasks that this very tick has started, and containers in them.
    pub fn started(&self) -> (u64, u64) {
        let of = |launched: &LaunchedResult| launched.started();
        let tasks = total(self.launched.iter().map(of));
        let containers = self
            .launched
            .iter()
            .map(|launched| launched.started().saturating_mul(launched.containers_per_task));
        (tasks, total(containers))
    }

    /// What a person reads of it first.
    pub fn sentence(&self) -> String {
        let why = self.decision.as_ref().map(|decision| decision.why.clone());
        let errors = (!self.errors.is_empty()).then(|| self.errors.join("; "));
        let errors = match (self.outcome.as_str(), errors) {
            ("held", Some(errors)) => Some(format!("held: {errors}")),
            (_, errors) => errors,
        };
        let breaker =
            self.breaker.as_ref().map(|why| format!("the circuit breaker is open: {why}"));
        let paused = self.paused.as_ref().map(|PausedResult { until, why }| {
            let until = until.as_deref().unwrap_or("`paused` is taken away");
            let why = why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            format!("paused until {until}{why}")
        });
        let parts: Vec<_> = [errors, breaker, paused, why].into_iter().flatten().collect();
        match (parts.is_empty(), self.waits_for.join(", ")) {
            (false, _) => parts.join("; "),
            (true, words) if words.is_empty() => "nothing waits".to_owned(),
            (true, words) => format!("messages wait: {words}"),
        }
    }
}

impl LaunchedResult {
    /// Those that no earlier delivery of the tick had started.
    pub fn started(&self) -> u64 {
        let adopted = u64::try_from(self.adopted.len()).unwrap_or(u64::MAX);
        self.count.saturating_sub(adopted)
    }
}

/// A sum of numbers that others wrote.
pub(super) fn total(numbers: impl Iterator<Item = u64>) -> u64 {
    numbers.fold(0, u64::saturating_add)
}

impl State {
    /// The sign that stands before the name.
    pub fn sign(self) -> char {
        match self {
            Self::Unknown => '?',
            Self::Attention => '!',
            Self::Launches => '~',
            Self::Waits => '=',
            Self::Idle => ' ',
        }
    }

    /// For the colour.
    pub fn meaning(self) -> Meaning {
        match self {
            Self::Unknown | Self::Attention => Meaning::Bad,
            Self::Launches => Meaning::Good,
            Self::Waits => Meaning::Warning,
            Self::Idle => Meaning::Aside,
        }
    }
}
