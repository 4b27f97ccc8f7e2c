//! Kinds of workers and queues, each for hours: what is started, what finds nothing, what waits.

use serde_json::{Value, json};

use super::Arrival::{self, At, Every, Poison, Poisson};
use super::Service::{self, About, Takes};
use super::{Came, Deletes, Kind, Model, run};
use crate::soak::{number, say};

fn most(containers: u32) -> Value {
    json!({"messagesPerContainer": 1, "maxContainers": containers})
}

type Situation = (&'static str, u64, Model);

fn one_shot() -> Model {
    Model { kind: Kind::OneShot, ..Model::default() }
}

fn closed(jobs: u64, service: Service) -> Model {
    Model { closed: true, service, arrivals: vec![At(1, jobs, 1)], ..one_shot() }
}

fn grouped(arrivals: Vec<Arrival>) -> Model {
    let scaling = json!({"messagesPerContainer": 1});
    Model { fifo: true, scaling, service: Takes(60), arrivals, ..Model::default() }
}

fn kept(containers: u32) -> Value {
    json!({"messagesPerContainer": 1, "maxContainers": 100, "minContainers": containers})
}

fn without_breaker() -> Value {
    json!({"messagesPerContainer": 1, "maxContainers": 100, "circuitBreaker": false})
}

fn closed_loops() -> Vec<Situation> {
    vec![
        ("1a closed loop, 1 job of 10 s", 240, closed(1, Takes(10))),
        ("1b closed loop, 1 job of 90 s", 240, closed(1, Takes(90))),
        ("1c closed loop, 50 jobs of 90 s", 240, closed(50, Takes(90))),
        ("1d closed loop, 50 jobs of 10 s", 240, closed(50, Takes(10))),
        ("1e closed loop, 50 jobs of about 60 s", 240, closed(50, About(60.0))),
    ]
}

fn poison() -> Vec<Situation> {
    vec![
        ("2a 3 poison messages", 480, Model { arrivals: vec![Poison(1, 3)], ..Model::default() }),
        (
            "2b 3 poison messages, a healthy one each 10 min",
            480,
            Model { arrivals: vec![Poison(1, 3), Every(61, 600, 1)], ..Model::default() },
        ),
        (
            "2c the same, visible again after 30 s",
            480,
            Model {
                visibility: 30,
                arrivals: vec![Poison(1, 3), Every(61, 600, 1)],
                ..Model::default()
            },
        ),
        (
            "2d 3 poison messages, given back at once",
            480,
            Model { gives_back: true, arrivals: vec![Poison(1, 3)], ..one_shot() },
        ),
        (
            "2e 50 poison messages, healthy ones of 60 s",
            480,
            Model {
                visibility: 120,
                service: Takes(60),
                arrivals: vec![Poison(1, 50), Poisson(2.0, 1)],
                ..Model::default()
            },
        ),
    ]
}

fn fifo() -> Vec<Situation> {
    vec![
        ("3a FIFO, 1 group of 100", 240, grouped(vec![At(1, 100, 1)])),
        ("3b FIFO, 20 groups of 10", 240, grouped(vec![At(1, 200, 20)])),
        (
            "3c FIFO, 1 group of 200, then 100 groups",
            300,
            grouped(vec![At(1, 200, 1), At(3600, 100, 100)]),
        ),
        (
            "3d FIFO, 5 groups of 20 jobs of 10 s, one-shot",
            300,
            Model { service: Takes(10), kind: Kind::OneShot, ..grouped(vec![At(1, 100, 5)]) },
        ),
        (
            "3e FIFO, 300 groups of 1",
            120,
            Model { service: Takes(120), ..grouped(vec![At(1, 300, 300)]) },
        ),
        ("3f FIFO, 5 a minute over 1,000 groups", 480, grouped(vec![Poisson(5.0, 1000)])),
    ]
}

fn hung() -> Vec<Situation> {
    vec![
        (
            "4a 3 of 5 hang, workers for ever",
            240,
            Model {
                kind: Kind::Forever,
                hung: 3,
                service: Takes(60),
                arrivals: vec![At(1, 5, 1), Every(1200, 1200, 1)],
                ..Model::default()
            },
        ),
        (
            "4b the first hangs, 1 message",
            120,
            Model { hung: 1, service: Takes(60), arrivals: vec![At(1, 1, 1)], ..Model::default() },
        ),
        (
            "4c 20 hang of 40, 100 messages",
            240,
            Model {
                hung: 20,
                scaling: most(40),
                service: Takes(60),
                arrivals: vec![At(1, 100, 1)],
                ..Model::default()
            },
        ),
    ]
}

fn ghosts() -> Vec<Situation> {
    vec![
        ("5a ghosts", 480, Model { ghosts: 5, ..Model::default() }),
        ("5b ghosts that flicker", 480, Model { ghosts: 5, noise: 0.2, ..Model::default() }),
        (
            "5c a worker on another queue",
            480,
            Model { kind: Kind::Elsewhere, arrivals: vec![At(1, 30, 1)], ..Model::default() },
        ),
        (
            "5d a worker that takes nothing and never ends",
            480,
            Model { kind: Kind::Deaf, arrivals: vec![At(1, 30, 1)], ..Model::default() },
        ),
    ]
}

fn long_jobs() -> Vec<Situation> {
    vec![
        (
            "6a 200 jobs of 2 h, one-shot, 10 at most",
            2880,
            Model {
                scaling: most(10),
                service: Takes(7200),
                arrivals: vec![At(1, 200, 1)],
                ..one_shot()
            },
        ),
        (
            "6b 200 jobs of 2 h, loop, 10 at most",
            2880,
            Model {
                scaling: most(10),
                service: Takes(7200),
                arrivals: vec![At(1, 200, 1)],
                ..Model::default()
            },
        ),
        (
            "6c 100 jobs of 2 h on Spot",
            2880,
            Model {
                scaling: most(10),
                service: Takes(7200),
                spot: 0.3,
                arrivals: vec![At(1, 100, 1)],
                ..one_shot()
            },
        ),
        (
            "6d 30 jobs of 3 h, then 30 more",
            600,
            Model {
                service: Takes(10_800),
                arrivals: vec![At(1, 30, 1), At(6000, 30, 1)],
                ..Model::default()
            },
        ),
    ]
}

fn minimum() -> Vec<Situation> {
    vec![
        ("7 minContainers 2, ends on empty", 240, Model { scaling: kept(2), ..Model::default() }),
        (
            "7b the same, and a message each 7 min",
            240,
            Model { scaling: kept(2), arrivals: vec![Every(60, 420, 1)], ..Model::default() },
        ),
    ]
}

fn bursts() -> Vec<Situation> {
    vec![
        (
            "8a burst of 5,000 of 30 s, loop",
            60,
            Model {
                scaling: most(500),
                service: Takes(30),
                arrivals: vec![At(1, 5000, 1)],
                ..Model::default()
            },
        ),
        (
            "8b burst of 1,000 of 30 s, one-shot",
            120,
            Model { service: Takes(30), arrivals: vec![At(1, 1000, 1)], ..one_shot() },
        ),
    ]
}

fn steady() -> Vec<Situation> {
    vec![
        (
            "9a 10 a minute evenly, 10 s, one-shot",
            480,
            Model { arrivals: vec![Every(3, 6, 1)], ..one_shot() },
        ),
        (
            "9b 10 a minute, 10 s, one-shot",
            480,
            Model { arrivals: vec![Poisson(10.0, 1)], ..one_shot() },
        ),
        (
            "9c 10 a minute evenly, 10 s, loop",
            480,
            Model { arrivals: vec![Every(3, 6, 1)], ..Model::default() },
        ),
        (
            "9d 2 a minute evenly, 5 min, one-shot",
            480,
            Model { service: Takes(300), arrivals: vec![Every(3, 30, 1)], ..one_shot() },
        ),
    ]
}

fn steady_and_more() -> Vec<Situation> {
    vec![
        (
            "9e 10 a minute, about 60 s, loop",
            480,
            Model { service: About(60.0), arrivals: vec![Poisson(10.0, 1)], ..Model::default() },
        ),
        (
            "9f 60 at once each minute, 10 s, one-shot",
            480,
            Model { arrivals: vec![Every(3, 60, 60)], ..one_shot() },
        ),
        (
            "9g as 9a, with wrong counts",
            480,
            Model { noise: 0.2, arrivals: vec![Every(3, 6, 1)], ..one_shot() },
        ),
    ]
}

fn troubled() -> Vec<Situation> {
    vec![
        (
            "10 refused for an hour, 100 wait",
            180,
            Model {
                refused_until: 3600,
                service: Takes(60),
                arrivals: vec![At(1, 100, 1)],
                ..Model::default()
            },
        ),
        (
            "11 crashes of 20 %, 5 a minute",
            480,
            Model {
                crash: 0.2,
                visibility: 120,
                service: Takes(60),
                arrivals: vec![Poisson(5.0, 1)],
                ..Model::default()
            },
        ),
        (
            "12 slow start, 10 a minute",
            480,
            Model {
                start: 150,
                service: Takes(20),
                arrivals: vec![Poisson(10.0, 1)],
                ..one_shot()
            },
        ),
    ]
}

fn mended() -> Vec<Situation> {
    vec![
        (
            "13 all crash for 30 min, then it is mended, loop",
            240,
            Model {
                broken_until: 1800,
                service: Takes(60),
                arrivals: vec![At(1, 100, 1)],
                scaling: without_breaker(),
                ..Model::default()
            },
        ),
        (
            "13b the same, one-shot",
            240,
            Model {
                broken_until: 1800,
                service: Takes(60),
                arrivals: vec![At(1, 100, 1)],
                scaling: without_breaker(),
                ..one_shot()
            },
        ),
        (
            "13c the same, with the breaker",
            240,
            Model {
                broken_until: 1800,
                service: Takes(60),
                arrivals: vec![At(1, 100, 1)],
                ..Model::default()
            },
        ),
    ]
}

fn many() -> Vec<Situation> {
    vec![
        (
            "14 20 a container, bursts of 200",
            480,
            Model {
                scaling: json!({"messagesPerContainer": 20, "maxContainers": 100}),
                service: Takes(5),
                arrivals: vec![Every(60, 1800, 200)],
                ..Model::default()
            },
        ),
        (
            "15 4,000 jobs of about 120 s, one-shot",
            300,
            Model { service: About(120.0), arrivals: vec![At(1, 4000, 1)], ..one_shot() },
        ),
        (
            "16 20 jobs of 20 min, one more each minute",
            480,
            Model {
                service: Takes(1200),
                arrivals: vec![At(1, 20, 1), Every(60, 60, 1)],
                ..Model::default()
            },
        ),
    ]
}

/// What a worker should not do, and what follows.
fn unsuitable() -> Vec<Situation> {
    let jobs = |service| Model { service, arrivals: vec![At(1, 200, 1)], ..Model::default() };
    let twenty = || json!({"messagesPerContainer": 20, "maxContainers": 100});
    vec![
        ("17a 200 jobs of 60 s, taken one by one", 120, jobs(Takes(60))),
        ("17b the same, ten taken at once", 120, Model { takes: 10, ..jobs(Takes(60)) }),
        (
            "17c the same, messagesPerContainer 10",
            120,
            Model {
                takes: 10,
                scaling: json!({"messagesPerContainer": 10, "maxContainers": 100,
                "inFlightPerContainer": 10}),
                ..jobs(Takes(60))
            },
        ),
        ("18a 200 jobs of 10 min", 240, jobs(Takes(600))),
        (
            "18b the same, deleted on receive",
            240,
            Model { deletes: Deletes::OnReceive, ..jobs(Takes(600)) },
        ),
        (
            "18c the same, 20 messages a container",
            240,
            Model { scaling: twenty(), ..jobs(Takes(600)) },
        ),
        (
            "19a bursts of 20 each hour, 60 s, never exits",
            480,
            Model {
                kind: Kind::Forever,
                service: Takes(60),
                arrivals: vec![Every(60, 3600, 20)],
                ..Model::default()
            },
        ),
        (
            "19b the same, until the queue is empty",
            480,
            Model { service: Takes(60), arrivals: vec![Every(60, 3600, 20)], ..Model::default() },
        ),
    ]
}

/// One-shot workers by a policy that counts on more than a message from each container.
fn misjudged() -> Vec<Situation> {
    let scaling = json!({"drainWithin": {"target": "10m", "secondsPerMessage": 20},
        "maxContainers": 100});
    let jobs =
        Model { scaling, service: Takes(10), arrivals: vec![Poisson(10.0, 1)], ..Model::default() };
    vec![
        (
            "20a 10 a minute of 10 s, one-shot, 600 s to drain",
            240,
            Model { kind: Kind::OneShot, ..jobs.clone() },
        ),
        ("20b the same, until the queue is empty", 240, jobs.clone()),
        ("20c the same, a worker on another queue", 240, Model { kind: Kind::Elsewhere, ..jobs }),
    ]
}

fn all() -> Vec<Situation> {
    let all = [
        closed_loops(),
        poison(),
        fifo(),
        hung(),
        ghosts(),
        long_jobs(),
        minimum(),
        bursts(),
        steady(),
        steady_and_more(),
        troubled(),
        mended(),
        many(),
        unsuitable(),
        misjudged(),
    ];
    all.into_iter().flatten().collect()
}

fn without_brake(model: &Model) -> Model {
    let mut model = model.clone();
    model.scaling["progressBrake"] = json!(false);
    model.scaling["idleAfter"] = json!("off");
    model
}

fn row(came: &Came) -> String {
    let Came { started, empty, done, left, .. } = came;
    let (half, most) = (came.percentile(50), came.percentile(95));
    format!("{started:6} {empty:6} {done:6} {half:6.1} {most:7.1} {left:5}")
}

/// One of the situations, by the beginning of its name.
fn came(name: &str) -> Came {
    let (_, minutes, model) = all().into_iter().find(|(all, ..)| all.starts_with(name)).unwrap();
    run(&model, minutes)
}

#[test]
fn the_figures_of_the_brake_hold() {
    assert!(239 <= came("1a").done, "a closed loop of one job");
    assert!((1..=20).contains(&came("2a").started), "three messages that nobody can process, 8 h");
    let group = came("3a");
    assert!(group.started <= 505 && group.done == 100, "one FIFO group, a tenth of 5,050");
    let ghosts = came("5a").started;
    assert!((240..=490).contains(&ghosts), "ghosts, one a minute after the first ten: {ghosts}");
    assert_eq!(came("6a").done, 200, "jobs of two hours");
    assert!((10..=40).contains(&came("7 ").started), "a minimum that ends on an empty queue");
    assert_eq!(came("10").done, 100, "an hour of refusals");
    let misjudged = came("20a").done;
    assert!(1200 <= misjudged, "a new message pays for a container of its own: {misjudged}");
    let elsewhere = came("20c").started;
    assert!(elsewhere <= 2430, "and for no more than that: {elsewhere}");
}

/// Workers that do what `docs/workers.md` asks of them, and that counts can tell from others.
const HEALTHY: [&str; 9] = ["1b", "1e", "6d", "8b", "9d", "9e", "11", "12", "14"];

/// `make situations` shows the table of `docs/workers.md`: all of them, beside the same without the brake.
#[test]
fn healthy_workers_lose_nothing_to_the_brake() {
    say(
        "started, found nothing, done, p50 and p95 of waiting (min), left; without the brake and with",
    );
    let is_healthy = |name: &str| HEALTHY.iter().any(|healthy| name.starts_with(healthy));
    let are_all = number("SITUATIONS").is_some();
    for (name, minutes, model) in all().into_iter().filter(|of| are_all || is_healthy(of.0)) {
        let (without, with) = (run(&without_brake(&model), minutes), run(&model, minutes));
        say(&format!("{name:48} | {} | {}", row(&without), row(&with)));
        if is_healthy(name) {
            assert!(without.done <= with.done + 1, "{name}: {} and {}", without.done, with.done);
            let longer = with.percentile(95) - without.percentile(95);
            assert!(longer <= 2.0, "{name}: {longer} min longer");
        }
    }
}
