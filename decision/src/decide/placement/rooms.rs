//! One task after the other to the best instance that takes it. Pure.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use crate::config::{By, Counted, Rule};
use crate::definition::{Attribute, Needs};
use crate::plan::Lack;
use crate::snapshot::{Instance, Instances, Resources, Snapshot, Task};
use crate::units::{ClusterName, Gpus, InstanceArn, Tasks, WorkerName};

/// Tasks of one group of a worker.
#[derive(Clone, Copy)]
pub(super) struct Fit<'a> {
    pub(super) worker: &'a WorkerName,
    pub(super) rule: Rule,
    pub(super) needs: &'a Needs,
    /// The instances that can take no task of the worker, whatever its size, and why.
    pub(super) barred: &'a BTreeMap<usize, Lack>,
    /// Who refused a task of the worker lately: the last choice.
    pub(super) refusals: Option<&'a BTreeSet<InstanceArn>>,
    /// Whether each task goes to an instance of its own.
    pub(super) distinct: bool,
    /// Whether an expression of the worker is over tasks.
    pub(super) volatile: bool,
}

impl Fit<'_> {
    /// What keeps an instance from another task of this group, of what does not change in a tick.
    fn bars(&self, index: usize, room: &Room<'_>) -> Option<Lack> {
        let missing = |Attribute { name, value }: &&Attribute| {
            let found = room.instance.attributes.get(name);
            found.is_none_or(|found| value.is_some() && found != value)
        };
        let missing = || self.needs.attributes.iter().find(missing);
        let whole = &room.instance.whole;
        let is_small = whole.cpu < self.needs.cpu
            || whole.memory < self.needs.memory
            || whole.gpus < self.needs.gpus;
        let barred = self.barred.get(&index).cloned().or(is_small.then_some(Lack::Size));
        barred.or_else(|| missing().map(|attribute| Lack::Attribute(attribute.name.clone())))
    }

    /// What keeps an instance from another task of this group, of what tasks take.
    fn lacks(&self, room: &Room<'_>) -> Option<Lack> {
        let (needs, left) = (self.needs, &room.left);
        let own = room.own(self.worker);
        if self.distinct && own != Tasks::ZERO {
            return Some(Lack::DistinctInstance);
        }
        short_of(left, needs)
    }

    /// The lower it is, the earlier an instance is taken. Who refused a task lately comes last.
    fn rank(&self, room: &Room<'_>) -> (bool, u32, u32) {
        let refused = self.refusals.is_some_and(|them| them.contains(&room.instance.arn));
        let (all, own) = (room.tasks.0, room.own(self.worker).0);
        let (cpu, memory) = (room.left.cpu.0, room.left.memory.0);
        let (first, second) = match self.rule {
            Rule::LeastTasks(Counted::All) | Rule::Spread(Counted::All) => (all, own),
            Rule::LeastTasks(Counted::Worker) | Rule::Spread(Counted::Worker) => (own, all),
            Rule::Binpack(By::Memory) => (memory, cpu),
            Rule::Binpack(By::Cpu) => (cpu, memory),
        };
        (refused, first, second)
    }
}

/// What is left too little of for a task that needs this.
pub fn short_of(left: &Resources, needs: &Needs) -> Option<Lack> {
    if left.cpu < needs.cpu {
        Some(Lack::Cpu)
    } else if left.memory < needs.memory {
        Some(Lack::Memory)
    } else if left.gpus < needs.gpus {
        Some(Lack::Gpus)
    } else if !(needs.tcp.is_disjoint(&left.tcp_taken) && needs.udp.is_disjoint(&left.udp_taken)) {
        Some(Lack::Ports)
    } else {
        None
    }
}

/// The instances of a cluster as they fill up.
pub(super) struct Rooms<'a>(Vec<Room<'a>>);

/// An instance as it fills up.
struct Room<'a> {
    instance: &'a Instance,
    left: Resources,
    tasks: Tasks,
    own: BTreeMap<WorkerName, Tasks>,
    /// Whether a task was placed in this tick: what ECS said of its tasks is not true any more.
    touched: bool,
}

/// Tasks that have an instance, and what the instances lack for one more.
pub(super) struct Placed {
    /// The indices of their instances among all, in the order of the tasks.
    pub(super) on: Vec<usize>,
    /// At how many instances what is missing for one task more.
    pub(super) lacks: BTreeMap<Lack, usize>,
}

impl<'a> Rooms<'a> {
    pub(super) fn new(
        instances: &'a Instances,
        snapshot: &Snapshot,
        cluster: &ClusterName,
    ) -> Self {
        let tasks = snapshot.tasks.get(cluster).and_then(|read| read.as_ref().ok());
        let tasks = tasks.into_iter().flat_map(|tasks| tasks.alive.iter().chain(&tasks.presumed));
        Self::with(instances, tasks, &snapshot.placed_on)
    }

    fn with<'b>(
        instances: &'a Instances,
        tasks: impl Iterator<Item = &'b Task>,
        placed_on: &BTreeSet<InstanceArn>,
    ) -> Self {
        let mut there: BTreeMap<&InstanceArn, BTreeMap<WorkerName, Tasks>> = BTreeMap::new();
        for task in tasks {
            if let Some(instance) = &task.instance {
                let own = there.entry(instance).or_default();
                let count = own.entry(task.worker.clone()).or_default();
                *count = count.plus(Tasks(1));
            }
        }
        let rooms = instances.active.iter().map(|instance| {
            let own = there.remove(&instance.arn).unwrap_or_default();
            let tasks = instance.tasks.max(own.values().copied().sum());
            let touched = placed_on.contains(&instance.arn);
            Room { instance, left: instance.remaining.clone(), tasks, own, touched }
        });
        Self(rooms.collect())
    }

    /// Places up to so many tasks, one after the other.
    pub(super) fn place(&mut self, fit: &Fit<'_>, tasks: Tasks) -> Placed {
        let (mut zones, mut lacks) = self.candidates(fit);
        let mut next: BTreeSet<_> = zones.iter().map(|(zone, (n, _))| (*n, *zone)).collect();
        let mut on = Vec::new();
        while Tasks::counted(on.len()) < tasks
            && let Some((count, zone)) = next.pop_first()
        {
            let Some((_, candidates)) = zones.get_mut(zone) else { continue };
            let Some(Reverse((_, index))) = candidates.pop() else { continue };
            let Some(room) = self.0.get_mut(index) else { continue };
            room.take(fit);
            on.push(index);
            match room.is_outdated(fit).or_else(|| fit.lacks(room)) {
                Some(lack) => add_one(&mut lacks, lack),
                None => candidates.push(Reverse((fit.rank(room), index))),
            }
            next.insert((count.plus(Tasks(1)), zone));
        }
        Placed { on, lacks }
    }

    /// The instances that take one more, best first, by zone where zones count, with the tasks of the
    /// whole zone; and what the others lack.
    fn candidates(&self, fit: &Fit<'_>) -> (BTreeMap<&'a str, Zone>, Lacks) {
        let (mut zones, mut lacks) = (BTreeMap::<_, Zone>::new(), Lacks::new());
        let counted = |room: &Room<'_>| match fit.rule {
            Rule::Spread(Counted::Worker) => room.own(fit.worker),
            _ => room.tasks,
        };
        for (index, room) in self.0.iter().enumerate() {
            let spreads = matches!(fit.rule, Rule::Spread(_));
            let zone = if spreads { room.instance.zone() } else { "" };
            let (tasks, candidates) = zones.entry(zone).or_default();
            *tasks = tasks.plus(counted(room));
            let bars = fit.bars(index, room).or_else(|| room.is_outdated(fit));
            match bars.or_else(|| fit.lacks(room)) {
                Some(lack) => add_one(&mut lacks, lack),
                None => candidates.push(Reverse((fit.rank(room), index))),
            }
        }
        (zones, lacks)
    }
}

type Lacks = BTreeMap<Lack, usize>;

fn add_one(lacks: &mut Lacks, lack: Lack) {
    let instances = lacks.entry(lack).or_default();
    *instances = instances.saturating_add(1);
}

/// Tasks of a zone, and the instances that take one more.
type Zone = (Tasks, BinaryHeap<Reverse<((bool, u32, u32), usize)>>);

impl Room<'_> {
    fn own(&self, worker: &WorkerName) -> Tasks {
        self.own.get(worker).copied().unwrap_or_default()
    }

    /// An expression over tasks was judged before this tick placed one here.
    fn is_outdated(&self, fit: &Fit<'_>) -> Option<Lack> {
        (self.touched && fit.volatile).then_some(Lack::Constraint)
    }

    fn take(&mut self, fit: &Fit<'_>) {
        let Self { left, .. } = self;
        left.cpu = left.cpu.minus(fit.needs.cpu);
        left.memory = left.memory.minus(fit.needs.memory);
        left.gpus = Gpus(left.gpus.0.saturating_sub(fit.needs.gpus.0));
        left.tcp_taken.extend(&fit.needs.tcp);
        left.udp_taken.extend(&fit.needs.udp);
        self.tasks = self.tasks.plus(Tasks(1));
        let own = self.own.entry(fit.worker.clone()).or_default();
        *own = own.plus(Tasks(1));
        self.touched = true;
    }
}

#[cfg(test)]
mod tests;
