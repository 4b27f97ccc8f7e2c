//! `explain`.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};
use decision::config::Config;
use decision::event::minute_of;
use ecs_queue_scaler::aws::{LogLine, LogLines, Logged};
use ecs_queue_scaler::cli::explain::{ExplainView, Trial, records};
use ecs_queue_scaler::cli::page::Clock;
use jiff::SignedDuration;
use serde_json::json;

use super::account::{self, Access, now, runtime, width};
use super::validate::usable;
use super::{Ends, Failed, Said};

/// A tick of a minute logs its lines within its invocation, and with `pollEvery` up to a minute later.
const OF_A_TICK: SignedDuration = SignedDuration::from_mins(3);

#[derive(Args, Debug)]
#[group(id = "explain")]
#[command(group = ArgGroup::new("record").required(true).args(["from", "at", "since"]))]
pub(crate) struct Arguments {
    /// Only this worker
    worker: Option<String>,
    /// A file with the result of an invocation, or with lines of the log; `-` is standard input
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// The tick of this time, such as 2026-11-21T03:12Z, or 2026-11-21T03:12 in local time, from the function's
    /// log
    #[arg(long, value_name = "TIME", requires = "function")]
    at: Option<String>,
    /// What was decided anew in the last hours and minutes, such as 6h, a line each, from the function's log
    #[arg(long, value_name = "DURATION", requires = "function")]
    since: Option<SignedDuration>,
    /// Try another setting on the same facts; may be given several times
    #[arg(long = "set", value_name = "PATH=VALUE")]
    set: Vec<String>,
    /// Try the settings that the same worker has in this file
    #[arg(long, value_name = "FILE")]
    with: Option<PathBuf>,
    /// Print the decisions as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    account: account::Arguments,
}

pub(crate) fn run(arguments: &Arguments, clock: &Clock) -> Result<Said, Failed> {
    let Arguments { worker, from, since, set, with, json, .. } = arguments;
    if since.is_some() && !*json && !(set.is_empty() && with.is_none()) {
        let refused =
            "--since shows a line a decision, without what was tried: add --json, or give --at";
        return Err(Failed::Use(refused.to_owned()));
    }
    let set = Trial::read_set(set).map_err(|error| Failed::Use(error.to_string()))?;
    let named = |file: &PathBuf| usable(file).map(|config| (config, file.display().to_string()));
    let trial = Trial { set, with: with.as_ref().map(named).transpose()? };
    let (text, mut err) = match from {
        Some(file) => (text_of(file)?, Vec::new()),
        None => runtime()?.block_on(logged(arguments, clock))?,
    };
    let found = records(&text, worker.as_deref());
    let found = found.map_err(|error| {
        let of = from.as_ref().map(|file| format!("`{}`: ", file.display())).unwrap_or_default();
        Failed::Wrong(vec![format!("{of}{error}")])
    })?;
    let here = here(arguments, &mut err)?;
    let view = ExplainView::new(&found, here.as_ref(), &trial);
    let text = match since {
        _ if *json => format!("{:#}", json!(view)),
        Some(_) => view.list(width()),
        None => view.page(width(), clock),
    };
    let ends = Ends::failed_if(!view.is_derived());
    Ok(Said { out: vec![text.trim_end().to_owned()], err, ends })
}

/// The configuration that is here, if any: the one that was named, or the file that is usually there.
fn here(arguments: &Arguments, notes: &mut Vec<String>) -> Result<Option<Config>, Failed> {
    let Some(named) = &arguments.account.config else {
        let usual = Path::new("workers.yaml");
        if !usual.exists() {
            return Ok(None);
        }
        let config = usable(usual).map_err(|_| "workers.yaml has errors, and is not compared");
        return Ok(config.map_err(|note| notes.push(note.to_owned())).ok());
    };
    if !(named.starts_with("ssm:") || named.starts_with("s3:")) {
        return usable(Path::new(named.strip_prefix("file:").unwrap_or(named))).map(Some);
    }
    runtime()?.block_on(async {
        let Access { cloud, deployment, invocation } = arguments.account.access(true).await?;
        let in_force = deployment.scaler.config.current(&cloud, invocation.now).await;
        let in_force = in_force.map_err(|error| Failed::Wrong(vec![error.to_string()]))?;
        Ok(Some(Config::clone(&in_force.config)))
    })
}

fn text_of(file: &Path) -> Result<String, Failed> {
    let read = if file == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(file)
    };
    let bytes =
        read.map_err(|error| Failed::Use(format!("cannot read `{}`: {error}", file.display())))?;
    // What is no text is no line.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The lines of the function's log, and what is to be said of them.
async fn logged(arguments: &Arguments, clock: &Clock) -> Result<(String, Vec<String>), Failed> {
    let Arguments { worker, at, since, account, .. } = arguments;
    let at = at.as_ref().map(|at| clock.read(at)).transpose().map_err(Failed::Use)?;
    let now = now();
    let (from, to) = match (at, since) {
        (Some(at), _) if now < at => {
            return Err(Failed::Use(format!("{at} is still to come: it is {now}")));
        }
        (Some(at), _) => {
            let minute = minute_of(at);
            (minute, minute.saturating_add(OF_A_TICK))
        }
        (None, Some(since)) => (
            now.checked_sub(since.abs())
                .map_err(|error| Failed::Use(format!("--since {since}: {error}")))?,
            Ok(now),
        ),
        (None, None) => (now, Ok(now)),
    };
    let to = to.map_err(|error| Failed::Use(error.to_string()))?;
    let Access { cloud, deployment, .. } = account.access(false).await?;
    let failed = |error: String| Failed::Wrong(vec![error]);
    let group = deployment.log_group.unwrap_or_default();
    let of_worker = worker.as_ref().map(|name| format!("{name}:")).unwrap_or_default();
    let pattern = format!("{{ $.message = \"worker {of_worker}*\" }}");
    let asked = LogLines { group: &group, pattern: &pattern, from, to };
    let Logged { lines, is_cut } =
        cloud.logged(asked).await.map_err(|error| failed(error.to_string()))?;
    let is_of = |line: &LogLine| {
        let Some(at) = at else { return true };
        let found = records(&line.text, None).unwrap_or_default();
        found.iter().any(|record| record.is_of(at, line.at))
    };
    let lines: Vec<_> = lines.into_iter().filter(is_of).map(|line| line.text).collect();
    let cut = "there are more lines than are read: give one worker, or a shorter time";
    if lines.is_empty() && is_cut {
        return Err(failed(cut.to_owned()));
    }
    if lines.is_empty() {
        let why = format!(
            "{group} has no line of {} from {from} to {to}: a worker that is idle has none, and a log is kept for \
             so long as its retention says",
            worker.as_deref().unwrap_or("a worker")
        );
        return Err(failed(why));
    }
    let err = if is_cut { vec![cut.to_owned()] } else { Vec::new() };
    Ok((lines.join("\n"), err))
}
