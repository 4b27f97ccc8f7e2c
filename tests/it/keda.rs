//! Beside the public formulas of KEDA's `ScaledJob`, on the same seeds: how many containers are
//! started that never get a message. Nothing fails here but SQS's numbers, which are late and not
//! exact, as they are. Source of the formulas: kedacore/keda, `pkg/scaling/executor/scale_jobs.go`
//! and the SQS scaler, at 8b4f083.

use std::time::Duration;

use decision::config::Config;
use serde_json::{Value, json};
use tokio::runtime::Builder;

use crate::soak::scenario::Scenario;
use crate::soak::{number, say};
use crate::tick::scaler;
use crate::world::World;
use crate::world::weather::Weather;

/// Jobs asked for, jobs there, jobs that do not run yet, the most there may be.
struct State {
    wanted: u64,
    running: u64,
    pending: u64,
    most: u64,
}

type Formula = fn(&State) -> u64;

fn default(state: &State) -> u64 {
    state.wanted.saturating_sub(state.running)
}

fn accurate(state: &State) -> u64 {
    if state.most < state.wanted + state.running - state.pending {
        state.most.saturating_sub(state.running)
    } else {
        state.wanted.saturating_sub(state.pending)
    }
}

fn eager(state: &State) -> u64 {
    state.most.saturating_sub(state.running + state.pending).min(state.wanted)
}

/// Who decides.
#[derive(Clone, Copy)]
enum Policy {
    Ours,
    Keda(Formula, bool),
}

#[derive(Default)]
struct Sum {
    started: u64,
    idle: u64,
    above: u64,
    minutes: u64,
    undrained: u64,
}

/// What seeds stand for.
type Family = fn(u64, &World) -> Scenario;

/// The seed's workers and messages, one container a task, no trouble but late numbers.
fn calm(seed: u64, family: Family, world: &World) -> Scenario {
    let mut scenario = family(seed, world);
    for worker in scenario.config["workers"].as_array_mut().unwrap() {
        worker["scaling"]["minContainers"] = json!(0);
        worker["scaling"].as_object_mut().unwrap().remove("maxLaunchPerTick");
        worker.as_object_mut().unwrap().remove("cluster");
        worker["packing"] = json!({"maxContainersPerTask": 1, "maxTasks": 1000});
        let most = worker["scaling"]["maxContainers"].as_u64().unwrap_or(100);
        worker["scaling"]["maxContainers"] = json!(most);
    }
    for cap in ["maxTasksPerTick", "maxTasksPerHour"] {
        scenario.config[cap] = json!(100_000);
    }
    let mut state = world.state();
    state.weather = Some(Weather::new(seed, 0));
    state.buckets = None;
    state.watch.bounds.clear();
    drop(state);
    scenario
}

fn keda(world: &World, worker: &Value, (formula, counts_in_flight): (Formula, bool)) {
    let name = worker["name"].as_str().unwrap();
    let rule = world.state().watch.waiting.rules[name].0.clone();
    let most = worker["scaling"]["maxContainers"].as_u64().unwrap();
    let (visible, in_flight) = world.approximate_depth(name);
    let queued = visible + if counts_in_flight { in_flight } else { 0 };
    let (running, pending) = world.jobs(name);
    let wanted = rule.target(queued).min(most);
    world.start_jobs(name, formula(&State { wanted, running, pending, most }));
}

fn run(seed: u64, (family, policy): (Family, Policy), sum: &mut Sum) {
    fastrand::seed(seed);
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let world = World::default();
        let scenario = calm(seed, family, &world);
        let config = &scenario.config;
        let function = scaler(&world, config);
        assert_eq!(Config::from_value(config).unwrap().refused, []);
        for minute in 1..240 + scenario.calm_at / 60_000 {
            world.reach(Duration::from_mins(minute)).await;
            world.catch_up();
            let over = scenario.calm_at < 60_000 * minute && world.left() == 0;
            if over && world.alive() == 0 {
                break;
            }
            sum.minutes += 1;
            let workers = config["workers"].as_array().unwrap();
            match policy {
                Policy::Ours => {
                    let _ = crate::tick::tick(&function, &world, minute).await;
                }
                Policy::Keda(formula, in_flight) => {
                    for worker in workers {
                        keda(&world, worker, (formula, in_flight));
                    }
                }
            }
            for worker in workers {
                let (there, _) = world.jobs(worker["name"].as_str().unwrap());
                let most = worker["scaling"]["maxContainers"].as_u64().unwrap();
                sum.above += u64::from(most < there);
            }
        }
        sum.undrained += u64::from(0 < world.left());
        sum.started += u64::try_from(world.started().0).unwrap();
        sum.idle += world.idle_containers();
    });
}

/// `SEEDS=n` runs so many.
#[test]
fn fewer_containers_find_nothing_to_do_than_by_kedas_formulas() {
    compare(Scenario::on_fargate, number("SEEDS").unwrap_or(40).min(1000));
}

/// The same of workers that work for hours, for a quarter of the seeds.
#[test]
fn in_hours_of_work_fewer_find_nothing_too() {
    compare(Scenario::at_work, number("SEEDS").unwrap_or(40).min(1000) / 4);
}

fn compare(family: Family, seeds: u64) {
    let policies: [(&str, Policy); 7] = [
        ("ecs-queue-scaler", Policy::Ours),
        ("KEDA default", Policy::Keda(default, true)),
        ("KEDA default, visible only", Policy::Keda(default, false)),
        ("KEDA accurate", Policy::Keda(accurate, true)),
        ("KEDA accurate, visible only", Policy::Keda(accurate, false)),
        ("KEDA eager", Policy::Keda(eager, true)),
        ("KEDA eager, visible only", Policy::Keda(eager, false)),
    ];
    say(&format!("{seeds} seeds, a decision a minute"));
    // What no policy can serve says nothing of one.
    let is_well = |seed: &u64| family(*seed, &World::default()).all_work_well;
    let seeds: Vec<_> = (0..).filter(is_well).take(usize::try_from(seeds).unwrap()).collect();
    say("policy | containers | without a message | ticks above the maximum | minutes | undrained");
    let mut shares = Vec::new();
    for (name, policy) in policies {
        let mut sum = Sum::default();
        for seed in &seeds {
            run(*seed, (family, policy), &mut sum);
        }
        let Sum { started, idle, above, minutes, undrained } = sum;
        let share = 1000 * idle / started.max(1);
        let (whole, tenth) = (share / 10, share % 10);
        say(&format!(
            "{name} | {started} | {idle} ({whole}.{tenth} %) | {above} | {minutes} | {undrained}"
        ));
        shares.push((share, above, undrained));
    }
    let [(ours, above, undrained), others @ ..] = shares.as_slice() else { panic!("{shares:?}") };
    assert_eq!((*above, *undrained), (0, 0));
    // "default, visible only" starts less: it deducts what is busy from what waits, and lets it wait.
    let without_it = others.iter().enumerate().filter(|(index, _)| *index != 1);
    for (_, (theirs, ..)) in without_it {
        assert!(ours <= theirs, "{ours} and {theirs} in a thousand");
    }
}
