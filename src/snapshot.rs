//! The world as read once: queues, tasks, task definitions. Pure data.
//!
//! What could not be read is in it as an error in its place. It never looks like zero.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::definition::TaskDefinition;
use crate::event::Tick;
use crate::units::{
    ClusterName, Messages, Region, RevisionArn, ScalerName, TaskArn, TaskDefinitionRef, WorkerName,
};

/// All that a decision may depend on beside the configuration.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Whose tick this is.
    pub scaler: ScalerName,
    /// Which tick this is.
    pub tick: Tick,
    /// Where we are, for the price list.
    pub region: Region,
    /// Every worker's queue.
    pub queues: BTreeMap<WorkerName, Read<Depth>>,
    /// Our tasks, for every cluster that could matter.
    pub tasks: BTreeMap<ClusterName, Read<Vec<Task>>>,
    /// The base definitions that could matter.
    pub definitions: BTreeMap<TaskDefinitionRef, Read<TaskDefinition>>,
}

/// What a read gave.
pub type Read<T> = Result<T, ReadError>;

/// A queue's depth. Approximate by nature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Depth {
    /// `ApproximateNumberOfMessages`: can be received now.
    pub visible: Messages,
    /// `ApproximateNumberOfMessagesNotVisible`: received and not deleted yet.
    pub in_flight: Messages,
    /// `ApproximateNumberOfMessagesDelayed`: not to be received yet.
    pub delayed: Messages,
}

/// A task of ours that ECS does not want stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Which one.
    pub arn: TaskArn,
    /// Whose it is, from its `group`.
    pub worker: WorkerName,
    /// What it runs.
    pub revision: RevisionArn,
    /// Its containers, sidecars too.
    pub containers: Vec<(String, ContainerStatus)>,
}

/// How far a container is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContainerStatus {
    /// Anything before `RUNNING`, and anything that is not known here.
    Starting,
    /// `RUNNING`
    Running,
    /// `STOPPED`
    Stopped,
}

/// Why something could not be read. It holds the workers that need it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// AWS refused, or did not answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// AWS answered with something that cannot be understood or that is not complete.
    #[error("cannot use the answer of {operation}: {what}")]
    Answer {
        /// The call.
        operation: &'static str,
        /// What is wrong with the answer.
        what: String,
    },
    /// The queue is elsewhere.
    #[error(
        "queue `{queue}` is in {region} and this function in {here}; run a scaler in each Region"
    )]
    OtherRegion {
        /// The queue as configured.
        queue: String,
        /// Where it is.
        region: String,
        /// Where we are.
        here: String,
    },
    /// Two names of one queue.
    #[error("worker `{other}` has the same queue, {url}; both would answer the same messages")]
    SameQueue {
        /// The other worker.
        other: WorkerName,
        /// What both names stand for.
        url: String,
    },
}

/// A call that AWS refused or did not answer, free of anything secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operation} of {subject} failed: {}{message}{}", prefix(.code.as_ref()), suffix(.request_id.as_ref()))]
pub struct CallError {
    /// The API's name of the call.
    pub operation: &'static str,
    /// What it was about.
    pub subject: String,
    /// The API's name of the error, where there was an answer.
    pub code: Option<String>,
    /// What AWS, or the way to it, says.
    pub message: String,
    /// What to quote to AWS.
    pub request_id: Option<String>,
}

fn prefix(code: Option<&String>) -> String {
    code.map(|code| format!("{code}: ")).unwrap_or_default()
}

fn suffix(request_id: Option<&String>) -> String {
    request_id.map(|id| format!(" (request {id})")).unwrap_or_default()
}
