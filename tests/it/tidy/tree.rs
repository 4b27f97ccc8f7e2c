//! The texts of the repository, and Rust as far as the rules need to read it.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;

/// The crates, each with its modules in the order of its `lib.rs`.
pub(super) const CRATES: [&str; 2] = ["decision/src", "src"];

/// Texts by path from the root, with `/`: `src/aws/launch.rs`.
pub(super) struct Tree(pub(super) BTreeMap<String, String>);

/// A source file without comments, strings and unit tests; the lines keep their numbers.
pub(super) struct Code<'a> {
    pub(super) path: &'a str,
    pub(super) text: String,
}

pub(super) fn tree(files: &[(&str, &str)]) -> Tree {
    Tree(files.iter().map(|(path, text)| ((*path).into(), (*text).into())).collect())
}

impl Tree {
    pub(super) fn repository() -> Self {
        let mut tree = Self(BTreeMap::new());
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for folder in ["src", "decision", "tests", "events", "docs"] {
            tree.add(root, &root.join(folder));
        }
        for file in ["Cargo.lock", "ARCHITECTURE.md", "README.md"] {
            tree.0.insert(file.to_owned(), fs::read_to_string(root.join(file)).unwrap());
        }
        tree
    }

    fn add(&mut self, root: &Path, folder: &Path) {
        for entry in fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.add(root, &path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap();
                self.0.insert(name.replace('\\', "/"), text);
            }
        }
    }

    pub(super) fn code(&self) -> impl Iterator<Item = Code<'_>> {
        self.0
            .iter()
            .filter(|(path, _)| is_of_a_crate(path) && is_rust(path))
            .map(|(path, text)| Code { path, text: without_tests(&code_of(text)) })
    }
}

pub(super) fn is_rust(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == "rs")
}

pub(super) fn is_of_a_crate(path: &str) -> bool {
    CRATES.iter().any(|root| path.strip_prefix(root).is_some_and(|rest| rest.starts_with('/')))
}

impl Code<'_> {
    /// `decision/src` of `decision/src/decide/packing.rs`.
    pub(super) fn root(&self) -> &'static str {
        let root = CRATES.into_iter().find(|root| self.path.starts_with(root));
        root.unwrap_or_else(|| panic!("{} is of no crate", self.path))
    }

    /// `decide` of `src/decide.rs` and of `src/decide/packing.rs`.
    pub(super) fn stem(&self) -> &str {
        let inside = &self.path[self.root().len() + 1..];
        let first = inside.split('/').next().unwrap_or(inside);
        first.trim_end_matches(".rs")
    }

    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    pub(super) fn find_all<T>(&self, find: impl Fn(&str) -> Option<T>) -> Vec<(String, T)> {
        let found = self.lines().filter_map(|(number, line)| Some((number, find(line)?)));
        found.map(|(number, hit)| (format!("{}:{number}", self.path), hit)).collect()
    }
}

/// The source with spaces for comments, strings and characters; byte for byte in its old place.
pub(super) fn code_of(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        if let Some(length) = length_of_text(rest) {
            code.push_str(&blank(&rest[..length]));
            rest = &rest[length..];
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    code
}

/// How long the comment, string or character is that `rest` begins with.
pub(super) fn length_of_text(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(rest.find("*/").map_or(rest.len(), |end| end + 2));
    }
    if let Some(raw) = rest.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        let content = raw[hashes..].strip_prefix('"')?;
        let end = content.find(&format!("\"{}", "#".repeat(hashes)))?;
        return Some(1 + hashes + 1 + end + 1 + hashes);
    }
    let mut characters = rest.chars();
    match (characters.next()?, characters.next()?) {
        ('"', _) => end_of_quote(rest, '"'),
        ('\'', '\\') => end_of_quote(rest, '\''),
        // Not a lifetime.
        ('\'', other) if characters.next() == Some('\'') => Some(2 + other.len_utf8()),
        _ => None,
    }
}

pub(super) fn end_of_quote(rest: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (index, character) in rest.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == quote => return Some(index + 1),
            _ => {}
        }
    }
    None
}

pub(super) fn blank(text: &str) -> String {
    text.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect()
}

/// Where the items stand that are only there for tests.
pub(super) fn tests_in(code: &str) -> Vec<Range<usize>> {
    let attributes = code.match_indices("#[cfg(test)]").map(|(start, _)| start);
    attributes.map(|start| start..end_of_item(code, start)).collect()
}

/// After the semicolon or the closing brace.
pub(super) fn end_of_item(code: &str, start: usize) -> usize {
    let mut depth = 0_usize;
    for (index, character) in code[start..].char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && matches!(character, '}' | ';') {
            return start + index + 1;
        }
    }
    code.len()
}

pub(super) fn without_tests(code: &str) -> String {
    let mut text = code.to_owned();
    for range in tests_in(code) {
        text.replace_range(range.clone(), &blank(&code[range]));
    }
    text
}

pub(super) fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_')
}

/// Whether the line names it: a word anywhere; of a path, the last word beside `::` or imported.
pub(super) fn names(line: &str, path: &str) -> bool {
    let Some((_, last)) = path.rsplit_once("::") else {
        return words(line).any(|word| word == path);
    };
    let line = line.replace(' ', "");
    let imported = line.starts_with("use") && words(&line).any(|word| word == last);
    let beside = line.match_indices(last).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + last.len()..]);
        let whole = !before.ends_with(is_word) && !after.starts_with(is_word);
        whole && (before.ends_with("::") || after.starts_with("::"))
    });
    imported || beside
}

pub(super) fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[test]
fn comments_strings_and_tests_are_no_code() {
    let source = "let a = \"\\\"b\"; // c\nlet d = r#\"e\"f\"#; /* g\n */ let h: &'i str = '\\'';\n\
                  #[cfg(test)]\nmod j { fn k() {} }\nlet l = '\"';\n#[cfg(test)]\nuse m;\nlet n;";
    let code = without_tests(&code_of(source));
    assert_eq!(code.len(), source.len());
    assert_eq!(code.lines().count(), source.lines().count());
    assert_eq!(words(&code).filter(|word| word.len() == 1).collect::<String>(), "adhiln");
}
