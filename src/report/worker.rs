//! What happened to one worker.

use super::{
    CheckReport, Counts, DecisionReport, Failed, Launched, Outcome, PlacementReport, WorkerReport,
    waiting,
};
use decision::event::Mode;
use decision::outcome::{GroupOutcome, TaskFailure, WorkerOutcome};
use decision::plan::{
    Action, Alive, Blocked, Check, Decision, Health, Idle, Late, LaunchPlan, PlacementPlan, Target,
    WorkerPlan,
};
use decision::refusal::Cause;
use decision::snapshot::{ReadError, Redrive};
use decision::units::{Containers, RevisionArn, Tasks};

pub(super) fn report(outcome: WorkerOutcome, mode: Mode) -> WorkerReport {
    let waits_for = waiting::waits_for(&outcome);
    let WorkerOutcome { plan, groups } = outcome;
    let WorkerPlan { worker, depth, alive, health, check, facts, action, .. } = plan;
    let warnings = warnings(&health, alive.as_ref());
    let Health { stuck, outlived, breaker, late, .. } = health;
    let mut report = WorkerReport {
        worker,
        outcome: Outcome::Idle,
        depth,
        alive,
        decision: None,
        facts,
        placement: None,
        launched: Vec::new(),
        failures: Vec::new(),
        deferred: Containers::ZERO,
        waits_for,
        at_cap: None,
        paused: None,
        check: None,
        breaker: breaker.map(|tripped| tripped.to_string()),
        stuck,
        outlived,
        errors: Vec::new(),
        warnings,
    };
    report_action(&mut report, action, Came { mode, groups });
    if let Some(check) = check {
        report_check(&mut report, check);
    }
    // What was refused before this tick is no reason of what this tick could not place.
    report.failures.extend(late.into_iter().map(report_late));
    let not_served = report.not_served();
    report.warnings.extend(not_served);
    report
}

/// What came of a plan that was to be carried out, or was not.
struct Came {
    mode: Mode,
    groups: Vec<GroupOutcome>,
}

fn report_action(report: &mut WorkerReport, action: Action, Came { mode, groups }: Came) {
    match action {
        Action::Idle(idle) => report_idle(report, idle),
        Action::Hold(gone @ ReadError::Gone { .. }) => report.warnings.push(gone.to_string()),
        Action::Hold(error) => {
            report.outcome = Outcome::Held;
            report.errors.push(error.to_string());
        }
        Action::Refuse(refusal) => {
            report.outcome = Outcome::Failed;
            report.errors.push(refusal.to_string());
        }
        Action::Launch(plan) => {
            report.decision = Some(report_decision(&plan.decision, plan.to_string()));
            report.at_cap = Some(plan.decision.at_cap() || plan.deferred.is_some());
            report.deferred = plan.deferred.as_ref().map(|d| d.containers).unwrap_or_default();
            report.warnings.extend(plan.cautions.iter().map(ToString::to_string));
            report_placement(report, plan.placement.as_ref(), mode);
            match mode {
                Mode::DryRun => report_planned(report, &plan),
                Mode::Launch => report_launched(report, &plan, groups),
            }
        }
    }
}

fn warnings(health: &Health, alive: Option<&Alive>) -> Vec<String> {
    let mut warnings: Vec<_> = health.unregistered.iter().map(ToString::to_string).collect();
    warnings.extend(health.ahead.as_ref().map(ToString::to_string));
    warnings.extend(alive.and_then(idle));
    warnings.extend(outlived(health));
    warnings.extend(health.of_others.iter().map(|(function, tasks)| of_other(function, *tasks)));
    match health.redrive {
        Redrive::Bounded => {}
        Redrive::Endless => warnings.push(
            "the queue has no redrive policy: a message that nobody can process comes back until \
             it expires, and starts workers each time; give the queue a dead-letter queue"
                .to_owned(),
        ),
    }
    warnings
}

fn idle(alive: &Alive) -> Option<String> {
    let containers = match alive.idle {
        Containers::ZERO => return None,
        Containers(1) => "1 container runs and takes".to_owned(),
        n => format!("{n} containers run and take"),
    };
    Some(format!(
        "{containers} no message, though messages wait: others are started for them as far as \
         maxContainers allows; look at what they do, and stop their tasks if they hang"
    ))
}

fn of_other(function: &str, tasks: Tasks) -> String {
    let tasks =
        if tasks == Tasks(1) { "1 task was".to_owned() } else { format!("{tasks} tasks were") };
    format!(
        "{tasks} started by another function, `{function}`, under this scaler's name: each takes the \
         other's tasks for its own and starts too few; if that function still runs, give one of the two \
         another ScalerName"
    )
}

fn outlived(health: &Health) -> Option<String> {
    let tasks = match health.outlived.len() {
        0 => return None,
        1 => "1 task goes on although its workers have".to_owned(),
        n => format!("{n} tasks go on although their workers have"),
    };
    Some(format!(
        "{tasks} stopped: nothing takes messages there, and it costs money and counts against \
         maxContainers until somebody stops it; look at what still runs there, and at the log of its \
         watcher"
    ))
}

/// Many calls of a worker may fail alike.
fn add_once(errors: &mut Vec<String>, error: String) {
    if !errors.contains(&error) {
        errors.push(error);
    }
}

fn report_late(late: Late) -> Failed {
    let detail = Some(late.to_string());
    let Late { cause, reason, on: _, tasks } = late;
    Failed { shortage: cause, reason, detail, tasks }
}

fn report_decision(decision: &Decision, why: String) -> DecisionReport {
    let (target, counts) = match decision.target {
        Target::Containers(containers) => (containers.0, Counts::Containers),
        Target::Tasks(tasks) => (tasks.0, Counts::Tasks),
    };
    DecisionReport {
        backlog: decision.backlog(),
        target,
        counts,
        containers: decision.target_containers(),
        launch: decision.launch,
        held_back: decision.held_back(),
        why,
    }
}

fn report_idle(report: &mut WorkerReport, idle: Idle) {
    match idle {
        Idle::Empty => {}
        Idle::Superseded => report.warnings.push(idle.to_string()),
        Idle::Paused(pause) => {
            report.outcome = Outcome::Paused;
            report.paused = Some(pause);
        }
        Idle::Answered(decision) => {
            let why = decision.to_string();
            report.at_cap = Some(decision.at_cap());
            report.decision = Some(report_decision(&decision, why));
        }
    }
}

fn report_planned(report: &mut WorkerReport, plan: &LaunchPlan) {
    report.outcome = Outcome::Planned;
    report.launched = plan
        .groups
        .iter()
        .map(|group| Launched {
            task_definition: group.revision.to_string(),
            containers_per_task: group.containers_per_task,
            count: group.tasks(),
            tasks: Vec::new(),
            adopted: Vec::new(),
            registered: false,
        })
        .collect();
}

/// What a check found is a failure also where nothing waits.
fn report_check(report: &mut WorkerReport, check: Check) {
    let Check { blocked, largest, unregistered, roles, volume_roles } = check;
    for blocked in blocked {
        let outcome = match &blocked {
            Blocked::Read(_) => Outcome::Held,
            Blocked::Refused(_) => Outcome::Failed,
        };
        // What was started is there, whatever else is wrong.
        if matches!(report.outcome, Outcome::Idle | Outcome::Paused) {
            report.outcome = outcome;
        }
        add_once(&mut report.errors, blocked.to_string());
    }
    let cautions = largest.iter().flat_map(|launch| &launch.cautions).map(ToString::to_string);
    for warning in unregistered.iter().map(ToString::to_string).chain(cautions) {
        add_once(&mut report.warnings, warning);
    }
    let placement = largest.as_ref().and_then(|launch| launch.placement.as_ref());
    let nowhere = placement.filter(|placement| placement.fit == Tasks::ZERO);
    let nowhere =
        nowhere.map(|placement| format!("no instance could take a task now: {}", placement.why()));
    report.warnings.extend(nowhere);
    let largest = largest.map(|launch| launch.in_short());
    report.check = Some(CheckReport { largest, roles, volume_roles });
}

/// What has no room is reported as what ECS does not place. A dry run asks for nothing.
fn report_placement(report: &mut WorkerReport, placement: Option<&PlacementPlan>, mode: Mode) {
    let Some(placement) = placement else { return };
    report.placement = Some(PlacementReport::from(placement));
    if let Some((ones, n)) = placement.replaced {
        report.warnings.push(format!(
            "no instance has room for more tasks of {n} containers: {ones} of one were placed in their \
             place; lower packing.maxContainersPerTask if this goes on"
        ));
    }
    if placement.is_short() && mode == Mode::Launch {
        report.deferred = report.deferred.plus(placement.containers_without_room());
        report.failures.push(Failed {
            shortage: placement.short().first().map_or(Cause::NoRoom, |(lack, _)| lack.cause()),
            reason: "no instance has room".to_owned(),
            detail: Some(placement.why()),
            tasks: placement.without_room(),
        });
    }
}

fn report_launched(report: &mut WorkerReport, plan: &LaunchPlan, groups: Vec<GroupOutcome>) {
    let without_room = plan.placement.as_ref().map(PlacementPlan::without_room);
    let missing = groups.iter().map(|group| group.missing).chain(without_room).sum();
    let there = groups.iter().any(|group| group.count() != Tasks::ZERO);
    report.outcome = match (missing, there) {
        (Tasks::ZERO, false) => Outcome::Deferred,
        (Tasks::ZERO, true) => Outcome::Launched,
        (_, true) => Outcome::Partial,
        (_, false) => Outcome::Failed,
    };
    for group in groups {
        let owed = group.missing.containers(group.containers_per_task);
        report.deferred = report.deferred.plus(owed);
        report.failures.extend(by_reason(&group.failures));
        let errors = group.errors.iter().map(ToString::to_string);
        errors.for_each(|error| add_once(&mut report.errors, error));
        report.warnings.extend(group.untidy.iter().map(ToString::to_string));
        report.warnings.extend(moved(&group.moved));
        report.warnings.extend(given_up(&group));
        report.warnings.extend(left_out(&group));
        if !group.adopted.is_empty() {
            let adopted = group.adopted.len();
            report
                .warnings
                .push(format!("{adopted} tasks are of an earlier delivery of this tick"));
        }
        report.launched.extend(launched(group));
    }
    if report.outcome == Outcome::Failed && report.errors.is_empty() {
        report.errors.push(nothing_placed(plan, &report.failures));
    }
}

fn nothing_placed(plan: &LaunchPlan, failures: &[Failed]) -> String {
    let reasons: Vec<_> = failures.iter().map(ToString::to_string).collect();
    let short = plan.placement.as_ref().is_some_and(|placed| placed.fit == Tasks::ZERO);
    let who = if short { "the scheduler" } else { "ECS" };
    match reasons.as_slice() {
        [] => "another delivery of this tick was first, and placed nothing".to_owned(),
        reasons => format!("{who} placed no task: {}{}", reasons.join("; "), of_several(plan)),
    }
}

/// What would make tasks smaller, where they could be.
fn of_several(plan: &LaunchPlan) -> String {
    let largest = plan.groups.iter().max_by_key(|group| group.containers_per_task);
    let Some(group) = largest.filter(|group| Containers(1) < group.containers_per_task) else {
        return String::new();
    };
    let takes = group
        .needs
        .as_ref()
        .map(|needs| format!(", {} CPU units and {} MiB of an instance", needs.cpu, needs.memory));
    let n = group.containers_per_task;
    format!(
        " (a task has {n} containers{}; packing.maxContainersPerTask lowers that)",
        takes.unwrap_or_default()
    )
}

fn launched(group: GroupOutcome) -> Option<Launched> {
    let count = group.count();
    let RevisionArn(task_definition) = group.revision?;
    (count != Tasks::ZERO).then_some(Launched {
        task_definition,
        containers_per_task: group.containers_per_task,
        count,
        tasks: group.started.into_iter().map(|task| task.arn).collect(),
        adopted: group.adopted,
        registered: group.registered,
    })
}

/// What instances refused and others were asked for.
fn moved(moved: &[TaskFailure]) -> Option<String> {
    let reasons: Vec<_> = by_reason(moved).iter().map(ToString::to_string).collect();
    (!reasons.is_empty())
        .then(|| format!("placed anew, as an instance refused: {}", reasons.join("; ")))
}

/// What had no room, and was started with one container a task.
fn given_up(group: &GroupOutcome) -> Option<String> {
    let reasons: Vec<_> = by_reason(&group.given_up).iter().map(ToString::to_string).collect();
    let n = group.containers_per_task;
    (!reasons.is_empty()).then(|| {
        format!(
            "ECS takes no more tasks of {n} containers ({}): tasks of one were started in their \
             place; lower packing.maxContainersPerTask if this goes on",
            reasons.join("; ")
        )
    })
}

fn left_out(group: &GroupOutcome) -> Option<String> {
    let members = group.left_out.join("`, `");
    (!members.is_empty()).then(|| {
        format!(
            "ECS has `{members}` in its answers and does not register it: it was left out of the \
             derived definition; a newer version of this function may know it"
        )
    })
}

/// Equal failures once, with their number.
fn by_reason(all: &[TaskFailure]) -> Vec<Failed> {
    let mut failures: Vec<Failed> = Vec::new();
    for failure in all {
        let same = |f: &&mut Failed| f.reason == failure.reason && f.detail == failure.detail;
        match failures.iter_mut().find(same) {
            Some(known) => known.tasks = known.tasks.plus(Tasks(1)),
            None => failures.push(Failed {
                shortage: failure.cause,
                reason: failure.reason.clone(),
                detail: failure.detail.clone(),
                tasks: Tasks(1),
            }),
        }
    }
    failures
}
