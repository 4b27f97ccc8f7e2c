//! What tasks have beside their definition, where our own scheduler places them.

use serde_json::{Value, json};

use super::{config, counts, deliver, instances, least_tasks, scaler, world_of};
use crate::world::World;

fn with(launch: &Value) -> Value {
    let mut document = config(&["a"], &least_tasks());
    document["launch"].as_object_mut().unwrap().extend(launch.as_object().unwrap().clone());
    document
}

/// The same member of every call that starts tasks.
fn sent(world: &World, member: &str) -> Vec<Value> {
    let calls = world.take_calls().into_iter();
    let starting = calls.filter(|call| ["RunTask", "StartTask"].contains(&call.operation.as_str()));
    starting.map(|call| call.input[member].clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn every_start_task_has_the_overrides_of_the_first_call() {
    let world = world_of(&["a"]);
    world.queue("a").visible(4);
    instances(&world, &[2, 2]);
    let environment = json!([{"name": "QUEUE", "value": "{queue.url} {tick}"}]);
    let container = json!({"name": "worker", "environment": environment});
    let config = with(&json!({"overrides": {"containerOverrides": [container]}}));
    let report = deliver(&scaler(&world, &config), &world, (0, "one")).await;
    assert_eq!(report.totals.launched_tasks.0, 4, "{report:?}");
    let value = "https://sqs.eu-central-1.amazonaws.com/123456789012/a 2026-11-20T21:00:00Z";
    let environment = json!([{"name": "QUEUE", "value": value}]);
    let expected = json!({"containerOverrides": [{"name": "worker", "environment": environment}]});
    let sent = sent(&world, "overrides");
    assert!(2 <= sent.len() && sent.iter().all(|sent| *sent == expected), "{sent:?}");
}

/// Seven of the fifty are the scaler's own here.
#[tokio::test(start_paused = true)]
async fn every_start_task_has_the_volume_and_the_tags() {
    let tag = |n| (format!("key-{n}"), json!("x"));
    let mut tags: Value = Value::Object((0..43).map(tag).collect());
    let world = world_of(&["a"]);
    let mut definition = super::definition("a");
    definition["volumes"] = json!([{"name": "scratch", "configuredAtLaunch": true}]);
    world.register(&definition);
    world.queue("a").visible(3);
    instances(&world, &[4]);
    let volume = json!({"roleArn": "arn:aws:iam::123456789012:role/v", "sizeInGiB": 10});
    let volumes = json!([{"name": "scratch", "managedEBSVolume": volume}]);
    let config = with(&json!({"volumeConfigurations": volumes, "tags": tags}));
    let report = deliver(&scaler(&world, &config), &world, (0, "one")).await;
    assert_eq!(report.totals.launched_tasks.0, 3, "{report:?}");
    let calls = world.take_calls().into_iter();
    let calls = calls.filter(|call| ["RunTask", "StartTask"].contains(&call.operation.as_str()));
    for call in calls {
        assert_eq!(call.input["volumeConfigurations"], volumes, "{}", call.operation);
        let tags = call.input["tags"].as_array().unwrap();
        assert!(tags.contains(&json!({"key": "key-42", "value": "x"})), "{tags:?}");
        assert_eq!(tags.len(), 50);
    }
    world.all_stop();
    tags["one-more"] = json!("x");
    let config = with(&json!({"volumeConfigurations": volumes, "tags": tags}));
    let report = deliver(&scaler(&world, &config), &world, (1, "two")).await;
    let told = report.workers[0].errors.join("; ");
    assert!(told.contains("51 tags, 7 of the scaler's own"), "{told}");
    assert_eq!(world.changes(), 0);
}

/// A definition of 512 units: an instance has room for two such tasks, and for one of twice that.
#[tokio::test(start_paused = true)]
async fn room_is_taken_by_the_size_that_is_launched() {
    let twice = json!([{"name": "worker", "cpu": 1024, "memory": 2048}]);
    for overrides in
        [json!({"cpu": 1024, "memory": "2048"}), json!({ "containerOverrides": twice })]
    {
        let world = world_of(&["a"]);
        world.queue("a").visible(4);
        let on = instances(&world, &[2, 3]);
        let report =
            deliver(&scaler(&world, &with(&json!({ "overrides": overrides }))), &world, (0, "one"))
                .await;
        assert_eq!(counts(&world, &on), [1, 1], "{report:?}");
        assert_eq!(sent(&world, "cluster").len(), 2, "no more is asked for than there is room");
    }
}
