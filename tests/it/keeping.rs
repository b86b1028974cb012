//! The promise: a link that was given out works, what was paid for is not lost, whatever happens in between.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::{
    Chunk, FakeUpstream, Scripted, TestApp, eventually,
    pictures::{self, base64, data_url},
    process::Process,
};

fn drawn(png: &[u8]) -> Scripted {
    Scripted::json(&json!({"data": [{"b64_json": base64(png)}]}))
}

fn blob(app: &TestApp, bytes: &[u8]) -> std::path::PathBuf {
    let name = pictures::sha256(bytes);
    app.store().join("blobs").join(&name[..2]).join(name)
}

async fn draw(app: &TestApp, upstream: &FakeUpstream, png: &[u8]) -> String {
    upstream.answers(drawn(png));
    let answer: Value = app.send("/v1/images/generations", &json!({"prompt": "x"})).await.json().await.expect("JSON");
    answer["data"][0]["url"].as_str().expect("a link").to_owned()
}

fn is_empty(folder: &std::path::Path) -> bool {
    std::fs::read_dir(folder).expect("the folder").next().is_none()
}

#[tokio::test]
async fn a_client_that_hangs_up_does_not_lose_the_picture() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    for (seed, stream) in [(1, false), (2, true)] {
        let png = pictures::png(seed, 60);
        let text = format!("![]({})", data_url("image/png", &png));
        let body = if stream {
            format!("data: {}\n\ndata: [DONE]\n\n", json!({"choices": [{"index": 0, "delta": {"content": text}}]}))
        } else {
            json!({"choices": [{"message": {"content": text}}]}).to_string()
        };
        let (go, half) = (Arc::new(Notify::new()), body.len() / 2);
        let content_type = if stream { "text/event-stream" } else { "application/json" };
        let mut scripted = Scripted::body(content_type, "");
        scripted.chunks = vec![
            Chunk::Bytes(Bytes::copy_from_slice(&body.as_bytes()[..half])),
            Chunk::Wait(go.clone()),
            Chunk::Bytes(Bytes::copy_from_slice(&body.as_bytes()[half..])),
        ];
        upstream.answers(scripted);
        let asked = upstream.requests().len();
        let request = app.post("/v1/chat/completions").json(&json!({"stream": stream, "messages": [{"role": "user", "content": "x"}]}));
        let client = tokio::spawn(async move {
            let response = request.send().await.expect("an answer");
            response.bytes_stream().for_each(|_| async {}).await;
        });
        eventually("the upstream to be asked", async || (upstream.requests().len() > asked).then_some(())).await;
        client.abort();
        let _ = client.await;
        go.notify_one();
        let kept = blob(&app, &png);
        eventually("the picture", async || kept.exists().then_some(())).await;
        assert!(std::fs::read(kept).expect("reads") == png);
    }
    assert_eq!(upstream.requests().len(), 2, "one paid request each");
}

#[tokio::test]
async fn a_stream_that_breaks_keeps_what_was_complete_and_says_so() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let png = pictures::png(1, 40);
    let whole = format!(
        "data: {}\n\n",
        json!({"choices": [{"index": 0, "delta": {"content": format!("![]({}) and", data_url("image/png", &png))}}]})
    );
    let (mut scripted, go) = (Scripted::body("text/event-stream", whole), Arc::new(Notify::new()));
    scripted.chunks.extend([Chunk::Wait(go.clone()), Chunk::Cut]);
    upstream.answers(scripted);
    let mut response = app.send("/v1/chat/completions", &json!({"stream": true, "messages": [{"role": "user", "content": "x"}]})).await;
    let mut text = String::new();
    while let Some(chunk) = response.chunk().await.expect("a whole answer") {
        text.push_str(&String::from_utf8_lossy(&chunk));
        go.notify_one();
    }
    let link = crate::support::app::links(&text).pop().expect("a link");
    assert!(app.image(&link).await == png);
    let last = text.trim_end().rsplit("data: ").next().expect("an event");
    let error: Value = serde_json::from_str(last).expect("JSON");
    assert_eq!(error["error"]["code"], "upstream_unreachable");
    assert!(error.get("choices").is_none());
}

#[tokio::test]
async fn links_survive_a_restart_and_equal_bytes_lie_on_disk_once() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let png = pictures::png(1, 40);
    let (first, second) = (draw(&app, &upstream, &png).await, draw(&app, &upstream, &png).await);
    assert_ne!(first, second, "every drawing is an image of its own");
    let key = app.key.clone();
    let app = TestApp::in_folder(app.stop().await, &[]).await;
    assert_eq!(app.key, key);
    for link in [first, second] {
        assert!(app.image(&link).await == png);
    }
    assert!(is_empty(&app.store().join("tmp")));
}

#[tokio::test]
async fn after_a_start_disk_and_database_agree() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let (gone, orphan) = (pictures::png(1, 40), pictures::png(2, 40));
    let link = draw(&app, &upstream, &gone).await;
    let (gone_path, orphan_path) = (blob(&app, &gone), blob(&app, &orphan));
    let store = app.store();
    let dir = app.stop().await;
    // As after a crash between rename and insert, in the middle of a write, and after somebody tidied up.
    std::fs::write(&orphan_path, &orphan).expect("writes");
    std::fs::write(store.join("tmp/half.part"), b"half").expect("writes");
    std::fs::remove_file(&gone_path).expect("removes");
    let app = TestApp::in_folder(dir, &[]).await;
    assert!(!store.join("tmp/half.part").exists());
    let path = &link[link.find("/images/").expect("a path")..];
    let health = eventually("the check", async || {
        let health: Value = app.get("/health").await.json().await.expect("JSON");
        (health["status"] == "degraded").then_some(health)
    })
    .await;
    assert!(health["reasons"][0].as_str().expect("text").contains("1 images"));
    assert_eq!(app.get(path).await.status(), 404, "an image that is not there is no empty picture");
    let images = || {
        let database = rusqlite::Connection::open(store.join("picgate.sqlite3")).expect("opens");
        let mut rows = database.prepare("select lower(hex(sha256)), source from images order by seq").expect("prepares");
        let rows: Vec<(String, String)> =
            rows.query_map([], |r| Ok((r.get(0)?, r.get(1)?))).expect("queries").map(|r| r.expect("a row")).collect();
        rows
    };
    eventually("the orphan to be adopted", async || (images().len() == 2).then_some(())).await;
    assert_eq!(images()[1], (pictures::sha256(&orphan), "imported".to_owned()));
    // The bytes come back: the image is whole again.
    let dir = app.stop().await;
    std::fs::write(&gone_path, &gone).expect("writes");
    let app = TestApp::in_folder(dir, &[]).await;
    eventually("the image", async || (app.get(path).await.status() == 200).then_some(())).await;
    assert!(app.image(&link).await == gone);
}

#[tokio::test]
async fn what_is_known_of_a_picture_is_written_down() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let first = draw(&app, &upstream, &pictures::png(1, 40)).await;
    let text = format!("![]({})", data_url("image/png", &pictures::png(2, 30)));
    upstream.answers(Scripted::json(&json!({"choices": [{"message": {"content": text}}]})));
    app.chat(&json!({"model": "picgate", "messages": [
        {"role": "user", "content": "画一只猫"}, {"role": "assistant", "content": format!("![]({first})")}, {"role": "user", "content": "把猫换成布偶猫"}]}))
        .await;
    let database = rusqlite::Connection::open(app.store().join("picgate.sqlite3")).expect("opens");
    let sql = "select prompt, source, i.model, upstream, upstream_model, duration_ms is not null, width, height,
                      (select count(*) from lineage l where l.seq = i.seq) from images i join blobs b using (sha256) order by seq";
    let mut statement = database.prepare(sql).expect("prepares");
    let rows: Vec<String> = statement
        .query_map([], |r| {
            let text = |at| r.get::<_, Option<String>>(at).map(|t| t.unwrap_or_else(|| "-".into()));
            let number = |at| r.get::<_, i64>(at);
            Ok(format!(
                "{} {} {} {} {} {} {}x{} {}",
                text(0)?,
                text(1)?,
                text(2)?,
                text(3)?,
                text(4)?,
                number(5)?,
                number(6)?,
                number(7)?,
                number(8)?
            ))
        })
        .expect("queries")
        .map(|row| row.expect("a row"))
        .collect();
    assert_eq!(rows, ["x generated - 127.0.0.1 up-model 1 40x40 0", "把猫换成布偶猫 edited picgate 127.0.0.1 up-model 1 30x30 1"]);
}

/// Eight clients draw while the process is killed again and again. Whatever link a client was given is served byte
/// for byte afterwards, and nothing half-written is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_no_link_is_lost() {
    let upstream = FakeUpstream::start().await;
    let dir = tempfile::tempdir().expect("a temporary folder");
    let variables = [("PICGATE_UPSTREAM_BASE_URL", upstream.base_url.as_str()), ("PICGATE_GATEWAY_KEY", "pg-test-key")];
    let ledger: Arc<Mutex<HashMap<String, String>>> = Arc::default();
    let http = crate::support::client();
    for round in 0..6u32 {
        let mut process = Process::start(dir.path(), &variables);
        let clients: Vec<_> = (0..8u32)
            .map(|client| {
                let (http, url, ledger) = (http.clone(), process.url.clone(), ledger.clone());
                tokio::spawn(async move {
                    for number in 0.. {
                        let seed = round * 1_000_000 + client * 10_000 + number;
                        let body = json!({"prompt": "x", "user": seed.to_string()});
                        let response =
                            http.post(format!("{url}/v1/images/generations")).bearer_auth("pg-test-key").json(&body).send().await;
                        let Ok(answer) = async { response?.json::<Value>().await }.await else { return };
                        // Nothing was scripted in time: the fake upstream refused.
                        let Some(link) = answer["data"][0]["url"].as_str() else { continue };
                        let path = link[link.find("/images/").expect("a path")..].to_owned();
                        ledger
                            .lock()
                            .expect("unpoisoned")
                            .insert(path, answer["data"][0]["revised_prompt"].as_str().expect("the digest").to_owned());
                    }
                })
            })
            .collect();
        let feeder = {
            let upstream = &upstream;
            let ledger = &ledger;
            let (before, target) = (ledger.lock().expect("unpoisoned").len(), 12 + round as usize * 5);
            async move {
                let mut seed = round * 10_000_000;
                eventually("pictures", async || {
                    while upstream.waiting() < 16 {
                        seed += 1;
                        let png = pictures::large(seed, 40_000 + (seed % 7) as usize * 10_000);
                        let digest = pictures::sha256(&png);
                        upstream.answers(Scripted::json(&json!({"data": [{"b64_json": base64(&png), "revised_prompt": digest}]})));
                    }
                    (ledger.lock().expect("unpoisoned").len() >= before + target).then_some(())
                })
                .await;
            }
        };
        feeder.await;
        process.kill();
        for client in clients {
            client.await.expect("no panic");
        }
    }
    let process = Process::start(dir.path(), &variables);
    let links = ledger.lock().expect("unpoisoned").clone();
    assert!(links.len() > 100);
    for (path, digest) in links {
        let response = http.get(format!("{}{path}", process.url)).send().await.expect("an answer");
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(pictures::sha256(&response.bytes().await.expect("bytes")), digest);
    }
    for folder in std::fs::read_dir(dir.path().join("store/blobs")).expect("lists").flatten() {
        for file in std::fs::read_dir(folder.path()).expect("lists").flatten() {
            let bytes = std::fs::read(file.path()).expect("reads");
            assert_eq!(pictures::sha256(&bytes), file.file_name().to_string_lossy(), "a file under a final name is complete");
        }
    }
}
