//! Two task definitions, compared by what they mean: containers and variables by their names. What may be
//! a secret has no value here: values of variables, secrets, commands, and whatever is younger than the
//! list below.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use decision::redaction::cut;
use decision::{limits, tags, variant};

use crate::report::is_default;

/// The fields whose values are sizes, names and settings.
pub(super) const SHOWN: [&str; 33] = [
    "appProtocol",
    "condition",
    "containerName",
    "cpu",
    "dependsOn",
    "disableNetworking",
    "enableFaultInjection",
    "ephemeralStorage",
    "essential",
    "executionRoleArn",
    "image",
    "initProcessEnabled",
    "interactive",
    "ipcMode",
    "memory",
    "memoryReservation",
    "mountPoints",
    "networkMode",
    "pidMode",
    "portMappings",
    "privileged",
    "pseudoTerminal",
    "readonlyRootFilesystem",
    "requiresCompatibilities",
    "resourceRequirements",
    "restartPolicy",
    "runtimePlatform",
    "startTimeout",
    "stopTimeout",
    "taskRoleArn",
    "ulimits",
    "versionConsistency",
    "volumesFrom",
];

/// What of a task is compared on its own, or is another's, beside what only answers have.
const APART: [&str; 3] = ["containerDefinitions", "family", "tags"];

/// A longer value is no setting that a person compares, in bytes.
const LONGEST: usize = 80;

/// Whether something is on one side only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// It was not there before.
    Added,
    /// It is not there any more.
    Removed,
    /// It is on both sides, and differs.
    Changed,
}

/// What differs between two definitions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// Fields of the task.
    pub task: Vec<Field>,
    /// Containers, in the order in which they stand.
    pub containers: Vec<ContainerDifference>,
}

/// What differs between two containers of one name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContainerDifference {
    /// Its name.
    pub name: String,
    /// Whether it is on one side only.
    pub kind: Kind,
    /// What one that we add is for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub role: Option<Role>,
    /// Fields of it; of one that is on one side only, its image and what else a person looks for.
    pub fields: Vec<Field>,
    /// Values of variables that are not shown.
    #[serde(skip_serializing_if = "is_default", default)]
    pub values_hidden: usize,
    /// Secrets, whose sources are not shown.
    #[serde(skip_serializing_if = "is_default", default)]
    pub secrets_hidden: usize,
}

/// What a container that we add is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// As the worker container.
    Clone,
    /// Ends the task with its last worker container.
    Watcher,
}

/// A field that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Field {
    /// Its name; of a variable, `environment NAME`.
    pub name: String,
    /// Whether it is on one side only.
    pub kind: Kind,
    /// What it was; absent where it was not there or is not shown.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub before: Option<String>,
    /// What it is; absent where it is not there or is not shown.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub after: Option<String>,
}

/// What differs between two definitions, as ECS describes or takes them. `worker` is the container that is
/// cloned.
pub fn difference(
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    worker: &str,
) -> Difference {
    let (old, new) = (Containers::of(before), Containers::of(after));
    let mut seen = BTreeSet::new();
    let names = new.0.iter().chain(&old.0).map(|(name, _)| *name);
    let names: Vec<_> = names.filter(|name| seen.insert(*name)).collect();
    let containers = names.into_iter().filter_map(|name| {
        let role = Role::of(name, worker);
        ContainerDifference::of(name, role, old.get(name), new.get(name))
    });
    let is_apart = |name: &str| APART.contains(&name) || variant::READ_ONLY.contains(&name);
    let task = fields(before, after, is_apart);
    Difference { task, containers: containers.collect() }
}

/// The containers of a definition, by name.
struct Containers<'a>(Vec<(&'a str, &'a Map<String, Value>)>);

impl<'a> Containers<'a> {
    fn of(definition: &'a Map<String, Value>) -> Self {
        let all = definition.get("containerDefinitions").and_then(Value::as_array);
        let all = all.into_iter().flatten().filter_map(Value::as_object);
        Self(all.filter_map(|container| Some((text(container, "name")?, container))).collect())
    }

    fn get(&self, name: &str) -> Option<&'a Map<String, Value>> {
        self.0.iter().find(|(other, _)| *other == name).map(|(_, container)| *container)
    }
}

impl Role {
    fn of(name: &str, worker: &str) -> Option<Self> {
        let most = limits::CONTAINERS_PER_TASK;
        if name == variant::watcher_name(worker) {
            return Some(Self::Watcher);
        }
        let is_clone = variant::clone_names(worker, most).iter().skip(1).any(|clone| clone == name);
        is_clone.then_some(Self::Clone)
    }
}

impl ContainerDifference {
    fn of(
        name: &str,
        role: Option<Role>,
        before: Option<&Map<String, Value>>,
        after: Option<&Map<String, Value>>,
    ) -> Option<Self> {
        let nothing = Map::new();
        let (kind, mut found) = match (before, after) {
            (Some(before), Some(after)) => {
                let apart = ["name", "environment", "secrets"];
                (Kind::Changed, fields(before, after, |name| apart.contains(&name)))
            }
            (Some(there), None) => (Kind::Removed, one_sided(there, Kind::Removed)),
            (None, Some(there)) => (Kind::Added, one_sided(there, Kind::Added)),
            (None, None) => return None,
        };
        let (before, after) = (before.unwrap_or(&nothing), after.unwrap_or(&nothing));
        if kind == Kind::Changed {
            found.extend(entries(before, after, "environment"));
            found.extend(entries(before, after, "secrets"));
        }
        let last = if after.is_empty() { before } else { after };
        let counted = |list| entries_of(last, list).filter(|(name, _)| !is_ours(name)).count();
        let (values_hidden, secrets_hidden) = (counted("environment"), counted("secrets"));
        let differs = kind != Kind::Changed || !found.is_empty();
        let name = name.to_owned();
        let all = Self { name, kind, role, fields: found, values_hidden, secrets_hidden };
        differs.then_some(all)
    }
}

/// What a person looks for in a container that is on one side only.
fn one_sided(container: &Map<String, Value>, kind: Kind) -> Vec<Field> {
    let named = ["image", "essential"].into_iter().filter_map(|name| {
        let value = container.get(name).map(shown)?;
        let (before, after) =
            if kind == Kind::Removed { (Some(value), None) } else { (None, Some(value)) };
        Some(Field { name: name.to_owned(), kind, before, after })
    });
    named.collect()
}

fn fields(
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    is_apart: impl Fn(&str) -> bool,
) -> Vec<Field> {
    let names: BTreeSet<_> = before.keys().chain(after.keys()).map(String::as_str).collect();
    let names = names.into_iter().filter(|name| !is_apart(name));
    names
        .filter_map(|name| field(name, before.get(name), after.get(name), SHOWN.contains(&name)))
        .collect()
}

/// `None` where both are the same, as far as ECS is concerned: it gives what is left out as empty.
fn field(
    name: &str,
    before: Option<&Value>,
    after: Option<&Value>,
    is_shown: bool,
) -> Option<Field> {
    let is_there = |value: &&Value| match value {
        Value::Null => false,
        Value::Array(list) => !list.is_empty(),
        _ => true,
    };
    let (before, after) = (before.filter(is_there), after.filter(is_there));
    let kind = match (before, after) {
        (before, after) if before == after => return None,
        (None, _) => Kind::Added,
        (_, None) => Kind::Removed,
        _ => Kind::Changed,
    };
    let show = |value: Option<&Value>| value.filter(|_| is_shown).map(shown);
    Some(Field { name: name.to_owned(), kind, before: show(before), after: show(after) })
}

/// A list whose entries have names: variables, secrets. Only the values of our own are shown.
fn entries(
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    list: &'static str,
) -> Vec<Field> {
    let side = |of| entries_of(of, list).collect::<BTreeMap<_, _>>();
    let (before, after) = (side(before), side(after));
    let names: BTreeSet<_> = before.keys().chain(after.keys()).copied().collect();
    let differing = names.into_iter().filter_map(|name| {
        let value = |of: &BTreeMap<&str, &Value>| of.get(name).copied().cloned();
        let (before, after) = (value(&before), value(&after));
        field(&format!("{list} {name}"), before.as_ref(), after.as_ref(), is_ours(name))
    });
    differing.collect()
}

fn entries_of<'a>(
    container: &'a Map<String, Value>,
    list: &str,
) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let all = container.get(list).and_then(Value::as_array).into_iter().flatten();
    all.filter_map(Value::as_object).filter_map(|entry| {
        let value = entry.get("value").or_else(|| entry.get("valueFrom"))?;
        Some((text(entry, "name")?, value))
    })
}

/// Whether a variable or a tag is one that we set ourselves.
pub(super) fn is_ours(name: &str) -> bool {
    tags::OF_CLONES.contains(&name) || name.starts_with(tags::PREFIX)
}

fn text<'a>(of: &'a Map<String, Value>, member: &str) -> Option<&'a str> {
    of.get(member)?.as_str()
}

/// A text as it is, all else as JSON, and no more of it than a person compares.
fn shown(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match cut(&text, LONGEST) {
        (text, 0) => text.to_owned(),
        (text, _) => format!("{text}..."),
    }
}

#[cfg(test)]
mod tests;
