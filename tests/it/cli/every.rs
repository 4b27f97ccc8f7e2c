//! Every reading command on every outcome that a terminal can come to: its page fits, its JSON is as its schema
//! says, and it changes nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use decision::units::Containers;
use ecs_queue_scaler::cli::apply::{How, event_for_function};
use ecs_queue_scaler::cli::checks::{ChecksView, check};
use ecs_queue_scaler::cli::clean::{self, CleanView};
use ecs_queue_scaler::cli::deployment::worker_in;
use ecs_queue_scaler::cli::explain::{ExplainView, Trial, records};
use ecs_queue_scaler::cli::page::Clock;
use ecs_queue_scaler::cli::plan::{PlanView, Shown, plan};
use ecs_queue_scaler::cli::render::render;
use ecs_queue_scaler::cli::room::{self, RoomView, room};
use ecs_queue_scaler::cli::start::{self, ToStart};
use ecs_queue_scaler::cli::status::{Asked, StatusView, WorkerView, status, worker as closely};
use ecs_queue_scaler::cli::stop::{ToStop, Which};
use ecs_queue_scaler::cli::tables::Seen;
use serde_json::{Value, json};
use textwrap::core::display_width;
use tokio::time::Instant;

use super::changes::{found, to_stop};
use super::checks::reachable;
use super::outcomes::troubled;
use super::plan::{cloud, deployment, of_all_kinds};
use super::query::seen_of;
use crate::tick::{invocation, scaler, ticked};
use crate::world::World;

const WIDTHS: [usize; 2] = [80, 120];

/// What the reading commands see of one world.
struct Views {
    plan: PlanView,
    status: StatusView,
    closely: Vec<WorkerView>,
    room: RoomView,
    checks: ChecksView,
    clean: CleanView,
    explain: ExplainView,
    stop: Vec<(String, Result<ToStop, String>)>,
    start: Result<ToStart, String>,
}

impl Views {
    async fn of(world: &World, config: &Value) -> Self {
        let deployment = &deployment(world, config).await;
        let (cloud, invocation) = (&cloud(world), &invocation(world));
        let names: Vec<_> = names(config).collect();
        let mut looks = Vec::new();
        let mut stop = Vec::new();
        for name in &names {
            let look = Box::pin(closely(deployment, cloud, &(*name).into(), invocation)).await;
            looks.push(look.unwrap());
            let all = to_stop(world, config, name, Which::All).await;
            stop.push(((*name).to_owned(), all.map_err(|error| error.to_string())));
        }
        let event = event_for_function(&[], &BTreeMap::new(), How::PLAN);
        let result = json!(ticked(&scaler(world, config), &event, invocation).await);
        let decisions = records(&result.to_string(), None).unwrap();
        let asked = start::Asked {
            cluster: "jobs".to_owned(),
            task_definition: (*names.last().unwrap()).to_owned(),
            count: 9,
            scheduler: "leastTasks".to_owned(),
            subnets: vec!["subnet-0a1b2c3d".to_owned()],
            ..start::Asked::default()
        };
        let start = Box::pin(start::prepare(cloud, &asked, invocation)).await;
        let asked = room::Asked::default();
        let room = Box::pin(room(deployment, cloud, &asked, invocation)).await.unwrap();
        let checks = Box::pin(check(deployment, cloud, invocation)).await.unwrap();
        // Those of all commands say nothing of one.
        let calls = 9;
        Self {
            plan: Box::pin(plan(deployment, cloud, &[], invocation)).await.unwrap(),
            status: Box::pin(status(deployment, cloud, invocation)).await.unwrap(),
            closely: looks,
            room: RoomView { calls, ..room },
            checks: ChecksView { calls, ..checks },
            clean: found(world, config, clean::Asked::default()).await,
            explain: ExplainView::new(&decisions, None, &Trial::default()),
            stop,
            start: start.map_err(|error| error.to_string()),
        }
    }

    /// Each with the command that gives it.
    fn pages(&self, width: usize) -> Vec<(String, String)> {
        let wide = &Asked { width, all: true, ..Asked::default() };
        let shown = &Shown { width, all: true, ..Shown::default() };
        let mut pages = vec![
            ("plan --all".to_owned(), self.plan.page(shown)),
            ("status --all".to_owned(), self.status.page(wide)),
        ];
        let looks = self.closely.iter();
        pages.extend(looks.map(|look| (format!("status {}", look.row.worker), look.page(wide))));
        pages.extend([
            ("room".to_owned(), self.room.page(width)),
            ("validate --aws".to_owned(), self.checks.page(width)),
            ("clean".to_owned(), self.clean.page(width, clean::Asked::default())),
            ("explain".to_owned(), self.explain.page(width, &Clock::utc())),
            ("explain --since 6h".to_owned(), self.explain.list(width)),
        ]);
        let stops = self.stop.iter().filter_map(|(name, stop)| {
            let stop = stop.as_ref().ok()?;
            Some((format!("stop {name} --all"), stop.page(width)))
        });
        pages.extend(stops);
        let start = self.start.as_ref().ok();
        pages.extend(start.map(|start| ("start".to_owned(), start.page(width))));
        pages.into_iter().map(|(command, page)| (command, plain(&page))).collect()
    }

    /// Each with its schema.
    fn json(&self) -> Vec<(&'static str, Value)> {
        let looks = self.closely.iter().map(|look| ("worker", json!(look)));
        let others = [
            ("plan", json!(self.plan)),
            ("status", json!(self.status)),
            ("room", json!(self.room)),
            ("checks", json!(self.checks)),
            ("clean", json!(self.clean)),
            ("explain", json!(self.explain)),
        ];
        others.into_iter().chain(looks).collect()
    }
}

fn names(config: &Value) -> impl Iterator<Item = &str> {
    config["workers"].as_array().unwrap().iter().map(|worker| worker["name"].as_str().unwrap())
}

fn plain(page: &str) -> String {
    anstream::adapter::strip_str(page).to_string()
}

/// A line is as wide as the terminal at most, but for a word that cannot be broken and a command that is copied.
fn fits(line: &str, width: usize) -> bool {
    let (head, last) = line.trim_end().rsplit_once("  ").unwrap_or(("", line));
    let is_one_word = !last.trim().contains(' ') && display_width(head) <= width;
    display_width(line) <= width || is_one_word || line.starts_with("$ ")
}

/// The commands of which no other test has a page of this world, below what is typed. Ids are drawn at random.
fn transcript(world: &World, pages: &[(String, String)], of: impl Fn(&str) -> bool) -> String {
    let pages = pages.iter().filter(|(command, _)| of(command));
    let pages: Vec<_> = pages.map(|(command, page)| format!("> {command}\n{page}\n")).collect();
    let mut text = pages.concat();
    for task in world.tasks() {
        let id = task["taskArn"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        text = text.replace(&id[..8], "0123abcd");
    }
    text
}

fn is_closely(command: &str) -> bool {
    command.starts_with("status ") && command != "status --all"
}

fn is_beside(command: &str) -> bool {
    let first = command.split(' ').next().unwrap();
    ["room", "validate", "clean", "explain", "stop", "start"].contains(&first)
}

fn assert_as_its_schema_says(shape: &str, view: &Value, world: &str) {
    let schema = std::fs::read_to_string(format!("docs/schema/{shape}.json")).unwrap();
    let validator = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    let errors: Vec<_> = validator.iter_errors(view).map(|error| error.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new(), "{shape} of {world}");
    assert!(!validator.is_valid(&json!({"schema": shape})), "{shape}");
}

async fn worlds() -> [(&'static str, (World, Value)); 2] {
    let worlds = [("kinds", of_all_kinds().await), ("troubled", troubled().await)];
    for (_, (world, _)) in &worlds {
        drop(world.queue("dead"));
        reachable(world);
    }
    worlds
}

#[test]
fn a_line_that_is_too_wide_is_found() {
    assert!(fits("= a  room for all", 17) && !fits("= a  room for all", 16));
    assert!(fits("= a  a-name-that-is-long", 12), "one word");
    assert!(!fits("名前 名前 名前", 10), "a wide letter has two columns");
    assert!(fits("$ aws logs tail /ecs/encode", 12));
}

#[tokio::test(start_paused = true)]
async fn every_page_fits_and_nothing_is_changed() {
    for (name, (world, config)) in worlds().await {
        world.take_calls();
        let views = Views::of(&world, &config).await;
        assert_eq!(world.changes(), 0, "{name}");
        for width in WIDTHS {
            let pages = views.pages(width);
            assert!(10 + names(&config).count() <= pages.len(), "{name}: {pages:?}");
            for (command, page) in &pages {
                let wide: Vec<_> = page.lines().filter(|line| !fits(line, width)).collect();
                assert_eq!(wide, [""; 0], "{command} of {name} at {width}");
            }
            let closely = transcript(&world, &pages, is_closely);
            insta::assert_snapshot!(format!("{name}_closely_{width}"), closely);
            let beside = transcript(&world, &pages, is_beside);
            insta::assert_snapshot!(format!("{name}_beside_{width}"), beside);
        }
        let refused = views.stop.iter().filter_map(|(name, stop)| {
            let error = stop.as_ref().err()?;
            Some(format!("> stop {name} --all\n{error}"))
        });
        let refused: Vec<_> = refused.chain(views.start.err()).collect();
        insta::assert_snapshot!(format!("{name}_refused"), refused.join("\n"));
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_program_reads_is_as_its_schema_says_of_every_outcome() {
    for (name, (world, config)) in worlds().await {
        for (shape, view) in Views::of(&world, &config).await.json() {
            assert_as_its_schema_says(shape, &view, name);
        }
    }
}

/// As no worker, and no one size of its tasks, keeps another from being seen.
#[tokio::test(start_paused = true)]
async fn decisions_are_rows_whatever_they_come_to() {
    for (name, (world, config)) in worlds().await {
        world.take_calls();
        let Seen { mut tables, missing, notes } = seen_of(&world, &config).await;
        let statement =
            "SELECT worker, outcome, tasks, containers, waits_for, errors FROM decisions";
        let rows = tables.ask(statement, Instant::now() + Duration::from_secs(5));
        let rows = rows.unwrap();
        assert_eq!(world.changes(), 0);
        let page = [rows.page(), missing.join("\n"), notes.join("\n")];
        insta::assert_snapshot!(format!("{name}_decisions"), page.join("\n"));
        let view: Value = serde_json::from_str(&rows.json(&missing).unwrap()).unwrap();
        assert_as_its_schema_says("query", &view, name);
        let list = view["rows"].as_array().unwrap().iter();
        let listed: Vec<_> = list.map(|row| row["worker"].as_str().unwrap()).collect();
        assert_eq!(listed, names(&config).collect::<Vec<_>>());
    }
}

/// Of whatever is wrong with its tasks and its queue it knows nothing.
#[tokio::test(start_paused = true)]
async fn a_definition_is_rendered_for_every_worker_that_has_one() {
    for (name, (world, config)) in worlds().await {
        let (deployment, cloud) = (deployment(&world, &config).await, cloud(&world));
        let in_force = deployment.scaler.config.current(&cloud, world.now()).await.unwrap();
        world.take_calls();
        let mut refused = Vec::new();
        for worker in names(&config) {
            let worker = worker_in(&in_force.config, worker).unwrap();
            let definition = cloud.definition(&worker.task_definition).await.unwrap();
            match render(&worker, &definition, Containers(2), false) {
                Ok(document) => {
                    let containers = document["containerDefinitions"].as_array().unwrap();
                    assert!(containers.len() == 3, "{name}: {document}");
                }
                Err(error) => refused.push(format!("{}: {error}", worker.name)),
            }
        }
        assert_eq!(world.changes(), 0);
        let wrong = if name == "kinds" { vec!["wrong: "] } else { Vec::new() };
        assert_eq!(refused.len(), wrong.len(), "{refused:?}");
        assert!(refused.iter().zip(wrong).all(|(error, begins)| error.starts_with(begins)));
    }
}
