//! The program as a person at a terminal, a script or a container meets it.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use serde_json::json;

use crate::support::{
    FakeUpstream, Scripted, eventually, pictures,
    process::{Process, command, finished},
};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

#[test]
fn help_teaches() {
    let dir = folder();
    let (out, _, code) = finished(dir.path(), &["--help"], &[]);
    assert_eq!(code, 0);
    for word in ["serve", "healthcheck", "key", "Examples:", "PICGATE_UPSTREAM_API_KEY", "_FILE", "5643"] {
        assert!(out.contains(word), "{word}");
    }
}

#[test]
fn a_wrong_configuration_is_named_with_its_remedy_and_starts_nothing() {
    let dir = folder();
    let (_, err, code) =
        finished(dir.path(), &["serve"], &[("PORT", "eighty"), ("PICGATE_PUBLIC_BASE_URL", "img"), ("PICGATE_UPSTREAM_KIND", "gemini")]);
    assert_eq!(code, 1);
    for word in ["PORT", "PICGATE_PUBLIC_BASE_URL", "PICGATE_UPSTREAM_KIND", "remedy"] {
        assert!(err.contains(word), "{err}");
    }
    assert!(!dir.path().join("store").exists());
}

#[test]
fn the_key_can_be_printed_once_there_is_one() {
    let dir = folder();
    let (_, err, code) = finished(dir.path(), &["key"], &[]);
    assert!(code == 1 && err.contains("start the gateway once"), "{err}");
    let mut process = Process::start(dir.path(), &[]);
    let (key, _, code) = finished(dir.path(), &["key"], &[]);
    assert!(code == 0 && key.trim().starts_with("pg-") && key.trim().len() == 51, "{key}");
    process.kill();
    assert_eq!(finished(dir.path(), &["key"], &[]).0, key, "the key stays");
    assert_eq!(finished(dir.path(), &["key"], &[("PICGATE_GATEWAY_KEY", "pg-chosen-by-me")]).0.trim(), "pg-chosen-by-me");
}

#[test]
fn healthcheck_tells_a_running_gateway_from_none() {
    let dir = folder();
    let process = Process::start(dir.path(), &[]);
    let port = process.url.rsplit(':').next().expect("a port").to_owned();
    assert_eq!(finished(dir.path(), &["healthcheck", "--port", &port], &[]).2, 0);
    assert_eq!(finished(dir.path(), &["healthcheck"], &[("PORT", &port), ("HOST", "0.0.0.0")]).2, 0);
    drop(process);
    assert_eq!(finished(dir.path(), &["healthcheck", "--port", &port], &[]).2, 1);
}

#[test]
fn one_folder_and_one_port_serve_one_gateway() {
    let dir = folder();
    let process = Process::start(dir.path(), &[]);
    let (_, err, code) = finished(dir.path(), &["serve", "--port", "0"], &[]);
    assert!(code == 1 && err.contains("already running"), "{err}");
    let other = folder();
    let port = process.url.rsplit(':').next().expect("a port").to_owned();
    let (_, err, code) = finished(other.path(), &["serve", "--port", &port], &[]);
    assert!(code == 1 && err.contains(&port) && err.contains("--port"), "{err}");
}

/// A process that ends with the test, also with one that fails.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn at_a_chinese_terminal_it_speaks_chinese() {
    const CHINESE: [(&str, &str); 1] = [("LANG", "zh_CN.UTF-8")];
    let (dir, other) = (folder(), folder());
    let (_, err, _) = finished(dir.path(), &["serve"], &[("PORT", "eighty"), CHINESE[0]]);
    assert!(err.contains("PORT：“eighty”不是端口") && err.contains("解决办法：请填写 1 到 65535 之间的数"), "{err}");
    let weak = [("PICGATE_ADMIN_PASSWORD", "12345678"), CHINESE[0]];
    let (_, err, _) = finished(other.path(), &["serve", "--port", "0"], &weak);
    assert!(err.contains("无法创建管理员账户：这个密码太容易被猜到"), "{err}");
    let (_, err, _) = finished(dir.path(), &["key"], &CHINESE);
    assert!(err.contains("先启动一次网关"), "{err}");
    let child = command(dir.path(), &["serve", "--port", "0"]).envs(CHINESE).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut child = Ending(child.unwrap());
    let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines().map_while(Result::ok);
    let greeting: Vec<String> = lines.by_ref().take_while(|line| !line.contains("--host 0.0.0.0")).collect();
    let greeting = greeting.join("\n");
    for words in [
        "已启动。",
        "接口   http://localhost:",
        "密钥   ",
        "上游   demo",
        "内置演示",
        "一次性口令，用过即失效：",
        "下一步：在 Open WebUI 里",
    ] {
        assert!(greeting.contains(words), "{words}: {greeting}");
    }
    let port = greeting.lines().find_map(|line| line.trim().strip_prefix("接口")?.rsplit(':').next()?.strip_suffix("/v1")).unwrap();
    let (_, err, _) = finished(dir.path(), &["serve", "--port", "0"], &CHINESE);
    assert!(err.contains("已有另一个 PicGate 在运行"), "{err}");
    let (_, err, _) = finished(other.path(), &["serve", "--port", port], &CHINESE);
    assert!(err.contains(&format!("端口 {port} 被另一个 PicGate 占用")) && err.contains("解决办法："), "{err}");
    let archive = other.path().join("backup.tar");
    let archive = archive.to_str().unwrap();
    let (out, _, code) = finished(dir.path(), &["backup", archive], &CHINESE);
    assert!(code == 0 && out.contains("0 张图片") && out.contains("请自行保管好"), "{out}");
    let (_, err, _) = finished(dir.path(), &["backup", archive], &CHINESE);
    assert!(err.contains("已存在") && err.contains("--force"), "{err}");
    let (out, err, code) = finished(&other.path().join("new"), &["restore", archive], &CHINESE);
    assert!(code == 0 && out.contains("所有校验值都正确"), "{out}{err}");
    let (_, err, _) = finished(other.path(), &["import", archive], &CHINESE);
    assert!(err.contains("没有 Python 版 PicGate 的数据"), "{err}");
    drop(child);
    let (_, err, _) = finished(dir.path(), &["healthcheck", "--port", port], &CHINESE);
    assert!(err.contains("没有响应"), "{err}");
    // What is said here comes before the system's language.
    let (out, ..) = finished(dir.path(), &["reset-admin"], &[("PICGATE_LANGUAGE", "zh"), ("LANG", "en_US.UTF-8")]);
    assert!(out.contains("用户名和密码已清除"), "{out}");
    let (out, ..) = finished(dir.path(), &["reset-admin"], &[("PICGATE_LANGUAGE", "en"), CHINESE[0]]);
    assert!(out.contains("are forgotten"), "{out}");
    let mistyped = other.path().join("mistyped");
    let (out, err, code) = finished(&mistyped, &["reset-admin"], &CHINESE);
    assert!(code != 0 && err.contains("还没有密钥") && !mistyped.exists(), "{out}{err}");
}

#[test]
fn a_folder_of_images_that_is_not_mounted_is_no_empty_library() {
    let (dir, images) = (folder(), folder());
    let variables = [("IMAGES_DIR", images.path().to_str().expect("UTF-8"))];
    drop(Process::start(dir.path(), &variables));
    std::fs::remove_dir_all(images.path().join("store")).expect("removes");
    let (_, err, code) = finished(dir.path(), &["serve", "--port", "0"], &variables);
    assert!(code == 1 && err.contains("install-id"), "{err}");
}

#[test]
fn the_database_of_the_python_program_is_left_alone() {
    let dir = folder();
    let python = dir.path().join("db/picgate.db");
    std::fs::create_dir(dir.path().join("db")).expect("makes");
    let database = rusqlite::Connection::open(&python).expect("opens");
    database.execute_batch("create table images (image_id text, has_r2_copy boolean); create table admins (id integer)").expect("makes");
    drop(database);
    let before = std::fs::read(&python).expect("reads");
    let url = format!("sqlite+aiosqlite:///{}", python.display());
    drop(Process::start(dir.path(), &[("DATABASE_URL", &url)]));
    assert!(std::fs::read(&python).expect("reads") == before);
    assert!(dir.path().join("store/picgate.sqlite3").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_to_stop_it_finishes_what_it_draws() {
    let upstream = FakeUpstream::start().await;
    let dir = folder();
    let mut process =
        Process::start(dir.path(), &[("PICGATE_UPSTREAM_BASE_URL", upstream.base_url.as_str()), ("PICGATE_GATEWAY_KEY", "pg-test-key")]);
    let go = std::sync::Arc::new(tokio::sync::Notify::new());
    let mut scripted = Scripted::json(&json!({"data": [{"b64_json": pictures::base64(&pictures::png(1, 20))}]}));
    scripted.chunks.insert(0, crate::support::Chunk::Wait(go.clone()));
    upstream.answers(scripted);
    let http = crate::support::client();
    let request = http.post(format!("{}/v1/images/generations", process.url)).bearer_auth("pg-test-key").json(&json!({"prompt": "x"}));
    let drawing = tokio::spawn(async move { request.send().await.expect("an answer").json::<serde_json::Value>().await.expect("JSON") });
    eventually("the upstream to be asked", async || (upstream.requests().len() == 1).then_some(())).await;
    process.terminate();
    let url = process.url.clone();
    eventually("the port to close", async || http.get(format!("{url}/health")).send().await.is_err().then_some(())).await;
    go.notify_one();
    let answer = drawing.await.expect("no panic");
    assert!(answer["data"][0]["url"].is_string(), "{answer}");
    let began = Instant::now();
    assert_eq!(tokio::task::spawn_blocking(move || process.wait()).await.expect("no panic"), 0);
    assert!(began.elapsed() < Duration::from_secs(20));
    assert!(!dir.path().join("store/picgate.sqlite3-wal").metadata().is_ok_and(|m| m.len() > 0), "the database's log was folded in");
}

#[test]
fn flags_of_the_desktop_app_are_refused_where_there_is_none() {
    let dir = tempfile::tempdir().unwrap();
    for arguments in [&["--hidden"][..], &["--open", "gallery"]] {
        let (_, said, code) = finished(dir.path(), arguments, &[]);
        assert_eq!(code, 2, "{said}");
        assert!(said.contains("desktop app"), "{said}");
    }
    let (help, _, _) = finished(dir.path(), &["--help"], &[]);
    assert!(!help.contains("--hidden"), "{help}");
}
