//! Several gateways behind one bucket, without a shared disk and without a shared database: what one draws the others
//! serve and draw on, what one deletes ends everywhere, and one that loses its disk goes on.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    FakeBucket, FakeUpstream, Fault, Scripted, TestApp,
    admin::{Admin, app_with, draw, listed, run_job},
    eventually,
    pictures::{self, base64},
};

const THROUGH: (&str, &str) = ("PICGATE_S3_WRITE", "through");

fn key(id: &str) -> String {
    format!("picgate/{id}")
}

#[tokio::test]
async fn an_image_drawn_at_one_is_edited_at_another_and_both_serve_the_result() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let (a, b) = (app_with(&upstream, &bucket, &[THROUGH]).await, app_with(&upstream, &bucket, &[THROUGH]).await);
    let id = draw(&a, &upstream, "a cat", 1, 64).await;
    upstream.answers(Scripted::json(&json!({"data": [{"b64_json": base64(&pictures::png(2, 64))}]})));
    let body = json!({"model": "picgate", "prompt": "blue", "images": [{"image_url": format!("{}/images/{id}", a.url)}]});
    let response = b.send("/v1/images/edits", &body).await;
    assert_eq!(response.status(), 200, "{:?}", response.text().await);
    let answer: Value = response.json().await.unwrap();
    let edited = answer["data"][0]["url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let sent = upstream.requests().last().unwrap().body.clone();
    let original = pictures::png(1, 64);
    let inside =
        sent.windows(original.len()).any(|window| window == original) || String::from_utf8_lossy(&sent).contains(&base64(&original));
    assert!(inside, "the upstream was sent the picture that the other gateway drew");
    assert_eq!(a.image(&format!("/images/{edited}")).await, pictures::png(2, 64));
    let admin = Admin::set_up(&b).await;
    let shown = listed(&admin, &edited).await;
    assert_eq!((shown["source"].as_str(), shown["made_from"][0]["id"].as_str()), (Some("edited"), Some(id.as_str())), "{shown}");
}

#[tokio::test]
async fn what_one_deletes_ends_at_the_others_when_their_files_go() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let (a, b) = (app_with(&upstream, &bucket, &[THROUGH]).await, app_with(&upstream, &bucket, &[THROUGH]).await);
    let (first, second) = (Admin::set_up(&a).await, Admin::set_up(&b).await);
    let id = draw(&a, &upstream, "short", 3, 32).await;
    assert_eq!(b.image(&format!("/images/{id}")).await, pictures::png(3, 32));
    first.send(Method::POST, "images/delete", &json!({"ids": [id], "what": "all"})).await;
    eventually("the object to go", async || bucket.object(&key(&id)).is_none().then_some(())).await;
    run_job(&second, &json!({"kind": "clear_local"})).await;
    run_job(&second, &json!({"kind": "upload_pending"})).await;
    for app in [&a, &b] {
        assert_eq!(app.get(&format!("/images/{id}")).await.status(), 404);
    }
    assert!(bucket.object(&key(&id)).is_none(), "nothing brought it back");
    assert_eq!(second.get("images").await["total"], 0);
}

/// What a person does not want in the bucket stays out of it, and costs nobody a file.
#[tokio::test]
async fn what_one_keeps_out_of_the_bucket_the_others_keep_on_disk() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let (a, b) = (app_with(&upstream, &bucket, &[THROUGH]).await, app_with(&upstream, &bucket, &[THROUGH]).await);
    let (first, second) = (Admin::set_up(&a).await, Admin::set_up(&b).await);
    let id = draw(&a, &upstream, "short", 3, 32).await;
    assert_eq!(b.image(&format!("/images/{id}")).await, pictures::png(3, 32));
    first.send(Method::POST, "images/delete", &json!({"ids": [id], "what": "cloud"})).await;
    eventually("the object to go", async || bucket.object(&key(&id)).is_none().then_some(())).await;
    run_job(&second, &json!({"kind": "clear_local"})).await;
    run_job(&second, &json!({"kind": "upload_pending"})).await;
    assert_eq!((listed(&second, &id).await["local"].clone(), listed(&second, &id).await["cloud"].clone()), (json!(true), json!("none")));
    for app in [&a, &b] {
        assert_eq!(app.image(&format!("/images/{id}")).await, pictures::png(3, 32));
    }
    assert!(bucket.object(&key(&id)).is_none(), "nothing brought it back");
}

/// A marker costs nobody a file that would not go anyway: whoever may write to the bucket must not have power over disks.
#[tokio::test]
async fn a_marker_alone_takes_neither_files_nor_objects() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let app = app_with(&upstream, &bucket, &[THROUGH]).await;
    let admin = Admin::set_up(&app).await;
    let mark = |id: &str| bucket.put(&format!("picgate/deleted/{id}"), b"deleted");
    // One whose object was removed by hand, too, one whose object is there, and one that is still to be copied.
    let (gone, there) = (draw(&app, &upstream, "gone", 5, 32).await, draw(&app, &upstream, "there", 6, 32).await);
    bucket.break_with(&[Fault::RefuseMethod(Method::PUT, 500, "InternalError")]);
    let new = draw(&app, &upstream, "new", 7, 32).await;
    for id in [&gone, &there, &new] {
        mark(id);
    }
    bucket.remove(&key(&gone));
    bucket.heal();
    run_job(&admin, &json!({"kind": "retry_failed"})).await;
    run_job(&admin, &json!({"kind": "check_files"})).await;
    for (id, seed) in [(&gone, 5), (&there, 6), (&new, 7)] {
        assert_eq!(app.image(&format!("/images/{id}")).await, pictures::png(seed, 32));
        assert_eq!(listed(&admin, id).await["local"], true);
    }
    assert!(bucket.object(&key(&there)).is_some());
}

/// What a person brought back from a backup outranks that it was deleted once.
#[tokio::test]
async fn a_backup_brings_back_what_was_deleted_since() {
    use crate::backup::{run, text};
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let app = app_with(&upstream, &bucket, &[THROUGH]).await;
    let admin = Admin::set_up(&app).await;
    let (one, two) = (draw(&app, &upstream, "one", 8, 32).await, draw(&app, &upstream, "two", 9, 32).await);
    let work = tempfile::tempdir().unwrap();
    let file = work.path().join("backup.tar");
    assert_eq!(run(app.dir.path(), &["backup", text(&file)], &[]).await.2, 0);
    admin.send(Method::POST, "images/delete", &json!({"ids": [one], "what": "all"})).await;
    eventually("the object to go", async || bucket.object(&key(&one)).is_none().then_some(())).await;
    app.stop().await;
    let target = tempfile::tempdir().unwrap();
    let (said, errors, code) = run(target.path(), &["restore", text(&file)], &[]).await;
    assert_eq!(code, 0, "{said} {errors}");
    let variables = bucket.variables();
    let mut variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    variables.push(THROUGH);
    let app = TestApp::in_folder(target, &variables).await;
    let admin = Admin::set_up(&app).await;
    for id in [&one, &two] {
        crate::support::admin::until_cloud(&admin, id, "stored").await;
    }
    run_job(&admin, &json!({"kind": "clear_local"})).await;
    for (id, seed) in [(&one, 8), (&two, 9)] {
        assert_eq!(app.image(&format!("/images/{id}")).await, pictures::png(seed, 32));
    }
}

#[tokio::test]
async fn a_gateway_deletes_nothing_that_only_others_know() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let (a, b) = (app_with(&upstream, &bucket, &[THROUGH]).await, app_with(&upstream, &bucket, &[THROUGH]).await);
    let (id, second) = (draw(&a, &upstream, "theirs", 10, 32).await, Admin::set_up(&b).await);
    let answer = second.send(Method::POST, "images/delete", &json!({"ids": [id], "what": "all"})).await;
    assert_eq!(answer["items"][0]["code"], "not_found", "{answer}");
    let own = draw(&b, &upstream, "own", 11, 32).await;
    second.send(Method::POST, "images/delete", &json!({"ids": [own], "what": "all"})).await;
    eventually("removals to be done", async || bucket.object(&key(&own)).is_none().then_some(())).await;
    assert!(bucket.object(&key(&id)).is_some());
    assert_eq!(a.image(&format!("/images/{id}")).await, pictures::png(10, 32));
}

/// An object that nobody says to have deleted was lost by mistake.
#[tokio::test]
async fn what_vanished_from_the_bucket_is_put_again_by_whoever_misses_it() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let (a, b) = (app_with(&upstream, &bucket, &[THROUGH]).await, app_with(&upstream, &bucket, &[THROUGH]).await);
    let (first, second) = (Admin::set_up(&a).await, Admin::set_up(&b).await);
    let id = draw(&a, &upstream, "short", 3, 32).await;
    run_job(&first, &json!({"kind": "clear_local"})).await;
    assert_eq!(b.image(&format!("/images/{id}")).await, pictures::png(3, 32));
    bucket.remove(&key(&id));
    run_job(&second, &json!({"kind": "clear_local"})).await;
    eventually("the object to be back", async || bucket.object(&key(&id)).map(|_| ())).await;
    for app in [&a, &b] {
        assert_eq!(app.image(&format!("/images/{id}")).await, pictures::png(3, 32));
    }
}

/// A bucket that is gone answers HEAD like one without the object: no image is to blame for that.
#[tokio::test]
async fn a_bucket_that_is_gone_keeps_files_and_their_place_in_it() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let app = app_with(&upstream, &bucket, &[THROUGH]).await;
    let admin = Admin::set_up(&app).await;
    let id = draw(&app, &upstream, "kept", 9, 32).await;
    bucket.break_with(&[Fault::Refuse(404, "NoSuchBucket")]);
    run_job(&admin, &json!({"kind": "clear_local"})).await;
    bucket.heal();
    let shown = listed(&admin, &id).await;
    assert_eq!((shown["local"].clone(), shown["cloud"].clone()), (json!(true), json!("stored")), "{shown}");
}

/// Copies come first: whoever has a link finds the object, also when the background would have taken it up itself.
#[tokio::test]
async fn many_links_given_out_at_once_work_at_the_other_at_once() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let (a, b) = (app_with(&upstream, &bucket, &[THROUGH]).await, app_with(&upstream, &bucket, &[THROUGH]).await);
    let (a, b, bucket) = (&a, &b, &bucket);
    for seed in 0..24 {
        upstream.answers(Scripted::json(&json!({"data": [{"b64_json": base64(&pictures::png(100 + seed, 24))}]})));
    }
    let drawing = (0..24).map(|number| async move {
        let body = json!({"prompt": format!("number {number}"), "model": "picgate"});
        let answer: Value = a.send("/v1/images/generations", &body).await.json().await.unwrap();
        let id = answer["data"][0]["url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        assert!(bucket.object(&key(&id)).is_some(), "{id} is in the bucket before its link is given out");
        assert_eq!(b.image(&format!("/images/{id}")).await, a.image(&format!("/images/{id}")).await);
    });
    futures_util::future::join_all(drawing).await;
}

#[tokio::test]
async fn a_bucket_that_is_away_costs_a_drawing_no_time_once_that_is_known() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    bucket.break_with(&[Fault::Refuse(403, "AccessDenied")]);
    let app = app_with(&upstream, &bucket, &[THROUGH]).await;
    let admin = Admin::set_up(&app).await;
    draw(&app, &upstream, "first", 4, 32).await;
    crate::support::admin::until_bucket(&admin, "paused").await;
    bucket.forget_seen();
    let ids = [draw(&app, &upstream, "second", 5, 32).await, draw(&app, &upstream, "third", 6, 32).await];
    assert!(bucket.seen(&Method::PUT).is_empty(), "the link of a paid picture does not wait for a bucket that refuses");
    bucket.heal();
    run_job(&admin, &json!({"kind": "upload_pending"})).await;
    for id in ids {
        eventually("the object", async || bucket.object(&key(&id)).map(|_| ())).await;
    }
}

/// Two people send the same picture to two gateways: two ids of equal bytes, each of which is good at the other.
#[tokio::test]
async fn the_same_upload_at_two_gateways_is_two_links_that_both_keep() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let (a, b) = (app_with(&upstream, &bucket, &[THROUGH]).await, app_with(&upstream, &bucket, &[THROUGH]).await);
    let picture = pictures::png(7, 32);
    for app in [&a, &b] {
        upstream.answers(Scripted::json(&json!({"data": [{"b64_json": base64(&pictures::png(8, 32))}]})));
        let body = json!({"model": "picgate", "prompt": "blue", "images": [{"image_url": pictures::data_url("image/png", &picture)}]});
        assert_eq!(app.send("/v1/images/edits", &body).await.status(), 200);
    }
    let ((at_a, _a), (at_b, admin)) = (uploaded(&a).await, uploaded(&b).await);
    assert_ne!(at_a, at_b);
    assert_eq!(b.image(&format!("/images/{at_a}")).await, picture);
    // It has a row there now, so the bucket is not asked for it again.
    eventually("the row", async || {
        let response = admin.request(Method::GET, &format!("images/{at_a}")).send().await.unwrap();
        (response.status() == StatusCode::OK).then_some(())
    })
    .await;
    bucket.forget_seen();
    assert_eq!(b.image(&format!("/images/{at_a}")).await, picture);
    assert!(bucket.seen(&Method::GET).is_empty());
}

#[tokio::test]
async fn a_gateway_that_loses_its_whole_disk_goes_on() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let a = app_with(&upstream, &bucket, &[THROUGH]).await;
    let mut ids = Vec::new();
    for seed in 20..26 {
        ids.push(draw(&a, &upstream, "kept", seed, 32).await);
    }
    drop(a.stop().await);
    let a = app_with(&upstream, &bucket, &[THROUGH]).await;
    let a = &a;
    let all = futures_util::future::join_all(ids.iter().map(|id| async move { a.image(&format!("/images/{id}")).await })).await;
    for (at, bytes) in all.into_iter().enumerate() {
        assert_eq!(bytes, pictures::png(20 + at as u32, 32));
    }
    let link = format!("{}/images/{}", a.url, ids[0]);
    upstream.answers(Scripted::json(&json!({"choices": [{"message": {"role": "assistant", "content": "ok"}}]})));
    a.chat(&json!({"model": "picgate", "messages": [{"role": "user", "content": format!("make it blue ![x]({link})")}]})).await;
    let sent = upstream.requests().last().unwrap().body.clone();
    assert!(String::from_utf8_lossy(&sent).contains(&base64(&pictures::png(20, 32))));
}

/// The one picture that a user has sent, and the admin who knows of it.
async fn uploaded(app: &TestApp) -> (String, Admin<'_>) {
    let admin = Admin::set_up(app).await;
    let page = admin.get("images?source=uploaded").await;
    (page["items"][0]["id"].as_str().unwrap().to_owned(), admin)
}
