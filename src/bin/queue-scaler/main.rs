//! `queue-scaler`: what the function reads and decides, from a terminal.
//!
//! What was asked for goes to standard output, everything else to standard error. It ends with 0
//! when it is done, 1 when it failed, 2 when it was called wrongly, 3 where `--detailed-exitcode` finds
//! that something would be changed.

mod account;
mod alarms;
mod plan;

use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anstream::{AutoStream, ColorChoice};
use clap::{Parser, Subcommand, ValueEnum};
use decision::config::{self, Config, ConfigError, Problem, document};
use ecs_queue_scaler::cli::plan::PlanView;

/// Starts exactly the ECS tasks that your SQS queues need.
#[derive(Debug, Parser)]
#[command(
    name = "queue-scaler",
    version,
    max_term_width = 100,
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong use, 3 changes pending (plan --detailed-exitcode)."
)]
struct Arguments {
    /// Whether text has colours: `auto` has them on a terminal, and heeds `NO_COLOR`
    #[arg(long, global = true, default_value = "auto", value_name = "WHEN")]
    color: Color,
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
    /// Check a configuration and report everything that is wrong with it, a line each
    Validate {
        /// The file, YAML or JSON; `-` is standard input
        #[arg(default_value = "workers.yaml")]
        file: PathBuf,
        /// Fail where there are warnings, too
        #[arg(long)]
        strict: bool,
        /// Fail where values of the shipped example are left, which are in no account
        #[arg(long)]
        for_deployment: bool,
    },
    /// Show what a tick of now would do, and why; changes nothing
    Plan(plan::Arguments),
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
        /// Print that of what a command says with --json instead
        #[arg(long, value_name = "COMMAND")]
        of: Option<Shape>,
    },
}

/// What a command says with `--json`.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shape {
    Plan,
}

impl Shape {
    fn schema(self) -> String {
        let schema = match self {
            Self::Plan => schemars::schema_for!(PlanView),
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
    /// Whether something would be changed, where that was asked.
    pending: bool,
}

/// How a command ends that is not done.
enum Failed {
    /// What it was asked about is wrong.
    Wrong(Vec<String>),
    /// It was called wrongly.
    Use(String),
}

fn main() -> ExitCode {
    let Arguments { color, command } = Arguments::parse();
    let done = match command {
        Command::Plan(arguments) => plan::run(&arguments),
        Command::Validate { file, strict, for_deployment } => {
            validate(&file, Refused { examples: for_deployment, warnings: strict })
        }
        Command::Alarms { file } => alarms(&file),
        Command::Schema { of: Some(shape), .. } => Ok(said(&shape.schema())),
        Command::Schema { tables: false, .. } => Ok(said(&config::shape().schema_text())),
        Command::Schema { tables: true, .. } => Ok(said(&config::shape().tables())),
    };
    let (Said { out, err, .. }, code) = match done {
        Ok(said) => {
            let code = if said.pending { ExitCode::from(3) } else { ExitCode::SUCCESS };
            (said, code)
        }
        Err(Failed::Wrong(err)) => (Said { err, ..Said::default() }, ExitCode::FAILURE),
        Err(Failed::Use(line)) => (Said { err: vec![line], ..Said::default() }, ExitCode::from(2)),
    };
    let color = match color {
        Color::Always => ColorChoice::Always,
        Color::Auto => ColorChoice::Auto,
        Color::Never => ColorChoice::Never,
    };
    // Who closes standard error wants no error about it.
    drop(print(&mut AutoStream::new(io::stderr(), color), &err));
    match print(&mut AutoStream::new(io::stdout(), color), &out) {
        Ok(()) => code,
        // Who has read enough, such as `head`.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => code,
        Err(_) => ExitCode::FAILURE,
    }
}

fn print(out: &mut impl Write, lines: &[String]) -> io::Result<()> {
    lines.iter().try_for_each(|line| writeln!(out, "{line}"))
}

fn said(text: &str) -> Said {
    Said { out: vec![text.trim_end().to_owned()], ..Said::default() }
}

/// What is refused beside mistakes.
#[derive(Clone, Copy, Default)]
struct Refused {
    /// What has a value of the shipped example.
    examples: bool,
    /// What may be meant otherwise.
    warnings: bool,
}

/// The whole of a configuration, the mistakes of single workers too: the function would serve the
/// others, and before a deployment is the time to mend them.
fn validate(file: &Path, refused: Refused) -> Result<Said, Failed> {
    let (config, warnings) = whole(file)?;
    let has_examples = config.warnings.iter().any(|warning| warning.is_of_example);
    if refused.examples && has_examples {
        let hint = "has values of the shipped example: put your own in their place";
        let hint = format!("{}: {hint}", file.display());
        return Err(Failed::Wrong([warnings, vec![hint]].concat()));
    }
    if refused.warnings && !warnings.is_empty() {
        return Err(Failed::Wrong(warnings));
    }
    let valid = format!("{}: valid, {}", file.display(), workers(config.workers.len()));
    Ok(Said { out: vec![valid], err: warnings, ..Said::default() })
}

/// A stack of its own: the template of the function cannot know the queues.
fn alarms(file: &Path) -> Result<Said, Failed> {
    let (config, warnings) = whole(file)?;
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

/// A configuration without a mistake in any worker, and its warnings.
fn whole(file: &Path) -> Result<(Config, Vec<String>), Failed> {
    let config = configuration(file)?;
    let warnings: Vec<_> = config.warnings.iter().map(Problem::as_warning).collect();
    let refused = config.refused.iter().flat_map(|refused| refused.problems.clone());
    let mut problems: Vec<_> = refused.collect();
    problems.sort_by_key(|problem| problem.position);
    if problems.is_empty() {
        return Ok((config, warnings));
    }
    Err(Failed::Wrong([lines(&problems), warnings].concat()))
}

fn workers(count: usize) -> String {
    if count == 1 { "1 worker".to_owned() } else { format!("{count} workers") }
}

fn configuration(file: &Path) -> Result<Config, Failed> {
    let text = read(file).map_err(|error| {
        Failed::Use(format!("cannot read `{}`: {error}; name the file to check", file.display()))
    })?;
    let document = document(&file.display().to_string(), &text);
    let config = document.and_then(|document| Config::of(&document));
    config.map_err(|ConfigError(problems)| Failed::Wrong(lines(&problems)))
}

fn lines(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

fn read(file: &Path) -> io::Result<String> {
    if file == Path::new("-") {
        let mut text = String::new();
        return io::stdin().read_to_string(&mut text).map(|_| text);
    }
    std::fs::read_to_string(file)
}
