//! What is read again and again for those who look: of an account, or of a day that nobody has.

use std::cell::RefCell;

use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, ready};
use jiff::Timestamp;

use super::status::{Depths, StatusView, WorkerView};
use super::stop::ToStop;
use super::top::{Demo, Ended, Read, Reading, Target};
use crate::aws::Tally;

/// Who reads.
pub trait Reads {
    /// Reads this, one thing at a time.
    fn read(&self, read: Read) -> LocalBoxFuture<'_, WasRead>;

    /// Stops a task, and says that it was, or what kept it from it.
    fn stop(&self, found: ToStop) -> LocalBoxFuture<'_, Result<String, String>>;
}

/// What was read.
#[derive(Debug)]
pub enum Done {
    /// All workers.
    Refreshed(Result<Box<StatusView>, String>),
    /// What waits for all workers.
    Counted(Result<Depths, String>),
    /// One worker closely.
    Looked(String, Result<Box<WorkerView>, String>),
    /// What stopping a task would mean.
    Asked(Target, Result<ToStop, String>),
}

/// What a read came to, and the calls that it made.
#[derive(Debug)]
pub struct WasRead {
    /// What was read.
    pub done: Done,
    /// When it had been.
    pub at: Timestamp,
    /// Its calls.
    pub tally: Tally,
}

impl WasRead {
    /// Whether nothing of all workers could be read.
    pub fn is_nothing(&self) -> bool {
        match &self.done {
            Done::Refreshed(Ok(view)) => {
                let is_unread = view.workers.iter().all(|row| row.urgency.is_unread());
                is_unread && !view.workers.is_empty()
            }
            Done::Refreshed(Err(_)) => true,
            Done::Counted(_) | Done::Looked(..) | Done::Asked(..) => false,
        }
    }

    /// How it went.
    pub fn ended(&self) -> Ended {
        if self.is_nothing() || self.tally.throttles != 0 { Ended::Badly } else { Ended::Well }
    }

    /// Its calls. Queues and metrics have rates of their own.
    pub fn reading(&self) -> Reading {
        let of = |verbs: &[&str]| {
            let is_one = |name: &str| verbs.iter().any(|verb| name.starts_with(verb));
            let calls = self.tally.calls.iter().filter(|(name, _)| is_one(name));
            calls.map(|(_, calls)| *calls).sum()
        };
        let queues = match &self.done {
            Done::Refreshed(Ok(view)) => u64::try_from(view.workers.len()).unwrap_or(u64::MAX),
            _ => 0,
        };
        let (calls_of_ecs, calls_of_sqs) = (of(&["List", "Describe"]), of(&["GetQueue"]));
        // Where nothing was asked, as of the demo, CloudWatch was not either.
        let queues = if calls_of_sqs == 0 { 0 } else { queues };
        Reading { calls_of_ecs, calls_of_sqs, queues, ..Reading::default() }
    }
}

/// The demo's day, which takes no time and no call.
#[derive(Debug)]
pub struct OfDemo(RefCell<Demo>);

/// Refreshes of the demo that have been when somebody begins to look: an hour. It begins in the night.
const BEFORE: usize = 180;

impl OfDemo {
    /// The day of this seed an hour after its beginning; whoever looks is shown that hour.
    pub fn after_an_hour(seed: u64, mut show: impl FnMut(StatusView, Timestamp)) -> Self {
        let mut demo = Demo::new(seed);
        for _ in 0..BEFORE {
            let (view, at) = demo.refresh();
            show(view, at);
        }
        Self(RefCell::new(demo))
    }
}

impl Reads for OfDemo {
    fn read(&self, read: Read) -> LocalBoxFuture<'_, WasRead> {
        let mut demo = self.0.borrow_mut();
        let done = match read {
            Read::All | Read::Queues => Done::Refreshed(Ok(Box::new(demo.refresh().0))),
            Read::Worker(name) => {
                let view = demo.worker(&name).map(Box::new);
                let view = view.ok_or_else(|| format!("there is no `{name}`"));
                Done::Looked(name, view)
            }
            Read::Stop(target) => Done::Asked(target, Err("the demo stops nothing".to_owned())),
        };
        ready(WasRead { done, at: demo.at(), tally: Tally::default() }).boxed_local()
    }

    fn stop(&self, _: ToStop) -> LocalBoxFuture<'_, Result<String, String>> {
        ready(Err("the demo stops nothing".to_owned())).boxed_local()
    }
}
