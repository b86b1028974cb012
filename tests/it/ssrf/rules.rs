//! Settings (fake-IP, ports) and the wording of refusals.

use picgate_gateway::upstream::fetch::{FAKE_IP_SETTING, FetchError, Limits};

use crate::ssrf::support::World;

#[tokio::test]
async fn fake_ip_range() {
    let mut world = World::new("").await;
    let resolver = std::sync::Arc::get_mut(&mut world.resolver).unwrap();
    resolver.directive("fakeip.test=198.18.0.7");
    resolver.directive("half.test=198.18.0.7,10.0.0.1");
    let closed = world.fetcher(Limits::default(), &[], false);
    let error = closed.guarded("http://fakeip.test/a.png").await.unwrap_err();
    assert_eq!(error, FetchError::FakeIp);
    assert!(error.to_string().contains(FAKE_IP_SETTING));
    // That the setting lets the range pass is a unit test of the resolver: no dialling here.
    let open = world.fetcher(Limits::default(), &[], true);
    assert_eq!(open.guarded("http://half.test/a.png").await.err(), Some(FetchError::Refused));
    for literal in ["http://198.18.0.7/", "http://[::ffff:198.18.0.7]/"] {
        assert_eq!(open.guarded(literal).await.err(), Some(FetchError::Refused), "{literal}");
    }
}

#[tokio::test]
async fn ports_and_length() {
    let world = World::new("").await;
    let fetcher = world.fetcher(Limits::default(), &[8443], false);
    for good in ["http://a.example.com/", "https://a.example.com/", "http://a.example.com:443/", "https://a.example.com:8443/"] {
        assert!(fetcher.check(good).is_ok(), "{good}");
    }
    for bad in ["http://a.example.com:0/", "http://a.example.com:81/", "https://a.example.com:65535/"] {
        assert_eq!(fetcher.check(bad), Err(FetchError::Refused), "{bad}");
    }
    // Text that parsers repair differently is refused although the host is fine.
    for unclean in [
        "\thttp://a.example.com/",
        "http://a.exa\nmple.com/",
        " http://a.example.com/",
        "http://a.example.com/x y",
        "http://a.example.com/\u{7f}",
        "http:\\\\a.example.com\\",
        "",
    ] {
        assert_eq!(fetcher.check(unclean), Err(FetchError::Refused), "{unclean:?}");
    }
    let long = format!("http://a.example.com/{}", "x".repeat(9000));
    assert_eq!(fetcher.check(&long), Err(FetchError::Refused));
}

#[test]
fn error_texts_are_uniform() {
    let all = [
        FetchError::Refused,
        FetchError::FakeIp,
        FetchError::Status(404),
        FetchError::TooLarge { cap: 1 },
        FetchError::Timeout,
        FetchError::TooManyRedirects,
        FetchError::Unreachable,
        FetchError::Interrupted,
        FetchError::Encoded,
        FetchError::Setup,
    ];
    let codes: std::collections::HashSet<_> = all.iter().map(FetchError::code).collect();
    assert_eq!(codes.len(), all.len());
    for error in all {
        let text = error.to_string();
        assert!(text.starts_with(char::is_lowercase) && !text.ends_with('.'), "{text}");
    }
}
