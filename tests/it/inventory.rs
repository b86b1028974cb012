//! The job that checks files looks into the bucket as well: what a person removed there, or cut, is found, put again where its
//! bytes are at hand, and counted as missing where they are nowhere.

use reqwest::Method;
use serde_json::json;

use crate::support::{
    FakeBucket, FakeUpstream, Fault,
    admin::{Admin, app_with, code, draw, listed, run_job, until_bucket, until_cloud},
    eventually, pictures,
};

#[tokio::test]
async fn objects_that_were_removed_by_hand_are_noticed_put_again_or_told_to_be_missing() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let app = app_with(&upstream, &bucket, &[]).await;
    let admin = Admin::set_up(&app).await;
    let mut ids = Vec::new();
    for seed in 70..75 {
        ids.push(draw(&app, &upstream, "to be checked", seed, 48).await);
    }
    for id in &ids {
        until_cloud(&admin, id, "stored").await;
    }
    // More than a page of somebody else's, in front of ours.
    for n in 0..1100 {
        bucket.put(&format!("picgate/-strange-{n:04}"), b"not ours");
    }
    let (here, cut, away, fine) = (&ids[0], &ids[1], &ids[2], &ids[3]);
    admin.send(Method::POST, "images/delete", &json!({"ids": [away], "what": "local"})).await;
    assert_eq!(listed(&admin, away).await["local"], false);
    let checked = run_job(&admin, &json!({"kind": "check_files"})).await;
    assert_eq!(
        (checked["state"].as_str(), checked["done"].as_u64(), checked["failed"].as_u64()),
        (Some("done"), Some(5), Some(0)),
        "{checked}"
    );

    bucket.remove(&format!("picgate/{here}"));
    bucket.put(&format!("picgate/{cut}"), &pictures::png(71, 48)[..100]);
    bucket.remove(&format!("picgate/{away}"));
    bucket.forget_seen();
    let checked = run_job(&admin, &json!({"kind": "check_files"})).await;
    assert_eq!(
        (checked["state"].as_str(), checked["done"].as_u64(), checked["failed"].as_u64()),
        (Some("done"), Some(5), Some(3)),
        "{checked}"
    );
    for (id, seed) in [(here, 70), (cut, 71)] {
        until_cloud(&admin, id, "stored").await;
        assert_eq!(bucket.object(&format!("picgate/{id}")).expect("put again"), pictures::png(seed, 48));
    }
    assert_eq!(admin.get("stats").await["images"]["missing"], 1);
    assert_eq!(code(app.get(&format!("/images/{away}")).await, 404).await, "image_missing");
    assert_eq!(listed(&admin, fine).await["cloud"], "stored");

    // Put back by hand, it is found again.
    bucket.put(&format!("picgate/{away}"), &pictures::png(72, 48));
    run_job(&admin, &json!({"kind": "retry_failed"})).await;
    until_cloud(&admin, away, "stored").await;
    assert_eq!(admin.get("stats").await["images"]["missing"], 0);
    assert_eq!(app.image(&format!("/images/{away}")).await, pictures::png(72, 48));
}

/// It is lost, which is no failure of an upload, and no reason to ask for it for ever.
#[tokio::test]
async fn an_image_that_is_nowhere_is_missing_until_somebody_brings_it_back() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let app = app_with(&upstream, &bucket, &[]).await;
    let admin = Admin::set_up(&app).await;
    bucket.break_with(&[Fault::Only(Method::PUT, Box::new(Fault::Refuse(403, "AccessDenied")))]);
    let id = draw(&app, &upstream, "lost", 80, 48).await;
    until_bucket(&admin, "paused").await;
    let bytes = pictures::png(80, 48);
    let digest = pictures::sha256(&bytes);
    std::fs::remove_file(app.store().join("blobs").join(&digest[..2]).join(&digest)).expect("removes");
    bucket.heal();
    run_job(&admin, &json!({"kind": "check_files"})).await;
    eventually("it to be looked for", async || (admin.get("cache").await["uploads"]["pending"] == 0).then_some(())).await;
    let cache = admin.get("cache").await;
    assert_eq!((&cache["uploads"]["failed"], &cache["missing"]["count"]), (&json!(0), &json!(1)), "{cache}");
    assert_eq!(admin.get("images?state=failed").await["total"], 0);
    assert_eq!(admin.get("images?state=missing").await["total"], 1);

    bucket.put(&format!("picgate/{id}"), &bytes);
    run_job(&admin, &json!({"kind": "check_files"})).await;
    until_cloud(&admin, &id, "stored").await;
    assert_eq!(app.image(&format!("/images/{id}")).await, bytes);
}

#[tokio::test]
async fn a_bucket_that_cannot_be_asked_condemns_nothing() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let app = app_with(&upstream, &bucket, &[]).await;
    let admin = Admin::set_up(&app).await;
    let id = draw(&app, &upstream, "stays", 76, 48).await;
    until_cloud(&admin, &id, "stored").await;
    until_bucket(&admin, "ok").await;
    bucket.break_with(&[Fault::Refuse(403, "AccessDenied")]);
    let checked = run_job(&admin, &json!({"kind": "check_files"})).await;
    assert_eq!(checked["state"], "failed", "{checked}");
    assert!(checked["message"].as_str().is_some_and(|words| words.contains("bucket")), "{checked}");
    assert_eq!(listed(&admin, &id).await["cloud"], "stored");
    bucket.heal();
    let checked = run_job(&admin, &json!({"kind": "check_files"})).await;
    assert_eq!((checked["state"].as_str(), checked["failed"].as_u64()), (Some("done"), Some(0)), "{checked}");
    eventually("the bucket to be well", async || (admin.get("cache").await["bucket"]["state"] == "ok").then_some(())).await;
}
