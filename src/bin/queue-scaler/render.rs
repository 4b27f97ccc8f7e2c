//! `render`.

use std::path::{Path, PathBuf};

use clap::{Args, value_parser};
use decision::config::{Config, Worker};
use decision::definition::TaskDefinition;
use decision::units::Containers;
use ecs_queue_scaler::cli::deployment::worker_in;
use ecs_queue_scaler::cli::render::{base_in, render};

use super::account::{self, Access, runtime, variable};
use super::validate::{text_of, usable};
use super::{Failed, Said};

/// What a person should know of a text with secrets.
const REVEALED: &str = "the values of variables, secrets, commands and labels are in it";

#[derive(Args, Debug)]
#[group(id = "render")]
pub(crate) struct Arguments {
    /// The worker
    worker: String,
    /// Worker containers in a task
    #[arg(long, value_name = "COUNT", value_parser = value_parser!(u32).range(1..))]
    containers: u32,
    /// The base definition, as `DescribeTaskDefinition` answers it or `RegisterTaskDefinition` takes it: then
    /// nothing is asked of AWS, and the configuration is a file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["function", "name", "profile", "region", "endpoint_url"])]
    base: Option<PathBuf>,
    /// Print the values, too: what `RegisterTaskDefinition` takes
    #[arg(long)]
    reveal: bool,
    #[command(flatten)]
    account: account::Arguments,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Said, Failed> {
    let Arguments { containers, reveal, base, .. } = arguments;
    let (worker, definition) = match base {
        Some(file) => (found(&of_file(arguments)?, &arguments.worker)?, base_of(file)?),
        None => runtime()?.block_on(of_account(arguments))?,
    };
    let rendered = render(&worker, &definition, Containers(*containers), *reveal);
    let rendered =
        rendered.map_err(|error| Failed::Wrong(vec![format!("{}: {error}", worker.name)]))?;
    let err = if *reveal { vec![REVEALED.to_owned()] } else { Vec::new() };
    Ok(Said { out: vec![format!("{rendered:#}")], err, ..Said::default() })
}

/// A worker and its base definition.
type Found = (Worker, TaskDefinition);

async fn of_account(arguments: &Arguments) -> Result<Found, Failed> {
    let Access { cloud, deployment, invocation } = arguments.account.access(true).await?;
    let failed = |error: String| Failed::Wrong(vec![error]);
    let in_force = deployment.scaler.config.current(&cloud, invocation.now).await;
    let in_force = in_force.map_err(|error| failed(error.to_string()))?;
    let worker = found(&in_force.config, &arguments.worker)?;
    let definition = cloud.definition(&worker.task_definition).await;
    let definition = definition.map_err(|error| failed(format!("{}: {error}", worker.name)))?;
    Ok((worker, definition))
}

fn of_file(arguments: &Arguments) -> Result<Config, Failed> {
    let of_environment = variable("SCALER_CONFIG");
    let path = arguments.account.config.as_deref().or(of_environment.as_deref());
    let path = path.unwrap_or("workers.yaml");
    usable(Path::new(path.strip_prefix("file:").unwrap_or(path)))
}

fn found(config: &Config, name: &str) -> Result<Worker, Failed> {
    worker_in(config, name).map_err(|error| Failed::Wrong(vec![error]))
}

fn base_of(file: &Path) -> Result<TaskDefinition, Failed> {
    let text = text_of(file);
    let text =
        text.map_err(|error| Failed::Use(format!("cannot read `{}`: {error}", file.display())))?;
    base_in(&text).map_err(|error| Failed::Wrong(vec![format!("`{}`: {error}", file.display())]))
}
