//! The Images API: links or base64 as the client asks, the picture in the library either way.

use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::support::{
    FakeUpstream, Scripted, TestApp,
    pictures::{self, base64, data_url, from_data_url},
};

async fn json_of(response: reqwest::Response) -> Value {
    assert_eq!(response.status(), 200, "{:?}", response.text().await);
    response.json().await.expect("JSON")
}

fn answer(items: Value) -> Scripted {
    Scripted::json(&json!({"created": 1, "data": items, "usage": {"total_tokens": 4210}, "output_format": "png"}))
}

#[tokio::test]
async fn response_format_decides_between_link_and_base64() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let png = pictures::png(1, 30);
    for (model, agent, format, wants_base64) in [
        ("picgate", "curl", Some("url"), false),
        ("gpt-image-1", "Python/3.11 aiohttp/3.14.5", Some("url"), false),
        ("picgate", "curl", Some("b64_json"), true),
        ("picgate", "curl", None, false),
        ("gpt-image-1", "curl", None, true),
        ("picgate", "Python/3.11 aiohttp/3.14.5", None, true),
    ] {
        upstream.answers(answer(json!([{"b64_json": base64(&png), "revised_prompt": "better"}])));
        let mut body = json!({"model": model, "prompt": "a cat", "size": "auto"});
        if let Some(format) = format {
            body["response_format"] = json!(format);
        }
        let response = app.post("/v1/images/generations").header("user-agent", agent).json(&body).send().await.expect("an answer");
        let got = json_of(response).await;
        let item = &got["data"][0];
        assert_eq!(
            (item.get("b64_json").is_some(), item.get("url").is_some()),
            (wants_base64, !wants_base64),
            "{model} {agent} {format:?}"
        );
        assert_eq!((&item["revised_prompt"], &got["usage"]["total_tokens"]), (&json!("better"), &json!(4210)));
        let bytes = if wants_base64 {
            base64_simd::STANDARD.decode_to_vec(item["b64_json"].as_str().expect("text")).expect("base64")
        } else {
            app.image(item["url"].as_str().expect("text")).await
        };
        assert!(bytes == png);
        let sent = upstream.last().json();
        assert_eq!(sent.get("response_format").and_then(Value::as_str), format.map(|_| "b64_json"), "only what the client sent is sent");
        assert_eq!((&sent["model"], &sent["size"]), (&json!("up-model"), &json!("auto")));
    }
}

#[tokio::test]
async fn a_model_that_refuses_response_format_never_sees_it() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over_model(&upstream, "gpt-image-1").await;
    upstream.answers(answer(json!([{"b64_json": base64(&pictures::png(1, 10))}])));
    json_of(app.send("/v1/images/generations", &json!({"prompt": "x", "response_format": "url"})).await).await;
    assert_eq!(upstream.last().json(), json!({"model": "gpt-image-1", "prompt": "x"}));
}

#[tokio::test]
async fn every_picture_of_an_answer_is_kept_wherever_it_stands() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let pictures: Vec<Vec<u8>> = (0..4).map(|seed| pictures::png(seed, 20)).collect();
    upstream.serves("/data/image/x.png", "image/png", pictures[2].clone());
    upstream.serves("/v1/rel.png", "image/png", pictures[3].clone());
    let origin = upstream.base_url.trim_end_matches("/v1").to_owned();
    upstream.answers(answer(json!([
        {"url": null, "b64_json": base64(&pictures[0])},
        {"url": data_url("image/png", &pictures[1])},
        {"url": format!("{origin}/data/image/x.png")},
        {"url": "rel.png"},
    ])));
    let got = json_of(app.send("/v1/images/generations", &json!({"prompt": "x", "n": 4})).await).await;
    for (item, picture) in got["data"].as_array().expect("data").iter().zip(&pictures) {
        assert_eq!(item.as_object().expect("an item").len(), 1, "{item}");
        assert!(&app.image(item["url"].as_str().expect("a link")).await == picture);
    }
}

#[tokio::test]
async fn an_address_that_cannot_be_downloaded_is_handed_over() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let gone = format!("{}/gone.png", upstream.base_url);
    upstream.answers(answer(json!([{"url": gone}])));
    let got = json_of(app.send("/v1/images/generations", &json!({"prompt": "x"})).await).await;
    assert_eq!(got["data"], json!([{"url": gone}]));
    // Somewhere in the user's own network: nobody is sent there.
    upstream.answers(answer(json!([{"url": "http://127.0.0.1:9/x.png"}])));
    let response = app.send("/v1/images/generations", &json!({"prompt": "x"})).await;
    assert_eq!(response.status(), 502);
    assert!(!response.text().await.expect("text").contains("127.0.0.1:9"));
}

#[tokio::test]
async fn no_picture_is_an_error_and_not_a_success_without_pictures() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    for (body, status, code) in [
        (json!({"created": 1, "data": []}), 400, "content_blocked"),
        (json!({"data": [{"b64_json": "bm90IGEgcGljdHVyZQ=="}]}), 502, "bad_upstream_answer"),
        (json!({"error": {"message": "no", "code": "moderation_blocked"}}), 400, "content_blocked"),
        (json!({"hello": 1}), 502, "bad_upstream_answer"),
    ] {
        upstream.answers(Scripted::json(&body));
        let response = app.send("/v1/images/generations", &json!({"prompt": "x"})).await;
        assert_eq!(response.status(), status, "{body}");
        let error: Value = response.json().await.expect("JSON");
        assert_eq!(error["error"]["code"], code);
    }
    assert_eq!(upstream.requests().len(), 4, "nothing is tried again");
}

#[tokio::test]
async fn an_edit_goes_out_as_a_form_whatever_names_the_client_uses() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let (a, b, mask, out) = (pictures::png(1, 20), pictures::jpeg(2, 20), pictures::png(3, 20), pictures::png(4, 20));
    let file = |bytes: &[u8]| Part::bytes(bytes.to_vec()).file_name("image.png").mime_str("image/png").expect("a type");
    for names in [["image", "image"], ["image[]", "image[]"], ["image[0]", "image[1]"]] {
        upstream.answers(answer(json!([{"b64_json": base64(&out)}])));
        let form = Form::new()
            .text("model", "")
            .text("prompt", "make it 蓝")
            .text("n", "1")
            .part(names[0], file(&a))
            .part(names[1], file(&b))
            .part("mask", file(&mask));
        let got = json_of(app.post("/v1/images/edits").multipart(form).send().await.expect("an answer")).await;
        assert!(app.image(got["data"][0]["url"].as_str().expect("a link")).await == out);
        let parts = upstream.last().form().await;
        let shown: Vec<(&str, Option<&str>)> = parts.iter().map(|(name, _, media, _)| (name.as_str(), media.as_deref())).collect();
        assert_eq!(
            shown,
            [
                ("model", None),
                ("prompt", None),
                ("n", None),
                ("image[]", Some("image/png")),
                ("image[]", Some("image/jpeg")),
                ("mask", Some("image/png"))
            ]
        );
        assert_eq!(parts[1].3, "make it 蓝");
        assert!(parts[3].3 == a && parts[4].3 == b && parts[5].3 == mask);
    }
}

#[tokio::test]
async fn an_edit_sent_as_json_takes_links_data_urls_and_base64() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let (first, other, out) = (pictures::png(1, 20), pictures::jpeg(2, 20), pictures::png(3, 20));
    upstream.answers(answer(json!([{"b64_json": base64(&first)}])));
    let link = json_of(app.send("/v1/images/generations", &json!({"prompt": "x"})).await).await["data"][0]["url"].clone();
    for (images, expected) in [
        (json!({"image": link}), vec![&first]),
        (json!({"image": data_url("image/jpeg", &other)}), vec![&other]),
        (json!({"image": base64(&other)}), vec![&other]),
        (
            json!({"images": [{"image_url": link}, {"image_url": data_url("image/jpeg", &other)}, {"image_url": {"url": link}}]}),
            vec![&first, &other, &first],
        ),
        (json!({"image": [link, base64(&other)]}), vec![&first, &other]),
    ] {
        upstream.answers(answer(json!([{"b64_json": base64(&out)}])));
        let mut body = json!({"prompt": "blue", "n": 1});
        body.as_object_mut().expect("an object").extend(images.as_object().expect("an object").clone());
        json_of(app.send("/v1/images/edits", &body).await).await;
        let parts = upstream.last().form().await;
        let sent: Vec<&[u8]> = parts.iter().filter(|p| p.0.starts_with("image")).map(|p| &p.3[..]).collect();
        assert!(sent == expected.iter().map(|e| &e[..]).collect::<Vec<_>>(), "{body}");
    }
}

#[tokio::test]
async fn an_upstream_that_refuses_forms_is_asked_in_json_from_then_on() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let png = pictures::png(1, 20);
    let refusal = json!({"error": {"message": "gpt-image-2 does not accept multipart file upload", "type": "packy_api_error", "code": "convert_request_failed"}});
    upstream.answers(Scripted::json(&refusal).status(400));
    for _ in 0..2 {
        upstream.answers(answer(json!([{"b64_json": base64(&png)}])));
        json_of(app.send("/v1/images/edits", &json!({"prompt": "blue", "n": 2, "image": base64(&png), "mask": base64(&png)})).await).await;
    }
    let requests = upstream.requests();
    assert_eq!(requests.len(), 3);
    for request in &requests[1..] {
        let body = request.json();
        assert_eq!((&body["model"], &body["prompt"], &body["n"]), (&json!("up-model"), &json!("blue"), &json!(2)));
        for url in [&body["images"][0]["image_url"], &body["mask"]["image_url"]] {
            assert!(from_data_url(url.as_str().expect("text")) == png);
        }
    }
}
