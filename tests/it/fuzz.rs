//! Whatever comes in: no panic, and no call but those that a configuration allows.

use decision::config::{Config, shape};
use decision::event::{OWN_KEYS, Woken};
use proptest::prelude::{
    Just, ProptestConfig, Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest,
};
use proptest::sample::select;
use serde_json::{Map, Value, json};
use tokio::runtime::Builder;

use crate::events::payload;
use crate::tick::{config, invocation, scaler, worker, world_of};
use crate::world::Call;

/// What EventBridge says of an event.
const KEYS_OF_EVENTS: [&str; 4] = ["detail-type", "source", "time", "detail"];

/// Every key that means something here, from the reader itself.
fn keys() -> Vec<String> {
    let of_events = OWN_KEYS.into_iter().chain(KEYS_OF_EVENTS).map(str::to_owned);
    shape().names().map(str::to_owned).chain(of_events).collect()
}

const TEXTS: [&str; 20] = [
    "",
    "alpha",
    "Scheduled Event",
    "aws.events",
    "2026-11-20T21:00:00Z",
    "+999999-01-01T00:00:00Z",
    "-009999-01-02T01:59:59Z",
    "<aws.scheduler.scheduled-time>",
    "arn:aws:sqs:eu-central-1:1:q",
    "arn:aws:ecs:::task-definition/a:0",
    "https://sqs.eu-central-1.amazonaws.com/1/q",
    "99999999h",
    "18446744073709551616s",
    "\u{0}",
    "ü😀",
    "a--x2",
    "0 8 * * 1-5",
    "0 0 31 2 *",
    "10h",
    "Europe/Berlin",
];

fn any_leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0_u32..20).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        select(TEXTS.to_vec()).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ]
}

/// Any document, most of it of keys that mean something here.
fn any_document() -> impl Strategy<Value = Value> {
    any_leaf().prop_recursive(5, 60, 8, |inner| {
        let key = prop_oneof![4 => select(keys()), 1 => any::<String>()];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn good() -> Value {
    let steps = json!({"steps": [{"depth": 1, "tasks": 2}, {"depth": 9, "tasks": 5}]});
    let drain = json!({"drainWithin": {"target": "10m", "secondsPerMessage": 3}});
    let one = json!({"messagesPerContainer": 1});
    let packing = json!({"strategy": "dense", "maxContainersPerTask": 4});
    config(&[
        worker("alpha", &one, &packing),
        worker("beta", &steps, &packing),
        worker("gamma", &drain, &json!({})),
    ])
}

/// A good document with one of its values replaced, wherever it is.
fn mutated(document: &mut Value, path: &[usize], value: &Value) {
    let Some((first, rest)) = path.split_first() else {
        *document = value.clone();
        return;
    };
    match document {
        Value::Array(members) if !members.is_empty() => {
            let index = first % members.len();
            mutated(&mut members[index], rest, value);
        }
        Value::Object(members) if !members.is_empty() => {
            let key = members.keys().nth(first % members.len()).unwrap().clone();
            mutated(&mut members[&key], rest, value);
        }
        leaf => *leaf = value.clone(),
    }
}

/// The calls that a payload leads to.
fn calls(payload: &Value) -> Vec<String> {
    requests(payload).into_iter().map(|call| call.operation).collect()
}

fn requests(payload: &Value) -> Vec<Call> {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let world = world_of(&["alpha", "beta", "gamma"]);
        world.queue("alpha").visible(3);
        let function = scaler(&world, &good());
        let of = invocation(&world);
        let told = function.run(payload, &of, |_| ()).await;
        let calls = world.take_calls();
        let begins = Woken::parse(payload, "request").is_ok();
        assert!(begins || (told.is_err() && calls.is_empty()), "{payload}");
        calls
    })
}

const NOTICES: [&str; 3] =
    ["events/spot-interruption.json", "events/rebalance.json", "events/lifecycle-terminate.json"];

const ALLOWED: [&str; 8] = [
    "GetQueueUrl",
    "GetQueueAttributes",
    "ListTasks",
    "DescribeTasks",
    "DescribeTaskDefinition",
    "RegisterTaskDefinition",
    "DeregisterTaskDefinition",
    "RunTask",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_event_is_read_or_refused_before_any_call(payload in any_document()) {
        for call in calls(&payload) {
            prop_assert!(ALLOWED.contains(&call.as_str()), "{call}");
        }
    }

    /// What is asked of ECS is an expression, and an id that is no id may say more than an id.
    #[test]
    fn a_notice_with_one_wrong_value_asks_for_nothing_but_an_instance(
        file in select(NOTICES.to_vec()), path in prop::collection::vec(0_usize..100, 0..3),
        value in any_leaf(),
    ) {
        let mut payload = payload(file);
        mutated(&mut payload, &path, &value);
        let is_notice = matches!(Woken::parse(&payload, "request"), Ok(Woken::Notice(_)));
        for call in requests(&payload).iter().filter(|_| is_notice) {
            let filter = call.input["filter"].as_str().unwrap_or_default();
            let id = filter.strip_prefix("ec2InstanceId == i-").unwrap_or(" ");
            let is_id = id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
            prop_assert!(call.operation == "ListContainerInstances" && is_id, "{call:?}");
        }
    }

    #[test]
    fn any_text_is_a_configuration_or_an_error(text in any::<String>()) {
        let _ = Config::parse(&text);
    }

    #[test]
    fn any_document_is_a_configuration_or_an_error(document in any_document()) {
        let _ = Config::from_value(&document);
        let _ = Config::parse(&document.to_string());
    }

    #[test]
    fn a_configuration_with_one_wrong_value_keeps_its_other_workers(
        path in prop::collection::vec(0_usize..100, 2..7), value in any_document(),
    ) {
        let mut document = good();
        let worker = path.first().copied().unwrap_or_default() % 3;
        mutated(&mut document["workers"][worker], &path, &value);
        let mut event = document.clone();
        event["dryRun"] = json!(true);
        for call in calls(&event) {
            prop_assert!(!call.contains("RunTask") && !call.contains("Register"), "{call}");
        }
        let config = Config::from_value(&document).unwrap();
        prop_assert_eq!(config.workers.len() + config.refused.len(), 3);
    }

    #[test]
    fn a_text_of_yaml_that_is_cut_or_changed_is_no_panic(
        cut in 0_usize..4000, at in 0_usize..4000, character in any::<char>(),
    ) {
        let text = include_str!("../../workers.yaml");
        let mut characters: Vec<char> = text.chars().take(cut).collect();
        if at < characters.len() {
            characters[at] = character;
        }
        let _ = Config::parse(&characters.into_iter().collect::<String>());
    }
}
