//! ECS: what `RunTask` and `StartTask` take of a task beside its definition, each rule with its source.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::definitions::Revision;
use super::{
    Checked, check_members, client, ensure, invalid, is_fargate, is_fargate_size, list, text,
};

/// Everything that a call says beside a definition.
pub(in crate::world) fn check(input: &Value, revision: &Revision) -> Checked {
    if let Some(overrides) = input.get("overrides") {
        check_overrides(overrides, input, &revision.document)?;
    }
    check_role(input, &revision.document)?;
    check_volumes(input, &revision.document)?;
    check_tags(input, revision)
}

/// Source: ECS developer guide, "Using Amazon ECS Exec": it needs a task role.
fn check_role(input: &Value, definition: &Value) -> Checked {
    let has = |of: &Value| !text(of, "taskRoleArn").is_empty();
    if input["enableExecuteCommand"] != true || has(definition) || has(&input["overrides"]) {
        return Ok(());
    }
    invalid("The task definition has no taskRoleArn, which execute command needs")
}

/// Source: ECS API, `TaskManagedEBSVolumeConfiguration`.
const OF_VOLUME: [&str; 12] = [
    "encrypted",
    "filesystemType",
    "iops",
    "kmsKeyId",
    "roleArn",
    "sizeInGiB",
    "snapshotId",
    "tagSpecifications",
    "terminationPolicy",
    "throughput",
    "volumeInitializationRate",
    "volumeType",
];

/// Source: ECS API, `Volume.configuredAtLaunch`, `TaskVolumeConfiguration`.
fn check_volumes(input: &Value, definition: &Value) -> Checked {
    let configured = list(input, "volumeConfigurations");
    let mut names = BTreeSet::new();
    for volume in configured {
        check_members(volume, &["name", "managedEBSVolume"])?;
        let ebs = &volume["managedEBSVolume"];
        check_members(ebs, &OF_VOLUME)?;
        ensure(text(ebs, "roleArn").contains(":role/"), "roleArn of a volume is missing")?;
        let sized =
            ebs.get("sizeInGiB").is_some_and(Value::is_u64) || ebs.get("snapshotId").is_some();
        ensure(sized, "Either sizeInGiB or snapshotId must be specified")?;
        let needs_iops = ["io1", "io2"].contains(&text(ebs, "volumeType"));
        ensure(!needs_iops || ebs.get("iops").is_some(), "iops is required")?;
        ensure(names.insert(text(volume, "name")), "A volume is configured twice")?;
    }
    let left = list(definition, "volumes").iter();
    let left = left.filter(|volume| volume["configuredAtLaunch"] == true);
    let left: BTreeSet<_> = left.map(|volume| text(volume, "name")).collect();
    if names == left { Ok(()) } else { invalid("The volumes configured at launch do not match") }
}

/// Source: ECS API, `RunTaskRequest.tags`, `propagateTags`: those of the definition count too.
fn check_tags(input: &Value, revision: &Revision) -> Checked {
    let propagated = match text(input, "propagateTags") {
        "TASK_DEFINITION" => revision.tags.as_array().map_or(0, Vec::len),
        _ => 0,
    };
    let tags = list(input, "tags").len() + propagated;
    ensure(tags <= 50, "The number of tags exceeds the limit of 50")
}

/// Source: ECS API, `TaskOverride`.
const OF_TASK: [&str; 7] = [
    "containerOverrides",
    "cpu",
    "ephemeralStorage",
    "executionRoleArn",
    "inferenceAcceleratorOverrides",
    "memory",
    "taskRoleArn",
];

/// Source: ECS API, `ContainerOverride`.
const OF_CONTAINER: [&str; 8] = [
    "command",
    "cpu",
    "environment",
    "environmentFiles",
    "memory",
    "memoryReservation",
    "name",
    "resourceRequirements",
];

/// Source: ECS API, `RunTaskRequest.overrides`: 8192 characters, with those of JSON.
fn check_overrides(overrides: &Value, input: &Value, definition: &Value) -> Checked {
    check_members(overrides, &OF_TASK)?;
    if 8192 < overrides.to_string().chars().count() {
        return invalid("Container overrides length must be at most 8192");
    }
    let containers = list(definition, "containerDefinitions");
    let names: BTreeSet<_> = containers.iter().map(|container| text(container, "name")).collect();
    let mut seen = BTreeSet::new();
    for container in list(overrides, "containerOverrides") {
        check_members(container, &OF_CONTAINER)?;
        let name = text(container, "name");
        ensure(seen.insert(name), "Container is overridden twice")?;
        if !names.contains(name) {
            let message = format!("Override for container named {name} is not a container in the");
            return invalid(format!("{message} TaskDefinition."));
        }
        for variable in list(container, "environment") {
            check_members(variable, &["name", "value"])?;
            let whole = !text(variable, "name").is_empty() && variable["value"].is_string();
            ensure(whole, "An environment variable has a name and a value")?;
        }
        for member in ["cpu", "memory", "memoryReservation"] {
            let is_number = container.get(member).is_none_or(Value::is_u64);
            ensure(is_number, format!("{member} of a container is a number"))?;
        }
    }
    for role in ["taskRoleArn", "executionRoleArn"] {
        let role = overrides.get(role).map(|role| role.as_str().unwrap_or_default());
        let is_role = role.is_none_or(|role| role.contains(":iam::") && role.contains(":role/"));
        ensure(is_role, "Role is not valid")?;
    }
    check_size(overrides, input, definition)
}

fn check_size(overrides: &Value, input: &Value, definition: &Value) -> Checked {
    for member in ["cpu", "memory"] {
        let is_text = overrides.get(member).is_none_or(Value::is_string);
        ensure(is_text, format!("{member} of a task is text"))?;
    }
    let providers = list(input, "capacityProviderStrategy");
    let on_fargate = text(input, "launchType") == "FARGATE"
        || providers.iter().any(|item| text(item, "capacityProvider").starts_with("FARGATE"))
        || input.get("launchType").is_none() && providers.is_empty() && is_fargate(definition);
    if !on_fargate {
        return Ok(());
    }
    let sized = overridden(overrides, definition);
    let number = |member| text(&sized, member).parse::<u64>().ok();
    let size = number("cpu").zip(number("memory"));
    if size.is_some_and(|(cpu, memory)| is_fargate_size(cpu, memory)) {
        return Ok(());
    }
    client("No Fargate configuration exists for given values.")
}

/// The definition as a task of these overrides has it, as far as its size goes.
pub(in crate::world) fn overridden(overrides: &Value, definition: &Value) -> Value {
    let mut document = definition.clone();
    for member in ["cpu", "memory"] {
        if let Some(value) = overrides.get(member) {
            document[member] = value.clone();
        }
    }
    for own in list(overrides, "containerOverrides") {
        let containers = document["containerDefinitions"].as_array_mut().unwrap();
        let named = containers.iter_mut().find(|container| container["name"] == own["name"]);
        if let Some(container) = named {
            for member in ["cpu", "memory", "memoryReservation"] {
                if let Some(value) = own.get(member) {
                    container[member] = value.clone();
                }
            }
        }
    }
    document
}

/// What a task shows of it. Source: ECS API, `Task.overrides`.
pub(in crate::world) fn shown(input: &Value) -> Value {
    input.get("overrides").cloned().unwrap_or_else(|| json!({"containerOverrides": []}))
}
