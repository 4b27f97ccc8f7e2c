//! Accounts in which nothing may be registered: `registration: off`.

use decision::units::Containers;
use ecs_queue_scaler::report::Outcome;
use serde_json::{Value, json};

use super::{config, definition, groups, only_worker, scaler, tick, worker, world_of};
use crate::world::{Fault, World};

/// A world in which tasks of four and of two containers were registered beforehand.
async fn prepared() -> World {
    let world = world_of(&["a"]);
    world.queue("a").visible(6);
    let four = json!({"strategy": "dense", "maxContainersPerTask": 4});
    let on = config(&[worker("a", &json!({"messagesPerContainer": 1}), &four)]);
    let report = tick(&scaler(&world, &on), &world, 0).await;
    assert_eq!(groups(only_worker(&report)), [(1, 4), (1, 2)]);
    world.all_stop();
    world.take_calls();
    world
}

fn off(packing: &Value) -> Value {
    let mut document = config(&[worker("a", &json!({"messagesPerContainer": 1}), packing)]);
    document["registration"] = json!("off");
    document
}

fn changed_definitions(world: &World) -> usize {
    world.count("RegisterTaskDefinition") + world.count("DeregisterTaskDefinition")
}

#[tokio::test(start_paused = true)]
async fn only_the_listed_sizes_run_and_nothing_is_registered() {
    let world = prepared().await;
    for (minute, packing, messages, expected) in [
        (2, json!({}), 6, vec![(6, 1)]),
        (4, json!({"strategy": "dense", "registeredSizes": [2, 4]}), 7, vec![(1, 4), (3, 1)]),
        (6, json!({"strategy": "dense", "registeredSizes": [4]}), 8, vec![(2, 4)]),
        (8, json!({"strategy": "spread", "registeredSizes": [2, 4]}), 25, vec![(5, 4), (5, 1)]),
        (10, json!({"registeredSizes": [2, 4], "maxContainersPerTask": 2}), 9, vec![(9, 1)]),
        (12, json!({"strategy": "cheapest", "registeredSizes": [2]}), 4, vec![(4, 1)]),
    ] {
        world.queue("a").visible(messages);
        let report = tick(&scaler(&world, &off(&packing)), &world, minute).await;
        assert_eq!(groups(only_worker(&report)), expected, "{packing}: {report:?}");
        assert_eq!(report.totals.launched_containers.0, u32::try_from(messages).unwrap());
        assert!(only_worker(&report).warnings.is_empty(), "{report:?}");
        world.all_stop();
    }
    assert_eq!(changed_definitions(&world), 0);
}

#[tokio::test(start_paused = true)]
async fn a_size_that_is_stale_or_not_there_is_told_and_smaller_ones_run() {
    let world = prepared().await;
    let mut next = definition("a");
    next["containerDefinitions"][0]["image"] = json!("worker:2");
    world.register(&next);
    world.take_calls();
    world.queue("a").visible(8);
    let packing = json!({"strategy": "dense", "registeredSizes": [3, 4]});
    let function = scaler(&world, &off(&packing));
    let report = tick(&function, &world, 2).await;
    let worker = only_worker(&report);
    assert_eq!((groups(worker), worker.outcome), (vec![(8, 1)], Outcome::Launched));
    assert_eq!(changed_definitions(&world), 0);
    insta::assert_snapshot!(worker.warnings.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn a_size_that_cannot_be_read_holds_the_worker() {
    let world = prepared().await;
    world.queue("a").visible(8);
    let denied = Fault::Error(400, "AccessDeniedException", "not authorized".to_owned());
    world.fail_where("DescribeTaskDefinition", "a--x4", (3, denied));
    let report = tick(&scaler(&world, &off(&json!({"registeredSizes": [4]}))), &world, 2).await;
    assert_eq!(only_worker(&report).outcome, Outcome::Held);
    assert_eq!(world.changes(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_no_mix_of_the_sizes_holds_waits() {
    let world = prepared().await;
    world.queue("a").visible(39);
    let spread = off(&json!({"strategy": "spread", "registeredSizes": [4]}));
    let report = tick(&scaler(&world, &spread), &world, 2).await;
    let worker = only_worker(&report);
    assert_eq!((groups(worker), worker.deferred), (vec![(9, 4), (1, 1)], Containers(2)));
}
