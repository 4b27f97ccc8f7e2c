//! `clean`.

use std::time::Duration;

use clap::Args;
use ecs_queue_scaler::cli::clean::{Asked, Cleaned, find};
use serde_json::json;
use tokio::time::Instant;

use super::account::{self, Access, runtime, width};
use super::question::note;
use super::{Ends, Failed, Said};

#[derive(Args, Debug)]
#[group(id = "clean")]
pub(crate) struct Arguments {
    /// Do it; without it they are only shown
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    what: What,
    /// Print what was found as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    account: account::Arguments,
}

#[derive(Args, Debug)]
#[group(id = "what")]
struct What {
    /// Delete them, too, and those that were deregistered before
    #[arg(long)]
    delete: bool,
    /// Take in families whose base no worker here runs: no other scaler may use them
    #[arg(long)]
    gone: bool,
}

/// A thousand revisions take half an hour at that pace.
const LONGEST: Duration = Duration::from_hours(1);

pub(crate) fn run(arguments: &Arguments) -> Result<Said, Failed> {
    let Arguments { yes, what, json, account } = arguments;
    let asked = Asked { gone: what.gone, delete: what.delete };
    let failed = |error: String| Failed::Wrong(vec![error]);
    let runtime = runtime()?;
    let (aws, found) = runtime.block_on(async {
        let aws = account.connect().await?;
        let Access { deployment, invocation, .. } =
            account.access_by(aws.read.clone(), true).await?;
        // Each revision is read on its own.
        let aws = aws.for_tick(invocation.now, Instant::now() + LONGEST);
        let found = Box::pin(find(&deployment, &aws.read, asked, invocation.now)).await;
        let found = found.map_err(|error| failed(error.to_string()))?;
        Ok((aws, found))
    })?;
    let page = found.page(width(), asked);
    let mut out =
        vec![if *json { format!("{:#}", json!(found)) } else { page.trim_end().to_owned() }];
    if !yes || found.is_clean() {
        let hint = "nothing was changed: --yes does it";
        let err = if found.is_clean() { Vec::new() } else { vec![hint.to_owned()] };
        return Ok(Said { out, err, ..Said::default() });
    }
    if found.is_partly_known {
        let err = vec![
            "nothing was changed: `queue-scaler validate` says what is to be mended".to_owned(),
        ];
        return Ok(Said { out, err, ends: Ends::Failed });
    }
    let carried_out = found.carry_out(&aws.write, asked, note);
    let Cleaned { deregistered, deleted, failures } = runtime.block_on_in_silence(carried_out);
    let count = if asked.delete {
        format!("{deregistered} deregistered, {deleted} deleted")
    } else {
        format!("{deregistered} deregistered")
    };
    let ends = Ends::failed_if(!failures.is_empty());
    let mut err = failures;
    // What is JSON is nothing else beside.
    if *json {
        err.push(count);
    } else {
        out.push(count);
    }
    Ok(Said { out, err, ends })
}
