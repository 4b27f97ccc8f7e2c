//! Container instances and what they would take, as programs get it.

use std::collections::BTreeSet;

use decision::config::Refused;
use decision::decide::Fitting;
use decision::snapshot::Instance;
use decision::units::{ClusterName, InstanceArn, Region};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::page::short_id;

/// The name of this shape.
const SCHEMA: &str = "queue-scaler.room";

/// Grows when a field gets another meaning or goes away, never when one is added.
const VERSION: u32 = 1;

/// Ports that ECS takes on every instance for itself.
/// Source: ECS API, `ContainerInstance.remainingResources` and `PortMapping.hostPort`.
const OF_ECS: [u16; 6] = [22, 2375, 2376, 51_678, 51_679, 51_680];

/// The container instances of clusters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoomView {
    /// `queue-scaler.room`
    pub schema: String,
    /// Which version of this shape it is.
    pub version: u32,
    /// The Region that was read.
    pub region: String,
    /// When, in UTC.
    pub at: String,
    /// The clusters, by name.
    pub clusters: Vec<ClusterRoom>,
    /// The workers whose tasks go on instances; none with `--fits`.
    pub workers: Vec<WorkerRoom>,
    /// What else somebody should know.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub notes: Vec<String>,
    /// Calls that were made for it.
    pub calls: u64,
}

/// The instances of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterRoom {
    /// Its name.
    pub cluster: String,
    /// Instances that are ACTIVE.
    pub active: u64,
    /// Instances that are DRAINING.
    pub draining: u64,
    /// All of them; with `--fits` those that have so much left.
    pub instances: Vec<InstanceRow>,
    /// What could not be read.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub errors: Vec<String>,
}

/// A container instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceRow {
    /// The end of its ARN.
    pub instance: String,
    /// Its machine.
    pub ec2: String,
    /// Its Availability Zone.
    pub zone: String,
    /// Whether it takes tasks.
    pub state: State,
    /// Tasks that it runs or is about to run, of everybody.
    pub tasks: u64,
    /// CPU units that it has.
    pub cpu: u64,
    /// Of these, the ones that nobody has reserved.
    pub cpu_left: u64,
    /// MiB that it has.
    pub memory: u64,
    /// Of these, the ones that nobody has reserved.
    pub memory_left: u64,
    /// GPUs that it has.
    pub gpus: u64,
    /// Of these, the ones that nobody has reserved.
    pub gpus_left: u64,
    /// TCP ports that tasks have taken.
    pub tcp_taken: BTreeSet<u16>,
    /// UDP ports that tasks have taken.
    pub udp_taken: BTreeSet<u16>,
    /// The daemons that workers of the cluster require.
    pub daemons: Vec<DaemonRow>,
    /// Whose capacity it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity_provider: Option<String>,
}

/// Whether an instance takes tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// It does.
    Active,
    /// Its agent is not connected.
    Disconnected,
    /// It goes away.
    Draining,
}

/// A daemon of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DaemonRow {
    /// Its service.
    pub service: String,
    /// Whether a task of it runs there; absent where that could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runs: Option<bool>,
}

/// Room for the tasks of a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkerRoom {
    /// Its name.
    pub worker: String,
    /// Where its tasks run; absent where the configuration refuses the worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// One a size that its tasks may have.
    pub sizes: Vec<SizeRoom>,
    /// Why that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Room for tasks of one size, if nothing else were started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SizeRoom {
    /// Worker containers in a task.
    pub containers_per_task: u64,
    /// CPU units that one needs.
    pub cpu: u64,
    /// MiB that one needs.
    pub memory: u64,
    /// GPUs that one needs.
    pub gpus: u64,
    /// How many there is room for.
    pub tasks: u64,
    /// Where.
    pub on: Vec<OnRow>,
    /// What the instances lack for one more.
    pub lacks: Vec<LackRow>,
}

/// Tasks that an instance would take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OnRow {
    /// The end of its ARN.
    pub instance: String,
    /// Its machine.
    pub ec2: String,
    /// How many it would take.
    pub tasks: u64,
}

/// What instances lack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LackRow {
    /// As it follows a number of instances.
    pub why: String,
    /// How many instances.
    pub instances: u64,
}

impl RoomView {
    pub(super) fn new(region: &Region, now: Timestamp) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            version: VERSION,
            region: region.to_string(),
            at: now.to_string(),
            clusters: Vec::new(),
            workers: Vec::new(),
            notes: Vec::new(),
            calls: 0,
        }
    }

    /// Whether something could not be read.
    pub fn is_incomplete(&self) -> bool {
        let of_cluster = self.clusters.iter().any(|cluster| !cluster.errors.is_empty());
        of_cluster || self.workers.iter().any(|worker| worker.error.is_some())
    }
}

impl WorkerRoom {
    pub(super) fn refused(refused: &Refused) -> Self {
        let problems: Vec<_> = refused.problems.iter().map(ToString::to_string).collect();
        let error = Some(format!("refused by the configuration: {}", problems.join("; ")));
        Self { worker: refused.worker.to_string(), cluster: None, sizes: Vec::new(), error }
    }
}

impl ClusterRoom {
    pub(super) fn new(cluster: &ClusterName) -> Self {
        let cluster = cluster.to_string();
        Self { cluster, active: 0, draining: 0, instances: Vec::new(), errors: Vec::new() }
    }
}

impl InstanceRow {
    pub(super) fn of(instance: &Instance) -> Self {
        let Instance { arn, ec2, connected, whole, remaining, tasks, provider, .. } = instance;
        let own = |ports: &BTreeSet<u16>| {
            ports.iter().filter(|port| !OF_ECS.contains(port)).copied().collect()
        };
        Self {
            instance: short_id(arn.as_str()).to_owned(),
            ec2: ec2.to_string(),
            zone: instance.zone().to_owned(),
            state: if *connected { State::Active } else { State::Disconnected },
            tasks: u64::from(tasks.0),
            cpu: u64::from(whole.cpu.0),
            cpu_left: u64::from(remaining.cpu.0),
            memory: u64::from(whole.memory.0),
            memory_left: u64::from(remaining.memory.0),
            gpus: u64::from(whole.gpus.0),
            gpus_left: u64::from(remaining.gpus.0),
            tcp_taken: own(&remaining.tcp_taken),
            udp_taken: own(&remaining.udp_taken),
            daemons: Vec::new(),
            capacity_provider: provider.clone(),
        }
    }
}

impl SizeRoom {
    pub(super) fn of(fitting: Fitting, ec2: impl Fn(&InstanceArn) -> Option<String>) -> Self {
        let Fitting { containers_per_task, needs, on, lacks } = fitting;
        let tasks = on.values().map(|tasks| u64::from(tasks.0)).sum();
        let on = on.into_iter().map(|(arn, tasks)| OnRow {
            instance: short_id(arn.as_str()).to_owned(),
            ec2: ec2(&arn).unwrap_or_default(),
            tasks: u64::from(tasks.0),
        });
        let lacks = lacks.into_iter().map(|(lack, instances)| LackRow {
            why: lack.to_string(),
            instances: u64::try_from(instances).unwrap_or(u64::MAX),
        });
        Self {
            containers_per_task: u64::from(containers_per_task.0),
            cpu: u64::from(needs.cpu.0),
            memory: u64::from(needs.memory.0),
            gpus: u64::from(needs.gpus.0),
            tasks,
            on: on.collect(),
            lacks: lacks.collect(),
        }
    }
}
