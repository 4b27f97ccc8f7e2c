//! What a carried-out plan came to, as a person reads it.

use serde_json::Value;

use crate::cli::page::{Meaning, Page, counted};
use crate::cli::plan::PlanView;
use crate::cli::result::{
    FailureResult, LaunchedResult, NoResult, State, TickResult, WorkerResult, total,
};

/// What was done, and whether all of it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The whole page.
    pub page: String,
    /// Whether something was not started, or somebody has to look.
    pub is_short: bool,
}

/// The page of a result: what became of the workers that were planned to launch something.
///
/// # Errors
/// When it is no result of a tick.
pub fn applied(result: &Value, plan: &PlanView, width: usize) -> Result<Applied, NoResult> {
    let mut result = TickResult::parse(result)?;
    let is_planned = |name: &str| {
        plan.workers.iter().any(|worker| worker.result.worker == name && worker.result.tasks() != 0)
    };
    result.workers.retain(|worker| is_planned(&worker.worker));
    let mut page = Page::new(width);
    for worker in &result.workers {
        let planned = plan.workers.iter().find(|planned| planned.result.worker == worker.worker);
        let known = planned.map_or(&[][..], |planned| &planned.result.warnings);
        worker.write_applied(&mut page, known);
    }
    for note in result.notes() {
        page.entry_of(Meaning::Warning, "! ", &note);
    }
    let started: Vec<_> = result.workers.iter().map(WorkerResult::started).collect();
    let tasks = total(started.iter().map(|(tasks, _)| *tasks));
    let containers = total(started.iter().map(|(_, containers)| *containers));
    let planned = plan.totals.tasks;
    let is_short = tasks < planned || result.workers.iter().any(|worker| !worker.errors.is_empty());
    let of = if tasks == planned {
        String::new()
    } else {
        format!("; planned: {}", counted(planned, "task"))
    };
    let (tasks, containers) = (counted(tasks, "task"), counted(containers, "container"));
    page.entry("", &format!("Done: {containers} started in {tasks}{of}."));
    Ok(Applied { page: page.text(), is_short })
}

impl WorkerResult {
    /// With what a person should know of it beside what stood in the plan.
    fn write_applied(&self, page: &mut Page, known: &[String]) {
        let (sign, meaning) = match self.state() {
            state @ (State::Unknown | State::Attention) => (state.sign(), state.meaning()),
            _ if self.tasks() == 0 || !self.failures.is_empty() => ('=', Meaning::Warning),
            _ => ('+', Meaning::Good),
        };
        let started = self.launched.iter().map(LaunchedResult::sentence);
        // Where nothing was placed, the error says why.
        let failed = self.failures.iter().filter(|_| self.errors.is_empty() || self.tasks() != 0);
        let failed = failed.map(FailureResult::sentence);
        let words = self.waits_for.join(", ");
        let waits = (!words.is_empty()).then(|| format!("messages wait: {words}"));
        let is_open = self.waits_for.iter().any(|word| word == "answer");
        let open = is_open.then(|| {
            format!(
                "a call had no answer, and may have started its tasks: `status {}` shows them",
                self.worker
            )
        });
        let errors = self.errors.iter().cloned();
        let parts: Vec<_> = started.chain(failed).chain(errors).chain(open).chain(waits).collect();
        let text = if parts.is_empty() {
            "nothing was owed any more".to_owned()
        } else {
            parts.join("; ")
        };
        page.entry_of(meaning, &format!("{sign} {}  ", self.worker), &text);
        // Where something went wrong, that is why it is not served.
        let is_new = |warning: &&String| self.errors.is_empty() && !known.contains(warning);
        for warning in self.warnings.iter().filter(is_new) {
            page.entry_of(Meaning::Warning, "    ! ", warning);
        }
    }
}

impl LaunchedResult {
    fn sentence(&self) -> String {
        let definition = self.task_definition.rsplit('/').next().unwrap_or_default();
        let each = counted(self.containers_per_task, "container");
        let (started, adopted) = (self.started(), self.count.saturating_sub(self.started()));
        let started = (started != 0)
            .then(|| format!("started {} of {each}, {definition}", counted(started, "task")));
        let adopted = (adopted != 0).then(|| {
            format!(
                "{} of {each} were started by an earlier call of this minute: try again in the next one",
                counted(adopted, "task")
            )
        });
        started.into_iter().chain(adopted).collect::<Vec<_>>().join("; ")
    }
}

impl FailureResult {
    fn sentence(&self) -> String {
        let detail = self.detail.as_ref().map(|detail| format!(" ({detail})")).unwrap_or_default();
        format!("{} not placed: {}{detail}", counted(self.tasks, "task"), self.reason)
    }
}
