//! `(&Config, &Snapshot) -> Plan`: the policy, and nothing else. Total and pure: no clock, no
//! network, no randomness, no log, no failure. What is wrong is part of the plan.

mod demand;
mod packing;

use std::collections::{BTreeMap, BTreeSet};

use self::packing::{Packed, Room};
use crate::config::{Config, Packing, Strategy, Worker};
use crate::definition::Tag;
use crate::fargate::{MicroDollars, PriceList};
use crate::plan::{
    Action, Alive, Call, ClientToken, Decision, Deferred, Group, Idle, LaunchPlan, Marks,
    NetworkMode, Plan, Refusal, Revision, WorkerPlan,
};
use crate::snapshot::{ContainerStatus, Depth, Read, ReadError, Snapshot, Task};
use crate::units::{Containers, TaskArn, Tasks};
use crate::variant::{MOST_CONTAINERS, Obstacle, Recipe};

/// Source: ECS API, `RunTaskRequest.count`.
const MOST_TASKS_A_CALL: u32 = 10;

/// Decides for every worker on its own.
pub fn decide(config: &Config, snapshot: &Snapshot) -> Plan {
    let served = config.workers.iter().map(|worker| decide_worker(worker, snapshot));
    let refused = config.refused.iter().map(|refused| WorkerPlan {
        worker: refused.worker.clone(),
        depth: None,
        alive: None,
        action: Action::Refuse(Refusal::Config(refused.problems.clone())),
    });
    Plan { workers: served.chain(refused).collect() }
}

/// Whether anything can be owed at this depth. If not, nothing else has to be read: a container
/// is started for a message that waits, or for the minimum.
pub fn can_owe(worker: &Worker, depth: &Depth) -> bool {
    let scaling = &worker.scaling;
    demand::waiting(scaling, depth).0 != 0 || scaling.min_containers != Containers::ZERO
}

fn decide_worker(worker: &Worker, snapshot: &Snapshot) -> WorkerPlan {
    let mut plan =
        WorkerPlan { worker: worker.name.clone(), depth: None, alive: None, action: Action::NONE };
    plan.action = decide_action(worker, snapshot, &mut plan).unwrap_or_else(|trouble| trouble);
    plan
}

/// What is to be done, or what keeps it from being done. On the way the plan learns what was read.
fn decide_action(
    worker: &Worker,
    snapshot: &Snapshot,
    plan: &mut WorkerPlan,
) -> Result<Action, Action> {
    let depth = *read(&snapshot.queues, &worker.name, "GetQueueAttributes")?;
    plan.depth = Some(depth);
    if !can_owe(worker, &depth) {
        return Ok(Action::NONE);
    }
    let tasks = read(&snapshot.tasks, &worker.cluster, "ListTasks")?;
    let name = &worker.task_definition;
    let definition = read(&snapshot.definitions, name, "DescribeTaskDefinition")?;
    let recipe = Recipe::new(definition, worker.container.as_deref(), &worker.packing)
        .map_err(Refusal::Definition)?;
    let own: Vec<_> = tasks.iter().filter(|task| task.worker == worker.name).collect();
    let alive = count_alive(&own, &recipe);
    plan.alive = Some(alive);
    Ok(decide_launch(&Facts { worker, snapshot, depth, alive, own: &own, recipe })?)
}

/// What was read under a key. A snapshot that lacks what a decision needs holds, as a failed read
/// does.
fn read<'a, K: Ord, T>(
    reads: &'a BTreeMap<K, Read<T>>,
    key: &K,
    operation: &'static str,
) -> Result<&'a T, ReadError> {
    let unread = || ReadError::Answer { operation, what: "it was not read".to_owned() };
    reads.get(key).ok_or_else(unread)?.as_ref().map_err(Clone::clone)
}

/// All that is known of a worker that may be owed something.
struct Facts<'a> {
    worker: &'a Worker,
    snapshot: &'a Snapshot,
    depth: Depth,
    alive: Alive,
    own: &'a [&'a Task],
    recipe: Recipe<'a>,
}

fn decide_launch(facts: &Facts<'_>) -> Result<Action, Refusal> {
    let Facts { worker, depth, alive, recipe, .. } = facts;
    let packing = &worker.packing;
    let (per_task, obstacle) = containers_per_task(recipe, packing)?;
    let decision = demand::decide(worker, *depth, *alive, per_task);
    if decision.launch == Containers::ZERO {
        return Ok(Action::Idle(Idle::Answered(decision)));
    }
    let network_mode = match recipe.base.view.network_mode.as_deref() {
        Some("awsvpc") if worker.launch.network.is_none() => return Err(Refusal::NoNetwork),
        Some("awsvpc") => NetworkMode::AwsVpc,
        _ => NetworkMode::Other,
    };
    let room = Room { per_task, tasks: packing.max_tasks };
    let packed = pack(facts, &decision, room);
    let mut numbered = 0..;
    let groups = packed
        .groups
        .iter()
        .map(|&(n, tasks)| make_group(facts, (n, tasks), &mut numbered))
        .collect::<Result<_, _>>()?;
    let deferred = (packed.deferred != Containers::ZERO).then_some(Deferred {
        containers: packed.deferred,
        max_tasks: room.tasks,
        per_task,
        obstacle,
    });
    Ok(Action::Launch(Box::new(LaunchPlan {
        decision,
        cluster: worker.cluster.clone(),
        launch: worker.launch.clone(),
        network_mode,
        marks: marks(facts),
        groups,
        deferred,
        hourly_price: hourly_price(facts, &packed),
        known: facts.own.iter().map(|task| task.arn.clone()).collect::<BTreeSet<TaskArn>>(),
    })))
}

/// The most containers a task may have. An operator who asks for several gets them or an error; a
/// worker that cannot be cloned and was not asked to be has one a task.
fn containers_per_task(
    recipe: &Recipe<'_>,
    packing: &Packing,
) -> Result<(Containers, Option<Obstacle>), Refusal> {
    if packing.max_containers_per_task == Some(Containers(1)) {
        return Ok((Containers(1), None));
    }
    match (recipe.most_containers(), packing.max_containers_per_task) {
        ((_, Some(obstacle)), Some(_)) => Err(Refusal::Definition(obstacle)),
        ((most, obstacle), asked) => Ok((most.min(asked.unwrap_or(most)), obstacle)),
    }
}

fn pack(facts: &Facts<'_>, decision: &Decision, room: Room) -> Packed {
    let list = price_list(facts);
    let price = |n| facts.recipe.hourly_price(n, list).unwrap_or_default();
    match (decision.launch_tasks, facts.worker.packing.strategy) {
        (Some(tasks), _) => {
            packing::spread(decision.launch, Room { tasks: tasks.min(room.tasks), ..room })
        }
        (None, Strategy::Spread) => packing::spread(decision.launch, room),
        (None, Strategy::Dense) => packing::dense(decision.launch, room),
        (None, Strategy::Cheapest) => packing::cheapest(decision.launch, room, price),
    }
}

fn price_list(facts: &Facts<'_>) -> PriceList {
    PriceList::of(&facts.snapshot.region, facts.recipe.base.view.architecture())
}

fn hourly_price(facts: &Facts<'_>, packed: &Packed) -> Option<(MicroDollars, &'static str)> {
    let list = price_list(facts);
    let price = |n| facts.recipe.hourly_price(n, list);
    let mut prices = packed.groups.iter().map(|(n, tasks)| Some(price(*n)?.times(tasks.0)));
    let sum = prices.try_fold(MicroDollars::default(), |sum, price| Some(sum.plus(price?)))?;
    Some((sum, list.region))
}

fn make_group(
    facts: &Facts<'_>,
    (containers_per_task, tasks): (Containers, Tasks),
    numbered: &mut impl Iterator<Item = usize>,
) -> Result<Group, Refusal> {
    let revision = if containers_per_task == Containers(1) {
        Revision::Base(facts.recipe.base.arn.clone())
    } else {
        Revision::Derived(Box::new(facts.recipe.variant(containers_per_task)?))
    };
    let (snapshot, worker) = (facts.snapshot, facts.worker);
    let named = (&snapshot.scaler, &worker.name, &snapshot.tick);
    let calls = batches(tasks).zip(numbered).map(|(tasks, call)| {
        let rungs = 0..worker.launch.rungs.len();
        Call { tasks, tokens: rungs.map(|rung| ClientToken::new(named, call, rung)).collect() }
    });
    Ok(Group { revision, containers_per_task, calls: calls.collect() })
}

/// Tasks in tens and a rest.
fn batches(tasks: Tasks) -> impl Iterator<Item = Tasks> {
    let full = (0..tasks.0 / MOST_TASKS_A_CALL).map(|_| Tasks(MOST_TASKS_A_CALL));
    let rest = tasks.0 % MOST_TASKS_A_CALL;
    full.chain((0 < rest).then_some(Tasks(rest)))
}

fn marks(facts: &Facts<'_>) -> Marks {
    let (snapshot, worker) = (facts.snapshot, facts.worker);
    let tag = |key: &str, value: String| Tag { key: format!("ecs-queue-scaler:{key}"), value };
    Marks {
        scaler: snapshot.scaler.clone(),
        group: format!("worker:{}", worker.name),
        tags: vec![tag("worker", worker.name.to_string()), tag("tick", snapshot.tick.to_string())],
    }
}

/// A worker container is alive until ECS says that it stopped: one that ECS does not list yet is
/// on its way.
fn count_alive(tasks: &[&Task], recipe: &Recipe<'_>) -> Alive {
    let names = recipe.names(MOST_CONTAINERS);
    let mut alive = Alive::default();
    for task in tasks {
        let with = |status| {
            let of_worker = |(name, s): &&(String, _)| *s == status && names.contains(name);
            Containers::counted(task.containers.iter().filter(of_worker).count())
        };
        let all = task.revision.family().worker_containers();
        alive.tasks = alive.tasks.plus(Tasks(1));
        alive.containers = alive.containers.plus(all.minus(with(ContainerStatus::Stopped)));
        alive.running = alive.running.plus(with(ContainerStatus::Running));
    }
    alive
}
