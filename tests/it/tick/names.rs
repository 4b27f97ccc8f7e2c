//! Names: however something of AWS is named, it is one and the same; and what is not ours is left alone.

use ecs_queue_scaler::report::{Outcome, Report};
use ecs_queue_scaler::units::Tasks;
use serde_json::{Value, json};

use super::{config, definition, scaler, tick, worker, world_of};
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
