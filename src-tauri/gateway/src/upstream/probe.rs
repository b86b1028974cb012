//! Tries an address of this gateway as a client would: is it reached, does the key fit, does a link open.

use std::time::Duration;

/// How long a step may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long whoever holds our port may take to say who it is: somebody waits for the program to start.
const WHO_PATIENCE: Duration = Duration::from_secs(2);

/// Most of an answer that is looked at, in bytes.
const LOOKED_AT: usize = 64 * 1024;

/// Whether a PicGate answers at `address`, as far as can be seen from here.
pub async fn is_picgate(address: std::net::SocketAddr) -> bool {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let ip = if address.ip().is_unspecified() { std::net::Ipv4Addr::LOCALHOST.into() } else { address.ip() };
    let url = format!("http://{}/health", std::net::SocketAddr::new(ip, address.port()));
    let client = reqwest::Client::builder().no_proxy().timeout(WHO_PATIENCE).redirect(reqwest::redirect::Policy::none()).build();
    let Ok(client) = client else { return false };
    let Ok(mut answer) = client.get(url).send().await else { return false };
    let mut body = Vec::new();
    while let Ok(Some(part)) = answer.chunk().await {
        body.extend_from_slice(&part);
        if body.len() > LOOKED_AT {
            return false;
        }
    }
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    ["status", "version", "uptime_seconds"].iter().all(|key| body.get(key).is_some())
}

/// An address to try.
pub struct Probe<'a> {
    /// Ends in `/v1` and is one of ours; whoever makes this sees to that.
    pub base_url: &'a str,
    /// The key that clients use.
    pub key: &'a str,
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
        let answer = match client.get(format!("{}/models", self.base_url)).bearer_auth(self.key).send().await {
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
