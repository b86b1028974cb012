//! What each setting of the Python program is called here, and which of them are taken over: none that a person has set
//! here, and the gateway's key only where nobody uses another one yet.

use std::collections::BTreeMap;

use url::Url;

use super::{Import, ImportError, Report};
use crate::{
    model::{BUCKET_SECRET, Secret, Setting, now},
    store::{UpstreamRow, first_activity, image_figures, load_settings, save_settings, upstreams},
};

/// The Python program's column, and our setting.
const SAME: [(&str, &str); 6] = [
    ("gateway_model_name", "gateway_model"),
    ("public_base_url", "public_base_url"),
    ("allow_external_image_fetch", "fetch_external_images"),
    ("delete_r2_on_metadata_expire", "delete_cloud_with_metadata"),
    ("r2_account_id", "r2_account_id"),
    ("r2_access_key_id", "r2_access_key_id"),
];

/// Numbers of which one below zero deleted everything there. Here that is never meant.
const LIMITS: [(&str, &str); 3] =
    [("local_cache_ttl_hours", "cache_ttl_hours"), ("metadata_retention_days", "retention_days"), ("max_local_cache_mb", "cache_cap_mb")];

/// The model that is meant where none was named.
const MODEL: &str = "gpt-image-1";

/// The old settings by the names of their columns; empty where there is none.
#[derive(Clone, Copy)]
struct Old<'a>(&'a [(String, String)]);

impl<'a> Old<'a> {
    fn get(self, column: &str) -> &'a str {
        self.0.iter().find(|(name, _)| name == column).map_or("", |(_, value)| value.as_str())
    }
}

impl Import {
    pub(super) async fn take_all_settings(&self, found: &[(String, String)], report: &mut Report) -> Result<(), ImportError> {
        let old = Old(found);
        let db = self.library.db();
        let present = db.read(load_settings).await?;
        let mut values = BTreeMap::new();
        let has_bucket = ["r2_account_id", "r2_bucket", "s3_endpoint"].iter().any(|key| present.get(*key).is_some_and(|v| !v.is_empty()));
        let mut take = |column: &str, key: &str, value: &str, report: &mut Report| {
            let Some(setting) = Setting::find(key).filter(|_| !value.is_empty()) else { return };
            if present.contains_key(key) || (has_bucket && key.starts_with("r2_")) {
                report.note(column, "already_set", "it is set here already");
                return;
            }
            match setting.check(value) {
                Ok(value) if value == setting.default => {}
                Ok(value) => {
                    report.settings.push(column.to_owned());
                    values.insert(key.to_owned(), Some(value));
                }
                Err(problem) => report.note(column, "invalid", problem),
            }
        };
        for (column, key) in SAME {
            take(column, key, old.get(column), report);
        }
        take("r2_bucket_name", "r2_bucket", old.get("r2_bucket_name"), report);
        for (column, key) in LIMITS {
            let value = old.get(column);
            let below = value.starts_with('-');
            take(column, key, if below { "0" } else { value }, report);
            if below {
                report.note(column, "never", format!("{value} is taken for 'never'"));
            }
        }
        // Keys first: what broke off here is done again as a whole.
        self.take_keys(old, has_bucket, report).await?;
        self.take_upstream(old, report).await?;
        Ok(db.write(move |t| save_settings(t, &values, now())).await?)
    }

    async fn take_keys(&self, old: Old<'_>, has_bucket: bool, report: &mut Report) -> Result<(), ImportError> {
        let secret = old.get(BUCKET_SECRET);
        let fits = |key: &str| key.bytes().all(|b| b.is_ascii_graphic());
        if !secret.is_empty() && !has_bucket && self.vault.secrets().r2_secret_access_key.is_none() {
            if fits(secret) {
                let secret = Secret::new(secret);
                self.vault.change(move |secrets| secrets.r2_secret_access_key = Some(secret)).await?;
                report.settings.push(BUCKET_SECRET.into());
            } else {
                report.note(BUCKET_SECRET, "bad_key", "it holds characters that no key has");
            }
        }
        let column = "gateway_api_key";
        let key = old.get(column);
        if key == self.vault.secrets().gateway_key.expose() {
            return Ok(());
        }
        let in_use = self.library.db().read(|c| Ok(first_activity(c)?.is_some() || image_figures(c)?.total > 0)).await?;
        if key.is_empty() {
            report.note(column, "no_key", "the old program had none; clients need the key of this gateway now");
        } else if in_use {
            report.note(column, "key_in_use", "this gateway is in use with a key of its own; clients of the old program need that one");
        } else if !(8..=256).contains(&key.len()) || !fits(key) {
            report.note(column, "bad_key", "a key must have 8 to 256 letters, digits or signs; clients need the key of this gateway now");
        } else {
            self.vault.set_gateway_key(Secret::new(key)).await?;
            report.settings.push(column.into());
        }
        Ok(())
    }

    async fn take_upstream(&self, old: Old<'_>, report: &mut Report) -> Result<(), ImportError> {
        let (base_url, key, model) =
            (old.get("upstream_api_base").trim_end_matches('/'), old.get("upstream_api_key"), old.get("upstream_model_name"));
        if base_url.is_empty() {
            return Ok(());
        }
        let url = Url::parse(base_url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.username().is_empty());
        let Some(host) = url.as_ref().and_then(Url::host_str) else {
            report.note("upstream_api_base", "bad_address", "it is no plain address that begins with http:// or https://");
            return Ok(());
        };
        let model = if model.is_empty() { MODEL } else { model };
        let rows = self.library.db().read(upstreams::list).await?;
        let same = rows.iter().find(|row| row.base_url == base_url && row.model == model);
        let id = match same {
            Some(row) => row.id,
            None => {
                let host: String = host.chars().take(60).collect();
                let free = |name: &String| rows.iter().all(|row| row.name != *name);
                let name = (1..).map(|n| if n == 1 { host.clone() } else { format!("{host} {n}") }).find(free).unwrap_or(host.clone());
                let row = UpstreamRow {
                    id: 0,
                    name,
                    kind: "openai".into(),
                    base_url: base_url.into(),
                    model: model.into(),
                    dialect: None,
                    enabled: true,
                };
                report.settings.push("upstream_api_base".into());
                report.settings.push("upstream_model_name".into());
                self.library.db().write(move |t| upstreams::insert(t, &row, now())).await?
            }
        };
        if key.is_empty() || self.vault.secrets().upstream_keys.contains_key(&id) {
            return Ok(());
        }
        if !key.bytes().all(|b| b.is_ascii_graphic()) {
            report.note("upstream_api_key", "bad_key", "it holds characters that no key has");
            return Ok(());
        }
        let key = Secret::new(key);
        let base_url = base_url.to_owned();
        self.vault.change(move |secrets| secrets.set_upstream_key(id, &base_url, key)).await?;
        report.settings.push("upstream_api_key".into());
        Ok(())
    }
}
