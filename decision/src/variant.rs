//! A task definition with its worker container cloned n times, and its digest. Pure.
//!
//! One worker container needs no variant: the base itself is run. For more, the worker is cloned,
//! what refers to it follows, the task grows by the worker's share and, with `completion: all`, a
//! watcher ends the task with its last worker.

mod obstacle;
mod size;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::config::{Completion, Packing};
use crate::definition::{Container, Tag, TaskDefinition};
use crate::units::{Containers, CpuUnits, Family, RevisionArn};
use crate::{limits, tags};

pub use obstacle::Obstacle;

/// The container that ends a task with its last worker.
const WATCHER_SCRIPT: &str = include_str!("variant/watcher.sh");

/// What `DescribeTaskDefinition` returns and `RegisterTaskDefinition` does not take.
/// Source: ECS API, the members of `TaskDefinition` that `RegisterTaskDefinitionRequest` lacks.
const READ_ONLY: [&str; 9] = [
    "taskDefinitionArn",
    "revision",
    "status",
    "requiresAttributes",
    "compatibilities",
    "registeredAt",
    "registeredBy",
    "deregisteredAt",
    "deleteRequestedAt",
];

/// A base definition and how its worker is to be cloned.
#[derive(Clone, Copy, Debug)]
pub struct Recipe<'a> {
    /// The definition that the operator named.
    pub base: &'a TaskDefinition,
    /// The container that is cloned.
    pub worker: &'a Container,
    /// When a task ends.
    completion: Completion,
    watcher_image: &'a str,
    max_task_cpu: CpuUnits,
}

/// A definition to find or to register.
#[derive(Clone, PartialEq)]
pub struct Variant {
    /// `<base family>--x<n>`.
    pub family: Family,
    /// What it is derived from.
    pub base: RevisionArn,
    /// Of the whole content.
    pub digest: String,
    /// What `RegisterTaskDefinition` takes, tags included.
    pub document: Value,
}

impl std::fmt::Debug for Variant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { family, base, digest, document: _ } = self;
        let mut shown = f.debug_struct("Variant");
        shown.field("family", family).field("base", base).field("digest", digest).finish()
    }
}

impl<'a> Recipe<'a> {
    /// Finds the worker container in the base and checks the base itself.
    ///
    /// # Errors
    /// When the container is not there, or several are and none is named, or the base cannot be
    /// run as it is.
    pub fn new(
        base: &'a TaskDefinition,
        container: Option<&str>,
        packing: &'a Packing,
    ) -> Result<Self, Obstacle> {
        let containers = &base.view.container_definitions;
        let names = || containers.iter().map(|c| c.name.clone()).collect();
        if !base.is_active() {
            return Err(Obstacle::Inactive { revision: base.arn.clone() });
        }
        let worker = match (container, containers.as_slice()) {
            (Some(name), _) => containers.iter().find(|c| c.name == name).ok_or_else(|| {
                Obstacle::NoSuchContainer { wanted: name.to_owned(), present: names() }
            })?,
            (None, [only]) => only,
            (None, _) => return Err(Obstacle::ContainerNotNamed { present: names() }),
        };
        let recipe = Self {
            base,
            worker,
            completion: packing.completion,
            watcher_image: &packing.watcher_image,
            max_task_cpu: packing.max_task_cpu,
        };
        recipe.check_base_size()?;
        Ok(recipe)
    }

    /// The most worker containers that a task of this base may have. One, with the reason, when
    /// the worker cannot be cloned.
    pub fn most_containers(&self) -> (Containers, Option<Obstacle>) {
        if let Err(obstacle) = self.check_clonable() {
            return (Containers(1), Some(obstacle));
        }
        let room = limits::CONTAINERS_PER_TASK.minus(self.others()).0;
        let fits = |n: &u32| self.size(Containers(*n)).is_ok();
        match (2..=room).take_while(fits).last() {
            Some(most) => (Containers(most), None),
            None => (Containers(1), self.size(Containers(2)).err().or(Some(self.no_room()))),
        }
    }

    /// The worker container's name.
    pub fn container(&self) -> &'a str {
        &self.worker.name
    }

    /// The worker container's clones, by name, the first being itself.
    pub fn names(&self, n: Containers) -> Vec<String> {
        clone_names(&self.worker.name, n)
    }

    /// Renders the definition of `n` worker containers, at least two.
    ///
    /// # Errors
    /// What of the base stands in the way, by name.
    pub fn variant(&self, n: Containers) -> Result<Variant, Obstacle> {
        self.check_clonable()?;
        if limits::CONTAINERS_PER_TASK < n.plus(self.others()) {
            return Err(self.no_room());
        }
        let family = self.base.arn.family().variant(n);
        let replaced = |field: &str| field == "containerDefinitions" || READ_ONLY.contains(&field);
        let kept = self.base.document.iter().filter(|(field, _)| !replaced(field));
        let mut document: Map<_, _> = kept.map(|(f, value)| (f.clone(), value.clone())).collect();
        document.insert("family".to_owned(), json!(family));
        document.insert("containerDefinitions".to_owned(), Value::Array(self.containers(n)));
        let size = self.size(n)?;
        if let Some(cpu) = size.cpu {
            document.insert("cpu".to_owned(), json!(cpu.to_string()));
        }
        if let Some(memory) = size.memory {
            document.insert("memory".to_owned(), json!(memory.to_string()));
        }
        self.sign(family, document)
    }

    /// Adds the tags, the last of which is the digest of all the rest.
    fn sign(&self, family: Family, mut document: Map<String, Value>) -> Result<Variant, Obstacle> {
        let tag = |key: &str, value: &str| Tag { key: key.to_owned(), value: value.to_owned() };
        let is_ours = |tag: &Tag| [tags::DIGEST, tags::BASE_REVISION].contains(&tag.key.as_str());
        let mut tags: Vec<_> = self.base.tags.iter().filter(|t| !is_ours(t)).cloned().collect();
        let revision = self.base.arn.family_and_revision();
        let revision = revision.rsplit(':').next().unwrap_or_default();
        tags.push(tag(tags::BASE_REVISION, revision));
        if limits::TAGS <= tags.len() {
            return Err(Obstacle::TooManyTags { tags: self.base.tags.len() });
        }
        document.insert("tags".to_owned(), json!(tags));
        let mut document = Value::Object(document);
        // Equal for equal documents: objects are kept in the order of their keys.
        let unsigned = document.to_string();
        let digest = hex::encode(Sha256::digest(&unsigned));
        let signature = json!(tag(tags::DIGEST, &digest));
        let bytes = unsigned.len().saturating_add(signature.to_string().len()).saturating_add(1);
        if limits::DEFINITION_BYTES < bytes {
            return Err(Obstacle::TooLarge { bytes, most: limits::DEFINITION_BYTES });
        }
        if let Some(Value::Array(tags)) = document.get_mut("tags") {
            tags.push(signature);
        }
        let base = self.base.arn.clone();
        Ok(Variant { family, base, digest, document })
    }

    /// Containers of a variant that are no worker: sidecars and the watcher.
    fn others(&self) -> Containers {
        let sidecars =
            Containers::counted(self.base.view.container_definitions.len().saturating_sub(1));
        match self.completion {
            Completion::All => sidecars.plus(Containers(1)),
            Completion::Any => sidecars,
        }
    }

    /// The worker's clones where the worker stands, the sidecars where they stand, the watcher at the end.
    fn containers(&self, n: Containers) -> Vec<Value> {
        let all = self.base.document.get("containerDefinitions").and_then(Value::as_array);
        let mut containers = Vec::new();
        for container in all.into_iter().flatten().filter_map(Value::as_object) {
            if container.get("name").and_then(Value::as_str) == Some(&self.worker.name) {
                containers.extend((1..=n.0).map(|index| self.clone_of(container, index, n)));
            } else {
                containers.push(self.sidecar(container, n));
            }
        }
        if self.completion == Completion::All {
            containers.push(self.watcher(n));
        }
        containers
    }

    /// The `index`th of `n` clones.
    fn clone_of(&self, worker: &Map<String, Value>, index: u32, n: Containers) -> Value {
        let mut clone = worker.clone();
        clone.insert("name".to_owned(), json!(clone_name(&self.worker.name, index)));
        clone.insert("environment".to_owned(), environment_with_index(worker, index, n));
        if 1 < index {
            rename_port_mappings(&mut clone, index);
        }
        match self.completion {
            Completion::All => {
                clone.insert("essential".to_owned(), json!(false));
                // The timeout would stop a task whose clone still works when it expires, and a
                // clone that is restarted never counts as stopped, so that nothing would end.
                clone.remove("startTimeout");
                clone.remove("restartPolicy");
            }
            Completion::Any => {}
        }
        Value::Object(clone)
    }

    /// A sidecar that waits for the worker waits for every clone.
    fn sidecar(&self, sidecar: &Map<String, Value>, n: Containers) -> Value {
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
        Value::Object(sidecar)
    }

    /// The name of the watcher.
    pub fn watcher_name(&self) -> String {
        format!("{}-watch", self.worker.name)
    }

    /// One tiny essential container that ends with the last worker, and the task with it.
    fn watcher(&self, n: Containers) -> Value {
        let mut awaited = self.names(n);
        awaited.extend(self.followers());
        let mut watcher = json!({
            "name": self.watcher_name(),
            "image": self.watcher_image,
            "essential": true,
            "cpu": 0,
            "stopTimeout": 2,
            "readonlyRootFilesystem": true,
            "entryPoint": ["sh", "-c"],
            "command": [WATCHER_SCRIPT],
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
        }
        watcher
    }

    /// Sidecars that run after the workers, such as an upload of what they made: the task must
    /// not end before they have.
    fn followers(&self) -> Vec<String> {
        let mut after = vec![self.worker.name.as_str()];
        let waits = |container: &Container, after: &[&str]| {
            container.depends_on.iter().any(|dependency| {
                matches!(dependency.condition.as_str(), "COMPLETE" | "SUCCESS")
                    && after.contains(&dependency.container_name.as_str())
            })
        };
        loop {
            let containers = &self.base.view.container_definitions;
            let is_new = |c: &&Container| !after.contains(&c.name.as_str()) && waits(c, &after);
            let Some(next) = containers.iter().find(is_new) else { break };
            after.push(&next.name);
        }
        after.into_iter().skip(1).map(str::to_owned).collect()
    }

    /// The worker's log configuration for the watcher too, where no router is needed for it.
    fn plain_logs(&self) -> Option<Value> {
        let all = self.base.document.get("containerDefinitions")?.as_array()?;
        let is_worker =
            |c: &&Value| c.get("name").and_then(Value::as_str) == Some(&self.worker.name);
        let logs = all.iter().find(is_worker)?.get("logConfiguration")?;
        (logs.get("logDriver")?.as_str()? == "awslogs").then(|| logs.clone())
    }
}

/// The names of a worker container and its clones, the first being itself.
pub fn clone_names(container: &str, n: Containers) -> Vec<String> {
    (1..=n.0).map(|index| clone_name(container, index)).collect()
}

fn clone_name(container: &str, index: u32) -> String {
    if index == 1 { container.to_owned() } else { format!("{container}-{index}") }
}

/// The worker's environment with its number among the clones.
fn environment_with_index(worker: &Map<String, Value>, index: u32, n: Containers) -> Value {
    let numbers = [("WORKER_INDEX", index.to_string()), ("WORKER_COUNT", n.to_string())];
    let is_number = |variable: &&Value| {
        let name = variable.get("name").and_then(Value::as_str);
        numbers.iter().any(|(own, _)| Some(*own) == name)
    };
    let own = worker.get("environment").and_then(Value::as_array).into_iter().flatten();
    let own = own.filter(|variable| !is_number(variable)).cloned();
    let added = numbers.iter().map(|(name, value)| json!({"name": name, "value": value}));
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

#[cfg(test)]
mod tests;
