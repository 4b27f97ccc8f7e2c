//! What stands in the way of running or cloning a worker, each thing by its name. Pure.

use super::containers::clone_name;
use super::{Flaw, Recipe};
use crate::config::{Completion, Rung};
use crate::definition::{Container, FARGATE};
use crate::fargate::TaskSize;
use crate::limits;
use crate::tags;
use crate::units::{Containers, CpuUnits, GibiBytes, RevisionArn};

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
    /// There is nothing to run.
    #[error("the task definition has no container")]
    NoContainer,
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
    /// A rung of the ladder takes no such definition.
    #[error(
        "the task definition cannot be launched on {rung}: it is for {}; register it for that, or \
         take {rung} out of the worker's launchType or capacity",
        .launch_types.join(" and ")
    )]
    Rung {
        /// The first that cannot.
        rung: Rung,
        /// What it can be launched on.
        launch_types: Vec<String>,
    },
    /// No task's disk is large enough.
    #[error(
        "{containers} containers a task need {needed} GiB of ephemeralStorage, more than the \
         {most} that Fargate has; lower packing.maxContainersPerTask or the container's disk"
    )]
    NoStorage {
        /// Worker containers in the task.
        containers: Containers,
        /// What they need.
        needed: GibiBytes,
        /// What there may be.
        most: GibiBytes,
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
    /// ECS takes ten containers, and these are not all the worker's.
    #[error("ECS takes ten containers a task, and {others} of these are sidecars and the watcher")]
    Full {
        /// Containers that are no clone of the worker.
        others: Containers,
    },
    /// Two clones would listen on one port.
    #[error(
        "container `{worker}` cannot be cloned: it maps {} port {port}, which only one container \
         can have in network mode `{network_mode}`; remove its portMappings (a queue worker needs \
         none), or set packing.dropPortMappings: true or packing.maxContainersPerTask: 1",
        if .network_mode == "bridge" { "host" } else { "container" }
    )]
    Port {
        /// The container to clone.
        worker: String,
        /// The port, or the range of them.
        port: String,
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
    /// The first to end is to end the task, and another is to run after it.
    #[error(
        "container `{worker}` cannot be cloned with completion: any: `{dependent}` runs after it, \
         and the end of the first clone would end the task; use completion: all"
    )]
    AwaitedByAny {
        /// The container to clone.
        worker: String,
        /// The container that waits.
        dependent: String,
    },
    /// A variable that a clone gets is a secret of the worker.
    #[error(
        "container `{worker}` has a secret named {name}, and a derived definition gives every \
         worker container a variable of that name; rename the secret, or set \
         packing.maxContainersPerTask: 1"
    )]
    Secret {
        /// The container to clone.
        worker: String,
        /// The name.
        name: String,
    },
    /// The watcher could not ask anybody.
    #[error(
        "the task definition's network mode is none, in which the watcher cannot hear that the \
         workers have stopped; set packing.completion: any or packing.maxContainersPerTask: 1"
    )]
    NoNetwork,
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
    /// A name with our ending is longer than ECS takes.
    #[error(
        "the derived name `{name}` has more than the {} characters that ECS takes; shorten the \
         name, or set packing.maxContainersPerTask: 1",
        limits::NAME_CHARACTERS
    )]
    NameTooLong {
        /// The name.
        name: String,
    },
    /// The watcher is a Linux image.
    #[error(
        "completion: all needs a Linux task, the watcher is a Linux image; set packing.completion: \
         any or packing.maxContainersPerTask: 1"
    )]
    Windows,
    /// The base does not end with its worker, and nothing can be derived that does.
    #[error(
        "{flaw}; register the base so that it ends with its worker{}",
        if *.may_register {
            ""
        } else {
            ", or put 1 into packing.registeredSizes and run one tick with registration: on"
        }
    )]
    NotMended {
        /// What is wrong with it.
        flaw: Flaw,
        /// Whether a definition may be registered, so that it is something else that is in the way.
        may_register: bool,
    },
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

pub(crate) fn list(names: &[String]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

/// What ECS calls the capacity of a rung; `None` where only the cluster knows.
fn launch_types(rung: &Rung) -> Option<&[&str]> {
    match rung {
        Rung::ClusterDefault => None,
        Rung::LaunchType(name) if name == "EC2" => Some(&["EC2"]),
        Rung::LaunchType(name) if name == "EXTERNAL" => Some(&["EXTERNAL"]),
        _ if rung.is_fargate() == Some(true) => Some(&[FARGATE]),
        Rung::LaunchType(_) | Rung::CapacityProvider(_) => Some(&["EC2", "MANAGED_INSTANCES"]),
    }
}

impl Obstacle {
    /// Whether it is only that tasks would be too large, so that smaller ones do.
    pub(crate) fn is_of_size(&self) -> bool {
        matches!(
            self,
            Self::NoSize { .. }
                | Self::NoStorage { .. }
                | Self::TooLarge { .. }
                | Self::TooManyTags { .. }
                | Self::NameTooLong { .. }
                | Self::Full { .. }
                | Self::Overrides { .. }
                | Self::TaskTags { .. }
        )
    }
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
        if self.packing.completion == Completion::All {
            self.check_watcher()?;
        }
        self.check_ports()?;
        self.check_dependents()?;
        self.check_secrets()
    }

    /// A rung that takes no such definition would refuse every call, and a definition that was
    /// registered for none of the rungs is not meant for this worker.
    /// Source: "Task definition does not support `launch_type`", as users report it of `RunTask`.
    pub(super) fn check_rungs(&self) -> Result<(), Obstacle> {
        let (view, registered_for) = (&self.base.view, self.base.view.registered_for());
        let is_fit = |rung: &&Rung| {
            launch_types(rung)
                .is_none_or(|all| all.iter().any(|launch_type| view.runs_on(launch_type)))
        };
        let is_meant = |rung: &Rung| {
            launch_types(rung).is_none_or(|all| {
                registered_for.iter().any(|launch_type| all.contains(&launch_type.as_str()))
            })
        };
        let meant = registered_for.is_empty() || self.rungs.iter().any(is_meant);
        let unfit = self.rungs.iter().find(|rung| !is_fit(rung));
        let Some(rung) = unfit.or(self.rungs.first().filter(|_| !meant)) else { return Ok(()) };
        let named = if registered_for.is_empty() {
            view.launch_types().into_iter().map(str::to_owned).collect()
        } else {
            registered_for.to_vec()
        };
        Err(Obstacle::Rung { rung: rung.clone(), launch_types: named })
    }

    /// Clones share the task's network in every mode but `bridge`, where the host's ports are
    /// what they share. ECS refuses the second mapping when the definition is registered.
    /// Source: ECS API, `PortMapping.hostPort`, `PortMapping.containerPortRange`.
    fn check_ports(&self) -> Result<(), Obstacle> {
        if self.packing.drop_port_mappings {
            return Ok(());
        }
        let network_mode = self.base.view.network_mode.as_deref().unwrap_or("bridge");
        let taken = self.worker.port_mappings.iter().find_map(|mapping| match network_mode {
            "bridge" => mapping.host_port.filter(|port| 0 < *port).map(|port| port.to_string()),
            _ => Some(mapping.container_ports()),
        });
        taken.map_or(Ok(()), |port| {
            let (worker, network_mode) = (self.worker.name.clone(), network_mode.to_owned());
            Err(Obstacle::Port { worker, port, network_mode })
        })
    }

    fn check_dependents(&self) -> Result<(), Obstacle> {
        let worker = || self.worker.name.clone();
        let waits_for_success = |container: &&Container| {
            container.depends_on.iter().any(|dependency| {
                dependency.condition == "SUCCESS" && dependency.container_name == self.worker.name
            })
        };
        let containers = &self.base.view.container_definitions;
        if self.packing.completion == Completion::Any {
            let after = self.waits_for_the_end().first().map(|name| (*name).to_owned());
            return after.map_or(Ok(()), |dependent| {
                Err(Obstacle::AwaitedByAny { worker: worker(), dependent })
            });
        }
        let dependent = containers.iter().find(waits_for_success);
        dependent.map_or(Ok(()), |dependent| {
            Err(Obstacle::Success { worker: worker(), dependent: dependent.name.clone() })
        })
    }

    /// Source: ECS API, `Secret.name`: no variable of the environment may have it too.
    pub(super) fn check_secrets(&self) -> Result<(), Obstacle> {
        let taken = tags::OF_CLONES.iter().find(|name| self.worker.has_secret(name));
        taken.map_or(Ok(()), |name| {
            Err(Obstacle::Secret { worker: self.worker.name.clone(), name: (*name).to_owned() })
        })
    }

    /// Whether the names that so many worker containers need are free.
    pub(super) fn check_names(&self, n: Containers) -> Result<(), Obstacle> {
        (1..=n.0).map(Containers).try_for_each(|n| self.check_name(n))
    }

    /// The same where those of fewer are.
    pub(super) fn check_name(&self, n: Containers) -> Result<(), Obstacle> {
        let family = self.base.arn.family().variant(n).to_string();
        let clone = (Containers(1) < n).then(|| clone_name(&self.worker.name, n.0));
        let watcher = self.is_watched(n).then(|| self.watcher_name());
        let needed = clone.into_iter().chain(watcher);
        for name in needed.clone().chain([family]) {
            if limits::NAME_CHARACTERS < name.len() {
                return Err(Obstacle::NameTooLong { name });
            }
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
            watcher: self.packing.completion == Completion::All,
        }
    }
}
