//! `queue-scaler render`.

use serde_json::{Value, json};

use super::seen;
use crate::tick::{config, worker};

/// A folder with a configuration and a base definition.
fn folder() -> (tempfile::TempDir, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (workers, base) = (path("workers.yaml"), path("base.json"));
    let one = json!({"messagesPerContainer": 1});
    let config = config(&[worker("encode", &one, &json!({}))]).to_string();
    std::fs::write(&workers, config.replace("123456789012", "210987654321")).unwrap();
    std::fs::write(&base, super::plan::with_canaries("encode").to_string()).unwrap();
    (folder, workers, base)
}

fn rendered(arguments: &[&str]) -> (i32, String, String) {
    let (_folder, workers, base) = folder();
    let fixed = ["render", "encode", "--config", &workers, "--base", &base];
    seen(&[&fixed[..], arguments].concat(), "")
}

#[test]
fn a_derived_definition_is_rendered_without_its_values() {
    let (code, stdout, stderr) = rendered(&["--containers", "3"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(!stdout.contains("hush"), "{stdout}");
    insta::assert_snapshot!(stdout);
}

/// What ECS takes, and what the function would register.
#[test]
fn revealed_it_is_what_is_registered() {
    let (code, stdout, stderr) = rendered(&["--containers", "3", "--reveal"]);
    assert_eq!(
        (code, stderr.as_str()),
        (0, "the values of variables, secrets, commands and labels are in it\n")
    );
    let shown: Value = serde_json::from_str(&stdout).unwrap();
    for number in 1..=8 {
        assert!(stdout.contains(&format!("hush-{number}")), "{number}: {stdout}");
    }
    let world = crate::world::World::default();
    world.register(&shown);
}

#[test]
fn what_cannot_be_rendered_is_said() {
    assert_eq!(rendered(&["--containers", "0"]).0, 2);
    let (code, stdout, stderr) = rendered(&["--containers", "1"]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(
        stderr.starts_with("encode: a task of one container runs `encode:0` as it is"),
        "{stderr}"
    );
    let (code, _, stderr) = rendered(&["--containers", "20"]);
    assert!(code == 1 && stderr.starts_with("encode: "), "{stderr}");
    let (folder, workers, base) = folder();
    let other = folder.path().join("other.json");
    for (text, wrong) in
        [("[]", "it is not a JSON object"), ("{}", "it has no `family`"), ("{", "EOF")]
    {
        std::fs::write(&other, text).unwrap();
        let other = other.to_str().unwrap();
        let (code, _, stderr) = seen(
            &["render", "encode", "--containers", "2", "--config", &workers, "--base", other],
            "",
        );
        assert!(code == 1 && stderr.contains(wrong), "{stderr}");
    }
    let (code, _, stderr) =
        seen(&["render", "encod", "--containers", "2", "--config", &workers, "--base", &base], "");
    assert_eq!(
        (code, stderr.as_str()),
        (1, "there is no worker `encod`; did you mean `encode`?\n")
    );
}
