//! The beginning: starts the gateway, asks the user where that fails, opens the first window, and says so where there is no tray.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use picgate_gateway::{
    server::{Handle, Newsreader},
    shell::{News, Page},
};
use tauri::{AppHandle, Manager};

use super::{Desktop, autostart, dialogs::Question, notices::Notice, quit, refresh, shell::DesktopShell, trouble::Trouble, windows};

/// How long a desktop may take to bring its tray up; longer at login, when all programs start at once.
const TRAY_PATIENCE: Duration = Duration::from_secs(3);
const TRAY_PATIENCE_AT_LOGIN: Duration = Duration::from_secs(30);

/// Starts the gateway and opens what was asked for.
pub async fn begin(app: AppHandle, open: Option<Page>, hidden: bool) {
    start_gateway(&app).await;
    autostart::renew(&app);
    let desktop = app.state::<Desktop>();
    if desktop.host.handle().is_some()
        && let Some(page) = open.or((!hidden).then_some(Page::Dashboard))
    {
        windows::open(&app, page, None);
    }
    tokio::time::sleep(if hidden { TRAY_PATIENCE_AT_LOGIN } else { TRAY_PATIENCE }).await;
    if !desktop.has_tray.load(Ordering::Relaxed) {
        say_there_is_no_tray(&app);
    }
}

/// Starts the gateway; asks the user for as long as it does not start and they want to go on. Whether it runs now.
async fn start_gateway(app: &AppHandle) -> bool {
    let desktop = app.state::<Desktop>();
    let Ok(_starting) = desktop.starting.try_lock() else {
        // Somebody is being asked already.
        return false;
    };
    while desktop.host.handle().is_none() {
        let Some(started) = desktop.host.start(Arc::new(DesktopShell(app.clone()))).await else {
            tracing::info!("no gateway starts: the program ends");
            return false;
        };
        refresh(app);
        match started {
            Ok((handle, news)) => desktop.spawn(hear_news(app.clone(), handle, news)),
            Err(trouble) => match ask_what_to_do(app, &trouble).await {
                Remedy::Port(port) => desktop.host.use_port(port),
                Remedy::Again => {}
                Remedy::Later => return false,
                Remedy::Quit => {
                    quit::told(app.clone()).await;
                    return false;
                }
            },
        }
    }
    true
}

/// What the user wants to do about a gateway that does not start.
enum Remedy {
    Port(u16),
    Again,
    Later,
    Quit,
}

async fn ask_what_to_do(app: &AppHandle, trouble: &Trouble) -> Remedy {
    let desktop = app.state::<Desktop>();
    let language = desktop.language();
    let words = language.words();
    let mut answers = Vec::new();
    if let Some(port) = trouble.free_port() {
        answers.push((language.use_port(port), Remedy::Port(port)));
    }
    answers.push((words.try_again.to_owned(), Remedy::Again));
    // With a tray the trouble stays in sight, and the menu offers to try again.
    let has_tray = desktop.has_tray.load(Ordering::Relaxed);
    answers.push(if has_tray { (words.later.to_owned(), Remedy::Later) } else { (words.quit.to_owned(), Remedy::Quit) });
    let texts: Vec<&str> = answers.iter().map(|(text, _)| text.as_str()).collect();
    let text = trouble.words(language);
    let chosen = Question { title: words.trouble_title, text: &text, is_error: true, answers: &texts }.ask(app).await;
    answers.into_iter().nth(chosen).map_or(Remedy::Later, |(_, remedy)| remedy)
}

/// Somebody wants a window and there is no gateway behind it: once more, from the start.
pub fn try_again(app: &AppHandle) {
    let trying = app.clone();
    app.state::<Desktop>().spawn(async move {
        if start_gateway(&trying).await {
            windows::open(&trying, Page::Dashboard, None);
        }
    });
}

async fn hear_news(app: AppHandle, handle: Handle, mut news: Newsreader) {
    let mut speech = handle.settings().speech;
    while let Some(heard) = news.next().await {
        let desktop = app.state::<Desktop>();
        desktop.notices.tell(&app, &heard);
        if matches!(heard, News::Settings | News::Missed) && handle.settings().speech != speech {
            speech = handle.settings().speech;
            // The pages follow what is set, unless another language is chosen in them; they tell.
            if let Some(tongue) = desktop.tongue.get() {
                tongue.set(None);
            }
            windows::rename(&app, desktop.language());
        }
        refresh(&app);
    }
}

/// Without a tray there would be nothing to see of a program that runs.
fn say_there_is_no_tray(app: &AppHandle) {
    tracing::warn!(event = "no_tray", "nothing on this desktop shows tray icons; the dashboard opens instead");
    let desktop = app.state::<Desktop>();
    let words = desktop.language().words();
    windows::open(app, Page::Dashboard, None);
    let telling = app.clone();
    desktop.spawn(async move {
        let notice = Notice { title: "PicGate".into(), body: words.no_tray.into(), page: Page::Dashboard, rest: None };
        if telling.state::<Desktop>().notices.show_now(&telling, notice).await.is_err() {
            // No tray and no notifications: a dialog is what is left.
            Question { title: "PicGate", text: words.no_tray, is_error: false, answers: &[words.fine] }.ask(&telling).await;
        }
    });
}
