//! `launch.placement`: our own scheduler.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::super::reader::{Fields, one_of, shown};
use super::super::{By, Counted, Placement, Rule};
use super::{duration, identifier};
use crate::units::ServiceName;

/// Daemons of a new instance are on their way for so long.
const DEFAULT_GRACE: Duration = Duration::from_mins(5);

/// More are a mistake.
const MOST_DAEMONS: usize = 20;

#[derive(Clone, Copy, PartialEq)]
enum Scheduler {
    LeastTasks,
    Binpack,
    Spread,
}

pub(super) fn read_placement(launch: &mut Fields<'_>) -> Option<Placement> {
    let mut fields = launch.object("placement")?;
    let schedulers = one_of(&[
        ("leastTasks", Scheduler::LeastTasks),
        ("binpack", Scheduler::Binpack),
        ("spread", Scheduler::Spread),
    ]);
    let scheduler = fields.required("scheduler", schedulers);
    let of = fields.optional("of", one_of(&[("all", Counted::All), ("worker", Counted::Worker)]));
    let by = fields.optional("by", one_of(&[("memory", By::Memory), ("cpu", By::Cpu)]));
    if scheduler == Some(Scheduler::Binpack) && fields.has("of") {
        fields.problem("of", "is for leastTasks and spread; binpack counts no tasks");
    }
    if scheduler.is_some_and(|scheduler| scheduler != Scheduler::Binpack) && fields.has("by") {
        fields.problem("by", "is for binpack");
    }
    let daemons = fields.array("requireDaemons", 0..=MOST_DAEMONS).unwrap_or_default();
    let service = |(path, value): &(String, &Value)| {
        fields.member_as(value, path, identifier(255)).map(ServiceName)
    };
    let require_daemons = daemons.iter().filter_map(service).collect();
    let daemon_grace = fields.optional("daemonGrace", duration).unwrap_or(DEFAULT_GRACE);
    let attributes = fields.optional("attributes", attributes).unwrap_or_default();
    fields.finish();
    let rule = match scheduler? {
        Scheduler::LeastTasks => Rule::LeastTasks(of.unwrap_or_default()),
        Scheduler::Binpack => Rule::Binpack(by.unwrap_or_default()),
        Scheduler::Spread => Rule::Spread(of.unwrap_or_default()),
    };
    Some(Placement { rule, require_daemons, daemon_grace, attributes })
}

/// Source of the limits: ECS API, `Attribute`.
fn attributes(value: &Value) -> Result<BTreeMap<String, String>, String> {
    let allowed = "it must be an object of attributes and their values, such as \
                   {ecs.instance-type: c7g.large}";
    let object = value.as_object().ok_or(allowed)?;
    let pairs = object.iter().map(|(name, value)| {
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-_/\\.".contains(c);
        let is_value = |c: char| is_name(c) || "@: ".contains(c);
        let text = value.as_str().filter(|text| {
            (1..=128).contains(&text.len()) && text.chars().all(is_value) && text.trim() == *text
        });
        match text {
            Some(text) if (1..=128).contains(&name.len()) && name.chars().all(is_name) => {
                Ok((name.clone(), text.to_owned()))
            }
            _ => Err(format!(
                "and `{name}: {}` in it is none; names have up to 128 letters, digits and `-_./\\`, \
                 values also `@`, `:` and spaces inside",
                shown(value)
            )),
        }
    });
    pairs.collect()
}
