//! Carries out a plan: finds or registers revisions, then runs tasks in tens. Makes no choice of policy.
//!
//! Each worker is served on its own and keeps its own failure, a panic too. Every call is counted by
//! what it placed, never by what it was asked for.

mod call;
mod draining;
mod revisions;
mod smaller;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;

use decision::decide::DisplacedTasks;
use decision::outcome::{Derived, GroupOutcome, WorkerOutcome};
use decision::plan::{
    Action, Call, Group, LaunchPlan, Plan, Revision, TaskOverrides, Way, WorkerPlan,
};
use decision::snapshot::ReadError;
use decision::units::{Containers, RevisionArn, TaskArn, Tasks};
use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt, stream};

use self::call::{Called, Exhausted, Launch, Rest};
pub use self::draining::{
    AnswerOutcome, DrainCalls, DrainOutcome, StopOutcome, answer, drain, stop,
};
use self::revisions::{Found, Revisions, Superseded};
use crate::aws::Aws;

/// Workers served at once.
const AT_ONCE: usize = 64;

/// What came of one worker's plan so far. Of what is open, a second try may make something.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// The plan that was carried out.
    pub plan: WorkerPlan,
    /// What came of each of its groups; empty where nothing was to be launched.
    pub groups: Vec<GroupAttempt>,
}

/// What came of the tasks of a group so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupAttempt {
    /// What is done.
    pub done: GroupOutcome,
    /// Calls that started nothing because ECS refused their revision, as it does when somebody has
    /// replaced it since it was read. They are not in what is done.
    pub stale: Vec<StaleCall>,
    /// Tasks that named instances refused, and others may take. In what is done, they are missing.
    pub displaced: Tasks,
}

/// A call whose revision ECS refused.
#[derive(Clone, Debug, PartialEq)]
pub struct StaleCall {
    /// What was planned.
    call: Call,
    /// What it came to.
    called: Called,
}

impl Attempt {
    /// The plan of the stale calls alone, where there are any.
    pub fn stale_plan(&self) -> Option<LaunchPlan> {
        let Action::Launch(launch) = &self.plan.action else { return None };
        let groups =
            launch.groups.iter().zip(&self.groups).filter(|(_, group)| !group.stale.is_empty());
        let groups: Vec<_> = groups
            .map(|(group, attempt)| {
                let calls = attempt.stale.iter().map(|stale| stale.call.clone()).collect();
                Group { calls, ..group.clone() }
            })
            .collect();
        let smaller = None;
        (!groups.is_empty()).then(|| LaunchPlan { groups, smaller, ..LaunchPlan::clone(launch) })
    }

    /// Takes over what the stale calls came to when they were made again.
    pub fn replace_stale(&mut self, mut again: Self) {
        let stale = self.groups.iter_mut().flat_map(|group| std::mem::take(&mut group.stale));
        let unanswered: Tasks = stale.map(|stale| stale.called.unanswered).sum();
        for GroupAttempt { done, .. } in &mut again.groups {
            // An attempt without an answer may have started what the second try did not get either.
            done.unanswered = done.unanswered.max(unanswered.min(done.missing));
        }
        self.groups.extend(again.groups);
    }

    /// What named instances refused, the largest tasks first.
    pub fn displaced(&self) -> Vec<DisplacedTasks> {
        let mut groups: BTreeMap<Containers, (Tasks, Option<&RevisionArn>)> = BTreeMap::new();
        for GroupAttempt { done, displaced, .. } in &self.groups {
            let (tasks, revision) = groups.entry(done.containers_per_task).or_default();
            *tasks = tasks.plus(*displaced);
            // A second try has its own revision, and the first one's is not ACTIVE any more.
            *revision = done.revision.as_ref().or(*revision);
        }
        let groups = groups.into_iter().rev().filter(|(_, (tasks, _))| *tasks != Tasks::ZERO);
        groups
            .filter_map(|(containers_per_task, (tasks, revision))| {
                Some(DisplacedTasks { containers_per_task, tasks, revision: revision?.clone() })
            })
            .collect()
    }

    /// Takes over what became of the tasks that were placed anew. Who refused them is reported, and is no
    /// failure any more.
    pub fn replace_displaced(&mut self, again: Self) {
        let Action::Launch(launch) = &again.plan.action else { return };
        for placed in &launch.groups {
            let mut left = placed.tasks();
            let same = |group: &&mut GroupAttempt| {
                group.done.containers_per_task == placed.containers_per_task
            };
            for group in self.groups.iter_mut().filter(same) {
                let moved = group.displaced.min(left);
                left = left.minus(moved);
                group.give(moved);
            }
        }
        self.groups.extend(again.groups);
    }

    /// Reports what kept a second try from being made.
    pub fn report(&mut self, error: ReadError) {
        if let Some(group) = self.groups.first_mut() {
            group.done.errors.push(error);
        }
    }

    /// Leaves the stale calls at what they came to, and reports what kept them from another try.
    pub fn settle(&mut self, hindrance: Option<&ReadError>) {
        let Action::Launch(plan) = &self.plan.action else { return };
        for group in &mut self.groups {
            group.done.errors.extend(hindrance.filter(|_| !group.stale.is_empty()).cloned());
            for StaleCall { called, .. } in std::mem::take(&mut group.stale) {
                group.add(called, plan);
            }
        }
    }

    /// Leaves everything at what it came to.
    pub fn close(mut self) -> WorkerOutcome {
        self.settle(None);
        let groups = self.groups.into_iter().map(|group| group.done).collect();
        WorkerOutcome { plan: self.plan, groups }
    }
}

impl From<GroupOutcome> for GroupAttempt {
    /// One of which nothing is open.
    fn from(done: GroupOutcome) -> Self {
        Self { done, ..Self::default() }
    }
}

impl GroupAttempt {
    /// So many of its refused tasks are another group's now.
    fn give(&mut self, moved: Tasks) {
        self.displaced = self.displaced.minus(moved);
        let done = &mut self.done;
        done.missing = done.missing.minus(moved);
        for _ in 0..moved.0 {
            let refusal = done.failures.iter().position(|failure| failure.instance.is_some());
            done.moved.extend(refusal.map(|at| done.failures.remove(at)));
        }
    }

    /// Adds a call, or keeps it apart where another revision may make it good.
    fn add_or_keep(&mut self, call: &Call, called: Called, plan: &LaunchPlan) {
        if called.is_stale() {
            self.stale.push(StaleCall { call: call.clone(), called });
        } else {
            self.add(called, plan);
        }
    }

    /// Adds a call. A task that the snapshot showed already is not what is owed now: ECS repeats
    /// the answer of a repeated token, and the rest is left to the next tick.
    fn add(&mut self, mut called: Called, plan: &LaunchPlan) {
        called.report_shortage();
        self.displaced = self.displaced.plus(called.displaced);
        let Called { tasks, adopted, failures, missing, unanswered, error, .. } = called;
        let done = &mut self.done;
        done.refused_by.extend(called.refused_by);
        let is_known = |arn: &TaskArn| plan.known.contains(arn);
        let (known, started): (Vec<_>, Vec<_>) =
            tasks.into_iter().partition(|task| is_known(&task.arn));
        let adopted: Vec<_> = known.into_iter().map(|task| task.arn).chain(adopted).collect();
        let not_owed = Tasks::counted(adopted.iter().filter(|task| is_known(task)).count());
        done.missing = done.missing.plus(missing).plus(not_owed);
        done.unanswered = done.unanswered.plus(unanswered);
        done.unanswered_on.extend(called.unanswered_on);
        done.started.extend(started);
        done.adopted.extend(adopted);
        done.failures.extend(failures);
        done.errors.extend(error.map(ReadError::Call));
    }
}

/// Carries out plans of one tick. What a plan has met of a quota, the next one knows.
pub struct Executor<'a> {
    /// What the calls go to.
    pub cloud: &'a Aws,
    exhausted: Exhausted,
}

impl<'a> Executor<'a> {
    /// One that knows of no quota.
    pub fn new(cloud: &'a Aws) -> Self {
        Self { cloud, exhausted: Exhausted::default() }
    }

    /// Carries out the plan, worker by worker in the plan's order.
    pub async fn act(&self, plan: Plan) -> Vec<Attempt> {
        let mut groups = launch_all(self, &plan).await;
        let workers = plan.workers.into_iter().enumerate();
        let attempts = workers.map(|(index, plan)| Attempt {
            plan,
            groups: groups.remove(&index).unwrap_or_default(),
        });
        attempts.collect()
    }
}

async fn launch_all(executor: &Executor<'_>, plan: &Plan) -> BTreeMap<usize, Vec<GroupAttempt>> {
    let cloud = executor.cloud;
    let common = &Common { revisions: Revisions::new(cloud, plan), exhausted: &executor.exhausted };
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
        let revision = group.done.revision.as_ref();
        group.done.untidy = revision.and_then(|revision| untidy.remove(revision));
    }
    outcomes
}

/// What is known of a worker's launch that panicked: nothing.
fn panicked(launch: &LaunchPlan) -> Vec<GroupAttempt> {
    let groups = launch.groups.iter().map(|group| GroupOutcome {
        revision: Some(match &group.revision {
            Revision::Registered(revision) => revision.clone(),
            // Its number is not known any more; the family says how many containers a task has.
            Revision::Derived(variant, _) => RevisionArn(variant.family.to_string()),
        }),
        containers_per_task: group.containers_per_task,
        missing: group.tasks(),
        unanswered: group.tasks(),
        errors: vec![ReadError::Panic],
        ..GroupOutcome::default()
    });
    groups.map(GroupAttempt::from).collect()
}

/// What the workers of a tick share.
struct Common<'a> {
    revisions: Revisions<'a>,
    exhausted: &'a Exhausted,
}

/// Runs a worker's calls. The first goes alone: it names the whole plan, so that of two deliveries
/// of one tick that planned differently only one gets its way, and the other hears of it. It also
/// shows whether there is room, before many are asked for.
async fn launch<'a>(
    cloud: &'a Aws,
    common: &Common<'a>,
    plan: &'a LaunchPlan,
) -> Vec<GroupAttempt> {
    let found = join_all(plan.groups.iter().map(|g| common.revisions.of(&g.revision))).await;
    let groups = plan.groups.iter().zip(found);
    let mut groups: Vec<_> = groups.map(|(group, found)| OpenGroup::new(group, found)).collect();
    let exhausted = common.exhausted;
    let run = async |group: &OpenGroup<'_>, call: &Call| match &group.found {
        Some(found) => {
            let (revision, overrides) = (&found.revision, group.overrides);
            Launch { cloud, plan, revision, overrides, exhausted }.run(call).await
        }
        None => Called { missing: call.tasks, lost_tick: true, ..Called::default() },
    };
    let mut rest = Rest::All;
    let mut lost = false;
    if let Some(group) = groups.first_mut()
        && let Some((first, others)) = group.calls.split_first()
    {
        let called = run(group, first).await;
        lost = called.lost_tick && group.found.is_some();
        rest = rest_after(&called, &first.way);
        group.calls = others;
        group.attempt.add_or_keep(first, called, plan);
    }
    for (index, group) in groups.iter_mut().enumerate() {
        group.leave(&rest, index == 0);
    }
    let first_was_made = groups.first().is_some_and(|group| group.found.is_some());
    let done = join_all(groups.iter().map(async |group| {
        let mut attempt = group.attempt.clone();
        let called = join_all(group.calls.iter().map(async |call| (call, run(group, call).await)));
        let mut lost = false;
        for (call, called) in called.await {
            lost |= called.lost_tick && group.found.is_some();
            attempt.add_or_keep(call, called, plan);
        }
        (attempt, lost)
    }))
    .await;
    lost |= done.iter().any(|(_, lost)| *lost);
    let mut attempts: Vec<_> = done.into_iter().map(|(attempt, _)| attempt).collect();
    let may_go_on = matches!(rest, Rest::All | Rest::OtherGroups) || !first_was_made;
    if may_go_on && !lost {
        let claim = (!first_was_made).then(|| plan.groups.first()?.calls.first()).flatten();
        smaller::fall_back(Launching { cloud, common, plan }, claim, &mut attempts).await;
    }
    attempts
}

/// What the first call leaves of the others.
fn rest_after(called: &Called, way: &Way) -> Rest {
    match way {
        Way::Run(_) | Way::Pin(_, _) => called.rest(),
        Way::Start(_) => called.rest_of_taken(),
    }
}

/// A launch that is carried out.
#[derive(Clone, Copy)]
struct Launching<'b, 'a> {
    cloud: &'b Aws,
    common: &'b Common<'a>,
    plan: &'b LaunchPlan,
}

/// A group whose calls are under way.
struct OpenGroup<'a> {
    found: Option<Found>,
    overrides: Option<&'a TaskOverrides>,
    calls: &'a [Call],
    attempt: GroupAttempt,
}

impl<'a> OpenGroup<'a> {
    fn new(group: &'a Group, found: Result<Found, ReadError>) -> Self {
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
                outcome.left_out.clone_from(&found.left_out);
            }
            Err(error) => outcome.errors.push(error.clone()),
        }
        let overrides = group.overrides.as_ref();
        Self { found: found.ok(), overrides, calls: &group.calls, attempt: outcome.into() }
    }

    /// What the first call of the worker leaves of the others.
    fn leave(&mut self, rest: &Rest, is_first: bool) {
        match rest {
            Rest::All => return,
            Rest::OtherGroups if !is_first => return,
            Rest::Stale(error) => {
                let stale = |call: &Call| {
                    let called = Called::refused(call, error.clone());
                    StaleCall { call: call.clone(), called }
                };
                self.attempt.stale.extend(self.calls.iter().map(stale));
            }
            Rest::OtherGroups | Rest::Elsewhere | Rest::None => {
                let not_called: Tasks = self.calls.iter().map(|call| call.tasks).sum();
                let GroupAttempt { done, displaced, .. } = &mut self.attempt;
                done.missing = done.missing.plus(not_called);
                if *rest == Rest::Elsewhere && self.found.is_some() {
                    *displaced = displaced.plus(not_called);
                }
            }
        }
        self.calls = &[];
    }
}
