//! Copies in a bucket: how fast a backlog is uploaded against the same calls by a program that does nothing else, what that
//! costs in memory, whether the admin's pages stay quick, and how soon the first byte of an image comes back.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use picgate_gateway::{
    cloud::{Bucket, Upload},
    model::{BucketConfig, MediaType, Secret, Sha256},
};
use sha2::Digest;

use crate::{
    bucket,
    children::{Bench, Gateway, Running, command, part},
    http::{Conn, get, post},
    pictures::template,
    procfs::{Sampler, anonymous_kb},
    relaying::{drawing, is_equal, link, load},
    report::{Report, Row, median, percentile, say},
};

/// Images that wait when the bucket is set; `PICGATE_BACKLOG` names another number, for a quick look.
const BACKLOG: usize = 10_000;

fn backlog() -> usize {
    std::env::var("PICGATE_BACKLOG").ok().and_then(|number| number.parse().ok()).unwrap_or(BACKLOG)
}

/// Images of the other side: enough for a rate, and no more objects in the server's folder than there are anyway.
const PLAIN: usize = 2_000;

/// Uploads at once, on both sides.
const AT_ONCE: usize = 4;

/// Times that an image is fetched back.
const RESTORES: usize = 15;

/// What the admin's pages ask for.
const PAGES: [&str; 4] = ["stats", "images?limit=100", "jobs", "cache"];

/// Longest wait for the backlog.
const LONGEST: Duration = Duration::from_secs(300);

/// The admin of this benchmark.
struct Admin {
    conn: Conn,
    cookie: String,
}

impl Admin {
    fn sign_in(address: SocketAddr) -> Self {
        let mut conn = Conn::open(address).expect("connects");
        let body = r#"{"username":"admin","password":"correct horse"}"#;
        let request = String::from_utf8(post("/admin/api/session/login", body)).expect("text");
        let head = conn.exchange(request.replacen("\r\n", "\r\nX-PicGate: 1\r\n", 1).as_bytes(), &mut |_| {}).expect("an answer");
        let cookie = head.header("set-cookie").unwrap_or_else(|| panic!("no session: {}", head.text));
        let cookie = cookie.split(';').next().expect("a cookie").to_owned();
        Self { conn, cookie }
    }

    fn get(&mut self, path: &str) -> serde_json::Value {
        let header = format!("Cookie: {}\r\n", self.cookie);
        let body = self.conn.ask(&get("GET", &format!("/admin/api/{path}"), &header)).expect("an answer");
        serde_json::from_slice(&body).expect("JSON")
    }

    fn job(&mut self, kind: &str) {
        let request = String::from_utf8(post("/admin/api/jobs", &format!(r#"{{"kind":"{kind}"}}"#))).expect("text");
        let request = request.replacen("\r\n", &format!("\r\nX-PicGate: 1\r\nCookie: {}\r\n", self.cookie), 1);
        self.conn.ask(request.as_bytes()).expect("an answer");
        while self.get("jobs")["items"][0]["state"] == "running" {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The server, its address, and the variables that make a gateway use it.
fn server(bench: &Bench) -> (Running, BucketConfig, Vec<(&'static str, String)>) {
    let folder = bench.folder("bucket");
    let (running, address) = part(&["bucket", &folder.to_string_lossy()]);
    let config = BucketConfig {
        endpoint: format!("http://{address}").parse().expect("a URL"),
        region: "auto".into(),
        name: bucket::NAME.into(),
        prefix: "plain/".into(),
        access_key_id: bucket::KEY_ID.into(),
        secret_access_key: Secret::new(bucket::SECRET.to_owned()),
    };
    let variables = vec![
        ("PICGATE_S3_ENDPOINT", format!("http://{address}")),
        ("PICGATE_R2_ACCESS_KEY_ID", bucket::KEY_ID.into()),
        ("PICGATE_R2_SECRET_ACCESS_KEY", bucket::SECRET.into()),
        ("PICGATE_R2_BUCKET", bucket::NAME.into()),
    ];
    (running, config, variables)
}

const ADMIN: [(&str, &str); 2] = [("PICGATE_ADMIN_USERNAME", "admin"), ("PICGATE_ADMIN_PASSWORD", "correct horse")];

fn with_admin(variables: &[(&'static str, String)]) -> Vec<(&'static str, String)> {
    ADMIN.iter().map(|(name, value)| (*name, (*value).to_owned())).chain(variables.iter().cloned()).collect()
}

/// Uploads in a second by a program that does nothing else: each image is put and asked for, four at a time.
fn plain_rate(config: &BucketConfig, folder: &Path) -> f64 {
    let template = template("200k");
    let files: Vec<Upload> = (0..64u32)
        .map(|number| {
            let mut bytes = template.bytes.clone();
            bytes[..crate::pictures::HEAD].copy_from_slice(&template.head(number));
            let path = folder.join(number.to_string());
            std::fs::write(&path, &bytes).expect("writes");
            let md5 = md5::Md5::digest(&bytes).into();
            let metadata = [("sha256".to_owned(), Sha256(sha2::Sha256::digest(&bytes).into()).to_string())].into();
            Upload { path, bytes: bytes.len() as u64, md5, media_type: MediaType::Png, metadata }
        })
        .collect();
    let (bucket, files, next) = (Bucket::new(config.clone()), Arc::new(files), Arc::new(AtomicUsize::new(0)));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let began = Instant::now();
        let clients = (0..AT_ONCE).map(|_| {
            let (bucket, files, next) = (bucket.clone(), files.clone(), next.clone());
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= PLAIN {
                        return;
                    }
                    let (key, file) = (format!("{}{number}", bucket.config().prefix), &files[number % files.len()]);
                    bucket.put(&key, file, true).await.expect("puts");
                    let found = bucket.head(&key).await.expect("answers");
                    assert_eq!(found.bytes, file.bytes);
                }
            })
        });
        for client in clients.collect::<Vec<_>>() {
            client.await.expect("no panic");
        }
        PLAIN as f64 / began.elapsed().as_secs_f64()
    })
}

/// All of it.
pub fn measure(bench: &Bench, report: &mut Report) {
    let (_server, config, variables) = server(bench);
    let backlog = backlog();
    say("[backlog] drawing");
    let gateway = Gateway::start_with(bench, "cloud", &with_admin(&[]));
    let drawn = load(gateway.address, &drawing("image-200k"), 8, backlog);
    report.errors += drawn.errors;
    drop(gateway);
    // At rest, with the same rows and no bucket: what draining adds is measured against this.
    let gateway = Gateway::start_with(bench, "cloud", &with_admin(&[]));
    Admin::sign_in(gateway.address).get("cache");
    thread::sleep(Duration::from_secs(3));
    let idle = anonymous_kb(gateway.pid());
    drop(gateway);
    say("[backlog] the server's own rate");
    let folder = bench.folder("plain");
    let before = plain_rate(&config, &folder);
    say("[backlog] draining");
    let began = Instant::now();
    let gateway = Gateway::start_with(bench, "cloud", &with_admin(&variables));
    // A password takes 19 MiB while it is checked, which is no part of this.
    let mut admin = Admin::sign_in(gateway.address);
    let sampler = Sampler::start(gateway.pid());
    let mut by_page: [Vec<f64>; PAGES.len()] = Default::default();
    let (mut times, mut first, mut left) = (Vec::new(), None, backlog as i64);
    while left > 0 && began.elapsed() < LONGEST {
        for (at, path) in PAGES.into_iter().enumerate() {
            let asked = Instant::now();
            let answer = admin.get(path);
            let took = asked.elapsed().as_secs_f64() * 1000.0;
            times.push(took);
            by_page[at].push(took);
            if path == "cache" {
                left = answer["uploads"]["pending"].as_i64().expect("a number");
                first.get_or_insert((Instant::now(), left));
            }
        }
        thread::sleep(Duration::from_millis(100));
    }
    let (at, waiting) = first.expect("looked at");
    let rate = (waiting - left) as f64 / at.elapsed().as_secs_f64();
    let peak = sampler.peak_kb();
    assert_eq!(left, 0, "the backlog did not drain");
    let after = plain_rate(&BucketConfig { prefix: "again/".into(), ..config.clone() }, &folder);
    let plain = median(&[before, after]);
    let against = format!("{plain:.0}/s by the same calls alone ({before:.0} before, {after:.0} after)");
    report.row(Row::at_least(
        &format!("backlog of {backlog} images of 200 KB"),
        format!("{rate:.0}/s"),
        &against,
        rate / plain,
        0.7,
        "× plain",
    ));
    let grown = peak.saturating_sub(idle) as f64 / 1024.0;
    let shown = format!("{:.1} MB at most", peak as f64 / 1024.0);
    let against = format!("{:.1} MB at rest", idle as f64 / 1024.0);
    report.row(Row::at_most("anonymous memory while it drains", shown, &against, grown, 20.0, "MB more"));
    let (middle, most) = (median(&times), percentile(&times, 95.0));
    let against = format!("p50 {middle:.1} ms, {} answers", times.len());
    report.row(Row::at_most("admin API p95 while it drains", format!("{most:.1} ms"), &against, most, 50.0, "ms"));
    let of = |(path, times): (&&str, &Vec<f64>)| format!("{path} {:.0}", percentile(times, 95.0));
    let pages = PAGES.iter().zip(&by_page).map(of).collect::<Vec<_>>().join(", ");
    report.row(Row::note("of which, by page (p95 in ms)", pages, "–"));
    say("[restore]");
    restores(&gateway, &mut admin, config, report);
    drop(gateway);
    say("[restore --from-bucket]");
    rebuilt(bench, &variables, report);
}

/// An index made again from what the bucket tells, over an empty folder; its images are counted by a gateway afterwards.
fn rebuilt(bench: &Bench, variables: &[(&'static str, String)], report: &mut Report) {
    let began = Instant::now();
    let mut rebuilding = command(bench, "rebuilt", &["restore", "--from-bucket"], variables);
    let sampler = Sampler::start(rebuilding.pid());
    report.check(rebuilding.finished());
    let took = began.elapsed().as_secs_f64();
    let peak = sampler.peak_kb() as f64 / 1024.0;
    let gateway = Gateway::start_with(bench, "rebuilt", &with_admin(variables));
    let found = Admin::sign_in(gateway.address).get("stats")["images"]["total"].as_i64().expect("a number");
    // The one of 24 MB as well.
    report.check(found == backlog() as i64 + 1);
    let beside = format!("{:.0} objects/s, {peak:.1} MB of anonymous memory at most", found as f64 / took);
    report.row(Row::note(&format!("restore --from-bucket, {found} objects"), format!("{took:.1} s"), &beside));
}

/// The first byte of an image of 24 MB that is in the bucket alone, against the same of the object itself.
fn restores(gateway: &Gateway, admin: &mut Admin, config: BucketConfig, report: &mut Report) {
    let mut conn = Conn::open(gateway.address).expect("connects");
    let answer = conn.ask(&drawing("image-24m")).expect("draws");
    let path = link(&answer);
    let id = path.rsplit('/').next().expect("an id").to_owned();
    let began = Instant::now();
    while admin.get(&format!("images/{id}"))["cloud"] != "stored" {
        assert!(began.elapsed() < Duration::from_secs(30), "it is not stored");
        thread::sleep(Duration::from_millis(20));
    }
    let bucket = Bucket::new(config);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let (mut ours, mut direct, mut whole, mut plain) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RESTORES {
        admin.job("clear_local");
        let began = Instant::now();
        let mut first = None;
        conn.exchange(&get("GET", &path, ""), &mut |_| {
            first.get_or_insert_with(|| began.elapsed());
        })
        .expect("an answer");
        ours.push(first.expect("a byte").as_secs_f64() * 1000.0);
        whole.push(began.elapsed().as_secs_f64() * 1000.0);
        let (first, all) = runtime.block_on(async {
            let began = Instant::now();
            let mut download = bucket.get(&format!("picgate/{id}")).await.expect("an object");
            download.next().await.expect("a byte");
            let first = began.elapsed();
            while download.next().await.expect("bytes").is_some() {}
            (first, began.elapsed())
        });
        direct.push(first.as_secs_f64() * 1000.0);
        plain.push(all.as_secs_f64() * 1000.0);
    }
    report.check(is_equal(gateway.address, &answer, &template("24m")));
    let later = median(&ours) - median(&direct);
    let against = format!("{:.1} ms from the bucket itself", median(&direct));
    let what = "first byte of an image of 24 MB that comes back";
    report.row(Row::at_most(what, format!("{:.1} ms", median(&ours)), &against, later, 10.0, "ms later"));
    report.row(Row::note("all of it", format!("{:.0} ms", median(&whole)), &format!("{:.0} ms", median(&plain))));
}
