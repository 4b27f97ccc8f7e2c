//! What each column of the screen says, and how rows are sorted by it.

use std::cmp::Reverse;
use std::time::Duration;

use ratatui::layout::Alignment;
use ratatui::text::Line;
use textwrap::core::display_width;

use super::{Screen, Sort};
use crate::cli::overview::{LATELY, OverviewRow};
use crate::cli::page::{age, grouped};
use crate::cli::status::{Column as StatusColumn, Row};

/// What stands above a row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Worker,
    Waiting,
    Trend,
    Oldest,
    Running,
    Gauge,
    Starting,
    Failed,
    EmptyIn,
    Price,
    State,
}

/// From the left to the right.
pub(super) const COLUMNS: [Column; 11] = [
    Column::Worker,
    Column::Waiting,
    Column::Trend,
    Column::Oldest,
    Column::Running,
    Column::Gauge,
    Column::Starting,
    Column::Failed,
    Column::EmptyIn,
    Column::Price,
    Column::State,
];

/// Columns of a trend, and of a gauge.
pub(super) const TREND: usize = 18;
const GAUGE: usize = 10;

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const BARS_OF_ASCII: [char; 8] = ['.', ':', '-', '=', '+', 'x', '%', '#'];

impl Screen {
    /// A column with the width of all that it says.
    pub(super) fn widest(&self, column: Column, shown: &[&OverviewRow]) -> (Column, usize) {
        let cells = shown.iter().map(|it| self.cell(column, it).width());
        let widest = cells.max().unwrap_or_default();
        (column, widest.max(display_width(&self.head_of(column))))
    }

    pub(super) fn head_of(&self, column: Column) -> String {
        let text = match column {
            Column::Worker => "WORKER".to_owned(),
            Column::Waiting => "WAITING".to_owned(),
            Column::Trend => format!("LAST {}", age(self.history.span().min(LATELY))),
            Column::Oldest => "OLDEST".to_owned(),
            Column::Running => "RUNNING/CAP".to_owned(),
            Column::Gauge => String::new(),
            Column::Starting => "START".to_owned(),
            Column::Failed => "FAIL".to_owned(),
            Column::EmptyIn => "EMPTY IN".to_owned(),
            Column::Price => "$/H".to_owned(),
            Column::State => "STATE".to_owned(),
        };
        match self.sort {
            Some(Sort { column: sorted, is_reversed }) if column == sorted => {
                format!("{text}{}", if is_reversed { "^" } else { "*" })
            }
            _ => text,
        }
    }

    pub(super) fn cell(&self, column: Column, it: &OverviewRow) -> Line<'static> {
        let row = &it.row;
        let status = |column: StatusColumn| column.cell(row);
        let text = match column {
            Column::Worker => status(StatusColumn::Worker),
            Column::Waiting => status(StatusColumn::Waiting),
            Column::Trend => self.trend(&row.worker),
            Column::Oldest if it.grows_older => format!("{} !", status(StatusColumn::Oldest)),
            Column::Oldest => status(StatusColumn::Oldest),
            Column::Running => {
                format!("{}/{}", status(StatusColumn::Running), status(StatusColumn::Cap))
            }
            Column::Gauge => self.gauge(it),
            Column::Starting => status(StatusColumn::Starting),
            Column::Failed => row.failed.map_or_else(|| "?".to_owned(), grouped),
            Column::EmptyIn => {
                let time = row.empty_in_seconds.map(|seconds| age(Duration::from_secs(seconds)));
                time.unwrap_or_else(|| if row.is_rate_unread { "?" } else { "-" }.to_owned())
            }
            Column::Price => status(StatusColumn::Price),
            Column::State => status(StatusColumn::State),
        };
        Line::raw(text).alignment(column.side())
    }

    /// What waited, each character the most of its time; nothing where nothing was read.
    fn trend(&self, worker: &str) -> String {
        let bars = if self.look.ascii { BARS_OF_ASCII } else { BARS };
        let series = self.history.waiting_in(worker, &self.trend);
        let most = series.iter().flatten().copied().max().unwrap_or_default().max(1);
        let bar = |waiting: u32| {
            let top = u32::try_from(bars.len().saturating_sub(1)).unwrap_or_default();
            let level = waiting.saturating_mul(top).div_ceil(most);
            usize::try_from(level).ok().and_then(|level| bars.get(level)).copied().unwrap_or(' ')
        };
        let text: String = series.iter().map(|point| point.map_or(' ', bar)).collect();
        format!("{text:>TREND$}")
    }

    fn gauge(&self, it: &OverviewRow) -> String {
        let (Some(running), Some(starting), Some(cap)) =
            (it.row.running, it.row.starting, it.row.cap)
        else {
            return String::new();
        };
        let cells = |containers: u64| {
            let width = u64::try_from(GAUGE).unwrap_or_default();
            let cells = containers.saturating_mul(width).div_ceil(cap.max(1)).min(width);
            usize::try_from(cells).unwrap_or_default()
        };
        let (full, begun) = if self.look.ascii { ('#', '+') } else { ('█', '▒') };
        let (run, all) = (cells(running), cells(running.saturating_add(starting)));
        full.to_string().repeat(run) + &begun.to_string().repeat(all.saturating_sub(run))
    }
}

impl Column {
    pub(super) fn side(self) -> Alignment {
        match self {
            Self::Waiting
            | Self::Oldest
            | Self::Running
            | Self::Starting
            | Self::Failed
            | Self::EmptyIn
            | Self::Price => Alignment::Right,
            Self::Worker | Self::Trend | Self::Gauge | Self::State => Alignment::Left,
        }
    }

    /// The ones that rows are sorted by, in the order of their turns.
    pub(super) const SORTED: [Self; 8] = [
        Self::Worker,
        Self::Waiting,
        Self::Oldest,
        Self::Running,
        Self::Starting,
        Self::Failed,
        Self::EmptyIn,
        Self::Price,
    ];

    /// By what a row is sorted: names from A, numbers from the largest. What is not known has none.
    pub(super) fn key(self, row: &Row) -> Option<(Reverse<u64>, &str)> {
        let number = match self {
            Self::Worker => return Some((Reverse(0), &row.worker)),
            Self::Waiting => row.waiting,
            Self::Oldest => row.oldest_seconds,
            Self::Running => row.running,
            Self::Starting => row.starting,
            Self::Failed => row.failed,
            Self::EmptyIn => row.empty_in_seconds,
            Self::Price => row.hourly_micro_dollars,
            Self::Trend | Self::Gauge | Self::State => None,
        };
        number.map(|number| (Reverse(number), ""))
    }

    /// How soon it goes where the terminal is narrow: the higher the sooner; 0 stays.
    pub(super) fn priority(self) -> u8 {
        match self {
            Self::Worker | Self::Waiting => 0,
            Self::State => 1,
            Self::Running => 2,
            Self::Oldest => 3,
            Self::Starting => 4,
            Self::Failed => 5,
            Self::Trend => 6,
            Self::EmptyIn => 7,
            Self::Gauge => 8,
            Self::Price => 9,
        }
    }
}
