//! What is fixed at start: from flags, then the environment, then defaults. Checked whole, with errors that name the
//! variable and the remedy. Knows no running program.

pub mod variables;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    net::IpAddr,
    path::{Path, PathBuf},
};

use ipnet::IpNet;
use url::Url;

use crate::{
    model::{BUCKET_SECRET, Dialect, SETTINGS, Secret},
    store::python::{PythonFolder, is_python},
};

/// The port that the Python program used and every tutorial names.
pub const DEFAULT_PORT: u16 = 5643;

/// The upstream that is meant when only a key is given.
const DEFAULT_UPSTREAM_URL: &str = "https://api.openai.com/v1";
const DEFAULT_UPSTREAM_MODEL: &str = "gpt-image-1";

/// The Python program's compose files ask curl for the health of the container, and an image without a shell has none.
const PYTHON_IN_CONTAINER: &str = "this folder was used by the Python program of the same name; if its compose file checks the health with curl, write \
     healthcheck: {test: [CMD, picgate, healthcheck]} instead, because there is no curl in this image and the container would count as unhealthy";

/// What flags may say.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--host`
    pub host: Option<String>,
    /// `--port`
    pub port: Option<u16>,
    /// `--data-dir`
    pub data_dir: Option<PathBuf>,
}

/// An upstream that is fixed from outside.
#[derive(Clone, Debug)]
pub enum UpstreamChoice {
    /// The built-in demo.
    Demo,
    /// A provider.
    OpenAi {
        /// Such as `https://api.openai.com/v1`.
        base_url: Url,
        /// May be empty.
        api_key: Secret,
        /// The model that is asked for.
        model: String,
        /// Which part of the API it has; `None` to find out.
        dialect: Option<Dialect>,
    },
}

/// Everything that is fixed at start.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address to listen on.
    pub host: IpAddr,
    /// The flag or variable that fixes the address; nothing does if the setting `listen` decides.
    pub host_fixed_by: Option<String>,
    /// Port to listen on; 0 takes a free one.
    pub port: u16,
    /// The data folder.
    pub data_dir: PathBuf,
    /// A database elsewhere.
    pub database: Option<PathBuf>,
    /// A folder of images elsewhere.
    pub images_dir: Option<PathBuf>,
    /// What the Python program left here, to be taken over.
    pub python: Option<PythonFolder>,
    /// The key for clients, if it is not the one that was generated.
    pub gateway_key: Option<Secret>,
    /// Settings that are fixed from outside, by their keys, checked.
    pub fixed: BTreeMap<&'static str, String>,
    /// The bucket's secret access key, if it is fixed.
    pub bucket_secret: Option<Secret>,
    /// Name and password of the admin account that is made at the first start.
    pub admin: Option<(String, Secret)>,
    /// The upstream, if it is fixed.
    pub upstream: Option<UpstreamChoice>,
    /// Proxies whose `X-Forwarded-*` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether names that resolve to 198.18.0.0/15 are fetched: Clash and sing-box give such addresses to all names.
    pub allow_fake_ip_names: bool,
    /// What is logged, such as `info` or `picgate_gateway=debug`.
    pub log: String,
    /// Whether this is a container: the image says so by the variable `container`, as systemd's "Container Interface" has it.
    pub in_container: bool,
    /// What a person should know though it is no error.
    pub notes: Vec<String>,
}

/// A variable or flag that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {problem}\n  remedy: {remedy}")]
pub struct ConfigProblem {
    /// The variable or flag.
    pub name: String,
    /// What is wrong with it.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

/// Reads variables; the process environment in the program, a table in tests.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

struct Reader<'a> {
    environment: Environment<'a>,
    problems: Vec<ConfigProblem>,
}

impl Reader<'_> {
    fn problem(&mut self, name: &str, problem: impl Into<String>, remedy: impl Into<String>) {
        self.problems.push(ConfigProblem { name: name.to_owned(), problem: problem.into(), remedy: remedy.into() });
    }

    /// The variable, or the content of the file that `{name}_FILE` names. Empty counts as not set.
    fn text(&mut self, name: &str) -> Option<String> {
        let file_name = format!("{name}_FILE");
        let direct = (self.environment)(name).filter(|v| !v.is_empty());
        let file = (self.environment)(&file_name).filter(|v| !v.is_empty());
        let text = match (direct, file) {
            (Some(_), Some(_)) => {
                self.problem(name, format!("set twice, here and as {file_name}"), format!("unset {name} or {file_name}"));
                return None;
            }
            (Some(value), None) => match value.into_string() {
                Ok(text) => text,
                Err(_) => {
                    self.problem(name, "is not valid UTF-8", "write it in plain characters");
                    return None;
                }
            },
            (None, Some(path)) => match std::fs::read_to_string(&path) {
                Ok(text) => text,
                Err(error) => {
                    let problem = format!("the file {} cannot be read: {error}", Path::new(&path).display());
                    self.problem(&file_name, problem, "check its name and that this account may read it");
                    return None;
                }
            },
            (None, None) => return None,
        };
        Some(text.trim().to_owned()).filter(|t| !t.is_empty())
    }

    fn parsed<T>(&mut self, name: &str, remedy: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let text = self.text(name)?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.problem(name, problem, remedy);
                None
            }
        }
    }
}

impl Config {
    /// Where everything is kept unless somebody says otherwise.
    pub fn default_data_dir() -> Option<PathBuf> {
        directories::ProjectDirs::from("io", "PicGate", "PicGate").map(|dirs| dirs.data_dir().to_owned())
    }

    /// Reads and checks everything.
    ///
    /// # Errors
    /// All problems at once, so that a person mends them in one go.
    pub fn load(flags: &Flags, environment: Environment<'_>) -> Result<Self, Vec<ConfigProblem>> {
        let mut reader = Reader { environment, problems: Vec::new() };
        let mut notes = Vec::new();
        let host = flags.host.clone().map(|h| ("--host".to_owned(), h)).or_else(|| reader.text("HOST").map(|h| ("HOST".to_owned(), h)));
        let host_fixed_by = host.as_ref().map(|(name, _)| name.clone());
        let host = host.and_then(|(name, text)| {
            let parsed = parse_host(&text);
            if parsed.is_none() {
                reader.problem(&name, format!("'{text}' is not an address"), "use 127.0.0.1 for this computer alone or 0.0.0.0 for all");
            }
            parsed
        });
        let port = reader.parsed("PORT", "use a number from 1 to 65535", |t| t.parse().map_err(|_| format!("'{t}' is not a port")));
        let data_dir =
            flags.data_dir.clone().or_else(|| reader.text("PICGATE_DATA_DIR").map(PathBuf::from)).or_else(Self::default_data_dir);
        let database = reader.parsed(
            "DATABASE_URL",
            "use sqlite:///relative/path.db or sqlite:////absolute/path.db, or leave it away",
            parse_database_url,
        );
        let mut fixed = fixed_settings(&mut reader);
        let bucket_secret = fixed.remove(BUCKET_SECRET).filter(|secret| !secret.is_empty()).map(Secret::new);
        let trusted_proxies = reader
            .parsed("PICGATE_TRUSTED_PROXIES", "list addresses or networks with commas, such as 127.0.0.1,172.16.0.0/12", parse_networks)
            .unwrap_or_default();
        let allow_fake_ip_names = reader.parsed("PICGATE_ALLOW_FAKE_IP_NAMES", "use true or false", parse_switch).unwrap_or(false);
        let images_dir = reader.text("IMAGES_DIR").map(PathBuf::from);
        let gateway_key =
            reader.parsed("PICGATE_GATEWAY_KEY", "choose at least 8 characters without spaces, or leave it away to have one made", |t| {
                let fits = t.len() >= 8 && t.bytes().all(|b| b.is_ascii_graphic());
                if fits { Ok(Secret::new(t)) } else { Err("is too short or holds characters that cannot stand in a header".into()) }
            });
        let upstream = upstream(&mut reader);
        let admin = admin(&mut reader);
        let log = reader.parsed(
            "PICGATE_LOG",
            "use error, warn, info, debug or trace, perhaps for one module: info,picgate_gateway=debug",
            check_log,
        );
        let log = log.unwrap_or_else(|| "info".into());
        let Some(data_dir) = data_dir else {
            reader.problem(
                "PICGATE_DATA_DIR",
                "this account has no home folder to keep data in",
                "name a folder with --data-dir or PICGATE_DATA_DIR",
            );
            return Err(reader.problems);
        };
        let named = database.clone().filter(|path| is_python(path));
        if let Some(path) = &named {
            notes.push(format!(
                "DATABASE_URL names the database of the Python program ({}); it is left untouched and PicGate keeps its own under {}",
                path.display(),
                data_dir.join("store").display()
            ));
        }
        let database = database.filter(|_| named.is_none());
        let python = PythonFolder::find(named.as_deref().unwrap_or(&data_dir), images_dir.as_deref());
        let in_container = reader.text("container").is_some();
        if in_container && is_python(&data_dir.join("db").join("picgate.db")) {
            notes.push(PYTHON_IN_CONTAINER.into());
        }
        if !reader.problems.is_empty() {
            return Err(reader.problems);
        }
        Ok(Self {
            host: host.unwrap_or(IpAddr::from([127, 0, 0, 1])),
            host_fixed_by,
            port: flags.port.or(port).unwrap_or(DEFAULT_PORT),
            data_dir,
            database,
            images_dir,
            python,
            gateway_key,
            fixed,
            bucket_secret,
            admin,
            upstream,
            trusted_proxies,
            allow_fake_ip_names,
            log,
            in_container,
            notes,
        })
    }
}

fn parse_host(text: &str) -> Option<IpAddr> {
    match text {
        "localhost" => Some(IpAddr::from([127, 0, 0, 1])),
        _ => text.trim_start_matches('[').trim_end_matches(']').parse().ok(),
    }
}

/// SQLAlchemy's form: three slashes and a relative path, four and an absolute one.
fn parse_database_url(text: &str) -> Result<PathBuf, String> {
    let path = text.strip_prefix("sqlite+aiosqlite:///").or_else(|| text.strip_prefix("sqlite:///"));
    match path.map(|p| p.split('?').next().unwrap_or_default()) {
        Some("" | ":memory:") => Err("names no file".into()),
        Some(path) => Ok(PathBuf::from(path)),
        None => Err(format!("'{}' is not a SQLite database", text.split("://").next().unwrap_or_default())),
    }
}

fn fixed_settings(reader: &mut Reader<'_>) -> BTreeMap<&'static str, String> {
    let mut fixed = BTreeMap::new();
    for setting in SETTINGS {
        if let Some(value) = reader.parsed(&setting.variable(), &setting.remedy(), |text| setting.check(text)) {
            fixed.insert(setting.key, value);
        }
    }
    fixed
}

fn check_log(text: &str) -> Result<String, String> {
    let is_level = |level: &str| ["off", "error", "warn", "info", "debug", "trace"].contains(&level.to_ascii_lowercase().as_str());
    let wrong = text.split(',').map(str::trim).find(|part| match part.split_once('=') {
        Some((target, level)) => target.is_empty() || !is_level(level),
        None => !is_level(part),
    });
    wrong.map_or_else(|| Ok(text.to_owned()), |part| Err(format!("'{part}' is no level")))
}

fn parse_switch(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(format!("'{text}' is neither true nor false")),
    }
}

fn parse_networks(text: &str) -> Result<Vec<IpNet>, String> {
    let one = |item: &str| item.parse::<IpNet>().ok().or_else(|| item.parse::<IpAddr>().ok().map(IpNet::from));
    text.split(',')
        .map(str::trim)
        .filter(|t| !t.is_empty())
        .map(|item| one(item).ok_or_else(|| format!("'{item}' is no address or network")))
        .collect()
}

/// Name and password come together.
fn admin(reader: &mut Reader<'_>) -> Option<(String, Secret)> {
    let (name, password) = (reader.text("PICGATE_ADMIN_USERNAME"), reader.text("PICGATE_ADMIN_PASSWORD"));
    match (name, password) {
        (name, Some(password)) => Some((name.unwrap_or_else(|| "admin".into()), Secret::new(password))),
        (Some(_), None) => {
            reader.problem(
                "PICGATE_ADMIN_PASSWORD",
                "is missing",
                "set it beside PICGATE_ADMIN_USERNAME, or unset both to set up in the browser",
            );
            None
        }
        (None, None) => None,
    }
}

fn upstream(reader: &mut Reader<'_>) -> Option<UpstreamChoice> {
    let kind = reader.text("PICGATE_UPSTREAM_KIND");
    let base_url = reader.parsed("PICGATE_UPSTREAM_BASE_URL", "write the provider's API address, such as https://api.openai.com/v1", |t| {
        let url = Url::parse(t).map_err(|_| format!("'{t}' is not a URL"))?;
        let usable = matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none();
        if usable { Ok(url) } else { Err("must begin with http:// or https:// and hold no user name".into()) }
    });
    let api_key = reader.parsed("PICGATE_UPSTREAM_API_KEY", "write the key alone, on one line", |text| {
        let fits = text.bytes().all(|b| b.is_ascii_graphic());
        if fits { Ok(text.to_owned()) } else { Err("holds blanks or other characters that no key has".into()) }
    });
    let model = reader.text("PICGATE_UPSTREAM_MODEL");
    let dialect = reader.parsed("PICGATE_UPSTREAM_DIALECT", "use auto, chat or images", |text| match text {
        "auto" => Ok(None),
        "chat" => Ok(Some(Dialect::Chat)),
        "images" => Ok(Some(Dialect::Images)),
        other => Err(format!("'{other}' is not known")),
    });
    match kind.as_deref() {
        Some("demo") => Some(UpstreamChoice::Demo),
        Some("gemini") => {
            let remedy = "use a relay or provider that speaks OpenAI's API (PICGATE_UPSTREAM_KIND=openai), such as OpenRouter or new-api";
            reader.problem("PICGATE_UPSTREAM_KIND", "Gemini's own API is not supported yet", remedy);
            None
        }
        Some("openai") | None => {
            if kind.is_none() && base_url.is_none() && api_key.is_none() && model.is_none() {
                return None;
            }
            if base_url.is_none() && api_key.is_none() {
                reader.problem(
                    "PICGATE_UPSTREAM_API_KEY",
                    "is missing",
                    "set the key of your provider, and PICGATE_UPSTREAM_BASE_URL unless it is OpenAI",
                );
                return None;
            }
            Some(UpstreamChoice::OpenAi {
                base_url: base_url.or_else(|| Url::parse(DEFAULT_UPSTREAM_URL).ok())?,
                api_key: Secret::new(api_key.unwrap_or_default()),
                model: model.unwrap_or_else(|| DEFAULT_UPSTREAM_MODEL.into()),
                dialect: dialect.flatten(),
            })
        }
        Some(other) => {
            reader.problem("PICGATE_UPSTREAM_KIND", format!("'{other}' is not known"), "use openai or demo");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(pairs: &[(&str, &str)]) -> Result<Config, Vec<ConfigProblem>> {
        let table: std::collections::HashMap<String, OsString> = pairs.iter().map(|(k, v)| ((*k).to_owned(), OsString::from(v))).collect();
        let flags = Flags { data_dir: Some("/nowhere".into()), ..Flags::default() };
        Config::load(&flags, &|name| table.get(name).cloned())
    }

    #[test]
    fn nothing_set_means_defaults() {
        let config = load(&[("PORT", ""), ("HOST", " ")]).expect("loads");
        assert_eq!((config.host.to_string().as_str(), config.port), ("127.0.0.1", DEFAULT_PORT));
        assert!(config.upstream.is_none() && config.database.is_none());
    }

    #[test]
    fn every_problem_names_its_variable_and_a_remedy() {
        let problems = load(&[
            ("HOST", "my house"),
            ("PORT", "99999"),
            ("DATABASE_URL", "postgres://x"),
            ("PICGATE_PUBLIC_BASE_URL", "img.example.com"),
            ("PICGATE_GATEWAY_KEY", "short"),
            ("PICGATE_UPSTREAM_KIND", "gemini"),
            ("PICGATE_TRUSTED_PROXIES", "127.0.0.1, lan"),
            ("PICGATE_LOG", "verbose"),
            ("PICGATE_FETCH_EXTERNAL_IMAGES", "maybe"),
        ])
        .expect_err("refuses");
        let names: Vec<&str> = problems.iter().map(|p| p.name.as_str()).collect();
        let expected = [
            "HOST",
            "PORT",
            "DATABASE_URL",
            "PICGATE_PUBLIC_BASE_URL",
            "PICGATE_FETCH_EXTERNAL_IMAGES",
            "PICGATE_TRUSTED_PROXIES",
            "PICGATE_GATEWAY_KEY",
            "PICGATE_UPSTREAM_KIND",
            "PICGATE_LOG",
        ];
        assert_eq!(names, expected);
        assert!(problems.iter().all(|p| !p.remedy.is_empty()));
    }

    #[test]
    fn a_secret_may_come_from_a_file_but_not_twice() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("key");
        std::fs::write(&path, "sk-from-file\n").expect("writes");
        let path = path.to_string_lossy();
        let config = load(&[("PICGATE_UPSTREAM_API_KEY_FILE", &path)]).expect("loads");
        let Some(UpstreamChoice::OpenAi { base_url, api_key, .. }) = config.upstream else { panic!("an upstream") };
        assert_eq!((base_url.as_str(), api_key.expose()), ("https://api.openai.com/v1", "sk-from-file"));
        assert!(load(&[("PICGATE_UPSTREAM_API_KEY_FILE", &path), ("PICGATE_UPSTREAM_API_KEY", "x")]).is_err());
        assert!(load(&[("PICGATE_UPSTREAM_API_KEY_FILE", "/nowhere/key")]).is_err());
    }

    #[test]
    fn both_spellings_of_a_database_url_are_read() {
        for (url, path) in
            [("sqlite+aiosqlite:///./data/db/picgate.db", "./data/db/picgate.db"), ("sqlite:////app/data/p.sqlite3", "/app/data/p.sqlite3")]
        {
            assert_eq!(load(&[("DATABASE_URL", url)]).expect("loads").database, Some(PathBuf::from(path)));
        }
    }
}
