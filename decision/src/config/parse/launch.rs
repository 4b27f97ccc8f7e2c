//! The `launch` and `capacity` of the file or of a worker, in `RunTask`'s own words.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::form::names::TAGS;
use super::super::form::{Boolean, Form, OneOf, Text, Wrong};
use super::super::reader::Fields;
use super::super::shape::about;
use super::super::{
    AwsVpc, Launch, Overrides, Placement, PlacementConstraint, PlacementStrategy, PropagateTags,
    PublicIp, Rung, VolumeConfiguration,
};
use super::ecs_placement::{read_constraints, read_strategy};
use super::network::read_network;
use super::overrides::read_overrides;
use super::placement::read_placement;
use super::volumes::read_volumes;
use crate::document::Node;
use crate::units::Expression;

/// `launch` and `capacity` as far as one level of the file gives them.
#[derive(Clone, Default)]
pub(super) struct LaunchPart {
    launch_type: Option<&'static str>,
    capacity: Option<Vec<Rung>>,
    platform_version: Option<String>,
    network: Option<AwsVpc>,
    constraints: Option<Vec<PlacementConstraint>>,
    strategy: Option<Vec<PlacementStrategy>>,
    placement: Option<Placement>,
    managed_tags: Option<bool>,
    execute_command: Option<bool>,
    propagate_tags: Option<PropagateTags>,
    tags: Option<BTreeMap<String, String>>,
    volumes: Option<Vec<VolumeConfiguration>>,
    overrides: Option<Overrides>,
    /// Whether a mistake of it is reported: what follows from that is not reported again.
    is_flawed: bool,
}

const LAUNCH_TYPES: OneOf<&str> =
    OneOf(&[("FARGATE", "FARGATE"), ("EC2", "EC2"), ("EXTERNAL", "EXTERNAL")]);

/// The same, and a word on what is none of them though ECS has it.
struct LaunchType;

impl Form for LaunchType {
    type Value = &'static str;

    fn read(&self, node: &Node) -> Result<&'static str, Wrong> {
        match node.as_str() {
            Some("MANAGED_INSTANCES") => {
                Err("ECS Managed Instances are a capacity provider: name it in `capacity`".into())
            }
            _ => LAUNCH_TYPES.read(node),
        }
    }

    fn allowed(&self) -> String {
        LAUNCH_TYPES.allowed()
    }

    fn schema(&self) -> Value {
        LAUNCH_TYPES.schema()
    }
}

/// What `RunTask` takes and `launch` does not, and where it is said instead.
const ELSEWHERE: [(&str, &str); 9] = [
    (
        "capacityProviderStrategy",
        "is `capacity` here, beside `launch`: a list of providers, of which each gets what those \
         before it cannot place",
    ),
    ("cluster", "is `cluster` of the worker or of the file"),
    ("taskDefinition", "is `taskDefinition` of the worker"),
    ("count", "follows from the queue: see `scaling` and `packing.maxTasks`"),
    ("startedBy", "is SCALER_NAME, by which the scaler finds its tasks"),
    ("group", "is `worker:` and the worker's name, by which the scaler knows its tasks"),
    (
        "clientToken",
        "is the scaler's own, for each call of a tick: a repetition starts nothing twice",
    ),
    ("referenceId", "is for ECS's own use"),
    ("containerInstances", "is what `launch.placement` chooses"),
];

const TAG_SOURCES: OneOf<PropagateTags> =
    OneOf(&[("TASK_DEFINITION", PropagateTags::TaskDefinition), ("NONE", PropagateTags::No)]);

impl LaunchPart {
    /// Reads the two keys of one level.
    pub(super) fn read(level: &mut Fields<'_>) -> Self {
        let before = level.reading().count();
        let capacity = read_capacity(level);
        let what = about("what each `RunTask` call says, under its own names");
        let part = level.object("launch", what).map(|mut fields| {
            let part = Self::of_launch(&mut fields);
            if part.launch_type.is_some() && capacity.is_some() {
                let message =
                    "RunTask takes `launchType` or `capacity`, not both; give one of the two";
                fields.problem("launchType", message);
            }
            fields.finish();
            part
        });
        let is_flawed = before < level.reading().count();
        Self { capacity, is_flawed, ..part.unwrap_or_default() }
    }

    fn of_launch(fields: &mut Fields<'_>) -> Self {
        let launch_type = about("where tasks run").defaults_to("the cluster's default capacity");
        let version =
            about("which version of Fargate; on EC2 it has no meaning").defaults_to("`LATEST`");
        let managed =
            about("whether ECS adds `aws:ecs:clusterName` to the task").defaults_to("`false`");
        let exec =
            about("whether `ecs execute-command` may enter the task, which needs a task role");
        let exec = exec.defaults_to("`false`");
        let tags =
            about("whether tasks get the tags of their task definition").defaults_to("`NONE`");
        let own_tags = about("tags of tasks beside the scaler's own, such as for cost allocation");
        let own_tags = own_tags.defaults_to("none");
        let part = Self {
            launch_type: fields.optional("launchType", LaunchType, launch_type),
            platform_version: fields.optional("platformVersion", Text(64), version),
            network: read_network(fields),
            constraints: read_constraints(fields),
            strategy: read_strategy(fields),
            placement: read_placement(fields),
            managed_tags: fields.optional("enableECSManagedTags", Boolean, managed),
            execute_command: fields.optional("enableExecuteCommand", Boolean, exec),
            propagate_tags: fields.optional("propagateTags", TAG_SOURCES, tags),
            tags: fields.optional("tags", TAGS, own_tags),
            volumes: read_volumes(fields),
            overrides: read_overrides(fields),
            ..Self::default()
        };
        for (key, instead) in ELSEWHERE {
            fields.refuses(key, instead);
        }
        let launch_type = part.launch_type.filter(|launch_type| *launch_type != "FARGATE");
        if let (Some(launch_type), Some(_)) = (launch_type, &part.platform_version) {
            fields
                .warn("platformVersion", &format!("has no meaning with launchType {launch_type}"));
        }
        part
    }

    /// This level's words over those of the level above it. A way to launch that is given here
    /// (`launchType` or `capacity`) replaces both of above.
    pub(super) fn over(self, above: &Self) -> Self {
        let above = above.clone();
        let chosen_here = self.launch_type.is_some() || self.capacity.is_some();
        // What is said once for all that run on EC2 is nothing to those that do not.
        let elsewhere = chosen_here && self.launch_type != Some("EC2");
        Self {
            launch_type: self.launch_type.or(above.launch_type.filter(|_| !chosen_here)),
            capacity: self.capacity.or(above.capacity.filter(|_| !chosen_here)),
            platform_version: self.platform_version.or(above.platform_version),
            network: self.network.or(above.network),
            constraints: self.constraints.or(above.constraints),
            strategy: self.strategy.or(above.strategy),
            placement: self.placement.or(above.placement.filter(|_| !elsewhere)),
            managed_tags: self.managed_tags.or(above.managed_tags),
            execute_command: self.execute_command.or(above.execute_command),
            propagate_tags: self.propagate_tags.or(above.propagate_tags),
            tags: self.tags.or(above.tags),
            volumes: self.volumes.or(above.volumes),
            overrides: self.overrides.or(above.overrides),
            is_flawed: self.is_flawed || above.is_flawed,
        }
    }

    /// The whole, when ECS would take it.
    pub(super) fn checked(self, worker: &Fields<'_>) -> Option<Launch> {
        let is_flawed = self.is_flawed;
        let launch = self.whole();
        if let Some(refusal) = launch.refusal() {
            if !is_flawed {
                worker.problem("launch", &refusal);
            }
            return None;
        }
        let is_public = |network: &AwsVpc| network.assign_public_ip == PublicIp::Enabled;
        if launch.network.as_ref().is_some_and(is_public) && launch.is_never_fargate() {
            let message = "assignPublicIp is ENABLED, which ECS takes on Fargate only: a task with \
                           the network mode awsvpc would never start";
            worker.warn("launch", message);
        }
        Some(launch)
    }

    fn whole(self) -> Launch {
        let rungs = match (self.capacity, self.launch_type) {
            (Some(rungs), _) => rungs,
            (None, Some(launch_type)) => vec![Rung::LaunchType(launch_type.to_owned())],
            (None, None) => vec![Rung::ClusterDefault],
        };
        Launch {
            rungs,
            platform_version: self.platform_version,
            network: self.network,
            placement_constraints: self.constraints.unwrap_or_default(),
            placement_strategy: self.strategy.unwrap_or_default(),
            placement: self.placement,
            enable_ecs_managed_tags: self.managed_tags.unwrap_or_default(),
            enable_execute_command: self.execute_command.unwrap_or_default(),
            propagate_tags: self.propagate_tags.unwrap_or_default(),
            tags: self.tags.unwrap_or_default(),
            volumes: self.volumes.unwrap_or_default(),
            overrides: self.overrides,
        }
    }
}

impl Launch {
    /// Whether its launch type says that no task of it runs on Fargate.
    fn is_never_fargate(&self) -> bool {
        let is_other = |rung: &Rung| matches!(rung, Rung::LaunchType(name) if name != "FARGATE");
        self.rungs.iter().all(is_other)
    }

    /// What `RunTask` would refuse, or our own scheduler cannot do.
    fn refusal(&self) -> Option<String> {
        self.refused_by_run_task().map(str::to_owned).or_else(|| self.refused_by_placement())
    }

    fn refused_by_placement(&self) -> Option<String> {
        self.placement.as_ref()?;
        if self.rungs != [Rung::LaunchType("EC2".to_owned())] {
            return Some(
                "placement needs launchType: EC2; Fargate has no instances, and on a capacity \
                 provider ECS places"
                    .to_owned(),
            );
        }
        if !self.placement_strategy.is_empty() {
            return Some("placement and placementStrategy exclude each other".to_owned());
        }
        let expressions = self.placement_constraints.iter().filter_map(|c| c.expression.as_deref());
        expressions.into_iter().find_map(|text| {
            let flaw = Expression::from(text).flaw()?;
            Some(format!("placementConstraints: `{text}` cannot be read: {flaw}"))
        })
    }

    fn refused_by_run_task(&self) -> Option<&'static str> {
        let fargate = self.rungs.iter().any(|rung| rung.is_fargate() == Some(true));
        let placed = !(self.placement_constraints.is_empty() && self.placement_strategy.is_empty());
        if fargate && self.network.is_none() {
            return Some("Fargate needs networkConfiguration.awsvpcConfiguration with its subnets");
        }
        if fargate && placed {
            return Some("Fargate takes no placementConstraints and no placementStrategy");
        }
        None
    }
}

/// Weights inside a rung would give the ladder a second meaning.
const NO_MIX: &str = "is not for a rung, which is one provider: it gets what those before it cannot place. \
                      For a mix by weights leave out capacity and launchType, and give the cluster a \
                      default capacity provider strategy";

fn read_capacity(level: &mut Fields<'_>) -> Option<Vec<Rung>> {
    let before = level.reading().count();
    let what = about("capacity providers: what the first cannot place is tried on the next");
    let what = what.defaults_to("`launch.launchType`").tag("capacity");
    let members = level.objects("capacity", 1..=5, what)?;
    let provider = |mut rung: Fields<'_>| {
        let what = "its name, such as `FARGATE_SPOT`";
        let provider = rung.required("capacityProvider", Text(255), what);
        for key in ["weight", "base"] {
            rung.refuses(key, NO_MIX);
        }
        rung.finish();
        provider.map(Rung::CapacityProvider)
    };
    let rungs: Vec<_> = members.into_iter().filter_map(provider).collect();
    (before == level.reading().count()).then_some(rungs)
}
