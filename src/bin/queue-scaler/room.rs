//! `room`, and `start`, which puts tasks there.

use std::path::Path;
use std::time::Duration;

use clap::{Args, ValueEnum, value_parser};
use decision::units::ClusterName;
use ecs_queue_scaler::aws::Halt;
use ecs_queue_scaler::cli::page::counted;
use ecs_queue_scaler::cli::room::{self, Fits};
use ecs_queue_scaler::cli::start::{self, StartError};
use serde_json::json;
use tokio::time::Instant;

use super::account::{self, Access, PATIENCE_FOR_ALL, runtime, width};
use super::apply::watched;
use super::question::{Answer, Moment, ask, note, show};
use super::{Ends, Failed, Said};

/// No call of `start` is begun later: on one instance a thousand tasks are a thousand calls.
const LONGEST: Duration = Duration::from_mins(15);

#[derive(Args, Debug)]
#[group(id = "room")]
pub(crate) struct Arguments {
    /// Only this cluster, whether or not a worker has it [default: those of all workers]
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// Only instances with so much left, as in cpu=1024,memory=2048,gpu=1,port=8080
    #[arg(long, value_name = "WHAT")]
    fits: Option<Fits>,
    /// Print what was read as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    account: account::Arguments,
}

#[derive(Args, Debug)]
#[group(id = "start")]
pub(crate) struct StartArguments {
    /// The cluster
    #[arg(long, value_name = "NAME")]
    cluster: String,
    /// A family, family:revision or an ARN
    #[arg(long, value_name = "NAME")]
    task_definition: String,
    /// How many tasks
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u32).range(1..=1000))]
    count: u32,
    /// Which instance comes first, of those where a task fits
    #[arg(long, value_enum, default_value_t = Scheduler::LeastTasks)]
    scheduler: Scheduler,
    /// A service of which a task must run on an instance; may be given several times
    #[arg(long, value_name = "SERVICE")]
    require_daemons: Vec<String>,
    #[command(flatten)]
    network: Network,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    account: account::Connection,
}

/// What definitions of the network mode awsvpc need.
#[derive(Args, Debug)]
#[group(id = "network")]
struct Network {
    /// For the network mode awsvpc: a subnet; may be given several times
    #[arg(long = "subnet", value_name = "ID")]
    subnets: Vec<String>,
    /// For the network mode awsvpc: a security group; may be given several times
    #[arg(long = "security-group", value_name = "ID", requires = "subnets")]
    security_groups: Vec<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Scheduler {
    /// The one that runs the fewest tasks
    #[value(name = "leastTasks")]
    LeastTasks,
    /// The one with the least memory left
    Binpack,
    /// The Availability Zone with the fewest tasks, and there the instance with the fewest
    Spread,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Said, Failed> {
    let Arguments { cluster, fits, json, account } = arguments;
    // Whoever names a cluster needs no configuration.
    let has_config = account.function.is_some() || account.is_config_given();
    let no_config = cluster.is_some() && !has_config && !Path::new("workers.yaml").exists();
    let cluster = cluster.as_deref().map(ClusterName::from);
    let asked = room::Asked { cluster, fits: fits.clone(), no_config };
    let account = account.with_config(no_config.then(|| "{}".to_owned()));
    let view = runtime()?.block_on(async {
        let access = account.access(true).await?.within(PATIENCE_FOR_ALL);
        let Access { cloud, deployment, invocation } = access;
        let view = Box::pin(room::room(&deployment, &cloud, &asked, &invocation)).await;
        view.map_err(|error| Failed::Wrong(vec![error.to_string()]))
    })?;
    let text = if *json { format!("{:#}", json!(view)) } else { view.page(width()) };
    let ends = Ends::failed_if(view.is_incomplete());
    Ok(Said { out: vec![text.trim_end().to_owned()], ends, ..Said::default() })
}

pub(crate) fn start(arguments: &StartArguments) -> Result<Said, Failed> {
    let scheduler = arguments.scheduler.to_possible_value();
    let asked = start::Asked {
        cluster: arguments.cluster.clone(),
        task_definition: arguments.task_definition.clone(),
        count: arguments.count,
        scheduler: scheduler.map(|value| value.get_name().to_owned()).unwrap_or_default(),
        require_daemons: arguments.require_daemons.clone(),
        subnets: arguments.network.subnets.clone(),
        security_groups: arguments.network.security_groups.clone(),
        profile: arguments.account.profile().cloned(),
    };
    let runtime = runtime()?;
    let aws = runtime.block_on(arguments.account.connect())?;
    let found = loop {
        let moment = Moment::now();
        let found = runtime.block_on(async {
            let (cloud, invocation) = account::reading(&aws.read);
            let found = Box::pin(start::prepare(&cloud, &asked, &invocation)).await;
            found.map_err(|error| match error {
                StartError::Wrong(text) => Failed::Use(text),
                StartError::Read(error) => Failed::Wrong(vec![error.to_string()]),
            })
        })?;
        if found.is_nowhere() {
            show(&found.page(width()));
            return Ok(Said { ends: Ends::Failed, ..Said::default() });
        }
        if ask(&found.page(width()), "Start them?", arguments.yes)? == Answer::No {
            let err = vec!["nothing was started".to_owned()];
            return Ok(Said { err, ends: Ends::Failed, ..Said::default() });
        }
        if arguments.yes || moment.is_fresh() {
            break found;
        }
        note("that was found more than a minute ago: it is looked for again");
    };
    let halt = Halt::default();
    let aws = aws.for_tick(account::now(), Instant::now() + LONGEST).with_halt(halt.clone());
    let may_be_started = found.may_be_started();
    let starting = watched(found.start(&aws.write), &aws, &halt, &may_be_started);
    let came = runtime.block_on_in_silence(starting);
    let (mut out, is_whole) = found.report(&came);
    let started = u64::try_from(came.started.len()).unwrap_or(u64::MAX);
    out.push(format!("started {} of {}", counted(started, "task"), asked.count));
    let ends = if halt.is_set() { Ends::Interrupted } else { Ends::failed_if(!is_whole) };
    Ok(Said { out, ends, ..Said::default() })
}
