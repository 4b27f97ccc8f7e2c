//! AWS's own words: every text that it sends goes through here before anybody sees it.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::redaction::Secrets;

/// The one place of a process that knows what may not be shown.
#[derive(Clone, Debug, Default)]
pub(super) struct Words(Arc<Mutex<Secrets>>);

impl Words {
    /// Remembers the values of a definition that was read, or is about to be registered.
    pub(super) fn learn(&self, definition: &str, document: &Value) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).learn(definition, document);
    }

    /// A text as it may be shown.
    pub(super) fn told(&self, text: &str) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).redacted(text)
    }
}
