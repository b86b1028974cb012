//! Examines a PicGate, whether it runs or not, and says in words what is wrong and what mends it. It asks from outside:
//! without the lock of the data folder, and over the network where a client would. Changes nothing but a test object in the
//! bucket, which it removes again.

mod folder;
mod here;
mod others;
mod words;

use std::{
    net::{IpAddr, UdpSocket},
    time::Duration,
};

use serde::Serialize;

pub use here::elsewhere;
pub use words::filled;

use crate::{
    config::{Config, ConfigProblem},
    model::{Secret, Setting, now},
    settings::{Keys, Settings},
    store::{Holds, Layout, ProbeKey, Running, Secrets, SecretsFile},
};

/// Longest look at whether the database is sound.
const DATABASE_PATIENCE: Duration = Duration::from_secs(40);

/// Longest wait for an upstream or the bucket.
const PATIENCE: Duration = Duration::from_secs(30);

/// How things are with one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// As it may be; good to know.
    Note,
    /// It works, and will do harm or surprise.
    Warning,
    /// It does not work.
    Failed,
}

impl State {
    /// A stable word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

/// What was found out about one part.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// The part: `configuration`, `folder`, `disk`, …
    pub check: &'static str,
    /// The part's name for people.
    pub name: &'static str,
    /// How it is.
    pub state: State,
    /// Stable: `disk_full`, …
    pub code: &'static str,
    /// For a person.
    pub text: String,
    /// What mends it.
    pub remedy: Option<String>,
}

/// All that was found out.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Whether nothing failed.
    pub ok: bool,
    /// Milliseconds since 1970.
    pub examined_at: i64,
    /// In the order of the parts.
    pub findings: Vec<Finding>,
}

impl Report {
    fn new(findings: Vec<Finding>) -> Self {
        Self { ok: findings.iter().all(|finding| finding.state != State::Failed), examined_at: now(), findings }
    }

    /// What is to be said of a configuration with which nothing else can be examined.
    pub fn of_problems(problems: &[ConfigProblem], chinese: bool) -> Self {
        let told = |problem: &ConfigProblem| {
            let (what, remedy) = (problem.problem.told(chinese), problem.remedy.told(chinese));
            let values = [("name", problem.name.as_str()), ("problem", what), ("remedy", remedy)];
            words::finding("config_problem", &values, chinese)
        };
        Self::new(problems.iter().map(told).collect())
    }
}

/// What is examined.
pub struct Patient<'a> {
    /// How it is, or would be, started.
    pub config: &'a Config,
    /// Its keys; read from their file if they are not given.
    pub secrets: Option<Secrets>,
    /// The port on which it listens.
    pub port: u16,
    /// What it admits tries with; read from its note in the folder if it is not given.
    pub probe_key: Option<ProbeKey>,
}

/// What the parts share.
struct Scene<'a> {
    config: &'a Config,
    layout: Layout,
    port: u16,
    /// Where it listens, or would.
    host: IpAddr,
    /// The gateway that holds the folder, if it listens elsewhere than was asked; then `port` and `host` are its.
    elsewhere: Option<Running>,
    chinese: bool,
    secrets: Option<Secrets>,
    holds: Option<Holds>,
    settings: Settings,
    /// What the gateway over this folder admits tries with, if there is one.
    probe_key: Option<ProbeKey>,
    /// There is one that does not say: an older version.
    is_mute: bool,
}

impl Scene<'_> {
    fn finding(&self, code: &str, values: &[(&str, &str)]) -> Finding {
        words::finding(code, values, self.chinese)
    }
}

/// Examines all parts.
pub async fn examine(patient: Patient<'_>, chinese: bool) -> Report {
    let config = patient.config;
    let layout = Layout::new(&config.data_dir, config.database.clone(), config.images_dir.clone());
    let mut findings: Vec<Finding> = configuration(config, chinese);
    let is_usable = folder::folder(&layout, config, chinese, &mut findings);
    let secrets_file = SecretsFile::new(layout.secrets());
    let secrets = match patient.secrets {
        Some(secrets) => Some(secrets),
        None => folder::keys(&secrets_file, &layout, chinese, &mut findings),
    };
    let holds = folder::database(&layout, chinese, &mut findings).await;
    let table = holds.as_ref().map(|holds| holds.settings.clone()).unwrap_or_default();
    findings.extend(unusable_settings(&table, chinese));
    let gateway = secrets.as_ref().map_or_else(|| Secret::new(""), |secrets| secrets.gateway_key.clone());
    let keys = Keys { gateway, bucket: secrets.as_ref().and_then(|secrets| secrets.r2_secret_access_key.clone()) };
    let settings = Settings::resolve(config, &table, keys);
    let elsewhere = elsewhere(&layout, patient.port).await;
    let note = Running::read(&layout);
    let is_mute = patient.probe_key.is_none() && note.as_ref().is_some_and(|note| note.probe_key.is_none());
    let probe_key = patient.probe_key.or(note.and_then(|note| note.probe_key));
    let (host, port) = elsewhere.as_ref().map_or((config.host, patient.port), |running| (running.address.ip(), running.address.port()));
    let scene = Scene { config, layout, port, host, elsewhere, chinese, secrets, holds, settings, probe_key, is_mute };
    if let Some(holds) = &scene.holds {
        findings.push(scene.finding(if holds.has_admin { "admin_ok" } else { "admin_none" }, &[("port", &scene.port.to_string())]));
    }
    let (near, upstreams, bucket, clock) = tokio::join!(
        here::gateway(&scene, patient.port),
        others::upstreams(&scene),
        others::bucket(&scene, is_usable),
        others::clock(&scene)
    );
    findings.extend(clock);
    findings.extend(near);
    findings.extend(upstreams);
    findings.extend(bucket);
    Report::new(findings)
}

fn configuration(config: &Config, chinese: bool) -> Vec<Finding> {
    let mut found = vec![words::finding("config_ok", &[], chinese)];
    found.extend(config.notes.iter().map(|note| words::finding("config_note", &[("note", note.told(chinese))], chinese)));
    found
}

fn unusable_settings(table: &std::collections::BTreeMap<String, String>, chinese: bool) -> Vec<Finding> {
    let mut found = Vec::new();
    for (key, value) in table {
        if let Some(Err(problem)) = Setting::find(key).map(|setting| setting.check(value)) {
            found.push(words::finding("setting_unusable", &[("key", key), ("problem", problem.told(chinese))], chinese));
        }
    }
    found
}

/// The address of this computer in its network. Nothing is sent.
pub fn lan_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind(("0.0.0.0", 0)).ok()?;
    // TEST-NET-1 (RFC 5737): the system only looks up the way there.
    socket.connect(("192.0.2.1", 9)).ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|ip| !ip.is_loopback() && !ip.is_unspecified())
}
