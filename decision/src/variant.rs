//! A task definition with its worker container cloned n times, and its digest. Pure.
//!
//! One worker container needs no variant where the base ends with its worker: the base itself is run.
//! For more, the worker is cloned, what refers to it follows, the task grows by the worker's share and,
//! with `completion: all`, a watcher ends the task with its last worker.

mod caution;
mod containers;
mod obstacle;
mod single;
mod size;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::config::{Completion, Packing, Rung, Worker};
use crate::definition::{Container, Tag, TaskDefinition};
use crate::units::{Containers, Family, RevisionArn};
use crate::{limits, tags};

pub use caution::Caution;
pub use containers::{WATCHER_GAVE_UP, clone_names, watcher_name, watcher_script};
pub use obstacle::Obstacle;
pub(crate) use obstacle::list;
pub use single::Flaw;

/// What `DescribeTaskDefinition` returns and `RegisterTaskDefinition` does not take.
/// Source: ECS API, the members of `TaskDefinition` that `RegisterTaskDefinitionRequest` lacks.
pub const READ_ONLY: [&str; 9] = [
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

/// What of a worker's configuration decides about its definitions.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// The container that works; `None` where the definition has only one.
    pub container: Option<&'a str>,
    /// How containers become tasks.
    pub packing: &'a Packing,
    /// What the tasks may be launched on.
    pub rungs: &'a [Rung],
}

impl<'a> From<&'a Worker> for Settings<'a> {
    fn from(worker: &'a Worker) -> Self {
        Self {
            container: worker.container.as_deref(),
            packing: &worker.packing,
            rungs: &worker.launch.rungs,
        }
    }
}

/// A base definition and how its worker is to be cloned.
#[derive(Clone, Copy, Debug)]
pub struct Recipe<'a> {
    /// The definition that the operator named.
    pub base: &'a TaskDefinition,
    /// The container that is cloned.
    pub worker: &'a Container,
    packing: &'a Packing,
    rungs: &'a [Rung],
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

/// What `RegisterTaskDefinition` takes. Source: ECS API, `RegisterTaskDefinitionRequest`.
const REQUEST: [&str; 18] = [
    "family",
    "taskRoleArn",
    "executionRoleArn",
    "networkMode",
    "containerDefinitions",
    "volumes",
    "placementConstraints",
    "requiresCompatibilities",
    "cpu",
    "memory",
    "tags",
    "pidMode",
    "ipcMode",
    "proxyConfiguration",
    "inferenceAccelerators",
    "ephemeralStorage",
    "runtimePlatform",
    "enableFaultInjection",
];

impl Variant {
    /// The members that ECS's refusal names and that no request is known to have: what younger answers
    /// have as well.
    pub fn members_that_only_answers_have(&self, refusal: &str) -> Vec<String> {
        let is_of_members = ["unknown", "unexpected", "unrecognized"]
            .iter()
            .any(|word| refusal.to_lowercase().contains(word));
        if !is_of_members {
            return Vec::new();
        }
        let words: Vec<_> = refusal.split(|c: char| !c.is_ascii_alphanumeric()).collect();
        let members = self.document.as_object().into_iter().flat_map(Map::keys);
        let unknown = members.filter(|member| !REQUEST.contains(&member.as_str()));
        unknown.filter(|member| words.contains(&member.as_str())).cloned().collect()
    }

    /// The same without these members. Its digest stays: it is that of the base as it is.
    #[must_use]
    pub fn without(&self, members: &[String]) -> Self {
        let mut variant = self.clone();
        if let Some(document) = variant.document.as_object_mut() {
            document.retain(|member, _| !members.contains(member));
        }
        variant
    }
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
    pub fn new(base: &'a TaskDefinition, settings: Settings<'a>) -> Result<Self, Obstacle> {
        let Settings { container, packing, rungs } = settings;
        let containers = &base.view.container_definitions;
        let names = || containers.iter().map(|c| c.name.clone()).collect();
        if !base.is_active() {
            return Err(Obstacle::Inactive { revision: base.arn.clone() });
        }
        let worker = match (container, containers.as_slice()) {
            (_, []) => return Err(Obstacle::NoContainer),
            (Some(name), _) => containers.iter().find(|c| c.name == name).ok_or_else(|| {
                Obstacle::NoSuchContainer { wanted: name.to_owned(), present: names() }
            })?,
            (None, [only]) => only,
            (None, _) => return Err(Obstacle::ContainerNotNamed { present: names() }),
        };
        let recipe = Self { base, worker, packing, rungs };
        recipe.check_rungs()?;
        recipe.check_base_size()?;
        Ok(recipe)
    }

    /// The most worker containers that a task of this base may have, up to so many, and what keeps it
    /// from more, where that is the definition. One at least: the base may be run as it is.
    pub fn most_containers(&self, up_to: Containers) -> (Containers, Option<Obstacle>) {
        let mut most = Containers(1);
        if let Err(obstacle) = self.check_clonable() {
            return (most, Some(obstacle));
        }
        let largest = limits::CONTAINERS_PER_TASK.minus(self.others(Containers(2)));
        for n in (2..=largest.min(up_to).0).map(Containers) {
            match self.check(n) {
                Ok(()) => most = n,
                Err(obstacle) => return (most, Some(obstacle)),
            }
        }
        let others = self.others(Containers(2));
        let full = match most {
            _ if up_to <= most => None,
            Containers(1) => Some(self.no_room()),
            _ => Some(Obstacle::Full { others }),
        };
        (most, full)
    }

    /// Whether a variant of so many can be made, without making it where that is plain to see.
    fn check(&self, n: Containers) -> Result<(), Obstacle> {
        self.size(n)?;
        self.check_name(n)?;
        let may_be_too_large =
            limits::DEFINITION_BYTES.saturating_sub(MARGIN) < self.at_most_bytes(n);
        if may_be_too_large { self.variant(n).map(drop) } else { self.check_tags() }
    }

    /// The worker container's name.
    pub fn container(&self) -> &'a str {
        &self.worker.name
    }

    /// Whether tasks of so many worker containers run a definition of ours, and not the base.
    pub fn is_derived(&self, n: Containers) -> bool {
        Containers(1) < n || self.flaw().is_some()
    }

    /// Renders the definition of `n` worker containers.
    ///
    /// # Errors
    /// What of the base stands in the way, by name.
    pub fn variant(&self, n: Containers) -> Result<Variant, Obstacle> {
        if n == Containers(1) {
            self.check_single()?;
        } else {
            self.check_clonable()?;
        }
        if limits::CONTAINERS_PER_TASK < n.plus(self.others(n)) {
            return Err(self.no_room());
        }
        self.check_names(n)?;
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
        if let Some(storage) = size.storage {
            document.insert("ephemeralStorage".to_owned(), json!({"sizeInGiB": storage.0}));
        }
        self.sign(family, document)
    }

    /// Adds the tags, the last of which is the digest of all the rest.
    fn sign(&self, family: Family, mut document: Map<String, Value>) -> Result<Variant, Obstacle> {
        self.check_tags()?;
        let tag = |key: &str, value: &str| Tag { key: key.to_owned(), value: value.to_owned() };
        let mut tags: Vec<_> = self.tags_of_base().cloned().collect();
        let revision = self.base.arn.family_and_revision();
        let revision = revision.rsplit(':').next().unwrap_or_default();
        tags.push(tag(tags::BASE_REVISION, revision));
        document.insert("tags".to_owned(), json!(tags));
        let mut document = Value::Object(document);
        // Equal for equal documents: objects are kept in the order of their keys.
        let unsigned = document.to_string();
        let digest = hex::encode(Sha256::digest(&unsigned));
        let signature = json!(tag(tags::DIGEST, &digest));
        let bytes = unsigned.len().saturating_add(signature.to_string().len()).saturating_add(1);
        let most = limits::DEFINITION_BYTES.saturating_sub(MARGIN);
        if most < bytes {
            return Err(Obstacle::TooLarge { bytes, most });
        }
        if let Some(Value::Array(tags)) = document.get_mut("tags") {
            tags.push(signature);
        }
        let base = self.base.arn.clone();
        Ok(Variant { family, base, digest, document })
    }

    fn tags_of_base(&self) -> impl Iterator<Item = &'a Tag> {
        let is_ours = |tag: &&Tag| [tags::DIGEST, tags::BASE_REVISION].contains(&tag.key.as_str());
        self.base.tags.iter().filter(move |tag| !is_ours(tag))
    }

    fn check_tags(&self) -> Result<(), Obstacle> {
        // With our two.
        if self.tags_of_base().count().saturating_add(2) <= limits::TAGS {
            return Ok(());
        }
        Err(Obstacle::TooManyTags { tags: self.base.tags.len() })
    }

    /// More bytes than the variant of so many has: each clone is the worker and a longer name.
    fn at_most_bytes(&self, n: Containers) -> usize {
        let clones = usize::try_from(n.0).unwrap_or(usize::MAX);
        let longer = self.worker.name.len().saturating_mul(2).saturating_add(PLACE_BYTES);
        let clone = self.bytes_of_worker().saturating_add(longer);
        let base = self.base.bytes.saturating_add(WATCHER_BYTES);
        base.saturating_add(clone.saturating_mul(clones))
    }

    fn bytes_of_worker(&self) -> usize {
        let is_worker = |c: &&(String, usize)| c.0 == self.worker.name;
        self.base
            .container_bytes
            .iter()
            .find(is_worker)
            .map_or(self.base.bytes, |(_, bytes)| *bytes)
    }

    /// Containers of a variant that are no worker: sidecars and the watcher.
    fn others(&self, n: Containers) -> Containers {
        let sidecars =
            Containers::counted(self.base.view.container_definitions.len().saturating_sub(1));
        if self.is_watched(n) { sidecars.plus(Containers(1)) } else { sidecars }
    }

    /// Whether a watcher ends the tasks of so many. One worker that nobody waits for ends its task by
    /// itself.
    pub fn is_watched(&self, n: Containers) -> bool {
        if n == Containers(1) {
            return self.flaw().is_some() && !self.waits_for_the_end().is_empty();
        }
        self.packing.completion == Completion::All
    }
}

/// What is left free of a definition's bytes: whether AWS counts as we do is not documented.
const MARGIN: usize = 1024;

/// More than a clone's place among the others adds to it, and a sidecar's waiting for one more.
const PLACE_BYTES: usize = 512;

/// More than the watcher and our tags take, but for the names that it waits for.
const WATCHER_BYTES: usize = 8 * 1024;

#[cfg(test)]
mod tests;
