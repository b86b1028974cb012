//! The windows: each shows its page with live data and without a login, stays with it, and frees its memory when it closes.

use serde_json::json;

use crate::{
    desk::{Desk, Gateway},
    driver::Window,
    eventually, eventually_or, until,
};

/// Opens the page's window, looks whether it is signed in and live, and then for `wanted` once something was drawn.
async fn shows(page: &str, heading: &str, wanted: &str) {
    let Some(desk) = Desk::new() else { return };
    let window = Window::open(&desk, &["--open", page]).await;
    window.gives(&format!("return document.querySelector('h1')?.innerText === '{heading}'")).await;
    let path = window.run("return location.pathname").await;
    assert_eq!(path, format!("/admin/{page}"));
    window.gives("return document.querySelector('main input[type=password][autocomplete=current-password]') === null").await;
    assert_eq!(window.run("return document.cookie").await, "", "the page cannot read its session");
    assert_eq!(window.run("return window.innerWidth > 700").await, true, "the window has its size");
    // The frame says so once the page hears of everything that happens.
    window.gives("return document.querySelector('header')?.innerHTML.includes('Live')").await;

    let status =
        eventually("the tray", async || Some(desk.bus.menu()?.first()?.text.clone()).filter(|text| text.starts_with("Port "))).await;
    let port = status.split(' ').nth(1).and_then(|port| port.parse().ok()).expect("a port");
    let (status, answer) = Gateway::at(port).draw("a very special cat").await;
    assert_eq!(status, 200, "{answer}");
    let link = answer["data"][0]["url"].as_str().expect("a link");
    let id = link.rsplit('/').next().expect("an id").split('.').next().expect("an id");
    window.gives(&wanted.replace("{id}", id)).await;
    window.close().await;
}

#[tokio::test]
async fn the_dashboard_shows_what_is_drawn() {
    shows("dashboard", "Dashboard", "return document.querySelector('img[src*=\"{id}\"]') !== null").await;
}

#[tokio::test]
async fn the_gallery_shows_what_is_drawn() {
    shows("gallery", "Gallery", "return document.querySelector('img[src*=\"{id}\"]') !== null").await;
}

#[tokio::test]
async fn the_settings_show_what_is_set() {
    shows("settings", "Settings", "return document.body.innerText.includes('just now')").await;
}

// What these two show is tested in a browser; here it counts that they open and are live.
#[tokio::test]
async fn the_logs_open_and_are_live() {
    shows("logs", "Logs", "return true").await;
}

#[tokio::test]
async fn the_cache_opens_and_is_live() {
    shows("cache", "Cache", "return true").await;
}

#[tokio::test]
async fn a_page_has_one_window_and_closing_it_frees_its_processes() {
    let Some(desk) = Desk::new() else { return };
    let mut app = desk.start(&["--hidden"]);
    app.menu().await;
    let web_views = || desk.processes().iter().filter(|(_, name)| name.starts_with("WebKitWebProces")).count();
    for title in ["Settings", "Logs", "Settings"] {
        app.choose(title).await;
        desk.window(&format!("{title} – PicGate")).await;
    }
    assert_eq!(desk.windows(" – PicGate").len(), 2);
    for title in ["Settings", "Logs"] {
        desk.close(&format!("{title} – PicGate")).await;
    }
    eventually_or(|| format!("the end of the web views; {}", desk.state()), async || (web_views() == 0).then_some(())).await;
    assert!(app.is_running(), "the app lives in the tray");
    app.choose("Settings").await;
    desk.window("Settings – PicGate").await;
}

#[tokio::test]
async fn titles_follow_the_language() {
    let Some(desk) = Desk::new() else { return };
    let app = desk.start(&["--open", "logs"]);
    let gateway = app.gateway().await;
    desk.window("Logs – PicGate").await;
    gateway.set(json!({ "language": "zh" })).await;
    desk.window("日志 – PicGate").await;
}

#[tokio::test]
async fn a_window_comes_back_where_it_was_left() {
    let Some(desk) = Desk::new() else { return };
    let app = desk.start(&["--hidden"]);
    app.menu().await;
    app.choose("Logs").await;
    let window = desk.window("Logs – PicGate").await;
    let is_there = |window: &str| {
        let geometry = desk.xdotool(&["getwindowgeometry", window]);
        geometry.contains("123,45") && geometry.contains("700x500")
    };
    let moving = async || {
        desk.xdotool(&["windowsize", &window, "700", "500"]);
        desk.xdotool(&["windowmove", &window, "123", "45"]);
    };
    until(|| format!("a window that moves; {}", desk.state()), moving, async || is_there(&window).then_some(())).await;
    desk.close("Logs – PicGate").await;
    app.choose("Logs").await;
    let window = desk.window("Logs – PicGate").await;
    eventually_or(|| format!("the old place; {}", desk.state()), async || is_there(&window).then_some(())).await;
}

#[tokio::test]
async fn other_places_open_in_the_browser_and_the_window_stays() {
    let Some(desk) = Desk::new() else { return };
    let window = Window::open(&desk, &["--open", "logs"]).await;
    eventually("the page", async || window.address().await.starts_with("/admin/logs").then_some(())).await;
    let opened = async |address: &str| {
        window.run(&format!("location.href = '{address}'")).await;
        eventually(&format!("'{address}' in the browser"), async || desk.opened().contains(&address.to_owned()).then_some(())).await;
        assert!(window.address().await.starts_with("/admin/logs"));
    };
    opened("https://github.com/open-webui/open-webui").await;
    let home = window.run("return location.origin").await;
    let home = home.as_str().expect("an origin");
    opened(&format!("{home}/images/0b1c")).await;
    // Begins like our own address and leads elsewhere.
    opened(&format!("{home}@evil.example/admin")).await;

    window.run("location.href = 'file:///etc/passwd'").await;
    window.click_link_to("https://example.com/new", "_blank").await;
    eventually("a new window in the browser", async || desk.opened().iter().any(|url| url == "https://example.com/new").then_some(()))
        .await;
    // Another page of ours is another window.
    window.click_link_to("/admin/cache", "_blank").await;
    desk.window("Cache – PicGate").await;
    assert!(window.address().await.starts_with("/admin/logs"));
    assert!(!desk.opened().iter().any(|url| url.starts_with("file:")), "{:?}", desk.opened());
    window.close().await;
}

#[tokio::test]
async fn a_page_can_call_nothing_of_the_app() {
    let Some(desk) = Desk::new() else { return };
    let window = Window::open(&desk, &["--open", "logs"]).await;
    eventually("the page", async || window.address().await.starts_with("/admin/logs").then_some(())).await;
    assert_eq!(window.run("return typeof window.__TAURI__").await, "undefined");
    let calls = ["plugin:autostart|enable", "plugin:window|close", "plugin:dialog|message", "plugin:event|listen"];
    for call in calls {
        window
            .run(&format!(
                "window.said = null; window.__TAURI_INTERNALS__.invoke('{call}', {{}}).then(() => window.said = 'done', e => window.said = 'refused: ' + e)"
            ))
            .await;
        let said = eventually(call, async || window.run("return window.said").await.as_str().map(str::to_owned)).await;
        assert!(said.starts_with("refused"), "{call}: {said}");
    }
    window.close().await;
}

#[tokio::test]
async fn the_first_start_leads_to_the_set_up() {
    let Some(desk) = Desk::new() else { return };
    let desk = desk.unused();
    let window = Window::open(&desk, &[]).await;
    eventually("the set-up", async || window.address().await.starts_with("/admin/setup").then_some(())).await;
    window.close().await;
}
