//! The admin UI in a real browser, from the first visit to signing out.

use std::process::Command;

use crate::support::process::Process;

/// What the script says of each step once it is done.
const STEPS: [&str; 9] =
    ["set up", "drawn", "connected", "looked through", "settings kept", "cache kept", "log read", "switched", "signed out"];

#[test]
fn a_person_walks_through_the_whole_admin_ui() {
    let Some(chromium) = std::env::var_os("PICGATE_CHROMIUM") else {
        assert!(std::env::var_os("CI").is_none(), "PICGATE_CHROMIUM must name a browser; 'make test' sets it");
        eprintln!("skipped: PICGATE_CHROMIUM does not name a browser");
        return;
    };
    let (node, dir) = (which_node(), tempfile::tempdir().expect("a folder"));
    // The program itself and not a gateway in this process: it keeps its log.
    let process = Process::start(dir.path(), &[]);
    let secrets = std::fs::read(dir.path().join("store").join("secrets.json")).expect("the file of keys");
    let secrets: serde_json::Value = serde_json::from_slice(&secrets).expect("JSON");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../ui/tests/browser/admin.mjs");
    let output = Command::new(node)
        .arg(script)
        .env("PICGATE_URL", &process.url)
        .env("PICGATE_TICKET", secrets["setup_ticket"].as_str().expect("a ticket"))
        .env("PICGATE_CHROMIUM", chromium)
        .output()
        .expect("runs");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    for step in STEPS {
        assert!(said.contains(&format!("ok: {step}")), "'{step}' is missing:\n{said}");
    }
}

fn which_node() -> std::path::PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join("node")).find(|path| path.exists()).expect("Node.js; make test sees to it")
}
