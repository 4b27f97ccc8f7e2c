//! One mistake: where it is, what it is, and what may stand there.

use std::fmt;

use super::Position;
use crate::redaction::cut;

/// So many mistakes are reported one by one; nobody reads more.
pub(crate) const MOST_REPORTED: usize = 50;

/// No path of a document that means well is longer, in bytes.
const LONGEST_PATH: usize = 200;

/// Nor any message.
const LONGEST_MESSAGE: usize = 2000;

/// One mistake: where, what it is, and what it may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The document, such as `workers.yaml` or `ssm:/scaler`; empty where that is known.
    pub source: String,
    /// Line and column, where the document is a text.
    pub position: Option<Position>,
    /// The worker that it is in, where that has a name.
    pub worker: Option<String>,
    /// The key, such as `scaling.maxContainers`; empty for the whole.
    pub path: String,
    /// What is wrong there and what is allowed.
    pub message: String,
    /// Whether it is about a value of the shipped example, which nobody has.
    pub is_of_example: bool,
    /// How many mistakes it stands for: one, or those of which only the number is reported.
    pub count: usize,
}

impl Problem {
    /// One mistake.
    pub(crate) fn new(path: &str, message: &str) -> Self {
        Self {
            source: String::new(),
            position: None,
            worker: None,
            path: shortened(path, LONGEST_PATH),
            message: shortened(message, LONGEST_MESSAGE),
            is_of_example: false,
            count: 1,
        }
    }

    /// The same in a document.
    pub(crate) fn of_source(self, source: &str) -> Self {
        Self { source: source.to_owned(), ..self }
    }

    /// The same, where it is in the text.
    pub(crate) fn at(self, position: Option<Position>) -> Self {
        Self { position, ..self }
    }

    /// The same in a worker.
    pub(crate) fn in_worker(self, worker: Option<&str>) -> Self {
        Self { worker: worker.map(str::to_owned), ..self }
    }

    /// The same where it is not a mistake, but may be meant otherwise.
    pub fn as_warning(&self) -> String {
        let mut warning = self.clone();
        let (source, position) = (std::mem::take(&mut warning.source), warning.position.take());
        let begin = Self { source, position, ..Self::new("", "warning: ") };
        format!("{begin}{warning}")
    }

    /// The first mistakes, and the number of the others.
    pub(crate) fn first(all: impl IntoIterator<Item = Self>) -> Vec<Self> {
        let (one, many): (Vec<_>, Vec<_>) = all.into_iter().partition(|p| p.count == 1);
        let more = one.len().saturating_sub(MOST_REPORTED).saturating_add(counted(&many));
        let mut reported: Vec<_> = one.into_iter().take(MOST_REPORTED).collect();
        if 0 < more {
            reported.push(Self { count: more, ..Self::new("", &format!("and {more} more")) });
        }
        reported
    }
}

/// How many mistakes there are.
pub(crate) fn counted(problems: &[Problem]) -> usize {
    problems.iter().map(|problem| problem.count).sum()
}

fn shortened(text: &str, most: usize) -> String {
    match cut(text, most) {
        (text, 0) => text.to_owned(),
        (text, _) => format!("{text}..."),
    }
}

impl fmt::Display for Problem {
    /// As compilers do it: `workers.yaml:12:5: worker "thumbnail": scaling.maxContainers: ...`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, position, worker, path, message, is_of_example: _, count: _ } = self;
        let position = position.map(|Position { line, column }| format!("{line}:{column}"));
        let position = [Some(source.clone()).filter(|source| !source.is_empty()), position];
        let position: Vec<_> = position.into_iter().flatten().collect();
        if !position.is_empty() {
            write!(f, "{}: ", position.join(":"))?;
        }
        if let Some(worker) = worker {
            write!(f, "worker \"{worker}\": ")?;
        }
        if !path.is_empty() {
            write!(f, "{path}: ")?;
        }
        f.write_str(message)
    }
}
