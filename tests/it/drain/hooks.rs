//! Lifecycle hooks: held by the ticks while tasks of ours run, and completed when they have ended.

use decision::event::Mode;
use decision::units::ScalerName;
use ecs_queue_scaler::aws::Aws;
use ecs_queue_scaler::report::HookOutcome;
use ecs_queue_scaler::report::Report;
use ecs_queue_scaler::run::{RunError, Scaler};
use serde_json::{Value, json};
use std::time::Duration;

use super::{INSTANCE, TERMINATE, denied, failure, notice, status, workers, world_with_tasks};
use crate::tick::{invocation, scaler, tick};
use crate::world::scaling::LifecycleAction;
use crate::world::{Executed, Fault, World};

const HEARTBEAT: &str = "RecordLifecycleActionHeartbeat";
const COMPLETE: &str = "CompleteLifecycleAction";

/// The configuration of whoever has a hook of that name.
pub(super) fn with_hook(name: &str) -> Value {
    let mut config = workers();
    config["draining"] = json!({"lifecycleHook": name});
    config
}

fn ours() -> Value {
    with_hook("drain-workers")
}

/// A world in which a hook holds the instance, and the queues are empty.
async fn held_world() -> (World, String) {
    held_for(Duration::from_hours(1)).await
}

/// The same for a hook that ends after so long without a heartbeat.
async fn held_for(timeout: Duration) -> (World, String) {
    let (world, arn) = world_with_tasks().await;
    world.hook_with_timeout(("jobs", "drain-workers"), INSTANCE, timeout);
    for name in ["a", "b"] {
        world.queue(name).visible(0);
    }
    (world, arn)
}

fn only_hook(world: &World) -> LifecycleAction {
    let [hook] = world.hooks().try_into().unwrap();
    hook
}

/// The tick of a minute, by a function that has just started.
async fn cold_tick(world: &World, minute: u64) -> Report {
    tick(&scaler(world, &ours()), world, minute).await
}

pub(super) fn outcomes(report: &Report) -> Vec<HookOutcome> {
    report.draining.iter().map(|hook| hook.outcome).collect()
}

fn why(report: &Report) -> &str {
    report.draining[0].why.as_deref().unwrap()
}

#[tokio::test(start_paused = true)]
async fn ticks_hold_the_hook_while_tasks_run_and_complete_it_when_they_have_ended() {
    let (world, arn) = held_world().await;
    let drained = notice(&world, &ours(), TERMINATE).await;
    assert!(drained.hook.unwrap().watched);
    for minute in 1..=5 {
        let report = cold_tick(&world, minute).await;
        assert_eq!(outcomes(&report), [HookOutcome::Held]);
        assert_eq!(why(&report), "3 tasks of ours have not ended");
        assert_eq!(u64::from(only_hook(&world).heartbeats), minute);
    }
    world.all_stop();
    let last = cold_tick(&world, 6).await;
    assert_eq!(outcomes(&last), [HookOutcome::Completed]);
    assert_eq!(only_hook(&world).result.as_deref(), Some("CONTINUE"));
    assert_eq!(status(&world, &arn), "DRAINING", "until Auto Scaling terminates it");

    world.take_calls();
    assert_eq!(outcomes(&cold_tick(&world, 7).await), []);
    assert_eq!(world.count(HEARTBEAT) + world.count(COMPLETE), 0, "it is asked once");
}

/// A busy tick has read its tasks already.
#[tokio::test(start_paused = true)]
async fn what_a_tick_has_seen_there_needs_no_call_of_its_own() {
    let (world, _) = held_world().await;
    let _ = notice(&world, &ours(), TERMINATE).await;
    world.queue("a").visible(3);
    world.take_calls();
    let report = cold_tick(&world, 1).await;
    assert_eq!(why(&report), "3 tasks of ours have not ended");
    let lists = world.take_calls().into_iter().filter(|call| call.operation == "ListTasks");
    assert!(lists.into_iter().all(|call| call.input.get("containerInstance").is_none()));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_on_its_way_out_holds_its_instance() {
    let (world, _) = held_world().await;
    let _ = notice(&world, &ours(), TERMINATE).await;
    world.all_are_stopping();
    for (minute, messages) in [(1, 0), (2, 3)] {
        world.queue("a").visible(messages);
        let report = cold_tick(&world, minute).await;
        assert_eq!(why(&report), "3 tasks of ours have not ended");
    }
    world.all_stop();
}

#[tokio::test(start_paused = true)]
async fn an_instance_without_tasks_is_held_for_five_minutes_as_lists_lag() {
    let (world, _) = held_world().await;
    world.all_stop();
    world.reach(Duration::from_secs(30)).await;
    let _ = notice(&world, &ours(), TERMINATE).await;
    for minute in 1..=5 {
        let report = cold_tick(&world, minute).await;
        assert_eq!(outcomes(&report), [HookOutcome::Held]);
        let told = "it has been draining for less than five minutes, and ECS's lists may lag";
        assert_eq!(why(&report), told);
    }
    assert_eq!(outcomes(&cold_tick(&world, 6).await), [HookOutcome::Completed]);
}

#[tokio::test(start_paused = true)]
async fn a_call_without_an_answer_may_have_started_tasks_there() {
    let (world, _) = held_world().await;
    world.all_stop();
    let function = scaler(&world, &ours());
    world.queue("a").visible(1);
    world.fail("RunTask", 3, Fault::Hang(Executed::No));
    let _ = tick(&function, &world, 1).await;
    let _ = notice(&world, &ours(), TERMINATE).await;
    for minute in 3..=5 {
        let report = tick(&function, &world, minute).await;
        assert_eq!(why(&report), "a RunTask call without an answer may have started tasks there");
    }
    let report = tick(&function, &world, 7).await; // the call's five minutes are over
    assert_eq!(outcomes(&report), [HookOutcome::Completed]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_never_means_that_nothing_runs_there() {
    for operation in ["ListTasks", "DescribeTasks"] {
        let (world, _) = held_world().await;
        let _ = notice(&world, &ours(), TERMINATE).await;
        world.reach(Duration::from_mins(6)).await;
        world.fail(operation, 1, denied());
        let event = json!({"scheduledTime": "2026-11-20T21:06:00Z"});
        let error =
            scaler(&world, &ours()).run(&event, &invocation(&world), |_| ()).await.unwrap_err();
        assert!(matches!(error, RunError::Done { .. }), "{error:?}");
        assert!(error.to_string().contains(INSTANCE), "{error}");
        let hook = only_hook(&world);
        assert_eq!((hook.heartbeats, hook.result), (1, None), "{operation}: it is held");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cluster_whose_instances_cannot_be_read_is_told_and_its_workers_are_served() {
    let (world, _) = held_world().await;
    world.queue("a").visible(3);
    world.fail("ListContainerInstances", 1, denied());
    let report = cold_tick(&world, 1).await;
    assert_eq!(outcomes(&report), [HookOutcome::Failed]);
    assert_eq!(report.totals.launched_tasks.0, 1);
    let failure = report.failure().unwrap();
    assert!(failure.starts_with("lifecycle hook, jobs: ListContainerInstances"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_is_over_is_told_once() {
    let (world, _) = held_for(Duration::from_secs(30)).await;
    let _ = notice(&world, &ours(), TERMINATE).await;
    let report = cold_tick(&world, 1).await;
    assert_eq!(outcomes(&report), [HookOutcome::Over]);
    assert!(why(&report).contains("No active Lifecycle Action found"), "{}", why(&report));
    assert_eq!(report.failure(), None);
    assert_eq!(outcomes(&cold_tick(&world, 2).await), []);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_of_a_completion_is_a_completion() {
    let (world, _) = held_world().await;
    let _ = notice(&world, &ours(), TERMINATE).await;
    world.all_stop();
    world.fail(COMPLETE, 1, Fault::LostAnswer);
    let report = cold_tick(&world, 6).await;
    assert_eq!((outcomes(&report), report.failure()), (vec![HookOutcome::Over], None));
    assert_eq!(only_hook(&world).result.as_deref(), Some("CONTINUE"));
}

/// The event comes again, to another process.
#[tokio::test(start_paused = true)]
async fn a_crash_between_draining_and_marking_is_made_good_by_the_events_repetition() {
    for executed in [Executed::Yes, Executed::No] {
        for call in 0..7 {
            let (world, arn) = held_world().await;
            world.crash_at(call, executed);
            let first = scaler(&world, &ours());
            let of = invocation(&world);
            let event = crate::events::payload(TERMINATE);
            tokio::select! {
                ended = first.run(&event, &of, |_| ()) => panic!("{ended:?}"),
                () = world.crashed() => {}
            }
            let again =
                Scaler { aws: Aws::new(&world.seen_by(2).sdk_config()), ..scaler(&world, &ours()) };
            let _ = again.run(&event, &of, |_| ()).await.unwrap();
            assert_eq!(status(&world, &arn), "DRAINING", "call {call}");
            let third = world.seen_by(3);
            let report = tick(&scaler(&third, &ours()), &third, 1).await;
            assert_eq!(outcomes(&report), [HookOutcome::Held], "call {call}");
            world.all_stop();
            let report = tick(&scaler(&third, &ours()), &third, 6).await;
            assert_eq!(outcomes(&report), [HookOutcome::Completed], "call {call}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_hook_is_left_alone_and_costs_no_call() {
    let (world, arn) = held_world().await;
    for (config, told) in [
        (workers(), "draining.lifecycleHook names none"),
        (with_hook("another"), "somebody else's: draining.lifecycleHook names `another`"),
    ] {
        let hook = notice(&world, &config, TERMINATE).await.hook.unwrap();
        assert!(!hook.watched && hook.why.as_ref().unwrap().contains(told), "{hook:?}");
    }
    assert_eq!(world.described_instance(&arn)["tags"], json!([]));
    world.take_calls();
    let report = tick(&scaler(&world, &workers()), &world, 1).await;
    assert_eq!((report.draining, world.count("ListContainerInstances")), (vec![], 0));
}

#[tokio::test(start_paused = true)]
async fn a_group_whose_name_fits_no_tag_is_told_and_its_instance_drained() {
    let (world, arn) = held_world().await;
    let mut event = crate::events::payload(TERMINATE);
    event["detail"]["AutoScalingGroupName"] = json!("jobs & more");
    let function = scaler(&world, &ours());
    let error = function.run(&event, &invocation(&world), |_| ()).await.unwrap_err().to_string();
    assert!(error.contains("`jobs & more` cannot be the value of a tag"), "{error}");
    assert_eq!(status(&world, &arn), "DRAINING");
    world.fail("TagResource", 1, denied());
    let message = failure(&world, &ours(), TERMINATE).await;
    assert!(message.contains("TagResource of arn:aws:ecs:"), "{message}");
}

/// Each has a hook of its own: Auto Scaling waits for both.
#[tokio::test(start_paused = true)]
async fn two_deployments_hold_their_own_hooks_on_one_instance() {
    let (world, _) = held_world().await;
    world.hook("jobs", "theirs", INSTANCE);
    let other = |config: &Value| Scaler {
        name: ScalerName::parse("team/b").unwrap(),
        ..scaler(&world, config)
    };
    let mut event = crate::events::payload(TERMINATE);
    let _ = notice(&world, &ours(), TERMINATE).await;
    event["detail"]["LifecycleHookName"] = json!("theirs");
    let theirs = with_hook("theirs");
    let _ = other(&theirs).run(&event, &invocation(&world), |_| ()).await.unwrap();
    assert_eq!(outcomes(&cold_tick(&world, 6).await), [HookOutcome::Held]);
    assert_eq!(outcomes(&tick(&other(&theirs), &world, 6).await), [HookOutcome::Completed]);
    let results: Vec<_> = world.hooks().into_iter().map(|hook| hook.result.is_some()).collect();
    assert_eq!(results, [false, true]);
}

#[tokio::test(start_paused = true)]
async fn a_dry_tick_says_how_it_would_answer() {
    let (world, _) = held_world().await;
    let _ = notice(&world, &ours(), TERMINATE).await;
    let dry = Scaler { mode: Mode::DryRun, ..scaler(&world, &ours()) };
    world.take_calls();
    let changes = world.changes();
    let report = tick(&dry, &world, 1).await;
    assert_eq!(outcomes(&report), [HookOutcome::Planned]);
    assert_eq!(why(&report), "3 tasks of ours have not ended");
    assert_eq!(world.count("ListTasks"), 2, "it looks as another tick does");
    world.all_stop();
    let report = tick(&dry, &world, 6).await;
    assert_eq!(outcomes(&report), [HookOutcome::Planned]);
    assert_eq!(why(&report), "no task of ours is there any more");
    assert_eq!((world.changes(), only_hook(&world).heartbeats), (changes, 0));
    world.fail("ListTasks", 2, denied());
    let report = tick(&dry, &world, 7).await;
    assert_eq!(outcomes(&report), [HookOutcome::Failed]);
}

/// Of an invocation's many looks one is enough.
#[tokio::test(start_paused = true)]
async fn polls_send_one_heartbeat_an_invocation() {
    let (world, _) = held_world().await;
    let _ = notice(&world, &ours(), TERMINATE).await;
    let mut config = ours();
    config["pollEvery"] = json!("10s");
    world.reach(Duration::from_mins(1)).await;
    let event = json!({"scheduledTime": "2026-11-20T21:01:00Z"});
    let _ = scaler(&world, &config).run(&event, &invocation(&world), |_| ()).await.unwrap();
    assert_eq!(only_hook(&world).heartbeats, 1);
}

/// The gap looks like an instance on which nothing runs.
#[tokio::test(start_paused = true)]
async fn a_hook_is_not_completed_where_a_list_is_missing() {
    for operation in ["ListTasks", "ListContainerInstances", "DescribeContainerInstances"] {
        let (world, _) = held_world().await;
        let _ = notice(&world, &ours(), TERMINATE).await;
        world.fail(operation, 99, Fault::Answer(json!({})));
        for minute in 6..=8 {
            let _ = cold_tick(&world, minute).await;
        }
        assert_eq!(only_hook(&world).result, None, "{operation}");
        world.forget_faults();
        assert_eq!(why(&cold_tick(&world, 9).await), "3 tasks of ours have not ended");
    }
}

/// Auto Scaling has not heard of it.
#[tokio::test(start_paused = true)]
async fn a_page_in_the_place_of_auto_scaling_completes_nothing() {
    let (world, _) = held_world().await;
    let _ = notice(&world, &ours(), TERMINATE).await;
    world.all_stop();
    let page = Fault::Foreign(200, ("content-type", "text/html"), "<html>Log in</html>");
    world.fail(COMPLETE, 1, page);
    let report = cold_tick(&world, 6).await;
    assert!(report.draining[0].errors[0].contains("HTTP 200 with a page"), "{report:?}");
    assert_eq!(only_hook(&world).result, None);
    assert_eq!(outcomes(&cold_tick(&world, 7).await), [HookOutcome::Completed]);
}
