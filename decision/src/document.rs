//! A document as somebody wrote it: its values, where each of them stands, and how it is written. Pure.
//!
//! Nothing is converted before somebody asks for a number or a text, so that a mistake can show what
//! is in the file.

mod problem;
mod scalar;
mod yaml;

use serde_json::Value;

pub use problem::Problem;
pub(crate) use problem::{MOST_REPORTED, counted};
pub(crate) use scalar::Scalar;
pub(crate) use yaml::meaningless;

/// A parsed text, and what its mistakes are reported with. It may hold secrets: `Debug` says where it is
/// from.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Document {
    /// Where it is from, such as `workers.yaml`; empty where nobody asks.
    pub(crate) source: String,
    pub(crate) root: Node,
}

/// A position in a text, as editors count: from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character in the line.
    pub column: usize,
}

/// A value of a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Node {
    /// `None` where there is no text, as in an event.
    pub(crate) position: Option<Position>,
    pub(crate) content: Content,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Scalar(Scalar),
    List(Vec<Node>),
    Object(Vec<Member>),
}

/// A key of an object, and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) key: String,
    /// Of the key.
    pub(crate) position: Option<Position>,
    pub(crate) value: Node,
}

impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Document").field("source", &self.source).finish_non_exhaustive()
    }
}

impl Document {
    /// Reads YAML, of which JSON is a part. Mistakes are reported with `source` before them.
    ///
    /// # Errors
    /// Where it is no YAML, or what of YAML is not taken here.
    pub fn parse(source: &str, text: &str) -> Result<Self, Vec<Problem>> {
        match yaml::parse(text) {
            Ok(root) => Ok(Self { source: source.to_owned(), root }),
            Err(problems) => Err(problems.into_iter().map(|p| p.of_source(source)).collect()),
        }
    }

    /// A document that was parsed elsewhere: its mistakes have no line.
    pub fn of_value(source: &str, value: &Value) -> Self {
        Self { source: source.to_owned(), root: Node::from(value) }
    }

    /// The whole of it.
    pub(crate) fn root(&self) -> &Node {
        &self.root
    }
}

impl Default for Content {
    fn default() -> Self {
        Self::Scalar(Scalar::default())
    }
}

impl Node {
    /// Nothing.
    pub(crate) const BLANK: Self =
        Self { position: None, content: Content::Scalar(Scalar::NOTHING) };

    /// What somebody wrote without a type, as in the tag of a queue: it is what is asked for.
    pub(crate) fn untyped(text: &str) -> Self {
        Self::of_scalar(Scalar::untyped(text))
    }

    pub(crate) fn of_scalar(scalar: Scalar) -> Self {
        Self { position: None, content: Content::Scalar(scalar) }
    }

    pub(crate) fn list(members: Vec<Self>) -> Self {
        Self { position: None, content: Content::List(members) }
    }

    pub(crate) fn object() -> Self {
        Self { position: None, content: Content::Object(Vec::new()) }
    }

    pub(crate) fn scalar(&self) -> Option<&Scalar> {
        match &self.content {
            Content::Scalar(scalar) => Some(scalar),
            Content::List(_) | Content::Object(_) => None,
        }
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        self.scalar()?.as_str()
    }

    pub(crate) fn as_bool(&self) -> Option<bool> {
        self.scalar()?.as_bool()
    }

    pub(crate) fn as_u64(&self) -> Option<u64> {
        self.scalar()?.as_u64()
    }

    pub(crate) fn as_f64(&self) -> Option<f64> {
        self.scalar()?.as_f64()
    }

    /// Whether nothing is there, though its key is.
    pub(crate) fn is_null(&self) -> bool {
        self.scalar().is_some_and(Scalar::is_null)
    }

    pub(crate) fn members(&self) -> Option<&[Member]> {
        match &self.content {
            Content::Object(members) => Some(members),
            Content::Scalar(_) | Content::List(_) => None,
        }
    }

    pub(crate) fn items(&self) -> Option<&[Self]> {
        match &self.content {
            Content::List(items) => Some(items),
            Content::Scalar(_) | Content::Object(_) => None,
        }
    }

    pub(crate) fn member(&self, key: &str) -> Option<&Member> {
        self.members()?.iter().find(|member| member.key == key)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.member(key).map(|member| &member.value)
    }

    /// Puts a value where a path such as `scaling.steps` says.
    pub(crate) fn put(&mut self, path: &str, value: Self) {
        let Content::Object(members) = &mut self.content else { return };
        let (key, rest) = path.split_once('.').map_or((path, None), |(k, rest)| (k, Some(rest)));
        let known = members.iter().position(|member| member.key == key);
        let index = known.unwrap_or(members.len());
        if known.is_none() {
            members.push(Member { key: key.to_owned(), position: None, value: Self::object() });
        }
        let Some(member) = members.get_mut(index) else { return };
        match rest {
            Some(rest) => member.value.put(rest, value),
            None => member.value = value,
        }
    }

    /// How it is shown in a message: as it is written, cut where it gets long.
    pub(crate) fn shown(&self) -> String {
        match &self.content {
            Content::Scalar(scalar) => scalar.shown(),
            Content::List(items) if items.is_empty() => "an empty list".to_owned(),
            Content::List(items) => format!("a list of {}", items.len()),
            Content::Object(_) => "an object".to_owned(),
        }
    }

    /// What it is, without its content, which may be a secret.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.content {
            Content::Scalar(scalar) => scalar.kind_in_words(),
            Content::List(_) => "a list",
            Content::Object(_) => "an object",
        }
    }
}

impl From<&Value> for Node {
    fn from(value: &Value) -> Self {
        let member = |(key, value): (&String, &Value)| Member {
            key: key.clone(),
            position: None,
            value: Self::from(value),
        };
        let content = match value {
            Value::Array(items) => Content::List(items.iter().map(Self::from).collect()),
            Value::Object(members) => Content::Object(members.iter().map(member).collect()),
            scalar => Content::Scalar(Scalar::from(scalar)),
        };
        Self { position: None, content }
    }
}
