//! A paused worker: nothing is started for it, that is told, and it ends by itself.

use ecs_queue_scaler::report::{Outcome, Report, WaitsFor};
use serde_json::{Value, json};

use super::{config, only_worker, scaler, tick, worker, world_of};
use crate::world::World;

/// A worker with five messages, paused so.
fn paused(how: &Value) -> (World, Value) {
    let world = world_of(&["a"]);
    world.queue("a").visible(5);
    let mut paused = worker("a", &json!({"messagesPerContainer": 1}), &json!({}));
    paused["paused"] = how.clone();
    (world, config(&[paused]))
}

fn has_metric(report: &Report, metric: &str) -> bool {
    report.metrics().iter().any(|line| line.contains(metric))
}

#[tokio::test(start_paused = true)]
async fn nothing_is_started_while_it_lasts_and_all_of_it_after() {
    let how = json!({"until": "2026-11-20T21:02Z", "why": "the database moves"});
    let (world, config) = paused(&how);
    let function = scaler(&world, &config);
    for minute in 0..2 {
        let report = tick(&function, &world, minute).await;
        let worker = only_worker(&report);
        assert_eq!(worker.outcome, Outcome::Paused);
        assert_eq!(worker.waits_for, [WaitsFor::Paused]);
        let shown = serde_json::to_value(worker).unwrap();
        let expected = json!({"until": "2026-11-20T21:02:00Z", "why": "the database moves"});
        assert_eq!(shown["paused"], expected);
        assert!(has_metric(&report, r#""Paused":1"#));
        assert!(!has_metric(&report, r#""WorkersNotServed":1"#), "somebody wants it so");
        let calls: Vec<_> = world.take_calls().into_iter().map(|call| call.operation).collect();
        assert!(!calls.contains(&"ListTasks".to_owned()), "nothing else is read: {calls:?}");
    }
    let report = tick(&function, &world, 2).await;
    assert_eq!(only_worker(&report).outcome, Outcome::Launched, "it ended by itself");
    assert_eq!(report.totals.launched_containers.0, 5);
    assert!(!has_metric(&report, r#""Paused""#));
}

#[tokio::test(start_paused = true)]
async fn without_a_time_it_lasts_until_it_is_taken_away() {
    let (world, document) = paused(&json!(true));
    let _ = tick(&scaler(&world, &document), &world, 0).await;
    let report = tick(&scaler(&world, &document), &world, 60 * 24).await;
    assert_eq!(only_worker(&report).outcome, Outcome::Paused);
    let (world, document) = paused(&json!(false));
    let report = tick(&scaler(&world, &document), &world, 0).await;
    assert_eq!(only_worker(&report).outcome, Outcome::Launched);
}

/// A minimum is no reason to start anything either, and nor is an empty queue to wait for anything.
#[tokio::test(start_paused = true)]
async fn a_minimum_is_not_kept_while_it_lasts() {
    let (world, mut document) = paused(&json!(true));
    world.queue("a").visible(0);
    document["workers"][0]["scaling"]["minContainers"] = json!(2);
    let report = tick(&scaler(&world, &document), &world, 0).await;
    let worker = only_worker(&report);
    assert_eq!((worker.outcome, worker.waits_for.as_slice()), (Outcome::Paused, &[][..]));
    assert_eq!(world.changes(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_others_go_on() {
    let world = world_of(&["a", "b"]);
    world.queue("a").visible(1);
    world.queue("b").visible(1);
    let one = json!({"messagesPerContainer": 1});
    let mut workers = ["a", "b"].map(|name| worker(name, &one, &json!({})));
    workers[0]["paused"] = json!({"why": "its bucket is being moved"});
    let report = tick(&scaler(&world, &config(&workers)), &world, 0).await;
    let outcomes: Vec<_> = report.workers.iter().map(|worker| worker.outcome).collect();
    assert_eq!(outcomes, [Outcome::Paused, Outcome::Launched]);
    assert_eq!(report.failure(), None);
}
