//! What a configuration may hold: the reader's own keys, as one pass over a blank document finds them.
//! The JSON Schema, the tables of the documentation and the tags of queues are made of it. Pure.

mod schema;
mod tables;

use std::ops::RangeInclusive;
use std::sync::OnceLock;

use serde_json::{Value, json};

use super::form::Form;
use super::reader::{Reading, allowed_of_list};
use crate::document::{Document, Node};

/// What there is to say of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct About {
    sentence: &'static str,
    default: &'static str,
    tag: Option<&'static str>,
    is_required: bool,
}

/// One sentence on a key.
pub(crate) fn about(sentence: &'static str) -> About {
    About { sentence, ..About::default() }
}

impl From<&'static str> for About {
    fn from(sentence: &'static str) -> Self {
        about(sentence)
    }
}

impl About {
    /// What holds where the key is absent, in Markdown.
    pub(crate) fn defaults_to(self, default: &'static str) -> Self {
        Self { default, ..self }
    }

    /// The tag of a queue that sets it, after the prefix.
    pub(crate) fn tag(self, tag: &'static str) -> Self {
        Self { tag: Some(tag), ..self }
    }

    /// It cannot be absent.
    pub(crate) fn required(self) -> Self {
        Self { is_required: true, ..self }
    }
}

/// A key of the configuration, or the members of a list.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Key {
    /// Such as `workers[].scaling.maxContainers`.
    path: String,
    about: About,
    /// What it may be, in words.
    allowed: String,
    /// The same as JSON Schema, without what is below it.
    schema: Value,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Value,
    Object,
    List,
}

impl Key {
    pub(crate) fn value(path: &str, form: &impl Form, about: About) -> Self {
        let (allowed, schema, kind) = (form.allowed(), form.schema(), Kind::Value);
        Self { path: path.to_owned(), about, allowed, schema, kind }
    }

    /// An object that may also be empty.
    pub(crate) fn section(path: &str, about: About) -> Self {
        let schema = json!({"type": or_empty("object", about)});
        Self { about, schema, ..Self::object(path) }
    }

    /// A member of a list that is an object.
    pub(crate) fn object(path: &str) -> Self {
        let (about, allowed) = (About::default(), "an object".to_owned());
        let (schema, kind) = (json!({"type": "object"}), Kind::Object);
        Self { path: path.to_owned(), about, allowed, schema, kind }
    }

    pub(crate) fn list(path: &str, length: &RangeInclusive<usize>, about: About) -> Self {
        let (least, most) = (length.start(), length.end());
        let kind = or_empty("array", about);
        let schema = json!({"type": kind, "minItems": least, "maxItems": most});
        let allowed = allowed_of_list(length);
        Self { path: path.to_owned(), about, allowed, schema, kind: Kind::List }
    }

    /// What it is in: `scaling` for `scaling.steps`, and that for `scaling.steps[]`.
    fn parent(&self) -> &str {
        let at = self.path.rfind(['.', '[']).unwrap_or_default();
        self.path.get(..at).unwrap_or_default()
    }

    /// Its own name, without what it is in.
    fn name(&self) -> &str {
        let name = self.path.rsplit('.').next().unwrap_or_default();
        name.trim_end_matches("[]")
    }

    fn is_item(&self) -> bool {
        self.path.ends_with("[]")
    }
}

/// A section that may be left out may be there without anything in it.
fn or_empty(kind: &str, about: About) -> Value {
    if about.is_required { json!(kind) } else { json!([kind, "null"]) }
}

/// A tag of a queue, and the key of a worker that it sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TagOf<'a> {
    pub(super) tag: &'static str,
    /// Such as `scaling.maxContainers`.
    pub(super) key: &'a str,
    pub(super) is_list: bool,
}

/// All keys of a configuration.
#[derive(Debug)]
pub struct Shape {
    keys: Vec<Key>,
}

/// What the reader asks a document for.
pub fn shape() -> &'static Shape {
    static SHAPE: OnceLock<Shape> = OnceLock::new();
    SHAPE.get_or_init(|| {
        let reading = Reading::of_shape();
        super::parse::read_all(&BLANK_DOCUMENT, &reading);
        Shape { keys: reading.into_keys().into_iter().fold(Vec::new(), with) }
    })
}

static BLANK_DOCUMENT: Document = Document { source: String::new(), root: Node::BLANK };

/// A key that is asked for twice in the same way is one.
fn with(mut keys: Vec<Key>, key: Key) -> Vec<Key> {
    let is_known = |known: &Key| known.path == key.path && known.schema == key.schema;
    if !keys.iter().any(is_known) {
        keys.push(key);
    }
    keys
}

impl Shape {
    /// The keys at the top of a document.
    pub fn top(&self) -> impl Iterator<Item = &str> {
        self.paths().filter(|path| !path.contains(['.', '[']))
    }

    /// The path of every key, such as `workers[].scaling.maxContainers`.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().filter(|key| !key.is_item()).map(|key| &*key.path)
    }

    /// The name of every key, without what it is in.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().filter(|key| !key.is_item()).map(Key::name)
    }

    pub(super) fn tags(&self) -> impl Iterator<Item = TagOf<'_>> {
        self.keys.iter().filter_map(|key| {
            let tag = key.about.tag?;
            let path = key.path.strip_prefix("workers[].")?;
            Some(TagOf { tag, key: path, is_list: key.kind == Kind::List })
        })
    }
}

#[cfg(test)]
mod tests;
