//! What a check found of a worker. Data.

use std::collections::BTreeSet;

use super::{LaunchPlan, Refusal, Unregistered};
use crate::snapshot::ReadError;

/// What a launch of a worker would come to, whether or not one is due.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// What keeps its tasks from being launched.
    pub blocked: Vec<Blocked>,
    /// The largest launch that its own bounds allow.
    pub largest: Option<Box<LaunchPlan>>,
    /// Variants that are to be there and are not.
    pub unregistered: Vec<Unregistered>,
    /// The roles that the function has to be allowed to pass to its tasks.
    pub roles: BTreeSet<String>,
    /// Those that it has to be allowed to pass to ECS, for volumes.
    pub volume_roles: BTreeSet<String>,
}

/// What keeps tasks from being launched.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Blocked {
    /// Something could not be read.
    #[error(transparent)]
    Read(ReadError),
    /// Something is wrong that only a person can mend.
    #[error(transparent)]
    Refused(Refusal),
}
