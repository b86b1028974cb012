//! Failures: the right status, OpenAI's shape, words that help, and nothing lost or leaked.

use reqwest::{Method, header::CONTENT_TYPE};
use serde_json::{Value, json};

use crate::support::{FakeUpstream, Scripted, TestApp};

async fn error_of(response: reqwest::Response, status: u16, code: &str) -> Value {
    assert_eq!(response.status(), status);
    assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    assert!(response.headers().contains_key("x-request-id"));
    let body: Value = response.json().await.expect("JSON");
    let error = &body["error"];
    assert_eq!(error["code"], code, "{body}");
    assert!(
        error["message"].as_str().is_some_and(|m| !m.is_empty()) && error["type"].is_string() && error.get("param").is_some(),
        "{body}"
    );
    error.clone()
}

#[tokio::test]
async fn only_the_key_opens_v1() {
    let app = TestApp::demo().await;
    for path in ["/v1/models", "/v1/chat/completions", "/v1/images/generations", "/v1/images/edits", "/v1/nothing"] {
        for (value, code) in [
            (None, "missing_api_key"),
            (Some("Bearer wrong"), "invalid_api_key"),
            (Some("Bearer "), "missing_api_key"),
            (Some("Basic eDp5"), "missing_api_key"),
        ] {
            let mut request = app.http.get(format!("{}{path}", app.url));
            if let Some(value) = value {
                request = request.header("authorization", value);
            }
            let response = request.send().await.expect("an answer");
            assert_eq!(response.headers()["www-authenticate"], "Bearer");
            let got: Value = response.json().await.expect("JSON");
            assert!(got["error"]["code"] == code || value == Some("Bearer "), "{path} {value:?} {got}");
        }
    }
    let response = app
        .http
        .get(format!("{}/v1/models", app.url))
        .header("authorization", format!("bearer {}", app.key))
        .send()
        .await
        .expect("an answer");
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn wrong_paths_methods_and_types_are_told_in_openais_shape() {
    let app = TestApp::demo().await;
    error_of(app.post("/v1/nothing").send().await.expect("an answer"), 404, "not_found").await;
    error_of(app.get("/nothing").await, 404, "not_found").await;
    for (method, path) in [
        (Method::POST, "/chat/completions"),
        (Method::GET, "/models"),
        (Method::POST, "/images/generations"),
        (Method::GET, "/v1/v1/models"),
    ] {
        let response = app.http.request(method, format!("{}{path}", app.url)).bearer_auth(&app.key).send().await.expect("an answer");
        let error: Value = response.json().await.expect("JSON");
        assert!(error["error"]["message"].as_str().is_some_and(|m| m.ends_with("the base URL ends in /v1, once")), "{error}");
    }
    let wrong = app.http.request(Method::DELETE, format!("{}/v1/models", app.url)).bearer_auth(&app.key).send().await.expect("an answer");
    error_of(wrong, 405, "method_not_allowed").await;
    let wrong = app.http.post(format!("{}/images/6129bbac-8578-48ed-b882-a2d123053b64", app.url)).send().await.expect("an answer");
    error_of(wrong, 405, "method_not_allowed").await;
    for path in ["/v1/chat/completions", "/v1/images/generations", "/v1/images/edits"] {
        let wrong = app.post(path).header(CONTENT_TYPE, "text/xml").body("<a/>").send().await.expect("an answer");
        error_of(wrong, 415, "unsupported_media_type").await;
    }
    error_of(app.get("/images/6129bbac-8578-48ed-b882-a2d123053b64").await, 404, "image_not_found").await;
    error_of(app.get("/images/..%2f..%2fetc%2fpasswd").await, 404, "image_not_found").await;
}

#[tokio::test]
async fn bad_bodies_are_refused_and_never_reach_the_upstream() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let deep = format!("{{\"messages\":{}{}}}", "[".repeat(200), "]".repeat(200));
    let bodies = [
        "",
        "{",
        "[1]",
        "null",
        "\"x\"",
        "{\"prompt\":}",
        "{\"prompt\":1,\"messages\":1}",
        "{\"prompt\":\"\",\"messages\":[]}",
        "{\"prompt\":null,\"messages\":null}",
        "{\"messages\":[1],\"prompt\":[]}",
        "{\"messages\":{},\"prompt\":{}}",
        "\u{feff}{}",
        "{}{}",
        "{\"a\":1e}",
        deep.as_str(),
        "{\"model\":\"a\",\"model\":\"b\",\"messages\":[{}],\"prompt\":\"x\"}",
        "{\"prompt\":\"x\",\"n\":0,\"messages\":[]}",
        "{\"prompt\":\"x\",\"n\":\"many\",\"messages\":[]}",
        "{\"prompt\":\"x\",\"response_format\":\"tiff\",\"messages\":[]}",
        "{\"prompt\":\"x\",\"size\":5,\"messages\":[]}",
        "{\"prompt\":\"x\",\"stream\":\"true\",\"messages\":[{\"role\":\"user\"}]}",
    ];
    for path in ["/v1/chat/completions", "/v1/images/generations", "/v1/images/edits"] {
        for body in bodies {
            let response = app.post(path).header(CONTENT_TYPE, "application/json").body(body.to_owned()).send().await.expect("an answer");
            let status = response.status().as_u16();
            let text = response.text().await.expect("text");
            assert_eq!(status, 400, "{path} {body:.60} {text}");
            let error: Value = serde_json::from_str(&text).expect("JSON");
            assert!(error["error"]["message"].is_string() && error["error"]["code"].is_string(), "{error}");
        }
        let response =
            app.post(path).header(CONTENT_TYPE, "application/json").body(vec![b'"', 0xff, b'"']).send().await.expect("an answer");
        error_of(response, 400, "invalid_json").await;
    }
    assert_eq!(upstream.requests().len(), 0);
}

#[tokio::test]
async fn too_much_text_and_too_long_bodies_are_refused() {
    let app = TestApp::demo().await;
    let text = format!("{{\"messages\":[{{\"role\":\"user\",\"content\":\"{}\"}}]}}", "word ".repeat(1_800_000));
    let response = app.post("/v1/chat/completions").header(CONTENT_TYPE, "application/json").body(text).send().await.expect("an answer");
    error_of(response, 413, "too_large").await;
    // Announced and never sent: the answer comes first.
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let address = app.url.trim_start_matches("http://");
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("connects");
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\nContent-Length: 300000000\r\n\r\n",
        app.key
    );
    stream.write_all(head.as_bytes()).await.expect("writes");
    let mut answer = vec![0; 12];
    stream.read_exact(&mut answer).await.expect("reads");
    assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 413");
}

#[tokio::test]
async fn an_edit_without_a_usable_picture_says_so() {
    let app = TestApp::demo().await;
    let nothing = "6129bbac-8578-48ed-b882-a2d123053b64";
    for (body, status, code) in [
        (json!({"prompt": "x"}), 400, "invalid_request"),
        (json!({"prompt": "x", "image": format!("{}/images/{nothing}", app.url)}), 400, "image_not_found"),
        (json!({"prompt": "x", "image": "https://example.com/x.png"}), 400, "invalid_image"),
        (json!({"prompt": "x", "image": "bm90IGEgcGljdHVyZQ=="}), 400, "invalid_image"),
        (json!({"prompt": "x", "images": [{"file_id": "f"}]}), 400, "invalid_image"),
    ] {
        let error = error_of(app.send("/v1/images/edits", &body).await, status, code).await;
        assert!(error["param"].is_string(), "{error}");
    }
    let form = reqwest::multipart::Form::new()
        .text("prompt", "x")
        .part("image", reqwest::multipart::Part::bytes(b"<svg onload=alert(1)>".to_vec()).file_name("a.png"));
    error_of(app.post("/v1/images/edits").multipart(form).send().await.expect("an answer"), 400, "unsupported_image_type").await;
    let broken = app.post("/v1/images/edits").header(CONTENT_TYPE, "multipart/form-data").body("x").send().await.expect("an answer");
    error_of(broken, 400, "invalid_form").await;
}

#[tokio::test]
async fn refusals_of_the_upstream_keep_their_meaning_and_lose_their_secrets() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    for (scripted, status, code, reason) in [
        (
            Scripted::json(
                &json!({"error": {"message": "Incorrect API key provided: sk-upstream-secret-0123456789", "code": "invalid_api_key"}}),
            )
            .status(401),
            502,
            "upstream_auth",
            "API key",
        ),
        (
            Scripted::json(&json!({"error": {"message": "slow down", "code": "rate_limit_exceeded"}}))
                .status(429)
                .header("retry-after", "47"),
            429,
            "rate_limited",
            "slow down",
        ),
        (
            Scripted::json(&json!({"error": {"message": "rejected by the safety system", "code": "moderation_blocked"}})).status(400),
            400,
            "content_blocked",
            "safety",
        ),
        (Scripted::body("text/html", "<html>Bad gateway</html>").status(502), 502, "upstream_error", "502"),
        (Scripted::body("text/html", "").status(524), 504, "upstream_timeout", "524"),
        (Scripted::body("application/json", "{\"data\":").status(200), 502, "bad_upstream_answer", "JSON"),
    ] {
        for (path, body) in [
            ("/v1/chat/completions", json!({"messages": [{"role": "user", "content": "x"}]})),
            ("/v1/chat/completions", json!({"stream": true, "messages": [{"role": "user", "content": "x"}]})),
            ("/v1/images/generations", json!({"prompt": "x"})),
        ] {
            upstream.answers(scripted.clone());
            let response = app.send(path, &body).await;
            let retry = response.headers().get("retry-after").cloned();
            let error = error_of(response, status, code).await;
            assert!(!error.to_string().contains("sk-upstream"), "{error}");
            assert!(error["message"].as_str().expect("text").contains(reason), "{error}");
            assert_eq!(retry.is_some(), code == "rate_limited");
        }
    }
}

#[tokio::test]
async fn an_upstream_that_is_away_is_told_apart_from_one_that_refuses() {
    let app = TestApp::with(&[("PICGATE_UPSTREAM_BASE_URL", "http://127.0.0.1:9/v1"), ("PICGATE_UPSTREAM_API_KEY", "k")]).await;
    error_of(app.send("/v1/images/generations", &json!({"prompt": "x"})).await, 502, "upstream_unreachable").await;
    // What needs no upstream works on.
    assert_eq!(app.http.get(format!("{}/v1/models", app.url)).bearer_auth(&app.key).send().await.expect("an answer").status(), 200);
    assert_eq!(app.get("/health").await.status(), 200);
}

#[tokio::test]
async fn the_reason_phrase_says_what_open_webui_shows() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let app = TestApp::demo().await;
    let address = app.url.trim_start_matches("http://");
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("connects");
    let body = "{\"prompt\":\"\"}";
    let head = format!(
        "POST /v1/images/generations HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        app.key,
        body.len()
    );
    stream.write_all(head.as_bytes()).await.expect("writes");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("reads");
    assert!(answer.starts_with("HTTP/1.1 400 'prompt' is missing\r\n"), "{answer}");
}

#[tokio::test]
async fn who_is_refused_before_the_body_was_read_is_told_that_the_connection_ends() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let app = TestApp::demo().await;
    let address = app.url.trim_start_matches("http://");
    for path in ["/v1/images/generations", "/v1/chat/completions", "/admin/api/upstreams"] {
        let mut stream = tokio::net::TcpStream::connect(address).await.expect("connects");
        let head = format!("POST {path} HTTP/1.1\r\nHost: {address}\r\nX-PicGate: 1\r\nContent-Length: 1000000\r\n\r\n{{");
        stream.write_all(head.as_bytes()).await.expect("writes");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("reads");
        assert!(answer.starts_with("HTTP/1.1 401 ") && answer.to_ascii_lowercase().contains("\r\nconnection: close\r\n"), "{answer}");
    }
    // Whose body was read may go on.
    let refused = app.send("/v1/images/generations", &json!({"prompt": ""})).await;
    assert!(refused.status() == 400 && !refused.headers().contains_key("connection"), "{refused:?}");
}
