//! Carries out a plan: finds or registers revisions, then runs tasks in tens. Makes no choices.
//!
//! Each worker is served on its own and keeps its own trouble. Every call is counted by what it
//! placed, never by what it was asked for.

use std::collections::BTreeMap;

use futures_util::future::{BoxFuture, Shared, join, join_all};
use futures_util::{FutureExt, StreamExt, stream};

use crate::aws::{Aws, RunTaskError, RunTasks, Started, TaskFailure};
use crate::plan::{Action, Call, Group, LaunchPlan, Plan, Revision, WorkerPlan};
use crate::snapshot::{CallError, ReadError};
use crate::units::{Containers, Family, RevisionArn, TaskArn, Tasks};
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
    pub started: Vec<TaskArn>,
    /// Tasks that an earlier delivery of this tick had started.
    pub adopted: Vec<TaskArn>,
    /// Tasks that were asked for and are not there.
    pub missing: Tasks,
    /// Why they are not there, as ECS tells it.
    pub failures: Vec<TaskFailure>,
    /// Calls that were refused as a whole.
    pub errors: Vec<ReadError>,
    /// A superseded revision that could not be deregistered: untidy, and no worker's trouble.
    pub untidy: Option<CallError>,
}

impl Acted {
    /// A plan that was not carried out.
    pub fn not(plan: WorkerPlan) -> Self {
        Self { plan, groups: Vec::new() }
    }
}

/// Carries out the plan.
pub async fn act(cloud: &Aws, plan: Plan) -> Vec<Acted> {
    let groups = launch_all(cloud, &plan).await;
    let workers = plan.workers.into_iter().zip(groups);
    workers.map(|(plan, groups)| Acted { plan, groups }).collect()
}

async fn launch_all(cloud: &Aws, plan: &Plan) -> Vec<Vec<GroupOutcome>> {
    let revisions = &Revisions::new(cloud, plan);
    stream::iter(&plan.workers)
        .map(async |plan| match &plan.action {
            Action::Launch(plan) => {
                let groups = plan.groups.iter();
                join_all(groups.map(|group| launch_group(cloud, revisions, (plan, group)))).await
            }
            Action::Idle(_) | Action::Hold(_) | Action::Refuse(_) => Vec::new(),
        })
        .buffered(AT_ONCE)
        .collect()
        .await
}

async fn launch_group(
    cloud: &Aws,
    revisions: &Revisions<'_>,
    (plan, group): (&LaunchPlan, &Group),
) -> GroupOutcome {
    let mut outcome =
        GroupOutcome { containers_per_task: group.containers_per_task, ..GroupOutcome::default() };
    let found = match revisions.of(&group.revision).await {
        Ok(found) => found,
        Err(error) => {
            outcome.errors.push(error);
            outcome.missing = group.tasks();
            return outcome;
        }
    };
    let calls = group.calls.iter().map(|call| run(cloud, plan, &found.revision, call));
    let (all_called, untidy) = join(join_all(calls), found.retired()).await;
    for called in all_called {
        outcome.add(called, plan);
    }
    outcome.untidy = untidy;
    outcome.revision = Some(found.revision);
    outcome.registered = found.registered;
    outcome
}

/// A revision that can be run.
#[derive(Clone, Debug)]
struct Found<'a> {
    revision: RevisionArn,
    registered: bool,
    /// Deregisters the revision that this one supersedes, once for all who wait for it. It gives
    /// what went wrong.
    retiring: Option<Shared<BoxFuture<'a, Option<CallError>>>>,
}

impl Found<'_> {
    fn existing(revision: &RevisionArn) -> Self {
        Self { revision: revision.clone(), registered: false, retiring: None }
    }

    async fn retired(&self) -> Option<CallError> {
        self.retiring.clone()?.await
    }
}

type Finding<'a> = Shared<BoxFuture<'a, Result<Found<'a>, ReadError>>>;

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
            (key, find_or_register(cloud, variant).boxed().shared())
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
/// The one that it supersedes is retired while tasks are started; a crash before that leaves it
/// ACTIVE, which costs nothing.
async fn find_or_register<'a>(cloud: &'a Aws, variant: &Variant) -> Result<Found<'a>, ReadError> {
    let newest = cloud.read.newest_revision(&variant.family).await?;
    if let Some(found) = newest.as_ref().filter(|r| r.tag(DIGEST_TAG) == Some(&variant.digest)) {
        return Ok(Found::existing(&found.arn));
    }
    let revision = cloud.write.register(variant).await?;
    let retiring = newest.map(|superseded| {
        let retire = async move { cloud.write.deregister(&superseded.arn).await.err() };
        retire.boxed().shared()
    });
    Ok(Found { revision, registered: true, retiring })
}

/// What one planned call came to, over all rungs of the ladder.
#[derive(Default)]
struct Called {
    tasks: Vec<TaskArn>,
    adopted: Vec<TaskArn>,
    failures: Vec<TaskFailure>,
    missing: Tasks,
    error: Option<CallError>,
}

/// Runs a call's tasks; what a rung does not place is tried on the next, with that rung's token.
async fn run(cloud: &Aws, plan: &LaunchPlan, revision: &RevisionArn, call: &Call) -> Called {
    let mut called = Called { missing: call.tasks, ..Called::default() };
    for (rung, token) in plan.launch.rungs.iter().zip(&call.tokens) {
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
        match cloud.write.run_tasks(run).await {
            Ok(Started { tasks, failures }) => {
                called.missing = called.missing.minus(Tasks::counted(tasks.len()));
                called.tasks.extend(tasks);
                called.failures.extend(failures);
            }
            Err(RunTaskError::Conflict(tasks)) => {
                called.missing = called.missing.minus(Tasks::counted(tasks.len()));
                called.adopted.extend(tasks);
                // An earlier delivery went down this ladder; how far, ECS does not tell.
                break;
            }
            Err(RunTaskError::Call(error)) => {
                called.error = Some(error);
                break;
            }
        }
        if called.missing == Tasks::ZERO {
            break;
        }
    }
    called
}

impl GroupOutcome {
    /// Adds a call. A task that the snapshot showed already is not what is owed now: ECS repeats
    /// the answer of a repeated token, and the rest is left to the next tick.
    fn add(&mut self, called: Called, plan: &LaunchPlan) {
        let Called { tasks, adopted, failures, missing, error } = called;
        let is_known = |task: &TaskArn| plan.known.contains(task);
        let (known, started): (Vec<_>, Vec<_>) = tasks.into_iter().partition(is_known);
        let adopted: Vec<_> = known.into_iter().chain(adopted).collect();
        let not_owed = Tasks::counted(adopted.iter().filter(|task| is_known(task)).count());
        self.missing = self.missing.plus(missing).plus(not_owed);
        self.started.extend(started);
        self.adopted.extend(adopted);
        self.failures.extend(failures);
        self.errors.extend(error.map(ReadError::Call));
    }
}
