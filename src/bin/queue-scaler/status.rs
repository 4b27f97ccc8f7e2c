//! `status`.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anstream::{AutoStream, ColorChoice};
use clap::{Args, value_parser};
use decision::units::WorkerName;
use ecs_queue_scaler::cli::console::{About, Board, saved};
use ecs_queue_scaler::cli::file::write_over;
use ecs_queue_scaler::cli::overview::History;
use ecs_queue_scaler::cli::page::Clock;
use ecs_queue_scaler::cli::status::{Asked, Column, Session, refresh, status, worker};
use ecs_queue_scaler::cli::top::Reading;
use serde::Serialize;
use serde_json::json;

use super::account::{self, Access, runtime, variable, width};
use super::{Ends, Failed, Said, Terminal};

#[derive(Args, Debug)]
#[group(id = "status")]
pub(crate) struct Arguments {
    /// One worker: its tasks, and what became of those of the last hour
    worker: Option<String>,
    /// Show the idle workers, too
    #[arg(long)]
    all: bool,
    /// Show only `busy` workers, those in `trouble`, or those with this text in their name or state
    #[arg(long, value_name = "WHICH", conflicts_with = "worker")]
    filter: Option<String>,
    #[command(flatten)]
    table: Table,
    /// Print what was read as JSON
    #[arg(long)]
    json: bool,
    /// Write it as a web page that needs no server, such as for the record of an incident
    #[arg(long, value_name = "FILE", conflicts_with_all = ["worker", "json", "watch", "filter", "all", "table"])]
    html: Option<PathBuf>,
    /// Read it again every so many seconds until Ctrl-C, 5 at least: a terminal is redrawn, anything else
    /// gets a line of JSON each time
    #[arg(long, value_name = "SECONDS", value_parser = value_parser!(u64).range(5..))]
    watch: Option<u64>,
    #[command(flatten)]
    account: account::Arguments,
}

/// What the table has.
#[derive(Args, Debug)]
#[group(id = "table", conflicts_with = "worker")]
struct Table {
    /// Sort by this column: numbers from the largest, launches from the newest, names from A
    #[arg(long, value_name = "COLUMN")]
    sort: Option<Column>,
    /// Only these columns, in this order, as in worker,waiting,oldest
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    columns: Vec<Column>,
    /// Leave out no column and cut no note, however narrow the terminal
    #[arg(long)]
    wide: bool,
}

/// The page goes to the top of a terminal, and nothing of the last one stays.
const REDRAWN: &str = "\u{1b}[H\u{1b}[2J";

pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Result<Said, Failed> {
    let runtime = runtime()?;
    if let Some(file) = &arguments.html {
        return runtime.block_on(save(arguments, file));
    }
    let Some(seconds) = arguments.watch else {
        let form = if arguments.json { Form::Json } else { Form::Page };
        let (text, ends) = runtime.block_on(read(arguments, form, &terminal.clock))?;
        return Ok(Said { out: vec![text.trim_end().to_owned()], ends, ..Said::default() });
    };
    let is_terminal = io::stdout().is_terminal() && !arguments.json;
    let form = if is_terminal { Form::Page } else { Form::Line };
    loop {
        // Each time anew: credentials end, and so may the configuration.
        let read = read(arguments, form, &terminal.clock);
        let text = match runtime.block_on_in_silence(read) {
            Ok((text, _)) => text,
            Err(Failed::Wrong(lines)) if is_terminal => lines.join("\n"),
            Err(failed) => return Err(failed),
        };
        if written(text.trim_end(), is_terminal, terminal.color).is_err() {
            // Who has read enough.
            return Ok(Said::default());
        }
        thread::sleep(Duration::from_secs(seconds));
    }
}

/// Without colours a terminal is redrawn all the same, unless it is one that obeys nothing.
fn written(text: &str, is_terminal: bool, color: ColorChoice) -> io::Result<()> {
    let obeys = variable("TERM").is_some_and(|name| name != "dumb");
    if is_terminal && obeys {
        io::stdout().write_all(REDRAWN.as_bytes())?;
    }
    let mut out = AutoStream::new(io::stdout(), color);
    writeln!(out, "{text}")?;
    out.flush()
}

/// What a console would show now, as a file.
async fn save(arguments: &Arguments, file: &Path) -> Result<Said, Failed> {
    let Access { cloud, deployment, invocation } = arguments.account.access(true).await?;
    let read = refresh(&deployment, &cloud, &Session::default(), &invocation).await;
    let view = read.map_err(|error| Failed::Wrong(vec![error.to_string()]))?;
    let ends = Ends::failed_if(view.workers.iter().any(|row| row.urgency.is_unread()));
    let mut board = Board::new(About { is_saved: true, ..About::default() }, History::default());
    board.refreshed(view, invocation.now, Reading::default());
    let page = saved(&board.whole());
    let written = write_over(file, page.as_bytes());
    written.map_err(|error| Failed::Wrong(vec![format!("{}: {error}", file.display())]))?;
    let err = vec![format!("written to {}", file.display())];
    Ok(Said { err, ends, ..Said::default() })
}

/// How it is said.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Page,
    Json,
    /// JSON, in one line.
    Line,
}

impl Form {
    fn of(self, view: &impl Serialize, page: impl FnOnce() -> String) -> String {
        match self {
            Self::Page => page(),
            Self::Json => format!("{:#}", json!(view)),
            Self::Line => json!(view).to_string(),
        }
    }
}

/// What was read, and whether that is all.
async fn read(arguments: &Arguments, form: Form, clock: &Clock) -> Result<(String, Ends), Failed> {
    let Arguments { all, filter, table, .. } = arguments;
    let asked = Asked {
        width: width(),
        all: *all,
        filter: filter.clone(),
        sort: table.sort,
        columns: table.columns.clone(),
        wide: table.wide,
        clock: clock.clone(),
    };
    let Access { cloud, deployment, invocation } = arguments.account.access(true).await?;
    let failed = |error: String| Failed::Wrong(vec![error]);
    if let Some(name) = &arguments.worker {
        let name = WorkerName::from(name.as_str());
        let view = Box::pin(worker(&deployment, &cloud, &name, &invocation)).await;
        let view = view.map_err(|error| failed(error.to_string()))?;
        let ends = Ends::failed_if(view.row.urgency.is_unread());
        return Ok((form.of(&view, || view.page(&asked)), ends));
    }
    let view = Box::pin(status(&deployment, &cloud, &invocation)).await;
    let view = view.map_err(|error| failed(error.to_string()))?;
    let ends = Ends::failed_if(view.workers.iter().any(|row| row.urgency.is_unread()));
    Ok((form.of(&view, || view.page(&asked)), ends))
}
