//! Carries out a plan: finds or registers revisions, then runs tasks in tens. Makes no choices.
//!
//! Each worker is served on its own and keeps its own trouble, a panic too. Every call is counted by
//! what it placed, never by what it was asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, PoisonError};

use futures_util::future::{LocalBoxFuture, Shared, join, join_all};
use futures_util::{FutureExt, StreamExt, stream};

use crate::aws::{Aws, RunTaskError, RunTasks, Started, StartedTask, TaskFailure};
use crate::config::Rung;
use crate::definition::TaskDefinition;
use crate::plan::{Action, Call, Group, LaunchPlan, Plan, Revision, WorkerPlan};
use crate::shortage::Shortage;
use crate::snapshot::{CallError, ReadError, Trouble};
use crate::units::{ClusterName, Containers, Family, RevisionArn, TaskArn, Tasks};
use crate::variant::{DIGEST_TAG, Variant};

/// Workers served at once.
const AT_ONCE: usize = 32;

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
    /// Of these, the ones that may be there all the same: the call's answer is missing.
    pub unanswered: Tasks,
    /// Why they are not there, as ECS tells it.
    pub failures: Vec<TaskFailure>,
    /// Calls that were refused as a whole.
    pub errors: Vec<ReadError>,
    /// Superseded revisions that could not be deregistered: untidy, and no worker's trouble.
    pub untidy: Vec<CallError>,
}

impl Acted {
    /// A plan that was not carried out.
    pub fn not(plan: WorkerPlan) -> Self {
        Self { plan, groups: Vec::new() }
    }

    /// Whether ECS refused to run a revision, as it does when somebody has replaced it since it
    /// was read.
    pub fn may_be_stale(&self) -> bool {
        let errors = self.groups.iter().flat_map(|group| &group.errors);
        errors.into_iter().any(|error| {
            matches!(error, ReadError::Call(error) if error.operation == "RunTask"
                && matches!(error.code.as_deref(), Some("ClientException" | "InvalidParameterException")))
        })
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
    stream::iter(launches)
        .map(async |(index, plan)| {
            let groups = AssertUnwindSafe(launch(cloud, common, plan)).catch_unwind().await;
            (index, groups.unwrap_or_else(|_| panicked(plan)))
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await
}

/// What is known of a worker's launch that panicked: nothing.
fn panicked(launch: &LaunchPlan) -> Vec<GroupOutcome> {
    let groups = launch.groups.iter().map(|group| GroupOutcome {
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

/// Capacity that met a quota of the account in this tick: asking again would only meet it again.
#[derive(Default)]
struct Exhausted(Mutex<BTreeSet<(ClusterName, Rung)>>);

impl Exhausted {
    fn has(&self, cluster: &ClusterName, rung: &Rung) -> bool {
        let exhausted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        exhausted.contains(&(cluster.clone(), rung.clone()))
    }

    fn add(&self, cluster: &ClusterName, rung: &Rung) {
        let mut exhausted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        exhausted.insert((cluster.clone(), rung.clone()));
    }
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
        Ok(found) => Launch { cloud, plan, revision: &found.revision, exhausted }.run(call).await,
        Err(_) => Called { missing: call.tasks, ..Called::default() },
    };
    let mut rest = Rest::All;
    if let Some(group) = groups.first_mut()
        && let Some((first, others)) = group.calls.split_first()
    {
        let called = run(group, first).await;
        rest = called.rest();
        group.calls = others;
        group.outcome.add(called, plan);
    }
    for (index, group) in groups.iter_mut().enumerate() {
        if rest == Rest::None || (rest == Rest::OtherSizes && index == 0) {
            let not_asked: Tasks = group.calls.iter().map(|call| call.tasks).sum();
            group.outcome.missing = group.outcome.missing.plus(not_asked);
            group.calls = &[];
        }
    }
    join_all(groups.iter().map(async |group| {
        let calls = join_all(group.calls.iter().map(|call| run(group, call)));
        let (called, untidy) = join(calls, group.retired()).await;
        let mut outcome = group.outcome.clone();
        for called in called {
            outcome.add(called, plan);
        }
        outcome.untidy = untidy;
        outcome
    }))
    .await
}

/// What is asked for after the first call of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    All,
    /// There was no room for one task of this size.
    OtherSizes,
    /// Another delivery of the tick is in charge, or may be.
    None,
}

/// A group whose calls are under way.
struct InCharge<'a> {
    found: Result<Found<'a>, ReadError>,
    calls: &'a [Call],
    outcome: GroupOutcome,
}

impl<'a> InCharge<'a> {
    fn new((group, found): (&'a Group, Result<Found<'a>, ReadError>)) -> Self {
        let mut outcome = GroupOutcome {
            containers_per_task: group.containers_per_task,
            ..GroupOutcome::default()
        };
        match &found {
            Ok(found) => {
                outcome.revision = Some(found.revision.clone());
                outcome.registered = found.registered;
            }
            Err(error) => outcome.errors.push(error.clone()),
        }
        Self { found, calls: &group.calls, outcome }
    }

    async fn retired(&self) -> Vec<CallError> {
        match &self.found {
            Ok(found) => found.retired().await,
            Err(_) => Vec::new(),
        }
    }
}

/// A revision that can be run.
#[derive(Clone, Debug)]
struct Found<'a> {
    revision: RevisionArn,
    registered: bool,
    /// Deregisters the revisions that this one supersedes, once for all who wait for it. It gives
    /// what went wrong.
    retiring: Option<Shared<LocalBoxFuture<'a, Vec<CallError>>>>,
}

impl Found<'_> {
    fn existing(revision: &RevisionArn) -> Self {
        Self { revision: revision.clone(), registered: false, retiring: None }
    }

    async fn retired(&self) -> Vec<CallError> {
        match self.retiring.clone() {
            Some(retiring) => retiring.await,
            None => Vec::new(),
        }
    }
}

type Finding<'a> = Shared<LocalBoxFuture<'a, Result<Found<'a>, ReadError>>>;

/// The revisions that a plan needs, each found once: two workers may share one.
struct Revisions<'a>(BTreeMap<(&'a Family, &'a str), Finding<'a>>);

impl<'a> Revisions<'a> {
    fn new(cloud: &'a Aws, plan: &'a Plan) -> Self {
        let groups = plan.workers.iter().flat_map(|plan| match &plan.action {
            Action::Launch(plan) => plan.groups.as_slice(),
            Action::Idle(_) | Action::Hold(_) | Action::Refuse(_) => &[],
        });
        let variants = groups.filter_map(|group| match &group.revision {
            Revision::Base(_) => None,
            Revision::Derived(variant) => Some(&**variant),
        });
        let finding = |variant: &'a Variant| {
            let key = (&variant.family, variant.digest.as_str());
            (key, find_or_register(cloud, variant).boxed_local().shared())
        };
        Self(variants.map(finding).collect())
    }

    async fn of(&self, revision: &Revision) -> Result<Found<'a>, ReadError> {
        let finding = match revision {
            Revision::Base(base) => return Ok(Found::existing(base)),
            Revision::Derived(variant) => self.0.get(&(&variant.family, variant.digest.as_str())),
        };
        match finding {
            Some(finding) => finding.clone().await,
            None => Err(ReadError::Answer {
                operation: "DescribeTaskDefinition",
                what: format!("{revision} is not of this plan"),
            }),
        }
    }
}

/// The revision of this very content: the family's newest if its digest says so, else a new one.
/// The one that it supersedes is retired while tasks are started.
async fn find_or_register<'a>(cloud: &'a Aws, variant: &Variant) -> Result<Found<'a>, ReadError> {
    let newest = cloud.read.newest_revision(&variant.family).await?;
    if let Some(found) = newest.as_ref().filter(|found| is_of(variant, found)) {
        return Ok(Found::existing(&found.arn));
    }
    let revision = match cloud.write.register(variant).await {
        // It may have been made: there is no token that would make a second call the same.
        Err(error) if error.trouble == Trouble::Unanswered => {
            let newest = cloud.read.newest_revision(&variant.family).await?;
            newest.filter(|found| is_of(variant, found)).ok_or(error)?.arn
        }
        registered => registered?,
    };
    let retiring = newest.map(|superseded| retire(cloud, superseded.arn).boxed_local().shared());
    Ok(Found { revision, registered: true, retiring })
}

fn is_of(variant: &Variant, found: &TaskDefinition) -> bool {
    found.tag(DIGEST_TAG) == Some(&variant.digest)
}

/// Deregisters a superseded revision, and the one before it: a crash between a registration and
/// this leaves one ACTIVE, until the next change of the definition takes it away here.
async fn retire(cloud: &Aws, superseded: RevisionArn) -> Vec<CallError> {
    let retired = cloud.write.deregister(&superseded).await;
    if let Some(before) = superseded.before() {
        // Mostly it is INACTIVE already.
        drop(cloud.write.deregister(&before).await);
    }
    retired.err().into_iter().collect()
}

/// What one planned call came to, over all rungs of the ladder.
#[derive(Default)]
struct Called {
    tasks: Vec<StartedTask>,
    adopted: Vec<TaskArn>,
    failures: Vec<TaskFailure>,
    missing: Tasks,
    unanswered: Tasks,
    /// Another delivery of the tick has made this call with another plan.
    conflict: bool,
    error: Option<CallError>,
}

/// What all calls of a group have in common.
struct Launch<'a> {
    cloud: &'a Aws,
    plan: &'a LaunchPlan,
    revision: &'a RevisionArn,
    exhausted: &'a Exhausted,
}

/// Whether a call goes on to the next rung of the ladder.
enum Next {
    Rung,
    End,
}

impl Launch<'_> {
    /// Runs a call's tasks; what a rung does not place is tried on the next, with that rung's token.
    async fn run(&self, call: &Call) -> Called {
        let Self { cloud, plan, revision, exhausted } = *self;
        let mut called = Called { missing: call.tasks, ..Called::default() };
        for (rung, token) in plan.launch.rungs.iter().zip(&call.tokens) {
            // The first call asks all the same: whose token it is, has the tick.
            if call.number != 0 && exhausted.has(&plan.cluster, rung) {
                called.not_asked();
                continue;
            }
            let run = RunTasks {
                cluster: &plan.cluster,
                revision,
                count: called.missing,
                token,
                marks: &plan.marks,
                launch: &plan.launch,
                network_mode: plan.network_mode,
                rung,
            };
            let answer = cloud.write.run_tasks(run).await;
            if is_quota(&answer) {
                exhausted.add(&plan.cluster, rung);
            }
            if let Next::End = called.add(answer) {
                break;
            }
        }
        called
    }
}

/// Whether an answer says that the account's quota is reached.
fn is_quota(answer: &Result<Started, RunTaskError>) -> bool {
    let of = |reason: &str, detail| Shortage::of(reason, detail) == Shortage::Quota;
    match answer {
        Ok(started) => started.failures.iter().any(|f| of(&f.reason, f.detail.as_deref())),
        Err(RunTaskError::Call(error)) if error.trouble == Trouble::Refused => {
            of(error.code.as_deref().unwrap_or_default(), Some(&error.message))
        }
        Err(_) => false,
    }
}

impl Called {
    fn rest(&self) -> Rest {
        if self.conflict || Tasks::ZERO < self.unanswered {
            Rest::None
        } else if self.tasks.is_empty() {
            Rest::OtherSizes
        } else {
            Rest::All
        }
    }

    fn add(&mut self, answer: Result<Started, RunTaskError>) -> Next {
        match answer {
            Ok(Started { tasks, failures }) => {
                self.missing = self.missing.minus(Tasks::counted(tasks.len()));
                self.tasks.extend(tasks);
                self.failures.extend(failures);
                self.error = None;
                if self.missing == Tasks::ZERO { Next::End } else { Next::Rung }
            }
            Err(RunTaskError::Conflict(tasks)) => {
                self.missing = self.missing.minus(Tasks::counted(tasks.len()));
                self.adopted.extend(tasks);
                self.conflict = true;
                // An earlier delivery went down this ladder; how far, ECS does not tell.
                Next::End
            }
            Err(RunTaskError::Call(error)) => {
                // Only where nothing can have been started may another rung start it.
                let next = match error.trouble {
                    Trouble::Refused => Next::Rung,
                    Trouble::Later | Trouble::OutOfTime => Next::End,
                    Trouble::Unanswered => {
                        self.unanswered = self.missing;
                        Next::End
                    }
                };
                self.error = Some(error);
                next
            }
        }
    }

    fn not_asked(&mut self) {
        let failure = TaskFailure {
            reason: "quota".to_owned(),
            detail: Some("not asked: an earlier call of this tick met it".to_owned()),
        };
        self.failures.extend((0..self.missing.0).map(|_| failure.clone()));
    }
}

impl GroupOutcome {
    /// Adds a call. A task that the snapshot showed already is not what is owed now: ECS repeats
    /// the answer of a repeated token, and the rest is left to the next tick.
    fn add(&mut self, called: Called, plan: &LaunchPlan) {
        let Called { tasks, adopted, failures, missing, unanswered, conflict: _, error } = called;
        let is_known = |arn: &TaskArn| plan.known.contains(arn);
        let (known, started): (Vec<_>, Vec<_>) =
            tasks.into_iter().partition(|task| is_known(&task.arn));
        let adopted: Vec<_> = known.into_iter().map(|task| task.arn).chain(adopted).collect();
        let not_owed = Tasks::counted(adopted.iter().filter(|task| is_known(task)).count());
        self.missing = self.missing.plus(missing).plus(not_owed);
        self.unanswered = self.unanswered.plus(unanswered);
        self.started.extend(started);
        self.adopted.extend(adopted);
        self.failures.extend(failures);
        self.errors.extend(error.map(ReadError::Call));
    }
}
