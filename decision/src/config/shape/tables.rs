//! The keys as tables in Markdown, for `docs/configuration.md`.

use std::fmt::Write;

use super::{Key, Kind, Shape};

/// What a worker's keys begin with.
const WORKER: &str = "workers[].";

impl Shape {
    /// A table of the file's keys, one of a worker's, and one of the tags that set them.
    pub fn tables(&self) -> String {
        let rows = || self.keys.iter().filter(|key| !key.is_item());
        let of_file: Vec<_> = rows().filter(|key| !key.path.starts_with(WORKER)).collect();
        let is_of_both = |key: &Key| of_file.iter().any(|other| is_same(other, key));
        let (both, of_worker): (Vec<_>, Vec<_>) =
            rows().filter(|key| key.path.starts_with(WORKER)).partition(|key| is_of_both(key));
        let both: Vec<_> = both.into_iter().map(tail).filter(|t| is_top(t)).collect();
        let mut text = String::from("### The file\n\n");
        self.table(&mut text, &of_file);
        text.push_str("\n### A worker\n\n");
        self.table(&mut text, &of_worker);
        let both: Vec<_> = both.iter().map(|key| format!("`{key}`")).collect();
        let _ = writeln!(
            text,
            "| {} | as in the file | for this worker alone | the file's |",
            both.join(", ")
        );
        text.push_str(
            "\n### The tags of a queue\n\n| tag, after the prefix | key of a worker |\n|---|---|\n",
        );
        for tag in self.tags() {
            let _ = writeln!(text, "| `{}` | `{}` |", tag.tag, tag.key);
        }
        text
    }

    fn table(&self, text: &mut String, keys: &[&Key]) {
        text.push_str("| key | what it may be | what it does | default |\n|---|---|---|---|\n");
        let mut listed = Vec::new();
        for key in keys {
            if listed.contains(&&key.path) {
                continue;
            }
            listed.push(&key.path);
            let default = if key.about.is_required { "required" } else { key.about.default };
            let (name, sentence) = (tail(key), key.about.sentence);
            let _ = writeln!(text, "| `{name}` | {} | {sentence} | {default} |", self.allowed(key));
        }
    }

    /// What a key may be; that of a list with its members', and that of two forms with both.
    fn allowed(&self, key: &Key) -> String {
        let here = self.keys.iter().filter(|other| other.path == key.path);
        let all: Vec<_> = here.map(|key| self.allowed_of(key)).collect();
        all.join(", or ").replace('|', "\\|")
    }

    fn allowed_of(&self, key: &Key) -> String {
        let item = format!("{}[]", key.path);
        let item = self.keys.iter().find(|key| key.path == item && key.kind == Kind::Value);
        match (key.kind, item) {
            (Kind::List, Some(item)) => format!("{}: {}", key.allowed, item.allowed),
            (Kind::List, None) => format!("{} objects", key.allowed),
            _ => key.allowed.clone(),
        }
    }
}

fn tail(key: &Key) -> &str {
    key.path.strip_prefix(WORKER).unwrap_or(&key.path)
}

fn is_top(path: &str) -> bool {
    !path.contains('.')
}

fn is_same(of_file: &Key, of_worker: &Key) -> bool {
    of_file.path == tail(of_worker) && of_file.about.sentence == of_worker.about.sentence
}
