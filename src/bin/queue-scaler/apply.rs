//! `apply`, and `run`, which is one for a worker that nothing waits for.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::pin::pin;
use std::process::exit;
use std::time::Duration;

use anstream::{AutoStream, ColorChoice};
use clap::{Args, value_parser};
use decision::units::{Containers, WorkerName};
use ecs_queue_scaler::aws::{Aws, Halt};
use ecs_queue_scaler::cli::apply::{
    ApplyError, Asked, How, Prepared, applied, ask_function, event_for_function, prepare,
};
use ecs_queue_scaler::cli::deployment::Deployment;
use ecs_queue_scaler::cli::page::counted;
use ecs_queue_scaler::cli::plan::{PlanView, Shown, plan_of_function};
use ecs_queue_scaler::cli::result::TickResult;
use tokio::signal::ctrl_c;
use tokio::time::{Instant, interval};

use super::account::{self, Access, runtime, width};
use super::plan::NOT_KNOWN;
use super::question::{Moment, is_anybody_there, line, note};
use super::{Ends, Failed, INTERRUPTED, Said, Terminal};

/// No call is started later. A thousand tasks take a minute.
const LONGEST: Duration = Duration::from_mins(5);

/// How often a person sees how far it is.
const GLANCE: Duration = Duration::from_millis(300);

/// The calls that a person waits for.
const CHANGING: [&str; 3] = ["RegisterTaskDefinition", "RunTask", "StartTask"];

#[derive(Args, Debug)]
#[group(id = "apply")]
pub(crate) struct Arguments {
    #[command(flatten)]
    asking: Asking,
    /// Only this worker; may be given several times
    #[arg(long = "worker", value_name = "NAME")]
    workers: Vec<String>,
}

#[derive(Args, Debug)]
#[group(id = "run")]
pub(crate) struct RunArguments {
    /// The worker
    worker: String,
    /// Containers of it that are to be alive, under its own bounds
    #[arg(long, value_name = "COUNT", value_parser = value_parser!(u32).range(1..))]
    containers: u32,
    #[command(flatten)]
    asking: Asking,
}

/// What all need that start tasks.
#[derive(Args, Debug)]
#[group(id = "asking")]
struct Asking {
    #[command(flatten)]
    account: account::Arguments,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// There is no function that serves these workers, whatever their tasks say
    #[arg(long, conflicts_with = "function")]
    no_function: bool,
    /// Print the result of the tick as JSON; the plan goes to standard error
    #[arg(long)]
    json: bool,
}

/// For whom, and how many of whom.
#[derive(Default)]
struct Wish {
    only: Vec<WorkerName>,
    minimum: BTreeMap<WorkerName, Containers>,
}

/// A plan, and who carries it out.
enum Planned {
    Here(Box<Prepared>),
    ByFunction(Box<PlanView>, String),
}

impl Planned {
    fn view(&self) -> &PlanView {
        match self {
            Self::Here(prepared) => &prepared.view,
            Self::ByFunction(view, _) => view,
        }
    }
}

pub(crate) fn apply(arguments: &Arguments, terminal: &Terminal) -> Result<Said, Failed> {
    let only = arguments.workers.iter().map(|name| WorkerName::from(name.as_str())).collect();
    asked_for(&arguments.asking, &Wish { only, ..Wish::default() }, terminal)
}

pub(crate) fn run(arguments: &RunArguments, terminal: &Terminal) -> Result<Said, Failed> {
    let worker = WorkerName::from(arguments.worker.as_str());
    let minimum = [(worker.clone(), Containers(arguments.containers))].into();
    asked_for(&arguments.asking, &Wish { only: vec![worker], minimum }, terminal)
}

fn asked_for(asking: &Asking, wish: &Wish, terminal: &Terminal) -> Result<Said, Failed> {
    is_anybody_there(asking.yes)?;
    if let (Some(_), Some(_)) = (&asking.account.function, &asking.account.config) {
        let refused = "the function goes by its own configuration: --config is for `plan`";
        return Err(Failed::Use(refused.to_owned()));
    }
    let runtime = runtime()?;
    let aws = runtime.block_on(asking.account.connect())?;
    loop {
        let moment = Moment::now();
        let planning = plan(asking, wish, &aws);
        // A function that is busy says so itself.
        let (planned, deployment) = match asking.account.function {
            Some(_) => runtime.block_on_in_silence(planning),
            None => runtime.block_on(planning),
        }?;
        let view = planned.view();
        let all = !wish.minimum.is_empty();
        let page = view.page(&Shown { width: width(), all, clock: terminal.clock.clone() });
        show(&page, asking.json, terminal.color);
        if !view.launches() {
            let ends = Ends::failed_if(view.is_unread() || view.is_incomplete());
            return Ok(Said { ends, ..Said::default() });
        }
        if matches!(planned, Planned::Here(_)) {
            note(NOT_KNOWN);
        }
        if !asking.yes && !is_agreed()? {
            let err = vec!["nothing was started".to_owned()];
            return Ok(Said { err, ends: Ends::Failed, ..Said::default() });
        }
        if asking.yes || moment.is_fresh() {
            let doing = Doing { asking, wish, planned, deployment };
            return runtime.block_on_in_silence(carry_out(doing, &aws));
        }
        note("that plan is older than a minute: it is made again");
    }
}

/// A plan that was agreed to.
struct Doing<'a> {
    asking: &'a Asking,
    wish: &'a Wish,
    planned: Planned,
    deployment: Deployment,
}

/// For a person, now.
fn show(page: &str, is_aside: bool, color: ColorChoice) {
    // Who does not look still is asked.
    let written = if is_aside {
        AutoStream::new(io::stderr(), color).write_all(page.as_bytes())
    } else {
        AutoStream::new(io::stdout(), color).write_all(page.as_bytes())
    };
    drop(written);
}

fn is_agreed() -> Result<bool, Failed> {
    drop(write!(io::stderr(), "Type `yes` to start these tasks: "));
    Ok(line()? == "yes")
}

async fn plan(asking: &Asking, wish: &Wish, aws: &Aws) -> Result<(Planned, Deployment), Failed> {
    let failed = |error: String| Failed::Wrong(vec![error]);
    let Asking { account, no_function, .. } = asking;
    let Wish { only, minimum } = wish;
    let access = account.access_by(aws.read.clone(), account.function.is_none()).await?;
    let Access { cloud, deployment, invocation } = access;
    let Some(function) = &account.function else {
        let asked = Asked {
            only: only.clone(),
            minimum: minimum.clone(),
            no_function: *no_function,
            is_name_given: account.is_name_given(),
        };
        let prepared = Box::pin(prepare(&deployment, &cloud, &asked, &invocation)).await;
        let prepared = prepared.map_err(|error| failed(error.to_string()))?;
        return Ok((Planned::Here(Box::new(prepared)), deployment));
    };
    if deployment.starts_nothing {
        return Err(failed(ApplyError::StartsNothing.to_string()));
    }
    let event = event_for_function(only, minimum, How::PLAN);
    let answer = ask_function(&aws.read.invoker(), function, &event, note).await;
    let answer = answer.map_err(|error| failed(error.to_string()))?;
    let result = TickResult::parse(&answer).map_err(|error| failed(error.to_string()))?;
    let view = plan_of_function(&deployment, result, &cloud, &invocation);
    Ok((Planned::ByFunction(Box::new(view), function.clone()), deployment))
}

async fn carry_out(doing: Doing<'_>, aws: &Aws) -> Result<Said, Failed> {
    let Doing { asking, wish, planned, deployment } = doing;
    let view = planned.view().clone();
    let halt = Halt::default();
    let now = account::now();
    let aws = &aws.for_tick(now, Instant::now() + LONGEST).with_halt(halt.clone());
    let result = match planned {
        Planned::Here(prepared) => {
            let carried_out = prepared.carry_out(&deployment, aws);
            Ok(watched(carried_out, aws, &halt, &may_be_started(&view)).await)
        }
        Planned::ByFunction(_, function) => {
            let launching = view.workers.iter().filter(|worker| worker.result.tasks() != 0);
            let names = launching.map(|worker| WorkerName::from(worker.result.worker.as_str()));
            let names: Vec<_> = names.collect();
            let event = event_for_function(&names, &wish.minimum, How::launch(&deployment, now));
            let invoker = aws.read.invoker();
            tokio::select! {
                result = ask_function(&invoker, &function, &event, note) => result,
                _ = ctrl_c() => {
                    note("interrupted: where the function was reached, it goes on; `queue-scaler status` shows what \
                          it has started");
                    return Ok(Said { ends: Ends::Interrupted, ..Said::default() });
                }
            }
        }
    };
    let failed = |error: String| Failed::Wrong(vec![error]);
    let result = result.map_err(|error| failed(error.to_string()))?;
    let done = applied(&result, &view, width()).map_err(|error| failed(error.to_string()))?;
    let out = if asking.json { format!("{result:#}") } else { done.page };
    let ends = if halt.is_set() { Ends::Interrupted } else { Ends::failed_if(done.is_short) };
    Ok(Said { out: vec![out.trim_end().to_owned()], ends, ..Said::default() })
}

/// What a launch of this plan may have started, wherever it is ended.
fn may_be_started(view: &PlanView) -> String {
    let launching = view.workers.iter().filter(|worker| worker.result.tasks() != 0);
    let launching = launching.map(|worker| {
        let tasks = counted(worker.result.tasks(), "task");
        format!("{tasks} of {}", worker.result.worker)
    });
    let all: Vec<_> = launching.collect();
    format!(
        "up to {} may have been started; `queue-scaler status` shows what there is",
        all.join(", ")
    )
}

/// Waits for the result, and shows how far it is. Ctrl-C lets no further call out; a second one ends at once.
pub(crate) async fn watched<T>(
    carried_out: impl Future<Output = T>,
    aws: &Aws,
    halt: &Halt,
    may_be_started: &str,
) -> T {
    let mut carried_out = Box::pin(carried_out);
    let mut glance = interval(GLANCE);
    let mut last = String::new();
    let mut interrupted = pin!(ctrl_c());
    loop {
        tokio::select! {
            biased;
            _ = &mut interrupted => {
                interrupted.set(ctrl_c());
                if halt.is_set() {
                    note(&format!("interrupted: {may_be_started}"));
                    end_at_once();
                }
                halt.set();
                note("interrupted: nothing more is started; waiting for the calls that are out (Ctrl-C \
                      again ends at once)");
            }
            result = &mut carried_out => return result,
            _ = glance.tick() => {
                let tally = aws.tally();
                let made = CHANGING.iter().filter_map(|name| Some((name, tally.calls.get(*name)?)));
                let made: Vec<_> = made.map(|(name, count)| format!("{name} {count}")).collect();
                let line = made.join(", ");
                if line != last {
                    note(&format!("calls: {line}"));
                    last = line;
                }
            }
        }
    }
}

#[expect(clippy::exit, reason = "the second Ctrl-C waits for nothing")]
fn end_at_once() -> ! {
    exit(i32::from(INTERRUPTED))
}
