//! The CPU and memory of a task of n worker containers. Pure.

use super::{Obstacle, Recipe};
use crate::definition::Container;
use crate::fargate::{MicroDollars, PriceList, TaskSize};
use crate::limits;
use crate::units::{Containers, CpuUnits, MebiBytes};

/// The task-level CPU and memory of a definition, as far as it sets them: EC2 needs neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Task-level CPU.
    pub cpu: Option<CpuUnits>,
    /// Task-level memory.
    pub memory: Option<MebiBytes>,
}

impl Recipe<'_> {
    /// The size of a task of `n` worker containers: the base's, and the worker's share for each
    /// further one, rounded up to a size that Fargate has. What the base leaves unset stays so.
    ///
    /// # Errors
    /// When no size is large enough.
    pub fn size(&self, n: Containers) -> Result<Size, Obstacle> {
        let view = &self.base.view;
        let more = n.0.saturating_sub(1);
        let cpu = view.cpu().map(|cpu| cpu.plus(self.cpu_share(cpu).times(more)));
        let memory = view.memory().map(|memory| memory.plus(self.memory_share(memory).times(more)));
        let needed = TaskSize { cpu: cpu.unwrap_or_default(), memory: memory.unwrap_or_default() };
        let too_large = || Obstacle::NoSize { containers: n, needed, largest: self.max_task_cpu };
        if !view.is_fargate() {
            let fits = needed.cpu <= limits::EC2_CPU;
            return if fits { Ok(Size { cpu, memory }) } else { Err(too_large()) };
        }
        // The ceiling is for what is made larger here; the base is the operator's own choice.
        let within = |size: &TaskSize| n.0 <= 1 || size.cpu <= self.max_task_cpu;
        let size = needed.rounded_up(view.operating_system()).filter(within);
        size.map(|size| Size { cpu: Some(size.cpu), memory: Some(size.memory) })
            .ok_or_else(too_large)
    }

    /// About what an hour of a task of `n` worker containers costs on Fargate, by this list;
    /// nothing elsewhere.
    pub fn hourly_price(&self, n: Containers, prices: PriceList) -> Option<MicroDollars> {
        let size = self.size(n).ok().filter(|_| self.base.view.is_fargate())?;
        Some(prices.hourly(TaskSize { cpu: size.cpu?, memory: size.memory? }))
    }

    /// Fargate takes no other sizes than its own, and neither a task without one.
    pub(super) fn check_base_size(&self) -> Result<(), Obstacle> {
        let view = &self.base.view;
        if !view.is_fargate() {
            return Ok(());
        }
        match view.size() {
            Some(size) if size.is_legal(view.operating_system()) => Ok(()),
            size => Err(Obstacle::BaseSize { size }),
        }
    }

    /// The worker's own CPU, else what the sidecars leave of the task's.
    fn cpu_share(&self, task: CpuUnits) -> CpuUnits {
        let own = self.worker.cpu.0;
        if CpuUnits::ZERO < own {
            return own;
        }
        let all = self.base.view.container_definitions.iter().map(|container| container.cpu.0);
        task.minus(all.sum())
    }

    /// The worker's own hard limit, else what the sidecars leave of the task's memory.
    fn memory_share(&self, task: MebiBytes) -> MebiBytes {
        if let Some(own) = self.worker.memory {
            return MebiBytes(own);
        }
        let sidecars = self.base.view.container_definitions.iter();
        let sidecars = sidecars.filter(|container| container.name != self.worker.name);
        task.minus(sidecars.map(Container::reserved_memory).sum())
    }
}
