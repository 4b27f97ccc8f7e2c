//! One worker's trouble is its own: what is decided and told for the others is the same, byte for
//! byte, with the trouble and without.

use ecs_queue_scaler::report::Report;
use serde_json::{Value, json};

use crate::tick::{config, scaler, tick, worker, world_of};
use crate::world::{Fault, World};

const NAMES: [&str; 4] = ["alpha", "omega", "gamma", "delta"];

fn four_workers() -> (World, Value) {
    let world = world_of(&NAMES);
    for (name, messages) in NAMES.into_iter().zip([30, 9, 1, 0]) {
        world.queue(name).visible(messages).in_flight(2);
    }
    let one = json!({"messagesPerContainer": 1});
    let dense = json!({"strategy": "dense", "maxContainersPerTask": 4});
    (world, config(&NAMES.map(|name| worker(name, &one, &dense))))
}

/// What two ticks tell of all workers but the broken one.
async fn others(world: &World, config: &Value) -> String {
    let function = scaler(world, config);
    let reports: [Report; 2] = [tick(&function, world, 0).await, tick(&function, world, 1).await];
    let mut told = Vec::new();
    for report in reports {
        let mut others: Vec<_> =
            report.workers.into_iter().filter(|w| w.worker.as_str() != "omega").collect();
        others.sort_by(|a, b| a.worker.cmp(&b.worker));
        told.push(serde_json::to_string_pretty(&others).unwrap());
    }
    told.join("\n")
}

type ErrorKind = Box<dyn Fn(&World, &mut Value)>;

fn fault(operation: &'static str, fault: Fault) -> ErrorKind {
    Box::new(move |world, _| world.fail_where(operation, "omega", (99, fault.clone())))
}

fn set(path: [&'static str; 2], value: Value) -> ErrorKind {
    Box::new(move |_, worker| match path {
        [key, ""] => worker[key] = value.clone(),
        [key, inner] => worker[key][inner] = value.clone(),
    })
}

/// All ways to break a worker: its configuration, its world, and every call that is made for it.
fn troubles() -> Vec<(String, ErrorKind)> {
    let mut troubles: Vec<(String, ErrorKind)> = Vec::new();
    let values = [json!(null), json!(-1), json!(0), json!("x"), json!([]), json!({"a": 1})];
    for key in ["queue", "taskDefinition", "container", "cluster", "scaling", "packing", "launch"] {
        for value in &values {
            troubles.push((format!("{key}: {value}"), set([key, ""], value.clone())));
        }
    }
    for key in ["messagesPerContainer", "minContainers", "maxContainers", "stuckAfter", "unknown"] {
        for value in &values {
            troubles
                .push((format!("scaling.{key}: {value}"), set(["scaling", key], value.clone())));
        }
    }
    let nowhere = json!("nowhere");
    for key in ["queue", "taskDefinition", "container", "cluster"] {
        troubles.push((format!("{key}: nowhere"), set([key, ""], nowhere.clone())));
    }
    let calls = [
        "GetQueueUrl",
        "GetQueueAttributes",
        "DescribeTaskDefinition",
        "RegisterTaskDefinition",
        "RunTask",
    ];
    let faults = [
        Fault::Error(400, "AccessDeniedException", "not authorized".to_owned()),
        Fault::Error(500, "ServerException", "internal".to_owned()),
        Fault::LostAnswer,
        Fault::Panic,
        Fault::Answer(json!({"tasks": 7, "taskDefinition": [], "Attributes": "x"})),
        Fault::Placed(0, "RESOURCE:CPU"),
    ];
    for call in calls {
        for of_call in &faults {
            troubles.push((format!("{call}: {of_call:?}"), fault(call, of_call.clone())));
        }
    }
    troubles
}

#[tokio::test(start_paused = true)]
async fn what_is_decided_for_the_others_is_the_same_byte_for_byte() {
    let (world, config) = four_workers();
    let undisturbed = others(&world, &config).await;
    let mut disturbed = 0;
    for (name, trouble) in troubles() {
        let (world, mut config) = four_workers();
        trouble(&world, &mut config["workers"][1]);
        let told = others(&world, &config).await;
        assert_eq!(told, undisturbed, "{name}");
        disturbed += 1;
    }
    assert!(100 <= disturbed, "{disturbed}");
}
