//! What of a worker's settings its arithmetic goes by, in the words of the file. Pure.

use std::borrow::Cow;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{
    Breaker, Config, Delayed, Document, Packing, Policy, ProgressBrake, Scaling, Strategy, Worker,
};
use crate::units::{Containers, Messages};

/// More steps would fill a line of the log.
const MOST_STEPS: usize = 10;

impl Worker {
    /// Equal for equal configurations, of one version of this program.
    pub fn digest(&self) -> String {
        let mut worker = Cow::Borrowed(self);
        if self.scaling.min_containers.asked != Containers::ZERO {
            worker.to_mut().scaling.min_containers.asked = Containers::ZERO;
        }
        let digest = hex::encode(Sha256::digest(format!("{worker:?}")));
        digest.get(..8).unwrap_or_default().to_owned()
    }

    /// `scaling` and `packing`, as far as the arithmetic goes by them and as the reader takes them; none where
    /// its steps are too many for a line.
    pub fn settings(&self) -> Option<Value> {
        let Self { scaling, packing, .. } = self;
        Some(json!({"scaling": scaling.written()?, "packing": packing.written()}))
    }
}

/// The settings that were written, as a worker has them. What else a worker has is made up.
///
/// # Errors
/// What is wrong with them.
pub fn read_settings(settings: &Value) -> Result<Worker, String> {
    let made_up = [("name", "worker"), ("queue", "queue"), ("taskDefinition", "definition")];
    let made_up = made_up.into_iter().map(|(key, value)| (key, Value::from(value)));
    let sections = ["scaling", "packing"].into_iter();
    let sections = sections.filter_map(|section| Some((section, settings.get(section)?.clone())));
    let worker: Map<_, _> =
        made_up.chain(sections).map(|(key, value)| (key.to_owned(), value)).collect();
    let document = json!({"cluster": "cluster", "workers": [worker]});
    let config = Config::of(&Document::of_value("", &document));
    let mut config = config.map_err(|error| said(&error.0))?;
    match (config.workers.pop(), config.refused.pop()) {
        (Some(worker), _) => Ok(worker),
        (None, Some(refused)) => Err(said(&refused.problems)),
        (None, None) => Err("there is no worker".to_owned()),
    }
}

/// Without the worker's name, which is made up.
fn said(problems: &[super::Problem]) -> String {
    let said = problems.iter().map(|problem| format!("{}: {}", problem.path, problem.message));
    said.collect::<Vec<_>>().join("; ")
}

impl Scaling {
    fn written(&self) -> Option<Map<String, Value>> {
        let mut written = Map::new();
        let (key, policy) = self.policy.written()?;
        written.insert(key.to_owned(), policy);
        written.insert("maxContainers".to_owned(), json!(self.max_containers));
        let is_one = self.in_flight_per_container == Messages(1);
        let others = [
            ("maxLaunchPerTick", self.max_launch_per_tick.map(|most| json!(most))),
            ("inFlightPerContainer", (!is_one).then(|| json!(self.in_flight_per_container))),
            ("countDelayed", (self.delayed == Delayed::Counted).then_some(json!(true))),
            ("circuitBreaker", (self.breaker == Breaker::Off).then_some(json!(false))),
            ("progressBrake", (self.progress_brake == ProgressBrake::Off).then_some(json!(false))),
        ];
        written
            .extend(others.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
        Some(written)
    }
}

impl Policy {
    fn written(&self) -> Option<(&'static str, Value)> {
        let written = match self {
            Self::MessagesPerContainer(messages) => ("messagesPerContainer", json!(messages)),
            Self::StepsOfTasks(steps) if steps.len() <= MOST_STEPS => {
                let step = |(depth, tasks): &(_, _)| json!({"depth": depth, "tasks": tasks});
                ("steps", steps.iter().map(step).collect())
            }
            Self::StepsOfContainers(steps) if steps.len() <= MOST_STEPS => {
                let step = |(depth, containers): &(_, _)| json!({"depth": depth, "containers": containers});
                ("steps", steps.iter().map(step).collect())
            }
            Self::StepsOfTasks(_) | Self::StepsOfContainers(_) => return None,
            Self::EmptyWithin { target, per_message } => {
                let target = format!("{}s", target.as_secs());
                let per_message = per_message.as_secs_f64();
                ("drainWithin", json!({"target": target, "secondsPerMessage": per_message}))
            }
        };
        Some(written)
    }
}

impl Packing {
    fn written(&self) -> Map<String, Value> {
        let strategy = match self.strategy {
            Strategy::Spread => "spread",
            Strategy::Dense => "dense",
            Strategy::Cheapest => "cheapest",
        };
        let mut written = Map::new();
        written.insert("strategy".to_owned(), json!(strategy));
        if let Some(tasks) = self.max_tasks {
            written.insert("maxTasks".to_owned(), json!(tasks));
        }
        written
    }
}
