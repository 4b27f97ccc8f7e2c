//! `top`.

use std::future::pending;
use std::io::{self, IsTerminal};
use std::thread;
use std::time::Duration;

use anstream::{AutoStream, ColorChoice};
use clap::Args;
use decision::units::elapsed;
use ecs_queue_scaler::cli::overview::History;
use ecs_queue_scaler::cli::reads::{Done, OfDemo, Reads, WasRead};
use ecs_queue_scaler::cli::stop::ToStop;
use ecs_queue_scaler::cli::top::{Look, Pace, Read, Reading, Screen, Target, Wish};
use futures_util::future::LocalBoxFuture;
use jiff::Timestamp;
use ratatui::crossterm::clipboard::CopyToClipboard;
use ratatui::crossterm::event::{Event, read};
use ratatui::crossterm::execute;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, sleep_until};

use super::account::{now, runtime, variable};
use super::canvas::{Canvas, Mouse};
use super::reader::{self, Account, By};
use super::{Ends, Failed, Said, Terminal};

/// Columns of the question that stands on the screen.
const QUESTION: usize = 76;

#[derive(Args, Debug)]
#[group(id = "top")]
pub(crate) struct Arguments {
    /// Let `x` stop a task, after a question
    #[arg(long, conflicts_with = "demo")]
    allow_stop: bool,
    /// Draw with characters of ASCII only
    #[arg(long)]
    ascii: bool,
    /// Choose by the mouse, too; then the terminal marks text with Shift only
    #[arg(long)]
    mouse: bool,
    #[command(flatten)]
    reader: reader::Arguments,
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
    let screen = |history| Screen::new(look, arguments.allow_stop, history);
    let (of_demo, account);
    let (source, screen): (&dyn Reads, _) = if let Some(seed) = arguments.reader.demo {
        let mut screen = screen(History::default());
        of_demo = OfDemo::after_an_hour(seed, |view, at| screen.refreshed(view, at));
        (&of_demo, screen)
    } else {
        let by = By { command: "top", may_stop: arguments.allow_stop };
        account = runtime.block_on(Account::find(&arguments.reader, by))?;
        let history = runtime.block_on(account.history(&arguments.reader))?;
        (&account, screen(history))
    };
    let every = arguments.reader.every();
    let mouse = if arguments.mouse { Mouse::Program } else { Mouse::Terminal };
    let canvas = Canvas::take(mouse).map_err(|error| cannot_draw(&error))?;
    runtime.block_on_in_silence(watched(canvas, screen, source, every))
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

/// What somebody types, from a thread of its own: it waits for the terminal.
fn typed() -> UnboundedReceiver<io::Result<Event>> {
    let (sender, receiver) = unbounded_channel();
    thread::spawn(move || {
        loop {
            let event = read();
            let is_last = event.is_err();
            if sender.send(event).is_err() || is_last {
                break;
            }
        }
    });
    receiver
}

/// Everything that goes on at once.
struct Loop<'a> {
    canvas: Canvas,
    screen: Screen,
    source: &'a dyn Reads,
    pace: Pace,
    /// What is being read: one thing at a time.
    work: Option<LocalBoxFuture<'a, WasRead>>,
    /// A task that is being stopped.
    stop: Option<LocalBoxFuture<'a, Result<String, String>>>,
    /// When all was read last.
    read: Option<(Instant, Timestamp)>,
    reading: Reading,
    /// What the question is about.
    asked: Option<(Target, ToStop)>,
}

async fn watched(
    canvas: Canvas,
    screen: Screen,
    source: &dyn Reads,
    every: Duration,
) -> Result<Said, Failed> {
    let mut all = Loop {
        canvas,
        screen,
        source,
        pace: Pace::new(every, Instant::now()),
        work: None,
        stop: None,
        read: None,
        reading: Reading::default(),
        asked: None,
    };
    all.run().await
}

/// The end of something that may not be there.
async fn end_of<T>(work: &mut Option<LocalBoxFuture<'_, T>>) -> T {
    match work {
        Some(work) => work.await,
        None => pending().await,
    }
}

impl Loop<'_> {
    async fn run(&mut self) -> Result<Said, Failed> {
        let mut typed = typed();
        let on = |kind: SignalKind| signal(kind).map_err(|error| cannot_draw(&error));
        let (mut terminated, mut hung_up) =
            (on(SignalKind::terminate())?, on(SignalKind::hangup())?);
        let (mut interrupted, mut quit) = (on(SignalKind::interrupt())?, on(SignalKind::quit())?);
        let ended = |ends: Ends| Ok(Said { ends, ..Said::default() });
        loop {
            self.draw()?;
            if let Some(read) = self.pace.begin(Instant::now(), self.screen.is_paused()) {
                self.work = Some(self.source.read(read));
                continue;
            }
            // Ages on the screen grow.
            let soon = Instant::now() + Duration::from_secs(1);
            let next = self.pace.when(self.screen.is_paused()).unwrap_or(soon).min(soon);
            tokio::select! {
                biased;
                _ = terminated.recv() => return ended(Ends::Failed),
                _ = hung_up.recv() => return ended(Ends::Failed),
                _ = interrupted.recv() => return ended(Ends::Interrupted),
                _ = quit.recv() => return ended(Ends::Failed),
                event = typed.recv() => match event {
                    Some(Ok(event)) => match self.wish(&event) {
                        Some(Wish::Quit) => return Ok(Said::default()),
                        Some(Wish::Interrupt) => return ended(Ends::Interrupted),
                        Some(wish) => self.fulfil(wish)?,
                        None => {}
                    },
                    Some(Err(error)) => return Err(cannot_draw(&error)),
                    None => return Ok(Said::default()),
                },
                read = end_of(&mut self.work) => {
                    self.work = None;
                    self.was_read(read);
                }
                came = end_of(&mut self.stop) => {
                    self.stop = None;
                    self.screen.say(&came.unwrap_or_else(|why| why));
                    self.pace.want(Read::All);
                }
                () = sleep_until(next) => {}
            }
        }
    }

    fn wish(&mut self, event: &Event) -> Option<Wish> {
        match event {
            Event::Key(key) => self.screen.key(*key),
            Event::Mouse(mouse) => self.screen.mouse(*mouse),
            _ => None,
        }
    }

    fn draw(&mut self) -> Result<(), Failed> {
        // While a machine sleeps, one of its clocks stands still.
        let age = self.read.map(|(read, at)| read.elapsed().max(elapsed(at, now())));
        let age = age.unwrap_or_default();
        self.screen.reads(self.pace.paced(self.reading), age);
        let drawn = self.canvas.draw(|frame| self.screen.draw(frame));
        drawn.map_err(|error| cannot_draw(&error))
    }

    /// What is shown closely is as new as all the others.
    fn look_again(&mut self) {
        if let Some(worker) = self.screen.shown_closely().filter(|_| !self.screen.is_paused()) {
            self.pace.want(Read::Worker(worker.to_owned()));
        }
    }

    fn was_read(&mut self, read: WasRead) {
        let (ended, reading) = (read.ended(), read.reading());
        match read.done {
            Done::Refreshed(Ok(view)) => {
                self.reading = reading;
                self.screen.refreshed(*view, read.at);
                self.read = Some((Instant::now(), now()));
                self.look_again();
            }
            Done::Counted(Ok(depths)) => {
                self.screen.counted(&depths, read.at);
                self.read = Some((Instant::now(), now()));
            }
            // The next read of all says so.
            Done::Counted(Err(_)) => {}
            Done::Refreshed(Err(why)) => {
                self.screen.failed(&why, read.at);
            }
            Done::Looked(worker, view) => {
                self.screen.looked(&worker, view.map(|view| *view));
            }
            Done::Asked(target, found) => {
                let question = found.as_ref().map(|found| found.lines(QUESTION));
                let question = question.map_err(Clone::clone);
                self.screen.ask(&target, question);
                self.asked = found.ok().map(|found| (target, found));
            }
        }
        self.pace.ended(Instant::now(), reading.calls_of_ecs, ended);
    }

    fn fulfil(&mut self, wish: Wish) -> Result<(), Failed> {
        match wish {
            Wish::Quit | Wish::Interrupt => {}
            Wish::Suspend => self.canvas.suspend().map_err(|error| cannot_draw(&error))?,
            Wish::Read(read) => {
                if read == Read::All {
                    self.canvas.clear().map_err(|error| cannot_draw(&error))?;
                }
                self.pace.want(read);
            }
            Wish::Stop(target) => {
                let found = self.asked.take().filter(|(asked, _)| *asked == target);
                self.stop = found.map(|(_, found)| self.source.stop(found));
            }
            Wish::Copy(text) => {
                let copied = execute!(io::stdout(), CopyToClipboard::to_clipboard_from(&text));
                let line = format!("copied {text}, where the terminal lets a program do that");
                self.screen.say(if copied.is_ok() { &line } else { "nothing was copied" });
            }
        }
        Ok(())
    }
}
