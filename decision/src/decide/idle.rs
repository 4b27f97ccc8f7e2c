//! Containers that run and take no message, though messages wait. Pure.
//!
//! A worker that hangs, or whose instance has lost its agent, is RUNNING for as long as nobody stops it.
//! Containers that have run for two minutes beyond what the messages in flight can occupy, at every look
//! of the last minutes in all of which messages waited, and which have run for all of that time, are idle:
//! no capacity any more. They still count under every cap. A job of two hours holds its message in flight.
//! Where there are fewer messages than at the look before, one of them is taken for working.
//!
//! Who was idle stays so for an hour, as long as the others can hold all that is in flight, and unless it
//! was alone when the last message was taken: else each launch beside it, and each time without a
//! message, would hide it for minutes.
//!
//! Of a FIFO queue that has something in flight, nobody knows: what waits may be of the same groups.

use std::time::Duration;

use jiff::Timestamp;

use super::own::OwnTask;
use super::progress::Look;
use crate::plan::Alive;
use crate::snapshot::Idling;
use crate::units::{Containers, Messages, elapsed};

/// What has begun lately may not have received yet.
const BEGUN: Duration = Duration::from_mins(2);

/// Fewer looks than these prove nothing, however long ago the first was: each may fall on a message that
/// has just come. A tick a minute has six in five minutes.
const FEWEST_LOOKS: usize = 5;

/// At a single look, who has just begun or has just deleted a message is without one too, and SQS's counts are
/// late. Ticks of a minute come some seconds early or late.
const DOUBTED_AFTER: Duration = Duration::from_secs(55);

/// What was seen longer ago says nothing of now, unless `idleAfter` is longer. A schedule of ten minutes
/// that misses a tick is far below it.
const FRESH: Duration = Duration::from_hours(1);

/// What is known after a look, by what was known before it and how many messages there were then.
pub(super) fn look(before: &Idling, messages_before: Messages, look: &Look<'_>) -> Idling {
    let Some(after) = look.worker.scaling.idle_after else { return Idling::default() };
    if look.depth.visible == Messages::ZERO {
        return before.rested();
    }
    let age = |at| elapsed(at, look.now);
    let fresh_for = after.saturating_mul(2).max(FRESH);
    let is_fresh = before.looks.last().is_none_or(|(at, _)| age(*at) <= fresh_for);
    let before = if is_fresh { before.clone() } else { Idling::default() };
    let known = still_idle(&before, look, fresh_for);
    let since = before.since.unwrap_or(look.now);
    let mut looks = before.looks;
    // Where messages went, somebody has taken them.
    let took = Messages(u64::from(look.depth.total() < messages_before));
    let in_flight = look.depth.in_flight;
    looks.push((look.now, surplus(look, BEGUN, in_flight.max(took))));
    let old = looks.iter().take_while(|(at, _)| after < age(*at)).count();
    let old = old.min(looks.len().saturating_sub(FEWEST_LOOKS));
    looks.drain(..old);
    // Others may have been without a message at each look.
    let same = surplus(look, after, in_flight);
    let at_all = looks.iter().map(|(_, surplus)| *surplus).chain([same]).min();
    let is_proved = after <= age(since) && FEWEST_LOOKS <= looks.len();
    let shown = at_all.filter(|_| is_proved).unwrap_or_default();
    let is_new = shown != Containers::ZERO && known <= shown;
    let proved = if is_new { Some(look.now) } else { before.proved };
    let idle = shown.max(known);
    let has_others = look.own.count().containers.minus(idle) != Containers::ZERO;
    Idling { since: Some(since), looks, idle, proved, has_others }
}

/// With those that are idle, and those that become so if what the looks of the last minute showed goes on.
pub(super) fn counted(alive: Alive, idling: &Idling) -> Alive {
    let Idling { looks, idle, .. } = idling;
    let Some((now, _)) = looks.last() else { return Alive { idle: *idle, ..alive } };
    let is_before = |at: Timestamp| DOUBTED_AFTER <= elapsed(at, *now);
    let since = looks.iter().rposition(|(at, _)| is_before(*at));
    let lately = since.and_then(|since| looks.get(since..)).unwrap_or_default();
    let shown = lately.iter().map(|(_, surplus)| *surplus).min().unwrap_or_default();
    Alive { idle: *idle, doubted: shown.minus(*idle), ..alive }
}

/// Those that were idle, are still there, and need not have taken a message since.
fn still_idle(before: &Idling, look: &Look<'_>, fresh_for: Duration) -> Containers {
    let Some(ago) = before.proved.map(|at| elapsed(at, look.now)).filter(|ago| *ago <= fresh_for)
    else {
        return Containers::ZERO;
    };
    let spare = surplus(look, Duration::ZERO, look.depth.in_flight);
    before.idle.min(running_for(look, ago)).min(spare)
}

/// Containers that have run for so long beyond what these messages can occupy.
fn surplus(look: &Look<'_>, time: Duration, held: Messages) -> Containers {
    if look.worker.queue.is_fifo() && look.depth.in_flight != Messages::ZERO {
        return Containers::ZERO;
    }
    // Each may hold fewer messages than it could.
    running_for(look, time).minus(held.as_containers())
}

fn running_for(look: &Look<'_>, time: Duration) -> Containers {
    let for_long = |own: &&OwnTask<'_>| own.has_run_for(time, look.now);
    look.own.alive.iter().filter(for_long).map(|own| own.running).sum()
}
