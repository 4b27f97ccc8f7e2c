//! What keeps the architecture: rules over the text of the repository.
//!
//! Every test first shows that its rule can fail, on samples, and then holds the repository to it.
//! Rules about code see it without comments, strings and unit tests.

mod rules;
mod tree;

use self::rules::{
    MAX_LINES, MAX_LINES_OF_TESTS, core_is_light, core_is_pure, environment_is_read_by_binaries,
    events_are_tested, files_are_short, map_is_true, memory_has_no_monotonic_time, modules_look_up,
    named_tests_exist, names_say_something, parameters_are_named, reads_only_read,
    sdk_stays_at_the_edge, tests_are_short, words_have_one_meaning,
};
use self::tree::{Tree, tree};

#[test]
fn only_the_aws_edge_names_the_sdk() {
    keeps(
        sdk_stays_at_the_edge,
        &[
            ("src/aws.rs", "use aws_sdk_sqs::Client;"),
            ("src/aws/launch.rs", "use aws_smithy_types::error::display::DisplayErrorContext;"),
            ("src/act.rs", "// aws_sdk_ecs is not named here\nconst A: &str = \"aws_config\";"),
            ("src/act.rs", "#[cfg(test)]\nmod tests {\n    use aws_sdk_ecs::types::Task;\n}"),
        ],
    );
    breaks(
        sdk_stays_at_the_edge,
        &[
            ("src/act.rs", "use aws_sdk_ecs::Client;"),
            ("src/main.rs", "let shared = aws_config::load_from_env().await;"),
            ("src/awsome.rs", "use aws_smithy_types::retry::RetryConfig;"),
            ("src/bin/queue-scaler/main.rs", "type Error = aws_sdk_sqs::Error;"),
        ],
    );
    holds(sdk_stays_at_the_edge);
}

#[test]
fn only_the_binaries_read_the_environment() {
    keeps(
        environment_is_read_by_binaries,
        &[
            ("src/main.rs", "let source = std::env::var(\"SCALER_CONFIG\");"),
            ("src/bin/queue-scaler/main.rs", "let arguments = env::args();"),
            ("src/report.rs", "const VERSION: &str = env!(\"CARGO_PKG_VERSION\");"),
            ("src/config.rs", "/// Not std::env.\nfn environment() {}"),
        ],
    );
    breaks(
        environment_is_read_by_binaries,
        &[
            ("src/config.rs", "let source = std::env::var(\"SCALER_CONFIG\");"),
            ("src/aws.rs", "use std::{env, fmt};"),
            ("src/cli/plan.rs", "let region = env::var_os(\"AWS_REGION\");"),
            ("src/run.rs", "use std :: env ;"),
        ],
    );
    holds(environment_is_read_by_binaries);
}

#[test]
fn the_core_is_pure() {
    keeps(
        core_is_pure,
        &[
            ("src/observe.rs", "async fn observe() { join!(a, b).await }"),
            (
                "decision/src/decide/demand.rs",
                "/// No HashMap, no async.\nlet age = snapshot.now - env;",
            ),
            ("decision/src/plan.rs", "use std::collections::BTreeMap;"),
            ("decision/src/variant/watcher.sh", "async"),
        ],
    );
    breaks(
        core_is_pure,
        &[
            ("decision/src/decide.rs", "pub async fn decide() {}"),
            ("decision/src/plan.rs", "use std::collections::{BTreeMap, HashMap};"),
            ("decision/src/snapshot.rs", "let time = jiff::Timestamp::now();"),
            ("decision/src/variant.rs", "fn since(started: Instant) {}"),
            ("decision/src/variant/clones.rs", "use std::{env, fmt};"),
            ("decision/src/units.rs", "let text = std::fs::read_to_string(path);"),
        ],
    );
    holds(core_is_pure);
}

#[test]
fn what_outlives_an_invocation_goes_by_the_wall_clock() {
    keeps(
        memory_has_no_monotonic_time,
        &[
            ("decision/src/memory.rs", "at: Timestamp, // no Instant"),
            (
                "src/source/current.rs",
                "use tokio::time::Instant;\nlet end = Instant::now() + PATIENCE;",
            ),
            ("src/run.rs", "pub deadline: Instant,"),
        ],
    );
    breaks(
        memory_has_no_monotonic_time,
        &[
            ("src/ledger.rs", "read: Option<Instant>,"),
            ("src/ledger.rs", "let at = Instant::now();"),
            ("src/source/current.rs", "asked: Instant,"),
            ("src/report.rs", "fn age(asked: Instant) {}"),
        ],
    );
    holds(memory_has_no_monotonic_time);
}

#[test]
fn a_module_uses_only_those_above_it() {
    let order = ("src/lib.rs", "pub mod aws; // the edge\npub mod act;\npub mod run;");
    let others = ("decision/src/lib.rs", "pub mod units;\npub mod act;");
    let of = |path, text| tree(&[order, others, (path, text)]);
    for (path, text) in [
        ("src/run.rs", "use crate::act::act;\nuse crate::{act, aws::Aws};"),
        ("src/act/call.rs", "use crate::aws::Aws; // not crate::run\nuse crate::act::Called;"),
        ("src/act.rs", "#[cfg(test)]\nmod tests { use crate::run::Scaler; }"),
        ("decision/src/act.rs", "use crate::units::Tasks;"),
    ] {
        assert_eq!(modules_look_up(&of(path, text)), NONE, "{text}");
    }
    for (path, text) in [
        ("src/act.rs", "use crate::run::Scaler;"),
        ("src/aws/launch.rs", "fn count(calls: &[crate::act::Call]) {}"),
        ("src/act/call.rs", "use crate::{\n    aws::{Aws, Read},\n    run::Scaler,\n};"),
        ("decision/src/units.rs", "use crate::act::act;"),
        ("src/plan.rs", ""),
    ] {
        assert_ne!(modules_look_up(&of(path, text)), NONE, "{text}");
    }
    holds(modules_look_up);
}

#[test]
fn what_reads_changes_nothing() {
    let inside = |text: &str| format!("impl ReadCloud {{ fn f() {{ {text} }} }}");
    keeps(
        reads_only_read,
        &[
            ("src/aws/sqs.rs", &inside("let call = self.sqs.get_queue_url();")),
            ("src/aws/sqs.rs", &inside("About { operation: \"ListTasks\", rate }")),
            ("src/aws/sqs.rs", "impl WriteCloud { fn f() { self.ecs.stop_task() } }"),
        ],
    );
    breaks(
        reads_only_read,
        &[
            ("src/aws/sqs.rs", &inside("let call = self.sqs.receive_message();")),
            ("src/aws/tasks.rs", &inside("self\n    .ecs\n    .stop_task()")),
            ("src/aws/stores.rs", &inside("About { operation: \"PutParameter\", rate }")),
        ],
    );
    holds(reads_only_read);
}

#[test]
fn no_file_is_long() {
    let lines = |count| "let x = 1; // a line\n".repeat(count);
    let rest = "// a comment\n\n".repeat(MAX_LINES);
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", lines(MAX_LINES));
    keeps(
        files_are_short,
        &[
            ("src/act.rs", &(lines(MAX_LINES) + &rest + &tests)),
            ("decision/src/decide/tests.rs", &lines(MAX_LINES + 1)),
        ],
    );
    breaks(files_are_short, &[("src/act.rs", &lines(MAX_LINES + 1))]);
    holds(files_are_short);
}

#[test]
fn no_file_of_tests_is_long() {
    let lines = |count| "// a line\n".repeat(count);
    keeps(tests_are_short, &[("tests/it/soak.rs", &lines(MAX_LINES_OF_TESTS))]);
    breaks(tests_are_short, &[("tests/it/soak.rs", &lines(MAX_LINES_OF_TESTS + 1))]);
    holds(tests_are_short);
}

#[test]
fn no_parameter_is_a_tuple() {
    keeps(
        parameters_are_named,
        &[
            (
                "src/act.rs",
                "fn run(&self, call: &Call, find: impl Fn((u8, u8)) -> u8) -> (u8, u8) {}",
            ),
            ("src/act.rs", "fn run<T: Into<(u8, u8)>>(error: &(dyn Error + 'static)) {}"),
            ("src/act.rs", "let run = |(a, b): (u8, u8)| a + b;"),
        ],
    );
    breaks(
        parameters_are_named,
        &[
            ("src/act.rs", "fn run(&self, (call, plan): (&Call, &Plan)) {}"),
            ("src/act.rs", "async fn run(\n    cloud: &Aws,\n    asked: (&Call, usize),\n) {}"),
            ("src/act.rs", "fn run<T>(asked: &(T, usize)) {}"),
        ],
    );
    holds(parameters_are_named);
}

#[test]
fn every_file_is_on_the_map_and_every_file_of_the_map_is_there() {
    let map = |text: &str| ("ARCHITECTURE.md".to_owned(), text.to_owned());
    let of = |text: &str| {
        let files = ["decision/src/decide/own.rs", "src/act.rs", "src/lib.rs", "src/act/tests.rs"];
        let files = files.map(|path| (path.to_owned(), String::new()));
        Tree(files.into_iter().chain([map(text)]).collect())
    };
    for text in ["`act.rs` and `decide/own.rs`", "`act.rs`, `decide/*`, `decision/src/`"] {
        assert_eq!(map_is_true(&of(text)), NONE, "{text}");
    }
    for text in ["`act.rs`", "`act.rs`, `decide/own.rs`, `drain.rs`", ""] {
        assert_ne!(map_is_true(&of(text)), NONE, "{text}");
    }
    holds(map_is_true);
}

#[test]
fn a_word_has_one_meaning() {
    let glossary =
        "| word | its one meaning | not |\n|---|---|---|\n| fault | x | `Trouble`, `woe` |\n";
    let of = |text| tree(&[("ARCHITECTURE.md", glossary), ("src/act.rs", text)]);
    for text in ["let trouble = Fault;", "// whole, and troublesome", "fn woes() {}"] {
        assert_eq!(words_have_one_meaning(&of(text)), NONE, "{text}");
    }
    for text in ["enum Trouble {}", "// with woe", "const A: &str = \"Trouble\";"] {
        assert_ne!(words_have_one_meaning(&of(text)), NONE, "{text}");
    }
    assert_ne!(words_have_one_meaning(&tree(&[])), NONE, "a repository without a glossary");
    holds(words_have_one_meaning);
}

#[test]
fn files_are_named_after_the_domain() {
    keeps(names_say_something, &[("src/aws/launch.rs", ""), ("tests/it/main.rs", "")]);
    breaks(
        names_say_something,
        &[
            ("src/decide/mod.rs", ""),
            ("tests/it/mod.rs", ""),
            ("src/utils.rs", ""),
            ("src/common/names.rs", ""),
            ("src/aws/helpers.rs", ""),
            ("src/task_manager.rs", ""),
            ("tests/it/test_util.rs", ""),
        ],
    );
    holds(names_say_something);
}

#[test]
fn every_event_is_used_by_a_test() {
    let event = ("events/schedule.json", "{}");
    let naming = "const EVENT: &str = include_str!(\"../../events/schedule.json\");";
    let unit = format!("#[cfg(test)]\nmod tests {{\n{naming}\n}}");
    for test in [("tests/it/events.rs", naming), ("src/event.rs", &unit)] {
        assert_eq!(events_are_tested(&tree(&[event, test])), NONE, "{test:?}");
    }
    for other in [
        ("src/event.rs", naming),
        ("tests/it/tidy.rs", naming),
        ("tests/it/events.rs", "\"../../events/reschedule.json\""),
    ] {
        assert_ne!(events_are_tested(&tree(&[event, other])), NONE, "{other:?}");
    }
    assert_ne!(events_are_tested(&tree(&[])), NONE, "a repository without events");
    holds(events_are_tested);
}

#[test]
fn every_test_that_the_documents_name_exists() {
    let page = ("docs/reliability.md", "proof: `a_crash_at_any_call_starts_nothing_twice`");
    let test = "#[test]\nfn a_crash_at_any_call_starts_nothing_twice() {}";
    assert_eq!(named_tests_exist(&tree(&[page, ("tests/it/crash.rs", test)])), NONE);
    let other = ("tests/it/crash.rs", "fn a_crash_at_any_call_starts_nothing_twice_more() {}");
    assert_ne!(named_tests_exist(&tree(&[page, other])), NONE);
    assert_ne!(named_tests_exist(&tree(&[])), NONE, "a repository without the page");
    holds(named_tests_exist);
}

#[test]
fn below_the_core_there_is_no_sdk_and_no_runtime() {
    let package = |name: &str, below: &[&str]| {
        let below: Vec<_> = below.iter().map(|name| format!(" \"{name}\",\n")).collect();
        format!("[[package]]\nname = \"{name}\"\ndependencies = [\n{}]\n", below.concat())
    };
    let of = |packages: [String; 3]| tree(&[("Cargo.lock", &packages.join("\n"))]);
    let core = || package("decision", &["jiff 0.2.1"]);
    let jiff = package("jiff", &[]);
    assert_eq!(core_is_light(&of([core(), jiff, package("tokio", &[])])), NONE);
    for heavy in ["tokio", "aws-types"] {
        let packages = [core(), package("jiff", &[heavy]), package(heavy, &[])];
        assert_ne!(core_is_light(&of(packages)), NONE, "{heavy}");
    }
    assert_ne!(core_is_light(&tree(&[])), NONE, "a repository without the core");
    holds(core_is_light);
}

type Rule = fn(&Tree) -> Vec<String>;

const NONE: Vec<String> = Vec::new();

/// Each of the samples, alone, is as it should be.
fn keeps(rule: Rule, samples: &[(&str, &str)]) {
    for sample in samples {
        assert_eq!(rule(&tree(&[*sample])), NONE, "{}", sample.0);
    }
}

/// Each of the samples, alone, is found out.
fn breaks(rule: Rule, samples: &[(&str, &str)]) {
    for sample in samples {
        assert_ne!(rule(&tree(&[*sample])), NONE, "{}", sample.0);
    }
}

fn holds(rule: Rule) {
    let violations = rule(&Tree::repository());
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
}
