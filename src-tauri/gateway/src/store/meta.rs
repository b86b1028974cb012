//! The table of facts about the database itself.

use rusqlite::{Connection, OptionalExtension, Transaction};

/// One fact.
pub fn meta(connection: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    connection.prepare_cached("select value from meta where key = ?1")?.query_row([key], |row| row.get(0)).optional()
}

/// Notes one fact.
pub fn set_meta(transaction: &Transaction<'_>, key: &str, value: &str) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("insert into meta (key, value) values (?1, ?2) on conflict (key) do update set value = excluded.value")?
        .execute([key, value])?;
    Ok(())
}
