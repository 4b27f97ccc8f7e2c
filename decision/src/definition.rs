//! A task definition as ECS describes it. Pure.
//!
//! It is kept as the JSON document that came over the wire, so that every field survives the round
//! trip, also those that are younger than the SDK. Beside it stands a view of the few fields that
//! are read here. Task definitions carry secrets: `Debug` prints the revision and nothing else.

mod container;
mod needs;

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::fargate::{Architecture, OperatingSystem, TaskSize};
use crate::units::{CpuUnits, GibiBytes, MebiBytes, RevisionArn};

pub use container::{Container, Dependency, PortMapping};
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
    /// The length of the document as JSON.
    pub bytes: usize,
    /// The same of each container, by its name.
    pub container_bytes: Vec<(String, usize)>,
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
    #[serde(default, deserialize_with = "nullable")]
    task_definition_arn: String,
    #[serde(default, deserialize_with = "nullable")]
    status: String,
    /// What decides which ports collide.
    #[serde(default)]
    pub network_mode: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    requires_compatibilities: Vec<String>,
    #[serde(default, deserialize_with = "nullable")]
    compatibilities: Vec<String>,
    #[serde(default)]
    cpu: Option<String>,
    #[serde(default)]
    memory: Option<String>,
    #[serde(default)]
    ephemeral_storage: Option<EphemeralStorage>,
    #[serde(default)]
    runtime_platform: Option<RuntimePlatform>,
    #[serde(default)]
    proxy_configuration: Option<ProxyConfiguration>,
    #[serde(default, deserialize_with = "nullable")]
    requires_attributes: Vec<Attribute>,
    #[serde(default, deserialize_with = "nullable")]
    placement_constraints: Vec<PlacementConstraint>,
    /// All of them, sidecars too.
    #[serde(default, deserialize_with = "nullable")]
    pub container_definitions: Vec<Container>,
}

/// `ephemeralStorage`: a task's own disk on Fargate.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct EphemeralStorage {
    #[serde(rename = "sizeInGiB")]
    size: u32,
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
    #[serde(default, deserialize_with = "nullable")]
    container_name: String,
    #[serde(default, deserialize_with = "nullable")]
    properties: Vec<Property>,
}

/// One of `proxyConfiguration.properties`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Property {
    #[serde(default, deserialize_with = "nullable")]
    name: String,
    #[serde(default, deserialize_with = "nullable")]
    value: String,
}

/// What may be `null` in an answer, which is as if it were left out.
fn nullable<'de, D, T>(source: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(source)?.unwrap_or_default())
}

impl TaskDefinition {
    /// Reads `taskDefinition` and `tags` of a `DescribeTaskDefinition` answer.
    ///
    /// # Errors
    /// What cannot be understood, without a value of the definition in it.
    pub fn parse(document: &Value, tags: &Value) -> Result<Self, String> {
        let unreadable = |field: &str| format!("the answer's {field} cannot be understood");
        let document = document.as_object().ok_or_else(|| unreadable("taskDefinition"))?.clone();
        // Where it stumbled, and not what over: serde's own message would quote the value.
        let view: View = serde_path_to_error::deserialize(Value::Object(document.clone()))
            .map_err(|error| unreadable(&format!("taskDefinition.{}", error.path())))?;
        if view.task_definition_arn.is_empty() {
            return Err(unreadable("taskDefinitionArn"));
        }
        let tags: Option<Vec<Tag>> =
            Deserialize::deserialize(tags).map_err(|_| unreadable("tags"))?;
        let is_own = |tag: &Tag| !tag.key.to_lowercase().starts_with("aws:");
        let container = |container: &Value| {
            let name = container.get("name").and_then(Value::as_str).unwrap_or_default();
            (name.to_owned(), container.to_string().len())
        };
        let containers = document.get("containerDefinitions").and_then(Value::as_array);
        Ok(Self {
            arn: RevisionArn(view.task_definition_arn.clone()),
            bytes: Value::Object(document.clone()).to_string().len(),
            container_bytes: containers.into_iter().flatten().map(container).collect(),
            tags: tags.unwrap_or_default().into_iter().filter(is_own).collect(),
            document,
            view,
        })
    }

    /// Its containers, as they are registered.
    pub fn containers(&self) -> impl Iterator<Item = &Value> {
        let all = self.document.get("containerDefinitions").and_then(Value::as_array);
        all.into_iter().flatten()
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
    /// Whether ECS holds the definition to Fargate's rules wherever it is launched. Naming EC2 beside
    /// it changes nothing.
    /// Source: ECS developer guide, "Troubleshoot invalid CPU or memory errors".
    pub fn names_fargate(&self) -> bool {
        self.requires_compatibilities.iter().any(|name| name == FARGATE)
    }

    /// Whether it was registered for Fargate and for nothing else.
    pub fn is_for_fargate_alone(&self) -> bool {
        self.requires_compatibilities == [FARGATE]
    }

    /// Whether it was registered for nothing in particular.
    pub fn names_nothing(&self) -> bool {
        self.requires_compatibilities.is_empty()
    }

    /// Whether ECS found that it could be launched on Fargate.
    pub fn fits_fargate(&self) -> bool {
        self.compatibilities.iter().any(|name| name == FARGATE)
    }

    /// What it was registered for.
    pub fn registered_for(&self) -> &[String] {
        &self.requires_compatibilities
    }

    /// Where it can be launched: what it was registered for, and what ECS found it fit for. Nothing
    /// where neither is said: it runs where it is started.
    /// Source: ECS API, `TaskDefinition.compatibilities` and `requiresCompatibilities`.
    pub fn launch_types(&self) -> BTreeSet<&str> {
        let named = self.requires_compatibilities.iter().chain(&self.compatibilities);
        named.map(String::as_str).collect()
    }

    /// Whether it can be launched so.
    pub fn runs_on(&self, launch_type: &str) -> bool {
        let all = self.launch_types();
        all.is_empty() || all.contains(launch_type)
    }

    /// The disk of a task on Fargate in GiB, where the definition says it.
    pub fn storage(&self) -> Option<GibiBytes> {
        self.ephemeral_storage.map(|storage| GibiBytes(storage.size))
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

    /// Whether a proxy takes the calls to the metadata address from the containers.
    /// Source: ECS API, `ProxyConfiguration.properties`, `EgressIgnoredIPs`: "`169.254.170.2` and
    /// `169.254.169.254`", which App Mesh ignores only where they are named.
    pub fn proxy_hides_metadata(&self) -> bool {
        let ignored = |proxy: &ProxyConfiguration| {
            let named = |p: &&Property| p.name == "EgressIgnoredIPs" && p.value.contains(METADATA);
            proxy.properties.iter().find(named).is_some()
        };
        self.proxy_configuration.as_ref().is_some_and(|proxy| !ignored(proxy))
    }

    /// Whether `proxyConfiguration` names this container.
    pub fn proxies_through(&self, container: &str) -> bool {
        self.proxy_configuration.as_ref().is_some_and(|proxy| proxy.container_name == container)
    }
}

/// As ECS spells it.
pub const FARGATE: &str = "FARGATE";

/// Where containers ask for their task's metadata. Source: ECS developer guide, "Task metadata endpoint
/// version 4".
const METADATA: &str = "169.254.170.2";

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
    fn what_cannot_be_read_is_named_and_not_quoted() {
        let broken = json!({"taskDefinitionArn": "arn", "containerDefinitions": [
            {"name": "a"}, {"name": "b", "memory": "canary"}]});
        let message = TaskDefinition::parse(&broken, &json!(null)).unwrap_err();
        assert_eq!(
            message,
            "the answer's taskDefinition.containerDefinitions[1].memory cannot be understood"
        );
    }

    /// Some tools write what is empty as `null`.
    #[test]
    fn null_is_as_if_it_were_left_out() {
        let definition = json!({"taskDefinitionArn": "arn", "status": null, "cpu": null,
            "requiresCompatibilities": null, "compatibilities": null, "requiresAttributes": null,
            "placementConstraints": null, "proxyConfiguration": null, "ephemeralStorage": null,
            "containerDefinitions": [{"name": "a", "image": null, "essential": null, "cpu": null,
                "portMappings": null, "dependsOn": null, "secrets": null, "restartPolicy": null,
                "resourceRequirements": null, "healthCheck": {"command": null}}]});
        let definition = TaskDefinition::parse(&definition, &json!(null)).unwrap();
        let [container] = definition.view.container_definitions.as_slice() else { panic!("one") };
        assert!(container.is_essential() && !container.is_restarted());
        let nothing = json!({"taskDefinitionArn": "arn", "containerDefinitions": null});
        assert!(TaskDefinition::parse(&nothing, &json!(null)).is_ok());
    }
}
