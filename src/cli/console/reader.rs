//! What is read for pages, one thing at a time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::pending;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot::Sender;
use tokio::time::{Instant, sleep_until};

use super::board::{Answer, Board, Wish};
use crate::cli::reads::{Done, Reads, WasRead};
use crate::cli::stop::ToStop;
use crate::cli::top::{Pace, Read, Target};

/// Columns of a question: a page fills its lines itself.
const QUESTION: usize = 10_000;

/// Questions that wait, or wait for their yes.
const MOST_ASKED: usize = 16;

/// A yes comes within this time, or the task has to be asked about again.
const TIME_TO_ANSWER: Duration = Duration::from_mins(2);

/// One task in so much time is stopped.
const BETWEEN_STOPS: Duration = Duration::from_secs(1);

/// A question that was answered with what it would mean, and waits for its yes.
struct Answered {
    target: Target,
    found: ToStop,
    at: Instant,
}

/// Somebody who waits.
struct Waiting {
    target: Target,
    answer: Sender<Answer>,
}

/// Reads for pages: what they want, when it may be read, and not at all where nobody looks.
pub struct Reader<'a> {
    board: Board,
    source: &'a dyn Reads,
    pace: Pace,
    wishes: UnboundedReceiver<Wish>,
    /// Pages that somebody looks at.
    open: usize,
    /// How many of them show a worker closely.
    looked_at: BTreeMap<String, usize>,
    /// Workers that are to be read closely, in their order.
    looks: VecDeque<String>,
    /// Those that somebody wants who has no page.
    once: BTreeSet<String>,
    /// The one that comes next.
    look: Option<String>,
    /// What is being read: one thing at a time.
    work: Option<LocalBoxFuture<'a, WasRead>>,
    /// The newest first.
    asks: Vec<Waiting>,
    /// What one of them waits for.
    asking: Option<Target>,
    asked: Vec<Answered>,
    /// A task that is being stopped.
    stop: Option<(LocalBoxFuture<'a, Result<String, String>>, Waiting)>,
    stopped: Option<Instant>,
}

impl<'a> Reader<'a> {
    /// One that leaves what it reads on this board, and takes wishes from there.
    pub fn new(
        board: Board,
        source: &'a dyn Reads,
        every: Duration,
        wishes: UnboundedReceiver<Wish>,
    ) -> Self {
        Self {
            board,
            source,
            pace: Pace::new(every, Instant::now()),
            wishes,
            open: 0,
            looked_at: BTreeMap::new(),
            looks: VecDeque::new(),
            once: BTreeSet::new(),
            look: None,
            work: None,
            asks: Vec::new(),
            asking: None,
            asked: Vec::new(),
            stop: None,
            stopped: None,
        }
    }

    /// Reads until nobody can wish for anything any more.
    pub async fn run(&mut self) {
        loop {
            self.next_question();
            self.next_look();
            // Nobody looks: nothing is read that nobody has asked for.
            if let Some(read) = self.pace.begin(Instant::now(), self.open == 0) {
                if matches!(read, Read::Worker(_)) {
                    self.look = None;
                }
                self.work = Some(self.source.read(read));
                continue;
            }
            let next = self.pace.when(self.open == 0);
            tokio::select! {
                biased;
                wish = self.wishes.recv() => match wish {
                    Some(wish) => self.fulfil(wish),
                    None => return,
                },
                read = end_of(&mut self.work) => {
                    self.work = None;
                    self.was_read(read);
                }
                came = end_of_stop(&mut self.stop) => self.was_stopped(came),
                () = until(next) => {}
            }
        }
    }

    /// One question after the other, in their order.
    fn next_question(&mut self) {
        if self.asking.is_none() {
            self.asking = self.asks.last().map(|waiting| waiting.target.clone());
            if let Some(target) = &self.asking {
                self.pace.want(Read::Stop(target.clone()));
            }
        }
    }

    /// A worker that somebody wants to see still; all workers go before, where they are due.
    fn next_look(&mut self) {
        if self.pace.is_due(Instant::now(), self.open == 0) {
            return;
        }
        while self.look.is_none() {
            let Some(worker) = self.looks.pop_front() else { return };
            if self.once.remove(&worker) || self.looked_at.contains_key(&worker) {
                self.pace.want(Read::Worker(worker.clone()));
                self.look = Some(worker);
            }
        }
    }

    fn want_look(&mut self, worker: &str) {
        if !self.looks.iter().any(|it| it == worker) {
            self.looks.push_back(worker.to_owned());
        }
    }

    fn look_again(&mut self) {
        let workers: Vec<_> = self.looked_at.keys().cloned().collect();
        for worker in workers {
            self.want_look(&worker);
        }
    }

    fn was_read(&mut self, read: WasRead) {
        let (reading, ended) = (read.reading(), read.ended());
        self.pace.ended(Instant::now(), reading.calls_of_ecs, ended);
        match read.done {
            Done::Refreshed(Ok(view)) => {
                self.board.refreshed(*view, read.at, self.pace.paced(reading));
                self.look_again();
            }
            Done::Counted(Ok(depths)) => self.board.counted(&depths, read.at),
            // The next read of all says so.
            Done::Counted(Err(_)) => {}
            Done::Refreshed(Err(why)) => self.board.failed(&why, read.at),
            Done::Looked(worker, view) => self.board.looked(&worker, view.map(|view| *view)),
            Done::Asked(target, found) => {
                self.asking = None;
                let (asking, others) = self.asks.drain(..).partition(|it| it.target == target);
                let asking: Vec<Waiting> = asking;
                self.asks = others;
                for Waiting { answer, .. } in asking {
                    let lines = found.as_ref().map(|found| found.lines(QUESTION));
                    drop(answer.send(lines.map_err(Clone::clone)));
                }
                if let Ok(found) = found {
                    self.asked.truncate(MOST_ASKED);
                    self.asked.insert(0, Answered { target, found, at: Instant::now() });
                }
            }
        }
    }

    fn fulfil(&mut self, wish: Wish) {
        match wish {
            Wish::Opened(worker) => {
                self.open = self.open.saturating_add(1);
                if let Some(worker) = worker {
                    // Somebody waits for that one.
                    self.looks.retain(|it| *it != worker);
                    self.looks.push_front(worker.clone());
                    let count = self.looked_at.entry(worker).or_default();
                    *count = count.saturating_add(1);
                }
            }
            Wish::Closed(worker) => {
                self.open = self.open.saturating_sub(1);
                if let Some(worker) = worker {
                    let count = self.looked_at.remove(&worker).unwrap_or_default();
                    let left = count.saturating_sub(1);
                    if left != 0 {
                        self.looked_at.insert(worker, left);
                    }
                }
            }
            Wish::Read => self.pace.want(Read::All),
            Wish::Look(worker) => {
                self.want_look(&worker);
                self.once.insert(worker);
            }
            Wish::Ask(target, answer) => {
                // Who is left out hears that nobody has answered.
                self.asks.truncate(MOST_ASKED);
                self.asks.insert(0, Waiting { target, answer });
            }
            Wish::Stop(target, answer) => self.stop(Waiting { target, answer }),
        }
    }

    fn stop(&mut self, waiting: Waiting) {
        self.asked.retain(|it| it.at.elapsed() < TIME_TO_ANSWER);
        let is_soon = self.stopped.is_some_and(|stopped| stopped.elapsed() < BETWEEN_STOPS);
        if self.stop.is_some() || is_soon {
            let why = "one task a second is stopped: nothing was done, try again";
            drop(waiting.answer.send(Err(why.to_owned())));
            return;
        }
        let found = self.asked.iter().position(|it| it.target == waiting.target);
        let found = found.map(|index| self.asked.remove(index).found);
        if let Some(found) = found {
            self.stop = Some((self.source.stop(found), waiting));
        } else {
            let why =
                "nothing was done: ask what stopping it would mean, and answer within two minutes";
            drop(waiting.answer.send(Err(why.to_owned())));
        }
    }

    fn was_stopped(&mut self, came: Result<String, String>) {
        self.stopped = Some(Instant::now());
        if let Some((_, Waiting { target, answer })) = self.stop.take() {
            drop(answer.send(came.map(|line| vec![line])));
            self.want_look(&target.worker);
            self.once.insert(target.worker);
        }
        self.pace.want(Read::All);
    }
}

/// The end of something that may not be there.
async fn end_of<T>(work: &mut Option<LocalBoxFuture<'_, T>>) -> T {
    match work {
        Some(work) => work.await,
        None => pending().await,
    }
}

async fn end_of_stop(
    stop: &mut Option<(LocalBoxFuture<'_, Result<String, String>>, Waiting)>,
) -> Result<String, String> {
    match stop {
        Some((stop, _)) => stop.await,
        None => pending().await,
    }
}

async fn until(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => pending().await,
    }
}
