//! `StartTask` has no token: what a repeated, a lost or an overlapping tick makes of it.

use super::*;
use crate::crash::in_paused_time;
use crate::world::{Executed, Fault};

fn containers(world: &World) -> usize {
    world.tasks().len()
}

/// A world with room, a queue of 25 messages, and its configuration.
fn busy() -> (World, Value) {
    let world = world_of(&["a"]);
    instances(&world, &[10; 5]);
    world.queue("a").visible(25);
    (world, config(&["a"], &least_tasks()))
}

#[tokio::test(start_paused = true)]
async fn a_second_delivery_starts_nothing_though_ecs_lists_nothing_yet() {
    let (world, config) = busy();
    let _ = deliver(&scaler(&world, &config), &world, (0, "first")).await;
    assert_eq!(containers(&world), 25);
    world.fail("ListTasks", 9, Fault::Answer(json!({"taskArns": []})));
    // It sees other numbers, too.
    world.queue("a").visible(30);
    let report = deliver(&scaler(&world, &config), &world, (0, "second")).await;
    assert_eq!(containers(&world), 25, "{report:?}");
    assert_eq!(world.count("RunTask"), 2);
    assert_eq!(only_worker(&report).launched[0].adopted.len(), 1);
    no_violation(&world);
}

#[tokio::test(start_paused = true)]
async fn of_two_deliveries_at_once_one_has_the_tick() {
    let (world, config) = busy();
    world.latency(Duration::from_millis(20));
    let functions = [1, 2].map(|number| scaler(&world.seen_by(number), &config));
    let _ = futures_util::join!(
        deliver(&functions[0], &world, (0, "first")),
        deliver(&functions[1], &world, (0, "second")),
    );
    assert_eq!(containers(&world), 25);
    no_violation(&world);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_not_asked_for_again_and_its_tasks_count() {
    for fault in [Fault::LostAnswer, Fault::Closed] {
        let (world, config) = busy();
        world.fail("StartTask", 1, fault);
        let function = scaler(&world, &config);
        let report = deliver(&function, &world, (0, "first")).await;
        assert_eq!(containers(&world), 25, "the call was executed");
        assert_eq!(only_worker(&report).outcome, Outcome::Partial);
        assert_eq!(world.count("StartTask"), 5, "and not repeated");
        world.fail("ListTasks", 2, Fault::Answer(json!({"taskArns": []})));
        let _ = deliver(&function, &world, (1, "second")).await;
        assert_eq!(containers(&world), 25, "what may have been started counts as starting");
        no_violation(&world);
    }
}

/// As [`busy`], where each task has to have an instance of its own.
fn distinct(count: usize) -> (World, Value, Vec<String>) {
    let world = world_of(&["a"]);
    let there = instances(&world, &vec![10; count]);
    world.state().watch.places.distinct = true;
    let mut config = config(&["a"], &least_tasks());
    config["launch"]["placementConstraints"] = json!([{"type": "distinctInstance"}]);
    (world, config, there)
}

#[tokio::test(start_paused = true)]
async fn where_a_lost_call_may_have_started_a_task_no_other_is_started_beside_it() {
    let (world, config, there) = distinct(3);
    world.queue("a").visible(3);
    world.fail("StartTask", 1, Fault::LostAnswer);
    let function = scaler(&world, &config);
    let _ = deliver(&function, &world, (0, "first")).await;
    world.queue("a").visible(4);
    world.fail("ListTasks", 2, Fault::Answer(json!({"taskArns": []})));
    let report = deliver(&function, &world, (1, "second")).await;
    assert_eq!(counts(&world, &there), [1, 1, 1], "{report:?}");
    // They show up: the instance of one that ends is free again.
    let _ = deliver(&function, &world, (2, "third")).await;
    world.all_stop();
    let _ = deliver(&function, &world, (3, "fourth")).await;
    assert_eq!(counts(&world, &there), [1, 1, 1]);
    no_violation(&world);
}

#[tokio::test(start_paused = true)]
async fn nor_is_one_that_another_instance_refused() {
    let (world, config, there) = distinct(13);
    world.queue("a").visible(12);
    world.fail("StartTask", 1, Fault::LostAnswer);
    world.fail("StartTask", 1, Fault::Placed(2, "RESOURCE:ENI"));
    let _ = deliver(&scaler(&world, &config), &world, (0, "first")).await;
    assert!(counts(&world, &there).into_iter().all(|count| count <= 1));
    no_violation(&world);
}

#[tokio::test(start_paused = true)]
async fn what_is_throttled_is_asked_for_again() {
    let (world, config) = busy();
    let slow = || Fault::Error(400, "ThrottlingException", "Rate exceeded".to_owned());
    world.fail("StartTask", 2, slow());
    let report = deliver(&scaler(&world, &config), &world, (0, "first")).await;
    assert_eq!((containers(&world), report.totals.throttles), (25, 2));
    no_violation(&world);
}

/// A delivery; nothing where the function dies.
async fn may_die(function: &Scaler, world: &World, of: (u64, &str)) -> Option<Report> {
    tokio::select! {
        report = deliver(function, world, of) => Some(report),
        () = world.crashed() => None,
    }
}

/// The function dies before or after any call. A list that lags shows nothing of what it started, so
/// that only the first call's token tells; and the next tick does the rest.
#[test]
fn a_crash_at_any_call_starts_nothing_twice_and_loses_nothing() {
    let calls = in_paused_time(async {
        let (world, config) = busy();
        let _ = deliver(&scaler(&world, &config), &world, (0, "first")).await;
        world.take_calls().len()
    });
    assert!(10 <= calls, "{calls}");
    let cases = (0..calls).flat_map(|call| {
        let sides = [Executed::No, Executed::Yes];
        sides.into_iter().flat_map(move |side| [true, false].map(|lags| (call, side, lags)))
    });
    for (call, executed, lags) in cases {
        in_paused_time(async {
            let case = format!("call {call}, executed {executed:?}, lags {lags}");
            let (world, config) = busy();
            world.crash_at(call, executed);
            let first = scaler(&world.seen_by(1), &config);
            let died = may_die(&first, &world, (0, "first")).await;
            assert!(died.is_none(), "{case}");
            if lags {
                world.fail("ListTasks", 2, Fault::Answer(json!({"taskArns": []})));
            }
            let second = scaler(&world.seen_by(2), &config);
            let _ = deliver(&second, &world, (0, "second")).await;
            assert!(containers(&world) <= 25, "{case}: {}", containers(&world));
            world.forget_faults();
            let _ = deliver(&second, &world, (1, "third")).await;
            assert_eq!(containers(&world), 25, "{case}");
            assert_eq!(world.state().watch.violations, [], "{case}");
        });
    }
}

#[tokio::test(start_paused = true)]
async fn where_another_delivery_came_first_and_got_nothing_it_is_said() {
    let (world, config) = busy();
    let nothing = Fault::Error(400, "ConflictException", "The clientToken was used".to_owned());
    world.fail("RunTask", 1, nothing);
    let report = deliver(&scaler(&world, &config), &world, (0, "second")).await;
    insta::assert_snapshot!(only_worker(&report).errors.join("\n"));
    assert_eq!(world.tasks().len(), 0);
}
