//! Carries out a plan: finds or registers revisions, then runs tasks in tens. Makes no choices.
//!
//! Each worker is served on its own and keeps its own trouble. Every call is counted by what it
//! placed, never by what it was asked for.

use futures_util::future::join_all;
use futures_util::{StreamExt, stream};

use crate::aws::{Aws, RunTaskError, RunTasks, Started, TaskFailure};
use crate::plan::{Action, Call, Group, LaunchPlan, Plan, Revision, WorkerPlan};
use crate::snapshot::{CallError, ReadError};
use crate::units::{Containers, RevisionArn, TaskArn, Tasks};
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
    stream::iter(plan.workers)
        .map(async |plan| {
            let groups = match &plan.action {
                Action::Launch(launch) => {
                    join_all(launch.groups.iter().map(|group| launch_group(cloud, launch, group)))
                        .await
                }
                Action::Idle(_) | Action::Hold(_) | Action::Refuse(_) => Vec::new(),
            };
            Acted { plan, groups }
        })
        .buffered(AT_ONCE)
        .collect()
        .await
}

async fn launch_group(cloud: &Aws, plan: &LaunchPlan, group: &Group) -> GroupOutcome {
    let mut outcome =
        GroupOutcome { containers_per_task: group.containers_per_task, ..GroupOutcome::default() };
    let revision = match &group.revision {
        Revision::Base(revision) => Ok(revision.clone()),
        Revision::Derived(variant) => find_or_register(cloud, variant, &mut outcome).await,
    };
    let revision = match revision {
        Ok(revision) => revision,
        Err(error) => {
            outcome.errors.push(error);
            outcome.missing = group.tasks();
            return outcome;
        }
    };
    for called in join_all(group.calls.iter().map(|call| run(cloud, plan, &revision, call))).await {
        outcome.add(called, plan);
    }
    outcome.revision = Some(revision);
    outcome
}

/// The revision of this very content: the family's newest if its digest says so, else a new one,
/// after which the one that it replaces is deregistered. A crash between the two leaves a revision
/// that the next tick finds.
async fn find_or_register(
    cloud: &Aws,
    variant: &Variant,
    outcome: &mut GroupOutcome,
) -> Result<RevisionArn, ReadError> {
    let newest = cloud.read.newest_revision(&variant.family).await?;
    if let Some(found) = newest.as_ref().filter(|r| r.tag(DIGEST_TAG) == Some(&variant.digest)) {
        return Ok(found.arn.clone());
    }
    let revision = cloud.write.register(variant).await?;
    outcome.registered = true;
    if let Some(superseded) = newest {
        outcome.untidy = cloud.write.deregister(&superseded.arn).await.err();
    }
    Ok(revision)
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
                called.missing = called.missing.minus(count(&tasks));
                called.tasks.extend(tasks);
                called.failures.extend(failures);
            }
            Err(RunTaskError::Conflict(tasks)) => {
                called.missing = called.missing.minus(count(&tasks));
                called.adopted.extend(tasks);
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

fn count(tasks: &[TaskArn]) -> Tasks {
    Tasks(u32::try_from(tasks.len()).unwrap_or(u32::MAX))
}

impl GroupOutcome {
    /// Adds a call. A task that the snapshot showed already was not started now: ECS repeats the
    /// answer of a repeated token.
    fn add(&mut self, called: Called, plan: &LaunchPlan) {
        let (known, new): (Vec<_>, Vec<_>) =
            called.tasks.into_iter().partition(|task| plan.known.contains(task));
        self.started.extend(new);
        self.adopted.extend(known);
        self.adopted.extend(called.adopted);
        self.failures.extend(called.failures);
        self.missing = self.missing.plus(called.missing);
        self.errors.extend(called.error.map(ReadError::Call));
    }
}
