//! Values of variables, read from their text; what is wrong is told in both languages.

use std::{net::IpAddr, path::PathBuf};

use ipnet::IpNet;

use crate::model::Saying;

pub(super) fn parse_host(text: &str) -> Option<IpAddr> {
    match text {
        "localhost" => Some(IpAddr::from([127, 0, 0, 1])),
        _ => text.trim_start_matches('[').trim_end_matches(']').parse().ok(),
    }
}

/// SQLAlchemy's form: three slashes and a relative path, four and an absolute one.
pub(super) fn parse_database_url(text: &str) -> Result<PathBuf, Saying> {
    let path = text.strip_prefix("sqlite+aiosqlite:///").or_else(|| text.strip_prefix("sqlite:///"));
    match path.map(|p| p.split('?').next().unwrap_or_default()) {
        Some("" | ":memory:") => Err(Saying::new("没有指明文件", "names no file")),
        Some(path) => Ok(PathBuf::from(path)),
        None => {
            let kind = text.split("://").next().unwrap_or_default();
            Err(Saying::new(format!("“{kind}”不是 SQLite 数据库"), format!("'{kind}' is not a SQLite database")))
        }
    }
}

pub(super) fn check_log(text: &str) -> Result<String, Saying> {
    let is_level = |level: &str| ["off", "error", "warn", "info", "debug", "trace"].contains(&level.to_ascii_lowercase().as_str());
    let wrong = text.split(',').map(str::trim).find(|part| match part.split_once('=') {
        Some((target, level)) => target.is_empty() || !is_level(level),
        None => !is_level(part),
    });
    wrong.map_or_else(|| Ok(text.to_owned()), |part| Err(Saying::new(format!("“{part}”不是级别"), format!("'{part}' is no level"))))
}

pub(super) fn parse_switch(text: &str) -> Result<bool, Saying> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(Saying::new(format!("“{text}”既不是 true 也不是 false"), format!("'{text}' is neither true nor false"))),
    }
}

pub(super) fn parse_networks(text: &str) -> Result<Vec<IpNet>, Saying> {
    let one = |item: &str| item.parse::<IpNet>().ok().or_else(|| item.parse::<IpAddr>().ok().map(IpNet::from));
    text.split(',')
        .map(str::trim)
        .filter(|t| !t.is_empty())
        .map(|item| {
            let none = || Saying::new(format!("“{item}”不是地址或网段"), format!("'{item}' is no address or network"));
            one(item).ok_or_else(none)
        })
        .collect()
}

pub(super) fn unknown(word: &str) -> Saying {
    Saying::new(format!("没有“{word}”这个值"), format!("'{word}' is not known"))
}
