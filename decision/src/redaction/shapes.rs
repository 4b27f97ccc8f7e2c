//! Quotations that are known by their shape: a command that could not be run, and JSON.

use serde_json::Value;

use super::{Field, REDACTED};

/// A text without commands and without the values of JSON in it.
pub(super) fn without_quotations(text: &str) -> String {
    without_json(&without_command(text))
}

/// The runtime quotes the whole command: `exec: "<command>": executable file not found in $PATH`. A
/// command may have such quotes of its own, so that it lasts up to the last one in the text.
fn without_command(text: &str) -> String {
    const EXEC: &str = "exec:";
    let quoted = text.match_indices(EXEC).find_map(|(at, _)| {
        let (before, rest) = text.split_at_checked(at.saturating_add(EXEC.len()))?;
        let rest = rest.trim_start_matches([' ', '\\']);
        Some((before, rest.strip_prefix(['"', '\'', '`'])?))
    });
    let Some((before, command)) = quoted else { return text.to_owned() };
    let end = ["\":", "':", "`:"].iter().filter_map(|end| command.rfind(end)).max();
    let after = end.and_then(|end| command.get(end..)).unwrap_or("\"");
    format!("{before} \"{REDACTED}{after}")
}

/// JSON keeps its names; without an end it is left out as a whole.
fn without_json(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = beginning(rest) {
        let (before, json) = rest.split_at(start);
        shown.push_str(before);
        let Some((value, after)) = parsed(json) else {
            shown.push_str(REDACTED);
            return shown;
        };
        shown.push_str(&open(value, Field::Value).to_string());
        rest = after;
    }
    shown + rest
}

/// Where a document may begin: with a bracket and a quotation mark, or another bracket.
fn beginning(text: &str) -> Option<usize> {
    text.match_indices(['{', '[']).map(|(at, _)| at).find(|at| {
        let inside = text.get(at.saturating_add(1)..).unwrap_or_default();
        let inside = inside.trim_start_matches([' ', '\n', '\r', '\t', '\\', '{', '[']);
        inside.starts_with('"')
    })
}

/// The document at the beginning of a text, and what comes after it. In a quotation its own
/// quotation marks are escaped.
fn parsed(text: &str) -> Option<(Value, &str)> {
    let whole = |json: &str| {
        let mut documents = serde_json::Deserializer::from_str(json).into_iter::<Value>();
        let value = documents.next()?.ok()?;
        Some((value, documents.byte_offset()))
    };
    if let Some((value, end)) = whole(text) {
        return Some((value, text.get(end..).unwrap_or_default()));
    }
    // What follows an escaped document cannot be found again in the text as it came.
    let (value, _) = whole(&text.replace("\\\"", "\"").replace("\\\\", "\\"))?;
    Some((value, ""))
}

/// The document without its values.
fn open(value: Value, field: Field) -> Value {
    match (value, field) {
        (Value::String(_), Field::Value | Field::Free) => Value::from(REDACTED),
        (Value::Array(members), _) => members.into_iter().map(|m| open(m, field)).collect(),
        (Value::Object(fields), _) => {
            let opened = fields.into_iter().map(|(name, value)| {
                let field = field.called(&name);
                (name, open(value, field))
            });
            Value::Object(opened.collect())
        }
        (value, _) => value,
    }
}
