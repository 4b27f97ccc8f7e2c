//! `launch.overrides`: what is taken, and that no mistake tells a value.

use super::*;

fn with(overrides: &Value) -> Value {
    json!({"launch": {"overrides": overrides}, "packing": {"maxContainersPerTask": 1}})
}

fn of_container(members: &Value) -> Value {
    let mut container = json!({"name": "main"});
    container.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    with(&json!({"containerOverrides": [container]}))
}

#[test]
fn what_is_wrong_with_overrides_is_told_by_its_place() {
    let environment = |variables: Value| of_container(&json!({ "environment": variables }));
    let value = |value: &str| environment(json!([{"name": "A", "value": value}]));
    let cases = [
        with(&json!({"containerOverrides": [{"command": []}]})),
        with(&json!({"containerOverrides": [{"name": "a"}, {"name": "a"}]})),
        with(&json!({"cpu": 64, "memory": "1 GB", "ephemeralStorage": {"sizeInGiB": 20}})),
        with(&json!({"taskRoleArn": "export", "executionRoleArn": "arn:aws:iam::1:user/a"})),
        with(&json!({"inferenceAcceleratorOverrides": [], "tags": []})),
        value("{queue.ulr}"),
        value("{"),
        environment(json!([{"name": "A", "value": "1"}, {"name": "A", "value": "2"}])),
        environment(json!([{"name": "WORKER_INDEX", "value": "1"}])),
        of_container(
            &json!({"resourceRequirements": [], "environmentFiles": [{"value": "a.env"}]}),
        ),
    ];
    let reported = cases.map(|case| problems_of_worker(&case));
    insta::assert_snapshot!(reported.join("\n"));
}

/// Wherever it was put by mistake.
#[test]
fn no_mistake_in_overrides_tells_a_value() {
    let canary = "kanarie";
    let container = |members: Value| of_container(&members);
    let cases = [
        with(&json!(canary)),
        with(&json!({"containerOverrides": canary})),
        with(&json!({"containerOverrides": [canary]})),
        with(&json!({ "cpu": canary })),
        with(&json!({ "taskRoleArn": canary })),
        container(json!({ "name": "kanarie kanarie" })),
        container(json!({ "environment": canary })),
        container(json!({ "environment": [canary] })),
        container(json!({ "environment": [{"name": "A", "value": [canary]}] })),
        container(json!({ "environment": [{"name": "A", "value": "{\"a\": \"kanarie\"}"}] })),
        container(json!({ "environment": [{"name": "A", "value": "kanarie}"}] })),
        container(json!({ "command": canary })),
        container(json!({ "command": [["kanarie"]] })),
        container(json!({ "environmentFiles": [{"value": canary}] })),
    ];
    for case in cases {
        let reported = problems_of_worker(&case);
        assert!(!reported.is_empty() && !reported.contains(canary), "{case}: {reported}");
    }
    for (value, hint) in [
        ("4711", "put it in quotes"),
        ("!4711", "a text that begins with `!` has to be in quotes"),
        ("{4711.a}", "a text that begins with a brace has to be in quotes"),
    ] {
        let text = format!(
            "workers: [{{name: a, queue: a, taskDefinition: a, cluster: c, scaling: \
             {{messagesPerContainer: 1}}, launch: {{overrides: {{containerOverrides: [{{name: main, \
             environment: [{{name: A, value: {value}}}]}}]}}}}}}]"
        );
        let reported = Config::parse(&text).unwrap().refused[0].problems[0].to_string();
        assert!(reported.contains(hint) && !reported.contains("4711"), "{reported}");
    }
}

#[test]
fn debug_of_a_configuration_tells_no_value() {
    let document = json!({"workers": [worker(&of_container(&json!({"command": ["kanarie"],
        "environment": [{"name": "A", "value": "kanarie {tick}"}]})))]});
    let config = Config::from_value(&document).unwrap();
    assert_eq!(config.refused, []);
    assert!(!format!("{config:?}").contains("kanarie"));
}

#[test]
fn sizes_are_for_one_container_a_task() {
    for overrides in [
        json!({"cpu": 512}),
        json!({"memory": 1024}),
        json!({"ephemeralStorage": {"sizeInGiB": 30}}),
        json!({"containerOverrides": [{"name": "main", "memoryReservation": 100}]}),
    ] {
        let mut of_several = with(&overrides);
        assert_eq!(problems_of_worker(&of_several), "");
        of_several["packing"]["maxContainersPerTask"] = json!(2);
        let reported = problems_of_worker(&of_several);
        assert!(reported.contains("give packing.maxContainersPerTask: 1"), "{reported}");
    }
}

#[test]
fn a_workers_overrides_replace_the_files_as_a_whole() {
    let role = |name: &str| format!("arn:aws:iam::111122223333:role/{name}");
    let own = json!({"launch": {"overrides": {"executionRoleArn": role("own")}}});
    let file = json!({"overrides": {"taskRoleArn": role("file")}});
    let mut other = worker(&json!({}));
    (other["name"], other["queue"]) = (json!("other"), json!("other"));
    let document = json!({"launch": file, "workers": [worker(&own), other]});
    let config = Config::from_value(&document).unwrap();
    let roles: Vec<_> = config
        .workers
        .iter()
        .map(|worker| worker.launch.overrides.as_ref().unwrap())
        .map(|overrides| (overrides.task_role.clone(), overrides.execution_role.clone()))
        .collect();
    assert_eq!(roles, [(None, Some(role("own"))), (Some(role("file")), None)]);
}
