//! What the README and the pages of `docs` show is what a user gets.
//!
//! Rules over texts first show on a sample that they can fail.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use decision::config::Config;
use serde_json::{Value, json};

use crate::tick::trouble::captured;
use crate::tick::{config, only_worker, scaler, tick, worker, world_of};
use crate::world::Fault;

const README: &str = include_str!("../../README.md");

const RESULT: &str = include_str!("../../docs/result.md");

const DRAINING: &str = include_str!("../../docs/draining.md");

/// What a newcomer reads in two minutes.
const MOST_LINES: usize = 180;

/// All pages by their path from the root.
pub(crate) fn pages() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = BTreeMap::new();
    let mut folders = vec![root.to_owned(), root.join("docs"), root.join("examples")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && folder != root && !path.ends_with("node_modules") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
                pages.insert(name, fs::read_to_string(path).unwrap());
            }
        }
    }
    pages
}

/// The fenced blocks of one language.
pub(crate) fn blocks(page: &str, language: &str) -> Vec<String> {
    let fenced = page.split("```").skip(1).step_by(2);
    fenced
        .filter_map(|block| block.strip_prefix(&format!("{language}\n")))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_readme_is_short() {
    let lines = README.lines().count();
    assert!(lines <= MOST_LINES, "{lines} lines: move what few need into docs");
}

#[test]
fn the_configuration_is_correct() {
    let [example] = blocks(README, "yaml").try_into().unwrap();
    let config = Config::parse(&example).unwrap();
    assert_eq!(config.refused, []);
    assert_eq!(config.workers.len(), 1);
}

#[test]
fn every_part_of_a_configuration_is_correct() {
    for wrong in ["scaling: {minContainer: 1}", "workers: [{name: a, queu: b}]", "launch: ["] {
        assert_ne!(mistakes_in(wrong), "", "{wrong}");
    }
    let pages = pages();
    let parts: Vec<_> = pages
        .iter()
        .flat_map(|(page, text)| blocks(text, "yaml").into_iter().map(move |part| (page, part)))
        .collect();
    assert!(5 < parts.len(), "{parts:?}");
    for (page, part) in parts {
        assert_eq!(mistakes_in(&part), "", "{page}:\n{part}");
    }
}

/// What is wrong with a part of a file, or of a worker, that stands in an otherwise correct file.
fn mistakes_in(part: &str) -> String {
    let part: Value = match serde_saphyr::from_str(part) {
        Ok(part) => part,
        Err(error) => return error.to_string(),
    };
    let whole = worker("thumbnail", &json!({"messagesPerContainer": 1}), &json!({}));
    let over = |worker: &Value| {
        let mut whole = whole.clone();
        whole.as_object_mut().unwrap().extend(worker.as_object().unwrap().clone());
        whole
    };
    let mut file = config(&[]);
    let mut of_worker = json!({});
    for (key, value) in part.as_object().unwrap() {
        match key.as_str() {
            "workers" => file["workers"] = value.as_array().unwrap().iter().map(over).collect(),
            "name" | "queue" | "scaling" | "packing" => of_worker[key] = value.clone(),
            _ => file[key] = value.clone(),
        }
    }
    if file["workers"] == json!([]) {
        file["workers"] = json!([over(&of_worker)]);
    }
    match Config::from_value(&file) {
        Ok(config) if config.refused.is_empty() => String::new(),
        Ok(config) => format!("{:?}", config.refused),
        Err(error) => error.to_string(),
    }
}

#[tokio::test(start_paused = true)]
async fn the_decision_is_one_that_is_made() {
    let world = world_of(&["thumbnail"]);
    world.queue("thumbnail").visible(30);
    let dense = json!({"strategy": "dense", "maxContainersPerTask": 4});
    let config = config(&[worker("thumbnail", &json!({"messagesPerContainer": 1}), &dense)]);
    let report = tick(&scaler(&world, &config), &world, 0).await;
    let why = &only_worker(&report).decision.as_ref().unwrap().why;
    let shown = blocks(README, "text")
        .into_iter()
        .map(|block| block.split_whitespace().collect::<Vec<_>>().join(" "));
    assert!(shown.into_iter().any(|block| block == *why), "the README does not show: {why}");
}

#[tokio::test(start_paused = true)]
async fn the_result_and_the_log_line_are_ones_that_are_made() {
    let (lines, _guard) = captured();
    let world = world_of(&["thumbnail", "export"]);
    world.queue("thumbnail").visible(77).in_flight(3);
    world.queue("export").visible(5);
    let full = "Capacity is unavailable at this time. Please try again later or in a different \
                availability zone";
    world.fail_where("RunTask", "worker:export", (1, Fault::Placed(3, full)));
    let dense = json!({"strategy": "dense", "maxContainersPerTask": 4});
    let config = config(&[
        worker("thumbnail", &json!({"messagesPerContainer": 20, "maxContainers": 100}), &dense),
        worker("export", &json!({"messagesPerContainer": 1}), &json!({"maxContainersPerTask": 1})),
    ]);
    let mut report = tick(&scaler(&world, &config), &world, 0).await;
    report.version = "1.2.3";
    report.totals.milliseconds = 41;
    report.log();

    let [shown] = blocks(RESULT, "jsonc").try_into().unwrap();
    let without_comments: String =
        shown.lines().filter_map(|line| line.split(" //").next()).collect();
    assert_eq!(pretty(&without_comments), pretty(&json!(report).to_string()));

    let [shown] = blocks(RESULT, "json").try_into().unwrap();
    let lines = lines.text();
    let line = lines.lines().find(|line| line.contains(r#""worker.name":"export""#)).unwrap();
    let mut line: Value = serde_json::from_str(line).unwrap();
    // The subscriber's own clock, which no test pauses.
    line["timestamp"] = json!("2026-11-20T21:00:00.041Z");
    assert_eq!(pretty(&shown), pretty(&line.to_string()));
}

fn pretty(text: &str) -> String {
    let value: Value = serde_json::from_str(text).unwrap();
    serde_json::to_string_pretty(&value).unwrap()
}

#[test]
fn the_result_of_a_notice_is_one_that_is_made() {
    let snapshot =
        include_str!("snapshots/it__drain__the_result_of_a_notice_has_the_documented_shape.snap");
    let made = snapshot.splitn(3, "---\n").nth(2).unwrap();
    let [shown] = blocks(DRAINING, "json").try_into().unwrap();
    assert_eq!(pretty(&shown), pretty(made));
}

#[test]
fn no_other_page_shows_json_that_nobody_compares() {
    // Those of governed.md by tests/local/test_governed.py.
    let compared = ["docs/draining.md", "docs/governed.md", "docs/result.md"];
    for (page, text) in pages().iter().filter(|(page, _)| !compared.contains(&page.as_str())) {
        let shown = [blocks(text, "json"), blocks(text, "jsonc")].concat();
        assert_eq!(shown, [""; 0], "{page}");
    }
}

/// `Makefile` is where the targets are.
#[test]
fn every_make_target_exists() {
    let makefile = include_str!("../../Makefile");
    assert_eq!(unknown_targets("`make demo`\n```sh\nmake tea # now\n```\n", "demo:\n"), ["tea"]);
    assert_eq!(unknown_targets("`make coffee A=1` and make do", "demo:\n"), ["coffee"]);
    for (page, text) in pages() {
        assert_eq!(unknown_targets(&text, makefile), [""; 0], "{page}");
    }
}

/// Targets that a page calls, in a block or in backquotes.
fn unknown_targets(page: &str, makefile: &str) -> Vec<String> {
    let parts = page.split("```").enumerate();
    let called = parts.flat_map(|(index, part)| {
        let before = if index % 2 == 1 { "\nmake " } else { "`make " };
        part.split(before).skip(1)
    });
    let is_of_name = |c: &char| c.is_ascii_lowercase() || *c == '-';
    let named = called.map(|rest| rest.chars().take_while(is_of_name).collect::<String>());
    let exists =
        |target: &str| makefile.lines().any(|line| line.starts_with(&format!("{target}:")));
    named.filter(|target| !target.is_empty() && !exists(target)).collect()
}

/// Units by metric, as the page lists them.
fn listed_metrics(page: &str) -> BTreeSet<String> {
    let list = page.split("\n## Metrics\n").nth(1).unwrap_or_default();
    let rows = list.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let of_unit = |rest: &str| {
        ["Count |", "Milliseconds |", "Seconds |"].iter().any(|unit| rest.starts_with(unit))
    };
    rows.filter(|(_, rest)| of_unit(rest)).map(|(name, _)| name.to_owned()).collect()
}

/// Texts of a source that may be a metric's name.
fn named_metrics(source: &str) -> BTreeSet<String> {
    const OF_THE_FORMAT: [&str; 13] = [
        "CloudWatchMetrics",
        "Dimensions",
        "EcsQueueScaler",
        "FATAL",
        "Metrics",
        "Name",
        "Namespace",
        "Scaler",
        "Tick",
        "Timestamp",
        "Unit",
        "Version",
        "Worker",
    ];
    let texts = source.split('"').skip(1).step_by(2);
    let is_name = |text: &&str| {
        text.starts_with(|c: char| c.is_ascii_uppercase())
            && text.chars().all(|c| c.is_ascii_alphanumeric())
    };
    let names = texts.filter(is_name).filter(|text| !OF_THE_FORMAT.contains(text));
    names.map(str::to_owned).collect()
}

#[test]
fn every_metric_is_listed_and_there_is_no_other() {
    let sample = "\n## Metrics\n| `Ticks` | Count | 1 |\n| `all` | everybody |\n";
    assert_eq!(listed_metrics(sample), BTreeSet::from(["Ticks".to_owned()]));
    assert_eq!(named_metrics(r#"("Ticks", 1), ("Scaler", s)"#), listed_metrics(sample));

    let sources =
        [include_str!("../../src/report/metrics.rs"), include_str!("../../src/report/notice.rs")];
    let named: BTreeSet<_> = sources.into_iter().flat_map(named_metrics).collect();
    let (by_shortage, listed): (BTreeSet<_>, BTreeSet<_>) = listed_metrics(RESULT)
        .into_iter()
        .partition(|name| name.starts_with("LaunchFailures") && name != "LaunchFailures");
    assert_eq!(listed, named);
    let causes = members(include_str!("../../decision/src/refusal.rs"));
    let shortages: Vec<_> =
        by_shortage.iter().filter_map(|name| name.strip_prefix("LaunchFailures")).collect();
    assert!(!shortages.is_empty());
    for shortage in shortages {
        let word = lower_first(shortage);
        assert!(causes.contains(&word), "there is no shortage {word}");
        assert!(RESULT.contains(&format!("`{word}`")), "{word} is not among the shortages");
    }
}

/// What is in the JSON of a source's types: fields, and words of enums.
fn members(source: &str) -> BTreeSet<String> {
    let (mut members, mut told, mut skipped) = (BTreeSet::new(), false, false);
    for line in source.lines() {
        let member = line.strip_prefix("    ").filter(|rest| !rest.starts_with([' ', '/']));
        match member {
            None if line.starts_with("#[derive(") => told = line.contains("Serialize"),
            None if line.starts_with('}') => told = false,
            Some(attribute) if attribute.starts_with("#[") => {
                skipped |= attribute.contains("serde(skip)");
            }
            Some(member) if told => {
                let name: String = member
                    .trim_start_matches("pub ")
                    .chars()
                    .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                    .collect();
                if !std::mem::take(&mut skipped) {
                    members.insert(camel_case(&name));
                }
            }
            _ => {}
        }
    }
    members
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().map(lower_first).unwrap_or_default();
    words.fold(first, |name, word| {
        let (head, rest) = word.split_at(1.min(word.len()));
        name + &head.to_ascii_uppercase() + rest
    })
}

fn lower_first(name: &str) -> String {
    let (head, rest) = name.split_at(1.min(name.len()));
    head.to_ascii_lowercase() + rest
}

#[test]
fn every_field_of_a_result_is_told() {
    let sample = "#[derive(Serialize)]\npub struct A {\n    /// Told.\n    pub at_cap: bool,\n    \
                  #[serde(skip)]\n    pub at: u8,\n}\n#[derive(Debug)]\npub struct B {\n    \
                  pub b: u8,\n}\n#[derive(Serialize)]\npub enum C {\n    NoRoom,\n}\n";
    assert_eq!(members(sample), BTreeSet::from(["atCap".to_owned(), "noRoom".to_owned()]));

    let sources = [
        include_str!("../../src/report.rs"),
        include_str!("../../src/report/placement.rs"),
        include_str!("../../src/report/waiting.rs"),
        include_str!("../../src/report/notice.rs"),
        include_str!("../../src/report/hook.rs"),
        include_str!("../../decision/src/event/notice.rs"),
        include_str!("../../decision/src/plan.rs"),
        include_str!("../../decision/src/plan/facts.rs"),
        include_str!("../../decision/src/config/pause.rs"),
    ];
    let told = |member: &String| {
        let told = |page: &str| {
            page.contains(&format!("`{member}`")) || page.contains(&format!("\"{member}\""))
        };
        told(RESULT) || told(DRAINING)
    };
    let members: BTreeSet<_> = sources.into_iter().flat_map(members).collect();
    assert!(members.contains("containersPerTask") && members.contains("maxTasksPerHour"));
    let missing: Vec<_> = members.into_iter().filter(|member| !told(member)).collect();
    assert_eq!(missing, [""; 0], "docs/result.md and docs/draining.md do not have them");
}
