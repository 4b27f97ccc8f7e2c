//! What it takes to let an instance go: to find it, to drain it, to mark it, to stop what stands on
//! it, and to answer the lifecycle hook that holds it.

use aws_sdk_ecs::types::{
    ContainerInstance as EcsInstance, ContainerInstanceStatus, DesiredStatus, Tag as EcsTag,
    Task as EcsTask,
};
use futures_util::future::try_join;

use super::pace::{About, Rate};
use super::signed::{Ask, Request, Service};
use super::stores::encoded;
use super::tasks::{MOST_STOPPED_PAGES, is_of, worker_of};
use super::{ReadCloud, WriteCloud};
use decision::definition::Tag;
use decision::event::Hook;
use decision::refusal::Cause;
use decision::snapshot::{CallError, ErrorKind, Read, Registration, TaskThere};
use decision::units::{ClusterName, Ec2InstanceId, InstanceArn, ScalerName, TaskArn};

/// What became of a wish to drain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drained {
    /// No task is placed on it any more.
    Done,
    /// It is not there any more, in ECS's words.
    Gone(String),
}

/// What Auto Scaling says of a lifecycle hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// It is held, or let go, as asked.
    Done,
    /// It holds nothing: its time was over, or it was completed before. In Auto Scaling's words.
    Over(String),
}

/// A call about a lifecycle hook that holds an instance.
struct LifecycleCall<'a> {
    operation: &'static str,
    hook: &'a Hook,
    instance: &'a Ec2InstanceId,
    /// `LifecycleActionResult`
    result: Option<&'static str>,
}

impl ReadCloud {
    /// What an EC2 instance is in a cluster. More than one where its agent has registered anew.
    ///
    /// # Errors
    /// When the cluster cannot be read.
    pub async fn registrations(
        &self,
        cluster: &ClusterName,
        instance: &Ec2InstanceId,
    ) -> Read<Vec<Registration>> {
        let call = self.ecs.list_container_instances().cluster(cluster.as_str());
        let call = call.filter(format!("ec2InstanceId == {instance}"));
        let subject = &format!("{instance} in {cluster}");
        let listed = self.pages_of_instances(subject, call).await?;
        let mut found = self.described(cluster, &listed).await?;
        found.retain(|registration| registration.ec2 == *instance);
        Ok(found)
    }

    /// The container instances of a cluster that are DRAINING.
    ///
    /// # Errors
    /// When a page or an instance is missing.
    pub async fn draining(&self, cluster: &ClusterName) -> Read<Vec<Registration>> {
        let draining = ContainerInstanceStatus::Draining;
        let listed = self.list_instances(cluster, draining, None).await?;
        self.described(cluster, &listed).await
    }

    async fn described(
        &self,
        cluster: &ClusterName,
        arns: &[InstanceArn],
    ) -> Read<Vec<Registration>> {
        let described = self.describe_instances(cluster, arns).await?;
        let mut found: Vec<_> = described.iter().filter_map(registration).collect();
        found.sort_by(|a, b| a.arn.cmp(&b.arn));
        Ok(found)
    }

    /// Our tasks that stand on a container instance, also those that are on their way out: a
    /// container has its `stopTimeout` after SIGTERM.
    ///
    /// # Errors
    /// When a page or a task is missing: a task would be lost with its instance.
    pub async fn tasks_on(
        &self,
        cluster: &ClusterName,
        scalers: &[ScalerName],
        instance: &InstanceArn,
    ) -> Read<Vec<TaskThere>> {
        let list = |status, most| async move {
            let call = self.ecs.list_tasks().cluster(cluster.as_str());
            let call = call.container_instance(instance.as_str()).desired_status(status);
            self.pages(instance.as_str(), call, most).await
        };
        let running = list(DesiredStatus::Running, usize::MAX);
        let stopped = list(DesiredStatus::Stopped, MOST_STOPPED_PAGES);
        let (running, stopped) = try_join(Box::pin(running), Box::pin(stopped)).await?;
        let described = self.describe_all(cluster, running, stopped.into_iter()).await?;
        let ours = described.values().filter(|task| is_of(scalers, task));
        let mut tasks: Vec<_> = ours.filter_map(task_there).collect();
        tasks.sort();
        Ok(tasks)
    }
}

impl WriteCloud {
    /// Keeps new tasks away from a container instance. What stands there and belongs to no service
    /// is not touched. Source: ECS API, `UpdateContainerInstancesState`.
    ///
    /// # Errors
    /// When ECS refuses.
    pub async fn drain(
        &self,
        cluster: &ClusterName,
        instance: &InstanceArn,
    ) -> Result<Drained, CallError> {
        let (operation, rate) = ("UpdateContainerInstancesState", Rate::ClusterChange);
        let about = About { operation, subject: instance.as_str(), rate };
        let call = self
            .ecs
            .update_container_instances_state()
            .cluster(cluster.as_str())
            .container_instances(instance.as_str())
            .status(ContainerInstanceStatus::Draining);
        let answer = self.pace.call(about, async || call.clone().send().await).await;
        let answer = answer.map_err(|error| error.into_call_error(about))?;
        let Some(failure) = answer.failures().first() else {
            let is_listed = !answer.container_instances().is_empty();
            let nothing = "the answer names no instance and no failure";
            return is_listed
                .then_some(Drained::Done)
                .ok_or_else(|| about.error(nothing, ErrorKind::Unanswered));
        };
        let reason = self.pace.words.redacted(failure.reason().unwrap_or("no reason given"));
        if ["MISSING", "INACTIVE"].contains(&reason.as_str()) {
            return Ok(Drained::Gone(reason));
        }
        let detail = failure.detail().map(|detail| self.pace.words.redacted(detail));
        let detail = detail.map(|detail| format!(" ({detail})")).unwrap_or_default();
        Err(about.error(format!("{reason}{detail}"), ErrorKind::Refused))
    }

    /// Stops a task: its containers get SIGTERM, and SIGKILL after their `stopTimeout`.
    ///
    /// # Errors
    /// When ECS refuses.
    pub async fn stop(
        &self,
        cluster: &ClusterName,
        task: &TaskArn,
        reason: &str,
    ) -> Result<(), CallError> {
        let (operation, rate) = ("StopTask", Rate::ClusterChange);
        let about = About { operation, subject: task.as_str(), rate };
        let call = self.ecs.stop_task().cluster(cluster.as_str()).task(task.as_str());
        let call = call.reason(reason);
        let answer = self.pace.call(about, async || call.clone().send().await).await;
        answer.map(drop).map_err(|error| error.into_call_error(about))
    }

    /// Gives a container instance some tags, instead of those with the same keys.
    ///
    /// # Errors
    /// When ECS refuses.
    pub async fn tag(&self, instance: &InstanceArn, tags: &[Tag]) -> Result<(), CallError> {
        let (operation, rate) = ("TagResource", Rate::TagChange);
        let about = About { operation, subject: instance.as_str(), rate };
        let tags =
            tags.iter().map(|Tag { key, value }| EcsTag::builder().key(key).value(value).build());
        let call = self.ecs.tag_resource().resource_arn(instance.as_str());
        let call = call.set_tags(Some(tags.collect()));
        let answer = self.pace.call(about, async || call.clone().send().await).await;
        answer.map(drop).map_err(|error| error.into_call_error(about))
    }

    /// Lets a hook hold its instance for another `HeartbeatTimeout`.
    ///
    /// # Errors
    /// When Auto Scaling refuses for another reason than that the hook holds nothing.
    pub async fn heartbeat(
        &self,
        hook: &Hook,
        instance: &Ec2InstanceId,
    ) -> Result<Answered, CallError> {
        let operation = "RecordLifecycleActionHeartbeat";
        self.lifecycle(LifecycleCall { operation, hook, instance, result: None }).await
    }

    /// Lets the instance go.
    ///
    /// # Errors
    /// When Auto Scaling refuses for another reason than that the hook holds nothing.
    pub async fn complete(
        &self,
        hook: &Hook,
        instance: &Ec2InstanceId,
    ) -> Result<Answered, CallError> {
        let (operation, result) = ("CompleteLifecycleAction", Some("CONTINUE"));
        self.lifecycle(LifecycleCall { operation, hook, instance, result }).await
    }

    async fn lifecycle(&self, call: LifecycleCall<'_>) -> Result<Answered, CallError> {
        let LifecycleCall { operation, hook, instance, result } = call;
        let subject = &format!("{instance} in {}", hook.group);
        let about = About { operation, subject, rate: Rate::Free };
        let own = [
            ("Action", operation),
            ("Version", VERSION),
            ("AutoScalingGroupName", hook.group.as_str()),
            ("LifecycleHookName", hook.name.as_str()),
            ("InstanceId", instance.as_str()),
        ];
        let result = result.map(|result| ("LifecycleActionResult", result));
        let fields = own.into_iter().chain(result);
        let fields = fields.map(|(key, value)| format!("{key}={}", encoded(value)));
        let ask = Ask::Form(fields.collect::<Vec<_>>().join("&"));
        let (service, path) = (Service::AutoScaling, "/".to_owned());
        let call = self.signed.call(&Request { service, operation, path, ask });
        let call = call.map_err(|why| about.error(why, ErrorKind::Refused))?;
        match self.pace.call(about, async || call.send().await).await {
            Ok(_) => Ok(Answered::Done),
            Err(error) => {
                let error = error.into_call_error(about);
                if error.cause() == Cause::Over {
                    Ok(Answered::Over(error.message))
                } else {
                    Err(error)
                }
            }
        }
    }
}

/// Source: EC2 Auto Scaling API reference, `xmlns` of its answers.
const VERSION: &str = "2011-01-01";

fn registration(instance: &EcsInstance) -> Option<Registration> {
    let tags = instance.tags().iter();
    let tags = tags.filter_map(|tag| Some((tag.key()?.to_owned(), tag.value()?.to_owned())));
    Some(Registration {
        arn: InstanceArn::from(instance.container_instance_arn()?),
        ec2: Ec2InstanceId::from(instance.ec2_instance_id().unwrap_or_default()),
        status: instance.status().unwrap_or_default().to_owned(),
        tags: tags.collect(),
    })
}

fn task_there(task: &EcsTask) -> Option<TaskThere> {
    if task.last_status() == Some("STOPPED") {
        return None;
    }
    Some(TaskThere {
        worker: worker_of(task)?,
        arn: TaskArn::from(task.task_arn()?),
        is_stopping: task.desired_status() == Some("STOPPED"),
    })
}
