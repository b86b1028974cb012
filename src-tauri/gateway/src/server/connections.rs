//! Connections: listening, accepting as many as there is room for, and letting go of those that say or take nothing.

use std::{
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

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

use super::StartError;
use crate::http::Peer;

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

/// Connections that the system queues for us.
const BACKLOG: u32 = 1024;

/// Listens on `host`; on IPv4's loopback also on IPv6's, for clients whose `localhost` is that one.
pub(super) async fn listen(host: IpAddr, port: u16) -> Result<Vec<TcpListener>, StartError> {
    let address = SocketAddr::new(host, port);
    let first = bind(address).map_err(|source| {
        let remedy = match source.kind() {
            io::ErrorKind::AddrInUse => format!("stop the program that uses port {port}, or choose another port with --port or PORT"),
            io::ErrorKind::AddrNotAvailable => "choose an address of this computer with --host or HOST".into(),
            io::ErrorKind::PermissionDenied => "choose a port above 1023 with --port or PORT".into(),
            _ => "choose another address with --host and --port".into(),
        };
        StartError::Listen { address, source, remedy }
    })?;
    let mut listeners = vec![first];
    if host == IpAddr::from([127, 0, 0, 1]) {
        let port = listeners[0].local_addr().map_or(port, |a| a.port());
        // A computer without IPv6 is none the worse for it.
        listeners.extend(bind(SocketAddr::new(Ipv6Addr::LOCALHOST.into(), port)).ok());
    }
    Ok(listeners)
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { tokio::net::TcpSocket::new_v4() } else { tokio::net::TcpSocket::new_v6() }?;
    // On Windows this would let another program take the port as well.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

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
        let Ok(silent) = room.silent.clone().acquire_owned().await else { return };
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
    let service = router.map_request(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(Peer(peer));
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
