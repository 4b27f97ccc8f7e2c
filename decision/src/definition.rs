//! A task definition as ECS describes it. Pure.
//!
//! It is kept as the JSON document that came over the wire, so that every field survives the round
//! trip, also those that are younger than the SDK. Beside it stands a view of the few fields that
//! are read here. Task definitions carry secrets: `Debug` prints the revision and nothing else.

mod needs;

use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::fargate::{Architecture, OperatingSystem, TaskSize};
use crate::units::{CpuUnits, MebiBytes, RevisionArn};

pub use needs::{Attribute, Needs};

/// One revision.
#[derive(Clone, PartialEq)]
pub struct TaskDefinition {
    /// ECS's name of the revision.
    pub arn: RevisionArn,
    /// Its tags without those that start with `aws:`, which no request may carry.
    pub tags: Vec<Tag>,
    /// `taskDefinition` of the answer, as it came.
    pub document: Map<String, Value>,
    /// What of it is read here.
    pub view: View,
}

/// A tag of an ECS resource.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
pub struct Tag {
    /// At most 128 characters.
    pub key: String,
    /// At most 256 characters.
    #[serde(default)]
    pub value: String,
}

/// The fields of a task definition that are read here, under ECS's names.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct View {
    #[serde(default)]
    task_definition_arn: String,
    #[serde(default)]
    status: String,
    /// What decides which ports collide.
    #[serde(default)]
    pub network_mode: Option<String>,
    #[serde(default)]
    requires_compatibilities: Vec<String>,
    #[serde(default)]
    cpu: Option<String>,
    #[serde(default)]
    memory: Option<String>,
    #[serde(default)]
    runtime_platform: Option<RuntimePlatform>,
    #[serde(default)]
    proxy_configuration: Option<ProxyConfiguration>,
    #[serde(default)]
    requires_attributes: Vec<Attribute>,
    #[serde(default)]
    placement_constraints: Vec<PlacementConstraint>,
    /// All of them, sidecars too.
    pub container_definitions: Vec<Container>,
}

/// One of `placementConstraints`. In a definition it is always `memberOf`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PlacementConstraint {
    #[serde(default)]
    expression: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RuntimePlatform {
    #[serde(default)]
    cpu_architecture: Option<String>,
    #[serde(default)]
    operating_system_family: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProxyConfiguration {
    #[serde(default)]
    container_name: String,
}

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
    #[serde(default)]
    pub port_mappings: Vec<PortMapping>,
    /// What it waits for.
    #[serde(default)]
    pub depends_on: Vec<Dependency>,
    #[serde(default)]
    resource_requirements: Vec<ResourceRequirement>,
    #[serde(default)]
    firelens_configuration: Option<Value>,
}

/// One of `resourceRequirements`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceRequirement {
    #[serde(default)]
    value: String,
    #[serde(default, rename = "type")]
    kind: String,
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
    #[serde(default)]
    protocol: Option<String>,
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

impl TaskDefinition {
    /// Reads `taskDefinition` and `tags` of a `DescribeTaskDefinition` answer.
    ///
    /// # Errors
    /// What cannot be understood, without a value of the definition in it.
    pub fn parse(document: &Value, tags: &Value) -> Result<Self, String> {
        let unreadable = |field: &str| format!("the answer's {field} cannot be understood");
        let document = document.as_object().ok_or_else(|| unreadable("taskDefinition"))?.clone();
        // serde's own message would quote the value it stumbled over.
        let view = View::deserialize(Value::Object(document.clone()))
            .map_err(|_| unreadable("taskDefinition"))?;
        if view.task_definition_arn.is_empty() {
            return Err(unreadable("taskDefinitionArn"));
        }
        let tags: Option<Vec<Tag>> =
            Deserialize::deserialize(tags).map_err(|_| unreadable("tags"))?;
        let is_own = |tag: &Tag| !tag.key.to_lowercase().starts_with("aws:");
        Ok(Self {
            arn: RevisionArn(view.task_definition_arn.clone()),
            tags: tags.unwrap_or_default().into_iter().filter(is_own).collect(),
            document,
            view,
        })
    }

    /// Whether it can be run. An emulator that gives no status means yes.
    pub fn is_active(&self) -> bool {
        matches!(self.view.status.as_str(), "ACTIVE" | "")
    }

    /// The value of one tag.
    pub fn tag(&self, key: &str) -> Option<&str> {
        self.tags.iter().find(|tag| tag.key == key).map(|tag| tag.value.as_str())
    }
}

impl fmt::Debug for TaskDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskDefinition").field("arn", &self.arn).finish_non_exhaustive()
    }
}

impl View {
    /// Whether ECS holds the definition to Fargate's rules. Naming EC2 beside it changes nothing.
    /// Source: ECS developer guide, "Troubleshoot invalid CPU or memory errors".
    pub fn is_fargate(&self) -> bool {
        self.requires_compatibilities.iter().any(|name| name == "FARGATE")
    }

    /// Whether it may run on EC2. A definition that names nothing runs where it is started.
    /// Source: ECS API, `TaskDefinition.requiresCompatibilities`.
    pub fn runs_on_ec2(&self) -> bool {
        let named = &self.requires_compatibilities;
        named.is_empty() || named.iter().any(|name| name == "EC2")
    }

    /// Linux where the definition does not say.
    pub fn operating_system(&self) -> OperatingSystem {
        let family =
            self.runtime_platform.as_ref().and_then(|p| p.operating_system_family.as_ref());
        match family {
            Some(family) if family.starts_with("WINDOWS") => OperatingSystem::Windows,
            _ => OperatingSystem::Linux,
        }
    }

    /// x86 where the definition does not say.
    pub fn architecture(&self) -> Architecture {
        let name = self.runtime_platform.as_ref().and_then(|p| p.cpu_architecture.as_deref());
        if name == Some("ARM64") { Architecture::Arm } else { Architecture::X86 }
    }

    /// Task-level CPU, in units or as `0.5 vCPU`.
    pub fn cpu(&self) -> Option<CpuUnits> {
        quantity(self.cpu.as_deref()?, "vcpu").map(CpuUnits)
    }

    /// Task-level memory, in MiB or as `2 GB`.
    pub fn memory(&self) -> Option<MebiBytes> {
        quantity(self.memory.as_deref()?, "gb").map(MebiBytes)
    }

    /// CPU and memory, where both are set.
    pub fn size(&self) -> Option<TaskSize> {
        Some(TaskSize { cpu: self.cpu()?, memory: self.memory()? })
    }

    /// Whether `proxyConfiguration` names this container.
    pub fn proxies_through(&self, container: &str) -> bool {
        self.proxy_configuration.as_ref().is_some_and(|proxy| proxy.container_name == container)
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
}

/// A number of the small unit, or of the large one, which is 1024 of them.
fn quantity(text: &str, large_unit: &str) -> Option<u32> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let lower = text.to_lowercase();
    let (whole, fraction) = {
        let number = lower.strip_suffix(large_unit)?.trim();
        number.split_once('.').unwrap_or((number, ""))
    };
    let thousandths: u32 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let whole: u32 = whole.parse().ok()?;
    let units = thousandths.checked_mul(1024)?.div_ceil(1000);
    whole.checked_mul(1024)?.checked_add(units)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sizes_are_read_in_both_of_their_spellings() {
        for (text, expected) in [
            ("256", Some(256)),
            ("1 vCPU", Some(1024)),
            (".25 vcpu", None),
            ("0.25 vCPU", Some(256)),
        ] {
            assert_eq!(quantity(text, "vcpu"), expected, "{text}");
        }
        assert_eq!(quantity("2GB", "gb"), Some(2048));
        assert_eq!(quantity("much", "gb"), None);
        assert_eq!(quantity("9999999999 GB", "gb"), None);
    }

    #[test]
    fn debug_tells_the_revision_and_no_secret() {
        let definition = TaskDefinition::parse(
            &json!({"taskDefinitionArn": "arn:aws:ecs:r:a:task-definition/f:1",
                "containerDefinitions": [{"name": "w",
                    "environment": [{"name": "KEY", "value": "canary"}]}]}),
            &json!([{"key": "aws:x", "value": "1"}, {"key": "team", "value": "a"}]),
        );
        let definition = definition.unwrap();
        assert!(!format!("{definition:?}").contains("canary"));
        assert_eq!(definition.tag("team"), Some("a"));
        assert_eq!(definition.tag("aws:x"), None);
    }

    #[test]
    fn what_cannot_be_read_is_not_quoted() {
        let broken = json!({"taskDefinitionArn": "arn", "containerDefinitions": "canary"});
        let message = TaskDefinition::parse(&broken, &json!(null)).unwrap_err();
        assert!(!message.contains("canary"), "{message}");
    }
}
