//! Objects that are to be removed from a bucket: the tombstones of images that were deleted or are not wanted there.

use rusqlite::{Connection, Row, Transaction, params};

use super::{TOO_FAR, copy_of, places};
use crate::{
    model::{ImageId, Millis, python_key},
    store::blobs,
};

/// How long a removal may be in hand before it is taken again.
const GRAVE_LEASE: Millis = 60 * 1000;

/// An object to be removed.
#[derive(Clone, Debug)]
pub struct Tombstone {
    /// The image that it was.
    pub id: ImageId,
    /// Where it lies.
    pub bucket: String,
    /// Its name.
    pub key: String,
    /// Failures so far.
    pub attempts: u32,
}

/// Notes that the object of an image is to go, wherever it may have been put.
pub fn bury(transaction: &Transaction<'_>, id: ImageId, now: Millis) -> rusqlite::Result<()> {
    // No other name is this image's, whatever a database from elsewhere says.
    let legacy = copy_of(transaction, id)?.and_then(|(_, key)| key).filter(|key| *key == python_key(id));
    // Those of before too: whoever goes back to one must not find the image again.
    for bucket in places(transaction)? {
        // The usual name carries the prefix, which is the end of the place.
        let prefix = bucket.rsplit('|').next().unwrap_or_default();
        for key in [Some(format!("{prefix}{id}")), legacy.clone()].into_iter().flatten() {
            bury_object(transaction, &Tombstone { id, bucket: bucket.clone(), key, attempts: 0 }, now)?;
        }
    }
    Ok(())
}

/// Notes that one object is to go.
pub fn bury_object(transaction: &Transaction<'_>, grave: &Tombstone, now: Millis) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "insert into tombstones (id, bucket, key, due_at) values (?1, ?2, ?3, ?4) on conflict (bucket, key) do update set due_at = ?4",
        )?
        .execute(params![grave.id.as_bytes(), grave.bucket, grave.key, now])?;
    Ok(())
}

/// Whether an object can be one of this image, in the bucket at `place`: every other name is somebody else's object.
pub fn is_own_key(id: ImageId, place: &str, key: &str) -> bool {
    // The usual name carries the prefix, which is the end of the place.
    let prefix = place.rsplit('|').next().unwrap_or_default();
    key == format!("{prefix}{id}") || key == python_key(id)
}

/// Forgets removals of objects that are none of ours, as a database from elsewhere may bring them.
pub(in crate::store) fn delete_foreign_graves(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare("select id, bucket, key from tombstones")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (id, bucket, key): ([u8; 16], String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        if !ImageId::from_slice(&id).is_some_and(|id| is_own_key(id, &bucket, &key)) {
            let sql = "delete from tombstones where bucket = ?1 and key = ?2";
            transaction.prepare_cached(sql)?.execute([bucket, key])?;
        }
    }
    Ok(())
}

/// Takes objects to be removed now; those of a run that breaks off come up again a little later.
pub fn claim_graves(transaction: &Transaction<'_>, place: &str, now: Millis, limit: usize) -> rusqlite::Result<Vec<Tombstone>> {
    let sql = "update tombstones set due_at = ?2 + ?5 where (bucket, key) in
                   (select bucket, key from tombstones where bucket = ?1 and (due_at <= ?2 or due_at > ?3) order by due_at limit ?4)
               returning id, bucket, key, attempts";
    let row = |row: &Row<'_>| {
        let id: [u8; 16] = row.get(0)?;
        let id = ImageId::from_slice(&id).ok_or_else(|| blobs::unknown(0, "image id"))?;
        Ok(Tombstone { id, bucket: row.get(1)?, key: row.get(2)?, attempts: row.get(3)? })
    };
    transaction.prepare_cached(sql)?.query_map(params![place, now, now + TOO_FAR, limit as i64, GRAVE_LEASE], row)?.collect()
}

/// The object is gone.
pub fn grave_done(transaction: &Transaction<'_>, grave: &Tombstone) -> rusqlite::Result<()> {
    transaction.prepare_cached("delete from tombstones where bucket = ?1 and key = ?2")?.execute(params![grave.bucket, grave.key])?;
    Ok(())
}

/// The object is being put just now and is removed a moment later.
pub fn grave_later(transaction: &Transaction<'_>, grave: &Tombstone, due_at: Millis) -> rusqlite::Result<()> {
    let sql = "update tombstones set due_at = ?3 where bucket = ?1 and key = ?2";
    transaction.prepare_cached(sql)?.execute(params![grave.bucket, grave.key, due_at])?;
    Ok(())
}

/// The object could not be removed.
pub fn grave_failed(transaction: &Transaction<'_>, grave: &Tombstone, due_at: Millis, error: &str) -> rusqlite::Result<()> {
    let sql = "update tombstones set attempts = attempts + 1, due_at = ?3, error = ?4 where bucket = ?1 and key = ?2";
    transaction.prepare_cached(sql)?.execute(params![grave.bucket, grave.key, due_at, error])?;
    Ok(())
}

/// Whether the object of this image is to go: it must not come back.
pub fn is_buried(connection: &Connection, id: ImageId) -> rusqlite::Result<bool> {
    connection.prepare_cached("select 1 from tombstones where id = ?1 limit 1")?.exists([id.as_bytes()])
}
