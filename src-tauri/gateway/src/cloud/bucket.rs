//! The calls: put, head, get, delete, list.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
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

use super::error::{BucketError, Fault, sorted};
use crate::model::{BucketConfig, MediaType, Millis, Sha256};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);

/// How long a call may take until its answer begins; an upload sends its body within it.
const CALL: Duration = Duration::from_secs(15 * 60);

/// How long a call without a body may take.
const SHORT: Duration = Duration::from_secs(30);

/// How long a download may be silent.
const IDLE: Duration = Duration::from_secs(30);

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
    /// As the server computed it, without quotes.
    pub etag: String,
    /// What it was stored with.
    pub metadata: HashMap<String, String>,
    /// When it was stored.
    pub changed: Option<Millis>,
    /// The time by the server's clock.
    pub server_time: Option<Millis>,
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
}

impl Downloading {
    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// [`BucketError`]: the connection broke, or was silent for too long.
    pub async fn next(&mut self) -> Result<Option<Bytes>, BucketError> {
        match tokio::time::timeout(IDLE, self.body.try_next()).await {
            Ok(Ok(chunk)) => Ok(chunk),
            Ok(Err(error)) => Err(BucketError::new(Fault::Busy, format!("the download broke off: {error}"))),
            Err(_) => Err(BucketError::new(Fault::Timeout, "the download went silent")),
        }
    }
}

impl Bucket {
    /// A client. Nothing is sent yet.
    pub fn new(config: BucketConfig) -> Self {
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).operation_timeout(CALL).build();
        let host = config.endpoint.host_str().unwrap_or_default();
        let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
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
            .timeout_config(timeouts)
            .credentials_provider(credentials)
            .http_client(http)
            .build();
        Self { client: Client::from_conf(sdk), config: Arc::new(config), unconditional: Arc::default() }
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
        match self.send(key, upload, conditional).await {
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
            .body(body);
        put.send().await.map(|_| ()).map_err(sorted)
    }

    /// Asks what is known of an object.
    ///
    /// # Errors
    /// [`BucketError`].
    pub async fn head(&self, key: &str) -> Result<Found, BucketError> {
        let head = self.client.head_object().bucket(&self.config.name).key(key).customize().config_override(short()).send().await;
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
        let sent = self.client.get_object().bucket(&self.config.name).key(key).send();
        let got = tokio::time::timeout(SHORT, sent).await.map_err(|_| BucketError::new(Fault::Timeout, "no answer in time"))?;
        let got = got.map_err(sorted)?;
        let found = Found {
            bytes: got.content_length().and_then(|n| u64::try_from(n).ok()).unwrap_or(0),
            etag: got.e_tag().unwrap_or_default().trim_matches('"').to_ascii_lowercase(),
            metadata: got.metadata().cloned().unwrap_or_default(),
            changed: got.last_modified().and_then(|time| time.to_millis().ok()),
            server_time: None,
        };
        Ok(Downloading { found, body: got.body })
    }

    /// Asks what is known of an object, and for its first bytes: one call, as cheap as [`Self::head`].
    ///
    /// # Errors
    /// [`BucketError`].
    pub async fn peek(&self, key: &str) -> Result<Peeked, BucketError> {
        let get = self.client.get_object().bucket(&self.config.name).key(key).range(format!("bytes=0-{}", PEEK - 1));
        let mut got = get.customize().config_override(short()).send().await.map_err(sorted)?;
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
            match tokio::time::timeout(IDLE, got.body.try_next()).await {
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
        let deleted = self.client.delete_object().bucket(&self.config.name).key(key).customize().config_override(short()).send().await;
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
        let list = self.client.list_objects_v2().bucket(&self.config.name).prefix(prefix).set_continuation_token(next);
        let page = list.customize().config_override(short()).send().await.map_err(sorted)?;
        let listed = |object: &aws_sdk_s3::types::Object| {
            let bytes = object.size().and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
            object.key().map(|key| Listed { key: key.to_owned(), bytes })
        };
        let next = page.next_continuation_token().map(str::to_owned).filter(|_| page.is_truncated() == Some(true));
        Ok((page.contents().iter().filter_map(listed).collect(), next))
    }

    /// Whether an object, whose bytes should be these, is whole there: its length, and a digest that the server computed.
    /// What we sent along as metadata proves nothing.
    ///
    /// # Errors
    /// [`BucketError`]; [`Fault::WrongBytes`] if it is another one, [`Fault::NoObject`] if there is none.
    pub async fn verify(&self, key: &str, bytes: u64, md5: &[u8; 16], sha256: Sha256) -> Result<(), BucketError> {
        let found = self.head(key).await?;
        if found.bytes != bytes {
            return Err(BucketError::new(Fault::WrongBytes, format!("the object has {} bytes instead of {bytes}", found.bytes)));
        }
        let expected: String = md5.iter().map(|byte| format!("{byte:02x}")).collect();
        if found.etag == expected {
            return Ok(());
        }
        // Some servers answer with something else than an MD5 (encrypted buckets): then the bytes themselves tell.
        self.verify_by_reading(key, bytes, sha256).await
    }

    /// The same by fetching it.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub async fn verify_by_reading(&self, key: &str, bytes: u64, sha256: Sha256) -> Result<(), BucketError> {
        use sha2::{Digest, Sha256 as Hasher};
        let mut download = self.get(key).await?;
        let (mut hasher, mut length) = (Hasher::new(), 0u64);
        while let Some(chunk) = download.next().await? {
            length += chunk.len() as u64;
            if length > bytes {
                break;
            }
            hasher.update(&chunk);
        }
        let same = length == bytes && Sha256(hasher.finalize().into()) == sha256;
        if same { Ok(()) } else { Err(BucketError::new(Fault::WrongBytes, "the object holds other bytes")) }
    }
}

fn short() -> aws_sdk_s3::config::Builder {
    aws_sdk_s3::Config::builder().timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT).operation_timeout(SHORT).build())
}
