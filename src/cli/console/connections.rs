//! Connections of browsers, each within bounds.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::{Extension, Router};
use futures_util::StreamExt;
use futures_util::future::select_all;
use futures_util::stream::FuturesUnordered;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// So many at once: twenty tabs have one or two each.
pub(super) const MOST: usize = 64;

/// So long somebody may take for the head of a request, and be silent between two.
const HEAD: Duration = Duration::from_secs(15);

/// Bytes of a request that are held before its head has ended.
const LONGEST_HEAD: usize = 16 * 1024;

/// Where no connection can be taken, such as for want of file descriptors, the next try comes after so long.
const AGAIN: Duration = Duration::from_millis(200);

/// Somebody who has connected.
#[derive(Debug, Default)]
pub(super) struct Peer {
    /// Whether the key came by this connection.
    pub(super) has_key: AtomicBool,
    /// Its place is somebody else's.
    gives_way: Notify,
}

/// Answers whoever connects, for as long as it is polled. Where there are too many, the one that has been there
/// longest without having shown the key gives way: who has none keeps nobody out who has.
pub async fn serve(listeners: Vec<TcpListener>, router: Router) {
    let mut open = FuturesUnordered::new();
    let mut peers: Vec<Arc<Peer>> = Vec::new();
    loop {
        tokio::select! {
            accepted = accepted(&listeners) => {
                let Ok(stream) = accepted else {
                    sleep_until(Instant::now() + AGAIN).await;
                    continue;
                };
                if MOST <= peers.len() {
                    let is_stranger = |peer: &Arc<Peer>| !peer.has_key.load(Ordering::Relaxed);
                    let Some(stranger) = peers.iter().position(is_stranger) else { continue };
                    peers.remove(stranger).gives_way.notify_one();
                }
                let peer = Arc::new(Peer::default());
                peers.push(Arc::clone(&peer));
                open.push(answered(stream, router.clone(), peer));
            }
            Some(gone) = open.next() => peers.retain(|peer| !Arc::ptr_eq(peer, &gone)),
        }
    }
}

async fn accepted(listeners: &[TcpListener]) -> io::Result<TcpStream> {
    let all = listeners.iter().map(|listener| Box::pin(listener.accept()));
    let (accepted, ..) = select_all(all).await;
    accepted.map(|(stream, _)| stream)
}

/// Until it is over, or gives way.
async fn answered(stream: TcpStream, router: Router, peer: Arc<Peer>) -> Arc<Peer> {
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(LONGEST_HEAD);
    let service = TowerToHyperService::new(router.layer(Extension(Arc::clone(&peer))));
    let connection = server.serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        // How a browser's connection ended is of no use to anybody.
        _ = connection => {}
        () = peer.gives_way.notified() => {}
    }
    peer
}
