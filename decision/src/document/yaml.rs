//! From the events of a YAML parser to a tree of values.

use std::collections::BTreeMap;

use granit_parser::{ErrorKind, Event, Marker, Parser, ScalarStyle, ScanError, Tag};

use super::{Content, Member, Node, Position, Problem, Scalar};

/// Values that aliases (`*name`) may repeat: a text of a megabyte could otherwise become any length.
const MOST_REPEATED: usize = 100_000;

/// The values of a text.
pub(super) fn parse(text: &str) -> Result<Node, Vec<Problem>> {
    let mut tree = Tree::default();
    let parsed = tree.grow(text);
    tree.problems.extend(parsed.err().map(|problem| *problem));
    if tree.problems.is_empty() { Ok(tree.root) } else { Err(Problem::first(tree.problems)) }
}

/// A tree that is being built.
#[derive(Default)]
struct Tree {
    root: Node,
    /// The lists and objects that are not closed yet, the outermost first.
    open: Vec<Open>,
    /// What anchors (`&name`) name, by number.
    anchors: BTreeMap<usize, Node>,
    repeated: usize,
    documents: usize,
    problems: Vec<Problem>,
}

/// A list or an object that is not closed yet.
struct Open {
    node: Node,
    anchor: usize,
    /// The key whose value comes next.
    key: Option<Key>,
    /// The keys so far, and the line of each.
    known: BTreeMap<String, usize>,
    /// What `<<` brings in.
    merged: Vec<Node>,
}

struct Key {
    text: String,
    position: Position,
    is_merge: bool,
}

impl Tree {
    fn grow(&mut self, text: &str) -> Result<(), Box<Problem>> {
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(|error| Box::new(broken(&error)))?;
            // The parser writes `~` for what is not there.
            let event = match event {
                Event::Scalar(_, ScalarStyle::Plain, anchor, tag) if span.is_empty() => {
                    Event::Scalar("".into(), ScalarStyle::Plain, anchor, tag)
                }
                event => event,
            };
            self.take(event, position_of(&span.start))?;
        }
        Ok(())
    }

    fn take(&mut self, event: Event<'_>, position: Position) -> Result<(), Box<Problem>> {
        match event {
            Event::DocumentStart(..) => self.begin(position)?,
            Event::Scalar(text, style, anchor, tag) => {
                let content = Content::Scalar(scalar(&text, style, tag.as_deref()));
                let node = Node { position: Some(position), content };
                if self.is_key_next() {
                    self.key(node, style)?;
                } else {
                    self.add(node, anchor);
                }
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.open(Content::List(Vec::new()), position, anchor)?;
                self.tag(tag.as_deref(), position);
            }
            Event::MappingStart(_, anchor, tag) => {
                self.open(Content::Object(Vec::new()), position, anchor)?;
                self.tag(tag.as_deref(), position);
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => self.repeat(anchor, position)?,
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, position: Position) -> Result<(), Box<Problem>> {
        self.documents = self.documents.saturating_add(1);
        if self.documents == 1 {
            return Ok(());
        }
        stop(problem(position, "a second document begins here, after `---`; only one is read"))
    }

    fn is_key_next(&self) -> bool {
        self.open.last().is_some_and(|open| open.node.members().is_some() && open.key.is_none())
    }

    fn key(&mut self, node: Node, style: ScalarStyle) -> Result<(), Box<Problem>> {
        let position = node.position.unwrap_or(START);
        let Content::Scalar(scalar) = node.content else { return stop(no_key(position)) };
        if scalar.tag().is_some() {
            return stop(no_key(position));
        }
        let text = scalar.into_text();
        let is_merge = style == ScalarStyle::Plain && text == "<<";
        let Some(open) = self.open.last_mut() else { return Ok(()) };
        if let (Some(line), false) = (open.known.get(&text), is_merge) {
            let message = format!("the key `{text}` is given twice, first in line {line}");
            self.problems.push(problem(position, &message));
        }
        if !is_merge {
            open.known.entry(text.clone()).or_insert(position.line);
        }
        open.key = Some(Key { text, position, is_merge });
        Ok(())
    }

    fn open(
        &mut self,
        content: Content,
        position: Position,
        anchor: usize,
    ) -> Result<(), Box<Problem>> {
        if self.is_key_next() {
            return stop(no_key(position));
        }
        let node = Node { position: Some(position), content };
        let (key, known, merged) = (None, BTreeMap::new(), Vec::new());
        self.open.push(Open { node, anchor, key, known, merged });
        Ok(())
    }

    /// A list or an object with a tag of its own means nothing here, whatever is in it.
    fn tag(&mut self, tag: Option<&Tag>, position: Position) {
        let Some(foreign) = tag.filter(|tag| is_foreign(tag)) else { return };
        let message = meaningless(&foreign.original());
        self.problems.push(problem(position, &message));
    }

    fn close(&mut self) {
        let Some(Open { mut node, anchor, key: _, mut known, merged }) = self.open.pop() else {
            return;
        };
        let merged = merged.into_iter().filter_map(|source| match source.content {
            Content::Object(members) => Some(members),
            Content::Scalar(_) | Content::List(_) => None,
        });
        if let Content::Object(members) = &mut node.content {
            // What is there already is not replaced.
            let is_new = |member: &Member| known.insert(member.key.clone(), 0).is_none();
            members.extend(merged.flatten().filter(is_new));
        }
        self.add(node, anchor);
    }

    fn add(&mut self, node: Node, anchor: usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(open) = self.open.last_mut() else {
            self.root = node;
            return;
        };
        let problem = match (&mut open.node.content, open.key.take()) {
            (Content::Object(_), Some(key)) if key.is_merge => open.merge(node, key.position),
            (Content::Object(members), Some(key)) => {
                members.push(Member { key: key.text, position: Some(key.position), value: node });
                None
            }
            (Content::List(items), _) => {
                items.push(node);
                None
            }
            _ => None,
        };
        self.problems.extend(problem);
    }

    fn repeat(&mut self, anchor: usize, position: Position) -> Result<(), Box<Problem>> {
        if self.is_key_next() {
            return stop(no_key(position));
        }
        let Some(node) = self.anchors.get(&anchor) else {
            return stop(problem(position, "this alias stands within what it repeats"));
        };
        let node = node.clone();
        self.repeated = self.repeated.saturating_add(values_in(&node));
        if MOST_REPEATED < self.repeated {
            let message = format!("aliases repeat more than {MOST_REPEATED} values up to here");
            return stop(problem(position, &message));
        }
        self.add(node, 0);
        Ok(())
    }
}

impl Open {
    /// What `<<` brings in: an object, or a list of them.
    fn merge(&mut self, node: Node, position: Position) -> Option<Problem> {
        let sources = match node.content {
            Content::List(items) => items,
            content => vec![Node { content, ..node }],
        };
        if sources.iter().any(|source| source.members().is_none()) {
            return Some(problem(position, "expected an object, or a list of them, after `<<`"));
        }
        self.merged.extend(sources);
        None
    }
}

fn values_in(node: &Node) -> usize {
    let below: usize = match &node.content {
        Content::Scalar(_) => 0,
        Content::List(items) => items.iter().map(values_in).sum(),
        Content::Object(members) => members.iter().map(|member| values_in(&member.value)).sum(),
    };
    below.saturating_add(1)
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Scalar {
    match tag {
        Some(tag) if is_foreign(tag) => Scalar::tagged(format!("{} {text}", tag.original())),
        Some(tag) if tag.core_suffix().is_some_and(|suffix| suffix != "str") => Scalar::plain(text),
        None if style == ScalarStyle::Plain => Scalar::plain(text),
        _ => Scalar::text(text),
    }
}

/// Whether a tag is none of YAML's own: `!Ref` is, `!!str` and `!` are not.
fn is_foreign(tag: &Tag) -> bool {
    tag.core_suffix().is_none() && tag.original() != "!"
}

/// What is to be said of a tag that is none of YAML's own.
pub(crate) fn meaningless(tag: &str) -> String {
    format!(
        "the tag `{tag}` means nothing here, as nobody replaces it when this is read; write the \
         value itself"
    )
}

const START: Position = Position { line: 1, column: 1 };

fn position_of(mark: &Marker) -> Position {
    Position { line: mark.line(), column: mark.col().saturating_add(1) }
}

fn problem(position: Position, message: &str) -> Problem {
    Problem::new("", message).at(Some(position))
}

/// What is wrong so that no more can be read.
fn stop(problem: Problem) -> Result<(), Box<Problem>> {
    Err(Box::new(problem))
}

fn no_key(position: Position) -> Problem {
    problem(position, "expected a key, which is text")
}

fn broken(error: &ScanError) -> Problem {
    let why = match error.kind() {
        ErrorKind::UnknownAnchor => "an alias (`*name`) needs an anchor (`&name`) before it".into(),
        ErrorKind::UnclosedQuotedScalar => "a quotation mark is opened and not closed".into(),
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation => "a tab stands where only spaces may".into(),
        ErrorKind::ExpectedBlockMappingKey => "expected a key, indented like the others".into(),
        ErrorKind::MappingValueNotAllowed => {
            "a `: ` where no key may begin; indent it like the keys beside it, or put a text that \
             has one in quotes"
                .into()
        }
        ErrorKind::RecursionLimitExceeded => "it is nested too deeply".to_owned(),
        _ => error.info(),
    };
    problem(position_of(error.marker()), &format!("this is not valid YAML: {why}"))
}

#[cfg(test)]
mod tests;
