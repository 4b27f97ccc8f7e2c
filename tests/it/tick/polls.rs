//! Several ticks in one invocation.

use std::time::Duration;

use ecs_queue_scaler::report::Outcome;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{config, invocation, scaler, ticked, worker, world_of};
use crate::world::World;

fn every(seconds: &str) -> (World, Value) {
    let world = world_of(&["a"]);
    let one = json!({"maxContainersPerTask": 1, "maxTasks": 20});
    let mut config = config(&[worker("a", &json!({"messagesPerContainer": 1}), &one)]);
    config["pollEvery"] = json!(seconds);
    (world, config)
}

fn event() -> Value {
    json!({"scheduledTime": "2026-11-20T21:00:00Z"})
}

/// The ticks that started tasks, by their tags, and how many each.
fn started(world: &World) -> Vec<(String, usize)> {
    let mut ticks: Vec<(String, usize)> = Vec::new();
    for call in world.take_calls().iter().filter(|call| call.operation == "RunTask") {
        let tags = call.input["tags"].as_array().unwrap();
        let tick = tags.iter().find(|tag| tag["key"] == "ecs-queue-scaler:tick").unwrap();
        let count = usize::try_from(call.input["count"].as_u64().unwrap()).unwrap();
        ticks.push((tick["value"].as_str().unwrap().to_owned(), count));
    }
    ticks
}

#[tokio::test(start_paused = true)]
async fn an_invocation_looks_again_until_its_time_is_up() {
    let (world, config) = every("10s");
    let began = Instant::now();
    let function = scaler(&world, &config);
    let of = invocation(&world);
    let more_come = async {
        for (second, messages) in [(5, 1), (15, 3), (35, 4)] {
            world.reach(Duration::from_secs(second)).await;
            world.queue("a").visible(messages);
        }
    };
    let event = event();
    let (report, ()) = futures_util::join!(ticked(&function, &event, &of), more_come);
    assert_eq!(began.elapsed(), Duration::from_secs(50), "the last of six");
    assert_eq!(
        (report.tick.as_str(), report.workers[0].outcome),
        ("2026-11-20T21:00:50Z", Outcome::Idle)
    );
    let ticks =
        [("2026-11-20T21:00:10Z", 1), ("2026-11-20T21:00:20Z", 2), ("2026-11-20T21:00:40Z", 1)];
    assert_eq!(started(&world), ticks.map(|(tick, tasks)| (tick.to_owned(), tasks)));
}

#[tokio::test(start_paused = true)]
async fn a_second_delivery_names_the_same_ticks_and_starts_nothing_twice() {
    let (world, config) = every("20s");
    world.queue("a").visible(12);
    let (first, second) = (scaler(&world, &config), scaler(&world.seen_by(2), &config));
    let (of, event) = (invocation(&world), event());
    let (first, second) =
        futures_util::join!(ticked(&first, &event, &of), ticked(&second, &event, &of));
    assert_eq!(first.tick, second.tick);
    assert_eq!(world.tasks().len(), 12);
}

#[tokio::test(start_paused = true)]
async fn a_direct_invocation_is_one_tick() {
    let (world, config) = every("10s");
    let began = Instant::now();
    let of = invocation(&world);
    let report = ticked(&scaler(&world, &config), &json!({"dryRun": false}), &of).await;
    assert_eq!((report.workers.len(), began.elapsed()), (1, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_tick_that_failed_fails_the_invocation_after_the_later_ones() {
    let (world, config) = every("30s");
    world.queue("a").visible(1);
    let denied = crate::world::Fault::Error(403, "AccessDeniedException", "no".to_owned());
    world.fail("ListTasks", 1, denied);
    let of = invocation(&world);
    let error = scaler(&world, &config).run(&event(), &of, |_| ()).await.unwrap_err();
    assert!(error.to_string().contains("AccessDenied"), "{error}");
    assert_eq!(started(&world), [("2026-11-20T21:00:30Z".to_owned(), 1)]);
}
