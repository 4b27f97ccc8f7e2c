//! What is known of workers by their previous names, as theirs.

use std::collections::BTreeMap;

use decision::config::Config;
use decision::snapshot::ClusterTasks;
use decision::units::WorkerName;

/// Today's names by the previous ones.
pub(super) struct Renamed(BTreeMap<WorkerName, WorkerName>);

impl Renamed {
    pub(super) fn of(config: &Config) -> Self {
        Self(config.renamed())
    }

    /// Tasks carry the name that their worker had when they were started.
    pub(super) fn tasks(&self, mut tasks: ClusterTasks) -> ClusterTasks {
        let there = tasks.alive.iter_mut().chain(&mut tasks.leaving).chain(&mut tasks.presumed);
        let there = there.map(|task| &mut task.worker);
        let ended = tasks.ended.iter_mut().map(|task| &mut task.worker);
        for worker in there.chain(ended) {
            if let Some(today) = self.0.get(worker) {
                today.clone_into(worker);
            }
        }
        tasks
    }

    /// What this process remembers of a worker, unless it knows it by its name of today.
    pub(super) fn memories<T: Clone>(
        &self,
        mut known: BTreeMap<WorkerName, T>,
    ) -> BTreeMap<WorkerName, T> {
        for (before, today) in &self.0 {
            if let Some(memory) = known.get(before).cloned() {
                known.entry(today.clone()).or_insert(memory);
            }
        }
        known
    }
}
