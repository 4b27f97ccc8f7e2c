//! `validate`.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use decision::config::{Config, ConfigError, Problem, document};
use ecs_queue_scaler::cli::mark::marked;
use ecs_queue_scaler::cli::validation::ValidationView;
use serde_json::json;

use super::{Failed, Said};

#[derive(Args, Debug)]
#[group(id = "validate")]
pub(crate) struct Arguments {
    /// The file, YAML or JSON; `-` is standard input
    #[arg(default_value = "workers.yaml")]
    file: PathBuf,
    /// Fail where there are warnings, too
    #[arg(long)]
    strict: bool,
    /// Fail where values of the shipped example are left, which are in no account
    #[arg(long)]
    for_deployment: bool,
    /// Print what was found as JSON
    #[arg(long)]
    json: bool,
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
    let Arguments { file, strict, for_deployment, json } = arguments;
    let found = read(file)?;
    let warnings = found.warnings();
    let has_examples = warnings.iter().any(|warning| warning.is_of_example);
    let is_refused = !found.mistakes.is_empty()
        || (*for_deployment && has_examples)
        || (*strict && !warnings.is_empty());
    if *json {
        let view = ValidationView::new(&file.display().to_string(), found.workers())
            .with(&found.mistakes, warnings);
        return Ok(Said {
            out: vec![format!("{:#}", json!(view))],
            is_wrong: is_refused,
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

/// A configuration without a mistake in any worker, and its warnings.
pub(crate) fn whole(file: &Path) -> Result<(Config, Vec<String>), Failed> {
    let found = read(file)?;
    let lines = found.lines();
    match found.config {
        Some(config) if found.mistakes.is_empty() => Ok((config, lines)),
        _ => Err(Failed::Wrong(lines)),
    }
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
    let text = text_of(file).map_err(|error| {
        Failed::Use(format!("cannot read `{}`: {error}; name the file to check", file.display()))
    })?;
    let document = document(&file.display().to_string(), &text);
    match document.and_then(|document| Config::of(&document)) {
        Ok(config) => {
            let refused = config.refused.iter().flat_map(|refused| refused.problems.clone());
            let mut mistakes: Vec<_> = refused.collect();
            mistakes.sort_by_key(|problem| problem.position);
            Ok(Found { text, config: Some(config), mistakes })
        }
        Err(ConfigError(mistakes)) => Ok(Found { text, config: None, mistakes }),
    }
}

fn text_of(file: &Path) -> io::Result<String> {
    if file == Path::new("-") {
        let mut text = String::new();
        return io::stdin().read_to_string(&mut text).map(|_| text);
    }
    fs::read_to_string(file)
}
