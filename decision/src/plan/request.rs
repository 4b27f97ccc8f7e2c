//! What a call says of its tasks beside their definition, and why it cannot. Pure.

use std::fmt;

use serde_json::Value;

use crate::fargate::TaskSize;
use crate::variant::list;

/// The overrides of a task, as `RunTask` and `StartTask` take them. Their values are secrets: `Debug`
/// prints none.
#[derive(Clone, PartialEq)]
pub struct TaskOverrides(Value);

impl TaskOverrides {
    /// Of `TaskOverride`, under its names.
    pub fn new(document: Value) -> Self {
        Self(document)
    }

    /// What is sent.
    pub fn document(&self) -> &Value {
        &self.0
    }

    /// As ECS counts them: with what JSON adds.
    pub fn characters(&self) -> usize {
        self.0.to_string().chars().count()
    }
}

impl fmt::Debug for TaskOverrides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TaskOverrides")
    }
}

/// Why `RunTask` would refuse what a worker's `launch` says of its tasks, whatever their number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// An override is for a container that there is not.
    #[error(
        "launch.overrides has container `{wanted}`, and the task definition has {}; name one of \
         these, the worker's for all of its clones",
        list(.present)
    )]
    NoSuchContainer {
        /// What is named.
        wanted: String,
        /// What there is.
        present: Vec<String>,
    },
    /// One container has more overrides than ECS takes.
    #[error(
        "launch.overrides has {characters} characters for one worker container, with those of JSON, \
         and ECS takes {most}; shorten it, or put a part into the task definition or into \
         environmentFiles"
    )]
    TooLong {
        /// How many.
        characters: usize,
        /// The limit.
        most: usize,
    },
    /// `ecs execute-command` reaches a container through its task's role.
    #[error(
        "launch.enableExecuteCommand needs a task role, and the task definition has none: give it a \
         taskRoleArn, or launch.overrides one, or leave enableExecuteCommand out"
    )]
    NoTaskRole,
    /// A definition that leaves a volume to the launch cannot be run without it.
    #[error(
        "volume `{volume}` of the task definition is configuredAtLaunch: give \
         launch.volumeConfigurations with that name"
    )]
    VolumeNotConfigured {
        /// Its name.
        volume: String,
    },
    /// A volume is configured that the definition does not leave to the launch.
    #[error(
        "launch.volumeConfigurations has volume `{wanted}`, and the task definition {}; correct the \
         name, or give the worker `volumeConfigurations: []`",
        left(.present)
    )]
    NoSuchVolume {
        /// What is named.
        wanted: String,
        /// What the definition leaves to the launch.
        present: Vec<String>,
    },
    /// ECS would refuse so many tags.
    #[error(
        "a task would have {} tags, {own} of the scaler's own, {given} of launch.tags and \
         {propagated} of its definition (propagateTags), and ECS takes {most}: give fewer",
        .own + .given + .propagated
    )]
    Tags {
        /// The scaler's own.
        own: usize,
        /// Of `launch.tags`.
        given: usize,
        /// Of the definition.
        propagated: usize,
        /// The limit.
        most: usize,
    },
    /// Fargate has no such size.
    #[error("{}", reported(.size.as_ref()))]
    Size {
        /// What overrides and definition come to, where both numbers are there.
        size: Option<TaskSize>,
    },
}

fn reported(size: Option<&TaskSize>) -> String {
    match size {
        Some(TaskSize { cpu, memory }) => format!(
            "with launch.overrides a task has {cpu} CPU units and {memory} MiB, a size that Fargate \
             does not have; give both cpu and memory of one that it has"
        ),
        None => {
            "launch.overrides sets one of cpu and memory, the task definition not the other, and \
                 Fargate needs both; set both"
                .to_owned()
        }
    }
}

fn left(volumes: &[String]) -> String {
    match volumes {
        [] => "leaves none to the launch (configuredAtLaunch)".to_owned(),
        volumes => format!("leaves {} to the launch (configuredAtLaunch)", list(volumes)),
    }
}
