//! What somebody who looks again and again carries from one look to the next.

mod remembered;

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use decision::refusal::Cause;
use decision::snapshot::{Ended, ErrorKind, ReadError};
use decision::units::{RevisionArn, TaskDefinitionRef};
use jiff::Timestamp;

pub use self::remembered::{EndedTask, Remembered, Whose};
use super::measured::KeptMetrics;
use super::{EndedRow, WorkerView};
use crate::aws::ReadCloud;
use crate::cli::page::short_id;

/// Definitions that are read at a look for what has ended: the others come at the next ones, as ECS lists a task for
/// an hour.
const MOST_DEFINITIONS: usize = 5;

/// As many of a worker's tasks are shown that ECS has forgotten, the newest.
const MOST_BEFORE: usize = 1000;

/// The looks of one screen.
#[derive(Debug, Default)]
pub struct Session {
    pub(super) metrics: KeptMetrics,
    remembered: Option<Mutex<Memory>>,
}

#[derive(Debug)]
struct Memory {
    remembered: Remembered,
    /// Revisions whose definitions were read: their values are not shown.
    read: BTreeSet<RevisionArn>,
    /// Those that are gone, or may not be read.
    unreadable: BTreeSet<RevisionArn>,
}

impl Session {
    /// One that also remembers tasks that ended badly.
    pub fn with(remembered: Remembered) -> Self {
        let (read, unreadable) = (BTreeSet::new(), BTreeSet::new());
        let memory = Memory { remembered, read, unreadable };
        Self { remembered: Some(Mutex::new(memory)), ..Self::default() }
    }

    pub(super) fn remembers(&self) -> bool {
        self.remembered.is_some()
    }

    fn memory(&self) -> Option<MutexGuard<'_, Memory>> {
        self.remembered.as_ref().map(|it| it.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Remembers tasks that ended badly, where somebody wants that. What AWS says of them may repeat values of their
    /// definitions, which are read before. Gives what somebody should know.
    pub(super) async fn remember(&self, cloud: &ReadCloud, failed: Vec<Ended>) -> Option<String> {
        let is_new =
            |memory: &Memory, task: &Ended| !memory.remembered.has(short_id(task.arn.as_str()));
        let failed: Vec<_> = {
            let memory = self.memory()?;
            failed.into_iter().filter(|task| is_new(&memory, task)).collect()
        };
        let unread: BTreeSet<_> = {
            let memory = self.memory()?;
            let is_unread =
                |it: &&RevisionArn| !memory.read.contains(it) && !memory.unreadable.contains(it);
            failed.iter().map(|task| &task.revision).filter(is_unread).cloned().collect()
        };
        for revision in unread.into_iter().take(MOST_DEFINITIONS) {
            let read = cloud.definition(&TaskDefinitionRef::from(revision.as_str())).await;
            let mut memory = self.memory()?;
            match read {
                Ok(_) => drop(memory.read.insert(revision)),
                Err(ReadError::Call(call))
                    if call.kind == ErrorKind::Refused && call.cause() != Cause::Credentials =>
                {
                    memory.unreadable.insert(revision);
                }
                // At the next look.
                Err(_) => {}
            }
        }
        let mut memory = self.memory()?;
        let Memory { remembered, read, unreadable } = &mut *memory;
        let (known, others): (Vec<_>, Vec<_>) =
            failed.into_iter().partition(|task| read.contains(&task.revision));
        let known = cloud.in_words(known);
        let without = others.iter().filter(|task| unreadable.contains(&task.revision));
        let without = without.map(EndedTask::without_words);
        remembered.add(known.iter().map(EndedTask::of).chain(without).collect()).err()
    }

    /// A worker with those of its tasks that ECS has forgotten.
    #[must_use]
    pub fn completed(&self, view: WorkerView, now: Timestamp) -> WorkerView {
        let Some(memory) = self.memory() else { return view };
        let before = memory.remembered.before(&view.row.worker, now).take(MOST_BEFORE);
        WorkerView { ended_before: EndedRow::counted(before, now), ..view }
    }
}
