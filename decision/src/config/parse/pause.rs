//! `paused` of a worker: true or false, or until when and why.

use super::super::form::time::INSTANT;
use super::super::form::{Boolean, Text};
use super::super::pause::Pause;
use super::super::reader::Fields;
use super::super::shape::about;

const KEY: &str = "paused";

/// As long as a tag's value may be. Source: SQS developer guide, "Tag restrictions".
const WHY: Text = Text(256);

pub(super) fn read_pause(worker: &mut Fields<'_>) -> Option<Pause> {
    worker.refuses("enabled", "is no key here; `paused: true` starts nothing for a worker");
    let what = "nothing is started for it, whatever waits; its tasks go on to their end";
    let what = about(what).defaults_to("`false`");
    if !worker.is_blank() && !worker.has(KEY) {
        return None;
    }
    if !worker.has_object(KEY) {
        let always = worker.optional(KEY, Boolean, what.tag(KEY));
        if !worker.is_blank() {
            return always.filter(|always| *always).map(|_| Pause::default());
        }
    }
    let mut pause = worker.object(KEY, what)?;
    let until = about("when the pause ends by itself").defaults_to("when it is taken away");
    let until = pause.optional("until", INSTANT, until);
    let why = about("why, for whoever reads the result").defaults_to("none");
    let why = pause.optional("why", WHY, why);
    let is_written = ["until", "why"].map(|key| pause.has(key)).contains(&true);
    pause.finish();
    if !is_written && !worker.is_blank() {
        worker.problem(KEY, "is empty; give `true`, or `until` and `why`");
    }
    Some(Pause { until, why })
}
