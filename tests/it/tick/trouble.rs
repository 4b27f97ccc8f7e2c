//! Trouble: it is told with its worker and a way out, changes nothing, and stays where it is.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use decision::event::Mode;
use decision::units::Containers;
use ecs_queue_scaler::aws::{Aws, NoRegion};
use ecs_queue_scaler::log;
use ecs_queue_scaler::report::Outcome;
use ecs_queue_scaler::run::{Ran, RunError, Scaler};
use lambda_runtime::Diagnostic;
use serde_json::{Value, json};

use super::{
    config, definition, definition_for_both, invocation, scaler, tick, worker, world_of, world_with,
};
use crate::world::{Fault, World};

/// A worker in trouble beside a healthy one: what is told of it. The healthy one is served, and
/// nothing is changed for the other.
async fn told(disturb: impl Fn(&World, &mut Value)) -> String {
    let world = world_of(&["troubled", "healthy"]);
    world.queue("troubled").visible(20);
    world.queue("healthy").visible(1);
    let one = json!({"messagesPerContainer": 1});
    let mut workers =
        ["troubled", "healthy"].map(|name| worker(name, &one, &json!({"strategy": "spread"})));
    disturb(&world, &mut workers[0]);
    world.take_calls();
    let report = tick(&scaler(&world, &config(&workers)), &world, 0).await;

    let of = |name: &str| report.workers.iter().find(|w| w.worker.as_str() == name).unwrap();
    assert_eq!(of("healthy").outcome, Outcome::Launched, "{report:?}");
    assert_eq!(report.totals.failed_workers, 1);
    assert_eq!(world.tasks().len(), 1);
    let troubled = of("troubled");
    assert_eq!(troubled.launched, []);
    format!("{:?}: {}", troubled.outcome, troubled.errors.join("; "))
}

fn set(key: &'static str, value: Value) -> impl Fn(&World, &mut Value) {
    move |_, worker| worker[key] = value.clone()
}

fn refused(operation: &'static str) -> impl Fn(&World, &mut Value) {
    move |world, _| {
        let message = "User is not authorized to perform it".to_owned();
        let fault = Fault::Error(400, "AccessDeniedException", message);
        world.fail_where(operation, "troubled", (9, fault));
    }
}

fn attribute(value: &'static str) -> impl Fn(&World, &mut Value) {
    move |world, _| {
        world.queue("troubled").attribute("ApproximateNumberOfMessages", value);
    }
}

/// A base that leaves no room, and a wish for two.
fn ten_containers(world: &World, worker: &mut Value) {
    let mut ten = definition("ten");
    ten["cpu"] = json!("1024");
    ten["memory"] = json!("2048");
    for i in 1..10 {
        let sidecar = json!({"name": format!("side{i}"), "image": "i", "memory": 16});
        ten["containerDefinitions"].as_array_mut().unwrap().push(sidecar);
    }
    world.register(&ten);
    worker["taskDefinition"] = json!("ten");
    worker["container"] = json!("worker");
    worker["packing"] = json!({"maxContainersPerTask": 2});
}

fn inactive_revision(world: &World, worker: &mut Value) {
    world.deregister("troubled:1");
    worker["taskDefinition"] = json!("troubled:1");
}

fn listed<const N: usize>(cases: [(&str, String); N]) -> String {
    cases.map(|(case, told)| format!("{case}\n  {told}")).join("\n")
}

#[tokio::test(start_paused = true)]
async fn what_the_configuration_names_and_aws_has_not_stays_with_its_worker() {
    let elsewhere = json!("arn:aws:sqs:us-east-1:123456789012:q");
    insta::assert_snapshot!(listed([
        ("no such queue", told(set("queue", json!("nowhere"))).await),
        ("a queue elsewhere", told(set("queue", elsewhere)).await),
        ("no such cluster", told(set("cluster", json!("nowhere"))).await),
        ("no such family", told(set("taskDefinition", json!("nowhere"))).await),
        ("no such revision", told(set("taskDefinition", json!("troubled:9"))).await),
        ("no such container", told(set("container", json!("nothing"))).await),
        ("no ACTIVE revision", told(|world, _| world.deregister("troubled:1")).await),
        ("an INACTIVE revision", told(inactive_revision).await),
        ("ten containers", told(ten_containers).await),
        ("configuration", told(set("scaling", json!({"messagesPerContainer": 0}))).await),
    ]));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_cannot_be_used_stays_with_its_worker() {
    let no_in_flight = |world: &World, _: &mut Value| {
        world.queue("troubled").without("ApproximateNumberOfMessagesNotVisible");
    };
    let nothing = |world: &World, _: &mut Value| {
        world.fail_where("GetQueueAttributes", "troubled", (9, Fault::Answer(json!({}))));
    };
    let broken = |world: &World, _: &mut Value| {
        let answer = json!({"taskDefinition": {"containerDefinitions": "canary"}});
        world.fail_where("DescribeTaskDefinition", "troubled", (9, Fault::Answer(answer)));
    };
    insta::assert_snapshot!(listed([
        ("no number", told(attribute("many")).await),
        ("a negative number", told(attribute("-1")).await),
        ("no attribute", told(no_in_flight).await),
        ("no attributes at all", told(nothing).await),
        ("a broken definition", told(broken).await),
    ]));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_denied_stays_with_its_worker() {
    insta::assert_snapshot!(listed([
        ("reading a queue", told(refused("GetQueueAttributes")).await),
        ("reading a definition", told(refused("DescribeTaskDefinition")).await),
        ("registering", told(refused("RegisterTaskDefinition")).await),
        ("running", told(refused("RunTask")).await),
    ]));
}

#[tokio::test(start_paused = true)]
async fn a_list_that_fails_or_is_incomplete_holds_and_never_means_none() {
    for (operation, fault) in [
        ("ListTasks", Fault::Error(500, "ServerException", "internal".to_owned())),
        ("ListTasks", Fault::Error(400, "ThrottlingException", "Rate exceeded".to_owned())),
        ("DescribeTasks", Fault::Answer(json!({"tasks": [], "failures": [{"reason": "MISSING"}]}))),
        ("DescribeTasks", Fault::Error(400, "AccessDeniedException", "no".to_owned())),
    ] {
        let world = world_of(&["thumbnail"]);
        world.queue("thumbnail").visible(5);
        let config =
            config(&[worker("thumbnail", &json!({"messagesPerContainer": 1}), &json!({}))]);
        let _ = tick(&scaler(&world, &config), &world, 0).await;
        world.fail(operation, 9, fault.clone());
        world.take_calls();
        let report = tick(&scaler(&world, &config), &world, 1).await;
        assert_eq!(report.workers[0].outcome, Outcome::Held, "{operation} {fault:?}");
        assert_eq!(world.changes(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_that_fails_holds() {
    let world = world_of(&["thumbnail"]);
    world.queue("thumbnail").visible(5);
    let one_each = json!({"maxContainersPerTask": 1});
    let config = config(&[worker("thumbnail", &json!({"messagesPerContainer": 1}), &one_each)]);
    let _ = tick(&scaler(&world, &config), &world, 0).await;
    world.page_size(2);
    let fault = Fault::Error(400, "InvalidParameterException", "nextToken".to_owned());
    world.fail_where("ListTasks", "nextToken", (9, fault));
    let report = tick(&scaler(&world, &config), &world, 1).await;
    assert_eq!(report.workers[0].outcome, Outcome::Held);
}

#[tokio::test(start_paused = true)]
async fn throttling_is_tried_again() {
    let world = world_of(&["thumbnail"]);
    world.queue("thumbnail").visible(5);
    let four = json!({"strategy": "dense", "maxContainersPerTask": 4});
    let config = config(&[worker("thumbnail", &json!({"messagesPerContainer": 1}), &four)]);
    let throttled = || Fault::Error(400, "ThrottlingException", "Rate exceeded".to_owned());
    let operations = [
        "GetQueueAttributes",
        "ListTasks",
        "DescribeTaskDefinition",
        "RegisterTaskDefinition",
        "RunTask",
    ];
    for operation in operations {
        world.fail(operation, 1, throttled());
    }
    let report = tick(&scaler(&world, &config), &world, 0).await;
    assert_eq!(report.totals.launched_containers, Containers(5));
    assert_eq!(world.active_revisions("thumbnail--x4").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn awsvpc_needs_a_network() {
    let world = world_with(&["thumbnail"], definition_for_both);
    world.queue("thumbnail").visible(5);
    let mut config =
        config(&[worker("thumbnail", &json!({"messagesPerContainer": 1}), &json!({}))]);
    config["launch"] = json!({"launchType": "EC2"});
    let report = tick(&scaler(&world, &config), &world, 0).await;
    assert_eq!(report.workers[0].outcome, Outcome::Failed);
    assert!(report.workers[0].errors[0].contains("awsvpcConfiguration"), "{report:?}");
    assert_eq!(world.changes(), 0);
}

#[tokio::test(start_paused = true)]
async fn two_names_of_one_queue_hold_both_workers() {
    let world = world_of(&["a", "b"]);
    world.queue("a").visible(5);
    let one = json!({"messagesPerContainer": 1});
    let mut workers = ["a", "b"].map(|name| worker(name, &one, &json!({})));
    workers[1]["queue"] = json!("https://sqs.eu-central-1.amazonaws.com/123456789012/a");
    let report = tick(&scaler(&world, &config(&workers)), &world, 0).await;
    let errors: Vec<_> = report.workers.iter().map(|worker| worker.errors.join("; ")).collect();
    insta::assert_snapshot!(errors.join("\n"));
    assert_eq!(world.changes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_superseded_revision_that_stays_is_told_and_no_failure() {
    let world = world_of(&["thumbnail"]);
    world.queue("thumbnail").visible(4);
    let four = json!({"strategy": "dense", "maxContainersPerTask": 4});
    let config = config(&[worker("thumbnail", &json!({"messagesPerContainer": 1}), &four)]);
    let _ = tick(&scaler(&world, &config), &world, 0).await;
    world.all_stop();
    world.register(&definition("thumbnail"));
    let fault = Fault::Error(400, "AccessDeniedException", "no".to_owned());
    world.fail("DeregisterTaskDefinition", 9, fault);
    let report = tick(&scaler(&world, &config), &world, 1).await;
    assert_eq!(report.workers[0].outcome, Outcome::Launched);
    assert_eq!(report.failure(), None);
    assert!(report.workers[0].warnings[0].contains("DeregisterTaskDefinition"));
}

#[tokio::test(start_paused = true)]
async fn the_invocation_fails_after_all_workers_were_served() {
    let world = world_of(&["a", "b"]);
    world.queue("b").visible(1);
    let one = json!({"messagesPerContainer": 1});
    let mut workers = ["a", "b"].map(|name| worker(name, &one, &json!({})));
    workers[0]["queue"] = json!("nowhere");
    let function = scaler(&world, &config(&workers));
    let error =
        function.run(&json!({"dryRun": false}), &invocation(&world), Ran::log).await.unwrap_err();
    let Diagnostic { error_type, error_message } = error.into();
    assert_eq!(error_type, "WorkersFailed");
    assert!(error_message.starts_with("1 of 2 workers failed\na: GetQueueUrl of nowhere failed"));
    assert_eq!(world.tasks().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_keeps_a_tick_from_beginning_changes_nothing() {
    let world = world_of(&["a"]);
    world.queue("a").visible(1);
    let good = config(&[worker("a", &json!({"messagesPerContainer": 1}), &json!({}))]);
    let of = |source: &str| Scaler {
        aws: Aws::new(&world.sdk_config()),
        ..Scaler::new("scaler", source, Mode::Launch).unwrap()
    };
    let no_region =
        Aws::new(&SdkConfig::builder().behavior_version(BehaviorVersion::latest()).build());
    assert_eq!(no_region.as_ref().err(), Some(&NoRegion));
    let cases = [
        (of("file:no/such.yaml"), json!({"dryRun": false}), "ConfigError"),
        (of("workers: ["), json!({"dryRun": false}), "ConfigError"),
        (of("s3:/bucket/key"), json!({"dryRun": false}), "ConfigError"),
        (of(&good.to_string()), json!({"Records": []}), "EventError"),
        (of(&good.to_string()), json!({"workers": [], "cluster": "jobs"}), "ConfigError"),
        (of(&good.to_string()), json!({"only": ["z"]}), "UnknownWorker"),
        (Scaler { aws: no_region, ..of(&good.to_string()) }, json!({"dryRun": false}), "NoRegion"),
    ];
    for (function, event, expected) in cases {
        let error: RunError =
            function.run(&event, &invocation(&world), Ran::log).await.unwrap_err();
        let Diagnostic { error_type, error_message } = error.into();
        assert_eq!(error_type, expected, "{error_message}");
        assert!(!error_message.is_empty());
    }
    let missing =
        of("file:no/such.yaml").run(&json!({"dryRun": false}), &invocation(&world), Ran::log).await;
    let message = missing.unwrap_err().to_string();
    assert!(message.contains("no/such.yaml") && message.contains("os error"), "{message}");
    assert_eq!(world.take_calls().len(), 0);
}

/// The reserved execution is what keeps the ticks of two invocations apart.
#[tokio::test(start_paused = true)]
async fn without_a_reserved_execution_there_are_no_polls() {
    let world = world_of(&["a"]);
    let one = json!({"messagesPerContainer": 1});
    let mut document = config(&[worker("a", &one, &json!({}))]);
    document["pollEvery"] = json!("10s");
    let event = json!({"scheduledTime": "2026-11-20T21:00:00Z"});
    for (may_overlap, polls) in [(true, false), (false, true)] {
        let function = Scaler { may_overlap, ..scaler(&world, &document) };
        let ticks = AtomicUsize::new(0);
        let count = |_: &Ran| {
            ticks.fetch_add(1, Ordering::Relaxed);
        };
        let ran = function.run(&event, &invocation(&world), count).await.unwrap();
        let Ran::Tick(report) = ran else { panic!("no tick") };
        assert_eq!(1 < ticks.into_inner(), polls);
        let told = report.config.warnings.join("; ");
        assert_eq!(told.contains("pollEvery is not heeded"), may_overlap, "{told}");
    }
}

/// A sink for log lines.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Log lines of what is done while the guard lives.
pub(crate) fn captured() -> (Lines, tracing::subscriber::DefaultGuard) {
    let lines = Lines::default();
    let sink = lines.clone();
    let subscriber = log::subscriber("TRACE", move || sink.clone());
    (lines, tracing::subscriber::set_default(subscriber))
}

impl Lines {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn each_worker_that_is_not_quiet_has_one_log_line_and_the_tick_one() {
    let (lines, _guard) = captured();
    let names = ["a", "b", "c", "d", "e"];
    let world = world_of(&names);
    world.queue("e").in_flight(1);
    world.queue("b").visible(2);
    world.queue("d").visible(2);
    world.fail_where("RunTask", "worker:d", (1, Fault::Placed(1, "RESOURCE:CPU")));
    let one = json!({"messagesPerContainer": 1});
    let mut workers = names.map(|name| worker(name, &one, &json!({})));
    workers[2]["queue"] = json!("nowhere");
    let function = scaler(&world, &config(&workers));
    let _ = function
        .run(&json!({"scheduledTime": "2026-11-20T21:00:00Z"}), &invocation(&world), Ran::log)
        .await;

    let lines = lines.text();
    let lines: Vec<Value> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let (metrics, lines): (Vec<_>, Vec<_>) =
        lines.into_iter().partition(|line| line.get("_aws").is_some());
    assert_eq!(metrics.len(), 5, "four workers that are not quiet, and the tick");
    let [launched, held, partial, idle, tick] = lines.as_slice() else { panic!("{lines:#?}") };
    assert_eq!((&idle["level"], &idle["message"]), (&json!("INFO"), &json!("worker e: idle")));
    assert_eq!((&idle["queue.in_flight"], idle.get("error")), (&json!(1), None));
    assert_eq!((&launched["tasks.launched"], &launched["queue.visible"]), (&json!(2), &json!(2)));
    assert!(launched["plan.reason"].as_str().unwrap().starts_with("2 visible"));
    assert_eq!((&held["level"], &held["worker.name"]), (&json!("ERROR"), &json!("c")));
    assert_eq!((&partial["level"], &partial["containers.deferred"]), (&json!("WARN"), &json!(1)));
    assert_eq!(held.get("queue.visible"), None, "what was not read must not look like zero");
    assert!(held["error"].as_str().unwrap().contains("QueueDoesNotExist"));
    assert_eq!((&partial["outcome"], &held["outcome"]), (&json!("partial"), &json!("held")));
    assert_eq!(partial["failures"], json!("1 x RESOURCE:CPU"));
    assert_eq!(tick["workers.failed"], json!(1));
    for line in &lines {
        assert_eq!(line["tick"], json!("2026-11-20T21:00:00Z"), "{line}");
        assert_eq!(line["request_id"], json!("request"), "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_warns_is_logged_as_a_warning() {
    let (lines, _guard) = captured();
    let world = world_of(&["a"]);
    world.queue("a").visible(1).without("RedrivePolicy");
    let one = json!({"messagesPerContainer": 1});
    let function = scaler(&world, &config(&[worker("a", &one, &json!({}))]));
    function.run(&json!({"dryRun": false}), &invocation(&world), Ran::log).await.unwrap();
    let text = lines.text();
    let of_worker = text.lines().find(|line| line.contains("\"worker a: launched\"")).unwrap();
    let line: Value = serde_json::from_str(of_worker).unwrap();
    assert_eq!(line["level"], json!("WARN"));
    assert!(line["warnings"].as_str().unwrap().contains("redrive policy"), "{line}");
}

#[tokio::test(start_paused = true)]
async fn what_a_configuration_may_mean_otherwise_is_logged_as_a_warning() {
    let (lines, _guard) = captured();
    let world = world_of(&["a"]);
    let one = json!({"messagesPerContainer": 1});
    let mut document = config(&[worker("a", &one, &json!({}))]);
    let network = &mut document["launch"]["networkConfiguration"]["awsvpcConfiguration"];
    network["subnets"] = json!(["subnet-1"]);
    let function = scaler(&world, &document);
    function.run(&json!({"dryRun": false}), &invocation(&world), Ran::log).await.unwrap();
    let text = lines.text();
    let line = text.lines().find(|line| line.contains("\"configuration: ")).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!((&line["level"], &line["config.source"]), (&json!("WARN"), &json!("inline")));
    assert!(line["message"].as_str().unwrap().contains("`subnet-1`"), "{line}");
}

/// Lambda keeps the error of an invocation that a schedule woke for nobody.
#[tokio::test(start_paused = true)]
async fn an_invocation_that_cannot_begin_is_logged_once_and_in_words() {
    let (lines, _guard) = captured();
    let world = world_of(&["a"]);
    let one = json!({"messagesPerContainer": 1});
    let function = scaler(&world, &config(&[worker("a", &one, &json!({}))]));
    let old = json!({"scheduledTime": "2026-11-19T21:00:00Z"});
    for event in [old, json!({"only": ["nobody"]}), json!({"nonsense": 1})] {
        let before = lines.text().lines().count();
        let error =
            function.run(&event, &invocation(&world), Ran::log).await.unwrap_err().to_string();
        let text = lines.text();
        let [line] = text.lines().skip(before).collect::<Vec<_>>()[..] else { panic!("{text}") };
        let line: Value = serde_json::from_str(line).unwrap();
        let told = (&line["level"], &line["request_id"], &line["error"]);
        assert_eq!(told, (&json!("ERROR"), &json!("request"), &json!(error)));
    }
}

/// Secrets in every text of a definition, on every path, at our finest log level.
#[tokio::test(start_paused = true)]
async fn no_secret_of_a_definition_is_ever_told() {
    let (lines, _guard) = captured();
    let world = world_of(&[]);
    world.queue("a").visible(8);
    let mut secret = definition("a");
    let container = &mut secret["containerDefinitions"][0];
    container["environment"] = json!([{"name": "KEY", "value": "canary-1"}]);
    container["command"] = json!(["run", "--token=canary-2"]);
    container["dockerLabels"] = json!({"x": "canary-3"});
    container["secrets"] = json!([{"name": "S", "valueFrom": "arn:canary-4"}]);
    container["logConfiguration"] =
        json!({"logDriver": "splunk", "options": {"token": "canary-5"}});
    world.register(&secret);
    let four = json!({"strategy": "dense", "maxContainersPerTask": 4});
    let config = config(&[worker("a", &json!({"messagesPerContainer": 1}), &four)]);

    let echo = world.active_revisions("a")[0].to_string();
    let faults = [
        (
            "RegisterTaskDefinition",
            Fault::Error(400, "ClientException", format!("Invalid: {echo}")),
        ),
        ("DescribeTaskDefinition", Fault::Answer(json!({"taskDefinition": {"cpu": ["canary-1"]}}))),
        ("RunTask", Fault::Error(500, "ServerException", "internal".to_owned())),
        ("RunTask", Fault::LostAnswer),
    ];
    let mut told = Vec::new();
    for (operation, fault) in faults {
        world.fail(operation, 3, fault);
        let outcome = scaler(&world, &config)
            .run(&json!({"dryRun": false}), &invocation(&world), Ran::log)
            .await;
        told.push(format!("{outcome:?}"));
    }
    let outcome =
        scaler(&world, &config).run(&json!({"dryRun": false}), &invocation(&world), Ran::log).await;
    told.push(format!("{outcome:?}"));

    let lines = lines.text();
    assert!(5 <= lines.lines().count(), "the ticks are logged: {lines}");
    for text in lines.lines().chain(told.iter().map(String::as_str)) {
        assert!(!text.contains("canary-"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_credentials_the_message_says_what_to_set() {
    let world = world_of(&["a"]);
    let config = config(&[worker("a", &json!({"messagesPerContainer": 1}), &json!({}))]);
    let anonymous = world.sdk_config().into_builder().credentials_provider(nobody()).build();
    let function = Scaler { aws: Aws::new(&anonymous), ..scaler(&world, &config) };
    let report = tick(&function, &world, 0).await;
    assert_eq!(report.workers[0].outcome, Outcome::Held);
    assert!(report.workers[0].errors[0].contains("AWS_ACCESS_KEY_ID"), "{report:?}");
    assert_eq!(world.take_calls().len(), 0);
}

/// A provider chain that found nothing.
fn nobody() -> SharedCredentialsProvider {
    #[derive(Debug)]
    struct Nobody;
    impl ProvideCredentials for Nobody {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let nothing =
                CredentialsError::not_loaded("no providers in chain provided credentials");
            future::ProvideCredentials::ready(Err(nothing))
        }
    }
    SharedCredentialsProvider::new(Nobody)
}
