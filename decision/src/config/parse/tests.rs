use jiff::Timestamp;
use proptest::prelude::{any, prop_oneof, proptest};
use serde_json::json;

use super::super::Worker;
use super::super::{Completion, Packing, Policy, Rung, Strategy, Watcher};
use super::*;
use crate::fargate::TaskSize;
use crate::units::{Containers, CpuUnits, MebiBytes, Messages, Tasks, WorkerName};

mod elsewhere;
mod found;
mod overrides;
mod tags;
mod volumes;

const EXAMPLE: &str = include_str!("../../../../workers.yaml");

fn worker(more: &Value) -> Value {
    let mut worker = json!({
        "name": "thumbnail", "queue": "thumbnail-jobs", "taskDefinition": "thumbnail",
        "cluster": "jobs", "scaling": {"messagesPerContainer": 20},
    });
    let fields = worker.as_object_mut().unwrap();
    for (key, value) in more.as_object().unwrap() {
        match value {
            Value::Null => fields.remove(key),
            value => fields.insert(key.clone(), value.clone()),
        };
    }
    worker
}

/// All that is wrong with a configuration, a line each.
fn problems(document: &Value) -> String {
    match Config::from_value(document) {
        Err(error) => error.to_string(),
        Ok(config) => {
            let refused = config.refused.iter().flat_map(|refused| &refused.problems);
            refused.map(ToString::to_string).collect::<Vec<_>>().join("\n")
        }
    }
}

fn problems_of_worker(more: &Value) -> String {
    problems(&json!({"workers": [worker(more)]}))
}

#[test]
fn the_shipped_example_is_correct() {
    let config = Config::parse(EXAMPLE).unwrap();
    assert_eq!(config.refused, []);
    let [thumbnail, export, report] = config.workers.as_slice() else { panic!("three workers") };

    assert_eq!(thumbnail.scaling.policy, Policy::MessagesPerContainer(Messages(20)));
    assert_eq!(thumbnail.launch.rungs, [Rung::LaunchType("FARGATE".to_owned())]);
    let expected = Packing {
        strategy: Strategy::Cheapest,
        max_containers_per_task: None,
        registered_sizes: None,
        max_tasks: None,
        max_task_cpu: CpuUnits(32_768),
        completion: Completion::All,
        watcher: Watcher::Image("public.ecr.aws/docker/library/busybox:1.37".to_owned()),
        reserve: TaskSize { cpu: CpuUnits(0), memory: MebiBytes(0) },
        drop_port_mappings: false,
    };
    assert_eq!(thumbnail.packing, expected);

    let steps = vec![(Messages(1), Tasks(1)), (Messages(10), Tasks(10))];
    assert_eq!(export.scaling.policy, Policy::StepsOfTasks(steps));
    assert_eq!(export.scaling.max_containers, Containers(40));
    assert_eq!(export.packing.strategy, Strategy::Dense);
    assert_eq!(export.packing.max_tasks, Some(Tasks(10)), "what the steps say");

    let spot_then_on_demand =
        ["FARGATE_SPOT", "FARGATE"].map(|name| Rung::CapacityProvider(name.to_owned()));
    assert_eq!(report.launch.rungs, spot_then_on_demand);
    assert!(report.launch.network.is_some(), "the network is the file's default");
    assert_eq!(report.scaling.max_launch_per_tick, Some(Containers(40)));
    assert_eq!(report.scaling.max_containers, Containers(100));
}

#[test]
fn every_mistake_of_a_file_is_told_at_once() {
    let document = json!({
        "clutser": "jobs",
        "launch": {"launchType": "FARGAT", "networkConfiguration": {"awsvpcConfiguration": {}}},
        "workers": [
            {"name": "a b", "queue": "q!", "taskDefinition": "thumbnail:0", "scalling": {}},
            worker(&json!({"scaling": {"messagesPerContainer": 0, "maxContainers": -1}})),
            worker(&json!({"name": "c", "packing": {"maxContainersPerTask": 11, "strategy": "densest"}})),
            "thumbnail",
        ],
    });
    insta::assert_snapshot!(problems(&document));
}

#[test]
fn numbers_that_no_one_can_mean_are_refused() {
    let scaling = |more: Value| {
        let mut scaling = json!({"messagesPerContainer": 1});
        scaling.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"scaling": scaling})
    };
    let cases = [
        scaling(json!({"messagesPerContainer": -1})),
        scaling(json!({"messagesPerContainer": 1.5})),
        scaling(json!({"messagesPerContainer": 4_000_000_000_u64})),
        scaling(json!({"messagesPerContainer": 18_446_744_073_709_551_615_u64})),
        scaling(json!({"maxContainers": 0})),
        scaling(json!({"maxContainers": "100"})),
        scaling(json!({"minContainers": 7, "maxContainers": 5})),
        scaling(json!({"maxLaunchPerTick": null})),
        scaling(json!({"steps": []})),
        json!({"scaling": {}}),
        json!({"scaling": null, "name": "x"}),
        json!({"scaling": {"drainWithin": {"target": "10", "secondsPerMessage": 0}}}),
        json!({"scaling": {"drainWithin": {"target": "900h"}}}),
        json!({"scaling": {"steps": [{"depth": 10, "tasks": 1}, {"depth": 1, "tasks": 2}]}}),
        json!({"scaling": {"steps": [{"depth": 1, "tasks": 1}, {"depth": 2, "containers": 2}]}}),
        json!({"scaling": {"steps": [{"depth": 0, "tasks": 1, "containers": 1}]}}),
        json!({"scaling": {"steps": [{"depth": 1, "tasks": 1}]}, "packing": {"strategy": "cheapest"}}),
        json!({"packing": {"maxContainersPerTask": 11}}),
        json!({"packing": {"maxContainersPerTask": 10}}),
        json!({"packing": {"maxContainersPerTask": 11, "completion": "any"}}),
        json!({"packing": {"maxTasks": 0}}),
        json!({"paused": "yes"}),
        json!({"paused": {"until": "2026-12-01"}}),
        json!({"paused": {"since": "2026-12-01T08:00Z"}}),
        json!({"paused": {}}),
        json!({"enabled": false}),
    ];
    let messages = cases.map(|case| format!("{case}\n{}", problems_of_worker(&case)));
    insta::assert_snapshot!(messages.join("\n"));
}

#[test]
fn a_window_that_nobody_can_mean_is_refused() {
    let office = json!({"cron": "0 8 * * 1-5", "for": "10h", "containers": 2});
    let but = |key: &str, value: Value| {
        let mut window = office.clone();
        window[key] = value;
        json!([window])
    };
    let without = |key: &str| {
        let mut window = office.clone();
        window.as_object_mut().unwrap().remove(key);
        json!([window])
    };
    let strange = [
        json!("2"),
        json!([]),
        json!([3]),
        json!([{}]),
        without("for"),
        without("cron"),
        without("containers"),
        but("cron", json!("0 8 * *")),
        but("cron", json!("0 0 8 * * 1-5")),
        but("cron", json!("0 8 * * MON-FRY")),
        but("cron", json!("0 8 30 2 *")),
        but("for", json!("30s")),
        but("for", json!("745h")),
        but("timeZone", json!("Europe/Berlim")),
        but("containers", json!(101)),
        but("contaniers", json!(1)),
    ];
    let problems: Vec<_> = strange
        .into_iter()
        .map(|minimum| {
            let scaling = json!({"messagesPerContainer": 1, "minContainers": minimum});
            problems_of_worker(&json!({ "scaling": scaling }))
        })
        .collect();
    insta::assert_snapshot!(problems.join("\n"));
}

/// YAML takes it for a boolean.
#[test]
fn a_bare_off_is_a_word() {
    let text = "cluster: jobs\nmetrics: off\nregistration: off\nworkers:\n  - {name: a, queue: a, \
                taskDefinition: a, scaling: {messagesPerContainer: 1}, \
                packing: {registeredSizes: [2, 5]}}";
    let config = Config::parse(text).unwrap();
    assert_eq!((config.metrics, config.refused), (Metrics::Off, vec![]));
    let packing = &config.workers[0].packing;
    assert_eq!(packing.registered_sizes, Some(vec![Containers(2), Containers(5)]));
    assert_eq!(packing.max_containers_per_task, Some(Containers(5)));
}

#[test]
fn sizes_are_listed_where_nothing_is_registered() {
    let sizes = |sizes: Value| worker(&json!({"packing": {"registeredSizes": sizes}}));
    let off = |worker| problems(&json!({"registration": "off", "workers": [worker]}));
    let reported = [
        problems(&json!({"workers": [sizes(json!([2]))]})),
        problems(&json!({"registration": "no", "workers": [sizes(json!([2]))]})),
        off(sizes(json!([]))),
        off(sizes(json!([0, 10, "2"]))),
    ];
    insta::assert_snapshot!(reported.join("\n"));
}

#[test]
fn names_that_aws_would_refuse_are_refused() {
    let cases = [
        json!({"queue": "x".repeat(81)}),
        json!({"queue": "arn:aws:sns:us-east-1:123456789012:topic"}),
        json!({"queue": "https://example.com/"}),
        json!({"queue": ".fifo"}),
        json!({"cluster": "arn:aws:ecs:us-east-1:123456789012:service/x"}),
        json!({"cluster": null}),
        json!({"taskDefinition": "a/b"}),
        json!({"taskDefinition": "thumbnail--x4"}),
        json!({"taskDefinition": "arn:aws:ecs:us-east-1:123456789012:cluster/x"}),
        json!({"container": ""}),
        json!({"launch": {"launchType": "FARGATE"}}),
        json!({"launch": {"launchType": "EC2"}, "capacity": [{"capacityProvider": "a"}]}),
        json!({"capacity": []}),
        json!({"capacity": [{"provider": "FARGATE"}]}),
        json!({"launch": {"networkConfiguration": {"awsvpcConfiguration": {"subnets": [1]}}}}),
        json!({"launch": {"placementStrategy": [{"type": "best"}]}}),
        json!({"launch": {"propagateTags": "SERVICE"}}),
    ];
    let messages = cases.map(|case| {
        let message = problems_of_worker(&case);
        assert!(!message.is_empty(), "{case} was taken");
        let case: String = case.to_string().chars().take(100).collect();
        format!("{case}\n{message}")
    });
    insta::assert_snapshot!(messages.join("\n"));
}

#[test]
fn a_broken_worker_is_refused_and_the_others_are_served() {
    let broken = worker(&json!({"name": "broken", "queue": 7}));
    let config = Config::from_value(&json!({"workers": [broken, worker(&json!({}))]})).unwrap();
    let names = |worker: &Worker| worker.name.to_string();
    assert_eq!(config.workers.iter().map(names).collect::<Vec<_>>(), ["thumbnail"]);
    assert_eq!(config.refused[0].worker, WorkerName::from("broken"));
}

#[test]
fn workers_that_cannot_live_beside_each_other_are_refused_by_name() {
    let twins = json!({"workers": [worker(&json!({})), worker(&json!({"queue": "b", "taskDefinition": "b"}))]});
    let one_queue = json!({"workers": [
        worker(&json!({})), worker(&json!({"name": "b", "taskDefinition": "b"})),
    ]});
    let one_family = json!({"workers": [
        worker(&json!({})),
        worker(&json!({"name": "b", "queue": "b", "taskDefinition": "thumbnail:7"})),
        worker(&json!({"name": "c", "queue": "c", "taskDefinition": "thumbnail:8",
            "packing": {"maxContainersPerTask": 1}})),
    ]});
    let messages = [twins, one_queue, one_family].map(|document| problems(&document));
    insta::assert_snapshot!(messages.join("\n--\n"));
}

#[test]
fn two_workers_may_share_a_family_that_they_clone_alike() {
    let document =
        json!({"workers": [worker(&json!({})), worker(&json!({"name": "b", "queue": "b"}))]});
    assert_eq!(problems(&document), "");
}

#[test]
fn what_is_no_configuration_at_all_is_told_in_one_line() {
    let huge = format!("cluster: {}", "x".repeat(LARGEST));
    let texts = [
        "",
        "  \n",
        "[",
        "workers: [",
        "just text",
        "a: 1\na: 2",
        "workers: {}",
        &huge,
        "workers:\n  - &a [*a]",
    ];
    let messages = texts.map(|text| {
        let text_shown: String = text.chars().take(20).collect();
        format!("{text_shown:?}\n{}", Config::parse(text).unwrap_err())
    });
    insta::assert_snapshot!(messages.join("\n"));
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in any::<String>()) {
        let _ = Config::parse(&text);
    }

    #[test]
    fn any_cron_expression_is_a_window_or_a_mistake(
        text in prop_oneof![
            "[0-9*,/LW#?@A-Za-z+ -]{0,30}",
            "([0-9*]{1,2}[/,#L-]{0,2}[0-9]{0,2} ){4}[0-9*A-Z]{1,3}[#L/-]{0,2}[0-9]{0,3}",
        ],
        seconds in -60_000_000_000_i64..60_000_000_000,
    ) {
        let window = json!([{"cron": text, "for": "10h", "timeZone": "Europe/Berlin",
            "containers": 1}]);
        let scaling = json!({"messagesPerContainer": 1, "minContainers": window});
        let config = Config::from_value(&json!({"workers": [worker(&json!({"scaling": scaling}))]}));
        for worker in config.unwrap().workers {
            worker.scaling.min_containers.at(Timestamp::from_second(seconds).unwrap());
        }
    }

    #[test]
    fn no_change_of_the_example_makes_the_parser_panic(
        at in 0..EXAMPLE.len(), length in 0_usize..30, text in "[-0-9a-z:{}\\[\\]\n ,\"*&!]{0,12}",
    ) {
        let changed: Vec<_> = EXAMPLE.bytes().take(at).chain(text.bytes())
            .chain(EXAMPLE.bytes().skip(at + length)).collect();
        let _ = Config::parse(&String::from_utf8_lossy(&changed));
    }
}

#[test]
fn what_becomes_of_tasks_on_an_instance_that_goes_is_said_for_all_or_for_one() {
    let on_drain = |draining: Value, own: Value| {
        let document = json!({"draining": draining, "workers": [worker(&json!({"onDrain": own}))]});
        Config::from_value(&document).unwrap().workers[0].on_drain
    };
    assert_eq!(on_drain(json!({}), Value::Null), OnDrain::Leave);
    assert_eq!(on_drain(json!({"onDrain": "stopTasks"}), Value::Null), OnDrain::StopTasks);
    assert_eq!(on_drain(json!({"onDrain": "stopTasks"}), json!("leave")), OnDrain::Leave);
    assert_eq!(on_drain(json!({}), json!("stopTasks")), OnDrain::StopTasks);
    let hook = |name: &str| {
        let draining = json!({"lifecycleHook": name});
        problems(&json!({"draining": draining, "workers": [worker(&json!({}))]}))
    };
    assert_eq!(hook("drain-workers"), "");
    let messages = [
        hook("drain workers"),
        hook("ecs-managed-draining-termination-hook"),
        problems(&json!({"draining": {"hook": "a"}, "workers": [worker(&json!({}))]})),
        problems_of_worker(&json!({"onDrain": "stop"})),
    ];
    insta::assert_snapshot!(messages.join("\n"));
}
