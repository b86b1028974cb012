//! Downloads images by URL, guarded against server-side request forgery.
//!
//! Two ways in. [`Fetcher::guarded`] takes URLs from prompts or from strangers:
//! only public addresses on web ports, judged before every hop, dialled exactly
//! as vetted. [`Fetcher::trusted`] takes result URLs of a configured upstream:
//! its own origin is dialled with the upstream's client, any other origin falls
//! under the guarded rules for the rest of the journey.
//!
//! Nothing is decompressed by the guarded client: images do not shrink, so
//! `Accept-Encoding: identity` is sent and any other encoding is an error. There
//! is no gzip bomb without a decoder.
//!
//! Refuses to know what the bytes are, where they go, and every credential.

mod address;
mod download;
mod error;
mod policy;
mod resolve;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, ACCEPT_ENCODING, LOCATION};
use reqwest::{Client, Response, redirect, retry};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use url::Url;

use address::AddressRules;
pub use download::Download;
pub use error::{FAKE_IP_SETTING, FetchError};
pub use policy::Policy;
use resolve::VettingResolver;
pub use resolve::{Resolve, SystemResolver};

/// Bounds of one download and of all guarded downloads together.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Largest body in (decoded) bytes.
    pub max_bytes: u64,
    /// Longest time for DNS, TCP and TLS of one hop. On trusted hops the
    /// caller's client sets its own; `connect + idle` bounds the answer's head.
    pub connect: Duration,
    /// Longest pause between two pieces of the body.
    pub idle: Duration,
    /// Longest time from the call to the last byte, slot and redirects included.
    pub total: Duration,
    /// Redirects followed per download.
    pub max_redirects: u8,
    /// Guarded downloads at once; at least one. Hops on a trusted origin are
    /// not counted: prompt URLs must not hold up paid results.
    pub concurrent: usize,
}

impl Default for Limits {
    /// 32 MiB, 10 s connect, 10 s idle, 30 s total, 3 redirects, 4 at once.
    fn default() -> Self {
        Self {
            max_bytes: 32 * 1024 * 1024,
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(10),
            total: Duration::from_secs(30),
            max_redirects: 3,
            concurrent: 4,
        }
    }
}

/// Raster types the gateway can use; other types are still judged by content.
const ACCEPT_IMAGES: &str = "image/png,image/jpeg,image/webp,image/gif,image/avif,image/*;q=0.8,*/*;q=0.5";

/// Some image hosts (Wikimedia among them) refuse requests without a user agent.
const USER_AGENT: &str = "PicGate";

/// Downloads images. Build it once and share it; it owns the download slots.
pub struct Fetcher {
    client: Client,
    policy: Arc<Policy>,
    rules: Arc<AddressRules>,
    limits: Limits,
    slots: Arc<Semaphore>,
}

/// The origin that is exempt from the guarded rules, and how to dial it.
struct Trust<'a> {
    client: &'a Client,
    origin: &'a Url,
}

impl Fetcher {
    /// A fetcher that asks the operating system's resolver.
    ///
    /// # Errors
    /// [`FetchError::Setup`] if the process has no rustls crypto provider
    /// installed or the trusted certificates cannot be loaded.
    pub fn new(policy: Policy, limits: Limits) -> Result<Self, FetchError> {
        Self::with_resolver(policy, limits, Arc::new(SystemResolver), Vec::new())
    }

    /// Like [`Fetcher::new`] with another resolver. `also_public` lists
    /// addresses that count as public; it is meant for tests, which may only
    /// dial loopback, and must be empty in production.
    ///
    /// # Errors
    /// As for [`Fetcher::new`].
    pub fn with_resolver(policy: Policy, limits: Limits, resolver: Arc<dyn Resolve>, also_public: Vec<IpAddr>) -> Result<Self, FetchError> {
        // reqwest panics without a provider; ask first.
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(FetchError::Setup);
        }
        let policy = Arc::new(policy);
        let rules = Arc::new(AddressRules::new(also_public));
        let vetting = VettingResolver { inner: resolver, policy: Arc::clone(&policy), rules: Arc::clone(&rules) };
        let client = guarded_client(vetting, &limits)?;
        let slots = Arc::new(Semaphore::new(limits.concurrent.clamp(1, Semaphore::MAX_PERMITS)));
        Ok(Self { client, policy, rules, limits, slots })
    }

    /// Applies every guarded rule that needs no network and returns the parsed
    /// URL. Names still have to pass the resolver when they are dialled.
    ///
    /// # Errors
    /// [`FetchError::Refused`].
    pub fn check(&self, url: &str) -> Result<Url, FetchError> {
        policy::check_text(url)?;
        let url = Url::parse(url).map_err(|_| FetchError::Refused)?;
        policy::check_url(&url, &self.policy, &self.rules)?;
        Ok(url)
    }

    /// Starts a download of an untrusted absolute URL.
    ///
    /// # Errors
    /// Any [`FetchError`] except [`FetchError::Setup`] and
    /// [`FetchError::Interrupted`].
    pub async fn guarded(&self, url: &str) -> Result<Download, FetchError> {
        let deadline = later(self.limits.total);
        let url = self.check(url)?;
        self.walk(url, None, deadline).await
    }

    /// Starts a download of a result URL of the upstream whose base URL is
    /// `origin`. A relative `url` is resolved against it (so end the base with
    /// `/` if its last path segment counts). Hops on the same scheme, host and
    /// port use `client` and may be private; after the first hop elsewhere the
    /// guarded rules hold, even back to the origin.
    ///
    /// `client` must have redirects off (an answer from another URL than asked
    /// for is refused, but by then it has been dialled) and must carry no
    /// default headers with credentials. Credentials in `origin` are not sent.
    ///
    /// # Errors
    /// As for [`Fetcher::guarded`].
    pub async fn trusted(&self, client: &Client, origin: &Url, url: &str) -> Result<Download, FetchError> {
        let deadline = later(self.limits.total);
        policy::check_text(url)?;
        let mut base = origin.clone();
        // A relative URL would inherit these and then look like its own.
        if base.set_username("").is_err() || base.set_password(None).is_err() {
            return Err(FetchError::Refused);
        }
        let url = base.join(url).map_err(|_| FetchError::Refused)?;
        self.walk(url, Some(Trust { client, origin: &base }), deadline).await
    }

    /// Follows redirects by hand; every hop is checked like the first one and
    /// starts from a blank request.
    async fn walk(&self, mut url: Url, mut trust: Option<Trust<'_>>, deadline: Instant) -> Result<Download, FetchError> {
        let mut slot = None;
        let mut redirects: u8 = 0;
        loop {
            // Never sent; without it the answer's URL can be compared with ours.
            url.set_fragment(None);
            // Trust is lost for good: a stranger's redirect must not reach the origin.
            trust = trust.filter(|trust| same_web_origin(trust.origin, &url));
            let client = match &trust {
                Some(trust) => {
                    policy::check_userinfo(&url)?;
                    trust.client
                }
                None => {
                    policy::check_url(&url, &self.policy, &self.rules)?;
                    if slot.is_none() {
                        slot = Some(self.take_slot(deadline).await?);
                    }
                    &self.client
                }
            };
            let response = self.send(client, &url, deadline).await?;
            let Some(next) = redirect_target(&response, &url)? else {
                let status = response.status();
                if !status.is_success() {
                    return Err(FetchError::Status(status.as_u16()));
                }
                return Download::open(response, slot, &self.limits, deadline);
            };
            if redirects >= self.limits.max_redirects {
                return Err(FetchError::TooManyRedirects);
            }
            redirects += 1;
            url = next;
        }
    }

    async fn take_slot(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, FetchError> {
        let slots = Arc::clone(&self.slots);
        match timeout_at(deadline, slots.acquire_owned()).await {
            Ok(Ok(slot)) => Ok(slot),
            // The semaphore is never closed; both cases mean "no slot in time".
            Ok(Err(_)) | Err(_) => Err(FetchError::Timeout),
        }
    }

    /// One request up to the answer's head, without following anything.
    async fn send(&self, client: &Client, url: &Url, deadline: Instant) -> Result<Response, FetchError> {
        // A time-out polls its future once even when it is due; that would dial.
        if Instant::now() >= deadline {
            return Err(FetchError::Timeout);
        }
        let head = self.limits.connect.saturating_add(self.limits.idle);
        let request = client.get(url.clone()).header(ACCEPT, ACCEPT_IMAGES).header(ACCEPT_ENCODING, "identity");
        let response = match timeout_at(later(head).min(deadline), request.send()).await {
            Err(_elapsed) => return Err(FetchError::Timeout),
            Ok(Err(error)) => return Err(FetchError::from_send(&error)),
            Ok(Ok(response)) => response,
        };
        if response.url() != url {
            return Err(FetchError::Refused);
        }
        Ok(response)
    }
}

/// The client for guarded hops. Every switch here closes a way around the checks.
fn guarded_client(vetting: VettingResolver, limits: &Limits) -> Result<Client, FetchError> {
    Client::builder()
        .no_proxy() // a proxy from the environment would dial for us, unvetted
        .redirect(redirect::Policy::none())
        .referer(false)
        .retry(retry::never())
        .dns_resolver(Arc::new(vetting))
        .connect_timeout(limits.connect)
        .pool_max_idle_per_host(0) // no connection outlives the check that allowed it
        .http1_only() // one image per connection gains nothing from HTTP/2
        .no_gzip() // features of other crates must not switch decoding on
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .user_agent(USER_AGENT)
        .build()
        .map_err(|_| FetchError::Setup)
}

/// Where the answer points to, `None` if it is no redirect that can be followed.
fn redirect_target(response: &Response, from: &Url) -> Result<Option<Url>, FetchError> {
    // RFC 9110 section 15.4: the codes whose Location a client may follow by GET.
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = response.headers().get(LOCATION) else {
        return Ok(None);
    };
    let location = std::str::from_utf8(location.as_bytes()).map_err(|_| FetchError::Refused)?;
    policy::check_text(location)?;
    from.join(location).map(Some).map_err(|_| FetchError::Refused)
}

/// Same scheme, host and port, and the scheme is one the web uses.
fn same_web_origin(a: &Url, b: &Url) -> bool {
    matches!(a.scheme(), "http" | "https") && a.origin() == b.origin()
}

/// The moment `wait` from now; a wait too long to represent becomes a year.
fn later(wait: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    let now = Instant::now();
    now.checked_add(wait).unwrap_or_else(|| now + YEAR)
}
