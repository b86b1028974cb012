//! Every class of failure at every endpoint, whole and streamed: the right status and code while nothing has been
//! answered, and something readable in a stream that runs.

use std::sync::Arc;

use futures_util::StreamExt;
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::{FakeUpstream, Scripted, TestApp, app, pictures};

struct Case {
    code: &'static str,
    status: u16,
    scripted: Scripted,
    /// Words that a Chinese user reads.
    zh: &'static str,
    en: &'static str,
}

fn error(status: u16, body: Value) -> Scripted {
    Scripted::json(&json!({ "error": body })).status(status)
}

/// Failures that an upstream answers with whatever it was asked for.
fn cases() -> Vec<Case> {
    let case = |code, status, scripted, zh, en| Case { code, status, scripted, zh, en };
    vec![
        case(
            "quota_exhausted",
            429,
            error(429, json!({"message": "You exceeded your current quota", "code": "insufficient_quota"})),
            "绘图配额已用尽",
            "used up",
        ),
        case(
            "quota_exhausted",
            429,
            error(
                429,
                json!({"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "m", "details": [{"violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]}, {"retryDelay": "7384s"}]}),
            ),
            "预计 2 小时 4 分钟后",
            "in about 2 hours 4 minutes",
        ),
        case(
            "rate_limited",
            429,
            error(429, json!({"message": "slow down", "code": "rate_limit_exceeded"})),
            "请求过于频繁",
            "Too many requests",
        ),
        case(
            "insufficient_balance",
            402,
            error(400, json!({"message": "x", "code": "billing_hard_limit_reached"})),
            "余额不足",
            "run out of money",
        ),
        case(
            "upstream_auth",
            502,
            error(401, json!({"message": "Incorrect API key provided", "code": "invalid_api_key"})),
            "API 密钥",
            "refuses PicGate's API key",
        ),
        case(
            "content_blocked",
            400,
            error(400, json!({"message": "rejected by the safety system", "code": "moderation_blocked"})),
            "被上游拒绝",
            "was refused",
        ),
        case("content_blocked", 400, error(400, json!({"message": "blocked", "status": "IMAGE_SAFETY"})), "被上游拦截", "withheld"),
        case(
            "bad_parameter",
            400,
            error(400, json!({"message": "size must be one of", "type": "invalid_request_error"})),
            "不接受请求中的参数",
            "does not take a parameter",
        ),
        case("too_large", 413, Scripted::body("text/html", "<html>413</html>").status(413), "大小限制", "too large"),
        case("upstream_timeout", 504, Scripted::body("text/html", "<html>524</html>").status(524), "超时", "too long"),
        case(
            "upstream_error",
            502,
            error(500, json!({"code": 500, "status": "INTERNAL", "message": "Internal error encountered."})),
            "上游服务出错",
            "upstream failed",
        ),
        case("bad_upstream_answer", 502, Scripted::body("application/json", "{\"data\":"), "无法读取", "cannot be read"),
    ]
}

/// Every endpoint, whole and streamed; the prompt is in `words`.
fn requests(app: &TestApp, words: &str) -> Vec<(&'static str, bool, RequestBuilder)> {
    let mut all = Vec::new();
    for stream in [false, true] {
        let chat = json!({"stream": stream, "messages": [{"role": "user", "content": words}]});
        all.push(("chat", stream, app.post("/v1/chat/completions").json(&chat)));
        all.push(("generations", stream, app.post("/v1/images/generations").json(&json!({"stream": stream, "prompt": words}))));
        let part = reqwest::multipart::Part::bytes(pictures::png(1, 20)).file_name("a.png");
        let form = reqwest::multipart::Form::new().text("prompt", words.to_owned()).text("stream", stream.to_string()).part("image", part);
        all.push(("edits", stream, app.post("/v1/images/edits").multipart(form)));
    }
    all
}

#[tokio::test]
async fn before_anything_was_answered_status_code_and_words_are_right() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over_with(&upstream, "up-model", &[("PICGATE_QUOTA_WINDOW", "5 小时")]).await;
    for case in cases() {
        for (words, expected) in [("画一只狐狸", case.zh), ("draw a fox", case.en)] {
            for (endpoint, stream, request) in requests(&app, words) {
                upstream.answers(case.scripted.clone());
                let before = upstream.requests().len();
                let response = request.send().await.expect("an answer");
                let at = format!("{} at {endpoint}, stream {stream}", case.code);
                assert_eq!(response.status(), case.status, "{at}");
                assert_eq!(response.headers()["x-should-retry"], if case.code == "rate_limited" { "true" } else { "false" }, "{at}");
                let error: Value = response.json().await.expect("JSON");
                assert_eq!(error["error"]["code"], case.code, "{at}");
                let message = error["error"]["message"].as_str().expect("text");
                assert!(message.contains(expected), "{at}: {message}");
                assert_eq!(
                    message.contains("5 小时"),
                    words == "画一只狐狸" && case.code == "quota_exhausted" || message.contains("every 5"),
                    "{message}"
                );
                assert_eq!(upstream.requests().len(), before + 1, "{at} was asked once");
            }
        }
    }
}

/// Begins a stream that waits for its upstream, lets the upstream fail, and reads to the end.
async fn in_a_running_stream(request: RequestBuilder, go: &Notify) -> (u16, String) {
    let response: Response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    let (mut stream, mut text) = (response.bytes_stream(), String::new());
    if let Some(first) = stream.next().await {
        text.push_str(&String::from_utf8_lossy(&first.expect("bytes")));
    }
    go.notify_one();
    while let Some(chunk) = stream.next().await {
        text.push_str(&String::from_utf8_lossy(&chunk.expect("bytes")));
    }
    (status, text)
}

#[tokio::test]
async fn in_a_running_chat_a_card_tells_it_and_other_styles_send_an_error() {
    let upstream = FakeUpstream::start().await;
    for style in ["content", "reasoning", "quiet"] {
        let app = TestApp::over_with(&upstream, "up-model", &[("PICGATE_PROGRESS_STYLE", style)]).await;
        // A quiet stream begins after three seconds; one case shows what the others would.
        let cases = cases().into_iter().take(if style == "quiet" { 1 } else { usize::MAX });
        for case in cases {
            let go = Arc::new(Notify::new());
            upstream.answers(case.scripted.clone().held(&go));
            let request =
                app.post("/v1/chat/completions").json(&json!({"stream": true, "messages": [{"role": "user", "content": "画一只狐狸"}]}));
            let (status, text) = in_a_running_stream(request, &go).await;
            assert_eq!(status, 200);
            if style == "content" {
                let events = app::events(&text);
                let shown = app::content(&events);
                assert!(shown.contains("## ⚠️ ") && shown.contains(case.zh), "{}: {shown}", case.code);
                assert_eq!(events.last().expect("events")["choices"][0]["finish_reason"], "stop");
                assert!(events.iter().all(|event| event.get("error").is_none()));
            } else {
                let data = text.lines().rev().find_map(|line| line.strip_prefix("data: ")).expect("an event");
                let event: Value = serde_json::from_str(data).expect("JSON");
                assert!(event.get("choices").is_none(), "{data}");
                assert_eq!(event["error"]["code"], case.code);
                assert!(event["error"]["message"].as_str().expect("text").contains(case.zh), "{data}");
            }
        }
    }
}

fn completion(choice: Value) -> Value {
    json!({"id": "x", "object": "chat.completion", "choices": [choice]})
}

#[tokio::test]
async fn an_answer_without_a_word_or_a_picture_is_none() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over_with(&upstream, "up-model", &[]).await;
    for (reason, native, status, code) in [
        ("content_filter", None, 400, "content_blocked"),
        ("stop", Some("IMAGE_SAFETY"), 400, "content_blocked"),
        ("stop", Some("PROHIBITED_CONTENT"), 400, "content_blocked"),
        ("stop", Some("NO_IMAGE"), 422, "no_image"),
        ("stop", None, 422, "no_image"),
        ("length", Some("MAX_TOKENS"), 422, "no_image"),
    ] {
        let choice =
            json!({"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": reason, "native_finish_reason": native});
        upstream.answers(Scripted::json(&completion(choice)));
        let response = app.send("/v1/chat/completions", &json!({"messages": [{"role": "user", "content": "draw a fox"}]})).await;
        assert_eq!(response.status(), status, "{reason} {native:?}");
        assert_eq!(response.json::<Value>().await.expect("JSON")["error"]["code"], code);
        upstream.answers(Scripted::events([
            json!({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": null}]}),
            json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason, "native_finish_reason": native}]}),
        ]));
        let events = app.chat_events(&json!({"stream": true, "messages": [{"role": "user", "content": "draw a fox"}]})).await;
        let shown = app::content(&events);
        assert!(shown.contains("## ⚠️ "), "{reason}: {shown}");
        let ends = events.iter().filter(|event| !event["choices"][0]["finish_reason"].is_null()).count();
        assert_eq!(ends, 1, "the answer ends once: {events:?}");
    }
    upstream.answers(Scripted::json(&json!({"choices": [], "usage": {"completion_tokens": 0}})));
    assert_eq!(app.send("/v1/chat/completions", &json!({"messages": [{"role": "user", "content": "draw a fox"}]})).await.status(), 422);
    upstream.answers(Scripted::json(&json!({"created": 1, "data": []})));
    let response = app.send("/v1/images/generations", &json!({"prompt": "draw a fox"})).await;
    assert_eq!(response.status(), 400);
    assert_eq!(response.json::<Value>().await.expect("JSON")["error"]["code"], "content_blocked");
    // Words instead of a picture are the answer.
    let choice = json!({"index": 0, "message": {"role": "assistant", "content": "I can't draw that."}, "finish_reason": "stop"});
    upstream.answers(Scripted::json(&completion(choice)));
    let answer = app.chat(&json!({"messages": [{"role": "user", "content": "draw a fox"}]})).await;
    assert_eq!(answer["choices"][0]["message"]["content"], "I can't draw that.");
    // A call of a tool says something.
    let choice =
        json!({"index": 0, "message": {"role": "assistant", "content": null, "tool_calls": [{"id": "1"}]}, "finish_reason": "tool_calls"});
    upstream.answers(Scripted::json(&completion(choice)));
    assert_eq!(app.send("/v1/chat/completions", &json!({"messages": [{"role": "user", "content": "draw a fox"}]})).await.status(), 200);
}

#[tokio::test]
async fn a_card_never_goes_back_upstream() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over_with(&upstream, "up-model", &[]).await;
    let go = Arc::new(Notify::new());
    upstream.answers(error(429, json!({"message": "quota", "code": "insufficient_quota"})).held(&go));
    let request = app.post("/v1/chat/completions").json(&json!({"stream": true, "messages": [{"role": "user", "content": "画一只狐狸"}]}));
    let (_, text) = in_a_running_stream(request, &go).await;
    let shown = app::content(&app::events(&text));
    upstream.answers(Scripted::json(&completion(json!({"message": {"role": "assistant", "content": "ok"}}))));
    let history =
        json!([{"role": "user", "content": "画一只狐狸"}, {"role": "assistant", "content": shown}, {"role": "user", "content": "再来"}]);
    app.chat(&json!({"messages": history})).await;
    let sent = upstream.last().json();
    assert_eq!(sent["messages"][1]["content"], "(no answer)", "{sent}");
}

#[tokio::test]
async fn an_error_in_the_middle_of_a_stream_is_told_once_and_never_kept() {
    let upstream = FakeUpstream::start().await;
    let refusal = json!({"error": {"message": "Your request was rejected by the safety system", "code": "moderation_blocked"}});
    let text = json!({"choices": [{"index": 0, "delta": {"content": "Sure, "}}]});
    for (style, before) in [("content", false), ("content", true), ("reasoning", false), ("quiet", true)] {
        let app = TestApp::over_with(&upstream, "up-model", &[("PICGATE_PROGRESS_STYLE", style)]).await;
        let stream = if before { vec![text.clone(), refusal.clone()] } else { vec![refusal.clone()] };
        let body = json!({"stream": true, "messages": [{"role": "user", "content": "draw a fox"}]});
        for _ in 0..2 {
            upstream.answers(Scripted::events(stream.clone()));
            let asked = upstream.requests().len();
            let answer = app.post("/v1/chat/completions").header("idempotency-key", "k").json(&body).send().await.expect("an answer");
            let answer = answer.text().await.expect("text");
            assert_eq!(upstream.requests().len(), asked + 1, "it is no answer to be handed out again");
            assert!(answer.contains("was refused") && !answer.contains("no_image"), "{style}: {answer}");
            let times = answer.matches(if style == "content" { "⚠️" } else { "\"error\"" }).count();
            assert_eq!(times, 1, "{style}: {answer}");
        }
        upstream.answers(Scripted::events(stream));
        let whole = app.send("/v1/chat/completions", &json!({"messages": [{"role": "user", "content": "draw a fox"}]})).await;
        assert_eq!(whole.status(), 400, "an error behind some text is an error");
    }
}

#[tokio::test]
async fn extreme_words_of_an_upstream_are_told_with_care() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over_with(&upstream, "up-model", &[]).await;
    let never = Scripted::json(&json!({"error": {"message": "slow"}})).status(429).header("retry-after", "18446744073709551615");
    upstream.answers(never);
    let response = app.send("/v1/images/generations", &json!({"prompt": "x"})).await;
    assert_eq!(response.status(), 429);
    assert!(response.text().await.expect("text").contains("31 days"));
    upstream.answers(error(400, json!({"message": "withheld", "code": "image_safety"})));
    let text = app.send("/v1/images/generations", &json!({"prompt": "y"})).await.text().await.expect("text");
    assert!(!text.contains("cost nothing"), "{text}");
    let go = Arc::new(Notify::new());
    upstream.answers(error(500, json!({"message": "<img src=x> [click](javascript:alert(1)) ![a](http://e/t.png)"})).held(&go));
    let request = app.post("/v1/chat/completions").json(&json!({"stream": true, "messages": [{"role": "user", "content": "draw a fox"}]}));
    let (_, text) = in_a_running_stream(request, &go).await;
    let shown = app::content(&app::events(&text));
    assert!(!shown.contains("<img") && !shown.contains("](javascript") && !shown.contains("![a]"), "{shown}");
}
