//! The workers of a deployment as programs get them.

use std::collections::BTreeMap;
use std::time::Duration;

use decision::units::{Messages, elapsed};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::aws::ReadCloud;
use crate::cli::deployment::Deployment;
use crate::cli::page::Meaning;
use crate::cli::result::ConfigResult;

/// The name of this shape.
pub(in crate::cli) const SCHEMA: &str = "queue-scaler.status";

/// Grows when a field gets another meaning or goes away, never when one is added.
pub(in crate::cli) const VERSION: u32 = 1;

/// All workers of a deployment at one instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusView {
    /// `queue-scaler.status`
    pub schema: String,
    /// Which version of this shape it is.
    pub version: u32,
    /// `SCALER_NAME`: whose tasks count.
    pub scaler: String,
    /// The Lambda function that it is of, where one was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// The Region that was read.
    pub region: String,
    /// When, in UTC.
    pub at: String,
    /// When its tasks were read, where that was before: their rate is the account's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tasks_at: Option<String>,
    /// What it goes by.
    pub config: ConfigResult,
    /// One a worker, the most urgent first, then by the oldest message.
    pub workers: Vec<Row>,
    /// What else somebody should know.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub notes: Vec<String>,
    /// Calls that were made for it.
    pub calls: u64,
}

/// What waits for a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waits {
    /// Messages that wait, delayed ones where they count.
    pub waiting: Messages,
    /// Messages that were received and not deleted yet.
    pub in_flight: Messages,
}

/// What waits for each worker, by its name; none where that could not be read.
pub type Depths = BTreeMap<String, Option<Waits>>;

/// One worker. What could not be read is absent, and never zero.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// Its name.
    pub worker: String,
    /// Messages that wait: visible ones, and delayed ones where they count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<u64>,
    /// Messages that were received and not deleted yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<u64>,
    /// How long the oldest message has waited, by CloudWatch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_seconds: Option<u64>,
    /// Whether that could not be read, where messages may wait.
    #[serde(skip)]
    pub is_age_unread: bool,
    /// Tasks that ECS does not want stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tasks: Option<u64>,
    /// Their worker containers that run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running: Option<u64>,
    /// Their worker containers that are on their way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starting: Option<u64>,
    /// Containers that its rule asks for; absent where nothing had to be decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<u64>,
    /// `maxContainers`; absent where the configuration of the worker is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cap: Option<u64>,
    /// Containers that a tick of now would launch, as far as a terminal knows.
    pub launches: u64,
    /// The newest launch whose tasks are known: ECS forgets them an hour after their end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_launch: Option<LastLaunch>,
    /// About what an hour of its tasks costs on Fargate On-Demand, in millionths of a dollar; absent where one of them
    /// is not Fargate's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hourly_micro_dollars: Option<u64>,
    /// How it is.
    pub urgency: Urgency,
    /// A few words more.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub note: String,
    /// Which call failed, on what, and why, where something of it could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The arithmetic of a tick of now, or what keeps it from one.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub why: String,
    /// Where its tasks run; absent where the configuration refuses it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// When its queue will be empty, by how fast messages went lately; absent where nobody can say, and where only
    /// one look is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub empty_in_seconds: Option<u64>,
    /// Whether how fast they went could not be read.
    #[serde(skip)]
    pub is_rate_unread: bool,
    /// Tasks that ended badly within the last hour; absent where those that ended were not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<u64>,
}

/// The tasks of one tick.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastLaunch {
    /// When the newest of them was made.
    pub at: String,
    /// How long ago that was.
    pub seconds_ago: u64,
    /// Worker containers in all of them.
    pub containers: u64,
    /// Names the tick, for who looks again.
    #[serde(skip)]
    pub tick: String,
}

/// How a worker is, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Urgency {
    /// Something may not be read.
    Denied,
    /// Something could not be read.
    Held,
    /// The configuration or the definition is refused.
    Refused,
    /// The circuit breaker is open.
    Breaker,
    /// Of the tasks that ended within the last hour, at least half did so badly, and three or more.
    Failing,
    /// Tasks do not start, or go on without their workers.
    Stuck,
    /// A cap of the operator keeps containers from messages.
    AtCap,
    /// Messages wait for something else.
    Waits,
    /// Containers are to be started.
    Launching,
    /// The operator wants nothing started.
    Paused,
    /// Containers answer all that waits.
    Ok,
    /// Nothing waits and nothing runs.
    Idle,
}

impl Urgency {
    /// All of them, the most urgent first.
    pub const ALL: [Self; 12] = [
        Self::Denied,
        Self::Held,
        Self::Refused,
        Self::Breaker,
        Self::Failing,
        Self::Stuck,
        Self::AtCap,
        Self::Waits,
        Self::Launching,
        Self::Paused,
        Self::Ok,
        Self::Idle,
    ];

    /// As a person reads it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Held => "not read",
            Self::Refused => "refused",
            Self::Breaker => "breaker",
            Self::Failing => "failing",
            Self::Stuck => "stuck",
            Self::AtCap => "at cap",
            Self::Waits => "waits",
            Self::Launching => "launching",
            Self::Paused => "paused",
            Self::Ok => "ok",
            Self::Idle => "idle",
        }
    }

    /// For the colour.
    pub fn meaning(self) -> Meaning {
        match self {
            Self::Denied
            | Self::Held
            | Self::Refused
            | Self::Breaker
            | Self::Failing
            | Self::Stuck => Meaning::Bad,
            Self::AtCap | Self::Waits | Self::Paused => Meaning::Warning,
            Self::Launching => Meaning::Good,
            Self::Ok => Meaning::Plain,
            Self::Idle => Meaning::Aside,
        }
    }

    /// Its place among all, from zero: the most urgent first.
    pub fn rank(self) -> usize {
        Self::ALL.iter().take_while(|it| **it < self).count()
    }

    /// Whether it is not known.
    pub fn is_unread(self) -> bool {
        matches!(self, Self::Denied | Self::Held)
    }

    /// Whether somebody has to look.
    pub fn needs_a_look(self) -> bool {
        self.meaning() == Meaning::Bad
    }
}

impl Row {
    /// With what waits now. How it is was seen with its tasks, and stays; but one that seemed idle is not any more.
    fn count(&mut self, waits: Option<Waits>) {
        let backlog = |row: &Self| Some(row.waiting?.saturating_add(row.in_flight?));
        let before = backlog(self);
        self.waiting = waits.map(|it| it.waiting.0);
        self.in_flight = waits.map(|it| it.in_flight.0);
        // Of an empty queue the last point says nothing.
        self.oldest_seconds.take_if(|_| self.waiting == Some(0));
        // At the rate that it had.
        let (now, time) = (backlog(self).filter(|now| *now != 0), self.empty_in_seconds);
        self.empty_in_seconds = now
            .zip(time)
            .zip(before)
            .and_then(|((now, time), before)| time.saturating_mul(now).checked_div(before));
        if self.urgency == Urgency::Idle && self.waiting.is_some_and(|waiting| waiting != 0) {
            self.urgency = Urgency::Ok;
            "its tasks are not read yet".clone_into(&mut self.note);
        }
    }
}

impl StatusView {
    pub(super) fn new(deployment: &Deployment, cloud: &ReadCloud, now: Timestamp) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            version: VERSION,
            scaler: deployment.scaler.name.to_string(),
            function: deployment.function.clone(),
            region: cloud.region().to_string(),
            at: now.to_string(),
            tasks_at: None,
            config: ConfigResult::default(),
            workers: Vec::new(),
            notes: Vec::new(),
            calls: cloud.tally().calls.values().sum(),
        }
    }

    /// The same with what waits at another instant. What could not be read is not what it was.
    #[must_use]
    pub fn counted(mut self, now: Timestamp, depths: &Depths) -> Self {
        let at = std::mem::replace(&mut self.at, now.to_string());
        self.tasks_at.get_or_insert(at);
        for row in &mut self.workers {
            // One that is in the configuration no more goes when tasks are read.
            row.count(depths.get(&row.worker).copied().flatten());
        }
        self
    }

    /// How long ago its tasks were read when it was.
    pub fn tasks_age(&self) -> Option<Duration> {
        let (at, tasks) = (self.at.parse().ok()?, self.tasks_at.as_ref()?.parse().ok()?);
        Some(elapsed(tasks, at))
    }

    /// The same of these workers.
    pub(in crate::cli) fn of(self, mut workers: Vec<Row>) -> Self {
        workers.sort_by_key(|row| (row.urgency, std::cmp::Reverse(row.oldest_seconds)));
        Self { workers, ..self }
    }
}
