//! What a container instance has left, and what a task takes of it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{list, text};

/// What an instance has left.
#[derive(Clone, Debug, Default)]
pub(super) struct Room {
    pub(super) cpu: u64,
    pub(super) memory: u64,
    /// Ports that are taken, by protocol.
    pub(super) ports: BTreeSet<(String, u64)>,
    pub(super) gpus: Vec<Value>,
    /// `None` where interfaces do not run out.
    pub(super) enis: Option<u64>,
}

/// What a task takes.
#[derive(Clone, Debug, Default)]
pub(super) struct Need {
    cpu: u64,
    memory: u64,
    ports: Vec<(String, u64)>,
    gpus: usize,
    eni: bool,
}

impl Room {
    /// Source: ECS API, `Resource`: for ports, both lists name those that are reserved.
    pub(super) fn resources(&self) -> Value {
        let number = |name: &str, value: u64| json!({"name": name, "type": "INTEGER", "doubleValue": 0.0, "longValue": 0, "integerValue": value});
        let set = |name: &str, value: Vec<Value>| {
            json!({"name": name, "type": "STRINGSET", "doubleValue": 0.0, "longValue": 0,
                "integerValue": 0, "stringSetValue": value})
        };
        let ports = |of: &str| {
            let of = self.ports.iter().filter(|(protocol, _)| protocol == of);
            of.map(|(_, port)| json!(port.to_string())).collect()
        };
        let mut resources = vec![
            number("CPU", self.cpu),
            number("MEMORY", self.memory),
            set("PORTS", ports("tcp")),
            set("PORTS_UDP", ports("udp")),
        ];
        if !self.gpus.is_empty() {
            resources.push(set("GPU", self.gpus.clone()));
        }
        json!(resources)
    }

    pub(super) fn of(resources: &[Value]) -> Self {
        let named = |name: &str| resources.iter().find(|resource| resource["name"] == name);
        let number = |name: &str| named(name).and_then(|it| it["integerValue"].as_u64()).unwrap();
        let set = |name: &str| named(name).map(|it| list(it, "stringSetValue")).unwrap_or_default();
        let ports = [("tcp", "PORTS"), ("udp", "PORTS_UDP")].into_iter().flat_map(|(of, name)| {
            let ports = set(name).iter().map(|port| port.as_str().unwrap().parse().unwrap());
            ports.map(move |port| (of.to_owned(), port))
        });
        Self {
            cpu: number("CPU"),
            memory: number("MEMORY"),
            ports: ports.collect(),
            gpus: set("GPU").to_vec(),
            enis: None,
        }
    }

    /// What a task lacks here, as `failures[]` say it.
    pub(super) fn lacks(&self, need: &Need) -> Option<&'static str> {
        if self.cpu < need.cpu {
            Some("RESOURCE:CPU")
        } else if self.memory < need.memory {
            Some("RESOURCE:MEMORY")
        } else if need.ports.iter().any(|port| self.ports.contains(port)) {
            Some("RESOURCE:PORTS")
        } else if self.gpus.len() < need.gpus {
            Some("RESOURCE:GPU")
        } else if need.eni && self.enis == Some(0) {
            Some("RESOURCE:ENI")
        } else {
            None
        }
    }

    pub(super) fn take(&mut self, need: &Need) {
        self.cpu = self.cpu.saturating_sub(need.cpu);
        self.memory = self.memory.saturating_sub(need.memory);
        self.ports.extend(need.ports.iter().cloned());
        self.gpus.truncate(self.gpus.len().saturating_sub(need.gpus));
        self.enis = self.enis.map(|enis| enis.saturating_sub(u64::from(need.eni)));
    }
}

impl Need {
    /// Source: ECS developer guide, "Task definition parameters": the task's own size, or what its
    /// containers reserve; host ports where containers do not have a network of their own.
    pub(super) fn of(definition: &Value) -> Self {
        let containers = list(definition, "containerDefinitions");
        let task = |member| text(definition, member).parse::<u64>().ok();
        let number = |of: &Value, member: &str| of.get(member).and_then(Value::as_u64).unwrap_or(0);
        let cpu = |c| number(c, "cpu");
        let memory = |c| match number(c, "memoryReservation") {
            0 => number(c, "memory"),
            soft => soft,
        };
        let awsvpc = text(definition, "networkMode") == "awsvpc";
        let mappings = containers.iter().flat_map(|c| list(c, "portMappings"));
        let ports = mappings.filter(|_| !awsvpc).filter_map(|mapping| {
            let protocol = mapping.get("protocol").and_then(Value::as_str).unwrap_or("tcp");
            // In mode host it was described as the container's.
            let port = number(mapping, "hostPort");
            (port != 0).then(|| (protocol.to_owned(), port))
        });
        let required = containers.iter().flat_map(|c| list(c, "resourceRequirements"));
        let gpus = required.filter(|it| it["type"] == "GPU").map(|it| text(it, "value"));
        Self {
            cpu: task("cpu").unwrap_or_else(|| containers.iter().map(cpu).sum()),
            memory: task("memory").unwrap_or_else(|| containers.iter().map(memory).sum()),
            ports: ports.collect(),
            gpus: gpus.map(|count| count.parse::<usize>().unwrap()).sum(),
            eni: awsvpc,
        }
    }
}
