//! What ECS's agent makes of a task whose workers end one after the other: which containers run, and
//! when the task stops.
//!
//! Sidecars run for ever, unless somebody waits for their end or they run after a worker; the watcher
//! does what its script does. Source: amazon-ecs-agent, `engine/dependencygraph/graph.go` and
//! `api/task/task.go`, `UpdateDesiredStatus`.

use std::collections::BTreeMap;

use serde_json::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Pending,
    Running,
    Stopped,
}

/// A task of a definition.
pub(super) struct Task<'a> {
    containers: Vec<&'a Value>,
    states: BTreeMap<&'a str, State>,
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_default()
}

fn waits(container: &Value) -> impl Iterator<Item = (&str, &str)> {
    let waits = container["dependsOn"].as_array().into_iter().flatten();
    waits.map(|on| (text(on, "containerName"), text(on, "condition")))
}

fn is_end(condition: &str) -> bool {
    matches!(condition, "COMPLETE" | "SUCCESS")
}

impl<'a> Task<'a> {
    pub(super) fn start(definition: &'a Value) -> Self {
        let containers: Vec<_> =
            definition["containerDefinitions"].as_array().unwrap().iter().collect();
        let states = containers.iter().map(|c| (text(c, "name"), State::Pending)).collect();
        let mut task = Self { containers, states };
        task.settle();
        task
    }

    /// A worker ends with exit code 0, and what follows from that.
    pub(super) fn end(&mut self, worker: &str) {
        let container = self.containers.iter().find(|c| text(c, "name") == worker).unwrap();
        let policy = &container["restartPolicy"];
        let ignored = policy["ignoredExitCodes"]
            .as_array()
            .is_some_and(|codes| codes.iter().any(|code| *code == 0));
        let is_restarted = policy["enabled"] == true && !ignored;
        if self.states[worker] == State::Running && !is_restarted {
            let (name, _) = self.states.get_key_value(worker).unwrap();
            self.states.insert(name, State::Stopped);
        }
        self.settle();
    }

    /// Whether an essential container has stopped, which stops the task.
    pub(super) fn has_stopped(&self) -> bool {
        self.containers.iter().any(|container| {
            container["essential"] != false && self.is(text(container, "name"), State::Stopped)
        })
    }

    /// Whether it runs, or has run.
    pub(super) fn has_begun(&self, name: &str) -> bool {
        !self.is(name, State::Pending)
    }

    /// Whether it has run to its end.
    pub(super) fn has_ended(&self, name: &str) -> bool {
        self.is(name, State::Stopped)
    }

    fn is(&self, name: &str, state: State) -> bool {
        self.states.get(name) == Some(&state)
    }

    /// Until nothing follows from anything any more.
    fn settle(&mut self) {
        while !self.has_stopped() {
            let Some((name, state)) = self.containers.iter().find_map(|c| self.next(c)) else {
                break;
            };
            self.states.insert(name, state);
        }
    }

    fn next(&self, container: &'a Value) -> Option<(&'a str, State)> {
        let name = text(container, "name");
        let resolved = |(on, condition): (&str, &str)| match condition {
            condition if is_end(condition) => self.is(on, State::Stopped),
            _ => self.has_begun(on),
        };
        let ends = || {
            let variable = &container["environment"][0];
            if text(variable, "name") == "WORKERS" {
                let mut awaited = text(variable, "value").split(' ');
                return awaited.all(|worker| self.is(worker, State::Stopped));
            }
            // A job of its own: before somebody who waits for its end, or after somebody's.
            let is_awaited = self
                .containers
                .iter()
                .any(|other| waits(other).any(|(on, condition)| on == name && is_end(condition)));
            let is_worker = text(container, "image") == "worker";
            !is_worker && (is_awaited || waits(container).any(|(_, c)| is_end(c)))
        };
        match self.states[name] {
            State::Pending if waits(container).all(resolved) => Some((name, State::Running)),
            State::Running if ends() => Some((name, State::Stopped)),
            State::Pending | State::Running | State::Stopped => None,
        }
    }
}
