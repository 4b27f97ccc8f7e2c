//! Tasks that a page stops: after a question, one a second, and never another one. And a machine that has slept.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use decision::units::WorkerName;
use ecs_queue_scaler::aws::Aws;
use ecs_queue_scaler::cli::console::{About, Board, Guard, Reader, Routes, router};
use ecs_queue_scaler::cli::deployment::Deployment;
use ecs_queue_scaler::cli::overview::History;
use ecs_queue_scaler::cli::reads::{Done, Reads, WasRead};
use ecs_queue_scaler::cli::status::{Session, refresh};
use ecs_queue_scaler::cli::stop::{Asked, ToStop, Which, prepare};
use ecs_queue_scaler::cli::top::Read;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::{Instant, sleep_until};
use tower::ServiceExt;

use super::plan::deployment;
use crate::tick::{config, invocation, scaler, tick, worker, world_of};
use crate::world::World;

const KEY: &str = "00112233445566778899aabbccddeeff";

/// The in-process AWS, as the program reads it.
struct Account {
    world: World,
    found: Deployment,
    stopped: RefCell<Vec<String>>,
    /// Times that all workers were read.
    reads: Cell<u32>,
}

impl Account {
    async fn with_two_tasks() -> Self {
        let world = world_of(&["a", "b"]);
        let one = json!({"messagesPerContainer": 1});
        let config = config(&["a", "b"].map(|name| worker(name, &one, &json!({}))));
        world.queue("a").visible(3);
        let _ = tick(&scaler(&world, &config), &world, 0).await;
        world.all_run();
        let found = deployment(&world, &config).await;
        Self { world, found, stopped: RefCell::default(), reads: Cell::default() }
    }

    /// The ids of the tasks that are there.
    fn tasks(&self) -> Vec<String> {
        let id = |task: Value| task["taskArn"].as_str()?.rsplit('/').next().map(str::to_owned);
        self.world.tasks().into_iter().filter_map(id).collect()
    }
}

impl Reads for Account {
    fn read(&self, read: Read) -> LocalBoxFuture<'_, WasRead> {
        async move {
            let cloud = Aws::new(&self.world.sdk_config()).unwrap().read;
            let invocation = invocation(&self.world);
            let done = match read {
                Read::All => {
                    self.reads.set(self.reads.get() + 1);
                    let session = Session::default();
                    let view = Box::pin(refresh(&self.found, &cloud, &session, &invocation)).await;
                    Done::Refreshed(view.map(Box::new).map_err(|error| error.to_string()))
                }
                Read::Queues => Done::Counted(Err("not asked here".to_owned())),
                Read::Worker(name) => Done::Looked(name, Err("not asked here".to_owned())),
                Read::Stop(target) => {
                    let which = Which::These(vec![target.task.clone()]);
                    let asked = Asked { worker: WorkerName::from(target.worker.as_str()), which };
                    let found = Box::pin(prepare(&self.found, &cloud, &asked, &invocation)).await;
                    Done::Asked(target, found.map_err(|error| error.to_string()))
                }
            };
            WasRead { done, at: self.world.now(), tally: cloud.tally() }
        }
        .boxed_local()
    }

    fn stop(&self, found: ToStop) -> LocalBoxFuture<'_, Result<String, String>> {
        async move {
            let tasks = found.tasks.iter().map(|task| task.task.clone());
            self.stopped.borrow_mut().extend(tasks);
            let write = Aws::new(&self.world.sdk_config()).unwrap().write;
            let came = found.stop(&write, "a test").await;
            if came.stopped == 0 { Err(came.failures.join("; ")) } else { Ok("stopped".to_owned()) }
        }
        .boxed_local()
    }
}

/// What a page asks.
struct Page(Router);

impl Page {
    async fn call(&self, method: &str, place: (&str, &str)) -> (StatusCode, Value) {
        let (worker, task) = place;
        let request = Request::builder()
            .method(method)
            .uri(format!("/api/workers/{worker}/tasks/{task}/stop"))
            .header("host", "127.0.0.1:7788")
            .header("authorization", format!("Bearer {KEY}"))
            .header("sec-fetch-site", "same-origin")
            .header("content-type", "application/json")
            .body(Body::from(json!({"task": task}).to_string()));
        let answer = self.0.clone().oneshot(request.unwrap()).await.unwrap();
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap())
    }

    async fn ask(&self, worker: &str, task: &str) -> (StatusCode, Value) {
        self.call("GET", (worker, task)).await
    }

    async fn yes(&self, worker: &str, task: &str) -> (StatusCode, Value) {
        self.call("POST", (worker, task)).await
    }
}

/// Does something with a page while the account is read for it.
async fn with_a_page(account: &Account, done: impl AsyncFnOnce(Page)) {
    let about = About { run: "1".to_owned(), may_stop: true, ..About::default() };
    let board = Board::new(about, History::default());
    let (sender, wishes) = unbounded_channel();
    let guard = Guard::with_key(KEY, vec![7788]).unwrap();
    let beside = Routes { stop: true, ..Routes::default() };
    let router = router(board.desk(sender), guard, beside);
    let mut reader = Reader::new(board, account, Duration::from_secs(5), wishes);
    tokio::select! {
        () = reader.run() => unreachable!("somebody may still wish for something"),
        () = done(Page(router)) => {}
    }
}

async fn pass(time: Duration) {
    sleep_until(Instant::now() + time).await;
}

#[tokio::test(start_paused = true)]
async fn a_task_is_stopped_after_a_question_and_one_a_second() {
    let account = Account::with_two_tasks().await;
    let tasks = account.tasks();
    let [first, second, third] = tasks.as_slice() else { panic!("{tasks:?}") };
    with_a_page(&account, async |page| {
        let (status, said) = page.yes("a", first).await;
        assert_ne!(status, StatusCode::OK, "nobody has asked");
        assert!(said["error"].as_str().unwrap().contains("nothing was done: ask"), "{said}");

        let (status, said) = page.ask("a", first).await;
        assert!(status == StatusCode::OK && said.to_string().contains("SIGTERM"), "{said}");
        assert_ne!(page.yes("a", second).await.0, StatusCode::OK, "another task was asked about");
        assert_ne!(page.yes("b", first).await.0, StatusCode::OK, "of another worker");
        assert_eq!(*account.stopped.borrow(), Vec::<String>::new());
        assert_eq!(page.ask("a", second).await.0, StatusCode::OK);
        assert_eq!(page.yes("a", first).await.0, StatusCode::OK);
        assert_eq!(account.stopped.borrow().as_slice(), std::slice::from_ref(first));

        let (status, said) = page.yes("a", second).await;
        assert_ne!(status, StatusCode::OK);
        assert!(said["error"].as_str().unwrap().contains("one task a second"), "{said}");
        pass(Duration::from_secs(1)).await;
        assert_eq!(page.yes("a", second).await.0, StatusCode::OK, "the question still stands");
        pass(Duration::from_secs(1)).await;
        assert_ne!(page.yes("a", second).await.0, StatusCode::OK, "a yes is for once");

        assert_eq!(page.ask("a", third).await.0, StatusCode::OK);
        pass(Duration::from_mins(2)).await;
        assert_ne!(page.yes("a", third).await.0, StatusCode::OK, "an old question is none");
        assert_ne!(page.ask("a", "no-such").await.0, StatusCode::OK);
    })
    .await;
    assert_eq!(*account.stopped.borrow(), [first.clone(), second.clone()]);
    assert_eq!(account.tasks(), std::slice::from_ref(third));
}

/// Where its clock goes on while a machine sleeps, what was due meanwhile is read once; where it stands still, as on
/// Linux, nothing was.
#[tokio::test(start_paused = true)]
async fn after_an_hour_of_sleep_all_is_read_once_and_then_as_ever() {
    let account = Account::with_two_tasks().await;
    with_a_page(&account, async |page| {
        let live = Request::builder()
            .uri("/api/live")
            .header("host", "127.0.0.1:7788")
            .header("authorization", format!("Bearer {KEY}"));
        let open = page.0.oneshot(live.body(Body::empty()).unwrap()).await.unwrap();
        pass(Duration::from_mins(1)).await;
        let before = account.reads.get();
        assert!((10..=13).contains(&before), "{before}");
        tokio::time::advance(Duration::from_hours(1)).await;
        pass(Duration::from_secs(4)).await;
        assert!(account.reads.get() <= before + 2, "{}", account.reads.get());
        pass(Duration::from_mins(1)).await;
        let since = account.reads.get() - before;
        assert!((12..=15).contains(&since), "{since}");
        drop(open);
    })
    .await;
}
