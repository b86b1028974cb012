//! Looks into a window with WebKit's own driver, which starts the app itself and is handed its first window.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    PATIENCE,
    desk::{Desk, Ending},
    eventually,
};

pub struct Window {
    http: reqwest::Client,
    session: String,
    _driver: Ending,
}

impl Window {
    /// Starts the app with `arguments`, which must open a window.
    pub async fn open(desk: &Desk, arguments: &[&str]) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().expect("a client");
        // The driver takes no port 0. Between this and its start another program could take the port; then the test fails loudly.
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
        let mut command = desk.command("WebKitWebDriver");
        command.args(["--host=127.0.0.1", &format!("--port={port}")]).env("TAURI_WEBVIEW_AUTOMATION", "true");
        let log = std::fs::File::create(desk.dir.path().join("log")).expect("makes a file");
        let driver = Ending(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("the driver starts"));
        let base = format!("http://127.0.0.1:{port}");
        eventually("the driver", async || http.get(format!("{base}/status")).send().await.ok()).await;
        let options = json!({ "binary": desk.program(), "args": desk.arguments(arguments) });
        let wanted = json!({ "capabilities": { "alwaysMatch": { "webkitgtk:browserOptions": options } } });
        let answer = http.post(format!("{base}/session")).json(&wanted).send().await.expect("an answer");
        let answer: Value = answer.json().await.expect("JSON");
        let id = answer["value"]["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {answer}; log: {}", desk.log()));
        Self { session: format!("{base}/session/{id}"), http, _driver: driver }
    }

    /// What a script gives.
    pub async fn run(&self, script: &str) -> Value {
        let body = json!({ "script": script, "args": [] });
        let answer = self.http.post(format!("{}/execute/sync", self.session)).json(&body).send().await.expect("an answer");
        answer.json::<Value>().await.expect("JSON")["value"].clone()
    }

    /// Clicks a link as a person does.
    pub async fn click_link_to(&self, address: &str, target: &str) {
        self.run(&format!(
            "const link = document.createElement('a'); link.href = '{address}'; link.target = '{target}'; link.id = 'test-link'; link.textContent = 'x';
             link.style.cssText = 'position:fixed;inset:0;z-index:99999;background:white'; document.body.append(link)"
        ))
        .await;
        let body = json!({ "using": "css selector", "value": "#test-link" });
        let answer = self.http.post(format!("{}/element", self.session)).json(&body).send().await.expect("an answer");
        let answer: Value = answer.json().await.expect("JSON");
        let id = answer["value"].as_object().and_then(|value| value.values().next()?.as_str()).expect("the link").to_owned();
        let clicked = self.http.post(format!("{}/element/{id}/click", self.session)).json(&json!({})).send().await.expect("an answer");
        assert!(clicked.status().is_success(), "{}", clicked.text().await.unwrap_or_default());
        self.run("document.querySelector('#test-link')?.remove()").await;
    }

    /// Where the page is.
    pub async fn address(&self) -> String {
        self.run("return location.pathname + location.search").await.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until a script gives `true`.
    pub async fn gives(&self, script: &str) {
        let page = "return [location.href, document.title, document.body?.innerText.slice(0, 2000)].join(' | ')";
        let began = Instant::now();
        while self.run(script).await != true {
            assert!(began.elapsed() < PATIENCE, "waited in vain for '{script}' in {}", self.run(page).await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Ends the session, and the app with it.
    pub async fn close(self) {
        let _ = self.http.delete(&self.session).send().await;
    }
}
