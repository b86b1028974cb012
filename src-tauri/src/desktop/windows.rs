//! The pages' windows: one for each, opened or brought to the front. They show the gateway's own pages over HTTP and may
//! call nothing of the app: no capability names them. Closing one ends its web view and frees its memory.

use std::{path::PathBuf, sync::OnceLock, time::Duration};

use picgate_gateway::{server::Handle, shell::Page};
use tauri::{
    AppHandle, Manager, Url, WebviewUrl, WebviewWindow, WebviewWindowBuilder,
    webview::{DownloadEvent, NewWindowResponse, PageLoadEvent},
};
use tauri_plugin_window_state::{AppHandleExt, StateFlags};
use tokio::sync::Mutex;

use super::{
    Desktop,
    guard::{Way, page_of, way},
    outside,
    words::Language,
};

/// What is remembered of a window.
pub const REMEMBERED: StateFlags = StateFlags::SIZE.union(StateFlags::POSITION).union(StateFlags::MAXIMIZED);

/// How long a window stays hidden that does not load: then it shows what it has.
const LOADING: Duration = Duration::from_secs(3);

/// Files of one name that a download steps aside for.
const SAME_NAME_MAX: u32 = 1000;

/// Smallest window, in logical pixels: what the pages are laid out for.
const SMALLEST: (f64, f64) = (380.0, 420.0);

fn size(page: Page) -> (f64, f64) {
    match page {
        Page::Dashboard => (1120.0, 780.0),
        Page::Settings => (980.0, 760.0),
        Page::Cache => (900.0, 700.0),
        Page::Gallery => (1200.0, 820.0),
        Page::Logs => (1080.0, 720.0),
        Page::About => (560.0, 600.0),
    }
}

/// Opens the page's window, or brings it to the front; it goes to `rest` if there is one. Comes back at once: a window that is
/// built inside a handler of the event loop would wait for that loop.
pub fn open(app: &AppHandle, page: Page, rest: Option<String>) {
    let opening = app.clone();
    app.state::<Desktop>().spawn(async move {
        if let Err(error) = open_now(&opening, page, rest.as_deref()).await {
            tracing::error!(page = page.word(), %error, "the window does not open");
        }
    });
}

/// One window opens at a time, so that two orders for the same page make one window.
fn turn() -> &'static Mutex<()> {
    static TURN: OnceLock<Mutex<()>> = OnceLock::new();
    TURN.get_or_init(Mutex::default)
}

async fn open_now(app: &AppHandle, page: Page, rest: Option<&str>) -> Result<(), String> {
    let _turn = turn().lock().await;
    let desktop = app.state::<Desktop>();
    let Some(handle) = desktop.host.handle() else {
        super::try_again(app);
        return Ok(());
    };
    if let Some(window) = app.get_webview_window(page.word()) {
        if rest.is_some() {
            let address = address(&handle, page, rest).await?;
            window.navigate(address).map_err(|error| error.to_string())?;
        }
        return bring_to_front(&window).map_err(|error| error.to_string());
    }
    let address = address(&handle, page, rest).await?;
    let began = std::time::Instant::now();
    let window = build(app, &desktop, page, address).map_err(|error| error.to_string())?;
    tracing::debug!(page = page.word(), ms = began.elapsed().as_millis() as u64, "window");
    // A page that never finishes loading must not leave an invisible window.
    desktop.spawn(async move {
        tokio::time::sleep(LOADING).await;
        let _ = window.show();
    });
    Ok(())
}

async fn address(handle: &Handle, page: Page, rest: Option<&str>) -> Result<Url, String> {
    let address = handle.local_page(page, rest).await.map_err(|error| error.to_string())?;
    address.parse().map_err(|error| format!("{error}"))
}

fn bring_to_front(window: &WebviewWindow) -> tauri::Result<()> {
    window.unminimize()?;
    window.show()?;
    window.set_focus()
}

fn build(app: &AppHandle, desktop: &Desktop, page: Page, address: Url) -> tauri::Result<WebviewWindow> {
    let (width, height) = size(page);
    let (home, linked) = (address.clone(), address.clone());
    let opener = app.clone();
    WebviewWindowBuilder::new(app, page.word(), WebviewUrl::External(address))
        .title(desktop.language().title(page))
        .inner_size(width, height)
        .min_inner_size(SMALLEST.0, SMALLEST.1)
        .prevent_overflow()
        // Shown when there is something to see, so that nothing flashes.
        .visible(false)
        .initialization_script(with_a_language(desktop.language()))
        .enable_clipboard_access()
        .disable_drag_drop_handler()
        .on_navigation(move |to| match way(&home, to) {
            Way::Here => true,
            Way::Browser => {
                browse(to);
                false
            }
            Way::Nowhere => false,
        })
        .on_new_window(move |to, _| {
            match (page_of(&linked, &to), way(&linked, &to)) {
                (Some((page, rest)), _) => open(&opener, page, rest),
                (None, Way::Here | Way::Browser) => browse(&to),
                (None, Way::Nowhere) => {}
            }
            NewWindowResponse::Deny
        })
        .on_document_title_changed(move |window, title| {
            if let Some(language) = Language::of_title(page, &title) {
                super::pages_speak(window.app_handle(), language);
            }
        })
        .on_page_load(|window, load| {
            if load.event() == PageLoadEvent::Finished && !window.is_visible().unwrap_or(true) {
                let _ = bring_to_front(&window);
            }
        })
        .on_download(|webview, event| {
            if let DownloadEvent::Requested { destination, .. } = event {
                let Ok(folder) = webview.path().download_dir() else { return false };
                *destination = free_name(&folder.join(destination.file_name().unwrap_or("picgate".as_ref())));
            }
            true
        })
        .build()
}

/// On a computer whose locale is `C`, WebKit tells pages that their language is `C`, and whatever formats numbers by that fails
/// (a plot on the dashboard did); where the locale is named and not installed it tells English. There the page is told the
/// language of the app.
fn with_a_language(language: Language) -> String {
    let tag = language.tag();
    format!(
        "try {{
            new Intl.NumberFormat(navigator.language);
            if (navigator.language.slice(0, 2) !== '{tag}'.slice(0, 2)) throw new Error();
        }} catch {{
            Object.defineProperty(navigator, 'language', {{ get: () => '{tag}' }});
            Object.defineProperty(navigator, 'languages', {{ get: () => ['{tag}'] }});
        }}"
    )
}

fn browse(to: &Url) {
    if let Err(error) = outside::open_address(to.as_str()) {
        tracing::warn!(%error, "the browser does not open");
    }
}

/// `path`, or with a number behind its name what is not taken yet.
fn free_name(path: &std::path::Path) -> PathBuf {
    let name = |n: u32| {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let extension = path.extension().map(|extension| format!(".{}", extension.to_string_lossy())).unwrap_or_default();
        path.with_file_name(format!("{stem} ({n}){extension}"))
    };
    std::iter::once(path.to_owned()).chain((1..SAME_NAME_MAX).map(name)).find(|path| !path.exists()).unwrap_or_else(|| path.to_owned())
}

/// Gives all windows their titles in another language.
pub fn rename(app: &AppHandle, language: Language) {
    for (label, window) in app.webview_windows() {
        if let Ok(page) = label.parse() {
            let _ = window.set_title(&language.title(page));
        }
    }
}

/// Closes all windows, and remembers where they were.
pub fn close_all(app: &AppHandle) {
    remember(app);
    for window in app.webview_windows().values() {
        if let Err(error) = window.destroy() {
            tracing::debug!(%error, "a window does not close");
        }
    }
}

/// Writes down where the windows are.
pub fn remember(app: &AppHandle) {
    if let Err(error) = app.save_window_state(REMEMBERED) {
        tracing::warn!(%error, "where windows were is not remembered");
    }
}

/// Whether the user looks at one of them.
pub fn any_has_focus(app: &AppHandle) -> bool {
    app.webview_windows().values().any(|window| window.is_focused().unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_download_never_writes_over_a_file() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("pictures.zip");
        assert_eq!(free_name(&path), path);
        std::fs::write(&path, "x").expect("writes");
        assert_eq!(free_name(&path), dir.path().join("pictures (1).zip"));
    }
}
