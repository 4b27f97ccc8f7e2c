//! The tables of one snapshot.

use std::collections::{BTreeMap, BTreeSet};

use decision::config::Worker;
use decision::decide::alive;
use decision::definition::TaskDefinition;
use decision::memory::Remembered;
use decision::snapshot::{ContainerStatus, Depth, Instance, Task};
use decision::units::ClusterName;
use jiff::Timestamp;
use rusqlite::types::Value;

use super::Tables;
use crate::aws::ReadCloud;
use crate::cli::deployment::Deployment;
use crate::cli::plan::{PlanError, look_at, result, strangers};
use crate::cli::result::WorkerResult;
use crate::cli::status::{ContainerRow, read_tasks, state_of};
use crate::observe::read_definitions;
use crate::run::{Foreseen, Invocation};

/// What was read.
#[derive(Debug)]
pub struct Seen {
    /// As tables.
    pub tables: Tables,
    /// What a person should know beside them.
    pub notes: Vec<String>,
    /// What could not be read: its rows are missing, and an answer may be wrong for it.
    pub missing: Vec<String>,
}

/// Reads what a tick reads, the tasks of all workers, and the instances of their clusters.
///
/// # Errors
/// Where there is no configuration to go by.
pub async fn read(
    deployment: &Deployment,
    cloud: &ReadCloud,
    invocation: &Invocation,
) -> Result<Seen, PlanError> {
    let scaler = &deployment.scaler;
    let mut foreseen = Box::pin(scaler.foresee(&look_at(&[]), invocation, cloud)).await?;
    let remembered = Remembered { knows_ended: true, ..Remembered::default() };
    Box::pin(read_tasks(deployment, cloud, &remembered, &mut foreseen)).await;
    Box::pin(add_definitions(cloud, &mut foreseen)).await;
    let results = result(scaler, &foreseen, invocation)?;
    let mut missing = missing(&foreseen);
    let mut instances = BTreeMap::new();
    let clusters: BTreeSet<_> = foreseen.config.workers.iter().map(|w| w.cluster.clone()).collect();
    for cluster in clusters {
        match Box::pin(cloud.active_instances(&cluster)).await {
            Ok(found) => drop(instances.insert(cluster, found)),
            Err(error) => missing.push(format!("the instances of {cluster} are missing: {error}")),
        }
    }
    let mut notes = results.notes();
    notes.extend(results.config.problem());
    notes.extend(Box::pin(strangers(deployment, cloud, &foreseen)).await.unwrap_or_default());
    let tables = filled(&foreseen, &results.workers, &instances);
    let tables = tables.map_err(|error| PlanError::Tables(error.to_string()))?;
    Ok(Seen { tables, notes, missing })
}

/// Those of workers that run something.
async fn add_definitions(cloud: &ReadCloud, foreseen: &mut Foreseen) {
    let Foreseen { config, snapshot, .. } = foreseen;
    let runs = |worker: &&Worker| {
        let tasks = snapshot.tasks.get(&worker.cluster).and_then(|read| read.as_ref().ok());
        tasks.is_some_and(|tasks| tasks.alive.iter().any(|task| task.worker == worker.name))
    };
    let is_unread = |worker: &&Worker| !snapshot.definitions.contains_key(&worker.task_definition);
    let read = read_definitions(cloud, config.workers.iter().filter(is_unread).filter(runs)).await;
    snapshot.definitions.extend(read);
}

/// What could not be read of what a tick reads.
fn missing(foreseen: &Foreseen) -> Vec<String> {
    let Foreseen { snapshot, .. } = foreseen;
    let queues = snapshot.queues.iter().filter_map(|(worker, queue)| {
        let error = queue.as_ref().err()?;
        Some(format!("the queue of {worker} is missing: {error}"))
    });
    let tasks = snapshot.tasks.iter().filter_map(|(cluster, tasks)| {
        let error = tasks.as_ref().err()?;
        Some(format!("the tasks of {cluster} are missing: {error}"))
    });
    let definitions = snapshot.definitions.iter().filter_map(|(name, definition)| {
        let error = definition.as_ref().err()?;
        Some(format!("the definition {name} is missing: {error}"))
    });
    queues.chain(tasks).chain(definitions).collect()
}

fn filled(
    foreseen: &Foreseen,
    results: &[WorkerResult],
    instances: &BTreeMap<ClusterName, Vec<Instance>>,
) -> Result<Tables, rusqlite::Error> {
    let tables = Tables::new()?;
    let Foreseen { config, snapshot, .. } = foreseen;
    for worker in &config.workers {
        tables.put("workers", of_worker(worker, foreseen))?;
        if let Some(Ok(queue)) = snapshot.queues.get(&worker.name) {
            tables.put("queues", of_queue(worker, queue.depth))?;
        }
    }
    for (cluster, tasks) in &snapshot.tasks {
        let Ok(tasks) = tasks else { continue };
        let alive = tasks.alive.iter().map(|task| (task, None));
        let leaving = tasks.leaving.iter().map(|task| (task, Some("stopping")));
        for (task, state) in alive.chain(leaving) {
            tables.put("tasks", of_task(task, cluster, state))?;
            for (name, status) in &task.containers {
                tables.put("containers", of_container(task, name, *status))?;
            }
        }
    }
    for (cluster, instances) in instances {
        for instance in instances {
            tables.put("instances", of_instance(cluster, instance))?;
        }
    }
    for (name, definition) in &snapshot.definitions {
        if let Ok(definition) = definition {
            tables.put("definitions", of_definition(name.as_str(), definition))?;
        }
    }
    for result in results {
        tables.put("decisions", of_decision(result))?;
    }
    Ok(tables)
}

fn of_worker(worker: &Worker, foreseen: &Foreseen) -> Vec<Value> {
    let now = foreseen.snapshot.now;
    let tasks = foreseen.snapshot.tasks.get(&worker.cluster).and_then(|read| read.as_ref().ok());
    let alive = tasks.map(|tasks| alive(worker, tasks, now));
    vec![
        text(worker.name.as_str()),
        text(worker.queue.name()),
        text(worker.cluster.as_str()),
        text(worker.task_definition.as_str()),
        number(worker.scaling.max_containers.0),
        alive.map_or(Value::Null, |alive| number(alive.tasks.0)),
        alive.map_or(Value::Null, |alive| number(alive.containers.0)),
        alive.map_or(Value::Null, |alive| number(alive.running.0)),
        number(u32::from(worker.pause(now).is_some())),
    ]
}

fn of_queue(worker: &Worker, depth: Depth) -> Vec<Value> {
    let Depth { visible, in_flight, delayed } = depth;
    vec![
        text(worker.name.as_str()),
        text(worker.queue.name()),
        number(visible.0),
        number(in_flight.0),
        number(delayed.0),
    ]
}

fn of_task(task: &Task, cluster: &ClusterName, state: Option<&str>) -> Vec<Value> {
    let state = state.unwrap_or_else(|| state_of(task));
    vec![
        text(end_of(task.arn.as_str())),
        text(task.worker.as_str()),
        text(cluster.as_str()),
        text(state),
        time(task.created),
        time(task.started),
        text(task.revision.family_and_revision()),
        text(&task.capacity.to_string()),
        task.instance.as_ref().map_or(Value::Null, |arn| text(end_of(arn.as_str()))),
        time(task.tick),
    ]
}

fn of_container(task: &Task, name: &str, status: ContainerStatus) -> Vec<Value> {
    let ContainerRow { name, state, exit_code } = ContainerRow::of(name, status);
    let exit = exit_code.map_or(Value::Null, |exit| Value::Integer(i64::from(exit)));
    vec![text(end_of(task.arn.as_str())), text(&name), text(state), exit]
}

fn of_instance(cluster: &ClusterName, instance: &Instance) -> Vec<Value> {
    let Instance { arn, ec2, connected, whole, remaining, tasks, provider, .. } = instance;
    vec![
        text(end_of(arn.as_str())),
        text(ec2.as_str()),
        text(cluster.as_str()),
        text(instance.zone()),
        number(u32::from(*connected)),
        provider.as_deref().map_or(Value::Null, text),
        number(tasks.0),
        number(whole.cpu.0),
        number(remaining.cpu.0),
        number(whole.memory.0),
        number(remaining.memory.0),
        number(whole.gpus.0),
        number(remaining.gpus.0),
    ]
}

fn of_definition(name: &str, definition: &TaskDefinition) -> Vec<Value> {
    let member = |key: &str| definition.document.get(key).and_then(serde_json::Value::as_str);
    let shown = |key: &str| member(key).map_or(Value::Null, text);
    let containers = definition.containers().count();
    vec![
        text(name),
        text(definition.arn.family_and_revision()),
        shown("cpu"),
        shown("memory"),
        shown("networkMode"),
        number(u32::try_from(containers).unwrap_or(u32::MAX)),
    ]
}

fn of_decision(result: &WorkerResult) -> Vec<Value> {
    let why = result.decision.as_ref().map(|decision| decision.why.as_str());
    let joined = |texts: &[String], by: &str| {
        if texts.is_empty() { Value::Null } else { text(&texts.join(by)) }
    };
    vec![
        text(&result.worker),
        text(&result.outcome),
        number(result.tasks()),
        number(result.containers()),
        joined(&result.waits_for, ", "),
        why.map_or(Value::Null, text),
        joined(&result.errors, "; "),
    ]
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn number(number: impl TryInto<i64>) -> Value {
    Value::Integer(number.try_into().unwrap_or(i64::MAX))
}

/// In whole seconds: with some that have fractions they would not be in order as texts.
fn time(time: Option<Timestamp>) -> Value {
    time.map_or(Value::Null, |time| Value::Text(format!("{time:.0}")))
}

fn end_of(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or_default()
}
