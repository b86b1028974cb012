//! The doors: addresses that are open, opened and closed while the program runs as the setting and Docker's bridges have it.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    net::TcpListener,
    sync::broadcast::error::RecvError,
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    StartError,
    connections::{Room, accept},
};
use crate::{
    config::Config,
    events::Events,
    listen::{self, Listening, PortInUse, View},
    model::Event,
    settings::{LiveSettings, Reach},
    upstream::is_picgate,
};

/// How often Docker's bridges are looked for.
const LOOK: Duration = Duration::from_secs(5);

/// What answers behind every door.
pub(super) struct House {
    pub(super) router: axum::Router,
    pub(super) connections: TaskTracker,
    pub(super) loops: TaskTracker,
    /// Ends accepting everywhere.
    pub(super) accepting: CancellationToken,
}

/// See the module.
pub(super) struct Doors {
    house: House,
    room: Room,
    listening: Listening,
    events: Events,
    /// An address that is fixed from outside is left alone.
    fixed: bool,
    port: u16,
    open: BTreeMap<SocketAddr, Door>,
}

struct Door {
    close: CancellationToken,
    task: JoinHandle<()>,
}

/// Listens where `config` says; on IPv4's loopback also on IPv6's, for clients whose `localhost` is that one.
pub(super) async fn listen(config: &Config) -> Result<Vec<TcpListener>, StartError> {
    let address = SocketAddr::new(config.host, config.port);
    let first = match listen::bind(address) {
        Ok(first) => first,
        Err(source) if source.kind() == io::ErrorKind::AddrInUse => {
            let ours = is_picgate(address).await;
            let found = tokio::task::spawn_blocking(move || PortInUse::at(address, ours)).await;
            let nothing = PortInUse { address, holder: None, is_picgate: ours, next_free: None };
            return Err(StartError::PortInUse(found.unwrap_or(nothing)));
        }
        Err(source) => {
            let remedy = match source.kind() {
                io::ErrorKind::AddrNotAvailable => "choose an address of this computer with --host or HOST",
                io::ErrorKind::PermissionDenied => "choose a port above 1023 with --port or PORT",
                _ => "choose another address with --host and --port",
            };
            return Err(StartError::Listen { address, source, remedy });
        }
    };
    let port = first.local_addr().map_or(config.port, |a| a.port());
    let mut listeners = vec![first];
    if config.host == IpAddr::from([127, 0, 0, 1]) {
        // A computer without IPv6 is none the worse for it.
        listeners.extend(listen::bind(SocketAddr::new(Ipv6Addr::LOCALHOST.into(), port)).ok());
    }
    Ok(listeners)
}

impl Doors {
    /// No door is open yet.
    pub(super) fn new(config: &Config, port: u16, house: House, listening: Listening, events: Events) -> Self {
        let fixed = config.host_fixed_by.is_some();
        Self { house, room: Room::default(), listening, events, fixed, port, open: BTreeMap::new() }
    }

    /// Opens where `listeners` listen, and what else the setting wants.
    pub(super) async fn open(&mut self, listeners: Vec<TcpListener>, reach: Reach) {
        let mut first = Vec::new();
        for listener in listeners {
            first.extend(listener.local_addr().ok());
            self.admit(listener);
        }
        match self.fixed {
            true => self.show(View { reach: None, addresses: first, problem: None }),
            false => self.adapt(reach).await,
        }
    }

    /// Follows the setting and the interfaces until the end.
    pub(super) async fn keep(mut self, settings: LiveSettings, stop: CancellationToken) {
        let mut heard = self.events.listen();
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.fixed {
            let shown = self.listening.view().reach;
            tokio::select! {
                () = stop.cancelled() => return,
                _ = look.tick(), if shown == Some(Reach::Docker) => {}
                event = heard.recv() => match event {
                    Ok(Event::Settings) | Err(RecvError::Lagged(_)) => {}
                    Ok(_) => continue,
                    Err(RecvError::Closed) => return,
                },
            }
            let reach = settings.snapshot().reach;
            // What could not be opened to everyone is not tried again by itself: it would close the door of this computer.
            if reach == Reach::Docker || shown != Some(reach) {
                self.adapt(reach).await;
            }
        }
    }

    fn admit(&mut self, listener: TcpListener) {
        let Ok(address) = listener.local_addr() else { return };
        let close = self.house.accepting.child_token();
        let accepting = accept(listener, self.house.router.clone(), self.room.clone(), self.house.connections.clone(), close.clone());
        let task = self.house.loops.spawn(accepting);
        self.open.insert(address, Door { close, task });
    }

    /// Opens what is missing for `reach` and closes what goes beyond it. Who was let in is answered to the end.
    async fn adapt(&mut self, reach: Reach) {
        let wanted = listen::wanted(reach, self.port);
        // What is closed must be closed before the rest is opened: 0.0.0.0 includes 127.0.0.1.
        let beyond: Vec<SocketAddr> = self.open.keys().filter(|address| !wanted.contains(address)).copied().collect();
        for address in beyond {
            self.close(address).await;
        }
        let mut problem = self.open_all(&wanted);
        if wanted.first().is_some_and(|first| !self.open.contains_key(first)) {
            // Better this computer alone than nobody.
            let worse = self.open_all(&listen::wanted(Reach::ThisComputer, self.port));
            problem = worse.or(problem);
        }
        if let Some(problem) = &problem
            && self.listening.view().problem.as_ref() != Some(problem)
        {
            tracing::warn!(problem, "not every address could be opened");
        }
        let mut addresses: Vec<SocketAddr> = wanted.into_iter().filter(|address| self.open.contains_key(address)).collect();
        addresses.extend(self.open.keys().filter(|address| !addresses.contains(address)).copied().collect::<Vec<_>>());
        self.show(View { reach: Some(reach), addresses, problem });
    }

    async fn close(&mut self, address: SocketAddr) {
        if let Some(door) = self.open.remove(&address) {
            door.close.cancel();
            let _ = door.task.await;
        }
    }

    /// Opens what is not open yet; what is wrong, if something is.
    fn open_all(&mut self, wanted: &[SocketAddr]) -> Option<String> {
        let mut problem = None;
        for address in wanted {
            if self.open.contains_key(address) {
                continue;
            }
            match listen::bind(*address) {
                Ok(listener) => self.admit(listener),
                // A computer without IPv6 is none the worse for it.
                Err(_) if address.ip() == IpAddr::from(Ipv6Addr::LOCALHOST) || address.ip() == IpAddr::from(Ipv6Addr::UNSPECIFIED) => {}
                Err(error) => problem = Some(format!("{address} cannot be listened on: {error}")),
            }
        }
        problem
    }

    fn show(&self, view: View) {
        let addresses: Vec<String> = view.addresses.iter().map(SocketAddr::to_string).collect();
        if self.listening.show(view) {
            tracing::info!(event = "listening", addresses = addresses.join(", "), "listening");
            self.events.tell(Event::Listening);
        }
    }
}
