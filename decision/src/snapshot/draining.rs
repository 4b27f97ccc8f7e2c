//! Container instances that are about to go away, what stands on them, and the lifecycle hooks that
//! hold them. Pure data.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Read;
use crate::definition::Tag;
use crate::event::Hook;
use crate::tags;
use crate::units::{ClusterName, Ec2InstanceId, InstanceArn, ScalerName, TaskArn, WorkerName};

/// A container instance of any status but INACTIVE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Its ARN.
    pub arn: InstanceArn,
    /// Its machine.
    pub ec2: Ec2InstanceId,
    /// `ACTIVE`, `DRAINING`, `REGISTERING`, `DEREGISTERING` or `REGISTRATION_FAILED`.
    /// Source: ECS API, `ContainerInstance.status`.
    pub status: String,
    /// Value by key.
    pub tags: BTreeMap<String, String>,
}

/// The first look of a notice: what the machine is in our clusters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sought {
    /// Whose invocation this is.
    pub scaler: ScalerName,
    /// When it began.
    pub now: Timestamp,
    /// Its container instances in each cluster of the configuration: more than one where its agent has
    /// registered anew.
    pub clusters: BTreeMap<ClusterName, Read<Vec<Registration>>>,
}

/// The second look of a notice: what stands on a container instance that is about to go away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Where it is.
    pub cluster: ClusterName,
    /// Its ARN.
    pub instance: InstanceArn,
    /// Our tasks.
    pub tasks: Read<Vec<TaskThere>>,
}

/// A task of ours on a container instance, which has not come to its end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaskThere {
    /// Whose it is.
    pub worker: WorkerName,
    /// Its ARN.
    pub arn: TaskArn,
    /// Whether ECS wants it stopped already: its containers are on their way out.
    pub is_stopping: bool,
}

/// A draining instance that a lifecycle hook of ours holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its ARN.
    pub arn: InstanceArn,
    /// Its machine.
    pub ec2: Ec2InstanceId,
    /// What its tags say.
    pub mark: Mark,
    /// What stands there, asked for this instance alone. `None` where the tasks of its cluster, which
    /// are read in any case, show that it is needed.
    pub tasks: Option<Read<Vec<TaskThere>>>,
}

impl Held {
    /// A draining instance, where a hook of this deployment holds it. What stands there is not known
    /// yet.
    pub fn of(registration: Registration, scaler: &ScalerName) -> Option<Self> {
        let mark = Mark::of(&registration, scaler)?;
        let Registration { arn, ec2, status: _, tags: _ } = registration;
        Some(Self { arn, ec2, mark, tasks: None })
    }
}

/// What the tags of a container instance say to the ticks. Each deployment has its own, as each may
/// have a hook of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The hook that holds it.
    pub hook: Hook,
    /// When the notice came, after which no task is placed there; `None` where somebody has changed
    /// the tag.
    pub since: Option<Timestamp>,
}

/// A name that cannot be the value of a tag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` cannot be the value of a tag (at most 256 letters, digits, spaces and `_.:/=+-@`), so that \
     the ticks cannot answer the hook; it ends by its own timeout"
)]
pub struct Untaggable(String);

impl Mark {
    /// The mark of a deployment that a container instance carries.
    pub fn of(registration: &Registration, scaler: &ScalerName) -> Option<Self> {
        let [name, group, since] = keys(scaler).map(|key| registration.tags.get(&key));
        let name = name.filter(|name| !name.is_empty())?;
        let hook = Hook { group: group?.clone(), name: name.clone() };
        Some(Self { hook, since: since.and_then(|since| since.parse().ok()) })
    }

    /// The tags that carry it.
    ///
    /// # Errors
    /// When a name can be no tag's value.
    /// Source: ECS developer guide, "Tag restrictions".
    pub fn tags(&self, scaler: &ScalerName) -> Result<Vec<Tag>, Untaggable> {
        let since = self.since.as_ref().map(ToString::to_string).unwrap_or_default();
        let values = [self.hook.name.clone(), self.hook.group.clone(), since];
        let is_legal = |t: &String| t.chars().count() <= 256 && t.chars().all(tags::is_legal);
        if let Some(value) = values.iter().find(|value| !is_legal(value)) {
            return Err(Untaggable(value.clone()));
        }
        let tags = keys(scaler).into_iter().zip(values);
        Ok(tags.map(|(key, value)| Tag { key, value }).collect())
    }

    /// What replaces a mark that nobody has to look at any more. The tags go with their
    /// instance.
    pub fn settled(scaler: &ScalerName) -> Tag {
        let [key, ..] = keys(scaler);
        Tag { key, value: String::new() }
    }
}

fn keys(scaler: &ScalerName) -> [String; 3] {
    ["hook", "group", "draining"].map(|what| format!("ecs-queue-scaler:{scaler}:{what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(group: &str) -> Mark {
        let hook = Hook { group: group.to_owned(), name: "drain-workers".to_owned() };
        Mark { hook, since: Some("2026-11-20T21:00:00Z".parse().unwrap()) }
    }

    #[test]
    fn what_is_written_into_tags_is_read_back_by_the_same_deployment_only() {
        let (ours, theirs) = (ScalerName("a/b".to_owned()), ScalerName("b".to_owned()));
        let carry = |tag: Tag| (tag.key, tag.value);
        let tags = mark("jobs of @ll").tags(&ours).unwrap();
        let registration = Registration {
            arn: "arn".into(),
            ec2: "i-1".into(),
            status: "DRAINING".to_owned(),
            tags: tags.into_iter().map(carry).collect(),
        };
        assert_eq!(Mark::of(&registration, &ours), Some(mark("jobs of @ll")));
        let mut settled = registration.clone();
        settled.tags.extend([carry(Mark::settled(&ours))]);
        assert_eq!(Mark::of(&settled, &ours), None);
        assert_eq!(Mark::of(&registration, &theirs), None);
        let untaggable = mark("jobs & more").tags(&ours).unwrap_err().to_string();
        assert!(untaggable.contains("`jobs & more`"), "{untaggable}");
    }
}
