//! What would keep a worker's tasks from being launched if messages came, and what a launch would be
//! then. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::own::OwnTasks;
use super::share::Share;
use super::{apart, decide_worker, examine, placement, read};
use crate::config::Worker;
use crate::definition::TaskDefinition;
use crate::plan::{Action, Blocked, Check, WorkerPlan};
use crate::snapshot::{ClusterTasks, Depth, Queue, ReadError, Snapshot};
use crate::units::Messages;
use crate::variant::Recipe;

/// More than any bound lets through.
const FULL: Depth =
    Depth { visible: Messages(4_000_000_000), in_flight: Messages::ZERO, delayed: Messages::ZERO };

/// All that was read of a worker, held to a launch as large as its bounds allow.
pub(super) fn check(worker: &Worker, snapshot: &Snapshot) -> Check {
    let mut blocked: Vec<_> = unread(worker, snapshot).into_iter().map(Blocked::Read).collect();
    let worker = &Worker { paused: None, ..worker.clone() };
    let full = full(worker, snapshot);
    let mut plans = [apart(worker, || decide_worker(worker, Share::ALL, &full))];
    placement::place_all(std::slice::from_ref(worker), &full, &mut plans, &[0]);
    let [WorkerPlan { health, action, .. }] = plans;
    let mut largest = None;
    match action {
        Action::Idle(_) => {}
        Action::Hold(error) => blocked.push(Blocked::Read(error)),
        Action::Refuse(refusal) => blocked.push(Blocked::Refused(refusal)),
        Action::Launch(launch) => largest = Some(launch).filter(|_| blocked.is_empty()),
    }
    let definition = read(&snapshot.definitions, &worker.task_definition, "").ok();
    let roles = definition.map(|definition| roles(worker, definition)).unwrap_or_default();
    let of_volumes = worker.launch.volumes.iter();
    let volume_roles =
        of_volumes.map(|volume| volume.managed_ebs_volume.role_arn.clone()).collect();
    Check { blocked, largest, unregistered: health.unregistered, roles, volume_roles }
}

/// What could not be read beside the definition. A discovered queue that is gone is no mistake of anybody.
fn unread(worker: &Worker, snapshot: &Snapshot) -> Vec<ReadError> {
    let of_queue = read(&snapshot.queues, &worker.name, "GetQueueAttributes").err();
    let of_queue = of_queue.filter(|error| !matches!(error, ReadError::Gone { .. }));
    let of_cluster = read(&snapshot.tasks, &worker.cluster, "ListTasks").err();
    let of_instances =
        worker.launch.placement.as_ref().and_then(|_| {
            read(&snapshot.instances, &worker.cluster, "ListContainerInstances").err()
        });
    [of_queue, of_cluster, of_instances].into_iter().flatten().collect()
}

/// What the tasks of a worker show that is owed nothing, as far as they were read.
pub(super) fn examine_anyway(worker: &Worker, snapshot: &Snapshot, plan: &mut WorkerPlan) {
    let tasks = read(&snapshot.tasks, &worker.cluster, "");
    let definition = read(&snapshot.definitions, &worker.task_definition, "");
    let (Ok(tasks), Ok(definition)) = (tasks, definition) else { return };
    let Ok(recipe) = Recipe::new(definition, worker.into()) else { return };
    let own = OwnTasks::of(worker, recipe.container(), tasks, snapshot.now);
    examine(&recipe, &own, snapshot, plan);
}

/// The worker in a world of its own, with a full queue and nothing alive.
fn full(worker: &Worker, snapshot: &Snapshot) -> Snapshot {
    let (cluster, name) = (&worker.cluster, &worker.task_definition);
    let listed = worker.packing.registered_sizes.iter().flatten();
    let families = listed.map(|n| name.family().variant(*n));
    let derived = families.filter_map(|family| snapshot.derived.get_key_value(&family));
    Snapshot {
        queues: [(worker.name.clone(), Ok(Queue { depth: FULL, ..Queue::default() }))].into(),
        urls: only(&snapshot.urls, &worker.name),
        tasks: [(cluster.clone(), Ok(ClusterTasks::default()))].into(),
        instances: only(&snapshot.instances, cluster),
        definitions: only(&snapshot.definitions, name),
        derived: derived.map(|(family, newest)| (family.clone(), newest.clone())).collect(),
        ..snapshot.blank()
    }
}

fn only<K: Ord + Clone, V: Clone>(all: &BTreeMap<K, V>, key: &K) -> BTreeMap<K, V> {
    all.get_key_value(key).map(|(key, value)| (key.clone(), value.clone())).into_iter().collect()
}

/// Whoever registers a definition passes its roles, and whoever runs it those of its overrides.
/// Source: Service Authorization Reference, ECS, "Dependent actions".
fn roles(worker: &Worker, definition: &TaskDefinition) -> BTreeSet<String> {
    let of_definition = |member| definition.document.get(member).and_then(Value::as_str);
    let overrides = worker.launch.overrides.as_ref();
    let roles = [
        of_definition("taskRoleArn"),
        of_definition("executionRoleArn"),
        overrides.and_then(|own| own.task_role.as_deref()),
        overrides.and_then(|own| own.execution_role.as_deref()),
    ];
    let roles = roles.into_iter().flatten().filter(|role| !role.is_empty());
    roles.map(str::to_owned).collect()
}
