//! Who else starts tasks of our workers, for a terminal: another name, as it may have been given the wrong
//! one, or a function under the same name.

use std::collections::{BTreeMap, BTreeSet};

use super::ReadCloud;
use super::tasks::{is_of, tag, worker_of};
use decision::snapshot::Read;
use decision::tags;
use decision::units::{ClusterName, ScalerName, Tasks, WorkerName};

/// A hundred tasks show whose they are.
const PAGES: usize = 1;

/// Who may be a stranger, and who is none.
#[derive(Clone, Debug, Default)]
pub struct Known<'a> {
    /// Under whose names our own tasks are started.
    pub scalers: Vec<ScalerName>,
    /// Whose tasks somebody else may have started.
    pub workers: BTreeSet<&'a WorkerName>,
    /// The ARNs of tasks that are our own.
    pub tasks: BTreeSet<&'a str>,
}

impl ReadCloud {
    /// How many tasks of a cluster are of these workers and were started by none of these names, by who has
    /// started them. A sample: the first page of the list.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn strangers(
        &self,
        cluster: &ClusterName,
        known: &Known<'_>,
    ) -> Read<BTreeMap<String, Tasks>> {
        let call = self.ecs.list_tasks().cluster(cluster.as_str());
        let listed = self.pages(cluster.as_str(), call, PAGES).await?.into_iter();
        let unknown = listed.filter(|arn| !known.tasks.contains(arn.as_str()));
        // One may have ended since.
        let described = self.describe_all(cluster, Vec::new(), unknown).await?;
        let mut strangers = BTreeMap::<_, Tasks>::new();
        for task in described.values().filter(|task| !is_of(&known.scalers, task)) {
            let of_worker = worker_of(task).is_some_and(|name| known.workers.contains(&name));
            if let (true, Some(name)) = (of_worker, task.started_by()) {
                let count = strangers.entry(name.to_owned()).or_default();
                *count = count.plus(Tasks(1));
            }
        }
        Ok(strangers)
    }

    /// The Lambda functions that have started tasks under one of these names which are alive or ended within
    /// the hour. Tasks of before functions were noted are of one whose name is empty.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn functions_behind(
        &self,
        cluster: &ClusterName,
        scalers: &[ScalerName],
    ) -> Read<BTreeSet<String>> {
        let mut all = Box::pin(self.list_stopped(cluster)).await?;
        for scaler in scalers {
            all.extend(Box::pin(self.list(cluster, scaler)).await?);
        }
        // One may have been forgotten since.
        let described = self.describe_all(cluster, Vec::new(), all.into_iter()).await?;
        let of_ticks = described.values().filter(|task| is_of(scalers, task));
        let of_ticks = of_ticks.filter(|task| tag(task, tags::TICK).is_some());
        Ok(of_ticks.map(|task| tag(task, tags::FUNCTION).unwrap_or_default().to_owned()).collect())
    }
}
