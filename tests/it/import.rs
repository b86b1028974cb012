//! Taking over from the Python program: a data folder that it wrote itself (`fixtures/python`), with one upload that broke
//! off, one picture that is in the bucket alone, and a JPEG that it called a PNG.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::Stdio,
    time::SystemTime,
};

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    backup::run,
    support::{
        FakeBucket, TestApp,
        admin::{Admin, code, listed, run_job, until_cloud},
        eventually, pictures, process,
    },
};

const PNG: &str = "1c012374-974e-46a0-b90c-cf536aa10f77";
const JPEG: &str = "e62e2c21-ca1a-4e35-a2d2-c3c661e89a27";
const IN_BUCKET: &str = "8f57ff98-46c6-4b1f-832b-1367b83f10b4";

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/it/fixtures/python")
}

fn old_bytes(id: &str) -> Vec<u8> {
    std::fs::read(fixture().join(format!("images/{id}.png"))).unwrap()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target)
        } else {
            let _ = std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Everything below a folder: bytes and time of change.
fn tree(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let changed = path.metadata().unwrap().modified().unwrap();
        if path.is_dir() {
            found.extend(tree(&path));
            found.insert(path, (Vec::new(), changed));
        } else {
            found.insert(path.clone(), (std::fs::read(&path).unwrap(), changed));
        }
    }
    found
}

/// The bucket of the fixture, by the environment: its endpoint is that of a test.
async fn old_bucket() -> (FakeBucket, Vec<(&'static str, String)>) {
    let bucket = FakeBucket::start().await;
    bucket.put(&format!("openwebui/{IN_BUCKET}.png"), &pictures::png(8, 64));
    let variables = bucket.variables();
    (bucket, variables)
}

fn borrowed<'a>(variables: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    variables.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

fn setting(settings: &Value, key: &str) -> String {
    let item = settings["items"].as_array().unwrap().iter().find(|item| item["key"] == key).unwrap_or_else(|| panic!("{key}"));
    item["value"].as_str().unwrap().to_owned()
}

async fn log_in(app: &TestApp, password: &str) -> reqwest::Response {
    let body = json!({"username": "admin", "password": password});
    app.http.post(format!("{}/admin/api/session/login", app.url)).header("x-picgate", "1").json(&body).send().await.unwrap()
}

/// All rows of a database, but for what changes by itself.
fn rows(store: &Path) -> Vec<String> {
    let connection = rusqlite::Connection::open(store.join("picgate.sqlite3")).unwrap();
    let mut all = Vec::new();
    for sql in [
        "select hex(id) || hex(sha256) || source || created_at || accessed_at from images order by seq",
        "select hex(sha256) || bytes || media_type || state from blobs order by sha256",
        "select seq || state || coalesce(key, '') from copies order by seq",
        "select key || value from settings order by key",
        "select name || base_url || model from upstreams order by id",
        "select username || password from admin",
        "select hex(id) from imported order by id",
    ] {
        let mut statement = connection.prepare(sql).unwrap();
        all.extend(statement.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap));
    }
    all.push(std::fs::read_to_string(store.join("secrets.json")).unwrap());
    all
}

#[tokio::test]
async fn images_settings_and_the_admin_are_taken_over_and_the_old_folder_is_not_touched() {
    let (bucket, variables) = old_bucket().await;
    let variables = borrowed(&variables);
    let (old, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    copy(&fixture(), old.path());
    let before = tree(old.path());
    let path = old.path().to_str().unwrap();
    let (said, errors, status) = run(dir.path(), &["import", path], &variables).await;
    assert_eq!((status, errors.as_str()), (0, ""), "{said}");
    assert!(said.contains("3 images taken over") && said.contains("1 of them in the bucket alone"), "{said}");
    assert!(said.contains("1 were of another type") && said.contains("The account admin keeps its password"), "{said}");
    assert_eq!(tree(old.path()), before, "bytes, names and times of the old folder");

    // Twice changes nothing.
    let once = rows(&dir.path().join("store"));
    let (said, errors, status) = run(dir.path(), &["import", path], &variables).await;
    assert_eq!((status, errors.as_str()), (0, ""), "{said}");
    assert!(said.contains("0 images taken over") && said.contains("3 were known already"), "{said}");
    assert_eq!(rows(&dir.path().join("store")), once);
    assert_eq!(tree(old.path()), before);

    // Old links work, with and without the extension, and say what the bytes are.
    bucket.forget_seen();
    let app = TestApp::in_folder(dir, &variables).await;
    assert_eq!(app.key, "pg-legacy-key", "clients need no other key");
    assert!(app.gateway.setup_ticket().is_none());
    for (id, media_type, bytes) in
        [(PNG, "image/png", old_bytes(PNG)), (JPEG, "image/jpeg", old_bytes(JPEG)), (IN_BUCKET, "image/png", pictures::png(8, 64))]
    {
        for link in [format!("/images/{id}"), format!("/images/{id}.png")] {
            let response = app.get(&link).await;
            assert_eq!(response.headers()["content-type"], media_type, "{link}");
            assert_eq!(response.bytes().await.unwrap(), bytes, "{link}");
        }
        eventually("its thumbnail", async || (app.get(&format!("/images/{id}/thumbnail")).await.status() == 200).then_some(())).await;
    }
    // The password works, and its hash is a better one from then on.
    assert_eq!(code(log_in(&app, "wrong-horse").await, 401).await, "wrong_credentials");
    let signed_in = log_in(&app, "correct-horse").await;
    assert_eq!(signed_in.status(), 200);
    let admin = Admin::signed_in(&app, &signed_in);
    let hash: String = rusqlite::Connection::open(app.store().join("picgate.sqlite3"))
        .unwrap()
        .query_row("select password from admin", [], |row| row.get(0))
        .unwrap();
    assert!(hash.starts_with("$argon2id$"), "{hash}");
    assert_eq!(log_in(&app, "correct-horse").await.status(), 200);
    // Settings.
    let settings = admin.get("settings").await;
    for (key, value) in [
        ("public_base_url", "https://img.example.com"),
        ("cache_ttl_hours", "168"),
        ("cache_cap_mb", "500"),
        ("retention_days", "365"),
        ("r2_account_id", "acct"),
        ("fetch_external_images", "false"),
    ] {
        assert_eq!(setting(&settings, key), value, "{key}");
    }
    let upstreams = admin.get("upstreams").await;
    let upstream = &upstreams["items"][0];
    assert_eq!((upstream["base_url"].as_str(), upstream["model"].as_str()), (Some("http://127.0.0.1:9100/v1"), Some("mock")));
    assert_eq!(upstream["has_key"], true);
    // What was waiting for its upload, or broke off in it, is uploaded under its old name.
    for id in [PNG, JPEG] {
        until_cloud(&admin, id, "stored").await;
        assert_eq!(bucket.object(&format!("openwebui/{id}.png")).expect("an object"), old_bytes(id));
    }
    assert!(bucket.keys("picgate").is_empty());
    let shown = listed(&admin, PNG).await;
    // 2026-11-23 05:51:28.779493, which had no zone and is UTC.
    assert_eq!((shown["created_at"].as_i64(), shown["source"].as_str()), (Some(1_795_413_088_779), Some("imported")));
    assert_eq!((shown["width"].as_i64(), shown["height"].as_i64()), (Some(352), Some(352)));
}

#[tokio::test]
async fn a_gateway_offers_what_it_finds_and_takes_it_over_while_it_runs() {
    let (_bucket, variables) = old_bucket().await;
    let variables = borrowed(&variables);
    let dir = tempfile::tempdir().unwrap();
    copy(&fixture(), dir.path());
    let before = tree(dir.path());
    let app = TestApp::in_folder(dir, &variables).await;
    let admin = Admin::set_up(&app).await;
    let offer = admin.get("import").await;
    assert_eq!(offer["offered"], true, "{offer}");
    let figures = &offer["found"];
    assert_eq!(
        (figures["images"].as_i64(), figures["bytes"].as_i64(), figures["has_settings"].as_bool()),
        (Some(3), Some(398_940), Some(true))
    );
    let job = run_job(&admin, &json!({"kind": "import"})).await;
    assert_eq!((job["state"].as_str(), job["done"].as_i64(), job["failed"].as_i64()), (Some("done"), Some(3), Some(0)), "{job}");
    let after = admin.get("import").await;
    assert_eq!((after["offered"].as_bool(), after["last"]["images"].as_i64()), (Some(false), Some(3)), "{after}");
    assert_eq!(after["last"]["notes"], json!([]), "all of it was taken as it was");
    // All of it holds at once: links, settings, upstream and key.
    assert_eq!(app.image(&format!("/images/{PNG}.png")).await, old_bytes(PNG));
    assert_eq!(app.image(&format!("/images/{IN_BUCKET}")).await, pictures::png(8, 64));
    assert_eq!(setting(&admin.get("settings").await, "public_base_url"), "https://img.example.com");
    assert_eq!(admin.get("upstreams").await["items"][0]["base_url"], "http://127.0.0.1:9100/v1");
    let models = app.http.get(format!("{}/v1/models", app.url)).bearer_auth("pg-legacy-key").send().await.unwrap();
    assert_eq!(models.status(), 200);
    // What is deleted here does not come back, however often it is taken over.
    admin.send(Method::POST, "images/delete", &json!({"ids": [PNG], "what": "all"})).await;
    let job = run_job(&admin, &json!({"kind": "import"})).await;
    assert_eq!((job["state"].as_str(), job["failed"].as_i64()), (Some("done"), Some(0)), "{job}");
    assert_eq!(app.get(&format!("/images/{PNG}")).await.status(), 404);
    // A value that a person has set since is not set back.
    admin.send(Method::PATCH, "settings", &json!({"values": {"public_base_url": "https://new.example.com"}})).await;
    run_job(&admin, &json!({"kind": "import"})).await;
    assert_eq!(setting(&admin.get("settings").await, "public_base_url"), "https://new.example.com");
    let ours = |path: &PathBuf| path.starts_with(app.store());
    let after: BTreeMap<_, _> = tree(app.dir.path()).into_iter().filter(|(path, _)| !ours(path)).collect();
    assert_eq!(after, before);
}

#[tokio::test]
async fn a_no_is_remembered_and_without_old_data_nothing_is_offered() {
    let dir = tempfile::tempdir().unwrap();
    copy(&fixture(), dir.path());
    let app = TestApp::in_folder(dir, &[]).await;
    let admin = Admin::set_up(&app).await;
    assert_eq!(admin.request(Method::DELETE, "import").send().await.unwrap().status(), 204);
    assert_eq!(admin.get("import").await["offered"], false);
    let app = TestApp::demo().await;
    let admin = Admin::set_up(&app).await;
    let offer = admin.get("import").await;
    assert_eq!((offer["offered"].as_bool(), offer["found"].is_null()), (Some(false), true));
    let refused = admin.request(Method::POST, "jobs").json(&json!({"kind": "import"})).send().await.unwrap();
    assert_eq!(code(refused, 404).await, "not_found");
}

#[tokio::test]
async fn the_log_names_the_command_and_a_database_url_of_the_old_program_is_understood() {
    let (old, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    copy(&fixture(), old.path());
    let before = tree(old.path());
    let url = format!("sqlite+aiosqlite:///{}", old.path().join("db/picgate.db").display());
    let mut command = process::command(dir.path(), &["serve", "--port", "0"]);
    let mut child = command.env("DATABASE_URL", &url).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let errors = BufReader::new(child.stderr.take().unwrap());
    let line = tokio::task::spawn_blocking(move || errors.lines().map_while(Result::ok).find(|line| line.contains("picgate import")));
    let line = line.await.unwrap().expect("one line in the log");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(line.contains(&format!("picgate import {}", old.path().display())) && line.contains("images=3"), "{line}");
    assert_eq!(tree(old.path()), before);
    let (said, errors, status) = run(
        dir.path(),
        &["import", old.path().to_str().unwrap()],
        &[("DATABASE_URL", &url), ("PICGATE_S3_ENDPOINT", "http://127.0.0.1:9")],
    )
    .await;
    // The one that is in the bucket alone cannot be read, which is said; all else is there.
    assert!(status == 1 && said.contains("2 images taken over") && errors.contains(IN_BUCKET), "{said} {errors}");
    assert_eq!(tree(old.path()), before);
}

#[tokio::test]
async fn what_cannot_be_taken_over_is_told_and_the_rest_is() {
    let (bucket, variables) = old_bucket().await;
    bucket.remove(&format!("openwebui/{IN_BUCKET}.png"));
    let variables = borrowed(&variables);
    let (old, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    copy(&fixture(), old.path());
    let (html, gone, stray) =
        ("11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222", "33333333-3333-4333-8333-333333333333");
    std::fs::write(old.path().join(format!("images/{html}.png")), "<html>an error page</html>").unwrap();
    std::fs::write(old.path().join(format!("images/{stray}.png")), pictures::png(5, 32)).unwrap();
    std::fs::write(old.path().join("secret.png"), pictures::png(6, 32)).unwrap();
    let connection = rusqlite::Connection::open(old.path().join("db/picgate.db")).unwrap();
    for (id, path) in [(html, format!("{html}.png")), (gone, "../secret.png".to_owned()), ("not-an-id", "x.png".to_owned())] {
        let sql = "insert into images (image_id, local_path, r2_key, content_type, has_local_copy, has_r2_copy, upload_status, created_at)
                   values (?1, ?2, '', 'image/png', 1, 0, 'pending', 'not a time')";
        connection.execute(sql, [id, path.as_str()]).unwrap();
    }
    let sql = "update settings set local_cache_ttl_hours = -1, gateway_api_key = 'short', public_base_url = 'no address', upstream_api_base = 'ftp://x'";
    connection.execute(sql, []).unwrap();
    connection.execute("insert into admins (id, username, password_hash) values (2, 'second', 'x')", []).unwrap();
    drop(connection);
    let (said, errors, status) = run(dir.path(), &["import", old.path().to_str().unwrap()], &variables).await;
    assert_eq!(status, 1, "{said} {errors}");
    assert!(said.contains("3 images taken over"), "{said}");
    for (what, why) in [
        (html, "not an image"),
        (gone, "there is no such file"),
        ("not-an-id", "no image id"),
        (IN_BUCKET, "R2 does not have it either"),
        ("local_cache_ttl_hours", "'never'"),
        ("gateway_api_key", "8 to 256"),
        ("public_base_url", "is not a URL"),
        ("upstream_api_base", "no plain address"),
        ("admin second", "one admin"),
    ] {
        let line = errors.lines().find(|line| line.contains(what)).unwrap_or_else(|| panic!("{what} is not told: {errors}"));
        assert!(line.contains(why), "{line}");
    }
    let app = TestApp::in_folder(dir, &variables).await;
    assert_eq!(app.image(&format!("/images/{stray}")).await, pictures::png(5, 32), "a file whose row the old program forgot");
    assert_eq!(app.get(&format!("/images/{gone}")).await.status(), 404, "nothing outside the folder of images is read");
    // Put right, it is taken over the next time.
    let dir = app.stop().await;
    std::fs::write(old.path().join(format!("images/{html}.png")), pictures::png(7, 32)).unwrap();
    let (said, _, _) = run(dir.path(), &["import", old.path().to_str().unwrap()], &variables).await;
    assert!(said.contains("1 images taken over"), "{said}");
}

#[tokio::test]
async fn images_that_are_no_table_are_no_old_data_and_keep_nothing_from_starting() {
    let (old, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    copy(&fixture(), old.path());
    let endless = "drop table images;
        create view images as with recursive n (x) as (select 1 union all select x + 1 from n)
            select x as id, x as size_bytes, 1 as has_local_copy, 1 as has_r2_copy from n;";
    rusqlite::Connection::open(old.path().join("db/picgate.db")).unwrap().execute_batch(endless).unwrap();
    let (said, errors, status) = run(dir.path(), &["import", old.path().to_str().unwrap()], &[]).await;
    assert!(status == 1 && errors.contains("no data of the Python PicGate"), "{said} {errors}");
    copy(old.path(), dir.path());
    let app = TestApp::in_folder(dir, &[]).await;
    assert_eq!(app.get("/health").await.status(), 200);
}

#[tokio::test]
async fn what_a_writer_left_in_its_log_is_read_from_a_copy() {
    let (old, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    copy(&fixture(), old.path());
    let path = old.path().join("db/picgate.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.query_row("pragma journal_mode = wal", [], |_| Ok(())).unwrap();
    connection.execute("update settings set gateway_model_name = 'from-the-log'", []).unwrap();
    assert!(old.path().join("db/picgate.db-wal").metadata().unwrap().len() > 0, "not folded in as long as it is open");
    let before = tree(old.path());
    let variables = [("PICGATE_S3_ENDPOINT", "http://127.0.0.1:9")];
    let (said, errors, _) = run(dir.path(), &["import", old.path().to_str().unwrap()], &variables).await;
    assert!(said.contains("2 images taken over"), "{said} {errors}");
    assert_eq!(tree(old.path()), before);
    drop(connection);
    let app = TestApp::in_folder(dir, &variables).await;
    assert_eq!(app.gateway.model(), "from-the-log");
}

#[tokio::test]
async fn rows_name_neither_objects_of_others_nor_files_outside_the_folder() {
    let (bucket, variables) = old_bucket().await;
    let variables = borrowed(&variables);
    let (old, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    copy(&fixture(), old.path());
    let [first, second, led] =
        ["44444444-4444-4444-8444-444444444444", "55555555-5555-4555-8555-555555555555", "66666666-6666-4666-8666-666666666666"];
    for (seed, id) in [(11, first), (12, second)] {
        std::fs::write(old.path().join(format!("images/{id}.png")), pictures::png(seed, 32)).unwrap();
    }
    std::fs::write(old.path().join("secret.png"), pictures::png(13, 32)).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(old.path().join("secret.png"), old.path().join(format!("images/{led}.png"))).unwrap();
    let theirs = format!("openwebui/{IN_BUCKET}.png");
    let connection = rusqlite::Connection::open(old.path().join("db/picgate.db")).unwrap();
    for id in [first, second, led] {
        let sql = "insert into images (image_id, local_path, r2_key, content_type, has_local_copy, has_r2_copy, upload_status, created_at)
                   values (?1, ?1 || '.png', ?2, 'image/png', 1, 1, 'uploaded', '2025-01-01')";
        connection.execute(sql, [id, theirs.as_str()]).unwrap();
    }
    drop(connection);
    let (said, errors, _) = run(dir.path(), &["import", old.path().to_str().unwrap()], &variables).await;
    assert!(said.contains("5 images taken over") && errors.contains(led), "{said} {errors}");
    let database = rusqlite::Connection::open(dir.path().join("store/picgate.sqlite3")).unwrap();
    let sql = "select count(*) from copies where key = ?1";
    let named: i64 = database.query_row(sql, [&theirs], |row| row.get(0)).unwrap();
    assert_eq!(named, 1, "it belongs to the one image whose name it has");
    drop(database);
    let app = TestApp::in_folder(dir, &variables).await;
    assert_eq!(app.image(&format!("/images/{first}")).await, pictures::png(11, 32));
    assert_ne!(app.get(&format!("/images/{led}")).await.status(), 200);
    assert_eq!(bucket.object(&theirs).expect("there"), pictures::png(8, 64));
}

/// What the whole program may take while it reads such a folder; the rows below are twice that.
#[cfg(target_os = "linux")]
const IMPORT_MAX_KB: u64 = 100 * 1024;

#[cfg(target_os = "linux")]
#[tokio::test]
async fn rows_of_megabytes_are_no_reason_to_hold_them_in_memory() {
    let (old, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let data = dir.path().join("data");
    copy(&fixture(), old.path());
    let database = rusqlite::Connection::open(old.path().join("db/picgate.db")).unwrap();
    // 100 rows with 2 MB each, in every place that is read as text.
    for (column, base) in [("local_path", 1000), ("r2_key", 2000), ("image_id", 3000), ("created_at", 4000)] {
        let columns = ["image_id", "local_path", "r2_key", "content_type", "created_at"];
        let values = columns.map(|name| {
            let short = if name == "image_id" { format!("printf('11111111-2222-4333-8444-%012d', {base} + n)") } else { "'x'".to_owned() };
            if name == column { "replace(hex(zeroblob(1000000)), '00', 'ab') || n".to_owned() } else { short }
        });
        let sql = format!(
            "with recursive rows (n) as (select 1 union all select n + 1 from rows where n < 25)
             insert into images (id, {}) select {base} + n, {} from rows",
            columns.join(", "),
            values.join(", ")
        );
        database.execute_batch(&sql).unwrap();
    }
    drop(database);
    let mut command = process::command(&data, &["import", old.path().to_str().unwrap()]);
    // Into files: nobody reads a pipe while it runs.
    let (said, errors) = (dir.path().join("said"), dir.path().join("errors"));
    let file = |path: &Path| Stdio::from(std::fs::File::create(path).unwrap());
    let mut child = command.stdout(file(&said)).stderr(file(&errors)).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let now = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        peak = peak.max(now.unwrap_or(0));
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    let (said, errors) = (std::fs::read_to_string(said).unwrap(), std::fs::read_to_string(errors).unwrap());
    assert!(said.contains("2 images taken over"), "{said} {errors}");
    assert!(errors.contains("row 3001: its name is no image id"), "{errors}");
    assert!(errors.len() < 100_000, "{} bytes are told", errors.len());
    assert!(peak > 0 && peak < IMPORT_MAX_KB, "peak memory was {peak} kB");
}

#[tokio::test]
async fn a_name_in_the_old_database_does_not_steer_the_terminal() {
    let (old, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    copy(&fixture(), old.path());
    let database = rusqlite::Connection::open(old.path().join("db/picgate.db")).unwrap();
    let sql = "insert into images (id, image_id, local_path, r2_key, content_type, created_at)
               values (9000, char(27) || '[2Jname', 'x', 'x', 'x', 'x')";
    database.execute(sql, []).unwrap();
    drop(database);
    let (_, errors, _) = run(dir.path(), &["import", old.path().to_str().unwrap()], &[]).await;
    let complaint = errors.lines().find(|line| line.starts_with("picgate: ") && line.contains("[2Jname")).expect("it is named");
    assert!(!complaint.contains(char::is_control), "{complaint:?}");
}
