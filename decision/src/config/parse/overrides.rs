//! `launch.overrides`, under ECS's own names. No mistake in it is reported with what was written: that may
//! be a secret in the wrong place.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use super::super::form::names::{ENVIRONMENT_FILE, Identifier, ROLE};
use super::super::form::{OneOf, Special, Text, WholeOrText, Wrong};
use super::super::overrides::{ContainerOverride, Overrides, Template, Variable};
use super::super::reader::{Fields, ListOf};
use super::super::shape::about;
use crate::document::Node;
use crate::limits;
use crate::tags;
use crate::units::{CpuUnits, MebiBytes};

/// Source: ECS API, `TaskOverride.cpu`, `RegisterTaskDefinitionRequest.cpu`.
const TASK_CPU: RangeInclusive<u32> = 128..=limits::EC2_CPU.0;

/// Source: ECS API, `ContainerDefinition.memory`; the largest EC2 instances have 32 TiB.
const MEMORY: RangeInclusive<u32> = 6..=33_554_432;

/// Source: ECS API, `EphemeralStorage.sizeInGiB`.
const STORAGE: RangeInclusive<u32> = 21..=200;

const VALUE: Special<Template> = Special {
    read: |node| match node.members() {
        Some(_) => Err("a text that begins with a brace has to be in quotes".into()),
        None => Template::parse(text(node)?).map_err(Wrong::Because),
    },
    allowed: "text, in which `{queue.url}`, `{queue.name}`, `{worker}` and `{tick}` are filled at the \
              launch, and `{{` and `}}` are one brace each",
    schema: || {
        let filled = r"\{(queue\.url|queue\.name|worker|tick)\}";
        super::super::form::pattern(&format!(r"^([^{{}}]|\{{\{{|\}}\}}|{filled})*$"))
    },
};

const ARGUMENT: Special<String> = Special {
    read: |node| text(node).map(str::to_owned),
    allowed: "text",
    schema: || serde_json::json!({"type": "string"}),
};

fn text(node: &Node) -> Result<&str, Wrong> {
    node.as_str().ok_or(Wrong::NotAllowed)
}

pub(super) fn read_overrides(launch: &mut Fields<'_>) -> Option<Overrides> {
    let what = about("what tasks have otherwise than their definition says").defaults_to("none");
    let mut fields = launch.object("overrides", what)?;
    let containers = read_containers(&mut fields);
    let cpu = "the task's CPU units; for one container a task";
    let memory = "the task's memory in MiB; for one container a task";
    let role = "the role that the containers have; the function's role must be allowed to pass it";
    let starts = "the role that pulls images and sends logs; the same holds for it";
    let overrides = Overrides {
        containers,
        cpu: fields.optional("cpu", WholeOrText(TASK_CPU), cpu).map(CpuUnits),
        memory: fields.optional("memory", WholeOrText(MEMORY), memory).map(MebiBytes),
        task_role: fields.optional("taskRoleArn", ROLE, role),
        execution_role: fields.optional("executionRoleArn", ROLE, starts),
        ephemeral_storage: read_storage(&mut fields),
    };
    fields.refuses("inferenceAcceleratorOverrides", "ECS has no inference accelerators any more");
    fields.finish();
    Some(overrides)
}

fn read_storage(fields: &mut Fields<'_>) -> Option<u32> {
    let what = "the task's own disk on Fargate; for one container a task";
    let mut storage = fields.object("ephemeralStorage", what)?;
    let size = storage.required("sizeInGiB", WholeOrText(STORAGE), "how large it is");
    storage.finish();
    size
}

fn read_containers(fields: &mut Fields<'_>) -> Vec<ContainerOverride> {
    let what = "containers of the definition; the worker's stands for each of its clones";
    let containers = fields.objects("containerOverrides", 0..=10, what).unwrap_or_default();
    let containers: Vec<_> = containers.into_iter().filter_map(read_container).collect();
    let names = containers.iter().map(|container| container.name.as_str());
    if let Some(name) = twice(names) {
        fields.problem("containerOverrides", &format!("container `{name}` is in it twice"));
    }
    containers
}

fn read_container(mut fields: Fields<'_>) -> Option<ContainerOverride> {
    let name = "the container's name in the definition";
    let name = fields.required("name", Identifier(limits::NAME_CHARACTERS), name);
    let arguments = ListOf { length: 0..=1000, of: ARGUMENT };
    let command =
        fields.list("command", &arguments, "its command; braces in it are left as they are");
    let environment = read_environment(&mut fields);
    let files = read_files(&mut fields);
    let cpu = "its CPU units; for one container a task";
    let cpu = fields.optional("cpu", WholeOrText(0..=limits::EC2_CPU.0), cpu).map(CpuUnits);
    let memory = "its hard limit in MiB; for one container a task";
    let memory = fields.optional("memory", WholeOrText(MEMORY), memory).map(MebiBytes);
    let soft = "its soft limit in MiB; for one container a task";
    let soft = fields.optional("memoryReservation", WholeOrText(MEMORY), soft).map(MebiBytes);
    let instead = "what a container must have is the definition's to say: set it there";
    fields.refuses("resourceRequirements", instead);
    fields.finish();
    Some(ContainerOverride {
        name: name?,
        command,
        environment,
        environment_files: files,
        cpu,
        memory,
        memory_reservation: soft,
    })
}

fn read_environment(fields: &mut Fields<'_>) -> Vec<Variable> {
    let what = "variables beside the definition's, or instead of those of the same name";
    let variables = fields.objects("environment", 0..=1000, what).unwrap_or_default();
    let variables: Vec<_> = variables.into_iter().filter_map(read_variable).collect();
    if let Some(name) = twice(variables.iter().map(|variable| variable.name.as_str())) {
        fields.problem("environment", &format!("variable `{name}` is in it twice"));
    }
    variables
}

fn read_variable(mut fields: Fields<'_>) -> Option<Variable> {
    let name = fields.required("name", Text(512), "the variable's name");
    let value = fields.required("value", VALUE, "its value, a secret: nothing tells it");
    if let Some(name) = name.as_ref().filter(|name| tags::OF_CLONES.contains(&name.as_str())) {
        let message = format!("{name} is set for each worker container by its place in the task");
        fields.problem("name", &message);
    }
    fields.finish();
    Some(Variable { name: name?, value: value? })
}

/// Source: ECS API, `EnvironmentFile`; ECS developer guide: at most ten.
fn read_files(fields: &mut Fields<'_>) -> Vec<String> {
    let what = "files of variables in S3, beside the definition's";
    let files = fields.objects("environmentFiles", 0..=10, what).unwrap_or_default();
    let file = |mut fields: Fields<'_>| {
        let value = fields.required("value", ENVIRONMENT_FILE, "the ARN of the object");
        let kind = about("where it is").defaults_to("`s3`");
        fields.optional("type", OneOf(&[("s3", ())]), kind);
        fields.finish();
        value
    };
    files.into_iter().filter_map(file).collect()
}

fn twice<'a>(mut names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut seen = BTreeSet::new();
    names.find(|name| !seen.insert(*name))
}
