//! Instances that hooks hold are read beside everything else, and keep no launch from being made.

use std::time::Duration;

use ecs_queue_scaler::report::{HookOutcome, Report};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::hooks::{outcomes, with_hook};
use super::{INSTANCE, TERMINATE, notice, world_with_tasks};
use crate::events::payload;
use crate::tick::{invocation, scaler, tick};
use crate::world::{Executed, Fault, World};

const LATENCY: Duration = Duration::from_millis(10);

/// The machine in the other cluster.
const OTHER: &str = "i-0aaaaaaaaaaaaaaaa";

/// Two clusters with a worker each, in both of which a hook holds an instance. The one of `jobs` has
/// three tasks on it, the other none; `jobs` has one more instance.
async fn two_clusters() -> (World, Value) {
    let (world, _) = world_with_tasks().await;
    world.cluster("more");
    world.instance("more", json!({"ec2InstanceId": OTHER}));
    world.instance("jobs", json!({}));
    let mut config = by_url(with_hook("drain-workers"));
    config["workers"][1]["cluster"] = json!("more");
    for instance in [INSTANCE, OTHER] {
        world.hook("jobs", "drain-workers", instance);
    }
    for name in ["a", "b"] {
        world.queue(name).visible(0);
    }
    let _ = notice(&world, &config, TERMINATE).await;
    let mut event = payload(TERMINATE);
    event["detail"]["EC2InstanceId"] = json!(OTHER);
    let _ = scaler(&world, &config).run(&event, &invocation(&world), |_| ()).await.unwrap();
    world.take_calls();
    (world, config)
}

/// With queues whose URLs need not be found.
fn by_url(mut config: Value) -> Value {
    for worker in config["workers"].as_array_mut().unwrap() {
        let name = worker["queue"].as_str().unwrap();
        worker["queue"] =
            json!(format!("https://sqs.eu-central-1.amazonaws.com/123456789012/{name}"));
    }
    config
}

/// A tick of a process that has just started, and how many of its calls waited for one another.
async fn trips(world: &World, config: &Value, minute: u64) -> (Report, u128) {
    world.latency(LATENCY);
    world.reach(Duration::from_mins(minute)).await;
    let began = Instant::now();
    let report = tick(&scaler(world, config), world, minute).await;
    (report, began.elapsed().as_millis() / LATENCY.as_millis())
}

#[tokio::test(start_paused = true)]
async fn hooks_of_several_clusters_are_read_side_by_side() {
    let (world, config) = two_clusters().await;
    let (report, trips) = trips(&world, &config, 1).await;
    assert_eq!(outcomes(&report), [HookOutcome::Held, HookOutcome::Held]);
    assert_eq!(trips, 5, "instances, depths; describe; their tasks; describe; heartbeats");
    let calls = &report.totals.calls;
    assert_eq!((calls["ListContainerInstances"], calls["ListTasks"]), (2, 4));
}

#[tokio::test(start_paused = true)]
async fn and_beside_the_tasks_so_that_no_launch_waits_for_them() {
    let (world, config) = two_clusters().await;
    world.queue("a").visible(3);
    let (report, trips) = trips(&world, &config, 1).await;
    assert_eq!(outcomes(&report), [HookOutcome::Held, HookOutcome::Held]);
    assert_eq!(report.totals.launched_tasks.0, 1);
    assert_eq!(trips, 4, "depth; list; describe; run, and heartbeats beside: as without hooks");
}

#[tokio::test(start_paused = true)]
async fn where_no_hook_is_named_or_nothing_drains_a_busy_tick_takes_no_longer() {
    for (config, calls) in [(super::workers(), 0), (with_hook("drain-workers"), 1)] {
        let (world, _) = world_with_tasks().await;
        world.queue("a").visible(3);
        let (report, trips) = trips(&world, &by_url(config), 1).await;
        assert_eq!((report.totals.launched_tasks.0, trips), (1, 4));
        let instances = report.totals.calls.get("ListContainerInstances").copied();
        assert_eq!(instances.unwrap_or_default(), calls, "one a cluster, where a hook is named");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_read_of_what_leaves_stops_no_launch() {
    let denied = || Fault::Error(403, "AccessDeniedException", "not allowed".to_owned());
    for operation in ["ListContainerInstances", "DescribeContainerInstances"] {
        for fault in [denied(), Fault::Hang(Executed::No), Fault::Answer(json!({}))] {
            let (world, config) = two_clusters().await;
            world.queue("a").visible(3);
            world.fail(operation, 99, fault.clone());
            let (report, _) = trips(&world, &config, 6).await;
            assert_eq!(outcomes(&report), [HookOutcome::Failed; 2], "{operation}");
            assert_eq!(report.totals.launched_tasks.0, 1, "{operation}, {fault:?}");
            assert_eq!(report.totals.failed_workers, 0, "{operation}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_about_a_hook_ends_no_launch() {
    for operation in ["ListContainerInstances", "RecordLifecycleActionHeartbeat"] {
        let (world, config) = two_clusters().await;
        world.queue("a").visible(3);
        world.fail(operation, 1, Fault::Panic);
        let (report, _) = trips(&world, &config, 1).await;
        assert_eq!(outcomes(&report), [HookOutcome::Failed, HookOutcome::Held], "{operation}");
        assert_eq!(report.totals.launched_tasks.0, 1, "{operation}");
    }
}

/// Each of its calls is answered at the third attempt, which would take half a minute.
#[tokio::test(start_paused = true)]
async fn launches_wait_ten_seconds_for_what_leaves_and_a_call() {
    let (world, config) = two_clusters().await;
    world.queue("a").visible(3);
    world.all_stop();
    for operation in ["ListContainerInstances", "DescribeContainerInstances"] {
        world.fail_where(operation, "jobs", (2, Fault::Hang(Executed::No)));
    }
    world.fail_where("ListTasks", "containerInstance", (4, Fault::Hang(Executed::No)));
    let (report, _) = trips(&world, &config, 6).await;
    assert!(report.totals.milliseconds < 15_500, "{}", report.totals.milliseconds);
    assert_eq!(report.totals.failed_workers, 0);
    assert!(0 < report.totals.launched_tasks.0);
    assert_eq!(world.hooks()[0].result, None);
}

/// What stands on an instance is asked for where the tick's own tasks show nothing there.
#[tokio::test(start_paused = true)]
async fn nor_does_a_failed_read_of_what_stands_there() {
    for fault in [Fault::Hang(Executed::No), Fault::Answer(json!({}))] {
        let (world, config) = two_clusters().await;
        world.queue("a").visible(3);
        world.fail_where("ListTasks", "containerInstance", (99, fault));
        let (report, _) = trips(&world, &config, 6).await;
        assert_eq!(outcomes(&report), [HookOutcome::Held, HookOutcome::Failed]);
        assert_eq!(report.totals.launched_tasks.0, 1);
        assert!(world.hooks().iter().all(|hook| (hook.heartbeats, &hook.result) == (1, &None)));
    }
}
