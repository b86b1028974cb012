//! The admin as tests use it: a signed-in browser, and what it does again and again.

use reqwest::{Method, RequestBuilder, Response, header};
use serde_json::{Value, json};

use super::{
    FakeBucket, FakeUpstream, Scripted, TestApp, eventually,
    pictures::{self, base64},
};

/// A signed-in browser.
pub struct Admin<'a> {
    pub app: &'a TestApp,
    pub cookie: String,
}

impl<'a> Admin<'a> {
    /// Makes the account and signs in.
    pub async fn set_up(app: &'a TestApp) -> Self {
        let ticket = app.gateway.setup_ticket().expect("a ticket").expose().to_owned();
        let body = json!({"ticket": ticket, "username": "admin", "password": "correct horse"});
        let response = anonymous(app, Method::POST, "session/setup").json(&body).send().await.expect("an answer");
        assert_eq!(response.status(), 200, "{:?}", response.text().await);
        Self { app, cookie: cookie(&response) }
    }

    /// Who has just signed in.
    pub fn signed_in(app: &'a TestApp, response: &Response) -> Self {
        Self { app, cookie: cookie(response) }
    }

    /// The same session after a restart on another port; cookies are named by ports.
    pub fn again(app: &'a TestApp, cookie: &str) -> Self {
        let (_, token) = cookie.split_once('=').expect("a cookie");
        Self { app, cookie: format!("picgate-{}={token}", app.gateway.address().port()) }
    }

    /// Sessions end when the clock goes on; this one begins anew.
    pub async fn stays_signed_in(&self) {
        let now = picgate_gateway::model::now();
        let sql = "update sessions set seen_at = ?1, created_at = ?1";
        self.app.gateway.library().db().write(move |t| t.execute(sql, [now])).await.expect("writes");
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        anonymous(self.app, method, path).header(header::COOKIE, &self.cookie)
    }

    pub async fn get(&self, path: &str) -> Value {
        let response = self.request(Method::GET, path).send().await.expect("an answer");
        assert_eq!(response.status(), 200, "{path}: {:?}", response.text().await);
        response.json().await.expect("JSON")
    }

    pub async fn send(&self, method: Method, path: &str, body: &Value) -> Value {
        let response = self.request(method, path).json(body).send().await.expect("an answer");
        assert_eq!(response.status(), 200, "{path}: {:?}", response.text().await);
        response.json().await.expect("JSON")
    }
}

pub fn anonymous(app: &TestApp, method: Method, path: &str) -> RequestBuilder {
    app.http.request(method, format!("{}/admin/api/{path}", app.url)).header("x-picgate", "1")
}

pub fn cookie(response: &Response) -> String {
    let set = response.headers()[header::SET_COOKIE].to_str().expect("text");
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Strict"), "{set}");
    set.split(';').next().expect("a cookie").to_owned()
}

pub async fn code(response: Response, status: u16) -> String {
    assert_eq!(response.status(), status, "{:?}", response.text().await);
    let body: Value = response.json().await.expect("JSON");
    body["error"]["code"].as_str().expect("a code").to_owned()
}

pub async fn draw(app: &TestApp, upstream: &FakeUpstream, prompt: &str, seed: u32, side: u32) -> String {
    upstream.answers(Scripted::json(&json!({"data": [{"b64_json": base64(&pictures::png(seed, side))}]})));
    let answer: Value =
        app.send("/v1/images/generations", &json!({"prompt": prompt, "model": "picgate"})).await.json().await.expect("JSON");
    answer["data"][0]["url"].as_str().expect("a link").rsplit('/').next().expect("an id").to_owned()
}

/// A gateway over an upstream and a bucket.
pub async fn app_with(upstream: &FakeUpstream, bucket: &FakeBucket, further: &[(&str, &str)]) -> TestApp {
    let variables = bucket.variables();
    let mut all: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    all.push(("PICGATE_PROGRESS_STYLE", "quiet"));
    all.extend(further);
    TestApp::over_with(upstream, "up-model", &all).await
}

/// The image as the gallery shows it.
pub async fn listed(admin: &Admin<'_>, id: &str) -> Value {
    admin.get(&format!("images/{id}")).await
}

/// Waits until the copy of an image is `state`.
pub async fn until_cloud(admin: &Admin<'_>, id: &str, state: &str) {
    eventually(&format!("{id} to be {state}"), async || (listed(admin, id).await["cloud"] == state).then_some(())).await;
}

/// Runs a job to its end.
pub async fn run_job(admin: &Admin<'_>, body: &Value) -> Value {
    // One of its kind may run already, begun by the program itself.
    let job: Value = eventually("the job to begin", async || {
        let response = admin.request(Method::POST, "jobs").json(body).send().await.expect("an answer");
        match response.status().as_u16() {
            200 => Some(response.json().await.expect("JSON")),
            409 => None,
            status => panic!("{status}: {:?}", response.text().await),
        }
    })
    .await;
    let id = job["id"].as_str().expect("an id").to_owned();
    eventually("the job", async || {
        let jobs = admin.get("jobs").await;
        let job = jobs["items"].as_array()?.iter().find(|job| job["id"] == id.as_str())?.clone();
        (job["state"] != "running").then_some(job)
    })
    .await
}

/// Waits until the bucket is `state`; the whole page then.
pub async fn until_bucket(admin: &Admin<'_>, state: &str) -> Value {
    eventually(&format!("the bucket to be {state}"), async || {
        let cache = admin.get("cache").await;
        (cache["bucket"]["state"] == state).then_some(cache)
    })
    .await
}
