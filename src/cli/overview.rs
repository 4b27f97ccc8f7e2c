//! All workers, and how they came to be so: what a screen shows beside a status of one moment. Pure.

mod history;
mod past;

use std::time::Duration;

use serde::Serialize;

pub use self::history::{Columns, History, KEPT, Past, Point, Series};
pub use self::past::ToRead;
use super::status::{Row, StatusView, Urgency};

/// What a trend shows.
pub const LATELY: Duration = Duration::from_mins(30);

/// A worker among all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverviewRow {
    /// As a status has it.
    pub row: Row,
    /// Whether its oldest message grows older.
    pub grows_older: bool,
}

/// All workers: the ones that need somebody first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overview {
    /// Each worker once.
    pub rows: Vec<OverviewRow>,
    /// Sums over them.
    pub totals: Totals,
}

/// Sums over all workers; what was not read of one is in no sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// Workers.
    pub workers: u64,
    /// Those for which something waits or runs.
    pub busy: u64,
    /// Those that somebody has to look at.
    pub in_trouble: u64,
    /// Messages that wait.
    pub waiting: u64,
    /// Worker containers that run.
    pub running: u64,
    /// Worker containers that are on their way.
    pub starting: u64,
    /// What an hour of them costs, in millionths of a dollar.
    pub hourly_micro_dollars: u64,
    /// Workers of which something is not in these sums, as it was not read.
    pub unread: u64,
    /// Those of which the price is not, as it was not read, or is none of Fargate's.
    pub unpriced: u64,
}

impl Overview {
    /// What a status and the refreshes before it come to. Where two are as urgent, the one whose oldest message is
    /// older comes first, and else the name decides: a row moves only when it has changed.
    pub fn of(view: &StatusView, history: &History) -> Self {
        let rows = view.workers.iter().map(|row| OverviewRow {
            row: row.clone(),
            grows_older: history.grows_older(&row.worker),
        });
        let mut rows: Vec<_> = rows.collect();
        rows.sort_by(|a, b| {
            let keeps = |it: &OverviewRow| it.row.urgency != Urgency::AtCap || !it.grows_older;
            let rank = |it: &OverviewRow| (it.row.urgency, keeps(it));
            let age = |it: &OverviewRow| it.row.oldest_seconds.map(|seconds| seconds / 60);
            let order = rank(a).cmp(&rank(b)).then_with(|| age(b).cmp(&age(a)));
            order.then_with(|| a.row.worker.cmp(&b.row.worker))
        });
        let totals = Totals::of(rows.iter().map(|row| &row.row));
        Self { rows, totals }
    }
}

impl Totals {
    fn of<'a>(rows: impl Iterator<Item = &'a Row>) -> Self {
        rows.fold(Self::default(), |sum, row| {
            let plus = |sum: u64, more: Option<u64>| sum.saturating_add(more.unwrap_or_default());
            let is_busy = [row.waiting, row.in_flight, row.tasks].iter().flatten().any(|n| *n != 0);
            let is_unread = row.waiting.is_none() || row.running.is_none();
            let is_unpriced = row.hourly_micro_dollars.is_none() && row.tasks != Some(0);
            Self {
                workers: plus(sum.workers, Some(1)),
                busy: plus(sum.busy, Some(u64::from(is_busy))),
                in_trouble: plus(sum.in_trouble, Some(u64::from(row.urgency.needs_a_look()))),
                waiting: plus(sum.waiting, row.waiting),
                running: plus(sum.running, row.running),
                starting: plus(sum.starting, row.starting),
                hourly_micro_dollars: plus(sum.hourly_micro_dollars, row.hourly_micro_dollars),
                unread: plus(sum.unread, Some(u64::from(is_unread))),
                unpriced: plus(sum.unpriced, Some(u64::from(is_unpriced))),
            }
        })
    }
}
