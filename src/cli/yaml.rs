//! Texts in a YAML file that is written here.

/// Words that YAML 1.1 takes for something else.
const WORDS: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];

/// A text that YAML takes for one, whatever it looks like.
pub(super) fn quoted(text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
        && !WORDS.contains(&text.to_lowercase().as_str());
    if is_plain { text.to_owned() } else { serde_json::to_string(text).unwrap_or_default() }
}
