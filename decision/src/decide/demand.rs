//! How many containers a backlog asks for. Pure.

use crate::config::{Breaker, Delayed, Packing, Policy, ProgressBrake, Scaling, Strategy, Worker};
use crate::plan::{Alive, Bound, Decision, Facts, Target};
use crate::snapshot::Depth;
use crate::units::{Containers, Messages, Tasks};

/// The depth without what does not count.
pub fn counted(scaling: &Scaling, depth: Depth) -> Depth {
    let delayed = match scaling.delayed {
        Delayed::Ignored => Messages::ZERO,
        Delayed::Counted => depth.delayed,
    };
    Depth { delayed, ..depth }
}

/// The containers that a policy asks for, whatever is there and whatever bounds it.
pub(super) fn need(
    worker: &Worker,
    depth: &Depth,
    alive: &Alive,
    per_task: Containers,
) -> Containers {
    let scaling = &worker.scaling;
    match target(&scaling.policy, backlog(scaling, depth, alive)) {
        Target::Containers(containers) => containers,
        Target::Tasks(tasks) => tasks.containers(each(&worker.packing, per_task)),
    }
}

/// The same where nothing is known of what the tasks hold: of a rule that counts tasks, one container each.
pub fn need_by_rule(worker: &Worker, depth: Depth, alive: &Alive) -> Containers {
    need(worker, &counted(&worker.scaling, depth), alive, Containers(1))
}

/// In-flight messages that somebody can be holding.
fn held(scaling: &Scaling, depth: &Depth, alive: &Alive) -> Messages {
    depth.in_flight.min(alive.running.holding(scaling.in_flight_per_container))
}

fn backlog(scaling: &Scaling, depth: &Depth, alive: &Alive) -> Messages {
    let held = held(scaling, depth, alive);
    depth.visible.plus(held).plus(counted(scaling, *depth).delayed)
}

/// The containers that the packing gives a task, where the rule counts tasks.
fn each(packing: &Packing, per_task: Containers) -> Containers {
    match packing.strategy {
        Strategy::Spread => Containers(1),
        Strategy::Dense | Strategy::Cheapest => per_task,
    }
}

/// The arithmetic of a launch:
///
/// ```text
/// backlog = visible + min(in flight, what the running containers can hold)
/// target  = policy(backlog)
/// launch  = clamp(target, minContainers, maxContainers) - alive and neither stuck nor idle, at most
///           maxLaunchPerTick, and beyond the minimum at most one for each visible message that no
///           starting container will take
/// ```
///
/// A target in tasks is one in containers, of as many as the packing gives a task: what is alive counts
/// by what it can do.
///
/// In-flight messages count only as far as somebody can be holding them: those of a crashed
/// worker come back as visible ones. What the last launches came to may then allow less.
pub(super) fn decide(scaling: &Scaling, packing: &Packing, facts: &Facts) -> Decision {
    let mut decision = owed(scaling, packing, facts);
    restrain(&mut decision, scaling, facts);
    decision
}

/// What is owed within the operator's own bounds.
fn owed(scaling: &Scaling, packing: &Packing, facts: &Facts) -> Decision {
    let &Facts { visible, in_flight, delayed, alive, most, .. } = facts;
    let depth = Depth { visible, in_flight, delayed };
    let mut decision = Decision {
        visible,
        in_flight,
        held: held(scaling, &depth, &alive),
        delayed: counted(scaling, depth).delayed,
        policy: scaling.policy.clone(),
        target: Target::Containers(Containers::ZERO),
        each: Containers(1),
        minimum: facts.minimum.clone(),
        alive,
        bounds: Vec::new(),
        launch: Containers::ZERO,
        launch_tasks: None,
    };
    decision.target = target(&scaling.policy, decision.backlog());
    match decision.target {
        Target::Containers(target) => decision.bound(target.minus(alive.capacity()), scaling),
        Target::Tasks(target) => {
            let each = each(packing, most);
            decision.each = each;
            let owed = target.containers(each).minus(alive.capacity());
            let most_tasks = packing.max_tasks.unwrap_or(Tasks(u32::MAX));
            let tasks = decision.bound_tasks(owed.tasks_rounded_up(each), most_tasks);
            decision.bound(owed.min(tasks.containers(each)), scaling);
            // The minimum may ask for more containers than the owed tasks can hold.
            let tasks = tasks.max(decision.launch.tasks_rounded_up(most));
            decision.launch_tasks = Some(tasks.min(Tasks(decision.launch.0)));
        }
    }
    decision
}

/// What the worker's last launches came to bounds the next one.
fn restrain(decision: &mut Decision, scaling: &Scaling, facts: &Facts) {
    if let Some(wait) = facts.registry {
        decision.restrain(Containers::ZERO, Bound::Registry(wait));
    }
    if let Some(canary) = facts.canary.filter(|_| scaling.breaker == Breaker::On) {
        decision.restrain(canary, Bound::Canary(canary));
        return;
    }
    if scaling.progress_brake == ProgressBrake::Off {
        return;
    }
    if decision.visible == Messages::ZERO {
        if let Some(wait) = facts.ahead {
            decision.restrain(Containers::ZERO, Bound::Ahead(wait));
        }
    } else if let Some(brake) = facts.brake {
        let (allowed, by) = brake.allows(decision.launch);
        let allowed = allowed.max(decision.floor());
        let held_back = decision.launch.minus(allowed);
        decision.restrain(allowed, Bound::Progress { held_back, by });
    }
}

fn target(policy: &Policy, backlog: Messages) -> Target {
    match policy {
        Policy::MessagesPerContainer(messages) => {
            Target::Containers(backlog.containers_rounded_up(*messages))
        }
        Policy::EmptyWithin { target, per_message } => {
            Target::Containers(backlog.containers_to_empty_rounded_up(*per_message, *target))
        }
        Policy::StepsOfContainers(steps) => Target::Containers(step_reached(steps, backlog)),
        Policy::StepsOfTasks(steps) => Target::Tasks(step_reached(steps, backlog)),
    }
}

/// The last step whose depth is reached, none below the first.
fn step_reached<T: Copy + Default>(steps: &[(Messages, T)], backlog: Messages) -> T {
    let reached = steps.iter().rev().find(|(depth, _)| *depth <= backlog);
    reached.map(|(_, count)| *count).unwrap_or_default()
}

impl Decision {
    /// What is owed within the operator's bounds; those that made a difference are noted.
    fn bound(&mut self, owed: Containers, scaling: &Scaling) {
        let alive = self.alive;
        let floor = self.floor();
        let room = scaling.max_containers.minus(alive.containers);
        let starting = Messages(u64::from(alive.starting().0));
        let waiting = self.visible.plus(self.delayed).minus(starting);
        self.launch = owed;
        if self.launch < floor {
            self.launch = floor;
            let window = self.minimum.window.clone();
            self.bounds.push(Bound::MinContainers { containers: floor, window });
        }
        let per_tick = scaling.max_launch_per_tick.unwrap_or(self.launch);
        for (most, bound) in [
            (waiting.as_containers().max(floor), Bound::WaitingMessages(waiting)),
            (room, Bound::MaxContainers(room)),
            (per_tick, Bound::MaxLaunchPerTick(per_tick)),
        ] {
            if most < self.launch {
                self.launch = most;
                self.bounds.push(bound);
            }
        }
    }

    /// No more than this, whatever is owed.
    fn restrain(&mut self, most: Containers, bound: Bound) {
        if most < self.launch {
            self.launch = most;
            self.launch_tasks = self.launch_tasks.map(|tasks| tasks.min(Tasks(most.0)));
            self.bounds.push(bound);
        }
    }

    /// The owed tasks that a tick may start. More containers in fewer tasks would be no answer:
    /// the next tick counts tasks again.
    fn bound_tasks(&mut self, owed: Tasks, most: Tasks) -> Tasks {
        if most < owed {
            self.bounds.push(Bound::MaxTasks(most));
        }
        owed.min(most)
    }
}

#[cfg(test)]
mod tests;
