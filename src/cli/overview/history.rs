//! The last refreshes, and what was before them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::RangeInclusive;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::cli::status::{LastLaunch, Row};

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

/// The newest launch of a worker that was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Counted {
    /// The tick that it was of.
    tick: String,
    containers: u64,
}

impl Counted {
    /// Containers that are new since; the tasks of a tick come to be known one after the other.
    fn add(&mut self, launch: Option<&LastLaunch>) -> u64 {
        let Some(launch) = launch else { return 0 };
        let before = if self.tick == launch.tick { self.containers } else { 0 };
        let known = launch.containers.max(before);
        *self = Self { tick: launch.tick.clone(), containers: known };
        known.saturating_sub(before)
    }
}

impl Point {
    /// Without what was launched.
    fn of(row: &Row) -> Self {
        let small = |number: Option<u64>| number.map(|it| u32::try_from(it).unwrap_or(u32::MAX));
        Self {
            waiting: small(row.waiting),
            in_flight: small(row.in_flight),
            running: small(row.running),
            starting: small(row.starting),
            cap: small(row.cap),
            launched: None,
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

/// The last refreshes, and, where it was asked for, what was before them by the minute.
#[derive(Clone, Debug, Default)]
pub struct History {
    recent: Ring,
    before: Option<Ring>,
    /// By the worker's name.
    counted: BTreeMap<String, Counted>,
}

/// What was measured before anybody looked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// A minute each, the newest last.
    pub times: Vec<Timestamp>,
    /// A point a minute, by the worker's name.
    pub workers: BTreeMap<String, Vec<Point>>,
}

/// Columns of equal time.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    begin: Timestamp,
    span: Duration,
    count: usize,
    /// The one that each time is in that is kept; none before the first.
    of_times: Vec<Option<usize>>,
}

impl Columns {
    /// When each ends, in seconds since 1970.
    pub fn ends(&self) -> Vec<i64> {
        let span = i64::try_from(self.span.as_secs()).unwrap_or_default();
        let count = i64::try_from(self.count).unwrap_or_default();
        let end = |column: i64| span.saturating_mul(column) / count.max(1);
        (1..=count).map(|column| self.begin.as_second().saturating_add(end(column))).collect()
    }

    /// The one that a time is in.
    fn of(&self, at: Timestamp) -> Option<usize> {
        let last = self.count.checked_sub(1)?;
        let since = at.duration_since(self.begin);
        let count = u128::try_from(self.count).unwrap_or_default();
        let column = since.unsigned_abs().as_millis().saturating_mul(count);
        let column = column / self.span.as_millis().max(1);
        (!since.is_negative()).then(|| usize::try_from(column).unwrap_or(last).min(last))
    }
}

/// So many times, and a point of each worker at each.
#[derive(Clone, Debug, Default)]
struct Ring {
    /// The newest last.
    times: VecDeque<Timestamp>,
    workers: BTreeMap<String, VecDeque<Point>>,
}

impl Ring {
    /// Adds a time. A worker that is new has a gap before it, and one that is gone is forgotten with its last point.
    /// Gives what is not kept any more.
    fn add(&mut self, at: Timestamp, points: BTreeMap<String, Point>) -> Option<Self> {
        for (worker, point) in points {
            let gap = || std::iter::repeat_n(Point::default(), self.times.len()).collect();
            self.workers.entry(worker).or_insert_with(gap).push_back(point);
        }
        self.times.push_back(at);
        let length = self.times.len();
        for points in self.workers.values_mut() {
            points.resize(length, Point::default());
        }
        let gone = if KEPT < length { self.take_oldest() } else { None };
        let is_known = |points: &VecDeque<Point>| points.iter().any(|it| *it != Point::default());
        self.workers.retain(|_, points| is_known(points));
        gone
    }

    fn take_oldest(&mut self) -> Option<Self> {
        let times = VecDeque::from([self.times.pop_front()?]);
        let workers = self.workers.iter_mut().filter_map(|(worker, points)| {
            Some((worker.clone(), VecDeque::from([points.pop_front()?])))
        });
        let workers = workers.collect();
        Some(Self { times, workers })
    }
}

impl History {
    /// One that goes on from what was measured before, and keeps a point a minute of it and of what follows.
    pub fn after(past: Past) -> Self {
        let mut before = Ring::default();
        let mut workers: Vec<_> =
            past.workers.into_iter().map(|(name, points)| (name, points.into_iter())).collect();
        for at in past.times {
            let points =
                workers.iter_mut().filter_map(|(name, it)| Some((name.clone(), it.next()?)));
            before.add(at, points.collect());
        }
        Self { before: Some(before), ..Self::default() }
    }

    /// Adds a refresh.
    pub fn add(&mut self, at: Timestamp, rows: &[Row]) {
        let points = rows.iter().map(|row| (row.worker.clone(), self.point(row)));
        let points = points.collect();
        let names: BTreeSet<_> = rows.iter().map(|row| &row.worker).collect();
        self.counted.retain(|worker, _| names.contains(worker));
        self.keep(at, points);
    }

    /// What was launched before the first look is not known, nor while tasks could not be read.
    fn point(&mut self, row: &Row) -> Point {
        let is_first = !self.counted.contains_key(&row.worker);
        let mut point = Point::of(row);
        if row.tasks.is_some() {
            let counted = self.counted.entry(row.worker.clone()).or_default();
            let launched = counted.add(row.last_launch.as_ref());
            point.launched =
                Some(u32::try_from(launched).unwrap_or(u32::MAX)).filter(|_| !is_first);
        }
        point
    }

    /// Adds a refresh that failed: a gap, for all.
    pub fn add_gap(&mut self, at: Timestamp) {
        self.keep(at, BTreeMap::new());
    }

    fn keep(&mut self, at: Timestamp, points: BTreeMap<String, Point>) {
        let gone = self.recent.add(at, points);
        let (Some(Ring { times, workers }), Some(before)) = (gone, &mut self.before) else {
            return;
        };
        let Some(at) = times.front().copied() else { return };
        let minute = |at: Timestamp| at.as_second().div_euclid(60);
        if before.times.back().is_none_or(|last| minute(*last) < minute(at)) {
            let points = workers
                .into_iter()
                .filter_map(|(name, points)| Some((name, points.front().copied()?)));
            before.add(at, points.collect());
            return;
        }
        // What a minute stands for is its first look, and all that was launched in it.
        for (name, points) in workers {
            let more = points.front().and_then(|point| point.launched);
            let minute = before.workers.get_mut(&name).and_then(|points| points.back_mut());
            if let (Some(more), Some(minute)) = (more, minute) {
                minute.launched = Some(minute.launched.unwrap_or_default().saturating_add(more));
            }
        }
    }

    /// The points of a worker since somebody looks, the newest last.
    pub fn points(&self, worker: &str) -> impl DoubleEndedIterator<Item = Point> + '_ {
        self.recent.workers.get(worker).into_iter().flatten().copied()
    }

    /// All times that are kept, the newest last.
    fn all_times(&self) -> impl Iterator<Item = Timestamp> + '_ {
        self.rings().flat_map(|ring| ring.times.iter().copied())
    }

    /// A worker at all of them.
    fn all_points<'a>(&'a self, worker: &'a str) -> impl Iterator<Item = Point> + 'a {
        self.rings().flat_map(move |ring| {
            let points = ring.workers.get(worker);
            let gap = if points.is_none() { ring.times.len() } else { 0 };
            let gap = std::iter::repeat_n(Point::default(), gap);
            points.into_iter().flatten().copied().chain(gap)
        })
    }

    fn rings(&self) -> impl Iterator<Item = &Ring> {
        self.before.iter().chain([&self.recent])
    }

    fn is_known(&self, worker: &str) -> bool {
        self.rings().any(|ring| ring.workers.contains_key(worker))
    }

    /// How long they go back.
    pub fn span(&self) -> Duration {
        let ends = self.all_times().next().zip(self.recent.times.back());
        let span = ends.map(|(first, last)| last.duration_since(first).unsigned_abs());
        span.unwrap_or_default()
    }

    /// Columns of equal time that end with the newest: as many as there are times, at the most.
    pub fn lately(&self, span: Duration, columns: usize) -> Columns {
        let Some(end) = self.all_times().last() else { return Columns::default() };
        let span = span.min(self.span());
        let begin = end.checked_sub(span).unwrap_or(end);
        let times = self.all_times().filter(|at| begin <= *at).count();
        let columns = Columns { begin, span, count: columns.min(times), ..Columns::default() };
        Columns { of_times: self.all_times().map(|at| columns.of(at)).collect(), ..columns }
    }

    /// What waited in each of these columns: the most, and none where nothing of it was read.
    pub fn waiting_in(&self, worker: &str, columns: &Columns) -> Vec<Option<u32>> {
        if !self.is_known(worker) {
            return Vec::new();
        }
        let mut most = vec![None; columns.count];
        for (column, point) in columns.of_times.iter().zip(self.all_points(worker)) {
            if let Some(most) = column.and_then(|column| most.get_mut(column)) {
                *most = point.waiting.max(*most);
            }
        }
        most
    }

    /// A worker at all refreshes.
    pub fn series(&self, worker: &str) -> Series {
        let mut series = Series::default();
        for (time, point) in self.all_times().zip(self.all_points(worker)) {
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
    pub(super) fn grows_older(&self, worker: &str) -> bool {
        let ages = self.recent.times.iter().rev().zip(self.points(worker).rev());
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
