//! No command shows what may be a secret, whatever goes wrong: canaries stand in everything of a definition that is no
//! name, in the overrides of the configuration, and in the environment of the function.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use decision::units::{ClusterName, Containers, WorkerName};
use ecs_queue_scaler::aws::Aws;
use ecs_queue_scaler::cli::apply::{self, How, applied, event_for_function};
use ecs_queue_scaler::cli::checks::check;
use ecs_queue_scaler::cli::clean;
use ecs_queue_scaler::cli::deployment::{Deployment, DeploymentError, Wanted, worker_in};
use ecs_queue_scaler::cli::explain::{ExplainView, Trial, records};
use ecs_queue_scaler::cli::init::{propose, survey};
use ecs_queue_scaler::cli::page::Clock;
use ecs_queue_scaler::cli::pause::{self, Wish};
use ecs_queue_scaler::cli::plan::{Shown, plan, plan_of_function};
use ecs_queue_scaler::cli::render::render;
use ecs_queue_scaler::cli::result::TickResult;
use ecs_queue_scaler::cli::room::{self, room};
use ecs_queue_scaler::cli::start;
use ecs_queue_scaler::cli::status::{
    Asked, Remembered, Session, Whose, refresh, status, worker as closely,
};
use ecs_queue_scaler::cli::stop::{self, Which};
use ecs_queue_scaler::cli::tables::{Seen, read};
use ecs_queue_scaler::log::of_panic;
use ecs_queue_scaler::run::Invocation;
use futures_util::FutureExt;
use serde_json::{Value, json};
use tempfile::tempdir;
use tokio::time::Instant;

use super::plan::with_canaries;
use super::query::busy;
use crate::tick::trouble::captured;
use crate::tick::{invocation, scaler, tick, ticked};
use crate::world::{Fault, World};

/// What stands in every canary and in nothing else.
const CANARY: &str = "hush";

/// What a command is given: a process of its own, as a person starts it.
struct Terminal {
    world: World,
    config: Value,
    aws: Aws,
    found: Deployment,
    invocation: Invocation,
}

/// Everything that it said, and would have written to a file.
type Said = Vec<String>;

/// Tasks that run, one of which has ended with a reason that repeats what it was given; a superseded revision; and
/// messages for which more are started.
async fn place() -> (World, Value) {
    place_after(WORD_BY_WORD).await
}

/// Why a task has ended, with values that only its definition shows to be ones.
const WORD_BY_WORD: &str = "ResourceInitializationError: unable to pull arn:aws:ssm:eu-central-1:1:parameter/hush-3 for KEY=hush-2";

/// And with those that are known by their shape.
const QUOTED: &str = "CannotStartContainerError: exec: \"run --token hush-4\": not found";

async fn place_after(reason: &str) -> (World, Value) {
    let (world, config) = busy().await;
    world.all_end("TaskFailedToStart", reason, Some(1));
    let _ = tick(&scaler(&world, &config), &world, 6).await;
    world.all_run();
    let mut next = with_canaries("a");
    next["networkMode"] = json!("bridge");
    next["requiresCompatibilities"] = json!(["EC2"]);
    next["containerDefinitions"][0]["environment"] = json!([{"name": "NEW", "value": "hush-21"}]);
    world.register(&next);
    let mut gone = with_canaries("gone--x2");
    gone["tags"] = json!([{"key": "ecs-queue-scaler:digest", "value": "0"}]);
    world.register(&gone);
    world.put_parameter("/jobs", &config.to_string());
    let environment =
        json!({"SCALER_NAME": "scaler", "SCALER_CONFIG": "ssm:/jobs", "OTHER": "hush-12"});
    world.function("jobs", &environment, &json!({}));
    world.reach(Duration::from_mins(8)).await;
    world.queue("a").visible(9);
    (world, config)
}

fn failed(error: &(impl std::error::Error + ?Sized)) -> Said {
    vec![error.to_string(), format!("{error:?}")]
}

impl Terminal {
    async fn plan(&self) -> Said {
        let view = match Box::pin(plan(&self.found, &self.aws.read, &[], &self.invocation)).await {
            Ok(view) => view,
            Err(error) => return failed(&error),
        };
        let all = &Shown { width: 120, all: true, ..Shown::default() };
        vec![view.page(all), view.markdown(true), json!(view).to_string(), format!("{view:?}")]
    }

    async fn plan_of_function(&self) -> Said {
        let event = event_for_function(&[], &BTreeMap::new(), How::PLAN);
        let function = scaler(&self.world, &self.config);
        let report = json!(ticked(&function, &event, &self.invocation).await);
        let result = TickResult::parse(&report).unwrap();
        let view = plan_of_function(&self.found, result, &self.aws.read, &self.invocation);
        vec![
            view.page(&Shown { width: 120, all: true, ..Shown::default() }),
            json!(view).to_string(),
        ]
    }

    async fn status(&self) -> Said {
        let wide = Asked { width: 120, all: true, wide: true, ..Asked::default() };
        let cloud = &self.aws.read;
        let mut said = match Box::pin(status(&self.found, cloud, &self.invocation)).await {
            Ok(view) => vec![view.page(&wide), json!(view).to_string(), format!("{view:?}")],
            Err(error) => failed(&error),
        };
        for name in ["a", "b"].map(WorkerName::from) {
            let look = closely(&self.found, cloud, &name, &self.invocation);
            match Box::pin(look).await {
                Ok(view) => {
                    said.extend([view.page(&wide), json!(view).to_string(), format!("{view:?}")]);
                }
                Err(error) => said.extend(failed(&error)),
            }
        }
        said
    }

    /// As a screen looks, and what it remembers.
    async fn top(&self) -> Said {
        let folder = tempdir().unwrap();
        let file = folder.path().join("remembered.jsonl");
        let of = Whose { scaler: "scaler", region: "eu-central-1", account: "123456789012" };
        let session = Session::with(Remembered::open(&file, of).unwrap());
        let look = refresh(&self.found, &self.aws.read, &session, &self.invocation);
        let mut said = match Box::pin(look).await {
            Ok(view) => vec![view.page(&Asked::default()), format!("{view:?}")],
            Err(error) => failed(&error),
        };
        said.extend([std::fs::read_to_string(&file).unwrap(), format!("{session:?}")]);
        said
    }

    async fn room(&self) -> Said {
        let asked = room::Asked { cluster: Some(ClusterName::from("jobs")), ..Default::default() };
        let seen = room(&self.found, &self.aws.read, &asked, &self.invocation);
        match Box::pin(seen).await {
            Ok(view) => vec![view.page(120), json!(view).to_string(), format!("{view:?}")],
            Err(error) => failed(&error),
        }
    }

    /// Every table, and the bytes of the database.
    async fn query(&self) -> Said {
        let seen = Box::pin(read(&self.found, &self.aws.read, &self.invocation)).await;
        let seen = match seen {
            Ok(seen) => seen,
            Err(error) => return failed(&error),
        };
        let mut said = vec![format!("{seen:?}")];
        let Seen { mut tables, missing, .. } = seen;
        let soon = || Instant::now() + Duration::from_secs(5);
        for table in
            ["workers", "queues", "tasks", "containers", "instances", "definitions", "decisions"]
        {
            let rows = tables.ask(&format!("SELECT * FROM {table}"), soon()).unwrap();
            said.extend([
                rows.page(),
                rows.csv(),
                rows.json(&missing).unwrap(),
                format!("{rows:?}"),
            ]);
        }
        said.extend(failed(&tables.ask("SELECT secret FROM definitions", soon()).unwrap_err()));
        let folder = tempdir().unwrap();
        let file = folder.path().join("tables.db");
        tables.save(&file).unwrap();
        said.push(String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned());
        said
    }

    async fn validate(&self) -> Said {
        match Box::pin(check(&self.found, &self.aws.read, &self.invocation)).await {
            Ok(view) => vec![view.page(120), json!(view).to_string(), format!("{view:?}")],
            Err(error) => failed(&error),
        }
    }

    /// By the result, and by the lines of the log.
    async fn explain(&self) -> Said {
        let (lines, _guard) = captured();
        let event = event_for_function(&[], &BTreeMap::new(), How::PLAN);
        let function = scaler(&self.world, &self.config);
        let report = ticked(&function, &event, &self.invocation).await;
        report.log();
        let mut said = vec![lines.text()];
        for text in [json!(report).to_string(), lines.text()] {
            let view = ExplainView::new(&records(&text, None).unwrap(), None, &Trial::default());
            let pages = [view.page(120, &Clock::utc()), view.list(120)];
            said.extend(pages.into_iter().chain([json!(view).to_string(), format!("{view:?}")]));
        }
        said
    }

    async fn render(&self) -> Said {
        match self.rendered(false).await {
            Ok(document) => vec![document],
            Err(said) => said,
        }
    }

    async fn rendered(&self, reveal: bool) -> Result<String, Said> {
        let (cloud, now) = (&self.aws.read, self.invocation.now);
        let in_force = self.found.scaler.config.current(cloud, now).await;
        let worker = worker_in(&in_force.map_err(|error| failed(&error))?.config, "a").unwrap();
        let definition = cloud.definition(&worker.task_definition).await;
        let definition = definition.map_err(|error| failed(&error))?;
        Ok(render(&worker, &definition, Containers(2), reveal).unwrap().to_string())
    }

    async fn init(&self) -> Said {
        match Box::pin(survey(&self.aws.read)).await {
            Ok(found) => {
                let proposal = Box::pin(propose(&self.aws.read, found)).await;
                vec![proposal.text()]
            }
            Err(error) => failed(&error),
        }
    }

    async fn apply(&self) -> Said {
        let asked =
            apply::Asked { no_function: true, is_name_given: true, ..apply::Asked::default() };
        let prepared = apply::prepare(&self.found, &self.aws.read, &asked, &self.invocation);
        let prepared = match Box::pin(prepared).await {
            Ok(prepared) => prepared,
            Err(error) => return failed(&error),
        };
        let mut said = vec![format!("{prepared:?}")];
        let planned = prepared.view.clone();
        let end = Instant::now() + Duration::from_mins(5);
        let aws = self.aws.for_tick(self.world.now(), end);
        let result = Box::pin(prepared.carry_out(&self.found, &aws)).await;
        said.extend([applied(&result, &planned, 120).unwrap().page, result.to_string()]);
        said
    }

    async fn stop(&self) -> Said {
        let asked = stop::Asked { worker: "a".into(), which: Which::All };
        let found = stop::prepare(&self.found, &self.aws.read, &asked, &self.invocation);
        match Box::pin(found).await {
            Ok(found) => {
                let came = found.stop(&self.aws.write, "why").await;
                vec![found.page(120), format!("{found:?} {came:?}")]
            }
            Err(error) => failed(&error),
        }
    }

    async fn start(&self) -> Said {
        let asked = start::Asked {
            cluster: "jobs".to_owned(),
            task_definition: "a".to_owned(),
            count: 2,
            scheduler: "leastTasks".to_owned(),
            ..start::Asked::default()
        };
        match Box::pin(start::prepare(&self.aws.read, &asked, &self.invocation)).await {
            Ok(found) => {
                let came = found.start(&self.aws.write).await;
                let (lines, _) = found.report(&came);
                let debug = format!("{found:?} {came:?}");
                vec![found.page(120), lines.join("\n"), found.may_be_started(), debug]
            }
            Err(error) => failed(&error),
        }
    }

    async fn clean(&self) -> Said {
        let asked = clean::Asked { gone: true, delete: true };
        let found = clean::find(&self.found, &self.aws.read, asked, self.world.now());
        match Box::pin(found).await {
            Ok(found) => {
                let came = found.carry_out(&self.aws.write, asked, |_| ()).await;
                vec![
                    found.page(120, asked),
                    json!(found).to_string(),
                    format!("{found:?} {came:?}"),
                ]
            }
            Err(error) => failed(&error),
        }
    }

    async fn pause(&self) -> Said {
        let wish = Wish::Paused { until: None, why: None };
        let asked = pause::Asked { worker: "a", wish: &wish };
        let came = pause::carry_out(&self.found, &self.aws, asked, &self.invocation).await;
        vec![format!("{came:?}")]
    }

    async fn by(&self, command: &str) -> Said {
        match command {
            "plan" => self.plan().await,
            "plan --remote" => self.plan_of_function().await,
            "status" => self.status().await,
            "top" => self.top().await,
            "room" => self.room().await,
            "query" => self.query().await,
            "validate --aws" => self.validate().await,
            "explain" => self.explain().await,
            "render" => self.render().await,
            "init" => self.init().await,
            "apply" => self.apply().await,
            "stop" => self.stop().await,
            "start" => self.start().await,
            "clean" => self.clean().await,
            "pause" => self.pause().await,
            other => panic!("{other}"),
        }
    }
}

/// Those that change something come last.
const COMMANDS: [&str; 15] = [
    "plan",
    "plan --remote",
    "status",
    "top",
    "room",
    "query",
    "validate --aws",
    "explain",
    "render",
    "init",
    "pause",
    "apply",
    "start",
    "clean",
    "stop",
];

/// What a command says that is started in this world now.
async fn said_by(command: &str, world: &World, config: &Value) -> Said {
    match terminal(world, config).await {
        Ok(terminal) => {
            let mut said = Box::pin(terminal.by(command)).await;
            said.push(format!("{:?}", terminal.found));
            said
        }
        Err(error) => failed(&error),
    }
}

async fn terminal(world: &World, config: &Value) -> Result<Terminal, DeploymentError> {
    let aws = Aws::new(&world.sdk_config()).unwrap();
    let wanted = Wanted { function: Some("jobs"), needs_config: true, ..Wanted::default() };
    let found = Deployment::find(wanted, &aws.read).await?;
    let (world, config, invocation) = (world.clone(), config.clone(), invocation(world));
    Ok(Terminal { world, config, aws, found, invocation })
}

fn assert_hidden(said: &[String], about: &str) {
    for text in said {
        let at = text.find(CANARY);
        let around = at.and_then(|at| text.get(at.saturating_sub(200)..text.len().min(at + 40)));
        assert_eq!(around, None, "{about}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_command_shows_a_secret() {
    for command in COMMANDS {
        let (world, config) = place().await;
        let said = said_by(command, &world, &config).await;
        assert_hidden(&said, command);
        assert!(said.iter().any(|text| text.contains("a--x2") || text.contains("a:")), "{command}");
        if command == "status" {
            assert!(said[3].contains("[redacted]"), "why a task ended is shown: {}", said[3]);
        }
    }
}

/// A tick has no need of its definition then, and its tasks have run an older one.
#[tokio::test(start_paused = true)]
async fn the_end_of_a_task_shows_no_secret_where_nothing_waits() {
    let (world, config) = place().await;
    for queue in ["a", "b"] {
        drop(world.queue(queue).visible(0));
    }
    let said = said_by("status", &world, &config).await;
    assert_hidden(&said, "status");
    assert!(said[3].contains("ResourceInitializationError"), "{}", said[3]);
}

/// The other side: they are there, and what is asked to show them does.
#[tokio::test(start_paused = true)]
async fn what_is_revealed_has_every_canary() {
    let (world, config) = place().await;
    let document = terminal(&world, &config).await.unwrap().rendered(true).await.unwrap();
    for canary in [21, 3, 4, 5, 6, 7, 8] {
        assert!(document.contains(&format!("{CANARY}-{canary}")), "{canary}: {document}");
    }
    assert!(config.to_string().contains("hush-20"), "in the overrides of the configuration");
}

/// What AWS may repeat of what it was given: as JSON, in a quotation, and word by word.
fn echoes(world: &World) -> [String; 3] {
    let once = world.active_revisions("a").last().unwrap().to_string();
    let plain = once.replace(['"', '{', '}', '[', ']', ','], " ") + " hush-20";
    let twice = json!(once).to_string();
    [once, twice, plain]
}

/// Those that carry values: AWS can repeat nothing else word by word.
const WITH_VALUES: [&str; 3] = ["RegisterTaskDefinition", "RunTask", "StartTask"];

/// Where definitions may not be read, values are known by their shape alone.
async fn place_for(operation: &str) -> (World, Value) {
    let is_readable = operation != "DescribeTaskDefinition";
    place_after(if is_readable { WORD_BY_WORD } else { QUOTED }).await
}

/// Those that change something: what one has changed, the next does not find.
const CHANGING: [&str; 4] = ["apply", "start", "clean", "stop"];

/// What all commands say where each of their calls fails so.
async fn said_where_calls_fail(faults: impl Fn(&str) -> Vec<Fault>) -> Vec<(String, Said)> {
    let mut all = Vec::new();
    for command in COMMANDS {
        let (mut world, mut config) = place().await;
        world.take_calls();
        drop(said_by(command, &world, &config).await);
        let calls: BTreeSet<_> = world.take_calls().into_iter().map(|it| it.operation).collect();
        for call in calls {
            for fault in faults(&call) {
                if CHANGING.contains(&command) || call == "DescribeTaskDefinition" {
                    (world, config) = place_for(&call).await;
                }
                world.fail(call.clone().leak(), 99, fault);
                let said = AssertUnwindSafe(said_by(command, &world, &config)).catch_unwind().await;
                world.forget_faults();
                let said = said.unwrap_or_else(|message| vec![of_panic(&*message, None)]);
                all.push((format!("{command}, {call}"), said));
            }
        }
    }
    all
}

/// Each call is refused, with what is in the definition and in the overrides for a reason.
#[tokio::test(start_paused = true)]
async fn no_error_of_aws_shows_a_secret() {
    let [once, twice, plain] = echoes(&place().await.0);
    let refused = |echo: &str| Fault::Error(400, "ClientException", format!("Invalid: {echo}."));
    let all = said_where_calls_fail(|call| match call {
        call if WITH_VALUES.contains(&call) => {
            [&once, &twice, &plain].into_iter().map(|echo| refused(echo)).collect()
        }
        _ => vec![refused(&once)],
    });
    let all = all.await;
    assert!(100 <= all.len(), "{}", all.len());
    let mut quoted = BTreeSet::new();
    for (about, said) in &all {
        assert_hidden(said, about);
        if said.iter().any(|text| text.contains("Invalid: ") && text.contains("[redacted]")) {
            quoted.insert(about.split(", ").nth(1).unwrap());
        }
    }
    for operation in WITH_VALUES.into_iter().chain(["GetParameter", "ListTasks", "StopTask"]) {
        assert!(quoted.contains(operation), "{operation}: {quoted:?}");
    }
}

/// Its message has the whole of the call. It stays with its worker, or ends the program, which then says where it was.
#[tokio::test(start_paused = true)]
async fn no_panic_shows_a_secret() {
    let all = said_where_calls_fail(|_| vec![Fault::Panic]).await;
    for (about, said) in &all {
        assert_hidden(said, about);
    }
    let stays = |text: &String| text.contains("a fault of ecs-queue-scaler itself (a panic, ");
    let (stay, end): (Vec<_>, Vec<_>) = all.iter().partition(|(_, said)| said.iter().any(stays));
    assert!(stay.iter().any(|(about, _)| about == "apply, RegisterTaskDefinition"), "{stay:?}");
    assert!(end.iter().any(|(_, said)| said == &["panicked"]), "{end:?}");
    let message: Box<dyn Any + Send> = Box::new("a text of the source");
    assert_eq!(of_panic(&*message, None), "panicked: a text of the source");
}
