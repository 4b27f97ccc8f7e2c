//! `queue-scaler query` in the in-process AWS: what is in the tables, and what a statement may do.

use std::time::Duration;

use ecs_queue_scaler::cli::tables::{QueryError, Rows, Seen, Tables, check, explained, read};
use rusqlite::Connection;
use rusqlite::types::Value as Cell;
use serde_json::{Value, json};
use tempfile::tempdir;
use tokio::time::Instant;

use super::plan::{cloud, definition_for_instances, deployment, with_canaries};
use crate::tick::{config, invocation, scaler, tick, worker, world_of, world_with};
use crate::world::{Fault, World};

pub(super) async fn seen_of(world: &World, config: &Value) -> Seen {
    let deployment = deployment(world, config).await;
    Box::pin(read(&deployment, &cloud(world), &invocation(world))).await.unwrap()
}

/// Tasks of three workers on two instances, beside a third that has little left and a fourth that is empty.
pub(super) async fn busy() -> (World, Value) {
    let world = world_with(&["a", "b", "denied"], definition_for_instances);
    let mut rich = with_canaries("a");
    rich["networkMode"] = json!("bridge");
    rich["requiresCompatibilities"] = json!(["EC2"]);
    world.register(&rich);
    for name in ["i-1", "i-2"] {
        let brought = json!({"ec2InstanceId": name, "capacityProvider": "big", "gpus": 1});
        world.instance("jobs", brought);
    }
    let packing = json!({"strategy": "dense", "maxContainersPerTask": 2});
    let one = json!({"messagesPerContainer": 1});
    let capped = json!({"messagesPerContainer": 1, "maxContainers": 1});
    let mut config = config(&[
        worker("a", &one, &packing),
        worker("b", &capped, &json!({})),
        worker("denied", &one, &json!({})),
    ]);
    let secret = json!([{"name": "worker", "environment": [{"name": "X", "value": "hush-20"}]}]);
    config["launch"] = json!({
        "launchType": "EC2", "placement": {"scheduler": "leastTasks"},
        "overrides": {"containerOverrides": secret},
    });
    world.queue("a").visible(4);
    world.queue("b").visible(3);
    let _ = tick(&scaler(&world, &config), &world, 0).await;
    world.all_run();
    world.change_tasks(|task| {
        let containers = task["containers"].as_array_mut().unwrap();
        for container in containers.iter_mut().filter(|it| it["name"] == "worker-2") {
            container["lastStatus"] = json!("STOPPED");
            container["exitCode"] = json!(7);
        }
    });
    world.instance("jobs", json!({"ec2InstanceId": "i-3", "memory": 150}));
    world.instance("jobs", json!({"ec2InstanceId": "i-4"}));
    world.reach(Duration::from_mins(5)).await;
    (world, config)
}

fn denied() -> Fault {
    Fault::Error(400, "AccessDenied", "not authorized".to_owned())
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

fn ask(tables: &mut Tables, statement: &str) -> Rows {
    tables.ask(statement, soon()).unwrap_or_else(|error| panic!("{statement}: {error}"))
}

fn texts(tables: &mut Tables, statement: &str) -> Vec<String> {
    let rows = ask(tables, statement).rows.into_iter().flatten();
    rows.map(|cell| match cell {
        Cell::Text(text) => text,
        other => panic!("{statement}: {other:?}"),
    })
    .collect()
}

fn tables_of(tables: &mut Tables) -> Vec<String> {
    texts(tables, "SELECT name FROM sqlite_master WHERE type = 'table'")
}

#[tokio::test(start_paused = true)]
async fn every_column_is_filled_and_explained() {
    let (world, config) = busy().await;
    world.fail_where("GetQueueAttributes", "/denied\"", (9, denied()));
    world.take_calls();
    let Seen { mut tables, missing, .. } = seen_of(&world, &config).await;
    assert_eq!(world.changes(), 0);
    let said = explained();
    let names = tables_of(&mut tables);
    let about =
        ["workers", "queues", "tasks", "containers", "instances", "definitions", "decisions"];
    assert_eq!(names, about);
    for table in names {
        let columns = ask(&mut tables, &format!("SELECT * FROM {table} LIMIT 0")).columns;
        let part = said.split(&format!("{table}: ")).nth(1).unwrap();
        let lines: Vec<_> =
            part.lines().skip(1).take_while(|line| line.starts_with("    ")).collect();
        let first: Vec<_> =
            lines.iter().map(|line| line.split_whitespace().next().unwrap()).collect();
        assert_eq!(first, columns, "{table}");
        for column in columns {
            let filled = format!("SELECT count({column}) FROM {table}");
            assert_ne!(ask(&mut tables, &filled).rows, [[Cell::Integer(0)]], "{table}.{column}");
        }
    }
    assert_eq!(missing.len(), 1, "{missing:?}");
    assert!(
        missing[0].starts_with("the queue of denied is missing: GetQueueAttributes"),
        "{missing:?}"
    );
    insta::assert_snapshot!("tables", said);
    assert_eq!(super::seen(&["query", "--tables"], ""), (0, format!("{said}\n"), String::new()));
}

/// What is random or of a time is left out.
#[tokio::test(start_paused = true)]
async fn the_tables_say_what_a_tick_sees() {
    let (world, config) = busy().await;
    world.fail_where("GetQueueAttributes", "/denied\"", (9, denied()));
    let Seen { mut tables, .. } = seen_of(&world, &config).await;
    let statements = [
        "SELECT * FROM workers",
        "SELECT * FROM queues",
        "SELECT worker, cluster, state, created, started, revision, capacity, substr(instance, -1) AS instance, tick \
         FROM tasks ORDER BY worker, instance",
        "SELECT worker, name, status, exit_code FROM containers JOIN tasks ON task = tasks.id \
         ORDER BY worker, name, status",
        "SELECT * FROM instances",
        "SELECT * FROM definitions",
        "SELECT * FROM decisions",
        "SELECT typeof(cpu), typeof(memory) FROM definitions",
    ];
    let pages = statements.map(|statement| ask(&mut tables, statement).page());
    insta::assert_snapshot!("rows", pages.join("\n\n"));
}

#[tokio::test(start_paused = true)]
async fn the_questions_of_the_page_are_answered() {
    let (world, config) = busy().await;
    let Seen { mut tables, missing, notes } = seen_of(&world, &config).await;
    assert_eq!((missing, notes), (Vec::new(), Vec::new()));
    let page = include_str!("../../../docs/cli.md");
    let asked = page.lines().filter_map(|line| line.strip_prefix("queue-scaler query '"));
    let asked: Vec<_> = asked.map(|rest| rest.split('\'').next().unwrap()).collect();
    let [fewest, waiting] = asked.as_slice() else { panic!("{asked:?}") };
    // Two run tasks, and the third has no 200 MiB.
    let id = texts(&mut tables, "SELECT id FROM instances WHERE ec2 = 'i-4'");
    assert_eq!(texts(&mut tables, fewest), id);
    let expected = "worker,visible,waits_for\na,4,\nb,3,maxContainers\ndenied,0,";
    assert_eq!(ask(&mut tables, waiting).csv(), expected);
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_read_is_said_and_is_never_zero() {
    let (world, config) = busy().await;
    world.fail("ListContainerInstances", 9, denied());
    world.fail("ListTasks", 9, denied());
    let Seen { mut tables, missing, .. } = seen_of(&world, &config).await;
    let about: Vec<_> = missing.iter().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(about, ["the tasks of jobs are missing", "the instances of jobs are missing"]);
    let unknown =
        "SELECT name FROM workers WHERE tasks IS NULL AND containers IS NULL AND running IS NULL";
    assert_eq!(texts(&mut tables, unknown), ["a", "b", "denied"]);
}

const ENDLESS: &str =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000000) SELECT ";

#[tokio::test(start_paused = true)]
async fn only_one_select_is_let_through() {
    let world = world_of(&["a"]);
    let config = config(&[worker("a", &json!({"messagesPerContainer": 1}), &json!({}))]);
    let mut tables = seen_of(&world, &config).await.tables;
    let folder = tempdir().unwrap();
    let file = folder.path().join("other.db").display().to_string();
    let refused = [
        &format!("ATTACH '{file}' AS other"),
        &format!("VACUUM INTO '{file}'"),
        "DETACH main",
        "PRAGMA user_version",
        "PRAGMA writable_schema = 1",
        "SELECT * FROM pragma_user_version",
        "SELECT count(*) FROM PRAGMA_table_info('workers')",
        "INSERT INTO workers (name) VALUES ('x')",
        "UPDATE workers SET name = 'x'",
        "DELETE FROM workers",
        "DELETE FROM workers RETURNING name",
        "DROP TABLE workers",
        "CREATE TABLE other (x)",
        "CREATE TEMP TABLE other AS SELECT * FROM workers",
        "CREATE VIRTUAL TABLE other USING fts5(x)",
        "BEGIN",
        "ANALYZE",
        "REINDEX",
        "SELECT load_extension('x')",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE workers",
    ];
    for statement in refused {
        assert_eq!(tables.ask(statement, soon()), Err(QueryError::NotOnlyRead), "{statement}");
        assert_eq!(check(statement), Err(QueryError::NotOnlyRead), "{statement}");
    }
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    assert_eq!(texts(&mut tables, "SELECT name FROM workers; -- and no more"), ["a"]);
    let with =
        "WITH one AS (SELECT name FROM workers) SELECT value FROM one, json_each(json_array(name))";
    assert_eq!(texts(&mut tables, with), ["a"]);

    let wrong =
        ["", "  -- nothing", "SELECT", "SELECT no FROM tasks", "SELECT * FROM no", "SELECT no()"];
    let wrong = wrong.map(|statement| check(statement).unwrap_err());
    assert!(wrong.iter().all(QueryError::is_wrong_use), "{wrong:?}");
    insta::assert_snapshot!("wrong", wrong.map(|error| error.to_string()).join("\n"));
}

/// Nothing is read for it.
#[test]
fn a_call_that_is_wrong_ends_with_2_before_aws_is_asked() {
    let nowhere = ["--endpoint-url", "http://127.0.0.1:1", "--region", "eu-central-1"];
    let said = |arguments: &[&str]| {
        let arguments: Vec<_> =
            ["query"].iter().chain(arguments).chain(&nowhere).copied().collect();
        let (code, stdout, stderr) = super::seen(&arguments, "");
        assert_eq!((code, stdout.as_str()), (2, ""), "{arguments:?}: {stderr}");
        stderr
    };
    assert!(
        said(&["DROP TABLE workers"])
            .starts_with("only one SELECT over these tables is let through")
    );
    assert!(said(&["SELECT no FROM tasks"]).starts_with("no such column: no; `query --tables`"));
    let there = "`Cargo.toml` is there already, and nothing is written over it\n";
    assert_eq!(said(&["--save", "Cargo.toml"]), there);
    for wrong in [
        &[][..],
        &["--csv", "--save", "x"],
        &["SELECT 1", "--csv", "--json"],
        &["SELECT 1", "--tables"],
    ] {
        assert!(said(wrong).contains("Usage: "), "{wrong:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_statement_has_a_bound_in_time_rows_and_bytes() {
    let world = world_of(&["a"]);
    let config = config(&[worker("a", &json!({"messagesPerContainer": 1}), &json!({}))]);
    let mut tables = seen_of(&world, &config).await.tables;
    let error = tables.ask(&format!("{ENDLESS} count(*) FROM n"), Instant::now()).unwrap_err();
    assert_eq!(error, QueryError::TooLong);
    assert!(!error.is_wrong_use());
    insta::assert_snapshot!("too_long", error.to_string());

    let many = ask(&mut tables, &format!("{ENDLESS} i FROM n"));
    assert_eq!((many.rows.len(), many.is_cut), (100_000, true));
    let all = ask(&mut tables, &format!("{ENDLESS} i FROM n LIMIT 100000"));
    assert_eq!((all.rows.len(), all.is_cut), (100_000, false));
    let long = ask(&mut tables, &format!("{ENDLESS} hex(zeroblob(499999)) FROM n"));
    assert!(long.is_cut && long.rows.len() < 200, "{}", long.rows.len());
    let longest = tables.ask("SELECT zeroblob(1000001)", soon()).unwrap_err();
    assert!(longest.to_string().starts_with("string or blob too big"), "{longest}");
    assert_eq!(texts(&mut tables, "SELECT name FROM workers"), ["a"], "nothing is left of it");
}

#[tokio::test(start_paused = true)]
async fn texts_are_exact_and_command_no_terminal() {
    let world = world_of(&["a"]);
    let config = config(&[worker("a", &json!({"messagesPerContainer": 1}), &json!({}))]);
    let mut tables = seen_of(&world, &config).await.tables;
    let rows = ask(
        &mut tables,
        "SELECT char(27) || '[2J' AS \"a\u{1b}\", char(155, 8238) AS b, 'x,\"y\"' || char(10, 9) || 'z' AS c, '' AS d, \
         NULL AS e, 2.0 AS f, x'00ff' AS g, -3 AS h",
    );
    let csv = "a\u{fffd},b,c,d,e,f,g,h\n\u{fffd}[2J,\u{fffd}\u{fffd},\"x,\"\"y\"\"\n\tz\",\"\",,2.0,00ff,-3";
    assert_eq!(rows.csv(), csv);
    assert!(!rows.page().contains(['\u{1b}', '\u{9b}', '\u{202e}', '\t']), "{:?}", rows.page());
    assert_eq!(rows.page().lines().count(), 2, "a row is a line");
    let text = rows.json(&["a queue".to_owned()]).unwrap();
    assert!(!text.contains(['\u{1b}', '\u{9b}', '\u{202e}', '\t']), "{text:?}");
    let view: Value = serde_json::from_str(&text).unwrap();
    let expected = json!([{
        "a\u{1b}": "\u{1b}[2J", "b": "\u{9b}\u{202e}", "c": "x,\"y\"\n\tz", "d": "", "e": null, "f": 2.0, "g": "00ff",
        "h": -3,
    }]);
    assert_eq!((&view["rows"], &view["missing"]), (&expected, &json!(["a queue"])));
    let schema = include_str!("../../../docs/schema/query.json");
    let validator = jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap();
    assert!(validator.is_valid(&view) && !validator.is_valid(&expected), "{view}");
    let (_, made, _) = super::seen(&["schema", "--of", "query"], "");
    assert!(made == schema, "make docs");

    let none = ask(&mut tables, "SELECT id, state FROM tasks");
    assert_eq!(none.csv(), "id,state");
    let text = none.json(&[]).unwrap();
    let view: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&view["columns"], &view["rows"]), (&json!(["id", "state"]), &json!([])));
    assert_eq!(none.page().split_whitespace().collect::<Vec<_>>(), ["id", "state"]);
    let twice = ask(&mut tables, "SELECT name, name FROM workers").json(&[]);
    assert_eq!(twice, Err(QueryError::SameName("name".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn a_file_is_whole_and_never_written_over() {
    let (world, config) = busy().await;
    let mut tables = seen_of(&world, &config).await.tables;
    let names = tables_of(&mut tables);
    let folder = tempdir().unwrap();
    let file = folder.path().join("tasks.db");
    tables.save(&file).unwrap();
    let saved = Connection::open(&file).unwrap();
    for table in names {
        let count = format!("SELECT count(*) FROM {table}");
        let rows: i64 = saved.query_row(&count, [], |row| row.get(0)).unwrap();
        assert_eq!(ask(&mut tables, &count).rows, [[Cell::Integer(rows)]], "{table}");
    }
    let before = std::fs::read(&file).unwrap();
    let again = tables.save(&file).unwrap_err();
    assert_eq!(again, QueryError::Exists(file.display().to_string()));
    assert_eq!(std::fs::read(&file).unwrap(), before);
    let dangling = folder.path().join("link");
    std::os::unix::fs::symlink(folder.path().join("no-such"), &dangling).unwrap();
    assert!(matches!(tables.save(&dangling), Err(QueryError::Exists(_))));
    let nowhere = tables.save(&folder.path().join("no/such.db")).unwrap_err();
    assert!(!nowhere.is_wrong_use() && nowhere.to_string().contains("No such file"), "{nowhere}");
    let there: Vec<_> =
        folder.path().read_dir().unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(there.len(), 2, "no half a file: {there:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_that_may_be_a_secret_is_in_a_table() {
    let (world, config) = busy().await;
    let seen = seen_of(&world, &config).await;
    let mut texts = vec![format!("{seen:?}")];
    let Seen { mut tables, .. } = seen;
    for table in tables_of(&mut tables) {
        let rows = ask(&mut tables, &format!("SELECT * FROM {table}"));
        texts.extend([rows.page(), rows.csv(), rows.json(&[]).unwrap(), format!("{rows:?}")]);
    }
    let folder = tempdir().unwrap();
    let file = folder.path().join("tables.db");
    tables.save(&file).unwrap();
    texts.push(String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned());
    for statement in ["SELECT environment FROM definitions", "SELECT * FROM secrets"] {
        let error = tables.ask(statement, soon()).unwrap_err();
        texts.extend([error.to_string(), format!("{error:?}")]);
    }
    // What AWS says of a call may repeat what it was given.
    world.fail(
        "DescribeTaskDefinition",
        9,
        Fault::Error(400, "ClientException", "PASSWORD=hush-3".to_owned()),
    );
    let denied = seen_of(&world, &config).await;
    assert!(!denied.missing.is_empty());
    texts.push(format!("{denied:?}"));
    let Seen { mut tables, .. } = denied;
    texts.push(ask(&mut tables, "SELECT * FROM decisions").csv());
    assert!(texts.iter().any(|text| text.contains("bridge")), "the definition is in a table");
    for text in texts {
        assert!(!text.contains("hush"), "{text}");
    }
}
