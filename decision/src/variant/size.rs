//! The CPU and memory of a task of n worker containers. Pure.

use super::{Obstacle, Recipe};
use crate::config::Rung;
use crate::definition::Container;
use crate::fargate::{MicroDollars, Platform, PriceList, TaskSize};
use crate::limits;
use crate::units::{Containers, CpuUnits, GibiBytes, MebiBytes, Region};

/// The task-level CPU, memory and disk of a definition, as far as it sets them: EC2 needs none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Task-level CPU.
    pub cpu: Option<CpuUnits>,
    /// Task-level memory.
    pub memory: Option<MebiBytes>,
    /// The task's disk on Fargate.
    pub storage: Option<GibiBytes>,
}

impl Recipe<'_> {
    /// The size of a task of `n` worker containers: the base's, and the worker's share for each
    /// further one, rounded up to a size that Fargate has. What the base leaves unset stays so.
    ///
    /// # Errors
    /// When no size is large enough.
    pub fn size(&self, n: Containers) -> Result<Size, Obstacle> {
        let (needed, storage) = (self.needed(n), self.storage(n)?);
        let too_large =
            || Obstacle::NoSize { containers: n, needed, largest: self.packing.max_task_cpu };
        if !self.is_held_to_fargate() {
            let (cpu, memory) = (self.base.view.cpu(), self.base.view.memory());
            let (cpu, memory) = (cpu.map(|_| needed.cpu), memory.map(|_| needed.memory));
            let fits = needed.cpu <= limits::EC2_CPU;
            return if fits { Ok(Size { cpu, memory, storage }) } else { Err(too_large()) };
        }
        // The ceiling is for what is made larger here; the base is the operator's own choice.
        let within = |size: &TaskSize| n.0 <= 1 || size.cpu <= self.packing.max_task_cpu;
        let size = needed.rounded_up(self.base.view.operating_system()).filter(within);
        size.map(|TaskSize { cpu, memory }| Size { cpu: Some(cpu), memory: Some(memory), storage })
            .ok_or_else(too_large)
    }

    /// The CPU and memory that `n` worker containers need, before Fargate rounds them up.
    fn needed(&self, n: Containers) -> TaskSize {
        let view = &self.base.view;
        let more = n.0.saturating_sub(1);
        let cpu = view.cpu().map(|cpu| cpu.plus(self.cpu_share(cpu).times(more)));
        let memory = view.memory().map(|memory| memory.plus(self.memory_share(memory).times(more)));
        TaskSize { cpu: cpu.unwrap_or_default(), memory: memory.unwrap_or_default() }
    }

    /// All clones use the task's one disk.
    fn storage(&self, n: Containers) -> Result<Option<GibiBytes>, Obstacle> {
        let Some(of_one) = self.base.view.storage() else { return Ok(None) };
        let (needed, most) = (of_one.times(n.0), limits::TASK_STORAGE);
        if Containers(1) < n && most < needed {
            return Err(Obstacle::NoStorage { containers: n, needed, most });
        }
        Ok(Some(needed))
    }

    /// Whether tasks must have one of Fargate's sizes: where one may be launched there, and where the
    /// definition names it, wherever it is launched.
    pub fn is_held_to_fargate(&self) -> bool {
        let view = &self.base.view;
        let may_be = |rung: &Rung| match rung.is_fargate() {
            Some(is_fargate) => is_fargate,
            // Where the cluster decides, what could run on either keeps the sizes of both.
            None => view.names_nothing() && view.fits_fargate() && self.has_legal_size(),
        };
        view.names_fargate() || self.rungs.iter().any(may_be)
    }

    /// Whether tasks are paid as Fargate's: what may be launched elsewhere as well has the
    /// price that it has there.
    pub fn is_paid_as_fargate(&self) -> bool {
        self.rungs.iter().any(|rung| match rung.is_fargate() {
            Some(is_fargate) => is_fargate,
            None => self.base.view.is_for_fargate_alone(),
        })
    }

    /// Whether any of its tasks may go on a container instance.
    pub fn may_go_on_instances(&self) -> bool {
        let only = self.base.view.is_for_fargate_alone();
        self.rungs.iter().any(|rung| !rung.is_fargate().unwrap_or(only))
    }

    /// The price list of its tasks; none where they are not paid as Fargate's.
    pub fn price_list(&self, region: &Region) -> Option<PriceList> {
        let view = &self.base.view;
        let platform =
            Platform { system: view.operating_system(), architecture: view.architecture() };
        self.is_paid_as_fargate().then(|| PriceList::of(region, platform))
    }

    /// About what an hour of a task of `n` worker containers costs, by this list.
    pub fn hourly_price(&self, n: Containers, prices: PriceList) -> Option<MicroDollars> {
        let Size { cpu, memory, storage } = self.size(n).ok()?;
        let size = prices.hourly(TaskSize { cpu: cpu?, memory: memory? });
        Some(size.plus(prices.hourly_storage(storage.unwrap_or_default())))
    }

    /// Whether rounding up adds more than a tenth to the price of what `n` worker containers need.
    pub fn is_wasteful(&self, n: Containers, prices: PriceList) -> bool {
        let Ok(Size { cpu: Some(cpu), memory: Some(memory), .. }) = self.size(n) else {
            return false;
        };
        let paid = prices.hourly(TaskSize { cpu, memory });
        paid.is_more_than_a_tenth_above(prices.hourly(self.needed(n)))
    }

    /// Fargate takes no other sizes than its own, and neither a task without one.
    pub(super) fn check_base_size(&self) -> Result<(), Obstacle> {
        if self.has_legal_size() || !self.is_held_to_fargate() {
            return Ok(());
        }
        Err(Obstacle::BaseSize { size: self.base.view.size() })
    }

    fn has_legal_size(&self) -> bool {
        let view = &self.base.view;
        view.size().is_some_and(|size| size.is_legal(view.operating_system()))
    }

    /// What the sidecars leave of the task's CPU: a container's own is a weight, so that in the base
    /// the worker has all of this. Source: ECS API, `ContainerDefinition.cpu`.
    fn cpu_share(&self, task: CpuUnits) -> CpuUnits {
        let sidecars = self.sidecars().map(|container| container.cpu.0);
        let left = task.minus(sidecars.sum()).minus(self.packing.reserve.cpu);
        left.max(self.worker.cpu.0)
    }

    /// The worker's own hard limit, else what the sidecars leave of the task's memory.
    fn memory_share(&self, task: MebiBytes) -> MebiBytes {
        if let Some(own) = self.worker.memory {
            return MebiBytes(own);
        }
        let sidecars = self.sidecars().map(Container::reserved_memory);
        let left = task.minus(sidecars.sum()).minus(self.packing.reserve.memory);
        left.max(self.worker.reserved_memory())
    }

    fn sidecars(&self) -> impl Iterator<Item = &Container> {
        let containers = self.base.view.container_definitions.iter();
        containers.filter(|container| container.name != self.worker.name)
    }
}
