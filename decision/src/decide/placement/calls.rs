//! The calls for tasks that have their instances: the first takes the tick. Pure.

use super::{Ask, TickClaim};
use crate::limits;
use crate::plan::{Call, ClientToken, Pin, Way};
use crate::snapshot::Instance;
use crate::units::{InstanceArn, Tasks};

/// The calls of a launch, of which the first takes the tick.
pub(super) struct Numbering(pub(super) TickClaim);

impl Numbering {
    /// The next calls, for one task on each of these instances.
    pub(super) fn calls(&mut self, ask: &Ask<'_>, on: &[&Instance]) -> Vec<Call> {
        let (first, on) = match (self.0, on.split_first()) {
            (TickClaim::ToTake, Some((first, on))) => (Some(pin(ask, first, 0, 0)), on),
            (TickClaim::ToTakeAgain(number), Some((first, on))) => {
                (Some(pin(ask, first, number, 1)), on)
            }
            (_, _) => (None, on),
        };
        let mut next = match (&first, self.0) {
            (Some(first), _) => first.number.saturating_add(1),
            (None, TickClaim::Taken(next)) => next,
            (None, _) => return Vec::new(),
        };
        let mut calls: Vec<_> = first.into_iter().collect();
        for on in dealt(on.iter().map(|instance| instance.arn.clone())) {
            let tasks = Tasks::counted(on.len());
            calls.push(Call { number: next, tasks, way: Way::Start(on) });
            next = next.saturating_add(1);
        }
        self.0 = TickClaim::Taken(next);
        calls
    }
}

/// The call that takes the tick: another delivery has the same token, and gets a conflict.
fn pin(ask: &Ask<'_>, instance: &Instance, number: usize, round: usize) -> Call {
    let token = ClientToken::new(ask.snapshot.worker_tick(&ask.worker.name), 0, round);
    let (arn, ec2) = (instance.arn.clone(), instance.ec2.clone());
    Call { number, tasks: Tasks(1), way: Way::Pin(token, Pin { arn, ec2 }) }
}

/// As few calls of ten as there can be, of which none names an instance twice: whether ECS would
/// start two tasks then, it does not say.
pub(super) fn dealt(on: impl Iterator<Item = InstanceArn>) -> Vec<Vec<InstanceArn>> {
    let mut arns: Vec<_> = on.collect();
    arns.sort_unstable();
    let most_on_one = arns.chunk_by(|a, b| a == b).map(<[_]>::len).max().unwrap_or_default();
    let calls = arns.len().div_ceil(limits::INSTANCES_PER_START_TASK).max(most_on_one);
    let mut dealt = vec![Vec::new(); calls];
    for (arn, call) in arns.into_iter().zip((0..calls).cycle()) {
        if let Some(call) = dealt.get_mut(call) {
            call.push(arn);
        }
    }
    dealt
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_ten_instances_at_most_and_none_twice_in_as_few_calls_as_can_be() {
        for (tasks, instances, calls) in
            [(0, 1, 0), (1, 1, 1), (25, 25, 3), (25, 5, 5), (40, 1, 40), (100, 12, 10)]
        {
            let there = (0..instances).map(|i| InstanceArn(format!("i-{i:03}")));
            let dealt = dealt(there.cycle().take(tasks));
            assert_eq!(dealt.len(), calls, "{tasks} on {instances}");
            let dealt_out: usize = dealt.iter().map(Vec::len).sum();
            assert_eq!(dealt_out, tasks);
            for call in &dealt {
                let unlike: std::collections::BTreeSet<_> = call.iter().collect();
                assert!(
                    call.len() <= limits::INSTANCES_PER_START_TASK && unlike.len() == call.len()
                );
            }
        }
    }
}
