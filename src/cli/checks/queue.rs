//! A worker's queue.

use std::rc::Rc;
use std::time::Duration;

use decision::config::{QueueRef, Worker};
use decision::plan::{Action, WorkerPlan};
use decision::snapshot::{Ended, Read, ReadError};
use decision::units::{Arn, elapsed};

use super::{Finding, Looks};
use crate::aws::{QueueSettings, RedrivePolicy};
use crate::cli::page::age;

/// Fewer say nothing of how long a job takes.
const ENOUGH_TASKS: usize = 3;

/// As many of the last tasks are looked at.
const LAST_TASKS: usize = 20;

impl Looks<'_> {
    pub(super) async fn of_queue(&self, worker: &Worker, plan: &WorkerPlan) -> Vec<Finding> {
        let read = self.queue(&worker.queue).await;
        let settings = match &*read {
            Ok(settings) => settings,
            // The dry run has met that, too.
            Err(_) if is_of_queue(&plan.action) => return Vec::new(),
            Err(error) => return vec![Finding::of_read(error)],
        };
        let mut findings = of_receiving(settings);
        findings.extend(self.of_run_time(worker, settings));
        match &settings.redrive {
            None => findings.push(Finding::warning(
                "the queue has no redrive policy: a message that nobody can process comes back until it \
                 expires, and starts workers each time; give the queue a dead-letter queue",
            )),
            Some(redrive) => findings.extend(Box::pin(self.of_redrive(settings, redrive)).await),
        }
        if settings.arn.is_empty() {
            return findings;
        }
        match self.cloud.functions_at(&settings.arn).await {
            Ok(functions) if functions.is_empty() => {}
            Ok(functions) => findings.push(Finding::warning(format!(
                "a Lambda function takes messages from this queue, too: {}",
                functions.join(", ")
            ))),
            Err(error) => {
                findings
                    .push(Finding::not_checked("whether Lambda takes messages here is", &error));
            }
        }
        findings
    }

    pub(super) async fn queue(&self, queue: &QueueRef) -> Rc<Read<QueueSettings>> {
        let read = async || Box::pin(self.cloud.queue_settings(queue)).await;
        self.once.queues.read(queue, read).await
    }

    async fn of_redrive(&self, settings: &QueueSettings, redrive: &RedrivePolicy) -> Vec<Finding> {
        let mut findings = Vec::new();
        if redrive.max_receive_count < 2 {
            findings.push(Finding::warning(
                "maxReceiveCount is 1: the message of a container that was stopped once, by Spot or by a \
                 person, goes to the dead-letter queue at once; make it 3",
            ));
        }
        let target = Arn::parse(&redrive.target).and_then(|arn| QueueRef::of_arn(&arn));
        let Some(target) = target else { return findings };
        let name = target.name().to_owned();
        match &*self.queue(&target).await {
            Err(error) => {
                let Finding { level, .. } = Finding::of_read(error);
                let message = format!("the dead-letter queue {name} cannot be read: {error}");
                findings.push(Finding::new(level, message));
            }
            Ok(dead) => {
                // Of a FIFO queue the time begins anew at the move.
                // Source: SQS developer guide, "Using dead-letter queues in Amazon SQS".
                let is_standard = settings.arn.strip_suffix(".fifo").is_none();
                if let (Some(own), Some(of_dead)) = (settings.retention, dead.retention)
                    && is_standard
                    && of_dead < own
                {
                    let (own, of_dead) = (age(own), age(of_dead));
                    findings.push(Finding::warning(format!(
                        "the dead-letter queue {name} keeps messages for {of_dead} and this queue for {own}: on a \
                         standard queue the time before counts, so that they may be gone when they come there; \
                         make it 14 days"
                    )));
                }
            }
        }
        findings
    }

    /// A job that outlasts the visibility timeout is done twice.
    fn of_run_time(&self, worker: &Worker, settings: &QueueSettings) -> Option<Finding> {
        let timeout = settings.visibility_timeout?;
        let tasks = self.foreseen.snapshot.tasks.get(&worker.cluster)?.as_ref().ok()?;
        let mut ended: Vec<_> =
            tasks.ended.iter().filter(|task| task.worker == worker.name).collect();
        ended.sort_by_key(|task| std::cmp::Reverse(task.stopped));
        let times: Vec<Duration> = ended.into_iter().take(LAST_TASKS).filter_map(ran_for).collect();
        let longer = times.iter().filter(|time| timeout < **time).count();
        if times.len() < ENOUGH_TASKS || longer == 0 {
            return None;
        }
        let longest = times.iter().max().copied().unwrap_or_default();
        Some(Finding::warning(format!(
            "visibility timeout {}: {longer} of its last {} tasks ran longer ({} at most); where a job does, its \
             message is delivered twice: make the timeout longer, or let the worker extend it",
            age(timeout),
            times.len(),
            age(longest)
        )))
    }
}

/// Whether it is the queue that keeps a worker from being served.
fn is_of_queue(action: &Action) -> bool {
    let Action::Hold(ReadError::Call(call)) = action else { return false };
    call.operation.starts_with("GetQueue")
}

fn ran_for(task: &Ended) -> Option<Duration> {
    Some(elapsed(task.started?, task.stopped))
}

fn of_receiving(settings: &QueueSettings) -> Vec<Finding> {
    let mut findings = Vec::new();
    if settings.receive_wait == Some(Duration::ZERO) {
        findings.push(Finding::warning(
            "the queue answers a receive at once (ReceiveMessageWaitTimeSeconds 0): a worker that does not ask \
             for WaitTimeSeconds itself may find nothing while messages wait; make it 20",
        ));
    }
    findings
}
