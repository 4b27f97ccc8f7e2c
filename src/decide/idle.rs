//! Containers that run and take no message, though messages wait. Pure.
//!
//! A worker that hangs, or whose instance has lost its agent, is RUNNING for as long as nobody stops it.
//! Containers that have run for two minutes beyond what the messages in flight can occupy, at every look
//! of the last minutes in all of which messages waited, and which have run for all of that time, are idle:
//! no capacity any more. They still count under every cap. A job of two hours holds its message in flight.
//!
//! Of a FIFO queue that has something in flight, nobody knows: what waits may be of the same groups.

use std::time::Duration;

use super::own::OwnTask;
use super::progress::Look;
use crate::snapshot::Idling;
use crate::units::{Containers, Messages, elapsed};

/// What has begun lately may not have received yet.
const BEGUN: Duration = Duration::from_mins(2);

/// Fewer looks than these prove nothing, however long ago the first was.
const FEWEST_LOOKS: usize = 3;

/// What is known after a look.
pub(super) fn look(before: &Idling, look: &Look<'_>) -> Idling {
    let Some(after) = look.worker.scaling.idle_after else { return Idling::default() };
    if look.depth.visible == Messages::ZERO {
        return Idling::default();
    }
    let age = |at| elapsed(at, look.now);
    // Of a time in which nobody looked, nobody knows.
    let is_fresh = before.looks.last().is_some_and(|(at, _)| age(*at) <= after.saturating_mul(2));
    let before = if is_fresh { before.clone() } else { Idling::default() };
    let since = before.since.unwrap_or(look.now);
    let mut looks = before.looks;
    looks.push((look.now, surplus(look, BEGUN)));
    let old = looks.iter().take_while(|(at, _)| after < age(*at)).count();
    let old = old.min(looks.len().saturating_sub(FEWEST_LOOKS));
    looks.drain(..old);
    let is_proved = after <= age(since) && FEWEST_LOOKS <= looks.len();
    // Others may have been without a message at each look.
    let same = surplus(look, after);
    let idle = looks.iter().map(|(_, surplus)| *surplus).chain([same]).min();
    let idle = idle.filter(|_| is_proved);
    Idling { since: Some(since), looks, idle: idle.unwrap_or_default() }
}

/// Containers that have run for so long beyond what the messages in flight can occupy.
fn surplus(look: &Look<'_>, time: Duration) -> Containers {
    let in_flight = look.depth.in_flight;
    if look.worker.queue.is_fifo() && in_flight != Messages::ZERO {
        return Containers::ZERO;
    }
    let for_long = |own: &&OwnTask<'_>| own.has_run_for(time, look.now);
    let running: Containers = look.own.alive.iter().filter(for_long).map(|own| own.running).sum();
    // Each may hold fewer messages than it could.
    running.minus(in_flight.as_containers())
}
