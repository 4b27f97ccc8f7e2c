//! The workers of a deployment as a person reads them: a table that fits the terminal.

use super::{Column, Row, StatusView, Urgency};
use crate::cli::page::{Clock, Meaning, Page, counted, dollars};
use crate::cli::table::{aligned, fitting};

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Columns of the terminal.
    pub width: usize,
    /// Whether idle workers are shown, too.
    pub all: bool,
    /// Only workers with this in their name or state.
    pub filter: Option<String>,
    /// By what rows are sorted, instead of who needs somebody first.
    pub sort: Option<Column>,
    /// Only these columns, in this order.
    pub columns: Vec<Column>,
    /// Whether every column and note is whole, however narrow the terminal.
    pub wide: bool,
    /// What times are shown by.
    pub clock: Clock,
}

/// The state has at least so much room, in columns, as long as another column can go.
const STATE: usize = 24;

/// What is left of it on the narrowest terminals: a word.
const WORD: usize = 8;

impl StatusView {
    /// The whole page.
    pub fn page(&self, asked: &Asked) -> String {
        let mut shown: Vec<_> = self.workers.iter().filter(|row| is_shown(row, asked)).collect();
        if let Some(sort) = asked.sort {
            sort.sort(&mut shown);
        }
        let mut page = Page::new(asked.width);
        if !shown.is_empty() {
            for (line, row) in table(&shown, asked).lines().zip(heads(&shown)) {
                page.line(row.map_or(Meaning::Plain, |row| row.urgency.meaning()), line.trim_end());
            }
        }
        for note in &self.notes {
            page.entry_of(Meaning::Warning, "! ", note);
        }
        if let Some(error) = self.config.problem() {
            page.entry_of(Meaning::Bad, "! ", &format!("configuration: {error}"));
        }
        page.entry("", &self.sentence(shown.len(), &asked.clock));
        page.text()
    }

    fn sentence(&self, shown: usize, clock: &Clock) -> String {
        let count = |is: fn(&Row) -> bool| self.workers.iter().filter(|row| is(row)).count();
        let sum = |of: fn(&Row) -> Option<u64>| self.workers.iter().filter_map(of).sum::<u64>();
        let look = match count(|row| row.urgency.needs_a_look()) {
            1 => "1 needs a look".to_owned(),
            look => format!("{look} need a look"),
        };
        let idle = count(|row| row.urgency == Urgency::Idle);
        let containers = sum(|row| Some(row.running?.saturating_add(row.starting?)));
        let price = dollars(sum(|row| row.hourly_micro_dollars));
        // What is not known of one is not zero of all.
        let least = |is_known: fn(&Row) -> bool| {
            if self.workers.iter().all(is_known) { "" } else { "at least " }
        };
        let least_tasks = least(|row| row.tasks.is_some());
        let least_price = least(|row| row.hourly_micro_dollars.is_some());
        format!(
            "{}: {shown} shown, {look}, {idle} idle (--all). {least_tasks}{} in {}, {least_price}${price} an \
             hour. {}, {}.",
            counted(u64::try_from(self.workers.len()).unwrap_or(u64::MAX), "worker"),
            counted(containers, "container"),
            counted(sum(|row| row.tasks), "task"),
            counted(self.calls, "call"),
            clock.shown(&self.at),
        )
    }
}

fn is_shown(row: &Row, asked: &Asked) -> bool {
    let is_wanted = asked.filter.as_deref().is_none_or(|filter| match filter {
        "busy" => row.urgency != Urgency::Idle,
        "trouble" => row.urgency.needs_a_look(),
        text => row.worker.contains(text) || row.urgency.words().contains(text),
    });
    is_wanted && (asked.all || asked.filter.is_some() || row.urgency != Urgency::Idle)
}

/// The header has no row.
fn heads<'a>(rows: &'a [&'a Row]) -> impl Iterator<Item = Option<&'a Row>> {
    std::iter::once(None).chain(rows.iter().copied().map(Some))
}

/// As many columns as fit, in their order.
fn table(rows: &[&Row], asked: &Asked) -> String {
    let all = if asked.columns.is_empty() { Column::ALL.to_vec() } else { asked.columns.clone() };
    let width = |column: &Column| {
        let cells = rows.iter().map(|row| textwrap::core::display_width(&column.cell(row)));
        let widest = cells.max().unwrap_or_default();
        let widest = if *column == Column::State { widest.min(STATE) } else { widest };
        (widest.max(column.head().len()), column.priority())
    };
    let widths: Vec<_> = all.iter().map(width).collect();
    // Whoever names columns gets them.
    let most = if asked.wide || !asked.columns.is_empty() { usize::MAX } else { asked.width };
    let kept = fitting(&widths, most);
    let taken = kept.iter().filter_map(|index| widths.get(*index));
    let taken: usize = taken.map(|(width, _)| width.saturating_add(2)).sum();
    let state = all.iter().zip(&widths).find(|(column, _)| **column == Column::State);
    let state = state.map_or(STATE, |(_, (width, _))| *width);
    let left = asked.width.saturating_add(state).saturating_sub(taken).max(WORD);
    let left = if asked.wide { usize::MAX } else { left };
    let kept: Vec<_> = kept.iter().filter_map(|index| all.get(*index)).collect();
    let head: Vec<_> = kept.iter().map(|column| column.head()).collect();
    let cell = |column: &Column, row: &Row| match (column, column.cell(row)) {
        (Column::State, text) => shortened(&text, left),
        (_, text) => text,
    };
    let cells = rows.iter().map(|row| kept.iter().map(|column| cell(column, row)).collect());
    let is_number = |index: usize| kept.get(index).is_some_and(|column| column.is_number());
    aligned(&head, cells.collect(), is_number)
}

fn shortened(text: &str, width: usize) -> String {
    if textwrap::core::display_width(text) <= width {
        return text.to_owned();
    }
    let mut short = String::new();
    for c in text.chars() {
        if width < textwrap::core::display_width(&short).saturating_add(4) {
            break;
        }
        short.push(c);
    }
    format!("{}...", short.trim_end())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cli::page::age;

    #[test]
    fn an_age_has_two_units() {
        let ages = [0, 38, 842, 4800, 273_600].map(|seconds| age(Duration::from_secs(seconds)));
        assert_eq!(ages, ["0s", "38s", "14m 02s", "1h 20m", "3d 04h"]);
    }

    #[test]
    fn what_is_too_long_is_cut_by_its_width() {
        assert_eq!(shortened("short", 9), "short");
        assert_eq!(shortened("名前名前名前", 9), "名前名...");
    }
}
