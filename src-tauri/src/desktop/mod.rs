//! The desktop app: a tray icon, windows, and the gateway inside. It adds no behaviour of the gateway's; it shows what the
//! gateway says and hands on what the user wants.

mod autostart;
mod begin;
mod clipboard;
mod dialogs;
mod guard;
mod host;
mod icons;
mod keychain;
mod menu;
mod notices;
mod outside;
mod platform;
mod quit;
mod shell;
mod tongue;
mod tray;
mod trouble;
mod updates;
mod watch;
mod windows;
mod words;

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use picgate_gateway::{
    cli::{self, AppStart},
    shell::Page,
};
use tauri::{AppHandle, Manager, RunEvent, WindowEvent};
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    begin::try_again,
    clipboard::Clipboard,
    dialogs::Question,
    host::Host,
    menu::{Command, Condition, View},
    notices::{Notice, Notices},
    platform::Panel,
    tongue::Tongue,
    tray::Tray,
    words::Language,
};

/// The shortest time between two looks of the tray, however much happens.
const CALM: Duration = Duration::from_millis(150);

/// Everything that the app keeps while it runs.
pub struct Desktop {
    host: Host,
    clipboard: Clipboard,
    notices: Notices,
    tongue: OnceLock<Tongue>,
    tray: OnceLock<Tray>,
    /// Something shows tray icons.
    has_tray: AtomicBool,
    panel: Mutex<Panel>,
    changed: Notify,
    /// Held while the gateway starts, and while the user is asked about it.
    starting: tokio::sync::Mutex<()>,
    /// Held while the user is asked whether to quit.
    asking: tokio::sync::Mutex<()>,
    ending: AtomicBool,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Desktop {
    /// The language that the app speaks now: that of the pages, else what is set, else this computer's.
    fn language(&self) -> Language {
        if let Some(read) = self.tongue.get().and_then(Tongue::get) {
            return read;
        }
        self.host.handle().map_or_else(Language::of_system, |handle| Language::of_setting(handle.settings().speech))
    }

    /// Runs `task` until it ends or the app does.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        let task = async move {
            let _ = stop.run_until_cancelled(task).await;
        };
        self.tasks.spawn_on(task, tauri::async_runtime::handle().inner());
    }

    /// What the tray shows.
    async fn view(&self, app: &AppHandle) -> View {
        let autostart = autostart::is_on(app).unwrap_or(false);
        let handle = self.host.handle();
        let mut view = View { language: self.language(), condition: self.host.condition(), autostart, ..View::default() };
        if let Some(handle) = handle {
            let figures = handle.figures().await.unwrap_or_default();
            view.port = handle.address().port();
            view.paused = handle.is_paused();
            view.today = figures.today;
            view.running = figures.running;
            view.has_link = handle.latest_link().await.ok().flatten().is_some();
        }
        view
    }
}

/// Shows anew what is going on, soon.
fn refresh(app: &AppHandle) {
    app.state::<Desktop>().changed.notify_one();
}

/// The pages are read in this language.
fn pages_speak(app: &AppHandle, language: Language) {
    if app.state::<Desktop>().tongue.get().is_some_and(|tongue| tongue.set(Some(language))) {
        // Not from here: this is the event loop, and renaming a window waits for it.
        let renaming = app.clone();
        app.state::<Desktop>().spawn(async move { windows::rename(&renaming, language) });
        refresh(app);
    }
}

/// Runs the app.
pub fn run(start: AppStart) -> ExitCode {
    report_panics();
    if let Err(missing) = platform::check_display() {
        return complain(&missing);
    }
    // The toolkit panics where a display is named that does not answer.
    let app = match caught(|| build(start)) {
        Some(Ok(app)) => app,
        Some(Err(error)) => return complain(&format!("the app cannot start: {error}")),
        None => return complain("the display does not answer"),
    };
    app.run(on_event);
    ExitCode::SUCCESS
}

fn complain(text: &str) -> ExitCode {
    use std::io::Write;
    // Nobody reads: nothing to be done.
    let _ = writeln!(std::io::stderr(), "picgate: {text}\n  remedy: `picgate serve` runs the gateway without a desktop");
    ExitCode::FAILURE
}

thread_local! {
    /// A panic is expected in this thread, and what it means is said by who expects it.
    static EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// Does what panics instead of failing where something of the system is missing; `None` where it did.
fn caught<T>(doing: impl FnOnce() -> T) -> Option<T> {
    EXPECTED.set(true);
    let done = catch_unwind(AssertUnwindSafe(doing));
    EXPECTED.set(false);
    done.ok()
}

/// A panic ends its task or thread and is a line in the log, which people see who have no terminal.
fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let text = panic.payload_as_str().unwrap_or("no words");
        if EXPECTED.get() {
            tracing::debug!(place, "expected: {text}");
        } else {
            tracing::error!(place, "a part of the program failed: {text}");
        }
    }));
}

fn build(start: AppStart) -> tauri::Result<tauri::App> {
    let AppStart { config, lines, hidden, open } = start;
    for note in &config.notes {
        tracing::warn!("{note}");
    }
    let desktop = Desktop {
        host: Host::new(config, lines),
        clipboard: Clipboard::default(),
        notices: Notices::default(),
        tongue: OnceLock::new(),
        tray: OnceLock::new(),
        has_tray: AtomicBool::new(true),
        panel: Mutex::default(),
        changed: Notify::new(),
        starting: tokio::sync::Mutex::default(),
        asking: tokio::sync::Mutex::default(),
        ending: AtomicBool::new(false),
        stop: CancellationToken::new(),
        tasks: TaskTracker::new(),
    };
    let context = tauri::generate_context!();
    let updates = updates::plugin(context.config());
    let builder = tauri::Builder::default()
        // First, so that a second start has done nothing yet when it finds the first.
        .plugin(tauri_plugin_single_instance::init(|app, arguments, _| started_again(app, &arguments)))
        .plugin(tauri_plugin_autostart::Builder::new().arg(platform::HIDDEN).build())
        .plugin(tauri_plugin_dialog::init())
        .plugin(tauri_plugin_window_state::Builder::new().with_state_flags(windows::REMEMBERED).build());
    let builder = match updates {
        Some(updates) => builder.plugin(updates),
        None => builder,
    };
    builder
        .manage(desktop)
        .setup(move |toolkit| {
            let app = toolkit.handle().clone();
            let desktop = app.state::<Desktop>();
            desktop.tongue.get_or_init(|| Tongue::remembered(app.path().app_config_dir().ok()));
            platform::settle(toolkit, desktop.language().words().quit, Command::Quit.word());
            let view = View { language: desktop.language(), ..View::default() };
            let tray = Tray::put_up(&app, &view, chosen);
            let has_icon = tray.is_ok();
            match tray {
                Ok(tray) => {
                    let _ = desktop.tray.set(tray);
                }
                Err(error) => tracing::warn!(%error, "there is no tray icon"),
            }
            desktop.has_tray.store(has_icon, Ordering::Relaxed);
            desktop.spawn(keep_tray_true(app.clone()));
            desktop.spawn(follow_panel(app.clone()));
            desktop.spawn(watch::look(app.clone()));
            desktop.spawn(follow_tray_host(app.clone(), has_icon));
            // Not one of the tasks that the end waits for: it hurries the end.
            tauri::async_runtime::spawn(end_when_told(app.clone()));
            desktop.spawn(updates::look(app.clone()));
            desktop.spawn(begin::begin(app.clone(), open, hidden));
            Ok(())
        })
        .build(context)
}

async fn keep_tray_true(app: AppHandle) {
    let desktop = app.state::<Desktop>();
    loop {
        desktop.changed.notified().await;
        let view = desktop.view(&app).await;
        let panel = *desktop.panel.lock().unwrap_or_else(PoisonError::into_inner);
        let showing = app.clone();
        // It waits for the event loop, and where there is one worker nothing else would go on meanwhile.
        let shown = tauri::async_runtime::spawn_blocking(move || {
            if let Some(tray) = showing.state::<Desktop>().tray.get() {
                tray.show(&showing, &view, panel);
            }
        });
        if let Err(error) = shown.await {
            tracing::debug!(%error, "the tray was not drawn");
        }
        tokio::time::sleep(CALM).await;
    }
}

async fn follow_panel(app: AppHandle) {
    platform::follow_panel(|panel| {
        *app.state::<Desktop>().panel.lock().unwrap_or_else(PoisonError::into_inner) = panel;
        refresh(&app);
    })
    .await;
}

async fn follow_tray_host(app: AppHandle, has_icon: bool) {
    platform::follow_tray_host(|shows| app.state::<Desktop>().has_tray.store(shows && has_icon, Ordering::Relaxed)).await;
}

/// The first order ends the app in good order, the second at once.
async fn end_when_told(app: AppHandle) {
    let mut is_ending = false;
    platform::follow_orders(|| {
        if is_ending {
            quit::at_once();
        }
        is_ending = true;
        tauri::async_runtime::spawn(quit::told(app.clone()));
    })
    .await;
}

/// A second start of the program found this one.
fn started_again(app: &AppHandle, arguments: &[String]) {
    let asked = cli::asked(arguments).unwrap_or_default();
    if let Some(page) = asked.open.or((!asked.hidden).then_some(Page::Dashboard)) {
        windows::open(app, page, None);
    }
}

/// A line of the menu was chosen. Comes back at once.
fn chosen(app: &AppHandle, command: Command) {
    let app = app.clone();
    let desktop = app.state::<Desktop>();
    if command == Command::Quit {
        // Not one of the tasks that the end waits for: it is the end.
        tauri::async_runtime::spawn(quit::asked(app.clone()));
        return;
    }
    let doing = app.clone();
    desktop.spawn(async move {
        let what = command.word();
        if let Err(error) = perform(&doing, command).await {
            tracing::warn!(what, %error, "what was chosen did not work");
            let desktop = doing.state::<Desktop>();
            let title = desktop.language().words().not_done.to_owned();
            desktop.notices.show(&doing, Notice { title, body: error, page: Page::Logs, rest: None });
        }
        refresh(&doing);
    });
}

async fn perform(app: &AppHandle, command: Command) -> Result<(), String> {
    let desktop = app.state::<Desktop>();
    let handle = desktop.host.handle();
    match (command, handle) {
        (Command::Open(page), _) => windows::open(app, page, None),
        (Command::Autostart, _) => autostart::set(app, !autostart::is_on(app)?)?,
        (Command::OpenData, _) => outside::open_folder(&desktop.host.config().data_dir)?,
        (Command::Again, Some(_)) if desktop.host.condition() == Condition::Silent => app.request_restart(),
        (Command::Again, None) => try_again(app),
        (Command::CopyUrl, Some(handle)) => desktop.clipboard.copy(&handle.base_url())?,
        (Command::CopyKey, Some(handle)) => desktop.clipboard.copy_secret(handle.key().expose())?,
        (Command::CopyLink, Some(handle)) => {
            if let Some(link) = handle.latest_link().await.map_err(|error| error.to_string())? {
                desktop.clipboard.copy(&link)?;
            }
        }
        (Command::Pause, Some(handle)) => handle.pause(!handle.is_paused()),
        _ => {}
    }
    Ok(())
}

fn on_event(app: &AppHandle, event: RunEvent) {
    let desktop = app.state::<Desktop>();
    match event {
        // The last window was closed: the app lives in the tray.
        RunEvent::ExitRequested { code: None, api, .. } => api.prevent_exit(),
        RunEvent::WindowEvent { event: WindowEvent::Destroyed, .. } => {
            if desktop.ending.load(Ordering::Relaxed) {
                return;
            }
            windows::remember(app);
            if app.webview_windows().is_empty() && !desktop.has_tray.load(Ordering::Relaxed) {
                desktop.spawn(ask_whether_to_go_on(app.clone()));
            }
        }
        RunEvent::Exit => quit::last(&desktop),
        event if platform::is_reopening(&event) => windows::open(app, Page::Dashboard, None),
        _ => {}
    }
}

/// The last window is gone and there is no tray: the program would be running where nobody sees it.
async fn ask_whether_to_go_on(app: AppHandle) {
    let words = app.state::<Desktop>().language().words();
    let question = Question { title: "PicGate", text: words.no_tray_close, is_error: false, answers: &[words.quit, words.keep_running] };
    if question.ask(&app).await == 0 {
        tauri::async_runtime::spawn(quit::asked(app));
    }
}
