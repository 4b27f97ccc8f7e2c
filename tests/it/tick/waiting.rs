//! Messages that wait although more containers are owed for them: the result says why, in a word each.

use std::time::Duration;

use ecs_queue_scaler::report::{Report, WaitsFor, WorkerReport};
use ecs_queue_scaler::run::{Invocation, Scaler};
use serde_json::{Value, json};

use super::{config, only_worker, scaler, tick, ticked, worker, world_of};
use crate::world::{Fault, World};

/// A worker of one message a container and one container a task, with these settings beside.
fn one_worker(messages: u64, settings: &Value) -> (World, Value) {
    let world = world_of(&["thumbnail"]);
    world.queue("thumbnail").visible(messages);
    let mut scaling = json!({"messagesPerContainer": 1});
    scaling.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    let one_each = json!({"maxContainersPerTask": 1});
    (world, config(&[worker("thumbnail", &scaling, &one_each)]))
}

async fn first_tick((world, config): &(World, Value)) -> WorkerReport {
    only_worker(&tick(&scaler(world, config), world, 0).await).clone()
}

/// What is told, as words and as the last warning.
fn told(worker: &WorkerReport) -> (&[WaitsFor], &str) {
    (&worker.waits_for, worker.warnings.last().map_or("", String::as_str))
}

fn not_served(report: &Report) -> bool {
    report.metrics().iter().any(|line| line.contains(r#""WorkersNotServed":1"#))
}

fn refused(code: &'static str) -> Fault {
    Fault::Error(400, code, "no".to_owned())
}

#[tokio::test(start_paused = true)]
async fn where_all_that_is_owed_was_started_nothing_is_waited_for() {
    let (world, config) = one_worker(3, &json!({}));
    let function = scaler(&world, &config);
    for minute in 0..2 {
        let report = tick(&function, &world, minute).await;
        assert_eq!(told(only_worker(&report)), (&[][..], ""));
        assert!(!not_served(&report));
        let report = serde_json::to_value(&report).unwrap();
        assert_eq!(report["workers"][0].get("waitsFor"), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cap_of_the_worker_is_named() {
    for (settings, word) in [
        (json!({"maxContainers": 2}), WaitsFor::MaxContainers),
        (json!({"maxLaunchPerTick": 2}), WaitsFor::MaxLaunchPerTick),
    ] {
        assert_eq!(told(&first_tick(&one_worker(5, &settings)).await), (&[word][..], ""));
    }
    let (world, mut document) = one_worker(5, &json!({}));
    document["workers"][0]["packing"]["maxTasks"] = json!(2);
    assert_eq!(first_tick(&(world, document)).await.waits_for, [WaitsFor::MaxTasks]);
    let steps = json!({"steps": [{"depth": 1, "tasks": 5}]});
    let document = config(&[worker("thumbnail", &steps, &json!({"maxTasks": 2}))]);
    let world = one_worker(5, &json!({})).0;
    assert_eq!(first_tick(&(world, document)).await.waits_for, [WaitsFor::MaxTasks]);
}

#[tokio::test(start_paused = true)]
async fn a_cap_of_all_workers_is_named() {
    for (key, word) in [
        ("maxTasksPerTick", WaitsFor::MaxTasksPerTick),
        ("maxTasksPerHour", WaitsFor::MaxTasksPerHour),
    ] {
        let (world, mut document) = one_worker(5, &json!({}));
        document[key] = json!(2);
        assert_eq!(first_tick(&(world, document)).await.waits_for, [word]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_is_named_and_its_canary_serves_until_it_is_stuck() {
    let (world, config) = one_worker(5, &json!({"stuckAfter": "3m"}));
    let function = scaler(&world, &config);
    let _ = tick(&function, &world, 0).await;
    world.all_end("TaskFailedToStart", "CannotPullContainerError", None);
    for minute in 1..3 {
        let report = tick(&function, &world, minute).await;
        assert_eq!(told(only_worker(&report)), (&[WaitsFor::Canary][..], ""));
        assert!(!not_served(&report));
    }
}

/// A cap that would bind if the breaker were closed, or the brake let more through, is not reached.
#[tokio::test(start_paused = true)]
async fn a_cap_that_is_far_is_not_told_as_reached() {
    for settings in [json!({"maxContainers": 4}), json!({"maxLaunchPerTick": 4})] {
        let (world, config) = one_worker(9, &settings);
        let function = scaler(&world, &config);
        let reached = tick(&function, &world, 0).await;
        assert_eq!(only_worker(&reached).at_cap, Some(true));
        world.all_end("TaskFailedToStart", "CannotPullContainerError", None);
        let report = tick(&function, &world, 1).await;
        let worker = only_worker(&report);
        assert_eq!(told(worker), (&[WaitsFor::Canary][..], ""));
        assert_eq!(worker.at_cap, Some(false));
    }
    let both = json!({"maxContainers": 4, "maxLaunchPerTick": 2});
    assert_eq!(first_tick(&one_worker(9, &both)).await.waits_for, [WaitsFor::MaxLaunchPerTick]);
    let steps = json!({"steps": [{"depth": 1, "tasks": 5}], "maxContainers": 1});
    let document = config(&[worker("thumbnail", &steps, &json!({"maxTasks": 2}))]);
    let world = one_worker(9, &json!({})).0;
    assert_eq!(first_tick(&(world, document)).await.waits_for, [WaitsFor::MaxContainers]);
}

#[tokio::test(start_paused = true)]
async fn launches_that_moved_no_message_are_named_and_the_worker_is_not_served() {
    let (world, config) = one_worker(4, &json!({}));
    world.queue("thumbnail").visible(4).in_flight(1);
    let function = scaler(&world, &config);
    for minute in 0..2 {
        assert_eq!(told(only_worker(&tick(&function, &world, minute).await)).0, []);
        world.all_run();
        world.all_stop();
    }
    let report = tick(&function, &world, 2).await;
    assert_eq!(only_worker(&report).waits_for, [WaitsFor::Progress]);
    assert!(not_served(&report));
    insta::assert_snapshot!(told(only_worker(&report)).1);
}

#[tokio::test(start_paused = true)]
async fn a_read_that_failed_is_named_unless_the_queue_is_known_to_be_empty() {
    for operation in ["GetQueueAttributes", "ListTasks", "DescribeTaskDefinition"] {
        let (world, config) = one_worker(5, &json!({"minContainers": 1}));
        let function = scaler(&world, &config);
        world.fail(operation, 1, refused("AccessDeniedException"));
        let report = tick(&function, &world, 0).await;
        assert_eq!(only_worker(&report).waits_for, [WaitsFor::Read], "{operation}");
        // Of a queue that could not be read, nobody knows that a message waits.
        assert_eq!(not_served(&report), operation != "GetQueueAttributes", "{operation}");
        world.queue("thumbnail").visible(0);
        world.fail(operation, 1, refused("AccessDeniedException"));
        let empty = tick(&function, &world, 1).await;
        let unknown = operation == "GetQueueAttributes";
        assert_eq!(only_worker(&empty).waits_for.is_empty(), !unknown, "{operation}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_only_a_person_can_mend_is_named() {
    let (world, mut document) = one_worker(5, &json!({"messagesPerContainer": 0}));
    assert_eq!(
        told(&first_tick(&(world.clone(), document.clone())).await),
        (&[WaitsFor::Configuration][..], "")
    );
    document["workers"][0]["scaling"]["messagesPerContainer"] = json!(1);
    document["workers"][0]["container"] = json!("nothing");
    let report = tick(&scaler(&world, &document), &world, 0).await;
    assert_eq!(only_worker(&report).waits_for, [WaitsFor::Configuration]);
    assert!(not_served(&report));
    insta::assert_snapshot!(told(only_worker(&report)).1);
    for code in ["AccessDeniedException", "ClientException"] {
        let (world, config) = one_worker(5, &json!({}));
        world.fail("RunTask", 9, refused(code));
        assert_eq!(first_tick(&(world, config)).await.waits_for, [WaitsFor::Configuration]);
    }
}

#[tokio::test(start_paused = true)]
async fn capacity_that_is_missing_is_named_whoever_places() {
    for (placed, is_served) in [(2, true), (0, false)] {
        let (world, config) = one_worker(5, &json!({}));
        world.fail("RunTask", 1, Fault::Placed(placed, "RESOURCE:MEMORY"));
        let report = tick(&scaler(&world, &config), &world, 0).await;
        assert_eq!(only_worker(&report).waits_for, [WaitsFor::Capacity]);
        assert_eq!(not_served(&report), !is_served);
    }
    let (world, mut document) = one_worker(5, &json!({}));
    let mut definition = super::definition("thumbnail");
    definition["requiresCompatibilities"] = json!(["EC2"]);
    world.register(&definition);
    document["launch"]["launchType"] = json!("EC2");
    document["launch"]["placement"] = json!({"scheduler": "leastTasks"});
    assert_eq!(first_tick(&(world, document)).await.waits_for, [WaitsFor::Capacity]);
    // As some APIs tell a quota.
    let (world, config) = one_worker(5, &json!({}));
    let quota = "You've reached the limit on the number of vCPUs".to_owned();
    world.fail("RunTask", 9, Fault::Error(400, "ClientException", quota));
    assert_eq!(first_tick(&(world, config)).await.waits_for, [WaitsFor::Capacity]);
}

#[tokio::test(start_paused = true)]
async fn what_aws_turned_away_for_now_is_named() {
    let (world, config) = one_worker(5, &json!({}));
    world.fail("RunTask", 99, refused("ThrottlingException"));
    assert_eq!(first_tick(&(world, config)).await.waits_for, [WaitsFor::Throttling]);
}

#[tokio::test(start_paused = true)]
async fn what_a_call_without_an_answer_may_have_started_is_waited_for_until_it_is_forgotten() {
    let (world, config) = one_worker(5, &json!({}));
    let function = scaler(&world, &config);
    world.fail("RunTask", 3, Fault::Closed);
    world.fail("ListTasks", 9, Fault::Answer(json!({"taskArns": []})));
    for minute in 0..5 {
        let report = tick(&function, &world, minute).await;
        assert_eq!(only_worker(&report).waits_for, [WaitsFor::Answer], "{minute}");
    }
    let report = tick(&function, &world, 5).await;
    assert_eq!(told(only_worker(&report)), (&[][..], ""));
}

#[tokio::test(start_paused = true)]
async fn a_tick_whose_time_was_up_says_so() {
    let (world, config) = one_worker(5, &json!({}));
    world.takes("DescribeTaskDefinition", Duration::from_secs(4));
    let function = scaler(&world, &config);
    let soon = (world.now() + Duration::from_secs(8)).as_millisecond();
    let of = Invocation::new("request", world.now(), u64::try_from(soon).unwrap());
    let event = json!({"scheduledTime": "2026-11-20T21:00:00Z"});
    let report = ticked(&function, &event, &of).await;
    assert_eq!(only_worker(&report).waits_for, [WaitsFor::Time]);
}

#[tokio::test(start_paused = true)]
async fn another_delivery_of_the_tick_is_named() {
    let (world, config) = one_worker(5, &json!({}));
    let _ = tick(&scaler(&world, &config), &world, 0).await;
    world.queue("thumbnail").visible(9);
    let seen = tick(&scaler(&world, &config), &world, 0).await;
    assert_eq!(only_worker(&seen).waits_for, [WaitsFor::Delivery]);
    // One that does not see them hears of them by a conflict.
    world.fail("ListTasks", 1, Fault::Answer(json!({"taskArns": []})));
    let unseen = tick(&scaler(&world, &config), &world, 0).await;
    assert_eq!(only_worker(&unseen).waits_for, [WaitsFor::Delivery]);
}

#[tokio::test(start_paused = true)]
async fn stuck_tasks_serve_nobody() {
    let (world, config) = one_worker(2, &json!({"stuckAfter": "3m", "maxContainers": 2}));
    let function = scaler(&world, &config);
    let _ = tick(&function, &world, 0).await;
    assert!(!not_served(&tick(&function, &world, 2).await));
    let report = tick(&function, &world, 3).await;
    assert_eq!(only_worker(&report).waits_for, [WaitsFor::MaxContainers]);
    assert!(not_served(&report));
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_and_a_policy_that_asks_for_nothing_leave_nobody_unserved() {
    let (world, document) = one_worker(5, &json!({}));
    let function = Scaler { mode: decision::event::Mode::DryRun, ..scaler(&world, &document) };
    assert!(!not_served(&tick(&function, &world, 0).await));
    let steps = json!({"steps": [{"depth": 10, "containers": 1}]});
    let document = config(&[worker("thumbnail", &steps, &json!({}))]);
    let report = tick(&scaler(&world, &document), &world, 1).await;
    assert!(!not_served(&report), "five are fewer than the first step's ten");
    assert_eq!(told(only_worker(&report)), (&[][..], ""));
    let (world, document) = one_worker(1, &json!({}));
    world.fail("RunTask", 1, Fault::Placed(0, "AGENT"));
    assert!(not_served(&tick(&scaler(&world, &document), &world, 0).await));
}
