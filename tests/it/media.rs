//! Images over HTTP: the original bytes, and everything HTTP offers for things that never change.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{FakeUpstream, Scripted, TestApp, eventually, pictures};

async fn saved(bytes: &[u8]) -> (TestApp, FakeUpstream, String) {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    upstream.answers(Scripted::json(&json!({"data": [{"b64_json": pictures::base64(bytes)}]})));
    let answer: Value = app.send("/v1/images/generations", &json!({"prompt": "x"})).await.json().await.expect("JSON");
    let link = answer["data"][0]["url"].as_str().expect("a link").to_owned();
    let path = link[link.find("/images/").expect("a path")..].to_owned();
    (app, upstream, path)
}

#[tokio::test]
async fn an_image_is_served_as_what_it_is_and_for_ever() {
    for (bytes, mime) in [(pictures::png(1, 30), "image/png"), (pictures::jpeg(1, 30), "image/jpeg")] {
        let (app, _upstream, path) = saved(&bytes).await;
        for name in [path.clone(), format!("{path}.png")] {
            let response = app.get(&name).await;
            let header = |name: &str| response.headers()[name].to_str().expect("text").to_owned();
            assert_eq!(response.status(), 200);
            assert_eq!(header("content-type"), mime);
            assert_eq!(header("content-length"), bytes.len().to_string());
            assert_eq!(header("etag"), format!("\"{}\"", pictures::sha256(&bytes)));
            assert_eq!(header("cache-control"), "public, max-age=31536000, immutable");
            assert_eq!(header("x-content-type-options"), "nosniff");
            assert_eq!(header("access-control-allow-origin"), "*");
            assert_eq!(header("cross-origin-resource-policy"), "cross-origin");
            assert!(header("content-security-policy").contains("sandbox"));
            assert!(header("content-disposition").starts_with("inline; filename=\"picgate-"));
            assert!(response.bytes().await.expect("bytes") == bytes);
        }
        let download = app.get(&format!("{path}?download=1")).await;
        assert!(download.headers()["content-disposition"].to_str().expect("text").starts_with("attachment"));
    }
}

#[tokio::test]
async fn head_conditions_and_ranges_follow_the_standard() {
    let bytes = pictures::large(1, 700_000);
    let (app, _upstream, path) = saved(&bytes).await;
    let url = format!("{}{path}", app.url);
    let send = |method: Method, headers: Vec<(&'static str, String)>| {
        let request = headers.into_iter().fold(app.http.request(method, &url), |request, (name, value)| request.header(name, value));
        async { request.send().await.expect("an answer") }
    };
    let etag = format!("\"{}\"", pictures::sha256(&bytes));

    let head = send(Method::HEAD, vec![]).await;
    assert_eq!((head.status().as_u16(), head.headers()["content-length"].to_str().expect("text")), (200, "700000"));
    assert!(head.bytes().await.expect("bytes").is_empty());

    for tags in [etag.clone(), format!("W/{etag}"), format!("\"x\", {etag}"), "*".into()] {
        let unchanged = send(Method::GET, vec![("if-none-match", tags)]).await;
        assert_eq!(unchanged.status(), 304);
        assert_eq!(unchanged.headers()["etag"], etag);
    }
    assert_eq!(send(Method::GET, vec![("if-none-match", "\"x\"".into())]).await.status(), 200);

    for (range, expected) in
        [("bytes=0-0", 0..1), ("bytes=100-300099", 100..300_100), ("bytes=699999-", 699_999..700_000), ("bytes=-500000", 200_000..700_000)]
    {
        let part = send(Method::GET, vec![("range", range.into())]).await;
        assert_eq!(part.status(), 206, "{range}");
        assert_eq!(part.headers()["content-range"], format!("bytes {}-{}/700000", expected.start, expected.end - 1));
        assert!(part.bytes().await.expect("bytes") == bytes[expected]);
    }
    let impossible = send(Method::GET, vec![("range", "bytes=700000-".into())]).await;
    assert_eq!((impossible.status().as_u16(), impossible.headers()["content-range"].to_str().expect("text")), (416, "bytes */700000"));
    let changed = send(Method::GET, vec![("range", "bytes=0-9".into()), ("if-range", "\"other\"".into())]).await;
    assert_eq!(changed.status(), 200);
    let same = send(Method::GET, vec![("range", "bytes=0-9".into()), ("if-range", etag)]).await;
    assert_eq!(same.status(), 206);
    let preflight = send(Method::OPTIONS, vec![("origin", "http://x".into())]).await;
    assert_eq!((preflight.status().as_u16(), preflight.headers()["access-control-allow-origin"].to_str().expect("text")), (204, "*"));
}

#[tokio::test]
async fn a_thumbnail_is_there_soon_after_the_save() {
    let (app, _upstream, path) = saved(&pictures::png(1, 900)).await;
    let response = app.get(&format!("{path}/thumbnail")).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "image/jpeg");
    let etag = response.headers()["etag"].clone();
    let thumbnail = image::load_from_memory(&response.bytes().await.expect("bytes")).expect("a JPEG");
    assert_eq!((thumbnail.width(), thumbnail.height()), (400, 400));
    let again = app.http.get(format!("{}{path}/thumbnail", app.url)).header("if-none-match", etag).send().await.expect("an answer");
    assert_eq!(again.status(), 304);
}

#[tokio::test]
async fn a_picture_that_cannot_be_decoded_keeps_its_original_and_says_so_once() {
    let bytes = pictures::large(1, 5000);
    let (app, _upstream, path) = saved(&bytes).await;
    let code = eventually("the verdict", async || {
        let response = app.get(&format!("{path}/thumbnail")).await;
        (response.status() == 404).then_some(response.json::<Value>().await.expect("JSON"))
    })
    .await;
    assert_eq!(code["error"]["code"], "no_thumbnail");
    assert!(app.image(&path).await == bytes);
}

#[tokio::test]
async fn health_and_admin_answer_without_a_key() {
    let app = TestApp::demo().await;
    let health: Value = app.get("/health").await.json().await.expect("JSON");
    assert_eq!((&health["status"], &health["version"]), (&json!("ok"), &json!(env!("CARGO_PKG_VERSION"))));
    let page = app.get("/admin").await;
    assert_eq!(page.status(), 200);
    let policy = page.headers()["content-security-policy"].to_str().expect("text");
    assert!(policy.contains("script-src 'self';") && policy.contains("frame-ancestors 'none'"), "{policy}");
    let page = page.text().await.expect("text");
    assert!(page.contains("PicGate") && !page.contains(&app.key));
    assert_eq!(app.get("/admin/assets/nothing.js").await.status(), 404);
}
