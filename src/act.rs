//! Carries out a plan: finds or registers revisions, then runs tasks in tens. Makes no choices.
//!
//! Each worker is served on its own and keeps its own trouble, a panic too. Every call is counted by
//! what it placed, never by what it was asked for.

mod call;
mod draining;
mod revisions;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;

use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt, stream};

pub use self::call::Called;
use self::call::{Exhausted, Launch, Rest};
pub use self::draining::{DrainActed, DrainCalls, HookActed, StopActed, answer, drain, stop};
use self::revisions::{Found, Revisions, Superseded};
use crate::aws::{Aws, StartedTask, TaskFailure};
use decision::plan::{Action, Call, Group, LaunchPlan, Plan, Revision, Way, WorkerPlan};
use decision::snapshot::{CallError, ReadError, Snapshot, Task, Unseen};
use decision::units::{
    ClusterName, Containers, Family, InstanceArn, RevisionArn, TaskArn, Tasks, WorkerName,
};

/// Workers served at once.
const AT_ONCE: usize = 64;

/// What was done for one worker.
#[derive(Clone, Debug, PartialEq)]
pub struct Acted {
    /// The plan that was carried out.
    pub plan: WorkerPlan,
    /// What came of each of its groups; empty where nothing was to be launched.
    pub groups: Vec<GroupOutcome>,
}

/// What came of the tasks of one size.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupOutcome {
    /// The revision that was run, where there was one to run.
    pub revision: Option<RevisionArn>,
    /// Its content, where it is a derived one.
    pub derived: Option<Derived>,
    /// Worker containers in each task.
    pub containers_per_task: Containers,
    /// Whether the revision was registered now.
    pub registered: bool,
    /// Tasks that this tick started.
    pub started: Vec<StartedTask>,
    /// Tasks that an earlier delivery of this tick had started.
    pub adopted: Vec<TaskArn>,
    /// Tasks that were asked for and are not there.
    pub missing: Tasks,
    /// Of these, the ones that another instance may take.
    pub displaced: Tasks,
    /// Of the missing, the ones that may be there all the same: the call's answer is missing.
    pub unanswered: Tasks,
    /// Where some of these may be.
    pub unanswered_on: Vec<InstanceArn>,
    /// Instances that refused a task.
    pub refused_by: BTreeSet<InstanceArn>,
    /// Why they are not there, as ECS tells it.
    pub failures: Vec<TaskFailure>,
    /// Why tasks were asked for elsewhere.
    pub moved: Vec<TaskFailure>,
    /// Calls that were refused as a whole.
    pub errors: Vec<ReadError>,
    /// A superseded revision that could not be deregistered: untidy, and no worker's trouble.
    pub untidy: Option<CallError>,
    /// Calls that started nothing because ECS refused their revision, as it does when somebody has
    /// replaced it since it was read. They are in no other field until they are made again or
    /// settled.
    pub stale: Vec<(Call, Called)>,
}

/// What tells a derived revision from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Derived {
    /// Its family.
    pub family: Family,
    /// What it is derived from.
    pub base: RevisionArn,
    /// Of its content.
    pub digest: String,
}

impl Acted {
    /// A plan that was not carried out.
    pub fn not(plan: WorkerPlan) -> Self {
        Self { plan, groups: Vec::new() }
    }

    /// The plan of the stale calls alone, where there are any.
    pub fn stale_plan(&self) -> Option<LaunchPlan> {
        let Action::Launch(launch) = &self.plan.action else { return None };
        let groups =
            launch.groups.iter().zip(&self.groups).filter(|(_, out)| !out.stale.is_empty());
        let groups: Vec<_> = groups
            .map(|(group, outcome)| {
                let calls = outcome.stale.iter().map(|(call, _)| call.clone()).collect();
                Group { calls, ..group.clone() }
            })
            .collect();
        (!groups.is_empty()).then(|| LaunchPlan { groups, ..LaunchPlan::clone(launch) })
    }

    /// Takes over what the stale calls came to when they were made again.
    pub fn replace_stale(&mut self, mut again: Self) {
        let stale = self.groups.iter_mut().flat_map(|group| std::mem::take(&mut group.stale));
        let unanswered: Tasks = stale.map(|(_, called)| called.unanswered).sum();
        for group in &mut again.groups {
            // An attempt without an answer may have started what the second try did not get either.
            group.unanswered = group.unanswered.max(unanswered.min(group.missing));
        }
        self.groups.extend(again.groups);
    }

    /// What named instances refused, by size: how many tasks, and the revision that they run.
    pub fn displaced(&self) -> Vec<(Containers, Tasks, RevisionArn)> {
        let mut sizes: BTreeMap<Containers, (Tasks, Option<&RevisionArn>)> = BTreeMap::new();
        for group in &self.groups {
            let (tasks, revision) = sizes.entry(group.containers_per_task).or_default();
            *tasks = tasks.plus(group.displaced);
            // A second try has its own revision, and the first one's is not ACTIVE any more.
            *revision = group.revision.as_ref().or(*revision);
        }
        let there = |(n, (tasks, revision)): (Containers, (Tasks, Option<&RevisionArn>))| {
            (tasks != Tasks::ZERO).then_some((n, tasks, revision?.clone()))
        };
        sizes.into_iter().rev().filter_map(there).collect()
    }

    /// Takes over what became of the tasks that were placed anew. Who refused them is told, and is no
    /// failure any more.
    pub fn replace_displaced(&mut self, again: Self) {
        let Action::Launch(launch) = &again.plan.action else { return };
        for placed in &launch.groups {
            let mut left = placed.tasks();
            let same =
                |group: &&mut GroupOutcome| group.containers_per_task == placed.containers_per_task;
            for group in self.groups.iter_mut().filter(same) {
                let moved = group.displaced.min(left);
                left = left.minus(moved);
                group.give(moved);
            }
        }
        self.groups.extend(again.groups);
    }

    /// Tells what kept a second try from being made.
    pub fn tell(&mut self, error: ReadError) {
        if let Some(group) = self.groups.first_mut() {
            group.errors.push(error);
        }
    }

    /// Where it was to be done, if anywhere.
    pub fn cluster(&self) -> Option<&ClusterName> {
        match &self.plan.action {
            Action::Launch(launch) => Some(&launch.cluster),
            Action::Idle(_) | Action::Hold(_) | Action::Refuse(_) => None,
        }
    }

    /// The tasks that are there by this tick and its repetitions, as they are before ECS shows them,
    /// and the ones that may be.
    pub fn tasks(&self, snapshot: &Snapshot) -> (Vec<Task>, Vec<Task>) {
        let worker = &self.plan.worker;
        let there = self.groups.iter().flat_map(|group| group.tasks(worker, snapshot));
        let presumed = self.groups.iter().flat_map(|group| group.presumed(worker, snapshot));
        (there.collect(), presumed.collect())
    }

    /// Leaves the stale calls at what they came to, and tells what kept them from another try.
    pub fn settle(&mut self, hindrance: Option<&ReadError>) {
        let Action::Launch(plan) = &self.plan.action else { return };
        for group in &mut self.groups {
            group.errors.extend(hindrance.filter(|_| !group.stale.is_empty()).cloned());
            for (_, called) in std::mem::take(&mut group.stale) {
                group.add(called, plan);
            }
        }
    }
}

/// Carries out the plan, worker by worker in the plan's order.
pub async fn act(cloud: &Aws, plan: Plan) -> Vec<Acted> {
    let mut groups = launch_all(cloud, &plan).await;
    let workers = plan.workers.into_iter().enumerate();
    let acted = workers
        .map(|(index, plan)| Acted { plan, groups: groups.remove(&index).unwrap_or_default() });
    acted.collect()
}

async fn launch_all(cloud: &Aws, plan: &Plan) -> BTreeMap<usize, Vec<GroupOutcome>> {
    let common =
        &Common { revisions: Revisions::new(cloud, plan), exhausted: Exhausted::default() };
    let launches = plan.order.iter().filter_map(|index| match &plan.workers.get(*index)?.action {
        Action::Launch(launch) => Some((*index, &**launch)),
        Action::Idle(_) | Action::Hold(_) | Action::Refuse(_) => None,
    });
    let mut outcomes: BTreeMap<_, _> = stream::iter(launches)
        .map(async |(index, plan)| {
            let groups = AssertUnwindSafe(launch(cloud, common, plan)).catch_unwind().await;
            (index, groups.unwrap_or_else(|_| panicked(plan)))
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let mut untidy = common.revisions.retire(cloud).await;
    for group in outcomes.values_mut().flatten() {
        group.untidy = group.revision.as_ref().and_then(|revision| untidy.remove(revision));
    }
    outcomes
}

/// What is known of a worker's launch that panicked: nothing.
fn panicked(launch: &LaunchPlan) -> Vec<GroupOutcome> {
    let groups = launch.groups.iter().map(|group| GroupOutcome {
        revision: Some(match &group.revision {
            Revision::Registered(revision) => revision.clone(),
            // Its number is not known any more; the family tells the size.
            Revision::Derived(variant, _) => RevisionArn(variant.family.to_string()),
        }),
        containers_per_task: group.containers_per_task,
        missing: group.tasks(),
        unanswered: group.tasks(),
        errors: vec![ReadError::Panic],
        ..GroupOutcome::default()
    });
    groups.collect()
}

/// What the workers of a tick share.
struct Common<'a> {
    revisions: Revisions<'a>,
    exhausted: Exhausted,
}

/// Runs a worker's calls. The first goes alone: it names the whole plan, so that of two deliveries
/// of one tick that planned differently only one gets its way, and the other hears of it. It also
/// tells whether there is room, before many are asked for.
async fn launch<'a>(
    cloud: &'a Aws,
    common: &Common<'a>,
    plan: &'a LaunchPlan,
) -> Vec<GroupOutcome> {
    let found = join_all(plan.groups.iter().map(|g| common.revisions.of(&g.revision))).await;
    let mut groups: Vec<_> = plan.groups.iter().zip(found).map(InCharge::new).collect();
    let exhausted = &common.exhausted;
    let run = async |group: &InCharge<'_>, call: &Call| match &group.found {
        Some(found) => Launch { cloud, plan, revision: &found.revision, exhausted }.run(call).await,
        None => Called { missing: call.tasks, out_of_charge: true, ..Called::default() },
    };
    let mut rest = Rest::All;
    if let Some(group) = groups.first_mut()
        && let Some((first, others)) = group.calls.split_first()
    {
        let called = run(group, first).await;
        rest = match &first.way {
            Way::Run(_) | Way::Pin(_, _) => called.rest(),
            Way::Start(_) => called.rest_of_taken(),
        };
        group.calls = others;
        group.outcome.add_or_keep((first, called), plan);
    }
    for (index, group) in groups.iter_mut().enumerate() {
        group.leave(&rest, index == 0);
    }
    join_all(groups.iter().map(async |group| {
        let mut outcome = group.outcome.clone();
        let called = join_all(group.calls.iter().map(async |call| (call, run(group, call).await)));
        for called in called.await {
            outcome.add_or_keep(called, plan);
        }
        outcome
    }))
    .await
}

/// A group whose calls are under way.
struct InCharge<'a> {
    found: Option<Found>,
    calls: &'a [Call],
    outcome: GroupOutcome,
}

impl<'a> InCharge<'a> {
    fn new((group, found): (&'a Group, Result<Found, ReadError>)) -> Self {
        let containers_per_task = group.containers_per_task;
        let mut outcome = GroupOutcome { containers_per_task, ..GroupOutcome::default() };
        if let Revision::Derived(variant, _) = &group.revision {
            let (family, base) = (variant.family.clone(), variant.base.clone());
            outcome.derived = Some(Derived { family, base, digest: variant.digest.clone() });
        }
        match &found {
            Ok(found) => {
                outcome.revision = Some(found.revision.clone());
                outcome.registered = found.superseded != Superseded::NotRegistered;
            }
            Err(error) => outcome.errors.push(error.clone()),
        }
        Self { found: found.ok(), calls: &group.calls, outcome }
    }

    /// What the first call of the worker leaves of the others.
    fn leave(&mut self, rest: &Rest, is_first: bool) {
        match rest {
            Rest::All => return,
            Rest::OtherSizes if !is_first => return,
            Rest::Stale(error) => {
                let of = |call: &Call| (call.clone(), Called::refused(call, error.clone()));
                self.outcome.stale.extend(self.calls.iter().map(of));
            }
            Rest::OtherSizes | Rest::Elsewhere | Rest::None => {
                let not_asked: Tasks = self.calls.iter().map(|call| call.tasks).sum();
                self.outcome.missing = self.outcome.missing.plus(not_asked);
                if *rest == Rest::Elsewhere && self.found.is_some() {
                    self.outcome.displaced = self.outcome.displaced.plus(not_asked);
                }
            }
        }
        self.calls = &[];
    }
}

impl GroupOutcome {
    /// The tasks that are there, as they are before ECS shows them.
    pub fn tasks(&self, worker: &WorkerName, snapshot: &Snapshot) -> Vec<Task> {
        let Some(unseen) = self.unseen(worker, snapshot) else { return Vec::new() };
        let started = self.started.iter().map(|task| {
            let created = task.created.unwrap_or(unseen.created);
            Unseen { created, ..unseen }.task(task.arn.clone(), task.instance.clone())
        });
        let adopted = self.adopted.iter().map(|arn| unseen.task(arn.clone(), None));
        started.chain(adopted).collect()
    }

    /// The ARNs of the tasks that are there.
    pub fn there(&self) -> impl Iterator<Item = &TaskArn> {
        self.started.iter().map(|task| &task.arn).chain(&self.adopted)
    }

    /// How many tasks are there.
    pub fn count(&self) -> Tasks {
        Tasks::counted(self.there().count())
    }

    /// The tasks that a call without an answer may have started.
    fn presumed(&self, worker: &WorkerName, snapshot: &Snapshot) -> Vec<Task> {
        let Some(unseen) = self.unseen(worker, snapshot) else { return Vec::new() };
        unseen.presumed(self.unanswered_places()).collect()
    }

    fn unseen<'a>(&'a self, worker: &'a WorkerName, snapshot: &Snapshot) -> Option<Unseen<'a>> {
        let (created, tick) = (snapshot.now, snapshot.tick.instant());
        Some(Unseen { worker, revision: self.revision.as_ref()?, created, tick })
    }

    /// For each task that may be there, where it may be, if that is known.
    pub fn unanswered_places(&self) -> Vec<Option<InstanceArn>> {
        let count = usize::try_from(self.unanswered.0).unwrap_or(usize::MAX);
        let known = self.unanswered_on.iter().cloned().map(Some);
        known.chain(std::iter::repeat(None)).take(count).collect()
    }

    /// So many of its refused tasks are another group's now.
    fn give(&mut self, moved: Tasks) {
        self.missing = self.missing.minus(moved);
        self.displaced = self.displaced.minus(moved);
        for _ in 0..moved.0 {
            let refusal = self.failures.iter().position(|failure| failure.instance.is_some());
            self.moved.extend(refusal.map(|at| self.failures.remove(at)));
        }
    }

    /// Adds a call, or keeps it apart where another revision may make it good.
    fn add_or_keep(&mut self, (call, called): (&Call, Called), plan: &LaunchPlan) {
        if called.is_stale() {
            self.stale.push((call.clone(), called));
        } else {
            self.add(called, plan);
        }
    }

    /// Adds a call. A task that the snapshot showed already is not what is owed now: ECS repeats
    /// the answer of a repeated token, and the rest is left to the next tick.
    fn add(&mut self, mut called: Called, plan: &LaunchPlan) {
        called.tell_shortage();
        let Called { tasks, adopted, failures, missing, unanswered, error, .. } = called;
        self.displaced = self.displaced.plus(called.displaced);
        self.refused_by.extend(called.refused_by);
        let is_known = |arn: &TaskArn| plan.known.contains(arn);
        let (known, started): (Vec<_>, Vec<_>) =
            tasks.into_iter().partition(|task| is_known(&task.arn));
        let adopted: Vec<_> = known.into_iter().map(|task| task.arn).chain(adopted).collect();
        let not_owed = Tasks::counted(adopted.iter().filter(|task| is_known(task)).count());
        self.missing = self.missing.plus(missing).plus(not_owed);
        self.unanswered = self.unanswered.plus(unanswered);
        self.unanswered_on.extend(called.unanswered_on);
        self.started.extend(started);
        self.adopted.extend(adopted);
        self.failures.extend(failures);
        self.errors.extend(error.map(ReadError::Call));
    }
}
