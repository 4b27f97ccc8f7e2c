//! How many tasks the instances of a cluster would take, and where tasks of any definition go. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::calls::dealt;
use super::rooms::{Placed, Rooms};
use super::{Ask, Barred, LIST, expressions, needs};
use crate::config::{Rung, Worker};
use crate::decide::own::OwnTasks;
use crate::decide::per_task::ContainersPerTask;
use crate::decide::{read, request, unread};
use crate::definition::Needs;
use crate::plan::{Action, Blocked, Lack, Refusal};
use crate::snapshot::{Instances, Read, Snapshot};
use crate::units::{Containers, Expression, InstanceArn, Tasks};
use crate::variant::Recipe;

/// More tasks no cluster takes; one that needs nothing would fit without end.
const MOST: Tasks = Tasks(100_000);

/// How many tasks of so many worker containers the instances of a cluster would take, if they got no others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fitting {
    /// Worker containers in each.
    pub containers_per_task: Containers,
    /// What an instance must have for one.
    pub needs: Needs,
    /// How many each takes; who takes none is left out.
    pub on: BTreeMap<InstanceArn, Tasks>,
    /// At how many instances what is missing for one more.
    pub lacks: BTreeMap<Lack, usize>,
}

/// Tasks that have an instance each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnInstances {
    /// One task on each, by call of `StartTask`.
    pub calls: Vec<Vec<InstanceArn>>,
    /// At how many instances what is missing for one more.
    pub lacks: BTreeMap<Lack, usize>,
}

/// The same worker, as if our own scheduler placed its tasks.
#[must_use]
pub fn placed_by_us(worker: &Worker) -> Worker {
    let mut worker = worker.clone();
    worker.launch.placement.get_or_insert_default();
    worker
}

/// Room for the tasks of a worker of our own scheduler, at each of their sizes; `None` where ECS places them,
/// or all are Fargate's.
///
/// # Errors
/// What could not be read, or is wrong with the worker.
pub fn fitting(worker: &Worker, snapshot: &Snapshot) -> Result<Option<Vec<Fitting>>, Blocked> {
    at_each_size(worker, snapshot).map_err(|instead| match instead {
        Action::Refuse(refusal) => Blocked::Refused(refusal),
        Action::Hold(error) => Blocked::Read(error),
        // Nothing in there does either.
        Action::Idle(_) | Action::Launch(_) => Blocked::Read(unread(LIST)),
    })
}

fn at_each_size(worker: &Worker, snapshot: &Snapshot) -> Result<Option<Vec<Fitting>>, Action> {
    let name = &worker.task_definition;
    let definition = read(&snapshot.definitions, name, "DescribeTaskDefinition")?;
    let recipe = Recipe::new(definition, worker.into()).map_err(Refusal::Definition)?;
    if worker.launch.placement.is_none() || !recipe.may_go_on_instances() {
        return Ok(None);
    }
    request::check(worker, &recipe)?;
    let tasks = read(&snapshot.tasks, &worker.cluster, "ListTasks")?;
    let own = OwnTasks::of(worker, recipe.container(), tasks, snapshot.now);
    let (per_task, _) = ContainersPerTask::of(worker, &recipe, &own, snapshot)?;
    let nobody = BTreeSet::new();
    let Some(ground) = Ground::of(worker, snapshot, &nobody)? else { return Ok(None) };
    let mut fitting = Vec::new();
    for containers_per_task in per_task.all(&recipe) {
        let needs = needs(worker, &recipe, containers_per_task)?.unwrap_or_default();
        let Placed { on, lacks } = ground.place(&needs, MOST);
        let mut counts = BTreeMap::<_, Tasks>::new();
        for arn in ground.named(&on) {
            let count = counts.entry(arn).or_default();
            *count = count.plus(Tasks(1));
        }
        fitting.push(Fitting { containers_per_task, needs, on: counts, lacks });
    }
    Ok(Some(fitting))
}

/// Gives up to so many tasks of a worker's definition, as it is, their instances; none where ECS places them.
///
/// # Errors
/// What could not be read.
pub fn place_as_is(worker: &Worker, snapshot: &Snapshot, tasks: Tasks) -> Read<OnInstances> {
    let definition =
        read(&snapshot.definitions, &worker.task_definition, "DescribeTaskDefinition")?;
    let nobody = BTreeSet::new();
    let Some(ground) = Ground::of(worker, snapshot, &nobody)? else {
        return Ok(OnInstances::default());
    };
    let Placed { on, lacks } = ground.place(&request::needs(worker, definition), tasks);
    Ok(OnInstances { calls: dealt(ground.named(&on)), lacks })
}

/// The capacity providers that bring the instances of a worker's tasks; `None` where any instance may be theirs.
fn providers(worker: &Worker) -> Option<BTreeSet<&str>> {
    let on_instances = worker.launch.rungs.iter().filter(|rung| rung.is_fargate() != Some(true));
    let names = on_instances.map(|rung| match rung {
        Rung::CapacityProvider(name) => Some(name.as_str()),
        Rung::ClusterDefault | Rung::LaunchType(_) => None,
    });
    names.collect()
}

/// The instances of a cluster for one worker, and which of them can take none of its tasks.
struct Ground<'a> {
    ask: Ask<'a>,
    instances: &'a Instances,
    barred: Barred,
    volatile: bool,
}

impl<'a> Ground<'a> {
    fn of(
        worker: &'a Worker,
        snapshot: &'a Snapshot,
        refused: &'a BTreeSet<InstanceArn>,
    ) -> Read<Option<Self>> {
        let Some(placement) = &worker.launch.placement else { return Ok(None) };
        let instances = read(&snapshot.instances, &worker.cluster, LIST)?;
        let definition = read(&snapshot.definitions, &worker.task_definition, "")?;
        let expressions = expressions(worker, definition);
        let ask = Ask { worker, placement, snapshot, refused };
        let mut barred = ask.barred(instances, &expressions)?;
        if let Some(providers) = providers(worker) {
            for (index, instance) in instances.active.iter().enumerate() {
                if instance.provider.as_deref().is_none_or(|name| !providers.contains(name)) {
                    barred.entry(index).or_insert(Lack::Provider);
                }
            }
        }
        let volatile = expressions.iter().any(Expression::depends_on_tasks);
        Ok(Some(Self { ask, instances, barred, volatile }))
    }

    /// Places up to so many that need this, as if nothing else were placed.
    fn place(&self, needs: &Needs, tasks: Tasks) -> Placed {
        let Self { ask, instances, barred, volatile } = self;
        let mut rooms = Rooms::new(instances, ask.snapshot, &ask.worker.cluster);
        rooms.place(&ask.fit(needs, barred, *volatile), tasks)
    }

    fn named(&self, on: &[usize]) -> impl Iterator<Item = InstanceArn> {
        let instance = |index: &usize| self.instances.active.get(*index);
        on.iter().filter_map(instance).map(|instance| instance.arn.clone())
    }
}
