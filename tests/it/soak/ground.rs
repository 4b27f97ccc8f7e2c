//! The container instances that some seeds run on: they come, drain, lose their agents, vanish, and
//! their daemons come late. When the world calms down, there is room for everything.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};

use super::scenario::{Delivery, pick};
use crate::world::World;

/// What tells its draws from those of the seed itself, which must not change.
const OWN: u64 = 0x00ec_2ec2;

/// Until the world is calm there may be no room; then these come.
const RELIEF: usize = 10;

const DAEMON: &str = "log-agent";

/// What happens to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Come,
    DaemonComes,
    DaemonRuns,
    Drain,
    IsActive,
    IsSilent,
    IsHeard,
    Vanish,
}

/// The instances of a seed, and what its workers ask of them.
#[derive(Clone, Debug)]
pub(super) struct Ground {
    placement: Value,
    constraints: Vec<Value>,
    /// A constraint that is in the definitions.
    of_definitions: Option<Value>,
    /// Network modes of the definitions, by worker.
    modes: BTreeMap<String, &'static str>,
    /// What the instances are.
    instances: Vec<Value>,
    events: Vec<(u64, usize, Event)>,
    /// How late ECS tells what an instance has become, in milliseconds.
    lag: u64,
    /// The deliveries, by their places in the schedule, that two processes get at once: `StartTask`
    /// has no token to keep them apart.
    overlaps: BTreeSet<usize>,
    /// More messages than these instances can take: when, whose, and how many.
    bursts: Vec<(u64, String, u64)>,
}

impl Ground {
    /// Every third seed or so has one.
    pub(super) fn of(seed: u64, names: &[&str], calm_at: u64) -> Option<Self> {
        let mut rng = Rng::with_seed(seed ^ OWN);
        let rng = &mut rng;
        if rng.u8(0..3) != 0 {
            return None;
        }
        let few_interfaces = rng.bool();
        let mode = |rng: &mut Rng| pick(rng, &["bridge", "host", "awsvpc"]);
        let modes = names.iter().map(|name| ((*name).to_owned(), mode(rng))).collect();
        let (constraints, of_definitions) = any_constraints(rng, names);
        let mut ground = Self {
            placement: any_placement(rng),
            constraints,
            of_definitions,
            modes,
            instances: Vec::new(),
            events: Vec::new(),
            lag: pick(rng, &[0, 0, 5_000, 60_000]),
            overlaps: (0..1000).filter(|_| rng.u8(0..3) == 0).collect(),
            bursts: Vec::new(),
        };
        for name in names {
            for _ in 0..rng.u64(0..3) {
                ground.bursts.push((rng.u64(0..calm_at), (*name).to_owned(), rng.u64(1..25)));
            }
        }
        let calmness = rng.f64();
        for number in 0..rng.usize(1..10) {
            let from = if number < 3 { 0 } else { rng.u64(0..calm_at) };
            ground.instances.push(any_instance(rng, few_interfaces));
            ground.live(rng, (number, calmness), (from, calm_at));
        }
        for _ in 0..RELIEF {
            let number = ground.instances.len();
            let zone = pick(rng, &["a", "b"]);
            ground.instances.push(
                json!({"cpu": 65_536, "memory": 262_144, "zone": zone, "attributes": {"disk": "ssd"}}),
            );
            for event in [Event::Come, Event::DaemonComes, Event::DaemonRuns] {
                ground.events.push((calm_at, number, event));
            }
        }
        ground.events.sort_by_key(|(at, ..)| *at);
        Some(ground)
    }

    /// An instance's way through the time of trouble.
    fn live(
        &mut self,
        rng: &mut Rng,
        (number, calmness): (usize, f64),
        (from, calm_at): (u64, u64),
    ) {
        let mut own = vec![(from, Event::Come)];
        let comes = from + pick(rng, &[0, 0, 20_000, 200_000]);
        own.push((comes, Event::DaemonComes));
        own.push((comes + pick(rng, &[0, 5_000, 90_000]), Event::DaemonRuns));
        let troubled = |rng: &mut Rng| calmness < rng.f64() && from + 1 < calm_at;
        if troubled(rng) {
            let silent = rng.u64(from..calm_at);
            own.push((silent, Event::IsSilent));
            own.push((silent + rng.u64(5_000..400_000), Event::IsHeard));
        }
        if troubled(rng) {
            let drains = rng.u64(from..calm_at);
            own.push((drains, Event::Drain));
            let next = pick(rng, &[Event::IsActive, Event::Vanish, Event::Vanish]);
            own.push((drains + rng.u64(1_000..300_000), next));
        } else if rng.u8(0..4) == 0 && from + 1 < calm_at {
            own.push((rng.u64(from..calm_at), Event::Vanish));
        }
        own.retain(|(at, event)| *at < calm_at || *event != Event::Vanish);
        // What is still there then is as it should be.
        let late = |(at, event): (u64, Event)| (at.min(calm_at), event);
        let mut own: Vec<_> = own.into_iter().map(late).collect();
        own.extend([(calm_at, Event::IsHeard), (calm_at, Event::IsActive)]);
        own.sort_by_key(|(at, _)| *at);
        if let Some(end) = own.iter().position(|(_, event)| *event == Event::Vanish) {
            own.truncate(end + 1);
        }
        self.events.extend(own.into_iter().map(|(at, event)| (at, number, event)));
    }

    /// What a worker's tasks are here.
    pub(super) fn definition(&self, family: &str) -> Value {
        let mode = self.modes[family];
        let mut definition = crate::tick::definition(family);
        definition["requiresCompatibilities"] = json!(["EC2"]);
        definition["networkMode"] = json!(mode);
        if let Some(constraint) = &self.of_definitions {
            definition["placementConstraints"] = json!([constraint]);
        }
        if mode == "host" {
            definition["containerDefinitions"][0]["portMappings"] =
                json!([{"containerPort": 8000 + family.len()}]);
        }
        definition
    }

    /// Lets two processes at once get some of the deliveries in the time of trouble.
    pub(super) fn overlap(&self, deliveries: &mut [Delivery], calm_at: u64) {
        for (place, delivery) in deliveries.iter_mut().enumerate() {
            delivery.overlaps |= delivery.at < calm_at && self.overlaps.contains(&place);
        }
    }

    /// Lets all workers of a configuration run here.
    pub(super) fn settle_launch(&self, config: &mut Value) {
        let launch = &mut config["launch"];
        launch["launchType"] = json!("EC2");
        launch["placement"] = self.placement.clone();
        launch["placementConstraints"] = json!(self.constraints);
        for worker in config["workers"].as_array_mut().unwrap() {
            worker.as_object_mut().unwrap().remove("capacity");
            // A port of the host is there once: such a worker is not cloned.
            if self.modes[worker["name"].as_str().unwrap()] == "host" {
                worker["packing"]["maxContainersPerTask"] = json!(1);
            }
        }
    }

    /// Lets all workers of a configuration run here, and says so to who watches.
    pub(super) fn settle(&self, config: &mut Value, world: &World) {
        self.settle_launch(config);
        world.service("jobs", DAEMON);
        if let Some(life) = &mut world.state().life {
            for (at, worker, messages) in &self.bursts {
                life.arrive(*at, worker, (*messages, false));
            }
        }
        let places = &mut world.state().watch.places;
        if self.placement.get("requireDaemons").is_some() {
            places.daemons.insert(DAEMON.to_owned());
        }
        for constraint in self.constraints.iter().chain(&self.of_definitions) {
            match constraint["expression"].as_str() {
                Some(expression) => places.expressions.push(expression.to_owned()),
                None => places.distinct = true,
            }
        }
    }

    /// All that happens to the instances, at its time.
    pub(super) async fn happen(self, world: World) {
        let mut arns: BTreeMap<usize, String> = BTreeMap::new();
        let mut daemons: BTreeMap<usize, String> = BTreeMap::new();
        for (at, number, event) in &self.events {
            world.reach(Duration::from_millis(*at)).await;
            world.catch_up();
            if *event == Event::Come {
                arns.insert(*number, world.instance("jobs", self.instances[*number].clone()));
            }
            let arn = &arns[number];
            let change = match event {
                Event::Come => None,
                Event::DaemonComes => {
                    daemons.insert(*number, world.daemon("jobs", DAEMON, (arn, "PENDING")));
                    None
                }
                Event::DaemonRuns => {
                    world.task_runs(&daemons[number]);
                    None
                }
                Event::Drain => Some(json!({"status": "DRAINING"})),
                Event::IsActive => Some(json!({"status": "ACTIVE"})),
                Event::IsSilent => Some(json!({"agentConnected": false})),
                Event::IsHeard => Some(json!({"agentConnected": true})),
                Event::Vanish => {
                    world.change_instance_late(arn, (json!({}), self.lag));
                    world.vanish(arn);
                    None
                }
            };
            if let Some(change) = change {
                world.change_instance_late(arn, (change, self.lag));
            }
            let mut state = world.state();
            let now = state.millis();
            state.watch.log.push(format!("{now:>9} instance {number}: {event:?}"));
        }
        std::future::pending::<()>().await;
    }

    /// What went wrong.
    pub(super) fn faults(&self) -> BTreeMap<&'static str, u64> {
        let kinds = [
            (Event::Drain, "instance that drains"),
            (Event::IsSilent, "agent that is silent"),
            (Event::Vanish, "instance that vanishes"),
        ];
        let count = |kind| self.events.iter().filter(|(_, _, event)| *event == kind).count();
        let counted = kinds.map(|(kind, name)| (name, u64::try_from(count(kind)).unwrap()));
        counted.into_iter().chain([("seed on container instances", 1)]).collect()
    }
}

fn any_placement(rng: &mut Rng) -> Value {
    let mut placement = match rng.u8(0..3) {
        0 => json!({"scheduler": "leastTasks", "of": pick(rng, &["all", "worker"])}),
        1 => json!({"scheduler": "binpack", "by": pick(rng, &["memory", "cpu"])}),
        _ => json!({"scheduler": "spread", "of": pick(rng, &["all", "worker"])}),
    };
    if rng.u8(0..3) == 0 {
        placement["requireDaemons"] = json!([DAEMON]);
    }
    placement
}

/// Those of the workers, and one of their definitions.
fn any_constraints(rng: &mut Rng, names: &[&str]) -> (Vec<Value>, Option<Value>) {
    let member = |expression: &str| json!({"type": "memberOf", "expression": expression});
    let mut constraints = Vec::new();
    if rng.u8(0..4) == 0 {
        constraints.push(json!({"type": "distinctInstance"}));
    }
    let of_definitions = (rng.u8(0..5) == 0).then(|| member("attribute:disk == ssd"));
    match rng.u8(0..8) {
        0 => constraints.push(member("attribute:ecs.availability-zone in [a, b]")),
        1 => constraints.push(member(&format!("not(task:group == worker:{})", names[0]))),
        _ => {}
    }
    (constraints, of_definitions)
}

fn any_instance(rng: &mut Rng, few_interfaces: bool) -> Value {
    let cpu = pick(rng, &[512, 512, 1024, 2048]);
    let mut instance = json!({
        "cpu": cpu, "memory": cpu * pick(rng, &[1, 2, 4]), "zone": pick(rng, &["a", "a", "b", "c"]),
        "attributes": {"disk": pick(rng, &["ssd", "hdd"])},
    });
    if few_interfaces {
        instance["enis"] = json!(rng.u64(1..4));
    }
    instance
}
