//! `queue-scaler status` in the in-process AWS.

use std::time::Duration;

use decision::units::WorkerName;
use ecs_queue_scaler::cli::deployment::{Deployment, Wanted};
use ecs_queue_scaler::cli::overview::{Point, ToRead};
use ecs_queue_scaler::cli::plan::PlanError;
use ecs_queue_scaler::cli::status::{
    Asked, Column, Row, Session, StatusView, Urgency, WorkerView, count, refresh, status,
    worker as closely,
};
use ecs_queue_scaler::cli::top::Demo;
use serde_json::{Value, json};

use super::plan::{cloud, deployment, of_all_kinds};
use crate::tick::trouble::captured;
use crate::tick::{config, definition, invocation, scaler, tick, worker, world_of};
use crate::world::{Fault, World};

async fn seen_of(world: &World, config: &Value) -> StatusView {
    let deployment = deployment(world, config).await;
    Box::pin(status(&deployment, &cloud(world), &invocation(world))).await.unwrap()
}

fn page(view: &StatusView, asked: &Asked) -> String {
    anstream::adapter::strip_str(&view.page(asked)).to_string()
}

fn wide(width: usize) -> Asked {
    Asked { width, ..Asked::default() }
}

#[tokio::test(start_paused = true)]
async fn who_needs_somebody_comes_first() {
    let (world, config) = of_all_kinds().await;
    for (queue, seconds) in
        [("report", 4800.0), ("encode", 842.0), ("thumbnail", 38.0), ("idle", 99.0)]
    {
        world.oldest_message(queue, seconds);
    }
    world.take_calls();
    let view = seen_of(&world, &config).await;
    assert_eq!(world.changes(), 0);
    insta::assert_snapshot!("page_120", page(&view, &wide(120)));
    insta::assert_snapshot!("page_80", page(&view, &wide(80)));
    insta::assert_snapshot!("page_60_all", page(&view, &Asked { all: true, ..wide(60) }));
    insta::assert_snapshot!("json", format!("{:#}", json!(view)));
    let documented = include_str!("../../../docs/cli.md");
    assert!(documented.contains(&page(&view, &wide(100))), "{}", page(&view, &wide(100)));
    let names = |filter: &str| {
        let asked = Asked { filter: Some(filter.to_owned()), ..wide(120) };
        let page = page(&view, &asked);
        let rows = page.lines().skip(1).take_while(|line| !line.contains(" workers: "));
        rows.map(|line| line.split(' ').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("trouble"), ["invoice", "wrong", "report"]);
    assert_eq!(names("idle"), ["idle"]);
    assert_eq!(names("thumb"), ["thumbnail"]);
    assert_eq!(names("busy").len(), 7);

    let schema: Value =
        serde_json::from_str(include_str!("../../../docs/schema/status.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<_> = validator.iter_errors(&json!(view)).map(|e| e.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new());
    let (_, made, _) = super::seen(&["schema", "--of", "status"], "");
    assert!(made == include_str!("../../../docs/schema/status.json"), "make docs");
}

/// A tick would not look at them.
#[tokio::test(start_paused = true)]
async fn what_runs_beside_an_empty_queue_is_seen_and_has_its_price() {
    let world = world_of(&["a", "b"]);
    let one = json!({"messagesPerContainer": 1});
    let dense = json!({"strategy": "dense", "maxContainersPerTask": 4});
    let config = config(&[worker("a", &one, &dense), worker("b", &one, &json!({}))]);
    world.queue("a").visible(4);
    let _ = tick(&scaler(&world, &config), &world, 0).await;
    world.all_run();
    world.queue("a").visible(0).in_flight(3);
    world.reach(Duration::from_mins(24)).await;
    world.take_calls();
    let view = seen_of(&world, &config).await;
    let [a, b] = view.workers.as_slice() else { panic!("{view:?}") };
    assert_eq!(
        (a.worker.as_str(), a.tasks, a.running, a.starting),
        ("a", Some(1), Some(4), Some(0))
    );
    assert_eq!((a.urgency, b.urgency, b.tasks), (Urgency::Ok, Urgency::Idle, Some(0)));
    // One vCPU and 2 GB.
    assert_eq!((a.hourly_micro_dollars, b.hourly_micro_dollars), (Some(49_370), Some(0)));
    let launch = a.last_launch.as_ref().unwrap();
    assert_eq!((launch.seconds_ago / 60, launch.containers), (24, 4));
    let calls: Vec<_> = world.take_calls().into_iter().map(|call| call.operation).collect();
    let count = |name: &str| calls.iter().filter(|call| *call == name).count();
    // Of its own tasks a page each; and one page of the cluster, for whoever else starts tasks of its workers.
    assert_eq!((count("ListTasks"), count("DescribeTasks"), count("GetMetricData")), (2, 1, 1));
    assert_eq!(
        (count("GetQueueAttributes"), count("DescribeTaskDefinition")),
        (2, 0),
        "prices are of the tasks"
    );
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_read_is_never_zero() {
    let world = world_of(&["a"]);
    let config = config(&[worker("a", &json!({"messagesPerContainer": 1}), &json!({}))]);
    let denied = || Fault::Error(400, "AccessDeniedException", "not authorized".to_owned());
    world.fail("ListTasks", 9, denied());
    world.fail("GetMetricData", 9, denied());
    world.queue("a").visible(1);
    let view = seen_of(&world, &config).await;
    let [a] = view.workers.as_slice() else { panic!("{view:?}") };
    assert_eq!((a.urgency, a.note.as_str()), (Urgency::Denied, "ListTasks"));
    assert_eq!(
        (a.waiting, a.tasks, a.running, a.hourly_micro_dollars),
        (Some(1), None, None, None)
    );
    assert_eq!(
        view.notes,
        [
            "the oldest messages are not known: GetMetricData of AWS/SQS failed: AccessDeniedException: not authorized"
        ]
    );
    let page = page(&view, &Asked { wide: true, ..wide(100) });
    let cells: Vec<_> = page.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(
        cells,
        ["a", "1", "0", "?", "?", "?", "-", "100", "?", "?", "denied", "ListTasks"],
        "{page}"
    );
    let sum = "at least 0 containers in 0 tasks, at least $0.00 an hour";
    assert!(page.split_whitespace().collect::<Vec<_>>().join(" ").contains(sum), "{page}");
}

async fn closely_seen(world: &World, config: &Value, name: &str) -> Result<WorkerView, PlanError> {
    let deployment = deployment(world, config).await;
    let name = WorkerName::from(name);
    Box::pin(closely(&deployment, &cloud(world), &name, &invocation(world))).await
}

#[tokio::test(start_paused = true)]
async fn one_worker_is_shown_with_its_tasks_and_their_ends() {
    let world = world_of(&["a", "b"]);
    let one = json!({"messagesPerContainer": 1});
    let dense = json!({"strategy": "dense", "maxContainersPerTask": 4});
    let config = config(&[worker("a", &one, &dense), worker("b", &one, &json!({}))]);
    let function = scaler(&world, &config);
    world.queue("a").visible(1);
    world.queue("dead");
    world.oldest_message("a", 842.0);
    for minute in 0..2 {
        let _ = tick(&function, &world, minute).await;
        world.all_run();
        world.all_end("EssentialContainerExited", "Essential container in task exited", Some(137));
    }
    world.queue("a").visible(9);
    let _ = tick(&function, &world, 2).await;
    world.containers_stop("worker-2");
    world.reach(Duration::from_mins(14)).await;
    world.take_calls();
    let view = closely_seen(&world, &config, "a").await.unwrap();
    assert_eq!(world.changes(), 0);
    // Ids are drawn at random.
    let shown = anstream::adapter::strip_str(&view.page(&wide(100))).to_string();
    let ids: Vec<_> = view.alive.iter().map(|task| task.task[..8].to_owned()).collect();
    let shown = ids.iter().fold(shown, |shown, id| shown.replace(id, "0123abcd"));
    insta::assert_snapshot!(shown);
    let schema: Value =
        serde_json::from_str(include_str!("../../../docs/schema/worker.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<_> = validator.iter_errors(&json!(view)).map(|e| e.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new());
    let (_, made, _) = super::seen(&["schema", "--of", "worker"], "");
    assert!(made == include_str!("../../../docs/schema/worker.json"), "make docs");

    let idle = closely_seen(&world, &config, "b").await.unwrap();
    assert_eq!((idle.row.urgency, idle.alive.len(), idle.ended.len()), (Urgency::Idle, 0, 0));
    let unknown = closely_seen(&world, &config, "c").await.unwrap_err().to_string();
    assert!(unknown.starts_with("asked for `c`, which is not a worker"), "{unknown}");
}

/// What the function has logged, dead letters, and how to get at its logs.
#[tokio::test(start_paused = true)]
async fn beside_its_tasks_stand_decisions_dead_letters_and_logs() {
    let world = world_of(&["a"]);
    let mut logged = definition("a");
    logged["containerDefinitions"][0]["logConfiguration"] = json!({"logDriver": "awslogs",
        "options": {"awslogs-group": "/ecs/a b", "awslogs-stream-prefix": "a", "awslogs-region": "eu-central-1"}});
    world.register(&logged);
    world.queue("dead").visible(3);
    let config = config(&[worker("a", &json!({"messagesPerContainer": 1}), &json!({}))]);
    world.put_parameter("/jobs", &config.to_string());
    let environment = json!({"SCALER_NAME": "scaler", "SCALER_CONFIG": "ssm:/jobs"});
    world.function("jobs", &environment, &json!({}));
    let function = scaler(&world, &config);
    let (lines, _guard) = captured();
    for minute in 0..7 {
        world.queue("a").visible(minute + 1);
        tick(&function, &world, minute).await.log();
        world.all_run();
    }
    let group = "/aws/lambda/jobs";
    for line in lines.text().lines().filter(|line| line.contains("\"worker a:")) {
        let at = world.now().as_millisecond();
        let document: Value = serde_json::from_str(line).unwrap();
        world.log_line(group, (at, document["message"].as_str().unwrap()), line);
    }
    let wanted = Wanted { function: Some("jobs"), needs_config: true, ..Wanted::default() };
    let found = Deployment::find(wanted, &cloud(&world)).await.unwrap();
    let name = WorkerName::from("a");
    let view = Box::pin(closely(&found, &cloud(&world), &name, &invocation(&world))).await.unwrap();
    assert_eq!(view.decisions.len(), 5, "the last ones");
    assert_eq!(view.decisions[4].tick, "2026-11-20T21:06:00Z");
    let view = WorkerView { alive: Vec::new(), ..view };
    insta::assert_snapshot!("beside", anstream::adapter::strip_str(&view.page(&wide(100))));

    // More than are read, the oldest first.
    for _ in 0..60 {
        world.log_line(group, (world.now().as_millisecond(), "worker a: launched"), "{}");
    }
    let view = Box::pin(closely(&found, &cloud(&world), &name, &invocation(&world))).await.unwrap();
    assert!(view.decisions.is_empty() && view.notes[0].contains("too many lines"), "{view:?}");

    world.fail("FilterLogEvents", 9, Fault::Error(400, "AccessDeniedException", "no".to_owned()));
    let view = Box::pin(closely(&found, &cloud(&world), &name, &invocation(&world))).await.unwrap();
    assert!(
        view.decisions.is_empty() && view.notes[0].starts_with("its decisions are not known: ")
    );
}

#[tokio::test(start_paused = true)]
async fn rows_are_sorted_and_columns_chosen() {
    let (world, config) = of_all_kinds().await;
    world.oldest_message("thumbnail", 4800.0);
    let view = seen_of(&world, &config).await;
    let first = |sort: &str| {
        let sort: Column = sort.parse().unwrap();
        let columns = vec![Column::Worker, sort];
        let asked = Asked { all: true, sort: Some(sort), columns, ..wide(60) };
        let page = page(&view, &asked);
        assert_eq!(page.lines().next().unwrap().split_whitespace().next(), Some("WORKER"));
        page.lines().nth(1).unwrap().split_whitespace().next().unwrap().to_owned()
    };
    assert_eq!(first("worker"), "capped");
    assert_eq!(first("waiting"), "encode");
    assert_eq!(first("oldest"), "thumbnail");
    assert_eq!(first("cap"), "invoice", "a hundred, as none is written; equals as they come");
    assert_eq!(first("last-launch"), "report");
    assert_eq!(first("state"), "invoice", "as they come");
    let all: Vec<_> = Column::ALL.iter().map(|column| column.name()).collect();
    for name in &all {
        first(name);
    }
    let wrong = "size".parse::<Column>().unwrap_err();
    assert_eq!(wrong, format!("there is no such column; there are {}", all.join(", ")));
    let asked = Asked { wide: true, ..wide(40) };
    let page = page(&view, &asked);
    assert!(page.lines().next().unwrap().ends_with("$/H  STATE"), "{page}");
    assert!(page.contains("no such image") && !page.contains("..."), "{page}");
}

/// Somebody has to mend it, so it is not left out.
#[tokio::test(start_paused = true)]
async fn a_worker_that_the_configuration_refuses_has_its_row() {
    let world = world_of(&["a", "b"]);
    let one = json!({"messagesPerContainer": 1});
    let mut config = config(&[worker("a", &one, &json!({})), worker("b", &one, &json!({}))]);
    config["workers"][1]["scaling"]["maxContaniers"] = json!(5);
    let view = seen_of(&world, &config).await;
    let refused = &view.workers[0];
    assert_eq!(
        (refused.worker.as_str(), refused.urgency, refused.cap),
        ("b", Urgency::Refused, None)
    );
    assert!(refused.note.contains("did you mean `maxContainers`?"), "{}", refused.note);
    let closely = closely_seen(&world, &config, "b").await.unwrap();
    assert!(closely.page(&wide(100)).contains("maxContaniers"), "{}", closely.page(&wide(100)));
}

/// One count serves the row and its tasks, also under a name that nobody knows any more.
#[tokio::test(start_paused = true)]
async fn the_tasks_of_a_worker_come_to_what_its_row_says() {
    let world = world_of(&["a"]);
    let dense = json!({"strategy": "dense", "maxContainersPerTask": 4});
    let config = config(&[worker("a", &json!({"messagesPerContainer": 1}), &dense)]);
    world.queue("a").visible(4);
    let _ = tick(&scaler(&world, &config), &world, 0).await;
    world.all_run();
    world.containers_stop("worker-2");
    let running = async || {
        let view = closely_seen(&world, &config, "a").await.unwrap();
        let of_tasks: u64 = view.alive.iter().map(|task| task.running).sum();
        (view.row.running, of_tasks)
    };
    assert_eq!(running().await, (Some(3), 3));
    for name in ["worker", "worker-2", "worker-3", "worker-4"] {
        world.set_of_containers(name, ("name", "other"));
    }
    assert_eq!(running().await, (Some(4), 4), "as far as their task is");
}

/// What a screen reads again and again: how many failed, when a queue is empty, and of CloudWatch once a minute.
#[tokio::test(start_paused = true)]
async fn a_screen_reads_what_became_of_tasks_and_metrics_once_a_minute() {
    let names = ["measured", "ruled", "fails", "unknown"];
    let world = world_of(&names);
    let one = json!({"messagesPerContainer": 1});
    let ruled = json!({"drainWithin": {"target": "10m", "secondsPerMessage": 30}});
    let workers =
        names.map(|name| worker(name, if name == "ruled" { &ruled } else { &one }, &json!({})));
    let config = config(&workers);
    let function = scaler(&world, &config);
    world.queue("fails").visible(2);
    let _ = tick(&function, &world, 0).await;
    world.all_run();
    world.all_end("EssentialContainerExited", "it fails", Some(1));
    world.reach(Duration::from_secs(50)).await;
    for name in names {
        world.queue(name).visible(6);
    }
    let _ = tick(&function, &world, 1).await;
    world.all_run();
    world.deleted_messages("measured", &[3.0, 1.0, 2.0, 3.0, 1.0, 900.0]);
    let deployment = deployment(&world, &config).await;
    let session = Session::default();
    let read = async || {
        let (cloud, invocation) = (cloud(&world), invocation(&world));
        Box::pin(refresh(&deployment, &cloud, &session, &invocation)).await.unwrap()
    };
    world.take_calls();
    let view = read().await;
    let row = |name: &str| view.workers.iter().find(|row| row.worker == name).unwrap().clone();
    // Two a minute; and two a minute of each container, where somebody has said how long one takes.
    assert_eq!(row("measured").empty_in_seconds, Some(180));
    let running = row("ruled").running.unwrap();
    assert_eq!(row("ruled").empty_in_seconds, Some(180 / running));
    assert_eq!(row("unknown").empty_in_seconds, None, "nobody guesses");
    assert_eq!((row("unknown").failed, row("fails").failed), (Some(0), Some(2)));
    assert_eq!((world.changes(), world.count("GetMetricData")), (0, 2));
    let _ = read().await;
    assert_eq!(world.count("GetMetricData"), 2, "nothing was measured meanwhile");
    world.reach(Duration::from_mins(3)).await;
    let _ = read().await;
    assert_eq!(world.count("GetMetricData"), 4);
    let glance = Box::pin(status(&deployment, &cloud(&world), &invocation(&world))).await.unwrap();
    assert!(glance.workers.iter().all(|row| row.failed.is_none()), "which a glance does not read");
}

#[tokio::test(start_paused = true)]
async fn what_the_function_has_measured_before_is_read_page_by_page() {
    let world = world_of(&["a", "b"]);
    let one = json!({"messagesPerContainer": 1});
    let config = config(&[worker("a", &one, &json!({})), worker("b", &one, &json!({}))]);
    world.oldest_message("a", 842.0);
    let deployment = deployment(&world, &config).await;
    let (cloud, invocation) = (cloud(&world), invocation(&world));
    let span = Duration::from_hours(3);
    let asked = ToRead::find(&deployment, &cloud, span, &invocation).await.unwrap();
    assert_eq!((asked.metrics(), asked.micro_dollars()), (12, 120));
    world.take_calls();
    let past = asked.read(&cloud).await.unwrap();
    assert_eq!((world.count("GetMetricData"), world.changes()), (2, 0));
    assert_eq!(past.times.len(), 180);
    for (name, oldest) in [("a", Some(842)), ("b", None)] {
        let [before, last] = &past.workers[name][178..] else { panic!("{past:?}") };
        assert_eq!((before.waiting, last.waiting), (Some(2), Some(3)), "of both pages");
        assert_eq!((last.running, last.launched, last.oldest), (Some(3), Some(3), oldest));
        assert_eq!(past.workers[name][177], Point::default(), "a gap");
    }
}

/// In their order, with what each says and where somebody reads on.
#[test]
fn each_state_has_its_words_and_its_page() {
    let (view, _) = Demo::new(1).refresh();
    let states = Urgency::ALL.map(|urgency| Row {
        worker: format!("{urgency:?}").to_lowercase(),
        note: "a few words".to_owned(),
        urgency,
        ..view.workers[0].clone()
    });
    let shown = StatusView { workers: states.to_vec(), notes: Vec::new(), ..view };
    let pages = Urgency::ALL
        .map(|it| format!("{}: {}", it.words(), it.page().map_or("-", |page| page.path)));
    let all = Asked { all: true, ..wide(100) };
    insta::assert_snapshot!(format!("{}\n{}", page(&shown, &all), pages.join("\n")));
    for page in Urgency::ALL.into_iter().filter_map(Urgency::page) {
        assert_eq!(std::fs::read_to_string(page.path).unwrap(), page.text);
    }
    let trouble = Asked { filter: Some("trouble".to_owned()), ..wide(100) };
    let named: Vec<_> = Urgency::ALL.into_iter().filter(|it| it.needs_a_look()).collect();
    let page = page(&shown, &trouble);
    assert!(named.iter().all(|it| page.contains(&format!("{it:?}").to_lowercase())), "{page}");
    assert_eq!(page.lines().filter(|line| line.ends_with("a few words")).count(), named.len());
}

/// With the tasks as they were, and no call of ECS.
#[tokio::test(start_paused = true)]
async fn what_waits_is_counted_anew_without_the_tasks() {
    let names = ["grows", "delayed", "gone"];
    let world = world_of(&names);
    let counts = json!({"messagesPerContainer": 1, "countDelayed": true});
    let config = config(&names.map(|name| worker(name, &counts, &json!({}))));
    for name in names {
        world.queue(name).visible(2);
    }
    let _ = tick(&scaler(&world, &config), &world, 0).await;
    let deployment = deployment(&world, &config).await;
    let of = invocation(&world);
    let session = Session::default();
    let seen = Box::pin(refresh(&deployment, &cloud(&world), &session, &of)).await.unwrap();
    assert_eq!((seen.tasks_at.as_ref(), seen.tasks_age()), (None, None));

    world.queue("grows").visible(9).in_flight(4);
    world.queue("delayed").visible(0).delayed(3);
    world.reach(Duration::from_secs(17)).await;
    world.fail("GetQueueAttributes", 9, Fault::Error(403, "AccessDenied", "no".to_owned()));
    let depths = count(&deployment, &cloud(&world), world.now()).await.unwrap();
    let denied = seen.clone().counted(world.now(), &depths);
    assert!(denied.workers.iter().all(|row| row.waiting.is_none()), "it is not what it was");
    world.forget_faults();
    world.take_calls();
    let depths = count(&deployment, &cloud(&world), world.now()).await.unwrap();
    let counted = denied.counted(world.now(), &depths);
    let calls = world.take_calls();
    assert!(calls.iter().all(|call| call.operation.starts_with("GetQueue")), "{calls:?}");
    let row = |view: &StatusView, name: &str| {
        view.workers.iter().find(|row| row.worker == name).unwrap().clone()
    };
    let of = |name| (row(&counted, name).waiting, row(&counted, name).in_flight);
    assert_eq!(
        [of("grows"), of("delayed"), of("gone")],
        [(Some(9), Some(4)), (Some(3), Some(0)), (Some(2), Some(0))]
    );
    for name in names {
        let tasks = |view| (row(view, name).tasks, row(view, name).starting);
        assert_eq!((tasks(&counted), row(&counted, name).tasks), (tasks(&seen), Some(2)));
    }
    assert_eq!(counted.tasks_at, Some(seen.at));
    assert_eq!(counted.tasks_age(), Some(Duration::from_secs(17)));
}
