//! Decisions as a person reads them.

use decision::plan::Facts;

use super::{ExplainView, Explained};
use crate::cli::page::{Clock, Meaning, Page, counted};

impl ExplainView {
    /// The whole page.
    pub fn page(&self, width: usize, clock: &Clock) -> String {
        let mut page = Page::new(width);
        for (index, decision) in self.decisions.iter().enumerate() {
            if index != 0 {
                page.gap();
            }
            decision.write(&mut page, clock);
        }
        page.text()
    }

    /// A line each of what was decided anew: what is as it was the tick before is left out.
    pub fn list(&self, width: usize) -> String {
        let mut page = Page::new(width);
        let mut before = std::collections::BTreeMap::new();
        for decision in &self.decisions {
            let state = (decision.outcome.as_str(), decision.waits_for.as_slice());
            let is_as_before = before.insert(decision.worker.as_str(), state) == Some(state);
            if is_as_before && decision.started == 0 && decision.is_same != Some(false) {
                continue;
            }
            decision.write_line(&mut page);
        }
        page.text()
    }
}

impl Explained {
    fn write(&self, page: &mut Page, clock: &Clock) {
        let Self { tick, worker, outcome, .. } = self;
        // A tick has its name from the time in UTC.
        let local = (!clock.is_utc()).then(|| clock.shown(tick)).filter(|shown| shown != tick);
        let local = local.map(|shown| format!(" ({shown})")).unwrap_or_default();
        page.entry("", &format!("{worker}, tick {tick}{local}: {outcome}"));
        let sum = self.derived.as_ref().map(ToString::to_string);
        if let Some(text) = sum.as_ref().or(self.why.as_ref()) {
            page.entry("  ", text);
        }
        match self.is_same {
            Some(true) => {
                page.entry_of(Meaning::Aside, "  derived anew     ", "the same as was logged");
            }
            Some(false) => {
                let why = self.why.clone().unwrap_or_default();
                page.entry_of(Meaning::Bad, "  ! logged was     ", &why);
            }
            None => {}
        }
        let bounds = self.derived.iter().flat_map(|sum| sum.bound_by.iter());
        for bound in bounds {
            page.entry("  bound by         ", bound);
        }
        if let Some(facts) = self.went_by() {
            page.entry("  went by          ", &facts);
        }
        page.entry("  came of it       ", &self.came_of_it());
        match self.is_configured_so {
            Some(true) => page.entry("  configuration    ", "as it is here"),
            Some(false) => {
                page.entry_of(Meaning::Warning, "  configuration    ", "another one than here");
            }
            None => {}
        }
        if let Some(tried) = &self.tried {
            page.entry_of(Meaning::Good, "  with             ", &tried.settings);
            page.entry("  ", &tried.sum.to_string());
        }
        for note in &self.notes {
            page.entry_of(Meaning::Warning, "  ! ", note);
        }
    }

    fn write_line(&self, page: &mut Page) {
        let Self { tick, worker, outcome, sentence: sum, .. } = self;
        let meaning = match outcome.as_str() {
            "launched" => Meaning::Good,
            "idle" => Meaning::Plain,
            "held" | "failed" => Meaning::Bad,
            _ => Meaning::Warning,
        };
        let colon = if sum.is_empty() { "" } else { ": " };
        page.entry_of(meaning, &format!("{tick}  "), &format!("{worker} {outcome}{colon}{sum}"));
        if let (Some(false), Some(derived)) = (self.is_same, &self.derived) {
            page.entry_of(Meaning::Bad, "  ! derived anew   ", &derived.to_string());
        }
    }

    /// What of the facts the sum does not show.
    fn went_by(&self) -> Option<String> {
        let facts: Facts = serde_json::from_value(self.facts.clone()?).ok()?;
        let alive = facts.alive;
        let there = match alive.tasks.0 {
            0 => "nothing alive".to_owned(),
            tasks => format!(
                "{} in {} alive, of which {} run",
                counted(alive.containers.0.into(), "container"),
                counted(tasks.into(), "task"),
                alive.running
            ),
        };
        let mut parts = vec![there];
        parts.push(format!("at most {} a task", counted(facts.most.0.into(), "container")));
        if let Some(brake) = facts.brake {
            parts.push(format!("a credit of {}", counted(brake.credit.0.into(), "container")));
        }
        Some(parts.join("; "))
    }

    fn came_of_it(&self) -> String {
        let started = match self.started {
            0 => "nothing was started".to_owned(),
            n => came_to(&self.outcome, n),
        };
        let deferred = (self.deferred != 0)
            .then(|| format!("{} left to the next tick", counted(self.deferred, "container")));
        let waits = (!self.waits_for.is_empty())
            .then(|| format!("messages waited: {}", self.waits_for.join(", ")));
        let parts = std::iter::once(started).chain(deferred).chain(waits);
        let beside = self.trouble.iter().chain(&self.warnings).cloned();
        parts.chain(beside).collect::<Vec<_>>().join("; ")
    }
}

/// So many tasks of a decision, which a dry run has not started.
pub(in crate::cli) fn came_to(outcome: &str, tasks: u64) -> String {
    let how = if outcome == "planned" { "would be started" } else { "started" };
    format!("{} {how}", counted(tasks, "task"))
}
