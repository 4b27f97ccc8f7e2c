//! Situations in which a scaler starved its worker.

use serde_json::json;

use super::{Of, Play, SHORT, one_shot};
use crate::world::Fault;
use crate::world::life::{Habit, Jobs};
use crate::world::watch::Rule;
use crate::world::weather::Fate;

#[tokio::test(start_paused = true)]
async fn an_hour_in_which_the_function_was_frozen_hides_no_messages() {
    let mut play = Of { jobs: one_shot(SHORT), ..Of::default() }.play();
    play.send(20);
    play.minutes(5).await;
    play.freezes = true;
    play.minutes(65).await;
    play.send(20);
    play.minutes(6).await;
    play.is_clean();
    assert_eq!(play.done(), 40);
}

#[tokio::test(start_paused = true)]
async fn a_start_without_an_answer_is_waited_for_by_the_wall_clock() {
    let mut play = Of { jobs: one_shot(SHORT), ..Of::default() }.play();
    play.freezes = true;
    play.send(1);
    play.world.fail("RunTask", 3, Fault::Error(500, "ServerException", "internal".to_owned()));
    play.minutes(12).await;
    play.is_clean();
    assert_eq!(play.done(), 1);
}

/// Of sixty tasks three never start, and all others end with exit code 0.
async fn three_are_stuck() -> Play {
    let jobs = one_shot((20_000, 40_000));
    let scaling = json!({"messagesPerContainer": 1, "maxContainers": 60});
    let mut play = Of { scaling, jobs, ..Of::default() }.play();
    play.life(|life| life.fates.extend([Fate::Stuck; 3]));
    play.send(60);
    play.send_steadily(15, 150);
    play.minutes(150).await;
    play
}

#[tokio::test(start_paused = true)]
async fn three_stuck_tasks_hold_nobody_back_for_good() {
    let play = three_are_stuck().await;
    play.is_clean();
    assert!(2000 <= play.done(), "{} of 2,310", play.done());
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_pending_beside_a_sidecar_that_runs_is_stuck_after_a_while() {
    let mut with_sidecar = crate::tick::definition("thumbnail");
    with_sidecar["cpu"] = json!("512");
    with_sidecar["memory"] = json!("1024");
    let sidecar = json!({"name": "log", "image": "i", "cpu": 32, "memory": 64});
    with_sidecar["containerDefinitions"].as_array_mut().unwrap().push(sidecar);
    let more = json!({"container": "worker"});
    let mut play = Of { definition: with_sidecar, more, ..Of::default() }.play();
    play.life(|life| {
        life.one_by_one = true;
        life.fates.push_back(Fate::Stuck);
    });
    play.send(1);
    play.minutes(40).await;
    play.is_clean();
    assert_eq!(play.done(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_deployment_that_renames_the_container_starves_nobody() {
    let mut old = crate::tick::definition("thumbnail");
    old["containerDefinitions"][0]["name"] = json!("worker-77");
    let jobs = Jobs { lasts: (3_000_000, 3_000_000), habit: Habit::OneShot, ..Jobs::default() };
    let mut play = Of { definition: old, jobs, ..Of::default() }.play();
    play.send(3);
    play.minutes(3).await;
    play.world.register(&crate::tick::definition("thumbnail"));
    play.send(3);
    play.minutes(30).await;
    play.is_clean();
    assert_eq!(play.started(), 6);
}

/// Healthy workers of every kind: nothing is found, and nothing is held back.
#[tokio::test(start_paused = true)]
async fn healthy_workers_wait_for_nobody() {
    for (habit, lasts, messages) in [
        (Habit::Loops, (3_000, 20_000), 6),
        (Habit::OneShot, (3_000, 20_000), 6),
        (Habit::Loops, (60_000, 600_000), 2),
        (Habit::OneShot, (60_000, 600_000), 2),
        (Habit::Prefetches(5), (3_000, 20_000), 6),
        (Habit::DeletesFirst, (3_000, 20_000), 6),
    ] {
        let visibility = 2 * lasts.1 + 60_000;
        let jobs = Jobs { lasts, visibility, habit, ..Jobs::default() };
        let mut play = Of { jobs, ..Of::default() }.play();
        play.send_steadily(messages, 120);
        play.minutes(150).await;
        play.is_clean();
        assert_eq!(play.done(), messages * 120, "{habit:?} {lasts:?}");
        assert!(!play.told.has_alarmed(), "{habit:?} {lasts:?}");
    }
}

/// Spot ends a task whose message stays in flight for an hour. Two hang meanwhile beside one that works:
/// as long as there are two messages in flight, one of those two may hold one.
#[tokio::test(start_paused = true)]
async fn who_may_have_held_a_message_until_a_minute_ago_need_not_be_known_as_idle() {
    let jobs = Jobs { lasts: (3_600_000, 3_600_000), ..Jobs::default() };
    let scaling = json!({"steps": [{"depth": 1, "containers": 2}], "maxContainers": 10});
    let rule = Rule::Containers(vec![(1, 2)]);
    let mut play = Of { scaling, jobs, rule, ..Of::default() }.play();
    play.life(|life| life.fates.extend([Fate::Runs, Fate::Hangs, Fate::Hangs]));
    play.send(1);
    play.minutes(3).await;
    play.world.all_end("SpotInterruption", "Spot capacity", Some(143));
    play.send(2);
    play.minutes(210).await;
    play.is_clean();
    assert_eq!(play.done(), 3);
}
