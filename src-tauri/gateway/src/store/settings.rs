//! The table of settings: names and values as text; what they mean is decided elsewhere.

use std::collections::BTreeMap;

use rusqlite::{Connection, Transaction, params};

use crate::model::Millis;

/// All settings that a person changed.
pub fn load(connection: &Connection) -> rusqlite::Result<BTreeMap<String, String>> {
    let mut statement = connection.prepare_cached("select key, value from settings")?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// Changes one setting.
pub fn save(transaction: &Transaction<'_>, key: &str, value: &str, now: Millis) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "insert into settings (key, value, changed_at) values (?1, ?2, ?3)
             on conflict (key) do update set value = excluded.value, changed_at = excluded.changed_at",
        )?
        .execute(params![key, value, now])?;
    Ok(())
}
