//! Instances that drain and vanish, tasks that are stopped, and lifecycle hooks.

use std::time::Duration;

use aws_sdk_ecs::types::{ContainerInstanceStatus, DesiredStatus, Tag};
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use serde_json::json;

use super::start::start;
use super::{code, described, jobs, reasons, register};
use crate::world::buckets::Buckets;
use crate::world::{Fault, World};

#[tokio::test(start_paused = true)]
async fn draining_leaves_standalone_tasks_alone() {
    let (world, ecs) = jobs();
    register(&world, "a", &json!({}));
    let [one, gone] = [(), ()].map(|()| world.instance("jobs", json!({})));
    world.vanish(&gone);
    start(&ecs, "a", &[&one]).send().await.unwrap();
    let running = world.daemon("jobs", "log-agent", (&one, "RUNNING"));
    let pending = world.daemon("jobs", "metrics", (&one, "PENDING"));
    let update = |status, names: &[String]| {
        let call = ecs.update_container_instances_state().cluster("jobs").status(status);
        call.set_container_instances(Some(names.to_vec()))
    };
    let unknown = one.replace("0001", "0009");
    let names = [one.clone(), gone.clone(), unknown.clone()];
    let answer = update(ContainerInstanceStatus::Draining, &names).send().await.unwrap();
    assert_eq!(answer.container_instances()[0].status(), Some("DRAINING"));
    assert_eq!(
        reasons(answer.failures()),
        [(gone.as_str(), "INACTIVE"), (unknown.as_str(), "MISSING")]
    );
    assert_eq!(world.tasks().len(), 1);
    let there = world.tasks_on(&one);
    assert!(there.iter().any(|task| task["taskArn"] == running.as_str()));
    assert!(there.iter().all(|task| task["taskArn"] != pending.as_str()));
    update(ContainerInstanceStatus::Active, &names[..1]).send().await.unwrap();
    assert_eq!(described(&ecs, &one).await.status(), Some("ACTIVE"));
    assert_eq!(world.changes(), 3);

    let eleven: Vec<_> = (0..11).map(|n| n.to_string()).collect();
    let invalid = "InvalidParameterException";
    for names in [&eleven[..], &[]] {
        assert_eq!(code(update(ContainerInstanceStatus::Active, names).send().await), invalid);
    }
    let registering = update(ContainerInstanceStatus::Registering, &names[..1]);
    assert_eq!(code(registering.send().await), invalid);
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_vanishes_takes_its_tasks_along() {
    let (world, ecs) = jobs();
    register(&world, "a", &json!({}));
    let [gone, left] = [(), ()].map(|()| world.instance("jobs", json!({})));
    let started = start(&ecs, "a", &[&gone, &left]).send().await.unwrap();
    world.all_run();
    world.vanish(&gone);
    let listed = ecs.list_container_instances().cluster("jobs").send().await.unwrap();
    assert_eq!(listed.container_instance_arns(), [left.as_str()]);
    assert_eq!(described(&ecs, &gone).await.status(), Some("INACTIVE"));
    assert_eq!(world.tasks().len(), 1);
    let lost = started.tasks()[0].task_arn().unwrap();
    let lost = ecs.describe_tasks().cluster("jobs").tasks(lost).send().await.unwrap();
    assert_eq!(lost.tasks()[0].last_status(), Some("STOPPED"));
    let reason = lost.tasks()[0].stopped_reason().unwrap().to_owned();
    assert!(reason.starts_with("Host EC2 (instance i-"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_stopped_ends_and_loses_its_tags() {
    let (world, ecs) = jobs();
    register(&world, "a", &json!({}));
    let arn = world.instance("jobs", json!({}));
    let tag = Tag::builder().key("k").value("v").build();
    let started = start(&ecs, "a", &[&arn]).tags(tag).send().await.unwrap();
    let task = started.tasks()[0].task_arn().unwrap();
    let stop = || ecs.stop_task().cluster("jobs").task(task);
    assert_eq!(code(stop().reason("x".repeat(1025)).send().await), "InvalidParameterException");
    assert_eq!(code(stop().task("unknown").send().await), "InvalidParameterException");
    assert_eq!(code(stop().cluster("x").send().await), "ClusterNotFoundException");
    let stopped = stop().reason("drained").send().await.unwrap();
    let stopped = stopped.task().unwrap();
    assert_eq!(stopped.desired_status(), Some("STOPPED"));
    assert_eq!(stopped.last_status(), Some("STOPPED"));
    assert_eq!(stopped.stop_code().unwrap().as_str(), "UserInitiated");
    assert_eq!(stopped.stopped_reason(), Some("drained"));
    assert_eq!(stopped.tags(), []);
    assert_eq!(world.tasks_on(&arn).len(), 0);
    let again = stop().reason("again").send().await.unwrap();
    assert_eq!(again.task().unwrap().stopped_reason(), Some("drained"));
    let list = ecs.list_tasks().cluster("jobs").desired_status(DesiredStatus::Stopped);
    assert_eq!(list.send().await.unwrap().task_arns(), [task]);
}

#[tokio::test(start_paused = true)]
async fn an_instance_takes_tags() {
    let (world, ecs) = jobs();
    let arn = world.instance("jobs", json!({}));
    let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
    let call = |of: &str, tag: Tag| ecs.tag_resource().resource_arn(of).tags(tag).send();
    for value in ["1", "2"] {
        call(&arn, tag("k", value)).await.unwrap();
    }
    call(&arn, tag("other", "")).await.unwrap();
    let tags = json!([{"key": "k", "value": "2"}, {"key": "other", "value": ""}]);
    assert_eq!(world.described_instance(&arn)["tags"], tags);
    assert_eq!(code(call(&arn, tag("aws:k", "")).await), "ClientException");
    let unknown = arn.replace("0001", "0009");
    assert_eq!(code(call(&unknown, tag("k", "")).await), "InvalidParameterException");
}

/// What Auto Scaling answers to a form: the status and the text.
async fn scaling(world: &World, action: &str, rest: &str) -> (u16, String) {
    let form = "AutoScalingGroupName=jobs+%26+more&LifecycleHookName=drain";
    let body = format!("Action={action}&Version=2011-01-01&{form}&{rest}");
    let mut request = HttpRequest::new(body.into());
    request.set_method("POST").unwrap();
    request.set_uri("https://autoscaling.eu-central-1.amazonaws.com/").unwrap();
    let headers = request.headers_mut();
    headers.insert("content-type", "application/x-www-form-urlencoded");
    headers.insert(
        "authorization",
        "AWS4-HMAC-SHA256 Credential=test/20261120/eu-central-1/autoscaling/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date, Signature=0",
    );
    let answer = world.call(request).await.unwrap();
    let text = String::from_utf8(answer.body().bytes().unwrap().to_vec()).unwrap();
    (answer.status().as_u16(), text)
}

#[tokio::test(start_paused = true)]
async fn a_hook_is_open_until_it_is_completed() {
    let world = World::default();
    world.hook("jobs & more", "drain", "i-1");
    let heartbeat = "RecordLifecycleActionHeartbeat";
    let complete = "CompleteLifecycleAction";
    for _ in 0..2 {
        let (status, text) = scaling(&world, heartbeat, "InstanceId=i-1").await;
        assert_eq!(status, 200);
        assert!(text.starts_with("<RecordLifecycleActionHeartbeatResponse"), "{text}");
    }
    let (status, text) = scaling(&world, heartbeat, "InstanceId=i-2").await;
    assert_eq!(status, 400);
    assert!(text.contains("<Type>Sender</Type>"), "{text}");
    assert!(text.contains("<Code>ValidationError</Code>"), "{text}");
    let message = "No active Lifecycle Action found with instance ID i-2";
    assert!(text.contains(&format!("<Message>{message}</Message>")), "{text}");
    for rest in ["InstanceId=i-1", "InstanceId=i-1&LifecycleActionResult=MAYBE"] {
        assert_eq!(scaling(&world, complete, rest).await.0, 400, "{rest}");
    }
    let done = "InstanceId=i-1&LifecycleActionResult=CONTINUE";
    assert_eq!(world.hooks()[0].result, None);
    assert_eq!(scaling(&world, complete, done).await.0, 200);
    let hook = &world.hooks()[0];
    assert_eq!((hook.heartbeats, hook.result.as_deref()), (2, Some("CONTINUE")));
    assert_eq!(scaling(&world, complete, done).await.0, 400, "it is no longer open");
    assert_eq!(scaling(&world, heartbeat, "InstanceId=i-1").await.0, 400);
    assert_eq!(world.count(heartbeat) + world.count(complete), world.changes());

    world.fail(heartbeat, 1, Fault::Error(400, "ThrottlingException", "Rate exceeded".into()));
    let (_, text) = scaling(&world, heartbeat, "InstanceId=i-1").await;
    assert!(text.contains("<Code>Throttling</Code>"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_hook_ends_without_heartbeats_and_after_a_hundred_of_them() {
    let world = World::default();
    let minutes = |minutes: u64| Duration::from_mins(minutes);
    world.hook_with_timeout(("jobs & more", "drain"), "i-1", minutes(2));
    let heartbeat =
        async || scaling(&world, "RecordLifecycleActionHeartbeat", "InstanceId=i-1").await.0;
    for minute in 1..200 {
        world.reach(minutes(minute)).await;
        assert_eq!(heartbeat().await, 200, "{minute}");
    }
    assert_eq!(world.hooks()[0].result, None);
    world.reach(minutes(200)).await;
    assert_eq!(heartbeat().await, 400);
    assert_eq!(world.hooks()[0].result.as_deref(), Some("ABANDON"));

    world.hook("jobs & more", "drain", "i-1");
    world.reach(minutes(259)).await;
    assert_eq!(heartbeat().await, 200);
    world.reach(minutes(319)).await;
    assert_eq!(heartbeat().await, 400);
}

#[tokio::test(start_paused = true)]
async fn calls_about_instances_share_the_buckets_of_their_rows() {
    let (world, ecs) = jobs();
    register(&world, "a", &json!({}));
    let arn = world.instance("jobs", json!({}));
    world.state().buckets = Some(Buckets::new(0.0));
    let list = || ecs.list_container_instances().cluster("jobs").send();
    for _ in 0..50 {
        list().await.unwrap();
        described(&ecs, &arn).await;
    }
    assert_eq!(code(list().await), "ThrottlingException");
    let update = || {
        let call = ecs.update_container_instances_state().cluster("jobs");
        call.container_instances(&arn).status(ContainerInstanceStatus::Active).send()
    };
    for _ in 0..98 {
        update().await.unwrap();
    }
    let started = start(&ecs, "a", &[&arn]).send().await.unwrap();
    let task = started.tasks()[0].task_arn().unwrap();
    ecs.stop_task().cluster("jobs").task(task).send().await.unwrap();
    assert_eq!(code(update().await), "ThrottlingException");
    world.reach(Duration::from_secs(1)).await;
    list().await.unwrap();
    update().await.unwrap();
}
