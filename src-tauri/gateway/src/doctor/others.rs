//! Those whom the gateway needs: upstreams, the bucket, and somebody who knows what time it is.

use std::sync::Arc;

use super::{Finding, PATIENCE, Scene};
use crate::{
    cloud::{self, Bucket},
    model::{BUCKET_SECRET, Secret, missing_of_bucket, now},
    providers,
    relay::explain,
    upstream::{Upstream, UpstreamError, time_at},
};

/// A clock that is off by more than this is told, in milliseconds.
const CLOCK_NOTICED: i64 = 60_000;

/// Beyond this, buckets and certificates are refused sooner or later: S3 takes 15 minutes.
const CLOCK_WRONG: i64 = 5 * 60_000;

/// What the bucket is written for the check.
const SAMPLE: &[u8] = b"PicGate wrote this to see whether it can, and removes it again.\n";

/// Name and model of an upstream, and the upstream if it can be set up.
type Provider = (String, String, Result<Arc<dyn Upstream>, UpstreamError>);

/// Those that are asked: the fixed one and those of the table that are switched on.
fn providers(scene: &Scene<'_>) -> Vec<Provider> {
    let mut found: Vec<Provider> = Vec::new();
    match providers::fixed(scene.config) {
        Ok(fixed) => found.extend(fixed.map(|upstream| (upstream.name().to_owned(), upstream.model().to_owned(), Ok(upstream)))),
        Err(providers::ProviderError::Upstream { name, source }) => found.push((name, String::new(), Err(*source))),
        Err(providers::ProviderError::Db(_) | providers::ProviderError::Secrets(_)) => {}
    }
    let rows = scene.holds.iter().flat_map(|holds| &holds.upstreams).filter(|row| row.enabled);
    for row in rows {
        let key = scene.secrets.as_ref().and_then(|secrets| secrets.upstream_key(row.id, &row.base_url).cloned());
        let made = providers::from_row(row, key.unwrap_or_else(|| Secret::new("")));
        found.push((row.name.clone(), row.model.clone(), made));
    }
    found
}

/// Asks each for its models, which costs nothing.
pub(super) async fn upstreams(scene: &Scene<'_>) -> Vec<Finding> {
    let all = providers(scene);
    if all.iter().all(|(_, _, made)| made.as_ref().is_ok_and(|upstream| upstream.base().is_none())) {
        return vec![scene.finding("upstream_demo", &[])];
    }
    let asked = all.into_iter().map(async |(name, model, made)| {
        let listed = match made {
            Ok(upstream) if upstream.base().is_none() => return None,
            Ok(upstream) => tokio::time::timeout(PATIENCE, upstream.models())
                .await
                .unwrap_or_else(|_| Err(UpstreamError::ours(crate::upstream::Class::Timeout, "没有及时响应", "it did not answer in time"))),
            Err(error) => Err(error),
        };
        Some(match listed {
            Ok(models) => {
                let count = models.len().to_string();
                let code = if models.contains(&model) { "upstream_ok" } else { "upstream_no_model" };
                scene.finding(code, &[("name", &name), ("model", &model), ("count", &count)])
            }
            Err(error) => {
                let (problem, remedy) = explain(&error, scene.chinese, &model);
                scene.finding("upstream_failed", &[("name", &name), ("problem", &problem), ("remedy", remedy)])
            }
        })
    });
    futures_util::future::join_all(asked).await.into_iter().flatten().collect()
}

/// Writes, reads and deletes an object.
pub(super) async fn bucket(scene: &Scene<'_>, folder_is_usable: bool) -> Vec<Finding> {
    let mut found = Vec::new();
    match &scene.settings.bucket {
        None => found.push(match missing(scene) {
            Some(missing) => scene.finding("bucket_incomplete", &[("missing", &missing)]),
            None => scene.finding("bucket_none", &[]),
        }),
        Some(config) => {
            let name = format!("{}/{}", config.endpoint.host_str().unwrap_or_default(), config.name);
            found.push(match folder_is_usable {
                true => tried(scene, Bucket::new(config.clone()), &name).await,
                false => scene.finding("bucket_skipped", &[("bucket", &name)]),
            });
        }
    }
    if let Some((failed, error)) = scene.holds.as_ref().map(|holds| &holds.failed_copies).filter(|(failed, _)| *failed > 0)
        && scene.settings.bucket.is_some()
    {
        let error = error.clone().unwrap_or_default();
        found.push(scene.finding("copies_failing", &[("count", &failed.to_string()), ("error", &error)]));
    }
    found
}

/// What is missing of a bucket that somebody began to describe.
fn missing(scene: &Scene<'_>) -> Option<String> {
    let table = scene.holds.as_ref().map(|holds| &holds.settings);
    let has_secret =
        scene.config.bucket_secret.is_some() || scene.secrets.as_ref().is_some_and(|secrets| secrets.r2_secret_access_key.is_some());
    let is_set = |key: &str| {
        let stored = scene.config.fixed.get(key).or_else(|| table.and_then(|table| table.get(key)));
        if key == BUCKET_SECRET { has_secret } else { stored.is_some_and(|value| !value.is_empty()) }
    };
    // A secret alone may be left over from a bucket that is used no longer.
    let is_begun = ["r2_account_id", "r2_access_key_id", "r2_bucket", "s3_endpoint"].into_iter().any(is_set);
    is_begun.then(|| missing_of_bucket(&is_set).join(", "))
}

async fn tried(scene: &Scene<'_>, bucket: Bucket, name: &str) -> Finding {
    let id = uuid::Uuid::new_v4().to_string();
    let path = scene.layout.files.join("tmp").join(format!("{id}.check"));
    if let Err(error) = tokio::fs::write(&path, SAMPLE).await {
        return scene.finding("bucket_failed", &[("bucket", name), ("step", "disk"), ("problem", &error.to_string())]);
    }
    let steps = tokio::time::timeout(PATIENCE, cloud::check(&bucket, path.clone(), SAMPLE, &id)).await;
    // Gone already if the gateway was started meanwhile.
    let _ = tokio::fs::remove_file(&path).await;
    let Ok(steps) = steps else { return scene.finding("bucket_slow", &[("bucket", name)]) };
    match steps.into_iter().find_map(|step| step.error.map(|error| (step.step, error))) {
        None => scene.finding("bucket_ok", &[("bucket", name)]),
        Some((step, error)) => {
            let problem = cloud::explain(&error, scene.chinese);
            scene.finding("bucket_failed", &[("bucket", name), ("step", step), ("problem", &problem)])
        }
    }
}

/// Compares our clock with that of a server, else with the latest entry.
pub(super) async fn clock(scene: &Scene<'_>) -> Vec<Finding> {
    let by_entries = scene.holds.as_ref().map(|holds| holds.newest - now()).filter(|ahead| *ahead > CLOCK_WRONG);
    if let Some(ahead) = by_entries {
        return vec![scene.finding("clock_went_back", &[("minutes", &minutes(ahead))])];
    }
    let upstreams = providers(scene);
    let mut servers = upstreams.iter().filter_map(|(_, _, made)| made.as_ref().ok()?.base().cloned()).collect::<Vec<_>>();
    servers.extend(scene.settings.bucket.as_ref().map(|bucket| bucket.endpoint.clone()));
    for server in servers {
        let Some((theirs, ours)) = time_at(&server).await else { continue };
        let off = (ours - theirs).abs();
        let code = if off > CLOCK_WRONG {
            "clock_wrong"
        } else if off > CLOCK_NOTICED {
            "clock_off"
        } else {
            "clock_ok"
        };
        let host = server.host_str().unwrap_or_default().to_owned();
        return vec![scene.finding(code, &[("minutes", &minutes(off)), ("host", &host)])];
    }
    vec![scene.finding("clock_unknown", &[])]
}

fn minutes(milliseconds: i64) -> String {
    format!("{:.1}", milliseconds as f64 / 60_000.0)
}
