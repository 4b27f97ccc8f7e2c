//! Container instances that somebody has to look at. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::config::Config;
use crate::plan::{InstanceTrouble, Trouble};
use crate::snapshot::{Instance, Instances, Lost, Snapshot};
use crate::units::{ClusterName, ServiceName};

/// An agent loses its connection several times an hour and has it again within minutes.
/// Source: ECS developer guide, "Container agent disconnected".
const LOST_AFTER: Duration = Duration::from_mins(10);

/// The instances that somebody has to look at: those whose agent has been silent for long, and those
/// whose daemons do not come.
pub(in crate::decide) fn troubles(
    config: &Config,
    snapshot: &Snapshot,
) -> Option<Vec<InstanceTrouble>> {
    let clusters =
        snapshot.instances.iter().filter_map(|(name, read)| Some((name, read.as_ref().ok()?)));
    let troubles = clusters.flat_map(|(cluster, instances)| {
        let lost = instances.active.iter().filter_map(|instance| lost(instance, snapshot));
        let waiting = without_daemons((config, snapshot), (cluster, instances));
        let troubles: Vec<_> = lost.chain(waiting).collect();
        troubles.into_iter().map(|trouble| InstanceTrouble { cluster: cluster.clone(), trouble })
    });
    (!snapshot.instances.is_empty()).then(|| troubles.collect())
}

fn lost(instance: &Instance, snapshot: &Snapshot) -> Option<Trouble> {
    let since = *snapshot.disconnected.get(&instance.arn)?;
    let is_lost = !instance.connected && has_passed(LOST_AFTER, since, snapshot.now);
    let (arn, ec2) = (instance.arn.clone(), instance.ec2.clone());
    is_lost.then_some(Trouble::Lost(Lost { arn, ec2, since }))
}

fn without_daemons(
    (config, snapshot): (&Config, &Snapshot),
    (cluster, instances): (&ClusterName, &Instances),
) -> Vec<Trouble> {
    let mut required: BTreeMap<&ServiceName, Duration> = BTreeMap::new();
    for worker in config.workers.iter().filter(|worker| worker.cluster == *cluster) {
        let Some(placement) = &worker.launch.placement else { continue };
        for daemon in &placement.require_daemons {
            let grace = required.entry(daemon).or_default();
            *grace = placement.daemon_grace.max(*grace);
        }
    }
    let known = |daemon| instances.daemons.get(daemon).and_then(|read| read.as_ref().ok());
    let known =
        required.into_iter().filter_map(|(daemon, grace)| Some((daemon, grace, known(daemon)?)));
    let troubles = known.flat_map(|(daemon, grace, runs)| {
        let without = instances.active.iter().filter(|i| i.connected && !runs.contains(&i.arn));
        without.filter_map(move |instance| {
            let registered = instance.registered?;
            has_passed(grace, registered, snapshot.now).then(|| Trouble::NoDaemon {
                arn: instance.arn.clone(),
                ec2: instance.ec2.clone(),
                daemon: daemon.clone(),
                registered,
            })
        })
    });
    troubles.collect()
}

fn has_passed(time: Duration, since: Timestamp, now: Timestamp) -> bool {
    SignedDuration::try_from(time).is_ok_and(|time| time <= now.duration_since(since))
}
