//! What a container instance must have for a task. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::{Container, View};
use crate::units::{CpuUnits, Expression, Gpus, MebiBytes};

/// What a container instance must have for a task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The task's CPU, else that of its containers.
    pub cpu: CpuUnits,
    /// The task's memory, else what its containers reserve.
    pub memory: MebiBytes,
    /// GPUs of its containers.
    pub gpus: Gpus,
    /// TCP ports of the host.
    pub tcp: BTreeSet<u16>,
    /// UDP ports of the host.
    pub udp: BTreeSet<u16>,
    /// What ECS asks for beside: capabilities of the agent, and what the platform is.
    pub attributes: BTreeSet<Attribute>,
}

/// An attribute that an instance must have, with this value where there is one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct Attribute {
    /// Such as `com.amazonaws.ecs.capability.task-eni`.
    pub name: String,
    /// Such as `arm64`.
    #[serde(default)]
    pub value: Option<String>,
}

impl View {
    /// What of a definition that is rendered here is read; nothing where it is not one.
    pub fn of(document: &Value) -> Option<Self> {
        Self::deserialize(document).ok()
    }

    /// The expressions that the definition itself asks for.
    pub fn expressions(&self) -> BTreeSet<Expression> {
        let constraints = self.placement_constraints.iter();
        constraints.filter_map(|constraint| constraint.expression.clone().map(Expression)).collect()
    }

    /// What an instance must have.
    pub fn needs(&self) -> Needs {
        let containers = &self.container_definitions;
        let cpu = || containers.iter().map(|container| container.cpu.0).sum();
        let memory = || containers.iter().map(Container::reserved_memory).sum();
        let (tcp, udp) = self.host_ports();
        Needs {
            cpu: self.cpu().unwrap_or_else(cpu),
            memory: self.memory().unwrap_or_else(memory),
            gpus: containers.iter().map(Container::gpus).sum(),
            tcp,
            udp,
            attributes: self.attributes(),
        }
    }

    /// TCP and UDP. A port that the host chooses is none, and under `awsvpc` a task has its own.
    /// Source: ECS API, `PortMapping.hostPort`.
    fn host_ports(&self) -> (BTreeSet<u16>, BTreeSet<u16>) {
        let mode = self.network_mode.as_deref();
        let mappings = self.container_definitions.iter().flat_map(|c| &c.port_mappings);
        let (mut tcp, mut udp) = (BTreeSet::new(), BTreeSet::new());
        for mapping in mappings {
            let port = match mode {
                Some("awsvpc" | "none") => None,
                Some("host") => mapping.container_port,
                _ => mapping.host_port,
            };
            let port = port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0);
            let is_udp = mapping.protocol.as_deref() == Some("udp");
            if is_udp { udp.extend(port) } else { tcp.extend(port) }
        }
        (tcp, udp)
    }

    /// Source: ECS developer guide, "Amazon ECS container instance attributes".
    fn attributes(&self) -> BTreeSet<Attribute> {
        let platform = self.runtime_platform.as_ref();
        let named: BTreeMap<_, _> = [
            (
                "ecs.cpu-architecture",
                platform.and_then(|platform| platform.cpu_architecture.clone()),
            ),
            (
                "ecs.os-type",
                platform.and_then(|platform| {
                    let family = platform.operating_system_family.as_deref()?;
                    Some(family.split('_').next().unwrap_or(family).to_owned())
                }),
            ),
        ]
        .into();
        let named = named.into_iter().filter_map(|(name, value)| {
            let value = Some(value?.to_lowercase());
            Some(Attribute { name: name.to_owned(), value })
        });
        self.requires_attributes.iter().cloned().chain(named).collect()
    }
}

impl Container {
    /// Source: ECS API, `ResourceRequirement`.
    fn gpus(&self) -> Gpus {
        let requirements = self.resource_requirements.iter();
        let gpus = requirements.filter(|requirement| requirement.kind == "GPU");
        gpus.map(|gpus| Gpus(gpus.value.parse().unwrap_or(0))).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn needs(document: &Value) -> Needs {
        View::of(document).unwrap().needs()
    }

    #[test]
    fn the_tasks_size_counts_before_that_of_its_containers() {
        let containers = json!([
            {"name": "a", "cpu": 100, "memory": 300, "memoryReservation": 200},
            {"name": "b", "cpu": 50, "memory": 64,
                "resourceRequirements": [{"type": "GPU", "value": "2"}]},
        ]);
        let of_containers = needs(&json!({"containerDefinitions": containers}));
        assert_eq!((of_containers.cpu, of_containers.memory), (CpuUnits(150), MebiBytes(264)));
        assert_eq!(of_containers.gpus, Gpus(2));
        let document =
            json!({"cpu": "1 vCPU", "memory": "2048", "containerDefinitions": containers});
        let of_task = needs(&document);
        assert_eq!((of_task.cpu, of_task.memory), (CpuUnits(1024), MebiBytes(2048)));
    }

    #[test]
    fn a_port_of_the_host_is_taken_and_one_that_it_chooses_is_not() {
        let of = |mode: &str| {
            let mappings = json!([
                {"containerPort": 80, "hostPort": 8080},
                {"containerPort": 53, "hostPort": 53, "protocol": "udp"},
                {"containerPort": 90, "hostPort": 0},
                {"containerPort": 91},
            ]);
            let needs = needs(&json!({"networkMode": mode,
                "containerDefinitions": [{"name": "a", "portMappings": mappings}]}));
            (needs.tcp, needs.udp)
        };
        assert_eq!(of("bridge"), ([8080].into(), [53].into()));
        assert_eq!(of("host"), ([80, 90, 91].into(), [53].into()));
        assert_eq!(of("awsvpc"), (BTreeSet::new(), BTreeSet::new()));
    }

    #[test]
    fn what_ecs_requires_and_the_platform_are_attributes() {
        let needs = needs(&json!({
            "requiresAttributes": [{"name": "com.amazonaws.ecs.capability.task-eni"}],
            "runtimePlatform": {"cpuArchitecture": "ARM64",
                "operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"},
            "containerDefinitions": [{"name": "a"}],
        }));
        let reported: Vec<_> = needs
            .attributes
            .iter()
            .map(|a| format!("{}={}", a.name, a.value.as_deref().unwrap_or("-")))
            .collect();
        let capability = "com.amazonaws.ecs.capability.task-eni=-";
        assert_eq!(reported, [capability, "ecs.cpu-architecture=arm64", "ecs.os-type=windows"]);
    }
}
