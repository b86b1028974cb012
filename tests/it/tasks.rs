//! What chat clients ask for themselves is answered here and never reaches a model that draws.

use serde_json::{Value, json};

use crate::support::{FakeUpstream, Scripted, TestApp};

fn fixture(name: &str) -> Value {
    let path = format!("{}/../../tests/it/fixtures/open-webui/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).expect("the fixture")).expect("JSON")
}

fn said(answer: &Value) -> Value {
    let text = answer["choices"][0]["message"]["content"].as_str().expect("text");
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}

#[tokio::test]
async fn title_tags_and_follow_ups_are_answered_without_the_upstream() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    for (name, key) in [("task-title", "title"), ("task-tags", "tags"), ("task-follow-up", "follow_ups")] {
        let answer = app.chat(&fixture(name)["body"]).await;
        let said = said(&answer);
        assert!(said.get(key).is_some(), "{name}: {said}");
        assert_eq!((&answer["object"], &answer["model"]), (&json!("chat.completion"), &json!("mock-mdurl")));
        assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    }
    let title = said(&app.chat(&fixture("task-title")["body"]).await);
    assert!(title["title"].as_str().expect("text").to_lowercase().contains("red fox"), "{title}");
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn the_header_decides_where_it_is_set() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    // Any words, also translated ones, and also as a stream.
    let body = json!({"stream": true, "messages": [{"role": "user", "content": "给这段对话起个名字\nUSER: 画一只猫"}]});
    let response =
        app.post("/v1/chat/completions").header("x-openwebui-task", "title_generation").json(&body).send().await.expect("an answer");
    let events = crate::support::app::events(&response.text().await.expect("text"));
    assert!(crate::support::app::content(&events).contains("title"));
    assert!(upstream.requests().is_empty());
    // Empty: it is a chat, whatever it looks like.
    upstream.answers(Scripted::json(&json!({"choices": [{"message": {"role": "assistant", "content": "ok"}}]})));
    let chat = app.post("/v1/chat/completions").header("x-openwebui-task", "").json(&fixture("task-title")["body"]).send().await;
    assert_eq!(chat.expect("an answer").status(), 200);
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn a_user_who_speaks_of_tasks_is_still_heard() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    for words in ["### Task:\ndraw a fox", "Generate a concise title for my painting of a fox", "请为这幅画生成标题"] {
        upstream.answers(Scripted::json(&json!({"choices": [{"message": {"role": "assistant", "content": "ok"}}]})));
        assert_eq!(said(&app.chat(&json!({"messages": [{"role": "user", "content": words}]})).await), "ok", "{words}");
    }
    assert_eq!(upstream.requests().len(), 3);
}

#[tokio::test]
async fn a_text_model_may_answer_them_and_if_it_fails_they_are_answered_here() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over_with(&upstream, "gpt-image-1", &[("PICGATE_TASK_MODEL", "small-text")]).await;
    upstream.answers(Scripted::json(&json!({"choices": [{"message": {"role": "assistant", "content": "{\"title\":\"by the model\"}"}}]})));
    let title = said(&app.chat(&fixture("task-title")["body"]).await);
    assert_eq!(title["title"], "by the model");
    assert_eq!(upstream.last().json()["model"], "small-text");
    upstream.answers(Scripted::json(&json!({"error": {"message": "no"}})).status(500));
    let title = said(&app.chat(&fixture("task-title")["body"]).await);
    assert!(title["title"].as_str().expect("text").to_lowercase().contains("fox"), "{title}");
}
