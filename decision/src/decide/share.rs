//! Who is served first, and how much of what all workers share each one gets. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::Limits;
use crate::limits;
use crate::plan::{Action, Allowance, TaskBound, WorkerPlan};
use crate::snapshot::{Snapshot, WorkerMemory};
use crate::units::{Tasks, WorkerName};

/// What all share, as far as it is one worker's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    /// The tasks that it may start; `None`: as many as it wants.
    pub(super) allowance: Option<Allowance>,
    /// Its part of the tasks that Fargate starts at once, where all want more.
    pub(super) at_once: Option<Tasks>,
}

impl Share {
    /// Nothing is shared with others.
    pub(super) const ALL: Self = Self { allowance: None, at_once: None };
}

/// What all workers together may start: in this tick, and in the hour that ends with it.
pub(super) fn allowance(limits: &Limits, snapshot: &Snapshot) -> Allowance {
    let an_hour_ago = snapshot.now.checked_sub(Duration::from_hours(1)).unwrap_or(snapshot.now);
    // A cluster that was not read has launches too, and a list that lags shows too few.
    let mut started = snapshot.launched.clone();
    for (name, cluster) in &snapshot.tasks {
        let read = cluster.as_ref().map(|cluster| cluster.started_since(an_hour_ago));
        let known = started.entry(name.clone()).or_default();
        *known = read.unwrap_or_default().max(*known);
    }
    let started: Tasks = started.into_values().sum();
    let hour = limits.tasks_per_hour.minus(started);
    if hour < limits.tasks_per_tick {
        Allowance { tasks: hour, bound: TaskBound::MaxTasksPerHour }
    } else {
        Allowance { tasks: limits.tasks_per_tick, bound: TaskBound::MaxTasksPerTick }
    }
}

/// Where all workers together want more tasks of Fargate than it starts at once: each one's part,
/// by what it wants.
pub(super) fn at_once(workers: &[WorkerPlan]) -> Vec<(usize, Tasks)> {
    let wanted = workers.iter().enumerate().filter_map(|(index, plan)| match &plan.action {
        Action::Launch(launch) if launch.is_on_fargate() => Some((index, launch.tasks())),
        _ => None,
    });
    let wanted: Vec<_> = wanted.collect();
    let all: Tasks = wanted.iter().map(|(_, tasks)| *tasks).sum();
    let most = limits::FARGATE_AT_ONCE;
    if all <= most {
        return Vec::new();
    }
    let part = |tasks: Tasks| {
        let part = u64::from(tasks.0).saturating_mul(u64::from(most.0)) / u64::from(all.0.max(1));
        Tasks(u32::try_from(part).unwrap_or(u32::MAX)).max(Tasks(1))
    };
    wanted.into_iter().map(|(index, tasks)| (index, part(tasks))).collect()
}

/// The places of the workers that are launched: first who waited longest, then who has most to do.
pub(super) fn order(
    workers: &[WorkerPlan],
    memories: &BTreeMap<WorkerName, WorkerMemory>,
) -> Vec<usize> {
    let mut owed: Vec<_> = workers
        .iter()
        .enumerate()
        .filter_map(|(index, plan)| match &plan.action {
            Action::Launch(launch) => {
                let waited = memories.get(&plan.worker).map_or(0, |memory| memory.waited);
                Some(((waited, launch.decision.backlog()), index))
            }
            Action::Idle(_) | Action::Hold(_) | Action::Refuse(_) => None,
        })
        .collect();
    owed.sort_by(|(a, first), (b, second)| b.cmp(a).then(first.cmp(second)));
    owed.into_iter().map(|(_, index)| index).collect()
}

/// Who has to do with fewer tasks than planned. One task after the other is given away, round by
/// round in the order, so that all get alike, and who wants less leaves it to the others.
pub(super) fn cuts(workers: &[WorkerPlan], order: &[usize], most: Tasks) -> Vec<(usize, Tasks)> {
    let wanted = |index: &usize| match workers.get(*index).map(|plan| &plan.action) {
        Some(Action::Launch(launch)) => launch.tasks(),
        _ => Tasks::ZERO,
    };
    let mut open: Vec<_> = order.iter().map(|index| (*index, wanted(index), Tasks::ZERO)).collect();
    let all: Tasks = open.iter().map(|(_, wanted, _)| *wanted).sum();
    let mut left = all.min(most);
    while Tasks::ZERO < left {
        for (_, wanted, given) in open.iter_mut().filter(|(_, wanted, given)| given < wanted) {
            let one = left.min(Tasks(1)).min(*wanted);
            *given = given.plus(one);
            left = left.minus(one);
        }
    }
    let cut = open.into_iter().filter(|(_, wanted, given)| given < wanted);
    cut.map(|(index, _, given)| (index, given)).collect()
}

/// The tasks of one container that larger ones may come to have to stay under what all share: of what
/// the plans leave, who comes first may have what it needs.
pub(super) fn bound_smaller(workers: &mut [WorkerPlan], order: &[usize], most: Tasks) {
    let planned = |plan: &WorkerPlan| match &plan.action {
        Action::Launch(launch) => launch.tasks(),
        Action::Idle(_) | Action::Hold(_) | Action::Refuse(_) => Tasks::ZERO,
    };
    let mut left = most.minus(workers.iter().map(planned).sum());
    for index in order {
        let Some(WorkerPlan { action: Action::Launch(launch), .. }) = workers.get_mut(*index)
        else {
            continue;
        };
        let planned = launch.tasks();
        let Some(smaller) = &mut launch.smaller else { continue };
        smaller.trim(planned.plus(left));
        left = left.minus(smaller.tasks().minus(planned));
    }
}

#[cfg(test)]
mod tests;
