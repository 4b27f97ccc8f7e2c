//! What the arithmetic of a launch went by, beside the worker's own settings: whoever has both derives it
//! again. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Alive, HeldBack};
use crate::config::Floor;
use crate::fargate::MicroDollars;
use crate::units::{Containers, Messages, Tasks};

/// Bytes of them in a line of the log, at most: CloudWatch Logs bills each, every minute.
const LONGEST_LINE: usize = 900;

/// What a decision went by. What is not said is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Facts {
    /// Messages that can be received now.
    #[serde(skip_serializing_if = "is_none")]
    pub visible: Messages,
    /// Messages that were received and not deleted yet.
    #[serde(skip_serializing_if = "is_none")]
    pub in_flight: Messages,
    /// Messages that cannot be received yet.
    #[serde(skip_serializing_if = "is_none")]
    pub delayed: Messages,
    /// What is there.
    #[serde(with = "counted", skip_serializing_if = "is_none")]
    pub alive: Alive,
    /// What `minContainers` keeps at this time, and the window that asks for it.
    #[serde(with = "floor", skip_serializing_if = "is_none")]
    pub minimum: Floor,
    /// The most containers that a task may have.
    pub most: Containers,
    /// The sizes that a task may have, where something was launched.
    #[serde(skip_serializing_if = "is_none")]
    pub sizes: Option<Sizes>,
    /// What is left to the worker of the bounds that all share, where that is less than it wants.
    #[serde(skip_serializing_if = "is_none")]
    pub allowance: Option<Allowance>,
    /// How long the next launch waits, as a registry has had too many pulls.
    #[serde(with = "seconds", skip_serializing_if = "is_none")]
    pub registry: Option<Duration>,
    /// The circuit breaker is open: so many canaries may be started.
    #[serde(skip_serializing_if = "is_none")]
    pub canary: Option<Containers>,
    /// What moved since the last launches, where messages are visible.
    #[serde(skip_serializing_if = "is_none")]
    pub brake: Option<Brake>,
    /// How long nothing is started ahead of messages, where none is visible.
    #[serde(with = "seconds", skip_serializing_if = "is_none")]
    pub ahead: Option<Duration>,
    /// Which configuration of the worker this was.
    pub config: String,
    /// Its settings that the arithmetic went by, in the words of the file; none where they are too long.
    #[serde(skip_serializing_if = "is_none")]
    pub settings: Option<Value>,
}

/// What bounds the tasks of a worker in a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TaskBound {
    /// `packing.maxTasks`
    MaxTasks,
    /// `maxTasksPerTick`, shared by all workers.
    MaxTasksPerTick,
    /// `maxTasksPerHour`, shared by all workers.
    MaxTasksPerHour,
}

/// What is left to a worker of the bounds that all share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowance {
    /// Tasks that it may start in this tick.
    pub tasks: Tasks,
    /// What bounds them.
    pub bound: TaskBound,
}

/// What moved since the last launches, as far as it holds the next one back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Brake {
    /// Containers that may be started.
    #[serde(skip_serializing_if = "is_none")]
    pub credit: Containers,
    /// Without credit: containers that have yet to show what they do.
    #[serde(skip_serializing_if = "is_none")]
    pub unjudged: Containers,
    /// Without credit: how long it is until one is tried.
    #[serde(with = "seconds", skip_serializing_if = "is_none")]
    pub pause: Option<Duration>,
}

/// The sizes that a task may have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Sizes {
    /// Worker containers in a task, the fewest first.
    pub counts: Vec<Containers>,
    /// Those that pay for much that they do not need.
    #[serde(skip_serializing_if = "is_none")]
    pub wasteful: Vec<Containers>,
    /// What an hour of a task of each count costs, where tasks have a price, in millionths of a dollar.
    #[serde(skip_serializing_if = "is_none")]
    pub prices: Option<Vec<MicroDollars>>,
    /// Tasks that can be started at once, where others would have to wait.
    #[serde(skip_serializing_if = "is_none")]
    pub at_once: Option<Tasks>,
    /// Whether the network lately had no address for a task.
    #[serde(skip_serializing_if = "is_none")]
    pub few_addresses: bool,
}

impl Brake {
    /// How many containers may be started of those that are owed, and what holds the others back.
    pub fn allows(self, owed: Containers) -> (Containers, HeldBack) {
        let Self { credit, unjudged, pause } = self;
        if credit != Containers::ZERO {
            return (credit.min(owed), HeldBack::ByCredit(credit));
        }
        match pause {
            _ if unjudged != Containers::ZERO => {
                (Containers::ZERO, HeldBack::UntilJudged(unjudged))
            }
            Some(wait) => (Containers::ZERO, HeldBack::For(wait)),
            None => (Containers(1), HeldBack::ToOne),
        }
    }
}

impl Sizes {
    /// What an hour of a task of so many costs.
    pub fn price(&self, n: Containers) -> Option<MicroDollars> {
        let index = self.counts.iter().position(|count| *count == n)?;
        self.prices.as_ref()?.get(index).copied()
    }
}

impl Facts {
    /// As it is logged, in a line of JSON that has it as a text: without the settings where it would be long.
    pub fn line(&self) -> String {
        let text = serde_json::to_string(self).unwrap_or_default();
        let quotes = text.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count();
        // And the quotation marks around it.
        if text.len().saturating_add(quotes).saturating_add(2) <= LONGEST_LINE
            || self.settings.is_none()
        {
            return text;
        }
        serde_json::to_string(&Self { settings: None, ..self.clone() }).unwrap_or_default()
    }
}

fn is_none<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Whole seconds, as the decision has them.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "serde gives it so")]
    pub(super) fn serialize<S: Serializer>(
        time: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(|time| time.as_secs()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_secs))
    }
}

/// What is there, without what is none.
mod counted {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::is_none;
    use crate::plan::Alive;
    use crate::units::{Containers, Tasks};

    #[derive(Default, Deserialize, Serialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Counted {
        #[serde(skip_serializing_if = "is_none")]
        tasks: Tasks,
        #[serde(skip_serializing_if = "is_none")]
        containers: Containers,
        #[serde(skip_serializing_if = "is_none")]
        running: Containers,
        #[serde(skip_serializing_if = "is_none")]
        stuck: Containers,
        #[serde(skip_serializing_if = "is_none")]
        stuck_tasks: Tasks,
        #[serde(skip_serializing_if = "is_none")]
        idle: Containers,
        #[serde(skip_serializing_if = "is_none")]
        outlived: Containers,
    }

    pub(super) fn serialize<S: Serializer>(
        alive: &Alive,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let Alive { tasks, containers, running, stuck, idle, outlived, stuck_tasks, .. } = *alive;
        let counted = Counted { tasks, containers, running, stuck, stuck_tasks, idle, outlived };
        counted.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Alive, D::Error> {
        let counted = Counted::deserialize(deserializer)?;
        let Counted { tasks, containers, running, stuck, stuck_tasks, idle, outlived } = counted;
        let others = Alive::default();
        Ok(Alive { tasks, containers, running, stuck, idle, outlived, stuck_tasks, ..others })
    }
}

/// The minimum, without what is none.
mod floor {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::config::Floor;
    use crate::units::Containers;

    #[derive(Default, Deserialize, Serialize)]
    #[serde(default)]
    struct Written {
        containers: Containers,
        #[serde(skip_serializing_if = "Option::is_none")]
        window: Option<String>,
    }

    pub(super) fn serialize<S: Serializer>(
        floor: &Floor,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let Floor { containers, window } = floor.clone();
        Written { containers, window }.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Floor, D::Error> {
        let Written { containers, window } = Written::deserialize(deserializer)?;
        Ok(Floor { containers, window })
    }
}
