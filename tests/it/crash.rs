//! A function that dies before or after any call of a tick, one after the other, and what the next
//! delivery and the next tick make of it.

use std::time::Duration;

use ecs_queue_scaler::report::Report;
use ecs_queue_scaler::run::Scaler;
use serde_json::{Value, json};
use tokio::runtime::Builder;

use crate::tick::{config, definition, invocation, scaler, ticked, worker, world_of};
use crate::world::life::is_worker;
use crate::world::{Executed, Fault, World};

/// Two workers: one whose tasks have to be derived in two sizes, one that takes two calls.
fn two_workers() -> (World, Value) {
    let world = world_of(&["alpha", "beta"]);
    world.queue("alpha").visible(30);
    world.queue("beta").visible(12);
    let one = json!({"messagesPerContainer": 1});
    let dense = json!({"strategy": "dense", "maxContainersPerTask": 4});
    let one_each = json!({"maxContainersPerTask": 1, "maxTasks": 20});
    (world, config(&[worker("alpha", &one, &dense), worker("beta", &one, &one_each)]))
}

/// A delivery of a tick to a function; nothing, when it dies.
async fn deliver(function: &Scaler, world: &World, minute: u64) -> Option<Report> {
    world.reach(Duration::from_secs(60 * minute)).await;
    let event = json!({"scheduledTime": format!("2026-11-20T21:{minute:02}:00Z")});
    let of = invocation(world);
    tokio::select! {
        report = ticked(function, &event, &of) => Some(report),
        () = world.crashed() => None,
    }
}

/// A process that was just started.
fn process(world: &World, config: &Value, number: u32) -> Scaler {
    scaler(&world.seen_by(number), config)
}

fn containers(world: &World, worker: &str) -> usize {
    let group = format!("worker:{worker}");
    let tasks = world.tasks().into_iter().filter(|task| task["group"] == group.as_str());
    let names = tasks.map(|task| {
        let containers = task["containers"].as_array().unwrap();
        containers.iter().filter(|container| is_worker(container)).count()
    });
    names.sum()
}

/// Runs in a time of its own, which passes only where everything waits.
pub(crate) fn in_paused_time<T>(run: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(run)
}

/// How many calls a tick makes where nothing goes wrong.
fn calls_of_a_tick() -> usize {
    in_paused_time(async {
        let (world, config) = two_workers();
        let _ = deliver(&process(&world, &config, 1), &world, 0).await.unwrap();
        world.take_calls().len()
    })
}

const SIDES: [Executed; 2] = [Executed::No, Executed::Yes];

#[test]
fn a_crash_at_any_call_starts_nothing_twice_and_loses_nothing() {
    let calls = calls_of_a_tick();
    assert!(15 <= calls, "{calls}");
    for call in 0..calls {
        for executed in SIDES {
            in_paused_time(async {
                let (world, config) = two_workers();
                world.crash_at(call, executed);
                let died = deliver(&process(&world, &config, 1), &world, 0).await;
                assert!(died.is_none(), "call {call}");
                let second = process(&world, &config, 2);
                let _ = deliver(&second, &world, 0).await.unwrap();
                let _ = deliver(&second, &world, 1).await.unwrap();
                let there = (containers(&world, "alpha"), containers(&world, "beta"));
                assert_eq!(there, (30, 12), "call {call}, executed {executed:?}");
                for (family, active) in world.active_derived() {
                    assert_eq!(active, 1, "{family}, call {call}, executed {executed:?}");
                }
            });
        }
    }
}

/// The first process dies at any call, the second one too, and ECS lists nothing of the first.
#[test]
fn two_crashes_and_a_list_that_lags_start_nothing_twice() {
    let calls = calls_of_a_tick();
    for first in 0..calls {
        for second in (0..calls).step_by(2) {
            in_paused_time(async {
                let (world, config) = two_workers();
                for (number, call) in [(1, first), (2, second)] {
                    world.crash_at(call, Executed::Yes);
                    let _ = deliver(&process(&world, &config, number), &world, 0).await;
                }
                let nothing = Fault::Answer(json!({"taskArns": []}));
                world.fail("ListTasks", 2, nothing);
                let _ = deliver(&process(&world, &config, 3), &world, 0).await;
                let there = (containers(&world, "alpha"), containers(&world, "beta"));
                assert!(there.0 <= 30 && there.1 <= 12, "calls {first}, {second}: {there:?}");
            });
        }
    }
}

/// A crash between a registration and the deregistration of what it supersedes leaves one revision
/// ACTIVE, and no longer than until the next change.
#[test]
fn revisions_that_a_crash_left_are_taken_away_at_the_next_change() {
    for call in 0..calls_of_a_tick() + 2 {
        in_paused_time(async {
            let (world, config) = two_workers();
            let _ = deliver(&process(&world, &config, 1), &world, 0).await.unwrap();
            for minute in 1..=2 {
                world.all_stop();
                let mut changed = definition("alpha");
                changed["containerDefinitions"][0]["image"] = json!(format!("worker:{minute}"));
                world.register(&changed);
                if minute == 1 {
                    world.crash_at(call, Executed::Yes);
                }
                let number = u32::try_from(10 * minute).unwrap();
                let _ = deliver(&process(&world, &config, number), &world, minute).await;
                let second = process(&world, &config, number + 1);
                let _ = deliver(&second, &world, minute).await;
            }
            for (family, active) in world.active_derived() {
                assert_eq!(active, 1, "{family}, call {call}");
            }
        });
    }
}
