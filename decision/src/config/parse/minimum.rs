//! The `minContainers` of a worker: a number, or a list of windows.

use jiff::SignedDuration;
use jiff::tz::TimeZone;

use super::super::form::time::{CRON, TIME_ZONE, Time};
use super::super::form::{Form, Whole, Wrong};
use super::super::reader::Fields;
use super::super::shape::about;
use super::super::{Minimum, Window};
use super::MOST_CONTAINERS;
use crate::document::Node;
use crate::units::Containers;
use serde_json::Value;

/// More than a day has reasons to differ.
const MOST_WINDOWS: usize = 24;

/// From a minute to a month of 31 days: what lasts longer is not a window.
const LENGTH: Time = Time(60..=2_678_400);

const KEY: &str = "minContainers";

/// The number that is kept at all times.
struct Always;

impl Form for Always {
    type Value = u32;

    fn read(&self, node: &Node) -> Result<u32, Wrong> {
        Whole(0..=MOST_CONTAINERS).read(node)
    }

    fn allowed(&self) -> String {
        format!("{}, or a list of windows", Whole(0..=MOST_CONTAINERS).allowed())
    }

    fn schema(&self) -> Value {
        Whole(0..=MOST_CONTAINERS).schema()
    }
}

/// The default is none. `None` where it is wrong.
pub(super) fn read_minimum(scaling: &mut Fields<'_>) -> Option<Minimum> {
    let kept = about("containers that are kept even when the queue is empty").defaults_to("0");
    let mut minimum = Minimum::default();
    if !scaling.has_list(KEY) {
        let always = scaling.optional(KEY, Always, kept.tag("min-containers"));
        minimum.always = Containers(always.unwrap_or_default());
        if !scaling.is_blank() {
            return Some(minimum);
        }
    }
    for entry in scaling.objects(KEY, 1..=MOST_WINDOWS, kept)? {
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
    let containers = "so many in the window; without a window, at all times";
    let containers = entry.required("containers", Whole(0..=MOST_CONTAINERS), containers);
    let containers = containers.map(Containers);
    let begins = entry.optional("cron", CRON, "when the window begins");
    let lasts = entry.optional("for", LENGTH, "how long it lasts");
    let zone = about("whose clock `cron` goes by").defaults_to("`UTC`");
    let zone = entry.optional("timeZone", TIME_ZONE, zone);
    let there = ["cron", "for", "timeZone"].map(|key| entry.has(key));
    match there {
        [true, true, _] | [false, false, false] => {}
        [true, false, _] => entry.problem("for", "is missing: how long the window lasts"),
        [false, ..] => entry.problem("cron", "is missing: when the window begins"),
    }
    entry.finish();
    let is_window = there != [false; 3];
    let lasts = lasts.and_then(|lasts| SignedDuration::try_from(lasts).ok());
    let window = begins.zip(lasts).zip(containers).map(|((begins, lasts), containers)| Window {
        begins,
        zone: zone.unwrap_or(TimeZone::UTC),
        lasts,
        containers,
    });
    (window, containers.filter(|_| !is_window))
}
