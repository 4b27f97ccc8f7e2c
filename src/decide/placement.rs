//! Which container instance each task goes to, where our own scheduler places. Pure.
//!
//! What is placed is deducted before the next choice, for all workers of a cluster together, in the
//! order in which they are served. Equals are taken in the order of their ARNs.

mod calls;
mod rooms;
mod troubles;

use std::collections::{BTreeMap, BTreeSet};

use self::calls::Numbering;
use self::rooms::{Fit, Placed, Rooms};
use crate::config::{Config, Placement, Worker};
use crate::definition::{Needs, Tag, TaskDefinition, View};
use crate::plan::{Action, DELIVERY_TAG, Lack, LaunchPlan, PlacementPlan, Refusal, WorkerPlan};
use crate::snapshot::{Instance, Instances, Read, ReadError, Snapshot, Task};
use crate::units::{ClusterName, Containers, Expression, InstanceArn, Tasks};
use crate::variant::Recipe;

pub(super) use self::troubles::troubles;

/// The instances of each cluster, as they fill up in this tick.
type Filling<'a> = BTreeMap<&'a ClusterName, Rooms<'a>>;

/// Gives every task of our own scheduler its instance, in the order in which workers are served.
pub(super) fn place_all(
    (config, snapshot): (&Config, &Snapshot),
    workers: &mut [WorkerPlan],
    order: &[usize],
) {
    let mut filling = Filling::new();
    let nobody = BTreeSet::new();
    for index in order {
        let (Some(worker), Some(plan)) = (config.workers.get(*index), workers.get_mut(*index))
        else {
            continue;
        };
        let (Some(placement), Action::Launch(launch)) =
            (&worker.launch.placement, &mut plan.action)
        else {
            continue;
        };
        let ask = Ask { worker, placement, snapshot, refused: &nobody };
        if let Err(error) = ask.place(&mut filling, launch, Charge::ToTake) {
            plan.action = Action::Hold(error);
        }
    }
}

/// The tasks of a worker that instances refused.
#[derive(Clone, Debug)]
pub struct Displaced<'a> {
    /// Whose.
    pub worker: &'a Worker,
    /// The launch of these tasks.
    pub launch: LaunchPlan,
    /// Who refused one.
    pub refused: BTreeSet<InstanceArn>,
    /// Whether this delivery has the tick.
    pub charge: Charge,
}

/// Places what instances refused on others. What finds no room is left out of the launch.
pub fn place_again(displaced: &mut [Displaced<'_>], snapshot: &Snapshot) -> Vec<Read<()>> {
    let mut filling = Filling::new();
    let placed = displaced.iter_mut().map(|displaced| {
        let Displaced { worker, launch, refused, charge } = displaced;
        let Some(placement) = &worker.launch.placement else { return Ok(()) };
        let ask = Ask { worker, placement, snapshot, refused };
        ask.place(&mut filling, launch, *charge)
    });
    placed.collect()
}

/// What our own scheduler has to know of a worker's launch, where it places it.
///
/// # Errors
/// When the definition cannot be run on an instance.
pub(super) fn plan(worker: &Worker, recipe: &Recipe<'_>) -> Result<Option<PlacementPlan>, Refusal> {
    if worker.launch.placement.is_none() {
        return Ok(None);
    }
    if !recipe.base.view.runs_on_ec2() {
        return Err(Refusal::NotForEc2);
    }
    let expressions = expressions(worker, recipe.base);
    Ok(Some(PlacementPlan { expressions, ..PlacementPlan::default() }))
}

/// What an instance must have for a task of so many worker containers.
///
/// # Errors
/// What of the base stands in the way.
pub(super) fn needs(
    worker: &Worker,
    (recipe, n): (&Recipe<'_>, Containers),
) -> Result<Option<Needs>, Refusal> {
    if worker.launch.placement.is_none() {
        return Ok(None);
    }
    let of_base = recipe.base.view.needs();
    if n == Containers(1) {
        return Ok(Some(of_base));
    }
    // What ECS requires of an instance, it tells of what is registered.
    let variant = View::of(&recipe.variant(n)?.document).map(|view| view.needs());
    Ok(variant.map(|needs| Needs { attributes: of_base.attributes, ..needs }))
}

/// The expressions that must hold for the instances of a worker's tasks.
pub fn expressions(worker: &Worker, definition: &TaskDefinition) -> BTreeSet<Expression> {
    let constraints = worker.launch.placement_constraints.iter();
    let own = constraints.filter_map(|constraint| constraint.expression.clone().map(Expression));
    definition.view.expressions().into_iter().chain(own).collect()
}

/// Whether this delivery has the tick already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charge {
    /// The first call of the launch takes it.
    ToTake,
    /// The first call placed nothing: another one takes it.
    ToTakeAgain(usize),
    /// It has: calls are numbered from here on.
    Taken(usize),
}

/// What a worker asks for, whatever the size of its tasks.
struct Ask<'a> {
    worker: &'a Worker,
    placement: &'a Placement,
    snapshot: &'a Snapshot,
    /// Who refused a task of this worker in this tick.
    refused: &'a BTreeSet<InstanceArn>,
}

impl<'a> Ask<'a> {
    /// Replaces the calls of a launch by such that name their instances. What finds no room is left
    /// out and told.
    fn place(
        &self,
        filling: &mut Filling<'a>,
        launch: &mut LaunchPlan,
        charge: Charge,
    ) -> Read<()> {
        let Self { worker, snapshot, .. } = self;
        let instances = super::read(&snapshot.instances, &worker.cluster, LIST)?;
        let mut told = launch.placement.clone().unwrap_or_default();
        let barred = self.barred(instances, &told.expressions)?;
        let nothing = (Needs::default(), BTreeSet::new());
        let fit = Fit {
            worker: &worker.name,
            rule: self.placement.rule,
            needs: &nothing.0,
            barred: &barred,
            refusals: snapshot.refusals.get(&worker.name).unwrap_or(&nothing.1),
            distinct: self.is_distinct(),
            volatile: told.expressions.iter().any(Expression::depends_on_tasks),
        };
        let rooms = filling
            .entry(&worker.cluster)
            .or_insert_with(|| Rooms::new(instances, there(snapshot, &worker.cluster)));
        let mut numbering = Numbering(charge);
        told.instances = instances.active.len();
        for group in &mut launch.groups {
            let asked = group.tasks();
            let Some(needs) = &group.needs else { continue };
            let fit = Fit { needs, ..fit };
            let Placed { on, lacks } = rooms.place(&fit, asked);
            let rest = asked.minus(Tasks::counted(on.len()));
            told.asked = told.asked.plus(asked);
            told.without_room = told.without_room.plus(rest);
            told.left = told.left.plus(rest.containers(group.containers_per_task));
            if rest != Tasks::ZERO {
                told.lacks.extend(lacks);
                told.needs.get_or_insert_with(|| needs.clone());
            }
            let on: Vec<_> = on.iter().filter_map(|index| instances.active.get(*index)).collect();
            group.calls = numbering.calls(self, &on);
        }
        launch.groups.retain(|group| !group.calls.is_empty());
        launch.placement = Some(told);
        launch.marks = super::marks((snapshot, &worker.name), &launch.groups);
        let (key, value) = (DELIVERY_TAG.to_owned(), snapshot.delivery.clone());
        launch.marks.tags.push(Tag { key, value });
        Ok(())
    }

    /// The instances that can take no task of the worker, whatever its size, and why.
    ///
    /// # Errors
    /// When what decides about them could not be read.
    fn barred(
        &self,
        instances: &Instances,
        expressions: &BTreeSet<Expression>,
    ) -> Read<BTreeMap<usize, Lack>> {
        let Self { placement, refused, .. } = self;
        let read = |daemon| super::read(&instances.daemons, daemon, "ListTasks");
        let daemons = placement.require_daemons.iter().map(|daemon| Ok((daemon, read(daemon)?)));
        let daemons = daemons.collect::<Result<Vec<_>, ReadError>>()?;
        let matching = expressions.iter().map(|text| super::read(&instances.matching, text, LIST));
        let matching = matching.collect::<Result<Vec<_>, _>>()?;
        let lack = |instance: &Instance| {
            let Instance { arn, attributes, .. } = instance;
            let wrong = |(name, value): &(&String, &String)| {
                attributes.get(*name).and_then(Option::as_ref) != Some(*value)
            };
            let missing = daemons.iter().find(|(_, runs)| !runs.contains(arn));
            if !instance.connected {
                Some(Lack::Agent)
            } else if refused.contains(arn) {
                Some(Lack::Refused)
            } else if let Some((name, _)) = placement.attributes.iter().find(wrong) {
                Some(Lack::Attribute(name.clone()))
            } else if matching.iter().any(|matching| !matching.contains(arn)) {
                Some(Lack::Constraint)
            } else {
                missing.map(|(daemon, _)| Lack::Daemon((*daemon).clone()))
            }
        };
        let lacks = instances.active.iter().enumerate().map(|(index, i)| Some((index, lack(i)?)));
        Ok(lacks.flatten().collect())
    }

    /// Whether each task goes to an instance of its own.
    /// Source: ECS API, `PlacementConstraint.type`.
    fn is_distinct(&self) -> bool {
        let mut constraints = self.worker.launch.placement_constraints.iter();
        constraints.any(|constraint| constraint.kind == "distinctInstance")
    }
}

/// The tasks of ours that may stand on a cluster's instances.
fn there<'a>(snapshot: &'a Snapshot, cluster: &ClusterName) -> impl Iterator<Item = &'a Task> {
    let tasks = snapshot.tasks.get(cluster).and_then(|read| read.as_ref().ok());
    tasks.into_iter().flat_map(|tasks| tasks.alive.iter().chain(&tasks.presumed))
}

const LIST: &str = "ListContainerInstances";
