//! Nobody pays twice: identical requests share a job, what was never delivered is handed over, and "regenerate" after a
//! full delivery draws anew.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Notify,
};

use crate::support::{
    Chunk, FakeUpstream, Scripted, TestApp,
    app::{content, events, links},
    eventually,
    pictures::{self, base64, data_url},
};

fn ask(stream: bool) -> Value {
    json!({"stream": stream, "model": "picgate", "messages": [{"role": "user", "content": "draw a fox"}]})
}

fn drawn(png: &[u8], stream: bool) -> Scripted {
    let text = format!("![image]({})", data_url("image/png", png));
    if stream {
        let delta = |delta: Value, reason: Value| json!({"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]});
        return Scripted::events([delta(json!({"content": text}), Value::Null), delta(json!({}), json!("stop"))]);
    }
    Scripted::json(&json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]}))
}

/// The answer's text, whole or streamed.
fn text_of(body: &str, stream: bool) -> String {
    if stream {
        return content(&events(body));
    }
    let answer: Value = serde_json::from_str(body).expect("JSON");
    answer["choices"][0]["message"]["content"].as_str().expect("text").to_owned()
}

async fn until_asked(upstream: &FakeUpstream, count: usize) {
    eventually("the upstream to be asked", async || (upstream.requests().len() == count).then_some(())).await;
}

async fn until_joined(app: &TestApp, count: u64) {
    eventually("others to join", async || (app.gateway.joined() == count).then_some(())).await;
}

#[tokio::test]
async fn an_identical_request_joins_the_one_that_runs() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over_with(&upstream, "up-model", &[]).await;
    for (round, stream) in [(0, false), (1, true)] {
        let go = Arc::new(Notify::new());
        upstream.answers(drawn(&pictures::png(round as u32, 40), stream).held(&go));
        let send = || app.post("/v1/chat/completions").json(&ask(stream)).send();
        let first = tokio::spawn(send());
        until_asked(&upstream, round + 1).await;
        let (second, third) = (tokio::spawn(send()), tokio::spawn(send()));
        if stream {
            // Streams begin before there is an answer; those who joined see the beginning too.
            for joined in [second, third] {
                let response = joined.await.expect("runs").expect("an answer");
                let mut body = response.bytes_stream();
                let begun = body.next().await.expect("something").expect("bytes");
                assert!(String::from_utf8_lossy(&begun).contains("PicGate"));
                drop(body);
            }
            go.notify_one();
            let whole = first.await.expect("runs").expect("an answer").text().await.expect("text");
            assert_eq!(links(&text_of(&whole, true)).len(), 1);
        } else {
            until_joined(&app, 2).await;
            go.notify_one();
            let mut texts = Vec::new();
            for answer in [first, second, third] {
                texts.push(text_of(&answer.await.expect("runs").expect("an answer").text().await.expect("text"), false));
            }
            assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");
        }
        assert_eq!(upstream.requests().len(), round + 1, "paid once");
    }
}

#[tokio::test]
async fn after_a_full_delivery_the_same_is_drawn_anew() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let mut seen = Vec::new();
    for (seed, stream) in [(1, false), (2, false), (3, true), (4, true)] {
        upstream.answers(drawn(&pictures::png(seed, 40), stream));
        let body = app.send("/v1/chat/completions", &ask(stream)).await.text().await.expect("text");
        seen.push(links(&text_of(&body, stream))[0].clone());
        assert_eq!(upstream.requests().len(), seed as usize);
        assert!(app.image(seen.last().expect("a link")).await == pictures::png(seed, 40));
    }
    for path in ["/v1/images/generations"] {
        for seed in [5, 6] {
            upstream.answers(Scripted::json(&json!({"data": [{"b64_json": base64(&pictures::png(seed, 40))}]})));
            let answer: Value = app.send(path, &json!({"prompt": "a fox"})).await.json().await.expect("JSON");
            assert!(app.image(answer["data"][0]["url"].as_str().expect("a link")).await == pictures::png(seed, 40));
        }
    }
}

/// A client that sends `body` to `path`, reads `bytes` of the answer and is gone.
async fn hangs_up_after(app: &TestApp, path: &str, body: &Value, bytes: usize) {
    let address = app.url.trim_start_matches("http://");
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("connects");
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        app.key,
        body.len()
    );
    stream.write_all(head.as_bytes()).await.expect("writes");
    stream.write_all(body.as_bytes()).await.expect("writes");
    let mut left = vec![0; bytes];
    if bytes > 0 {
        stream.read_exact(&mut left).await.expect("reads");
    }
    drop(stream);
}

/// Ten points at which a client can go: before the upstream has answered, while its head is there, between its bytes, and
/// after more and more of the answer was read. Each time the picture is saved and the next one to ask gets it unpaid.
#[tokio::test]
async fn a_client_that_goes_at_any_point_gets_its_picture_when_it_comes_back() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over_with(&upstream, "up-model", &[]).await;
    let mut paid = 0;
    for (point, read) in [(0, 0), (1, 1), (2, 64), (3, 200), (4, 300), (5, 400)] {
        let png = pictures::png(100 + point, 64);
        let (held, rest) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let mut scripted = drawn(&png, true).held(&held);
        let Some(Chunk::Bytes(whole)) = scripted.chunks.pop() else { panic!("a body") };
        let half = whole.len() * (point as usize + 1) / 8;
        scripted.chunks = vec![Chunk::Bytes(whole.slice(..half)), Chunk::Wait(rest.clone()), Chunk::Bytes(whole.slice(half..))];
        upstream.answers(scripted);
        let body = json!({"stream": true, "messages": [{"role": "user", "content": format!("draw fox number {point}")}]});
        hangs_up_after(&app, "/v1/chat/completions", &body, read).await;
        paid += 1;
        until_asked(&upstream, paid).await;
        // Some come back while it is drawn, some after.
        if point % 2 == 0 {
            held.notify_one();
            rest.notify_one();
            eventually("the picture to be saved", async || (app.gateway.running() == 0).then_some(())).await;
        } else {
            held.notify_one();
        }
        let again = app.post("/v1/chat/completions").json(&body).send();
        rest.notify_one();
        let text = content(&events(&again.await.expect("an answer").text().await.expect("text")));
        assert!(app.image(&links(&text)[0]).await == png, "point {point}");
        assert_eq!(upstream.requests().len(), paid, "point {point} was paid once");
    }
    // Whole answers with a picture in base64 of which a part was read.
    for (point, read) in [(6, 0), (7, 300), (8, 300_000), (9, 2_000_000)] {
        let png = pictures::large(200 + point, 6 * 1024 * 1024);
        let held = Arc::new(Notify::new());
        upstream.answers(Scripted::json(&json!({"data": [{"b64_json": base64(&png)}]})).held(&held));
        let body = json!({"prompt": format!("fox number {point}"), "response_format": "b64_json"});
        if read > 0 {
            held.notify_one();
        }
        hangs_up_after(&app, "/v1/images/generations", &body, read).await;
        paid += 1;
        until_asked(&upstream, paid).await;
        held.notify_one();
        eventually("it to be done", async || (app.gateway.running() == 0).then_some(())).await;
        let again: Value = app.send("/v1/images/generations", &body).await.json().await.expect("JSON");
        assert!(again["data"][0]["b64_json"] == base64(&png), "point {point}");
        assert_eq!(upstream.requests().len(), paid, "point {point} was paid once");
    }
}

#[tokio::test]
async fn an_idempotency_key_gets_the_same_answer_again() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let send = |key: &'static str, prompt: &'static str| {
        app.post("/v1/images/generations").header("idempotency-key", key).json(&json!({"prompt": prompt})).send()
    };
    upstream.answers(Scripted::json(&json!({"data": [{"b64_json": base64(&pictures::png(1, 40))}]})));
    let first: Value = send("one", "a fox").await.expect("an answer").json().await.expect("JSON");
    let again: Value = send("one", "a fox").await.expect("an answer").json().await.expect("JSON");
    assert_eq!(first, again);
    assert_eq!(upstream.requests().len(), 1);
    let other = send("one", "a wolf").await.expect("an answer");
    assert_eq!(other.status(), 422);
    assert_eq!(other.json::<Value>().await.expect("JSON")["error"]["code"], "idempotency_key_reused");
    upstream.answers(Scripted::json(&json!({"data": [{"b64_json": base64(&pictures::png(2, 40))}]})));
    let second: Value = send("two", "a fox").await.expect("an answer").json().await.expect("JSON");
    assert_ne!(first["data"], second["data"]);
}

#[tokio::test]
async fn a_failure_is_not_handed_out_again() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over_with(&upstream, "up-model", &[]).await;
    for (stream, key) in [(false, "whole"), (true, "stream")] {
        upstream.answers(Scripted::json(&json!({"error": {"message": "boom"}})).status(500));
        let failed = app.post("/v1/chat/completions").header("idempotency-key", key).json(&ask(stream)).send().await.expect("an answer");
        assert!(failed.status() == 502, "{}", failed.status());
        assert_eq!(failed.headers()["x-should-retry"], "false", "a second attempt may be paid for");
        upstream.answers(drawn(&pictures::png(9, 40), stream));
        let body = app.post("/v1/chat/completions").header("idempotency-key", key).json(&ask(stream)).send().await.expect("an answer");
        assert_eq!(links(&text_of(&body.text().await.expect("text"), stream)).len(), 1);
    }
}

#[tokio::test]
async fn equal_edits_join_and_others_do_not() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let send = |seed: u32| {
        let part = reqwest::multipart::Part::bytes(pictures::png(seed, 30)).file_name("a.png");
        let form = reqwest::multipart::Form::new().text("prompt", "blue").part("image[]", part);
        tokio::spawn(app.post("/v1/images/edits").multipart(form).send())
    };
    let go = Arc::new(Notify::new());
    upstream.answers(Scripted::json(&json!({"data": [{"b64_json": base64(&pictures::png(70, 40))}]})).held(&go));
    let first = send(1);
    until_asked(&upstream, 1).await;
    upstream.answers(Scripted::json(&json!({"data": [{"b64_json": base64(&pictures::png(71, 40))}]})));
    let other = send(2).await.expect("runs").expect("an answer");
    assert_eq!(other.status(), 200);
    let same = send(1);
    until_joined(&app, 1).await;
    go.notify_one();
    let (first, same) = (first.await.expect("runs").expect("an answer"), same.await.expect("runs").expect("an answer"));
    let (first, same): (Bytes, Bytes) = (first.bytes().await.expect("bytes"), same.bytes().await.expect("bytes"));
    assert_eq!(first, same);
    assert_eq!(upstream.requests().len(), 2);
}

#[tokio::test]
async fn continuing_a_drawing_that_was_stopped_is_the_same_drawing() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over_with(&upstream, "up-model", &[]).await;
    let go = Arc::new(Notify::new());
    upstream.answers(drawn(&pictures::png(1, 40), true).held(&go));
    let response = app.send("/v1/chat/completions", &ask(true)).await;
    let mut stream = response.bytes_stream();
    let first = String::from_utf8_lossy(&stream.next().await.expect("something").expect("bytes")).into_owned();
    drop(stream);
    let progress: Value = serde_json::from_str(first.trim_start_matches("data: ").trim()).expect("JSON");
    let stopped = progress["choices"][0]["delta"]["content"].as_str().expect("text");
    let attached = "<attached_files>\n<file id=\"1\"/>\n</attached_files>\ndraw a fox";
    let body = json!({"stream": true, "model": "picgate", "messages": [{"role": "user", "content": attached}, {"role": "assistant", "content": stopped}]});
    let again = tokio::spawn(app.post("/v1/chat/completions").json(&body).send());
    let response = again.await.expect("runs").expect("an answer");
    go.notify_one();
    let shown = content(&events(&response.text().await.expect("text")));
    assert!(app.image(&links(&shown)[0]).await == pictures::png(1, 40));
    assert_eq!(upstream.requests().len(), 1, "paid once");
    // Continuing what is there is a request of its own, which begins a paragraph of its own.
    upstream.answers(drawn(&pictures::png(2, 40), true).held(&go));
    let body = json!({"stream": true, "messages": [{"role": "user", "content": "draw a fox"}, {"role": "assistant", "content": shown}]});
    let response = app.send("/v1/chat/completions", &body).await;
    go.notify_one();
    let text = content(&events(&response.text().await.expect("text")));
    assert!(text.starts_with("\n\n## 🎨"), "{text}");
    assert_eq!(upstream.requests().len(), 2);
}

#[tokio::test]
async fn joining_needs_no_room_and_a_reader_that_sleeps_holds_nobody_up() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over_with(&upstream, "up-model", &[]).await;
    let go = Arc::new(Notify::new());
    upstream.answers(drawn(&pictures::png(1, 40), false).held(&go));
    let all: Vec<_> = (0..200).map(|_| tokio::spawn(app.post("/v1/chat/completions").json(&ask(false)).send())).collect();
    until_asked(&upstream, 1).await;
    let sleeper = tokio::spawn(app.post("/v1/chat/completions").json(&ask(false)).send());
    until_joined(&app, 200).await;
    go.notify_one();
    for answer in all {
        assert_eq!(answer.await.expect("runs").expect("an answer").status(), 200);
    }
    drop(sleeper);
    assert_eq!(upstream.requests().len(), 1, "200 clients, one drawing");
}

#[tokio::test]
async fn a_key_that_cannot_be_read_is_refused_and_one_holds_under_every_name() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let send = |key: reqwest::header::HeaderValue, host: &'static str| {
        let request = app.post("/v1/images/generations").header("idempotency-key", key).header("host", host);
        request.json(&json!({"prompt": "a fox"})).send()
    };
    let long = reqwest::header::HeaderValue::from_str(&"k".repeat(300)).expect("a value");
    let strange = reqwest::header::HeaderValue::from_bytes("键".as_bytes()).expect("a value");
    for key in [long, strange] {
        assert_eq!(send(key, "localhost").await.expect("an answer").status(), 400);
    }
    upstream.answers(Scripted::json(&json!({"data": [{"b64_json": base64(&pictures::png(1, 40))}]})));
    for host in ["localhost", "127.0.0.1"] {
        assert_eq!(send("one".parse().expect("a value"), host).await.expect("an answer").status(), 200);
    }
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn what_no_word_list_knows_is_not_paid_twice_either() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over_with(&upstream, "my-relay-model", &[]).await;
    let body = json!({"stream": true, "messages": [{"role": "user", "content": "a fox in the snow"}]});
    let go = Arc::new(Notify::new());
    upstream.answers(drawn(&pictures::png(1, 40), true).held(&go));
    hangs_up_after(&app, "/v1/chat/completions", &body, 0).await;
    until_asked(&upstream, 1).await;
    go.notify_one();
    eventually("the picture to be saved", async || (app.gateway.running() == 0).then_some(())).await;
    let text = content(&events(&app.send("/v1/chat/completions", &body).await.text().await.expect("text")));
    assert!(app.image(&links(&text)[0]).await == pictures::png(1, 40));
    assert_eq!(upstream.requests().len(), 1);
}
