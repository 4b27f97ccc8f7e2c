//! `pause` and `resume`.

use clap::Args;
use ecs_queue_scaler::aws::Aws;
use ecs_queue_scaler::cli::page::Clock;
use ecs_queue_scaler::cli::pause::{Asked, Came, Wish, carry_out};

use super::account::{self, Access, now, runtime};
use super::{Failed, Said};

#[derive(Args, Debug)]
#[group(id = "pause")]
pub(crate) struct Arguments {
    /// The worker
    worker: String,
    /// When it ends by itself, such as 2026-12-01T08:00Z, or 2026-12-01T08:00 in local time [default: when it is
    /// resumed]
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Why, for whoever reads it
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    #[command(flatten)]
    account: account::Arguments,
}

#[derive(Args, Debug)]
#[group(id = "resume")]
pub(crate) struct ResumeArguments {
    /// The worker
    worker: String,
    #[command(flatten)]
    account: account::Arguments,
}

pub(crate) fn pause(arguments: &Arguments, clock: &Clock) -> Result<Said, Failed> {
    let Arguments { worker, until, why, account } = arguments;
    let until = until.as_ref().map(|until| clock.read(until)).transpose().map_err(Failed::Use)?;
    if let Some(until) = until.filter(|until| *until <= now()) {
        return Err(Failed::Use(format!("{until} is over: a pause that ends then is none")));
    }
    set(account, worker, &Wish::Paused { until, why: why.clone() })
}

pub(crate) fn resume(arguments: &ResumeArguments) -> Result<Said, Failed> {
    set(&arguments.account, &arguments.worker, &Wish::Resumed)
}

fn set(account: &account::Arguments, worker: &str, wish: &Wish) -> Result<Said, Failed> {
    let came = runtime()?.block_on(async {
        let aws = account.connect().await?;
        let Access { cloud, deployment, invocation } =
            account.access_by(aws.read.clone(), true).await?;
        let aws = Aws { read: cloud, ..aws };
        let came = carry_out(&deployment, &aws, Asked { worker, wish }, &invocation).await;
        came.map_err(|error| Failed::Wrong(vec![error]))
    })?;
    Ok(match came {
        Came::Tagged(line) => {
            let err =
                "it takes effect when the configuration is read the next time (configRefresh)";
            Said { out: vec![line], err: vec![err.to_owned()], ..Said::default() }
        }
        Came::ToPaste { hint, lines } => {
            let lines = lines.trim_end().to_owned();
            let out = if lines.is_empty() { Vec::new() } else { vec![lines] };
            Said { out, err: vec![hint], ..Said::default() }
        }
    })
}
