//! A decision, from its facts and the settings alone. Pure.

use super::packing::Packed;
use super::{demand, packed};
use crate::config::{Packing, Scaling};
use crate::plan::{Decision, Facts};
use crate::units::{Containers, Tasks};

/// What the facts of a worker come to.
#[derive(Clone, Debug, PartialEq)]
pub struct Derived {
    /// The arithmetic.
    pub decision: Decision,
    /// Containers a task and how many such tasks; none where the facts have no sizes.
    pub tasks: Vec<(Containers, Tasks)>,
    /// Containers that are owed and have no task in this tick.
    pub deferred: Containers,
}

/// What a tick decides of these facts, or has decided. Where a call is placed, and what its answer is, is
/// none of it.
pub fn derive(scaling: &Scaling, packing: &Packing, facts: &Facts) -> Derived {
    let decision = demand::decide(scaling, packing, facts);
    let Packed { groups, deferred, .. } = packed::pack(packing, facts, &decision);
    let deferred = if facts.sizes.is_some() { deferred } else { Containers::ZERO };
    Derived { decision, tasks: groups, deferred }
}
