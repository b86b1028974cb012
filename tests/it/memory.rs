//! Memory does not follow the size of pictures.

use serde_json::json;

use crate::support::{FakeUpstream, Scripted, pictures, process::Process};

/// Far below one of the pictures being whole in memory for each request.
const GROWTH_MAX_KB: u64 = 40 * 1024;

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_large_pictures_at_once_take_little_memory() {
    let upstream = FakeUpstream::start().await;
    let dir = tempfile::tempdir().expect("a temporary folder");
    let process =
        Process::start(dir.path(), &[("PICGATE_UPSTREAM_BASE_URL", upstream.base_url.as_str()), ("PICGATE_GATEWAY_KEY", "pg-test-key")]);
    let http = crate::support::client();
    let before = process.memory("VmHWM");
    let picture = pictures::large(1, 24 * 1024 * 1024);
    for _ in 0..8 {
        upstream.answers(Scripted::json(&json!({"data": [{"b64_json": pictures::base64(&picture)}]})));
    }
    let requests = (0..8).map(|_| {
        let request = http
            .post(format!("{}/v1/images/generations", process.url))
            .bearer_auth("pg-test-key")
            .json(&json!({"prompt": "x", "response_format": "url"}));
        async move {
            let answer: serde_json::Value = request.send().await.expect("an answer").json().await.expect("JSON");
            answer["data"][0]["url"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
        }
    });
    let links = futures_util::future::join_all(requests).await;
    let bytes = http.get(&links[7]).send().await.expect("an answer").bytes().await.expect("bytes");
    assert!(bytes == picture);
    let grown = process.memory("VmHWM") - before;
    assert!(grown < GROWTH_MAX_KB, "peak memory grew by {grown} kB");
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_history_takes_little_memory() {
    let upstream = FakeUpstream::start().await;
    let dir = tempfile::tempdir().expect("a temporary folder");
    let variables = [
        ("PICGATE_UPSTREAM_BASE_URL", upstream.base_url.as_str()),
        ("PICGATE_GATEWAY_KEY", "pg-test-key"),
        ("PICGATE_HISTORY_IMAGES", "20"),
        ("PICGATE_HISTORY_MB", "200"),
    ];
    let process = Process::start(dir.path(), &variables);
    let http = crate::support::client();
    let send = |path: &str, body: serde_json::Value| {
        let request = http.post(format!("{}{path}", process.url)).bearer_auth("pg-test-key").json(&body);
        async move { request.send().await.expect("an answer").json::<serde_json::Value>().await.expect("JSON") }
    };
    let mut messages = Vec::new();
    for seed in 0..20 {
        let picture = pictures::large(seed, 5 * 1024 * 1024);
        upstream.answers(Scripted::json(&json!({"data": [{"b64_json": pictures::base64(&picture)}]})));
        let answer = send("/v1/images/generations", json!({"prompt": "x"})).await;
        messages.push(json!({"role": "user", "content": "draw"}));
        messages.push(json!({"role": "assistant", "content": format!("![image]({})", answer["data"][0]["url"].as_str().expect("a link"))}));
    }
    messages.push(json!({"role": "user", "content": "all together"}));
    let before = process.memory("VmHWM");
    upstream.answers(Scripted::json(&json!({"choices": [{"message": {"content": "ok"}}]})));
    send("/v1/chat/completions", json!({"messages": messages})).await;
    assert!(upstream.last().body.len() > 20 * 6 * 1024 * 1024, "all twenty went out");
    let grown = process.memory("VmHWM") - before;
    assert!(grown < GROWTH_MAX_KB, "peak memory grew by {grown} kB");
}
