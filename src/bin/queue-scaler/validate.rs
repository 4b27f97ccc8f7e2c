//! `validate`.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::string::FromUtf8Error;
use std::time::Duration;

use clap::Args;
use decision::config::{Config, ConfigError, Position, Problem, document};
use ecs_queue_scaler::cli::checks::{Level, check};
use ecs_queue_scaler::cli::mark::marked;
use ecs_queue_scaler::cli::validation::ValidationView;
use serde_json::json;

use super::account::{self, Access, runtime, width};
use super::{Ends, Failed, Said};

/// Some twenty calls a worker, of which several workers' are out at once.
const LONGEST: Duration = Duration::from_mins(5);

/// What is wrong with a file of another encoding.
const NO_TEXT: &str = "this is not UTF-8: save the file in that encoding";

#[derive(Args, Debug)]
#[group(id = "validate")]
pub(crate) struct Arguments {
    /// The file, YAML or JSON; `-` is standard input [default: workers.yaml, and with --aws --function what the
    /// function goes by]
    file: Option<PathBuf>,
    #[command(flatten)]
    fails: Fails,
    /// Print what was found as JSON
    #[arg(long)]
    json: bool,
    /// Look in the account, too, whether what it names is there and works together; changes nothing
    #[arg(long)]
    aws: bool,
    #[command(flatten)]
    account: account::Arguments,
}

/// What it fails for beside mistakes.
#[derive(Args, Debug)]
#[group(id = "fails")]
struct Fails {
    /// Fail where there are warnings, too
    #[arg(long)]
    strict: bool,
    /// Fail where values of the shipped example are left, which are in no account
    #[arg(long)]
    for_deployment: bool,
}

/// What was found in a file.
struct Found {
    text: String,
    /// None where the whole cannot be read.
    config: Option<Config>,
    /// Mistakes, by their places.
    mistakes: Vec<Problem>,
}

/// The whole of a configuration, the mistakes of single workers too: the function would serve the
/// others, and before a deployment is the time to mend them.
pub(crate) fn run(arguments: &Arguments) -> Result<Said, Failed> {
    let Arguments { file, fails, json, aws, account } = arguments;
    let Fails { strict, for_deployment } = fails;
    if *aws && file.is_none() && (account.function.is_some() || account.is_config_given()) {
        return in_account(arguments, None);
    }
    let file = file.as_deref().unwrap_or(Path::new("workers.yaml"));
    let found = read(file)?;
    let warnings = found.warnings();
    let has_examples = warnings.iter().any(|warning| warning.is_of_example);
    let is_refused = !found.mistakes.is_empty()
        || (*for_deployment && has_examples)
        || (*strict && !warnings.is_empty());
    // The workers without a mistake are looked at, whatever the others have.
    let is_usable = found.config.is_some() && !(*for_deployment && has_examples);
    if *aws && is_usable {
        // What was read from standard input is not there a second time.
        let is_stdin = file == Path::new("-");
        let config = if is_stdin { found.text } else { file.display().to_string() };
        return in_account(arguments, Some(config));
    }
    if *json {
        let view = ValidationView::new(&file.display().to_string(), found.workers())
            .with(&found.mistakes, warnings);
        return Ok(Said {
            out: vec![format!("{:#}", json!(view))],
            ends: Ends::failed_if(is_refused),
            ..Said::default()
        });
    }
    let mut lines = found.lines();
    if found.mistakes.is_empty() && *for_deployment && has_examples {
        let hint = "has values of the shipped example: put your own in their place";
        lines.push(format!("{}: {hint}", file.display()));
    }
    if is_refused {
        return Err(Failed::Wrong(lines));
    }
    let valid = format!("{}: valid, {}", file.display(), workers(found.workers()));
    Ok(Said { out: vec![valid], err: lines, ..Said::default() })
}

/// What the account says of it, with the mistakes of the file.
fn in_account(arguments: &Arguments, config: Option<String>) -> Result<Said, Failed> {
    let account = arguments.account.with_config(config);
    let view = runtime()?.block_on(async {
        let access = account.access(true).await?;
        let Access { cloud, deployment, invocation } = access.within(LONGEST);
        let view = Box::pin(check(&deployment, &cloud, &invocation)).await;
        view.map_err(|error| Failed::Wrong(vec![error.to_string()]))
    })?;
    let is_refused =
        view.is_wrong() || view.is_unread() || (arguments.fails.strict && view.has(Level::Warning));
    let text = if arguments.json { format!("{:#}", json!(view)) } else { view.page(width()) };
    let out = vec![text.trim_end().to_owned()];
    Ok(Said { out, ends: Ends::failed_if(is_refused), ..Said::default() })
}

/// A configuration without a mistake in any worker, and its warnings.
pub(crate) fn whole(file: &Path) -> Result<(Config, Vec<String>), Failed> {
    let found = read(file)?;
    let lines = found.lines();
    match found.config {
        Some(config) if found.mistakes.is_empty() => Ok((config, lines)),
        _ => Err(Failed::Wrong(lines)),
    }
}

/// A configuration whose single workers may have mistakes.
pub(crate) fn usable(file: &Path) -> Result<Config, Failed> {
    let found = read(file)?;
    let lines = found.lines();
    found.config.ok_or(Failed::Wrong(lines))
}

fn workers(count: usize) -> String {
    if count == 1 { "1 worker".to_owned() } else { format!("{count} workers") }
}

impl Found {
    fn warnings(&self) -> &[Problem] {
        self.config.as_ref().map(|config| config.warnings.as_slice()).unwrap_or_default()
    }

    fn workers(&self) -> usize {
        self.config.as_ref().map_or(0, |config| config.workers.len())
    }

    /// Mistakes, then warnings, each with the line that it is in.
    fn lines(&self) -> Vec<String> {
        let mistakes = self.mistakes.iter().map(|problem| (problem, problem.to_string()));
        let warnings = self.warnings().iter().map(|problem| (problem, problem.as_warning()));
        let shown = mistakes
            .chain(warnings)
            .flat_map(|(problem, line)| std::iter::once(line).chain(marked(problem, &self.text)));
        shown.collect()
    }
}

fn read(file: &Path) -> Result<Found, Failed> {
    let bytes = bytes_of(file).map_err(|error| {
        Failed::Use(format!("cannot read `{}`: {error}; name the file to check", file.display()))
    })?;
    let source = file.display().to_string();
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => return Ok(Found::no_text(&source, &error)),
    };
    match document(&source, &text).and_then(|document| Config::of(&document)) {
        Ok(config) => {
            let refused = config.refused.iter().flat_map(|refused| refused.problems.clone());
            let mut mistakes: Vec<_> = refused.collect();
            mistakes.sort_by_key(|problem| problem.position);
            Ok(Found { text, config: Some(config), mistakes })
        }
        Err(ConfigError(mistakes)) => Ok(Found { text, config: None, mistakes }),
    }
}

impl Found {
    /// What is not text has one mistake, where it stops being it.
    fn no_text(source: &str, error: &FromUtf8Error) -> Self {
        let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let text = String::from_utf8_lossy(good).into_owned();
        let line = text.matches('\n').count().saturating_add(1);
        let column = text.rsplit('\n').next().unwrap_or_default().chars().count().saturating_add(1);
        let mistake = Problem {
            source: source.to_owned(),
            position: Some(Position { line, column }),
            worker: None,
            path: String::new(),
            message: NO_TEXT.to_owned(),
            is_of_example: false,
            count: 1,
        };
        Self { text, config: None, mistakes: vec![mistake] }
    }
}

/// A file that has to be text; `-` is standard input.
pub(crate) fn text_of(file: &Path) -> io::Result<String> {
    let no_text = || io::Error::other(NO_TEXT);
    bytes_of(file).and_then(|bytes| String::from_utf8(bytes).map_err(|_| no_text()))
}

fn bytes_of(file: &Path) -> io::Result<Vec<u8>> {
    if file == Path::new("-") {
        let mut bytes = Vec::new();
        return io::stdin().read_to_end(&mut bytes).map(|_| bytes);
    }
    fs::read(file)
}
