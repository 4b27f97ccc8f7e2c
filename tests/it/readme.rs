//! What the README shows is what a user gets.

use decision::config::Config;
use serde_json::json;

use crate::tick::{config, only_worker, scaler, tick, worker, world_of};

const README: &str = include_str!("../../README.md");

/// The fenced blocks of one language.
fn blocks(language: &str) -> Vec<String> {
    let fenced = README.split("```").skip(1).step_by(2);
    fenced
        .filter_map(|block| block.strip_prefix(&format!("{language}\n")))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_configuration_is_correct() {
    let [example] = blocks("yaml").try_into().unwrap();
    let config = Config::parse(&example).unwrap();
    assert_eq!(config.refused, []);
    assert_eq!(config.workers.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_decision_is_one_that_is_made() {
    let world = world_of(&["thumbnail"]);
    world.queue("thumbnail").visible(30);
    let dense = json!({"strategy": "dense", "maxContainersPerTask": 4});
    let config = config(&[worker("thumbnail", &json!({"messagesPerContainer": 1}), &dense)]);
    let report = tick(&scaler(&world, &config), &world, 0).await;
    let why = &only_worker(&report).decision.as_ref().unwrap().why;
    let shown = blocks("text")
        .into_iter()
        .map(|block| block.split_whitespace().collect::<Vec<_>>().join(" "));
    assert!(shown.into_iter().any(|block| block == *why), "the README does not show: {why}");
}

/// `Makefile` is where the targets are.
#[test]
fn every_make_target_exists() {
    let makefile = include_str!("../../Makefile");
    let named = README.split("make ").skip(1).filter_map(|rest| {
        let is_of_name = |c: &char| c.is_ascii_lowercase() || *c == '-';
        let target: String = rest.chars().take_while(is_of_name).collect();
        (!target.is_empty()).then_some(target)
    });
    for target in named.filter(|target| !["a", "and"].contains(&target.as_str())) {
        let exists = makefile.lines().any(|line| line.starts_with(&format!("{target}:")));
        assert!(exists, "README: make {target}");
    }
}
