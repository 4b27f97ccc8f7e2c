//! The containers of a variant: clones in the worker's place, sidecars that follow, the watcher. Pure.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::Recipe;
use crate::config::Watcher;
use crate::definition::Container;
use crate::tags;
use crate::units::Containers;

/// What ends a task with its last worker: the script without its comments, as a definition holds 64 KiB
/// and is digested at every tick.
pub(super) static WATCHER_SCRIPT: LazyLock<String> = LazyLock::new(|| {
    let is_code = |line: &&str| !line.trim_start().starts_with('#');
    include_str!("watcher.sh").lines().filter(is_code).collect::<Vec<_>>().join("\n")
});

/// What a watcher runs.
pub fn watcher_script() -> &'static str {
    &WATCHER_SCRIPT
}

impl Recipe<'_> {
    /// The worker container's clones, by name, the first being itself.
    pub fn names(&self, n: Containers) -> Vec<String> {
        clone_names(&self.worker.name, n)
    }

    /// The name of the watcher.
    pub fn watcher_name(&self) -> String {
        watcher_name(&self.worker.name)
    }

    /// The worker's clones in its place, the sidecars in theirs, the watcher at the end.
    pub(super) fn containers(&self, n: Containers) -> Vec<Value> {
        let dependents = self.dependents();
        let mut containers = Vec::new();
        for container in self.base.containers().filter_map(Value::as_object) {
            let name = container.get("name").and_then(Value::as_str).unwrap_or_default();
            if name == self.worker.name {
                containers.extend((1..=n.0).map(|index| self.clone_of(container, index, n)));
            } else {
                let mut sidecar = self.sidecar(container, n);
                // A clone that does not start must not take its siblings with it through those that
                // can then not start either.
                if self.is_watched(n) && dependents.contains(&name) {
                    sidecar.insert("essential".to_owned(), json!(false));
                }
                containers.push(Value::Object(sidecar));
            }
        }
        if self.is_watched(n) {
            containers.push(self.watcher(n));
        }
        containers
    }

    /// The `index`th of `n` clones.
    fn clone_of(&self, worker: &Map<String, Value>, index: u32, n: Containers) -> Value {
        let watched = self.is_watched(n);
        let is_left_out = |member: &str| match member {
            // The timeout would stop a task whose clone still works when it expires.
            "startTimeout" => watched,
            "portMappings" => self.packing.drop_port_mappings,
            "environment" => Containers(1) < n,
            // One that is restarted never counts as stopped, so that its task would not end.
            "restartPolicy" | "name" | "essential" => true,
            _ => false,
        };
        let kept = worker.iter().filter(|(member, _)| !is_left_out(member));
        let mut clone: Map<_, _> = kept.map(|(m, value)| (m.clone(), value.clone())).collect();
        clone.insert("name".to_owned(), json!(clone_name(&self.worker.name, index)));
        if Containers(1) < n {
            clone.insert("environment".to_owned(), environment_with_index(worker, index, n));
        }
        clone.insert("essential".to_owned(), json!(!watched));
        if 1 < index {
            rename_port_mappings(&mut clone, index);
        }
        Value::Object(clone)
    }

    /// A sidecar that waits for the worker waits for every clone.
    fn sidecar(&self, sidecar: &Map<String, Value>, n: Containers) -> Map<String, Value> {
        let mut sidecar = sidecar.clone();
        if let Some(Value::Array(depends_on)) = sidecar.get_mut("dependsOn") {
            let on_worker = |d: &Value| {
                d.get("containerName").and_then(Value::as_str) == Some(&self.worker.name)
            };
            *depends_on = depends_on
                .iter()
                .flat_map(|dependency| {
                    let names = if on_worker(dependency) { self.names(n) } else { Vec::new() };
                    if names.is_empty() {
                        return vec![dependency.clone()];
                    }
                    let condition = dependency.get("condition").cloned().unwrap_or_default();
                    let on = |name| json!({"containerName": name, "condition": condition});
                    names.into_iter().map(on).collect()
                })
                .collect();
        }
        sidecar
    }

    /// One tiny essential container that ends with the last worker, and the task with it.
    fn watcher(&self, n: Containers) -> Value {
        let mut awaited = self.names(n);
        awaited.extend(self.waits_for_the_end().into_iter().map(str::to_owned));
        let image = match &self.packing.watcher {
            Watcher::Image(image) => image,
            Watcher::OfWorker => &self.worker.image,
        };
        let mut watcher = json!({
            "name": self.watcher_name(),
            "image": image,
            "essential": true,
            "cpu": 0,
            "stopTimeout": 2,
            "readonlyRootFilesystem": true,
            "entryPoint": ["sh", "-c"],
            "command": [*WATCHER_SCRIPT],
            "environment": [{"name": "WORKERS", "value": awaited.join(" ")}],
        });
        if let Some(fields) = watcher.as_object_mut() {
            // Without task-level memory every container must name its own. With it the watcher
            // lives on what rounding leaves, as one MiB must not double a task's price.
            if self.base.view.memory().is_none() {
                fields.insert("memoryReservation".to_owned(), json!(16));
                fields.insert("memory".to_owned(), json!(64));
            }
            if let Some(logs) = self.plain_logs() {
                fields.insert("logConfiguration".to_owned(), logs);
            }
            if self.packing.watcher == Watcher::OfWorker
                && let Some(credentials) = self.of_worker("repositoryCredentials")
            {
                fields.insert("repositoryCredentials".to_owned(), credentials.clone());
            }
        }
        watcher
    }

    /// Sidecars that wait for the worker, or for one that does, whatever for.
    pub fn dependents(&self) -> Vec<&str> {
        self.closure(Container::waits_for)
    }

    /// Sidecars that run after the worker, such as an upload of what it made: the task must not end
    /// before they have.
    pub fn waits_for_the_end(&self) -> Vec<&str> {
        self.closure(Container::waits_for_end_of)
    }

    /// Who waits for the worker, who waits for those, and so on.
    fn closure(&self, waits: fn(&Container, &str) -> bool) -> Vec<&str> {
        let containers = &self.base.view.container_definitions;
        let mut after = vec![self.worker.name.as_str()];
        loop {
            let is_new = |c: &&Container| {
                !after.contains(&c.name.as_str()) && after.iter().any(|awaited| waits(c, awaited))
            };
            let Some(next) = containers.iter().find(is_new) else { break };
            after.push(&next.name);
        }
        after.split_off(1)
    }

    /// The worker's log configuration for the watcher too, where no router is needed for it.
    fn plain_logs(&self) -> Option<Value> {
        let logs = self.of_worker("logConfiguration")?;
        (logs.get("logDriver")?.as_str()? == "awslogs").then(|| logs.clone())
    }

    /// A member of the worker container as it is in the base.
    fn of_worker(&self, member: &str) -> Option<&Value> {
        let all = self.base.document.get("containerDefinitions")?.as_array()?;
        let is_worker =
            |c: &&Value| c.get("name").and_then(Value::as_str) == Some(&self.worker.name);
        all.iter().find(is_worker)?.get(member).filter(|value| !value.is_null())
    }
}

/// What a watcher ends with that can't hear of its workers. Source: `watcher.sh`.
pub const WATCHER_GAVE_UP: i32 = 69;

/// The name of the watcher of a worker container.
pub fn watcher_name(container: &str) -> String {
    format!("{container}-watch")
}

/// The names of a worker container and its clones, the first being itself.
pub fn clone_names(container: &str, n: Containers) -> Vec<String> {
    (1..=n.0).map(|index| clone_name(container, index)).collect()
}

pub(super) fn clone_name(container: &str, index: u32) -> String {
    if index == 1 { container.to_owned() } else { format!("{container}-{index}") }
}

/// The worker's environment with its place among the clones.
fn environment_with_index(worker: &Map<String, Value>, index: u32, n: Containers) -> Value {
    let place = tags::OF_CLONES.into_iter().zip([index.to_string(), n.to_string()]);
    let is_place = |variable: &&Value| {
        let name = variable.get("name").and_then(Value::as_str);
        name.is_some_and(|name| tags::OF_CLONES.contains(&name))
    };
    let own = worker.get("environment").and_then(Value::as_array).into_iter().flatten();
    let own = own.filter(|variable| !is_place(variable)).cloned();
    let added = place.map(|(name, value)| json!({"name": name, "value": value}));
    own.chain(added).collect()
}

/// The names of port mappings are unique in a definition.
fn rename_port_mappings(clone: &mut Map<String, Value>, index: u32) {
    let mappings = clone.get_mut("portMappings").and_then(Value::as_array_mut);
    for mapping in mappings.into_iter().flatten().filter_map(Value::as_object_mut) {
        if let Some(name) = mapping.get("name").and_then(Value::as_str) {
            let name = format!("{name}-{index}");
            mapping.insert("name".to_owned(), json!(name));
        }
    }
}
