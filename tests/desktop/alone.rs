//! Without a desktop: the program says what is missing, and its commands need none.

use std::process::Stdio;

use crate::{
    desk::{Desk, Ending, Gateway, KEY},
    eventually,
};

#[tokio::test]
async fn without_a_display_it_says_so_and_what_to_do() {
    let Some(desk) = Desk::new() else { return };
    for display in [None, Some(":4711")] {
        let mut command = desk.command(desk.program());
        command.args(desk.arguments(&[])).env_remove("DISPLAY");
        if let Some(display) = display {
            command.env("DISPLAY", display);
        }
        let output = command.output().expect("runs");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("display") && text.contains("picgate serve"), "{text}");
        assert!(!text.contains("panicked"), "{text}");
    }
}

#[tokio::test]
async fn serve_needs_no_display() {
    let Some(desk) = Desk::new() else { return };
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    let arguments = desk.arguments(&["serve", "--port", &port.to_string()]);
    let mut command = desk.command(desk.program());
    command.args(arguments).env_remove("DISPLAY").stdout(Stdio::null()).stderr(Stdio::null());
    let _serving = Ending(command.spawn().expect("starts"));
    let gateway = Gateway::at(port);
    eventually("the gateway", async || gateway.is_up().await.then_some(())).await;
    assert!(!desk.bus.has_icon());

    let output = desk.command(desk.program()).args(["key", "--data-dir", "unused"]).output().expect("runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), KEY);
}
