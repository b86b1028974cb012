//! The upstreams that are asked: what the environment fixes stands before what the table says, and the demo is there when
//! nothing else is.

use std::sync::Arc;

use crate::{
    config::{Config, UpstreamChoice},
    model::{Dialect, Secret},
    store::{Db, DbError, Secrets, SecretsError, UpstreamRow, Vault, upstreams},
    upstream::{Demo, OpenAi, OpenAiConfig, Routes, Upstream, UpstreamError},
};

/// An upstream that cannot be used, and why.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// The table cannot be read.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The file of keys cannot be written.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// It cannot be set up.
    #[error("the upstream '{name}' cannot be used: {source}")]
    Upstream {
        /// What the user calls it.
        name: String,
        /// Why.
        source: Box<UpstreamError>,
    },
}

/// The upstream that is fixed from outside.
pub fn fixed(config: &Config) -> Result<Option<Arc<dyn Upstream>>, ProviderError> {
    match &config.upstream {
        None => Ok(None),
        Some(UpstreamChoice::Demo) => Ok(Some(Arc::new(Demo::default()))),
        Some(UpstreamChoice::OpenAi { base_url, api_key, model, dialect }) => {
            let name = base_url.host_str().unwrap_or("upstream").to_owned();
            let made = OpenAi::new(OpenAiConfig {
                name: name.clone(),
                base_url: base_url.clone(),
                api_key: api_key.clone(),
                model: model.clone(),
                dialect: *dialect,
            });
            let made = made.map(|upstream| Some(Arc::new(upstream) as Arc<dyn Upstream>));
            made.map_err(|source| ProviderError::Upstream { name, source: Box::new(source) })
        }
    }
}

/// The upstream of a row.
///
/// # Errors
/// [`UpstreamError`] if it cannot be set up.
pub fn from_row(row: &UpstreamRow, api_key: Secret) -> Result<Arc<dyn Upstream>, UpstreamError> {
    if row.kind == "demo" {
        return Ok(Arc::new(Demo::default()));
    }
    let bad_url = |_| UpstreamError::ours(crate::upstream::Class::Connection, "它的地址不是有效的网址", "its base URL is not valid");
    let config = OpenAiConfig {
        name: row.name.clone(),
        base_url: row.base_url.parse().map_err(bad_url)?,
        api_key,
        model: row.model.clone(),
        dialect: row.dialect.as_deref().and_then(Dialect::parse),
    };
    Ok(Arc::new(OpenAi::new(config)?))
}

/// Drops keys whose upstream is gone, as after the end of the program in the middle of removing one.
///
/// # Errors
/// [`ProviderError`]; the keys are as they were then.
pub async fn forget_stray_keys(db: &Db, vault: &Vault) -> Result<(), ProviderError> {
    let rows = db.read(upstreams::list).await?;
    let is_stray = move |id: &i64| !rows.iter().any(|row| row.id == *id);
    if vault.secrets().upstream_keys.keys().any(&is_stray) {
        let stray = move |secrets: &mut Secrets| {
            let gone: Vec<i64> = secrets.upstream_keys.keys().copied().filter(|id| is_stray(id)).collect();
            gone.into_iter().for_each(|id| secrets.forget_upstream(id));
        };
        vault.change(stray).await?;
    }
    Ok(())
}

/// Both at a start; what does not work stays as it is, and the log says so.
pub async fn tidy_keys(db: &Db, vault: &Vault) {
    if let Err(error) = forget_stray_keys(db, vault).await {
        tracing::warn!(%error, "keys of removed upstreams stay for now");
    }
    if let Err(error) = note_origins(db, vault).await {
        tracing::warn!(%error, "it cannot be noted which servers the keys of upstreams are for");
    }
}

/// Notes for keys of before servers were noted which one they are for: the one that is asked with them now.
///
/// # Errors
/// [`ProviderError`]; the keys are as they were then.
async fn note_origins(db: &Db, vault: &Vault) -> Result<(), ProviderError> {
    let secrets = vault.secrets();
    let mut rows = db.read(upstreams::list).await?;
    rows.retain(|row| secrets.upstream_keys.contains_key(&row.id) && !secrets.upstream_origins.contains_key(&row.id));
    if rows.is_empty() {
        return Ok(());
    }
    let note = move |secrets: &mut Secrets| {
        for row in rows {
            if let Some(key) = secrets.upstream_keys.get(&row.id).cloned() {
                secrets.set_upstream_key(row.id, &row.base_url, key);
            }
        }
    };
    Ok(vault.change(note).await?)
}

/// All of them, the preferred one first. A row that cannot be used is passed over, and the log says why.
///
/// # Errors
/// [`ProviderError`].
pub async fn routes(config: &Config, db: &Db, secrets: &Secrets) -> Result<Routes, ProviderError> {
    let mut found: Vec<Arc<dyn Upstream>> = fixed(config)?.into_iter().collect();
    for row in db.read(upstreams::list).await?.into_iter().filter(|row| row.enabled) {
        if let Some(server) = secrets.held_back(row.id, &row.base_url) {
            tracing::error!(
                event = "key_held_back",
                upstream = row.name,
                server,
                "the key of this upstream was entered for another server and is not sent; enter the key again"
            );
        }
        let api_key = secrets.upstream_key(row.id, &row.base_url).cloned().unwrap_or_else(|| Secret::new(""));
        match from_row(&row, api_key) {
            Ok(upstream) => found.push(upstream),
            Err(error) => tracing::warn!(upstream = row.name, %error, "this upstream is passed over"),
        }
    }
    let mut found = found.into_iter();
    let first = found.next().unwrap_or_else(|| Arc::new(Demo::default()));
    Ok(Routes::new(first, found.collect()))
}
