//! Tasks that go on although all of their workers have stopped.

use decision::units::Containers;
use ecs_queue_scaler::report::Outcome;
use serde_json::json;

use super::{config, only_worker, scaler, tick, worker, world_of};

#[tokio::test(start_paused = true)]
async fn tasks_that_outlive_their_workers_are_named_and_count_against_the_caps() {
    let world = world_of(&["a"]);
    world.queue("a").visible(2);
    let two = json!({"strategy": "dense", "maxContainersPerTask": 2});
    let scaling = json!({"messagesPerContainer": 1, "maxContainers": 3});
    let function = scaler(&world, &config(&[worker("a", &scaling, &two)]));
    let _ = tick(&function, &world, 0).await;
    world.all_run();
    for name in ["worker", "worker-2"] {
        world.containers_stop(name);
    }
    // A task needs some seconds to end after its workers.
    world.queue("a").visible(1);
    let first = tick(&function, &world, 2).await;
    assert_eq!(
        (only_worker(&first).outlived.len(), only_worker(&first).outcome),
        (0, Outcome::Launched)
    );
    world.all_run();

    world.queue("a").visible(5).in_flight(1);
    let second = tick(&function, &world, 3).await;
    let told = only_worker(&second);
    let alive = told.alive.unwrap();
    assert_eq!(told.outlived.len(), 1, "{told:?}");
    assert_eq!((alive.containers, alive.outlived), (Containers(1 + 2), Containers(2)));
    assert_eq!((told.outcome, told.at_cap), (Outcome::Idle, Some(true)), "the cap is reached");
    assert!(
        told.warnings.iter().any(|w| w.contains("1 task goes on although its workers")),
        "{told:?}"
    );
}

/// What runs after the workers, such as an upload, is no reason to look.
#[tokio::test(start_paused = true)]
async fn a_task_whose_upload_runs_outlives_nobody() {
    let world = world_of(&["a"]);
    world.queue("a").visible(2);
    let mut with_upload = super::definition("a");
    let worker_container = &mut with_upload["containerDefinitions"][0];
    worker_container["essential"] = json!(false);
    worker_container["memory"] = json!(256);
    worker_container["cpu"] = json!(128);
    with_upload["containerDefinitions"].as_array_mut().unwrap().push(json!({"name": "upload",
        "image": "u", "dependsOn": [{"containerName": "worker", "condition": "COMPLETE"}]}));
    world.register(&with_upload);
    let mut config = config(&[worker("a", &json!({"messagesPerContainer": 1}), &json!({}))]);
    config["workers"][0]["container"] = json!("worker");
    let function = scaler(&world, &config);
    let _ = tick(&function, &world, 0).await;
    world.all_run();
    world.containers_stop("worker");
    for minute in 1..5 {
        let report = tick(&function, &world, minute).await;
        assert_eq!(only_worker(&report).outlived, [], "{minute}: {report:?}");
    }
}

/// One message every ten minutes: what it leaves behind is named at the second look, before the next comes.
#[tokio::test(start_paused = true)]
async fn what_outlives_is_named_while_the_queue_is_empty() {
    let world = world_of(&["a"]);
    let two = json!({"strategy": "dense", "maxContainersPerTask": 2});
    let function =
        scaler(&world, &config(&[worker("a", &json!({"messagesPerContainer": 1}), &two)]));
    let mut named = Vec::new();
    for minute in 0..40 {
        world.queue("a").visible(if minute % 10 == 0 { 2 } else { 0 });
        let report = tick(&function, &world, minute).await;
        named.push(only_worker(&report).outlived.len());
        world.all_run();
        for name in ["worker", "worker-2"] {
            world.containers_stop(name);
        }
    }
    assert_eq!((named[1], named[2], named[12], named[22]), (0, 1, 2, 3), "{named:?}");
}

/// While messages are in flight and none waits, its tasks are not read.
#[tokio::test(start_paused = true)]
async fn what_outlives_is_remembered_while_nobody_looks() {
    let world = world_of(&["a"]);
    let two = json!({"strategy": "dense", "maxContainersPerTask": 2});
    let function =
        scaler(&world, &config(&[worker("a", &json!({"messagesPerContainer": 1}), &two)]));
    let depths = [(2, 0), (0, 0), (0, 1), (0, 1), (1, 1)];
    let mut named = Vec::new();
    for (minute, (visible, in_flight)) in (0..).zip(depths) {
        world.queue("a").visible(visible).in_flight(in_flight);
        let report = tick(&function, &world, minute).await;
        named.push(only_worker(&report).outlived.len());
        world.all_run();
        for name in ["worker", "worker-2"] {
            world.containers_stop(name);
        }
    }
    assert_eq!(named, [0, 0, 0, 0, 1], "seen at the second look, and still so at the fifth");
}
