//! Requests as Open WebUI 0.12.4 really sends them: the upstream gets what it can use, the client what it can show.

use serde_json::{Value, json};

use crate::support::{
    FakeUpstream, Scripted, TestApp,
    app::{content, events, links},
    pictures::{self, data_url, from_data_url},
};

fn fixture(name: &str) -> Value {
    let path = format!("{}/../../tests/it/fixtures/open-webui/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).expect("the fixture")).expect("JSON")
}

/// Sends the fixture as the client did and returns the upstream's request and the client's text.
async fn replay(app: &TestApp, upstream: &FakeUpstream, fixture: &Value) -> (Value, String) {
    let png = pictures::png(9, 32);
    let delta = |delta: Value, reason: Value| json!({"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]});
    let text = format!("ok ![image]({})", data_url("image/png", &png));
    upstream
        .answers(Scripted::events([delta(json!({"role": "assistant", "content": text}), Value::Null), delta(json!({}), json!("stop"))]));
    let mut request = app.post("/v1/chat/completions").body(fixture["body"].to_string());
    for (name, value) in fixture["headers"].as_object().expect("headers") {
        if !name.eq_ignore_ascii_case("accept-encoding") {
            request = request.header(name, value.as_str().expect("text"));
        }
    }
    let response = request.send().await.expect("an answer");
    assert_eq!(response.status(), 200);
    let shown = content(&events(&response.text().await.expect("text")));
    let found = links(&shown);
    assert_eq!(found.len(), 1, "the answer shows one picture as markdown: {shown}");
    assert!(app.image(&found[0]).await == png);
    (upstream.last().json(), shown)
}

/// Puts a picture into the library and its id where the fixture names one that only its own gateway knew.
async fn with_own_image(app: &TestApp, upstream: &FakeUpstream, fixture: &mut Value) -> Vec<u8> {
    let png = pictures::png(77, 48);
    upstream.answers(Scripted::json(&json!({"data": [{"b64_json": pictures::base64(&png)}]})));
    let answer: Value = app.send("/v1/images/generations", &json!({"prompt": "x"})).await.json().await.expect("JSON");
    let link = answer["data"][0]["url"].as_str().expect("a link").to_owned();
    let id = link.rsplit('/').next().expect("an id");
    let text = fixture.to_string();
    let old = text.split("/images/").nth(1).expect("a link in the fixture")[..36].to_owned();
    *fixture = serde_json::from_str(&text.replace(&old, id)).expect("JSON");
    png
}

async fn set_up() -> (FakeUpstream, TestApp) {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over_model(&upstream, "gemini-2.5-flash-image").await;
    (upstream, app)
}

#[tokio::test]
async fn the_first_turn_goes_out_without_the_36_tools() {
    let (upstream, app) = set_up().await;
    let (sent, _) = replay(&app, &upstream, &fixture("chat-first-turn")).await;
    assert_eq!(
        sent,
        json!({"stream": true, "model": "gemini-2.5-flash-image", "messages": [{"role": "user", "content": "Draw a red fox"}]})
    );
}

#[tokio::test]
async fn an_edit_turn_carries_the_picture_of_the_turn_before() {
    let (upstream, app) = set_up().await;
    for (name, before, words) in [
        ("chat-edit-turn-markdown-history", "Here is your image:\n\nDone.", "edit it: make the fox blue"),
        ("chat-after-reasoning-progress", "REASONED ", "T2TEST turn two"),
    ] {
        let mut fixture = fixture(name);
        let png = with_own_image(&app, &upstream, &mut fixture).await;
        let (sent, _) = replay(&app, &upstream, &fixture).await;
        assert_eq!(sent["messages"][1], json!({"role": "assistant", "content": before}));
        let parts = &sent["messages"][2]["content"];
        assert!(from_data_url(parts[0]["image_url"]["url"].as_str().expect("a picture")) == png);
        assert_eq!(parts[1]["text"], words);
    }
}

#[tokio::test]
async fn continuing_hands_the_picture_to_the_users_own_turn() {
    let (upstream, app) = set_up().await;
    let mut fixture = fixture("chat-continue");
    let png = with_own_image(&app, &upstream, &mut fixture).await;
    let (sent, _) = replay(&app, &upstream, &fixture).await;
    let parts = &sent["messages"][0]["content"];
    assert_eq!(parts[0], json!({"type": "text", "text": "P8REG draw"}));
    assert!(from_data_url(parts[1]["image_url"]["url"].as_str().expect("a picture")) == png);
    assert_eq!(sent["messages"][1]["content"], "Here is your image:\n\nDone.");
}

#[tokio::test]
async fn uploaded_pictures_go_out_with_the_users_words_alone_and_are_kept() {
    let (upstream, app) = set_up().await;
    for (name, words, count) in [
        ("chat-uploaded-image", "UPLOAD edit this picture", 1),
        ("chat-two-images", "P8TWO images", 2),
        ("chat-temporary-uploaded-image", "P8TEMP upload", 1),
    ] {
        let fixture = fixture(name);
        let (sent, _) = replay(&app, &upstream, &fixture).await;
        let parts = sent["messages"][0]["content"].as_array().expect("parts").clone();
        assert_eq!(parts[0], json!({"type": "text", "text": words}), "without <attached_files>");
        assert_eq!(parts.len(), 1 + count);
        let original =
            fixture["body"]["messages"][0]["content"].as_array().expect("parts").last().expect("a part")["image_url"]["url"].clone();
        for part in &parts[1..] {
            assert_eq!(part["image_url"]["url"], original);
        }
    }
    let kept = walk(&app.store().join("blobs"));
    let upload =
        from_data_url(fixture("chat-uploaded-image")["body"]["messages"][0]["content"][2]["image_url"]["url"].as_str().expect("text"));
    assert!(kept.contains(&pictures::sha256(&upload)), "the user's picture is in the library");
    assert_eq!(kept.len(), 2, "equal bytes lie on disk once");
}

#[tokio::test]
async fn other_conversations_pass_as_they_are() {
    let (upstream, app) = set_up().await;
    for name in ["chat-after-delta-images", "chat-native-tool-result"] {
        let fixture = fixture(name);
        let (sent, _) = replay(&app, &upstream, &fixture).await;
        assert_eq!(sent["messages"], fixture["body"]["messages"], "{name}");
    }
}

#[tokio::test]
async fn its_images_feature_gets_base64_and_nothing_else() {
    let (upstream, app) = set_up().await;
    let fixture = fixture("images-generations");
    let png = pictures::png(10, 32);
    upstream.answers(Scripted::json(&json!({"created": 1, "data": [{"b64_json": pictures::base64(&png), "revised_prompt": "r"}]})));
    let request = app.post("/v1/images/generations").header("user-agent", "Python/3.11 aiohttp/3.14.5");
    let answer: Value = request.json(&fixture["body"]).send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(answer["data"], json!([{"b64_json": pictures::base64(&png), "revised_prompt": "r"}]));
    let sent = upstream.last().json();
    assert_eq!(
        sent,
        json!({"model": "gemini-2.5-flash-image", "prompt": "TOOLCALL TOOLFEAT native draw", "n": 1, "size": "512x512", "response_format": "b64_json"})
    );
    assert_eq!(walk(&app.store().join("blobs")), [pictures::sha256(&png)], "and the picture is in the library");
}

#[tokio::test]
async fn after_its_image_feature_has_drawn_nothing_is_drawn_again() {
    let (upstream, app) = set_up().await;
    let made = "<context>The requested image has been created by the system successfully and is now being shown to the user. Let the user know that the image they requested has been generated and is now shown in the chat.</context>";
    for stream in [false, true] {
        let body = json!({"stream": stream, "messages": [{"role": "system", "content": made}, {"role": "user", "content": "画一只狐狸"}]});
        let text = if stream {
            content(&app.chat_events(&body).await)
        } else {
            app.chat(&body).await["choices"][0]["message"]["content"].as_str().expect("text").to_owned()
        };
        assert_eq!(text, "图片已画好，请看上方。");
    }
    assert!(upstream.requests().is_empty());
}

fn walk(folder: &std::path::Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("the folder")
        .flatten()
        .flat_map(|sub| std::fs::read_dir(sub.path()).expect("a folder").flatten())
        .map(|file| file.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
