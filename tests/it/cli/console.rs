//! `queue-scaler console` without a socket: what a page is sent, who is answered, and what is shown where nothing could
//! be read.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode};
use ecs_queue_scaler::cli::console::{About, Answer, Board, Guard, Routes, Wish, router, saved};
use ecs_queue_scaler::cli::overview::History;
use ecs_queue_scaler::cli::status::{StatusView, Urgency};
use ecs_queue_scaler::cli::top::{Demo, Reading};
use flate2::read::GzDecoder;
use futures_util::{FutureExt, StreamExt};
use http_body_util::{BodyExt, BodyStream};
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tower::ServiceExt;

const KEY: &str = "00112233445566778899aabbccddeeff";

const READING: Reading =
    Reading { calls_of_ecs: 4, calls_of_sqs: 52, queues: 52, pause: EVERY, between: EVERY };

const EVERY: Duration = Duration::from_secs(5);

/// A console, and whoever would read for it.
struct Console {
    board: Board,
    demo: Demo,
    router: Router,
    wishes: UnboundedReceiver<Wish>,
}

impl Console {
    fn new(beside: Routes) -> Self {
        let about = About { run: "7".to_owned(), may_stop: beside.stop, ..About::default() };
        let board = Board::new(about, History::default());
        let (sender, wishes) = unbounded_channel();
        let guard = Guard::with_key(KEY, vec![7788]).unwrap();
        let router = router(board.desk(sender), guard, beside);
        Self { board, demo: Demo::new(1), router, wishes }
    }

    /// After so many refreshes.
    fn after(refreshes: usize, routes: Routes) -> Self {
        let mut console = Self::new(routes);
        for _ in 0..refreshes {
            console.refresh();
        }
        console
    }

    fn refresh(&mut self) -> StatusView {
        let (view, at) = self.demo.refresh();
        self.board.refreshed(view.clone(), at, READING);
        view
    }

    async fn asked(&self, method: &str, path: &str, body: &str) -> (StatusCode, Body) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "127.0.0.1:7788")
            .header("authorization", format!("Bearer {KEY}"))
            .header("sec-fetch-site", "same-origin")
            .header("content-type", "application/json")
            .body(Body::from(body.to_owned()))
            .unwrap();
        let answer = self.router.clone().oneshot(request).await.unwrap();
        (answer.status(), answer.into_body())
    }

    async fn got(&self, path: &str) -> (StatusCode, String) {
        let (status, body) = self.asked("GET", path, "").await;
        (status, text(&body.collect().await.unwrap().to_bytes()))
    }

    async fn live(&self, path: &str, last: Option<&str>) -> Events {
        let mut request = Request::builder()
            .uri(path)
            .header("host", "127.0.0.1:7788")
            .header("authorization", format!("Bearer {KEY}"));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let request = request.body(Body::empty()).unwrap();
        let answer = self.router.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        Events(BodyStream::new(answer.into_body()))
    }

    fn wish(&mut self) -> Option<Wish> {
        self.wishes.try_recv().ok()
    }
}

fn text(bytes: &Bytes) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

struct Events(BodyStream<Body>);

/// What a page was sent.
struct Sent {
    id: String,
    update: Value,
}

impl Events {
    /// The next one, if it is there; what is no event is passed over.
    fn next(&mut self) -> Option<Sent> {
        loop {
            let frame = self.0.next().now_or_never()??;
            let said = text(&frame.unwrap().into_data().unwrap());
            let mut lines = said.lines();
            let Some(id) = lines.next().and_then(|line| line.strip_prefix("id: ")) else {
                continue;
            };
            let data = lines.next().unwrap().strip_prefix("data: ").unwrap();
            return Some(Sent { id: id.to_owned(), update: serde_json::from_str(data).unwrap() });
        }
    }
}

/// A page that is told what is new.
#[derive(Debug, Default, PartialEq)]
struct Page {
    order: Value,
    rows: BTreeMap<String, Value>,
}

impl Page {
    fn take(&mut self, update: &Value) {
        if update["whole"] == true {
            *self = Self::default();
        }
        if let Some(order) = update.get("order") {
            self.order = order.clone();
        }
        for row in update["rows"].as_array().unwrap() {
            self.rows.insert(row["worker"].as_str().unwrap().to_owned(), row.clone());
        }
        let names: Vec<_> =
            self.order.as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
        self.rows.retain(|name, _| names.contains(&name.as_str()));
    }
}

#[tokio::test]
async fn a_page_gets_everything_and_then_what_has_changed() {
    let mut console = Console::after(30, Routes::default());
    let mut events = console.live("/api/live", None).await;
    let mut page = Page::default();
    let first = events.next().unwrap();
    assert_eq!(
        (&first.update["whole"], first.update["rows"].as_array().unwrap().len()),
        (&Value::Bool(true), 52)
    );
    assert_eq!(first.update["sparks"]["times"].as_array().unwrap().len(), 30);
    page.take(&first.update);
    assert!(events.next().is_none(), "nothing is new");
    let (mut fewer, mut moved) = (0, 0);
    for step in 0..120 {
        let mut view = console.demo.refresh();
        if step % 10 == 9 {
            // One that is gone, and comes back.
            view.0.workers.remove(step % 7);
        }
        console.board.refreshed(view.0, view.1, READING);
        let update = events.next().unwrap().update;
        assert_eq!(update["whole"], false);
        fewer += usize::from(update["rows"].as_array().unwrap().len() < 26);
        moved += usize::from(update.get("order").is_some());
        page.take(&update);
        let mut anew = Page::default();
        anew.take(&console.live("/api/live", None).await.next().unwrap().update);
        assert_eq!(page, anew, "who was told of changes sees what a new page sees");
    }
    assert!(60 < fewer && moved != 0 && moved < 120, "{fewer} {moved}");
}

#[tokio::test]
async fn a_page_that_comes_again_goes_on_where_it_was() {
    let mut console = Console::after(10, Routes::default());
    let first = console.live("/api/live", None).await.next().unwrap();
    let mut page = Page::default();
    page.take(&first.update);
    for _ in 0..20 {
        console.refresh();
    }
    let again = console.live("/api/live", Some(&first.id)).await.next().unwrap();
    assert_eq!(again.update["whole"], false);
    assert!(again.update["rows"].as_array().unwrap().len() < 52);
    page.take(&again.update);
    let mut anew = Page::default();
    anew.take(&console.live("/api/live", None).await.next().unwrap().update);
    assert_eq!(page, anew);
    for of_another in ["8-3", "7-9999", "7-", "-", "7", "x-1", "\u{e9}"] {
        let sent = console.live("/api/live", Some(of_another)).await.next().unwrap();
        assert_eq!(sent.update["whole"], true, "{of_another}");
    }
    let mut now = console.live("/api/live", Some(&again.id)).await;
    let sent = now.next().unwrap().update;
    assert_eq!(sent["rows"].as_array().unwrap().len(), 0, "it has seen all there is");
    assert!(sent["head"]["at"].is_string(), "and hears that it is connected");
    assert!(now.next().is_none());
}

#[tokio::test]
async fn who_reads_slowly_gets_the_newest_and_no_more() {
    let mut console = Console::after(1, Routes::default());
    let mut events = console.live("/api/live?worker=ocr-orders", None).await;
    events.next().unwrap();
    for _ in 0..50 {
        console.refresh();
    }
    let view = console.demo.worker("ocr-orders").unwrap();
    console.board.looked("ocr-orders", Ok(view));
    let sent = events.next().unwrap();
    assert_eq!(sent.id, "7-52");
    assert_eq!(sent.update["look"]["view"]["worker"], "ocr-orders");
    assert_eq!(sent.update["look"]["history"]["times"].as_array().unwrap().len(), 51);
    assert!(events.next().is_none());
}

#[tokio::test]
async fn nobody_looks_is_known_however_a_page_goes() {
    let mut console = Console::after(1, Routes::default());
    let events = console.live("/api/live?worker=ocr-orders", None).await;
    assert!(matches!(console.wish(), Some(Wish::Opened(Some(name))) if name == "ocr-orders"));
    drop(events);
    assert!(matches!(console.wish(), Some(Wish::Closed(Some(name))) if name == "ocr-orders"));
    drop(console.live("/api/live?worker=", None).await);
    assert!(matches!(console.wish(), Some(Wish::Opened(None))));
    assert!(matches!(console.wish(), Some(Wish::Closed(None))));
    assert!(console.wish().is_none());
}

#[tokio::test]
async fn what_could_not_be_read_is_never_shown_as_nothing() {
    let mut console = Console::new(Routes { prometheus: true, ..Routes::default() });
    assert!(console.live("/api/live", None).await.next().is_none(), "there is nothing yet");
    console.board.failed("no AWS credentials: set AWS_PROFILE", Timestamp::UNIX_EPOCH);
    let update = console.live("/api/live", None).await.next().unwrap().update;
    assert_eq!(update["head"]["failed"], "no AWS credentials: set AWS_PROFILE");
    assert!(update["head"].get("totals").is_none());

    console.refresh();
    let update = console.live("/api/live", None).await.next().unwrap().update;
    assert!(update["head"].get("failed").is_none());
    let rows = update["rows"].as_array().unwrap();
    let denied: Vec<_> = rows.iter().filter(|row| row["urgency"] == "denied").collect();
    assert_eq!(denied.len(), 1);
    for key in ["waiting", "running", "oldestSeconds"] {
        assert!(denied[0].get(key).is_none(), "{key}");
    }
    let name = denied[0]["worker"].as_str().unwrap();
    let (status, numbers) = console.got("/metrics").await;
    assert_eq!(status, StatusCode::OK);
    let of_denied = numbers.lines().filter(|line| line.contains(&format!("\"{name}\"")));
    let of_denied: Vec<_> = of_denied.collect();
    assert_eq!(of_denied.len(), 2, "its cap and its state: {of_denied:?}");

    // What was read stays, with why it is old.
    console.board.failed("throttled", Timestamp::UNIX_EPOCH);
    let update = console.live("/api/live", None).await.next().unwrap().update;
    assert_eq!(update["rows"].as_array().unwrap().len(), 52);
    assert_eq!(update["head"]["failed"], "throttled");
    let (status, said) = console.got("/api/status").await;
    assert_eq!(
        (status, said.as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "{\"error\":\"throttled\"}")
    );
}

#[tokio::test]
async fn numbers_are_as_prometheus_reads_them() {
    let mut console = Console::new(Routes { prometheus: true, ..Routes::default() });
    let (mut view, at) = console.demo.refresh();
    view.workers.truncate(2);
    "a \"quoted\"\\\nname".clone_into(&mut view.workers[0].worker);
    console.board.refreshed(view, at, READING);
    insta::assert_snapshot!("prometheus", console.got("/metrics").await.1);
    let without = Console::after(1, Routes::default());
    assert_eq!(without.got("/metrics").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn who_asks_once_waits_until_it_is_read() {
    let mut console = Console::after(1, Routes::default());
    let (status, said) = console.got("/api/status").await;
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((status, said["workers"].as_array().unwrap().len()), (StatusCode::OK, 52));
    assert!(console.wish().is_none(), "it is new enough");

    tokio::time::advance(Duration::from_mins(1)).await;
    let (view, at) = console.demo.refresh();
    let router = console.router.clone();
    let asking = Console { router, ..Console::new(Routes::default()) };
    let asked = async move { asking.got("/api/status").await };
    let reader = async {
        assert!(matches!(console.wishes.recv().await, Some(Wish::Read)));
        tokio::time::advance(Duration::from_secs(3)).await;
        console.board.refreshed(view.clone(), at, READING);
    };
    let ((_, said), ()) = tokio::join!(asked, reader);
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["at"], view.at);
    assert_eq!(console.got("/api/workers/no-such").await.0, StatusCode::NOT_FOUND);
    assert_eq!(console.got("/api/workers/..%2F..%2Fstatus").await.0, StatusCode::NOT_FOUND);

    // Nobody reads: it ends all the same.
    let (status, said) = console.got("/api/workers/ocr-orders").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{said}");
    assert!(matches!(console.wish(), Some(Wish::Look(name)) if name == "ocr-orders"));
}

/// Through a tunnel they come from far away.
#[tokio::test]
async fn files_come_compressed_to_whoever_takes_that() {
    let console = Console::new(Routes::default());
    let mut sizes = (0, 0);
    for path in ["/", "/page.js", "/table.js", "/uplot.js", "/page.css", "/help/breaker-open"] {
        let got = async |encodings: &str| {
            let request = Request::builder()
                .uri(path)
                .header("host", "127.0.0.1:7788")
                .header("accept-encoding", encodings);
            let request = request.body(Body::empty()).unwrap();
            let answer = console.router.clone().oneshot(request).await.unwrap();
            assert_eq!(answer.headers()["vary"], "accept-encoding");
            let encoding = answer.headers().get("content-encoding").cloned();
            (encoding, answer.into_body().collect().await.unwrap().to_bytes())
        };
        let (encoding, plain) = got("br, gzip;q=0").await;
        assert_eq!(encoding, None, "{path}");
        let (encoding, gzipped) = got("deflate, gzip, br").await;
        assert_eq!(encoding.unwrap(), "gzip", "{path}");
        let mut text = Vec::new();
        GzDecoder::new(&gzipped[..]).read_to_end(&mut text).unwrap();
        assert_eq!(text, plain, "{path}");
        sizes = (sizes.0 + gzipped.len(), sizes.1 + plain.len());
    }
    assert!(2 * sizes.0 < sizes.1, "{sizes:?}");
}

#[tokio::test]
async fn a_way_to_stop_is_there_only_where_it_was_allowed() {
    let path = "/api/workers/ocr-orders/tasks/0a/stop";
    let without = Console::after(1, Routes::default());
    for method in ["GET", "POST"] {
        let (status, _) = without.asked(method, path, "{\"task\":\"0a\"}").await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{method}");
    }
    let mut console = Console::after(1, Routes { stop: true, ..Routes::default() });
    for body in
        ["", "{}", "{\"task\":\"0b\"}", "[", &format!("{{\"task\":\"{}\"}}", "0".repeat(5000))]
    {
        assert_eq!(console.asked("POST", path, body).await.0, StatusCode::BAD_REQUEST, "{body}");
    }
    assert!(console.wish().is_none(), "nothing was wanted");
    let router = console.router.clone();
    let asking = Console { router, ..Console::new(Routes::default()) };
    let asked = async move { asking.asked("POST", path, "{\"task\":\"0a\"}").await.0 };
    let reader = async {
        let Some(Wish::Stop(target, answer)) = console.wishes.recv().await else { panic!() };
        assert_eq!((target.worker.as_str(), target.task.as_str()), ("ocr-orders", "0a"));
        let refused: Answer = Err("ask first".to_owned());
        answer.send(refused).unwrap();
    };
    let (status, ()) = tokio::join!(asked, reader);
    assert_eq!(status, StatusCode::CONFLICT);
}

#[test]
fn a_saved_page_holds_what_was_seen_and_nothing_of_it_is_markup() {
    let mut board = Board::new(About { is_saved: true, ..About::default() }, History::default());
    let (mut view, at) = Demo::new(1).refresh();
    let name = "</script><img src=x onerror=alert(1)>";
    name.clone_into(&mut view.workers[0].worker);
    board.refreshed(view.clone(), at, READING);
    let page = saved(&board.whole());
    assert!(!page.contains(name));
    let (_, rest) = page.split_once("<script type=\"application/json\" id=\"saved\">").unwrap();
    let (json, rest) = rest.split_once("</script>").unwrap();
    let seen: Value = serde_json::from_str(json).unwrap();
    let names: Vec<_> = seen["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["worker"].as_str().unwrap())
        .collect();
    assert!(names.contains(&name) && names.len() == view.workers.len());
    assert!(!rest.contains("\nimport ") && !rest.contains("\nexport "));
    assert!(!page.contains("src=\"") && !page.contains("href=\"p"), "it needs no other file");
}

#[test]
fn the_page_ranks_states_as_the_overview_does() {
    let all = Urgency::ALL;
    assert!(all.is_sorted());
    assert!(all.iter().enumerate().all(|(rank, it)| it.rank() == rank));
}
