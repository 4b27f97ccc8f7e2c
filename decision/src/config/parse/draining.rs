//! `draining`, and `onDrain` of a worker.

use serde_json::Value;

use super::super::draining::{Draining, OnDrain};
use super::super::reader::{Fields, one_of};

/// What the file says of instances that go away.
#[derive(Default)]
pub(super) struct DrainingPart {
    /// For workers that say nothing of their own.
    pub(super) on_drain: OnDrain,
    pub(super) draining: Draining,
}

impl DrainingPart {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        let Some(mut fields) = fields.object("draining") else { return Self::default() };
        let on_drain = read_on_drain(&mut fields).unwrap_or_default();
        let hook = fields.optional("lifecycleHook", hook);
        fields.finish();
        Self { on_drain, draining: Draining { hook } }
    }
}

pub(super) fn read_on_drain(fields: &mut Fields<'_>) -> Option<OnDrain> {
    let choices = one_of(&[("leave", OnDrain::Leave), ("stopTasks", OnDrain::StopTasks)]);
    fields.optional("onDrain", choices)
}

/// ECS's own hook of a capacity provider with managed draining: it waits for all tasks, not for ours.
/// Source: ECS developer guide, "Safely stop Amazon ECS workloads running on EC2 instances".
const OF_ECS: &str = "ecs-managed-draining-termination-hook";

/// Source of the limits: EC2 Auto Scaling API, `PutLifecycleHook`, `LifecycleHookName`.
fn hook(value: &Value) -> Result<String, String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "-_/".contains(c);
    let name = value.as_str().filter(|t| (1..=255).contains(&t.len()) && t.chars().all(legal));
    match name {
        Some(OF_ECS) => Err("it must be a hook of your own: that one ECS completes by itself, \
                             when all tasks have ended"
            .to_owned()),
        Some(name) => Ok(name.to_owned()),
        None => Err("it must be the name of a lifecycle hook, of 1 to 255 letters, digits, `-`, \
                     `_` and `/`"
            .to_owned()),
    }
}
