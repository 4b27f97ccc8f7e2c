//! A worker's own tasks, and how far their worker containers are. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::config::Worker;
use crate::event::is_to_come;
use crate::plan::Alive;
use crate::refusal::{Cause, is_injected};
use crate::snapshot::{
    Capacity, ClusterTasks, ContainerStatus, Ended, EndedContainer, Snapshot, Task, TaskSeen,
};
use crate::units::{Containers, TaskArn, Tasks, elapsed};
use crate::variant::{self, clone_names};

/// A task that ran as long as this did run, whatever came then.
pub(super) const RAN_WELL: Duration = Duration::from_mins(2);

/// So long ECS itself waits for the instances that a capacity provider with managed scaling is to
/// bring, and ends the task then: it may start until it is over.
/// Source: AWS containers blog, "Deep Dive on Amazon ECS Cluster Auto Scaling": 10 to 30 minutes.
const WAITS: Duration = Duration::from_mins(30);

/// The containers of a task run some seconds before it does, as ECS waits for all of them.
const BEFORE_ITS_TASK: Duration = Duration::from_secs(10);

/// The tasks of one worker.
pub(super) struct OwnTasks<'a> {
    /// Those that ECS does not want stopped, and those that may be.
    pub(super) alive: Vec<OwnTask<'a>>,
    /// Those that are on their way out: what became of them is not known yet.
    pub(super) leaving: Vec<OwnTask<'a>>,
    /// Those that ended within the last hour.
    pub(super) ended: Vec<OwnEnded<'a>>,
}

/// A task that ECS does not want stopped.
#[derive(Clone, Copy)]
pub(super) struct OwnTask<'a> {
    pub(super) arn: &'a TaskArn,
    /// The scheduled tick that started it.
    pub(super) tick: Option<Timestamp>,
    /// When it was made, where ECS gives it.
    pub(super) created: Option<Timestamp>,
    /// When it reached RUNNING.
    pub(super) started: Option<Timestamp>,
    /// Its worker containers.
    pub(super) containers: Containers,
    /// Of these, the ones that run.
    pub(super) running: Containers,
    /// Of these, the ones that have stopped.
    pub(super) stopped: Containers,
    /// Of these, the ones that have stopped with exit code 0.
    pub(super) done: Containers,
    /// Whether nobody has seen it: a call without an answer may have started it.
    pub(super) is_presumed: bool,
    /// Since when it has been on its way for too long to be counted on.
    pub(super) stuck_since: Option<Timestamp>,
    /// Since when it has waited too long for an instance that its capacity provider is to bring.
    pub(super) waits_since: Option<Timestamp>,
    /// By which capacity it was started.
    pub(super) capacity: &'a Capacity,
    /// The function that started it, where that is known.
    function: Option<&'a str>,
    /// All of its containers, as far as ECS shows them.
    shown: &'a [(String, ContainerStatus)],
}

/// A task that has ended.
#[derive(Clone)]
pub(super) struct OwnEnded<'a> {
    pub(super) task: &'a Ended,
    /// Its worker containers; where none is known by its name, all of its containers.
    pub(super) containers: Vec<&'a EndedContainer>,
    /// Whether its watcher gave up.
    pub(super) watcher_gave_up: bool,
}

impl<'a> OwnTasks<'a> {
    /// A worker's tasks among those of its cluster. `container` is the name that is configured now.
    pub(super) fn of(
        worker: &Worker,
        container: &str,
        tasks: &'a ClusterTasks,
        now: Timestamp,
    ) -> Self {
        let after = worker.scaling.stuck_after;
        let alive = tasks.alive.iter().filter(|task| task.worker == worker.name);
        let alive = alive.map(|task| OwnTask::new(task, container, after, now));
        let presumed = tasks.presumed.iter().filter(|task| task.worker == worker.name);
        let presumed = presumed
            .map(|task| OwnTask { is_presumed: true, ..OwnTask::new(task, container, after, now) });
        let leaving = tasks.leaving.iter().filter(|task| task.worker == worker.name);
        let leaving = leaving.map(|task| OwnTask::new(task, container, after, now));
        let ended = tasks.ended.iter().filter(|task| task.worker == worker.name);
        Self {
            alive: alive.chain(presumed).collect(),
            leaving: leaving.collect(),
            ended: ended.map(|task| OwnEnded::new(task, container)).collect(),
        }
    }

    /// The same where its definition is not known. A container that has no name in the configuration has it in
    /// the tasks.
    pub(super) fn by_name(worker: &Worker, tasks: &'a ClusterTasks, now: Timestamp) -> Self {
        Self::of(worker, worker.container.as_deref().unwrap_or_default(), tasks, now)
    }

    /// A worker container is alive until ECS says that it stopped: one that ECS does not list yet is
    /// on its way.
    pub(super) fn count(&self) -> Alive {
        let mut alive = Alive::default();
        for task in &self.alive {
            alive.tasks = alive.tasks.plus(Tasks(1));
            alive.containers = alive.containers.plus(task.left());
            alive.running = alive.running.plus(task.running);
            if task.is_presumed {
                alive.presumed = alive.presumed.plus(task.left());
            }
            if task.stuck_since.is_some() {
                alive.stuck_tasks = alive.stuck_tasks.plus(Tasks(1));
                alive.stuck = alive.stuck.plus(task.left());
            }
        }
        alive
    }

    /// The tasks that are stuck.
    pub(super) fn stuck(&self) -> Vec<TaskArn> {
        let stuck = self.alive.iter().filter(|task| task.stuck_since.is_some());
        stuck.map(|task| task.arn.clone()).collect()
    }

    /// How many of its tasks other functions have started, by name.
    pub(super) fn of_others(&self, function: &str) -> BTreeMap<String, Tasks> {
        let mut others = BTreeMap::<_, Tasks>::new();
        let of = self.alive.iter().filter_map(|task| task.function);
        for other in of.filter(|other| *other != function) {
            let tasks = others.entry(other.to_owned()).or_default();
            *tasks = tasks.plus(Tasks(1));
        }
        others
    }

    /// The tasks that go on although all of their workers have stopped, and those that run after the
    /// workers (`after`) too.
    pub(super) fn without_workers(&self, after: &[&str]) -> impl Iterator<Item = &OwnTask<'a>> {
        let has_stopped = |status: &ContainerStatus| matches!(status, ContainerStatus::Stopped(_));
        self.alive.iter().filter(move |task| {
            let mut others = task.shown.iter().filter(|(name, _)| after.contains(&name.as_str()));
            task.stopped == task.containers && others.all(|(_, status)| has_stopped(status))
        })
    }

    /// Containers that are on their way or have only begun, so that nobody knows yet whether they run
    /// well.
    pub(super) fn unjudged(&self, now: Timestamp) -> Containers {
        let is_open = |task: &&OwnTask<'_>| task.stuck_since.is_none() && !task.runs_well(now);
        self.alive.iter().filter(is_open).map(OwnTask::left).sum()
    }

    /// The same at an earlier time, as far as the times of tasks show, and what was seen of them before.
    pub(super) fn as_of(&self, then: Timestamp, before: &BTreeMap<TaskArn, TaskSeen>) -> Self {
        let seen = |arn: &TaskArn| before.get(arn).copied().unwrap_or_default();
        let alive = self.alive.iter().filter_map(|own| own.as_of(then, seen(own.arn)));
        // Since when they leave is not known: they were there until somebody looked.
        let leaving = self.leaving.iter().filter_map(|own| {
            let seen = seen(own.arn);
            own.whole(seen).as_of(then, seen)
        });
        let ended_since = self.ended.iter();
        let ended_since = ended_since.filter_map(|own| own.as_of(then, seen(&own.task.arn)));
        let ended = self.ended.iter().filter(|own| own.task.stopped <= then);
        Self {
            alive: alive.chain(leaving).chain(ended_since).collect(),
            leaving: Vec::new(),
            ended: ended.cloned().collect(),
        }
    }

    /// A tick that was acted on already is not acted on again, nor one that came after its time:
    /// what was seen of the queue since then was answered by others.
    pub(super) fn are_of_this_tick_or_later(&self, snapshot: &Snapshot) -> bool {
        let Some(this) = snapshot.tick.instant() else { return false };
        let there = self.alive.iter().chain(&self.leaving).map(|own| own.tick);
        let all = there.chain(self.ended.iter().map(|own| own.task.tick));
        // A time to come is of an event that was wrong.
        let now = snapshot.now.max(this);
        all.flatten().any(|tick| this <= tick && !is_to_come(tick, now))
    }
}

impl<'a> OwnTask<'a> {
    pub(super) fn new(task: &'a Task, container: &str, after: Duration, now: Timestamp) -> Self {
        let containers = task.revision.family().worker_containers();
        let names = clone_names(task.container.as_deref().unwrap_or(container), containers);
        let known = task.containers.iter().filter(|(name, _)| names.contains(name));
        let known: Vec<_> = known.map(|(_, status)| *status).collect();
        let with = |is: fn(&ContainerStatus) -> bool| {
            Containers::counted(known.iter().filter(|status| is(status)).count())
        };
        let running = match task.started {
            // Under names that nobody knows, they are as far as their task is.
            Some(_) if known.is_empty() => containers,
            _ => with(|status| *status == ContainerStatus::Running),
        };
        let stopped = with(|status| matches!(status, ContainerStatus::Stopped(_)));
        let done = with(|status| *status == ContainerStatus::Stopped(Some(0)));
        let Task { arn, tick, created, started, capacity, function, containers: shown, .. } = task;
        let mut own = Self {
            arn,
            tick: *tick,
            created: *created,
            started: *started,
            containers,
            running,
            stopped,
            done,
            is_presumed: false,
            stuck_since: None,
            waits_since: None,
            capacity,
            function: function.as_deref(),
            shown,
        };
        // Of one that ECS does not show yet, nobody knows how far it is: it may run, and is not counted
        // for longer than lists lag.
        let is_shown = !task.containers.is_empty();
        let late_by = |after| own.late_at(after).filter(|late| *late <= now && is_shown);
        let waits = task.waits_for_instances();
        let patience = if waits { after.max(WAITS) } else { after };
        (own.stuck_since, own.waits_since) = (late_by(patience), late_by(after).filter(|_| waits));
        own
    }

    /// When it will be stuck, or was: if no worker container has begun by then, whatever else runs in
    /// the task.
    fn late_at(&self, after: Duration) -> Option<Timestamp> {
        let is_starting = self.running == Containers::ZERO && self.stopped == Containers::ZERO;
        let late = self.created.and_then(|created| created.checked_add(after).ok());
        late.filter(|_| is_starting)
    }

    /// The same at an earlier time, as far as the times of tasks show. When a container of a task that
    /// goes on has ended, ECS does not tell: one that has ended with exit code 0 since it was seen last
    /// was there until somebody looked. It has left no message behind, and what was in flight may have
    /// been its own.
    fn as_of(&self, then: Timestamp, seen: TaskSeen) -> Option<Self> {
        let is_there = self.created.is_none_or(|created| created <= then);
        let since = self.done.minus(seen.done);
        let ran = ran_at(self.started, then);
        let running = if ran { self.running.plus(since) } else { Containers::ZERO };
        let (stopped, done) = (self.stopped.minus(since), self.done.minus(since));
        is_there.then_some(Self { running, stopped, done, ..*self })
    }

    /// The same when no more of its containers had stopped than were seen to have.
    fn whole(&self, seen: TaskSeen) -> Self {
        let TaskSeen { stopped, done, .. } = seen;
        Self { running: self.containers.minus(stopped), stopped, done, ..*self }
    }

    /// Its worker containers that have not stopped.
    pub(super) fn left(&self) -> Containers {
        self.containers.minus(self.stopped)
    }

    /// Whether its worker has run long enough to show that it can.
    pub(super) fn runs_well(&self, now: Timestamp) -> bool {
        self.has_run_for(RAN_WELL, now)
    }

    /// Whether its worker runs, and has for so long.
    pub(super) fn has_run_for(&self, time: Duration, now: Timestamp) -> bool {
        let for_long = |began| time <= elapsed(began, now);
        self.running != Containers::ZERO && self.started.is_some_and(for_long)
    }
}

/// Whether the containers of a task may have run at a time.
fn ran_at(started: Option<Timestamp>, then: Timestamp) -> bool {
    started.is_some_and(|started| elapsed(then, started) <= BEFORE_ITS_TASK)
}

impl<'a> OwnEnded<'a> {
    fn new(task: &'a Ended, container: &str) -> Self {
        let count = task.revision.family().worker_containers();
        let names = clone_names(task.container.as_deref().unwrap_or(container), count);
        let known = task.containers.iter().filter(|one| names.contains(&one.name));
        let known: Vec<_> = known.collect();
        let watcher = names.first().map(|name| variant::watcher_name(name));
        let gave_up = |one: &EndedContainer| {
            one.exit == Some(variant::WATCHER_GAVE_UP) && Some(&one.name) == watcher.as_ref()
        };
        let watcher_gave_up = task.containers.iter().any(gave_up);
        let containers = if known.is_empty() { task.containers.iter().collect() } else { known };
        Self { task, containers, watcher_gave_up }
    }

    /// What it was at an earlier time, when it had not ended, and no more of its containers had stopped
    /// than were seen to have.
    fn as_of(&self, then: Timestamp, seen: TaskSeen) -> Option<OwnTask<'a>> {
        let Ended { arn, tick, created, started, stopped, capacity, .. } = self.task;
        let is_there = created.is_some_and(|created| created <= then) && then < *stopped;
        let TaskSeen { stopped: had_stopped, done, .. } = seen;
        let running = self.count().minus(had_stopped);
        let running = if ran_at(*started, then) { running } else { Containers::ZERO };
        is_there.then_some(OwnTask {
            arn,
            tick: *tick,
            created: *created,
            started: *started,
            containers: self.count(),
            running,
            stopped: had_stopped,
            done,
            is_presumed: false,
            stuck_since: None,
            waits_since: None,
            capacity,
            function: None,
            shown: &[],
        })
    }

    /// Its worker containers.
    pub(super) fn count(&self) -> Containers {
        self.task.revision.family().worker_containers()
    }

    /// Those that ended with exit code 0.
    pub(super) fn done(&self) -> Containers {
        let done = self.containers.iter().filter(|container| container.exit == Some(0));
        Containers::counted(done.count()).min(self.count())
    }

    /// Whether it ended without having begun.
    pub(super) fn is_refused(&self) -> bool {
        self.task.started.is_none() && self.containers.iter().all(|one| one.exit.is_none())
    }

    /// Why it ended: the words of its worker's container come before those of the task.
    pub(super) fn words(&self) -> &str {
        let of_worker = self.containers.iter().find_map(|one| one.reason.as_deref());
        of_worker.unwrap_or(&self.task.reason)
    }

    /// What its stop means. What others put into the task may have kept it from beginning.
    pub(super) fn cause(&self) -> Cause {
        let silent = self.containers.iter().all(|one| one.reason.is_none());
        let injected = |one: &EndedContainer| is_injected(&one.name) && one.reason.is_some();
        match self.task.cause() {
            Cause::OfWorker if silent && self.is_refused() => {
                let of_others = self.task.containers.iter().any(injected);
                if of_others { Cause::OfOthers } else { Cause::OfWorker }
            }
            Cause::OfWorker => Cause::of_stop(&self.task.code, self.words()),
            cause => cause,
        }
    }
}

/// The tasks of a worker among those of its cluster, whether or not it is owed something.
pub fn alive(worker: &Worker, tasks: &ClusterTasks, now: Timestamp) -> Alive {
    OwnTasks::by_name(worker, tasks, now).count()
}

/// The worker containers of one task, whether or not it counts as alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskContainers {
    /// All of them.
    pub all: Containers,
    /// Of these, the ones that run.
    pub running: Containers,
    /// Of these, the ones that have stopped.
    pub stopped: Containers,
}

impl TaskContainers {
    /// As a decision counts them; a task carries its container's name where `container` gives none.
    pub fn of(task: &Task, container: Option<&str>, now: Timestamp) -> Self {
        let never_stuck = Duration::MAX;
        let own = OwnTask::new(task, container.unwrap_or_default(), never_stuck, now);
        Self { all: own.containers, running: own.running, stopped: own.stopped }
    }
}
