//! The command line as a person uses it.

mod apply;
mod changes;
mod checks;
mod every;
mod explain;
mod filters;
mod import;
mod init;
mod looking;
mod outcomes;
mod plan;
mod query;
mod remembered;
mod render;
mod room;
mod secrets;
mod status;
mod stopping;
mod console;
mod top;

use std::io::Write;
use std::process::{Command, Output, Stdio};

fn queue_scaler(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_queue-scaler"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that does not read its input may have ended by now.
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    child.wait_with_output().unwrap()
}

/// The exit code, and what went to standard output and to standard error.
fn seen(arguments: &[&str], input: &str) -> (i32, String, String) {
    let Output { status, stdout, stderr } = queue_scaler(arguments, input);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

const MISTAKES: &str = "
cluster: jobs
workers:
  - {name: a, queue: a, taskDefinition: a, scaling: {messagesPerContainer: 0, maxContaniers: 5}}
  - {name: b, queue: b, taskDefinition: b, scaling: {messagesPerContainer: 1}}
  - {name: c, queue: b, taskDefinition: c, scaling: {messagesPerContainer: 1}}
";

/// What it has of an example is warned of, and is no mistake.
#[test]
fn the_shipped_configuration_is_valid() {
    let (code, stdout, stderr) = seen(&["validate"], "");
    assert_eq!((code, stdout.as_str()), (0, "workers.yaml: valid, 3 workers\n"));
    assert_eq!(seen(&["validate", "workers.yaml"], ""), (code, stdout, stderr.clone()));
    insta::assert_snapshot!(stderr);
}

#[test]
fn a_warning_fails_only_where_that_is_asked_for() {
    let (code, stdout, stderr) = seen(&["validate", "--strict"], "");
    assert_eq!((code, stdout.as_str()), (1, ""));
    let found = stderr.lines().filter(|line| line.starts_with("workers.yaml:"));
    assert!(found.clone().all(|line| line.contains(": warning: ")), "{stderr}");
    assert_eq!(stderr.lines().count(), 3 * found.count(), "each with its line and a mark");
    let good = "{cluster: jobs, workers: [{name: b, queue: b, taskDefinition: b, scaling: \
                {messagesPerContainer: 1}}]}";
    let expected = (0, "-: valid, 1 worker\n".to_owned(), String::new());
    assert_eq!(seen(&["validate", "--strict", "-"], good), expected);
}

/// What a deployment would fail with at its first launch.
#[test]
fn the_shipped_example_cannot_be_deployed() {
    let (code, stdout, stderr) = seen(&["validate", "--for-deployment"], "");
    assert_eq!((code, stdout.as_str()), (1, ""));
    let last = stderr.lines().last().unwrap();
    assert_eq!(
        last,
        "workers.yaml: has values of the shipped example: put your own in their place"
    );
    // What else is warned of is no reason.
    let other = "{cluster: jobs, workers: [{name: b, queue: b, taskDefinition: b, scaling: \
                 {steps: [{depth: 1, tasks: 9}, {depth: 10, tasks: 1}]}}]}";
    let (code, stdout, stderr) = seen(&["validate", "--for-deployment", "-"], other);
    assert_eq!((code, stdout.as_str()), (0, "-: valid, 1 worker\n"));
    assert!(stderr.contains(": warning: "), "{stderr}");
}

#[test]
fn each_worker_with_a_wish_has_an_alarm() {
    let worker = |name: &str, scaling: &str| {
        format!(
            "{{name: {name}, queue: 'arn:aws:sqs:eu-central-1:111122223333:{name}-jobs', \
             taskDefinition: {name}, scaling: {{messagesPerContainer: 1{scaling}}}}}"
        )
    };
    let file = |workers: &[String]| format!("{{cluster: jobs, workers: [{}]}}", workers.join(", "));
    let wish = ", waitWithin: 15m";
    let workers = [worker("a-b", wish), worker("ab", wish), worker("aB", wish), worker("c", "")];
    let (code, stdout, stderr) = seen(&["alarms", "-"], &file(&workers));
    assert_eq!((code, stderr.as_str()), (0, ""));
    let template: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    insta::assert_snapshot!(format!("{:#}", template["Resources"]));
    let (_, alone, _) = seen(&["alarms", "-"], &file(&workers[1..2]));
    let alone: serde_json::Value = serde_json::from_str(&alone).unwrap();
    let (name, alarm) = alone["Resources"].as_object().unwrap().iter().next().unwrap();
    assert_eq!(&template["Resources"][name], alarm, "whoever comes and goes beside it");

    // The length that CloudFormation takes without a bucket.
    let fifty: Vec<_> =
        (0..50).map(|n| worker(&format!("a-worker-of-the-team-{n}"), wish)).collect();
    let (_, fifty, _) = seen(&["alarms", "-"], &file(&fifty));
    assert!(fifty.len() < 51_200, "{}", fifty.len());

    let (code, stdout, stderr) =
        seen(&["alarms", "-"], &file(&[worker("a", wish), worker("b", ", x: 1")]));
    assert_eq!((code, stdout.as_str()), (1, ""), "an alarm that is left out would be deleted");
    assert!(stderr.contains("worker \"b\": scaling.x: is not a known key"), "{stderr}");
    let (code, stdout, stderr) = seen(&["alarms", "-"], &file(&workers[3..]));
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert_eq!(stderr, "-: no worker has scaling.waitWithin: there is nothing to alarm on\n");
}

#[test]
fn the_page_says_what_each_command_says_of_itself() {
    let page = include_str!("../../docs/cli.md");
    let named: Vec<_> = page.split("<!-- help of ").skip(1).collect();
    assert!(4 < named.len(), "{}", named.len());
    for place in named {
        let command = place.split(':').next().unwrap();
        let arguments: Vec<_> = command.split_whitespace().chain(["--help"]).collect();
        let (code, help, _) = seen(&arguments, "");
        assert!(code == 0 && place.contains(help.trim()), "{command}: make docs");
    }
}

#[test]
fn the_schema_is_the_one_that_editors_find() {
    let schema = include_str!("../../docs/workers.schema.json").to_owned();
    assert_eq!(seen(&["schema"], ""), (0, schema, String::new()));
    let (code, tables, _) = seen(&["schema", "--tables"], "");
    assert!(code == 0 && include_str!("../../docs/configuration.md").contains(&tables));
}

#[test]
fn the_page_shows_a_mistake_as_it_is_shown() {
    let text = "cluster: jobs\nworkers:\n\n  - {name: a, queue: a, taskDefinition: a, scaling: \
                {messagesPerContainer: 1, maxContaniers: 5}}\n";
    let (code, _, stderr) = seen(&["validate", "-"], text);
    assert!(code == 1 && include_str!("../../docs/cli.md").contains(&stderr), "{stderr}");
}

#[test]
fn every_mistake_is_a_line_with_its_place() {
    let (code, stdout, stderr) = seen(&["validate", "-"], MISTAKES);
    assert_eq!((code, stdout.as_str()), (1, ""));
    insta::assert_snapshot!(stderr);
}

/// For editors, and for the annotations of a pipeline.
#[test]
fn mistakes_and_warnings_come_as_json() {
    let warned = format!("watcherImage: busybox:1.37\n{MISTAKES}");
    let (code, stdout, stderr) = seen(&["validate", "--json", "-"], &warned);
    assert_eq!((code, stderr.as_str()), (1, ""));
    insta::assert_snapshot!(stdout);
    let schema: serde_json::Value =
        serde_json::from_str(include_str!("../../docs/schema/validate.json")).unwrap();
    let view: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert!(jsonschema::is_valid(&schema, &view) && !jsonschema::is_valid(&schema, &schema));
    let (_, made, _) = seen(&["schema", "--of", "validate"], "");
    assert!(made == include_str!("../../docs/schema/validate.json"), "make docs");

    let (code, stdout, _) = seen(&["validate", "--json"], "");
    let view: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &view["valid"], &view["workers"]), (0, &true.into(), &3.into()));
    assert_eq!(seen(&["validate", "--json", "--strict"], "").0, 1);
    let (code, stdout, _) = seen(&["validate", "--json", "-"], "workers: [");
    let view: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &view["problems"][0]["line"]), (1, &1.into()));
}

#[test]
fn what_is_no_configuration_at_all_is_one_line() {
    for text in ["", "workers: [", "workers:\n\t- 1", "[]", "a: 1\na: 2\n"] {
        let (code, stdout, stderr) = seen(&["validate", "-"], text);
        let lines = stderr.lines().filter(|line| !line.starts_with(' ')).count();
        assert_eq!((code, stdout.as_str(), lines), (1, "", 1), "{stderr}");
        assert!(stderr.starts_with("-:"), "{stderr}");
    }
}

#[test]
fn a_wrong_call_is_told_from_a_wrong_file() {
    for arguments in [&["validate", "no/such.yaml"][..], &["valdiate"], &[], &["validate", "--all"]]
    {
        let (code, stdout, stderr) = seen(arguments, "");
        assert_eq!((code, stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(!stderr.is_empty(), "{arguments:?}");
    }
    assert!(seen(&["validate", "no/such.yaml"], "").2.contains("no/such.yaml"));
}

/// Its mistake is where it stops being text.
#[test]
fn what_is_not_text_is_a_mistake_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("latin1.yaml");
    std::fs::write(&path, b"cluster: jobs\n# caf\xe9\n").unwrap();
    let path = path.to_str().unwrap();
    let (code, _, stderr) = seen(&["validate", path], "");
    let expected = format!("{path}:2:6: this is not UTF-8: save the file in that encoding\n");
    assert_eq!((code, stderr.lines().next().map(|line| format!("{line}\n"))), (1, Some(expected)));
    let (code, stdout, _) = seen(&["validate", "--json", path], "");
    assert!(code == 1 && stdout.contains("\"line\": 2"), "{stdout}");
}

#[test]
fn no_terminal_obeys_what_stands_in_a_file() {
    let (_, _, stderr) = seen(
        &["--color", "always", "validate", "-"],
        "\"cl\\e[31mustr\": x\ncluster: jobs\nworkers: []\n",
    );
    assert!(stderr.contains("cl\u{fffd}[31mustr") && !stderr.contains('\u{1b}'), "{stderr:?}");
}

/// Numbers that nobody has are no panic, and another version is called by its name.
#[test]
fn a_plan_that_somebody_has_changed_is_shown_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plan.json");
    let shown = |plan: &serde_json::Value| {
        std::fs::write(&path, plan.to_string()).unwrap();
        seen(&["plan", "--from", path.to_str().unwrap(), "--detailed-exitcode"], "")
    };
    let large = serde_json::json!({"worker": "a", "outcome": "planned", "launched": [
        {"taskDefinition": "a:1", "containersPerTask": 2, "count": u64::MAX},
        {"taskDefinition": "a:2", "containersPerTask": 2, "count": u64::MAX}]});
    let totals = serde_json::json!({"workers": 1, "launching": 1, "containers": 1, "tasks": 1, "idle": 0,
        "attention": []});
    let plan = serde_json::json!({"schema": "queue-scaler.plan", "version": 1, "scaler": "s", "region": "r",
        "at": "t", "config": {"source": "inline"}, "workers": [large], "totals": totals});
    assert_eq!(shown(&plan).0, 3);
    let (code, _, stderr) =
        shown(&serde_json::json!({"schema": "queue-scaler.plan", "version": 2}));
    assert!(code == 2 && stderr.contains("version 2"), "{stderr}");
    assert_eq!(shown(&serde_json::json!({"schema": "queue-scaler.plan", "version": 0})).0, 2);
    let held = serde_json::json!({"worker": "a", "outcome": "held", "errors": ["x"]});
    let none = serde_json::json!({"workers": 1, "launching": 0, "containers": 0, "tasks": 0, "idle": 0,
        "attention": ["a"]});
    let plan = serde_json::json!({"schema": "queue-scaler.plan", "version": 1, "scaler": "s", "region": "r",
        "at": "t", "config": {"source": "inline"}, "workers": [held], "totals": none});
    assert_eq!(shown(&plan).0, 1, "what could not be read is not nothing to do");
}

#[test]
fn the_version_is_the_packages() {
    let version = concat!("queue-scaler ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(seen(&["--version"], ""), (0, version.to_owned(), String::new()));
}
