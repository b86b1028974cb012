//! Every dialect of "OpenAI-compatible" that has been sighted: the picture that goes in comes out byte for byte, as a
//! link where the client can show it, whole and streamed, however the network cuts it up.

use serde_json::{Value, json};

use crate::support::{
    FakeUpstream, Scripted, TestApp,
    app::{content, links},
    pictures::{self, base64, data_url},
};

/// Sizes of network chunks, from every byte alone to everything at once.
const CHUNKS: [usize; 4] = [usize::MAX, 4096, 97, 5];

fn question(stream: bool) -> Value {
    json!({"model": "picgate", "stream": stream, "messages": [{"role": "user", "content": "draw"}]})
}

fn spelled(text: &str) -> String {
    // Every escape that JSON knows for a character of base64, and blanks inside.
    text.replace('/', "\\/").replace('+', "\\u002B").replace('=', "\\u003D").replace("AAAA", "AA\\nAA")
}

/// A message's JSON text and what the client's text is to be, `§` standing for links.
fn messages(png: &[u8]) -> Vec<(&'static str, String, &'static str)> {
    let (url, raw) = (data_url("image/png", png), base64(png));
    let unpadded = raw.trim_end_matches('=').to_owned();
    let url_safe = raw.replace('+', "-").replace('/', "_");
    let wrapped: String = raw.as_bytes().chunks(76).map(|l| format!("{}\\r\\n", String::from_utf8_lossy(l))).collect();
    let say = |content: String| format!("{{\"role\":\"assistant\",\"content\":{content}}}");
    vec![
        (
            "images",
            format!(r#"{{"content":"Here","images":[{{"type":"image_url","index":0,"image_url":{{"url":"{url}","detail":"auto"}}}}]}}"#),
            "Here\n\n![image](§)",
        ),
        ("images alone", format!(r#"{{"images":[{{"image_url":{{"url":"{url}"}}}}]}}"#), "![image](§)"),
        ("explicit nulls", format!(r#"{{"content":null,"reasoning_content":null,"images":[{{"image_url":"{url}"}}]}}"#), "![image](§)"),
        ("old LiteLLM", format!(r#"{{"role":"assistant","image":{{"image_url":{{"url":"{url}"}}}}}}"#), "![image](§)"),
        ("markdown", say(format!("\"done\\n![image]({url})\"")), "done\n![image](§)"),
        ("markdown with a title", say(format!("\"![a cat]({url} \\\"x\\\") !\"")), "![a cat](§) !"),
        ("escapes", say(format!("\"![i](data:image\\/png;base64,{})\"", spelled(&raw))), "![i](§)"),
        ("bare", say(format!("\"{url}\"")), "![image](§)"),
        ("bare in text", say(format!("\"see {url} there\"")), "see ![image](§) there"),
        ("html", say(format!("\"<p><img alt='x' src=\\\"{url}\\\" width=5></p>\"")), "<p>![image](§)</p>"),
        ("no padding", say(format!("\"![](data:image/png;base64,{unpadded})\"")), "![image](§)"),
        ("url-safe", say(format!("\"![](data:image/png;base64,{url_safe})\"")), "![image](§)"),
        ("wrapped lines", say(format!("\"![](data:image/png;base64,{wrapped})\"")), "![image](§)"),
        ("parameters", say(format!("\"![](data:image/jpeg;charset=utf-8;name=a.jpg;base64,{raw})\"")), "![image](§)"),
        ("upper case", say(format!("\"![](DATA:IMAGE/PNG;BASE64,{raw})\"")), "![image](§)"),
        ("twice the prefix", say(format!("\"![](data:data:image/png;base64,{raw})\"")), "![](data:![image](§))"),
        ("parts", say(format!(r#"[{{"type":"text","text":"a "}},{{"type":"image_url","image_url":{{"url":"{url}"}}}}]"#)), "a ![image](§)"),
        ("odd parts", say(format!(r#"[{{"type":"image_url","image_url":"{url}"}}]"#)), "![image](§)"),
        ("raw part", say(format!(r#"[{{"type":"image","image":"{raw}"}}]"#)), "![image](§)"),
        (
            "anthropic",
            say(format!(r#"[{{"type":"image","source":{{"type":"base64","media_type":"image/png","data":"{raw}"}}}}]"#)),
            "![image](§)",
        ),
        (
            "responses part",
            say(format!(r#"[{{"type":"output_image","image_url":"{url}"}},{{"type":"output_text","text":"!"}}]"#)),
            "![image](§)!",
        ),
    ]
}

#[tokio::test]
async fn every_shape_of_a_message_whole() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let png = pictures::png(1, 41);
    for (name, message, shown) in messages(&png) {
        for chunk in CHUNKS {
            let body = format!(r#"{{"id":"c","choices":[{{"index":0,"message":{message},"finish_reason":"stop"}}]}}"#);
            upstream.answers(Scripted::body("application/json", body).in_pieces(chunk));
            let answer = app.chat(&question(false)).await;
            let text = answer["choices"][0]["message"]["content"].as_str().unwrap_or_else(|| panic!("{name}: {answer}")).to_owned();
            check(&app, name, &text, shown, &png).await;
        }
    }
}

#[tokio::test]
async fn every_shape_of_a_message_streamed() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let png = pictures::png(2, 41);
    for (name, message, shown) in messages(&png) {
        for chunk in CHUNKS {
            let body = format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{message},\"finish_reason\":null}}]}}\n\ndata: [DONE]\n\n");
            upstream.answers(Scripted::body("text/event-stream", body).in_pieces(chunk));
            let text = content(&app.chat_events(&question(true)).await);
            check(&app, name, &text, shown, &png).await;
        }
    }
}

async fn check(app: &TestApp, name: &str, text: &str, shown: &str, png: &[u8]) {
    let found = links(text);
    assert_eq!(found.len(), 1, "{name}: {text:.300}");
    assert_eq!(text.replace(&found[0], "§"), shown, "{name}");
    assert!(app.image(&found[0]).await == png, "{name}: byte for byte");
}

#[tokio::test]
async fn pictures_in_the_reasoning_become_links_there() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let png = pictures::png(3, 30);
    let text = format!("thinking ![draft]({}) done", data_url("image/png", &png));
    upstream.answers(Scripted::json(&json!({"choices": [{"message": {"content": "ok", "reasoning_content": text}}]})));
    let answer = app.chat(&question(false)).await;
    let link = links(answer["choices"][0]["message"]["reasoning_content"].as_str().expect("text"))[0].clone();
    assert!(app.image(&link).await == png);
    let pieces =
        text.as_bytes().chunks(50).map(|p| json!({"choices": [{"index": 0, "delta": {"reasoning_content": String::from_utf8_lossy(p)}}]}));
    upstream
        .answers(Scripted::events(pieces.chain([json!({"choices": [{"index": 0, "delta": {"content": "ok"}, "finish_reason": "stop"}]})])));
    let events = app.chat_events(&question(true)).await;
    let reasoning: String = events.iter().filter_map(|e| e["choices"][0]["delta"]["reasoning_content"].as_str()).collect();
    assert_eq!(reasoning.replace(&links(&reasoning)[0], "§"), "thinking ![draft](§) done");
    assert_eq!(content(&events), "ok");
}

#[tokio::test]
async fn choices_that_are_interleaved_stay_apart() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let pictures = [pictures::png(4, 40), pictures::jpeg(5, 90)];
    let texts = pictures.each_ref().map(|p| format!("d ![a]({}) dz", data_url("image/png", p)));
    for piece in [1usize, 40, 700, 100_000] {
        let mut events = Vec::new();
        let mut parts = texts.each_ref().map(|t| t.as_bytes().chunks(piece));
        loop {
            let next: Vec<Value> = parts
                .iter_mut()
                .enumerate()
                .filter_map(|(index, parts)| {
                    // The index stands behind the text, as new-api writes it.
                    let part = String::from_utf8_lossy(parts.next()?).into_owned();
                    Some(json!({"choices": [{"delta": {"content": part}, "finish_reason": null, "index": index}]}))
                })
                .collect();
            if next.is_empty() {
                break;
            }
            events.extend(next);
        }
        upstream.answers(Scripted::events(events).in_pieces(1000));
        let mut body = question(true);
        body["n"] = json!(2);
        let events = app.chat_events(&body).await;
        for (index, picture) in pictures.iter().enumerate() {
            let mine = events.iter().filter(|e| e["choices"][0]["index"] == index);
            let text: String = mine.filter_map(|e| e["choices"][0]["delta"]["content"].as_str()).collect();
            let found = links(&text);
            assert_eq!(text.replace(&found[0], "§"), "d ![a](§) dz", "deltas of {piece}");
            assert!(&app.image(&found[0]).await == picture);
        }
    }
}

#[tokio::test]
async fn pictures_that_the_upstream_keeps_are_brought_home() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let (remote, sent) = (pictures::png(6, 40), pictures::png(7, 30));
    upstream.serves("/cdn/x.png", "image/png", remote.clone());
    upstream.serves("/cdn/page.html", "text/html", b"<html>no picture</html>".to_vec());
    let origin = upstream.base_url.trim_end_matches("/v1").to_owned();
    let url = format!("{origin}/cdn/x.png?sig=a%2Fb&x=1");
    let mixed = json!([{"image_url": {"url": data_url("image/png", &sent)}}, {"image_url": {"url": url}}]);
    for (message, shown, pictures) in [
        (json!({"content": format!("see ![x]({url}) !")}), "see ![x](§) !", vec![&remote]),
        (json!({"content": [{"type": "image_url", "image_url": {"url": url}}]}), "![image](§)", vec![&remote]),
        (json!({"content": "", "images": mixed}), "![image](§)\n\n![image](§)", vec![&sent, &remote]),
    ] {
        for stream in [false, true] {
            let text = if stream {
                upstream.answers(Scripted::events([json!({"choices": [{"index": 0, "delta": message}]})]).in_pieces(11));
                content(&app.chat_events(&question(true)).await)
            } else {
                upstream.answers(Scripted::json(&json!({"choices": [{"message": message}]})));
                app.chat(&question(false)).await["choices"][0]["message"]["content"].as_str().expect("text").to_owned()
            };
            let found = links(&text);
            assert_eq!(found.iter().fold(text.clone(), |text, link| text.replace(link, "§")), shown);
            assert_eq!(found.len(), pictures.len());
            for (link, picture) in found.iter().zip(&pictures) {
                assert!(app.image(link).await == **picture);
            }
        }
    }
    // What is no picture, cannot be had or is already ours keeps its address; what nobody should go to does not.
    let own = format!("{}/images/6129bbac-8578-48ed-b882-a2d123053b64", app.url);
    for (address, kept) in [(format!("{origin}/cdn/page.html"), true), (own, true), ("http://169.254.169.254/latest/x.png".into(), false)] {
        upstream.answers(Scripted::json(&json!({"choices": [{"message": {"content": format!("a ![x]({address}) b")}}]})));
        let response = app.send("/v1/chat/completions", &question(false)).await;
        let text = response.text().await.expect("text");
        assert_eq!(text.contains(&address), kept, "{text}");
    }
}

#[tokio::test]
async fn drafts_of_the_same_picture_do_not_show() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let (draft, result) = (pictures::png(8, 32), pictures::png(9, 64));
    let (small, large) = (data_url("image/png", &draft), data_url("image/png", &result));
    upstream.answers(Scripted::json(&json!({"choices": [{"message": {"content": format!("![a]({small})![b]({large})")}}]})));
    let answer = app.chat(&question(false)).await;
    let text = answer["choices"][0]["message"]["content"].as_str().expect("text").to_owned();
    assert_eq!(links(&text).len(), 1);
    assert!(app.image(&links(&text)[0]).await == result);
    let event = |delta: Value| json!({"choices": [{"index": 0, "delta": delta}]});
    let events = [
        event(json!({"content": format!("![a]({small})")})),
        event(json!({"reasoning_content": "hm"})),
        event(json!({"content": format!("![b]({large})")})),
    ];
    upstream.answers(Scripted::events(events));
    let text = content(&app.chat_events(&question(true)).await);
    assert_eq!(links(&text).len(), 1, "{text}");
    assert!(app.image(&links(&text)[0]).await == result);
    // Two of the same size are two pictures.
    let other = data_url("image/png", &pictures::png(10, 64));
    upstream.answers(Scripted::events([
        event(json!({"content": format!("![a]({large})")})),
        event(json!({"content": format!("![b]({other})")})),
    ]));
    assert_eq!(links(&content(&app.chat_events(&question(true)).await)).len(), 2);
}

#[tokio::test]
async fn an_answer_in_the_wrong_clothes_is_understood() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let png = pictures::png(11, 40);
    let markdown = format!("![i]({})", data_url("image/png", &png));
    let events = [
        json!({"id": "s", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "a "}}]}),
        json!({"choices": [{"index": 0, "delta": {"content": markdown}, "finish_reason": "stop"}]}),
    ];
    // A stream to a request for a whole answer, also one that calls itself text.
    for content_type in ["text/event-stream", "text/plain"] {
        let mut scripted = Scripted::events(events.clone());
        scripted.content_type = content_type;
        upstream.answers(scripted);
        let answer = app.chat(&question(false)).await;
        assert_eq!((&answer["object"], &answer["choices"][0]["finish_reason"]), (&json!("chat.completion"), &json!("stop")));
        let text = answer["choices"][0]["message"]["content"].as_str().expect("text");
        assert!(app.image(&links(text)[0]).await == png);
    }
    upstream.answers(Scripted::events([json!({"type": "image_generation.completed", "b64_json": base64(&png)})]));
    let answer: Value = app.send("/v1/images/generations", &json!({"prompt": "x"})).await.json().await.expect("JSON");
    assert!(app.image(answer["data"][0]["url"].as_str().expect("a link")).await == png);
}

/// The events of a stream of the Images API.
fn image_events(text: &str) -> Vec<Value> {
    text.lines().filter_map(|l| l.strip_prefix("data: ")).map(|data| serde_json::from_str(data).expect("JSON")).collect()
}

#[tokio::test]
async fn the_images_api_streams_glimpses_and_keeps_results_alone() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let (glimpse, result, third) = (pictures::png(12, 20), pictures::png(13, 40), pictures::png(14, 40));
    upstream.serves("/v1/files/third.png", "image/png", third.clone());
    let events = [
        json!({"type": "image_generation.partial_image", "b64_json": base64(&glimpse), "partial_image_index": 0, "size": "1024x1024"}),
        json!({"type": "image_generation.completed", "b64_json": base64(&result), "usage": {"total_tokens": 150}}),
        json!({"type": "image_generation.partial_succeeded", "image_index": 1, "url": "files/third.png", "size": "2048x2048"}),
    ];
    for (path, chunk) in [("/v1/images/generations", usize::MAX), ("/v1/images/edits", 33)] {
        for format in [None, Some("url")] {
            upstream.answers(Scripted::events(events.clone()).in_pieces(chunk));
            let mut body = json!({"prompt": "x", "stream": true, "partial_images": 1});
            if path.ends_with("edits") {
                body["image"] = json!(base64(&glimpse));
            }
            if let Some(format) = format {
                body["response_format"] = json!(format);
            }
            let response = app.send(path, &body).await;
            assert!(response.headers()["content-type"].to_str().expect("text").starts_with("text/event-stream"));
            let got = image_events(&response.text().await.expect("text"));
            assert_eq!(got.len(), 3);
            assert_eq!(got[0], events[0], "a glimpse passes as it came");
            for (event, picture) in got[1..].iter().zip([&result, &third]) {
                let bytes = match format {
                    None => base64_simd::STANDARD
                        .decode_to_vec(event["b64_json"].as_str().unwrap_or_else(|| panic!("{event}")))
                        .expect("base64"),
                    Some(_) => app.image(event["url"].as_str().unwrap_or_else(|| panic!("{event}"))).await,
                };
                assert!(&bytes == picture);
                assert!(event.get("url").is_some() != event.get("b64_json").is_some());
            }
            assert_eq!(got[1]["usage"]["total_tokens"], 150);
        }
    }
    let database = rusqlite::Connection::open(app.store().join("picgate.sqlite3")).expect("opens");
    let count = |source: &str| {
        database.query_row("select count(*) from images where source = ?1", [source], |r| r.get::<_, i64>(0)).expect("counts")
    };
    assert_eq!((count("generated"), count("edited"), count("uploaded")), (4, 4, 1), "glimpses are never rows");
    // An upstream that ignores `stream` is no obstacle.
    upstream.answers(Scripted::json(&json!({"created": 5, "data": [{"b64_json": base64(&result)}], "output_format": "png"})));
    let response = app.send("/v1/images/generations", &json!({"prompt": "x", "stream": true})).await;
    let got = image_events(&response.text().await.expect("text"));
    assert_eq!(
        (&got[0]["type"], &got[0]["output_format"], &got[0]["created_at"]),
        (&json!("image_generation.completed"), &json!("png"), &json!(5))
    );
    assert_eq!(got[0]["b64_json"], base64(&result));
}

#[tokio::test]
async fn the_demo_streams_glimpses_too() {
    let app = TestApp::demo().await;
    let body = json!({"prompt": "a red fox", "size": "256x256", "stream": true, "partial_images": 2});
    let got = image_events(&app.send("/v1/images/generations", &body).await.text().await.expect("text"));
    let kinds: Vec<&str> = got.iter().filter_map(|e| e["type"].as_str()).collect();
    assert_eq!(kinds, ["image_generation.partial_image", "image_generation.partial_image", "image_generation.completed"]);
}

#[tokio::test]
async fn a_refusal_in_the_wrong_clothes_keeps_its_class() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let refusal = json!({"type": "error", "error": {"code": "moderation_blocked", "message": "rejected by the safety system"}});
    for (path, body) in [("/v1/chat/completions", question(false)), ("/v1/images/generations", json!({"prompt": "x"}))] {
        upstream.answers(Scripted::events([refusal.clone()]));
        let response = app.send(path, &body).await;
        assert_eq!(response.status(), 400, "{path}");
        let error: Value = response.json().await.expect("JSON");
        assert_eq!(error["error"]["code"], "content_blocked");
        assert!(error["error"]["message"].as_str().is_some_and(|m| m.contains("safety")), "{error}");
    }
}

#[tokio::test]
async fn an_answer_that_names_too_many_pictures_does_not_have_them_all_fetched() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    upstream.serves("/cdn/x.png", "image/png", pictures::png(1, 20));
    let origin = upstream.base_url.trim_end_matches("/v1").to_owned();
    let many: Vec<String> = (0..20).map(|at| format!("![p]({origin}/cdn/x.png?{at})")).collect();
    let text = format!("{} ![inside](http://10.0.0.1/y.png)", many.join(" "));
    for stream in [false, true] {
        let shown = if stream {
            upstream.answers(Scripted::events([json!({"choices": [{"index": 0, "delta": {"content": text}}]})]));
            app.send("/v1/chat/completions", &question(true)).await.text().await.expect("text")
        } else {
            upstream.answers(Scripted::json(&json!({"choices": [{"message": {"content": text}}]})));
            app.send("/v1/chat/completions", &question(false)).await.text().await.expect("text")
        };
        assert_eq!(links(&shown).len(), 16);
        assert_eq!(shown.matches("/cdn/x.png").count(), 4, "the rest keep their address");
        assert!(!shown.contains("10.0.0.1"), "nobody is sent into the user's own network: {shown}");
    }
}
