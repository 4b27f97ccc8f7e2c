//! Messages that wait: hours in the life of one worker, a tick a minute, with the referee looking on.
//! What starved workers silently, situation by situation, and the alarm that must tell of it.

mod alarm;
mod mended;
mod situations;

use std::time::Duration;

use ecs_queue_scaler::report::{Report, WaitsFor};
use ecs_queue_scaler::run::Scaler;
use serde_json::{Value, json};

use crate::tick::{config, definition, invocation, scaler, ticked, worker, world_of};
use crate::world::World;
use crate::world::life::{Habit, Jobs, Life};
use crate::world::watch::{Bounds, Rule};

/// A job of about ten seconds.
const SHORT: (u64, u64) = (9_000, 11_000);

fn one_shot(lasts: (u64, u64)) -> Jobs {
    Jobs { lasts, habit: Habit::OneShot, ..Jobs::default() }
}

/// A worker and its world.
struct Play {
    world: World,
    function: Scaler,
    /// Minutes that are over.
    minute: u64,
    /// Whether the function is frozen between its invocations.
    freezes: bool,
    told: Told,
}

/// What was seen.
#[derive(Debug, Default)]
struct Told {
    /// Containers started, minute by minute.
    launched: Vec<u32>,
    /// Whether the worker was told as not served, minute by minute.
    not_served: Vec<bool>,
    waits_for: Vec<Vec<WaitsFor>>,
    /// What the referee found: the minute, the kind, the words.
    found: Vec<(u64, &'static str, String)>,
}

/// What a worker is.
struct Of {
    scaling: Value,
    packing: Value,
    jobs: Jobs,
    rule: Rule,
    definition: Value,
    more: Value,
}

impl Default for Of {
    /// One message a container, one container a task.
    fn default() -> Self {
        Self {
            scaling: json!({"messagesPerContainer": 1}),
            packing: json!({"maxContainersPerTask": 1, "maxTasks": 200}),
            jobs: Jobs::default(),
            rule: Rule::PerContainer(1),
            definition: definition("thumbnail"),
            more: json!({}),
        }
    }
}

impl Of {
    fn play(self) -> Play {
        let world = world_of(&["thumbnail"]);
        world.register(&self.definition);
        if self.jobs.redrive.is_none() {
            world.queue("thumbnail").without("RedrivePolicy");
        }
        let mut worker = worker("thumbnail", &self.scaling, &self.packing);
        worker.as_object_mut().unwrap().extend(self.more.as_object().unwrap().clone());
        let document = config(&[worker]);
        let seconds = |text: &Value| text.as_str().map(|text| text.trim_end_matches('s').parse());
        let stuck_after = seconds(&self.scaling["stuckAfter"]).map_or(900, Result::unwrap);
        let bounds = Bounds {
            max_containers: self.scaling["maxContainers"].as_u64().unwrap_or(100),
            min_containers: self.scaling["minContainers"].as_u64().unwrap_or(0),
            per_message: 1,
            stuck_after: 1000 * stuck_after,
        };
        let mut life = Life::new(7);
        life.worker("thumbnail", self.jobs);
        {
            let mut state = world.state();
            state.life = Some(life);
            state.watch.bounds.insert("thumbnail".to_owned(), bounds);
            state.watch.waiting.rules.insert("thumbnail".to_owned(), (self.rule, 1));
        }
        let function = scaler(&world.seen_by(1), &document);
        Play { world, function, minute: 0, freezes: false, told: Told::default() }
    }
}

impl Play {
    /// Changes what goes on in the world.
    fn life(&self, change: impl FnOnce(&mut Life)) {
        change(self.world.state().life.as_mut().unwrap());
    }

    /// So many messages now.
    fn send(&self, messages: u64) {
        let now = self.world.state().millis();
        self.life(|life| life.arrive(now, "thumbnail", (messages, false)));
    }

    /// So many messages a minute, for so many minutes from now.
    fn send_steadily(&self, messages: u64, minutes: u64) {
        let now = self.world.state().millis();
        let every = 60_000 / messages;
        self.life(|life| {
            for number in 0..messages * minutes {
                life.arrive(now + 1 + number * every, "thumbnail", (1, false));
            }
        });
    }

    async fn minutes(&mut self, minutes: u64) {
        for _ in 0..minutes {
            self.tick().await;
        }
    }

    /// The tick of the next minute.
    async fn tick(&mut self) {
        let due = Duration::from_secs(60 * self.minute);
        if self.freezes {
            self.world.frozen_until(due);
        } else {
            self.world.reach(due).await;
        }
        self.world.catch_up();
        let tick = jiff::Timestamp::from_second(self.world.now().as_second()).unwrap();
        let now = self.world.state().millis();
        {
            let mut state = self.world.state();
            state.watch.begin(1, Some(tick), now);
            state.watch.waiting.ends = now + 60_000;
        }
        let event = json!({"scheduledTime": tick.to_string()});
        let of = invocation(&self.world);
        let report = ticked(&self.function, &event, &of).await;
        let now = self.world.state().millis();
        let mut state = self.world.state();
        let before = state.watch.violations.len();
        state.watch.report(1, &report, now);
        state.watch_waiting(1, &report);
        let found = state.watch.violations[before..].to_vec();
        drop(state);
        let minute = self.minute;
        self.told.found.extend(found.into_iter().map(|(kind, what)| (minute, kind, what)));
        self.told.add(&report);
        self.minute += 1;
    }

    fn done(&self) -> u64 {
        self.world.state().life.as_ref().unwrap().done("thumbnail")
    }

    fn started(&self) -> u32 {
        self.told.launched.iter().sum()
    }

    /// Nothing that the referee found is fine.
    #[track_caller]
    fn is_clean(&self) {
        let found = &self.told.found;
        assert!(found.is_empty(), "{} found, the first: {:?}", found.len(), found.first());
    }
}

impl Told {
    fn add(&mut self, report: &Report) {
        let worker = &report.workers[0];
        let containers = worker.launched.iter().map(|l| l.count.0 * l.containers_per_task.0);
        self.launched.push(containers.sum());
        self.not_served.push(worker.is_not_served());
        self.waits_for.push(worker.waits_for.clone());
    }

    /// Whether `NotServedAlarm` has gone off: three minutes in a row.
    fn has_alarmed(&self) -> bool {
        self.not_served.windows(3).any(|three| three.iter().all(|not_served| *not_served))
    }
}
