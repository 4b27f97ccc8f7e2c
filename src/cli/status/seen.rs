//! What is read for a look at the workers.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use decision::decide::counted_depth;
use decision::memory::Remembered;
use decision::snapshot::{Depth, Snapshot};
use decision::units::{TaskDefinitionRef, WorkerName};
use futures_util::{StreamExt, stream};
use jiff::Timestamp;

use super::measured::{Ages, Metrics};
use super::session::Session;
use super::view::{Depths, Waits};
use crate::aws::ReadCloud;
use crate::cli::deployment::Deployment;
use crate::cli::plan::{PlanError, elsewhere, look_at, result};
use crate::cli::result::TickResult;
use crate::run::{Foreseen, Invocation};
use crate::source::SourceError;

/// Queues that are read at once.
const AT_ONCE: usize = 64;

/// Which workers are read.
#[derive(Clone, Copy)]
pub(super) enum Scope<'a> {
    All,
    /// With what became of its tasks.
    One(&'a WorkerName),
    /// All, with what became of their tasks.
    Again(&'a Session),
}

impl Scope<'_> {
    pub(super) fn reads_ended(self) -> bool {
        !matches!(self, Self::All)
    }

    /// Whether it is one look of many.
    pub(super) fn is_again(self) -> bool {
        matches!(self, Self::Again(_))
    }
}

/// What was read.
pub(super) struct Seen {
    pub(super) foreseen: Foreseen,
    pub(super) results: TickResult,
    /// None where they could not be read.
    pub(super) ages: Option<Ages>,
    /// Messages that go in a minute, by the queue's name; none where that could not be read.
    pub(super) deleted: Option<BTreeMap<String, f64>>,
    pub(super) notes: Vec<String>,
}

impl Seen {
    pub(super) async fn of(
        deployment: &Deployment,
        cloud: &ReadCloud,
        scope: Scope<'_>,
        invocation: &Invocation,
    ) -> Result<Self, PlanError> {
        let only = match scope {
            Scope::All | Scope::Again(_) => &[],
            Scope::One(name) => std::slice::from_ref(name),
        };
        let event = look_at(only);
        let mut foreseen = Box::pin(deployment.scaler.foresee(&event, invocation, cloud)).await?;
        // At a glance, what has ended is read where a tick needs it.
        let knows_ended = !scope.reads_ended();
        let remembered = Remembered { knows_ended, ..Remembered::default() };
        Box::pin(read_tasks(deployment, cloud, &remembered, &mut foreseen)).await;
        if let Scope::One(name) = scope {
            Box::pin(hide_values(cloud, name, &mut foreseen.snapshot)).await;
        }
        let results = result(&deployment.scaler, &foreseen, invocation)?;
        let mut notes = results.notes();
        notes.extend(elsewhere(&foreseen, cloud));
        let workers = foreseen.config.workers.iter();
        let queues: Vec<_> = workers.map(|worker| worker.queue.name().to_owned()).collect();
        let Metrics { ages, deleted } = match scope {
            Scope::Again(session) => session.metrics.read(cloud, &queues, invocation.now).await,
            Scope::All | Scope::One(_) => Metrics {
                ages: cloud.oldest_messages(&queues, invocation.now).await,
                deleted: None,
            },
        };
        if let Err(error) = &ages {
            notes.push(format!("the oldest messages are not known: {error}"));
        }
        let ages = ages.ok();
        Ok(Self { foreseen, results, ages, deleted, notes })
    }
}

/// Reads what waits, and nothing else: queues have a rate of their own.
///
/// # Errors
/// Where there is no configuration to go by.
pub async fn count(
    deployment: &Deployment,
    cloud: &ReadCloud,
    now: Timestamp,
) -> Result<Depths, SourceError> {
    let in_force = deployment.scaler.config.current(cloud, now).await?;
    let depths = stream::iter(&in_force.config.workers).map(async |worker| {
        let read = cloud.queue(&worker.queue).await.ok();
        let waits = read.map(|read| {
            let Depth { visible, in_flight, delayed } =
                counted_depth(&worker.scaling, read.queue.depth);
            Waits { waiting: visible.plus(delayed), in_flight }
        });
        (worker.name.to_string(), waits)
    });
    Ok(depths.buffer_unordered(AT_ONCE).collect().await)
}

/// What a tick had no need of: the tasks of workers that are owed nothing.
pub(in crate::cli) async fn read_tasks(
    deployment: &Deployment,
    cloud: &ReadCloud,
    remembered: &Remembered,
    foreseen: &mut Foreseen,
) {
    let Foreseen { config, snapshot, .. } = foreseen;
    let clusters: BTreeSet<_> =
        config.workers.iter().map(|worker| worker.cluster.clone()).collect();
    let names = config.scalers(&deployment.scaler.name);
    for cluster in clusters {
        if let Entry::Vacant(unread) = snapshot.tasks.entry(cluster) {
            let tasks = cloud.tasks(unread.key(), &names, remembered).await;
            unread.insert(tasks);
        }
    }
}

/// What AWS says of the end of a task may repeat values of its definition. A tick that starts nothing reads none, and
/// none that is superseded: the end is redacted by what the task's own revision has to hide.
async fn hide_values(cloud: &ReadCloud, name: &WorkerName, snapshot: &mut Snapshot) {
    for tasks in snapshot.tasks.values_mut().flatten() {
        let own = tasks.ended.iter().filter(|task| task.worker == *name);
        let revisions: BTreeSet<_> = own.map(|task| task.revision.clone()).collect();
        for revision in revisions {
            // Of one that is deleted or may not be read, nothing is known.
            drop(cloud.definition(&TaskDefinitionRef::from(revision.as_str())).await);
        }
        tasks.ended = cloud.in_words(std::mem::take(&mut tasks.ended));
    }
}
