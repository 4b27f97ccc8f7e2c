//! The benchmark itself still works: one tick of each function, with the debug build, through the
//! fakes of Lambda and AWS over TLS. What it counts is known; its times are nobody's business here.

use std::path::PathBuf;

use tick_bench::cases::{self, Case, Row};
use tick_bench::functions::{Function, On, Place};
use tick_bench::terminal::{self, Run};

/// Three workers, one of them busy.
/// As many ticks of one process as anything that it remembers may change.
const CASE: Case = Case { workers: 3, busy: 1, on: On::Ec2, cold: 1, warm: 3 };

#[cfg(test)]
fn place() -> Place {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    // Beside this test's own folder, wherever cargo's target is.
    let this = std::env::current_exe().unwrap();
    let binary = this.ancestors().nth(2).unwrap().join("ecs-queue-scaler");
    assert!(binary.is_file(), "run `cargo build` first");
    Place::new(binary, root.join(".tools/venv/bin/python")).unwrap()
}

/// Commands end well, and ask as often as they may.
#[test]
fn the_command_line_is_measured() {
    let place = place();
    let binary = place.binary.with_file_name("queue-scaler");
    let [version, validate, plan, status] = terminal::run(&place, &binary, true).unwrap();
    assert_eq!((version.tally.total(), validate.tally.total()), (0, 0));
    let asked = |run: &Run, api: &str| run.tally.calls.get(api).copied().unwrap_or_default();
    assert_eq!((asked(&plan, "GetQueueAttributes"), asked(&plan, "RunTask")), (50, 0));
    assert_eq!((asked(&status, "GetQueueAttributes"), asked(&status, "GetMetricData")), (500, 1));
    assert_eq!((asked(&status, "ListTasks"), asked(&status, "DescribeTasks")), (50, 50));
    assert_eq!(status.tally.total(), 601, "and no more");
    // Half of it; on a busy machine calls that were sent one after the other come in together.
    assert!(status.tally.drained <= 0.6, "{}", status.tally.drained);
}

#[cfg(test)]
fn calls(row: &Row, operation: &str) -> u64 {
    row.median().unwrap().tally.calls.get(operation).copied().unwrap_or_default()
}

/// `cases::run` fails by itself when a tick does, or does not start what is owed.
#[test]
fn the_benchmark_counts_what_a_tick_asks() {
    let place = place();
    cases::register_all(&place, CASE.workers).unwrap();
    let [cold, warm] = cases::run(&place, CASE, &Function::Scaler(place.binary.clone())).unwrap();
    assert_eq!(
        calls(&cold, "GetQueueAttributes"),
        3 + 1,
        "one before the event opens a connection"
    );
    assert_eq!(calls(&warm, "GetQueueAttributes"), 3);
    for row in [&cold, &warm] {
        assert_eq!(calls(row, "RunTask"), 1, "one worker, two tasks, one call");
        assert_eq!(calls(row, "RegisterTaskDefinition"), 0, "it is registered already");
        let links = row.chain.unwrap();
        assert!((4..=5).contains(&links), "{links}");
        assert!(row.median().unwrap().megabytes < 200.0);
    }
    assert_eq!(warm.median().unwrap().tally.opened, 0, "connections are kept");

    let [cold, _] = cases::run(&place, CASE, &Function::Sequential).unwrap();
    assert_eq!((calls(&cold, "RegisterTaskDefinition"), calls(&cold, "RunTask")), (1, 1));
    assert_eq!(cold.median().unwrap().tally.chain, 6, "one call after the other");
}
