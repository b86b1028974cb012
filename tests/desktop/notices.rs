//! Notifications: of what happened while nobody looked.

use serde_json::json;

use crate::{bus::Notification, desk::Desk, eventually_or, until};

#[tokio::test]
async fn a_finished_drawing_is_told_and_a_click_opens_it() {
    let Some(desk) = Desk::new() else { return };
    let app = desk.start(&["--hidden"]);
    let gateway = app.gateway().await;
    assert_eq!(gateway.draw("a cat & a <dog>").await.0, 200);
    let shown = first(&desk).await;
    assert_eq!(shown.title, "Your picture is ready");
    assert_eq!(shown.body, "a cat &amp; a &lt;dog&gt;");
    assert!(shown.actions.contains(&"default".to_owned()));
    click(&desk, shown.id, "Gallery – PicGate").await;
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
    let shown = first(&desk).await;
    assert_eq!(shown.body, "a dog", "the first one was not told");
}

/// Clicks as a person does, again if nothing comes of it: the app listens for clicks a moment after it has told.
async fn click(desk: &Desk, notification: u32, title: &str) {
    let what = || format!("a window '{title}'; {}", desk.state());
    until(what, async || desk.bus.click(notification), async || desk.windows(title).first().cloned()).await;
}

/// The first notification.
async fn first(desk: &Desk) -> Notification {
    eventually_or(|| format!("a notification; {}", desk.state()), async || desk.bus.notifications().first().cloned()).await
}

/// An address where nobody listens.
const NOBODY: &str = "http://127.0.0.1:9";

#[tokio::test]
async fn a_failed_drawing_is_told_and_a_click_opens_the_logs() {
    let Some(desk) = Desk::new() else { return };
    let desk =
        desk.with_variable("PICGATE_UPSTREAM_BASE_URL", &format!("{NOBODY}/v1")).with_variable("PICGATE_UPSTREAM_API_KEY", "sk-nobody");
    let app = desk.start(&["--hidden"]);
    let gateway = app.gateway().await;
    assert_eq!(gateway.draw("a cat in vain").await.0, 502);
    let shown = first(&desk).await;
    assert_eq!(shown.title, "A drawing failed");
    assert!(shown.body.contains("a cat in vain"), "{}", shown.body);
    click(&desk, shown.id, "Logs – PicGate").await;
}

#[tokio::test]
async fn a_bucket_that_cannot_be_reached_is_told() {
    let Some(desk) = Desk::new() else { return };
    let mut desk = desk.with_variable("PICGATE_S3_ENDPOINT", NOBODY).with_variable("PICGATE_R2_BUCKET", "pictures");
    for name in ["PICGATE_R2_ACCESS_KEY_ID", "PICGATE_R2_SECRET_ACCESS_KEY"] {
        desk = desk.with_variable(name, "nobody");
    }
    let app = desk.start(&["--hidden"]);
    let gateway = app.gateway().await;
    gateway.set(json!({ "notify_finished": "false" })).await;
    assert_eq!(gateway.draw("a cat").await.0, 200);
    let shown = first(&desk).await;
    assert_eq!(shown.title, "The bucket cannot be reached");
    click(&desk, shown.id, "Cache – PicGate").await;
}

#[tokio::test]
async fn a_disk_that_is_nearly_full_is_told() {
    let Some(desk) = Desk::new().and_then(Desk::on_a_full_disk) else { return };
    let app = desk.start(&["--hidden"]);
    app.menu().await;
    let shown = first(&desk).await;
    assert_eq!(shown.title, "The disk is nearly full");
    click(&desk, shown.id, "Cache – PicGate").await;
}
