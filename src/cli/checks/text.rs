//! What was found, as a person reads it.

use super::{CheckedWorker, ChecksView, Finding, Level};
use crate::cli::page::{Meaning, Page, counted};

impl ChecksView {
    /// The whole page.
    pub fn page(&self, width: usize) -> String {
        let mut page = Page::new(width);
        let widest = self.workers.iter().filter(|worker| !worker.findings.is_empty());
        let widest = widest.map(|worker| worker.worker.chars().count()).max().unwrap_or_default();
        let widest = widest.min(24);
        for CheckedWorker { worker, findings, .. } in &self.workers {
            for finding in findings {
                finding.write(&mut page, &format!("{worker:<widest$}"));
            }
        }
        for finding in &self.findings {
            finding.write(&mut page, &" ".repeat(widest));
        }
        page.entry("", &self.sentence());
        page.text()
    }

    fn sentence(&self) -> String {
        let worst = |worker: &CheckedWorker| worker.findings.first().map(|finding| finding.level);
        let count = |level: Option<Level>| {
            self.workers.iter().filter(|worker| worst(worker) == level).count()
        };
        let all = u64::try_from(self.workers.len()).unwrap_or(u64::MAX);
        let parts = [
            (count(None), "good"),
            (count(Some(Level::Warning)), "with warnings"),
            (count(Some(Level::Wrong)), "wrong"),
            (count(Some(Level::NotChecked)), "not wholly checked"),
        ];
        let parts = parts.into_iter().filter(|(count, _)| *count != 0);
        let parts: Vec<_> = parts.map(|(count, what)| format!("{count} {what}")).collect();
        let calls = counted(self.calls, "call");
        format!("{}: {}. {calls}.", counted(all, "worker"), parts.join(", "))
    }
}

impl Finding {
    fn write(&self, page: &mut Page, name: &str) {
        let (sign, meaning) = match self.level {
            Level::Wrong => ("wrong", Meaning::Bad),
            Level::Warning => ("warn ", Meaning::Warning),
            Level::NotChecked => ("?    ", Meaning::Aside),
        };
        page.entry_of(meaning, &format!("{name}  {sign}  "), &self.message);
    }
}
