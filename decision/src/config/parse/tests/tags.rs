//! `launch.tags`.

use super::*;

fn with(tags: &Value) -> String {
    problems_of_worker(&json!({"launch": {"tags": tags}}))
}

#[test]
fn tags_of_tasks_are_held_to_what_ecs_takes_and_none_is_ours() {
    assert_eq!(with(&json!({"team": "search", "Stufe/ä:1": "a b@c", "empty": ""})), "");
    assert_eq!(with(&json!({})), "");
    let reported = [
        json!(["team"]),
        json!({"": "x"}),
        json!({"aws:team": "x"}),
        json!({"AWS:team": "x"}),
        json!({"team": "aWs:x"}),
        json!({"ecs-queue-scaler:worker": "x"}),
        json!({"a*b": "x"}),
        json!({"team": 4711}),
        json!({"team": "x".repeat(257)}),
        json!({"x".repeat(129): "x"}),
    ];
    insta::assert_snapshot!(reported.map(|tags| with(&tags)).join("\n"));
}

#[test]
fn a_workers_tags_replace_the_files_as_a_whole() {
    let own = worker(&json!({"launch": {"tags": {"app": "export"}}}));
    let document = json!({"launch": {"tags": {"team": "search"}}, "workers": [own]});
    let tags = Config::from_value(&document).unwrap().workers.remove(0).launch.tags;
    assert_eq!(tags, [("app".to_owned(), "export".to_owned())].into());
}
