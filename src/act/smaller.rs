//! Tasks of one container for larger ones that ECS has no room for, or does not register.

use decision::outcome::TaskFailure;
use decision::plan::{Call, LaunchPlan};
use decision::refusal::Cause;
use decision::snapshot::{CallError, ErrorKind, ReadError};
use decision::units::{Containers, Tasks};
use futures_util::future::join_all;

use super::call::Launch;
use super::{GroupAttempt, Launching, OpenGroup};

/// Starts what the plan has for this, as far as ECS has answered no. A call without an answer may have
/// started its tasks: nothing is started in their place.
///
/// `claim` is the worker's first call, where it was not made: its token decides which delivery has the
/// tick, and these take it.
pub(super) async fn fall_back(
    launching: Launching<'_, '_>,
    claim: Option<&Call>,
    attempts: &mut Vec<GroupAttempt>,
) {
    let Launching { cloud, common, plan } = launching;
    let Some(smaller) = &plan.smaller else { return };
    let there: Tasks = attempts.iter().map(GroupAttempt::may_be_there).sum();
    let refused: Containers = attempts.iter().map(|attempt| attempt.refused(plan)).sum();
    let wanted = Tasks(refused.0).min(smaller.tasks().minus(there));
    if wanted == Tasks::ZERO {
        return;
    }
    let found = common.revisions.of(&smaller.revision).await;
    let mut open = OpenGroup::new(smaller, found);
    let Some(found) = &open.found else { return attempts.push(open.attempt) };
    let (revision, overrides, exhausted) = (&found.revision, open.overrides, common.exhausted);
    let launch = Launch { cloud, plan, revision, overrides, exhausted };
    let mut trimmed = smaller.clone();
    trimmed.trim(wanted);
    if let (Some(first), Some(claim)) = (trimmed.calls.first_mut(), claim) {
        (first.number, first.way) = (claim.number, claim.way.clone());
    }
    let Some((first, others)) = trimmed.calls.split_first() else { return };
    let called = launch.run(first).await;
    let goes_on = called.has_started();
    open.attempt.add(called, plan);
    if goes_on {
        let others = others.iter().map(async |call| launch.run(call).await);
        for called in join_all(others).await {
            open.attempt.add(called, plan);
        }
    }
    // What they came to is no lack of the larger ones any more.
    let mut started = open.attempt.done.count().containers(Containers(1));
    for attempt in attempts.iter_mut() {
        started = started.minus(attempt.give_up(started, plan));
    }
    // What is still owed is owed by those that were asked for first.
    open.attempt.done.missing = open.attempt.done.unanswered;
    attempts.push(open.attempt);
}

impl GroupAttempt {
    /// Its tasks that are there, and those that may be or may still come.
    fn may_be_there(&self) -> Tasks {
        let stale = self.stale.iter().map(|stale| stale.call.tasks).sum();
        self.done.count().plus(self.done.unanswered).plus(stale)
    }

    /// Worker containers of larger tasks that ECS said no to.
    fn refused(&self, plan: &LaunchPlan) -> Containers {
        let each = self.done.containers_per_task;
        let is_refused = self.not_registered().is_some() || self.has_no_room(plan);
        if is_refused && Containers(1) < each {
            self.done.missing.containers(each)
        } else {
            Containers::ZERO
        }
    }

    /// Why their definition could not be registered: how AWS counts its bytes is not documented.
    fn not_registered(&self) -> Option<&CallError> {
        match self.done.errors.as_slice() {
            [ReadError::Call(error)] if error.operation == "RegisterTaskDefinition" => {
                (error.kind == ErrorKind::Refused && error.cause() == Cause::BadRequest)
                    .then_some(error)
            }
            _ => None,
        }
    }

    /// Whether there is no room for them, by the answers to all calls. On Fargate there is room or there
    /// is none, whatever the size.
    fn has_no_room(&self, plan: &LaunchPlan) -> bool {
        let done = &self.done;
        let is_answered = done.errors.is_empty()
            && done.unanswered == Tasks::ZERO
            && done.adopted.is_empty()
            && self.stale.is_empty();
        // Where network interfaces are short, more tasks would need more of them.
        let has_none = !done.failures.is_empty()
            && done.failures.iter().all(|failure| failure.cause == Cause::NoRoom);
        is_answered && has_none && !plan.is_on_fargate()
    }

    /// So many containers were started in tasks of one: how many of these were this group's.
    fn give_up(&mut self, started: Containers, plan: &LaunchPlan) -> Containers {
        if self.refused(plan) == Containers::ZERO || started == Containers::ZERO {
            return Containers::ZERO;
        }
        if let Some(error) = self.not_registered().cloned() {
            self.done.errors.clear();
            self.done.given_up.push(TaskFailure {
                reason: error.to_string(),
                detail: None,
                cause: error.cause(),
                instance: None,
            });
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
