//! Which container instance each task goes to, where our own scheduler places. Pure.
//!
//! What is placed is deducted before the next choice, for all workers of a cluster together, in the
//! order in which they are served. Equals are taken in the order of their ARNs.

mod calls;
mod rooms;
mod faults;
mod fitting;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use self::calls::Numbering;
use self::rooms::{Fit, Placed, Rooms};
use super::request;
use crate::config::{Placement, Worker};
use crate::definition::{Needs, Tag, TaskDefinition, View};
use crate::plan::{
    Action, Group, GroupPlaced, Lack, LaunchPlan, PlacementPlan, Refusal, Revision, Search,
    WorkerPlan,
};
use crate::snapshot::{Instance, Instances, Read, ReadError, Snapshot};
use crate::tags;
use crate::units::{
    ClusterName, Containers, Expression, InstanceArn, RevisionArn, ServiceName, Tasks,
};
use crate::variant::Recipe;

pub(super) use self::faults::faults;
pub use self::fitting::{Fitting, OnInstances, fitting, place_as_is, placed_by_us};
pub use self::rooms::short_of;

/// The instances of each cluster, as they fill up in this tick.
type Filling<'a> = BTreeMap<&'a ClusterName, Site<'a>>;

/// A cluster that fills up.
struct Site<'a> {
    rooms: Rooms<'a>,
    /// What is found out once for all workers that ask for the same.
    barred: BTreeMap<Demands<'a>, Read<Barred>>,
}

/// What decides which instances can take no task of a worker, whatever its size: daemons,
/// attributes, expressions, and who refused one.
type Demands<'a> = (
    &'a BTreeSet<ServiceName>,
    &'a BTreeMap<String, String>,
    BTreeSet<Expression>,
    &'a BTreeSet<InstanceArn>,
);

/// The instances that can take no task of a worker, by their index, and why.
type Barred = BTreeMap<usize, Lack>;

/// Gives every task of our own scheduler its instance, in the order in which workers are served.
pub(super) fn place_all(
    workers: &[Worker],
    snapshot: &Snapshot,
    plans: &mut [WorkerPlan],
    order: &[usize],
) {
    let mut filling = Filling::new();
    let nobody = BTreeSet::new();
    for index in order {
        let (Some(worker), Some(plan)) = (workers.get(*index), plans.get_mut(*index)) else {
            continue;
        };
        let (Some(placement), Action::Launch(launch)) = (&worker.launch.placement, &plan.action)
        else {
            continue;
        };
        let ask = Ask { worker, placement, snapshot, refused: &nobody };
        let groups = launch.groups.iter().map(|group| (group.clone(), group.tasks()));
        let wanted = Wanted { launch, groups: groups.collect(), claim: TickClaim::ToTake };
        match ask.place(&mut filling, wanted) {
            Ok(placed) => plan.action = Action::Launch(Box::new(placed)),
            Err(error) => plan.action = Action::Hold(error),
        }
    }
}

/// The tasks of a worker that instances refused.
#[derive(Clone, Debug)]
pub struct Displaced<'a> {
    /// Whose.
    pub worker: &'a Worker,
    /// The launch that they were of.
    pub launch: &'a LaunchPlan,
    /// What was refused, by group.
    pub groups: Vec<DisplacedTasks>,
    /// Who refused one.
    pub refused: BTreeSet<InstanceArn>,
    /// Whether the launch's first call has started its task: then this delivery has the tick.
    pub has_tick: bool,
}

/// Tasks of one group that instances refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisplacedTasks {
    /// Worker containers in each.
    pub containers_per_task: Containers,
    /// How many.
    pub tasks: Tasks,
    /// What they run.
    pub revision: RevisionArn,
}

/// Places what instances refused on others. What finds no room is left out of the launch.
pub fn place_again(displaced: &[Displaced<'_>], snapshot: &Snapshot) -> Vec<Read<LaunchPlan>> {
    let mut filling = Filling::new();
    let placed = displaced.iter().map(|displaced| {
        let Displaced { worker, launch, refused, .. } = displaced;
        let Some(placement) = &worker.launch.placement else { return Ok((*launch).clone()) };
        let ask = Ask { worker, placement, snapshot, refused };
        ask.place(&mut filling, displaced.wanted())
    });
    placed.collect()
}

impl Displaced<'_> {
    fn wanted(&self) -> Wanted<'_> {
        let groups = self.groups.iter().filter_map(|group| {
            let DisplacedTasks { containers_per_task: n, tasks, revision: found } = group;
            let group = self.launch.groups.iter().find(|group| group.containers_per_task == *n)?;
            let revision = match &group.revision {
                Revision::Derived(variant, _) => {
                    Revision::Derived(variant.clone(), Search::Found(found.clone()))
                }
                Revision::Registered(_) => Revision::Registered(found.clone()),
            };
            Some((Group { revision, ..group.clone() }, *tasks))
        });
        Wanted { launch: self.launch, groups: groups.collect(), claim: self.claim() }
    }

    fn claim(&self) -> TickClaim {
        let calls = self.launch.groups.iter().flat_map(|group| &group.calls);
        let last = calls.map(|call| call.number).max().unwrap_or_default();
        let next = last.saturating_add(1);
        if self.has_tick { TickClaim::Taken(next) } else { TickClaim::ToTakeAgain(next) }
    }
}

/// What our own scheduler has to know of a worker's launch, where it places it.
pub(super) fn plan(worker: &Worker, recipe: &Recipe<'_>) -> Option<PlacementPlan> {
    worker.launch.placement.as_ref()?;
    let expressions = expressions(worker, recipe.base);
    Some(PlacementPlan { expressions, ..PlacementPlan::default() })
}

/// What an instance must have for a task of so many worker containers.
///
/// # Errors
/// What of the base stands in the way.
pub(super) fn needs(
    worker: &Worker,
    recipe: &Recipe<'_>,
    n: Containers,
) -> Result<Option<Needs>, Refusal> {
    if worker.launch.placement.is_none() {
        return Ok(None);
    }
    let of_base = request::needs(worker, recipe.base);
    if !recipe.is_derived(n) {
        return Ok(Some(of_base));
    }
    // What ECS requires of an instance, it says of what is registered.
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
enum TickClaim {
    /// The first call of the launch takes it.
    ToTake,
    /// The first call placed nothing: another one takes it.
    ToTakeAgain(usize),
    /// It has: calls are numbered from here on.
    Taken(usize),
}

/// The tasks of a launch that are to be placed.
struct Wanted<'a> {
    launch: &'a LaunchPlan,
    /// Of each group, how many.
    groups: Vec<(Group, Tasks)>,
    claim: TickClaim,
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
    /// A panic is a fault of ours, and that worker's failure only.
    fn place(&self, filling: &mut Filling<'a>, wanted: Wanted<'_>) -> Read<LaunchPlan> {
        let all = || self.place_groups(filling, wanted);
        catch_unwind(AssertUnwindSafe(all)).unwrap_or(Err(ReadError::Panic))
    }

    /// The same launch of these tasks, each with its instance. What finds no room is left out and reported.
    fn place_groups(&self, filling: &mut Filling<'a>, wanted: Wanted<'_>) -> Read<LaunchPlan> {
        let Wanted { launch, groups: wanted, claim } = wanted;
        let Self { worker, snapshot, .. } = self;
        let instances = super::read(&snapshot.instances, &worker.cluster, LIST)?;
        let expressions = launch.placement.as_ref().map(|placement| placement.expressions.clone());
        let expressions = expressions.unwrap_or_default();
        let volatile = expressions.iter().any(Expression::depends_on_tasks);
        let Site { rooms, barred } = filling.entry(&worker.cluster).or_insert_with(|| Site {
            rooms: Rooms::new(instances, snapshot, &worker.cluster),
            barred: BTreeMap::new(),
        });
        let Placement { require_daemons, attributes, .. } = self.placement;
        let demands = (require_daemons, attributes, expressions.clone(), self.refused);
        let barred = barred.entry(demands).or_insert_with(|| self.barred(instances, &expressions));
        let barred = barred.as_ref().map_err(Clone::clone)?;
        let mut numbering = Numbering(claim);
        let active = instances.active.len();
        let mut placement =
            PlacementPlan { expressions, instances: active, ..PlacementPlan::default() };
        let mut groups = Vec::new();
        let mut place = |group: Group, asked| {
            let needs = group.needs.clone().unwrap_or_default();
            let fit = self.fit(&needs, barred, volatile);
            let Placed { on, lacks } = rooms.place(&fit, asked);
            let without_room = asked.minus(Tasks::counted(on.len()));
            let containers_per_task = group.containers_per_task;
            let on: Vec<_> = on.iter().filter_map(|index| instances.active.get(*index)).collect();
            groups.push(Group { calls: numbering.calls(self, &on), ..group });
            GroupPlaced { asked, without_room, containers_per_task, needs, lacks }
        };
        for (group, asked) in wanted {
            placement.add(place(group, asked));
        }
        // What has no room for several may have it for one.
        if let Some(smaller) = &launch.smaller {
            let most = smaller.tasks().minus(placement.fit);
            let asked = Tasks(placement.of_several_without_room().0).min(most);
            if asked != Tasks::ZERO {
                placement.replace(place(smaller.clone(), asked));
            }
        }
        groups.retain(|group| !group.calls.is_empty());
        let mut marks = launch.marks.clone();
        marks.tags.retain(|tag| ![tags::PLAN, tags::DELIVERY].contains(&tag.key.as_str()));
        let (key, value) = (tags::DELIVERY.to_owned(), snapshot.delivery.clone());
        marks.tags.push(super::plan_tag(&groups));
        marks.tags.push(Tag { key, value });
        let (placement, smaller) = (Some(placement), None);
        Ok(LaunchPlan { marks, groups, smaller, placement, ..launch.clone() })
    }

    fn fit<'b>(&'b self, needs: &'b Needs, barred: &'b Barred, volatile: bool) -> Fit<'b> {
        Fit {
            worker: &self.worker.name,
            rule: self.placement.rule,
            needs,
            barred,
            refusals: self.snapshot.refusals.get(&self.worker.name),
            distinct: self.is_distinct(),
            volatile,
        }
    }

    /// The instances that can take no task of the worker, whatever its size, and why.
    ///
    /// # Errors
    /// When what decides about them could not be read.
    fn barred(&self, instances: &Instances, expressions: &BTreeSet<Expression>) -> Read<Barred> {
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

const LIST: &str = "ListContainerInstances";
