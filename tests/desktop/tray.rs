//! The tray: it registers, tells what is going on, and does what is chosen.

use crate::{
    desk::{Desk, Gateway, KEY},
    eventually, eventually_or,
};

#[tokio::test]
async fn the_menu_tells_port_and_drawings_and_what_can_be_done() {
    let Some(desk) = Desk::new() else { return };
    let app = desk.start(&["--hidden"]);
    let gateway = app.gateway().await;
    let texts: Vec<_> = app.menu().await.into_iter().map(|line| line.text).collect();
    assert_eq!(texts[0], format!("Port {} · 0 today · idle", gateway.port));
    let rest = [
        "Dashboard",
        "Settings",
        "Cache",
        "Gallery",
        "Logs",
        "Copy base URL",
        "Copy API key",
        "Copy link of the last picture",
        "Pause the gateway",
        "Start at login",
        "Open data folder",
        "About PicGate",
        "Quit",
    ];
    assert_eq!(texts[1..], rest);
    assert!(desk.windows("PicGate").is_empty(), "a hidden start opens no window");

    let (status, answer) = gateway.draw("a cat").await;
    assert_eq!(status, 200, "{answer}");
    app.menu_when(|status| status.contains("1 today")).await;
}

#[tokio::test]
async fn pausing_makes_the_gateway_answer_503_until_it_goes_on() {
    let Some(desk) = Desk::new() else { return };
    let app = desk.start(&["--hidden"]);
    let gateway = app.gateway().await;
    let idle = desk.bus.icon();
    app.choose("Pause the gateway").await;
    app.menu_when(|status| status.starts_with("Paused")).await;
    assert_ne!(desk.bus.icon(), idle, "the icon changes");
    let (status, answer) = gateway.draw("a cat").await;
    assert_eq!((status, answer["error"]["code"].as_str()), (503, Some("gateway_paused")), "{answer}");
    assert!(gateway.is_up().await);

    app.choose("Resume the gateway").await;
    app.menu().await;
    assert_eq!(gateway.draw("a cat").await.0, 200);
}

#[tokio::test]
async fn what_a_client_needs_is_copied() {
    let Some(desk) = Desk::new() else { return };
    let app = desk.start(&["--hidden"]);
    let gateway = app.gateway().await;
    let copied = async |line: &str, wanted: &str| {
        app.choose(line).await;
        eventually(&format!("'{wanted}' on the clipboard after '{line}'"), async || (desk.clipboard() == wanted).then_some(())).await;
    };
    copied("Copy base URL", &format!("http://localhost:{}/v1", gateway.port)).await;
    copied("Copy API key", KEY).await;
    let (_, answer) = gateway.draw("a cat").await;
    let link = answer["data"][0]["url"].as_str().expect("a link").replace("127.0.0.1", "localhost");
    copied("Copy link of the last picture", &link).await;
}

#[tokio::test]
async fn the_menu_follows_the_language_while_it_runs() {
    let Some(desk) = Desk::new() else { return };
    let desk = desk.in_chinese();
    let app = desk.start(&["--hidden"]);
    let gateway = app.gateway().await;
    assert_eq!(app.menu().await[1].text, "仪表盘");
    gateway.set(serde_json::json!({ "language": "en" })).await;
    app.menu_when(|status| status.starts_with("Port")).await;
    assert_eq!(app.menu().await[1].text, "Dashboard");
}

#[tokio::test]
async fn start_at_login_is_what_the_system_says() {
    let Some(desk) = Desk::new() else { return };
    let desk = desk.with_program_in("Pic Gate");
    let app = desk.start(&["--hidden"]);
    let entry = desk.dir.path().join("home/.config/autostart/PicGate.desktop");
    let checked = async |wanted: bool| {
        eventually(&format!("a check mark: {wanted}"), async || {
            desk.bus.menu()?.iter().any(|line| line.text == "Start at login" && line.checked == Some(wanted)).then_some(())
        })
        .await;
    };
    app.menu().await;
    checked(false).await;

    app.choose("Start at login").await;
    checked(true).await;
    let text = std::fs::read_to_string(&entry).expect("the entry");
    // Quoted, because the path has a space; silent, because nobody asked for a window.
    let exec = format!("Exec=\"{}\" --hidden", desk.program().display());
    assert!(text.lines().any(|line| line == exec), "{text}");

    app.choose("Start at login").await;
    checked(false).await;
    assert!(!entry.exists());
}

#[tokio::test]
async fn the_data_folder_opens_in_the_file_manager() {
    let Some(desk) = Desk::new() else { return };
    let app = desk.start(&["--hidden"]);
    app.menu().await;
    app.choose("Open data folder").await;
    let wanted = desk.dir.path().join("data").display().to_string();
    eventually("the folder", async || desk.opened().contains(&wanted).then_some(())).await;
}

#[tokio::test]
async fn quitting_ends_the_gateway_and_leaves_no_process() {
    let Some(desk) = Desk::new() else { return };
    let mut app = desk.start(&["--open", "gallery"]);
    let gateway = app.gateway().await;
    desk.window("Gallery – PicGate").await;
    let count = desk.processes().len();
    assert!(count > 1, "a window has processes of its own: {count}");
    app.choose("Quit").await;
    assert_eq!(app.ended().await, 0, "{}", desk.log());
    assert!(!gateway.is_up().await);
    desk.no_processes().await;
}

#[tokio::test]
async fn quitting_while_something_is_drawn_asks_first() {
    let Some(desk) = Desk::new() else { return };
    let upstream = std::net::TcpListener::bind("127.0.0.1:0").expect("listens");
    let desk = desk.with_silent_upstream(&upstream);
    let mut app = desk.start(&["--hidden"]);
    let gateway = app.gateway().await;
    let drawing = tokio::spawn(async move { gateway.try_to_draw("a cat").await });
    app.menu_when(|status| status.contains("1 running")).await;

    app.choose_for("Quit", "Quit PicGate").await;
    desk.close("Quit PicGate").await;
    assert!(app.is_running(), "closing the question means no");
    app.menu_when(|status| status.contains("1 running")).await;

    app.choose_for("Quit", "Quit PicGate").await;
    desk.answer("Quit PicGate", &["Return"]).await;
    app.menu_when(|status| status == "Quits after 1 running drawing").await;

    app.choose_for("Quit", "Quit PicGate").await;
    desk.answer("Quit PicGate", &["Tab", "Return"]).await;
    assert_eq!(app.ended().await, 0, "{}", desk.log());
    drawing.await.expect("runs");
}

#[tokio::test]
async fn the_systems_order_to_end_is_followed() {
    let Some(desk) = Desk::new() else { return };
    let mut app = desk.start(&["--hidden"]);
    app.menu().await;
    app.terminate();
    assert_eq!(app.ended().await, 0, "{}", desk.log());
}

#[tokio::test]
async fn the_order_to_end_waits_for_drawings_and_a_second_one_for_nothing() {
    let Some(desk) = Desk::new() else { return };
    let upstream = std::net::TcpListener::bind("127.0.0.1:0").expect("listens");
    let desk = desk.with_silent_upstream(&upstream);
    let mut app = desk.start(&["--hidden"]);
    let gateway = app.gateway().await;
    let drawing = tokio::spawn(async move { gateway.try_to_draw("a cat").await });
    app.menu_when(|status| status.contains("1 running")).await;

    app.terminate();
    let menu = app.menu_when(|status| status == "Ending…").await;
    assert!(!menu.iter().any(|line| line.text == "Gallery" && line.enabled), "{menu:?}");
    // Somebody who starts it meanwhile gets no gateway that dies in a moment.
    let again = desk.command(desk.program()).args(desk.arguments(&["--open", "logs"])).status().expect("runs");
    assert_eq!(again.code(), Some(0));
    let refused = async || desk.log().contains("no gateway starts").then_some(());
    eventually_or(|| format!("a word in the log; {}", desk.state()), refused).await;

    let began = std::time::Instant::now();
    app.terminate();
    assert_eq!(app.ended().await, 1, "{}", desk.log());
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    drawing.await.expect("runs");
}

/// Far less than the gateway waits for drawings, and far more than a process needs to end.
const AT_ONCE: std::time::Duration = std::time::Duration::from_secs(10);

#[tokio::test]
async fn a_second_start_brings_the_first_to_the_front() {
    let Some(desk) = Desk::new() else { return };
    let mut app = desk.start(&["--hidden"]);
    let gateway = app.gateway().await;
    let second = async |arguments: &[&str]| {
        let mut command = desk.command(desk.program());
        let status = command.args(desk.arguments(arguments)).status().expect("runs");
        assert_eq!(status.code(), Some(0));
    };
    second(&["--hidden"]).await;
    assert!(desk.windows("PicGate").is_empty());
    second(&[]).await;
    desk.window("Dashboard – PicGate").await;
    second(&["--open", "logs"]).await;
    desk.window("Logs – PicGate").await;
    assert!(app.is_running());
    assert!(Gateway::at(gateway.port).is_up().await);
}
