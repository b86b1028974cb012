//! Runs the SSRF corpus: blocked lines are refused without touching the inside,
//! allowed lines pass. Refuses to know why a line is in the corpus.

use picgate_gateway::upstream::fetch::{FetchError, Fetcher, Limits};

use crate::ssrf::support::{BODY, World, read, tight};

const CORPUS: &str = include_str!("../fixtures/ssrf_corpus.txt");

/// One URL of the corpus with the directives in force for it.
struct Case {
    url: String,
    allowed: bool,
    fake_ip: bool,
}

fn cases() -> Vec<Case> {
    let (mut allowed, mut fake_ip, mut cases) = (false, false, Vec::new());
    for line in CORPUS.lines() {
        match line {
            "#!ALLOW" => allowed = true,
            "#!BLOCK" => allowed = false,
            "#!POLICY fakeip=allow" => fake_ip = true,
            "#!POLICY fakeip=block" => fake_ip = false,
            _ if line.starts_with("#!RESOLVE ") => {}
            _ if line.starts_with("#!") => panic!("unknown directive: {line}"),
            _ if line.trim().is_empty() || line.starts_with('#') => {}
            _ => {
                let url = line.split_once("  #").map_or(line, |(url, _)| url).trim_end();
                let url = url.strip_prefix("esc:").map_or_else(|| url.to_owned(), unescape);
                cases.push(Case { url, allowed, fake_ip });
            }
        }
    }
    cases
}

fn unescape(text: &str) -> String {
    let (mut out, mut chars) = (String::new(), text.chars());
    while let Some(c) = chars.next() {
        out.push(match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('t')) => '\t',
            ('\\', Some('n')) => '\n',
            ('\\', Some('r')) => '\r',
            ('\\', Some('u')) => {
                let hex: String = chars.by_ref().take(4).collect();
                char::from_u32(u32::from_str_radix(&hex, 16).unwrap()).unwrap()
            }
            ('\\', Some(escaped)) => escaped,
            (plain, _) => plain,
        });
    }
    out
}

/// What the fetcher owes a blocked line. `None`: its body is judged by the
/// caller's type sniffing, here only the traps count.
fn owed(url: &str) -> Option<FetchError> {
    let path = url.strip_prefix("http://pub.test/").unwrap_or_default();
    match path {
        "loop" => Some(FetchError::TooManyRedirects),
        "drip" | "headers-drip" | "hang" => Some(FetchError::Timeout),
        "gzip-bomb" => Some(FetchError::Encoded),
        "altsvc" | "lie-type" | "svg" => None,
        _ if url.contains("//fakeip.test/") => Some(FetchError::FakeIp),
        _ => Some(FetchError::Refused),
    }
}

#[tokio::test]
async fn corpus() {
    let world = World::new(CORPUS).await;
    let fetchers: Vec<Fetcher> = [(Limits::default(), false), (Limits::default(), true), (tight(), false), (tight(), true)]
        .map(|(limits, fake_ip)| world.fetcher(limits, &[], fake_ip))
        .into();
    let (mut blocked, mut passed) = (0, 0);
    for case in cases() {
        let url = world.localise(&case.url);
        let owed = owed(&case.url);
        let slow = owed == Some(FetchError::Timeout);
        let fetcher = &fetchers[usize::from(slow) * 2 + usize::from(case.fake_ip)];
        if case.allowed {
            // Real public addresses are only checked, never dialled.
            fetcher.check(&url).unwrap_or_else(|error| panic!("{url}: {error}"));
            if url.contains(".test:") && !url.contains("fakeip.test") {
                assert_eq!(read(fetcher.guarded(&url).await).await.as_deref(), Ok(BODY), "{url}");
            }
            passed += 1;
        } else {
            let got = read(fetcher.guarded(&url).await).await;
            match owed {
                _ if url.contains("//rebind.test") => {
                    assert_eq!(got.as_deref(), Ok(BODY), "dials the vetted first answer");
                    assert_eq!(world.resolver.asked("rebind.test"), 1);
                    assert_eq!(read(fetcher.guarded(&url).await).await, Err(FetchError::Refused));
                }
                None => assert_eq!(got.as_deref(), Ok(BODY), "{url}"),
                Some(error) => assert_eq!(got, Err(error), "{url}"),
            }
            blocked += 1;
        }
        world.assert_untouched(&url);
    }
    assert!(blocked > 100 && passed > 4, "{blocked} blocked, {passed} passed");
    let asked = world.resolver.asked.lock().unwrap();
    for leaked in ["hidden.onion", "localhost", "nas.local", "metadata"] {
        assert!(!asked.iter().any(|name| name.trim_end_matches('.') == leaked), "{leaked} was asked of DNS");
    }
}
