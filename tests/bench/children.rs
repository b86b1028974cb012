//! The processes of a run: the upstream, the floors, the gateway, nginx. They end with the run, whatever happens.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::http::get;

/// What clients of the gateway authenticate with.
pub const KEY: &str = "benchmark-key";

/// Everything that has to be gone at the end, for the watchdog.
static RUNNING: Mutex<Vec<u32>> = Mutex::new(Vec::new());
static FOLDER: Mutex<Option<PathBuf>> = Mutex::new(None);

fn signal(name: &str, pid: u32) {
    let _ = Command::new("kill").args([name, &pid.to_string()]).stderr(Stdio::null()).status();
}

/// Ends everything after `longest`: a benchmark that hangs must not hold up whoever started it.
pub fn watch(longest: Duration) {
    thread::spawn(move || {
        thread::sleep(longest);
        eprintln!("the benchmark takes longer than {} s and is ended", longest.as_secs());
        for pid in RUNNING.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            signal("-TERM", *pid);
        }
        if let Some(folder) = &*FOLDER.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = std::fs::remove_dir_all(folder);
        }
        std::process::exit(1);
    });
}

/// For a child: says where it listens, and ends with its parent.
pub fn ready(listener: &TcpListener) {
    let mut out = std::io::stdout();
    writeln!(out, "ready {}", listener.local_addr().expect("an address")).and_then(|()| out.flush()).expect("the parent reads");
    thread::spawn(|| {
        // Nothing is ever written there; it closes when the parent is gone.
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
}

/// A process that ends with this value.
pub struct Running {
    child: Child,
}

impl Running {
    pub fn start(command: &mut Command) -> Self {
        let child = command.stdin(Stdio::piped()).spawn().unwrap_or_else(|e| panic!("{command:?} does not start: {e}"));
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner).push(child.id());
        Self { child }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Until it ends by itself: whether it was content.
    pub fn finished(&mut self) -> bool {
        self.child.wait().is_ok_and(|status| status.success())
    }

    fn stdout(&mut self) -> BufReader<ChildStdout> {
        BufReader::new(self.child.stdout.take().expect("piped"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let pid = self.child.id();
        // Gently at first, for nginx has children of its own.
        signal("-TERM", pid);
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(3) && matches!(self.child.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner).retain(|p| *p != pid);
    }
}

/// What all parts of a run share.
pub struct Bench {
    pub upstream: SocketAddr,
    _upstream: Running,
    folder: TempDir,
}

/// This program again, as one of its parts.
pub fn part(words: &[&str]) -> (Running, SocketAddr) {
    let program = std::env::current_exe().expect("this program");
    let mut running = Running::start(Command::new(program).arg("--child").args(words).stdout(Stdio::piped()));
    let mut line = String::new();
    running.stdout().read_line(&mut line).expect("the child speaks");
    let address = line.trim().strip_prefix("ready ").and_then(|a| a.parse().ok()).unwrap_or_else(|| panic!("{words:?} did not start"));
    (running, address)
}

impl Bench {
    pub fn start() -> Self {
        // In the build folder and not in the system's one for temporary files, which may be no disk.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        *FOLDER.lock().unwrap_or_else(PoisonError::into_inner) = Some(folder.path().to_owned());
        let (running, upstream) = part(&["mock"]);
        Self { upstream, _upstream: running, folder }
    }

    /// A new folder.
    pub fn folder(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(&path).expect("a folder");
        path
    }
}

/// One variant of the floor.
pub struct Floor {
    running: Running,
    pub address: SocketAddr,
    folder: PathBuf,
}

impl Floor {
    pub fn start(bench: &Bench, name: &str, fsync: bool, sha256: bool) -> Self {
        let folder = bench.folder(name);
        let (fsync, sha256) = (fsync.to_string(), sha256.to_string());
        let upstream = bench.upstream.to_string();
        let (running, address) = part(&["floor", &upstream, &folder.to_string_lossy(), &fsync, &sha256]);
        Self { running, address, folder }
    }

    pub fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// Removes its pictures.
    pub fn sweep(&self) {
        sweep(&self.folder);
    }
}

/// Removes the files in a folder. This is done after each turn: what was never synced must not be written back while
/// others are measured, and the memory that files go to must be as warm for one as for the other. Memory that a virtual
/// machine has not used for a while can cost ten times as much to write to.
fn sweep(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            sweep(&entry.path());
        } else {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// The gateway as users run it.
pub struct Gateway {
    running: Running,
    folder: PathBuf,
    pub address: SocketAddr,
    /// From the start of the process to the line that says it is ready.
    pub ready: Duration,
}

impl Gateway {
    pub fn start(bench: &Bench, name: &str) -> Self {
        Self::start_with(bench, name, &[])
    }

    /// The same with further variables, over a folder that may have been used before.
    pub fn start_with(bench: &Bench, name: &str, variables: &[(&'static str, String)]) -> Self {
        let folder = bench.folder(name);
        let mut command = Command::new(env!("CARGO_BIN_EXE_picgate-headless"));
        command
            .args(["serve", "--port", "0", "--data-dir"])
            .arg(&folder)
            .env_clear()
            .env("PICGATE_GATEWAY_KEY", KEY)
            .env("PICGATE_UPSTREAM_BASE_URL", format!("http://{}/v1", bench.upstream))
            .env("PICGATE_UPSTREAM_API_KEY", "sk-benchmark")
            .env("PICGATE_UPSTREAM_MODEL", "up")
            .env("NO_PROXY", "*")
            .envs(variables.iter().map(|(name, value)| (*name, value.as_str())))
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let began = Instant::now();
        let mut running = Running::start(&mut command);
        let mut lines = running.stdout().lines();
        let url = lines.by_ref().map_while(Result::ok).find_map(|line| line.trim().strip_prefix("Base URL").map(|u| u.trim().to_owned()));
        let ready = began.elapsed();
        thread::spawn(move || lines.for_each(drop));
        let url = url.expect("the gateway greets");
        let port = url.trim_end_matches("/v1").rsplit(':').next().and_then(|p| p.parse().ok()).expect("a port");
        let gateway = Self { running, folder, address: SocketAddr::from(([127, 0, 0, 1], port)), ready };
        let mut conn = crate::http::Conn::open(gateway.address).expect("connects");
        conn.ask(&get("GET", "/health", "")).expect("healthy");
        gateway
    }

    pub fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// Removes its pictures behind its back; it looks for them only when they are asked for.
    pub fn sweep(&self) {
        sweep(&self.folder.join("store/blobs"));
    }
}

/// One command of the program over an own folder: the process, which ends by itself.
pub fn command(bench: &Bench, name: &str, words: &[&str], variables: &[(&'static str, String)]) -> Running {
    let mut command = Command::new(env!("CARGO_BIN_EXE_picgate-headless"));
    command.args(words).arg("--data-dir").arg(bench.folder(name)).env_clear().env("NO_PROXY", "*");
    command.envs(variables.iter().map(|(name, value)| (*name, value.as_str()))).stdout(Stdio::null()).stderr(Stdio::null());
    Running::start(&mut command)
}

/// nginx over one folder. `None` if it is not installed.
pub fn nginx(bench: &Bench, files: &Path) -> Option<(Running, SocketAddr, String)> {
    let version = Command::new("nginx").arg("-v").output().ok()?;
    let version = String::from_utf8_lossy(&version.stderr).trim().trim_start_matches("nginx version: ").to_owned();
    let home = bench.folder("nginx");
    // A port that was free just now.
    let address = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
    // The folder is ours alone, and workers of a master that is root give that up unless told otherwise.
    let root = if Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout.trim_ascii() == b"0") { "user root;" } else { "" };
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|n| format!("{n}_temp_path t_{n};")).concat();
    let configuration = format!(
        "{root} daemon off; worker_processes 2; pid nginx.pid; error_log error.log;
         events {{ worker_connections 1024; }}
         http {{ access_log off; sendfile on; keepalive_requests 10000000; keepalive_timeout 60;
           open_file_cache max=1000 inactive=60s; open_file_cache_valid 60s; {temporary} types {{ image/png png; }}
           server {{ listen {address}; root {}; }} }}",
        files.display()
    );
    std::fs::write(home.join("nginx.conf"), configuration).expect("writes");
    let running = Running::start(
        Command::new("nginx").arg("-p").arg(&home).args(["-e", "error.log", "-c"]).arg(home.join("nginx.conf")).stderr(Stdio::null()),
    );
    let began = Instant::now();
    while std::net::TcpStream::connect(address).is_err() {
        assert!(began.elapsed() < Duration::from_secs(5), "nginx does not listen");
        thread::sleep(Duration::from_millis(10));
    }
    Some((running, address, version))
}
