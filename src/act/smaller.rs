//! Tasks of one container for larger ones that ECS has no room for.

use decision::plan::{Call, Group, LaunchPlan};
use decision::refusal::Cause;
use decision::units::{Containers, Tasks};
use futures_util::future::join_all;

use super::call::Launch;
use super::{Common, GroupAttempt, OpenGroup};
use crate::aws::Aws;

/// Starts what the plan has for this, as far as ECS has answered that there is no room. A call without
/// an answer may have started its tasks: nothing is started in their place.
pub(super) async fn fall_back<'a>(
    cloud: &'a Aws,
    common: &Common<'a>,
    plan: &'a LaunchPlan,
    attempts: &mut Vec<GroupAttempt>,
) {
    let Some(smaller) = &plan.smaller else { return };
    let there: Tasks = attempts.iter().map(|attempt| attempt.done.count()).sum();
    let refused: Containers = attempts.iter().map(GroupAttempt::without_room).sum();
    let wanted = Tasks(refused.0).min(smaller.tasks().minus(there));
    if wanted == Tasks::ZERO {
        return;
    }
    let found = common.revisions.of(&smaller.revision).await;
    let mut open = OpenGroup::new(smaller, found);
    let Some(found) = &open.found else { return attempts.push(open.attempt) };
    let (revision, overrides, exhausted) = (&found.revision, open.overrides, &common.exhausted);
    let launch = Launch { cloud, plan, revision, overrides, exhausted };
    let calls = trimmed(smaller, wanted);
    let Some((first, others)) = calls.split_first() else { return };
    let called = launch.run(first).await;
    let goes_on = called.has_started();
    open.attempt.add_or_keep(first, called, plan);
    if goes_on {
        let others = others.iter().map(async |call| (call, launch.run(call).await));
        for (call, called) in join_all(others).await {
            open.attempt.add_or_keep(call, called, plan);
        }
    }
    // What they came to is no lack of the larger ones any more.
    let mut started = open.attempt.done.count().containers(Containers(1));
    for attempt in attempts.iter_mut() {
        started = started.minus(attempt.give_up(started));
    }
    // What is still owed is owed by those that were asked for first.
    open.attempt.done.missing = Tasks::ZERO;
    attempts.push(open.attempt);
}

/// The first calls of a group, for so many tasks.
fn trimmed(group: &Group, wanted: Tasks) -> Vec<Call> {
    let mut left = wanted;
    let calls = group.calls.iter().map(|call| {
        let tasks = call.tasks.min(left);
        left = left.minus(tasks);
        Call { tasks, ..call.clone() }
    });
    calls.filter(|call| call.tasks != Tasks::ZERO).collect()
}

impl GroupAttempt {
    /// Worker containers of tasks for which there is no room, by the answers to all calls.
    fn without_room(&self) -> Containers {
        let done = &self.done;
        let is_answered = done.errors.is_empty()
            && done.unanswered == Tasks::ZERO
            && done.adopted.is_empty()
            && self.stale.is_empty();
        // Where network interfaces are short, more tasks would need more of them.
        let has_none = !done.failures.is_empty()
            && done.failures.iter().all(|failure| failure.cause == Cause::NoRoom);
        if is_answered && has_none && Containers(1) < done.containers_per_task {
            done.missing.containers(done.containers_per_task)
        } else {
            Containers::ZERO
        }
    }

    /// So many containers were started in tasks of one: how many of these were this group's.
    fn give_up(&mut self, started: Containers) -> Containers {
        if self.without_room() == Containers::ZERO {
            return Containers::ZERO;
        }
        let done = &mut self.done;
        let each = done.containers_per_task;
        let tasks = Tasks(started.0 / each.0.max(1)).min(done.missing);
        done.missing = done.missing.minus(tasks);
        // One that was not asked for has no failure of its own.
        let count = usize::try_from(tasks.0).unwrap_or(usize::MAX).min(done.failures.len());
        done.given_up.extend(done.failures.drain(..count));
        tasks.containers(each)
    }
}
