//! A worker in memory: its queue, its containers and the decision, second by second for hours, without
//! the SDK. It shows what the brake of launches that move nothing costs, and what it spares.

mod situations;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use decision::config::Config;
use decision::decide::decide;
use decision::definition::TaskDefinition;
use decision::event::Tick;
use decision::memory::Memory;
use decision::outcome::{GroupOutcome, StartedTask, WorkerOutcome};
use decision::plan::{Action, Group, LaunchPlan, Plan, WorkerPlan};
use decision::snapshot::{
    Capacity, ClusterTasks, ContainerStatus, Depth, Ended, EndedContainer, Queue, Snapshot, Task,
    TickContext,
};
use decision::units::{
    ClusterName, Containers, Messages, Region, RevisionArn, ScalerName, TaskArn, TaskDefinitionRef,
    Tasks, WorkerName,
};
use fastrand::Rng;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::soak::part;
use crate::world::life::rounded;

const REVISION: &str = "arn:aws:ecs:eu-central-1:123456789012:task-definition/a:1";

/// What a worker does when it has done a job, or finds none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Takes messages until the queue has been empty for some time, and exits.
    Loop,
    /// Takes one message and exits.
    OneShot,
    /// Takes messages and never exits.
    Forever,
    /// Listens on another queue, and exits after some time.
    Elsewhere,
    /// Takes no message, and never exits.
    Deaf,
}

/// What a model is made of. Times are in seconds.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) kind: Kind,
    pub(crate) scaling: Value,
    pub(crate) fifo: bool,
    /// From a launch to the first receive.
    pub(crate) start: u64,
    /// How long an empty queue is waited on.
    pub(crate) linger: u64,
    pub(crate) visibility: u64,
    pub(crate) service: Service,
    pub(crate) arrivals: Vec<Arrival>,
    /// Messages that a container takes at once and works on one after the other.
    pub(crate) takes: usize,
    pub(crate) deletes: Deletes,
    /// Each finished job sends the next one.
    pub(crate) closed: bool,
    /// A message that cannot be processed is made visible again at once.
    pub(crate) gives_back: bool,
    /// The first so many containers hang at their start.
    pub(crate) hung: usize,
    /// How likely a container is taken away within an hour.
    pub(crate) spot: f64,
    /// How likely a job crashes its container.
    pub(crate) crash: f64,
    /// Everything crashes until then.
    pub(crate) broken_until: u64,
    /// ECS refuses everything until then.
    pub(crate) refused_until: u64,
    /// Messages that SQS tells of, and that are not there.
    pub(crate) ghosts: u64,
    /// How wrong SQS's numbers may be.
    pub(crate) noise: f64,
    pub(crate) every: u64,
    pub(crate) seed: u64,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            kind: Kind::Loop,
            scaling: json!({"messagesPerContainer": 1, "maxContainers": 100}),
            fifo: false,
            start: 30,
            linger: 20,
            visibility: 300,
            service: Service::Takes(10),
            arrivals: Vec::new(),
            takes: 1,
            deletes: Deletes::AfterWork,
            closed: false,
            gives_back: false,
            hung: 0,
            spot: 0.0,
            crash: 0.0,
            broken_until: 0,
            refused_until: 0,
            ghosts: 0,
            noise: 0.0,
            every: 60,
            seed: 1,
        }
    }
}

/// When a worker deletes its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deletes {
    AfterWork,
    OnReceive,
}

/// How long a job takes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Service {
    Takes(u64),
    /// Distributed exponentially, with this mean.
    About(f64),
}

/// When messages come.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Arrival {
    /// At this second, so many, of so many groups.
    At(u64, u64, u64),
    /// At this second, so many that nobody can process.
    Poison(u64, u64),
    /// From this second on, each so many seconds, so many.
    Every(u64, u64, u64),
    /// So many a minute on average, of so many groups.
    Poisson(f64, u64),
}

#[derive(Clone, Copy, Debug)]
struct Message {
    sent: u64,
    group: u64,
    poison: bool,
    service: u64,
    received: bool,
}

#[derive(Clone, Debug)]
struct Container {
    number: u64,
    born: u64,
    ready: u64,
    /// Until when it works on which message.
    job: Option<(u64, u64)>,
    /// Messages that it has taken, and not begun.
    taken: VecDeque<u64>,
    idle: u64,
    received: bool,
    hangs: bool,
}

/// What a run came to.
#[derive(Debug, Default)]
pub(crate) struct Came {
    pub(crate) started: usize,
    /// Of these, the ones that ended without ever having had a message.
    pub(crate) empty: usize,
    pub(crate) done: usize,
    /// How long each healthy message waited for its first receive, in seconds.
    pub(crate) waited: Vec<u64>,
    pub(crate) left: usize,
    /// What was decided, and at which second.
    pub(crate) told: Vec<(u64, String)>,
}

impl Came {
    /// A percentile of how long healthy messages waited, in minutes.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        if self.waited.is_empty() {
            return f64::NAN;
        }
        Duration::from_secs(part(&self.waited, percent)).as_secs_f64() / 60.0
    }
}

/// A model that runs.
struct Run {
    model: Model,
    config: Config,
    memory: Memory,
    rng: Rng,
    now: u64,
    visible: VecDeque<Message>,
    in_flight: BTreeMap<u64, (u64, Message)>,
    containers: Vec<Container>,
    ended: Vec<Ended>,
    next: u64,
    came: Came,
}

/// Runs a model for so many minutes.
pub(crate) fn run(model: &Model, minutes: u64) -> Came {
    let name = if model.fifo { "a.fifo" } else { "a" };
    let document = json!({"cluster": "jobs", "maxTasksPerTick": 10_000, "maxTasksPerHour": 100_000,
        "launch": {"launchType": "FARGATE",
            "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1"]}}},
        "workers": [{"name": "a", "queue": name, "taskDefinition": "a", "scaling": model.scaling,
            "packing": {"maxContainersPerTask": 1, "maxTasks": 10_000}}]});
    let config = Config::from_value(&document).unwrap();
    assert_eq!(config.refused, []);
    let mut run = Run {
        model: model.clone(),
        config,
        memory: Memory::default(),
        rng: Rng::with_seed(model.seed),
        now: 0,
        visible: VecDeque::new(),
        in_flight: BTreeMap::new(),
        containers: Vec::new(),
        ended: Vec::new(),
        next: 0,
        came: Came::default(),
    };
    for second in 0..minutes * 60 {
        run.arrive();
        run.step();
        if second % run.model.every == 7 {
            run.tick();
        }
    }
    run.came.left = run.visible.len() + run.in_flight.len();
    run.came
}

impl Run {
    fn arrive(&mut self) {
        for arrival in self.model.arrivals.clone() {
            match arrival {
                Arrival::At(at, count, groups) if at == self.now => {
                    (0..count).for_each(|i| self.send(i % groups.max(1), false));
                }
                Arrival::Poison(at, count) if at == self.now => {
                    (0..count).for_each(|_| self.send(0, true));
                }
                Arrival::Every(from, each, count)
                    if from <= self.now && (self.now - from).is_multiple_of(each) =>
                {
                    (0..count).for_each(|_| self.send(0, false));
                }
                Arrival::Poisson(a_minute, groups) if self.rng.f64() < a_minute / 60.0 => {
                    let group = self.rng.u64(0..groups.max(1));
                    self.send(group, false);
                }
                _ => {}
            }
        }
    }

    fn send(&mut self, group: u64, poison: bool) {
        let service = match self.model.service {
            Service::Takes(seconds) => seconds,
            Service::About(mean) => {
                let seconds = -mean * (1.0 - self.rng.f64()).ln();
                1 + Duration::from_secs_f64(seconds).as_secs()
            }
        };
        let message = Message { sent: self.now, group, poison, service, received: false };
        self.visible.push_back(message);
    }

    fn step(&mut self) {
        self.now += 1;
        let back: Vec<_> = self
            .in_flight
            .iter()
            .filter(|(_, (at, _))| *at <= self.now)
            .map(|(id, _)| *id)
            .collect();
        for id in back {
            let (_, message) = self.in_flight.remove(&id).unwrap();
            self.visible.push_front(message);
        }
        for mut container in std::mem::take(&mut self.containers) {
            if let Some((code, exit)) = self.work(&mut container) {
                self.end(&container, (code, exit));
            } else {
                self.containers.push(container);
            }
        }
    }

    /// A second of a container: how it ends, if it does.
    fn work(&mut self, container: &mut Container) -> Option<(&'static str, i32)> {
        const BY_ITSELF: &str = "EssentialContainerExited";
        if self.now < container.ready {
            return None;
        }
        if self.now < self.model.broken_until {
            container.received = true;
            return Some((BY_ITSELF, 1));
        }
        if self.model.spot != 0.0 && self.rng.f64() < self.model.spot / 3600.0 {
            if let Some((_, id)) = container.job {
                self.in_flight.get_mut(&id).unwrap().0 = self.now + 30;
            }
            return Some(("SpotInterruption", 137));
        }
        if container.hangs || self.model.kind == Kind::Deaf {
            return None;
        }
        if let Some((until, id)) = container.job {
            return self.go_on(container, (until, id)).map(|exit| (BY_ITSELF, exit));
        }
        for _ in 0..self.model.takes {
            let Some(message) = self.receive() else { break };
            self.next += 1;
            container.received = true;
            container.taken.push_back(self.next);
            self.in_flight.insert(self.next, (self.now + self.model.visibility, message));
        }
        if self.begin_next(container) {
            return None;
        }
        container.idle += 1;
        let ends = self.model.kind != Kind::Forever && self.model.linger <= container.idle;
        ends.then_some((BY_ITSELF, 0))
    }

    /// Begins with the next message that the container has taken, if there is one.
    fn begin_next(&mut self, container: &mut Container) -> bool {
        let next = container.taken.pop_front();
        let job = next.map(|id| (self.now + self.in_flight[&id].1.service.max(1), id));
        container.job = job;
        job.is_some()
    }

    /// A second of a job: the exit code, where the container ends with it.
    fn go_on(&mut self, container: &mut Container, (until, id): (u64, u64)) -> Option<i32> {
        for id in container.taken.iter().chain([&id]) {
            self.in_flight.get_mut(id).unwrap().0 = self.now + self.model.visibility;
        }
        if self.now < until {
            return None;
        }
        container.job = None;
        container.idle = 0;
        let message = self.in_flight[&id].1;
        let crashes = self.model.crash != 0.0 && self.rng.f64() < self.model.crash;
        if message.poison || crashes {
            if self.model.gives_back {
                self.in_flight.remove(&id);
                self.visible.push_back(message);
            }
            if !message.poison {
                return Some(1);
            }
        } else {
            self.in_flight.remove(&id);
            self.came.done += 1;
            if self.model.closed {
                self.send(0, false);
            }
        }
        let goes_on = self.begin_next(container);
        (self.model.kind == Kind::OneShot && !goes_on).then_some(0)
    }

    fn receive(&mut self) -> Option<Message> {
        if self.model.kind == Kind::Elsewhere {
            return None;
        }
        let at = if self.model.fifo {
            let taken = |group| self.in_flight.values().any(|(_, m)| m.group == group);
            self.visible.iter().position(|message| !taken(message.group))?
        } else {
            0
        };
        let mut message = self.visible.remove(at)?;
        if !message.received && !message.poison {
            self.came.waited.push(self.now - message.sent);
        }
        message.received = true;
        Some(message)
    }

    fn end(&mut self, container: &Container, (code, exit): (&str, i32)) {
        self.came.empty += usize::from(!container.received);
        let name = "w".to_owned();
        self.ended.push(Ended {
            arn: arn(container.number),
            worker: WorkerName::from("a"),
            revision: RevisionArn::from(REVISION),
            created: Some(at(container.born)),
            started: Some(at(container.ready)),
            stopped: at(self.now),
            code: code.to_owned(),
            reason: String::new(),
            containers: vec![EndedContainer { name, exit: Some(exit), reason: None }],
            tick: None,
            container: None,
            capacity: Capacity::default(),
        });
    }

    fn depth(&mut self) -> Depth {
        let noise = self.model.noise;
        let mut wrong = |n: usize| {
            rounded(u64::try_from(n).unwrap(), 1.0 + noise * (2.0 * self.rng.f64() - 1.0))
        };
        let ghosts = usize::try_from(self.model.ghosts).unwrap();
        let in_flight = match self.model.deletes {
            Deletes::AfterWork => self.in_flight.len(),
            Deletes::OnReceive => 0,
        };
        let visible = self.visible.len() + ghosts;
        let (visible, in_flight) = (Messages(wrong(visible)), Messages(wrong(in_flight)));
        Depth { visible, in_flight, delayed: Messages(0) }
    }

    fn tick(&mut self) {
        let snapshot = self.snapshot();
        let Plan { workers, .. } = decide(&self.config, &snapshot);
        let acted: Vec<_> = workers.into_iter().map(|plan| self.act(plan)).collect();
        self.memory.remember(&snapshot, &acted, snapshot.now);
    }

    fn snapshot(&mut self) -> Snapshot {
        let depth = self.depth();
        let hour = at(self.now.saturating_sub(3600));
        self.ended.retain(|ended| hour <= ended.stopped);
        let alive = self.containers.iter().map(|container| {
            let runs = container.ready <= self.now;
            let status = if runs { ContainerStatus::Running } else { ContainerStatus::Starting };
            Task {
                arn: arn(container.number),
                worker: WorkerName::from("a"),
                revision: RevisionArn::from(REVISION),
                containers: vec![("w".to_owned(), status)],
                created: Some(at(container.born)),
                started: runs.then(|| at(container.ready)),
                tick: None,
                container: None,
                instance: None,
                capacity: Capacity::default(),
                function: None,
                provisioning: false,
                shape: None,
            }
        });
        let tasks = ClusterTasks {
            alive: alive.collect(),
            ended: self.ended.clone(),
            ..ClusterTasks::default()
        };
        let (scaler, delivery) = (&ScalerName::parse("scaler").unwrap(), &self.now.to_string());
        let tick = &Tick::Request(delivery.clone());
        let context = TickContext {
            scaler,
            tick,
            delivery,
            now: at(self.now),
            answers_hooks: false,
            function: "scaler",
            checks: false,
            may_overlap: false,
        };
        Snapshot {
            queues: [(WorkerName::from("a"), Ok(Queue { depth, ..Queue::default() }))].into(),
            tasks: [(ClusterName::from("jobs"), Ok(tasks))].into(),
            definitions: [(TaskDefinitionRef::from("a"), Ok(definition()))].into(),
            memories: self.memory.workers(),
            ..Snapshot::unread(context, Region::from("eu-central-1"))
        }
    }

    fn act(&mut self, plan: WorkerPlan) -> WorkerOutcome {
        let launch = match &plan.action {
            Action::Launch(launch) => launch,
            Action::Idle(idle) => {
                self.came.told.push((self.now, idle.to_string()));
                return WorkerOutcome::not(plan);
            }
            other => panic!("{other:?}"),
        };
        self.came.told.push((self.now, launch.to_string()));
        let LaunchPlan { groups, .. } = &**launch;
        let tasks: Tasks = groups.iter().map(Group::tasks).sum();
        let mut outcome = GroupOutcome {
            revision: Some(RevisionArn::from(REVISION)),
            containers_per_task: Containers(1),
            ..GroupOutcome::default()
        };
        if self.now < self.model.refused_until {
            outcome.missing = tasks;
        } else {
            outcome.started = (0..tasks.0).map(|_| self.start()).collect();
        }
        WorkerOutcome { plan, groups: vec![outcome] }
    }

    fn start(&mut self) -> StartedTask {
        self.next += 1;
        let hangs = self.came.started < self.model.hung;
        self.came.started += 1;
        let (number, born, ready) = (self.next, self.now, self.now + self.model.start);
        let container = Container {
            number,
            born,
            ready,
            job: None,
            taken: VecDeque::new(),
            idle: 0,
            received: false,
            hangs,
        };
        self.containers.push(container);
        StartedTask { arn: arn(number), created: Some(at(born)), instance: None }
    }
}

fn arn(number: u64) -> TaskArn {
    TaskArn(format!("arn:aws:ecs:eu-central-1:123456789012:task/jobs/{number:032x}"))
}

fn at(second: u64) -> Timestamp {
    let beginning: Timestamp = crate::world::BEGINNING.parse().unwrap();
    beginning.checked_add(Duration::from_secs(second)).unwrap()
}

fn definition() -> TaskDefinition {
    let document = json!({
        "taskDefinitionArn": REVISION, "family": "a", "status": "ACTIVE", "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512",
        "containerDefinitions": [{"name": "w", "image": "w", "cpu": 256, "memory": 512}],
    });
    TaskDefinition::parse(&document, &json!([])).unwrap()
}
