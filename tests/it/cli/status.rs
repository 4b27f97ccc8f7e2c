//! `queue-scaler status` in the in-process AWS.

use std::time::Duration;

use ecs_queue_scaler::cli::status::{Asked, StatusView, Urgency, status};
use serde_json::{Value, json};

use super::plan::{cloud, deployment, of_all_kinds};
use crate::tick::{config, invocation, scaler, tick, worker, world_of};
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
    assert_eq!((count("ListTasks"), count("DescribeTasks"), count("GetMetricData")), (1, 1, 1));
    assert_eq!((count("GetQueueAttributes"), count("DescribeTaskDefinition")), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_read_is_never_zero() {
    let world = world_of(&["a"]);
    let config = config(&[worker("a", &json!({"messagesPerContainer": 1}), &json!({}))]);
    let denied = || Fault::Error(400, "AccessDeniedException", "not authorized".to_owned());
    world.fail("ListTasks", 9, denied());
    world.fail("GetMetricData", 9, denied());
    let view = seen_of(&world, &config).await;
    let [a] = view.workers.as_slice() else { panic!("{view:?}") };
    assert_eq!((a.urgency, a.note.as_str()), (Urgency::Denied, "ListTasks"));
    assert_eq!(
        (a.waiting, a.tasks, a.running, a.hourly_micro_dollars),
        (Some(0), None, None, None)
    );
    assert_eq!(
        view.notes,
        [
            "the oldest messages are not known: GetMetricData of AWS/SQS failed: AccessDeniedException: not authorized"
        ]
    );
    let page = page(&view, &wide(100));
    assert!(page.contains(" ? ") && page.contains("denied ListTasks"), "{page}");
}
