//! A container of a task definition, as far as it is read here. Pure.

use serde::Deserialize;
use serde_json::Value;

use super::nullable;
use crate::units::{CpuUnits, MebiBytes};

/// What of a container is read here. Environment, command and secrets are not.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    /// Unique in the definition.
    pub name: String,
    /// ECS takes an unset CPU for 0.
    #[serde(default)]
    pub cpu: CpuField,
    /// The hard limit in MiB.
    #[serde(default)]
    pub memory: Option<u32>,
    /// The soft limit in MiB.
    #[serde(default)]
    pub memory_reservation: Option<u32>,
    /// What it listens on.
    #[serde(default, deserialize_with = "nullable")]
    pub port_mappings: Vec<PortMapping>,
    /// What it waits for.
    #[serde(default, deserialize_with = "nullable")]
    pub depends_on: Vec<Dependency>,
    /// What it runs.
    #[serde(default, deserialize_with = "nullable")]
    pub image: String,
    /// Whether its end is that of the task; it is, where the definition does not say.
    #[serde(default)]
    essential: Option<bool>,
    #[serde(default)]
    restart_policy: Option<RestartPolicy>,
    #[serde(default, deserialize_with = "nullable")]
    secrets: Vec<Secret>,
    #[serde(default)]
    health_check: Option<HealthCheck>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) resource_requirements: Vec<ResourceRequirement>,
    #[serde(default)]
    firelens_configuration: Option<Value>,
}

/// `restartPolicy`: ECS starts the container again in its task.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RestartPolicy {
    #[serde(default, deserialize_with = "nullable")]
    enabled: bool,
    #[serde(default, deserialize_with = "nullable")]
    ignored_exit_codes: Vec<i64>,
}

/// One of `secrets`: an environment variable whose value ECS reads elsewhere.
#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Secret {
    #[serde(default, deserialize_with = "nullable")]
    name: String,
}

/// `healthCheck`
#[derive(Clone, PartialEq, Deserialize)]
struct HealthCheck {
    #[serde(default, deserialize_with = "nullable")]
    command: Vec<String>,
}

impl std::fmt::Debug for HealthCheck {
    /// Commands may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HealthCheck").finish_non_exhaustive()
    }
}

/// One of `resourceRequirements`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ResourceRequirement {
    #[serde(default, deserialize_with = "nullable")]
    pub(super) value: String,
    #[serde(default, deserialize_with = "nullable", rename = "type")]
    pub(super) kind: String,
}

/// Container CPU, 0 where it is unset or null.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(from = "Option<u32>")]
pub struct CpuField(pub CpuUnits);

impl From<Option<u32>> for CpuField {
    fn from(cpu: Option<u32>) -> Self {
        Self(CpuUnits(cpu.unwrap_or(0)))
    }
}

/// One of `portMappings`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PortMapping {
    /// 0 and unset mean a port that the host chooses.
    #[serde(default)]
    pub host_port: Option<u32>,
    /// The port inside.
    #[serde(default)]
    pub container_port: Option<u32>,
    /// A range of ports inside, in the place of one.
    #[serde(default)]
    pub container_port_range: Option<String>,
    #[serde(default)]
    pub(super) protocol: Option<String>,
}

/// One of `dependsOn`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dependency {
    /// The container waited for.
    pub container_name: String,
    /// `START`, `COMPLETE`, `SUCCESS` or `HEALTHY`.
    pub condition: String,
}

impl PortMapping {
    /// The port or the ports inside, as the definition writes them.
    pub fn container_ports(&self) -> String {
        let range = self.container_port_range.clone();
        range.unwrap_or_else(|| self.container_port.unwrap_or_default().to_string())
    }
}

impl Container {
    /// Whether it routes the logs of the others.
    pub fn is_log_router(&self) -> bool {
        self.firelens_configuration.as_ref().is_some_and(|router| !router.is_null())
    }

    /// What ECS reserves for it: the soft limit where there is one, else the hard one.
    /// Source: ECS API, `ContainerDefinition.memoryReservation`.
    pub fn reserved_memory(&self) -> MebiBytes {
        let soft = self.memory_reservation.filter(|soft| 0 < *soft);
        MebiBytes(soft.or(self.memory).unwrap_or(0))
    }

    /// Whether its end is that of the task. Source: ECS API, `ContainerDefinition.essential`.
    pub fn is_essential(&self) -> bool {
        self.essential.unwrap_or(true)
    }

    /// Whether ECS starts it again when it has ended.
    pub fn is_restarted(&self) -> bool {
        self.restart_policy.as_ref().is_some_and(|policy| policy.enabled)
    }

    /// Whether ECS starts it again when it has ended well.
    /// Source: ECS API, `ContainerRestartPolicy.ignoredExitCodes`.
    pub fn is_restarted_after_success(&self) -> bool {
        let ignored = |policy: &RestartPolicy| policy.ignored_exit_codes.contains(&0);
        self.is_restarted() && !self.restart_policy.as_ref().is_some_and(ignored)
    }

    /// Whether a secret has this name.
    pub fn has_secret(&self, name: &str) -> bool {
        self.secrets.iter().any(|secret| secret.name == name)
    }

    /// Whether its health check asks a port of its own.
    pub fn asks_itself(&self) -> bool {
        let is_own = |part: &String| {
            ["127.0.0.1", "localhost", "[::1]"].iter().any(|own| part.contains(own))
        };
        self.health_check.as_ref().is_some_and(|check| check.command.iter().any(is_own))
    }

    /// Whether it waits for another, under any condition.
    pub fn waits_for(&self, other: &str) -> bool {
        self.depends_on.iter().any(|dependency| dependency.container_name == other)
    }

    /// Whether it waits for the end of another.
    pub fn waits_for_end_of(&self, other: &str) -> bool {
        let is_end = |dependency: &&Dependency| {
            matches!(dependency.condition.as_str(), "COMPLETE" | "SUCCESS")
        };
        let mut ends = self.depends_on.iter().filter(is_end);
        ends.any(|dependency| dependency.container_name == other)
    }
}
