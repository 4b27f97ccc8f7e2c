use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const KEY: &str =
    "-----BEGIN KEY-----\nMIIcanary/line+one\nQQcanary\"line\\two==\n-----END KEY-----";

fn definition() -> Value {
    json!({"family": "thumbnail", "containerDefinitions": [{
        "name": "worker", "image": "1.dkr.ecr.eu-central-1.amazonaws.com/worker:1",
        "environment": [
            {"name": "PASSWORD", "value": "canary"}, {"name": "OTHER", "value": "canary-2"},
            {"name": "PEM", "value": KEY}, {"name": "AWS_REGION", "value": "eu-central-1"},
            {"name": "DEBUG", "value": "true"},
        ],
        "healthCheck": {"command": ["CMD", "canary-3"]},
        "ofNextYear": "canary-4",
    }]})
}

fn shown(text: &str) -> String {
    let mut secrets = Secrets::default();
    secrets.learn("thumbnail:1", &definition());
    secrets.redacted(text)
}

#[test]
fn a_value_is_redacted_wherever_it_stands_and_names_stay() {
    let text = "container worker: canary-2 and canary and canary-3 of PASSWORD, canary-4";
    let expected =
        "container worker: [redacted] and [redacted] and [redacted] of PASSWORD, [redacted]";
    assert_eq!(shown(text), expected);
}

/// In a map whose keys are the operator's.
#[test]
fn what_is_called_like_a_field_is_a_value_all_the_same() {
    let document = json!({"containerDefinitions": [{
        "name": "worker", "image": "worker:1",
        "dockerLabels": {"name": "canary-5", "image": "canary-6"},
        "logConfiguration": {"logDriver": "splunk", "options": {"key": "canary-7", "memory": "canary-8"}},
    }]});
    let mut secrets = Secrets::default();
    secrets.learn("thumbnail:2", &document);
    let text = format!("worker: canary-5, canary-6, canary-7 and canary-8 in {document}");
    let shown = secrets.redacted(&text);
    assert!(!shown.contains("canary") && shown.contains("splunk"), "{shown}");
    let unseen = Secrets::default().redacted(&document.to_string());
    assert!(!unseen.contains("canary") && unseen.contains("worker:1"), "{unseen}");
}

#[test]
fn what_stands_in_a_name_or_is_short_is_no_secret() {
    let text = "1.dkr.ecr.eu-central-1.amazonaws.com/worker:1 is true";
    assert_eq!(shown(text), text);
    assert_eq!(shown("a precanary of canaries"), "a precanary of canaries");
}

#[test]
fn a_key_of_many_lines_is_redacted_in_every_spelling() {
    let once = json!(KEY).to_string();
    let twice = json!(once).to_string();
    let html = KEY.replace('"', "&quot;");
    let spelt = KEY.replace('=', "\\u003d").replace('\n', "\\u000a");
    for spelling in [KEY, &once, &twice, &html, &spelt] {
        let shown = shown(&format!("Invalid value: {spelling}."));
        assert!(!shown.contains("canary") && shown.starts_with("Invalid value: "), "{shown}");
    }
}

#[test]
fn the_beginning_of_a_value_at_the_end_of_a_text_is_redacted() {
    assert_eq!(shown("Invalid value: MIIcanary/li"), "Invalid value: [redacted]");
    assert_eq!(shown("Invalid value: MIIcanary/li..."), "Invalid value: [redacted]");
}

#[test]
fn a_command_is_redacted_whatever_is_in_it() {
    let cases = [
        r#"runc: exec: "python w.py --key s3cret": executable file not found in $PATH: unknown"#,
        r#"caused "exec: \"sh -c \\\"s3cret\\\"\": permission denied""#,
        r#"exec: "jq {"s3cret": 1}": executable file not found in $PATH"#,
        r#"exec: "sh -c s3cret and so on"#,
        r#"exec: no; exec:"s3cret": permission denied"#,
    ];
    let shown: Vec<_> = cases.iter().map(|case| shown(case)).collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn json_keeps_its_names_and_loses_its_values() {
    let echo = json!({"family": "a", "containerDefinitions": [{"name": "w",
        "environment": [{"name": "KEY", "value": "s3cret\nline"}], "cpu": 256}]});
    let echo = echo.to_string();
    let quoted = json!(echo).to_string();
    let half = echo.get(..echo.len() - 30).unwrap();
    let cases = [
        format!("Invalid: {echo} (Service: ECS)"),
        format!("Invalid: {quoted} (Service: ECS)"),
        format!("Invalid: {half}"),
        "subnets [subnet-1, subnet-2] and {no json}".to_owned(),
    ];
    let shown: Vec<_> = cases.iter().map(|case| shown(case)).collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn a_text_is_one_line_of_a_kilobyte() {
    let long = "\u{7}é\n\u{202e}".repeat(60_000);
    let shown = shown(&long);
    assert!(shown.len() <= LONGEST + 40 && shown.ends_with("bytes more)"), "{shown}");
    assert!(shown.starts_with("\\u{7}é\\n\\u{202e}"), "{shown}");
    assert!(!shown.chars().any(char::is_control));
}

#[test]
fn debug_tells_nothing() {
    let mut secrets = Secrets::default();
    secrets.learn("thumbnail:1", &definition());
    assert_eq!(format!("{secrets:?}"), "Secrets");
}

proptest! {
    #[test]
    fn any_text_is_told_and_no_secret_in_it(before in ".{0,40}", after in ".{0,40}") {
        let shown = shown(&format!("{before} canary-2 {after}"));
        prop_assert!(!shown.contains("canary-2"), "{}", shown);
        prop_assert!(shown.len() <= LONGEST + 40);
    }
}

/// A text that was cut before its definition was known, in the middle of a value.
#[test]
fn what_our_own_cut_has_left_of_a_value_is_hidden_when_that_is_known() {
    let value = "hunter22-and-more-of-it";
    let mut secrets = Secrets::default();
    secrets.learn("a:1", &json!({"environment": [{"name": "KEY", "value": value}]}));
    for left in [0, SHORTEST_SECRET, value.len() - 1] {
        let before = "x".repeat(LONGEST - left - 1) + " ";
        let once = Secrets::default().redacted(&format!("{before}{value}"));
        let begun = value.get(..left).unwrap();
        assert!(once.contains(begun) && once.ends_with(MORE), "{once}");
        let twice = secrets.redacted(&once);
        assert!(left == 0 || !twice.contains(begun), "{left}: {twice}");
        assert!(twice.ends_with(MORE), "{twice}");
        if left == 0 {
            assert_eq!(twice, once, "nothing of it has to be hidden, and as much is missing");
        }
    }
}
