//! The composition root: puts the parts together, listens, and takes everything down again in order.

mod connections;
mod doors;
mod error;
mod handle;
mod offline;
mod prepare;

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::error::StartError;
pub use self::handle::{Figures, Handle, Newsreader, PageError};
pub use self::offline::{Offline, OfflineError};

use self::{
    doors::{Doors, House, listen},
    prepare::{check_mark, keys_of, open_account, read_keys},
};

use crate::{
    account::Account,
    activity::{self, Activity},
    config::Config,
    events::Events,
    http::{self, App, Archives, Health, Origins, Phase},
    import,
    jobs::{self, Jobs, Sweep},
    library::{Library, Thumbnails},
    listen::Listening,
    logbook::{self, Lines},
    model::Secret,
    providers,
    relay::Relay,
    settings::{LiveSettings, Settings},
    shell::Shell,
    store::{self, Db, Files, Folder, KeyMarks, Layout, ProbeKey, SecretsFile, Vault, python::PythonFolder},
    upstream::{
        Learnt,
        fetch::{Fetcher, Limits, Policy},
    },
};

/// Open files that we ask the system for: connections and the files that they read. Windows has no such limit.
#[cfg(unix)]
const FILES_WANTED: u64 = 16 * 1024;

/// How long drawings may go on after the order to stop.
const STOPPING: Duration = Duration::from_secs(30);

/// A gateway that runs.
pub struct Gateway {
    handle: Handle,
    key: Secret,
    first_start: bool,
    upstreams: Vec<(String, String)>,
    model: String,
    ticket: Option<Secret>,
    relay: Relay,
    account: Account,
    sweep: Sweep,
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
        Self::start_logging(config, None).await
    }

    /// The same, with `lines` of the log that are to be kept.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub async fn start_logging(config: &Config, lines: Option<Lines>) -> Result<Self, StartError> {
        Self::start_in_shell(config, lines, None).await
    }

    /// The same inside a native shell.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub async fn start_in_shell(config: &Config, lines: Option<Lines>, shell: Option<Arc<dyn Shell>>) -> Result<Self, StartError> {
        let external = fetcher(config)?;
        Self::start_all(config, external, lines, shell).await
    }

    /// The same with another way to fetch what users name.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub async fn start_with(config: &Config, external: Fetcher, lines: Option<Lines>) -> Result<Self, StartError> {
        Self::start_all(config, external, lines, None).await
    }

    async fn start_all(
        config: &Config,
        external: Fetcher,
        lines: Option<Lines>,
        shell: Option<Arc<dyn Shell>>,
    ) -> Result<Self, StartError> {
        let began = SystemTime::now();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let layout = Layout::new(&config.data_dir, config.database.clone(), config.images_dir.clone());
        let folder = Folder::open(layout)?;
        let listeners = listen(config).await?;
        let address = listeners.first().and_then(|l| l.local_addr().ok()).unwrap_or(SocketAddr::new(config.host, config.port));
        let keychain = shell.as_ref().and_then(|shell| shell.keychain());
        let secrets_file = SecretsFile::new(folder.layout.secrets()).with_keychain(keychain);
        let (secrets, first_start) = read_keys(secrets_file.clone()).await?;
        let had_ticket = secrets.setup_ticket.is_some();
        let db = Db::open(&folder.layout.database, &folder.layout.backups())?;
        check_mark(&folder, &db).await?;
        let files = Files::open(folder.layout.files.clone()).map_err(StartError::Files)?;
        let events = Events::default();
        let (thumbnails, orders) = Thumbnails::new(files.clone(), events.clone());
        let library = Library::new(db.clone(), files, thumbnails.clone(), events.clone());
        let table = db.read(store::load_settings).await?;
        let settings = LiveSettings::new(Settings::resolve(config, &table, keys_of(&secrets)));
        let routes = providers::routes(config, &db, &secrets).await?;
        let vault = Vault::new(secrets_file, secrets);
        providers::tidy_keys(&db, &vault).await;
        db.write(|t| store::copies::clear_leases(t, crate::model::now())).await?;
        let present = settings.snapshot();
        library.use_bucket(present.bucket.clone(), present.copies_first).await?;
        library.tell_left_behind().await;
        let (account, ticket) = open_account(config, &db, &vault).await?;
        // A rebuilt or imported folder has keys already, and nobody has seen its ticket yet.
        let first_start = first_start || (ticket.is_some() && !had_ticket);
        let (jobs, loops, connections) = (TaskTracker::new(), TaskTracker::new(), TaskTracker::new());
        if let Some(python) = &config.python {
            tell_of_python(&library, python).await;
        }
        let learnt = Learnt::load(&db).await?;
        let (activity, records) = Activity::new();
        let relay = Relay::new(library.clone(), routes, learnt, settings.clone(), activity, events.clone(), jobs.clone(), external);
        let health = Arc::new(Health::default());
        let (accepting, background) = (CancellationToken::new(), CancellationToken::new());
        loops.spawn(jobs::write_access_times(library.clone(), background.clone()));
        if let Some(lines) = lines {
            let keep = logbook::write(db.clone(), lines, events.clone(), background.clone());
            loops.spawn(async move {
                if let Err(error) = keep.await {
                    tracing::warn!(%error, "the log is not kept");
                }
            });
        }
        let sweep = Sweep::new(library.clone(), settings.clone(), Jobs::new(events.clone(), loops.clone(), background.clone()), began);
        loops.spawn(jobs::copy_to_bucket(library.clone(), background.clone()));
        loops.spawn(sweep.clone().run(background.clone()));
        let sweep_handle = sweep.clone();
        loops.spawn(tidy(relay.clone(), account.clone(), background.clone()));
        loops.spawn(jobs::index_words(db.clone(), background.clone()));
        loops.spawn(activity::write(db.clone(), records, events.clone(), background.clone()));
        loops.spawn(jobs::check_library(library.clone(), health.clone(), began, background.clone()));
        loops.spawn(jobs::watch_disk(library.files().clone(), events.clone(), health.clone(), background.clone()));
        loops.spawn(jobs::tidy_quarantine(library.clone(), background.clone()));
        loops.spawn(jobs::make_thumbnails(thumbnails, db.clone(), orders, background.clone()));
        let origins = Arc::new(Origins { port: address.port(), trusted_proxies: config.trusted_proxies.clone(), hostname: hostname() });
        let listening = Listening::default();
        let (key, model) = (settings.snapshot().gateway_key.clone(), settings.snapshot().gateway_model.clone());
        let probe_key = ProbeKey::random();
        let own_account = account.clone();
        let app = App::new(http::Parts {
            relay: relay.clone(),
            library,
            settings: settings.clone(),
            health: health.clone(),
            origins,
            account,
            config: Arc::new(config.clone()),
            secrets: vault,
            sweep,
            archives: Archives::default(),
            events: events.clone(),
            changing: Arc::default(),
            tasks: connections.clone(),
            doctor: http::Doctor::default(),
            probe_key: probe_key.clone(),
            key_marks: KeyMarks::random(),
            listening: listening.clone(),
            shell,
            started_at: crate::model::now(),
        });
        let handle = Handle::new(app.clone(), address, ticket.clone());
        let house =
            House { router: http::router(app), connections: connections.clone(), loops: loops.clone(), accepting: accepting.clone() };
        // Fewer than wanted is no reason not to start: accepting pauses when they run out.
        #[cfg(unix)]
        let _ = rlimit::increase_nofile_limit(FILES_WANTED);
        let mut doors = Doors::new(config, address.port(), house, listening, events);
        doors.open(listeners, settings.snapshot().reach).await;
        loops.spawn(doors.keep(settings, accepting.clone()));
        health.enter(Phase::Ready);
        folder.tell_address(address, probe_key);
        tracing::info!(event = "started", %address, version = env!("CARGO_PKG_VERSION"), "PicGate is ready");
        let upstreams = relay.upstreams();
        Ok(Self {
            handle,
            key,
            first_start,
            upstreams,
            model,
            ticket,
            relay,
            account: own_account,
            sweep: sweep_handle,
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

    /// Forgets the admin account and makes a ticket for another set-up, in a folder that no gateway uses.
    ///
    /// # Errors
    /// [`StartError`]; nothing was changed then.
    pub async fn reset_admin(config: &Config) -> Result<Secret, StartError> {
        let layout = Layout::new(&config.data_dir, config.database.clone(), config.images_dir.clone());
        let folder = Folder::open(layout)?;
        let db = Db::open(&folder.layout.database, &folder.layout.backups())?;
        let ticket = SecretsFile::new(folder.layout.secrets()).leave_ticket()?;
        db.write(store::delete_admin).await?;
        db.close().await;
        Ok(ticket)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.handle.address()
    }

    /// What a native shell holds of it.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
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

    /// The ticket that opens the set-up of /admin; `None` once there is an account.
    pub fn setup_ticket(&self) -> Option<&Secret> {
        self.ticket.as_ref()
    }

    /// A ticket that opens /admin once, within a minute; `None` if the system has no random numbers.
    pub fn issue_ticket(&self) -> Option<String> {
        self.handle.issue_ticket()
    }

    /// Requests since the start that joined another one.
    pub fn joined(&self) -> u64 {
        self.relay.joined()
    }

    /// What goes from disk, and when.
    pub fn sweep(&self) -> &Sweep {
        &self.sweep
    }

    /// Images.
    pub fn library(&self) -> &Library {
        self.relay.library()
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
        if let Err(error) = self.account.settle().await {
            tracing::warn!(%error, "sessions that were ended live on after the next start");
        }
        self.db.close().await;
    }
}

/// What fetches what users name.
fn fetcher(config: &Config) -> Result<Fetcher, StartError> {
    // Fails only if it was done before, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let policy = Policy { allow_fake_ip_names: config.allow_fake_ip_names, ..Policy::default() };
    Fetcher::new(policy, Limits::default()).map_err(|e| StartError::Fetcher(e.to_string()))
}

/// How often answers that nobody came back for are looked for, and ended sessions that are not written yet.
const TIDY_INTERVAL: Duration = Duration::from_secs(60);

async fn tidy(relay: Relay, account: Account, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(TIDY_INTERVAL)).await.is_some() {
        relay.tidy();
        if let Err(error) = account.settle().await {
            tracing::debug!(%error, "the end of a session cannot be written yet");
        }
    }
}

/// One line for who reads the log: there is something to be taken over.
async fn tell_of_python(library: &Library, folder: &PythonFolder) {
    match import::offer(library, folder).await {
        Ok(offer) if offer.last.as_ref().is_none_or(|last| !last.complete) => tracing::warn!(
            event = "older_found",
            images = offer.figures.images,
            bytes = offer.figures.bytes,
            "an older PicGate was found in {}: take its pictures and settings over in /admin, or stop this one and run: picgate import {}",
            folder.root.display(),
            folder.root.display()
        ),
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the data of an older PicGate cannot be read"),
    }
}

/// This computer's name, in small letters.
fn hostname() -> Option<String> {
    #[cfg(unix)]
    let name = Some(rustix::system::uname().nodename().to_string_lossy().into_owned());
    #[cfg(not(unix))]
    let name = std::env::var("COMPUTERNAME").ok();
    name.map(|name| name.trim().to_ascii_lowercase()).filter(|name| !name.is_empty())
}
