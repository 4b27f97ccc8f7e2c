//! `maxTasksPerHour`: what counts as started within the hour, and what does not.

use decision::units::Tasks;
use ecs_queue_scaler::run::Scaler;
use serde_json::json;

use super::{one_task_a_message, only_worker, scaler, started, tick};
use crate::world::{Executed, Fault};

#[tokio::test(start_paused = true)]
async fn an_hours_bound_counts_what_another_cluster_got_that_is_not_read_now() {
    let (world, mut config) = one_task_a_message(&[("a", 10), ("b", 0)], 100);
    world.cluster("other");
    config["workers"][1]["cluster"] = json!("other");
    config["maxTasksPerHour"] = json!(12);
    let function = scaler(&world, &config);
    let _ = tick(&function, &world, 0).await;
    world.queue("a").visible(0);
    world.queue("b").visible(10);
    let report = tick(&function, &world, 1).await;
    assert_eq!(report.workers.iter().map(started).collect::<Vec<_>>(), [0, 2]);
    world.all_end("EssentialContainerExited", "", Some(0));
    let later = tick(&function, &world, 62).await;
    assert_eq!(started(&later.workers[1]), 10, "the hour is over");
}

/// The referee found it: the hour was full of tasks that nobody had started.
#[tokio::test(start_paused = true)]
async fn what_a_call_without_an_answer_did_not_start_is_not_of_the_hour() {
    let (world, mut config) = one_task_a_message(&[("a", 10)], 100);
    config["maxTasksPerHour"] = json!(12);
    let function = scaler(&world, &config);
    world.fail("RunTask", 3, Fault::Hang(Executed::No));
    let _ = tick(&function, &world, 0).await;
    let soon = tick(&function, &world, 4).await;
    assert_eq!((started(only_worker(&soon)), world.tasks().len()), (0, 0), "they may be there");
    let _ = tick(&function, &world, 6).await;
    let _ = tick(&function, &world, 7).await;
    assert_eq!(world.tasks().len(), 10);
}

/// The soak's seed 837 found it: a task above the bound, where two invocations overlapped and nothing
/// made a gap between their looks.
#[tokio::test(start_paused = true)]
async fn what_another_process_started_and_ended_between_two_looks_is_of_the_hour() {
    let (world, mut config) = one_task_a_message(&[("a", 1)], 100);
    config["maxTasksPerHour"] = json!(12);
    let of_many = || Scaler { may_overlap: true, ..scaler(&world, &config) };
    let first = of_many();
    assert_eq!(started(only_worker(&tick(&first, &world, 0).await)), 1);
    world.queue("a").visible(0);
    let _ = tick(&first, &world, 1).await;
    world.queue("a").visible(9);
    assert_eq!(started(only_worker(&tick(&of_many(), &world, 1).await)), 8);
    world.all_end("EssentialContainerExited", "", Some(0));
    world.queue("a").visible(10);
    let last = tick(&first, &world, 2).await;
    assert_eq!(last.totals.launched_tasks, Tasks(3), "nine of twelve are used up");
}
