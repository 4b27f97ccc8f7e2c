//! The cluster query language.

use aws_sdk_ecs::Client;
use serde_json::json;

use super::{code, jobs};
use crate::world::World;

/// The EC2 ids of the instances that an expression means.
async fn meant(world: &World, ecs: &Client, expression: &str) -> Vec<String> {
    let call = ecs.list_container_instances().cluster("jobs").filter(expression);
    let answer = call.send().await.unwrap_or_else(|error| panic!("{expression}: {error:?}"));
    let arns = answer.container_instance_arns().iter();
    let id = |arn: &String| {
        let document = world.described_instance(arn);
        document["ec2InstanceId"].as_str().unwrap().to_owned()
    };
    arns.map(id).collect()
}

#[tokio::test(start_paused = true)]
async fn an_expression_means_the_instances_that_it_describes() {
    let (world, ecs) = jobs();
    let one = world.instance(
        "jobs",
        json!({"ec2InstanceId": "i-1", "zone": "eu-central-1a", "attributes": {"stack": "blue", "size": "4"}}),
    );
    let about = json!({"ec2InstanceId": "i-2", "zone": "eu-central-1b", "attributes": {"ssd": true, "size": "10"}});
    let two = world.instance("jobs", about);
    world.change_instance(&two, json!({"agentConnected": false}));
    world.daemon("jobs", "log-agent", (&one, "RUNNING"));
    let cases: [(&str, &[&str]); 39] = [
        ("ec2InstanceId == i-1", &["i-1"]),
        ("ec2InstanceId != i-1", &["i-2"]),
        ("ec2InstanceId equals i-1", &["i-1"]),
        ("ec2InstanceId not_equals 'i-1'", &["i-2"]),
        ("ec2InstanceId in ['i-2', 'i-3']", &["i-2"]),
        ("ec2InstanceId in [i-1, i-2]", &["i-1", "i-2"]),
        ("ec2InstanceId !in [i-1]", &["i-2"]),
        ("ec2InstanceId not_in [\"i-1\"]", &["i-2"]),
        ("agentConnected == true", &["i-1"]),
        ("agentVersion >= 1.9.0", &["i-1", "i-2"]),
        ("agentVersion < 1.105.1", &[]),
        ("attribute:stack exists", &["i-1"]),
        ("attribute:ssd exists", &["i-2"]),
        ("attribute:stack !exists", &["i-2"]),
        ("attribute:stack not_exists", &["i-2"]),
        ("attribute:stack == blue", &["i-1"]),
        ("attribute:stack=='blue'", &["i-1"]),
        ("attribute:stack != blue", &["i-2"]),
        ("attribute:size > 5", &["i-2"]),
        ("attribute:size greater_than_equal 4", &["i-1", "i-2"]),
        ("attribute:size less_than 10", &["i-1"]),
        ("attribute:size less_than_equal 4", &["i-1"]),
        ("attribute:size <= 10", &["i-1", "i-2"]),
        ("attribute:ecs.availability-zone =~ eu-*", &["i-1", "i-2"]),
        ("attribute:ecs.availability-zone =~ eu-.*b", &["i-2"]),
        ("attribute:ecs.availability-zone matches eu-central-1.", &["i-1", "i-2"]),
        ("attribute:ecs.availability-zone =~ eu", &[]),
        ("attribute:ecs.availability-zone !~ .*a", &["i-2"]),
        ("attribute:ecs.instance-type not_matches c6i.*", &[]),
        ("registeredAt > 2026-11-20T20:59:59Z", &["i-1", "i-2"]),
        ("registeredAt > 2026-11-20T21:00:01Z", &[]),
        ("runningTasksCount == 0", &["i-2"]),
        ("runningTasksCount greater_than 0", &["i-1"]),
        ("task:group == service:log-agent", &["i-1"]),
        ("not(task:group == service:log-agent)", &["i-2"]),
        ("attribute:ssd exists or attribute:stack == blue and agentConnected == false", &["i-2"]),
        (
            "attribute:ssd exists and agentConnected == false or ec2InstanceId == i-1",
            &["i-1", "i-2"],
        ),
        ("(attribute:ssd exists || attribute:stack == blue) && agentConnected == true", &["i-1"]),
        ("! (agentConnected == true) and not attribute:stack exists", &["i-2"]),
    ];
    for (expression, expected) in cases {
        assert_eq!(meant(&world, &ecs, expression).await, expected, "{expression}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_expression_that_means_nothing_is_refused() {
    let (world, ecs) = jobs();
    world.instance("jobs", json!({}));
    let long = format!("ec2InstanceId == {}", "x".repeat(2000));
    let cases = [
        "",
        "ec2InstanceId",
        "ec2InstanceId == ",
        "ec2InstanceId = i-1",
        "ec2InstanceId ! == i-1",
        "ec2InstanceId in i-1",
        "ec2InstanceId in []",
        "ec2InstanceId in [i-1",
        "ec2InstanceId == 'i-1",
        "ec2InstanceId == i-1 i-2",
        "ec2InstanceId is i-1",
        "(ec2InstanceId == i-1",
        "ec2InstanceId == i-1)",
        "ec2InstanceId == i-1 and",
        "attribute: exists",
        "instance-type == t2.micro",
        "'ec2InstanceId' == i-1",
        "runningTasksCount == few",
        "agentConnected == yes",
        &long,
    ];
    for expression in cases {
        let call = ecs.list_container_instances().cluster("jobs").filter(expression);
        assert_eq!(code(call.send().await), "InvalidParameterException", "{expression}");
    }
}
