//! Killed at any moment: while images are saved, copied to the bucket, evicted, fetched back and deleted. What a client was
//! told holds afterwards, and nothing half-done is left. `PICGATE_CRASHES` asks for more rounds than the few of every day.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{
    FakeBucket, FakeUpstream, Fault, Scripted, eventually,
    pictures::{self, base64},
    process::Process,
};

const KEY: &str = "pg-test-key";

/// Calls of the system at which the program is killed.
const CALLS: &str = "write,pwrite64,writev,sendto,fsync,fdatasync,ftruncate,rename,renameat,renameat2,unlink,unlinkat,openat,close";

fn more() -> Option<u32> {
    std::env::var("PICGATE_CRASHES").ok().and_then(|number| number.parse().ok())
}

/// A folder, an upstream, a bucket: what outlives every process.
struct Stage {
    dir: tempfile::TempDir,
    upstream: FakeUpstream,
    bucket: FakeBucket,
    http: reqwest::Client,
    seed: AtomicU32,
    /// The admin's session, which outlives processes too; its name has the port.
    session: Mutex<Option<String>>,
}

impl Stage {
    async fn set() -> Self {
        let (upstream, bucket) = (FakeUpstream::start().await, FakeBucket::start().await);
        let dir = tempfile::tempdir().unwrap();
        Self { dir, upstream, bucket, http: crate::support::client(), seed: AtomicU32::new(0), session: Mutex::default() }
    }

    fn start(&self) -> Process {
        let mut variables = self.bucket.variables();
        variables.push(("PICGATE_UPSTREAM_BASE_URL", self.upstream.base_url.clone()));
        variables.push(("PICGATE_GATEWAY_KEY", KEY.into()));
        variables.push(("PICGATE_ADMIN_USERNAME", "admin".into()));
        variables.push(("PICGATE_ADMIN_PASSWORD", "correct horse".into()));
        let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Process::start(self.dir.path(), &variables)
    }

    /// A picture of its own, and what it will be recognised by.
    fn picture(&self) -> (Vec<u8>, String) {
        let png = pictures::png(self.seed.fetch_add(1, Ordering::Relaxed), 24);
        let digest = pictures::sha256(&png);
        (png, digest)
    }

    fn ready(&self, png: &[u8], digest: &str) {
        self.upstream.answers(Scripted::json(&json!({"data": [{"b64_json": base64(png), "revised_prompt": digest}]})));
    }

    /// Draws; id and digest if the link came.
    async fn draw(&self, url: &str, number: u32) -> Option<(String, String)> {
        let body = json!({"prompt": "x", "user": number.to_string()});
        let request = self.http.post(format!("{url}/v1/images/generations")).bearer_auth(KEY).json(&body);
        let answer = request.send().await.ok()?.json::<Value>().await.ok()?;
        let link = answer["data"][0]["url"].as_str()?;
        Some((link.rsplit('/').next()?.to_owned(), answer["data"][0]["revised_prompt"].as_str()?.to_owned()))
    }

    async fn admin(&self, url: &str, method: Method, path: &str, body: &Value) -> Option<Value> {
        let port = url.rsplit(':').next()?;
        let held = self.session.lock().unwrap().clone();
        let token = match held {
            Some(token) => token,
            None => {
                let body = json!({"username": "admin", "password": "correct horse"});
                let login = self.http.post(format!("{url}/admin/api/session/login")).header("x-picgate", "1").json(&body);
                let answer = login.send().await.ok()?;
                let cookie = answer.headers().get("set-cookie")?.to_str().ok()?.split(';').next()?.to_owned();
                let token = cookie.split_once('=')?.1.to_owned();
                *self.session.lock().unwrap() = Some(token.clone());
                token
            }
        };
        let request = self.http.request(method, format!("{url}/admin/api/{path}")).header("x-picgate", "1");
        let answer = request.header("cookie", format!("picgate-{port}={token}")).json(body).send().await.ok()?;
        if answer.status() == 401 {
            self.session.lock().unwrap().take();
        }
        if !answer.status().is_success() { None } else { answer.json().await.ok() }
    }

    async fn delete(&self, url: &str, id: &str) -> bool {
        let body = json!({"ids": [id], "what": "all"});
        self.admin(url, Method::POST, "images/delete", &body).await.is_some_and(|answer| answer["items"][0]["ok"] == true)
    }

    /// The bytes behind a link, if the answer came whole.
    async fn get(&self, url: &str, id: &str) -> Option<(u16, String)> {
        let answer = self.http.get(format!("{url}/images/{id}")).send().await.ok()?;
        let status = answer.status().as_u16();
        Some((status, pictures::sha256(&answer.bytes().await.ok()?)))
    }

    /// Holds everything against what clients were told.
    async fn holds(&self, url: &str, given: &HashMap<String, String>, deleted: &[String]) {
        self.bucket.heal();
        eventually("the uploads", async || {
            self.admin(url, Method::POST, "jobs", &json!({"kind": "upload_pending"})).await;
            let cache = self.admin(url, Method::GET, "cache", &json!({})).await?;
            (cache["uploads"]["pending"] == 0).then_some(())
        })
        .await;
        for (id, digest) in given {
            let (status, found) = self.get(url, id).await.expect("an answer");
            assert_eq!((status, &found), (200, digest), "{id}");
            let object = self.bucket.object(&format!("picgate/{id}")).expect("an object");
            assert_eq!(pictures::sha256(&object), *digest, "{id}");
        }
        for id in deleted {
            assert_eq!(self.get(url, id).await.expect("an answer").0, 404, "{id}");
            eventually("the object to go", async || self.bucket.object(&format!("picgate/{id}")).is_none().then_some(())).await;
        }
        let store = self.dir.path().join("store");
        for folder in std::fs::read_dir(store.join("blobs")).unwrap().flatten() {
            for file in std::fs::read_dir(folder.path()).unwrap().flatten() {
                let bytes = std::fs::read(file.path()).unwrap_or_default();
                // One that went between the two looks is none.
                let name = file.file_name().to_string_lossy().into_owned();
                assert!(pictures::sha256(&bytes) == name || !file.path().exists(), "a file under a final name is complete");
            }
        }
    }
}

/// Clients draw, look and delete while the disk is cleared again and again and the bucket is at times away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_everything_goes_on_at_once_nothing_is_lost_and_nothing_comes_back() {
    let stage = Arc::new(Stage::set().await);
    let given: Arc<Mutex<HashMap<String, String>>> = Arc::default();
    // Asked for and never answered: either is right.
    let deleted: Arc<Mutex<Vec<String>>> = Arc::default();
    let undecided: Arc<Mutex<Vec<String>>> = Arc::default();
    for round in 0..more().unwrap_or(4) {
        let mut process = stage.start();
        let (url, mut clients) = (process.url.clone(), JoinSet::new());
        stage.admin(&url, Method::GET, "cache", &json!({})).await.expect("signed in");
        for client in 0..3 {
            let (stage, given, url) = (stage.clone(), given.clone(), url.clone());
            clients.spawn(async move {
                for number in 0.. {
                    let (png, digest) = stage.picture();
                    stage.ready(&png, &digest);
                    let Some((id, digest)) = stage.draw(&url, round * 100_000 + client * 10_000 + number).await else { return };
                    given.lock().unwrap().insert(id, digest);
                }
            });
        }
        let (looking, looked, at) = (stage.clone(), given.clone(), url.clone());
        clients.spawn(async move {
            loop {
                let some: Vec<(String, String)> = looked.lock().unwrap().iter().take(8).map(|(a, b)| (a.clone(), b.clone())).collect();
                for (id, digest) in some {
                    match looking.get(&at, &id).await {
                        // It may have been deleted since.
                        Some((200, found)) => assert_eq!(found, digest),
                        Some(_) => {}
                        None if looking.http.get(format!("{at}/health")).send().await.is_err() => return,
                        None => {}
                    }
                }
                tokio::task::yield_now().await;
            }
        });
        let (clearing, at) = (stage.clone(), url.clone());
        clients.spawn(async move {
            while clearing.admin(&at, Method::GET, "cache", &json!({})).await.is_some() {
                clearing.admin(&at, Method::POST, "jobs", &json!({"kind": "clear_local"})).await;
                clearing.bucket.break_once(&[Fault::Refuse(500, "InternalError"), Fault::ResetAfter, Fault::Reset]);
            }
        });
        let (deleting, known, gone, perhaps, at) = (stage.clone(), given.clone(), deleted.clone(), undecided.clone(), url.clone());
        clients.spawn(async move {
            loop {
                let one = {
                    let mut known = known.lock().unwrap();
                    let id = if known.len() > 5 { known.keys().next().cloned() } else { None };
                    id.inspect(|id| drop(known.remove(id)))
                };
                match one {
                    Some(id) if deleting.delete(&at, &id).await => gone.lock().unwrap().push(id),
                    Some(id) => {
                        perhaps.lock().unwrap().push(id);
                        return;
                    }
                    None => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
                }
            }
        });
        let before = given.lock().unwrap().len() + deleted.lock().unwrap().len();
        let target = 8 + (round as usize * 7) % 13;
        eventually("some to be given out, and some to be deleted", async || {
            let deleted = deleted.lock().unwrap().len();
            (given.lock().unwrap().len() + deleted >= before + target && deleted > round as usize).then_some(())
        })
        .await;
        process.kill();
        while let Some(ended) = clients.join_next().await {
            ended.expect("no panic");
        }
    }
    let process = stage.start();
    let (given, deleted) = (given.lock().unwrap().clone(), deleted.lock().unwrap().clone());
    assert!(given.len() > 5 && !deleted.is_empty(), "{} given, {} deleted", given.len(), deleted.len());
    stage.holds(&process.url, &given, &deleted).await;
}

/// Watches every call of a process and kills it at the one of a number; nothing if that cannot be done here.
struct Assassin(Child);

impl Assassin {
    fn after(pid: u32, number: u32) -> Option<Self> {
        let inject = format!("inject={CALLS}:signal=KILL:when={number}");
        let mut command = Command::new("strace");
        command.args(["-f", "-p", &pid.to_string(), "-o", "/dev/null", "-e", &format!("trace={CALLS}"), "-e", &inject]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().ok()?;
        let mut lines = BufReader::new(child.stderr.take()?).lines();
        let attached = lines.by_ref().map_while(Result::ok).find(|line| line.contains("attached") || line.contains("not permitted"));
        std::thread::spawn(move || lines.for_each(drop));
        let assassin = Self(child);
        attached.is_some_and(|line| line.contains("attached")).then_some(assassin)
    }
}

impl Drop for Assassin {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What is done while the assassin waits.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Save,
    Upload,
    Delete,
}

/// Each deed is begun again and again, and killed one call later each time, until it is done before the blow.
async fn killed_at_each_call(deed: Deed) {
    let stage = Stage::set().await;
    let (mut given, mut deleted) = (HashMap::new(), Vec::new());
    // Every thread counts its calls for itself, so a few numbers meet all there is; the full run takes each of them.
    let numbers: Vec<u32> = if more().is_some() { (1..=60).collect() } else { vec![1, 2, 4, 9] };
    let mut struck = 0;
    for number in numbers {
        let mut process = stage.start();
        let url = process.url.clone();
        let (png, digest) = stage.picture();
        stage.bucket.heal();
        // Signed in before: that writes too.
        stage.admin(&url, Method::GET, "cache", &json!({})).await.expect("signed in");
        let early = if matches!(deed, Deed::Save) {
            None
        } else {
            if matches!(deed, Deed::Upload) {
                stage.bucket.break_with(&[Fault::Refuse(500, "InternalError")]);
            }
            stage.ready(&png, &digest);
            let drawn = stage.draw(&url, number).await.expect("a link");
            if matches!(deed, Deed::Delete) {
                eventually("the object", async || stage.bucket.object(&format!("picgate/{}", drawn.0)).map(|_| ())).await;
            }
            Some(drawn)
        };
        let Some(assassin) = Assassin::after(process.id(), number) else {
            // Systems differ in who may watch whom; where it may not, the random kills above are all there is.
            eprintln!("skipped: strace is missing or may not be used");
            return;
        };
        match (deed, early) {
            (Deed::Save, _) => {
                stage.ready(&png, &digest);
                given.extend(stage.draw(&url, number).await);
            }
            (Deed::Upload, Some((id, digest))) => {
                stage.bucket.heal();
                stage.admin(&url, Method::POST, "jobs", &json!({"kind": "upload_pending"})).await;
                eventually("the object, or the end", async || {
                    let there = stage.bucket.object(&format!("picgate/{id}")).is_some();
                    (there || stage.get(&url, &id).await.is_none()).then_some(())
                })
                .await;
                given.insert(id, digest);
            }
            (Deed::Delete, Some((id, _))) => {
                if stage.delete(&url, &id).await {
                    deleted.push(id);
                }
            }
            (_, None) => unreachable!("it was drawn before"),
        }
        struck += u32::from(stage.get(&url, "00000000-0000-4000-8000-000000000000").await.is_none());
        drop(assassin);
        process.kill();
        let process = stage.start();
        stage.holds(&process.url, &given, &deleted).await;
    }
    assert!(struck > 0, "the process was never killed while it worked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_each_call_of_a_save_the_image_is_whole_or_not_there() {
    killed_at_each_call(Deed::Save).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_each_call_of_an_upload_it_is_finished_later() {
    killed_at_each_call(Deed::Upload).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_each_call_of_a_deletion_it_is_final_if_it_was_confirmed() {
    killed_at_each_call(Deed::Delete).await;
}
