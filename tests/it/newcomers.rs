//! What the pages for newcomers show is what they get: whole configurations, and the sums of a switch.

use decision::config::Config;
use ecs_queue_scaler::report::WorkerReport;
use serde_json::json;

use crate::readme::{blocks, pages};
use crate::tick::{config, only_worker, scaler, tick, worker, world_of};

const COMING_FROM: &str = include_str!("../../docs/coming-from/README.md");

const FIRST_WORKER: &str = include_str!("../../docs/first-worker.md");

/// Where the function's words about a worker stand.
const TOLD: [&str; 3] = [
    include_str!(
        "tick/snapshots/it__tick__trouble__what_the_configuration_names_and_aws_has_not_stays_with_its_worker.snap"
    ),
    include_str!("../../decision/src/variant/obstacle.rs"),
    include_str!("../../decision/src/plan.rs"),
];

/// What a newcomer copies has to work as it is: it is a whole file, without a warning.
#[test]
fn newcomers_are_shown_whole_configurations() {
    let worker =
        "workers: [{name: a, queue: a, taskDefinition: a, scaling: {messagesPerContainer: 1}}]";
    let network = "launch: {networkConfiguration: {awsvpcConfiguration: {subnets: [subnet-1]}}}";
    assert_eq!(mistakes_in_whole(&format!("cluster: jobs\n{worker}")), "");
    for wrong in [worker, "cluster: jobs", &format!("cluster: jobs\n{network}\n{worker}")] {
        assert_ne!(mistakes_in_whole(wrong), "", "{wrong}");
    }

    let is_for_newcomers = |page: &str| {
        page == "docs/first-worker.md"
            || page.starts_with("docs/coming-from/") && !page.ends_with("/README.md")
    };
    let pages: Vec<_> = pages().into_iter().filter(|(page, _)| is_for_newcomers(page)).collect();
    assert!(6 < pages.len(), "{pages:?}");
    for (page, text) in pages {
        let files = blocks(&text, "yaml");
        assert_ne!(files, [""; 0], "{page} shows none");
        for file in files {
            assert_eq!(mistakes_in_whole(&file), "", "{page}:\n{file}");
        }
    }
}

/// Mistakes and warnings alike.
fn mistakes_in_whole(file: &str) -> String {
    match Config::parse(file) {
        Ok(config) if config.refused.is_empty() && config.warnings.is_empty() => String::new(),
        Ok(config) => format!("{:?} {:?}", config.refused, config.warnings),
        Err(error) => error.to_string(),
    }
}

/// Ten messages are in flight, held by containers that somebody else has started.
#[tokio::test(start_paused = true)]
async fn the_sums_of_a_switch_are_ones_that_are_made() {
    let world = world_of(&["export"]);
    let scaling = json!({"messagesPerContainer": 1, "maxContainers": 100});
    let config = config(&[worker("export", &scaling, &json!({"maxContainersPerTask": 1}))]);
    let function = scaler(&world, &config);
    let mut made = Vec::new();
    for (minute, visible) in (0..).zip([0, 5, 5]) {
        world.queue("export").visible(visible).in_flight(10);
        world.all_run();
        let report = tick(&function, &world, minute).await;
        let WorkerReport { outcome, decision, .. } = only_worker(&report);
        let outcome = || json!(outcome).as_str().unwrap().to_owned();
        made.push(decision.as_ref().map_or_else(outcome, |decision| decision.why.clone()));
    }

    let shown: Vec<_> = COMING_FROM
        .lines()
        .filter(|line| line.starts_with("| 10, each at work |"))
        .map(|line| line.split('`').nth(1).unwrap())
        .collect();
    assert_eq!(shown.len(), made.len());
    for (shown, made) in shown.into_iter().zip(made) {
        assert!(made.starts_with(shown), "shown: {shown}\nmade: {made}");
    }
}

/// Who has an error looks for its words.
#[test]
fn errors_are_quoted_as_they_are_told() {
    assert!(is_told("refused by the configuration: ..."));
    assert!(is_told("ListTasks of NAME failed: ClusterNotFoundException"));
    assert!(!is_told("refused by ... the weather"));

    let table = FIRST_WORKER.split("in `errors`:").nth(1).unwrap().trim_start();
    let rows = table.lines().skip(2).map_while(|line| line.strip_prefix("| "));
    let quotes: Vec<_> = rows
        .flat_map(|row| row.split(" | ").next().unwrap().split('`').skip(1).step_by(2))
        .collect();
    assert!(6 < quotes.len(), "{quotes:?}");
    let others: Vec<_> = quotes.into_iter().filter(|quote| !is_told(quote)).collect();
    assert_eq!(others, [""; 0], "docs/first-worker.md quotes what the function does not say");
}

/// Whether all parts of a quote, between what differs, stand in one text in this order.
fn is_told(quote: &str) -> bool {
    let parts: Vec<_> = quote.split("...").flat_map(|part| part.split("NAME")).collect();
    TOLD.iter().any(|told| {
        // As the compiler joins a text of several lines.
        let lines: Vec<_> = told.split("\\\n").map(str::trim_start).collect();
        lines.concat().lines().any(|line| {
            let mut rest = Some(line);
            for part in &parts {
                rest = rest.and_then(|rest| Some(rest.split_once(part.trim())?.1));
            }
            rest.is_some()
        })
    })
}
