//! Waiting is visible: what a client sees before there is an answer, in three styles, and that nothing of it travels
//! back upstream.

use std::{sync::Arc, time::Instant};

use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::{
    Chunk, FakeUpstream, Scripted, TestApp,
    app::{content, events, links},
    pictures::{self, base64, data_url},
};

fn drawing(png: &[u8]) -> Scripted {
    let delta = |delta: Value, reason: Value| json!({"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]});
    Scripted::events([
        delta(json!({"role": "assistant", "content": "好的：\n"}), Value::Null),
        delta(json!({"content": format!("![image]({})", data_url("image/png", png))}), Value::Null),
        delta(json!({}), json!("stop")),
    ])
}

fn ask(words: &str) -> Value {
    json!({"stream": true, "model": "picgate", "messages": [{"role": "user", "content": words}]})
}

async fn app_in(style: &str, upstream: &FakeUpstream) -> TestApp {
    TestApp::over_with(upstream, "up-model", &[("PICGATE_PROGRESS_STYLE", style)]).await
}

/// The first bytes of a stream, how long they took, and what follows once `go` is given.
async fn begun(app: &TestApp, body: &Value, go: &Notify) -> (String, std::time::Duration, String) {
    let began = Instant::now();
    let response = app.send("/v1/chat/completions", body).await;
    assert_eq!(response.status(), 200);
    let mut stream = response.bytes_stream();
    let first = stream.next().await.expect("something").expect("bytes");
    let took = began.elapsed();
    go.notify_one();
    let mut rest = first.to_vec();
    while let Some(chunk) = stream.next().await {
        rest.extend_from_slice(&chunk.expect("bytes"));
    }
    (String::from_utf8_lossy(&first).into_owned(), took, String::from_utf8(rest).expect("UTF-8"))
}

#[tokio::test]
async fn a_drawing_shows_at_once_that_it_is_under_way() {
    let upstream = FakeUpstream::start().await;
    let app = app_in("content", &upstream).await;
    let (png, go) = (pictures::png(1, 40), Arc::new(Notify::new()));
    upstream.answers(drawing(&png).held(&go));
    let (first, took, whole) = begun(&app, &ask("画一只狐狸"), &go).await;
    assert!(first.contains("PicGate 图像处理中心"), "{first}");
    assert!(took.as_millis() < 1000, "{took:?}");
    let events = events(&whole);
    let shown = content(&events);
    let link = &links(&shown)[0];
    assert!(app.image(link).await == png);
    let text = shown.replace(link.as_str(), "§");
    let parts = ["**📥 已接收您的创作请求**", "⏳ 正在连接", "好的：", "✨ **图像生成成功！**", "## 🖼️ 创作完成", "![image](§)", "💡 _"];
    let mut at = 0;
    for part in parts {
        at += text[at..].find(part).unwrap_or_else(|| panic!("'{part}' is missing or out of place in {text}"));
    }
    assert_eq!(events[0]["choices"][0]["delta"]["role"], "assistant");
    assert_eq!(events.last().expect("events")["choices"][0]["finish_reason"], "stop");
    assert!(events.iter().all(|e| e["object"] == "chat.completion.chunk" || e.get("object").is_none()));
}

#[tokio::test]
async fn the_line_counts_while_nothing_comes() {
    let upstream = FakeUpstream::start().await;
    let app = app_in("content", &upstream).await;
    let (png, go) = (pictures::png(1, 40), Arc::new(Notify::new()));
    upstream.answers(drawing(&png).held(&go));
    let response = app.send("/v1/chat/completions", &ask("draw a fox")).await;
    let (mut stream, mut text) = (response.bytes_stream(), String::new());
    while !text.contains("6s") {
        text.push_str(&String::from_utf8_lossy(&stream.next().await.expect("goes on").expect("bytes")));
    }
    assert!(text.contains("**Drawing** 3s") && text.contains(" · 6s"), "one growing line: {text}");
    go.notify_one();
    while let Some(chunk) = stream.next().await {
        text.push_str(&String::from_utf8_lossy(&chunk.expect("bytes")));
    }
    assert!(links(&content(&events(&text))).len() == 1);
}

#[tokio::test]
async fn thoughts_and_silence_leave_the_text_alone() {
    let upstream = FakeUpstream::start().await;
    let png = pictures::png(1, 40);
    for style in ["reasoning", "quiet"] {
        let app = app_in(style, &upstream).await;
        let go = Arc::new(Notify::new());
        upstream.answers(drawing(&png).held(&go));
        let (first, _, whole) = begun(&app, &ask("画一只狐狸"), &go).await;
        let events = events(&whole);
        let shown = content(&events);
        assert_eq!(shown.replace(&links(&shown)[0], "§"), "好的：\n![image](§)", "{style}");
        let thoughts: String = events.iter().filter_map(|e| e["choices"][0]["delta"]["reasoning_content"].as_str()).collect();
        assert_eq!(thoughts.contains("PicGate 图像处理中心"), style == "reasoning", "{thoughts}");
        assert_eq!(thoughts.contains("图像生成成功"), style == "reasoning");
        assert_eq!(first.starts_with(':'), style == "quiet", "{first}");
    }
}

#[tokio::test]
async fn the_users_own_pictures_are_shown_as_links() {
    let upstream = FakeUpstream::start().await;
    let app = app_in("content", &upstream).await;
    let (mine, png, go) = (pictures::png(7, 40), pictures::png(8, 40), Arc::new(Notify::new()));
    upstream.answers(drawing(&png).held(&go));
    let parts =
        json!([{"type": "text", "text": "换成雪山背景"}, {"type": "image_url", "image_url": {"url": data_url("image/png", &mine)}}]);
    let body = json!({"stream": true, "messages": [{"role": "user", "content": parts}]});
    let (first, _, _) = begun(&app, &body, &go).await;
    assert!(first.contains("![📷 原图1]("), "{first}");
    let link = first.split("原图1](").nth(1).and_then(|rest| rest.split(')').next()).expect("a link");
    assert!(app.image(link).await == mine);
}

#[tokio::test]
async fn nothing_of_it_travels_back() {
    let upstream = FakeUpstream::start().await;
    let app = app_in("content", &upstream).await;
    let (mine, png, go) = (pictures::png(7, 40), pictures::png(8, 40), Arc::new(Notify::new()));
    upstream.answers(drawing(&png).held(&go));
    let first = json!({"role": "user", "content": [{"type": "text", "text": "换成雪山背景"}, {"type": "image_url", "image_url": {"url": data_url("image/png", &mine)}}]});
    let (_, _, whole) = begun(&app, &json!({"stream": true, "messages": [first]}), &go).await;
    let shown = content(&events(&whole));
    upstream.answers(drawing(&png));
    let history =
        json!({"stream": true, "messages": [first, {"role": "assistant", "content": shown}, {"role": "user", "content": "再亮一点"}]});
    app.chat_events(&history).await;
    let sent = upstream.last().json();
    assert_eq!(sent["messages"][1], json!({"role": "assistant", "content": "好的："}));
    let parts = sent["messages"][2]["content"].as_array().expect("parts").clone();
    assert_eq!(parts.len(), 2, "the result once, and not the user's picture a second time: {sent}");
    assert_eq!(parts[0]["image_url"]["url"], data_url("image/png", &png));
    // Chats that came from the Python program hold its progress text.
    let id = links(&shown)[1].rsplit('/').next().expect("an id").to_owned();
    let python = format!(
        "## 🎨 PicGate 图像处理中心\n\n---\n\n**📥 已接收您的创作请求**\n\n---\n\n⏳ 正在连接 AI 绘图引擎，请稍候...\n\n🔄 **处理中** •• 已用时 3s\n🔄 **处理中** ••• 已用时 6s\n\n✨ **图像生成成功！** 正在优化输出格式...\n\n---\n\n## 🖼️ 创作完成\n\n![生成的图片](https://gate.example.com/images/{id})\n\n💡 _图片已保存，点击可查看大图_"
    );
    upstream.answers(drawing(&png));
    let history = json!({"stream": true, "messages": [{"role": "user", "content": "画"}, {"role": "assistant", "content": python}, {"role": "user", "content": "再亮一点"}]});
    app.chat_events(&history).await;
    let sent = upstream.last().json();
    assert_eq!(sent["messages"][1]["content"], "(image)");
    assert_eq!(sent["messages"][2]["content"][0]["image_url"]["url"], data_url("image/png", &png));
    assert!(!sent.to_string().contains("PicGate"), "{sent}");
}

#[tokio::test]
async fn an_ordinary_chat_is_untouched() {
    let upstream = FakeUpstream::start().await;
    let app = app_in("content", &upstream).await;
    let go = Arc::new(Notify::new());
    let event = |text: &str| format!("data: {}\n\n", json!({"id": "x", "choices": [{"index": 0, "delta": {"content": text}}]}));
    let mut scripted = Scripted::body("text/event-stream", "");
    scripted.chunks = vec![
        Chunk::Bytes(event("Hello").into()),
        Chunk::Wait(go.clone()),
        Chunk::Bytes(event(" there").into()),
        Chunk::Bytes("data: [DONE]\n\n".into()),
    ];
    upstream.answers(scripted);
    let (first, _, whole) = begun(&app, &ask("What is the capital of France?"), &go).await;
    assert_eq!(first, event("Hello"), "as it was written, and at once");
    assert_eq!(whole, format!("{}{}data: [DONE]\n\n", event("Hello"), event(" there")));
}

#[tokio::test]
async fn a_mere_address_shows_nothing_unless_it_takes_long() {
    let upstream = FakeUpstream::start().await;
    let app = app_in("content", &upstream).await;
    let words = ask("what is on https://example.com/ ?");
    upstream.answers(Scripted::events([json!({"choices": [{"index": 0, "delta": {"content": "a page"}}]})]));
    assert_eq!(content(&app.chat_events(&words).await), "a page");
    let go = Arc::new(Notify::new());
    upstream.answers(Scripted::events([json!({"choices": [{"index": 0, "delta": {"content": "a page"}}]})]).held(&go));
    let (first, took, _) = begun(&app, &words, &go).await;
    assert!(first.contains("PicGate") && took.as_secs() >= 2, "{took:?}: {first}");
}

#[tokio::test]
async fn the_word_list_is_the_users() {
    let upstream = FakeUpstream::start().await;
    let variables = [("PICGATE_INTENT_WORDS", "zaubere\n变戏法"), ("PICGATE_LANGUAGE", "zh")];
    let app = TestApp::over_with(&upstream, "up-model", &variables).await;
    for (words, draws) in [("zaubere einen Fuchs", true), ("draw a fox", false)] {
        upstream.answers(drawing(&pictures::png(1, 30)));
        let shown = content(&app.chat_events(&ask(words)).await);
        assert_eq!(shown.contains("图像生成成功"), draws && shown.contains("PicGate"), "{shown}");
        let go = Arc::new(Notify::new());
        upstream.answers(drawing(&pictures::png(1, 30)).held(&go));
        if draws {
            let (first, ..) = begun(&app, &ask(words), &go).await;
            assert!(first.contains("图像处理中心"), "in the language that is set: {first}");
        }
    }
}

#[tokio::test]
async fn json_may_begin_with_white_space_and_content_may_be_a_list() {
    let upstream = FakeUpstream::start().await;
    let variables = [("PICGATE_JSON_KEEP_ALIVE", "true"), ("PICGATE_CONTENT_ARRAY", "true")];
    let app = TestApp::over_with(&upstream, "up-model", &variables).await;
    let png = pictures::png(3, 30);
    let text = format!("Here: ![image]({}) ok?", data_url("image/png", &png));
    let whole = json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]});
    upstream.answers(Scripted::json(&whole));
    let body = json!({"messages": [{"role": "user", "content": "draw"}]});
    let answer = app.chat(&body).await;
    let parts = &answer["choices"][0]["message"]["content"];
    assert_eq!((&parts[0], &parts[2]), (&json!({"type": "text", "text": "Here:"}), &json!({"type": "text", "text": "ok?"})));
    assert!(app.image(parts[1]["image_url"]["url"].as_str().expect("a link")).await == png);
    // The same as a string, late: the first white space comes after fifteen seconds.
    let go = Arc::new(Notify::new());
    upstream.answers(Scripted::json(&json!({"data": [{"b64_json": base64(&png)}]})).held(&go));
    let response = app.send("/v1/images/generations", &json!({"prompt": "x"})).await;
    assert_eq!((response.status().as_u16(), response.headers()["content-type"].to_str().expect("text")), (200, "application/json"));
    let mut stream = response.bytes_stream();
    assert_eq!(stream.next().await.expect("something").expect("bytes"), "\n");
    go.notify_one();
    let mut rest = Vec::new();
    while let Some(chunk) = stream.next().await {
        rest.extend_from_slice(&chunk.expect("bytes"));
    }
    let answer: Value = serde_json::from_slice(&rest).expect("JSON");
    assert!(app.image(answer["data"][0]["url"].as_str().expect("a link")).await == png);
}
