//! What workers and the scaler are called, and what they were called before.

use std::collections::{BTreeMap, BTreeSet};

use super::{Config, Worker};
use crate::units::{ScalerName, WorkerName};

impl Config {
    /// All names whose tasks are somebody's, the previous ones too.
    pub fn names(&self) -> BTreeSet<WorkerName> {
        let of = |worker: &Worker| {
            let own = std::iter::once(worker.name.clone());
            own.chain(worker.previous_names.clone()).collect::<Vec<_>>()
        };
        let refused = self.refused.iter().flat_map(|refused| {
            std::iter::once(&refused.worker).chain(&refused.previous_names).cloned()
        });
        self.workers.iter().flat_map(of).chain(refused).collect()
    }

    /// What is called otherwise today, by its previous name.
    pub fn renamed(&self) -> BTreeMap<WorkerName, WorkerName> {
        let of = |worker: &Worker| {
            let previous = worker.previous_names.iter().cloned();
            previous.map(|before| (before, worker.name.clone())).collect::<Vec<_>>()
        };
        self.workers.iter().flat_map(of).collect()
    }

    /// Whose tasks are ours: the scaler's own name, and what it was called before.
    pub fn scalers(&self, own: &ScalerName) -> Vec<ScalerName> {
        let previous = self.previous_names.iter().filter(|before| *before != own);
        std::iter::once(own).chain(previous).cloned().collect()
    }
}
