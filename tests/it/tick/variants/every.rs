//! A definition with every member that ECS has, cloned: nothing of it is lost. The file is of botocore's
//! model, and a test holds it to that (`tests/local/test_model.py`): a member that AWS adds is in it.

use decision::config::Completion;
use decision::definition::TaskDefinition;
use decision::units::Containers;
use decision::variant::Recipe;
use serde_json::Value;

use super::{packing, settings};

/// What keeps this worker from being cloned, each on its own; by its path.
const IN_THE_WAY: [&str; 3] = [
    "/containerDefinitions/0/portMappings/0/hostPort",
    "/containerDefinitions/0/firelensConfiguration",
    "/runtimePlatform",
];

/// What a derived definition has of its own.
const OWN: [&str; 6] =
    ["containerDefinitions", "cpu", "ephemeralStorage", "family", "memory", "tags"];

/// What a clone has of its own. A `startTimeout` would stop a task whose clone still works when it expires:
/// where a watcher ends the task, clones have none. A port's name is one of a kind in a task.
const OWN_OF_CLONE: [&str; 7] = [
    "dependsOn",
    "environment",
    "essential",
    "name",
    "portMappings",
    "restartPolicy",
    "startTimeout",
];

fn every_member() -> Value {
    serde_json::from_str(include_str!("every_member.json")).unwrap()
}

fn without(mut definition: Value, path: &str) -> Value {
    let (of, member) = path.rsplit_once('/').unwrap();
    let of = definition.pointer_mut(of).and_then(Value::as_object_mut).unwrap();
    assert!(of.remove(member).is_some(), "{path} is not in the file");
    definition
}

fn cloned(definition: &Value) -> Result<Value, String> {
    let packing = packing(Completion::All);
    let mut described = definition.clone();
    described["taskDefinitionArn"] =
        "arn:aws:ecs:eu-central-1:123456789012:task-definition/family:1".into();
    described["status"] = "ACTIVE".into();
    let base = TaskDefinition::parse(&described, &definition["tags"]).unwrap();
    let recipe = Recipe::new(&base, settings("name", &packing)).map_err(|o| o.to_string())?;
    recipe.variant(Containers(2)).map(|variant| variant.document).map_err(|o| o.to_string())
}

/// Members of both that differ, but for these.
fn differing<'a>(a: &'a Value, b: &'a Value, but_for: &[&str]) -> Vec<&'a str> {
    let (a, b) = (a.as_object().unwrap(), b.as_object().unwrap());
    let members = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key)));
    let differing = members.filter(|key| a.get(*key) != b.get(*key));
    differing.map(String::as_str).filter(|key| !but_for.contains(key)).collect()
}

#[test]
fn nothing_of_a_definition_with_every_member_is_lost() {
    let base = IN_THE_WAY.iter().fold(every_member(), |base, path| without(base, path));
    let derived = cloned(&base).unwrap();
    assert_eq!(differing(&base, &derived, &OWN), [""; 0]);
    let [worker] = base["containerDefinitions"].as_array().unwrap().as_slice() else { panic!() };
    let containers = derived["containerDefinitions"].as_array().unwrap();
    let clones: Vec<_> = containers.iter().filter(|one| one["image"] == worker["image"]).collect();
    assert_eq!(clones.len(), 2, "{derived:#}");
    for clone in clones {
        assert_eq!(differing(worker, clone, &OWN_OF_CLONE), [""; 0]);
        let (port, of_base) = (&clone["portMappings"][0], &worker["portMappings"][0]);
        assert!(differing(of_base, port, &["name"]).is_empty(), "{port}");
        let environment = clone["environment"].as_array().unwrap();
        assert!(environment.contains(&worker["environment"][0]), "{environment:?}");
    }
    for tag in base["tags"].as_array().unwrap() {
        assert!(derived["tags"].as_array().unwrap().contains(tag));
    }
}

/// With one of them it is refused: the others are no reason.
#[test]
fn only_these_members_keep_it_from_being_cloned() {
    for path in IN_THE_WAY {
        let others = IN_THE_WAY.iter().filter(|other| **other != path);
        let base = others.fold(every_member(), |base, path| without(base, path));
        assert!(cloned(&base).is_err(), "{path}");
    }
}
