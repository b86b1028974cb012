//! Whatever the bucket and the network do wrong: nothing counts as stored that is not, nothing goes from disk meanwhile,
//! nobody is handed wrong bytes, and everything is stored once the fault is gone.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    FakeBucket, FakeUpstream, Fault, Scripted,
    admin::{Admin, app_with, draw, listed, run_job, until_bucket, until_cloud},
    eventually, pictures,
};

/// Images for each rule.
const IMAGES: u32 = 4;

type Rules = Vec<(&'static str, Vec<Fault>)>;

fn only(method: Method, fault: Fault) -> Fault {
    Fault::Only(method, Box::new(fault))
}

/// Draws under each rule, sees that it was noticed and that nothing is lost meanwhile, and heals.
async fn end_well(rules: Rules) {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let app = app_with(&upstream, &bucket, &[]).await;
    let admin = Admin::set_up(&app).await;
    for (number, (name, faults)) in rules.into_iter().enumerate() {
        bucket.break_with(&faults);
        let mut ids = Vec::new();
        for image in 0..IMAGES {
            ids.push((draw(&app, &upstream, name, number as u32 * 10 + image, 24).await, number as u32 * 10 + image));
        }
        eventually(&format!("{name} to be noticed"), async || {
            let cache = admin.get("cache").await;
            let paused = cache["bucket"]["state"] == "paused";
            (paused || cache["uploads"]["failed"] == IMAGES).then_some(())
        })
        .await;
        run_job(&admin, &json!({"kind": "clear_local"})).await;
        for (id, _) in &ids {
            let shown = listed(&admin, id).await;
            assert_ne!(shown["cloud"], "stored", "{name}");
            assert_eq!(shown["local"], true, "{name}: nothing goes from disk that is not confirmed");
        }
        bucket.heal();
        run_job(&admin, &json!({"kind": "retry_failed"})).await;
        run_job(&admin, &json!({"kind": "upload_pending"})).await;
        for (id, seed) in &ids {
            until_cloud(&admin, id, "stored").await;
            assert_eq!(bucket.object(&format!("picgate/{id}")).expect("an object"), pictures::png(*seed, 24), "{name}");
        }
    }
    assert!(bucket.most_at_once() <= 5, "{}", bucket.most_at_once());
}

#[tokio::test]
async fn everything_a_bucket_refuses_ends_well_once_it_is_healed() {
    end_well(vec![
        ("forbidden", vec![Fault::Refuse(403, "AccessDenied")]),
        ("wrong key", vec![Fault::Refuse(403, "InvalidAccessKeyId")]),
        ("wrong secret", vec![Fault::Refuse(403, "SignatureDoesNotMatch")]),
        ("not signed in", vec![Fault::Refuse(401, "Unauthorized")]),
        ("no bucket", vec![Fault::Refuse(404, "NoSuchBucket")]),
        ("a bucket elsewhere", vec![Fault::Refuse(301, "PermanentRedirect")]),
        ("a clock that is off and no word of the time", vec![Fault::Refuse(403, "RequestTimeTooSkewed")]),
        ("no room", vec![Fault::Refuse(507, "InsufficientStorage")]),
        ("over the quota", vec![Fault::Refuse(403, "QuotaExceeded")]),
        ("no sense", vec![Fault::Refuse(400, "InvalidRequest")]),
    ])
    .await;
}

#[tokio::test]
async fn everything_that_passes_ends_well_once_it_has_passed() {
    end_well(vec![
        ("server errors", vec![Fault::Refuse(500, "InternalError")]),
        ("slow down", vec![Fault::Refuse(503, "SlowDown")]),
        ("a proxy without a server", vec![Fault::Refuse(502, "")]),
        ("too many", vec![Fault::Refuse(429, "TooManyRequests")]),
        ("too slow for the server", vec![Fault::Refuse(408, "RequestTimeout")]),
        ("resets", vec![Fault::Reset]),
        ("resets after the work is done", vec![Fault::ResetAfter]),
        ("slow, and then nothing", vec![Fault::Slow(Duration::from_millis(50)), Fault::Reset]),
        ("somebody puts the same object", vec![only(Method::PUT, Fault::Refuse(409, "ConditionalRequestConflict"))]),
        ("the body is damaged on its way", vec![only(Method::PUT, Fault::Refuse(400, "BadDigest"))]),
    ])
    .await;
}

#[tokio::test]
async fn everything_that_only_some_calls_suffer_ends_well_once_it_is_healed() {
    end_well(vec![
        ("only PUT fails", vec![only(Method::PUT, Fault::Refuse(500, "InternalError"))]),
        ("only PUT is forbidden", vec![only(Method::PUT, Fault::Refuse(403, "AccessDenied"))]),
        ("only PUT breaks off", vec![only(Method::PUT, Fault::Reset)]),
        (
            "only the answer to PUT is lost, and HEAD fails",
            vec![only(Method::PUT, Fault::ResetAfter), only(Method::HEAD, Fault::Refuse(503, "SlowDown"))],
        ),
        ("only HEAD fails", vec![only(Method::HEAD, Fault::Refuse(500, "InternalError"))]),
        ("only HEAD is forbidden", vec![only(Method::HEAD, Fault::Refuse(403, "AccessDenied"))]),
        ("only HEAD breaks off", vec![only(Method::HEAD, Fault::Reset)]),
        ("lying lengths", vec![Fault::LieAboutLength]),
        ("half stored", vec![Fault::StoreHalf]),
        ("lying digests and other bytes", vec![Fault::LieAboutEtag, Fault::Flip]),
    ])
    .await;
}

/// Neither keeps anything from being stored.
#[tokio::test]
async fn slow_servers_and_those_without_conditions_or_digests_are_good_enough() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let app = app_with(&upstream, &bucket, &[]).await;
    let admin = Admin::set_up(&app).await;
    let rules = [vec![Fault::Slow(Duration::from_millis(200))], vec![Fault::LieAboutEtag]];
    for (seed, faults) in rules.into_iter().enumerate() {
        bucket.break_with(&faults);
        let id = draw(&app, &upstream, "good enough", 300 + seed as u32, 24).await;
        until_cloud(&admin, &id, "stored").await;
    }
    bucket.heal();
    bucket.break_once(&[Fault::Refuse(501, "NotImplemented")]);
    let id = draw(&app, &upstream, "no If-None-Match", 310, 24).await;
    until_cloud(&admin, &id, "stored").await;
    assert_eq!(bucket.object(&format!("picgate/{id}")).expect("an object"), pictures::png(310, 24));
}

#[tokio::test]
async fn a_clock_that_is_off_is_corrected_by_what_the_server_says() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    bucket.break_with(&[Fault::Later(Duration::from_secs(3 * 3600))]);
    let app = app_with(&upstream, &bucket, &[]).await;
    let admin = Admin::set_up(&app).await;
    let id = draw(&app, &upstream, "late", 320, 24).await;
    until_cloud(&admin, &id, "stored").await;
    run_job(&admin, &json!({"kind": "clear_local"})).await;
    assert_eq!(app.image(&format!("/images/{id}")).await, pictures::png(320, 24));
    // And when the clock is set right, by that.
    bucket.heal();
    bucket.break_with(&[Fault::Later(Duration::ZERO)]);
    let id = draw(&app, &upstream, "on time", 321, 24).await;
    until_cloud(&admin, &id, "stored").await;
}

#[tokio::test]
async fn wrong_bytes_from_the_bucket_are_never_handed_out_whole() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let app = app_with(&upstream, &bucket, &[]).await;
    let admin = Admin::set_up(&app).await;
    upstream.answers(Scripted::json(&json!({"data": [{"b64_json": pictures::base64(&pictures::large(8, 400_000))}]})));
    let answer: Value = app.send("/v1/images/generations", &json!({"prompt": "x"})).await.json().await.unwrap();
    let link = answer["data"][0]["url"].as_str().unwrap().to_owned();
    let id = link.rsplit('/').next().unwrap();
    until_cloud(&admin, id, "stored").await;
    run_job(&admin, &json!({"kind": "clear_local"})).await;
    for fault in [Fault::Flip, Fault::Cut(100_000)] {
        bucket.break_with(std::slice::from_ref(&fault));
        let response = app.get(&format!("/images/{id}")).await;
        assert_eq!(response.status(), 200);
        assert!(response.bytes().await.is_err(), "{fault:?}: the answer ends short");
        assert_eq!(listed(&admin, id).await["local"], false);
        bucket.heal();
        // A copy in doubt is looked at again; it is whole, so it counts again.
        until_cloud(&admin, id, "stored").await;
    }
    assert_eq!(app.image(&link).await, pictures::large(8, 400_000));
}

#[tokio::test]
async fn bytes_are_handed_on_while_they_come_and_the_last_ones_only_when_all_are_right() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let app = app_with(&upstream, &bucket, &[]).await;
    let admin = Admin::set_up(&app).await;
    let original = pictures::large(9, 400_000);
    upstream.answers(Scripted::json(&json!({"data": [{"b64_json": pictures::base64(&original)}]})));
    let answer: Value = app.send("/v1/images/generations", &json!({"prompt": "x"})).await.json().await.unwrap();
    let id = answer["data"][0]["url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    until_cloud(&admin, &id, "stored").await;
    run_job(&admin, &json!({"kind": "clear_local"})).await;
    // All but the last thousand bytes: nobody knows yet whether they are right.
    bucket.break_with(&[Fault::HoldAfter(399_000)]);
    let mut response = app.get(&format!("/images/{id}")).await;
    assert_eq!(response.status(), 200);
    let mut received = Vec::new();
    while received.len() < 300_000 {
        received.extend_from_slice(&response.chunk().await.unwrap().expect("more of it, while the bucket says nothing"));
    }
    assert!(received.len() < 399_000, "{}", received.len());
    bucket.go_on();
    while let Some(chunk) = response.chunk().await.unwrap() {
        received.extend_from_slice(&chunk);
    }
    assert!(received == original);
}

#[tokio::test]
async fn whoever_guesses_many_ids_keeps_nobody_from_an_image_and_asks_the_bucket_for_few() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let app = app_with(&upstream, &bucket, &[]).await;
    let admin = Admin::set_up(&app).await;
    let id = draw(&app, &upstream, "known", 330, 24).await;
    until_cloud(&admin, &id, "stored").await;
    run_job(&admin, &json!({"kind": "clear_local"})).await;
    bucket.break_with(&[Fault::Slow(Duration::from_millis(100))]);
    let guesses = (0..120).map(|number| {
        let app = &app;
        async move { app.get(&format!("/images/00000000-0000-4000-8000-{number:012}")).await.status() }
    });
    let (statuses, known) = futures_util::future::join(futures_util::future::join_all(guesses), app.image(&format!("/images/{id}"))).await;
    assert_eq!(known, pictures::png(330, 24));
    assert!(statuses.iter().all(|status| matches!(*status, StatusCode::NOT_FOUND | StatusCode::SERVICE_UNAVAILABLE)), "{statuses:?}");
    assert!(statuses.contains(&StatusCode::SERVICE_UNAVAILABLE), "more than are asked for at once are told to come again");
    assert!(bucket.most_at_once() <= 8, "{}", bucket.most_at_once());
}

/// Whoever looks at the dashboard after one picture did not come knows why.
#[tokio::test]
async fn one_picture_that_does_not_come_back_is_enough_to_find_out_that_the_bucket_is_away() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let app = app_with(&upstream, &bucket, &[]).await;
    let admin = Admin::set_up(&app).await;
    let id = draw(&app, &upstream, "away", 335, 24).await;
    until_cloud(&admin, &id, "stored").await;
    run_job(&admin, &json!({"kind": "clear_local"})).await;
    bucket.break_with(&[Fault::Refuse(503, "ServiceUnavailable")]);
    assert_eq!(app.get(&format!("/images/{id}")).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    let cache = until_bucket(&admin, "paused").await;
    assert_eq!(cache["bucket"]["code"], "bucket_busy", "{cache}");
    bucket.heal();
    assert_eq!(app.image(&format!("/images/{id}")).await, pictures::png(335, 24));
}

/// With keys that may read and not write, every image that is fetched back works; that must not wake the queue each time.
#[tokio::test]
async fn reading_does_not_end_a_pause_that_writing_caused() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let app = app_with(&upstream, &bucket, &[]).await;
    let admin = Admin::set_up(&app).await;
    let id = draw(&app, &upstream, "read", 340, 24).await;
    until_cloud(&admin, &id, "stored").await;
    run_job(&admin, &json!({"kind": "clear_local"})).await;
    bucket.break_with(&[only(Method::PUT, Fault::Refuse(403, "AccessDenied"))]);
    draw(&app, &upstream, "write", 341, 24).await;
    let paused = until_bucket(&admin, "paused").await;
    assert_eq!(app.image(&format!("/images/{id}")).await, pictures::png(340, 24));
    let after = admin.get("cache").await;
    assert_eq!((&after["bucket"]["state"], &after["bucket"]["since"]), (&json!("paused"), &paused["bucket"]["since"]));
}
