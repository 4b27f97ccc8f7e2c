//! What a tick has logged of a worker: a line of the log, or the result of an invocation.

use std::collections::BTreeSet;

use decision::event::minute_of;
use decision::units::WorkerName;
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::run::unknown_worker;

/// What a tick has said of a worker.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// The tick.
    pub tick: String,
    /// The worker.
    pub worker: String,
    /// What came of it, in one word.
    pub outcome: String,
    /// The sum.
    pub why: Option<String>,
    /// What that went by.
    pub facts: Option<Value>,
    /// Tasks that were started.
    pub started: u64,
    /// Containers that were left to the next tick.
    pub deferred: u64,
    /// Why messages waited.
    pub waits_for: Vec<String>,
    /// What went wrong, and what was not placed.
    pub trouble: Vec<String>,
    /// What was said beside.
    pub warnings: Vec<String>,
}

impl Record {
    /// The sum, else what kept it from being made.
    pub fn sentence(&self) -> &str {
        let beside = self.trouble.iter().chain(&self.warnings).map(String::as_str);
        self.why.as_deref().into_iter().chain(beside).next().unwrap_or_default()
    }

    /// Whether it is of the minute of a time; a tick that was named by a request, by when its line was written.
    pub fn is_of(&self, time: Timestamp, written: Timestamp) -> bool {
        minute_of(self.tick.parse().unwrap_or(written)) == minute_of(time)
    }
}

/// Why there is nothing to explain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRecord {
    /// Nothing of a tick is in it.
    #[error(
        "there is no line of a worker in it: give the result of an invocation, or lines of the function's log \
         as they are"
    )]
    Nothing,
    /// Nothing of this worker is in it.
    #[error("asked for {0}")]
    Worker(String),
}

/// The decisions that a text has, of one worker or of all: a result as JSON, or lines of a log, whatever stands
/// between them or before each.
///
/// # Errors
/// When it has none.
pub fn records(text: &str, worker: Option<&str>) -> Result<Vec<Record>, NoRecord> {
    // As some editors write it.
    let text = text.trim_start_matches('\u{feff}');
    let whole: Option<Map<String, Value>> = serde_json::from_str(text).ok();
    let documents: Vec<_> = match whole {
        Some(whole) => vec![whole],
        None => text.lines().filter_map(document).collect(),
    };
    let all: Vec<_> = documents.iter().flat_map(of_document).collect();
    if all.is_empty() {
        return Err(NoRecord::Nothing);
    }
    let Some(name) = worker else { return Ok(all) };
    let found: Vec<_> = all.iter().filter(|record| record.worker == name).cloned().collect();
    if found.is_empty() {
        let known: BTreeSet<_> = all.iter().map(|record| record.worker.as_str().into()).collect();
        let known: Vec<WorkerName> = known.into_iter().collect();
        return Err(NoRecord::Worker(unknown_worker(&[WorkerName::from(name)], &known)));
    }
    Ok(found)
}

fn document(line: &str) -> Option<Map<String, Value>> {
    let begin = line.find('{')?;
    serde_json::from_str(line.get(begin..)?.trim_end()).ok()
}

fn of_document(document: &Map<String, Value>) -> Vec<Record> {
    if let Some(workers) = document.get("workers").and_then(Value::as_array) {
        // A plan that was saved is of no tick.
        let of = |key: &str| document.get(key).and_then(Value::as_str);
        let tick = of("tick").or_else(|| of("at")).unwrap_or_default().to_owned();
        // A configuration has workers, too.
        let workers = workers.iter().filter_map(Value::as_object);
        return workers.filter_map(|worker| of_result(&tick, worker)).collect();
    }
    of_line(document).into_iter().collect()
}

fn of_result(tick: &str, worker: &Map<String, Value>) -> Option<Record> {
    let list = |key: &str| worker.get(key).and_then(Value::as_array).into_iter().flatten();
    let texts = |key: &str| list(key).filter_map(Value::as_str).map(str::to_owned);
    let tasks = list("launched").filter_map(|launched| launched.get("count")?.as_u64());
    let failures = list("failures").filter_map(|failure| {
        Some(format!("{} x {}", failure.get("tasks")?, failure.get("reason")?.as_str()?))
    });
    Some(Record {
        tick: tick.to_owned(),
        worker: worker.get("worker")?.as_str()?.to_owned(),
        outcome: worker.get("outcome")?.as_str()?.to_owned(),
        why: worker
            .get("decision")
            .and_then(|decision| Some(decision.get("why")?.as_str()?.into())),
        facts: worker.get("facts").cloned(),
        started: tasks.sum(),
        deferred: number(worker, "deferred"),
        waits_for: texts("waitsFor").collect(),
        trouble: texts("errors").chain(failures).collect(),
        warnings: texts("warnings").collect(),
    })
}

/// A line of a worker has its name.
fn of_line(line: &Map<String, Value>) -> Option<Record> {
    let optional = |key: &str| line.get(key).and_then(Value::as_str).map(str::to_owned);
    let facts = line.get("facts").and_then(Value::as_str);
    // What is no document is shown as it is, and reported as what cannot be read.
    let facts = facts.map(|facts| serde_json::from_str(facts).unwrap_or_else(|_| facts.into()));
    let waits_for = optional("waits_for").unwrap_or_default();
    let waits_for = waits_for.split(", ").filter(|word| !word.is_empty()).map(str::to_owned);
    Some(Record {
        worker: optional("worker.name")?,
        outcome: optional("outcome")?,
        tick: text(line, "tick"),
        why: optional("plan.reason"),
        facts,
        started: number(line, "tasks.launched"),
        deferred: number(line, "containers.deferred"),
        waits_for: waits_for.collect(),
        trouble: [optional("error"), optional("failures")].into_iter().flatten().collect(),
        warnings: optional("warnings").into_iter().collect(),
    })
}

fn text(of: &Map<String, Value>, key: &str) -> String {
    of.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn number(of: &Map<String, Value>, key: &str) -> u64 {
    of.get(key).and_then(Value::as_u64).unwrap_or_default()
}
