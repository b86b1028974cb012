//! A disk without any room, and a database that cannot be written: whoever runs PicGate gets in all the same, and makes room.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    admin::{Admin, draw},
    support::{FakeUpstream, TestApp, admin::anonymous, disk::SmallDisk, eventually, pictures},
};

/// What the pages of the admin read.
const PAGES: [&str; 10] = ["session", "sessions", "settings", "upstreams", "stats", "cache", "images", "logs", "activity", "connect"];

async fn log_in(app: &TestApp) -> Admin<'_> {
    let account = json!({"username": "admin", "password": "correct horse"});
    let response = anonymous(app, Method::POST, "session/login").json(&account).send().await.expect("an answer");
    assert_eq!(response.status(), 200, "{:?}", response.text().await);
    Admin::signed_in(app, &response)
}

#[tokio::test]
async fn on_a_full_disk_people_get_in_and_make_room() {
    let dir = tempfile::tempdir().expect("a folder");
    let Some(disk) = SmallDisk::at(dir.path(), 32) else { return };
    let upstream = FakeUpstream::start().await;
    let app = TestApp::in_folder(dir, &[("PICGATE_UPSTREAM_BASE_URL", &upstream.base_url)]).await;
    drop(Admin::set_up(&app).await);
    let id = draw(&app, &upstream, "a large picture", 1, 1200).await;
    // What the run before left of the database's log is room of its own; it goes with the end of the program.
    let app = TestApp::in_folder(app.stop().await, &[("PICGATE_UPSTREAM_BASE_URL", &upstream.base_url)]).await;
    let database = rusqlite::Connection::open(app.store().join("picgate.sqlite3")).expect("opens");
    eventually("the room that the database holds in reserve", async || {
        let left = database.query_row("select count(*) from meta where key glob 'reserve-*'", [], |row| row.get::<_, i64>(0));
        let log = app.store().join("picgate.sqlite3-wal").metadata().map_or(0, |meta| meta.len());
        (left == Ok(0) && log > 1024 * 1024).then_some(())
    })
    .await;
    drop(database);
    disk.fill();
    let admin = log_in(&app).await;
    for page in PAGES {
        admin.get(page).await;
    }
    let deleted = admin.send(Method::POST, "images/delete", &json!({"ids": [id], "what": "all"})).await;
    assert_eq!(deleted["items"][0]["ok"], true, "{deleted}");
    let other = draw(&app, &upstream, "a small picture", 2, 64).await;
    assert_eq!(app.image(&format!("/images/{other}")).await, pictures::png(2, 64), "there is room again");
    app.gateway.stop().await;
}

#[tokio::test]
async fn a_session_ends_at_once_while_the_database_takes_no_writes() {
    let app = TestApp::demo().await;
    let kept = Admin::set_up(&app).await;
    let (left, thrown_out, others) = (log_in(&app).await, log_in(&app).await, log_in(&app).await);
    let reads = async |who: &Admin<'_>| who.request(Method::GET, "settings").send().await.expect("an answer").status().as_u16();
    let path = app.store().join("picgate.sqlite3");
    let database = rusqlite::Connection::open(&path).expect("opens");
    database.execute_batch("begin immediate").expect("nobody else writes now");
    let out = left.request(Method::POST, "session/logout").send().await.expect("an answer");
    assert_eq!(out.status(), 204);
    assert!(out.headers()[reqwest::header::SET_COOKIE].to_str().expect("text").contains("Max-Age=0"));
    assert_eq!(reads(&left).await, 401);
    let listed = thrown_out.get("sessions").await;
    let own = listed["items"].as_array().expect("a list").iter().find(|session| session["current"] == true).expect("its own").clone();
    let end = async || {
        let path = format!("sessions/{}", own["id"]);
        kept.request(Method::DELETE, &path).send().await.expect("an answer").status().as_u16()
    };
    assert_eq!((end().await, reads(&thrown_out).await, end().await), (204, 401, 404));
    assert_eq!(kept.request(Method::DELETE, "sessions").send().await.expect("an answer").status(), 204);
    assert_eq!((reads(&others).await, reads(&kept).await), (401, 200));
    assert_eq!(kept.get("sessions").await["items"].as_array().map(Vec::len), Some(1));
    database.execute_batch("rollback").expect("ends");
    // The next one who signs in has it written down.
    let new = log_in(&app).await;
    assert_eq!((reads(&left).await, reads(&thrown_out).await, reads(&others).await, reads(&new).await), (401, 401, 401, 200));
    let rows: i64 = database.query_row("select count(*) from sessions", [], |row| row.get(0)).expect("counts");
    assert_eq!(rows, 2);
    assert_eq!(new.get("sessions").await["items"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn a_session_that_ended_while_the_database_took_no_writes_does_not_come_back_with_a_restart() {
    let app = TestApp::demo().await;
    let kept = Admin::set_up(&app).await;
    let left = log_in(&app).await;
    let database = rusqlite::Connection::open(app.store().join("picgate.sqlite3")).expect("opens");
    database.execute_batch("begin immediate").expect("nobody else writes now");
    assert_eq!(left.request(Method::POST, "session/logout").send().await.expect("an answer").status(), 204);
    database.execute_batch("rollback").expect("ends");
    drop(database);
    let cookies = [kept.cookie.clone(), left.cookie.clone()];
    let app = TestApp::in_folder(app.stop().await, &[]).await;
    let mut read = Vec::new();
    for cookie in &cookies {
        let answer = Admin::again(&app, cookie).request(Method::GET, "settings").send().await.expect("an answer");
        read.push(answer.status().as_u16());
    }
    assert_eq!(read, [200, 401]);
}

#[tokio::test]
async fn people_get_in_while_the_database_takes_no_writes() {
    let app = TestApp::demo().await;
    let before = Admin::set_up(&app).await;
    let database = rusqlite::Connection::open(app.store().join("picgate.sqlite3")).expect("opens");
    database.execute_batch("begin immediate").expect("nobody else writes now");
    let (first, second) = tokio::join!(log_in(&app), log_in(&app));
    for page in PAGES {
        first.get(page).await;
    }
    let sessions = |list: Value| list["items"].as_array().expect("a list").clone();
    let listed = sessions(first.get("sessions").await);
    assert_eq!(listed.len(), 3, "{listed:?}");
    assert_eq!(listed.iter().filter(|session| session["current"] == true).count(), 1);
    // They end like any other.
    let ended = second.request(Method::POST, "session/logout").send().await.expect("an answer");
    assert_eq!(ended.status(), 204);
    assert_eq!(second.request(Method::GET, "settings").send().await.expect("an answer").status(), 401);
    database.execute_batch("rollback").expect("ends");
    let ended = before.request(Method::DELETE, "sessions").send().await.expect("an answer");
    assert_eq!(ended.status(), 204);
    assert_eq!(first.request(Method::GET, "settings").send().await.expect("an answer").status(), 401);
    assert_eq!(sessions(before.get("sessions").await).len(), 1);
}
