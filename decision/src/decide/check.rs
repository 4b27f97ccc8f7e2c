//! What would keep a worker's tasks from being launched if messages came, and what a launch would be
//! then. Pure.

use std::collections::BTreeSet;

use serde_json::Value;

use super::share::Share;
use super::{apart, decide_worker, read};
use crate::config::Worker;
use crate::definition::TaskDefinition;
use crate::plan::{Action, Blocked, Check};
use crate::snapshot::{ClusterTasks, Depth, Queue, Snapshot};
use crate::units::Messages;

/// More than any bound lets through.
const FULL: Depth =
    Depth { visible: Messages(4_000_000_000), in_flight: Messages::ZERO, delayed: Messages::ZERO };

/// All that was read of a worker, held to a launch as large as its bounds allow.
pub(super) fn check(worker: &Worker, snapshot: &Snapshot) -> Check {
    let of_queue = read(&snapshot.queues, &worker.name, "GetQueueAttributes").err();
    let of_cluster = read(&snapshot.tasks, &worker.cluster, "ListTasks").err();
    let of_instances =
        worker.launch.placement.as_ref().and_then(|_| {
            read(&snapshot.instances, &worker.cluster, "ListContainerInstances").err()
        });
    let unread = [of_queue, of_cluster, of_instances].into_iter().flatten().map(Blocked::Read);
    let mut blocked: Vec<_> = unread.collect();
    let worker = &Worker { paused: None, ..worker.clone() };
    let plan = apart(worker, || decide_worker(worker, Share::ALL, &full(worker, snapshot)));
    let mut largest = None;
    match plan.action {
        Action::Idle(_) => {}
        Action::Hold(error) => blocked.push(Blocked::Read(error)),
        Action::Refuse(refusal) => blocked.push(Blocked::Refused(refusal)),
        Action::Launch(launch) => largest = Some(launch),
    }
    let definition = read(&snapshot.definitions, &worker.task_definition, "").ok();
    let roles = definition.map(|definition| roles(worker, definition)).unwrap_or_default();
    let of_volumes =
        worker.launch.volumes.iter().map(|volume| volume.managed_ebs_volume.role_arn.clone());
    let volume_roles = of_volumes.collect();
    Check { blocked, largest, unregistered: plan.health.unregistered, roles, volume_roles }
}

/// The worker in a world of its own, with a full queue and nothing alive.
fn full(worker: &Worker, snapshot: &Snapshot) -> Snapshot {
    Snapshot {
        queues: [(worker.name.clone(), Ok(Queue { depth: FULL, ..Queue::default() }))].into(),
        urls: snapshot.urls.clone(),
        tasks: [(worker.cluster.clone(), Ok(ClusterTasks::default()))].into(),
        definitions: snapshot.definitions.clone(),
        derived: snapshot.derived.clone(),
        ..snapshot.blank()
    }
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
