//! The columns of the table: what each says of a worker, and how rows are sorted by it.

use std::cmp::Reverse;
use std::str::FromStr;
use std::time::Duration;

use super::{LastLaunch, Row};
use crate::cli::page::{age, dollars, grouped, plain};

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// The worker's name.
    Worker,
    /// Messages that wait.
    Waiting,
    /// Messages that somebody holds.
    InFlight,
    /// The age of the oldest message.
    Oldest,
    /// Containers that run.
    Running,
    /// Containers that are on their way.
    Starting,
    /// Containers that the rule asks for.
    Target,
    /// `maxContainers`.
    Cap,
    /// When it was launched last, and how many containers.
    LastLaunch,
    /// What an hour of its tasks costs.
    Price,
    /// How it is.
    State,
}

impl Column {
    /// All of them, in their order.
    pub const ALL: [Self; 11] = [
        Self::Worker,
        Self::Waiting,
        Self::InFlight,
        Self::Oldest,
        Self::Running,
        Self::Starting,
        Self::Target,
        Self::Cap,
        Self::LastLaunch,
        Self::Price,
        Self::State,
    ];

    /// As a person types it.
    pub fn name(self) -> &'static str {
        self.about().0
    }

    pub(super) fn head(self) -> &'static str {
        self.about().1
    }

    /// What goes first where the terminal is narrow: the higher the sooner; 0 stays.
    pub(super) fn priority(self) -> u8 {
        self.about().2
    }

    fn about(self) -> (&'static str, &'static str, u8) {
        match self {
            Self::Worker => ("worker", "WORKER", 0),
            Self::Waiting => ("waiting", "WAITING", 0),
            Self::InFlight => ("in-flight", "IN FLIGHT", 4),
            Self::Oldest => ("oldest", "OLDEST", 2),
            Self::Running => ("running", "RUNNING", 1),
            Self::Starting => ("starting", "STARTING", 3),
            Self::Target => ("target", "TARGET", 6),
            Self::Cap => ("cap", "CAP", 5),
            Self::LastLaunch => ("last-launch", "LAST LAUNCH", 8),
            Self::Price => ("price", "$/H", 7),
            Self::State => ("state", "STATE", 0),
        }
    }

    pub(super) fn is_number(self) -> bool {
        !matches!(self, Self::Worker | Self::State)
    }

    /// What it says of a worker. What is not known is `?`, and what there is none of is `-`.
    pub(in crate::cli) fn cell(self, row: &Row) -> String {
        let known =
            |number: Option<u64>, other: &str| number.map_or_else(|| other.to_owned(), grouped);
        match self {
            Self::Worker => plain(&row.worker).into_owned(),
            Self::Waiting => known(row.waiting, "?"),
            Self::InFlight => known(row.in_flight, "?"),
            Self::Oldest => match row.oldest_seconds {
                Some(seconds) => of_seconds(seconds),
                None if row.is_age_unread => "?".to_owned(),
                None => "-".to_owned(),
            },
            Self::Running => known(row.running, "?"),
            Self::Starting => known(row.starting, "?"),
            Self::Target => known(row.target, "-"),
            Self::Cap => known(row.cap, "-"),
            Self::LastLaunch => match (&row.last_launch, row.tasks) {
                (Some(LastLaunch { seconds_ago, containers, .. }), _) => {
                    format!("{} ago {:>3}", of_seconds(*seconds_ago), grouped(*containers))
                }
                (None, Some(_)) => "-".to_owned(),
                (None, None) => "?".to_owned(),
            },
            // Instances have no price here.
            Self::Price => match (row.hourly_micro_dollars, row.tasks) {
                (Some(price), _) => dollars(price),
                (None, Some(_)) => "-".to_owned(),
                (None, None) => "?".to_owned(),
            },
            Self::State => {
                let text = format!("{} {}", row.urgency.words(), plain(&row.note));
                text.trim_end().to_owned()
            }
        }
    }

    /// Sorts by it: names from the beginning, numbers from the largest, launches from the newest, the state as
    /// the rows come. What is not known comes last.
    pub(super) fn sort(self, rows: &mut [&Row]) {
        let largest = |rows: &mut [&Row], number: fn(&Row) -> Option<u64>| {
            rows.sort_by_key(|row| Reverse(number(row)));
        };
        match self {
            Self::Worker => rows.sort_by(|a, b| a.worker.cmp(&b.worker)),
            Self::Waiting => largest(rows, |row| row.waiting),
            Self::InFlight => largest(rows, |row| row.in_flight),
            Self::Oldest => largest(rows, |row| row.oldest_seconds),
            Self::Running => largest(rows, |row| row.running),
            Self::Starting => largest(rows, |row| row.starting),
            Self::Target => largest(rows, |row| row.target),
            Self::Cap => largest(rows, |row| row.cap),
            Self::LastLaunch => rows.sort_by_key(|row| {
                row.last_launch.as_ref().map_or(u64::MAX, |launch| launch.seconds_ago)
            }),
            Self::Price => largest(rows, |row| row.hourly_micro_dollars),
            Self::State => {}
        }
    }
}

fn of_seconds(seconds: u64) -> String {
    age(Duration::from_secs(seconds))
}

impl FromStr for Column {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|column| column.name() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.into_iter().map(Self::name).collect();
            format!("there is no such column; there are {}", names.join(", "))
        })
    }
}
