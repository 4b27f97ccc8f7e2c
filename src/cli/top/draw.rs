//! How the screen looks, from 20 columns and five lines up.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, Clear, Paragraph, Row as TableRow, Table, TableState, Wrap};
use textwrap::core::display_width;

use super::columns::{COLUMNS, Column};
use super::{Closely, Face, Reading, Rows, Screen, Stopping};
use crate::cli::overview::Totals;
use crate::cli::page::{Meaning, Page, age, counted, dollars, grouped, plain};
use crate::cli::table::fitting;

/// A state and a name have at least so much room, as long as another column can go.
const STATE: usize = 12;
const NAME: usize = 20;

/// A longer name is cut.
const LONGEST_NAME: usize = 32;

/// Lines below the table: what is the matter with the chosen worker.
const DETAIL: u16 = 3;

const KEYS: &str = "? help  q quit  arrows choose  enter tasks  w what to do  / filter  s sort  a idle too  p pause";

const KEYS_OF_WORKER: &str =
    "? help  esc back to all workers  w what to do  arrows choose  space on  c copy  r read again";

const KEYS_OF_STOPPING: &str =
    "? help  esc back  w what to do  arrows choose  x stop  space on  c copy  r read again";

impl Screen {
    /// Draws all of it.
    pub fn draw(&mut self, frame: &mut Frame<'_>) {
        let area = frame.area();
        let detail = if area.height < 10 { 0 } else { DETAIL };
        let heights = [
            Constraint::Length(1),
            Constraint::Min(1),
            Constraint::Length(detail),
            Constraint::Length(1),
        ];
        let [head, middle, below, foot] = Layout::vertical(heights).areas(area);
        frame.render_widget(Paragraph::new(self.head(usize::from(head.width))), head);
        match &self.face {
            _ if self.over.is_some() => self.draw_over(frame, middle.union(below)),
            Face::Worker(closely) => {
                let above = self.draw_worker(closely, frame, middle.union(below));
                if let Face::Worker(closely) = &mut self.face {
                    closely.above = above;
                }
            }
            Face::Workers => {
                self.draw_table(frame, middle);
                let detail = Paragraph::new(self.detail()).wrap(Wrap { trim: true });
                frame.render_widget(detail, below);
            }
        }
        frame.render_widget(Paragraph::new(self.foot(usize::from(foot.width))), foot);
        if let Stopping::Question(_, question) = &self.stopping {
            draw_question(question, frame, middle.union(below));
        }
        if self.look.ascii {
            // Names and reasons are other people's.
            let cells = frame.buffer_mut().content.iter_mut();
            cells.filter(|cell| !cell.symbol().is_ascii()).for_each(|cell| {
                cell.set_symbol("?");
            });
        }
    }

    /// A text that stands over all else, as far as it was gone through.
    fn draw_over(&mut self, frame: &mut Frame<'_>, area: Rect) {
        let Some(over) = &mut self.over else { return };
        let lines: Vec<_> =
            over.text.lines().flat_map(|line| wrapped(line, usize::from(area.width))).collect();
        over.above = over.above.min(lines.len().saturating_sub(usize::from(area.height)));
        let above = u16::try_from(over.above).unwrap_or(u16::MAX);
        frame.render_widget(Paragraph::new(lines).scroll((above, 0)), area);
    }

    fn head(&self, width: usize) -> Line<'static> {
        let Some(seen) = &self.seen else { return Line::raw("reading all workers") };
        let Totals { workers, busy, in_trouble, .. } = seen.overview.totals;
        let Totals { waiting, running, starting, hourly_micro_dollars, unread, unpriced, .. } =
            seen.overview.totals;
        // What was not read is not nothing.
        let least = |missing: u64| if missing == 0 { "" } else { ">=" };
        let (all, priced) = (least(unread), least(unpriced));
        let parts = [
            plain(seen.view.function.as_ref().unwrap_or(&seen.view.scaler)).into_owned(),
            format!("{all}{busy} of {workers} busy"),
            format!("{in_trouble} need a look"),
            format!("{all}{} waiting", grouped(waiting)),
            format!("{all}{} running", grouped(running)),
            format!("{priced}${}/h", dollars(hourly_micro_dollars)),
            format!("{all}{} starting", grouped(starting)),
            self.look.clock.shown(&seen.at.to_string()),
            seen.view.region.clone(),
        ];
        let mut line = String::new();
        for part in parts {
            let gap = if line.is_empty() { 0 } else { 3 };
            let long =
                display_width(&line).saturating_add(gap).saturating_add(display_width(&part));
            if long <= width {
                line.push_str(&" ".repeat(gap));
                line.push_str(&part);
            }
        }
        Line::styled(line, Style::new().add_modifier(Modifier::BOLD))
    }

    fn draw_table(&mut self, frame: &mut Frame<'_>, area: Rect) {
        self.rows = Rows::default();
        let shown = self.shown();
        if shown.is_empty() {
            let nothing = match &self.seen {
                None => "",
                Some(_) if self.filter.text.is_empty() => "all workers are idle: `a` shows them",
                Some(_) => "no worker is meant by this filter: esc takes it away",
            };
            frame.render_widget(Paragraph::new(nothing), area);
            return;
        }
        // One is for the mark.
        let width = usize::from(area.width).saturating_sub(1);
        let widest = COLUMNS.map(|column| self.widest(column, &shown));
        let needs = widest.map(|(column, widest)| match column {
            Column::Worker => (widest.min(NAME), column.priority()),
            Column::State => (STATE, column.priority()),
            _ => (widest, column.priority()),
        });
        let kept = fitting(&needs, width);
        let taken = kept.iter().filter_map(|index| needs.get(*index));
        let taken: usize = taken.map(|(width, _)| width.saturating_add(2)).sum();
        // What is left is the name's, and then the state's.
        let left = width.saturating_add(2).saturating_sub(taken).saturating_add(NAME);
        let kept: Vec<_> = kept.iter().filter_map(|index| widest.get(*index).copied()).collect();
        let constraint = |(column, widest): &(Column, usize)| {
            let width = match column {
                Column::Worker => (*widest).min(left.max(1)).min(LONGEST_NAME),
                _ => *widest,
            };
            let width = u16::try_from(width).unwrap_or(u16::MAX);
            if *column == Column::State { Constraint::Min(0) } else { Constraint::Length(width) }
        };
        let rows = shown.iter().map(|it| {
            let cells = kept.iter().map(|(column, _)| self.cell(*column, it));
            TableRow::new(cells).style(self.style(it.row.urgency.meaning()))
        });
        let head = kept
            .iter()
            .map(|(column, _)| Line::raw(self.head_of(*column)).alignment(column.side()));
        let chosen = shown.iter().position(|it| Some(&it.row.worker) == self.chosen.as_ref());
        let table = Table::new(rows, kept.iter().map(constraint))
            .header(TableRow::new(head).style(Style::new().add_modifier(Modifier::UNDERLINED)))
            .column_spacing(2)
            .highlight_symbol(">")
            .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
        let mut state = TableState::new().with_selected(chosen);
        frame.render_stateful_widget(table, area, &mut state);
        self.rows = Rows {
            top: area.y.saturating_add(1),
            height: area.height.saturating_sub(1),
            above: state.offset(),
        };
    }

    /// What is the matter with the chosen worker, and what to read.
    fn detail(&self) -> Text<'static> {
        let shown = self.shown();
        let chosen = shown.iter().find(|it| Some(&it.row.worker) == self.chosen.as_ref());
        let notes = self.seen.as_ref().map(|seen| seen.view.notes.as_slice()).unwrap_or_default();
        let more = match notes.len() {
            0 | 1 => String::new(),
            n => format!(" (and {} more)", n.saturating_sub(1)),
        };
        let note = notes.first().map(|note| {
            let text = format!("! {}{more}", plain(note));
            Line::styled(text, self.style(Meaning::Warning))
        });
        let Some(row) = chosen.map(|it| &it.row) else { return note.into_iter().collect() };
        let name = Span::styled(
            plain(&row.worker).into_owned(),
            Style::new().add_modifier(Modifier::BOLD),
        );
        let mut lines: Vec<_> = note.into_iter().collect();
        // What to do comes first: the rest may be long.
        if !row.note.is_empty() || row.urgency.page().is_some() {
            let todo = if row.urgency.page().is_some() { " (w: what to do)" } else { "" };
            let text = format!("  {}{todo} {}", row.urgency.words(), plain(&row.note));
            let state = Span::styled(text, self.style(row.urgency.meaning()));
            lines.push(Line::from(vec![name, state]));
            lines.push(Line::raw(plain(&row.why).into_owned()));
        } else {
            lines.push(Line::from(vec![name, Span::raw(format!("  {}", plain(&row.why)))]));
        }
        Text::from(lines)
    }

    fn foot(&self, width: usize) -> Line<'static> {
        let (Reading { calls_of_ecs, pause, .. }, old) = (self.reading, self.age);
        let seconds = pause.as_secs().max(1);
        let tenths = calls_of_ecs.saturating_mul(10).div_ceil(seconds);
        let reads = match (self.is_paused, &self.seen) {
            (true, _) => format!("paused, {} old", age(old)),
            (false, None) => String::new(),
            (false, Some(_)) if pause.saturating_mul(2) < old => format!("{} old", age(old)),
            (false, Some(_)) => {
                let price = dollars(self.reading.hourly_micro_dollars());
                let tasks = self.seen.as_ref().and_then(|seen| seen.view.tasks_age());
                let tasks = tasks.map(|tasks| format!("tasks {} old, ", age(old + tasks)));
                let tasks = tasks.unwrap_or_default();
                format!("{tasks}{}.{} ECS calls/s, ${price}/h", tenths / 10, tenths % 10)
            }
        };
        let mut keys = match (&self.face, &self.message) {
            _ if self.filter.is_typing => {
                format!("/{}_  enter keeps it  esc takes it away", self.filter.text)
            }
            (_, Some(message)) => plain(&message.text).into_owned(),
            (Face::Worker(_), None) if self.may_stop => KEYS_OF_STOPPING.to_owned(),
            (Face::Worker(_), None) => KEYS_OF_WORKER.to_owned(),
            (_, None) if !self.filter.text.is_empty() => {
                format!("/{}  esc takes it away", self.filter.text)
            }
            (_, None) => KEYS.to_owned(),
        };
        let room = width.saturating_sub(display_width(&reads)).saturating_sub(2);
        while room < display_width(&keys) {
            keys.pop();
        }
        let gap = width.saturating_sub(display_width(&keys)).saturating_sub(display_width(&reads));
        let meaning = if self.message.is_some() { Meaning::Warning } else { Meaning::Aside };
        Line::styled(format!("{keys}{}{reads}", " ".repeat(gap)), self.style(meaning))
    }

    /// Draws a worker, and says how many lines of it are above the screen.
    fn draw_worker(&self, closely: &Closely, frame: &mut Frame<'_>, area: Rect) -> usize {
        let width = usize::from(area.width);
        let mut lines = Vec::new();
        if let Some(error) = &closely.error {
            lines.extend(wrapped(&format!("not read again: {}", plain(error)), width));
        }
        let Some(view) = &closely.view else {
            if closely.error.is_none() {
                lines.push(Line::raw(format!("reading {}", plain(&closely.worker))));
            }
            frame.render_widget(Paragraph::new(lines), area);
            return closely.above;
        };
        let mut page = Page::new(width);
        view.write_state(&mut page, &self.look.clock);
        lines.extend(stripped(page, width));
        let mut chosen = 0;
        if !view.alive.is_empty() {
            lines.push(Line::default());
            lines.push(Line::raw(format!(
                " {}:",
                counted(u64::try_from(view.alive.len()).unwrap_or(u64::MAX), "task")
            )));
            let mut rows = view.tasks(width.saturating_sub(1), view.alive.len()).into_iter();
            lines.extend(rows.next().map(|head| Line::raw(format!(" {head}"))));
            for (task, row) in view.alive.iter().zip(rows) {
                let is_chosen = Some(&task.task) == closely.task.as_ref();
                chosen = if is_chosen { lines.len() } else { chosen };
                let style = if is_chosen { Modifier::REVERSED } else { Modifier::empty() };
                let text = format!("{}{row}", if is_chosen { ">" } else { " " });
                lines.push(Line::styled(text, Style::new().add_modifier(style)));
            }
        }
        let mut page = Page::new(width);
        view.write_rest(&mut page, &self.look.clock);
        lines.extend(stripped(page, width));
        let height = usize::from(area.height);
        let most = lines.len().saturating_sub(height);
        // Whoever goes through the tasks sees the one that is chosen.
        let least = chosen.saturating_add(1).saturating_sub(height);
        let least = if closely.is_turned { 0 } else { least };
        let above = closely.above.max(least).min(most);
        let scrolled = (u16::try_from(above).unwrap_or(u16::MAX), 0);
        frame.render_widget(Paragraph::new(lines).scroll(scrolled), area);
        above
    }

    /// Without colours, bold and faint are left.
    fn style(&self, meaning: Meaning) -> Style {
        let colored =
            |color: Color| if self.look.colors { Style::new().fg(color) } else { Style::new() };
        match meaning {
            Meaning::Plain => Style::new(),
            Meaning::Good => colored(Color::Green),
            Meaning::Warning => colored(Color::Yellow),
            Meaning::Bad => colored(Color::Red).add_modifier(Modifier::BOLD),
            Meaning::Aside => Style::new().add_modifier(Modifier::DIM),
        }
    }
}

/// What `y` does stands first: it is seen however little room there is.
fn draw_question(question: &[String], frame: &mut Frame<'_>, area: Rect) {
    let width = usize::from(area.width).saturating_sub(2);
    let mut lines = wrapped("Stop it? `y` stops it, any other key does not.", width);
    lines.extend(question.iter().flat_map(|line| wrapped(&plain(line), width)));
    let height = u16::try_from(lines.len().saturating_add(2)).unwrap_or(u16::MAX).min(area.height);
    let top = area.height.saturating_sub(height);
    let area = Rect { y: area.y.saturating_add(top), height, ..area };
    frame.render_widget(Clear, area);
    let block = Block::bordered().border_set(ASCII_BORDER);
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

const ASCII_BORDER: ratatui::symbols::border::Set<'_> = ratatui::symbols::border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

fn stripped(page: Page, width: usize) -> Vec<Line<'static>> {
    let text = anstream::adapter::strip_str(&page.text()).to_string();
    text.lines().flat_map(|line| wrapped(line, width)).collect()
}

fn wrapped(text: &str, width: usize) -> Vec<Line<'static>> {
    let lines = textwrap::wrap(text, width.max(1));
    lines.into_iter().map(|line| Line::raw(line.into_owned())).collect()
}
