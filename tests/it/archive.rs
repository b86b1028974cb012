//! Many pictures as one file, and pictures found by where their bytes lie.

use std::{io::Write, process::Command};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    FakeBucket, FakeUpstream, Fault, TestApp,
    admin::{Admin, app_with, code, draw, run_job, until_cloud},
    eventually, may_skip,
};

/// Lists what is in a ZIP file with Python's reader, which checks every sum: `name size time`, and the lost ones.
const LIST: &str = "
import hashlib, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as archive:
    assert archive.testzip() is None
    for entry in archive.infolist():
        assert entry.compress_type == zipfile.ZIP_STORED
        print(entry.filename, hashlib.sha256(archive.read(entry)).hexdigest(), entry.date_time[0])
";

async fn ticket(admin: &Admin<'_>, ids: &[&str]) -> Value {
    admin.send(Method::POST, "images/archive", &json!({"ids": ids})).await
}

async fn fetched(admin: &Admin<'_>, ticket: &Value) -> reqwest::Response {
    let path = ticket["url"].as_str().expect("a path").trim_start_matches("/admin/api/").to_owned();
    admin.request(Method::GET, &path).send().await.expect("an answer")
}

/// What Python reads; nothing where there is no Python.
fn listed(bytes: &[u8]) -> Option<Vec<Vec<String>>> {
    let python = std::env::var("PICGATE_SDK_PYTHON").ok();
    assert!(python.is_some() || may_skip(), "PICGATE_SDK_PYTHON must name Python; 'make test' sets it");
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(bytes).expect("writes");
    let output = Command::new(python?).args(["-c", LIST]).arg(file.path()).output().expect("runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Some(text.lines().map(|line| line.split(' ').map(str::to_owned).collect()).collect())
}

#[tokio::test]
async fn a_selection_is_one_file_that_python_opens() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let admin = Admin::set_up(&app).await;
    let (one, two) = (draw(&app, &upstream, "一", 1, 64).await, draw(&app, &upstream, "二", 2, 700).await);
    let unknown = "00000000-0000-4000-8000-000000000000";
    let list = ticket(&admin, &[&two, &one, &one, unknown, "nonsense"]).await;
    assert_eq!(list["count"], 2, "{list}");
    let mut sizes = 0;
    for id in [&one, &two] {
        sizes += admin.get(&format!("images/{id}")).await["bytes"].as_u64().expect("a number");
    }
    assert_eq!(list["bytes"], sizes);
    // A broken download may be begun again.
    for _ in 0..2 {
        let answer = fetched(&admin, &list).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "application/zip");
        let name = answer.headers()["content-disposition"].to_str().expect("text").to_owned();
        assert!(name.starts_with("attachment; filename=\"picgate-20") && name.ends_with(".zip\""), "{name}");
        let bytes = answer.bytes().await.expect("bytes");
        let Some(entries) = listed(&bytes) else { return };
        assert_eq!(entries.len(), 2, "{entries:?}");
        for (entry, id) in entries.iter().zip([&two, &one]) {
            assert!(entry[0].ends_with(&format!("-{}.png", &id[..8])), "{entry:?}");
            assert_eq!(entry[1], admin.get(&format!("images/{id}")).await["sha256"], "{entry:?}");
            assert!(entry[2].starts_with("20"), "{entry:?}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_named_in_the_file_and_the_rest_is_there() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let admin = Admin::set_up(&app).await;
    let (kept, deleted) = (draw(&app, &upstream, "a", 1, 64).await, draw(&app, &upstream, "b", 2, 64).await);
    let list = ticket(&admin, &[&deleted, &kept]).await;
    admin.send(Method::POST, "images/delete", &json!({"ids": [deleted], "what": "all"})).await;
    let bytes = fetched(&admin, &list).await.bytes().await.expect("bytes");
    assert!(bytes.windows(deleted.len()).any(|part| part == deleted.as_bytes()), "the lost one is named");
    let Some(entries) = listed(&bytes) else { return };
    let names: Vec<&str> = entries.iter().map(|entry| entry[0].as_str()).collect();
    assert!(names.len() == 2 && names[0].contains(&kept[..8]) && names[1] == "missing.txt", "{names:?}");
}

#[tokio::test]
async fn lists_are_bounded_and_belong_to_who_is_signed_in() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let admin = Admin::set_up(&app).await;
    let id = draw(&app, &upstream, "a", 1, 32).await;
    let post = |ids: Value| admin.request(Method::POST, "images/archive").json(&json!({ "ids": ids })).send();
    assert_eq!(code(post(json!([])).await.expect("an answer"), 422).await, "invalid_request");
    assert_eq!(code(post(json!(vec![&id; 1001])).await.expect("an answer"), 422).await, "invalid_request");
    assert_eq!(code(post(json!(["nonsense"])).await.expect("an answer"), 404).await, "not_found");
    let list = ticket(&admin, &[&id]).await;
    let path = list["url"].as_str().expect("a path").to_owned();
    assert_eq!(code(app.get(&path).await, 401).await, "not_signed_in");
    for wrong in ["nonsense", "00000000-0000-4000-8000-000000000000"] {
        let answer = admin.request(Method::GET, &format!("images/archive/{wrong}")).send().await.expect("an answer");
        assert_eq!(code(answer, 404).await, "not_found");
    }
    // Only the latest are kept.
    for _ in 0..32 {
        ticket(&admin, &[&id]).await;
    }
    assert_eq!(fetched(&admin, &list).await.status(), 404);
}

#[tokio::test]
async fn pictures_that_are_only_in_the_bucket_come_back_for_the_file() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let app = app_with(&upstream, &bucket, &[]).await;
    let admin = Admin::set_up(&app).await;
    let (one, two) = (draw(&app, &upstream, "a", 1, 64).await, draw(&app, &upstream, "b", 2, 64).await);
    for id in [&one, &two] {
        until_cloud(&admin, id, "stored").await;
    }
    run_job(&admin, &json!({"kind": "clear_local"})).await;
    // One of them cannot be had: the file has the other one.
    bucket.remove(&format!("picgate/{two}"));
    let list = ticket(&admin, &[&one, &two]).await;
    let bytes = fetched(&admin, &list).await.bytes().await.expect("bytes");
    assert!(bytes.windows(two.len()).any(|part| part == two.as_bytes()), "the lost one is named");
    let Some(entries) = listed(&bytes) else { return };
    assert_eq!(entries.len(), 2, "{entries:?}");
    assert_eq!(entries[0][1], admin.get(&format!("images/{one}")).await["sha256"]);
    assert_eq!(entries[1][0], "missing.txt");
}

#[tokio::test]
async fn pictures_are_found_by_where_their_bytes_lie() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let app = app_with(&upstream, &bucket, &[]).await;
    let admin = Admin::set_up(&app).await;
    let cloud_only = draw(&app, &upstream, "a", 1, 64).await;
    until_cloud(&admin, &cloud_only, "stored").await;
    run_job(&admin, &json!({"kind": "clear_local"})).await;
    let both = draw(&app, &upstream, "b", 2, 64).await;
    until_cloud(&admin, &both, "stored").await;
    // This object is refused, and not because of the bucket.
    bucket.break_with(&[Fault::StoreHalf]);
    let failed = draw(&app, &upstream, "c", 3, 64).await;
    until_cloud(&admin, &failed, "failed").await;
    let found = async |state: &str, further: &str| {
        let page = admin.get(&format!("images?state={state}{further}")).await;
        let items = page["items"].as_array().expect("items").iter();
        let mut ids: Vec<String> = items.map(|image| image["id"].as_str().expect("an id").to_owned()).collect();
        assert_eq!(page["total"], ids.len(), "{page}");
        ids.sort();
        ids
    };
    let sorted = |ids: &[&String]| {
        let mut ids: Vec<String> = ids.iter().map(|id| (*id).clone()).collect();
        ids.sort();
        ids
    };
    for order in ["", "&sort=size", "&sort=accessed&order=asc"] {
        assert_eq!(found("local", order).await, sorted(&[&both, &failed]), "{order}");
        assert_eq!(found("local_only", order).await, sorted(&[&failed]), "{order}");
        assert_eq!(found("both", order).await, sorted(&[&both]), "{order}");
        assert_eq!(found("cloud", order).await, sorted(&[&cloud_only, &both]), "{order}");
        assert_eq!(found("cloud_only", order).await, sorted(&[&cloud_only]), "{order}");
        assert_eq!(found("waiting", order).await, sorted(&[&failed]), "{order}");
        assert_eq!(found("failed", order).await, sorted(&[&failed]), "{order}");
        assert!(found("missing", order).await.is_empty(), "{order}");
    }
    assert_eq!(found("cloud", "&q=b").await, sorted(&[&both]));
    let wrong = admin.request(Method::GET, "images?state=nowhere").send().await.expect("an answer");
    assert_eq!(code(wrong, 422).await, "invalid_request");
    // What each action would do agrees with it, and nothing can go from disk once the bucket is away.
    bucket.break_with(&[Fault::Refuse(403, "AccessDenied")]);
    admin.send(Method::POST, "jobs", &json!({"kind": "retry_failed"})).await;
    eventually("the pause", async || {
        let cache = admin.get("cache").await;
        (cache["actions"]["clear_local"]["reason"] == "bucket_paused").then_some(())
    })
    .await;
}
