//! `console`.

use std::collections::{BTreeMap, VecDeque};
use std::future::pending;
use std::io::{self, ErrorKind, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use clap::{Args, value_parser};
use ecs_queue_scaler::cli::console::{About, Answer, Board, Guard, Routes, Wish, router, serve};
use ecs_queue_scaler::cli::overview::History;
use ecs_queue_scaler::cli::stop::ToStop;
use ecs_queue_scaler::cli::top::{Demo, Ended, Pace, Read, Reading, Target};
use futures_util::future::LocalBoxFuture;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::oneshot::Sender;
use tokio::time::{Instant, sleep_until};

use super::account::{self, now, runtime, variable};
use super::reader::{
    Account, BEFORE, Done, HistoryArguments, Source, WasRead, question, reading_of,
};
use super::{Ends, Failed, Said};

/// Columns of a question: a page fills its lines itself.
const QUESTION: usize = 10_000;

/// Questions that wait, or wait for their yes.
const MOST_ASKED: usize = 16;

/// A yes comes within this time, or the task has to be asked about again.
const TIME_TO_ANSWER: Duration = Duration::from_mins(2);

/// One task in so much time is stopped.
const BETWEEN_STOPS: Duration = Duration::from_secs(1);

/// Where a key may be given that stays the same, as for Prometheus.
const KEY: &str = "QUEUE_SCALER_CONSOLE_KEY";

#[derive(Args, Debug)]
#[group(id = "console")]
pub(crate) struct Arguments {
    /// The port of this machine; 0 takes any that is free
    #[arg(long, default_value_t = 7788)]
    port: u16,
    /// Another port by which a browser reaches it, as through `ssh -L 9000:127.0.0.1:7788`
    #[arg(long, value_name = "PORT")]
    also_port: Vec<u16>,
    /// Read it again after so many seconds, 5 at least; later where that would take more than a quarter of ECS's rate
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = value_parser!(u64).range(5..=86_400))]
    every: u64,
    /// Let the page stop a task, after a question
    #[arg(long, conflicts_with = "demo")]
    allow_stop: bool,
    /// Also give the numbers at /metrics, in the text format of Prometheus
    #[arg(long)]
    prometheus: bool,
    /// Show a day of 52 workers that nobody has, without AWS
    #[arg(long, value_name = "SEED", num_args = 0..=1, default_missing_value = "1")]
    demo: Option<u64>,
    #[command(flatten)]
    past: HistoryArguments,
    #[command(flatten)]
    account: account::Arguments,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Said, Failed> {
    let runtime = runtime()?;
    let account;
    let mut history = History::default();
    let source = if let Some(seed) = arguments.demo {
        Source::Demo(Demo::new(seed))
    } else {
        account = runtime.block_on(Account::find(&arguments.account, arguments.allow_stop))?;
        history = runtime.block_on(account.history(&arguments.past));
        Source::Account(&account)
    };
    runtime.block_on_in_silence(opened(arguments, source, history))
}

async fn opened(
    arguments: &Arguments,
    source: Source<'_>,
    history: History,
) -> Result<Said, Failed> {
    let listeners = bound(arguments.port).await?;
    let address = listeners.first().and_then(|listener| listener.local_addr().ok());
    let port = address.map_or(arguments.port, |address| address.port());
    let ports = std::iter::once(port).chain(arguments.also_port.iter().copied()).collect();
    let guard = guard(ports)?;
    let may_stop = arguments.allow_stop;
    let line = if may_stop {
        "may stop tasks; Ctrl-C ends it"
    } else {
        "reads only (--allow-stop lets it stop tasks); Ctrl-C ends it"
    };
    let line = format!("http://127.0.0.1:{port}/#k={}   {line}", guard.key());
    let mut out = io::stdout();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .map_err(|error| Failed::Wrong(vec![format!("cannot say where the page is: {error}")]))?;
    let about = About { run: now().as_millisecond().to_string(), may_stop, is_saved: false };
    let (sender, wishes) = unbounded_channel();
    let board = Board::new(about, history);
    let beside = Routes { stop: may_stop, prometheus: arguments.prometheus };
    let router = router(board.desk(sender), guard, beside);
    let pace = Pace::new(Duration::from_secs(arguments.every), Instant::now());
    let mut all = Loop {
        board,
        source,
        pace,
        wishes,
        open: 0,
        looked_at: BTreeMap::new(),
        looks: VecDeque::new(),
        look: None,
        work: None,
        asks: Vec::new(),
        asked: Vec::new(),
        stop: None,
        stopped: None,
    };
    all.begin_demo();
    tokio::select! {
        ended = all.run() => ended,
        () = serve(listeners, router) => Ok(Said::default()),
    }
}

fn guard(ports: Vec<u16>) -> Result<Guard, Failed> {
    match variable(KEY) {
        Some(key) => {
            Guard::with_key(&key, ports).map_err(|why| Failed::Use(format!("{KEY}: {why}")))
        }
        None => Guard::new(ports)
            .map_err(|error| Failed::Wrong(vec![format!("cannot make a key: {error}")])),
    }
}

/// Both addresses of this machine that no other one reaches. Where `localhost` leads to somebody else's program, the
/// page must not seem to be there.
async fn bound(port: u16) -> Result<Vec<TcpListener>, Failed> {
    let wrong = |address: SocketAddr, error: &io::Error| {
        let why = match error.kind() {
            ErrorKind::AddrInUse => {
                "is in use, perhaps by another console: `--port 0` takes any that is free"
                    .to_owned()
            }
            _ => format!("cannot be listened on: {error}"),
        };
        Failed::Wrong(vec![format!("{address} {why}")])
    };
    let first = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    let listener = TcpListener::bind(first).await.map_err(|error| wrong(first, &error))?;
    let port = listener.local_addr().map_err(|error| wrong(first, &error))?.port();
    let second = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), port);
    match TcpListener::bind(second).await {
        Ok(other) => Ok(vec![listener, other]),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Err(wrong(second, &error)),
        // A machine without IPv6.
        Err(_) => Ok(vec![listener]),
    }
}

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

/// Everything that goes on at once.
struct Loop<'a> {
    board: Board,
    source: Source<'a>,
    pace: Pace,
    wishes: UnboundedReceiver<Wish>,
    /// Pages that somebody looks at.
    open: usize,
    /// How many of them show a worker closely.
    looked_at: BTreeMap<String, usize>,
    /// Workers that are to be read closely, in their order.
    looks: VecDeque<String>,
    /// The one that comes next.
    look: Option<String>,
    /// What is being read: one thing at a time.
    work: Option<LocalBoxFuture<'a, WasRead>>,
    asks: Vec<Waiting>,
    asked: Vec<Answered>,
    /// A task that is being stopped.
    stop: Option<(LocalBoxFuture<'a, String>, Waiting)>,
    stopped: Option<Instant>,
}

impl Loop<'_> {
    async fn run(&mut self) -> Result<Said, Failed> {
        let on = |kind: SignalKind| {
            signal(kind).map_err(|error| Failed::Wrong(vec![format!("cannot wait: {error}")]))
        };
        let (mut interrupted, mut terminated) =
            (on(SignalKind::interrupt())?, on(SignalKind::terminate())?);
        loop {
            self.next_look();
            // Nobody looks: nothing is read that nobody has asked for.
            if let Some(read) = self.pace.begin(Instant::now(), self.open == 0) {
                self.begin(read);
                continue;
            }
            let next = self.pace.when(self.open == 0);
            tokio::select! {
                biased;
                _ = interrupted.recv() => {
                    return Ok(Said { ends: Ends::Interrupted, ..Said::default() });
                }
                _ = terminated.recv() => {
                    return Ok(Said { ends: Ends::Failed, ..Said::default() });
                }
                Some(wish) = self.wishes.recv() => self.fulfil(wish),
                read = end_of(&mut self.work) => {
                    self.work = None;
                    self.was_read(read);
                }
                line = end_of_stop(&mut self.stop) => self.was_stopped(line),
                () = until(next) => {}
            }
        }
    }

    /// A day that begins in the night has nothing to show.
    fn begin_demo(&mut self) {
        let Source::Demo(demo) = &mut self.source else { return };
        for _ in 0..BEFORE {
            let (view, at) = demo.refresh();
            let pause = self.pace.pause();
            self.board.refreshed(view, at, Reading { pause, ..Reading::default() });
        }
    }

    fn next_look(&mut self) {
        if self.look.is_none() {
            self.look = self.looks.pop_front();
            if let Some(worker) = &self.look {
                self.pace.want(Read::Worker(worker.clone()));
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

    fn begin(&mut self, read: Read) {
        if matches!(read, Read::Worker(_)) {
            self.look = None;
        }
        let demo = match &mut self.source {
            Source::Account(account) => {
                let account: &Account = account;
                self.work = Some(Box::pin(account.read(read)));
                return;
            }
            Source::Demo(demo) => demo,
        };
        match read {
            Read::All => {
                let (view, at) = demo.refresh();
                let pause = self.pace.pause();
                self.board.refreshed(view, at, Reading { pause, ..Reading::default() });
                self.look_again();
            }
            Read::Worker(name) => {
                let view = demo.worker(&name).ok_or_else(|| format!("there is no `{name}`"));
                self.board.looked(&name, view);
            }
            Read::Stop(_) => {}
        }
        self.pace.ended(Instant::now(), 0, Ended::Well);
    }

    fn was_read(&mut self, read: WasRead) {
        let WasRead { done, tally } = read;
        let (reading, ended) = (reading_of(&tally), done.ended(&tally));
        self.pace.ended(Instant::now(), reading.calls_of_ecs, ended);
        match done {
            Done::Refreshed(Ok(view)) => {
                let queues = u64::try_from(view.workers.len()).unwrap_or_default();
                let reading = Reading { queues, pause: self.pace.pause(), ..reading };
                self.board.refreshed(*view, now(), reading);
                self.look_again();
            }
            Done::Refreshed(Err(why)) => self.board.failed(&why, now()),
            Done::Looked(worker, view) => self.board.looked(&worker, view.map(|view| *view)),
            Done::Asked(target, found) => {
                let (asking, others) = self.asks.drain(..).partition(|it| it.target == target);
                let asking: Vec<Waiting> = asking;
                self.asks = others;
                for Waiting { answer, .. } in asking {
                    let lines = found.as_ref().map(|found| question(found, QUESTION));
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
                    self.want_look(&worker);
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
            Wish::Look(worker) => self.want_look(&worker),
            Wish::Ask(target, answer) => {
                // Who is left out hears that nobody has answered.
                self.asks.truncate(MOST_ASKED);
                self.pace.want(Read::Stop(target.clone()));
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
        if let (Some(found), Source::Account(account)) = (found, &self.source) {
            self.stop = Some((Box::pin(account.stop(found, "console")), waiting));
        } else {
            let why = "ask first what stopping it would mean: nothing was done";
            drop(waiting.answer.send(Err(why.to_owned())));
        }
    }

    fn was_stopped(&mut self, line: String) {
        self.stopped = Some(Instant::now());
        if let Some((_, Waiting { target, answer })) = self.stop.take() {
            drop(answer.send(Ok(vec![line])));
            self.want_look(&target.worker);
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

async fn end_of_stop(stop: &mut Option<(LocalBoxFuture<'_, String>, Waiting)>) -> String {
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
