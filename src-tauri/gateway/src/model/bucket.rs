//! Where a bucket is and who we are to it; nothing about how it is spoken to.

use url::Url;

use super::{ImageId, Secret};

/// The folder of markers, below the prefix.
pub const MARKERS: &str = "deleted/";

/// Everything that is needed to use an S3-compatible bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketConfig {
    /// `https://{account id}.r2.cloudflarestorage.com`, or that of another server.
    pub endpoint: Url,
    /// `auto` for R2.
    pub region: String,
    /// The bucket's name.
    pub name: String,
    /// What all keys of ours begin with; may be empty.
    pub prefix: String,
    /// Who we are.
    pub access_key_id: String,
    /// And the proof of it.
    pub secret_access_key: Secret,
}

impl BucketConfig {
    /// The object of an image. No extension: a link alone finds it.
    pub fn key(&self, id: ImageId) -> String {
        format!("{}{id}", self.prefix)
    }

    /// Where other gateways on the same bucket are told why the object of an image is not there.
    pub fn marker_key(&self, id: ImageId) -> String {
        format!("{}{MARKERS}{id}", self.prefix)
    }

    /// Tells this place from others; other credentials for it do not count.
    pub fn place(&self) -> String {
        format!("{}|{}|{}", self.endpoint.as_str().trim_end_matches('/'), self.name, self.prefix)
    }

    /// For a person: host and bucket.
    pub fn label(&self) -> String {
        format!("{}/{}", self.endpoint.host_str().unwrap_or_default(), self.name)
    }
}

/// The variables without which nobody can use a bucket; `is_set` tells of settings by their keys. The account is another way to
/// name the endpoint.
pub fn missing_of_bucket(is_set: &dyn Fn(&str) -> bool) -> Vec<&'static str> {
    const PARTS: [(&[&str], &str); 4] = [
        (&["r2_account_id", "s3_endpoint"], "PICGATE_R2_ACCOUNT_ID/PICGATE_S3_ENDPOINT"),
        (&["r2_access_key_id"], "PICGATE_R2_ACCESS_KEY_ID"),
        (&[super::BUCKET_SECRET], "PICGATE_R2_SECRET_ACCESS_KEY"),
        (&["r2_bucket"], "PICGATE_R2_BUCKET"),
    ];
    PARTS.into_iter().filter(|(keys, _)| !keys.iter().any(|key| is_set(key))).map(|(_, names)| names).collect()
}

/// A [place](BucketConfig::place) for a person: host, bucket and prefix.
pub fn place_label(place: &str) -> String {
    let mut parts = place.splitn(3, '|');
    let (endpoint, rest) = (parts.next().unwrap_or_default(), parts.collect::<Vec<_>>().join("/"));
    let host = Url::parse(endpoint).ok().and_then(|url| url.host_str().map(str::to_owned));
    format!("{}/{rest}", host.as_deref().unwrap_or(endpoint)).trim_end_matches('/').to_owned()
}

/// The key under which the Python program kept an image.
pub fn python_key(id: ImageId) -> String {
    format!("openwebui/{id}.png")
}
