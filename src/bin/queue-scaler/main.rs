//! `queue-scaler`: what the function reads and decides, from a terminal.
//!
//! What was asked for goes to standard output, everything else to standard error. It ends with 0
//! when it is done, 1 when it failed, 2 when it was called wrongly, 3 where `--detailed-exitcode` finds
//! that something would be changed, 130 when Ctrl-C has ended it.

mod account;
mod alarms;
mod apply;
mod canvas;
mod clean;
mod console;
mod explain;
mod init;
mod manual;
mod pause;
mod plan;
mod query;
mod question;
mod reader;
mod render;
mod room;
mod status;
mod stop;
mod top;
mod validate;

use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anstream::{AutoStream, ColorChoice};
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use decision::config;
use ecs_queue_scaler::cli::checks::ChecksView;
use ecs_queue_scaler::cli::clean::CleanView;
use ecs_queue_scaler::cli::explain::ExplainView;
use ecs_queue_scaler::cli::page::{Clock, plain};
use ecs_queue_scaler::cli::plan::PlanView;
use ecs_queue_scaler::cli::room::RoomView;
use ecs_queue_scaler::cli::status::{StatusView, WorkerView};
use ecs_queue_scaler::cli::tables::RowsView;
use ecs_queue_scaler::cli::validation::ValidationView;
use ecs_queue_scaler::log;
use jiff::tz::TimeZone;

/// Starts exactly the ECS tasks that your SQS queues need.
#[derive(Debug, Parser)]
#[command(
    name = "queue-scaler",
    version,
    max_term_width = 100,
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong use, 3 changes pending (plan --detailed-exitcode), \
                  130 interrupted."
)]
struct Arguments {
    /// Whether text has colours: `auto` has them on a terminal, and heeds `NO_COLOR`
    #[arg(long, global = true, default_value = "auto", value_name = "WHEN")]
    color: Color,
    /// Show times in UTC, and take those without an offset for UTC, instead of local time
    #[arg(long, global = true)]
    utc: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Color {
    Always,
    Auto,
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Propose a workers.yaml from the queues, task definitions and services of the account
    Init(init::Arguments),
    /// Check a configuration and report everything that is wrong with it
    Validate(validate::Arguments),
    /// Show what a tick of now would do, and why; changes nothing
    Plan(plan::Arguments),
    /// Plan a tick of now, ask, and carry out that plan
    Apply(apply::Arguments),
    /// Start containers of one worker now, under its own bounds, whatever waits for it
    Run(apply::RunArguments),
    /// Show all workers at a glance, the ones that need somebody first
    Status(status::Arguments),
    /// Show all workers on one screen, again and again, with what to do about each
    Top(top::Arguments),
    /// Show all workers in a browser of this machine, live, with charts and tasks of each
    Console(console::Arguments),
    /// Derive a logged decision of a tick again, and try other settings on it
    Explain(explain::Arguments),
    /// Print a workers.yaml made of what another program scales by
    #[command(subcommand)]
    Import(init::Import),
    /// Print the task definition that is derived for tasks of so many worker containers
    Render(render::Arguments),
    /// Show container instances, what is left of each, and how many tasks they would take
    Room(room::Arguments),
    /// Run one SELECT over what a tick would see
    Query(query::Arguments),
    /// Start tasks of any definition on container instances, by our own scheduler, after a question
    Start(room::StartArguments),
    /// Stop tasks of one worker, after a question
    Stop(stop::Arguments),
    /// Start nothing for a worker until a time, or until it is resumed
    Pause(pause::Arguments),
    /// End the pause of a worker
    Resume(pause::ResumeArguments),
    /// Show derived revisions that nobody needs any more, and deregister them
    Clean(clean::Arguments),
    /// Print a CloudFormation template with an alarm for each worker that has `waitWithin`
    Alarms {
        /// The file, YAML or JSON; `-` is standard input
        #[arg(default_value = "workers.yaml")]
        file: PathBuf,
    },
    /// Print the JSON Schema of a configuration, for editors
    Schema {
        /// Print the keys as tables in Markdown instead
        #[arg(long, conflicts_with = "of")]
        tables: bool,
        /// Print that of what a command says with --json instead: `worker` is that of `status NAME`, `checks` that
        /// of `validate --aws`
        #[arg(long, value_name = "COMMAND")]
        of: Option<Shape>,
    },
    /// Print what completes this program's commands in a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the manual pages into a folder, one for each command
    Man {
        /// The folder, which has to be there
        folder: PathBuf,
    },
}

/// What a command says with `--json`.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shape {
    Checks,
    Clean,
    Explain,
    Plan,
    Query,
    Room,
    Status,
    Validate,
    Worker,
}

impl Shape {
    fn schema(self) -> String {
        let schema = match self {
            Self::Checks => schemars::schema_for!(ChecksView),
            Self::Clean => schemars::schema_for!(CleanView),
            Self::Explain => schemars::schema_for!(ExplainView),
            Self::Plan => schemars::schema_for!(PlanView),
            Self::Query => schemars::schema_for!(RowsView),
            Self::Room => schemars::schema_for!(RoomView),
            Self::Status => schemars::schema_for!(StatusView),
            Self::Validate => schemars::schema_for!(ValidationView),
            Self::Worker => schemars::schema_for!(WorkerView),
        };
        format!("{:#}", schema.to_value())
    }
}

/// What a command has to say.
#[derive(Default)]
struct Said {
    /// What was asked for.
    out: Vec<String>,
    /// Everything else.
    err: Vec<String>,
    /// How it ends.
    ends: Ends,
}

/// How a command ends that has something to say.
#[derive(Clone, Copy, Default)]
enum Ends {
    #[default]
    Done,
    /// What was asked about is wrong, or was not done.
    Failed,
    /// Something would be changed, where that was asked.
    Pending,
    /// Ctrl-C has ended it.
    Interrupted,
}

impl Ends {
    fn failed_if(is_wrong: bool) -> Self {
        if is_wrong { Self::Failed } else { Self::Done }
    }
}

impl From<Ends> for ExitCode {
    fn from(ends: Ends) -> Self {
        match ends {
            Ends::Done => Self::SUCCESS,
            Ends::Failed => Self::FAILURE,
            Ends::Pending => Self::from(3),
            Ends::Interrupted => Self::from(INTERRUPTED),
        }
    }
}

/// As a shell says of what a signal has ended.
const INTERRUPTED: u8 = 130;

/// How text is shown.
struct Terminal {
    color: ColorChoice,
    clock: Clock,
}

/// How a command ends that is not done.
enum Failed {
    /// What it was asked about is wrong.
    Wrong(Vec<String>),
    /// It was called wrongly.
    Use(String),
}

fn main() -> ExitCode {
    log::keep_values_out_of_panics();
    let Arguments { color, utc, command } = Arguments::parse();
    let clock = if utc { Clock::utc() } else { Clock::of(TimeZone::system()) };
    let color = match color {
        Color::Always => ColorChoice::Always,
        Color::Auto => ColorChoice::Auto,
        Color::Never => ColorChoice::Never,
    };
    let done = match command {
        Command::Init(arguments) => init::run(&arguments),
        Command::Import(import) => init::import(&import),
        Command::Plan(arguments) => plan::run(&arguments, clock),
        Command::Apply(arguments) => apply::apply(&arguments, &Terminal { color, clock }),
        Command::Run(arguments) => apply::run(&arguments, &Terminal { color, clock }),
        Command::Explain(arguments) => explain::run(&arguments, &clock),
        Command::Render(arguments) => render::run(&arguments),
        Command::Room(arguments) => room::run(&arguments),
        Command::Query(arguments) => query::run(&arguments),
        Command::Start(arguments) => room::start(&arguments),
        Command::Stop(arguments) => stop::run(&arguments),
        Command::Pause(arguments) => pause::pause(&arguments, &clock),
        Command::Resume(arguments) => pause::resume(&arguments),
        Command::Clean(arguments) => clean::run(&arguments),
        Command::Status(arguments) => status::run(&arguments, &Terminal { color, clock }),
        Command::Top(arguments) => top::run(&arguments, &Terminal { color, clock }),
        Command::Console(arguments) => console::run(&arguments, &Terminal { color, clock }),
        Command::Validate(arguments) => validate::run(&arguments),
        Command::Alarms { file } => alarms(&file),
        Command::Schema { of: Some(shape), .. } => Ok(said(&shape.schema())),
        Command::Schema { tables: false, .. } => Ok(said(&config::shape().schema_text())),
        Command::Schema { tables: true, .. } => Ok(said(&config::shape().tables())),
        Command::Completions { shell } => Ok(completions(shell)),
        Command::Man { folder } => manual::write(Arguments::command(), &folder),
    };
    let (Said { out, err, .. }, code) = match done {
        Ok(said) => {
            let code = said.ends.into();
            (said, code)
        }
        Err(Failed::Wrong(err)) => (Said { err, ..Said::default() }, ExitCode::FAILURE),
        Err(Failed::Use(line)) => (Said { err: vec![line], ..Said::default() }, ExitCode::from(2)),
    };
    // Who closes standard error wants no error about it.
    let err: Vec<_> =
        err.iter().flat_map(|text| text.lines()).map(|line| plain(line).into_owned()).collect();
    let mut stderr = AutoStream::new(io::stderr(), color);
    drop(print(&mut stderr, &err));
    match print(&mut AutoStream::new(io::stdout(), color), &out) {
        Ok(()) => code,
        // Who has read enough, such as `head`.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => code,
        Err(error) => {
            drop(print(&mut stderr, &[format!("cannot write: {error}")]));
            ExitCode::FAILURE
        }
    }
}

fn print(out: &mut impl Write, lines: &[String]) -> io::Result<()> {
    lines.iter().try_for_each(|line| writeln!(out, "{line}"))
}

fn said(text: &str) -> Said {
    Said { out: vec![text.trim_end().to_owned()], ..Said::default() }
}

fn completions(shell: Shell) -> Said {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "queue-scaler", &mut script);
    // clap_complete 4.6 takes the hyphen of our name for the beginning of a subcommand, in labels only.
    said(&String::from_utf8_lossy(&script).replace("queue__subcmd__scaler", "queue__scaler"))
}

/// A stack of its own: the template of the function cannot know the queues.
fn alarms(file: &Path) -> Result<Said, Failed> {
    let (config, warnings) = validate::whole(file)?;
    match alarms::template(&config.workers) {
        Some(template) => {
            Ok(Said { out: vec![template.to_string()], err: warnings, ..Said::default() })
        }
        None => Err(Failed::Wrong(vec![format!(
            "{}: no worker has scaling.waitWithin: there is nothing to alarm on",
            file.display()
        )])),
    }
}
