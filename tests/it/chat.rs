//! Chat completions: every place of a picture in an answer becomes a link, every link in a conversation a picture.

use serde_json::{Value, json};

use crate::support::{
    FakeUpstream, Scripted, TestApp,
    app::{content, links},
    pictures::{self, base64, data_url, from_data_url},
};

fn question(stream: bool) -> Value {
    json!({"model": "picgate", "stream": stream, "messages": [{"role": "user", "content": "draw"}]})
}

fn completion(message: Value) -> Value {
    json!({"id": "c1", "object": "chat.completion", "created": 7, "model": "up-model", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": {"total_tokens": 1.50}})
}

fn deltas(deltas: impl IntoIterator<Item = Value>) -> Scripted {
    let event = |delta| json!({"id": "c1", "model": "up-model", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]});
    let end = json!({"id": "c1", "model": "up-model", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
    Scripted::events(deltas.into_iter().map(event).chain([end]))
}

#[tokio::test]
async fn a_picture_in_a_whole_answer_becomes_a_link_byte_for_byte() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let (png, jpeg) = (pictures::png(1, 64), pictures::jpeg(2, 64));
    let url = data_url("image/png", &png);
    let cases = [
        (
            json!({"role": "assistant", "content": "Here", "images": [{"type": "image_url", "image_url": {"url": url}}]}),
            "Here\n\n![image](§)",
        ),
        (json!({"role": "assistant", "content": null, "image": {"image_url": {"url": url}}}), "![image](§)"),
        (json!({"role": "assistant", "content": format!("done\n![a cat]({url})\nbye")}), "done\n![a cat](§)\nbye"),
        (json!({"role": "assistant", "content": format!("<img src=\"{url}\">")}), "![image](§)"),
        (json!({"role": "assistant", "content": url}), "![image](§)"),
        (
            json!({"role": "assistant", "content": [{"type": "text", "text": "a "}, {"type": "image_url", "image_url": {"url": url}}]}),
            "a ![image](§)",
        ),
        (
            json!({"role": "assistant", "content": [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": base64(&png)}}]}),
            "![image](§)",
        ),
    ];
    for (message, shown) in cases {
        for size in [usize::MAX, 1000, 7] {
            upstream.answers(Scripted::json(&completion(message.clone())).in_pieces(size));
            let answer = app.chat(&question(false)).await;
            let text = answer["choices"][0]["message"]["content"].as_str().expect("content is a string").to_owned();
            let link = links(&text).pop().unwrap_or_else(|| panic!("a link in {text}"));
            assert_eq!(text.replace(&link, "§"), shown);
            assert!(app.image(&link).await == png, "byte for byte");
            assert_eq!(answer["model"], "picgate");
            assert_eq!(answer["usage"], json!({"total_tokens": 1.5}));
            assert!(!answer.to_string().contains("base64"));
        }
    }
    upstream.answers(Scripted::json(&completion(json!({"content": format!("![]({}) ![]({url})", data_url("image/png", &jpeg))}))));
    let answer = app.chat(&question(false)).await;
    let found = links(answer["choices"][0]["message"]["content"].as_str().expect("text"));
    assert_eq!((app.image(&found[0]).await, app.image(&found[1]).await), (jpeg, png));
}

#[tokio::test]
async fn a_picture_in_a_stream_becomes_one_link_however_it_is_split() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let png = pictures::png(3, 80);
    let text = format!("Sure!\n\n![a fox]({})\n\nDone.", data_url("image/png", &png));
    for (delta, piece) in [(usize::MAX, usize::MAX), (usize::MAX, 1500), (1000, 4096), (7, 333), (1, 1024)] {
        let parts: Vec<Value> = text.as_bytes().chunks(delta).map(|part| json!({"content": String::from_utf8_lossy(part)})).collect();
        upstream.answers(deltas(parts).in_pieces(piece));
        let events = app.chat_events(&question(true)).await;
        let shown = content(&events);
        let found = links(&shown);
        assert_eq!(found.len(), 1, "deltas of {delta}: {shown}");
        assert_eq!(shown.replace(&found[0], "§"), "Sure!\n\n![a fox](§)\n\nDone.");
        assert!(app.image(&found[0]).await == png);
        assert_eq!(events.last().expect("events")["choices"][0]["finish_reason"], "stop");
        assert!(events.iter().all(|e| e["model"] == "picgate"));
    }
}

#[tokio::test]
async fn pictures_beside_the_text_of_a_stream_become_links_in_it() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let png = pictures::png(4, 40);
    let image = json!([{"type": "image_url", "image_url": {"url": data_url("image/png", &png)}}]);
    upstream.answers(deltas([
        json!({"role": "assistant", "content": null}),
        json!({"content": "ok"}),
        json!({"content": null, "images": image}),
    ]));
    let events = app.chat_events(&question(true)).await;
    let shown = content(&events);
    assert!(app.image(&links(&shown)[0]).await == png);
    assert!(events.iter().all(|e| e["choices"][0]["delta"].get("images").is_none()));
}

#[tokio::test]
async fn a_whole_answer_to_a_stream_request_is_streamed() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let png = pictures::png(5, 40);
    upstream.answers(Scripted::json(&completion(json!({"role": "assistant", "content": format!("![]({})", data_url("image/png", &png))}))));
    let shown = content(&app.chat_events(&question(true)).await);
    assert!(app.image(&links(&shown)[0]).await == png);
}

#[tokio::test]
async fn what_is_no_picture_passes_byte_for_byte() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let video = "QUJDRA".repeat(30_000);
    let body = format!(
        "{{\"id\":\"x\",\"n\":1.50e+3,\"n\":2,\"choices\":[{{\"message\":{{\"content\":\"[media](data:video/mp4;base64,{video}) \\u4f60\\/\",\"audio\":{{\"data\":\"{video}\"}}}}}}] }}"
    );
    upstream.answers(Scripted::body("application/json", body.clone()).in_pieces(10_000));
    let response = app.send("/v1/chat/completions", &question(false)).await;
    assert!(response.text().await.expect("text") == body);
    // Events too, with their names and ids, and text token by token.
    let stream = "event: message\nid: 7\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"and a \"},\"x\":1.0}]}\n\n\
                  : ping\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"word!?\"}}]}\n\ndata: [DONE]\n\n";
    upstream.answers(Scripted::body("text/event-stream", stream));
    let response = app.send("/v1/chat/completions", &question(true)).await;
    assert_eq!(response.text().await.expect("text"), stream);
}

#[tokio::test]
async fn the_second_turn_sends_the_first_picture() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over_model(&upstream, "some-image-model").await;
    let png = pictures::png(6, 50);
    upstream.answers(Scripted::json(&completion(json!({"content": format!("![]({})", data_url("image/png", &png))}))));
    let first = app.chat(&question(false)).await;
    let answer = first["choices"][0]["message"]["content"].as_str().expect("text").to_owned();
    upstream.answers(Scripted::json(&completion(json!({"content": "ok"}))));
    // The chat may have been written when the gateway had another address.
    let link = links(&answer)[0].replace(&app.url, "http://old.example:9");
    let history = json!({"model": "picgate", "temperature": 0.10, "tools": [{"type": "function"}], "messages": [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "draw"},
        {"role": "assistant", "content": format!("Here is your image:\n\n![image]({link})\n\nDone.")},
        {"role": "user", "content": "make it blue"},
    ]});
    app.chat(&history).await;
    let sent = upstream.last();
    let body = sent.json();
    assert_eq!(sent.path, "/v1/chat/completions");
    assert_eq!(sent.header("authorization"), "Bearer sk-upstream-secret-0123456789");
    assert_eq!(body["model"], "some-image-model");
    assert!(String::from_utf8_lossy(&sent.body).contains("\"temperature\":0.1"));
    assert!(body.get("tools").is_none(), "a model that draws takes no tools");
    assert_eq!(body["messages"][0], json!({"role": "system", "content": "be brief"}));
    assert_eq!(body["messages"][2], json!({"role": "assistant", "content": "Here is your image:\n\nDone."}));
    let parts = &body["messages"][3]["content"];
    assert!(from_data_url(parts[0]["image_url"]["url"].as_str().expect("a picture")) == png);
    assert_eq!(parts[1], json!({"type": "text", "text": "make it blue"}));
}

#[tokio::test]
async fn links_of_other_servers_and_unknown_images_stay_text() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    upstream.answers(Scripted::json(&completion(json!({"content": "ok"}))));
    let text = "see http://example.com/images/6129bbac-8578-48ed-b882-a2d123053b64 and ![x](https://example.com/x.png)";
    let body = json!({"model": "any", "messages": [{"role": "user", "content": text}], "tools": [{"type": "function"}]});
    app.chat(&body).await;
    let sent = upstream.last().json();
    assert_eq!(sent["messages"], body["messages"]);
    assert_eq!(sent["tools"], body["tools"], "other models keep their tools");
}

/// Every name is this computer, which counts as public.
struct Here;

impl picgate_gateway::upstream::fetch::Resolve for Here {
    fn resolve(&self, _: String) -> futures_util::future::BoxFuture<'static, std::io::Result<Vec<std::net::IpAddr>>> {
        Box::pin(async { Ok(vec!["127.0.0.1".parse().expect("an address")]) })
    }
}

#[tokio::test]
async fn pictures_of_other_servers_are_fetched_only_when_the_switch_is_on() {
    use picgate_gateway::upstream::fetch::{Fetcher, Limits, Policy};
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (upstream, elsewhere) = (FakeUpstream::start().await, FakeUpstream::start().await);
    let png = pictures::png(8, 30);
    elsewhere.serves("/x.png", "image/png", png.clone());
    elsewhere.serves("/page", "text/html", b"<html>".to_vec());
    let port: u16 = elsewhere.base_url.split(':').nth(2).and_then(|p| p.split('/').next()).and_then(|p| p.parse().ok()).expect("a port");
    let fetcher = || {
        let policy = Policy { extra_ports: vec![port], ..Policy::default() };
        Fetcher::with_resolver(policy, Limits::default(), std::sync::Arc::new(Here), vec!["127.0.0.1".parse().expect("an address")])
            .expect("a fetcher")
    };
    let url = format!("http://pub.test:{port}/x.png");
    let page = format!("http://pub.test:{port}/page");
    let body = json!({"messages": [{"role": "user", "content": [
        {"type": "text", "text": format!("make {url} blue, see {page} and ![p]({page})")}, {"type": "image_url", "image_url": {"url": url}}]}]});
    for on in [false, true] {
        let switch = if on { "true" } else { "false" };
        let variables = [("PICGATE_UPSTREAM_BASE_URL", upstream.base_url.as_str()), ("PICGATE_FETCH_EXTERNAL_IMAGES", switch)];
        let app = TestApp::fetching(&variables, fetcher()).await;
        upstream.answers(Scripted::json(&completion(json!({"content": "ok"}))));
        app.chat(&body).await;
        let sent = upstream.last().json()["messages"].clone();
        if !on {
            assert_eq!(sent, body["messages"], "off: everything passes as it is");
            continue;
        }
        let parts = sent[0]["content"].as_array().expect("parts").clone();
        let pictures: Vec<&Value> = parts.iter().filter(|p| p["type"] == "image_url").collect();
        assert_eq!(pictures.len(), 2);
        for part in pictures {
            assert!(from_data_url(part["image_url"]["url"].as_str().expect("a picture")) == png);
        }
        let words = parts.iter().find(|p| p["type"] == "text").expect("the words");
        assert_eq!(words["text"], format!("make  blue, see {page} and ![p]({page})"), "what is no picture stays text");
    }
}
