//! The calls to a bucket against another server than the usual one: moto's, which many programs are tested with.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use picgate_gateway::{
    cloud::{Bucket, Fault, Upload, check},
    model::{BucketConfig, MediaType, Secret, Sha256},
};
use serde_json::{Value, json};
use sha2::Digest;

use crate::{
    sdk::program,
    support::{
        FakeUpstream, TestApp,
        admin::{Admin, draw, run_job, until_cloud},
        eventually, pictures,
    },
};

/// The server, as long as this lives.
struct Moto {
    child: Child,
    url: String,
    key: String,
    secret: String,
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Nothing if there is no Python that has it.
fn moto() -> Option<Moto> {
    let python = program("PICGATE_SDK_PYTHON", "a Python with what tests/sdk/requirements.txt names")?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/sdk/bucket.py");
    let mut child = Command::new(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = lines.by_ref().map_while(Result::ok).find(|line| line.starts_with("ready ")).expect("moto starts");
    let words: Vec<String> = ready.split(' ').map(str::to_owned).collect();
    // What it says later is of no interest, but somebody has to take it.
    std::thread::spawn(move || lines.for_each(drop));
    Some(Moto { child, url: words[1].clone(), key: words[2].clone(), secret: words[3].clone() })
}

impl Moto {
    fn bucket(&self, name: &str, secret: &str) -> Bucket {
        Bucket::new(BucketConfig {
            endpoint: self.url.parse().unwrap(),
            region: "us-east-1".into(),
            name: name.into(),
            prefix: "picgate/".into(),
            access_key_id: self.key.clone(),
            secret_access_key: Secret::new(secret.to_owned()),
        })
    }
}

fn upload(path: &Path, bytes: &[u8]) -> Upload {
    std::fs::write(path, bytes).unwrap();
    let metadata = [("sha256".to_owned(), pictures::sha256(bytes))].into();
    Upload { path: path.to_owned(), bytes: bytes.len() as u64, md5: md5::Md5::digest(bytes).into(), media_type: MediaType::Png, metadata }
}

#[tokio::test]
async fn every_call_is_understood_by_another_server() {
    let Some(moto) = moto() else { return };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (dir, bucket) = (tempfile::tempdir().unwrap(), moto.bucket("pictures", &moto.secret));
    let bytes = pictures::large(1, 300_000);
    let upload_of = upload(&dir.path().join("one"), &bytes);
    bucket.put("picgate/one", &upload_of, true).await.unwrap();
    assert_eq!(bucket.put("picgate/one", &upload_of, true).await.unwrap_err().fault, Fault::Exists, "If-None-Match");
    bucket.put("picgate/one", &upload_of, false).await.unwrap();
    let found = bucket.head("picgate/one").await.unwrap();
    let md5: String = upload_of.md5.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!((found.bytes, found.etag, found.metadata), (300_000, md5, upload_of.metadata.clone()));
    let sha256 = Sha256(sha2::Sha256::digest(&bytes).into());
    bucket.verify("picgate/one", 300_000, &upload_of.md5, sha256).await.unwrap();
    bucket.verify_by_reading("picgate/one", 300_000, sha256).await.unwrap();
    let other = Sha256(sha2::Sha256::digest(b"other").into());
    assert_eq!(bucket.verify_by_reading("picgate/one", 300_000, other).await.unwrap_err().fault, Fault::WrongBytes);
    let small = upload(&dir.path().join("small"), &pictures::png(1, 4));
    for number in 0..3 {
        bucket.put(&format!("picgate/many/{number}"), &small, true).await.unwrap();
    }
    let (listed, next) = bucket.list("picgate/many/", None).await.unwrap();
    let keys: Vec<&str> = listed.iter().map(|one| one.key.as_str()).collect();
    assert_eq!((keys, next), (vec!["picgate/many/0", "picgate/many/1", "picgate/many/2"], None));
    bucket.delete("picgate/one").await.unwrap();
    bucket.delete("picgate/one").await.unwrap();
    assert_eq!(bucket.head("picgate/one").await.unwrap_err().fault, Fault::NoObject);
    assert_eq!(bucket.get("picgate/one").await.err().unwrap().fault, Fault::NoObject);
    let failed = check(&moto.bucket("nowhere", &moto.secret), small.path.clone(), &pictures::png(1, 4), "x").await;
    assert_eq!(failed[0].error.as_ref().map(|error| error.fault), Some(Fault::NoBucket));
    let refused = moto.bucket("pictures", "another-secret").get("picgate/one").await.err().unwrap();
    assert_eq!(refused.fault, Fault::WrongSecret, "{refused}");
}

#[tokio::test]
async fn an_image_goes_to_another_server_and_comes_back() {
    let Some(moto) = moto() else { return };
    let upstream = FakeUpstream::start().await;
    let variables = [
        ("PICGATE_S3_ENDPOINT", moto.url.as_str()),
        ("PICGATE_S3_REGION", "us-east-1"),
        ("PICGATE_R2_ACCESS_KEY_ID", &moto.key),
        ("PICGATE_R2_SECRET_ACCESS_KEY", &moto.secret),
        ("PICGATE_R2_BUCKET", "pictures"),
    ];
    let app = TestApp::over_with(&upstream, "up-model", &variables).await;
    let admin = Admin::set_up(&app).await;
    let tested: Value = admin.send(reqwest::Method::POST, "bucket/test", &json!({})).await;
    assert_eq!(tested["ok"], true, "{tested}");
    let id = draw(&app, &upstream, "far", 1, 64).await;
    until_cloud(&admin, &id, "stored").await;
    run_job(&admin, &json!({"kind": "clear_local"})).await;
    assert_eq!(app.image(&format!("/images/{id}")).await, pictures::png(1, 64));
    admin.send(reqwest::Method::POST, "images/delete", &json!({"ids": [id], "what": "all"})).await;
    let bucket = moto.bucket("pictures", &moto.secret);
    let key = format!("picgate/{id}");
    eventually("the object to go", async || bucket.head(&key).await.is_err().then_some(())).await;
    assert_eq!(app.get(&format!("/images/{id}")).await.status(), 404);
}
