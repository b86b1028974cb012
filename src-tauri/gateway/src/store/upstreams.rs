//! The table of upstreams. Their API keys are in the file of keys.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use url::Url;

use crate::model::Dialect;

/// Longest name, in characters; the table has the same limit.
const NAME_MAX: usize = 64;

/// Most upstreams; a list that is longer helps nobody to choose.
pub const UPSTREAMS_MAX: usize = 50;

/// Longest name of a model, in bytes.
const MODEL_MAX: usize = 256;

/// One provider as it is stored; its API key is in the file of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamRow {
    /// Number, also of its key.
    pub id: i64,
    /// What the user calls it.
    pub name: String,
    /// `openai` or `demo`.
    pub kind: String,
    /// Where it answers.
    pub base_url: String,
    /// The model that is asked for.
    pub model: String,
    /// `chat` or `images`; `None` to find out.
    pub dialect: Option<String>,
    /// Whether it is used.
    pub enabled: bool,
}

impl UpstreamRow {
    /// Puts it into the form that is kept.
    ///
    /// # Errors
    /// What is wrong, by field: a word for programs and a sentence's end for people.
    pub fn check(&mut self) -> Result<(), BTreeMap<&'static str, (&'static str, &'static str)>> {
        let mut problems = BTreeMap::new();
        let mut problem = |field, code, text| problems.insert(field, (code, text));
        self.name = self.name.trim().to_owned();
        if self.name.is_empty() || self.name.chars().count() > NAME_MAX {
            problem("name", "length", "must have 1 to 64 characters");
        }
        if !matches!(self.kind.as_str(), "openai" | "demo") {
            problem("kind", "invalid", "is neither openai nor demo");
        }
        if self.dialect.as_deref() == Some("auto") {
            self.dialect = None;
        }
        if self.dialect.as_deref().is_some_and(|word| Dialect::parse(word).is_none()) {
            problem("dialect", "invalid", "is none of auto, chat, images");
        }
        if self.kind == "openai" {
            self.base_url = self.base_url.trim().trim_end_matches('/').to_owned();
            self.model = self.model.trim().to_owned();
            let url = Url::parse(&self.base_url).ok();
            let fits =
                url.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none());
            if !fits {
                problem("base_url", "address", "must begin with http:// or https:// and hold no user name");
            }
            if self.model.is_empty() || self.model.len() > MODEL_MAX {
                problem("model", "length", "must have 1 to 256 characters");
            }
        } else {
            (self.base_url, self.model) = (String::new(), "demo".into());
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

const COLUMNS: &str = "id, name, kind, base_url, model, dialect, enabled";

fn row(row: &Row<'_>) -> rusqlite::Result<UpstreamRow> {
    Ok(UpstreamRow {
        id: row.get(0)?,
        name: row.get(1)?,
        kind: row.get(2)?,
        base_url: row.get(3)?,
        model: row.get(4)?,
        dialect: row.get(5)?,
        enabled: row.get(6)?,
    })
}

/// All upstreams, the preferred one first.
pub fn list(connection: &Connection) -> rusqlite::Result<Vec<UpstreamRow>> {
    connection.prepare_cached(&format!("select {COLUMNS} from upstreams order by priority, id"))?.query_map([], row)?.collect()
}

/// One of them.
pub fn one(connection: &Connection, id: i64) -> rusqlite::Result<Option<UpstreamRow>> {
    connection.prepare_cached(&format!("select {COLUMNS} from upstreams where id = ?1"))?.query_row([id], row).optional()
}

/// Adds an upstream behind all others; its number. The one in `new` does not count.
pub fn insert(transaction: &Transaction<'_>, new: &UpstreamRow, now: i64) -> rusqlite::Result<i64> {
    let sql = "insert into upstreams (name, kind, base_url, model, dialect, enabled, priority, created_at)
               values (?1, ?2, ?3, ?4, ?5, ?6, (select coalesce(max(priority), 0) + 1 from upstreams), ?7)";
    transaction.prepare_cached(sql)?.execute(params![new.name, new.kind, new.base_url, new.model, new.dialect, new.enabled, now])?;
    Ok(transaction.last_insert_rowid())
}

/// Changes an upstream.
pub fn update(transaction: &Transaction<'_>, changed: &UpstreamRow) -> rusqlite::Result<()> {
    let sql = "update upstreams set name = ?2, kind = ?3, base_url = ?4, model = ?5, dialect = ?6, enabled = ?7 where id = ?1";
    let UpstreamRow { id, name, kind, base_url, model, dialect, enabled } = changed;
    transaction.prepare_cached(sql)?.execute(params![id, name, kind, base_url, model, dialect, enabled])?;
    Ok(())
}

/// Removes an upstream; whether there was one.
pub fn delete(transaction: &Transaction<'_>, id: i64) -> rusqlite::Result<bool> {
    Ok(transaction.prepare_cached("delete from upstreams where id = ?1")?.execute([id])? == 1)
}

/// Puts upstreams in this order; those that are not named come behind.
pub fn reorder(transaction: &Transaction<'_>, ids: &[i64]) -> rusqlite::Result<()> {
    transaction.execute("update upstreams set priority = priority + 1000000", [])?;
    let mut statement = transaction.prepare_cached("update upstreams set priority = ?2 where id = ?1")?;
    for (at, id) in ids.iter().enumerate() {
        statement.execute(params![id, at as i64 + 1])?;
    }
    Ok(())
}
