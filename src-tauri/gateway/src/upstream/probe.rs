//! Tries an address of this gateway as a client would: is it reached, is it us, does a link open. The key of clients is not
//! sent: the address may lead to anybody.

use std::time::Duration;

/// How long a step may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long whoever holds our port may take to say who it is: somebody waits for the program to start.
const WHO_PATIENCE: Duration = Duration::from_secs(2);

/// Most of an answer that is looked at, in bytes.
const LOOKED_AT: usize = 64 * 1024;

/// Whether a PicGate answers at `address`, as far as can be seen from here.
pub async fn is_picgate(address: std::net::SocketAddr) -> bool {
    let ip = if address.ip().is_unspecified() { std::net::Ipv4Addr::LOCALHOST.into() } else { address.ip() };
    let base = format!("http://{}", std::net::SocketAddr::new(ip, address.port()));
    matches!(who_answers(&base).await, Answerer::PicGate(_))
}

/// An address to try.
pub struct Probe<'a> {
    /// Ends in `/v1` and is one of ours; whoever makes this sees to that.
    pub base_url: &'a str,
    /// What this gateway admits in place of the key of clients.
    pub pass: &'a str,
    /// A name that this computer may not know, and where it leads.
    pub dial: Option<(&'a str, std::net::SocketAddr)>,
    /// A picture to open, if there is one.
    pub link: Option<ProbeLink>,
}

/// A picture to open.
pub struct ProbeLink {
    /// As a client gets it.
    pub url: String,
    /// What its `ETag` must hold, if the address is ours.
    pub digest: Option<String>,
}

/// The code of what is wrong, if something is.
type Found = Option<&'static str>;

impl Probe<'_> {
    /// Steps in order, up to the first that fails.
    pub async fn run(self) -> Vec<(&'static str, Found)> {
        let mut builder = reqwest::Client::builder().no_proxy().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none());
        if let Some((name, address)) = self.dial {
            builder = builder.resolve(name, address);
        }
        let Ok(client) = builder.build() else { return vec![("reach", Some("unreachable"))] };
        let answer = match client.get(format!("{}/models", self.base_url)).bearer_auth(self.pass).send().await {
            Ok(answer) => answer,
            Err(error) => return vec![("reach", Some(self.why(&error).await))],
        };
        let mut steps = vec![("reach", None), ("key", read_models(answer).await)];
        if steps[1].1.is_none() {
            steps.push(("link", self.open(&client).await));
        }
        steps
    }

    async fn why(&self, error: &reqwest::Error) -> &'static str {
        if error.is_timeout() {
            // Refused is told at once: silence is a firewall, or an address that leads nowhere.
            return "no_answer";
        }
        let name = url::Url::parse(self.base_url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
        let is_address = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>().is_ok();
        let unknown =
            self.dial.is_none() && error.is_connect() && !is_address && tokio::net::lookup_host((name.as_str(), 80)).await.is_err();
        if unknown { "unknown_name" } else { "unreachable" }
    }

    /// Opens the picture, as the person's browser would.
    async fn open(&self, client: &reqwest::Client) -> Found {
        let Some(link) = &self.link else { return Some("no_image") };
        let Ok(answer) = client.get(&link.url).send().await else { return Some("no_link") };
        if !answer.status().is_success() {
            return Some("no_link");
        }
        let header =
            |name: reqwest::header::HeaderName| answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let is_picture = header(reqwest::header::CONTENT_TYPE).starts_with("image/");
        let is_ours = link.digest.as_ref().is_none_or(|digest| header(reqwest::header::ETAG).contains(digest.as_str()));
        if is_picture && is_ours { None } else { Some("wrong_picture") }
    }
}

async fn read_models(mut answer: reqwest::Response) -> Found {
    if answer.status().as_u16() == 401 {
        return Some("wrong_key");
    }
    let mut body = Vec::new();
    while let Ok(Some(part)) = answer.chunk().await
        && body.len() < LOOKED_AT
    {
        body.extend_from_slice(&part);
    }
    let models: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let is_ours = models["data"].as_array().is_some_and(|models| models.iter().any(|model| model["owned_by"] == "picgate"));
    if is_ours { None } else { Some("not_picgate") }
}

/// Who answers at an address of this computer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answerer {
    /// A PicGate of this version.
    PicGate(String),
    /// Another program.
    Other,
    /// Nobody.
    Nobody,
}

/// Asks `base`, such as `http://127.0.0.1:5643`, who it is.
pub async fn who_answers(base: &str) -> Answerer {
    let Some(client) = local_client(WHO_PATIENCE) else { return Answerer::Nobody };
    let mut answer = match client.get(format!("{base}/health")).send().await {
        Ok(answer) => answer,
        Err(error) if error.is_connect() => return Answerer::Nobody,
        Err(_) => return Answerer::Other,
    };
    let mut body = Vec::new();
    while let Ok(Some(part)) = answer.chunk().await {
        body.extend_from_slice(&part);
        if body.len() > LOOKED_AT {
            return Answerer::Other;
        }
    }
    // A gateway that is starting or stopping says so with a 503 and is one all the same.
    let health: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let is_whole = ["status", "uptime_seconds"].iter().all(|key| health.get(key).is_some());
    match health.get("version").and_then(serde_json::Value::as_str) {
        Some(version) if is_whole => Answerer::PicGate(version.to_owned()),
        _ => Answerer::Other,
    }
}

fn local_client(patience: Duration) -> Option<reqwest::Client> {
    // Fails only if it was done before, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().timeout(patience).redirect(reqwest::redirect::Policy::none()).build().ok()
}

/// What time the server at `url` says it is, in milliseconds since 1970, halfway between question and answer. No key is
/// sent, and what it answers otherwise does not matter.
pub async fn time_at(url: &url::Url) -> Option<(i64, i64)> {
    let client = reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build().ok()?;
    let before = crate::model::now();
    let answer = client.head(url.clone()).send().await.ok()?;
    let middle = before + (crate::model::now() - before) / 2;
    let date = httpdate::parse_http_date(answer.headers().get(reqwest::header::DATE)?.to_str().ok()?).ok()?;
    let theirs = date.duration_since(std::time::UNIX_EPOCH).ok()?.as_millis() as i64;
    Some((theirs, middle))
}
