//! What commands say of the outcomes that the usual world has not, and of an AWS that answers half of what is
//! asked.

use std::collections::BTreeMap;
use std::time::Duration;

use ecs_queue_scaler::aws::Aws;
use ecs_queue_scaler::cli::apply::{How, event_for_function};
use ecs_queue_scaler::cli::deployment::{Deployment, Wanted};
use ecs_queue_scaler::cli::explain::{ExplainView, Record, Trial, records};
use ecs_queue_scaler::cli::page::Clock;
use ecs_queue_scaler::cli::plan::{PlanView, Shown, plan, plan_of_function};
use ecs_queue_scaler::cli::result::TickResult;
use ecs_queue_scaler::cli::status::{Asked, Urgency, WorkerView, status, worker as closely};
use ecs_queue_scaler::report::Outcome;
use ecs_queue_scaler::run::Invocation;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::changes::denied;
use super::plan::{cloud, definition_for_instances, deployment};
use crate::tick::trouble::captured;
use crate::tick::{config, invocation, scaler, tick, ticked, worker, world_of, world_with};
use crate::world::{Executed, Fault, World};

/// Tasks that do not start, ones that go on without their workers, too many for a tick, and ones without room.
pub(super) async fn troubled() -> (World, Value) {
    let names = ["stuck", "outlived", "short", "deferred"];
    let world = world_with(&names, crate::tick::definition_for_both);
    world.register(&definition_for_instances("short"));
    world.instance("jobs", json!({"ec2InstanceId": "i-1", "cpu": 300, "memory": 600}));
    let one = json!({"messagesPerContainer": 1});
    let by_two = json!({"strategy": "dense", "maxContainersPerTask": 2});
    let mut config = config(&[
        worker("stuck", &one, &json!({})),
        worker("outlived", &one, &by_two),
        worker("short", &one, &json!({"maxTasks": 100})),
        worker("deferred", &one, &json!({})),
    ]);
    config["workers"][2]["launch"] =
        json!({"launchType": "EC2", "placement": {"scheduler": "leastTasks"}});
    world.queue("stuck").visible(1);
    world.queue("outlived").visible(2);
    let _ = tick(&scaler(&world, &config), &world, 0).await;
    world.change_tasks(|task| {
        if task["group"] == "worker:outlived" {
            task["lastStatus"] = json!("RUNNING");
            for container in task["containers"].as_array_mut().unwrap() {
                let is_worker = container["name"].as_str().unwrap().ends_with("watch");
                container["lastStatus"] = json!(if is_worker { "RUNNING" } else { "STOPPED" });
            }
        }
    });
    config["maxTasksPerTick"] = json!(9);
    world.reach(Duration::from_mins(40)).await;
    world.queue("outlived").visible(0);
    world.queue("short").visible(4);
    world.queue("deferred").visible(30);
    (world, config)
}

fn stripped(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

fn page(view: &PlanView, width: usize) -> String {
    stripped(&view.page(&Shown { width, all: true, ..Shown::default() }))
}

#[tokio::test(start_paused = true)]
async fn trouble_has_its_sentence_in_a_plan_and_its_word_in_a_status() {
    let (world, config) = troubled().await;
    let deployment = deployment(&world, &config).await;
    world.take_calls();
    let view = Box::pin(plan(&deployment, &cloud(&world), &[], &invocation(&world))).await.unwrap();
    insta::assert_snapshot!("plan_120", page(&view, 120));
    insta::assert_snapshot!("plan_80", page(&view, 80));
    let seen = Box::pin(status(&deployment, &cloud(&world), &invocation(&world))).await.unwrap();
    assert_eq!(world.changes(), 0);
    let wide = |width| Asked { width, all: true, ..Asked::default() };
    insta::assert_snapshot!("status_120", stripped(&seen.page(&wide(120))));
    insta::assert_snapshot!("status_80", stripped(&seen.page(&wide(80))));
    for (name, view) in [("plan", json!(view)), ("status", json!(seen))] {
        let schema = std::fs::read_to_string(format!("docs/schema/{name}.json")).unwrap();
        let validator = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
        let errors: Vec<_> = validator.iter_errors(&view).map(|error| error.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new(), "{name}");
    }
}

/// A world, and what a process with a memory plans in it; it and others have logged what they did.
struct Remembered {
    world: World,
    config: Value,
    /// The function's own plan, after its last tick.
    plan: Value,
    log: String,
}

/// What is superseded, partly placed, put off, and held back.
async fn remembered() -> Remembered {
    let names = ["twice", "partly", "slow", "later"];
    let world = world_of(&names);
    let one = json!({"messagesPerContainer": 1});
    let config = config(&names.map(|name| worker(name, &one, &json!({}))));
    let (lines, _guard) = captured();
    let function = scaler(&world, &config);
    world.queue("slow").visible(9);
    for minute in 0..8 {
        tick(&function, &world, minute).await.log();
        world.all_run();
        world.reach(Duration::from_secs(60 * minute + 40)).await;
        world.all_end("EssentialContainerExited", "done", Some(0));
    }
    world.queue("slow").visible(9);
    world.queue("twice").visible(2);
    tick(&function, &world, 8).await.log();
    world.queue("twice").visible(5);
    // Another process has the same tick.
    let other = scaler(&world, &config);
    tick(&other, &world, 8).await.log();
    world.all_run();
    world.reach(Duration::from_secs(8 * 60 + 30)).await;
    world.all_end("EssentialContainerExited", "done", Some(0));
    let event = event_for_function(&[], &BTreeMap::new(), How::PLAN);
    let plan = json!(ticked(&function, &event, &invocation(&world)).await);
    world.queue("partly").visible(6);
    world.queue("later").visible(40);
    world.fail("RunTask", 1, Fault::Placed(2, "RESOURCE:MEMORY"));
    let mut bounded = config.clone();
    bounded["maxTasksPerTick"] = json!(10);
    let report = tick(&scaler(&world, &bounded), &world, 9).await;
    report.log();
    let outcomes: Vec<_> = report.workers.iter().map(|worker| worker.outcome).collect();
    assert!(outcomes.contains(&Outcome::Partial), "{outcomes:?}");
    Remembered { world, config, plan, log: lines.text() }
}

#[tokio::test(start_paused = true)]
async fn what_only_a_tick_comes_to_is_explained() {
    let all = records(&remembered().await.log, None).unwrap();
    let is_last =
        |it: &&Record| ["08", "09"].iter().any(|at| it.tick.contains(&format!("21:{at}:")));
    let last: Vec<_> = all.iter().filter(is_last).cloned().collect();
    let view = ExplainView::new(&last, None, &Trial::default());
    let told = |width| stripped(&view.page(width, &Clock::utc()));
    insta::assert_snapshot!("explain_120", told(120));
    insta::assert_snapshot!("explain_80", told(80));
    assert!(view.decisions.iter().all(|decision| decision.is_same != Some(false)), "{view:?}");
}

/// A terminal has no memory: what holds launches back, the function's own plan says, and its log.
#[tokio::test(start_paused = true)]
async fn what_the_function_remembers_is_seen_by_its_plan_and_by_its_log() {
    let Remembered { world, config, plan, log } = remembered().await;
    world.take_calls();
    world.put_parameter("/jobs", &config.to_string());
    let environment = json!({"SCALER_NAME": "scaler", "SCALER_CONFIG": "ssm:/jobs"});
    world.function("jobs", &environment, &plan);
    for line in log.lines().filter(|line| line.contains("\"worker ")) {
        let at = world.now().as_millisecond();
        let document: Value = serde_json::from_str(line).unwrap();
        world.log_line("/aws/lambda/jobs", (at, document["message"].as_str().unwrap()), line);
    }
    let wanted = Wanted { function: Some("jobs"), needs_config: true, ..Wanted::default() };
    let (cloud, invocation) = (cloud(&world), invocation(&world));
    let found = Deployment::find(wanted, &cloud).await.unwrap();
    drop(world.queue("dead"));
    let plan = plan_of_function(&found, TickResult::parse(&plan).unwrap(), &cloud, &invocation);
    let mut pages = [String::new(), String::new()];
    for (pages, width) in pages.iter_mut().zip([80, 120]) {
        *pages = page(&plan, width);
    }
    for name in ["slow", "later"] {
        let name = name.into();
        let view = Box::pin(closely(&found, &cloud, &name, &invocation)).await.unwrap();
        assert_eq!(view.decisions.len(), if name.as_str() == "slow" { 5 } else { 1 });
        let view = WorkerView { alive: Vec::new(), ..view };
        for (pages, width) in pages.iter_mut().zip([80, 120]) {
            pages.push('\n');
            pages.push_str(&stripped(&view.page(&Asked { width, ..Asked::default() })));
        }
    }
    assert_eq!(world.changes(), 0);
    let [narrow, wide] = pages;
    insta::assert_snapshot!("remembered_80", narrow);
    insta::assert_snapshot!("remembered_120", wide);
}

/// Denied, throttled, or never answered: the others stand, and nobody waits for long.
#[tokio::test(start_paused = true)]
async fn an_aws_that_answers_half_is_shown_in_time() {
    let names: Vec<_> = (0..20).map(|n| format!("w{n:02}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let world = world_of(&names);
    let one = json!({"messagesPerContainer": 1});
    let workers: Vec<_> = names.iter().map(|name| worker(name, &one, &json!({}))).collect();
    let config = config(&workers);
    for (number, name) in names.iter().enumerate() {
        world.queue(name).visible(1);
        let slow = || Fault::Error(400, "ThrottlingException", "Rate exceeded".to_owned());
        let queue: &'static str = Box::leak(format!("/{name}\"").into_boxed_str());
        match number % 4 {
            0 => world.fail_where("GetQueueAttributes", queue, (99, denied())),
            1 => world.fail_where("GetQueueAttributes", queue, (99, Fault::Hang(Executed::No))),
            2 => world.fail_where("GetQueueAttributes", queue, (99, slow())),
            _ => {}
        }
    }
    for _ in 0..9 {
        world.fail("GetMetricData", 1, Fault::Hang(Executed::No));
    }
    let deployment = deployment(&world, &config).await;
    let began = Instant::now();
    let end = Duration::from_secs(10);
    let cloud = Aws::new(&world.sdk_config()).unwrap().read.for_tick(world.now(), began + end);
    let deadline = u64::try_from((world.now() + end).as_millisecond()).unwrap();
    let invocation = Invocation::new("queue-scaler", world.now(), deadline);
    let view = Box::pin(status(&deployment, &cloud, &invocation)).await.unwrap();
    assert!(began.elapsed() <= Duration::from_secs(15), "{:?}", began.elapsed());
    let count = |urgency| view.workers.iter().filter(|row| row.urgency == urgency).count();
    assert_eq!(
        (count(Urgency::Denied), count(Urgency::Held), count(Urgency::Launching)),
        (5, 10, 5)
    );
    assert!(view.notes[0].starts_with("the oldest messages are not known: "), "{:?}", view.notes);
}

/// Of many workers that messages wait for, a glance does not read all definitions: the rule says what it can.
#[tokio::test(start_paused = true)]
async fn where_the_time_is_too_short_for_definitions_the_rule_speaks() {
    let names: Vec<_> = (0..60).map(|n| format!("w{n:02}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let world = world_of(&names);
    let scaling = json!({"messagesPerContainer": 2, "maxContainers": 1});
    let workers: Vec<_> = names.iter().map(|name| worker(name, &scaling, &json!({}))).collect();
    let config = config(&workers);
    for (number, name) in names.iter().enumerate() {
        world.queue(name).visible(if number % 2 == 0 { 2 } else { 0 });
    }
    let _ = tick(&scaler(&world, &config), &world, 0).await;
    world.all_run();
    world.reach(Duration::from_mins(2)).await;
    for (number, name) in names.iter().enumerate() {
        world.queue(name).visible(if number % 4 == 0 { 9 } else { 2 });
    }
    let deployment = deployment(&world, &config).await;
    world.take_calls();
    let end = Instant::now() + Duration::from_millis(100);
    let cloud = Aws::new(&world.sdk_config()).unwrap().read.for_tick(world.now(), end);
    let view = Box::pin(status(&deployment, &cloud, &invocation(&world))).await.unwrap();
    assert_eq!(world.count("DescribeTaskDefinition"), 50, "what may be read at once");
    let said = |note: &str| view.workers.iter().filter(|row| row.note == note).count();
    assert_eq!((said("4 wait for room"), said("1 by its rule")), (15, 5));
    let launched = view.workers.iter().filter(|row| row.note == "1 by its rule");
    assert!(launched.clone().all(|row| row.launches == 1), "{view:?}");
    let known = view.workers.iter().filter(|row| row.target.is_some()).count();
    assert_eq!(
        (known, view.workers.iter().filter(|row| row.urgency.needs_a_look()).count()),
        (60, 0)
    );
}

/// What the tasks say for themselves is not hidden by the rule.
#[tokio::test(start_paused = true)]
async fn trouble_is_seen_where_the_rule_speaks() {
    let names: Vec<_> = (0..60).map(|n| format!("w{n:02}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let world = world_of(&names);
    let one = json!({"messagesPerContainer": 1});
    let workers: Vec<_> = names.iter().map(|name| worker(name, &one, &json!({}))).collect();
    let config = config(&workers);
    let function = scaler(&world, &config);
    for name in &names {
        world.queue(name).visible(1);
    }
    for minute in 0..3 {
        let _ = tick(&function, &world, minute).await;
        world.all_run();
        world.all_end("EssentialContainerExited", "it fails", Some(1));
        world.reach(Duration::from_secs(60 * minute + 50)).await;
    }
    let deployment = deployment(&world, &config).await;
    let end = Instant::now() + Duration::from_millis(100);
    let cloud = Aws::new(&world.sdk_config()).unwrap().read.for_tick(world.now(), end);
    world.take_calls();
    let view = Box::pin(status(&deployment, &cloud, &invocation(&world))).await.unwrap();
    assert_eq!(world.count("DescribeTaskDefinition"), 50, "what may be read at once");
    let tripped = view.workers.iter().filter(|row| row.urgency == Urgency::Breaker).count();
    assert_eq!(tripped, 60, "{view:?}");
}

/// What others wrote: wide, combining, from the right, and what a terminal would obey.
#[tokio::test(start_paused = true)]
async fn no_reason_of_a_stop_commands_a_terminal() {
    let world = world_of(&["a"]);
    let config = config(&[worker("a", &json!({"messagesPerContainer": 1}), &json!({}))]);
    world.queue("a").visible(1);
    let _ = tick(&scaler(&world, &config), &world, 0).await;
    let reason = "名前 e\u{301} \u{202e}evil\u{1b}[2J\u{9b}31m\u{7}";
    world.all_end("TaskFailedToStart", reason, None);
    world.reach(Duration::from_mins(2)).await;
    let deployment = deployment(&world, &config).await;
    let (cloud, name, invocation) = (cloud(&world), "a".into(), invocation(&world));
    let view = Box::pin(closely(&deployment, &cloud, &name, &invocation)).await.unwrap();
    for width in [40, 80, 120] {
        let page = stripped(&view.page(&Asked { width, ..Asked::default() }));
        assert!(page.contains("名前 e\u{301}"), "{page}");
        assert!(!page.contains(['\u{1b}', '\u{9b}', '\u{7}', '\u{202e}']), "{page:?}");
    }
}
