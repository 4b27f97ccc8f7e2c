//! What AWS means when it does not do what was asked: by the error of a call, by an entry of
//! `failures[]`, or by the stop of a task that it had accepted. Pure.
//!
//! AWS has few codes and many texts: the same words come with different codes, and the same code
//! with words that ask for the opposite. So there is one table, read from the top, by code *and*
//! text. What stands in it is all that the program knows of AWS's words; what does not is reported as it
//! is, and is nobody's fault.

mod table;

use std::fmt;

use serde::Serialize;

use self::table::ROWS;

/// Why AWS did not do it, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Cause {
    /// No capacity, on any instance or in Fargate: another rung may have some.
    NoRoom,
    /// No Spot capacity.
    SpotGone,
    /// A quota of the account: more of the same asking is of no use in this tick.
    Quota,
    /// No free network interface or address.
    NetworkInterface,
    /// The agents of the instances are not connected.
    Agent,
    /// No instance has what the task asks for.
    Placement,
    /// The request itself, in words that are not known here.
    BadRequest,
    /// Too many requests: nothing was done, and after a pause the same may be asked again.
    Throttled,
    /// A fault of AWS's own: it may have been done.
    ServerFault,
    /// Our clock is wrong: nothing was done, and the answer has the right time.
    Clock,
    /// The revision is not there any more: somebody may have replaced it.
    Stale,
    /// A mistake of the configuration: only a person can mend it.
    Configuration,
    /// What is named is not there, or has just been deleted.
    Missing,
    /// A permission that the function's role does not have.
    Permission,
    /// No credentials, or none that are good here.
    Credentials,
    /// What was to be answered is over.
    Over,
    /// What others did to the task: it says nothing about the worker.
    OfOthers,
    /// The worker's own: its image, its secrets, its command, its crash.
    OfWorker,
    /// Words that are not known here.
    Other,
}

/// Where AWS says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Channel {
    /// The error of a call: nothing of it was done, but for [`Cause::ServerFault`].
    Error,
    /// An entry of `failures[]`, beside what was done.
    Failure,
    /// The stop of a task that had been accepted.
    Stop,
}

/// How a text is known. All are in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    Anything,
    /// The text begins so.
    Begins(&'static str),
    /// One of these is in the text.
    Has(&'static [&'static str]),
}

/// A row of the table: where it is said, by which code (any, where it is empty), in which words, what
/// it means, and who says so.
#[derive(Clone, Copy, Debug)]
struct Row {
    channels: &'static [Channel],
    code: &'static str,
    says: Says,
    cause: Cause,
    #[cfg_attr(not(test), expect(dead_code, reason = "it is for who reads the table"))]
    source: &'static str,
}

impl Cause {
    /// What the error of a call means.
    pub fn of_error(code: &str, message: &str) -> Self {
        Self::of(Channel::Error, code, message)
    }

    /// What an entry of `failures[]` means.
    pub fn of_failure(reason: &str, detail: Option<&str>) -> Self {
        Self::of(Channel::Failure, "", &format!("{reason} {}", detail.unwrap_or_default()))
    }

    /// What the stop of a task means, by its `stopCode` and its reason.
    pub fn of_stop(code: &str, reason: &str) -> Self {
        Self::of(Channel::Stop, code, reason)
    }

    fn of(channel: Channel, code: &str, text: &str) -> Self {
        let (code, text) = (bare(code), text.to_lowercase());
        // Some reasons repeat their code.
        let text = text.strip_prefix("taskfailedtostart: ").unwrap_or(&text);
        let row = ROWS.iter().find(|row| row.fits(channel, code, text));
        row.map_or(Self::Other, |row| row.cause)
    }

    /// Whether what was asked for is there and only not to be had now: the next rung may have it, and
    /// so may the next tick.
    pub fn is_shortage(self) -> bool {
        match self {
            Self::NoRoom
            | Self::SpotGone
            | Self::Quota
            | Self::NetworkInterface
            | Self::Agent
            | Self::Placement => true,
            Self::BadRequest
            | Self::Throttled
            | Self::ServerFault
            | Self::Clock
            | Self::Stale
            | Self::Configuration
            | Self::Missing
            | Self::Permission
            | Self::Credentials
            | Self::Over
            | Self::OfOthers
            | Self::OfWorker
            | Self::Other => false,
        }
    }

    /// Whether the answer would be the same on any other capacity, or should be heard by a person
    /// before other capacity is bought instead.
    pub fn is_of_every_rung(self) -> bool {
        matches!(
            self,
            Self::Stale
                | Self::Configuration
                | Self::Missing
                | Self::Permission
                | Self::Credentials
        )
    }

    /// Whether the revision may have been replaced since it was read. What a request is refused for in
    /// unknown words may be that as well: looking once more does no harm.
    pub fn may_be_stale(self) -> bool {
        matches!(self, Self::Stale | Self::BadRequest)
    }
}

/// Whether AWS puts a container of this name into others' tasks by itself.
/// Sources: user guide of `GuardDuty`, "Runtime Monitoring on Fargate"; ECS developer guide, "Service Connect".
pub fn is_injected(container: &str) -> bool {
    ["aws-guardduty-agent", "ecs-service-connect"].iter().any(|name| container.starts_with(name))
}

/// A code without its namespace, and without the side at fault that SQS adds to it.
/// Source: Smithy, "AWS JSON 1.0 protocol", operation error serialization; `awsQueryCompatible`.
fn bare(code: &str) -> &str {
    let code = code.rsplit('#').next().unwrap_or_default();
    code.split([';', ':']).next().unwrap_or_default()
}

impl Row {
    fn fits(&self, channel: Channel, code: &str, text: &str) -> bool {
        let says = match self.says {
            Says::Anything => true,
            Says::Begins(words) => text.starts_with(words),
            Says::Has(any) => any.iter().any(|words| text.contains(words)),
        };
        says && self.channels.contains(&channel) && (self.code.is_empty() || self.code == code)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRoom => "no room",
            Self::SpotGone => "no Spot capacity",
            Self::Quota => "an account's quota",
            Self::NetworkInterface => "no free network interface",
            Self::Agent => "agents are not connected",
            Self::Placement => "no instance fits",
            Self::BadRequest => "refused",
            Self::Throttled => "throttled",
            Self::ServerFault => "a fault of AWS",
            Self::Clock => "a wrong clock",
            Self::Stale => "the revision is gone",
            Self::Configuration => "a mistake of the configuration",
            Self::Missing => "not there",
            Self::Permission => "not permitted",
            Self::Credentials => "no good credentials",
            Self::Over => "over already",
            Self::OfOthers => "ended by others",
            Self::OfWorker => "the worker's own",
            Self::Other => "not placed",
        })
    }
}

#[cfg(test)]
mod tests;
