//! Why ECS did not place a task, as far as its words tell. Pure.
//!
//! `failures[]` and refusals hold open texts: a word that is not known here is told as it is and
//! treated as any other shortage.

use std::fmt;

use serde::Serialize;

/// What ECS was short of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Shortage {
    /// No capacity, on any instance or in Fargate.
    NoRoom,
    /// No Spot capacity.
    SpotGone,
    /// A quota of the account: more of the same asking is of no use.
    Quota,
    /// No free network interface or address.
    NetworkInterface,
    /// The agents of the instances are not connected.
    Agent,
    /// No instance has what the task asks for.
    Placement,
    /// The request itself.
    BadRequest,
    /// Something else.
    Other,
}

/// Words by which a shortage is known, in lower case; the first that fits counts.
/// Sources: ECS developer guide, "API failure reasons"; Fargate's texts as users report them.
const WORDS: [(&str, Shortage); 23] = [
    ("resource:eni", Shortage::NetworkInterface),
    ("network interface", Shortage::NetworkInterface),
    ("free addresses", Shortage::NetworkInterface),
    ("limit on the number", Shortage::Quota),
    ("quota", Shortage::Quota),
    ("limitexceeded", Shortage::Quota),
    ("concurrent", Shortage::Quota),
    ("spot", Shortage::SpotGone),
    ("capacity is unavailable", Shortage::NoRoom),
    ("resource:", Shortage::NoRoom),
    ("empty capacity provider", Shortage::NoRoom),
    ("no active instances", Shortage::NoRoom),
    ("capacity", Shortage::NoRoom),
    ("agent", Shortage::Agent),
    ("memberof", Shortage::Placement),
    ("attribute", Shortage::Placement),
    ("location", Shortage::Placement),
    ("placement", Shortage::Placement),
    ("no container instances", Shortage::NoRoom),
    ("invalidparameter", Shortage::BadRequest),
    ("clientexception", Shortage::BadRequest),
    // The instance that was named is not there any more.
    ("missing", Shortage::NoRoom),
    ("inactive", Shortage::NoRoom),
];

/// Words of stop reasons by which a shortage is known that ECS tells after it has accepted the task, in
/// lower case.
/// Sources: ECS developer guide, "API failure reasons"; the rest as users report them.
const LATE: [&str; 9] = [
    "resource:",
    "empty capacity provider",
    "no active instances",
    "capacity is unavailable",
    "limit on the number",
    "memberof placement constraint",
    "insufficientfreeaddresses",
    "toomanyrequests",
    "too many requests",
];

impl Shortage {
    /// Whether a stop reason tells of a shortage, and not of the worker.
    pub fn is_late(reason: &str) -> bool {
        let text = reason.to_lowercase();
        LATE.iter().any(|word| text.contains(word))
    }

    /// Reads a reason and its detail, or an error's code and its message.
    pub fn of(reason: &str, detail: Option<&str>) -> Self {
        let text = format!("{reason} {}", detail.unwrap_or_default()).to_lowercase();
        let known = WORDS.iter().find(|(word, _)| text.contains(word));
        known.map_or(Self::Other, |(_, shortage)| *shortage)
    }
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRoom => "no room",
            Self::SpotGone => "no Spot capacity",
            Self::Quota => "an account's quota",
            Self::NetworkInterface => "no free network interface",
            Self::Agent => "agents are not connected",
            Self::Placement => "no instance fits",
            Self::BadRequest => "refused",
            Self::Other => "not placed",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_words_of_ecs_are_understood_and_others_are_no_trouble() {
        let cases = [
            ("RESOURCE:MEMORY", None, Shortage::NoRoom),
            ("RESOURCE:ENI", None, Shortage::NetworkInterface),
            ("AGENT", None, Shortage::Agent),
            ("LOCATION", None, Shortage::Placement),
            ("MISSING", None, Shortage::NoRoom),
            ("ClientException", Some("TaskDefinition is inactive"), Shortage::BadRequest),
            ("MemberOf placement constraint unsatisfied.", None, Shortage::Placement),
            (
                "Capacity is unavailable at this time. Please try again later",
                None,
                Shortage::NoRoom,
            ),
            ("You've reached the limit on the number of vCPUs you can run", None, Shortage::Quota),
            ("ClientException", Some("concurrent tasks limit"), Shortage::Quota),
            ("Spot capacity is unavailable", None, Shortage::SpotGone),
            ("InvalidParameterException", Some("No such provider"), Shortage::BadRequest),
            ("a word of next year", None, Shortage::Other),
        ];
        for (reason, detail, expected) in cases {
            assert_eq!(Shortage::of(reason, detail), expected, "{reason}");
        }
    }
}
