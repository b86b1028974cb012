//! What a native shell holds of a gateway that runs: it looks, it pauses, it listens for news. Clones are cheap, and one that
//! outlives the gateway sees it as it was.

use std::{collections::VecDeque, net::SocketAddr, path::PathBuf, sync::Arc};

use tokio::sync::broadcast::{Receiver, error::RecvError};

use crate::{
    account::AccountError,
    http::App,
    model::{ActivityRecord, Event, ImageId, Kind, Secret, now},
    relay::LinkBase,
    settings::Settings,
    shell::{News, Page, is_rest},
    store::{self, DbError, gallery},
};

/// Longest prompt or message of a notification, in characters.
const WORDS_MAX: usize = 120;

/// Tells a page that it is in a native window; it stays so as long as the window does.
const WINDOW: &str = "window=1";

/// See the module.
#[derive(Clone)]
pub struct Handle {
    app: Arc<App>,
    address: SocketAddr,
    setup_ticket: Option<Secret>,
}

/// Figures of the tray.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Drawings that succeeded since midnight.
    pub today: u32,
    /// Requests that are being answered.
    pub running: usize,
}

/// Why a page has no address.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// No ticket.
    #[error("the system has no random numbers for a ticket")]
    NoTicket,
    /// Whether there is an account is not known.
    #[error(transparent)]
    Account(#[from] AccountError),
}

impl Handle {
    pub(super) fn new(app: App, address: SocketAddr, setup_ticket: Option<Secret>) -> Self {
        Self { app: Arc::new(app), address, setup_ticket }
    }

    /// Where this computer reaches it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The key that clients authenticate with now.
    pub fn key(&self) -> Secret {
        self.settings().gateway_key.clone()
    }

    /// What clients on this computer take as base URL: `http://localhost:5643/v1`.
    pub fn base_url(&self) -> String {
        format!("{}/v1", self.local_base("localhost"))
    }

    /// The present settings: model name, language, notifications.
    pub fn settings(&self) -> Arc<Settings> {
        self.app.settings.snapshot()
    }

    /// The data folder.
    pub fn data_dir(&self) -> PathBuf {
        self.app.config.data_dir.clone()
    }

    /// A ticket that opens /admin once, within a minute; `None` if the system has no random numbers.
    pub fn issue_ticket(&self) -> Option<String> {
        self.app.account.tickets().issue()
    }

    /// The address that a window of the shell loads, good once and within a minute. It signs in on the way; before there is an
    /// account it leads to the set-up with its ticket. `rest` as in [`crate::shell::Shell::open_page`].
    ///
    /// # Errors
    /// [`PageError`].
    pub async fn local_page(&self, page: Page, rest: Option<&str>) -> Result<String, PageError> {
        let base = self.local_base("127.0.0.1");
        if self.app.account.username().await?.is_none()
            && let Some(ticket) = &self.setup_ticket
        {
            // What stands behind `#` is never sent, so it is in nobody's log.
            return Ok(format!("{base}/admin/setup?{WINDOW}#ticket={}", ticket.expose()));
        }
        let ticket = self.issue_ticket().ok_or(PageError::NoTicket)?;
        let rest = rest.filter(|rest| is_rest(rest)).unwrap_or_default();
        let next = format!("{}{rest}{}{WINDOW}", page.path(), if rest.contains('?') { '&' } else { '?' });
        let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("t", &ticket).append_pair("next", &next).finish();
        Ok(format!("{base}/admin/ticket?{query}"))
    }

    /// Refuses new requests with a friendly text from now on, or takes them again; what runs goes on. A restart takes them again.
    pub fn pause(&self, paused: bool) {
        self.app.relay.pause(paused);
    }

    /// Whether new requests are refused.
    pub fn is_paused(&self) -> bool {
        self.app.relay.is_paused()
    }

    /// Drawings under way.
    pub fn running(&self) -> usize {
        self.app.relay.running()
    }

    /// Figures of the tray.
    ///
    /// # Errors
    /// The database failed.
    pub async fn figures(&self) -> Result<Figures, DbError> {
        let today = self.app.library.db().read(move |c| store::drawn_today(c, now())).await?;
        Ok(Figures { today, running: self.running() })
    }

    /// The link to the latest image that was drawn; `None` if there is none.
    ///
    /// # Errors
    /// The database failed.
    pub async fn latest_link(&self) -> Result<Option<String>, DbError> {
        let latest = self.app.library.db().read(gallery::latest_drawn).await?;
        Ok(latest.map(|id| self.link(id)))
    }

    /// The link to an image, as a browser on this computer opens it.
    pub fn link(&self, id: ImageId) -> String {
        let settings = self.settings();
        let base = settings.direct_links.clone().or_else(|| settings.public_base_url.clone());
        LinkBase::new(base.unwrap_or_else(|| self.local_base("localhost"))).link(id)
    }

    /// Listens for news from now on; what is wrong already is the first.
    pub fn subscribe(&self) -> Newsreader {
        // In this order: what changes in between is heard twice at worst, and told once.
        let events = self.app.events.listen();
        let mut reader = Newsreader { handle: self.clone(), events, first: VecDeque::new(), away: false, low: false };
        let free = self.app.health.is_disk_low().then(|| self.app.library.files().space().map_or(0, |(free, _)| free));
        let first = [reader.disk(free), reader.bucket()];
        reader.first.extend(first.into_iter().flatten());
        reader
    }

    fn local_base(&self, name: &str) -> String {
        let ip = self.address.ip();
        let port = self.address.port();
        // A fixed address may be one that loopback names do not lead to.
        if ip.is_loopback() || ip.is_unspecified() { format!("http://{name}:{port}") } else { format!("http://{}", self.address) }
    }
}

/// Turns events into news for a shell.
pub struct Newsreader {
    handle: Handle,
    events: Receiver<Event>,
    first: VecDeque<News>,
    /// The bucket was away when it was last heard of.
    away: bool,
    /// The disk was nearly full then.
    low: bool,
}

impl Newsreader {
    /// The next news; `None` once the gateway has ended.
    pub async fn next(&mut self) -> Option<News> {
        if let Some(news) = self.first.pop_front() {
            return Some(news);
        }
        loop {
            match self.events.recv().await {
                Ok(event) => {
                    if let Some(news) = self.read(event) {
                        return Some(news);
                    }
                }
                Err(RecvError::Lagged(_)) => return Some(News::Missed),
                Err(RecvError::Closed) => return None,
            }
        }
    }

    fn read(&mut self, event: Event) -> Option<News> {
        match event {
            Event::Running => Some(News::Running(self.handle.app.relay.now_running().len())),
            Event::Activity(record) => self.drawn(*record),
            Event::Paused(paused) => Some(News::Paused(paused)),
            Event::Settings => Some(News::Settings),
            Event::Disk(free) => self.disk(free),
            Event::Listening => Some(News::Listening(self.handle.app.listening.view().addresses)),
            Event::Bucket => self.bucket(),
            _ => None,
        }
    }

    fn drawn(&self, record: ActivityRecord) -> Option<News> {
        let short = |text: Option<String>| text.map(|text| text.chars().take(WORDS_MAX).collect::<String>());
        let prompt = short(record.prompt);
        match record.images.first() {
            Some(image) => Some(News::Finished { image: *image, count: record.images.len(), prompt, link: self.handle.link(*image) }),
            None if record.kind == Kind::Drawing && record.outcome != "ok" => {
                Some(News::Failed { code: record.outcome, message: short(record.message), prompt })
            }
            None => None,
        }
    }

    fn disk(&mut self, free: Option<u64>) -> Option<News> {
        match (std::mem::replace(&mut self.low, free.is_some()), free) {
            (false, Some(free)) => Some(News::DiskLow(free)),
            (true, None) => Some(News::DiskBack),
            _ => None,
        }
    }

    fn bucket(&mut self) -> Option<News> {
        let state = self.handle.app.library.remote().state();
        let away = match state.state {
            "paused" => true,
            // Other keys or another bucket: whether it works is found out now.
            "unknown" => self.away,
            _ => false,
        };
        match (std::mem::replace(&mut self.away, away), away) {
            (false, true) => Some(News::BucketAway(state.message.unwrap_or_default())),
            (true, false) => Some(News::BucketBack),
            _ => None,
        }
    }
}
