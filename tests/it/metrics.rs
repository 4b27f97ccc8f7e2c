//! Metrics: what CloudWatch would make of the lines.

use std::collections::BTreeSet;

use decision::config::Metrics;
use ecs_queue_scaler::report::Report;
use jiff::Timestamp;
use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};
use serde_json::{Value, json};

use crate::tick::{config, scaler, tick, worker, world_of};
use crate::world::Fault;

/// What CloudWatch would not take of a line.
/// Source: CloudWatch user guide, "Specification: Embedded metric format", and the CloudWatch API,
/// `MetricDatum` and `Dimension`.
fn check(line: &str) -> Result<(), &'static str> {
    if 256 * 1024 < line.len() || line.contains('\n') {
        return Err("it is too long, or more than one line");
    }
    let root: Value = serde_json::from_str(line).map_err(|_| "it is no JSON")?;
    let time = root["_aws"]["Timestamp"].as_i64().unwrap_or_default();
    if !(1_700_000_000_000..4_000_000_000_000).contains(&time) {
        return Err("its time is not of this age, in milliseconds");
    }
    // Lambda takes a line without either for INFO, and drops it where it filters.
    let at = root["timestamp"].as_str().and_then(|at| at.parse::<Timestamp>().ok());
    if root["level"] != "FATAL" || at.map(Timestamp::as_millisecond) != Some(time) {
        return Err("a filter of Lambda's may keep it out");
    }
    let Some([directive]) = root["_aws"]["CloudWatchMetrics"].as_array().map(Vec::as_slice) else {
        return Err("it has not one directive");
    };
    if directive["Namespace"] != "EcsQueueScaler" {
        return Err("it has another namespace");
    }
    let Some([set]) = directive["Dimensions"].as_array().map(Vec::as_slice) else {
        return Err("it has not one set of dimensions");
    };
    let set = set.as_array().filter(|set| (1..=30).contains(&set.len()));
    if !set.ok_or("it has no dimension, or too many")?.iter().all(|name| is_dimension(&root, name))
    {
        return Err("a dimension has no legal value");
    }
    let metrics = directive["Metrics"].as_array().filter(|m| (1..=100).contains(&m.len()));
    let metrics = metrics.ok_or("it has no metric, or too many")?;
    let names: BTreeSet<_> = metrics.iter().map(|metric| metric["Name"].as_str()).collect();
    let units = ["Count", "Milliseconds", "Seconds"];
    let is_metric = |metric: &Value| {
        let name = metric["Name"].as_str().unwrap_or_default();
        root[name].is_number() && units.iter().any(|unit| metric["Unit"] == *unit)
    };
    if names.len() != metrics.len() || !metrics.iter().all(is_metric) {
        return Err("a metric is there twice, is no number or has no unit");
    }
    Ok(())
}

fn is_dimension(root: &Value, name: &Value) -> bool {
    let value = name.as_str().and_then(|name| root.get(name)?.as_str());
    value.is_some_and(|value| {
        (1..=1024).contains(&value.len())
            && value.chars().all(|c| c.is_ascii() && !c.is_ascii_control())
            && !value.trim().is_empty()
    })
}

/// The lines, each as its dimensions and the numbers that have a unit.
fn shown(report: &Report) -> String {
    let line = |line: &String| {
        assert_eq!(check(line), Ok(()), "{line}");
        let root: Value = serde_json::from_str(line).unwrap();
        let directive = &root["_aws"]["CloudWatchMetrics"][0];
        let dimensions = directive["Dimensions"][0].as_array().unwrap();
        let dimensions: Vec<_> =
            dimensions.iter().map(|n| root[n.as_str().unwrap()].as_str()).collect();
        let metric = |metric: &Value| {
            let name = metric["Name"].as_str().unwrap();
            format!("\n  {name} {} {}", root[name], metric["Unit"].as_str().unwrap())
        };
        let metrics: String = directive["Metrics"].as_array().unwrap().iter().map(metric).collect();
        format!("{:?}{metrics}", dimensions.into_iter().flatten().collect::<Vec<_>>())
    };
    report.metrics().iter().map(line).collect::<Vec<_>>().join("\n")
}

fn names(report: &Report) -> BTreeSet<String> {
    let lines = report.metrics();
    let worker: Value = serde_json::from_str(&lines[0]).unwrap();
    let metrics = worker["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap().clone();
    metrics.iter().map(|metric| metric["Name"].as_str().unwrap().to_owned()).collect()
}

/// Six workers: served in part, at its cap, quiet, unreadable, refused, and counted in tasks.
#[tokio::test(start_paused = true)]
async fn a_tick_becomes_one_line_for_each_busy_worker_and_one_for_itself() {
    let world = world_of(&["partial", "capped", "quiet", "held", "refused", "steps"]);
    world.queue("partial").visible(5).in_flight(2).delayed(1);
    world.queue("capped").visible(9);
    world.queue("steps").visible(50);
    world.fail_where("RunTask", "worker:partial", (1, Fault::Placed(2, "RESOURCE:MEMORY")));
    let one = json!({"messagesPerContainer": 1});
    let steps = json!({"steps": [{"depth": 1, "tasks": 3}]});
    let two = json!({"strategy": "dense", "maxContainersPerTask": 2});
    let mut workers = [
        worker("partial", &one, &json!({"maxContainersPerTask": 1})),
        worker("capped", &json!({"messagesPerContainer": 1, "maxContainers": 4}), &json!({})),
        worker("quiet", &one, &json!({})),
        worker("held", &one, &json!({})),
        worker("refused", &json!({}), &json!({})),
        worker("steps", &steps, &two),
    ];
    workers[3]["queue"] = json!("nowhere");
    let mut report = tick(&scaler(&world, &config(&workers)), &world, 0).await;
    report.totals.milliseconds = 41;
    insta::assert_snapshot!(shown(&report));
}

#[tokio::test(start_paused = true)]
async fn a_line_has_all_that_cloudwatch_asks_for() {
    let world = world_of(&["quiet"]);
    let mut document = config(&[worker("quiet", &json!({"messagesPerContainer": 1}), &json!({}))]);
    document["metrics"] = json!("all");
    let mut report = tick(&scaler(&world, &document), &world, 0).await;
    report.version = "1.2.3";
    insta::assert_snapshot!(report.metrics()[0]);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_read_has_no_metric() {
    let world = world_of(&["a"]);
    let of = |queue: &str, metrics: &str| {
        let mut document = config(&[worker("a", &json!({"messagesPerContainer": 1}), &json!({}))]);
        document["workers"][0]["queue"] = json!(queue);
        document["metrics"] = json!(metrics);
        scaler(&world, &document)
    };
    // Of an empty queue's worker nothing else was read.
    let empty = names(&tick(&of("a", "all"), &world, 0).await);
    assert!(empty.contains("QueueVisible"));
    for unread in ["ContainersAlive", "ContainersTarget", "TasksStuck", "BreakerOpen", "AtCap"] {
        assert!(!empty.contains(unread), "{unread}");
    }
    let held = names(&tick(&of("nowhere", "busy"), &world, 1).await);
    assert!(!held.iter().any(|name| name.starts_with("Queue")), "{held:?}");
    world.queue("a").visible(1);
    let busy = names(&tick(&of("a", "busy"), &world, 2).await);
    assert!(busy.is_superset(&empty) && busy.contains("ContainersStarting"), "{busy:?}");
}

#[tokio::test(start_paused = true)]
async fn the_configuration_says_who_is_measured() {
    let world = world_of(&["busy", "quiet"]);
    world.queue("busy").in_flight(1);
    let one = json!({"messagesPerContainer": 1});
    let mut document = config(&["busy", "quiet"].map(|name| worker(name, &one, &json!({}))));
    for (metrics, lines) in [(None, 2), (Some("busy"), 2), (Some("all"), 3), (Some("off"), 0)] {
        if let Some(metrics) = metrics {
            document["metrics"] = json!(metrics);
        }
        let report = tick(&scaler(&world, &document), &world, 0).await;
        assert_eq!(report.metrics().len(), lines, "{metrics:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_throttled_call_is_counted_although_it_is_repeated() {
    let world = world_of(&["a"]);
    world.queue("a").visible(1);
    let throttled = Fault::Error(400, "ThrottlingException", "Rate exceeded".to_owned());
    world.fail("RunTask", 2, throttled);
    let document = config(&[worker("a", &json!({"messagesPerContainer": 1}), &json!({}))]);
    let report = tick(&scaler(&world, &document), &world, 0).await;
    assert_eq!((report.totals.throttles, report.totals.failed_workers), (2, 0));
    assert!(report.metrics()[1].contains(r#""Throttles":2"#));
}

#[test]
fn the_check_of_a_line_can_fail() {
    let good = json!({"Scaler": "s", "Ticks": 1, "level": "FATAL", "timestamp": "2026-11-18T11:06:40Z", "_aws": {"Timestamp": 1_795_000_000_000_i64,
        "CloudWatchMetrics": [{"Namespace": "EcsQueueScaler", "Dimensions": [["Scaler"]],
            "Metrics": [{"Name": "Ticks", "Unit": "Count"}]}]}});
    assert_eq!(check(&good.to_string()), Ok(()));
    let broken = |change: fn(&mut Value)| {
        let mut line = good.clone();
        change(&mut line);
        check(&line.to_string()).is_err()
    };
    assert!(broken(|line| line["Ticks"] = json!("1")));
    assert!(broken(|line| line["level"] = json!("INFO")));
    assert!(broken(|line| line["timestamp"] = json!("yesterday")));
    assert!(broken(|line| line["_aws"]["CloudWatchMetrics"] = json!([])));
    assert!(broken(|line| line["Scaler"] = json!("ü")));
    assert!(broken(|line| line["Scaler"] = json!(" ")));
    assert!(broken(|line| line["_aws"]["Timestamp"] = json!(1_795_000_000)));
    assert!(broken(|line| line["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Name"] = json!("T")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50))]

    #[test]
    fn any_name_of_a_worker_makes_a_legal_line(name in any::<String>()) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        let report = runtime.block_on(async {
            let world = world_of(&[]);
            let mut report = tick(&scaler(&world, &config(&[json!({"name": name})])), &world, 0).await;
            report.wanted = Metrics::All;
            report
        });
        for line in report.metrics() {
            prop_assert_eq!(check(&line), Ok(()), "{}", line);
        }
    }
}
