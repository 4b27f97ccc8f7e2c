//! `stop`.

use clap::{ArgGroup, Args};
use decision::units::WorkerName;
use ecs_queue_scaler::cli::page::counted;
use ecs_queue_scaler::cli::stop::{Asked, StopError, Stopped, Which, prepare, reason};

use super::account::{self, Access, runtime, width};
use super::question::{Answer, ask};
use super::{Ends, Failed, Said};

#[derive(Args, Debug)]
#[group(id = "stop")]
#[command(group = ArgGroup::new("which").required(true).args(["tasks", "all"]))]
pub(crate) struct Arguments {
    /// The worker
    worker: String,
    /// Its tasks: the beginning of an id is enough where it is one task's
    tasks: Vec<String>,
    /// All of its tasks
    #[arg(long)]
    all: bool,
    /// Why, for whoever reads the task's stoppedReason
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    account: account::Arguments,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Said, Failed> {
    let which = if arguments.all { Which::All } else { Which::These(arguments.tasks.clone()) };
    let runtime = runtime()?;
    let aws = runtime.block_on(arguments.account.connect())?;
    let failed = |error: String| Failed::Wrong(vec![error]);
    let found = runtime.block_on(async {
        let access = arguments.account.access_by(aws.read.clone(), true).await?;
        let Access { cloud, deployment, invocation } = access;
        let asked = Asked { worker: WorkerName::from(arguments.worker.as_str()), which };
        let found = Box::pin(prepare(&deployment, &cloud, &asked, &invocation)).await;
        found.map_err(|error: StopError| failed(error.to_string()))
    })?;
    let question = if found.tasks.len() == 1 { "Stop it?" } else { "Stop them?" };
    if ask(&found.page(width()), question, arguments.yes)? == Answer::No {
        let err = vec!["nothing was stopped".to_owned()];
        return Ok(Said { err, ends: Ends::Failed, ..Said::default() });
    }
    let stopped = runtime.block_on(async {
        // Who may stop a task and not ask who he is, stops it all the same.
        let caller = aws.read.caller().await.ok();
        let reason = reason(caller.as_deref(), arguments.reason.as_deref());
        (found.stop(&aws.write, &reason).await, reason)
    });
    let (Stopped { stopped, failures }, reason) = stopped;
    let line = format!("stopped {}; its reason is `{reason}`", counted(stopped, "task"));
    let out = if stopped == 0 { Vec::new() } else { vec![line] };
    let ends = Ends::failed_if(!failures.is_empty());
    Ok(Said { out, err: failures, ends })
}
