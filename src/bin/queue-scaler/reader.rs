//! What is read for those who look again and again, one thing at a time.

use std::time::Duration;

use clap::Args;
use decision::units::WorkerName;
use ecs_queue_scaler::aws::{Aws, ReadCloud, Tally, WriteCloud};
use ecs_queue_scaler::cli::deployment::Deployment;
use ecs_queue_scaler::cli::overview::{History, ToRead};
use ecs_queue_scaler::cli::page::{counted, dollars};
use ecs_queue_scaler::cli::status::{KeptMetrics, StatusView, WorkerView, refresh, worker};
use ecs_queue_scaler::cli::stop::{Asked, ToStop, Which, prepare, reason};
use ecs_queue_scaler::cli::top::{Demo, Ended, Read, Reading, Target};

use jiff::SignedDuration;

use super::Failed;
use super::account::{self, Access, reading};
use super::question::note;

/// Refreshes of the demo that have been when somebody begins to look: an hour. It begins in the night.
pub(super) const BEFORE: usize = 180;

/// More minutes are not kept.
const LONGEST_HISTORY: Duration = Duration::from_hours(12);

#[derive(Args, Debug)]
#[group(id = "past")]
pub(super) struct HistoryArguments {
    /// Begin with what the function has measured in the time before, such as 3h, 12h at most: six metrics a worker,
    /// for $0.01 a thousand
    #[arg(long, value_name = "TIME", conflicts_with = "demo")]
    history: Option<SignedDuration>,
}

/// Where it is read.
pub(super) enum Source<'a> {
    Demo(Demo),
    Account(&'a Account),
}

/// Somebody's account.
pub(super) struct Account {
    read: ReadCloud,
    /// Only where tasks may be stopped.
    write: Option<WriteCloud>,
    deployment: Deployment,
    metrics: KeptMetrics,
}

/// What was read.
pub(super) enum Done {
    Refreshed(Result<Box<StatusView>, String>),
    Looked(String, Result<Box<WorkerView>, String>),
    Asked(Target, Result<ToStop, String>),
}

impl Done {
    /// How that went, by what was counted meanwhile.
    pub(super) fn ended(&self, tally: &Tally) -> Ended {
        let is_nothing = match self {
            Self::Refreshed(Ok(view)) => view.workers.iter().all(|row| row.urgency.is_unread()),
            Self::Refreshed(Err(_)) => true,
            Self::Looked(..) | Self::Asked(..) => false,
        };
        if is_nothing || tally.throttles != 0 { Ended::Badly } else { Ended::Well }
    }
}

/// What a read came to, and the calls that it made.
pub(super) struct WasRead {
    pub(super) done: Done,
    pub(super) tally: Tally,
}

impl Account {
    pub(super) async fn find(
        arguments: &account::Arguments,
        may_stop: bool,
    ) -> Result<Self, Failed> {
        let Aws { read, write } = arguments.connect().await?;
        let Access { deployment, .. } = arguments.access_by(read.clone(), true).await?;
        let write = may_stop.then_some(write);
        Ok(Self { read, write, deployment, metrics: KeptMetrics::default() })
    }

    pub(super) async fn read(&self, read: Read) -> WasRead {
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
        WasRead { done, tally: cloud.tally() }
    }

    /// What was before, where it was asked for; says before what that costs. What cannot be read is a gap.
    pub(super) async fn history(&self, asked: &HistoryArguments) -> History {
        let Some(span) = asked.history else { return History::default() };
        let (cloud, invocation) = reading(&self.read);
        let span = span.unsigned_abs().min(LONGEST_HISTORY);
        let past = async {
            let asked = ToRead::find(&self.deployment, &cloud, span, &invocation).await;
            let asked = asked.map_err(|error| error.to_string())?;
            let (metrics, price) = (asked.metrics(), dollars(asked.micro_dollars()));
            note(&format!("reading {} of CloudWatch: about ${price}", counted(metrics, "metric")));
            asked.read(&cloud).await.map_err(|error| error.to_string())
        };
        match past.await {
            Ok(past) => History::after(past),
            Err(error) => {
                note(&format!("what was before is not known: {error}"));
                History::default()
            }
        }
    }

    /// Stops it, and says by which command.
    pub(super) async fn stop(&self, found: ToStop, by: &str) -> String {
        let Some(write) = &self.write else { return "nothing may be stopped".to_owned() };
        let caller = self.read.caller().await.ok();
        let why = reason(caller.as_deref(), Some(by));
        let stopped = found.stop(write, &why).await;
        match stopped.stopped {
            0 => stopped.failures.join("; "),
            _ => format!("stopped it; its reason is `{why}`"),
        }
    }
}

/// What stopping it would mean, in lines without colours.
pub(super) fn question(found: &ToStop, width: usize) -> Vec<String> {
    let text = anstream::adapter::strip_str(&found.page(width)).to_string();
    text.lines().map(str::to_owned).collect()
}

/// The calls that were counted. Queues and metrics have rates of their own.
pub(super) fn reading_of(tally: &Tally) -> Reading {
    let of = |verbs: &[&str]| {
        let is_one = |name: &str| verbs.iter().any(|verb| name.starts_with(verb));
        tally.calls.iter().filter(|(name, _)| is_one(name)).map(|(_, calls)| *calls).sum()
    };
    let calls_of_ecs = of(&["List", "Describe"]);
    Reading { calls_of_ecs, calls_of_sqs: of(&["GetQueue"]), ..Reading::default() }
}
