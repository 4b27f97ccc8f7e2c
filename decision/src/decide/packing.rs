//! How containers become tasks: at most two counts of containers a task, exactly as many containers
//! as asked for. Pure.

use std::cmp::{Ordering, Reverse};

use crate::fargate::MicroDollars;
use crate::plan::Several;
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
    /// Why there are several a task, where what they cost decides.
    pub(super) several: Option<Several>,
}

impl Packed {
    /// Where nothing is known of the sizes.
    pub(super) fn nothing(launch: Containers) -> Self {
        Self::new(launch, [(0, 0); 2])
    }

    fn new(launch: Containers, mix: Mix) -> Self {
        let there = |&(n, tasks): &(u32, u32)| n != 0 && tasks != 0;
        let groups = mix.into_iter().filter(there).map(|(n, tasks)| (Containers(n), Tasks(tasks)));
        let groups: Vec<_> = groups.collect();
        let held = groups.iter().map(|(n, tasks)| tasks.containers(*n)).sum();
        Self { groups, deferred: launch.minus(held), several: None }
    }
}

impl Budget {
    fn containers(self) -> Containers {
        self.tasks.containers(self.per_task)
    }
}

/// As few containers a task as these counts and the number of tasks allow: all tasks equal, or one
/// apart, where there is every count.
pub(super) fn spread(launch: Containers, budget: Budget, counts: &[Containers]) -> Packed {
    if !is_whole(counts, budget) {
        return spread_of(launch, budget, counts);
    }
    let held = launch.min(budget.containers()).0;
    let tasks = held.min(budget.tasks.0).max(1);
    let (each, over) = (held / tasks, held % tasks);
    Packed::new(launch, [(each + 1, over), (each, tasks - over)])
}

/// As many containers a task as these counts allow, and one task with the rest, where there is every
/// count.
pub(super) fn dense(launch: Containers, budget: Budget, counts: &[Containers]) -> Packed {
    if !is_whole(counts, budget) {
        return dense_of(launch, budget, counts);
    }
    let held = launch.min(budget.containers()).0;
    let each = budget.per_task.0.max(1);
    Packed::new(launch, [(each, held / each), (held % each, 1)])
}

/// Whether there is every count up to the largest.
fn is_whole(counts: &[Containers], budget: Budget) -> bool {
    Containers::counted(counts.len()) == budget.per_task
}

/// What tasks of so many containers cost.
pub(super) struct Costs<'a, P> {
    /// The containers that a task may have, the fewest first.
    pub(super) counts: &'a [Containers],
    /// What an hour of a task of so many costs.
    pub(super) price: P,
    /// The tasks that can be started at once, where others would have to wait.
    pub(super) at_once: Option<Tasks>,
    /// Whether the network lately had no address for a task.
    pub(super) few_addresses: bool,
}

/// The fewest containers a task, unless several cost at least a tenth less each; more of them at the
/// same price where the tasks would be too many. Never a count that costs more.
pub(super) fn cheapest<P>(launch: Containers, budget: Budget, costs: &Costs<'_, P>) -> Packed
where
    P: Fn(Containers) -> MicroDollars,
{
    let Some(fewest) = costs.counts.first().copied() else {
        return Packed::nothing(launch);
    };
    let best = costs.counts.iter().copied().min_by(|a, b| costs.compare(*a, *b)).unwrap_or(fewest);
    let chosen = if costs.is_a_tenth_below(best, fewest) { best } else { fewest };
    let most = costs.at_once.map_or(budget.tasks, |tasks| tasks.min(budget.tasks));
    let tasks = |n: &Containers| launch.tasks_rounded_up(*n);
    let is_no_dearer = |n: &&Containers| chosen <= **n && costs.is_no_dearer(**n, chosen);
    let is_filled = |n: &Containers| *n == chosen || *n <= launch;
    let mut larger = costs.counts.iter().filter(is_no_dearer).copied().filter(is_filled);
    let each = match larger.clone().find(|n| tasks(n) <= most) {
        Some(enough) if !costs.few_addresses => enough,
        Some(_) | None => larger.next_back().unwrap_or(chosen),
    };
    let packed = costs.fill(launch, budget, each);
    let is_several = packed.groups.iter().any(|(n, _)| fewest < *n);
    let why = match each {
        _ if each == chosen => Several::Cheaper,
        _ if costs.few_addresses => Several::Addresses,
        _ if most < budget.tasks => Several::AtOnce(tasks(&chosen)),
        _ => Several::Bounded { tasks: tasks(&chosen), most },
    };
    Packed { several: is_several.then_some(why), ..packed }
}

impl<P: Fn(Containers) -> MicroDollars> Costs<'_, P> {
    /// By what one container costs, then the fewer.
    fn compare(&self, a: Containers, b: Containers) -> Ordering {
        let price = |of: Containers, times: Containers| (self.price)(of).times(times.0);
        price(a, b).cmp(&price(b, a)).then(a.cmp(&b))
    }

    fn is_a_tenth_below(&self, a: Containers, b: Containers) -> bool {
        (self.price)(a).times(b.0).is_a_tenth_below((self.price)(b).times(a.0))
    }

    /// Tasks of so many, and the rest in one task, or in the smallest where that would cost more.
    fn fill(&self, launch: Containers, budget: Budget, each: Containers) -> Packed {
        let Some(fewest) = self.counts.first() else { return Packed::nothing(launch) };
        let held = launch.min(budget.tasks.containers(each)).0;
        let (full, rest) = (held / each.0.max(1), held % each.0.max(1));
        let left = budget.tasks.0.saturating_sub(full);
        let fits_one =
            self.counts.contains(&Containers(rest)) && self.is_no_dearer(Containers(rest), *fewest);
        let rest =
            if fits_one { (rest, 1) } else { (fewest.0, (rest / fewest.0.max(1)).min(left)) };
        Packed::new(launch, [(each.0, full), rest])
    }

    fn is_no_dearer(&self, a: Containers, b: Containers) -> bool {
        (self.price)(a).times(b.0) <= (self.price)(b).times(a.0)
    }
}

/// The counts of which none wastes money by rounding where a neighbour or a larger one would not.
pub(super) fn economical(
    counts: impl IntoIterator<Item = Containers>,
    is_wasteful: impl Fn(Containers) -> bool,
) -> Vec<Containers> {
    let counts: Vec<_> = counts.into_iter().map(|n| (n, is_wasteful(n))).collect();
    let largest_better = counts.iter().filter(|(_, wasteful)| !wasteful).map(|(n, _)| *n).max();
    // One less does, or as many and more in a larger one.
    let has_better = |n: Containers| largest_better.is_some_and(|m| n <= m.plus(Containers(1)));
    let kept = counts.into_iter().filter(|(n, wasteful)| !wasteful || !has_better(*n));
    kept.map(|(n, _)| n).collect()
}

/// As few containers a task as these counts and the number of tasks allow.
fn spread_of(launch: Containers, budget: Budget, counts: &[Containers]) -> Packed {
    let largest = |mix: &Mix| mix.iter().filter(|(_, tasks)| 0 < *tasks).map(|(n, _)| *n).max();
    of_counts(launch, budget, counts, |mix| (largest(mix), Reverse(tasks(mix))))
}

/// As many containers a task as these counts allow.
fn dense_of(launch: Containers, budget: Budget, counts: &[Containers]) -> Packed {
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
    let largest = counts.last().copied().unwrap_or_default();
    let most = launch.min(budget.tasks.containers(largest)).0;
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
