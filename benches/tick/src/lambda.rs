//! The Lambda Runtime API: one event at a time, with the time that its answer took.
//! Source: Lambda developer guide, "Using the Lambda runtime API for custom runtimes".

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::mpsc as done;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http_body_util::{BodyExt, Collected, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::{Mutex as Turn, mpsc};
use tokio::task::JoinHandle;

use crate::Error;
use crate::http::bind;

/// The longest that a function may take, so that none is cut off by its time.
/// Source: Lambda quotas, "Function timeout".
const TIMEOUT: Duration = Duration::from_mins(15);

/// The Runtime API of one process.
#[derive(Debug)]
pub struct RuntimeApi {
    /// `AWS_LAMBDA_RUNTIME_API`
    pub address: SocketAddr,
    events: mpsc::UnboundedSender<String>,
    answers: done::Receiver<Answer>,
    ready: done::Receiver<Instant>,
    server: JoinHandle<()>,
}

/// What a function answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// When it got the event.
    pub begun: Instant,
    /// When its answer was there.
    pub ended: Instant,
    /// What it says, or why it failed.
    pub body: Result<Value, String>,
}

/// What the connections of a process share.
struct Shared {
    events: Turn<mpsc::UnboundedReceiver<String>>,
    begun: Mutex<Instant>,
    answers: done::Sender<Answer>,
    ready: done::Sender<Instant>,
}

impl RuntimeApi {
    /// Listens on a free port.
    ///
    /// # Errors
    /// When there is none.
    pub fn listen(on: &Handle) -> Result<Self, Error> {
        let (listener, address) = bind(on)?;
        let (events, queue) = mpsc::unbounded_channel();
        let (answered, answers) = done::channel();
        let (asked, ready) = done::channel();
        let begun = Mutex::new(Instant::now());
        let queue = Turn::new(queue);
        let shared = Shared { events: queue, begun, answers: answered, ready: asked };
        let shared = Arc::new(shared);
        let server = on.spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let _ = stream.set_nodelay(true);
                let shared = shared.clone();
                tokio::spawn(async move {
                    let service = service_fn(|request| respond(request, shared.clone()));
                    let served =
                        http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                    let _ = served.await;
                });
            }
        });
        Ok(Self { address, events, answers, ready, server })
    }

    /// Waits until the function asks for an event: when that was.
    ///
    /// # Errors
    /// When it does not.
    pub fn ready(&self) -> Result<Instant, Error> {
        let ready = self.ready.recv_timeout(Duration::from_mins(1));
        Ok(ready.map_err(|_| "the function asks for no event")?)
    }

    /// Gives the function an event.
    pub fn send(&self, event: &Value) {
        let _ = self.events.send(event.to_string());
    }

    /// Waits for the answer.
    ///
    /// # Errors
    /// When there is none in time.
    pub fn answer(&self) -> Result<Answer, Error> {
        Ok(self.answers.recv_timeout(TIMEOUT).map_err(|_| "the function gave no answer")?)
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn respond(
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.method() == Method::GET {
        return Ok(next(&shared).await);
    }
    let ended = Instant::now();
    let failed = !request.uri().path().ends_with("/response");
    let body = request.into_body().collect().await.map(Collected::to_bytes).unwrap_or_default();
    let text = || String::from_utf8_lossy(&body).into_owned();
    let body = if failed { Err(text()) } else { serde_json::from_slice(&body).map_err(|_| text()) };
    let begun = *shared.begun.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = shared.answers.send(Answer { begun, ended, body });
    let mut response = Response::new(Full::new(Bytes::from_static(b"{\"status\":\"OK\"}")));
    *response.status_mut() = StatusCode::ACCEPTED;
    Ok(response)
}

async fn next(shared: &Shared) -> Response<Full<Bytes>> {
    let _ = shared.ready.send(Instant::now());
    let event = shared.events.lock().await.recv().await.unwrap_or_default();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let arn = "arn:aws:lambda:eu-central-1:123456789012:function:ecs-queue-scaler";
    let response = Response::builder()
        .header("content-type", "application/json")
        .header("lambda-runtime-aws-request-id", format!("{:032x}", now.as_nanos()))
        .header("lambda-runtime-deadline-ms", (now + TIMEOUT).as_millis().to_string())
        .header("lambda-runtime-invoked-function-arn", arn)
        .header("lambda-runtime-trace-id", "Root=1-5e1b4151-5ac6c58dc39a5a3a5c3a5c3a;Sampled=0")
        .body(Full::new(Bytes::from(event)));
    *shared.begun.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    response.unwrap_or_default()
}
