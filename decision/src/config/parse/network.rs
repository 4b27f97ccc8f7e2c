//! `launch.networkConfiguration`.

use super::super::form::OneOf;
use super::super::form::names::Id;
use super::super::reader::{Fields, ListOf};
use super::super::shape::about;
use super::super::{AwsVpc, PublicIp};

const PUBLIC_IPS: OneOf<PublicIp> =
    OneOf(&[("ENABLED", PublicIp::Enabled), ("DISABLED", PublicIp::Disabled)]);

/// Source of the limits: ECS API, `AwsVpcConfiguration`.
const SUBNETS: ListOf<Id> = ListOf { length: 1..=16, of: Id("subnet-") };

const SECURITY_GROUPS: ListOf<Id> = ListOf { length: 0..=5, of: Id("sg-") };

pub(super) fn read_network(launch: &mut Fields<'_>) -> Option<AwsVpc> {
    let what = about("where tasks are in the network; Fargate needs it").defaults_to("none");
    let mut network = launch.object("networkConfiguration", what)?;
    if !network.has("awsvpcConfiguration") {
        network.problem("awsvpcConfiguration", "is missing");
    }
    let what = about("sent with definitions of the network mode `awsvpc`").required();
    let vpc = network.object("awsvpcConfiguration", what).and_then(read_vpc);
    network.finish();
    vpc
}

fn read_vpc(mut fields: Fields<'_>) -> Option<AwsVpc> {
    if !fields.has("subnets") {
        fields.problem("subnets", "is missing");
    }
    let what = about("where tasks are; all of one VPC").required();
    let subnets = fields.list("subnets", &SUBNETS, what);
    let what = about("what tasks may reach, and who may reach them");
    let what = what.defaults_to("the VPC's default group");
    let security_groups = fields.list("securityGroups", &SECURITY_GROUPS, what);
    let what = about("whether a task has a public IP address; on Fargate only");
    let assign_public_ip =
        fields.optional("assignPublicIp", PUBLIC_IPS, what.defaults_to("`DISABLED`"));
    warn_of_strange_ids(&fields, "subnets", subnets.as_deref());
    warn_of_strange_ids(&fields, "securityGroups", security_groups.as_deref());
    fields.finish();
    Some(AwsVpc {
        subnets: subnets?,
        security_groups: security_groups.unwrap_or_default(),
        assign_public_ip: assign_public_ip.unwrap_or_default(),
    })
}

/// The example's own are of this kind.
fn warn_of_strange_ids(fields: &Fields<'_>, key: &str, ids: Option<&[String]>) {
    let is_strange = |id: &&String| {
        let digits = id.rsplit('-').next().unwrap_or_default();
        let is_hex = digits.chars().all(|c| c.is_ascii_hexdigit() && !c.is_ascii_uppercase());
        !(is_hex && [8, 17].contains(&digits.len()))
    };
    if let Some(id) = ids.and_then(|ids| ids.iter().find(is_strange)) {
        let message = format!(
            "`{id}` is not an id that EC2 gives, which ends with 8 or 17 hexadecimal digits; is it \
             the example's?"
        );
        fields.warn_of_example(key, &message);
    }
}
