//! A library of thousands: what the page Cache shows of it may be some seconds old, and not at all when something was decided.

use reqwest::Method;
use serde_json::json;

use crate::support::{
    FakeUpstream, TestApp,
    admin::{Admin, draw},
    eventually,
};

/// Rows of images whose bytes are nowhere.
const ROWS: &str = "
    with recursive rows (n) as (select 1 union all select n + 1 from rows where n < 2100)
    insert into blobs (sha256, bytes, media_type, complete, state, thumbnail, created_at)
        select cast(printf('%032d', n) as blob), 100, 'image/png', 1, 'missing', 'failed', 0 from rows;
    insert into images (id, sha256, source, created_at, accessed_at)
        select substr(sha256, 17), sha256, 'generated', 1000, 1000 from blobs;";

#[tokio::test]
async fn figures_of_a_large_library_are_new_at_once_when_something_was_decided_and_soon_when_not() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let cookie = Admin::set_up(&app).await.cookie.clone();
    let database = app.store().join("picgate.sqlite3");
    let dir = app.stop().await;
    rusqlite::Connection::open(database).expect("opens").execute_batch(ROWS).expect("inserts");
    let app = TestApp::in_folder(dir, &[("PICGATE_UPSTREAM_BASE_URL", &upstream.base_url)]).await;
    let admin = Admin::again(&app, &cookie);
    assert_eq!(admin.get("cache").await["missing"]["count"], 2100);
    draw(&app, &upstream, "first", 1, 32).await;
    admin.send(Method::PATCH, "settings", &json!({"values": {"cache_cap_mb": "1000"}})).await;
    let cache = admin.get("cache").await;
    assert_eq!((&cache["local_only"]["count"], &cache["cap_bytes"]), (&json!(1), &json!(1000u64 << 20)), "{cache}");
    draw(&app, &upstream, "second", 2, 32).await;
    eventually("the second picture", async || (admin.get("cache").await["local_only"]["count"] == 2).then_some(())).await;
}
