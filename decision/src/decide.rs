//! `(&Config, &Snapshot) -> Plan`: the policy, and nothing else. Total and pure: no clock, no
//! network, no randomness, no log, no failure. What is wrong is part of the plan.

mod check;
mod demand;
mod derive;
mod draining;
mod health;
mod idle;
mod late;
mod outlived;
mod own;
mod packed;
mod packing;
mod placement;
mod progress;
mod request;
mod share;
mod per_task;
mod unowned;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use jiff::Timestamp;

use self::own::OwnTasks;
use self::per_task::ContainersPerTask;
use self::progress::Look;
use self::share::Share;
use crate::config::{Config, Launch, Rung, Worker};
use crate::definition::{Tag, TaskDefinition};
use crate::plan::{
    Action, Alive, Allowance, Call, ClientToken, Deferred, Eager, Facts, Group, Idle, LaunchPlan,
    LeftOut, Marks, NetworkMode, Plan, Refusal, Revision, RunsOn, Way, WorkerPlan,
};
use crate::snapshot::{Ahead, Depth, Progress, Queue, Read, ReadError, Snapshot};
use crate::units::{Containers, Family, Messages, Tasks};
use crate::variant::Recipe;
use crate::{limits, tags};

pub use demand::{counted as counted_depth, need_by_rule};
pub use derive::{Derived, derive};
pub use draining::{drain, still_needed, stop};
pub use health::{Ends, ends, health_by_tasks};
pub use own::{TaskContainers, alive};
pub use placement::{
    Displaced, DisplacedTasks, Fitting, OnInstances, expressions, fitting, place_again,
    place_as_is, placed_by_us, short_of,
};
pub use unowned::{Unowned, unowned};

/// Decides for every worker on its own; then, where the bounds of all workers together leave less
/// than they are owed, once more for those who get less.
pub fn decide(config: &Config, snapshot: &Snapshot) -> Plan {
    let decide = |worker: &Worker, share| apart(worker, || decide_worker(worker, share, snapshot));
    let served = config.workers.iter().map(|worker| decide(worker, Share::ALL));
    let mut workers: Vec<_> = served.collect();
    let order = share::order(&workers, &snapshot.memories);
    let mut shares: BTreeMap<usize, Share> = BTreeMap::new();
    for (index, tasks) in share::at_once(&workers) {
        let share = Share { at_once: Some(tasks), ..Share::ALL };
        if let (Some(plan), Some(worker)) = (workers.get_mut(index), config.workers.get(index)) {
            *plan = decide(worker, share);
            shares.insert(index, share);
        }
    }
    let Allowance { tasks, bound } = share::allowance(&config.limits, snapshot);
    for (index, tasks) in share::cuts(&workers, &order, tasks) {
        if let (Some(plan), Some(worker)) = (workers.get_mut(index), config.workers.get(index)) {
            let share = shares.get(&index).copied().unwrap_or(Share::ALL);
            *plan = decide(worker, Share { allowance: Some(Allowance { tasks, bound }), ..share });
        }
    }
    share::bound_smaller(&mut workers, &order, tasks);
    packed::warn_of_pulls(&mut workers);
    placement::place_all(&config.workers, snapshot, &mut workers, &order);
    for (plan, worker) in workers.iter_mut().zip(&config.workers) {
        if let Some(facts) = &mut plan.facts {
            (facts.config, facts.settings) = (worker.digest(), worker.settings());
        }
        if snapshot.checks {
            plan.check = Some(check::check(worker, snapshot));
        }
    }
    let refused = config.refused.iter().map(|refused| WorkerPlan {
        action: Action::Refuse(Refusal::Config(refused.problems.clone())),
        ..WorkerPlan::new(&refused.worker)
    });
    workers.extend(refused);
    let faults = catch_unwind(AssertUnwindSafe(|| placement::faults(config, snapshot)));
    let hooks = catch_unwind(AssertUnwindSafe(|| draining::hooks(snapshot)));
    let hooks = hooks.unwrap_or_else(|_| draining::unread_hooks(snapshot));
    Plan { workers, faults: faults.unwrap_or_default(), order, hooks }
}

/// A panic is a fault of ours, and that worker's failure only.
fn apart(worker: &Worker, decide: impl FnOnce() -> WorkerPlan) -> WorkerPlan {
    catch_unwind(AssertUnwindSafe(decide)).unwrap_or_else(|_| WorkerPlan {
        action: Action::Hold(ReadError::Panic),
        ..WorkerPlan::new(&worker.name)
    })
}

/// Whether anything can be owed at this depth. If not, nothing else has to be read: a container
/// is started for a message that waits, or for the minimum of this time, unless the worker is paused.
pub fn can_owe(worker: &Worker, depth: &Depth, now: Timestamp) -> bool {
    let scaling = &worker.scaling;
    let minimum = || scaling.min_containers.at(now).containers;
    let Depth { visible, delayed, in_flight: _ } = demand::counted(scaling, *depth);
    let owes = visible.plus(delayed) != Messages::ZERO || minimum() != Containers::ZERO;
    owes && worker.pause(now).is_none()
}

fn decide_worker(worker: &Worker, share: Share, snapshot: &Snapshot) -> WorkerPlan {
    let mut plan = WorkerPlan::new(&worker.name);
    let asked = Asked { worker, share, snapshot };
    plan.action = decide_action(asked, &mut plan).unwrap_or_else(|instead| instead);
    plan
}

/// Whose launch is decided, on what.
#[derive(Clone, Copy)]
struct Asked<'a> {
    worker: &'a Worker,
    share: Share,
    snapshot: &'a Snapshot,
}

/// What is to be done, or what keeps it from being done. On the way the plan learns what was read.
fn decide_action(asked: Asked<'_>, plan: &mut WorkerPlan) -> Result<Action, Action> {
    let Asked { worker, snapshot, .. } = asked;
    let queue = *read(&snapshot.queues, &worker.name, "GetQueueAttributes")?;
    plan.depth = Some(queue.depth);
    plan.health.redrive = queue.redrive;
    let depth = demand::counted(&worker.scaling, queue.depth);
    let before = snapshot.memories.get(&worker.name).and_then(|memory| memory.progress.as_ref());
    plan.progress = before.map(|before| before.glanced(snapshot.now, depth));
    if !can_owe(worker, &queue.depth, snapshot.now) {
        check::examine_anyway(worker, snapshot, plan);
        let paused = worker.pause(snapshot.now).cloned().map(Idle::Paused);
        return Ok(paused.map_or(Action::NONE, Action::Idle));
    }
    decide_by_tasks(asked, queue, before, plan)
}

/// The same where something can be owed.
fn decide_by_tasks(
    Asked { worker, share, snapshot }: Asked<'_>,
    queue: Queue,
    before: Option<&Progress>,
    plan: &mut WorkerPlan,
) -> Result<Action, Action> {
    let depth = demand::counted(&worker.scaling, queue.depth);
    let tasks = read(&snapshot.tasks, &worker.cluster, "ListTasks")?;
    let name = &worker.task_definition;
    let definition = read(&snapshot.definitions, name, "DescribeTaskDefinition")?;
    let recipe = Recipe::new(definition, worker.into()).map_err(Refusal::Definition)?;
    request::check(worker, &recipe)?;
    let own = OwnTasks::of(worker, recipe.container(), tasks, snapshot.now);
    let alive = examine(&recipe, &own, snapshot, plan);
    plan.health.late = late::news(&own, tasks);
    plan.health.breaker = health::breaker(worker, &own, snapshot.now);
    if own.are_of_this_tick_or_later(snapshot) {
        return Ok(Action::Idle(Idle::Superseded));
    }
    let (per_task, unregistered) = ContainersPerTask::of(worker, &recipe, &own, snapshot)?;
    plan.health.unregistered = unregistered;
    let need = demand::need(worker, &depth, &alive, per_task.most);
    let breaker = plan.health.breaker.as_ref();
    let (now, most) = (snapshot.now, per_task.most);
    let base = &definition.arn;
    let look = Look { worker, now, depth, need, per_task: most, own: &own, base, breaker };
    let progress = look.after(before);
    plan.health.ahead = eager(&progress, depth);
    let alive = idle::counted(alive, &progress.idling);
    plan.alive = Some(alive);
    let (rungs, left_out) = late::ladder(&worker.launch.rungs, &own, snapshot.now);
    let served = Served {
        worker,
        rungs,
        left_out,
        snapshot,
        queue,
        alive,
        recipe,
        per_task,
        look,
        progress: &progress,
        share,
    };
    let mut facts = served.facts();
    let action = decide_launch(&served, &mut facts);
    plan.facts = Some(Box::new(facts));
    plan.progress = Some(progress);
    action
}

/// What the worker's tasks show: what is alive, and what somebody may have to look at.
fn examine(
    recipe: &Recipe<'_>,
    own: &OwnTasks<'_>,
    snapshot: &Snapshot,
    plan: &mut WorkerPlan,
) -> Alive {
    let memory = snapshot.memories.get(&plan.worker);
    let after = recipe.waits_for_the_end();
    let seen = outlived::seen(own.without_workers(&after), memory, snapshot.now);
    plan.health.outlived = outlived::named(&seen, snapshot.now);
    plan.without_workers = Some(seen);
    plan.health.stuck = own.stuck();
    plan.health.of_others = own.of_others(&snapshot.function);
    let alive = outlived::counted(own.count(), own, &plan.health.outlived);
    plan.alive = Some(alive);
    alive
}

/// What asks for containers that end before a message can be received.
fn eager(progress: &Progress, depth: Depth) -> Option<Eager> {
    let Ahead { pause, .. } = progress.ahead;
    let by = if depth.delayed == Messages::ZERO { Eager::Minimum } else { Eager::Delayed };
    (!pause.is_zero()).then_some(by)
}

/// What was read under a key. A snapshot that lacks what a decision needs holds, as a failed read
/// does.
fn read<'a, K: Ord, T>(
    reads: &'a BTreeMap<K, Read<T>>,
    key: &K,
    operation: &'static str,
) -> Result<&'a T, ReadError> {
    reads.get(key).ok_or_else(|| unread(operation))?.as_ref().map_err(Clone::clone)
}

fn unread(operation: &'static str) -> ReadError {
    ReadError::Answer { operation, what: "it was not read".to_owned() }
}

/// All that is known of a worker that may be owed something.
struct Served<'a> {
    worker: &'a Worker,
    /// The rungs that a launch asks, from the top.
    rungs: Vec<Rung>,
    left_out: Vec<LeftOut>,
    snapshot: &'a Snapshot,
    queue: Queue,
    alive: Alive,
    recipe: Recipe<'a>,
    per_task: ContainersPerTask,
    look: Look<'a>,
    progress: &'a Progress,
    share: Share,
}

impl Served<'_> {
    /// What the arithmetic goes by, up to how large the tasks are.
    fn facts(&self) -> Facts {
        let Self { worker, snapshot, queue, alive, per_task, look, progress, share, .. } = self;
        let Depth { visible, in_flight, delayed } = queue.depth;
        let registry = late::registry(look.own, look.now);
        let is_broken = look.breaker.is_some();
        let waits = visible != Messages::ZERO;
        Facts {
            visible,
            in_flight,
            delayed,
            alive: *alive,
            minimum: worker.scaling.min_containers.at(snapshot.now),
            most: per_task.most,
            allowance: share.allowance,
            registry: registry.map(|wait| Duration::from_secs(wait.as_secs())),
            canary: is_broken.then(|| Containers(1).minus(look.own.unjudged(look.now))),
            brake: waits.then(|| progress::brake(progress, look)),
            ahead: progress::wait_ahead(progress, look).filter(|_| !waits),
            ..Facts::default()
        }
    }
}

fn decide_launch(served: &Served<'_>, facts: &mut Facts) -> Result<Action, Action> {
    let Served { worker, recipe, per_task, .. } = served;
    let packing = &worker.packing;
    let decision = demand::decide(&worker.scaling, packing, facts);
    if decision.launch == Containers::ZERO {
        return Ok(Action::Idle(Idle::Answered(Box::new(decision))));
    }
    let placement = placement::plan(worker, recipe);
    let network_mode = network_mode(recipe, worker)?;
    facts.sizes = Some(packed::sizes(served));
    let allowance = packed::allowance(packing, facts);
    let packed = packed::pack(packing, facts, &decision);
    let mut numbered = 0..;
    let groups = packed
        .groups
        .iter()
        .map(|&(n, tasks)| make_group(served, n, tasks, &mut numbered))
        .collect::<Result<Vec<_>, _>>()?;
    let smaller = packed::smaller(served, &groups, allowance.tasks);
    let smaller =
        smaller.map(|tasks| make_group(served, Containers(1), tasks, &mut (packed::SMALLER..)));
    Ok(Action::Launch(Box::new(LaunchPlan {
        decision,
        cluster: worker.cluster.clone(),
        launch: Launch { rungs: served.rungs.clone(), ..worker.launch.clone() },
        left_out: served.left_out.clone(),
        network_mode,
        runs_on: runs_on(recipe),
        marks: marks(served, &groups),
        groups,
        smaller: smaller.transpose()?,
        placement,
        deferred: deferred(per_task, packed.deferred, allowance),
        price: packed::price(served, &packed),
        several: packed.several,
        cautions: packed::cautions(served, &packed),
        public_pulls: packed::public_pulls(served, &packed),
        known: served.look.own.alive.iter().map(|own| own.arn.clone()).collect(),
    })))
}

/// What is owed and not started, and what would have to change.
fn deferred(
    per_task: &ContainersPerTask,
    containers: Containers,
    Allowance { tasks, bound }: Allowance,
) -> Option<Deferred> {
    let (most, obstacle) = (per_task.most, per_task.obstacle.clone());
    let deferred = Deferred { containers, tasks, bound, per_task: most, obstacle };
    (containers != Containers::ZERO).then_some(deferred)
}

/// The same launch on another revision of its definition; `None` where that cannot take it over.
/// The numbers stay: the calls that were made for the rest of the plan stay good.
pub fn renew(
    worker: &Worker,
    launch: &LaunchPlan,
    definition: &TaskDefinition,
) -> Option<LaunchPlan> {
    let renew = || renew_launch(worker, launch, definition);
    catch_unwind(AssertUnwindSafe(renew)).ok().flatten()
}

fn renew_launch(
    worker: &Worker,
    launch: &LaunchPlan,
    definition: &TaskDefinition,
) -> Option<LaunchPlan> {
    let recipe = Recipe::new(definition, worker.into()).ok()?;
    request::check(worker, &recipe).ok()?;
    let mut launch = launch.clone();
    launch.network_mode = network_mode(&recipe, worker).ok()?;
    launch.runs_on = runs_on(&recipe);
    // The instances were chosen for what the other revision asks for.
    let asks = placement::plan(worker, &recipe).map(|placement| placement.expressions);
    if asks != launch.placement.as_ref().map(|placement| placement.expressions.clone()) {
        return None;
    }
    for group in &mut launch.groups {
        let n = group.containers_per_task;
        if recipe.is_derived(n) && worker.packing.registered_sizes.is_some() {
            return None;
        }
        if placement::needs(worker, &recipe, n).ok()? != group.needs {
            return None;
        }
        let nothing_known = &BTreeMap::new();
        group.revision = per_task::revision(&recipe, n, nothing_known).ok()?;
    }
    Some(launch)
}

/// The derived families that a launch for a queue's depth would need if nothing were alive: what is
/// worth reading beside the tasks. Where nothing may be registered, all that the operator lists.
pub fn foresee(worker: &Worker, alone: &Snapshot) -> Vec<Family> {
    if let Some(listed) = &worker.packing.registered_sizes {
        return listed.iter().map(|n| worker.task_definition.family().variant(*n)).collect();
    }
    let plan = apart(worker, || decide_worker(worker, Share::ALL, alone));
    let Action::Launch(launch) = plan.action else { return Vec::new() };
    let families = launch.groups.into_iter().filter_map(|group| match group.revision {
        Revision::Registered(_) => None,
        Revision::Derived(variant, _) => Some(variant.family),
    });
    families.collect()
}

fn network_mode(recipe: &Recipe<'_>, worker: &Worker) -> Result<NetworkMode, Refusal> {
    match recipe.base.view.network_mode.as_deref() {
        Some("awsvpc") if worker.launch.network.is_none() => Err(Refusal::NoNetwork),
        Some("awsvpc") => Ok(NetworkMode::AwsVpc),
        _ => Ok(NetworkMode::Other),
    }
}

fn runs_on(recipe: &Recipe<'_>) -> RunsOn {
    let is_for_fargate = recipe.base.view.is_for_fargate_alone();
    if is_for_fargate { RunsOn::Fargate } else { RunsOn::Anything }
}

fn make_group(
    served: &Served<'_>,
    containers_per_task: Containers,
    tasks: Tasks,
    numbered: &mut impl Iterator<Item = usize>,
) -> Result<Group, Action> {
    let (snapshot, worker) = (served.snapshot, served.worker);
    let known = &snapshot.derived;
    let revision = served.per_task.revision(&served.recipe, containers_per_task, known)?;
    let tick = snapshot.worker_tick(&worker.name);
    let calls = batches(tasks).zip(numbered).map(|(tasks, number)| {
        let rungs = 0..served.rungs.len();
        let tokens = rungs.map(|rung| ClientToken::new(tick, number, rung)).collect();
        Call { number, tasks, way: Way::Run(tokens) }
    });
    let calls = calls.collect();
    let needs = placement::needs(worker, &served.recipe, containers_per_task)?;
    let overrides = request::overrides(worker, &served.recipe, snapshot, containers_per_task)?;
    Ok(Group { revision, containers_per_task, needs, overrides, calls })
}

/// Tasks in tens and a rest.
fn batches(tasks: Tasks) -> impl Iterator<Item = Tasks> {
    let most = limits::TASKS_PER_RUN_TASK;
    let full = (0..tasks.0 / most.0).map(move |_| most);
    let rest = tasks.0 % most.0;
    full.chain((0 < rest).then_some(Tasks(rest)))
}

fn marks(served: &Served<'_>, groups: &[Group]) -> Marks {
    let Served { snapshot, worker, recipe, .. } = served;
    let tag = |key: &str, value: String| Tag { key: key.to_owned(), value };
    Marks {
        scaler: snapshot.scaler.clone(),
        group: format!("worker:{}", worker.name),
        tags: [
            tag(tags::WORKER, worker.name.to_string()),
            tag(tags::TICK, snapshot.tick.to_string()),
            tag(tags::CONTAINER, recipe.container().to_owned()),
            tag(tags::FUNCTION, snapshot.function.clone()),
            plan_tag(groups),
        ]
        .into_iter()
        .chain(worker.launch.tags.iter().map(|(key, value)| tag(key, value.clone())))
        .collect(),
    }
}

fn plan_tag(groups: &[Group]) -> Tag {
    let spelt = |group: &Group| format!("{}x{}", group.tasks(), group.containers_per_task);
    let groups: Vec<_> = groups.iter().map(spelt).collect();
    Tag { key: tags::PLAN.to_owned(), value: groups.join(" + ") }
}

#[cfg(test)]
mod tests;
