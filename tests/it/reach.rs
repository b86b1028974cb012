//! Who can reach the gateway, who stands in its way, and what it says while it is paused.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use futures_util::StreamExt;
use picgate_gateway::{
    server::{Gateway, StartError},
    shell::News,
};
use reqwest::{Method, header};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::{
    admin::{Admin, code},
    support::{
        FakeUpstream, Scripted, TestApp,
        app::config,
        eventually,
        pictures::{self, base64},
        process,
    },
};

/// Another address of this computer than the one that is open by default, as a neighbour would call it.
fn elsewhere(app: &TestApp) -> String {
    format!("http://127.0.0.2:{}", app.gateway.address().port())
}

async fn answers(url: &str) -> bool {
    let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(Duration::from_secs(5)).build().expect("a client");
    client.get(format!("{url}/health")).send().await.is_ok()
}

async fn set(admin: &Admin<'_>, reach: &str, password: Option<&str>) -> reqwest::Response {
    admin.request(Method::POST, "listen").json(&json!({"reach": reach, "password": password})).send().await.expect("an answer")
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn everyone_comes_in_only_after_the_password_and_nobody_after_the_switch_back() {
    let app = TestApp::demo().await;
    let admin = Admin::set_up(&app).await;
    let url = elsewhere(&app);
    let state = admin.get("listen").await;
    assert_eq!((&state["reach"], &state["locked_by"]), (&json!("this_computer"), &Value::Null));
    assert_eq!(state["choices"], json!(["this_computer", "docker", "everyone"]));
    assert!(!answers(&url).await);
    assert_eq!(code(set(&admin, "everyone", None).await, 403).await, "password_needed");
    assert_eq!(code(set(&admin, "everyone", Some("wrong")).await, 401).await, "wrong_credentials");
    assert_eq!(code(set(&admin, "all", Some("correct horse")).await, 422).await, "invalid_request");
    let slip = admin.request(Method::PATCH, "settings").json(&json!({"values": {"listen": "everyone"}})).send().await.expect("an answer");
    assert_eq!(code(slip, 422).await, "invalid_settings", "not without the password");
    assert!(!answers(&url).await);

    let mut news = app.gateway.handle().subscribe();
    let open: Value = set(&admin, "everyone", Some("correct horse")).await.json().await.expect("JSON");
    assert_eq!((&open["reach"], &open["problem"]), (&json!("everyone"), &Value::Null));
    let port = app.gateway.address().port();
    assert_eq!(open["addresses"][0], format!("0.0.0.0:{port}"));
    assert!(answers(&url).await, "no restart is needed");
    assert!(answers(&app.url).await, "this computer still comes in");
    let heard = async {
        loop {
            if let Some(News::Listening(addresses)) = news.next().await {
                return addresses;
            }
        }
    };
    let heard = tokio::time::timeout(crate::support::PATIENCE, heard).await.expect("news");
    assert!(heard.contains(&SocketAddr::from(([0, 0, 0, 0], port))));
    let connect = admin.get("connect").await;
    assert_eq!(connect["listens"], "all");
    assert!(connect["places"].as_array().expect("places").iter().all(|place| place["works"] == true));

    // A page of a neighbour hears no more once the door is shut.
    let cookie = admin.cookie.clone();
    let watching = app.http.get(format!("{url}/admin/api/events")).header(header::COOKIE, cookie).send().await.expect("an answer");
    assert_eq!(watching.status(), 200);
    let mut frames = watching.bytes_stream();
    assert!(frames.next().await.is_some_and(|frame| frame.is_ok()), "a snapshot");
    let shut: Value = set(&admin, "this_computer", None).await.json().await.expect("JSON");
    assert_eq!(shut["reach"], "this_computer", "shutting takes no password");
    assert!(!answers(&url).await && answers(&app.url).await);
    let end = async { while frames.next().await.is_some_and(|frame| frame.is_ok()) {} };
    tokio::time::timeout(crate::support::PATIENCE, end).await.expect("the stream ends");

    let _ = set(&admin, "everyone", Some("correct horse")).await;
    let app = TestApp::in_folder(app.stop().await, &[]).await;
    assert!(answers(&elsewhere(&app)).await, "kept over a restart");
}

#[tokio::test]
async fn a_fixed_address_locks_the_switch() {
    let app = TestApp::with(&[("HOST", "127.0.0.1")]).await;
    let admin = Admin::set_up(&app).await;
    let state = admin.get("listen").await;
    assert_eq!((&state["reach"], &state["locked_by"]), (&Value::Null, &json!("HOST")));
    assert_eq!(code(set(&admin, "everyone", Some("correct horse")).await, 422).await, "invalid_settings");
    let settings = admin.get("settings").await;
    let item = settings["items"].as_array().expect("items").iter().find(|item| item["key"] == "listen").expect("the setting").clone();
    assert_eq!(item["locked_by"], "HOST");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn if_the_network_cannot_be_opened_this_computer_stays_served() {
    let app = TestApp::demo().await;
    let admin = Admin::set_up(&app).await;
    let port = app.gateway.address().port();
    let in_the_way = TcpListener::bind(("127.0.0.3", port)).expect("free");
    let open: Value = set(&admin, "everyone", Some("correct horse")).await.json().await.expect("JSON");
    assert!(open["problem"].as_str().is_some_and(|problem| problem.contains("0.0.0.0")), "{open}");
    assert!(answers(&app.url).await);
    let _ = admin.send(Method::PATCH, "settings", &json!({"values": {"history_images": "9"}})).await;
    assert!(answers(&app.url).await, "another setting shuts no door");
    drop(in_the_way);
    let _ = set(&admin, "this_computer", None).await;
    let open: Value = set(&admin, "everyone", Some("correct horse")).await.json().await.expect("JSON");
    assert_eq!((&open["problem"], &open["addresses"][0]), (&Value::Null, &json!(format!("0.0.0.0:{port}"))));
    assert!(answers(&elsewhere(&app)).await);
}

/// A bridge as Docker makes them; `None` where that is not allowed.
#[cfg(target_os = "linux")]
struct Bridge;

#[cfg(target_os = "linux")]
impl Bridge {
    const NAME: &str = "br-5643a1b2c3d4";
    const ADDRESS: &str = "172.31.253.1";

    fn ip(args: &[&str]) -> bool {
        std::process::Command::new("ip").args(args).output().is_ok_and(|output| output.status.success())
    }

    fn add() -> Option<Self> {
        Self::ip(&["link", "add", Self::NAME, "type", "bridge"]).then_some(())?;
        let bridge = Self;
        let up =
            Self::ip(&["addr", "add", &format!("{}/24", Self::ADDRESS), "dev", Self::NAME]) && Self::ip(&["link", "set", Self::NAME, "up"]);
        up.then_some(bridge)
    }
}

#[cfg(target_os = "linux")]
impl Drop for Bridge {
    fn drop(&mut self) {
        Self::ip(&["link", "del", Self::NAME]);
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn containers_come_in_through_dockers_bridge_as_soon_as_it_is_there() {
    let app = TestApp::demo().await;
    let admin = Admin::set_up(&app).await;
    let state: Value = set(&admin, "docker", Some("correct horse")).await.json().await.expect("JSON");
    assert_eq!(state["reach"], "docker");
    assert!(!answers(&elsewhere(&app)).await, "not everyone");
    let Some(bridge) = Bridge::add() else {
        eprintln!("skipped: a network interface cannot be made here");
        return;
    };
    let url = format!("http://{}:{}", Bridge::ADDRESS, app.gateway.address().port());
    eventually("the bridge to be open", async || answers(&url).await.then_some(())).await;
    assert!(answers(&app.url).await);
    let state = admin.get("listen").await;
    assert!(state["bridges"].as_array().expect("bridges").iter().any(|bridge| bridge["address"] == Bridge::ADDRESS), "{state}");
    let shown = admin.get("connect").await;
    let place = |name: &str| shown["places"].as_array().expect("places").iter().find(|place| place["place"] == name);
    // Where the tests themselves run in a container, the bridge is that container's own and is not shown.
    let reached = place("docker_linux").or_else(|| place("network"));
    assert_eq!(reached.expect("a place")["works"], true, "{shown}");
    let _ = set(&admin, "this_computer", None).await;
    assert!(!answers(&url).await);
    drop(bridge);
}

#[tokio::test]
async fn a_port_that_is_taken_says_by_whom_and_which_is_free() {
    let app = TestApp::demo().await;
    let port = app.gateway.address().port();
    let dir = tempfile::tempdir().expect("a folder");
    let mut wanted = config(dir.path(), &[]);
    wanted.port = port;
    let taken = match Gateway::start(&wanted).await {
        Err(StartError::PortInUse(taken)) => taken,
        other => panic!("{:?}", other.err()),
    };
    assert!(taken.is_picgate, "{taken}");
    let text = taken.to_string();
    assert!(
        text.contains(&format!("port {port} is used by another PicGate")) && text.contains("links in old chats still name port"),
        "{text}"
    );
    if cfg!(target_os = "linux") {
        assert_eq!(taken.holder.as_ref().map(|holder| holder.pid), Some(std::process::id()));
    }
    // What it offers works.
    wanted.port = taken.next_free.expect("a free port");
    Gateway::start(&wanted).await.expect("starts").stop().await;

    let silent = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = silent.local_addr().expect("an address").port().to_string();
    let (_, said, status) = process::finished(dir.path(), &["serve", "--port", &port], &[]);
    assert_eq!(status, 1);
    assert!(said.contains(&format!("port {port} is used by another program")) && said.contains("remedy"), "{said}");
}

#[tokio::test]
async fn paused_it_draws_nothing_new_and_says_so_in_the_users_language() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let admin = Admin::set_up(&app).await;
    let go = Arc::new(Notify::new());
    upstream.answers(Scripted::json(&json!({"data": [{"b64_json": base64(&pictures::png(1, 32))}]})).held(&go));
    let running = app.post("/v1/images/generations").json(&json!({"prompt": "a cat"})).send();
    let running = tokio::spawn(running);
    eventually("the drawing to run", async || (upstream.requests().len() == 1).then_some(())).await;

    let mut news = app.gateway.handle().subscribe();
    assert_eq!(admin.send(Method::PUT, "pause", &json!({"paused": true})).await, json!({"paused": true}));
    assert_eq!(news.next().await, Some(News::Paused(true)));
    assert!(app.gateway.handle().is_paused());
    let chat = |text: &str, stream: bool| json!({"model": "picgate", "stream": stream, "messages": [{"role": "user", "content": text}]});
    for (path, body, chinese) in [
        ("/v1/images/generations", json!({"prompt": "a dog"}), false),
        ("/v1/images/generations", json!({"prompt": "画一只狗"}), true),
        ("/v1/chat/completions", chat("画一只狗", true), true),
        ("/v1/chat/completions", chat("what is a dog?", false), false),
    ] {
        let response = app.send(path, &body).await;
        assert_eq!(response.status(), 503, "{path} {body}");
        assert_eq!(response.headers()[header::RETRY_AFTER], "60");
        assert_eq!(response.headers()["x-should-retry"], "false", "its user would only wait");
        let error = response.json::<Value>().await.expect("JSON")["error"].clone();
        assert_eq!((&error["code"], &error["type"]), (&json!("gateway_paused"), &json!("server_error")));
        let message = error["message"].as_str().expect("words");
        assert_eq!(message.contains("暂停"), chinese, "{message}");
    }
    let form = reqwest::multipart::Form::new()
        .text("prompt", "a hat")
        .part("image", reqwest::multipart::Part::bytes(pictures::png(2, 32)).file_name("a.png"));
    assert_eq!(code(app.post("/v1/images/edits").multipart(form).send().await.expect("an answer"), 503).await, "gateway_paused");
    assert_eq!(
        code(admin.request(Method::POST, "draw-test").json(&json!({})).send().await.expect("an answer"), 503).await,
        "gateway_paused"
    );
    assert_eq!(upstream.requests().len(), 1, "nothing was paid for");

    // Everything else goes on, and what runs is finished.
    assert_eq!(app.http.get(format!("{}/v1/models", app.url)).bearer_auth(&app.key).send().await.expect("an answer").status(), 200);
    let health = app.get("/health").await;
    assert_eq!(health.status(), 200);
    let health: Value = health.json().await.expect("JSON");
    assert!(health["reasons"][0].as_str().is_some_and(|reason| reason.starts_with("paused")), "{health}");
    go.notify_one();
    let drawn: Value = running.await.expect("runs").expect("an answer").json().await.expect("JSON");
    assert_eq!(app.image(drawn["data"][0]["url"].as_str().expect("a link")).await, pictures::png(1, 32));

    app.gateway.handle().pause(false);
    assert_eq!(admin.get("pause").await, json!({"paused": false}));
    upstream.answers(Scripted::json(&json!({"data": [{"b64_json": base64(&pictures::png(3, 32))}]})));
    assert_eq!(app.send("/v1/images/generations", &json!({"prompt": "a dog"})).await.status(), 200);

    app.gateway.handle().pause(true);
    let app = TestApp::in_folder(app.stop().await, &[]).await;
    assert!(!app.gateway.handle().is_paused(), "a restart draws");
}
