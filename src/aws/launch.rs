//! The calls that start tasks: `RunTask`, where ECS places them, and `StartTask`, where we do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_ecs::operation::run_task;
use aws_sdk_ecs::operation::run_task::builders::RunTaskFluentBuilder;
use aws_sdk_ecs::operation::start_task::builders::StartTaskFluentBuilder;
use aws_sdk_ecs::types::{
    AssignPublicIp, AwsVpcConfiguration, CapacityProviderStrategyItem, Failure as EcsFailure,
    LaunchType, NetworkConfiguration, PlacementConstraint, PlacementStrategy, PropagateTags,
    Tag as EcsTag, Task as EcsTask,
};

use serde_json::json;

use super::WriteCloud;
use super::pace::{About, GaveUp, Rate, SdkOrTime};
use super::tasks::timestamp;
use super::wire::MoreMembers;
use super::words::Words;
use decision::config::{self, AwsVpc, Launch, PublicIp, Rung};
use decision::outcome::{StartedTask, TaskFailure};
use decision::plan::{ClientToken, Marks, NetworkMode, Pin, RunsOn, TaskOverrides};
use decision::refusal::Cause;
use decision::snapshot::{CallError, ErrorKind};
use decision::tags;
use decision::units::{ClusterName, InstanceArn, RevisionArn, TaskArn, Tasks};

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
    /// What the tasks have otherwise than the revision says.
    pub overrides: Option<&'a TaskOverrides>,
    /// Whether the network settings go with it.
    pub network_mode: NetworkMode,
    /// Where the revision can run.
    pub runs_on: RunsOn,
    /// On which capacity.
    pub rung: &'a Rung,
    /// The only instance it may place on, and the call's number among the worker's, where our own
    /// scheduler places.
    pub pin: Option<(&'a Pin, usize)>,
}

/// One `StartTask` call.
#[derive(Clone, Copy, Debug)]
pub struct StartTasks<'a> {
    /// Where.
    pub cluster: &'a ClusterName,
    /// One task on each, at most ten.
    pub on: &'a [InstanceArn],
    /// An exact revision.
    pub revision: &'a RevisionArn,
    /// `startedBy`, `group` and tags.
    pub marks: &'a Marks,
    /// The call's number among the worker's.
    pub number: usize,
    /// The operator's own settings.
    pub launch: &'a Launch,
    /// What the tasks have otherwise than the revision says.
    pub overrides: Option<&'a TaskOverrides>,
    /// Whether the network settings go with it.
    pub network_mode: NetworkMode,
}

/// What a `RunTask` call placed and what it did not. Both may hold something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Started {
    /// The tasks that were placed.
    pub tasks: Vec<StartedTask>,
    /// Why others were not.
    pub failures: Vec<TaskFailure>,
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
    /// Starts up to ten tasks.
    ///
    /// # Errors
    /// When ECS refuses the call as a whole; what it placed in part is not an error.
    pub async fn run_tasks(&self, run: RunTasks<'_>) -> Result<Started, RunTaskError> {
        let subject = run.revision.family_and_revision();
        let about = About { operation: "RunTask", subject, rate: Rate::ClusterChange };
        let rates = self.defaults.rates(&run);
        let call = request(&self.ecs, run);
        let members = members(run.launch, run.overrides);
        let send = async || call.clone().customize().interceptor(members.clone()).send().await;
        let answer = self.pace.call_with_permits(about, &rates, send).await;
        let answer = answer.map_err(|error| refused(about, error))?;
        if *run.rung == Rung::ClusterDefault {
            self.defaults.learn(run.cluster, answer.tasks());
            if rates.is_empty() {
                self.take_afterwards(about, self.defaults.rates(&run)).await;
            }
        }
        let started = started(about, answer.tasks(), answer.failures(), &self.pace.words);
        started.map_err(RunTaskError::Call)
    }

    /// What was taken before anybody knew from where is deducted, so that the next call waits for it.
    async fn take_afterwards(&self, about: About<'_>, rates: Vec<(Rate, usize)>) {
        for (rate, permits) in rates {
            drop(self.pace.wait_for(About { rate, ..about }, permits).await);
        }
    }

    /// Starts one task on each of some instances. The API has no token, so that a call is made once:
    /// again only where ECS says that nothing was done.
    ///
    /// # Errors
    /// When ECS refuses the call as a whole; what it placed in part is not an error.
    pub async fn start_tasks(&self, start: StartTasks<'_>) -> Result<Started, CallError> {
        let subject = start.revision.family_and_revision();
        let about = About { operation: "StartTask", subject, rate: Rate::ClusterChange };
        let call = start_request(&self.ecs, start);
        let members = members(start.launch, start.overrides);
        let send = async || call.clone().customize().interceptor(members.clone()).send().await;
        let answer = self.pace.call(about, send).await;
        let answer = answer.map_err(|error| error.into_call_error(about))?;
        started(about, answer.tasks(), answer.failures(), &self.pace.words)
    }
}

/// Which of Fargate's rates the tasks of a cluster's default capacity take from, as far as its answers
/// have shown. A default may be of both kinds.
#[derive(Clone, Debug, Default)]
pub(super) struct Defaults(Arc<Mutex<BTreeMap<ClusterName, BTreeSet<Rate>>>>);

impl Defaults {
    /// The rates of Fargate that a call takes from, and how much of each.
    fn rates(&self, run: &RunTasks<'_>) -> Vec<(Rate, usize)> {
        let kinds = match run.rung.is_fargate() {
            Some(true) if run.rung.is_spot() => BTreeSet::from([Rate::SpotTasks]),
            Some(true) => BTreeSet::from([Rate::OnDemandTasks]),
            Some(false) => BTreeSet::new(),
            None => self.of(run),
        };
        let count = usize::try_from(run.count.0).unwrap_or(usize::MAX);
        let call = (!kinds.is_empty()).then_some((Rate::FargateCalls, 1));
        kinds.into_iter().map(|rate| (rate, count)).chain(call).collect()
    }

    /// Before the first answer, the definition says it: one for Fargate alone runs nowhere else.
    fn of(&self, run: &RunTasks<'_>) -> BTreeSet<Rate> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (known.get(run.cluster), run.runs_on) {
            (Some(known), _) if !known.is_empty() => known.clone(),
            (_, RunsOn::Fargate) => BTreeSet::from([Rate::OnDemandTasks]),
            (_, RunsOn::Anything) => BTreeSet::new(),
        }
    }

    /// By where the tasks of an answer were placed.
    fn learn(&self, cluster: &ClusterName, tasks: &[EcsTask]) {
        let on_fargate = tasks.iter().filter(|t| t.launch_type() == Some(&LaunchType::Fargate));
        let rates = on_fargate.map(|task| match task.capacity_provider_name() {
            Some("FARGATE_SPOT") => Rate::SpotTasks,
            _ => Rate::OnDemandTasks,
        });
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(cluster.clone()).or_default().extend(rates);
    }
}

/// What was placed and what was not. An answer that names neither may be the rest of another.
fn started(
    about: About<'_>,
    tasks: &[EcsTask],
    failures: &[EcsFailure],
    words: &Words,
) -> Result<Started, CallError> {
    if tasks.is_empty() && failures.is_empty() {
        return Err(about.error("the answer names no task and no failure", ErrorKind::Unanswered));
    }
    let task = |task: &EcsTask| {
        let created = task.created_at().and_then(timestamp);
        let instance = task.container_instance_arn().map(InstanceArn::from);
        task.task_arn().map(|arn| StartedTask { arn: TaskArn::from(arn), created, instance })
    };
    Ok(Started {
        tasks: tasks.iter().filter_map(task).collect(),
        failures: failures.iter().map(|failure| failed(failure, words)).collect(),
    })
}

/// What it means is judged by the whole of its words.
fn failed(failure: &EcsFailure, words: &Words) -> TaskFailure {
    let reason = failure.reason().unwrap_or("no reason given");
    TaskFailure {
        cause: Cause::of_failure(reason, failure.detail()),
        reason: words.redacted(reason),
        detail: failure.detail().map(|detail| words.redacted(detail)),
        instance: failure.arn().filter(|arn| arn.contains(INSTANCE)).map(InstanceArn::from),
    }
}

/// In the ARN of every container instance. Source: ECS developer guide, "Amazon Resource Names".
const INSTANCE: &str = ":container-instance/";

fn refused(about: About<'_>, error: GaveUp<run_task::RunTaskError>) -> RunTaskError {
    if let SdkOrTime::Sdk(error) = &error.last
        && let Some(run_task::RunTaskError::ConflictException(conflict)) = error.as_service_error()
    {
        let arns = conflict.resource_ids().iter().map(|arn| TaskArn::from(arn.as_str()));
        return RunTaskError::Conflict(arns.collect());
    }
    RunTaskError::Call(error.into_call_error(about))
}

fn request(ecs: &aws_sdk_ecs::Client, run: RunTasks<'_>) -> RunTaskFluentBuilder {
    let Launch {
        rungs: _,
        platform_version,
        network,
        placement_constraints,
        placement_strategy,
        placement: _,
        enable_ecs_managed_tags,
        enable_execute_command,
        propagate_tags,
        // They are among the marks.
        tags: _,
        // They are sent as they are.
        volumes: _,
        overrides: _,
    } = run.launch;
    let network = network.as_ref().filter(|_| run.network_mode == NetworkMode::AwsVpc);
    let platform_version =
        platform_version.clone().filter(|_| run.rung.is_fargate() != Some(false));
    // What the operator asks for was looked at when the instance was chosen.
    let constraints = match run.pin {
        Some((pin, _)) => Some(vec![pinned(pin)]),
        None => some(placement_constraints.iter().map(constraint)),
    };
    let request = ecs
        .run_task()
        .cluster(run.cluster.as_str())
        .task_definition(run.revision.as_str())
        .count(i32::try_from(run.count.0).unwrap_or(i32::MAX))
        .client_token(run.token.as_str())
        .started_by(run.marks.scaler.as_str())
        .group(&run.marks.group)
        .set_tags(Some(tags(run.marks, run.pin.map(|(_, number)| number))))
        .set_platform_version(platform_version)
        .set_network_configuration(network.and_then(network_configuration))
        .set_placement_constraints(constraints)
        .set_placement_strategy(some(placement_strategy.iter().map(strategy)))
        .enable_ecs_managed_tags(*enable_ecs_managed_tags)
        .enable_execute_command(*enable_execute_command)
        .set_propagate_tags(propagated(*propagate_tags));
    match run.rung {
        Rung::ClusterDefault => request,
        Rung::LaunchType(name) => request.launch_type(LaunchType::from(name.as_str())),
        Rung::CapacityProvider(name) => {
            let item = CapacityProviderStrategyItem::builder().capacity_provider(name).weight(1);
            request.set_capacity_provider_strategy(item.build().ok().map(|item| vec![item]))
        }
    }
}

fn start_request(ecs: &aws_sdk_ecs::Client, start: StartTasks<'_>) -> StartTaskFluentBuilder {
    let launch = start.launch;
    let network = launch.network.as_ref().filter(|_| start.network_mode == NetworkMode::AwsVpc);
    ecs.start_task()
        .cluster(start.cluster.as_str())
        .set_container_instances(Some(start.on.iter().map(ToString::to_string).collect()))
        .task_definition(start.revision.as_str())
        .started_by(start.marks.scaler.as_str())
        .group(&start.marks.group)
        .set_tags(Some(tags(start.marks, Some(start.number))))
        .set_network_configuration(network.and_then(network_configuration))
        .enable_ecs_managed_tags(launch.enable_ecs_managed_tags)
        .enable_execute_command(launch.enable_execute_command)
        .set_propagate_tags(propagated(launch.propagate_tags))
}

/// What is sent as it was planned, without the SDK's types in between.
fn members(launch: &Launch, overrides: Option<&TaskOverrides>) -> MoreMembers {
    let overrides = overrides.map(|overrides| ("overrides", overrides.document().clone()));
    let volumes = Some(json!(launch.volumes)).filter(|_| !launch.volumes.is_empty());
    let volumes = volumes.map(|volumes| ("volumeConfigurations", volumes));
    overrides.into_iter().chain(volumes).collect()
}

fn tags(marks: &Marks, call: Option<usize>) -> Vec<EcsTag> {
    let call = call.map(|call| EcsTag::builder().key(tags::CALL).value(call.to_string()).build());
    let marks = marks.tags.iter().map(|t| EcsTag::builder().key(&t.key).value(&t.value).build());
    marks.chain(call).collect()
}

fn propagated(tags: config::PropagateTags) -> Option<PropagateTags> {
    match tags {
        config::PropagateTags::No => None,
        config::PropagateTags::TaskDefinition => Some(PropagateTags::TaskDefinition),
    }
}

/// Source: ECS developer guide, "Create expressions to define container instances", `ec2InstanceId`.
fn pinned(pin: &Pin) -> PlacementConstraint {
    let expression = format!("ec2InstanceId == {}", pin.ec2);
    PlacementConstraint::builder().r#type("memberOf".into()).expression(expression).build()
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
