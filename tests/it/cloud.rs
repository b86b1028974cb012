//! Copies in a bucket: made at once, confirmed by what the server computed, fetched back when they are wanted, and gone
//! when they were deleted. Whatever the bucket does wrong, everything ends well once it is healed.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    FakeBucket, FakeUpstream, Fault, PATIENCE, Scripted, TestApp,
    admin::{Admin, app_with, code, draw, listed, run_job, until_bucket, until_cloud},
    bucket::{BUCKET, OTHER},
    eventually, pictures,
};

#[tokio::test]
async fn a_saved_image_is_copied_at_once_and_comes_back_when_its_file_is_gone() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let app = app_with(&upstream, &bucket, &[]).await;
    let admin = Admin::set_up(&app).await;
    let began = Instant::now();
    let id = draw(&app, &upstream, "a cat", 1, 64).await;
    until_cloud(&admin, &id, "stored").await;
    assert!(began.elapsed() < Duration::from_secs(20), "not a minute later: {:?}", began.elapsed());
    let original = pictures::png(1, 64);
    assert_eq!(bucket.object(&format!("picgate/{id}")).expect("an object"), original);
    // One checksum, and what tells of the image travels with it; prompts do not.
    let put = bucket.seen(&Method::PUT).remove(0);
    assert!(put.headers.contains_key("content-md5"));
    assert!(!put.headers.keys().any(|name| name.as_str().starts_with("x-amz-checksum") || name == "x-amz-trailer"), "{:?}", put.headers);
    assert_eq!(put.headers["if-none-match"], "*");
    assert_eq!(put.headers["content-type"], "image/png");
    assert_eq!(put.headers["x-amz-meta-sha256"], pictures::sha256(&original).as_str());
    assert!(!format!("{:?}", put.headers).contains("a cat"));

    let job = run_job(&admin, &json!({"kind": "clear_local"})).await;
    assert_eq!((job["state"].as_str(), job["done"].as_u64(), job["failed"].as_u64()), (Some("done"), Some(1), Some(0)), "{job}");
    let shown = listed(&admin, &id).await;
    assert_eq!((shown["local"].as_bool(), shown["cloud"].as_str()), (Some(false), Some("stored")));
    let health: Value = app.get("/health").await.json().await.unwrap();
    assert_eq!(health["status"], "ok", "what is in the bucket is not missing: {health}");
    // The thumbnail stayed, and asking for it fetches nothing.
    bucket.forget_seen();
    assert_eq!(app.get(&format!("/images/{id}/thumbnail")).await.status(), 200);
    assert!(bucket.seen(&Method::GET).is_empty());
    let back = app.get(&format!("/images/{id}")).await;
    assert_eq!(back.headers()["content-length"], original.len().to_string().as_str());
    assert_eq!(back.bytes().await.unwrap(), original);
    eventually("the file", async || (listed(&admin, &id).await["local"] == true).then_some(())).await;
    assert_eq!(app.image(&format!("/images/{id}")).await, original);
    assert_eq!(bucket.seen(&Method::GET).len(), 1, "fetched once");
    let range = app.http.get(format!("{}/images/{id}", app.url)).header("range", "bytes=10-19").send().await.unwrap();
    assert_eq!(range.bytes().await.unwrap(), &original[10..20]);
}

#[tokio::test]
async fn many_who_want_an_image_back_share_one_download() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let app = app_with(&upstream, &bucket, &[]).await;
    let admin = Admin::set_up(&app).await;
    upstream.answers(Scripted::json(&json!({"data": [{"b64_json": pictures::base64(&pictures::large(7, 3_000_000))}]})));
    let answer: Value = app.send("/v1/images/generations", &json!({"prompt": "large"})).await.json().await.unwrap();
    let link = answer["data"][0]["url"].as_str().unwrap().to_owned();
    let id = link.rsplit('/').next().unwrap();
    until_cloud(&admin, id, "stored").await;
    run_job(&admin, &json!({"kind": "clear_local"})).await;
    bucket.forget_seen();
    bucket.break_with(&[Fault::Slow(Duration::from_millis(100))]);
    let readers = (0..20).map(|_| app.image(&link));
    let all = futures_util::future::join_all(readers).await;
    assert!(all.iter().all(|bytes| *bytes == pictures::large(7, 3_000_000)));
    assert_eq!(bucket.seen(&Method::GET).len(), 1);
}

#[tokio::test]
async fn a_conversation_goes_on_with_an_image_that_is_only_in_the_bucket() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let app = app_with(&upstream, &bucket, &[]).await;
    let admin = Admin::set_up(&app).await;
    let id = draw(&app, &upstream, "a cat", 3, 64).await;
    until_cloud(&admin, &id, "stored").await;
    run_job(&admin, &json!({"kind": "clear_local"})).await;
    let question = json!({"model": "picgate", "messages": [
        {"role": "user", "content": "draw a cat"},
        {"role": "assistant", "content": format!("![cat]({}/images/{id})", app.url)},
        {"role": "user", "content": "make it blue"},
    ]});
    // While the bucket is away nothing is sent to the upstream: a drawing without the picture would be paid for.
    bucket.break_with(&[Fault::Refuse(503, "ServiceUnavailable")]);
    let before = upstream.requests().len();
    let refused = app.send("/v1/chat/completions", &question).await;
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["x-should-retry"], "true");
    let body: Value = refused.json().await.unwrap();
    assert_eq!(body["error"]["code"], "bucket_unavailable");
    assert_eq!(upstream.requests().len(), before);
    bucket.heal();
    upstream.answers(Scripted::json(&json!({"choices": [{"message": {"role": "assistant", "content": "done"}}]})));
    app.chat(&question).await;
    let sent = upstream.requests().last().unwrap().body.clone();
    assert!(String::from_utf8_lossy(&sent).contains(&pictures::base64(&pictures::png(3, 64))));
}

#[tokio::test]
async fn wrong_keys_pause_the_queue_with_one_alert_and_not_a_storm() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    bucket.break_with(&[Fault::Refuse(403, "InvalidAccessKeyId")]);
    let app = app_with(&upstream, &bucket, &[]).await;
    let admin = Admin::set_up(&app).await;
    for seed in 0..8 {
        draw(&app, &upstream, "many", 200 + seed, 32).await;
    }
    let cache = until_bucket(&admin, "paused").await;
    assert_eq!(cache["bucket"]["code"], "wrong_key", "{cache}");
    assert!(cache["bucket"]["next_try_at"].as_i64().is_some());
    assert_eq!((cache["uploads"]["pending"].as_i64(), cache["uploads"]["failed"].as_i64()), (Some(8), Some(0)), "no image is to blame");
    let tried = bucket.seen(&Method::PUT).len() + bucket.seen(&Method::GET).len();
    assert!(tried <= 3, "{tried} requests");
    let stats = admin.get("stats").await;
    assert_eq!(stats["uploads"]["pending"], 8);
}

#[tokio::test]
async fn a_bucket_that_is_set_later_gets_what_was_drawn_before_and_mends_itself_when_keys_are_corrected() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let app = TestApp::over(&upstream).await;
    let admin = Admin::set_up(&app).await;
    let id = draw(&app, &upstream, "early", 5, 32).await;
    assert_eq!(listed(&admin, &id).await["cloud"], "none");
    let mut values = json!({"s3_endpoint": format!("http://{}", bucket.address), "r2_access_key_id": "AKID", "r2_bucket": "pictures",
                            "r2_secret_access_key": "not-the-secret"});
    let answer = admin.send(Method::PATCH, "settings", &json!({"values": values, "password": "correct horse"})).await;
    let item = |answer: &Value, key: &str| answer["items"].as_array().unwrap().iter().find(|item| item["key"] == key).unwrap().clone();
    assert_eq!(
        (item(&answer, "r2_secret_access_key")["value"].as_str(), item(&answer, "r2_secret_access_key")["is_set"].as_bool()),
        (Some(""), Some(true))
    );
    let cache = until_bucket(&admin, "paused").await;
    assert_eq!(cache["bucket"]["code"], "wrong_secret", "{cache}");
    let tested = admin.send(Method::POST, "bucket/test", &json!({})).await;
    assert_eq!((tested["ok"].as_bool(), tested["steps"][1]["code"].as_str()), (Some(false), Some("wrong_secret")), "{tested}");
    values["r2_secret_access_key"] = crate::support::bucket::SECRET.into();
    admin.send(Method::PATCH, "settings", &json!({"values": values})).await;
    until_cloud(&admin, &id, "stored").await;
    let tested = admin.send(Method::POST, "bucket/test", &json!({})).await;
    assert_eq!(tested["ok"], true, "{tested}");
    assert_eq!(bucket.keys("picgate"), [id.as_str()], "the test leaves nothing behind");
    // A stored secret is not sent to an address that was only typed in.
    bucket.forget_seen();
    let stranger = FakeBucket::start().await;
    let tested = admin.send(Method::POST, "bucket/test", &json!({"s3_endpoint": format!("http://{}", stranger.address)})).await;
    assert_eq!(tested["steps"][0]["code"], "not_configured");
    assert!(stranger.seen(&Method::GET).is_empty());
    // Nor is it anywhere but in its file.
    let database = std::fs::read(app.store().join("picgate.sqlite3")).unwrap();
    assert!(!String::from_utf8_lossy(&database).contains(crate::support::bucket::SECRET));
}

#[tokio::test]
async fn deleting_is_final_in_all_places_also_when_the_bucket_is_away() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let app = app_with(&upstream, &bucket, &[]).await;
    let admin = Admin::set_up(&app).await;
    let id = draw(&app, &upstream, "to be deleted", 9, 32).await;
    until_cloud(&admin, &id, "stored").await;
    bucket.break_with(&[Fault::Reset]);
    let deleted = admin.send(Method::POST, "images/delete", &json!({"ids": [id], "what": "all"})).await;
    assert_eq!(deleted["items"][0]["ok"], true);
    let gone = app.get(&format!("/images/{id}")).await;
    assert_eq!(gone.status(), 404, "not fetched from the bucket again");
    bucket.heal();
    assert_eq!(app.get(&format!("/images/{id}")).await.status(), 404);
    eventually("the object to go", async || bucket.object(&format!("picgate/{id}")).is_none().then_some(())).await;
    assert_eq!(app.get(&format!("/images/{id}")).await.status(), 404);
}

#[tokio::test]
async fn an_image_that_is_deleted_while_it_is_uploaded_does_not_come_back() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let app = app_with(&upstream, &bucket, &[]).await;
    let admin = Admin::set_up(&app).await;
    let first = draw(&app, &upstream, "first", 10, 32).await;
    until_cloud(&admin, &first, "stored").await;
    bucket.forget_seen();
    bucket.break_with(&[Fault::Slow(Duration::from_millis(500))]);
    let id = draw(&app, &upstream, "short life", 11, 32).await;
    eventually("the upload to begin", async || (!bucket.seen(&Method::PUT).is_empty()).then_some(())).await;
    admin.send(Method::POST, "images/delete", &json!({"ids": [id], "what": "all"})).await;
    eventually("the removal", async || (!bucket.seen(&Method::DELETE).is_empty()).then_some(())).await;
    bucket.heal();
    eventually("the object to go", async || (bucket.keys("picgate") == [first.as_str()]).then_some(())).await;
}

#[tokio::test]
async fn copies_go_one_by_one_and_the_last_one_only_if_that_is_said() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let app = app_with(&upstream, &bucket, &[]).await;
    let admin = Admin::set_up(&app).await;
    let id = draw(&app, &upstream, "two copies", 12, 32).await;
    until_cloud(&admin, &id, "stored").await;
    let delete = async |what: &str, last: bool| {
        let body = json!({"ids": [id], "what": what, "last_copies": last});
        admin.send(Method::POST, "images/delete", &body).await["items"][0].clone()
    };
    assert_eq!(delete("cloud", false).await["ok"], true);
    eventually("the object to go", async || bucket.object(&format!("picgate/{id}")).is_none().then_some(())).await;
    assert_eq!(listed(&admin, &id).await["cloud"], "none");
    assert_eq!(delete("cloud", false).await["code"], "no_copy");
    assert_eq!(delete("local", false).await["code"], "last_copy");
    assert_eq!(app.get(&format!("/images/{id}")).await.status(), 200);
    // What a person took from the bucket is not put there again.
    run_job(&admin, &json!({"kind": "upload_pending"})).await;
    assert_eq!(bucket.keys("picgate"), Vec::<String>::new());
    assert_eq!(delete("local", true).await["ok"], true);
    assert_eq!(app.get(&format!("/images/{id}")).await.status(), 404);
    assert_eq!(delete("all", true).await["code"], "not_found");
}

#[tokio::test]
async fn an_image_in_a_bucket_that_is_away_is_503_and_one_that_is_lost_404() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let app = app_with(&upstream, &bucket, &[]).await;
    let admin = Admin::set_up(&app).await;
    let id = draw(&app, &upstream, "away", 14, 32).await;
    until_cloud(&admin, &id, "stored").await;
    run_job(&admin, &json!({"kind": "clear_local"})).await;
    bucket.break_with(&[Fault::Reset]);
    let away = app.get(&format!("/images/{id}")).await;
    assert_eq!(away.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(away.headers().contains_key("retry-after"));
    assert_eq!(app.get(&format!("/images/{id}/thumbnail")).await.status(), 200);
    bucket.heal();
    bucket.remove(&format!("picgate/{id}"));
    assert_eq!(code(app.get(&format!("/images/{id}")).await, 404).await, "image_missing");
}

#[tokio::test]
async fn a_gateway_with_an_empty_disk_serves_any_link_from_the_shared_bucket() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let first = app_with(&upstream, &bucket, &[("PICGATE_S3_WRITE", "through")]).await;
    let second = app_with(&upstream, &bucket, &[("PICGATE_S3_WRITE", "through")]).await;
    let id = draw(&first, &upstream, "shared", 15, 64).await;
    assert!(bucket.object(&format!("picgate/{id}")).is_some(), "in the bucket before the link was given out");
    let response = second.get(&format!("/images/{id}")).await;
    assert_eq!(response.headers()["content-type"], "image/png");
    assert_eq!(response.bytes().await.unwrap(), pictures::png(15, 64));
    // It has a row there now, with what the object knew.
    let admin = Admin::set_up(&second).await;
    let shown = eventually("the row", async || {
        let page = admin.get("images").await;
        page["items"].as_array().filter(|items| !items.is_empty()).map(|items| items[0].clone())
    })
    .await;
    assert_eq!(
        (shown["id"].as_str(), shown["cloud"].as_str(), shown["source"].as_str()),
        (Some(id.as_str()), Some("stored"), Some("generated"))
    );
    // The conversation goes on there as well.
    let another = draw(&first, &upstream, "another", 16, 64).await;
    upstream.answers(Scripted::json(&json!({"choices": [{"message": {"role": "assistant", "content": "ok"}}]})));
    let link = format!("{}/images/{another}", first.url);
    second.chat(&json!({"model": "picgate", "messages": [{"role": "user", "content": format!("make it blue ![x]({link})")}]})).await;
    let sent = upstream.requests().last().unwrap().body.clone();
    assert!(String::from_utf8_lossy(&sent).contains(&pictures::base64(&pictures::png(16, 64))));
    // What nobody has is asked for once.
    bucket.forget_seen();
    let unknown = "00000000-0000-4000-8000-000000000000";
    for _ in 0..5 {
        assert_eq!(second.get(&format!("/images/{unknown}")).await.status(), 404);
    }
    assert!(bucket.seen(&Method::GET).len() <= 2, "{}", bucket.seen(&Method::GET).len());
}

#[tokio::test]
async fn links_lead_to_the_buckets_own_domain_if_that_is_wanted() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let app =
        app_with(&upstream, &bucket, &[("PICGATE_BUCKET_PUBLIC_URL", "https://cdn.example.com"), ("PICGATE_BUCKET_LINKS", "redirect")])
            .await;
    let admin = Admin::set_up(&app).await;
    let id = draw(&app, &upstream, "far away", 17, 32).await;
    until_cloud(&admin, &id, "stored").await;
    let direct = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let response = direct.get(format!("{}/images/{id}", app.url)).send().await.unwrap();
    assert_eq!(response.status(), 302);
    assert_eq!(response.headers()["location"], format!("https://cdn.example.com/picgate/{id}").as_str());
    assert_eq!(direct.get(format!("{}/images/{id}/thumbnail", app.url)).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn new_links_may_name_the_buckets_domain_and_are_known_again_later() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let further = [
        ("PICGATE_BUCKET_PUBLIC_URL", "https://cdn.example.com"),
        ("PICGATE_BUCKET_LINKS", "direct"),
        ("PICGATE_S3_WRITE", "through"),
        ("PICGATE_S3_PREFIX", "chat/images/"),
    ];
    let app = app_with(&upstream, &bucket, &further).await;
    upstream.answers(Scripted::json(&json!({"data": [{"b64_json": pictures::base64(&pictures::png(20, 32))}]})));
    let answer: Value = app.send("/v1/images/generations", &json!({"prompt": "x", "response_format": "url"})).await.json().await.unwrap();
    let link = answer["data"][0]["url"].as_str().unwrap().to_owned();
    let key = link.strip_prefix("https://cdn.example.com/").expect("the bucket's domain");
    assert_eq!(bucket.object(key).expect("there before the link"), pictures::png(20, 32));
    upstream.answers(Scripted::json(&json!({"choices": [{"message": {"role": "assistant", "content": "ok"}}]})));
    app.chat(&json!({"model": "picgate", "messages": [{"role": "user", "content": format!("make it blue ![x]({link})")}]})).await;
    let sent = upstream.requests().last().unwrap().body.clone();
    assert!(String::from_utf8_lossy(&sent).contains(&pictures::base64(&pictures::png(20, 32))));
}

#[tokio::test]
async fn a_restart_goes_on_with_what_was_waiting() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let app = app_with(&upstream, &bucket, &[]).await;
    let first = draw(&app, &upstream, "first", 19, 32).await;
    eventually("the first object", async || bucket.object(&format!("picgate/{first}")).map(|_| ())).await;
    bucket.forget_seen();
    bucket.break_with(&[Fault::Slow(PATIENCE)]);
    let id = draw(&app, &upstream, "waits", 18, 32).await;
    eventually("the upload to begin", async || (!bucket.seen(&Method::PUT).is_empty()).then_some(())).await;
    let dir = app.stop().await;
    bucket.heal();
    let variables = bucket.variables();
    let all: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let began = Instant::now();
    let app = TestApp::in_folder(dir, &all).await;
    eventually("the object", async || bucket.object(&format!("picgate/{id}")).map(|_| ())).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    drop(app);
}

#[tokio::test]
async fn an_image_deleted_while_another_bucket_is_used_is_deleted_from_the_first_one_too() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let variables = bucket.variables();
    let fixed: Vec<(&str, &str)> =
        variables.iter().filter(|(name, _)| *name != "PICGATE_R2_BUCKET").map(|(name, value)| (*name, value.as_str())).collect();
    let app = TestApp::over_with(&upstream, "up-model", &fixed).await;
    let admin = Admin::set_up(&app).await;
    let uses = async |name: &str| {
        admin.send(Method::PATCH, "settings", &json!({"values": {"r2_bucket": name}, "password": "correct horse"})).await;
        until_bucket(&admin, "ok").await;
    };
    uses(BUCKET).await;
    let id = draw(&app, &upstream, "moves", 21, 32).await;
    until_cloud(&admin, &id, "stored").await;
    uses(OTHER).await;
    until_cloud(&admin, &id, "stored").await;
    let key = format!("picgate/{id}");
    assert!(bucket.object_in(BUCKET, &key).is_some() && bucket.object_in(OTHER, &key).is_some());
    admin.send(Method::POST, "images/delete", &json!({"ids": [id], "what": "all"})).await;
    eventually("the object to go", async || bucket.object_in(OTHER, &key).is_none().then_some(())).await;
    uses(BUCKET).await;
    assert_eq!(app.get(&format!("/images/{id}")).await.status(), 404);
    eventually("the object to go from there too", async || bucket.object_in(BUCKET, &key).is_none().then_some(())).await;
    assert_eq!(app.get(&format!("/images/{id}")).await.status(), 404);
}

#[tokio::test]
async fn clearing_the_disk_of_last_copies_leaves_what_the_bucket_has() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let app = app_with(&upstream, &bucket, &[]).await;
    let admin = Admin::set_up(&app).await;
    let safe = draw(&app, &upstream, "safe", 22, 32).await;
    until_cloud(&admin, &safe, "stored").await;
    bucket.break_with(&[Fault::RefuseMethod(Method::PUT, 400, "InvalidRequest")]);
    let unsafe_one = draw(&app, &upstream, "the same picture again", 22, 32).await;
    until_cloud(&admin, &unsafe_one, "failed").await;
    run_job(&admin, &json!({"kind": "clear_local", "last_copies": true, "password": "correct horse"})).await;
    assert_eq!(app.get(&format!("/images/{unsafe_one}")).await.status(), 404);
    assert_eq!(listed(&admin, &safe).await["local"], false);
    assert_eq!(app.image(&format!("/images/{safe}")).await, pictures::png(22, 32));
}

#[tokio::test]
async fn the_copy_in_the_bucket_stays_when_the_one_on_disk_turns_out_to_be_gone() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let app = app_with(&upstream, &bucket, &[]).await;
    let admin = Admin::set_up(&app).await;
    let id = draw(&app, &upstream, "somebody tidies up", 23, 32).await;
    until_cloud(&admin, &id, "stored").await;
    let hex = pictures::sha256(&pictures::png(23, 32));
    std::fs::remove_file(app.store().join("blobs").join(&hex[..2]).join(&hex)).unwrap();
    let answer = admin.send(Method::POST, "images/delete", &json!({"ids": [id], "what": "cloud"})).await;
    assert_eq!(answer["items"][0]["code"], "last_copy", "{answer}");
    assert_eq!(app.image(&format!("/images/{id}")).await, pictures::png(23, 32));
}

#[tokio::test]
async fn an_image_has_its_thumbnail_however_soon_its_file_goes() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let app = app_with(&upstream, &bucket, &[]).await;
    let admin = Admin::set_up(&app).await;
    let mut ids = Vec::new();
    for seed in 30..36 {
        ids.push(draw(&app, &upstream, "short", seed, 400).await);
        eventually("the object", async || bucket.object(&format!("picgate/{}", ids.last().unwrap())).map(|_| ())).await;
        run_job(&admin, &json!({"kind": "clear_local"})).await;
    }
    for id in ids {
        assert_eq!(app.get(&format!("/images/{id}/thumbnail")).await.status(), 200);
    }
}

#[tokio::test]
async fn an_object_that_does_not_say_what_it_is_is_held_to_the_servers_own_digest() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let app = app_with(&upstream, &bucket, &[]).await;
    let (id, bytes) = ("7d6c1e52-3b0f-4c6e-9d2a-0f5b8a7c4e11", pictures::large(3, 300_000));
    // As the Python program, or somebody by hand, puts it: without our metadata.
    bucket.put(&format!("picgate/{id}"), &bytes);
    bucket.break_with(&[Fault::Flip]);
    let damaged = app.get(&format!("/images/{id}")).await;
    assert!(damaged.status() != 200 || damaged.bytes().await.is_err(), "other bytes than the server has");
    bucket.heal();
    eventually("the picture", async || {
        let answer = app.get(&format!("/images/{id}")).await;
        (answer.status() == 200 && answer.bytes().await.is_ok_and(|got| got == bytes)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_object_that_somebody_removed_costs_no_bytes_and_is_put_again() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let app = app_with(&upstream, &bucket, &[]).await;
    let admin = Admin::set_up(&app).await;
    let (here, there) = (draw(&app, &upstream, "here", 1, 32).await, draw(&app, &upstream, "there", 2, 32).await);
    for id in [&here, &there] {
        until_cloud(&admin, id, "stored").await;
    }
    bucket.remove(&format!("picgate/{here}"));
    run_job(&admin, &json!({"kind": "clear_local"})).await;
    assert_eq!(listed(&admin, &there).await["local"], false);
    assert_eq!(listed(&admin, &here).await["local"], true, "its object is gone, so it stays");
    until_cloud(&admin, &here, "stored").await;
    assert_eq!(bucket.object(&format!("picgate/{here}")).expect("put again"), pictures::png(1, 32));
    // Only in the bucket, and gone from there: nothing can be done, and nothing claims otherwise.
    bucket.remove(&format!("picgate/{there}"));
    assert_eq!(app.get(&format!("/images/{there}")).await.status(), 404);
    until_cloud(&admin, &there, "failed").await;
}

#[tokio::test]
async fn an_object_that_somebody_overwrote_with_equally_many_bytes_costs_none_and_is_put_again() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let app = app_with(&upstream, &bucket, &[]).await;
    let admin = Admin::set_up(&app).await;
    let (zeros, sound) = (draw(&app, &upstream, "zeros", 1, 32).await, draw(&app, &upstream, "sound", 2, 32).await);
    for id in [&zeros, &sound] {
        until_cloud(&admin, id, "stored").await;
    }
    bucket.put(&format!("picgate/{zeros}"), &vec![0; pictures::png(1, 32).len()]);
    run_job(&admin, &json!({"kind": "clear_local"})).await;
    assert_eq!(listed(&admin, &sound).await["local"], false);
    assert_eq!(listed(&admin, &zeros).await["local"], true, "its object is another one, so it stays");
    until_cloud(&admin, &zeros, "stored").await;
    assert_eq!(bucket.object(&format!("picgate/{zeros}")).expect("put again"), pictures::png(1, 32));
    // An ETag that is no digest proves nothing, the bytes do.
    bucket.break_with(&[Fault::LieAboutEtag]);
    run_job(&admin, &json!({"kind": "clear_local"})).await;
    assert_eq!(listed(&admin, &zeros).await["local"], false);
}

#[tokio::test]
async fn a_name_that_is_not_of_the_image_is_somebody_elses_object() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let app = app_with(&upstream, &bucket, &[]).await;
    let admin = Admin::set_up(&app).await;
    bucket.put("other-app/important.db", b"theirs");
    bucket.break_with(&[Fault::RefuseMethod(Method::PUT, 500, "InternalError")]);
    let id = draw(&app, &upstream, "mine", 4, 32).await;
    until_cloud(&admin, &id, "failed").await;
    let db = app.gateway.library().db().clone();
    db.write(|t| t.execute("update copies set key = 'other-app/important.db'", [])).await.expect("writes");
    bucket.heal();
    run_job(&admin, &json!({"kind": "retry_failed"})).await;
    until_cloud(&admin, &id, "stored").await;
    assert_eq!(bucket.object(&format!("picgate/{id}")).expect("under its own name"), pictures::png(4, 32));
    db.write(|t| t.execute("update copies set key = 'other-app/important.db'", [])).await.expect("writes");
    admin.send(Method::POST, "images/delete", &json!({"ids": [id], "what": "all"})).await;
    eventually("the object to go", async || bucket.object(&format!("picgate/{id}")).is_none().then_some(())).await;
    assert_eq!(bucket.object("other-app/important.db").expect("still theirs"), b"theirs");
}

#[tokio::test]
async fn a_refusal_without_end_is_not_read_to_its_end() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = socket.read(&mut [0; 4096]).await;
                let _ = socket.write_all(b"HTTP/1.1 403 Forbidden\r\ntransfer-encoding: chunked\r\n\r\n").await;
                let piece = [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat();
                while socket.write_all(&piece).await.is_ok() {}
            });
        }
    });
    let variables = [
        ("PICGATE_S3_ENDPOINT", endpoint.as_str()),
        ("PICGATE_R2_ACCESS_KEY_ID", "id"),
        ("PICGATE_R2_SECRET_ACCESS_KEY", "secret"),
        ("PICGATE_R2_BUCKET", "pictures"),
    ];
    let app = TestApp::with(&variables).await;
    let asked = app.get("/images/7d6c1e52-3b0f-4c6e-9d2a-0f5b8a7c4e12");
    let answer = tokio::time::timeout(Duration::from_secs(10), asked).await.expect("an answer soon");
    assert_eq!(answer.status(), 503);
}

/// Whatever is called: only pictures may be long, and those are not kept in memory.
#[tokio::test]
async fn an_answer_without_end_that_says_all_is_well_is_not_read_to_its_end() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    // More than any limit, and little enough for a test that fails.
    const PIECES: usize = 800;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    let asked = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let noted = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let noted = noted.clone();
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let read = socket.read(&mut request).await.unwrap_or(0);
                let line = String::from_utf8_lossy(&request[..read]).lines().next().unwrap_or_default().to_owned();
                if line.starts_with("GET ") && !line.contains("list-type=2") {
                    let _ = socket.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
                    return;
                }
                let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
                let piece = [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat();
                for _ in 0..PIECES {
                    if socket.write_all(&piece).await.is_err() {
                        noted.lock().unwrap().push(line);
                        return;
                    }
                }
                // Never an end.
                std::future::pending::<()>().await;
            });
        }
    });
    let variables = [
        ("PICGATE_S3_ENDPOINT", endpoint.as_str()),
        ("PICGATE_R2_ACCESS_KEY_ID", "id"),
        ("PICGATE_R2_SECRET_ACCESS_KEY", "secret"),
        ("PICGATE_R2_BUCKET", "pictures"),
    ];
    let app = TestApp::with(&variables).await;
    let admin = Admin::set_up(&app).await;
    let tested = admin.send(Method::POST, "bucket/test", &json!({})).await;
    assert_eq!(tested["ok"], false, "{tested}");
    run_job(&admin, &json!({"kind": "check_files"})).await;
    for call in ["PUT ", "GET "] {
        eventually("the answer to be left", async || asked.lock().unwrap().iter().any(|line| line.starts_with(call)).then_some(())).await;
    }
}
