//! What a desktop has on its session bus: something that shows tray icons, and something that shows notifications. Both
//! remember what they are told, and the tray's menu can be read and chosen from.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use zbus::{
    blocking::{Connection, Proxy, connection},
    interface,
    message::Header,
    object_server::SignalEmitter,
    zvariant::{OwnedObjectPath, OwnedValue, Value},
};

/// A line of the tray's menu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub id: i32,
    pub text: String,
    pub enabled: bool,
    pub checked: Option<bool>,
}

/// A notification as it came.
#[derive(Clone, Debug)]
pub struct Notification {
    pub id: u32,
    pub title: String,
    pub body: String,
    pub actions: Vec<String>,
}

struct Watcher {
    items: Arc<Mutex<Vec<(String, String)>>>,
}

#[interface(name = "org.kde.StatusNotifierWatcher")]
impl Watcher {
    fn register_status_notifier_item(&self, service: String, #[zbus(header)] header: Header<'_>) {
        let sender = header.sender().map(ToString::to_string).unwrap_or_default();
        let item = if service.starts_with('/') { (sender, service) } else { (service, "/StatusNotifierItem".into()) };
        self.items.lock().expect("nobody panicked").push(item);
    }

    fn register_status_notifier_host(&self, _service: String) {}

    #[zbus(property)]
    fn is_status_notifier_host_registered(&self) -> bool {
        true
    }

    #[zbus(property)]
    fn protocol_version(&self) -> i32 {
        0
    }

    #[zbus(property)]
    fn registered_status_notifier_items(&self) -> Vec<String> {
        self.items.lock().expect("nobody panicked").iter().map(|(name, path)| format!("{name}{path}")).collect()
    }
}

#[derive(Default)]
struct Shown(Arc<Mutex<Vec<Notification>>>);

#[interface(name = "org.freedesktop.Notifications")]
impl Shown {
    #[allow(clippy::too_many_arguments, reason = "as the specification has it")]
    fn notify(
        &self,
        _app: String,
        _replaces: u32,
        _icon: String,
        title: String,
        body: String,
        actions: Vec<String>,
        _hints: HashMap<String, OwnedValue>,
        _timeout: i32,
    ) -> u32 {
        let mut shown = self.0.lock().expect("nobody panicked");
        let id = shown.len() as u32 + 1;
        shown.push(Notification { id, title, body, actions });
        id
    }

    fn close_notification(&self, _id: u32) {}

    fn get_capabilities(&self) -> Vec<String> {
        vec!["actions".into(), "body".into()]
    }

    fn get_server_information(&self) -> (String, String, String, String) {
        ("test".into(), "test".into(), "1".into(), "1.2".into())
    }

    #[zbus(signal)]
    async fn action_invoked(emitter: &SignalEmitter<'_>, id: u32, action: &str) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn notification_closed(emitter: &SignalEmitter<'_>, id: u32, reason: u32) -> zbus::Result<()>;
}

pub struct Bus {
    connection: Connection,
    items: Arc<Mutex<Vec<(String, String)>>>,
    notifications: Arc<Mutex<Vec<Notification>>>,
}

const NOTIFICATIONS: &str = "/org/freedesktop/Notifications";

/// How long an app may take to answer; one that hangs is a failure with words, and not a test that never ends.
const ANSWER: Duration = Duration::from_secs(10);

impl Bus {
    pub fn start(address: &str, tray: bool) -> Self {
        let (items, shown) = (Arc::<Mutex<Vec<_>>>::default(), Shown::default());
        let notifications = shown.0.clone();
        let build = || {
            let builder = connection::Builder::address(address)?.method_timeout(ANSWER);
            let builder = builder.serve_at(NOTIFICATIONS, shown)?.name("org.freedesktop.Notifications")?;
            if !tray {
                return builder.build();
            }
            let watcher = Watcher { items: items.clone() };
            builder.serve_at("/StatusNotifierWatcher", watcher)?.name("org.kde.StatusNotifierWatcher")?.build()
        };
        let connection = build().expect("the bus takes us");
        Self { connection, items, notifications }
    }

    /// Whether a tray icon has registered.
    pub fn has_icon(&self) -> bool {
        !self.items.lock().expect("nobody panicked").is_empty()
    }

    fn item(&self) -> Option<Proxy<'static>> {
        let (name, path) = self.items.lock().expect("nobody panicked").last().cloned()?;
        Proxy::new(&self.connection, name, path, "org.kde.StatusNotifierItem").ok()
    }

    fn menu_of_item(&self) -> Option<Proxy<'static>> {
        let item = self.item()?;
        let path: OwnedObjectPath = item.get_property("Menu").ok()?;
        Proxy::new(&self.connection, item.destination().to_owned(), path, "com.canonical.dbusmenu").ok()
    }

    /// The path of the picture that the icon shows now.
    pub fn icon(&self) -> Option<String> {
        self.item()?.get_property("IconName").ok()
    }

    /// The tray's menu as a panel reads it, without its rules.
    pub fn menu(&self) -> Option<Vec<Line>> {
        type Layout = (u32, (i32, HashMap<String, OwnedValue>, Vec<OwnedValue>));
        let menu = self.menu_of_item()?;
        let (_, (_, _, children)): Layout = menu.call("GetLayout", &(0, -1, Vec::<String>::new())).ok()?;
        Some(children.into_iter().filter_map(line).collect())
    }

    /// Chooses the line that says `text`; whether there is one.
    pub fn choose(&self, text: &str) -> bool {
        let Some(line) = self.menu().unwrap_or_default().into_iter().find(|line| line.text == text && line.enabled) else { return false };
        let Some(menu) = self.menu_of_item() else { return false };
        menu.call::<_, _, ()>("Event", &(line.id, "clicked", Value::from(""), 0_u32)).is_ok()
    }

    /// What was shown so far.
    pub fn notifications(&self) -> Vec<Notification> {
        self.notifications.lock().expect("nobody panicked").clone()
    }

    /// The user clicks a notification.
    pub fn click(&self, id: u32) {
        let path = NOTIFICATIONS;
        let server = "org.freedesktop.Notifications";
        self.connection.emit_signal(None::<&str>, path, server, "ActionInvoked", &(id, "default")).expect("is told");
        self.connection.emit_signal(None::<&str>, path, server, "NotificationClosed", &(id, 2_u32)).expect("is told");
    }
}

/// A line, unless it is a rule.
fn line(value: OwnedValue) -> Option<Line> {
    let value: Value<'_> = value.into();
    let Value::Structure(parts) = value else { return None };
    let [Value::I32(id), Value::Dict(properties), _] = parts.fields() else { return None };
    let id = *id;
    let properties: HashMap<String, OwnedValue> = properties.try_clone().ok()?.try_into().ok()?;
    let property = |name: &str| properties.get(name).and_then(|value| value.try_clone().ok());
    let text = property("label").and_then(|value| String::try_from(value).ok())?;
    let enabled = property("enabled").and_then(|value| bool::try_from(value).ok()).unwrap_or(true);
    let checked = property("toggle-type").and(property("toggle-state")).and_then(|value| i32::try_from(value).ok()).map(|state| state == 1);
    // An underscore marks a key; two are one.
    Some(Line { id, text: text.replace("__", "\u{1}").replace('_', "").replace('\u{1}', "_"), enabled, checked })
}
