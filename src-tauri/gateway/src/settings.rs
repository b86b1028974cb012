//! Settings that may change while the program runs: a snapshot that every request takes once.

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;

use crate::{
    config::Config,
    model::{Aliases, Secret, Setting, hosts},
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
    /// Host names by which the admin may be called, beside those that are known.
    pub allowed_hosts: Vec<String>,
    /// Further model names with presets.
    pub aliases: Arc<Aliases>,
}

/// The present settings; clones see changes.
#[derive(Clone, Debug)]
pub struct LiveSettings(Arc<ArcSwap<Settings>>);

impl Settings {
    /// What environment and flags fix, then what the table says, then defaults.
    pub fn resolve(config: &Config, table: &BTreeMap<String, String>, generated_key: Secret) -> Self {
        let value = |key: &str| {
            let Some(setting) = Setting::find(key) else { return String::new() };
            if let Some(fixed) = config.fixed.get(key) {
                return fixed.clone();
            }
            match table.get(key).map(|stored| setting.check(stored)) {
                Some(Ok(stored)) => stored,
                Some(Err(problem)) => {
                    tracing::warn!(key, problem, "this setting cannot be used; the default holds");
                    setting.default.to_owned()
                }
                None => setting.default.to_owned(),
            }
        };
        let given = |key: &str| Some(value(key)).filter(|v| !v.is_empty());
        let is_on = |key: &str| value(key) == "true";
        let number = |key: &str| value(key).parse::<u32>().unwrap_or(1);
        Self {
            gateway_key: config.gateway_key.clone().unwrap_or(generated_key),
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
            allowed_hosts: hosts(&value("allowed_hosts")).unwrap_or_default(),
            aliases: Arc::new(Aliases::parse(&value("model_aliases")).unwrap_or_default()),
        }
    }
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
