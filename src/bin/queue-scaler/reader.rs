//! An account that is read again and again, for `top` and `console`.

use std::time::Duration;

use clap::{Args, value_parser};
use decision::units::WorkerName;
use ecs_queue_scaler::aws::{Aws, ReadCloud, WriteCloud};
use ecs_queue_scaler::cli::deployment::Deployment;
use ecs_queue_scaler::cli::overview::{History, ToRead};
use ecs_queue_scaler::cli::page::{counted, dollars};
use ecs_queue_scaler::cli::reads::{Done, Reads, WasRead};
use ecs_queue_scaler::cli::status::{KeptMetrics, refresh, worker};
use ecs_queue_scaler::cli::stop::{Asked, ToStop, Which, prepare, reason};
use ecs_queue_scaler::cli::top::Read;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use jiff::SignedDuration;

use super::Failed;
use super::account::{self, Access, now, reading};
use super::question::note;

/// More minutes are not kept.
const LONGEST_HISTORY: Duration = Duration::from_hours(12);

/// What both commands take.
#[derive(Args, Debug)]
#[group(id = "reader")]
pub(super) struct Arguments {
    /// Read it again after so many seconds, 5 at least; later where that would take more than a quarter of ECS's rate
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = value_parser!(u64).range(5..=86_400))]
    every: u64,
    /// Show a day of 52 workers that nobody has, without AWS
    #[arg(long, value_name = "SEED", num_args = 0..=1, default_missing_value = "1")]
    pub(super) demo: Option<u64>,
    /// Begin with what the function has measured in the time before, such as 3h, 12h at most: six metrics a worker,
    /// for $0.01 a thousand
    #[arg(long, value_name = "TIME", conflicts_with = "demo")]
    history: Option<SignedDuration>,
    #[command(flatten)]
    account: account::Arguments,
}

impl Arguments {
    pub(super) fn every(&self) -> Duration {
        Duration::from_secs(self.every)
    }
}

/// Somebody's account.
pub(super) struct Account {
    read: ReadCloud,
    /// Only where tasks may be stopped.
    write: Option<WriteCloud>,
    deployment: Deployment,
    metrics: KeptMetrics,
    /// The command that stops what is stopped.
    by: &'static str,
}

/// By which command, and what it may do.
#[derive(Clone, Copy)]
pub(super) struct By {
    pub(super) command: &'static str,
    pub(super) may_stop: bool,
}

impl Account {
    pub(super) async fn find(arguments: &Arguments, by: By) -> Result<Self, Failed> {
        let Aws { read, write } = arguments.account.connect().await?;
        let Access { deployment, .. } = arguments.account.access_by(read.clone(), true).await?;
        let write = by.may_stop.then_some(write);
        let metrics = KeptMetrics::default();
        Ok(Self { read, write, deployment, metrics, by: by.command })
    }

    async fn read(&self, read: Read) -> WasRead {
        let (cloud, invocation) = reading(&self.read);
        let deployment = &self.deployment;
        let done = match read {
            Read::All => {
                let view = Box::pin(refresh(deployment, &cloud, &self.metrics, &invocation)).await;
                Done::Refreshed(view.map(Box::new).map_err(|error| error.to_string()))
            }
            Read::Worker(name) => {
                let id = WorkerName::from(name.as_str());
                let view = Box::pin(worker(deployment, &cloud, &id, &invocation)).await;
                Done::Looked(name, view.map(Box::new).map_err(|error| error.to_string()))
            }
            Read::Stop(target) => {
                let which = Which::These(vec![target.task.clone()]);
                let asked = Asked { worker: WorkerName::from(target.worker.as_str()), which };
                let found = Box::pin(prepare(deployment, &cloud, &asked, &invocation)).await;
                Done::Asked(target, found.map_err(|error| error.to_string()))
            }
        };
        WasRead { done, at: now(), tally: cloud.tally() }
    }

    /// What was before, where it was asked for; says before what that costs. What cannot be read is a gap.
    ///
    /// # Errors
    /// When more is asked for than is kept.
    pub(super) async fn history(&self, asked: &Arguments) -> Result<History, Failed> {
        let Some(span) = asked.history else { return Ok(History::default()) };
        let (cloud, invocation) = reading(&self.read);
        let span = span.unsigned_abs();
        if LONGEST_HISTORY < span {
            return Err(Failed::Use("--history: 12h at most are kept".to_owned()));
        }
        let past = async {
            let asked = ToRead::find(&self.deployment, &cloud, span, &invocation).await;
            let asked = asked.map_err(|error| error.to_string())?;
            let (metrics, price) = (asked.metrics(), dollars(asked.micro_dollars()));
            note(&format!("reading {} of CloudWatch: about ${price}", counted(metrics, "metric")));
            asked.read(&cloud).await.map_err(|error| error.to_string())
        };
        Ok(match past.await {
            Ok(past) => History::after(past),
            Err(error) => {
                note(&format!("what was before is not known: {error}"));
                History::default()
            }
        })
    }

    async fn stop(&self, found: ToStop) -> Result<String, String> {
        let write =
            self.write.as_ref().ok_or("it was started without --allow-stop: it stops nothing")?;
        let caller = self.read.caller().await.ok();
        let why = reason(caller.as_deref(), Some(self.by));
        let stopped = found.stop(write, &why).await;
        match stopped.stopped {
            0 => Err(stopped.failures.join("; ")),
            _ => Ok(format!("stopped it; its reason is `{why}`")),
        }
    }
}

impl Reads for Account {
    fn read(&self, read: Read) -> LocalBoxFuture<'_, WasRead> {
        self.read(read).boxed_local()
    }

    fn stop(&self, found: ToStop) -> LocalBoxFuture<'_, Result<String, String>> {
        self.stop(found).boxed_local()
    }
}
