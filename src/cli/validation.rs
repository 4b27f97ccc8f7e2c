//! What `validate` finds, as programs get it: an editor, or the annotations of a pipeline.

use decision::config::Problem;
use schemars::JsonSchema;
use serde::Serialize;

/// The name of this shape.
const SCHEMA: &str = "queue-scaler.validate";

/// Grows when a field gets another meaning or goes away, never when one is added.
const VERSION: u32 = 1;

/// What is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ValidationView {
    /// `queue-scaler.validate`
    pub schema: String,
    /// Which version of this shape it is.
    pub version: u32,
    /// The file, as it was named.
    pub file: String,
    /// Whether there is no mistake in it.
    pub valid: bool,
    /// Workers without a mistake.
    pub workers: usize,
    /// Mistakes and warnings, in that order.
    pub problems: Vec<ProblemView>,
}

/// A mistake or a warning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProblemView {
    /// Whether it is a mistake.
    pub severity: Severity,
    /// Its line, from one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The character in the line, from one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// The worker that it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// The key, such as `scaling.maxContainers`; absent for the whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What is wrong and what is allowed.
    pub message: String,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// It cannot be used.
    Error,
    /// It may be meant otherwise.
    Warning,
}

impl ValidationView {
    /// One without a problem.
    pub fn new(file: &str, workers: usize) -> Self {
        let (schema, file) = (SCHEMA.to_owned(), file.to_owned());
        Self { schema, version: VERSION, file, valid: true, workers, problems: Vec::new() }
    }

    /// The same with these.
    #[must_use]
    pub fn with(self, mistakes: &[Problem], warnings: &[Problem]) -> Self {
        let mistakes_view =
            mistakes.iter().map(|problem| ProblemView::new(problem, Severity::Error));
        let warnings = warnings.iter().map(|problem| ProblemView::new(problem, Severity::Warning));
        let problems = mistakes_view.chain(warnings).collect();
        Self { valid: mistakes.is_empty(), problems, ..self }
    }
}

impl ProblemView {
    fn new(problem: &Problem, severity: Severity) -> Self {
        let Problem { position, worker, path, message, .. } = problem;
        Self {
            severity,
            line: position.map(|position| position.line),
            column: position.map(|position| position.column),
            worker: worker.clone(),
            path: Some(path.clone()).filter(|path| !path.is_empty()),
            message: message.clone(),
        }
    }
}
