//! What happens while nobody calls: messages arrive, tasks start, containers take messages, work on
//! them and end. In virtual time, from a seed.

mod containers;
pub(crate) mod work;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};

use fastrand::Rng;
use serde_json::{Value, json};

use self::work::{Message, Work};
use super::instances::is_standalone;
use super::weather::Fate;
use super::{State, World, list, sqs, tasks, text};

pub(crate) use self::work::{Deeds, Habit, Jobs};

/// A worker container ends after so many receives that gave nothing, each of twenty seconds.
const EMPTY_RECEIVES: u32 = 3;
const LONG_POLL: u64 = 20_000;

const NO_IMAGE: &str = "CannotPullContainerError: pull access denied";

#[derive(Debug)]
enum Happening {
    Arrive(String, u64, bool),
    /// Messages are sent that can be received so much later.
    Delay(String, u64, u64),
    Start(String),
    /// The sidecars of a task run, and its workers do not.
    SidecarsRun(String),
    /// A container of a task runs, before the others do.
    ContainerRuns(String, String),
    /// A container ends, of a task that is not wanted any more.
    ContainerStops(String, String, Option<i32>),
    /// The last container of a task has ended.
    Stopped(String, Option<i32>),
    Poll(String, String, u32),
    /// A job is done; these were taken with it.
    Done(String, String, Message, VecDeque<Message>),
    /// A job is done whose message was deleted before.
    Idle(String, String),
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
    hanging: BTreeSet<String>,
    /// What becomes of the next tasks, where no weather says it.
    pub(crate) fates: VecDeque<Fate>,
    /// Capacity that is promised and not there.
    pub(crate) without_capacity: Option<&'static str>,
    /// Whether the containers of a task begin and end one by one, with words of their own; where its
    /// workers do not start, its sidecars run.
    pub(crate) one_by_one: bool,
    /// How late SQS's numbers may be, in milliseconds, and how wrong, until when.
    pub(crate) lag: u64,
    pub(crate) noise: f64,
    pub(crate) calm_at: u64,
    /// Containers that ended without having had a message.
    pub(crate) idle_containers: u64,
    /// By task and container.
    deeds: BTreeMap<(String, String), Deeds>,
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
            hanging: BTreeSet::new(),
            fates: VecDeque::new(),
            without_capacity: None,
            one_by_one: false,
            lag: 0,
            noise: 0.0,
            calm_at: 0,
            idle_containers: 0,
            deeds: BTreeMap::new(),
        }
    }

    /// A worker's queue, by the worker's name.
    pub(crate) fn worker(&mut self, worker: &str, jobs: Jobs) {
        self.works.insert(worker.to_owned(), Work::new(jobs));
    }

    /// Messages arrive, of which poisonous ones can never be processed.
    pub(crate) fn arrive(&mut self, at: u64, worker: &str, (messages, poison): (u64, bool)) {
        self.plan(at, Happening::Arrive(worker.to_owned(), messages, poison));
    }

    /// Messages are sent that can be received so much later.
    pub(crate) fn delay(&mut self, at: u64, worker: &str, (messages, by): (u64, u64)) {
        self.plan(at, Happening::Delay(worker.to_owned(), messages, by));
    }

    /// SQS tells of messages that are not there.
    pub(crate) fn haunt(&mut self, worker: &str, ghosts: u64) {
        if let Some(work) = self.works.get_mut(worker) {
            work.ghosts = ghosts;
        }
    }

    /// Messages that a container of a worker could receive now, and since when the oldest of them can
    /// be.
    pub(crate) fn receivable(&self, worker: &str) -> (u64, Option<u64>) {
        self.works.get(worker).map_or((0, None), Work::receivable)
    }

    /// What the worker's queue and jobs are like.
    pub(crate) fn jobs(&self, worker: &str) -> Option<Jobs> {
        self.works.get(worker).map(|work| work.jobs)
    }

    /// Whether the containers of a task take nothing.
    pub(crate) fn hangs(&self, task: &str) -> bool {
        let of_task = self.deeds.range((task.to_owned(), String::new())..);
        let mut of_task = of_task.take_while(|((arn, _), _)| arn == task);
        of_task.any(|(_, deeds)| deeds.hangs)
    }

    /// What a container has done.
    pub(crate) fn deeds(&self, task: &str, container: &str) -> Deeds {
        self.deeds.get(&(task.to_owned(), container.to_owned())).copied().unwrap_or_default()
    }

    /// When each message of a worker was sent, and how long it waited for its first receive.
    pub(crate) fn waits(&self, worker: &str) -> &[(u64, u64)] {
        self.works.get(worker).map_or(&[], |work| work.waits.as_slice())
    }

    /// Containers of a worker that ended by themselves, and those of them that had no message.
    pub(crate) fn ended(&self, worker: &str) -> (u64, u64) {
        self.works.get(worker).map_or((0, 0), |work| work.ended)
    }

    /// Messages of a worker that were processed.
    pub(crate) fn done(&self, worker: &str) -> u64 {
        self.works.get(worker).map_or(0, |work| work.done)
    }

    /// Whether messages were sent to a worker that it cannot process.
    pub(crate) fn has_poison(&self, worker: &str) -> bool {
        self.works.get(worker).is_some_and(|work| work.is_poisoned)
    }

    /// Messages that can be processed and are not, of workers that process any.
    pub(crate) fn left(&self) -> u64 {
        let work = self.works.values().filter(|work| work.jobs.habit.works());
        work.map(|work| work.healthy_left).sum()
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
    pub(super) fn approximately(&mut self, url: &str, now: u64) -> Option<(u64, u64, u64)> {
        let worker = sqs::worker_of(url);
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
        let (visible, in_flight) = (wrong(visible), wrong(in_flight));
        Some((visible, in_flight, self.works[worker].delayed))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    clippy::as_conversions,
    reason = "a few thousand messages, more or less"
)]
pub(crate) fn rounded(n: u64, by: f64) -> u64 {
    (n as f64 * by).round() as u64
}

impl Life {
    /// A worker container runs.
    fn begin_to_poll(&mut self, task: &Value, name: &str, at: u64) {
        let key = (text(task, "taskArn").to_owned(), name.to_owned());
        if self.deeds.contains_key(&key) {
            return;
        }
        let worker = text(task, "group").trim_start_matches("worker:");
        let habit = self.works.get(worker).map(|work| work.jobs.habit).unwrap_or_default();
        let hangs = habit == Habit::Hangs || self.hanging.contains(&key.0);
        self.deeds.insert(key.clone(), Deeds { hangs, ..Deeds::default() });
        if !hangs {
            let first = at + self.rng.u64(500..3000);
            self.plan(first, Happening::Poll(key.0, key.1, 0));
        }
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
        let told = state.life.as_mut().unwrap().approximately(worker, now).unwrap();
        (told.0, told.1)
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
        (own.count() + state.forgotten.0, on_instances + state.forgotten.1)
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
        let fate = life.fates.pop_front().unwrap_or(fate);
        let lacks = life.without_capacity == Some(text(&self.tasks[arn], "capacityProviderName"));
        let fate = if lacks { Fate::FindsNoCapacity } else { fate };
        let group = text(&self.tasks[arn], "group").to_owned();
        let worker = group.trim_start_matches("worker:");
        let Some(work) = life.works.get(worker) else { return };
        let work_jobs = work.jobs;
        let (shortest, longest) = work_jobs.startup;
        let starts = now + life.rng.u64(shortest..=longest);
        let arn = arn.to_owned();
        match fate {
            Fate::Runs | Fate::Crashes | Fate::Hangs => {
                if fate == Fate::Hangs {
                    life.hanging.insert(arn.clone());
                }
                if fate == Fate::Crashes {
                    life.crashing.insert(arn.clone());
                }
                life.start_one_by_one(&self.tasks[&arn], starts);
                life.plan(starts, Happening::Start(arn.clone()));
                if 0 < work_jobs.hanging && life.rng.u32(0..1000) < work_jobs.hanging {
                    life.hanging.insert(arn.clone());
                }
                if let Some(after) = spot {
                    let stop = Happening::Stop(arn, "SpotInterruption", "Spot capacity", Some(143));
                    life.plan(starts + after, stop);
                }
            }
            Fate::FailsToStart => {
                life.plan(starts, Happening::Stop(arn, "TaskFailedToStart", NO_IMAGE, None));
            }
            Fate::Refused => {
                let reason = "TaskFailedToStart: Capacity is unavailable at this time.";
                life.plan(starts, Happening::Stop(arn, "TaskFailedToStart", reason, None));
            }
            Fate::FindsNoCapacity => {
                let reason = "Capacity is unavailable at this time. Please try again later";
                life.plan(starts, Happening::Stop(arn, "TaskFailedToStart", reason, None));
            }
            Fate::Stuck if life.one_by_one => {
                life.plan(starts, Happening::SidecarsRun(arn));
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
                work.delayed = work.delayed.saturating_sub(messages);
                work.send(at, (messages, poison));
            }
            Happening::Delay(worker, messages, by) => {
                life.works.get_mut(&worker).unwrap().delayed += messages;
                life.plan(at + by, Happening::Arrive(worker, messages, false));
            }
            Happening::Start(arn) => self.start(life, at, &arn),
            Happening::SidecarsRun(arn) => self.sidecars_run(&arn),
            Happening::ContainerRuns(arn, name) => self.container_runs(life, at, (&arn, &name)),
            Happening::ContainerStops(arn, name, exit) => {
                self.container_stops(life, at, (&arn, &name, exit));
            }
            Happening::Stopped(arn, exit) => self.stopped(at, (&arn, exit)),
            Happening::Poll(arn, container, empty) => self.poll(life, at, (arn, container, empty)),
            Happening::Done(arn, container, message, others) => {
                self.done(life, at, (arn, container, message, others));
            }
            Happening::Idle(arn, container) => {
                self.poll(life, at, (arn, container, 0));
            }
            Happening::Return(worker, message) => {
                life.works.get_mut(&worker).unwrap().give_back(at, message);
            }
            Happening::Stop(arn, code, reason, exit) => {
                let now = at_epoch(at);
                let Some(task) = self.tasks.get_mut(&arn) else { return };
                if task["desiredStatus"] != "RUNNING" {
                    return;
                }
                if life.one_by_one {
                    self.stop_one_by_one(life, at, (&arn, code, reason, exit));
                } else {
                    tasks::end(task, &now, (code, reason, exit));
                }
            }
        }
    }

    fn start(&mut self, life: &mut Life, at: u64, arn: &str) {
        let Some(task) = self.tasks.get_mut(arn) else { return };
        if task["desiredStatus"] != "RUNNING" {
            return;
        }
        tasks::set_status(task, "RUNNING");
        task["startedAt"] = at_epoch(at);
        if life.crashing.contains(arn) {
            life.plan(at + 3000, exited(arn, 1));
            return;
        }
        let containers = task["containers"].as_array().unwrap();
        for container in containers.iter().filter(|container| is_worker(container)) {
            life.begin_to_poll(task, text(container, "name"), at);
        }
    }

    fn poll(&mut self, life: &mut Life, at: u64, (arn, container, empty): (String, String, u32)) {
        let Some(task) = self.tasks.get(&arn) else { return };
        if task["desiredStatus"] != "RUNNING" {
            return;
        }
        let is_there = |c: &Value| c["name"] == container && c["lastStatus"] != "STOPPED";
        if !list(task, "containers").iter().any(is_there) {
            return;
        }
        let worker = text(task, "group").trim_start_matches("worker:").to_owned();
        let work = life.works.get_mut(&worker).unwrap();
        let habit = work.jobs.habit;
        let most = match habit {
            Habit::ExitsAtOnce => 0,
            Habit::Prefetches(most) => most,
            _ => 1,
        };
        let taken: VecDeque<_> = (0..most).map_while(|_| work.take(&mut life.rng, at)).collect();
        if !taken.is_empty() {
            let deeds = life.deeds.entry((arn.clone(), container.clone())).or_default();
            deeds.taken += u64::try_from(taken.len()).unwrap();
            self.work(life, at, (arn, container, taken));
        } else if habit == Habit::Stays {
            life.plan(at + LONG_POLL, Happening::Poll(arn, container, 0));
        } else if habit != Habit::ExitsAtOnce
            && habit != Habit::OneShot
            && empty + 1 < EMPTY_RECEIVES
            || habit == Habit::OneShot && empty == 0
        {
            life.plan(at + LONG_POLL, Happening::Poll(arn, container, empty + 1));
        } else {
            self.exit(life, at, (&arn, &container));
        }
    }

    /// A container has messages, and works on the first of them.
    fn work(
        &mut self,
        life: &mut Life,
        at: u64,
        (arn, container, mut taken): (String, String, VecDeque<Message>),
    ) {
        let worker = text(&self.tasks[&arn], "group").trim_start_matches("worker:").to_owned();
        let work = life.works.get_mut(&worker).unwrap();
        let Some(message) = taken.pop_front() else { return };
        let (shortest, longest) = work.jobs.lasts;
        let lasts = life.rng.u64(shortest..=longest);
        let crashes = 0 < work.jobs.crashing && life.rng.u32(0..1000) < work.jobs.crashing;
        if work.jobs.habit == Habit::DeletesFirst && !message.poison {
            work.delete(at, &message);
            work.done += 1;
            life.deeds.entry((arn.clone(), container.clone())).or_default().deleted += 1;
            life.plan(at + lasts, Happening::Idle(arn, container));
        } else if crashes {
            let visibility = work.jobs.visibility;
            for message in std::iter::once(message).chain(taken) {
                life.plan(at + visibility, Happening::Return(worker.clone(), message));
            }
            self.crash(life, at + lasts / 2, (arn, container));
        } else {
            life.plan(at + lasts, Happening::Done(arn, container, message, taken));
        }
    }

    fn exit(&mut self, life: &mut Life, at: u64, (arn, container): (&str, &str)) {
        let deeds = life.deeds.entry((arn.to_owned(), container.to_owned())).or_default();
        deeds.ended = Some(at);
        let idle = u64::from(deeds.taken == 0);
        life.idle_containers += idle;
        let task = self.tasks.get_mut(arn).unwrap();
        let worker = text(task, "group").trim_start_matches("worker:");
        if let Some(work) = life.works.get_mut(worker) {
            work.ended = (work.ended.0 + 1, work.ended.1 + idle);
        }
        if end_container(task, container, Some(0)) {
            life.plan(at + 5000, exited(arn, 0));
        }
    }

    fn done(
        &mut self,
        life: &mut Life,
        at: u64,
        (arn, container, message, others): (String, String, Message, VecDeque<Message>),
    ) {
        let Some(task) = self.tasks.get(&arn) else { return };
        let worker = text(task, "group").trim_start_matches("worker:").to_owned();
        let work = life.works.get_mut(&worker).unwrap();
        let visibility = work.jobs.visibility;
        let gone = task["desiredStatus"] != "RUNNING";
        let (closed, habit) = (at < work.jobs.closed_until, work.jobs.habit);
        if gone || message.poison {
            // Nobody deletes it: it comes back.
            life.plan(at + visibility, Happening::Return(worker.clone(), message));
        } else {
            work.delete(at, &message);
            work.done += 1;
            life.deeds.entry((arn.clone(), container.clone())).or_default().deleted += 1;
            if closed {
                life.plan(at + 1000, Happening::Arrive(worker.clone(), 1, false));
            }
        }
        if gone {
            for message in others {
                life.plan(at + visibility, Happening::Return(worker.clone(), message));
            }
        } else if !others.is_empty() {
            self.work(life, at, (arn, container, others));
        } else if habit == Habit::OneShot {
            self.exit(life, at, (&arn, &container));
        } else {
            life.plan(at, Happening::Poll(arn, container, 0));
        }
    }
}

/// A task ends because its essential container has, with this exit code.
fn exited(arn: &str, exit: i32) -> Happening {
    let reason = "Essential container in task exited";
    Happening::Stop(arn.to_owned(), "EssentialContainerExited", reason, Some(exit))
}

/// A container of a task has ended; whether all of its worker containers have.
fn end_container(task: &mut Value, name: &str, exit: Option<i32>) -> bool {
    let containers = task["containers"].as_array_mut().unwrap();
    for ended in containers.iter_mut().filter(|c| c["name"] == name) {
        ended["lastStatus"] = json!("STOPPED");
        if exit.is_some() {
            ended["exitCode"] = json!(exit);
        }
    }
    let mut workers = containers.iter().filter(|container| is_worker(container));
    workers.all(|container| container["lastStatus"] == "STOPPED")
}

/// A time of the world as ECS tells times.
pub(super) fn at_epoch(at: u64) -> Value {
    let beginning: jiff::Timestamp = super::BEGINNING.parse().unwrap();
    let time = beginning.checked_add(std::time::Duration::from_millis(at)).unwrap();
    json!(time.as_duration().as_secs_f64())
}
