//! Another bucket than before, or none: images whose only bytes are in the present one do not vanish with a slip of the pen,
//! and whoever left some behind is told of it and finds them again.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    FakeBucket, FakeUpstream, Fault, TestApp,
    admin::{Admin, code, draw, listed, run_job, until_bucket, until_cloud},
    bucket::{BUCKET, OTHER},
    eventually, pictures,
};

/// A gateway whose bucket's name and prefix stand in the settings, with `n` images that are in the bucket alone; and the
/// cookie of its admin.
async fn with_evicted(upstream: &FakeUpstream, bucket: &FakeBucket, n: u32) -> (TestApp, Vec<String>, String) {
    let variables = bucket.variables();
    let mut fixed: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    fixed.retain(|(name, _)| *name != "PICGATE_R2_BUCKET");
    let app = TestApp::over_with(upstream, "up-model", &fixed).await;
    let admin = Admin::set_up(&app).await;
    change(&admin, "r2_bucket", BUCKET, false).await;
    let mut ids = Vec::new();
    for seed in 0..n {
        ids.push(draw(&app, upstream, "evicted", 40 + seed, 48).await);
    }
    for id in &ids {
        until_cloud(&admin, id, "stored").await;
    }
    run_job(&admin, &json!({"kind": "clear_local"})).await;
    assert_eq!(listed(&admin, &ids[0]).await["local"], false);
    let cookie = admin.cookie.clone();
    (app, ids, cookie)
}

async fn try_change(admin: &Admin<'_>, key: &str, value: &str, leave: bool) -> reqwest::Response {
    let body = json!({"values": {key: value}, "leave_images": leave, "password": "correct horse"});
    admin.request(Method::PATCH, "settings").json(&body).send().await.expect("an answer")
}

async fn change(admin: &Admin<'_>, key: &str, value: &str, leave: bool) {
    let response = try_change(admin, key, value, leave).await;
    assert_eq!(response.status(), 200, "{:?}", response.text().await);
}

async fn refused(response: reqwest::Response) -> (String, Value) {
    assert_eq!(response.status(), 409);
    let body: Value = response.json().await.expect("JSON");
    (body["error"]["code"].as_str().expect("a code").to_owned(), body["error"]["count"].clone())
}

#[tokio::test]
async fn a_change_that_would_hide_images_is_refused_with_their_number_until_somebody_says_that_it_is_meant() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let (app, ids, cookie) = with_evicted(&upstream, &bucket, 3).await;
    let admin = Admin::again(&app, &cookie);
    for (key, value) in [("r2_bucket", OTHER), ("s3_prefix", "elsewhere/"), ("r2_bucket", "")] {
        let (code, count) = refused(try_change(&admin, key, value, false).await).await;
        assert_eq!((code.as_str(), count.as_i64()), ("images_left_behind", Some(3)), "{key}={value}");
    }
    // Nothing was changed by it, and what hides nothing is not asked about.
    assert_eq!(app.image(&format!("/images/{}", ids[0])).await, pictures::png(40, 48));
    run_job(&admin, &json!({"kind": "clear_local"})).await;
    change(&admin, "s3_region", "eu-west-1", false).await;
    change(&admin, "history_images", "9", false).await;
    assert_eq!(admin.get("stats").await["left_behind"], Value::Null);

    change(&admin, "r2_bucket", OTHER, true).await;
    until_bucket(&admin, "ok").await;
    let gone = app.get(&format!("/images/{}", ids[1])).await;
    assert_eq!(code(gone, 404).await, "image_left_behind");
    // A drawing without it would be paid for and be another one than was wanted.
    let link = format!("{}/images/{}", app.url, ids[1]);
    let edit = json!({"model": "picgate", "prompt": "blue", "images": [{"image_url": link}]});
    let messages = json!([{"role": "user", "content": "draw a cat"}, {"role": "assistant", "content": format!("![]({link})")},
                          {"role": "user", "content": "make it blue"}]);
    let asked = upstream.requests().len();
    for (path, body) in [("/v1/images/edits", edit), ("/v1/chat/completions", json!({"model": "picgate", "messages": messages}))] {
        assert_eq!(code(app.send(path, &body).await, 400).await, "image_left_behind", "{path}");
    }
    assert_eq!(upstream.requests().len(), asked, "nothing was asked of the upstream");
    for page in ["stats", "cache"] {
        let left = admin.get(page).await["left_behind"].clone();
        assert_eq!(left["count"], 3, "{page}");
        assert!(left["place"].as_str().expect("a place").ends_with(&format!("/{BUCKET}/picgate")), "{left}");
    }
    // They are neither lost nor failures, and pages say where they are, also after each was looked for in the new bucket.
    eventually("all to be looked for", async || {
        let cache = admin.get("cache").await;
        (cache["uploads"]["pending"] == 0).then_some(())
    })
    .await;
    let cache = admin.get("cache").await;
    assert_eq!((&cache["elsewhere"]["count"], &cache["missing"]["count"]), (&json!(3), &json!(0)), "{cache}");
    assert_eq!(cache["uploads"]["failed"], 0, "{cache}");
    for (state, total) in [("elsewhere", 3), ("missing", 0), ("failed", 0)] {
        assert_eq!(admin.get(&format!("images?state={state}")).await["total"], total, "{state}");
    }
    assert_eq!(listed(&admin, &ids[2]).await["elsewhere"], true);
    // Going back hides nothing, so it is not asked about, and brings them.
    change(&admin, "r2_bucket", BUCKET, false).await;
    assert_eq!(listed(&admin, &ids[2]).await["elsewhere"], false);
    for (seed, id) in ids.iter().enumerate() {
        assert_eq!(app.image(&format!("/images/{id}")).await, pictures::png(40 + seed as u32, 48));
    }
    assert_eq!(admin.get("stats").await["left_behind"], Value::Null);
}

#[tokio::test]
async fn calls_to_a_bucket_that_is_used_no_longer_hold_up_the_one_that_is_and_say_nothing_of_it() {
    let (upstream, before, after) = (FakeUpstream::start().await, FakeBucket::start().await, FakeBucket::start().await);
    let variables = before.variables();
    let mut fixed: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    fixed.retain(|(name, _)| *name != "PICGATE_S3_ENDPOINT");
    let app = TestApp::over_with(&upstream, "up-model", &fixed).await;
    let admin = Admin::set_up(&app).await;
    change(&admin, "s3_endpoint", &format!("http://{}", before.address), false).await;
    until_bucket(&admin, "ok").await;
    before.break_with(&[Fault::Only(Method::PUT, Box::new(Fault::Slow(Duration::from_secs(600))))]);
    let mut ids = Vec::new();
    for seed in 0..6 {
        ids.push(draw(&app, &upstream, "slow", 60 + seed, 48).await);
    }
    eventually("uploads to be under way", async || (before.seen(&Method::PUT).len() == 4).then_some(())).await;
    change(&admin, "s3_endpoint", &format!("http://{}", after.address), false).await;
    for id in &ids {
        until_cloud(&admin, id, "stored").await;
        assert!(after.object(&format!("picgate/{id}")).is_some());
    }
    assert_eq!(admin.get("cache").await["bucket"]["state"], "ok");
}

/// A moment of 404 does not make it so that nobody is asked.
#[tokio::test]
async fn images_that_the_bucket_seems_not_to_have_count_too() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let (app, ids, cookie) = with_evicted(&upstream, &bucket, 3).await;
    let admin = Admin::again(&app, &cookie);
    bucket.break_with(&[Fault::Refuse(404, "NoSuchKey")]);
    for id in &ids {
        assert_eq!(app.get(&format!("/images/{id}")).await.status(), 404);
        until_cloud(&admin, id, "failed").await;
    }
    let (code, count) = refused(try_change(&admin, "r2_bucket", OTHER, false).await).await;
    assert_eq!((code.as_str(), count.as_i64()), ("images_left_behind", Some(3)));
    bucket.heal();
    run_job(&admin, &json!({"kind": "retry_failed"})).await;
    for (seed, id) in ids.iter().enumerate() {
        until_cloud(&admin, id, "stored").await;
        assert_eq!(app.image(&format!("/images/{id}")).await, pictures::png(40 + seed as u32, 48));
    }
}

#[tokio::test]
async fn images_that_were_copied_to_the_new_bucket_are_found_there_and_no_longer_count_as_left_behind() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let (app, ids, cookie) = with_evicted(&upstream, &bucket, 2).await;
    let admin = Admin::again(&app, &cookie);
    for id in &ids {
        let object = bucket.object(&format!("picgate/{id}")).expect("an object");
        let copy = bucket.path_in(OTHER, &format!("picgate/{id}"));
        std::fs::create_dir_all(copy.parent().expect("a folder")).expect("makes it");
        std::fs::write(copy, object).expect("writes");
    }
    change(&admin, "r2_bucket", OTHER, true).await;
    for id in &ids {
        until_cloud(&admin, id, "stored").await;
    }
    assert_eq!(admin.get("stats").await["left_behind"], Value::Null);
    assert_eq!(app.image(&format!("/images/{}", ids[1])).await, pictures::png(41, 48));
}

#[tokio::test]
async fn a_variable_that_changes_the_bucket_at_a_start_is_told_in_the_log_and_on_the_dashboard() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let (app, ids, cookie) = with_evicted(&upstream, &bucket, 2).await;
    let dir = app.stop().await;
    let mut variables: Vec<(&str, String)> = bucket.variables();
    variables.retain(|(name, _)| *name != "PICGATE_R2_BUCKET");
    variables.push(("PICGATE_R2_BUCKET", OTHER.to_owned()));
    let borrowed: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let app = TestApp::in_folder(dir, &borrowed).await;
    let admin = Admin::again(&app, &cookie);
    assert_eq!(admin.get("stats").await["left_behind"]["count"], 2);
    eventually("404 with the reason", async || {
        let response = app.get(&format!("/images/{}", ids[0])).await;
        (response.status() == 404).then_some(response)
    })
    .await;
    // Without any bucket it is the same.
    let dir = app.stop().await;
    let app = TestApp::in_folder(dir, &[("PICGATE_R2_BUCKET", "")]).await;
    let admin = Admin::again(&app, &cookie);
    let left = admin.get("stats").await["left_behind"].clone();
    assert_eq!(left["count"], 2, "{left}");
    assert_eq!(code(app.get(&format!("/images/{}", ids[0])).await, 404).await, "image_left_behind");
}
