//! How near launching comes to the least time that AWS's documented rates allow, in virtual time.
//!
//! The floor: 100 tasks are accepted at once and then 20 a second (Fargate On-Demand), in whole calls
//! of ten, as soon as the bucket holds them; the last call's answer takes 1.1 s more. What is taken is
//! the time from the event to the last answer.
//! Source of the rates: `world/buckets.rs`, which enforces them. `RunTask` of ten Fargate tasks taking
//! about 1.1 s: a public launcher's log (gchq/sleeper, issue 904).

use std::time::Duration;

use decision::units::Tasks;
use ecs_queue_scaler::report::Report;
use ecs_queue_scaler::run::{Invocation, Scaler};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::soak::say;
use crate::tick::{config, scaler, tick, ticked, worker, world_of};
use crate::world::World;
use crate::world::buckets::Buckets;

const RUN_TASK: Duration = Duration::from_millis(1100);

/// What is asked of one worker.
#[derive(Clone, Copy)]
struct Burst {
    containers: u32,
    per_task: u32,
}

impl Burst {
    fn tasks(self) -> u32 {
        self.containers.div_ceil(self.per_task)
    }

    /// The last call's tasks are there when the bucket has given all of them.
    fn floor(self) -> Duration {
        Duration::from_secs_f64(f64::from(self.tasks().saturating_sub(100)) / 20.0) + RUN_TASK
    }

    fn world(self) -> (World, Value) {
        let world = world_of(&["export"]);
        world.queue("export").visible(u64::from(self.containers));
        world.state().buckets = Some(Buckets::new(0.0));
        world.takes("RunTask", RUN_TASK);
        let scaling = json!({"messagesPerContainer": 1, "maxContainers": self.containers});
        let packing = json!({"strategy": "dense", "maxContainersPerTask": self.per_task,
            "maxTasks": self.tasks()});
        let mut config = config(&[worker("export", &scaling, &packing)]);
        config["maxTasksPerTick"] = json!(100_000);
        config["maxTasksPerHour"] = json!(100_000);
        (world, config)
    }
}

/// One invocation with the most time that Lambda gives.
async fn in_one_invocation(burst: Burst) -> Launched {
    let (world, config) = burst.world();
    let began = Instant::now();
    let deadline = world.now() + Duration::from_mins(15);
    let deadline = u64::try_from(deadline.as_millisecond()).unwrap();
    let invocation = Invocation::new("request", world.now(), deadline);
    let function: Scaler = scaler(&world, &config);
    let report = ticked(&function, &json!({"dryRun": false}), &invocation).await;
    let took = began.elapsed();
    assert_eq!(report.totals.launched_tasks, Tasks(burst.tasks()));
    Launched { took, refused: world.state().watch.throttled }
}

/// As the template deploys it: every minute an invocation that may take one, and starts no call in
/// its last five seconds, in which the bucket refills.
async fn as_deployed(burst: Burst) -> Launched {
    let (world, config) = burst.world();
    let function = scaler(&world, &config);
    let began = Instant::now();
    let mut started = 0;
    for minute in 0..60 {
        let report: Report = tick(&function, &world, minute).await;
        started += report.totals.launched_tasks.0;
        if started == burst.tasks() {
            let took = began.elapsed();
            return Launched { took, refused: world.state().watch.throttled };
        }
    }
    panic!("{started} tasks in an hour");
}

/// What a burst came to.
struct Launched {
    took: Duration,
    /// Calls that met a rate.
    refused: u64,
}

fn told(burst: Burst, way: &str, launched: &Launched) -> f64 {
    let Launched { took, refused } = launched;
    let Burst { containers, per_task } = burst;
    let (tasks, floor) = (burst.tasks(), burst.floor());
    let percent = 100.0 * floor.as_secs_f64() / took.as_secs_f64();
    say(&format!(
        "| {containers} | {per_task} | {tasks} | {way} | {:.1} | {:.1} | {refused} | {percent:.1} % |",
        floor.as_secs_f64(),
        took.as_secs_f64(),
    ));
    percent
}

/// The bounds are what is reached, a little below: the first call of a worker goes alone, which
/// costs a small launch more of its time than a large one.
#[tokio::test(start_paused = true)]
async fn launching_is_nearly_as_fast_as_the_rates_allow() {
    say(
        "| containers | in a task | tasks | invocations | floor s | taken s | calls refused | floor ÷ taken |",
    );
    say("|---:|---:|---:|---|---:|---:|---:|---:|");
    for (containers, per_task, least) in [(1000, 1, 97.9), (1000, 5, 85.0), (10_000, 1, 99.0)] {
        let burst = Burst { containers, per_task };
        let percent = told(burst, "one", &in_one_invocation(burst).await);
        assert!(least <= percent, "{containers} containers: {percent} %");
    }
    let burst = Burst { containers: 10_000, per_task: 1 };
    let percent = told(burst, "one a minute", &as_deployed(burst).await);
    assert!(95.0 <= percent, "as deployed: {percent} %");
}
