//! A launch goes on only while messages move, and a container is capacity only while it works or can be
//! expected to.

use std::time::Duration;

use decision::units::Containers;
use ecs_queue_scaler::report::{Outcome, Report, WaitsFor, WorkerReport};
use ecs_queue_scaler::run::Scaler;
use serde_json::{Value, json};

use super::{config, only_worker, scaler, tick, worker, world_of};
use crate::world::World;

fn one_each(scaling: &Value) -> (World, Value) {
    let world = world_of(&["thumbnail"]);
    let mut all = json!({"messagesPerContainer": 1, "maxContainers": 300});
    all.as_object_mut().unwrap().extend(scaling.as_object().unwrap().clone());
    let packing = json!({"maxContainersPerTask": 1, "maxTasks": 300});
    (world, config(&[worker("thumbnail", &all, &packing)]))
}

fn started(report: &Report) -> u32 {
    report.totals.launched_tasks.0
}

fn why(worker: &WorkerReport) -> &str {
    &worker.decision.as_ref().unwrap().why
}

#[tokio::test(start_paused = true)]
async fn launches_that_move_nothing_stop_with_a_redrive_policy_too() {
    let (world, config) = one_each(&json!({}));
    world.queue("thumbnail").visible(5);
    let function = scaler(&world, &config);
    let mut launched = Vec::new();
    for minute in 0..8 {
        let report = tick(&function, &world, minute).await;
        launched.push(started(&report));
        world.all_run();
        world.all_stop();
    }
    assert_eq!(launched, [5, 5, 1, 1, 1, 1, 1, 1]);
    let report = tick(&function, &world, 8).await;
    let told = "what moved since the last launches allows none, but one is tried = launch 1";
    assert!(why(only_worker(&report)).contains(told), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn new_messages_are_never_braked() {
    let (world, config) = one_each(&json!({}));
    let function = scaler(&world, &config);
    world.queue("thumbnail").visible(5);
    for minute in 0..5 {
        let _ = tick(&function, &world, minute).await;
        world.all_run();
        world.all_stop();
    }
    world.queue("thumbnail").visible(205);
    assert_eq!(started(&tick(&function, &world, 5).await), 205);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_for_an_hour_is_started_when_it_can_be() {
    let (world, config) = one_each(&json!({}));
    let function = scaler(&world, &config);
    world.queue("thumbnail").visible(100);
    world.fail("RunTask", 60, crate::world::Fault::Placed(0, "RESOURCE:CPU"));
    for minute in 0..60 {
        assert_eq!(started(&tick(&function, &world, minute).await), 0);
    }
    assert_eq!(started(&tick(&function, &world, 60).await), 100);
}

#[tokio::test(start_paused = true)]
async fn the_brake_can_be_turned_off() {
    let (world, config) = one_each(&json!({"progressBrake": false}));
    world.queue("thumbnail").visible(5);
    let function = scaler(&world, &config);
    for minute in 0..8 {
        assert_eq!(started(&tick(&function, &world, minute).await), 5);
        world.all_run();
        world.all_stop();
    }
}

#[tokio::test(start_paused = true)]
async fn a_container_that_holds_no_message_while_one_waits_is_no_capacity_after_minutes() {
    let (world, config) = one_each(&json!({}));
    world.queue("thumbnail").visible(1);
    let function = scaler(&world, &config);
    let _ = tick(&function, &world, 0).await;
    world.all_run();
    for minute in 1..7 {
        let report = tick(&function, &world, minute).await;
        let worker = only_worker(&report);
        // At one look it may just have begun, or be between two messages.
        let waits_for = if minute < 3 { vec![] } else { vec![WaitsFor::IdleAfter] };
        assert_eq!((worker.outcome, &worker.waits_for), (Outcome::Idle, &waits_for), "{minute}");
    }
    let report = tick(&function, &world, 7).await;
    let worker = only_worker(&report);
    assert_eq!((worker.alive.unwrap().idle, started(&report)), (Containers(1), 1));
    assert_eq!(worker.waits_for, []);
    assert!(worker.warnings[0].starts_with("1 container runs and takes no message"), "{worker:?}");
    let sum = "- 0 alive (1 container idle)";
    assert!(why(worker).contains(sum), "{worker:?}");
    assert_eq!(world.count("StopTask"), 0);
}

/// A worker with a container that was found idle in minute 7, when another one was started.
async fn with_an_idle_one(scaling: &Value) -> (World, Scaler) {
    let (world, config) = one_each(scaling);
    world.queue("thumbnail").visible(1);
    let function = scaler(&world, &config);
    for minute in 0..8 {
        let _ = tick(&function, &world, minute).await;
        world.all_run();
    }
    (world, function)
}

async fn idle_at(minute: u64, world: &World, function: &Scaler) -> u32 {
    only_worker(&tick(function, world, minute).await).alive.unwrap().idle.0
}

#[tokio::test(start_paused = true)]
async fn who_was_idle_stays_so_beside_a_launch_and_while_nothing_waits() {
    let (world, function) = with_an_idle_one(&json!({})).await;
    world.queue("thumbnail").visible(1).in_flight(1);
    let report = tick(&function, &world, 8).await;
    let idle = only_worker(&report).alive.unwrap().idle;
    assert_eq!((idle, started(&report)), (Containers(1), 1), "the second one works");
    world.all_run();
    world.queue("thumbnail").visible(0).in_flight(2);
    let _ = tick(&function, &world, 9).await;
    world.queue("thumbnail").visible(1).in_flight(2);
    assert_eq!(idle_at(10, &world, &function).await, 1);
    // All three hold a message: nobody is idle.
    world.queue("thumbnail").visible(1).in_flight(3);
    assert_eq!(idle_at(11, &world, &function).await, 0);
}

#[tokio::test(start_paused = true)]
async fn who_was_idle_and_alone_has_taken_the_message_that_is_gone() {
    for (alone, idle) in [(true, 0), (false, 1)] {
        let scaling = if alone { json!({"maxContainers": 1}) } else { json!({}) };
        let (world, function) = with_an_idle_one(&scaling).await;
        assert_eq!(idle_at(8, &world, &function).await, 1);
        world.queue("thumbnail").visible(0);
        let _ = tick(&function, &world, 9).await;
        world.queue("thumbnail").visible(1);
        assert_eq!(idle_at(10, &world, &function).await, idle);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_proved_an_hour_ago_has_to_be_proved_again() {
    let (world, function) = with_an_idle_one(&json!({})).await;
    world.queue("thumbnail").visible(0).in_flight(1);
    let _ = tick(&function, &world, 8).await;
    world.queue("thumbnail").visible(1).in_flight(1);
    assert_eq!(idle_at(69, &world, &function).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_schedule_of_ten_minutes_finds_who_is_idle_too() {
    let (world, config) = one_each(&json!({"maxContainers": 1}));
    world.queue("thumbnail").visible(1);
    let function = scaler(&world, &config);
    let mut idle = Vec::new();
    for look in 0..6 {
        idle.push(idle_at(10 * look, &world, &function).await);
        world.all_run();
    }
    assert_eq!(idle, [0, 0, 0, 0, 0, 1]);
}

/// Looks five minutes apart, each just after messages have come.
#[tokio::test(start_paused = true)]
async fn who_may_have_taken_what_is_gone_is_not_idle() {
    for (visible, idle) in [([3, 3, 3, 3, 3], 1), ([3, 4, 2, 1, 2], 0)] {
        let (world, config) = one_each(&json!({"maxContainers": 1}));
        world.queue("thumbnail").visible(1);
        let function = scaler(&world, &config);
        let _ = tick(&function, &world, 0).await;
        world.all_run();
        let mut last = 0;
        for (look, visible) in (1..).zip(visible) {
            world.queue("thumbnail").visible(visible);
            last = idle_at(5 * look, &world, &function).await;
        }
        assert_eq!(last, idle, "{visible:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn at_the_cap_an_idle_container_is_told_and_nothing_is_started() {
    let (world, config) = one_each(&json!({"maxContainers": 1}));
    world.queue("thumbnail").visible(1);
    let function = scaler(&world, &config);
    let _ = tick(&function, &world, 0).await;
    world.all_run();
    for minute in 1..7 {
        let _ = tick(&function, &world, minute).await;
    }
    for minute in 7..30 {
        let report = tick(&function, &world, minute).await;
        let worker = only_worker(&report);
        assert_eq!((worker.alive.unwrap().idle, started(&report)), (Containers(1), 0));
        assert_eq!(worker.at_cap, Some(true));
        let metrics = report.metrics().join("\n");
        assert!(metrics.contains("\"ContainersIdle\":1"), "{metrics}");
        assert!(metrics.contains("\"WorkersNotServed\":1"), "{metrics}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_works_or_has_just_begun_or_waits_for_nothing_is_not_idle() {
    let states = [
        // visible, in flight, idleAfter
        (1, 1, json!("5m"), "a job of two hours holds its message"),
        (0, 0, json!("5m"), "nothing waits"),
        (1, 0, json!("off"), "nobody is to be idle"),
    ];
    for (visible, in_flight, after, situation) in states {
        let (world, config) = one_each(&json!({"idleAfter": after, "minContainers": 1}));
        world.queue("thumbnail").visible(1);
        let function = scaler(&world, &config);
        let _ = tick(&function, &world, 0).await;
        world.all_run();
        world.queue("thumbnail").visible(visible).in_flight(in_flight);
        for minute in 1..30 {
            let report = tick(&function, &world, minute).await;
            let idle = only_worker(&report).alive.unwrap().idle;
            assert_eq!(idle, Containers(0), "{situation}, minute {minute}");
            if in_flight == 1 {
                world.queue("thumbnail").visible(1).in_flight(1);
            }
        }
    }
}

/// One message of a group at a time: what waits may be of the group that is worked on.
#[tokio::test(start_paused = true)]
async fn of_a_fifo_queue_nobody_is_idle_while_something_is_in_flight() {
    for (in_flight, idle) in [(1, 0), (0, 2)] {
        let (world, mut config) = one_each(&json!({"maxContainers": 2}));
        config["workers"][0]["queue"] = json!("thumbnail.fifo");
        world.queue("thumbnail.fifo").visible(2);
        let function = scaler(&world, &config);
        assert_eq!(started(&tick(&function, &world, 0).await), 2);
        world.all_run();
        world.queue("thumbnail.fifo").visible(2).in_flight(in_flight);
        for minute in 1..9 {
            let _ = tick(&function, &world, minute).await;
        }
        let report = tick(&function, &world, 9).await;
        assert_eq!(only_worker(&report).alive.unwrap().idle, Containers(idle));
    }
}

#[tokio::test(start_paused = true)]
async fn a_fifo_queue_whose_groups_nobody_has_told_begins_gently() {
    for (max, first) in [(None, 4), (Some(50), 50)] {
        let (world, mut config) = one_each(&json!({}));
        let scaling = config["workers"][0]["scaling"].as_object_mut().unwrap();
        match max {
            Some(max) => scaling.insert("maxContainers".to_owned(), json!(max)),
            None => scaling.remove("maxContainers"),
        };
        config["workers"][0]["queue"] = json!("thumbnail.fifo");
        world.queue("thumbnail.fifo").visible(100);
        let function = scaler(&world, &config);
        assert_eq!(started(&tick(&function, &world, 0).await), first);
    }
}

#[tokio::test(start_paused = true)]
async fn a_minimum_whose_containers_end_by_themselves_is_kept_less_and_less_often() {
    let (world, config) = one_each(&json!({"minContainers": 2}));
    let function = scaler(&world, &config);
    let mut launched = Vec::new();
    let mut warned = false;
    for minute in 0..60 {
        let report = tick(&function, &world, minute).await;
        if started(&report) != 0 {
            launched.push(minute);
        }
        warned |=
            only_worker(&report).warnings.iter().any(|w| w.contains("leave minContainers out"));
        world.all_run();
        world.all_stop();
    }
    assert_eq!((launched, warned), (vec![0, 2, 6, 14, 30, 46], true));
    // A message is answered at once.
    world.queue("thumbnail").visible(1);
    assert_eq!(started(&tick(&function, &world, 60).await), 2);
}

#[tokio::test(start_paused = true)]
async fn a_minimum_whose_containers_stay_is_kept_and_replaced_at_once() {
    let (world, config) = one_each(&json!({"minContainers": 2}));
    let function = scaler(&world, &config);
    assert_eq!(started(&tick(&function, &world, 0).await), 2);
    world.all_run();
    for minute in 1..20 {
        assert_eq!(started(&tick(&function, &world, minute).await), 0);
    }
    world.all_end("SpotInterruption", "", Some(143));
    assert_eq!(started(&tick(&function, &world, 20).await), 2);
}

#[tokio::test(start_paused = true)]
async fn containers_for_delayed_messages_that_end_too_early_are_started_less_often() {
    let (world, config) = one_each(&json!({"countDelayed": true}));
    world.queue("thumbnail").delayed(3);
    let function = scaler(&world, &config);
    let mut launched = 0;
    let mut warned = false;
    for minute in 0..15 {
        let report = tick(&function, &world, minute).await;
        launched += started(&report);
        warned |=
            only_worker(&report).warnings.iter().any(|w| w.contains("leave countDelayed out"));
        world.all_run();
        world.all_stop();
    }
    assert_eq!((launched, warned), (3 * 4, true), "after 0, 2, 6 and 14 minutes");
}

/// Ten tasks of one container each are a tenth of ten tasks of ten.
#[tokio::test(start_paused = true)]
async fn what_is_alive_counts_by_what_it_can_do_where_steps_count_tasks() {
    let (world, mut config) = one_each(&json!({}));
    let steps = json!({"steps": [{"depth": 1, "tasks": 1}, {"depth": 10, "tasks": 10}]});
    config["workers"][0]["scaling"] = steps;
    config["workers"][0]["packing"] = json!({"strategy": "dense", "maxContainersPerTask": 4});
    world.queue("thumbnail").visible(10);
    let function = scaler(&world, &config);
    assert_eq!(tick(&function, &world, 0).await.totals.launched_containers, Containers(10));
    world.all_run();
    world.queue("thumbnail").visible(4000).in_flight(10);
    let report = tick(&function, &world, 1).await;
    assert_eq!(report.totals.launched_containers, Containers(30), "{report:?}");
    assert!(why(only_worker(&report)).contains("10 tasks of 4 = 40 containers; - 10 alive"));
}

#[tokio::test(start_paused = true)]
async fn an_hour_in_the_freezer_is_a_pause_that_is_over() {
    let (world, config) = one_each(&json!({}));
    world.queue("thumbnail").visible(5);
    let function = scaler(&world, &config);
    for minute in 0..3 {
        let _ = tick(&function, &world, minute).await;
        world.all_run();
        world.all_stop();
    }
    world.frozen_until(Duration::from_mins(70));
    assert_eq!(started(&tick(&function, &world, 70).await), 1);
}
