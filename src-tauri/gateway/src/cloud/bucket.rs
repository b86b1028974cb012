//! The calls: put, head, get, delete, list. Markers and the comparison of bytes are in files of their own.

mod marker;
mod verify;

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use aws_sdk_s3::{
    Client,
    config::{
        BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation, retry::RetryConfig,
        timeout::TimeoutConfig,
    },
    primitives::ByteStream,
};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use bytes::Bytes;

pub use marker::Marker;

use super::{
    error::{BucketError, Fault, sorted},
    limits::Short,
};
use crate::model::{BucketConfig, MediaType, Millis};

/// How long things may take.
#[derive(Clone, Copy, Debug)]
struct Times {
    /// Connecting.
    connect: Duration,
    /// A call without a body, and the beginning of a download.
    short: Duration,
    /// What a body may take on top of its length at [`SLOWEST`].
    body: Duration,
    /// Silence in a download.
    idle: Duration,
}

const TIMES: Times = Times {
    connect: Duration::from_secs(10),
    short: Duration::from_secs(30),
    body: Duration::from_secs(60),
    idle: Duration::from_secs(30),
};

/// Bytes in a second below which a connection counts as dead: the largest image then takes 34 minutes.
const SLOWEST: u64 = 32 * 1024;

/// Our clock and the server's may differ by so much; all servers allow for 15 minutes.
const SKEW_MAX: Millis = 5 * 60 * 1000;

/// Bytes of a file that are read at once.
const READ: usize = 128 * 1024;

/// First bytes of an object that tell what it is.
const PEEK: usize = 64;

/// Endpoints that want the bucket's name in the host; all others take it in the path.
const NAME_IN_HOST: [&str; 4] = [".amazonaws.com", ".aliyuncs.com", ".myqcloud.com", ".volces.com"];

/// A client of one bucket; clones share its connections.
#[derive(Clone, Debug)]
pub struct Bucket {
    client: Client,
    config: Arc<BucketConfig>,
    /// The server does not know `If-None-Match`.
    unconditional: Arc<AtomicBool>,
    times: Times,
}

/// What is put.
#[derive(Clone, Debug)]
pub struct Upload {
    /// The file with the bytes.
    pub path: PathBuf,
    /// How many.
    pub bytes: u64,
    /// Their MD5, which is what servers check and answer with.
    pub md5: [u8; 16],
    /// Their type.
    pub media_type: MediaType,
    /// What else the object carries: enough to make a row of it again.
    pub metadata: HashMap<String, String>,
}

/// What a bucket knows of an object.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Length in bytes.
    pub bytes: u64,
    /// As the server computed it, without quotes; empty where it is known to say nothing of the bytes.
    pub etag: String,
    /// What it was stored with.
    pub metadata: HashMap<String, String>,
    /// When it was stored.
    pub changed: Option<Millis>,
    /// The time by the server's clock.
    pub server_time: Option<Millis>,
}

impl Found {
    /// The MD5 of the bytes, if that is what the server's ETag is: a single PUT without the customer's own encryption.
    pub fn md5(&self) -> Option<[u8; 16]> {
        let mut md5 = [0; 16];
        let is_hex = self.etag.len() == 32 && self.etag.bytes().all(|byte| byte.is_ascii_hexdigit());
        for (at, byte) in md5.iter_mut().enumerate().filter(|_| is_hex) {
            *byte = u8::from_str_radix(self.etag.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        is_hex.then_some(md5)
    }
}

/// What is known of an object, and its first bytes.
#[derive(Clone, Debug, Default)]
pub struct Peeked {
    /// What is known of it.
    pub found: Found,
    /// At most [`PEEK`] of them.
    pub head: Vec<u8>,
}

/// An object of a listing.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its name.
    pub key: String,
    /// Length in bytes.
    pub bytes: u64,
}

/// An object that is on its way.
pub struct Downloading {
    /// What is known of it.
    pub found: Found,
    body: ByteStream,
    idle: Duration,
    until: Instant,
}

impl Downloading {
    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// [`BucketError`]: the connection broke, or was silent for too long.
    pub async fn next(&mut self) -> Result<Option<Bytes>, BucketError> {
        let left = self.until.saturating_duration_since(Instant::now());
        match tokio::time::timeout(self.idle.min(left), self.body.try_next()).await {
            Ok(Ok(chunk)) => Ok(chunk),
            Ok(Err(error)) => Err(BucketError::new(Fault::Busy, format!("the download broke off: {error}"))),
            Err(_) => Err(BucketError::new(Fault::Timeout, "the download went silent")),
        }
    }
}

impl Bucket {
    /// A client. Nothing is sent yet.
    pub fn new(config: BucketConfig) -> Self {
        Self::with(config, TIMES)
    }

    fn with(config: BucketConfig, times: Times) -> Self {
        let host = config.endpoint.host_str().unwrap_or_default();
        let connections = aws_smithy_http_client::Builder::new();
        let http = match config.endpoint.scheme() {
            // Reading all the certificates that a computer trusts takes a while, and nobody would look at them.
            "http" => connections.build_http(),
            _ => connections.tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https(),
        };
        let credentials = Credentials::new(&config.access_key_id, config.secret_access_key.expose(), None, None, "picgate");
        let sdk = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(config.region.clone()))
            .endpoint_url(config.endpoint.as_str())
            .force_path_style(!NAME_IN_HOST.iter().any(|end| host.ends_with(end)))
            // R2 refuses a request with two checksums; ours is Content-MD5.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .retry_config(RetryConfig::disabled())
            .credentials_provider(credentials)
            .http_client(http)
            .interceptor(Short::REFUSALS)
            .build();
        Self { client: Client::from_conf(sdk), config: Arc::new(config), unconditional: Arc::default(), times }
    }

    /// How long a body of so many bytes may take.
    fn body_time(&self, bytes: u64) -> Duration {
        self.times.body + Duration::from_secs(bytes / SLOWEST)
    }

    fn within(&self, time: Duration) -> aws_sdk_s3::config::Builder {
        let timeouts = TimeoutConfig::builder().connect_timeout(self.times.connect).operation_timeout(time).build();
        aws_sdk_s3::Config::builder().timeout_config(timeouts)
    }

    /// For calls that need no long answer.
    fn short(&self) -> aws_sdk_s3::config::Builder {
        self.within(self.times.short).interceptor(Short::ANSWERS)
    }

    /// Whether a refusal told us that our clock is off. The SDK has learnt the server's time from it and signs with that, so
    /// the same again may work.
    fn learns_time(error: &BucketError) -> bool {
        let Some(ahead) = error.ahead.filter(|_| matches!(error.fault, Fault::ClockSkew | Fault::Forbidden)) else { return false };
        let learns = ahead.abs() > SKEW_MAX;
        if learns {
            tracing::warn!(error = error.words, seconds = ahead / 1000, "this computer's clock is off; the bucket is spoken to by its own");
        }
        learns
    }

    /// Where it is.
    pub fn config(&self) -> &BucketConfig {
        &self.config
    }

    /// Puts an object. With `new_only` it must not exist yet, as far as the server can promise that.
    ///
    /// # Errors
    /// [`BucketError`]; [`Fault::Exists`] if there is one.
    pub async fn put(&self, key: &str, upload: &Upload, new_only: bool) -> Result<(), BucketError> {
        let conditional = new_only && !self.unconditional.load(Ordering::Relaxed);
        let sent = match self.send(key, upload, conditional).await {
            Err(error) if Self::learns_time(&error) => self.send(key, upload, conditional).await,
            sent => sent,
        };
        match sent {
            Err(error) if conditional && error.fault == Fault::Unsupported => {
                self.unconditional.store(true, Ordering::Relaxed);
                self.send(key, upload, false).await
            }
            result => result,
        }
    }

    async fn send(&self, key: &str, upload: &Upload, conditional: bool) -> Result<(), BucketError> {
        let body = ByteStream::read_from().path(&upload.path).buffer_size(READ).build().await;
        let body = body.map_err(|e| BucketError::new(Fault::Disk, e.to_string()))?;
        let put = self
            .client
            .put_object()
            .bucket(&self.config.name)
            .key(key)
            .content_length(i64::try_from(upload.bytes).unwrap_or(i64::MAX))
            .content_type(upload.media_type.mime())
            .content_md5(base64_simd::STANDARD.encode_to_string(upload.md5))
            .cache_control("public, max-age=31536000, immutable")
            .set_metadata(Some(upload.metadata.clone()))
            .set_if_none_match(conditional.then(|| "*".to_owned()))
            .body(body)
            .customize()
            .config_override(self.within(self.body_time(upload.bytes)).interceptor(Short::ANSWERS));
        put.send().await.map(|_| ()).map_err(sorted)
    }

    /// Asks what is known of an object.
    ///
    /// # Errors
    /// [`BucketError`].
    pub async fn head(&self, key: &str) -> Result<Found, BucketError> {
        match self.head_once(key).await {
            Err(error) if Self::learns_time(&error) => self.head_once(key).await,
            found => found,
        }
    }

    async fn head_once(&self, key: &str) -> Result<Found, BucketError> {
        let head = self.client.head_object().bucket(&self.config.name).key(key).customize().config_override(self.short()).send().await;
        let head = head.map_err(sorted)?;
        Ok(Found {
            bytes: head.content_length().and_then(|n| u64::try_from(n).ok()).unwrap_or(0),
            etag: head.e_tag().unwrap_or_default().trim_matches('"').to_ascii_lowercase(),
            metadata: head.metadata().cloned().unwrap_or_default(),
            changed: head.last_modified().and_then(|time| time.to_millis().ok()),
            server_time: None,
        })
    }

    /// Begins to fetch an object.
    ///
    /// # Errors
    /// [`BucketError`].
    pub async fn get(&self, key: &str) -> Result<Downloading, BucketError> {
        match self.get_once(key).await {
            Err(error) if Self::learns_time(&error) => self.get_once(key).await,
            got => got,
        }
    }

    async fn get_once(&self, key: &str) -> Result<Downloading, BucketError> {
        let sent = self.client.get_object().bucket(&self.config.name).key(key).customize().config_override(self.connecting()).send();
        let got = tokio::time::timeout(self.times.short, sent).await.map_err(|_| BucketError::new(Fault::Timeout, "no answer in time"))?;
        let got = got.map_err(sorted)?;
        // Where the server keeps bytes encrypted with a key of the customer's, its ETag looks like an MD5 and is none.
        let sealed =
            got.server_side_encryption().is_some_and(|how| how.as_str().starts_with("aws:kms")) || got.sse_customer_algorithm().is_some();
        let etag = got.e_tag().filter(|_| !sealed).unwrap_or_default();
        let found = Found {
            bytes: got.content_length().and_then(|n| u64::try_from(n).ok()).unwrap_or(0),
            etag: etag.trim_matches('"').to_ascii_lowercase(),
            metadata: got.metadata().cloned().unwrap_or_default(),
            changed: got.last_modified().and_then(|time| time.to_millis().ok()),
            server_time: None,
        };
        let until = Instant::now() + self.body_time(found.bytes);
        Ok(Downloading { found, body: got.body, idle: self.times.idle, until })
    }

    /// No end: that of a download is its own.
    fn connecting(&self) -> aws_sdk_s3::config::Builder {
        aws_sdk_s3::Config::builder().timeout_config(TimeoutConfig::builder().connect_timeout(self.times.connect).build())
    }

    /// Asks what is known of an object, and for its first bytes: one call, as cheap as [`Self::head`].
    ///
    /// # Errors
    /// [`BucketError`].
    pub async fn peek(&self, key: &str) -> Result<Peeked, BucketError> {
        let get = self.client.get_object().bucket(&self.config.name).key(key).range(format!("bytes=0-{}", PEEK - 1));
        let mut got = get.customize().config_override(self.within(self.times.short)).send().await.map_err(sorted)?;
        // `bytes 0-63/12345`; a server that knows no ranges sends all of it, of which only the beginning is read.
        let whole = got.content_range().and_then(|range| range.rsplit('/').next()).and_then(|total| total.parse().ok());
        let announced = got.content_length().and_then(|n| u64::try_from(n).ok());
        let found = Found {
            bytes: whole.or(announced).unwrap_or(0),
            etag: got.e_tag().unwrap_or_default().trim_matches('"').to_ascii_lowercase(),
            metadata: got.metadata().cloned().unwrap_or_default(),
            changed: got.last_modified().and_then(|time| time.to_millis().ok()),
            server_time: None,
        };
        let mut head = Vec::new();
        while head.len() < PEEK {
            match tokio::time::timeout(self.times.idle, got.body.try_next()).await {
                Ok(Ok(Some(chunk))) => head.extend_from_slice(&chunk[..chunk.len().min(PEEK - head.len())]),
                Ok(Ok(None)) => break,
                Ok(Err(error)) => return Err(BucketError::new(Fault::Busy, format!("the download broke off: {error}"))),
                Err(_) => return Err(BucketError::new(Fault::Timeout, "the download went silent")),
            }
        }
        Ok(Peeked { found, head })
    }

    /// Removes an object; one that is not there is as good.
    ///
    /// # Errors
    /// [`BucketError`].
    pub async fn delete(&self, key: &str) -> Result<(), BucketError> {
        match self.delete_once(key).await {
            Err(error) if Self::learns_time(&error) => self.delete_once(key).await,
            deleted => deleted,
        }
    }

    async fn delete_once(&self, key: &str) -> Result<(), BucketError> {
        let delete = self.client.delete_object().bucket(&self.config.name).key(key).customize().config_override(self.short());
        let deleted = delete.send().await;
        match deleted.map_err(sorted) {
            Err(error) if error.fault == Fault::NoObject => Ok(()),
            result => result.map(|_| ()),
        }
    }

    /// A page of the objects under `prefix`, and where the next one begins.
    ///
    /// # Errors
    /// [`BucketError`].
    pub async fn list(&self, prefix: &str, next: Option<String>) -> Result<(Vec<Listed>, Option<String>), BucketError> {
        match self.list_once(prefix, next.clone()).await {
            Err(error) if Self::learns_time(&error) => self.list_once(prefix, next).await,
            page => page,
        }
    }

    async fn list_once(&self, prefix: &str, next: Option<String>) -> Result<(Vec<Listed>, Option<String>), BucketError> {
        let list = self.client.list_objects_v2().bucket(&self.config.name).prefix(prefix).set_continuation_token(next);
        let limits = self.within(self.times.short).interceptor(Short::LISTS);
        let page = list.customize().config_override(limits).send().await.map_err(sorted)?;
        let listed = |object: &aws_sdk_s3::types::Object| {
            let bytes = object.size().and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
            object.key().map(|key| Listed { key: key.to_owned(), bytes })
        };
        let next = page.next_continuation_token().map(str::to_owned).filter(|_| page.is_truncated() == Some(true));
        Ok((page.contents().iter().filter_map(listed).collect(), next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Secret;

    /// A connection that is open and leads nowhere, as after a laptop's sleep or behind a router that forgot it.
    #[tokio::test]
    async fn no_call_waits_for_ever_for_a_server_that_says_nothing() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("listens");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address")).parse().expect("a URL");
        let silent = tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((socket, _)) = listener.accept().await {
                held.push(socket);
            }
        });
        let moment = Duration::from_millis(200);
        let times = Times { connect: moment, short: moment, body: moment, idle: moment };
        let (region, name, prefix) = ("auto".to_owned(), "pictures".to_owned(), String::new());
        let (access_key_id, secret_access_key) = ("AKID".to_owned(), Secret::new("secret".to_owned()));
        let bucket = Bucket::with(BucketConfig { endpoint, region, name, prefix, access_key_id, secret_access_key }, times);
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("file");
        std::fs::write(&path, b"some bytes").expect("writes");
        let upload = Upload { path, bytes: 10, md5: [0; 16], media_type: MediaType::Png, metadata: HashMap::new() };
        let began = Instant::now();
        assert_eq!(bucket.put("a", &upload, true).await.map_err(|error| error.fault), Err(Fault::Timeout));
        assert_eq!(bucket.head("a").await.map_err(|error| error.fault).err(), Some(Fault::Timeout));
        assert_eq!(bucket.get("a").await.map_err(|error| error.fault).err(), Some(Fault::Timeout));
        assert_eq!(bucket.delete("a").await.map_err(|error| error.fault), Err(Fault::Timeout));
        assert_eq!(bucket.list("", None).await.map_err(|error| error.fault).err(), Some(Fault::Timeout));
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
        silent.abort();
    }
}
