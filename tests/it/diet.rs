//! A long history stays within what an upstream takes: the latest images whole, older ones smaller, the oldest not.

use serde_json::{Value, json};

use crate::support::{
    FakeUpstream, Scripted, TestApp, eventually,
    pictures::{self, base64, data_url, from_data_url},
};

async fn draw(app: &TestApp, upstream: &FakeUpstream, png: &[u8]) -> String {
    upstream.answers(Scripted::json(&json!({"data": [{"b64_json": base64(png)}]})));
    let answer: Value = app.send("/v1/images/generations", &json!({"prompt": "x"})).await.json().await.expect("JSON");
    answer["data"][0]["url"].as_str().expect("a link").to_owned()
}

/// The pictures that the upstream was sent, in order.
fn sent(upstream: &FakeUpstream) -> Vec<Vec<u8>> {
    let body = upstream.last().json();
    let mut found = Vec::new();
    for message in body["messages"].as_array().expect("messages") {
        for part in message["content"].as_array().unwrap_or(&Vec::new()) {
            if let Some(url) = part["image_url"]["url"].as_str() {
                found.push(from_data_url(url));
            }
        }
    }
    found
}

async fn note_of_the_last(app: &TestApp) -> Value {
    let path = app.store().join("picgate.sqlite3");
    let read = || {
        let output = std::process::Command::new("python3")
            .args(["-c", "import sqlite3,sys;print(sqlite3.connect(sys.argv[1]).execute(\"select notes from activity where endpoint='chat' order by seq desc limit 1\").fetchone()[0])"])
            .arg(&path)
            .output()
            .expect("runs");
        serde_json::from_slice(&output.stdout).ok()
    };
    eventually("the record", async || read()).await
}

#[tokio::test]
async fn the_latest_images_go_along_and_older_ones_smaller_or_not_at_all() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over_with(
        &upstream,
        "up-model",
        &[("PICGATE_HISTORY_IMAGES", "3"), ("PICGATE_HISTORY_MB", "8"), ("PICGATE_PROGRESS_STYLE", "quiet")],
    )
    .await;
    // Noise: about 3.1 MB each at 1024², 12 MB at 2048².
    let drawings = [pictures::png(1, 64), pictures::png(2, 1024), pictures::png(3, 1024), pictures::png(4, 1024)];
    let mut messages = Vec::new();
    for png in &drawings {
        let link = draw(&app, &upstream, png).await;
        messages.push(json!({"role": "user", "content": "draw"}));
        messages.push(json!({"role": "assistant", "content": format!("![image]({link})")}));
    }
    messages.push(json!({"role": "user", "content": "make it blue"}));
    upstream.answers(Scripted::json(&json!({"choices": [{"message": {"role": "assistant", "content": "ok"}}]})));
    app.chat(&json!({"messages": messages})).await;
    let pictures = sent(&upstream);
    assert_eq!(pictures.len(), 3, "the oldest of four stays at home");
    assert!(pictures[2] == drawings[3] && pictures[1] == drawings[2], "the latest are whole");
    assert!(pictures[0].starts_with(&[0xFF, 0xD8]) && pictures[0].len() < drawings[1].len() / 2, "the one before is smaller");
    assert!(upstream.last().body.len() < 8 * 1024 * 1024 * 4 / 3 + 100_000);
    let text = upstream.last().json().to_string();
    assert!(!text.contains("/images/"), "no link is left in the text");
    let note = note_of_the_last(&app).await;
    assert_eq!(note["history"], json!({"images": 4, "sent": 3, "reduced": 1, "dropped": 1}));
    // The smaller copy is kept, and the image itself untouched.
    let thumbs = std::fs::read_dir(app.store().join("thumbs")).expect("the folder").flatten();
    let copies = thumbs.flat_map(|sub| std::fs::read_dir(sub.path()).expect("a folder").flatten());
    assert_eq!(copies.filter(|file| file.file_name().to_string_lossy().ends_with(".1024.jpg")).count(), 1);
}

#[tokio::test]
async fn what_the_user_speaks_of_always_goes_along() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over_with(
        &upstream,
        "up-model",
        &[("PICGATE_HISTORY_IMAGES", "1"), ("PICGATE_HISTORY_MB", "1"), ("PICGATE_PROGRESS_STYLE", "quiet")],
    )
    .await;
    let part = |png: &[u8]| json!({"type": "image_url", "image_url": {"url": data_url("image/png", png)}});
    let mine = [pictures::png(1, 700), pictures::png(2, 700), pictures::png(3, 700)];
    let words = json!({"type": "text", "text": "put these together"});
    let messages = json!([{"role": "user", "content": [part(&pictures::png(9, 200))]}, {"role": "assistant", "content": "ok"},
        {"role": "user", "content": [words, part(&mine[0]), part(&mine[1]), part(&mine[2])]}]);
    upstream.answers(Scripted::json(&json!({"choices": [{"message": {"role": "assistant", "content": "ok"}}]})));
    app.chat(&json!({"messages": messages})).await;
    let pictures = sent(&upstream);
    assert_eq!(pictures.len(), 3, "all of the last turn, none of the turns before");
    let body = upstream.last().json();
    assert_eq!(body["messages"][0]["content"], json!([{"type": "text", "text": "(image)"}]), "an emptied turn is not empty");
    assert!(upstream.last().body.len() < 3 * 1024 * 1024 * 4 / 3, "smaller where they did not fit");
}

#[tokio::test]
async fn a_picture_that_is_named_often_goes_along_once() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let png = pictures::png(1, 200);
    let link = draw(&app, &upstream, &png).await;
    let mut messages = Vec::new();
    for _ in 0..6 {
        messages.push(json!({"role": "user", "content": format!("look at {link} and {link}/thumbnail")}));
        messages.push(json!({"role": "assistant", "content": format!("![image]({link})")}));
    }
    let part = json!({"type": "image_url", "image_url": {"url": data_url("image/png", &png)}});
    messages.push(json!({"role": "user", "content": [{"type": "text", "text": "make it blue"}, part]}));
    upstream.answers(Scripted::json(&json!({"choices": [{"message": {"role": "assistant", "content": "ok"}}]})));
    app.chat(&json!({"messages": messages})).await;
    assert_eq!(sent(&upstream).len(), 1, "the same bytes once, where they stand last");
    let body = upstream.last().json();
    assert_eq!(body["messages"].as_array().expect("messages").last().expect("a message")["content"].as_array().map(Vec::len), Some(2));
}
