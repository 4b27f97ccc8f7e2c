//! Reads what leaves: the machine of a notice, what stands on it, and the draining instances that
//! lifecycle hooks hold.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::time::Instant;

use super::{Reads, apart};
use crate::aws::ReadCloud;
use decision::config::Config;
use decision::decide::still_needed;
use decision::event::{Mode, Notice};
use decision::plan::Leaving;
use decision::snapshot::{Held, Read, Sought, Standing};
use decision::units::{ClusterName, ScalerName};

/// No call about a hook starts later in a tick: its launches wait for the reading, and a minute is all
/// that a function has for both. A hook that was not read is held, and read by the next tick.
const IN_TIME: Duration = Duration::from_secs(10);

/// Whose invocation a notice's is, and when it began.
#[derive(Clone, Copy, Debug)]
pub struct NoticeContext<'a> {
    /// `SCALER_NAME`
    pub scaler: &'a ScalerName,
    /// What it may do.
    pub mode: Mode,
    /// The invocation.
    pub request_id: &'a str,
    /// When it began.
    pub now: Timestamp,
}

/// The first look: what the machine of a notice is among the clusters of the configuration.
pub async fn seek(
    cloud: &ReadCloud,
    config: &Config,
    notice: &Notice,
    context: NoticeContext<'_>,
) -> Sought {
    cloud.hide_overrides(config);
    let clusters = join_all(clusters_of(config).into_iter().map(async |cluster| {
        let read = Box::pin(cloud.registrations(cluster, &notice.instance)).await;
        (cluster.clone(), read)
    }));
    let clusters = clusters.await.into_iter().collect();
    Sought { scaler: context.scaler.clone(), now: context.now, clusters }
}

/// The second look: what stands on the container instances that take no more tasks.
pub async fn look(
    cloud: &ReadCloud,
    scalers: &[ScalerName],
    instances: impl Iterator<Item = &Leaving>,
) -> Vec<Standing> {
    join_all(instances.map(async |Leaving { cluster, instance, .. }| {
        let tasks = Box::pin(cloud.tasks_on(cluster, scalers, instance)).await;
        Standing { cluster: cluster.clone(), instance: instance.clone(), tasks }
    }))
    .await
}

fn clusters_of(config: &Config) -> BTreeSet<&ClusterName> {
    config.workers.iter().map(|worker| &worker.cluster).collect()
}

/// The draining instances that hooks of ours hold. Costs nothing where the configuration names none.
pub(super) async fn held(
    reads: &Reads<'_>,
    config: &Config,
) -> BTreeMap<ClusterName, Read<Vec<Held>>> {
    if config.draining.hook.is_none() || !reads.context.answers_hooks {
        return BTreeMap::new();
    }
    let cloud = &reads.cloud.until(Instant::now() + IN_TIME);
    let clusters = join_all(clusters_of(config).into_iter().map(async |cluster| {
        let held = apart(Box::pin(held_in(cloud, reads, cluster))).await;
        (cluster.clone(), held)
    }));
    clusters.await.into_iter().collect()
}

async fn held_in(cloud: &ReadCloud, reads: &Reads<'_>, cluster: &ClusterName) -> Read<Vec<Held>> {
    let draining = cloud.draining(cluster).await?;
    let held = draining.into_iter().filter_map(|it| Held::of(it, reads.context.scaler));
    let held: Vec<_> = held.collect();
    if held.is_empty() {
        return Ok(held);
    }
    // What some worker has read in any case may be enough.
    let is_read = reads.tasks.is_begun(cluster);
    let tasks = if is_read { Some(reads.read_tasks(cluster).await) } else { None };
    let tasks = tasks.as_deref().and_then(|read| read.as_ref().ok());
    let held = join_all(held.into_iter().map(async |held| {
        if tasks.is_some_and(|tasks| still_needed(tasks, &held).is_some()) {
            return held;
        }
        let tasks = cloud.tasks_on(cluster, &reads.scalers, &held.arn);
        let tasks = Some(apart(Box::pin(tasks)).await);
        Held { tasks, ..held }
    }));
    Ok(held.await)
}
