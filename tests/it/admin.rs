//! The admin API: nobody comes in without a session, nothing is changed from elsewhere, and each page's data is there.

use reqwest::{Method, header};
use serde_json::{Value, json};

use crate::support::{FakeUpstream, PATIENCE, Scripted, TestApp, admin::anonymous, eventually, pictures};

pub use crate::support::admin::{Admin, code, draw};

#[tokio::test]
async fn every_route_wants_a_session_but_those_that_give_one() {
    let app = TestApp::demo().await;
    let document: Value = anonymous(&app, Method::GET, "openapi.json").send().await.expect("an answer").json().await.expect("JSON");
    let mut seen = 0;
    for (path, methods) in document["paths"].as_object().expect("paths") {
        let open = ["/session", "/session/setup", "/session/login", "/session/ticket"].contains(&path.as_str());
        for method in methods.as_object().expect("methods").keys().filter(|_| !open) {
            let method: Method = method.to_ascii_uppercase().parse().expect("a method");
            let path = path.trim_start_matches('/').replace("{id}", "1");
            let response = anonymous(&app, method.clone(), &path).json(&json!({})).send().await.expect("an answer");
            assert_eq!(code(response, 401).await, "not_signed_in", "{method} {path}");
            seen += 1;
        }
    }
    assert!(seen >= 25, "the document has all routes: {seen}");
    let bare = app.http.get(format!("{}/metrics", app.url)).send().await.expect("an answer");
    assert_eq!(bare.status(), 401);
}

#[tokio::test]
async fn the_account_is_made_once_and_only_with_the_ticket() {
    let app = TestApp::demo().await;
    let state: Value = anonymous(&app, Method::GET, "session").send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!((&state["state"], &state["needs_ticket"]), (&json!("setup"), &json!(true)));
    let set_up = |ticket: &str, password: &str| {
        let body = json!({"ticket": ticket, "username": "admin", "password": password});
        anonymous(&app, Method::POST, "session/setup").json(&body).send()
    };
    let ticket = app.gateway.setup_ticket().expect("a ticket").expose().to_owned();
    assert_eq!(code(set_up("wrong", "correct horse").await.expect("an answer"), 403).await, "wrong_ticket");
    assert_eq!(code(set_up("", "correct horse").await.expect("an answer"), 403).await, "wrong_ticket");
    assert_eq!(code(set_up(&ticket, "12345678").await.expect("an answer"), 422).await, "weak_password");
    let made = set_up(&ticket, "correct horse").await.expect("an answer");
    assert_eq!(made.status(), 200);
    assert_eq!(code(set_up(&ticket, "correct horse").await.expect("an answer"), 409).await, "already_set_up");
    // The ticket is gone with the next start, the account is not.
    let app = TestApp::in_folder(app.stop().await, &[]).await;
    assert!(app.gateway.setup_ticket().is_none());
    let log_in = |name: &str, password: &str| {
        anonymous(&app, Method::POST, "session/login").json(&json!({"username": name, "password": password})).send()
    };
    assert_eq!(log_in("admin", "correct horse").await.expect("an answer").status(), 200);
    assert_eq!(code(log_in("root", "correct horse").await.expect("an answer"), 401).await, "wrong_credentials");
    for _ in 0..4 {
        log_in("admin", "wrong horse").await.expect("an answer");
    }
    let slowed = log_in("admin", "correct horse").await.expect("an answer");
    assert!(slowed.headers().contains_key(header::RETRY_AFTER));
    assert_eq!(code(slowed, 429).await, "too_many_attempts");
}

#[tokio::test]
async fn sessions_are_listed_and_ended_and_a_new_password_ends_the_others() {
    let app = TestApp::demo().await;
    let admin = Admin::set_up(&app).await;
    let log_in = || anonymous(&app, Method::POST, "session/login").json(&json!({"username": "admin", "password": "correct horse"})).send();
    let other = Admin::signed_in(&app, &log_in().await.expect("an answer"));
    let third = Admin::signed_in(&app, &log_in().await.expect("an answer"));
    let sessions = admin.get("sessions").await;
    let items = sessions["items"].as_array().expect("a list");
    assert_eq!((items.len(), items.iter().filter(|s| s["current"] == true).count()), (3, 1));
    assert!(!sessions.to_string().contains(admin.cookie.split('=').nth(1).expect("a token")));
    let third_id = third.get("sessions").await["items"].as_array().expect("a list").iter().find(|s| s["current"] == true).expect("itself")
        ["id"]
        .clone();
    admin.request(Method::DELETE, &format!("sessions/{third_id}")).send().await.expect("an answer");
    assert_eq!(third.request(Method::GET, "settings").send().await.expect("an answer").status(), 401);
    let change = |old: &str, new: &str| {
        admin.request(Method::POST, "account/password").json(&json!({"old_password": old, "new_password": new})).send()
    };
    assert_eq!(code(change("wrong", "another horse").await.expect("an answer"), 401).await, "wrong_credentials");
    assert_eq!(change("correct horse", "another horse").await.expect("an answer").status(), 204);
    assert_eq!(other.request(Method::GET, "settings").send().await.expect("an answer").status(), 401);
    admin.get("settings").await;
    assert_eq!(admin.request(Method::POST, "session/logout").send().await.expect("an answer").status(), 204);
    assert_eq!(admin.request(Method::GET, "settings").send().await.expect("an answer").status(), 401);
}

#[tokio::test]
async fn hosts_and_origins_that_are_not_ours_are_refused() {
    let app = TestApp::with(&[("PICGATE_ALLOWED_HOSTS", "pics.example.org"), ("PICGATE_PUBLIC_BASE_URL", "https://img.example.com")]).await;
    let admin = Admin::set_up(&app).await;
    let port = app.url.rsplit(':').next().expect("a port").to_owned();
    for (host, status) in [
        (format!("localhost:{port}"), 200),
        ("a.localhost".to_owned(), 200),
        (format!("127.0.0.1:{port}"), 200),
        ("[::1]:1".to_owned(), 200),
        ("192.168.1.7".to_owned(), 200),
        ("host.docker.internal:5643".to_owned(), 200),
        ("pics.example.org".to_owned(), 200),
        ("PICS.example.org.".to_owned(), 200),
        ("img.example.com".to_owned(), 200),
        ("evil.example".to_owned(), 421),
        ("pics.example.org.evil.example".to_owned(), 421),
        ("127.0.0.1.evil.example".to_owned(), 421),
    ] {
        for path in ["/admin/api/session", "/admin", "/health"] {
            let response = app.http.get(format!("{}{path}", app.url)).header(header::HOST, &host).send().await.expect("an answer");
            assert_eq!(response.status(), status, "{host} {path}");
        }
        let drawn =
            app.post("/v1/images/generations").header(header::HOST, &host).json(&json!({"prompt": ""})).send().await.expect("an answer");
        assert_eq!(drawn.status(), 400, "who has the key may use any name");
    }
    for (site, origin, status) in [
        (Some("same-origin"), None, 200),
        (Some("none"), None, 200),
        (Some("same-site"), Some("http://localhost:3000"), 403),
        (Some("cross-site"), Some("http://evil.example"), 403),
        (None, Some("http://evil.example"), 403),
        (None, Some("null"), 403),
        (None, Some(app.url.as_str()), 200),
    ] {
        let mut request =
            app.http.patch(format!("{}/admin/api/settings", app.url)).header(header::COOKIE, &admin.cookie).json(&json!({"values": {}}));
        if let Some(site) = site {
            request = request.header("sec-fetch-site", site);
        }
        if let Some(origin) = origin {
            request = request.header(header::ORIGIN, origin);
        }
        assert_eq!(request.send().await.expect("an answer").status(), status, "{site:?} {origin:?}");
    }
    let bare = app
        .http
        .patch(format!("{}/admin/api/settings", app.url))
        .header(header::COOKIE, &admin.cookie)
        .json(&json!({"values": {}}))
        .send()
        .await;
    assert_eq!(bare.expect("an answer").status(), 403, "who says nothing of itself must send our header");
}

#[tokio::test]
async fn settings_are_checked_kept_and_hold_at_once() {
    let app = TestApp::with(&[("PICGATE_PROGRESS_STYLE", "quiet")]).await;
    let admin = Admin::set_up(&app).await;
    let item = |settings: &Value, key: &str| {
        settings["items"].as_array().expect("a list").iter().find(|s| s["key"] == key).expect("the setting").clone()
    };
    let before = admin.get("settings").await;
    assert_eq!(item(&before, "progress_style")["locked_by"], "PICGATE_PROGRESS_STYLE");
    assert_eq!(item(&before, "gateway_model")["value"], "picgate");
    let changed = admin.send(Method::PATCH, "settings", &json!({"values": {"gateway_model": "draws", "history_images": "3"}})).await;
    assert_eq!(
        (item(&changed, "gateway_model")["value"].clone(), item(&changed, "history_images")["value"].clone()),
        (json!("draws"), json!("3"))
    );
    let models: Value =
        app.http.get(format!("{}/v1/models", app.url)).bearer_auth(&app.key).send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(models["data"][0]["id"], "draws", "it holds at once");
    let bad = json!({"values": {"gateway_model": "other", "history_images": "900", "progress_style": "content", "nothing": "1"}});
    let response = admin.request(Method::PATCH, "settings").json(&bad).send().await.expect("an answer");
    assert_eq!(response.status(), 422);
    let error: Value = response.json().await.expect("JSON");
    let fields: Vec<&String> = error["error"]["fields"].as_object().expect("fields").keys().collect();
    assert_eq!(fields, ["history_images", "nothing", "progress_style"]);
    let fault = |key: &str| error["error"]["fields"][key]["code"].clone();
    assert_eq!([fault("history_images"), fault("nothing"), fault("progress_style")], ["invalid", "unknown", "locked"]);
    assert_eq!(item(&admin.get("settings").await, "gateway_model")["value"], "draws", "all or nothing");
    let app = TestApp::in_folder(app.stop().await, &[]).await;
    let log_in =
        anonymous(&app, Method::POST, "session/login").json(&json!({"username": "admin", "password": "correct horse"})).send().await;
    let admin = Admin::signed_in(&app, &log_in.expect("an answer"));
    assert_eq!(item(&admin.get("settings").await, "gateway_model")["value"], "draws");
    let back = admin.send(Method::PATCH, "settings", &json!({"values": {"gateway_model": null}})).await;
    assert_eq!(item(&back, "gateway_model")["value"], "picgate");
    // The key of clients.
    let password = json!({"password": "correct horse"});
    let old = admin.send(Method::POST, "gateway-key/show", &password).await["key"].clone();
    let new = admin.send(Method::POST, "gateway-key", &password).await["key"].as_str().expect("a key").to_owned();
    assert_ne!(old, json!(new));
    assert_eq!(app.http.get(format!("{}/v1/models", app.url)).bearer_auth(&new).send().await.expect("an answer").status(), 200);
    assert_eq!(
        app.http.get(format!("{}/v1/models", app.url)).bearer_auth(old.as_str().expect("text")).send().await.expect("an answer").status(),
        401
    );
}

#[tokio::test]
async fn upstreams_are_added_tried_ordered_and_asked() {
    let (first, second) = (FakeUpstream::start().await, FakeUpstream::start().await);
    let app = TestApp::demo().await;
    let admin = Admin::set_up(&app).await;
    let listed = admin.get("upstreams").await;
    assert_eq!((&listed["items"][0]["kind"], &listed["items"][0]["preferred"]), (&json!("demo"), &json!(true)));
    let new =
        |name: &str, url: &str| json!({"name": name, "kind": "openai", "base_url": url, "model": "m", "api_key": "sk-secret-0123456789"});
    let bad = admin.request(Method::POST, "upstreams").json(&new("x", "ftp://nowhere")).send().await.expect("an answer");
    assert_eq!(code(bad, 422).await, "invalid_upstream");
    admin.send(Method::POST, "upstreams", &new("one", &first.base_url)).await;
    let both = admin.send(Method::POST, "upstreams", &new("two", &second.base_url)).await;
    assert!(!both.to_string().contains("sk-secret"), "keys are write-only");
    let ids: Vec<i64> = both["items"].as_array().expect("a list").iter().filter_map(|u| u["id"].as_i64()).collect();
    assert_eq!((ids.len(), &both["items"][0]["preferred"], &both["items"][0]["has_key"]), (2, &json!(true), &json!(true)));
    draw(&app, &first, "a fox", 1, 30).await;
    assert_eq!(first.last().header("authorization"), "Bearer sk-secret-0123456789");
    let health = admin.get("upstreams").await["items"][0]["health"].clone();
    assert!(health["last_ok_at"].is_i64() && health["median_ms"].is_i64(), "{health}");
    admin.send(Method::PUT, "upstreams/order", &json!({"ids": [ids[1], ids[0]]})).await;
    draw(&app, &second, "a fox", 2, 30).await;
    assert_eq!(second.requests().len(), 1);
    // Trying: models, and in words what is wrong.
    first.serves("/v1/models", "application/json", json!({"data": [{"id": "m"}, {"id": "a"}]}).to_string().into_bytes());
    let tried = admin.send(Method::POST, "upstreams/test", &json!({"id": ids[0]})).await;
    assert_eq!((&tried["ok"], &tried["models"], &tried["has_model"]), (&json!(true), &json!(["a", "m"]), &json!(true)));
    second.answers(Scripted::json(&json!({"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}})).status(401));
    let tried = admin.request(Method::POST, "upstreams/test").header("accept-language", "zh-CN").json(&json!({"id": ids[1]})).send().await;
    let tried: Value = tried.expect("an answer").json().await.expect("JSON");
    assert_eq!(tried["problem"]["code"], "upstream_auth");
    assert!(tried["problem"]["message"].as_str().expect("text").contains("密钥"), "{tried}");
    // A stored key goes nowhere else.
    let before = first.requests().len();
    first.answers(Scripted::json(&json!({"data": []})));
    admin.send(Method::POST, "upstreams/test", &json!({"id": ids[1], "base_url": format!("{}/x", first.base_url)})).await;
    assert_eq!(first.requests()[before].header("authorization"), "");
    admin.send(Method::DELETE, &format!("upstreams/{}", ids[1]), &json!({})).await;
    let left = admin.send(Method::PATCH, &format!("upstreams/{}", ids[0]), &json!({"enabled": false})).await;
    assert_eq!(left["items"].as_array().expect("a list").len(), 2, "the demo is back: {left}");
}

#[tokio::test]
async fn an_upstreams_key_goes_to_its_own_server_alone() {
    let (first, second) = (FakeUpstream::start().await, FakeUpstream::start().await);
    let app = TestApp::demo().await;
    let admin = Admin::set_up(&app).await;
    let new = |name: &str, url: &str| json!({"name": name, "kind": "openai", "base_url": url, "model": "m"});
    let mut keyed = new("one", &first.base_url);
    keyed["api_key"] = json!("sk-of-the-first-0123456789");
    let made = admin.send(Method::POST, "upstreams", &keyed).await;
    let path = format!("upstreams/{}", made["items"][0]["id"]);
    let moved = admin.request(Method::PATCH, &path).json(&json!({"base_url": second.base_url})).send().await.expect("an answer");
    assert_eq!(moved.status(), 422);
    let said: Value = moved.json().await.expect("JSON");
    assert_eq!(said["error"]["fields"]["api_key"]["code"], "moved", "{said}");
    draw(&app, &first, "a fox", 1, 30).await;
    // Another path on the same server keeps the key; a key of its own, or none, lets it move.
    let same = admin.send(Method::PATCH, &path, &json!({"base_url": format!("{}/", first.base_url)})).await;
    assert_eq!(same["items"][0]["has_key"], true);
    let bare = admin.send(Method::PATCH, &path, &json!({"base_url": second.base_url, "api_key": ""})).await;
    assert_eq!(bare["items"][0]["has_key"], false);
    draw(&app, &second, "a fox", 2, 30).await;
    assert_eq!(second.last().header("authorization"), "");

    // The number of a removed upstream comes again, its key does not: not even if removing it was cut off in the middle.
    let key = json!({"base_url": first.base_url, "api_key": "sk-of-the-first-0123456789"});
    admin.send(Method::PATCH, &path, &key).await;
    app.gateway.library().db().write(|t| t.execute("delete from upstreams", [])).await.expect("writes");
    let next = admin.send(Method::POST, "upstreams", &new("two", &second.base_url)).await;
    assert_eq!(path, format!("upstreams/{}", next["items"][0]["id"]), "the number came again");
    assert_eq!(next["items"][0]["has_key"], false);
    draw(&app, &second, "a fox", 3, 30).await;
    assert!(second.requests().iter().all(|request| request.header("authorization").is_empty()));

    admin.send(Method::PATCH, &path, &json!({"api_key": "sk-of-the-second-0123456789"})).await;
    app.gateway.library().db().write(|t| t.execute("delete from upstreams", [])).await.expect("writes");
    let app = TestApp::in_folder(app.stop().await, &[]).await;
    let kept = std::fs::read_to_string(app.dir.path().join("store/secrets.json")).expect("reads");
    assert!(!kept.contains("sk-of-the"), "dropped at the start: {kept}");
}

#[tokio::test]
async fn the_gallery_pages_searches_and_deletes() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let admin = Admin::set_up(&app).await;
    let prompts = ["雪山下的红狐狸", "山上有雪", "A red fox in the snow", "猫", "雪山日出", "city at night"];
    let mut ids = Vec::new();
    for (seed, prompt) in prompts.iter().enumerate() {
        ids.push(draw(&app, &upstream, prompt, seed as u32 + 1, 20 + 8 * seed as u32).await);
    }
    let found = async |query: &str| -> Vec<String> {
        let url = reqwest::Url::parse_with_params("http://x/", [("q", query)]).expect("a URL");
        let page = admin.get(&format!("images?{}", url.query().expect("a query"))).await;
        let items = page["items"].as_array().expect("a list").clone();
        assert_eq!(page["total"], json!(items.len()));
        items.iter().map(|i| i["prompt"].as_str().expect("text").to_owned()).collect()
    };
    assert_eq!(found("雪").await, ["雪山日出", "山上有雪", "雪山下的红狐狸"], "one character");
    assert_eq!(found("雪山").await, ["雪山日出", "雪山下的红狐狸"], "two, next to each other");
    assert_eq!(found("猫").await, ["猫"]);
    assert_eq!(found("RED fo").await, ["A red fox in the snow"]);
    assert!(found("%").await.is_empty() && found("\"*").await.is_empty());
    // Pages of two, in every order, hold each image once.
    for (sort, order) in [("created", "desc"), ("created", "asc"), ("accessed", "desc"), ("size", "desc"), ("size", "asc")] {
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let page = admin.get(&format!("images?limit=2&sort={sort}&order={order}&after={after}")).await;
            assert_eq!(page["total"], 6);
            seen.extend(
                page["items"].as_array().expect("a list").iter().map(|i| (i["id"].as_str().expect("text").to_owned(), i["bytes"].as_u64())),
            );
            match page["next"].as_str() {
                Some(next) => after = next.to_owned(),
                None => break,
            }
        }
        let mut unique: Vec<_> = seen.iter().map(|(id, _)| id).collect();
        unique.sort();
        unique.dedup();
        assert_eq!((seen.len(), unique.len()), (6, 6), "{sort} {order}");
        if sort == "size" {
            assert!(seen.windows(2).all(|w| if order == "asc" { w[0].1 <= w[1].1 } else { w[0].1 >= w[1].1 }), "{seen:?}");
        }
    }
    let details = admin.get(&format!("images/{}", ids[0])).await;
    assert_eq!(
        (&details["prompt"], &details["upstream_model"], &details["source"]),
        (&json!(prompts[0]), &json!("up-model"), &json!("generated"))
    );
    assert!(details["links"]["markdown"].as_str().expect("text").starts_with("![雪山下的红狐狸](http"), "{details}");
    // Deleting says of each what became of it, and leaves nothing behind.
    let delete = |ids: Vec<&str>, what: &str, last: bool| json!({"ids": ids, "what": what, "last_copies": last});
    let kept = admin.send(Method::POST, "images/delete", &delete(vec![&ids[0]], "local", false)).await;
    assert_eq!(kept["items"][0], json!({"id": ids[0], "ok": false, "code": "last_copy"}));
    let gone = admin.send(Method::POST, "images/delete", &delete(vec![&ids[0], "6129bbac-8578-48ed-b882-a2d123053b64"], "all", true)).await;
    assert_eq!((&gone["items"][0]["ok"], &gone["items"][1]["code"]), (&json!(true), &json!("not_found")));
    assert_eq!(app.get(&format!("/images/{}", ids[0])).await.status(), 404);
    let name = pictures::sha256(&pictures::png(1, 20));
    assert!(!app.store().join("blobs").join(&name[..2]).join(&name).exists());
    assert_eq!(found("雪山").await, ["雪山日出"]);
    assert_eq!(admin.get("images").await["total"], 5);
}

#[tokio::test]
async fn equal_bytes_stay_while_an_image_has_them_and_come_back_when_saved_again() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let admin = Admin::set_up(&app).await;
    let (one, two) = (draw(&app, &upstream, "a", 1, 30).await, draw(&app, &upstream, "b", 1, 30).await);
    let delete = async |id: &str| admin.send(Method::POST, "images/delete", &json!({"ids": [id], "what": "all"})).await;
    delete(&one).await;
    assert!(app.image(&format!("/images/{two}")).await == pictures::png(1, 30));
    delete(&two).await;
    let three = draw(&app, &upstream, "c", 1, 30).await;
    assert!(app.image(&format!("/images/{three}")).await == pictures::png(1, 30));
    // What was deleted does not come back with a restart.
    delete(&three).await;
    let app = TestApp::in_folder(app.stop().await, &[]).await;
    let log_in =
        anonymous(&app, Method::POST, "session/login").json(&json!({"username": "admin", "password": "correct horse"})).send().await;
    let admin = Admin::signed_in(&app, &log_in.expect("an answer"));
    assert_eq!(admin.get("images").await["total"], 0);
}

#[tokio::test]
async fn the_dashboard_shows_what_happens_while_it_happens() {
    use futures_util::StreamExt;
    let app = TestApp::demo().await;
    let admin = Admin::set_up(&app).await;
    let response = admin.request(Method::GET, "events").send().await.expect("an answer");
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let (mut stream, mut text) = (response.bytes_stream(), String::new());
    let drawn = admin.request(Method::POST, "draw-test").json(&json!({"prompt": "一只猫"})).send();
    let (drawn, ()) = tokio::join!(drawn, async {
        while !["event: snapshot", "event: running", "event: image", "event: stats", "event: activity"]
            .iter()
            .all(|name| text.contains(name))
        {
            text.push_str(&String::from_utf8_lossy(&stream.next().await.expect("goes on").expect("bytes")));
        }
    });
    let drawn: Value = drawn.expect("an answer").json().await.expect("JSON");
    assert_eq!(drawn["image"]["prompt"], "一只猫");
    let stats = eventually("the record", async || {
        let stats = admin.get("stats").await;
        (stats["days"].as_array().expect("a list").len() == 1).then_some(stats)
    })
    .await;
    assert_eq!(
        (&stats["images"]["total"], &stats["latest"][0]["id"], &stats["days"][0]["ok"]),
        (&json!(1), &drawn["image"]["id"], &json!(1))
    );
    // A picture to try it is no request of a client.
    assert!(stats["bytes"].as_i64().expect("bytes") > 1000 && stats["first_request_at"].is_null(), "{stats}");
    assert_eq!(admin.request(Method::DELETE, "logs").send().await.expect("an answer").status(), 204);
    assert!(admin.get("stats").await["first_request_at"].is_null(), "nor when what was asked is forgotten");
    let connect = admin.get("connect").await;
    let here = connect["places"][0]["base_url"].as_str().expect("an address").to_owned();
    let checked = admin.send(Method::POST, "connect/check", &json!({"base_url": here})).await;
    assert_eq!(checked["ok"], true, "{checked}");
    assert_eq!(checked["steps"].as_array().expect("steps").len(), 3);
    let foreign = admin.request(Method::POST, "connect/check").json(&json!({"base_url": "http://169.254.169.254/v1"})).send().await;
    assert_eq!(foreign.expect("an answer").status(), 422);
    let metrics =
        app.http.get(format!("{}/metrics", app.url)).bearer_auth(&app.key).send().await.expect("an answer").text().await.expect("text");
    assert!(metrics.contains("picgate_images 1\n") && metrics.contains("outcome=\"ok\"} 1"), "{metrics}");
    admin.get("about").await;
    app.send("/v1/images/generations", &json!({"prompt": "一只狗", "model": "picgate"})).await;
    eventually("the first request", async || admin.get("stats").await["first_request_at"].as_i64()).await;
    assert_eq!(admin.get("activity").await["items"][0]["prompt"], "一只狗");
}

#[tokio::test]
async fn a_page_that_knows_the_old_gateway_key_is_told_of_another_one() {
    use futures_util::StreamExt;
    let app = TestApp::demo().await;
    let admin = Admin::set_up(&app).await;
    let password = json!({"password": "correct horse"});
    let old = admin.send(Method::POST, "gateway-key/show", &password).await["mark"].as_str().expect("a mark").to_owned();
    let response = admin.request(Method::GET, "events").send().await.expect("an answer");
    let (mut stream, mut text) = (response.bytes_stream(), String::new());
    let mut until = async |wanted: &str| {
        let told = async {
            while !text.contains(wanted) {
                text.push_str(&String::from_utf8_lossy(&stream.next().await.expect("goes on").expect("bytes")));
            }
        };
        tokio::time::timeout(PATIENCE, told).await.expect("an event");
    };
    // Whoever comes late is told by the snapshot.
    until(&format!(r#""key_mark":"{old}""#)).await;
    let new = admin.send(Method::POST, "gateway-key", &password).await["mark"].as_str().expect("a mark").to_owned();
    assert_ne!(new, old);
    until(&format!("event: settings\ndata: {{\"key_mark\":\"{new}\"}}")).await;
}
