//! `explain`: a decision of a tick that was logged, derived again from its facts, and what other settings
//! would have made of the same.

mod record;
mod text;

use std::fmt;

use decision::config::{Config, Worker, read_settings};
use decision::decide::{Derived, derive};
use decision::plan::Facts;
use decision::units::{Containers, Tasks};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

pub use self::record::{NoRecord, Record, records};
pub(super) use self::text::came_to;
use super::page::counted;

/// The name of this shape.
const SCHEMA: &str = "queue-scaler.explain";

/// Grows when a field gets another meaning or goes away, never when one is added.
const VERSION: u32 = 1;

/// The settings that the facts leave open: what others change, such as what counts as stuck, is in the facts
/// as it was.
const CAN_BE_TRIED: [&str; 12] = [
    "scaling.messagesPerContainer",
    "scaling.steps",
    "scaling.drainWithin",
    "scaling.minContainers",
    "scaling.maxContainers",
    "scaling.maxLaunchPerTick",
    "scaling.inFlightPerContainer",
    "scaling.countDelayed",
    "scaling.circuitBreaker",
    "scaling.progressBrake",
    "packing.strategy",
    "packing.maxTasks",
];

/// Of these a worker has one.
const POLICIES: [&str; 3] = ["messagesPerContainer", "steps", "drainWithin"];

/// Decisions of ticks that were logged.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExplainView {
    /// `queue-scaler.explain`
    pub schema: String,
    /// Which version of this shape it is.
    pub version: u32,
    /// One a worker and tick, the oldest first.
    pub decisions: Vec<Explained>,
}

/// A decision that was logged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Explained {
    /// The tick, as the result names it.
    pub tick: String,
    /// Whose it is.
    pub worker: String,
    /// What came of it, in one word of the result.
    pub outcome: String,
    /// The sum, as it was logged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The sum, as it is derived from the facts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub derived: Option<Sum>,
    /// Whether both are the same; absent where it could not be derived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_same: Option<bool>,
    /// What it went by; absent where the line has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub facts: Option<Value>,
    /// Tasks that were started.
    pub started: u64,
    /// Containers that were left to the next tick.
    pub deferred: u64,
    /// Why messages waited, in the words of the result.
    pub waits_for: Vec<String>,
    /// What went wrong, and what ECS did not place.
    pub trouble: Vec<String>,
    /// What was said beside.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub warnings: Vec<String>,
    /// Whether the configuration here is the one that it went by; absent where none is here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_configured_so: Option<bool>,
    /// What other settings would have made of the same facts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tried: Option<Tried>,
    /// Why something of it is not known.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub notes: Vec<String>,
    #[serde(skip)]
    #[schemars(skip)]
    sentence: String,
    #[serde(skip)]
    #[schemars(skip)]
    is_untried: bool,
}

/// What facts come to.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sum {
    /// The sum.
    pub why: String,
    /// Containers that are owed.
    pub launch: u32,
    /// Tasks of each size, the larger first; none where the facts have no sizes.
    pub tasks: Vec<TasksOfSize>,
    /// Containers that have no task in this tick.
    pub deferred: u32,
    /// What the launch comes up to, in the order in which it was applied.
    pub bound_by: Vec<String>,
}

/// Tasks of one size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TasksOfSize {
    /// Worker containers in each.
    pub containers_per_task: u32,
    /// How many.
    pub count: u32,
}

/// The same facts under other settings.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tried {
    /// Which, for a person.
    pub settings: String,
    /// What they come to.
    pub sum: Sum,
}

/// Settings to try.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trial {
    /// Values by their paths.
    pub set: Vec<(String, Value)>,
    /// The settings of the same worker in another configuration, and what that is called.
    pub with: Option<(Config, String)>,
}

/// Settings that cannot be tried.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrialError {
    /// The text is none.
    #[error("`{0}` is no setting: give PATH=VALUE, such as scaling.messagesPerContainer=5")]
    NoSetting(String),
    /// The facts do not leave it open.
    #[error(
        "`{path}` cannot be tried: what it changes is in the facts as it was; those that can be are {}",
        CAN_BE_TRIED.join(", ")
    )]
    NotOpen {
        /// Which.
        path: String,
    },
}

impl Trial {
    /// Reads `PATH=VALUE`. A value is JSON; what is none is a text.
    ///
    /// # Errors
    /// When it cannot be tried.
    pub fn read_set(texts: &[String]) -> Result<Vec<(String, Value)>, TrialError> {
        let read = |text: &String| {
            let (path, value) =
                text.split_once('=').ok_or_else(|| TrialError::NoSetting(text.clone()))?;
            let path = path.trim().to_owned();
            if !CAN_BE_TRIED.contains(&path.as_str()) {
                return Err(TrialError::NotOpen { path });
            }
            let value = value.trim();
            let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
            Ok((path, value))
        };
        texts.iter().map(read).collect()
    }

    /// What it is called; none where nothing is tried.
    fn name(&self) -> Option<String> {
        let set = self.set.iter().map(|(path, value)| format!("{path}={value}"));
        let with = self.with.iter().map(|(_, name)| format!("the settings of {name}"));
        let all: Vec<_> = with.chain(set).collect();
        (!all.is_empty()).then(|| all.join(", "))
    }

    /// The settings of a worker that had these.
    fn settings(&self, worker: &str, settings: &Value) -> Result<Value, String> {
        let mut tried = settings.clone();
        if let Some((config, name)) = &self.with {
            let other = find(config, worker);
            let other = other.ok_or_else(|| format!("{name} has no worker `{worker}`"))?;
            tried = other.settings().ok_or_else(|| format!("{name} has too many steps for it"))?;
        }
        for (path, value) in &self.set {
            let (section, key) = path.split_once('.').unwrap_or_default();
            let Some(fields) = tried.get_mut(section).and_then(Value::as_object_mut) else {
                continue;
            };
            if POLICIES.contains(&key) {
                fields.retain(|key, _| !POLICIES.contains(&key.as_str()));
            }
            fields.insert(key.to_owned(), value.clone());
        }
        Ok(tried)
    }
}

impl ExplainView {
    /// Explains decisions, by the configuration that is here, where one is.
    pub fn new(records: &[Record], here: Option<&Config>, trial: &Trial) -> Self {
        let decisions = records.iter().map(|record| Explained::new(record, here, trial));
        Self { schema: SCHEMA.to_owned(), version: VERSION, decisions: decisions.collect() }
    }

    /// Whether all that have facts were derived, and to what they were, and all were tried that was to be.
    pub fn is_derived(&self) -> bool {
        let has_facts = |decision: &&Explained| decision.facts.is_some();
        self.decisions.iter().filter(has_facts).all(|decision| {
            decision.derived.is_some() && decision.is_same != Some(false) && !decision.is_untried
        })
    }
}

impl Explained {
    fn new(record: &Record, here: Option<&Config>, trial: &Trial) -> Self {
        let mut explained = Self {
            tick: record.tick.clone(),
            worker: record.worker.clone(),
            outcome: record.outcome.clone(),
            why: record.why.clone(),
            facts: record.facts.clone(),
            started: record.started,
            deferred: record.deferred,
            waits_for: record.waits_for.clone(),
            trouble: record.trouble.clone(),
            warnings: record.warnings.clone(),
            sentence: record.sentence().to_owned(),
            ..Self::default()
        };
        let Some(document) = &record.facts else {
            if record.why.is_some() {
                let note =
                    "the line has no facts, as those of older versions: nothing is derived from it";
                explained.notes.push(note.to_owned());
            }
            return explained;
        };
        match serde_json::from_value::<Facts>(document.clone()) {
            Ok(facts) => explained.derive(&facts, here, trial),
            Err(error) => explained.notes.push(format!("its facts cannot be read: {error}")),
        }
        explained
    }

    fn derive(&mut self, facts: &Facts, here: Option<&Config>, trial: &Trial) {
        let worker_here = here.and_then(|config| find(config, &self.worker));
        let is_same_here = worker_here.map(|worker| worker.digest() == facts.config);
        self.is_configured_so = is_same_here.or(here.map(|_| false));
        let of_here = worker_here.filter(|_| is_same_here == Some(true));
        let settings = facts.settings.clone().or_else(|| of_here?.settings());
        if let (None, Some(_)) = (&facts.settings, of_here) {
            let note = "its settings are too long for the line: the same configuration is here, and gives them";
            self.notes.push(note.to_owned());
        }
        let worker = match (&settings, of_here) {
            (Some(settings), _) => read_settings(settings),
            (None, Some(worker)) => Ok(worker.clone()),
            (None, None) => {
                Err("its settings are too long for the line, and the configuration that it went \
                                 by is not here"
                    .to_owned())
            }
        };
        match worker {
            Ok(worker) => {
                let sum = Sum::of(&worker, facts);
                self.is_same = self.why.as_ref().map(|why| sum.is_in(why));
                self.derived = Some(sum);
            }
            Err(error) => self.notes.push(format!("it cannot be derived: {error}")),
        }
        let Some(name) = trial.name() else { return };
        let settings = settings.unwrap_or_else(|| Value::Object(Map::new()));
        match self.tried(facts, trial, &settings) {
            Ok(sum) => self.tried = Some(Tried { settings: name, sum }),
            Err(error) => {
                self.is_untried = true;
                self.notes.push(format!("with {name}: {error}"));
            }
        }
    }

    fn tried(&self, facts: &Facts, trial: &Trial, settings: &Value) -> Result<Sum, String> {
        let settings = trial.settings(&self.worker, settings)?;
        let worker = read_settings(&settings)?;
        let mut facts = facts.clone();
        let of_other = trial.with.as_ref().and_then(|(config, _)| find(config, &self.worker));
        let is_set = settings.pointer("/scaling/minContainers").is_some();
        if let Some(from) = if is_set { Some(&worker) } else { of_other } {
            let at: Timestamp = self.tick.parse().map_err(|_| {
                "minContainers needs the time of the tick, which was named by a request".to_owned()
            })?;
            facts.minimum = from.scaling.min_containers.at(at);
        }
        Ok(Sum::of(&worker, &facts))
    }
}

impl Sum {
    fn of(worker: &Worker, facts: &Facts) -> Self {
        let Derived { decision, tasks, deferred } = derive(&worker.scaling, &worker.packing, facts);
        let tasks = tasks.into_iter().map(|(Containers(containers_per_task), Tasks(count))| {
            TasksOfSize { containers_per_task, count }
        });
        let allowance = facts.allowance.filter(|_| deferred != Containers::ZERO);
        let of_all = allowance.map(|allowance| {
            let tasks = counted(u64::from(allowance.tasks.0), "task");
            format!("{} {tasks} to this worker", allowance.bound)
        });
        Self {
            launch: decision.launch.0,
            bound_by: decision.reached().map(ToString::to_string).chain(of_all).collect(),
            why: decision.to_string(),
            tasks: tasks.collect(),
            deferred: deferred.0,
        }
    }

    /// Whether a line says the same. It may say more: what tasks cost, and where they go.
    fn is_in(&self, why: &str) -> bool {
        why.strip_prefix(self.why.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with("; "))
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)?;
        let sizes = self.tasks.iter().map(|TasksOfSize { containers_per_task, count }| {
            let plural = |n: u32| if n == 1 { "" } else { "s" };
            format!(
                "{count} task{} of {containers_per_task} container{}",
                plural(*count),
                plural(*containers_per_task)
            )
        });
        let sizes: Vec<_> = sizes.collect();
        if !sizes.is_empty() {
            write!(f, "; {}", sizes.join(" + "))?;
        }
        if self.deferred != 0 {
            write!(f, "; {} wait for the next tick", self.deferred)?;
        }
        Ok(())
    }
}

fn find<'a>(config: &'a Config, worker: &str) -> Option<&'a Worker> {
    config.workers.iter().find(|of_config| of_config.name.as_str() == worker)
}
