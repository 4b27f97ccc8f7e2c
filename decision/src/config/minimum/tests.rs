use jiff::civil::{DateTime, date};
use jiff::tz::{AmbiguousOffset, TimeZone};
use proptest::prelude::{ProptestConfig, prop_assert_eq, proptest};
use proptest::sample::select;
use serde_json::{Value, json};

use super::*;
use crate::config::Config;

fn minimum(value: &Value) -> Minimum {
    let document = json!({"cluster": "jobs", "workers": [{
        "name": "a", "queue": "a", "taskDefinition": "a",
        "scaling": {"messagesPerContainer": 1, "minContainers": value}}]});
    let mut config = Config::from_value(&document).unwrap();
    assert_eq!(config.refused, []);
    config.workers.remove(0).scaling.min_containers
}

fn window(cron: &str, lasts: &str) -> Minimum {
    minimum(&json!([{"cron": cron, "for": lasts, "timeZone": "Europe/Berlin", "containers": 2}]))
}

/// What is kept at each of some times of Berlin's clock.
fn kept(minimum: &Minimum, times: &[&str]) -> Vec<u32> {
    let at = |time: &&str| {
        let time: Timestamp = time.parse().unwrap();
        minimum.at(time).containers.0
    };
    times.iter().map(at).collect()
}

#[test]
fn a_window_holds_its_beginning_and_not_its_end() {
    let office = window("0 8 * * 1-5", "10h");
    // 2026-11-20 is a Friday, and Berlin is an hour ahead of UTC.
    let friday = ["2026-11-20T06:59:59.999Z", "2026-11-20T07:00:00Z", "2026-11-20T07:00:00.5Z"];
    assert_eq!(kept(&office, &friday), [0, 2, 2]);
    let evening = ["2026-11-20T16:59:59.999Z", "2026-11-20T17:00:00Z", "2026-11-20T17:00:00.5Z"];
    assert_eq!(kept(&office, &evening), [2, 0, 0]);
    assert_eq!(kept(&office, &["2026-11-21T10:00:00Z"]), [0], "a Saturday");
}

#[test]
fn a_window_may_cross_midnight_and_last_longer_than_a_day() {
    let night = window("0 22 * * 5", "8h");
    let times = ["2026-11-20T20:59:00Z", "2026-11-20T21:00:00Z", "2026-11-21T04:59:00Z"];
    assert_eq!(kept(&night, &times), [0, 2, 2]);
    assert_eq!(kept(&night, &["2026-11-21T05:00:00Z", "2026-11-21T21:30:00Z"]), [0, 0]);
    let weekend = window("0 18 * * 5", "62h");
    let times = ["2026-11-20T17:00:00Z", "2026-11-22T12:00:00Z", "2026-11-23T06:59:00Z"];
    assert_eq!(kept(&weekend, &times), [2, 2, 2]);
    assert_eq!(kept(&weekend, &["2026-11-20T16:59:00Z", "2026-11-23T07:00:00Z"]), [0, 0]);
}

/// Berlin goes from 02:00 to 03:00 at 01:00 UTC on 2027-03-28, and back on 2026-10-25.
#[test]
fn a_window_keeps_its_length_when_the_clocks_change() {
    let night = window("0 22 * * *", "8h");
    let spring = ["2027-03-27T20:59:00Z", "2027-03-27T21:00:00Z", "2027-03-28T04:59:00Z"];
    assert_eq!(kept(&night, &spring), [0, 2, 2]);
    assert_eq!(kept(&night, &["2027-03-28T05:00:00Z", "2027-03-28T19:59:00Z"]), [0, 0]);
    assert_eq!(kept(&night, &["2027-03-28T20:00:00Z"]), [2], "22:00 is an hour earlier by UTC");
    let autumn = ["2026-10-24T19:59:00Z", "2026-10-24T20:00:00Z", "2026-10-25T03:59:00Z"];
    assert_eq!(kept(&night, &autumn), [0, 2, 2]);
    assert_eq!(kept(&night, &["2026-10-25T04:00:00Z", "2026-10-25T20:59:00Z"]), [0, 0]);
}

#[test]
fn a_beginning_that_the_clock_leaves_out_comes_at_the_end_of_the_gap() {
    let early = window("30 2 * * *", "2h");
    let times = ["2027-03-28T00:59:00Z", "2027-03-28T01:00:00Z", "2027-03-28T02:59:00Z"];
    assert_eq!(kept(&early, &times), [0, 2, 2]);
    assert_eq!(kept(&early, &["2027-03-28T03:00:00Z"]), [0]);
}

#[test]
fn a_beginning_that_comes_twice_counts_once() {
    let early = window("30 2 * * *", "20m");
    let times = ["2026-10-25T00:29:00Z", "2026-10-25T00:30:00Z", "2026-10-25T00:50:00Z"];
    assert_eq!(kept(&early, &times), [0, 2, 0]);
    assert_eq!(kept(&early, &["2026-10-25T01:30:00Z"]), [0], "02:30 for the second time");
}

#[test]
fn the_largest_of_several_applies_and_says_so() {
    let minimum = minimum(&json!([
        {"containers": 1},
        {"cron": "0 8 * * *", "for": "10h", "containers": 3},
        {"cron": "0 12 * * *", "for": "90m", "containers": 5},
        {"cron": "0 0 * * *", "for": "24h", "containers": 1},
    ]));
    let at = |time: &str| minimum.at(time.parse().unwrap());
    let (night, noon) = (at("2026-11-20T07:00:00Z"), at("2026-11-20T12:00:00Z"));
    assert_eq!((night.containers, night.window), (Containers(1), None));
    assert_eq!(noon.window.as_deref(), Some("`0 12 * * *` UTC for 90m"));
    assert_eq!(noon.containers, Containers(5));
    assert_eq!(at("2026-11-20T13:30:00Z").containers, Containers(3));
    assert_eq!(minimum.most(), Containers(5));
}

/// The beginnings around an instant, one day after the other, without looking for them.
fn begins(hour: i8, minute: i8, zone: &TimeZone, around: Timestamp) -> Vec<Timestamp> {
    let day = |days: i32| {
        let today = around.to_zoned(zone.clone()).date();
        let day = today.checked_add(jiff::Span::new().days(days)).unwrap();
        let begin: DateTime = day.at(hour, minute, 0, 0);
        let ambiguous = zone.to_ambiguous_zoned(begin);
        match ambiguous.offset() {
            // An hour earlier there was no gap yet: what follows is its end.
            AmbiguousOffset::Gap { before, .. } => {
                let earlier = before.to_timestamp(begin).unwrap() - SignedDuration::from_hours(2);
                zone.following(earlier).next().unwrap().timestamp()
            }
            _ => ambiguous.earlier().unwrap().timestamp(),
        }
    };
    (-5..=1).map(day).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Half of the instants are near the changes of the clocks.
    #[test]
    fn an_instant_is_in_a_window_if_and_only_if_it_is_between_a_beginning_and_its_end(
        hour in 0_i8..24, minute in 0_i8..60, lasts in 1_i64..4320,
        (name, change) in select(vec![
            ("Europe/Berlin", date(2027, 3, 28)), ("Europe/Berlin", date(2026, 10, 25)),
            ("America/New_York", date(2027, 3, 14)), ("America/New_York", date(2026, 11, 1)),
            ("Australia/Lord_Howe", date(2026, 10, 4)), ("Australia/Lord_Howe", date(2027, 4, 4)),
            ("Africa/Cairo", date(2027, 4, 30)), ("Asia/Tokyo", date(2026, 2, 28)),
            ("UTC", date(2028, 2, 29)),
        ]),
        seconds in -260_000_i64..260_000, months in select(vec![0, 0, 3, 7]),
    ) {
        let zone = TimeZone::get(name).unwrap();
        let day = change.checked_add(jiff::Span::new().months(months)).unwrap();
        let now = day.to_zoned(zone.clone()).unwrap().timestamp() + SignedDuration::from_secs(seconds);
        let window = Window {
            begins: format!("{minute} {hour} * * *").parse().unwrap(),
            zone: zone.clone(),
            lasts: SignedDuration::from_mins(lasts),
            containers: Containers(1),
        };
        let expected = begins(hour, minute, &zone, now)
            .into_iter()
            .any(|begin| begin <= now && now < begin + window.lasts);
        prop_assert_eq!(window.contains(now), expected, "{} at {}", window, now);
    }
}
