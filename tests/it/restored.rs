//! What comes with a crafted archive: settings and upstreams that the admin's page would refuse do not come along, and those
//! that decide who is reached, where pictures go and what is removed are named; nobody is let in by it, and nothing of others
//! is removed for it.

use std::path::{Path, PathBuf};

use crate::{
    backup::{PASSPHRASE, archive, entries, names, run, small_backup, text, with_database},
    support::{
        FakeBucket, TestApp,
        admin::Admin,
        bucket::{BUCKET, OTHER},
        eventually,
    },
};

/// A backup of three images whose database somebody wrote to; and the images' ids.
async fn crafted(work: &Path, sql: &str) -> (PathBuf, Vec<String>) {
    let (file, ids) = small_backup(work, &[]).await;
    let parts = entries(&std::fs::read(&file).unwrap());
    let copy = work.join("copy.sqlite3");
    std::fs::write(&copy, &parts.iter().find(|entry| entry.name == "store/picgate.sqlite3").unwrap().bytes).unwrap();
    rusqlite::Connection::open(&copy).unwrap().execute_batch(sql).unwrap();
    let path = work.join("crafted.tar");
    std::fs::write(&path, archive(&with_database(&parts, std::fs::read(&copy).unwrap()))).unwrap();
    (path, ids)
}

/// Of the password `correct-horse`.
const HASH: &str = "$2b$12$4vcKGERLDrLcduNNaaKrEeyb2wOJR2nBwcxQF7TlpvO1GmIj1UzuK";

/// The same password as every test's admin has, hashed at a higher cost than a sign-in may have.
const COSTLY: &str = "$argon2id$v=19$m=64,t=11,p=1$MDEyMzQ1Njc4OWFiY2RlZg$NWe6Hzxod4dHcmKkZkHy1AJkoThWhoCA55xDH/NEIWs";

async fn sign_in(app: &TestApp, username: &str, password: &str) -> u16 {
    let body = serde_json::json!({"username": username, "password": password});
    let request = app.http.post(format!("{}/admin/api/session/login", app.url)).header("x-picgate", "1").json(&body);
    request.send().await.expect("an answer").status().as_u16()
}

#[tokio::test]
async fn an_account_in_the_database_of_an_archive_lets_nobody_in() {
    let work = tempfile::tempdir().unwrap();
    let sql = format!(
        "insert into admin (id, username, password, changed_at) values (1, 'mallory', '{HASH}', 1);
         insert into sessions (token, created_at, seen_at, address, agent) values (zeroblob(32), 1, 1, '', '');"
    );
    let (path, _) = crafted(work.path(), &sql).await;
    let target = tempfile::tempdir().unwrap();
    let (said, errors, code) = run(target.path(), &["restore", text(&path)], &[]).await;
    assert!(code == 0 && said.contains("a ticket for /admin"), "{said} {errors}");
    let database = rusqlite::Connection::open(target.path().join("store/picgate.sqlite3")).unwrap();
    let sql = "select (select count(*) from admin) + (select count(*) from sessions)";
    assert_eq!(database.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    drop(database);
    let restored = TestApp::in_folder(target, &[]).await;
    assert!(restored.gateway.setup_ticket().is_some(), "whoever restored it sets the account up");
    assert_ne!(sign_in(&restored, "mallory", "correct-horse").await, 200);
    let admin = Admin::set_up(&restored).await;
    assert_eq!(admin.get("images").await["items"].as_array().unwrap().len(), 3);
    assert_ne!(sign_in(&restored, "mallory", "correct-horse").await, 200);
}

#[tokio::test]
async fn removals_in_an_archive_reach_no_objects_of_others() {
    let (bucket, work) = (FakeBucket::start().await, tempfile::tempdir().unwrap());
    let (gone, legacy) = ("11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222");
    let (own, python) = (format!("picgate/{gone}"), format!("openwebui/{legacy}.png"));
    let foreign =
        ["precious/other-app.db".to_owned(), format!("precious/{gone}"), format!("openwebui/{gone}"), format!("picgate/{legacy}x")];
    for key in foreign.iter().chain([&own, &python]) {
        bucket.put(key, b"an object");
    }
    let place = |name: &str| format!("http://{}|{name}|picgate/", bucket.address);
    let grave = |id: &str, bucket: &str, key: &str| {
        let id = id.replace('-', "");
        format!("insert into tombstones (id, bucket, key, due_at) values (x'{id}', '{bucket}', '{key}', 0);")
    };
    let theirs: String = foreign.iter().map(|key| grave(gone, &place(BUCKET), key)).collect();
    let ours = [
        grave(gone, &place(BUCKET), &own),
        grave(legacy, &place(BUCKET), &python),
        // Of a bucket that is not used any more, and of one with another prefix: each is looked at by its own.
        grave(gone, &place(OTHER), &own),
        grave(gone, &format!("http://127.0.0.1:9|{BUCKET}|precious/"), &format!("precious/{gone}")),
    ];
    let sql = format!("{theirs} {} insert into doomed (sha256) select sha256 from blobs;", ours.concat());
    let (path, ids) = crafted(work.path(), &sql).await;
    let target = tempfile::tempdir().unwrap();
    let (said, errors, code) = run(target.path(), &["restore", text(&path)], &[]).await;
    assert_eq!(code, 0, "{said} {errors}");
    let database = rusqlite::Connection::open(target.path().join("store/picgate.sqlite3")).unwrap();
    let kept = |sql: &str| database.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(kept("select count(*) from tombstones"), ours.len() as i64, "those that can be of images stay");
    assert_eq!(kept("select count(*) from doomed"), 0);
    // However such a row comes about, it removes nothing.
    database.execute_batch(&theirs).unwrap();
    drop(database);

    let variables = bucket.variables();
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let restored = TestApp::in_folder(target, &variables).await;
    let store = restored.store().join("picgate.sqlite3");
    let due = format!("select count(*) from tombstones where bucket = '{}'", place(BUCKET));
    eventually("all removals to be done", async || {
        let left = rusqlite::Connection::open(&store).and_then(|database| database.query_row(&due, [], |row| row.get::<_, i64>(0)));
        left.is_ok_and(|left| left == 0).then_some(())
    })
    .await;
    for key in &foreign {
        assert!(bucket.object(key).is_some(), "{key} is somebody else's");
    }
    for key in [&own, &python] {
        assert!(bucket.object(key).is_none(), "{key} was of a deleted image");
    }
    for id in &ids {
        assert_eq!(restored.get(&format!("/images/{id}")).await.status(), 200, "{id} is no image whose bytes are to go");
    }
}

#[tokio::test]
async fn a_password_whose_hash_asks_for_too_much_is_not_restored_and_lets_nobody_in() {
    let (app, work) = (TestApp::demo().await, tempfile::tempdir().unwrap());
    drop(Admin::set_up(&app).await);
    assert_eq!(sign_in(&app, "admin", "correct horse").await, 200);
    let dir = app.stop().await;
    let database = rusqlite::Connection::open(dir.path().join("store/picgate.sqlite3")).unwrap();
    database.execute("update admin set password = ?1", [COSTLY]).unwrap();
    drop(database);
    let file = work.path().join("backup.tar");
    let passphrase = [("PICGATE_PASSPHRASE", PASSPHRASE)];
    let (_, errors, code) = run(dir.path(), &["backup", text(&file), "--with-secrets"], &passphrase).await;
    assert_eq!(code, 0, "{errors}");
    let target = tempfile::tempdir().unwrap();
    let (_, errors, code) = run(target.path(), &["restore", text(&file)], &passphrase).await;
    assert!(code == 1 && errors.contains("asks for too much") && errors.contains("--without-secrets"), "{errors}");
    assert_eq!(names(target.path()), Vec::<String>::new());
    let (said, errors, code) = run(target.path(), &["restore", text(&file), "--without-secrets"], &[]).await;
    assert_eq!(code, 0, "{said} {errors}");

    let app = TestApp::in_folder(dir, &[]).await;
    assert_eq!(sign_in(&app, "admin", "correct horse").await, 401, "the password is right, and what it costs is not paid");
}

#[tokio::test]
async fn settings_of_an_archive_are_checked_as_the_admins_page_does_and_dangerous_ones_are_named() {
    let work = tempfile::tempdir().unwrap();
    let sql = "insert into settings (key, value, changed_at) values
            ('history_images', '9999', 1), ('keep_uploads', 'Yes', 1), ('no_such_thing', 'x', 1), ('gateway_model', 'mine', 1),
            ('r2_secret_access_key', 'canary', 1), ('public_base_url', 'https://phish.example.com/', 1),
            ('allowed_hosts', 'phish.example.com' || char(10) || 'b' || char(27) || '[2J', 1), ('evict_last_copy', 'true', 1), ('retention_days', '1', 1),
            ('cache_cap_mb', '1', 1), ('cache_ttl_hours', '1', 1), ('task_model', 'theirs', 1);
        insert into settings (key, value, changed_at) values ('intent_words', hex(zeroblob(100000)), 1);
        insert into upstreams (name, kind, base_url, model, priority, enabled, created_at) values
            ('off', 'openai', 'https://off.example.com/v1', 'm', 0, 0, 1);
        insert into upstreams (name, kind, base_url, model, created_at) values
            ('good', 'openai', 'https://api.example.com/v1', 'm', 1), ('bad', 'openai', 'file:///etc/passwd', 'm', 1),
            ('sly', 'openai', 'https://user:pw@example.com', 'm', 1);";
    let (path, _) = crafted(work.path(), sql).await;

    let target = tempfile::tempdir().unwrap();
    let (said, errors, code) = run(target.path(), &["restore", text(&path)], &[]).await;
    assert_eq!(code, 0, "{said} {errors}");
    for left_out in [
        "history_images: ",
        "no_such_thing: ",
        "r2_secret_access_key: ",
        "allowed_hosts: ",
        "1 settings: ",
        "upstream bad: ",
        "upstream sly: ",
    ] {
        assert!(errors.contains(&format!("left out: {left_out}")), "{left_out} in {errors}");
    }
    for named in [
        "public_base_url = https://phish.example.com",
        "evict_last_copy = true",
        "retention_days = 1",
        "cache_cap_mb = 1",
        "cache_ttl_hours = 1",
        "task_model = theirs",
        "upstream good = https://api.example.com/v1",
        "upstream off (disabled) = https://off.example.com/v1",
    ] {
        assert!(said.contains(named), "{named} in {said}");
    }
    assert!(!said.contains("gateway_model") && !said.contains("keep_uploads"), "only what matters: {said}");
    assert!(!said.contains('\u{1b}') && !errors.contains('\u{1b}'), "nothing of it steers a terminal");

    let restored = TestApp::in_folder(target, &[]).await;
    let admin = Admin::set_up(&restored).await;
    let settings = admin.get("settings").await;
    let of = |key: &str| settings["items"].as_array().unwrap().iter().find(|item| item["key"] == key).unwrap()["value"].clone();
    assert_eq!((of("history_images").as_str(), of("gateway_model").as_str()), (Some("8"), Some("mine")));
    let upstreams = admin.get("upstreams").await;
    let names: Vec<&str> = upstreams["items"].as_array().unwrap().iter().filter_map(|item| item["name"].as_str()).collect();
    assert_eq!(names, ["off", "good"]);
    let dir = restored.stop().await;
    let database = rusqlite::Connection::open(dir.path().join("store/picgate.sqlite3")).unwrap();
    let mut statement = database.prepare("select key from settings order by key").unwrap();
    let kept: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let known =
        ["cache_cap_mb", "cache_ttl_hours", "evict_last_copy", "gateway_model", "keep_uploads", "public_base_url", "retention_days"];
    assert_eq!(kept, [&known[..], &["task_model"]].concat());
}

#[tokio::test]
async fn an_archive_brings_no_more_upstreams_than_can_be_added() {
    let work = tempfile::tempdir().unwrap();
    let sql = "with recursive n (n) as (select 1 union all select n + 1 from n where n < 60)
        insert into upstreams (name, kind, base_url, model, enabled, priority, created_at)
        select 'u' || n, 'openai', 'https://api.example.com/v1', 'm', n > 5, n, 1 from n";
    let (path, _) = crafted(work.path(), sql).await;
    let target = tempfile::tempdir().unwrap();
    let (said, errors, code) = run(target.path(), &["restore", text(&path)], &[]).await;
    assert_eq!(code, 0, "{said} {errors}");
    // Those that are used stay first.
    assert!(errors.contains("left out: upstream u60: ") && errors.contains("left out: upstream u5: "), "{errors}");
    assert_eq!(errors.matches("left out: upstream ").count(), 10, "{errors}");
    let restored = TestApp::in_folder(target, &[]).await;
    let admin = Admin::set_up(&restored).await;
    assert_eq!(admin.get("upstreams").await["items"].as_array().map(Vec::len), Some(50));
}
