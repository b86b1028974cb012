//! Tries an address of this gateway as a client would: is it reached, does the key fit, does a link open.

use std::time::Duration;

/// How long a step may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Most of an answer that is looked at, in bytes.
const LOOKED_AT: usize = 64 * 1024;

/// Whether a PicGate answers at `address`, as far as can be seen from here.
pub async fn is_picgate(address: std::net::SocketAddr) -> bool {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let ip = if address.ip().is_unspecified() { std::net::Ipv4Addr::LOCALHOST.into() } else { address.ip() };
    let url = format!("http://{}/health", std::net::SocketAddr::new(ip, address.port()));
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build();
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

/// Steps in order, each with the code of what is wrong, if something is. `image`: the id of a picture to open. `base_url`
/// ends in `/v1` and is one of ours; whoever calls sees to that.
pub async fn probe(base_url: &str, key: &str, image: Option<&str>) -> Vec<(&'static str, Option<&'static str>)> {
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build();
    let Ok(client) = client else { return vec![("reach", Some("unreachable"))] };
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
