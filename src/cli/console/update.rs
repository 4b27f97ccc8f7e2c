//! What a page is sent: everything when it begins, and then what has changed.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::links::{self, Link};
use crate::cli::overview::{OverviewRow, Series, Totals};
use crate::cli::page::Meaning;
use crate::cli::status::{HelpPage, Row, StatusView, WorkerView};

/// One event.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Update<'a> {
    /// Whether it is everything.
    pub(super) whole: bool,
    pub(super) head: Head<'a>,
    /// The ones that are new, in no order.
    pub(super) rows: Vec<&'a PageRow>,
    /// Names of all workers, the most urgent first, where that is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) order: Option<&'a [String]>,
    /// What waited before, where it is everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sparks: Option<Sparks<'a>>,
    /// The worker that the page shows closely.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) look: Option<Look<'a>>,
}

/// What is not about one worker.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Head<'a> {
    pub(super) version: &'static str,
    pub(super) may_stop: bool,
    pub(super) is_saved: bool,
    pub(super) calls_of_ecs: u64,
    pub(super) pause_seconds: u64,
    /// What an hour of reading costs.
    pub(super) hourly_micro_dollars: u64,
    /// Why the last read came to nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failed: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failed_at: Option<String>,
    pub(super) is_utc: bool,
    #[serde(flatten)]
    pub(super) read: Option<ReadHead<'a>>,
}

/// What is known since something was read.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReadHead<'a> {
    scaler: &'a str,
    function: Option<&'a str>,
    region: &'a str,
    at: &'a str,
    age_seconds: u64,
    /// Of its tasks, where they were read before.
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks_age_seconds: Option<u64>,
    notes: &'a [String],
    totals: Totals,
}

/// What waited, at each of these times.
#[derive(Debug, Serialize)]
pub(super) struct Sparks<'a> {
    /// Seconds since 1970.
    pub(super) times: Vec<i64>,
    pub(super) waiting: BTreeMap<&'a str, Vec<Option<u32>>>,
}

/// A worker closely.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Look<'a> {
    pub(super) worker: &'a str,
    pub(super) history: Series,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<&'a str>,
    #[serde(flatten)]
    pub(super) seen: Option<SeenLook<'a>>,
}

/// What is known since it was read.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SeenLook<'a> {
    view: &'a WorkerView,
    links: Vec<Link>,
    /// Where the AWS console shows a task, with `{task}` for its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    task_address: Option<String>,
    /// As a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    settings: Option<String>,
}

/// A row as a page draws it. When its last launch was is not in it: how long ago that is changes without end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PageRow {
    #[serde(flatten)]
    row: Row,
    words: &'static str,
    tone: &'static str,
    rank: usize,
    grows_older: bool,
    is_age_unread: bool,
    is_rate_unread: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<Help>,
}

/// What to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Help {
    title: &'static str,
    /// Where the console has that page.
    address: &'static str,
}

impl<'a> ReadHead<'a> {
    pub(super) fn new(view: &'a StatusView, totals: Totals, age_seconds: u64) -> Self {
        Self {
            scaler: &view.scaler,
            function: view.function.as_deref(),
            region: &view.region,
            at: &view.at,
            age_seconds,
            tasks_age_seconds: view.tasks_age().map(|it| it.as_secs().saturating_add(age_seconds)),
            notes: &view.notes,
            totals,
        }
    }
}

impl<'a> SeenLook<'a> {
    pub(super) fn new(view: &'a WorkerView, region: &str) -> Self {
        let cluster = view.row.cluster.as_deref();
        let settings = view.settings.as_ref();
        Self {
            view,
            links: links::of(region, view),
            task_address: cluster.and_then(|cluster| links::task(region, cluster)),
            settings: settings.map(|settings: &Value| format!("{settings:#}")),
        }
    }
}

impl PageRow {
    pub(super) fn new(it: &OverviewRow) -> Self {
        let row = Row { last_launch: None, ..it.row.clone() };
        let urgency = row.urgency;
        let tone = match urgency.meaning() {
            Meaning::Bad => "bad",
            Meaning::Warning => "warning",
            Meaning::Good => "good",
            Meaning::Plain => "plain",
            Meaning::Aside => "aside",
        };
        let help =
            urgency.page().map(|HelpPage { path: title, address, .. }| Help { title, address });
        Self {
            words: urgency.words(),
            tone,
            rank: urgency.rank(),
            grows_older: it.grows_older,
            is_age_unread: row.is_age_unread,
            is_rate_unread: row.is_rate_unread,
            help,
            row,
        }
    }

    pub(super) fn worker(&self) -> &str {
        &self.row.worker
    }
}
