//! The numbers and names of the trade, each its own type, so that none can be taken for another.
//!
//! Pure. Arithmetic saturates; every rounding is a method whose name says which way.

mod partition;
mod arn;

use std::cmp::Ordering;
use std::fmt;
use std::iter::Sum;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use arn::{Arn, region_of_sqs_host};
pub use partition::Partition;

macro_rules! count {
    ($(#[$doc:meta])* $name:ident($number:ty)) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize,
            Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub $number);

        impl $name {
            /// None of them.
            pub const ZERO: Self = Self(0);

            /// The number of some things, held at the largest value of the type.
            pub fn counted(things: usize) -> Self {
                Self(<$number>::try_from(things).unwrap_or(<$number>::MAX))
            }

            /// The sum, held at the largest value of the type.
            #[must_use]
            pub fn plus(self, other: Self) -> Self {
                Self(self.0.saturating_add(other.0))
            }

            /// The difference, never below zero.
            #[must_use]
            pub fn minus(self, other: Self) -> Self {
                Self(self.0.saturating_sub(other.0))
            }

            /// So many of them, held at the largest value of the type.
            #[must_use]
            pub fn times(self, factor: $number) -> Self {
                Self(self.0.saturating_mul(factor))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl Sum for $name {
            fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
                counts.fold(Self::ZERO, Self::plus)
            }
        }
    };
}

count! {
    /// SQS messages.
    Messages(u64)
}
count! {
    /// Worker containers: the unit in which work is answered.
    Containers(u32)
}
count! {
    /// Thousandths of containers that may be started: what moves pays in parts.
    Credit(u64)
}
count! {
    /// ECS tasks, each of one or more worker containers.
    Tasks(u32)
}
count! {
    /// Whole GPUs, of which a container has its own.
    Gpus(u32)
}
count! {
    /// ECS CPU units: 1024 are one vCPU.
    CpuUnits(u32)
}
count! {
    /// Memory as ECS counts it: 1 MiB is 2^20 bytes.
    MebiBytes(u32)
}
count! {
    /// A task's disk as ECS counts it: 1 GiB is 2^30 bytes.
    GibiBytes(u32)
}

impl Messages {
    /// Containers for these messages at so many a container, rounded up.
    #[must_use]
    pub fn containers_rounded_up(self, per_container: Self) -> Containers {
        Containers(clamp_to_u32(self.0.div_ceil(per_container.0.max(1))))
    }

    /// Containers that empty the queue within `target` when one message takes `each`, rounded up.
    #[must_use]
    pub fn containers_to_empty_rounded_up(self, each: Duration, target: Duration) -> Containers {
        let work = u128::from(self.0).saturating_mul(each.as_millis());
        let needed = work.div_ceil(target.as_millis().max(1));
        Containers(u32::try_from(needed).unwrap_or(u32::MAX))
    }

    /// One container a message: no launch can use more.
    #[must_use]
    pub fn as_containers(self) -> Containers {
        Containers(clamp_to_u32(self.0))
    }
}

impl Containers {
    /// The messages that these containers can hold at once.
    #[must_use]
    pub fn holding(self, per_container: Messages) -> Messages {
        Messages(u64::from(self.0).saturating_mul(per_container.0))
    }

    /// Tasks that hold these containers at so many a task, rounded up.
    #[must_use]
    pub fn tasks_rounded_up(self, per_task: Self) -> Tasks {
        Tasks(self.0.div_ceil(per_task.0.max(1)))
    }
}

impl Tasks {
    /// The containers of these tasks at so many a task.
    #[must_use]
    pub fn containers(self, per_task: Containers) -> Containers {
        per_task.times(self.0)
    }
}

impl Credit {
    /// So many containers.
    pub fn of(containers: Containers) -> Self {
        Self(u64::from(containers.0).saturating_mul(1000))
    }

    /// Whole containers, rounded down.
    pub fn containers_rounded_down(self) -> Containers {
        Containers(clamp_to_u32(self.0 / 1000))
    }
}

/// The time from then to now; none where the clock was set back, or then is still to come.
pub fn elapsed(then: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(then)).unwrap_or_default()
}

fn clamp_to_u32(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        text! {
            $(#[$doc])*
            #[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
            $name
        }
    };
}

/// What ECS knows in one Region of one account, by its short name or by its ARN: both are the same.
macro_rules! located {
    ($(#[$doc:meta])* $name:ident) => {
        text! {
            $(#[$doc])*
            $name
        }

        impl $name {
            /// Its short name.
            pub fn short(&self) -> &str {
                self.0.rsplit('/').next().unwrap_or(&self.0)
            }

            /// The Region in its ARN.
            pub fn region(&self) -> Option<&str> {
                Some(Arn::parse(&self.0)?.region)
            }

            /// Partition, Region and account, where its ARN says so.
            pub fn scope(&self) -> Option<(&str, &str, &str)> {
                Some(Arn::parse(&self.0)?.scope())
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.short() == other.short()
            }
        }

        impl Eq for $name {}

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                self.short().cmp(other.short())
            }
        }
    };
}

macro_rules! text {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Serialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The name as ECS and the logs spell it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                Self(name.to_owned())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// A worker's name in the configuration.
    WorkerName
}
name! {
    /// Which deployment this is, `SCALER_NAME`: the `startedBy` of every task it starts.
    ScalerName
}
located! {
    /// An ECS cluster, by short name or ARN.
    ClusterName
}
located! {
    /// A task definition as the operator names it: family, `family:revision` or ARN.
    TaskDefinitionRef
}
name! {
    /// The ARN of one task.
    TaskArn
}
name! {
    /// The ARN of one revision of a task definition.
    RevisionArn
}
name! {
    /// The family of a task definition.
    Family
}
name! {
    /// The ARN of one container instance.
    InstanceArn
}
name! {
    /// The id of an EC2 instance, such as `i-1234567890abcdef0`, or of an external one, `mi-...`.
    Ec2InstanceId
}
name! {
    /// An ECS service, by short name.
    ServiceName
}
name! {
    /// An expression of the cluster query language, such as `attribute:ecs.instance-type =~ c7.*`.
    Expression
}
name! {
    /// An AWS Region, such as `eu-central-1`.
    Region
}

impl ScalerName {
    /// Checks a name for the one field that carries it, `startedBy`: 1 to 36 of letters, digits,
    /// `-`, `_` and `/`. `StartTask` sets the 36, `RunTask` alone would take 128.
    /// Source: ECS API, `StartTaskRequest.startedBy`.
    ///
    /// # Errors
    /// A sentence that says what the name is and what it may be.
    pub fn parse(name: &str) -> Result<Self, String> {
        let legal = |c: char| c.is_ascii_alphanumeric() || "-_/".contains(c);
        if name.is_empty() || 36 < name.len() || !name.chars().all(legal) {
            return Err(format!(
                "SCALER_NAME is `{name}`, it must be 1 to 36 letters, digits, `-`, `_` or `/`: \
                 every task carries it in `startedBy`"
            ));
        }
        Ok(Self(name.to_owned()))
    }
}

impl TaskDefinitionRef {
    /// The family in a family name, `family:revision` or ARN.
    #[must_use]
    pub fn family(&self) -> Family {
        Family(self.short().split(':').next().unwrap_or_default().to_owned())
    }
}

impl RevisionArn {
    /// `family:revision`, the readable end of the ARN.
    #[must_use]
    pub fn family_and_revision(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The revision of the family before this one, if there was any.
    #[must_use]
    pub fn before(&self) -> Option<Self> {
        let (family, number) = self.0.rsplit_once(':')?;
        let before = number.parse::<u32>().ok()?.checked_sub(1).filter(|n| 0 < *n)?;
        Some(Self(format!("{family}:{before}")))
    }

    /// The family of the revision.
    #[must_use]
    pub fn family(&self) -> Family {
        Family(self.family_and_revision().split(':').next().unwrap_or_default().to_owned())
    }
}

impl Family {
    /// The family that holds the variant of `containers` worker containers a task.
    #[must_use]
    pub fn variant(&self, containers: Containers) -> Self {
        Self(format!("{}--x{containers}", self.0))
    }

    /// The family that this one holds a variant of; none where its name is not `<base>--x<n>`.
    #[must_use]
    pub fn base(&self) -> Option<Self> {
        let (base, containers) = self.0.rsplit_once("--x")?;
        containers.parse::<u32>().ok()?;
        Some(Self(base.to_owned()))
    }

    /// Worker containers a task of this family has: the number in `<base>--x<n>`, else one.
    #[must_use]
    pub fn worker_containers(&self) -> Containers {
        let suffix = self.0.rsplit_once("--x").map(|(_, n)| n.parse().unwrap_or(1));
        Containers(suffix.unwrap_or(1).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_for_messages_round_up() {
        assert_eq!(Messages(60).containers_rounded_up(Messages(20)), Containers(3));
        assert_eq!(Messages(61).containers_rounded_up(Messages(20)), Containers(4));
        assert_eq!(Messages(0).containers_rounded_up(Messages(20)), Containers(0));
        assert_eq!(Messages(u64::MAX).containers_rounded_up(Messages(1)), Containers(u32::MAX));
    }

    #[test]
    fn draining_in_time_rounds_up() {
        let (half_a_minute, ten_minutes) = (Duration::from_secs(30), Duration::from_mins(10));
        let needed = |n| Messages(n).containers_to_empty_rounded_up(half_a_minute, ten_minutes);
        assert_eq!(needed(20), Containers(1));
        assert_eq!(needed(21), Containers(2));
        assert_eq!(needed(u64::MAX), Containers(u32::MAX));
    }

    #[test]
    fn a_task_definition_is_named_in_three_ways_and_has_one_family() {
        let arn = "arn:aws:ecs:eu-central-1:123456789012:task-definition/thumbnail:7";
        for name in ["thumbnail", "thumbnail:7", arn] {
            assert_eq!(TaskDefinitionRef::from(name).family(), Family::from("thumbnail"));
        }
        assert_eq!(RevisionArn::from(arn).family_and_revision(), "thumbnail:7");
    }

    #[test]
    fn a_name_and_an_arn_are_one_cluster() {
        let arn = ClusterName::from("arn:aws-cn:ecs:cn-north-1:123456789012:cluster/jobs");
        assert_eq!(arn, ClusterName::from("jobs"));
        assert_ne!(arn, ClusterName::from("others"));
        assert_eq!(arn.scope(), Some(("aws-cn", "cn-north-1", "123456789012")));
        assert_eq!(ClusterName::from("jobs").scope(), None);
    }

    #[test]
    fn a_variants_family_tells_its_containers() {
        let base = Family::from("thumbnail");
        assert_eq!(base.worker_containers(), Containers(1));
        assert_eq!(base.variant(Containers(4)).as_str(), "thumbnail--x4");
        assert_eq!(base.variant(Containers(4)).worker_containers(), Containers(4));
        assert_eq!(Family::from("odd--xray").worker_containers(), Containers(1));
    }

    #[test]
    fn a_scaler_name_fits_started_by() {
        assert!(ScalerName::parse("ecs-queue-scaler").is_ok());
        assert!(ScalerName::parse(&"x".repeat(36)).is_ok());
        for bad in ["", "has space", "ünïcode", &"x".repeat(37)] {
            assert!(ScalerName::parse(bad).is_err(), "{bad}");
        }
    }
}
