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
    let ip = if address.ip().is_unspecified() { std::net::Ipv4Addr::LOCALHOST.into() } else { address.ip() };
    let base = format!("http://{}", std::net::SocketAddr::new(ip, address.port()));
    matches!(who_answers(&base).await, Answerer::PicGate(_))
}

/// Steps in order, each with the code of what is wrong, if something is. `image`: the id of a picture to open. `base_url`
/// ends in `/v1` and is one of ours; whoever calls sees to that.
pub async fn probe(base_url: &str, key: &str, image: Option<&str>) -> Vec<(&'static str, Option<&'static str>)> {
    let Some(client) = local_client(PATIENCE) else { return vec![("reach", Some("unreachable"))] };
    let answer = match client.get(format!("{base_url}/models")).bearer_auth(key).send().await {
        Ok(answer) => answer,
        Err(error) => {
            // A name that only containers know cannot be tried from here.
            let name = url::Url::parse(base_url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
            let unknown = error.is_connect()
                && name.parse::<std::net::IpAddr>().is_err()
                && tokio::net::lookup_host((name.as_str(), 80)).await.is_err();
            return vec![("reach", Some(if unknown { "unknown_name" } else { "unreachable" }))];
        }
    };
    let mut steps = vec![("reach", None)];
    if answer.status().as_u16() == 401 {
        steps.push(("key", Some("wrong_key")));
        return steps;
    }
    let body = answer.bytes().await.unwrap_or_default();
    if !body[..body.len().min(LOOKED_AT)].windows(7).any(|part| part == b"picgate") {
        steps.push(("key", Some("not_picgate")));
        return steps;
    }
    steps.push(("key", None));
    if let Some(image) = image {
        let link = format!("{}/images/{image}", base_url.trim_end_matches("/v1"));
        let opened = client.head(link).send().await.is_ok_and(|answer| answer.status().is_success());
        steps.push(("link", if opened { None } else { Some("no_link") }));
    }
    steps
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
