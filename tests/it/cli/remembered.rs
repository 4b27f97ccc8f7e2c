//! `--remember`: tasks that ended badly, after ECS has forgotten them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use decision::units::WorkerName;
use ecs_queue_scaler::aws::{Aws, ReadCloud};
use ecs_queue_scaler::cli::page::Clock;
use ecs_queue_scaler::cli::status::{
    Asked, Remembered, Session, StatusView, Urgency, Whose, WorkerView, refresh, worker as closely,
};
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

use super::plan::{cloud, deployment};
use crate::tick::{config, definition, invocation, scaler, tick, worker, world_of, world_with};
use crate::world::{Fault, World};

const REASON: &str = "CannotStartContainerError: hunter22 is no option";

const OURS: Whose<'_> = Whose { scaler: "scaler", region: "eu-central-1", account: "123456789012" };

fn open(file: &Path) -> Result<Remembered, String> {
    Remembered::open(file, OURS)
}

/// A file in a folder of its own, and a screen that remembers in it.
fn remembering() -> (TempDir, PathBuf, Session) {
    let folder = tempdir().unwrap();
    let file = folder.path().join("remembered.jsonl");
    let session = Session::with(open(&file).unwrap());
    (folder, file, session)
}

fn with_a_value(family: &str) -> Value {
    let mut definition = definition(family);
    definition["containerDefinitions"][0]["environment"] =
        json!([{"name": "KEY", "value": "hunter22"}]);
    definition
}

fn one_each(names: &[&str]) -> Value {
    let one = json!({"messagesPerContainer": 1});
    config(&names.iter().map(|name| worker(name, &one, &json!({}))).collect::<Vec<_>>())
}

/// A refresh, as a screen makes one.
async fn refreshed(world: &World, config: &Value, session: &Session) -> StatusView {
    let deployment = deployment(world, config).await;
    let (cloud, invocation) = (cloud(world), invocation(world));
    Box::pin(refresh(&deployment, &cloud, session, &invocation)).await.unwrap()
}

async fn looked(world: &World, config: &Value, session: &Session) -> WorkerView {
    let deployment = deployment(world, config).await;
    let (cloud, invocation) = (cloud(world), invocation(world));
    let name = WorkerName::from("fails");
    let view = Box::pin(closely(&deployment, &cloud, &name, &invocation)).await.unwrap();
    session.completed(view, invocation.now)
}

/// Three of one worker have failed, and one of another has done its work.
async fn after_failures() -> (World, Value) {
    let names = ["fails", "works"];
    let world = world_with(&names, with_a_value);
    let config = one_each(&names);
    world.queue("fails").visible(3);
    let _ = tick(&scaler(&world, &config), &world, 0).await;
    world.all_run();
    world.all_end("TaskFailedToStart", REASON, Some(1));
    world.queue("fails").visible(0);
    world.queue("works").visible(1);
    let _ = tick(&scaler(&world, &config), &world, 1).await;
    world.all_run();
    world.reach(Duration::from_secs(90)).await;
    world.all_end("EssentialContainerExited", "done", Some(0));
    world.queue("works").visible(0);
    (world, config)
}

#[tokio::test(start_paused = true)]
async fn what_ended_badly_is_shown_after_ecs_has_forgotten_it_and_the_program_was_started_again() {
    let (world, config) = after_failures().await;
    let (_folder, file, session) = remembering();
    for _ in 0..2 {
        let view = refreshed(&world, &config, &session).await;
        assert_eq!(view.notes, Vec::<String>::new());
    }
    let text = fs::read_to_string(&file).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 1 + 3, "each once, and none that did its work: {text}");
    assert!(text.contains("[redacted] is no option") && !text.contains("hunter22"), "{text}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    let soon = looked(&world, &config, &session).await;
    assert_eq!((soon.ended.len(), soon.ended_before.len()), (1, 0), "which ECS lists");
    world.reach(Duration::from_hours(5)).await;
    let later = looked(&world, &config, &Session::with(open(&file).unwrap())).await;
    assert_eq!((later.ended.len(), later.ended_before.len()), (0, 1), "which it does not");
    let asked = Asked { width: 100, clock: Clock::utc(), ..Asked::default() };
    let page = anstream::adapter::strip_str(&later.page(&asked)).to_string();
    insta::assert_snapshot!(page);
    let without = looked(&world, &config, &Session::default()).await;
    assert_eq!(without.ended_before, []);
}

/// A program that looks at many workers leaves the rate of ECS to the function.
#[tokio::test(start_paused = true)]
async fn five_definitions_are_read_at_a_look_and_the_others_at_the_next_ones() {
    let names = ["a", "b", "c", "d", "e", "f", "g"];
    let world = world_of(&names);
    let config = one_each(&names);
    for name in names {
        world.queue(name).visible(1);
    }
    let _ = tick(&scaler(&world, &config), &world, 0).await;
    world.all_run();
    world.all_end("TaskFailedToStart", "no reason", Some(1));
    for name in names {
        world.queue(name).visible(0);
    }
    let (_folder, file, session) = remembering();
    let lines = || fs::read_to_string(&file).unwrap().lines().count();
    for (definitions, remembered) in [(5, 5), (2, 7), (0, 7)] {
        world.take_calls();
        let _ = refreshed(&world, &config, &session).await;
        assert_eq!((world.count("DescribeTaskDefinition"), lines()), (definitions, 1 + remembered));
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_written_is_a_note_until_it_can() {
    let (world, config) = after_failures().await;
    let (_folder, file, session) = remembering();
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    for _ in 0..2 {
        let notes = refreshed(&world, &config, &session).await.notes;
        let note = notes.first().unwrap();
        assert!(note.starts_with("what ends badly is not remembered: "), "{note}");
    }
    fs::remove_dir(&file).unwrap();
    assert_eq!(refreshed(&world, &config, &session).await.notes, Vec::<String>::new());
    assert_eq!(fs::read_to_string(&file).unwrap().matches("TaskFailedToStart").count(), 3);
    open(&file).expect("it has its head again");
}

/// As after a new session of the same person: what is known of values that may not be shown stays known.
#[tokio::test(start_paused = true)]
async fn what_was_read_before_new_credentials_is_hidden_after_them() {
    let (world, config) = after_failures().await;
    let (_folder, file, session) = remembering();
    let (found, before) = (deployment(&world, &config).await, cloud(&world));
    let look = async |cloud: &ReadCloud| {
        let of = invocation(&world);
        drop(Box::pin(refresh(&found, cloud, &session, &of)).await.unwrap());
    };
    look(&before).await;
    world.reach(Duration::from_mins(3)).await;
    world.queue("fails").visible(3);
    let _ = tick(&scaler(&world, &config), &world, 3).await;
    world.all_run();
    world.all_end("TaskFailedToStart", REASON, Some(1));
    world.queue("fails").visible(0);
    let after = Aws::new(&world.sdk_config()).unwrap().instead_of(&before).read;
    look(&after).await;
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.lines().count() > 4 && !text.contains("hunter22"), "{text}");
}

/// Of a definition that is gone nobody knows what is to be hidden; and it keeps no other from being remembered.
#[tokio::test(start_paused = true)]
async fn without_its_definition_a_task_is_remembered_without_a_reason() {
    let (world, config) = after_failures().await;
    let (_folder, file, session) = remembering();
    let gone =
        Fault::Error(400, "ClientException", "Unable to describe task definition.".to_owned());
    world.fail("DescribeTaskDefinition", 1, gone);
    for _ in 0..2 {
        world.take_calls();
        let _ = refreshed(&world, &config, &session).await;
    }
    assert_eq!(world.count("DescribeTaskDefinition"), 0, "it is asked for once");
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(text.matches("its reason is not kept").count(), 3, "{text}");
    assert!(text.contains("exit 1") && !text.contains("hunter22"), "{text}");
}

#[test]
fn a_file_of_something_else_stays_as_it_is() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("remembered.jsonl");
    open(&file).unwrap();
    let head = fs::read_to_string(&file).unwrap();
    for (text, region, why) in [
        ("a letter\n", "eu-central-1", "it is no file of --remember, and stays as it is"),
        ("\n", "eu-central-1", "it is no file of --remember, and stays as it is"),
        (
            head.as_str(),
            "us-east-1",
            "tasks of `scaler` in eu-central-1 of account 123456789012, and",
        ),
    ] {
        fs::write(&file, text).unwrap();
        let error = Remembered::open(&file, Whose { region, ..OURS }).unwrap_err();
        assert!(error.starts_with("--remember ") && error.contains(why), "{error}");
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
    assert!(open(folder.path()).unwrap_err().contains("is no file"));
    assert!(open(Path::new("/dev/zero")).unwrap_err().contains("is no file"));
    assert!(open(&folder.path().join("no/such")).is_err());
}

/// Of a disk that was full, or a program that was ended while it wrote.
#[tokio::test(start_paused = true)]
async fn half_a_line_is_none_and_spoils_no_other() {
    let (world, config) = after_failures().await;
    let folder = tempdir().unwrap();
    let file = folder.path().join("remembered.jsonl");
    open(&file).unwrap();
    let mut text = fs::read(&file).unwrap();
    // Cut within a character.
    text.extend(b"{\"worker\": \"fails\", \"ta\xc3");
    fs::write(&file, text).unwrap();
    let view = refreshed(&world, &config, &Session::with(open(&file).unwrap())).await;
    let failing = view.workers.iter().find(|row| row.worker == "fails").unwrap();
    assert_eq!((failing.urgency, failing.failed), (Urgency::Failing, Some(3)));
    world.reach(Duration::from_hours(5)).await;
    let later = looked(&world, &config, &Session::with(open(&file).unwrap())).await;
    assert_eq!(later.ended_before.iter().map(|row| row.tasks).sum::<u64>(), 3);
}
