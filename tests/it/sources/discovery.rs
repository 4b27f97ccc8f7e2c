//! Workers that the tags of their queues describe.

use std::time::Duration;

use ecs_queue_scaler::report::{Outcome, Report, WorkerReport};
use serde_json::{Value, json};

use super::{error_of, function, invoked, names, one_each, with};
use crate::tick::{config, tick, world_of};
use crate::world::stores::arn;
use crate::world::{Fault, World};

const TAG: (&str, &str) = ("ecs-queue-scaler", "true");

/// What a queue needs to be a worker.
const WORKER: [(&str, &str); 3] = [
    TAG,
    ("ecs-queue-scaler:task-definition", "a"),
    ("ecs-queue-scaler:messages-per-container", "2"),
];

fn and(more: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    WORKER.iter().chain(more).copied().collect()
}

/// A configuration that discovers, and has these workers.
fn discovering(names: &[&str]) -> Value {
    with(one_each(names), "discover", json!({"tag": "ecs-queue-scaler"}))
}

fn of<'a>(report: &'a Report, worker: &str) -> &'a WorkerReport {
    let found = report.workers.iter().find(|report| report.worker.as_str() == worker);
    found.unwrap_or_else(|| panic!("no {worker} in {:?}", names(report)))
}

/// The first tick where this is configured.
async fn first_tick(world: &World, config: &Value) -> Report {
    tick(&function(world, &config.to_string()), world, 0).await
}

#[tokio::test(start_paused = true)]
async fn a_tagged_queue_is_a_worker_with_the_files_defaults() {
    let world = world_of(&["a", "b"]);
    world.queue("a").visible(1);
    world.queue("b").visible(7);
    world.tag_queue("b", &and(&[("ecs-queue-scaler:worker", "export"), ("team", "blue")]));
    world.tag_queue("other", &[("team", "blue")]);
    let report = first_tick(&world, &discovering(&["a"])).await;
    assert_eq!(names(&report), ["a", "export"]);
    assert_eq!(of(&report, "export").outcome, Outcome::Launched, "{report:?}");
    let export = world.tasks().into_iter().filter(|task| task["group"] == "worker:export");
    assert_eq!(export.count(), 4, "seven messages, two a container");
    let found = report.config.discovery.unwrap();
    assert_eq!((found.queues, found.age_seconds, found.error), (1, Some(0), None));
}

#[tokio::test(start_paused = true)]
async fn nobody_has_to_be_in_the_file() {
    let world = world_of(&["a"]);
    world.tag_queue("a", &WORKER);
    for workers in [json!([]), Value::Null] {
        let mut config = with(config(&[]), "discover", json!({}));
        config["workers"] = workers;
        config.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        assert_eq!(names(&first_tick(&world, &config).await), ["a"]);
    }
}

#[tokio::test(start_paused = true)]
async fn queues_come_in_pages_and_in_the_order_of_their_arns() {
    let world = world_of(&[]);
    let mut expected: Vec<_> = (0..230).map(|n| format!("queue-{n}")).collect();
    for name in &expected {
        drop(world.queue(name));
        world.tag_queue(name, &WORKER);
    }
    let report = first_tick(&world, &discovering(&[])).await;
    expected.sort();
    assert_eq!(names(&report), expected);
    assert_eq!(world.count("GetResources"), 3);
    world.take_calls();
    world.page_size(7);
    assert_eq!(names(&first_tick(&world, &discovering(&[])).await), expected);
    assert_eq!(world.count("GetResources"), 33, "a page may be short");
}

#[tokio::test(start_paused = true)]
async fn the_tag_and_its_value_may_be_chosen() {
    let world = world_of(&["a", "b"]);
    let tags = |value| {
        [("jobs", value), ("jobs:task-definition", "a"), ("jobs:messages-per-container", "1")]
    };
    world.tag_queue("a", &tags("test"));
    world.tag_queue("b", &tags("live"));
    world.tag_queue("c", &WORKER);
    let choose = |discover| with(discovering(&[]), "discover", discover);
    let any = first_tick(&world, &choose(json!({"tag": "jobs"}))).await;
    assert_eq!(names(&any), ["a", "b"]);
    let live = first_tick(&world, &choose(json!({"tag": "jobs", "value": "live"}))).await;
    assert_eq!(names(&live), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn a_malformed_tag_holds_its_queue_only_and_is_told_by_arn() {
    let world = world_of(&["a", "b", "c"]);
    for name in ["a", "b", "c"] {
        world.queue(name).visible(1);
    }
    world.tag_queue("b", &WORKER);
    world.tag_queue("c", &and(&[("ecs-queue-scaler:max-containers", "200000")]));
    let function = function(&world, &discovering(&["a"]).to_string());
    let failed = invoked(&function, &world).await.unwrap_err();
    assert_eq!(failed.error_type, "WorkersFailed");
    insta::assert_snapshot!(failed.error_message);
    assert_eq!(world.tasks().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn two_queues_of_one_name_are_refused_and_a_worker_of_the_file_never_is() {
    let world = world_of(&["a", "b", "c", "d", "e"]);
    let export = and(&[("ecs-queue-scaler:worker", "export")]);
    world.tag_queue("b", &export);
    world.tag_queue("c", &export);
    world.tag_queue("d", &and(&[("ecs-queue-scaler:worker", "a")]));
    world.tag_queue("a", &and(&[("ecs-queue-scaler:worker", "again")]));
    world.tag_queue("e", &and(&[("ecs-queue-scaler:container", "other")]));
    let report = first_tick(&world, &discovering(&["a"])).await;
    assert_eq!(of(&report, "a").errors, [""; 0]);
    let mut expected = vec!["a".to_owned()];
    expected.extend(["a", "b", "c", "d", "e"].map(arn));
    assert_eq!(names(&report), expected);
    let errors = report.workers.iter().skip(1).map(|w| format!("{}\n  {}", w.worker, w.errors[0]));
    insta::assert_snapshot!(errors.collect::<Vec<_>>().join("\n"));
}

#[tokio::test(start_paused = true)]
async fn a_deleted_queue_that_is_still_listed_starts_nothing_and_fails_nothing() {
    let world = world_of(&["a"]);
    world.queue("a").visible(1);
    world.tag_queue("gone", &and(&[("ecs-queue-scaler:min-containers", "3")]));
    let function = function(&world, &discovering(&["a"]).to_string());
    let report = invoked(&function, &world).await.unwrap();
    let gone = of(&report, "gone");
    assert_eq!((gone.outcome, gone.launched.len()), (Outcome::Idle, 0));
    insta::assert_snapshot!(gone.warnings.join("\n"));
    assert_eq!((of(&report, "a").outcome, world.tasks().len()), (Outcome::Launched, 1));
}

#[tokio::test(start_paused = true)]
async fn any_other_trouble_of_a_discovered_queue_is_an_error() {
    let world = world_of(&["a"]);
    world.tag_queue("a", &WORKER);
    let denied = Fault::Error(400, "AccessDeniedException", "not authorized".to_owned());
    world.fail("GetQueueAttributes", 1, denied);
    let report = first_tick(&world, &discovering(&[])).await;
    assert_eq!(of(&report, "a").outcome, Outcome::Held);
}

#[tokio::test(start_paused = true)]
async fn a_new_queue_is_found_when_it_is_due() {
    let world = world_of(&["a", "b"]);
    world.tag_queue("a", &WORKER);
    let config = with(discovering(&[]), "configRefresh", json!("2m"));
    let function = function(&world, &config.to_string());
    let mut seen = Vec::new();
    for minute in 0..5 {
        let report = tick(&function, &world, minute).await;
        seen.push((world.count("GetResources"), names(&report).len()));
        world.tag_queue("b", &WORKER);
        world.take_calls();
    }
    assert_eq!(seen, [(1, 1), (0, 1), (1, 2), (0, 2), (1, 2)]);
}

#[tokio::test(start_paused = true)]
async fn where_discovery_fails_at_first_the_files_workers_are_served_and_it_is_told() {
    let world = world_of(&["a", "b"]);
    world.queue("a").visible(1);
    world.tag_queue("b", &WORKER);
    let message = "not authorized to perform: tag:GetResources".to_owned();
    world.fail("GetResources", 1, Fault::Error(400, "AccessDeniedException", message));
    let function = function(&world, &discovering(&["a"]).to_string());
    let failed = invoked(&function, &world).await.unwrap_err();
    assert_eq!((failed.error_type.as_str(), world.tasks().len()), ("ConfigError", 1));
    insta::assert_snapshot!(failed.error_message);
    let report = tick(&function, &world, 1).await;
    assert_eq!(names(&report), ["a", "b"]);
    assert_eq!(report.config.discovery.unwrap().error, None);
}

#[tokio::test(start_paused = true)]
async fn where_discovery_fails_later_the_last_queues_are_kept_and_it_is_told() {
    let world = world_of(&["a", "b"]);
    world.tag_queue("b", &WORKER);
    world.put_parameter("/scaler", &discovering(&["a"]).to_string());
    let function = function(&world, "ssm:/scaler");
    let _ = tick(&function, &world, 0).await;
    let throttled = Fault::Error(400, "ThrottledException", "Rate exceeded".to_owned());
    world.fail("GetResources", 2, throttled.clone());
    let report = tick(&function, &world, 5).await;
    assert_eq!(report.config.discovery.unwrap().error, None, "it is tried again");

    // A newer file goes by what was discovered last.
    world.fail("GetResources", 3, throttled);
    world.put_parameter("/scaler", &discovering(&[]).to_string());
    let report = tick(&function, &world, 10).await;
    assert_eq!((names(&report), error_of(&report)), (vec!["b"], ""));
    let found = report.config.discovery.unwrap();
    assert_eq!((found.queues, found.age_seconds), (1, Some(300)));
    assert!(found.error.unwrap().contains("ThrottledException"));
    let report = tick(&function, &world, 11).await;
    assert_eq!(report.config.discovery.unwrap().error, None, "it is asked for at every tick");
}

/// What discovers by another tag is no good without what it discovers.
#[tokio::test(start_paused = true)]
async fn a_newer_configuration_that_cannot_discover_leaves_the_good_one_whole() {
    let world = world_of(&["a", "b"]);
    world.tag_queue("b", &WORKER);
    world.put_parameter("/scaler", &discovering(&["a"]).to_string());
    let function = function(&world, "ssm:/scaler");
    let _ = tick(&function, &world, 0).await;
    let other = with(discovering(&[]), "discover", json!({"tag": "jobs"}));
    world.put_parameter("/scaler", &other.to_string());
    let denied = Fault::Error(400, "AccessDeniedException", "not authorized".to_owned());
    world.fail_where("GetResources", "jobs", (1, denied));
    let report = tick(&function, &world, 5).await;
    assert_eq!((names(&report), report.config.version.as_deref()), (vec!["a", "b"], Some("1")));
    assert!(error_of(&report).contains("GetResources of jobs"), "{report:?}");
    let report = tick(&function, &world, 6).await;
    assert_eq!((names(&report).len(), report.config.version.as_deref()), (0, Some("2")));
    assert_eq!(error_of(&report), "");
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_is_on_too_many_queues_is_told() {
    let world = world_of(&["a"]);
    world.page_size(1);
    for n in 0..60 {
        world.tag_queue(&format!("queue-{n}"), &WORKER);
    }
    let report = first_tick(&world, &discovering(&["a"])).await;
    assert_eq!(names(&report), ["a"]);
    let error = report.config.discovery.unwrap().error.unwrap();
    assert!(error.contains("more than"), "{error}");
    assert_eq!(world.count("GetResources"), 50);
}

#[tokio::test(start_paused = true)]
async fn discovered_and_configured_workers_start_no_more_in_a_second_delivery() {
    let world = world_of(&["a"]);
    world.queue("a").visible(4);
    world.tag_queue("a", &WORKER);
    let config = discovering(&[]).to_string();
    for _ in 0..2 {
        world.reach(Duration::ZERO).await;
        let _ = tick(&function(&world, &config), &world, 0).await;
    }
    assert_eq!(world.tasks().len(), 2);
}

/// Who may tag a queue says nothing of what a task has beside its definition.
#[tokio::test(start_paused = true)]
async fn overrides_come_from_the_file_and_never_from_a_queues_tags() {
    let world = world_of(&["a", "b"]);
    for name in ["a", "b"] {
        world.queue(name).visible(2);
    }
    let role = "arn:aws:iam::123456789012:role/admin";
    for key in ["overrides", "launch", "task-role-arn", "tags", "volume-configurations"] {
        let tag: &'static str = format!("ecs-queue-scaler:{key}").leak();
        world.tag_queue("a", &and(&[(tag, role)]));
        let report = first_tick(&world, &discovering(&[])).await;
        let told = format!("{:?}", report.workers);
        assert!(told.contains("is not a known"), "{key}: {told}");
        assert_eq!(world.changes(), 0, "{key}");
    }
    world.tag_queue("a", &WORKER);
    let environment = json!([{"name": "QUEUE", "value": "{queue.name}"}]);
    let overrides = json!({"containerOverrides": [{"name": "worker", "environment": environment}]});
    let mut config = discovering(&[]);
    config["launch"]["overrides"] = overrides;
    let _ = first_tick(&world, &config).await;
    let runs = world.take_calls().into_iter().filter(|call| call.operation == "RunTask");
    let sent: Vec<_> = runs.map(|call| call.input["overrides"].to_string()).collect();
    assert!(
        !sent.is_empty() && sent.iter().all(|sent| sent.contains(r#""value":"a""#)),
        "{sent:?}"
    );
}
