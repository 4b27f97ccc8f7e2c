//! Derived definitions are legal whenever their base is, lose nothing of it, and end as promised.

mod agent;
mod every;

use decision::config::{Completion, Packing, Rung, Strategy as PackingStrategy, Watcher};
use decision::definition::TaskDefinition;
use decision::fargate::TaskSize;
use decision::units::{Containers, CpuUnits, MebiBytes, Tasks};
use decision::variant::{Obstacle, Recipe, Settings};
use proptest::prelude::{
    Just, ProptestConfig, Strategy, any, prop, prop_assert, prop_oneof, proptest,
};
use proptest::sample::select;
use serde_json::{Value, json};

use super::{config, scaler, tick, worker, world_of};
use crate::world::World;

fn packing(completion: Completion) -> Packing {
    Packing {
        strategy: PackingStrategy::Dense,
        max_containers_per_task: None,
        registered_sizes: None,
        max_tasks: Some(Tasks(10)),
        max_task_cpu: CpuUnits(32_768),
        completion,
        watcher: Watcher::Image("busybox".to_owned()),
        reserve: TaskSize { cpu: CpuUnits(0), memory: MebiBytes(0) },
        drop_port_mappings: false,
    }
}

fn settings<'a>(container: &'a str, packing: &'a Packing) -> Settings<'a> {
    Settings { container: Some(container), packing, rungs: &[Rung::ClusterDefault] }
}

/// Sizes of Fargate and free ones of EC2, which may leave either part unset.
fn any_size() -> impl Strategy<Value = (bool, Option<u32>, Option<u32>)> {
    let fargate = select(vec![
        (256, 512),
        (256, 2048),
        (512, 1024),
        (512, 4096),
        (1024, 3072),
        (4096, 8192),
        (8192, 61_440),
        (16_384, 32_768),
        (32_768, 249_856),
    ]);
    let ec2 = (prop::option::of(128_u32..8192), prop::option::of(512_u32..9000));
    prop_oneof![
        fargate.prop_map(|(cpu, memory)| (true, Some(cpu), Some(memory))),
        ec2.prop_map(|(cpu, memory)| (false, cpu, memory)),
    ]
}

/// A container as (name, cpu, memory, reservation, essential, what it waits for).
fn any_container() -> impl Strategy<Value = Value> {
    (
        select(vec![0_u32, 0, 10, 32]),
        prop::option::weighted(0.95, 6_u32..60),
        prop::option::of(1_u32..100),
        any::<bool>(),
        select(vec!["", "", "", "START", "COMPLETE", "SUCCESS"]),
        select(vec![
            json!({}),
            json!({}),
            json!({"startTimeout": 60}),
            json!({"restartPolicy": {"enabled": true}}),
            json!({"restartPolicy": {"enabled": true, "ignoredExitCodes": [0]}}),
            json!({"restartPolicy": {"enabled": false}}),
        ]),
        select(vec![
            json!([]),
            json!([{"containerPort": 80}]),
            json!([{"containerPort": 81, "hostPort": 81}]),
        ]),
    )
        .prop_map(|(cpu, memory, reservation, essential, waits, more, ports)| {
            let mut container = json!({"image": "i", "cpu": cpu, "essential": essential,
                "portMappings": ports, "dependsOn": []});
            if let Some(memory) = memory {
                container["memory"] = json!(memory);
            }
            if let Some(reservation) = reservation {
                let at_most = memory.unwrap_or(reservation);
                container["memoryReservation"] = json!(reservation.min(at_most));
            }
            if !waits.is_empty() {
                container["dependsOn"] = json!([{"containerName": "c0", "condition": waits}]);
            }
            container.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            container
        })
}

/// Definitions of any kind, most of them legal.
fn any_definition() -> impl Strategy<Value = Value> {
    let modes = select(vec!["bridge", "awsvpc", "host", "none"]);
    (any_size(), modes, prop::collection::vec(any_container(), 1..=10)).prop_map(
        |((fargate, cpu, memory), mode, mut containers)| {
            for (i, container) in containers.iter_mut().enumerate() {
                container["name"] = json!(format!("c{i}"));
            }
            // Nothing waits for itself, and what others wait for may end.
            let awaited = containers.iter().any(|c| c["dependsOn"] != json!([]));
            containers[0]["dependsOn"] = json!([]);
            if awaited {
                containers[0]["essential"] = json!(false);
            }
            if let Some(last) = containers.last_mut() {
                last["essential"] = json!(true);
            }
            let mode = if fargate { "awsvpc" } else { mode };
            let mut definition =
                json!({"family": "any", "networkMode": mode, "containerDefinitions": containers});
            if fargate {
                definition["requiresCompatibilities"] = json!(["FARGATE"]);
            }
            for (member, value) in [("cpu", cpu), ("memory", memory)] {
                if let Some(value) = value {
                    definition[member] = json!(value.to_string());
                }
            }
            definition
        },
    )
}

/// What a task of so many containers runs, as it is registered.
fn run_by(recipe: &Recipe<'_>, n: Containers, base: &Value) -> Result<Value, Obstacle> {
    if recipe.is_derived(n) {
        return recipe.variant(n).map(|variant| variant.document);
    }
    let registered = ["family", "networkMode", "requiresCompatibilities", "cpu", "memory"];
    let kept = registered.iter().filter_map(|m| Some(((*m).to_owned(), base.get(*m)?.clone())));
    let mut document: serde_json::Map<_, _> = kept.collect();
    document.insert("containerDefinitions".to_owned(), base["containerDefinitions"].clone());
    Ok(Value::Object(document))
}

/// That no job is cut short, that what is to run after the workers does, and that nothing goes on then;
/// with `any`, that the first to end ends the task.
fn promise(
    recipe: &Recipe<'_>,
    n: Containers,
    completion: Completion,
    mut document: Value,
) -> Result<(), String> {
    let workers = recipe.names(n);
    let after: Vec<_> = recipe.waits_for_the_end().into_iter().map(str::to_owned).collect();
    for container in document["containerDefinitions"].as_array_mut().unwrap() {
        if workers.contains(&container["name"].as_str().unwrap().to_owned()) {
            container["image"] = json!("worker");
        }
    }
    let mut task = agent::Task::start(&document);
    // Who waits for others that never end has no work to be cut short.
    if !workers.iter().all(|worker| task.has_begun(worker)) || task.has_stopped() {
        return Ok(());
    }
    for (ended, worker) in (1..).zip(&workers) {
        task.end(worker);
        let (is_last, is_first) = (ended == workers.len(), ended == 1);
        let ends_here = is_last || is_first && completion == Completion::Any;
        match (task.has_stopped(), ends_here) {
            (false, true) => return Err(format!("it goes on without its workers: {document:#}")),
            (true, false) => return Err(format!("it cuts others short: {document:#}")),
            (true, true) => break,
            (false, false) => {}
        }
    }
    // What the base does with those that run after its one worker is its owner's.
    match after.iter().find(|name| recipe.is_derived(n) && !task.has_ended(name)) {
        Some(cut) => Err(format!("`{cut}` has not run to its end: {document:#}")),
        None => Ok(()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_variant_of_a_legal_definition_is_legal(
        definition in any_definition(), worker in 0_usize..10,
        completion in prop_oneof![Just(Completion::All), Just(Completion::Any)],
    ) {
        let world = World::default();
        if world.try_register(&definition).is_err() {
            return Ok(()); // not a legal base
        }
        let described = world.active_revisions("any").remove(0);
        let base = TaskDefinition::parse(&described, &json!([])).unwrap();
        let names = definition["containerDefinitions"].as_array().unwrap();
        let name = names[worker % names.len()]["name"].as_str().unwrap();
        let packing = packing(completion);
        let Ok(recipe) = Recipe::new(&base, settings(name, &packing)) else { return Ok(()) };
        let (most, obstacle) = recipe.most_containers(Containers(10));
        prop_assert!(1 < most.0 || obstacle.is_some(), "one a task has its reason");
        for n in (1..=most.0).map(Containers) {
            // What one a task cannot be mended by is refused before any call.
            let Ok(document) = run_by(&recipe, n, &described) else { continue };
            let registered = world.try_register(&document);
            prop_assert!(registered.is_ok(), "{registered:?}\n{document:#}");
            if let Err(broken) = promise(&recipe, n, completion, document) {
                prop_assert!(false, "{n} containers: {broken}");
            }
        }
    }
}

#[test]
fn enough_generated_definitions_are_legal_and_can_be_cloned() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut legal, mut cloned) = (0, 0);
    for _ in 0..300 {
        let definition = any_definition().new_tree(&mut runner).unwrap().current();
        let world = World::default();
        if world.try_register(&definition).is_ok() {
            legal += 1;
            let described = world.active_revisions("any").remove(0);
            let base = TaskDefinition::parse(&described, &json!([])).unwrap();
            let packing = packing(Completion::All);
            let recipe = Recipe::new(&base, settings("c0", &packing));
            cloned += u32::from(
                recipe.is_ok_and(|recipe| 1 < recipe.most_containers(Containers(10)).0.0),
            );
        }
    }
    assert!(60 < legal && 25 < cloned, "of 300, {legal} are legal and {cloned} can be cloned");
}

/// Every member of the API that a base can have is still there after describe, derive, register.
#[tokio::test(start_paused = true)]
async fn every_field_of_the_base_survives() {
    let world = world_of(&[]);
    world.queue("a").visible(2);
    let worker_container = json!({
        "name": "worker", "image": "worker:1", "cpu": 64, "memory": 128, "memoryReservation": 64,
        "essential": true, "entryPoint": ["/run"], "command": ["x"], "user": "1000",
        "environment": [{"name": "A", "value": "b"}],
        "environmentFiles": [{"type": "s3", "value": "arn:aws:s3:::b/a.env"}],
        "mountPoints": [{"sourceVolume": "v", "containerPath": "/v", "readOnly": true}],
        "linuxParameters": {"initProcessEnabled": true, "capabilities": {"drop": ["ALL"]}},
        "secrets": [{"name": "S", "valueFrom": "arn:aws:ssm:x"}], "stopTimeout": 100,
        "versionConsistency": "enabled", "workingDirectory": "/w", "privileged": false,
        "readonlyRootFilesystem": true, "dockerLabels": {"l": "m"},
        "ulimits": [{"name": "nofile", "softLimit": 1, "hardLimit": 2}],
        "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "g"},
            "secretOptions": []},
        "healthCheck": {"command": ["CMD", "true"], "interval": 30},
        "systemControls": [{"namespace": "net.core.somaxconn", "value": "1"}],
        "resourceRequirements": [{"type": "GPU", "value": "1"}],
        "aFieldThatTheSdkDoesNotKnow": {"deep": [1, 2, {"er": true}]},
    });
    let base = json!({
        "family": "a", "taskRoleArn": "arn:r", "executionRoleArn": "arn:e", "networkMode": "awsvpc",
        "volumes": [{"name": "v", "efsVolumeConfiguration": {"fileSystemId": "fs-1"}}],
        "placementConstraints": [], "requiresCompatibilities": ["FARGATE"], "cpu": "256",
        "memory": "512", "pidMode": "task", "ephemeralStorage": {"sizeInGiB": 21},
        "runtimePlatform": {"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"},
        "enableFaultInjection": false, "tags": [{"key": "team", "value": "media"}],
        "containerDefinitions": [worker_container],
    });
    world.register(&base);
    let two = json!({"strategy": "dense", "maxContainersPerTask": 2});
    let config = config(&[worker("a", &json!({"messagesPerContainer": 1}), &two)]);
    let report = tick(&scaler(&world, &config), &world, 0).await;
    assert_eq!(report.failure(), None);

    let described = world.active_revisions("a").remove(0);
    let derived = world.active_revisions("a--x2").remove(0);
    // The two share one disk.
    assert_eq!(derived["ephemeralStorage"], json!({"sizeInGiB": 42}));
    let own = [
        "taskDefinitionArn",
        "family",
        "containerDefinitions",
        "cpu",
        "memory",
        "ephemeralStorage",
    ];
    for (member, value) in described.as_object().unwrap() {
        let kept = own.contains(&member.as_str()) || derived[member] == *value;
        assert!(kept, "{member}: {} became {}", value, derived[member]);
    }
    for clone in derived["containerDefinitions"].as_array().unwrap().iter().take(2) {
        let own = ["name", "essential", "environment"];
        for (member, value) in described["containerDefinitions"][0].as_object().unwrap() {
            let kept = own.contains(&member.as_str()) || clone[member] == *value;
            assert!(kept, "{member}: {} became {}", value, clone[member]);
        }
    }
    assert_eq!(
        world.tags("a--x2").as_array().unwrap()[0],
        json!({"key": "team", "value": "media"})
    );
}
