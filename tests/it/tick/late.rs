//! What ECS tells after it has accepted a task: a shortage of its rung, a registry's limit, and never a
//! fault of the worker.

use std::time::Duration;

use decision::refusal::Cause;
use decision::units::Tasks;
use ecs_queue_scaler::aws::Aws;
use ecs_queue_scaler::report::{Report, WorkerReport};
use ecs_queue_scaler::run::{Invocation, Scaler};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{
    config, definition_for_both, groups, only_worker, scaler, tick, ticked, worker, world_of,
};
use crate::world::{Fault, World};

const GONE: &str = "TaskFailedToStart: Capacity is unavailable at this time. Please try again later \
                    or in a different availability zone";
const PULLS: &str = "CannotPullContainerError: pull image manifest has been retried 5 times: \
                     toomanyrequests: Rate exceeded";

/// A worker of one task a message, on a ladder of these providers.
fn on(providers: &[&str], messages: u64) -> (World, Scaler) {
    let world = world_of(&["a"]);
    world.queue("a").visible(messages);
    let scaling = json!({"messagesPerContainer": 1, "maxContainers": 300});
    let mut config = config(&[worker("a", &scaling, &json!({"maxContainersPerTask": 1}))]);
    let rungs: Vec<Value> = providers.iter().map(|p| json!({"capacityProvider": p})).collect();
    config["workers"][0]["capacity"] = json!(rungs);
    let scaler = scaler(&world, &config);
    (world, scaler)
}

/// How many tasks were started in the ticks of these minutes, and on what.
fn started(world: &World, report: &Report) -> (u32, String) {
    let arns: Vec<_> = only_worker(report).launched.iter().flat_map(|l| &l.tasks).collect();
    let tasks = world.tasks();
    let of = |arn: &str| tasks.iter().find(|task| task["taskArn"] == arn).unwrap();
    let mut on: Vec<_> =
        arns.iter().map(|arn| of(arn.as_str())["capacityProviderName"].to_string()).collect();
    on.dedup();
    (report.totals.launched_tasks.0, on.join(" ").replace('"', ""))
}

fn why(worker: &WorkerReport) -> &str {
    worker.decision.as_ref().map(|decision| decision.why.as_str()).unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn a_rung_that_runs_short_after_all_is_left_out_for_a_while() {
    for reason in [GONE, "TaskFailedToStart: RESOURCE:MEMORY", "TaskFailedToStart: RESOURCE:ENI"] {
        let (world, function) = on(&["FARGATE_SPOT", "FARGATE"], 6);
        let first = tick(&function, &world, 0).await;
        assert_eq!(started(&world, &first), (6, "FARGATE_SPOT".to_owned()));
        world.all_end("TaskFailedToStart", reason, None);
        let second = tick(&function, &world, 1).await;
        assert_eq!(started(&world, &second), (6, "FARGATE".to_owned()), "{reason}");
        let worker = only_worker(&second);
        assert_eq!(worker.breaker, None, "it is no fault of the worker");
        assert!(
            why(worker).contains("; FARGATE_SPOT refused tasks after it had accepted them ("),
            "{worker:?}"
        );
        let [late] = worker.failures.as_slice() else { panic!("{worker:?}") };
        assert_eq!(late.tasks, Tasks(6));
        assert!(late.shortage.is_shortage() && late.reason == reason, "{late:?}");
        assert_eq!(late.detail.as_deref(), Some("reported after FARGATE_SPOT had accepted it"));

        world.queue("a").visible(7);
        let third = tick(&function, &world, 2).await;
        assert_eq!(started(&world, &third), (1, "FARGATE".to_owned()), "the pause lasts");
        assert_eq!(only_worker(&third).failures, [], "it is told once");
        world.queue("a").visible(10);
        let later = tick(&function, &world, 6).await;
        assert_eq!(started(&world, &later), (3, "FARGATE_SPOT".to_owned()), "it is over");
        assert!(!why(only_worker(&later)).contains("not asked"), "{later:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rung_that_stays_short_is_asked_less_and_less_often() {
    let (world, function) = on(&["FARGATE_SPOT", "FARGATE"], 1);
    let mut asked = Vec::new();
    for minute in 0..120 {
        let report = tick(&function, &world, minute).await;
        let (_, on) = started(&world, &report);
        if on == "FARGATE_SPOT" {
            asked.push(minute);
            world.all_end("TaskFailedToStart", GONE, None);
        } else {
            world.all_run();
            world.all_stop();
        }
    }
    assert!((4..=8).contains(&asked.len()), "{asked:?}");
    assert!(100 <= asked[asked.len() - 1], "it is never given up: {asked:?}");
}

#[tokio::test(start_paused = true)]
async fn where_there_is_no_other_rung_the_only_one_is_asked_again() {
    let (world, function) = on(&["FARGATE"], 6);
    for minute in 0..5 {
        let report = tick(&function, &world, minute).await;
        assert_eq!(started(&world, &report), (6, "FARGATE".to_owned()));
        assert_eq!(only_worker(&report).breaker, None);
        world.all_end("TaskFailedToStart", GONE, None);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_late_is_told_beside_what_this_tick_could_not_place() {
    let (world, function) = on(&["FARGATE_SPOT", "FARGATE"], 6);
    let _ = tick(&function, &world, 0).await;
    world.all_end("TaskFailedToStart", GONE, None);
    world.fail("RunTask", 1, Fault::Placed(0, "RESOURCE:ENI"));
    let report = tick(&function, &world, 1).await;
    let worker = only_worker(&report);
    assert_eq!(worker.errors, ["ECS placed no task: 6 x RESOURCE:ENI"]);
    let told: Vec<_> = worker.failures.iter().map(|f| (f.shortage, f.tasks.0)).collect();
    assert_eq!(told, [(Cause::NetworkInterface, 6), (Cause::NoRoom, 6)]);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_has_just_begun_leaves_the_rung_out_too() {
    let (world, function) = on(&["FARGATE_SPOT", "FARGATE"], 6);
    let _ = tick(&function, &world, 0).await;
    world.all_end("TaskFailedToStart", GONE, None);
    let (_, cold) = on(&["FARGATE_SPOT", "FARGATE"], 6);
    let cold = Scaler { aws: function.aws, ..cold };
    let report = tick(&cold, &world, 1).await;
    assert_eq!(started(&world, &report), (6, "FARGATE".to_owned()));
}

/// One delivery comes while the pause lasts and one when it is over: they ask different rungs under the
/// same token.
#[tokio::test(start_paused = true)]
async fn a_delivery_that_leaves_a_rung_out_and_one_that_does_not_start_no_more_than_one_of_them() {
    for whose in [[4, 6], [6, 4]] {
        let (world, function) = on(&["FARGATE_SPOT", "FARGATE"], 6);
        let _ = tick(&function, &world, 0).await;
        world.all_end("TaskFailedToStart", GONE, None);
        let event = json!({"scheduledTime": "2026-11-20T21:05:00Z"});
        let mut launched = Vec::new();
        for (process, minute) in (1..).zip(whose) {
            // The later one knows nothing of the other's tasks.
            world.fail("ListTasks", 1, Fault::Answer(json!({"taskArns": []})));
            world.reach(Duration::from_mins(4)).await;
            let (_, cold) = on(&["FARGATE_SPOT", "FARGATE"], 6);
            let cold = Scaler { aws: Aws::new(&world.seen_by(process).sdk_config()), ..cold };
            let now = world.now() + SignedDuration::from_mins(minute - 4);
            let of = Invocation::new("request", now, 0);
            launched.push(ticked(&cold, &event, &of).await.totals.launched_tasks.0);
        }
        assert_eq!(launched, [6, 0], "{whose:?}");
        assert_eq!(world.tasks().len(), 6);
    }
}

/// The provider's instances come in minutes, or the group is at its end.
#[tokio::test(start_paused = true)]
async fn a_task_that_waits_for_instances_is_no_stuck_one_and_the_next_begin_a_rung_lower() {
    let (world, function) = on(&["instances", "FARGATE"], 4);
    world.register(&definition_for_both("a"));
    let first = tick(&function, &world, 0).await;
    assert_eq!(started(&world, &first), (4, "instances".to_owned()));
    let calm = tick(&function, &world, 14).await;
    assert_eq!((started(&world, &calm).0, &only_worker(&calm).stuck), (0, &vec![]));
    world.queue("a").visible(6);
    let late = tick(&function, &world, 16).await;
    assert_eq!(started(&world, &late), (2, "FARGATE".to_owned()));
    assert_eq!(only_worker(&late).stuck, [], "they may come still");
    let over = tick(&function, &world, 30).await;
    assert_eq!(started(&world, &over), (4, "FARGATE".to_owned()));
    let worker = only_worker(&over);
    assert_eq!((worker.stuck.len(), &worker.breaker), (4, &None), "it is no fault of the worker");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_waits_for_fargate_is_stuck_as_ever() {
    let (world, function) = on(&["FARGATE_SPOT", "FARGATE"], 4);
    let _ = tick(&function, &world, 0).await;
    let late = tick(&function, &world, 16).await;
    assert_eq!(only_worker(&late).stuck.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_registrys_limit_is_waited_for_and_opens_no_breaker() {
    let (world, function) = on(&["FARGATE"], 6);
    let _ = tick(&function, &world, 0).await;
    world.all_end("TaskFailedToStart", PULLS, None);
    let mut launched = Vec::new();
    for minute in 1..=20 {
        let report = tick(&function, &world, minute).await;
        let worker = only_worker(&report);
        assert_eq!(worker.breaker, None);
        if 0 < report.totals.launched_tasks.0 {
            launched.push(minute);
            world.all_end("TaskFailedToStart", PULLS, None);
        } else {
            assert!(why(worker).contains("a registry has too many pulls"), "{worker:?}");
        }
        if minute == 1 {
            assert_eq!(worker.failures[0].shortage, Cause::Throttled);
        }
    }
    assert_eq!(launched, [1, 2, 4, 8, 16], "as long again as it has lasted");
    let report = tick(&function, &world, 32).await;
    assert_eq!(report.totals.launched_tasks, Tasks(6));
    world.all_run();
    world.queue("a").visible(9);
    let report = tick(&function, &world, 33).await;
    assert_eq!(report.totals.launched_tasks, Tasks(3), "it gives images again");
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_aws_puts_into_a_task_and_cannot_pull_is_no_fault_of_the_worker() {
    let (world, function) = on(&["FARGATE"], 4);
    for minute in 0..3 {
        let report = tick(&function, &world, minute).await;
        assert_eq!(report.totals.launched_tasks, Tasks(4));
        assert_eq!(only_worker(&report).breaker, None);
        let agent = json!({"name": "aws-guardduty-agent-x", "lastStatus": "STOPPED",
            "reason": "CannotPullContainerError: not found"});
        world.inject(&agent);
        world.all_end("TaskFailedToStart", "CannotPullContainerError: not found", None);
    }
}

/// A task of several needs one address, as a task of one does.
#[tokio::test(start_paused = true)]
async fn where_addresses_run_out_the_next_tasks_are_fewer_and_cost_the_same() {
    let world = world_of(&["a"]);
    world.queue("a").visible(8);
    let function =
        scaler(&world, &config(&[worker("a", &json!({"messagesPerContainer": 1}), &json!({}))]));
    let first = tick(&function, &world, 0).await;
    assert_eq!(groups(only_worker(&first)), [(8, 1)]);
    let none = "TaskFailedToStart: Unexpected EC2 error while attempting to Create Network Interface \
                in subnet 'subnet-1': InsufficientFreeAddressesInSubnet";
    world.all_end("TaskFailedToStart", none, None);
    let second = tick(&function, &world, 1).await;
    let worker = only_worker(&second);
    assert_eq!(groups(worker), [(1, 8)], "{worker:?}");
    assert!(why(worker).contains("ran out of addresses"), "{}", why(worker));
    world.all_run();
    world.all_stop();
    let later = tick(&function, &world, 12).await;
    assert_eq!(groups(only_worker(&later)), [(8, 1)], "what was is over");
}

#[tokio::test(start_paused = true)]
async fn so_they_are_where_a_call_is_refused_for_want_of_one() {
    let world = world_of(&["a"]);
    world.queue("a").visible(8);
    let function =
        scaler(&world, &config(&[worker("a", &json!({"messagesPerContainer": 1}), &json!({}))]));
    world.fail("RunTask", 1, Fault::Placed(0, "RESOURCE:ENI"));
    let first = tick(&function, &world, 0).await;
    assert_eq!(groups(only_worker(&first)), []);
    let second = tick(&function, &world, 1).await;
    assert_eq!(groups(only_worker(&second)), [(1, 8)], "{second:?}");
    world.all_run();
    world.all_stop();
    let later = tick(&function, &world, 12).await;
    assert_eq!(groups(only_worker(&later)), [(8, 1)], "what was is over");
}
