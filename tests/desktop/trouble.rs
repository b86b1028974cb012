//! What stands in the way of a start is said, and there is a way on.

use std::net::TcpListener;

use crate::{
    desk::{Desk, Gateway},
    eventually_or,
};

#[tokio::test]
async fn a_taken_port_is_named_and_another_one_is_offered() {
    let Some(desk) = Desk::new() else { return };
    let holder = TcpListener::bind("127.0.0.1:0").expect("listens");
    let port = holder.local_addr().expect("an address").port();
    let app = desk.start(&["--hidden", "--port", &port.to_string()]);
    desk.window("PicGate cannot start").await;
    let menu = app.menu_when(|status| status == "The gateway did not start").await;
    assert!(!menu.iter().any(|line| line.text == "Gallery" && line.enabled));
    // The first answer takes the free port.
    desk.answer("PicGate cannot start", &["Return"]).await;
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
    desk.close("PicGate cannot start").await;
    drop(holder);
    app.choose_for("Try again…", "Dashboard – PicGate").await;
    let gateway = app.gateway().await;
    assert_eq!(gateway.port, port);
    assert!(Gateway::at(port).is_up().await);
}

#[tokio::test]
async fn without_a_tray_the_dashboard_opens_and_says_so() {
    let Some(desk) = Desk::without_tray() else { return };
    let mut app = desk.start(&[]);
    desk.window("Dashboard – PicGate").await;
    let shown = eventually_or(|| format!("a word about it; {}", desk.state()), async || desk.bus.notifications().first().cloned()).await;
    assert!(shown.body.contains("no tray"), "{shown:?}");
    // Closing the last window would leave a program that nobody sees, so it asks.
    desk.close("Dashboard – PicGate").await;
    desk.close("^PicGate$").await;
    assert!(app.is_running());
}
