//! Names: however something of AWS is named, it is one and the same; and what is not ours is left alone.

use decision::config::Config;
use decision::units::{ScalerName, Tasks};
use ecs_queue_scaler::report::{Outcome, Report};
use ecs_queue_scaler::run::{Ran, Scaler};
use serde_json::{Value, json};

use super::trouble::captured;
use super::{config, definition, invocation, scaler, tick, ticked, worker, world_of};
use crate::world::World;

const QUEUE: &str = "arn:aws:sqs:eu-central-1:123456789012:a";
const CLUSTER: &str = "arn:aws:ecs:eu-central-1:123456789012:cluster/jobs";

fn one_each(name: &str) -> Value {
    worker(name, &json!({"messagesPerContainer": 1}), &json!({"maxContainersPerTask": 1}))
}

/// Two workers, and a message for each of their queues.
fn two(change: impl Fn(&mut Value, &mut Value)) -> (World, Value) {
    let world = world_of(&["a", "b"]);
    world.queue("a").visible(3);
    world.queue("b").visible(3);
    let [mut a, mut b] = ["a", "b"].map(one_each);
    change(&mut a, &mut b);
    (world, config(&[a, b]))
}

fn told(report: &Report) -> String {
    let of = |worker: &ecs_queue_scaler::report::WorkerReport| {
        format!("{}: {:?}: {}", worker.worker, worker.outcome, worker.errors.join("; "))
    };
    report.workers.iter().map(of).collect::<Vec<_>>().join("\n")
}

#[tokio::test(start_paused = true)]
async fn one_queue_has_one_worker_however_it_is_named() {
    let names = [
        QUEUE,
        "https://sqs.eu-central-1.amazonaws.com/123456789012/a",
        "https://eu-central-1.queue.amazonaws.com/123456789012/a",
        "https://sqs-fips.eu-central-1.amazonaws.com/123456789012/a",
        "https://sqs.eu-central-1.api.aws/123456789012/a",
        "https://vpce-0a1b-xyz.sqs.eu-central-1.vpce.amazonaws.com/123456789012/a",
    ];
    for other in names {
        // In the configuration where the account is known, and by SQS where it is not.
        for name in ["a", names[0], names[1]].into_iter().filter(|name| *name != other) {
            let (world, config) = two(|a, b| {
                a["queue"] = json!(name);
                b["queue"] = json!(other);
            });
            let report = tick(&scaler(&world, &config), &world, 0).await;
            assert_eq!(report.totals.failed_workers, 2, "{name} {other}: {report:?}");
            assert!(told(&report).contains("both would answer the same messages"), "{report:?}");
            assert_eq!(world.tasks().len(), 0, "{name} {other}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_of_another_account_is_another_queue() {
    let (world, config) = two(|_, b| {
        b["queue"] = json!("https://sqs.eu-central-1.amazonaws.com/999999999999/a");
    });
    world.queue_of("999999999999", "a").visible(2);
    let report = tick(&scaler(&world, &config), &world, 0).await;
    assert_eq!(report.totals.launched_tasks, Tasks(5), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn one_cluster_by_name_and_by_arn_is_one_cluster() {
    let (world, mut config) = two(|_, b| b["cluster"] = json!(CLUSTER));
    config["maxTasksPerHour"] = json!(4);
    let report = tick(&scaler(&world, &config), &world, 0).await;
    assert_eq!(report.totals.launched_tasks, Tasks(4), "{report:?}");
    assert_eq!(world.count("ListTasks"), 2, "the tasks and the stopped ones, once");
    let report = tick(&scaler(&world, &config), &world, 1).await;
    assert_eq!(report.totals.launched_tasks, Tasks(0), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_in_another_region_or_account_is_told() {
    let family = "arn:aws:ecs:us-east-1:123456789012:task-definition/a:1";
    let cases: [(&str, Value); 6] = [
        ("queue", json!("https://us-east-1.queue.amazonaws.com/123456789012/a")),
        ("queue", json!("https://queue.amazonaws.com/123456789012/a")),
        ("queue", json!("https://vpce-1-a.sqs.us-east-1.vpce.amazonaws.com/123456789012/a")),
        ("cluster", json!("arn:aws:ecs:us-east-1:123456789012:cluster/jobs")),
        ("taskDefinition", json!(family)),
        ("queue", json!("arn:aws:sqs:cn-north-1:123456789012:a")),
    ];
    let mut all = Vec::new();
    for (key, value) in cases {
        let (world, config) = two(|a, _| a[key] = value.clone());
        let report = tick(&scaler(&world, &config), &world, 0).await;
        assert_eq!(report.totals.failed_workers, 1);
        assert_eq!(world.tasks().len(), 3, "the other is served");
        all.push(format!("{key}: {value}\n{}", told(&report)));
    }
    let (world, config) = two(|a, b| {
        a["cluster"] = json!(CLUSTER);
        b["cluster"] = json!("arn:aws:ecs:eu-central-1:999999999999:cluster/jobs");
    });
    let report = tick(&scaler(&world, &config), &world, 0).await;
    all.push(format!("two accounts\n{}", told(&report)));
    insta::assert_snapshot!(all.join("\n"));
}

/// Somebody has a family that is called as one of ours.
#[tokio::test(start_paused = true)]
async fn a_revision_without_a_digest_of_ours_is_never_deregistered() {
    let world = world_of(&["a"]);
    world.queue("a").visible(4);
    let mut foreign = definition("a--x4");
    foreign["tags"] = json!([{"key": "team", "value": "others"}]);
    world.register(&foreign);
    let four = json!({"strategy": "dense", "maxContainersPerTask": 4});
    let config = config(&[worker("a", &json!({"messagesPerContainer": 1}), &four)]);
    for minute in 0..3 {
        world.all_stop();
        let report = tick(&scaler(&world, &config), &world, minute).await;
        assert_eq!(report.workers[0].outcome, Outcome::Launched, "{report:?}");
        let active = world.active_revisions("a--x4");
        let numbers: Vec<_> = active.iter().map(|revision| revision["revision"].clone()).collect();
        assert_eq!(numbers, [json!(1), json!(minute + 2)], "theirs, and the newest of ours");
        let mut changed = definition("a");
        changed["containerDefinitions"][0]["image"] = json!(format!("worker:{minute}"));
        world.register(&changed);
    }
}

/// A configuration of one worker that is called `name` today.
fn called(name: &str, previous: &[&str]) -> Value {
    let mut worker = worker("a", &json!({"messagesPerContainer": 1}), &json!({}));
    worker["name"] = json!(name);
    if !previous.is_empty() {
        worker["previousNames"] = json!(previous);
    }
    config(&[worker])
}

#[tokio::test(start_paused = true)]
async fn tasks_of_a_worker_that_is_no_more_are_told_and_counted() {
    let (lines, _guard) = captured();
    let world = world_of(&["a"]);
    world.queue("a").visible(3);
    let _ = tick(&scaler(&world, &called("old", &[])), &world, 0).await;
    let function = scaler(&world, &called("new", &[]));
    let report = tick(&function, &world, 1).await;
    assert_eq!(report.totals.launched_tasks, Tasks(3), "a second fleet");
    assert_eq!(report.totals.unowned_tasks, Tasks(3));
    insta::assert_snapshot!(format!("{}\n{}", json!(report)["unowned"], report.unowned[0]));
    assert_eq!(report.failure(), None);
    let event = json!({"dryRun": false});
    let _ = function.run(&event, &invocation(&world), Ran::log).await;
    assert!(lines.text().contains("3 tasks run in jobs for worker `old`"), "{}", lines.text());
    // One worker of several is no configuration of its own.
    let mut both = called("new", &[]);
    let mut old = one_each("old");
    old["queue"] = json!("b");
    both["workers"].as_array_mut().unwrap().push(old);
    let event = json!({"dryRun": true, "only": ["new"]});
    let report = ticked(&scaler(&world, &both), &event, &invocation(&world)).await;
    assert_eq!(report.unowned, []);
}

#[tokio::test(start_paused = true)]
async fn tasks_of_a_renamed_worker_that_is_refused_are_no_strangers() {
    let world = world_of(&["a", "b"]);
    world.queue("a").visible(3);
    world.queue("b").visible(1);
    let _ = tick(&scaler(&world, &called("old", &[])), &world, 0).await;
    for (previous, unowned) in [(&["old"][..], 0), (&[], 3)] {
        let mut refused = called("new", previous);
        refused["workers"][0]["queue"] = json!(7);
        let mut other = one_each("other");
        other["queue"] = json!("b");
        refused["workers"].as_array_mut().unwrap().push(other);
        let report = tick(&scaler(&world, &refused), &world, 1).await;
        assert_eq!(report.totals.unowned_tasks, Tasks(unowned), "{previous:?}: {report:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_renamed_twice_within_an_hour_keeps_its_tasks() {
    let world = world_of(&["a"]);
    world.queue("a").visible(3);
    let _ = tick(&scaler(&world, &called("one", &[])), &world, 0).await;
    world.all_run();
    world.queue("a").visible(2).in_flight(3);
    let two = tick(&scaler(&world, &called("two", &["one"])), &world, 1).await;
    assert_eq!((two.totals.launched_tasks, two.totals.unowned_tasks), (Tasks(2), Tasks(0)));
    let three = tick(&scaler(&world, &called("three", &["two", "one"])), &world, 2).await;
    assert_eq!((three.totals.launched_tasks, three.totals.unowned_tasks), (Tasks(0), Tasks(0)));
    assert_eq!(world.tasks().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_failure_under_a_previous_name_opens_the_breaker_of_the_new_one() {
    let world = world_of(&["a"]);
    world.queue("a").visible(5);
    for minute in 0..2 {
        let _ = tick(&scaler(&world, &called("one", &[])), &world, minute).await;
        world.all_end("TaskFailedToStart", "CannotPullContainerError: not found", None);
    }
    let two = tick(&scaler(&world, &called("two", &["one"])), &world, 2).await;
    assert_eq!(two.totals.launched_tasks, Tasks(1), "a canary: {two:?}");
}

#[tokio::test(start_paused = true)]
async fn a_scaler_that_is_renamed_keeps_its_tasks() {
    let world = world_of(&["a"]);
    world.queue("a").visible(3);
    let mut config = called("a", &[]);
    let _ = tick(&scaler(&world, &config), &world, 0).await;
    let renamed = |config: &Value| Scaler {
        name: ScalerName::parse("renamed").unwrap(),
        ..scaler(&world, config)
    };
    config["previousNames"] = json!(["scaler"]);
    let report = tick(&renamed(&config), &world, 1).await;
    assert_eq!(report.totals.launched_tasks, Tasks(0), "{report:?}");
    let report = tick(&renamed(&called("a", &[])), &world, 2).await;
    assert_eq!(report.totals.launched_tasks, Tasks(3), "without it they are somebody else's");
}

/// Two deployments of one name on a cluster: what the one started, the other takes for its own.
#[tokio::test(start_paused = true)]
async fn tasks_of_another_function_under_the_same_name_are_told() {
    let world = world_of(&["a"]);
    world.queue("a").visible(3);
    let named = |function: &str, config: &Value| Scaler {
        function: function.to_owned(),
        ..scaler(&world, config)
    };
    let mut config = called("a", &[]);
    let report = tick(&named("blue", &config), &world, 0).await;
    assert_eq!(report.workers[0].warnings, [""; 0]);
    for minute in [0, 1] {
        let report = tick(&named("green", &config), &world, minute).await;
        assert_eq!(report.totals.launched_tasks, Tasks(0));
        let told = &report.workers[0].warnings.join("; ");
        assert!(told.contains("3 tasks were started by another function, `blue`"), "{told}");
    }
    let report = tick(&named("blue", &config), &world, 2).await;
    assert_eq!(report.workers[0].warnings, [""; 0], "a process that is new is the same function");
    config["previousNames"] = json!(["scaler"]);
    let moved = Scaler { name: ScalerName::parse("moved").unwrap(), ..named("green", &config) };
    let report = tick(&moved, &world, 3).await;
    assert_eq!(report.workers[0].warnings, [""; 0], "of a previous name it is to be expected");
}

#[test]
fn a_previous_name_is_of_one_worker() {
    let mut a = one_each("a");
    a["previousNames"] = json!(["old", "b"]);
    let mut b = one_each("b");
    b["previousNames"] = json!(["b"]);
    let mut c = one_each("c");
    c["previousNames"] = json!(["old"]);
    let mut d = one_each("d");
    d["previousNames"] = json!(["no name"]);
    let mut document = config(&[a, b, c, d]);
    let refused = Config::from_value(&document).unwrap().refused;
    let told = refused.iter().flat_map(|refused| &refused.problems).map(ToString::to_string);
    let told = told.collect::<Vec<_>>().join("\n");
    document["previousNames"] = json!(["a b"]);
    insta::assert_snapshot!(format!("{told}\n{}", Config::from_value(&document).unwrap_err()));
}
