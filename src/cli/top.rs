//! `top`: all workers on one screen, again and again. What a key does and what is drawn; it reads nothing itself.

mod closely;
mod columns;
mod demo;
mod draw;
mod filter;
mod over;
mod pace;

use std::time::Duration;

use jiff::Timestamp;
use ratatui::crossterm::event::{
    KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};

use self::closely::Closely;
use self::columns::Column;
pub use self::demo::Demo;
use self::filter::Filter;
pub use self::filter::is_meant;
use self::over::Over;
pub(super) use self::pace::MICRO_DOLLARS_A_METRIC;
pub use self::pace::{Ended, Pace, Read, Reading, Target};
use super::overview::{Columns, History, LATELY, Overview, OverviewRow};
use super::page::Clock;
use super::status::{Depths, Row, StatusView, Urgency, WorkerView};

/// Rows that a page key goes.
const PAGE: usize = 10;

/// How the terminal is.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// Whether only characters of ASCII are drawn.
    pub ascii: bool,
    /// Whether colours are drawn, too.
    pub colors: bool,
    /// What times are shown by.
    pub clock: Clock,
}

/// What the screen wants of whoever holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// To end.
    Quit,
    /// To end as by Ctrl-C.
    Interrupt,
    /// To stand back for the shell until somebody calls it again.
    Suspend,
    /// To read this as soon as it may be.
    Read(Read),
    /// To stop what was asked about.
    Stop(Target),
    /// To leave a text to whoever pastes.
    Copy(String),
}

/// What stands in the middle.
#[derive(Clone, Debug, PartialEq)]
enum Face {
    /// All workers.
    Workers,
    /// One of them.
    Worker(Box<Closely>),
}

/// By what rows are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sort {
    column: Column,
    is_reversed: bool,
}

/// All that is on the screen.
#[derive(Clone, Debug)]
pub struct Screen {
    look: Look,
    may_stop: bool,
    history: History,
    /// The columns of all trends, of the history as it is.
    trend: Columns,
    /// None until something was read.
    seen: Option<Seen>,
    face: Face,
    /// The worker that is chosen, which is kept wherever its row goes.
    chosen: Option<String>,
    sort: Option<Sort>,
    filter: Filter,
    shows_idle: bool,
    over: Option<Over>,
    is_paused: bool,
    /// Whether a task is to be stopped.
    stopping: Stopping,
    /// What was done or went wrong last.
    message: Option<Message>,
    reading: Reading,
    /// How old what is shown is.
    age: Duration,
    /// Where the rows are, for the mouse.
    rows: Rows,
}

/// Rows of the table as they were drawn last.
#[derive(Clone, Copy, Debug, Default)]
struct Rows {
    /// The line of the first one.
    top: u16,
    /// Lines that there are for them.
    height: u16,
    /// Rows that are above.
    above: usize,
}

/// How far somebody is who wants a task stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stopping {
    Nothing,
    /// What that would mean is being read.
    Asked(Target),
    /// It has to be answered with `y` before anything else.
    Question(Target, Vec<String>),
}

/// A line about what has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Message {
    text: String,
    /// Whether it is that nothing could be read, which the next read ends.
    is_of_reading: bool,
}

/// What was read last.
#[derive(Clone, Debug)]
struct Seen {
    view: StatusView,
    overview: Overview,
    at: Timestamp,
}

impl Screen {
    /// A screen on which nothing has been seen but what was before.
    pub fn new(look: Look, may_stop: bool, history: History) -> Self {
        Self {
            look,
            may_stop,
            trend: history.lately(LATELY, columns::TREND),
            history,
            seen: None,
            face: Face::Workers,
            chosen: None,
            sort: None,
            filter: Filter::default(),
            shows_idle: false,
            over: None,
            is_paused: false,
            stopping: Stopping::Nothing,
            message: None,
            reading: Reading::default(),
            age: Duration::ZERO,
            rows: Rows::default(),
        }
    }

    /// What was read anew. Every worker keeps its mark.
    pub fn refreshed(&mut self, view: StatusView, at: Timestamp) {
        self.history.add(at, &view.workers);
        self.trend = self.history.lately(LATELY, columns::TREND);
        let overview = Overview::of(&view, &self.history);
        self.message.take_if(|message| message.is_of_reading);
        self.seen = Some(Seen { view, overview, at });
        self.keep_choice();
    }

    /// What waits for all of them, as it was read anew; their tasks are as they were.
    pub fn counted(&mut self, depths: &Depths, at: Timestamp) {
        if let Some(Seen { view, .. }) = self.seen.take() {
            self.refreshed(view.counted(at, depths), at);
        }
    }

    /// Reading failed: what is shown stays, with its age.
    pub fn failed(&mut self, why: &str, at: Timestamp) {
        self.history.add_gap(at);
        self.trend = self.history.lately(LATELY, columns::TREND);
        self.message = Some(Message { text: why.to_owned(), is_of_reading: true });
    }

    /// How old what is shown is, and how much is read for it.
    pub fn reads(&mut self, reading: Reading, age: Duration) {
        self.reading = reading;
        self.age = age;
    }

    /// A worker that was read closely; whoever has left it meanwhile does not come back to it.
    pub fn looked(&mut self, worker: &str, read: Result<WorkerView, String>) {
        let Face::Worker(closely) = &mut self.face else { return };
        if closely.worker != worker {
            return;
        }
        match read {
            Ok(view) => {
                let is_there = |id: &String| view.alive.iter().any(|it| it.task == *id);
                let is_first = closely.view.is_none();
                let first = view.alive.first().filter(|_| is_first);
                let kept = closely.task.take().filter(is_there);
                closely.task = kept.or_else(|| first.map(|task| task.task.clone()));
                closely.view = Some(view);
                closely.error = None;
            }
            Err(why) => closely.error = Some(why),
        }
    }

    /// What would become of a task that is to be stopped. Whoever has done anything else meanwhile is not asked.
    pub fn ask(&mut self, target: &Target, question: Result<Vec<String>, String>) {
        if self.stopping != Stopping::Asked(target.clone()) {
            return;
        }
        self.message = None;
        self.stopping = match question {
            Ok(lines) => Stopping::Question(target.clone(), lines),
            Err(why) => {
                self.say(&why);
                Stopping::Nothing
            }
        };
    }

    /// A line about what was done.
    pub fn say(&mut self, text: &str) {
        self.message = Some(Message { text: text.to_owned(), is_of_reading: false });
    }

    /// Whether nothing is to be read.
    pub fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// The worker that is shown closely.
    pub fn shown_closely(&self) -> Option<&str> {
        match &self.face {
            Face::Worker(closely) => Some(&closely.worker),
            Face::Workers => None,
        }
    }

    /// What somebody has typed.
    pub fn key(&mut self, key: KeyEvent) -> Option<Wish> {
        if key.kind == KeyEventKind::Release {
            return None;
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return match key.code {
                KeyCode::Char('c') => Some(Wish::Interrupt),
                KeyCode::Char('z') => Some(Wish::Suspend),
                KeyCode::Char('l') => Some(Wish::Read(Read::All)),
                _ => None,
            };
        }
        self.message = None;
        // Whatever is pressed but `y` says no, also to a question that is still to come.
        let stopping = std::mem::replace(&mut self.stopping, Stopping::Nothing);
        if let Stopping::Question(target, _) = stopping {
            let is_yes = key.code == KeyCode::Char('y');
            self.say(if is_yes { "stopping it" } else { "nothing was stopped" });
            return is_yes.then_some(Wish::Stop(target));
        }
        if self.filter.is_typing {
            self.type_into_filter(key.code);
            return None;
        }
        if let Some(over) = self.over.take() {
            self.over = over.after(key.code);
            return None;
        }
        match self.face {
            _ if key.code == KeyCode::Char('?') => {
                self.over = Some(Over::help());
                None
            }
            _ if key.code == KeyCode::Char('w') => {
                self.say_what_to_do();
                None
            }
            Face::Workers => self.key_of_workers(key.code),
            Face::Worker(_) => self.key_of_worker(key.code),
        }
    }

    /// What somebody has done with the mouse: the wheel chooses, a click chooses what it hits, and a second one opens it.
    pub fn mouse(&mut self, event: MouseEvent) -> Option<Wish> {
        let code = match event.kind {
            MouseEventKind::ScrollDown => KeyCode::Down,
            MouseEventKind::ScrollUp => KeyCode::Up,
            MouseEventKind::Down(MouseButton::Left) => {
                let hit = self.hit(event.row)?;
                let is_chosen = self.chosen.as_ref() == Some(&hit);
                self.chosen = Some(hit);
                return if is_chosen { self.pressed(KeyCode::Enter) } else { None };
            }
            _ => return None,
        };
        self.pressed(code)
    }

    fn pressed(&mut self, code: KeyCode) -> Option<Wish> {
        // A question is answered by a key, and by no slip of a hand.
        let is_asked = matches!(self.stopping, Stopping::Question(..)) || self.filter.is_typing;
        if is_asked { None } else { self.key(KeyEvent::new(code, KeyModifiers::NONE)) }
    }

    /// The worker on this line.
    fn hit(&self, line: u16) -> Option<String> {
        if self.face != Face::Workers || self.over.is_some() {
            return None;
        }
        let row = line.checked_sub(self.rows.top).filter(|row| *row < self.rows.height)?;
        let row = self.rows.above.checked_add(usize::from(row))?;
        self.shown().get(row).map(|it| it.row.worker.clone())
    }

    fn type_into_filter(&mut self, code: KeyCode) {
        match code {
            KeyCode::Enter => self.filter.is_typing = false,
            KeyCode::Esc => {
                self.filter.is_typing = false;
                self.filter.text.clear();
            }
            KeyCode::Backspace => drop(self.filter.text.pop()),
            KeyCode::Char(c) => self.filter.text.push(c),
            _ => {}
        }
        self.keep_choice();
    }

    fn key_of_workers(&mut self, code: KeyCode) -> Option<Wish> {
        match code {
            KeyCode::Char('q') => return Some(Wish::Quit),
            KeyCode::Esc if self.filter.text.is_empty() => {}
            KeyCode::Esc => self.filter.text.clear(),
            KeyCode::Char('/') => self.filter.is_typing = true,
            KeyCode::Char('a') => self.shows_idle = !self.shows_idle,
            KeyCode::Char('p') => self.is_paused = !self.is_paused,
            KeyCode::Char('r') => return Some(Wish::Read(Read::All)),
            KeyCode::Char('s') => self.sort_by_next(),
            KeyCode::Char('S') => self.reverse(),
            KeyCode::Char('c') => return self.chosen.clone().map(Wish::Copy),
            KeyCode::Enter | KeyCode::Char('e' | 'l') => {
                let worker = self.chosen.clone()?;
                let mut closely = Closely { worker: worker.clone(), ..Closely::default() };
                if code == KeyCode::Char('l') {
                    closely.turn(usize::MAX);
                }
                self.face = Face::Worker(Box::new(closely));
                return Some(Wish::Read(Read::Worker(worker)));
            }
            code => self.choose(code),
        }
        self.keep_choice();
        None
    }

    fn key_of_worker(&mut self, code: KeyCode) -> Option<Wish> {
        let Face::Worker(closely) = &mut self.face else { return None };
        match code {
            KeyCode::Char('q') | KeyCode::Esc | KeyCode::Left => self.face = Face::Workers,
            KeyCode::Char('p') => self.is_paused = !self.is_paused,
            KeyCode::Char('r') => {
                return Some(Wish::Read(Read::Worker(closely.worker.clone())));
            }
            KeyCode::Down | KeyCode::Char('j') => {
                closely.choose(|at, last| at.map_or(0, |at| last.min(at.saturating_add(1))));
            }
            KeyCode::Up | KeyCode::Char('k') => {
                closely.choose(|at, _| at.map_or(0, |at| at.saturating_sub(1)));
            }
            KeyCode::PageDown | KeyCode::Char(' ') => {
                closely.turn(closely.above.saturating_add(PAGE));
            }
            KeyCode::PageUp => closely.turn(closely.above.saturating_sub(PAGE)),
            // The sum stands first, and what shows its logs last.
            KeyCode::Char('e') => closely.turn(0),
            KeyCode::Char('l') => closely.turn(usize::MAX),
            KeyCode::Home | KeyCode::Char('g') => closely.choose(|_, _| 0),
            KeyCode::End | KeyCode::Char('G') => closely.choose(|_, last| last),
            KeyCode::Char('c') => return closely.arn().map(Wish::Copy),
            KeyCode::Char('x') => return self.ask_to_stop(),
            _ => {}
        }
        None
    }

    /// The page about the state of the worker that is shown or chosen.
    fn say_what_to_do(&mut self) {
        let shown = self.shown_closely().or(self.chosen.as_deref());
        let rows = self.seen.iter().flat_map(|seen| &seen.overview.rows);
        let row = rows.map(|it| &it.row).find(|row| Some(row.worker.as_str()) == shown);
        match row.and_then(|row| row.urgency.page()) {
            Some(page) => self.over = Some(Over::new(page.text)),
            None => self.say("nothing has to be done about it"),
        }
    }

    fn ask_to_stop(&mut self) -> Option<Wish> {
        let Face::Worker(closely) = &self.face else { return None };
        match (&closely.task, self.may_stop) {
            (_, false) => self.say("it was started without --allow-stop: it stops nothing"),
            (None, true) => self.say("choose one of its tasks first"),
            (Some(task), true) => {
                let target = Target { worker: closely.worker.clone(), task: task.clone() };
                self.say("reading what stopping it would mean; any key takes that back");
                self.stopping = Stopping::Asked(target.clone());
                return Some(Wish::Read(Read::Stop(target)));
            }
        }
        None
    }

    fn sort_by_next(&mut self) {
        let now = self.sort.map(|sort| sort.column);
        let mut after = Column::SORTED.iter().skip_while(|it| now.is_some_and(|now| **it != now));
        let next = if now.is_some() { after.nth(1) } else { after.next() };
        self.sort = next.map(|column| Sort { column: *column, is_reversed: false });
    }

    fn reverse(&mut self) {
        if let Some(sort) = &mut self.sort {
            sort.is_reversed = !sort.is_reversed;
        }
    }

    fn choose(&mut self, code: KeyCode) {
        let names: Vec<_> = self.shown().into_iter().map(|it| it.row.worker.clone()).collect();
        let chosen = self.chosen.as_ref();
        let at = names.iter().position(|name| Some(name) == chosen).unwrap_or_default();
        let last = names.len().saturating_sub(1);
        let next = match code {
            KeyCode::Down | KeyCode::Char('j') => at.saturating_add(1),
            KeyCode::Up | KeyCode::Char('k') => at.saturating_sub(1),
            KeyCode::PageDown | KeyCode::Char(' ') => at.saturating_add(PAGE),
            KeyCode::PageUp => at.saturating_sub(PAGE),
            KeyCode::Home | KeyCode::Char('g') => 0,
            KeyCode::End | KeyCode::Char('G') => last,
            _ => at,
        };
        self.chosen = names.get(next.min(last)).cloned();
    }

    /// A worker that is not shown any more gives its mark to the first one.
    fn keep_choice(&mut self) {
        let shown = self.shown();
        let is_shown = |name: &String| shown.iter().any(|it| it.row.worker == *name);
        if !self.chosen.as_ref().is_some_and(is_shown) {
            self.chosen = shown.first().map(|it| it.row.worker.clone());
        }
    }

    /// The rows that are shown, in their order.
    fn shown(&self) -> Vec<&OverviewRow> {
        let Some(seen) = &self.seen else { return Vec::new() };
        let is_shown = |row: &Row| {
            let is_wanted = self.shows_idle || row.urgency != Urgency::Idle;
            if self.filter.text.is_empty() { is_wanted } else { is_meant(&self.filter.text, row) }
        };
        let rows: Vec<_> = seen.overview.rows.iter().filter(|it| is_shown(&it.row)).collect();
        let Some(Sort { column, is_reversed }) = self.sort else { return rows };
        let mut rows = rows;
        // What is not known comes last, either way.
        rows.sort_by(|a, b| match (column.key(&a.row), column.key(&b.row)) {
            (Some(a), Some(b)) if is_reversed => b.cmp(&a),
            (Some(a), Some(b)) => a.cmp(&b),
            (a, b) => a.is_none().cmp(&b.is_none()),
        });
        rows
    }
}
