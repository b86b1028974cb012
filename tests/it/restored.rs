//! Settings and upstreams that come with an archive: what the admin's page would refuse does not come along, and what decides
//! who is reached, where pictures go and what is removed is named.

use crate::{
    backup::{archive, entries, run, small_backup, text, with_database},
    support::{TestApp, admin::Admin},
};

#[tokio::test]
async fn settings_of_an_archive_are_checked_as_the_admins_page_does_and_dangerous_ones_are_named() {
    let work = tempfile::tempdir().unwrap();
    let (file, _) = small_backup(work.path(), &[]).await;
    let parts = entries(&std::fs::read(&file).unwrap());
    let copy = work.path().join("copy.sqlite3");
    std::fs::write(&copy, &parts.iter().find(|entry| entry.name == "store/picgate.sqlite3").unwrap().bytes).unwrap();
    let crafted = "insert into settings (key, value, changed_at) values
            ('history_images', '9999', 1), ('keep_uploads', 'Yes', 1), ('no_such_thing', 'x', 1), ('gateway_model', 'mine', 1),
            ('r2_secret_access_key', 'canary', 1), ('public_base_url', 'https://phish.example.com/', 1),
            ('allowed_hosts', 'phish.example.com' || char(10) || 'b' || char(27) || '[2J', 1), ('evict_last_copy', 'true', 1);
        insert into settings (key, value, changed_at) values ('intent_words', hex(zeroblob(100000)), 1);
        insert into upstreams (name, kind, base_url, model, created_at) values
            ('good', 'openai', 'https://api.example.com/v1', 'm', 1), ('bad', 'openai', 'file:///etc/passwd', 'm', 1),
            ('sly', 'openai', 'https://user:pw@example.com', 'm', 1);";
    rusqlite::Connection::open(&copy).unwrap().execute_batch(crafted).unwrap();
    let path = work.path().join("crafted.tar");
    std::fs::write(&path, archive(&with_database(&parts, std::fs::read(&copy).unwrap()))).unwrap();

    let target = tempfile::tempdir().unwrap();
    let (said, errors, code) = run(target.path(), &["restore", text(&path)], &[]).await;
    assert_eq!(code, 0, "{said} {errors}");
    for left_out in [
        "history_images: ",
        "no_such_thing: ",
        "r2_secret_access_key: ",
        "allowed_hosts: ",
        "1 settings: ",
        "upstream bad: ",
        "upstream sly: ",
    ] {
        assert!(errors.contains(&format!("left out: {left_out}")), "{left_out} in {errors}");
    }
    for named in ["public_base_url = https://phish.example.com", "evict_last_copy = true", "upstream good = https://api.example.com/v1"] {
        assert!(said.contains(named), "{named} in {said}");
    }
    assert!(!said.contains("gateway_model") && !said.contains("keep_uploads"), "only what matters: {said}");
    assert!(!said.contains('\u{1b}') && !errors.contains('\u{1b}'), "nothing of it steers a terminal");

    let restored = TestApp::in_folder(target, &[]).await;
    let admin = Admin::set_up(&restored).await;
    let settings = admin.get("settings").await;
    let of = |key: &str| settings["items"].as_array().unwrap().iter().find(|item| item["key"] == key).unwrap()["value"].clone();
    assert_eq!((of("history_images").as_str(), of("gateway_model").as_str()), (Some("8"), Some("mine")));
    let upstreams = admin.get("upstreams").await;
    let names: Vec<&str> = upstreams["items"].as_array().unwrap().iter().filter_map(|item| item["name"].as_str()).collect();
    assert_eq!(names, ["good"]);
    let dir = restored.stop().await;
    let database = rusqlite::Connection::open(dir.path().join("store/picgate.sqlite3")).unwrap();
    let mut statement = database.prepare("select key from settings order by key").unwrap();
    let kept: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(kept, ["evict_last_copy", "gateway_model", "keep_uploads", "public_base_url"]);
}
