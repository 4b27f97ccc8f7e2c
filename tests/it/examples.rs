//! Whoever copies an example has a configuration that the function takes.

use std::{fs, path::Path};

use decision::config::{Config, Discover};
use decision::units::Containers;

/// The `workers.yaml` of each folder that has one, parsed.
fn configurations() -> Vec<(String, Config)> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let folders = fs::read_dir(examples).unwrap().map(|entry| entry.unwrap().path());
    folders
        .filter(|folder| folder.join("workers.yaml").exists())
        .map(|folder| {
            let text = fs::read_to_string(folder.join("workers.yaml")).unwrap();
            let name = folder.file_name().unwrap().to_str().unwrap();
            (name.to_owned(), Config::parse(&text).unwrap_or_else(|e| panic!("{name}: {e}")))
        })
        .collect()
}

fn configuration(example: &str) -> Config {
    configurations().into_iter().find(|(name, _)| name == example).unwrap().1
}

#[test]
fn no_worker_of_an_example_is_refused() {
    let configurations = configurations();
    assert_eq!(configurations.len(), 4);
    for (name, config) in configurations {
        assert_eq!(config.refused, [], "{name}");
    }
}

#[test]
fn the_fifty_kinds_are_found_by_the_tags_of_their_stack() {
    let config = configuration("job-worker");
    let by = Discover { tag: "ecs-queue-scaler".to_owned(), value: Some("job-worker".to_owned()) };
    assert_eq!(config.discover, Some(by));
    assert_eq!(config.workers, []);
}

#[test]
fn workers_are_ready_in_office_hours_and_just_before_the_night_batch() {
    let config = configuration("consolidate");
    let ready = |name: &str, instant: &str| {
        let worker = config.workers.iter().find(|worker| worker.name.as_str() == name).unwrap();
        worker.scaling.min_containers.at(instant.parse().unwrap()).containers
    };
    // A Monday in Berlin's winter time, an hour ahead of UTC.
    for (name, instant, containers) in [
        ("exportQuotes", "2026-11-23T06:59:00Z", 0),
        ("exportQuotes", "2026-11-23T07:00:00Z", 2),
        ("exportQuotes", "2026-11-23T16:59:00Z", 2),
        ("exportQuotes", "2026-11-23T17:00:00Z", 0),
        ("exportQuotes", "2026-11-22T12:00:00Z", 0),
        ("reportLedger", "2026-11-23T00:50:00Z", 1),
        ("reportLedger", "2026-11-23T01:05:00Z", 0),
        ("thumbnailShop", "2026-11-23T12:00:00Z", 0),
    ] {
        assert_eq!(ready(name, instant), Containers(containers), "{name} at {instant}");
    }
}
