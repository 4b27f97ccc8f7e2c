//! `queue-scaler`: what the function reads and decides, from a terminal.
//!
//! What was asked for goes to standard output, everything else to standard error. It ends with 0
//! when it is done, 1 when it failed, 2 when it was called wrongly.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use decision::config::{self, Config, ConfigError, Problem, document};

/// Starts exactly the ECS tasks that your SQS queues need.
#[derive(Debug, Parser)]
#[command(name = "queue-scaler", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
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
    },
    /// Print the JSON Schema of a configuration, for editors
    Schema {
        /// Print the keys as tables in Markdown instead
        #[arg(long)]
        tables: bool,
    },
}

/// What a command has to say.
#[derive(Default)]
struct Said {
    /// What was asked for.
    out: Vec<String>,
    /// Everything else.
    err: Vec<String>,
}

/// How a command ends that is not done.
enum Failed {
    /// What it was asked about is wrong.
    Wrong(Vec<String>),
    /// It was called wrongly.
    Use(String),
}

fn main() -> ExitCode {
    let Arguments { command } = Arguments::parse();
    let done = match command {
        Command::Validate { file, strict: false } => validate(&file),
        Command::Validate { file, strict: true } => validate(&file).and_then(strictly),
        Command::Schema { tables: false } => Ok(said(&config::shape().schema_text())),
        Command::Schema { tables: true } => Ok(said(&config::shape().tables())),
    };
    let (Said { out, err }, code) = match done {
        Ok(said) => (said, ExitCode::SUCCESS),
        Err(Failed::Wrong(err)) => (Said { err, ..Said::default() }, ExitCode::FAILURE),
        Err(Failed::Use(line)) => (Said { err: vec![line], ..Said::default() }, ExitCode::from(2)),
    };
    // Who closes standard error wants no error about it.
    drop(print(&mut io::stderr(), &err));
    print(&mut io::stdout(), &out).map_or(ExitCode::FAILURE, |()| code)
}

fn print(out: &mut impl Write, lines: &[String]) -> io::Result<()> {
    lines.iter().try_for_each(|line| writeln!(out, "{line}"))
}

fn said(text: &str) -> Said {
    Said { out: vec![text.trim_end().to_owned()], err: Vec::new() }
}

/// A warning is as good as a mistake.
fn strictly(said: Said) -> Result<Said, Failed> {
    if said.err.is_empty() { Ok(said) } else { Err(Failed::Wrong(said.err)) }
}

/// The whole of a configuration, the mistakes of single workers too: the function would serve the
/// others, and before a deployment is the time to mend them.
fn validate(file: &Path) -> Result<Said, Failed> {
    let text = read(file).map_err(|error| {
        Failed::Use(format!("cannot read `{}`: {error}; name the file to check", file.display()))
    })?;
    let source = file.display().to_string();
    let config = match document(&source, &text).and_then(|document| Config::of(&document)) {
        Ok(config) => config,
        Err(ConfigError(problems)) => return Err(Failed::Wrong(lines(&problems))),
    };
    let warnings = config.warnings.iter().map(Problem::as_warning);
    let warnings: Vec<_> = warnings.collect();
    let mut problems: Vec<_> = config.refused.into_iter().flat_map(|r| r.problems).collect();
    problems.sort_by_key(|problem| problem.position);
    if !problems.is_empty() {
        return Err(Failed::Wrong([lines(&problems), warnings].concat()));
    }
    let workers = match config.workers.len() {
        1 => "1 worker".to_owned(),
        n => format!("{n} workers"),
    };
    Ok(Said { out: vec![format!("{source}: valid, {workers}")], err: warnings })
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
