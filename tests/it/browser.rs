//! The admin UI in a real browser: from the first visit to signing out, as pages in the windows of the desktop app, and how
//! much of it is loaded.

use std::{
    process::Command,
    sync::{Arc, atomic::Ordering},
};

use picgate_gateway::shell::Page;
use serde_json::{Value, json};

use crate::{
    admin::Admin,
    support::{FakeKeychain, FakeShell, TestApp, may_skip, process::Process},
};

/// What the script says of each step of the walk once it is done.
const STEPS: [&str; 11] = [
    "set up",
    "drawn",
    "connected",
    "looked through",
    "settings kept",
    "key replaced",
    "cache kept",
    "log read",
    "bucket away",
    "switched",
    "signed out",
];

/// Runs a script with these variables and sees that it has done all `steps`; nothing where there is no browser.
async fn run(script: &str, variables: &[(&'static str, String)], steps: &[&str]) -> bool {
    let Some(chromium) = std::env::var_os("PICGATE_CHROMIUM") else {
        assert!(may_skip(), "PICGATE_CHROMIUM must name a browser; 'make test' sets it");
        eprintln!("skipped: PICGATE_CHROMIUM does not name a browser");
        return false;
    };
    let script = format!("{}/../../ui/tests/browser/{script}", env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(which_node());
    command.arg(script).env("PICGATE_CHROMIUM", chromium).envs(variables.iter().map(|(name, value)| (*name, value)));
    let output = tokio::task::spawn_blocking(move || command.output().expect("runs")).await.expect("ends");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    for step in steps {
        assert!(said.contains(&format!("ok: {step}")), "'{step}' is missing:\n{said}");
    }
    true
}

#[tokio::test]
async fn a_person_walks_through_the_whole_admin_ui() {
    let dir = tempfile::tempdir().expect("a folder");
    // The program itself and not a gateway in this process: it keeps its log.
    let process = Process::start(dir.path(), &[]);
    let secrets = std::fs::read(dir.path().join("store").join("secrets.json")).expect("the file of keys");
    let secrets: Value = serde_json::from_slice(&secrets).expect("JSON");
    let ticket = secrets["setup_ticket"].as_str().expect("a ticket").to_owned();
    run("admin.mjs", &[("PICGATE_URL", process.url.clone()), ("PICGATE_TICKET", ticket)], &STEPS).await;
}

#[tokio::test]
async fn pages_in_native_windows_leave_to_the_desktop_what_is_its_own() {
    let keychain = Arc::new(FakeKeychain::default());
    let shell = FakeShell::with_keychain(&keychain);
    let app = TestApp::in_shell(&shell, &[]).await;
    let _admin = Admin::set_up(&app).await;
    let drawn = app.send("/v1/images/generations", &json!({"prompt": "一只橘猫"})).await;
    assert_eq!(drawn.status(), 200);
    let handle = app.gateway.handle();
    let latest = handle.latest_link().await.expect("reads").expect("a link");
    let id = latest.rsplit('/').next().expect("an id").to_owned();
    let page = async |page| handle.local_page(page, None).await.expect("an address");
    let variables = [("PICGATE_DASHBOARD", page(Page::Dashboard).await), ("PICGATE_SETTINGS", page(Page::Settings).await)];
    if !run("window.mjs", &variables, &["handed over", "paused and resumed", "the desktop is set", "opened to the network"]).await {
        return;
    }
    let opened = shell.opened();
    let folder = app.dir.path().display().to_string();
    let image = format!("{}/images/3f0c?download=1", app.url);
    let gallery = format!("/admin/gallery/{id}");
    let wanted = [&gallery, "/admin/cache", "/admin/settings", "https://example.com/opened", &image, "autostart true", &folder];
    assert_eq!(opened, wanted);
    assert!(shell.autostart.load(Ordering::Relaxed));
    assert!(!handle.settings().notify.finished && handle.settings().notify.failed);
    assert!(keychain.values().contains_key("gateway_key"));
}

#[tokio::test]
async fn no_page_weighs_more_than_150_kilobytes_at_the_first_visit() {
    let app = TestApp::demo().await;
    let admin = Admin::set_up(&app).await;
    assert_eq!(app.send("/v1/images/generations", &json!({"prompt": "一只橘猫"})).await.status(), 200);
    run("weight.mjs", &[("PICGATE_URL", app.url.clone()), ("PICGATE_COOKIE", admin.cookie.clone())], &["weighed"]).await;
}

fn which_node() -> std::path::PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join("node")).find(|path| path.exists()).expect("Node.js; make test sees to it")
}
