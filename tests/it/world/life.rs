//! What happens while nobody calls: messages arrive, tasks start, containers take messages, work on
//! them and end. In virtual time, from a seed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};

use fastrand::Rng;
use serde_json::{Value, json};

use super::instances::is_standalone;
use super::weather::Fate;
use super::{State, World, list, tasks, text};

/// A worker container ends after so many receives that gave nothing, each of twenty seconds.
const EMPTY_RECEIVES: u32 = 3;
const LONG_POLL: u64 = 20_000;

/// What a worker's queue and its jobs are like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Jobs {
    /// Shortest and longest, in milliseconds.
    pub(crate) lasts: (u64, u64),
    /// How long a received message stays invisible, in milliseconds.
    pub(crate) visibility: u64,
    /// `maxReceiveCount`, where there is a dead-letter queue.
    pub(crate) redrive: Option<u32>,
    /// From creation to RUNNING, shortest and longest, in milliseconds.
    pub(crate) startup: (u64, u64),
}

#[derive(Clone, Copy, Debug)]
struct Message {
    poison: bool,
    receives: u32,
}

#[derive(Debug)]
struct Work {
    jobs: Jobs,
    waiting: VecDeque<Message>,
    in_flight: u64,
    healthy_left: u64,
    /// Visible and in flight from then on.
    log: Vec<(u64, u64, u64)>,
}

#[derive(Debug)]
enum Happening {
    Arrive(String, u64, bool),
    Start(String),
    Poll(String, String, u32),
    Done(String, String, Message),
    Return(String, Message),
    Stop(String, &'static str, &'static str, Option<i32>),
}

/// All that goes on.
#[derive(Debug)]
pub(crate) struct Life {
    rng: Rng,
    works: BTreeMap<String, Work>,
    agenda: BinaryHeap<Reverse<(u64, u64)>>,
    happenings: BTreeMap<u64, Happening>,
    next: u64,
    crashing: BTreeSet<String>,
    /// How late SQS's numbers may be, in milliseconds, and how wrong, until when.
    pub(crate) lag: u64,
    pub(crate) noise: f64,
    pub(crate) calm_at: u64,
    /// Containers that ended without having had a message.
    pub(crate) idle_containers: u64,
    received: BTreeSet<String>,
}

impl Life {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            works: BTreeMap::new(),
            agenda: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            next: 0,
            crashing: BTreeSet::new(),
            lag: 0,
            noise: 0.0,
            calm_at: 0,
            idle_containers: 0,
            received: BTreeSet::new(),
        }
    }

    /// A worker's queue, by the worker's name.
    pub(crate) fn worker(&mut self, worker: &str, jobs: Jobs) {
        let work = Work {
            jobs,
            waiting: VecDeque::new(),
            in_flight: 0,
            healthy_left: 0,
            log: vec![(0, 0, 0)],
        };
        self.works.insert(worker.to_owned(), work);
    }

    /// Messages arrive, of which poisonous ones can never be processed.
    pub(crate) fn arrive(&mut self, at: u64, worker: &str, (messages, poison): (u64, bool)) {
        self.plan(at, Happening::Arrive(worker.to_owned(), messages, poison));
    }

    /// Messages that can be processed and are not.
    pub(crate) fn left(&self) -> u64 {
        self.works.values().map(|work| work.healthy_left).sum()
    }

    fn plan(&mut self, at: u64, happening: Happening) {
        self.agenda.push(Reverse((at, self.next)));
        self.happenings.insert(self.next, happening);
        self.next += 1;
    }

    fn next(&mut self, now: u64) -> Option<(u64, Happening)> {
        let Reverse((at, _)) = *self.agenda.peek()?;
        if now < at {
            return None;
        }
        let Reverse((at, number)) = self.agenda.pop()?;
        Some((at, self.happenings.remove(&number)?))
    }

    /// What SQS says of a queue: late by some seconds, each number by its own, and not exact.
    pub(super) fn approximately(&mut self, url: &str, now: u64) -> Option<(u64, u64)> {
        let worker = url.rsplit('/').next()?;
        let calm = self.calm_at <= now;
        let (lag, noise) = if calm { (0, 0.0) } else { (self.lag, self.noise) };
        let work = self.works.get(worker)?;
        let (then, later) = (self.rng.u64(0..=lag), self.rng.u64(0..=lag));
        let visible = work.at(now.saturating_sub(then)).0;
        let in_flight = work.at(now.saturating_sub(later)).1;
        let mut wrong = |n: u64| {
            let by = 1.0 + noise * (2.0 * self.rng.f64() - 1.0);
            // Small numbers are exact, as far as can be seen.
            if n < 5 { n } else { rounded(n, by) }
        };
        Some((wrong(visible), wrong(in_flight)))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    clippy::as_conversions,
    reason = "a few thousand messages, more or less"
)]
fn rounded(n: u64, by: f64) -> u64 {
    (n as f64 * by).round() as u64
}

impl Work {
    fn at(&self, time: u64) -> (u64, u64) {
        let later = self.log.partition_point(|(at, ..)| *at <= time);
        let (_, visible, in_flight) = self.log[later.saturating_sub(1)];
        (visible, in_flight)
    }

    fn note(&mut self, at: u64) {
        self.log.push((at, u64::try_from(self.waiting.len()).unwrap(), self.in_flight));
    }
}

impl World {
    /// Lets everything happen that is due.
    pub(crate) fn catch_up(&self) {
        self.state().catch_up();
    }

    /// Tasks that ECS does not want stopped.
    pub(crate) fn alive(&self) -> usize {
        self.tasks().len()
    }

    /// Messages that can be processed and are not.
    pub(crate) fn left(&self) -> u64 {
        self.state().life.as_ref().unwrap().left()
    }

    /// Worker containers that ended without having had a message.
    pub(crate) fn idle_containers(&self) -> u64 {
        self.state().life.as_ref().unwrap().idle_containers
    }

    /// A queue's visible and in-flight messages, as SQS tells them.
    pub(crate) fn approximate_depth(&self, worker: &str) -> (u64, u64) {
        let mut state = self.state();
        let now = state.millis();
        state.life.as_mut().unwrap().approximately(worker, now).unwrap()
    }

    /// A worker's tasks, and those of them that do not run yet.
    pub(crate) fn jobs(&self, worker: &str) -> (u64, u64) {
        let group = format!("worker:{worker}");
        let is_there = |task: &Value| {
            let mut workers = list(task, "containers").iter().filter(|c| is_worker(c));
            task["group"] == group.as_str() && workers.any(|c| c["lastStatus"] != "STOPPED")
        };
        let tasks: Vec<_> = self.tasks().into_iter().filter(is_there).collect();
        let pending = tasks.iter().filter(|task| task.get("startedAt").is_none()).count();
        (u64::try_from(tasks.len()).unwrap(), u64::try_from(pending).unwrap())
    }

    /// Starts tasks of one container, as another scaler would.
    pub(crate) fn start_jobs(&self, worker: &str, count: u64) {
        let mut state = self.state();
        for _ in 0..count {
            let token = format!("{:030}", state.tasks.len());
            let network = json!({"awsvpcConfiguration": {"subnets": ["subnet-1"]}});
            let input = json!({
                "cluster": "jobs", "taskDefinition": worker, "group": format!("worker:{worker}"),
                "launchType": "FARGATE", "networkConfiguration": network, "clientToken": token,
                "startedBy": "another", "count": 1,
            });
            state.run_task(0, &input, None).unwrap();
        }
    }

    /// Tasks that were ever started but by services, and those of them that are on instances.
    pub(crate) fn started(&self) -> (usize, usize) {
        let state = self.state();
        let own = state.tasks.values().filter(|task| is_standalone(task));
        let on_instances = own.clone().filter(|task| task["launchType"] == "EC2").count();
        (own.count(), on_instances)
    }
}

/// Whether a container takes messages, and is no sidecar.
pub(crate) fn is_worker(container: &Value) -> bool {
    let name = text(container, "name");
    name == "worker" || name.strip_prefix("worker-").is_some_and(|n| n.parse::<u32>().is_ok())
}

impl State {
    /// A task was created: what becomes of it.
    pub(super) fn begin(&mut self, process: u32, arn: &str) {
        let now = self.millis();
        let task = &self.tasks[arn];
        let provider = text(task, "capacityProviderName");
        let on = if provider.is_empty() { text(task, "launchType") } else { provider };
        let (lags, fate, spot) = match &mut self.weather {
            Some(weather) => (weather.lags(now), weather.start(on, now), weather.interruption(now)),
            None => ((0, 0), Fate::Runs, None),
        };
        self.watch.began(process, arn, (now + lags.0, now + lags.1));
        let Some(life) = &mut self.life else { return };
        let group = text(&self.tasks[arn], "group").to_owned();
        let worker = group.trim_start_matches("worker:");
        let Some(work) = life.works.get(worker) else { return };
        let (shortest, longest) = work.jobs.startup;
        let starts = now + life.rng.u64(shortest..=longest);
        let arn = arn.to_owned();
        match fate {
            Fate::Runs | Fate::Crashes => {
                if fate == Fate::Crashes {
                    life.crashing.insert(arn.clone());
                }
                life.plan(starts, Happening::Start(arn.clone()));
                if let Some(after) = spot {
                    let stop = Happening::Stop(arn, "SpotInterruption", "Spot capacity", Some(143));
                    life.plan(starts + after, stop);
                }
            }
            Fate::FailsToStart => {
                let reason = "CannotPullContainerError: pull access denied";
                life.plan(starts, Happening::Stop(arn, "TaskFailedToStart", reason, None));
            }
            Fate::Refused => {
                let reason = "TaskFailedToStart: Capacity is unavailable at this time.";
                life.plan(starts, Happening::Stop(arn, "TaskFailedToStart", reason, None));
            }
            Fate::Stuck => {}
        }
    }

    pub(super) fn catch_up(&mut self) {
        let Some(mut life) = self.life.take() else { return };
        let now = self.millis();
        while let Some((at, happening)) = life.next(now) {
            self.happen(&mut life, at, happening);
        }
        self.life = Some(life);
    }

    fn happen(&mut self, life: &mut Life, at: u64, happening: Happening) {
        match happening {
            Happening::Arrive(worker, messages, poison) => {
                let work = life.works.get_mut(&worker).unwrap();
                let message = Message { poison, receives: 0 };
                work.waiting.extend((0..messages).map(|_| message));
                work.healthy_left += if poison { 0 } else { messages };
                work.note(at);
            }
            Happening::Start(arn) => self.start(life, at, &arn),
            Happening::Poll(arn, container, empty) => self.poll(life, at, (arn, container, empty)),
            Happening::Done(arn, container, message) => {
                self.done(life, at, (arn, container, message));
            }
            Happening::Return(worker, message) => {
                let work = life.works.get_mut(&worker).unwrap();
                work.in_flight -= 1;
                if work.jobs.redrive.is_none_or(|most| message.receives < most) {
                    work.waiting.push_back(message);
                } else if !message.poison {
                    work.healthy_left -= 1;
                }
                work.note(at);
            }
            Happening::Stop(arn, code, reason, exit) => {
                let now = at_epoch(at);
                let task = self.tasks.get_mut(&arn).unwrap();
                if task["desiredStatus"] == "RUNNING" {
                    tasks::end(task, &now, (code, reason, exit));
                }
            }
        }
    }

    fn start(&mut self, life: &mut Life, at: u64, arn: &str) {
        let task = self.tasks.get_mut(arn).unwrap();
        if task["desiredStatus"] != "RUNNING" {
            return;
        }
        tasks::set_status(task, "RUNNING");
        task["startedAt"] = at_epoch(at);
        if life.crashing.contains(arn) {
            let stop = ("EssentialContainerExited", "Essential container in task exited", Some(1));
            life.plan(at + 3000, Happening::Stop(arn.to_owned(), stop.0, stop.1, stop.2));
            return;
        }
        let containers = task["containers"].as_array().unwrap();
        for container in containers.iter().filter(|container| is_worker(container)) {
            let name = text(container, "name").to_owned();
            let first = at + life.rng.u64(500..3000);
            life.plan(first, Happening::Poll(arn.to_owned(), name, 0));
        }
    }

    fn poll(&mut self, life: &mut Life, at: u64, (arn, container, empty): (String, String, u32)) {
        let task = &self.tasks[&arn];
        if task["desiredStatus"] != "RUNNING" {
            return;
        }
        let worker = text(task, "group").trim_start_matches("worker:").to_owned();
        let work = life.works.get_mut(&worker).unwrap();
        let message = if work.waiting.is_empty() {
            None
        } else {
            let index = life.rng.usize(0..work.waiting.len());
            work.waiting.remove(index)
        };
        if let Some(mut message) = message {
            message.receives += 1;
            work.in_flight += 1;
            work.note(at);
            let (shortest, longest) = work.jobs.lasts;
            let done = at + life.rng.u64(shortest..=longest);
            life.received.insert(format!("{arn}/{container}"));
            life.plan(done, Happening::Done(arn, container, message));
        } else if empty + 1 < EMPTY_RECEIVES {
            life.plan(at + LONG_POLL, Happening::Poll(arn, container, empty + 1));
        } else {
            if !life.received.contains(&format!("{arn}/{container}")) {
                life.idle_containers += 1;
            }
            self.exit(life, at, (&arn, &container));
        }
    }

    fn exit(&mut self, life: &mut Life, at: u64, (arn, container): (&str, &str)) {
        let task = self.tasks.get_mut(arn).unwrap();
        let containers = task["containers"].as_array_mut().unwrap();
        for exited in containers.iter_mut().filter(|c| c["name"] == container) {
            exited["lastStatus"] = json!("STOPPED");
            exited["exitCode"] = json!(0);
        }
        let mut workers = containers.iter().filter(|container| is_worker(container));
        if workers.all(|container| container["lastStatus"] == "STOPPED") {
            let stop = ("EssentialContainerExited", "Essential container in task exited", Some(0));
            life.plan(at + 5000, Happening::Stop(arn.to_owned(), stop.0, stop.1, stop.2));
        }
    }

    fn done(
        &mut self,
        life: &mut Life,
        at: u64,
        (arn, container, message): (String, String, Message),
    ) {
        let task = &self.tasks[&arn];
        let worker = text(task, "group").trim_start_matches("worker:").to_owned();
        let work = life.works.get_mut(&worker).unwrap();
        let gone = task["desiredStatus"] != "RUNNING";
        if gone || message.poison {
            // Nobody deletes it: it comes back.
            let visibility = work.jobs.visibility;
            life.plan(at + visibility, Happening::Return(worker, message));
        } else {
            work.in_flight -= 1;
            work.healthy_left -= 1;
            work.note(at);
        }
        if !gone {
            life.plan(at, Happening::Poll(arn, container, 0));
        }
    }
}

/// A time of the world as ECS tells times.
pub(super) fn at_epoch(at: u64) -> Value {
    let beginning: jiff::Timestamp = super::BEGINNING.parse().unwrap();
    let time = beginning.checked_add(std::time::Duration::from_millis(at)).unwrap();
    json!(time.as_duration().as_secs_f64())
}
