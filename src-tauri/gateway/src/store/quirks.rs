//! The table of what was learnt of upstreams.

use rusqlite::{Connection, Transaction, params};

/// All of it: upstream and quirk.
pub fn list(connection: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let mut statement = connection.prepare_cached("select upstream, quirk from quirks")?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// Notes one; a second time is as good as once.
pub fn add(transaction: &Transaction<'_>, upstream: &str, quirk: &str, now: i64) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("insert into quirks (upstream, quirk, learnt_at) values (?1, ?2, ?3) on conflict do nothing")?
        .execute(params![upstream, quirk, now])?;
    Ok(())
}

/// Forgets one that turned out to be wrong.
pub fn remove(transaction: &Transaction<'_>, upstream: &str, quirk: &str) -> rusqlite::Result<()> {
    transaction.prepare_cached("delete from quirks where upstream = ?1 and quirk = ?2")?.execute([upstream, quirk])?;
    Ok(())
}
