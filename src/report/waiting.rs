//! Why messages wait although more containers are owed for them. Pure.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use super::WorkerReport;
use decision::outcome::{GroupOutcome, WorkerOutcome};
use decision::plan::{
    Action, Alive, Bound, Decision, Idle, LaunchPlan, PlacementPlan, TaskBound, WorkerPlan,
};
use decision::refusal::Cause;
use decision::snapshot::{CallError, Depth, ErrorKind, ReadError};
use decision::units::{Containers, Messages, Tasks};

/// What messages wait for, in one word. In the result it is `waitsFor`; its `Display` is the reason
/// that a person reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum WaitsFor {
    /// For containers to end: `maxContainers` is reached.
    MaxContainers,
    /// For the next tick: `packing.maxTasks` is all that one may start for the worker.
    MaxTasks,
    /// For the next tick: `maxLaunchPerTick` is reached.
    MaxLaunchPerTick,
    /// For the next tick: the worker's share of `maxTasksPerTick` is used up.
    MaxTasksPerTick,
    /// For the hour to pass: the worker's share of `maxTasksPerHour` is used up.
    MaxTasksPerHour,
    /// For a task that runs well: the circuit breaker is open.
    Canary,
    /// For messages to move, or a pause to end: what moved since the last launches allows no more.
    Progress,
    /// For a pause to end: a registry has had too many pulls.
    Registry,
    /// For a read that failed.
    Read,
    /// For a person: the configuration, the definition or a permission is refused.
    Configuration,
    /// For capacity: ECS or our own scheduler placed less than was asked for.
    Capacity,
    /// For AWS to take the call: it was throttled, or turned away for another passing reason.
    Throttling,
    /// For containers that seem to hold no message: they count until that has been so for `idleAfter`.
    IdleAfter,
    /// For tasks that a call without an answer may have started: they count as starting.
    Answer,
    /// For the next tick: the time of this one was up.
    Time,
    /// For another delivery of the tick, or a later tick, which has the word.
    Delivery,
    /// For the operator: the worker is paused.
    Paused,
}

/// The words for one worker, each once, in the order of the enum; none where nothing waits, or where
/// all that is owed was started.
pub(super) fn waits_for(outcome: &WorkerOutcome) -> Vec<WaitsFor> {
    let WorkerPlan { depth, action, .. } = &outcome.plan;
    let words: BTreeSet<_> = match action {
        Action::Idle(Idle::Empty) | Action::Hold(ReadError::Gone { .. }) => BTreeSet::new(),
        Action::Idle(Idle::Answered(decision)) => of_decision(decision),
        Action::Idle(Idle::Superseded) => of_depth(depth.as_ref(), WaitsFor::Delivery),
        Action::Idle(Idle::Paused(_)) => of_depth(depth.as_ref(), WaitsFor::Paused),
        Action::Hold(_) => of_depth(depth.as_ref(), WaitsFor::Read),
        Action::Refuse(_) => of_depth(depth.as_ref(), WaitsFor::Configuration),
        Action::Launch(plan) => of_launch(plan, &outcome.groups),
    };
    words.into_iter().collect()
}

/// Of a queue that could not be read, nobody knows that it is empty.
fn of_depth(depth: Option<&Depth>, word: WaitsFor) -> BTreeSet<WaitsFor> {
    let waits = depth.is_none_or(|depth| depth.visible != Messages::ZERO);
    waits.then_some(word).into_iter().collect()
}

fn of_decision(decision: &Decision) -> BTreeSet<WaitsFor> {
    if decision.visible.plus(decision.delayed) == Messages::ZERO {
        return BTreeSet::new();
    }
    let bounds = decision.reached().filter_map(of_bound);
    let Alive { presumed, doubted, .. } = decision.alive;
    let counted_on = [(presumed, WaitsFor::Answer), (doubted, WaitsFor::IdleAfter)];
    let counted_on = counted_on.into_iter().filter(|(some, _)| would_owe(decision, *some));
    bounds.chain(counted_on.map(|(_, word)| word)).collect()
}

fn of_bound(bound: &Bound) -> Option<WaitsFor> {
    match bound {
        Bound::MaxContainers(_) => Some(WaitsFor::MaxContainers),
        Bound::MaxTasks(_) => Some(WaitsFor::MaxTasks),
        Bound::MaxLaunchPerTick(_) => Some(WaitsFor::MaxLaunchPerTick),
        Bound::Canary(_) => Some(WaitsFor::Canary),
        Bound::Progress { .. } | Bound::Ahead(_) => Some(WaitsFor::Progress),
        Bound::Registry(_) => Some(WaitsFor::Registry),
        Bound::MinContainers { .. } | Bound::WaitingMessages(_) => None,
    }
}

/// Whether more would be owed if some of the containers were not counted on.
fn would_owe(decision: &Decision, without: Containers) -> bool {
    let surely = decision.alive.capacity().minus(without);
    without != Containers::ZERO && surely < decision.target_containers()
}

fn of_launch(plan: &LaunchPlan, groups: &[GroupOutcome]) -> BTreeSet<WaitsFor> {
    let mut words = of_decision(&plan.decision);
    if plan.decision.visible.plus(plan.decision.delayed) == Messages::ZERO {
        return words;
    }
    words.extend(plan.deferred.as_ref().map(|deferred| of_task_bound(deferred.bound)));
    let is_short = plan.placement.as_ref().is_some_and(PlacementPlan::is_short);
    words.extend(is_short.then_some(WaitsFor::Capacity));
    let of_groups: BTreeSet<_> = groups.iter().flat_map(of_group).collect();
    let missing: Tasks = groups.iter().map(|group| group.missing).sum();
    // What was not asked for, though nothing was refused, is for another delivery to start.
    if missing != Tasks::ZERO && of_groups.is_empty() {
        words.insert(WaitsFor::Delivery);
    }
    words.extend(of_groups);
    words
}

fn of_task_bound(bound: TaskBound) -> WaitsFor {
    match bound {
        TaskBound::MaxTasks => WaitsFor::MaxTasks,
        TaskBound::MaxTasksPerTick => WaitsFor::MaxTasksPerTick,
        TaskBound::MaxTasksPerHour => WaitsFor::MaxTasksPerHour,
    }
}

fn of_group(group: &GroupOutcome) -> BTreeSet<WaitsFor> {
    if group.missing == Tasks::ZERO {
        return BTreeSet::new();
    }
    // Also of what smaller tasks have come for, as far as these were too few.
    let refused = group.failures.iter().chain(&group.given_up);
    let refused = refused.map(|failure| of_cause(failure.cause));
    let errors = group.errors.iter().map(of_error);
    let unanswered = (group.unanswered != Tasks::ZERO).then_some(WaitsFor::Answer);
    refused.chain(errors).chain(unanswered).collect()
}

fn of_error(error: &ReadError) -> WaitsFor {
    match error {
        ReadError::Call(error) => of_call(error),
        ReadError::Panic => WaitsFor::Answer,
        ReadError::Answer { .. }
        | ReadError::OtherRegion { .. }
        | ReadError::Gone { .. }
        | ReadError::SameQueue { .. } => WaitsFor::Read,
    }
}

fn of_call(error: &CallError) -> WaitsFor {
    match (error.kind, error.cause()) {
        (ErrorKind::Later, _) => WaitsFor::Throttling,
        (ErrorKind::Unanswered, _) => WaitsFor::Answer,
        (ErrorKind::OutOfTime, _) => WaitsFor::Time,
        (ErrorKind::Refused, Cause::Other) => WaitsFor::Configuration,
        (ErrorKind::Refused, cause) => of_cause(cause),
    }
}

fn of_cause(cause: Cause) -> WaitsFor {
    match cause {
        Cause::Throttled | Cause::ServerFault | Cause::Clock => WaitsFor::Throttling,
        Cause::BadRequest
        | Cause::Stale
        | Cause::Configuration
        | Cause::Missing
        | Cause::Permission
        | Cause::Credentials => WaitsFor::Configuration,
        Cause::NoRoom
        | Cause::SpotGone
        | Cause::Quota
        | Cause::NetworkInterface
        | Cause::Agent
        | Cause::Placement
        | Cause::Over
        | Cause::OfOthers
        | Cause::OfWorker
        | Cause::Other => WaitsFor::Capacity,
    }
}

impl WaitsFor {
    /// The word of the result.
    pub fn word(self) -> String {
        super::word(&self)
    }
}

impl WorkerReport {
    /// Whether messages wait, nothing that could take them is known to be alive, and nothing was
    /// started. A policy that asks for nothing at this depth owes nothing, and nor does a pause.
    pub fn is_not_served(&self) -> bool {
        let waits = self.depth.is_some_and(|depth| depth.visible != Messages::ZERO);
        let owes = self.decision.as_ref().is_none_or(|decision| decision.target != 0);
        let alive = self.alive.map(|alive| alive.capacity()).unwrap_or_default();
        let is_paused = self.paused.is_some();
        waits && owes && !is_paused && alive == Containers::ZERO && self.launched.is_empty()
    }

    /// What a person should know of a worker that is not served.
    pub(super) fn not_served(&self) -> Option<String> {
        let Depth { visible, .. } = self.depth.filter(|_| self.is_not_served())?;
        let reasons: Vec<_> = self.waits_for.iter().map(ToString::to_string).collect();
        let messages = if visible == Messages(1) { "message waits" } else { "messages wait" };
        Some(format!(
            "{visible} {messages}, nothing that takes them is known to be alive, and nothing was started: {}",
            reasons.join("; ")
        ))
    }
}

impl fmt::Display for WaitsFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MaxContainers => "maxContainers is reached",
            Self::MaxTasks => "maxTasks is reached",
            Self::MaxLaunchPerTick => "maxLaunchPerTick is reached",
            Self::MaxTasksPerTick => "maxTasksPerTick is used up",
            Self::MaxTasksPerHour => "maxTasksPerHour is used up",
            Self::Canary => "the circuit breaker is open",
            Self::Progress => "what moved since the last launches allows no more for now",
            Self::Registry => "a registry gives no more images for now",
            Self::Read => "something could not be read",
            Self::Configuration => "it is refused, and somebody has to mend that",
            Self::Capacity => "there is no capacity for it",
            Self::Throttling => "AWS turned the calls away for now",
            Self::IdleAfter => {
                "containers that run seem to hold no message, and count until idleAfter is over"
            }
            Self::Answer => "a call had no answer, and what it may have started is waited for",
            Self::Time => "the time of the tick was up",
            Self::Delivery => "another delivery of this tick, or a later tick, has the word",
            Self::Paused => "it is paused",
        })
    }
}
