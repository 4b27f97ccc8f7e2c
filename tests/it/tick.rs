//! Whole ticks against the in-process AWS: what is read, launched, and left alone.

mod answers;
mod beside;
mod breaker;
mod check;
mod clocks;
mod defences;
mod definitions;
mod hour;
mod late;
mod names;
mod once;
mod outlived;
mod paused;
mod polls;
mod progress;
mod refusals;
mod registration;
mod smaller;
mod trips;
pub(crate) mod trouble;
mod variants;
mod waiting;

use std::time::Duration;

use decision::event::Mode;
use decision::units::{Containers, ScalerName, Tasks};
use ecs_queue_scaler::aws::Aws;
use ecs_queue_scaler::report::{Outcome, Report, WorkerReport};
use ecs_queue_scaler::run::{Invocation, Ran, RunError, Scaler};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::world::World;

/// A family whose worker container leaves room for clones.
pub(crate) fn definition(family: &str) -> Value {
    json!({
        "family": family, "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"],
        "cpu": "256", "memory": "512",
        "containerDefinitions": [{
            "name": "worker", "image": "worker:1", "cpu": 256, "memory": 512,
            "environment": [{"name": "TABLE", "value": "jobs"}],
        }],
    })
}

/// The same for instances too.
pub(crate) fn definition_for_both(family: &str) -> Value {
    let mut definition = definition(family);
    definition["requiresCompatibilities"] = json!(["EC2", "FARGATE"]);
    definition
}

pub(crate) fn worker(name: &str, scaling: &Value, packing: &Value) -> Value {
    json!({"name": name, "queue": name, "taskDefinition": name, "scaling": scaling, "packing": packing})
}

pub(crate) fn config(workers: &[Value]) -> Value {
    json!({
        "cluster": "jobs", "workers": workers,
        "launch": {"launchType": "FARGATE", "networkConfiguration": {
            "awsvpcConfiguration": {"subnets": ["subnet-0a1b2c3d"], "securityGroups": ["sg-0a1b2c3d"]}}},
    })
}

/// A world with a cluster, and a queue and a definition of each name.
pub(crate) fn world_of(names: &[&str]) -> World {
    world_with(names, definition)
}

/// The same with such definitions.
pub(crate) fn world_with(names: &[&str], definition: fn(&str) -> Value) -> World {
    let world = World::default();
    world.cluster("jobs");
    for name in names {
        world.queue(name);
        world.register(&definition(name));
    }
    world
}

/// A function that was just started: it remembers nothing.
pub(crate) fn scaler(world: &World, config: &Value) -> Scaler {
    let scaler = Scaler::new("scaler", &config.to_string(), Mode::Launch).unwrap();
    Scaler { aws: Aws::new(&world.sdk_config()), ..scaler }
}

/// An invocation of now, with a minute to its end.
pub(crate) fn invocation(world: &World) -> Invocation {
    Invocation::new("request", world.now(), 0)
}

/// What the last tick of an invocation came to, also where the invocation failed for it.
pub(crate) async fn ticked(function: &Scaler, event: &Value, invocation: &Invocation) -> Report {
    let ran = match Box::pin(function.run(event, invocation, |_| ())).await {
        Ok(ran) => ran,
        Err(RunError::Done { ran, .. }) => *ran,
        Err(error) => panic!("{error}"),
    };
    let Ran::Tick(report) = ran else { panic!("no tick: {ran:?}") };
    *report
}

/// The tick of a minute, which comes when it is due.
pub(crate) async fn tick(function: &Scaler, world: &World, minute: u64) -> Report {
    world.reach(Duration::from_secs(60 * minute)).await;
    let beginning: Timestamp = crate::world::BEGINNING.parse().unwrap();
    let tick = beginning + Duration::from_secs(60 * minute);
    let event = json!({"scheduledTime": tick.to_string()});
    ticked(function, &event, &invocation(world)).await
}

pub(crate) fn only_worker(report: &Report) -> &WorkerReport {
    let [worker] = report.workers.as_slice() else { panic!("one worker, not {report:?}") };
    worker
}

/// The `count` of every `RunTask` since calls were taken.
/// Workers of one task a message, by name and messages, each of at most so many.
fn one_task_a_message(of: &[(&str, u64)], most: u64) -> (World, Value) {
    let world = world_of(&of.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    let packing = json!({"maxContainersPerTask": 1, "maxTasks": most});
    let scaling = json!({"messagesPerContainer": 1, "maxContainers": most});
    let workers: Vec<_> = of
        .iter()
        .map(|(name, messages)| {
            world.queue(name).visible(*messages);
            worker(name, &scaling, &packing)
        })
        .collect();
    (world, config(&workers))
}

fn started(worker: &WorkerReport) -> usize {
    worker.launched.iter().map(|launched| launched.tasks.len()).sum()
}

fn batches(world: &World) -> Vec<u64> {
    let calls = world.take_calls().into_iter().filter(|call| call.operation == "RunTask");
    calls.map(|call| call.input["count"].as_u64().unwrap()).collect()
}

/// Tasks and containers a task of each launched group.
pub(crate) fn groups(worker: &WorkerReport) -> Vec<(u32, u32)> {
    worker.launched.iter().map(|l| (l.count.0, l.containers_per_task.0)).collect()
}

#[tokio::test(start_paused = true)]
async fn thirty_messages_become_seven_tasks_of_four_and_one_of_two() {
    let world = world_of(&["thumbnail"]);
    world.queue("thumbnail").visible(30);
    let dense = json!({"strategy": "dense", "maxContainersPerTask": 4});
    let config = config(&[worker("thumbnail", &json!({"messagesPerContainer": 1}), &dense)]);

    let function = scaler(&world, &config);
    let first = tick(&function, &world, 0).await;
    assert_eq!(groups(only_worker(&first)), [(7, 4), (1, 2)]);
    assert_eq!(first.totals.launched_containers, Containers(30));
    assert_eq!(world.count("RegisterTaskDefinition"), 2);
    assert_eq!(batches(&world), [7, 1]);
    assert_eq!(world.tasks().len(), 8);

    let second = tick(&function, &world, 1).await;
    assert_eq!(only_worker(&second).outcome, Outcome::Idle);
    assert_eq!(world.changes(), 0);

    world.all_stop();
    let third = tick(&scaler(&world, &config), &world, 2).await;
    assert_eq!(groups(only_worker(&third)), [(7, 4), (1, 2)]);
    assert_eq!(world.count("RegisterTaskDefinition"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_burst_goes_out_in_tens_and_a_rest() {
    let scaling = json!({"messagesPerContainer": 1});
    for (messages, expected) in
        [(1, vec![1]), (10, vec![10]), (11, vec![10, 1]), (22, vec![10, 10, 2]), (0, vec![])]
    {
        let world = world_of(&["export"]);
        world.queue("export").visible(messages);
        let one_each = json!({"maxContainersPerTask": 1, "maxTasks": 30});
        let config = config(&[worker("export", &scaling, &one_each)]);
        let _ = tick(&scaler(&world, &config), &world, 0).await;
        let mut batches = batches(&world);
        batches.sort_unstable_by(|a, b| b.cmp(a));
        assert_eq!(batches, expected);
        assert_eq!(world.families(), ["export"], "one container a task runs the base itself");
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_queue_costs_one_call() {
    let world = world_of(&["thumbnail"]);
    world.queue("thumbnail").visible(0).in_flight(5).delayed(5);
    let mut thumbnail = worker("thumbnail", &json!({"messagesPerContainer": 1}), &json!({}));
    thumbnail["queue"] = json!("https://sqs.eu-central-1.amazonaws.com/123456789012/thumbnail");
    let report = tick(&scaler(&world, &config(&[thumbnail])), &world, 0).await;
    assert_eq!(only_worker(&report).outcome, Outcome::Idle);
    let calls: Vec<_> = world.take_calls().into_iter().map(|call| call.operation).collect();
    assert_eq!(calls, ["GetQueueAttributes"]);
    assert_eq!(report.totals.api_calls, 1);
}

/// The world begins at 21:00 by UTC, when it is 22:00 in Berlin.
#[tokio::test(start_paused = true)]
async fn a_window_keeps_its_minimum_while_it_is_open_and_costs_nothing_before() {
    let world = world_of(&["a"]);
    let night = json!([{"cron": "5 22 * * *", "for": "8h", "timeZone": "Europe/Berlin",
        "containers": 2}]);
    let scaling = json!({"messagesPerContainer": 1, "minContainers": night});
    let mut document = config(&[worker("a", &scaling, &json!({}))]);
    document["workers"][0]["queue"] =
        json!("https://sqs.eu-central-1.amazonaws.com/123456789012/a");
    let function = scaler(&world, &document);
    let before = tick(&function, &world, 4).await;
    assert_eq!((only_worker(&before).outcome, before.totals.api_calls), (Outcome::Idle, 1));
    let opens = tick(&function, &world, 5).await;
    assert_eq!(opens.totals.launched_containers, Containers(2));
    let why = &only_worker(&opens).decision.as_ref().unwrap().why;
    let told = "minContainers asks for 2 (`5 22 * * *` Europe/Berlin for 8h)";
    assert!(why.contains(told), "{why}");
    let after = tick(&function, &world, 5 + 8 * 60).await;
    assert_eq!(only_worker(&after).outcome, Outcome::Idle);
}

#[tokio::test(start_paused = true)]
async fn a_warm_function_knows_the_queues_url() {
    let world = world_of(&["thumbnail"]);
    let config = config(&[worker("thumbnail", &json!({"messagesPerContainer": 1}), &json!({}))]);
    let function = scaler(&world, &config);
    let _ = tick(&function, &world, 0).await;
    world.take_calls();
    let _ = tick(&function, &world, 1).await;
    assert_eq!(world.count("GetQueueUrl"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_queue_is_found_by_name_url_and_arn() {
    let names = ["a", "b"];
    let world = world_of(&names);
    world.queue("a").visible(1);
    world.queue_of("999999999999", "b").visible(2);
    let one = json!({"messagesPerContainer": 1});
    let mut workers = names.map(|name| worker(name, &one, &json!({})));
    workers[1]["queue"] = json!("arn:aws:sqs:eu-central-1:999999999999:b");
    let report = tick(&scaler(&world, &config(&workers)), &world, 0).await;
    let visible: Vec<_> = report.workers.iter().map(|w| w.depth.unwrap().visible.0).collect();
    assert_eq!(visible, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn only_containers_that_have_not_stopped_are_alive() {
    let world = world_of(&["thumbnail"]);
    world.queue("thumbnail").visible(8);
    let four = json!({"strategy": "dense", "maxContainersPerTask": 4});
    let config = config(&[worker("thumbnail", &json!({"messagesPerContainer": 1}), &four)]);
    let function = scaler(&world, &config);
    let _ = tick(&function, &world, 0).await;

    let starting = tick(&function, &world, 1).await;
    let alive = only_worker(&starting).alive.unwrap();
    assert_eq!(
        (alive.tasks, alive.containers, alive.running),
        (Tasks(2), Containers(8), Containers(0))
    );

    world.all_run();
    world.containers_stop("worker-2");
    let later = tick(&function, &world, 2).await;
    let alive = only_worker(&later).alive.unwrap();
    assert_eq!((alive.containers, alive.running), (Containers(6), Containers(6)));
    assert_eq!(later.totals.launched_containers, Containers(2));
}

#[tokio::test(start_paused = true)]
async fn hundreds_of_tasks_come_in_pages_and_are_described_in_hundreds() {
    let world = world_of(&["thumbnail"]);
    world.queue("thumbnail").visible(230);
    let one_each = json!({"maxContainersPerTask": 1, "maxTasks": 300});
    let scaling = json!({"messagesPerContainer": 1, "maxContainers": 300});
    let function = scaler(&world, &config(&[worker("thumbnail", &scaling, &one_each)]));
    let _ = tick(&function, &world, 0).await;
    world.take_calls();
    world.page_size(70);
    let report = tick(&function, &world, 1).await;
    assert_eq!(only_worker(&report).alive.unwrap().tasks, Tasks(230));
    assert_eq!((world.count("ListTasks"), world.count("DescribeTasks")), (4, 3));
}

#[tokio::test(start_paused = true)]
async fn workers_of_one_cluster_share_its_list_and_count_only_their_own() {
    let world = world_of(&["a", "b"]);
    world.queue("a").visible(3);
    world.queue("b").visible(5);
    let one = json!({"messagesPerContainer": 1});
    let config = config(&["a", "b"].map(|name| worker(name, &one, &json!({}))));
    let function = scaler(&world, &config);
    let _ = tick(&function, &world, 0).await;
    world.take_calls();
    let report = tick(&function, &world, 1).await;
    let alive: Vec<_> = report.workers.iter().map(|w| w.alive.unwrap().containers.0).collect();
    assert_eq!(alive, [3, 5]);
    assert_eq!((world.count("ListTasks"), world.count("DescribeTasks")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn another_scalers_tasks_are_none_of_ours() {
    let world = world_of(&["thumbnail"]);
    world.queue("thumbnail").visible(2);
    let config = config(&[worker("thumbnail", &json!({"messagesPerContainer": 1}), &json!({}))]);
    let other = Scaler { name: ScalerName::parse("other").unwrap(), ..scaler(&world, &config) };
    let _ = tick(&other, &world, 0).await;
    let report = tick(&scaler(&world, &config), &world, 0).await;
    assert_eq!(report.totals.launched_tasks, Tasks(2));
}

#[tokio::test(start_paused = true)]
async fn a_task_carries_who_started_it_for_whom_and_when() {
    let world = world_of(&["thumbnail"]);
    world.queue("thumbnail").visible(1);
    let config = config(&[worker("thumbnail", &json!({"messagesPerContainer": 1}), &json!({}))]);
    let _ = tick(&scaler(&world, &config), &world, 0).await;
    let task = &world.tasks()[0];
    assert_eq!(
        (&task["startedBy"], &task["group"]),
        (&json!("scaler"), &json!("worker:thumbnail"))
    );
    let tags = json!([{"key": "ecs-queue-scaler:worker", "value": "thumbnail"},
        {"key": "ecs-queue-scaler:tick", "value": "2026-11-20T21:00:00Z"},
        {"key": "ecs-queue-scaler:container", "value": "worker"},
        {"key": "ecs-queue-scaler:function", "value": "local"},
        {"key": "ecs-queue-scaler:plan", "value": "1x1"}]);
    assert_eq!(task["tags"], tags);
}

#[tokio::test(start_paused = true)]
async fn a_bridge_definition_gets_no_network_configuration() {
    let world = world_of(&[]);
    world.queue("export").visible(1);
    world.register(&json!({"family": "export", "containerDefinitions": [
        {"name": "worker", "image": "worker:1", "memory": 64}]}));
    let mut config = config(&[worker("export", &json!({"messagesPerContainer": 1}), &json!({}))]);
    config["workers"][0]["launch"] = json!({"launchType": "EC2"});
    let report = tick(&scaler(&world, &config), &world, 0).await;
    assert_eq!(only_worker(&report).outcome, Outcome::Launched, "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_cannot_be_cloned_runs_one_a_task_and_the_rest_is_told() {
    let world = world_of(&[]);
    world.queue("export").visible(30);
    let mut with_port = definition("export");
    with_port["containerDefinitions"][0]["portMappings"] = json!([{"containerPort": 8080}]);
    world.register(&with_port);
    let (one, spread) = (json!({"messagesPerContainer": 1}), json!({"strategy": "spread"}));
    let report =
        tick(&scaler(&world, &config(&[worker("export", &one, &spread)])), &world, 0).await;
    let unasked = only_worker(&report);
    assert_eq!((groups(unasked), unasked.deferred), (vec![(10, 1)], Containers(20)));
    insta::assert_snapshot!(unasked.decision.as_ref().unwrap().why);

    let two = json!({"maxContainersPerTask": 2});
    let report = tick(&scaler(&world, &config(&[worker("export", &one, &two)])), &world, 1).await;
    assert_eq!(only_worker(&report).outcome, Outcome::Failed, "whoever asks for clones is told");
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_tells_all_and_changes_nothing() {
    let world = world_of(&["thumbnail"]);
    world.queue("thumbnail").visible(30);
    let dense = json!({"strategy": "dense", "maxContainersPerTask": 4});
    let config = config(&[worker("thumbnail", &json!({"messagesPerContainer": 1}), &dense)]);
    let function = scaler(&world, &config);
    let by_event = ticked(&function, &json!({"dryRun": true}), &invocation(&world)).await;
    let by_environment =
        tick(&Scaler { mode: Mode::DryRun, ..scaler(&world, &config) }, &world, 0).await;
    for report in [by_event, by_environment] {
        assert!(report.dry_run);
        assert_eq!(only_worker(&report).outcome, Outcome::Planned);
        assert_eq!(groups(only_worker(&report)), [(7, 4), (1, 2)]);
        assert_eq!(report.totals.launched_tasks, Tasks(0));
    }
    assert_eq!(world.changes(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_invocation_can_be_narrowed_to_some_workers() {
    let world = world_of(&["a", "b"]);
    let one = json!({"messagesPerContainer": 1});
    let config = config(&["a", "b"].map(|name| worker(name, &one, &json!({}))));
    let function = scaler(&world, &config);
    let report = ticked(&function, &json!({"only": ["b"]}), &invocation(&world)).await;
    assert_eq!(only_worker(&report).worker.as_str(), "b");
    let error =
        function.run(&json!({"only": ["c"]}), &invocation(&world), |_| ()).await.unwrap_err();
    assert_eq!(error.to_string(), "`only` names `c`, which is not a worker; there are `a`, `b`");
}

#[tokio::test(start_paused = true)]
async fn an_invocation_can_bring_its_workers() {
    let world = world_of(&["a", "b"]);
    let one = json!({"messagesPerContainer": 1});
    let function = scaler(&world, &config(&[worker("a", &one, &json!({}))]));
    let mut event = config(&[worker("b", &one, &json!({}))]);
    event["dryRun"] = json!(true);
    let report = ticked(&function, &event, &invocation(&world)).await;
    assert_eq!(only_worker(&report).worker.as_str(), "b");
    event["workers"] = json!([]);
    let error = function.run(&event, &invocation(&world), |_| ()).await.unwrap_err();
    assert!(matches!(error, RunError::Config(_)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_result_has_the_documented_shape() {
    let world = world_of(&["thumbnail"]);
    world.queue("thumbnail").visible(77).in_flight(3);
    let scaling = json!({"messagesPerContainer": 20, "maxContainers": 100});
    let one_task = json!({"strategy": "spread", "maxTasks": 1});
    let mut config = config(&[worker("thumbnail", &scaling, &one_task)]);
    // The example's placeholders would be warned of.
    let network = json!({"awsvpcConfiguration": {"subnets": ["subnet-0123456789abcdef0"]}});
    config["launch"]["networkConfiguration"] = network;
    let mut report = tick(&scaler(&world, &config), &world, 0).await;
    assert_eq!(std::mem::replace(&mut report.version, "1.2.3"), env!("CARGO_PKG_VERSION"));
    report.totals.milliseconds = 41;
    insta::assert_snapshot!(serde_json::to_string_pretty(&report).unwrap());
}
