//! What our own scheduler has to know of the clusters where it places tasks.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;

use super::once::Once;
use crate::aws::ReadCloud;
use decision::config::Worker;
use decision::decide::expressions;
use decision::definition::TaskDefinition;
use decision::snapshot::{Instance, Instances, Read};
use decision::units::{ClusterName, Expression, InstanceArn, ServiceName};

/// Reads of the clusters of a tick.
pub(super) struct InstanceReads<'a> {
    cloud: &'a ReadCloud,
    instances: Once<ClusterName, Vec<Instance>>,
    daemons: Once<(ClusterName, ServiceName), BTreeSet<InstanceArn>>,
    matching: Once<(ClusterName, Expression), BTreeSet<InstanceArn>>,
}

impl<'a> InstanceReads<'a> {
    pub(super) fn new(cloud: &'a ReadCloud) -> Self {
        let (instances, daemons, matching) = (Once::default(), Once::default(), Once::default());
        Self { cloud, instances, daemons, matching }
    }

    /// The instances of a worker's cluster and where its daemons run; nothing where ECS places tasks.
    pub(super) async fn read(&self, worker: &Worker) {
        let Some(placement) = &worker.launch.placement else { return };
        let (cloud, cluster) = (self.cloud, &worker.cluster);
        let instances = async || Box::pin(cloud.active_instances(cluster)).await;
        let daemons = join_all(placement.require_daemons.iter().map(async |daemon| {
            let key = (cluster.clone(), daemon.clone());
            let read = async || Box::pin(cloud.instances_running(cluster, daemon)).await;
            self.daemons.read(&key, read).await;
        }));
        futures_util::join!(self.instances.read(cluster, instances), daemons);
    }

    /// Where the expressions of a worker hold, and of its definition; nothing where ECS places tasks.
    pub(super) async fn read_matching(&self, worker: &Worker, base: &TaskDefinition) {
        if worker.launch.placement.is_none() {
            return;
        }
        let (cloud, cluster) = (self.cloud, &worker.cluster);
        join_all(expressions(worker, base).into_iter().map(async |expression| {
            let key = (cluster.clone(), expression.clone());
            let read = async || Box::pin(cloud.instances_where(cluster, &expression)).await;
            self.matching.read(&key, read).await;
        }))
        .await;
    }

    /// All that was read.
    pub(super) fn into_read(self) -> BTreeMap<ClusterName, Read<Instances>> {
        let clusters = self.instances.into_read().into_iter();
        let mut clusters: BTreeMap<_, _> = clusters
            .map(|(name, read)| {
                (name, read.map(|active| Instances { active, ..Instances::default() }))
            })
            .collect();
        for ((name, daemon), read) in self.daemons.into_read() {
            if let Some(Ok(cluster)) = clusters.get_mut(&name) {
                cluster.daemons.insert(daemon, read);
            }
        }
        for ((name, expression), read) in self.matching.into_read() {
            if let Some(Ok(cluster)) = clusters.get_mut(&name) {
                cluster.matching.insert(expression, read);
            }
        }
        clusters
    }
}
