//! A question before something is changed.

use std::io::{self, BufRead, IsTerminal, Write};

use ecs_queue_scaler::cli::page::plain;

use super::Failed;

/// What somebody has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Yes,
    No,
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
    let mut err = anstream::stderr();
    drop(err.write_all(page.as_bytes()));
    if is_agreed {
        return Ok(Answer::Yes);
    }
    drop(write!(err, "{question} [y/N] "));
    let answer = line()?;
    let is_yes = ["y", "yes"].contains(&answer.to_lowercase().as_str());
    Ok(if is_yes { Answer::Yes } else { Answer::No })
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
