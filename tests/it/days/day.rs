//! One day of one worker.

mod referee;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::time::Duration;

use decision::config::Config;
use decision::decide::decide;
use decision::definition::TaskDefinition;
use decision::event::Tick;
use decision::memory::Memory;
use decision::outcome::{GroupOutcome, StartedTask, WorkerOutcome};
use decision::plan::{Action, LaunchPlan, Plan};
use decision::snapshot::{
    Capacity, ClusterTasks, ContainerStatus, Depth, Ended, EndedContainer, Queue, Redrive,
    Snapshot, Task, TickContext,
};
use decision::units::{
    ClusterName, Messages, Region, RevisionArn, ScalerName, TaskArn, TaskDefinitionRef, Tasks,
    WorkerName,
};
use fastrand::Rng;
use jiff::Timestamp;
use serde_json::json;

use crate::world::life::work::{Message, Work};
use crate::world::life::{Habit, Jobs};

const MINUTE: u64 = 60_000;
const LONG_POLL: u64 = 20_000;
const EMPTY_RECEIVES: u32 = 3;
const STUCK_AFTER: u64 = 15 * MINUTE;

const SECONDS: (u64, u64) = (3_000, 20_000);
const MINUTES: (u64, u64) = (60_000, 900_000);
const HOURS: (u64, u64) = (1_200_000, 7_200_000);

/// What a kind of worker is called, what its containers do, how long its jobs last, and what goes
/// wrong: how many of a thousand containers crash, hang, and never start.
type Kind = (&'static str, Habit, (u64, u64), [u32; 3]);

const KINDS: [Kind; 11] = [
    ("loops, seconds", Habit::Loops, SECONDS, [0; 3]),
    ("loops, minutes", Habit::Loops, MINUTES, [0; 3]),
    ("loops, hours", Habit::Loops, HOURS, [0; 3]),
    ("one-shot, seconds", Habit::OneShot, SECONDS, [0; 3]),
    ("one-shot, minutes", Habit::OneShot, MINUTES, [0; 3]),
    ("one-shot, hours", Habit::OneShot, HOURS, [0; 3]),
    ("loops, a fifth crashes", Habit::Loops, MINUTES, [200, 0, 0]),
    ("one-shot, one of a hundred never starts", Habit::OneShot, MINUTES, [0, 0, 10]),
    ("closed loop", Habit::OneShot, SECONDS, [0; 3]),
    ("prefetches five", Habit::Prefetches(5), SECONDS, [0; 3]),
    ("all crash for a while", Habit::Loops, MINUTES, [0; 3]),
];

#[derive(Debug)]
enum Event {
    Arrive(u64),
    Start(usize),
    Poll(usize, u32),
    Done(usize, Message, VecDeque<Message>),
    Return(Message),
    Stop(usize, i32),
}

#[derive(Debug)]
struct Container {
    created: u64,
    started: Option<u64>,
    /// When it ended, and with which exit code.
    ended: Option<(u64, i32)>,
    taken: u64,
    deleted: u64,
    hangs: bool,
}

/// What was seen of a day.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) messages: u64,
    pub(super) done: u64,
    pub(super) started: u64,
    pub(super) idle: u64,
    pub(super) waits: Vec<u64>,
    pub(super) found: Vec<(u64, &'static str)>,
    pub(super) log: Vec<String>,
}

/// A day.
pub(super) struct Day {
    kind: Kind,
    rng: Rng,
    work: Work,
    most: u64,
    config: Config,
    definition: TaskDefinition,
    memory: Memory,
    agenda: BinaryHeap<Reverse<(u64, u64)>>,
    events: BTreeMap<u64, Event>,
    next: u64,
    containers: Vec<Container>,
    /// The first that is of any interest still.
    oldest: usize,
    /// While all tasks crash.
    crashes: (u64, u64),
    found: Vec<(u64, &'static str)>,
    log: Vec<String>,
    messages: u64,
    /// When there were more messages in flight last than the containers that ran could hold.
    unheld: Option<u64>,
    /// Since when the brake has let nobody through, though most of the last containers moved messages.
    braked: Option<u64>,
}

impl Day {
    pub(super) fn new(number: u64) -> Self {
        let mut rng = Rng::with_seed(number);
        let kind = KINDS[usize::try_from(number).unwrap() % KINDS.len()];
        let (name, habit, lasts, [crashing, hanging, _]) = kind;
        let startup = if rng.bool() { (10_000, 20_000) } else { (20_000, 50_000) };
        let day = 24 * 60 * MINUTE;
        let jobs = Jobs {
            lasts,
            visibility: lasts.1 + MINUTE,
            redrive: Some(10),
            startup,
            habit,
            hanging,
            crashing,
            groups: 0,
            closed_until: if name == "closed loop" { day } else { 0 },
        };
        let most = rng.u64(10..60);
        let from = rng.u64(0..day / 2);
        let crash_loop = name == "all crash for a while";
        let mut new = Self {
            kind,
            work: Work::new(jobs),
            most,
            config: config(most),
            definition: definition(),
            memory: Memory::default(),
            agenda: BinaryHeap::new(),
            events: BTreeMap::new(),
            next: 0,
            containers: Vec::new(),
            oldest: 0,
            crashes: if crash_loop { (from, from + 30 * MINUTE) } else { (0, 0) },
            found: Vec::new(),
            log: Vec::new(),
            messages: 0,
            unheld: None,
            braked: None,
            rng,
        };
        new.arrive(day);
        new
    }

    /// A load that the worker can bear, and a burst now and then; the last hours are for the rest.
    fn arrive(&mut self, day: u64) {
        let jobs = self.work.jobs;
        if jobs.closed_until != 0 {
            return self.plan(0, Event::Arrive(1));
        }
        let ends = day - 7 * jobs.lasts.1.min(60 * MINUTE) - 60 * MINUTE;
        let lasts = jobs.lasts.0.midpoint(jobs.lasts.1) + 70_000;
        let most = (1 + self.most * ends / lasts / 5).min(4_000);
        for _ in 0..self.rng.u64(1..=most) {
            let at = self.rng.u64(0..ends);
            self.plan(at, Event::Arrive(1));
        }
        for _ in 0..self.rng.u64(0..4) {
            let (at, messages) = (self.rng.u64(0..ends), self.rng.u64(1..=self.most));
            self.plan(at, Event::Arrive(messages));
        }
    }

    fn plan(&mut self, at: u64, event: Event) {
        self.agenda.push(Reverse((at, self.next)));
        self.events.insert(self.next, event);
        self.next += 1;
    }

    pub(super) fn run(&mut self, minutes: u64) {
        for minute in 0..minutes {
            let now = minute * MINUTE + self.rng.u64(0..2_000);
            self.pass(now);
            if self.rng.u32(0..1000) < 2 {
                self.memory = Memory::default();
            }
            self.tick(minute, now);
        }
        self.pass(minutes * MINUTE);
    }

    /// Lets everything happen that is due.
    fn pass(&mut self, now: u64) {
        while let Some(Reverse((at, number))) = self.agenda.peek().copied() {
            if now < at {
                break;
            }
            self.agenda.pop();
            let event = self.events.remove(&number).unwrap();
            self.happen(at, event);
        }
    }

    fn happen(&mut self, at: u64, event: Event) {
        match event {
            Event::Arrive(messages) => {
                self.work.send(at, (messages, false));
                self.messages += messages;
            }
            Event::Start(id) => self.start(at, id),
            Event::Poll(id, empty) => self.poll(at, id, empty),
            Event::Done(id, message, others) => self.done(at, id, (message, others)),
            Event::Return(message) => self.work.give_back(at, message),
            Event::Stop(id, exit) => {
                self.containers[id].ended.get_or_insert((at, exit));
            }
        }
    }

    fn start(&mut self, at: u64, id: usize) {
        self.containers[id].started = Some(at);
        if self.crashes.0 <= at && at < self.crashes.1 {
            self.plan(at + 3_000, Event::Stop(id, 1));
        } else if !self.containers[id].hangs {
            let first = at + self.rng.u64(500..3_000);
            self.plan(first, Event::Poll(id, 0));
        }
    }

    fn poll(&mut self, at: u64, id: usize, empty: u32) {
        if self.containers[id].ended.is_some() {
            return;
        }
        let habit = self.work.jobs.habit;
        let most = if let Habit::Prefetches(most) = habit { most } else { 1 };
        let taken = (0..most).map_while(|_| self.work.take(&mut self.rng, at));
        let taken: VecDeque<_> = taken.collect();
        self.containers[id].taken += u64::try_from(taken.len()).unwrap();
        let patience = if habit == Habit::OneShot { 2 } else { EMPTY_RECEIVES };
        if !taken.is_empty() {
            self.do_first(at, id, taken);
        } else if empty + 1 < patience {
            self.plan(at + LONG_POLL, Event::Poll(id, empty + 1));
        } else {
            self.plan(at, Event::Stop(id, 0));
        }
    }

    fn do_first(&mut self, at: u64, id: usize, mut taken: VecDeque<Message>) {
        let Some(message) = taken.pop_front() else { return };
        let Jobs { lasts, crashing, visibility, .. } = self.work.jobs;
        let lasts = self.rng.u64(lasts.0..=lasts.1);
        if self.rng.u32(0..1000) < crashing {
            self.plan(at + lasts / 2, Event::Stop(id, 1));
            for message in std::iter::once(message).chain(taken) {
                self.plan(at + visibility, Event::Return(message));
            }
        } else {
            self.plan(at + lasts, Event::Done(id, message, taken));
        }
    }

    fn done(&mut self, at: u64, id: usize, (message, others): (Message, VecDeque<Message>)) {
        self.work.delete(at, &message);
        self.work.done += 1;
        self.containers[id].deleted += 1;
        if at < self.work.jobs.closed_until {
            self.plan(at + 1_000, Event::Arrive(1));
        }
        if !others.is_empty() {
            self.do_first(at, id, others);
        } else if self.work.jobs.habit == Habit::OneShot {
            self.plan(at, Event::Stop(id, 0));
        } else {
            self.plan(at, Event::Poll(id, 0));
        }
    }

    /// Observe, decide, remember.
    fn tick(&mut self, minute: u64, now: u64) {
        let snapshot = self.snapshot(minute, now);
        let plan = decide(&self.config, &snapshot);
        let acted = self.act(plan, now);
        self.memory.remember(&snapshot, &acted, at(now + 1_000));
        let started: usize = acted[0].groups.iter().map(|group| group.started.len()).sum();
        self.judge((minute, now), u64::try_from(started).unwrap(), acted);
    }

    fn snapshot(&mut self, minute: u64, now: u64) -> Snapshot {
        let hour_ago = now.saturating_sub(60 * MINUTE);
        let is_gone = |c: &Container| c.ended.is_some_and(|(ended, _)| ended < hour_ago);
        while self.containers.get(self.oldest).is_some_and(is_gone) {
            self.oldest += 1;
        }
        let known = self.containers.iter().enumerate().skip(self.oldest);
        let (mut alive, mut ended) = (Vec::new(), Vec::new());
        for (id, container) in known {
            match container.ended {
                None => alive.push(task(id, container)),
                Some((stopped, exit)) if hour_ago <= stopped => {
                    ended.push(ended_task(id, container, (stopped, exit)));
                }
                Some(_) => {}
            }
        }
        let cluster = ClusterName::from("jobs");
        let read = ClusterTasks { alive, ended, ..ClusterTasks::default() };
        let read = self.memory.completed(&cluster, read, at(now));
        let (visible, in_flight) = (self.work.waiting.len(), self.work.in_flight);
        let visible = Messages(u64::try_from(visible).unwrap() + self.work.ghosts);
        let depth = Depth { visible, in_flight: Messages(in_flight), delayed: Messages(0) };
        let redrive = match self.work.jobs.redrive {
            Some(_) => Redrive::Bounded,
            None => Redrive::Endless,
        };
        let (scaler, tick) =
            (&ScalerName::parse("scaler").unwrap(), &Tick::Scheduled(at(minute * MINUTE)));
        let delivery = &format!("request {minute}");
        let context = TickContext {
            scaler,
            tick,
            delivery,
            now: at(now),
            answers_hooks: false,
            function: "scaler",
            checks: false,
            may_overlap: false,
        };
        Snapshot {
            queues: [(WorkerName::from("a"), Ok(Queue { depth, redrive }))].into(),
            tasks: [(cluster, Ok(read))].into(),
            definitions: [(TaskDefinitionRef("a".to_owned()), Ok(self.definition.clone()))].into(),
            launched: self.memory.launched(at(now)),
            memories: self.memory.workers(),
            ..Snapshot::unread(context, Region::from("eu-central-1"))
        }
    }

    /// All that is planned is there.
    fn act(&mut self, plan: Plan, now: u64) -> Vec<WorkerOutcome> {
        let mut acted = Vec::new();
        for worker in plan.workers {
            let groups = match &worker.action {
                Action::Launch(launch) => self.launch(launch, now),
                Action::Idle(_) | Action::Hold(_) | Action::Refuse(_) => Vec::new(),
            };
            acted.push(WorkerOutcome { plan: worker, groups });
        }
        acted
    }

    fn launch(&mut self, launch: &LaunchPlan, now: u64) -> Vec<GroupOutcome> {
        let mut outcomes = Vec::new();
        for group in &launch.groups {
            let started = (0..group.tasks().0).map(|_| {
                let id = self.containers.len();
                let Jobs { startup, hanging, .. } = self.work.jobs;
                let hangs = self.rng.u32(0..1000) < hanging;
                let fresh = Container {
                    created: now,
                    started: None,
                    ended: None,
                    taken: 0,
                    deleted: 0,
                    hangs,
                };
                self.containers.push(fresh);
                // What never starts is stopped by ECS in the end.
                if self.rng.u32(0..1000) < self.kind.3[2] {
                    self.plan(now + 180 * MINUTE, Event::Stop(id, 1));
                } else {
                    let starts = now + self.rng.u64(startup.0..=startup.1);
                    self.plan(starts, Event::Start(id));
                }
                StartedTask { arn: arn(id), created: Some(at(now)), instance: None }
            });
            let started = started.collect();
            outcomes.push(GroupOutcome {
                revision: Some(revision()),
                containers_per_task: group.containers_per_task,
                started,
                missing: Tasks(0),
                ..GroupOutcome::default()
            });
        }
        outcomes
    }

    pub(super) fn kind(&self) -> &'static str {
        self.kind.0
    }

    pub(super) fn seen(self) -> Seen {
        let ended = self.containers.iter().filter(|c| c.ended.is_some() && c.taken == 0);
        Seen {
            messages: self.messages,
            done: self.work.done,
            started: u64::try_from(self.containers.len()).unwrap(),
            idle: u64::try_from(ended.count()).unwrap(),
            waits: self.work.waits.iter().map(|(_, waited)| *waited).collect(),
            found: self.found,
            log: self.log,
        }
    }
}

fn at(millis: u64) -> Timestamp {
    let beginning: Timestamp = crate::world::BEGINNING.parse().unwrap();
    beginning + Duration::from_millis(millis)
}

fn arn(id: usize) -> TaskArn {
    TaskArn(format!("arn:aws:ecs:eu-central-1:123456789012:task/jobs/{id:032x}"))
}

fn revision() -> RevisionArn {
    RevisionArn("arn:aws:ecs:eu-central-1:123456789012:task-definition/a:7".to_owned())
}

fn task(id: usize, container: &Container) -> Task {
    let status = match container.started {
        Some(_) => ContainerStatus::Running,
        None => ContainerStatus::Starting,
    };
    Task {
        arn: arn(id),
        worker: WorkerName::from("a"),
        revision: revision(),
        containers: vec![("worker".to_owned(), status)],
        created: Some(at(container.created)),
        started: container.started.map(at),
        tick: None,
        container: None,
        instance: None,
        capacity: Capacity::default(),
        function: None,
        provisioning: false,
        shape: None,
    }
}

fn ended_task(id: usize, container: &Container, (stopped, exit): (u64, i32)) -> Ended {
    let exit = container.started.map(|_| exit);
    Ended {
        arn: arn(id),
        worker: WorkerName::from("a"),
        revision: revision(),
        created: Some(at(container.created)),
        started: container.started.map(at),
        stopped: at(stopped),
        code: if exit.is_some() { "EssentialContainerExited" } else { "TaskFailedToStart" }
            .to_owned(),
        reason: String::new(),
        containers: vec![EndedContainer { name: "worker".to_owned(), exit, reason: None }],
        capacity: Capacity::default(),
        tick: None,
        container: None,
    }
}

fn config(most: u64) -> Config {
    let scaling = json!({"messagesPerContainer": 1, "maxContainers": most});
    let packing = json!({"maxContainersPerTask": 1, "maxTasks": 100});
    let mut document = crate::tick::config(&[crate::tick::worker("a", &scaling, &packing)]);
    document["maxTasksPerHour"] = json!(100_000);
    Config::from_value(&document).unwrap()
}

fn definition() -> TaskDefinition {
    let mut document = crate::tick::definition("a");
    document["taskDefinitionArn"] = json!(revision().0);
    document["revision"] = json!(7);
    document["status"] = json!("ACTIVE");
    TaskDefinition::parse(&document, &json!([])).unwrap()
}
