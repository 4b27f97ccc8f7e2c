//! What ECS reports only after it has accepted a task: that there is no capacity for it, or that a
//! registry gave no image. It is not a failure of the worker, and the next launch minds it. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::own::{OwnEnded, OwnTasks};
use crate::config::Rung;
use crate::plan::{Late, LeftOut};
use crate::refusal::Cause;
use crate::snapshot::{Capacity, ClusterTasks};
use crate::units::{Containers, Tasks};

/// A rung that ran short is left out for as long as that has lasted already, within these: capacity
/// comes back in minutes, and each try costs the messages the time until ECS refuses.
const RUNG: Pause = Pause { shortest: minutes(5), longest: minutes(30) };

/// A registry that gives nothing more is asked again after as long as that has lasted, within these: its
/// limits are by the second or by the hour.
const REGISTRY: Pause = Pause { shortest: minutes(1), longest: minutes(30) };

struct Pause {
    shortest: SignedDuration,
    longest: SignedDuration,
}

const fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

/// From when to when the same was reported again and again, and nothing began meanwhile.
#[derive(Clone, Copy)]
struct Spell {
    first: Timestamp,
    last: Timestamp,
}

impl Spell {
    /// Of what was reported since the last success.
    fn since(
        success: Option<Timestamp>,
        reported: impl Iterator<Item = Timestamp>,
    ) -> Option<Self> {
        reported.filter(|at| success < Some(*at)).fold(None, |spell: Option<Self>, at| {
            let Self { first, last } = spell.unwrap_or(Self { first: at, last: at });
            Some(Self { first: first.min(at), last: last.max(at) })
        })
    }

    /// How long the pause after it still lasts. A clock that was set back makes it no longer.
    fn wait(self, pause: &Pause, now: Timestamp) -> Option<Duration> {
        let lasted = self.last.duration_since(self.first).clamp(pause.shortest, pause.longest);
        let passed = now.duration_since(self.last).max(SignedDuration::ZERO);
        let left = Duration::try_from(lasted.saturating_sub(passed)).ok()?;
        (!left.is_zero()).then_some(left)
    }
}

/// The rungs that a launch asks, and those that it leaves out because they ran short after they had
/// said yes. Where all of them did, all are asked: somebody has to be.
pub(super) fn ladder(
    rungs: &[Rung],
    own: &OwnTasks<'_>,
    now: Timestamp,
) -> (Vec<Rung>, Vec<LeftOut>) {
    let left_out: Vec<_> = rungs.iter().filter_map(|rung| left_out(rung, own, now)).collect();
    let is_asked = |rung: &&Rung| left_out.iter().all(|left| left.rung != **rung);
    let asked: Vec<_> = rungs.iter().filter(is_asked).cloned().collect();
    if asked.is_empty() { (rungs.to_vec(), Vec::new()) } else { (asked, left_out) }
}

fn left_out(rung: &Rung, own: &OwnTasks<'_>, now: Timestamp) -> Option<LeftOut> {
    let alive = own.alive.iter().filter(|own| is_on(rung, own.capacity));
    let ended = own.ended.iter().filter(|own| is_on(rung, &own.task.capacity));
    let began = alive.clone().map(|own| own.started);
    let began = began.chain(ended.clone().map(|own| own.task.started)).flatten().max();
    let refused = ended.filter(|own| own.is_refused() && own.cause().is_shortage());
    let refused = refused.map(|own| (own.task.stopped, own.cause()));
    // What waits for instances has not got any so far.
    let waiting = alive.filter_map(|own| own.waits_since);
    let waiting = waiting.flat_map(|since| [(since, Cause::NoRoom), (now, Cause::NoRoom)]);
    let reported: Vec<_> = refused.chain(waiting).collect();
    let (_, cause) = *reported.iter().max_by_key(|(at, _)| *at)?;
    let spell = Spell::since(began, reported.iter().map(|(at, _)| *at))?;
    Some(LeftOut { rung: rung.clone(), cause, wait: spell.wait(&RUNG, now)? })
}

/// Whether a task was started on this rung.
fn is_on(rung: &Rung, capacity: &Capacity) -> bool {
    let Capacity { provider, launch_type } = capacity;
    match rung {
        // It is the only rung.
        Rung::ClusterDefault => true,
        Rung::LaunchType(name) => provider.is_none() && launch_type.as_ref() == Some(name),
        Rung::CapacityProvider(name) => provider.as_ref() == Some(name),
    }
}

/// How long the next launch waits because a registry has had too many pulls, of whomever: more tasks
/// would pull as well.
pub(super) fn registry(own: &OwnTasks<'_>, now: Timestamp) -> Option<Duration> {
    let alive = own.alive.iter().map(|own| own.started);
    let began = alive.chain(own.ended.iter().map(|own| own.task.started)).flatten().max();
    let throttled = |own: &&OwnEnded<'_>| own.is_refused() && own.cause() == Cause::Throttled;
    let reported = own.ended.iter().filter(throttled).map(|own| own.task.stopped);
    Spell::since(began, reported)?.wait(&REGISTRY, now)
}

/// The largest tasks of several containers that found no instance after ECS had accepted them, as long as
/// it shows them and none of several has begun since: one of one container may find room.
pub(super) fn too_large(own: &OwnTasks<'_>) -> Option<Containers> {
    let several = |containers: Containers| Containers(1) < containers;
    let alive = own.alive.iter().filter(|own| several(own.containers));
    let ended = own.ended.iter().filter(|own| several(own.count()));
    let began = alive.clone().map(|own| own.started);
    let began = began.chain(ended.clone().map(|own| own.task.started)).flatten().max();
    let refused = ended.filter(|own| own.is_refused() && own.cause() == Cause::NoRoom);
    let refused = refused.map(|own| (own.task.stopped, own.count()));
    let waiting = alive.filter_map(|own| Some((own.waits_since?, own.containers)));
    let without_room = refused.chain(waiting).filter(|(at, _)| began < Some(*at));
    without_room.map(|(_, containers)| containers).max()
}

/// What was reported since the last look, equal words once.
pub(super) fn news(own: &OwnTasks<'_>, tasks: &ClusterTasks) -> Vec<Late> {
    let mut news: Vec<Late> = Vec::new();
    for own in own.ended.iter().filter(|own| tasks.news.contains(&own.task.arn)) {
        let cause = own.cause();
        if !own.is_refused() || !(cause.is_shortage() || cause == Cause::Throttled) {
            continue;
        }
        let (reason, on) = (own.words().to_owned(), own.task.capacity.to_string());
        match news.iter_mut().find(|late| late.reason == reason && late.on == on) {
            Some(late) => late.tasks = late.tasks.plus(Tasks(1)),
            None => news.push(Late { cause, reason, on, tasks: Tasks(1) }),
        }
    }
    news
}

#[cfg(test)]
mod tests;
