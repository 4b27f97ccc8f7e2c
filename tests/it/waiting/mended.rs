//! Situations in which a scaler starved its worker, or fed it for nothing.

use serde_json::json;

use super::{Of, Play, SHORT, one_shot};
use crate::world::life::{Habit, Jobs};
use crate::world::watch::Rule;
use crate::world::weather::Fate;

#[tokio::test(start_paused = true)]
async fn a_container_that_hangs_does_not_keep_others_from_its_message() {
    let mut play = Of::default().play();
    play.life(|life| life.fates.push_back(Fate::Hangs));
    play.send(1);
    play.minutes(60).await;
    play.is_clean();
    assert_eq!(play.done(), 1);
}

#[tokio::test(start_paused = true)]
async fn at_its_cap_a_worker_that_hangs_is_told_as_not_served() {
    let scaling = json!({"messagesPerContainer": 1, "maxContainers": 1});
    let mut play = Of { scaling, ..Of::default() }.play();
    play.life(|life| life.fates.push_back(Fate::Hangs));
    play.send(1);
    play.minutes(60).await;
    play.is_clean();
    assert!(play.told.has_alarmed());
    assert_eq!((play.done(), play.started()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_closed_loop_of_one_job_is_never_braked() {
    let jobs = Jobs { closed_until: u64::MAX, redrive: None, ..one_shot(SHORT) };
    let mut play = Of { jobs, ..Of::default() }.play();
    play.send(1);
    play.minutes(240).await;
    play.is_clean();
    assert!(235 <= play.done(), "{} of 239", play.done());
}

#[tokio::test(start_paused = true)]
async fn a_group_of_a_fifo_queue_is_started_gently() {
    let jobs = Jobs { lasts: (55_000, 65_000), groups: 1, ..Jobs::default() };
    let mut play = Of { jobs, more: json!({"queue": "thumbnail.fifo"}), ..Of::default() }.play();
    drop(play.world.queue("thumbnail.fifo"));
    play.send(100);
    play.minutes(120).await;
    play.is_clean();
    assert_eq!(play.done(), 100);
    assert!(play.started() <= 301, "{} containers", play.started());
}

#[tokio::test(start_paused = true)]
async fn a_minimum_whose_workers_end_on_an_empty_queue_is_started_less_and_less() {
    let scaling = json!({"messagesPerContainer": 1, "minContainers": 2});
    let jobs = Jobs { habit: Habit::ExitsAtOnce, ..Jobs::default() };
    let mut play = Of { scaling, jobs, ..Of::default() }.play();
    play.minutes(240).await;
    assert!(play.started() <= 50, "{} containers", play.started());
}

#[tokio::test(start_paused = true)]
async fn steps_of_tasks_count_what_is_alive_by_what_it_can_do() {
    let scaling = json!({"steps": [{"depth": 1, "tasks": 10}], "maxContainers": 100});
    let packing = json!({"strategy": "dense", "maxContainersPerTask": 4, "maxTasks": 10});
    let rule = Rule::Tasks(vec![(1, 10)], 4);
    let jobs = Jobs { lasts: (50_000, 70_000), ..Jobs::default() };
    let mut play = Of { scaling, packing, jobs, rule, ..Of::default() }.play();
    play.send(10);
    play.minutes(2).await;
    play.send(4000);
    play.minutes(130).await;
    play.is_clean();
    assert_eq!(play.done(), 4010);
}

#[tokio::test(start_paused = true)]
async fn capacity_that_is_refused_later_moves_the_launch_one_rung_down() {
    let rungs = json!([{"capacityProvider": "FARGATE_SPOT"}, {"capacityProvider": "FARGATE"}]);
    let mut play = Of { more: json!({"capacity": rungs}), ..Of::default() }.play();
    play.life(|life| life.without_capacity = Some("FARGATE_SPOT"));
    play.send(12);
    play.minutes(20).await;
    play.is_clean();
    assert_eq!(play.done(), 12);
}

/// Three messages that nobody can process, in eight hours.
async fn poison(redrive: Option<u32>) -> Play {
    let jobs = Jobs { redrive, visibility: 300_000, ..one_shot(SHORT) };
    let mut play = Of { jobs, ..Of::default() }.play();
    play.life(|life| life.arrive(0, "thumbnail", (3, true)));
    play.minutes(480).await;
    play
}

#[tokio::test(start_paused = true)]
async fn poison_starts_a_few_containers_and_is_told() {
    let endless = poison(None).await;
    endless.is_clean();
    assert!(endless.started() <= 20, "{} containers", endless.started());
    assert!(endless.told.has_alarmed());
    let bounded = poison(Some(3)).await;
    bounded.is_clean();
    assert!(bounded.started() <= 9, "{} containers", bounded.started());
}

#[tokio::test(start_paused = true)]
async fn ghosts_start_at_most_one_container_a_minute() {
    let jobs = Jobs { habit: Habit::ExitsAtOnce, ..Jobs::default() };
    let mut play = Of { jobs, ..Of::default() }.play();
    play.life(|life| life.haunt("thumbnail", 5));
    play.minutes(480).await;
    play.is_clean();
    assert!(play.started() <= 490, "{} containers", play.started());
}

/// Workers that move messages as they should, one container a message, without a redrive policy.
#[tokio::test(start_paused = true)]
async fn healthy_workers_are_not_braked_without_a_redrive_policy() {
    for (habit, lasts, messages) in [
        (Habit::Loops, (3_000, 20_000), 6),
        (Habit::OneShot, (3_000, 20_000), 6),
        (Habit::Loops, (60_000, 600_000), 2),
        (Habit::OneShot, (60_000, 600_000), 2),
    ] {
        let visibility = 2 * lasts.1 + 60_000;
        let jobs = Jobs { lasts, visibility, redrive: None, habit, ..Jobs::default() };
        let mut play = Of { jobs, ..Of::default() }.play();
        play.send_steadily(messages, 120);
        play.minutes(150).await;
        play.is_clean();
        assert_eq!(play.done(), messages * 120, "{habit:?} {lasts:?}");
        assert!(!play.told.has_alarmed(), "{habit:?} {lasts:?}");
    }
}
