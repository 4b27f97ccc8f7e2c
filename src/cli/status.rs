//! `status`: all workers at a glance, the ones that need somebody first.

mod beside;
mod columns;
mod help;
mod session;
mod measured;
mod seen;
mod text;
mod view;
mod worker;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use decision::config::{Policy, Worker};
use decision::decide::{Ends, TaskContainers, alive, ends, health_by_tasks, need_by_rule};
use decision::fargate::{MicroDollars, PriceList};
use decision::plan::{Action, Alive, Decision, Health, Idle, WorkerPlan};
use decision::refusal::Cause;
use decision::snapshot::{
    CallError, ClusterTasks, Depth, Ended, ErrorKind, ReadError, Snapshot, Task, TaskShape,
};
use decision::units::{Containers, Messages, Tasks, WorkerName, elapsed};

use self::beside::Beside;
pub use self::beside::{BaseRevision, DeadLetters, DecisionRow};
pub use self::columns::Column;
pub use self::help::HelpPage;
use self::measured::Ages;
pub use self::seen::count;
pub(super) use self::seen::read_tasks;
use self::seen::{Scope, Seen};
pub use self::session::{EndedTask, Remembered, Session, Whose};
pub use self::text::Asked;
pub use self::view::{Depths, LastLaunch, Row, StatusView, Urgency, Waits};
pub(in crate::cli) use self::view::{SCHEMA, VERSION};
use self::worker::Closely;
pub(super) use self::worker::state_of;
pub use self::worker::{ContainerRow, EndedRow, TaskRow, WorkerView};
use super::deployment::Deployment;
use super::plan::{PlanError, strangers};
use super::result::WorkerResult;
use crate::aws::ReadCloud;
use crate::run::{Foreseen, Invocation};

/// Reads all workers of a deployment.
///
/// # Errors
/// Where there is no configuration to go by.
pub async fn status(
    deployment: &Deployment,
    cloud: &ReadCloud,
    invocation: &Invocation,
) -> Result<StatusView, PlanError> {
    Box::pin(glance(deployment, cloud, Scope::All, invocation)).await
}

/// The same again and again: also what became of the tasks of the last hour, and of CloudWatch no more than it has
/// measured anew. What ended badly is remembered, where somebody wants that.
///
/// # Errors
/// As [`status()`].
pub async fn refresh(
    deployment: &Deployment,
    cloud: &ReadCloud,
    session: &Session,
    invocation: &Invocation,
) -> Result<StatusView, PlanError> {
    Box::pin(glance(deployment, cloud, Scope::Again(session), invocation)).await
}

async fn glance(
    deployment: &Deployment,
    cloud: &ReadCloud,
    scope: Scope<'_>,
    invocation: &Invocation,
) -> Result<StatusView, PlanError> {
    let seen = Box::pin(Seen::of(deployment, cloud, scope, invocation)).await?;
    let Seen { foreseen, results, ages, deleted, mut notes } = seen;
    let looks = foreseen.plan.workers.iter().zip(&results.workers);
    let looks = looks.map(|(plan, result)| Look { foreseen: &foreseen, plan, result, ends: None });
    let knows_ended = scope.reads_ended();
    let looks = looks.map(|look| if knows_ended { look.with_ends() } else { look });
    let looks: Vec<_> = looks.collect();
    if let Scope::Again(session) = scope
        && session.remembers()
    {
        let failed: Vec<_> = looks.iter().flat_map(Look::failures).collect();
        notes.extend(Box::pin(session.remember(cloud, failed)).await);
    }
    let rows = looks.iter().map(|look| {
        let row = look.row(ages.as_ref());
        if !scope.is_again() {
            return row;
        }
        Row {
            failed: look.failed(),
            empty_in_seconds: look.empty_in(deleted.as_ref()).map(|time| time.as_secs()),
            is_rate_unread: deleted.is_none() && row.waiting != Some(0),
            ..row
        }
    });
    let rows = rows.collect();
    // Who looks again and again has seen that.
    if !scope.is_again() {
        notes.extend(Box::pin(strangers(deployment, cloud, &foreseen)).await.unwrap_or_default());
    }
    let view = StatusView::new(deployment, cloud, invocation.now);
    Ok(StatusView { config: results.config, notes, ..view.of(rows) })
}

/// Reads one worker closely, and what stands beside its tasks.
///
/// # Errors
/// Where there is no configuration to go by, or the worker is not in it.
pub async fn worker(
    deployment: &Deployment,
    cloud: &ReadCloud,
    name: &WorkerName,
    invocation: &Invocation,
) -> Result<WorkerView, PlanError> {
    let (mut view, found) = Box::pin(tasks_of(deployment, cloud, name, invocation)).await?;
    if let Some(worker) = found {
        let beside = Box::pin(Beside::of(&worker, deployment, cloud, invocation.now)).await;
        view.add(&worker, beside);
    }
    Ok(view)
}

/// Reads one worker and its tasks; also gives its settings, unless the configuration refuses it.
///
/// # Errors
/// As [`worker()`].
pub(super) async fn tasks_of(
    deployment: &Deployment,
    cloud: &ReadCloud,
    name: &WorkerName,
    invocation: &Invocation,
) -> Result<(WorkerView, Option<Worker>), PlanError> {
    let seen = Box::pin(Seen::of(deployment, cloud, Scope::One(name), invocation)).await?;
    let Seen { foreseen, results, ages, notes, .. } = seen;
    let look = foreseen.plan.workers.iter().zip(&results.workers).next();
    let look = look.map(|(plan, result)| Look { foreseen: &foreseen, plan, result, ends: None });
    let look = look.map(Look::with_ends);
    let look = look.ok_or_else(|| PlanError::UnknownWorker(format!("`{name}`")))?;
    Ok((look.closely(ages.as_ref(), notes), look.worker().cloned()))
}

/// One worker, as it was read.
struct Look<'a> {
    foreseen: &'a Foreseen,
    plan: &'a WorkerPlan,
    result: &'a WorkerResult,
    /// What became of its tasks of the last hour; none where that was read only as far as a tick needs it.
    ends: Option<Ends>,
}

impl Look<'_> {
    fn row(&self, ages: Option<&Ages>) -> Row {
        let Self { plan, result, .. } = self;
        let worker = self.worker();
        let oldest = worker.zip(ages).and_then(|(worker, ages)| ages.get(worker.queue.name()));
        let tasks = self.tasks();
        let counted = || Some(alive(worker?, tasks?, self.snapshot().now));
        let alive = plan.alive.or_else(counted);
        let waiting = plan.depth.map(|depth| depth.visible.plus(self.delayed(depth)));
        // Of an empty queue the last point says nothing.
        let oldest = oldest.filter(|_| waiting != Some(Messages::ZERO));
        let by_rule = self.owed_by_rule(alive);
        let launches = by_rule.map(|(owed, room)| u64::from(owed.min(room).0));
        let (urgency, note) = self.urgency(alive, by_rule);
        Row {
            worker: plan.worker.to_string(),
            waiting: waiting.map(|messages| messages.0),
            in_flight: plan.depth.map(|depth| depth.in_flight.0),
            oldest_seconds: oldest.map(Duration::as_secs),
            is_age_unread: ages.is_none() && waiting != Some(Messages::ZERO),
            tasks: alive.map(|alive| u64::from(alive.tasks.0)),
            running: alive.map(|alive| u64::from(alive.running.0)),
            starting: alive.map(|alive| u64::from(alive.starting().0)),
            target: self.target(alive).map(|target| u64::from(target.0)),
            cap: worker.map(|worker| u64::from(worker.scaling.max_containers.0)),
            launches: launches.unwrap_or_else(|| result.containers()),
            last_launch: tasks.and_then(|tasks| self.last_launch(tasks)),
            hourly_micro_dollars: tasks.and_then(|tasks| self.hourly(tasks)).map(|price| price.0),
            urgency,
            note,
            error: self.unread().map(ToString::to_string),
            why: result.sentence(),
            cluster: worker.map(|worker| worker.cluster.to_string()),
            failed: None,
            empty_in_seconds: None,
            is_rate_unread: false,
        }
    }

    fn closely(&self, ages: Option<&Ages>, notes: Vec<String>) -> WorkerView {
        let now = self.snapshot().now;
        let name = self.worker().and_then(|worker| worker.container.as_deref());
        let own = |task: &&Task| task.worker == self.plan.worker;
        let (mut tasks, mut ended) = (Vec::new(), Vec::new());
        if let Some(read) = self.tasks() {
            let there = read.alive.iter().filter(own).map(|task| TaskRow::of(task, name, now));
            let leaving =
                read.leaving.iter().filter(own).map(|task| TaskRow::leaving(task, name, now));
            tasks = there.chain(leaving).collect();
            tasks.sort_by(|a, b| {
                let age = b.age_seconds.cmp(&a.age_seconds);
                age.then_with(|| a.revision.cmp(&b.revision)).then_with(|| a.task.cmp(&b.task))
            });
            let of_worker = read.ended.iter().filter(|task| task.worker == self.plan.worker);
            ended = EndedRow::counted(of_worker.map(EndedTask::of), now);
        }
        let row = Row { failed: self.failed(), ..self.row(ages) };
        WorkerView::new(row, Closely { at: now.to_string(), tasks, ended, notes })
    }

    /// When all that is there will be deleted, by how fast messages went lately, else by what the operator says of
    /// one. Without either, nobody can say.
    fn empty_in(&self, deleted: Option<&BTreeMap<String, f64>>) -> Option<Duration> {
        let worker = self.worker()?;
        let backlog = self.plan.depth?.total();
        let number = |count: u64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        let measured = deleted.and_then(|deleted| deleted.get(worker.queue.name())).copied();
        let measured = measured.filter(|rate| 0.0 < *rate);
        let by_rule = || {
            let Policy::EmptyWithin { per_message, .. } = worker.scaling.policy else {
                return None;
            };
            let running =
                self.plan.alive.filter(|alive| alive.running != Containers::ZERO)?.running;
            Some(number(u64::from(running.0)) * 60.0 / per_message.as_secs_f64())
        };
        let a_minute = measured.or_else(by_rule)?;
        let time = Duration::try_from_secs_f64(number(backlog.0) / a_minute * 60.0).ok()?;
        Some(time).filter(|_| backlog != Messages::ZERO)
    }

    fn with_ends(self) -> Self {
        let known = || Some(ends(self.worker()?, self.tasks()?, self.snapshot().now));
        Self { ends: known(), ..self }
    }

    fn failed(&self) -> Option<u64> {
        self.ends.as_ref().and_then(|ends| u64::try_from(ends.badly.len()).ok())
    }

    /// Its tasks of the last hour that ended badly.
    fn failures(&self) -> impl Iterator<Item = Ended> {
        let badly = self.ends.as_ref().map(|ends| &ends.badly);
        let ended = self.tasks().into_iter().flat_map(|tasks| &tasks.ended);
        ended.filter(move |task| badly.is_some_and(|badly| badly.contains(&task.arn))).cloned()
    }

    fn snapshot(&self) -> &Snapshot {
        &self.foreseen.snapshot
    }

    /// None where the configuration refuses it.
    fn worker(&self) -> Option<&Worker> {
        self.foreseen.config.workers.iter().find(|worker| worker.name == self.plan.worker)
    }

    fn tasks(&self) -> Option<&ClusterTasks> {
        self.snapshot().tasks.get(&self.worker()?.cluster)?.as_ref().ok()
    }

    fn delayed(&self, depth: Depth) -> Messages {
        self.decision().map_or(Messages::ZERO, |decision| decision.delayed.min(depth.delayed))
    }

    fn decision(&self) -> Option<&Decision> {
        match &self.plan.action {
            Action::Launch(launch) => Some(&launch.decision),
            Action::Idle(Idle::Answered(decision)) => Some(decision),
            Action::Idle(_) | Action::Hold(_) | Action::Refuse(_) => None,
        }
    }

    /// The newest tasks that are known, by the tick that started them.
    fn last_launch(&self, tasks: &ClusterTasks) -> Option<LastLaunch> {
        let name = &self.plan.worker;
        let there = tasks.alive.iter().chain(&tasks.leaving).filter(|task| task.worker == *name);
        let there = there.map(|task| (task.created, task.tick, task.revision.family()));
        let ended = tasks.ended.iter().filter(|task| task.worker == *name);
        let ended = ended.map(|task| (task.created, task.tick, task.revision.family()));
        let all: Vec<_> = there.chain(ended).collect();
        let (created, tick, _) = all.iter().filter(|(created, ..)| created.is_some()).max()?;
        let created = (*created)?;
        let of_tick = all.iter().filter(|(at, of, _)| match tick {
            Some(_) => of == tick,
            None => *at == Some(created),
        });
        let containers = of_tick.map(|(.., family)| u64::from(family.worker_containers().0)).sum();
        let ago = elapsed(created, self.snapshot().now);
        let at = created.to_string();
        let tick = tick.map_or_else(|| at.clone(), |tick| format!("{tick:?}"));
        Some(LastLaunch { at, seconds_ago: ago.as_secs(), containers, tick })
    }

    /// What an hour of its tasks costs on Fargate, where that is known of all of them.
    fn hourly(&self, tasks: &ClusterTasks) -> Option<MicroDollars> {
        let mut own = tasks.alive.iter().filter(|task| task.worker == self.plan.worker);
        own.try_fold(MicroDollars::default(), |sum, task| {
            let TaskShape { size, storage, platform } =
                task.shape.filter(|_| task.capacity.is_fargate())?;
            let list = PriceList::of(&self.snapshot().region, platform);
            Some(sum.plus(list.hourly(size)).plus(list.hourly_storage(storage)))
        })
    }

    /// How it is, and a few words more.
    fn urgency(
        &self,
        alive: Option<Alive>,
        by_rule: Option<(Containers, Containers)>,
    ) -> (Urgency, String) {
        let Self { plan, result, .. } = self;
        if let Some(error) = self.unread().filter(|_| by_rule.is_none()) {
            return match error {
                ReadError::Call(call) if call.cause() == Cause::Permission => {
                    (Urgency::Denied, call.operation.to_owned())
                }
                // The words of AWS are longer than a column.
                ReadError::Call(call) if is_of_no_queue(call) => {
                    (Urgency::Held, "no such queue".to_owned())
                }
                error => (Urgency::Held, error.to_string()),
            };
        }
        if let Action::Refuse(refusal) = &plan.action {
            return (Urgency::Refused, refusal.to_string());
        }
        let health = self.health(by_rule.is_some());
        if let Some(tripped) = &health.breaker {
            return (Urgency::Breaker, tripped.last.clone());
        }
        // How they ended may repeat values of a definition, and a glance reads none for that.
        if let Some(Ends { well, badly }) = self.ends.as_ref().filter(|it| it.are_failures()) {
            let all = well.plus(Tasks::counted(badly.len()));
            return (Urgency::Failing, format!("{} of {all} tasks that ended", badly.len()));
        }
        if !health.stuck.is_empty() {
            return (Urgency::Stuck, DO_NOT_START.of(health.stuck.len()));
        }
        if !health.outlived.is_empty() {
            return (Urgency::Stuck, OUTLIVE.of(health.outlived.len()));
        }
        if let Some((owed, room)) = by_rule {
            return urgency_by_rule(owed, room);
        }
        if let Some(paused) = &result.paused {
            let until = paused.until.as_ref().map(|until| format!("until {until}"));
            return (Urgency::Paused, until.unwrap_or_default());
        }
        let at_cap = self.decision().is_some_and(Decision::at_cap);
        let words = result.waits_for.join(", ");
        match result.containers() {
            _ if at_cap => (Urgency::AtCap, self.short_by(alive)),
            0 if !words.is_empty() => (Urgency::Waits, words),
            0 if alive.is_some_and(|alive| alive.tasks != Tasks::ZERO) => {
                (Urgency::Ok, self.of_emptied())
            }
            0 if plan.depth.is_some_and(|depth| depth.total() != Messages::ZERO) => {
                (Urgency::Ok, String::new())
            }
            0 => (Urgency::Idle, String::new()),
            n => (Urgency::Launching, n.to_string()),
        }
    }

    /// Tasks of which no worker runs any more: they end soon, or somebody has to look.
    fn of_emptied(&self) -> String {
        let container = self.worker().and_then(|worker| worker.container.as_deref());
        let own = self.tasks().into_iter().flat_map(|tasks| &tasks.alive);
        let own = own.filter(|task| task.worker == self.plan.worker);
        let emptied = own.filter(|task| {
            let TaskContainers { all, stopped, .. } =
                TaskContainers::of(task, container, self.snapshot().now);
            all == stopped
        });
        match emptied.count() {
            0 => String::new(),
            n => EMPTIED.of(n),
        }
    }

    fn target(&self, alive: Option<Alive>) -> Option<Containers> {
        let decided = self.decision().map(Decision::target_containers);
        decided.or_else(|| self.by_rule(alive))
    }

    /// What the rule asks for, where only the time for its definition was too short: of many workers that
    /// messages wait for, a glance does not read all.
    fn by_rule(&self, alive: Option<Alive>) -> Option<Containers> {
        let Some(ReadError::Call(call)) = self.unread() else { return None };
        let is_late =
            call.operation == "DescribeTaskDefinition" && call.kind == ErrorKind::OutOfTime;
        let depth = self.plan.depth.filter(|_| is_late)?;
        Some(need_by_rule(self.worker()?, depth, &alive?))
    }

    /// What is owed by it, and how many `maxContainers` leaves room for.
    fn owed_by_rule(&self, alive: Option<Alive>) -> Option<(Containers, Containers)> {
        let target = self.by_rule(alive)?;
        let (cap, alive) = (self.worker()?.scaling.max_containers, alive?);
        Some((target.minus(alive.capacity()), cap.minus(alive.containers)))
    }

    /// What is wrong with its tasks; by them alone where its definition was not read.
    fn health(&self, is_by_rule: bool) -> Cow<'_, Health> {
        match self.worker().zip(self.tasks()).filter(|_| is_by_rule) {
            Some((worker, tasks)) => {
                Cow::Owned(health_by_tasks(worker, tasks, self.snapshot().now))
            }
            None => Cow::Borrowed(&self.plan.health),
        }
    }

    /// Why it is not known how it is.
    fn unread(&self) -> Option<&ReadError> {
        if let Action::Hold(error) = &self.plan.action {
            return Some(error);
        }
        self.snapshot().tasks.get(&self.worker()?.cluster)?.as_ref().err()
    }

    fn short_by(&self, alive: Option<Alive>) -> String {
        let target = self.decision().map(Decision::target_containers).unwrap_or_default();
        let there = alive.map(|alive| alive.capacity()).unwrap_or_default();
        let launched = self.result.containers();
        match u64::from(target.minus(there).0).saturating_sub(launched) {
            0 => String::new(),
            n => format!("{n} wait for room"),
        }
    }
}

fn urgency_by_rule(owed: Containers, room: Containers) -> (Urgency, String) {
    match (owed, room) {
        (Containers::ZERO, _) => (Urgency::Ok, "by its rule".to_owned()),
        (owed, Containers::ZERO) => (Urgency::AtCap, format!("{owed} wait for room")),
        (owed, room) => (Urgency::Launching, format!("{} by its rule", owed.min(room))),
    }
}

/// Whether there is no queue of that name.
pub(super) fn is_of_no_queue(call: &CallError) -> bool {
    call.operation.starts_with("GetQueue") && call.cause() == Cause::Missing
}

/// What is to be said of one task, or of several.
struct That {
    one: &'static str,
    several: &'static str,
}

impl That {
    fn of(&self, count: usize) -> String {
        if count == 1 {
            format!("1 task {}", self.one)
        } else {
            format!("{count} tasks {}", self.several)
        }
    }
}

const DO_NOT_START: That = That { one: "does not start", several: "do not start" };

const OUTLIVE: That =
    That { one: "goes on without its workers", several: "go on without their workers" };

const EMPTIED: That = That { one: "has no worker that runs", several: "have no worker that runs" };
