//! `status`.

use clap::Args;
use ecs_queue_scaler::cli::status::{Asked, StatusView, status};
use serde_json::json;

use super::account::{self, Access, runtime, width};
use super::{Failed, Said};

#[derive(Args, Debug)]
#[group(id = "status")]
pub(crate) struct Arguments {
    #[command(flatten)]
    account: account::Arguments,
    /// Show the idle workers, too
    #[arg(long)]
    all: bool,
    /// Show only `busy` workers, those in `trouble`, or those with this text in their name or state
    #[arg(long, value_name = "WHICH")]
    filter: Option<String>,
    /// Print the workers as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Said, Failed> {
    let view = runtime()?.block_on(read(arguments))?;
    let text = if arguments.json {
        format!("{:#}", json!(view))
    } else {
        let Arguments { all, filter, .. } = arguments;
        view.page(&Asked { width: width(), all: *all, filter: filter.clone() })
    };
    Ok(Said { out: vec![text.trim_end().to_owned()], ..Said::default() })
}

async fn read(arguments: &Arguments) -> Result<StatusView, Failed> {
    let Access { cloud, deployment, invocation } = arguments.account.access(true).await?;
    let view = Box::pin(status(&deployment, &cloud, &invocation)).await;
    view.map_err(|error| Failed::Wrong(vec![error.to_string()]))
}
