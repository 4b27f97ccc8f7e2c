//! Our own scheduler: which instance gets which task, and what is told where none has room.

mod beside;
mod once;
mod room;
mod smaller;

use std::collections::BTreeMap;
use std::time::Duration;

use decision::config::Config;
use ecs_queue_scaler::report::{Outcome, Report, WorkerReport};
use ecs_queue_scaler::run::{Invocation, Scaler};
use serde_json::{Value, json};

use crate::tick::{only_worker, scaler, tick, ticked, worker, world_with};
use crate::world::World;

/// A task of 512 units and 1024 MiB, of a worker container that has it all.
fn definition(family: &str) -> Value {
    json!({
        "family": family, "networkMode": "bridge", "requiresCompatibilities": ["EC2"],
        "containerDefinitions": [{"name": "worker", "image": "i", "cpu": 512, "memory": 1024}],
    })
}

/// Workers of one container a task, on instances.
fn config(names: &[&str], placement: &Value) -> Value {
    let one = json!({"messagesPerContainer": 1});
    let packing = json!({"maxContainersPerTask": 1, "maxTasks": 100});
    let workers: Vec<_> = names.iter().map(|name| worker(name, &one, &packing)).collect();
    json!({
        "cluster": "jobs", "workers": workers,
        "launch": {"launchType": "EC2", "placement": placement},
    })
}

fn least_tasks() -> Value {
    json!({"scheduler": "leastTasks"})
}

fn world_of(names: &[&str]) -> World {
    world_with(names, definition)
}

/// Instances with room for so many tasks each, `i-0` and so on.
fn instances(world: &World, rooms: &[u64]) -> Vec<String> {
    let instance = |(number, room): (usize, &u64)| {
        let id = format!("i-{number}");
        world.instance(
            "jobs",
            json!({"ec2InstanceId": id, "cpu": 512 * room, "memory": 1024 * room}),
        )
    };
    rooms.iter().enumerate().map(instance).collect()
}

/// A delivery of a minute's tick, by an invocation of its own.
async fn deliver(function: &Scaler, world: &World, (minute, request): (u64, &str)) -> Report {
    world.reach(Duration::from_secs(60 * minute)).await;
    let event = json!({"scheduledTime": format!("2026-11-20T21:{minute:02}:00Z")});
    ticked(function, &event, &Invocation::new(request, world.now(), 0)).await
}

/// Tasks that ECS does not want stopped, by instance.
fn standing(world: &World) -> BTreeMap<String, usize> {
    let mut standing = BTreeMap::new();
    for task in world.tasks() {
        let on = task["containerInstanceArn"].as_str().unwrap().to_owned();
        *standing.entry(on).or_default() += 1;
    }
    standing
}

fn counts(world: &World, instances: &[String]) -> Vec<usize> {
    let standing = standing(world);
    instances.iter().map(|arn| standing.get(arn).copied().unwrap_or_default()).collect()
}

fn report_of<'a>(report: &'a Report, name: &str) -> &'a WorkerReport {
    report.workers.iter().find(|worker| worker.worker.as_str() == name).unwrap()
}

fn no_violation(world: &World) {
    assert_eq!(world.state().watch.violations, []);
}

#[tokio::test(start_paused = true)]
async fn tasks_go_where_the_fewest_run() {
    let world = world_of(&["a"]);
    let there = instances(&world, &[10, 10, 10]);
    for _ in 0..3 {
        world.daemon("jobs", "log-agent", (&there[1], "RUNNING"));
    }
    world.queue("a").visible(6);
    let function = scaler(&world, &config(&["a"], &least_tasks()));
    let report = tick(&function, &world, 0).await;
    assert_eq!(only_worker(&report).outcome, Outcome::Launched, "{report:?}");
    assert_eq!(counts(&world, &there), [3, 0, 3], "three daemons on the second");
    let world = world_of(&["a"]);
    let there = instances(&world, &[10, 10, 10]);
    for _ in 0..3 {
        world.daemon("jobs", "log-agent", (&there[1], "RUNNING"));
    }
    world.queue("a").visible(6);
    let own = json!({"scheduler": "leastTasks", "of": "worker"});
    let _ = tick(&scaler(&world, &config(&["a"], &own)), &world, 0).await;
    assert_eq!(counts(&world, &there), [2, 2, 2], "others do not count");
    no_violation(&world);
}

#[tokio::test(start_paused = true)]
async fn the_first_call_is_pinned_and_the_others_start_ten_at_most() {
    let world = world_of(&["a"]);
    let there = instances(&world, &[3; 13]);
    world.queue("a").visible(25);
    let report = tick(&scaler(&world, &config(&["a"], &least_tasks())), &world, 0).await;
    assert_eq!(report.totals.launched_tasks.0, 25, "{report:?}");
    let calls = world.take_calls();
    let of = |operation: &str| -> Vec<Value> {
        calls.iter().filter(|c| c.operation == operation).map(|c| c.input.clone()).collect()
    };
    let [first] = of("RunTask").try_into().unwrap();
    assert_eq!((first["count"].as_u64(), first["launchType"].as_str()), (Some(1), Some("EC2")));
    assert_eq!(first["placementConstraints"][0]["expression"], "ec2InstanceId == i-0");
    let started = of("StartTask");
    let mut sizes: Vec<_> =
        started.iter().map(|c| c["containerInstances"].as_array().unwrap().len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [8, 8, 8]);
    let tag = |call: &Value, key: &str| {
        let tags = call["tags"].as_array().unwrap();
        tags.iter().find(|tag| tag["key"] == key).unwrap()["value"].as_str().unwrap().to_owned()
    };
    let numbers: Vec<_> = started.iter().map(|c| tag(c, "ecs-queue-scaler:call")).collect();
    assert_eq!(
        (tag(&first, "ecs-queue-scaler:call").as_str(), numbers),
        ("0", ["1", "2", "3"].map(str::to_owned).to_vec())
    );
    for call in &started {
        assert_eq!(
            (call["startedBy"].as_str(), call["group"].as_str()),
            (Some("scaler"), Some("worker:a"))
        );
        assert_eq!(tag(call, "ecs-queue-scaler:worker"), "a");
        assert_eq!(tag(call, "ecs-queue-scaler:tick"), "2026-11-20T21:00:00Z");
        assert_eq!(tag(call, "ecs-queue-scaler:plan"), "25x1");
    }
    assert_eq!(counts(&world, &there).into_iter().max(), Some(2));
    no_violation(&world);
}

#[tokio::test(start_paused = true)]
async fn what_drains_or_has_no_agent_gets_nothing() {
    let world = world_of(&["a"]);
    let there = instances(&world, &[10, 10, 10]);
    world.change_instance(&there[0], json!({"status": "DRAINING"}));
    world.change_instance(&there[2], json!({"agentConnected": false}));
    world.queue("a").visible(12);
    let report = tick(&scaler(&world, &config(&["a"], &least_tasks())), &world, 0).await;
    assert_eq!(counts(&world, &there), [0, 10, 0]);
    let placement = only_worker(&report).placement.clone().unwrap();
    assert_eq!((placement.instances, placement.asked.0, placement.fit.0), (2, 12, 10));
    no_violation(&world);
}

#[tokio::test(start_paused = true)]
async fn binpack_fills_one_after_the_other_and_spread_goes_over_the_zones() {
    let world = world_of(&["a"]);
    let there = instances(&world, &[6, 4, 5]);
    world.queue("a").visible(8);
    let binpack = json!({"scheduler": "binpack", "by": "memory"});
    let _ = tick(&scaler(&world, &config(&["a"], &binpack)), &world, 0).await;
    assert_eq!(counts(&world, &there), [0, 4, 4]);

    let world = world_of(&["a"]);
    let there: Vec<_> = ["a", "a", "a", "b"]
        .iter()
        .map(|zone| world.instance("jobs", json!({"cpu": 8192, "memory": 16384, "zone": zone})))
        .collect();
    world.queue("a").visible(6);
    let spread = json!({"scheduler": "spread"});
    let _ = tick(&scaler(&world, &config(&["a"], &spread)), &world, 0).await;
    assert_eq!(counts(&world, &there), [1, 1, 1, 3]);
    no_violation(&world);
}

#[tokio::test(start_paused = true)]
async fn an_instance_without_its_daemon_waits_and_is_named_after_the_grace() {
    let world = world_of(&["a"]);
    let there = instances(&world, &[10, 10]);
    world.daemon("jobs", "log-agent", (&there[0], "RUNNING"));
    world.daemon("jobs", "log-agent", (&there[1], "PENDING"));
    world.state().watch.places.daemons.insert("log-agent".to_owned());
    let placement =
        json!({"scheduler": "leastTasks", "requireDaemons": ["log-agent"], "daemonGrace": "2m"});
    let function = scaler(&world, &config(&["a"], &placement));
    world.queue("a").visible(4);
    let report = tick(&function, &world, 0).await;
    assert_eq!(counts(&world, &there), [4, 0]);
    assert_eq!(report.instances.as_deref(), Some(&[][..]), "it has just joined");
    world.queue("a").visible(12);
    let report = tick(&function, &world, 3).await;
    let [instance] = report.instances.as_deref().unwrap() else { panic!("{report:?}") };
    assert_eq!((instance.instance.as_str(), instance.trouble), ("i-1", "noDaemon"));
    insta::assert_snapshot!(instance.why);
    world.daemon("jobs", "log-agent", (&there[1], "RUNNING"));
    world.queue("a").visible(20);
    let report = tick(&function, &world, 4).await;
    assert_eq!(report.instances.as_deref(), Some(&[][..]));
    assert!(0 < counts(&world, &there)[1], "{:?}", counts(&world, &there));
    no_violation(&world);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_daemon_holds_its_worker_and_no_other() {
    let world = world_of(&["a", "b"]);
    instances(&world, &[10]);
    let mut config = config(&["a", "b"], &least_tasks());
    config["workers"][0]["launch"] =
        json!({"placement": {"scheduler": "leastTasks", "requireDaemons": ["log-agnet"]}});
    for name in ["a", "b"] {
        world.queue(name).visible(1);
    }
    let report = tick(&scaler(&world, &config), &world, 0).await;
    assert_eq!(report_of(&report, "b").outcome, Outcome::Launched);
    let held = report_of(&report, "a");
    assert_eq!(held.outcome, Outcome::Held);
    insta::assert_snapshot!(held.errors.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn constraints_of_the_configuration_and_of_the_definition_hold() {
    let world = world_of(&[]);
    world.queue("a");
    let mut constrained = definition("a");
    constrained["placementConstraints"] =
        json!([{"type": "memberOf", "expression": "attribute:disk == ssd"}]);
    world.register(&constrained);
    let there: Vec<_> = [("ssd", "c7.large"), ("hdd", "c7.large"), ("ssd", "m7.large")]
        .iter()
        .map(|(disk, kind)| {
            let attributes = json!({"disk": disk, "ecs.instance-type": kind});
            world.instance("jobs", json!({"cpu": 8192, "memory": 16384, "attributes": attributes}))
        })
        .collect();
    let mut config = config(&["a"], &least_tasks());
    config["launch"]["placementConstraints"] =
        json!([{"type": "memberOf", "expression": "attribute:ecs.instance-type =~ c7.*"}]);
    world.queue("a").visible(3);
    let report = tick(&scaler(&world, &config), &world, 0).await;
    assert_eq!(counts(&world, &there), [3, 0, 0], "{report:?}");

    config["launch"]["placementConstraints"] = json!([{"type": "distinctInstance"}]);
    world.queue("a").visible(9);
    let report = tick(&scaler(&world, &config), &world, 1).await;
    assert_eq!(counts(&world, &there), [3, 0, 1], "one each, and one has some already");
    let short = &only_worker(&report).placement.as_ref().unwrap().short;
    let short: Vec<_> = short.iter().map(|short| (short.what, short.instances)).collect();
    assert_eq!(short, [("distinctInstance", 2), ("placementConstraint", 1)]);

    let by_attribute = json!({"scheduler": "leastTasks", "attributes": {"disk": "hdd"}});
    world.register(&definition("a"));
    config["launch"] = json!({"launchType": "EC2", "placement": by_attribute});
    world.queue("a").visible(6);
    let _ = tick(&scaler(&world, &config), &world, 2).await;
    assert_eq!(counts(&world, &there), [3, 2, 1]);
    no_violation(&world);
}

/// What ECS said of the tasks of an instance is not true any more when one was placed there.
#[tokio::test(start_paused = true)]
async fn a_constraint_over_tasks_allows_one_task_an_instance_and_tick() {
    let world = world_of(&["a"]);
    let there = instances(&world, &[10, 10]);
    let mut config = config(&["a"], &least_tasks());
    config["launch"]["placementConstraints"] =
        json!([{"type": "memberOf", "expression": "not(task:group == worker:a)"}]);
    world.queue("a").visible(5);
    let function = scaler(&world, &config);
    let _ = tick(&function, &world, 0).await;
    assert_eq!(counts(&world, &there), [1, 1]);
    let report = tick(&function, &world, 1).await;
    assert_eq!(counts(&world, &there), [1, 1], "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn clones_need_more_room_and_the_port_of_a_host_is_taken_once() {
    let world = world_of(&["a"]);
    let there = instances(&world, &[1, 5]);
    let mut config = config(&["a"], &least_tasks());
    config["workers"][0]["packing"] = json!({"strategy": "dense", "maxContainersPerTask": 4});
    world.queue("a").visible(4);
    let report = tick(&scaler(&world, &config), &world, 0).await;
    assert_eq!(only_worker(&report).placement.as_ref().unwrap().fit.0, 1, "{report:?}");
    assert_eq!(counts(&world, &there), [0, 1]);

    let world = world_of(&[]);
    world.queue("a");
    let mut listens = definition("a");
    listens["containerDefinitions"][0]["portMappings"] =
        json!([{"containerPort": 80, "hostPort": 8080}]);
    world.register(&listens);
    let there = instances(&world, &[10, 10]);
    world.queue("a").visible(4);
    config["workers"][0]["packing"] = json!({"maxContainersPerTask": 1});
    let report = tick(&scaler(&world, &config), &world, 0).await;
    assert_eq!(counts(&world, &there), [1, 1]);
    let short = &only_worker(&report).placement.as_ref().unwrap().short;
    assert_eq!(short.iter().map(|s| s.what).collect::<Vec<_>>(), ["ports"]);
    no_violation(&world);
}

#[tokio::test(start_paused = true)]
async fn workers_of_a_cluster_share_its_room_and_its_reading() {
    let world = world_of(&["a", "b"]);
    let there = instances(&world, &[3, 3]);
    for name in ["a", "b"] {
        world.queue(name).visible(4);
    }
    let report = tick(&scaler(&world, &config(&["a", "b"], &least_tasks())), &world, 0).await;
    assert_eq!(counts(&world, &there), [3, 3]);
    let calls = &report.totals.calls;
    assert_eq!((calls["ListContainerInstances"], calls["DescribeContainerInstances"]), (1, 1));
    assert_eq!(report.totals.launched_tasks.0, 6);
    assert_eq!(world.count("StartTask"), 3, "nothing was asked for without room");
    no_violation(&world);
}

#[tokio::test(start_paused = true)]
async fn a_busy_tick_has_four_trips_with_instances_too() {
    let world = world_of(&["a"]);
    instances(&world, &[10, 10]);
    let mut config = config(&["a"], &least_tasks());
    config["workers"][0]["queue"] = json!("https://sqs.eu-central-1.amazonaws.com/123456789012/a");
    world.latency(Duration::from_millis(10));
    world.queue("a").visible(1);
    let function = scaler(&world, &config);
    let began = tokio::time::Instant::now();
    let _ = tick(&function, &world, 0).await;
    // Depth; lists and base; descriptions; the pinned task.
    assert_eq!(began.elapsed(), Duration::from_millis(40));
}

#[test]
fn what_no_instance_can_do_is_refused_in_the_configuration() {
    let launches = [
        json!({"launchType": "FARGATE", "placement": {"scheduler": "leastTasks"},
            "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1"]}}}),
        json!({"placement": {"scheduler": "leastTasks"}}),
        json!({"launchType": "EC2", "placement": {"scheduler": "leastTasks"},
            "placementStrategy": [{"type": "random"}]}),
        json!({"launchType": "EC2", "placement": {"scheduler": "leastTasks"},
            "placementConstraints": [{"type": "memberOf", "expression": "disk == ssd"}]}),
        json!({"launchType": "EC2", "placement": {"scheduler": "leastTasks"},
            "placementConstraints": [{"type": "memberOf"}]}),
        json!({"launchType": "EC2", "placement": {"scheduler": "fewest"}}),
        json!({"launchType": "EC2", "placement": {}}),
        json!({"launchType": "EC2", "placement": {"scheduler": "binpack", "of": "worker"}}),
        json!({"launchType": "EC2", "placement": {"scheduler": "spread", "by": "cpu"}}),
        json!({"launchType": "EC2", "placement": {"scheduler": "spread", "requireDaemons": ["a b"],
            "attributes": {"a b": "c", "disk": 7}}}),
    ];
    let told = launches.map(|launch| {
        let mut config = config(&["a"], &least_tasks());
        config["launch"] = launch.clone();
        let told = match Config::from_value(&config) {
            Ok(config) => config
                .refused
                .iter()
                .flat_map(|refused| &refused.problems)
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n"),
            Err(error) => error.to_string(),
        };
        format!("{launch}\n  {told}")
    });
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn a_worker_that_runs_elsewhere_inherits_no_placement() {
    let mut config = config(&["a"], &least_tasks());
    config["workers"][0]["capacity"] = json!([{"capacityProvider": "on-demand-group"}]);
    let read = Config::from_value(&config).unwrap();
    assert!(read.refused.is_empty(), "{:?}", read.refused);
    assert_eq!(read.workers[0].launch.placement, None);
    config["workers"][0].as_object_mut().unwrap().remove("capacity");
    config["workers"][0]["launch"] = json!({"launchType": "EC2"});
    assert!(Config::from_value(&config).unwrap().workers[0].launch.placement.is_some());
}
