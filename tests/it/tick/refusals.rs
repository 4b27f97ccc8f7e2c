//! What AWS's words mean for a tick: the same code may ask for a pause, for another capacity, or for a
//! person.

use std::time::Duration;

use decision::refusal::Cause;
use decision::units::{Containers, Tasks};
use ecs_queue_scaler::report::{Outcome, Report};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    batches, config, definition, definition_for_both, groups, one_task_a_message, only_worker,
    scaler, started, tick, worker, world_of,
};
use crate::world::buckets::Buckets;
use crate::world::{Fault, World};

const THROTTLED_BY_EC2: [&str; 2] = [
    "Error retrieving subnet information for [subnet-1]: Rate exceeded (ErrorCode: Throttling)",
    "Error retrieving security group information for [sg-1]: Request limit exceeded. (ErrorCode: \
     RequestLimitExceeded)",
];
const NOT_ASSOCIATED: &str = "The specified capacity provider strategy cannot contain a capacity \
                              provider that is not associated with the cluster.";
const QUOTA: &str = "You've reached the limit on the number of vCPUs you can run concurrently";

/// Workers of one task a message, by name and messages.
fn workers(of: &[(&str, u64)]) -> (World, Value) {
    one_task_a_message(of, 400)
}

/// The same on Spot, and on what Spot does not place.
fn on_a_ladder(of: &[(&str, u64)]) -> (World, Value) {
    let (world, mut config) = workers(of);
    for worker in config["workers"].as_array_mut().unwrap() {
        worker["capacity"] =
            json!([{"capacityProvider": "FARGATE_SPOT"}, {"capacityProvider": "FARGATE"}]);
    }
    (world, config)
}

fn error(code: &'static str, message: &str) -> Fault {
    Fault::Error(400, code, message.to_owned())
}

fn on(world: &World, provider: &str) -> usize {
    world.tasks().iter().filter(|task| task["capacityProviderName"] == provider).count()
}

fn told(report: &Report) -> Vec<String> {
    only_worker(report).failures.iter().map(ToString::to_string).collect()
}

#[tokio::test(start_paused = true)]
async fn ec2s_throttling_in_the_words_of_another_error_is_waited_for() {
    for words in THROTTLED_BY_EC2 {
        let (world, config) = workers(&[("a", 25)]);
        world.fail("RunTask", 2, error("InvalidParameterException", words));
        let report = tick(&scaler(&world, &config), &world, 0).await;
        assert_eq!((started(only_worker(&report)), report.failure()), (25, None), "{words}");
        assert_eq!((report.totals.throttles, world.count("DescribeTaskDefinition")), (2, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn ec2s_throttling_buys_no_dearer_capacity() {
    for words in THROTTLED_BY_EC2 {
        let (world, config) = on_a_ladder(&[("a", 25)]);
        let throttled = error("InvalidParameterException", words);
        world.fail_where("RunTask", "\"FARGATE_SPOT\"", (2, throttled));
        let _ = tick(&scaler(&world, &config), &world, 0).await;
        assert_eq!((on(&world, "FARGATE_SPOT"), on(&world, "FARGATE")), (25, 0), "{words}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_neighbours_throttling_bars_no_capacity() {
    let (world, config) = workers(&[("a", 5), ("b", 45)]);
    let throttled = error("InvalidParameterException", THROTTLED_BY_EC2[1]);
    world.fail_where("RunTask", "worker:a", (9, throttled));
    let report = tick(&scaler(&world, &config), &world, 0).await;
    assert_eq!(report.workers.iter().map(started).collect::<Vec<_>>(), [0, 45]);
}

/// Another rung would run it at another price, and nobody would hear of the mistake.
#[tokio::test(start_paused = true)]
async fn a_mistake_is_told_as_one_and_no_other_capacity_is_bought_in_its_place() {
    let (world, mut config) = workers(&[("a", 25)]);
    world.register(&definition_for_both("a"));
    config["workers"][0]["capacity"] =
        json!([{"capacityProvider": "mine"}, {"capacityProvider": "FARGATE"}]);
    let refused = error("InvalidParameterException", NOT_ASSOCIATED);
    world.fail_where("RunTask", "\"mine\"", (99, refused));
    let report = tick(&scaler(&world, &config), &world, 0).await;
    let worker = only_worker(&report);
    assert_eq!((worker.outcome, world.tasks().len()), (Outcome::Failed, 0));
    assert_eq!((world.count("RunTask"), world.count("DescribeTaskDefinition")), (1, 1));
    assert!(worker.errors[0].contains("not associated"), "{worker:?}");
    assert_eq!(worker.failures, [], "it is no shortage");
}

#[tokio::test(start_paused = true)]
async fn a_quota_that_is_told_as_an_error_is_asked_for_once_a_tick_by_all_workers() {
    let (world, config) = workers(&[("a", 5), ("b", 25), ("c", 5)]);
    world.fail("RunTask", 99, error("ClientException", QUOTA));
    let report = tick(&scaler(&world, &config), &world, 0).await;
    assert_eq!((world.count("RunTask"), world.count("DescribeTaskDefinition")), (1, 3));
    for worker in &report.workers {
        assert_eq!(worker.outcome, Outcome::Failed);
        assert_eq!(worker.failures[0].shortage, Cause::Quota, "{worker:?}");
        assert!(worker.errors[0].starts_with("ECS placed no task"), "{worker:?}");
    }
    world.forget_faults();
    let next = tick(&scaler(&world, &config), &world, 1).await;
    assert_eq!(next.totals.launched_tasks, Tasks(35), "the next tick asks anew");
}

#[tokio::test(start_paused = true)]
async fn a_quota_of_one_capacity_leaves_the_other_to_all_workers() {
    let (world, mut config) = on_a_ladder(&[("a", 5), ("b", 25), ("c", 5)]);
    world.cluster("elsewhere");
    config["workers"][2]["cluster"] = json!("elsewhere");
    world.fail_where("RunTask", "\"FARGATE_SPOT\"", (99, error("ClientException", QUOTA)));
    let report = tick(&scaler(&world, &config), &world, 0).await;
    assert_eq!(report.workers.iter().map(started).collect::<Vec<_>>(), [5, 25, 5]);
    let calls = world.take_calls().into_iter().filter(|call| call.operation == "RunTask");
    let spot = calls.filter(|call| call.input.to_string().contains("FARGATE_SPOT")).count();
    assert_eq!((spot, on(&world, "FARGATE")), (1, 35), "the quota is the account's");
}

#[tokio::test(start_paused = true)]
async fn a_shortage_that_is_told_as_an_error_is_a_shortage() {
    let gone = "Capacity is unavailable at this time. Please try again later or in a different \
                availability zone";
    let (world, config) = on_a_ladder(&[("a", 4)]);
    world.fail("RunTask", 2, error("ClientException", gone));
    let report = tick(&scaler(&world, &config), &world, 0).await;
    assert_eq!(world.count("RunTask"), 2, "each rung is asked once");
    let failures = &only_worker(&report).failures;
    assert!(failures.iter().all(|failed| failed.shortage == Cause::NoRoom), "{failures:?}");
    assert_eq!(failures.iter().map(|failed| failed.tasks).sum::<Tasks>(), Tasks(8));
}

#[tokio::test(start_paused = true)]
async fn where_there_are_no_instances_it_is_told_what_makes_a_provider_scale() {
    let (world, mut config) = workers(&[("a", 4)]);
    world.register(&definition_for_both("a"));
    config["launch"]["launchType"] = json!("EC2");
    let none =
        error("InvalidParameterException", "No Container Instances were found in your cluster.");
    world.fail("RunTask", 9, none);
    let report = tick(&scaler(&world, &config), &world, 0).await;
    let [failed] = only_worker(&report).failures.as_slice() else { panic!("{report:?}") };
    assert_eq!((failed.shortage, failed.tasks), (Cause::NoRoom, Tasks(4)));
    assert!(failed.to_string().contains("name it in `capacity`"), "{failed}");
}

/// Nothing was registered, so that asking again makes no second revision.
#[tokio::test(start_paused = true)]
async fn a_registration_that_met_another_one_is_repeated_after_a_pause() {
    let world = world_of(&["a"]);
    world.queue("a").visible(4);
    let dense = json!({"strategy": "dense", "maxContainersPerTask": 4});
    let config = config(&[worker("a", &json!({"messagesPerContainer": 1}), &dense)]);
    let words = "Too many concurrent attempts to create a new revision of the specified family.";
    world.fail("RegisterTaskDefinition", 2, error("ClientException", words));
    let report = tick(&scaler(&world, &config), &world, 0).await;
    assert_eq!((only_worker(&report).outcome, report.failure()), (Outcome::Launched, None));
    assert_eq!(world.active_revisions("a--x4").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn where_the_first_call_was_placed_in_part_the_others_are_made() {
    let refusals = [
        error("AccessDeniedException", "not authorized to perform: ecs:RunTask"),
        error("ClientException", QUOTA),
        error("ACodeOfNextYear", "words of next year"),
    ];
    for refused in refusals {
        let (world, config) = on_a_ladder(&[("a", 45)]);
        world.fail("RunTask", 1, Fault::Placed(5, "Capacity is unavailable at this time."));
        world.fail_where("RunTask", "\"FARGATE\"", (1, refused));
        let report = tick(&scaler(&world, &config), &world, 0).await;
        let worker = only_worker(&report);
        assert_eq!((worker.outcome, started(worker)), (Outcome::Partial, 40), "{worker:?}");
        assert_eq!(worker.deferred, Containers(5));
        assert_eq!(batches(&world), [10, 5, 10, 10, 10, 5]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_clusters_default_capacity_is_held_to_fargates_rates() {
    for (provider, compatibilities) in [
        ("FARGATE", json!(["FARGATE"])),
        ("FARGATE", json!(["EC2", "FARGATE"])),
        ("FARGATE_SPOT", json!(["EC2", "FARGATE"])),
    ] {
        let (_, mut config) = workers(&[("a", 400)]);
        config["launch"].as_object_mut().unwrap().remove("launchType");
        let world = world_of(&[]);
        let mut definition = definition("a");
        definition["requiresCompatibilities"] = compatibilities;
        world.register(&definition);
        world.queue("a").visible(400);
        world.default_capacity(provider);
        world.state().buckets = Some(Buckets::new(0.0));
        let began = Instant::now();
        let report = tick(&scaler(&world, &config), &world, 0).await;
        assert_eq!((report.totals.launched_tasks, report.totals.throttles), (Tasks(400), 0));
        let floor = Duration::from_secs(15);
        assert!(began.elapsed() <= floor.mul_f64(1.05), "{:?}", began.elapsed());
        assert_eq!(on(&world, provider), 400);
        assert_eq!(told(&report), [""; 0]);
    }
}

/// The first call meets the quota of Spot, and a later one a revision that somebody has replaced.
#[tokio::test(start_paused = true)]
async fn a_second_try_knows_which_quotas_the_first_has_met() {
    let (world, mut config) = workers(&[("a", 7)]);
    config["workers"][0]["packing"] = json!({"strategy": "dense", "maxContainersPerTask": 2});
    config["workers"][0]["capacity"] =
        json!([{"capacityProvider": "FARGATE_SPOT"}, {"capacityProvider": "FARGATE"}]);
    world.fail_where("RunTask", "FARGATE_SPOT", (9, Fault::Placed(0, LIMIT)));
    let inactive = error("ClientException", "TaskDefinition is inactive");
    world.fail_where("RunTask", "definition/a:1\"", (1, inactive));
    let report = tick(&scaler(&world, &config), &world, 0).await;
    assert_eq!(groups(only_worker(&report)), [(3, 2), (1, 1)], "{report:?}");
    let calls = world.take_calls();
    let on_spot = calls.iter().filter(|call| {
        call.operation == "RunTask" && call.input.to_string().contains("FARGATE_SPOT")
    });
    assert_eq!(on_spot.count(), 1, "{calls:?}");
}

const LIMIT: &str = "You've reached the limit on the number of vCPUs you can run";
