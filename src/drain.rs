//! An EC2 instance is about to go away: no task is placed there any more, and what stands there is
//! told, or stopped where the operator wants it. Observe, decide (`steps`), act, report.
//!
//! An event may come twice, late, or for an instance that is nobody's business here: everything that
//! is done can be done again, and what is not ours is left alone with a reason. A lifecycle hook
//! outlives the invocation: tags of the container instance tell the ticks of it (`hooks`).

mod hooks;
mod report;
mod steps;

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use jiff::Timestamp;

pub use self::hooks::{Watch, watch};
use self::report::{Findings, report};
pub use self::report::{NoticeReport, OfWorker, Outcome, Place, ToldHook};
use self::steps::{HookStep, Mark, State, hook_step, stops};
use crate::aws::{Aws, Drained, OnInstance, ReadCloud, Registration};
use decision::config::Config;
use decision::event::{Mode, Notice};
use decision::snapshot::Read;
use decision::units::{ClusterName, InstanceArn, ScalerName};

/// Whose invocation it is, what it may do, and when it began.
#[derive(Clone, Copy, Debug)]
pub struct OfNotice<'a> {
    /// `SCALER_NAME`
    pub scaler: &'a ScalerName,
    /// Whether anything may be changed.
    pub mode: Mode,
    /// Names it.
    pub request_id: &'a str,
    /// When it began.
    pub now: Timestamp,
}

/// Lets an instance go, wherever it is among the clusters of the configuration.
pub async fn drain(
    cloud: &Aws,
    config: &Config,
    notice: &Notice,
    of: OfNotice<'_>,
) -> NoticeReport {
    let leave = Leave { cloud, config, notice, of };
    let clusters: BTreeSet<_> = config.workers.iter().map(|worker| &worker.cluster).collect();
    let searched = join_all(clusters.iter().map(|cluster| search(&cloud.read, cluster, notice)));
    let (mut found, mut errors) = (BTreeMap::new(), Vec::new());
    for (cluster, read) in clusters.iter().zip(searched.await) {
        // A cluster may have two names in a configuration: an instance of it is one.
        match read {
            Ok(read) => found.extend(read.into_iter().map(|r| (r.arn.clone(), (*cluster, r)))),
            Err(error) => errors.push(error.to_string()),
        }
    }
    let done = join_all(found.into_values().map(|(cluster, r)| leave.from(cluster, r))).await;
    report((notice, of), Findings { clusters, done, errors }, hook_step(config, notice))
}

async fn search(
    cloud: &ReadCloud,
    cluster: &ClusterName,
    notice: &Notice,
) -> Read<Vec<Registration>> {
    Box::pin(cloud.registrations(cluster, &notice.instance)).await
}

/// What was done for one container instance.
#[derive(Clone, Debug)]
struct Done {
    cluster: ClusterName,
    instance: InstanceArn,
    status: String,
    outcome: Outcome,
    why: Option<String>,
    tasks: Vec<(OnInstance, Told)>,
    is_watched: bool,
    errors: Vec<String>,
}

/// Whether a task was told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    ToStop,
}

/// An instance that goes, and all that it takes.
#[derive(Clone, Copy)]
struct Leave<'a> {
    cloud: &'a Aws,
    config: &'a Config,
    notice: &'a Notice,
    of: OfNotice<'a>,
}

impl Leave<'_> {
    /// It is drained first and looked at then, so that what is placed in between is seen.
    async fn from(self, cluster: &ClusterName, registration: Registration) -> Done {
        let Registration { arn, status, .. } = registration.clone();
        let mut done = Done {
            cluster: cluster.clone(),
            instance: arn,
            status,
            outcome: Outcome::Ignored,
            why: None,
            tasks: Vec::new(),
            is_watched: false,
            errors: Vec::new(),
        };
        self.close(State::of(&registration), &mut done).await;
        if done.outcome != Outcome::Ignored {
            self.mark(&mut done).await;
            self.tell(&mut done).await;
        }
        done
    }

    /// No task is placed there any more.
    async fn close(self, state: State, done: &mut Done) {
        done.outcome = match (state, self.of.mode) {
            (State::Takes, Mode::DryRun) => Outcome::Planned,
            (State::Takes, Mode::Launch) => {
                match self.cloud.write.drain(&done.cluster, &done.instance).await {
                    Ok(Drained::Done) => Outcome::Drained,
                    Ok(Drained::Gone(reason)) => {
                        done.why = Some(format!("it is gone ({reason})"));
                        Outcome::Ignored
                    }
                    Err(error) => {
                        done.errors.push(error.to_string());
                        Outcome::Failed
                    }
                }
            }
            (State::Draining, _) => Outcome::AlreadyDraining,
            (State::NotYet, _) => {
                done.errors.push(format!(
                    "{} is {} and cannot be drained before it is ACTIVE; the event has to come \
                     again",
                    done.instance, done.status
                ));
                Outcome::Failed
            }
            (State::Leaves, _) => {
                done.why = Some(format!("it is {}, and takes no tasks", done.status));
                Outcome::Ignored
            }
        };
    }

    /// The ticks are told to answer the hook.
    async fn mark(self, done: &mut Done) {
        let HookStep::Watch(hook) = hook_step(self.config, self.notice) else { return };
        if self.of.mode == Mode::DryRun {
            return;
        }
        let mark = Mark { hook: hook.clone(), since: Some(self.of.now) };
        let marked = match mark.tags(self.of.scaler) {
            Ok(tags) => {
                let tagged = self.cloud.write.tag(&done.instance, &tags).await;
                tagged.map_err(|error| error.to_string())
            }
            Err(why) => Err(why),
        };
        done.is_watched = marked.is_ok();
        done.errors.extend(marked.err());
    }

    /// What stands there is listed, and told to end where the operator wants it.
    async fn tell(self, done: &mut Done) {
        let Self { cloud, notice, of, .. } = self;
        let scalers = self.config.scalers(of.scaler);
        let tasks = Box::pin(cloud.read.tasks_on(&done.cluster, &scalers, &done.instance)).await;
        let tasks = match tasks {
            Ok(tasks) => tasks,
            Err(error) => {
                done.errors.push(error.to_string());
                return;
            }
        };
        let reason = &format!("{}: {} of {}", of.scaler, notice.kind, notice.instance);
        let cluster = &done.cluster;
        let told = join_all(tasks.into_iter().map(async |task| {
            let is_told = stops(self.config, notice.kind, &task.worker) && !task.is_stopping;
            if !is_told || of.mode == Mode::DryRun {
                return (task, Ok(Told::Nothing));
            }
            let stopped = cloud.write.stop(cluster, &task.arn, reason).await;
            (task, stopped.map(|()| Told::ToStop))
        }));
        for (task, told) in told.await {
            done.errors.extend(told.as_ref().err().map(ToString::to_string));
            done.tasks.push((task, told.unwrap_or(Told::Nothing)));
        }
    }
}
