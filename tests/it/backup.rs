//! Backup and restore: everything of a gateway in one file and back, beside a gateway that runs, without a secret that
//! nobody asked for, and nothing or all of it whatever happens on the way.

use std::{
    io::{Read, Write},
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    FakeBucket, FakeUpstream, TestApp,
    admin::{Admin, app_with, draw, listed, run_job, until_cloud},
    eventually, pictures, process,
};

pub const PASSPHRASE: &str = "correct horse battery";

/// Runs a command over `dir` while the gateways of this test go on.
pub async fn run(dir: &Path, args: &[&str], variables: &[(&str, &str)]) -> (String, String, i32) {
    let (dir, args) = (dir.to_owned(), args.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>());
    let variables: Vec<(String, String)> = variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    let run = move || {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let variables: Vec<(&str, &str)> = variables.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        process::finished(&dir, &args, &variables)
    };
    tokio::task::spawn_blocking(run).await.expect("runs")
}

pub fn text(path: &Path) -> &str {
    path.to_str().expect("plain characters")
}

/// Names of what is in a folder.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .map(|entries| entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
        .unwrap_or_default();
    names.sort();
    names
}

#[derive(Clone, Debug)]
pub struct Entry {
    pub name: String,
    kind: tar::EntryType,
    pub bytes: Vec<u8>,
}

pub fn entries(archive: &[u8]) -> Vec<Entry> {
    let mut archive = tar::Archive::new(archive);
    let read = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_string_lossy().into_owned();
        let (kind, mut bytes) = (entry.header().entry_type(), Vec::new());
        entry.read_to_end(&mut bytes).unwrap();
        Entry { name, kind, bytes }
    });
    read.collect()
}

/// An archive with names that a careful writer would refuse.
pub fn archive(entries: &[Entry]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for Entry { name, kind, bytes } in entries {
        let mut header = tar::Header::new_ustar();
        if header.set_path(name).is_err() {
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        }
        header.set_entry_type(*kind);
        if matches!(kind, tar::EntryType::Symlink | tar::EntryType::Link) {
            header.set_link_name("/etc/passwd").unwrap();
        }
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        builder.append(&header, bytes.as_slice()).unwrap();
    }
    builder.into_inner().unwrap()
}

/// The archive in `parts` with another database, and a manifest that fits it.
pub fn with_database(parts: &[Entry], bytes: Vec<u8>) -> Vec<Entry> {
    let mut parts = parts.to_vec();
    let mut manifest: Value = serde_json::from_slice(&parts[0].bytes).unwrap();
    manifest["database_sha256"] = pictures::sha256(&bytes).into();
    manifest["database_bytes"] = bytes.len().into();
    parts[0].bytes = manifest.to_string().into_bytes();
    parts.iter_mut().find(|entry| entry.name == "store/picgate.sqlite3").unwrap().bytes = bytes;
    parts
}

/// A backup of a gateway with three images, and their ids.
pub async fn small_backup(folder: &Path, args: &[&str]) -> (PathBuf, Vec<String>) {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let mut ids = Vec::new();
    for seed in 0..3 {
        ids.push(draw(&app, &upstream, "a cat", seed, 48).await);
    }
    let file = folder.join("backup.tar");
    let (_, errors, code) = run(app.dir.path(), &[&["backup", text(&file)], args].concat(), &[("PICGATE_PASSPHRASE", PASSPHRASE)]).await;
    assert_eq!(code, 0, "{errors}");
    (file, ids)
}

#[tokio::test]
async fn a_backup_of_a_gateway_that_draws_and_deletes_meanwhile_restores_whole() {
    let (upstream, work) = (FakeUpstream::start().await, tempfile::tempdir().unwrap());
    let app = TestApp::over(&upstream).await;
    let admin = Admin::set_up(&app).await;
    let mut before = Vec::new();
    for seed in 0..10 {
        before.push((draw(&app, &upstream, "一只猫", seed, 48).await, pictures::png(seed, 48)));
    }
    let stop = Arc::new(AtomicBool::new(false));
    // Draws, and deletes every second one of what it drew, as long as backups are made.
    let busy = async {
        let mut seed = 1000;
        while !stop.load(Ordering::Relaxed) {
            let id = draw(&app, &upstream, "meanwhile", seed, 48).await;
            if seed % 2 == 0 {
                admin.send(Method::POST, "images/delete", &json!({"ids": [id], "what": "all"})).await;
            }
            seed += 1;
        }
        seed - 1000
    };
    let backups = async {
        let mut files = Vec::new();
        for n in 0..3 {
            let file = work.path().join(format!("backup-{n}.tar"));
            let (said, errors, code) = run(app.dir.path(), &["backup", text(&file)], &[]).await;
            assert_eq!((code, errors.as_str()), (0, ""), "{said}");
            files.push(file);
        }
        stop.store(true, Ordering::Relaxed);
        files
    };
    let (drawn, files) = tokio::join!(busy, backups);
    assert!(drawn > 0, "it was drawn meanwhile");
    assert!(!names(&app.store().join("tmp")).iter().any(|name| name.starts_with("held-")), "nothing is held any longer");
    for file in files {
        let target = tempfile::tempdir().unwrap();
        let (said, errors, code) = run(target.path(), &["restore", text(&file)], &[]).await;
        assert_eq!((code, errors.as_str()), (0, ""), "{said}");
        let restored = TestApp::in_folder(target, &[]).await;
        for (id, bytes) in &before {
            assert_eq!(restored.image(&format!("/images/{id}")).await, *bytes);
        }
        let admin = Admin::set_up(&restored).await;
        let page = admin.get("images?limit=200").await;
        let items = page["items"].as_array().unwrap();
        assert!(items.len() >= before.len());
        for item in items {
            let id = item["id"].as_str().unwrap();
            assert_eq!(restored.get(&format!("/images/{id}")).await.status(), 200, "whatever the backup names is in it");
        }
        // Prompts came along, and can be found.
        let found = admin.get("images?q=%E7%8C%AB").await;
        assert_eq!(found["items"].as_array().unwrap().len(), before.len());
        let health: Value = restored.get("/health").await.json().await.unwrap();
        assert_eq!(health["status"], "ok", "{health}");
    }
}

#[tokio::test]
async fn secrets_are_in_a_backup_only_if_asked_for_and_only_a_passphrase_opens_them() {
    let (upstream, work) = (FakeUpstream::start().await, tempfile::tempdir().unwrap());
    let app = TestApp::over(&upstream).await;
    let admin = Admin::set_up(&app).await;
    draw(&app, &upstream, "a cat", 1, 48).await;
    let values = json!({"r2_secret_access_key": "canary-bucket-0123456789", "gateway_model": "my-gate"});
    admin.send(Method::PATCH, "settings", &json!({"values": values})).await;
    let new = json!({"name": "mine", "kind": "openai", "base_url": "http://127.0.0.1:9/v1", "model": "m", "api_key": "canary-upstream-0123456789"});
    admin.send(Method::POST, "upstreams", &new).await;
    let hash = "$argon2id$";
    let canaries = [app.key.as_str(), "canary-bucket-0123456789", "canary-upstream-0123456789", hash];
    let (open, sealed) = (work.path().join("open.tar"), work.path().join("sealed.tar"));
    let file = work.path().join("passphrase");
    std::fs::write(&file, format!("{PASSPHRASE}\n")).unwrap();
    assert_eq!(run(app.dir.path(), &["backup", text(&open)], &[]).await.2, 0);
    let with = ["backup", text(&sealed), "--with-secrets", "--passphrase-file", text(&file)];
    assert_eq!(run(app.dir.path(), &with, &[]).await.2, 0);
    for path in [&open, &sealed] {
        let bytes = std::fs::read(path).unwrap();
        for canary in canaries {
            assert!(memchr::memmem::find(&bytes, canary.as_bytes()).is_none(), "{canary} in {}", path.display());
        }
        // Nor is the digest of a session's token, which the database holds.
        let database = entries(&bytes).into_iter().find(|entry| entry.name == "store/picgate.sqlite3").unwrap().bytes;
        let copy = work.path().join("copy.sqlite3");
        std::fs::write(&copy, database).unwrap();
        let sessions: i64 =
            rusqlite::Connection::open(&copy).unwrap().query_row("select count(*) from sessions", [], |r| r.get(0)).unwrap();
        assert_eq!(sessions, 0);
        #[cfg(unix)]
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions()) & 0o777, 0o600);
    }
    // Too short a passphrase, none, a file that exists: refused in words.
    let other = work.path().join("other.tar");
    for (args, variables, words) in [
        (vec!["backup", text(&other), "--with-secrets"], vec![("PICGATE_PASSPHRASE", "short")], "at least 8 characters"),
        (vec!["backup", text(&other), "--with-secrets"], vec![], "--passphrase-file"),
        (vec!["backup", text(&open)], vec![], "--force"),
    ] {
        let (_, errors, code) = run(app.dir.path(), &args, &variables).await;
        assert!(code == 1 && errors.contains(words), "{errors}");
    }
    assert!(!other.exists());
    assert_eq!(run(app.dir.path(), &["backup", text(&open), "--force"], &[]).await.2, 0);

    let target = tempfile::tempdir().unwrap();
    let (_, errors, code) = run(target.path(), &["restore", text(&sealed)], &[("PICGATE_PASSPHRASE", "wrong horse battery")]).await;
    assert!(code == 1 && errors.contains("the passphrase is wrong"), "{errors}");
    assert_eq!(names(target.path()), Vec::<String>::new());
    let (_, errors, code) = run(target.path(), &["restore", text(&sealed)], &[]).await;
    assert!(code == 1 && errors.contains("--without-secrets"), "{errors}");
    let (said, errors, code) = run(target.path(), &["restore", text(&sealed)], &[("PICGATE_PASSPHRASE", PASSPHRASE)]).await;
    assert_eq!(code, 0, "{errors}");
    assert!(said.contains("as they were"), "{said}");
    let restored = TestApp::in_folder(target, &[]).await;
    assert_eq!(restored.key, app.key);
    assert!(restored.gateway.setup_ticket().is_none());
    let body = json!({"username": "admin", "password": "correct horse"});
    let log_in = restored.http.post(format!("{}/admin/api/session/login", restored.url)).header("x-picgate", "1").json(&body);
    assert_eq!(log_in.send().await.unwrap().status(), 200);
    let secrets = std::fs::read_to_string(restored.store().join("secrets.json")).unwrap();
    assert!(secrets.contains("canary-bucket-0123456789") && secrets.contains("canary-upstream-0123456789"));

    // Without them: another key and another set-up, all the rest as it was.
    let target = tempfile::tempdir().unwrap();
    let (said, _, code) = run(target.path(), &["restore", text(&open)], &[]).await;
    assert!(code == 0 && said.contains("no keys"), "{said}");
    let restored = TestApp::in_folder(target, &[]).await;
    assert_ne!(restored.key, app.key);
    assert!(restored.gateway.setup_ticket().is_some());
    assert_eq!(restored.gateway.model(), "my-gate");
}

#[tokio::test]
async fn secrets_do_not_open_for_another_database_than_theirs() {
    let work = tempfile::tempdir().unwrap();
    let (file, _) = small_backup(work.path(), &["--with-secrets"]).await;
    let mut parts = entries(&std::fs::read(&file).unwrap());
    // Somebody sends the upstream's key elsewhere, and makes the manifest fit.
    let database = parts.iter().position(|entry| entry.name == "store/picgate.sqlite3").unwrap();
    let copy = work.path().join("copy.sqlite3");
    std::fs::write(&copy, &parts[database].bytes).unwrap();
    let connection = rusqlite::Connection::open(&copy).unwrap();
    connection.execute("update images set prompt = 'changed'", []).unwrap();
    drop(connection);
    parts[database].bytes = std::fs::read(&copy).unwrap();
    let mut manifest: Value = serde_json::from_slice(&parts[0].bytes).unwrap();
    manifest["database_sha256"] = pictures::sha256(&parts[database].bytes).into();
    manifest["database_bytes"] = parts[database].bytes.len().into();
    parts[0].bytes = manifest.to_string().into_bytes();
    let changed = work.path().join("changed.tar");
    std::fs::write(&changed, archive(&parts)).unwrap();
    let target = tempfile::tempdir().unwrap();
    let (_, errors, code) = run(target.path(), &["restore", text(&changed)], &[("PICGATE_PASSPHRASE", PASSPHRASE)]).await;
    assert!(code == 1 && errors.contains("the archive was changed"), "{errors}");
    assert_eq!(names(target.path()), Vec::<String>::new());
}

#[tokio::test]
async fn an_archive_that_is_cut_damaged_or_crafted_restores_nothing() {
    let work = tempfile::tempdir().unwrap();
    let (file, ids) = small_backup(work.path(), &[]).await;
    let whole = std::fs::read(&file).unwrap();
    let parts = entries(&whole);
    let at = |start: &str| parts.iter().position(|entry| entry.name.starts_with(start)).unwrap();
    let (database, blob) = (at("store/picgate.sqlite3"), at("store/blobs/"));
    let regular = |name: &str, bytes: &[u8]| Entry { name: name.into(), kind: tar::EntryType::Regular, bytes: bytes.to_vec() };
    let with = |change: &dyn Fn(&mut Vec<Entry>)| {
        let mut changed = parts.clone();
        change(&mut changed);
        archive(&changed)
    };
    let flipped = |n: usize| {
        with(&|parts| {
            let middle = parts[n].bytes.len() / 2;
            parts[n].bytes[middle] ^= 1
        })
    };
    let manifest = |change: &dyn Fn(&mut Value)| {
        with(&|parts| {
            let mut manifest: Value = serde_json::from_slice(&parts[0].bytes).unwrap();
            change(&mut manifest);
            parts[0].bytes = manifest.to_string().into_bytes();
        })
    };
    let in_database = |sql: &str| {
        let copy = work.path().join("crafted.sqlite3");
        std::fs::write(&copy, &parts[database].bytes).unwrap();
        rusqlite::Connection::open(&copy).unwrap().execute_batch(sql).unwrap();
        let bytes = std::fs::read(&copy).unwrap();
        with(&|parts| {
            let mut manifest: Value = serde_json::from_slice(&parts[0].bytes).unwrap();
            manifest["database_sha256"] = pictures::sha256(&bytes).into();
            manifest["database_bytes"] = bytes.len().into();
            parts[0].bytes = manifest.to_string().into_bytes();
            parts[database].bytes = bytes.clone();
        })
    };
    let insert = |entry: Entry| with(&|parts| parts.insert(blob, entry.clone()));
    let special = |kind| Entry { name: parts[blob].name.clone(), kind, bytes: Vec::new() };
    let other = format!("store/blobs/00/{}", "0".repeat(64));
    let mut cases: Vec<(String, Vec<u8>, &str)> = vec![
        ("nothing".into(), Vec::new(), "not a backup"),
        ("a picture".into(), pictures::png(1, 48), "not a backup"),
        ("another tar".into(), archive(&[regular("readme", b"x")]), "not a backup"),
        ("a changed picture".into(), flipped(blob), "missing or damaged"),
        ("a changed database".into(), flipped(database), "not the one that the manifest names"),
        ("a picture less".into(), with(&|parts| drop(parts.remove(blob))), "missing or damaged"),
        ("a picture twice".into(), with(&|parts| parts.insert(blob, parts[blob].clone())), "or twice"),
        ("a strange picture".into(), insert(regular(&other, b"x")), "does not name"),
        ("a picture that grew".into(), with(&|parts| parts[blob].bytes.resize(1 << 20, 0)), "another length"),
        ("no database".into(), with(&|parts| drop(parts.remove(database))), "does not stand where it should"),
        ("no end".into(), with(&|parts| drop(parts.pop())), "cut short"),
        ("something behind the end".into(), with(&|parts| parts.push(parts[blob].clone())), "behind its end"),
        ("a large manifest".into(), with(&|parts| parts[0].bytes.resize(2 << 20, b' ')), "larger than"),
        ("a newer format".into(), manifest(&|m| m["format"] = 99.into()), "newer version of PicGate"),
        (
            "a newer program that steers the terminal".into(),
            manifest(&|m| (m["format"], m["program"]) = (99.into(), "\u{1b}[2J\u{9b}31m\r".into())),
            "newer version of PicGate",
        ),
        ("a newer schema".into(), manifest(&|m| m["schema"] = 99.into()), "newer version of PicGate"),
        ("a newer database".into(), in_database("pragma user_version = 99"), "newer version of PicGate"),
        (
            "rules of its own".into(),
            in_database("create trigger bad after insert on meta begin delete from images; end"),
            "is none of ours",
        ),
        (
            "rules that hide their type".into(),
            in_database(
                "create trigger bad after insert on meta begin delete from images; end;
                 pragma writable_schema = on; update sqlite_master set type = 'TRIGGER' where name = 'bad'",
            ),
            "is none of ours",
        ),
        (
            "a rule of ours that does something else".into(),
            in_database(
                "drop trigger images_outbox;
                 create trigger images_outbox after insert on images begin delete from images where seq < new.seq; end",
            ),
            "is none of ours",
        ),
        ("a picture of endless length".into(), in_database("update blobs set bytes = 9223372036854775807"), "larger than any image"),
        ("a table less".into(), in_database("drop table doomed"), "is missing"),
        ("no tables of ours".into(), in_database("pragma user_version = 0"), "no tables of ours"),
        ("a link".into(), insert(special(tar::EntryType::Symlink)), "not a backup"),
        ("a hard link".into(), insert(special(tar::EntryType::Link)), "not a backup"),
        ("a sparse file".into(), insert(special(tar::EntryType::GNUSparse)), "not a backup"),
        ("a device".into(), insert(special(tar::EntryType::Char)), "not a backup"),
        ("a folder".into(), insert(special(tar::EntryType::Directory)), "not a backup"),
        (
            "a long name".into(),
            insert(Entry { name: "././@LongLink".into(), kind: tar::EntryType::GNULongName, bytes: vec![b'a'; 4 << 20] }),
            "not a backup",
        ),
    ];
    for name in
        ["../../evil", "/tmp/evil", "store/../../evil", "store/secrets.json", "store/blobs/../../evil", "C:\\evil", "evil\u{1b}[31m"]
    {
        cases.push((name.into(), insert(regular(name, b"evil")), "not a backup"));
    }
    for cut in [100, 512, 5_000, whole.len() / 2, whole.len() - 2_000] {
        cases.push((format!("cut after {cut} bytes"), whole[..cut].to_vec(), ""));
    }
    for (name, bytes, words) in cases {
        let target = tempfile::tempdir().unwrap();
        let inside = target.path().join("a/data");
        let path = work.path().join("bad.tar");
        std::fs::write(&path, bytes).unwrap();
        let (said, errors, code) = run(&inside, &["restore", text(&path)], &[]).await;
        let steers = |c: char| c.is_control() && c != '\n';
        assert!(code == 1 && errors.contains(words) && !errors.contains(steers), "{name}: {code} {said} {errors:?}");
        assert!(names(&inside).is_empty() && names(target.path()).len() <= 1, "{name}: {:?}", names(&inside));
    }
    // The same folder takes the whole one.
    let target = tempfile::tempdir().unwrap();
    assert_eq!(run(target.path(), &["restore", text(&file)], &[]).await.2, 0);
    let restored = TestApp::in_folder(target, &[]).await;
    for (seed, id) in ids.iter().enumerate() {
        assert_eq!(restored.image(&format!("/images/{id}")).await, pictures::png(seed as u32, 48));
    }
}

#[tokio::test]
async fn what_is_in_a_folder_is_never_overwritten_and_replace_keeps_it_aside() {
    let (upstream, work) = (FakeUpstream::start().await, tempfile::tempdir().unwrap());
    let (file, ids) = small_backup(work.path(), &[]).await;
    let app = TestApp::over(&upstream).await;
    let own = draw(&app, &upstream, "mine", 77, 48).await;
    // A gateway runs on it.
    let (_, errors, code) = run(app.dir.path(), &["restore", text(&file), "--replace"], &[]).await;
    assert!(code == 1 && errors.contains("already running"), "{errors}");
    let dir = app.stop().await;
    let (_, errors, code) = run(dir.path(), &["restore", text(&file)], &[]).await;
    assert!(code == 1 && errors.contains("a database with 1 images") && errors.contains("--replace"), "{errors}");
    let (said, errors, code) = run(dir.path(), &["restore", text(&file), "--replace"], &[]).await;
    assert_eq!(code, 0, "{errors}");
    let aside = names(dir.path()).into_iter().find(|name| name.starts_with("store.replaced-")).expect("kept aside");
    assert!(said.contains(&aside), "{said}");
    let restored = TestApp::in_folder(dir, &[]).await;
    assert_eq!(restored.get(&format!("/images/{}", ids[0])).await.status(), 200);
    assert_eq!(restored.get(&format!("/images/{own}")).await.status(), 404);
    let dir = restored.stop().await;
    // What was there before is whole: moved back, it serves.
    std::fs::remove_dir_all(dir.path().join("store")).unwrap();
    std::fs::rename(dir.path().join(aside), dir.path().join("store")).unwrap();
    let back = TestApp::in_folder(dir, &[]).await;
    assert_eq!(back.image(&format!("/images/{own}")).await, pictures::png(77, 48));
}

#[tokio::test]
async fn a_restore_goes_where_database_and_images_were_moved_to() {
    let work = tempfile::tempdir().unwrap();
    let (file, ids) = small_backup(work.path(), &[]).await;
    let (database, images) = (format!("sqlite:///{}/elsewhere.sqlite3", text(work.path())), work.path().join("images"));
    let variables = [("DATABASE_URL", database.as_str()), ("IMAGES_DIR", text(&images))];
    let target = tempfile::tempdir().unwrap();
    let (said, errors, code) = run(target.path(), &["restore", text(&file)], &variables).await;
    assert_eq!(code, 0, "{said} {errors}");
    let (_, errors, code) = run(target.path(), &["restore", text(&file)], &variables).await;
    assert!(code == 1 && errors.contains("is not empty"), "{errors}");
    let restored = TestApp::in_folder(target, &variables).await;
    for (seed, id) in ids.iter().enumerate() {
        assert_eq!(restored.image(&format!("/images/{id}")).await, pictures::png(seed as u32, 48));
    }
    let dir = restored.stop().await;
    assert_eq!(run(dir.path(), &["restore", text(&file), "--replace"], &variables).await.2, 0);
    let kept = |name: &String| name.starts_with("elsewhere.sqlite3.replaced-") && !name.ends_with("-wal") && !name.ends_with("-shm");
    assert_eq!(names(work.path()).iter().filter(|name| kept(name)).count(), 1, "{:?}", names(work.path()));
    assert!(names(&images).iter().any(|name| name.starts_with("store.replaced-")));
}

#[tokio::test]
async fn a_restore_that_is_killed_leaves_nothing_that_a_gateway_takes_for_whole() {
    let (upstream, work) = (FakeUpstream::start().await, tempfile::tempdir().unwrap());
    let app = TestApp::over(&upstream).await;
    let mut ids = Vec::new();
    for seed in 0..30 {
        ids.push((draw(&app, &upstream, "many", seed, 200).await, seed));
    }
    let file = work.path().join("backup.tar");
    assert_eq!(run(app.dir.path(), &["backup", text(&file)], &[]).await.2, 0);
    let bytes = std::fs::read(&file).unwrap();
    let (mut unfinished, steps) = (0, 12);
    for step in 0..=steps {
        let target = tempfile::tempdir().unwrap();
        // The archive comes through a pipe, and the process dies when that much of it has been read.
        let mut command = process::command(target.path(), &["restore", "-"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let part = bytes[..bytes.len() * step / steps].to_vec();
        let whole = part.len() == bytes.len();
        let mut pipe = child.stdin.take().unwrap();
        let pipe = tokio::task::spawn_blocking(move || {
            pipe.write_all(&part).unwrap();
            pipe
        });
        let pipe = pipe.await.unwrap();
        if whole {
            drop(pipe);
            assert!(child.wait().unwrap().success());
        } else {
            child.kill().unwrap();
            child.wait().unwrap();
            drop(pipe);
        }
        assert_eq!(target.path().join("store").exists(), whole, "all or nothing");
        if target.path().join("store.restoring").exists() {
            unfinished += 1;
            let (_, errors, code) = run(target.path(), &["serve", "--port", "0"], &[]).await;
            assert!(code == 1 && errors.contains("was not finished"), "{errors}");
            // The same again mends it.
            let (_, errors, code) = run(target.path(), &["restore", text(&file)], &[]).await;
            assert_eq!(code, 0, "{errors}");
        }
        if target.path().join("store").exists() {
            assert_eq!(names(target.path()), ["store"]);
            let restored = TestApp::in_folder(target, &[]).await;
            for (id, seed) in &ids {
                assert_eq!(restored.image(&format!("/images/{id}")).await, pictures::png(*seed, 200));
            }
        }
    }
    assert!(unfinished >= steps / 2, "{unfinished}");
}

#[tokio::test]
async fn a_backup_that_is_killed_leaves_no_archive_and_its_links_go_with_the_next() {
    let (upstream, work) = (FakeUpstream::start().await, tempfile::tempdir().unwrap());
    let app = TestApp::over(&upstream).await;
    for seed in 0..5 {
        draw(&app, &upstream, "many", seed, 300).await;
    }
    // Its output is not read: it stands still in the middle, holding its links.
    let mut child = process::command(app.dir.path(), &["backup", "-"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let tmp = app.store().join("tmp");
    let links = async || names(&tmp).first().filter(|held| names(&tmp.join(held)).len() > 5).cloned();
    let held = eventually("the links", links).await;
    assert!(held.starts_with("held-"), "{held}");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(names(&tmp).len(), 1);
    let file = work.path().join("backup.tar");
    assert_eq!(run(app.dir.path(), &["backup", text(&file)], &[]).await.2, 0);
    assert_eq!(names(&tmp), Vec::<String>::new());
    assert_eq!(names(work.path()), ["backup.tar"]);
}

#[tokio::test]
async fn copies_in_the_bucket_are_confirmed_again_after_a_restore_and_evicted_images_come_back() {
    let (upstream, bucket, work) = (FakeUpstream::start().await, FakeBucket::start().await, tempfile::tempdir().unwrap());
    let app = app_with(&upstream, &bucket, &[]).await;
    let admin = Admin::set_up(&app).await;
    let (here, away) = (draw(&app, &upstream, "here", 1, 48).await, draw(&app, &upstream, "away", 2, 48).await);
    for id in [&here, &away] {
        until_cloud(&admin, id, "stored").await;
        eventually("the thumbnail", async || (app.get(&format!("/images/{id}/thumbnail")).await.status() == 200).then_some(())).await;
    }
    admin.send(Method::POST, "images/delete", &json!({"ids": [away], "what": "local"})).await;
    assert_eq!(listed(&admin, &away).await["local"], false);
    let file = work.path().join("backup.tar");
    assert_eq!(run(app.dir.path(), &["backup", text(&file)], &[]).await.2, 0);
    drop(app.stop().await);
    // Somebody has emptied the bucket of the one that is on disk meanwhile.
    bucket.remove(&format!("picgate/{here}"));
    bucket.forget_seen();
    let target = tempfile::tempdir().unwrap();
    assert_eq!(run(target.path(), &["restore", text(&file)], &[]).await.2, 0);
    let variables = bucket.variables();
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let app = TestApp::in_folder(target, &variables).await;
    let admin = Admin::set_up(&app).await;
    // Its thumbnail came along: nothing is fetched for it.
    assert_eq!(app.get(&format!("/images/{away}/thumbnail")).await.status(), 200);
    assert_eq!(app.image(&format!("/images/{away}")).await, pictures::png(2, 48));
    until_cloud(&admin, &here, "stored").await;
    assert_eq!(bucket.object(&format!("picgate/{here}")).expect("put again"), pictures::png(1, 48));
    // A restored copy that is still there is confirmed without being sent again.
    run_job(&admin, &json!({"kind": "upload_pending"})).await;
    assert_eq!(bucket.seen(&Method::PUT).len(), 1);
}

#[tokio::test]
async fn what_a_database_in_an_archive_says_is_not_believed() {
    let work = tempfile::tempdir().unwrap();
    let (file, ids) = small_backup(work.path(), &[]).await;
    let parts = entries(&std::fs::read(&file).unwrap());
    let copy = work.path().join("copy.sqlite3");
    let crafted = |sql: &str| {
        std::fs::write(&copy, &parts.iter().find(|entry| entry.name == "store/picgate.sqlite3").unwrap().bytes).unwrap();
        rusqlite::Connection::open(&copy).unwrap().execute_batch(sql).unwrap();
        std::fs::read(&copy).unwrap()
    };
    let path = work.path().join("crafted.tar");

    // It may not open the gateway to the network, and neither its times nor its types are taken as they are.
    let lies = "insert into settings (key, value, changed_at) values ('listen', 'everyone', 9223372036854775807);
                update images set created_at = 9223372036854775807, accessed_at = -5;
                update blobs set media_type = 'image/heic', created_at = 9223372036854775807";
    std::fs::write(&path, archive(&with_database(&parts, crafted(lies)))).unwrap();
    let target = tempfile::tempdir().unwrap();
    let (said, errors, code) = run(target.path(), &["restore", text(&path)], &[]).await;
    assert!(code == 0 && said.contains("Only this computer reaches it now"), "{said} {errors}");
    let restored = TestApp::in_folder(target, &[]).await;
    let answer = restored.get(&format!("/images/{}", ids[0])).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "image/png");
    let dir = restored.stop().await;
    let database = rusqlite::Connection::open(dir.path().join("store/picgate.sqlite3")).unwrap();
    let count = |sql: &str| database.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("select count(*) from settings where key = 'listen'"), 0);
    assert_eq!(count("select count(*) from images where created_at > unixepoch() * 1000 + 1000 or accessed_at < 0"), 0);

    // A page that is called a picture.
    let page = b"<html><script>alert(1)</script></html>";
    let digest = pictures::sha256(page);
    let mut lying = with_database(
        &parts,
        crafted(&format!(
            "pragma foreign_keys = off; insert into blobs (sha256, bytes, media_type, complete, created_at) values (x'{digest}', {}, 'image/png', 1, 0)",
            page.len()
        )),
    );
    let name = format!("store/blobs/{}/{digest}", &digest[..2]);
    lying.insert(lying.len() - 1, Entry { name, kind: tar::EntryType::Regular, bytes: page.to_vec() });
    std::fs::write(&path, archive(&lying)).unwrap();
    let target = tempfile::tempdir().unwrap();
    let (said, errors, code) = run(target.path(), &["restore", text(&path)], &[]).await;
    assert!(code == 1 && errors.contains("is no picture"), "{said} {errors}");
    assert_eq!(names(target.path()), Vec::<String>::new());
}

#[tokio::test]
async fn a_restore_that_broke_off_says_how_nothing_is_lost() {
    let (upstream, work) = (FakeUpstream::start().await, tempfile::tempdir().unwrap());
    let (file, ids) = small_backup(work.path(), &[]).await;
    let app = TestApp::over(&upstream).await;
    draw(&app, &upstream, "mine", 77, 48).await;
    let dir = app.stop().await;
    // It ended between the two renames: the old folder is aside, the new one has its place not yet.
    let (store, restoring) = (dir.path().join("store"), dir.path().join("store.restoring"));
    std::fs::create_dir(&restoring).unwrap();
    std::fs::write(restoring.join("lock"), "").unwrap();
    let at = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() + 10;
    let aside = dir.path().join(format!("store.replaced-{at}"));
    std::fs::rename(&store, &aside).unwrap();
    std::fs::create_dir(dir.path().join("store.replaced-1000")).unwrap();
    let (_, errors, code) = run(dir.path(), &["serve", "--port", "0"], &[]).await;
    assert!(code == 1 && errors.contains("was not finished") && errors.contains("delete nothing"), "{errors}");
    assert!(errors.contains(&format!("rename {} to {}", aside.display(), store.display())), "{errors}");
    assert!(!errors.contains("remove") && !errors.contains("replaced-1000"), "{errors}");
    let (_, errors, code) = run(dir.path(), &["restore", text(&file), "--replace"], &[]).await;
    assert_eq!(code, 0, "{errors}");
    assert!(aside.exists());
    let restored = TestApp::in_folder(dir, &[]).await;
    assert_eq!(restored.get(&format!("/images/{}", ids[0])).await.status(), 200);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_restore_that_cannot_begin_leaves_nothing_that_keeps_a_gateway_from_starting() {
    let work = tempfile::tempdir().unwrap();
    let (file, _) = small_backup(work.path(), &[]).await;
    let target = tempfile::tempdir().unwrap();
    // Nobody can make a folder there.
    let (_, errors, code) = run(target.path(), &["restore", text(&file)], &[("IMAGES_DIR", "/proc/picgate")]).await;
    assert!(code == 1 && errors.contains("cannot be written"), "{errors}");
    assert_eq!(names(target.path()), Vec::<String>::new());
}
