//! Which workers somebody wants to see.

use crate::cli::status::Row;

/// Which rows are meant.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    /// Empty where all are.
    pub(super) text: String,
    /// Whether keys go into it.
    pub(super) is_typing: bool,
}

/// Whether a filter means a worker: `state:WORD`, `cluster:NAME`, `>N` messages that wait, or a text of its name or
/// state. The page of `console` has the same.
pub fn is_meant(filter: &str, row: &Row) -> bool {
    let state = row.urgency.words();
    if let Some(word) = filter.strip_prefix("state:") {
        return state.starts_with(&word.to_lowercase());
    }
    if let Some(name) = filter.strip_prefix("cluster:") {
        return row.cluster.as_ref().is_some_and(|cluster| cluster.contains(name));
    }
    if let Some(number) = filter.strip_prefix('>') {
        let more = number.trim().replace(',', "").parse::<u64>();
        return more.is_ok_and(|more| row.waiting.is_some_and(|waiting| more < waiting));
    }
    row.worker.contains(filter) || state.contains(filter)
}
