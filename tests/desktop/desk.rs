//! A desktop of the test's own: Xvfb, a session bus, an empty home, and the app on it. All of it ends with the test.

use std::{
    collections::HashSet,
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{ClientMessageEvent, ConnectionExt as _, EventMask, ImageFormat};

use crate::{
    bus::{Bus, Line},
    eventually_or, until,
};

pub const KEY: &str = "sk-desktop-test-0123456789abcdef";
pub const PASSWORD: &str = "a-desktop-password";
/// The app that was built with the tests, or one that was installed.
fn built() -> PathBuf {
    std::env::var_os("PICGATE_PROGRAM").map_or_else(|| env!("CARGO_BIN_EXE_picgate").into(), PathBuf::from)
}

const TOOLS: [&str; 5] = ["Xvfb", "dbus-daemon", "WebKitWebDriver", "xdotool", "xclip"];

/// Bytes of a display's number.
const NUMBER_MAX: u64 = 64;

/// What ends with the test.
pub struct Ending(pub Child);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub struct Desk {
    pub dir: TempDir,
    pub bus: Bus,
    display: String,
    program: PathBuf,
    language: &'static str,
    variables: Vec<(String, String)>,
    is_disk_full: bool,
    _xvfb: Ending,
    _bus: Ending,
}

/// Whether everything is there; without it the tests are skipped, but under `make test`, which has seen to it, they fail.
fn has_tools() -> bool {
    let found = |tool: &&str| std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).any(|folder| folder.join(tool).exists());
    let missing: Vec<_> = TOOLS.iter().filter(|tool| !found(tool)).collect();
    assert!(missing.is_empty() || std::env::var_os("PICGATE_TOOLS").is_none(), "missing: {missing:?}; .ci/setup test installs them");
    if !missing.is_empty() {
        eprintln!("skipped: {missing:?} are missing; .ci/setup test installs them");
    }
    missing.is_empty()
}

impl Desk {
    /// A desktop with a tray; `None` where the tools are missing.
    pub fn new() -> Option<Self> {
        Self::with(true)
    }

    pub fn without_tray() -> Option<Self> {
        Self::with(false)
    }

    fn with(tray: bool) -> Option<Self> {
        if !has_tools() {
            return None;
        }
        let dir = tempfile::tempdir().expect("a temporary folder");
        for folder in ["run", "bin", "home"] {
            fs::create_dir(dir.path().join(folder)).expect("makes a folder");
        }
        fs::set_permissions(dir.path().join("run"), fs::Permissions::from_mode(0o700)).expect("sets permissions");
        let (xvfb, display) = start_display();
        let (bus, address) = start_bus(dir.path());
        // Addresses that the app hands to the browser or to the file manager are noted instead of opened.
        let opened = dir.path().join("opened");
        let script = format!("#!/bin/sh\nprintf '%s\\n' \"$1\" >> '{}'\n", opened.display());
        write_program(&dir.path().join("bin/xdg-open"), &script);
        Some(Self {
            bus: Bus::start(&address, tray),
            display,
            program: built(),
            // The one that every computer has; who speaks neither Chinese nor English reads English.
            language: "C.UTF-8",
            variables: vec![
                ("DBUS_SESSION_BUS_ADDRESS".into(), address),
                ("PICGATE_ADMIN_USERNAME".into(), "admin".into()),
                ("PICGATE_ADMIN_PASSWORD".into(), PASSWORD.into()),
            ],
            is_disk_full: false,
            dir,
            _xvfb: xvfb,
            _bus: bus,
        })
    }

    /// On a computer whose language is Chinese.
    pub fn in_chinese(mut self) -> Self {
        self.language = "zh_CN.UTF-8";
        self
    }

    /// With a program that lies in a folder whose name has a space.
    pub fn with_program_in(mut self, folder: &str) -> Self {
        let folder = self.dir.path().join(folder);
        fs::create_dir(&folder).expect("makes a folder");
        self.program = folder.join("picgate");
        // A link of the file system, so that the program finds itself at this place.
        if fs::hard_link(built(), &self.program).is_err() {
            fs::copy(built(), &self.program).expect("copies the program");
        }
        self
    }

    pub fn program(&self) -> &Path {
        &self.program
    }

    /// With an upstream that takes requests and never answers.
    pub fn with_silent_upstream(mut self, upstream: &std::net::TcpListener) -> Self {
        let address = upstream.local_addr().expect("an address");
        self.variables.push(("PICGATE_UPSTREAM_BASE_URL".into(), format!("http://{address}/v1")));
        self.variables.push(("PICGATE_UPSTREAM_API_KEY".into(), "sk-nobody".into()));
        self
    }

    /// With one more variable.
    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// With its data on a disk of its own that is nearly full; `None` where no file system can be mounted.
    pub fn on_a_full_disk(mut self) -> Option<Self> {
        let may = Command::new("unshare").args(["--mount", "mount", "-t", "tmpfs", "tmpfs", "/tmp"]).stderr(Stdio::null()).status();
        if !may.is_ok_and(|status| status.success()) {
            eprintln!("skipped: no file system can be mounted here");
            return None;
        }
        fs::create_dir(self.dir.path().join("data")).expect("makes a folder");
        self.is_disk_full = true;
        Some(self)
    }

    /// Without an account: the app has never been used.
    pub fn unused(mut self) -> Self {
        self.variables.retain(|(name, _)| !name.starts_with("PICGATE_ADMIN"));
        self
    }

    /// A command in this desktop's environment and in no other.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", format!("{}:{path}", self.dir.path().join("bin").display()))
            .env("HOME", self.dir.path().join("home"))
            .env("XDG_RUNTIME_DIR", self.dir.path().join("run"))
            .env("DISPLAY", &self.display)
            .env("LANG", self.language)
            .env("GDK_BACKEND", "x11")
            .env("NO_AT_BRIDGE", "1")
            .env("LIBGL_ALWAYS_SOFTWARE", "1")
            .env("WEBKIT_DISABLE_COMPOSITING_MODE", "1")
            .env("PICGATE_GATEWAY_KEY", KEY)
            // Found again in the environment of every process that comes of this.
            .env("PICGATE_TEST_DESK", self.dir.path())
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// What the app is started with besides.
    pub fn arguments(&self, arguments: &[&str]) -> Vec<String> {
        let data = self.dir.path().join("data").display().to_string();
        let port = if arguments.contains(&"--port") { vec![] } else { vec!["--port", "0"] };
        [arguments, &port, &["--data-dir", &data]].concat().into_iter().map(str::to_owned).collect()
    }

    /// Starts the app.
    pub fn start(&self, arguments: &[&str]) -> App<'_> {
        let log = fs::File::create(self.dir.path().join("log")).expect("makes a file");
        let mut command = if self.is_disk_full {
            // A mount of this process alone, which ends with it.
            let script = "mount -t tmpfs -o size=200m tmpfs \"$1\" && head -c 192M /dev/zero > \"$1/other\" && shift && exec \"$@\"";
            let mut command = self.command("unshare");
            command.args(["--mount", "sh", "-c", script, "sh"]).arg(self.dir.path().join("data")).arg(&self.program);
            command
        } else {
            self.command(&self.program)
        };
        command.args(self.arguments(arguments)).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        App { desk: self, process: Ending(command.spawn().expect("starts")) }
    }

    /// What the app wrote to its error output.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// What the browser and the file manager were asked to open.
    pub fn opened(&self) -> Vec<String> {
        fs::read_to_string(self.dir.path().join("opened")).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// Processes that were started in this desktop and still run, by the names of their programs.
    pub fn processes(&self) -> Vec<(u32, String)> {
        let mark = format!("PICGATE_TEST_DESK={}", self.dir.path().display());
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").expect("Linux").flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse() else { continue };
            let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
            if environment.split(|b| *b == 0).any(|variable| variable == mark.as_bytes()) {
                let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
                found.push((pid, name.trim().to_owned()));
            }
        }
        found
    }

    pub fn xdotool(&self, arguments: &[&str]) -> String {
        let output = self.command("xdotool").args(arguments).output().expect("xdotool runs");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Titles of the visible windows whose titles match.
    pub fn windows(&self, title: &str) -> Vec<String> {
        self.xdotool(&["search", "--onlyvisible", "--name", title]).lines().map(str::to_owned).collect()
    }

    pub async fn window(&self, title: &str) -> String {
        let what = || format!("a window '{title}'; {}", self.state());
        eventually_or(what, async || self.windows(title).first().cloned()).await
    }

    /// What is known of the app by now, for a test that fails.
    pub fn state(&self) -> String {
        let windows: Vec<_> = self.windows(".").iter().map(|window| self.xdotool(&["getwindowname", window])).collect();
        format!("windows: {windows:?}; menu: {:?}; processes: {:?}; log: {}", self.bus.menu(), self.processes(), self.log())
    }

    /// Waits for a window and closes it; in the end there is none of this title.
    pub async fn close(&self, title: &str) {
        self.window(title).await;
        let closing = async || self.windows(title).iter().for_each(|window| self.ask_to_close(window));
        until(|| format!("the end of '{title}'; {}", self.state()), closing, async || self.windows(title).is_empty().then_some(())).await;
    }

    /// Waits for a dialog and presses keys in it until it is gone.
    pub async fn answer(&self, title: &str, keys: &[&str]) {
        self.window(title).await;
        let pressing = async || {
            for window in self.windows(title) {
                self.xdotool(&["windowfocus", &window]);
                self.xdotool(&[&["key", "--window", &window], keys].concat());
            }
        };
        until(|| format!("an answer to '{title}'; {}", self.state()), pressing, async || self.windows(title).is_empty().then_some(()))
            .await;
    }

    /// Waits until nothing runs any more that was started here.
    pub async fn no_processes(&self) {
        eventually_or(|| format!("the end of {:?}", self.processes()), async || self.processes().is_empty().then_some(())).await;
    }

    /// Does as a window's title bar: the program is asked to close it.
    fn ask_to_close(&self, window: &str) {
        let (connection, _) = x11rb::connect(Some(&self.display)).expect("the display");
        let atom = |name: &[u8]| connection.intern_atom(false, name).expect("asks").reply().expect("an atom").atom;
        let (protocols, delete) = (atom(b"WM_PROTOCOLS"), atom(b"WM_DELETE_WINDOW"));
        let window = window.parse().expect("a window's number");
        let event = ClientMessageEvent::new(32, window, protocols, [delete, x11rb::CURRENT_TIME, 0, 0, 0]);
        // Refused where the window has gone meanwhile.
        let _ = connection.send_event(false, window, EventMask::NO_EVENT, event).expect("sends").check();
    }

    /// Whether the screen shows more than empty frames: pages have many shades of colour.
    pub fn is_painted(&self) -> bool {
        const SHADES: usize = 60;
        let (connection, screen) = x11rb::connect(Some(&self.display)).expect("the display");
        let root = &connection.setup().roots[screen];
        let (width, height) = (root.width_in_pixels, root.height_in_pixels);
        let image =
            connection.get_image(ImageFormat::Z_PIXMAP, root.root, 0, 0, width, height, !0).expect("asks").reply().expect("an image");
        image.data.chunks_exact(4).collect::<HashSet<_>>().len() > SHADES
    }

    /// What the clipboard holds.
    pub fn clipboard(&self) -> String {
        let output = self.command("xclip").args(["-o", "-selection", "clipboard"]).output().expect("xclip runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// Without `-noreset` an X server starts anew whenever its last client leaves, such as a look for windows, and whoever connects
/// meanwhile is turned away: the app then finds no display.
fn start_display() -> (Ending, String) {
    let mut command = Command::new("Xvfb");
    let arguments = ["-displayfd", "1", "-noreset", "-screen", "0", "1400x900x24", "-nolisten", "tcp"];
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("Xvfb starts");
    let number = first_line(&mut child);
    (Ending(child), format!(":{number}"))
}

/// A bus that starts no services of this computer's.
fn start_bus(dir: &Path) -> (Ending, String) {
    let config = format!(
        r#"<busconfig><type>session</type><listen>unix:dir={}</listen><policy context="default">
        <allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>"#,
        dir.join("run").display()
    );
    let path = dir.join("bus.conf");
    fs::write(&path, config).expect("writes");
    let mut command = Command::new("dbus-daemon");
    command.arg(format!("--config-file={}", path.display())).args(["--nofork", "--print-address=1"]).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::null()).spawn().expect("dbus-daemon starts");
    let address = first_line(&mut child);
    (Ending(child), address)
}

fn first_line(child: &mut Child) -> String {
    let stdout = child.stdout.take().expect("piped");
    let mut line = String::new();
    BufReader::new(stdout).take(NUMBER_MAX * 8).read_line(&mut line).expect("a line");
    line.trim().to_owned()
}

fn write_program(path: &Path, text: &str) {
    fs::write(path, text).expect("writes");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("sets permissions");
}

/// The app, running.
pub struct App<'a> {
    pub desk: &'a Desk,
    pub process: Ending,
}

impl App<'_> {
    pub fn id(&self) -> u32 {
        self.process.0.id()
    }

    pub fn is_running(&mut self) -> bool {
        self.process.0.try_wait().expect("a child").is_none()
    }

    /// Its exit code, once it has ended.
    pub async fn ended(&mut self) -> i32 {
        let what = || format!("the end of the app; {}", self.desk.state());
        eventually_or(what, async || self.process.0.try_wait().expect("a child")).await.code().unwrap_or(-1)
    }

    /// Tells it to end as the system does.
    pub fn terminate(&self) {
        let told = Command::new("kill").args(["-TERM", &self.id().to_string()]).status().expect("kill runs");
        assert!(told.success());
    }

    /// The tray's menu once its first line fulfils `wanted`.
    pub async fn menu_when(&self, wanted: impl Fn(&str) -> bool) -> Vec<Line> {
        let what = || format!("a menu; {}", self.desk.state());
        eventually_or(what, async || self.desk.bus.menu().filter(|menu| menu.first().is_some_and(|line| wanted(&line.text)))).await
    }

    /// The tray's menu once the gateway serves.
    pub async fn menu(&self) -> Vec<Line> {
        self.menu_when(|status| status.starts_with("Port ") || status.starts_with("端口 ")).await
    }

    /// Chooses a line of the menu, once.
    pub async fn choose(&self, text: &str) {
        eventually_or(|| format!("the line '{text}'; {}", self.desk.state()), async || self.desk.bus.choose(text).then_some(())).await;
    }

    /// Chooses a line of the menu until there is a window. An app that is busy with the answer before takes no other choice.
    pub async fn choose_for(&self, text: &str, title: &str) -> String {
        let choosing = async || _ = self.desk.bus.choose(text);
        let what = || format!("a window '{title}' after '{text}'; {}", self.desk.state());
        until(what, choosing, async || self.desk.windows(title).first().cloned()).await
    }

    /// Where its gateway listens, as the tray says.
    pub async fn gateway(&self) -> Gateway {
        let status = self.menu().await[0].text.clone();
        let port = status.split_whitespace().nth(1).and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("no port in '{status}'"));
        Gateway::at(port)
    }
}

/// The gateway inside the app, over HTTP.
pub struct Gateway {
    pub port: u16,
    pub url: String,
    http: reqwest::Client,
}

impl Gateway {
    pub fn at(port: u16) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { port, url: format!("http://127.0.0.1:{port}"), http }
    }

    /// Draws with the built-in demo; status and answer.
    pub async fn draw(&self, prompt: &str) -> (u16, Value) {
        let body = json!({ "model": "picgate", "prompt": prompt, "response_format": "url" });
        let request = self.http.post(format!("{}/v1/images/generations", self.url)).bearer_auth(KEY).json(&body);
        let answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }

    /// Asks for a drawing that may never come.
    pub async fn try_to_draw(&self, prompt: &str) {
        let body = json!({ "model": "picgate", "prompt": prompt });
        let _ = self.http.post(format!("{}/v1/images/generations", self.url)).bearer_auth(KEY).json(&body).send().await;
    }

    /// Signs in as a browser does; the cookie.
    async fn cookie(&self) -> String {
        let body = json!({ "username": "admin", "password": PASSWORD });
        let request = self.http.post(format!("{}/admin/api/session/login", self.url)).header("x-picgate", "1").json(&body);
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        let cookie = answer.headers()["set-cookie"].to_str().expect("text");
        cookie.split(';').next().expect("a pair").to_owned()
    }

    /// Changes settings as the admin UI does.
    pub async fn set(&self, settings: Value) {
        let request = self.http.patch(format!("{}/admin/api/settings", self.url)).header("x-picgate", "1");
        let answer = request.header("cookie", self.cookie().await).json(&json!({ "values": settings })).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap_or_default());
    }

    pub async fn is_up(&self) -> bool {
        self.http.get(format!("{}/health", self.url)).send().await.is_ok()
    }
}
