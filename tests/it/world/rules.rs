//! What ECS refuses, each rule with its source.

pub(super) mod beside;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Refused, list, refuse, text};

type Checked = Result<(), Refused>;

/// Source: ECS API, the members of `RegisterTaskDefinitionRequest`.
const MEMBERS: [&str; 18] = [
    "family",
    "containerDefinitions",
    "taskRoleArn",
    "executionRoleArn",
    "networkMode",
    "volumes",
    "placementConstraints",
    "requiresCompatibilities",
    "cpu",
    "memory",
    "tags",
    "pidMode",
    "ipcMode",
    "proxyConfiguration",
    "inferenceAccelerators",
    "ephemeralStorage",
    "runtimePlatform",
    "enableFaultInjection",
];

fn client<T>(message: impl Into<String>) -> Result<T, Refused> {
    refuse("ClientException", message)
}

fn invalid<T>(message: impl Into<String>) -> Result<T, Refused> {
    refuse("InvalidParameterException", message)
}

fn ensure(holds: bool, message: impl Into<String>) -> Checked {
    if holds { Ok(()) } else { client(message) }
}

/// A document has no other members than these.
pub(super) fn check_members(input: &Value, members: &[&str]) -> Checked {
    let Some(fields) = input.as_object() else { return client("no document") };
    match fields.keys().find(|key| !members.contains(&key.as_str())) {
        None => Ok(()),
        Some(unknown) => invalid(format!("Unknown parameter in input: {unknown}")),
    }
}

/// What `RegisterTaskDefinition` takes.
pub(super) fn check_definition(input: &Value) -> Checked {
    check_members(input, &MEMBERS)?;
    let containers = list(input, "containerDefinitions");
    ensure(is_name(text(input, "family")), "Invalid family")?;
    ensure(!containers.is_empty(), "Container list cannot be empty.")?;
    ensure(containers.len() <= 10, "Too many containers.")?;
    // Source: ECS service quotas, "Task definition size".
    ensure(input.to_string().len() <= 64 * 1024, "Task definition is larger than 64 KiB")?;
    let names: BTreeSet<_> = containers.iter().map(|container| text(container, "name")).collect();
    ensure(names.len() == containers.len(), "Container names must be unique")?;
    ensure(names.iter().all(|name| is_name(name)), "Invalid container name")?;
    let essential = |container: &Value| container.get("essential") != Some(&Value::Bool(false));
    let any_essential = containers.iter().any(essential);
    ensure(any_essential, "Task definition doesn't have any essential container")?;
    let routers = containers.iter().filter(|c| c.get("firelensConfiguration").is_some()).count();
    ensure(routers <= 1, "There is more than one log router")?;
    check_tags(input)?;
    check_size(input)?;
    check_storage(input)?;
    check_secrets(input)?;
    check_ports(input)?;
    check_references(input, &names)
}

fn is_name(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=255).contains(&name.len()) && name.chars().all(legal)
}

/// Source: ECS API, `Tag`.
pub(super) fn check_tags(input: &Value) -> Checked {
    let tags = list(input, "tags");
    ensure(tags.len() <= 50, "Too many tags")?;
    for tag in tags {
        let (key, value) = (text(tag, "key"), text(tag, "value"));
        let legal = |c: char| c.is_alphanumeric() || " +-=._:/@".contains(c);
        ensure((1..=128).contains(&key.chars().count()), "Invalid tag key")?;
        ensure(value.chars().count() <= 256, "Invalid tag value")?;
        ensure(key.chars().chain(value.chars()).all(legal), "Invalid character in tag")?;
        ensure(!key.to_lowercase().starts_with("aws:"), "aws: is reserved")?;
    }
    Ok(())
}

fn number(container: &Value, member: &str) -> u64 {
    container.get(member).and_then(Value::as_u64).unwrap_or(0)
}

fn is_fargate(definition: &Value) -> bool {
    list(definition, "requiresCompatibilities").iter().any(|name| name == "FARGATE")
}

/// What ECS finds a definition fit for, whatever it was registered for.
/// Source: ECS API, `TaskDefinition.compatibilities`.
pub(super) fn compatibilities(input: &Value) -> Vec<&'static str> {
    let mut fit = vec!["EC2"];
    let size = |member| text(input, member).parse::<u64>().ok();
    let is_legal = match (size("cpu"), size("memory")) {
        (Some(cpu), Some(memory)) => is_fargate_size(cpu, memory) && fits_system(input, cpu),
        _ => false,
    };
    match text(input, "networkMode") {
        "awsvpc" if is_legal => fit.push("FARGATE"),
        "awsvpc" => {}
        _ => fit.push("EXTERNAL"),
    }
    fit
}

fn check_size(input: &Value) -> Checked {
    let containers = list(input, "containerDefinitions");
    let task = |member| text(input, member).parse::<u64>().ok();
    let (cpu, memory) = (task("cpu"), task("memory"));
    let reserved = |container: &Value| match number(container, "memoryReservation") {
        0 => number(container, "memory"),
        soft => soft,
    };
    for container in containers {
        let (hard, soft) = (number(container, "memory"), number(container, "memoryReservation"));
        ensure(hard == 0 || 6 <= hard, "memory is less than 6 MiB")?;
        ensure(hard == 0 || soft <= hard, "memory must not be less than memoryReservation")?;
        ensure(
            memory.is_some() || 0 < hard.max(soft),
            "Invalid setting for container. At least \
                one of 'memory' or 'memoryReservation' must be specified.",
        )?;
        ensure(
            memory.is_none_or(|memory| hard <= memory),
            "The 'memory' setting for container is greater than for the task.",
        )?;
    }
    let cpus: u64 = containers.iter().map(|container| number(container, "cpu")).sum();
    ensure(
        cpu.is_none_or(|cpu| cpus <= cpu),
        "The sum of all container 'cpu' values cannot be \
            greater than the value of the task 'cpu'.",
    )?;
    let memories: u64 = containers.iter().map(reserved).sum();
    ensure(
        memory.is_none_or(|memory| memories <= memory),
        "The containers reserve more memory \
            than the task has",
    )?;
    if !is_fargate(input) {
        let range = cpu.is_none_or(|cpu| (128..=196_608).contains(&cpu));
        return ensure(range, "Invalid 'cpu' setting for task.");
    }
    ensure(text(input, "networkMode") == "awsvpc", "Fargate needs awsvpc")?;
    ensure(cpu.is_some() && memory.is_some(), "Fargate requires that 'cpu' be defined")?;
    let legal = cpu
        .zip(memory)
        .is_some_and(|(cpu, memory)| is_fargate_size(cpu, memory) && fits_system(input, cpu));
    ensure(legal, "No Fargate configuration exists for given values.")
}

/// Source: ECS developer guide, "Fargate task size": Windows has one to four vCPU.
fn fits_system(input: &Value, cpu: u64) -> bool {
    let family = input.get("runtimePlatform").map(|p| text(p, "operatingSystemFamily"));
    !family.is_some_and(|family| family.starts_with("WINDOWS")) || [1024, 2048, 4096].contains(&cpu)
}

/// Source: ECS API, `EphemeralStorage.sizeInGiB`.
fn check_storage(input: &Value) -> Checked {
    let size = input.get("ephemeralStorage").map(|storage| number(storage, "sizeInGiB"));
    ensure(size.is_none_or(|size| (21..=200).contains(&size)), "Invalid ephemeralStorage")
}

/// Source: ECS API, `ContainerDefinition.secrets`: no name is shared with the environment.
fn check_secrets(input: &Value) -> Checked {
    for container in list(input, "containerDefinitions") {
        let names = |member| list(container, member).iter().map(|one| text(one, "name"));
        let own: BTreeSet<_> = names("environment").collect();
        let free = names("secrets").all(|name| !own.contains(name));
        ensure(free, "The secret name must be unique and not shared with the environment")?;
    }
    Ok(())
}

/// Source: ECS developer guide, "Fargate task size". Written out on its own, so that a slip in
/// the product's table is seen.
fn is_fargate_size(cpu: u64, memory: u64) -> bool {
    let steps = |from: u64, to: u64, step: u64| {
        (from..=to).contains(&memory) && (memory - from).is_multiple_of(step)
    };
    match cpu {
        256 => [512, 1024, 2048].contains(&memory),
        512 => steps(1024, 4096, 1024),
        1024 => steps(2048, 8192, 1024),
        2048 => steps(4096, 16_384, 1024),
        4096 => steps(8192, 30_720, 1024),
        8192 => steps(16_384, 61_440, 4096),
        16_384 => steps(32_768, 122_880, 8192),
        32_768 => [61_440, 122_880, 249_856].contains(&memory),
        _ => false,
    }
}

/// Source: ECS API, `PortMapping`: a host port is mapped once; under `awsvpc` and `host` it is
/// the container's port; names are unique.
fn check_ports(input: &Value) -> Checked {
    let shares_network = ["awsvpc", "host"].contains(&text(input, "networkMode"));
    let (mut ports, mut names) = (BTreeSet::new(), BTreeSet::new());
    for mapping in list(input, "containerDefinitions").iter().flat_map(|c| list(c, "portMappings"))
    {
        ensure(text(input, "networkMode") != "none", "networkMode none has no ports")?;
        let (container, host) = (number(mapping, "containerPort"), number(mapping, "hostPort"));
        let agree = !shares_network || host == 0 || host == container;
        ensure(agree, "hostPort and containerPort must be the same")?;
        let port = if shares_network { container } else { host };
        let protocol = mapping.get("protocol").and_then(Value::as_str).unwrap_or("tcp");
        let free = port == 0 || ports.insert((protocol, port));
        ensure(free, format!("TCP host port '{port}' is mapped multiple times in task."))?;
        let name = text(mapping, "name");
        ensure(name.is_empty() || names.insert(name), "port mapping name is already used")?;
    }
    Ok(())
}

/// Names that containers use of each other.
fn check_references(input: &Value, names: &BTreeSet<&str>) -> Checked {
    let containers = list(input, "containerDefinitions");
    let find = |name: &str| containers.iter().find(|container| text(container, "name") == name);
    let mut edges: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for container in containers {
        let name = text(container, "name");
        for dependency in list(container, "dependsOn") {
            let target = text(dependency, "containerName");
            let Some(on) = find(target) else { return client("Invalid dependency") };
            check_condition(text(dependency, "condition"), on)?;
            edges.entry(name).or_default().push(target);
        }
        for link in list(container, "links") {
            let target = link.as_str().unwrap_or_default().split(':').next().unwrap_or_default();
            ensure(names.contains(target), "Invalid link")?;
        }
        for volume in list(container, "volumesFrom") {
            ensure(names.contains(text(volume, "sourceContainer")), "Invalid volumesFrom")?;
        }
        let timeout = number(container, "startTimeout");
        let legal = !is_fargate(input) || timeout == 0 || (2..=120).contains(&timeout);
        ensure(legal, "startTimeout must be 2 to 120 on Fargate")?;
    }
    ensure(!has_cycle(&edges), "Cyclic dependency")
}

/// Source: ECS API, `ContainerDependency.condition`.
fn check_condition(condition: &str, on: &Value) -> Checked {
    let essential = on.get("essential") != Some(&Value::Bool(false));
    match condition {
        "START" => Ok(()),
        "HEALTHY" => ensure(on.get("healthCheck").is_some(), "HEALTHY needs a health check"),
        "COMPLETE" | "SUCCESS" => ensure(
            !essential,
            "A dependency container with SUCCESS or \
            COMPLETE condition cannot be an essential container",
        ),
        _ => client("Invalid condition"),
    }
}

/// Takes away who waits for nobody that is left, until nobody can be taken.
fn has_cycle(edges: &BTreeMap<&str, Vec<&str>>) -> bool {
    let mut waiting = edges.clone();
    loop {
        let left: BTreeSet<_> = waiting.keys().copied().collect();
        waiting.retain(|_, targets| targets.iter().any(|target| left.contains(target)));
        if waiting.len() == left.len() {
            return !waiting.is_empty();
        }
    }
}

/// What `RunTask` takes, whatever it runs. Source: ECS API, `RunTaskRequest`.
pub(super) fn check_run(input: &Value) -> Checked {
    let count = input.get("count").and_then(Value::as_u64).unwrap_or(1);
    if !(1..=10).contains(&count) {
        return invalid("count must be 1 to 10");
    }
    check_started_by(input, 128)?;
    let token = text(input, "clientToken");
    if 64 < token.len() || !token.chars().all(|c| ('!'..='~').contains(&c)) {
        return invalid("clientToken is not legal");
    }
    let providers = list(input, "capacityProviderStrategy");
    if input.get("launchType").is_some() && !providers.is_empty() {
        return invalid("launchType and capacityProviderStrategy exclude each other");
    }
    if !providers.is_empty() && providers.iter().all(|item| number(item, "weight") == 0) {
        return invalid("at least one weight must be more than zero");
    }
    if text(input, "propagateTags") == "SERVICE" {
        return invalid("propagateTags SERVICE is for services");
    }
    check_tags(input)
}

fn check_started_by(input: &Value, longest: usize) -> Checked {
    let started_by = text(input, "startedBy");
    let legal = |c: char| c.is_ascii_alphanumeric() || "-/_".contains(c);
    if started_by.len() <= longest && started_by.chars().all(legal) {
        return Ok(());
    }
    invalid("startedBy is not legal")
}

/// Source: ECS API, the members of `StartTaskRequest`: there is no token among them.
const START_MEMBERS: [&str; 13] = [
    "cluster",
    "containerInstances",
    "enableECSManagedTags",
    "enableExecuteCommand",
    "group",
    "networkConfiguration",
    "overrides",
    "propagateTags",
    "referenceId",
    "startedBy",
    "tags",
    "taskDefinition",
    "volumeConfigurations",
];

/// What `StartTask` takes, whatever it starts. Source: ECS API, `StartTaskRequest`; that an
/// instance may not be named twice is not documented.
pub(super) fn check_start(input: &Value) -> Checked {
    check_members(input, &START_MEMBERS)?;
    check_started_by(input, 36)?;
    let named = list(input, "containerInstances");
    let id =
        |name: &Value| name.as_str().and_then(|name| name.rsplit('/').next()).map(str::to_owned);
    let different: BTreeSet<_> = named.iter().map(id).collect();
    if !(1..=10).contains(&named.len()) || different.len() < named.len() {
        return invalid("containerInstances must be 1 to 10 different ones");
    }
    if text(input, "propagateTags") == "SERVICE" {
        return invalid("propagateTags SERVICE is for services");
    }
    check_tags(input)
}

/// What runs on a container instance. Source: ECS API, `Compatibility`.
pub(super) fn check_on_instance(definition: &Value) -> Checked {
    let only = list(definition, "requiresCompatibilities");
    if only.is_empty() || only.iter().any(|name| name == "EC2") {
        return Ok(());
    }
    invalid("Task definition does not support launch_type EC2")
}

/// What `RunTask` takes together with a definition.
pub(super) fn check_run_of(input: &Value, definition: &Value) -> Checked {
    check_network(input, definition)?;
    let providers = list(input, "capacityProviderStrategy");
    let on_fargate = text(input, "launchType") == "FARGATE"
        || providers.iter().any(|item| text(item, "capacityProvider").starts_with("FARGATE"));
    if !on_fargate {
        let version = input.get("platformVersion");
        return ensure(version.is_none(), "platformVersion is only for Fargate");
    }
    let fits = || compatibilities(definition).contains(&"FARGATE");
    let named = list(definition, "requiresCompatibilities");
    if !(is_fargate(definition) || named.is_empty() && fits()) {
        return invalid("Task definition does not support launch_type FARGATE");
    }
    let placed = ["placementConstraints", "placementStrategy"];
    let placed = placed.into_iter().any(|member| !list(input, member).is_empty());
    ensure(!placed, "placement is not supported on Fargate")
}

/// What `RunTask` and `StartTask` take for a definition's network mode.
pub(super) fn check_network(input: &Value, definition: &Value) -> Checked {
    let vpc = input.get("networkConfiguration").and_then(|n| n.get("awsvpcConfiguration"));
    match (text(definition, "networkMode"), vpc) {
        ("awsvpc", None) => return invalid("Network Configuration must be provided"),
        ("awsvpc", Some(vpc)) => {
            let legal = (1..=16).contains(&list(vpc, "subnets").len())
                && list(vpc, "securityGroups").len() <= 5;
            ensure(legal, "awsvpcConfiguration is not legal")?;
        }
        (_, Some(_)) => return invalid("Network Configuration is not valid for this networkMode"),
        (_, None) => {}
    }
    Ok(())
}
