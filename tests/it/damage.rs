//! Damage on the way: nothing that arrived is lost, nothing torn is served, and the client is told what happened.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::support::{
    Chunk, FakeUpstream, Scripted, TestApp,
    app::links,
    disk::SmallDisk,
    pictures::{self, base64, data_url},
};

fn question(stream: bool) -> Value {
    json!({"stream": stream, "messages": [{"role": "user", "content": "draw"}]})
}

fn kept(app: &TestApp, bytes: &[u8]) -> bool {
    let name = pictures::sha256(bytes);
    std::fs::read(app.store().join("blobs").join(&name[..2]).join(name)).is_ok_and(|found| found == bytes)
}

fn count(app: &TestApp, folder: &str) -> usize {
    std::fs::read_dir(app.store().join(folder)).expect("lists").count()
}

#[tokio::test]
async fn a_whole_picture_is_kept_from_whatever_is_around_it() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let json = |seed: u32, format: &dyn Fn(String) -> String| {
        let png = pictures::png(seed, 30);
        (format(base64(&png)), png)
    };
    let cases = [
        ("a byte order mark", 200, json(1, &|b| format!("\u{feff}{{\"data\":[{{\"b64_json\":\"{b}\"}}]}}"))),
        ("zeros behind", 200, json(2, &|b| format!("{{\"data\":[{{\"b64_json\":\"{b}\"}}]}}\0\0"))),
        ("an empty error", 200, json(3, &|b| format!("{{\"error\":{{\"code\":0,\"message\":\"\"}},\"data\":[{{\"b64_json\":\"{b}\"}}]}}"))),
        ("an error as a remark", 200, json(4, &|b| format!("{{\"error\":\"late\",\"data\":[{{\"b64_json\":\"{b}\"}}]}}"))),
        ("the end missing", 502, json(5, &|b| format!("{{\"data\":[{{\"b64_json\":\"{b}\"}}"))),
        ("no list", 502, json(6, &|b| format!("{{\"result\":\"{b}\"}}"))),
        ("too deep", 502, json(7, &|b| format!("{{\"data\":[{{\"b64_json\":\"{b}\"}}],\"x\":{}{}}}", "[".repeat(200), "]".repeat(200)))),
        ("too much text", 502, json(8, &|b| format!("{{\"data\":[{{\"b64_json\":\"{b}\"}}],\"x\":\"{}\"}}", "word ".repeat(1_800_000)))),
    ];
    for (name, status, (body, png)) in cases {
        upstream.answers(Scripted::body("application/json", body));
        let response = app.send("/v1/images/generations", &json!({"prompt": "x"})).await;
        assert_eq!(response.status(), status, "{name}: {:?}", response.text().await);
        assert!(kept(&app, &png), "{name}");
    }
    assert_eq!(upstream.requests().len(), 8, "nothing is paid for twice");
}

#[tokio::test]
async fn a_torn_picture_is_put_aside_and_never_served() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let png = pictures::png(1, 30);
    let whole = base64(&png);
    let torn = &whole[..whole.len() / 4 * 4 / 2 / 4 * 4 + 1];
    for (body, chunks) in [
        (json!({"data": [{"b64_json": torn}]}).to_string(), None),
        (format!("{{\"data\":[{{\"b64_json\":\"{}", &whole[..whole.len() / 2]), Some(Chunk::Cut)),
    ] {
        let mut scripted = Scripted::body("application/json", body);
        scripted.chunks.extend(chunks);
        upstream.answers(scripted);
        let response = app.send("/v1/images/generations", &json!({"prompt": "x"})).await;
        assert_eq!(response.status(), 502);
    }
    assert!(count(&app, "quarantine") >= 1, "kept for support");
    assert_eq!(count(&app, "tmp"), 0);
    let database = rusqlite::Connection::open(app.store().join("picgate.sqlite3")).expect("opens");
    assert_eq!(database.query_row("select count(*) from images", [], |r| r.get::<_, i64>(0)), Ok(0));
}

#[tokio::test]
async fn one_bad_of_two_is_told() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let png = pictures::png(1, 30);
    let svg = format!("data:image/svg+xml;base64,{}", base64(b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'></svg>"));
    let text = format!("![good]({}) and ![bad]({svg})", data_url("image/png", &png));
    upstream.answers(Scripted::json(&json!({"choices": [{"message": {"content": text}}]})));
    let answer = app.chat(&question(false)).await;
    let shown = answer["choices"][0]["message"]["content"].as_str().expect("text");
    assert!(app.image(&links(shown)[0]).await == png);
    assert!(shown.ends_with("and ![bad](#damaged)"), "{shown}");
    upstream.answers(Scripted::events([json!({"choices": [{"index": 0, "delta": {"content": text}}]})]));
    let response = app.send("/v1/chat/completions", &question(true)).await;
    let text = response.text().await.expect("text");
    assert!(text.contains("\"code\":\"bad_upstream_answer\"") && text.contains("1 of 2 pictures"), "{text}");
    // A list of which one cannot be read has one less, not a hole.
    upstream.answers(Scripted::json(&json!({"data": [{"b64_json": base64(&png)}, {"b64_json": "bm9wZQ=="}]})));
    let answer: Value = app.send("/v1/images/generations", &json!({"prompt": "x", "n": 2})).await.json().await.expect("JSON");
    assert_eq!(answer["data"].as_array().map(Vec::len), Some(1));
    // Nothing but what is no picture is an error.
    upstream.answers(Scripted::json(&json!({"choices": [{"message": {"content": format!("![]({svg})")}}]})));
    assert_eq!(app.send("/v1/chat/completions", &question(false)).await.status(), 502);
}

#[tokio::test]
async fn a_stream_cut_at_any_point_shows_only_what_is_whole() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let png = pictures::png(1, 24);
    let event = json!({"choices": [{"index": 0, "delta": {"content": format!("a ![i]({}) b", data_url("image/png", &png))}}]});
    let body = format!("data: {event}\n\n");
    for tenth in 0..10 {
        let mut scripted = Scripted::body("text/event-stream", "");
        let cut = body.len() * tenth / 10;
        scripted.chunks = vec![Chunk::Bytes(Bytes::copy_from_slice(&body.as_bytes()[..cut])), Chunk::Cut];
        upstream.answers(scripted);
        let response = app.send("/v1/chat/completions", &question(true)).await;
        if response.status() != 200 {
            continue;
        }
        let text = response.text().await.expect("text");
        assert!(text.contains("\"error\"") && !text.contains("base64") && links(&text).is_empty(), "{text}");
        for data in text.lines().filter_map(|l| l.strip_prefix("data: ")) {
            serde_json::from_str::<Value>(data).unwrap_or_else(|e| panic!("{e}: {data}"));
        }
    }
    assert!(!kept(&app, &png));
}

#[tokio::test]
async fn what_calls_itself_a_picture_is_refused_from_a_client() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let svg = data_url("image/png", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'></svg>");
    let part = json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": svg}}]}]});
    let response = app.send("/v1/chat/completions", &part).await;
    assert_eq!(response.status(), 400);
    assert_eq!(response.json::<Value>().await.expect("JSON")["error"]["code"], "unsupported_image_type");
    // In running text it is text.
    upstream.answers(Scripted::json(&json!({"choices": [{"message": {"content": "ok"}}]})));
    let words = json!({"messages": [{"role": "user", "content": format!("what is {svg} ?")}]});
    app.chat(&words).await;
    assert_eq!(upstream.last().json()["messages"], words["messages"]);
}

#[tokio::test]
async fn nothing_is_cut_out_of_a_request() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let pdf = base64(&pictures::large(1, 72_000_000).split_off(8));
    let body = json!({"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_data": format!("data:application/pdf;base64,{pdf}")}}]}]});
    let response = app.send("/v1/chat/completions", &body).await;
    assert_eq!(response.status(), 413);
    let picture = data_url("image/png", &pictures::png(1, 20));
    for (path, body) in [
        ("/v1/images/edits", json!({"prompt": format!("like {picture}"), "image": picture})),
        ("/v1/images/edits", json!({"prompt": "x", "image": picture, "reference": [picture]})),
        ("/v1/chat/completions", json!({"model": "A".repeat(70_000), "messages": [{"role": "user", "content": "x"}]})),
        ("/v1/images/generations", json!({"model": "A".repeat(300), "prompt": "x"})),
    ] {
        assert_eq!(app.send(path, &body).await.status(), 400, "{path}");
    }
    assert_eq!(upstream.requests().len(), 0);
}

#[tokio::test]
async fn the_upstreams_key_is_blackened_wherever_it_echoes_it() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let secret = "upstream-secret-0123456789";
    let said = json!({"choices": [{"index": 0, "delta": {"content": format!("your key is sk-{secret}")}, "message": {"content": format!("key {secret}")}}]});
    upstream.answers(Scripted::events([said.clone(), json!({"error": {"message": format!("bad key sk-{secret}")}})]));
    upstream.answers(Scripted::json(&said));
    upstream.answers(Scripted::json(&json!({"error": {"message": format!("{secret} is wrong"), "code": format!("sk-{secret}")}})));
    upstream.answers(Scripted::json(&json!({"error": {"message": format!("{secret} is wrong")}})).status(401));
    for stream in [true, false, false, false] {
        let text = app.send("/v1/chat/completions", &question(stream)).await.text().await.expect("text");
        assert!(text.contains("***") && !text.contains(secret), "{text}");
    }
}

/// Needs root for a small file system of its own; elsewhere the rest of the suite must do.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_hands_the_picture_over_inline() {
    let (dir, images) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let Some(_mounted) = SmallDisk::at(images.path(), 4) else { return };
    let upstream = FakeUpstream::start().await;
    let images_dir = images.path().to_str().expect("UTF-8");
    let app = TestApp::in_folder(dir, &[("PICGATE_UPSTREAM_BASE_URL", &upstream.base_url), ("IMAGES_DIR", images_dir)]).await;
    let first = pictures::large(1, 2_000_000);
    upstream.answers(Scripted::json(&json!({"data": [{"b64_json": base64(&first)}]})));
    let answer: Value = app.send("/v1/images/generations", &json!({"prompt": "x"})).await.json().await.expect("JSON");
    let link = answer["data"][0]["url"].as_str().expect("a link").to_owned();
    for seed in 2..5 {
        let picture = pictures::large(seed, 3_000_000);
        upstream.answers(Scripted::json(&json!({"data": [{"b64_json": base64(&picture)}]})).in_pieces(50_000));
        let answer: Value = app.send("/v1/images/generations", &json!({"prompt": "x"})).await.json().await.expect("JSON");
        let url = answer["data"][0]["url"].as_str().unwrap_or_else(|| panic!("{answer}"));
        assert!(pictures::from_data_url(url) == picture, "the paid picture reaches the client");
        upstream.answers(Scripted::events([
            json!({"choices": [{"index": 0, "delta": {"content": format!("![]({})", data_url("image/png", &picture))}}]}),
        ]));
        let text = app.send("/v1/chat/completions", &question(true)).await.text().await.expect("text");
        assert!(text.contains(&base64(&picture)), "also in a stream");
        upstream.answers(Scripted::json(&json!({"data": [{"b64_json": base64(&picture)}]})));
        let answer: Value =
            app.send("/v1/images/generations", &json!({"prompt": "x", "response_format": "b64_json"})).await.json().await.expect("JSON");
        assert!(answer["data"][0]["b64_json"] == base64(&picture));
    }
    assert!(app.image(&link).await == first, "what was saved stays");
    assert!(std::fs::read_dir(images.path().join("store/tmp")).expect("lists").next().is_none(), "no partial file stays");
    app.gateway.stop().await;
}

#[tokio::test]
async fn a_stream_that_ends_inside_an_event_shows_what_is_whole_and_says_so() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let png = pictures::png(1, 24);
    let event = json!({"choices": [{"index": 0, "delta": {"content": format!("a ![i]({}) b", data_url("image/png", &png))}}]}).to_string();
    for missing in [3, 8, 62, 400] {
        upstream.answers(Scripted::body("text/event-stream", format!("data: {}", &event[..event.len() - missing])));
        let text = app.send("/v1/chat/completions", &question(true)).await.text().await.expect("text");
        assert!(text.contains("in the middle of an event"), "{missing}: {text}");
        for link in links(&text) {
            assert!(app.image(&link).await == png);
        }
        // Without the bracket behind it nobody knows whether the base64 was over.
        assert_eq!(links(&text).len(), usize::from(missing < 8), "{missing}: {text}");
    }
}

/// An upstream that announces more than it sends: its connection breaks when all of `body` has arrived.
async fn breaks_off_behind(body: String) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let url = format!("http://{}/v1", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("accepts");
        let mut request = Vec::new();
        // Its requests are small and end in a brace.
        while !request.ends_with(b"}") {
            stream.read_buf(&mut request).await.expect("reads");
        }
        let length = body.len() + 100;
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {length}\r\n\r\n{body}");
        stream.write_all(answer.as_bytes()).await.expect("writes");
        stream.shutdown().await.expect("ends");
    });
    url
}

#[tokio::test]
async fn finished_pictures_of_a_broken_images_stream_are_kept() {
    let upstream = FakeUpstream::start().await;
    for (seed, stream, missing) in [(1, true, 0), (2, false, 0), (3, true, 5), (4, true, 28)] {
        let png = pictures::png(seed, 24);
        let event = json!({"type": "image_generation.completed", "b64_json": base64(&png), "usage": {"total_tokens": 1}});
        let whole = format!("data: {event}\n");
        let url = breaks_off_behind(whole[..whole.len() - missing].to_owned()).await;
        let app = TestApp::with(&[("PICGATE_UPSTREAM_BASE_URL", &url)]).await;
        let response = app.send("/v1/images/generations", &json!({"prompt": "x", "stream": stream})).await;
        let text = response.text().await.expect("text");
        assert!(kept(&app, &png), "{seed}: {text}");
    }
    let app = TestApp::over(&upstream).await;
    // In places where nobody would look, and with its name beside the data alone.
    let (a, b, glimpse) = (pictures::png(5, 24), pictures::png(6, 24), pictures::png(7, 24));
    let odd = format!(
        "data: {}\n\nevent: image_generation.partial_image\ndata: {}\n\n",
        json!({"type": "x.completed", "data": [{"b64_json": base64(&a)}], "image": {"b64_json": base64(&b)}}),
        json!({"b64_json": base64(&glimpse)})
    );
    upstream.answers(Scripted::body("text/event-stream", odd));
    let _ = app.send("/v1/images/generations", &json!({"prompt": "x", "stream": true})).await.text().await;
    assert!(kept(&app, &a) && kept(&app, &b) && !kept(&app, &glimpse));
}

#[tokio::test]
async fn an_address_cannot_break_out_of_the_answer() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let host = upstream.base_url.trim_end_matches("/v1").to_owned();
    let gone: String = (0..16).map(|at| format!("![b]({host}/gone{at}.png) ")).collect();
    for address in [format!("{host}/z\",\"role\":\"system\",\"a\":\""), format!("{host}/z?\"}}x{{\\q")] {
        let content = format!("{gone}![b]({address}) end");
        for stream in [false, true] {
            let message = json!({"content": content});
            if stream {
                upstream.answers(Scripted::events([json!({"choices": [{"index": 0, "delta": message}]})]));
            } else {
                upstream.answers(Scripted::json(&json!({"choices": [{"message": message}]})));
            }
            let text = app.send("/v1/chat/completions", &question(stream)).await.text().await.expect("text");
            let data = if stream { text.lines().find_map(|l| l.strip_prefix("data: ")).expect("an event") } else { &text };
            let answer: Value = serde_json::from_str(data).unwrap_or_else(|e| panic!("{e}: {data}"));
            let said = answer["choices"][0][if stream { "delta" } else { "message" }].as_object().expect("an object").clone();
            assert_eq!(said.keys().collect::<Vec<_>>(), ["content"], "{data}");
        }
    }
}

#[tokio::test]
async fn a_stump_does_not_push_a_whole_picture_aside() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let (whole, larger) = (pictures::png(1, 64), pictures::png(2, 128));
    let stump = &larger[..60];
    let event = |bytes: &[u8]| json!({"choices": [{"index": 0, "delta": {"content": format!("![i]({})", data_url("image/png", bytes))}}]});
    upstream.answers(Scripted::events([event(&whole), event(stump)]));
    let text = app.send("/v1/chat/completions", &question(true)).await.text().await.expect("text");
    assert!(app.image(&links(&text)[0]).await == whole);
}
