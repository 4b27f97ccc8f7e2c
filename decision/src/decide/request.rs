//! What a worker's calls say of its tasks beside their definition, held to it before any call. Pure.

use serde_json::{Value, json};

use crate::config::{ContainerOverride, Filler, Filling, Overrides, PropagateTags, Worker};
use crate::definition::{Needs, TaskDefinition, View};
use crate::fargate::{MicroDollars, PriceList, TaskSize};
use crate::limits;
use crate::plan::{Action, Refusal, TaskOverrides, Unfit};
use crate::snapshot::Snapshot;
use crate::units::{Containers, GibiBytes};
use crate::variant::{Obstacle, Recipe};

/// What `RunTask` would refuse for a definition, whatever the number of containers.
///
/// # Errors
/// The first of it.
pub(super) fn check(worker: &Worker, recipe: &Recipe<'_>) -> Result<(), Refusal> {
    let base = recipe.base;
    check_role(worker, base)?;
    check_tags(worker, recipe)?;
    check_volumes(worker, base)?;
    let Some(overrides) = &worker.launch.overrides else { return Ok(()) };
    let present = || base.view.container_definitions.iter().map(|container| &container.name);
    let is_missing = |container: &&ContainerOverride| present().all(|name| *name != container.name);
    if let Some(container) = overrides.containers.iter().find(is_missing) {
        let (wanted, present) = (container.name.clone(), present().cloned().collect());
        return Err(Unfit::NoSuchContainer { wanted, present }.into());
    }
    check_size(recipe, overrides)
}

/// Source: ECS API, `RunTaskRequest.enableExecuteCommand`.
fn check_role(worker: &Worker, base: &TaskDefinition) -> Result<(), Unfit> {
    let of_base = base.document.get("taskRoleArn").and_then(Value::as_str).unwrap_or_default();
    let overrides = worker.launch.overrides.as_ref();
    let has_role = !of_base.is_empty() || overrides.is_some_and(|own| own.task_role.is_some());
    if has_role || !worker.launch.enable_execute_command {
        return Ok(());
    }
    Err(Unfit::NoTaskRole)
}

/// The tags of a task: the scaler's own, those of the configuration, and those that it gets from a base.
fn tags(worker: &Worker, recipe: &Recipe<'_>, n: Containers) -> [usize; 3] {
    let derived = if recipe.is_derived(n) { TAGS_OF_A_DERIVED_ONE } else { 0 };
    let own = match worker.launch.placement {
        None => TAGS_OF_OURS,
        Some(_) => TAGS_OF_OUR_SCHEDULER,
    };
    let propagated = match worker.launch.propagate_tags {
        PropagateTags::No => 0,
        PropagateTags::TaskDefinition => recipe.base.tags.len().saturating_add(derived),
    };
    [own, worker.launch.tags.len(), propagated]
}

/// As `RunTask` is sent: worker, tick, container, function and plan.
const TAGS_OF_OURS: usize = 5;

/// The delivery and the call's number beside these.
const TAGS_OF_OUR_SCHEDULER: usize = 7;

/// A derived definition has its digest and the base's revision beside the base's tags.
const TAGS_OF_A_DERIVED_ONE: usize = 2;

fn check_tags(worker: &Worker, recipe: &Recipe<'_>) -> Result<(), Unfit> {
    let [own, given, propagated] = tags(worker, recipe, Containers(1));
    let most = limits::TAGS;
    let fits = own.saturating_add(given).saturating_add(propagated) <= most;
    if fits { Ok(()) } else { Err(Unfit::Tags { own, given, propagated, most }) }
}

/// Why a task of several containers cannot have its tags.
fn too_many_tags(worker: &Worker, recipe: &Recipe<'_>) -> Option<Obstacle> {
    let (tags, most) = (tags(worker, recipe, Containers(2)).into_iter().sum(), limits::TAGS);
    (most < tags).then_some(Obstacle::TaskTags { tags, most })
}

/// A volume that is left to the launch is compulsory there, and no other can be given.
/// Source: ECS API, `Volume.configuredAtLaunch`, `RunTaskRequest.volumeConfigurations`.
fn check_volumes(worker: &Worker, base: &TaskDefinition) -> Result<(), Unfit> {
    let volumes = base.document.get("volumes").and_then(Value::as_array);
    let left = volumes
        .into_iter()
        .flatten()
        .filter(|volume| volume.get("configuredAtLaunch").and_then(Value::as_bool) == Some(true));
    let left = left.filter_map(|volume| Some(volume.get("name")?.as_str()?.to_owned()));
    let present: Vec<_> = left.collect();
    let given: Vec<_> = worker.launch.volumes.iter().map(|volume| &volume.name).collect();
    if let Some(wanted) = given.iter().find(|name| !present.contains(name)) {
        return Err(Unfit::NoSuchVolume { wanted: (*wanted).clone(), present });
    }
    match present.into_iter().find(|name| !given.contains(&name)) {
        Some(volume) => Err(Unfit::VolumeNotConfigured { volume }),
        None => Ok(()),
    }
}

fn check_size(recipe: &Recipe<'_>, overrides: &Overrides) -> Result<(), Refusal> {
    let sets_none = overrides.cpu.is_none() && overrides.memory.is_none();
    if sets_none || !recipe.is_held_to_fargate() {
        return Ok(());
    }
    let size = size(recipe.base, overrides);
    let system = recipe.base.view.operating_system();
    let is_legal = size.is_some_and(|size| size.is_legal(system));
    if is_legal { Ok(()) } else { Err(Unfit::Size { size }.into()) }
}

/// The task's size, where overrides and definition give both numbers.
fn size(base: &TaskDefinition, overrides: &Overrides) -> Option<TaskSize> {
    let cpu = overrides.cpu.or_else(|| base.view.cpu())?;
    let memory = overrides.memory.or_else(|| base.view.memory())?;
    Some(TaskSize { cpu, memory })
}

/// About what an hour of a task costs on Fargate, at the size that it is launched with.
pub(super) fn hourly_price(
    worker: &Worker,
    recipe: &Recipe<'_>,
    n: Containers,
    prices: PriceList,
) -> Option<MicroDollars> {
    let overrides = worker.launch.overrides.as_ref();
    match overrides.filter(|overrides| overrides.set_sizes()) {
        Some(overrides) => {
            let storage = overrides.ephemeral_storage.map(GibiBytes);
            let storage = storage.or(recipe.base.view.storage()).unwrap_or_default();
            let size = size(recipe.base, overrides)?;
            Some(prices.hourly(size).plus(prices.hourly_storage(storage)))
        }
        _ => recipe.hourly_price(n, prices),
    }
}

/// What an instance must have for a task of the base, at the size that it is launched with.
pub(super) fn needs(worker: &Worker, base: &TaskDefinition) -> Needs {
    let needs = base.view.needs();
    let overrides = worker.launch.overrides.as_ref().filter(|overrides| overrides.set_sizes());
    let Some(sized) = overrides.and_then(|overrides| View::of(&sized(base, overrides))) else {
        return needs;
    };
    Needs { attributes: needs.attributes, ..sized.needs() }
}

/// The definition with the sizes that it is launched with.
fn sized(base: &TaskDefinition, overrides: &Overrides) -> Value {
    let mut document = Value::Object(base.document.clone());
    let task = [("cpu", overrides.cpu.map(|n| n.0)), ("memory", overrides.memory.map(|n| n.0))];
    for (member, number) in task {
        set(&mut document, member, number.map(|number| json!(number.to_string())));
    }
    let containers = document.get_mut("containerDefinitions").and_then(Value::as_array_mut);
    for container in containers.into_iter().flatten() {
        let name = container.get("name").and_then(Value::as_str).unwrap_or_default();
        let Some(own) = overrides.containers.iter().find(|own| own.name == name) else { continue };
        let ContainerOverride { cpu, memory, memory_reservation: soft, .. } = own;
        set(container, "cpu", cpu.map(|cpu| json!(cpu)));
        set(container, "memory", memory.map(|memory| json!(memory)));
        set(container, "memoryReservation", soft.map(|memory| json!(memory)));
    }
    document
}

fn set(document: &mut Value, member: &str, value: Option<Value>) {
    if let (Some(fields), Some(value)) = (document.as_object_mut(), value) {
        fields.insert(member.to_owned(), value);
    }
}

/// The most containers that a task may have by what a call may hold; the reason, where that is fewer
/// than these.
///
/// # Errors
/// When not even one can be asked for, or what a value is filled with was not read.
pub(super) fn most_containers(
    worker: &Worker,
    recipe: &Recipe<'_>,
    snapshot: &Snapshot,
    most: Containers,
) -> Result<(Containers, Option<Obstacle>), Action> {
    if let Some(obstacle) = too_many_tags(worker, recipe).filter(|_| Containers(1) < most) {
        let (one, _) = most_containers_by_overrides(worker, recipe, snapshot, Containers(1))?;
        return Ok((one, Some(obstacle)));
    }
    most_containers_by_overrides(worker, recipe, snapshot, most)
}

fn most_containers_by_overrides(
    worker: &Worker,
    recipe: &Recipe<'_>,
    snapshot: &Snapshot,
    most: Containers,
) -> Result<(Containers, Option<Obstacle>), Action> {
    let (mut fitting, mut obstacle) = (None, None);
    for n in (1..=most.0.max(1)).map(Containers) {
        let characters = overrides(worker, recipe, snapshot, n)?.map(|task| task.characters());
        match characters.filter(|characters| limits::OVERRIDES < *characters) {
            None => fitting = Some(n),
            Some(characters) if n == Containers(1) => {
                let most = limits::OVERRIDES;
                return Err(Refusal::from(Unfit::TooLong { characters, most }).into());
            }
            Some(characters) => {
                let most = limits::OVERRIDES;
                obstacle = Some(Obstacle::Overrides { containers: n, characters, most });
                break;
            }
        }
    }
    Ok((fitting.unwrap_or(Containers(1)), obstacle))
}

/// The overrides of a task of so many worker containers, where there are any.
///
/// # Errors
/// When what a value is filled with was not read.
pub(super) fn overrides(
    worker: &Worker,
    recipe: &Recipe<'_>,
    snapshot: &Snapshot,
    n: Containers,
) -> Result<Option<TaskOverrides>, Action> {
    let Some(overrides) = &worker.launch.overrides else { return Ok(None) };
    let url = match snapshot.urls.get(&worker.name) {
        None if overrides.needs(Filler::QueueUrl) => {
            return Err(super::unread("GetQueueUrl").into());
        }
        url => url.map(String::as_str).unwrap_or_default(),
    };
    let filling = Filling {
        queue_url: url,
        queue_name: worker.queue.name(),
        worker: &worker.name,
        tick: &snapshot.tick.to_string(),
    };
    Ok(Some(TaskOverrides::new(overrides.filled(&filling, &recipe.names(n)))))
}
