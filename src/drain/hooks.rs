//! The lifecycle hooks that hold draining instances, answered by the ticks: a heartbeat while tasks
//! of ours run there, and the instance is let go when they have ended. What an earlier invocation
//! has to tell is in the tags of the container instance, so that any process can go on.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use jiff::Timestamp;

use super::steps::{Mark, Reply, Standing, may_stand, reply};
use crate::aws::{Answered, Aws, Registration};
use crate::report::{HookOutcome, HookReport};
use decision::config::Config;
use decision::event::Mode;
use decision::snapshot::{CallError, Read, Snapshot};
use decision::units::{ClusterName, ScalerName};

/// Whose tick it is, what it may do, and when it began.
#[derive(Clone, Copy, Debug)]
pub struct Watch<'a> {
    /// `SCALER_NAME`
    pub scaler: &'a ScalerName,
    /// The same, and what it was before.
    pub scalers: &'a [ScalerName],
    /// Whether anything may be changed.
    pub mode: Mode,
    /// What the tick has read already.
    pub snapshot: &'a Snapshot,
}

/// Answers every hook of ours. Costs nothing where the configuration names none.
pub async fn watch(cloud: &Aws, config: &Config, of: Watch<'_>) -> Vec<HookReport> {
    if config.draining.hook.is_none() {
        return Vec::new();
    }
    let clusters: BTreeSet<_> = config.workers.iter().map(|worker| &worker.cluster).collect();
    let reports =
        join_all(clusters.into_iter().map(|cluster| of_cluster(cloud, cluster, of))).await;
    let mut known = BTreeSet::new();
    let mut reports: Vec<_> = reports.into_iter().flatten().collect();
    reports.retain(|report| {
        report.container_instance.as_ref().is_none_or(|arn| known.insert(arn.clone()))
    });
    reports
}

async fn of_cluster(cloud: &Aws, cluster: &ClusterName, of: Watch<'_>) -> Vec<HookReport> {
    let draining = match Box::pin(cloud.read.draining(cluster)).await {
        Ok(draining) => draining,
        Err(error) => {
            return vec![HookReport {
                cluster: cluster.clone(),
                instance: None,
                container_instance: None,
                group: None,
                hook: None,
                outcome: HookOutcome::Failed,
                why: None,
                errors: vec![error.to_string()],
            }];
        }
    };
    let held = draining.into_iter().filter_map(|registration| {
        let mark = Mark::of(&registration, of.scaler)?;
        Some(Held { cloud, cluster, of, registration, mark })
    });
    join_all(held.map(Held::answered)).await
}

/// An instance that a hook holds.
struct Held<'a> {
    cloud: &'a Aws,
    cluster: &'a ClusterName,
    of: Watch<'a>,
    registration: Registration,
    mark: Mark,
}

impl Held<'_> {
    async fn answered(self) -> HookReport {
        let (standing, error) = match self.standing().await {
            Ok(standing) => (standing, None),
            Err(error) => (Standing::Unknown, Some(error.to_string())),
        };
        let reply = reply(&standing, &self.mark, self.now());
        let why = match reply {
            Reply::Hold(because) => Some(because.to_string()),
            Reply::LetGo => None,
        };
        let mut report = HookReport {
            cluster: self.cluster.clone(),
            instance: Some(self.registration.ec2.clone()),
            container_instance: Some(self.registration.arn.clone()),
            group: Some(self.mark.hook.group.clone()),
            hook: Some(self.mark.hook.name.clone()),
            outcome: HookOutcome::Planned,
            why,
            errors: error.into_iter().collect(),
        };
        if self.of.mode == Mode::Launch {
            self.send(reply, &mut report).await;
        }
        if !report.errors.is_empty() {
            report.outcome = HookOutcome::Failed;
        }
        report
    }

    fn now(&self) -> Timestamp {
        self.of.snapshot.now
    }

    /// What the tick has seen there is enough to hold on. Before the instance is let go it is asked
    /// for itself: a task that is wanted stopped is in no tick's list, and needs its time all the
    /// same.
    async fn standing(&self) -> Read<Standing> {
        if let Some(Ok(tasks)) = self.of.snapshot.tasks.get(self.cluster) {
            let arn = &self.registration.arn;
            let there = tasks.alive.iter().filter(|task| task.instance.as_ref() == Some(arn));
            let perhaps = tasks.presumed.iter().any(|task| may_stand(task.created, &self.mark));
            match there.count() {
                0 if perhaps => return Ok(Standing::Perhaps),
                0 => {}
                tasks => return Ok(Standing::Tasks(tasks)),
            }
        }
        let arn = &self.registration.arn;
        let tasks = self.cloud.read.tasks_on(self.cluster, self.of.scalers, arn);
        Ok(Standing::of(&Box::pin(tasks).await?))
    }

    async fn send(&self, reply: Reply, report: &mut HookReport) {
        let (hook, instance) = (&self.mark.hook, &self.registration.ec2);
        let write = &self.cloud.write;
        let (answered, outcome) = match reply {
            Reply::Hold(_) => (write.heartbeat(hook, instance).await, HookOutcome::Held),
            Reply::LetGo => (write.complete(hook, instance).await, HookOutcome::Completed),
        };
        let is_done = match answered {
            Ok(Answered::Done) => {
                report.outcome = outcome;
                outcome == HookOutcome::Completed
            }
            Ok(Answered::Over(why)) => {
                report.outcome = HookOutcome::Over;
                report.why = Some(why);
                true
            }
            Err(error) => {
                report.errors.push(error.to_string());
                false
            }
        };
        if is_done {
            report.errors.extend(self.forget().await.err().map(|error| error.to_string()));
        }
    }

    /// Nobody has to answer the hook any more.
    async fn forget(&self) -> Result<(), CallError> {
        let tags = [Mark::settled(self.of.scaler)];
        self.cloud.write.tag(&self.registration.arn, &tags).await
    }
}
