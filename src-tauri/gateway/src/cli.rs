//! The command line, the same for every binary. The desktop's hands over to its app where no command is given.

mod app;

mod doctor;
mod errors;
mod passphrase;
mod show;
mod state;
mod words;

use std::{
    borrow::Cow,
    io::{self, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::{Args, Parser, Subcommand};

pub use self::app::{AppAsked, AppStart, asked};
use self::{
    app::{AppFlags, Binary},
    words::words,
};
use crate::{
    config::{Config, Flags},
    logbook::{self, Lines},
    server::Gateway,
    store::{Layout, SecretsFile},
};

/// How long `healthcheck` waits for an answer.
const HEALTH_PATIENCE: Duration = Duration::from_secs(5);

const EXAMPLES: &str = "\
Examples:
  picgate-headless                              start with the built-in demo upstream on http://127.0.0.1:5643
  picgate-headless key                          print the key that clients need
  picgate-headless backup pictures.tar          everything but keys and passwords in one file
  PICGATE_UPSTREAM_API_KEY=sk-… picgate-headless
                                                draw with OpenAI
  PICGATE_UPSTREAM_BASE_URL=https://openrouter.ai/api/v1 \\
  PICGATE_UPSTREAM_API_KEY=sk-or-… PICGATE_UPSTREAM_MODEL=google/gemini-2.5-flash-image picgate-headless
                                                draw with any provider that speaks OpenAI's API

Environment (each also as NAME_FILE, naming a file that holds the value):
  HOST, PORT                        where to listen (127.0.0.1, 5643)
  PICGATE_DATA_DIR                  where everything is kept
  DATABASE_URL, IMAGES_DIR          database and images elsewhere
  PICGATE_GATEWAY_KEY, _MODEL       key and model name for clients (made at the first start; picgate)
  PICGATE_PUBLIC_BASE_URL           what links begin with, such as https://img.example.com
  PICGATE_TRUSTED_PROXIES           proxies whose X-Forwarded-* is believed, such as 127.0.0.1,172.16.0.0/12
  PICGATE_UPSTREAM_KIND             openai or demo
  PICGATE_UPSTREAM_BASE_URL, _API_KEY, _MODEL
                                    the provider (https://api.openai.com/v1, –, gpt-image-1)
  PICGATE_FETCH_EXTERNAL_IMAGES     true: pictures of other servers that prompts name are sent as pictures
  PICGATE_ALLOW_FAKE_IP_NAMES       true: also those whose names a local proxy resolves to 198.18.0.0/15
  PICGATE_PASSPHRASE                seals and opens the secrets in a backup
  PICGATE_LOG                       what is logged: error, warn, info (default), debug, trace

Flags stand before the environment.";

/// PicGate stores the pictures that AI models draw and gives chat clients links to them.
#[derive(Debug, Parser)]
#[command(name = "picgate-headless", version, about, after_help = EXAMPLES)]
struct Line {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeFlags,
    #[command(flatten)]
    app: AppFlags,
    /// Folder where everything is kept [default: by the platform's convention]
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway (the default)
    Serve(ServeFlags),
    /// Ask a running gateway how it is; exits with 0 if it serves, else with 1
    Healthcheck(ServeFlags),
    /// Check configuration, data folder, network, upstream and bucket, and say what mends what is wrong; exits with 1 if
    /// something failed
    Doctor(doctor::DoctorFlags),
    /// Print the key that clients authenticate with
    Key,
    /// Write pictures, prompts and settings to one file, also while the gateway runs
    Backup(state::BackupFlags),
    /// Put a backup into an empty data folder, or make the index again from the bucket alone
    Restore(state::RestoreFlags),
    /// Take over the data folder of the Python PicGate, which is not changed
    Import(state::ImportFlags),
    /// Forget the admin's name and password, end all sessions, and print a ticket for a new set-up
    ResetAdmin,
}

#[derive(Args, Clone, Debug, Default)]
struct ServeFlags {
    /// Address to listen on [default: 127.0.0.1; 0.0.0.0 for all]
    #[arg(long, value_name = "ADDRESS")]
    host: Option<String>,
    /// Port to listen on [default: 5643]
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// Print the whole ticket for the set-up of /admin, also where it would be shortened
    #[arg(long)]
    print_ticket: bool,
}

/// Runs the command line of this process, without a desktop.
pub fn run() -> ExitCode {
    run_line(Binary::Headless, None)
}

/// Runs the command line of this process; hands over to `app` where no command is given.
pub fn run_with_app(app: fn(AppStart) -> ExitCode) -> ExitCode {
    run_line(Binary::Desktop, Some(app))
}

fn run_line(binary: Binary, app: Option<fn(AppStart) -> ExitCode>) -> ExitCode {
    let line = binary.parse();
    let is_command = line.command.is_some();
    let (serve, command) = match line.command {
        None => (line.serve.clone(), Command::Serve(line.serve)),
        Some(Command::Serve(flags)) => (flags.clone().or(&line.serve), Command::Serve(flags)),
        Some(Command::Healthcheck(flags)) => (flags.clone().or(&line.serve), Command::Healthcheck(flags)),
        Some(Command::Doctor(flags)) => (flags.serve.clone().or(&line.serve), Command::Doctor(flags)),
        Some(command) => (line.serve, command),
    };
    let flags = Flags { host: serve.host, port: serve.port, data_dir: line.data_dir };
    let config = Config::load(&flags, &|name| std::env::var_os(name));
    if let Command::Doctor(flags) = command {
        return in_runtime(doctor::run(flags, config));
    }
    let config = match config {
        Ok(config) => config,
        Err(problems) => {
            for problem in &problems {
                complain(&errors::config(problem));
            }
            return ExitCode::FAILURE;
        }
    };
    match (command, app) {
        // Done above: it has something to say of a wrong configuration, too.
        (Command::Doctor(_), _) => ExitCode::FAILURE,
        (Command::Key, _) => print_key(&config),
        (Command::ResetAdmin, _) => in_runtime(reset_admin(config)),
        (Command::Backup(flags), _) => in_runtime(state::backup(config, flags)),
        (Command::Restore(flags), _) => in_runtime(state::restore(config, flags)),
        (Command::Import(flags), _) => in_runtime(state::import(config, flags)),
        (Command::Healthcheck(_), _) => in_runtime(healthcheck(config)),
        (Command::Serve(_), Some(app)) if !is_command => {
            let lines = start_log(&config);
            app(AppStart { config, lines, hidden: line.app.hidden, open: line.app.open })
        }
        (Command::Serve(_), _) => {
            let lines = start_log(&config);
            in_runtime(serve_until_told(config, lines, serve.print_ticket))
        }
    }
}

impl ServeFlags {
    fn or(self, other: &Self) -> Self {
        Self {
            host: self.host.or_else(|| other.host.clone()),
            port: self.port.or(other.port),
            print_ticket: self.print_ticket || other.print_ticket,
        }
    }
}

fn say(text: &str) {
    // A closed pipe is the reader's business.
    let _ = writeln!(io::stdout(), "{}", harmless(text));
}

fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "picgate: {}", harmless(text));
}

/// Text for a terminal: archives and old databases are written by others, and control characters would steer it.
fn harmless(text: &str) -> Cow<'_, str> {
    let steers = |c: char| c.is_control() && c != '\n';
    if text.contains(steers) { text.replace(steers, "\u{fffd}").into() } else { text.into() }
}

fn in_runtime(task: impl Future<Output = ExitCode>) -> ExitCode {
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let code = runtime.block_on(task);
            // Threads that still wait for a disk must not hold up the end.
            runtime.shutdown_timeout(Duration::from_secs(1));
            code
        }
        Err(error) => {
            complain(&words("no_threads", &[("error", &error)]));
            ExitCode::FAILURE
        }
    }
}

fn start_log(config: &Config) -> Lines {
    use tracing_subscriber::{
        Layer,
        filter::{LevelFilter, Targets},
        layer::SubscriberExt,
        util::SubscriberInitExt,
    };
    let (recorder, lines) = logbook::pair();
    let filter = config.log.parse().unwrap_or_else(|_| Targets::new().with_default(LevelFilter::INFO));
    let shown = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal()).with_target(false);
    // Our own lines alone (the desktop's and the gateway's targets begin with it): what libraries say is for who reads the error output.
    let own = Targets::new().with_target("picgate", LevelFilter::INFO);
    // Fails only if somebody logs already, such as a test.
    let _ = tracing_subscriber::registry().with(shown.with_filter(filter)).with(recorder.with_filter(own)).try_init();
    lines
}

async fn reset_admin(config: Config) -> ExitCode {
    // In a folder that was mistyped there is nobody to forget.
    let layout = Layout::new(&config.data_dir, None, None);
    if matches!(SecretsFile::new(layout.secrets()).read(), Ok(None)) {
        complain(&words("no_key", &[("path", &layout.root.display())]));
        return ExitCode::FAILURE;
    }
    match Gateway::reset_admin(&config).await {
        Ok(ticket) => {
            say(&words("reset_done", &[]));
            say(&words("reset_next", &[("ticket", &ticket.expose())]));
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(&errors::start(&error));
            ExitCode::FAILURE
        }
    }
}

fn print_key(config: &Config) -> ExitCode {
    if let Some(key) = &config.gateway_key {
        say(key.expose());
        return ExitCode::SUCCESS;
    }
    let layout = Layout::new(&config.data_dir, None, None);
    match SecretsFile::new(layout.secrets()).read() {
        Ok(Some(secrets)) => {
            say(secrets.gateway_key.expose());
            ExitCode::SUCCESS
        }
        Ok(None) => {
            complain(&words("no_key", &[("path", &layout.root.display())]));
            ExitCode::FAILURE
        }
        Err(error) => {
            complain(&errors::secrets(&error));
            ExitCode::FAILURE
        }
    }
}

async fn healthcheck(config: Config) -> ExitCode {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let host = if config.host.is_unspecified() { "127.0.0.1".to_owned() } else { config.host.to_string() };
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let url = format!("http://{host}:{}/health", config.port);
    let client = reqwest::Client::builder().no_proxy().timeout(HEALTH_PATIENCE).build();
    let answer = match client {
        Ok(client) => client.get(&url).send().await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(answer) => {
            let healthy = answer.status().is_success();
            let text = answer.text().await.unwrap_or_default();
            // Another program on the same port may answer too.
            let ours =
                serde_json::from_str::<serde_json::Value>(&text).is_ok_and(|v| v.get("status").is_some() && v.get("version").is_some());
            say(&text);
            if healthy && ours { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(_) => {
            complain(&words("no_answer", &[("url", &url)]));
            if let Some(port) = port_elsewhere(&config).await {
                complain(&words("answers_elsewhere", &[("port", &port)]));
            }
            ExitCode::FAILURE
        }
    }
}

/// Where the gateway of this folder listens, if that is not the port that was asked for.
async fn port_elsewhere(config: &Config) -> Option<u16> {
    let layout = Layout::new(&config.data_dir, None, None);
    crate::doctor::elsewhere(&layout, config.port).await.map(|running| running.address.port())
}

async fn serve_until_told(config: Config, lines: Lines, print_ticket: bool) -> ExitCode {
    for note in &config.notes {
        tracing::warn!("{note}");
    }
    let gateway = match Gateway::start_logging(&config, Some(lines)).await {
        Ok(gateway) => gateway,
        Err(error) => {
            complain(&errors::start(&error));
            if let (true, Some(chown)) = (config.in_container, error.chown()) {
                let folder = config.data_dir.display();
                complain(&words("container", &[]));
                complain(&format!("  docker run --rm -v VOLUME:{folder} busybox {chown}"));
            }
            return ExitCode::FAILURE;
        }
    };
    greet(&config, &gateway, print_ticket);
    told_to_stop().await;
    tracing::info!(event = "stopping", running = gateway.running(), "stopping; running drawings are finished first");
    tokio::select! {
        () = gateway.stop() => ExitCode::SUCCESS,
        () = told_to_stop() => {
            tracing::warn!("told twice; stopping at once");
            ExitCode::FAILURE
        }
    }
}

/// What a person needs who sees this for the first time, and nothing more for one who has seen it often.
fn greet(config: &Config, gateway: &Gateway, print_ticket: bool) {
    let address = gateway.address();
    let host = if address.ip().is_unspecified() || address.ip().is_loopback() { "localhost".to_owned() } else { address.ip().to_string() };
    let base = format!("http://{host}:{}", address.port());
    let key = if io::stdout().is_terminal() {
        gateway.key().expose().to_owned()
    } else if config.gateway_key.is_some() {
        words("key_set", &[("key", &gateway.key().masked())])
    } else {
        words("key_part", &[("key", &gateway.key().masked()), ("program", &program()), ("folder", &at_folder(config))])
    };
    let (upstream, model) = gateway.upstreams().first().cloned().unwrap_or_default();
    say(&words("ready", &[("version", &env!("CARGO_PKG_VERSION"))]));
    say(&words("base", &[("base", &base)]));
    say(&words("key", &[("key", &key)]));
    say(&words("upstream", &[("upstream", &upstream), ("model", &model)]));
    say(&words("data", &[("path", &config.data_dir.join("store").display())]));
    if upstream == "demo" {
        say(&words("demo", &[]));
    }
    if let Some(ticket) = gateway.setup_ticket() {
        let shown = if print_ticket || io::stdout().is_terminal() || gateway.is_first_start() {
            ticket.expose().to_owned()
        } else {
            words("ticket_part", &[("ticket", &ticket.masked())])
        };
        say(&words("admin_ticket", &[("base", &base), ("ticket", &shown)]));
    } else {
        say(&words("admin", &[("base", &base)]));
    }
    if gateway.is_first_start() {
        say(&words("next_1", &[("model", &gateway.model())]));
        say(&words("next_2", &[("port", &address.port())]));
        say(&words("next_3", &[]));
    }
}

/// What this program was called as.
fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "picgate-headless".into())
}

/// The flag that names the folder again, unless it is the one that is found without.
fn at_folder(config: &Config) -> String {
    match Config::default_data_dir() {
        Some(default) if default == config.data_dir => String::new(),
        _ => format!(" --data-dir {}", config.data_dir.display()),
    }
}

#[cfg(unix)]
async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminate = signal(SignalKind::terminate());
    let interrupt = signal(SignalKind::interrupt());
    match (terminate, interrupt) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        _ => std::future::pending().await,
    }
}

/// Windows tells a program of the console that it is to end, and ends it some seconds later in any case. Of a user who signs out
/// it tells services alone, and those outlive that.
#[cfg(windows)]
async fn told_to_stop() {
    use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown};
    match (ctrl_c(), ctrl_break(), ctrl_close(), ctrl_shutdown()) {
        (Ok(mut interrupt), Ok(mut stop), Ok(mut close), Ok(mut shutdown)) => {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = stop.recv() => {}
                _ = close.recv() => {}
                _ = shutdown.recv() => {}
            }
        }
        _ => std::future::pending().await,
    }
}
