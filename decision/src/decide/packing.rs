//! How containers become tasks: at most two counts of containers a task, exactly as many containers as asked for. Pure.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::fargate::MicroDollars;
use crate::limits;
use crate::units::{Containers, Tasks};

/// What a tick may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Budget {
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
    /// What the budget did not hold.
    pub(super) deferred: Containers,
}

impl Packed {
    fn new(launch: Containers, mix: Mix) -> Self {
        let there = |&(n, tasks): &(u32, u32)| n != 0 && tasks != 0;
        let groups = mix.into_iter().filter(there).map(|(n, tasks)| (Containers(n), Tasks(tasks)));
        let groups: Vec<_> = groups.collect();
        let held = groups.iter().map(|(n, tasks)| tasks.containers(*n)).sum();
        Self { groups, deferred: launch.minus(held) }
    }
}

impl Budget {
    fn containers(self) -> Containers {
        self.tasks.containers(self.per_task)
    }
}

/// As few containers a task as the number of tasks allows: all tasks equal, or one apart.
pub(super) fn spread(launch: Containers, budget: Budget) -> Packed {
    let held = launch.min(budget.containers()).0;
    let tasks = held.min(budget.tasks.0).max(1);
    let (each, over) = (held / tasks, held % tasks);
    Packed::new(launch, [(each + 1, over), (each, tasks - over)])
}

/// As many containers a task as are allowed, and one task with the rest.
pub(super) fn dense(launch: Containers, budget: Budget) -> Packed {
    let held = launch.min(budget.containers()).0;
    let each = budget.per_task.0.max(1);
    Packed::new(launch, [(each, held / each), (held % each, 1)])
}

/// The least price an hour, then the fewest calls, then the fewest tasks. Every exact mix of two
/// counts is looked at.
pub(super) fn cheapest(
    launch: Containers,
    budget: Budget,
    price: impl Fn(Containers) -> MicroDollars,
) -> Packed {
    let counts: Vec<_> = (1..=budget.per_task.0).map(Containers).collect();
    cheapest_of(launch, budget, &counts, price)
}

/// As [`cheapest`], of these counts.
pub(super) fn cheapest_of(
    launch: Containers,
    budget: Budget,
    counts: &[Containers],
    price: impl Fn(Containers) -> MicroDollars,
) -> Packed {
    let prices: BTreeMap<_, _> = counts.iter().map(|n| (n.0, price(*n))).collect();
    let price = |(n, tasks): &(u32, u32)| prices.get(n).copied().unwrap_or_default().times(*tasks);
    of_counts(launch, budget, counts, |mix| {
        let [large, small] = mix;
        let calls = |of: &(u32, u32)| of.1.div_ceil(limits::TASKS_PER_RUN_TASK.0);
        (price(large).plus(price(small)), calls(large) + calls(small), tasks(mix))
    })
}

/// As few containers a task as these counts and the number of tasks allow.
pub(super) fn spread_of(launch: Containers, budget: Budget, counts: &[Containers]) -> Packed {
    let largest = |mix: &Mix| mix.iter().filter(|(_, tasks)| 0 < *tasks).map(|(n, _)| *n).max();
    of_counts(launch, budget, counts, |mix| (largest(mix), Reverse(tasks(mix))))
}

/// As many containers a task as these counts allow.
pub(super) fn dense_of(launch: Containers, budget: Budget, counts: &[Containers]) -> Packed {
    of_counts(launch, budget, counts, |mix| (tasks(mix), Reverse(mix.map(|(n, _)| n))))
}

/// The mix of two of these counts that holds as much as the tasks allow, and of those the one that
/// costs least.
fn of_counts<C: Ord>(
    launch: Containers,
    budget: Budget,
    counts: &[Containers],
    cost: impl Fn(&Mix) -> C,
) -> Packed {
    let most = launch.min(budget.containers()).0;
    let best = |held| mixes(held, budget.tasks.0, counts).min_by_key(|mix| (cost(mix), *mix));
    Packed::new(launch, (0..=most).rev().find_map(best).unwrap_or_default())
}

/// Two counts of containers a task and how many tasks of each, the larger first.
type Mix = [(u32, u32); 2];

fn tasks([large, small]: &Mix) -> u32 {
    large.1.saturating_add(small.1)
}

/// Every mix of two of these counts that holds exactly so many containers in so many tasks at most.
fn mixes(held: u32, most: u32, counts: &[Containers]) -> impl Iterator<Item = Mix> {
    let pairs = counts.iter().flat_map(move |large| {
        let smaller = counts.iter().filter(move |small| *small <= large);
        smaller.map(move |small| (large.0, small.0))
    });
    pairs.filter(|(_, small)| 0 < *small).flat_map(move |(large, small)| {
        let rest = move |larges: u32| held.saturating_sub(larges.saturating_mul(large));
        let exact = move |larges: &u32| {
            let rest = rest(*larges);
            rest.is_multiple_of(small) && larges.saturating_add(rest / small) <= most
        };
        let some_large = (0..=held / large).filter(exact);
        some_large.map(move |larges| [(large, larges), (small, rest(larges) / small)])
    })
}

#[cfg(test)]
mod tests;
