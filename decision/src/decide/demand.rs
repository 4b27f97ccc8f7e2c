//! How many containers a backlog asks for. Pure.

use crate::config::{Delayed, Floor, Policy, Scaling, Strategy, Worker};
use crate::plan::{Alive, Bound, Decision, Target};
use crate::snapshot::Depth;
use crate::units::{Containers, Messages, Tasks};

/// The depth without what does not count.
pub(super) fn counted(scaling: &Scaling, depth: Depth) -> Depth {
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
        Target::Tasks(tasks) => tasks.containers(each(worker, per_task)),
    }
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
fn each(worker: &Worker, per_task: Containers) -> Containers {
    match worker.packing.strategy {
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
/// worker come back as visible ones.
#[expect(clippy::too_many_arguments, reason = "each is a number of the sum")]
pub(super) fn decide(
    worker: &Worker,
    depth: Depth,
    minimum: Floor,
    alive: Alive,
    per_task: Containers,
) -> Decision {
    let scaling = &worker.scaling;
    let held = held(scaling, &depth, &alive);
    let mut decision = Decision {
        visible: depth.visible,
        in_flight: depth.in_flight,
        held,
        delayed: counted(scaling, depth).delayed,
        policy: scaling.policy.clone(),
        target: Target::Containers(Containers::ZERO),
        each: Containers(1),
        minimum,
        alive,
        bounds: Vec::new(),
        launch: Containers::ZERO,
        launch_tasks: None,
    };
    decision.target = target(&scaling.policy, decision.backlog());
    match decision.target {
        Target::Containers(target) => decision.bound(target.minus(alive.capacity()), scaling),
        Target::Tasks(target) => {
            let each = each(worker, per_task);
            decision.each = each;
            let owed = target.containers(each).minus(alive.capacity());
            let most = worker.packing.max_tasks.unwrap_or(Tasks(u32::MAX));
            let tasks = decision.bound_tasks(owed.tasks_rounded_up(each), most);
            decision.bound(owed.min(tasks.containers(each)), scaling);
            // The minimum may ask for more containers than the owed tasks can hold.
            let tasks = tasks.max(decision.launch.tasks_rounded_up(per_task));
            decision.launch_tasks = Some(tasks.min(Tasks(decision.launch.0)));
        }
    }
    decision
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
    pub(super) fn restrain(&mut self, most: Containers, bound: Bound) {
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
