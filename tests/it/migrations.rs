//! Updates: a database of every version that ever was is brought up to date at the start, and all its links go on working.

use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::json;

use crate::{
    admin::Admin,
    support::{TestApp, app, eventually, pictures, process::finished},
};

const IMAGE: &str = "11111111-2222-4333-8444-555555555555";
const UPLOAD: &str = "66666666-7777-4888-9999-aaaaaaaaaaaa";

/// The migrations that exist, in order.
fn migrations() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "sql"));
    files.sort();
    files.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// A folder as the version with the first `version` migrations left it: an image that has been there since the first
/// version, one that this version saved, a setting and an upstream.
fn folder_of(version: usize) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    std::fs::create_dir_all(&store).unwrap();
    let database = rusqlite::Connection::open(store.join("picgate.sqlite3")).unwrap();
    database.pragma_update(None, "journal_mode", "wal").unwrap();
    for (at, migration) in migrations()[..version].iter().enumerate() {
        database.execute_batch(migration).unwrap();
        if at == 0 {
            save(&database, &store, 1, IMAGE, "generated", &pictures::png(1, 32));
        }
    }
    database.pragma_update(None, "user_version", version as i64).unwrap();
    save(&database, &store, 2, UPLOAD, "uploaded", &pictures::jpeg(2, 32));
    database.execute("insert into lineage (seq, position, parent_id) values (1, 0, ?1)", [id_bytes(UPLOAD)]).unwrap();
    database.execute("insert into settings (key, value, changed_at) values ('gateway_model', 'my-model', 1000)", []).unwrap();
    let upstream =
        "insert into upstreams (name, kind, base_url, model, created_at) values ('mine', 'openai', 'http://127.0.0.1:9/v1', 'm', 1)";
    database.execute(upstream, []).unwrap();
    dir
}

/// A file and its rows, with the columns that every version has.
fn save(database: &rusqlite::Connection, store: &Path, seq: i64, id: &str, source: &str, bytes: &[u8]) {
    let digest = hex(&sha256(bytes));
    let folder = store.join("blobs").join(&digest[..2]);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(&digest), bytes).unwrap();
    let media_type = if bytes.starts_with(b"\x89PNG") { "image/png" } else { "image/jpeg" };
    let blob = "insert into blobs (sha256, bytes, media_type, width, height, complete, created_at) values (?1, ?2, ?3, 32, 32, 1, 1000)";
    database.execute(blob, rusqlite::params![sha256(bytes), bytes.len() as i64, media_type]).unwrap();
    let image = "insert into images (seq, id, sha256, source, prompt, model, created_at, accessed_at)
                 values (?1, ?2, ?3, ?4, 'an old lighthouse 灯塔', 'old-model', 1000, 1000)";
    database.execute(image, rusqlite::params![seq, id_bytes(id), sha256(bytes), source]).unwrap();
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).to_vec()
}

fn id_bytes(id: &str) -> Vec<u8> {
    uuid::Uuid::parse_str(id).unwrap().as_bytes().to_vec()
}

#[tokio::test]
async fn a_database_of_every_version_is_brought_up_to_date_and_all_links_work() {
    let latest = migrations().len();
    assert!(latest >= 4, "the test looks where the migrations are");
    for version in 1..=latest {
        let app = TestApp::in_folder(folder_of(version), &[]).await;
        assert_eq!(app.image(&format!("/images/{IMAGE}")).await, pictures::png(1, 32), "from version {version}");
        assert_eq!(app.image(&format!("/images/{UPLOAD}.jpg")).await, pictures::jpeg(2, 32), "from version {version}");
        let admin = Admin::set_up(&app).await;
        let image = admin.get(&format!("images/{IMAGE}")).await;
        assert_eq!(image["prompt"], "an old lighthouse 灯塔", "from version {version}");
        eventually("old prompts to be found", async || {
            let found = admin.get("images?q=%E7%81%AF%E5%A1%94").await;
            found["items"].as_array().is_some_and(|items| items.iter().any(|item| item["id"] == IMAGE)).then_some(())
        })
        .await;
        let upstreams = admin.get("upstreams").await;
        assert!(upstreams.to_string().contains("http://127.0.0.1:9/v1"), "from version {version}: {upstreams}");
        assert_eq!(app.get("/health").await.json::<serde_json::Value>().await.unwrap()["status"], "ok");
        let models = app.http.get(format!("{}/v1/models", app.url)).bearer_auth(&app.key).send().await.unwrap().text().await.unwrap();
        assert!(models.contains("my-model"), "from version {version}: {models}");
        let backups = std::fs::read_dir(app.store().join("backups")).unwrap().flatten();
        let kept = backups.filter(|entry| entry.file_name().to_string_lossy().starts_with(&format!("schema-{version}-"))).count();
        assert_eq!(kept, usize::from(version < latest), "a copy of the old database, from version {version}");
        let deleted = admin.send(Method::POST, "images/delete", &json!({"ids": [IMAGE], "what": "all", "last_copies": true})).await;
        assert!(deleted.is_object(), "{deleted}");
        app.stop().await;
    }
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_and_left_as_it_is() {
    let dir = folder_of(migrations().len());
    let path = dir.path().join("store/picgate.sqlite3");
    let newer = migrations().len() as i64 + 1;
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", newer).unwrap();
    let before = std::fs::read(&path).unwrap();
    let folder = dir.path().to_owned();
    let (_, error, code) = tokio::task::spawn_blocking(move || finished(&folder, &["serve", "--port", "0"], &[])).await.unwrap();
    assert_eq!(code, 1);
    for word in ["newer version", &format!("schema {newer}"), "backups"] {
        assert!(error.contains(word), "{error}");
    }
    assert!(std::fs::read(&path).unwrap() == before);
    let config = app::config(dir.path(), &[]);
    assert!(picgate_gateway::server::Gateway::start(&config).await.is_err());
}
