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
