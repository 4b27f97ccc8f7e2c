//! What keeps a tick from doing harm: time, rates, bounds over all workers, what failed before.

use std::time::Duration;

use decision::refusal::Cause;
use decision::units::{Containers, Tasks};
use ecs_queue_scaler::aws::Aws;
use ecs_queue_scaler::report::Outcome;
use ecs_queue_scaler::run::{Invocation, RunError, Scaler};
use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    batches, config, definition, definition_for_both, invocation, one_task_a_message, only_worker,
    scaler, started, tick, ticked, worker, world_of,
};
use crate::world::buckets::Buckets;
use crate::world::life::{Jobs, Life};
use crate::world::{Executed, Fault, World};

fn one_worker(messages: u64) -> (World, Value) {
    let world = world_of(&["thumbnail"]);
    world.queue("thumbnail").visible(messages);
    let one_each = json!({"maxContainersPerTask": 1, "maxTasks": 300});
    let scaling = json!({"messagesPerContainer": 1, "maxContainers": 300});
    (world, config(&[worker("thumbnail", &scaling, &one_each)]))
}

/// Workers of one task a message, by name and messages.
fn workers(of: &[(&str, u64)]) -> (World, Value) {
    one_task_a_message(of, 100)
}

#[tokio::test(start_paused = true)]
async fn a_burst_stays_under_every_rate_and_takes_no_longer_than_it_must() {
    let names: Vec<String> = (0..15).map(|i| format!("w{i}")).collect();
    let of: Vec<_> = names.iter().map(|name| (name.as_str(), 40)).collect();
    let (world, config) = workers(&of);
    world.state().buckets = Some(Buckets::new(0.0));
    let began = Instant::now();
    let report = tick(&scaler(&world, &config), &world, 0).await;
    assert_eq!(report.totals.launched_tasks, Tasks(600));
    assert_eq!(world.state().watch.throttled, 0);
    // A hundred at once and then twenty a second.
    let floor = Duration::from_secs(25);
    let took = began.elapsed();
    assert!(floor <= took && took <= floor.mul_f64(1.02), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_delays_nobody_beyond_the_deadline() {
    let operations = [
        "GetQueueUrl",
        "GetQueueAttributes",
        "DescribeTaskDefinition",
        "RegisterTaskDefinition",
        "RunTask",
    ];
    for operation in operations {
        let world = world_of(&["healthy", "omega"]);
        let one = json!({"messagesPerContainer": 1});
        let dense = json!({"strategy": "dense", "maxContainersPerTask": 4});
        for name in ["healthy", "omega"] {
            world.queue(name).visible(4);
        }
        let config = config(&["healthy", "omega"].map(|name| worker(name, &one, &dense)));
        world.fail_where(operation, "omega", (99, Fault::Hang(Executed::No)));
        let began = Instant::now();
        let report = tick(&scaler(&world, &config), &world, 0).await;
        let [healthy, omega] = report.workers.as_slice() else { panic!("{report:?}") };
        assert_eq!(healthy.outcome, Outcome::Launched, "{operation}");
        assert!([Outcome::Held, Outcome::Failed].contains(&omega.outcome), "{operation}");
        assert!(omega.errors[0].contains(operation), "{omega:?}");
        assert!(began.elapsed() < Duration::from_secs(55), "{operation}: {:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn when_the_time_is_up_no_call_is_started_and_what_is_left_is_told() {
    let (world, config) = one_worker(250);
    world.state().buckets = Some(Buckets::new(0.0));
    let function = scaler(&world, &config);
    let twelve = u64::try_from((world.now() + Duration::from_secs(10)).as_millisecond()).unwrap();
    let of = Invocation::new("request", world.now(), twelve);
    let began = Instant::now();
    let report = ticked(&function, &json!({"scheduledTime": "2026-11-20T21:00:00Z"}), &of).await;
    assert!(began.elapsed() <= Duration::from_secs(5), "{:?}", began.elapsed());
    let worker = only_worker(&report);
    assert_eq!(worker.outcome, Outcome::Partial);
    let told = Tasks::counted(started(worker)).0 + worker.deferred.0;
    assert_eq!((told, world.tasks().len()), (250, started(worker)));
    assert_eq!(worker.errors.len(), 1, "{:?}", worker.errors);
    assert!(worker.errors[0].contains("deadlineMargin"));

    let next = tick(&function, &world, 1).await;
    assert_eq!(next.totals.launched_tasks.0, worker.deferred.0);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_is_no_time_from_now_on_tells_nothing() {
    let (world, config) = one_worker(1);
    for deadline in [0, 600_000] {
        let of = Invocation::new("request", world.now(), deadline);
        assert_eq!(of.deadline - Instant::now(), Duration::from_mins(1));
    }
    let of = Invocation::new("request", world.now(), u64::MAX);
    assert_eq!(of.deadline - Instant::now(), Duration::from_mins(15));
    let report = ticked(&scaler(&world, &config), &json!({"dryRun": false}), &of).await;
    assert_eq!(report.totals.launched_tasks, Tasks(1));
}

#[tokio::test(start_paused = true)]
async fn an_event_of_long_ago_is_refused_and_one_of_now_is_not() {
    let (world, mut config) = one_worker(1);
    let at = |time: &str| json!({"scheduledTime": time});
    world.reach(Duration::from_secs(301)).await;
    let of = invocation(&world);
    let function = scaler(&world, &config);
    for old in ["2026-11-20T21:00:00Z", "2026-11-19T21:05:00Z"] {
        let error = function.run(&at(old), &of, |_| ()).await.unwrap_err();
        assert!(matches!(error, RunError::TooOld { .. }), "{error}");
        assert!(error.to_string().contains("maxEventAge is 300 s"), "{error}");
    }
    assert_eq!(world.take_calls().len(), 0);
    config["maxEventAge"] = json!("24h");
    let patient = scaler(&world, &config);
    for fine in ["2026-11-20T21:00:00Z", "2026-11-20T21:07:00Z"] {
        let _ = ticked(&patient, &at(fine), &of).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_of_2035_is_refused_with_both_times() {
    let (world, config) = one_worker(1);
    let function = scaler(&world, &config);
    for time in ["2035-01-01T00:00:00Z", "2026-11-20T21:03:00Z"] {
        let event = json!({"scheduledTime": time});
        let error = function.run(&event, &invocation(&world), |_| ()).await.unwrap_err();
        assert!(matches!(error, RunError::Early { .. }), "{error}");
        let told = error.to_string();
        assert!(told.contains(time) && told.contains("it is 2026-11-20T21:00:00Z"), "{told}");
    }
    assert_eq!(world.take_calls().len(), 0);
}

/// It was started before such events were refused.
#[tokio::test(start_paused = true)]
async fn a_task_of_2035_does_not_silence_its_worker() {
    let (world, config) = one_worker(1);
    let _ = tick(&scaler(&world, &config), &world, 0).await;
    world.change_tasks(|task| {
        let tags = task["tags"].as_array_mut().unwrap();
        let tick = tags.iter_mut().find(|tag| tag["key"] == "ecs-queue-scaler:tick").unwrap();
        tick["value"] = json!("2035-01-01T00:00:00Z");
    });
    world.all_run();
    world.queue("thumbnail").visible(5).in_flight(1);
    let report = tick(&scaler(&world, &config), &world, 1).await;
    assert_eq!(started(only_worker(&report)), 5, "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn a_quota_is_met_once_a_tick_and_the_rest_is_told() {
    let (world, mut config) = one_worker(100);
    config["workers"][0]["capacity"] =
        json!([{"capacityProvider": "FARGATE_SPOT"}, {"capacityProvider": "FARGATE"}]);
    let quota = "You've reached the limit on the number of vCPUs you can run concurrently";
    world.fail_where("RunTask", "\"FARGATE_SPOT\"", (99, Fault::Placed(0, quota)));
    let report = tick(&scaler(&world, &config), &world, 0).await;
    let worker = only_worker(&report);
    assert_eq!((worker.outcome, started(worker)), (Outcome::Launched, 100));
    let calls = world.take_calls().into_iter().filter(|call| call.operation == "RunTask");
    let spot = calls.filter(|call| call.input.to_string().contains("FARGATE_SPOT")).count();
    assert_eq!(spot, 1);
    assert!(worker.failures.iter().all(|failed| failed.shortage == Cause::Quota));
    assert_eq!(worker.failures.iter().map(|failed| failed.tasks).sum::<Tasks>(), Tasks(100));
}

#[tokio::test(start_paused = true)]
async fn where_the_first_call_finds_no_room_the_others_of_its_size_are_not_made() {
    let (world, config) = one_worker(100);
    world.fail("RunTask", 99, Fault::Placed(0, "RESOURCE:CPU"));
    let report = tick(&scaler(&world, &config), &world, 0).await;
    assert_eq!(batches(&world), [10]);
    assert_eq!(only_worker(&report).deferred, Containers(100));
    assert_eq!(only_worker(&report).failures[0].shortage, Cause::NoRoom);
}

#[tokio::test(start_paused = true)]
async fn a_rung_that_is_refused_leaves_its_tasks_to_the_next() {
    let (world, mut config) = one_worker(12);
    world.register(&definition_for_both("thumbnail"));
    config["workers"][0]["capacity"] =
        json!([{"capacityProvider": "unknown"}, {"capacityProvider": "FARGATE"}]);
    let refused = Fault::Error(400, "InvalidParameterException", "no such provider".to_owned());
    world.fail_where("RunTask", "\"unknown\"", (99, refused));
    let report = tick(&scaler(&world, &config), &world, 0).await;
    assert_eq!((started(only_worker(&report)), report.failure()), (12, None));
    let told: Vec<_> = only_worker(&report).failures.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["12 x InvalidParameterException (no such provider)"]);
    assert_eq!(only_worker(&report).failures[0].shortage, Cause::BadRequest);
}

#[tokio::test(start_paused = true)]
async fn a_revision_that_turned_inactive_in_between_is_resolved_once_again() {
    let inactive = || Fault::Error(400, "ClientException", "TaskDefinition is inactive".to_owned());
    for (times, outcome) in [(1, Outcome::Launched), (2, Outcome::Failed)] {
        let (world, config) = one_worker(4);
        world.fail("RunTask", times, inactive());
        let report = tick(&scaler(&world, &config), &world, 0).await;
        assert_eq!(only_worker(&report).outcome, outcome);
        assert_eq!(world.count("RunTask"), 2);
        assert_eq!(world.count("DescribeTaskDefinition"), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_calls_whose_revision_was_refused_are_made_again() {
    let inactive = || Fault::Error(400, "ClientException", "TaskDefinition is inactive".to_owned());
    for (refused, calls) in [("\"count\":10", [10, 10, 2]), ("\"count\":2", [10, 2, 2])] {
        let (world, config) = one_worker(12);
        world.fail_where("RunTask", refused, (1, inactive()));
        let report = tick(&scaler(&world, &config), &world, 0).await;
        let worker = only_worker(&report);
        assert_eq!((worker.outcome, started(worker)), (Outcome::Launched, 12), "{refused}");
        assert_eq!((&worker.failures, &worker.errors), (&vec![], &vec![]), "{refused}");
        assert_eq!(batches(&world), calls);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_after_a_lost_answer_is_tried_again_under_its_token() {
    let inactive = || Fault::Error(400, "ClientException", "TaskDefinition is inactive".to_owned());
    for lost in [Fault::LostAnswer, Fault::Hang(Executed::No)] {
        let (world, config) = one_worker(4);
        world.fail("RunTask", 1, lost);
        world.fail("RunTask", 1, inactive());
        let function = scaler(&world, &config);
        let report = tick(&function, &world, 0).await;
        let worker = only_worker(&report);
        assert_eq!((worker.outcome, started(worker)), (Outcome::Launched, 4));
        assert_eq!(world.tasks().len(), 4);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_after_a_part_was_placed_waits_for_the_next_tick() {
    let (world, mut config) = one_worker(5);
    config["workers"][0]["capacity"] =
        json!([{"capacityProvider": "FARGATE_SPOT"}, {"capacityProvider": "FARGATE"}]);
    world.fail("RunTask", 1, Fault::Placed(3, "RESOURCE:CPU"));
    let inactive = Fault::Error(400, "ClientException", "TaskDefinition is inactive".to_owned());
    world.fail("RunTask", 1, inactive);
    let function = scaler(&world, &config);
    let report = tick(&function, &world, 0).await;
    let worker = only_worker(&report);
    assert_eq!((worker.outcome, started(worker)), (Outcome::Partial, 3));
    assert_eq!((worker.deferred, report.failure()), (Containers(2), None));
    let told: Vec<_> = worker.failures.iter().map(ToString::to_string).collect();
    assert_eq!(told.last().unwrap(), "2 x ClientException (TaskDefinition is inactive)");
    let report = tick(&function, &world, 1).await;
    assert_eq!(started(only_worker(&report)), 2);
}

#[tokio::test(start_paused = true)]
async fn what_keeps_a_refused_call_from_a_second_try_is_told() {
    let (world, config) = one_worker(12);
    let error = |code| Fault::Error(400, code, "TaskDefinition is inactive".to_owned());
    world.fail("RunTask", 1, error("ClientException"));
    let base = json!({"taskDefinition": world.active_revisions("thumbnail")[0]});
    world.fail("DescribeTaskDefinition", 1, Fault::Answer(base));
    world.fail("DescribeTaskDefinition", 1, error("AccessDeniedException"));
    let report = tick(&scaler(&world, &config), &world, 0).await;
    let worker = only_worker(&report);
    assert_eq!((worker.outcome, worker.deferred), (Outcome::Failed, Containers(12)));
    let errors = worker.errors.join("\n");
    assert!(errors.contains("ClientException") && errors.contains("AccessDenied"), "{errors}");
}

#[tokio::test(start_paused = true)]
async fn a_second_try_takes_no_more_of_what_all_workers_share() {
    let (world, mut config) = workers(&[("a", 30), ("b", 20)]);
    config["maxTasksPerTick"] = json!(5);
    let inactive = Fault::Error(400, "ClientException", "TaskDefinition is inactive".to_owned());
    world.fail_where("RunTask", "worker:a", (1, inactive));
    let report = tick(&scaler(&world, &config), &world, 0).await;
    assert_eq!(report.workers.iter().map(started).collect::<Vec<_>>(), [3, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_registration_without_an_answer_is_looked_for_and_not_repeated() {
    let world = world_of(&["thumbnail"]);
    world.queue("thumbnail").visible(4);
    let dense = json!({"strategy": "dense", "maxContainersPerTask": 4});
    let config = config(&[worker("thumbnail", &json!({"messagesPerContainer": 1}), &dense)]);
    world.fail("RegisterTaskDefinition", 1, Fault::LostAnswer);
    let report = tick(&scaler(&world, &config), &world, 0).await;
    assert_eq!(only_worker(&report).outcome, Outcome::Launched);
    assert_eq!(world.count("RegisterTaskDefinition"), 1);
    assert_eq!(world.active_revisions("thumbnail--x4").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_a_call_without_an_answer_may_have_started_counts_until_it_shows() {
    let (world, config) = one_worker(10);
    let function = scaler(&world, &config);
    for _ in 0..3 {
        world.fail("RunTask", 1, Fault::LostAnswer);
    }
    let report = tick(&function, &world, 0).await;
    let worker = only_worker(&report);
    assert_eq!((worker.outcome, worker.deferred), (Outcome::Failed, Containers(10)));
    assert_eq!(world.tasks().len(), 10, "they were started all the same");

    let nothing = || Fault::Answer(json!({"taskArns": []}));
    world.fail("ListTasks", 2, nothing());
    let hidden = tick(&function, &world, 1).await;
    assert_eq!(only_worker(&hidden).alive.unwrap().containers, Containers(10));
    let shown = tick(&function, &world, 2).await;
    assert_eq!(only_worker(&shown).alive.unwrap().containers, Containers(10));
    assert_eq!(world.tasks().len(), 10);

    world.all_stop();
    let after = tick(&function, &world, 3).await;
    assert_eq!(only_worker(&after).alive.unwrap().containers, Containers(0));
}

/// The first attempt was executed and its answer lost; what the later ones end with says nothing.
#[tokio::test(start_paused = true)]
async fn a_task_that_shows_is_of_one_unanswered_call_and_not_of_two() {
    let (world, config) = one_worker(10);
    let function = scaler(&world, &config);
    let arns = || world.tasks().into_iter().map(|task| task["taskArn"].clone());
    world.fail("RunTask", 3, Fault::LostAnswer);
    let _ = tick(&function, &world, 0).await;
    let first: Vec<_> = arns().collect();
    assert_eq!(first.len(), 10);
    world.queue("thumbnail").visible(20);
    world.fail("ListTasks", 2, Fault::Answer(json!({"taskArns": []})));
    world.fail("RunTask", 3, Fault::LostAnswer);
    let _ = tick(&function, &world, 1).await;
    assert_eq!(arns().count(), 20, "ten are presumed, ten are started");
    world.fail("ListTasks", 2, Fault::Answer(json!({"taskArns": first})));
    let report = tick(&function, &world, 2).await;
    assert_eq!((only_worker(&report).outcome, arns().count()), (Outcome::Idle, 20));
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_counts_whatever_the_repetitions_end_with() {
    let throttled = || Fault::Error(400, "ThrottlingException", "Rate exceeded".to_owned());
    let (world, config) = one_worker(5);
    let function = scaler(&world, &config);
    for fault in [Fault::LostAnswer, throttled(), throttled()] {
        world.fail("RunTask", 1, fault);
    }
    let _ = tick(&function, &world, 0).await;
    world.fail("ListTasks", 1, Fault::Answer(json!({"taskArns": []})));
    let hidden = tick(&function, &world, 1).await;
    assert_eq!(only_worker(&hidden).alive.unwrap().containers, Containers(5));
    assert_eq!(world.tasks().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn two_deliveries_that_planned_differently_start_no_more_than_one_of_them_would() {
    let world = world_of(&["thumbnail"]);
    let scaling = json!({"messagesPerContainer": 1});
    let config = config(&[worker("thumbnail", &scaling, &json!({"maxTasks": 2}))]);
    for (minute, first, second) in [(0, 6, 5), (1, 5, 6), (2, 8, 3), (3, 3, 8)] {
        world.reach(Duration::from_mins(minute)).await;
        world.all_stop();
        let event = json!({"scheduledTime": format!("2026-11-20T21:{minute:02}:00Z")});
        let mut started = Vec::new();
        for messages in [first, second] {
            world.queue("thumbnail").visible(messages);
            world.fail("ListTasks", 2, Fault::Answer(json!({"taskArns": []})));
            let function = scaler(&world.seen_by(u32::try_from(messages).unwrap()), &config);
            let report = ticked(&function, &event, &invocation(&world)).await;
            started.push(report.totals.launched_containers);
        }
        let (first, second) = (u32::try_from(first).unwrap(), Containers(0));
        assert_eq!(started, [Containers(first), second]);
    }
}

#[tokio::test(start_paused = true)]
async fn after_three_failures_one_canary_at_a_time_is_started_until_one_runs_well() {
    let (world, config) = one_worker(50);
    let function = scaler(&world, &config);
    let reason = "CannotPullContainerError: not found";
    let fail = || world.all_end("TaskFailedToStart", reason, None);
    let _ = tick(&function, &world, 0).await;
    fail();
    // The memory of a process is lost, what ECS keeps is not.
    let cold = scaler(&world, &config);
    for minute in 1..4 {
        let report = tick(&cold, &world, minute).await;
        let worker = only_worker(&report);
        assert_eq!(started(worker), 1);
        assert!(worker.breaker.as_ref().unwrap().contains(reason), "{worker:?}");
        if minute == 2 {
            let starting = tick(&cold, &world, minute + 1).await;
            assert_eq!(started(only_worker(&starting)), 0, "a canary is starting");
        }
        fail();
    }
    let _ = tick(&cold, &world, 5).await;
    world.all_run();
    let running = tick(&cold, &world, 6).await;
    assert!(only_worker(&running).breaker.is_some(), "it has only begun");
    assert_eq!(started(only_worker(&running)), 0, "one canary, not one each minute");
    let well = tick(&cold, &world, 8).await;
    assert_eq!((&only_worker(&well).breaker, started(only_worker(&well))), (&None, 49));
}

#[tokio::test(start_paused = true)]
async fn what_ended_while_a_tick_failed_is_known_to_the_next() {
    let (world, config) = one_worker(5);
    let (function, other) = (scaler(&world, &config), scaler(&world, &config));
    let _ = tick(&function, &world, 0).await;
    world.all_run();
    world.all_end("EssentialContainerExited", "", Some(0));
    world.fail("ListTasks", 1, Fault::Error(403, "AccessDeniedException", "no".to_owned()));
    let failed = tick(&function, &world, 1).await;
    assert_eq!(only_worker(&failed).outcome, Outcome::Held);
    let _ = tick(&other, &world, 1).await;
    world.all_end("TaskFailedToStart", "CannotPullContainerError", None);
    let report = tick(&function, &world, 2).await;
    assert_eq!(started(only_worker(&report)), 1, "a canary: five failed meanwhile");
}

#[tokio::test(start_paused = true)]
async fn the_breaker_can_be_turned_off() {
    let (world, mut config) = one_worker(5);
    config["workers"][0]["scaling"]["circuitBreaker"] = json!(false);
    config["workers"][0]["scaling"]["progressBrake"] = json!(false);
    let function = scaler(&world, &config);
    for minute in 0..3 {
        let report = tick(&function, &world, minute).await;
        assert_eq!((started(only_worker(&report)), &only_worker(&report).breaker), (5, &None));
        world.all_end("EssentialContainerExited", "", Some(1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_never_starts_is_named_and_replaced() {
    let (world, mut config) = one_worker(2);
    config["workers"][0]["scaling"]["stuckAfter"] = json!("10m");
    let function = scaler(&world, &config);
    let _ = tick(&function, &world, 0).await;
    let before = tick(&function, &world, 9).await;
    assert_eq!((started(only_worker(&before)), only_worker(&before).stuck.len()), (0, 0));
    let after = tick(&function, &world, 10).await;
    let worker = only_worker(&after);
    assert_eq!((started(worker), worker.stuck.len()), (2, 2));
    assert_eq!(worker.alive.unwrap().stuck, Containers(2));
}

#[tokio::test(start_paused = true)]
async fn all_workers_together_stay_under_the_caps_and_nobody_waits_more_than_two_ticks() {
    let names: Vec<String> = (0..9).map(|i| format!("w{i}")).collect();
    let of: Vec<_> = names.iter().map(|name| (name.as_str(), 40)).collect();
    let (world, mut config) = workers(&of);
    config["maxTasksPerTick"] = json!(3);
    config["maxTasksPerHour"] = json!(20);
    let function = scaler(&world, &config);
    let mut served: Vec<u64> = vec![0; 9];
    for minute in 0..6 {
        let report = tick(&function, &world, minute).await;
        assert_eq!(report.totals.launched_tasks, Tasks(3));
        for (worker, last) in report.workers.iter().zip(&mut served) {
            if 0 < started(worker) {
                *last = minute;
            } else {
                assert_eq!(worker.outcome, Outcome::Deferred);
            }
            assert!(minute - *last <= 2, "{} waits since {last}", worker.worker);
        }
    }
    let last = tick(&function, &world, 6).await;
    assert_eq!(last.totals.launched_tasks, Tasks(2));
    let why = &last.workers.iter().find(|w| w.outcome == Outcome::Deferred).unwrap();
    insta::assert_snapshot!(why.decision.as_ref().unwrap().why);
    world.all_stop();
    let later = tick(&function, &world, 59).await;
    assert_eq!(later.totals.launched_tasks, Tasks(0));
    let hour_is_over = tick(&function, &world, 61).await;
    assert_eq!(hour_is_over.totals.launched_tasks, Tasks(3));
}

/// Three messages that nobody can process, hour by hour.
async fn launches_by_hour(redrive: Option<u32>) -> Vec<usize> {
    let (world, config) = one_worker(0);
    let mut life = Life::new(7);
    let jobs = Jobs {
        lasts: (500, 900),
        visibility: 30_000,
        redrive,
        startup: (20_000, 30_000),
        ..Jobs::default()
    };
    life.worker("thumbnail", jobs);
    life.arrive(0, "thumbnail", (3, true));
    world.state().life = Some(life);
    if redrive.is_none() {
        world.queue("thumbnail").without("RedrivePolicy");
    }
    let function = scaler(&world, &config);
    let mut launches = Vec::new();
    for hour in 0..4 {
        let before = world.started().0;
        for minute in 0..60 {
            let at = Duration::from_mins(hour * 60 + minute);
            world.reach(at).await;
            world.catch_up();
            let tick = jiff::Timestamp::from_second(world.now().as_second()).unwrap();
            let event = json!({"scheduledTime": tick.to_string()});
            let _ = ticked(&function, &event, &invocation(&world)).await;
        }
        launches.push(world.started().0 - before);
    }
    launches
}

#[tokio::test(start_paused = true)]
async fn messages_that_nobody_can_process_start_fewer_and_fewer_workers() {
    let endless = launches_by_hour(None).await;
    assert!(endless[0] <= 30 && endless[1..].iter().all(|n| *n <= 12), "{endless:?}");
    assert!(endless.iter().all(|launches| 0 < *launches), "{endless:?}");
    let bounded = launches_by_hour(Some(3)).await;
    assert!(bounded[0] <= 6 && bounded[1..] == [0, 0, 0], "{bounded:?}");
}

#[tokio::test(start_paused = true)]
async fn a_queue_without_a_redrive_policy_is_told() {
    let (world, config) = one_worker(0);
    let bounded = tick(&scaler(&world, &config), &world, 0).await;
    assert_eq!(only_worker(&bounded).warnings, [""; 0]);
    world.queue("thumbnail").without("RedrivePolicy");
    let endless = tick(&scaler(&world, &config), &world, 0).await;
    assert!(only_worker(&endless).warnings[0].contains("no redrive policy"));
    assert_eq!(endless.failure(), None);
}

#[tokio::test(start_paused = true)]
async fn a_definition_that_changes_while_its_worker_runs_is_taken_up() {
    let (world, config) = one_worker(2);
    let function = scaler(&world, &config);
    let _ = tick(&function, &world, 0).await;
    let new = world.register(&definition("thumbnail"));
    world.deregister("thumbnail:1");
    world.queue("thumbnail").visible(5);
    let report = tick(&function, &world, 1).await;
    assert_eq!(only_worker(&report).launched[0].task_definition, new);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_clock_is_corrected_by_the_answers() {
    for wrong_by in [-20, 20].map(SignedDuration::from_mins) {
        let (world, config) = one_worker(3);
        world.clock_is_wrong_by(wrong_by);
        let aws = Aws::new(&world.sdk_config_with_clock());
        let function = Scaler { aws, ..scaler(&world, &config) };
        let report = tick(&function, &world, 0).await;
        assert_eq!(report.totals.launched_tasks, Tasks(3), "{wrong_by}: {report:?}");
    }
}
