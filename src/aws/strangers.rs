//! Tasks of workers that another name has started, for a terminal: it may have been given the wrong one.

use std::collections::BTreeMap;

use super::ReadCloud;
use super::tasks::worker_of;
use decision::snapshot::Read;
use decision::units::{ClusterName, ScalerName, Tasks};

/// A hundred tasks show whose they are.
const PAGES: usize = 1;

impl ReadCloud {
    /// How many tasks of a cluster are of some worker and were started by none of these names, by who has
    /// started them. A sample: the first page of the list.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn strangers(
        &self,
        cluster: &ClusterName,
        scalers: &[ScalerName],
    ) -> Read<BTreeMap<String, Tasks>> {
        let call = self.ecs.list_tasks().cluster(cluster.as_str());
        let listed = self.pages(cluster.as_str(), call, PAGES).await?;
        // One may have ended since.
        let described = self.describe_all(cluster, Vec::new(), listed.into_iter()).await?;
        let mut strangers = BTreeMap::<_, Tasks>::new();
        for task in described.values().filter(|task| worker_of(task).is_some()) {
            let Some(name) = task.started_by() else { continue };
            if scalers.iter().all(|scaler| scaler.as_str() != name) {
                let count = strangers.entry(name.to_owned()).or_default();
                *count = count.plus(Tasks(1));
            }
        }
        Ok(strangers)
    }
}
