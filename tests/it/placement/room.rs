//! What is told where tasks find no room, and of instances that are gone.

use serde_json::json;

use super::*;

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap()
}

#[tokio::test(start_paused = true)]
async fn where_some_have_no_room_the_result_says_what_is_short() {
    let world = world_of(&["a"]);
    instances(&world, &[3, 2]);
    let full = world.instance("jobs", json!({"cpu": 8192, "memory": 1060}));
    world.daemon("jobs", "log-agent", (&full, "RUNNING"));
    world.instance("jobs", json!({"cpu": 8192, "memory": 1000}));
    world.queue("a").visible(9);
    let report = tick(&scaler(&world, &config(&["a"], &least_tasks())), &world, 0).await;
    let worker = only_worker(&report);
    assert_eq!((worker.outcome, worker.deferred.0), (Outcome::Partial, 4));
    assert!(worker.errors.is_empty());
    insta::assert_snapshot!(pretty(
        &json!({"placement": worker.placement, "failures": worker.failures})
    ));
    insta::assert_snapshot!("the_sum_says_it_too", worker.decision.as_ref().unwrap().why);
    let metrics = report.metrics();
    assert!(metrics.iter().any(|line| line.contains(r#""TasksWithoutRoom":4"#)), "{metrics:?}");
    assert!(metrics.iter().any(|line| line.contains(r#""LaunchFailuresNoRoom":4"#)));
}

#[tokio::test(start_paused = true)]
async fn a_cluster_without_instances_fails_its_workers_with_the_reason() {
    let world = world_of(&["a", "b"]);
    world.queue("a").visible(2);
    world.queue("b").visible(2);
    world.cluster("other");
    let mut config = config(&["a", "b"], &least_tasks());
    config["workers"][1]["cluster"] = json!("other");
    world.instance("other", json!({"cpu": 8192, "memory": 16384}));
    let report = tick(&scaler(&world, &config), &world, 0).await;
    let failed = report_of(&report, "a");
    assert_eq!(failed.outcome, Outcome::Failed);
    insta::assert_snapshot!(failed.errors.join("\n"));
    assert_eq!(report_of(&report, "b").outcome, Outcome::Launched);
    assert_eq!(world.count("StartTask"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_definition_of_fargate_alone_is_refused() {
    let world = world_of(&["a"]);
    instances(&world, &[4]);
    world.register(&crate::tick::definition("a"));
    world.queue("a").visible(2);
    let report = tick(&scaler(&world, &config(&["a"], &least_tasks())), &world, 0).await;
    assert_eq!(only_worker(&report).outcome, Outcome::Failed);
    insta::assert_snapshot!(only_worker(&report).errors.join("\n"));
    assert_eq!(world.changes(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_expression_that_ecs_does_not_take_holds_its_worker() {
    let world = world_of(&["a", "b"]);
    instances(&world, &[9]);
    let mut config = config(&["a", "b"], &least_tasks());
    config["workers"][0]["launch"] = json!({"placementConstraints":
        [{"type": "memberOf", "expression": "agentVersion =~ (((1.*)"}]});
    for name in ["a", "b"] {
        world.queue(name).visible(1);
    }
    world.fail_where(
        "ListContainerInstances",
        "agentVersion",
        (
            1,
            crate::world::Fault::Error(
                400,
                "InvalidParameterException",
                "Invalid filter".to_owned(),
            ),
        ),
    );
    let report = tick(&scaler(&world, &config), &world, 0).await;
    assert_eq!(report_of(&report, "b").outcome, Outcome::Launched);
    assert_eq!(report_of(&report, "a").outcome, Outcome::Held, "{report:?}");
    insta::assert_snapshot!(report_of(&report, "a").errors.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn an_instance_whose_agent_is_silent_for_long_is_named() {
    let world = world_of(&["a"]);
    let there = instances(&world, &[30, 30]);
    world.change_instance(&there[1], json!({"agentConnected": false}));
    let function = scaler(&world, &config(&["a"], &least_tasks()));
    let mut named = Vec::new();
    for minute in 0..=12 {
        if minute == 12 {
            world.change_instance(&there[1], json!({"agentConnected": true}));
        }
        world.queue("a").visible(minute + 1);
        let report = tick(&function, &world, minute).await;
        named.push(report.instances.clone().unwrap().len());
        if minute == 11 {
            let line = report.metrics().pop().unwrap();
            assert!(line.contains(r#""InstancesLost":1"#), "{line}");
            insta::assert_snapshot!(pretty(&json!(report.instances)));
        }
    }
    assert_eq!(named, [[0].repeat(10), vec![1, 1, 0]].concat());
}

/// Network interfaces are nothing that ECS tells before it refuses.
#[tokio::test(start_paused = true)]
async fn what_an_instance_refuses_goes_to_another_and_it_is_the_last_choice_then() {
    let world = world_of(&[]);
    world.queue("a");
    let mut definition = definition("a");
    definition["networkMode"] = json!("awsvpc");
    world.register(&definition);
    let mut config = config(&["a"], &least_tasks());
    config["launch"]["networkConfiguration"] =
        json!({"awsvpcConfiguration": {"subnets": ["subnet-1"]}});
    let there = instances(&world, &[20, 20, 20]);
    world.change_instance(&there[0], json!({"enis": 1}));
    world.queue("a").visible(6);
    let function = scaler(&world, &config);
    let report = tick(&function, &world, 0).await;
    let worker = only_worker(&report);
    assert_eq!(worker.outcome, Outcome::Launched, "{worker:?}");
    assert_eq!(counts(&world, &there)[0], 1);
    assert_eq!(
        worker.failures.iter().map(|f| f.reason.as_str()).collect::<Vec<_>>(),
        ["RESOURCE:ENI"]
    );
    world.take_calls();

    world.queue("a").visible(9);
    let report = tick(&function, &world, 1).await;
    assert_eq!(only_worker(&report).outcome, Outcome::Launched);
    assert_eq!(only_worker(&report).failures, []);
    assert_eq!(counts(&world, &there)[0], 1, "and it was not asked");
    no_violation(&world);
}

#[tokio::test(start_paused = true)]
async fn where_the_first_call_is_refused_another_instance_takes_the_tick() {
    let world = world_of(&["a"]);
    let there = instances(&world, &[20, 20, 20]);
    world.queue("a").visible(6);
    let gone = crate::world::Fault::Placed(0, "AGENT");
    world.fail("RunTask", 1, gone);
    let report = tick(&scaler(&world, &config(&["a"], &least_tasks())), &world, 0).await;
    assert_eq!(only_worker(&report).outcome, Outcome::Launched, "{report:?}");
    assert_eq!(counts(&world, &there), [0, 3, 3]);
    assert_eq!(report.totals.calls["RunTask"], 2);
    no_violation(&world);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_twice_waits_for_the_next_tick() {
    let world = world_of(&["a"]);
    instances(&world, &[20, 20, 20]);
    world.queue("a").visible(6);
    world.fail("StartTask", 9, crate::world::Fault::Placed(0, "RESOURCE:MEMORY"));
    let report = tick(&scaler(&world, &config(&["a"], &least_tasks())), &world, 0).await;
    let worker = only_worker(&report);
    assert_eq!((worker.outcome, worker.deferred.0), (Outcome::Partial, 5), "{worker:?}");
    assert_eq!(world.tasks().len(), 1);
}
