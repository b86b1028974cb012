//! Who gets into the admin: every combination of host, origin, site and cookie, the headers of every route, and guessing.

use std::{collections::BTreeMap, fmt::Write as _};

use reqwest::{Method, RequestBuilder, Response, header};
use serde_json::{Value, json};

use super::admin::{Admin, code};
use crate::support::{FakeBucket, FakeUpstream, TestApp, admin::until_cloud};

const SNAPSHOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/it/fixtures/headers.txt");

/// What a browser, or somebody else, says of a request.
#[derive(Clone, Copy, Debug)]
struct Row<'a> {
    host: &'a str,
    origin: Option<&'a str>,
    site: Option<&'a str>,
    cookie: &'a str,
    own_header: bool,
}

impl Row<'_> {
    /// What a change must be answered with, by the rules in the order in which they are applied.
    fn expected(&self, known: bool, valid: bool) -> u16 {
        let (http, https) = (format!("http://{}", self.host), format!("https://{}", self.host));
        let from_us = match (self.site, self.origin) {
            (Some(site), _) => site == "same-origin" || site == "none",
            (None, Some(origin)) => origin == http || origin == https,
            (None, None) => self.own_header,
        };
        match (known, from_us, valid) {
            (false, _, _) => 421,
            (true, false, _) => 403,
            (true, true, false) => 401,
            (true, true, true) => 200,
        }
    }

    fn put_on(&self, mut request: RequestBuilder) -> RequestBuilder {
        request = request.header(header::HOST, self.host);
        for (name, value) in [("origin", self.origin), ("sec-fetch-site", self.site), ("x-picgate", self.own_header.then_some("1"))] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        if self.cookie.is_empty() { request } else { request.header(header::COOKIE, self.cookie) }
    }
}

#[tokio::test]
async fn only_our_own_pages_with_a_session_change_anything() {
    let app = TestApp::demo().await;
    let admin = Admin::set_up(&app).await;
    let port = app.url.rsplit(':').next().expect("a port").to_owned();
    let hosts = [
        (format!("127.0.0.1:{port}"), true),
        (format!("localhost:{port}"), true),
        (format!("[::1]:{port}"), true),
        (format!("host.docker.internal:{port}"), true),
        (format!("evil.example:{port}"), false),
        ("localhost.evil.example".to_owned(), false),
    ];
    let forged = format!("{}x", admin.cookie);
    let cookies = [(admin.cookie.as_str(), true), ("", false), (forged.as_str(), false)];
    let sites = [None, Some("same-origin"), Some("same-site"), Some("cross-site"), Some("none"), Some("nonsense")];
    let url = format!("{}/admin/api/settings", app.url);
    let (mut rows, mut changed) = (0_u32, "3".to_owned());
    for (host, known) in &hosts {
        let (http, https) = (format!("http://{host}"), format!("https://{host}"));
        let origins =
            [None, Some(http.as_str()), Some(https.as_str()), Some("http://evil.example"), Some("http://localhost:3000"), Some("null")];
        for origin in origins {
            for site in sites {
                for (cookie, valid) in cookies {
                    for own_header in [false, true] {
                        let row = Row { host, origin, site, cookie, own_header };
                        let wanted = (1 + rows % 8).to_string();
                        let body = json!({"values": {"history_images": wanted}});
                        let answer = row.put_on(app.http.patch(&url)).json(&body).send().await.expect("an answer");
                        let expected = row.expected(*known, valid);
                        assert_eq!(answer.status(), expected, "{row:?}");
                        if expected == 200 {
                            changed = wanted;
                        }
                        let read = row.put_on(app.http.get(&url)).send().await.expect("an answer");
                        let may_read = if !known {
                            421
                        } else if valid {
                            200
                        } else {
                            401
                        };
                        assert_eq!(read.status(), may_read, "reading changes nothing: {row:?}");
                        assert!(!read.headers().contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN), "{row:?}");
                        rows += 1;
                    }
                }
            }
        }
        let settings = admin.get("settings").await;
        let item = settings["items"].as_array().expect("a list").iter().find(|item| item["key"] == "history_images").expect("the setting");
        assert_eq!(item["value"], json!(changed), "what was refused changed nothing");
    }
    assert!(rows >= 120, "{rows}");
}

#[tokio::test]
async fn a_session_alone_neither_reads_nor_replaces_the_key_nor_wipes_the_library() {
    let app = TestApp::demo().await;
    let admin = Admin::set_up(&app).await;
    let picture: Value = admin.send(Method::POST, "draw-test", &json!({})).await;
    let id = picture["image"]["id"].as_str().expect("an id").to_owned();
    let state = admin.request(Method::GET, "gateway-key").send().await.expect("an answer").text().await.expect("text");
    assert!(!state.contains(&app.key), "{state}");
    let many: Vec<String> = std::iter::once(id.clone()).chain((0..100).map(|_| uuid::Uuid::new_v4().to_string())).collect();
    let dangerous = [
        ("gateway-key/show", json!({})),
        ("gateway-key", json!({})),
        ("gateway-key", json!({"key": "a-key-of-my-own"})),
        ("jobs", json!({"kind": "clear_local", "last_copies": true})),
        ("images/delete", json!({"ids": many, "what": "all"})),
        ("images/delete", json!({"ids": many, "what": "local", "last_copies": true})),
    ];
    for (path, body) in &dangerous {
        let bare = admin.request(Method::POST, path).json(body).send().await.expect("an answer");
        assert_eq!(code(bare, 403).await, "password_needed", "{path} {body}");
    }
    for (path, body) in dangerous.iter().take(5) {
        let mut body = body.clone();
        body["password"] = json!("wrong horse");
        let guess = admin.request(Method::POST, path).json(&body).send().await.expect("an answer");
        assert_eq!(code(guess, 401).await, "wrong_credentials", "{path} {body}");
    }
    // Who guesses is slowed down here as at the sign-in.
    let guess = admin.request(Method::POST, "gateway-key/show").json(&json!({"password": "wrong horse"}));
    assert_eq!(code(guess.send().await.expect("an answer"), 429).await, "too_many_attempts");
    let models = app.http.get(format!("{}/v1/models", app.url)).bearer_auth(&app.key).send().await.expect("an answer");
    assert_eq!(models.status(), 200, "the key is the old one");
    assert_eq!(app.get(&format!("/images/{id}")).await.status(), 200);
}

#[tokio::test]
async fn a_few_pictures_are_deleted_without_the_password_and_many_in_small_portions_are_not() {
    let app = TestApp::demo().await;
    let admin = Admin::set_up(&app).await;
    let delete = async |count: usize, password: Option<&str>| {
        let ids: Vec<String> = (0..count).map(|_| uuid::Uuid::new_v4().to_string()).collect();
        let body = json!({"ids": ids, "what": "all", "password": password});
        admin.request(Method::POST, "images/delete").json(&body).send().await.expect("an answer")
    };
    for _ in 0..2 {
        assert_eq!(delete(50, None).await.status(), 200);
    }
    assert_eq!(code(delete(1, None).await, 403).await, "password_needed");
    assert_eq!(delete(1000, Some("correct horse")).await.status(), 200);
}

#[tokio::test]
async fn a_session_alone_makes_no_rules_by_which_pictures_go_for_good() {
    let app = TestApp::demo().await;
    let admin = Admin::set_up(&app).await;
    let change = async |values: Value, password: Option<&str>| {
        let body = json!({"values": values, "password": password});
        admin.request(Method::PATCH, "settings").json(&body).send().await.expect("an answer")
    };
    let held = async |key: &str| {
        let settings = admin.get("settings").await;
        let item = settings["items"].as_array().expect("a list").iter().find(|item| item["key"] == key).expect("the setting").clone();
        item["value"].as_str().expect("text").to_owned()
    };
    for (switch, limit, loose, tight, looser) in
        [("delete_cloud_with_metadata", "retention_days", "30", "1", "0"), ("evict_last_copy", "cache_cap_mb", "500", "1", "0")]
    {
        assert_eq!(change(json!({limit: loose}), None).await.status(), 200, "nothing goes for good by {limit} alone");
        for values in [json!({switch: "true"}), json!({switch: "true", limit: tight})] {
            assert_eq!(code(change(values.clone(), None).await, 403).await, "password_needed", "{values}");
            assert_eq!(code(change(values, Some("wrong horse")).await, 401).await, "wrong_credentials");
        }
        assert_eq!((held(switch).await.as_str(), held(limit).await.as_str()), ("false", loose), "what was refused changed nothing");
        assert_eq!(change(json!({switch: "true"}), Some("correct horse")).await.status(), 200);
        assert_eq!(code(change(json!({limit: tight}), None).await, 403).await, "password_needed", "{limit}");
        assert_eq!(change(json!({limit: looser}), None).await.status(), 200, "0 is no limit");
        assert_eq!(code(change(json!({limit: tight}), None).await, 403).await, "password_needed", "{limit} after none");
        assert_eq!(change(json!({limit: tight}), Some("correct horse")).await.status(), 200);
        assert_eq!(change(json!({switch: null}), None).await.status(), 200, "who is careful needs no password");
    }
}

#[tokio::test]
async fn a_session_alone_sends_no_pictures_to_a_bucket_of_its_choice() {
    let (app, bucket) = (TestApp::demo().await, FakeBucket::start().await);
    let admin = Admin::set_up(&app).await;
    let drawn: Value = admin.send(Method::POST, "draw-test", &json!({})).await;
    let id = drawn["image"]["id"].as_str().expect("an id").to_owned();
    let change = async |values: &Value, password: Option<&str>| {
        let body = json!({"values": values, "password": password, "leave_images": true});
        admin.request(Method::PATCH, "settings").json(&body).send().await.expect("an answer")
    };
    let mut whole = json!({"s3_endpoint": format!("http://{}", bucket.address), "r2_access_key_id": "AKID", "r2_bucket": "pictures"});
    assert_eq!(change(&whole, None).await.status(), 200, "nothing is copied with a part of it");
    let secret = json!({"r2_secret_access_key": crate::support::bucket::SECRET});
    assert_eq!(code(change(&secret, None).await, 403).await, "password_needed");
    whole["r2_secret_access_key"] = secret["r2_secret_access_key"].clone();
    assert_eq!(code(change(&whole, None).await, 403).await, "password_needed", "from none to one");
    assert_eq!(code(change(&whole, Some("wrong horse")).await, 401).await, "wrong_credentials");
    assert!(bucket.seen(&Method::PUT).is_empty(), "nothing was sent there");
    assert_eq!(change(&whole, Some("correct horse")).await.status(), 200);
    until_cloud(&admin, &id, "stored").await;
    for (key, value) in
        [("r2_bucket", "others"), ("s3_prefix", "theirs/"), ("s3_endpoint", "http://127.0.0.1:9"), ("r2_access_key_id", "OTHER")]
    {
        assert_eq!(code(change(&json!({key: value}), None).await, 403).await, "password_needed", "{key}");
    }
    assert_eq!(change(&secret, None).await.status(), 200, "another secret for the same key and place");
    // Nor does it lead who opens a picture to a server of its choice, in one step or in two.
    let domain = json!({"bucket_public_url": "https://img.example.com"});
    let both = json!({"bucket_public_url": "https://img.example.com", "bucket_links": "redirect"});
    assert_eq!(code(change(&both, None).await, 403).await, "password_needed");
    assert_eq!(change(&domain, None).await.status(), 200, "links name the gateway");
    assert_eq!(code(change(&json!({"bucket_links": "redirect"}), None).await, 403).await, "password_needed");
    assert_eq!(change(&both, Some("correct horse")).await.status(), 200);
    assert_eq!(code(change(&json!({"bucket_public_url": "https://theirs.example.com"}), None).await, 403).await, "password_needed");
    assert_eq!(change(&json!({"bucket_links": "gateway"}), None).await.status(), 200);
    assert_eq!(change(&json!({"s3_write": "through"}), None).await.status(), 200);
    assert_eq!(change(&json!({"r2_bucket": ""}), None).await.status(), 200, "no bucket takes nothing along");
    assert_eq!(code(change(&json!({"r2_bucket": "pictures"}), None).await, 403).await, "password_needed", "not even the one of before");
}

/// Every route with a method, as the document has them; the document is made from the router.
async fn admin_routes(app: &TestApp) -> Vec<(Method, String)> {
    let document: Value = app.get("/admin/api/openapi.json").await.json().await.expect("JSON");
    let paths = document["paths"].as_object().expect("paths").clone();
    let methods = |(path, methods): (String, Value)| {
        let path = format!("/admin/api{path}");
        let methods: Vec<String> = methods.as_object().expect("methods").keys().map(|method| method.to_ascii_uppercase()).collect();
        methods.into_iter().map(move |method| (method.parse().expect("a method"), path.clone())).collect::<Vec<_>>()
    };
    paths.into_iter().flat_map(methods).collect()
}

/// The headers of an answer without what differs from run to run.
fn headers_of(response: &Response) -> String {
    let mut lines: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in response.headers() {
        let value = value.to_str().expect("text");
        let value = match name.as_str() {
            "date" | "content-length" | "transfer-encoding" => continue,
            "x-request-id" | "etag" | "last-modified" | "content-disposition" => "…".to_owned(),
            "set-cookie" => {
                let (name, rest) = value.split_once('=').expect("a cookie");
                let (_, flags) = rest.split_once(';').expect("flags");
                format!("{}-PORT=…;{flags}", name.rsplit_once('-').expect("a port").0)
            }
            _ => value.to_owned(),
        };
        // The same header twice is two lines.
        let known = lines.entry(name.to_string()).or_default();
        known.push(value);
        known.sort();
    }
    let lines = lines.into_iter().flat_map(|(name, values)| values.into_iter().map(move |value| (name.clone(), value)));
    lines.fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "    {name}: {value}");
        text
    })
}

#[tokio::test]
async fn every_route_has_the_headers_that_were_agreed() {
    let app = TestApp::demo().await;
    let ticket = app.gateway.setup_ticket().expect("a ticket").expose().to_owned();
    let account = json!({"ticket": ticket, "username": "admin", "password": "correct horse"});
    let own = |method: Method, path: &str| app.http.request(method, format!("{}{path}", app.url)).header("x-picgate", "1");
    let mut sets: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut note = |what: String, response: &Response| {
        sets.entry(headers_of(response)).or_default().push(format!("{what} {}", response.status().as_u16()));
    };
    let made = own(Method::POST, "/admin/api/session/setup").json(&account).send().await.expect("an answer");
    note("set-up: POST /admin/api/session/setup".into(), &made);
    let cookie = made.headers()[header::SET_COOKIE].to_str().expect("text").split(';').next().expect("a cookie").to_owned();
    let picture = own(Method::POST, "/admin/api/draw-test").header(header::COOKIE, &cookie).json(&json!({})).send().await;
    let picture: Value = picture.expect("an answer").json().await.expect("JSON");
    let id = picture["image"]["id"].as_str().expect("an id").to_owned();
    for (method, path) in admin_routes(&app).await {
        let there = path.replace("{id}", if path.contains("/images/") { &id } else { "1" });
        let outside = own(method.clone(), &there).json(&json!({})).send().await.expect("an answer");
        note(format!("outside: {method} {path}"), &outside);
        if method == Method::GET {
            let inside = own(method.clone(), &there).header(header::COOKIE, &cookie).send().await.expect("an answer");
            note(format!("inside: {method} {path}"), &inside);
        }
    }
    let key = format!("Bearer {}", app.key);
    for (method, path, authorized) in [
        (Method::GET, "/", false),
        (Method::GET, "/admin", false),
        (Method::GET, "/admin/gallery", false),
        (Method::GET, "/admin/ticket", false),
        (Method::GET, "/admin/assets/none.js", false),
        (Method::GET, "/health", false),
        (Method::GET, "/metrics", false),
        (Method::GET, "/metrics", true),
        (Method::GET, "/v1/models", false),
        (Method::GET, "/v1/models", true),
        (Method::POST, "/v1/chat/completions", true),
        (Method::POST, "/v1/images/generations", true),
        (Method::POST, "/v1/images/edits", true),
        (Method::GET, "/images/{id}", false),
        (Method::HEAD, "/images/{id}", false),
        (Method::OPTIONS, "/images/{id}", false),
        (Method::GET, "/images/{id}/thumbnail", false),
        (Method::GET, "/images/00000000-0000-4000-8000-000000000000", false),
        (Method::GET, "/nowhere", false),
        (Method::DELETE, "/health", false),
    ] {
        let mut request = app.http.request(method.clone(), format!("{}{}", app.url, path.replace("{id}", &id)));
        if authorized {
            request = request.header(header::AUTHORIZATION, &key).json(&json!({}));
        }
        let who = if authorized { "with the key" } else { "anybody" };
        note(format!("{who}: {method} {path}"), &request.send().await.expect("an answer"));
    }
    let out = own(Method::POST, "/admin/api/session/logout").header(header::COOKIE, &cookie).send().await.expect("an answer");
    note("inside: POST /admin/api/session/logout".into(), &out);
    let mut blocks: Vec<String> = sets
        .into_iter()
        .map(|(headers, mut routes)| {
            routes.sort();
            format!("{}\n{headers}", routes.join("\n"))
        })
        .collect();
    blocks.sort();
    let found = blocks.join("\n");
    if std::env::var_os("PICGATE_WRITE_HEADERS").is_some() {
        std::fs::write(SNAPSHOT, &found).expect("writes");
    }
    let agreed = std::fs::read_to_string(SNAPSHOT).expect("the snapshot");
    assert_eq!(found, agreed, "if this is meant, run this test with PICGATE_WRITE_HEADERS=1 and read the difference");
}

#[tokio::test]
async fn the_pages_run_only_scripts_that_came_with_them() {
    let app = TestApp::demo().await;
    let page = app.get("/admin").await;
    let policy = page.headers()[header::CONTENT_SECURITY_POLICY].to_str().expect("text").to_owned();
    let directive =
        |name: &str| policy.split(';').map(str::trim).find(|part| part.starts_with(&format!("{name} "))).unwrap_or_default().to_owned();
    assert_eq!(directive("script-src"), "script-src 'self'");
    assert_eq!(directive("object-src"), "object-src 'none'");
    assert_eq!(directive("frame-ancestors"), "frame-ancestors 'none'");
    assert!(!policy.contains("unsafe-eval") && !policy.contains("http:") && !policy.contains('*'), "{policy}");
    let html = page.text().await.expect("text");
    for script in html.split("<script").skip(1) {
        let (tag, rest) = script.split_once('>').expect("a tag");
        assert!(tag.contains("src=\"/admin/") && rest.trim_start().starts_with("</script>"), "an inline script: {tag}");
    }
    assert!(!html.contains(" onload=") && !html.contains("javascript:"), "{html}");
}

#[tokio::test]
async fn a_thousand_guesses_at_once_are_ten_hashes_at_most() {
    let app = TestApp::demo().await;
    drop(Admin::set_up(&app).await);
    let guess = |n: usize| {
        let body = json!({"username": "admin", "password": format!("guess {n}")});
        // Who is not a trusted proxy cannot pretend to be many.
        let request = app.http.post(format!("{}/admin/api/session/login", app.url)).header("x-picgate", "1");
        request.header("x-forwarded-for", format!("10.0.{}.{}", n / 250, n % 250)).json(&body).send()
    };
    let answers = futures_util::future::join_all((0..1000).map(guess)).await;
    let statuses: Vec<u16> = answers.into_iter().map(|answer| answer.expect("an answer").status().as_u16()).collect();
    let count = |status: u16| statuses.iter().filter(|found| **found == status).count();
    assert_eq!(count(401) + count(429), 1000, "{statuses:?}");
    assert!((1..=10).contains(&count(401)), "{} were hashed", count(401));
    // A picture needs no session, whoever guesses meanwhile.
    assert_eq!(app.send("/v1/images/generations", &json!({"prompt": "a cat"})).await.status(), 200);
}

#[tokio::test]
async fn who_guesses_behind_a_proxy_slows_down_nobody_else() {
    let app = TestApp::with(&[("PICGATE_UPSTREAM", "demo"), ("PICGATE_TRUSTED_PROXIES", "127.0.0.1")]).await;
    drop(Admin::set_up(&app).await);
    let log_in = async |hops: &str, password: &str| {
        let body = json!({"username": "admin", "password": password});
        let request = app.http.post(format!("{}/admin/api/session/login", app.url)).header("x-picgate", "1");
        request.header("x-forwarded-for", hops).json(&body).send().await.expect("an answer").status().as_u16()
    };
    for n in 0..5 {
        assert_eq!(log_in(&format!("10.0.0.{n}, 203.0.113.1"), "wrong").await, 401);
    }
    assert_eq!(log_in("10.0.0.9, 203.0.113.1", "wrong").await, 429, "what the client made up does not count");
    assert_eq!(log_in("203.0.113.2", "correct horse").await, 200);
}

#[tokio::test]
async fn strangers_who_guess_do_not_keep_out_who_is_signed_in() {
    let app = TestApp::with(&[("PICGATE_UPSTREAM", "demo"), ("PICGATE_TRUSTED_PROXIES", "127.0.0.1")]).await;
    let admin = Admin::set_up(&app).await;
    let mut statuses = Vec::new();
    for n in 0..12 {
        let body = json!({"username": "admin", "password": "wrong horse"});
        let request = app.http.post(format!("{}/admin/api/session/login", app.url)).header("x-picgate", "1");
        let answer = request.header("x-forwarded-for", format!("203.0.113.{n}")).json(&body).send().await.expect("an answer");
        statuses.push(answer.status().as_u16());
    }
    assert_eq!(statuses.last(), Some(&429), "{statuses:?}");
    let show = async |password: &str| {
        let request = admin.request(Method::POST, "gateway-key/show").json(&json!({"password": password}));
        request.send().await.expect("an answer").status().as_u16()
    };
    assert_eq!(show("correct horse").await, 200);
    for _ in 0..5 {
        assert_eq!(show("wrong horse").await, 401);
    }
    assert_eq!(show("correct horse").await, 429, "a borrowed session guesses no faster");
}

#[tokio::test]
async fn an_address_that_leads_elsewhere_never_sees_the_key() {
    let (app, stranger) = (TestApp::demo().await, FakeUpstream::start().await);
    let admin = Admin::set_up(&app).await;
    let base = stranger.base_url.trim_end_matches("/v1").to_owned();
    admin.send(Method::PATCH, "settings", &json!({"values": {"public_base_url": base}})).await;
    let checked = admin.send(Method::POST, "connect/check", &json!({"base_url": stranger.base_url})).await;
    assert_eq!(checked["ok"], false, "{checked}");
    admin.send(Method::POST, "doctor", &json!({})).await;
    let seen = stranger.requests();
    assert!(seen.len() >= 2, "{seen:?}");
    assert!(!format!("{seen:?}").contains(&app.key), "{seen:?}");
    // What it saw instead opens the list of models for half a minute, and nothing else.
    let pass = seen[0].header("authorization").to_owned();
    let with = async |method: Method, path: &str| {
        let request = app.http.request(method, format!("{}{path}", app.url)).header(header::AUTHORIZATION, &pass);
        request.json(&json!({"prompt": "a cat"})).send().await.expect("an answer").status().as_u16()
    };
    assert_eq!(with(Method::GET, "/v1/models").await, 200);
    for (method, path) in [
        (Method::POST, "/v1/models"),
        (Method::POST, "/v1/images/generations"),
        (Method::POST, "/v1/images/edits"),
        (Method::POST, "/v1/chat/completions"),
        (Method::GET, "/metrics"),
    ] {
        assert_eq!(with(method.clone(), path).await, 401, "{method} {path}");
    }
}

#[test]
fn no_admin_route_stays_out_of_the_document() {
    let source = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/http/admin/mod.rs")).expect("the source");
    let outside: Vec<&str> = source.lines().filter(|line| line.contains(".route(") || line.contains(".nest(")).map(str::trim).collect();
    assert_eq!(outside.len(), 1, "routes are added with routes!(), which describes them: {outside:?}");
}
