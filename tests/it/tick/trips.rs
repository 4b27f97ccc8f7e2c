//! How many calls a tick makes, and how many of them wait for one another.

use std::collections::BTreeMap;
use std::time::Duration;

use ecs_queue_scaler::report::Report;
use ecs_queue_scaler::run::Scaler;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{config, definition, scaler, tick, worker, world_of};
use crate::world::{Executed, Fault, World};

const LATENCY: Duration = Duration::from_millis(10);

/// Workers of one task of four containers for four messages, by URL.
fn workers(names: &[&str]) -> (World, Value) {
    let world = world_of(names);
    let dense = json!({"strategy": "dense", "maxContainersPerTask": 4});
    let workers: Vec<_> = names
        .iter()
        .map(|name| {
            let mut worker = worker(name, &json!({"messagesPerContainer": 1}), &dense);
            worker["queue"] =
                json!(format!("https://sqs.eu-central-1.amazonaws.com/123456789012/{name}"));
            worker
        })
        .collect();
    world.latency(LATENCY);
    (world, config(&workers))
}

/// A tick, and how many of its calls waited for one another.
async fn trips(function: &Scaler, world: &World, minute: u64) -> (Report, u128) {
    world.reach(Duration::from_secs(60 * minute)).await;
    let began = Instant::now();
    let report = tick(function, world, minute).await;
    (report, began.elapsed().as_millis() / LATENCY.as_millis())
}

fn calls<const N: usize>(of: [(&'static str, u64); N]) -> BTreeMap<&'static str, u64> {
    of.into()
}

#[tokio::test(start_paused = true)]
async fn an_idle_tick_is_one_trip_and_a_call_a_queue() {
    let (world, config) = workers(&["a", "b", "c"]);
    let (report, trips) = trips(&scaler(&world, &config), &world, 0).await;
    assert_eq!(trips, 1);
    assert_eq!(report.totals.calls, calls([("GetQueueAttributes", 3)]));
    assert_eq!(report.totals.api_calls, 3);
}

/// Else nobody would see a container that never exits, nor what runs at the end of a burst.
#[tokio::test(start_paused = true)]
async fn tasks_that_go_on_after_their_queue_is_empty_are_looked_at_until_they_end() {
    let (world, config) = workers(&["a", "b"]);
    let function = scaler(&world, &config);
    world.queue("a").visible(4);
    let _ = tick(&function, &world, 0).await;
    world.all_run();
    let alive = |report: &Report| report.workers[0].alive.map(|alive| alive.running.0);
    let depths = ("GetQueueAttributes", 2);
    // After a gap, those that have ended are listed as well.
    let looked = |lists| {
        calls([("ListTasks", lists), ("DescribeTasks", 1), ("DescribeTaskDefinition", 1), depths])
    };

    world.queue("a").visible(0).in_flight(4);
    let (report, _) = trips(&function, &world, 1).await;
    assert_eq!(report.totals.calls, calls([depths]), "those in flight tell that somebody works");
    world.queue("a").in_flight(0);
    for (minute, lists) in [(2, 2), (3, 1), (4, 1)] {
        let (report, trips) = trips(&function, &world, minute).await;
        assert_eq!((report.totals.calls.clone(), trips), (looked(lists), 3), "minute {minute}");
        assert_eq!((alive(&report), report.workers[1].alive), (Some(4), None));
    }
    world.all_end("EssentialContainerExited", "", Some(0));
    let (report, _) = trips(&function, &world, 5).await;
    assert_eq!(alive(&report), Some(0), "it ended");
    let (report, _) = trips(&function, &world, 6).await;
    assert_eq!((alive(&report), report.totals.calls), (None, calls([depths])));
}

#[tokio::test(start_paused = true)]
async fn a_busy_tick_is_four_trips_and_five_where_something_is_registered() {
    let (world, config) = workers(&["a"]);
    let function = scaler(&world, &config);
    world.queue("a").visible(4);
    let (_, first) = trips(&function, &world, 0).await;
    assert_eq!(first, 5, "depth; list and base; derived; register; run");

    world.all_run();
    world.queue("a").visible(8).in_flight(4);
    let (report, warm) = trips(&function, &world, 1).await;
    assert_eq!((report.totals.launched_tasks.0, warm), (2, 4), "depth; list, base; describe; run");

    world.all_end("EssentialContainerExited", "", Some(0));
    world.queue("a").visible(4).in_flight(0);
    let (report, cold) = trips(&scaler(&world, &config), &world, 2).await;
    assert_eq!((report.totals.launched_tasks.0, cold), (1, 4), "with the derived one beside");

    world.all_end("EssentialContainerExited", "", Some(0));
    let mut changed = definition("a");
    changed["containerDefinitions"][0]["image"] = json!("worker:2");
    world.register(&changed);
    let (report, changed) = trips(&function, &world, 3).await;
    assert_eq!(report.totals.calls["RegisterTaskDefinition"], 1);
    // What was superseded is taken away afterwards.
    assert_eq!((report.totals.launched_tasks.0, changed), (1, 5 + 1));
}

#[tokio::test(start_paused = true)]
async fn what_workers_share_is_read_once() {
    let names = ["a", "b", "c"];
    let (world, mut config) = workers(&names);
    for (worker, name) in config["workers"].as_array_mut().unwrap().iter_mut().zip(names) {
        worker["taskDefinition"] = json!("a");
        world.queue(name).visible(4);
    }
    let function = scaler(&world, &config);
    let first = tick(&function, &world, 0).await;
    let cold = [
        ("GetQueueAttributes", 3),
        ("ListTasks", 2),
        ("DescribeTaskDefinition", 2),
        ("RegisterTaskDefinition", 1),
        ("RunTask", 3),
    ];
    assert_eq!(first.totals.calls, calls(cold), "stopped tasks are listed by a cold process");

    world.all_run();
    for name in names {
        world.queue(name).visible(8).in_flight(4);
    }
    let second = tick(&function, &world, 1).await;
    let warm = [
        ("GetQueueAttributes", 3),
        ("ListTasks", 1),
        ("DescribeTasks", 1),
        ("DescribeTaskDefinition", 1),
        ("RunTask", 3),
    ];
    assert_eq!(second.totals.calls, calls(warm));
}

/// Each worker goes its own way until what all share is shared out.
#[tokio::test(start_paused = true)]
async fn a_worker_whose_queue_answers_late_keeps_no_other_from_being_read() {
    let names = ["a", "b"];
    let (world, config) = workers(&names);
    for name in names {
        world.queue(name).visible(4);
    }
    world.fail_where("GetQueueAttributes", "/a\"", (1, Fault::Hang(Executed::No)));
    let function = scaler(&world, &config);
    let late = async {
        world.reach(3 * LATENCY).await;
        world.count("DescribeTaskDefinition")
    };
    let (_, read) = futures_util::join!(tick(&function, &world, 0), late);
    assert_eq!(read, 2, "the base of b and what is derived from it");
}

#[tokio::test(start_paused = true)]
async fn what_a_function_finds_out_before_its_first_event_it_does_not_ask_again() {
    let names = ["a", "b"];
    let (world, by_url) = workers(&names);
    let mut by_name = by_url.clone();
    for (worker, name) in by_name["workers"].as_array_mut().unwrap().iter_mut().zip(names) {
        worker["queue"] = json!(name);
    }
    for (config, before) in [(by_name, ("GetQueueUrl", 2)), (by_url, ("GetQueueAttributes", 1))] {
        let function = scaler(&world, &config);
        world.take_calls();
        function.prepare(world.now()).await;
        assert_eq!((world.count(before.0), world.take_calls().len()), (before.1, before.1));
        let report = tick(&function, &world, 0).await;
        assert_eq!(report.totals.calls, calls([("GetQueueAttributes", 2)]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_function_that_cannot_get_ready_in_time_is_ready_for_its_event() {
    let (world, config) = workers(&["a"]);
    world.fail("GetQueueAttributes", 9, Fault::Hang(Executed::No));
    let began = Instant::now();
    scaler(&world, &config).prepare(world.now()).await;
    assert!(began.elapsed() < Duration::from_secs(9), "Lambda gives this phase ten seconds");
}
