use proptest::prelude::*;
use serde_json::json;

use super::*;

fn definition(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn base() -> Map<String, Value> {
    definition(&json!({
        "family": "a", "revision": 3, "cpu": "256", "volumes": [], "status": "ACTIVE",
        "containerDefinitions": [
            {"name": "worker", "image": "i:1", "command": ["hush-1"], "mountPoints": [],
             "environment": [{"name": "A", "value": "hush-2"}], "secrets": [{"name": "S", "valueFrom": "hush-3"}]},
            {"name": "sidecar", "image": "s:1"},
        ],
    }))
}

#[test]
fn what_ecs_adds_or_leaves_empty_is_no_difference() {
    let mut same = base();
    for member in ["revision", "status", "volumes"] {
        same.remove(member);
    }
    same["family"] = json!("a--x4");
    same["containerDefinitions"][0].as_object_mut().unwrap().remove("mountPoints");
    assert_eq!(difference(&base(), &same, "worker"), Difference::default());
}

#[test]
fn containers_and_variables_are_known_by_their_names() {
    let mut after = base();
    after["containerDefinitions"] = json!([
        {"name": "sidecar", "image": "s:1"},
        {"name": "worker", "image": "i:2", "command": ["hush-4"], "environment": [
            {"name": "WORKER_COUNT", "value": "2"}, {"name": "A", "value": "hush-5"}, {"name": "B", "value": "x"}]},
        {"name": "worker-2", "image": "i:2", "essential": false},
        {"name": "worker-watch", "image": "w"},
    ]);
    let found = difference(&base(), &after, "worker");
    assert_eq!(found.task, []);
    let [worker, clone, watcher] = found.containers.as_slice() else { panic!("{found:?}") };
    let fields: Vec<_> = worker
        .fields
        .iter()
        .map(|f| (f.name.as_str(), f.kind, f.before.as_deref(), f.after.as_deref()))
        .collect();
    assert_eq!(
        fields,
        [
            ("command", Kind::Changed, None, None),
            ("image", Kind::Changed, Some("i:1"), Some("i:2")),
            ("environment A", Kind::Changed, None, None),
            ("environment B", Kind::Added, None, None),
            ("environment WORKER_COUNT", Kind::Added, None, Some("2")),
            ("secrets S", Kind::Removed, None, None),
        ]
    );
    assert_eq!((worker.kind, worker.values_hidden, worker.secrets_hidden), (Kind::Changed, 2, 0));
    assert_eq!((clone.kind, clone.role), (Kind::Added, Some(Role::Clone)));
    assert_eq!((watcher.kind, watcher.role), (Kind::Added, Some(Role::Watcher)));
    let back = difference(&after, &base(), "worker");
    let kinds: Vec<_> = back.containers.iter().map(|c| (c.name.as_str(), c.kind)).collect();
    assert_eq!(
        kinds,
        [("worker", Kind::Changed), ("worker-2", Kind::Removed), ("worker-watch", Kind::Removed)]
    );
}

/// Whatever the field, also one that is younger than this program.
fn any_member() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "command",
            "entryPoint",
            "environment",
            "secrets",
            "dockerLabels",
            "healthCheck",
            "logConfiguration",
            "repositoryCredentials",
            "firelensConfiguration",
            "youngerThanUs",
            "systemControls",
            "hostname",
            "extraHosts",
            "user",
            "workingDirectory",
            "credentialSpecs",
        ])
        .prop_map(str::to_owned),
        "[a-z]{3,9}[A-Z][a-z]{2,5}",
    ]
}

fn any_value(text: &'static str) -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(text)),
        Just(json!([text])),
        Just(json!({"options": {"key": text}})),
        Just(json!([{"name": "N", "value": text}])),
        Just(json!([{"name": "N", "valueFrom": text}])),
        Just(json!([{"key": "N", "value": text}])),
    ]
}

proptest! {
    #[test]
    fn no_value_of_a_field_that_is_not_listed_is_shown(
        member in any_member(),
        before in any_value("hush-before"),
        after in any_value("hush-after"),
        on_task in any::<bool>(),
    ) {
        prop_assume!(!SHOWN.contains(&member.as_str()));
        let (mut old, mut new) = (base(), base());
        for (definition, value) in [(&mut old, before), (&mut new, after)] {
            if on_task {
                definition.insert(member.clone(), value);
            } else {
                definition["containerDefinitions"][0][&member] = value;
            }
        }
        let found = difference(&old, &new, "worker");
        let text = serde_json::to_string(&found).unwrap() + &format!("{found:?}");
        prop_assert!(!text.contains("hush"), "{}", text);
    }
}
