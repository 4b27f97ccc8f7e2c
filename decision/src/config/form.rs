//! Forms: each reads a value, says what is allowed, and describes that in JSON Schema.

pub(super) mod names;
pub(super) mod time;

use std::ops::RangeInclusive;

use serde_json::{Value, json};

use crate::document::Node;

/// What a value may be.
pub(crate) trait Form {
    /// What it means.
    type Value;

    /// What a value means; `Err` where it is not what [`Form::allowed`] says.
    fn read(&self, node: &Node) -> Result<Self::Value, Wrong>;

    /// What a value may be, as it follows "expected".
    fn allowed(&self) -> String;

    /// The same as JSON Schema, which may allow more but never less.
    fn schema(&self) -> Value;
}

/// Why a value is refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// It is not what is allowed, and there is no more to say.
    NotAllowed,
    /// There is.
    Because(String),
}

impl From<&str> for Wrong {
    fn from(why: &str) -> Self {
        Self::Because(why.to_owned())
    }
}

impl<F: Form> Form for &F {
    type Value = F::Value;

    fn read(&self, node: &Node) -> Result<F::Value, Wrong> {
        (**self).read(node)
    }

    fn allowed(&self) -> String {
        (**self).allowed()
    }

    fn schema(&self) -> Value {
        (**self).schema()
    }
}

/// What one function reads.
pub(crate) struct Special<T> {
    pub(crate) read: fn(&Node) -> Result<T, Wrong>,
    pub(crate) allowed: &'static str,
    pub(crate) schema: fn() -> Value,
}

impl<T> Form for Special<T> {
    type Value = T;

    fn read(&self, node: &Node) -> Result<T, Wrong> {
        (self.read)(node)
    }

    fn allowed(&self) -> String {
        self.allowed.to_owned()
    }

    fn schema(&self) -> Value {
        (self.schema)()
    }
}

/// A whole number of a range.
pub(crate) struct Whole(pub(crate) RangeInclusive<u32>);

impl Form for Whole {
    type Value = u32;

    fn read(&self, node: &Node) -> Result<u32, Wrong> {
        let number = node.as_u64().and_then(|n| u32::try_from(n).ok());
        number.filter(|n| self.0.contains(n)).ok_or(Wrong::NotAllowed)
    }

    fn allowed(&self) -> String {
        format!("a whole number from {} to {}", self.0.start(), self.0.end())
    }

    fn schema(&self) -> Value {
        json!({"type": "integer", "minimum": self.0.start(), "maximum": self.0.end()})
    }
}

/// A whole number of a range, also as the text that ECS's API takes for one.
pub(crate) struct WholeOrText(pub(crate) RangeInclusive<u32>);

impl Form for WholeOrText {
    type Value = u32;

    fn read(&self, node: &Node) -> Result<u32, Wrong> {
        let of_text = || {
            let is_digit = |c: char| c.is_ascii_digit();
            node.as_str().filter(|text| text.chars().all(is_digit))?.parse().ok()
        };
        let number = node.as_u64().or_else(of_text).and_then(|n| u32::try_from(n).ok());
        number.filter(|n| self.0.contains(n)).ok_or(Wrong::NotAllowed)
    }

    fn allowed(&self) -> String {
        Whole(self.0.clone()).allowed()
    }

    fn schema(&self) -> Value {
        json!({"anyOf": [Whole(self.0.clone()).schema(), pattern("^[0-9]+$")]})
    }
}

/// `true` or `false`.
pub(crate) struct Boolean;

impl Form for Boolean {
    type Value = bool;

    fn read(&self, node: &Node) -> Result<bool, Wrong> {
        node.as_bool().ok_or(Wrong::NotAllowed)
    }

    fn allowed(&self) -> String {
        "true or false".to_owned()
    }

    fn schema(&self) -> Value {
        json!({"type": "boolean"})
    }
}

/// A text that is not empty, of at most so many bytes.
pub(crate) struct Text(pub(crate) usize);

impl Form for Text {
    type Value = String;

    fn read(&self, node: &Node) -> Result<String, Wrong> {
        let text = node.as_str().filter(|text| (1..=self.0).contains(&text.len()));
        text.map(str::to_owned).ok_or(Wrong::NotAllowed)
    }

    fn allowed(&self) -> String {
        format!("text of 1 to {} bytes", self.0)
    }

    fn schema(&self) -> Value {
        json!({"type": "string", "minLength": 1, "maxLength": self.0})
    }
}

/// One of a few words, each standing for a value. YAML takes a bare `on` and `off` for truth values.
pub(crate) struct OneOf<T: 'static>(pub(crate) &'static [(&'static str, T)]);

impl<T: Copy> Form for OneOf<T> {
    type Value = T;

    fn read(&self, node: &Node) -> Result<T, Wrong> {
        let word = match node.as_bool() {
            Some(true) => Some("on"),
            Some(false) => Some("off"),
            None => node.as_str(),
        };
        let found = self.0.iter().find(|(choice, _)| Some(*choice) == word);
        found.map(|(_, meaning)| *meaning).ok_or(Wrong::NotAllowed)
    }

    fn allowed(&self) -> String {
        let words: Vec<_> = self.0.iter().map(|(word, _)| format!("`{word}`")).collect();
        match words.split_last() {
            Some((last, others)) if !others.is_empty() => {
                format!("{} or {last}", others.join(", "))
            }
            _ => words.concat(),
        }
    }

    fn schema(&self) -> Value {
        let truth = |word: &str| match word {
            "on" => Some(json!(true)),
            "off" => Some(json!(false)),
            _ => None,
        };
        let truths = self.0.iter().filter_map(|(word, _)| truth(word));
        let words = self.0.iter().map(|(word, _)| json!(word));
        json!({"enum": words.chain(truths).collect::<Vec<_>>()})
    }
}

/// The schema of text of a pattern.
pub(crate) fn pattern(pattern: &str) -> Value {
    json!({"type": "string", "pattern": pattern})
}
