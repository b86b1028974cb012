//! An upstream with half of the API serves all of it, and what it refuses is learnt from the first refusal and kept.

use serde_json::{Value, json};

use crate::support::{
    FakeUpstream, Scripted, TestApp,
    app::{config, content, links},
    pictures::{self, base64, data_url, from_data_url},
};

/// In words: it is believed at once and for good.
fn missing() -> Scripted {
    Scripted::json(&json!({"error": {"message": "Invalid URL (POST /v1/…)", "type": "invalid_request_error"}})).status(404)
}

/// As a server in between says it that has nothing to do with it.
fn stumbled() -> Scripted {
    Scripted::body("text/html", "<html>404 Not Found</html>").status(404)
}

fn refused(message: &str, param: &str) -> Scripted {
    Scripted::json(&json!({"error": {"message": message, "type": "invalid_request_error", "param": param, "code": null}})).status(400)
}

fn drawn(png: &[u8]) -> Scripted {
    Scripted::json(&json!({"created": 1, "data": [{"b64_json": base64(png)}]}))
}

fn said(text: &str) -> Scripted {
    Scripted::json(&json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]}))
}

#[tokio::test]
async fn an_images_api_serves_conversations() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over_with(&upstream, "gpt-image-1", &[]).await;
    let first = pictures::png(1, 40);
    upstream.answers(missing());
    upstream.answers(drawn(&first));
    let body = json!({"stream": true, "messages": [{"role": "user", "content": "画一只狐狸 --ar 16:9"}], "tools": [{"type": "function"}]});
    let events = app.chat_events(&body).await;
    let shown = content(&events);
    assert!(shown.contains("![生成的图片]("), "{shown}");
    assert!(app.image(links(&shown).last().expect("a link")).await == first);
    assert_eq!(events.last().expect("events")["choices"][0]["finish_reason"], "stop");
    let sent = upstream.last();
    assert_eq!(sent.path, "/v1/images/generations");
    assert_eq!(sent.json(), json!({"model": "gpt-image-1", "prompt": "画一只狐狸", "size": "1536x1024"}));
    // The next turn knows, and starts from the picture.
    let second = pictures::png(2, 40);
    upstream.answers(drawn(&second));
    let history = json!({"messages": [
        {"role": "user", "content": "画一只狐狸"}, {"role": "assistant", "content": shown}, {"role": "user", "content": "换成雪山背景"}]});
    let answer = app.chat(&history).await;
    let text = answer["choices"][0]["message"]["content"].as_str().expect("text");
    assert!(app.image(&links(text)[0]).await == second);
    assert_eq!((answer["object"].as_str(), answer["choices"][0]["finish_reason"].as_str()), (Some("chat.completion"), Some("stop")));
    let sent = upstream.last();
    assert_eq!((sent.path.as_str(), upstream.requests().len()), ("/v1/images/edits", 3), "learnt: chat was tried once");
    let form = sent.form().await;
    assert!(form.iter().any(|(name, _, _, bytes)| name == "image" && *bytes == first));
    assert!(form.iter().any(|(name, _, _, bytes)| name == "prompt" && bytes == "换成雪山背景"));
}

#[tokio::test]
async fn a_chat_api_serves_the_images_api_one_request_a_picture() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over_with(&upstream, "gemini-3-pro-image", &[]).await;
    let png = pictures::png(1, 40);
    upstream.answers(missing());
    for seed in 1..=2 {
        upstream.answers(said(&format!("ok ![image]({})", data_url("image/png", &pictures::png(seed, 40)))));
    }
    let answer: Value = app
        .send("/v1/images/generations", &json!({"prompt": "a fox", "n": 2, "size": "1536x1024", "quality": "high"}))
        .await
        .json()
        .await
        .expect("JSON");
    assert_eq!(answer["data"].as_array().map(Vec::len), Some(2));
    assert!(app.image(answer["data"][0]["url"].as_str().expect("a link")).await == png);
    let sent = upstream.last();
    assert_eq!(sent.path, "/v1/chat/completions");
    let sent = sent.json();
    assert_eq!(sent["messages"], json!([{"role": "user", "content": "a fox"}]));
    assert_eq!((&sent["modalities"], &sent["image_config"]["aspect_ratio"]), (&json!(["image", "text"]), &json!("3:2")));
    // An edit, as base64, streamed: the picture goes along as a part.
    upstream.answers(said(&format!("![image]({})", data_url("image/png", &png))));
    let form = reqwest::multipart::Form::new()
        .text("prompt", "blue")
        .text("stream", "true")
        .part("image[]", reqwest::multipart::Part::bytes(pictures::png(9, 30)).file_name("a.png"));
    let events = app.post("/v1/images/edits").multipart(form).send().await.expect("an answer").text().await.expect("text");
    let data = events.lines().find_map(|line| line.strip_prefix("data: ")).expect("an event");
    let event: Value = serde_json::from_str(data).expect("JSON");
    assert_eq!(event["type"], "image_edit.completed");
    assert!(event["b64_json"] == base64(&png));
    let sent = upstream.last().json();
    assert!(from_data_url(sent["messages"][0]["content"][0]["image_url"]["url"].as_str().expect("a picture")) == pictures::png(9, 30));
    assert_eq!(upstream.requests().len(), 4, "learnt: the Images API was tried once");
    // Words instead of a picture.
    upstream.answers(said("I would rather not."));
    let refused = app.send("/v1/images/generations", &json!({"prompt": "a wolf"})).await;
    assert_eq!(refused.status(), 422);
    let error: Value = refused.json().await.expect("JSON");
    assert_eq!(error["error"]["code"], "no_image");
    assert!(error["error"]["message"].as_str().expect("text").contains("I would rather not."), "{error}");
}

#[tokio::test]
async fn what_is_learnt_survives_a_restart_and_can_be_overridden() {
    let upstream = FakeUpstream::start().await;
    let variables =
        [("PICGATE_UPSTREAM_BASE_URL", upstream.base_url.as_str()), ("PICGATE_UPSTREAM_API_KEY", "k"), ("PICGATE_UPSTREAM_MODEL", "m")];
    let app = TestApp::with(&variables).await;
    upstream.answers(missing());
    upstream.answers(drawn(&pictures::png(1, 40)));
    app.chat(&json!({"messages": [{"role": "user", "content": "draw"}]})).await;
    let app = TestApp::in_folder(app.stop().await, &variables).await;
    upstream.answers(drawn(&pictures::png(2, 40)));
    app.chat(&json!({"messages": [{"role": "user", "content": "draw"}]})).await;
    assert_eq!(upstream.last().path, "/v1/images/generations");
    assert_eq!(upstream.requests().len(), 3);
    let forced = [&variables[..], &[("PICGATE_UPSTREAM_DIALECT", "chat")]].concat();
    let app = TestApp::in_folder(app.stop().await, &forced).await;
    upstream.answers(said("hello"));
    app.chat(&json!({"messages": [{"role": "user", "content": "draw"}]})).await;
    assert_eq!(upstream.last().path, "/v1/chat/completions");
    assert!(config(app.dir.path(), &forced).upstream.is_some());
}

#[tokio::test]
async fn a_wrong_base_url_is_told_and_teaches_nothing() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    for _ in 0..2 {
        upstream.answers(missing());
        upstream.answers(missing());
        let response = app.send("/v1/chat/completions", &json!({"messages": [{"role": "user", "content": "draw"}]})).await;
        assert_eq!(response.status(), 400);
        let error: Value = response.json().await.expect("JSON");
        assert!(error["error"]["message"].as_str().expect("text").contains("usually ends in /v1"), "{error}");
    }
    assert_eq!(upstream.requests().len(), 4);
    // A model that does not exist is no missing endpoint.
    upstream.answers(Scripted::json(&json!({"error": {"message": "The model `x` does not exist", "code": "model_not_found"}})).status(404));
    app.send("/v1/images/generations", &json!({"prompt": "x"})).await;
    assert_eq!(upstream.requests().len(), 5);
}

#[tokio::test]
async fn parameters_that_are_refused_are_left_out_from_then_on() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let body = json!({"prompt": "x", "response_format": "url", "style": "vivid", "quality": "high"});
    upstream.answers(refused("Unknown parameter: 'response_format'.", "response_format"));
    upstream.answers(refused("style is not supported for this model", ""));
    upstream.answers(drawn(&pictures::png(1, 40)));
    assert_eq!(app.send("/v1/images/generations", &body).await.status(), 200);
    assert_eq!(upstream.last().json(), json!({"prompt": "x", "quality": "high", "model": "up-model"}));
    upstream.answers(drawn(&pictures::png(2, 40)));
    assert_eq!(app.send("/v1/images/generations", &body).await.status(), 200);
    assert_eq!(upstream.requests().len(), 4);
    assert_eq!(upstream.last().json(), json!({"prompt": "x", "quality": "high", "model": "up-model"}));
    // What says how the picture shall be is never left out.
    upstream.answers(refused("Unknown parameter: 'quality'.", "quality"));
    let error: Value = app.send("/v1/images/generations", &json!({"prompt": "y", "quality": "max"})).await.json().await.expect("JSON");
    assert_eq!(error["error"]["code"], "bad_parameter");
    // A stream that is refused is asked for whole, and the client gets its stream.
    upstream.answers(refused("stream is not supported", "stream"));
    upstream.answers(said("hello"));
    let events = app.chat_events(&json!({"stream": true, "messages": [{"role": "user", "content": "hi"}]})).await;
    assert_eq!(content(&events), "hello");
    assert!(upstream.last().json().get("stream").is_none());
}

#[tokio::test]
async fn edits_go_as_json_to_whom_refuses_forms() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let send = |seed: u32| {
        let part = reqwest::multipart::Part::bytes(pictures::png(seed, 30)).file_name("a.png");
        app.post("/v1/images/edits").multipart(reqwest::multipart::Form::new().text("prompt", "blue").part("image", part)).send()
    };
    upstream.answers(
        Scripted::json(&json!({"error": {"message": "does not accept multipart file upload", "code": "convert_request_failed"}}))
            .status(400),
    );
    for seed in [1, 2] {
        upstream.answers(drawn(&pictures::png(seed + 10, 40)));
        assert_eq!(send(seed).await.expect("an answer").status(), 200);
        let sent = upstream.last().json();
        assert!(from_data_url(sent["images"][0]["image_url"].as_str().expect("a picture")) == pictures::png(seed, 30));
    }
    assert_eq!(upstream.requests().len(), 3);
}

#[tokio::test]
async fn an_upstream_that_cannot_be_reached_is_tried_again_and_a_refusal_is_not() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    upstream.answers(
        Scripted::json(&json!({"error": {"message": "slow down", "code": "rate_limit_exceeded"}})).status(429).header("retry-after", "1"),
    );
    upstream.answers(said("hello"));
    assert_eq!(app.chat(&json!({"messages": [{"role": "user", "content": "hi"}]})).await["choices"][0]["message"]["content"], "hello");
    assert_eq!(upstream.requests().len(), 2);
    for scripted in [
        Scripted::json(&json!({"error": {"message": "rejected", "code": "moderation_blocked"}})).status(400).header("retry-after", "1"),
        Scripted::json(&json!({"error": {"message": "bad key", "code": "invalid_api_key"}})).status(401),
        Scripted::json(&json!({"error": {"message": "n must be 1", "code": "invalid_value"}})).status(400),
        Scripted::json(&json!({"error": {"message": "boom"}})).status(500).header("retry-after", "1"),
        Scripted::body("text/html", "").status(524),
    ] {
        let before = upstream.requests().len();
        upstream.answers(scripted);
        assert_ne!(app.send("/v1/chat/completions", &json!({"messages": [{"role": "user", "content": "hi"}]})).await.status(), 200);
        assert_eq!(upstream.requests().len(), before + 1);
    }
}

#[tokio::test]
async fn a_server_in_between_that_stumbles_turns_no_question_into_a_drawing_and_is_forgotten() {
    let upstream = FakeUpstream::start().await;
    let variables =
        [("PICGATE_UPSTREAM_BASE_URL", upstream.base_url.as_str()), ("PICGATE_UPSTREAM_API_KEY", "k"), ("PICGATE_UPSTREAM_MODEL", "m")];
    let app = TestApp::with(&variables).await;
    let ask = |words: &str| json!({"messages": [{"role": "user", "content": words}]});
    upstream.answers(stumbled());
    assert_eq!(app.send("/v1/chat/completions", &ask("what is 1+1?")).await.status(), 400);
    upstream.answers(said("2"));
    assert_eq!(app.chat(&ask("what is 1+1?")).await["choices"][0]["message"]["content"], "2");
    assert_eq!(upstream.requests().len(), 2, "nothing was drawn");
    // A refusal of the picture in a question says nothing of the endpoint.
    upstream.answers(Scripted::json(&json!({"error": {"message": "this model does not support images in the input"}})).status(400));
    assert_eq!(app.send("/v1/chat/completions", &ask("draw what is in it")).await.status(), 400);
    assert_eq!(upstream.requests().len(), 3);
    // For a drawing it is tried the other way, and remembered until the program ends.
    for answer in [stumbled(), drawn(&pictures::png(1, 30)), drawn(&pictures::png(2, 30))] {
        upstream.answers(answer);
    }
    app.chat(&ask("draw a fox")).await;
    app.chat(&ask("draw a wolf")).await;
    assert_eq!(upstream.last().path, "/v1/images/generations");
    // When that is gone, the other is tried again.
    for answer in [stumbled(), said("here again")] {
        upstream.answers(answer);
    }
    assert_eq!(app.chat(&ask("draw a bear")).await["choices"][0]["message"]["content"], "here again");
    let app = TestApp::in_folder(app.stop().await, &variables).await;
    upstream.answers(said("hello"));
    app.chat(&ask("draw a fox")).await;
    assert_eq!(upstream.last().path, "/v1/chat/completions");
}

#[tokio::test]
async fn a_refusal_of_what_is_asked_is_sent_once_and_teaches_nothing() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let body = json!({"prompt": "p", "style": "vivid", "user": "u", "seed": 7, "stream": true});
    for (status, message) in [
        (400, "Generating images in the style of a living artist for this user is not allowed (seed, moderation)."),
        (408, "request timeout: unexpected end of stream after 300 s"),
        (429, "Too many requests: extra concurrency for this user is not allowed"),
        (400, "Invalid value for 'style': unknown style"),
    ] {
        let before = upstream.requests().len();
        upstream.answers(Scripted::json(&json!({"error": {"message": message}})).status(status));
        assert_ne!(app.send("/v1/images/generations", &body).await.status(), 200, "{message}");
        assert_eq!(upstream.requests().len(), before + 1, "{message}");
    }
    upstream.answers(drawn(&pictures::png(1, 30)));
    app.send("/v1/images/generations", &body).await;
    let sent = upstream.last().json();
    assert_eq!((&sent["style"], &sent["user"], &sent["stream"]), (&json!("vivid"), &json!("u"), &json!(true)));
}
