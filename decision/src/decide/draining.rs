//! What is done about instances that are about to go away, and what the lifecycle hooks that hold them
//! are answered.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::unread;
use crate::config::{Config, OnDrain, Worker};
use crate::event::{Notice, NoticeKind};
use crate::limits;
use crate::plan::{
    Because, DrainPlan, DrainStep, Emptying, HookAnswer, HookOwner, HookPlan, Leaving, NotOurs,
    Reply, StopPlan, TaskPlan, TaskStep,
};
use crate::snapshot::{
    ClusterTasks, Held, Mark, ReadError, Snapshot, Sought, Standing, Task, TaskThere,
};
use crate::units::{ScalerName, WorkerName, elapsed};

/// What a notice's first look leads to.
pub fn drain(config: &Config, notice: &Notice, sought: &Sought) -> DrainPlan {
    let (mut found, mut unread) = (BTreeMap::new(), Vec::new());
    for (cluster, read) in &sought.clusters {
        match read {
            // A cluster may have two names in a configuration: an instance of it is one.
            Ok(read) => found.extend(read.iter().map(|it| (&it.arn, (cluster, &it.status)))),
            Err(error) => unread.push(error.clone()),
        }
    }
    let instances = found.into_iter().map(|(arn, (cluster, status))| Leaving {
        cluster: cluster.clone(),
        instance: arn.clone(),
        status: status.clone(),
        step: step(status),
    });
    DrainPlan {
        clusters: sought.clusters.keys().cloned().collect(),
        unread,
        instances: instances.collect(),
        hook: hook_owner(config, notice, sought),
    }
}

/// Source: ECS API, `UpdateContainerInstancesState`: only an ACTIVE instance can be set to DRAINING.
fn step(status: &str) -> DrainStep {
    match status {
        "ACTIVE" => DrainStep::Drain,
        "DRAINING" => DrainStep::IsDraining,
        "REGISTERING" => DrainStep::NotYet,
        _ => DrainStep::Leaves,
    }
}

fn hook_owner(config: &Config, notice: &Notice, sought: &Sought) -> Option<HookOwner> {
    let hook = notice.hook.clone()?;
    Some(match &config.draining.hook {
        Some(ours) if *ours == hook.name => {
            let mark = Mark { hook: hook.clone(), since: Some(sought.now) };
            HookOwner::Ours { hook, tags: mark.tags(&sought.scaler) }
        }
        Some(ours) => HookOwner::NotOurs { hook, why: NotOurs::Another(ours.clone()) },
        None => HookOwner::NotOurs { hook, why: NotOurs::NoneNamed },
    })
}

/// What a notice's second look leads to.
pub fn stop(
    config: &Config,
    notice: &Notice,
    scaler: &ScalerName,
    instances: Vec<Standing>,
) -> StopPlan {
    let plan = |task: TaskThere| {
        let TaskThere { worker, arn, is_stopping } = task;
        let is_to_stop = !is_stopping && stops(config, notice.kind, &worker);
        TaskPlan { worker, arn, step: if is_to_stop { TaskStep::Stop } else { TaskStep::Leave } }
    };
    let instances = instances.into_iter().map(|Standing { cluster, instance, tasks }| {
        let tasks = tasks.map(|tasks| tasks.into_iter().map(plan).collect());
        Emptying { cluster, instance, tasks }
    });
    StopPlan {
        reason: format!("{scaler}: {} of {}", notice.kind, notice.instance),
        instances: instances.collect(),
    }
}

/// Whether a worker's tasks are stopped on an instance that goes. A recommendation may never come
/// true: nothing is stopped for it.
fn stops(config: &Config, kind: NoticeKind, worker: &WorkerName) -> bool {
    let is_certain = match kind {
        NoticeKind::SpotInterruption | NoticeKind::LifecycleTermination => true,
        NoticeKind::RebalanceRecommendation => false,
    };
    let is_its = |known: &&Worker| known.name == *worker || known.previous_names.contains(worker);
    let of_worker = config.workers.iter().find(is_its);
    is_certain && of_worker.is_some_and(|known| known.on_drain == OnDrain::StopTasks)
}

/// How every hook is answered that a tick has seen.
pub(super) fn hooks(snapshot: &Snapshot) -> Vec<HookPlan> {
    // A cluster may have two names in a configuration: an instance of it is one.
    let mut known = BTreeSet::new();
    let mut hooks = Vec::new();
    for (cluster, read) in &snapshot.held {
        let held = match read {
            Ok(held) => held,
            Err(error) => {
                hooks.push(HookPlan::Unread { cluster: cluster.clone(), error: error.clone() });
                continue;
            }
        };
        let tasks = snapshot.tasks.get(cluster).and_then(|read| read.as_ref().ok());
        for held in held.iter().filter(|held| known.insert(&held.arn)) {
            hooks.push(HookPlan::Answer(HookAnswer {
                cluster: cluster.clone(),
                instance: held.arn.clone(),
                ec2: held.ec2.clone(),
                hook: held.mark.hook.clone(),
                reply: reply(held, tasks, snapshot.now),
                settled: Mark::settled(&snapshot.scaler),
            }));
        }
    }
    hooks
}

/// How the hooks are answered when we are wrong ourselves.
pub(super) fn unread_hooks(snapshot: &Snapshot) -> Vec<HookPlan> {
    let clusters = snapshot.held.keys().cloned();
    clusters.map(|cluster| HookPlan::Unread { cluster, error: ReadError::Panic }).collect()
}

/// What the tasks of a cluster say of an instance that a hook holds: enough to hold it, or nothing.
/// Before it is let go it is asked for itself: a task that is wanted stopped is in no list of a tick,
/// and needs its time all the same.
pub fn still_needed(tasks: &ClusterTasks, held: &Held) -> Option<Because> {
    let Held { arn: instance, mark, .. } = held;
    let there = tasks.alive.iter().filter(|task| task.instance.as_ref() == Some(instance));
    let is_perhaps_here = |task: &Task| task.instance.as_ref().is_none_or(|at| at == instance);
    let mut presumed = tasks.presumed.iter().filter(|task| is_perhaps_here(task));
    let perhaps = presumed.any(|task| may_stand(task.created, mark));
    match there.count() {
        0 if perhaps => Some(Because::TasksMayStart),
        0 => None,
        tasks => Some(Because::TasksRun(tasks)),
    }
}

/// Whether a task that nobody has seen may stand there. One that was started after the notice does not:
/// nothing is placed on an instance that drains.
fn may_stand(created: Option<Timestamp>, mark: &Mark) -> bool {
    let (Some(created), Some(since)) = (created, mark.since) else { return true };
    elapsed(since, created) < limits::CLOCKS_DIFFER
}

/// An instance is let go only when nothing of ours can be there. A failed read holds: it never means
/// that nothing runs there.
fn reply(held: &Held, tasks: Option<&ClusterTasks>, now: Timestamp) -> Reply {
    if let Some(because) = tasks.and_then(|tasks| still_needed(tasks, held)) {
        return Reply::Hold(because);
    }
    let lag = held.mark.since.is_some_and(|since| elapsed(since, now) < limits::LISTS_LAG);
    match &held.tasks {
        None => Reply::Hold(Because::NotRead(unread("ListTasks"))),
        Some(Err(error)) => Reply::Hold(Because::NotRead(error.clone())),
        Some(Ok(tasks)) if !tasks.is_empty() => Reply::Hold(Because::TasksRun(tasks.len())),
        Some(Ok(_)) if lag => Reply::Hold(Because::JustDrained),
        Some(Ok(_)) => Reply::LetGo,
    }
}

#[cfg(test)]
mod tests;
