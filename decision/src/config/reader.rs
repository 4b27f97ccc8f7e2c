//! Reads a document field by field and collects what is wrong with it, so that a person sees every
//! mistake of a file at once. The same pass over a blank document yields what there may be. Pure.

use std::cell::{Cell, RefCell};
use std::ops::RangeInclusive;

use super::form::{Form, Wrong};
use super::shape::{About, Key};
use crate::document::{Document, MOST_REPORTED, Node, Position, Problem, Scalar, meaningless};

/// What is found while a document, or a worker of it, is read.
#[derive(Default)]
pub(crate) struct Reading {
    source: String,
    worker: Option<String>,
    reported: RefCell<Vec<Problem>>,
    more: Cell<usize>,
    warnings: RefCell<Vec<Problem>>,
    /// The keys that are asked for, where that is what is wanted.
    shape: Option<RefCell<Vec<Key>>>,
}

impl Reading {
    /// Of a document.
    pub(crate) fn of(document: &Document) -> Self {
        Self { source: document.source.clone(), ..Self::default() }
    }

    /// Of a blank document, for its keys.
    pub(crate) fn of_shape() -> Self {
        Self { shape: Some(RefCell::default()), ..Self::default() }
    }

    /// Of a worker of the same document, by its name, where it has one.
    pub(crate) fn of_worker(&self, name: Option<&str>) -> Self {
        let shape = self.shape.as_ref().map(|_| RefCell::default());
        let (source, worker) = (self.source.clone(), name.map(str::to_owned));
        Self { source, worker, shape, ..Self::default() }
    }

    /// The fields of a value, which must be an object.
    pub(crate) fn fields<'a>(&'a self, node: &'a Node, path: &str) -> Option<Fields<'a>> {
        if node.members().is_some() || self.shape.is_some() {
            let (path, known, refused) = (path.to_owned(), Vec::new(), Vec::new());
            return Some(Fields { path, node, known, refused, reading: self });
        }
        // The whole may be anything, also a secret that is not a configuration.
        let seen = if path.is_empty() { node.kind().to_owned() } else { seen(node, path) };
        let expected = if path.is_empty() { "keys such as `workers:`" } else { "an object" };
        self.add(
            path,
            node.position,
            &format!("expected {expected}, got {seen}{}", hint_of_tag(node, path)),
        );
        None
    }

    /// The same of a member of a list.
    pub(crate) fn fields_of_item<'a>(&'a self, node: &'a Node, path: &str) -> Option<Fields<'a>> {
        self.record(path, || Key::object(path));
        self.fields(node, path)
    }

    /// Notes one more mistake.
    pub(crate) fn add(&self, path: &str, position: Option<Position>, message: &str) {
        if self.are_many() {
            return self.add_number(1);
        }
        self.reported.borrow_mut().push(self.problem(path, position, message));
    }

    /// Where the document is from.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// Notes what somebody may mean, in another's words.
    pub(crate) fn warn_of(&self, warning: Problem) {
        self.warnings.borrow_mut().push(warning);
    }

    /// Notes what somebody may mean, and most do not.
    pub(crate) fn warn(&self, path: &str, position: Option<Position>, message: &str) {
        self.warn_of(self.problem(path, position, message));
    }

    fn problem(&self, path: &str, position: Option<Position>, message: &str) -> Problem {
        let problem = Problem::new(path, message).at(position).in_worker(self.worker.as_deref());
        problem.of_source(&self.source)
    }

    /// How many mistakes there are so far.
    pub(crate) fn count(&self) -> usize {
        self.reported.borrow().len().saturating_add(self.more.get())
    }

    /// Whether only their number counts.
    fn are_many(&self) -> bool {
        MOST_REPORTED <= self.reported.borrow().len()
    }

    fn add_number(&self, count: usize) {
        self.more.set(self.more.get().saturating_add(count));
    }

    fn record(&self, path: &str, key: impl FnOnce() -> Key) {
        if let Some(shape) = self.shape.as_ref().filter(|_| !path.is_empty()) {
            shape.borrow_mut().push(key());
        }
    }

    /// Takes over what was found in a part of it.
    pub(crate) fn include(&self, part: &Self) {
        self.warnings.borrow_mut().append(&mut part.warnings.borrow_mut());
        if let (Some(all), Some(more)) = (&self.shape, &part.shape) {
            all.borrow_mut().append(&mut more.borrow_mut());
        }
    }

    /// The keys that were asked for.
    pub(crate) fn into_keys(self) -> Vec<Key> {
        self.shape.map(RefCell::into_inner).unwrap_or_default()
    }

    /// What somebody may mean, in the order of the document: the first, and the number of the others.
    pub(crate) fn take_warnings(&self) -> Vec<Problem> {
        let mut all = self.warnings.take();
        all.sort_by_key(|problem| problem.position);
        Problem::first(all)
    }

    /// The first mistakes in the order of the document, and the number of the others.
    pub(crate) fn take_problems(&self) -> Vec<Problem> {
        let mut all = self.reported.take();
        all.sort_by_key(|problem| problem.position);
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
    node: &'a Node,
    known: Vec<&'static str>,
    /// What is reported already, with what to do instead.
    refused: Vec<&'static str>,
    reading: &'a Reading,
}

/// A blank document's values.
static BLANK: Node = Node::BLANK;

impl<'a> Fields<'a> {
    /// What is found while these fields are read.
    pub(crate) fn reading(&self) -> &'a Reading {
        self.reading
    }

    /// The path of one field.
    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Whether the field is there, and has a value. It counts as known.
    pub(crate) fn has(&mut self, key: &'static str) -> bool {
        self.section(key).is_some()
    }

    /// Notes a mistake at one field.
    pub(crate) fn problem(&self, key: &str, message: &str) {
        self.reading.add(&self.path_of(key), self.position_of(key), message);
    }

    /// Notes what somebody may mean at one field.
    pub(crate) fn warn(&self, key: &str, message: &str) {
        self.reading.warn(&self.path_of(key), self.position_of(key), message);
    }

    /// Notes a value of the shipped example at one field.
    pub(crate) fn warn_of_example(&self, key: &str, message: &str) {
        let problem = self.reading.problem(&self.path_of(key), self.position_of(key), message);
        self.reading.warn_of(Problem { is_of_example: true, ..problem });
    }

    /// Where a field's value is, or where it could be.
    fn position_of(&self, key: &str) -> Option<Position> {
        self.node.get(key).map_or(self.node.position, |value| value.position)
    }

    /// The field as a form reads it, `None` when it is absent or wrong. What the form refuses is
    /// reported with the value seen and with what is allowed.
    pub(crate) fn optional<F: Form>(
        &mut self,
        key: &'static str,
        form: F,
        about: impl Into<About>,
    ) -> Option<F::Value> {
        self.record(key, |path| Key::value(path, &form, about.into()));
        let value = self.value(key)?;
        self.read(value, &self.path_of(key), &form)
    }

    /// As [`Fields::optional`], but its absence is a mistake too.
    pub(crate) fn required<F: Form>(
        &mut self,
        key: &'static str,
        form: F,
        about: impl Into<About>,
    ) -> Option<F::Value> {
        self.record(key, |path| Key::value(path, &form, about.into().required()));
        let value = self.section(key);
        if value.is_none() {
            self.problem(key, "is missing");
        }
        self.read(value?, &self.path_of(key), &form)
    }

    fn read<F: Form>(&self, value: &Node, path: &str, form: &F) -> Option<F::Value> {
        let wrong = match form.read(value) {
            Ok(meaning) => return Some(meaning),
            Err(wrong) => wrong,
        };
        let why = match wrong {
            _ if is_text_without_quotes(value, form) && is_secret(path) => {
                format!(": that is {}, put it in quotes", value.kind())
            }
            _ if is_text_without_quotes(value, form) => {
                let text = value.scalar().and_then(Scalar::quoted).map(|quoted| quoted.shown());
                let text = text.unwrap_or_default();
                format!(": that is {}, put it in quotes: {text}", value.kind())
            }
            Wrong::Because(why) => format!(": {why}"),
            Wrong::NotAllowed if value.scalar().is_some_and(Scalar::has_leading_zero) => {
                ": a zero before it makes an octal number of it for some; write it without".into()
            }
            Wrong::NotAllowed => hint_of_tag(value, path),
        };
        let message = format!("expected {}, got {}{why}", form.allowed(), seen(value, path));
        self.reading.add(path, value.position, &message);
        None
    }

    /// The fields of the object in a field, `None` when it is absent, empty or no object.
    pub(crate) fn object(&mut self, key: &'static str, about: impl Into<About>) -> Option<Self> {
        self.record(key, |path| Key::section(path, about.into()));
        let path = self.path_of(key);
        self.reading.fields(self.section_or_blank(key)?, &path)
    }

    /// The members of the list in a field as a form reads each, `None` when it is absent, empty or
    /// no list of the allowed length.
    pub(crate) fn list<F: Form>(
        &mut self,
        key: &'static str,
        list: &ListOf<F>,
        about: impl Into<About>,
    ) -> Option<Vec<F::Value>> {
        let items = self.items(key, list.length.clone(), about)?;
        let item = |(index, node): (usize, &Node)| {
            let path = self.path_of_item(key, index);
            self.reading.record(&path, || Key::value(&path, &list.of, About::default()));
            self.read(node, &path, &list.of)
        };
        Some(items.iter().enumerate().filter_map(item).collect())
    }

    /// The members of the list in a field as objects; those that are none are reported and left out.
    pub(crate) fn objects(
        &mut self,
        key: &'static str,
        length: RangeInclusive<usize>,
        about: impl Into<About>,
    ) -> Option<Vec<Self>> {
        let items = self.items(key, length, about)?;
        let fields =
            |(index, node)| self.reading.fields_of_item(node, &self.path_of_item(key, index));
        Some(items.iter().enumerate().filter_map(fields).collect())
    }

    /// The members of the list in a field.
    pub(crate) fn items(
        &mut self,
        key: &'static str,
        length: RangeInclusive<usize>,
        about: impl Into<About>,
    ) -> Option<&'a [Node]> {
        self.record(key, |path| Key::list(path, &length, about.into()));
        if self.is_blank() {
            return Some(std::slice::from_ref(&BLANK));
        }
        let value = self.section(key)?;
        let items = value.items().filter(|items| length.contains(&items.len()));
        if items.is_none() {
            let allowed = allowed_of_list(&length);
            let path = self.path_of(key);
            let hint = hint_of_tag(value, &path);
            let message = format!("expected {allowed}, got {}{hint}", seen(value, &path));
            self.problem(key, &message);
        }
        items
    }

    /// Refuses a field that ECS has and that is not to be here, with what to do instead.
    pub(crate) fn refuses(&mut self, key: &'static str, instead: &str) {
        if self.is_written(key) {
            self.refused.push(key);
            self.problem(key, instead);
        }
    }

    /// The path of a member of a list.
    pub(crate) fn path_of_item(&self, key: &str, index: usize) -> String {
        match &self.reading.shape {
            Some(_) => format!("{}[]", self.path_of(key)),
            None => format!("{}[{index}]", self.path_of(key)),
        }
    }

    /// Whether a pass over a blank document wants all keys.
    pub(crate) fn is_blank(&self) -> bool {
        self.reading.shape.is_some()
    }

    /// Whether the field is in this very object, and not a default.
    pub(crate) fn is_written(&self, key: &str) -> bool {
        self.node.get(key).is_some()
    }

    /// Whether the field holds a list.
    pub(crate) fn has_list(&mut self, key: &'static str) -> bool {
        self.section(key).is_some_and(|value| value.items().is_some())
    }

    /// Whether the field holds an object.
    pub(crate) fn has_object(&mut self, key: &'static str) -> bool {
        self.section(key).is_some_and(|value| value.members().is_some())
    }

    /// Counts other fields as known: somebody else reads them.
    pub(crate) fn knows(&mut self, keys: impl IntoIterator<Item = &'static str>) {
        self.known.extend(keys);
    }

    /// Reports the fields that nobody asked for, each with the known one that is spelt most alike.
    pub(crate) fn finish(self) {
        let members = self.node.members().unwrap_or_default();
        let is_reported = |key: &str| self.known.contains(&key) || self.refused.contains(&key);
        for member in members.iter().filter(|member| !is_reported(&member.key)) {
            if self.reading.are_many() {
                self.reading.add_number(1);
                continue;
            }
            let hint = match nearest(&member.key, self.known.iter().copied()) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("known here: {}", self.known.join(", ")),
            };
            let message = format!("is not a known key; {hint}");
            self.reading.add(&self.path_of(&member.key), member.position, &message);
        }
    }

    /// Records a key, where that is what is wanted.
    fn record(&self, key: &str, describe: impl FnOnce(&str) -> Key) {
        if self.is_blank() {
            let path = self.path_of(key);
            self.reading.record(&path, || describe(&path));
        }
    }

    fn value(&mut self, key: &'static str) -> Option<&'a Node> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.node.get(key)
    }

    /// An empty section is as if it were left out.
    fn section(&mut self, key: &'static str) -> Option<&'a Node> {
        self.value(key).filter(|value| !value.is_null())
    }

    fn section_or_blank(&mut self, key: &'static str) -> Option<&'a Node> {
        let blank = self.is_blank().then_some(&BLANK);
        self.section(key).or(blank)
    }
}

/// What values are secrets: a mistake beside one may have the secret itself in the wrong place.
const SECRET: &str = "launch.overrides";

fn is_secret(path: &str) -> bool {
    path.contains(SECRET)
}

/// What a value is, as far as it may be reported.
fn seen(value: &Node, path: &str) -> String {
    if is_secret(path) { value.kind().to_owned() } else { value.shown() }
}

/// A list of so many, each of a form.
pub(crate) struct ListOf<F> {
    pub(crate) length: RangeInclusive<usize>,
    pub(crate) of: F,
}

/// What a list of so many may be, as it follows "expected".
pub(crate) fn allowed_of_list(length: &RangeInclusive<usize>) -> String {
    let (least, most) = (length.start(), length.end());
    if least == most {
        format!("a list of {least}")
    } else {
        format!("a list of {least} to {most}")
    }
}

/// What to say of a value with a tag, which says less than whoever wrote it thinks.
fn hint_of_tag(node: &Node, path: &str) -> String {
    match node.scalar().and_then(Scalar::tag) {
        // It may be the beginning of a secret.
        Some(_) if is_secret(path) => {
            ": a text that begins with `!` has to be in quotes".to_owned()
        }
        Some(tag) => format!(": {}", meaningless(tag)),
        None => String::new(),
    }
}

/// Whether quotes are all that is missing.
fn is_text_without_quotes<F: Form>(node: &Node, form: &F) -> bool {
    let quoted = node.scalar().and_then(Scalar::quoted);
    let quoted = quoted.map(Node::of_scalar);
    quoted.is_some_and(|node| form.read(&node).is_ok())
}

/// The known name that is spelt most alike, where one is.
pub fn nearest<'a>(key: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|known| (strsim::jaro_winkler(&key.to_lowercase(), &known.to_lowercase()), known))
        .filter(|(likeness, _)| 0.75 < *likeness)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known)
}
