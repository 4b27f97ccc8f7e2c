//! The workers of a deployment as a person reads them: a table that fits the terminal.

use std::time::Duration;

use super::{Row, StatusView, Urgency};
use crate::cli::page::{Meaning, Page, age, plain};
use crate::cli::table::aligned;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Columns of the terminal.
    pub width: usize,
    /// Whether idle workers are shown, too.
    pub all: bool,
    /// Only workers with this in their name or state.
    pub filter: Option<String>,
}

/// The columns, and what goes first where the terminal is narrow: the higher the sooner.
const COLUMNS: [(&str, u8); 11] = [
    ("WORKER", 0),
    ("WAITING", 0),
    ("IN FLIGHT", 3),
    ("OLDEST", 1),
    ("RUNNING", 0),
    ("STARTING", 2),
    ("TARGET", 5),
    ("CAP", 4),
    ("LAST LAUNCH", 7),
    ("$/H", 6),
    ("STATE", 0),
];

/// The state has at least so much room, in columns.
const STATE: usize = 24;

impl StatusView {
    /// The whole page.
    pub fn page(&self, asked: &Asked) -> String {
        let shown: Vec<_> = self.workers.iter().filter(|row| is_shown(row, asked)).collect();
        let mut page = Page::new(asked.width);
        if !shown.is_empty() {
            for (line, row) in table(&shown, asked.width).lines().zip(heads(&shown)) {
                page.line(row.map_or(Meaning::Plain, |row| row.urgency.meaning()), line.trim_end());
            }
        }
        for note in &self.notes {
            page.entry_of(Meaning::Warning, "! ", note);
        }
        if let Some(error) = self.config.problem() {
            page.entry_of(Meaning::Bad, "! ", &format!("configuration: {error}"));
        }
        page.entry("", &self.sentence(shown.len()));
        page.text()
    }

    fn sentence(&self, shown: usize) -> String {
        let count = |is: fn(&Row) -> bool| self.workers.iter().filter(|row| is(row)).count();
        let sum = |of: fn(&Row) -> Option<u64>| self.workers.iter().filter_map(of).sum::<u64>();
        let look = count(|row| row.urgency.needs_a_look());
        let idle = count(|row| row.urgency == Urgency::Idle);
        let containers = sum(|row| Some(row.running?.saturating_add(row.starting?)));
        let (tasks, dollars) = (sum(|row| row.tasks), sum(|row| row.hourly_micro_dollars));
        let price = format!("${}.{:02} an hour", dollars / 1_000_000, dollars % 1_000_000 / 10_000);
        format!(
            "{} workers: {shown} shown, {look} need a look, {idle} idle (--all). {containers} containers in \
             {tasks} tasks, {price}. {} calls.",
            self.workers.len(),
            self.calls
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
fn table(rows: &[&Row], width: usize) -> String {
    let cells: Vec<_> = rows.iter().map(|row| cells(row)).collect();
    let mut kept: Vec<usize> = (0..COLUMNS.len()).collect();
    let widest = |column: usize| {
        let head = COLUMNS.get(column).map(|(head, _)| head.len()).unwrap_or_default();
        let texts = cells.iter().filter_map(|cells| cells.get(column));
        let state = column == COLUMNS.len().saturating_sub(1);
        let widest =
            texts.map(|text| textwrap::core::display_width(text)).max().unwrap_or_default();
        let widest = if state { widest.min(STATE) } else { widest };
        widest.max(head).saturating_add(2)
    };
    let total = |kept: &[usize]| kept.iter().map(|column| widest(*column)).sum::<usize>();
    while width < total(&kept) {
        let least = kept.iter().copied().max_by_key(|column| COLUMNS.get(*column).map(|(_, p)| *p));
        match least
            .filter(|column| COLUMNS.get(*column).is_some_and(|(_, priority)| *priority != 0))
        {
            Some(least) => kept.retain(|column| *column != least),
            None => break,
        }
    }
    let left = width.saturating_sub(total(&kept)).saturating_add(STATE);
    let head = kept.iter().filter_map(|column| COLUMNS.get(*column)).map(|(head, _)| *head);
    let head: Vec<_> = head.collect();
    let last = COLUMNS.len().saturating_sub(1);
    let row = |cells: &[String; 11]| {
        let texts = kept.iter().filter_map(|column| {
            let text = cells.get(*column)?;
            Some(if *column == last { shortened(text, left) } else { text.clone() })
        });
        texts.collect()
    };
    let state = kept.len().saturating_sub(1);
    aligned(&head, cells.iter().map(row).collect(), |column| column != 0 && column != state)
}

fn cells(row: &Row) -> [String; 11] {
    let number = |number: Option<u64>| number.map_or_else(|| "?".to_owned(), |n| n.to_string());
    let launch = row.last_launch.as_ref();
    let launch = launch.map(|launch| {
        format!("{} ago {:>3}", age(Duration::from_secs(launch.seconds_ago)), launch.containers)
    });
    let dollars = row
        .hourly_micro_dollars
        .map(|d| format!("{}.{:02}", d / 1_000_000, d % 1_000_000 / 10_000));
    let note = plain(&row.note);
    [
        plain(&row.worker).into_owned(),
        number(row.waiting),
        number(row.in_flight),
        row.oldest_seconds.map_or_else(|| "-".to_owned(), |s| age(Duration::from_secs(s))),
        number(row.running),
        number(row.starting),
        row.target.map_or_else(|| "-".to_owned(), |target| target.to_string()),
        row.cap.map_or_else(|| "-".to_owned(), |cap| cap.to_string()),
        launch.unwrap_or_else(|| "-".to_owned()),
        dollars.unwrap_or_else(|| "?".to_owned()),
        format!("{} {note}", row.urgency.words()).trim_end().to_owned(),
    ]
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
    use super::*;

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
