//! Any provider that speaks OpenAI's API: OpenAI itself, OpenRouter, new-api, one-api and other relays.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{
    FutureExt, Stream, StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use reqwest::{
    Client,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER},
};
use url::Url;

use super::{
    Answer, Call, Upstream, UpstreamError,
    error::Class,
    failure::read_failure,
    fetch::{Download, FetchError, Fetcher, Limits, Policy},
};
use crate::model::{Dialect, Secret};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);

/// Longest silence. Drawing takes minutes without a byte, so it is generous.
const IDLE: Duration = Duration::from_secs(10 * 60);

/// Longest call in all.
const TOTAL: Duration = Duration::from_secs(30 * 60);

/// Idle connections to the upstream are dropped after this; relays do so after 60 to 90 s.
const POOL_IDLE: Duration = Duration::from_secs(55);

/// Most of a refusal that is read.
const REFUSAL_MAX: usize = 64 * 1024;

/// Longest list of models, in bytes.
const MODELS_MAX: usize = 4 * 1024 * 1024;

/// Most models of a list.
const LISTED_MAX: usize = 2000;

/// How long listing models may take.
const LIST_MAX: Duration = Duration::from_secs(20);

/// Shortest key that is blackened in answers; a shorter one would tear ordinary words.
const KEY_MIN: usize = 8;

/// Largest picture that is downloaded from a result's address.
const DOWNLOAD_MAX: u64 = 64 * 1024 * 1024;

/// How to reach it.
#[derive(Clone, Debug)]
pub struct OpenAiConfig {
    /// What the user calls it.
    pub name: String,
    /// Such as `https://api.openai.com/v1`.
    pub base_url: Url,
    /// Empty for providers that need none.
    pub api_key: Secret,
    /// The model that is asked for.
    pub model: String,
    /// Which part of the API it has, if the user says so.
    pub dialect: Option<Dialect>,
}

/// The provider.
pub struct OpenAi {
    config: OpenAiConfig,
    client: Client,
    /// Without the key, for addresses that answers name.
    downloads: Client,
    fetcher: Fetcher,
}

impl OpenAi {
    /// A provider; nothing is sent yet.
    ///
    /// # Errors
    /// [`UpstreamError`] if the HTTP client cannot be set up or the key cannot stand in a header.
    pub fn new(mut config: OpenAiConfig) -> Result<Self, UpstreamError> {
        if !config.base_url.path().ends_with('/') {
            let path = format!("{}/", config.base_url.path());
            config.base_url.set_path(&path);
        }
        let setup = |_| UpstreamError::ours(Class::Connection, "无法准备与上游的连接", "the connection to the upstream cannot be set up");
        let builder = || {
            Client::builder()
                .connect_timeout(CONNECT)
                .read_timeout(IDLE)
                .timeout(TOTAL)
                .pool_idle_timeout(POOL_IDLE)
                .http2_adaptive_window(true)
                .user_agent(concat!("PicGate/", env!("CARGO_PKG_VERSION")))
                // A redirect would carry the key to whoever is named.
                .redirect(reqwest::redirect::Policy::none())
        };
        let limits = Limits { max_bytes: DOWNLOAD_MAX, total: Duration::from_secs(120), concurrent: 16, ..Limits::default() };
        let policy = Policy { allow_fake_ip_names: true, ..Policy::default() };
        let fetcher =
            Fetcher::new(policy, limits).map_err(|e| UpstreamError::ours(Class::Connection, "无法准备下载图片的连接", e.to_string()))?;
        Ok(Self { client: builder().build().map_err(setup)?, downloads: builder().no_gzip().build().map_err(setup)?, config, fetcher })
    }

    fn authorization(&self) -> Result<Option<HeaderValue>, UpstreamError> {
        if self.config.api_key.expose().is_empty() {
            return Ok(None);
        }
        let mut value = HeaderValue::try_from(format!("Bearer {}", self.config.api_key.expose())).map_err(|_| {
            UpstreamError::ours(Class::Auth, "上游的密钥含有密钥里不会有的字符", "the upstream's API key holds characters that no key has")
        })?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    async fn list_models(&self) -> Result<Vec<String>, UpstreamError> {
        let bad_url = |_| UpstreamError::ours(Class::Connection, "上游地址不是有效的网址", "the base URL of the upstream is not valid");
        let url = self.config.base_url.join("models").map_err(bad_url)?;
        let mut request = self.client.get(url).header(ACCEPT, "application/json").timeout(LIST_MAX);
        if let Some(value) = self.authorization()? {
            request = request.header(AUTHORIZATION, value);
        }
        let response = request.send().await.map_err(|e| UpstreamError::from_client(&e))?;
        let status = response.status();
        if status.is_redirection() {
            return Err(UpstreamError::ours(
                Class::BadAnswer,
                "上游要求跳转；请把上游地址改成它跳转到的地址",
                "the upstream redirects; set its base URL to where it redirects to",
            ));
        }
        let most = if status.is_success() { MODELS_MAX } else { REFUSAL_MAX };
        let body = read_some(response, most).await;
        if !status.is_success() {
            return Err(read_failure(status.as_u16(), None, &body));
        }
        let bad = || {
            UpstreamError::ours(
                Class::BadAnswer,
                "得到的不是模型列表；请检查上游地址，它通常以 /v1 结尾",
                "this is no list of models; is the base URL right? It usually ends in /v1",
            )
        };
        let answer: serde_json::Value = serde_json::from_slice(&body).map_err(|_| bad())?;
        let list = answer.get("data").or_else(|| answer.get("models")).and_then(|list| list.as_array()).ok_or_else(bad)?;
        let name = |model: &serde_json::Value| model.get("id").or_else(|| model.get("name")).and_then(|id| id.as_str()).map(str::to_owned);
        let mut names: Vec<String> = list.iter().filter_map(name).filter(|name| name.len() <= 256).take(LISTED_MAX).collect();
        names.sort_unstable();
        Ok(names)
    }

    async fn call(&self, call: Call) -> Result<Answer, UpstreamError> {
        let url =
            self.config.base_url.join(call.endpoint.path()).map_err(|_| {
                UpstreamError::ours(Class::Connection, "上游地址不是有效的网址", "the base URL of the upstream is not valid")
            })?;
        let accept = if call.stream { "text/event-stream, application/json" } else { "application/json" };
        let mut request = self
            .client
            .post(url)
            .header(CONTENT_TYPE, &call.payload.content_type)
            .header(ACCEPT, accept)
            .body(reqwest::Body::wrap((call.payload.make)()));
        if let Some(value) = self.authorization()? {
            request = request.header(AUTHORIZATION, value);
        }
        let response = request.send().await.map_err(|e| UpstreamError::from_client(&e))?;
        let status = response.status();
        let header = |name| response.headers().get(name).and_then(|v: &HeaderValue| v.to_str().ok()).map(str::to_owned);
        if !status.is_success() {
            let retry_after = header(RETRY_AFTER);
            let body = read_some(response, REFUSAL_MAX).await;
            if status.is_redirection() {
                return Err(UpstreamError::ours(
                    Class::BadAnswer,
                    "上游要求跳转；请把上游地址改成它跳转到的地址",
                    "the upstream redirects; set its base URL to where it redirects to",
                ));
            }
            return Err(read_failure(status.as_u16(), retry_after.as_deref(), &body));
        }
        let content_type = header(CONTENT_TYPE).unwrap_or_default();
        let is_stream = content_type.trim_start().to_ascii_lowercase().starts_with("text/event-stream");
        let body = response.bytes_stream().map(|chunk| chunk.map_err(|e| UpstreamError::from_client(&e)));
        if is_stream {
            return Ok(Answer { is_stream, body: body.boxed() });
        }
        let (is_stream, body) = look(body).await;
        Ok(Answer { is_stream, body })
    }
}

fn replaced(text: &[u8], secret: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    for found in memchr::memmem::find_iter(text, secret) {
        out.extend_from_slice(&text[at..found]);
        out.extend_from_slice(b"***");
        at = found + secret.len();
    }
    out.extend_from_slice(&text[at..]);
    out
}

/// The body's chunks, and whether they are a stream of events after all: some relays call it text.
async fn look<S>(mut body: S) -> (bool, BoxStream<'static, Result<Bytes, UpstreamError>>)
where
    S: Stream<Item = Result<Bytes, UpstreamError>> + Send + Unpin + 'static,
{
    let first = body.next().await;
    let begins_like_events = match &first {
        Some(Ok(chunk)) => ["data:", "event:", ": "]
            .iter()
            .any(|start| chunk.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(chunk).trim_ascii_start().starts_with(start.as_bytes())),
        _ => false,
    };
    (begins_like_events, stream::iter(first).chain(body).boxed())
}

async fn read_some(mut response: reqwest::Response, most: usize) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk[..chunk.len().min(most - body.len())]);
        if body.len() == most {
            break;
        }
    }
    body
}

impl Upstream for OpenAi {
    fn name(&self) -> &str {
        &self.config.name
    }

    fn model(&self) -> &str {
        &self.config.model
    }

    fn identity(&self) -> String {
        format!("{} {}", self.config.base_url, self.config.model)
    }

    fn dialect(&self) -> Option<Dialect> {
        self.config.dialect
    }

    fn base(&self) -> Option<&Url> {
        Some(&self.config.base_url)
    }

    fn may_send_to(&self, url: &str) -> bool {
        let own = Url::parse(url).is_ok_and(|url| url.origin() == self.config.base_url.origin());
        own || self.fetcher.check(url).is_ok()
    }

    fn redact(&self, text: &mut Vec<u8>) {
        let key = self.config.api_key.expose();
        // Without its prefix it is as good a key.
        let bare = key.split_once('-').map_or(key, |(_, bare)| bare);
        if bare.len() >= KEY_MIN && memchr::memmem::find(text, bare.as_bytes()).is_some() {
            *text = replaced(&replaced(text, key.as_bytes()), bare.as_bytes());
        }
    }

    fn send(&self, call: Call) -> BoxFuture<'_, Result<Answer, UpstreamError>> {
        async {
            let mut result = self.call(call).await;
            if let Err(error) = &mut result {
                let clean = |text: &mut String| {
                    let mut bytes = std::mem::take(text).into_bytes();
                    self.redact(&mut bytes);
                    *text = String::from_utf8_lossy(&bytes).into_owned();
                };
                clean(&mut error.message);
                error.code.iter_mut().for_each(clean);
            }
            result
        }
        .boxed()
    }

    fn models(&self) -> BoxFuture<'_, Result<Vec<String>, UpstreamError>> {
        async {
            let listed = self.list_models().await;
            listed.map_err(|mut error| {
                let mut message = std::mem::take(&mut error.message).into_bytes();
                self.redact(&mut message);
                error.message = String::from_utf8_lossy(&message).into_owned();
                error
            })
        }
        .boxed()
    }

    fn download<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<Download, FetchError>> {
        self.fetcher.trusted(&self.downloads, &self.config.base_url, url).boxed()
    }
}
