//! Tasks and task definitions.

use std::collections::BTreeSet;

use aws_sdk_ecs::error::SdkError;
use aws_sdk_ecs::operation::run_task;
use aws_sdk_ecs::operation::run_task::builders::RunTaskFluentBuilder;
use aws_sdk_ecs::types::{
    AssignPublicIp, AwsVpcConfiguration, CapacityProviderStrategyItem, LaunchType,
    NetworkConfiguration, PlacementConstraint, PlacementStrategy, PropagateTags, Tag as EcsTag,
    TaskDefinitionField,
};
use futures_util::future::try_join_all;
use serde_json::Value;

use super::wire::{AnswerBody, RequestBody};
use super::{ReadCloud, call_error};
use crate::config::{self, AwsVpc, Launch, PublicIp, Rung};
use crate::definition::{TaskDefinition, redacted};
use crate::plan::{ClientToken, Marks, NetworkMode};
use crate::snapshot::{CallError, ContainerStatus, Read, ReadError, Task};
use crate::units::{
    ClusterName, Family, RevisionArn, ScalerName, TaskArn, TaskDefinitionRef, Tasks, WorkerName,
};
use crate::variant::Variant;

/// Source: ECS API, `DescribeTasksRequest.tasks`.
const MOST_TASKS_A_DESCRIBE: usize = 100;

impl ReadCloud {
    /// The tasks of this scaler that ECS does not want stopped, whatever they have reached. The
    /// `recent` ones are asked for by name, listed or not, and taken for starting where ECS does
    /// not know them yet.
    ///
    /// # Errors
    /// When a page or a task is missing: a part of the list would look like fewer tasks.
    pub async fn tasks(
        &self,
        cluster: &ClusterName,
        scaler: &ScalerName,
        recent: &[Task],
    ) -> Read<Vec<Task>> {
        // `startedBy` allows no other filter; `desiredStatus` is RUNNING when it is not given.
        // Source: ECS API, `ListTasksRequest.startedBy`.
        let pages = self.ecs.list_tasks().cluster(cluster.as_str()).started_by(scaler.as_str());
        let arns: Result<Vec<String>, _> = pages.into_paginator().items().send().collect().await;
        let mut arns = arns.map_err(|error| call_error("ListTasks", cluster.as_str(), &error))?;
        arns.extend(recent.iter().map(|task| task.arn.0.clone()));
        arns.sort_unstable();
        arns.dedup();
        let hundreds = arns.chunks(MOST_TASKS_A_DESCRIBE);
        let described = hundreds.map(|arns| self.describe_tasks(cluster, arns, recent));
        Ok(try_join_all(described).await?.into_iter().flatten().collect())
    }

    async fn describe_tasks(
        &self,
        cluster: &ClusterName,
        arns: &[String],
        recent: &[Task],
    ) -> Read<Vec<Task>> {
        let call = self.ecs.describe_tasks().cluster(cluster.as_str());
        let answer = call
            .set_tasks(Some(arns.to_vec()))
            .send()
            .await
            .map_err(|error| call_error("DescribeTasks", cluster.as_str(), &error))?;
        let known: BTreeSet<_> = answer.tasks().iter().filter_map(|task| task.task_arn()).collect();
        let (missing, unknown): (Vec<_>, Vec<_>) = arns
            .iter()
            .filter(|arn| !known.contains(arn.as_str()))
            .map(|arn| recent.iter().find(|task| task.arn.0 == *arn))
            .partition(Option::is_none);
        if !missing.is_empty() {
            let (missing, all) = (missing.len(), arns.len());
            return Err(ReadError::Answer {
                operation: "DescribeTasks",
                what: format!("{missing} of {all} listed tasks are not in it"),
            });
        }
        let wanted = |task: &&aws_sdk_ecs::types::Task| task.desired_status() != Some("STOPPED");
        let described = answer.tasks().iter().filter(wanted).filter_map(read_task);
        Ok(described.chain(unknown.into_iter().flatten().cloned()).collect())
    }

    /// A task definition as the operator names it.
    ///
    /// # Errors
    /// When it is not there, has no ACTIVE revision, or may not be read.
    pub async fn definition(&self, name: &TaskDefinitionRef) -> Read<TaskDefinition> {
        let found = self.describe_definition(name.as_str()).await?;
        found.ok_or_else(|| {
            let call = CallError {
                operation: "DescribeTaskDefinition",
                subject: name.to_string(),
                code: Some(UNKNOWN_DEFINITION.to_owned()),
                message: "there is no such revision, or the family has no ACTIVE one; register it \
                          or correct taskDefinition"
                    .to_owned(),
                request_id: None,
            };
            ReadError::Call(call)
        })
    }

    /// The newest ACTIVE revision of a family, if it has one.
    ///
    /// # Errors
    /// When it may not be read.
    pub async fn newest_revision(&self, family: &Family) -> Read<Option<TaskDefinition>> {
        let found = self.describe_definition(family.as_str()).await?;
        Ok(found.filter(TaskDefinition::is_active))
    }

    async fn describe_definition(&self, name: &str) -> Read<Option<TaskDefinition>> {
        let body = AnswerBody::default();
        let answer = self
            .ecs
            .describe_task_definition()
            .task_definition(name)
            .include(TaskDefinitionField::Tags)
            .customize()
            .interceptor(body.clone())
            .send()
            .await;
        if let Err(error) = answer {
            let error = call_error("DescribeTaskDefinition", name, &error);
            let unknown = error.code.as_deref() == Some(UNKNOWN_DEFINITION);
            return if unknown { Ok(None) } else { Err(error.into()) };
        }
        let answer = body.json();
        let member = |name| answer.get(name).unwrap_or(&Value::Null);
        TaskDefinition::parse(member("taskDefinition"), member("tags")).map(Some).map_err(|what| {
            let what = format!("{what} ({name})");
            ReadError::Answer { operation: "DescribeTaskDefinition", what }
        })
    }
}

/// "Unable to describe task definition."
const UNKNOWN_DEFINITION: &str = "ClientException";

/// A task without a `worker:` group is none that a worker is waiting for.
fn read_task(task: &aws_sdk_ecs::types::Task) -> Option<Task> {
    let containers = task.containers().iter().map(|container| {
        let status = match container.last_status() {
            Some("RUNNING") => ContainerStatus::Running,
            Some("STOPPED") => ContainerStatus::Stopped,
            _ => ContainerStatus::Starting,
        };
        (container.name().unwrap_or_default().to_owned(), status)
    });
    Some(Task {
        arn: TaskArn::from(task.task_arn()?),
        worker: WorkerName::from(task.group()?.strip_prefix("worker:")?),
        revision: RevisionArn::from(task.task_definition_arn()?),
        containers: containers.collect(),
    })
}

/// The calls that change something.
#[derive(Clone, Debug)]
pub struct WriteCloud {
    ecs: aws_sdk_ecs::Client,
}

/// One `RunTask` call.
#[derive(Clone, Copy, Debug)]
pub struct RunTasks<'a> {
    /// Where.
    pub cluster: &'a ClusterName,
    /// An exact revision: a family would race with its next registration.
    pub revision: &'a RevisionArn,
    /// One to ten.
    pub count: Tasks,
    /// What makes a repetition harmless.
    pub token: &'a ClientToken,
    /// `startedBy`, `group` and tags.
    pub marks: &'a Marks,
    /// The operator's own settings.
    pub launch: &'a Launch,
    /// Whether the network settings go with it.
    pub network_mode: NetworkMode,
    /// On which capacity.
    pub rung: &'a Rung,
}

/// What a `RunTask` call placed and what it did not. Both may hold something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Started {
    /// The tasks that were placed.
    pub tasks: Vec<TaskArn>,
    /// Why others were not.
    pub failures: Vec<TaskFailure>,
}

/// One of `failures[]`. Its reason is an open text.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct TaskFailure {
    /// Such as `RESOURCE:MEMORY`, `AGENT` or `Capacity is unavailable at this time`.
    pub reason: String,
    /// More of it, where ECS tells more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// A `RunTask` call that started nothing now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunTaskError {
    /// Its token was used with other parameters: these tasks exist already.
    Conflict(Vec<TaskArn>),
    /// Anything else.
    Call(CallError),
}

impl WriteCloud {
    pub(super) fn new(ecs: aws_sdk_ecs::Client) -> Self {
        Self { ecs }
    }

    /// Registers a derived definition and gives its revision.
    ///
    /// # Errors
    /// When ECS refuses it. The message holds nothing of the definition's values.
    pub async fn register(&self, variant: &Variant) -> Result<RevisionArn, CallError> {
        let operation = "RegisterTaskDefinition";
        let answer = self
            .ecs
            .register_task_definition()
            .family(variant.family.as_str())
            .customize()
            .interceptor(RequestBody::new(&variant.document))
            .send()
            .await
            .map_err(|error| {
                let error = call_error(operation, variant.family.as_str(), &error);
                CallError { message: redacted(&error.message, &variant.document), ..error }
            })?;
        let arn = answer.task_definition().and_then(|definition| definition.task_definition_arn());
        arn.map(RevisionArn::from).ok_or_else(|| CallError {
            operation,
            subject: variant.family.to_string(),
            code: None,
            message: "the answer names no revision".to_owned(),
            request_id: None,
        })
    }

    /// Makes a revision INACTIVE. Tasks that run it are not touched.
    ///
    /// # Errors
    /// When ECS refuses.
    pub async fn deregister(&self, revision: &RevisionArn) -> Result<(), CallError> {
        let call = self.ecs.deregister_task_definition().task_definition(revision.as_str());
        let operation = "DeregisterTaskDefinition";
        call.send()
            .await
            .map(drop)
            .map_err(|error| call_error(operation, revision.family_and_revision(), &error))
    }

    /// Starts up to ten tasks.
    ///
    /// # Errors
    /// When ECS refuses the call as a whole; what it placed in part is no error.
    pub async fn run_tasks(&self, run: RunTasks<'_>) -> Result<Started, RunTaskError> {
        let answer = request(&self.ecs, run).send().await.map_err(|error| refused(run, &error))?;
        let reason = |text: Option<&str>| text.unwrap_or("no reason given").to_owned();
        Ok(Started {
            tasks: answer.tasks().iter().filter_map(|t| t.task_arn()).map(TaskArn::from).collect(),
            failures: answer
                .failures()
                .iter()
                .map(|failure| TaskFailure {
                    reason: reason(failure.reason()),
                    detail: failure.detail().map(str::to_owned),
                })
                .collect(),
        })
    }
}

fn refused(run: RunTasks<'_>, error: &SdkError<run_task::RunTaskError>) -> RunTaskError {
    if let Some(run_task::RunTaskError::ConflictException(conflict)) = error.as_service_error() {
        let arns = conflict.resource_ids().iter().map(|arn| TaskArn::from(arn.as_str()));
        return RunTaskError::Conflict(arns.collect());
    }
    RunTaskError::Call(call_error("RunTask", run.revision.family_and_revision(), error))
}

fn request(ecs: &aws_sdk_ecs::Client, run: RunTasks<'_>) -> RunTaskFluentBuilder {
    let Launch {
        rungs: _,
        platform_version,
        network,
        placement_constraints,
        placement_strategy,
        enable_ecs_managed_tags,
        enable_execute_command,
        propagate_tags,
    } = run.launch;
    let network = network.as_ref().filter(|_| run.network_mode == NetworkMode::AwsVpc);
    let platform_version =
        platform_version.clone().filter(|_| run.rung.is_fargate() != Some(false));
    let tags = run.marks.tags.iter().map(|t| EcsTag::builder().key(&t.key).value(&t.value).build());
    let request = ecs
        .run_task()
        .cluster(run.cluster.as_str())
        .task_definition(run.revision.as_str())
        .count(i32::try_from(run.count.0).unwrap_or(i32::MAX))
        .client_token(run.token.as_str())
        .started_by(run.marks.scaler.as_str())
        .group(&run.marks.group)
        .set_tags(Some(tags.collect()))
        .set_platform_version(platform_version)
        .set_network_configuration(network.and_then(network_configuration))
        .set_placement_constraints(some(placement_constraints.iter().map(constraint)))
        .set_placement_strategy(some(placement_strategy.iter().map(strategy)))
        .enable_ecs_managed_tags(*enable_ecs_managed_tags)
        .enable_execute_command(*enable_execute_command);
    let request = match propagate_tags {
        config::PropagateTags::No => request,
        config::PropagateTags::TaskDefinition => {
            request.propagate_tags(PropagateTags::TaskDefinition)
        }
    };
    match run.rung {
        Rung::ClusterDefault => request,
        Rung::LaunchType(name) => request.launch_type(LaunchType::from(name.as_str())),
        Rung::CapacityProvider(name) => {
            let item = CapacityProviderStrategyItem::builder().capacity_provider(name).weight(1);
            request.set_capacity_provider_strategy(item.build().ok().map(|item| vec![item]))
        }
    }
}

/// A list that is not sent when it is empty.
fn some<T>(items: impl Iterator<Item = T>) -> Option<Vec<T>> {
    Some(items.collect::<Vec<_>>()).filter(|items| !items.is_empty())
}

fn network_configuration(vpc: &AwsVpc) -> Option<NetworkConfiguration> {
    let vpc = AwsVpcConfiguration::builder()
        .set_subnets(Some(vpc.subnets.clone()))
        .set_security_groups(some(vpc.security_groups.iter().cloned()))
        .assign_public_ip(match vpc.assign_public_ip {
            PublicIp::Enabled => AssignPublicIp::Enabled,
            PublicIp::Disabled => AssignPublicIp::Disabled,
        });
    let vpc = vpc.build().ok()?;
    Some(NetworkConfiguration::builder().awsvpc_configuration(vpc).build())
}

fn constraint(constraint: &config::PlacementConstraint) -> PlacementConstraint {
    PlacementConstraint::builder()
        .r#type(constraint.kind.as_str().into())
        .set_expression(constraint.expression.clone())
        .build()
}

fn strategy(strategy: &config::PlacementStrategy) -> PlacementStrategy {
    PlacementStrategy::builder()
        .r#type(strategy.kind.as_str().into())
        .set_field(strategy.field.clone())
        .build()
}
