//! What is answered.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Path, Query, Request, State};
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use super::board::{Answer, Desk, Seen, Shown, Wish};
use super::connections::Peer;
use super::guard::{Guard, is_secret};
use super::{files, prometheus};
use crate::cli::top::Target;

/// A page that hears nothing for longer takes the server for lost.
const SILENCE: Duration = Duration::from_secs(15);

/// Who asks for what has to be read hears after so long that it was not.
const PATIENCE: Duration = Duration::from_secs(25);

/// A question about a task may have to wait until earlier calls are paid for.
const PATIENCE_FOR_A_TASK: Duration = Duration::from_mins(1);

/// Bytes of a body, and the time in which it has to come.
const LONGEST_BODY: usize = 4096;
const TIME_OF_A_BODY: Duration = Duration::from_secs(5);

/// Exactly what the page needs: its own files, its own API, and nothing of anybody else's. The plots set styles by
/// script, which no policy is asked about.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 5] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

const JSON: &str = "application/json";

/// Which ways there are beside those that everybody has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Routes {
    /// To stop a task.
    pub stop: bool,
    /// To what Prometheus reads.
    pub prometheus: bool,
}

/// All that is answered. A way that is not wanted is not there.
pub fn router(desk: Desk, guard: Guard, beside: Routes) -> Router {
    let mut router = Router::new()
        .route("/api/status", get(status))
        .route("/api/live", get(live))
        .route("/api/workers/{worker}", get(worker));
    if beside.prometheus {
        router = router.route("/metrics", get(metrics));
    }
    if beside.stop {
        router = router.route("/api/workers/{worker}/tasks/{task}/stop", get(question).post(stop));
    }
    let guarded = from_fn_with_state(Arc::new(guard), guarded);
    router.fallback(file).layer(guarded).with_state(desk)
}

async fn guarded(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let mut response = if let Some(refusal) = guard.refusal(&request) {
        error(refusal.status(), refusal.words())
    } else {
        if let Some(peer) = request.extensions().get::<Arc<Peer>>() {
            peer.has_key.fetch_or(is_secret(request.uri()), Ordering::Relaxed);
        }
        next.run(request).await
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn error(status: StatusCode, why: &str) -> Response {
    (status, answered(JSON, json!({"error": why}).to_string())).into_response()
}

fn answered(kind: &'static str, text: String) -> Response {
    ([(CONTENT_TYPE, kind)], text).into_response()
}

async fn file(request: Request) -> Response {
    let Some(file) = files::find(request.uri().path().trim_start_matches('/')) else {
        return error(StatusCode::NOT_FOUND, "there is nothing here");
    };
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        return error(StatusCode::METHOD_NOT_ALLOWED, "this is only read");
    }
    let encodings = request.headers().get(ACCEPT_ENCODING).and_then(|it| it.to_str().ok());
    let takes_gzip = encodings.is_some_and(|it| it.split(',').any(|it| it.trim() == "gzip"));
    let kind = [(CONTENT_TYPE, file.kind), (VARY, "accept-encoding")];
    match file.gzipped().filter(|_| takes_gzip) {
        Some(gzipped) => (kind, [(CONTENT_ENCODING, "gzip")], gzipped).into_response(),
        None => (kind, file.text).into_response(),
    }
}

impl Desk {
    fn shown(&self) -> Arc<Shown> {
        Arc::clone(&self.newest.borrow())
    }

    fn wish(&self, wish: Wish) {
        // Where nobody reads any more, the program is about to end.
        drop(self.wishes.send(wish));
    }

    /// What is shown as soon as that is so, or what there is when patience has ended.
    async fn when(&self, is_so: impl FnMut(&Arc<Shown>) -> bool) -> Arc<Shown> {
        let mut newest = self.newest.clone();
        let found = timeout(PATIENCE, newest.wait_for(is_so)).await;
        match found {
            Ok(Ok(shown)) => Arc::clone(&shown),
            Ok(Err(_)) | Err(_) => self.shown(),
        }
    }

    /// All workers, read anew where what there is is old.
    async fn fresh(&self) -> Arc<Shown> {
        let shown = self.shown();
        if shown.is_fresh() {
            return shown;
        }
        self.wish(Wish::Read);
        let before = shown.version;
        self.when(|shown| shown.is_fresh() || (before < shown.version && shown.failed.is_some()))
            .await
    }
}

async fn status(State(desk): State<Desk>) -> Response {
    let shown = desk.fresh().await;
    match (&shown.view, &shown.failed) {
        (Some(view), None) if shown.is_fresh() => answered(JSON, json!(view.as_ref()).to_string()),
        (_, failed) => unread(failed.as_deref()),
    }
}

/// What is old is given to nobody who does not see how old it is.
fn unread(failed: Option<&str>) -> Response {
    let why = failed.unwrap_or("it could not be read in time: try again");
    error(StatusCode::SERVICE_UNAVAILABLE, why)
}

async fn metrics(State(desk): State<Desk>) -> Response {
    let shown = desk.fresh().await;
    match (&shown.view, &shown.failed) {
        (Some(view), None) if shown.is_fresh() => {
            answered("text/plain; version=0.0.4; charset=utf-8", prometheus::text(view))
        }
        (_, failed) => unread(failed.as_deref()),
    }
}

async fn worker(State(desk): State<Desk>, Path(name): Path<String>) -> Response {
    let shown = desk.fresh().await;
    let is_known =
        shown.view.as_ref().is_some_and(|view| view.workers.iter().any(|row| row.worker == name));
    if !is_known {
        return match &shown.view {
            Some(_) => error(StatusCode::NOT_FOUND, "there is no such worker"),
            None => unread(shown.failed.as_deref()),
        };
    }
    let shown = if shown.fresh_look(&name).is_some() {
        shown
    } else {
        desk.wish(Wish::Look(name.clone()));
        desk.when(|shown| shown.fresh_look(&name).is_some()).await
    };
    let looked = shown.fresh_look(&name);
    match looked.map(|looked| (&looked.view, &looked.error)) {
        Some((Some(view), None)) => answered(JSON, json!(view.as_ref()).to_string()),
        Some((_, error)) => unread(error.as_deref()),
        None => unread(None),
    }
}

/// What a page wants to see closely.
#[derive(Debug, Deserialize)]
struct Wanted {
    worker: Option<String>,
}

/// A page that is open: it is counted until it goes, however it does.
struct Open {
    desk: Desk,
    worker: Option<String>,
}

impl Open {
    fn new(desk: Desk, worker: Option<String>) -> Self {
        desk.wish(Wish::Opened(worker.clone()));
        Self { desk, worker }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.desk.wish(Wish::Closed(self.worker.take()));
    }
}

/// What is sent to a page. It always is the newest: a page that reads slowly misses what came between.
struct Live {
    newest: watch::Receiver<Arc<Shown>>,
    open: Open,
    seen: Seen,
    /// Whether anything was sent: a page that comes again hears at once that it is connected, and how old all is.
    is_begun: bool,
}

impl Live {
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        let shown = Arc::clone(&self.newest.borrow_and_update());
        let is_new = self.seen.version != Some(shown.version) || !self.is_begun;
        if shown.is_something() && is_new {
            self.is_begun = true;
            let update = shown.update(&self.seen, &self.open.desk.history);
            self.seen.version = Some(shown.version);
            self.seen.has_look = true;
            let text = format!("id: {}\ndata: {update}\n\n", shown.id());
            return Some((Ok(text.into()), self));
        }
        match timeout(SILENCE, self.newest.changed()).await {
            Ok(Err(_)) => None,
            Ok(Ok(())) | Err(_) => Some((Ok(Bytes::from_static(b":\n\n")), self)),
        }
    }
}

async fn live(
    State(desk): State<Desk>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Response {
    let shown = desk.shown();
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let version = last.and_then(|id| shown.version_of(id));
    let worker = wanted.worker.filter(|worker| !worker.is_empty());
    let live = Live {
        newest: desk.newest.clone(),
        seen: Seen { version, worker: worker.clone(), has_look: false },
        is_begun: false,
        open: Open::new(desk, worker),
    };
    let body = Body::from_stream(stream::unfold(live, Live::next));
    ([(CONTENT_TYPE, "text/event-stream")], body).into_response()
}

async fn question(State(desk): State<Desk>, Path(target): Path<Target>) -> Response {
    said(&desk, |answer| Wish::Ask(target, answer)).await
}

async fn stop(State(desk): State<Desk>, Path(target): Path<Target>, request: Request) -> Response {
    let body = timeout(TIME_OF_A_BODY, to_bytes(request.into_body(), LONGEST_BODY)).await;
    let body =
        body.ok().and_then(Result::ok).and_then(|body| serde_json::from_slice::<Value>(&body).ok());
    if body.as_ref().and_then(|body| body.get("task")?.as_str()) != Some(target.task.as_str()) {
        return error(StatusCode::BAD_REQUEST, "send the task once more, as {\"task\": \"ID\"}");
    }
    said(&desk, |answer| Wish::Stop(target, answer)).await
}

async fn said(desk: &Desk, wish: impl FnOnce(oneshot::Sender<Answer>) -> Wish) -> Response {
    let (sender, answer) = oneshot::channel();
    desk.wish(wish(sender));
    match timeout(PATIENCE_FOR_A_TASK, answer).await {
        Ok(Ok(Ok(lines))) => answered(JSON, json!({"lines": lines}).to_string()),
        Ok(Ok(Err(why))) => error(StatusCode::CONFLICT, &why),
        Ok(Err(_)) | Err(_) => {
            let why = "there was no answer in time: look at the task before you try again";
            error(StatusCode::SERVICE_UNAVAILABLE, why)
        }
    }
}
