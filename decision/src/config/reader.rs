//! Reads a tree of values field by field and collects what is wrong with it, so that a person
//! sees every mistake of a file at once. Pure.

use std::cell::{Cell, RefCell};
use std::fmt;

use serde_json::{Map, Value};

use crate::redaction::cut;

/// So many mistakes are told one by one; nobody reads more.
const MOST_TOLD: usize = 50;

/// No path of a document that means well is longer, in bytes.
const LONGEST_PATH: usize = 200;

/// Nor any message.
const LONGEST_MESSAGE: usize = 2000;

/// One mistake: where, what it is, and what it may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The place, such as `workers[2].scaling.maxContainers`; empty for the whole document.
    pub path: String,
    /// What is wrong there and what is allowed.
    pub message: String,
    /// How many mistakes it stands for: one, or those of which only the number is told.
    pub count: usize,
}

impl Problem {
    /// One mistake.
    pub(crate) fn new(path: &str, message: &str) -> Self {
        let (path, message) = (shortened(path, LONGEST_PATH), shortened(message, LONGEST_MESSAGE));
        Self { path, message, count: 1 }
    }

    /// The first mistakes, and the number of the others.
    pub(crate) fn first(all: impl IntoIterator<Item = Self>) -> Vec<Self> {
        let (one, many): (Vec<_>, Vec<_>) = all.into_iter().partition(|p| p.count == 1);
        let more = one.len().saturating_sub(MOST_TOLD).saturating_add(counted(&many));
        let mut told: Vec<_> = one.into_iter().take(MOST_TOLD).collect();
        if 0 < more {
            let message = format!("and {more} more");
            told.push(Self { path: String::new(), message, count: more });
        }
        told
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
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.message),
            path => write!(f, "{path}: {}", self.message),
        }
    }
}

/// The mistakes found so far.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    told: RefCell<Vec<Problem>>,
    more: Cell<usize>,
}

impl Problems {
    /// Notes one more.
    pub(crate) fn add(&self, path: &str, message: impl Into<String>) {
        if self.are_many() {
            return self.add_untold(1);
        }
        self.told.borrow_mut().push(Problem::new(path, &message.into()));
    }

    /// Whether only their number counts.
    fn are_many(&self) -> bool {
        MOST_TOLD <= self.told.borrow().len()
    }

    fn add_untold(&self, count: usize) {
        self.more.set(self.more.get().saturating_add(count));
    }

    /// The first of them in the order they were found, and the number of the others.
    pub(crate) fn into_vec(self) -> Vec<Problem> {
        let mut all = self.told.into_inner();
        if 0 < self.more.get() {
            all.push(Problem { count: self.more.get(), ..Problem::new("", "") });
        }
        Problem::first(all)
    }
}

/// The fields of one object. Every field that is asked for is a known one; [`Fields::finish`]
/// reports the others.
pub(crate) struct Fields<'a> {
    path: String,
    object: &'a Map<String, Value>,
    known: Vec<&'static str>,
    problems: &'a Problems,
}

impl<'a> Fields<'a> {
    /// The fields of `value`, which must be an object.
    pub(crate) fn of(value: &'a Value, path: &str, problems: &'a Problems) -> Option<Self> {
        let Some(object) = value.as_object() else {
            // The whole may be anything, also a secret that is no configuration.
            let seen = if path.is_empty() { kind(value).to_owned() } else { shown(value) };
            problems.add(path, format!("is {seen}, it must be an object"));
            return None;
        };
        Some(Self { path: path.to_owned(), object, known: Vec::new(), problems })
    }

    /// The place of one field.
    pub(crate) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Whether the field is there. It counts as known.
    pub(crate) fn has(&mut self, key: &'static str) -> bool {
        self.value(key).is_some()
    }

    /// Notes a mistake at one field.
    pub(crate) fn problem(&self, key: &str, message: impl Into<String>) {
        self.problems.add(&self.path_of(key), message);
    }

    /// The field as `parse` reads it, `None` when it is absent or wrong. What `parse` refuses is
    /// reported with the value seen and with what it says is allowed.
    pub(crate) fn optional<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&Value) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.value(key)?;
        parse(value)
            .map_err(|allowed| self.problem(key, format!("is {}, {allowed}", shown(value))))
            .ok()
    }

    /// As [`Fields::optional`], but its absence is a mistake too.
    pub(crate) fn required<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&Value) -> Result<T, String>,
    ) -> Option<T> {
        if !self.has(key) {
            self.problem(key, "is missing");
        }
        self.optional(key, parse)
    }

    /// The fields of the object in a field, `None` when it is absent or no object.
    pub(crate) fn object(&mut self, key: &'static str) -> Option<Self> {
        let value = self.value(key)?;
        Fields::of(value, &self.path_of(key), self.problems)
    }

    /// The members of the array in a field, each with its place, `None` when it is absent or no
    /// array of the allowed length.
    pub(crate) fn array(
        &mut self,
        key: &'static str,
        length: std::ops::RangeInclusive<usize>,
    ) -> Option<Vec<(String, &'a Value)>> {
        let value = self.value(key)?;
        let path = self.path_of(key);
        let Some(members) = value.as_array().filter(|members| length.contains(&members.len()))
        else {
            let (least, most) = (length.start(), length.end());
            let allowed = if *most == usize::MAX {
                format!("a list of at least {least}")
            } else {
                format!("a list of {least} to {most}")
            };
            self.problem(key, format!("is {}, it must be {allowed}", shown(value)));
            return None;
        };
        Some(members.iter().enumerate().map(|(i, v)| (format!("{path}[{i}]"), v)).collect())
    }

    /// The fields of one member of an array.
    pub(crate) fn member<'b>(&self, value: &'b Value, path: &str) -> Option<Fields<'b>>
    where
        'a: 'b,
    {
        Fields::of(value, path, self.problems)
    }

    /// One member of an array as `parse` reads it.
    pub(crate) fn member_as<T>(
        &self,
        value: &Value,
        path: &str,
        parse: impl Fn(&Value) -> Result<T, String>,
    ) -> Option<T> {
        parse(value)
            .map_err(|allowed| self.problems.add(path, format!("is {}, {allowed}", shown(value))))
            .ok()
    }

    /// Reports the fields that nobody asked for, each with the known one that is spelt most alike.
    pub(crate) fn finish(self) {
        for key in self.object.keys().filter(|key| !self.known.contains(&key.as_str())) {
            if self.problems.are_many() {
                self.problems.add_untold(1);
                continue;
            }
            let nearest = nearest(key, self.known.iter().copied());
            let hint = match nearest {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("known here: {}", self.known.join(", ")),
            };
            self.problem(key, format!("is not a known key; {hint}"));
        }
    }

    fn value(&mut self, key: &'static str) -> Option<&'a Value> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.object.get(key)
    }
}

/// The known key that is spelt most alike, where one is.
pub(crate) fn nearest<'a>(key: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|known| (strsim::jaro_winkler(&key.to_lowercase(), &known.to_lowercase()), known))
        .filter(|(likeness, _)| 0.75 < *likeness)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known)
}

/// A value as it is shown in a message: JSON, cut where it gets long.
pub(crate) fn shown(value: &Value) -> String {
    const LONGEST: usize = 60;
    match value {
        Value::Object(_) => "an object".to_owned(),
        Value::Array(members) => format!("a list of {}", members.len()),
        value => {
            let text = value.to_string();
            let cut: String = text.chars().take(LONGEST).collect();
            if cut.len() < text.len() { format!("`{cut}...`") } else { format!("`{text}`") }
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A whole number of a range.
pub(crate) fn whole(
    range: std::ops::RangeInclusive<u32>,
) -> impl Fn(&Value) -> Result<u32, String> {
    move |value| {
        let number = value.as_u64().and_then(|n| u32::try_from(n).ok());
        number.filter(|n| range.contains(n)).ok_or_else(|| {
            format!("it must be a whole number from {} to {}", range.start(), range.end())
        })
    }
}

/// `true` or `false`.
pub(crate) fn boolean(value: &Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| "it must be true or false".to_owned())
}

/// A text that is not empty and not too long.
pub(crate) fn text(longest: usize) -> impl Fn(&Value) -> Result<String, String> {
    move |value| {
        let text = value.as_str().filter(|text| (1..=longest).contains(&text.len()));
        text.map(str::to_owned).ok_or_else(|| format!("it must be text of 1 to {longest} bytes"))
    }
}

/// One of a few words, each standing for a value. YAML takes a bare `on` and `off` for booleans.
pub(crate) fn one_of<T: Copy>(
    choices: &'static [(&'static str, T)],
) -> impl Fn(&Value) -> Result<T, String> {
    move |value| {
        let word = match value {
            Value::Bool(true) => Some("on"),
            Value::Bool(false) => Some("off"),
            value => value.as_str(),
        };
        let found = choices.iter().find(|(choice, _)| Some(*choice) == word);
        found.map(|(_, meaning)| *meaning).ok_or_else(|| {
            let words: Vec<_> = choices.iter().map(|(choice, _)| *choice).collect();
            format!("it must be one of {}", words.join(", "))
        })
    }
}
