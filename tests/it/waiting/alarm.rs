//! `NotServedAlarm`: it goes off where messages wait, nothing that takes them is alive and nothing is
//! started, and nowhere else.

use serde_json::json;

use super::{Of, Play};
use crate::world::Fault;
use crate::world::life::{Habit, Jobs};
use crate::world::weather::Fate;

/// A worker of which one message waits, for a quarter of an hour in which something is wrong.
async fn with(scaling: serde_json::Value, wrong: impl FnOnce(&Play)) -> Play {
    let mut play = Of { scaling, ..Of::default() }.play();
    wrong(&play);
    play.send(1);
    play.minutes(15).await;
    play.is_clean();
    play
}

fn usual() -> serde_json::Value {
    json!({"messagesPerContainer": 1})
}

#[tokio::test(start_paused = true)]
async fn whatever_keeps_all_containers_from_a_message_sets_it_off() {
    let denied = || Fault::Error(400, "AccessDeniedException", "no".to_owned());
    for operation in ["ListTasks", "DescribeTaskDefinition", "RunTask"] {
        let play = with(usual(), |play| play.world.fail(operation, 99, denied())).await;
        assert!(play.told.has_alarmed(), "{operation}");
    }
    let nothing = || Fault::Placed(0, "Capacity is unavailable at this time");
    let play = with(usual(), |play| play.world.fail("RunTask", 99, nothing())).await;
    assert!(play.told.has_alarmed());
    let at_cap = json!({"messagesPerContainer": 1, "maxContainers": 1, "stuckAfter": "300s"});
    let stuck = |play: &Play| play.life(|life| life.fates.push_back(Fate::Stuck));
    assert!(with(at_cap, stuck).await.told.has_alarmed());
}

#[tokio::test(start_paused = true)]
async fn launches_that_move_nothing_set_it_off() {
    let jobs = Jobs { lasts: (9_000, 11_000), redrive: None, ..Jobs::default() };
    let mut play = Of { jobs, ..Of::default() }.play();
    play.life(|life| life.arrive(0, "thumbnail", (1, true)));
    play.minutes(120).await;
    play.is_clean();
    assert!(play.told.has_alarmed());
    // They end with exit code 0 and take nothing, as on another queue.
    let jobs = Jobs { habit: Habit::ExitsAtOnce, ..Jobs::default() };
    let mut play = Of { jobs, ..Of::default() }.play();
    play.send(1);
    play.minutes(120).await;
    play.is_clean();
    assert!(
        !play.told.has_alarmed(),
        "one a minute is started, and `LaunchesHeldBack` tells of it"
    );
}

#[tokio::test(start_paused = true)]
async fn who_is_served_slowly_does_not_set_it_off() {
    let one_at_a_time = json!({"messagesPerContainer": 1, "maxContainers": 1});
    let slow = with(one_at_a_time, |play| play.send(20)).await;
    assert!(!slow.told.has_alarmed(), "the cap is reached by one that works");
    let crash = |play: &Play| play.life(|life| life.fates.extend([Fate::Crashes; 40]));
    let crashing = with(usual(), crash).await;
    assert!(!crashing.told.has_alarmed(), "canaries are started, and another alarm tells of them");
    let stuck = |play: &Play| play.life(|life| life.fates.push_back(Fate::Stuck));
    assert!(!with(usual(), stuck).await.told.has_alarmed(), "another is started in its place");
}
