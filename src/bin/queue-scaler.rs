//! `queue-scaler`: what the function reads and decides, from a terminal.
//!
//! What was asked for goes to standard output, everything else to standard error. It ends with 0
//! when it is done, 1 when it failed, 2 when it was called wrongly.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use decision::config::{Config, ConfigError, Problem};

/// Starts exactly the ECS tasks that your SQS queues need.
#[derive(Debug, Parser)]
#[command(name = "queue-scaler", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check a configuration and tell everything that is wrong with it, a line each
    Validate {
        /// The file, YAML or JSON; `-` is standard input
        #[arg(default_value = "workers.yaml")]
        file: PathBuf,
    },
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
        Command::Validate { file } => validate(&file),
    };
    let (lines, code) = match done {
        Ok(line) => {
            return told(&mut io::stdout(), &[line])
                .map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
        }
        Err(Failed::Wrong(lines)) => (lines, ExitCode::FAILURE),
        Err(Failed::Use(line)) => (vec![line], ExitCode::from(2)),
    };
    // Who closes standard error does not want to be told.
    drop(told(&mut io::stderr(), &lines));
    code
}

fn told(out: &mut impl Write, lines: &[String]) -> io::Result<()> {
    lines.iter().try_for_each(|line| writeln!(out, "{line}"))
}

/// The whole of a configuration, the mistakes of single workers too: the function would serve the
/// others, and before a deployment is the time to mend them.
fn validate(file: &Path) -> Result<String, Failed> {
    let text = read(file).map_err(|error| {
        Failed::Use(format!("cannot read `{}`: {error}; name the file to check", file.display()))
    })?;
    let (problems, workers) = match Config::parse(&text) {
        Ok(Config { workers, refused, .. }) => {
            (refused.into_iter().flat_map(|refused| refused.problems).collect(), workers.len())
        }
        Err(ConfigError(problems)) => (problems, 0),
    };
    if problems.is_empty() {
        let workers =
            if workers == 1 { "1 worker".to_owned() } else { format!("{workers} workers") };
        return Ok(format!("{}: valid, {workers}", file.display()));
    }
    let line = |problem: &Problem| {
        let told = problem.to_string();
        let told: Vec<_> = told.lines().map(str::trim).collect();
        format!("{}: {}", file.display(), told.join(" "))
    };
    Err(Failed::Wrong(problems.iter().map(line).collect()))
}

fn read(file: &Path) -> io::Result<String> {
    if file == Path::new("-") {
        let mut text = String::new();
        return io::stdin().read_to_string(&mut text).map(|_| text);
    }
    std::fs::read_to_string(file)
}
