//! Durations, moments and times of the clock.

use std::ops::RangeInclusive;
use std::time::Duration;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::{Form, Special, Wrong};
use crate::document::Node;

const DAY: u64 = 86_400;

/// The units of a duration in seconds, the longest first.
const UNITS: [(char, u64); 4] = [('d', DAY), ('h', 3600), ('m', 60), ('s', 1)];

/// A duration such as `30s`, `10m` or `1h30m`, of some range of seconds.
pub(crate) struct Time(pub(crate) RangeInclusive<u64>);

/// Any that is not nothing, at most a day.
pub(crate) const UP_TO_A_DAY: Time = Time(1..=DAY);

impl Form for Time {
    type Value = Duration;

    fn read(&self, node: &Node) -> Result<Duration, Wrong> {
        if node.as_u64().is_some() && node.as_str().is_none() {
            return Err("it needs a unit, such as `s` or `m`".into());
        }
        let seconds = node.as_str().and_then(seconds).filter(|seconds| self.0.contains(seconds));
        seconds.map(Duration::from_secs).ok_or(Wrong::NotAllowed)
    }

    fn allowed(&self) -> String {
        let (least, most) = (in_units(*self.0.start()), in_units(*self.0.end()));
        format!("a duration such as `30s`, `10m` or `1h30m`, from `{least}` to `{most}`")
    }

    fn schema(&self) -> Value {
        let units = "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$";
        json!({"type": "string", "pattern": units, "minLength": 2})
    }
}

/// A duration, or `off`.
pub(crate) struct TimeOrOff(pub(crate) RangeInclusive<u64>);

impl Form for TimeOrOff {
    type Value = Option<Duration>;

    fn read(&self, node: &Node) -> Result<Option<Duration>, Wrong> {
        if node.as_bool() == Some(false) || node.as_str() == Some("off") {
            return Ok(None);
        }
        Time(self.0.clone()).read(node).map(Some)
    }

    fn allowed(&self) -> String {
        format!("{}, or `off`", Time(self.0.clone()).allowed())
    }

    fn schema(&self) -> Value {
        json!({"anyOf": [Time(self.0.clone()).schema(), {"enum": ["off", false]}]})
    }
}

/// The seconds of a text such as `1h30m`: each unit once, the longest first.
fn seconds(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut sum: u64 = 0;
    for (unit, factor) in UNITS {
        let Some((digits, after)) = rest.split_once(unit) else { continue };
        let is_number = !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit());
        let number: u64 = is_number.then(|| digits.parse().ok()).flatten()?;
        sum = sum.checked_add(number.checked_mul(factor)?)?;
        rest = after;
    }
    (rest.is_empty() && !text.is_empty()).then_some(sum)
}

/// As a person writes it: in the longest unit that it is a whole number of, and a day as `24h`.
fn in_units(seconds: u64) -> String {
    let shorter = UNITS.into_iter().filter(|(unit, _)| *unit != 'd');
    let fits = |factor: u64| seconds != 0 && seconds.checked_rem(factor) == Some(0);
    let (unit, factor) = shorter.into_iter().find(|(_, f)| fits(*f)).unwrap_or(('s', 1));
    format!("{}{unit}", seconds.checked_div(factor).unwrap_or_default())
}

/// A number of seconds, at most the twelve hours that SQS lets a message be in flight.
/// Source: SQS API, `VisibilityTimeout`.
pub(crate) const SECONDS: Special<Duration> = Special {
    read: |node| {
        let number = node.as_f64().filter(|n| (0.001..=43_200.0).contains(n));
        number.map(Duration::from_secs_f64).ok_or(Wrong::NotAllowed)
    },
    allowed: "a number of seconds from 0.001 to 43200",
    schema: || json!({"type": "number", "minimum": 0.001, "maximum": 43200}),
};

/// A moment.
pub(crate) const INSTANT: Special<Timestamp> = Special {
    read: |node| {
        let instant = node.as_str().and_then(|text| text.parse().ok());
        instant.ok_or(Wrong::NotAllowed)
    },
    allowed: "a time such as `2026-12-01T08:00Z` or `2026-12-01T09:00+01:00`",
    schema: || json!({"type": "string", "minLength": 1}),
};

/// When a window begins.
pub(crate) const CRON: Special<Cron> = Special {
    read: cron,
    allowed: "a cron expression of minute, hour, day of month, month and day of week, such as \
              `0 8 * * MON-FRI`",
    schema: || json!({"type": "string", "minLength": 5}),
};

const CRON_FIELDS: [&str; 5] = ["minute", "hour", "day of month", "month", "day of week"];

fn cron(node: &Node) -> Result<Cron, Wrong> {
    let text = node.as_str().ok_or(Wrong::NotAllowed)?;
    let cron = parsed_cron(text).ok_or_else(|| flaw_of_cron(text))?;
    let some_day = Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
    match cron.find_next_occurrence(&some_day, false) {
        Ok(_) => Ok(cron),
        Err(_) => Err("this one never comes".into()),
    }
}

fn parsed_cron(text: &str) -> Option<Cron> {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    parser.parse(text).ok()
}

/// The field that cannot be read on its own, where there is one.
fn flaw_of_cron(text: &str) -> Wrong {
    let fields: Vec<_> = text.split_whitespace().collect();
    if fields.len() != CRON_FIELDS.len() {
        return Wrong::Because(format!("this one has {} fields", fields.len()));
    }
    let is_wrong = |index: usize, field: &str| {
        let mut alone = ["*"; 5];
        if let Some(slot) = alone.get_mut(index) {
            *slot = field;
        }
        parsed_cron(&alone.join(" ")).is_none()
    };
    let named = CRON_FIELDS.into_iter().zip(fields).enumerate();
    let wrong = named.into_iter().find(|(index, (_, field))| is_wrong(*index, field));
    wrong.map_or(Wrong::NotAllowed, |(_, (name, field))| {
        Wrong::Because(format!("`{field}` is not a {name}"))
    })
}

/// The clock that a window goes by.
pub(crate) const TIME_ZONE: Special<TimeZone> = Special {
    read: |node| {
        let zone = node.as_str().and_then(|name| TimeZone::get(name).ok());
        zone.ok_or(Wrong::NotAllowed)
    },
    allowed: "a time zone of the IANA database, such as `Europe/Berlin`",
    schema: || json!({"type": "string", "minLength": 1}),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_people_write_them() {
        for (text, expected) in [
            ("30s", Some(30)),
            ("10m", Some(600)),
            ("1h30m", Some(5400)),
            ("1d", Some(86_400)),
            ("1d2h3m4s", Some(93_784)),
            ("0s", Some(0)),
            ("10mm", None),
            ("30sss", None),
            ("+10m", None),
            ("-1m", None),
            ("30m1h", None),
            ("1m1m", None),
            ("1.5h", None),
            ("10", None),
            ("m", None),
            ("", None),
            ("10 m", None),
            ("99999999999999999999h", None),
            ("18446744073709551615d", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }

    #[test]
    fn ranges_are_shown_in_the_units_that_people_write() {
        let shown = [0, 1, 90, 120, 3600, 5400, 86_400, 2_678_400].map(in_units);
        assert_eq!(shown, ["0s", "1s", "90s", "2m", "1h", "90m", "24h", "744h"]);
    }

    #[test]
    fn a_cron_expression_that_cannot_be_read_is_told_by_its_field() {
        for (text, reported) in [
            ("0 8 * *", "this one has 4 fields"),
            ("0 0 8 * * 1-5", "this one has 6 fields"),
            ("0 8 * * MON-FRY", "`MON-FRY` is not a day of week"),
            ("61 8 * * *", "`61` is not a minute"),
            ("0 8 30 2 *", "this one never comes"),
        ] {
            let wrong = cron(&Node::untyped(text)).unwrap_err();
            assert_eq!(wrong, Wrong::Because(reported.to_owned()), "{text}");
        }
    }
}
