//! A dry run looks at everything that a launch would need, also where nothing waits, and one worker's
//! trouble hides no other's plan.

use ecs_queue_scaler::report::{Outcome, Report};
use ecs_queue_scaler::run::{Ran, Scaler};
use lambda_runtime::Diagnostic;
use serde_json::{Value, json};

use super::{config, definition, invocation, scaler, ticked, worker, world_of};
use crate::world::World;

/// What a dry run answers: it never fails for a worker.
async fn dry(function: &Scaler, world: &World, event: &Value) -> Report {
    let ran = function.run(event, &invocation(world), |_| ()).await;
    let Ok(Ran::Tick(report)) = ran else { panic!("{ran:?}") };
    *report
}

fn one() -> Value {
    json!({"messagesPerContainer": 1})
}

/// All queues are empty; one worker is well, and of each other something is not there.
fn broken() -> (World, Value) {
    let names = ["good", "cluster", "family", "container", "queue", "both", "paused"];
    let world = world_of(&names);
    let mut workers = names.map(|name| worker(name, &one(), &json!({})));
    workers[0]["scaling"]["maxContainers"] = json!(30);
    workers[1]["cluster"] = json!("nowhere");
    workers[2]["taskDefinition"] = json!("nothing");
    workers[3]["container"] = json!("nobody");
    workers[4]["queue"] = json!("lost");
    workers[5]["cluster"] = json!("nowhere");
    workers[5]["taskDefinition"] = json!("nothing-either");
    workers[6]["paused"] = json!(true);
    workers[6]["taskDefinition"] = json!("nothing-at-all");
    (world, config(&workers))
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_told_before_a_message_comes() {
    let (world, config) = broken();
    let mut told = Vec::new();
    for event in [json!({"dryRun": true}), json!({"check": true})] {
        let report = dry(&scaler(&world, &config), &world, &event).await;
        assert!(report.dry_run);
        let workers = report.workers.iter().map(|worker| {
            let check = serde_json::to_string(&worker.check).unwrap();
            let errors = worker.errors.join("\n  ");
            format!("{} {:?} {check}\n  {errors}", worker.worker, worker.outcome)
        });
        told.push(workers.collect::<Vec<_>>().join("\n"));
        assert_eq!(world.changes(), 0);
    }
    assert_eq!(told[0], told[1]);
    insta::assert_snapshot!(told[0]);
}

/// The same workers pass for idle where nobody asks for a check.
#[tokio::test(start_paused = true)]
async fn a_tick_looks_at_what_it_needs_only() {
    let (world, config) = broken();
    for event in [json!({"dryRun": true, "check": false}), json!({"dryRun": false})] {
        let report = ticked(&scaler(&world, &config), &event, &invocation(&world)).await;
        let failed: Vec<_> = report.workers.iter().filter(|worker| worker.has_failed()).collect();
        assert_eq!(failed.len(), 1, "only a queue is read: {failed:?}");
        assert!(report.workers.iter().all(|worker| worker.check.is_none()));
        assert_eq!(world.count("ListTasks") + world.count("DescribeTaskDefinition"), 0);
    }
}

/// A check beside a tick takes nothing away from it.
#[tokio::test(start_paused = true)]
async fn a_tick_may_check_and_launch() {
    let (world, config) = broken();
    world.queue("good").visible(2);
    let event = json!({"dryRun": false, "check": true});
    let report = ticked(&scaler(&world, &config), &event, &invocation(&world)).await;
    assert_eq!(report.workers[0].outcome, Outcome::Launched);
    assert!(report.workers[0].check.is_some());
    assert_eq!(report.totals.failed_workers, 6);
}

#[tokio::test(start_paused = true)]
async fn the_roles_that_have_to_be_passed_are_listed() {
    let world = world_of(&[]);
    let role = |name: &str| format!("arn:aws:iam::123456789012:role/{name}");
    let mut base = definition("a");
    base["taskRoleArn"] = json!(role("task"));
    base["executionRoleArn"] = json!(role("execution"));
    base["volumes"] = json!([{"name": "scratch", "configuredAtLaunch": true}]);
    world.queue("a");
    world.register(&base);
    let mut workers = [worker("a", &one(), &json!({}))];
    workers[0]["launch"] = json!({"overrides": {"taskRoleArn": role("other")},
        "volumeConfigurations": [{"name": "scratch",
            "managedEBSVolume": {"roleArn": role("volume"), "sizeInGiB": 10}}]});
    let report = dry(&scaler(&world, &config(&workers)), &world, &json!({"dryRun": true})).await;
    let check = report.workers[0].check.clone().unwrap();
    assert_eq!(check.roles, ["execution", "other", "task"].map(role).into());
    assert_eq!(check.volume_roles, [role("volume")].into());
}

/// Whoever invokes a tick that fails gets its result all the same: the error's last line.
#[tokio::test(start_paused = true)]
async fn a_tick_that_fails_answers_with_its_result_whoever_asked_for_it() {
    let world = world_of(&["good", "bad"]);
    world.queue("good").visible(1);
    let mut workers = ["good", "bad"].map(|name| worker(name, &one(), &json!({})));
    workers[1]["queue"] = json!("lost");
    let function = scaler(&world, &config(&workers));
    let fails = async |event: Value| -> String {
        let error = function.run(&event, &invocation(&world), |_| ()).await.unwrap_err();
        Diagnostic::from(error).error_message
    };
    let message = fails(json!({"dryRun": false})).await;
    let result: Value = serde_json::from_str(message.lines().last().unwrap()).unwrap();
    assert_eq!(result["workers"][0]["outcome"], json!("launched"));
    assert_eq!(result["totals"]["failedWorkers"], json!(1));
    let of_schedule = fails(json!({"scheduledTime": "2026-11-20T21:00:00Z"})).await;
    assert_eq!(of_schedule.lines().count(), 2, "nobody reads it: {of_schedule}");
}

#[tokio::test(start_paused = true)]
async fn a_result_that_is_too_large_for_an_error_keeps_those_that_failed() {
    let names: Vec<_> = (0..40).map(|n| format!("w{n}")).collect();
    let all: Vec<_> = names.iter().map(String::as_str).collect();
    let world = world_of(&all);
    let mut workers: Vec<_> = all.iter().map(|name| worker(name, &one(), &json!({}))).collect();
    workers[39]["queue"] = json!("lost");
    let report =
        ticked(&scaler(&world, &config(&workers)), &json!({"dryRun": false}), &invocation(&world))
            .await;
    let whole = serde_json::to_string(&report).unwrap();
    let length = |text: &str| serde_json::to_string(text).unwrap().len();
    assert_eq!(report.bounded(length(&whole)), whole);
    for most in [length(&whole) - 1, length(&whole) / 2, 1500] {
        let bounded = report.bounded(most);
        assert!(length(&bounded) <= most, "{} of {most}", length(&bounded));
        let short: Value = serde_json::from_str(&bounded).unwrap();
        let listed = short["workers"].as_array().unwrap();
        assert_eq!(listed[0]["worker"], json!("w39"));
        assert!(listed.len() < 40);
        assert_eq!(short["leftOut"], json!(40 - listed.len()));
    }
}

/// Whatever fails, the error fits into a queue for failed events.
#[tokio::test(start_paused = true)]
async fn an_error_is_bounded_as_a_whole() {
    let world = world_of(&[]);
    let workers: Vec<_> = (0..2000).map(|n| worker(&format!("w{n}"), &one(), &json!({}))).collect();
    let error = scaler(&world, &config(&workers))
        .run(&json!({"dryRun": false}), &invocation(&world), |_| ())
        .await
        .unwrap_err();
    let message = Diagnostic::from(error).error_message;
    assert!(message.starts_with("2000 of 2000 workers failed\nw0: GetQueueUrl of w0 failed"));
    let length = serde_json::to_string(&message).unwrap().len();
    assert!((100_000..200_000).contains(&length), "{length}");
    let result: Value = serde_json::from_str(message.lines().last().unwrap()).unwrap();
    assert_eq!(result["totals"]["failedWorkers"], json!(2000));
}

/// What runs is looked at, too.
#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_its_tasks_is_told_while_nothing_waits() {
    let world = world_of(&["a"]);
    world.queue("a").visible(2);
    let config = config(&[worker("a", &one(), &json!({}))]);
    let blue = Scaler { function: "blue".to_owned(), ..scaler(&world, &config) };
    let _ = super::tick(&blue, &world, 0).await;
    world.queue("a").visible(0);
    let green = Scaler { function: "green".to_owned(), ..scaler(&world, &config) };
    let report = dry(&green, &world, &json!({"dryRun": true})).await;
    let worker = &report.workers[0];
    assert_eq!((worker.outcome, worker.alive.unwrap().containers.0), (Outcome::Idle, 2));
    assert!(worker.warnings[0].contains("another function, `blue`"), "{worker:?}");
}

#[tokio::test(start_paused = true)]
async fn where_no_instance_could_take_a_task_that_is_told() {
    let world = world_of(&[]);
    world.queue("a");
    let mut base = definition("a");
    base["requiresCompatibilities"] = json!(["EC2"]);
    world.register(&base);
    let mut document = config(&[worker("a", &one(), &json!({}))]);
    document["launch"]["launchType"] = json!("EC2");
    document["launch"]["placement"] = json!({"scheduler": "leastTasks"});
    let told = async || {
        let report = dry(&scaler(&world, &document), &world, &json!({"dryRun": true})).await;
        assert_eq!(report.workers[0].errors, [""; 0]);
        report.workers[0].warnings.clone()
    };
    let expected =
        "no instance could take a task now: the cluster has no ACTIVE container instance";
    assert_eq!(told().await, [expected]);
    world.instance("jobs", json!({"cpu": 128, "memory": 256}));
    let expected = "no instance could take a task now: of 1 instance 1 too small for the task";
    assert_eq!(told().await, [expected]);
    world.instance("jobs", json!({"cpu": 8192, "memory": 16384}));
    assert_eq!(told().await, [""; 0]);
}
