//! `top`.

use std::io::{self, IsTerminal};
use std::thread;
use std::time::Duration;

use anstream::{AutoStream, ColorChoice};
use clap::{Args, value_parser};
use decision::units::WorkerName;
use ecs_queue_scaler::aws::{Aws, Tally, WriteCloud};
use ecs_queue_scaler::cli::deployment::Deployment;
use ecs_queue_scaler::cli::status::{KeptMetrics, StatusView, WorkerView, refresh, worker};
use ecs_queue_scaler::cli::stop::{Asked, ToStop, Which, prepare, reason};
use ecs_queue_scaler::cli::top::{Demo, Look, Reading, Screen, Wish};
use futures_util::future::LocalBoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use ratatui::DefaultTerminal;
use ratatui::crossterm::clipboard::CopyToClipboard;
use ratatui::crossterm::event::{Event, read};
use ratatui::crossterm::execute;
use rustix::process::{Signal, getpid, kill_process};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, sleep_until};

use super::account::{self, Access, now, reading, runtime, variable};
use super::{Ends, Failed, Said, Terminal};

/// ECS lets the account read 20 times a second, and the function needs that: a screen takes a quarter.
/// Source: ECS API reference, "Request throttling for the Amazon ECS API".
const CALLS_A_SECOND: u64 = 5;

/// What fails is tried again after twice the time, and then after so much.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Columns of the question that stands on the screen.
const QUESTION: usize = 76;

#[derive(Args, Debug)]
#[group(id = "top")]
pub(crate) struct Arguments {
    /// Read it again after so many seconds, 5 at least; later where that would take more than a quarter of ECS's rate
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = value_parser!(u64).range(5..))]
    every: u64,
    /// Let `x` stop a task, after a question
    #[arg(long, conflicts_with = "demo")]
    allow_stop: bool,
    /// Draw with characters of ASCII only
    #[arg(long)]
    ascii: bool,
    /// Show a day of 52 workers that nobody has, without AWS
    #[arg(long, value_name = "SEED", num_args = 0..=1, default_missing_value = "1")]
    demo: Option<u64>,
    #[command(flatten)]
    account: account::Arguments,
}

pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Result<Said, Failed> {
    let is_dumb = variable("TERM").is_none_or(|name| name == "dumb");
    if is_dumb || !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        let instead = "`status --watch 5` reads the same again and again, for a pipe a line of JSON each time";
        return Err(Failed::Use(format!("this is no terminal that could be drawn on: {instead}")));
    }
    let color = match terminal.color {
        ColorChoice::Auto => AutoStream::choice(&io::stdout()),
        color => color,
    };
    let look = Look {
        ascii: arguments.ascii || !is_unicode(),
        colors: color != ColorChoice::Never,
        clock: terminal.clock.clone(),
    };
    let runtime = runtime()?;
    let source = match arguments.demo {
        Some(seed) => Source::Demo(Demo::new(seed)),
        None => runtime
            .block_on(Account::find(arguments))
            .map(|found| Source::Account(Box::new(found)))?,
    };
    let screen = Screen::new(look, arguments.allow_stop);
    let every = Duration::from_secs(arguments.every);
    let shown = ratatui::try_init().map_err(|error| cannot_draw(&error))?;
    let ended = runtime.block_on_in_silence(watched(shown, screen, source, every));
    ratatui::restore();
    ended
}

fn cannot_draw(error: &io::Error) -> Failed {
    Failed::Wrong(vec![format!("cannot draw on this terminal: {error}")])
}

/// By the first of these that is set. Source: POSIX, "Internationalization Variables".
fn is_unicode() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(variable);
    locale.is_some_and(|name| {
        let name = name.to_lowercase();
        name.ends_with("utf-8") || name.ends_with("utf8")
    })
}

/// Where it is read.
enum Source {
    Demo(Demo),
    Account(Box<Account>),
}

struct Account {
    aws: Aws,
    deployment: Deployment,
    metrics: KeptMetrics,
    /// Whether tasks may be stopped.
    stops: bool,
}

/// What has been read or done meanwhile.
enum Done {
    Refreshed(Result<Box<StatusView>, String>, Tally),
    Looked(String, Result<Box<WorkerView>, String>),
    Asked(Result<ToStop, String>),
    Stopped(String),
}

impl Account {
    async fn find(arguments: &Arguments) -> Result<Self, Failed> {
        let aws = arguments.account.connect().await?;
        let Access { deployment, .. } = arguments.account.access_by(aws.read.clone(), true).await?;
        Ok(Self { aws, deployment, metrics: KeptMetrics::default(), stops: arguments.allow_stop })
    }

    async fn refresh(&self) -> Done {
        let (cloud, invocation) = reading(&self.aws.read);
        let view = Box::pin(refresh(&self.deployment, &cloud, &self.metrics, &invocation)).await;
        Done::Refreshed(view.map(Box::new).map_err(|error| error.to_string()), cloud.tally())
    }

    async fn look(&self, name: String) -> Done {
        let (cloud, invocation) = reading(&self.aws.read);
        let worker_name = WorkerName::from(name.as_str());
        let view = Box::pin(worker(&self.deployment, &cloud, &worker_name, &invocation)).await;
        Done::Looked(name, view.map(Box::new).map_err(|error| error.to_string()))
    }

    async fn ask(&self, worker: &str, task: String) -> Done {
        let (cloud, invocation) = reading(&self.aws.read);
        let asked = Asked { worker: WorkerName::from(worker), which: Which::These(vec![task]) };
        let found = Box::pin(prepare(&self.deployment, &cloud, &asked, &invocation)).await;
        Done::Asked(found.map_err(|error| error.to_string()))
    }

    async fn stop(&self, found: ToStop) -> Done {
        let caller = self.aws.read.caller().await.ok();
        let why = reason(caller.as_deref(), Some("top"));
        let write: Option<&WriteCloud> = self.stops.then_some(&self.aws.write);
        let Some(write) = write else { return Done::Stopped("nothing may be stopped".to_owned()) };
        let stopped = found.stop(write, &why).await;
        let failures = stopped.failures.join("; ");
        Done::Stopped(match stopped.stopped {
            0 => failures,
            _ => format!("stopped it; its reason is `{why}`"),
        })
    }
}

/// What somebody types, from a thread of its own: it waits for the terminal.
fn typed() -> UnboundedReceiver<Event> {
    let (sender, receiver) = unbounded_channel();
    thread::spawn(move || {
        while let Ok(event) = read() {
            if sender.send(event).is_err() {
                break;
            }
        }
    });
    receiver
}

/// Everything that goes on at once.
struct Loop<'a> {
    terminal: DefaultTerminal,
    screen: Screen,
    source: Result<&'a Account, Demo>,
    work: FuturesUnordered<LocalBoxFuture<'a, Done>>,
    every: Duration,
    /// When all is read again; none while it is read.
    next: Option<Instant>,
    /// When it was read last.
    read: Option<Instant>,
    reading: Reading,
    /// What the question is about.
    to_stop: Option<ToStop>,
}

async fn watched(
    terminal: DefaultTerminal,
    screen: Screen,
    source: Source,
    every: Duration,
) -> Result<Said, Failed> {
    let account;
    let source = match source {
        Source::Demo(demo) => Err(demo),
        Source::Account(found) => {
            account = found;
            Ok(&*account)
        }
    };
    let mut all = Loop {
        terminal,
        screen,
        source,
        work: FuturesUnordered::new(),
        every,
        next: Some(Instant::now()),
        read: None,
        reading: Reading { pause: every, ..Reading::default() },
        to_stop: None,
    };
    all.run().await
}

impl Loop<'_> {
    async fn run(&mut self) -> Result<Said, Failed> {
        let mut typed = typed();
        let mut ended = signal(SignalKind::terminate()).map_err(|error| cannot_draw(&error))?;
        let mut hung_up = signal(SignalKind::hangup()).map_err(|error| cannot_draw(&error))?;
        loop {
            self.draw()?;
            let next = self.next.filter(|_| !self.screen.is_paused());
            // Ages on the screen grow.
            let soon = Instant::now() + Duration::from_secs(1);
            tokio::select! {
                biased;
                _ = ended.recv() => return Ok(Said { ends: Ends::Failed, ..Said::default() }),
                _ = hung_up.recv() => return Ok(Said { ends: Ends::Failed, ..Said::default() }),
                event = typed.recv() => match event {
                    None => return Ok(Said::default()),
                    Some(Event::Key(key)) => {
                        if let Some(wish) = self.screen.key(key) && self.fulfil(wish)? {
                            return Ok(Said::default());
                        }
                    }
                    Some(_) => {}
                },
                Some(done) = self.work.next(), if !self.work.is_empty() => self.done(done),
                () = sleep_until(next.unwrap_or(soon).min(soon)) => {
                    if next.is_some_and(|next| next <= Instant::now()) {
                        self.refresh();
                    }
                }
            }
        }
    }

    fn draw(&mut self) -> Result<(), Failed> {
        let age = self.read.map(|read| read.elapsed()).unwrap_or_default();
        self.screen.reads(Reading { age, ..self.reading });
        let drawn = self.terminal.draw(|frame| self.screen.draw(frame));
        drawn.map(drop).map_err(|error| cannot_draw(&error))
    }

    fn refresh(&mut self) {
        self.next = None;
        match &mut self.source {
            Ok(account) => self.work.push(Box::pin(account.refresh())),
            Err(demo) => {
                let (view, at) = demo.refresh();
                self.screen.refreshed(view, at);
                self.was_read(self.every);
            }
        }
    }

    fn was_read(&mut self, pause: Duration) {
        self.read = Some(Instant::now());
        self.reading.pause = pause;
        self.next = Some(Instant::now() + pause);
        let shown = self.screen.shown_closely().map(str::to_owned);
        if let Some(worker) = shown {
            self.look(worker);
        }
    }

    fn look(&mut self, worker: String) {
        match &self.source {
            Ok(account) => self.work.push(Box::pin(account.look(worker))),
            Err(demo) => {
                let view = demo.worker(&worker).ok_or_else(|| format!("there is no `{worker}`"));
                self.screen.looked(&worker, view);
            }
        }
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Refreshed(Ok(view), tally) => {
                self.screen.refreshed(*view, now());
                let calls = calls_of_ecs(&tally);
                self.reading.calls_of_ecs = calls;
                let pause = Duration::from_secs(calls.div_ceil(CALLS_A_SECOND)).max(self.every);
                self.was_read(pause);
            }
            Done::Refreshed(Err(why), _) => {
                self.screen.failed(&why, now());
                self.reading.pause = self.reading.pause.saturating_mul(2).min(LONGEST_PAUSE);
                self.next = Some(Instant::now() + self.reading.pause);
            }
            Done::Looked(worker, view) => {
                self.screen.looked(&worker, view.map(|view| *view));
            }
            Done::Asked(Ok(found)) => {
                let lines = anstream::adapter::strip_str(&found.page(QUESTION)).to_string();
                self.screen.ask(lines.lines().map(str::to_owned).collect());
                self.to_stop = Some(found);
            }
            Done::Asked(Err(why)) => self.screen.say(&why),
            Done::Stopped(line) => self.screen.say(&line),
        }
    }

    /// Whether that was the end.
    fn fulfil(&mut self, wish: Wish) -> Result<bool, Failed> {
        match wish {
            Wish::Quit => return Ok(true),
            Wish::Suspend => self.suspend()?,
            Wish::Refresh => {
                // What is being read is new enough; and nobody reads faster than the rate allows.
                let earliest = self.read.map(|read| read + self.every);
                self.next = self.next.map(|next| earliest.unwrap_or(next).min(next));
                drop(self.terminal.clear());
            }
            Wish::Look(worker) => self.look(worker),
            Wish::AskToStop { worker, task } => {
                if let Ok(account) = self.source {
                    self.work.push(Box::pin(async move { account.ask(&worker, task).await }));
                }
            }
            Wish::Stop => {
                if let (Ok(account), Some(found)) = (&self.source, self.to_stop.take()) {
                    self.work.push(Box::pin(account.stop(found)));
                }
            }
            Wish::Copy(text) => {
                let copied = execute!(io::stdout(), CopyToClipboard::to_clipboard_from(&text));
                let line = format!("copied {text}, where the terminal lets a program do that");
                self.screen.say(if copied.is_ok() { &line } else { "nothing was copied" });
            }
        }
        Ok(false)
    }

    /// The shell has the terminal until somebody says `fg`.
    fn suspend(&mut self) -> Result<(), Failed> {
        ratatui::restore();
        let stopped = kill_process(getpid(), Signal::TSTP);
        self.terminal = ratatui::try_init().map_err(|error| cannot_draw(&error))?;
        if let Err(error) = stopped {
            self.screen.say(&format!("the shell does not take over: {error}"));
        }
        Ok(())
    }
}

/// Queues and metrics have rates of their own.
fn calls_of_ecs(tally: &Tally) -> u64 {
    let of_ecs = |name: &str| ["List", "Describe"].iter().any(|verb| name.starts_with(verb));
    let calls = tally.calls.iter().filter(|(name, _)| of_ecs(name));
    calls.map(|(_, calls)| *calls).sum()
}
