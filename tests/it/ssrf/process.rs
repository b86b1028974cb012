//! What is global to a process: proxy variables and the crypto provider.

use picgate_gateway::upstream::fetch::{FetchError, Fetcher, Limits, Policy};
use reqwest::Client;

use crate::ssrf::support::{BODY, World, alone, read};

#[tokio::test]
async fn environment_proxy_is_ignored() {
    let nowhere = "http://127.0.0.1:1";
    let env = [("HTTP_PROXY", nowhere), ("http_proxy", nowhere), ("ALL_PROXY", nowhere)];
    if !alone("ssrf::process::environment_proxy_is_ignored", &env) {
        return;
    }
    let world = World::new("").await;
    let direct = format!("http://127.0.0.2:{}/ok.png", world.public.port);
    assert!(Client::new().get(&direct).send().await.is_err(), "control: the proxy is in force here");
    let fetcher = world.fetcher(Limits::default(), &[], false);
    for url in [direct, world.url("/ok.png")] {
        assert_eq!(read(fetcher.guarded(&url).await).await.as_deref(), Ok(BODY), "{url}");
    }
}

#[test]
fn setup_fails_cleanly_without_crypto_provider() {
    if alone("ssrf::process::setup_fails_cleanly_without_crypto_provider", &[]) {
        let error = Fetcher::new(Policy::default(), Limits::default()).err();
        assert_eq!(error, Some(FetchError::Setup));
        let _ = rustls::crypto::ring::default_provider().install_default();
        assert!(Fetcher::new(Policy::default(), Limits::default()).is_ok());
    }
}
