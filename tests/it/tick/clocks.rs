//! What a process remembers is as old as the wall clock says: it is frozen between two invocations, and
//! its monotonic clock stands still meanwhile.

use std::time::Duration;

use decision::units::Tasks;
use ecs_queue_scaler::aws::Aws;
use ecs_queue_scaler::report::{Outcome, Report};
use ecs_queue_scaler::run::{Invocation, Scaler};
use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{config, scaler, tick, ticked, worker, world_of};
use crate::world::buckets::Buckets;
use crate::world::{Fault, World};

fn one_each(messages: u64) -> (World, Value) {
    let world = world_of(&["thumbnail"]);
    world.queue("thumbnail").visible(messages);
    let scaling = json!({"messagesPerContainer": 1, "maxContainers": 300});
    let packing = json!({"maxContainersPerTask": 1, "maxTasks": 300});
    (world, config(&[worker("thumbnail", &scaling, &packing)]))
}

/// A tick of a minute, up to which the process was frozen.
async fn thawed(function: &Scaler, world: &World, minute: u64) -> Report {
    world.frozen_until(Duration::from_mins(minute));
    tick(function, world, minute).await
}

/// A tick that no schedule made, whose time is what the function takes it for.
async fn directly(function: &Scaler, world: &World, request: &str) -> Report {
    let of = Invocation::new(request, world.wall_clock(), 0);
    ticked(function, &json!({"dryRun": false}), &of).await
}

#[tokio::test(start_paused = true)]
async fn tasks_that_ecs_has_forgotten_are_not_new_after_an_hour_in_the_freezer() {
    let (world, config) = one_each(60);
    let function = scaler(&world, &config);
    assert_eq!(thawed(&function, &world, 0).await.totals.launched_tasks, Tasks(60));
    world.all_run();
    world.all_stop();
    world.queue("thumbnail").visible(20);
    let burst = thawed(&function, &world, 66).await;
    assert_eq!(burst.totals.launched_tasks, Tasks(20), "{:?}", burst.workers[0].decision);
}

#[tokio::test(start_paused = true)]
async fn a_call_without_an_answer_counts_for_five_minutes_of_the_wall_clock() {
    let (world, config) = one_each(10);
    let function = scaler(&world, &config);
    world.fail("RunTask", 3, Fault::Error(500, "ServerException", "internal".to_owned()));
    let lost = thawed(&function, &world, 0).await;
    assert_eq!((lost.totals.launched_tasks, world.tasks().len()), (Tasks(0), 0));
    let presumed = thawed(&function, &world, 4).await;
    assert_eq!(presumed.workers[0].outcome, Outcome::Idle);
    let given_up = thawed(&function, &world, 6).await;
    assert_eq!(given_up.totals.launched_tasks, Tasks(10));
}

#[tokio::test(start_paused = true)]
async fn what_has_come_of_a_rate_while_the_process_was_frozen_is_there_at_once() {
    let (world, config) = one_each(100);
    world.state().buckets = Some(Buckets::new(0.0));
    let function = scaler(&world, &config);
    let mut took = Vec::new();
    for (minute, messages) in [(0, 100), (1, 200), (2, 300)] {
        world.queue("thumbnail").visible(messages);
        world.frozen_until(Duration::from_mins(minute));
        let began = Instant::now();
        assert_eq!(tick(&function, &world, minute).await.totals.launched_tasks, Tasks(100));
        took.push(began.elapsed());
    }
    assert_eq!(world.state().watch.throttled, 0);
    assert!(took.iter().all(|took| *took < Duration::from_secs(2)), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn two_ticks_at_one_time_do_not_have_a_rate_twice() {
    let (world, config) = one_each(100);
    world.state().buckets = Some(Buckets::new(0.0));
    let function = scaler(&world, &config);
    let began = Instant::now();
    for (request, messages) in [("first", 100), ("second", 200)] {
        world.queue("thumbnail").visible(messages);
        let report = directly(&function, &world, request).await;
        assert_eq!(report.totals.launched_tasks, Tasks(100));
    }
    assert_eq!(world.state().watch.throttled, 0);
    // A hundred at once and then twenty a second.
    assert!(Duration::from_secs(5) <= began.elapsed(), "{:?}", began.elapsed());
}

/// The schedule names its ticks by the right time: what a wrong clock decides is bounded by that.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_or_ahead_starts_nothing_twice_and_keeps_nothing_from_starting() {
    for jumps in [[0, -1, 0], [1, 0, 1], [0, -1, 23]] {
        let (world, config) = one_each(10);
        let function = scaler(&world, &config);
        let nothing = || Fault::Answer(json!({"taskArns": []}));
        for (request, hours) in ["0", "1", "2"].into_iter().zip(jumps) {
            world.clock_is_wrong_by(SignedDuration::from_hours(hours));
            // Of what ended, somebody has asked by then; of what is listed, nobody hears.
            world.fail("ListTasks", 2, nothing());
            let _ = directly(&function, &world, request).await;
            world.forget_faults();
            world.all_run();
            world.reach(Duration::from_mins(1)).await;
        }
        assert_eq!(world.tasks().len(), 10, "{jumps:?}");
        world.all_stop();
        world.queue("thumbnail").visible(5);
        let next = directly(&function, &world, "later").await;
        assert_eq!(next.totals.launched_tasks, Tasks(5), "{jumps:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_of_a_clock_that_was_set_back_since_counts_for_five_minutes_from_then() {
    let (world, config) = one_each(10);
    let function = scaler(&world, &config);
    world.clock_is_wrong_by(SignedDuration::from_hours(1));
    world.fail("RunTask", 3, Fault::Error(500, "ServerException", "internal".to_owned()));
    let _ = directly(&function, &world, "lost").await;
    world.clock_is_wrong_by(SignedDuration::ZERO);
    for (minute, launched) in [(1, 0), (5, 0), (7, 10)] {
        world.reach(Duration::from_mins(minute)).await;
        let report = directly(&function, &world, &minute.to_string()).await;
        assert_eq!(report.totals.launched_tasks, Tasks(launched), "minute {minute}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_set_back_since_holds_no_minimum_and_no_idle_container_for_as_long() {
    let (world, mut config) = one_each(0);
    config["workers"][0]["scaling"]["minContainers"] = json!(2);
    let function = scaler(&world, &config);
    world.clock_is_wrong_by(SignedDuration::from_hours(1));
    for (minute, launched) in [(0, 2), (2, 2)] {
        world.reach(Duration::from_mins(minute)).await;
        let report = directly(&function, &world, &format!("ahead {minute}")).await;
        assert_eq!(report.totals.launched_tasks, Tasks(launched), "minute {minute}");
        world.all_run();
        world.all_stop();
    }
    world.clock_is_wrong_by(SignedDuration::ZERO);
    let mut launched = Vec::new();
    for minute in 3..9 {
        world.reach(Duration::from_mins(minute)).await;
        let report = directly(&function, &world, &minute.to_string()).await;
        launched.push(report.totals.launched_tasks.0);
        world.all_run();
    }
    assert_eq!(launched, [0, 0, 2, 0, 0, 0], "two minutes from when it was set back, not sixty");
    world.queue("thumbnail").visible(1);
    let mut idle = Vec::new();
    for minute in 9..16 {
        world.reach(Duration::from_mins(minute)).await;
        let report = directly(&function, &world, &minute.to_string()).await;
        idle.push(report.workers[0].alive.unwrap().idle.0);
    }
    assert_eq!(idle.last(), Some(&2), "{idle:?}");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_within_a_tick_changes_nothing_of_it() {
    for hours in [-1, 24] {
        let (world, config) = one_each(10);
        let aws = Aws::new(&world.sdk_config_with_clock());
        let function = Scaler { aws, ..scaler(&world, &config) };
        let jump = Fault::ClockIsSet(SignedDuration::from_hours(hours));
        world.fail("GetQueueAttributes", 1, jump);
        let report = tick(&function, &world, 0).await;
        assert_eq!(report.totals.launched_tasks, Tasks(10), "{hours}: {report:?}");
        world.clock_is_wrong_by(SignedDuration::ZERO);
        assert_eq!(tick(&function, &world, 1).await.workers[0].outcome, Outcome::Idle);
        assert_eq!(world.tasks().len(), 10);
    }
}
