//! The world's container instances keep to what ECS documents: a world that places a task
//! anywhere would prove nothing.

mod beside;
mod drain;
mod language;
mod run;
mod start;

use aws_sdk_ecs::Client;
use aws_sdk_ecs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ecs::types::{
    ContainerInstance, ContainerInstanceField, ContainerInstanceStatus, Failure, Resource,
};
use serde_json::{Value, json};

use crate::world::World;

/// A cluster, and a client that does not try again.
fn jobs() -> (World, Client) {
    let world = World::default();
    world.cluster("jobs");
    let config = world.sdk_config().into_builder();
    let config = config.retry_config(aws_config::retry::RetryConfig::disabled()).build();
    let ecs = Client::new(&config);
    (world, ecs)
}

/// A definition of one container for instances, of 512 units and 1024 MiB, and another member.
fn definition(family: &str, container: &Value) -> Value {
    let mut worker = json!({"name": "worker", "image": "i", "cpu": 512, "memory": 1024});
    worker.as_object_mut().unwrap().extend(container.as_object().unwrap().clone());
    json!({"family": family, "networkMode": "bridge", "containerDefinitions": [worker]})
}

fn register(world: &World, family: &str, container: &Value) {
    world.register(&definition(family, container));
}

/// The code with which a call was refused.
fn code<T: std::fmt::Debug, E: ProvideErrorMetadata + std::fmt::Debug>(
    answer: Result<T, SdkError<E>>,
) -> String {
    let error = answer.unwrap_err();
    error.code().unwrap_or_else(|| panic!("{error:?}")).to_owned()
}

fn reasons(failures: &[Failure]) -> Vec<(&str, &str)> {
    let told = |it: &Failure| (it.arn.is_some(), it.reason.is_some());
    assert!(failures.iter().all(|failure| told(failure) == (true, true)), "{failures:?}");
    failures.iter().map(|it| (it.arn().unwrap(), it.reason().unwrap())).collect()
}

async fn described(ecs: &Client, arn: &str) -> ContainerInstance {
    let call = ecs.describe_container_instances().cluster("jobs").container_instances(arn);
    call.send().await.unwrap().container_instances()[0].clone()
}

/// A resource of those that are registered or remain: its number, or its set.
fn amount(resources: &[Resource], name: &str) -> (i32, Vec<String>) {
    let named = resources.iter().find(|resource| resource.name() == Some(name)).unwrap();
    (named.integer_value(), named.string_set_value().to_vec())
}

#[tokio::test(start_paused = true)]
async fn instances_are_listed_by_status_and_in_pages() {
    let (world, ecs) = jobs();
    world.cluster("others");
    let arns: Vec<_> = (0..5).map(|_| world.instance("jobs", json!({}))).collect();
    world.instance("others", json!({}));
    world.change_instance(&arns[1], json!({"status": "DRAINING"}));
    world.change_instance(&arns[2], json!({"status": "INACTIVE"}));
    world.page_size(2);

    let list = || ecs.list_container_instances().cluster("jobs");
    let first = list().send().await.unwrap();
    assert_eq!(first.container_instance_arns(), [arns[0].as_str(), &arns[1]]);
    let second = list().next_token(first.next_token().unwrap()).send().await.unwrap();
    assert_eq!(second.container_instance_arns(), [arns[3].as_str(), &arns[4]]);
    assert_eq!(second.next_token(), None);

    let draining = list().status(ContainerInstanceStatus::Draining).send().await.unwrap();
    assert_eq!(draining.container_instance_arns(), [arns[1].as_str()]);
    let active = list().status(ContainerInstanceStatus::Active).max_results(1);
    let active = active.send().await.unwrap();
    assert_eq!(active.container_instance_arns(), [arns[0].as_str()]);
    assert!(active.next_token().is_some());
}

#[tokio::test(start_paused = true)]
async fn an_illegal_list_is_refused() {
    let (world, ecs) = jobs();
    world.instance("jobs", json!({}));
    let list = || ecs.list_container_instances().cluster("jobs");
    assert_eq!(code(list().cluster("x").send().await), "ClusterNotFoundException");
    for call in [
        list().max_results(101),
        list().max_results(0),
        list().filter("instanceType == t2.micro"),
        list().status(ContainerInstanceStatus::from("INACTIVE")),
    ] {
        assert_eq!(code(call.clone().send().await), "InvalidParameterException", "{call:?}");
    }
    let other = list().customize().mutate_request(|request| {
        let body = r#"{"cluster": "jobs", "instances": []}"#;
        *request.body_mut() = body.into();
        request.headers_mut().insert("content-length", body.len().to_string());
    });
    assert_eq!(code(other.send().await), "InvalidParameterException");
}

#[tokio::test(start_paused = true)]
async fn a_description_tells_what_was_registered() {
    let (world, ecs) = jobs();
    let arn = world.instance(
        "jobs",
        json!({
            "ec2InstanceId": "i-1", "cpu": 2048, "memory": 4096, "zone": "eu-central-1b",
            "gpus": 2, "capacityProvider": "spot", "attributes": {"stack": "blue", "ssd": true},
        }),
    );
    let instance = described(&ecs, &arn).await;
    assert_eq!(instance.container_instance_arn(), Some(arn.as_str()));
    assert_eq!(instance.ec2_instance_id(), Some("i-1"));
    assert_eq!((instance.status(), instance.agent_connected()), (Some("ACTIVE"), true));
    assert_eq!(instance.capacity_provider_name(), Some("spot"));
    assert_eq!(instance.registered_at().unwrap().secs(), world.now().as_second());
    let attribute = |name: &str| {
        let named = instance.attributes().iter().find(|attribute| attribute.name() == name);
        named.map(|attribute| attribute.value().map(str::to_owned))
    };
    assert_eq!(attribute("ecs.availability-zone"), Some(Some("eu-central-1b".to_owned())));
    assert_eq!(attribute("stack"), Some(Some("blue".to_owned())));
    assert_eq!(attribute("ssd"), Some(None));
    assert_eq!(attribute("x"), None);
    for resources in [instance.registered_resources(), instance.remaining_resources()] {
        assert_eq!(amount(resources, "CPU").0, 2048);
        assert_eq!(amount(resources, "MEMORY").0, 4096);
        assert_eq!(amount(resources, "PORTS").1, ["22", "2375", "2376", "51678", "51679"]);
        assert_eq!(amount(resources, "PORTS_UDP").1, [""; 0]);
        assert_eq!(amount(resources, "GPU").1.len(), 2);
    }
    let plain = described(&ecs, &world.instance("jobs", json!({}))).await;
    assert_eq!(plain.capacity_provider_name(), None);
    assert!(plain.registered_resources().iter().all(|it| it.name() != Some("GPU")));
}

#[tokio::test(start_paused = true)]
async fn a_description_takes_a_hundred_and_tells_what_is_missing() {
    let (world, ecs) = jobs();
    world.cluster("others");
    let arn = world.instance("jobs", json!({"attributes": {"a": "b"}}));
    let elsewhere = world.instance("others", json!({}));
    world.change_instance(&arn, json!({"tags": [{"key": "k", "value": "v"}]}));
    let describe = |names: &[String]| {
        let call = ecs.describe_container_instances().cluster("jobs");
        call.set_container_instances(Some(names.to_vec()))
    };
    let id = arn.rsplit('/').next().unwrap().to_owned();
    let answer = describe(&[id, elsewhere.clone()]).send().await.unwrap();
    assert_eq!(answer.container_instances()[0].container_instance_arn(), Some(arn.as_str()));
    assert_eq!(answer.container_instances()[0].tags(), []);
    assert_eq!(reasons(answer.failures()), [(elsewhere.as_str(), "MISSING")]);
    let tagged = describe(&[arn]).include(ContainerInstanceField::Tags).send().await.unwrap();
    assert_eq!(tagged.container_instances()[0].tags()[0].key(), Some("k"));
    for count in [0, 101] {
        let names: Vec<_> = (0..count).map(|n| n.to_string()).collect();
        assert_eq!(code(describe(&names).send().await), "InvalidParameterException", "{count}");
    }
}
