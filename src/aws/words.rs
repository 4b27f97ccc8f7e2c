//! AWS's own words: every text that it sends goes through here before anybody sees it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use decision::redaction::Secrets;

/// So many different texts are remembered with what was made of them.
const MOST_REMEMBERED: usize = 1000;

/// Longer ones are seldom the same twice, in bytes.
const LONGEST_REMEMBERED: usize = 1024;

/// The one place of a process that knows what may not be shown.
#[derive(Clone, Default)]
pub(super) struct Words(Arc<Mutex<Known>>);

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Words")
    }
}

#[derive(Default)]
struct Known {
    secrets: Secrets,
    /// AWS has few words: the same ones come with hundreds of tasks, and again for an hour, and each text
    /// is looked through for every value of every definition.
    redacted: BTreeMap<String, String>,
}

impl Words {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers the values of a definition that was read, or is about to be registered.
    pub(super) fn learn(&self, definition: &str, document: &Value) {
        let mut known = self.known();
        if known.secrets.learn(definition, document) {
            known.redacted.clear();
        }
    }

    /// A text as it may be shown.
    pub(super) fn redacted(&self, text: &str) -> String {
        let mut known = self.known();
        if let Some(redacted) = known.redacted.get(text) {
            return redacted.clone();
        }
        let redacted = known.secrets.redacted(text);
        if text.len() <= LONGEST_REMEMBERED && known.redacted.len() < MOST_REMEMBERED {
            known.redacted.insert(text.to_owned(), redacted.clone());
        }
        redacted
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_told_once_is_told_anew_when_there_is_more_to_hide() {
        let words = Words::default();
        let text = "CannotStartContainerError: hunter22 is no option";
        assert_eq!(words.redacted(text), text);
        words.learn("a:1", &json!({"environment": [{"name": "KEY", "value": "hunter22"}]}));
        let redacted = "CannotStartContainerError: [redacted] is no option";
        for _ in 0..2 {
            assert_eq!(words.redacted(text), redacted);
        }
    }

    #[test]
    fn many_and_long_texts_are_told_and_not_remembered() {
        let words = Words::default();
        for number in 0..=MOST_REMEMBERED {
            assert_eq!(words.redacted(&number.to_string()), number.to_string());
        }
        assert_eq!(words.known().redacted.len(), MOST_REMEMBERED);
        words.learn("a:1", &json!({}));
        words.redacted(&"x".repeat(LONGEST_REMEMBERED + 1));
        assert_eq!(words.known().redacted.len(), 0);
    }
}
