//! All workers, and how they came to be so: what a screen shows beside a status of one moment. Pure.

use std::collections::{BTreeMap, VecDeque};
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::status::{Row, StatusView, Urgency};

/// Refreshes that are kept: an hour at five seconds.
pub const KEPT: usize = 720;

/// By how long ages are compared: CloudWatch has a new one each minute, and some of them come late.
const COMPARED: RangeInclusive<u64> = 60..=300;

/// A worker at one refresh. What was not read is absent, and never zero. There are hundreds of thousands of them: what
/// no such number can hold is the largest that it can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Point {
    /// Messages that wait.
    pub waiting: Option<u32>,
    /// Messages that were received and not deleted yet.
    pub in_flight: Option<u32>,
    /// Worker containers that run.
    pub running: Option<u32>,
    /// Worker containers that are on their way.
    pub starting: Option<u32>,
    /// Worker containers that there may be.
    pub cap: Option<u32>,
    /// Worker containers that were launched since the refresh before.
    pub launched: Option<u32>,
    /// Tasks that ended badly within the last hour.
    pub failed: Option<u32>,
    /// How old the oldest message was, in seconds.
    pub oldest: Option<u32>,
}

impl Point {
    fn of(row: &Row, since: Option<Duration>) -> Self {
        let small = |number: Option<u64>| number.map(|it| u32::try_from(it).unwrap_or(u32::MAX));
        let launch = row.last_launch.as_ref();
        let launched = launch.zip(since).map_or(0, |(launch, since)| {
            if launch.seconds_ago < since.as_secs() { launch.containers } else { 0 }
        });
        Self {
            waiting: small(row.waiting),
            in_flight: small(row.in_flight),
            running: small(row.running),
            starting: small(row.starting),
            cap: small(row.cap),
            launched: small(row.tasks.and(since).map(|_| launched)),
            failed: small(row.failed),
            oldest: small(row.oldest_seconds),
        }
    }
}

/// One worker over time: a value of each a refresh, none where it was not read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Series {
    /// Seconds since 1970.
    pub times: Vec<i64>,
    waiting: Vec<Option<u32>>,
    in_flight: Vec<Option<u32>>,
    running: Vec<Option<u32>>,
    starting: Vec<Option<u32>>,
    cap: Vec<Option<u32>>,
    launched: Vec<Option<u32>>,
    failed: Vec<Option<u32>>,
    oldest: Vec<Option<u32>>,
}

/// The last refreshes.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// When each was, the newest last.
    times: VecDeque<Timestamp>,
    /// A point a refresh and worker.
    workers: BTreeMap<String, VecDeque<Point>>,
}

impl History {
    /// Adds a refresh. A worker that is new has a gap before it, and one that is gone is forgotten with its last
    /// point.
    pub fn add(&mut self, at: Timestamp, rows: &[Row]) {
        let since = self.times.back().map(|last| at.duration_since(*last).unsigned_abs());
        for row in rows {
            let gap = || std::iter::repeat_n(Point::default(), self.times.len()).collect();
            let points = self.workers.entry(row.worker.clone()).or_insert_with(gap);
            points.push_back(Point::of(row, since));
        }
        self.add_time(at);
    }

    /// Adds a refresh that failed: a gap, for all.
    pub fn add_gap(&mut self, at: Timestamp) {
        self.add_time(at);
    }

    fn add_time(&mut self, at: Timestamp) {
        self.times.push_back(at);
        let length = self.times.len();
        for points in self.workers.values_mut() {
            points.resize(length, Point::default());
        }
        if KEPT < length {
            self.times.pop_front();
            for points in self.workers.values_mut() {
                points.pop_front();
            }
        }
        let is_known = |points: &VecDeque<Point>| points.iter().any(|it| *it != Point::default());
        self.workers.retain(|_, points| is_known(points));
    }

    /// The points of a worker, the newest last.
    pub fn points(&self, worker: &str) -> impl DoubleEndedIterator<Item = Point> + '_ {
        self.workers.get(worker).into_iter().flatten().copied()
    }

    /// How long the refreshes go back.
    pub fn span(&self) -> Duration {
        let ends = self.times.front().zip(self.times.back());
        let span = ends.map(|(first, last)| last.duration_since(*first).unsigned_abs());
        span.unwrap_or_default()
    }

    /// What waited at so many times, evenly over what is kept: the most within each, and none where nothing of it
    /// was read.
    pub fn waiting(&self, worker: &str, columns: usize) -> Vec<Option<u32>> {
        let points: Vec<_> = self.points(worker).map(|point| point.waiting).collect();
        let ranges = ranges(points.len(), columns);
        ranges.map(|range| points.get(range)?.iter().flatten().copied().max()).collect()
    }

    /// The times of these columns, each by its last refresh, in seconds since 1970.
    pub fn times(&self, columns: usize) -> Vec<i64> {
        let last = |range: Range<usize>| self.times.get(range.end.checked_sub(1)?);
        let times = ranges(self.times.len(), columns).filter_map(last);
        times.map(|time| time.as_second()).collect()
    }

    /// A worker at all refreshes.
    pub fn series(&self, worker: &str) -> Series {
        let mut series = Series::default();
        for (time, point) in self.times.iter().zip(self.points(worker)) {
            series.times.push(time.as_second());
            series.waiting.push(point.waiting);
            series.in_flight.push(point.in_flight);
            series.running.push(point.running);
            series.starting.push(point.starting);
            series.cap.push(point.cap);
            series.launched.push(point.launched);
            series.failed.push(point.failed);
            series.oldest.push(point.oldest);
        }
        series
    }

    /// Whether the oldest message grows older as time goes by: nobody takes it, or it would be another one.
    fn grows_older(&self, worker: &str) -> bool {
        let ages = self.times.iter().rev().zip(self.points(worker).rev());
        let ages = ages.map_while(|(at, point)| Some((*at, point.oldest?)));
        let mut ages = ages.peekable();
        let Some((now, newest)) = ages.peek().copied() else { return false };
        let since = |at: Timestamp| now.duration_since(at).unsigned_abs().as_secs();
        let before = ages.take_while(|(at, _)| since(*at) <= *COMPARED.end()).last();
        before.is_some_and(|(at, before)| {
            let time = since(at);
            let grown = u64::from(newest.saturating_sub(before));
            COMPARED.contains(&time) && time.saturating_mul(9) / 10 <= grown
        })
    }
}

/// So many of them in so many columns, evenly: less where there are less.
fn ranges(count: usize, columns: usize) -> impl Iterator<Item = Range<usize>> {
    let shown = columns.min(count);
    let bound = move |column: usize| column.saturating_mul(count).checked_div(shown).unwrap_or(0);
    (0..shown).map(move |column| bound(column)..bound(column.saturating_add(1)))
}

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
            Self {
                workers: plus(sum.workers, Some(1)),
                busy: plus(sum.busy, Some(u64::from(is_busy))),
                in_trouble: plus(sum.in_trouble, Some(u64::from(row.urgency.needs_a_look()))),
                waiting: plus(sum.waiting, row.waiting),
                running: plus(sum.running, row.running),
                starting: plus(sum.starting, row.starting),
                hourly_micro_dollars: plus(sum.hourly_micro_dollars, row.hourly_micro_dollars),
                unread: plus(sum.unread, Some(u64::from(is_unread))),
            }
        })
    }
}

impl Urgency {
    /// What to read where somebody has to look: a page beside the documentation, by its path.
    pub fn page(self) -> Option<&'static str> {
        match self {
            Self::Denied | Self::Held | Self::Refused => Some("docs/alarms/not-served.md"),
            Self::Breaker | Self::Stuck => Some("docs/alarms/breaker-open.md"),
            Self::AtCap => Some("docs/alarms/backlog-at-cap.md"),
            Self::Waits => Some("docs/alarms/launches-failing.md"),
            Self::Launching | Self::Paused | Self::Ok | Self::Idle => None,
        }
    }
}
