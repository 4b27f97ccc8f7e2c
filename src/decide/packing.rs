//! How containers become tasks: at most two sizes, exactly as many containers as asked for. Pure.

use crate::fargate::MicroDollars;
use crate::units::{Containers, Tasks};

/// What a tick may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    /// The most containers a task may have, at least one.
    pub(super) per_task: Containers,
    /// The most tasks.
    pub(super) tasks: Tasks,
}

/// Containers in tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Packed {
    /// Containers a task and how many such tasks, the larger first.
    pub(super) groups: Vec<(Containers, Tasks)>,
    /// What the room did not hold.
    pub(super) deferred: Containers,
}

impl Packed {
    fn new(launch: Containers, room: Room, groups: [(u32, u32); 2]) -> Self {
        let there = |&(n, tasks): &(u32, u32)| n != 0 && tasks != 0;
        Self {
            groups: groups
                .into_iter()
                .filter(there)
                .map(|(n, tasks)| (Containers(n), Tasks(tasks)))
                .collect(),
            deferred: launch.minus(room.containers()),
        }
    }
}

impl Room {
    fn containers(self) -> Containers {
        self.tasks.containers(self.per_task)
    }
}

/// As few containers a task as the number of tasks allows: all tasks equal, or one apart.
pub(super) fn spread(launch: Containers, room: Room) -> Packed {
    let held = launch.min(room.containers()).0;
    let tasks = held.min(room.tasks.0).max(1);
    let (each, over) = (held / tasks, held % tasks);
    Packed::new(launch, room, [(each + 1, over), (each, tasks - over)])
}

/// As many containers a task as are allowed, and one task with the rest.
pub(super) fn dense(launch: Containers, room: Room) -> Packed {
    let held = launch.min(room.containers()).0;
    let each = room.per_task.0.max(1);
    Packed::new(launch, room, [(each, held / each), (held % each, 1)])
}

/// The least price an hour, then the fewest calls, then the fewest tasks. Every exact mix of two
/// sizes is looked at.
pub(super) fn cheapest(
    launch: Containers,
    room: Room,
    price: impl Fn(Containers) -> MicroDollars,
) -> Packed {
    let held = launch.min(room.containers()).0;
    let prices: Vec<_> = (1..=room.per_task.0).map(|n| (n, price(Containers(n)))).collect();
    let mixes = prices.iter().flat_map(|large| {
        let smaller = prices.iter().take_while(move |small| small.0 <= large.0);
        smaller.flat_map(move |small| {
            let some_large = (0..=held / large.0).filter(move |larges| {
                let rest = held - larges * large.0;
                rest.is_multiple_of(small.0) && larges + rest / small.0 <= room.tasks.0
            });
            some_large.map(move |larges| {
                let smalls = (held - larges * large.0) / small.0;
                let price = large.1.times(larges).plus(small.1.times(smalls));
                let calls = larges.div_ceil(10) + smalls.div_ceil(10);
                (price, calls, larges + smalls, [(large.0, larges), (small.0, smalls)])
            })
        })
    });
    let best = mixes.min();
    Packed::new(launch, room, best.map_or([(0, 0); 2], |(_, _, _, groups)| groups))
}

#[cfg(test)]
mod tests;
