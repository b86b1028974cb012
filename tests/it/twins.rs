//! Equal pictures help each other: where the object or the file of one is lost or damaged, a good copy of the same bytes
//! stands in for it, and what was lost is made again.

use reqwest::Method;
use serde_json::json;

use crate::support::{
    FakeBucket, FakeUpstream, Fault, TestApp,
    admin::{Admin, app_with, code, draw, run_job, until_cloud},
    eventually, pictures,
};

/// Two drawings with the same bytes, both confirmed in the bucket.
async fn pair(app: &TestApp, admin: &Admin<'_>, upstream: &FakeUpstream) -> (String, String) {
    let (one, other) = (draw(app, upstream, "twin", 60, 64).await, draw(app, upstream, "twin", 60, 64).await);
    assert_ne!(one, other);
    until_cloud(admin, &one, "stored").await;
    until_cloud(admin, &other, "stored").await;
    (one, other)
}

#[tokio::test]
async fn an_image_whose_object_is_gone_or_cut_is_read_from_that_of_an_equal_one_and_put_again() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let app = app_with(&upstream, &bucket, &[]).await;
    let admin = Admin::set_up(&app).await;
    let (one, other) = pair(&app, &admin, &upstream).await;
    let original = pictures::png(60, 64);
    let (key, link) = (format!("picgate/{one}"), format!("/images/{one}"));
    for damage in ["gone", "cut"] {
        run_job(&admin, &json!({"kind": "clear_local"})).await;
        match damage {
            "gone" => bucket.remove(&key),
            _ => bucket.put(&key, &original[..original.len() / 2]),
        }
        assert_eq!(app.image(&link).await, original, "{damage}");
        eventually("the object", async || (bucket.object(&key).as_ref() == Some(&original)).then_some(())).await;
        until_cloud(&admin, &one, "stored").await;
    }
    // Without an equal one it is lost, and said to be.
    admin.send(Method::POST, "images/delete", &json!({"ids": [other], "what": "all"})).await;
    run_job(&admin, &json!({"kind": "clear_local"})).await;
    bucket.remove(&key);
    assert_eq!(code(app.get(&link).await, 404).await, "image_missing");
}

#[tokio::test]
async fn an_object_with_other_bytes_is_found_out_once_and_then_passed_over() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let app = app_with(&upstream, &bucket, &[]).await;
    let admin = Admin::set_up(&app).await;
    let (one, _) = pair(&app, &admin, &upstream).await;
    run_job(&admin, &json!({"kind": "clear_local"})).await;
    let original = pictures::png(60, 64);
    let mut damaged = original.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    bucket.put(&format!("picgate/{one}"), &damaged);
    let first = app.get(&format!("/images/{one}")).await;
    assert!(first.bytes().await.is_err(), "what is wrong is never whole");
    assert_eq!(app.image(&format!("/images/{one}")).await, original);
    eventually("the object", async || (bucket.object(&format!("picgate/{one}")).as_ref() == Some(&original)).then_some(())).await;
}

#[tokio::test]
async fn a_file_that_is_lost_or_damaged_before_its_image_was_copied_comes_back_from_an_equal_one() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let app = app_with(&upstream, &bucket, &[]).await;
    let admin = Admin::set_up(&app).await;
    let original = pictures::png(61, 64);
    let one = draw(&app, &upstream, "first", 61, 64).await;
    until_cloud(&admin, &one, "stored").await;
    let digest = pictures::sha256(&original);
    let file = app.store().join("blobs").join(&digest[..2]).join(&digest);
    for damage in ["gone", "damaged"] {
        bucket.break_with(&[Fault::RefuseMethod(Method::PUT, 500, "InternalError")]);
        let other = draw(&app, &upstream, "second", 61, 64).await;
        until_cloud(&admin, &other, "failed").await;
        match damage {
            "gone" => std::fs::remove_file(&file).unwrap(),
            _ => std::fs::write(&file, vec![0; original.len()]).unwrap(),
        }
        if damage == "gone" {
            assert_eq!(app.image(&format!("/images/{other}")).await, original);
        }
        bucket.heal();
        run_job(&admin, &json!({"kind": "retry_failed"})).await;
        until_cloud(&admin, &other, "stored").await;
        assert_eq!(std::fs::read(&file).unwrap(), original, "{damage}");
        assert_eq!(bucket.object(&format!("picgate/{other}")).expect("an object"), original);
    }
}
