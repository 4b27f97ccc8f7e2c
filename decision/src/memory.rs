//! What a process knows of earlier ticks: a fold over what each saw and what came of it. A function
//! that was just started knows nothing, and every decision is safe without it.
//!
//! ECS is eventually consistent: its lists may not show a task yet when the next tick asks, and that
//! tick must not start it again. Nor does a list of what runs show what has failed.
//!
//! Its times are those of the wall clock, which an invocation carries: a process is frozen between
//! two invocations, and its monotonic clock may stand still meanwhile. A clock that was set back makes
//! nothing younger than just now.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::limits;
use crate::outcome::{Derived, GroupOutcome, WorkerOutcome};
use crate::plan::Action;
use crate::refusal::Cause;
use crate::snapshot::{
    ClusterTasks, DerivedRevision, Ended, Instance, Progress, Snapshot, Started, Task, Unseen,
    WorkerMemory,
};
use crate::units::{
    ClusterName, Containers, Family, InstanceArn, Messages, RevisionArn, TaskArn, Tasks,
    WorkerName, elapsed,
};

/// What ended since the last tick shows among the tasks that were alive then. A tick that was missed
/// or failed in between leaves a gap. Two ticks of a minute may come 119 seconds apart.
/// Source: EventBridge Scheduler user guide, "Schedule types": a precision of 60 seconds.
const WITHOUT_GAP: Duration = Duration::from_secs(90);

/// An instance that refused a task is the last choice for so long: what it is short of may be nothing
/// that ECS reports, such as network interfaces.
const REFUSED: Duration = Duration::from_mins(3);

/// A longer time without a look says nothing about an agent: it loses its connection now and then.
const LOOKED_AT: Duration = Duration::from_mins(5);

/// The memory of a process.
#[derive(Debug, Default)]
pub struct Memory {
    clusters: BTreeMap<ClusterName, Cluster>,
    workers: BTreeMap<WorkerName, WorkerMemory>,
    /// What was run of each derived family, and what it was derived from.
    derived: BTreeMap<Family, (RevisionArn, DerivedRevision)>,
    /// When and where this process started how many tasks in the last hour.
    launches: Vec<(Timestamp, ClusterName, Tasks)>,
    /// When a cluster's instances were looked at last, which of them had no connected agent, and since
    /// when.
    disconnected: BTreeMap<ClusterName, (Timestamp, BTreeMap<InstanceArn, Timestamp>)>,
    /// When an instance refused a task of a worker last.
    refusals: BTreeMap<(WorkerName, InstanceArn), Timestamp>,
}

#[derive(Debug, Default)]
struct Cluster {
    /// Tasks that have not been seen stopped, and when the tick was over in which this process started
    /// them; none for those that it has only seen.
    unended: BTreeMap<TaskArn, (Option<Timestamp>, Task)>,
    unanswered: Vec<Unanswered>,
    ended: BTreeMap<TaskArn, Ended>,
    /// Up to when the ends of its tasks are known.
    read: Option<Timestamp>,
}

/// Tasks that may have been started: the call was made, and its answer is missing.
#[derive(Debug)]
struct Unanswered {
    /// When the tick began that made the call.
    began: Timestamp,
    /// When it was over.
    over: Timestamp,
    tick: Option<Timestamp>,
    worker: WorkerName,
    revision: RevisionArn,
    /// For each of the tasks, where it was asked for, if it was for one instance.
    instances: Vec<Option<InstanceArn>>,
}

/// A task that is listed.
struct Seen<'a> {
    arn: &'a TaskArn,
    worker: &'a WorkerName,
    created: Option<Timestamp>,
    instance: Option<&'a InstanceArn>,
    /// The scheduled tick that started it.
    tick: Option<Timestamp>,
}

/// Whose launch it was, in which tick, and when that was over.
#[derive(Clone, Copy)]
struct Launching<'a> {
    worker: &'a WorkerName,
    snapshot: &'a Snapshot,
    over: Timestamp,
}

/// What is known of a cluster before it is read.
#[derive(Clone, Debug, Default)]
pub struct Remembered {
    /// Tasks that were alive when they were seen last.
    pub tasks: Vec<Task>,
    /// Of these, the ones that ECS need not know yet.
    pub new: BTreeSet<TaskArn>,
    /// Whether the ends of our tasks are known.
    pub knows_ended: bool,
}

impl Memory {
    /// A tick begins. The wall clock may have been set back since the last one: what it would put after
    /// now was just now.
    pub fn begin(&mut self, now: Timestamp) {
        let Self { clusters, workers, derived: _, launches, disconnected, refusals } = self;
        for memory in workers.values_mut() {
            memory.progress.iter_mut().for_each(|progress| progress.set_back(now));
            memory.no_interface = memory.no_interface.map(|at| now.min(at));
        }
        let looks = disconnected
            .values_mut()
            .flat_map(|(looked, silent)| std::iter::once(looked).chain(silent.values_mut()));
        let times = clusters.values_mut().flat_map(Cluster::times);
        let times = times.chain(launches.iter_mut().map(|(at, ..)| at));
        for time in times.chain(looks).chain(refusals.values_mut()) {
            *time = now.min(*time);
        }
    }

    /// What is known of a cluster before it is read.
    pub fn remembered(&self, cluster: &ClusterName, now: Timestamp) -> Remembered {
        let Some(cluster) = self.clusters.get(cluster) else { return Remembered::default() };
        let is_new = |at: Timestamp| is_within(limits::LISTS_LAG, at, now);
        let new = cluster.unended.iter().filter(|(_, (at, _))| at.is_some_and(is_new));
        let knows = |at| is_within(WITHOUT_GAP, at, now);
        Remembered {
            tasks: cluster.unended.values().map(|(_, task)| task.clone()).collect(),
            new: new.map(|(arn, _)| arn.clone()).collect(),
            // A task of an unanswered call may end before it is ever listed.
            knows_ended: cluster.read.is_some_and(knows) && cluster.unanswered.is_empty(),
        }
    }

    /// Whether tasks of a worker were alive when somebody looked last, or have been started since.
    pub fn has_alive(&self, worker: &WorkerName, cluster: &ClusterName) -> bool {
        let unended = self.clusters.get(cluster).into_iter().flat_map(|of| of.unended.values());
        unended.into_iter().any(|(_, task)| task.worker == *worker)
    }

    /// What a cluster's reading comes to with what is remembered: tasks that a call without an
    /// answer may have started count as starting until they are seen or five minutes are over, and
    /// what ended stays known for an hour. What ended lately and was not known is news.
    pub fn completed(
        &self,
        cluster: &ClusterName,
        read: ClusterTasks,
        now: Timestamp,
    ) -> ClusterTasks {
        let Some(cluster) = self.clusters.get(cluster) else {
            let news = Cluster::default().news(&read, now);
            return ClusterTasks { news, ..read };
        };
        let news = cluster.news(&read, now);
        let calls = cluster.unanswered.iter().zip(cluster.open(&read));
        let calls = calls.filter(|(call, _)| is_within(limits::LISTS_LAG, call.over, now));
        let presumed: Vec<_> = calls.flat_map(|(call, instances)| call.tasks(instances)).collect();
        let remembered = cluster.ended.iter().map(|(arn, ended)| (arn.clone(), ended.clone()));
        let read_now = read.ended.iter().map(|ended| (ended.arn.clone(), ended.clone()));
        let ended: BTreeMap<_, _> = remembered.chain(read_now).collect();
        let ended = ended.into_values().filter(|ended| is_recent(ended, now));
        ClusterTasks { ended: ended.collect(), presumed, news, ..read }
    }

    /// What is known of a worker's earlier ticks.
    pub fn workers(&self) -> BTreeMap<WorkerName, WorkerMemory> {
        self.workers.clone()
    }

    /// The tasks that this process started within the last hour, by cluster. Those of a call without an
    /// answer are among them until ECS must show them and does not; where nobody looks, for the hour.
    pub fn launched(&self, now: Timestamp) -> BTreeMap<ClusterName, Tasks> {
        let mut launched = BTreeMap::<_, Tasks>::new();
        let known = self.launches.iter().filter(|(at, ..)| is_in_hour(*at, now));
        let known = known.map(|(_, cluster, tasks)| (cluster, *tasks));
        let open = self.clusters.iter().flat_map(|(name, cluster)| {
            let calls = cluster.unanswered.iter().filter(|call| is_in_hour(call.began, now));
            calls.map(move |call| (name, Tasks::counted(call.instances.len())))
        });
        for (cluster, tasks) in known.chain(open) {
            let sum = launched.entry(cluster.clone()).or_default();
            *sum = sum.plus(tasks);
        }
        launched
    }

    /// Since when instances are seen without a connected agent, where somebody has looked lately: in a
    /// longer time without a look an agent may have been back.
    pub fn disconnected(&self, now: Timestamp) -> BTreeMap<InstanceArn, Timestamp> {
        let lately =
            self.disconnected.values().filter(|(looked, _)| is_within(LOOKED_AT, *looked, now));
        lately.flat_map(|(_, since)| since.clone()).collect()
    }

    /// The instances that refused a task of a worker in the last minutes.
    pub fn refusals(&self, now: Timestamp) -> BTreeMap<WorkerName, BTreeSet<InstanceArn>> {
        let mut refusals = BTreeMap::<_, BTreeSet<_>>::new();
        for ((worker, instance), at) in &self.refusals {
            if is_within(REFUSED, *at, now) {
                refusals.entry(worker.clone()).or_default().insert(instance.clone());
            }
        }
        refusals
    }

    /// The derived revisions that were run.
    pub fn derived(&self) -> BTreeMap<Family, DerivedRevision> {
        self.derived.iter().map(|(family, (_, known))| (family.clone(), known.clone())).collect()
    }

    /// Whether something that was derived from this base revision was run.
    pub fn has_run(&self, base: &RevisionArn) -> bool {
        let family = base.family();
        let mut sizes = (1..=limits::CONTAINERS_PER_TASK.0).map(|n| family.variant(Containers(n)));
        sizes.any(|family| self.derived.get(&family).is_some_and(|(from, _)| from == base))
    }

    /// Remembers what a tick saw and what it started, when it is over.
    pub fn remember(&mut self, snapshot: &Snapshot, outcomes: &[WorkerOutcome], over: Timestamp) {
        for (cluster, tasks) in &snapshot.tasks {
            if let Ok(tasks) = tasks {
                let of = self.clusters.entry(cluster.clone()).or_default();
                let shown = of.learn(tasks, snapshot.now, over).into_iter();
                let shown = shown.filter(|(_, tasks)| *tasks != Tasks::ZERO);
                self.launches.extend(shown.map(|(at, tasks)| (at, cluster.clone(), tasks)));
            }
        }
        self.remember_disconnected(snapshot);
        self.refusals.retain(|_, at| is_within(REFUSED, *at, snapshot.now));
        for outcome in outcomes {
            self.remember_worker(snapshot, outcome, over);
        }
    }
}

fn is_recent(ended: &Ended, now: Timestamp) -> bool {
    is_in_hour(ended.stopped, now)
}

fn is_in_hour(at: Timestamp, now: Timestamp) -> bool {
    is_within(limits::STOPPED_TASKS_KEPT, at, now)
}

fn is_within(time: Duration, at: Timestamp, now: Timestamp) -> bool {
    elapsed(at, now) < time
}

impl Unanswered {
    /// The call's tasks on these instances.
    fn tasks(&self, instances: Vec<Option<InstanceArn>>) -> impl Iterator<Item = Task> {
        let Self { worker, revision, began, tick, .. } = self;
        Unseen { worker, revision, created: *began, tick: *tick }.presumed(instances)
    }

    /// Which of the open tasks of the call a task that is seen can be, by index.
    fn index_for(&self, task: &Seen<'_>, open: &[Option<InstanceArn>]) -> Option<usize> {
        let since = self.began.checked_sub(limits::CLOCKS_DIFFER).unwrap_or(self.began);
        // By their clocks alone, a task of the tick before may look as if this call had started it.
        let of_another = task.tick.zip(self.tick).is_some_and(|(its, ours)| its != ours);
        let can_be = *task.worker == self.worker
            && task.created.is_some_and(|created| since <= created)
            && !of_another;
        let fits = |on: &Option<InstanceArn>| match (on, task.instance) {
            (Some(on), Some(instance)) => on == instance,
            (None, _) | (_, None) => true,
        };
        open.iter().position(fits).filter(|_| can_be)
    }
}

impl Cluster {
    /// What ended lately and is not known yet. A process that has just begun knows nothing.
    fn news(&self, read: &ClusterTasks, now: Timestamp) -> BTreeSet<TaskArn> {
        let lately =
            read.ended.iter().filter(|ended| is_within(limits::LISTS_LAG, ended.stopped, now));
        let unknown = lately.filter(|ended| !self.ended.contains_key(&ended.arn));
        unknown.map(|ended| ended.arn.clone()).collect()
    }

    /// All times that are our own clock's.
    fn times(&mut self) -> impl Iterator<Item = &mut Timestamp> {
        let Self { unended, unanswered, ended: _, read } = self;
        let unended = unended.values_mut().filter_map(|(at, _)| at.as_mut());
        let calls = unanswered.iter_mut().flat_map(|call| [&mut call.began, &mut call.over]);
        unended.chain(calls).chain(read)
    }

    /// For each unanswered call, where its tasks may be that do not show up: those that do are new ones that
    /// can be of it. A task is of one call only; the oldest call has the first choice.
    fn open(&self, seen: &ClusterTasks) -> Vec<Vec<Option<InstanceArn>>> {
        let there = seen.alive.iter().chain(&seen.leaving).map(|task| {
            let Task { arn, worker, created, instance, tick, .. } = task;
            Seen { arn, worker, created: *created, instance: instance.as_ref(), tick: *tick }
        });
        // Where one stood that has ended, nobody says.
        let ended = seen.ended.iter().map(|task| {
            let Ended { arn, worker, created, tick, .. } = task;
            Seen { arn, worker, created: *created, instance: None, tick: *tick }
        });
        let is_new = |task: &Seen<'_>| {
            !self.unended.contains_key(task.arn) && !self.ended.contains_key(task.arn)
        };
        let mut new: Vec<_> = there.chain(ended).filter(is_new).collect();
        let calls = self.unanswered.iter().map(|call| {
            let mut open = call.instances.clone();
            new.retain(|task| {
                let index = call.index_for(task, &open);
                index.map(|index| open.swap_remove(index)).is_none()
            });
            open
        });
        calls.collect()
    }

    /// Takes over what was seen, and forgets what ECS must know by now and does not. It gives the tasks
    /// of calls without an answer that have shown, and when those calls were made.
    fn learn(
        &mut self,
        seen: &ClusterTasks,
        now: Timestamp,
        over: Timestamp,
    ) -> Vec<(Timestamp, Tasks)> {
        let is_new = |at| is_within(limits::LISTS_LAG, at, now);
        let open = self.open(seen);
        let shown = open.into_iter().zip(&mut self.unanswered).map(|(instances, call)| {
            let before = std::mem::replace(&mut call.instances, instances);
            (call.began, Tasks::counted(before.len()).minus(Tasks::counted(call.instances.len())))
        });
        let shown = shown.collect();
        self.unanswered.retain(|call| is_new(call.over) && !call.instances.is_empty());
        self.ended.extend(seen.ended.iter().map(|ended| (ended.arn.clone(), ended.clone())));
        self.ended.retain(|_, ended| is_recent(ended, now));
        let Self { unended, ended, .. } = self;
        unended.retain(|arn, (at, _)| !ended.contains_key(arn) && at.is_some_and(is_new));
        // Whoever has started them: what becomes of them matters to this process.
        for task in seen.alive.iter().chain(&seen.leaving) {
            unended.entry(task.arn.clone()).or_insert_with(|| (None, task.clone()));
        }
        self.read = Some(over);
        shown
    }
}

impl Memory {
    /// What could not be run may not be there any more.
    fn remember_derived(&mut self, group: &GroupOutcome) {
        let Some(Derived { family, base, digest }) = &group.derived else { return };
        match &group.revision {
            Some(arn) if group.errors.is_empty() => {
                let known = DerivedRevision { arn: arn.clone(), digest: Some(digest.clone()) };
                self.derived.insert(family.clone(), (base.clone(), known));
            }
            _ => drop(self.derived.remove(family)),
        }
    }

    /// What is not listed any more, or is connected again, is forgotten.
    fn remember_disconnected(&mut self, snapshot: &Snapshot) {
        for (cluster, read) in &snapshot.instances {
            let Ok(read) = read else { continue };
            let silent = read.active.iter().filter(|instance| !instance.connected);
            let since = silent.map(|Instance { arn, .. }| {
                (arn.clone(), snapshot.disconnected.get(arn).copied().unwrap_or(snapshot.now))
            });
            self.disconnected.insert(cluster.clone(), (snapshot.now, since.collect()));
        }
    }

    fn remember_refusals(&mut self, worker: &WorkerName, groups: &[GroupOutcome], now: Timestamp) {
        for instance in groups.iter().flat_map(|group| &group.refused_by) {
            self.refusals.insert((worker.clone(), instance.clone()), now);
        }
    }

    fn remember_launch(&mut self, now: Timestamp, outcome: &WorkerOutcome) {
        self.launches.retain(|(at, ..)| is_in_hour(*at, now));
        let Some(cluster) = outcome.cluster() else { return };
        let tasks = outcome.groups.iter().map(GroupOutcome::count).sum();
        if tasks != Tasks::ZERO {
            self.launches.push((now, cluster.clone(), tasks));
        }
    }

    fn remember_worker(&mut self, snapshot: &Snapshot, outcome: &WorkerOutcome, over: Timestamp) {
        let WorkerOutcome { plan, groups } = outcome;
        let mut started = false;
        let launching = Launching { worker: &plan.worker, snapshot, over };
        if let Action::Launch(launch) = &plan.action {
            let cluster = self.clusters.entry(launch.cluster.clone()).or_default();
            for group in groups {
                started |= cluster.remember(group, launching);
            }
        }
        for group in groups {
            self.remember_derived(group);
        }
        self.remember_launch(snapshot.now, outcome);
        self.remember_refusals(&plan.worker, groups, snapshot.now);
        let memory = self.workers.entry(plan.worker.clone()).or_default();
        memory.waited = match &plan.action {
            Action::Launch(_) if !started => memory.waited.saturating_add(1),
            _ => 0,
        };
        let mut failures = groups.iter().flat_map(|group| &group.failures);
        if failures.any(|failure| failure.cause == Cause::NetworkInterface) {
            memory.no_interface = Some(snapshot.now);
        }
        if let Some(progress) = &plan.progress {
            memory.progress = Some(after(progress.clone(), outcome, snapshot.now));
        }
        if let Some(seen) = &plan.without_workers {
            memory.without_workers.clone_from(seen);
        }
    }
}

/// How a worker's queue moves, with what was started for it. A refusal changes nothing.
fn after(mut progress: Progress, outcome: &WorkerOutcome, now: Timestamp) -> Progress {
    let Action::Launch(launch) = &outcome.plan.action else { return progress };
    let decision = &launch.decision;
    let tasks: Vec<_> = outcome.groups.iter().flat_map(GroupOutcome::there).cloned().collect();
    if tasks.is_empty() {
        return progress;
    }
    if decision.visible == Messages::ZERO {
        progress.started_ahead(now, tasks);
        return progress;
    }
    let of_group = |group: &GroupOutcome| group.count().containers(group.containers_per_task);
    let containers: Containers = outcome.groups.iter().map(of_group).sum();
    if outcome.plan.health.breaker.is_some() {
        progress.canaries = progress.canaries.plus(containers);
    }
    progress.started(now, Started { tasks, containers, for_minimum: decision.floor() });
    progress
}

impl Cluster {
    /// Remembers a group of tasks, and says whether any of them were started.
    fn remember(&mut self, group: &GroupOutcome, launching: Launching<'_>) -> bool {
        let Launching { worker, snapshot, over } = launching;
        let (began, tick) = (snapshot.now, snapshot.tick.instant());
        let Some(revision) = &group.revision else { return false };
        for task in group.tasks(worker, snapshot) {
            self.unended.entry(task.arn.clone()).or_insert((Some(over), task));
        }
        if group.unanswered.0 != 0 {
            self.unanswered.push(Unanswered {
                began,
                over,
                tick,
                worker: worker.clone(),
                revision: revision.clone(),
                instances: group.unanswered_instances(),
            });
        }
        group.count().plus(group.unanswered) != Tasks::ZERO
    }
}
