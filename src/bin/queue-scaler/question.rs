//! A question before something is changed.

use std::io::{self, BufRead, IsTerminal, Write};
use std::time::Duration;

use ecs_queue_scaler::cli::page::plain;
use jiff::Timestamp;
use tokio::time::Instant;

use super::{Failed, account};

/// What is older is read again: queues and instances move.
const FRESH: Duration = Duration::from_mins(1);

/// What somebody has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Yes,
    No,
}

/// When what is shown was read, by both clocks: one of them stands still while the machine sleeps.
pub(crate) struct Moment {
    monotonic: Instant,
    wall: Timestamp,
}

impl Moment {
    pub(crate) fn now() -> Self {
        Self { monotonic: Instant::now(), wall: account::now() }
    }

    /// Whether it may still be gone by.
    pub(crate) fn is_fresh(&self) -> bool {
        let by_wall = account::now().duration_since(self.wall).unsigned_abs();
        self.monotonic.elapsed() <= FRESH && by_wall <= FRESH
    }
}

/// Whether anybody could answer.
///
/// # Errors
/// Where there is no terminal, and nobody said that it is to be done all the same.
pub(crate) fn is_anybody_there(is_agreed: bool) -> Result<(), Failed> {
    if is_agreed || io::stdin().is_terminal() {
        return Ok(());
    }
    let refused = "nobody can be asked here, as this is no terminal: give --yes to have it done without a question";
    Err(Failed::Use(refused.to_owned()))
}

/// Shows what would be changed, and asks, unless that was agreed to.
pub(crate) fn ask(page: &str, question: &str, is_agreed: bool) -> Result<Answer, Failed> {
    is_anybody_there(is_agreed)?;
    show(page);
    if is_agreed {
        return Ok(Answer::Yes);
    }
    drop(write!(anstream::stderr(), "{question} [y/N] "));
    let answer = line()?;
    let is_yes = ["y", "yes"].contains(&answer.to_lowercase().as_str());
    Ok(if is_yes { Answer::Yes } else { Answer::No })
}

/// A page beside what was asked for, now.
pub(crate) fn show(page: &str) {
    drop(anstream::stderr().write_all(page.as_bytes()));
}

/// What somebody types.
pub(crate) fn line() -> Result<String, Failed> {
    drop(io::stderr().flush());
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    read.map_err(|error| Failed::Wrong(vec![format!("cannot read the answer: {error}")]))?;
    Ok(answer.trim().to_owned())
}

/// A line beside what was asked for, now.
pub(crate) fn note(line: &str) {
    drop(writeln!(io::stderr(), "{}", plain(line)));
}
