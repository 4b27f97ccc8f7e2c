//! What others send us: answers that are not whole, not AWS's, without an end, or of next year. Nothing
//! of them is taken for done or for empty, and nothing secret of them is told.

use decision::units::Containers;
use ecs_queue_scaler::report::{Outcome, Report};
use ecs_queue_scaler::run::{Ran, Scaler};
use serde_json::{Map, Value, json};

use super::trouble::captured;
use super::{config, definition, invocation, only_worker, scaler, tick, ticked, worker, world_of};
use crate::world::{Fault, World};

/// A worker with five messages, each of which starts a task.
fn five() -> (World, Value) {
    let world = world_of(&["thumbnail"]);
    world.queue("thumbnail").visible(5);
    let one = json!({"maxContainersPerTask": 1});
    let config = config(&[worker("thumbnail", &json!({"messagesPerContainer": 1}), &one)]);
    (world, config)
}

/// What is told of a tick in which some calls are answered so.
async fn told(operation: &'static str, fault: &Fault) -> String {
    let (world, config) = five();
    world.fail(operation, 9, fault.clone());
    let report = tick(&scaler(&world, &config), &world, 0).await;
    let worker = only_worker(&report);
    assert_eq!(world.tasks().len(), 0, "{operation} {fault:?}");
    assert_ne!(worker.outcome, Outcome::Idle, "{operation} {fault:?}");
    format!("{operation}: {:?}: {}", worker.outcome, worker.errors.join("; "))
}

#[tokio::test(start_paused = true)]
async fn five_tasks_stay_five_when_a_list_of_them_is_missing() {
    for operation in ["ListTasks", "DescribeTasks"] {
        let (world, config) = five();
        let _ = tick(&scaler(&world, &config), &world, 0).await;
        assert_eq!(world.tasks().len(), 5);
        world.fail(operation, 99, Fault::Answer(json!({})));
        for minute in 1..=3 {
            // Each is a process of its own, which remembers nothing.
            let report = tick(&scaler(&world, &config), &world, minute).await;
            let worker = only_worker(&report);
            assert_eq!(worker.outcome, Outcome::Held, "{operation}");
            assert!(worker.errors[0].contains("missing is not empty"), "{worker:?}");
        }
        assert_eq!(world.tasks().len(), 5, "{operation}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_in_an_answer_is_told_and_nothing_is_done() {
    let empty = Fault::Answer(json!({}));
    let null = Fault::Answer(json!({"taskArns": null}));
    insta::assert_snapshot!(
        [
            told("GetQueueUrl", &empty).await,
            told("GetQueueAttributes", &empty).await,
            told("ListTasks", &empty).await,
            told("ListTasks", &null).await,
            told("DescribeTaskDefinition", &empty).await,
            told("RunTask", &empty).await,
            told("RunTask", &Fault::Answer(json!({"failures": []}))).await,
        ]
        .join("\n")
    );
}

/// Its tags say that it is ours, and whether it is the one that is wanted.
#[tokio::test(start_paused = true)]
async fn a_derived_revision_without_its_tags_is_not_registered_anew() {
    let (world, mut config) = five();
    config["workers"][0]["packing"] = json!({"strategy": "dense", "maxContainersPerTask": 4});
    let _ = tick(&scaler(&world, &config), &world, 0).await;
    world.all_stop();
    world.take_calls();
    let untagged = json!({"taskDefinition": world.active_revisions("thumbnail--x4")[0]});
    world.fail_where("DescribeTaskDefinition", "--x4", (9, Fault::Answer(untagged)));
    let report = tick(&scaler(&world, &config), &world, 1).await;
    let told = only_worker(&report).errors.join("; ");
    assert!(told.contains("no list `tags`"), "{report:?}");
    assert_eq!(world.changes(), 0);
}

/// Whether its tasks run, nobody knows: they count until lists would show them.
#[tokio::test(start_paused = true)]
async fn a_launch_whose_answer_names_no_tasks_is_not_made_twice() {
    let (world, config) = five();
    let function = scaler(&world, &config);
    world.fail("RunTask", 9, Fault::Answer(json!({"failures": []})));
    let report = tick(&function, &world, 0).await;
    assert_eq!(only_worker(&report).outcome, Outcome::Failed);
    world.forget_faults();
    let report = tick(&function, &world, 1).await;
    assert_eq!(report.totals.launched_containers, Containers(0));
}

#[tokio::test(start_paused = true)]
async fn what_answers_in_the_place_of_aws_is_told_as_what_it_is() {
    let page = Fault::Foreign(200, ("content-type", "text/html"), "<p>Log in, kanarie</p>");
    let moved = ("location", "https://portal.example/login?token=kanarie");
    let half = Fault::Foreign(200, ("content-type", "application/json"), "{\"taskArns\": [");
    let faults = [
        page,
        Fault::Foreign(302, moved, ""),
        Fault::Foreign(307, moved, ""),
        Fault::Foreign(502, ("content-type", "text/html"), "<html>Bad gateway, kanarie</html>"),
        half,
    ];
    let mut all = Vec::new();
    for fault in &faults {
        for operation in ["GetQueueAttributes", "ListTasks", "RunTask"] {
            all.push(told(operation, fault).await);
        }
    }
    let all = all.join("\n");
    assert!(!all.contains("kanarie"), "{all}");
    insta::assert_snapshot!(all);
}

#[tokio::test(start_paused = true)]
async fn a_portal_in_the_place_of_aws_keeps_nothing_waiting_when_it_is_gone() {
    let (world, config) = five();
    let function = scaler(&world, &config);
    let page = ("content-type", "text/html");
    world.fail("RunTask", 9, Fault::Foreign(200, page, "<html>Log in</html>"));
    let report = tick(&function, &world, 0).await;
    assert_eq!(only_worker(&report).outcome, Outcome::Failed);
    assert_eq!(world.count("RunTask"), 1, "the page would come again");
    world.forget_faults();
    let report = tick(&function, &world, 1).await;
    assert_eq!(report.totals.launched_containers, Containers(5));
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_an_end_is_not_read_to_it() {
    for operation in ["GetQueueAttributes", "ListTasks", "DescribeTaskDefinition", "RunTask"] {
        let (world, config) = five();
        world.fail(operation, 1, Fault::Endless);
        let denied = Fault::Error(400, "AccessDeniedException", "no".to_owned());
        world.fail(operation, 9, denied);
        let report = tick(&scaler(&world, &config), &world, 0).await;
        assert_ne!(only_worker(&report).outcome, Outcome::Idle);
        let read = world.read_of_endless();
        assert!((1..9_000_000).contains(&read), "{operation}: {read} bytes");
    }
    let all = told("ListTasks", &Fault::Endless).await;
    assert!(all.contains("more than 8388608 bytes"), "{all}");
}

#[tokio::test(start_paused = true)]
async fn four_hundred_thousand_unknown_keys_are_told_by_fifty_and_a_count() {
    let (world, config) = five();
    let unknown: Map<_, _> = (0..400_000).map(|n| (format!("key{n}"), json!(n))).collect();
    let mut event = json!({"dryRun": false});
    event.as_object_mut().unwrap().extend(unknown.clone());
    let error = scaler(&world, &config).run(&event, &invocation(&world), |_| ()).await.unwrap_err();
    let message = error.to_string();
    assert!(message.len() < 20_000 && message.contains("and 399950 more"), "{}", message.len());

    let mut event = json!({"workers": config["workers"], "cluster": "jobs"});
    event["workers"][0]["scaling"].as_object_mut().unwrap().extend(unknown);
    let report = ticked(&scaler(&world, &config), &event, &invocation(&world)).await;
    let told = json!(report).to_string();
    assert!(told.len() < 20_000 && told.contains("and 399950 more"), "{}", told.len());
    assert_eq!(world.changes(), 0);
}

/// ECS ends tasks for this reason until the breaker tells it.
async fn told_of_ended(world: &World, function: &Scaler, (code, reason): (&str, &str)) -> Report {
    for minute in 0..2 {
        let _ = tick(function, world, minute).await;
        world.all_end(code, reason, None);
    }
    tick(function, world, 2).await
}

#[tokio::test(start_paused = true)]
async fn a_reason_of_300_kilobytes_is_told_in_one_line() {
    let (world, config) = five();
    let reason = "\u{7}CannotPull\r\nContainerError \u{202e}é".repeat(9000);
    let function = scaler(&world, &config);
    let report = told_of_ended(&world, &function, ("TaskFailedToStart", &reason)).await;
    let told = json!(report).to_string();
    assert!(told.contains("CannotPull"), "{told}");
    assert!(told.len() < 20_000, "{} bytes", told.len());
    assert!(!told.contains('\u{202e}') && !told.contains("\\u0007"), "{told}");

    world.fail("RunTask", 9, Fault::Error(400, "ClientException", reason.clone()));
    world.queue("thumbnail").visible(50);
    let report = tick(&scaler(&world, &config), &world, 3).await;
    assert!(json!(report).to_string().len() < 20_000);
}

#[tokio::test(start_paused = true)]
async fn words_of_next_year_do_no_harm() {
    let (world, config) = five();
    let function = scaler(&world, &config);
    let _ = tick(&function, &world, 0).await;
    world.change_tasks(|task| {
        task["lastStatus"] = json!("DREAMING");
        task["containers"][0]["lastStatus"] = json!("DREAMING");
    });
    for minute in 1..=3 {
        let report = tick(&function, &world, minute).await;
        assert_eq!(report.totals.launched_containers, Containers(0), "they are alive");
    }
    world.fail("RunTask", 1, Fault::Placed(2, "RESOURCE:KARMA"));
    world.queue("thumbnail").visible(10);
    let report = tick(&function, &world, 4).await;
    assert_eq!(report.totals.launched_containers, Containers(2), "{report:?}");
    assert!(json!(report).to_string().contains("RESOURCE:KARMA"));
    world.all_end("AbductedByAliens", "The truth is out there", None);
    let report = tick(&function, &world, 5).await;
    assert_ne!(report.totals.launched_containers, Containers(0), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_made_again_as_fifo_is_told_and_served_by_its_new_name() {
    let (world, mut config) = five();
    let function = scaler(&world, &config);
    let _ = tick(&function, &world, 0).await;
    world.delete_queue("thumbnail");
    world.queue("thumbnail.fifo").visible(2);
    world.all_stop();
    let report = tick(&function, &world, 1).await;
    assert_eq!(only_worker(&report).outcome, Outcome::Held);
    assert!(only_worker(&report).errors[0].contains("QueueDoesNotExist"), "{report:?}");
    config["workers"][0]["queue"] = json!("thumbnail.fifo");
    let report = tick(&scaler(&world, &config), &world, 2).await;
    assert_eq!(report.totals.launched_containers, Containers(2));
}

/// Five are busy, and the sixth message is for one more.
#[tokio::test(start_paused = true)]
async fn a_task_whose_revision_is_gone_is_alive() {
    let (world, config) = five();
    let _ = tick(&scaler(&world, &config), &world, 0).await;
    world.all_run();
    world.change_tasks(|task| {
        task["taskDefinitionArn"] =
            json!("arn:aws:ecs:eu-central-1:123456789012:task-definition/gone:7");
    });
    world.queue("thumbnail").visible(1).in_flight(5);
    let report = tick(&scaler(&world, &config), &world, 1).await;
    assert_eq!(report.totals.launched_containers, Containers(1), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn a_command_in_a_stop_reason_reaches_neither_result_nor_log() {
    let (lines, _guard) = captured();
    let (world, config) = five();
    let function = scaler(&world, &config);
    let reason = "CannotStartContainerError: runc: exec: \"python worker.py --key kanarie \
                  --more=kanarie\": executable file not found in $PATH: unknown";
    let report = told_of_ended(&world, &function, ("TaskFailedToStart", reason)).await;
    let told = json!(report).to_string();
    let shown = "exec: \\\"[redacted]\\\": executable file not found in $PATH";
    assert!(told.contains(shown), "{told}");
    let event = json!({"dryRun": false});
    let _ = scaler(&world, &config).run(&event, &invocation(&world), Ran::log).await;
    assert!(!told.contains("kanarie") && !lines.text().contains("kanarie"));
    assert!(lines.text().contains("[redacted]"), "{}", lines.text());
}

/// A definition with a secret in every text that is no name, some of them hard to find again.
fn full_of_canaries() -> Value {
    let pem = "-----BEGIN-----\nkanarie/1+a\nkanarie\"2\\\n-----END-----";
    let mut secret = definition("a");
    secret["volumes"] = json!([{"name": "v", "host": {"sourcePath": "/kanarie-3"}}]);
    secret["tags"] = json!([{"key": "team", "value": "kanarie-4"}]);
    let container = &mut secret["containerDefinitions"][0];
    let more = json!({
        "environment": [{"name": "KEY", "value": pem}, {"name": "OTHER", "value": "kanarie-5"}],
        "environmentFiles": [{"type": "s3", "value": "arn:aws:s3:::kanarie-6/a.env"}],
        "command": ["run", "--token=kanarie-7"],
        "entryPoint": ["sh", "-c", "kanarie-8"],
        "dockerLabels": {"x": "kanarie-9"},
        "secrets": [{"name": "S", "valueFrom": "arn:kanarie-10"}],
        "logConfiguration": {"logDriver": "splunk", "options": {"token": "kanarie-11"},
            "secretOptions": [{"name": "o", "valueFrom": "kanarie-12"}]},
        "repositoryCredentials": {"credentialsParameter": "kanarie-13"},
        "healthCheck": {"command": ["CMD", "kanarie-14"]},
        "user": "kanarie-15", "workingDirectory": "/kanarie-16",
        "extraHosts": [{"hostname": "kanarie-17", "ipAddress": "kanarie-18"}],
        "mountPoints": [{"sourceVolume": "v", "containerPath": "/kanarie-19"}],
        "ofNextYear": {"deep": ["kanarie-20"]},
    });
    container.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    secret
}

/// At every text that AWS sends, in every spelling.
#[tokio::test(start_paused = true)]
async fn no_canary_of_a_definition_is_ever_told_whatever_echoes_it() {
    let (lines, _guard) = captured();
    let world = world_of(&[]);
    world.queue("a").visible(8);
    world.register(&full_of_canaries());
    let four = json!({"strategy": "dense", "maxContainersPerTask": 4});
    let config = config(&[worker("a", &json!({"messagesPerContainer": 1}), &four)]);
    let once = world.active_revisions("a")[0].to_string();
    let twice = json!(once).to_string();
    let texts = world.active_revisions("a")[0]["containerDefinitions"].to_string();
    let plain = texts.replace(['"', '{', '}', '[', ']', ','], " ");
    let mut told = Vec::new();
    for echo in [once.as_str(), &twice, &plain, &once[..once.len() - 200]] {
        let error = |status, code| Fault::Error(status, code, format!("Invalid: {echo}."));
        let leaked: &'static str = echo.to_owned().leak();
        let faults = [
            ("RegisterTaskDefinition", error(400, "ClientException")),
            ("RegisterTaskDefinition", error(500, "ServerException")),
            ("RegisterTaskDefinition", error(400, leaked)),
            ("RunTask", error(400, "InvalidParameterException")),
            ("RunTask", Fault::Placed(0, leaked)),
            ("DescribeTaskDefinition", error(400, "AccessDeniedException")),
            ("ListTasks", error(400, "ClientException")),
            ("GetQueueAttributes", error(400, "AWS.SimpleQueueService.Odd")),
        ];
        for (operation, fault) in faults {
            // A warm process has seen the definition; what comes first is bounded by its shape.
            let function = scaler(&world, &config);
            let _ = function.run(&json!({"dryRun": true}), &invocation(&world), Ran::log).await;
            world.fail(operation, 3, fault);
            let event = json!({"dryRun": false});
            told.push(format!("{:?}", function.run(&event, &invocation(&world), Ran::log).await));
            world.forget_faults();
            world.all_end(leaked, leaked, None);
            told.push(format!("{:?}", function.run(&event, &invocation(&world), Ran::log).await));
        }
    }
    let lines = lines.text();
    assert!(lines.contains("[redacted]") && 60 <= lines.lines().count());
    for text in lines.lines().chain(told.iter().map(String::as_str)) {
        assert!(!text.contains("kanarie"), "{text}");
    }
    assert!(lines.contains("OTHER"), "the names of variables are no secrets");
}
