//! What stands in the way of a start is said, and there is a way on.

use std::net::TcpListener;

use crate::{
    desk::{Desk, Gateway},
    eventually,
};

#[tokio::test]
async fn a_taken_port_is_named_and_another_one_is_offered() {
    let Some(desk) = Desk::new() else { return };
    let holder = TcpListener::bind("127.0.0.1:0").expect("listens");
    let port = holder.local_addr().expect("an address").port();
    let app = desk.start(&["--hidden", "--port", &port.to_string()]);
    let dialog = desk.window("PicGate cannot start").await;
    let menu = app.menu_when(|status| status == "The gateway did not start").await;
    assert!(!menu.iter().any(|line| line.text == "Gallery" && line.enabled));
    // The first answer takes the free port.
    desk.xdotool(&["windowfocus", "--sync", &dialog]);
    eventually("another port", async || {
        desk.xdotool(&["key", "--window", &dialog, "Return"]);
        desk.bus.menu()?.first()?.text.starts_with("Port ").then_some(())
    })
    .await;
    let other = app.gateway().await;
    assert_ne!(other.port, port);
    assert!(other.is_up().await);
}

#[tokio::test]
async fn a_port_that_is_free_again_is_taken_at_the_second_try() {
    let Some(desk) = Desk::new() else { return };
    let holder = TcpListener::bind("127.0.0.1:0").expect("listens");
    let port = holder.local_addr().expect("an address").port();
    let app = desk.start(&["--hidden", "--port", &port.to_string()]);
    let dialog = desk.window("PicGate cannot start").await;
    desk.close(&dialog);
    drop(holder);
    app.choose("Try again…").await;
    let gateway = app.gateway().await;
    assert_eq!(gateway.port, port);
    assert!(Gateway::at(port).is_up().await);
    desk.window("Dashboard – PicGate").await;
}

#[tokio::test]
async fn without_a_tray_the_dashboard_opens_and_says_so() {
    let Some(desk) = Desk::without_tray() else { return };
    let mut app = desk.start(&[]);
    let window = desk.window("Dashboard – PicGate").await;
    let shown = eventually("a word about it", async || desk.bus.notifications().first().cloned()).await;
    assert!(shown.body.contains("no tray"), "{shown:?}");
    // Closing the last window would leave a program that nobody sees, so it asks.
    desk.close(&window);
    desk.no_window("Dashboard – PicGate").await;
    let question = desk.window("^PicGate$").await;
    desk.close(&question);
    desk.no_window("^PicGate$").await;
    assert!(app.is_running());
}
