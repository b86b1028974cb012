//! Size, time and concurrency bounds.

use std::time::{Duration, Instant};

use picgate_gateway::upstream::fetch::{FetchError, Limits};

use crate::ssrf::support::{BODY, World, read, tight};

#[tokio::test]
async fn size_cap() {
    let world = World::new("").await;
    let cap = u64::try_from(BODY.len()).unwrap();
    let exact = world.fetcher(Limits { max_bytes: cap, ..Limits::default() }, &[], false);
    let download = exact.guarded(&world.url("/ok.png")).await.unwrap();
    assert_eq!(download.content_length(), Some(cap));
    assert_eq!(read(Ok(download)).await.as_deref(), Ok(BODY));
    let small = world.fetcher(Limits { max_bytes: cap - 1, ..Limits::default() }, &[], false);
    let announced = small.guarded(&world.url("/ok.png")).await.err();
    assert_eq!(announced, Some(FetchError::TooLarge { cap: cap - 1 }));
    let mut endless = small.guarded(&world.url("/endless")).await.unwrap();
    assert_eq!(endless.content_length(), None);
    for _ in 0..2 {
        // The second call must repeat the error, not look like a clean end.
        assert_eq!(endless.next_chunk().await, Err(FetchError::TooLarge { cap: cap - 1 }));
    }
}

#[tokio::test]
async fn slow_and_broken_bodies() {
    let world = World::new("").await;
    let idle = Limits { idle: Duration::from_millis(100), connect: Duration::from_millis(200), ..Limits::default() };
    let started = Instant::now();
    let stalled = world.fetcher(idle.clone(), &[], false).guarded(&world.url("/stall")).await;
    assert_eq!(read(stalled).await, Err(FetchError::Timeout));
    assert_eq!(world.fetcher(idle, &[], false).guarded(&world.url("/hang")).await.err(), Some(FetchError::Timeout));
    assert!(started.elapsed() < Duration::from_secs(20), "cut by idle, not by total");
    let tight = world.fetcher(tight(), &[], false);
    let started = Instant::now();
    for path in ["/drip", "/headers-drip", "/stall"] {
        assert_eq!(read(tight.guarded(&world.url(path)).await).await, Err(FetchError::Timeout), "{path}");
    }
    assert!(started.elapsed() < Duration::from_secs(8), "cut by total, not by idle");
    let whole = world.fetcher(Limits::default(), &[], false);
    assert_eq!(read(whole.guarded(&world.url("/short")).await).await, Err(FetchError::Interrupted));
}

#[tokio::test]
async fn slots_are_bounded_and_given_back() {
    let world = World::new("").await;
    let limits = Limits { concurrent: 1, total: Duration::from_secs(1), ..Limits::default() };
    let fetcher = world.fetcher(limits, &[], false);
    let held = fetcher.guarded(&world.url("/stall")).await.unwrap();
    assert_eq!(fetcher.guarded(&world.url("/ok.png")).await.err(), Some(FetchError::Timeout));
    assert_eq!(world.public.heads().len(), 1, "waiting happens before dialling");
    // A refusal does not wait for a slot.
    assert_eq!(fetcher.guarded("http://127.0.0.1/").await.err(), Some(FetchError::Refused));
    drop(held);
    let mut next = fetcher.guarded(&world.url("/ok.png")).await.unwrap();
    while next.next_chunk().await.unwrap().is_some() {}
    // The finished download is still alive here, but its slot is free.
    assert_eq!(read(fetcher.guarded(&world.url("/ok.png")).await).await.as_deref(), Ok(BODY));
}

#[tokio::test]
async fn nothing_is_dialled_after_the_deadline() {
    let world = World::new("").await;
    let limits = Limits { total: Duration::ZERO, ..Limits::default() };
    let fetcher = world.fetcher(limits, &[], false);
    assert_eq!(fetcher.guarded(&world.url("/ok.png")).await.err(), Some(FetchError::Timeout));
    assert_eq!(world.resolver.asked("pub.test"), 0);
    // Limits too large to add to a clock mean "no limit", not a panic.
    let limits = Limits { total: Duration::MAX, idle: Duration::MAX, concurrent: usize::MAX, ..Limits::default() };
    let fetcher = world.fetcher(limits, &[], false);
    assert_eq!(read(fetcher.guarded(&world.url("/ok.png")).await).await.as_deref(), Ok(BODY));
}
