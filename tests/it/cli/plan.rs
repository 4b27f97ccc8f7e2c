//! `queue-scaler plan` in the in-process AWS: what it says of every outcome, and that it changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ecs_queue_scaler::aws::{Aws, LogLines, ReadCloud};
use ecs_queue_scaler::cli::apply::{How, event_for_function};
use ecs_queue_scaler::cli::deployment::{Deployment, DeploymentError, Wanted};
use ecs_queue_scaler::cli::plan::{PlanError, PlanView, Shown, plan, plan_of_function};
use ecs_queue_scaler::cli::result::TickResult;
use ecs_queue_scaler::cli::status::status;
use ecs_queue_scaler::run::Scaler;
use serde_json::{Value, json};

use crate::tick::{
    config, definition, invocation, scaler, tick, ticked, worker, world_of, world_with,
};
use crate::world::{Fault, World};

pub(super) fn cloud(world: &World) -> ReadCloud {
    Aws::new(&world.sdk_config()).unwrap().read
}

/// A deployment by name, with this configuration.
pub(super) async fn deployment(world: &World, config: &Value) -> Deployment {
    let text = config.to_string();
    let wanted =
        Wanted { name: Some("scaler"), config: Some(&text), needs_config: true, function: None };
    Deployment::find(wanted, &cloud(world)).await.unwrap()
}

async fn planned(world: &World, config: &Value) -> PlanView {
    let deployment = deployment(world, config).await;
    let view = Box::pin(plan(&deployment, &cloud(world), &[], &invocation(world))).await;
    view.unwrap()
}

fn page(view: &PlanView, width: usize) -> String {
    anstream::adapter::strip_str(&view.page(&Shown { width, ..Shown::default() })).to_string()
}

/// A definition with something of all that may be a secret.
pub(super) fn with_canaries(family: &str) -> Value {
    let mut definition = definition(family);
    definition["cpu"] = json!("1024");
    definition["memory"] = json!("2048");
    let container = &mut definition["containerDefinitions"][0];
    container["cpu"] = json!(1024);
    container["memory"] = json!(2048);
    container["environment"] =
        json!([{"name": "TABLE", "value": "hush-1"}, {"name": "KEY", "value": "hush-2"}]);
    container["secrets"] =
        json!([{"name": "PASSWORD", "valueFrom": "arn:aws:ssm:eu-central-1:1:parameter/hush-3"}]);
    container["command"] = json!(["run", "--token", "hush-4"]);
    container["entryPoint"] = json!(["sh", "hush-5"]);
    container["logConfiguration"] = json!({"logDriver": "awslogs", "options": {"x": "hush-6", "key": "hush-6", "memory": "hush-6"}});
    container["dockerLabels"] = json!({"label": "hush-7", "name": "hush-7", "image": "hush-7"});
    container["healthCheck"] = json!({"command": ["CMD", "hush-8"]});
    definition
}

/// One worker of each kind: packed, base only, idle, at its cap, denied, refused, paused, with an open breaker.
pub(super) async fn of_all_kinds() -> (World, Value) {
    let names = ["encode", "thumbnail", "idle", "capped", "invoice", "wrong", "paused", "report"];
    let world = world_of(&names);
    world.register(&with_canaries("encode"));
    let one = json!({"messagesPerContainer": 1});
    let by_four = json!({"strategy": "dense", "maxContainersPerTask": 4});
    let mut workers: Vec<_> = names.iter().map(|name| worker(name, &one, &json!({}))).collect();
    workers[0] =
        worker("encode", &json!({"messagesPerContainer": 1, "maxContainers": 9}), &by_four);
    workers[3] =
        worker("capped", &json!({"messagesPerContainer": 1, "maxContainers": 1}), &json!({}));
    workers[5]["container"] = json!("no-such");
    workers[6]["paused"] = json!({"until": "2026-11-21T08:00:00Z", "why": "a migration"});
    let mut config = config(&workers);
    config["launch"].as_object_mut().unwrap().remove("launchType");
    config["capacity"] =
        json!([{"capacityProvider": "FARGATE_SPOT"}, {"capacityProvider": "FARGATE"}]);
    let function = scaler(&world, &config);
    world.queue("report").visible(3);
    for minute in 0..3 {
        let _ = tick(&function, &world, minute).await;
        world.all_end("TaskFailedToStart", "CannotPullContainerError: no such image", None);
    }
    world.queue("capped").visible(1);
    let _ = tick(&function, &world, 3).await;
    world.reach(Duration::from_mins(4)).await;
    let depths = [
        ("encode", 412),
        ("thumbnail", 2),
        ("capped", 5),
        ("invoice", 9),
        ("wrong", 1),
        ("paused", 4),
    ];
    for (name, visible) in depths {
        world.queue(name).visible(visible);
    }
    let denied = "User: arn:aws:sts::1:assumed-role/developer is not authorized to perform: sqs:GetQueueAttributes";
    world.fail_where(
        "GetQueueAttributes",
        "/invoice\"",
        (9, Fault::Error(400, "AccessDenied", denied.to_owned())),
    );
    (world, config)
}

#[tokio::test(start_paused = true)]
async fn every_outcome_has_its_sign_and_its_sentence() {
    let (world, config) = of_all_kinds().await;
    world.take_calls();
    let view = planned(&world, &config).await;
    assert_eq!(world.changes(), 0);
    insta::assert_snapshot!("page_120", page(&view, 120));
    insta::assert_snapshot!("page_80", page(&view, 80));
    insta::assert_snapshot!("markdown", view.markdown(true));
    insta::assert_snapshot!("json", format!("{:#}", json!(view)));
    let documented = include_str!("../../../docs/cli.md");
    assert!(documented.contains(&page(&view, 100)), "{}", page(&view, 100));

    // What was saved is shown again without AWS, and is all that there is to show.
    let saved = PlanView::parse(&json!(view).to_string()).unwrap();
    assert_eq!(saved, view);
}

#[tokio::test(start_paused = true)]
async fn nothing_that_may_be_a_secret_is_shown() {
    let (world, config) = of_all_kinds().await;
    let view = planned(&world, &config).await;
    let all = &Shown { width: 120, all: true, ..Shown::default() };
    let texts = [view.page(all), view.markdown(true), json!(view).to_string(), format!("{view:?}")];
    for text in texts {
        assert!(text.contains("encode--x4") && !text.contains("hush"), "{text}");
    }
}

/// The one that is there shows what a deployment changed, which the base alone would not.
#[tokio::test(start_paused = true)]
async fn a_definition_is_compared_with_the_one_that_it_supersedes() {
    let world = world_of(&["encode"]);
    world.register(&with_canaries("encode"));
    let dense = json!({"strategy": "dense", "maxContainersPerTask": 4});
    let config = config(&[worker("encode", &json!({"messagesPerContainer": 1}), &dense)]);
    world.queue("encode").visible(4);
    let _ = tick(&scaler(&world, &config), &world, 0).await;
    world.all_end("EssentialContainerExited", "", Some(0));
    world.reach(Duration::from_mins(10)).await;
    let there = planned(&world, &config).await;
    assert!(
        page(&there, 120).contains("\n    = task definition encode--x4:1\n"),
        "{}",
        page(&there, 120)
    );

    let mut next = with_canaries("encode");
    let container = &mut next["containerDefinitions"][0];
    container["image"] = json!("worker:2");
    container["environment"] =
        json!([{"name": "TABLE", "value": "hush-9"}, {"name": "NEW", "value": "hush-10"}]);
    container["secrets"] = json!([]);
    container["command"] = json!(["hush-11"]);
    next["taskRoleArn"] = json!("arn:aws:iam::123456789012:role/encoder");
    world.register(&next);
    let view = planned(&world, &config).await;
    insta::assert_snapshot!("superseded", page(&view, 100));
    assert!(!page(&view, 100).contains("hush"));
    assert_eq!(world.changes(), 2, "those of the tick alone");
}

#[tokio::test(start_paused = true)]
async fn a_name_that_may_be_the_wrong_one_is_told() {
    let world = world_of(&["a"]);
    let config = config(&[worker("a", &json!({"messagesPerContainer": 1}), &json!({}))]);
    world.queue("a").visible(2);
    let _ = tick(&scaler(&world, &config), &world, 0).await;
    world.all_run();
    let right = planned(&world, &config).await;
    assert_eq!((right.notes.len(), right.launches()), (0, false));

    let text = config.to_string();
    let wanted =
        Wanted { name: Some("scaller"), config: Some(&text), needs_config: true, function: None };
    let wrong = Deployment::find(wanted, &cloud(&world)).await.unwrap();
    let view = Box::pin(plan(&wrong, &cloud(&world), &[], &invocation(&world))).await.unwrap();
    assert!(view.launches(), "it would all be started again");
    assert_eq!(
        view.notes,
        [
            "2 tasks run in jobs that `scaler` has started, and none that `scaller` has: if that is your \
          deployment, give --name scaler or --function"
        ]
    );

    // Both names have some now; what another scaler runs for others is nobody's trouble here.
    let _ = tick(&Scaler { name: "scaller".into(), ..scaler(&world, &config) }, &world, 1).await;
    let right = planned(&world, &config).await;
    let [note] = right.notes.as_slice() else { panic!("{right:?}") };
    assert!(
        note.starts_with(
            "2 tasks run in jobs that `scaller` has started beside those of `scaler`: "
        )
    );
    world.put_parameter("/jobs", &config.to_string());
    world.function("f", &json!({"SCALER_NAME": "third", "SCALER_CONFIG": "ssm:/jobs"}), &json!({}));
    let wanted = Wanted { function: Some("f"), needs_config: true, ..Wanted::default() };
    let third = Deployment::find(wanted, &cloud(&world)).await.unwrap();
    let view = Box::pin(plan(&third, &cloud(&world), &[], &invocation(&world))).await.unwrap();
    let [_, note] = view.notes.as_slice() else { panic!("{view:?}") };
    assert_eq!(
        note,
        "2 tasks run in jobs that `scaller` has started, and none that `third` has: where f was called so before, \
         add scaller to the configuration's `previousNames`; else two scalers serve workers of the same name"
    );
    let mut others = config.clone();
    others["workers"][0]["name"] = json!("b");
    let notes = planned(&world, &others).await.notes;
    assert!(notes.iter().all(|note| !note.contains("scaller")), "{notes:?}");
}

#[tokio::test(start_paused = true)]
async fn a_function_says_whose_it_is_and_where_its_configuration_is() {
    let world = world_of(&["a"]);
    let config = config(&[worker("a", &json!({"messagesPerContainer": 1}), &json!({}))]);
    world.put_parameter("/jobs", &config.to_string());
    let ssm = json!({"SCALER_NAME": "jobs", "SCALER_CONFIG": "ssm:/jobs", "OTHER": "hush-12"});
    world.function("jobs-scaler", &ssm, &json!({}));
    world.function("packaged", &json!({"SCALER_NAME": "jobs"}), &json!({}));
    world.function("other", &json!({"TABLE": "x"}), &json!({}));
    let find = async |function: &str, needs_config| {
        let wanted = Wanted { function: Some(function), needs_config, ..Wanted::default() };
        let found = Deployment::find(wanted, &cloud(&world)).await;
        found.map(|found| format!("{} {:?}", found.scaler.name, found.scaler.config))
    };
    let found = find("jobs-scaler", true).await.unwrap();
    assert!(found.starts_with("jobs ") && found.contains("ssm:/jobs"), "{found}");
    let packaged = DeploymentError::Packaged {
        function: "packaged".to_owned(),
        source_text: "file:workers.yaml".to_owned(),
    };
    assert_eq!(find("packaged", true).await, Err(packaged.clone()));
    assert!(find("packaged", false).await.is_ok(), "the function reads it");
    world.function(
        "dry",
        &json!({"SCALER_CONFIG": "ssm:/jobs", "SCALER_DRY_RUN": "true"}),
        &json!({}),
    );
    let wanted = Wanted { function: Some("dry"), needs_config: true, ..Wanted::default() };
    let dry = Deployment::find(wanted, &cloud(&world)).await.unwrap();
    let view = Box::pin(plan(&dry, &cloud(&world), &[], &invocation(&world))).await.unwrap();
    let head = page(&view, 120).replace('\n', " ");
    assert!(head.contains("its SCALER_DRY_RUN is true: it starts nothing"), "{head}");
    let no_file = Wanted { config: Some("no/such.yaml"), ..Wanted::default() };
    let no_file = Deployment::find(no_file, &cloud(&world)).await.unwrap_err().to_string();
    assert!(no_file.starts_with("cannot read `no/such.yaml`: "), "{no_file}");
    assert_eq!(find("other", true).await, Err(DeploymentError::NotOurs("other".to_owned())));
    let missing = find("no-such", true).await.unwrap_err().to_string();
    let texts =
        [packaged, DeploymentError::NotOurs("other".to_owned())].map(|error| error.to_string());
    insta::assert_snapshot!("errors", format!("{}\n{missing}", texts.join("\n")));
}

#[tokio::test(start_paused = true)]
async fn the_function_can_plan_itself() {
    let (world, config) = of_all_kinds().await;
    let function = scaler(&world, &config);
    world.take_calls();
    let report = ticked(
        &function,
        &event_for_function(&[], &BTreeMap::new(), How::PLAN),
        &invocation(&world),
    )
    .await;
    let only = event_for_function(&["encode".into()], &BTreeMap::new(), How::PLAN);
    let one = ticked(&function, &only, &invocation(&world)).await;
    assert_eq!((report.workers.len(), one.workers.len(), world.changes()), (8, 1, 0));
    world.function("jobs", &json!({"SCALER_NAME": "scaler"}), &json!(report));
    world.take_calls();
    let answer = cloud(&world).invoker().invoke("jobs", &json!({"dryRun": true})).await.unwrap();
    let result = TickResult::parse(&answer).unwrap();
    let deployment = deployment(&world, &config).await;
    let view = plan_of_function(&deployment, result, &cloud(&world), &invocation(&world));
    insta::assert_snapshot!("remote", page(&view, 100));
    let calls: Vec<_> = world.take_calls().into_iter().map(|call| call.operation).collect();
    assert_eq!(calls, ["Invoke"]);

    world.function(
        "jobs",
        &json!({}),
        &json!({"errorType": "ConfigError", "errorMessage": "workers.yaml is empty"}),
    );
    let failed = cloud(&world).invoker().invoke("jobs", &json!({})).await.unwrap_err().to_string();
    assert_eq!(failed, "Invoke of jobs failed: workers.yaml is empty");
    assert!(TickResult::parse(&json!({"statusCode": 200})).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_not_there_is_told_with_the_one_that_may_be_meant() {
    let (world, config) = of_all_kinds().await;
    let deployment = deployment(&world, &config).await;
    let only = ["encod".into()];
    let failed = Box::pin(plan(&deployment, &cloud(&world), &only, &invocation(&world))).await;
    let Err(error @ PlanError::UnknownWorker(_)) = failed else { panic!("{failed:?}") };
    let text = error.to_string();
    assert!(text.starts_with("asked for `encod`, which is not a worker (did you mean `encode`?); there are `encode`, "), "{text}");
}

/// Programs rely on it, and `docs/schema` shows it.
#[tokio::test(start_paused = true)]
async fn the_plan_as_json_is_as_its_schema_says() {
    let (world, config) = of_all_kinds().await;
    let view = json!(planned(&world, &config).await);
    let schema: Value =
        serde_json::from_str(include_str!("../../../docs/schema/plan.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<_> = validator.iter_errors(&view).map(|error| error.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new());
    let mut other = view.clone();
    other["totals"]["tasks"] = json!("many");
    assert!(!validator.is_valid(&other));
    let (_, made, _) = super::seen(&["schema", "--of", "plan"], "");
    assert!(made == include_str!("../../../docs/schema/plan.json"), "make docs");
}

/// A stack's queues, definitions and instances, from every kind of source: all that a plan reads.
#[tokio::test(start_paused = true)]
async fn the_operators_policy_allows_what_is_read_and_no_more() {
    let world = world_with(&["a"], definition_for_instances);
    world.instance("jobs", json!({"ec2InstanceId": "i-1", "cpu": 2048, "memory": 4096}));
    let mut config = config(&[worker("a", &json!({"messagesPerContainer": 1}), &json!({}))]);
    config["launch"] = json!({"launchType": "EC2", "placement": {"scheduler": "leastTasks"}});
    config["discover"] = json!({"tag": "ecs-queue-scaler"});
    world.queue("a").visible(2);
    let text = config.to_string();
    world.put_parameter("/jobs", &text);
    world.put_object("bucket", "workers.yaml", text.as_bytes());
    world.function(
        "jobs",
        &json!({"SCALER_NAME": "scaler", "SCALER_CONFIG": "ssm:/jobs"}),
        &json!({}),
    );
    world.take_calls();
    for config in [None, Some("s3://bucket/workers.yaml")] {
        let wanted = Wanted { function: Some("jobs"), config, needs_config: true, name: None };
        let found = Deployment::find(wanted, &cloud(&world)).await.unwrap();
        let view = Box::pin(plan(&found, &cloud(&world), &[], &invocation(&world))).await.unwrap();
        assert!(view.launches(), "{view:?}");
    }
    let _ = tick(&scaler(&world, &config), &world, 0).await;
    let running = planned(&world, &config).await;
    assert!(!running.launches());
    world.register(&definition("a--x2"));
    let of_config = deployment(&world, &config).await;
    let _ = Box::pin(status(&of_config, &cloud(&world), &invocation(&world))).await.unwrap();
    let _ = super::query::seen_of(&world, &config).await;
    world.log_line("/jobs", (0, "worker a: idle"), "{}");
    let pattern = "{ $.message = \"worker *\" }";
    let lines = LogLines { group: "/jobs", pattern, from: world.now(), to: world.now() };
    let _ = cloud(&world).logged(lines).await.unwrap();

    let _ = cloud(&world).caller().await.unwrap();
    let _ = super::changes::found(&world, &config, ecs_queue_scaler::cli::clean::Asked::default())
        .await;

    let (rich, _) = super::checks::good_world();
    let environment = json!({"SCALER_NAME": "scaler", "SCALER_CONFIG": "ssm:/jobs"});
    rich.function_of("jobs", &environment, &json!({"Role": "arn:aws:iam::1:role/scaler"}));
    rich.refuses("DescribeImages", "", "RepositoryNotFoundException");
    let _ = super::checks::of_function(&rich, None).await;

    let account = super::init::account();
    let _ = Box::pin(ecs_queue_scaler::cli::init::survey(&cloud(&account))).await.unwrap();

    let called = world.take_calls().into_iter().chain(rich.take_calls());
    let called = called.chain(account.take_calls());
    let called = called.map(|call| call.operation);
    let changing = ["RunTask", "StartTask", "RegisterTaskDefinition"];
    let read: BTreeSet<_> = called.filter(|name| !changing.contains(&name.as_str())).collect();
    let policy: Value =
        serde_json::from_str(include_str!("../../../docs/operator-policy.json")).unwrap();
    let actions = policy["Statement"][0]["Action"].as_array().unwrap().iter();
    let allowed: BTreeSet<_> = actions
        .map(|action| action.as_str().unwrap().split(':').nth(1).unwrap().to_owned())
        .collect();
    assert_eq!(read, allowed);
}

pub(super) fn definition_for_instances(family: &str) -> Value {
    let mut definition = definition(family);
    definition["networkMode"] = json!("bridge");
    definition["requiresCompatibilities"] = json!(["EC2"]);
    definition
}
