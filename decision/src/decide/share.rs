//! Who is served first, and how much of what all workers share each one gets. Pure.

use std::collections::BTreeMap;

use crate::plan::{Action, Group, TaskBound, WorkerPlan};
use crate::snapshot::WorkerMemory;
use crate::units::{Tasks, WorkerName};

/// Tasks that all workers together may start in this tick.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    pub(super) tasks: Tasks,
    pub(super) bound: TaskBound,
}

/// The indices of the workers that are launched: first who waited longest, then who has most to do.
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
        Some(Action::Launch(launch)) => launch.groups.iter().map(Group::tasks).sum(),
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

#[cfg(test)]
mod tests;
