//! Tasks, as ECS lists and describes them.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ecs::operation::list_tasks::builders::ListTasksFluentBuilder;
use aws_sdk_ecs::primitives::DateTime;
use aws_sdk_ecs::types::{DesiredStatus, EphemeralStorage, Task as EcsTask, TaskField};
use futures_util::future::{try_join, try_join_all};
use jiff::Timestamp;

use super::ReadCloud;
use super::pace::{About, Rate};
use decision::fargate::{Architecture, OperatingSystem, Platform, TaskSize};
use decision::memory::Remembered;
use decision::snapshot::{
    Capacity, ClusterTasks, ContainerStatus, Ended, EndedContainer, Read, ReadError, Task,
    TaskShape,
};
use decision::units::{
    ClusterName, CpuUnits, GibiBytes, InstanceArn, MebiBytes, RevisionArn, ScalerName, ServiceName,
    TaskArn, WorkerName,
};
use decision::{limits, tags};

/// Pages of stopped tasks that are read, a hundred each: it is a sample of what became of the last
/// launches, and others' tasks are in it too.
pub(super) const MOST_STOPPED_PAGES: usize = 10;

impl ReadCloud {
    /// The tasks of the scaler, by all its names. Beside those that ECS lists, the ones that this process remembers
    /// are asked for by name; a new one that ECS does not know yet is taken for starting. A process
    /// that does not know what became of earlier launches reads the stopped ones too.
    ///
    /// # Errors
    /// When a page or a task is missing: a part of the list would look like fewer tasks.
    pub async fn tasks(
        &self,
        cluster: &ClusterName,
        scalers: &[ScalerName],
        remembered: &Remembered,
    ) -> Read<ClusterTasks> {
        let stopped = async {
            if remembered.knows_ended { Ok(Vec::new()) } else { self.list_stopped(cluster).await }
        };
        let listed = try_join_all(scalers.iter().map(|scaler| self.list(cluster, scaler)));
        let (listed, stopped) = try_join(Box::pin(listed), Box::pin(stopped)).await?;
        let listed = listed.into_iter().flatten().collect();
        let by_name = remembered.tasks.iter().map(|task| task.arn.0.clone());
        let described =
            Box::pin(self.describe_all(cluster, listed, stopped.into_iter().chain(by_name)))
                .await?;
        let unknown = |task: &&Task| {
            !described.contains_key(&task.arn.0) && remembered.new.contains(&task.arn)
        };
        let unknown: Vec<_> = remembered.tasks.iter().filter(unknown).cloned().collect();
        let of_ours = described.values().filter(|task| is_of(scalers, task));
        let (wanted, unwanted): (Vec<_>, Vec<_>) =
            of_ours.partition(|task| task.desired_status() != Some("STOPPED"));
        let (ended, leaving): (Vec<_>, Vec<_>) =
            unwanted.into_iter().partition(|task| has_ended(task));
        Ok(ClusterTasks {
            alive: wanted
                .into_iter()
                .filter_map(|task| read_alive(task, scalers))
                .chain(unknown)
                .collect(),
            leaving: leaving.into_iter().filter_map(read_task).collect(),
            ended: self.in_words(ended.into_iter().filter_map(read_ended)),
            presumed: Vec::new(),
            news: BTreeSet::new(),
        })
    }

    /// The same with AWS's words as they may be shown, by all that is known so far.
    pub fn in_words(&self, ended: impl IntoIterator<Item = Ended>) -> Vec<Ended> {
        let redacted = |ended: Ended| {
            let words = &self.pace.words;
            let container = |container: EndedContainer| {
                let reason = container.reason.map(|reason| words.redacted(&reason));
                EndedContainer { reason, ..container }
            };
            Ended {
                code: words.redacted(&ended.code),
                reason: words.redacted(&ended.reason),
                containers: ended.containers.into_iter().map(container).collect(),
                ..ended
            }
        };
        ended.into_iter().map(redacted).collect()
    }

    /// `startedBy` allows no other filter; `desiredStatus` is RUNNING when it is not given.
    /// Source: ECS API, `ListTasksRequest.startedBy`.
    pub(super) async fn list(
        &self,
        cluster: &ClusterName,
        scaler: &ScalerName,
    ) -> Read<Vec<String>> {
        let call = self.ecs.list_tasks().cluster(cluster.as_str()).started_by(scaler.as_str());
        self.pages(cluster.as_str(), call, usize::MAX).await
    }

    /// ECS keeps them for an hour. Source: ECS developer guide, "Stopped tasks error messages".
    pub(super) async fn list_stopped(&self, cluster: &ClusterName) -> Read<Vec<String>> {
        let call = self.ecs.list_tasks().cluster(cluster.as_str());
        let call = call.desired_status(DesiredStatus::Stopped);
        self.pages(cluster.as_str(), call, MOST_STOPPED_PAGES).await
    }

    /// The revisions that tasks of a cluster run, whoever has started them.
    ///
    /// # Errors
    /// When a page is missing.
    #[cfg(feature = "cli")]
    pub async fn revisions_in_use(&self, cluster: &ClusterName) -> Read<BTreeSet<RevisionArn>> {
        let mut listed = Vec::new();
        // Those that ECS wants stopped may still run.
        for status in [DesiredStatus::Running, DesiredStatus::Stopped] {
            let call = self.ecs.list_tasks().cluster(cluster.as_str()).desired_status(status);
            listed.extend(self.pages(cluster.as_str(), call, usize::MAX).await?);
        }
        // Some may have been forgotten since.
        let described = self.describe_all(cluster, Vec::new(), listed.into_iter()).await?;
        let running = described.values().filter(|task| !has_ended(task));
        Ok(running
            .filter_map(|task| Some(RevisionArn::from(task.task_definition_arn()?)))
            .collect())
    }

    /// The tasks of a service that ECS does not want stopped.
    pub(super) async fn tasks_of_service(
        &self,
        cluster: &ClusterName,
        service: &ServiceName,
    ) -> Read<Vec<EcsTask>> {
        let call = self.ecs.list_tasks().cluster(cluster.as_str()).service_name(service.as_str());
        let subject = &format!("service {service} of {cluster}");
        let listed = self.pages(subject, call, usize::MAX).await?;
        let described = self.describe_all(cluster, listed, std::iter::empty()).await?;
        Ok(described.into_values().collect())
    }

    pub(super) async fn pages(
        &self,
        subject: &str,
        call: ListTasksFluentBuilder,
        most: usize,
    ) -> Read<Vec<String>> {
        let about = About { operation: "ListTasks", subject, rate: Rate::ClusterRead };
        let page = async |token| {
            let page = call.clone().set_next_token(token).send().await;
            page.map(|page| (page.task_arns, page.next_token))
        };
        Ok(self.pace.pages(about, most, page).await?)
    }

    /// Some tasks that were listed, and others that may be gone, by ARN.
    ///
    /// # Errors
    /// When a listed one is missing: a part of the tasks would look like fewer tasks.
    pub(super) async fn describe_all(
        &self,
        cluster: &ClusterName,
        listed: Vec<String>,
        others: impl Iterator<Item = String>,
    ) -> Read<BTreeMap<String, EcsTask>> {
        let listed: BTreeSet<_> = listed.into_iter().collect();
        let described: BTreeSet<_> = listed.iter().cloned().chain(others).collect();
        let described: Vec<_> = described.into_iter().collect();
        let hundreds = described.chunks(limits::TASKS_PER_DESCRIBE);
        let described = try_join_all(hundreds.map(|arns| self.describe(cluster, arns))).await?;
        let described: BTreeMap<_, _> = described.into_iter().flatten().collect();
        match listed.iter().filter(|arn| !described.contains_key(*arn)).count() {
            0 => Ok(described),
            missing => Err(ReadError::Answer {
                operation: "DescribeTasks",
                what: format!("{missing} of {} listed tasks are not in it", listed.len()),
            }),
        }
    }

    async fn describe(
        &self,
        cluster: &ClusterName,
        arns: &[String],
    ) -> Read<Vec<(String, EcsTask)>> {
        let subject = cluster.as_str();
        let about = About { operation: "DescribeTasks", subject, rate: Rate::ClusterRead };
        let call = self.ecs.describe_tasks().cluster(subject).set_tasks(Some(arns.to_vec()));
        let call = call.include(TaskField::Tags);
        let answer = self.pace.call(about, async || call.clone().send().await).await;
        let tasks = answer.map_err(|error| error.into_call_error(about))?.tasks.unwrap_or_default();
        let named = tasks.into_iter().filter_map(|task| Some((task.task_arn()?.to_owned(), task)));
        Ok(named.collect())
    }
}

/// Whether one of these has started a task.
pub(super) fn is_of(scalers: &[ScalerName], task: &EcsTask) -> bool {
    scalers.iter().any(|scaler| task.started_by() == Some(scaler.as_str()))
}

/// A task without a `worker:` group is none that a worker is waiting for.
pub(super) fn worker_of(task: &EcsTask) -> Option<WorkerName> {
    Some(WorkerName::from(task.group()?.strip_prefix("worker:")?))
}

fn read_task(task: &EcsTask) -> Option<Task> {
    let containers = task.containers().iter().map(|container| {
        let status = match container.last_status() {
            Some("RUNNING") => ContainerStatus::Running,
            Some("STOPPED") => ContainerStatus::Stopped(container.exit_code()),
            _ => ContainerStatus::Starting,
        };
        (container.name().unwrap_or_default().to_owned(), status)
    });
    Some(Task {
        arn: TaskArn::from(task.task_arn()?),
        worker: worker_of(task)?,
        revision: RevisionArn::from(task.task_definition_arn()?),
        containers: containers.collect(),
        created: task.created_at().and_then(timestamp),
        started: task.started_at().and_then(timestamp),
        tick: tag(task, tags::TICK).and_then(|tick| tick.parse().ok()),
        container: tag(task, tags::CONTAINER).map(str::to_owned),
        function: None,
        instance: task.container_instance_arn().map(InstanceArn::from),
        capacity: capacity(task),
        provisioning: task.last_status() == Some("PROVISIONING"),
        shape: shape(task),
    })
}

/// Under a name that the scaler had before, another function is who started it.
fn read_alive(task: &EcsTask, scalers: &[ScalerName]) -> Option<Task> {
    let is_of_this_name = is_of(scalers.get(..1).unwrap_or_default(), task);
    let function = tag(task, tags::FUNCTION).filter(|_| is_of_this_name);
    Some(Task { function: function.map(str::to_owned), ..read_task(task)? })
}

/// Source: ECS API, `Task`: `cpu` and `memory` are numbers as texts, and the architecture is an attribute.
fn shape(task: &EcsTask) -> Option<TaskShape> {
    let cpu = CpuUnits(task.cpu()?.parse().ok()?);
    let memory = MebiBytes(task.memory()?.parse().ok()?);
    let family = task.platform_family().unwrap_or_default();
    let is_windows = family.to_lowercase().starts_with("windows");
    let attributes = task.attributes().iter();
    let mut of_cpu = attributes.filter(|attribute| attribute.name() == "ecs.cpu-architecture");
    let is_arm = of_cpu.any(|attribute| attribute.value() == Some("arm64"));
    let storage = task.ephemeral_storage().map(EphemeralStorage::size_in_gib);
    Some(TaskShape {
        size: TaskSize { cpu, memory },
        storage: GibiBytes(storage.and_then(|size| u32::try_from(size).ok()).unwrap_or_default()),
        platform: Platform {
            system: if is_windows { OperatingSystem::Windows } else { OperatingSystem::Linux },
            architecture: if is_arm { Architecture::Arm } else { Architecture::X86 },
        },
    })
}

fn capacity(task: &EcsTask) -> Capacity {
    Capacity {
        provider: task.capacity_provider_name().map(str::to_owned),
        launch_type: task.launch_type().map(|name| name.as_str().to_owned()),
    }
}

/// The value of a tag of a task.
pub(super) fn tag<'a>(task: &'a EcsTask, key: &str) -> Option<&'a str> {
    task.tags().iter().find(|tag| tag.key() == Some(key))?.value()
}

/// Whether a task has come to its end; one that is only on its way there may have no exit codes yet.
fn has_ended(task: &EcsTask) -> bool {
    task.last_status() == Some("STOPPED")
}

fn read_ended(task: &EcsTask) -> Option<Ended> {
    let (created, started) = (task.created_at(), task.started_at());
    let stopped = task.stopped_at().or(task.stopping_at()).or(started).or(created)?;
    let containers = task.containers().iter().map(|container| EndedContainer {
        name: container.name().unwrap_or_default().to_owned(),
        exit: container.exit_code(),
        reason: container.reason().map(str::to_owned),
    });
    Some(Ended {
        arn: TaskArn::from(task.task_arn()?),
        worker: worker_of(task)?,
        revision: RevisionArn::from(task.task_definition_arn()?),
        created: created.and_then(timestamp),
        started: started.and_then(timestamp),
        stopped: timestamp(stopped)?,
        code: task.stop_code().map(|code| code.as_str().to_owned()).unwrap_or_default(),
        reason: task.stopped_reason().unwrap_or_default().to_owned(),
        containers: containers.collect(),
        tick: tag(task, tags::TICK).and_then(|tick| tick.parse().ok()),
        container: tag(task, tags::CONTAINER).map(str::to_owned),
        capacity: capacity(task),
    })
}

/// A time as ECS gives it.
pub(super) fn timestamp(time: &DateTime) -> Option<Timestamp> {
    let nanoseconds = i32::try_from(time.subsec_nanos()).ok()?;
    Timestamp::new(time.secs(), nanoseconds).ok()
}
