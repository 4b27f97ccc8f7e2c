//! Where the configuration comes from, what a newer one that cannot be used does, and the workers
//! that the tags of queues describe.

mod discovery;
mod requests;

use std::time::Duration;

use decision::event::Mode;
use ecs_queue_scaler::aws::Aws;
use ecs_queue_scaler::report::{Outcome, Report};
use ecs_queue_scaler::run::{Invocation, Ran, RunError, Scaler};
use jiff::SignedDuration;
use lambda_runtime::Diagnostic;
use serde_json::{Value, json};

use crate::tick::{config, invocation, tick, ticked, worker, world_of};
use crate::world::{Executed, Fault, World};

const BUCKET: &str = "a-bucket";

/// A function that was just started, with the configuration at a place.
fn function(world: &World, source: &str) -> Scaler {
    Scaler {
        aws: Aws::new(&world.sdk_config()),
        ..Scaler::new("scaler", source, Mode::Launch).unwrap()
    }
}

fn one_each(names: &[&str]) -> Value {
    let one = json!({"messagesPerContainer": 1});
    config(&names.iter().map(|name| worker(name, &one, &json!({}))).collect::<Vec<_>>())
}

fn with(mut config: Value, key: &str, value: Value) -> Value {
    config[key] = value;
    config
}

fn names(report: &Report) -> Vec<&str> {
    report.workers.iter().map(|worker| worker.worker.as_str()).collect()
}

fn error_of(report: &Report) -> &str {
    report.config.error.as_deref().unwrap_or_default()
}

/// An invocation of now, as the Lambda runtime sees its end.
async fn invoked(function: &Scaler, world: &World) -> Result<Report, Diagnostic> {
    let ran = function.run(&json!({"dryRun": false}), &invocation(world), |_| ()).await;
    let in_words = |error: RunError| {
        // Without the result, which whoever invokes it gets beside them.
        let error_message = error.to_string();
        Diagnostic { error_message, ..error.into() }
    };
    let Ran::Tick(report) = ran.map_err(in_words)? else { panic!("no notice was sent") };
    Ok(*report)
}

#[tokio::test(start_paused = true)]
async fn a_parameter_is_asked_for_when_it_is_due_and_not_before() {
    let world = world_of(&["a", "b"]);
    world.put_parameter("/scaler", &one_each(&["a"]).to_string());
    let function = function(&world, "ssm:/scaler");
    let mut seen = Vec::new();
    for minute in 0..12 {
        if minute == 3 {
            world.put_parameter("/scaler", &one_each(&["a", "b"]).to_string());
        }
        world.take_calls();
        let report = tick(&function, &world, minute).await;
        let of_config = &report.config;
        let version = of_config.version.clone().unwrap();
        seen.push((
            world.count("GetParameter"),
            version,
            of_config.age_seconds,
            names(&report).len(),
        ));
        assert_eq!((of_config.source.as_str(), error_of(&report)), ("ssm:/scaler", ""));
    }
    let expected = [
        (1, 1, 0, 1),
        (0, 1, 60, 1),
        (0, 1, 120, 1),
        (0, 1, 180, 1),
        (0, 1, 240, 1),
        (1, 2, 0, 2),
        (0, 2, 60, 2),
        (0, 2, 120, 2),
        (0, 2, 180, 2),
        (0, 2, 240, 2),
        (1, 2, 0, 2),
        (0, 2, 60, 2),
    ];
    let expected = expected.map(|(calls, version, age, n)| (calls, version.to_string(), age, n));
    assert_eq!(seen, expected);
}

#[tokio::test(start_paused = true)]
async fn a_configuration_may_be_asked_for_at_every_tick() {
    let world = world_of(&["a"]);
    let config = with(one_each(&["a"]), "configRefresh", json!("0s"));
    world.put_object(BUCKET, "jobs/workers 1.yaml", config.to_string().as_bytes());
    let function = function(&world, "s3://a-bucket/jobs/workers 1.yaml");
    for minute in 0..3 {
        let report = tick(&function, &world, minute).await;
        assert_eq!((error_of(&report), report.config.age_seconds), ("", 0));
    }
    let calls = world.take_calls().into_iter().filter(|call| call.operation == "GetObject");
    let known: Vec<_> = calls.map(|call| call.input["IfNoneMatch"].clone()).collect();
    assert_eq!(known[0], json!(""));
    assert!(known[1].as_str().unwrap().starts_with('"') && known[1] == known[2], "{known:?}");
}

#[tokio::test(start_paused = true)]
async fn a_newer_parameter_is_in_force_when_it_is_due_though_the_process_was_frozen() {
    let world = world_of(&["a", "b"]);
    world.put_parameter("/scaler", &one_each(&["a"]).to_string());
    let function = function(&world, "ssm:/scaler");
    assert_eq!(names(&tick(&function, &world, 0).await), ["a"]);
    world.put_parameter("/scaler", &one_each(&["a", "b"]).to_string());
    world.frozen_until(Duration::from_mins(3));
    let early = tick(&function, &world, 3).await;
    assert_eq!((names(&early), early.config.age_seconds), (vec!["a"], 180));
    world.frozen_until(Duration::from_mins(5));
    let due = tick(&function, &world, 5).await;
    assert_eq!((names(&due), due.config.age_seconds), (vec!["a", "b"], 0));
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_set_back_has_the_source_asked_anew() {
    let world = world_of(&["a", "b"]);
    world.put_parameter("/scaler", &one_each(&["a"]).to_string());
    let function = function(&world, "ssm:/scaler");
    let names_at = async |wrong_by| {
        world.clock_is_wrong_by(SignedDuration::from_hours(wrong_by));
        let of = Invocation::new("request", world.wall_clock(), 0);
        let report = ticked(&function, &json!({"dryRun": true}), &of).await;
        (report.workers.len(), report.config.age_seconds)
    };
    assert_eq!(names_at(0).await, (1, 0));
    world.put_parameter("/scaler", &one_each(&["a", "b"]).to_string());
    assert_eq!(names_at(-1).await, (2, 0), "not in an hour");
    world.put_parameter("/scaler", &one_each(&["b"]).to_string());
    assert_eq!(names_at(23).await, (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_parameter_that_was_made_anew_is_a_newer_one_though_its_version_is_not() {
    let world = world_of(&["a", "b"]);
    let at_once = |names: &[&str]| with(one_each(names), "configRefresh", json!("0s")).to_string();
    world.put_parameter("/scaler", &at_once(&["a"]));
    let function = function(&world, "ssm:/scaler:1");
    assert_eq!(names(&tick(&function, &world, 0).await), ["a"]);
    world.reach(Duration::from_secs(30)).await;
    world.delete_parameter("/scaler");
    world.put_parameter("/scaler", &at_once(&["b"]));
    assert_eq!(names(&tick(&function, &world, 1).await), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn a_file_is_looked_at_before_every_tick() {
    let world = world_of(&["a", "b"]);
    let path = format!("{}/workers-{}.yaml", env!("CARGO_TARGET_TMPDIR"), std::process::id());
    std::fs::write(&path, one_each(&["a"]).to_string()).unwrap();
    let function = function(&world, &format!("file:{path}"));
    assert_eq!(names(&tick(&function, &world, 0).await), ["a"]);
    std::fs::write(&path, one_each(&["a", "b"]).to_string()).unwrap();
    assert_eq!(names(&tick(&function, &world, 1).await), ["a", "b"]);
    std::fs::write(&path, vec![b'x'; (1 << 20) + 1]).unwrap();
    let kept = tick(&function, &world, 2).await;
    assert_eq!(names(&kept), ["a", "b"]);
    assert!(error_of(&kept).contains("more than 1048576 bytes"), "{kept:?}");
    std::fs::remove_file(&path).unwrap();
    let kept = tick(&function, &world, 3).await;
    assert_eq!(names(&kept), ["a", "b"]);
    assert!(error_of(&kept).contains("No such file"), "{kept:?}");
}

/// What a function says that starts where its configuration is like this; and that it works as soon
/// as that is repaired.
async fn told_from_cold(source: &str, disturb: impl Fn(&World)) -> String {
    let world = world_of(&["a"]);
    world.queue("a").visible(1);
    disturb(&world);
    let function = function(&world, source);
    let Diagnostic { error_type, error_message } = invoked(&function, &world).await.unwrap_err();
    assert_eq!((error_type.as_str(), world.changes()), ("ConfigError", 0), "{error_message}");
    world.forget_faults();
    world.put_parameter("/scaler", &one_each(&["a"]).to_string());
    world.put_parameter("/scaler", &one_each(&["a"]).to_string());
    world.put_object(BUCKET, "key", one_each(&["a"]).to_string().as_bytes());
    world.bucket_of(crate::world::REGION, BUCKET);
    let report = invoked(&function, &world).await.unwrap();
    assert_eq!(report.workers[0].outcome, Outcome::Launched, "{error_message}");
    error_message
}

fn answers(operation: &'static str, (status, code): (u16, &'static str)) -> impl Fn(&World) {
    let message = "User: arn:aws:sts::123456789012:assumed-role/x is not authorized";
    move |world| world.fail(operation, 9, Fault::Error(status, code, message.to_owned()))
}

#[tokio::test(start_paused = true)]
async fn a_source_that_gives_nothing_is_told_with_what_to_do_and_asked_again() {
    let parameter = |text: &'static str| move |world: &World| world.put_parameter("/scaler", text);
    let object = |bytes: &'static [u8]| move |world: &World| world.put_object(BUCKET, "key", bytes);
    let (ssm, s3) = ("ssm:/scaler", "s3://a-bucket/key");
    let messages = [
        told_from_cold(ssm, |_| ()).await,
        told_from_cold("ssm:/scaler:2", parameter("x")).await,
        told_from_cold(ssm, answers("GetParameter", (400, "AccessDeniedException"))).await,
        told_from_cold(ssm, answers("GetParameter", (400, "ThrottlingException"))).await,
        told_from_cold(ssm, answers("GetParameter", (500, "InternalServerError"))).await,
        told_from_cold(ssm, |world| {
            world.fail("GetParameter", 1, Fault::Answer(json!({"Parameter": {}})));
        })
        .await,
        told_from_cold(ssm, |world| world.fail("GetParameter", 3, Fault::Hang(Executed::No))).await,
        told_from_cold(ssm, parameter("")).await,
        told_from_cold(ssm, parameter("workers: [")).await,
        told_from_cold(ssm, parameter("{workers: [], configRefresh: 5, discovre: {}}")).await,
        told_from_cold(s3, |_| ()).await,
        told_from_cold(s3, |world| world.put_object(BUCKET, "other", b"")).await,
        told_from_cold(s3, answers("GetObject", (403, "AccessDenied"))).await,
        told_from_cold(s3, answers("GetObject", (503, "SlowDown"))).await,
        told_from_cold(s3, |world| world.bucket_of("eu-west-1", BUCKET)).await,
        told_from_cold(s3, object(b"workers: \xff")).await,
        told_from_cold(s3, |world| world.put_object(BUCKET, "key", &vec![b'x'; (1 << 20) + 1]))
            .await,
    ];
    insta::assert_snapshot!(messages.join("\n\n"));
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_named_by_mistake_is_not_told() {
    for secret in
        ["hunter-2", "{\"user\": \"a\", \"password\": \"hunter-2\"}", "hunter-2: [", "- hunter-2"]
    {
        let world = world_of(&["a"]);
        world.put_parameter("/scaler", secret);
        let function = function(&world, "ssm:/scaler");
        let told = invoked(&function, &world).await.unwrap_err().error_message;
        assert!(!told.contains("hunter-2"), "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_clock_is_corrected_for_every_service() {
    let world = world_of(&["a"]);
    let config = with(one_each(&["a"]), "discover", json!({}));
    world.put_parameter("/scaler", &config.to_string());
    world.put_object(BUCKET, "key", config.to_string().as_bytes());
    for source in ["ssm:/scaler", "s3://a-bucket/key"] {
        world.clock_is_wrong_by(SignedDuration::from_mins(-20));
        let aws = Aws::new(&world.sdk_config_with_clock());
        let function = Scaler { aws, ..function(&world, source) };
        let report = tick(&function, &world, 0).await;
        assert_eq!((names(&report), error_of(&report)), (vec!["a"], ""));
        assert_eq!(report.config.discovery.unwrap().error, None);
    }
}

#[tokio::test(start_paused = true)]
async fn trouble_that_passes_is_not_told() {
    for (source, operation) in [("ssm:/scaler", "GetParameter"), ("s3://a-bucket/key", "GetObject")]
    {
        let world = world_of(&["a"]);
        world.put_parameter("/scaler", &one_each(&["a"]).to_string());
        world.put_object(BUCKET, "key", one_each(&["a"]).to_string().as_bytes());
        let throttled = Fault::Error(400, "ThrottlingException", "Rate exceeded".to_owned());
        world.fail(operation, 1, throttled);
        world.fail(operation, 1, Fault::LostAnswer);
        let report = tick(&function(&world, source), &world, 0).await;
        assert_eq!((error_of(&report), world.count(operation)), ("", 3));
    }
}

/// What is told when a newer version or the source itself is like this; the good one stays in force
/// as a whole, and what is repaired is used.
async fn told_when_warm(source: &str, disturb: impl Fn(&World)) -> String {
    let world = world_of(&["a", "b", "c"]);
    let put = |config: &Value| {
        world.put_parameter("/scaler", &config.to_string());
        world.put_object(BUCKET, "key", config.to_string().as_bytes());
    };
    put(&one_each(&["a", "b"]));
    let function = function(&world, source);
    assert!(invoked(&function, &world).await.is_ok());

    world.reach(Duration::from_mins(5)).await;
    disturb(&world);
    world.queue("a").visible(1);
    world.queue("b").visible(1);
    let Diagnostic { error_type, error_message } = invoked(&function, &world).await.unwrap_err();
    assert_eq!(error_type, "ConfigError", "{error_message}");
    assert_eq!(world.tasks().len(), 2, "both workers of the good one are served: {error_message}");
    world.queue("a").visible(0);
    world.queue("b").visible(0);
    let report = tick(&function, &world, 6).await;
    assert!(error_message.ends_with(error_of(&report)), "{error_message}\n{report:?}");
    assert_eq!(names(&report), ["a", "b"]);

    world.forget_faults();
    put(&one_each(&["a", "b", "c"]));
    let report = tick(&function, &world, 7).await;
    assert_eq!((error_of(&report), names(&report)), ("", vec!["a", "b", "c"]), "{error_message}");
    error_message
}

#[tokio::test(start_paused = true)]
async fn a_newer_configuration_that_cannot_be_used_leaves_the_good_one_whole() {
    fn put(config: Value) -> impl Fn(&World) {
        move |world| {
            world.put_parameter("/scaler", &config.to_string());
            world.put_object(BUCKET, "key", config.to_string().as_bytes());
        }
    }
    let mut one_is_broken = one_each(&["a", "b", "c"]);
    one_is_broken["workers"][1]["taskDefinition"] = json!(7);
    let (ssm, s3) = ("ssm:/scaler", "s3://a-bucket/key");
    let of_s3 = |message: String| {
        // The ETags, which say nothing to a person.
        let words = message.split(' ').map(|word| if word.len() == 32 { "ETAG" } else { word });
        words.collect::<Vec<_>>().join(" ")
    };
    let messages = [
        told_when_warm(ssm, put(one_is_broken.clone())).await,
        told_when_warm(ssm, put(with(one_each(&["c"]), "maxTasksPerTick", json!(0)))).await,
        told_when_warm(ssm, |world| world.put_parameter("/scaler", "")).await,
        told_when_warm(ssm, |world| world.delete_parameter("/scaler")).await,
        told_when_warm(ssm, answers("GetParameter", (400, "AccessDeniedException"))).await,
        told_when_warm(ssm, answers("GetParameter", (400, "ThrottlingException"))).await,
        of_s3(told_when_warm(s3, put(one_is_broken)).await),
        of_s3(told_when_warm(s3, |world| world.delete_object(BUCKET, "key")).await),
        of_s3(told_when_warm(s3, |world| world.put_object(BUCKET, "key", b"\xff\xfe")).await),
    ];
    insta::assert_snapshot!(messages.join("\n\n"));
}

#[tokio::test(start_paused = true)]
async fn the_version_that_cannot_be_used_is_not_sent_again_and_a_way_back_is_taken() {
    let world = world_of(&["a"]);
    let good = one_each(&["a"]).to_string();
    world.put_object(BUCKET, "key", good.as_bytes());
    let function = function(&world, "s3://a-bucket/key");
    let _ = tick(&function, &world, 0).await;
    world.put_object(BUCKET, "key", b"[");
    for minute in [5, 6] {
        let report = tick(&function, &world, minute).await;
        assert!(error_of(&report).contains("cannot be used"), "{report:?}");
    }
    let calls = world.take_calls().into_iter().filter(|call| call.operation == "GetObject");
    let known: Vec<_> = calls.map(|call| call.input["IfNoneMatch"].clone()).collect();
    assert_eq!(known.len(), 3, "what is in trouble is asked for at every tick");
    assert_ne!(known[1], known[2], "the second time, what cannot be used is known");
    world.put_object(BUCKET, "key", good.as_bytes());
    assert_eq!(error_of(&tick(&function, &world, 7).await), "");
    world.take_calls();
    let _ = tick(&function, &world, 8).await;
    assert_eq!(world.count("GetObject"), 0);
}

/// Where nothing good is known, the newer one is as good as any.
#[tokio::test(start_paused = true)]
async fn a_mistake_of_one_worker_refuses_that_one_where_nothing_better_is_known() {
    let world = world_of(&["a", "b"]);
    let mut broken = with(one_each(&["a", "b"]), "configRefresh", json!("0s"));
    broken["workers"][1]["queue"] = json!(7);
    world.put_parameter("/scaler", &broken.to_string());
    let function = function(&world, "ssm:/scaler");
    let report = tick(&function, &world, 0).await;
    assert_eq!((names(&report), report.totals.failed_workers), (vec!["a", "b"], 1));
    broken["workers"][0]["queue"] = json!("b");
    world.put_parameter("/scaler", &broken.to_string());
    let report = tick(&function, &world, 1).await;
    assert_eq!((error_of(&report), report.config.version.as_deref()), ("", Some("2")));
}

#[tokio::test(start_paused = true)]
async fn of_a_thousand_workers_the_broken_ones_are_refused_and_later_keep_the_good_ones() {
    let world = World::default();
    world.cluster("jobs");
    let names: Vec<_> = (0..1000).map(|n| format!("worker-{n}")).collect();
    for name in &names {
        drop(world.queue(name));
    }
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut all = one_each(&names);
    let breaks = |all: &mut Value| {
        for n in (0..1000).step_by(37) {
            all["workers"][n]["scaling"] = json!({"messagesPerContainer": "many"});
        }
    };
    let put = |config: &Value| world.put_object(BUCKET, "key", config.to_string().as_bytes());

    breaks(&mut all);
    put(&all);
    let report = tick(&function(&world, "s3://a-bucket/key"), &world, 0).await;
    assert_eq!((report.totals.workers, report.totals.failed_workers), (1000, 28));
    assert_eq!(report.workers.iter().filter(|w| w.outcome == Outcome::Idle).count(), 972);

    put(&one_each(&names));
    let function = function(&world, "s3://a-bucket/key");
    assert_eq!(tick(&function, &world, 1).await.totals.failed_workers, 0);
    put(&all);
    let kept = tick(&function, &world, 6).await;
    assert_eq!((kept.totals.workers, kept.totals.failed_workers), (1000, 0));
    let error = error_of(&kept);
    assert!(error.contains("\"worker-37\"") && error.ends_with("and 18 more"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_source_that_hangs_delays_the_good_one_by_seconds_only() {
    let world = world_of(&["a"]);
    world.put_parameter("/scaler", &one_each(&["a"]).to_string());
    let function = function(&world, "ssm:/scaler");
    let _ = tick(&function, &world, 0).await;
    world.queue("a").visible(1);
    world.fail("GetParameter", 9, Fault::Hang(Executed::No));
    let report = tick(&function, &world, 5).await;
    assert_eq!(report.workers[0].outcome, Outcome::Launched);
    assert!(error_of(&report).contains("stays in force"), "{report:?}");
    assert!(report.totals.milliseconds < 7_000, "{}", report.totals.milliseconds);
}

#[tokio::test(start_paused = true)]
async fn what_is_prepared_is_not_read_again_by_the_first_tick() {
    let world = world_of(&["a"]);
    let function = function(&world, "ssm:/scaler");
    function.prepare(world.now()).await;
    world.put_parameter("/scaler", &one_each(&["a"]).to_string());
    function.prepare(world.now()).await;
    world.take_calls();
    assert_eq!(names(&tick(&function, &world, 0).await), ["a"]);
    assert_eq!(world.count("GetParameter"), 0);
}

#[tokio::test(start_paused = true)]
async fn an_event_with_workers_of_its_own_needs_no_source() {
    let world = world_of(&["a"]);
    let function = function(&world, "ssm:/nowhere");
    let event = with(one_each(&["a"]), "dryRun", json!(true));
    let report = ticked(&function, &event, &invocation(&world)).await;
    assert_eq!((report.config.source.as_str(), world.count("GetParameter")), ("event", 0));
}
