//! `picgate doctor`: says of each thing that can be wrong what it is and what mends it, and disturbs nothing.

use std::{
    path::Path,
    sync::atomic::{AtomicU16, Ordering},
};

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    admin::Admin,
    support::{
        FakeBucket, FakeUpstream, Fault, Scripted, TestApp,
        process::{Process, finished},
    },
};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// What the doctor says of `dir`, and with which code it ends.
async fn examined(dir: &Path, args: &[&str], variables: &[(&str, &str)]) -> (Value, i32) {
    let dir = dir.to_owned();
    let args: Vec<String> = ["doctor", "--json"].iter().chain(args).map(|arg| (*arg).to_owned()).collect();
    let variables: Vec<(String, String)> = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let run = move || {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        finished(&dir, &args, &variables)
    };
    let (out, error, code) = tokio::task::spawn_blocking(run).await.unwrap();
    let report: Value = serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}{error}"));
    assert_eq!(report["ok"] == true, code == 0, "{report}");
    (report, code)
}

/// A finding by its code.
fn found<'a>(report: &'a Value, code: &str) -> &'a Value {
    let findings = report["findings"].as_array().unwrap();
    findings.iter().find(|finding| finding["code"] == code).unwrap_or_else(|| panic!("no {code} in {report:#}"))
}

/// What mends it.
fn remedy<'a>(report: &'a Value, code: &str) -> &'a str {
    found(report, code)["remedy"].as_str().unwrap_or_else(|| panic!("{code} has no remedy: {report:#}"))
}

/// A port where nobody listens, nor will: outside those that systems give to whoever asks for any, as other tests do.
fn free_port() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test processes run at the same time, and each begins elsewhere.
    let begin = std::process::id() as u16 % 10_000;
    let ports = std::iter::repeat_with(|| 20_000 + (begin + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000);
    ports.take(10_000).find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a free port").to_string()
}

/// The folder after a first start.
async fn used_folder() -> tempfile::TempDir {
    TestApp::demo().await.stop().await
}

#[tokio::test]
async fn a_gateway_that_runs_is_examined_without_being_disturbed() {
    let dir = folder();
    let process = Process::start(dir.path(), &[]);
    let port = process.url.rsplit(':').next().unwrap().to_owned();
    let (report, code) = examined(dir.path(), &["--port", &port], &[]).await;
    assert_eq!(code, 0, "{report:#}");
    for code in ["config_ok", "folder_ok", "keys_ok", "db_ok", "gateway_ok", "here_ok", "upstream_demo", "bucket_none", "admin_none"] {
        found(&report, code);
    }
    let health = crate::support::client().get(format!("{}/health", process.url)).send().await.unwrap();
    assert_eq!(health.status(), 200);
    let out = finished(dir.path(), &["doctor", "--port", &port, "--language", "zh"], &[]).0;
    assert!(out.contains("✓ 配置：") && out.contains("一切正常"), "{out}");
    let out = finished(dir.path(), &["doctor", "--port", &port], &[("LANG", "en_US.UTF-8")]).0;
    assert!(out.contains("✓ Configuration: ") && out.contains("All is well"), "{out}");
}

#[tokio::test]
async fn a_gateway_of_this_folder_is_found_on_another_port_than_was_asked() {
    let dir = folder();
    let mut process = Process::start(dir.path(), &[]);
    let port = process.url.rsplit(':').next().unwrap().to_owned();
    let asked = free_port();
    let (report, code) = examined(dir.path(), &["--port", &asked], &[]).await;
    assert_eq!(code, 0, "{report:#}");
    let text = found(&report, "gateway_elsewhere")["text"].as_str().unwrap();
    assert!(text.contains(&port) && text.contains(&asked) && text.contains(&process.id().to_string()), "{text}");
    found(&report, "gateway_ok");
    found(&report, "here_ok");
    let (_, error, code) = finished(dir.path(), &["healthcheck", "--port", &asked], &[]);
    assert!(code == 1 && error.contains(&format!("--port {port}")), "{error}");
    // What a killed one left behind is not believed, not even if another gateway took its port.
    process.kill();
    let (report, _) = examined(dir.path(), &["--port", &asked], &[]).await;
    found(&report, "gateway_stopped");
    let other = folder();
    let foreign = Process::start(other.path(), &[]);
    let note = json!({"address": foreign.url.trim_start_matches("http://"), "pid": 1});
    std::fs::write(dir.path().join("store/running.json"), note.to_string()).unwrap();
    let (report, _) = examined(dir.path(), &["--port", &asked], &[]).await;
    found(&report, "gateway_stopped");
}

#[tokio::test]
async fn sizes_read_as_in_the_admin_ui() {
    let dir = used_folder().await;
    let (report, _) = examined(dir.path(), &["--port", &free_port()], &[]).await;
    let findings = report["findings"].as_array().unwrap();
    let disk = findings.iter().find(|finding| finding["check"] == "disk").unwrap()["text"].as_str().unwrap();
    let (_, total) = picgate_gateway::store::space(dir.path()).unwrap();
    assert!(disk.contains(&picgate_gateway::model::size_in_words(total)), "{disk}");
}

#[tokio::test]
async fn before_the_first_start_there_is_nothing_wrong_and_nothing_is_made() {
    let dir = folder();
    let data = dir.path().join("data");
    let (report, code) = examined(&data, &["--port", &free_port()], &[]).await;
    assert_eq!(code, 0, "{report:#}");
    for code in ["folder_new", "keys_none", "db_none", "gateway_stopped"] {
        found(&report, code);
    }
    assert!(!data.exists());
}

#[tokio::test]
async fn a_wrong_configuration_is_all_that_is_told() {
    let dir = folder();
    let (report, code) = examined(dir.path(), &[], &[("PORT", "eighty"), ("PICGATE_LOG", "loud")]).await;
    assert_eq!((code, report["findings"].as_array().unwrap().len()), (1, 2), "{report:#}");
    assert!(found(&report, "config_problem")["text"].as_str().unwrap().contains("PORT"));
    assert!(remedy(&report, "config_problem").contains("65535"));
    let (report, _) = examined(dir.path(), &["--language", "zh"], &[("PORT", "eighty")]).await;
    assert_eq!(
        (&found(&report, "config_problem")["text"], remedy(&report, "config_problem")),
        (&json!("PORT：“eighty”不是端口"), "请填写 1 到 65535 之间的数")
    );
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_folder_that_cannot_be_written_is_named_with_the_command_that_mends_it() {
    // Nobody creates files there, not even root.
    let sealed = Path::new("/sys/picgate");
    let (report, code) = examined(sealed, &["--port", &free_port()], &[]).await;
    assert_eq!(code, 1);
    assert!(remedy(&report, "folder_not_writable").contains("chown -R"), "{report:#}");
    let (report, _) = examined(sealed, &["--port", &free_port()], &[("container", "oci")]).await;
    assert!(remedy(&report, "folder_container").contains("docker run --rm -v VOLUME:/sys/picgate busybox chown -R"), "{report:#}");
    let run = || finished(sealed, &["serve", "--port", "0"], &[("container", "oci")]);
    let (_, error, code) = tokio::task::spawn_blocking(run).await.unwrap();
    assert!(code == 1 && error.contains("docker run --rm -v VOLUME:/sys/picgate busybox chown -R"), "{error}");
}

#[tokio::test]
async fn a_folder_that_another_program_keeps_in_sync_is_a_danger() {
    let dir = folder();
    let (report, code) = examined(&dir.path().join("Dropbox/picgate"), &["--port", &free_port()], &[]).await;
    assert_eq!(code, 0, "a warning is no failure");
    assert!(remedy(&report, "drive_synced").contains("--data-dir"));
    assert_eq!(found(&report, "drive_synced")["state"], "warning");
}

/// A small disk, taken down with the test.
#[cfg(target_os = "linux")]
struct Mounted(std::path::PathBuf);

#[cfg(target_os = "linux")]
impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_disk_without_room_is_told() {
    let dir = folder();
    let mounted = std::process::Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(dir.path()).output();
    if !mounted.is_ok_and(|m| m.status.success()) {
        eprintln!("skipped: a file system cannot be mounted here");
        return;
    }
    let _mounted = Mounted(dir.path().to_owned());
    let (report, code) = examined(dir.path(), &["--port", &free_port()], &[]).await;
    assert_eq!(code, 1);
    assert!(remedy(&report, "disk_full").contains("room"));
}

#[tokio::test]
async fn damaged_and_open_keys_are_told() {
    let dir = used_folder().await;
    let path = dir.path().join("store/secrets.json");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let (report, code) = examined(dir.path(), &["--port", &free_port()], &[]).await;
        assert_eq!(code, 0);
        assert!(remedy(&report, "keys_open").starts_with("run: chmod 600 "));
    }
    std::fs::write(&path, "{").unwrap();
    let (report, code) = examined(dir.path(), &["--port", &free_port()], &[]).await;
    assert_eq!(code, 1);
    assert!(remedy(&report, "keys_damaged").contains("restore"));
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let (report, code) = examined(dir.path(), &["--port", &free_port()], &[]).await;
    assert_eq!(code, 1);
    assert!(remedy(&report, "keys_unreadable").contains("account"));
}

#[tokio::test]
async fn a_database_that_is_damaged_newer_or_of_another_program_is_told() {
    let dir = used_folder().await;
    let path = dir.path().join("store/picgate.sqlite3");
    let sound = std::fs::read(&path).unwrap();
    let mut bytes = sound.clone();
    bytes[4096..].fill(0x5a);
    std::fs::write(&path, &bytes).unwrap();
    let (report, code) = examined(dir.path(), &["--port", &free_port()], &[]).await;
    assert_eq!(code, 1);
    assert!(remedy(&report, "db_damaged").contains("backups"));
    std::fs::write(&path, &sound).unwrap();
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 999).unwrap();
    let (report, code) = examined(dir.path(), &["--port", &free_port()], &[]).await;
    assert_eq!(code, 1);
    assert!(remedy(&report, "db_newer").contains("install that version"));
    std::fs::write(&path, "this is no database, but long enough to be taken for one by its name alone").unwrap();
    let (report, code) = examined(dir.path(), &["--port", &free_port()], &[]).await;
    assert!(code == 1 && !remedy(&report, "db_damaged").is_empty(), "{report:#}");
}

#[tokio::test]
async fn images_of_another_folder_are_told() {
    let dir = used_folder().await;
    std::fs::write(dir.path().join("store/install-id"), "another").unwrap();
    let (report, code) = examined(dir.path(), &["--port", &free_port()], &[]).await;
    assert_eq!(code, 1);
    assert!(remedy(&report, "folder_other_mark").contains("mount"));
}

#[tokio::test]
async fn a_setting_that_cannot_be_used_is_told() {
    let dir = used_folder().await;
    let database = rusqlite::Connection::open(dir.path().join("store/picgate.sqlite3")).unwrap();
    database.execute("insert into settings (key, value, changed_at) values ('history_images', 'many', 1)", []).unwrap();
    drop(database);
    let (report, code) = examined(dir.path(), &["--port", &free_port()], &[]).await;
    assert_eq!(code, 0);
    assert!(remedy(&report, "setting_unusable").contains("history_images"));
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_told() {
    let upstream = FakeUpstream::start().await;
    upstream.serves("/v1/models", "application/json", br#"{"data":[{"id":"m"}]}"#.to_vec());
    upstream.answers(Scripted::body("text/plain", "").header("date", "Wed, 21 Oct 2015 07:28:00 GMT"));
    let variables = [("PICGATE_UPSTREAM_BASE_URL", upstream.base_url.as_str()), ("PICGATE_UPSTREAM_MODEL", "m")];
    let dir = used_folder().await;
    let (report, code) = examined(dir.path(), &["--port", &free_port()], &variables).await;
    assert_eq!(code, 1);
    assert!(remedy(&report, "clock_wrong").contains("automatically"));
    let (report, code) = examined(dir.path(), &["--port", &free_port()], &variables).await;
    assert_eq!(code, 0, "{report:#}");
    found(&report, "clock_ok");
    let database = rusqlite::Connection::open(dir.path().join("store/picgate.sqlite3")).unwrap();
    let entry = "insert into activity (at, endpoint, kind, streamed, outcome, images, calls, duration_ms, notes)
                 values (4000000000000, 'chat', 'drawing', 0, 'ok', '[]', 1, 1, '{}')";
    database.execute(entry, []).unwrap();
    drop(database);
    let (report, code) = examined(dir.path(), &["--port", &free_port()], &variables).await;
    assert_eq!(code, 1);
    assert!(remedy(&report, "clock_went_back").contains("automatically"));
}

#[tokio::test]
async fn whoever_holds_the_port_is_told_apart() {
    let (dir, other) = (used_folder().await, FakeUpstream::start().await);
    let port = other.base_url.trim_end_matches("/v1").rsplit(':').next().unwrap().to_owned();
    let (report, code) = examined(dir.path(), &["--port", &port], &[]).await;
    assert_eq!(code, 1);
    assert!(remedy(&report, "port_taken_by").contains("--port"));
    // A gateway over another folder.
    let app = TestApp::demo().await;
    let (report, code) = examined(dir.path(), &["--port", &app.gateway.address().port().to_string()], &[]).await;
    assert_eq!(code, 1);
    assert!(remedy(&report, "here_other_folder").contains("--data-dir"));
    // Which port does not matter at an address that is not ours.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let (report, code) = examined(dir.path(), &["--port", &port, "--host", "203.0.113.7"], &[]).await;
    assert_eq!(code, 1);
    assert!(remedy(&report, "port_refused").contains("--host"));
}

#[tokio::test]
async fn an_upstream_that_cannot_draw_is_told_in_words() {
    let dir = used_folder().await;
    let upstream = FakeUpstream::start().await;
    upstream.serves("/v1/models", "application/json", br#"{"data":[{"id":"gpt-image-1"}]}"#.to_vec());
    let base = upstream.base_url.clone();
    let with = |model: &'static str| [("PICGATE_UPSTREAM_BASE_URL", base.clone()), ("PICGATE_UPSTREAM_MODEL", model.to_owned())];
    let told = async |variables: &[(&str, String)]| {
        let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        examined(dir.path(), &["--port", &free_port()], &variables).await
    };
    let (report, code) = told(&with("gpt-image-1")).await;
    assert_eq!(code, 0, "{report:#}");
    found(&report, "upstream_ok");
    let (report, code) = told(&with("gpt-image-one")).await;
    assert_eq!(code, 0, "it may draw all the same");
    assert!(remedy(&report, "upstream_no_model").contains("name"));
    let nobody = format!("http://127.0.0.1:{}/v1", free_port());
    let (report, code) = told(&[("PICGATE_UPSTREAM_BASE_URL", nobody), ("PICGATE_UPSTREAM_MODEL", "m".into())]).await;
    assert_eq!(code, 1);
    assert!(found(&report, "upstream_failed")["text"].as_str().unwrap().contains("cannot be reached"));
    assert!(remedy(&report, "upstream_failed").contains("address"));
}

#[tokio::test]
async fn a_bucket_is_tried_and_left_as_it_was() {
    let (dir, bucket) = (used_folder().await, FakeBucket::start().await);
    let variables = bucket.variables();
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let (report, code) = examined(dir.path(), &["--port", &free_port()], &variables).await;
    assert_eq!(code, 0, "{report:#}");
    found(&report, "bucket_ok");
    assert!(bucket.keys("picgate").is_empty());
    bucket.break_with(&[Fault::Refuse(403, "SignatureDoesNotMatch")]);
    let (report, code) = examined(dir.path(), &["--port", &free_port()], &variables).await;
    assert_eq!(code, 1);
    assert!(found(&report, "bucket_failed")["text"].as_str().unwrap().contains("secret"));
    assert!(!remedy(&report, "bucket_failed").is_empty());
    assert!(!report.to_string().contains(crate::support::bucket::SECRET), "no key is told");
    let (report, code) = examined(dir.path(), &["--port", &free_port()], &[("PICGATE_R2_BUCKET", "pictures")]).await;
    assert_eq!(code, 1);
    let (text, note) =
        (found(&report, "bucket_incomplete")["text"].as_str().unwrap(), found(&report, "config_note")["text"].as_str().unwrap());
    for told in [text, note] {
        assert!(told.contains("PICGATE_R2_SECRET_ACCESS_KEY") && !told.contains("PICGATE_R2_BUCKET"), "{told}");
    }
}

#[tokio::test]
async fn an_address_of_links_that_leads_elsewhere_is_told() {
    let (app, other) = (TestApp::demo().await, FakeUpstream::start().await);
    let port = app.gateway.address().port().to_string();
    let told = async |base: &str| examined(app.dir.path(), &["--port", &port], &[("PICGATE_PUBLIC_BASE_URL", base)]).await;
    let (report, code) = told("http://picgate:5643").await;
    assert_eq!(code, 1);
    assert!(remedy(&report, "public_unknown_name").contains("public base URL"));
    let (report, code) = told(other.base_url.trim_end_matches("/v1")).await;
    assert_eq!(code, 1);
    assert!(remedy(&report, "public_other").contains("reverse proxy"));
    assert!(!format!("{:?}", other.requests()).contains(&app.key) && !other.requests().is_empty(), "whoever is there never sees the key");
    let (report, code) = told(&format!("http://127.0.0.1:{}", free_port())).await;
    assert_eq!(code, 0, "many routers do not let their own network in by its outer address");
    assert!(remedy(&report, "public_unreachable").contains("/health"));
    let (report, code) = told(&app.url).await;
    assert_eq!(code, 0, "{report:#}");
    found(&report, "public_ok");
}

#[tokio::test]
async fn behind_the_address_of_links_another_replica_may_answer() {
    let other = TestApp::demo().await;
    let (key, base) = (("PICGATE_GATEWAY_KEY", other.key.as_str()), ("PICGATE_PUBLIC_BASE_URL", other.url.as_str()));
    let app = TestApp::with(&[key, base]).await;
    let (report, code) = examined(app.dir.path(), &["--port", &app.gateway.address().port().to_string()], &[key, base]).await;
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(found(&report, "public_another")["state"], "note");
    let admin = Admin::set_up(&app).await;
    let checked = admin.send(Method::POST, "connect/check", &json!({"base_url": format!("{}/v1", other.url)})).await;
    assert_eq!((&checked["ok"], &checked["steps"][1]["code"]), (&json!(true), &json!("wrong_key")), "{checked}");
}

#[tokio::test]
async fn a_gateway_that_leaves_no_key_for_tries_is_not_taken_for_another_one() {
    let app = TestApp::demo().await;
    let address = app.gateway.address();
    std::fs::write(app.store().join("running.json"), json!({"address": address, "pid": 1}).to_string()).unwrap();
    let (report, code) = examined(app.dir.path(), &["--port", &address.port().to_string()], &[]).await;
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(found(&report, "here_mute")["state"], "note");
}

#[tokio::test]
async fn the_admin_api_examines_the_running_gateway() {
    let app = TestApp::demo().await;
    let admin = Admin::set_up(&app).await;
    assert_eq!(admin.get("doctor").await["report"], Value::Null);
    let drawn = app.send("/v1/images/generations", &json!({"prompt": "a cat", "response_format": "url"})).await;
    assert_eq!(drawn.status(), 200);
    let answer = admin.request(Method::POST, "doctor").header("accept-language", "zh-CN").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let report: Value = answer.json().await.unwrap();
    for code in ["gateway_ok", "here_ok", "db_ok", "admin_ok", "upstream_demo"] {
        found(&report, code);
    }
    assert_eq!(found(&report, "admin_ok")["name"], "管理员");
    assert_eq!(report["ok"], true, "{report:#}");
    assert_eq!(admin.get("doctor").await["report"]["examined_at"], report["examined_at"]);
}
