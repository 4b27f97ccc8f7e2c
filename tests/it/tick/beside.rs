//! What a worker's `launch` says of its tasks beside their definition: `overrides`.

use decision::units::Tasks;
use ecs_queue_scaler::report::{Outcome, WorkerReport};
use ecs_queue_scaler::run::{Invocation, Ran};
use serde_json::{Value, json};

use super::trouble::captured;
use super::{config, definition, groups, only_worker, scaler, tick, worker, world_of};
use crate::world::{Call, Fault, World};

const ROLE: &str = "arn:aws:iam::123456789012:role/jobs/export";

fn one_message() -> Value {
    json!({"messagesPerContainer": 1})
}

/// A configuration of one worker with this beside its definition.
fn beside(launch: &Value, packing: &Value) -> Value {
    let mut worker = worker("a", &one_message(), packing);
    worker["launch"] = launch.clone();
    config(&[worker])
}

/// The same for its container's environment.
fn with_value(value: &str, packing: &Value) -> Value {
    let environment = json!([{"name": "VALUE", "value": value}]);
    let container = json!({"name": "worker", "environment": environment});
    beside(&json!({"overrides": {"containerOverrides": [container]}}), packing)
}

fn one_each() -> Value {
    json!({"maxContainersPerTask": 1})
}

fn runs(world: &World) -> Vec<Value> {
    let calls = world.take_calls().into_iter();
    let calls = calls.filter(|call| ["RunTask", "StartTask"].contains(&call.operation.as_str()));
    calls.map(|Call { input, .. }| input).collect()
}

/// The variables of the overrides that a call has, container by container.
fn variables(run: &Value) -> Vec<(String, Value)> {
    let containers = run["overrides"]["containerOverrides"].as_array().unwrap().iter();
    let of = |container: &Value| {
        (container["name"].as_str().unwrap().to_owned(), container["environment"].clone())
    };
    containers.map(of).collect()
}

/// Refused, and nothing was asked for.
fn refused(world: &World, worker: &WorkerReport) -> String {
    assert_eq!(worker.outcome, Outcome::Failed, "{worker:?}");
    assert_eq!(world.changes(), 0);
    worker.errors.join("; ")
}

#[tokio::test(start_paused = true)]
async fn one_definition_serves_two_queues_whose_values_are_filled_at_the_launch() {
    let world = world_of(&["a", "b"]);
    let value = "{worker} empties {queue.name} at {queue.url} since {tick}, {{once}}";
    let mut document = with_value(value, &one_each());
    document["launch"]["overrides"] = document["workers"][0]["launch"]["overrides"].take();
    document["workers"][0].as_object_mut().unwrap().remove("launch");
    let mut other = worker("b", &one_message(), &one_each());
    other["taskDefinition"] = json!("a");
    document["workers"].as_array_mut().unwrap().push(other);
    for name in ["a", "b"] {
        world.queue(name).visible(1);
    }
    let report = tick(&scaler(&world, &document), &world, 0).await;
    assert_eq!(report.totals.launched_tasks, Tasks(2), "{report:?}");
    let mut told: Vec<_> = runs(&world)
        .iter()
        .flat_map(variables)
        .map(|(container, environment)| format!("{container}: {environment}"))
        .collect();
    told.sort();
    insta::assert_snapshot!(told.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn an_override_of_the_worker_is_one_of_each_clone_and_others_stay() {
    let world = world_of(&["a"]);
    let mut two = definition("a");
    (two["cpu"], two["memory"]) = (json!("512"), json!("1024"));
    let sidecar = json!({"name": "proxy", "image": "p", "cpu": 128, "memory": 256});
    two["containerDefinitions"].as_array_mut().unwrap().push(sidecar);
    world.register(&two);
    world.queue("a").visible(4);
    let containers = json!([
        {"name": "worker", "command": ["run", "{all}"],
            "environment": [{"name": "QUEUE", "value": "{queue.name}"}]},
        {"name": "proxy", "environment": [{"name": "LEVEL", "value": "debug"}]},
    ]);
    let overrides = json!({"containerOverrides": containers, "taskRoleArn": ROLE,
        "executionRoleArn": ROLE});
    let four = json!({"strategy": "dense", "maxContainersPerTask": 4});
    let mut config = beside(&json!({"overrides": overrides}), &four);
    config["workers"][0]["container"] = json!("worker");
    let report = tick(&scaler(&world, &config), &world, 0).await;
    assert_eq!(groups(only_worker(&report)), [(1, 4)], "{report:?}");
    let runs = runs(&world);
    let queue = json!([{"name": "QUEUE", "value": "a"}]);
    let expected: Vec<_> = ["worker", "worker-2", "worker-3", "worker-4"]
        .map(|name| (name.to_owned(), queue.clone()))
        .into_iter()
        .chain([("proxy".to_owned(), json!([{"name": "LEVEL", "value": "debug"}]))])
        .collect();
    assert_eq!(variables(&runs[0]), expected);
    let sent = &runs[0]["overrides"];
    assert_eq!((&sent["taskRoleArn"], &sent["executionRoleArn"]), (&json!(ROLE), &json!(ROLE)));
    for clone in 0..4 {
        assert_eq!(sent["containerOverrides"][clone]["command"], json!(["run", "{all}"]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_repeated_delivery_makes_the_same_request_with_the_same_token() {
    let world = world_of(&["a"]);
    world.queue("a").visible(2);
    let config = with_value("{queue.url} {tick}", &one_each());
    let mut all = Vec::new();
    for _ in 0..2 {
        // Another process, which knows nothing of the first.
        world.state().watch = crate::world::watch::Watch::default();
        let _ = tick(&scaler(&world, &config), &world, 0).await;
        all.push(runs(&world));
        world.forget_tag("ecs-queue-scaler:tick");
        world.all_stop();
    }
    assert_eq!(all[0].len(), 1);
    assert_eq!(all[0], all[1]);
    let _ = tick(&scaler(&world, &config), &world, 1).await;
    let next = runs(&world);
    assert_ne!(variables(&next[0]), variables(&all[0][0]), "the next tick has another name");
}

/// ECS takes 8,192 characters for all containers together: three of these, and three of this size would
/// pay for the CPU of a fourth.
#[tokio::test(start_paused = true)]
async fn what_is_said_of_each_container_caps_the_containers_of_a_task() {
    let dense = json!({"strategy": "dense", "maxContainersPerTask": 4});
    for (length, each, expected) in [(10, 1, vec![(2, 4)]), (2600, 1, vec![(4, 2)])] {
        let world = world_of(&["a"]);
        world.queue("a").visible(8 * each);
        let config = with_value(&"x".repeat(length), &dense);
        let report = tick(&scaler(&world, &config), &world, 0).await;
        assert_eq!(groups(only_worker(&report)), expected, "{length}: {report:?}");
    }
    // Where containers have to wait for it, the sum says why.
    let world = world_of(&["a"]);
    world.queue("a").visible(8);
    let one_task = json!({"strategy": "dense", "maxContainersPerTask": 4, "maxTasks": 1});
    let report = tick(&scaler(&world, &with_value(&"x".repeat(2600), &one_task)), &world, 0).await;
    let why = &only_worker(&report).decision.as_ref().unwrap().why;
    assert!(why.contains("characters for 4 worker containers, and ECS takes 8192 a task"), "{why}");
    // One container, to the character: the value is what is left beside the names.
    let around = json!({"containerOverrides": [{"name": "worker",
        "environment": [{"name": "VALUE", "value": ""}]}]});
    let most = 8192 - around.to_string().len();
    for (length, launched) in [(most, Tasks(1)), (most + 1, Tasks(0))] {
        let world = world_of(&["a"]);
        world.queue("a").visible(1);
        let config = with_value(&"ü".repeat(length), &dense);
        let report = tick(&scaler(&world, &config), &world, 0).await;
        assert_eq!(report.totals.launched_tasks, launched, "{length}: {report:?}");
        if launched == Tasks(0) {
            let told = refused(&world, only_worker(&report));
            assert!(told.contains("has 8193 characters for one worker container"), "{told}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_definition_cannot_take_is_refused_by_name_before_any_call() {
    let of = |name: &str| json!({"overrides": {"containerOverrides": [{"name": name}]}});
    let sized = |size: Value| json!({ "overrides": size });
    let cases = [
        ("no such container", of("wroker")),
        ("a clone", of("worker-2")),
        ("no size of Fargate", sized(json!({"cpu": 512}))),
        ("another", sized(json!({"cpu": "256", "memory": "4096"}))),
    ];
    let mut all = Vec::new();
    for (case, launch) in cases {
        let world = world_of(&["a"]);
        world.queue("a").visible(3);
        let report = tick(&scaler(&world, &beside(&launch, &one_each())), &world, 0).await;
        all.push(format!("{case}: {}", refused(&world, only_worker(&report))));
    }
    insta::assert_snapshot!(all.join("\n"));
}

/// The scaler has five of the fifty, a derived definition two more than its base.
#[tokio::test(start_paused = true)]
async fn tags_are_sent_with_ours_and_summed_with_those_of_the_definition() {
    let tags = |count: usize| -> Value {
        let tag = |n| (format!("key-{n:02}"), json!(format!("value {n}")));
        Value::Object((0..count).map(tag).collect())
    };
    let propagated = "TASK_DEFINITION";
    let mut all = Vec::new();
    for (given, of_definition, propagate, expected) in [
        (1, 0, "NONE", vec![(1, 2)]),
        (45, 10, "NONE", vec![(1, 2)]),
        (46, 0, "NONE", vec![]),
        (33, 10, propagated, vec![(1, 2)]),
        (34, 10, propagated, vec![(2, 1)]),
        (35, 10, propagated, vec![(2, 1)]),
        (36, 10, propagated, vec![]),
    ] {
        let world = world_of(&["a"]);
        let mut tagged = definition("a");
        let tag = |n| json!({"key": format!("own-{n}"), "value": "x"});
        tagged["tags"] = (0..of_definition).map(tag).collect();
        world.register(&tagged);
        world.queue("a").visible(2);
        let launch = json!({"tags": tags(given), "propagateTags": propagate});
        let two = json!({"strategy": "dense", "maxContainersPerTask": 2});
        let report = tick(&scaler(&world, &beside(&launch, &two)), &world, 0).await;
        let worker = only_worker(&report);
        assert_eq!(groups(worker), expected, "{given} {of_definition} {propagate}: {report:?}");
        if expected.is_empty() {
            all.push(refused(&world, worker));
            continue;
        }
        for run in runs(&world) {
            let sent = run["tags"].as_array().unwrap();
            assert_eq!(sent.len(), 5 + given);
            assert!(sent.contains(&json!({"key": "key-00", "value": "value 0"})), "{sent:?}");
        }
    }
    insta::assert_snapshot!(all.join("\n"));
}

/// A definition that leaves these volumes to the launch.
fn with_volumes(names: &[&str]) -> Value {
    let mut definition = definition("a");
    let volume = |name: &&str| json!({"name": name, "configuredAtLaunch": true});
    definition["volumes"] = names.iter().map(volume).collect();
    definition
}

fn scratch() -> Value {
    json!([{"name": "scratch", "managedEBSVolume": {"roleArn": ROLE, "sizeInGiB": 100,
        "volumeType": "gp3", "terminationPolicy": {"deleteOnTermination": true},
        "tagSpecifications": [{"resourceType": "volume", "tags": [{"key": "a", "value": "b"}]}]}}])
}

#[tokio::test(start_paused = true)]
async fn a_volume_that_is_left_to_the_launch_goes_with_every_call() {
    let world = world_of(&["a"]);
    world.register(&with_volumes(&["scratch"]));
    world.queue("a").visible(3);
    let two = json!({"strategy": "dense", "maxContainersPerTask": 2});
    let config = beside(&json!({"volumeConfigurations": scratch()}), &two);
    let report = tick(&scaler(&world, &config), &world, 0).await;
    assert_eq!(groups(only_worker(&report)), [(1, 2), (1, 1)], "{report:?}");
    for run in runs(&world) {
        assert_eq!(run["volumeConfigurations"], scratch());
    }
}

#[tokio::test(start_paused = true)]
async fn a_volume_that_is_missing_on_either_side_is_refused_by_name_before_any_call() {
    let mut all = Vec::new();
    for (left, launch) in [
        (&["scratch"][..], json!({})),
        (&["data"], json!({"volumeConfigurations": scratch()})),
        (&[], json!({"volumeConfigurations": scratch()})),
    ] {
        let world = world_of(&["a"]);
        world.register(&with_volumes(left));
        world.queue("a").visible(1);
        let report = tick(&scaler(&world, &beside(&launch, &one_each())), &world, 0).await;
        all.push(refused(&world, only_worker(&report)));
    }
    insta::assert_snapshot!(all.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn execute_command_needs_a_task_role_of_the_definition_or_of_the_overrides() {
    let exec = json!({"enableExecuteCommand": true});
    let with_role = json!({"enableExecuteCommand": true, "overrides": {"taskRoleArn": ROLE}});
    for (of_definition, launch, launched) in
        [(false, &exec, 0), (true, &exec, 1), (false, &with_role, 1)]
    {
        let world = world_of(&["a"]);
        if of_definition {
            let mut definition = definition("a");
            definition["taskRoleArn"] = json!(ROLE);
            world.register(&definition);
        }
        world.queue("a").visible(1);
        let report = tick(&scaler(&world, &beside(launch, &one_each())), &world, 0).await;
        assert_eq!(report.totals.launched_tasks, Tasks(launched), "{report:?}");
        if launched == 0 {
            let told = refused(&world, only_worker(&report));
            assert!(told.contains("enableExecuteCommand needs a task role"), "{told}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_price_is_that_of_the_size_that_is_launched() {
    let price = async |launch: Value| {
        let world = world_of(&["a"]);
        world.queue("a").visible(1);
        let report = tick(&scaler(&world, &beside(&launch, &one_each())), &world, 0).await;
        assert_eq!(report.totals.launched_tasks, Tasks(1), "{report:?}");
        let why = &only_worker(&report).decision.as_ref().unwrap().why;
        why.rsplit("; ").next().unwrap().to_owned()
    };
    let base = price(json!({})).await;
    let twice = price(json!({"overrides": {"cpu": 512, "memory": "1024"}})).await;
    assert_eq!(
        [base.as_str(), &twice],
        [
            "about $0.0123 an hour (Fargate On-Demand, us-east-1)",
            "about $0.0246 an hour (Fargate On-Demand, us-east-1)"
        ]
    );
}

/// A value, an argument, and a mistake beside them, whatever echoes them.
#[tokio::test(start_paused = true)]
async fn no_canary_of_an_override_is_ever_told_whatever_echoes_it() {
    let (lines, _guard) = captured();
    let world = world_of(&["a"]);
    world.queue("a").visible(4);
    let container = json!({"name": "worker", "command": ["run", "--token=kanarie-1"],
        "environmentFiles": [{"value": "arn:aws:s3:::kanarie-2/a.env", "type": "s3"}],
        "environment": [{"name": "KEY", "value": "kanarie-3-{tick}-kanarie-4"}]});
    let overrides = json!({"containerOverrides": [container]});
    let config = beside(&json!({ "overrides": overrides }), &json!({"maxContainersPerTask": 2}));
    let mut told = Vec::new();
    let echo = overrides.to_string();
    let plain = echo.replace(['"', '{', '}', '[', ']', ','], " ");
    for echo in [echo, plain] {
        let leaked: &'static str = echo.leak();
        let error = |status, code| Fault::Error(status, code, format!("Invalid: {leaked}."));
        for fault in [
            error(400, "InvalidParameterException"),
            error(500, "ServerException"),
            Fault::Placed(0, leaked),
        ] {
            // What a call without an answer may have started is not waited for.
            let function = scaler(&world, &config);
            world.fail("RunTask", 3, fault);
            for _ in 0..3 {
                let request = format!("request-{}", told.len());
                let invocation = Invocation::new(&request, world.now(), 0);
                let event = json!({"dryRun": false});
                told.push(format!("{:?}", function.run(&event, &invocation, Ran::log).await));
                world.forget_faults();
                world.all_end(leaked, leaked, None);
            }
            told.push(format!("{:?} {:?}", function.config, function.ledger));
        }
    }
    let lines = lines.text();
    assert!(lines.contains("[redacted]"), "{lines}");
    for text in lines.lines().chain(told.iter().map(String::as_str)) {
        assert!(!text.contains("kanarie"), "{text}");
    }
}
