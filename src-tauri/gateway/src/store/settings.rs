//! The table of settings: names and values as text; what they mean is decided elsewhere.

use std::collections::BTreeMap;

use rusqlite::{Connection, Transaction, params};

/// All settings that a person changed.
pub fn load(connection: &Connection) -> rusqlite::Result<BTreeMap<String, String>> {
    let mut statement = connection.prepare_cached("select key, value from settings")?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// Changes settings; `None` takes one back to what holds when nothing is set.
pub fn save(transaction: &Transaction<'_>, values: &BTreeMap<String, Option<String>>, now: i64) -> rusqlite::Result<()> {
    let mut set = transaction.prepare_cached(
        "insert into settings (key, value, changed_at) values (?1, ?2, ?3) on conflict (key) do update set value = excluded.value, changed_at = excluded.changed_at",
    )?;
    let mut unset = transaction.prepare_cached("delete from settings where key = ?1")?;
    for (key, value) in values {
        match value {
            Some(value) => set.execute(params![key, value, now])?,
            None => unset.execute([key])?,
        };
    }
    Ok(())
}
