//! Seeds of workers that work for hours: of every kind, by every rule, a few things going wrong.

use std::collections::BTreeMap;

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::super::number;
use super::{Delivery, MINUTE, Scenario, pick};
use crate::tick::{config, definition, worker};
use crate::world::life::{Habit, Jobs, Life};
use crate::world::watch::{Bounds, Rule, Shared};
use crate::world::weather::{Likely, Weather};
use crate::world::{State, World};

/// What tells its draws from those of the other family.
const OWN: u64 = 0x0077_6f72;

const NAMES: [&str; 3] = ["alpha", "beta", "gamma"];

/// After the last message, so long a time is enough to process everything.
const CALM: u64 = 16 * 60 * MINUTE;

/// What workers are called where something goes wrong, whatever their kind.
pub(crate) const TROUBLED: &str = "any, while something goes wrong";

/// A kind of worker: what it is called, what its containers do, and how long its jobs last.
type Kind = (&'static str, Habit, (u64, u64));

const SECONDS: (u64, u64) = (3_000, 20_000);
const MINUTES: (u64, u64) = (60_000, 900_000);
const HOURS: (u64, u64) = (1_200_000, 7_200_000);

const KINDS: [Kind; 18] = [
    ("loops, seconds", Habit::Loops, SECONDS),
    ("loops, minutes", Habit::Loops, MINUTES),
    ("loops, hours", Habit::Loops, HOURS),
    ("loops, a fifth crashes", Habit::Loops, MINUTES),
    ("one-shot, seconds", Habit::OneShot, SECONDS),
    ("one-shot, minutes", Habit::OneShot, MINUTES),
    ("one-shot, hours", Habit::OneShot, HOURS),
    ("closed loop", Habit::OneShot, SECONDS),
    ("prefetches five", Habit::Prefetches(5), SECONDS),
    ("deletes first", Habit::DeletesFirst, SECONDS),
    ("FIFO, a container a group", Habit::Loops, SECONDS),
    ("FIFO, groups not told", Habit::Loops, SECONDS),
    ("loops, one in twenty hangs", Habit::Loops, MINUTES),
    ("never exits", Habit::Stays, SECONDS),
    ("loops, poison among it", Habit::Loops, SECONDS),
    ("one-shot, poison among it", Habit::OneShot, SECONDS),
    ("hangs", Habit::Hangs, SECONDS),
    ("exits at once", Habit::ExitsAtOnce, SECONDS),
];

/// So many of them, the first ones, do what `docs/workers.md` asks of them, more or less.
const WELL: usize = 11;

/// `maxContainers` where it is not written.
const UNWRITTEN: u64 = 100;

/// Whether anything goes wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sky {
    Calm,
    Troubled,
}

impl Scenario {
    /// What a seed of workers that work for hours stands for.
    pub(crate) fn at_work(seed: u64, world: &World) -> Self {
        let mut rng = Rng::with_seed(seed ^ OWN);
        let rng = &mut rng;
        let is_long = seed % 50 == 49 || number("LONG").is_some();
        // Ten seconds are those of `pollEvery`: six times as many ticks, and less of everything else.
        let period = if is_long { 60 } else { pick(rng, &[60, 60, 60, 60, 300, 10]) } * 1000;
        let (ends, polls) = match period {
            _ if is_long => (24 * 60, None),
            10_000 => (rng.u64(30..60), Some(period)),
            _ => (rng.u64(60..180), None),
        };
        let ends = ends * MINUTE;
        world.cluster("jobs");
        world.cluster("others");
        let mut life = Life::new(rng.u64(..));
        life.lag = pick(rng, &[0, 0, 5_000]);
        life.calm_at = ends;
        life.one_by_one = true;
        let mut workers = Vec::new();
        let mut kinds = BTreeMap::new();
        for name in &NAMES[..rng.usize(1..=NAMES.len())] {
            let kind = pick(rng, &KINDS);
            kinds.insert((*name).to_owned(), kind.0);
            workers.push(any_worker(rng, world, (&mut life, name), (kind, ends)));
        }
        let mut config = config(&workers);
        if let Some(every) = polls {
            config["pollEvery"] = json!(format!("{}s", every / 1000));
        }
        let discovers = rng.u8(0..4) == 0;
        let per_hour = 10_000;
        config["maxTasksPerTick"] = json!(1000);
        config["maxTasksPerHour"] = json!(per_hour);
        if rng.u8(0..4) == 0 {
            config["registration"] = json!("off");
        }
        let discovers = discovers.then(|| tag_all_but_one(world, &config));
        let mut state = world.state();
        state.watch.shared = Some(Shared { per_tick: 1000, per_hour, max_event_age: 5 * MINUTE });
        state.watch.waiting.period = period;
        state.life = Some(life);
        let sky = pick(rng, &[Sky::Calm, Sky::Troubled]);
        state.weather = Some(any_weather(rng, ends, sky));
        drop(state);
        let is_well = |kind: &&str| KINDS[..WELL].iter().any(|(name, ..)| name == kind);
        let all_work_well = kinds.values().all(is_well);
        // Who waits for what goes wrong is not compared with who waits for nothing.
        for kind in kinds.values_mut().filter(|_| sky == Sky::Troubled) {
            *kind = TROUBLED;
        }
        let deliveries = deliveries(rng, (ends, period.max(MINUTE)), sky);
        let plain = Self::plain(config, deliveries, ends);
        let must_drain = !has_misjudged(&world.state(), kinds.keys());
        Self { must_drain, kinds, freezes: rng.bool(), discovers, all_work_well, polls, ..plain }
    }
}

/// Whether a policy counts on more from a one-shot container than the message that it takes: what such a
/// worker gets is told, and may be too little to be done in time.
fn has_misjudged<'a>(state: &State, mut workers: impl Iterator<Item = &'a String>) -> bool {
    workers.any(|name| {
        let jobs = state.life.as_ref().and_then(|life| life.jobs(name));
        let (rule, _) = &state.watch.waiting.rules[name];
        jobs.is_some_and(|jobs| !rule.suits(&jobs))
    })
}

/// The tags that describe a worker, and where that is in its document.
const TAGS: [(&str, &str); 14] = [
    ("worker", "/name"),
    ("task-definition", "/taskDefinition"),
    ("cluster", "/cluster"),
    ("container", "/container"),
    ("messages-per-container", "/scaling/messagesPerContainer"),
    ("drain-target", "/scaling/drainWithin/target"),
    ("seconds-per-message", "/scaling/drainWithin/secondsPerMessage"),
    ("max-containers", "/scaling/maxContainers"),
    ("in-flight-per-container", "/scaling/inFlightPerContainer"),
    ("stuck-after", "/scaling/stuckAfter"),
    ("strategy", "/packing/strategy"),
    ("max-containers-per-task", "/packing/maxContainersPerTask"),
    ("max-tasks", "/packing/maxTasks"),
    ("count-delayed", "/scaling/countDelayed"),
];

/// All workers but the first are described by the tags of their queues, where tags can say it all.
fn tag_all_but_one(world: &World, config: &Value) -> Value {
    let mut config = config.clone();
    let all = config["workers"].as_array().unwrap().clone();
    let can_be_told = |worker: &&Value| {
        let untold = ["steps", "minContainers", "idleAfter", "progressBrake"];
        untold.iter().all(|key| worker["scaling"].get(*key).is_none())
    };
    let (tagged, written): (Vec<_>, Vec<_>) =
        all.iter().enumerate().partition(|(place, worker)| 0 < *place && can_be_told(worker));
    for (_, worker) in tagged {
        let told = TAGS.iter().filter_map(|(tag, place)| {
            let value = worker.pointer(place)?;
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            Some((format!("ecs-queue-scaler:{tag}"), text))
        });
        let own = std::iter::once(("ecs-queue-scaler".to_owned(), "true".to_owned()));
        let tags: Vec<_> = own.chain(told).collect();
        let tags: Vec<_> = tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        world.tag_queue(worker["queue"].as_str().unwrap(), &tags);
    }
    config["workers"] = written.into_iter().map(|(_, worker)| worker.clone()).collect();
    config["discover"] = json!({"tag": "ecs-queue-scaler"});
    config
}

/// A family of which every third has a sidecar that is not essential.
fn any_definition(rng: &mut Rng, family: &str) -> Value {
    let mut definition = definition(family);
    if rng.u8(0..3) == 0 {
        definition["memory"] = json!("1024");
        let sidecar =
            json!({"name": "agent", "image": "agent:1", "essential": false, "memory": 256});
        definition["containerDefinitions"].as_array_mut().unwrap().push(sidecar);
    }
    definition
}

/// Only Spot takes tasks away where it is calm.
fn any_weather(rng: &mut Rng, ends: u64, sky: Sky) -> Weather {
    let mut weather = Weather::new(rng.u64(..), ends);
    let mut up_to = |most: f64| if rng.bool() { 0.0 } else { most * rng.f64() };
    weather.likely.interrupted = up_to(0.1);
    if sky == Sky::Troubled {
        let likely = weather.likely;
        weather.likely = Likely {
            throttled: up_to(0.05),
            failed: up_to(0.02),
            lost: up_to(0.02),
            partial: up_to(0.2),
            stuck: up_to(0.05),
            ..likely
        };
    }
    weather
}

fn any_jobs(rng: &mut Rng, (kind, habit, lasts): Kind, ends: u64) -> Jobs {
    Jobs {
        lasts,
        visibility: lasts.1 + 60_000,
        redrive: Some(10),
        startup: pick(rng, &[(10_000, 20_000), (20_000, 50_000)]),
        habit,
        hanging: if kind.contains("one in twenty hangs") { 50 } else { 0 },
        crashing: if kind.contains("crashes") { 200 } else { 0 },
        groups: if kind.starts_with("FIFO") { rng.u64(1..8) } else { 0 },
        closed_until: if kind == "closed loop" { ends } else { 0 },
    }
}

fn any_worker(
    rng: &mut Rng,
    world: &World,
    (life, name): (&mut Life, &str),
    ((kind, habit, lasts), ends): (Kind, u64),
) -> Value {
    world.register(&any_definition(rng, name));
    let is_fifo = kind.starts_with("FIFO");
    let is_told = !kind.contains("not told");
    let queue = if is_fifo { format!("{name}.fifo") } else { name.to_owned() };
    drop(world.queue(&queue));
    let jobs = any_jobs(rng, (kind, habit, lasts), ends);
    let max = match (is_fifo, is_told) {
        (true, true) => jobs.groups,
        (true, false) => UNWRITTEN,
        (false, _) => rng.u64(5..60),
    };
    life.worker(name, jobs);
    arrive(rng, (life, name), (&jobs, max.min(60)), ends);
    if kind.contains("poison") {
        life.arrive(rng.u64(0..ends), name, (rng.u64(1..=3), true));
    }
    let (mut scaling, rule) = any_rule(rng, &jobs);
    if is_told {
        scaling["maxContainers"] = json!(max);
    }
    if habit == Habit::DeletesFirst {
        trust(&mut scaling);
    }
    if rng.u8(0..4) == 0 {
        scaling["countDelayed"] = json!(true);
    }
    if rng.u8(0..4) == 0 && !is_fifo {
        scaling["inFlightPerContainer"] = json!(pick(rng, &[1, 5]));
    }
    let holds = scaling["inFlightPerContainer"].as_u64().unwrap_or(1);
    // A task of several containers is another matter where tasks are counted.
    let packing = match rng.u8(0..3) {
        0 if !matches!(rule, Rule::Tasks(..)) => {
            json!({"strategy": "dense", "maxContainersPerTask": 3, "maxTasks": 40})
        }
        _ => json!({"maxContainersPerTask": 1, "maxTasks": 60}),
    };
    let minimum = if !is_fifo && rng.u8(0..8) == 0 { 2 } else { 0 };
    if minimum != 0 {
        scaling["minContainers"] = json!([any_window(rng, minimum)]);
    }
    let stuck_after = pick(rng, &[300, 900]);
    scaling["stuckAfter"] = json!(format!("{stuck_after}s"));
    let bounds = Bounds {
        max_containers: max,
        min_containers: minimum,
        per_message: 1,
        stuck_after: 1000 * stuck_after,
    };
    let mut state = world.state();
    state.watch.bounds.insert(name.to_owned(), bounds);
    state.watch.waiting.rules.insert(name.to_owned(), (rule, holds));
    drop(state);
    let mut worker = worker(name, &scaling, &packing);
    worker["queue"] = json!(queue);
    worker["container"] = json!("worker");
    if rng.u8(0..3) == 0 {
        worker["cluster"] = json!("others");
    }
    worker
}

fn any_window(rng: &mut Rng, containers: u64) -> Value {
    let hours = pick(rng, &["21", "22", "*/6"]);
    let cron = format!("10 {hours} * * *");
    json!({"cron": cron, "for": "1h", "timeZone": "UTC", "containers": containers})
}

/// A steady load that the worker can bear, and a burst now and then.
fn arrive(rng: &mut Rng, (life, name): (&mut Life, &str), (jobs, max): (&Jobs, u64), ends: u64) {
    if jobs.closed_until != 0 {
        life.arrive(rng.u64(0..MINUTE), name, (1, false));
        return;
    }
    // What lasts a second costs a one-shot container a start and a tick.
    let lasts = jobs.lasts.0.midpoint(jobs.lasts.1) + 70_000;
    let most = 1 + max * ends / lasts / 4;
    let messages = rng.u64(1..=most.min(2_000));
    for _ in 0..messages {
        let at = rng.u64(0..ends);
        if rng.u8(0..10) == 0 {
            life.delay(at, name, (1, rng.u64(1_000..300_000)));
        } else {
            life.arrive(at, name, (1, false));
        }
    }
    for _ in 0..rng.u64(0..4) {
        life.arrive(rng.u64(0..ends), name, (rng.u64(1..=1 + max / 2), false));
    }
}

/// As `docs/workers.md` asks of workers whose messages are not in flight while they work.
fn trust(scaling: &mut Value) {
    scaling["idleAfter"] = json!("off");
    scaling["progressBrake"] = json!(false);
}

fn any_rule(rng: &mut Rng, jobs: &Jobs) -> (Value, Rule) {
    let simple = 0 < jobs.groups || jobs.closed_until != 0;
    match if simple { 0 } else { rng.u8(0..6) } {
        4 => {
            let each = jobs.lasts.1.div_ceil(1000);
            let within = pick(rng, &[300, 600, 1200]);
            let drain = json!({"target": format!("{within}s"), "secondsPerMessage": each});
            (json!({"drainWithin": drain}), Rule::Drain(within, each))
        }
        5 => {
            let steps = [(1, 2), (5, 5), (20, 12), (60, 40)];
            let of = pick(rng, &["containers", "tasks"]);
            let told = steps.map(|(depth, n)| json!({"depth": depth, of: n}));
            let rule = match of {
                "tasks" => Rule::Tasks(steps.to_vec(), 1),
                _ => Rule::Containers(steps.to_vec()),
            };
            (json!({"steps": told}), rule)
        }
        few => {
            let each = if few == 0 || jobs.habit == Habit::OneShot { 1 } else { rng.u64(1..=4) };
            (json!({"messagesPerContainer": each}), Rule::PerContainer(each))
        }
    }
}

/// A tick a period, some of them missed, and some by a new process.
fn deliveries(rng: &mut Rng, (ends, period): (u64, u64), sky: Sky) -> Vec<Delivery> {
    let beginning: Timestamp = crate::world::BEGINNING.parse().unwrap();
    let mut up_to = |most: f64| if rng.bool() || sky == Sky::Calm { 0.0 } else { most * rng.f64() };
    let (missed, cold) = (up_to(0.1), up_to(0.02));
    let due = (0..(ends + CALM) / period).map(|number| number * period);
    let delivery = |due: u64| {
        let tick = beginning + SignedDuration::from_millis(i64::try_from(due).unwrap());
        let (is_missed, cold) = (rng.f64() < missed, rng.f64() < cold);
        let at = due + rng.u64(0..2_000);
        (!is_missed).then_some(Delivery { at, tick, overlaps: false, cold })
    };
    due.filter_map(delivery).collect()
}
