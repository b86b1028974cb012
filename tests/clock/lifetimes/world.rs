//! A gateway with a past: its folder, its bucket, its clock, another gateway behind the same bucket; and what it owes to
//! whom, as far as anybody outside can know.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use picgate_gateway::{
    jobs::JobKind,
    library::Library,
    model::{ImageId, Millis, Origin, Source, now},
    server::Gateway,
    store::{self, NewSession, Part, copies},
};
use serde_json::json;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{Mood, Step, invariants};
use crate::support::{FakeBucket, Fault, app::config, bucket, clock::Clock, pictures};

/// Longest wait for anything that must happen by itself.
const PATIENCE: Duration = Duration::from_secs(20);

/// A gateway that has run for so long is started again between two histories: what it does every minute would mix with
/// what a history does.
const AGE_MAX: Duration = Duration::from_secs(25);

/// The person's password, and its hash at the least cost: it is asked for again and again.
const PASSWORD: &str = "correct horse";
const PASSWORD_HASH: &str = "$argon2id$v=19$m=8,t=1,p=1$nXpmGCFnLtQ5BAMGB7auJQ$Hq6tXdQsYRisZRG4kjmkonEdgZA5ry5wf5sQDjvGAKI";

/// What is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The link works.
    Live,
    /// Its row was forgotten; the link works through the bucket.
    Forgotten,
    /// Deleted, by a person or by what a person chose.
    Gone,
}

/// A picture that was given to the gateway.
pub struct Picture {
    pub bytes: Vec<u8>,
    pub sha256: [u8; 32],
    pub hex: String,
}

/// An image whose link somebody has.
#[derive(Clone)]
pub struct Image {
    pub id: ImageId,
    pub picture: usize,
    pub fate: Fate,
}

/// A gateway in a runtime of its own, which can be taken away under it.
pub struct Running {
    pub runtime: Runtime,
    pub gateway: Gateway,
    pub library: Library,
    pub url: String,
    pub since: Instant,
}

pub struct World {
    /// Where the bucket and the clients live: what does not end with a gateway.
    pub side: Runtime,
    pub bucket: FakeBucket,
    pub folder: TempDir,
    pub gateway: Option<Running>,
    other: Option<Running>,
    _other_folder: TempDir,
    pub http: reqwest::Client,
    pub database: rusqlite::Connection,
    pub pictures: Vec<Picture>,
    pub images: Vec<Image>,
    pub mood: Mood,
    /// The bucket that is used; nothing if none is.
    pub used: Option<&'static str>,
    /// The one that was used last.
    pub place: Option<&'static str>,
    /// More than one was, in this history.
    pub moved: bool,
    pub settings: HashMap<&'static str, &'static str>,
    /// Pictures whose saving was cut off by a kill.
    pub cut_off: Vec<usize>,
    pub shift: Millis,
    steps: usize,
    histories: usize,
    /// What took how long, by its name.
    spent: BTreeMap<String, (usize, Duration)>,
}

/// A folder in memory where there is such a thing: there are thousands of histories, and none tests the disk.
pub fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a temporary folder")
}

fn runtime(threads: usize) -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build().expect("a runtime")
}

impl Running {
    fn start(folder: &std::path::Path, variables: &[(&str, &str)]) -> Self {
        let runtime = runtime(1);
        let gateway = runtime.block_on(Gateway::start(&config(folder, variables))).expect("starts");
        let (library, url) = (gateway.library().clone(), format!("http://{}", gateway.address()));
        Self { runtime, gateway, library, url, since: Instant::now() }
    }

    /// Takes its threads away; nothing is stopped in order.
    fn kill(self) {
        let Self { runtime, gateway, library, .. } = self;
        runtime.shutdown_timeout(PATIENCE);
        drop((gateway, library));
    }

    fn stop(self) {
        let Self { runtime, gateway, library, .. } = self;
        drop(library);
        runtime.block_on(gateway.stop());
    }

    /// Runs a job of the sweep to its end, as it runs by itself.
    pub fn job(&self, kind: JobKind, last_copies: bool) -> impl Future<Output = ()> + Send + 'static {
        let sweep = self.gateway.sweep().clone();
        async move {
            let job = sweep.start(kind, true, last_copies).expect("no other of its kind runs");
            while sweep.jobs().get(job.id).is_some_and(|job| job.state == "running") {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }
}

impl World {
    pub fn new(clock: &Clock) -> Self {
        clock.shift(0);
        let side = runtime(1);
        let bucket = side.block_on(FakeBucket::start_in(folder()));
        let (folder_of_one, folder_of_other) = (folder(), folder());
        let mut pictures: Vec<Vec<u8>> = (0..4).map(|seed| pictures::png(seed, 8)).collect();
        pictures.extend((4..6).map(|seed| pictures::large(seed, 600_000)));
        let picture = |bytes: Vec<u8>| Picture { sha256: Sha256::digest(&bytes).into(), hex: pictures::sha256(&bytes), bytes };
        let variables = bucket.variables();
        let mut all: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        all.push(("PICGATE_S3_WRITE", "through"));
        let other = Running::start(folder_of_other.path(), &all);
        let gateway = Self::start_one(&bucket, &folder_of_one);
        let database = rusqlite::Connection::open(folder_of_one.path().join("store/picgate.sqlite3")).expect("opens");
        database.busy_timeout(PATIENCE).expect("a time");
        let mut world = Self {
            side,
            bucket,
            folder: folder_of_one,
            gateway: Some(gateway),
            other: Some(other),
            _other_folder: folder_of_other,
            http: crate::support::client(),
            database,
            pictures: pictures.into_iter().map(picture).collect(),
            images: Vec::new(),
            mood: Mood::Well,
            used: None,
            place: None,
            moved: false,
            settings: HashMap::new(),
            cut_off: Vec::new(),
            shift: 0,
            steps: 0,
            histories: 0,
            spent: BTreeMap::new(),
        };
        world.set("r2_bucket", bucket::BUCKET);
        world
    }

    /// Which of the buckets is used is a setting here; all else about them is fixed.
    fn start_one(bucket: &FakeBucket, folder: &TempDir) -> Running {
        let variables = bucket.variables();
        let fixed: Vec<(&str, &str)> =
            variables.iter().filter(|(name, _)| *name != "PICGATE_R2_BUCKET").map(|(name, value)| (*name, value.as_str())).collect();
        Running::start(folder.path(), &fixed)
    }

    /// For a person: what was done.
    pub fn told(&self) -> String {
        let line = |(what, (times, spent)): (&String, &(usize, Duration))| {
            format!("\n  {what}: {times} times, {:.1} s, {:.1} ms each", spent.as_secs_f64(), spent.as_secs_f64() * 1000.0 / *times as f64)
        };
        let spent: String = self.spent.iter().map(line).collect();
        format!("{} histories with {} steps{spent}\n", self.histories, self.steps)
    }

    pub fn one(&self) -> &Running {
        self.gateway.as_ref().expect("it runs")
    }

    pub fn elsewhere(&self) -> &Running {
        self.other.as_ref().expect("it runs")
    }

    /// A history, from an empty library to an empty library.
    pub fn live(&mut self, clock: &Clock, steps: &[Step]) -> Result<(), String> {
        if self.one().since.elapsed() > AGE_MAX {
            self.restart(false);
        }
        for (number, step) in steps.iter().enumerate() {
            let told = |broken: String| format!("step {number}, {step:?}: {broken}");
            let began = Instant::now();
            self.take(clock, step).map_err(told)?;
            let name = format!("{step:?}");
            self.spend(name.split([' ', '(']).next().unwrap_or_default(), began);
            let began = Instant::now();
            invariants::after_each_step(self).map_err(told)?;
            self.spend("looking", began);
            self.steps += 1;
        }
        let began = Instant::now();
        self.end(clock).map_err(|broken| format!("at the end: {broken}"))?;
        self.spend("ending", began);
        self.histories += 1;
        Ok(())
    }

    fn spend(&mut self, what: &str, since: Instant) {
        let (times, spent) = self.spent.entry(what.to_owned()).or_default();
        (*times, *spent) = (*times + 1, *spent + since.elapsed());
    }

    /// All is healed: everything owed is there, everything gone is gone. Then all goes.
    fn end(&mut self, clock: &Clock) -> Result<(), String> {
        self.feel(Mood::Well);
        if self.moved {
            self.set("r2_bucket", bucket::OTHER);
            self.settle()?;
            invariants::after_each_step(self)?;
        }
        self.set("r2_bucket", bucket::BUCKET);
        self.settle()?;
        invariants::after_each_step(self)?;
        for image in self.images.clone() {
            self.get(&image)?;
        }
        self.settle()?;
        invariants::when_settled(self)?;
        let everything: Vec<ImageId> = invariants::rows(self).into_iter().map(|row| row.id).chain(self.owed()).collect();
        let library = self.one().library.clone();
        self.on_gateway(async move { library.delete(&everything).await }).map_err(|error| error.to_string())?;
        self.images.iter_mut().for_each(|image| image.fate = Fate::Gone);
        self.settle()?;
        if self.moved {
            self.set("r2_bucket", bucket::OTHER);
            self.settle()?;
            self.set("r2_bucket", bucket::BUCKET);
        }
        invariants::when_settled(self)?;
        invariants::when_empty(self)?;
        let defaults: Vec<&'static str> = self.settings.keys().copied().filter(|key| *key != "r2_bucket").collect();
        if !defaults.is_empty() {
            self.reset(&defaults);
        }
        (self.moved, self.images, self.cut_off) = (false, Vec::new(), Vec::new());
        (self.shift, self.settings) = (0, HashMap::from([("r2_bucket", bucket::BUCKET)]));
        clock.shift(0);
        self.trust_clock()
    }

    fn owed(&self) -> Vec<ImageId> {
        self.images.iter().filter(|image| image.fate != Fate::Gone).map(|image| image.id).collect()
    }

    pub fn trust_clock(&self) -> Result<(), String> {
        let sweep = self.one().gateway.sweep().clone();
        self.on_gateway(async move { sweep.trust_clock().await }).map_err(|error| error.to_string())
    }

    /// Runs something where the gateway runs, as a request would.
    pub fn on_gateway<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        self.one().runtime.block_on(async { tokio::spawn(work).await }).expect("no panic")
    }

    /// Saves a picture as every part of the program does that has received one.
    pub fn saving(&self, picture: usize, uploaded: bool) -> impl Future<Output = Result<ImageId, String>> + Send + 'static {
        let (library, bytes) = (self.one().library.clone(), self.pictures[picture].bytes.clone());
        async move {
            let mut part = Part::open(library.files());
            part.write(bytes).await;
            let received = part.finish().await.map_err(|error| error.to_string())?;
            let source = if uploaded { Source::Uploaded } else { Source::Generated };
            library.save(&received, Origin::bare(source)).await.map(|saved| saved.id).map_err(|error| error.to_string())
        }
    }

    pub fn restart(&mut self, kill: bool) {
        let before = self.gateway.take().expect("it runs");
        if kill {
            before.kill()
        } else {
            before.stop()
        }
        self.gateway = Some(Self::start_one(&self.bucket, &self.folder));
    }

    pub fn feel(&mut self, mood: Mood) {
        self.mood = mood;
        let faults = match mood {
            Mood::Well => vec![],
            Mood::Slow => vec![Fault::Slow(Duration::from_millis(15))],
            Mood::Forbidden => vec![Fault::Refuse(403, "AccessDenied")],
            Mood::NoBucket => vec![Fault::Refuse(404, "NoSuchBucket")],
            Mood::ClockSkew => vec![Fault::Refuse(403, "RequestTimeTooSkewed")],
            Mood::Failing => vec![Fault::Refuse(500, "InternalError")],
            Mood::Busy => vec![Fault::Refuse(503, "SlowDown")],
            Mood::Reset => vec![Fault::Reset],
            Mood::ResetAfterwards => vec![Fault::ResetAfter],
            Mood::CutsShort => vec![Fault::Cut(100)],
            Mood::LiesAboutLength => vec![Fault::LieAboutLength],
            Mood::StoresHalf => vec![Fault::StoreHalf],
            Mood::FlipsBytes => vec![Fault::Flip],
        };
        self.bucket.break_with(&faults);
    }

    /// Changes a setting as the admin's page does.
    pub fn set(&mut self, key: &'static str, value: &'static str) {
        if self.settings.get(key) == Some(&value) {
            return;
        }
        // What the person is asked about is answered with yes.
        self.change(&json!({"values": {key: value}, "leave_images": true, "password": PASSWORD}));
        self.settings.insert(key, value);
        if key == "r2_bucket" {
            self.used = Some(value).filter(|name| !name.is_empty());
            self.moved |= self.used == Some(bucket::OTHER);
            self.place = self.used.or(self.place);
        }
    }

    fn reset(&self, keys: &[&'static str]) {
        let values: serde_json::Map<_, _> = keys.iter().map(|key| ((*key).to_owned(), serde_json::Value::Null)).collect();
        self.change(&json!({"values": values, "leave_images": true, "password": PASSWORD}));
    }

    fn change(&self, body: &serde_json::Value) {
        // A session that the clock has not ended: signing in is what other tests are about.
        let token = "a-session-of-the-test";
        let session = NewSession { token: Sha256::digest(token).into(), at: now(), address: "test".into(), agent: "test".into() };
        let admin = store::Admin { username: "admin".into(), password: PASSWORD_HASH.into() };
        let library = self.one().library.clone();
        let opened = self.on_gateway(async move {
            let work = move |t: &rusqlite::Transaction<'_>| {
                store::insert_admin(t, &admin, now())?;
                t.execute("delete from sessions", [])?;
                store::insert_session(t, &session, (0, 0))
            };
            library.db().write(work).await
        });
        opened.expect("a session");
        let port = self.one().gateway.address().port();
        let request = self.http.patch(format!("{}/admin/api/settings", self.one().url)).json(body);
        let request = request.header("x-picgate", "1").header("cookie", format!("picgate-{port}={token}"));
        let status = self.side.block_on(request.send()).expect("an answer").status();
        assert_eq!(status, 200, "{body}");
    }

    /// Everything that waits is tried now, as a person can ask for.
    pub fn kick(&self) {
        let library = self.one().library.clone();
        self.on_gateway(async move {
            library.db().write(|t| copies::retry(t, false, now())).await.expect("writes");
            library.remote().try_now();
        });
    }

    /// Waits until no copy and no removal is due that can be done.
    pub fn settle(&self) -> Result<(), String> {
        if self.used.is_none() {
            return Ok(());
        }
        let began = Instant::now();
        let mut kicked: Option<Instant> = None;
        loop {
            let waits = invariants::unsettled(self);
            if waits.is_empty() {
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                return Err(format!("these wait for ever: {waits:?}"));
            }
            if kicked.is_none_or(|at| at.elapsed() > Duration::from_millis(30)) {
                self.kick();
                kicked = Some(Instant::now());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for gateway in [self.gateway.take(), self.other.take()].into_iter().flatten() {
            gateway.kill();
        }
    }
}
