//! What AWS says, as far as it may be shown. Pure.
//!
//! Errors, failures and stop reasons are open texts: they may quote a command, echo a whole task
//! definition, and be as long as they like. What is secret in one is known by what it contains,
//! wherever it came from: by its shape, and by the values of the definitions that were seen.

mod shapes;

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use self::shapes::without_quotations;

/// What stands where something was taken out.
const REDACTED: &str = "[redacted]";

/// As much as a person reads of a text, in bytes.
const LONGEST: usize = 1024;

/// Of a longer text, no more than this is looked at.
const LONGEST_READ: usize = 16 * LONGEST;

/// Shorter texts keep no secret, and taking them out would garble the message.
const SHORTEST_SECRET: usize = 6;

/// Shorter ones count as whole words only.
const SHORTEST_PART: usize = 10;

/// The fields of a definition whose texts are names or settings. All others are values, also those
/// that are younger than this list.
const OPEN_FIELDS: [&str; 30] = [
    "name",
    "key",
    "family",
    "image",
    "containerName",
    "sourceContainer",
    "sourceVolume",
    "links",
    "condition",
    "networkMode",
    "pidMode",
    "ipcMode",
    "cpu",
    "memory",
    "logDriver",
    "type",
    "protocol",
    "appProtocol",
    "taskRoleArn",
    "executionRoleArn",
    "taskDefinitionArn",
    "registeredBy",
    "registeredAt",
    "status",
    "requiresCompatibilities",
    "compatibilities",
    "cpuArchitecture",
    "operatingSystemFamily",
    "expression",
    "versionConsistency",
];

/// The maps of a definition whose keys are the operator's: `name`, `image` or `memory` is no field there.
const FREE_MAPS: [&str; 4] = ["dockerLabels", "labels", "options", "driverOpts"];

/// The values of the task definitions that were seen.
///
/// They are kept in pieces: what stands between two characters that some way of escaping changes is
/// the same in every one of them, so that a key of many lines is known in JSON within JSON too.
#[derive(Clone, Default)]
pub struct Secrets {
    definitions: BTreeSet<String>,
    /// Longest first, or the rest of one would stay behind a shorter one.
    pieces: BTreeSet<(std::cmp::Reverse<usize>, String)>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets")
    }
}

impl Secrets {
    /// Remembers the values of a definition, which has a name of its own, and says whether it was new.
    pub fn learn(&mut self, definition: &str, document: &Value) -> bool {
        if !self.definitions.insert(definition.to_owned()) {
            return false;
        }
        let mut texts = Texts::default();
        texts.collect(document, Field::Value);
        // What stands in a name is shown anyway: a Region, an account, an image.
        let is_shown = |piece: &String| texts.open.iter().any(|open| open.contains(piece.as_str()));
        // A value of short pieces is known as a whole, and as JSON has it.
        let wholes = texts.secret.iter().flat_map(|text| {
            let json = Value::from(*text).to_string();
            [(*text).to_owned(), json.trim_matches('"').to_owned()]
        });
        let pieces = texts.secret.iter().flat_map(|text| pieces(text)).map(str::to_owned);
        let pieces = pieces.chain(wholes);
        let pieces = pieces.filter(|piece| SHORTEST_SECRET <= piece.len() && !is_shown(piece));
        let pieces = pieces.map(|piece| (std::cmp::Reverse(piece.len()), piece));
        self.pieces.extend(pieces);
        true
    }

    /// A text of AWS as it may be shown: without the values of any definition, on one line, and no
    /// longer than a person reads. What was made of it before more was known may be given again.
    pub fn redacted(&self, text: &str) -> String {
        let (text, _) = cut(text, LONGEST_READ);
        let (text, before) = cut_before(text);
        let mut text = without_quotations(text);
        for (_, piece) in &self.pieces {
            if text.contains(piece.as_str()) {
                text = without(&text, piece);
            }
            if let Some(begun) = begun_at_the_end(&text, piece) {
                text.truncate(begun);
                text.push_str(REDACTED);
            }
        }
        let text = on_one_line(&once(&text));
        let (text, more) = cut(&text, LONGEST);
        match more.saturating_add(before) {
            0 => text.to_owned(),
            more => format!("{text}... ({more}{MORE}"),
        }
    }
}

/// How a text ends that was cut.
const MORE: &str = " bytes more)";

/// A text without that end, and how many bytes it says.
fn cut_before(text: &str) -> (&str, usize) {
    let end = text.strip_suffix(MORE).and_then(|text| text.rsplit_once("... ("));
    let end = end.and_then(|(text, more)| Some((text, more.parse().ok()?)));
    end.unwrap_or((text, 0))
}

#[derive(Clone, Copy)]
enum Field {
    Open,
    Value,
    /// A map with keys of the operator's, or what is in one.
    Free,
}

impl Field {
    /// The field of this name in what this one holds.
    fn called(self, name: &str) -> Self {
        match self {
            Self::Free => Self::Free,
            Self::Open | Self::Value if FREE_MAPS.contains(&name) => Self::Free,
            Self::Open | Self::Value if OPEN_FIELDS.contains(&name) => Self::Open,
            Self::Open | Self::Value => Self::Value,
        }
    }
}

/// The texts of a definition.
#[derive(Default)]
struct Texts<'a> {
    open: Vec<&'a str>,
    secret: Vec<&'a str>,
}

impl<'a> Texts<'a> {
    fn collect(&mut self, value: &'a Value, field: Field) {
        match (value, field) {
            (Value::String(text), Field::Open) => self.open.push(text),
            (Value::String(text), Field::Value | Field::Free) => self.secret.push(text),
            (Value::Array(members), _) => members.iter().for_each(|m| self.collect(m, field)),
            (Value::Object(fields), _) => {
                fields.iter().for_each(|(name, value)| self.collect(value, field.called(name)));
            }
            _ => {}
        }
    }
}

/// What no way of escaping changes.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let stays = |c: char| matches!(c, ' '..='~') && !"\"'\\<>&=`".contains(c);
    text.split(move |c| !stays(c)).map(str::trim)
}

/// A text without a piece. A short one counts where it is not a part of a longer word.
fn without(text: &str, piece: &str) -> String {
    if SHORTEST_PART <= piece.len() {
        return text.replace(piece, REDACTED);
    }
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(piece) {
        kept.push_str(before);
        let is_part = kept.ends_with(is_word) && !ends_with_escape(&kept);
        let is_part = is_part || after.starts_with(is_word);
        kept.push_str(if is_part { piece } else { REDACTED });
        rest = after;
    }
    kept + rest
}

/// Whether a text ends with such as `\n` or `\u000a`, of which the letters are no part of a word.
fn ends_with_escape(text: &str) -> bool {
    let escaped = text.rsplit_once('\\').map_or("", |(_, escaped)| escaped);
    matches!(escaped, "b" | "f" | "n" | "r" | "t") || escaped.len() == 5 && escaped.starts_with('u')
}

/// Where the beginning of a piece stands at the end of a text: AWS cuts what gets long.
fn begun_at_the_end(text: &str, piece: &str) -> Option<usize> {
    let text = text.trim_end_matches(['.', '…']);
    let first = piece.get(..SHORTEST_SECRET)?;
    let mut found = text.match_indices(first).map(|(at, _)| at);
    found.find(|at| text.get(*at..).is_some_and(|begun| piece.starts_with(begun)))
}

/// What was taken out line by line is shown once.
fn once(text: &str) -> String {
    let twice = ["", " ", "\n", "\r\n", "\\n", "\\r\\n", "\\\\n"];
    let twice = twice.map(|between| format!("{REDACTED}{between}{REDACTED}"));
    let mut text = text.to_owned();
    while let Some(twice) = twice.iter().find(|twice| text.contains(twice.as_str())) {
        text = text.replace(twice, REDACTED);
    }
    text
}

/// Control characters, and those that turn the direction of writing, as what they are.
fn on_one_line(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\r' | '\t' => shown.extend(character.escape_default()),
            '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                shown.extend(character.escape_unicode());
            }
            character if character.is_control() => shown.extend(character.escape_unicode()),
            character => shown.push(character),
        }
    }
    shown
}

/// A text of at most so many bytes, and how many are left out.
pub fn cut(text: &str, most: usize) -> (&str, usize) {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    let kept = text.get(..end).unwrap_or_default();
    (kept, text.len().saturating_sub(end))
}

#[cfg(test)]
mod tests;
