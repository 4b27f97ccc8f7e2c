//! What our own scheduler is asked for, where ECS's is not to choose.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::units::ServiceName;

/// `launch.placement`: tasks are placed on container instances here, and started by `StartTask`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Which instance comes first.
    pub rule: Rule,
    /// Services of which a task must run on an instance before it takes any of ours.
    pub require_daemons: BTreeSet<ServiceName>,
    /// So long after it joined, an instance without its daemons is not reported.
    pub daemon_grace: Duration,
    /// Attributes that an instance must have, with these values.
    pub attributes: BTreeMap<String, String>,
}

impl Default for Placement {
    /// The fewest tasks first, and no daemons.
    fn default() -> Self {
        Self {
            rule: Rule::LeastTasks(Counted::All),
            require_daemons: BTreeSet::new(),
            daemon_grace: DEFAULT_GRACE,
            attributes: BTreeMap::new(),
        }
    }
}

/// Daemons of a new instance are on their way for so long.
pub(super) const DEFAULT_GRACE: Duration = Duration::from_mins(5);

/// Which instance comes first, of those where the task fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The one that runs the fewest of these tasks.
    LeastTasks(Counted),
    /// The one with the least left.
    Binpack(By),
    /// One in the Availability Zone with the fewest of these tasks, and there the one that runs the
    /// fewest.
    Spread(Counted),
}

/// Which tasks count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Counted {
    /// All that ECS knows of, daemons too.
    #[default]
    All,
    /// Those of this worker.
    Worker,
}

/// What is packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// Memory.
    #[default]
    Memory,
    /// CPU.
    Cpu,
}
