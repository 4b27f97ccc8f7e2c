//! What this process launched in the last minutes. ECS is eventually consistent: its lists may not
//! show a task yet when the next tick asks, and that tick must not start it again. A function that
//! was just started remembers nothing; the tokens of its tick protect it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::act::Acted;
use crate::plan::Action;
use crate::snapshot::Task;
use crate::units::{ClusterName, TaskArn};

/// As long as ECS advises to ask again for what it does not show yet.
/// Source: ECS API, `RunTask`: "from a couple of seconds up to five minutes".
const REMEMBERED: Duration = Duration::from_mins(5);

/// The launches of the last minutes.
#[derive(Debug, Default)]
pub struct Recent(Mutex<Vec<Launched>>);

#[derive(Debug)]
struct Launched {
    at: Instant,
    cluster: ClusterName,
    task: Task,
}

impl Recent {
    fn launches(&self) -> MutexGuard<'_, Vec<Launched>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what ECS must show by now.
    pub fn forget(&self, now: Instant) {
        let age = |launched: &Launched| now.saturating_duration_since(launched.at);
        self.launches().retain(|launched| age(launched) < REMEMBERED);
    }

    /// Remembers what a tick started or found started.
    pub fn remember(&self, acted: &[Acted], now: Instant) {
        for Acted { plan, groups } in acted {
            let Action::Launch(launch) = &plan.action else { continue };
            for group in groups {
                let Some(revision) = &group.revision else { continue };
                let tasks = group.started.iter().chain(&group.adopted);
                self.launches().extend(tasks.map(|arn: &TaskArn| Launched {
                    at: now,
                    cluster: launch.cluster.clone(),
                    task: Task {
                        arn: arn.clone(),
                        worker: plan.worker.clone(),
                        revision: revision.clone(),
                        containers: Vec::new(),
                    },
                }));
            }
        }
    }

    /// What was launched in a cluster, as far as it is known from here: on its way.
    pub fn tasks(&self, cluster: &ClusterName) -> Vec<Task> {
        let launches = self.launches();
        let there = launches.iter().filter(|launched| launched.cluster == *cluster);
        there.map(|launched| launched.task.clone()).collect()
    }
}
