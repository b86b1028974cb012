//! Notifications: of what happened while nobody looked.

use serde_json::json;

use crate::{desk::Desk, eventually};

#[tokio::test]
async fn a_finished_drawing_is_told_and_a_click_opens_it() {
    let Some(desk) = Desk::new() else { return };
    let app = desk.start(&["--hidden"]);
    let gateway = app.gateway().await;
    assert_eq!(gateway.draw("a cat & a <dog>").await.0, 200);
    let shown = eventually("a notification", async || desk.bus.notifications().first().cloned()).await;
    assert_eq!(shown.title, "Your picture is ready");
    assert_eq!(shown.body, "a cat &amp; a &lt;dog&gt;");
    assert!(shown.actions.contains(&"default".to_owned()));
    desk.bus.click(shown.id);
    desk.window("Gallery – PicGate").await;
}

#[tokio::test]
async fn a_notification_can_be_switched_off() {
    let Some(desk) = Desk::new() else { return };
    let app = desk.start(&["--hidden"]);
    let gateway = app.gateway().await;
    gateway.set(json!({ "notify_finished": "false" })).await;
    assert_eq!(gateway.draw("a cat").await.0, 200);
    app.menu_when(|status| status.contains("1 today")).await;
    gateway.set(json!({ "notify_finished": "true" })).await;
    assert_eq!(gateway.draw("a dog").await.0, 200);
    let shown = eventually("a notification", async || desk.bus.notifications().first().cloned()).await;
    assert_eq!(shown.body, "a dog", "the first one was not told");
}
