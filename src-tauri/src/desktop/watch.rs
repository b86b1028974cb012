//! Looks after a gateway that has been running for months: whether it still answers, and whether the computer slept.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::{Duration, SystemTime},
};

use tauri::{AppHandle, Manager};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::Desktop;

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(20);

/// The wall clock went on for so much longer than a look takes: the computer slept.
const SLEPT: Duration = Duration::from_secs(60);

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Looks without an answer after which the gateway counts as silent.
const SILENT_AFTER: u32 = 3;

/// Most of an answer that is read.
const ANSWER_MAX: usize = 16;

/// Looks until the program ends.
pub async fn look(app: AppHandle) {
    let (mut looked, mut missed) = (SystemTime::now(), 0);
    loop {
        tokio::time::sleep(LOOK).await;
        let gone = looked.elapsed().unwrap_or_default().saturating_sub(LOOK);
        looked = SystemTime::now();
        if gone > SLEPT {
            tracing::info!(minutes = gone.as_secs() / 60, "the computer slept");
            // Its network may need a moment more.
            missed = 0;
        }
        let desktop = app.state::<Desktop>();
        let Some(handle) = desktop.host.handle() else { continue };
        missed = if answers(handle.address()).await { 0 } else { missed + 1 };
        if (missed == 0 || missed >= SILENT_AFTER) && desktop.host.set_answers(missed == 0) {
            tracing::error!(answers = missed == 0, "whether the gateway answers has changed");
        }
        // The day may have changed, and others may have changed the start at login.
        super::refresh(&app);
    }
}

/// Whether `/health` is answered, with whatever status.
async fn answers(address: SocketAddr) -> bool {
    let asked = async {
        let mut stream = TcpStream::connect(reachable(address)).await?;
        stream.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await?;
        let mut head = [0; ANSWER_MAX];
        stream.read_exact(&mut head).await?;
        std::io::Result::Ok(head.starts_with(b"HTTP/1.1 "))
    };
    matches!(tokio::time::timeout(PATIENCE, asked).await, Ok(Ok(true)))
}

/// What listens everywhere is reached through the loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_that_takes_connections_and_says_nothing_does_not_answer() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("listens");
        let address = listener.local_addr().expect("an address");
        let asked = tokio::spawn(answers(address));
        let (stream, _) = listener.accept().await.expect("asks");
        drop(stream);
        assert!(!asked.await.expect("runs"));
    }
}
