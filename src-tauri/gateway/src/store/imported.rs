//! The table of images that were taken over from the Python program.

use rusqlite::{Connection, Transaction};

use crate::model::ImageId;

/// Whether an image was taken over before, even if it was deleted since.
pub fn is_imported(connection: &Connection, id: ImageId) -> rusqlite::Result<bool> {
    connection.prepare_cached("select 1 from imported where id = ?1")?.exists([id.as_bytes()])
}

/// Notes that an image was taken over.
pub fn add(transaction: &Transaction<'_>, id: ImageId) -> rusqlite::Result<()> {
    transaction.prepare_cached("insert into imported (id) values (?1) on conflict do nothing")?.execute([id.as_bytes()])?;
    Ok(())
}
