//! Addresses to listen on: which ones a person wants, what stands in the way, and who holds a port that is taken. Knows no
//! connections.

mod bridges;
mod holder;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::{net::TcpListener, sync::watch};

use crate::settings::Reach;

pub use bridges::{Bridge, bridges};
pub use holder::{Holder, of as holder_of};

/// Connections that the system queues for us.
const BACKLOG: i32 = 1024;

/// Ports behind the one that is taken that are tried.
const PORTS_TRIED: u16 = 100;

/// The port is taken. The text is for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortInUse {
    /// Where we wanted to listen.
    pub address: SocketAddr,
    /// Which process listens there, if the system tells.
    pub holder: Option<Holder>,
    /// Whether it answers as a PicGate.
    pub is_picgate: bool,
    /// The next port that nobody uses now. Links in old chats name the old one.
    pub next_free: Option<u16>,
}

impl std::error::Error for PortInUse {}

impl std::fmt::Display for PortInUse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let port = self.address.port();
        let what = if self.is_picgate { "another PicGate" } else { "another program" };
        match &self.holder {
            Some(Holder { pid, name }) => write!(f, "port {port} is used by {what}: {name} (process {pid})")?,
            None => write!(f, "port {port} is used by {what}")?,
        }
        match self.next_free {
            Some(free) => write!(
                f,
                "\n  remedy: stop that program, or choose another port with --port or PORT, such as {free}; links in old chats still name port {port}"
            ),
            None => write!(f, "\n  remedy: stop that program, or choose another port with --port or PORT"),
        }
    }
}

impl PortInUse {
    /// Looks at who is there. `is_picgate` was asked before.
    pub fn at(address: SocketAddr, is_picgate: bool) -> Self {
        let port = address.port();
        let next_free = (port..=port.saturating_add(PORTS_TRIED)).skip(1).find(|port| {
            let there = |ip: IpAddr| socket(SocketAddr::new(ip, *port)).is_ok();
            there(address.ip()) && there(Ipv4Addr::LOCALHOST.into())
        });
        Self { address, holder: holder::of(port), is_picgate, next_free }
    }
}

/// Where the gateway listens now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// What was asked for when this view was made; `None` while an address is fixed from outside.
    pub reach: Option<Reach>,
    /// Open addresses, the one for this computer first.
    pub addresses: Vec<SocketAddr>,
    /// What could not be opened, in words.
    pub problem: Option<String>,
}

/// A handle; clones share the view.
#[derive(Clone, Debug)]
pub struct Listening(Arc<watch::Sender<View>>);

impl Default for Listening {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(View::default())))
    }
}

impl Listening {
    /// The present view.
    pub fn view(&self) -> View {
        self.0.borrow().clone()
    }

    /// Another one from now on; whether it differs.
    pub fn show(&self, view: View) -> bool {
        self.0.send_if_modified(|shown| {
            let differs = *shown != view;
            *shown = view;
            differs
        })
    }

    /// Waits until `reach` holds, at most `patience`; whether it does.
    pub async fn reaches(&self, reach: Reach, patience: Duration) -> bool {
        let mut watch = self.0.subscribe();
        tokio::time::timeout(patience, watch.wait_for(|view| view.reach == Some(reach))).await.is_ok_and(|found| found.is_ok())
    }
}

/// What to open for `reach`: groups in which the first address is a must and the others are welcome.
pub fn wanted(reach: Reach, port: u16) -> Vec<SocketAddr> {
    let at = |ip: IpAddr| SocketAddr::new(ip, port);
    let loopback = [at(Ipv4Addr::LOCALHOST.into()), at(Ipv6Addr::LOCALHOST.into())];
    match reach {
        Reach::ThisComputer => loopback.to_vec(),
        Reach::Docker => loopback.into_iter().chain(bridges().into_iter().map(|bridge| at(bridge.address))).collect(),
        Reach::Everyone => vec![at(Ipv4Addr::UNSPECIFIED.into()), at(Ipv6Addr::UNSPECIFIED.into())],
    }
}

/// Listens on `address`, and on nothing else: an IPv6 address does not stand for IPv4 ones as well.
///
/// # Errors
/// What the system says.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::from_std(socket(address)?.into())
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // On Windows this would let another program take the port as well.
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_a_port_is_named_and_the_next_free_one_found() {
        let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = taken.local_addr().expect("an address");
        let found = PortInUse::at(address, false);
        assert!(found.next_free.is_none_or(|free| free > address.port()));
        assert_eq!(found.holder.as_ref().map(|holder| holder.pid), Some(std::process::id()));
        assert!(found.to_string().contains(&format!("(process {})", std::process::id())), "{found}");
        assert_eq!(holder::of(1), None, "nobody listens there");
    }

    #[test]
    fn only_what_was_asked_for_is_opened() {
        assert!(wanted(Reach::ThisComputer, 1).iter().all(|address| address.ip().is_loopback()));
        assert!(wanted(Reach::Everyone, 1).iter().all(|address| address.ip().is_unspecified()));
        assert!(wanted(Reach::Docker, 1).iter().all(|address| !address.ip().is_unspecified()));
    }
}
