//! `draining`, and `onDrain` of a worker.

use super::super::draining::{Draining, OnDrain};
use super::super::form::OneOf;
use super::super::form::names::HOOK;
use super::super::reader::Fields;
use super::super::shape::about;

/// What the file says of instances that go away.
#[derive(Default)]
pub(super) struct DrainingPart {
    /// For workers that say nothing of their own.
    pub(super) on_drain: OnDrain,
    pub(super) draining: Draining,
}

const CHOICES: OneOf<OnDrain> =
    OneOf(&[("leave", OnDrain::Leave), ("stopTasks", OnDrain::StopTasks)]);

impl DrainingPart {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        let what = "what is done for an EC2 instance that is about to go away";
        let Some(mut fields) = fields.object("draining", what) else { return Self::default() };
        let on_drain = about("`onDrain` of all workers that say nothing of their own");
        let on_drain = fields.optional("onDrain", CHOICES, on_drain.defaults_to("`leave`"));
        let hook = "your own termination hook, held while our tasks run on an instance";
        let hook = fields.optional("lifecycleHook", HOOK, about(hook).defaults_to("none"));
        fields.finish();
        Self { on_drain: on_drain.unwrap_or_default(), draining: Draining { hook } }
    }
}

pub(super) fn read_on_drain(worker: &mut Fields<'_>) -> Option<OnDrain> {
    let what = "what becomes of its tasks on an EC2 instance that is certain to go away";
    let what = about(what).defaults_to("`draining.onDrain`").tag("on-drain");
    worker.optional("onDrain", CHOICES, what)
}
