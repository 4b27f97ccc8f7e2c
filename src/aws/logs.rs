//! Lines of a function's log, for a terminal.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::ReadCloud;
use super::pace::{About, Rate};
use super::signed::{Ask, Request, Service};
use decision::snapshot::CallError;

/// Ten thousand lines a page at most. Source: CloudWatch Logs API reference, `FilterLogEvents`.
const MOST_PAGES: usize = 50;

/// Which lines are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLines<'a> {
    /// Where they are.
    pub group: &'a str,
    /// In CloudWatch's own language.
    pub pattern: &'a str,
    /// Not before this.
    pub from: Timestamp,
    /// Nor after this.
    pub to: Timestamp,
}

/// A line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When it was written.
    pub at: Timestamp,
    /// The line.
    pub text: String,
}

/// Lines of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logged {
    /// The lines, the oldest first.
    pub lines: Vec<LogLine>,
    /// Whether there are more than are read.
    pub is_cut: bool,
}

impl LogLine {
    fn read(event: &Value) -> Option<Self> {
        let at = Timestamp::from_millisecond(event.get("timestamp")?.as_i64()?).ok()?;
        Some(Self { at, text: event.get("message")?.as_str()?.to_owned() })
    }
}

impl ReadCloud {
    /// Reads lines of a log, as far as they are not too many.
    ///
    /// # Errors
    /// When the log is not there or may not be read.
    pub async fn logged(&self, asked: LogLines<'_>) -> Result<Logged, CallError> {
        let LogLines { group, pattern, from, to } = asked;
        let about = About { operation: "FilterLogEvents", subject: group, rate: Rate::Free };
        let mut logged = Logged::default();
        let mut query = Map::from_iter([
            ("logGroupName".to_owned(), json!(group)),
            ("filterPattern".to_owned(), json!(pattern)),
            ("startTime".to_owned(), json!(from.as_millisecond())),
            ("endTime".to_owned(), json!(to.as_millisecond())),
        ]);
        for _ in 0..MOST_PAGES {
            let ask = Ask::Document(Value::Object(query.clone()).to_string());
            let request = Request::new(Service::Logs, about.operation, ask);
            let answer = self.ask(about, request).await?.json();
            let events = answer.get("events").and_then(Value::as_array);
            logged.lines.extend(events.into_iter().flatten().filter_map(LogLine::read));
            match answer.get("nextToken").filter(|token| token.is_string()) {
                Some(token) => drop(query.insert("nextToken".to_owned(), token.clone())),
                None => return Ok(logged),
            }
        }
        Ok(Logged { is_cut: true, ..logged })
    }
}
