//! Whoever copies an example has a configuration that the function takes.

use std::{fs, path::Path};

use ecs_queue_scaler::config::{Config, Rung};

/// The `workers.yaml` of each folder, parsed.
fn configurations() -> Vec<(String, Config)> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let folders = fs::read_dir(examples).unwrap().map(|entry| entry.unwrap().path());
    folders
        .map(|folder| {
            let text = fs::read_to_string(folder.join("workers.yaml")).unwrap();
            let name = folder.file_name().unwrap().to_str().unwrap();
            (name.to_owned(), Config::parse(&text).unwrap_or_else(|e| panic!("{name}: {e}")))
        })
        .collect()
}

#[test]
fn no_worker_of_an_example_is_refused() {
    let configurations = configurations();
    assert_eq!(configurations.len(), 1);
    for (name, config) in configurations {
        assert_eq!(config.refused, [], "{name}");
    }
}

#[test]
fn fifty_kinds_run_on_spot_and_on_demand_when_there_is_none() {
    let (_, config) = configurations().into_iter().find(|(name, _)| name == "job-worker").unwrap();
    assert_eq!(config.workers.len(), 50);
    for worker in &config.workers {
        let spot: Vec<bool> = worker.launch.rungs.iter().map(Rung::is_spot).collect();
        assert_eq!(spot, [true, false], "{}", worker.name);
    }
}
