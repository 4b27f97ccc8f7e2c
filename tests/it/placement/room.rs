//! What is told where tasks find no room, and of instances that are gone.

use serde_json::json;

use super::*;

const NONE: [String; 0] = [];

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
    assert_eq!(worker.failures, [], "they were made good");
    insta::assert_snapshot!(worker.warnings.join("\n"));
    world.take_calls();

    world.queue("a").visible(9);
    let report = tick(&function, &world, 1).await;
    assert_eq!(only_worker(&report).outcome, Outcome::Launched);
    assert_eq!(counts(&world, &there)[0], 1);
    assert_eq!(only_worker(&report).warnings, NONE, "it was not even asked");
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

/// `RunTask` tells of every instance that it looked at, and of those that are not meant too.
#[tokio::test(start_paused = true)]
async fn of_a_refused_first_call_only_the_instance_that_was_meant_is_left_out() {
    let world = world_of(&["a"]);
    let there = instances(&world, &[20, 20, 20]);
    world.queue("a").visible(4);
    let failure = |arn: &String, reason: &str| json!({"arn": arn, "reason": reason});
    let others = "MemberOf placement constraint unsatisfied.";
    let failures = [&there[1], &there[2]].map(|arn| failure(arn, others));
    let failures = [&failures[..], &[failure(&there[0], "AGENT")]].concat();
    world.fail(
        "RunTask",
        1,
        crate::world::Fault::Answer(json!({"tasks": [], "failures": failures})),
    );
    let report = tick(&scaler(&world, &config(&["a"], &least_tasks())), &world, 0).await;
    let worker = only_worker(&report);
    assert_eq!((worker.outcome, counts(&world, &there)), (Outcome::Launched, vec![0, 2, 2]));
    assert_eq!(worker.warnings, ["placed anew, as an instance refused: 1 x AGENT"]);
}

/// What an answer names neither as started nor as refused may be there.
#[tokio::test(start_paused = true)]
async fn an_instance_that_an_answer_does_not_name_may_have_the_task() {
    let world = world_of(&["a"]);
    let there = instances(&world, &[20, 20, 20]);
    world.queue("a").visible(3);
    let config = config(&["a"], &least_tasks());
    let function = scaler(&world, &config);
    let refused = json!([{"arn": there[1], "reason": "RESOURCE:MEMORY"}]);
    let answer = json!({"tasks": [], "failures": refused});
    world.fail("StartTask", 1, crate::world::Fault::Answer(answer));
    let report = tick(&function, &world, 0).await;
    assert_eq!(only_worker(&report).outcome, Outcome::Partial, "{report:?}");
    assert_eq!(world.tasks().len(), 2, "one was refused and placed anew, one is left open");
    let report = tick(&function, &world, 1).await;
    assert_eq!(world.tasks().len(), 2, "it counts as starting: {report:?}");
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_tells_what_is_short_and_raises_no_alarm() {
    let world = world_of(&["a"]);
    instances(&world, &[1]);
    world.queue("a").visible(3);
    let function = scaler(&world, &config(&["a"], &least_tasks()));
    let invocation = Invocation::new("r", world.now(), 0);
    let report = ticked(&function, &json!({"dryRun": true}), &invocation).await;
    let worker = only_worker(&report);
    assert_eq!((worker.outcome, worker.failures.len()), (Outcome::Planned, 0));
    assert_eq!(worker.placement.as_ref().unwrap().fit.0, 1);
    assert_eq!(world.changes(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_short_is_told_by_its_kind() {
    let world = world_of(&["a"]);
    let there = instances(&world, &[9, 9]);
    for arn in &there {
        world.change_instance(arn, json!({"agentConnected": false}));
    }
    world.queue("a").visible(3);
    let report = tick(&scaler(&world, &config(&["a"], &least_tasks())), &world, 0).await;
    let shortage = only_worker(&report).failures[0].shortage;
    assert_eq!(shortage, decision::refusal::Cause::Agent);
}

#[tokio::test(start_paused = true)]
async fn a_time_without_a_look_tells_nothing_of_an_agent() {
    let world = world_of(&["a"]);
    let there = instances(&world, &[30, 30]);
    world.change_instance(&there[1], json!({"agentConnected": false}));
    let function = scaler(&world, &config(&["a"], &least_tasks()));
    for minute in [0, 1, 30] {
        world.queue("a").visible(minute + 1);
        let report = tick(&function, &world, minute).await;
        assert_eq!(report.instances.as_deref(), Some(&[][..]), "at {minute}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_machine_of_somebodys_own_is_no_place() {
    let world = world_of(&["a"]);
    let there = instances(&world, &[30]);
    let own =
        world.instance("jobs", json!({"ec2InstanceId": "mi-1", "cpu": 8192, "memory": 16384}));
    world.queue("a").visible(4);
    let _ = tick(&scaler(&world, &config(&["a"], &least_tasks())), &world, 0).await;
    assert_eq!(counts(&world, &[there[0].clone(), own]), [4, 0]);
}

/// A list whose tasks are not described would look like instances without their daemon.
#[tokio::test(start_paused = true)]
async fn daemons_that_are_read_in_part_hold() {
    let world = world_of(&["a"]);
    let there = instances(&world, &[30]);
    let daemon = world.daemon("jobs", "log-agent", (&there[0], "RUNNING"));
    world.queue("a").visible(4);
    let placement = json!({"scheduler": "leastTasks", "requireDaemons": ["log-agent"]});
    let nothing = crate::world::Fault::Answer(json!({"tasks": []}));
    world.fail_where("DescribeTasks", &daemon, (1, nothing));
    let report = tick(&scaler(&world, &config(&["a"], &placement)), &world, 0).await;
    let worker = only_worker(&report);
    assert_eq!(worker.outcome, Outcome::Held, "{worker:?}");
    assert_eq!(
        worker.errors,
        ["cannot use the answer of DescribeTasks: 1 of 1 listed tasks are not in it"]
    );
}

/// The instances were chosen for what the old revision asks for.
#[tokio::test(start_paused = true)]
async fn a_new_revision_that_asks_for_other_instances_waits_for_the_next_tick() {
    let world = world_of(&["a"]);
    let there: Vec<_> = ["hdd", "ssd"]
        .iter()
        .map(|disk| {
            world.instance(
                "jobs",
                json!({"cpu": 8192, "memory": 16384, "attributes": {"disk": disk}}),
            )
        })
        .collect();
    world.queue("a").visible(4);
    let function = scaler(&world, &config(&["a"], &least_tasks()));
    let mut next = definition("a");
    next["placementConstraints"] =
        json!([{"type": "memberOf", "expression": "attribute:disk == ssd"}]);
    world.takes("DescribeContainerInstances", Duration::from_secs(2));
    let deploy = async {
        world.reach(Duration::from_secs(1)).await;
        world.register(&next);
        world.deregister("arn:aws:ecs:eu-central-1:123456789012:task-definition/a:1");
    };
    let (report, ()) = futures_util::join!(tick(&function, &world, 0), deploy);
    assert_eq!(only_worker(&report).outcome, Outcome::Failed, "{report:?}");
    assert_eq!(counts(&world, &there), [0, 0]);
    let report = tick(&function, &world, 1).await;
    assert_eq!(only_worker(&report).outcome, Outcome::Launched, "{report:?}");
    assert_eq!(counts(&world, &there), [0, 4]);
}

/// A definition is replaced while the tick reads, and an instance refuses the new revision.
#[tokio::test(start_paused = true)]
async fn what_is_refused_of_a_renewed_revision_is_placed_anew_on_that_revision() {
    let world = world_of(&["a"]);
    let there = instances(&world, &[9, 9, 9]);
    world.queue("a").visible(6);
    world.takes("DescribeContainerInstances", Duration::from_secs(2));
    world.fail("StartTask", 1, crate::world::Fault::Placed(2, "RESOURCE:MEMORY"));
    let deploy = async {
        world.reach(Duration::from_secs(1)).await;
        world.register(&definition("a"));
        world.deregister("arn:aws:ecs:eu-central-1:123456789012:task-definition/a:1");
    };
    let function = scaler(&world, &config(&["a"], &least_tasks()));
    let (report, ()) = futures_util::join!(tick(&function, &world, 0), deploy);
    let worker = only_worker(&report);
    assert_eq!((worker.outcome, worker.deferred.0), (Outcome::Launched, 0), "{worker:?}");
    assert_eq!(counts(&world, &there).iter().sum::<usize>(), 6);
    let revisions = world.tasks().into_iter().map(|task| task["taskDefinitionArn"].clone());
    assert!(revisions.into_iter().all(|arn| arn.as_str().unwrap().ends_with("/a:2")));
    no_violation(&world);
}
