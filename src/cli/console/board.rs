//! What pages are shown: all workers as they were read last, and which of it is new to a page that has seen the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde_json::json;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::update::{Head, Look, PageRow, ReadHead, SeenLook, Sparks, Update};
use crate::cli::overview::{History, LATELY, Overview, Totals};
use crate::cli::status::{Depths, StatusView, WorkerView};
use crate::cli::top::{Reading, Target};

/// Columns of a trend.
const TREND: usize = 60;

/// Workers that are kept closely: as many as there are connections.
const MOST_LOOKED_AT: usize = super::connections::MOST;

/// What does not change.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// Names this run of the program: what a page has seen of another one says nothing.
    pub run: String,
    /// Whether tasks may be stopped.
    pub may_stop: bool,
    /// Whether it was saved, and nothing follows.
    pub is_saved: bool,
    /// Whether times are shown in UTC, whatever the browser's zone is.
    pub is_utc: bool,
}

/// What a page, or whoever asks, wants of whoever reads.
#[derive(Debug)]
pub enum Wish {
    /// A page is open, and shows this worker closely.
    Opened(Option<String>),
    /// It is not any more.
    Closed(Option<String>),
    /// All workers are to be read once more.
    Read,
    /// This worker is to be read once.
    Look(String),
    /// What stopping a task would mean.
    Ask(Target, oneshot::Sender<Answer>),
    /// The task is to be stopped.
    Stop(Target, oneshot::Sender<Answer>),
}

/// What is said of a task that is to be stopped, or why nothing is.
pub type Answer = Result<Vec<String>, String>;

/// A row that is sent only where it has changed.
#[derive(Clone, Debug)]
struct Versioned {
    version: u64,
    row: PageRow,
}

/// A worker closely, as it was read last.
#[derive(Clone, Debug)]
pub(super) struct Looked {
    version: u64,
    at: Instant,
    pub(super) view: Option<Arc<WorkerView>>,
    pub(super) error: Option<String>,
}

/// All that is shown.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    about: About,
    /// Grows with everything that is new.
    pub(super) version: u64,
    pub(super) view: Option<Arc<StatusView>>,
    pub(super) totals: Totals,
    /// When all workers were read.
    read: Option<Instant>,
    reading: Reading,
    /// Why the last read came to nothing.
    pub(super) failed: Option<String>,
    /// When that was.
    failed_at: Option<Timestamp>,
    /// The version in which something was read, or not.
    refreshed: u64,
    order: Vec<String>,
    /// The version that changed the order.
    ordered: u64,
    rows: BTreeMap<String, Versioned>,
    pub(super) looks: BTreeMap<String, Looked>,
}

/// Where whoever reads leaves what was read.
#[derive(Debug)]
pub struct Board {
    newest: watch::Sender<Arc<Shown>>,
    history: Arc<Mutex<History>>,
}

/// Where whoever answers takes it.
#[derive(Clone, Debug)]
pub struct Desk {
    pub(super) newest: watch::Receiver<Arc<Shown>>,
    pub(super) history: Arc<Mutex<History>>,
    pub(super) wishes: UnboundedSender<Wish>,
}

impl Board {
    /// A board on which nothing has been seen but what was before.
    pub fn new(about: About, history: History) -> Self {
        let shown = Shown {
            about,
            version: 0,
            view: None,
            totals: Totals::default(),
            read: None,
            reading: Reading::default(),
            failed: None,
            failed_at: None,
            refreshed: 0,
            order: Vec::new(),
            ordered: 0,
            rows: BTreeMap::new(),
            looks: BTreeMap::new(),
        };
        let (newest, _) = watch::channel(Arc::new(shown));
        Self { newest, history: Arc::new(Mutex::new(history)) }
    }

    /// A desk beside it, which sends wishes there.
    pub fn desk(&self, wishes: UnboundedSender<Wish>) -> Desk {
        let history = Arc::clone(&self.history);
        Desk { newest: self.newest.subscribe(), history, wishes }
    }

    /// All workers, as they were read now.
    pub fn refreshed(&mut self, view: StatusView, at: Timestamp, reading: Reading) {
        let overview = {
            let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
            history.add(at, &view.workers);
            Overview::of(&view, &history)
        };
        self.change(|shown| {
            let version = shown.version;
            let names: Vec<_> = overview.rows.iter().map(|it| it.row.worker.clone()).collect();
            let there: BTreeSet<_> = names.iter().collect();
            shown.rows.retain(|name, _| there.contains(name));
            for row in overview.rows.iter().map(PageRow::new) {
                if !shown.rows.get(row.worker()).is_some_and(|known| known.row == row) {
                    shown.rows.insert(row.worker().to_owned(), Versioned { version, row });
                }
            }
            if shown.order != names {
                shown.order = names;
                shown.ordered = version;
            }
            shown.totals = overview.totals;
            shown.view = Some(Arc::new(view));
            shown.read = Some(Instant::now());
            shown.reading = reading;
            shown.failed = None;
            shown.failed_at = None;
            shown.refreshed = version;
        });
    }

    /// What waits for all of them, as it was read now; their tasks are as they were.
    pub fn counted(&mut self, depths: &Depths, at: Timestamp) {
        let (view, reading) = {
            let shown = self.newest.borrow();
            (shown.view.clone(), shown.reading)
        };
        if let Some(view) = view {
            self.refreshed(Arc::unwrap_or_clone(view).counted(at, depths), at, reading);
        }
    }

    /// Reading failed: what is shown stays, with its age.
    pub fn failed(&mut self, why: &str, at: Timestamp) {
        self.history.lock().unwrap_or_else(PoisonError::into_inner).add_gap(at);
        self.change(|shown| {
            shown.failed = Some(why.to_owned());
            shown.failed_at = Some(at);
            shown.refreshed = shown.version;
        });
    }

    /// A worker that was read closely.
    pub fn looked(&mut self, worker: &str, read: Result<WorkerView, String>) {
        self.change(|shown| {
            let before = shown.looks.remove(worker).and_then(|looked| looked.view);
            let (view, error) = match read {
                Ok(view) => (Some(Arc::new(view)), None),
                Err(error) => (before, Some(error)),
            };
            let looked = Looked { version: shown.version, at: Instant::now(), view, error };
            shown.looks.insert(worker.to_owned(), looked);
            while MOST_LOOKED_AT < shown.looks.len() {
                let oldest = shown.looks.iter().min_by_key(|(_, looked)| looked.version);
                let Some((name, _)) = oldest.map(|(name, looked)| (name.clone(), looked)) else {
                    break;
                };
                shown.looks.remove(&name);
            }
        });
    }

    /// All that is shown, for a page that stands alone.
    pub fn whole(&self) -> String {
        let shown = Arc::clone(&self.newest.borrow());
        shown.update(&Seen::default(), &self.history)
    }

    fn change(&mut self, change: impl FnOnce(&mut Shown)) {
        self.newest.send_modify(|shown| {
            let shown = Arc::make_mut(shown);
            shown.version = shown.version.saturating_add(1);
            change(shown);
        });
    }
}

/// What a page has seen, and what it wants to see.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// None where it has to get everything.
    pub(super) version: Option<u64>,
    /// The worker that it shows closely.
    pub(super) worker: Option<String>,
    /// Whether it has been sent what was known of that.
    pub(super) has_look: bool,
}

impl Shown {
    /// Whether something was read, or could not be.
    pub(super) fn is_something(&self) -> bool {
        self.view.is_some() || self.failed.is_some()
    }

    /// Whether that is as new as a page would have it.
    pub(super) fn is_fresh(&self) -> bool {
        self.read.is_some_and(|read| read.elapsed() <= self.reading.pause.saturating_mul(2))
    }

    /// A worker that was read closely as lately.
    pub(super) fn fresh_look(&self, worker: &str) -> Option<&Looked> {
        let looked = self.looks.get(worker)?;
        Some(looked).filter(|looked| looked.at.elapsed() <= self.reading.pause)
    }

    /// What names it to a page that comes again.
    pub(super) fn id(&self) -> String {
        format!("{}-{}", self.about.run, self.version)
    }

    /// The version that a page has seen, by what named it; none where that was another run's, or none at all.
    pub(super) fn version_of(&self, id: &str) -> Option<u64> {
        let (run, version) = id.rsplit_once('-')?;
        let version = version.parse().ok()?;
        Some(version).filter(|version| run == self.about.run && *version <= self.version)
    }

    /// What is new to a page, as JSON.
    pub(super) fn update(&self, seen: &Seen, history: &Mutex<History>) -> String {
        let is_new = |version: u64| seen.version.is_none_or(|seen| seen < version);
        let rows = self.rows.values().filter(|row| is_new(row.version)).map(|row| &row.row);
        let history = history.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new_of = |worker: &String| {
            let looked = self.looks.get(worker).map_or(0, |looked| looked.version);
            !seen.has_look || is_new(looked.max(self.refreshed))
        };
        let sparks = || {
            let lately = history.lately(LATELY, TREND);
            let waiting = self.order.iter();
            let waiting = waiting.map(|name| (name.as_str(), history.waiting_in(name, &lately)));
            Sparks { times: lately.ends(), waiting: waiting.collect() }
        };
        let update = Update {
            whole: seen.version.is_none(),
            head: self.head(),
            rows: rows.collect(),
            order: is_new(self.ordered).then_some(self.order.as_slice()),
            sparks: seen.version.is_none().then(sparks),
            look: seen.worker.as_ref().filter(|worker| is_new_of(worker)).map(|worker| {
                let is_new_view = |looked: &&Looked| !seen.has_look || is_new(looked.version);
                let looked = self.looks.get(worker);
                self.look(worker, looked.filter(is_new_view), &history)
            }),
        };
        json!(update).to_string()
    }

    fn head(&self) -> Head<'_> {
        let age = self.read.map(|read| read.elapsed().as_secs()).unwrap_or_default();
        let view = self.view.as_deref();
        Head {
            version: env!("CARGO_PKG_VERSION"),
            may_stop: self.about.may_stop,
            is_saved: self.about.is_saved,
            calls_of_ecs: self.reading.calls_of_ecs,
            pause_seconds: self.reading.pause.as_secs(),
            hourly_micro_dollars: self.reading.hourly_micro_dollars(),
            failed: self.failed.as_deref(),
            failed_at: self.failed_at.map(|at| at.to_string()),
            is_utc: self.about.is_utc,
            read: view.map(|view| ReadHead::new(view, self.totals, age)),
        }
    }

    /// How it was before, and of itself what is new.
    fn look<'a>(
        &'a self,
        worker: &'a str,
        looked: Option<&'a Looked>,
        history: &History,
    ) -> Look<'a> {
        let view = looked.and_then(|looked| looked.view.as_deref());
        let region = self.view.as_ref().map(|view| view.region.as_str());
        Look {
            worker,
            history: history.series(worker),
            error: self.looks.get(worker).and_then(|looked| looked.error.as_deref()),
            seen: view.zip(region).map(|(view, region)| SeenLook::new(view, region)),
        }
    }
}
