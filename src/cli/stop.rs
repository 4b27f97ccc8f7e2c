//! `stop`: tasks of a worker, with what becomes of their messages.

use std::time::Duration;

use decision::definition::TaskDefinition;
use decision::refusal::Cause;
use decision::snapshot::ReadError;
use decision::units::{ClusterName, Messages, TaskArn, WorkerName};
use serde_json::Value;

use super::deployment::{Deployment, worker_in};
use super::page::{Meaning, Page, age, counted};
use super::plan::PlanError;
use super::status::{TaskRow, tasks_of};
use crate::aws::{ReadCloud, WriteCloud};
use crate::run::Invocation;
use crate::source::SourceError;

/// ECS kills what has not ended by then. Source: ECS API, `ContainerDefinition.stopTimeout`.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// Source: SQS API, `VisibilityTimeout`.
const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(30);

/// What a task carries as its reason, in characters. Source: ECS API, `StopTaskRequest.reason`.
const LONGEST_REASON: usize = 1024;

/// Which tasks of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those whose ids begin so.
    These(Vec<String>),
    /// All that are alive.
    All,
}

/// Which tasks of which worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The worker.
    pub worker: WorkerName,
    /// Its tasks.
    pub which: Which,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stopped {
    /// How many were stopped.
    pub stopped: u64,
    /// What kept others from it.
    pub failures: Vec<String>,
}

/// Why nothing is stopped.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// The worker could not be read.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// There is no configuration to go by.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Something of it could not be read.
    #[error("{0}")]
    Read(#[from] ReadError),
    /// No task, or several, are called so.
    #[error("{0}")]
    Tasks(String),
}

/// Tasks that are to be stopped, and what becomes of their messages.
#[derive(Clone, Debug)]
pub struct ToStop {
    /// The tasks.
    pub tasks: Vec<TaskRow>,
    /// What could not be read.
    notes: Vec<String>,
    worker: WorkerName,
    cluster: ClusterName,
    /// When SIGKILL follows SIGTERM.
    grace: Duration,
    /// When a message that is held comes back.
    visibility: Duration,
    in_flight: Messages,
}

/// Finds the tasks.
///
/// # Errors
/// When the worker cannot be read, or no task or several are called so.
pub async fn prepare(
    deployment: &Deployment,
    cloud: &ReadCloud,
    asked: &Asked,
    invocation: &Invocation,
) -> Result<ToStop, StopError> {
    let Asked { worker: name, which } = asked;
    let (view, _) = Box::pin(tasks_of(deployment, cloud, name, invocation)).await?;
    let in_force = deployment.scaler.config.current(cloud, invocation.now).await?;
    let worker = worker_in(&in_force.config, name.as_str()).map_err(StopError::Tasks)?;
    // They say what comes of it, and are no reason against it.
    let settings = Box::pin(cloud.queue_settings(&worker.queue)).await;
    let definition = cloud.definition(&worker.task_definition).await;
    let unread = [settings.as_ref().err(), definition.as_ref().err()];
    let unread = unread.into_iter().flatten().map(|error| format!("{error}: the usual is assumed"));
    Ok(ToStop {
        notes: unread.collect(),
        tasks: chosen(view.alive, name, which)?,
        worker: name.clone(),
        cluster: worker.cluster.clone(),
        grace: definition.map_or(STOP_TIMEOUT, |found| grace(&found, worker.container.as_deref())),
        visibility: settings
            .ok()
            .and_then(|settings| settings.visibility_timeout)
            .unwrap_or(VISIBILITY_TIMEOUT),
        in_flight: worker.scaling.in_flight_per_container,
    })
}

/// How long its worker container has between SIGTERM and SIGKILL.
fn grace(definition: &TaskDefinition, container: Option<&str>) -> Duration {
    let is_it =
        |of: &&Value| container.is_none() || of.get("name").and_then(Value::as_str) == container;
    let timeouts = definition.containers().filter(is_it);
    let timeouts = timeouts.map(|container| {
        container
            .get("stopTimeout")
            .and_then(Value::as_u64)
            .map_or(STOP_TIMEOUT, Duration::from_secs)
    });
    timeouts.max().unwrap_or(STOP_TIMEOUT)
}

/// The tasks that are called so: a beginning is enough where it is one task's.
fn chosen(
    alive: Vec<TaskRow>,
    worker: &WorkerName,
    which: &Which,
) -> Result<Vec<TaskRow>, StopError> {
    let alive: Vec<_> = alive.into_iter().filter(|task| task.state != "stopping").collect();
    let Which::These(names) = which else {
        let none = || StopError::Tasks(format!("{worker} has no task that could be stopped"));
        return if alive.is_empty() { Err(none()) } else { Ok(alive) };
    };
    let mut chosen: Vec<TaskRow> = Vec::new();
    for name in names {
        // An ARN, as other programs print it.
        let id = name.rsplit('/').next().unwrap_or_default();
        // Every task begins with nothing: what a script has not set names none.
        if id.is_empty() {
            let error =
                format!("`{name}` names no task; `queue-scaler status {worker}` shows them");
            return Err(StopError::Tasks(error));
        }
        let matching: Vec<_> = alive.iter().filter(|task| task.task.starts_with(id)).collect();
        match matching.as_slice() {
            [task] if chosen.iter().all(|known| known.task != task.task) => {
                chosen.push((*task).clone());
            }
            [_] => {}
            [] => {
                let error = format!(
                    "no task of {worker} that is alive begins with `{id}`; `queue-scaler status {worker}` shows \
                     them, and no other worker's is touched"
                );
                return Err(StopError::Tasks(error));
            }
            several => {
                let count = several.len();
                let error = format!(
                    "`{id}` is the beginning of {count} tasks of {worker}: give more of it"
                );
                return Err(StopError::Tasks(error));
            }
        }
    }
    Ok(chosen)
}

impl ToStop {
    /// What is stopped, and what becomes of it.
    pub fn page(&self, width: usize) -> String {
        let Self { tasks, worker, grace, visibility, in_flight, .. } = self;
        let mut page = Page::new(width);
        for task in tasks {
            let TaskRow { task, state, age_seconds, containers, running, revision, .. } = task;
            let since =
                age_seconds.map(|seconds| format!(" {}", age(Duration::from_secs(seconds))));
            let run = if *containers == 1 { "runs" } else { "run" };
            let text = format!(
                "{state}{}, {revision}, {running} of {} {run}",
                since.unwrap_or_default(),
                counted(*containers, "worker container")
            );
            let id = task.get(..8).unwrap_or(task);
            page.entry(&format!("{worker} {id}  "), &text);
        }
        let running: u64 = tasks.iter().map(|task| task.running).sum();
        let messages = running.saturating_mul(in_flight.0);
        let it = if tasks.len() == 1 { "It gets" } else { "They get" };
        let mut text = format!("{it} SIGTERM, and SIGKILL {} s later.", grace.as_secs());
        if messages != 0 {
            let comes = if messages == 1 { "comes" } else { "come" };
            let messages = counted(messages, "message");
            let visibility = age(*visibility);
            text = format!(
                "{text} Up to {messages} {comes} back when the visibility timeout ({visibility}) is over, and the \
                 next tick starts containers for what waits then: pause the worker first if none is to come."
            );
        }
        page.entry_of(Meaning::Warning, "", &text);
        for note in &self.notes {
            page.entry_of(Meaning::Warning, "! ", note);
        }
        page.text()
    }

    /// The same in lines without colours.
    pub fn lines(&self, width: usize) -> Vec<String> {
        let text = anstream::adapter::strip_str(&self.page(width)).to_string();
        text.lines().map(str::to_owned).collect()
    }

    /// Stops them, one after the other. One that has ended meanwhile keeps no other one from it.
    pub async fn stop(&self, cloud: &WriteCloud, reason: &str) -> Stopped {
        let mut came = Stopped::default();
        for task in &self.tasks {
            let task = TaskArn::from(task.task.as_str());
            let Err(error) = cloud.stop(&self.cluster, &task, reason).await else {
                came.stopped = came.stopped.saturating_add(1);
                continue;
            };
            came.failures.push(error.to_string());
            // Who may not stop one may stop none.
            if error.cause() == Cause::Permission {
                break;
            }
        }
        came
    }
}

/// Who stopped it, by what, and why, as the task will say itself.
pub fn reason(caller: Option<&str>, why: Option<&str>) -> String {
    let who = caller.unwrap_or("somebody");
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    let reason = format!("{who} by queue-scaler{why}");
    reason.chars().take(LONGEST_REASON).collect()
}
