//! How the screen looks, from 20 columns and five lines up.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, Clear, Paragraph, Row as TableRow, Table, TableState, Wrap};
use textwrap::core::display_width;

use super::{Closely, Face, Reading, Screen, Sort};
use crate::cli::overview::{KEPT, OverviewRow, Totals};
use crate::cli::page::{Meaning, Page, age, dollars, grouped, plain};
use crate::cli::status::Column as StatusColumn;
use crate::cli::table::fitting;

/// What stands above a row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Worker,
    Waiting,
    Trend,
    Oldest,
    Running,
    Gauge,
    Starting,
    Failed,
    EmptyIn,
    Price,
    State,
}

/// From the left to the right.
const COLUMNS: [Column; 11] = [
    Column::Worker,
    Column::Waiting,
    Column::Trend,
    Column::Oldest,
    Column::Running,
    Column::Gauge,
    Column::Starting,
    Column::Failed,
    Column::EmptyIn,
    Column::Price,
    Column::State,
];

/// Columns of a trend, and of a gauge.
const TREND: usize = 18;
const GAUGE: usize = 10;

/// The state has at least so much room, and a name at most.
const STATE: usize = 12;
const NAME: usize = 32;

/// Lines below the table: what is the matter with the chosen worker.
const DETAIL: u16 = 3;

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const BARS_OF_ASCII: [char; 8] = ['.', ':', '-', '=', '+', 'x', '%', '#'];

const KEYS: &str =
    "arrows choose  enter tasks  / filter  s sort  a idle too  p pause  c copy  ? help  q quit";

const KEYS_OF_WORKER: &str =
    "arrows choose  space on  c copy  x stop  r read again  esc back to all workers";

const HELP: &str = "\
arrows, j k      choose a worker, or one of its tasks     g G  first and last      space, PgUp PgDn  a page
enter, e, l      its tasks, why it is so, and the commands that show its logs      esc, q  back
/                filter: a text of name or state, state:breaker, cluster:jobs, >100 (messages that wait)
s  S             sort by the next column; the other way round
a                idle workers, too
p                pause: nothing is read                   r, Ctrl-L  read again now
c                copy the worker's name, or the task's id, to the clipboard of the terminal
x                stop the chosen task, after a question (with --allow-stop)
q, Ctrl-C        quit                                     Ctrl-Z  back to the shell until `fg`

WAITING ? was not read, which is not 0. OLDEST with ! grows: nobody takes that message. FAIL are tasks of the
last hour that ended badly. The gauge is running and starting containers of maxContainers. EMPTY IN goes by how
fast messages went in the last five minutes, else by drainWithin.

any key goes on";

impl Screen {
    /// Draws all of it.
    pub fn draw(&self, frame: &mut Frame<'_>) {
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
            Face::Help => {
                frame.render_widget(Paragraph::new(HELP).wrap(Wrap { trim: false }), middle);
            }
            Face::Worker(closely) => self.draw_worker(closely, frame, middle.union(below)),
            Face::Workers => {
                self.draw_table(frame, middle);
                let detail = Paragraph::new(self.detail()).wrap(Wrap { trim: true });
                frame.render_widget(detail, below);
            }
        }
        frame.render_widget(Paragraph::new(self.foot(usize::from(foot.width))), foot);
        if let Some(question) = &self.question {
            draw_question(question, frame, middle.union(below));
        }
    }

    fn head(&self, width: usize) -> Line<'static> {
        let Some(seen) = &self.seen else { return Line::raw("reading all workers") };
        let Totals {
            workers, busy, waiting, running, starting, hourly_micro_dollars, unread, ..
        } = seen.overview.totals;
        let least = if unread == 0 { "" } else { "at least " };
        let parts = [
            plain(seen.view.function.as_ref().unwrap_or(&seen.view.scaler)).into_owned(),
            format!("{busy} of {workers} busy"),
            format!("{least}{} waiting", grouped(waiting)),
            format!("{} running", grouped(running)),
            format!("${}/h", dollars(hourly_micro_dollars)),
            format!("{} starting", grouped(starting)),
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

    fn draw_table(&self, frame: &mut Frame<'_>, area: Rect) {
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
        let width = usize::from(area.width).saturating_sub(1);
        let widths = COLUMNS.map(|column| self.width_and_priority(column, &shown));
        let kept = fitting(&widths, width);
        let kept: Vec<_> = kept.iter().filter_map(|index| COLUMNS.get(*index).copied()).collect();
        let constraint = |column: &Column| {
            let (width, _) = self.width_and_priority(*column, &shown);
            let width = u16::try_from(width).unwrap_or(u16::MAX);
            if *column == Column::State {
                Constraint::Min(width)
            } else {
                Constraint::Length(width)
            }
        };
        let rows = shown.iter().map(|it| {
            let cells = kept.iter().map(|column| self.cell(*column, it));
            TableRow::new(cells).style(self.style(it.row.urgency.meaning()))
        });
        let head =
            kept.iter().map(|column| Line::raw(self.head_of(*column)).alignment(column.side()));
        let chosen = shown.iter().position(|it| Some(&it.row.worker) == self.chosen.as_ref());
        let table = Table::new(rows, kept.iter().map(constraint))
            .header(TableRow::new(head).style(Style::new().add_modifier(Modifier::UNDERLINED)))
            .column_spacing(2)
            .highlight_symbol(">")
            .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
        frame.render_stateful_widget(table, area, &mut TableState::new().with_selected(chosen));
    }

    /// How wide a column is, and how soon it goes where the terminal is narrow: the higher the sooner; 0 stays.
    fn width_and_priority(&self, column: Column, shown: &[&OverviewRow]) -> (usize, u8) {
        let widest = || {
            let cells = shown.iter().map(|it| self.cell(column, it).width());
            cells.max().unwrap_or_default().max(display_width(&self.head_of(column)))
        };
        match column {
            Column::Worker => (widest().min(NAME), 0),
            Column::Waiting => (widest(), 0),
            Column::Running => (widest(), 1),
            Column::Oldest => (widest(), 2),
            Column::Starting => (widest(), 3),
            Column::Failed => (widest(), 4),
            Column::Trend => (TREND, 5),
            Column::EmptyIn => (widest(), 6),
            Column::Gauge => (GAUGE, 7),
            Column::Price => (widest(), 8),
            Column::State => (STATE, 0),
        }
    }

    fn head_of(&self, column: Column) -> String {
        let text = match column {
            Column::Worker => "WORKER".to_owned(),
            Column::Waiting => "WAITING".to_owned(),
            Column::Trend => format!("LAST {}", age(self.history.span())),
            Column::Oldest => "OLDEST".to_owned(),
            Column::Running => "RUNNING/CAP".to_owned(),
            Column::Gauge => String::new(),
            Column::Starting => "START".to_owned(),
            Column::Failed => "FAIL".to_owned(),
            Column::EmptyIn => "EMPTY IN".to_owned(),
            Column::Price => "$/H".to_owned(),
            Column::State => "STATE".to_owned(),
        };
        match self.sort {
            Some(Sort { column: sorted, is_reversed }) if column.is_of(sorted) => {
                format!("{text}{}", if is_reversed { "^" } else { "*" })
            }
            _ => text,
        }
    }

    fn cell(&self, column: Column, it: &OverviewRow) -> Line<'static> {
        let row = &it.row;
        let status = |column: StatusColumn| column.cell(row);
        let text = match column {
            Column::Worker => status(StatusColumn::Worker),
            Column::Waiting => status(StatusColumn::Waiting),
            Column::Trend => self.trend(&row.worker),
            Column::Oldest if it.grows_older => format!("{} !", status(StatusColumn::Oldest)),
            Column::Oldest => status(StatusColumn::Oldest),
            Column::Running => {
                format!("{}/{}", status(StatusColumn::Running), status(StatusColumn::Cap))
            }
            Column::Gauge => self.gauge(it),
            Column::Starting => status(StatusColumn::Starting),
            Column::Failed => row.failed.map_or_else(|| "?".to_owned(), grouped),
            Column::EmptyIn => {
                let time = row.empty_in_seconds.map(|seconds| age(Duration::from_secs(seconds)));
                time.unwrap_or_else(|| "-".to_owned())
            }
            Column::Price => status(StatusColumn::Price),
            Column::State => status(StatusColumn::State),
        };
        Line::raw(text).alignment(column.side())
    }

    /// What waited, each character the most of its time; nothing where nothing was read.
    fn trend(&self, worker: &str) -> String {
        let bars = if self.look.ascii { BARS_OF_ASCII } else { BARS };
        let series = self.history.waiting(worker, TREND.min(KEPT));
        let most = series.iter().flatten().copied().max().unwrap_or_default().max(1);
        let bar = |waiting: u64| {
            let top = u64::try_from(bars.len().saturating_sub(1)).unwrap_or_default();
            let level = waiting.saturating_mul(top).div_ceil(most);
            usize::try_from(level).ok().and_then(|level| bars.get(level)).copied().unwrap_or(' ')
        };
        let text: String = series.iter().map(|point| point.map_or(' ', bar)).collect();
        format!("{text:>TREND$}")
    }

    fn gauge(&self, it: &OverviewRow) -> String {
        let (Some(running), Some(starting), Some(cap)) =
            (it.row.running, it.row.starting, it.row.cap)
        else {
            return String::new();
        };
        let cells = |containers: u64| {
            let width = u64::try_from(GAUGE).unwrap_or_default();
            let cells = containers.saturating_mul(width).div_ceil(cap.max(1)).min(width);
            usize::try_from(cells).unwrap_or_default()
        };
        let (full, begun) = if self.look.ascii { ('#', '+') } else { ('█', '▒') };
        let (run, all) = (cells(running), cells(running.saturating_add(starting)));
        full.to_string().repeat(run) + &begun.to_string().repeat(all.saturating_sub(run))
    }

    /// What is the matter with the chosen worker, and what to read.
    fn detail(&self) -> Text<'static> {
        let shown = self.shown();
        let chosen = shown.iter().find(|it| Some(&it.row.worker) == self.chosen.as_ref());
        let Some(row) = chosen.map(|it| &it.row) else { return Text::default() };
        let name = Span::styled(
            plain(&row.worker).into_owned(),
            Style::new().add_modifier(Modifier::BOLD),
        );
        let why = Span::raw(format!("  {}", plain(&row.why)));
        let mut lines = vec![Line::from(vec![name, why])];
        if !row.note.is_empty() || row.urgency.page().is_some() {
            let page = row.urgency.page().map(|page| format!("  what to do: {page}"));
            let note = plain(&row.note).into_owned();
            let text = format!("{} {note}{}", row.urgency.words(), page.unwrap_or_default());
            lines.push(Line::styled(text, self.style(row.urgency.meaning())));
        }
        Text::from(lines)
    }

    fn foot(&self, width: usize) -> Line<'static> {
        let Reading { calls_of_ecs, pause, age: old } = self.reading;
        let seconds = pause.as_secs().max(1);
        let tenths = calls_of_ecs.saturating_mul(10).div_ceil(seconds);
        let reads = match (self.is_paused, &self.seen) {
            (true, _) => format!("paused, {} old", age(old)),
            (false, None) => String::new(),
            (false, Some(_)) if pause.saturating_mul(2) < old => format!("{} old", age(old)),
            (false, Some(_)) => format!("{}.{} calls/s of ECS", tenths / 10, tenths % 10),
        };
        let keys = match (&self.face, &self.message) {
            _ if self.filter.is_typing => {
                format!("/{}_  enter keeps it  esc takes it away", self.filter.text)
            }
            (_, Some(message)) => plain(message).into_owned(),
            (Face::Worker(_), None) => KEYS_OF_WORKER.to_owned(),
            (_, None) if !self.filter.text.is_empty() => {
                format!("/{}  esc takes it away", self.filter.text)
            }
            (_, None) => KEYS.to_owned(),
        };
        let room = width.saturating_sub(display_width(&reads)).saturating_sub(2);
        let keys: String = keys.chars().take(room).collect();
        let gap = width.saturating_sub(display_width(&keys)).saturating_sub(display_width(&reads));
        let meaning = if self.message.is_some() { Meaning::Warning } else { Meaning::Aside };
        Line::styled(format!("{keys}{}{reads}", " ".repeat(gap)), self.style(meaning))
    }

    fn draw_worker(&self, closely: &Closely, frame: &mut Frame<'_>, area: Rect) {
        let width = usize::from(area.width);
        let mut lines = Vec::new();
        let mut chosen = 0;
        match (&closely.view, &closely.error) {
            (None, None) => lines.push(Line::raw(format!("reading {}", plain(&closely.worker)))),
            (None, Some(error)) => lines.push(Line::raw(plain(error).into_owned())),
            (Some(view), error) => {
                let mut page = Page::new(width);
                view.write_state(&mut page);
                lines.extend(stripped(page));
                lines.push(Line::default());
                for (index, task) in view.tasks(width.saturating_sub(1)).into_iter().enumerate() {
                    // The first of these lines is the head.
                    let is_chosen = index == closely.task.saturating_add(1);
                    if is_chosen {
                        chosen = lines.len();
                    }
                    let style = if is_chosen { Modifier::REVERSED } else { Modifier::empty() };
                    let mark = if is_chosen { ">" } else { " " };
                    let text = format!("{mark}{task}");
                    lines.push(Line::styled(text, Style::new().add_modifier(style)));
                }
                let mut page = Page::new(width);
                view.write_rest(&mut page, &self.look.clock);
                lines.extend(stripped(page));
                lines.extend(error.iter().map(|error| Line::raw(plain(error).into_owned())));
            }
        }
        let height = usize::from(area.height);
        let most = lines.len().saturating_sub(height);
        // Whoever goes down the tasks sees the one that is chosen.
        let least = chosen.saturating_add(1).saturating_sub(height);
        let above = u16::try_from(closely.above.max(least).min(most)).unwrap_or(u16::MAX);
        frame.render_widget(Paragraph::new(lines).scroll((above, 0)), area);
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

impl Column {
    fn side(self) -> ratatui::layout::Alignment {
        match self {
            Self::Waiting
            | Self::Oldest
            | Self::Running
            | Self::Starting
            | Self::Failed
            | Self::EmptyIn
            | Self::Price => ratatui::layout::Alignment::Right,
            Self::Worker | Self::Trend | Self::Gauge | Self::State => {
                ratatui::layout::Alignment::Left
            }
        }
    }

    /// Whether rows that are sorted by a column of a status are sorted by this one.
    fn is_of(self, column: StatusColumn) -> bool {
        matches!(
            (self, column),
            (Self::Worker, StatusColumn::Worker)
                | (Self::Waiting, StatusColumn::Waiting)
                | (Self::Oldest, StatusColumn::Oldest)
                | (Self::Running, StatusColumn::Running)
                | (Self::Starting, StatusColumn::Starting)
                | (Self::Price, StatusColumn::Price)
        )
    }
}

fn draw_question(question: &[String], frame: &mut Frame<'_>, area: Rect) {
    let height = u16::try_from(question.len()).unwrap_or(u16::MAX).saturating_add(4);
    let height = height.min(area.height);
    let top = area.height.saturating_sub(height);
    let area = Rect { y: area.y.saturating_add(top), height, ..area };
    let asked = question.iter().map(|line| Line::raw(plain(line).into_owned()));
    let mut lines: Vec<_> = asked.collect();
    lines.push(Line::raw("Stop it? y stops it, any other key does not"));
    frame.render_widget(Clear, area);
    let block = Block::bordered().border_set(ASCII_BORDER);
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: true }).block(block), area);
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

fn stripped(page: Page) -> Vec<Line<'static>> {
    let text = anstream::adapter::strip_str(&page.text()).to_string();
    text.lines().map(|line| Line::raw(line.to_owned())).collect()
}
