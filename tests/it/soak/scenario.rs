//! What a seed stands for: workers, messages, a schedule, and trouble.

mod work;

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

pub(super) use self::work::TROUBLED;
use super::ground::Ground;
use crate::tick::{config, definition, worker};
use crate::world::World;
use crate::world::buckets::Buckets;
use crate::world::life::{Jobs, Life};
use crate::world::watch::{Bounds, Rule, Shared};
use crate::world::weather::{Likely, Spell, Weather};

const MINUTE: u64 = 60_000;

/// After the trouble, so long a time is enough to process everything.
const CALM: u64 = 180 * MINUTE;

const NAMES: [&str; 4] = ["alpha", "beta", "gamma", "delta"];

/// A schedule's event on its way.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) at: u64,
    pub(crate) tick: Timestamp,
    /// Two processes get it at once.
    pub(crate) overlaps: bool,
    /// The process that gets it has just been started.
    pub(crate) cold: bool,
}

/// What a seed stands for.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) config: Value,
    /// With a mistake in one worker.
    broken: Value,
    pub(crate) deliveries: Vec<Delivery>,
    pub(crate) calm_at: u64,
    pub(crate) must_drain: bool,
    /// Lambda ends a function after this.
    pub(crate) lambda_timeout: Duration,
    deploys: Vec<(u64, String, bool)>,
    broken_at: (u64, u64),
    schedule: BTreeMap<&'static str, u64>,
    /// Where tasks run, unless on Fargate.
    ground: Option<Ground>,
    /// What kind of worker each is, by its name, where there are kinds.
    pub(crate) kinds: BTreeMap<String, &'static str>,
    /// Whether the function is frozen between its invocations.
    pub(crate) freezes: bool,
    /// The configuration where some workers are described by the tags of their queues only.
    pub(crate) discovers: Option<Value>,
    /// Whether all workers do what `docs/workers.md` asks of them.
    pub(crate) all_work_well: bool,
    /// Milliseconds between two ticks of an invocation.
    pub(crate) polls: Option<u64>,
}

impl Scenario {
    pub(crate) fn new(seed: u64, world: &World) -> Self {
        let mut scenario = Self::on_fargate(seed, world);
        let workers = scenario.config["workers"].as_array().unwrap().iter();
        let names: Vec<_> = workers.map(|worker| worker["name"].as_str().unwrap()).collect();
        let ground = Ground::of(seed, &names, scenario.calm_at);
        if let Some(ground) = &ground {
            for name in names {
                world.register(&ground.definition(name));
            }
            ground.settle(&mut scenario.config, world);
            ground.settle_launch(&mut scenario.broken);
            ground.overlap(&mut scenario.deliveries, scenario.calm_at);
        }
        Self { ground, ..scenario }
    }

    /// What a seed stands for, whatever it runs on.
    pub(crate) fn on_fargate(seed: u64, world: &World) -> Self {
        let mut rng = Rng::with_seed(seed);
        let rng = &mut rng;
        let calm_at = rng.u64(8..20) * MINUTE;
        let names = &NAMES[..rng.usize(1..=NAMES.len())];
        world.cluster("jobs");
        let mut life = Life::new(rng.u64(..));
        life.lag = pick(rng, &[0, 5_000, 30_000, 90_000]);
        life.noise = pick(rng, &[0.0, 0.0, 0.2]);
        life.calm_at = calm_at;
        let mut workers = Vec::new();
        for name in names {
            workers.push(any_worker(rng, name, world));
            if live(rng, (&mut life, name), calm_at).redrive.is_none() {
                world.queue(name).without("RedrivePolicy");
            }
        }
        let mut config = config(&workers);
        // Whatever happens, a repetition is the same request.
        let filled = json!([{"name": "QUEUE", "value": "{queue.url} {tick}"}]);
        let container = json!({"name": "worker", "environment": filled});
        config["launch"]["overrides"] = json!({"containerOverrides": [container]});
        config["launch"]["tags"] = json!({"team": "search"});
        let per_tick = pick(rng, &[1000, 1000, 12, 5]);
        let per_hour = pick(rng, &[10_000, 10_000, 40]);
        let age = pick(rng, &[5, 5, 2]);
        config["maxTasksPerTick"] = json!(per_tick);
        config["maxTasksPerHour"] = json!(per_hour);
        config["maxEventAge"] = json!(format!("{age}m"));
        let mut broken = config.clone();
        broken["workers"][0]["scaling"]["messagesPerContainer"] = json!(0);
        {
            let mut state = world.state();
            state.watch.shared = Some(Shared {
                per_tick: usize::try_from(per_tick).unwrap(),
                per_hour: usize::try_from(per_hour).unwrap(),
                max_event_age: age * MINUTE,
            });
            state.life = Some(life);
            state.weather = Some(any_weather(rng, (names, calm_at)));
            state.buckets = Some(Buckets::new(pick(rng, &[0.0, 0.0, 0.5, 0.8])));
        }
        let mut schedule = BTreeMap::new();
        let lambda_timeout = Duration::from_secs(pick(rng, &[60, 60, 12]));
        let offset = rng.u64(0..50_000);
        let deliveries = any_schedule(rng, (calm_at, offset), &mut schedule);
        let deploys = any_deploys(rng, (names, calm_at), offset);
        let from = rng.u64(0..2 * calm_at);
        let broken_at = (from, calm_at.min(from + 5 * MINUTE));
        let must_drain = 1000 < per_hour;
        let plain = Self::plain(config, deliveries, calm_at);
        Self { broken, must_drain, lambda_timeout, deploys, broken_at, schedule, ..plain }
    }

    /// Nothing but workers and ticks.
    fn plain(config: Value, deliveries: Vec<Delivery>, calm_at: u64) -> Self {
        Self {
            broken: config.clone(),
            config,
            deliveries,
            calm_at,
            must_drain: true,
            lambda_timeout: Duration::from_mins(1),
            deploys: Vec::new(),
            broken_at: (0, 0),
            schedule: BTreeMap::new(),
            ground: None,
            kinds: BTreeMap::new(),
            freezes: false,
            discovers: None,
            all_work_well: true,
            polls: None,
        }
    }

    pub(crate) fn config_at(&self, now: u64) -> &Value {
        if self.is_broken_at(now) { &self.broken } else { &self.config }
    }

    /// Whether the configuration has a mistake then.
    pub(crate) fn is_broken_at(&self, now: u64) -> bool {
        let (from, to) = self.broken_at;
        (from..to).contains(&now)
    }

    /// What others do: they register new revisions and may deregister the old ones, and change the
    /// instances.
    pub(crate) fn others(&self, world: &World) -> impl Future<Output = ()> + use<> {
        let (deploys, world) = (self.deploys.clone(), world.clone());
        let (ground, around) = (self.ground.clone(), world.clone());
        let on_ground = async move {
            match ground {
                Some(ground) => ground.happen(around).await,
                None => std::future::pending().await,
            }
        };
        let ground = self.ground.clone();
        let deploys = async move {
            for (at, family, deregisters) in deploys {
                world.reach(Duration::from_millis(at)).await;
                let mut new = match &ground {
                    Some(ground) => ground.definition(&family),
                    None => definition(&family),
                };
                new["containerDefinitions"][0]["environment"] =
                    json!([{"name": "RELEASE", "value": at.to_string()}]);
                let arn = world.register(&new);
                let (family, number) = arn.rsplit_once(':').unwrap();
                if deregisters {
                    let old = number.parse::<u32>().unwrap() - 1;
                    world.deregister(&format!("{family}:{old}"));
                }
            }
        };
        async move {
            let ((), ()) = futures_util::join!(deploys, on_ground);
        }
    }

    /// What went wrong, in the weather and on the schedule.
    pub(crate) fn faults(&self, weather: &Weather) -> BTreeMap<&'static str, u64> {
        let mut faults = weather.faults.clone();
        faults.extend(self.schedule.clone());
        faults.extend(self.ground.iter().flat_map(Ground::faults));
        faults.insert("new revision", u64::try_from(self.deploys.len()).unwrap());
        let (from, to) = self.broken_at;
        faults.insert("mistake in one worker's configuration", u64::from(from < to));
        faults
    }
}

pub(super) fn pick<T: Copy>(rng: &mut Rng, choices: &[T]) -> T {
    choices[rng.usize(0..choices.len())]
}

fn any_worker(rng: &mut Rng, name: &str, world: &World) -> Value {
    world.register(&definition(name));
    world.queue(name);
    let (per_message, max, min) = (rng.u64(1..=4), rng.u64(4..40), pick(rng, &[0, 0, 0, 1]));
    let stuck_after = pick(rng, &[120, 180, 300]);
    let mut scaling = json!({
        "messagesPerContainer": per_message, "maxContainers": max, "minContainers": min,
        "stuckAfter": format!("{stuck_after}s"),
    });
    if rng.bool() {
        scaling["maxLaunchPerTick"] = json!(rng.u64(3..30));
    }
    let packing = json!({
        "strategy": pick(rng, &["spread", "dense", "cheapest"]),
        "maxContainersPerTask": pick(rng, &[1, 1, 3, 4]),
        "maxTasks": rng.u64(2..25),
    });
    let mut worker = worker(name, &scaling, &packing);
    if rng.bool() {
        worker["capacity"] =
            json!([{"capacityProvider": "FARGATE_SPOT"}, {"capacityProvider": "FARGATE"}]);
    }
    let bounds = Bounds {
        max_containers: max,
        min_containers: min,
        per_message,
        stuck_after: stuck_after * 1000,
    };
    let mut state = world.state();
    state.watch.bounds.insert(name.to_owned(), bounds);
    let rule = (Rule::PerContainer(per_message), 1);
    state.watch.waiting.rules.insert(name.to_owned(), rule);
    drop(state);
    worker
}

fn live(rng: &mut Rng, (life, name): (&mut Life, &str), calm_at: u64) -> Jobs {
    let startup = pick(rng, &[(5_000, 20_000), (20_000, 70_000), (60_000, 100_000)]);
    let lasts = pick(rng, &[(100, 2_000), (5_000, 60_000), (60_000, 400_000)]);
    let redrive = pick(rng, &[Some(3), Some(10), None]);
    let visibility = 2 * lasts.1 + 30_000;
    let jobs = Jobs { lasts, visibility, redrive, startup, ..Jobs::default() };
    life.worker(name, jobs);
    for _ in 0..rng.u64(1..6) {
        let messages = pick(rng, &[1, 1, 5, 30]);
        life.arrive(rng.u64(0..calm_at), name, (rng.u64(1..=messages), false));
    }
    if rng.u8(0..4) == 0 {
        life.arrive(rng.u64(0..calm_at), name, (rng.u64(1..4), true));
    }
    jobs
}

/// Each kind of trouble is there or not, and then more or less.
fn any_weather(rng: &mut Rng, (names, calm_at): (&[&str], u64)) -> Weather {
    let mut weather = Weather::new(rng.u64(..), calm_at);
    let mut up_to = |most: f64| if rng.bool() { 0.0 } else { most * rng.f64() };
    weather.likely = Likely {
        throttled: up_to(0.2),
        failed: up_to(0.1),
        lost: up_to(0.1),
        hung: up_to(0.02),
        crashed: up_to(0.03),
        partial: up_to(0.5),
        stuck: up_to(0.1),
        interrupted: up_to(0.2),
    };
    weather.lag = pick(rng, &[0, 0, 2_000, 30_000, 200_000]);
    for _ in 0..rng.u64(0..4) {
        let (kind, about) = match rng.u8(0..7) {
            0 => ("denied", pick(rng, names)),
            1 => ("slow", ""),
            2 => ("quota", pick(rng, &["FARGATE", "FARGATE_SPOT"])),
            3 => ("no capacity", pick(rng, &["FARGATE", "FARGATE_SPOT"])),
            4 => ("bad image", ""),
            5 => ("crash loop", ""),
            _ => continue,
        };
        let from = rng.u64(0..calm_at);
        let to = from + rng.u64(1..8) * MINUTE;
        weather.spells.push(Spell { kind, from, to, about: about.to_owned() });
    }
    weather
}

/// A tick a minute, most of them; some come late, twice, or from yesterday.
fn any_schedule(
    rng: &mut Rng,
    (calm_at, offset): (u64, u64),
    faults: &mut BTreeMap<&'static str, u64>,
) -> Vec<Delivery> {
    let mut likely = |most: f64| if rng.bool() { 0.0 } else { most * rng.f64() };
    let (missed, twice, old, overlaps, cold) =
        (likely(0.3), likely(0.5), likely(0.1), likely(0.2), likely(0.2));
    let beginning: Timestamp = crate::world::BEGINNING.parse().unwrap();
    let mut deliveries = Vec::new();
    let mut count = |kind| *faults.entry(kind).or_default() += 1;
    for minute in 0..(calm_at + CALM) / MINUTE {
        let due = minute * MINUTE;
        let trouble = due < calm_at;
        let tick = beginning + SignedDuration::from_mins(i64::try_from(minute).unwrap());
        let mut draw = |likely: f64| trouble && rng.f64() < likely;
        let (is_missed, is_old) = (draw(missed), draw(old));
        let (overlaps, cold) = (draw(overlaps), draw(cold));
        let mut copies = u32::from(!is_missed);
        while draw(twice) && copies < 5 {
            copies += 1;
            count("duplicate event");
        }
        for (happened, kind) in [
            (is_missed, "missed tick"),
            (overlaps, "overlapping invocations"),
            (cold, "cold start"),
            (is_old, "event of yesterday"),
        ] {
            if happened {
                count(kind);
            }
        }
        for copy in 0..copies {
            let late = if copy == 0 { 0 } else { pick(rng, &[0, 3_000, 30_000, 200_000, 900_000]) };
            let at = due + offset + rng.u64(0..3_000) + late;
            deliveries.push(Delivery { at, tick, overlaps: overlaps && copy == 0, cold });
        }
        if is_old {
            let yesterday = tick - SignedDuration::from_hours(24);
            let at = due + rng.u64(0..MINUTE);
            deliveries.push(Delivery { at, tick: yesterday, overlaps: false, cold: false });
        }
    }
    deliveries.sort_by_key(|delivery| delivery.at);
    deliveries
}

/// New revisions, most of them in the middle of a tick.
fn any_deploys(
    rng: &mut Rng,
    (names, calm_at): (&[&str], u64),
    offset: u64,
) -> Vec<(u64, String, bool)> {
    let count = pick(rng, &[0, 0, 1, 4]);
    let mut deploys: Vec<_> = (0..count)
        .map(|_| {
            let at = rng.u64(0..calm_at / MINUTE) * MINUTE + offset + rng.u64(0..4_000);
            (at, pick(rng, names).to_owned(), rng.bool())
        })
        .collect();
    deploys.sort();
    deploys
}
