//! The containers of a task, one by one: ECS shows each on its way, and has words for each.

use serde_json::{Value, json};

use super::super::tasks;
use super::{
    Happening, Life, NO_IMAGE, State, at_epoch, end_container, exited, is_worker, list, text,
};

/// The first container of a task may run so much earlier than the last.
const EARLIER: u64 = 5_000;

/// For so long a container goes on after its task is not wanted any more.
/// Source: ECS API, `ContainerDefinition.stopTimeout`: 30 seconds unless told otherwise.
const STOPS_WITHIN: u64 = 30_000;

impl Life {
    /// All containers but the last run before their task does.
    pub(super) fn start_one_by_one(&mut self, task: &Value, starts: u64) {
        let Some((_, earlier)) = list(task, "containers").split_last() else { return };
        if !self.one_by_one {
            return;
        }
        for container in earlier {
            let at = starts - self.rng.u64(0..EARLIER);
            let (arn, name) =
                (text(task, "taskArn").to_owned(), text(container, "name").to_owned());
            self.plan(at, Happening::ContainerRuns(arn, name));
        }
    }
}

impl State {
    pub(super) fn container_runs(&mut self, life: &mut Life, at: u64, (arn, name): (&str, &str)) {
        let Some(task) = self.tasks.get_mut(arn) else { return };
        if task["desiredStatus"] != "RUNNING" {
            return;
        }
        task["lastStatus"] = json!("PENDING");
        let containers = task["containers"].as_array_mut().unwrap();
        let Some(container) = containers.iter_mut().find(|c| c["name"] == name) else { return };
        container["lastStatus"] = json!("RUNNING");
        if is_worker(container) && !life.crashing.contains(arn) {
            life.begin_to_poll(task, name, at);
        }
    }

    pub(super) fn sidecars_run(&mut self, arn: &str) {
        let Some(task) = self.tasks.get_mut(arn) else { return };
        task["lastStatus"] = json!("PENDING");
        for container in task["containers"].as_array_mut().unwrap() {
            if !is_worker(container) {
                container["lastStatus"] = json!("RUNNING");
            }
        }
    }

    /// A container crashes. Beside others of its kind it ends alone, as none of them is essential.
    pub(super) fn crash(&mut self, life: &mut Life, at: u64, (arn, name): (String, String)) {
        let workers = list(&self.tasks[&arn], "containers").iter().filter(|c| is_worker(c));
        if life.one_by_one && 1 < workers.count() {
            life.plan(at, Happening::ContainerStops(arn, name, Some(1)));
        } else {
            life.plan(at, exited(&arn, 1));
        }
    }

    /// A task is not wanted any more, and its containers end within their time.
    pub(super) fn stop_one_by_one(
        &mut self,
        life: &mut Life,
        at: u64,
        (arn, code, reason, exit): (&str, &str, &str, Option<i32>),
    ) {
        let task = self.tasks.get_mut(arn).unwrap();
        let never_ran = task.get("startedAt").is_none();
        let stopping = json!({
            "desiredStatus": "STOPPED", "lastStatus": if never_ran { "DEPROVISIONING" } else { "STOPPING" },
            "stoppingAt": at_epoch(at), "stopCode": code, "stoppedReason": reason,
        });
        task.as_object_mut().unwrap().extend(stopping.as_object().unwrap().clone());
        if reason == NO_IMAGE {
            // ECS says of the task only that it did not start, and of the container why.
            task["stoppedReason"] = json!("Task failed to start");
            let worker =
                task["containers"].as_array_mut().unwrap().iter_mut().find(|c| is_worker(c));
            if let Some(worker) = worker {
                worker["reason"] = json!(reason);
            }
        }
        let there = list(task, "containers").iter().filter(|c| c["lastStatus"] != "STOPPED");
        let names: Vec<_> = there.map(|container| text(container, "name").to_owned()).collect();
        let mut last = at;
        for (place, name) in names.into_iter().enumerate() {
            // The one that is the reason is the first, and the others get a signal.
            let (ends, exit) = match place {
                0 => (at, exit),
                _ => (
                    at + life.rng.u64(0..STOPS_WITHIN),
                    exit.map(|exit| if exit == 0 { 0 } else { 143 }),
                ),
            };
            last = last.max(ends);
            life.plan(ends, Happening::ContainerStops(arn.to_owned(), name, exit));
        }
        life.plan(last + 1_000, Happening::Stopped(arn.to_owned(), exit));
    }

    pub(super) fn container_stops(
        &mut self,
        life: &mut Life,
        at: u64,
        (arn, name, exit): (&str, &str, Option<i32>),
    ) {
        let Some(task) = self.tasks.get_mut(arn) else { return };
        let is_gone = |c: &Value| c["name"] == name && c["lastStatus"] == "STOPPED";
        if list(task, "containers").iter().any(is_gone) {
            return;
        }
        if let Some(deeds) = life.deeds.get_mut(&(arn.to_owned(), name.to_owned())) {
            deeds.ended = deeds.ended.or(Some(at));
        }
        if end_container(task, name, exit) && task["desiredStatus"] == "RUNNING" {
            life.plan(at + 5_000, exited(arn, exit.unwrap_or_default()));
        }
    }

    /// The last container of a task has ended.
    pub(super) fn stopped(&mut self, at: u64, (arn, exit): (&str, Option<i32>)) {
        let Some(task) = self.tasks.get_mut(arn) else { return };
        let (code, reason) =
            (text(task, "stopCode").to_owned(), text(task, "stoppedReason").to_owned());
        tasks::end(task, &at_epoch(at), (&code, &reason, exit));
    }
}
