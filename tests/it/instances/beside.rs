//! What `RunTask` and `StartTask` refuse of a task beside its definition, whoever asks.

use serde_json::{Value, json};

use super::{code, jobs};
use crate::tick::definition;

/// The code with which a `RunTask` of a family with these members is refused, if it is.
async fn run(family: &str, members: Value) -> Option<String> {
    let (world, ecs) = jobs();
    let mut tagged = super::definition("a", &json!({}));
    tagged["tags"] = tags(1);
    world.register(&tagged);
    let mut left = super::definition("left", &json!({}));
    left["volumes"] = json!([{"name": "scratch", "configuredAtLaunch": true}]);
    world.register(&left);
    world.register(&definition("fargate"));
    let call = ecs.run_task().cluster("jobs").task_definition(family);
    let answer = call.customize().mutate_request(move |request| {
        let body = request.body().bytes().unwrap();
        let mut input: Value = serde_json::from_slice(body).unwrap();
        input.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let body = input.to_string();
        request.headers_mut().insert("content-length", body.len().to_string());
        *request.body_mut() = body.into();
    });
    let answer = answer.send().await;
    if answer.is_ok() { None } else { Some(code(answer)) }
}

const ROLE: &str = "arn:aws:iam::123456789012:role/jobs/export";

fn volume(name: &str) -> Value {
    let ebs = json!({"roleArn": "arn:aws:iam::1:role/v", "sizeInGiB": 1});
    json!({"name": name, "managedEBSVolume": ebs})
}

fn tags(count: usize) -> Value {
    (0..count).map(|n| json!({"key": format!("key-{n}"), "value": "x"})).collect()
}

#[tokio::test(start_paused = true)]
async fn what_no_task_can_have_is_refused() {
    let client = || Some("ClientException".to_owned());
    let invalid = || Some("InvalidParameterException".to_owned());
    let of = |container: Value| json!({"overrides": {"containerOverrides": [container]}});
    let long = |length: usize| {
        let environment = json!([{"name": "A", "value": "x".repeat(length)}]);
        of(json!({"name": "worker", "environment": environment}))
    };
    let most = 8192 - long(0)["overrides"].to_string().len();
    for (expected, members) in [
        (None, json!({})),
        (None, long(most)),
        (invalid(), long(most + 1)),
        (invalid(), of(json!({"name": "worker-2"}))),
        (invalid(), of(json!({"name": "worker", "image": "i"}))),
        (client(), of(json!({"name": "worker", "cpu": "1"}))),
        (client(), of(json!({"name": "worker", "environment": [{"name": "A"}]}))),
        (client(), json!({"overrides": {"cpu": 512}})),
        (client(), json!({"overrides": {"taskRoleArn": "role"}})),
        (invalid(), json!({"overrides": {"networkMode": "host"}})),
        (invalid(), json!({"volumeConfigurations": [volume("data")]})),
        (invalid(), json!({"enableExecuteCommand": true})),
        (None, json!({"enableExecuteCommand": true, "overrides": {"taskRoleArn": ROLE}})),
        (None, json!({"tags": tags(50)})),
        (None, json!({"tags": tags(49), "propagateTags": "TASK_DEFINITION"})),
        (client(), json!({"tags": tags(50), "propagateTags": "TASK_DEFINITION"})),
    ] {
        assert_eq!(run("a", members.clone()).await, expected, "{members}");
    }
    for (expected, members) in [
        (invalid(), json!({})),
        (None, json!({"volumeConfigurations": [volume("scratch")]})),
        (invalid(), json!({"volumeConfigurations": [volume("other")]})),
        (client(), json!({"volumeConfigurations": [volume("scratch"), volume("scratch")]})),
        (client(), json!({"volumeConfigurations": [{"name": "scratch", "managedEBSVolume": {}}]})),
    ] {
        assert_eq!(run("left", members.clone()).await, expected, "{members}");
    }
    let network = json!({"awsvpcConfiguration": {"subnets": ["subnet-1"]}});
    for (expected, cpu) in [(None, "512"), (client(), "300")] {
        let members = json!({"launchType": "FARGATE", "networkConfiguration": network,
            "overrides": {"cpu": cpu, "memory": "1024"}});
        assert_eq!(run("fargate", members).await, expected, "{cpu}");
    }
}
