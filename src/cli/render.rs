//! `render`: the task definition that is derived for so many worker containers.

use decision::config::Worker;
use decision::definition::TaskDefinition;
use decision::units::Containers;
use decision::variant::{Obstacle, Recipe};
use serde_json::{Map, Value, json};

use super::difference::{SHOWN, is_ours};

/// What stands where a value is not shown.
const MASK: &str = "***";

/// Why there is nothing to render.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RenderError {
    /// The definition, or the number.
    #[error(transparent)]
    Obstacle(#[from] Obstacle),
    /// The operator's own is run.
    #[error("a task of one container runs `{0}` as it is: nothing is derived from it")]
    Base(String),
    /// A file is no task definition.
    #[error("it is no task definition: {0}")]
    NoDefinition(String),
}

/// What `RegisterTaskDefinition` takes for tasks of so many worker containers, with the values of what may
/// be secret or without.
///
/// # Errors
/// What of the definition stands in the way, or that it is run as it is.
pub fn render(
    worker: &Worker,
    base: &TaskDefinition,
    containers: Containers,
    reveal: bool,
) -> Result<Value, RenderError> {
    let recipe = Recipe::new(base, worker.into())?;
    if !recipe.is_derived(containers) {
        return Err(RenderError::Base(base.arn.family_and_revision().to_owned()));
    }
    let document = recipe.variant(containers)?.document;
    Ok(if reveal { document } else { masked(document) })
}

/// A base definition in a file: what `DescribeTaskDefinition` answers, or what `RegisterTaskDefinition`
/// takes.
///
/// # Errors
/// Where it is neither.
pub fn base_in(text: &str) -> Result<TaskDefinition, RenderError> {
    let wrong = |why: String| RenderError::NoDefinition(why);
    // As some editors write it.
    let text = text.trim_start_matches('\u{feff}');
    let answer: Value = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
    let described = answer.get("taskDefinition");
    let mut document = described.unwrap_or(&answer).clone();
    let tags = answer.get("tags").cloned().unwrap_or(Value::Null);
    let Some(members) = document.as_object_mut() else {
        return Err(wrong("it is not a JSON object".to_owned()));
    };
    if !members.contains_key("taskDefinitionArn") {
        let Some(family) = members.get("family").and_then(Value::as_str) else {
            return Err(wrong("it has no `family`".to_owned()));
        };
        // One that was never registered has no revision.
        let arn = format!("arn:aws:ecs:us-east-1:000000000000:task-definition/{family}:0");
        members.insert("taskDefinitionArn".to_owned(), json!(arn));
        members.remove("tags");
    }
    TaskDefinition::parse(&document, &tags).map_err(wrong)
}

/// The same without the texts of fields that are not known to be names or settings. Below those, and in maps
/// whose keys are the operator's, nothing is.
fn masked(document: Value) -> Value {
    let Value::Object(members) = document else { return masked_whole(document) };
    let masked = members.into_iter().map(|(name, value)| {
        let value = match (name.as_str(), value) {
            ("containerDefinitions", Value::Array(list)) => {
                list.into_iter().map(container).collect()
            }
            ("tags", value) => entries(value, "key"),
            (name, value) => shown_or_masked(name, value),
        };
        (name, value)
    });
    Value::Object(masked.collect())
}

fn container(container: Value) -> Value {
    let Value::Object(members) = container else { return masked_whole(container) };
    let masked = members.into_iter().map(|(name, value)| {
        let value = match (name.as_str(), value) {
            ("environment" | "secrets", value) => entries(value, "name"),
            ("logConfiguration", Value::Object(log)) => {
                let log = log.into_iter().map(|(name, value)| {
                    let value = if name == "logDriver" { value } else { masked_whole(value) };
                    (name, value)
                });
                Value::Object(log.collect())
            }
            (name, value) => shown_or_masked(name, value),
        };
        (name, value)
    });
    Value::Object(masked.collect())
}

fn shown_or_masked(name: &str, value: Value) -> Value {
    if SHOWN.contains(&name) || matches!(name, "family" | "name") {
        value
    } else {
        masked_whole(value)
    }
}

/// A list whose entries have names: the values of our own are shown.
fn entries(list: Value, key: &str) -> Value {
    let Value::Array(list) = list else { return masked_whole(list) };
    let masked = list.into_iter().map(|entry| {
        let Value::Object(members) = entry else { return masked_whole(entry) };
        let name = members.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let masked = members.into_iter().map(|(member, value)| {
            let is_shown = member == key || is_ours(&name);
            let value = if is_shown { value } else { masked_whole(value) };
            (member, value)
        });
        Value::Object(masked.collect::<Map<_, _>>())
    });
    masked.collect()
}

/// No text of it.
fn masked_whole(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members.into_iter().map(|(name, value)| (name, masked_whole(value))).collect(),
        ),
        Value::Array(list) => list.into_iter().map(masked_whole).collect(),
        Value::String(_) => json!(MASK),
        other => other,
    }
}
