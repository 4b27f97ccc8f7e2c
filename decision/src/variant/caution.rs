//! What a person should know of a definition that is derived all the same. Pure.

use std::fmt;

use super::{Flaw, Obstacle, Recipe, list};
use crate::units::{Containers, Tasks};

/// What works, and may not be what its owner means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caution {
    /// A task of one runs a definition of ours.
    Mended(Flaw),
    /// The clones are not restarted, though the worker is.
    NotRestarted {
        /// The worker container.
        worker: String,
    },
    /// Sidecars that wait for the worker are not essential any more.
    NotEssential {
        /// The sidecars.
        sidecars: Vec<String>,
    },
    /// Another essential container looks like a worker of its own.
    EndsOther {
        /// The worker container.
        worker: String,
        /// The other one.
        other: String,
    },
    /// The worker listens, and its clones share a network.
    Listens {
        /// The worker container.
        worker: String,
    },
    /// The watcher's calls go through a proxy.
    ProxyHidesMetadata,
    /// The operator asked for more containers a task than there can be.
    Fewer {
        /// What was asked for.
        asked: Containers,
        /// What there can be.
        most: Containers,
        /// Why.
        obstacle: Obstacle,
    },
    /// Larger tasks found no instance after ECS had accepted them.
    TooLarge {
        /// Worker containers of such a task.
        containers: Containers,
    },
    /// More tasks with a watcher than the public registry serves at once.
    PublicWatcher {
        /// So many.
        tasks: Tasks,
    },
}

impl fmt::Display for Caution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mended(flaw) => write!(
                f,
                "{flaw}: a derived definition is run in its place, which ends with the worker; \
                 register the base that way to do without it"
            ),
            Self::NotRestarted { worker } => write!(
                f,
                "the restartPolicy of `{worker}` is left out of the derived definition: a worker \
                 that is restarted never ends its task"
            ),
            Self::NotEssential { sidecars } => write!(
                f,
                "{} not essential in the derived definition: a worker that does not start would \
                 take its siblings along",
                joined(sidecars)
            ),
            Self::EndsOther { worker, other } => write!(
                f,
                "`{other}` is essential and has an image of the repository of `{worker}`: its work is cut short \
                 when the last `{worker}` ends; give it a definition of its own if it has a queue of its own"
            ),
            Self::Listens { worker } => write!(
                f,
                "`{worker}` has a health check that asks a port of its own, and the containers of \
                 a task share their ports: the second one may find it taken; set \
                 packing.maxContainersPerTask: 1 if it listens"
            ),
            Self::ProxyHidesMetadata => write!(
                f,
                "the proxyConfiguration has no EgressIgnoredIPs with 169.254.170.2: the watcher may \
                 hear nothing, and then it ends its task after an hour, whether the workers work or not"
            ),
            Self::Fewer { asked, most, obstacle } => write!(
                f,
                "packing.maxContainersPerTask is {asked}, and a task can have {most}: {obstacle}"
            ),
            Self::TooLarge { containers } => write!(
                f,
                "ECS has accepted tasks of {containers} containers and found no instance for them: \
                 tasks of one are started in their place within the hour; lower \
                 packing.maxContainersPerTask if this goes on"
            ),
            Self::PublicWatcher { tasks } => write!(
                f,
                "{tasks} tasks pull the watcher's image from ECR Public, which serves an account \
                 ten pulls a second: name a copy of your own in watcherImage"
            ),
        }
    }
}

/// The name of an image without its tag or digest.
fn repository(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    let name = image.rfind('/').unwrap_or_default();
    let tag = image.get(name..).and_then(|rest| rest.find(':')).map(|at| name.saturating_add(at));
    tag.and_then(|tag| image.get(..tag)).unwrap_or(image)
}

fn joined(names: &[String]) -> String {
    format!(
        "{} {}",
        list(names),
        if names.len() == 1 {
            "waits for the worker and is"
        } else {
            "wait for the worker and are"
        }
    )
}

impl Recipe<'_> {
    /// What is to be said of tasks of so many worker containers.
    pub fn cautions(&self, n: Containers) -> Vec<Caution> {
        if !self.is_derived(n) {
            return Vec::new();
        }
        let worker = || self.worker.name.clone();
        let mut cautions = Vec::new();
        match self.flaw().filter(|_| n == Containers(1)) {
            Some(flaw) => cautions.push(Caution::Mended(flaw)),
            None if self.worker.is_restarted() => {
                cautions.push(Caution::NotRestarted { worker: worker() });
            }
            None => {}
        }
        if self.is_watched(n) {
            cautions.extend(self.cautions_of_watcher());
        }
        if Containers(1) < n && self.shares_ports() && self.worker.asks_itself() {
            cautions.push(Caution::Listens { worker: worker() });
        }
        cautions
    }

    fn cautions_of_watcher(&self) -> Vec<Caution> {
        let (dependents, worker) = (self.dependents(), self.worker);
        let essential = self.base.view.container_definitions.iter().filter(|c| c.is_essential());
        let sidecars = essential.filter(|c| c.name != worker.name);
        let (waiting, others): (Vec<_>, Vec<_>) =
            sidecars.partition(|c| dependents.contains(&c.name.as_str()));
        let waiting: Vec<_> = waiting.into_iter().map(|c| c.name.clone()).collect();
        let not_essential =
            (!waiting.is_empty()).then_some(Caution::NotEssential { sidecars: waiting });
        let alike = others
            .into_iter()
            .filter(|c| repository(&c.image) == repository(&worker.image))
            .map(|c| Caution::EndsOther { worker: worker.name.clone(), other: c.name.clone() });
        let hidden = self.base.view.proxy_hides_metadata().then_some(Caution::ProxyHidesMetadata);
        not_essential.into_iter().chain(alike).chain(hidden).collect()
    }

    /// Whether clones share the ports that they listen on.
    fn shares_ports(&self) -> bool {
        !matches!(self.base.view.network_mode.as_deref(), None | Some("bridge" | "none"))
    }
}
