//! Connections of browsers, each within bounds.

use std::io;
use std::time::Duration;

use axum::Router;
use futures_util::StreamExt;
use futures_util::future::select_all;
use futures_util::stream::FuturesUnordered;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep_until};

/// So many at once: twenty tabs have one or two each.
pub(super) const MOST: usize = 64;

/// So long somebody may take for the head of a request, and be silent between two.
const HEAD: Duration = Duration::from_secs(15);

/// Bytes of a request that are held before its head has ended.
const LONGEST_HEAD: usize = 16 * 1024;

/// Where no connection can be taken, such as for want of file descriptors, the next try comes after so long.
const AGAIN: Duration = Duration::from_millis(200);

/// Answers whoever connects, for as long as it is polled.
pub async fn serve(listeners: Vec<TcpListener>, router: Router) {
    let mut open = FuturesUnordered::new();
    loop {
        tokio::select! {
            accepted = accepted(&listeners) => match accepted {
                // One too many is closed at once: whoever waited in a line would not know why.
                Ok(stream) if open.len() < MOST => open.push(answered(stream, router.clone())),
                Ok(_) => {}
                Err(_) => sleep_until(Instant::now() + AGAIN).await,
            },
            Some(()) = open.next() => {}
        }
    }
}

async fn accepted(listeners: &[TcpListener]) -> io::Result<TcpStream> {
    let all = listeners.iter().map(|listener| Box::pin(listener.accept()));
    let (accepted, ..) = select_all(all).await;
    accepted.map(|(stream, _)| stream)
}

async fn answered(stream: TcpStream, router: Router) {
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(LONGEST_HEAD);
    let service = TowerToHyperService::new(router);
    // How a browser's connection ended is of no use to anybody.
    drop(server.serve_connection(TokioIo::new(stream), service).await);
}
