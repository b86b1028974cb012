//! A gateway on a port of its own over a folder of its own.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use picgate_gateway::{
    config::{Config, Flags},
    server::Gateway,
    upstream::fetch::Fetcher,
};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;
use tempfile::TempDir;

use super::{shell::FakeShell, upstream::FakeUpstream};

/// The gateway.
pub struct TestApp {
    pub gateway: Gateway,
    pub url: String,
    pub key: String,
    pub http: Client,
    pub dir: TempDir,
}

/// A configuration over `dir` with further variables.
pub fn config(dir: &Path, variables: &[(&str, &str)]) -> Config {
    let flags = Flags { host: None, port: Some(0), data_dir: Some(dir.to_owned()) };
    Config::load(&flags, &|name| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).into())).expect("a valid configuration")
}

impl TestApp {
    /// With the built-in demo.
    pub async fn demo() -> Self {
        Self::with(&[]).await
    }

    /// With `upstream`, asked for the model `up-model`. Nothing is shown while it draws, so that answers are exact.
    pub async fn over(upstream: &FakeUpstream) -> Self {
        Self::over_model(upstream, "up-model").await
    }

    pub async fn over_model(upstream: &FakeUpstream, model: &str) -> Self {
        Self::over_with(upstream, model, &[("PICGATE_PROGRESS_STYLE", "quiet")]).await
    }

    /// With `upstream` and further variables.
    pub async fn over_with(upstream: &FakeUpstream, model: &str, variables: &[(&str, &str)]) -> Self {
        let fixed = [
            ("PICGATE_UPSTREAM_BASE_URL", upstream.base_url.as_str()),
            ("PICGATE_UPSTREAM_API_KEY", "sk-upstream-secret-0123456789"),
            ("PICGATE_UPSTREAM_MODEL", model),
        ];
        Self::with(&[&fixed, variables].concat()).await
    }

    pub async fn with(variables: &[(&str, &str)]) -> Self {
        Self::in_folder(tempfile::tempdir().expect("a temporary folder"), variables).await
    }

    /// Over a folder that may have been used before.
    pub async fn in_folder(dir: TempDir, variables: &[(&str, &str)]) -> Self {
        let gateway = Gateway::start(&config(dir.path(), variables)).await.expect("starts");
        Self::around(gateway, dir)
    }

    /// Inside a desktop app.
    pub async fn in_shell(shell: &Arc<FakeShell>, variables: &[(&str, &str)]) -> Self {
        Self::in_shell_over(tempfile::tempdir().expect("a temporary folder"), shell, variables).await
    }

    /// The same over a folder that may have been used before.
    pub async fn in_shell_over(dir: TempDir, shell: &Arc<FakeShell>, variables: &[(&str, &str)]) -> Self {
        let gateway = Gateway::start_in_shell(&config(dir.path(), variables), None, Some(shell.clone())).await.expect("starts");
        Self::around(gateway, dir)
    }

    /// With a way of its own to fetch what users name.
    pub async fn fetching(variables: &[(&str, &str)], external: Fetcher) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let gateway = Gateway::start_with(&config(dir.path(), variables), external, None).await.expect("starts");
        Self::around(gateway, dir)
    }

    fn around(gateway: Gateway, dir: TempDir) -> Self {
        let url = format!("http://{}", gateway.address());
        let key = gateway.key().expose().to_owned();
        let http = crate::support::client();
        Self { gateway, url, key, http, dir }
    }

    /// Stops it and hands its folder over.
    pub async fn stop(self) -> TempDir {
        self.gateway.stop().await;
        self.dir
    }

    pub fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    pub fn post(&self, path: &str) -> RequestBuilder {
        self.http.post(format!("{}{path}", self.url)).bearer_auth(&self.key)
    }

    pub async fn send(&self, path: &str, body: &Value) -> Response {
        self.post(path).json(body).send().await.expect("an answer")
    }

    pub async fn chat(&self, body: &Value) -> Value {
        let response = self.send("/v1/chat/completions", body).await;
        assert_eq!(response.status(), 200, "{:?}", response.text().await);
        response.json().await.expect("JSON")
    }

    /// A streamed chat: the data of its events, without the end mark.
    pub async fn chat_events(&self, body: &Value) -> Vec<Value> {
        let response = self.send("/v1/chat/completions", body).await;
        assert_eq!(response.status(), 200, "{:?}", response.text().await);
        assert!(response.headers()["content-type"].to_str().expect("text").starts_with("text/event-stream"));
        events(&response.text().await.expect("text"))
    }

    pub async fn get(&self, path: &str) -> Response {
        self.http.get(format!("{}{path}", self.url)).send().await.expect("an answer")
    }

    /// The bytes behind a link, whatever host it names.
    pub async fn image(&self, link: &str) -> Vec<u8> {
        let path = &link[link.find("/images/").unwrap_or_else(|| panic!("'{link}' is no link"))..];
        let response = self.get(path).await;
        assert_eq!(response.status(), 200);
        response.bytes().await.expect("bytes").to_vec()
    }
}

/// The data of a stream's events, without the end mark, which must be there.
pub fn events(text: &str) -> Vec<Value> {
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    let data = text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    data.map(|data| serde_json::from_str(data).unwrap_or_else(|e| panic!("{e}: {data}"))).collect()
}

/// The text of a streamed answer.
pub fn content(events: &[Value]) -> String {
    events.iter().filter_map(|e| e["choices"][0]["delta"]["content"].as_str()).collect()
}

/// The links in markdown images, in order.
pub fn links(text: &str) -> Vec<String> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(link, _)| link.to_owned())
        .filter(|l| l.contains("/images/"))
        .collect()
}
