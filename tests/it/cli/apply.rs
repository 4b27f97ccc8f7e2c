//! `queue-scaler apply` in the in-process AWS: the plan that was shown, beside a function or without one.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use decision::config::{Config, Document};
use decision::event::Mode;
use decision::units::Containers;
use ecs_queue_scaler::aws::{Aws, Halt};
use ecs_queue_scaler::cli::apply::{
    ApplyError, Asked, How, Prepared, applied, ask_function, event_for_function, prepare,
};
use ecs_queue_scaler::cli::clean;
use ecs_queue_scaler::cli::deployment::TERMINAL;
use ecs_queue_scaler::cli::explain::{ExplainView, Trial, records};
use ecs_queue_scaler::cli::pause::Wish;
use ecs_queue_scaler::cli::plan::{PlanView, Shown as PlanPage, plan_of_function};
use ecs_queue_scaler::cli::result::TickResult;
use ecs_queue_scaler::cli::stop::Which;
use ecs_queue_scaler::run::Scaler;
use fastrand::Rng;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::runtime::Builder;
use tokio::time::{Instant, sleep_until};

use super::changes::{found, paused, to_stop, wished};
use super::plan::{cloud, deployment, of_all_kinds};
use crate::tick::{
    config, definition, definition_for_both, invocation, scaler, tick, ticked, worker, world_of,
};
use crate::world::weather::Weather;
use crate::world::{BEGINNING, Fault, World};

/// Its invocations cannot overlap.
const LAUNCH: How = How { mode: Mode::Launch, tick: None };

fn one_worker(messages: u64) -> (World, Value) {
    let world = world_of(&["a"]);
    world.queue("a").visible(messages);
    let scaling = json!({"messagesPerContainer": 1, "maxContainers": 300});
    let single = json!({"maxContainersPerTask": 1, "maxTasks": 300});
    (world, config(&[worker("a", &scaling, &single)]))
}

async fn prepared_as(world: &World, config: &Value, asked: &Asked) -> Result<Prepared, ApplyError> {
    let deployment = deployment(world, config).await;
    Box::pin(prepare(&deployment, &cloud(world), asked, &invocation(world))).await
}

async fn prepared(world: &World, config: &Value) -> Result<Prepared, ApplyError> {
    prepared_as(world, config, &Asked { is_name_given: true, ..Asked::default() }).await
}

fn aws(world: &World) -> Aws {
    let aws = Aws::new(&world.sdk_config()).unwrap();
    aws.for_tick(world.now(), Instant::now() + Duration::from_mins(5))
}

async fn carried_out(world: &World, config: &Value, prepared: Prepared) -> Value {
    let deployment = deployment(world, config).await;
    Box::pin(prepared.carry_out(&deployment, &aws(world))).await
}

fn page(result: &Value, planned: &PlanView, width: usize) -> String {
    let applied = applied(result, planned, width).unwrap();
    anstream::adapter::strip_str(&applied.page).to_string()
}

#[tokio::test(start_paused = true)]
async fn what_was_shown_is_started_once() {
    let (world, config) = one_worker(12);
    let first = prepared(&world, &config).await.unwrap();
    assert_eq!((first.view.totals.tasks, world.changes()), (12, 0));
    // What comes between the plan and the answer is not in it.
    world.queue("a").visible(20);
    let again = prepared(&world, &config).await.unwrap();
    let result = carried_out(&world, &config, first).await;
    assert_eq!((world.tasks().len(), result["totals"]["launchedTasks"].as_u64()), (12, Some(12)));
    let tags = world.tasks()[0]["tags"].to_string();
    assert!(tags.contains(TERMINAL), "{tags}");

    let second = carried_out(&world, &config, again).await;
    assert_eq!(world.tasks().len(), 12, "another delivery of this minute's tick: {second}");
    let same_minute = prepared(&world, &config).await.unwrap();
    assert!(!same_minute.view.launches(), "{:?}", same_minute.view);
    world.reach(Duration::from_mins(1)).await;
    let next = prepared(&world, &config).await.unwrap();
    assert_eq!(next.view.totals.tasks, 8, "its own tasks are no function's");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_started_beside_a_function() {
    let (world, config) = one_worker(2);
    let function = Scaler { function: "jobs-scaler".to_owned(), ..scaler(&world, &config) };
    let _ = tick(&function, &world, 0).await;
    world.all_end("EssentialContainerExited", "", Some(0));
    world.reach(Duration::from_mins(30)).await;
    world.queue("a").visible(5);
    let refused = prepared(&world, &config).await.unwrap_err();
    insta::assert_snapshot!("function", refused);
    let gone = Asked { no_function: true, is_name_given: true, ..Asked::default() };
    assert_eq!(prepared_as(&world, &config, &gone).await.unwrap().view.totals.tasks, 5);

    let denied = Fault::Error(400, "AccessDeniedException", "not authorized".to_owned());
    world.fail_where("ListTasks", "STOPPED", (9, denied));
    let unread = prepared(&world, &config).await.unwrap_err();
    assert!(matches!(unread, ApplyError::Unread(_)), "{unread}");
    world.forget_faults();
    world.reach(Duration::from_mins(62)).await;
    assert!(prepared(&world, &config).await.is_ok(), "it has started nothing for an hour");
    assert_eq!(world.changes(), 1, "the function's own call");
}

/// A function of before its name was noted.
#[tokio::test(start_paused = true)]
async fn a_tick_without_a_function_is_a_functions_all_the_same() {
    let (world, config) = one_worker(1);
    let function = Scaler { function: "jobs-scaler".to_owned(), ..scaler(&world, &config) };
    let _ = tick(&function, &world, 0).await;
    world.change_tasks(|task| {
        let tags = task["tags"].as_array_mut().unwrap();
        tags.retain(|tag| tag["key"] != "ecs-queue-scaler:function");
    });
    let refused = prepared(&world, &config).await.unwrap_err().to_string();
    assert!(refused.contains("were started by a function:"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_name_that_nobody_gave_starts_nothing_beside_others_tasks() {
    let (world, config) = one_worker(2);
    let other = Scaler {
        name: decision::units::ScalerName::parse("other").unwrap(),
        ..scaler(&world, &config)
    };
    let _ = tick(&other, &world, 0).await;
    let unnamed = Asked::default();
    let refused = prepared_as(&world, &config, &unnamed).await.unwrap_err();
    insta::assert_snapshot!("name", refused);
    let named = prepared(&world, &config).await.unwrap();
    assert_eq!((named.view.totals.tasks, named.view.notes.len()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn what_it_came_to_is_said_beside_what_was_planned() {
    let (world, config) = of_all_kinds().await;
    let gone = Asked { no_function: true, is_name_given: true, ..Asked::default() };
    let prepared = prepared_as(&world, &config, &gone).await.unwrap();
    let planned = prepared.view.clone();
    let answer =
        json!({"tasks": [], "failures": [{"reason": "RESOURCE:ENI"}, {"reason": "RESOURCE:ENI"}]});
    world.fail_where("RunTask", "thumbnail", (9, Fault::Answer(answer)));
    let result = carried_out(&world, &config, prepared).await;
    insta::assert_snapshot!("page_120", page(&result, &planned, 120));
    assert!(include_str!("../../../docs/cli.md").contains(&page(&result, &planned, 120)));
    insta::assert_snapshot!("page_80", page(&result, &planned, 80));
    assert!(applied(&result, &planned, 80).unwrap().is_short);
    let text = format!("{result} {}", page(&result, &planned, 80));
    assert!(text.contains("encode--x4") && !text.contains("hush"), "{text}");
}

/// Whole, in part, by an earlier call of the minute, and not at all for four reasons.
#[tokio::test(start_paused = true)]
async fn every_outcome_of_a_launch_has_its_line() {
    let names = ["whole", "partly", "nothing", "denied", "refused", "lost", "adopted", "later"];
    let world = world_of(&names);
    let one = json!({"messagesPerContainer": 1});
    let single = json!({"maxContainersPerTask": 1, "maxTasks": 300});
    let by_two = json!({"strategy": "dense", "maxContainersPerTask": 2});
    let packing = |name| if name == "refused" { &by_two } else { &single };
    let mut config = config(&names.map(|name| worker(name, &one, packing(name))));
    config["maxTasksPerTick"] = json!(34);
    for name in names {
        world.queue(name).visible(if name == "later" { 90 } else { 4 });
    }
    world.reach(Duration::from_mins(1)).await;
    let prepared = prepared(&world, &config).await.unwrap();
    let only = Asked { only: vec!["adopted".into()], is_name_given: true, ..Asked::default() };
    world.queue("adopted").visible(2);
    let earlier = prepared_as(&world, &config, &only).await.unwrap();
    let _ = carried_out(&world, &config, earlier).await;
    let denied = || Fault::Error(400, "AccessDeniedException", "not authorized".to_owned());
    let invalid = Fault::Error(400, "ClientException", "Too many revisions".to_owned());
    world.fail_where("RunTask", "worker:partly", (1, Fault::Placed(2, "RESOURCE:MEMORY")));
    world.fail_where("RunTask", "worker:nothing", (9, Fault::Placed(0, "RESOURCE:ENI")));
    world.fail_where("RunTask", "worker:denied", (9, denied()));
    world.fail("RegisterTaskDefinition", 9, invalid);
    world.fail_where("RunTask", "worker:lost", (9, Fault::Closed));
    let planned = prepared.view.clone();
    let result = carried_out(&world, &config, prepared).await;
    insta::assert_snapshot!("outcomes_120", page(&result, &planned, 120));
    insta::assert_snapshot!("outcomes_80", page(&result, &planned, 80));
    let shown = PlanPage { all: true, ..PlanPage::default() };
    insta::assert_snapshot!(
        "outcomes_planned",
        anstream::adapter::strip_str(&planned.page(&PlanPage { width: 100, ..shown }))
    );
    assert!(applied(&result, &planned, 80).unwrap().is_short);
    let view =
        ExplainView::new(&records(&result.to_string(), None).unwrap(), None, &Trial::default());
    assert!(view.decisions.iter().all(|decision| decision.is_same != Some(false)), "{view:?}");
}

/// Ctrl-C: what is out is waited for, and nothing follows it.
#[tokio::test(start_paused = true)]
async fn whoever_interrupts_hears_what_was_started() {
    let (world, config) = one_worker(45);
    let prepared = prepared(&world, &config).await.unwrap();
    let planned = prepared.view.clone();
    world.latency(Duration::from_secs(1));
    let halt = Halt::default();
    let deployment = deployment(&world, &config).await;
    let aws = aws(&world).with_halt(halt.clone());
    let interrupts = async {
        while !aws.tally().calls.contains_key("RunTask") {
            sleep_until(Instant::now() + Duration::from_millis(10)).await;
        }
        halt.set();
    };
    let (result, ()) = futures_util::join!(prepared.carry_out(&deployment, &aws), interrupts);
    assert_eq!((world.count("RunTask"), world.tasks().len()), (1, 10));
    insta::assert_snapshot!("interrupted", page(&result, &planned, 100));
}

#[tokio::test(start_paused = true)]
async fn a_function_that_is_busy_is_waited_for() {
    let (world, config) = one_worker(2);
    let function = scaler(&world, &config);
    let event = event_for_function(&["a".into()], &BTreeMap::new(), LAUNCH);
    let result = json!(ticked(&function, &event, &invocation(&world)).await);
    world.function("jobs", &json!({"SCALER_NAME": "scaler"}), &result);
    let busy = || Fault::Error(429, "TooManyRequestsException", "Rate Exceeded.".to_owned());
    world.fail("Invoke", 9, busy());
    let notes = std::cell::RefCell::new(Vec::new());
    let note = |line: &str| notes.borrow_mut().push(line.to_owned());
    let invoker = aws(&world).read.invoker();
    let answer = ask_function(&invoker, "jobs", &event, note).await.unwrap();
    assert_eq!(answer, result);
    assert_eq!(
        *notes.borrow(),
        ["jobs is busy with a tick of its own; waiting for its end, 90 s at most"]
    );

    world.fail("Invoke", 999, busy());
    let began = Instant::now();
    let given_up = ask_function(&invoker, "jobs", &event, |_| ()).await.unwrap_err();
    assert!(matches!(given_up, ApplyError::Busy(_)), "{given_up}");
    assert!((90..120).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}

/// Its error ends with the result, which says what was started.
#[tokio::test(start_paused = true)]
async fn a_function_that_fails_still_says_what_it_did() {
    let world = world_of(&["a", "b"]);
    let one = json!({"messagesPerContainer": 1});
    let mut config = config(&[worker("a", &one, &json!({})), worker("b", &one, &json!({}))]);
    config["workers"][1]["container"] = json!("no-such");
    for name in ["a", "b"] {
        world.queue(name).visible(1);
    }
    let function = scaler(&world, &config);
    let event = event_for_function(&["a".into(), "b".into()], &BTreeMap::new(), LAUNCH);
    let failed = Box::pin(function.run(&event, &invocation(&world), |_| ())).await.unwrap_err();
    let failed = lambda_runtime::Diagnostic::from(failed);
    let error = json!({"errorType": failed.error_type, "errorMessage": failed.error_message});
    world.function("jobs", &json!({}), &error);
    let invoker = aws(&world).read.invoker();
    let result = ask_function(&invoker, "jobs", &event, |_| ()).await.unwrap();
    let of_dry_run = json!({"dryRun": true, "check": false});
    let mut right = config.clone();
    right["workers"][1].as_object_mut().unwrap().remove("container");
    let planned = json!(ticked(&scaler(&world, &right), &of_dry_run, &invocation(&world)).await);
    let planned = TickResult::parse(&planned).unwrap();
    let deployment = deployment(&world, &config).await;
    let planned = plan_of_function(&deployment, planned, &cloud(&world), &invocation(&world));
    insta::assert_snapshot!("of_failure", page(&result, &planned, 100));
}

/// By a person, or by the function that is asked for it: under the worker's own bounds.
#[tokio::test(start_paused = true)]
async fn a_worker_is_run_although_nothing_waits_for_it() {
    let world = world_of(&["a"]);
    let scaling = json!({"messagesPerContainer": 1, "maxContainers": 3});
    let config = config(&[worker("a", &scaling, &json!({}))]);
    let run = |containers| Asked {
        only: vec!["a".into()],
        minimum: [("a".into(), Containers(containers))].into(),
        is_name_given: true,
        ..Asked::default()
    };
    let two = prepared_as(&world, &config, &run(2)).await.unwrap();
    let _ = carried_out(&world, &config, two).await;
    assert_eq!(world.tasks().len(), 2);
    world.reach(Duration::from_mins(1)).await;
    assert!(
        !prepared_as(&world, &config, &run(2)).await.unwrap().view.launches(),
        "they are there"
    );
    let nine = prepared_as(&world, &config, &run(9)).await.unwrap();
    assert_eq!(nine.view.totals.containers, 1, "maxContainers");

    let mut asked = Config::of(&Document::of_value("", &config)).unwrap();
    let of_file = asked.workers[0].digest();
    asked.workers[0].scaling.min_containers.asked = Containers(3);
    assert_eq!(asked.workers[0].digest(), of_file, "one event is no other configuration");

    let event = event_for_function(&["a".into()], &run(3).minimum, LAUNCH);
    let report = ticked(&scaler(&world, &config), &event, &invocation(&world)).await;
    assert_eq!((report.totals.launched_containers, world.tasks().len()), (Containers(1), 3));
}

/// A registered definition, `RunTask` and `StartTask`, and a superseded revision that goes.
#[tokio::test(start_paused = true)]
async fn the_second_policy_allows_what_is_changed_and_no_more() {
    let world = world_of(&["a", "b"]);
    world.register(&definition_for_both("b"));
    world.instance("jobs", json!({"ec2InstanceId": "i-1", "cpu": 2048, "memory": 4096}));
    let one = json!({"messagesPerContainer": 1});
    let dense = json!({"strategy": "dense", "maxContainersPerTask": 2});
    let mut config = config(&[worker("a", &one, &dense), worker("b", &one, &json!({}))]);
    config["workers"][1]["launch"] =
        json!({"launchType": "EC2", "placement": {"scheduler": "leastTasks"}});
    for (minute, image) in [(0, "worker:1"), (1, "worker:2")] {
        world.reach(Duration::from_secs(60 * minute)).await;
        let mut definition = definition("a");
        definition["containerDefinitions"][0]["image"] = json!(image);
        world.register(&definition);
        for name in ["a", "b"] {
            world.queue(name).visible(2 * (minute + 1));
        }
        let prepared = prepared(&world, &config).await.unwrap();
        let _ = carried_out(&world, &config, prepared).await;
    }
    let tags = [
        ("ecs-queue-scaler", "true"),
        ("ecs-queue-scaler:task-definition", "a"),
        ("ecs-queue-scaler:messages-per-container", "1"),
    ];
    world.tag_queue("found", &tags);
    let _ = world.queue("found");
    config["discover"] = json!({"tag": "ecs-queue-scaler"});
    for wish in [paused(None, None), Wish::Resumed] {
        let _ = wished(&world, &config, "found", wish).await.unwrap();
    }
    let all = to_stop(&world, &config, "a", Which::All).await.unwrap();
    let _ = all.stop(&aws(&world).write, "").await;
    world.register(&definition("a"));
    let asked = clean::Asked { delete: true, gone: false };
    let unneeded = found(&world, &config, asked).await;
    let _ = unneeded.carry_out(&aws(&world).write, asked, |_| ()).await;
    let actions = |text: &str| {
        let policy: Value = serde_json::from_str(text).unwrap();
        let actions = policy["Statement"][0]["Action"].as_array().unwrap().clone();
        let name = |action: Value| action.as_str().unwrap().split(':').nth(1).unwrap().to_owned();
        actions.into_iter().map(name).collect::<BTreeSet<_>>()
    };
    let read = actions(include_str!("../../../docs/operator-policy.json"));
    let changes = actions(include_str!("../../../docs/operator-policy-changes.json"));
    let called: BTreeSet<_> = world.take_calls().into_iter().map(|call| call.operation).collect();
    // A permission of calls that tag, and what is asked of the function.
    let beside = ["TagResource", "InvokeFunction"].map(str::to_owned);
    let called: BTreeSet<_> = called.difference(&read).cloned().chain(beside).collect();
    assert_eq!(called, changes);
}

/// How a tick of the function and an apply meet.
#[derive(Clone, Copy, PartialEq)]
enum Meeting {
    /// Both have the same minute.
    SameMinute,
    /// The tick is of the next minute, and comes after it.
    Later,
    /// The tick is of the next minute, and comes meanwhile.
    Meanwhile,
}

/// How late lists may be, in milliseconds.
const OLD_LISTS: u64 = 20_000;

/// What came of two that decided.
struct Met {
    /// Tasks that were started, by tick.
    started: Vec<usize>,
    /// What waits, under the cap of the worker.
    owed: usize,
    /// The cap of a tick.
    a_tick: usize,
}

/// Each call takes its own while, so that any await of one may fall between any two of the other.
async fn met(seed: u64, meeting: Meeting, lag: u64) -> Met {
    let mut rng = Rng::with_seed(seed);
    let (waiting, at_most, a_tick) = (rng.usize(1..35), rng.usize(1..35), rng.usize(10..35));
    let (world, mut config) = one_worker(u64::try_from(waiting).unwrap());
    config["workers"][0]["scaling"]["maxContainers"] = json!(at_most);
    config["maxTasksPerTick"] = json!(a_tick);
    let mut weather = Weather::new(seed, 0);
    weather.lag = lag;
    world.state().weather = Some(weather);
    let function = Scaler { function: "jobs".to_owned(), ..scaler(&world.seen_by(2), &config) };
    let terminal = world.seen_by(1);
    let mut wait = |from: u64| Duration::from_millis(from + rng.u64(0..3_000));
    let (minute, apply_after, tick_after) = match meeting {
        Meeting::SameMinute => (0, wait(50_000), wait(50_000)),
        Meeting::Later => (1, wait(45_000), wait(60_000)),
        Meeting::Meanwhile => (1, wait(57_000), wait(60_000)),
    };
    let apply = async {
        terminal.reach(apply_after).await;
        if let Ok(prepared) = prepared(&terminal, &config).await {
            let _ = carried_out(&terminal, &config, prepared).await;
        }
    };
    let beginning: Timestamp = BEGINNING.parse().unwrap();
    let event =
        json!({"scheduledTime": (beginning + Duration::from_secs(60 * minute)).to_string()});
    let tick = async {
        world.reach(tick_after).await;
        ticked(&function, &event, &invocation(&world)).await
    };
    let _ = futures_util::join!(apply, tick);
    let mut started = BTreeMap::<_, usize>::new();
    for task in world.tasks() {
        let tags = task["tags"].as_array().unwrap();
        let tick = tags.iter().find(|tag| tag["key"] == "ecs-queue-scaler:tick").unwrap();
        *started.entry(tick["value"].to_string()).or_default() += 1;
    }
    Met { started: started.into_values().collect(), owed: waiting.min(at_most), a_tick }
}

/// Whoever is first has the minute, and who comes later starts no more than is still owed where the lists show
/// what runs. Where they do not, or where both decide at the same time, one tick's launches are made again, and
/// no more: which is why nothing is applied beside a function.
#[test]
fn two_that_decide_at_once_answer_no_message_twice() {
    // Each thread has its own time.
    let seeds = [0..1000, 1000..2000];
    let again: usize = std::thread::scope(|scope| {
        let threads = seeds.map(|seeds| scope.spawn(|| decided_at_once(seeds)));
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert!(0 < again, "else this shows nothing");
}

/// How often a tick's launches were made again.
fn decided_at_once(seeds: Range<u64>) -> usize {
    let mut again = 0;
    for seed in seeds {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        again += runtime.unwrap().block_on(decided_by(seed));
    }
    again
}

async fn decided_by(seed: u64) -> usize {
    let lag = if seed.is_multiple_of(2) { 0 } else { OLD_LISTS };
    // One tick, whoever delivers it.
    let Met { started, owed, a_tick } = met(seed, Meeting::SameMinute, lag).await;
    assert_eq!(started, [owed.min(a_tick)], "seed {seed}");
    // Two, of which the second starts what the first had to leave.
    let Met { started, owed, a_tick } = met(seed, Meeting::Later, 0).await;
    assert_eq!(started.iter().sum::<usize>(), owed.min(2 * a_tick), "seed {seed}");
    let mut again = 0;
    for (meeting, lag) in [(Meeting::Later, OLD_LISTS), (Meeting::Meanwhile, lag)] {
        let Met { started, owed, a_tick } = met(seed, meeting, lag).await;
        let all: usize = started.iter().sum();
        let a_tick = owed.min(a_tick);
        assert!(started.len() <= 2 && started.iter().all(|tasks| *tasks <= a_tick), "seed {seed}");
        assert!(owed.min(2 * a_tick) <= all && all <= owed + a_tick, "seed {seed}: {started:?}");
        again += usize::from(owed < all);
    }
    again
}
