//! `render`: the task definition that is derived for so many worker containers.

use decision::config::Worker;
use decision::definition::TaskDefinition;
use decision::units::Containers;
use decision::variant::{Obstacle, Recipe};
use serde_json::{Map, Value, json};

use super::difference::{SHOWN, is_ours};

/// What stands where a value is not shown.
const MASK: &str = "***";

/// The fields whose texts are names, beside those that a difference shows.
const NAMES: [&str; 4] = ["family", "key", "logDriver", "name"];

/// Why there is nothing to render.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RenderError {
    /// The definition, or the number.
    #[error(transparent)]
    Obstacle(#[from] Obstacle),
    /// The operator's own is run.
    #[error(
        "a task of one container runs `{0}` as it is: nothing is derived from it; `aws ecs \
         describe-task-definition --task-definition {0}` shows it"
    )]
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

/// The same without the texts of fields that are not known to be names or settings.
fn masked(document: Value) -> Value {
    match document {
        Value::Object(members) => Value::Object(masked_members(members)),
        Value::Array(list) => Value::Array(list.into_iter().map(masked).collect()),
        Value::String(_) => json!(MASK),
        other => other,
    }
}

fn masked_members(members: Map<String, Value>) -> Map<String, Value> {
    let name = ["name", "key"].iter().find_map(|key| members.get(*key)).and_then(Value::as_str);
    let is_ours = name.is_some_and(is_ours);
    let masked = members.into_iter().map(|(name, value)| {
        let is_shown = SHOWN.contains(&name.as_str()) || NAMES.contains(&name.as_str());
        let is_shown = is_shown || (is_ours && name == "value");
        let value = if is_shown { value } else { masked(value) };
        (name, value)
    });
    masked.collect()
}
