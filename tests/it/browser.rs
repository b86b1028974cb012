//! The admin UI in a real browser, from the first visit to signing out.

use std::process::Command;

use crate::support::TestApp;

#[tokio::test]
async fn a_person_sets_up_draws_and_signs_in_again() {
    let Some(chromium) = std::env::var_os("PICGATE_CHROMIUM") else {
        assert!(std::env::var_os("CI").is_none(), "PICGATE_CHROMIUM must name a browser; 'make test' sets it");
        eprintln!("skipped: PICGATE_CHROMIUM does not name a browser");
        return;
    };
    let node = which_node();
    let app = TestApp::demo().await;
    let ticket = app.gateway.setup_ticket().expect("a ticket").expose().to_owned();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../ui/tests/browser/admin.mjs");
    let output = tokio::task::spawn_blocking({
        let url = app.url.clone();
        move || {
            Command::new(node)
                .arg(script)
                .env("PICGATE_URL", url)
                .env("PICGATE_TICKET", ticket)
                .env("PICGATE_CHROMIUM", chromium)
                .output()
                .expect("runs")
        }
    });
    let output = output.await.expect("ends");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    for step in ["set up", "drawn", "switched", "signed out"] {
        assert!(said.contains(&format!("ok: {step}")), "'{step}' is missing:\n{said}");
    }
}

fn which_node() -> std::path::PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join("node")).find(|path| path.exists()).expect("Node.js; make test sees to it")
}
