//! What woke us, and the time that names the tick. Pure.
//!
//! An event wakes the scaler and does not steer it: of its content only the time of the schedule
//! counts. A direct invocation may bring its own workers, narrow them, or ask for a plan only.

mod notice;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::{RoundMode, SignedDuration, Timestamp, TimestampRound, Unit};
use serde_json::{Map, Value};

use crate::config::{
    Boolean, Fields, Form, ListOf, MOST_CONTAINERS, Reading, Special, Text, WORKERS, Whole, Wrong,
    shape,
};
use crate::document::{Document, Member};
use crate::redaction::cut;
use crate::units::{Containers, WorkerName};

pub use notice::{Hook, Notice, NoticeKind};

/// What an invocation is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Woken {
    /// One tick, or several.
    Tick(Event),
    /// An instance that is about to go away.
    Notice(Notice),
    /// Auto Scaling tries whether it can send: nothing is meant by it.
    Test,
}

impl Woken {
    /// Reads a payload; `request_id` names the tick where no schedule does.
    ///
    /// # Errors
    /// What is wrong with the payload, and the shapes that are accepted.
    pub fn parse(payload: &Value, request_id: &str) -> Result<Self, EventError> {
        if notice::is_test(payload) {
            return Ok(Self::Test);
        }
        match Notice::parse(payload)? {
            Some(notice) => Ok(Self::Notice(notice)),
            None => Event::parse(payload, request_id).map(Self::Tick),
        }
    }
}

/// The invocation of a tick, read. What it brings may hold secrets: `Debug` tells whether it does.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    /// What makes this tick the same as a retry of it, and no other.
    pub tick: Tick,
    /// What the tick may do.
    pub mode: Mode,
    /// Whether it looks at everything that a launch would need, also where none is due; `None`: as a dry
    /// run does.
    pub check: Option<bool>,
    /// The configuration that the invocation brings, in the shape of the file.
    pub config: Option<Value>,
    /// The only workers to serve; empty means all.
    pub only: Vec<WorkerName>,
    /// Of these, the ones of which so many containers are to be alive, whatever waits for them.
    pub minimum: BTreeMap<WorkerName, Containers>,
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tick, mode, check, config, only, minimum } = self;
        let mut shown = f.debug_struct("Event");
        shown.field("tick", tick).field("mode", mode).field("check", check);
        shown.field("config", &config.is_some());
        shown.field("only", only).field("minimum", minimum).finish()
    }
}

/// What a tick may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Launch what is owed.
    Launch,
    /// Read and plan, change nothing.
    DryRun,
}

/// The name of a tick: equal for every delivery of one schedule instant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tick {
    /// The schedule's instant, cut to its minute: no schedule is finer, and a rule may fire twice
    /// for one instant. With `pollEvery`, so many seconds after it.
    Scheduled(Timestamp),
    /// An invocation that no schedule made, by its request id.
    Request(String),
}

impl Tick {
    /// The instant of the schedule, where there is one.
    pub fn instant(&self) -> Option<Timestamp> {
        match self {
            Self::Scheduled(time) => Some(*time),
            Self::Request(_) => None,
        }
    }
}

/// Clocks differ by less.
const MOST_AHEAD: SignedDuration = SignedDuration::from_mins(2);

/// Whether a time is still to come, by more than clocks differ.
pub fn is_to_come(time: Timestamp, now: Timestamp) -> bool {
    MOST_AHEAD < time.duration_since(now)
}

impl fmt::Display for Tick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheduled(time) => time.fmt(f),
            Self::Request(id) => f.write_str(id),
        }
    }
}

/// An event that is none of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot read the event: {problem}; accepted are an EventBridge rule's schedule event \
     (`\"detail-type\": \"Scheduled Event\"` with its `time`), EventBridge Scheduler's input \
     (`{{\"scheduledTime\": \"<aws.scheduler.scheduled-time>\"}}`), a direct invocation with any of \
     `workers`, `dryRun`, `check`, `only`, `minimum` and `scheduledTime`, and the events `{SPOT}`, `{REBALANCE}` and \
     `{TERMINATE}`",
    SPOT = notice::SPOT,
    REBALANCE = notice::REBALANCE,
    TERMINATE = notice::TERMINATE
)]
pub struct EventError {
    problem: String,
}

impl EventError {
    fn new(problem: impl Into<String>) -> Self {
        Self { problem: problem.into() }
    }
}

/// As much of an event as it takes to know it by, in bytes.
const LONGEST_SHOWN: usize = 200;

/// The keys of an invocation that are no part of a configuration.
pub const OWN_KEYS: [&str; 5] = ["scheduledTime", "dryRun", "check", "only", "minimum"];

/// The keys of a configuration that are about where it comes from: an invocation cannot bring them.
const KEYS_OF_THE_FILE: [&str; 2] = ["configRefresh", "discover"];

/// The keys of a configuration that an invocation may bring beside its own.
fn config_keys() -> Vec<&'static str> {
    shape().top().filter(|key| !KEYS_OF_THE_FILE.contains(key)).collect()
}

impl Event {
    /// Whether a schedule sent it, and it asks for nothing of its own.
    pub fn is_plain_schedules(&self) -> bool {
        // A minimum comes with `only`.
        let Self { tick, mode, check, config, only, minimum: _ } = self;
        let is_whole = config.is_none() && only.is_empty();
        let is_plain = *mode == Mode::Launch && check.is_none() && is_whole;
        is_plain && tick.instant().is_some()
    }

    /// The same for a later tick of its invocation.
    #[must_use]
    pub fn after(&self, time: Duration) -> Self {
        let tick = match &self.tick {
            Tick::Scheduled(at) => Tick::Scheduled(at.checked_add(time).unwrap_or(*at)),
            Tick::Request(id) => Tick::Request(id.clone()),
        };
        Self { tick, ..self.clone() }
    }

    /// Reads the payload of a tick; `request_id` names it where no schedule does.
    ///
    /// # Errors
    /// What is wrong with the payload, and the shapes that are accepted.
    pub fn parse(payload: &Value, request_id: &str) -> Result<Self, EventError> {
        let object = payload
            .as_object()
            .ok_or_else(|| EventError::new("the payload is not a JSON object"))?;
        if object.contains_key("detail-type") || object.contains_key("source") {
            return Self::from_event_bridge(object);
        }
        Self::from_invocation(payload, object, request_id)
    }

    fn from_event_bridge(object: &Map<String, Value>) -> Result<Self, EventError> {
        let text = |key| object.get(key).and_then(Value::as_str).unwrap_or_default();
        let field = |key| cut(text(key), LONGEST_SHOWN).0;
        if field("detail-type") != "Scheduled Event" {
            let (source, kind) = (field("source"), field("detail-type"));
            return Err(EventError::new(format!(
                "its source is `{source}` and its detail-type `{kind}`"
            )));
        }
        Ok(Self {
            tick: scheduled(field("time")).map_err(|_| {
                EventError::new(format!(
                    "expected {ALLOWED_TIME} as its time, got `{}`",
                    field("time")
                ))
            })?,
            mode: Mode::Launch,
            check: None,
            config: None,
            only: Vec::new(),
            minimum: BTreeMap::new(),
        })
    }

    fn from_invocation(
        payload: &Value,
        object: &Map<String, Value>,
        request_id: &str,
    ) -> Result<Self, EventError> {
        let is_own = |key: &str| OWN_KEYS.contains(&key);
        if !object.keys().any(|key| is_own(key)) && !has_one_of(object, &config_keys()) {
            return Err(EventError::new("it has no key that is known here"));
        }
        let document = Document::of_value("", payload);
        let reading = Reading::of(&document);
        let event = reading.fields(document.root(), "");
        let event = event.map(|fields| read_invocation(fields, object, request_id));
        let problems: Vec<_> = reading.take_problems().iter().map(ToString::to_string).collect();
        match event {
            Some(event) if problems.is_empty() => Ok(event),
            _ => Err(EventError::new(problems.join("; "))),
        }
    }
}

fn has_one_of(object: &Map<String, Value>, keys: &[&str]) -> bool {
    keys.iter().any(|key| object.contains_key(*key))
}

fn read_invocation(mut fields: Fields<'_>, object: &Map<String, Value>, request_id: &str) -> Event {
    let time = fields.optional("scheduledTime", TIME, "the instant that names the tick");
    let dry_run = fields.optional("dryRun", Boolean, "plan, and change nothing");
    let check = "look at all that a launch would need; by itself it changes nothing";
    let check = fields.optional("check", Boolean, check);
    let only = fields.list("only", &NAMES, "the only workers to serve").unwrap_or_default();
    let minimum = "so many containers of these workers, for this tick";
    let minimum = fields.optional("minimum", MINIMUM, minimum).unwrap_or_default();
    let is_missing = |worker: &&WorkerName| !only.iter().any(|name| name == worker.as_str());
    if let Some(worker) = minimum.keys().find(is_missing) {
        let message = format!("`{worker}` is not in `only`, which has to name it");
        fields.problem("minimum", &message);
    }
    let is_own = |key: &String| OWN_KEYS.contains(&key.as_str());
    let has_config = !object.keys().all(is_own);
    if has_config {
        let keys = config_keys();
        if !fields.has("workers") && has_one_of(object, &keys) {
            let message = "is missing, and the other keys of a configuration need it";
            fields.problem("workers", message);
        }
        fields.knows(keys);
    }
    let has_workers = has_config && fields.has("workers");
    fields.finish();
    let config = has_workers.then(|| {
        Value::Object(object.clone().into_iter().filter(|(key, _)| !is_own(key)).collect())
    });
    // Who only asks for a check has nothing changed.
    let is_dry = dry_run.or(check).unwrap_or_default();
    Event {
        tick: time.unwrap_or_else(|| Tick::Request(request_id.to_owned())),
        mode: if is_dry { Mode::DryRun } else { Mode::Launch },
        check,
        config,
        only: only.into_iter().map(WorkerName).collect(),
        minimum,
    }
}

const NAMES: ListOf<Text> = ListOf { length: WORKERS, of: Text(255) };

const MINIMUM: Special<BTreeMap<WorkerName, Containers>> = Special {
    read: |node| {
        let members = node.members().ok_or(Wrong::NotAllowed)?;
        let count = |Member { key, value, .. }: &Member| {
            let count = Whole(1..=MOST_CONTAINERS).read(value).map_err(|_| Wrong::NotAllowed)?;
            Ok((WorkerName::from(key.as_str()), Containers(count)))
        };
        members.iter().map(count).collect()
    },
    allowed: "an object of workers and whole numbers, such as {thumbnail: 3}",
    schema: || serde_json::json!({"type": "object"}),
};

const TIME: Special<Tick> = Special {
    read: |node| match node.as_str() {
        Some(text) => scheduled(text),
        None => Err(Wrong::NotAllowed),
    },
    allowed: ALLOWED_TIME,
    schema: || serde_json::json!({"type": "string"}),
};

const ALLOWED_TIME: &str = "a time such as 2026-11-20T21:00:00Z";

fn scheduled(text: &str) -> Result<Tick, Wrong> {
    if text.starts_with('<') {
        return Err("only EventBridge Scheduler replaces that placeholder".into());
    }
    let time: Timestamp = text.parse().map_err(|_| Wrong::NotAllowed)?;
    Ok(Tick::Scheduled(minute_of(time)))
}

/// The beginning of a time's minute.
pub fn minute_of(time: Timestamp) -> Timestamp {
    let to_minute = TimestampRound::new().smallest(Unit::Minute).mode(RoundMode::Trunc);
    // Cut off, no time leaves the range.
    time.round(to_minute).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(payload: &Value) -> Result<Event, String> {
        match Woken::parse(payload, "request-1") {
            Ok(Woken::Tick(event)) => Ok(event),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn every_delivery_of_one_instant_has_one_name() {
        let rule = json!({"detail-type": "Scheduled Event", "source": "aws.events",
            "time": "2026-11-20T21:00:23Z", "detail": {}});
        let scheduler = json!({"scheduledTime": "2026-11-20T21:00:00Z"});
        let (rule, scheduler) = (parse(&rule).unwrap(), parse(&scheduler).unwrap());
        assert_eq!(rule, scheduler);
        assert_eq!(rule.tick.to_string(), "2026-11-20T21:00:00Z");
    }

    #[test]
    fn an_invocation_without_a_time_is_named_by_its_request() {
        let event = parse(&json!({"dryRun": true, "only": ["thumbnail"]})).unwrap();
        assert_eq!(event.tick, Tick::Request("request-1".to_owned()));
        assert_eq!(event.mode, Mode::DryRun);
        assert_eq!(event.only, [WorkerName::from("thumbnail")]);
        assert_eq!(event.config, None);
        let event = parse(&json!({"only": ["a", "b"], "minimum": {"a": 3}})).unwrap();
        assert_eq!(event.minimum, [(WorkerName::from("a"), Containers(3))].into());
        assert!(!event.is_plain_schedules());
    }

    #[test]
    fn an_invocation_may_bring_its_configuration() {
        let event = parse(&json!({"dryRun": false, "cluster": "jobs", "workers": []})).unwrap();
        assert_eq!(event.config, Some(json!({"cluster": "jobs", "workers": []})));
    }

    #[test]
    fn any_other_shape_is_refused_with_the_accepted_ones() {
        let strange = [
            json!(null),
            json!([1]),
            json!({}),
            json!({"Records": []}),
            json!({"detail-type": "EC2 Instance State-change Notification", "source": "aws.ec2"}),
            json!({"detail-type": "EC2 Spot Instance Interruption Warning", "source": "aws.ec2"}),
            json!({"detail-type": "EC2 Spot Instance Interruption Warning", "source": "me",
                "detail": {"instance-id": "i-1"}}),
            json!({"detail-type": "EC2 Instance Rebalance Recommendation", "source": "aws.ec2",
                "detail": {"instance-id": "i-1 or true"}}),
            json!({"detail-type": "EC2 Instance-terminate Lifecycle Action",
                "source": "aws.autoscaling", "detail": {"instance-id": "i-1"}}),
            json!({"detail-type": "EC2 Instance-terminate Lifecycle Action",
                "source": "aws.autoscaling", "detail": {"EC2InstanceId": "i-1"}}),
            json!({"detail-type": "EC2 Instance-launch Lifecycle Action",
                "source": "aws.autoscaling", "detail": {"EC2InstanceId": "i-1"}}),
            json!({"detail-type": "Scheduled Event", "source": "aws.events"}),
            json!({"detail-type": "Scheduled Event", "time": "yesterday"}),
            json!({"scheduledTime": "<aws.scheduler.scheduled-time>"}),
            json!({"scheduledTime": 7}),
            json!({"dryRun": "yes"}),
            json!({"dryRun": true, "onyl": ["a"]}),
            json!({"only": []}),
            json!({"only": [1]}),
            json!({"minimum": {"a": 1}}),
            json!({"minimum": {"a": 1}, "only": ["b"]}),
            json!({"minimum": {"a": 0}, "only": ["a"]}),
            json!({"minimum": 3, "only": ["a"]}),
            json!({"cluster": "jobs"}),
        ];
        let messages: Vec<_> = strange
            .into_iter()
            .map(|payload| {
                let message = parse(&payload).unwrap_err();
                let (problem, accepted) = message.split_once("; accepted are").unwrap();
                assert!(accepted.contains("dryRun"), "{message}");
                format!("{payload}\n  {problem}")
            })
            .collect();
        insta::assert_snapshot!(messages.join("\n"));
    }
}
