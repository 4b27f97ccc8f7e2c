//! What counts as a failure of a worker, and what it keeps from starting.

use std::time::Duration;

use decision::units::Containers;
use ecs_queue_scaler::report::{Report, WorkerReport};
use ecs_queue_scaler::run::Scaler;
use serde_json::{Value, json};

use super::{config, definition, only_worker, scaler, tick, worker, world_of, world_with};
use crate::world::World;

fn one_each(world: &World, messages: u64) -> Scaler {
    scaler(world, &document(world, messages))
}

fn document(world: &World, messages: u64) -> Value {
    world.queue("thumbnail").visible(messages);
    let scaling = json!({"messagesPerContainer": 1, "maxContainers": 300, "progressBrake": false});
    let packing = json!({"maxContainersPerTask": 1, "maxTasks": 300});
    config(&[worker("thumbnail", &scaling, &packing)])
}

fn started(report: &Report) -> u32 {
    report.totals.launched_tasks.0
}

fn breaker(worker: &WorkerReport) -> &str {
    worker.breaker.as_deref().unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn three_tasks_that_are_stuck_for_hours_do_not_hold_the_breaker_open() {
    let world = world_of(&["thumbnail"]);
    let function = one_each(&world, 60);
    assert_eq!(started(&tick(&function, &world, 0).await), 60);
    world.hang(3);
    let mut launched = 0;
    for minute in 1..150 {
        world.all_run();
        world.all_stop();
        world.queue("thumbnail").visible(20);
        launched += started(&tick(&function, &world, minute).await);
    }
    // When they become stuck, one canary is started; it ends well.
    assert!(19 * 140 < launched, "{launched}");
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_pending_beside_a_sidecar_that_runs_is_stuck() {
    let world = world_with(&["thumbnail"], |family| {
        let mut with_sidecar = definition(family);
        let sidecar = json!({"name": "sidecar", "image": "sidecar:1", "cpu": 64, "memory": 64});
        with_sidecar["containerDefinitions"][0]["cpu"] = json!(128);
        with_sidecar["containerDefinitions"][0]["memory"] = json!(256);
        with_sidecar["containerDefinitions"].as_array_mut().unwrap().push(sidecar);
        with_sidecar
    });
    let mut document = document(&world, 2);
    document["workers"][0]["container"] = json!("worker");
    let function = scaler(&world, &document);
    assert_eq!(started(&tick(&function, &world, 0).await), 2);
    world.set_of_containers("sidecar", ("lastStatus", "RUNNING"));
    let early = tick(&function, &world, 14).await;
    assert_eq!((only_worker(&early).stuck.len(), started(&early)), (0, 0));
    let late = tick(&function, &world, 16).await;
    assert_eq!((only_worker(&late).stuck.len(), started(&late)), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn what_aws_ended_opens_no_breaker_by_whatever_code_it_calls_it() {
    let host = "Host EC2 (instance i-0123456789abcdef0) terminated.";
    let ends = [
        ("InfrastructureHealth", "", Some(137)),
        ("", host, Some(137)),
        ("ServiceSchedulerInitiated", "maintenance", None),
        ("ACodeOfNextYear", "", Some(1)),
        ("TaskFailedToStart", "RESOURCE:MEMORY", None),
        ("TaskFailedToStart", "EMPTY CAPACITY PROVIDER", None),
    ];
    for (code, reason, exit) in ends {
        let world = world_of(&["thumbnail"]);
        let function = one_each(&world, 5);
        for minute in 0..4 {
            let report = tick(&function, &world, minute).await;
            let seen = (started(&report), breaker(only_worker(&report)));
            assert_eq!(seen, (5, ""), "{code} {reason}");
            world.all_end(code, reason, exit);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn exit_code_0_is_a_success_though_no_start_is_told() {
    let world = world_of(&["thumbnail"]);
    let function = one_each(&world, 5);
    for minute in 0..4 {
        let report = tick(&function, &world, minute).await;
        assert_eq!((started(&report), breaker(only_worker(&report))), (5, ""));
        world.all_stop();
        world.forget_starts();
    }
}

#[tokio::test(start_paused = true)]
async fn the_words_that_are_shown_are_those_of_the_workers_container() {
    let world = world_of(&["thumbnail"]);
    let function = one_each(&world, 5);
    let _ = tick(&function, &world, 0).await;
    world.inject(&json!({"name": "aws-guardduty-agent-ab1", "lastStatus": "STOPPED",
        "reason": "CannotPullContainerError: toomanyrequests: of an agent"}));
    world.all_run();
    world.set_of_containers("worker", ("reason", "OutOfMemoryError: Container killed"));
    world.all_end("EssentialContainerExited", "Essential container in task exited", Some(137));
    let report = tick(&function, &world, 1).await;
    let told = "the last one: EssentialContainerExited: OutOfMemoryError: Container killed, exit \
                code 137 after 0 s";
    let breaker = breaker(only_worker(&report));
    assert!(breaker.ends_with(told), "{breaker}");
}

/// As long as it is under the old name, it runs; when it ends, it is gone.
#[tokio::test(start_paused = true)]
async fn a_container_that_is_called_something_else_now_does_not_starve_its_worker() {
    for is_known in [true, false] {
        let world = world_of(&["thumbnail"]);
        let function = one_each(&world, 4);
        let _ = tick(&function, &world, 0).await;
        world.all_run();
        if !is_known {
            world.forget_tag("ecs-queue-scaler:container");
        }
        let mut renamed = definition("thumbnail");
        renamed["containerDefinitions"][0]["name"] = json!("app");
        world.register(&renamed);
        world.queue("thumbnail").visible(3).in_flight(4);
        let report = tick(&function, &world, 1).await;
        let alive = only_worker(&report).alive.unwrap();
        assert_eq!((alive.containers, alive.running), (Containers(4), Containers(4)));
        assert_eq!(started(&report), 3);
        world.all_end("EssentialContainerExited", "", Some(1));
        world.reach(Duration::from_secs(90)).await;
        let failed = tick(&function, &world, 2).await;
        assert!(breaker(only_worker(&failed)).starts_with("7 tasks in a row"), "{failed:?}");
    }
}

/// What a later definition calls its containers does not make a success of what failed before.
#[tokio::test(start_paused = true)]
async fn a_sidecar_that_ends_well_is_no_success_of_its_worker() {
    let world = world_of(&["thumbnail"]);
    let function = one_each(&world, 4);
    let _ = tick(&function, &world, 0).await;
    let sidecar: Value = json!({"name": "sidecar", "lastStatus": "STOPPED", "exitCode": 0});
    world.inject(&sidecar);
    world.all_run();
    world.all_end("EssentialContainerExited", "", Some(1));
    let report = tick(&function, &world, 1).await;
    assert!(!breaker(only_worker(&report)).is_empty());
}

/// ECS takes up to a minute from the end of a container to the end of its task.
#[tokio::test(start_paused = true)]
async fn a_task_that_is_seen_on_its_way_out_is_judged_when_it_has_ended() {
    let world = world_of(&["thumbnail"]);
    let function = one_each(&world, 4);
    assert_eq!(started(&tick(&function, &world, 0).await), 4);
    for minute in 1..7 {
        let _ = tick(&function, &world, minute).await;
    }
    world.all_are_stopping();
    let leaving = tick(&function, &world, 7).await;
    assert_eq!((started(&leaving), breaker(only_worker(&leaving))), (4, ""));
    world.all_have_stopped("EssentialContainerExited", Some(1));
    let ended = tick(&function, &world, 8).await;
    let told = breaker(only_worker(&ended));
    assert!(told.starts_with("4 tasks in a row"), "{told}");
}

/// Between its containers' end and its own, a task is neither alive nor ended.
#[tokio::test(start_paused = true)]
async fn a_task_on_its_way_out_counts_for_its_tick_and_its_hour() {
    let world = world_of(&["thumbnail"]);
    let mut document = document(&world, 4);
    document["maxTasksPerHour"] = json!(6);
    let function = scaler(&world, &document);
    assert_eq!(started(&tick(&function, &world, 0).await), 4);
    world.all_are_stopping();
    // Another process knows only what ECS shows.
    let other = scaler(&world, &document);
    let again = tick(&other, &world, 0).await;
    assert_eq!(started(&again), 0, "{again:?}");
    let next = tick(&other, &world, 1).await;
    assert_eq!(started(&next), 2, "{next:?}");
}
