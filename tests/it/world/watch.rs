//! Looks for what must never be, at every call and at every report, with its own arithmetic.

mod places;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};

use ecs_queue_scaler::report::{Outcome, Report};
use jiff::Timestamp;
use serde_json::{Value, json};

use self::places::Places;
use self::waiting::Waiting;
use super::instances::is_standalone;
use super::life::is_worker;
use super::weather::{rung, starts_tasks};
use super::{Call, Refused, State, list, text};

pub(crate) use self::waiting::Rule;

/// What a worker may never exceed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) max_containers: u64,
    pub(crate) min_containers: u64,
    pub(crate) per_message: u64,
    /// In milliseconds.
    pub(crate) stuck_after: u64,
}

/// What all workers together may never exceed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shared {
    pub(crate) per_tick: usize,
    pub(crate) per_hour: usize,
    /// In milliseconds.
    pub(crate) max_event_age: u64,
}

/// An invocation that is under way.
#[derive(Debug, Default)]
struct Run {
    number: u32,
    from: u64,
    tick: Option<Timestamp>,
    listed_at: Option<u64>,
    started: usize,
    started_of: BTreeMap<String, u64>,
    /// Rungs that have answered with a quota, and when.
    quotas: Vec<(String, u64)>,
    /// The first token with which a worker has asked a rung.
    asked: BTreeMap<(String, String), String>,
    /// Calls that were above a rate.
    throttled: u32,
    inactive: u32,
    /// Whether an instance refused a task, so that another is asked for it.
    displaced: bool,
}

/// What was seen, and what of it must never be.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    pub(crate) bounds: BTreeMap<String, Bounds>,
    pub(crate) shared: Option<Shared>,
    pub(crate) places: Places,
    pub(crate) waiting: Waiting,
    pub(crate) violations: Vec<(&'static str, String)>,
    pub(crate) throttled: u64,
    /// Tasks that were told to have no room on any instance.
    pub(crate) without_room: u64,
    /// What happened, for whoever reads a seed that failed.
    pub(crate) log: Vec<String>,
    runs: BTreeMap<u32, Run>,
    /// The most messages that any delivery of a tick was told of.
    served: BTreeMap<(Option<Timestamp>, String), u64>,
    count: u32,
    /// When a task is listed, when described, by which process and invocation it was started.
    seen: BTreeMap<String, (u64, u64, u32, u32)>,
    /// The tasks that a process has heard of.
    shown: BTreeSet<(u32, String)>,
}

impl Watch {
    /// An invocation begins.
    pub(crate) fn begin(&mut self, process: u32, tick: Option<Timestamp>, now: u64) {
        self.count += 1;
        self.places.forget(process);
        self.waiting.begin(process, now);
        let run = Run { number: self.count, from: now, tick, ..Run::default() };
        self.runs.insert(process, run);
        let tick = tick.map(|tick| tick.to_string()).unwrap_or_default();
        self.log.push(format!("{now:>9} tick {tick} in process {process}"));
    }

    pub(super) fn began(&mut self, process: u32, arn: &str, (listed, described): (u64, u64)) {
        let run = self.runs.get(&process).map_or(0, |run| run.number);
        self.seen.insert(arn.to_owned(), (listed, described, process, run));
    }

    pub(super) fn listed(&mut self, process: u32, now: u64) {
        if let Some(run) = self.runs.get_mut(&process) {
            run.listed_at.get_or_insert(now);
        }
    }

    /// A process hears of tasks.
    pub(super) fn show<'a>(&mut self, process: u32, arns: impl Iterator<Item = &'a Value>) {
        let arns = arns.filter_map(Value::as_str);
        self.shown.extend(arns.map(|arn| (process, arn.to_owned())));
    }

    pub(super) fn is_listed(&self, arn: &str, now: u64) -> bool {
        self.seen.get(arn).is_none_or(|(listed, ..)| *listed <= now)
    }

    pub(super) fn is_described(&self, arn: &str, now: u64) -> bool {
        self.seen.get(arn).is_none_or(|(_, described, ..)| *described <= now)
    }

    pub(super) fn served(&mut self, process: u32, worker: &str, total: u64) {
        if let Some(run) = self.runs.get(&process) {
            let most = self.served.entry((run.tick, worker.to_owned())).or_default();
            *most = total.max(*most);
        }
    }

    /// A request that AWS would refuse is wrong, unless somebody changed the world under it.
    pub(super) fn refused(&mut self, now: u64, call: &Call, refused: &Refused) {
        let expected = ["Unable to describe task definition.", "TaskDefinition is inactive"];
        let gone_meanwhile =
            ["No active Lifecycle Action found", "No Container Instances were found"];
        let legal = expected.contains(&refused.message.as_str())
            || ["ConflictException", "ThrottlingException"].contains(&refused.code)
            || gone_meanwhile.iter().any(|text| refused.message.starts_with(text))
            || self.bounds.is_empty();
        if !legal {
            self.violate("illegal request", now, format!("{}: {refused:?}", call.operation));
        }
    }

    /// An answer arrives.
    pub(super) fn answered(&mut self, process: u32, call: &Call, (answer, now): (&[u8], u64)) {
        let text = String::from_utf8_lossy(answer);
        if starts_tasks(call) {
            let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
            self.waiting.answered(process, call, &answer);
            let tasks = list(&answer, "tasks").iter().map(|task| &task["taskArn"]);
            self.show(process, tasks.chain(list(&answer, "resourceIds")));
        }
        let Some(run) = self.runs.get_mut(&process) else { return };
        if call.operation == "RunTask" && text.contains("limit on the number") {
            run.quotas.push((rung(&call.input).to_owned(), now));
        }
        if text.contains("TaskDefinition is inactive") {
            run.inactive += 1;
        }
        let on_instances = call.operation == "StartTask" || rung(&call.input) == "EC2";
        run.displaced |= on_instances && text.contains(r#""reason":"#);
    }

    /// A call goes out.
    pub(super) fn called(&mut self, process: u32, call: &Call, now: u64) {
        let Some(run) = self.runs.get_mut(&process) else { return };
        if call.operation != "RunTask" {
            return;
        }
        let (on, token) = (rung(&call.input).to_owned(), text(&call.input, "clientToken"));
        let asked = (text(&call.input, "group").to_owned(), on.clone());
        let first = run.asked.entry(asked).or_insert_with(|| token.to_owned());
        // The first call of a worker asks whatever others have heard.
        if first != token && run.quotas.iter().any(|(rung, at)| *rung == on && *at < now) {
            self.violate("asked again after a quota", now, on);
        }
    }

    /// A call was above the rates.
    pub(super) fn throttle(&mut self, process: u32) {
        self.throttled += 1;
        if let Some(run) = self.runs.get_mut(&process) {
            run.throttled += 1;
        }
    }

    pub(crate) fn violate(&mut self, kind: &'static str, now: u64, what: String) {
        self.log.push(format!("{now:>9} VIOLATION {kind}: {what}"));
        self.violations.push((kind, what));
    }

    /// What an invocation says it did.
    pub(crate) fn report(&mut self, process: u32, report: &Report, now: u64) {
        let run = self.runs.get(&process);
        let (inactive, throttled) = run.map_or((0, 0), |run| (run.inactive, run.throttled));
        // The second try of what an instance refused is the last one.
        let displaced = run.is_some_and(|run| run.displaced);
        for worker in &report.workers {
            let started = worker.launched.iter().map(|launched| {
                let tasks = launched.tasks.len() + launched.adopted.len();
                u64::try_from(tasks).unwrap() * u64::from(launched.containers_per_task.0)
            });
            let told = started.sum::<u64>() + u64::from(worker.deferred.0);
            let owed = worker.decision.as_ref().map_or(0, |d| u64::from(d.launch.0));
            let launches = !matches!(worker.outcome, Outcome::Idle | Outcome::Planned);
            if launches && told < owed {
                let what = format!("{}: {owed} owed, {told} told", worker.worker);
                self.violate("shortfall not told", now, what);
            }
            let placement = worker.placement.as_ref();
            let placement = placement.map_or(0, |it| it.asked.0.saturating_sub(it.fit.0));
            self.without_room += u64::from(placement);
            let tasks = worker.launched.iter().flat_map(|launched| &launched.tasks);
            let unknown = tasks.filter(|task| !self.seen.contains_key(task.as_str())).count();
            if 0 < unknown {
                self.violate("told what is not there", now, worker.worker.to_string());
            }
            let errors = worker.errors.join("; ");
            if errors.contains("ThrottlingException") && throttled == 0 {
                self.violate("gave up on trouble that passes", now, errors);
            } else if errors.contains("inactive")
                && inactive < 2
                && !displaced
                && !errors.contains("Describe")
            {
                self.violate("gave up on a stale revision", now, errors);
            }
        }
        let told: Vec<_> = report.workers.iter().map(told).collect();
        self.log.push(format!("{now:>9} report of process {process}: {}", told.join(" | ")));
    }
}

fn told(worker: &ecs_queue_scaler::report::WorkerReport) -> String {
    let why = worker.decision.as_ref().map(|decision| decision.why.clone()).unwrap_or_default();
    let errors = worker.errors.join("; ");
    format!("{} {:?} [{why}] {} {errors}", worker.worker, worker.outcome, worker.deferred)
}

fn tick_of(task: &Value) -> Option<&str> {
    let tags = list(task, "tags").iter();
    let tag = tags.clone().find(|tag| text(tag, "key") == "ecs-queue-scaler:tick")?;
    tag["value"].as_str()
}

fn at(task: &Value, member: &str) -> Option<f64> {
    task.get(member).and_then(Value::as_f64)
}

/// What hangs may be known as idle after so many seconds.
const SHOWS_WITHIN: f64 = 300.0;

/// A `RunTask` that is about to start something.
struct Starting<'a> {
    now: u64,
    input: &'a Value,
    worker: String,
    bounds: Bounds,
    tasks: usize,
    containers: u64,
}

impl State {
    /// Whether tasks that never started take all that some worker may have.
    pub(crate) fn is_full_of_stuck(&self) -> bool {
        self.watch.bounds.iter().any(|(worker, bounds)| {
            let group = format!("worker:{worker}");
            let stuck = self.tasks.values().filter(|task| {
                let alive = task["desiredStatus"] == "RUNNING" && task.get("startedAt").is_none();
                alive && task["group"] == group.as_str()
            });
            let containers = stuck.flat_map(|task| list(task, "containers"));
            let stuck = u64::try_from(containers.filter(|c| is_worker(c)).count()).unwrap();
            bounds.max_containers <= stuck
        })
    }

    pub(super) fn watch_run(
        &mut self,
        process: u32,
        input: &Value,
        (definition, tasks): (&Value, usize),
    ) {
        let worker = text(input, "group").trim_start_matches("worker:").to_owned();
        let Some(bounds) = self.watch.bounds.get(&worker).copied() else { return };
        if tasks == 0 {
            return;
        }
        let workers = list(definition, "containerDefinitions").iter().filter(|c| is_worker(c));
        let containers = u64::try_from(workers.count() * tasks).unwrap();
        let now = self.millis();
        let starting = Starting { now, input, worker, bounds, tasks, containers };
        let what =
            format!("{now:>9} {tasks} tasks, {containers} containers of {}", starting.worker);
        self.watch.log.push(what);
        self.watch_owed(process, &starting);
        self.watch_shared(process, &starting);
        self.watch_breaker(process, &starting);
        let run = self.watch.runs.get_mut(&process).unwrap();
        run.started += tasks;
        *run.started_of.entry(starting.worker).or_default() += containers;
    }

    /// Whether the process had no way to know of a task: ECS did not list it yet, or not before it
    /// ended, and another process started it for another tick.
    fn is_hidden(&self, process: u32, arn: &str, starting: &Starting<'_>) -> bool {
        let run = &self.watch.runs[&process];
        let task = &self.tasks[arn];
        let (listed, _, by, _) = self.watch.seen[arn];
        let unheard = !self.watch.shown.contains(&(process, arn.to_owned()));
        if task["desiredStatus"] == "STOPPED" {
            return unheard;
        }
        by != process
            && unheard
            && tick_of(task) != tick_of(starting.input)
            && run.listed_at.is_none_or(|at| at < listed)
    }

    fn watch_owed(&mut self, process: u32, starting: &Starting<'_>) {
        let Starting { now, worker, bounds, containers, .. } = starting;
        let (mut alive, mut capacity) = (0, 0);
        let group = format!("worker:{worker}");
        for (arn, task) in &self.tasks {
            let counts = task["group"] == group.as_str() && task["desiredStatus"] == "RUNNING";
            if !counts || self.is_hidden(process, arn, starting) {
                continue;
            }
            let there = list(task, "containers").iter();
            let there = there.filter(|c| is_worker(c) && c["lastStatus"] != "STOPPED").count();
            let there = u64::try_from(there).unwrap();
            alive += there;
            let age = self.timestamp().as_duration().as_secs_f64() - at(task, "createdAt").unwrap();
            let stuck_after = std::time::Duration::from_millis(bounds.stuck_after).as_secs_f64();
            let life = self.life.as_ref();
            let hangs = life.is_some_and(|life| life.hangs(arn));
            let is_expected = match task.get("startedAt") {
                Some(_) => !hangs || age < SHOWS_WITHIN,
                None => age < stuck_after,
            };
            if is_expected {
                capacity += there;
            }
        }
        if bounds.max_containers < alive + containers {
            let what = format!("{worker}: {alive} alive, {containers} more");
            self.watch.violate("above maxContainers", *now, what);
        }
        let tick = self.watch.runs[&process].tick;
        let served = self.watch.served.get(&(tick, worker.clone())).copied().unwrap_or_default();
        let target = self.target(worker, served, bounds).max(bounds.min_containers);
        if target < capacity + containers {
            let what =
                format!("{worker}: {capacity} are there, {containers} more, for {served} messages");
            self.watch.violate("more than owed", *now, what);
        }
    }

    fn watch_shared(&mut self, process: u32, starting: &Starting<'_>) {
        let Starting { now, input, worker, tasks, .. } = starting;
        let Some(shared) = self.watch.shared else { return };
        let run = &self.watch.runs[&process];
        if shared.per_tick < run.started + tasks {
            self.watch.violate("above maxTasksPerTick", *now, format!("{tasks} more"));
        }
        let run = &self.watch.runs[&process];
        let an_hour_ago = self.timestamp().as_duration().as_secs_f64() - 3600.0;
        let launched = self.tasks.iter().filter(|(_, task)| is_standalone(task));
        let in_hour = launched.filter(|(arn, task)| {
            an_hour_ago < at(task, "createdAt").unwrap() && !self.is_hidden(process, arn, starting)
        });
        let in_hour = in_hour.count();
        if shared.per_hour < in_hour + tasks {
            self.watch.violate("above maxTasksPerHour", *now, format!("{in_hour} + {tasks}"));
            return;
        }
        let Some(tick) = run.tick else { return };
        let beginning: Timestamp = super::BEGINNING.parse().unwrap();
        let begun = beginning + std::time::Duration::from_millis(run.from);
        let age = u64::try_from(begun.duration_since(tick).as_millis()).unwrap_or_default();
        if shared.max_event_age + 1000 < age {
            self.watch.violate("acted on an old event", *now, format!("{age} ms"));
            return;
        }
        let group = format!("worker:{worker}");
        let by_others = self.tasks.iter().find(|(arn, task)| {
            let (listed, described, _, by) = self.watch.seen[*arn];
            let could_be_seen =
                run.listed_at.is_some_and(|at| listed <= at && described <= at) && by != run.number;
            let later = tick_of(task).and_then(|t| t.parse::<Timestamp>().ok());
            let later = later.is_some_and(|later| tick <= later);
            task["group"] == group.as_str() && could_be_seen && later
        });
        if by_others.is_some() && tick_of(input).is_some() {
            let what = format!("{worker}: {tick} was acted on before");
            self.watch.violate("a tick acted twice", *now, what);
        }
    }

    /// After three failures in a row that could be seen, one canary at a time: the next one comes when
    /// it is known what became of the last.
    fn watch_breaker(&mut self, process: u32, starting: &Starting<'_>) {
        let Starting { now, worker, bounds, containers, .. } = starting;
        let run = &self.watch.runs[&process];
        let Some(listed_at) = run.listed_at else { return };
        let listed = at(&json!({"at": super::life::at_epoch(listed_at)}), "at").unwrap();
        let group = format!("worker:{worker}");
        let heard = |arn: &String| {
            self.watch.shown.contains(&(process, arn.clone()))
                && self.watch.is_described(arn, listed_at)
        };
        let own = || {
            let heard = self.tasks.iter().filter(|(arn, _)| heard(arn)).map(|(_, task)| task);
            heard.filter(|task| task["group"] == group.as_str())
        };
        let mut ended: Vec<_> = own()
            .filter_map(|task| Some((at(task, "stoppedAt")?, task)))
            .filter(|(stopped, task)| {
                listed - 3590.0 < *stopped
                    && *stopped < listed
                    && !["SpotInterruption", "TerminationNotice"].contains(&text(task, "stopCode"))
                    && !text(task, "stoppedReason").contains("Capacity is unavailable")
            })
            .collect();
        ended.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        let failed = |(stopped, task): &(f64, &Value)| match at(task, "startedAt") {
            None => true,
            Some(started) => {
                let exits = list(task, "containers").iter();
                *stopped - started < 120.0 && exits.clone().all(|c| c["exitCode"] != 0)
            }
        };
        let failures = ended.iter().take_while(|task| failed(task)).count();
        let created = |(_, task): &(f64, &Value)| at(task, "createdAt").unwrap();
        let last = ended.iter().take(failures).map(created).max_by(f64::total_cmp);
        let runs_well = own().any(|task| {
            let runs = at(task, "startedAt").is_some_and(|started| started + 119.0 < listed);
            task["desiredStatus"] == "RUNNING" && runs && last <= at(task, "createdAt")
        });
        let stuck_after = std::time::Duration::from_millis(bounds.stuck_after).as_secs_f64();
        let is_open = |task: &&Value| match at(task, "startedAt") {
            Some(started) => listed < started + 119.0,
            None => listed < at(task, "createdAt").unwrap() + stuck_after - 1.0,
        };
        let open = own().filter(|task| task["desiredStatus"] == "RUNNING").filter(is_open);
        let open = open.flat_map(|task| list(task, "containers"));
        let open = open.filter(|c| is_worker(c) && c["lastStatus"] != "STOPPED").count();
        let started = run.started_of.get(worker).copied().unwrap_or_default() + containers;
        let started = started + u64::try_from(open).unwrap();
        if 3 <= failures && !runs_well && 1 < started {
            let what = format!("{worker}: {started} containers after {failures} failures");
            self.watch.violate("no canary", *now, what);
        }
    }
}
