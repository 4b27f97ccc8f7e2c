//! The rule from backlog to target: one of three.

use super::super::form::Whole;
use super::super::form::time::{SECONDS, UP_TO_A_DAY};
use super::super::reader::Fields;
use super::super::shape::about;
use super::super::{Policy, Strategy};
use super::MOST_CONTAINERS;
use crate::units::{Containers, Messages, Tasks};

const KEYS: [&str; 3] = ["messagesPerContainer", "steps", "drainWithin"];

pub(super) fn read_policy(fields: &mut Fields<'_>, strategy: Strategy) -> Option<Policy> {
    let messages = about("so many messages a container, rounded up").tag("messages-per-container");
    let messages = messages.defaults_to("exactly one of these three");
    let messages = fields.optional("messagesPerContainer", Whole(1..=1_000_000), messages);
    let steps = read_steps(fields, strategy);
    let drain = read_drain(fields);
    let given: Vec<_> = KEYS.into_iter().filter(|key| fields.has(key)).collect();
    match given.as_slice() {
        [_] => {
            let messages = messages.map(|m| Policy::MessagesPerContainer(Messages(u64::from(m))));
            return messages.or(steps).or(drain);
        }
        // A mistake in it is reported already.
        [] if fields.is_written("messagesPerContainer") => {}
        [] => {
            let message =
                "is missing; give exactly one of messagesPerContainer, steps and drainWithin";
            fields.problem("messagesPerContainer", message);
        }
        several => {
            let message = format!("give exactly one, not {} together", several.join(" and "));
            fields.problem("messagesPerContainer", &message);
        }
    }
    None
}

fn read_drain(fields: &mut Fields<'_>) -> Option<Policy> {
    let what =
        about("as many as empty the queue in time").defaults_to("exactly one of these three");
    let mut drain = fields.object("drainWithin", what)?;
    let target = about("when the queue is to be empty").tag("drain-target");
    let target = drain.required("target", UP_TO_A_DAY, target);
    let per_message = about("how long a container works on a message").tag("seconds-per-message");
    let per_message = drain.required("secondsPerMessage", SECONDS, per_message);
    drain.finish();
    Some(Policy::EmptyWithin { target: target?, per_message: per_message? })
}

/// Steps as they are given: some in tasks, some in containers.
#[derive(Default)]
struct Steps {
    tasks: Vec<(Messages, Tasks)>,
    containers: Vec<(Messages, Containers)>,
}

fn read_steps(fields: &mut Fields<'_>, strategy: Strategy) -> Option<Policy> {
    let what = about("from a depth on, so many").defaults_to("exactly one of these three");
    let mut steps = Steps::default();
    for step in fields.objects("steps", 1..=100, what.tag("steps"))? {
        steps.read(step);
    }
    steps.check(fields, strategy);
    match (steps.tasks.is_empty(), steps.containers.is_empty()) {
        (false, true) => Some(Policy::StepsOfTasks(steps.tasks)),
        (true, false) => Some(Policy::StepsOfContainers(steps.containers)),
        _ => None,
    }
}

impl Steps {
    fn read(&mut self, mut step: Fields<'_>) {
        let depth = step.required("depth", Whole(1..=u32::MAX), "messages from which on it holds");
        let depth = depth.map(|depth| Messages(u64::from(depth)));
        let tasks = about("so many tasks").defaults_to("one of the two");
        let tasks = step.optional("tasks", Whole(1..=MOST_CONTAINERS), tasks);
        let containers = about("so many containers").defaults_to("one of the two");
        let containers = step.optional("containers", Whole(1..=MOST_CONTAINERS), containers);
        if step.has("tasks") == step.has("containers") {
            step.problem("tasks", "a step has either tasks or containers");
        }
        step.finish();
        self.tasks.extend(depth.zip(tasks.map(Tasks)));
        self.containers.extend(depth.zip(containers.map(Containers)));
    }

    fn check(&self, fields: &Fields<'_>, strategy: Strategy) {
        let Self { tasks, containers } = self;
        let depths = || tasks.iter().map(|(d, _)| *d).chain(containers.iter().map(|(d, _)| *d));
        if !tasks.is_empty() && !containers.is_empty() {
            fields.problem("steps", "some count tasks and some containers; use one of the two");
        } else if !depths().is_sorted_by(|a, b| a < b) {
            fields.problem("steps", "the depths must ascend");
        } else if !tasks.is_sorted_by_key(|(_, n)| *n) || !containers.is_sorted_by_key(|(_, n)| *n)
        {
            fields.warn("steps", "a deeper queue gets fewer than a shallower one; is that meant?");
        }
        if !tasks.is_empty() && strategy == Strategy::Cheapest {
            let message = "steps of tasks fix how many tasks there are, which packing.strategy \
                           `cheapest` chooses; give the steps in containers";
            fields.problem("steps", message);
        }
    }
}
