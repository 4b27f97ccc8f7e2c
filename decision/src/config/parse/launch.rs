//! The `launch` and `capacity` of the file or of a worker, in `RunTask`'s own words.

use serde_json::Value;

use super::super::reader::{Fields, boolean, one_of, text};
use super::super::{
    AwsVpc, Launch, Placement, PlacementConstraint, PlacementStrategy, PropagateTags, PublicIp,
    Rung,
};
use super::placement::read_placement;
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
}

impl LaunchPart {
    /// Reads the two keys of one level.
    pub(super) fn read(level: &mut Fields<'_>) -> Self {
        let capacity = read_capacity(level);
        let Some(mut fields) = level.object("launch") else {
            return Self { capacity, ..Self::default() };
        };
        let launch_types =
            one_of(&[("FARGATE", "FARGATE"), ("EC2", "EC2"), ("EXTERNAL", "EXTERNAL")]);
        let sources = one_of(&[
            ("TASK_DEFINITION", PropagateTags::TaskDefinition),
            ("NONE", PropagateTags::No),
        ]);
        let part = Self {
            launch_type: fields.optional("launchType", launch_types),
            platform_version: fields.optional("platformVersion", text(64)),
            network: read_network(&mut fields),
            constraints: read_constraints(&mut fields),
            strategy: read_strategy(&mut fields),
            placement: read_placement(&mut fields),
            managed_tags: fields.optional("enableECSManagedTags", boolean),
            execute_command: fields.optional("enableExecuteCommand", boolean),
            propagate_tags: fields.optional("propagateTags", sources),
            capacity,
        };
        if part.launch_type.is_some() && part.capacity.is_some() {
            fields.problem(
                "launchType",
                "and `capacity` exclude each other in RunTask; give one of the two",
            );
        }
        fields.finish();
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
        }
    }

    /// The whole, when ECS would take it.
    pub(super) fn checked(self, worker: &Fields<'_>) -> Option<Launch> {
        let rungs = match (self.capacity, self.launch_type) {
            (Some(rungs), _) => rungs,
            (None, Some(launch_type)) => vec![Rung::LaunchType(launch_type.to_owned())],
            (None, None) => vec![Rung::ClusterDefault],
        };
        let launch = Launch {
            rungs,
            platform_version: self.platform_version,
            network: self.network,
            placement_constraints: self.constraints.unwrap_or_default(),
            placement_strategy: self.strategy.unwrap_or_default(),
            placement: self.placement,
            enable_ecs_managed_tags: self.managed_tags.unwrap_or_default(),
            enable_execute_command: self.execute_command.unwrap_or_default(),
            propagate_tags: self.propagate_tags.unwrap_or_default(),
        };
        match launch.refusal() {
            Some(refusal) => {
                worker.problem("launch", refusal);
                None
            }
            None => Some(launch),
        }
    }
}

impl Launch {
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
        let expressions = self.placement_constraints.iter().map(|c| (c, c.expression.as_deref()));
        expressions.into_iter().find_map(|(constraint, expression)| match expression {
            Some(text) => Expression::from(text)
                .flaw()
                .map(|flaw| format!("placementConstraints: `{text}` cannot be read: {flaw}")),
            None if constraint.kind == "memberOf" => {
                Some("placementConstraints: memberOf needs an expression".to_owned())
            }
            None => None,
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

fn read_capacity(level: &mut Fields<'_>) -> Option<Vec<Rung>> {
    let members = level.array("capacity", 1..=5)?;
    let rungs: Vec<_> = members
        .iter()
        .filter_map(|(path, value)| {
            let mut rung = level.member(value, path)?;
            let provider = rung.required("capacityProvider", text(255));
            rung.finish();
            provider.map(Rung::CapacityProvider)
        })
        .collect();
    (rungs.len() == members.len()).then_some(rungs)
}

fn read_network(launch: &mut Fields<'_>) -> Option<AwsVpc> {
    let mut network = launch.object("networkConfiguration")?;
    if !network.has("awsvpcConfiguration") {
        network.problem("awsvpcConfiguration", "is missing");
    }
    let vpc = network.object("awsvpcConfiguration").and_then(|mut fields| {
        let public_ips =
            one_of(&[("ENABLED", PublicIp::Enabled), ("DISABLED", PublicIp::Disabled)]);
        if !fields.has("subnets") {
            fields.problem("subnets", "is missing");
        }
        let subnets = read_texts(&mut fields, "subnets", 1..=16);
        let security_groups = read_texts(&mut fields, "securityGroups", 0..=5);
        let assign_public_ip = fields.optional("assignPublicIp", public_ips);
        fields.finish();
        Some(AwsVpc {
            subnets: subnets?,
            security_groups: security_groups.unwrap_or_default(),
            assign_public_ip: assign_public_ip.unwrap_or_default(),
        })
    });
    network.finish();
    vpc
}

fn read_texts(
    fields: &mut Fields<'_>,
    key: &'static str,
    length: std::ops::RangeInclusive<usize>,
) -> Option<Vec<String>> {
    let members = fields.array(key, length)?;
    let texts = members.iter().filter_map(|(path, value)| fields.member_as(value, path, text(255)));
    Some(texts.collect())
}

fn read_constraints(launch: &mut Fields<'_>) -> Option<Vec<PlacementConstraint>> {
    let read = |mut fields: Fields<'_>| {
        let kinds = one_of(&[("distinctInstance", "distinctInstance"), ("memberOf", "memberOf")]);
        let kind = fields.required("type", kinds);
        let expression = fields.optional("expression", text(2000));
        fields.finish();
        Some(PlacementConstraint { kind: kind?.to_owned(), expression })
    };
    read_each(launch, "placementConstraints", 10, read)
}

fn read_strategy(launch: &mut Fields<'_>) -> Option<Vec<PlacementStrategy>> {
    let read = |mut fields: Fields<'_>| {
        let kinds = one_of(&[("random", "random"), ("spread", "spread"), ("binpack", "binpack")]);
        let kind = fields.required("type", kinds);
        let field = fields.optional("field", text(255));
        fields.finish();
        Some(PlacementStrategy { kind: kind?.to_owned(), field })
    };
    read_each(launch, "placementStrategy", 5, read)
}

fn read_each<T>(
    fields: &mut Fields<'_>,
    key: &'static str,
    most: usize,
    read: impl Fn(Fields<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let members: Vec<(String, &Value)> = fields.array(key, 0..=most)?;
    Some(members.iter().filter_map(|(path, v)| fields.member(v, path).and_then(&read)).collect())
}
