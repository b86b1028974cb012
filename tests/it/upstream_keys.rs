//! Keys of upstreams are bound to the servers that they were entered for, whatever a database says: one that was restored from
//! somebody else's archive, or edited, sends no key to another server.

use reqwest::Method;
use serde_json::json;

use crate::support::{
    FakeUpstream, TestApp,
    admin::{Admin, draw},
};

const KEY: &str = "sk-of-the-first-0123456789";

/// Points all upstreams of the database in `dir` to `base_url`, as an archive or an editor could.
fn point_to(dir: &tempfile::TempDir, base_url: &str) {
    let database = rusqlite::Connection::open(dir.path().join("store/picgate.sqlite3")).expect("opens");
    assert!(database.execute("update upstreams set base_url = ?1", [base_url]).expect("writes") > 0);
}

#[tokio::test]
async fn a_database_that_names_another_server_gets_no_key_until_it_is_entered_again() {
    let (first, second) = (FakeUpstream::start().await, FakeUpstream::start().await);
    let app = TestApp::demo().await;
    let admin = Admin::set_up(&app).await;
    let new = json!({"name": "mine", "kind": "openai", "base_url": first.base_url, "model": "m", "api_key": KEY});
    let made = admin.send(Method::POST, "upstreams", &new).await;
    assert_eq!(made["items"][0]["key_for"], json!(null));
    let path = format!("upstreams/{}", made["items"][0]["id"]);
    let cookie = admin.cookie.clone();
    let dir = app.stop().await;
    point_to(&dir, &second.base_url);

    let app = TestApp::in_folder(dir, &[]).await;
    let admin = Admin::again(&app, &cookie);
    draw(&app, &second, "a fox", 1, 30).await;
    admin.send(Method::POST, "upstreams/test", &json!({"id": made["items"][0]["id"]})).await;
    assert!(second.requests().iter().all(|request| request.header("authorization").is_empty()), "no key went there");
    let shown = admin.get("upstreams").await["items"][0].clone();
    let server = first.base_url.trim_end_matches("/v1");
    assert_eq!((&shown["has_key"], shown["key_for"].as_str()), (&json!(false), Some(server)), "{shown}");
    // What has nothing to do with the address can be changed, and the key is still not sent.
    admin.send(Method::PATCH, &path, &json!({"model": "other"})).await;
    draw(&app, &second, "a fox", 2, 30).await;
    assert_eq!(second.last().header("authorization"), "");
    // A third server gets it no more than the second, and the first one gets it again.
    let third = FakeUpstream::start().await;
    let moved = admin.request(Method::PATCH, &path).json(&json!({"base_url": third.base_url})).send().await.expect("an answer");
    assert_eq!(moved.status(), 422);
    let back = admin.send(Method::PATCH, &path, &json!({"base_url": first.base_url})).await;
    assert_eq!((&back["items"][0]["has_key"], &back["items"][0]["key_for"]), (&json!(true), &json!(null)));
    draw(&app, &first, "a fox", 3, 30).await;
    assert_eq!(first.last().header("authorization"), format!("Bearer {KEY}"));
    // Entered for the second one, it goes there.
    admin.send(Method::PATCH, &path, &json!({"base_url": second.base_url, "api_key": "sk-of-the-second-0123456789"})).await;
    draw(&app, &second, "a fox", 4, 30).await;
    assert_eq!(second.last().header("authorization"), "Bearer sk-of-the-second-0123456789");
}

#[tokio::test]
async fn keys_of_before_servers_were_noted_are_bound_at_the_next_start() {
    let (first, second) = (FakeUpstream::start().await, FakeUpstream::start().await);
    let app = TestApp::demo().await;
    let admin = Admin::set_up(&app).await;
    let new = json!({"name": "mine", "kind": "openai", "base_url": first.base_url, "model": "m", "api_key": KEY});
    admin.send(Method::POST, "upstreams", &new).await;
    let dir = app.stop().await;
    let file = dir.path().join("store/secrets.json");
    let mut kept: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).expect("reads")).expect("JSON");
    assert!(kept.as_object_mut().expect("an object").remove("upstream_origins").is_some());
    std::fs::write(&file, kept.to_string()).expect("writes");
    let app = TestApp::in_folder(dir, &[]).await;
    draw(&app, &first, "a fox", 1, 30).await;
    assert_eq!(first.last().header("authorization"), format!("Bearer {KEY}"), "it goes on working");
    let dir = app.stop().await;
    point_to(&dir, &second.base_url);
    let app = TestApp::in_folder(dir, &[]).await;
    draw(&app, &second, "a fox", 2, 30).await;
    assert_eq!(second.last().header("authorization"), "");
}
