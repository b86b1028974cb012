//! The table of upstreams.

use rusqlite::Connection;

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
}

/// Upstreams that are switched on, the preferred one first.
pub fn list(connection: &Connection) -> rusqlite::Result<Vec<UpstreamRow>> {
    let mut statement =
        connection.prepare_cached("select id, name, kind, base_url, model from upstreams where enabled = 1 order by priority, id")?;
    let row = |row: &rusqlite::Row<'_>| {
        Ok(UpstreamRow { id: row.get(0)?, name: row.get(1)?, kind: row.get(2)?, base_url: row.get(3)?, model: row.get(4)? })
    };
    statement.query_map([], row)?.collect()
}
