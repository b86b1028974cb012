//! The table of settings: names and values as text; what they mean is decided elsewhere.

use std::collections::BTreeMap;

use rusqlite::Connection;

/// All settings that a person changed.
pub fn load(connection: &Connection) -> rusqlite::Result<BTreeMap<String, String>> {
    let mut statement = connection.prepare_cached("select key, value from settings")?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}
