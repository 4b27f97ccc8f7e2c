//! What somebody who looks again and again carries from one look to the next.

mod remembered;

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use decision::snapshot::Ended;
use decision::units::{RevisionArn, TaskDefinitionRef};
use jiff::Timestamp;

pub use self::remembered::{EndedTask, Remembered};
use super::measured::KeptMetrics;
use super::{EndedRow, WorkerView};
use crate::aws::ReadCloud;
use crate::cli::page::short_id;

/// Definitions that are read at a look for what has ended: the others come at the next ones, as ECS lists a task for
/// an hour.
const MOST_DEFINITIONS: usize = 5;

/// The looks of one screen.
#[derive(Debug, Default)]
pub struct Session {
    pub(super) metrics: KeptMetrics,
    remembered: Option<Mutex<Memory>>,
}

#[derive(Debug)]
struct Memory {
    remembered: Remembered,
    /// Revisions whose definitions were read, or could not be: their values are not shown.
    revisions: BTreeSet<RevisionArn>,
}

impl Session {
    /// One that also remembers tasks that ended badly.
    pub fn with(remembered: Remembered) -> Self {
        let memory = Memory { remembered, revisions: BTreeSet::new() };
        Self { remembered: Some(Mutex::new(memory)), ..Self::default() }
    }

    fn memory(&self) -> Option<MutexGuard<'_, Memory>> {
        self.remembered.as_ref().map(|it| it.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Remembers tasks that ended badly, where somebody wants that. What AWS says of them may repeat values of their
    /// definitions, which are read before. Gives what somebody should know.
    pub(super) async fn remember(&self, cloud: &ReadCloud, failed: Vec<Ended>) -> Option<String> {
        let failed: Vec<_> = {
            let memory = self.memory()?;
            failed
                .into_iter()
                .filter(|task| !memory.remembered.has(short_id(task.arn.as_str())))
                .collect()
        };
        let unread: BTreeSet<_> = {
            let memory = self.memory()?;
            let all = failed.iter().map(|task| &task.revision);
            all.filter(|revision| !memory.revisions.contains(revision)).cloned().collect()
        };
        for revision in unread.into_iter().take(MOST_DEFINITIONS) {
            let read = cloud.definition(&TaskDefinitionRef::from(revision.as_str())).await;
            // Of one that is deleted or may not be read, nobody knows what is to be hidden.
            self.memory()?.revisions.extend(read.is_ok().then_some(revision));
        }
        let mut memory = self.memory()?;
        let Memory { remembered, revisions } = &mut *memory;
        let known = failed.into_iter().filter(|task| revisions.contains(&task.revision));
        let known = cloud.in_words(known);
        remembered.add(known.iter().map(EndedTask::of).collect()).err()
    }

    /// A worker with those of its tasks that ECS has forgotten.
    #[must_use]
    pub fn completed(&self, view: WorkerView, now: Timestamp) -> WorkerView {
        let Some(memory) = self.memory() else { return view };
        let before = memory.remembered.before(&view.row.worker, now);
        WorkerView { ended_before: EndedRow::counted(before, now), ..view }
    }
}
