//! Instances that are about to go away, and the lifecycle hooks that hold them.

mod hooks;
mod trips;

use decision::event::Mode;
use ecs_queue_scaler::report::{NoticeOutcome, NoticeReport};
use ecs_queue_scaler::run::{Ran, RunError, Scaler};
use lambda_runtime::Diagnostic;
use serde_json::{Value, json};

use crate::events::payload;
use crate::tick::{config, invocation, scaler, tick, worker};
use crate::world::{Fault, World};

const SPOT: &str = "events/spot-interruption.json";
const REBALANCE: &str = "events/rebalance.json";
const TERMINATE: &str = "events/lifecycle-terminate.json";

/// The instance of the files in `events/`.
const INSTANCE: &str = "i-1234567890abcdef0";

/// Two workers on instances; what is drained takes the tasks of `a` along, if anything does.
fn workers() -> Value {
    let one = json!({"maxContainersPerTask": 1});
    let mut workers =
        ["a", "b"].map(|name| worker(name, &json!({"messagesPerContainer": 1}), &one));
    workers[1]["onDrain"] = json!("leave");
    let mut config = config(&workers);
    config["launch"] = json!({"launchType": "EC2"});
    config
}

/// The instance with two tasks of `a` and one of `b` on it; gives its ARN too.
async fn world_with_tasks() -> (World, String) {
    let world = World::default();
    world.cluster("jobs");
    let arn = world.instance("jobs", json!({"ec2InstanceId": INSTANCE}));
    for (name, messages) in [("a", 2), ("b", 1)] {
        world.queue(name).visible(messages);
        let container = json!({"name": "worker", "image": "i", "cpu": 256, "memory": 512});
        world.register(&json!({
            "family": name, "networkMode": "bridge", "containerDefinitions": [container],
        }));
    }
    let _ = tick(&scaler(&world, &workers()), &world, 0).await;
    assert_eq!(world.tasks_on(&arn).len(), 3);
    world.all_run();
    world.take_calls();
    (world, arn)
}

/// A world that has seen every call for an instance that goes away.
pub(crate) async fn all_that_a_termination_takes() -> World {
    let (world, _) = world_with_tasks().await;
    world.hook("jobs", "drain-workers", INSTANCE);
    let mut config = workers();
    config["draining"] = json!({"onDrain": "stopTasks", "lifecycleHook": "drain-workers"});
    for name in ["a", "b"] {
        world.queue(name).visible(0);
    }
    let _ = notice(&world, &config, TERMINATE).await;
    let _ = tick(&scaler(&world, &config), &world, 1).await;
    world.all_stop();
    let _ = tick(&scaler(&world, &config), &world, 6).await;
    world
}

async fn try_notice(
    function: &Scaler,
    world: &World,
    payload: &Value,
) -> Result<NoticeReport, RunError> {
    match function.run(payload, &invocation(world), |_| ()).await? {
        Ran::Notice(report) => Ok(*report),
        other @ Ran::Tick(_) => panic!("{other:?}"),
    }
}

/// What a new process makes of an event.
async fn notice(world: &World, config: &Value, file: &str) -> NoticeReport {
    try_notice(&scaler(world, config), world, &payload(file)).await.unwrap()
}

async fn failure(world: &World, config: &Value, file: &str) -> String {
    let error = try_notice(&scaler(world, config), world, &payload(file)).await.unwrap_err();
    let Diagnostic { error_type, error_message } = error.into();
    assert_eq!(error_type, "DrainingFailed");
    error_message
}

fn status(world: &World, arn: &str) -> String {
    world.described_instance(arn)["status"].as_str().unwrap().to_owned()
}

/// Tasks there and tasks told to end, by worker.
fn of_workers(report: &NoticeReport) -> Vec<(&str, usize, usize)> {
    let each = report.workers.iter();
    each.map(|of| (of.worker.as_str(), of.tasks.len(), of.stopped)).collect()
}

fn operations(world: &World) -> Vec<String> {
    world.take_calls().into_iter().map(|call| call.operation).collect()
}

fn denied() -> Fault {
    Fault::Error(403, "AccessDeniedException", "not allowed".to_owned())
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_goes_is_drained_first_and_then_looked_at() {
    for (file, event) in [
        (SPOT, "spotInterruption"),
        (REBALANCE, "rebalanceRecommendation"),
        (TERMINATE, "lifecycleTermination"),
    ] {
        let (world, arn) = world_with_tasks().await;
        let report = notice(&world, &workers(), file).await;
        assert_eq!(json!(report)["event"], event);
        assert_eq!(
            (report.outcome, status(&world, &arn).as_str()),
            (NoticeOutcome::Drained, "DRAINING")
        );
        assert_eq!(of_workers(&report), [("a", 2, 0), ("b", 1, 0)]);
        assert_eq!(world.changes(), 1, "and nothing else is changed");
        let calls = [
            "ListContainerInstances",
            "DescribeContainerInstances",
            "UpdateContainerInstancesState",
            "ListTasks",
            "ListTasks",
            "DescribeTasks",
        ];
        assert_eq!(operations(&world), calls, "{file}");
        assert_eq!(world.tasks_on(&arn).len(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn the_result_of_a_notice_has_the_documented_shape() {
    let (world, _) = world_with_tasks().await;
    let mut config = workers();
    config["draining"] = json!({"onDrain": "stopTasks"});
    let mut report = json!(notice(&world, &config, TERMINATE).await);
    report["version"] = json!("0.0.0");
    insta::assert_snapshot!(serde_json::to_string_pretty(&report).unwrap());
}

#[tokio::test(start_paused = true)]
async fn only_workers_that_want_it_are_told_and_never_for_a_recommendation() {
    for (file, told) in [(SPOT, 2), (TERMINATE, 2), (REBALANCE, 0)] {
        let (world, arn) = world_with_tasks().await;
        let mut config = workers();
        config["draining"] = json!({"onDrain": "stopTasks"});
        let report = notice(&world, &config, file).await;
        assert_eq!(of_workers(&report), [("a", 2, told), ("b", 1, 0)], "{file}");
        let left = world.tasks_on(&arn).into_iter().filter(|task| task["group"] == "worker:a");
        assert_eq!(left.count(), 2 - told);
        assert_eq!(world.count("StopTask"), told);
        for call in world.take_calls().iter().filter(|call| call.operation == "StopTask") {
            let reason = call.input["reason"].as_str().unwrap();
            assert!(reason.starts_with("scaler: ") && reason.contains(INSTANCE), "{reason}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_in_none_of_our_clusters_is_ignored_with_a_reason() {
    let (world, arn) = world_with_tasks().await;
    world.cluster("others");
    world.instance("others", json!({"ec2InstanceId": "i-0aaaaaaaaaaaaaaaa"}));
    let mut event = payload(SPOT);
    event["detail"]["instance-id"] = json!("i-0aaaaaaaaaaaaaaaa");
    let report = try_notice(&scaler(&world, &workers()), &world, &event).await.unwrap();
    assert_eq!(report.outcome, NoticeOutcome::Ignored);
    let why = "i-0aaaaaaaaaaaaaaaa is not a container instance of the cluster `jobs`, or no longer";
    assert_eq!(report.why.as_deref(), Some(why));

    world.vanish(&arn);
    let mut config = workers();
    config["workers"][1]["cluster"] = json!("others");
    let report = notice(&world, &config, SPOT).await;
    assert_eq!(report.outcome, NoticeOutcome::Ignored);
    assert!(report.why.unwrap().contains("of the clusters `jobs`, `others`, or no longer"));
    assert_eq!(world.changes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_repeated_notice_and_one_that_comes_late_do_no_harm() {
    let (world, arn) = world_with_tasks().await;
    let mut config = workers();
    config["draining"] = json!({"onDrain": "stopTasks"});
    let first = notice(&world, &config, SPOT).await;
    assert_eq!((first.outcome, world.changes()), (NoticeOutcome::Drained, 3));
    let again = notice(&world, &config, SPOT).await;
    assert_eq!((again.outcome, world.changes()), (NoticeOutcome::AlreadyDraining, 3));
    assert_eq!(of_workers(&again), [("b", 1, 0)]);
    world.vanish(&arn);
    let mut late = payload(SPOT);
    late["time"] = json!("2026-11-19T21:00:00Z");
    let late = try_notice(&scaler(&world, &config), &world, &late).await.unwrap();
    assert_eq!((late.outcome, world.changes()), (NoticeOutcome::Ignored, 3));
}

/// Its agent has lost its memory: the machine is there twice, and the old one may be ACTIVE.
#[tokio::test(start_paused = true)]
async fn an_instance_that_has_registered_anew_is_drained_wherever_it_is() {
    let (world, old) = world_with_tasks().await;
    world.change_instance(&old, json!({"agentConnected": false}));
    let new = world.instance("jobs", json!({"ec2InstanceId": INSTANCE}));
    let mut config = workers();
    let arn = "arn:aws:ecs:eu-central-1:123456789012:cluster/jobs";
    config["workers"][1]["cluster"] = json!(arn);
    let report = notice(&world, &config, SPOT).await;
    let drained: Vec<_> =
        report.container_instances.iter().map(|place| place.container_instance.as_str()).collect();
    assert_eq!(drained, [&old, &new], "and once each, though the cluster has two names");
    assert_eq!([&old, &new].map(|arn| status(&world, arn)), ["DRAINING", "DRAINING"]);
    assert_eq!(of_workers(&report), [("a", 2, 0), ("b", 1, 0)]);
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_cannot_be_drained_is_told_by_its_status() {
    let (world, arn) = world_with_tasks().await;
    world.change_instance(&arn, json!({"status": "DEREGISTERING"}));
    let report = notice(&world, &workers(), SPOT).await;
    assert_eq!(report.outcome, NoticeOutcome::Ignored);
    let why = report.container_instances[0].why.as_deref();
    assert_eq!(why, Some("it is DEREGISTERING, and takes no tasks"));
    world.change_instance(&arn, json!({"status": "REGISTERING"}));
    let message = failure(&world, &workers(), SPOT).await;
    assert!(message.contains("is REGISTERING and cannot be drained before"), "{message}");
    assert_eq!(world.changes(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_vanishes_while_it_is_drained_is_no_error() {
    let (world, arn) = world_with_tasks().await;
    let gone = json!({"containerInstances": [], "failures": [{"arn": arn, "reason": "INACTIVE"}]});
    world.fail("UpdateContainerInstancesState", 1, Fault::Answer(gone));
    let report = notice(&world, &workers(), SPOT).await;
    assert_eq!(report.outcome, NoticeOutcome::Ignored);
    assert_eq!(report.container_instances[0].why.as_deref(), Some("it is gone (INACTIVE)"));
    assert_eq!(world.count("ListTasks"), 0);
}

#[tokio::test(start_paused = true)]
async fn trouble_that_passes_keeps_no_instance_from_being_drained() {
    let throttled = || Fault::Error(400, "ThrottlingException", "Rate exceeded".to_owned());
    for (operation, fault) in [
        ("ListContainerInstances", throttled()),
        ("DescribeContainerInstances", Fault::LostAnswer),
        ("UpdateContainerInstancesState", throttled()),
        ("UpdateContainerInstancesState", Fault::LostAnswer),
        ("ListTasks", throttled()),
        ("StopTask", throttled()),
        ("StopTask", Fault::LostAnswer),
    ] {
        let (world, arn) = world_with_tasks().await;
        let mut config = workers();
        config["draining"] = json!({"onDrain": "stopTasks"});
        world.fail(operation, 1, fault);
        let report = notice(&world, &config, SPOT).await;
        assert_eq!(of_workers(&report), [("a", 2, 2), ("b", 1, 0)], "{operation}");
        assert_eq!(status(&world, &arn), "DRAINING");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_denied_fails_the_invocation_after_all_was_tried() {
    let mut messages = Vec::new();
    for (operation, drained, stopped) in [
        ("UpdateContainerInstancesState", "ACTIVE", 2),
        ("ListTasks", "DRAINING", 0),
        ("StopTask", "DRAINING", 1),
    ] {
        let (world, arn) = world_with_tasks().await;
        let mut config = workers();
        config["draining"] = json!({"onDrain": "stopTasks"});
        world.fail(operation, 1, denied());
        messages.push(failure(&world, &config, SPOT).await);
        assert_eq!(status(&world, &arn), drained, "{operation}");
        assert_eq!(world.tasks_on(&arn).len(), 3 - stopped, "{operation}");
    }
    let mut messages = messages.join("\n");
    for task in world_with_tasks().await.0.tasks() {
        messages = messages.replace(task["taskArn"].as_str().unwrap(), "TASK");
    }
    insta::assert_snapshot!(messages);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_cannot_be_read_keeps_no_other_from_being_looked_at() {
    let (world, arn) = world_with_tasks().await;
    world.cluster("others");
    let mut config = workers();
    config["workers"][1]["cluster"] = json!("others");
    world.fail_where("ListContainerInstances", "others", (1, denied()));
    let message = failure(&world, &config, SPOT).await;
    assert!(
        message.contains("ListContainerInstances of i-1234567890abcdef0 in others"),
        "{message}"
    );
    assert_eq!(status(&world, &arn), "DRAINING");
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_tells_what_it_would_drain_and_changes_nothing() {
    let (world, arn) = world_with_tasks().await;
    let mut config = workers();
    config["draining"] = json!({"onDrain": "stopTasks", "lifecycleHook": "drain-workers"});
    let dry = || Scaler { mode: Mode::DryRun, ..scaler(&world, &config) };
    let report = try_notice(&dry(), &world, &payload(TERMINATE)).await.unwrap();
    assert_eq!((report.outcome, report.dry_run), (NoticeOutcome::Planned, true));
    assert_eq!(of_workers(&report), [("a", 2, 0), ("b", 1, 0)]);
    let would_stop: Vec<_> = report.workers.iter().map(|of| of.would_stop).collect();
    assert_eq!(would_stop, [2, 0]);
    let hook = report.hook.unwrap();
    assert!(!hook.watched && hook.why.unwrap().contains("otherwise the ticks would answer it"));
    assert_eq!((status(&world, &arn).as_str(), world.changes()), ("ACTIVE", 0));
    let reads = [
        "ListContainerInstances",
        "DescribeContainerInstances",
        "ListTasks",
        "ListTasks",
        "DescribeTasks",
    ];
    assert_eq!(operations(&world), reads, "it looks twice, as it does when it acts in between");

    let _ = notice(&world, &config, TERMINATE).await;
    let report = try_notice(&dry(), &world, &payload(TERMINATE)).await.unwrap();
    assert_eq!(report.outcome, NoticeOutcome::AlreadyDraining);
    assert_eq!(of_workers(&report), [("b", 1, 0)], "the others were stopped");
}

#[tokio::test(start_paused = true)]
async fn a_test_of_auto_scaling_is_ignored() {
    let (world, _) = world_with_tasks().await;
    let test = json!({"Event": "autoscaling:TEST_NOTIFICATION", "Service": "AWS Auto Scaling"});
    let report = try_notice(&scaler(&world, &workers()), &world, &test).await.unwrap();
    assert_eq!((report.outcome, report.instance), (NoticeOutcome::Ignored, None));
    assert_eq!(operations(&world), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_notice_becomes_metrics_where_they_are_wanted() {
    let (world, _) = world_with_tasks().await;
    let mut config = workers();
    config["draining"] = json!({"onDrain": "stopTasks"});
    let report = notice(&world, &config, SPOT).await;
    let line = report.metrics().unwrap();
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([["Scaler"]]));
    let values = ["Notices", "InstancesDrained", "TasksStopped", "NoticesFailed"];
    assert_eq!(values.map(|name| line[name].as_u64().unwrap()), [1, 1, 2, 0]);
    config["metrics"] = json!("off");
    let (world, _) = world_with_tasks().await;
    assert_eq!(notice(&world, &config, SPOT).await.metrics(), None);
}
