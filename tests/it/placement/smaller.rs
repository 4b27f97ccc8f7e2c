//! Tasks of several containers for which no instance has room, where our own scheduler places.

use serde_json::json;

use super::*;
use crate::tick::groups;

/// A worker of four a task, so many messages, and instances with room for so many tasks of one.
fn fours(messages: u64, rooms: &[u64]) -> (World, Value, Vec<String>) {
    let world = world_of(&["a"]);
    world.queue("a").visible(messages);
    let there = instances(&world, rooms);
    let mut config = config(&["a"], &least_tasks());
    config["workers"][0]["packing"] = json!({"strategy": "dense", "maxContainersPerTask": 4});
    (world, config, there)
}

/// The watcher of four takes a little too: they have no room where four of one have it.
#[tokio::test(start_paused = true)]
async fn what_no_instance_takes_in_fours_is_placed_one_by_one() {
    let (world, config, there) = fours(4, &[1, 4]);
    let report = tick(&scaler(&world, &config), &world, 0).await;
    let worker = only_worker(&report);
    assert_eq!((groups(worker), worker.outcome), (vec![(4, 1)], Outcome::Launched), "{worker:?}");
    assert_eq!(counts(&world, &there), [1, 3]);
    assert_eq!((worker.deferred.0, worker.failures.len()), (0, 0));
    insta::assert_snapshot!(worker.warnings.join("\n"));
    no_violation(&world);
}

#[tokio::test(start_paused = true)]
async fn what_has_room_stays_in_fours() {
    let (world, config, there) = fours(8, &[6, 3]);
    let report = tick(&scaler(&world, &config), &world, 0).await;
    assert_eq!(groups(only_worker(&report)), [(1, 4), (4, 1)]);
    assert_eq!(counts(&world, &there), [2, 3], "one of one beside the four");
    no_violation(&world);
}

#[tokio::test(start_paused = true)]
async fn what_has_no_room_one_by_one_either_is_told_so() {
    let (world, config, _) = fours(9, &[1, 2]);
    let report = tick(&scaler(&world, &config), &world, 0).await;
    let worker = only_worker(&report);
    assert_eq!((groups(worker), worker.outcome), (vec![(1, 1), (2, 1)], Outcome::Partial));
    assert_eq!(worker.deferred.0, 6);
    insta::assert_snapshot!("without_room", worker.decision.as_ref().unwrap().why);
    let placement = worker.placement.clone().unwrap();
    assert_eq!((placement.asked.0, placement.fit.0), (9, 3));
    assert_eq!(placement.needs.unwrap().cpu.0, 512, "what one of them needs");
}

#[tokio::test(start_paused = true)]
async fn no_room_at_all_is_told_once_for_all_sizes() {
    let (world, config, _) = fours(6, &[0, 0, 0]);
    let report = tick(&scaler(&world, &config), &world, 0).await;
    let worker = only_worker(&report);
    assert_eq!((worker.outcome, worker.deferred.0), (Outcome::Failed, 6));
    let placement = worker.placement.clone().unwrap();
    assert_eq!((placement.asked.0, placement.fit.0), (6, 0));
    let short: Vec<_> = placement.short.iter().map(|s| (s.what, s.instances)).collect();
    assert_eq!(short, [("size", 3)]);
}

/// A cap counts tasks, of whichever size.
#[tokio::test(start_paused = true)]
async fn a_cap_of_tasks_holds_for_smaller_ones() {
    let (world, mut config, _) = fours(8, &[2, 2, 2, 2]);
    config["workers"][0]["packing"]["maxTasks"] = json!(3);
    let report = tick(&scaler(&world, &config), &world, 0).await;
    let worker = only_worker(&report);
    assert_eq!((groups(worker), worker.deferred.0), (vec![(3, 1)], 5), "{worker:?}");
    // What is left are a four and one more.
    assert_eq!(worker.placement.as_ref().unwrap().asked.0, 3 + 2);

    let (world, mut config, _) = fours(8, &[2, 2, 2, 2]);
    config["maxTasksPerTick"] = json!(2);
    let _ = tick(&scaler(&world, &config), &world, 0).await;
    assert_eq!(world.tasks().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_second_delivery_places_no_more_one_by_one() {
    let (world, config, _) = fours(4, &[1, 4]);
    let _ = deliver(&scaler(&world, &config), &world, (0, "first")).await;
    world.fail("ListTasks", 2, crate::world::Fault::Answer(json!({"taskArns": []})));
    let second = deliver(&scaler(&world, &config), &world, (0, "second")).await;
    assert_eq!((world.tasks().len(), second.totals.launched_tasks.0), (4, 0), "{second:?}");
}
