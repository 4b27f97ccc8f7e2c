//! Queues, as operators name them.

use std::fmt;

use crate::units::{Arn, Partition, Region, region_of_sqs_host};

/// A queue as the operator names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum QueueRef {
    /// A queue of the function's own account and Region.
    Name(String),
    /// A queue URL, used as it is.
    Url(String),
    /// A queue of any account, in the function's Region.
    Arn {
        /// The Region in the ARN.
        region: String,
        /// The owner's account.
        account: String,
        /// The queue's name.
        name: String,
    },
}

/// What makes a queue itself, however it is named. A Region is in one partition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueueId {
    /// Where it is.
    pub region: Region,
    /// Whose it is.
    pub account: String,
    /// What it is called there.
    pub name: String,
}

impl QueueRef {
    /// The queue of an ARN.
    pub fn of_arn(arn: &Arn<'_>) -> Option<Self> {
        let is_queue = arn.service == "sqs" && !arn.resource.contains([':', '/']);
        let owned = |part: &str| part.to_owned();
        let (region, account, name) = (arn.region, arn.account, arn.resource);
        let (region, account, name) = (owned(region), owned(account), owned(name));
        is_queue.then_some(Self::Arn { region, account, name })
    }

    /// The queue's own name.
    pub fn name(&self) -> &str {
        match self {
            Self::Name(name) | Self::Arn { name, .. } => name,
            Self::Url(url) => url.rsplit('/').next().unwrap_or_default(),
        }
    }

    /// Whether it is a FIFO queue. Source: SQS API, `CreateQueue`: its name ends so, and no other's.
    pub fn is_fifo(&self) -> bool {
        self.name().rsplit_once('.').is_some_and(|(_, ending)| ending == "fifo")
    }

    /// The account that a URL or an ARN names.
    pub fn account(&self) -> Option<&str> {
        match self {
            Self::Name(_) => None,
            Self::Arn { account, .. } => Some(account),
            Self::Url(url) => url.rsplit('/').nth(1),
        }
    }

    /// The Region that a URL or an ARN names; a host such as an emulator's names none.
    pub fn region(&self) -> Option<&str> {
        match self {
            Self::Name(_) => None,
            Self::Arn { region, .. } => Some(region),
            Self::Url(url) => region_of_sqs_host(url.split_once("//")?.1.split('/').next()?),
        }
    }

    /// Which queue it is, as far as that can be known in this Region; a name alone is of an account that
    /// only AWS knows.
    pub fn id(&self, here: &Region) -> Option<QueueId> {
        Some(QueueId {
            region: self.region().map_or_else(|| here.clone(), Region::from),
            account: self.account()?.to_owned(),
            name: self.name().to_owned(),
        })
    }
}

impl fmt::Display for QueueRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(text) | Self::Url(text) => f.write_str(text),
            Self::Arn { region, account, name } => {
                let partition = Partition::of(region).name;
                write!(f, "arn:{partition}:sqs:{region}:{account}:{name}")
            }
        }
    }
}
