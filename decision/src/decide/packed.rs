//! Which tasks hold a launch, what they cost, and what is to be said of them. Pure.

use std::time::Duration;

use super::own::OwnEnded;
use super::packing::{self, Budget, Costs, Packed};
use super::{Served, request};
use crate::config::{Packing, Strategy};
use crate::fargate::MicroDollars;
use crate::limits;
use crate::plan::{Action, Allowance, Decision, Facts, Group, Price, Sizes, TaskBound, WorkerPlan};
use crate::refusal::Cause;
use crate::units::{Containers, Tasks, elapsed};
use crate::variant::Caution;

/// The tasks that hold a launch, by the worker's strategy.
pub(super) fn pack(packing: &Packing, facts: &Facts, decision: &Decision) -> Packed {
    let launch = decision.launch;
    let Some(sizes) = &facts.sizes else { return Packed::nothing(launch) };
    let all = &sizes.counts;
    let budget = Budget { per_task: facts.most, tasks: allowance(packing, facts).tasks };
    // The rule itself says how many tasks there are.
    if let Some(tasks) = decision.launch_tasks {
        return packing::spread(launch, Budget { tasks: tasks.min(budget.tasks), ..budget }, all);
    }
    let counts = packing::economical(all.iter().copied(), |n| sizes.wasteful.contains(&n));
    match (packing.strategy, &sizes.prices) {
        (Strategy::Spread, _) => packing::spread(launch, budget, &counts),
        (Strategy::Cheapest, Some(_)) => {
            let price = |n| sizes.price(n).unwrap_or_default();
            let Sizes { at_once, few_addresses, .. } = *sizes;
            packing::cheapest(launch, budget, &Costs { counts: all, price, at_once, few_addresses })
        }
        // What has no price is as large as its owner asks for.
        (Strategy::Dense | Strategy::Cheapest, _) => packing::dense(launch, budget, &counts),
    }
}

/// What bounds the worker's tasks in a tick.
pub(super) fn allowance(packing: &Packing, facts: &Facts) -> Allowance {
    let own = packing.max_tasks.unwrap_or(Tasks(u32::MAX));
    let own = Allowance { tasks: own, bound: TaskBound::MaxTasks };
    facts.allowance.filter(|shared| shared.tasks < own.tasks).unwrap_or(own)
}

/// The sizes that its tasks may have.
pub(super) fn sizes(served: &Served<'_>) -> Sizes {
    let recipe = &served.recipe;
    let counts = served.per_task.all(recipe);
    let list = recipe.price_list(&served.snapshot.region);
    let wasteful =
        |list| counts.iter().copied().filter(move |n| recipe.is_wasteful(*n, list)).collect();
    let price = |list| move |n: &Containers| recipe.hourly_price(*n, list).unwrap_or_default();
    Sizes {
        wasteful: list.map(wasteful).unwrap_or_default(),
        prices: list.map(|list| counts.iter().map(price(list)).collect()),
        at_once: served.share.at_once,
        few_addresses: has_few_addresses(served),
        counts,
    }
}

/// So long a task that got no address makes the next ones fewer.
const FEW_ADDRESSES: Duration = Duration::from_mins(10);

/// Whether the network lately had no address for a task of this worker, at once or after ECS had accepted
/// it.
fn has_few_addresses(served: &Served<'_>) -> bool {
    let now = served.snapshot.now;
    let lacked = |own: &&OwnEnded<'_>| own.cause() == Cause::NetworkInterface;
    let ended = served.look.own.ended.iter().filter(lacked).map(|own| own.task.stopped);
    let memory = served.snapshot.memories.get(&served.worker.name);
    let refused = memory.and_then(|memory| memory.no_interface);
    ended.chain(refused).any(|at| elapsed(at, now) < FEW_ADDRESSES)
}

/// What they cost on Fargate.
pub(super) fn price(served: &Served<'_>, packed: &Packed) -> Option<Price> {
    let (recipe, list) = (&served.recipe, served.recipe.price_list(&served.snapshot.region)?);
    let of = |n: &Containers| request::hourly_price(served.worker, recipe, *n, list);
    if packed.groups.is_empty() {
        return None;
    }
    let mut prices = packed.groups.iter().map(|(n, tasks)| Some(of(n)?.times(tasks.0)));
    let hourly = prices.try_fold(MicroDollars::default(), |sum, price| Some(sum.plus(price?)))?;
    let containers: Containers = packed.groups.iter().map(|(n, t)| t.containers(*n)).sum();
    let singles = of(&Containers(1)).map(|one| one.times(containers.0));
    Some(Price { hourly, region: list.region, singles: singles.filter(|less| *less < hourly) })
}

/// What somebody should know of the definitions of these tasks.
pub(super) fn cautions(served: &Served<'_>, packed: &Packed) -> Vec<Caution> {
    let Served { recipe, per_task, .. } = served;
    let mut cautions: Vec<_> = per_task.caution.iter().cloned().collect();
    for (n, _) in &packed.groups {
        let of_count = recipe.cautions(*n);
        cautions.extend(
            of_count.into_iter().filter(|caution| !cautions.contains(caution)).collect::<Vec<_>>(),
        );
    }
    cautions
}

/// The tasks that pull the watcher's image from ECR Public: instances keep an image, on Fargate each task
/// pulls it.
pub(super) fn public_pulls(served: &Served<'_>, packed: &Packed) -> Tasks {
    let Served { recipe, worker, .. } = served;
    if !(recipe.is_paid_as_fargate() && worker.packing.watcher.is_public()) {
        return Tasks::ZERO;
    }
    let watched = packed.groups.iter().filter(|(n, _)| recipe.is_watched(*n));
    watched.map(|(_, tasks)| *tasks).sum()
}

/// An account's pulls from ECR Public are bounded, whichever worker's tasks they are.
pub(super) fn warn_of_pulls(workers: &mut [WorkerPlan]) {
    let pulls = |plan: &WorkerPlan| match &plan.action {
        Action::Launch(launch) => launch.public_pulls,
        Action::Idle(_) | Action::Hold(_) | Action::Refuse(_) => Tasks::ZERO,
    };
    let tasks: Tasks = workers.iter().map(pulls).sum();
    if tasks <= limits::PUBLIC_PULLS {
        return;
    }
    for plan in workers.iter_mut().filter(|plan| pulls(plan) != Tasks::ZERO) {
        if let Action::Launch(launch) = &mut plan.action {
            launch.cautions.push(Caution::PublicWatcher { tasks });
        }
    }
}

/// Their calls are numbered from here, whatever the plan has beside: two deliveries that planned
/// differently meet on the first.
pub(super) const SMALLER: usize = 1_000_000;

/// How many tasks of one container there may be for larger ones that find no room or cannot be
/// registered: one finds room wherever any fewer would. On Fargate there is room or there is none,
/// whatever the size: there are no more of them than of the others.
pub(super) fn smaller(served: &Served<'_>, groups: &[Group], most: Tasks) -> Option<Tasks> {
    let Served { recipe, per_task, .. } = served;
    let has_several = groups.iter().any(|group| Containers(1) < group.containers_per_task);
    let is_there = per_task.all(recipe).first() == Some(&Containers(1));
    if !has_several || !is_there {
        return None;
    }
    if recipe.is_paid_as_fargate() {
        return Some(groups.iter().map(Group::tasks).sum());
    }
    let containers: Containers = groups.iter().map(Group::containers).sum();
    Some(Tasks(containers.0).min(most))
}
