//! What a statement gives, for people and for programs.

use rusqlite::types::Value;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, json};

use super::QueryError;
use crate::cli::page::{is_obeyed, plain};
use crate::cli::table::aligned;

/// The name of this shape.
const SCHEMA: &str = "queue-scaler.query";

/// Grows when a field gets another meaning or goes away, never when one is added.
const VERSION: u32 = 1;

/// Rows for programs.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RowsView {
    /// `queue-scaler.query`
    pub schema: String,
    /// Which version of this shape it is.
    pub version: u32,
    /// The columns, in the order of the statement.
    pub columns: Vec<String>,
    /// A row each, by column.
    pub rows: Vec<Map<String, serde_json::Value>>,
    /// Whether there are more rows than are given.
    pub is_cut: bool,
    /// What could not be read, so that rows of it may be missing.
    pub missing: Vec<String>,
}

/// Rows below their columns' names.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// The columns.
    pub columns: Vec<String>,
    /// Values in their order.
    pub rows: Vec<Vec<Value>>,
    /// Whether there are more rows than are given.
    pub is_cut: bool,
}

impl Rows {
    /// A table.
    pub fn page(&self) -> String {
        let shown = |text: &str| plain(text).into_owned();
        let head: Vec<_> = self.columns.iter().map(|name| shown(name)).collect();
        let head: Vec<_> = head.iter().map(String::as_str).collect();
        let is_number = |index: usize| {
            let mut of_column = self.rows.iter().filter_map(|row| row.get(index));
            of_column.all(|value| !matches!(value, Value::Text(_) | Value::Blob(_)))
        };
        let cells = |row: &Vec<Value>| row.iter().map(|value| shown(&text(value))).collect();
        let table = aligned(&head, self.rows.iter().map(cells).collect(), is_number);
        table.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
    }

    /// Comma-separated values, as RFC 4180 has them but for the ends of the lines. Nothing stands for null, and `""`
    /// for an empty text. Texts are as they are, but for characters that a terminal would obey.
    pub fn csv(&self) -> String {
        let cell = |value: &Value| match value {
            Value::Text(text) => quoted(text),
            value => text(value),
        };
        let head: Vec<_> = self.columns.iter().map(|name| quoted(name)).collect();
        let rows = self.rows.iter().map(|row| row.iter().map(cell).collect::<Vec<_>>().join(","));
        std::iter::once(head.join(",")).chain(rows).collect::<Vec<_>>().join("\n")
    }

    /// The same as JSON beside what is missing, with whatever a terminal would obey escaped.
    ///
    /// # Errors
    /// When two columns have the same name.
    pub fn json(&self, missing: &[String]) -> Result<String, QueryError> {
        for (index, name) in self.columns.iter().enumerate() {
            if self.columns.iter().take(index).any(|before| before == name) {
                return Err(QueryError::SameName(name.clone()));
            }
        }
        let object = |row: &Vec<Value>| {
            self.columns.iter().cloned().zip(row.iter().map(member)).collect::<Map<_, _>>()
        };
        let view = json!(RowsView {
            schema: SCHEMA.to_owned(),
            version: VERSION,
            columns: self.columns.clone(),
            rows: self.rows.iter().map(object).collect(),
            is_cut: self.is_cut,
            missing: missing.to_vec(),
        });
        // Outside of texts JSON has no such character but the ends of the lines.
        let mut escaped = String::new();
        for c in format!("{view:#}").chars() {
            if is_obeyed(c) && c != '\n' {
                escaped.extend(["\\u".to_owned(), format!("{:04x}", u32::from(c))]);
            } else {
                escaped.push(c);
            }
        }
        Ok(escaped)
    }
}

fn quoted(text: &str) -> String {
    let harmless = |c: char| {
        if is_obeyed(c) && !matches!(c, '\n' | '\r' | '\t') {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    };
    let text: String = text.chars().map(harmless).collect();
    let needs_quotes = text.is_empty() || text.contains([',', '"', '\n', '\r']);
    if needs_quotes { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

fn member(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Integer(number) => json!(number),
        Value::Real(number) => json!(number),
        Value::Text(text) => json!(text),
        Value::Blob(bytes) => json!(hex::encode(bytes)),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Integer(number) => number.to_string(),
        // 2.0 stays a number with a fraction.
        Value::Real(number) => format!("{number:?}"),
        Value::Text(text) => text.clone(),
        Value::Blob(bytes) => hex::encode(bytes),
    }
}
