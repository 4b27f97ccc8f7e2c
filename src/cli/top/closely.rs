//! One worker on the screen: which of its tasks is chosen, and which of its lines are seen.

use crate::cli::status::{TaskRow, WorkerView};

/// One worker on the screen.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Closely {
    pub(super) worker: String,
    /// None until it was read.
    pub(super) view: Option<WorkerView>,
    /// The id of the task that is chosen, which is kept wherever its row goes; none where it has ended.
    pub(super) task: Option<String>,
    /// Lines that are above the screen.
    pub(super) above: usize,
    /// Whether somebody has turned pages, and need not see the chosen task.
    pub(super) is_turned: bool,
    /// Why it could not be read.
    pub(super) error: Option<String>,
}

impl Closely {
    /// Shows what begins there, as far as there is anything.
    pub(super) fn turn(&mut self, above: usize) {
        (self.above, self.is_turned) = (above, true);
    }

    /// Of the task that is chosen.
    pub(super) fn arn(&self) -> Option<String> {
        let tasks = self.view.iter().flat_map(|view| &view.alive);
        let mut chosen = tasks.filter(|task| Some(&task.task) == self.task.as_ref());
        chosen.next().map(|task| task.arn.clone())
    }

    /// Chooses another task, from where the chosen one stands, if one is, and where the last one does.
    pub(super) fn choose(&mut self, next: impl Fn(Option<usize>, usize) -> usize) {
        let tasks: &[TaskRow] = self.view.as_ref().map_or(&[], |view| &view.alive);
        let Some(last) = tasks.len().checked_sub(1) else { return };
        let at = tasks.iter().position(|task| Some(&task.task) == self.task.as_ref());
        self.task = tasks.get(next(at, last)).map(|task| task.task.clone());
        (self.above, self.is_turned) = (0, false);
    }
}
