//! What goes from disk by itself: only what the bucket has confirmed, or what the user chose to lose; and never because
//! a clock moved.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    FakeBucket, FakeUpstream, Fault, Scripted, TestApp,
    admin::{Admin, app_with, draw, listed, run_job, until_cloud},
    clock::Clock,
    eventually, pictures,
};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

async fn local(admin: &Admin<'_>, id: &str) -> bool {
    listed(admin, id).await["local"] == true
}

/// Runs what the sweep would run, whatever it is.
async fn sweep(app: &TestApp, admin: &Admin<'_>) {
    app.gateway.sweep().look_now().await;
    for kind in ["clean_expired", "enforce_cap", "forget_metadata"] {
        eventually("the job to begin", async || {
            let response = admin.request(Method::POST, "jobs").json(&json!({"kind": kind})).send().await.unwrap();
            (response.status() == 200).then_some(())
        })
        .await;
        eventually("the jobs", async || {
            let jobs = admin.get("jobs").await;
            jobs["items"].as_array().unwrap().iter().all(|job| job["state"] != "running").then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn what_was_not_used_for_long_goes_if_the_bucket_has_it() {
    let clock = Clock::hold();
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let app = app_with(&upstream, &bucket, &[]).await;
    let admin = Admin::set_up(&app).await;
    let old = draw(&app, &upstream, "old", 1, 32).await;
    until_cloud(&admin, &old, "stored").await;
    bucket.break_with(&[Fault::RefuseMethod(Method::PUT, 400, "InvalidRequest")]);
    let unconfirmed = draw(&app, &upstream, "unconfirmed", 2, 32).await;
    until_cloud(&admin, &unconfirmed, "failed").await;
    clock.shift(70 * HOUR);
    admin.stays_signed_in().await;
    let used = draw(&app, &upstream, "used", 3, 32).await;
    clock.shift(74 * HOUR);
    admin.stays_signed_in().await;
    let cache = admin.get("cache").await;
    assert_eq!(cache["actions"]["clean_expired"]["count"], 1, "{cache}");
    sweep(&app, &admin).await;
    assert!(!local(&admin, &old).await);
    assert!(local(&admin, &unconfirmed).await && local(&admin, &used).await);
    let jobs = admin.get("jobs").await;
    assert!(jobs["items"].as_array().unwrap().iter().any(|job| job["automatic"] == true && job["kind"] == "clean_expired"), "{jobs}");
    // Looking at it brings it back and counts as use.
    assert_eq!(app.image(&format!("/images/{old}")).await, pictures::png(1, 32));
    eventually("the file", async || local(&admin, &old).await.then_some(())).await;
    sweep(&app, &admin).await;
    assert!(local(&admin, &old).await);
}

#[tokio::test]
async fn without_a_bucket_neither_time_nor_cap_removes_anything_unless_it_was_chosen() {
    let clock = Clock::hold();
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let admin = Admin::set_up(&app).await;
    let mut ids = Vec::new();
    for seed in 0..3u32 {
        clock.shift(i64::from(seed) * HOUR);
        admin.stays_signed_in().await;
        upstream.answers(Scripted::json(&json!({"data": [{"b64_json": pictures::base64(&pictures::large(seed, 700_000))}]})));
        let answer: Value = app.send("/v1/images/generations", &json!({"prompt": "x"})).await.json().await.unwrap();
        ids.push(answer["data"][0]["url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned());
    }
    admin.send(Method::PATCH, "settings", &json!({"values": {"cache_cap_mb": "1"}})).await;
    clock.shift(13 * DAY);
    admin.stays_signed_in().await;
    sweep(&app, &admin).await;
    for id in &ids {
        assert!(local(&admin, id).await);
    }
    let cache = admin.get("cache").await;
    assert!(cache["sweep"]["over_bytes"].as_i64().unwrap() > 900_000, "{cache}");
    assert_eq!(cache["sweep"]["held"]["count"], 3);
    assert_eq!(cache["actions"]["enforce_cap"]["reason"], "no_bucket");
    assert_eq!(cache["actions"]["clean_expired"]["reason"], "no_bucket");
    // Chosen: the longest unused go until it fits.
    admin.send(Method::PATCH, "settings", &json!({"values": {"evict_last_copy": "true"}, "password": "correct horse"})).await;
    assert_eq!(admin.get("cache").await["actions"]["enforce_cap"]["count"], 2);
    sweep(&app, &admin).await;
    assert_eq!(app.get(&format!("/images/{}", ids[0])).await.status(), 404);
    assert_eq!(app.get(&format!("/images/{}", ids[1])).await.status(), 404);
    assert!(local(&admin, &ids[2]).await);
}

#[tokio::test]
async fn the_cap_removes_the_longest_unused_first_and_no_more_than_it_must() {
    let clock = Clock::hold();
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let app = app_with(&upstream, &bucket, &[("PICGATE_CACHE_CAP_MB", "1")]).await;
    let admin = Admin::set_up(&app).await;
    let mut ids = Vec::new();
    for seed in 0..3u32 {
        clock.shift(i64::from(seed) * HOUR);
        admin.stays_signed_in().await;
        upstream.answers(Scripted::json(&json!({"data": [{"b64_json": pictures::base64(&pictures::large(seed, 450_000))}]})));
        let answer: Value = app.send("/v1/images/generations", &json!({"prompt": "x"})).await.json().await.unwrap();
        let id = answer["data"][0]["url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        until_cloud(&admin, &id, "stored").await;
        ids.push(id);
    }
    // The first one is looked at last.
    app.image(&format!("/images/{}", ids[0])).await;
    clock.shift(3 * HOUR);
    admin.stays_signed_in().await;
    sweep(&app, &admin).await;
    assert!(local(&admin, &ids[0]).await && !local(&admin, &ids[1]).await && local(&admin, &ids[2]).await);
    assert_eq!(admin.get("cache").await["sweep"]["over_bytes"], 0);
}

#[tokio::test]
async fn old_rows_are_forgotten_and_their_links_go_on_unless_the_objects_go_too() {
    let clock = Clock::hold();
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let app = app_with(&upstream, &bucket, &[("PICGATE_RETENTION_DAYS", "5")]).await;
    let admin = Admin::set_up(&app).await;
    let id = draw(&app, &upstream, "a secret wish", 5, 32).await;
    until_cloud(&admin, &id, "stored").await;
    clock.shift(6 * DAY);
    admin.stays_signed_in().await;
    sweep(&app, &admin).await;
    assert_eq!(admin.get("images").await["total"], 0);
    assert_eq!(admin.get("images?q=secret").await["total"], 0);
    assert!(
        !app.store()
            .join("blobs")
            .join(&pictures::sha256(&pictures::png(5, 32))[..2])
            .join(pictures::sha256(&pictures::png(5, 32)))
            .exists()
    );
    // The link needs this bucket, so whoever changes it is asked.
    let elsewhere = json!({"values": {"s3_prefix": "elsewhere/"}});
    let asked = admin.request(Method::PATCH, "settings").json(&elsewhere).send().await.expect("an answer");
    assert_eq!(asked.status(), 409);
    let asked: Value = asked.json().await.expect("JSON");
    assert_eq!((asked["error"]["code"].as_str(), asked["error"]["count"].as_i64()), (Some("images_left_behind"), Some(1)), "{asked}");
    assert_eq!(app.image(&format!("/images/{id}")).await, pictures::png(5, 32), "through the bucket");
    // And now for good.
    admin.send(Method::PATCH, "settings", &json!({"values": {"delete_cloud_with_metadata": "true"}, "password": "correct horse"})).await;
    eventually("the row", async || (admin.get("images").await["total"] == 1).then_some(())).await;
    // What came from elsewhere counts from then on, however old it says it is.
    sweep(&app, &admin).await;
    assert_eq!(admin.get("images").await["total"], 1);
    clock.shift(12 * DAY);
    admin.stays_signed_in().await;
    sweep(&app, &admin).await;
    eventually("the object to go", async || bucket.object(&format!("picgate/{id}")).is_none().then_some(())).await;
    assert_eq!(app.get(&format!("/images/{id}")).await.status(), 404);
}

#[tokio::test]
async fn a_clock_that_jumps_removes_nothing_until_somebody_says_it_is_right() {
    let clock = Clock::hold();
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let further = [("PICGATE_DELETE_CLOUD_WITH_METADATA", "true"), ("PICGATE_CACHE_TTL_HOURS", "1")];
    let app = app_with(&upstream, &bucket, &further).await;
    let admin = Admin::set_up(&app).await;
    let id = draw(&app, &upstream, "precious", 6, 32).await;
    until_cloud(&admin, &id, "stored").await;
    app.gateway.sweep().look_now().await;
    for years in [10, -10] {
        clock.shift(years * 365 * DAY);
        admin.stays_signed_in().await;
        sweep(&app, &admin).await;
        assert!(local(&admin, &id).await, "{years} years");
        assert!(bucket.object(&format!("picgate/{id}")).is_some());
        let cache = admin.get("cache").await;
        assert_eq!(cache["sweep"]["paused"], "clock");
        if years > 0 {
            assert_eq!(cache["actions"]["clean_expired"]["reason"], "clock");
        }
        // Drawing and copying go on.
        let during = draw(&app, &upstream, "meanwhile", (60 + years) as u32, 32).await;
        until_cloud(&admin, &during, "stored").await;
    }
    clock.shift(2 * HOUR);
    admin.stays_signed_in().await;
    assert_eq!(admin.request(Method::POST, "cache/clock").json(&json!({})).send().await.unwrap().status(), 204);
    sweep(&app, &admin).await;
    assert!(!local(&admin, &id).await);
    assert!(bucket.object(&format!("picgate/{id}")).is_some());
}

#[tokio::test]
async fn what_is_being_read_is_read_to_its_end() {
    let _clock = Clock::hold();
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let app = app_with(&upstream, &bucket, &[]).await;
    let admin = Admin::set_up(&app).await;
    let bytes = pictures::large(9, 5_000_000);
    upstream.answers(Scripted::json(&json!({"data": [{"b64_json": pictures::base64(&bytes)}]})));
    let answer: Value = app.send("/v1/images/generations", &json!({"prompt": "x"})).await.json().await.unwrap();
    let link = answer["data"][0]["url"].as_str().unwrap().to_owned();
    let id = link.rsplit('/').next().unwrap();
    until_cloud(&admin, id, "stored").await;
    let evicting = async {
        for _ in 0..15 {
            run_job(&admin, &json!({"kind": "clear_local"})).await;
        }
    };
    let reading = async {
        for _ in 0..15 {
            assert!(app.image(&link).await == bytes);
        }
    };
    futures_util::future::join3(evicting, reading, async {
        for _ in 0..15 {
            assert!(app.image(&link).await == bytes);
        }
    })
    .await;
    assert_eq!(app.image(&link).await, bytes);
}

#[tokio::test]
async fn a_job_that_a_person_begins_looks_at_the_clock_first() {
    let clock = Clock::hold();
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let app = app_with(&upstream, &bucket, &[("PICGATE_DELETE_CLOUD_WITH_METADATA", "true")]).await;
    let admin = Admin::set_up(&app).await;
    let id = draw(&app, &upstream, "precious", 7, 32).await;
    until_cloud(&admin, &id, "stored").await;
    app.gateway.sweep().look_now().await;
    // Nobody has looked since it jumped.
    clock.shift(10 * 365 * DAY);
    admin.stays_signed_in().await;
    for kind in ["forget_metadata", "clean_expired", "enforce_cap"] {
        run_job(&admin, &json!({"kind": kind})).await;
    }
    assert!(local(&admin, &id).await);
    assert!(bucket.object(&format!("picgate/{id}")).is_some());
}

#[tokio::test]
async fn a_clock_that_goes_back_does_not_keep_copies_waiting() {
    let clock = Clock::hold();
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let app = app_with(&upstream, &bucket, &[]).await;
    let admin = Admin::set_up(&app).await;
    let gone = draw(&app, &upstream, "to be removed", 8, 32).await;
    until_cloud(&admin, &gone, "stored").await;
    bucket
        .break_with(&[Fault::RefuseMethod(Method::PUT, 400, "InvalidRequest"), Fault::RefuseMethod(Method::DELETE, 400, "InvalidRequest")]);
    let id = draw(&app, &upstream, "waits", 9, 32).await;
    until_cloud(&admin, &id, "failed").await;
    admin.send(Method::POST, "images/delete", &json!({"ids": [gone], "what": "all"})).await;
    eventually("the removal to be tried", async || (!bucket.seen(&Method::DELETE).is_empty()).then_some(())).await;
    clock.shift(-10 * 365 * DAY);
    admin.stays_signed_in().await;
    bucket.heal();
    until_cloud(&admin, &id, "stored").await;
    eventually("the object to go", async || bucket.object(&format!("picgate/{gone}")).is_none().then_some(())).await;
}

#[tokio::test]
async fn what_goes_beyond_the_cap_for_want_of_a_copy_takes_no_copy_along() {
    let clock = Clock::hold();
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let app = app_with(&upstream, &bucket, &[("PICGATE_CACHE_CAP_MB", "1"), ("PICGATE_EVICT_LAST_COPY", "true")]).await;
    let admin = Admin::set_up(&app).await;
    let bytes = pictures::large(10, 1_500_000);
    let mut ids = Vec::new();
    for _ in 0..2 {
        upstream.answers(Scripted::json(&json!({"data": [{"b64_json": pictures::base64(&bytes)}]})));
        let answer: Value = app.send("/v1/images/generations", &json!({"prompt": ids.len().to_string()})).await.json().await.unwrap();
        ids.push(answer["data"][0]["url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned());
        if ids.len() == 1 {
            until_cloud(&admin, &ids[0], "stored").await;
            bucket.break_with(&[Fault::RefuseMethod(Method::PUT, 400, "InvalidRequest")]);
        }
    }
    until_cloud(&admin, &ids[1], "failed").await;
    clock.shift(HOUR);
    admin.stays_signed_in().await;
    sweep(&app, &admin).await;
    bucket.heal();
    assert_eq!(app.get(&format!("/images/{}", ids[1])).await.status(), 404, "it had no copy, and that was chosen");
    assert!(!local(&admin, &ids[0]).await);
    assert_eq!(app.image(&format!("/images/{}", ids[0])).await, bytes, "the other one of the same bytes had one");
}
