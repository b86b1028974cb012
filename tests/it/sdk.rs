//! The example for OpenAI's Python SDK, run against the real binary, and what it drew in a real browser.

use std::{path::Path, process::Command};

use crate::support::{may_skip, process::Process};

pub fn program(variable: &str, what: &str) -> Option<String> {
    let program = std::env::var(variable).ok();
    assert!(program.is_some() || may_skip(), "{variable} must name {what}; 'make test' sets it");
    if program.is_none() {
        eprintln!("skipped: {variable} does not name {what}");
    }
    program
}

#[test]
fn the_python_sdk_draws_edits_and_streams() {
    let Some(python) = program("PICGATE_SDK_PYTHON", "a Python with the package openai") else { return };
    let dir = tempfile::tempdir().expect("a temporary folder");
    let process = Process::start(dir.path(), &[("PICGATE_GATEWAY_KEY", "pg-test-key")]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/sdk/draw.py");
    let output = Command::new(python).arg(script).args([&format!("{}/v1", process.url), "pg-test-key"]).output().expect("runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let links: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("link ")).collect();
    assert!(links.len() >= 6, "{text}");
    let Some(chromium) = program("PICGATE_CHROMIUM", "Chromium") else { return };
    for link in [links[0], links[links.len() - 1]] {
        let profile = tempfile::tempdir().expect("a temporary folder");
        let flags = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ];
        let output = Command::new(&chromium)
            .args(flags)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args(["--dump-dom", link])
            .output()
            .expect("runs");
        let page = String::from_utf8_lossy(&output.stdout).into_owned();
        // A browser writes the size of a picture that it could decode into the title of its page.
        assert!(page.contains("1024×1024") || page.contains("1024&#215;1024"), "{link} does not open: {page}");
    }
}
