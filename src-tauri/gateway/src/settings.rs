//! Settings that may change while the program runs: a snapshot that every request takes once.

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;

use crate::{
    config::{Config, DEFAULT_GATEWAY_MODEL},
    model::Secret,
};

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
}

/// The present settings; clones see changes.
#[derive(Clone, Debug)]
pub struct LiveSettings(Arc<ArcSwap<Settings>>);

impl Settings {
    /// What environment and flags fix, then what the table says, then defaults.
    pub fn resolve(config: &Config, table: &BTreeMap<String, String>, generated_key: Secret) -> Self {
        let stored = |key: &str| table.get(key).filter(|v| !v.is_empty()).cloned();
        Self {
            gateway_key: config.gateway_key.clone().unwrap_or(generated_key),
            gateway_model: config.gateway_model.clone().or_else(|| stored("gateway_model")).unwrap_or_else(|| DEFAULT_GATEWAY_MODEL.into()),
            public_base_url: config.public_base_url.clone().or_else(|| stored("public_base_url")),
            keep_uploads: stored("keep_uploads").is_none_or(|v| v != "false"),
            fetch_external_images: config.fetch_external_images || stored("fetch_external_images").is_some_and(|v| v == "true"),
        }
    }
}

impl LiveSettings {
    /// Settings that begin as `settings`.
    pub fn new(settings: Settings) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(settings)))
    }

    /// The present view.
    pub fn snapshot(&self) -> Arc<Settings> {
        self.0.load_full()
    }
}
