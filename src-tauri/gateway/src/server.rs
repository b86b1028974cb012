//! The composition root: puts the parts together, listens, and takes everything down again in order.

use std::{
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime},
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

use crate::{
    activity::{self, Activity},
    config::{Config, UpstreamChoice},
    http::{self, App, Health, Origins, Peer, Phase},
    jobs,
    library::{Library, Thumbnails},
    model::Secret,
    relay::Relay,
    settings::{LiveSettings, Settings},
    store::{self, Db, DbError, Files, Folder, FolderError, Layout, Secrets, SecretsError, SecretsFile},
    upstream::{
        Demo, Learnt, OpenAi, OpenAiConfig, Routes, Upstream, UpstreamError,
        fetch::{Fetcher, Limits, Policy},
    },
};

/// Connections that have said something; further ones wait until there is room.
const CONNECTIONS_MAX: usize = 1024;

/// Connections that have said nothing yet; further ones wait to be accepted.
const SILENT_MAX: usize = 4096;

/// Open files that we ask the system for: connections and the files that they read.
const FILES_WANTED: u64 = 16 * 1024;

/// How long a client may refuse to take what it asked for.
const STALLED: Duration = Duration::from_secs(60);

/// How long a new connection may say nothing.
const FIRST_BYTE: Duration = Duration::from_secs(10);

/// How long the head of a request may take, and how long a connection may idle between two. Open WebUI keeps idle
/// connections for 15 s and must not find one closed.
const HEAD: Duration = Duration::from_secs(30);

/// How long drawings may go on after the order to stop.
const STOPPING: Duration = Duration::from_secs(30);

/// Pause after a failed accept (out of file descriptors, mostly).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections that the system queues for us.
const BACKLOG: u32 = 1024;

/// Why the gateway does not start. The texts are for people.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The file of keys.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The upstream.
    #[error("the upstream '{name}' cannot be used: {source}")]
    Upstream {
        /// What the user calls it.
        name: String,
        /// Why.
        source: UpstreamError,
    },
    /// The address.
    #[error("{address} cannot be listened on: {source}\n  remedy: {remedy}")]
    Listen {
        /// Which one.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
        /// What to do.
        remedy: String,
    },
    /// What fetches pictures of other servers.
    #[error("pictures of other servers cannot be fetched: {0}")]
    Fetcher(String),
    /// The image folder.
    #[error("the folder of images cannot be used: {0}")]
    Files(#[source] io::Error),
}

/// A gateway that runs.
pub struct Gateway {
    address: SocketAddr,
    key: Secret,
    first_start: bool,
    upstreams: Vec<(String, String)>,
    model: String,
    relay: Relay,
    health: Arc<Health>,
    db: Db,
    accepting: CancellationToken,
    background: CancellationToken,
    connections: TaskTracker,
    jobs: TaskTracker,
    loops: TaskTracker,
    _folder: Folder,
}

impl Gateway {
    /// Opens the data folder, listens and serves. Slow checks go on in the background.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub async fn start(config: &Config) -> Result<Self, StartError> {
        // Fails only if it was done before, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let policy = Policy { allow_fake_ip_names: config.allow_fake_ip_names, ..Policy::default() };
        let external = Fetcher::new(policy, Limits::default()).map_err(|e| StartError::Fetcher(e.to_string()))?;
        Self::start_with(config, external).await
    }

    /// The same with another way to fetch what users name.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub async fn start_with(config: &Config, external: Fetcher) -> Result<Self, StartError> {
        let began = SystemTime::now();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let layout = Layout::new(&config.data_dir, config.database.clone(), config.images_dir.clone());
        let folder = Folder::open(layout)?;
        let listeners = listen(config.host, config.port).await?;
        let address = listeners.first().and_then(|l| l.local_addr().ok()).unwrap_or(SocketAddr::new(config.host, config.port));
        let secrets_file = SecretsFile::new(folder.layout.secrets());
        let first_start = secrets_file.read()?.is_none();
        let secrets = secrets_file.read_or_create()?;
        let db = Db::open(&folder.layout.database, &folder.layout.backups())?;
        check_mark(&folder, &db).await?;
        let files = Files::open(folder.layout.files.clone()).map_err(StartError::Files)?;
        let (thumbnails, orders) = Thumbnails::new(files.clone());
        let library = Library::new(db.clone(), files, thumbnails.clone());
        let table = db.read(store::load_settings).await?;
        let settings = LiveSettings::new(Settings::resolve(config, &table, secrets.gateway_key.clone()));
        let routes = routes(config, &db, &secrets).await?;
        let (jobs, loops, connections) = (TaskTracker::new(), TaskTracker::new(), TaskTracker::new());
        let learnt = Learnt::load(&db).await?;
        let (activity, records) = Activity::new();
        let relay = Relay::new(library.clone(), routes, learnt, settings.clone(), activity, jobs.clone(), external);
        let health = Arc::new(Health::default());
        let (accepting, background) = (CancellationToken::new(), CancellationToken::new());
        loops.spawn(jobs::write_access_times(library.clone(), background.clone()));
        loops.spawn(activity::write(db.clone(), records, background.clone()));
        loops.spawn(jobs::check_library(library.clone(), health.clone(), began, background.clone()));
        loops.spawn(jobs::tidy_quarantine(library.clone(), background.clone()));
        loops.spawn(jobs::make_thumbnails(thumbnails, db.clone(), orders, background.clone()));
        let origins = Arc::new(Origins { port: address.port(), trusted_proxies: config.trusted_proxies.clone() });
        let (key, model) = (settings.snapshot().gateway_key.clone(), settings.snapshot().gateway_model.clone());
        let app = App { relay: relay.clone(), library, settings, health: health.clone(), origins };
        let router = http::router(app);
        // Fewer than wanted is no reason not to start: accepting pauses when they run out.
        #[cfg(unix)]
        let _ = rlimit::increase_nofile_limit(FILES_WANTED);
        let room = Room { silent: Arc::new(Semaphore::new(SILENT_MAX)), speaking: Arc::new(Semaphore::new(CONNECTIONS_MAX)) };
        for listener in listeners {
            loops.spawn(accept(listener, router.clone(), room.clone(), connections.clone(), accepting.clone()));
        }
        health.enter(Phase::Ready);
        let upstreams = relay.upstreams();
        Ok(Self {
            address,
            key,
            first_start,
            upstreams,
            model,
            relay,
            health,
            db,
            accepting,
            background,
            connections,
            jobs,
            loops,
            _folder: folder,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The key that clients authenticate with.
    pub fn key(&self) -> &Secret {
        &self.key
    }

    /// Whether the data folder was made just now.
    pub fn is_first_start(&self) -> bool {
        self.first_start
    }

    /// Names and models of the upstreams, the preferred one first.
    pub fn upstreams(&self) -> &[(String, String)] {
        &self.upstreams
    }

    /// The model name that clients use.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Drawings under way.
    pub fn running(&self) -> usize {
        self.relay.running()
    }

    /// Stops accepting, lets running drawings finish for up to 30 s, writes what waits, folds the database's log in.
    pub async fn stop(self) {
        self.health.enter(Phase::Stopping);
        self.accepting.cancel();
        self.jobs.close();
        self.connections.close();
        let finished = async {
            self.jobs.wait().await;
            self.connections.wait().await;
        };
        if tokio::time::timeout(STOPPING, finished).await.is_err() {
            tracing::warn!(running = self.relay.running(), "not everything finished in time; what was running is lost");
        }
        self.background.cancel();
        self.loops.close();
        self.loops.wait().await;
        if let Err(error) = self.relay.library().access().flush(&self.db).await {
            tracing::warn!(%error, "times of last access are lost");
        }
        self.db.close().await;
    }
}

async fn check_mark(folder: &Folder, db: &Db) -> Result<(), StartError> {
    let known = db.read(|c| store::meta(c, "install_id")).await?;
    let is_new = known.is_none();
    let mark = folder.check_mark(known)?;
    if is_new {
        db.write(move |t| store::set_meta(t, "install_id", &mark)).await?;
    }
    Ok(())
}

/// What the environment fixes stands before what the table says; the demo is there when nothing else is.
async fn routes(config: &Config, db: &Db, secrets: &Secrets) -> Result<Routes, StartError> {
    let mut upstreams: Vec<Arc<dyn Upstream>> = Vec::new();
    let provider = |name: &str, config: OpenAiConfig| {
        OpenAi::new(config)
            .map(|u| Arc::new(u) as Arc<dyn Upstream>)
            .map_err(|source| StartError::Upstream { name: name.to_owned(), source })
    };
    match &config.upstream {
        Some(UpstreamChoice::Demo) => upstreams.push(Arc::new(Demo::default())),
        Some(UpstreamChoice::OpenAi { base_url, api_key, model, dialect }) => {
            let name = base_url.host_str().unwrap_or("upstream").to_owned();
            let config = OpenAiConfig {
                name: name.clone(),
                base_url: base_url.clone(),
                api_key: api_key.clone(),
                model: model.clone(),
                dialect: *dialect,
            };
            upstreams.push(provider(&name, config)?);
        }
        None => {}
    }
    for row in db.read(store::list_upstreams).await? {
        if row.kind == "demo" {
            upstreams.push(Arc::new(Demo::default()));
            continue;
        }
        let Ok(base_url) = row.base_url.parse() else {
            tracing::warn!(upstream = row.name, "the base URL of this upstream is not valid; it is passed over");
            continue;
        };
        let api_key = secrets.upstream_keys.get(&row.id).cloned().unwrap_or_else(|| Secret::new(""));
        let config = OpenAiConfig { name: row.name.clone(), base_url, api_key, model: row.model, dialect: None };
        upstreams.push(provider(&row.name, config)?);
    }
    let mut upstreams = upstreams.into_iter();
    let first = upstreams.next().unwrap_or_else(|| Arc::new(Demo::default()));
    Ok(Routes::new(first, upstreams.collect()))
}

/// Listens on `host`; on IPv4's loopback also on IPv6's, for clients whose `localhost` is that one.
async fn listen(host: IpAddr, port: u16) -> Result<Vec<TcpListener>, StartError> {
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
struct Room {
    silent: Arc<Semaphore>,
    speaking: Arc<Semaphore>,
}

async fn accept(listener: TcpListener, router: axum::Router, room: Room, connections: TaskTracker, stop: CancellationToken) {
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
