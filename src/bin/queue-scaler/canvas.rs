//! The terminal as something to draw on, which is given back however that ends.

use std::io::{self, stdout};
use std::panic::{self, PanicHookInfo};
use std::sync::{Arc, Mutex, PoisonError};

use ecs_queue_scaler::log::of_panic;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::event::{DisableMouseCapture, EnableMouseCapture};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::{Frame, Terminal};
use rustix::process::{Signal, kill_current_process_group};

/// What writes of a panic.
type Hook = Box<dyn Fn(&PanicHookInfo<'_>) + Sync + Send>;

/// A terminal that belongs to the program until this is dropped.
pub(crate) struct Canvas {
    terminal: Terminal<CrosstermBackend<io::Stdout>>,
    /// What has panicked meanwhile, and would have been written over the drawing.
    panicked: Arc<Mutex<Option<String>>>,
    hook: Option<Hook>,
    mouse: Mouse,
}

/// Whose the mouse is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mouse {
    /// The terminal's, which marks text by it.
    Terminal,
    /// Ours.
    Program,
}

impl Canvas {
    /// Takes the terminal.
    pub(crate) fn take(mouse: Mouse) -> io::Result<Self> {
        let panicked = Arc::new(Mutex::new(None));
        let kept = panicked.clone();
        let hook = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            let line = of_panic(panic.payload(), panic.location());
            *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(line);
        }));
        let terminal = Terminal::new(CrosstermBackend::new(stdout()))?;
        // From here on whatever fails gives it back.
        let canvas = Self { terminal, panicked, hook: Some(hook), mouse };
        enter(mouse)?;
        Ok(canvas)
    }

    /// Draws it anew.
    pub(crate) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.terminal.draw(draw).map(drop)
    }

    /// Nothing of what was drawn is trusted any more.
    pub(crate) fn clear(&mut self) -> io::Result<()> {
        execute!(stdout(), Clear(ClearType::All))?;
        // Its own way asks the terminal where the cursor is, and whoever waits for keys would take the answer.
        self.terminal = Terminal::new(CrosstermBackend::new(stdout()))?;
        Ok(())
    }

    /// The shell has the terminal until somebody says `fg`: with it all that it waits for, such as a script.
    pub(crate) fn suspend(&mut self) -> io::Result<()> {
        leave(self.mouse);
        kill_current_process_group(Signal::TSTP)?;
        enter(self.mouse)?;
        self.clear()
    }
}

fn enter(mouse: Mouse) -> io::Result<()> {
    enable_raw_mode()?;
    execute!(stdout(), EnterAlternateScreen)?;
    if mouse == Mouse::Program { execute!(stdout(), EnableMouseCapture) } else { Ok(()) }
}

/// What cannot be given back is gone, as after a hang-up: that is nobody's error.
fn leave(mouse: Mouse) {
    if mouse == Mouse::Program {
        drop(execute!(stdout(), DisableMouseCapture));
    }
    drop(disable_raw_mode());
    drop(execute!(stdout(), LeaveAlternateScreen, Show));
}

impl Drop for Canvas {
    fn drop(&mut self) {
        leave(self.mouse);
        // The terminal's own end would write to a standard error that may be gone.
        drop(self.terminal.show_cursor());
        if std::thread::panicking() {
            let line = self.panicked.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(line) = line {
                super::question::note(&line);
            }
        } else if let Some(hook) = self.hook.take() {
            panic::set_hook(hook);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::process::Command;

    use super::*;

    /// What the test below runs on a terminal; by itself it is none.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test below says whether it is that one")]
    fn panics_while_it_draws() {
        if env::var_os("PANICS").is_none() {
            return;
        }
        let mut canvas = Canvas::take(Mouse::Program).unwrap();
        canvas.draw(|frame| frame.render_widget("drawing", frame.area())).unwrap();
        panic!("a text of the source");
    }

    #[test]
    fn a_panic_gives_the_terminal_back_and_is_shown_after_it() {
        let test = "canvas::tests::panics_while_it_draws --exact --nocapture";
        let ours = env::current_exe().unwrap();
        let typed =
            format!("stty rows 9 cols 80; stty -g; '{}' {test} 2>&1; stty -g", ours.display());
        // A terminal of its own, whose other end is our standard output.
        let ended = Command::new("script")
            .args(["--quiet", "--return", "--command", &typed, "/dev/null"])
            .env("TERM", "xterm-256color")
            .env("PANICS", "1")
            .output()
            .unwrap();
        let shown = String::from_utf8_lossy(&ended.stdout).into_owned();
        let before = shown.lines().next().unwrap();
        let after = shown.lines().last().unwrap();
        assert!(before.contains(':') && before == after, "{before}\n{after}");
        let at = |what: &str| shown.find(what).unwrap_or_else(|| panic!("no {what:?}: {shown:?}"));
        let (entered, drawn) = (at("\x1b[?1049h"), at("drawing"));
        let (mouse, left) = (at("\x1b[?1000l"), at("\x1b[?1049l"));
        let named = at("a text of the source");
        assert!(entered < drawn && drawn < mouse && mouse < left && left < named, "{shown:?}");
        assert!(shown.get(named..).is_some_and(|rest| !rest.contains("\x1b[?1049h")));
        assert_eq!(shown.matches("a text of the source").count(), 1, "{shown:?}");
    }
}
