//! The other half: looks for messages that wait without a true reason, with arithmetic of its own.
//!
//! At every report, a worker whose messages have waited for longer than a start and two ticks, which is
//! owed more than what is alive and useful, and which launched nothing, must have told a reason, and
//! each reason that it tells must be true.

mod containers;

use std::collections::{BTreeMap, BTreeSet};

use ecs_queue_scaler::report::{Report, WaitsFor, WorkerReport};
use serde_json::Value;

use self::containers::{BEGUN, Container, Use, ended_at};
use super::super::life::{Habit, Jobs, is_worker};
use super::super::weather::starts_tasks;
use super::super::{BEGINNING, Call, Fault, Refused, State, list, text};
use super::{Bounds, tick_of};

/// For so long a call without an answer may have started tasks that nobody sees, and a minute more.
const PRESUMED: u64 = 6 * 60_000;

/// For so long the brake may hold a worker back of which all that is known is good: what comes and goes
/// between two looks is in no count, until the backlog grows by it.
const ERRS_FOR: u64 = 10 * 60_000;

/// What is known of a time that the function measures a little earlier or later.
const ABOUT: u64 = 90_000;

/// How many containers a depth asks for.
#[derive(Clone, Debug)]
pub(crate) enum Rule {
    PerContainer(u64),
    /// From a depth on, so many containers.
    Containers(Vec<(u64, u64)>),
    /// From a depth on, so many tasks, and the containers that each can have.
    Tasks(Vec<(u64, u64)>, u64),
    /// Milliseconds in which to be done, and of work a message.
    Drain(u64, u64),
}

impl Rule {
    /// Containers for so many messages.
    pub(crate) fn target(&self, messages: u64) -> u64 {
        let reached = |steps: &[(u64, u64)]| {
            let below = steps.iter().take_while(|(depth, _)| *depth <= messages);
            below.last().map_or(0, |(_, count)| *count)
        };
        match self {
            Self::PerContainer(each) => messages.div_ceil(*each),
            Self::Containers(steps) => reached(steps),
            Self::Tasks(steps, each) => reached(steps) * each,
            Self::Drain(within, each) => (messages * each).div_ceil(*within),
        }
    }

    /// Whether it asks for as many containers as such a worker needs: a one-shot container takes one
    /// message, whatever is counted on.
    pub(crate) fn suits(&self, jobs: &Jobs) -> bool {
        jobs.habit != Habit::OneShot || matches!(self, Self::PerContainer(1))
    }
}

/// What can go wrong in an invocation so that messages wait.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wrong {
    Read,
    Refused,
    Throttled,
    Conflict,
    /// Tasks of this group were not placed.
    Short(String),
}

/// What is known of messages that wait.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// Of every worker that is looked at: what it is owed, and the messages that a container holds.
    pub(crate) rules: BTreeMap<String, (Rule, u64)>,
    /// Whether the configuration of the invocation has a mistake.
    pub(crate) is_broken: bool,
    /// When the function is ended.
    pub(crate) ends: u64,
    /// Between two ticks, in milliseconds.
    pub(crate) period: u64,
    /// Workers and ticks that waited, by the reason that they had.
    pub(crate) reasons: BTreeMap<WaitsFor, u64>,
    /// When a process had its ticks.
    ticks: BTreeMap<u32, Vec<u64>>,
    /// Visible and in flight, as a process was told them.
    told: BTreeMap<(u32, String), (u64, u64)>,
    /// When a process was told last of messages in flight that no container of theirs could hold.
    unheld: BTreeMap<String, u64>,
    /// When a process was told last of as many messages in flight as containers had run for a while:
    /// nobody could know then that one of them held none.
    all_held: BTreeMap<(u32, String), u64>,
    /// How many running containers the messages in flight left over, and when a process was told so.
    spare: BTreeMap<(u32, String), Vec<(u64, usize)>>,
    /// Since when a worker has been braked at every look while each of its containers moved messages.
    braked: BTreeMap<String, u64>,
    wrong: BTreeSet<(u32, Wrong)>,
    /// When a start had no answer, and whose it was.
    lost: Vec<(u64, String)>,
}

impl Waiting {
    pub(super) fn begin(&mut self, process: u32, now: u64) {
        self.ticks.entry(process).or_default().push(now);
        self.wrong.retain(|(of, _)| *of != process);
        self.told.retain(|(of, _), _| *of != process);
    }

    pub(crate) fn tell(&mut self, process: u32, worker: &str, depth: (u64, u64)) {
        self.told.insert((process, worker.to_owned()), depth);
    }

    /// Something goes wrong with a call.
    pub(crate) fn went_wrong(&mut self, process: u32, call: &Call, (fault, now): (&Fault, u64)) {
        let code = match fault {
            Fault::Error(_, code, _) => code,
            _ => "",
        };
        if matches!(fault, Fault::Placed(..)) {
            self.is_short(process, call);
        } else {
            self.refuse(process, call, (code, now));
        }
    }

    /// A call is refused by AWS's own rules.
    pub(in crate::world) fn refused(
        &mut self,
        process: u32,
        call: &Call,
        (refused, now): (&Refused, u64),
    ) {
        if refused.message.starts_with("No Container Instances were found") {
            self.is_short(process, call);
        }
        self.refuse(process, call, (refused.code, now));
    }

    fn is_short(&mut self, process: u32, call: &Call) {
        self.wrong.insert((process, Wrong::Short(text(&call.input, "group").to_owned())));
    }

    /// A call is refused, or has no answer where there is no code.
    pub(crate) fn refuse(&mut self, process: u32, call: &Call, (code, now): (&str, u64)) {
        let reads = ["Get", "List", "Describe"];
        let is_throttled =
            code.is_empty() || code.contains("Throttling") || code.contains("Server");
        let is_refused = !code.is_empty() && !code.contains("Throttling");
        let kinds = [
            (reads.iter().any(|verb| call.operation.starts_with(verb)), Wrong::Read),
            (is_throttled, Wrong::Throttled),
            (is_refused, Wrong::Refused),
            (code.starts_with("Conflict"), Wrong::Conflict),
        ];
        let kinds = kinds.into_iter().filter(|(is, _)| *is);
        self.wrong.extend(kinds.map(|(_, wrong)| (process, wrong)));
        if starts_tasks(call) && (code.is_empty() || code.contains("Server")) {
            self.lost.push((now, text(&call.input, "group").to_owned()));
        }
    }

    /// An answer to a start tells of tasks that were not placed.
    pub(super) fn answered(&mut self, process: u32, call: &Call, answer: &Value) {
        if !list(answer, "failures").is_empty() {
            self.is_short(process, call);
        }
    }
}

/// A worker of an invocation that has just been reported.
struct Case<'a> {
    process: u32,
    now: u64,
    report: &'a WorkerReport,
    group: String,
    bounds: Bounds,
    containers: Vec<Container>,
    /// Containers that all workers of the invocation were owed.
    wanted: u64,
    /// By the referee's own sum, at least; and how long its messages have waited.
    owed: u64,
    waits: u64,
}

/// What there is to say of a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Truth {
    Yes,
    /// It bounds a launch, and is no reason for none.
    Beside,
    No,
}

impl Case<'_> {
    /// What the policy asks for, without brakes.
    fn owed_by_policy(&self) -> u64 {
        self.report.decision.as_ref().map_or(0, |decision| {
            decision.target.saturating_sub(self.report.alive.map_or(0, |a| a.capacity().0)).into()
        })
    }
}

impl State {
    /// What a worker may be owed for so many messages.
    pub(super) fn target(&self, worker: &str, messages: u64, bounds: &Bounds) -> u64 {
        match self.watch.waiting.rules.get(worker) {
            Some((rule, _)) => rule.target(messages),
            None => messages.div_ceil(bounds.per_message),
        }
    }

    /// Looks at what an invocation says of messages that wait.
    pub(crate) fn watch_waiting(&mut self, process: u32, report: &Report) {
        let now = self.millis();
        let launch = |worker: &WorkerReport| worker.decision.as_ref().map_or(0, |d| d.launch.0);
        let wanted = report.workers.iter().map(|worker| u64::from(launch(worker))).sum();
        let has_error = report.config.discovery.as_ref().is_some_and(|found| found.error.is_some());
        for name in self.watch.waiting.rules.keys().cloned().collect::<Vec<_>>() {
            let is_told = report.workers.iter().any(|worker| worker.worker.as_str() == name);
            if !is_told && !has_error {
                self.watch.violate("a worker that is not in the result", now, name);
            }
        }
        for worker in &report.workers {
            let name = worker.worker.as_str();
            let Some(bounds) = self.watch.bounds.get(name).copied() else { continue };
            let group = format!("worker:{name}");
            let listed = self.watch.runs.get(&process).and_then(|run| run.listed_at);
            let listed = listed.unwrap_or(now);
            let mut containers = self.containers(process, &group, (bounds, listed));
            self.doubt(process, (name, now), &mut containers);
            let (owed, waits) = (0, 0);
            let case = Case {
                process,
                now,
                report: worker,
                group,
                bounds,
                containers,
                wanted,
                owed,
                waits,
            };
            for (kind, what) in self.judge(case) {
                self.watch.violate(kind, now, format!("{name}: {what}"));
            }
        }
    }

    fn judge(&mut self, mut case: Case<'_>) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        let report = case.report;
        let containers = case.containers.clone();
        self.note_in_flight(&case);
        found.extend(self.braked_for_nothing(&case));
        let told = report.is_not_served();
        let serves = |c: &Container| c.is_of == Use::Surely && c.is_heard;
        let read = report.alive.is_some();
        if told && read && containers.iter().any(serves) {
            found.push(("served, and told as not served", format!("{containers:?}")));
        }
        let Some((owed, waits)) = self.starved(&case) else { return found };
        case.owed = owed;
        case.waits = waits;
        let case = &case;
        let what = format!("{owed} owed, {} s waited, told {:?}", waits / 1000, report.waits_for);
        let is_presumed = self.truth(WaitsFor::Answer, case) == Truth::Yes;
        let nothing = launched(report) == 0 && containers.iter().all(|c| c.is_of == Use::None);
        if read && !told && nothing && !is_presumed {
            found.push(("not served, and not told", what.clone()));
        }
        let truths = report.waits_for.iter().map(|word| (*word, self.truth(*word, case)));
        let truths: Vec<_> = truths.collect();
        for (word, truth) in &truths {
            if *truth == Truth::No {
                found.push(("a reason that is not true", format!("{word:?}: {what}")));
            }
        }
        // What bounded the launch is enough where there was one.
        let some = 0 < launched(report);
        let explains = |truth: Truth| truth == Truth::Yes || some && truth == Truth::Beside;
        match truths.iter().find(|(_, truth)| explains(*truth)) {
            Some((word, _)) => *self.watch.waiting.reasons.entry(*word).or_default() += 1,
            None if truths.iter().all(|(_, truth)| *truth != Truth::No) => {
                found.push(("waits without a reason", what));
            }
            None => {}
        }
        found
    }

    /// What a worker is owed at least, and how long its messages have waited, where that is too long
    /// and it launched less.
    fn starved(&self, case: &Case<'_>) -> Option<(u64, u64)> {
        let Case { process, now, report, containers, .. } = case;
        let name = report.worker.as_str();
        let (rule, holds) = self.watch.waiting.rules.get(name)?;
        let life = self.life.as_ref()?;
        let jobs = life.jobs(name)?;
        let (receivable, oldest) = life.receivable(name);
        let waits = now.saturating_sub(oldest?);
        let period = self.watch.waiting.period.max(60_000);
        if waits < jobs.startup.1 + 2 * period + 10_000 {
            return None;
        }
        // Of a queue that could not be read, nobody was told.
        let told = self.watch.waiting.told.get(&(*process, name.to_owned())).copied();
        let (visible, in_flight) = told.unwrap_or((receivable, 0));
        let visible = visible.min(receivable);
        let count = |is: &dyn Fn(&Container) -> bool| {
            u64::try_from(containers.iter().filter(|c| is(c)).count()).unwrap()
        };
        let useful = count(&|c| c.is_of != Use::None);
        let starting = count(&|c| c.is_of != Use::None && !c.runs);
        let running = count(&|c| c.is_of == Use::Surely && c.runs);
        let target = rule.target(visible + in_flight.min(holds * running));
        let owed = target.saturating_sub(useful).min(visible.saturating_sub(starting));
        (launched(report) < owed).then_some((owed, waits))
    }

    /// Whether a reason is true.
    fn truth(&self, word: WaitsFor, case: &Case<'_>) -> Truth {
        let waiting = &self.watch.waiting;
        let went = |wrong| waiting.wrong.contains(&(case.process, wrong));
        let since = case.now.saturating_sub(PRESUMED);
        let mut lost = waiting.lost.iter().filter(|(at, _)| since <= *at);
        let of_worker = || waiting.lost.iter().any(|(at, g)| since <= *at && *g == case.group);
        // What was asked for was bounded, and is not there for another reason.
        let tried = case.report.decision.as_ref().is_some_and(|decision| 0 < decision.launch.0);
        let is = match word {
            WaitsFor::MaxContainers if 1 < case.report.waits_for.len() => {
                let alive = u64::try_from(case.containers.len()).unwrap();
                let is_near = case.bounds.max_containers < alive + self.asked(case);
                return if is_near || of_worker() { Truth::Beside } else { Truth::No };
            }
            WaitsFor::MaxTasks | WaitsFor::MaxLaunchPerTick => return Truth::Beside,
            WaitsFor::MaxContainers => {
                let alive = u64::try_from(case.containers.len()).unwrap();
                case.bounds.max_containers <= alive || of_worker()
            }
            WaitsFor::MaxTasksPerTick => {
                self.watch.shared.is_some_and(|s| u64::try_from(s.per_tick).unwrap() < case.wanted)
            }
            WaitsFor::MaxTasksPerHour => self.is_hour_full(case) || lost.next().is_some(),
            WaitsFor::Canary if tried => {
                return if self.failed_in_a_row(case) < 3 { Truth::No } else { Truth::Beside };
            }
            // A task whose start had no answer may be the canary.
            WaitsFor::Canary => {
                3 <= self.failed_in_a_row(case) && (has_canary(case) || of_worker())
            }
            WaitsFor::Progress => {
                let is_seen = self.is_fruitless(case) || self.seems_to_fail(case);
                is_seen || has_new(case) || !self.fits(case)
            }
            WaitsFor::Registry => self.is_pulled_too_often(&case.group),
            WaitsFor::Read => went(Wrong::Read),
            WaitsFor::Configuration => went(Wrong::Refused) || waiting.is_broken,
            WaitsFor::Capacity => went(Wrong::Short(case.group.clone())) || is_short(case.report),
            WaitsFor::Throttling => went(Wrong::Throttled),
            WaitsFor::IdleAfter => self.one_has_nothing(case),
            WaitsFor::Answer => of_worker() || went(Wrong::Throttled),
            WaitsFor::Time => self.is_late(case),
            // The delivery whose start had no answer may have had the word.
            WaitsFor::Paused => false, // no worker of these worlds is
            WaitsFor::Delivery => went(Wrong::Conflict) || self.is_taken(case) || of_worker(),
        };
        // Of what moved, no count tells exactly: where some are let through, that is enough.
        let bounds = [WaitsFor::MaxTasksPerTick, WaitsFor::MaxTasksPerHour, WaitsFor::Progress];
        match is {
            true => Truth::Yes,
            false if tried && bounds.contains(&word) => Truth::Beside,
            false => Truth::No,
        }
    }

    /// Whether fewer messages were in flight, as they were told, than containers have run for a while.
    fn one_has_nothing(&self, case: &Case<'_>) -> bool {
        let told = self.watch.waiting.told.get(&(case.process, case.report.worker.to_string()));
        let run = case.containers.iter().filter(|c| c.runs && c.since + BEGUN <= case.now);
        told.is_some_and(|(_, in_flight)| *in_flight < u64::try_from(run.count()).unwrap())
    }

    /// What the worker asks for by the numbers that it was told, if nothing is alive.
    fn asked(&self, case: &Case<'_>) -> u64 {
        let name = case.report.worker.to_string();
        let Some((rule, _)) = self.watch.waiting.rules.get(&name) else { return case.owed };
        let told = self.watch.waiting.told.get(&(case.process, name));
        told.map_or(case.owed, |(visible, in_flight)| rule.target(visible + in_flight))
    }

    fn is_hour_full(&self, case: &Case<'_>) -> bool {
        let Some(shared) = self.watch.shared else { return false };
        let an_hour_ago = case.now.saturating_sub(3_600_000 + ABOUT);
        let created = self.tasks.values().filter_map(|task| millis(task, "createdAt"));
        let in_hour = u64::try_from(created.filter(|at| an_hour_ago <= *at).count()).unwrap();
        u64::try_from(shared.per_hour).unwrap() < in_hour + case.wanted
    }

    /// Failures of the worker's own doing, as far as the process has heard of them, without a success
    /// since: one that ended later, or one that runs and was created later.
    fn failed_in_a_row(&self, case: &Case<'_>) -> usize {
        let heard = |arn: &&String| self.watch.shown.contains(&(case.process, (*arn).clone()));
        let own = self.tasks.iter().filter(|(arn, task)| task["group"] == case.group && heard(arn));
        let own: Vec<_> = own.map(|(_, task)| task).collect();
        let mut ends: Vec<_> = own.iter().filter_map(|task| end_of(task, case)).collect();
        ends.sort_unstable();
        let failed: Vec<_> = ends.iter().rev().take_while(|(_, failed, _)| *failed).collect();
        let newest = failed.iter().map(|(.., created)| *created).max();
        let runs_well = |task: &&Value| {
            let since = millis(task, "startedAt").filter(|_| millis(task, "stoppedAt").is_none());
            let is_judged = since.is_some_and(|since| since + 120_000 + ABOUT <= case.now);
            is_judged && newest <= millis(task, "createdAt")
        };
        if own.iter().any(runs_well) { 0 } else { failed.len() }
    }

    /// Compares the messages in flight, as they were told, with the containers that could hold them.
    fn note_in_flight(&mut self, case: &Case<'_>) {
        let name = case.report.worker.to_string();
        let waiting = &mut self.watch.waiting;
        let Some((_, holds)) = waiting.rules.get(&name) else { return };
        let told = waiting.told.get(&(case.process, name.clone()));
        let is_told = told.is_some();
        let in_flight = told.map_or(0, |(_, in_flight)| *in_flight);
        let count = |is: &dyn Fn(&&Container) -> bool| {
            u64::try_from(case.containers.iter().filter(is).count()).unwrap()
        };
        if count(&|c| c.runs && c.is_of == Use::Surely) * holds < in_flight {
            waiting.unheld.insert(name.clone(), case.now);
        }
        let spare = count(&|c| c.runs).saturating_sub(in_flight);
        let key = (case.process, name);
        if is_told {
            let spare = (case.now, usize::try_from(spare).unwrap());
            waiting.spare.entry(key.clone()).or_default().push(spare);
        }
        if count(&|c| c.runs && c.since + BEGUN <= case.now) <= in_flight {
            waiting.all_held.insert(key, case.now);
        }
    }

    /// Whether there were lately more messages in flight, as far as the function was told, than its
    /// containers could hold: received, and not deleted, for all that it can know.
    fn seems_to_fail(&self, case: &Case<'_>) -> bool {
        let last = self.watch.waiting.unheld.get(case.report.worker.as_str());
        last.is_some_and(|last| case.now < last + 10 * 60_000)
    }

    /// Whether the brake goes on to hold back a worker of which all is well.
    fn braked_for_nothing(&mut self, case: &Case<'_>) -> Option<(&'static str, String)> {
        let name = case.report.worker.to_string();
        // Where something else binds as well, nothing can move and pay.
        let is_braked = case.report.waits_for == [WaitsFor::Progress];
        let last = self.moved(case);
        let all_moved = last.len() == 4 && last.iter().all(|moved| *moved);
        let is_well = all_moved && self.fits(case) && !self.seems_to_fail(case);
        let some = 2 * launched(case.report) >= case.owed_by_policy();
        if !is_braked || !is_well || some {
            self.watch.waiting.braked.remove(&name);
            return None;
        }
        let since = *self.watch.waiting.braked.entry(name).or_insert(case.now);
        let lasts = case.now - since;
        let errs_for = ERRS_FOR.max(4 * self.watch.waiting.period);
        (errs_for < lasts).then(|| ("braked for nothing", format!("for {} s", lasts / 1000)))
    }

    /// Whether the policy suits the worker; of a FIFO queue nobody knows, unless told.
    fn fits(&self, case: &Case<'_>) -> bool {
        let name = case.report.worker.as_str();
        let jobs = self.life.as_ref().and_then(|life| life.jobs(name));
        let rule = self.watch.waiting.rules.get(name).map(|(rule, _)| rule);
        let most = case.bounds.max_containers;
        jobs.is_none_or(|jobs| {
            let is_told = jobs.groups == 0 || most <= jobs.groups;
            is_told && rule.is_some_and(|rule| rule.suits(&jobs))
        })
    }

    /// Whether at least half of the last containers moved no message.
    fn is_fruitless(&self, case: &Case<'_>) -> bool {
        let last = self.moved(case);
        last.len() <= 2 * last.iter().filter(|moved| !**moved).count()
    }

    /// Whether each of the last four containers moved messages.
    fn moved(&self, case: &Case<'_>) -> Vec<bool> {
        let own = self.tasks.iter().filter(|(_, task)| task["group"] == case.group);
        let mut judged: Vec<(u64, bool)> = own
            .flat_map(|(arn, task)| {
                let there = list(task, "containers").iter().filter(|c| is_worker(c));
                there.filter_map(|container| {
                    let deeds = self.deeds(arn, container);
                    let ended = deeds.ended.or(ended_at(task));
                    let started = millis(task, "startedAt");
                    let judged = ended.or(started.map(|started| started + 120_000))?;
                    (judged <= case.now).then_some((judged, 0 < deeds.deleted))
                })
            })
            .collect();
        judged.sort_unstable();
        judged.iter().rev().take(4).map(|(_, moved)| *moved).collect()
    }

    /// Whether a registry has told a task of the worker that it has had too many pulls.
    fn is_pulled_too_often(&self, group: &str) -> bool {
        let own = self.tasks.values().filter(|task| task["group"] == group);
        own.map(Value::to_string).any(|told| told.contains("toomanyrequests"))
    }

    fn is_late(&self, case: &Case<'_>) -> bool {
        self.watch.waiting.ends <= case.now + 12_000
    }

    /// Whether another delivery of the tick, or a later tick, has started tasks or may.
    fn is_taken(&self, case: &Case<'_>) -> bool {
        let tick = self.watch.runs.get(&case.process).and_then(|run| run.tick);
        let other = |process: &u32| *process != case.process;
        let beside =
            self.watch.runs.iter().any(|(process, run)| other(process) && tick <= run.tick);
        let started = |task: &Value| {
            let of = tick_of(task).and_then(|tick| tick.parse().ok());
            task["group"] == case.group && tick <= of
        };
        beside || self.tasks.values().any(started)
    }
}

/// When a task came to its end, or became stuck, whether that is a failure of its own, and when it was
/// created.
fn end_of(task: &Value, case: &Case<'_>) -> Option<(u64, bool, u64)> {
    let (created, started) = (millis(task, "createdAt")?, millis(task, "startedAt"));
    let Some(stopped) = millis(task, "stoppedAt") else {
        let stuck = created + case.bounds.stuck_after;
        return (started.is_none() && stuck <= case.now).then_some((stuck, true, created));
    };
    let by_itself = ["EssentialContainerExited", "TaskFailedToStart"];
    let no_capacity = text(task, "stoppedReason").contains("Capacity is unavailable");
    if no_capacity || !by_itself.contains(&text(task, "stopCode")) {
        return None;
    }
    let well = list(task, "containers").iter().filter(|c| is_worker(c));
    let well = well.clone().any(|c| c["exitCode"] == 0);
    let long = started.is_some_and(|started| started + 120_000 <= stopped);
    Some((stopped, !(well || long), created))
}

/// Containers that an invocation started for a worker.
fn launched(report: &WorkerReport) -> u64 {
    let each =
        report.launched.iter().map(|l| u64::from(l.count.0) * u64::from(l.containers_per_task.0));
    each.sum()
}

/// Whether a container has yet to show what it does: for five minutes, no other need follow.
fn has_new(case: &Case<'_>) -> bool {
    let is_new = |c: &Container| !c.runs || case.now < c.since + 300_000;
    case.containers.iter().any(|c| c.is_of != Use::None && is_new(c))
}

/// Whether a task is on its way that is to tell whether tasks run at all.
fn has_canary(case: &Case<'_>) -> bool {
    let is_canary =
        |c: &Container| !c.runs && c.is_of != Use::None || case.now < c.since + 180_000 + ABOUT;
    case.containers.iter().any(is_canary)
}

/// Whether our own scheduler says that no instance has room.
fn is_short(report: &WorkerReport) -> bool {
    report.placement.as_ref().is_some_and(|placement| placement.fit < placement.asked)
}

/// A time of a task in milliseconds since the world began.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::as_conversions,
    reason = "a few days in milliseconds"
)]
fn millis(task: &Value, member: &str) -> Option<u64> {
    let beginning: jiff::Timestamp = BEGINNING.parse().unwrap();
    let since = task.get(member)?.as_f64()? - beginning.as_duration().as_secs_f64();
    Some((since * 1000.0).round() as u64)
}
