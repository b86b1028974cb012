//! Flags at the end of a prompt and model aliases with presets, in both dialects.

use serde_json::{Value, json};

use crate::support::{
    FakeUpstream, Scripted, TestApp,
    pictures::{self, base64},
};

fn drawn() -> Scripted {
    Scripted::json(&json!({"data": [{"b64_json": base64(&pictures::png(1, 30))}]}))
}

fn said() -> Scripted {
    Scripted::json(&json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}]}))
}

#[tokio::test]
async fn flags_become_parameters_of_the_images_api() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over_model(&upstream, "gpt-image-1").await;
    upstream.answers(drawn());
    // What Open WebUI always sends gives way to what the user typed.
    let body =
        json!({"model": "picgate", "prompt": "a fox --ar 16:9 --n 2 --quality high --seed 7 --png", "n": 1, "size": "512x512", "x": 1});
    app.send("/v1/images/generations", &body).await;
    let expected = json!({"model": "gpt-image-1", "prompt": "a fox", "n": 2, "size": "1536x1024", "x": 1, "quality": "high", "seed": 7, "output_format": "png"});
    assert_eq!(upstream.last().json(), expected);
    upstream.answers(drawn());
    let part = reqwest::multipart::Part::bytes(pictures::png(2, 30)).file_name("a.png");
    let form = reqwest::multipart::Form::new().text("prompt", "blue --size 1024x1024").text("size", "512x512").part("image", part);
    app.post("/v1/images/edits").multipart(form).send().await.expect("an answer");
    let form = upstream.last().form().await;
    let field = |name: &str| form.iter().find(|(n, ..)| n == name).map(|(.., bytes)| String::from_utf8_lossy(bytes).into_owned());
    assert_eq!((field("prompt").as_deref(), field("size").as_deref()), (Some("blue"), Some("1024x1024")));
    // In a conversation that wants no drawing they are words.
    let text = TestApp::over(&upstream).await;
    for words in ["Explain what this git option does: git log --n 5", "什么是 --seed 42", "Write a curl command with --png"] {
        upstream.answers(said());
        text.chat(&json!({"messages": [{"role": "user", "content": words}]})).await;
        assert_eq!(upstream.last().json(), json!({"messages": [{"role": "user", "content": words}], "model": "up-model"}));
    }
    let empty = app.send("/v1/images/generations", &json!({"prompt": "--ar 16:9"})).await;
    assert_eq!(empty.status(), 400, "flags alone draw nothing");
}

#[tokio::test]
async fn flags_become_image_config_in_a_chat() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over_model(&upstream, "gemini-3-pro-image").await;
    upstream.answers(said());
    let parts = json!([{"type": "text", "text": "画一只狐狸 —ar 9：16 --size 2k"}]);
    app.chat(&json!({"messages": [{"role": "user", "content": parts}], "image_config": {"aspect_ratio": "1:1", "kept": true}})).await;
    let sent = upstream.last().json();
    assert_eq!(sent["messages"][0]["content"], json!([{"type": "text", "text": "画一只狐狸"}]));
    assert_eq!(sent["image_config"], json!({"aspect_ratio": "9:16", "kept": true, "image_size": "2K"}));
    // In the middle of a text, or unknown, they are words.
    upstream.answers(said());
    app.chat(&json!({"messages": [{"role": "user", "content": "what does --ar 16:9 mean?"}]})).await;
    assert_eq!(upstream.last().json()["messages"][0]["content"], "what does --ar 16:9 mean?");
    assert!(upstream.last().json().get("image_config").is_none());
}

#[tokio::test]
async fn aliases_are_models_with_presets() {
    let upstream = FakeUpstream::start().await;
    let app =
        TestApp::over_with(&upstream, "gpt-image-1", &[("PICGATE_MODEL_ALIASES", "wide: --ar 16:9; tall: --ar 9:16 --quality low")]).await;
    let models: Value =
        app.http.get(format!("{}/v1/models", app.url)).bearer_auth(&app.key).send().await.expect("an answer").json().await.expect("JSON");
    let ids: Vec<&str> = models["data"].as_array().expect("a list").iter().filter_map(|m| m["id"].as_str()).collect();
    assert_eq!(ids, ["picgate", "wide", "tall"]);
    let one = app.http.get(format!("{}/v1/models/tall", app.url)).bearer_auth(&app.key).send().await.expect("an answer");
    assert_eq!(one.status(), 200);
    upstream.answers(drawn());
    app.send("/v1/images/generations", &json!({"model": "tall", "prompt": "a fox", "size": "512x512"})).await;
    assert_eq!(upstream.last().json(), json!({"model": "gpt-image-1", "prompt": "a fox", "size": "1024x1536", "quality": "low"}));
    // What the user types goes before the preset, and the name that was asked for is echoed.
    upstream.answers(said());
    let answer = app.chat(&json!({"model": "wide", "messages": [{"role": "user", "content": "a fox --ar 1:1"}]})).await;
    assert_eq!(upstream.last().json()["image_config"]["aspect_ratio"], "1:1");
    assert_eq!(answer["model"].as_str().unwrap_or("wide"), "wide");
}
