//! The `minContainers` of a worker: a number, or a list of windows.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::super::reader::{Fields, whole};
use super::super::{Minimum, Window};
use super::{MOST_CONTAINERS, any_duration};
use crate::units::Containers;

/// More than a day has reasons to differ.
const MOST_WINDOWS: usize = 24;

/// A month of 31 days: what lasts longer is no window.
const LONGEST_HOURS: u64 = 744;

/// The default is none. `None` where it is wrong.
pub(super) fn read_minimum(scaling: &mut Fields<'_>) -> Option<Minimum> {
    let key = "minContainers";
    if scaling.optional(key, |value| Ok(value.is_array())) != Some(true) {
        let number = |value: &Value| {
            let number = whole(0..=MOST_CONTAINERS)(value);
            number.map_err(|allowed| format!("{allowed}, or a list of windows"))
        };
        let number = scaling.optional(key, number).map(Containers);
        return Some(number.unwrap_or_default().into());
    }
    let members = scaling.array(key, 1..=MOST_WINDOWS)?;
    let mut minimum = Minimum::default();
    for (path, value) in &members {
        let Some(entry) = scaling.member(value, path) else { continue };
        match read_window(entry) {
            (Some(window), _) => minimum.windows.push(window),
            (None, Some(always)) => minimum.always = minimum.always.max(always),
            (None, None) => {}
        }
    }
    Some(minimum)
}

/// A window, or the number of an entry without one.
fn read_window(mut entry: Fields<'_>) -> (Option<Window>, Option<Containers>) {
    let containers = entry.required("containers", whole(0..=MOST_CONTAINERS)).map(Containers);
    let begins = entry.optional("cron", cron);
    let lasts = entry.optional("for", lasts);
    let zone = entry.optional("timeZone", time_zone);
    let there = ["cron", "for", "timeZone"].map(|key| entry.has(key));
    match there {
        [true, true, _] | [false, false, false] => {}
        [true, false, _] => entry.problem("for", "is missing: how long the window lasts"),
        [false, ..] => entry.problem("cron", "is missing: when the window begins"),
    }
    entry.finish();
    let is_window = there != [false; 3];
    let window = begins.zip(lasts).zip(containers).map(|((begins, lasts), containers)| Window {
        begins,
        zone: zone.unwrap_or(TimeZone::UTC),
        lasts,
        containers,
    });
    (window, containers.filter(|_| !is_window))
}

fn cron(value: &Value) -> Result<Cron, String> {
    let allowed = "it must be a cron expression of minute, hour, day of month, month and day of \
                   week, such as `0 8 * * MON-FRI`";
    let text = value.as_str().ok_or(allowed)?;
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    let cron = parser.parse(text).map_err(|why| format!("{allowed}: {why}"))?;
    let some_day = Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
    match cron.find_next_occurrence(&some_day, false) {
        Ok(_) => Ok(cron),
        Err(_) => Err(format!("{allowed}; this one never comes")),
    }
}

fn lasts(value: &Value) -> Result<SignedDuration, String> {
    let longest = LONGEST_HOURS.saturating_mul(3600);
    any_duration(value)
        .filter(|time| (60..=longest).contains(&time.as_secs()))
        .and_then(|time| SignedDuration::try_from(time).ok())
        .ok_or_else(|| {
            format!("it must be a duration such as `90m` or `10h`, from `1m` to `{LONGEST_HOURS}h`")
        })
}

fn time_zone(value: &Value) -> Result<TimeZone, String> {
    let allowed = "it must be a time zone of the IANA database, such as `Europe/Berlin`";
    let name = value.as_str().ok_or(allowed)?;
    TimeZone::get(name).map_err(|_| allowed.to_owned())
}
