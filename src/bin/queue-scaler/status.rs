//! `status`.

use clap::Args;
use decision::units::WorkerName;
use ecs_queue_scaler::cli::status::{Asked, status, worker};
use serde_json::json;

use super::account::{self, Access, runtime, width};
use super::{Failed, Said};

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
    /// Print what was read as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    account: account::Arguments,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Said, Failed> {
    let text = runtime()?.block_on(read(arguments))?;
    Ok(Said { out: vec![text.trim_end().to_owned()], ..Said::default() })
}

async fn read(arguments: &Arguments) -> Result<String, Failed> {
    let Arguments { all, filter, json, .. } = arguments;
    let Access { cloud, deployment, invocation } = arguments.account.access(true).await?;
    let failed = |error: String| Failed::Wrong(vec![error]);
    if let Some(name) = &arguments.worker {
        let name = WorkerName::from(name.as_str());
        let view = Box::pin(worker(&deployment, &cloud, &name, &invocation)).await;
        let view = view.map_err(|error| failed(error.to_string()))?;
        return Ok(if *json { format!("{:#}", json!(view)) } else { view.page(width()) });
    }
    let view = Box::pin(status(&deployment, &cloud, &invocation)).await;
    let view = view.map_err(|error| failed(error.to_string()))?;
    let asked = Asked { width: width(), all: *all, filter: filter.clone() };
    Ok(if *json { format!("{:#}", json!(view)) } else { view.page(&asked) })
}
