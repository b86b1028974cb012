//! Connections: accepting as many as there is room for, and letting go of those that say or take nothing.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_io_timeout::TimeoutStream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

use crate::http::{Closing, Peer};

/// Connections that have said something; further ones wait until there is room.
const CONNECTIONS_MAX: usize = 1024;

/// Connections that have said nothing yet; further ones wait to be accepted.
const SILENT_MAX: usize = 4096;

/// How long a client may refuse to take what it asked for.
const STALLED: Duration = Duration::from_secs(60);

/// How long a new connection may say nothing.
const FIRST_BYTE: Duration = Duration::from_secs(10);

/// How long the head of a request may take, and how long a connection may idle between two. Open WebUI keeps idle
/// connections for 15 s and must not find one closed.
const HEAD: Duration = Duration::from_secs(30);

/// Pause after a failed accept (out of file descriptors, mostly).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Places for connections.
#[derive(Clone)]
pub(super) struct Room {
    silent: Arc<Semaphore>,
    speaking: Arc<Semaphore>,
}

impl Default for Room {
    fn default() -> Self {
        Self { silent: Arc::new(Semaphore::new(SILENT_MAX)), speaking: Arc::new(Semaphore::new(CONNECTIONS_MAX)) }
    }
}

pub(super) async fn accept(listener: TcpListener, router: axum::Router, room: Room, connections: TaskTracker, stop: CancellationToken) {
    loop {
        let Some(Ok(silent)) = stop.run_until_cancelled(room.silent.clone().acquire_owned()).await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (router, stop, speaking) = (router.clone(), stop.clone(), room.speaking.clone());
                connections.spawn(async move {
                    if !speaks(&stream, &stop).await {
                        return;
                    }
                    let Ok(_speaking) = speaking.acquire_owned().await else { return };
                    drop(silent);
                    serve(stream, peer, router, stop).await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Someone who connects and says nothing takes up a place that others need.
async fn speaks(stream: &TcpStream, stop: &CancellationToken) -> bool {
    let mut first = [0];
    let spoke = tokio::time::timeout(FIRST_BYTE, stream.peek(&mut first));
    matches!(stop.run_until_cancelled(spoke).await, Some(Ok(Ok(1))))
}

async fn serve(stream: TcpStream, peer: SocketAddr, router: axum::Router, stop: CancellationToken) {
    let _ = stream.set_nodelay(true);
    let closing = Closing(stop.clone());
    let service = router.map_request(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        request.extensions_mut().insert(closing.clone());
        request.map(axum::body::Body::new)
    });
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(STALLED));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(service));
    tokio::pin!(connection);
    tokio::select! {
        _ = &mut connection => return,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
