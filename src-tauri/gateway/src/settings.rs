//! Settings that may change while the program runs: a snapshot that every request takes once.

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;
use url::Url;

use crate::{
    config::Config,
    model::{Aliases, BucketConfig, LISTEN, Millis, Secret, Setting, hosts},
};

/// How waiting looks in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgressStyle {
    /// As text of the answer.
    Content,
    /// As the model's thoughts.
    Reasoning,
    /// Comments alone, which nobody sees.
    Quiet,
}

/// In which language people are told things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    /// By the script of what they wrote.
    Auto,
    /// Chinese.
    Zh,
    /// English.
    En,
}

/// What the Images API answers with if the client does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImagesResponse {
    /// Base64 for clients that are known to want it, else links.
    Auto,
    /// Base64.
    Base64,
    /// Links.
    Link,
}

/// Who can reach the gateway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// Programs on this computer.
    #[default]
    ThisComputer,
    /// Also containers of Docker on Linux, through its bridges.
    Docker,
    /// Whoever reaches this computer.
    Everyone,
}

impl Reach {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::ThisComputer, Self::Docker, Self::Everyone];

    /// The word that is stored.
    pub fn word(self) -> &'static str {
        match self {
            Self::ThisComputer => "this_computer",
            Self::Docker => "docker",
            Self::Everyone => "everyone",
        }
    }
}

/// Which notifications a desktop app shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notify {
    /// A drawing is there.
    pub finished: bool,
    /// A drawing failed.
    pub failed: bool,
    /// The disk is nearly full.
    pub disk: bool,
    /// The bucket cannot be used.
    pub bucket: bool,
}

/// One consistent view.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The key that clients authenticate with.
    pub gateway_key: Secret,
    /// The model name that clients see.
    pub gateway_model: String,
    /// What links begin with; `None` to infer it from the request.
    pub public_base_url: Option<String>,
    /// Whether pictures that users send with image requests are kept.
    pub keep_uploads: bool,
    /// Whether images of other servers that users name are fetched and sent as images.
    pub fetch_external_images: bool,
    /// How waiting looks.
    pub progress: ProgressStyle,
    /// In which language.
    pub speech: Speech,
    /// Words that tell of a drawing, one a line; `None` for the built-in list.
    pub intent_words: Option<String>,
    /// The upstream's text model for the client's background tasks.
    pub task_model: Option<String>,
    /// How long the upstream's quota runs, in words.
    pub quota_window: Option<String>,
    /// Whether whole answers of JSON begin with white space while they are waited for.
    pub json_keep_alive: bool,
    /// Whether whole chat answers have a list of parts as content.
    pub content_array: bool,
    /// What the Images API answers with if the client does not say.
    pub images_response: ImagesResponse,
    /// Images of a conversation that are sent along, the latest ones.
    pub history_images: usize,
    /// Bytes of images that are sent along.
    pub history_bytes: u64,
    /// Who can reach the gateway; without effect while an address is fixed from outside.
    pub reach: Reach,
    /// Which notifications a desktop app shows.
    pub notify: Notify,
    /// Host names by which the admin may be called, beside those that are known.
    pub allowed_hosts: Vec<String>,
    /// Further model names with presets.
    pub aliases: Arc<Aliases>,
    /// Where copies go.
    pub bucket: Option<BucketConfig>,
    /// Whether an image is copied to the bucket before its link is given out.
    pub copies_first: bool,
    /// Where image links lead to once there is a copy: the bucket's public domain with the prefix of its keys.
    pub redirect_to: Option<String>,
    /// What links in new answers begin with, if they name the bucket's public domain.
    pub direct_links: Option<String>,
    /// What goes from disk, and when.
    pub sweep: SweepRules,
}

/// What goes from disk, and when. Times are in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SweepRules {
    /// After so long without a look.
    pub ttl: Option<Millis>,
    /// Beyond so many bytes.
    pub cap: Option<u64>,
    /// Also what has no copy in the bucket, if the cap wants it.
    pub last_copies: bool,
    /// Rows are forgotten after so long.
    pub retention: Option<Millis>,
    /// And their objects with them.
    pub objects_too: bool,
}

impl SweepRules {
    /// Whether more goes for good by these rules than by those `before`.
    pub fn lose_more_than(&self, before: &Self) -> bool {
        // None is no limit.
        fn is_tighter<T: Ord>(new: Option<T>, old: Option<T>) -> bool {
            new.is_some_and(|new| old.is_none_or(|old| new < old))
        }
        let last_copies = self.last_copies && (!before.last_copies || is_tighter(self.cap, before.cap));
        let objects = self.objects_too && (!before.objects_too || is_tighter(self.retention, before.retention));
        last_copies || objects
    }
}

/// Keys that are not in the table of settings.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The one that clients authenticate with.
    pub gateway: Secret,
    /// The bucket's secret access key.
    pub bucket: Option<Secret>,
}

/// The present settings; clones see changes.
#[derive(Clone, Debug)]
pub struct LiveSettings(Arc<ArcSwap<Settings>>);

impl Settings {
    /// What environment and flags fix, then what the table says, then defaults.
    pub fn resolve(config: &Config, table: &BTreeMap<String, String>, keys: Keys) -> Self {
        let value = |key: &str| {
            let Some(setting) = Setting::find(key) else { return String::new() };
            if let Some(fixed) = config.fixed.get(key) {
                return fixed.clone();
            }
            match table.get(key).map(|stored| setting.check(stored)) {
                Some(Ok(stored)) => stored,
                Some(Err(problem)) => {
                    tracing::warn!(key, %problem, "this setting cannot be used; the default holds");
                    setting.default.to_owned()
                }
                None => setting.default.to_owned(),
            }
        };
        let given = |key: &str| Some(value(key)).filter(|v| !v.is_empty());
        let is_on = |key: &str| value(key) == "true";
        let number = |key: &str| value(key).parse::<u32>().unwrap_or(1);
        let limit = |key: &str| Some(Millis::from(number(key))).filter(|n| *n > 0);
        let bucket = bucket_of(&value, config.bucket_secret.clone().or(keys.bucket));
        let redirect_to = given("bucket_public_url").filter(|_| value("bucket_links") == "redirect" && bucket.is_some());
        Self {
            gateway_key: config.gateway_key.clone().unwrap_or(keys.gateway),
            gateway_model: value("gateway_model"),
            public_base_url: given("public_base_url"),
            keep_uploads: is_on("keep_uploads"),
            fetch_external_images: is_on("fetch_external_images"),
            progress: match value("progress_style").as_str() {
                "reasoning" => ProgressStyle::Reasoning,
                "quiet" => ProgressStyle::Quiet,
                _ => ProgressStyle::Content,
            },
            speech: match value("language").as_str() {
                "zh" => Speech::Zh,
                "en" => Speech::En,
                _ => Speech::Auto,
            },
            intent_words: given("intent_words"),
            task_model: given("task_model"),
            quota_window: given("quota_window"),
            json_keep_alive: is_on("json_keep_alive"),
            content_array: is_on("content_array"),
            images_response: match value("images_response").as_str() {
                "b64_json" => ImagesResponse::Base64,
                "url" => ImagesResponse::Link,
                _ => ImagesResponse::Auto,
            },
            history_images: number("history_images") as usize,
            history_bytes: u64::from(number("history_mb")) * 1024 * 1024,
            reach: Reach::ALL.into_iter().find(|reach| reach.word() == value(LISTEN)).unwrap_or_default(),
            notify: Notify {
                finished: is_on("notify_finished"),
                failed: is_on("notify_failed"),
                disk: is_on("notify_disk"),
                bucket: is_on("notify_bucket"),
            },
            allowed_hosts: hosts(&value("allowed_hosts")).unwrap_or_default(),
            aliases: Arc::new(Aliases::parse(&value("model_aliases")).unwrap_or_default()),
            direct_links: direct_links(&value, bucket.as_ref()),
            copies_first: value("s3_write") == "through",
            redirect_to,
            bucket,
            sweep: SweepRules {
                ttl: limit("cache_ttl_hours").map(|hours| hours * 3_600_000),
                cap: limit("cache_cap_mb").map(|mb| mb as u64 * 1024 * 1024),
                last_copies: is_on("evict_last_copy"),
                retention: limit("retention_days").map(|days| days * 86_400_000),
                objects_too: is_on("delete_cloud_with_metadata"),
            },
        }
    }
}

/// A link to an object must end like one of ours, or no later turn of a chat would know it for an image: so the prefix has
/// to end in `images/`. And the object must be there before its link.
fn direct_links(value: &dyn Fn(&str) -> String, bucket: Option<&BucketConfig>) -> Option<String> {
    let base = Some(value("bucket_public_url")).filter(|base| !base.is_empty() && value("bucket_links") == "direct")?;
    let inside = bucket?.prefix.strip_suffix("images/");
    match inside {
        Some(inside) if value("s3_write") == "through" => Some(format!("{base}/{inside}").trim_end_matches('/').to_owned()),
        _ => {
            tracing::warn!("direct links need s3_write = through and an s3_prefix that ends in images/; links name the gateway");
            None
        }
    }
}

/// The bucket that these values describe; nothing unless all is there. `value` gives settings by their keys.
pub fn bucket_of(value: &dyn Fn(&str) -> String, secret: Option<Secret>) -> Option<BucketConfig> {
    let (account, endpoint) = (value("r2_account_id"), value("s3_endpoint"));
    let endpoint = match (endpoint.is_empty(), account.contains("://")) {
        (false, _) => endpoint,
        // People paste the whole endpoint where the account is asked for.
        (true, true) => account,
        (true, false) if account.is_empty() => return None,
        (true, false) => format!("https://{account}.r2.cloudflarestorage.com"),
    };
    let mut endpoint = Url::parse(&endpoint).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    if endpoint.host_str()?.ends_with(".r2.cloudflarestorage.com") {
        // What Cloudflare shows ends in the bucket's name.
        endpoint.set_path("");
    }
    let config = BucketConfig {
        endpoint,
        region: value("s3_region"),
        name: value("r2_bucket"),
        prefix: value("s3_prefix").trim_start_matches('/').to_owned(),
        access_key_id: value("r2_access_key_id"),
        secret_access_key: secret.filter(|secret| !secret.expose().is_empty())?,
    };
    Some(config).filter(|config| !config.name.is_empty() && !config.access_key_id.is_empty())
}

impl LiveSettings {
    /// Settings that begin as `settings`.
    pub fn new(settings: Settings) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(settings)))
    }

    /// Another view from now on.
    pub fn replace(&self, settings: Settings) {
        self.0.store(Arc::new(settings));
    }

    /// The present view.
    pub fn snapshot(&self) -> Arc<Settings> {
        self.0.load_full()
    }
}
