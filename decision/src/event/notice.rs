//! What says that an EC2 instance is about to go away. Pure.
//!
//! Of these events only the content of `detail` counts. The ARN in `resources` has an Availability
//! Zone where others have a Region, and no account: it is not read.
//! Source: EC2 user guide, "Spot Instance interruption notices", "EC2 instance rebalance
//! recommendations"; EC2 Auto Scaling user guide, "Lifecycle action events".

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::EventError;
use crate::units::Ec2InstanceId;

pub(super) const SPOT: &str = "EC2 Spot Instance Interruption Warning";
pub(super) const REBALANCE: &str = "EC2 Instance Rebalance Recommendation";
pub(super) const TERMINATE: &str = "EC2 Instance-terminate Lifecycle Action";

/// An EC2 instance is about to go away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Who says so.
    pub kind: NoticeKind,
    /// The machine.
    pub instance: Ec2InstanceId,
    /// What waits for us before it goes.
    pub hook: Option<Hook>,
}

/// Who says that an instance is about to go away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum NoticeKind {
    /// EC2 takes a Spot instance back in two minutes.
    SpotInterruption,
    /// EC2 may take a Spot instance back soon, or never.
    RebalanceRecommendation,
    /// Auto Scaling terminates an instance, and a lifecycle hook holds it.
    LifecycleTermination,
}

/// A lifecycle hook that holds an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hook {
    /// The Auto Scaling group.
    pub group: String,
    /// The hook's name.
    pub name: String,
}

impl fmt::Display for NoticeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SpotInterruption => "EC2 Spot interruption warning",
            Self::RebalanceRecommendation => "EC2 rebalance recommendation",
            Self::LifecycleTermination => "Auto Scaling termination",
        })
    }
}

impl Notice {
    /// `None` where the payload is no such event.
    pub(super) fn parse(payload: &Value) -> Result<Option<Self>, EventError> {
        let field = |key| payload.get(key).and_then(Value::as_str).unwrap_or_default();
        let kind = match (field("source"), field("detail-type")) {
            ("aws.ec2", SPOT) => NoticeKind::SpotInterruption,
            ("aws.ec2", REBALANCE) => NoticeKind::RebalanceRecommendation,
            ("aws.autoscaling", TERMINATE) => NoticeKind::LifecycleTermination,
            _ => return Ok(None),
        };
        let is_held = kind == NoticeKind::LifecycleTermination;
        let key = if is_held { "EC2InstanceId" } else { "instance-id" };
        let instance = instance(detail(payload, key)?)?;
        let hook = if is_held { Some(hook(payload)?) } else { None };
        Ok(Some(Self { kind, instance, hook }))
    }
}

/// A try of Auto Scaling's, as it makes one for each new hook.
/// Source: EC2 Auto Scaling user guide, "Receive the notification".
pub(super) fn is_test(payload: &Value) -> bool {
    let test = Some("autoscaling:TEST_NOTIFICATION");
    let event = |value: &Value| value.get("Event").and_then(Value::as_str) == test;
    event(payload) || payload.get("detail").is_some_and(event)
}

fn hook(payload: &Value) -> Result<Hook, EventError> {
    let group = detail(payload, "AutoScalingGroupName")?.to_owned();
    Ok(Hook { group, name: detail(payload, "LifecycleHookName")?.to_owned() })
}

fn detail<'a>(payload: &'a Value, key: &str) -> Result<&'a str, EventError> {
    let text = payload.get("detail").and_then(|detail| detail.get(key)).and_then(Value::as_str);
    // Source: EC2 Auto Scaling API, `CreateAutoScalingGroup`, `PutLifecycleHook`: 255 characters.
    text.filter(|text| (1..=255).contains(&text.chars().count()))
        .ok_or_else(|| EventError::new(format!("its detail has no `{key}`")))
}

/// It becomes a part of an expression, so that it may be nothing but an id.
/// Source: EC2 user guide, "Resource IDs": `i-` and 8 or 17 digits.
fn instance(text: &str) -> Result<Ec2InstanceId, EventError> {
    let is_digits = |id: &str| {
        !id.is_empty() && id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    };
    match text.strip_prefix("i-") {
        Some(id) if is_digits(id) && text.len() <= 40 => Ok(Ec2InstanceId::from(text)),
        _ => {
            let shown: String = text.chars().take(60).collect();
            Err(EventError::new(format!("`{shown}` is not the id of an EC2 instance")))
        }
    }
}
