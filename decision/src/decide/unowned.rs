//! Tasks of ours whose worker nobody knows: it was renamed or removed, or another deployment has our
//! name. They answer messages and are in nobody's sum.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use crate::snapshot::Snapshot;
use crate::units::{ClusterName, Tasks, WorkerName};

/// The tasks of a worker that is not in the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unowned {
    /// What it is called.
    pub worker: WorkerName,
    /// Where they run.
    pub cluster: ClusterName,
    /// How many.
    pub tasks: Tasks,
}

impl fmt::Display for Unowned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { worker, cluster, tasks } = self;
        let run =
            if tasks.0 == 1 { "1 task runs".to_owned() } else { format!("{tasks} tasks run") };
        write!(
            f,
            "{run} in {cluster} for worker `{worker}`, which is not in the configuration: where it was \
             renamed, name it in the previousNames of the new one; where it was removed, they end by \
             themselves; else another deployment has the same SCALER_NAME"
        )
    }
}

/// Those of the clusters that were read. `known` are the names of the whole configuration.
pub fn unowned(known: &BTreeSet<WorkerName>, snapshot: &Snapshot) -> Vec<Unowned> {
    let of_cluster = |cluster: &ClusterName| {
        let mut counts = BTreeMap::<_, Tasks>::new();
        let read = snapshot.tasks.get(cluster).and_then(|read| read.as_ref().ok());
        let alive = read.into_iter().flat_map(|tasks| &tasks.alive);
        for task in alive.filter(|task| !known.contains(&task.worker)) {
            let count = counts.entry(task.worker.clone()).or_default();
            *count = count.plus(Tasks(1));
        }
        counts
    };
    let found = snapshot.tasks.keys().flat_map(|cluster| {
        let counts = of_cluster(cluster).into_iter();
        counts.map(|(worker, tasks)| Unowned { worker, cluster: cluster.clone(), tasks })
    });
    found.collect()
}
