//! Ending the app: running drawings are finished first, unless the user gives them up.

use std::{sync::atomic::Ordering, time::Duration};

use tauri::{AppHandle, Manager};

use super::{Desktop, dialogs::Question, menu::Condition, windows};

/// How long the end waits for tasks that were told to end.
const ENDING: Duration = Duration::from_secs(2);

/// How often it is looked whether drawings are done. Each look is one atomic read.
const LOOK: Duration = Duration::from_millis(200);

/// The user wants to quit. Asks if something runs, and again while the running drawings are waited for.
pub async fn asked(app: AppHandle) {
    let desktop = app.state::<Desktop>();
    let chosen = {
        // Only one question at a time.
        let Ok(_asking) = desktop.asking.try_lock() else { return };
        let running = desktop.host.running();
        if running == 0 {
            return end(&app, false).await;
        }
        let language = desktop.language();
        let words = language.words();
        let question = Question {
            title: words.quit_title,
            text: &language.quit_question(running),
            is_error: false,
            answers: &[words.quit_wait, words.quit_anyway, words.cancel],
        };
        question.ask(&app).await
    };
    match chosen {
        0 if desktop.host.condition() != Condition::Quitting => finish_and_end(&app).await,
        0 => {}
        1 => end(&app, true).await,
        _ => desktop.host.set_quitting(false),
    }
}

/// The system wants the app to end: nobody can be asked, and what runs gets the gateway's usual time.
pub async fn told(app: AppHandle) {
    tracing::info!("told to end; running drawings are finished first");
    end(&app, false).await;
}

async fn finish_and_end(app: &AppHandle) {
    let desktop = app.state::<Desktop>();
    let Some(handle) = desktop.host.handle() else { return end(app, false).await };
    let was_paused = handle.is_paused();
    desktop.host.set_quitting(true);
    super::refresh(app);
    loop {
        // Nothing new begins, or this might never end; whoever resumes on a page is not heard.
        handle.pause(true);
        if desktop.host.running() == 0 {
            break;
        }
        tokio::time::sleep(LOOK).await;
        if desktop.host.condition() != Condition::Quitting {
            // The user has thought better of it.
            handle.pause(was_paused);
            return super::refresh(app);
        }
    }
    end(app, false).await;
}

async fn end(app: &AppHandle, give_up: bool) {
    let desktop = app.state::<Desktop>();
    if desktop.ending.swap(true, Ordering::Relaxed) {
        return;
    }
    windows::close_all(app);
    let stopped = desktop.host.stop(give_up);
    super::refresh(app);
    stopped.await;
    app.exit(0);
}

/// The system wants the end a second time: what still runs is lost.
pub fn at_once() -> ! {
    tracing::warn!("told twice; ending at once");
    std::process::exit(1)
}

/// The event loop has ended. Whatever led here: a gateway that still runs is taken down in order.
pub fn last(desktop: &Desktop) {
    desktop.stop.cancel();
    desktop.tasks.close();
    // With a clock of its own: all workers may be waiting for the event loop, which is this thread, and theirs stands still then.
    let Ok(here) = tokio::runtime::Builder::new_current_thread().enable_time().build() else { return };
    here.block_on(async {
        desktop.host.stop(false).await;
        let _ = tokio::time::timeout(ENDING, desktop.tasks.wait()).await;
    });
    // Dropping it would wait without a bound for reads of the database.
    here.shutdown_background();
}
