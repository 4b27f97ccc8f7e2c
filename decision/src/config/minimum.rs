//! `minContainers`: a number, or numbers for windows of time. Pure: the time is an argument.
//!
//! A window begins when its cron expression says so by the clock on the wall of its time zone, and
//! lasts for an elapsed time. Where that clock is put forward over a beginning, the window begins at
//! the end of the gap; where it is put back, at the first of the two.

use std::fmt;

use croner::Cron;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::units::Containers;

/// Containers that are kept even when the queue is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Minimum {
    /// Outside of all windows, and at least inside of them.
    pub always: Containers,
    /// Times that ask for more. They may overlap.
    pub windows: Vec<Window>,
    /// What one event asks for, beyond both. It is no setting, and belongs to no digest.
    pub asked: Containers,
}

/// A time that comes again and again, and what it asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// When it begins.
    pub begins: Cron,
    /// Whose clock that is.
    pub zone: TimeZone,
    /// How long it lasts, whatever the clock does meanwhile.
    pub lasts: SignedDuration,
    /// What it asks for.
    pub containers: Containers,
}

/// What is kept at one instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Floor {
    /// So many.
    pub containers: Containers,
    /// The window that asks for them, as a person knows it again.
    pub window: Option<String>,
}

impl Minimum {
    /// What is kept at this instant: the largest number of the windows that it is in.
    pub fn at(&self, now: Timestamp) -> Floor {
        let larger = self.windows.iter().filter(|window| self.always < window.containers);
        let open = larger.filter(|window| window.contains(now));
        match open.max_by_key(|window| window.containers) {
            Some(window) if self.asked <= window.containers => {
                Floor { containers: window.containers, window: Some(window.to_string()) }
            }
            _ => Floor { containers: self.always.max(self.asked), window: None },
        }
    }

    /// The largest number that is ever kept.
    pub fn most(&self) -> Containers {
        let windows = self.windows.iter().map(|window| window.containers);
        windows.fold(self.always.max(self.asked), Containers::max)
    }
}

impl From<Containers> for Minimum {
    fn from(always: Containers) -> Self {
        Self { always, ..Self::default() }
    }
}

impl Window {
    /// Whether an instant is in the window: its beginning is, its end is not.
    pub fn contains(&self, now: Timestamp) -> bool {
        // What began so long ago ends now.
        let Ok(earliest) = now.checked_sub(self.lasts) else { return false };
        let next = self.begins.find_next_occurrence(&earliest.to_zoned(self.zone.clone()), false);
        next.is_ok_and(|begin| begin.timestamp() <= now)
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { begins, zone, lasts, containers: _ } = self;
        let zone = zone.iana_name().unwrap_or("UTC");
        let seconds = lasts.as_secs();
        let (number, unit) = match (seconds % 3600, seconds % 60) {
            (0, _) => (seconds / 3600, "h"),
            (_, 0) => (seconds / 60, "m"),
            _ => (seconds, "s"),
        };
        write!(f, "`{begins}` {zone} for {number}{unit}")
    }
}

#[cfg(test)]
mod tests;
