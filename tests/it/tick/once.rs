//! Nothing is started twice, and nothing that was started is forgotten.

use decision::units::{Containers, Tasks};
use ecs_queue_scaler::report::Outcome;
use serde_json::json;

use super::{batches, config, definition, only_worker, scaler, tick, worker, world_of};
use crate::world::{Fault, World};

fn ten_messages() -> (World, serde_json::Value) {
    let world = world_of(&["thumbnail"]);
    world.queue("thumbnail").visible(10);
    let one_each = json!({"maxContainersPerTask": 1, "maxTasks": 20});
    let config = config(&[worker("thumbnail", &json!({"messagesPerContainer": 1}), &one_each)]);
    (world, config)
}

/// ECS is eventually consistent: right after `RunTask` its lists may not show the tasks.
fn list_nothing_once(world: &World) {
    world.fail("ListTasks", 1, Fault::Answer(json!({"taskArns": []})));
}

#[tokio::test(start_paused = true)]
async fn a_repeated_event_starts_nothing_though_ecs_lists_nothing_yet() {
    let (world, config) = ten_messages();
    let _ = tick(&scaler(&world, &config), &world, 0).await;
    list_nothing_once(&world);
    let again = tick(&scaler(&world, &config), &world, 0).await;
    assert_eq!(world.tasks().len(), 10);
    assert_eq!(only_worker(&again).outcome, Outcome::Launched);
}

#[tokio::test(start_paused = true)]
async fn a_repeated_event_that_sees_other_numbers_adopts_what_is_there() {
    let (world, config) = ten_messages();
    let _ = tick(&scaler(&world, &config), &world, 0).await;
    list_nothing_once(&world);
    world.queue("thumbnail").visible(7);
    let again = tick(&scaler(&world, &config), &world, 0).await;
    assert_eq!(world.tasks().len(), 10);
    let launched = &only_worker(&again).launched[0];
    assert_eq!((launched.tasks.len(), launched.adopted.len()), (0, 10));
    assert_eq!(again.totals.launched_tasks, Tasks(0));
}

#[tokio::test(start_paused = true)]
async fn a_repeated_event_that_sees_the_first_ones_tasks_starts_nothing() {
    let (world, config) = ten_messages();
    let _ = tick(&scaler(&world, &config), &world, 0).await;
    world.queue("thumbnail").visible(20);
    let again = tick(&scaler(&world, &config), &world, 0).await;
    assert_eq!(world.tasks().len(), 10);
    let report = only_worker(&again);
    assert_eq!(report.outcome, Outcome::Idle);
    assert!(report.warnings[0].contains("earlier delivery of this tick"), "{report:?}");
    let next = tick(&scaler(&world, &config), &world, 1).await;
    assert_eq!(next.totals.launched_tasks, Tasks(10));
}

#[tokio::test(start_paused = true)]
async fn a_warm_function_remembers_what_ecs_does_not_list_yet() {
    let (world, config) = ten_messages();
    let function = scaler(&world, &config);
    let _ = tick(&function, &world, 0).await;

    list_nothing_once(&world);
    let next = tick(&function, &world, 1).await;
    assert_eq!(only_worker(&next).alive.unwrap().containers, Containers(10));

    list_nothing_once(&world);
    let unknown = json!({"tasks": [], "failures": [{"reason": "MISSING"}]});
    world.fail("DescribeTasks", 1, Fault::Answer(unknown));
    let after = tick(&function, &world, 2).await;
    assert_eq!(only_worker(&after).alive.unwrap().containers, Containers(10));
    assert_eq!(world.tasks().len(), 10);
}

#[tokio::test(start_paused = true)]
async fn what_a_warm_function_remembers_and_ecs_has_stopped_is_not_alive() {
    let (world, config) = ten_messages();
    let function = scaler(&world, &config);
    let _ = tick(&function, &world, 0).await;
    world.all_stop();
    let next = tick(&function, &world, 1).await;
    assert_eq!(next.totals.launched_tasks, Tasks(10));
}

#[tokio::test(start_paused = true)]
async fn what_was_launched_and_never_shows_is_forgotten_after_five_minutes() {
    let (world, config) = ten_messages();
    let function = scaler(&world, &config);
    let _ = tick(&function, &world, 0).await;
    for (minute, alive) in [(4, 10), (5, 0)] {
        list_nothing_once(&world);
        let unknown = json!({"tasks": [], "failures": [{"reason": "MISSING"}]});
        world.fail("DescribeTasks", 1, Fault::Answer(unknown));
        let report = tick(&function, &world, minute).await;
        assert_eq!(only_worker(&report).alive.unwrap().containers, Containers(alive));
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_asked_again_under_its_token() {
    let (world, config) = ten_messages();
    world.fail("RunTask", 1, Fault::LostAnswer);
    let report = tick(&scaler(&world, &config), &world, 0).await;
    assert_eq!(world.count("RunTask"), 2);
    assert_eq!(world.tasks().len(), 10);
    assert_eq!(report.totals.launched_tasks, Tasks(10));
}

#[tokio::test(start_paused = true)]
async fn the_next_tick_has_tokens_of_its_own() {
    let (world, config) = ten_messages();
    let _ = tick(&scaler(&world, &config), &world, 0).await;
    world.all_stop();
    let next = tick(&scaler(&world, &config), &world, 1).await;
    assert_eq!(next.totals.launched_tasks, Tasks(10));
}

#[tokio::test(start_paused = true)]
async fn only_what_was_placed_counts_and_the_rest_is_told() {
    let (world, config) = ten_messages();
    world.fail("RunTask", 1, Fault::Placed(3, "RESOURCE:MEMORY"));
    let report = tick(&scaler(&world, &config), &world, 0).await;
    let worker = only_worker(&report);
    assert_eq!((worker.outcome, worker.deferred), (Outcome::Partial, Containers(7)));
    assert_eq!(worker.failures[0].to_string(), "7 x RESOURCE:MEMORY");
    assert_eq!(report.totals.launched_tasks, Tasks(3));
    assert_eq!(report.failure(), None, "the next tick tries the rest");
    world.take_calls();
    let _ = tick(&scaler(&world, &config), &world, 1).await;
    assert_eq!(batches(&world), [7]);
}

#[tokio::test(start_paused = true)]
async fn what_a_rung_cannot_place_is_tried_on_the_next() {
    let (world, mut config) = ten_messages();
    config["workers"][0]["capacity"] =
        json!([{"capacityProvider": "FARGATE_SPOT"}, {"capacityProvider": "FARGATE"}]);
    world.fail("RunTask", 1, Fault::Placed(4, "Capacity is unavailable at this time."));
    let report = tick(&scaler(&world, &config), &world, 0).await;
    assert_eq!(report.totals.launched_tasks, Tasks(10));
    let on = |name: &str| {
        world.tasks().iter().filter(|task| task["capacityProviderName"] == name).count()
    };
    assert_eq!((on("FARGATE_SPOT"), on("FARGATE")), (4, 6));
}

#[tokio::test(start_paused = true)]
async fn a_repeated_event_goes_down_no_ladder_a_second_time() {
    let (world, mut config) = ten_messages();
    config["workers"][0]["capacity"] =
        json!([{"capacityProvider": "FARGATE_SPOT"}, {"capacityProvider": "FARGATE"}]);
    world.queue("thumbnail").visible(4);
    let _ = tick(&scaler(&world, &config), &world, 0).await;
    list_nothing_once(&world);
    world.queue("thumbnail").visible(9);
    let again = tick(&scaler(&world, &config), &world, 0).await;
    assert_eq!(world.tasks().len(), 4);
    let report = only_worker(&again);
    assert_eq!((report.outcome, report.deferred), (Outcome::Partial, Containers(5)));
}

/// The SDK has no kind for it, and a function that Lambda froze may meet it at its next call.
#[tokio::test(start_paused = true)]
async fn a_connection_that_closes_before_the_answer_starts_nothing_on_the_next_rung() {
    for (times, outcome) in [(1, Outcome::Launched), (3, Outcome::Failed)] {
        let (world, mut config) = ten_messages();
        config["workers"][0]["capacity"] =
            json!([{"capacityProvider": "FARGATE_SPOT"}, {"capacityProvider": "FARGATE"}]);
        world.fail("RunTask", times, Fault::Closed);
        let function = scaler(&world, &config);
        let report = tick(&function, &world, 0).await;
        assert_eq!((world.tasks().len(), only_worker(&report).outcome), (10, outcome));
        assert_eq!(world.count("RunTask"), times.min(2) + 1, "asked again under the same token");
        list_nothing_once(&world);
        let _ = tick(&function, &world, 1).await;
        assert_eq!(world.tasks().len(), 10, "what may be there counts");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_names_nothing_counts_as_none() {
    let (world, mut config) = ten_messages();
    config["workers"][0]["capacity"] =
        json!([{"capacityProvider": "FARGATE_SPOT"}, {"capacityProvider": "FARGATE"}]);
    world.fail("RunTask", 1, Fault::Answer(json!({"tasks": [], "failures": []})));
    let report = tick(&scaler(&world, &config), &world, 0).await;
    assert_eq!(world.count("RunTask"), 1, "no second rung: {report:?}");
    let errors = only_worker(&report).errors.join("\n");
    assert!(errors.contains("the answer names no task and no failure"), "{errors}");
}

#[tokio::test(start_paused = true)]
async fn equal_failures_are_told_once_with_their_number() {
    let (world, config) = ten_messages();
    let failure = |detail: &str| json!({"reason": "RESOURCE:CPU", "detail": detail});
    let failures = json!([failure("a"), failure("b"), failure("a")]);
    world.fail("RunTask", 1, Fault::Answer(json!({"tasks": [], "failures": failures})));
    let report = tick(&scaler(&world, &config), &world, 0).await;
    let told: Vec<_> = only_worker(&report).failures.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["2 x RESOURCE:CPU (a)", "1 x RESOURCE:CPU (b)"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_placed_is_a_failure() {
    let (world, config) = ten_messages();
    world.fail("RunTask", 1, Fault::Placed(0, "RESOURCE:ENI"));
    let report = tick(&scaler(&world, &config), &world, 0).await;
    assert_eq!(only_worker(&report).outcome, Outcome::Failed);
    let failure = report.failure().unwrap();
    assert_eq!(failure, "1 of 1 workers failed\nthumbnail: ECS placed no task: 10 x RESOURCE:ENI");
}

#[tokio::test(start_paused = true)]
async fn a_new_base_revision_is_derived_once_and_replaces_the_old_one() {
    let world = world_of(&["thumbnail"]);
    world.queue("thumbnail").visible(4);
    let four = json!({"strategy": "dense", "maxContainersPerTask": 4});
    let config = config(&[worker("thumbnail", &json!({"messagesPerContainer": 1}), &four)]);
    for minute in 0..4 {
        if minute == 2 {
            world.register(&definition("thumbnail"));
        }
        world.all_stop();
        let _ = tick(&scaler(&world, &config), &world, minute).await;
    }
    assert_eq!(world.count("RegisterTaskDefinition"), 2);
    assert_eq!(world.count("DeregisterTaskDefinition"), 1);
    let [active] = world.active_revisions("thumbnail--x4").try_into().unwrap();
    assert_eq!(active["revision"], 2);
}

#[tokio::test(start_paused = true)]
async fn two_workers_of_one_family_register_it_once() {
    let world = world_of(&["a"]);
    world.queue("a").visible(4);
    world.queue("b").visible(4);
    let four = json!({"strategy": "dense", "maxContainersPerTask": 4});
    let one = json!({"messagesPerContainer": 1});
    let mut workers = ["a", "b"].map(|name| worker(name, &one, &four));
    workers[1]["taskDefinition"] = json!("a");
    let report = tick(&scaler(&world, &config(&workers)), &world, 0).await;
    assert_eq!(report.totals.launched_tasks, Tasks(2));
    assert_eq!(world.count("RegisterTaskDefinition"), 1);
}
