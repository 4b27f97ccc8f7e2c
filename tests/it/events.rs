//! Every file in `events/` is understood, or refused, as its name says.

use std::collections::BTreeMap;

use decision::event::{Event, EventError, Hook, Mode, Notice, NoticeKind, Tick, Woken};
use decision::units::WorkerName;
use serde_json::Value;

/// The document in a file.
pub(crate) fn payload(file: &str) -> Value {
    let path = format!("{}/{file}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn parse(file: &str) -> Result<Event, EventError> {
    match Woken::parse(&payload(file), "request-1")? {
        Woken::Tick(event) => Ok(event),
        other => panic!("{file}: {other:?}"),
    }
}

#[test]
fn a_schedules_minute_names_the_tick() {
    for file in ["events/schedule.json", "events/scheduler.json"] {
        let event = parse(file).unwrap();
        let tick = Tick::Scheduled("2026-11-20T21:00:00Z".parse().unwrap());
        let expected = Event {
            tick,
            mode: Mode::Launch,
            check: None,
            config: None,
            only: Vec::new(),
            minimum: BTreeMap::new(),
        };
        assert_eq!(event, expected, "{file}");
    }
}

#[test]
fn a_direct_invocation_may_ask_for_a_plan_of_one_worker() {
    let event = parse("events/plan.json").unwrap();
    assert_eq!(event.mode, Mode::DryRun);
    assert_eq!(event.only, [WorkerName::from("thumbnail")]);
    assert_eq!(event.tick, Tick::Request("request-1".to_owned()));
}

#[test]
fn a_direct_invocation_may_bring_its_workers() {
    let document = parse("events/workers.json").unwrap().config.unwrap();
    let config = decision::config::Config::from_value(&document).unwrap();
    assert_eq!(config.workers.len(), 1);
    assert_eq!(config.refused, []);
}

#[test]
fn an_event_that_is_not_ours_is_refused() {
    let error = parse("events/not-ours.json").unwrap_err().to_string();
    assert!(error.contains("`aws.ec2`") && error.contains("`dryRun`"), "{error}");
}

#[test]
fn an_instance_that_goes_away_is_named_by_the_detail_alone() {
    let hook = Hook { group: "jobs".to_owned(), name: "drain-workers".to_owned() };
    for (file, kind, hook) in [
        ("events/spot-interruption.json", NoticeKind::SpotInterruption, None),
        ("events/rebalance.json", NoticeKind::RebalanceRecommendation, None),
        ("events/lifecycle-terminate.json", NoticeKind::LifecycleTermination, Some(hook)),
    ] {
        let mut payload = payload(file);
        payload["resources"] = Value::Null;
        let notice = Notice { kind, instance: "i-1234567890abcdef0".into(), hook };
        assert_eq!(Woken::parse(&payload, "request-1"), Ok(Woken::Notice(notice)), "{file}");
    }
}
