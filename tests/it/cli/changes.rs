//! `queue-scaler stop`, `pause`, `resume` and `clean` in the in-process AWS.

use std::time::Duration;

use decision::units::{ClusterName, WorkerName};
use ecs_queue_scaler::aws::Aws;
use ecs_queue_scaler::cli::clean::{Asked, CleanView, Cleaned, find};
use ecs_queue_scaler::cli::pause::{Came, Wish, carry_out};
use ecs_queue_scaler::cli::stop::{StopError, ToStop, Which, prepare, reason};
use ecs_queue_scaler::cli::{pause, room, status, stop};
use serde_json::{Value, json};

use super::plan::{cloud, deployment, with_canaries};
use crate::tick::{config, definition, invocation, scaler, tick, worker, world_of};
use crate::world::{Fault, World};

pub(super) fn denied() -> Fault {
    Fault::Error(400, "AccessDeniedException", "not authorized".to_owned())
}

fn plain(page: &str) -> String {
    anstream::adapter::strip_str(page).to_string()
}

fn aws(world: &World) -> Aws {
    Aws::new(&world.sdk_config()).unwrap()
}

/// Two workers, of which one runs two tasks of four containers and the other one.
async fn running() -> (World, Value) {
    let world = world_of(&["a", "b"]);
    world.register(&with_canaries("a"));
    let one = json!({"messagesPerContainer": 1});
    let dense = json!({"strategy": "dense", "maxContainersPerTask": 4});
    let config = config(&[worker("a", &one, &dense), worker("b", &one, &json!({}))]);
    world.queue("a").visible(8).attribute("VisibilityTimeout", "300");
    world.queue("b").visible(1);
    let _ = tick(&scaler(&world, &config), &world, 0).await;
    world.all_run();
    world.reach(Duration::from_mins(24)).await;
    (world, config)
}

pub(super) async fn to_stop(
    world: &World,
    config: &Value,
    name: &str,
    which: Which,
) -> Result<ToStop, StopError> {
    let deployment = deployment(world, config).await;
    let asked = stop::Asked { worker: WorkerName::from(name), which };
    Box::pin(prepare(&deployment, &cloud(world), &asked, &invocation(world))).await
}

fn ids(world: &World, worker: &str) -> Vec<String> {
    let group = format!("worker:{worker}");
    let tasks = world.tasks().into_iter().filter(|task| task["group"] == group);
    tasks
        .map(|task| task["taskArn"].as_str().unwrap().rsplit('/').next().unwrap().to_owned())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn tasks_are_stopped_with_what_becomes_of_their_messages() {
    let (world, config) = running().await;
    world.take_calls();
    let all = to_stop(&world, &config, "a", Which::All).await.unwrap();
    assert_eq!((all.tasks.len(), world.changes()), (2, 0));
    let shown = plain(&all.page(100));
    let of_a = ids(&world, "a");
    let shown = of_a.iter().fold(shown, |shown, id| shown.replace(&id[..8], "0123abcd"));
    insta::assert_snapshot!("stop", shown);
    assert!(include_str!("../../../docs/cli.md").contains(&shown), "{shown}");
    assert!(!shown.contains("hush"));

    let id = &of_a[0];
    let length = (1..=id.len()).find(|n| !of_a[1].starts_with(&id[..*n])).unwrap();
    let one =
        to_stop(&world, &config, "a", Which::These(vec![id[..length].to_owned()])).await.unwrap();
    let caller = cloud(&world).caller().await.unwrap();
    let why = reason(Some(&caller), Some("it hangs"));
    assert_eq!(one.stop(&aws(&world).write, &why).await.stopped, 1);
    assert_eq!(ids(&world, "a"), of_a[1..]);
    let calls = world.take_calls();
    let stop = calls.iter().find(|call| call.operation == "StopTask").unwrap();
    assert_eq!(stop.input["reason"], "assumed-role/developer/anna by queue-scaler: it hangs");
    assert_eq!(reason(None, None), "somebody by queue-scaler");
}

/// Between the question and the answer.
#[tokio::test(start_paused = true)]
async fn a_task_that_has_ended_keeps_no_other_one_from_being_stopped() {
    let (world, config) = running().await;
    let all = to_stop(&world, &config, "a", Which::All).await.unwrap();
    let gone = "The referenced task was not found.".to_owned();
    world.fail("StopTask", 1, Fault::Error(400, "InvalidParameterException", gone));
    let came = all.stop(&aws(&world).write, "").await;
    assert_eq!((came.stopped, came.failures.len()), (1, 1), "{came:?}");
    assert!(came.failures[0].contains("was not found"), "{came:?}");
    assert_eq!(ids(&world, "a").len(), 1);

    let (world, config) = running().await;
    let all = to_stop(&world, &config, "a", Which::All).await.unwrap();
    world.fail("StopTask", 99, denied());
    let came = all.stop(&aws(&world).write, "").await;
    assert_eq!((came.stopped, world.count("StopTask")), (0, 1), "{came:?}");
}

/// Canaries stand in all that may be a secret.
#[tokio::test(start_paused = true)]
async fn no_look_shows_a_secret() {
    let (world, config) = running().await;
    let deployment = deployment(&world, &config).await;
    let (cloud, invocation) = (cloud(&world), invocation(&world));
    let wide = status::Asked { width: 300, all: true, wide: true, ..status::Asked::default() };
    let all = Box::pin(status::status(&deployment, &cloud, &invocation)).await.unwrap();
    let name = WorkerName::from("a");
    let one = Box::pin(status::worker(&deployment, &cloud, &name, &invocation)).await.unwrap();
    let asked = room::Asked { cluster: Some(ClusterName::from("jobs")), ..room::Asked::default() };
    let room = Box::pin(room::room(&deployment, &cloud, &asked, &invocation)).await.unwrap();
    let asked = Asked { gone: true, delete: true };
    let old = Box::pin(find(&deployment, &cloud, asked, world.now())).await.unwrap();
    let shown = [
        (all.page(&wide), json!(all)),
        (one.page(&wide), json!(one)),
        (room.page(300), json!(room)),
        (old.page(300, asked), json!(old)),
    ];
    for (page, json) in shown {
        assert!(!page.is_empty() && !page.contains("hush"), "{page}");
        assert!(!json.to_string().contains("hush"), "{json:#}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_other_workers_task_is_stopped() {
    let (world, config) = running().await;
    let of_b = ids(&world, "b");
    let errors = [
        to_stop(&world, &config, "a", Which::These(of_b)).await.unwrap_err().to_string(),
        to_stop(&world, &config, "a", Which::These(vec![String::new()]))
            .await
            .unwrap_err()
            .to_string(),
        to_stop(&world, &config, "c", Which::All).await.unwrap_err().to_string(),
    ];
    assert!(errors[0].contains("no other worker's is touched"), "{errors:?}");
    assert_eq!(
        errors[1], "`` names no task; `queue-scaler status a` shows them",
        "$TASK of a script"
    );
    assert!(errors[2].contains("`c`, which is not a worker"), "{errors:?}");
    assert_eq!(world.count("StopTask"), 0);

    // What would be said of its messages is no reason against it.
    world.fail("GetQueueAttributes", 99, denied());
    world.fail("DescribeTaskDefinition", 99, denied());
    let all = to_stop(&world, &config, "a", Which::All).await.unwrap();
    assert_eq!(all.tasks.len(), 2);
    let shown = plain(&all.page(200));
    assert!(
        shown.contains("AccessDeniedException") && shown.contains("the usual is assumed"),
        "{shown}"
    );
}

pub(super) async fn wished(
    world: &World,
    config: &Value,
    name: &str,
    wish: Wish,
) -> Result<Came, String> {
    let deployment = deployment(world, config).await;
    let aws = aws(world);
    carry_out(&deployment, &aws, pause::Asked { worker: name, wish: &wish }, &invocation(world))
        .await
}

pub(super) fn paused(until: Option<&str>, why: Option<&str>) -> Wish {
    Wish::Paused {
        until: until.map(|until| until.parse().unwrap()),
        why: why.map(ToOwned::to_owned),
    }
}

/// Its tag is what a tick then heeds.
#[tokio::test(start_paused = true)]
async fn a_discovered_worker_is_paused_by_its_queues_tag() {
    let world = world_of(&["a", "found"]);
    let mut config = config(&[worker("a", &json!({"messagesPerContainer": 1}), &json!({}))]);
    config["discover"] = json!({"tag": "ecs-queue-scaler"});
    world.tag_queue(
        "found",
        &[
            ("ecs-queue-scaler", "true"),
            ("ecs-queue-scaler:task-definition", "found"),
            ("ecs-queue-scaler:messages-per-container", "1"),
        ],
    );
    world.queue("found").visible(3);
    let pause = paused(Some("2026-12-01T08:00Z"), Some("the database moves"));
    let came = wished(&world, &config, "found", pause).await.unwrap();
    let tag = "ecs-queue-scaler:paused=2026-12-01T08:00:00Z the database moves";
    assert_eq!(came, Came::Tagged(format!("queue found has the tag {tag}")));
    let report = tick(&scaler(&world, &config), &world, 0).await;
    let found = report.workers.iter().find(|w| w.worker.as_str() == "found").unwrap();
    assert_eq!(found.paused.as_ref().unwrap().why.as_deref(), Some("the database moves"));

    let came = wished(&world, &config, "found", Wish::Resumed).await.unwrap();
    assert_eq!(came, Came::Tagged("queue found has no tag ecs-queue-scaler:paused".to_owned()));
    let report = tick(&scaler(&world, &config), &world, 1).await;
    let found = report.workers.iter().find(|w| w.worker.as_str() == "found").unwrap();
    assert_eq!((found.paused.as_ref(), found.launched.len()), (None, 1));

    let illegal =
        wished(&world, &config, "found", paused(None, Some("50% off"))).await.unwrap_err();
    assert!(illegal.contains("a tag cannot have `%`"), "{illegal}");
    let long = wished(&world, &config, "found", paused(None, Some(&"x".repeat(300)))).await;
    assert!(long.unwrap_err().contains("256 characters"));
}

/// What it prints is what the file takes.
#[tokio::test(start_paused = true)]
async fn a_worker_of_the_file_is_paused_by_what_is_printed() {
    let (world, config) = running().await;
    world.take_calls();
    for (until, why) in [
        (None, None),
        (Some("2026-12-01T08:00Z"), None),
        (None, Some("a \"quoted\": reason")),
        (Some("2026-12-01T08:00Z"), Some("# no comment")),
    ] {
        let came = wished(&world, &config, "a", paused(until, why)).await.unwrap();
        let Came::ToPaste { hint, lines } = came else { panic!("{came:?}") };
        assert!(hint.contains("put this below its name"), "{hint}");
        let file = format!(
            "cluster: jobs\nworkers:\n  - name: a\n{lines}    queue: a\n    taskDefinition: a\n    scaling: \
             {{messagesPerContainer: 1}}\n"
        );
        let document = decision::config::document("f", &file).unwrap();
        let config = decision::config::Config::of(&document).unwrap();
        assert_eq!(config.refused, []);
        let pause = config.workers[0].paused.clone().unwrap();
        assert_eq!((pause.until.is_some(), pause.why.as_deref()), (until.is_some(), why));
    }
    let came = wished(&world, &config, "a", Wish::Resumed).await.unwrap();
    assert!(matches!(came, Came::ToPaste { lines, .. } if lines.is_empty()));
    assert_eq!(world.changes(), 0);
}

pub(super) async fn found(world: &World, config: &Value, asked: Asked) -> CleanView {
    let deployment = deployment(world, config).await;
    Box::pin(find(&deployment, &cloud(world), asked, world.now())).await.unwrap()
}

fn names(view: &CleanView) -> Vec<&str> {
    view.revisions.iter().map(|revision| revision.revision.as_str()).collect()
}

/// One that runs, one that the next tick would run, one that is superseded, one of another base, one of
/// somebody else, and one of a size that is not reached any more.
#[tokio::test(start_paused = true)]
async fn only_what_nobody_needs_is_cleared_up() {
    let world = world_of(&["a", "b", "other"]);
    let one = json!({"messagesPerContainer": 1});
    let dense = json!({"strategy": "dense", "maxContainersPerTask": 2});
    let first = config(&[worker("a", &one, &dense), worker("other", &one, &dense)]);
    let function = scaler(&world, &first);
    for name in ["a", "other"] {
        world.queue(name).visible(2);
    }
    let _ = tick(&function, &world, 0).await;
    for (minute, image) in (1..).zip(["worker:2", "worker:3"]) {
        world.all_end("EssentialContainerExited", "", Some(0));
        let mut next = definition("a");
        next["containerDefinitions"][0]["image"] = json!(image);
        world.register(&next);
        world.fail("DeregisterTaskDefinition", 9, denied());
        let _ = tick(&scaler(&world, &first), &world, minute).await;
        world.forget_faults();
    }
    // The third one still runs when its base is replaced.
    world.register(&definition("a"));
    let mut strange = definition("b--x2");
    strange["containerDefinitions"][0]["image"] = json!("worker:9");
    world.register(&strange);
    let now = config(&[worker("a", &one, &dense), worker("b", &one, &dense)]);
    world.take_calls();
    let view = found(&world, &now, Asked::default()).await;
    assert_eq!(world.changes(), 0);
    let shown = plain(&view.page(100, Asked::default()));
    insta::assert_snapshot!("clean", shown);
    assert!(include_str!("../../../docs/cli.md").contains(&shown), "{shown}");
    // Whoever runs one, and wherever: here another scaler, with tasks of a group of its own.
    world.change_tasks(|task| {
        task["startedBy"] = json!("another");
        task["group"] = json!("family:a");
    });
    assert_eq!(found(&world, &now, Asked::default()).await.revisions, view.revisions);
    let gone = Asked { gone: true, ..Asked::default() };
    let with_gone = found(&world, &now, gone).await;
    assert!(with_gone.notes.is_empty(), "{with_gone:?}");
    let schema: Value =
        serde_json::from_str(include_str!("../../../docs/schema/clean.json")).unwrap();
    assert!(jsonschema::is_valid(&schema, &json!(with_gone)));
    let (_, made, _) = super::seen(&["schema", "--of", "clean"], "");
    assert!(made == include_str!("../../../docs/schema/clean.json"), "make docs");
}

#[tokio::test(start_paused = true)]
async fn they_are_deregistered_and_deleted_at_half_of_the_rate() {
    let world = world_of(&["a"]);
    let one = json!({"messagesPerContainer": 1});
    let dense = json!({"strategy": "dense", "maxContainersPerTask": 2});
    let config = config(&[worker("a", &one, &dense)]);
    for minute in 0..4 {
        let mut next = definition("a");
        next["containerDefinitions"][0]["image"] = json!(format!("worker:{minute}"));
        world.register(&next);
        world.queue("a").visible(3);
        world.fail("DeregisterTaskDefinition", 9, denied());
        let _ = tick(&scaler(&world, &config), &world, minute).await;
        world.forget_faults();
        world.all_end("EssentialContainerExited", "", Some(0));
    }
    let asked = Asked { delete: true, ..Asked::default() };
    let view = found(&world, &config, asked).await;
    assert_eq!(names(&view), ["a--x2:1", "a--x2:2", "a--x2:3"]);
    let began = tokio::time::Instant::now();
    let done = view.carry_out(&aws(&world).write, asked, |_| ()).await;
    let all = Cleaned { deregistered: 3, deleted: 3, failures: Vec::new() };
    assert_eq!((done, began.elapsed().as_secs()), (all, 6), "two seconds each");
    assert_eq!(world.active_revisions("a--x2").len(), 1);
    let again = found(&world, &config, asked).await;
    assert!(again.is_clean() && again.needed == 1, "{again:?}");

    // One that was deregistered before, beside one that is needed.
    let other = found(&world, &config, Asked::default()).await;
    assert!(other.is_clean(), "{other:?}");
    let mut next = definition("a--x2");
    next["tags"] = json!([{"key": "ecs-queue-scaler:digest", "value": "0"}]);
    world.register(&next);
    let superseded = found(&world, &config, Asked::default()).await;
    assert_eq!(names(&superseded), ["a--x2:5"]);
    superseded.carry_out(&aws(&world).write, Asked::default(), |_| ()).await;
    let inactive = found(&world, &config, asked).await;
    assert_eq!(names(&inactive), ["a--x2:5"], "its family has an ACTIVE revision");
    assert!(inactive.revisions[0].is_inactive);
    inactive.carry_out(&aws(&world).write, asked, |_| ()).await;
    let report = tick(&scaler(&world, &config), &world, 30).await;
    assert_eq!(report.workers[0].launched[0].task_definition.rsplit('/').next(), Some("a--x2:4"));
}
