//! `queue-scaler explain`: what was logged, derived again.

use std::collections::BTreeSet;

use decision::config::Config;
use decision::plan::Facts;
use ecs_queue_scaler::aws::{LogLines, Logged};
use ecs_queue_scaler::cli::explain::{ExplainView, NoRecord, Record, Trial, records};
use ecs_queue_scaler::cli::page::Clock;
use serde_json::{Value, json};

use super::plan::{cloud, of_all_kinds};
use crate::tick::trouble::captured;
use crate::tick::{config, scaler, tick, worker, world_of};

fn explained(records: &[Record], set: &[&str]) -> ExplainView {
    let set: Vec<_> = set.iter().map(ToString::to_string).collect();
    let trial = Trial { set: Trial::read_set(&set).unwrap(), with: None };
    ExplainView::new(records, None, &trial)
}

fn page(view: &ExplainView, width: usize) -> String {
    anstream::adapter::strip_str(&view.page(width, &Clock::utc())).to_string()
}

#[tokio::test(start_paused = true)]
async fn every_line_of_a_tick_is_derived_to_what_it_says() {
    let (world, config) = of_all_kinds().await;
    let (lines, _guard) = captured();
    let function = scaler(&world, &config);
    let report = tick(&function, &world, 5).await;
    report.log();
    let text = lines.text();
    let of_log = records(&text, None).unwrap();
    let of_result = records(&json!(report).to_string(), None).unwrap();
    let printed: Vec<_> =
        text.lines().map(|line| format!("2026-11-20T21:05:00 2026/x {line}")).collect();
    assert_eq!(
        records(&printed.join("\n"), None).unwrap(),
        of_log,
        "as other programs print a log"
    );
    // An idle worker is in the result alone.
    let loud: Vec<_> = of_result.iter().filter(|r| r.worker != "idle").map(shape).collect();
    assert_eq!(of_log.iter().map(shape).collect::<Vec<_>>(), loud);
    let view = explained(&of_log, &["scaling.messagesPerContainer=100"]);
    assert!(view.is_derived());
    insta::assert_snapshot!("page_100", page(&view, 100));
    let shown = page(&view, 100);
    let (first, _) = shown.split_once("\n\n").unwrap();
    assert!(include_str!("../../../docs/cli.md").contains(first), "{first}");
    insta::assert_snapshot!("page_80", page(&view, 80));
    let listed = anstream::adapter::strip_str(&view.list(100)).to_string();
    insta::assert_snapshot!("list", listed);
    let schema: Value =
        serde_json::from_str(include_str!("../../../docs/schema/explain.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<_> = validator.iter_errors(&json!(view)).map(|e| e.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new());
    let (_, made, _) = super::seen(&["schema", "--of", "explain"], "");
    assert!(made == include_str!("../../../docs/schema/explain.json"), "make docs");
    for line in text.lines().filter(|line| line.contains("\"facts\"")) {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(json!(line["facts"]).to_string().len() <= 900, "{line}");
    }
}

fn shape(record: &Record) -> (String, Option<String>, Option<Value>, u64) {
    let Record { worker, why, facts, started, .. } = record.clone();
    (worker, why, facts, started)
}

/// The facts of a worker that waits for nothing else, with something changed.
fn facts(change: &Value) -> Value {
    let mut facts = json!({
        "visible": 40, "inFlight": 8, "most": 4, "config": "0123abcd",
        "alive": {"tasks": 2, "containers": 8, "running": 8},
        "sizes": {"counts": [1, 2, 3, 4], "prices": [40, 70, 100, 100]},
        "brake": {"credit": 500},
        "settings": {
            "scaling": {"messagesPerContainer": 1, "maxContainers": 100},
            "packing": {"strategy": "cheapest"},
        },
    });
    for (path, value) in change.as_object().unwrap() {
        let (parent, key) = path.rsplit_once('/').unwrap();
        let parent = if parent.is_empty() {
            &mut facts
        } else {
            if facts.pointer(parent).is_none() {
                facts[&parent[1..]] = json!({});
            }
            facts.pointer_mut(parent).unwrap()
        };
        parent[key] = value.clone();
    }
    facts
}

fn sum_of(facts: Value) -> String {
    let record = Record { worker: "a".to_owned(), facts: Some(facts), ..Record::default() };
    let view = explained(&[record], &[]);
    let [decision] = view.decisions.as_slice() else { panic!("{view:?}") };
    assert_eq!(decision.notes, [""; 0]);
    format!("{} {}", decision.derived.as_ref().unwrap(), json!(decision.derived))
}

/// No field is decoration: each changes what is decided, in a worker where it matters.
#[test]
fn every_fact_changes_the_answer() {
    let dense = json!("dense");
    let steps = json!({"steps": [{"depth": 1, "tasks": 5}], "maxContainers": 100});
    #[rustfmt::skip]
    let cases = [
        ("/visible", json!({}), json!(41)),
        ("/inFlight", json!({}), json!(7)),
        ("/delayed", json!({"/settings/scaling/countDelayed": true}), json!(1)),
        ("/alive/containers", json!({}), json!(9)),
        ("/alive/running", json!({}), json!(7)),
        ("/alive/stuck", json!({}), json!(1)),
        ("/alive/stuckTasks", json!({"/alive/stuck": 1}), json!(1)),
        ("/alive/idle", json!({}), json!(1)),
        ("/alive/outlived", json!({}), json!(1)),
        ("/minimum", json!({}), json!({"containers": 90})),
        ("/minimum", json!({"/minimum": {"containers": 90}}), json!({"containers": 90, "window": "9 to 5"})),
        ("/most", json!({"/settings/scaling": steps, "/settings/packing/strategy": dense}), json!(3)),
        ("/sizes/counts", json!({}), json!([1, 2, 3])),
        ("/sizes/wasteful", json!({"/settings/packing/strategy": dense}), json!([4])),
        ("/sizes/prices", json!({}), json!([40, 80, 120, 160])),
        ("/sizes/atOnce", json!({"/sizes/prices": [40, 80, 120, 160]}), json!(20)),
        ("/sizes/fewAddresses", json!({"/sizes/prices": [40, 80, 120, 160]}), json!(true)),
        ("/allowance", json!({}), json!({"tasks": 2, "bound": "maxTasksPerTick"})),
        ("/allowance/tasks", json!({"/allowance": {"tasks": 2, "bound": "maxTasksPerTick"}}), json!(3)),
        ("/allowance/bound", json!({"/allowance": {"tasks": 2, "bound": "maxTasksPerTick"}}), json!("maxTasksPerHour")),
        ("/registry", json!({}), json!(60)),
        ("/canary", json!({}), json!(1)),
        ("/brake/credit", json!({}), json!(5)),
        ("/brake/unjudged", json!({"/brake/credit": 0}), json!(3)),
        ("/brake/pause", json!({"/brake/credit": 0}), json!(50)),
        ("/ahead", json!({"/visible": 0, "/delayed": 9, "/settings/scaling/countDelayed": true}), json!(60)),
    ];
    let mut covered = BTreeSet::new();
    for (path, base, changed) in cases {
        let before = facts(&base);
        let mut change = base.clone();
        change[path] = changed;
        let after = facts(&change);
        let (of_before, of_after) = (leaves(&before), leaves(&after));
        let changed = of_before.symmetric_difference(&of_after).cloned();
        let changed: BTreeSet<_> = changed.map(|(path, _)| path).collect();
        // What changes with another one may be decoration.
        if changed.len() == 1 {
            covered.extend(changed);
        }
        assert_ne!(sum_of(before), sum_of(after), "{path}");
    }
    let all: Value = serde_json::from_str(&whole().line()).unwrap();
    let all: BTreeSet<_> = leaves(&all).into_iter().map(|(path, _)| path).collect();
    let missing: Vec<_> = all.difference(&covered).collect();
    let expected = ["/alive/tasks", "/config", "/settings"];
    assert_eq!(missing, expected, "those are shown, compared, and applied");
}

/// Every field, at its path, with what it says.
fn leaves(facts: &Value) -> BTreeSet<(String, String)> {
    let members = facts.as_object().unwrap().iter();
    let below = members.flat_map(|(key, value)| match value {
        Value::Object(_) if key != "settings" => {
            let leaves = leaves(value).into_iter();
            leaves.map(|(path, value)| (format!("/{key}{path}"), value)).collect()
        }
        value => vec![(format!("/{key}"), value.to_string())],
    });
    below.collect()
}

/// One with every field.
fn whole() -> Facts {
    serde_json::from_value(json!({
        "visible": 1, "inFlight": 1, "delayed": 1,
        "alive": {"tasks": 1, "containers": 1, "running": 1, "stuck": 1, "stuckTasks": 1, "idle": 1, "outlived": 1},
        "minimum": {"containers": 1, "window": "9 to 5"}, "most": 1,
        "sizes": {"counts": [1], "wasteful": [1], "prices": [1], "atOnce": 1, "fewAddresses": true},
        "allowance": {"tasks": 1, "bound": "maxTasksPerHour"}, "registry": 1, "canary": 1,
        "brake": {"credit": 1, "unjudged": 1, "pause": 1}, "ahead": 1, "config": "0", "settings": {"a": 1},
    }))
    .unwrap()
}

/// The number of tasks is beside the sum.
#[test]
fn what_is_alive_is_shown_with_its_tasks() {
    let shown = |tasks: u64| {
        let facts = facts(&json!({"/alive/tasks": tasks}));
        let record = Record { worker: "a".to_owned(), facts: Some(facts), ..Record::default() };
        page(&explained(&[record], &[]), 100)
    };
    assert!(shown(2).contains("8 containers in 2 tasks") && shown(3).contains("in 3 tasks"));
}

#[test]
fn other_settings_are_tried_on_the_same_facts() {
    let why =
        "40 visible + 8 in flight = 48; / 1 per container = 48 containers; - 8 alive = launch 40";
    let record = Record {
        tick: "2026-11-21T03:12:00Z".to_owned(),
        worker: "a".to_owned(),
        why: Some(why.to_owned()),
        facts: Some(facts(&json!({}))),
        ..Record::default()
    };
    let tried = |set: &[&str]| {
        let view = explained(std::slice::from_ref(&record), set);
        let decision = view.decisions[0].clone();
        assert_eq!(decision.is_same, Some(true), "{decision:?}");
        decision.tried.map(|tried| tried.sum.launch).ok_or(decision.notes)
    };
    assert_eq!(tried(&["scaling.messagesPerContainer=5"]), Ok(2));
    assert_eq!(tried(&["scaling.maxContainers=20"]), Ok(12));
    assert_eq!(tried(&["scaling.steps=[{\"depth\": 1, \"containers\": 11}]"]), Ok(3));
    assert_eq!(tried(&["scaling.minContainers=60"]), Ok(52));
    assert_eq!(
        tried(&["scaling.drainWithin={\"target\": \"10m\", \"secondsPerMessage\": 300}"]),
        Ok(16)
    );
    assert_eq!(tried(&["scaling.maxContainers=20", "scaling.maxLaunchPerTick=3"]), Ok(3));
    let wrong = tried(&["scaling.maxContainers=many"]).unwrap_err();
    assert!(wrong[0].contains("scaling.maxContainers: expected a whole number"), "{wrong:?}");

    for (set, expected) in [
        ("scaling.stuckAfter=5m", "`scaling.stuckAfter` cannot be tried"),
        ("messagesPerContainer", "`messagesPerContainer` is no setting"),
    ] {
        let error = Trial::read_set(&[set.to_owned()]).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn the_configuration_here_is_compared_and_its_settings_are_tried() {
    let of = |messages: u64| {
        let one = worker("a", &json!({"messagesPerContainer": messages}), &json!({}));
        Config::from_value(&config(&[one])).unwrap()
    };
    let digest = of(1).workers[0].digest();
    let record = Record {
        worker: "a".to_owned(),
        tick: "2026-11-21T03:12:00Z".to_owned(),
        facts: Some(facts(&json!({"/config": digest}))),
        ..Record::default()
    };
    let other = (of(5), "other.yaml".to_owned());
    let trial = Trial { set: Vec::new(), with: Some(other) };
    let view = |here: &Config| {
        ExplainView::new(std::slice::from_ref(&record), Some(here), &trial).decisions[0].clone()
    };
    assert_eq!(
        (view(&of(1)).is_configured_so, view(&of(2)).is_configured_so),
        (Some(true), Some(false))
    );
    let tried = view(&of(1)).tried.unwrap();
    assert_eq!((tried.settings.as_str(), tried.sum.launch), ("the settings of other.yaml", 2));
}

/// Never guessed.
#[test]
fn what_is_not_in_a_line_is_said() {
    let old =
        json!({"worker.name": "a", "outcome": "launched", "tick": "x", "plan.reason": "4 visible"});
    let view = explained(&records(&old.to_string(), None).unwrap(), &["scaling.maxContainers=1"]);
    let decision = &view.decisions[0];
    assert!(decision.derived.is_none() && decision.tried.is_none() && decision.is_same.is_none());
    assert!(decision.notes[0].contains("no facts, as those of older versions"), "{decision:?}");

    let mut garbled = old.clone();
    garbled["facts"] = json!("{\"visible\": 4");
    let view = explained(&records(&garbled.to_string(), None).unwrap(), &[]);
    assert!(view.decisions[0].notes[0].starts_with("its facts cannot be read"), "{view:?}");

    let mut changed = old.clone();
    changed["facts"] = json!(facts(&json!({})).to_string());
    let view = explained(&records(&changed.to_string(), None).unwrap(), &[]);
    assert!(!view.is_derived() && page(&view, 100).contains("! logged was"), "{view:?}");

    let configuration = config(&[worker("a", &json!({}), &json!({}))]).to_string();
    for text in [configuration.as_str(), "", "no line", "{}", "{\"a\": [", "\u{0}\u{ff}", "[1, 2]"]
    {
        assert_eq!(records(text, None), Err(NoRecord::Nothing), "{text}");
    }
    let unknown = records(&old.to_string(), Some("b")).unwrap_err().to_string();
    assert_eq!(unknown, "asked for `b`, which is not a worker; there are `a`");
}

#[test]
fn a_tick_of_a_request_is_of_the_minute_in_which_its_line_was_written() {
    let time = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
    let of = |tick: &str| Record { tick: tick.to_owned(), ..Record::default() };
    let asked = time("2026-11-21T03:12:40Z");
    let by_time = of("2026-11-21T03:12:00Z");
    assert!(by_time.is_of(asked, time("2026-11-21T03:13:20Z")), "pollEvery logs it later");
    let by_request = of("6f1c2a");
    assert!(by_request.is_of(asked, time("2026-11-21T03:12:03Z")));
    assert!(!by_request.is_of(asked, time("2026-11-21T03:13:00Z")));
}

#[tokio::test(start_paused = true)]
async fn lines_are_found_in_the_functions_log() {
    let world = world_of(&["a"]);
    let now = world.now();
    for minute in 0..3 {
        let line = json!({"worker.name": "a", "outcome": "idle", "tick": minute.to_string()});
        let at = now.as_millisecond() + 60_000 * minute;
        world.log_line("/jobs", (at, "worker a: idle"), &line.to_string());
    }
    world.log_line("/jobs", (now.as_millisecond(), "tick done"), "{}");
    let asked = LogLines {
        group: "/jobs",
        pattern: "{ $.message = \"worker a:*\" }",
        from: now,
        to: now + jiff::SignedDuration::from_secs(61),
    };
    let Logged { lines, is_cut } = cloud(&world).logged(asked.clone()).await.unwrap();
    assert_eq!((lines.len(), is_cut), (2, false), "over two pages");
    let missing = LogLines { group: "/no-such", ..asked };
    let missing = cloud(&world).logged(missing).await.unwrap_err().to_string();
    assert!(
        missing.starts_with("FilterLogEvents of /no-such failed: ResourceNotFoundException"),
        "{missing}"
    );
}
