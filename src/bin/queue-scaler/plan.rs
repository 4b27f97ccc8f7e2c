//! `plan`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use decision::units::WorkerName;
use ecs_queue_scaler::cli::apply::{How, event_for_function};
use ecs_queue_scaler::cli::file::write_over;
use ecs_queue_scaler::cli::page::Clock;
use ecs_queue_scaler::cli::plan::{PlanView, Shown, plan, plan_of_function};
use ecs_queue_scaler::cli::result::TickResult;
use serde_json::json;

use super::account::{self, Access, runtime, width};
use super::validate::text_of;
use super::{Ends, Failed, Said};

/// What the function remembers, and a terminal cannot.
pub(crate) const NOT_KNOWN: &str = "not known here: what was launched in the last minutes and is not listed yet, and what \
                         the launches before came to (brakes); --remote asks the function";

#[derive(Args, Debug)]
#[group(id = "plan")]
pub(crate) struct Arguments {
    #[command(flatten)]
    account: account::Arguments,
    /// Only this worker; may be given several times
    #[arg(long = "worker", value_name = "NAME")]
    workers: Vec<String>,
    #[command(flatten)]
    form: Form,
    /// End with 3 where something would be launched
    #[arg(long)]
    detailed_exitcode: bool,
    /// Let the function plan, which knows what its launches came to
    #[arg(long, requires = "function", conflicts_with = "config")]
    remote: bool,
    /// Write the plan to a file, too: it holds no values, secrets or commands
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Show a plan that was saved, without AWS
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["remote", "save", "function", "workers", "name", "config", "profile", "region", "endpoint_url"]
    )]
    from: Option<PathBuf>,
}

/// How it is shown.
#[derive(Args, Debug)]
struct Form {
    /// Show the idle workers, too
    #[arg(long)]
    all: bool,
    /// Print the plan as JSON
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Print the plan for the comment of a pull request
    #[arg(long)]
    markdown: bool,
}

pub(crate) fn run(arguments: &Arguments, clock: Clock) -> Result<Said, Failed> {
    let view = match &arguments.from {
        Some(file) => saved(file)?,
        None => runtime()?.block_on(planned(arguments))?,
    };
    let Form { all, json, markdown } = arguments.form;
    let text = if json {
        format!("{:#}", json!(view))
    } else if markdown {
        view.markdown(all)
    } else {
        view.page(&Shown { width: width(), all, clock })
    };
    let is_from_here = arguments.from.is_none() && !view.is_of_function;
    let mut err = if is_from_here { vec![NOT_KNOWN.to_owned()] } else { Vec::new() };
    let text_of = format!("{:#}\n", json!(view));
    let saved = arguments.save.as_ref().map(|file| (file, write_over(file, text_of.as_bytes())));
    let is_unsaved = matches!(&saved, Some((_, Err(_))));
    if let Some((file, Err(error))) = &saved {
        err.push(format!("cannot write `{}`: {error}", file.display()));
    }
    let out = vec![text.trim_end().to_owned()];
    let asks = arguments.detailed_exitcode;
    // What could not be planned is not nothing to do.
    let is_wrong =
        is_unsaved || view.is_unread() || (asks && !view.launches() && view.is_incomplete());
    let ends = match Ends::failed_if(is_wrong) {
        Ends::Done if asks && view.launches() => Ends::Pending,
        ends => ends,
    };
    Ok(Said { out, err, ends })
}

async fn planned(arguments: &Arguments) -> Result<PlanView, Failed> {
    let Access { cloud, deployment, invocation } =
        arguments.account.access(!arguments.remote).await?;
    let failed = |error: String| Failed::Wrong(vec![error]);
    let only: Vec<_> =
        arguments.workers.iter().map(|name| WorkerName::from(name.as_str())).collect();
    if let (true, Some(function)) = (arguments.remote, &arguments.account.function) {
        let event = event_for_function(&only, &BTreeMap::new(), How::PLAN);
        let answer = cloud.invoker().invoke(function, &event).await;
        let answer = answer.map_err(|error| failed(error.to_string()))?;
        let result = TickResult::parse(&answer).map_err(|error| failed(error.to_string()))?;
        return Ok(plan_of_function(&deployment, result, &cloud, &invocation));
    }
    let view = Box::pin(plan(&deployment, &cloud, &only, &invocation)).await;
    view.map_err(|error| failed(error.to_string()))
}

fn saved(file: &Path) -> Result<PlanView, Failed> {
    let wrong = |why: String| Failed::Use(format!("cannot show `{}`: {why}", file.display()));
    let text = text_of(file).map_err(|error| wrong(error.to_string()))?;
    PlanView::parse(&text).map_err(wrong)
}
