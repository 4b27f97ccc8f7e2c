//! Whether a task of one worker container may run the base as it is. Pure.

use std::fmt;

use super::{Obstacle, Recipe};
use crate::fargate::OperatingSystem;
use crate::units::Containers;

/// Why the base does not end with its worker, so that a task of one runs a definition of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The worker is not essential, and something that goes on is.
    Outlives {
        /// The worker container.
        worker: String,
        /// What goes on.
        essential: String,
    },
    /// ECS starts the worker again when it has ended well.
    Restarted {
        /// The worker container.
        worker: String,
    },
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outlives { worker, essential } => write!(
                f,
                "`{worker}` is not essential and `{essential}` is, so that a task would go on \
                 without its worker"
            ),
            Self::Restarted { worker } => write!(
                f,
                "`{worker}` has a restartPolicy that starts it again after exit code 0, so that a \
                 worker that has emptied its queue would be restarted for ever"
            ),
        }
    }
}

impl Recipe<'_> {
    /// Why the base does not end with its worker, if it does not.
    pub fn flaw(&self) -> Option<Flaw> {
        let worker = || self.worker.name.clone();
        if self.worker.is_restarted_after_success() {
            return Some(Flaw::Restarted { worker: worker() });
        }
        if self.worker.is_essential() {
            return None;
        }
        // An essential one that runs after the worker ends the task.
        let after = self.waits_for_the_end();
        let mut essential =
            self.base.view.container_definitions.iter().filter(|c| c.is_essential());
        if essential.clone().any(|container| after.contains(&container.name.as_str())) {
            return None;
        }
        let essential = essential.next()?.name.clone();
        Some(Flaw::Outlives { worker: worker(), essential })
    }

    /// Whether a definition of one worker container can be derived that ends with it.
    pub(super) fn check_single(&self) -> Result<(), Obstacle> {
        let Some(flaw) = self.flaw().filter(|_| self.is_watched(Containers(1))) else {
            return Ok(());
        };
        self.check_watcher().map_err(|_| Obstacle::NotMended { flaw, may_register: true })
    }

    /// Whether a watcher can do its work.
    pub(super) fn check_watcher(&self) -> Result<(), Obstacle> {
        if self.base.view.operating_system() == OperatingSystem::Windows {
            return Err(Obstacle::Windows);
        }
        if self.base.view.network_mode.as_deref() == Some("none") {
            return Err(Obstacle::NoNetwork);
        }
        Ok(())
    }
}
