//! What stands in the way of running or cloning a worker, each thing by its name. Pure.

use super::Recipe;
use crate::config::Completion;
use crate::definition::Container;
use crate::fargate::{OperatingSystem, TaskSize};
use crate::limits;
use crate::units::{Containers, CpuUnits, RevisionArn};

/// Why a base definition cannot be used as configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// The named revision was deregistered.
    #[error(
        "task definition `{}` is INACTIVE; name an ACTIVE revision, or the family for its newest",
        .revision.family_and_revision()
    )]
    Inactive {
        /// The revision.
        revision: RevisionArn,
    },
    /// The configured container is not in the definition.
    #[error("container `{wanted}` is not in the task definition, which has {}", list(.present))]
    NoSuchContainer {
        /// The configured name.
        wanted: String,
        /// The names there are.
        present: Vec<String>,
    },
    /// There are several containers and the configuration names none.
    #[error(
        "the task definition has {} containers, {}; name the one that works in `container`",
        .present.len(), list(.present)
    )]
    ContainerNotNamed {
        /// The names there are.
        present: Vec<String>,
    },
    /// The base is a Fargate definition of a size that Fargate does not have.
    #[error(
        "the task definition's size, {}, is none of Fargate's; register it with one of them",
        .size.map_or_else(|| "which is not set".to_owned(), |size| size.to_string())
    )]
    BaseSize {
        /// The size, where both of its parts are set.
        size: Option<TaskSize>,
    },
    /// No task is large enough.
    #[error(
        "{containers} containers a task need {needed}, more than any size up to {largest} CPU \
         units; lower packing.maxContainersPerTask or the size of the container"
    )]
    NoSize {
        /// Worker containers in the task.
        containers: Containers,
        /// What they need.
        needed: TaskSize,
        /// The configured ceiling.
        largest: CpuUnits,
    },
    /// ECS takes ten containers.
    #[error(
        "the task definition has {containers} containers and a clone of `{worker}`{} makes more \
         than the 10 that ECS takes; set packing.maxContainersPerTask: 1",
        if *.watcher { " with its watcher" } else { "" }
    )]
    NoRoom {
        /// The container to clone.
        worker: String,
        /// Containers in the base.
        containers: usize,
        /// Whether a watcher comes with the clones.
        watcher: bool,
    },
    /// Two clones would listen on one port.
    #[error(
        "container `{worker}` cannot be cloned: it maps {} port {port}, which only one container \
         can have in network mode `{network_mode}`; remove its portMappings (a queue worker needs \
         none) or set packing.maxContainersPerTask: 1",
        if .network_mode == "bridge" { "host" } else { "container" }
    )]
    Port {
        /// The container to clone.
        worker: String,
        /// The port.
        port: u32,
        /// The definition's network mode.
        network_mode: String,
    },
    /// There is one log router a task.
    #[error(
        "container `{worker}` cannot be cloned: it is the task's FireLens log router, and a task \
         has one; name the container that works in `container`"
    )]
    LogRouter {
        /// The container to clone.
        worker: String,
    },
    /// `proxyConfiguration` names one container.
    #[error(
        "container `{worker}` cannot be cloned: the task's proxyConfiguration names it; name the \
         container that works in `container`"
    )]
    Proxy {
        /// The container to clone.
        worker: String,
    },
    /// One failed clone would stop the task, and the others in their work.
    #[error(
        "container `{worker}` cannot be cloned: `{dependent}` depends on its SUCCESS, so that one \
         clone that fails would stop the task while others work; use COMPLETE"
    )]
    Success {
        /// The container to clone.
        worker: String,
        /// The container that waits.
        dependent: String,
    },
    /// The name of a clone or of the watcher is taken.
    #[error(
        "container `{worker}` cannot be cloned: the name `{name}` is needed and another container \
         has it; rename that one"
    )]
    NameTaken {
        /// The container to clone.
        worker: String,
        /// The name.
        name: String,
    },
    /// The watcher is a Linux image.
    #[error(
        "completion: all needs a Linux task, the watcher is a Linux image; set packing.completion: \
         any or packing.maxContainersPerTask: 1"
    )]
    Windows,
    /// No room for our own tags.
    #[error(
        "the task definition has {tags} tags and a derived one needs two more; ECS takes 50: \
         remove some"
    )]
    TooManyTags {
        /// Tags of the base.
        tags: usize,
    },
    /// The tags of a derived definition are two more than the base's.
    #[error(
        "a task of several containers would have {tags} tags, with those of its derived definition, \
         and ECS takes {most}; give fewer launch.tags, or no propagateTags"
    )]
    TaskTags {
        /// With the scaler's own.
        tags: usize,
        /// The limit.
        most: usize,
    },
    /// What a call says of each container does not fit for so many.
    #[error(
        "launch.overrides has {characters} characters for {containers} worker containers, and ECS \
         takes {most} a task"
    )]
    Overrides {
        /// In one task.
        containers: Containers,
        /// With those of JSON.
        characters: usize,
        /// The limit.
        most: usize,
    },
    /// Too many bytes.
    #[error(
        "the derived task definition has {bytes} bytes, ECS takes {most}; lower \
         packing.maxContainersPerTask or shorten the container's settings"
    )]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        most: usize,
    },
}

fn list(names: &[String]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

impl Recipe<'_> {
    /// Whether there can be a second worker container at all.
    pub(super) fn check_clonable(&self) -> Result<(), Obstacle> {
        let worker = || self.worker.name.clone();
        if self.worker.is_log_router() {
            return Err(Obstacle::LogRouter { worker: worker() });
        }
        if self.base.view.proxies_through(&self.worker.name) {
            return Err(Obstacle::Proxy { worker: worker() });
        }
        let windows = self.base.view.operating_system() == OperatingSystem::Windows;
        if windows && self.completion == Completion::All {
            return Err(Obstacle::Windows);
        }
        self.check_ports()?;
        self.check_dependents()?;
        self.check_names()
    }

    /// Clones share the task's network in every mode but `bridge`, where the host's ports are
    /// what they share. ECS refuses the second mapping when the definition is registered.
    /// Source: ECS API, `PortMapping.hostPort`.
    fn check_ports(&self) -> Result<(), Obstacle> {
        let network_mode = self.base.view.network_mode.as_deref().unwrap_or("bridge");
        let taken = self.worker.port_mappings.iter().find_map(|mapping| match network_mode {
            "bridge" => mapping.host_port.filter(|port| 0 < *port),
            _ => Some(mapping.container_port.unwrap_or_default()),
        });
        taken.map_or(Ok(()), |port| {
            let (worker, network_mode) = (self.worker.name.clone(), network_mode.to_owned());
            Err(Obstacle::Port { worker, port, network_mode })
        })
    }

    fn check_dependents(&self) -> Result<(), Obstacle> {
        let waits_for_success = |container: &&Container| {
            container.depends_on.iter().any(|dependency| {
                dependency.condition == "SUCCESS" && dependency.container_name == self.worker.name
            })
        };
        let dependent = self.base.view.container_definitions.iter().find(waits_for_success);
        dependent.map_or(Ok(()), |dependent| {
            let (worker, dependent) = (self.worker.name.clone(), dependent.name.clone());
            Err(Obstacle::Success { worker, dependent })
        })
    }

    fn check_names(&self) -> Result<(), Obstacle> {
        let mut needed = self.names(limits::CONTAINERS_PER_TASK).split_off(1);
        if self.completion == Completion::All {
            needed.push(self.watcher_name());
        }
        let taken = |name: &String| {
            self.base.view.container_definitions.iter().any(|container| container.name == *name)
        };
        needed.into_iter().find(taken).map_or(Ok(()), |name| {
            Err(Obstacle::NameTaken { worker: self.worker.name.clone(), name })
        })
    }

    pub(super) fn no_room(&self) -> Obstacle {
        Obstacle::NoRoom {
            worker: self.worker.name.clone(),
            containers: self.base.view.container_definitions.len(),
            watcher: self.completion == Completion::All,
        }
    }
}
