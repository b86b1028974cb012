//! What is fixed at start: from flags, then the environment, then defaults. Checked whole, with errors that name the
//! variable and the remedy. Knows no running program.

mod parse;
pub mod variables;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    net::IpAddr,
    path::{Path, PathBuf},
};

use ipnet::IpNet;
use url::Url;

use self::parse::{check_log, parse_database_url, parse_host, parse_networks, parse_switch, unknown};
use crate::{
    model::{BUCKET_SECRET, Dialect, SETTINGS, Saying, Secret, missing_of_bucket},
    store::python::{PythonFolder, is_python},
};

/// The port that the Python program used and every tutorial names.
pub const DEFAULT_PORT: u16 = 5643;

/// The upstream that is meant when only a key is given.
const DEFAULT_UPSTREAM_URL: &str = "https://api.openai.com/v1";
const DEFAULT_UPSTREAM_MODEL: &str = "gpt-image-1";

/// The Python program's compose files ask curl for the health of the container, and an image without a shell has none.
const PYTHON_IN_CONTAINER: [&str; 2] = [
    "这个文件夹被同名的 Python 版使用过；如果它的 compose 文件用 curl 检查健康状态，请改成 healthcheck: {test: [CMD, picgate, healthcheck]}，\
     因为这个镜像里没有 curl，容器会被当作不健康",
    "this folder was used by the Python program of the same name; if its compose file checks the health with curl, write \
     healthcheck: {test: [CMD, picgate, healthcheck]} instead, because there is no curl in this image and the container would count as unhealthy",
];

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
    pub notes: Vec<Saying>,
}

/// A variable or flag that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {problem}\n  remedy: {remedy}")]
pub struct ConfigProblem {
    /// The variable or flag.
    pub name: String,
    /// What is wrong with it.
    pub problem: Saying,
    /// What to do.
    pub remedy: Saying,
}

/// Reads variables; the process environment in the program, a table in tests.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

struct Reader<'a> {
    environment: Environment<'a>,
    problems: Vec<ConfigProblem>,
}

impl Reader<'_> {
    fn problem(&mut self, name: &str, problem: Saying, remedy: Saying) {
        self.problems.push(ConfigProblem { name: name.to_owned(), problem, remedy });
    }

    /// The variable, or the content of the file that `{name}_FILE` names. Empty counts as not set.
    fn text(&mut self, name: &str) -> Option<String> {
        let file_name = format!("{name}_FILE");
        let direct = (self.environment)(name).filter(|v| !v.is_empty());
        let file = (self.environment)(&file_name).filter(|v| !v.is_empty());
        let text = match (direct, file) {
            (Some(_), Some(_)) => {
                let problem = Saying::new(format!("与 {file_name} 重复设置"), format!("set twice, here and as {file_name}"));
                let remedy = Saying::new(format!("去掉 {name} 或 {file_name}"), format!("unset {name} or {file_name}"));
                self.problem(name, problem, remedy);
                return None;
            }
            (Some(value), None) => match value.into_string() {
                Ok(text) => text,
                Err(_) => {
                    let remedy = Saying::new("用普通字符填写", "write it in plain characters");
                    self.problem(name, Saying::new("不是有效的 UTF-8", "is not valid UTF-8"), remedy);
                    return None;
                }
            },
            (None, Some(path)) => match std::fs::read_to_string(&path) {
                Ok(text) => text,
                Err(error) => {
                    let path = Path::new(&path).display();
                    let problem = Saying::new(format!("无法读取文件 {path}：{error}"), format!("the file {path} cannot be read: {error}"));
                    let remedy = Saying::new("检查文件名，并确认当前账户可以读取它", "check its name and that this account may read it");
                    self.problem(&file_name, problem, remedy);
                    return None;
                }
            },
            (None, None) => return None,
        };
        Some(text.trim().to_owned()).filter(|t| !t.is_empty())
    }

    fn parsed<T>(&mut self, name: &str, remedy: Saying, parse: impl FnOnce(&str) -> Result<T, Saying>) -> Option<T> {
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
                let problem = Saying::new(format!("“{text}”不是地址"), format!("'{text}' is not an address"));
                let remedy =
                    Saying::new("仅限本机用 127.0.0.1，对所有人开放用 0.0.0.0", "use 127.0.0.1 for this computer alone or 0.0.0.0 for all");
                reader.problem(&name, problem, remedy);
            }
            parsed
        });
        let port = reader.parsed("PORT", Saying::new("请填写 1 到 65535 之间的数", "use a number from 1 to 65535"), |t| {
            t.parse().map_err(|_| Saying::new(format!("“{t}”不是端口"), format!("'{t}' is not a port")))
        });
        let data_dir =
            flags.data_dir.clone().or_else(|| reader.text("PICGATE_DATA_DIR").map(PathBuf::from)).or_else(Self::default_data_dir);
        let database = reader.parsed(
            "DATABASE_URL",
            Saying::new(
                "请填写 sqlite:///相对路径.db 或 sqlite:////绝对路径.db，或去掉它",
                "use sqlite:///relative/path.db or sqlite:////absolute/path.db, or leave it away",
            ),
            parse_database_url,
        );
        let mut fixed = fixed_settings(&mut reader);
        let bucket_secret = fixed.remove(BUCKET_SECRET).filter(|secret| !secret.is_empty()).map(Secret::new);
        notes.extend(bucket_note(&fixed, bucket_secret.is_some()));
        let remedy = Saying::new(
            "用逗号列出地址或网段，例如 127.0.0.1,172.16.0.0/12",
            "list addresses or networks with commas, such as 127.0.0.1,172.16.0.0/12",
        );
        let trusted_proxies = reader.parsed("PICGATE_TRUSTED_PROXIES", remedy, parse_networks).unwrap_or_default();
        let remedy = Saying::new("请填写 true 或 false", "use true or false");
        let allow_fake_ip_names = reader.parsed("PICGATE_ALLOW_FAKE_IP_NAMES", remedy, parse_switch).unwrap_or(false);
        let images_dir = reader.text("IMAGES_DIR").map(PathBuf::from);
        let remedy = Saying::new(
            "请填写至少 8 个不含空格的字符，或去掉它，由 PicGate 生成",
            "choose at least 8 characters without spaces, or leave it away to have one made",
        );
        let gateway_key = reader.parsed("PICGATE_GATEWAY_KEY", remedy, |t| {
            let fits = t.len() >= 8 && t.bytes().all(|b| b.is_ascii_graphic());
            let unfit = || Saying::new("太短，或含有不能用的字符", "is too short or holds characters that cannot stand in a header");
            if fits { Ok(Secret::new(t)) } else { Err(unfit()) }
        });
        let upstream = upstream(&mut reader);
        let admin = admin(&mut reader);
        let log = reader.parsed(
            "PICGATE_LOG",
            Saying::new(
                "请填写 error、warn、info、debug 或 trace，也可以只对一个模块：info,picgate_gateway=debug",
                "use error, warn, info, debug or trace, perhaps for one module: info,picgate_gateway=debug",
            ),
            check_log,
        );
        let log = log.unwrap_or_else(|| "info".into());
        let Some(data_dir) = data_dir else {
            reader.problem(
                "PICGATE_DATA_DIR",
                Saying::new("当前账户没有可以存放数据的主目录", "this account has no home folder to keep data in"),
                Saying::new("用 --data-dir 或 PICGATE_DATA_DIR 指定一个文件夹", "name a folder with --data-dir or PICGATE_DATA_DIR"),
            );
            return Err(reader.problems);
        };
        let named = database.clone().filter(|path| is_python(path));
        if let Some(path) = &named {
            let (path, own) = (path.display(), data_dir.join("store"));
            let own = own.display();
            notes.push(Saying::new(
                format!("DATABASE_URL 指向 Python 版的数据库（{path}）；它不会被改动，PicGate 把自己的放在 {own}"),
                format!(
                    "DATABASE_URL names the database of the Python program ({path}); it is left untouched and PicGate keeps its own under {own}"
                ),
            ));
        }
        let database = database.filter(|_| named.is_none());
        let python = PythonFolder::find(named.as_deref().unwrap_or(&data_dir), images_dir.as_deref());
        let in_container = reader.text("container").is_some();
        if in_container && is_python(&data_dir.join("db").join("picgate.db")) {
            let [zh, en] = PYTHON_IN_CONTAINER;
            notes.push(Saying::new(zh, en));
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

fn fixed_settings(reader: &mut Reader<'_>) -> BTreeMap<&'static str, String> {
    let mut fixed = BTreeMap::new();
    for setting in SETTINGS {
        if let Some(value) = reader.parsed(&setting.variable(), setting.remedy(), |text| setting.check(text)) {
            fixed.insert(setting.key, value);
        }
    }
    fixed
}

/// A bucket that the environment describes in part: silence would look like copies.
fn bucket_note(fixed: &BTreeMap<&'static str, String>, has_secret: bool) -> Option<Saying> {
    let is_set = |key: &str| if key == BUCKET_SECRET { has_secret } else { fixed.get(key).is_some_and(|value| !value.is_empty()) };
    let missing = missing_of_bucket(&is_set).join(", ");
    let is_begun = has_secret || ["r2_account_id", "r2_access_key_id", "r2_bucket", "s3_endpoint"].into_iter().any(is_set);
    (is_begun && !missing.is_empty()).then(|| {
        Saying::new(
            format!("环境变量只描述了存储桶的一部分，还缺 {missing}；如果设置页面里也没有，图片就不会备份"),
            format!(
                "the environment describes a bucket in part, without {missing}; unless the settings page has the rest, no picture is copied"
            ),
        )
    })
}

/// Name and password come together.
fn admin(reader: &mut Reader<'_>) -> Option<(String, Secret)> {
    let (name, password) = (reader.text("PICGATE_ADMIN_USERNAME"), reader.text("PICGATE_ADMIN_PASSWORD"));
    match (name, password) {
        (name, Some(password)) => Some((name.unwrap_or_else(|| "admin".into()), Secret::new(password))),
        (Some(_), None) => {
            reader.problem(
                "PICGATE_ADMIN_PASSWORD",
                Saying::new("没有设置", "is missing"),
                Saying::new(
                    "与 PICGATE_ADMIN_USERNAME 一起设置，或两个都去掉，在浏览器里设置",
                    "set it beside PICGATE_ADMIN_USERNAME, or unset both to set up in the browser",
                ),
            );
            None
        }
        (None, None) => None,
    }
}

fn upstream(reader: &mut Reader<'_>) -> Option<UpstreamChoice> {
    let kind = reader.text("PICGATE_UPSTREAM_KIND");
    let remedy = Saying::new(
        "请填写服务商的接口地址，例如 https://api.openai.com/v1",
        "write the provider's API address, such as https://api.openai.com/v1",
    );
    let base_url = reader.parsed("PICGATE_UPSTREAM_BASE_URL", remedy, |t| {
        let url = Url::parse(t).map_err(|_| Saying::new(format!("“{t}”不是网址"), format!("'{t}' is not a URL")))?;
        let usable = matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none();
        let unusable =
            || Saying::new("必须以 http:// 或 https:// 开头，并且不含用户名", "must begin with http:// or https:// and hold no user name");
        if usable { Ok(url) } else { Err(unusable()) }
    });
    let remedy = Saying::new("请只填写密钥本身，占一行", "write the key alone, on one line");
    let api_key = reader.parsed("PICGATE_UPSTREAM_API_KEY", remedy, |text| {
        let fits = text.bytes().all(|b| b.is_ascii_graphic());
        let unfit = || Saying::new("含有空格或密钥里不会有的字符", "holds blanks or other characters that no key has");
        if fits { Ok(text.to_owned()) } else { Err(unfit()) }
    });
    let model = reader.text("PICGATE_UPSTREAM_MODEL");
    let remedy = Saying::new("请填写 auto、chat 或 images", "use auto, chat or images");
    let dialect = reader.parsed("PICGATE_UPSTREAM_DIALECT", remedy, |text| match text {
        "auto" => Ok(None),
        "chat" => Ok(Some(Dialect::Chat)),
        "images" => Ok(Some(Dialect::Images)),
        other => Err(unknown(other)),
    });
    match kind.as_deref() {
        Some("demo") => Some(UpstreamChoice::Demo),
        Some("gemini") => {
            let problem = Saying::new("还不支持 Gemini 自己的接口", "Gemini's own API is not supported yet");
            let remedy = Saying::new(
                "请使用兼容 OpenAI 接口的中转或服务商（PICGATE_UPSTREAM_KIND=openai），例如 OpenRouter 或 new-api",
                "use a relay or provider that speaks OpenAI's API (PICGATE_UPSTREAM_KIND=openai), such as OpenRouter or new-api",
            );
            reader.problem("PICGATE_UPSTREAM_KIND", problem, remedy);
            None
        }
        Some("openai") | None => {
            if kind.is_none() && base_url.is_none() && api_key.is_none() && model.is_none() {
                return None;
            }
            if base_url.is_none() && api_key.is_none() {
                reader.problem(
                    "PICGATE_UPSTREAM_API_KEY",
                    Saying::new("没有设置", "is missing"),
                    Saying::new(
                        "请设置服务商的密钥；不是 OpenAI 的话，还要设置 PICGATE_UPSTREAM_BASE_URL",
                        "set the key of your provider, and PICGATE_UPSTREAM_BASE_URL unless it is OpenAI",
                    ),
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
            reader.problem("PICGATE_UPSTREAM_KIND", unknown(other), Saying::new("请填写 openai 或 demo", "use openai or demo"));
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
        let is_han = |text: &str| text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
        for ConfigProblem { name, problem, remedy } in &problems {
            for said in [problem, remedy] {
                assert!(is_han(said.told(true)) && !is_han(said.told(false)) && !said.told(false).is_empty(), "{name}: {said:?}");
            }
        }
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
    fn a_bucket_that_is_described_in_part_is_told_with_what_is_missing() {
        let notes = |pairs: &[(&str, &str)]| load(pairs).expect("loads").notes;
        let part = [("PICGATE_R2_BUCKET", "pictures"), ("PICGATE_R2_ACCESS_KEY_ID", "id")];
        let [note] = &notes(&part)[..] else { panic!("a note") };
        for chinese in [true, false] {
            let told = note.told(chinese);
            assert!(told.contains("PICGATE_R2_ACCOUNT_ID/PICGATE_S3_ENDPOINT, PICGATE_R2_SECRET_ACCESS_KEY"), "{told}");
            assert!(!told.contains("PICGATE_R2_BUCKET") && !told.contains("PICGATE_R2_ACCESS_KEY_ID"), "{told}");
        }
        assert_eq!(notes(&[("PICGATE_R2_SECRET_ACCESS_KEY", "secret")]).len(), 1);
        assert!(notes(&[("PICGATE_S3_REGION", "auto"), ("PICGATE_R2_BUCKET", "")]).is_empty());
        let whole = [("PICGATE_S3_ENDPOINT", "https://s3.example.com"), ("PICGATE_R2_SECRET_ACCESS_KEY", "secret"), part[0], part[1]];
        assert!(notes(&whole).is_empty());
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
