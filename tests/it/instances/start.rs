//! `StartTask`: one task on each instance that is named.

use std::time::Duration;

use aws_sdk_ecs::Client;
use aws_sdk_ecs::operation::start_task::StartTaskOutput;
use aws_sdk_ecs::operation::start_task::builders::StartTaskFluentBuilder;
use aws_sdk_ecs::types::{AwsVpcConfiguration, NetworkConfiguration, PropagateTags, Tag};
use serde_json::{Value, json};

use super::{amount, code, definition, described, jobs, reasons, register};
use crate::world::watch::{Bounds, Shared};
use crate::world::weather::Weather;
use crate::world::{Fault, World};

/// A call that starts a task of a definition on instances.
pub(super) fn start(ecs: &Client, family: &str, on: &[&String]) -> StartTaskFluentBuilder {
    let on = on.iter().map(|arn| (*arn).clone()).collect();
    let call = ecs.start_task().cluster("jobs").task_definition(family);
    call.set_container_instances(Some(on))
}

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build()
}

fn violations(world: &World) -> Vec<&'static str> {
    world.state().watch.violations.iter().map(|(kind, _)| *kind).collect()
}

/// The instances on which tasks were started.
fn places(answer: &StartTaskOutput) -> Vec<&str> {
    answer.tasks().iter().map(|task| task.container_instance_arn().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_task_starts_on_each_instance_that_is_named() {
    let (world, ecs) = jobs();
    register(&world, "a", &json!({}));
    let [one, two] = [(), ()].map(|()| world.instance("jobs", json!({})));
    let call = start(&ecs, "a:1", &[&one, &two]).started_by("me").group("worker:a");
    let answer = call.tags(tag("k", "v")).send().await.unwrap();
    assert_eq!(places(&answer), [one.as_str(), two.as_str()]);
    let arns: Vec<_> = answer.tasks().iter().map(|task| task.task_arn().unwrap()).collect();
    let again = start(&ecs, "a:1", &[&one]).send().await.unwrap();
    assert!(!arns.contains(&again.tasks()[0].task_arn().unwrap()) && arns[0] != arns[1]);

    let read = ecs.describe_tasks().cluster("jobs").tasks(arns[0]);
    let read = read.include(aws_sdk_ecs::types::TaskField::Tags).send().await.unwrap();
    let task = &read.tasks()[0];
    assert_eq!(task.container_instance_arn(), Some(one.as_str()));
    assert_eq!(task.launch_type().unwrap().as_str(), "EC2");
    assert_eq!((task.started_by(), task.group()), (Some("me"), Some("worker:a")));
    assert_eq!(task.tags(), [tag("k", "v")]);
    assert_eq!(task.created_at().unwrap().secs(), world.now().as_second());
    assert_eq!(again.tasks()[0].group(), Some("family:a"));
    assert_eq!(world.changes(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_illegal_start_is_refused() {
    let (world, ecs) = jobs();
    register(&world, "a", &json!({}));
    register(&world, "old", &json!({}));
    world.deregister("old:1");
    world.register(&crate::tick::definition("fargate"));
    let arn = world.instance("jobs", json!({}));
    let id = arn.rsplit('/').next().unwrap().to_owned();
    let legal = || start(&ecs, "a", &[&arn]);
    let eleven: Vec<_> = (0..11).map(|n| n.to_string()).collect();
    let vpc = AwsVpcConfiguration::builder().subnets("subnet-1").build().unwrap();
    let network = NetworkConfiguration::builder().awsvpc_configuration(vpc).build();
    let invalid = "InvalidParameterException";
    let cases = [
        (invalid, start(&ecs, "a", &[])),
        (invalid, start(&ecs, "a", &eleven.iter().collect::<Vec<_>>())),
        (invalid, start(&ecs, "a", &[&arn, &arn])),
        (invalid, start(&ecs, "a", &[&arn, &id])),
        (invalid, legal().started_by("x".repeat(37))),
        (invalid, legal().started_by("a.b")),
        (invalid, legal().propagate_tags(PropagateTags::Service)),
        ("ClientException", legal().tags(tag("aws:x", "y"))),
        (invalid, legal().network_configuration(network)),
        ("ClusterNotFoundException", legal().cluster("nowhere")),
        ("ClientException", legal().task_definition("a:2")),
        ("ClientException", legal().task_definition("old:1")),
        (invalid, legal().task_definition("fargate")),
    ];
    for (expected, call) in cases {
        assert_eq!(code(call.clone().send().await), expected, "{call:?}");
    }
    for member in ["clientToken", "count", "launchType", "placementConstraints"] {
        let answer = legal().customize().mutate_request(move |request| {
            let body = request.body().bytes().unwrap();
            let mut input: Value = serde_json::from_slice(body).unwrap();
            input[member] = json!("1");
            let body = input.to_string();
            request.headers_mut().insert("content-length", body.len().to_string());
            *request.body_mut() = body.into();
        });
        assert_eq!(code(answer.send().await), invalid, "{member}");
    }
    assert_eq!(world.tasks_on(&arn).len(), 0);
    legal().started_by("x".repeat(36)).send().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_no_place_for_a_task_is_told_by_its_arn() {
    let (world, ecs) = jobs();
    world.cluster("others");
    register(&world, "a", &json!({}));
    let [gone, deaf, good] = [(), (), ()].map(|()| world.instance("jobs", json!({})));
    let elsewhere = world.instance("others", json!({}));
    let unknown = good.replace("0003", "0009");
    world.vanish(&gone);
    world.change_instance(&deaf, json!({"agentConnected": false}));
    let answer = start(&ecs, "a", &[&gone, &deaf, &good, &unknown, &elsewhere]);
    let answer = answer.send().await.unwrap();
    assert_eq!(places(&answer), [good.as_str()]);
    assert_eq!(
        reasons(answer.failures()),
        [
            (gone.as_str(), "INACTIVE"),
            (deaf.as_str(), "AGENT"),
            (unknown.as_str(), "MISSING"),
            (elsewhere.as_str(), "MISSING"),
        ]
    );
}

/// How often a definition finds room on an instance, and why not once more.
async fn room(about: Value, definition: &Value) -> (usize, String) {
    let (world, ecs) = jobs();
    world.register(definition);
    let arn = world.instance("jobs", about);
    let family = definition["family"].as_str().unwrap();
    for count in 0..20 {
        let call = start(&ecs, family, &[&arn]);
        let vpc = AwsVpcConfiguration::builder().subnets("subnet-1").build().unwrap();
        let network = NetworkConfiguration::builder().awsvpc_configuration(vpc).build();
        let awsvpc = definition["networkMode"] == "awsvpc";
        let call = call.set_network_configuration(awsvpc.then_some(network));
        let answer = call.send().await.unwrap();
        if let [failure] = answer.failures() {
            return (count, failure.reason().unwrap().to_owned());
        }
    }
    panic!("there is always room");
}

#[tokio::test(start_paused = true)]
async fn an_instance_takes_no_more_than_it_has_room_for() {
    let with = |container: Value| definition("a", &container);
    let sized = |network: &str| {
        let mut sized = definition("a", &json!({"cpu": 0}));
        let size = json!({"cpu": "1024", "memory": "2048", "networkMode": network});
        sized.as_object_mut().unwrap().extend(size.as_object().unwrap().clone());
        sized
    };
    let gpu = json!([{"type": "GPU", "value": "2"}]);
    let large = json!({"cpu": 4096, "memory": 8192});
    let cases = [
        (json!({"cpu": 2048}), with(json!({})), (4, "RESOURCE:CPU")),
        (json!({"memory": 3000}), with(json!({})), (2, "RESOURCE:MEMORY")),
        (json!({"memory": 3000}), with(json!({"memoryReservation": 600})), (5, "RESOURCE:MEMORY")),
        (large, sized("bridge"), (4, "RESOURCE:CPU")),
        (json!({"memory": 6144}), sized("bridge"), (3, "RESOURCE:MEMORY")),
        (json!({"enis": 2}), sized("awsvpc"), (2, "RESOURCE:ENI")),
        (json!({"enis": 2}), sized("bridge"), (4, "RESOURCE:CPU")),
        (json!({"gpus": 5}), with(json!({"resourceRequirements": gpu})), (2, "RESOURCE:GPU")),
        (json!({}), with(json!({"resourceRequirements": gpu})), (0, "RESOURCE:GPU")),
    ];
    for (about, definition, (times, reason)) in cases {
        let found = room(about.clone(), &definition).await;
        assert_eq!(found, (times, reason.to_owned()), "{about} {definition}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_port_is_taken_once() {
    let mapped = |mode: &str, mapping: Value| {
        let mut mapped =
            definition("a", &json!({"cpu": 1, "memory": 6, "portMappings": [mapping]}));
        mapped["networkMode"] = json!(mode);
        mapped
    };
    let large = json!({"cpu": 4096, "memory": 8192});
    let cases = [
        (
            large.clone(),
            mapped("bridge", json!({"containerPort": 80, "hostPort": 8080})),
            (1, "RESOURCE:PORTS"),
        ),
        (
            large.clone(),
            mapped("bridge", json!({"containerPort": 80, "hostPort": 53, "protocol": "udp"})),
            (1, "RESOURCE:PORTS"),
        ),
        (
            large.clone(),
            mapped("bridge", json!({"containerPort": 80, "hostPort": 22})),
            (0, "RESOURCE:PORTS"),
        ),
        (
            large.clone(),
            mapped("bridge", json!({"containerPort": 22, "hostPort": 22, "protocol": "udp"})),
            (1, "RESOURCE:PORTS"),
        ),
        (large.clone(), mapped("host", json!({"containerPort": 80})), (1, "RESOURCE:PORTS")),
        (
            json!({"cpu": 12, "enis": null}),
            mapped("bridge", json!({"containerPort": 80})),
            (12, "RESOURCE:CPU"),
        ),
        (
            json!({"cpu": 12, "enis": null}),
            mapped("awsvpc", json!({"containerPort": 80})),
            (12, "RESOURCE:CPU"),
        ),
    ];
    for (about, definition, (times, reason)) in cases {
        let found = room(about.clone(), &definition).await;
        assert_eq!(found, (times, reason.to_owned()), "{about} {definition}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_without_what_a_definition_requires_is_no_place() {
    let log = json!({"logConfiguration": {"logDriver": "awslogs"}});
    let mut arm = definition("a", &json!({}));
    arm["runtimePlatform"] = json!({"cpuArchitecture": "ARM64"});
    let mut intel = arm.clone();
    intel["runtimePlatform"]["cpuArchitecture"] = json!("X86_64");
    let mut awsvpc = definition("a", &json!({}));
    awsvpc["networkMode"] = json!("awsvpc");
    let without = |name: &str| json!({"cpu": 512, "attributes": {name: null}});
    let driver = "com.amazonaws.ecs.capability.logging-driver.awslogs";
    let api = "com.amazonaws.ecs.capability.docker-remote-api.1.18";
    let no_arm = (0, "ATTRIBUTE".to_owned());
    let fits = (1, "RESOURCE:CPU".to_owned());
    assert_eq!(room(without("x"), &arm).await, no_arm);
    assert_eq!(room(without("x"), &intel).await, fits);
    assert_eq!(room(without("x"), &definition("a", &log)).await, fits);
    assert_eq!(room(without(driver), &definition("a", &log)).await, no_arm);
    assert_eq!(room(without(driver), &definition("a", &json!({}))).await, fits);
    assert_eq!(room(without(api), &definition("a", &json!({}))).await, no_arm);
    assert_eq!(room(without("ecs.capability.task-eni"), &awsvpc).await, no_arm);
}

#[tokio::test(start_paused = true)]
async fn what_remains_and_what_runs_is_counted_from_the_tasks_that_stand_there() {
    let (world, ecs) = jobs();
    let udp = json!({"containerPort": 80, "hostPort": 8125, "protocol": "udp"});
    let gpu = json!([{"type": "GPU", "value": "1"}]);
    let mapped = json!({"portMappings": [{"containerPort": 80, "hostPort": 8080}, udp], "resourceRequirements": gpu});
    register(&world, "a", &mapped);
    let arn = world.instance("jobs", json!({"gpus": 2}));
    let before = described(&ecs, &arn).await;
    assert_eq!((before.running_tasks_count(), before.pending_tasks_count()), (0, 0));
    start(&ecs, "a", &[&arn]).send().await.unwrap();
    let instance = described(&ecs, &arn).await;
    let remaining = instance.remaining_resources();
    assert_eq!(amount(remaining, "CPU").0, 4096 - 512);
    assert_eq!(amount(remaining, "MEMORY").0, 8192 - 1024);
    assert!(amount(remaining, "PORTS").1.contains(&"8080".to_owned()));
    assert_eq!(amount(remaining, "PORTS_UDP").1, ["8125"]);
    assert_eq!(amount(remaining, "GPU").1.len(), 1);
    assert_eq!(instance.registered_resources(), before.registered_resources());
    assert_eq!((instance.running_tasks_count(), instance.pending_tasks_count()), (1, 1));
    world.all_run();
    let instance = described(&ecs, &arn).await;
    assert_eq!((instance.running_tasks_count(), instance.pending_tasks_count()), (1, 0));
    world.all_stop();
    assert_eq!(described(&ecs, &arn).await, before);
}

#[tokio::test(start_paused = true)]
async fn scripted_trouble_places_the_first_instances_only() {
    let (world, ecs) = jobs();
    register(&world, "a", &json!({}));
    let [one, two] = [(), ()].map(|()| world.instance("jobs", json!({})));
    world.fail("StartTask", 1, Fault::Placed(1, "LOCATION"));
    let answer = start(&ecs, "a", &[&one, &two]).send().await.unwrap();
    assert_eq!(places(&answer), [one.as_str()]);
    assert_eq!(reasons(answer.failures()), [(two.as_str(), "LOCATION")]);
}

#[tokio::test(start_paused = true)]
async fn a_start_on_a_draining_instance_is_executed_and_seen() {
    let (world, ecs) = jobs();
    register(&world, "a", &json!({}));
    let [draining, active] = [(), ()].map(|()| world.instance("jobs", json!({})));
    world.change_instance(&draining, json!({"status": "DRAINING"}));
    start(&ecs, "a", &[&active]).send().await.unwrap();
    assert_eq!(violations(&world), [""; 0]);
    let answer = start(&ecs, "a", &[&draining, &active]).send().await.unwrap();
    assert_eq!(answer.tasks().len(), 2);
    assert_eq!(violations(&world), ["started on a draining instance"]);
}

#[tokio::test(start_paused = true)]
async fn a_start_before_a_required_daemon_runs_is_seen() {
    let (world, ecs) = jobs();
    register(&world, "a", &json!({}));
    let [ready, new, bare] = [(), (), ()].map(|()| world.instance("jobs", json!({})));
    world.daemon("jobs", "log-agent", (&ready, "RUNNING"));
    world.daemon("jobs", "log-agent", (&new, "PENDING"));
    start(&ecs, "a", &[&bare]).send().await.unwrap();
    world.state().watch.places.daemons.insert("log-agent".to_owned());
    start(&ecs, "a", &[&ready]).send().await.unwrap();
    assert_eq!(violations(&world), [""; 0]);
    start(&ecs, "a", &[&ready, &new, &bare]).send().await.unwrap();
    assert_eq!(violations(&world), ["started before a daemon"; 2]);
}

#[tokio::test(start_paused = true)]
async fn a_second_attempt_for_the_same_slot_and_tick_is_executed_and_seen() {
    let (world, ecs) = jobs();
    register(&world, "a", &json!({}));
    let arn = world.instance("jobs", json!({}));
    let attempt = |call: &str| {
        let tags = [("worker", "a"), ("tick", "2026-11-20T21:00:00Z"), ("call", call)];
        let tags = tags.map(|(key, value)| tag(&format!("ecs-queue-scaler:{key}"), value));
        start(&ecs, "a", &[&arn]).started_by("s").set_tags(Some(tags.to_vec()))
    };
    world.fail("StartTask", 1, Fault::Error(400, "ThrottlingException", "Rate".into()));
    code(attempt("0").send().await);
    code(attempt("0").task_definition("unknown").send().await);
    attempt("0").send().await.unwrap();
    attempt("1").send().await.unwrap();
    attempt("0").started_by("t").send().await.unwrap();
    assert_eq!(violations(&world), [""; 0]);
    attempt("0").send().await.unwrap();
    assert_eq!(violations(&world), ["an attempt twice"]);
    assert_eq!(world.tasks_on(&arn).len(), 4);

    let other = world.instance("jobs", json!({}));
    world.fail("StartTask", 1, Fault::LostAnswer);
    let lost = || attempt("9").set_container_instances(Some(vec![other.clone()]));
    lost().send().await.unwrap_err();
    lost().send().await.unwrap();
    assert_eq!(world.tasks_on(&other).len(), 2, "there is no token that would make it one");
    assert_eq!(violations(&world).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_weather_of_a_start_is_that_of_a_run() {
    let (world, ecs) = jobs();
    register(&world, "a", &json!({}));
    let on: Vec<_> = (0..4).map(|_| world.instance("jobs", json!({}))).collect();
    let mut partly = 0;
    for seed in 0..8 {
        let mut weather = Weather::new(seed, 3_600_000);
        weather.likely.partial = 1.0;
        weather.lag = 600_000;
        world.state().weather = Some(weather);
        let answer = start(&ecs, "a", &on.iter().collect::<Vec<_>>()).send().await.unwrap();
        let (started, failed) = (answer.tasks().len(), answer.failures().len());
        assert!(started < 4 && started + failed == 4, "{answer:?}");
        assert_eq!(places(&answer), on[..started]);
        partly += usize::from(0 < started);
    }
    assert!(0 < partly);

    world.state().weather.as_mut().unwrap().likely.partial = 0.0;
    assert_eq!(world.tasks_on(&on[3]).len(), 0, "the last one never had room");
    start(&ecs, "a", &[&on[3]]).send().await.unwrap();
    let list = || ecs.list_tasks().cluster("jobs").container_instance(&on[3]).send();
    assert_eq!(list().await.unwrap().task_arns().len(), 0, "lists are late");
    assert_eq!(described(&ecs, &on[3]).await.running_tasks_count(), 0, "and so are counts");
    world.reach(Duration::from_mins(11)).await;
    assert_eq!(described(&ecs, &on[3]).await.running_tasks_count(), 1);
    assert_eq!(list().await.unwrap().task_arns().len(), 1);
}

/// An invocation begins in which worker `a` may have so many containers, of two tasks an hour.
fn begin_bounded(world: &World, most: u64) {
    let bounds =
        Bounds { max_containers: most, min_containers: 99, per_message: 1, stuck_after: 1000 };
    let mut state = world.state();
    state.watch.bounds.insert("a".to_owned(), bounds);
    state.watch.shared = Some(Shared { per_tick: 99, per_hour: 2, max_event_age: 60_000 });
    state.watch.begin(0, Some(crate::world::BEGINNING.parse().unwrap()), 0);
}

#[tokio::test(start_paused = true)]
async fn a_start_is_held_to_the_bounds_of_its_worker() {
    let (world, ecs) = jobs();
    register(&world, "a", &json!({}));
    let [one, two] = [(), ()].map(|()| world.instance("jobs", json!({})));
    world.daemon("jobs", "log-agent", (&one, "RUNNING"));
    begin_bounded(&world, 2);
    let call = || start(&ecs, "a", &[&one, &two]).group("worker:a").tags(tag("k", "v"));
    call().send().await.unwrap();
    assert_eq!(violations(&world), [""; 0]);
    call().send().await.unwrap();
    assert_eq!(violations(&world), ["above maxContainers", "above maxTasksPerHour"]);
}
