//! What came of a plan, when nothing of it is open any more.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::plan::WorkerPlan;
use crate::refusal::Cause;
use crate::snapshot::{CallError, ReadError, Snapshot, Task, Unseen};
use crate::units::{
    ClusterName, Containers, Family, InstanceArn, RevisionArn, TaskArn, Tasks, WorkerName,
};

/// What came of one worker's plan.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerOutcome {
    /// The plan that was carried out.
    pub plan: WorkerPlan,
    /// What came of each of its groups; empty where nothing was to be launched. A second try adds its
    /// own.
    pub groups: Vec<GroupOutcome>,
}

/// What came of the tasks of a group.
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
    /// Members of the base that ECS would not register.
    pub left_out: Vec<String>,
    /// Tasks that this tick started.
    pub started: Vec<StartedTask>,
    /// Tasks that an earlier delivery of this tick had started.
    pub adopted: Vec<TaskArn>,
    /// Tasks that were asked for and are not there.
    pub missing: Tasks,
    /// Of these, the ones that may be there all the same: the call's answer is missing.
    pub unanswered: Tasks,
    /// Where some of these may be.
    pub unanswered_on: Vec<InstanceArn>,
    /// Instances that refused a task.
    pub refused_by: BTreeSet<InstanceArn>,
    /// Why tasks are not there, as ECS says it.
    pub failures: Vec<TaskFailure>,
    /// Why tasks were asked for elsewhere.
    pub moved: Vec<TaskFailure>,
    /// Why tasks of fewer containers were started in the place of some.
    pub given_up: Vec<TaskFailure>,
    /// Calls that were refused as a whole.
    pub errors: Vec<ReadError>,
    /// A superseded revision that could not be deregistered: untidy, and no worker's failure.
    pub untidy: Option<CallError>,
}

/// What distinguishes a derived revision from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Derived {
    /// Its family.
    pub family: Family,
    /// What it is derived from.
    pub base: RevisionArn,
    /// Of its content.
    pub digest: String,
}

/// A task that was placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartedTask {
    /// ECS's name of the task.
    pub arn: TaskArn,
    /// When, by ECS's clock.
    pub created: Option<Timestamp>,
    /// Where, unless on Fargate.
    pub instance: Option<InstanceArn>,
}

/// One of `failures[]`. Its reason is an open text.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct TaskFailure {
    /// Such as `RESOURCE:MEMORY`, `AGENT` or `Capacity is unavailable at this time`.
    pub reason: String,
    /// More of it, where ECS says more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What it means.
    #[serde(skip)]
    pub cause: Cause,
    /// Which instance it is about, where one was asked for.
    #[serde(skip)]
    pub instance: Option<InstanceArn>,
}

impl WorkerOutcome {
    /// A plan that was not carried out.
    pub fn not(plan: WorkerPlan) -> Self {
        Self { plan, groups: Vec::new() }
    }

    /// Where it was to be done, if anywhere.
    pub fn cluster(&self) -> Option<&ClusterName> {
        self.plan.cluster()
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
    pub fn presumed(&self, worker: &WorkerName, snapshot: &Snapshot) -> Vec<Task> {
        let Some(unseen) = self.unseen(worker, snapshot) else { return Vec::new() };
        unseen.presumed(self.unanswered_instances()).collect()
    }

    fn unseen<'a>(&'a self, worker: &'a WorkerName, snapshot: &Snapshot) -> Option<Unseen<'a>> {
        let (created, tick) = (snapshot.now, snapshot.tick.instant());
        Some(Unseen { worker, revision: self.revision.as_ref()?, created, tick })
    }

    /// For each task that may be there, where it may be, if that is known.
    pub fn unanswered_instances(&self) -> Vec<Option<InstanceArn>> {
        let count = usize::try_from(self.unanswered.0).unwrap_or(usize::MAX);
        let known = self.unanswered_on.iter().cloned().map(Some);
        known.chain(std::iter::repeat(None)).take(count).collect()
    }
}
