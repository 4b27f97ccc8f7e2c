//! The world refuses what AWS refuses: a world that takes anything would prove nothing.

use aws_sdk_ecs::Client;
use aws_sdk_ecs::error::ProvideErrorMetadata;
use aws_sdk_ecs::operation::run_task::builders::RunTaskFluentBuilder;
use aws_sdk_ecs::types::{
    AwsVpcConfiguration, CapacityProviderStrategyItem, LaunchType, NetworkConfiguration,
};
use serde_json::{Value, json};

use super::World;

/// A legal definition of two containers with other fields.
fn definition(change: impl Fn(&mut Value)) -> Value {
    let mut definition = json!({
        "family": "a", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"],
        "cpu": "256", "memory": "512",
        "containerDefinitions": [
            {"name": "w", "image": "i", "cpu": 128, "memory": 256},
            {"name": "s", "image": "i", "cpu": 64, "memory": 64, "essential": false},
        ],
    });
    change(&mut definition);
    definition
}

/// The first container with another field.
fn with(member: &'static str, value: Value) -> Value {
    definition(move |d| d["containerDefinitions"][0][member] = value.clone())
}

fn top(member: &'static str, value: Value) -> Value {
    definition(move |d| d[member] = value.clone())
}

#[test]
fn illegal_definitions_are_refused() {
    let containers = |n: usize| {
        let all: Vec<_> = (0..n).map(|i| json!({"name": format!("c{i}"), "memory": 6})).collect();
        top("containerDefinitions", json!(all))
    };
    let cases = [
        ("Unknown parameter", top("revision", json!(1))),
        ("Invalid family", top("family", json!("a b"))),
        ("Too many containers", containers(11)),
        ("64 KiB", with("dockerLabels", json!({"x": "y".repeat(70_000)}))),
        ("must be unique", with("name", json!("s"))),
        ("any essential", with("essential", json!(false))),
        ("aws: is reserved", top("tags", json!([{"key": "AWS:x", "value": ""}]))),
        ("Too many tags", top("tags", json!(vec![json!({"key": "k", "value": ""}); 51]))),
        ("No Fargate configuration", top("memory", json!("600"))),
        ("No Fargate configuration", top("cpu", json!("32768"))),
        ("awsvpc", top("networkMode", json!("bridge"))),
        ("'cpu' be defined", definition(|d| drop(d.as_object_mut().unwrap().remove("cpu")))),
        ("sum of all container 'cpu'", with("cpu", json!(250))),
        ("greater than for the task", with("memory", json!(600))),
        ("reserve more memory", with("memory", json!(500))),
        ("less than memoryReservation", with("memoryReservation", json!(300))),
        ("less than 6", with("memory", json!(5))),
    ];
    all_refused(&cases);
}

#[test]
fn illegal_references_between_containers_are_refused() {
    let waits = |condition: &str| {
        definition(move |d| {
            d["containerDefinitions"][1]["dependsOn"] =
                json!([{"containerName": "w", "condition": condition}]);
        })
    };
    let ports = json!([{"containerPort": 80}]);
    let unknown = json!([{"containerName": "x", "condition": "START"}]);
    let cases = [
        ("COMPLETE condition", waits("COMPLETE")),
        ("health check", waits("HEALTHY")),
        ("Invalid dependency", with("dependsOn", unknown)),
        ("startTimeout", with("startTimeout", json!(600))),
        ("Invalid link", with("links", json!(["x"]))),
        ("Invalid volumesFrom", with("volumesFrom", json!([{"sourceContainer": "x"}]))),
        (
            "mapped multiple times",
            definition(|d| {
                d["containerDefinitions"][0]["portMappings"] = ports.clone();
                d["containerDefinitions"][1]["portMappings"] = ports.clone();
            }),
        ),
        (
            "Cyclic",
            definition(|d| {
                for (i, other) in [(0, "s"), (1, "w")] {
                    d["containerDefinitions"][i]["dependsOn"] =
                        json!([{"containerName": other, "condition": "START"}]);
                }
            }),
        ),
        (
            "more than one log router",
            definition(|d| {
                for i in 0..2 {
                    d["containerDefinitions"][i]["firelensConfiguration"] =
                        json!({"type": "fluentd"});
                }
            }),
        ),
    ];
    all_refused(&cases);
}

/// Each definition is refused with a message that contains the text beside it.
fn all_refused(cases: &[(&str, Value)]) {
    assert_eq!(World::default().try_register(&definition(|_| {})), Ok(()));
    for (expected, definition) in cases {
        let refusal = World::default().try_register(definition).unwrap_err();
        assert!(refusal.contains(expected), "{expected}: {refusal}");
    }
}

fn network() -> NetworkConfiguration {
    let vpc = AwsVpcConfiguration::builder().subnets("subnet-1").build().unwrap();
    NetworkConfiguration::builder().awsvpc_configuration(vpc).build()
}

/// A legal call that starts two tasks.
fn legal(ecs: &Client) -> RunTaskFluentBuilder {
    let call = ecs.run_task().cluster("jobs").task_definition("a:1").count(2).started_by("me");
    call.launch_type(LaunchType::Fargate).network_configuration(network()).client_token("token")
}

/// The code of the error with which a call ends.
async fn code(call: RunTaskFluentBuilder) -> String {
    call.send().await.unwrap_err().code().unwrap().to_owned()
}

fn jobs() -> (World, Client) {
    let world = World::default();
    world.cluster("jobs");
    world.register(&definition(|_| {}));
    let ecs = Client::new(&world.sdk_config());
    (world, ecs)
}

#[tokio::test(start_paused = true)]
async fn illegal_runs_are_refused() {
    let (world, ecs) = jobs();
    let spot = CapacityProviderStrategyItem::builder().capacity_provider("FARGATE_SPOT").weight(1);
    let cases = [
        ("InvalidParameterException", legal(&ecs).count(11)),
        ("InvalidParameterException", legal(&ecs).count(0)),
        ("InvalidParameterException", legal(&ecs).client_token("x".repeat(65))),
        ("InvalidParameterException", legal(&ecs).client_token("a b")),
        ("InvalidParameterException", legal(&ecs).started_by("a.b")),
        (
            "InvalidParameterException",
            legal(&ecs).capacity_provider_strategy(spot.build().unwrap()),
        ),
        ("InvalidParameterException", legal(&ecs).set_network_configuration(None)),
        ("ClusterNotFoundException", legal(&ecs).cluster("nowhere")),
        ("ClientException", legal(&ecs).task_definition("a:2")),
    ];
    for (expected, call) in cases {
        assert_eq!(code(call.clone()).await, expected, "{call:?}");
    }
    world.deregister("a:1");
    assert_eq!(code(legal(&ecs)).await, "ClientException", "INACTIVE");
    assert_eq!(world.tasks().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_remembered_with_its_request() {
    let (world, ecs) = jobs();
    let arns = |answer: aws_sdk_ecs::operation::run_task::RunTaskOutput| {
        answer.tasks().iter().map(|task| task.task_arn().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let first = arns(legal(&ecs).send().await.unwrap());
    assert_eq!(arns(legal(&ecs).send().await.unwrap()), first);
    let conflict = legal(&ecs).count(3).send().await.unwrap_err().into_service_error();
    let aws_sdk_ecs::operation::run_task::RunTaskError::ConflictException(conflict) = conflict
    else {
        panic!("{conflict:?}")
    };
    assert_eq!(conflict.resource_ids(), first);
    assert_eq!(world.tasks().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn started_by_is_the_only_filter() {
    let (_, ecs) = jobs();
    let _ = legal(&ecs).send().await.unwrap();
    let list = || ecs.list_tasks().cluster("jobs").started_by("me");
    assert_eq!(list().send().await.unwrap().task_arns().len(), 2);
    let refused = list().family("a").send().await.unwrap_err();
    assert_eq!(refused.code(), Some("InvalidParameterException"));
}
