//! `launch.overrides`: what a worker's tasks have otherwise than their definition says. Pure.
//!
//! Values and commands are secrets as those of a definition are: `Debug` tells names and no more.

use std::fmt;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::units::{CpuUnits, MebiBytes, WorkerName};

/// `TaskOverride`, as far as it can be given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `containerOverrides`, each container once.
    pub containers: Vec<ContainerOverride>,
    /// The task's CPU.
    pub cpu: Option<CpuUnits>,
    /// The task's memory.
    pub memory: Option<MebiBytes>,
    /// The ARN of the role that its containers have.
    pub task_role: Option<String>,
    /// The ARN of the role that starts it.
    pub execution_role: Option<String>,
    /// `ephemeralStorage.sizeInGiB`
    pub ephemeral_storage: Option<u32>,
}

/// `ContainerOverride`, as far as it can be given.
#[derive(Clone, PartialEq, Eq)]
pub struct ContainerOverride {
    /// A container of the definition; the worker's stands for each of its clones.
    pub name: String,
    /// Instead of the definition's; braces in it are nothing but braces.
    pub command: Option<Vec<String>>,
    /// Beside the definition's, or instead of a variable of the same name.
    pub environment: Vec<Variable>,
    /// ARNs of objects of S3.
    pub environment_files: Vec<String>,
    /// Instead of the definition's.
    pub cpu: Option<CpuUnits>,
    /// The hard limit.
    pub memory: Option<MebiBytes>,
    /// The soft limit.
    pub memory_reservation: Option<MebiBytes>,
}

/// A variable of a container's environment.
#[derive(Clone, PartialEq, Eq)]
pub struct Variable {
    /// Unique in its container.
    pub name: String,
    /// What it is at a launch.
    pub value: Template,
}

/// The value of a variable, with places that are filled at the launch.
#[derive(Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Filled(Filler),
}

/// What a place in a value is filled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filler {
    /// `{queue.url}`
    QueueUrl,
    /// `{queue.name}`
    QueueName,
    /// `{worker}`
    Worker,
    /// `{tick}`
    Tick,
}

/// What the places of a worker's values are filled with in a tick. Nothing of it varies between the
/// deliveries of a tick: a repetition has to be the same request.
#[derive(Clone, Copy, Debug)]
pub struct Filling<'a> {
    /// The queue's URL, which only some values need.
    pub queue_url: &'a str,
    /// Its name.
    pub queue_name: &'a str,
    /// The worker's name.
    pub worker: &'a WorkerName,
    /// The name of the tick.
    pub tick: &'a str,
}

/// All that there is, as it is written between braces.
const FILLERS: [(&str, Filler); 4] = [
    ("queue.url", Filler::QueueUrl),
    ("queue.name", Filler::QueueName),
    ("worker", Filler::Worker),
    ("tick", Filler::Tick),
];

/// A longer one is no mistyped name, and may be a part of a secret.
const LONGEST_SHOWN: usize = 20;

impl Template {
    /// A value as it is written: `{{` and `}}` are one brace each.
    ///
    /// # Errors
    /// What is wrong with a brace of it, without any other part of the value.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (mut parts, mut literal) = (Vec::new(), String::new());
        let mut rest = text;
        while let Some((before, from)) = rest.find(['{', '}']).map(|at| rest.split_at(at)) {
            literal.push_str(before);
            if let Some(after) = from.strip_prefix("{{") {
                literal.push('{');
                rest = after;
            } else if let Some(after) = from.strip_prefix("}}") {
                literal.push('}');
                rest = after;
            } else {
                let (filler, after) = place(from)?;
                parts.push(Part::Literal(std::mem::take(&mut literal)));
                parts.push(Part::Filled(filler));
                rest = after;
            }
        }
        literal.push_str(rest);
        parts.push(Part::Literal(literal));
        Ok(Self(parts))
    }

    /// The value of this launch.
    pub fn filled(&self, filling: &Filling<'_>) -> String {
        let text = |part: &Part| match part {
            Part::Literal(text) => text.clone(),
            Part::Filled(Filler::QueueUrl) => filling.queue_url.to_owned(),
            Part::Filled(Filler::QueueName) => filling.queue_name.to_owned(),
            Part::Filled(Filler::Worker) => filling.worker.to_string(),
            Part::Filled(Filler::Tick) => filling.tick.to_owned(),
        };
        self.0.iter().map(text).collect()
    }

    /// What of it stands in the configuration.
    fn literals(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Literal(text) => Some(text.as_str()),
            Part::Filled(_) => None,
        })
    }
}

/// What a place is filled with that begins a text, and what comes after it.
fn place(text: &str) -> Result<(Filler, &str), String> {
    let (name, after) = text.strip_prefix('{').and_then(|text| text.split_once('}')).ok_or(
        "it has a brace without its twin, and one that stands for itself is written twice",
    )?;
    if let Some((_, filler)) = FILLERS.iter().find(|(known, _)| *known == name) {
        return Ok((*filler, after));
    }
    let is_name = |c: char| c.is_ascii_alphabetic() || c == '.';
    let is_reported = (1..=LONGEST_SHOWN).contains(&name.len()) && name.chars().all(is_name);
    let name =
        if is_reported { format!("`{{{name}}}`") } else { "what it has in braces".to_owned() };
    Err(format!("{name} is none of these; a brace that stands for itself is written twice"))
}

impl Overrides {
    /// Whether a value needs this.
    pub fn needs(&self, filler: Filler) -> bool {
        let values = self.containers.iter().flat_map(|c| &c.environment).map(|v| &v.value);
        values.flat_map(|value| &value.0).any(|part| *part == Part::Filled(filler))
    }

    /// Whether anything in it says how much a task or a container of it takes.
    pub fn set_sizes(&self) -> bool {
        let Self { containers, cpu, memory, ephemeral_storage, .. } = self;
        let sized = |c: &ContainerOverride| {
            c.cpu.is_some() || c.memory.is_some() || c.memory_reservation.is_some()
        };
        let of_task = cpu.is_some() || memory.is_some() || ephemeral_storage.is_some();
        of_task || containers.iter().any(sized)
    }

    /// What `RunTask` takes, for a task whose worker containers have these names: what is for the first
    /// of them is for each.
    pub fn filled(&self, filling: &Filling<'_>, workers: &[String]) -> Value {
        let Self { containers, cpu, memory, task_role, execution_role, ephemeral_storage } = self;
        let mut all = Vec::new();
        for container in containers {
            let is_worker = workers.first().is_some_and(|first| *first == container.name);
            let names = if is_worker { workers } else { std::slice::from_ref(&container.name) };
            all.extend(names.iter().map(|name| container.filled(name, filling)));
        }
        object([
            ("containerOverrides", (!all.is_empty()).then(|| json!(all))),
            ("cpu", cpu.map(|cpu| json!(cpu.to_string()))),
            ("memory", memory.map(|memory| json!(memory.to_string()))),
            ("taskRoleArn", task_role.as_ref().map(|role| json!(role))),
            ("executionRoleArn", execution_role.as_ref().map(|role| json!(role))),
            ("ephemeralStorage", ephemeral_storage.map(|size| json!({"sizeInGiB": size}))),
        ])
    }

    /// What of it is secret, with its names: whatever it is filled with is not.
    pub fn secrets(&self) -> Value {
        let variable = |variable: &Variable| {
            let literals: Vec<_> = variable.value.literals().collect();
            json!({"name": variable.name, "value": literals})
        };
        let container = |container: &ContainerOverride| {
            let environment: Vec<_> = container.environment.iter().map(variable).collect();
            let ContainerOverride { name, command, environment_files: files, .. } = container;
            json!({"name": name, "command": command, "environment": environment, "files": files})
        };
        self.containers.iter().map(container).collect()
    }

    /// Equal for equal secrets.
    pub fn digest(&self) -> String {
        hex::encode(Sha256::digest(self.secrets().to_string()))
    }
}

impl ContainerOverride {
    fn filled(&self, name: &str, filling: &Filling<'_>) -> Value {
        let variable = |Variable { name, value }: &Variable| {
            let value = value.filled(filling);
            json!({"name": name, "value": value})
        };
        let file = |arn: &String| json!({"value": arn, "type": "s3"});
        let environment: Vec<_> = self.environment.iter().map(variable).collect();
        let files: Vec<_> = self.environment_files.iter().map(file).collect();
        object([
            ("name", Some(json!(name))),
            ("command", self.command.as_ref().map(|command| json!(command))),
            ("environment", (!environment.is_empty()).then(|| json!(environment))),
            ("environmentFiles", (!files.is_empty()).then(|| json!(files))),
            ("cpu", self.cpu.map(|cpu| json!(cpu))),
            ("memory", self.memory.map(|memory| json!(memory))),
            ("memoryReservation", self.memory_reservation.map(|memory| json!(memory))),
        ])
    }
}

/// An object of the members that are there.
fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let there = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(there.collect())
}

impl fmt::Debug for ContainerOverride {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContainerOverride").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Variable").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Template")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::*;

    fn filled(text: &str) -> Result<String, String> {
        let worker = WorkerName::from("export");
        let filling = Filling {
            queue_url: "https://q/1/jobs",
            queue_name: "jobs",
            worker: &worker,
            tick: "2026-11-20T21:00:00Z",
        };
        Template::parse(text).map(|value| value.filled(&filling))
    }

    #[test]
    fn the_places_of_a_value_are_filled_and_doubled_braces_are_braces() {
        for (text, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("{queue.url}", "https://q/1/jobs"),
            ("{queue.name}-{worker}/{tick}", "jobs-export/2026-11-20T21:00:00Z"),
            ("{{worker}}", "{worker}"),
            ("{{{worker}}}", "{export}"),
            ("{{\"queue\": {{\"name\": \"{queue.name}\"}}}}", "{\"queue\": {\"name\": \"jobs\"}}"),
        ] {
            assert_eq!(filled(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn an_unknown_place_is_told_by_its_name_and_a_secret_beside_it_is_not() {
        let reported = |text: &str| filled(text).unwrap_err();
        assert_eq!(
            reported("canary{queue.ulr}"),
            "`{queue.ulr}` is none of these; a brace that stands for itself is written twice"
        );
        for text in ["{\"key\": \"canary\"}", "{canary-canary-canary-canary}", "canary{", "canary}"]
        {
            let reported = reported(text);
            assert!(!reported.contains("canary"), "{reported}");
            assert!(reported.contains("written twice"), "{reported}");
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_a_value_with_its_braces_doubled(text in r#"[{}a-z "\\]{0,20}"#) {
            let doubled = text.replace('{', "{{").replace('}', "}}");
            prop_assert_eq!(filled(&doubled), Ok(text));
        }
    }
}
