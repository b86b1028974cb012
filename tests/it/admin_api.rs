//! The admin API's description: the UI is written against a copy of it, which must be the one that the server makes.

use std::{fs, path::PathBuf};

use serde_json::Value;

use crate::support::TestApp;

/// Set to `1`, it makes the copy anew instead of comparing it.
const WRITE: &str = "PICGATE_WRITE_API";

async fn described() -> Value {
    let app = TestApp::demo().await;
    let answer = app.http.get(format!("{}/admin/api/openapi.json", app.url)).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    answer.json().await.expect("JSON")
}

#[tokio::test]
async fn the_copy_that_the_ui_is_written_against_is_the_servers_own() {
    let copy = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../ui/openapi.json");
    let made = described().await;
    if std::env::var(WRITE).is_ok_and(|value| value == "1") {
        let text = serde_json::to_string_pretty(&made).expect("JSON");
        fs::write(&copy, text + "\n").expect("the copy is written");
    }
    let kept: Value = serde_json::from_slice(&fs::read(&copy).expect("a copy")).expect("JSON");
    assert!(kept == made, "ui/openapi.json is not what the server describes: run `make api` and commit what changes");
}

#[tokio::test]
async fn every_operation_says_how_it_answers_and_how_it_fails() {
    let document = described().await;
    assert_eq!(document["servers"][0]["url"], "/admin/api");
    let schemas = &document["components"]["schemas"];
    let mut seen = 0;
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let responses = operation["responses"].as_object().expect("responses");
            assert!(responses.keys().any(|status| status.starts_with('2')), "{method} {path}");
            let error = responses["default"]["content"]["application/json"]["schema"]["$ref"].as_str();
            assert_eq!(error, Some("#/components/schemas/ErrorBody"), "{method} {path}");
            seen += 1;
        }
    }
    assert!(seen >= 30, "{seen} operations");
    // Words are unions and not just text; what may be missing is null and not absent.
    assert_eq!(schemas["JobState"]["enum"], serde_json::json!(["running", "done", "failed", "cancelled"]));
    let required = schemas["Image"]["required"].as_array().expect("a list");
    assert!(required.iter().any(|name| name == "prompt"), "{required:?}");
    // What is sent to the server may leave members out.
    assert!(schemas["NewJob"]["required"].as_array().is_some_and(|names| names == &["kind"]), "{:?}", schemas["NewJob"]);
}
