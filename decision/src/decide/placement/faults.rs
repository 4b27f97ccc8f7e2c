//! Container instances that somebody has to look at. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::config::Config;
use crate::plan::{InstanceFault, Symptom};
use crate::snapshot::{Instance, Instances, Snapshot};
use crate::units::{ClusterName, InstanceArn, ServiceName};

/// An agent loses its connection several times an hour and has it again within minutes.
/// Source: ECS developer guide, "Container agent disconnected".
const LOST_AFTER: Duration = Duration::from_mins(10);

/// The instances that somebody has to look at: those whose agent has been silent for long, and those
/// whose daemons do not come.
pub(in crate::decide) fn faults(
    config: &Config,
    snapshot: &Snapshot,
) -> Option<Vec<InstanceFault>> {
    let read = snapshot.instances.iter();
    let clusters = read.filter_map(|(name, read)| Some((name, read.as_ref().ok()?)));
    let faults = clusters.flat_map(|(cluster, instances)| {
        let daemons = daemons(config, cluster, instances);
        instances.active.iter().flat_map(move |instance| {
            let missing = daemons.iter().filter_map(|d| d.missing_on(instance, snapshot.now));
            let all = lost(instance, snapshot).into_iter().chain(missing);
            let named = all.map(|symptom| InstanceFault {
                cluster: cluster.clone(),
                arn: instance.arn.clone(),
                ec2: instance.ec2.clone(),
                provider: instance.provider.clone(),
                symptom,
            });
            named.collect::<Vec<_>>()
        })
    });
    (!snapshot.instances.is_empty()).then(|| faults.collect())
}

fn lost(instance: &Instance, snapshot: &Snapshot) -> Option<Symptom> {
    let since = *snapshot.disconnected.get(&instance.arn)?;
    let is_lost = !instance.connected && has_passed(LOST_AFTER, since, snapshot.now);
    is_lost.then_some(Symptom::Lost(since))
}

/// A daemon that some worker of the cluster requires, where it could be read.
struct Daemon<'a> {
    name: &'a ServiceName,
    /// The longest that any of the workers waits.
    grace: Duration,
    runs_on: &'a BTreeSet<InstanceArn>,
}

fn daemons<'a>(
    config: &'a Config,
    cluster: &ClusterName,
    instances: &'a Instances,
) -> Vec<Daemon<'a>> {
    let workers = config.workers.iter().filter(|worker| worker.cluster == *cluster);
    let mut required: BTreeMap<&ServiceName, Duration> = BTreeMap::new();
    for placement in workers.filter_map(|worker| worker.launch.placement.as_ref()) {
        for daemon in &placement.require_daemons {
            let grace = required.entry(daemon).or_default();
            *grace = placement.daemon_grace.max(*grace);
        }
    }
    let daemons = required.into_iter().filter_map(|(name, grace)| {
        let runs_on = instances.daemons.get(name)?.as_ref().ok()?;
        Some(Daemon { name, grace, runs_on })
    });
    daemons.collect()
}

impl Daemon<'_> {
    fn missing_on(&self, instance: &Instance, now: Timestamp) -> Option<Symptom> {
        let joined = instance.registered?;
        let is_missing = instance.connected
            && !self.runs_on.contains(&instance.arn)
            && has_passed(self.grace, joined, now);
        is_missing.then(|| Symptom::NoDaemon(self.name.clone(), joined))
    }
}

fn has_passed(time: Duration, since: Timestamp, now: Timestamp) -> bool {
    SignedDuration::try_from(time).is_ok_and(|time| time <= now.duration_since(since))
}
