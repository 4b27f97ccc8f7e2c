//! A text that stands over all else: what keys do, and what to do about a worker.

use ratatui::crossterm::event::KeyCode;

use super::PAGE;

const HELP: &str = "\
any key goes on; arrows and space move this where it is longer than the screen

q, Ctrl-C    quit                             Ctrl-Z  back to the shell until `fg`
arrows, j k  choose a worker, or a task       g G  the first, the last    space, PgUp  a page
enter, e     its tasks, and why it is so      l  what shows its logs      esc, q  back
w            what to do about it, where it needs a look
/            filter: a text of name or state, state:breaker, cluster:jobs, >100 (that wait)
s  S         sort by the next column; the other way round
a            idle workers, too
p            pause: nothing is read by itself  r, Ctrl-L  read again as soon as it may be
c            copy the worker's name, or the task's ARN, to the clipboard of the terminal
x            stop the chosen task, after a question (with --allow-stop)

A ? was not read, which is not 0; >= says that something is missing in a sum. OLDEST with !
grows as time does: nobody takes that message. FAIL are tasks of the last hour that ended
badly. The gauge is running and starting containers of maxContainers. EMPTY IN goes by how
fast messages went in the last five minutes, else by drainWithin.";

/// A text, and how far somebody has gone through it.
#[derive(Clone, Debug)]
pub(super) struct Over {
    pub(super) text: &'static str,
    /// Lines that are above the screen.
    pub(super) above: usize,
}

impl Over {
    pub(super) fn new(text: &'static str) -> Self {
        Self { text, above: 0 }
    }

    /// What keys do.
    pub(super) fn help() -> Self {
        Self::new(HELP)
    }

    /// The same after a key, if that only moves it.
    pub(super) fn after(self, code: KeyCode) -> Option<Self> {
        let above = match code {
            KeyCode::Down | KeyCode::Char('j') => self.above.saturating_add(1),
            KeyCode::Up | KeyCode::Char('k') => self.above.saturating_sub(1),
            KeyCode::PageDown | KeyCode::Char(' ') => self.above.saturating_add(PAGE),
            KeyCode::PageUp => self.above.saturating_sub(PAGE),
            _ => return None,
        };
        Some(Self { above, ..self })
    }
}
