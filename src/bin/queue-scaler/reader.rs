//! An account that is read again and again, for `top` and `console`.

use std::cell::{OnceCell, RefCell};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, value_parser};
use decision::refusal::Cause;
use decision::snapshot::{CallError, ErrorKind};
use decision::units::WorkerName;
use ecs_queue_scaler::aws::{Aws, ReadCloud, WriteCloud};
use ecs_queue_scaler::cli::deployment::Deployment;
use ecs_queue_scaler::cli::overview::{History, ToRead};
use ecs_queue_scaler::cli::page::{counted, dollars};
use ecs_queue_scaler::cli::reads::{Done, Reads, WasRead};
use ecs_queue_scaler::cli::status::{Remembered, Session, Whose, count, refresh, worker};
use ecs_queue_scaler::cli::stop::{Asked, ToStop, Which, prepare, reason};
use ecs_queue_scaler::cli::top::Read;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use jiff::SignedDuration;
use tokio::time::timeout;

use super::Failed;
use super::account::{self, Access, now, reading};
use super::question::note;

/// More minutes are not kept.
const LONGEST_HISTORY: Duration = Duration::from_hours(12);

/// So long AWS may take to say whose account it is.
const TIME_TO_SAY_WHOSE: Duration = Duration::from_secs(2);

/// So long somebody may take to sign in, where a program asks for it.
const TIME_TO_SIGN_IN: Duration = Duration::from_secs(30);

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
    /// Keep in this file which tasks ended badly, also after the hour in which ECS does
    #[arg(long, value_name = "FILE", conflicts_with = "demo")]
    remember: Option<PathBuf>,
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
    arguments: account::Arguments,
    clouds: RefCell<Clouds>,
    deployment: Deployment,
    /// The account's number, once it was asked for; none where AWS did not say.
    whose: OnceCell<Option<String>>,
    session: Session,
    by: By,
}

/// What is asked, as whoever somebody is now.
struct Clouds {
    read: ReadCloud,
    /// Only where tasks may be stopped.
    write: Option<WriteCloud>,
    /// Whether the last look came to nothing, as it does when credentials have ended.
    is_in_doubt: bool,
}

impl Clouds {
    fn new(Aws { read, write }: Aws, by: By) -> Self {
        Self { read, write: by.may_stop.then_some(write), is_in_doubt: false }
    }
}

/// By which command, and what it may do.
#[derive(Clone, Copy)]
pub(super) struct By {
    pub(super) command: &'static str,
    pub(super) may_stop: bool,
}

impl Account {
    pub(super) async fn find(arguments: &Arguments, by: By) -> Result<Self, Failed> {
        let aws = arguments.account.connect().await?;
        let Access { deployment, .. } = arguments.account.access_by(aws.read.clone(), true).await?;
        let whose = OnceCell::new();
        let session = match &arguments.remember {
            Some(file) => {
                let (cloud, _) = reading(&aws.read);
                let number = cloud.account().await.map_err(|error| {
                    Failed::Wrong(vec![format!("--remember: whose account it is: {error}")])
                })?;
                let (scaler, region) = (deployment.scaler.name.as_str(), aws.read.region());
                let of = Whose { scaler, region: region.as_str(), account: &number };
                let remembered = Remembered::open(file, of).map_err(Failed::Use)?;
                whose.get_or_init(|| Some(number));
                Session::with(remembered)
            }
            None => Session::default(),
        };
        let clouds = RefCell::new(Clouds::new(aws, by));
        let arguments = arguments.account.clone();
        Ok(Self { arguments, clouds, deployment, whose, session, by })
    }

    /// Where the last look came to nothing for want of credentials, looks for them anew: somebody may have signed in
    /// again, or a file may have new ones. They have to be of the same account.
    async fn renew(&self) -> Result<(), String> {
        if !std::mem::take(&mut self.clouds.borrow_mut().is_in_doubt) {
            return Ok(());
        }
        let (cloud, _) = reading(&self.cloud());
        if !cloud.account().await.is_err_and(|error| is_of_credentials(&error)) {
            return Ok(());
        }
        let connected = timeout(TIME_TO_SIGN_IN, self.arguments.connect()).await;
        let connected = connected.map_err(|_| "there are no new credentials yet".to_owned());
        let aws = connected?.map_err(|error| match error {
            Failed::Wrong(lines) => lines.join("; "),
            Failed::Use(line) => line,
        })?;
        let (cloud, _) = reading(&aws.read);
        let (is, was) = (cloud.account().await.ok(), self.whose.get().cloned().flatten());
        if was.is_some() && is != was || aws.read.region() != self.cloud().region() {
            return Err(
                "the credentials are of another account or Region now: start it again".to_owned()
            );
        }
        let aws = aws.instead_of(&self.cloud());
        *self.clouds.borrow_mut() = Clouds::new(aws, self.by);
        Ok(())
    }

    fn cloud(&self) -> ReadCloud {
        self.clouds.borrow().read.clone()
    }

    /// Whose account it is: new credentials have to be of the same. Not every network has a way to STS: it is asked
    /// for once, and not waited for.
    async fn learn_account(&self, cloud: &ReadCloud) {
        if self.whose.get().is_none() {
            let account = timeout(TIME_TO_SAY_WHOSE, cloud.account()).await;
            self.whose.get_or_init(|| account.ok().and_then(Result::ok));
        }
    }

    async fn read(&self, read: Read) -> WasRead {
        let renewed = self.renew().await;
        let (cloud, invocation) = reading(&self.cloud());
        let deployment = &self.deployment;
        let done = match (read, renewed) {
            (Read::All, Err(why)) => Done::Refreshed(Err(why)),
            (Read::Queues, Err(why)) => Done::Counted(Err(why)),
            (Read::Worker(name), Err(why)) => Done::Looked(name, Err(why)),
            (Read::Stop(target), Err(why)) => Done::Asked(target, Err(why)),
            (Read::All, Ok(())) => {
                let view = Box::pin(refresh(deployment, &cloud, &self.session, &invocation));
                let (view, ()) = futures_util::join!(view, self.learn_account(&cloud));
                Done::Refreshed(view.map(Box::new).map_err(|error| error.to_string()))
            }
            (Read::Queues, Ok(())) => {
                let depths = count(deployment, &cloud, invocation.now).await;
                Done::Counted(depths.map_err(|error| error.to_string()))
            }
            (Read::Worker(name), Ok(())) => {
                let id = WorkerName::from(name.as_str());
                let view = Box::pin(worker(deployment, &cloud, &id, &invocation)).await;
                let view = view.map(|view| Box::new(self.session.completed(view, invocation.now)));
                Done::Looked(name, view.map_err(|error| error.to_string()))
            }
            (Read::Stop(target), Ok(())) => {
                let which = Which::These(vec![target.task.clone()]);
                let asked = Asked { worker: WorkerName::from(target.worker.as_str()), which };
                let found = Box::pin(prepare(deployment, &cloud, &asked, &invocation)).await;
                Done::Asked(target, found.map_err(|error| error.to_string()))
            }
        };
        let read = WasRead { done, at: now(), tally: cloud.tally() };
        self.clouds.borrow_mut().is_in_doubt |= read.is_nothing();
        read
    }

    /// What was before, where it was asked for; says before what that costs. What cannot be read is a gap.
    ///
    /// # Errors
    /// When more is asked for than is kept.
    pub(super) async fn history(&self, asked: &Arguments) -> Result<History, Failed> {
        let Some(span) = asked.history else { return Ok(History::default()) };
        let (cloud, invocation) = reading(&self.cloud());
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
        let write = self.clouds.borrow().write.clone();
        let write = write.ok_or("it was started without --allow-stop: it stops nothing")?;
        let caller = self.cloud().caller().await.ok();
        let why = reason(caller.as_deref(), Some(self.by.command));
        let stopped = found.stop(&write, &why).await;
        match stopped.stopped {
            0 => Err(stopped.failures.join("; ")),
            _ => Ok(format!("stopped it; its reason is `{why}`")),
        }
    }
}

/// Whether AWS knows nobody by them, or no call could be signed at all.
fn is_of_credentials(error: &CallError) -> bool {
    let is_unsigned = error.code.is_none() && error.kind == ErrorKind::Refused;
    is_unsigned || error.cause() == Cause::Credentials
}

impl Reads for Account {
    fn read(&self, read: Read) -> LocalBoxFuture<'_, WasRead> {
        self.read(read).boxed_local()
    }

    fn stop(&self, found: ToStop) -> LocalBoxFuture<'_, Result<String, String>> {
        self.stop(found).boxed_local()
    }
}
