//! Updates: looks for a newer version once a day, asks, and installs it. A program that was built without a public key to
//! check them with never looks.

use std::time::Duration;

use picgate_gateway::server::Handle;
use tauri::{AppHandle, Config, Manager, Runtime, plugin::TauriPlugin};
use tauri_plugin_updater::{Update, UpdaterExt};
use tokio_util::sync::CancellationToken;

use super::{Desktop, dialogs::Question, menu::Condition, notices::Notice};

/// From the start to the first look: what people started the program for comes first.
const FIRST: Duration = Duration::from_secs(5 * 60);

/// From one look to the next.
const EVERY: Duration = Duration::from_secs(24 * 3600);

/// Longest wait for the list of versions.
const PATIENCE: Duration = Duration::from_secs(30);

/// Longest download.
const DOWNLOAD_MAX: Duration = Duration::from_secs(30 * 60);

/// Largest package, in bytes: an AppImage, which brings a browser along, has about a third.
const BYTES_MAX: usize = 300_000_000;

/// How often it is looked whether drawings are done. Each look is one atomic read.
const LOOK: Duration = Duration::from_millis(200);

/// The plugin, if there is a key: without its configuration it would keep the app from starting.
pub fn plugin<R: Runtime>(config: &Config) -> Option<TauriPlugin<R, tauri_plugin_updater::Config>> {
    is_on(config).then(|| tauri_plugin_updater::Builder::new().build())
}

fn is_on(config: &Config) -> bool {
    let key = config.plugins.0.get("updater").and_then(|updater| updater.get("pubkey")).and_then(|key| key.as_str());
    key.is_some_and(|key| !key.trim().is_empty())
}

/// Looks for newer versions for as long as the app runs.
pub async fn look(app: AppHandle) {
    if !is_on(app.config()) {
        return;
    }
    let mut declined = None;
    tokio::time::sleep(FIRST).await;
    loop {
        match newer(&app).await {
            Ok(Some(update)) if declined.as_ref() != Some(&update.version) => {
                if offer(&app, &update).await {
                    install(&app, update).await;
                } else {
                    declined = Some(update.version);
                }
            }
            Ok(_) => {}
            Err(error) => tracing::info!(error, "it is not known whether there is a newer version"),
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn newer(app: &AppHandle) -> Result<Option<Update>, String> {
    let updater = app.updater_builder().timeout(PATIENCE).build().map_err(|error| whole(&error))?;
    updater.check().await.map_err(|error| whole(&error))
}

/// What went wrong and why, down to the first cause: the outermost words alone are mostly "error sending request".
fn whole(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |told, cause| format!("{told}: {cause}"))
}

async fn offer(app: &AppHandle, update: &Update) -> bool {
    let language = app.state::<Desktop>().language();
    let words = language.words();
    let text = language.update_question(&update.version, &update.current_version);
    Question { title: words.update_title, text: &text, is_error: false, answers: &[words.update_install, words.later] }.ask(app).await == 0
}

/// Downloads it, which checks its signature, finishes what runs, installs and starts again. What goes wrong is told, and the
/// gateway goes on as it was.
async fn install(app: &AppHandle, mut update: Update) {
    update.timeout = Some(DOWNLOAD_MAX);
    let bytes = match fetch(&update).await {
        Ok(bytes) => bytes,
        Err(error) => return not_installed(app, &error),
    };
    let desktop = app.state::<Desktop>();
    let handle = desktop.host.handle();
    let was_paused = handle.as_ref().is_some_and(Handle::is_paused);
    if let Some(handle) = &handle
        && !finish_what_runs(app, handle).await
    {
        return;
    }
    if cfg!(windows) {
        // There the installer ends the program by itself, without a word to the gateway. Elsewhere pictures can be looked at
        // while the system asks for a password.
        let stopped = desktop.host.stop(false);
        super::refresh(app);
        stopped.await;
    }
    let newer = update.version.clone();
    let installed = tauri::async_runtime::spawn_blocking(move || update.install(bytes)).await;
    match installed.map_err(|error| error.to_string()).and_then(|done| done.map_err(|error| whole(&error))) {
        Ok(()) => {
            tracing::info!("a newer version is installed and starts as soon as nothing is drawn");
            // The system may have asked for minutes, and somebody may have resumed on a page.
            if let Some(handle) = &handle
                && !cfg!(windows)
                && !finish_what_runs(app, handle).await
            {
                return;
            }
            app.request_restart();
        }
        Err(error) => {
            not_installed(app, &desktop.language().update_by_hand(&newer, &error));
            if cfg!(windows) {
                app.request_restart();
            } else if let Some(handle) = handle {
                desktop.host.set_updating(false);
                handle.pause(was_paused);
                super::refresh(app);
            }
        }
    }
}

/// Finishes what is being drawn, because it is paid for; nothing new begins, and whoever resumes on a page is not heard. A quit that
/// waits for the same comes first. `false` if the app ends.
async fn finish_what_runs(app: &AppHandle, handle: &Handle) -> bool {
    let desktop = app.state::<Desktop>();
    loop {
        handle.pause(true);
        if desktop.host.set_updating(true) {
            super::refresh(app);
        }
        match desktop.host.condition() {
            Condition::Ending => return false,
            Condition::Updating if handle.running() == 0 => return true,
            _ => tokio::time::sleep(LOOK).await,
        }
    }
}

/// The bytes, whose signature is right. They are held in memory: that is how the plugin hands them on.
async fn fetch(update: &Update) -> Result<Vec<u8>, String> {
    let too_long = CancellationToken::new();
    let mut received = 0_usize;
    let count = |more: usize, _| {
        received = received.saturating_add(more);
        if received > BYTES_MAX {
            too_long.cancel();
        }
    };
    let bytes = too_long.run_until_cancelled(update.download(count, || {})).await;
    bytes.ok_or_else(|| format!("it is longer than {BYTES_MAX} bytes"))?.map_err(|error| whole(&error))
}

fn not_installed(app: &AppHandle, error: &str) {
    tracing::warn!(error, "the newer version is not installed");
    let desktop = app.state::<Desktop>();
    let title = desktop.language().words().update_failed.to_owned();
    let notice = Notice { title, body: error.to_owned(), page: picgate_gateway::shell::Page::About, rest: None };
    desktop.notices.show(app, notice);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(plugins: &str) -> Config {
        serde_json::from_str(&format!(r#"{{"identifier": "io.picgate.test", "plugins": {plugins}}}"#)).expect("a configuration")
    }

    #[test]
    fn a_failure_is_told_down_to_its_cause() {
        #[derive(Debug)]
        struct Sending(std::io::Error);
        impl std::fmt::Display for Sending {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("error sending request")
            }
        }
        impl std::error::Error for Sending {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                Some(&self.0)
            }
        }
        let told = whole(&Sending(std::io::Error::other("nobody listens")));
        assert_eq!(told, "error sending request: nobody listens");
    }

    #[test]
    fn without_a_key_nothing_is_looked_for() {
        for plugins in ["{}", r#"{"updater": {}}"#, r#"{"updater": {"pubkey": " ", "endpoints": []}}"#] {
            assert!(!is_on(&with(plugins)), "{plugins}");
        }
        assert!(is_on(&with(r#"{"updater": {"pubkey": "k", "endpoints": ["https://example.com/latest.json"]}}"#)));
    }
}
