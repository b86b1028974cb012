//! Questions to the user, in the system's own dialogs.

use tauri::AppHandle;
use tauri_plugin_dialog::{DialogExt, MessageDialogButtons, MessageDialogKind, MessageDialogResult};

/// A question with up to three answers. The last one is what closing the dialog means, so it is the harmless one.
pub struct Question<'a> {
    /// The dialog's title.
    pub title: &'a str,
    /// What is asked.
    pub text: &'a str,
    /// It is about something that went wrong.
    pub is_error: bool,
    /// What can be answered: one to three.
    pub answers: &'a [&'a str],
}

impl Question<'_> {
    /// Asks; which answer was chosen.
    pub async fn ask(&self, app: &AppHandle) -> usize {
        let last = self.answers.len().saturating_sub(1);
        let word = |at: usize| self.answers.get(at).copied().unwrap_or_default().to_owned();
        let buttons = match self.answers.len() {
            0 | 1 => MessageDialogButtons::OkCustom(word(0)),
            2 => MessageDialogButtons::OkCancelCustom(word(0), word(1)),
            _ => MessageDialogButtons::YesNoCancelCustom(word(0), word(1), word(2)),
        };
        let kind = if self.is_error { MessageDialogKind::Error } else { MessageDialogKind::Info };
        let (sender, answer) = tokio::sync::oneshot::channel();
        app.dialog().message(self.text).title(self.title).kind(kind).buttons(buttons).show_with_result(move |result| {
            let _ = sender.send(result);
        });
        match answer.await {
            Ok(MessageDialogResult::Custom(chosen)) => self.answers.iter().position(|answer| *answer == chosen).unwrap_or(last),
            Ok(MessageDialogResult::Ok | MessageDialogResult::Yes) => 0,
            Ok(MessageDialogResult::No) => 1.min(last),
            // Closed, or the program ends.
            Ok(MessageDialogResult::Cancel) | Err(_) => last,
        }
    }
}
