//! What a desktop app around the gateway gets and gives: windows without a login, what only the system can do, keys in its
//! keychain, and news. Without one, every such route says so.

use std::{
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use picgate_gateway::{
    server::{Gateway, Newsreader, StartError},
    shell::{News, Page, Shell},
    store::SecretsError,
};
use reqwest::{Method, Response, header};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::{
    FakeBucket, FakeKeychain, FakeShell, FakeUpstream, Fault, PATIENCE, Scripted, TestApp,
    admin::{Admin, app_with, code, draw},
    app::config,
    eventually,
    pictures::{self, base64},
    process,
};

/// The request to a route of the shell.
async fn ask(admin: &Admin<'_>, method: Method, path: &str, body: &Value) -> Response {
    admin.request(method, path).json(body).send().await.expect("an answer")
}

/// A visit as a window makes it: no redirect is followed.
async fn visit(url: &str, headers: &[(&'static str, &str)]) -> Response {
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let mut request = client.get(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.expect("an answer")
}

fn location(response: &Response) -> &str {
    response.headers()[header::LOCATION].to_str().expect("text")
}

#[tokio::test]
async fn without_a_desktop_app_its_routes_say_so() {
    let app = TestApp::demo().await;
    let admin = Admin::set_up(&app).await;
    assert_eq!(admin.get("session").await["has_shell"], false);
    for (method, path, body) in [
        (Method::GET, "shell", json!(null)),
        (Method::PUT, "shell/autostart", json!({"on": true})),
        (Method::PUT, "shell/keychain", json!({"on": true})),
        (Method::POST, "shell/open", json!({"page": "gallery"})),
        (Method::POST, "shell/external", json!({"url": "https://example.com"})),
        (Method::POST, "shell/folder", json!(null)),
    ] {
        assert_eq!(code(ask(&admin, method, path, &body).await, 501).await, "no_shell", "{path}");
    }
}

#[tokio::test]
async fn pages_open_windows_folders_and_the_systems_browser() {
    let shell = FakeShell::new();
    let app = TestApp::in_shell(&shell, &[]).await;
    let admin = Admin::set_up(&app).await;
    assert_eq!(admin.get("session").await["has_shell"], true);
    assert_eq!(admin.get("shell").await["autostart"], false);
    let on = admin.send(Method::PUT, "shell/autostart", &json!({"on": true})).await;
    assert_eq!((&on["autostart"], shell.autostart.load(Ordering::Relaxed)), (&json!(true), true));
    shell.autostart.store(false, Ordering::Relaxed);
    assert_eq!(admin.get("shell").await["autostart"], false, "true to the system");
    shell.opened();

    for body in [json!({"page": "settings"}), json!({"page": "gallery", "rest": "/3f0c?sort=size"})] {
        assert_eq!(ask(&admin, Method::POST, "shell/open", &body).await.status(), 204);
    }
    assert_eq!(ask(&admin, Method::POST, "shell/folder", &json!(null)).await.status(), 204);
    assert_eq!(ask(&admin, Method::POST, "shell/external", &json!({"url": "https://example.com/a?b=c"})).await.status(), 204);
    let folder = app.dir.path().display().to_string();
    assert_eq!(shell.opened(), ["/admin/settings", "/admin/gallery/3f0c?sort=size", &folder, "https://example.com/a?b=c"]);

    for body in
        [json!({"page": "setup"}), json!({"page": "gallery", "rest": "//evil.example"}), json!({"page": "gallery", "rest": "@evil"})]
    {
        assert_eq!(code(ask(&admin, Method::POST, "shell/open", &body).await, 422).await, "invalid_request", "{body}");
    }
    for url in ["file:///etc/passwd", "javascript:alert(1)", "picgate", "http://a@b.example/", "smb://host/share", "--help"] {
        assert_eq!(code(ask(&admin, Method::POST, "shell/external", &json!({"url": url})).await, 422).await, "invalid_request", "{url}");
    }
    assert!(shell.opened().is_empty());

    // Nobody opens windows on somebody else's screen.
    let afar = admin.request(Method::POST, "shell/open").header("x-forwarded-for", "192.0.2.7").json(&json!({"page": "logs"}));
    assert_eq!(code(afar.send().await.expect("an answer"), 403).await, "not_local");
    let afar = admin.request(Method::GET, "session").header("x-forwarded-for", "192.0.2.7").send().await.expect("an answer");
    assert_eq!(afar.json::<Value>().await.expect("JSON")["has_shell"], false);
    assert!(shell.opened().is_empty());

    *shell.broken.lock().expect("a lock") = Some("no program opens folders here".into());
    let failed = ask(&admin, Method::POST, "shell/folder", &json!(null)).await;
    assert_eq!(failed.status(), 500);
    assert!(failed.text().await.expect("text").contains("no program opens folders here"));
    let state = admin.get("shell").await;
    assert_eq!((&state["autostart"], &state["autostart_problem"]), (&Value::Null, &json!("no program opens folders here")));
}

#[tokio::test]
async fn a_window_comes_in_once_with_its_ticket_and_without_a_login() {
    let shell = FakeShell::new();
    let app = TestApp::in_shell(&shell, &[]).await;
    let handle = app.gateway.handle();
    let setup = handle.local_page(Page::Gallery, None).await.expect("an address");
    let ticket = app.gateway.setup_ticket().expect("a ticket").expose().to_owned();
    assert!(setup.contains("/admin/setup?") && setup.ends_with(&format!("#ticket={ticket}")), "first the set-up: {setup}");
    let admin = Admin::set_up(&app).await;

    let page = handle.local_page(Page::Gallery, Some("/3f0c?sort=size")).await.expect("an address");
    assert!(page.starts_with(&app.url), "{page}");
    let entered = visit(&page, &[]).await;
    assert_eq!((entered.status().as_u16(), location(&entered)), (303, "/admin/gallery/3f0c?sort=size&window=1"));
    assert_eq!(entered.headers()[header::CACHE_CONTROL], "no-store");
    let cookie = entered.headers()[header::SET_COOKIE].to_str().expect("text").to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let state = app.http.get(format!("{}/admin/api/session", app.url)).header(header::COOKIE, &cookie).send().await.expect("an answer");
    assert_eq!(state.json::<Value>().await.expect("JSON")["state"], "signed_in");

    let again = visit(&page, &[]).await;
    assert!(again.headers().get(header::SET_COOKIE).is_none(), "good once");
    assert_eq!(again.status(), 303, "the page asks for the password then");

    // A second window shares the cookie, and so the session.
    let sessions = admin.get("sessions").await["items"].as_array().expect("items").len();
    let second = handle.local_page(Page::Logs, None).await.expect("an address");
    let cookie = cookie.split(';').next().expect("a cookie");
    assert!(visit(&second, &[("cookie", cookie)]).await.headers().get(header::SET_COOKIE).is_none());
    assert!(visit(&second, &[]).await.headers().get(header::SET_COOKIE).is_none(), "used up all the same");
    assert_eq!(admin.get("sessions").await["items"].as_array().expect("items").len(), sessions);
}

#[tokio::test]
async fn tickets_are_for_this_computer_and_lead_nowhere_else() {
    let shell = FakeShell::new();
    let app = TestApp::in_shell(&shell, &[]).await;
    let _admin = Admin::set_up(&app).await;
    let handle = app.gateway.handle();
    for header in ["x-forwarded-for", "x-forwarded-host", "forwarded", "x-real-ip", "via"] {
        let page = handle.local_page(Page::Dashboard, None).await.expect("an address");
        assert_eq!(code(visit(&page, &[(header, "203.0.113.9")]).await, 403).await, "not_local", "{header}");
        assert!(visit(&page, &[]).await.headers().contains_key(header::SET_COOKIE), "a refusal uses nothing up");
    }
    for next in ["https://evil.example/", "//evil.example/", "/admin//evil.example", "/admin/api/settings", "/images/x"] {
        let ticket = handle.issue_ticket().expect("a ticket");
        let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("t", &ticket).append_pair("next", next).finish();
        let response = visit(&format!("{}/admin/ticket?{query}", app.url), &[]).await;
        assert_eq!(location(&response), "/admin", "{next}");
    }
    // Wrong passwords do not shut the windows out.
    for _ in 0..6 {
        let body = json!({"username": "admin", "password": "wrong"});
        let _ = app.http.post(format!("{}/admin/api/session/login", app.url)).header("x-picgate", "1").json(&body).send().await;
    }
    let page = handle.local_page(Page::Dashboard, None).await.expect("an address");
    assert!(visit(&page, &[]).await.headers().contains_key(header::SET_COOKIE));
    // Nor does a page of another site that sends tickets, wrong or right.
    for _ in 0..20 {
        let page = format!("{}/admin/ticket?t=x", app.url);
        assert_eq!(visit(&page, &[("sec-fetch-site", "cross-site")]).await.status(), 303);
        assert_eq!(visit(&page, &[]).await.status(), 303);
    }
    let page = handle.local_page(Page::Dashboard, None).await.expect("an address");
    for site in ["cross-site", "same-site"] {
        assert!(visit(&page, &[("sec-fetch-site", site)]).await.headers().get(header::SET_COOKIE).is_none(), "{site}");
    }
    assert!(visit(&page, &[("sec-fetch-site", "none")]).await.headers().contains_key(header::SET_COOKIE));
    let proxied = app.http.post(format!("{}/admin/api/session/ticket", app.url)).header("x-picgate", "1").header("via", "1.1 proxy");
    let ticket = handle.issue_ticket().expect("a ticket");
    assert_eq!(code(proxied.json(&json!({"ticket": ticket})).send().await.expect("an answer"), 403).await, "not_local");
}

#[tokio::test]
async fn wrong_tickets_do_not_shut_the_owner_out() {
    let app = TestApp::demo().await;
    drop(Admin::set_up(&app).await);
    for _ in 0..20 {
        assert_eq!(visit(&format!("{}/admin/ticket?t=x", app.url), &[]).await.status(), 303);
    }
    let body = json!({"username": "admin", "password": "correct horse"});
    let login = app.http.post(format!("{}/admin/api/session/login", app.url)).header("x-picgate", "1").json(&body).send().await;
    assert_eq!(login.expect("an answer").status(), 200);
}

fn secrets(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("store/secrets.json")).expect("reads")
}

async fn start(dir: &Path, shell: Option<&Arc<FakeShell>>) -> Result<Gateway, StartError> {
    let shell = shell.map(|shell| shell.clone() as Arc<dyn Shell>);
    Gateway::start_in_shell(&config(dir, &[]), None, shell).await
}

/// The app whose keys are in a keychain, and the keychain.
async fn in_keychain() -> (TestApp, Arc<FakeKeychain>) {
    let keychain = Arc::new(FakeKeychain::default());
    let app = TestApp::in_shell(&FakeShell::with_keychain(&keychain), &[]).await;
    (app, keychain)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_being_changed_holds_also_if_who_asked_for_it_goes() {
    let (app, keychain) = in_keychain().await;
    let admin = Admin::set_up(&app).await;
    admin.send(Method::PUT, "shell/keychain", &json!({"on": true})).await;
    let answer = keychain.ask_next();
    let change = admin.request(Method::POST, "gateway-key").json(&json!({"key": "a-key-of-my-own", "password": "correct horse"}));
    let client = tokio::spawn(change.send());
    eventually("the keychain to be asked", async || keychain.has_asked().then_some(())).await;
    client.abort();
    // Time to notice it.
    for _ in 0..20 {
        admin.get("session").await;
    }
    drop(answer);
    let models =
        async |key: &str| app.http.get(format!("{}/v1/models", app.url)).bearer_auth(key).send().await.expect("an answer").status();
    eventually("the new key to be good", async || (models("a-key-of-my-own").await == 200).then_some(())).await;
    assert_eq!(models(&app.key).await, 401);
    assert_eq!(keychain.values()["gateway_key"], "a-key-of-my-own");
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_the_gateway_is_not_undone_by_who_opened_it_at_the_same_time() {
    let (app, keychain) = in_keychain().await;
    let admin = Admin::set_up(&app).await;
    admin.send(Method::PUT, "shell/keychain", &json!({"on": true})).await;
    admin.send(Method::POST, "listen", &json!({"reach": "everyone", "password": "correct horse"})).await;
    // Both wait behind another change.
    let answer = keychain.ask_next();
    let change = admin.request(Method::POST, "gateway-key").json(&json!({"password": "correct horse"})).send();
    let changing = tokio::spawn(change);
    eventually("the keychain to be asked", async || keychain.has_asked().then_some(())).await;
    let set = |reach: &str| tokio::spawn(admin.request(Method::POST, "listen").json(&json!({"reach": reach})).send());
    let closing = set("this_computer");
    for _ in 0..20 {
        admin.get("listen").await;
    }
    let opening = set("everyone");
    for _ in 0..20 {
        admin.get("listen").await;
    }
    drop(answer);
    assert_eq!(changing.await.expect("ends").expect("an answer").status(), 200);
    assert_eq!(closing.await.expect("ends").expect("an answer").status(), 200);
    let _ = opening.await.expect("ends").expect("an answer");
    assert_eq!(admin.get("listen").await["reach"], "this_computer");
}

#[tokio::test]
async fn keys_move_to_the_keychain_and_back_and_are_always_in_one_of_the_two() {
    let keychain = Arc::new(FakeKeychain::default());
    let shell = FakeShell::with_keychain(&keychain);
    let app = TestApp::in_shell(&shell, &[]).await;
    let admin = Admin::set_up(&app).await;
    let state = admin.get("shell").await;
    assert_eq!((&state["has_keychain"], &state["keys_in_keychain"]), (&json!(true), &json!(false)), "an opt-in");
    assert!(secrets(app.dir.path()).contains(&app.key));

    // A keychain that loses what it is given, or is locked, gets nothing.
    keychain.forgetful.store(true, Ordering::Relaxed);
    assert_eq!(code(ask(&admin, Method::PUT, "shell/keychain", &json!({"on": true})).await, 500).await, "shell_failed");
    keychain.forgetful.store(false, Ordering::Relaxed);
    keychain.locked.store(true, Ordering::Relaxed);
    let refused = ask(&admin, Method::PUT, "shell/keychain", &json!({"on": true})).await;
    assert!(refused.text().await.expect("text").contains("the login keyring is locked"));
    keychain.locked.store(false, Ordering::Relaxed);
    assert!(secrets(app.dir.path()).contains(&app.key));

    let moved = admin.send(Method::PUT, "shell/keychain", &json!({"on": true})).await;
    assert_eq!(moved["keys_in_keychain"], true);
    assert!(!secrets(app.dir.path()).contains(&app.key), "not in the file any more");
    assert_eq!(keychain.values()["gateway_key"], app.key);
    let made =
        json!({"kind": "openai", "name": "relay", "base_url": "http://127.0.0.1:9/v1", "model": "m", "api_key": "sk-kept-elsewhere"});
    let made = admin.send(Method::POST, "upstreams", &made).await;
    let _ = admin.send(Method::PATCH, "settings", &json!({"values": {"r2_secret_access_key": "bucket-secret"}})).await;
    let kept = keychain.values();
    assert_eq!(kept.len(), 3, "{kept:?}");
    assert!(kept.values().any(|key| key == "sk-kept-elsewhere") && kept["r2_secret_access_key"] == "bucket-secret");
    let file = secrets(app.dir.path());
    assert!(!file.contains("sk-kept-elsewhere") && !file.contains("bucket-secret"), "{file}");

    // The app finds them again; whoever has no keychain is told what to do.
    let (key, dir) = (app.key.clone(), app.stop().await);
    match start(dir.path(), None).await {
        Err(StartError::Secrets(error @ SecretsError::InKeychain)) => {
            assert!(error.to_string().contains("remedy: start the desktop app"), "{error}");
        }
        other => panic!("{:?}", other.err()),
    }
    let (_, said, status) = process::finished(dir.path(), &["key"], &[]);
    assert!(status == 1 && said.contains("keychain") && said.contains("remedy"), "{said}");
    let (said, _, status) = process::finished(dir.path(), &["reset-admin"], &[]);
    assert!(status == 0 && said.contains("ticket"), "a lost password needs no key: {said}");
    keychain.locked.store(true, Ordering::Relaxed);
    assert!(matches!(start(dir.path(), Some(&shell)).await, Err(StartError::Secrets(SecretsError::Keychain { .. }))));
    keychain.locked.store(false, Ordering::Relaxed);
    let gateway = start(dir.path(), Some(&shell)).await.expect("starts");
    assert_eq!(gateway.key().expose(), key);
    assert!(gateway.setup_ticket().is_some());
    gateway.stop().await;

    let app = TestApp::in_shell_over(dir, &shell, &[]).await;
    let admin = Admin::set_up(&app).await;
    let id = made["items"].as_array().expect("items").iter().find_map(|item| item["id"].as_i64()).expect("an id");
    assert_eq!(ask(&admin, Method::DELETE, &format!("upstreams/{id}"), &json!(null)).await.status().as_u16() / 100, 2);
    assert_eq!(keychain.values().len(), 2, "a key that is no longer used goes");
    let back = admin.send(Method::PUT, "shell/keychain", &json!({"on": false})).await;
    assert_eq!(back["keys_in_keychain"], false);
    assert!(keychain.values().is_empty(), "nothing stays behind");
    let file = secrets(app.dir.path());
    assert!(file.contains(&key) && file.contains("bucket-secret"));
    let dir = app.stop().await;
    start(dir.path(), None).await.expect("starts without the app again").stop().await;
}

#[tokio::test]
async fn without_a_keychain_the_keys_stay_where_they_are() {
    let shell = FakeShell::new();
    let app = TestApp::in_shell(&shell, &[]).await;
    let admin = Admin::set_up(&app).await;
    assert_eq!(admin.get("shell").await["has_keychain"], false);
    assert_eq!(code(ask(&admin, Method::PUT, "shell/keychain", &json!({"on": true})).await, 409).await, "no_keychain");
}

/// The next news that `wanted` takes.
async fn until<T>(news: &mut Newsreader, what: &str, mut wanted: impl FnMut(News) -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = wanted(news.next().await.expect("the gateway runs")) {
                return found;
            }
        }
    };
    tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

#[tokio::test]
async fn the_app_hears_of_drawings_and_finds_their_links() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let handle = app.gateway.handle();
    assert_eq!(handle.latest_link().await.expect("reads"), None);
    assert_eq!(handle.base_url(), format!("http://localhost:{}/v1", handle.address().port()));
    let mut news = handle.subscribe();
    let go = Arc::new(Notify::new());
    upstream.answers(Scripted::json(&json!({"data": [{"b64_json": base64(&pictures::png(1, 64))}]})).held(&go));
    let drawing = tokio::spawn(app.post("/v1/images/generations").json(&json!({"prompt": "猫".repeat(500)})).send());
    until(&mut news, "a drawing that runs", |news| (news == News::Running(1)).then_some(())).await;
    go.notify_one();
    let drawn: Value = drawing.await.expect("runs").expect("an answer").json().await.expect("JSON");
    let id = drawn["data"][0]["url"].as_str().and_then(|link| link.rsplit('/').next()).expect("a link").to_owned();
    let (prompt, link) = until(&mut news, "a finished drawing", |news| match news {
        News::Finished { image, count: 1, prompt, link } if image.to_string() == id => Some((prompt, link)),
        _ => None,
    })
    .await;
    assert_eq!(prompt.expect("words").chars().count(), 120, "fits into a notification");
    assert_eq!(app.image(&link).await, pictures::png(1, 64));
    assert_eq!(handle.latest_link().await.expect("reads").as_deref(), Some(link.as_str()));
    eventually("the figures", async || (handle.figures().await.ok()?.today == 1).then_some(())).await;

    upstream.answers(Scripted::json(&json!({"error": {"message": "no money", "code": "insufficient_quota"}})).status(402));
    let _ = app.send("/v1/images/generations", &json!({"prompt": "a dog"})).await;
    let (code, message) = until(&mut news, "a failed drawing", |news| match news {
        News::Failed { code, message, prompt } if prompt.as_deref() == Some("a dog") => Some((code, message)),
        _ => None,
    })
    .await;
    assert!(!code.is_empty() && message.is_some_and(|message| !message.is_empty()), "{code}");
}

#[tokio::test]
async fn the_app_hears_of_a_bucket_that_is_away_and_comes_back() {
    let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
    let app = app_with(&upstream, &bucket, &[]).await;
    let mut news = app.gateway.handle().subscribe();
    bucket.break_with(&[Fault::Refuse(403, "InvalidAccessKeyId")]);
    let _ = draw(&app, &upstream, "a cat", 1, 64).await;
    let why = until(&mut news, "the bucket to be away", |news| if let News::BucketAway(why) = news { Some(why) } else { None }).await;
    assert!(!why.is_empty());
    bucket.heal();
    until(&mut news, "the bucket to be back", |news| (news == News::BucketBack).then_some(())).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_app_hears_of_a_disk_that_is_nearly_full_once() {
    use std::process::Command;
    struct Mounted(std::path::PathBuf);
    impl Drop for Mounted {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        }
    }
    let images = tempfile::tempdir().expect("a folder");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(images.path()).output();
    if !mounted.is_ok_and(|mounted| mounted.status.success()) {
        eprintln!("skipped: a file system cannot be mounted here");
        return;
    }
    let _mounted = Mounted(images.path().to_owned());
    let upstream = FakeUpstream::start().await;
    let images_dir = images.path().to_str().expect("UTF-8");
    let app = TestApp::over_with(&upstream, "up-model", &[("IMAGES_DIR", images_dir)]).await;
    let mut news = app.gateway.handle().subscribe();
    // Room for the picture, and hardly anything besides.
    let ballast = images.path().join("ballast");
    std::fs::write(&ballast, vec![1; 7_200_000]).expect("fits");
    upstream.answers(Scripted::json(&json!({"data": [{"b64_json": base64(&pictures::large(1, 900_000))}]})));
    let _ = app.send("/v1/images/generations", &json!({"prompt": "x"})).await;
    let free = until(&mut news, "the disk to be nearly full", |news| if let News::DiskLow(free) = news { Some(free) } else { None }).await;
    assert!(free < 8 * 1024 * 1024 / 20, "{free}");
    let health: Value = app.get("/health").await.json().await.expect("JSON");
    assert_eq!((&health["status"], &health["reasons"]), (&json!("degraded"), &json!(["the disk is nearly full"])));
    let first = app.gateway.handle().subscribe().next().await;
    assert!(matches!(first, Some(News::DiskLow(_))), "who comes later hears what is wrong already: {first:?}");
    std::fs::remove_file(&ballast).expect("goes");
    let _ = draw(&app, &upstream, "another", 2, 16).await;
    until(&mut news, "room again", |news| match news {
        News::DiskLow(_) => panic!("told twice"),
        news => (news == News::DiskBack).then_some(()),
    })
    .await;
}
