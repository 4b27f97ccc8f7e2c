//! What a statement gives, for people and for programs.

use rusqlite::types::Value;
use serde_json::{Map, json};

use super::QueryError;
use crate::cli::page::{is_obeyed, plain};
use crate::cli::table::aligned;

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

    /// A list of objects as JSON, with whatever a terminal would obey escaped.
    ///
    /// # Errors
    /// When two columns have the same name.
    pub fn json(&self) -> Result<String, QueryError> {
        for (index, name) in self.columns.iter().enumerate() {
            if self.columns.iter().take(index).any(|before| before == name) {
                return Err(QueryError::SameName(name.clone()));
            }
        }
        let object = |row: &Vec<Value>| {
            let members = self.columns.iter().cloned().zip(row.iter().map(member));
            serde_json::Value::Object(members.collect::<Map<_, _>>())
        };
        let list: serde_json::Value = self.rows.iter().map(object).collect();
        // Outside of texts JSON has no such character but the ends of the lines.
        let mut escaped = String::new();
        for c in format!("{list:#}").chars() {
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
