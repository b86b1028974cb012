//! The database is lost and the bucket is not: every image has its row again, also those of the Python program, and none
//! that was deleted.

use std::{
    collections::HashMap,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use picgate_gateway::{
    cloud::{Bucket, Upload},
    model::{BucketConfig, MediaType, Secret},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    backup::run,
    support::{
        FakeBucket, FakeUpstream, Fault, TestApp,
        admin::{Admin, app_with, draw, listed, until_cloud},
        bucket, eventually, pictures, process,
    },
};

fn borrowed<'a>(variables: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    variables.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

const REBUILD: &[&str] = &["restore", "--from-bucket"];

#[tokio::test]
async fn every_image_has_its_row_again_and_a_second_time_changes_nothing() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let app = app_with(&upstream, &bucket, &[]).await;
    let admin = Admin::set_up(&app).await;
    let mut before = Vec::new();
    for seed in 0..5 {
        let id = draw(&app, &upstream, "a cat", seed, 40 + seed).await;
        until_cloud(&admin, &id, "stored").await;
        before.push((id.clone(), listed(&admin, &id).await));
    }
    // One is deleted while the bucket is away: its object still lies there, and so does its tombstone in the database.
    bucket.break_with(&[Fault::Reset]);
    admin.send(Method::POST, "images/delete", &json!({"ids": [before[4].0], "what": "all"})).await;
    let dir = app.stop().await;
    bucket.heal();
    let deleted = before.pop().unwrap().0;
    assert!(bucket.object(&format!("picgate/{deleted}")).is_some());
    // What the Python program put there says nothing of itself, and calls a JPEG a PNG. Others' things lie there too.
    let (old, stranger) = ("8f57ff98-46c6-4b1f-832b-1367b83f10b4", "5b2c1c4e-6f0a-4d6e-9a52-0d2a6f5f4a11");
    bucket.put(&format!("openwebui/{old}.png"), &pictures::jpeg(9, 64));
    bucket.put(&format!("openwebui/{stranger}.png"), b"no picture at all, but some text that somebody put there for other reasons");
    bucket.put("picgate/readme.txt", b"not an image");
    bucket.put("other/file", b"not ours");
    let (variables, store) = (bucket.variables(), dir.path().join("store"));
    let variables = borrowed(&variables);

    // With the database it had: only what is new to it is made, and what was deleted stays deleted.
    let (said, errors, code) = run(dir.path(), REBUILD, &variables).await;
    assert_eq!((code, errors.as_str()), (0, ""), "{said}");
    assert!(said.contains("1 images made") && said.contains("4 were known already") && said.contains("1 deleted images"), "{said}");

    // The database is lost, the files are not.
    for ending in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(store.join(format!("picgate.sqlite3{ending}")));
    }
    bucket.remove(&format!("picgate/{deleted}"));
    let (said, errors, code) = run(dir.path(), REBUILD, &variables).await;
    assert_eq!((code, errors.as_str()), (0, ""), "{said}");
    assert!(said.contains("5 images made") && said.contains("2 objects that are none"), "{said}");
    let again = run(dir.path(), REBUILD, &variables).await.0;
    assert!(again.contains("0 images made") && again.contains("5 were known"), "{again}");
    check(TestApp::in_folder(dir, &variables).await, &before, old, &bucket).await;

    // Everything is lost.
    let empty = tempfile::tempdir().unwrap();
    let (said, _, code) = run(empty.path(), REBUILD, &variables).await;
    assert!(code == 0 && said.contains("5 images made"), "{said}");
    check(TestApp::in_folder(empty, &variables).await, &before, old, &bucket).await;
}

async fn check(app: TestApp, before: &[(String, Value)], old: &str, bucket: &FakeBucket) {
    let admin = Admin::set_up(&app).await;
    for (seed, (id, was)) in before.iter().enumerate() {
        let is = listed(&admin, id).await;
        for field in ["width", "height", "bytes", "media_type", "created_at", "source"] {
            assert_eq!(is[field], was[field], "{field} of {id}");
        }
        assert!(was["created_at"].is_i64() && was["width"].is_i64(), "{was}");
        assert_eq!(app.image(&format!("/images/{id}")).await, pictures::png(seed as u32, 40 + seed as u32));
        // What lies on disk counts as copied once the bucket has confirmed it.
        until_cloud(&admin, id, "stored").await;
        eventually("the thumbnail", async || (app.get(&format!("/images/{id}/thumbnail")).await.status() == 200).then_some(())).await;
    }
    let is = listed(&admin, old).await;
    assert_eq!(
        (is["media_type"].as_str(), is["source"].as_str(), is["cloud"].as_str()),
        (Some("image/jpeg"), Some("imported"), Some("stored"))
    );
    bucket.forget_seen();
    assert_eq!(app.get(&format!("/images/{old}/thumbnail")).await.status(), 200, "made when its bytes passed by");
    assert!(bucket.seen(&Method::GET).is_empty());
    let response = app.get(&format!("/images/{old}.png")).await;
    assert_eq!(response.headers()["content-type"], "image/jpeg");
    assert_eq!(response.bytes().await.unwrap(), pictures::jpeg(9, 64));
    // Nothing was put there again.
    assert!(bucket.seen(&Method::PUT).is_empty());
    assert_eq!(bucket.keys("picgate").len(), before.len() + 1);
}

#[tokio::test]
async fn a_rebuild_can_be_broken_off_and_goes_on_where_it_was() {
    let (bucket, dir) = (FakeBucket::start().await, tempfile::tempdir().unwrap());
    let ids: Vec<String> = (0..1_100).map(|_| uuid::Uuid::new_v4().to_string()).collect();
    for (seed, id) in ids.iter().enumerate() {
        bucket.put(&format!("openwebui/{id}.png"), &pictures::large(seed as u32, 400));
    }
    let variables = bucket.variables();
    let variables = borrowed(&variables);
    bucket.break_with(&[Fault::Slow(Duration::from_millis(20))]);
    let mut command = process::command(dir.path(), REBUILD);
    let child = command.envs(variables.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    eventually("objects to be read", async || (bucket.seen(&Method::GET).len() > 60).then_some(())).await;
    assert!(std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let ended = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(ended.status.code() == Some(1) && said.contains("run it again"), "{said}");
    bucket.heal();
    // A bucket that fails now and then only takes longer.
    bucket.break_once(&[Fault::Refuse(503, "SlowDown"), Fault::Reset, Fault::Refuse(500, "InternalError")]);
    let (said, errors, code) = run(dir.path(), REBUILD, &variables).await;
    assert_eq!(code, 0, "{said} {errors}");
    let app = TestApp::in_folder(dir, &variables).await;
    let admin = Admin::set_up(&app).await;
    assert_eq!(admin.get("stats").await["images"]["total"], 1_100);
    for (seed, id) in ids.iter().enumerate().step_by(100) {
        assert_eq!(app.image(&format!("/images/{id}")).await, pictures::large(seed as u32, 400));
    }
}

#[tokio::test]
async fn a_bucket_that_cannot_be_used_is_told_in_words() {
    let (bucket, dir) = (FakeBucket::start().await, tempfile::tempdir().unwrap());
    let (_, errors, code) = run(dir.path(), REBUILD, &[]).await;
    assert!(code == 1 && errors.contains("no bucket is set") && errors.contains("PICGATE_R2_BUCKET"), "{errors}");
    bucket.break_with(&[Fault::Refuse(403, "InvalidAccessKeyId")]);
    let variables = bucket.variables();
    let (_, errors, code) = run(dir.path(), REBUILD, &borrowed(&variables)).await;
    let at = |words: &str| errors.find(words);
    assert!(code == 1 && at("wrong_key").is_some() && at("wrong_key") < at("what was made stays; run it again"), "{errors}");
}

#[tokio::test]
async fn a_listing_that_goes_in_circles_is_told_and_ends() {
    let (bucket, dir) = (FakeBucket::start().await, tempfile::tempdir().unwrap());
    let page = "<?xml version=\"1.0\"?><ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>again</NextContinuationToken>\
                <Contents><Key>picgate/readme</Key><Size>1</Size></Contents></ListBucketResult>";
    let server = axum::Router::new().fallback(move || async move { ([("content-type", "application/xml")], page) });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move { axum::serve(listener, server).await });
    let mut variables = bucket.variables();
    variables.iter_mut().filter(|(name, _)| *name == "PICGATE_S3_ENDPOINT").for_each(|(_, value)| value.clone_from(&endpoint));
    let (said, errors, code) = run(dir.path(), REBUILD, &borrowed(&variables)).await;
    serving.abort();
    assert!(code == 1 && errors.contains("has no end") && errors.contains("run it again"), "{said} {errors}");
}

/// Puts objects as a gateway does, as many as `PICGATE_TEST_OBJECTS` says, and tells how long their rows take.
#[tokio::test]
async fn many_objects_are_listed_page_by_page() {
    let (bucket, dir) = (FakeBucket::start().await, tempfile::tempdir().unwrap());
    let count: u32 = std::env::var("PICGATE_TEST_OBJECTS").ok().and_then(|n| n.parse().ok()).unwrap_or(1_200);
    fill(&bucket, count, dir.path()).await;
    let variables = bucket.variables();
    let began = Instant::now();
    let (said, errors, code) = run(dir.path(), REBUILD, &borrowed(&variables)).await;
    assert_eq!(code, 0, "{said} {errors}");
    assert!(said.contains(&format!("{count} images made")), "{said}");
    eprintln!("{count} objects in {:?}", began.elapsed());
    assert!(bucket.most_at_once() <= 16, "{}", bucket.most_at_once());
}

async fn fill(bucket: &FakeBucket, count: u32, dir: &Path) {
    let config = BucketConfig {
        endpoint: format!("http://{}", bucket.address).parse().unwrap(),
        region: "auto".into(),
        name: bucket::BUCKET.into(),
        prefix: "picgate/".into(),
        access_key_id: bucket::KEY_ID.into(),
        secret_access_key: Secret::new(bucket::SECRET),
    };
    let client = Bucket::new(config);
    for n in 0..count {
        let (bytes, path) = (pictures::large(n, 300), dir.join("object"));
        std::fs::write(&path, &bytes).unwrap();
        let metadata = HashMap::from([
            ("sha256".to_owned(), pictures::sha256(&bytes)),
            ("created".to_owned(), (1_700_000_000_000i64 + i64::from(n)).to_string()),
            ("source".to_owned(), "generated".to_owned()),
        ]);
        let md5 = md5::Digest::finalize(md5::Digest::chain_update(<md5::Md5 as md5::Digest>::new(), &bytes)).into();
        let upload = Upload { path, bytes: bytes.len() as u64, md5, media_type: MediaType::Png, metadata };
        client.put(&format!("picgate/{}", uuid::Uuid::new_v4()), &upload, false).await.unwrap();
    }
}
