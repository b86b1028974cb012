//! Every redirect hop is checked like the first one and carries nothing over.

use picgate_gateway::upstream::fetch::{FetchError, Limits};

use crate::ssrf::support::{BODY, World, read};

#[tokio::test]
async fn redirect_matrix() {
    let world = World::new("").await;
    let port = world.public.port;
    let fetcher = world.fetcher(Limits::default(), &[], false);
    let targets = [
        format!("http://127.0.0.1:{port}/"),
        format!("http://[::1]:{port}/"),
        format!("//127.0.0.1:{port}/"),
        "http://inside.test/".to_owned(),
        "file:///etc/passwd".to_owned(),
        format!("http://u:p@pub.test:{port}/ok.png"),
    ];
    for code in [301, 302, 303, 307, 308] {
        for target in &targets {
            let url = world.url(&format!("/r?c={code}&to={target}"));
            assert_eq!(read(fetcher.guarded(&url).await).await, Err(FetchError::Refused), "{url}");
            world.assert_untouched(&url);
        }
        let legal = world.url(&format!("/r?c={code}&to=/ok.png"));
        assert_eq!(read(fetcher.guarded(&legal).await).await.as_deref(), Ok(BODY), "{code}");
    }
    for head in world.public.heads() {
        let head = head.to_ascii_lowercase();
        assert!(head.starts_with("get "), "{head}");
        for carried in ["cookie:", "referer:", "authorization:", "origin:"] {
            assert!(!head.contains(carried), "{head}");
        }
    }
}

#[tokio::test]
async fn redirect_count_and_odd_locations() {
    let world = World::new("").await;
    let fetcher = world.fetcher(Limits::default(), &[], false);
    let hops = |count: usize| world.url(&format!("{}/ok.png", "/r?to=".repeat(count)));
    assert_eq!(read(fetcher.guarded(&hops(3)).await).await.as_deref(), Ok(BODY));
    assert_eq!(fetcher.guarded(&hops(4)).await.err(), Some(FetchError::TooManyRedirects));
    let before = world.public.heads().len();
    assert_eq!(fetcher.guarded(&world.url("/loop")).await.err(), Some(FetchError::TooManyRedirects));
    assert_eq!(world.public.heads().len() - before, 4, "one request and three redirects");
    assert_eq!(fetcher.guarded(&world.url("/no-location")).await.err(), Some(FetchError::Status(302)));
    assert_eq!(fetcher.guarded(&world.url("/r?c=302&to=")).await.err(), Some(FetchError::Refused));
    assert_eq!(fetcher.guarded(&world.url("/missing")).await.err(), Some(FetchError::Status(404)));
    assert_eq!(fetcher.guarded(&world.url("/garbage")).await.err(), Some(FetchError::Unreachable));
    let fragment = format!("{}#part", world.url("/ok.png"));
    assert_eq!(read(fetcher.guarded(&fragment).await).await.as_deref(), Ok(BODY));
}
