//! Which rows a filter of `top` means.

use ecs_queue_scaler::cli::status::{Row, Urgency};
use ecs_queue_scaler::cli::top::{Demo, is_meant};
use serde_json::Value;

/// The same cases hold for the page of `console`: `tests/local/test_console.py`.
#[test]
fn a_filter_means_what_it_says() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("filters.json")).unwrap();
    let (view, _) = Demo::new(1).refresh();
    for case in cases {
        let state = case["state"].as_str().unwrap();
        let row = Row {
            worker: case["worker"].as_str().unwrap().to_owned(),
            urgency: Urgency::ALL.into_iter().find(|it| it.words() == state).unwrap(),
            cluster: case["cluster"].as_str().map(str::to_owned),
            waiting: case["waiting"].as_u64(),
            ..view.workers[0].clone()
        };
        let is_it = is_meant(case["filter"].as_str().unwrap(), &row);
        assert_eq!(is_it, case["isMeant"], "{case}");
    }
}
