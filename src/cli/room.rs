//! `room`: the container instances of clusters, what is left of each, and how many tasks they would take.

mod text;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use decision::config::{Filler, Worker};
use decision::decide::{fitting, placed_by_us, short_of};
use decision::definition::Needs;
use decision::event::Tick;
use decision::memory::Remembered;
use decision::snapshot::{Instance, Instances, Newest, Read, Snapshot, TickContext};
use decision::units::{
    ClusterName, CpuUnits, Gpus, InstanceArn, MebiBytes, ScalerName, ServiceName,
};
use futures_util::future::join_all;

pub use self::view::{
    ClusterRoom, DaemonRow, InstanceRow, LackRow, OnRow, RoomView, SizeRoom, State, WorkerRoom,
};
use super::deployment::Deployment;
use super::plan::TICK;
use crate::aws::ReadCloud;
use crate::observe::{read_definitions, with_fresh_instances};
use crate::run::Invocation;
use crate::source::SourceError;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Only this cluster, whether or not a worker has it; else those of all workers.
    pub cluster: Option<ClusterName>,
    /// Only instances that have so much left.
    pub fits: Option<Fits>,
    /// Whether there is no configuration, and so no worker.
    pub no_config: bool,
}

/// What an instance is to have left, as `cpu=1024,memory=2048,gpu=1,port=8080`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fits(pub Needs);

impl FromStr for Fits {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut needs = Needs::default();
        for pair in text.split(',') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let wrong = || format!("`{pair}`: expected {key}= and a whole number");
            let number: u32 = value.trim().parse().map_err(|_| wrong())?;
            let port = || u16::try_from(number).map_err(|_| format!("`{pair}` is no port"));
            match key.trim() {
                "cpu" => needs.cpu = CpuUnits(number),
                "memory" => needs.memory = MebiBytes(number),
                "gpu" => needs.gpus = Gpus(number),
                "port" => drop(needs.tcp.insert(port()?)),
                other => {
                    return Err(format!(
                        "`{other}` is none of cpu (units), memory (MiB), gpu and port"
                    ));
                }
            }
        }
        Ok(Self(needs))
    }
}

/// Reads the instances, and counts what they would take.
///
/// # Errors
/// Where there is neither a cluster that was asked for nor a configuration that names some.
pub async fn room(
    deployment: &Deployment,
    cloud: &ReadCloud,
    asked: &Asked,
    invocation: &Invocation,
) -> Result<RoomView, SourceError> {
    let mut view = RoomView::new(cloud.region(), invocation.now);
    let config = if asked.no_config {
        let note = "no configuration is named, and so no worker is counted";
        view.notes.extend(asked.fits.is_none().then(|| note.to_owned()));
        None
    } else {
        match deployment.scaler.config.current(cloud, invocation.now).await {
            Ok(in_force) => Some(in_force.config),
            Err(error) if asked.cluster.is_none() => return Err(error),
            Err(error) => {
                view.notes.push(format!("no worker is counted: {error}"));
                None
            }
        }
    };
    let is_wanted = |worker: &&Worker| {
        let is_there = asked.cluster.as_ref().is_none_or(|cluster| worker.cluster == *cluster);
        is_there && worker.launch.rungs.iter().any(|rung| rung.is_fargate() != Some(true))
    };
    let workers = config.iter().flat_map(|config| &config.workers).filter(is_wanted);
    let workers: Vec<_> = workers.map(placed_by_us).collect();
    let names = config.as_ref().map(|config| config.scalers(&deployment.scaler.name));
    let names = names.unwrap_or_default();
    let reading = Reading { deployment, cloud, names: &names, workers: &workers };
    let (snapshot, notes) = Box::pin(reading.snapshot(invocation)).await;
    view.notes.extend(notes);
    let of_workers = workers.iter().map(|worker| worker.cluster.clone());
    let clusters: BTreeSet<_> = of_workers.chain(asked.cluster.clone()).collect();
    let daemons = daemons(&workers);
    for cluster in clusters {
        let active = match snapshot.instances.get(&cluster) {
            Some(read) => read.clone(),
            None => cloud
                .active_instances(&cluster)
                .await
                .map(|active| Instances { active, ..Instances::default() }),
        };
        let required = daemons.get(&cluster).cloned().unwrap_or_default();
        let found = Found { active, draining: cloud.draining_instances(&cluster).await };
        view.clusters.push(found.room(&cluster, &required, asked));
    }
    // Who asks which instances have so much asks for no worker.
    if asked.fits.is_none() {
        let counted = workers.iter().filter_map(|worker| of_worker(worker, &snapshot));
        // Of a worker that is refused nobody knows the cluster.
        let refused = config.iter().flat_map(|config| &config.refused).map(WorkerRoom::refused);
        view.workers = counted.chain(refused).collect();
    }
    view.calls = cloud.tally().calls.values().sum();
    Ok(view)
}

/// What is read, for whom.
struct Reading<'a> {
    deployment: &'a Deployment,
    cloud: &'a ReadCloud,
    /// Under which tasks of the workers were started.
    names: &'a [ScalerName],
    workers: &'a [Worker],
}

impl Reading<'_> {
    /// What counts for the room of these workers: their tasks, definitions and instances, no depth; and what is to be
    /// said of it.
    async fn snapshot(&self, invocation: &Invocation) -> (Snapshot, Vec<String>) {
        let Self { deployment, cloud, names, workers } = *self;
        let scaler = &deployment.scaler;
        let context = TickContext {
            scaler: &scaler.name,
            tick: &Tick::Request(TICK.to_owned()),
            delivery: TICK,
            function: &scaler.function,
            checks: true,
            now: invocation.now,
            answers_hooks: false,
            may_overlap: false,
        };
        let mut snapshot = Snapshot::unread(context, cloud.region().clone());
        let remembered = Remembered { knows_ended: true, ..Remembered::default() };
        for cluster in workers.iter().map(|worker| &worker.cluster).collect::<BTreeSet<_>>() {
            let tasks = cloud.tasks(cluster, names, &remembered).await;
            snapshot.tasks.insert(cluster.clone(), tasks);
        }
        snapshot.definitions = Box::pin(read_definitions(cloud, workers.iter())).await;
        let sizes = workers.iter().flat_map(|worker| {
            let sizes = worker.packing.registered_sizes.iter().flatten();
            sizes.map(|n| worker.task_definition.family().variant(*n))
        });
        let sizes = join_all(sizes.collect::<BTreeSet<_>>().into_iter().map(async |family| {
            let newest = cloud.newest_revision(&family).await;
            (family, Newest::Read(newest))
        }));
        snapshot.derived = sizes.await.into_iter().collect();
        let needs_url = |worker: &&Worker| {
            let overrides = worker.launch.overrides.as_ref();
            overrides.is_some_and(|overrides| overrides.needs(Filler::QueueUrl))
        };
        let urls = join_all(workers.iter().filter(needs_url).map(async |worker| {
            let url = cloud.queue_url(&worker.queue).await;
            (worker.name.clone(), url)
        }));
        let mut notes = Vec::new();
        for (worker, url) in urls.await {
            match url {
                Ok(url) => drop(snapshot.urls.insert(worker, url)),
                Err(error) => notes.push(format!("{worker}: {error}")),
            }
        }
        (Box::pin(with_fresh_instances(cloud, snapshot, workers.iter())).await, notes)
    }
}

/// The daemons that some worker of each cluster requires.
fn daemons(workers: &[Worker]) -> BTreeMap<ClusterName, BTreeSet<ServiceName>> {
    let mut required = BTreeMap::<_, BTreeSet<_>>::new();
    for worker in workers {
        let own = worker.launch.placement.iter().flat_map(|own| own.require_daemons.clone());
        required.entry(worker.cluster.clone()).or_default().extend(own);
    }
    required
}

/// The instances of a cluster, as far as they could be read.
struct Found {
    active: Read<Instances>,
    draining: Read<Vec<Instance>>,
}

impl Found {
    fn room(
        self,
        cluster: &ClusterName,
        required: &BTreeSet<ServiceName>,
        asked: &Asked,
    ) -> ClusterRoom {
        let Self { active, draining } = self;
        let has_it = |instance: &&Instance| {
            let fits = |Fits(needs): &Fits| {
                instance.connected && short_of(&instance.remaining, needs).is_none()
            };
            asked.fits.as_ref().is_none_or(fits)
        };
        let mut room = ClusterRoom::new(cluster);
        room.errors.extend(active.as_ref().err().map(ToString::to_string));
        room.errors.extend(draining.as_ref().err().map(ToString::to_string));
        let active = active.unwrap_or_default();
        let draining = draining.unwrap_or_default();
        for service in required {
            if let Some(Err(error)) = active.daemons.get(service) {
                room.errors.push(format!("where {service} runs is not known: {error}"));
            }
        }
        room.active = count(&active.active);
        room.draining = count(&draining);
        for instance in active.active.iter().filter(has_it) {
            let mut row = InstanceRow::of(instance);
            for service in required {
                let runs = active.daemons.get(service).and_then(|read| read.as_ref().ok());
                let runs = runs.map(|on| on.contains(&instance.arn));
                row.daemons.push(DaemonRow { service: service.to_string(), runs });
            }
            room.instances.push(row);
        }
        // Nothing is placed on one that goes away, whatever it has left.
        if asked.fits.is_none() {
            let leaving = draining.iter().map(InstanceRow::of);
            room.instances.extend(leaving.map(|row| InstanceRow { state: State::Draining, ..row }));
        }
        room
    }
}

/// None where its tasks are Fargate's.
fn of_worker(worker: &Worker, snapshot: &Snapshot) -> Option<WorkerRoom> {
    let (name, cluster) = (worker.name.to_string(), Some(worker.cluster.to_string()));
    let sizes = match fitting(worker, snapshot) {
        Ok(sizes) => sizes?,
        Err(blocked) => {
            let error = Some(blocked.to_string());
            return Some(WorkerRoom { worker: name, cluster, sizes: Vec::new(), error });
        }
    };
    let instances = snapshot.instances.get(&worker.cluster).and_then(|read| read.as_ref().ok());
    let ec2 = |arn: &InstanceArn| {
        let found = instances?.active.iter().find(|instance| instance.arn == *arn);
        found.map(|instance| instance.ec2.to_string())
    };
    let sizes = sizes.into_iter().map(|size| SizeRoom::of(size, ec2)).collect();
    Some(WorkerRoom { worker: name, cluster, sizes, error: None })
}

fn count(instances: &[Instance]) -> u64 {
    u64::try_from(instances.len()).unwrap_or(u64::MAX)
}
