//! What is said to be in the bucket, in the order of its names: asked range by range, to be compared with the bucket's listing.

use rusqlite::{Connection, Row, Transaction, params};

use super::{blobs, copies::Confirmed};
use crate::model::{ImageId, Sha256};

/// Before all ids.
pub const FIRST: [u8; 16] = [0; 16];
/// Behind all of them.
pub const LAST: [u8; 16] = [0xff; 16];

/// How many confirmed copies there are.
pub fn confirmed_count(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("select count(*) from copies where state = 'stored'")?.query_row([], |row| row.get(0))
}

/// Confirmed copies behind the id `after` up to `until`, the first `limit` of them by id: those under the usual name, or those
/// under a name of their own.
pub fn confirmed_between(
    connection: &Connection,
    (after, until): ([u8; 16], [u8; 16]),
    own_name: bool,
    limit: usize,
) -> rusqlite::Result<Vec<Confirmed>> {
    let sql = "select i.id, c.key, b.bytes, b.sha256 from images i join copies c on c.seq = i.seq join blobs b on b.sha256 = i.sha256
               where c.state = 'stored' and (c.key is not null) = ?3 and i.id > ?1 and i.id <= ?2 order by i.id limit ?4";
    let row = |row: &Row<'_>| {
        let (id, bytes): ([u8; 16], i64) = (row.get(0)?, row.get(2)?);
        let id = ImageId::from_slice(&id).ok_or_else(|| blobs::unknown(0, "image id"))?;
        Ok(Confirmed { id, key: row.get(1)?, bytes: bytes.max(0) as u64, sha256: Sha256(row.get(3)?) })
    };
    connection.prepare_cached(sql)?.query_map(params![after, until, own_name, limit as i64], row)?.collect()
}

/// A copy of this image was lost. Without its bytes on disk and without a confirmed copy of an equal image they are nowhere:
/// then it counts as missing, and this is `true`.
pub fn note_lost(transaction: &Transaction<'_>, id: ImageId) -> rusqlite::Result<bool> {
    let sql = "update blobs as b set evicted_at = null where b.sha256 = (select sha256 from images where id = ?1) and b.state = 'missing'
               and not exists (select 1 from images i join copies c on c.seq = i.seq where i.sha256 = b.sha256 and c.state = 'stored')";
    transaction.prepare_cached(sql)?.execute([id.as_bytes()]).map(|n| n > 0)
}

/// The bucket has the bytes of an image that were missing: it no longer counts as such.
pub(super) fn note_found(transaction: &Transaction<'_>, seq: i64, now: i64) -> rusqlite::Result<()> {
    let sql = "update blobs set evicted_at = ?2 where sha256 = (select sha256 from images where seq = ?1) and state = 'missing'
               and evicted_at is null";
    transaction.prepare_cached(sql)?.execute(params![seq, now]).map(|_| ())
}
