//! Tasks of several containers for which the instances have no room.

use decision::units::Containers;
use ecs_queue_scaler::report::{Outcome, Report};
use serde_json::{Value, json};

use super::{config, groups, only_worker, scaler, tick, worker, world_of};
use crate::world::{Executed, Fault, World};

const NO_ROOM: &str = "RESOURCE:MEMORY";

/// Ninety messages and tasks of three on instances, whose larger tasks meet this.
fn world(messages: u64, fault: Option<Fault>) -> World {
    let world = World::default();
    world.cluster("jobs");
    world.queue("a").visible(messages);
    world.register(&json!({"family": "a", "containerDefinitions": [
        {"name": "worker", "image": "worker:1", "memory": 1024}]}));
    if let Some(fault) = fault {
        world.fail_where("RunTask", "a--x3", (99, fault));
    }
    world
}

fn threes(more: &Value) -> Value {
    let mut packing = json!({"maxContainersPerTask": 3});
    packing.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let scaling = json!({"messagesPerContainer": 1, "maxContainers": 1000});
    let mut config = config(&[worker("a", &scaling, &packing)]);
    config["launch"] = json!({"launchType": "EC2"});
    config
}

async fn report(world: &World, more: &Value) -> Report {
    tick(&scaler(world, &threes(more)), world, 0).await
}

#[tokio::test(start_paused = true)]
async fn what_has_no_room_in_threes_is_started_one_by_one() {
    let world = world(90, Some(Fault::Placed(0, NO_ROOM)));
    let report = report(&world, &json!({})).await;
    let worker = only_worker(&report);
    assert_eq!((groups(worker), worker.outcome), (vec![(90, 1)], Outcome::Launched), "{worker:?}");
    assert_eq!(worker.deferred, Containers(0));
    assert_eq!(world.count("RunTask"), 1 + 9, "one tells that there is no room");
    let warning = worker.warnings.join("; ");
    assert!(
        warning.contains("ECS takes no more tasks of 3 containers (10 x RESOURCE:MEMORY"),
        "{warning}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_has_room_stays_as_it_is() {
    let world = world(90, Some(Fault::Placed(4, NO_ROOM)));
    let report = report(&world, &json!({})).await;
    // Three calls that place four of ten each leave eighteen tasks of three.
    assert_eq!(groups(only_worker(&report)), [(12, 3), (54, 1)]);
    assert_eq!(report.totals.launched_containers, Containers(90));
}

/// Its tasks may be there.
#[tokio::test(start_paused = true)]
async fn nothing_is_started_in_the_place_of_a_call_without_an_answer() {
    for fault in [Fault::Hang(Executed::No), Fault::LostAnswer] {
        let world = world(30, Some(fault));
        let report = report(&world, &json!({})).await;
        assert!(groups(only_worker(&report)).iter().all(|(_, n)| *n == 3), "{report:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_there_is_no_room_at_all_it_is_asked_for_twice() {
    let world = world(90, None);
    world.fail("RunTask", 99, Fault::Placed(0, NO_ROOM));
    let report = report(&world, &json!({})).await;
    let worker = only_worker(&report);
    assert_eq!((world.count("RunTask"), worker.outcome), (2, Outcome::Failed));
    assert_eq!(worker.deferred, Containers(90));
    let told = &worker.errors[0];
    assert!(
        told.contains("a task has 3 containers; packing.maxContainersPerTask lowers that"),
        "{told}"
    );
}

/// How AWS counts the bytes of a definition is not documented.
#[tokio::test(start_paused = true)]
async fn what_ecs_does_not_register_is_started_one_by_one() {
    let world = world_of(&["a"]);
    world.queue("a").visible(6);
    let refused = Fault::Error(400, "ClientException", "Task definition is too large".to_owned());
    world.fail("RegisterTaskDefinition", 9, refused);
    let three = json!({"strategy": "dense", "maxContainersPerTask": 4, "completion": "any"});
    let config = config(&[worker("a", &json!({"messagesPerContainer": 1}), &three)]);
    let report = tick(&scaler(&world, &config), &world, 0).await;
    let worker = only_worker(&report);
    assert_eq!((groups(worker), worker.errors.len()), (vec![(2, 1)], 0), "{worker:?}");
    assert!(worker.warnings.join("; ").contains("Task definition is too large"), "{worker:?}");

    // Who may not register hears of that, and nothing else.
    let world = world_of(&["a"]);
    world.queue("a").visible(6);
    let denied = Fault::Error(400, "AccessDeniedException", "not authorized".to_owned());
    world.fail("RegisterTaskDefinition", 9, denied);
    let report = tick(&scaler(&world, &config), &world, 0).await;
    assert_eq!((groups(only_worker(&report)), world.tasks().len()), (vec![], 0));
}

/// A cap counts tasks, of whichever size.
#[tokio::test(start_paused = true)]
async fn no_cap_is_exceeded_by_smaller_tasks() {
    let world = world(90, Some(Fault::Placed(2, NO_ROOM)));
    let report = report(&world, &json!({"maxTasks": 10})).await;
    let worker = only_worker(&report);
    assert_eq!((groups(worker), world.tasks().len()), (vec![(2, 3), (8, 1)], 10));
    // Eight ones are two threes and some: what is left is told in whole tasks.
    assert_eq!(worker.deferred, Containers(90 - 6 - 6));

    let mut config = threes(&json!({}));
    config["maxTasksPerTick"] = json!(12);
    let world = self::world(90, Some(Fault::Placed(0, NO_ROOM)));
    let _ = tick(&scaler(&world, &config), &world, 0).await;
    assert_eq!(world.tasks().len(), 12);
}

#[tokio::test(start_paused = true)]
async fn a_repeated_tick_starts_no_more() {
    let world = world(30, Some(Fault::Placed(3, NO_ROOM)));
    let first = report(&world, &json!({})).await;
    assert_eq!(first.totals.launched_containers, Containers(30));
    let _ = report(&world, &json!({})).await;
    assert_eq!(world.tasks().len(), 3 + 21, "by another process, which remembers nothing");
}

/// Each has seen another depth, and plans another number of calls. Whether ECS keeps the token of a call
/// that started nothing is not documented: here it does not.
#[tokio::test(start_paused = true)]
async fn two_deliveries_that_planned_differently_meet_on_the_first_smaller_task() {
    for (messages, others) in [(4, 5), (30, 300), (300, 30)] {
        let no_room = json!({"tasks": [], "failures": [{"reason": NO_ROOM}]});
        let world = world(messages, Some(Fault::Answer(no_room)));
        let first = report(&world, &json!({})).await;
        assert_eq!(first.totals.launched_containers, Containers(u32::try_from(messages).unwrap()));
        world.fail("ListTasks", 2, Fault::Answer(json!({"taskArns": []})));
        world.queue("a").visible(others);
        let second = report(&world, &json!({})).await;
        assert_eq!(second.totals.launched_containers, Containers(0), "{second:?}");
        assert_eq!(world.tasks().len(), usize::try_from(messages).unwrap());
    }
}

/// The one could register what the other could not.
#[tokio::test(start_paused = true)]
async fn who_could_not_register_takes_the_tick_by_the_first_token_all_the_same() {
    let world = world_of(&["a"]);
    world.queue("a").visible(8);
    let refused = Fault::Error(400, "ClientException", "Task definition is too large".to_owned());
    world.fail("RegisterTaskDefinition", 1, refused);
    let four = json!({"strategy": "dense", "maxContainersPerTask": 4});
    let config = config(&[worker("a", &json!({"messagesPerContainer": 1}), &four)]);
    let first = tick(&scaler(&world, &config), &world, 0).await;
    assert_eq!(groups(only_worker(&first)), [(2, 1)]);
    world.fail("ListTasks", 2, Fault::Answer(json!({"taskArns": []})));
    let second = tick(&scaler(&world, &config), &world, 0).await;
    let [launched] = only_worker(&second).launched.as_slice() else { panic!("{second:?}") };
    assert_eq!((world.tasks().len(), launched.tasks.len()), (2, 0), "it adopts what is there");
}

/// Nor of those that follow one that had no room.
#[tokio::test(start_paused = true)]
async fn nothing_is_started_in_the_place_of_calls_that_may_have_been_made() {
    let world = world(90, None);
    world.fail_where("RunTask", "a--x3", (1, Fault::Placed(4, NO_ROOM)));
    world.fail_where("RunTask", "a--x3", (99, Fault::Hang(Executed::Yes)));
    let report = report(&world, &json!({})).await;
    assert_eq!(groups(only_worker(&report)), [(4, 3)], "{report:?}");
    assert_eq!(world.tasks().len(), 4 + 10 + 10);
}

/// What may be there counts under a cap.
#[tokio::test(start_paused = true)]
async fn a_call_without_an_answer_counts_under_the_caps_of_smaller_tasks() {
    let world = world(14, Some(Fault::Placed(0, NO_ROOM)));
    world.fail_where("RunTask", "a--x2", (1, Fault::LostAnswer));
    let report = report(&world, &json!({"maxTasks": 5})).await;
    assert!(world.tasks().len() <= 5, "{report:?}");
}

/// A capacity provider accepts them, and its instances are too small.
#[tokio::test(start_paused = true)]
async fn what_found_no_instance_after_ecs_had_accepted_it_is_started_one_by_one() {
    let world = world(9, None);
    let function = scaler(&world, &threes(&json!({})));
    let first = tick(&function, &world, 0).await;
    assert_eq!(groups(only_worker(&first)), [(3, 3)]);
    world.all_end("TaskFailedToStart", "TaskFailedToStart: RESOURCE:MEMORY", None);
    let second = tick(&function, &world, 1).await;
    let worker = only_worker(&second);
    assert_eq!(groups(worker), [(9, 1)], "{worker:?}");
    assert_eq!(
        worker.warnings,
        ["ECS has accepted tasks of 3 containers and found no instance for them: tasks of one \
             are started in their place within the hour; lower packing.maxContainersPerTask if \
             this goes on"]
    );
    world.all_run();
    world.all_end("EssentialContainerExited", "", Some(0));
    world.queue("a").visible(3);
    let later = tick(&function, &world, 65).await;
    assert_eq!(groups(only_worker(&later)), [(1, 3)], "another try: {later:?}");
}

/// A failure of another kind says nothing about room.
#[tokio::test(start_paused = true)]
async fn who_failed_for_another_reason_keeps_its_size() {
    let world = world(6, None);
    let function = scaler(&world, &threes(&json!({})));
    let _ = tick(&function, &world, 0).await;
    world.all_end("TaskFailedToStart", "CannotPullContainerError: not found", None);
    let second = tick(&function, &world, 1).await;
    assert_eq!(groups(only_worker(&second)), [(2, 3)], "{second:?}");
}
