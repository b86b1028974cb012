//! Settings and upstreams of a database that came from elsewhere. What the admin's API would refuse goes; what decides who is
//! reached, where pictures go and what is removed is named, so that a person looks at it.

use rusqlite::{Connection, Transaction, params};

use super::upstreams::{self, UPSTREAMS_MAX};
use crate::model::{BUCKET_SECRET, Saying, Setting};

/// Longest value that is looked at, in bytes; no setting takes a longer one.
const VALUE_MAX: i64 = 64 * 1024;

/// Most that is told of one value, in characters.
const SHOWN_MAX: usize = 120;

/// Most things of each kind that are told.
const TOLD_MAX: usize = 100;

/// Settings by which somebody else could reach in, have pictures or prompts sent elsewhere, or have them removed or not kept.
const NOTABLE: [&str; 18] = [
    "public_base_url",
    "allowed_hosts",
    "fetch_external_images",
    "keep_uploads",
    "task_model",
    "r2_account_id",
    "r2_access_key_id",
    "r2_bucket",
    "s3_endpoint",
    "s3_prefix",
    "s3_write",
    "bucket_public_url",
    "bucket_links",
    "cache_ttl_hours",
    "cache_cap_mb",
    "evict_last_copy",
    "retention_days",
    "delete_cloud_with_metadata",
];

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vetted {
    /// What went, and why.
    pub dropped: Vec<(String, Saying)>,
    /// What a person should look at, and its value.
    pub notable: Vec<(String, String)>,
}

/// Text of somebody else, for a terminal.
fn shown(text: &str) -> String {
    let shortened: String = text.chars().take(SHOWN_MAX).collect();
    let more = if shortened.len() < text.len() { "…" } else { "" };
    format!("{}{more}", shortened.escape_debug())
}

impl Vetted {
    fn drop(&mut self, what: &str, why: &Saying) {
        if self.dropped.len() < TOLD_MAX {
            self.dropped.push((shown(what), Saying::new(shown(why.told(true)), shown(why.told(false)))));
        }
    }
}

/// Looks through both tables and removes what cannot be used.
pub(super) fn vet(transaction: &Transaction<'_>) -> rusqlite::Result<Vetted> {
    let mut vetted = Vetted::default();
    let too_long = transaction.execute("delete from settings where octet_length(key) > ?1 or octet_length(value) > ?1", [VALUE_MAX])?;
    if too_long > 0 {
        let why = Saying::new("超过任何设置的长度", "are longer than any setting can be");
        vetted.drop(&format!("{too_long} settings"), &why);
    }
    for (key, value) in settings(transaction)? {
        let checked = match Setting::find(&key) {
            None => Err(Saying::new("没有这个设置", "there is no such setting")),
            Some(setting) if setting.key == BUCKET_SECRET => Err(Saying::new("密钥不放在数据库里", "keys are not kept in the database")),
            Some(setting) => setting.check(&value).map(|checked| (setting, checked)),
        };
        match checked {
            Ok((setting, checked)) => {
                if NOTABLE.contains(&setting.key) && checked != setting.default {
                    vetted.notable.push((setting.key.to_owned(), shown(&checked)));
                }
                if checked != value {
                    transaction.execute("update settings set value = ?2 where key = ?1", params![key, checked])?;
                }
            }
            Err(why) => {
                transaction.execute("delete from settings where key = ?1", [&key])?;
                vetted.drop(&key, &why);
            }
        }
    }
    // Those that are used come first, so that others cannot crowd them out.
    let mut rows = upstreams::list(transaction)?;
    rows.sort_by_key(|row| !row.enabled);
    let mut kept = 0;
    for mut row in rows {
        let name = row.name.clone();
        match row.check() {
            Ok(()) if kept == UPSTREAMS_MAX => {
                upstreams::delete(transaction, row.id)?;
                let why = Saying::new(
                    format!("超出了上游的数量上限 {UPSTREAMS_MAX}"),
                    format!("is one too many: there may be {UPSTREAMS_MAX} upstreams"),
                );
                vetted.drop(&format!("upstream {name}"), &why);
            }
            Ok(()) => {
                if row.kind == "openai" && vetted.notable.len() < TOLD_MAX {
                    let disabled = if row.enabled { "" } else { " (disabled)" };
                    vetted.notable.push((format!("upstream {}{disabled}", shown(&row.name)), shown(&row.base_url)));
                }
                if upstreams::update(transaction, &row).is_err() {
                    upstreams::delete(transaction, row.id)?;
                    vetted.drop(&format!("upstream {name}"), &Saying::new("与另一个上游重名", "has the name of another one"));
                } else {
                    kept += 1;
                }
            }
            Err(problems) => {
                upstreams::delete(transaction, row.id)?;
                let fields: Vec<&str> = problems.keys().copied().collect();
                let why: Vec<String> = problems.iter().map(|(field, (_, problem))| format!("{field} {problem}")).collect();
                let why = Saying::new(format!("这些内容不能用：{}", fields.join("、")), why.join("; "));
                vetted.drop(&format!("upstream {name}"), &why);
            }
        }
    }
    Ok(vetted)
}

fn settings(connection: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let mut statement = connection.prepare("select key, value from settings order by key")?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}
