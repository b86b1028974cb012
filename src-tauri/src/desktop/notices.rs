//! Notifications: what the user would want to know while looking elsewhere. Each kind can be switched off in the settings.

use notify_rust::Notification;
use picgate_gateway::shell::{News, Page};
use tauri::{AppHandle, Manager};
use tokio::sync::Semaphore;

use super::{Desktop, platform, windows};

/// Notifications whose click is waited for; further ones are left out, because nobody reads so many.
const WAITING_MAX: usize = 8;

/// Longest text of a notification, in characters.
const TEXT_MAX: usize = 160;

/// Shows notifications.
pub struct Notices(Semaphore);

impl Default for Notices {
    fn default() -> Self {
        Self(Semaphore::new(WAITING_MAX))
    }
}

/// What a notification says, and where a click leads.
pub struct Notice {
    /// The first line.
    pub title: String,
    /// The rest.
    pub body: String,
    /// The window that a click opens.
    pub page: Page,
    /// What follows the page's address.
    pub rest: Option<String>,
}

impl Notices {
    /// Tells of `news`, if the user wants to hear of it.
    pub fn tell(&self, app: &AppHandle, news: &News) {
        let desktop = app.state::<Desktop>();
        let Some(wanted) = desktop.host.handle().map(|handle| handle.settings().notify) else { return };
        let language = desktop.language();
        let words = language.words();
        let notice = match news {
            // Who looks at the pages sees it there.
            News::Finished { .. } if !wanted.finished || windows::any_has_focus(app) => return,
            News::Finished { image, count, prompt, .. } => Notice {
                title: language.finished(*count),
                body: prompt.clone().unwrap_or_default(),
                page: Page::Gallery,
                rest: Some(format!("/{image}")),
            },
            News::Failed { message, prompt, .. } if wanted.failed => Notice {
                title: words.draw_failed.into(),
                body: [message.as_deref(), prompt.as_deref()].into_iter().flatten().collect::<Vec<_>>().join("\n"),
                page: Page::Logs,
                rest: None,
            },
            News::DiskLow(free) if wanted.disk => {
                Notice { title: words.disk_title.into(), body: language.disk_low(*free), page: Page::Cache, rest: None }
            }
            News::BucketAway(why) if wanted.bucket => {
                Notice { title: words.bucket_title.into(), body: format!("{}\n{why}", words.bucket_body), page: Page::Cache, rest: None }
            }
            _ => return,
        };
        self.show(app, notice);
    }

    /// Shows a notification, and opens its window when it is clicked.
    pub fn show(&self, app: &AppHandle, notice: Notice) {
        let showing = app.clone();
        app.state::<Desktop>().spawn(async move {
            if let Err(error) = showing.state::<Desktop>().notices.show_now(&showing, notice).await {
                tracing::debug!(%error, "a notification is not shown");
            }
        });
    }

    /// The same; comes back when it is clicked or gone.
    ///
    /// # Errors
    /// Why it is not shown.
    pub async fn show_now(&self, app: &AppHandle, notice: Notice) -> Result<(), String> {
        let _turn = self.0.try_acquire().map_err(|_| "too many are open".to_owned())?;
        let mut notification = Notification::new();
        let body: String = notice.body.chars().take(TEXT_MAX).collect();
        notification.appname("PicGate").summary(&notice.title).body(&platform::plain(&body));
        platform::dress(&mut notification);
        let open = app.state::<Desktop>().language().words().page(notice.page);
        if platform::show(notification, open).await? {
            windows::open(app, notice.page, notice.rest);
        }
        Ok(())
    }
}
