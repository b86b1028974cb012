//! The real binary as a process of its own. It ends with the test, whatever happens.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
};

use super::PATIENCE;

pub const BINARY: &str = env!("CARGO_BIN_EXE_picgate-headless");

/// A command line over `dir` with an environment of its own.
pub fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(args).arg("--data-dir").arg(dir).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// Its standard output once it has ended, its error output and its exit code.
pub fn finished(dir: &Path, args: &[&str], variables: &[(&str, &str)]) -> (String, String, i32) {
    let output = command(dir, args).envs(variables.iter().copied()).output().expect("runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr), output.status.code().unwrap_or(-1))
}

/// A running gateway.
pub struct Process {
    child: Child,
    pub url: String,
    lines: Receiver<String>,
}

impl Process {
    /// Starts it on a free port and waits until it is ready.
    pub fn start(dir: &Path, variables: &[(&str, &str)]) -> Self {
        let mut command = command(dir, &["serve", "--port", "0"]);
        command.envs(variables.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("starts");
        let stdout = child.stdout.take().expect("piped");
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut process = Self { child, url: String::new(), lines };
        while process.url.is_empty() {
            let line = process.lines.recv_timeout(PATIENCE).expect("the greeting");
            if let Some(url) = line.trim().strip_prefix("Base URL") {
                process.url = url.trim().trim_end_matches("/v1").to_owned();
            }
        }
        process
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Tells it to stop, as `docker stop` does.
    pub fn terminate(&self) {
        let told = Command::new("kill").args(["-TERM", &self.id().to_string()]).status().expect("kill runs");
        assert!(told.success());
    }

    /// Its exit code, once it has ended.
    pub fn wait(&mut self) -> i32 {
        self.child.wait().expect("ends").code().unwrap_or(-1)
    }

    /// A figure of `/proc/{pid}/status` in kB.
    pub fn memory(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).expect("Linux");
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).expect("the field");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
