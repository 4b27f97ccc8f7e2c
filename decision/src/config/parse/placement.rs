//! `launch.placement`: our own scheduler.

use super::super::form::OneOf;
use super::super::form::names::{ATTRIBUTES, Identifier};
use super::super::form::time::UP_TO_A_DAY;
use super::super::placement::DEFAULT_GRACE;
use super::super::reader::{Fields, ListOf};
use super::super::shape::about;
use super::super::{By, Counted, Placement, Rule};
use crate::units::ServiceName;

/// More are a mistake.
const DAEMONS: ListOf<Identifier> = ListOf { length: 0..=20, of: Identifier(255) };

#[derive(Clone, Copy, PartialEq)]
enum Scheduler {
    LeastTasks,
    Binpack,
    Spread,
}

const SCHEDULERS: OneOf<Scheduler> = OneOf(&[
    ("leastTasks", Scheduler::LeastTasks),
    ("binpack", Scheduler::Binpack),
    ("spread", Scheduler::Spread),
]);

const COUNTED: OneOf<Counted> = OneOf(&[("all", Counted::All), ("worker", Counted::Worker)]);

const PACKED: OneOf<By> = OneOf(&[("memory", By::Memory), ("cpu", By::Cpu)]);

pub(super) fn read_placement(launch: &mut Fields<'_>) -> Option<Placement> {
    let what = about("our own scheduler instead of ECS's, on EC2 instances");
    let mut fields = launch.object("placement", what.defaults_to("ECS places"))?;
    let rule = read_rule(&mut fields);
    let daemons = "services of which a task must run on an instance before it takes any";
    let daemons = fields.list("requireDaemons", &DAEMONS, about(daemons).defaults_to("none"));
    let grace =
        "so long after it joined the cluster, an instance without its daemons is not reported";
    let grace = fields.optional("daemonGrace", UP_TO_A_DAY, about(grace).defaults_to("`5m`"));
    let attributes = about("attributes that an instance must have").defaults_to("none");
    let attributes = fields.optional("attributes", ATTRIBUTES, attributes);
    fields.finish();
    let require_daemons = daemons.into_iter().flatten().map(ServiceName).collect();
    Some(Placement {
        rule: rule?,
        require_daemons,
        daemon_grace: grace.unwrap_or(DEFAULT_GRACE),
        attributes: attributes.unwrap_or_default(),
    })
}

fn read_rule(fields: &mut Fields<'_>) -> Option<Rule> {
    let scheduler = "`leastTasks`: the instance that runs the fewest; `binpack`: the one with the \
                     least left that still fits; `spread`: the Availability Zone with the fewest, \
                     and there the instance with the fewest";
    let scheduler = fields.required("scheduler", SCHEDULERS, scheduler);
    let of = "which tasks count for `leastTasks` and `spread`: all, daemons too, or this worker's";
    let of = fields.optional("of", COUNTED, about(of).defaults_to("`all`"));
    let by = fields.optional("by", PACKED, about("what `binpack` packs").defaults_to("`memory`"));
    if scheduler == Some(Scheduler::Binpack) && fields.has("of") {
        fields.problem("of", "is for `leastTasks` and `spread`; `binpack` counts no tasks");
    }
    if scheduler.is_some_and(|scheduler| scheduler != Scheduler::Binpack) && fields.has("by") {
        fields.problem("by", "is for `binpack`");
    }
    Some(match scheduler? {
        Scheduler::LeastTasks => Rule::LeastTasks(of.unwrap_or_default()),
        Scheduler::Binpack => Rule::Binpack(by.unwrap_or_default()),
        Scheduler::Spread => Rule::Spread(of.unwrap_or_default()),
    })
}
