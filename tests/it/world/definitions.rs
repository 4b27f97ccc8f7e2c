//! ECS: task definitions and their revisions.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{ACCOUNT, Answer, REGION, Refused, World, list, refuse, rules, text};

/// Families and their revisions, which are never reused.
#[derive(Debug, Default)]
pub(super) struct Definitions(BTreeMap<String, Vec<Revision>>);

#[derive(Clone, Debug)]
pub(super) struct Revision {
    /// As `DescribeTaskDefinition` tells it.
    pub(super) document: Value,
    pub(super) tags: Value,
    pub(super) active: bool,
}

impl World {
    /// Registers a definition by the same rules as a client's call, and gives its ARN.
    pub(crate) fn register(&self, definition: &Value) -> String {
        let answer = self.state().definitions.register(definition);
        let answer = answer.unwrap_or_else(|refused| panic!("{refused:?}: {definition}"));
        text(&answer["taskDefinition"], "taskDefinitionArn").to_owned()
    }

    /// As [`World::register`], for definitions that may be illegal.
    pub(crate) fn try_register(&self, definition: &Value) -> Result<(), String> {
        let answer = self.state().definitions.register(definition);
        answer.map(drop).map_err(|refused| refused.message)
    }

    /// The tags of a family's newest revision.
    pub(crate) fn tags(&self, family: &str) -> Value {
        self.state().definitions.find(family).unwrap().tags.clone()
    }

    pub(crate) fn deregister(&self, arn: &str) {
        self.state().definitions.deregister(&json!({"taskDefinition": arn})).unwrap();
    }

    /// The ACTIVE revisions of a family, as documents.
    pub(crate) fn active_revisions(&self, family: &str) -> Vec<Value> {
        let state = self.state();
        let revisions = state.definitions.0.get(family).into_iter().flatten();
        revisions.filter(|revision| revision.active).map(|r| r.document.clone()).collect()
    }

    /// How many ACTIVE revisions each derived family has.
    pub(crate) fn active_derived(&self) -> Vec<(String, usize)> {
        let families = self.families().into_iter().filter(|family| family.contains("--x"));
        let counted = families.map(|family| {
            let active = self.active_revisions(&family).len();
            (family, active)
        });
        counted.collect()
    }

    /// Families that have a revision.
    pub(crate) fn families(&self) -> Vec<String> {
        self.state().definitions.0.keys().cloned().collect()
    }
}

impl Definitions {
    /// A family's newest ACTIVE revision, or the one that is named, ACTIVE or not.
    pub(super) fn find(&self, name: &str) -> Option<&Revision> {
        let name = name.rsplit('/').next().unwrap_or(name);
        match name.split_once(':') {
            None => self.0.get(name)?.iter().rev().find(|revision| revision.active),
            Some((family, number)) => {
                let index = number.parse::<usize>().ok()?.checked_sub(1)?;
                self.0.get(family)?.get(index)
            }
        }
    }

    pub(super) fn describe(&self, input: &Value) -> Answer {
        let Some(revision) = self.find(text(input, "taskDefinition")) else {
            return refuse("ClientException", "Unable to describe task definition.");
        };
        let mut answer = json!({"taskDefinition": revision.document});
        if list(input, "include").contains(&json!("TAGS")) {
            answer["tags"] = revision.tags.clone();
        }
        Ok(answer)
    }

    fn of_status<'a>(&'a self, input: &'a Value) -> impl Iterator<Item = &'a Revision> {
        let status = input["status"].as_str().unwrap_or("ACTIVE");
        let revisions = self.0.values().flatten();
        revisions.filter(move |revision| text(&revision.document, "status") == status)
    }

    /// A page of two. Source: ECS API, `ListTaskDefinitionFamiliesRequest.status`: INACTIVE are those that have
    /// no ACTIVE revision.
    pub(super) fn list_families(&self, input: &Value) -> Value {
        let is_active = |revisions: &Vec<Revision>| {
            revisions.iter().any(|revision| text(&revision.document, "status") == "ACTIVE")
        };
        let of_status = self.0.iter().filter(|(_, revisions)| match input["status"].as_str() {
            Some("ACTIVE") => is_active(revisions),
            Some("INACTIVE") => !is_active(revisions),
            _ => true,
        });
        page("families", of_status.map(|(name, _)| json!(name)).collect(), input)
    }

    /// Source: ECS API, `ListTaskDefinitionsRequest.familyPrefix`: the full name of a family.
    pub(super) fn list_revisions(&self, input: &Value) -> Value {
        let family = text(input, "familyPrefix");
        let of_family = self.of_status(input).filter(|r| text(&r.document, "family") == family);
        page("taskDefinitionArns", of_family.map(|r| json!(r.arn())).collect(), input)
    }

    /// Source: ECS API, `DeleteTaskDefinitions`: INACTIVE ones, ten at most.
    pub(super) fn delete(&mut self, input: &Value) -> Answer {
        let names = list(input, "taskDefinitions").to_vec();
        if !(1..=10).contains(&names.len()) {
            return refuse("InvalidParameterException", "Maximum of 10 task definitions.");
        }
        let (mut deleted, mut failures) = (Vec::new(), Vec::new());
        for name in &names {
            let family = name.as_str().unwrap().rsplit('/').next().unwrap();
            let family = family.split(':').next().unwrap();
            let revisions = self.0.get_mut(family).into_iter().flatten();
            let found = revisions.filter(|r| json!(r.arn()) == *name).find(|r| !r.active);
            match found {
                Some(revision) => {
                    revision.document["status"] = json!("DELETE_IN_PROGRESS");
                    deleted.push(revision.document.clone());
                }
                None => failures.push(json!({"arn": name, "reason": "must be INACTIVE"})),
            }
        }
        Ok(json!({"taskDefinitions": deleted, "failures": failures}))
    }

    pub(super) fn register(&mut self, input: &Value) -> Answer {
        rules::check_definition(input)?;
        let family = text(input, "family").to_owned();
        let revisions = self.0.entry(family.clone()).or_default();
        let number = revisions.len() + 1;
        let document = described(input, &family, number);
        let tags = input.get("tags").cloned().unwrap_or_else(|| json!([]));
        revisions.push(Revision { document: document.clone(), tags: tags.clone(), active: true });
        Ok(json!({"taskDefinition": document, "tags": tags}))
    }

    pub(super) fn deregister(&mut self, input: &Value) -> Answer {
        let name = text(input, "taskDefinition");
        let found = self.find(name).map(|revision| text(&revision.document, "family").to_owned());
        let Some(family) = found else {
            return refuse("ClientException", "The specified task definition does not exist.");
        };
        let number = name.rsplit(':').next().and_then(|number| number.parse::<usize>().ok());
        let revisions = self.0.get_mut(&family).unwrap();
        let index = number.map_or(revisions.len() - 1, |number| number - 1);
        let revision = revisions.get_mut(index).unwrap();
        revision.active = false;
        revision.document["status"] = json!("INACTIVE");
        Ok(json!({"taskDefinition": revision.document}))
    }
}

fn page(member: &str, all: Vec<Value>, input: &Value) -> Value {
    let begin: usize = input["nextToken"].as_str().map_or(0, |token| token.parse().unwrap());
    let next = (begin + 2 < all.len()).then(|| (begin + 2).to_string());
    let page: Vec<_> = all.into_iter().skip(begin).take(2).collect();
    json!({member: page, "nextToken": next})
}

impl Revision {
    pub(super) fn arn(&self) -> &str {
        text(&self.document, "taskDefinitionArn")
    }

    /// One that may be run. Source: ECS API, `RunTaskRequest.taskDefinition`.
    pub(super) fn runnable(&self) -> Result<&Self, Refused> {
        if self.active { Ok(self) } else { refuse("ClientException", "TaskDefinition is inactive") }
    }
}

/// What ECS adds to what was registered: the members that only an answer has, and the defaults.
fn described(input: &Value, family: &str, number: usize) -> Value {
    let mut document = input.clone();
    let fields = document.as_object_mut().unwrap();
    fields.remove("tags");
    let arn = format!("arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/{family}:{number}");
    let added = json!({
        "taskDefinitionArn": arn, "revision": number, "status": "ACTIVE",
        "requiresAttributes": required_attributes(input),
        "compatibilities": rules::compatibilities(input),
        "registeredAt": 1_795_170_000.0,
        "registeredBy": format!("arn:aws:iam::{ACCOUNT}:user/test"),
    });
    fields.extend(added.as_object().unwrap().clone());
    for list in ["volumes", "placementConstraints"] {
        fields.entry(list).or_insert_with(|| json!([]));
    }
    let shares_network = ["awsvpc", "host"].contains(&text(input, "networkMode"));
    for container in document["containerDefinitions"].as_array_mut().unwrap() {
        describe_container(container.as_object_mut().unwrap(), shares_network);
    }
    document
}

/// Some of those that ECS derives. Source: ECS developer guide, "Task definition capabilities".
fn required_attributes(input: &Value) -> Value {
    let mut names = vec!["com.amazonaws.ecs.capability.docker-remote-api.1.18".to_owned()];
    let drivers = list(input, "containerDefinitions").iter().map(|container| {
        let driver = text(&container["logConfiguration"], "logDriver");
        format!("com.amazonaws.ecs.capability.logging-driver.{driver}")
    });
    names.extend(drivers.filter(|name| !name.ends_with('.')));
    if text(input, "networkMode") == "awsvpc" {
        names.push("ecs.capability.task-eni".to_owned());
    }
    if input.get("taskRoleArn").is_some() {
        names.push("com.amazonaws.ecs.capability.task-iam-role".to_owned());
    }
    names.dedup();
    names.into_iter().map(|name| json!({"name": name})).collect()
}

fn describe_container(container: &mut Map<String, Value>, shares_network: bool) {
    container.entry("cpu").or_insert(json!(0));
    container.entry("essential").or_insert(json!(true));
    for list in ["environment", "mountPoints", "portMappings", "systemControls", "volumesFrom"] {
        container.entry(list).or_insert_with(|| json!([]));
    }
    let mappings = container.get_mut("portMappings").and_then(Value::as_array_mut);
    for mapping in mappings.into_iter().flatten() {
        if shares_network {
            // Source: ECS API, `PortMapping.hostPort`.
            mapping["hostPort"] = mapping["containerPort"].clone();
        } else if mapping.get("hostPort").is_none() {
            mapping["hostPort"] = json!(0);
        }
    }
}
