//! The log page's data: what was done and what was asked, together, findable, kept, and gone when a person says so.

use std::path::Path;

use reqwest::{Client, Method, RequestBuilder, header};
use serde_json::{Value, json};

use super::admin::Admin;
use crate::support::{
    FakeUpstream, Scripted, TestApp, eventually,
    process::{Process, finished},
};

/// A signed-in person in front of the real program, which keeps its log.
struct Person {
    http: Client,
    url: String,
    key: String,
    cookie: String,
}

const ACCOUNT: [(&str, &str); 2] = [("PICGATE_ADMIN_USERNAME", "admin"), ("PICGATE_ADMIN_PASSWORD", "correct horse")];

impl Person {
    async fn at(process: &Process, dir: &Path) -> Self {
        let http = crate::support::client();
        let body = json!({"username": "admin", "password": "correct horse"});
        let url = process.url.clone();
        let answer = http.post(format!("{url}/admin/api/session/login")).header("x-picgate", "1").json(&body).send().await;
        let set = answer.expect("an answer").headers()[header::SET_COOKIE].to_str().expect("text").to_owned();
        let key = finished(dir, &["key"], &[]).0.trim().to_owned();
        Self { http, url, key, cookie: set.split(';').next().expect("a cookie").to_owned() }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}/admin/api/{path}", self.url)).header("x-picgate", "1");
        request.header(header::COOKIE, &self.cookie)
    }

    async fn items(&self, path: &str) -> Vec<Value> {
        let answer = self.request(Method::GET, path).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{path}");
        answer.json::<Value>().await.expect("JSON")["items"].as_array().expect("a list").clone()
    }

    async fn draw(&self, prompt: &str) -> String {
        let body = json!({"prompt": prompt, "model": "picgate"});
        let answer = self.http.post(format!("{}/v1/images/generations", self.url)).bearer_auth(&self.key).json(&body).send().await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.status(), 200);
        answer.headers()["x-request-id"].to_str().expect("text").to_owned()
    }
}

#[tokio::test]
async fn lines_and_record_of_a_request_carry_its_id_and_survive_a_restart() {
    let dir = tempfile::tempdir().expect("a folder");
    let process = Process::start(dir.path(), &ACCOUNT);
    let person = Person::at(&process, dir.path()).await;
    let id = person.draw("一只在雨里的猫").await;
    let lines = eventually("the lines", async || {
        let lines = person.items(&format!("logs?request={id}")).await;
        lines.iter().any(|line| line["fields"]["event"] == "saved").then_some(lines)
    })
    .await;
    assert!(lines.iter().all(|line| line["request"] == json!(id)), "{lines:?}");
    assert!(!json!(lines).to_string().contains("雨里"), "prompts are in the record and not in the lines");
    let records = eventually("the record", async || {
        let records = person.items(&format!("activity?request={id}")).await;
        (records.len() == 1).then_some(records)
    })
    .await;
    assert_eq!(
        (&records[0]["prompt"], &records[0]["request"], &records[0]["outcome"]),
        (&json!("一只在雨里的猫"), &json!(id), &json!("ok"))
    );
    assert_eq!(records[0]["images"].as_array().expect("a list").len(), 1);
    process.terminate();
    drop(process);
    let process = Process::start(dir.path(), &ACCOUNT);
    let person = Person::at(&process, dir.path()).await;
    assert_eq!(person.items(&format!("activity?request={id}")).await.len(), 1);
    assert!(person.items(&format!("logs?request={id}")).await.iter().any(|line| line["fields"]["event"] == "saved"));
    let starts = eventually("the second start", async || {
        let starts = person.items("logs?q=PicGate%20is%20ready").await;
        (starts.len() == 2).then_some(starts)
    })
    .await;
    assert!(starts[0]["seq"].as_i64() > starts[1]["seq"].as_i64(), "newest first, and numbers go on after a restart");
}

#[tokio::test]
async fn what_is_searched_is_found_in_lines_and_records() {
    let dir = tempfile::tempdir().expect("a folder");
    let process = Process::start(dir.path(), &ACCOUNT);
    let person = Person::at(&process, dir.path()).await;
    person.draw("雪山日出").await;
    person.draw("a harbour in fog").await;
    eventually("both records", async || (person.items("activity").await.len() == 2).then_some(())).await;
    let prompts = async |query: &str| -> Vec<String> {
        let found = person.items(&format!("activity?{query}")).await;
        found.iter().map(|record| record["prompt"].as_str().expect("text").to_owned()).collect()
    };
    assert_eq!(prompts("q=%E6%97%A5%E5%87%BA").await, ["雪山日出"]);
    assert_eq!(prompts("q=HARBOUR").await, ["a harbour in fog"]);
    assert!(prompts("q=%25").await.is_empty(), "no wild cards");
    assert!(prompts("level=error").await.is_empty());
    assert_eq!(prompts("limit=1").await, ["a harbour in fog"]);
    // The UI tells events in its own words: it asks for them by name beside the words of the line.
    let saved = eventually("lines of saved pictures", async || {
        let lines = person.items("logs?q=nothing-says-this&events=saved,none").await;
        (lines.len() == 2).then_some(lines)
    })
    .await;
    assert!(saved.iter().all(|line| line["fields"]["event"] == "saved"));
    assert!(person.items("logs?q=nothing-says-this").await.is_empty());
    for bad in ["logs?level=loud", "activity?level=loud", &format!("activity?q={}", "x".repeat(201))] {
        let answer = person.request(Method::GET, bad).send().await.expect("an answer");
        assert!(answer.status().is_client_error(), "{bad}");
    }
}

#[tokio::test]
async fn an_export_holds_prompts_only_if_they_are_asked_for() {
    let dir = tempfile::tempdir().expect("a folder");
    let process = Process::start(dir.path(), &ACCOUNT);
    let person = Person::at(&process, dir.path()).await;
    let id = person.draw("the secret garden").await;
    eventually("the record", async || (!person.items("activity").await.is_empty()).then_some(())).await;
    eventually("the line", async || (!person.items(&format!("logs?request={id}")).await.is_empty()).then_some(())).await;
    let export = async |query: &str| {
        let answer = person.request(Method::GET, &format!("logs/export{query}")).send().await.expect("an answer");
        assert!(answer.headers()["content-disposition"].to_str().expect("text").starts_with("attachment"));
        answer.text().await.expect("text")
    };
    let bare = export("").await;
    assert!(bare.contains(&id) && bare.contains("PicGate is ready") && !bare.contains("secret garden"), "{bare}");
    let whole = export(&format!("?records=true&request={id}")).await;
    assert!(whole.contains("secret garden") && whole.lines().all(|line| line.contains(&id)), "{whole}");
    let times: Vec<&str> = whole.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(times.is_sorted(), "the oldest first: {times:?}");
}

#[tokio::test]
async fn a_cleared_log_forgets_what_was_asked_and_keeps_figures_and_pictures() {
    let upstream = FakeUpstream::start().await;
    let app = TestApp::over(&upstream).await;
    let admin = Admin::set_up(&app).await;
    super::admin::draw(&app, &upstream, "a fox", 1, 30).await;
    upstream.answers(Scripted::json(&json!({"error": {"message": "no"}})).status(400));
    assert_ne!(app.send("/v1/images/generations", &json!({"prompt": "a wolf"})).await.status(), 200);
    let failed = eventually("the failure", async || {
        let failed = admin.get("activity?level=error").await;
        (failed["items"].as_array().expect("a list").len() == 1).then_some(failed)
    })
    .await;
    assert_eq!(failed["items"][0]["prompt"], "a wolf");
    let mut stream = admin.request(Method::GET, "events").send().await.expect("an answer");
    assert_eq!(admin.request(Method::DELETE, "logs").send().await.expect("an answer").status(), 204);
    let mut told = String::new();
    while !told.contains("event: log_cleared") {
        told.push_str(&String::from_utf8_lossy(&stream.chunk().await.expect("goes on").expect("bytes")));
    }
    assert_eq!(admin.get("activity?level=debug").await["items"], json!([]));
    assert_eq!(admin.get("logs?level=debug").await["items"], json!([]));
    let stats = admin.get("stats").await;
    assert_eq!((&stats["days"][0]["ok"], &stats["days"][0]["failed"], &stats["images"]["total"]), (&json!(1), &json!(1), &json!(1)));
    assert_eq!(admin.get("images").await["items"][0]["prompt"], "a fox", "a picture keeps its own prompt");
}

#[tokio::test]
async fn background_tasks_are_shown_only_to_who_wants_everything() {
    let app = TestApp::demo().await;
    let admin = Admin::set_up(&app).await;
    let task = json!({"model": "picgate", "stream": false, "messages": [{"role": "user", "content": "### Task:\nGenerate a concise, 3-5 word title with an emoji summarizing the chat history.\n### Chat History:\n<chat_history>\nUSER: a cat\n</chat_history>"}]});
    let answer = app.post("/v1/chat/completions").header("x-openwebui-task", "title_generation").json(&task).send().await;
    assert_eq!(answer.expect("an answer").status(), 200);
    let all = eventually("the task", async || {
        let all = admin.get("activity?level=debug").await["items"].as_array().expect("a list").clone();
        (!all.is_empty()).then_some(all)
    })
    .await;
    assert_eq!((&all[0]["kind"], &all[0]["notes"]["task"]), (&json!("task"), &json!("title")));
    assert_eq!(admin.get("activity").await["items"], json!([]));
}
