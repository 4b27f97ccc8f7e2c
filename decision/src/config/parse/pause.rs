//! `paused` of a worker: true or false, or until when and why.

use super::super::form::time::INSTANT;
use super::super::form::{Boolean, Form, Text, Wrong};
use super::super::pause::Pause;
use super::super::reader::Fields;
use super::super::shape::about;
use crate::document::Node;
use serde_json::Value;

const KEY: &str = "paused";

/// As long as a tag's value may be. Source: SQS developer guide, "Tag restrictions".
const WHY: Text = Text(256);

/// Paused for good, or not at all.
struct Always;

impl Form for Always {
    type Value = bool;

    fn read(&self, node: &Node) -> Result<bool, Wrong> {
        Boolean.read(node)
    }

    fn allowed(&self) -> String {
        format!("{}, or an object with `until` and `why`", Boolean.allowed())
    }

    fn schema(&self) -> Value {
        Boolean.schema()
    }
}

pub(super) fn read_pause(worker: &mut Fields<'_>) -> Option<Pause> {
    worker.refuses("enabled", "is no key here; `paused: true` starts nothing for a worker");
    let what = "nothing is started for it, whatever waits; its tasks go on to their end";
    let what = about(what).defaults_to("`false`");
    if !worker.has_object(KEY) {
        let always = worker.optional(KEY, Always, what.tag(KEY));
        if !worker.is_blank() {
            return always.filter(|always| *always).map(|_| Pause::default());
        }
    }
    let mut pause = worker.object(KEY, what)?;
    let until = about("when the pause ends by itself").defaults_to("when it is taken away");
    let until = pause.optional("until", INSTANT, until);
    let why = about("why, for whoever reads the result").defaults_to("none");
    let why = pause.optional("why", WHY, why);
    pause.finish();
    Some(Pause { until, why })
}
