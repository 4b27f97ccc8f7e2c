//! `queue-scaler init` in the in-process AWS: what it writes is a configuration that launches.

use decision::config::{Config, document};
use ecs_queue_scaler::cli::deployment::{Deployment, Wanted};
use ecs_queue_scaler::cli::init::{Proposal, propose, survey};
use ecs_queue_scaler::cli::plan::plan;
use serde_json::json;

use super::plan::cloud;
use crate::tick::{definition, invocation};
use crate::world::World;

/// Four queues, of which one is for dead letters, and a service that works on one.
pub(super) fn account() -> World {
    let world = World::default();
    world.cluster("jobs");
    let arn = |name: &str| format!("arn:aws:sqs:eu-central-1:123456789012:{name}");
    let redrive =
        json!({"deadLetterTargetArn": arn("dead-encode"), "maxReceiveCount": 3}).to_string();
    for name in ["encode-jobs", "thumbnails.fifo", "orphan", "dead-encode"] {
        let queue = world
            .queue(name)
            .attribute("QueueArn", &arn(name))
            .attribute("VisibilityTimeout", "900");
        let _ = queue.attribute("RedrivePolicy", &redrive);
    }
    world.queue("thumbnails.fifo").without("RedrivePolicy");
    for family in ["encode-worker", "encode-worker--x4", "thumbnail", "web"] {
        let mut definition = definition(family);
        definition["taskRoleArn"] = json!("arn:aws:iam::123456789012:role/jobs/encoder");
        if family == "thumbnail" {
            let sidecar =
                json!({"name": "sidecar", "image": "x", "memory": 64, "essential": false});
            definition["memory"] = json!("1024");
            definition["containerDefinitions"].as_array_mut().unwrap().push(sidecar);
        }
        world.register(&definition);
    }
    world.answers(
        "ListServices",
        "jobs",
        json!({"serviceArns": ["arn:aws:ecs:r:1:service/jobs/encode"]}),
    );
    let network = json!({"awsvpcConfiguration": {"subnets": ["subnet-0a1b2c3d"], "securityGroups": ["sg-0a1b2c3d"], "assignPublicIp": "ENABLED"}});
    world.answers(
        "DescribeServices",
        "encode",
        json!({"services": [{"serviceName": "encode", "desiredCount": 3,
        "taskDefinition": "arn:aws:ecs:eu-central-1:123456789012:task-definition/encode-worker:1",
        "networkConfiguration": network, "launchType": "FARGATE"}]}),
    );
    world
}

async fn proposed(world: &World) -> Proposal {
    let found = Box::pin(survey(&cloud(world))).await.unwrap();
    Box::pin(propose(&cloud(world), found)).await
}

#[tokio::test(start_paused = true)]
async fn what_is_proposed_is_a_configuration_that_launches() {
    let world = account();
    world.take_calls();
    let text = proposed(&world).await.text();
    assert_eq!(world.changes(), 0);
    insta::assert_snapshot!("workers", text);
    let config = Config::of(&document("workers.yaml", &text).unwrap()).unwrap();
    assert_eq!((config.refused.len(), config.workers.len()), (0, 2));
    world.queue("encode-jobs").visible(2);
    let wanted =
        Wanted { name: Some("scaler"), config: Some(&text), needs_config: true, function: None };
    let deployment = Deployment::find(wanted, &cloud(&world)).await.unwrap();
    let view = Box::pin(plan(&deployment, &cloud(&world), &[], &invocation(&world))).await.unwrap();
    assert_eq!(view.totals.containers, 2, "{view:?}");
}

/// Whatever a name looks like, and whatever may not be read.
#[tokio::test(start_paused = true)]
async fn no_name_breaks_the_file_and_no_denial_the_survey() {
    let world = World::default();
    for name in ["20240101", "true", "a_b"] {
        let _ = world.queue(name);
        world.register(&definition(name));
    }
    world.cluster("jobs");
    let text = proposed(&world).await.text();
    let config = Config::of(&document("workers.yaml", &text).unwrap()).unwrap();
    // The network is what nobody could see.
    let refused = config.refused.iter();
    let refused: Vec<_> = refused
        .map(|of| (of.worker.as_str(), of.problems.len(), of.problems[0].path.as_str()))
        .collect();
    let expected = [("20240101", 1, "launch"), ("a_b", 1, "launch"), ("true", 1, "launch")];
    assert_eq!(refused, expected, "{text}");
    assert!(
        text.contains("# not read: ListServices of jobs failed: AccessDeniedException"),
        "{text}"
    );

    let empty = World::default();
    let text = proposed(&empty).await.text();
    assert!(text.contains("No queue and no task definition are called alike"), "{text}");
    assert!(document("workers.yaml", &text).is_ok());
}
