//! Result URLs of a configured upstream: its own origin and nothing else.

use picgate_gateway::upstream::fetch::{FetchError, Limits};
use reqwest::{Client, redirect};
use url::Url;

use crate::ssrf::support::{BODY, INSIDE, Server, World, read};

fn upstream_client() -> Client {
    Client::builder().no_proxy().no_gzip().redirect(redirect::Policy::none()).build().unwrap()
}

#[tokio::test]
async fn trusted_origin_may_be_private() {
    let world = World::new("").await;
    let upstream = Server::start(INSIDE).await;
    let fetcher = world.fetcher(Limits::default(), &[upstream.port], false);
    let client = upstream_client();
    let origin: Url = format!("http://user:secret@127.0.0.1:{}/v1/", upstream.port).parse().unwrap();
    let absolute = format!("http://127.0.0.1:{}/ok.png", upstream.port);
    for url in ["/data/image/x.jpg", "image/x.jpg", "/r?to=/ok.png", absolute.as_str()] {
        assert_eq!(read(fetcher.trusted(&client, &origin, url).await).await.as_deref(), Ok(BODY), "{url}");
    }
    let heads = upstream.heads();
    assert!(heads.iter().any(|head| head.starts_with("GET /v1/image/x.jpg ")));
    assert!(!heads.iter().any(|head| head.to_ascii_lowercase().contains("authorization:")));
    for url in [format!("http://a:b@127.0.0.1:{}/ok.png", upstream.port), "/r?to=\\\\x".to_owned(), String::new()] {
        assert_eq!(fetcher.trusted(&client, &origin, &url).await.err(), Some(FetchError::Refused), "{url}");
    }
    assert_eq!(upstream.heads().len(), heads.len());
    assert_eq!(fetcher.trusted(&client, &origin, "/loop").await.err(), Some(FetchError::TooManyRedirects));
    assert_eq!(fetcher.trusted(&client, &origin, "/gzip-bomb").await.err(), Some(FetchError::Encoded));
    let data: Url = "data:,x".parse().unwrap();
    assert_eq!(fetcher.trusted(&client, &data, "http://127.0.0.1/").await.err(), Some(FetchError::Refused));
}

#[tokio::test]
async fn trust_ends_at_the_origin() {
    let world = World::new("").await;
    let upstream = Server::start(INSIDE).await;
    let fetcher = world.fetcher(Limits::default(), &[upstream.port], false);
    let client = upstream_client();
    let origin: Url = format!("http://127.0.0.1:{}/", upstream.port).parse().unwrap();
    let trap = format!("http://127.0.0.1:{}/", world.public.port);
    let home = format!("http://127.0.0.1:{}/ok.png", upstream.port);
    // A public stranger is fine, named outright or by redirect.
    for url in [world.url("/ok.png"), format!("/r?to={}", world.url("/ok.png"))] {
        assert_eq!(read(fetcher.trusted(&client, &origin, &url).await).await.as_deref(), Ok(BODY), "{url}");
    }
    let refused = [
        trap.clone(),
        format!("/r?to={trap}"),
        format!("https://127.0.0.1:{}/ok.png", upstream.port),
        format!("http://localhost:{}/ok.png", upstream.port),
        "data:image/png;base64,AAAA".to_owned(),
        // The stranger sends back to the origin: no longer trusted.
        world.url(&format!("/r?to={home}")),
        format!("/r?to={}", world.url(&format!("/r?to={home}"))),
    ];
    for url in refused {
        let error = fetcher.trusted(&client, &origin, &url).await.err();
        assert_eq!(error, Some(FetchError::Refused), "{url}");
        world.assert_untouched(&url);
    }
    // A client that follows redirects itself breaks the contract; its answer is not used.
    let eager = Client::builder().no_proxy().build().unwrap();
    let error = fetcher.trusted(&eager, &origin, "/r?to=/ok.png").await.err();
    assert_eq!(error, Some(FetchError::Refused));
}
