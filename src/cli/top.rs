//! `top`: all workers on one screen, again and again. What a key does and what is drawn; it reads nothing itself.

mod demo;
mod draw;

use std::time::Duration;

use jiff::Timestamp;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

pub use self::demo::Demo;
use super::overview::{History, Overview, OverviewRow};
use super::page::Clock;
use super::status::{Column, Row, StatusView, Urgency, WorkerView};

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
    /// To stand back for the shell until somebody calls it again.
    Suspend,
    /// To read all again now.
    Refresh,
    /// To read a worker closely.
    Look(String),
    /// To know what stopping a task would mean.
    AskToStop {
        /// The worker.
        worker: String,
        /// Its task's id.
        task: String,
    },
    /// To stop what was asked about.
    Stop,
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
    /// What keys do.
    Help,
}

/// One worker on the screen.
#[derive(Clone, Debug, Default, PartialEq)]
struct Closely {
    worker: String,
    /// None until it was read.
    view: Option<WorkerView>,
    /// Which of its tasks is chosen.
    task: usize,
    /// Lines that are above the screen.
    above: usize,
    /// Why it could not be read.
    error: Option<String>,
}

/// By what rows are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sort {
    column: Column,
    is_reversed: bool,
}

/// Which rows are meant.
#[derive(Clone, Debug, Default)]
struct Filter {
    /// Empty where all are.
    text: String,
    /// Whether keys go into it.
    is_typing: bool,
}

/// All that is on the screen.
#[derive(Clone, Debug)]
pub struct Screen {
    look: Look,
    may_stop: bool,
    history: History,
    /// None until something was read.
    seen: Option<Seen>,
    face: Face,
    /// The worker that is chosen, which is kept wherever its row goes.
    chosen: Option<String>,
    sort: Option<Sort>,
    filter: Filter,
    shows_idle: bool,
    is_paused: bool,
    /// What has to be answered with `y` before anything else.
    question: Option<Vec<String>>,
    /// What was done or went wrong last.
    message: Option<String>,
    reading: Reading,
}

/// What was read last.
#[derive(Clone, Debug)]
struct Seen {
    view: StatusView,
    overview: Overview,
    at: Timestamp,
}

/// How much is read.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    /// Calls of ECS that the last refresh made.
    pub calls_of_ecs: u64,
    /// How long after it the next one begins.
    pub pause: Duration,
    /// How long ago that was.
    pub age: Duration,
}

impl Screen {
    /// A screen on which nothing has been seen.
    pub fn new(look: Look, may_stop: bool) -> Self {
        Self {
            look,
            may_stop,
            history: History::default(),
            seen: None,
            face: Face::Workers,
            chosen: None,
            sort: None,
            filter: Filter::default(),
            shows_idle: false,
            is_paused: false,
            question: None,
            message: None,
            reading: Reading::default(),
        }
    }

    /// What was read anew. Every worker keeps its mark.
    pub fn refreshed(&mut self, view: StatusView, at: Timestamp) {
        self.history.add(at, &view.workers);
        let overview = Overview::of(&view, &self.history);
        self.message = None;
        self.seen = Some(Seen { view, overview, at });
        self.keep_choice();
    }

    /// Reading failed: what is shown stays, with its age.
    pub fn failed(&mut self, why: &str, at: Timestamp) {
        self.history.add_gap(at);
        self.message = Some(why.to_owned());
    }

    /// How old what is shown is, and how much is read for it.
    pub fn reads(&mut self, reading: Reading) {
        self.reading = reading;
    }

    /// A worker that was read closely; whoever has left it meanwhile does not come back to it.
    pub fn looked(&mut self, worker: &str, read: Result<WorkerView, String>) {
        let Face::Worker(closely) = &mut self.face else { return };
        if closely.worker != worker {
            return;
        }
        match read {
            Ok(view) => {
                let last = view.alive.len().saturating_sub(1);
                let task = closely.task.min(last);
                **closely = Closely { view: Some(view), task, error: None, ..(**closely).clone() };
            }
            Err(why) => closely.error = Some(why),
        }
    }

    /// What would become of a task that is to be stopped.
    pub fn ask(&mut self, question: Vec<String>) {
        self.question = Some(question);
    }

    /// A line about what was done.
    pub fn say(&mut self, message: &str) {
        self.message = Some(message.to_owned());
    }

    /// Whether nothing is to be read.
    pub fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// The worker that is shown closely.
    pub fn shown_closely(&self) -> Option<&str> {
        match &self.face {
            Face::Worker(closely) => Some(&closely.worker),
            Face::Workers | Face::Help => None,
        }
    }

    /// What somebody has typed.
    pub fn key(&mut self, key: KeyEvent) -> Option<Wish> {
        if key.kind == KeyEventKind::Release {
            return None;
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return match key.code {
                KeyCode::Char('c') => Some(Wish::Quit),
                KeyCode::Char('z') => Some(Wish::Suspend),
                KeyCode::Char('l') => Some(Wish::Refresh),
                _ => None,
            };
        }
        if self.question.take().is_some() {
            let is_yes = key.code == KeyCode::Char('y');
            self.message = Some(if is_yes { "stopping it" } else { "nothing was stopped" }.into());
            return is_yes.then_some(Wish::Stop);
        }
        if self.filter.is_typing {
            self.type_into_filter(key.code);
            return None;
        }
        match self.face {
            Face::Workers => self.key_of_workers(key.code),
            Face::Worker(_) => self.key_of_worker(key.code),
            Face::Help => {
                self.face = Face::Workers;
                None
            }
        }
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
            KeyCode::Char('?') => self.face = Face::Help,
            KeyCode::Char('/') => self.filter.is_typing = true,
            KeyCode::Char('a') => self.shows_idle = !self.shows_idle,
            KeyCode::Char('p') => self.is_paused = !self.is_paused,
            KeyCode::Char('r') => return Some(Wish::Refresh),
            KeyCode::Char('s') => self.sort_by_next(),
            KeyCode::Char('S') => self.reverse(),
            KeyCode::Char('c') => return self.chosen.clone().map(Wish::Copy),
            KeyCode::Enter | KeyCode::Char('e' | 'l') => {
                let worker = self.chosen.clone()?;
                let closely = Closely { worker: worker.clone(), ..Closely::default() };
                self.face = Face::Worker(Box::new(closely));
                return Some(Wish::Look(worker));
            }
            code => self.choose(code),
        }
        self.keep_choice();
        None
    }

    fn key_of_worker(&mut self, code: KeyCode) -> Option<Wish> {
        let Face::Worker(closely) = &mut self.face else { return None };
        let tasks = closely.view.as_ref().map_or(0, |view| view.alive.len());
        let chosen = closely.view.as_ref().and_then(|view| view.alive.get(closely.task));
        let chosen = chosen.map(|task| task.task.clone());
        match code {
            KeyCode::Char('q') | KeyCode::Esc | KeyCode::Left => self.face = Face::Workers,
            KeyCode::Char('r') => return Some(Wish::Look(closely.worker.clone())),
            KeyCode::Down | KeyCode::Char('j') => {
                closely.task = closely.task.saturating_add(1).min(tasks.saturating_sub(1));
            }
            KeyCode::Up | KeyCode::Char('k') => closely.task = closely.task.saturating_sub(1),
            KeyCode::PageDown | KeyCode::Char(' ') => {
                closely.above = closely.above.saturating_add(PAGE);
            }
            KeyCode::PageUp => closely.above = closely.above.saturating_sub(PAGE),
            KeyCode::Home => closely.above = 0,
            KeyCode::Char('c') => return chosen.map(Wish::Copy),
            KeyCode::Char('x') if self.may_stop => {
                let worker = closely.worker.clone();
                return chosen.map(|task| Wish::AskToStop { worker, task });
            }
            KeyCode::Char('x') => self.say("it was started without --allow-stop: it stops nothing"),
            _ => {}
        }
        None
    }

    fn sort_by_next(&mut self) {
        let now = self.sort.map(|sort| sort.column);
        let next = match now {
            None => Column::ALL.first().copied(),
            Some(now) => {
                let after = Column::ALL.iter().skip_while(|column| **column != now).nth(1);
                after.copied().filter(|column| *column != Column::State)
            }
        };
        self.sort = next.map(|column| Sort { column, is_reversed: false });
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
        let mut sorted: Vec<_> = rows.iter().map(|it| &it.row).collect();
        column.sort(&mut sorted);
        if is_reversed {
            sorted.reverse();
        }
        let of = |row: &Row| rows.iter().copied().find(|it| it.row.worker == row.worker);
        sorted.into_iter().filter_map(of).collect()
    }
}

/// Whether a filter means a worker: `state:WORD`, `cluster:NAME`, `>N` messages that wait, or a text of its name or
/// state.
fn is_meant(filter: &str, row: &Row) -> bool {
    let state = row.urgency.words();
    if let Some(word) = filter.strip_prefix("state:") {
        return state.starts_with(word);
    }
    if let Some(name) = filter.strip_prefix("cluster:") {
        return row.cluster.as_ref().is_some_and(|cluster| cluster.contains(name));
    }
    if let Some(number) = filter.strip_prefix('>') {
        let more = number.trim().parse::<u64>().unwrap_or_default();
        return row.waiting.is_some_and(|waiting| more < waiting);
    }
    row.worker.contains(filter) || state.contains(filter)
}
