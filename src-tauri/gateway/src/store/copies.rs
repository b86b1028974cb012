//! The tables of copies in the bucket and of objects to be removed from it: outbox, record and tombstones.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{
    blobs,
    meta::{meta, set_meta},
};
use crate::model::{BlobRecord, ImageId, Millis, Source};

/// A time so far ahead that the clock must have been wrong when it was written.
const TOO_FAR: Millis = 3600 * 1000;

/// How long one removal may take.
const GRAVE_LEASE: Millis = 60 * 1000;

/// How the copy of an image stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyState {
    /// Not yet confirmed, and whether an attempt has failed.
    Pending {
        /// The last attempt failed.
        failed: bool,
    },
    /// Confirmed.
    Stored,
    /// A person does not want it.
    Excluded,
}

/// An image whose copy is to be made or confirmed.
#[derive(Clone, Debug)]
pub struct Due {
    /// The image's number.
    pub seq: i64,
    /// Its id.
    pub id: ImageId,
    /// Its bytes.
    pub blob: BlobRecord,
    /// How it came to us.
    pub source: Source,
    /// When it was saved.
    pub created_at: Millis,
    /// The object's name, if it is not the usual one.
    pub key: Option<String>,
    /// Failures so far.
    pub attempts: u32,
    /// It is said to be in the bucket already: asked for before it is sent.
    pub claimed: bool,
}

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

/// Copies in figures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopyFigures {
    /// To be made, failed ones included.
    pub pending: i64,
    /// Of these, tried in vain at least once.
    pub failed: i64,
    /// Confirmed.
    pub stored: i64,
    /// Bytes to be uploaded.
    pub pending_bytes: i64,
    /// Of these, tried in vain.
    pub failed_bytes: i64,
    /// Why the latest failure was one.
    pub last_error: Option<String>,
}

/// Leases of an earlier run are void, and what was tried in vain is tried soon.
pub fn clear_leases(transaction: &Transaction<'_>, now: Millis) -> rusqlite::Result<()> {
    transaction.execute(
        "update copies set lease = null, due_at = min(due_at, ?1) where state = 'pending' and (lease is not null or due_at > ?1)",
        [now],
    )?;
    transaction.execute("update tombstones set due_at = min(due_at, ?1)", [now])?;
    Ok(())
}

/// Takes up to `limit` of what is due for this run.
pub fn claim(transaction: &Transaction<'_>, run: &str, now: Millis, limit: usize) -> rusqlite::Result<Vec<Due>> {
    let sql = format!(
        "select c.seq, i.id, i.source, i.created_at, c.key, c.attempts, c.stored_at is not null, {}
         from copies c join images i on i.seq = c.seq join blobs b on b.sha256 = i.sha256
         where c.state = 'pending' and c.lease is null and (c.due_at <= ?1 or c.due_at > ?2)
         order by c.due_at, c.seq limit ?3",
        blobs::COLUMNS
    );
    let due: Vec<Due> =
        transaction.prepare_cached(&sql)?.query_map(params![now, now + TOO_FAR, limit as i64], due)?.collect::<rusqlite::Result<_>>()?;
    let mut lease = transaction.prepare_cached("update copies set lease = ?2 where seq = ?1")?;
    for one in &due {
        lease.execute(params![one.seq, run])?;
    }
    Ok(due)
}

/// One image, whether it is due or not; nothing if it is gone or its copy is not wanted.
pub fn claim_one(transaction: &Transaction<'_>, run: &str, id: ImageId) -> rusqlite::Result<Option<Due>> {
    let sql = format!(
        "select c.seq, i.id, i.source, i.created_at, c.key, c.attempts, c.stored_at is not null, {}
         from copies c join images i on i.seq = c.seq join blobs b on b.sha256 = i.sha256
         where i.id = ?1 and c.state = 'pending' and c.lease is null",
        blobs::COLUMNS
    );
    let found = transaction.prepare_cached(&sql)?.query_row([id.as_bytes()], due).optional()?;
    if let Some(found) = &found {
        transaction.prepare_cached("update copies set lease = ?2 where seq = ?1")?.execute(params![found.seq, run])?;
    }
    Ok(found)
}

fn due(row: &Row<'_>) -> rusqlite::Result<Due> {
    let (id, source): ([u8; 16], String) = (row.get(1)?, row.get(2)?);
    Ok(Due {
        seq: row.get(0)?,
        id: ImageId::from_slice(&id).ok_or_else(|| blobs::unknown(1, "image id"))?,
        source: Source::parse(&source).ok_or_else(|| blobs::unknown(2, &source))?,
        created_at: row.get(3)?,
        key: row.get(4)?,
        attempts: row.get(5)?,
        claimed: row.get(6)?,
        blob: blobs::read(row, 7)?,
    })
}

/// When the next one is due, in the bucket at `place`.
pub fn next_due(connection: &Connection, place: &str) -> rusqlite::Result<Option<Millis>> {
    let copies = "select min(due_at) from copies where state = 'pending' and lease is null";
    let copies: Option<Millis> = connection.prepare_cached(copies)?.query_row([], |row| row.get(0))?;
    let graves: Option<Millis> =
        connection.prepare_cached("select min(due_at) from tombstones where bucket = ?1")?.query_row([place], |row| row.get(0))?;
    Ok([copies, graves].into_iter().flatten().min())
}

/// How many are due now or being put.
pub fn due_count(connection: &Connection, now: Millis) -> rusqlite::Result<i64> {
    let sql = "select count(*) from copies indexed by copies_due where state = 'pending' and due_at <= ?1";
    connection.prepare_cached(sql)?.query_row([now], |row| row.get(0))
}

/// The bucket confirmed it; `false` if the image is gone by now, or the bucket is no longer ours.
pub fn stored(transaction: &Transaction<'_>, seq: i64, id: ImageId, run: &str, now: Millis) -> rusqlite::Result<bool> {
    let sql = "update copies set state = 'stored', lease = null, code = null, error = null, attempts = 0, stored_at = ?4
               where seq = ?1 and lease = ?3 and state = 'pending' and exists (select 1 from images where seq = ?1 and id = ?2)";
    transaction.prepare_cached(sql)?.execute(params![seq, id.as_bytes(), run, now]).map(|n| n > 0)
}

/// It did not work; tried again at `due_at`. `counts` is `false` if the object is not to blame.
pub fn failed(transaction: &Transaction<'_>, seq: i64, due_at: Millis, code: &str, error: &str, counts: bool) -> rusqlite::Result<()> {
    let sql = "update copies set lease = null, due_at = ?2, attempts = attempts + ?5, code = ?3, error = ?4
               where seq = ?1 and state = 'pending'";
    transaction.prepare_cached(sql)?.execute(params![seq, due_at, code, error, i64::from(counts)])?;
    Ok(())
}

/// The object turned out not to be what it should be: to be made again, or confirmed.
pub fn doubt(transaction: &Transaction<'_>, id: ImageId, now: Millis, code: &str, error: &str) -> rusqlite::Result<()> {
    let sql =
        "update copies set state = 'pending', lease = null, due_at = ?2, attempts = attempts + 1, code = ?3, error = ?4, stored_at = null
               where seq = (select seq from images where id = ?1)";
    transaction.prepare_cached(sql)?.execute(params![id.as_bytes(), now, code, error])?;
    Ok(())
}

/// A row that comes from the bucket itself needs no upload.
pub fn mark_stored(transaction: &Transaction<'_>, id: ImageId, key: Option<&str>, now: Millis) -> rusqlite::Result<()> {
    let sql = "update copies set state = 'stored', key = ?2, stored_at = ?3, code = null, error = null, attempts = 0
               where seq = (select seq from images where id = ?1)";
    transaction.prepare_cached(sql)?.execute(params![id.as_bytes(), key, now])?;
    Ok(())
}

/// The object's name if it is not the usual one, and when it is said to have been stored, which is to be confirmed.
pub fn set_key(transaction: &Transaction<'_>, id: ImageId, key: Option<&str>, claimed_at: Option<Millis>) -> rusqlite::Result<()> {
    let sql = "update copies set key = ?2, stored_at = ?3 where seq = (select seq from images where id = ?1)";
    transaction.prepare_cached(sql)?.execute(params![id.as_bytes(), key, claimed_at])?;
    Ok(())
}

/// Makes what waits due now; how many.
pub fn retry(transaction: &Transaction<'_>, failed_only: bool, now: Millis) -> rusqlite::Result<usize> {
    let sql = "update copies set due_at = ?1 where state = 'pending' and lease is null and (?2 = 0 or attempts > 0)";
    transaction.prepare_cached(sql)?.execute(params![now, i64::from(failed_only)])
}

/// The bucket at `place` is used from now on. In another one than before nothing is confirmed yet.
pub fn move_to(transaction: &Transaction<'_>, place: &str, now: Millis) -> rusqlite::Result<bool> {
    let before = meta(transaction, "bucket_place")?;
    if before.as_deref() == Some(place) {
        return Ok(false);
    }
    let sql = "update copies set state = 'pending', lease = null, attempts = 0, due_at = ?1, code = null, error = null, stored_at = null
               where state <> 'excluded'";
    transaction.prepare_cached(sql)?.execute([now])?;
    set_meta(transaction, "bucket_place", place)?;
    Ok(before.is_some())
}

/// How the copy of an image stands, and the object's name if it is not the usual one.
pub fn copy_of(connection: &Connection, id: ImageId) -> rusqlite::Result<Option<(CopyState, Option<String>)>> {
    let sql = "select c.state, c.attempts, c.key from copies c join images i on i.seq = c.seq where i.id = ?1";
    connection.prepare_cached(sql)?.query_row([id.as_bytes()], |row| Ok((state(row, 0)?, row.get(2)?))).optional()
}

/// Reads a state and, in the column after it, how many attempts failed.
pub(super) fn state(row: &Row<'_>, at: usize) -> rusqlite::Result<CopyState> {
    let word: String = row.get(at)?;
    match word.as_str() {
        "pending" => Ok(CopyState::Pending { failed: row.get::<_, i64>(at + 1)? > 0 }),
        "stored" => Ok(CopyState::Stored),
        "excluded" => Ok(CopyState::Excluded),
        _ => Err(blobs::unknown(at, &word)),
    }
}

/// Copies in figures; adding bytes up is for `with_bytes`, because it takes longer.
pub fn copy_figures(connection: &Connection, with_bytes: bool) -> rusqlite::Result<CopyFigures> {
    let one = |sql: &str| connection.prepare_cached(sql)?.query_row([], |row| row.get::<_, i64>(0));
    let total = one("select count(*) from copies where state <> 'excluded'")?;
    let pending = one("select count(*) from copies indexed by copies_due where state = 'pending'")?;
    let failed = one("select count(*) from copies indexed by copies_failed where state = 'pending' and attempts > 0")?;
    let bytes = "select coalesce(sum(b.bytes), 0) from copies c join images i on i.seq = c.seq join blobs b on b.sha256 = i.sha256
                 where c.state = 'pending'";
    let last_error = connection
        .prepare_cached(
            "select coalesce(error, code) from copies indexed by copies_failed where state = 'pending' and attempts > 0
                         order by seq desc limit 1",
        )?
        .query_row([], |row| row.get(0))
        .optional()?
        .flatten();
    Ok(CopyFigures {
        pending,
        failed,
        stored: total - pending,
        pending_bytes: if with_bytes { one(bytes)? } else { 0 },
        failed_bytes: if with_bytes { one(&format!("{bytes} and c.attempts > 0"))? } else { 0 },
        last_error,
    })
}

/// Notes that the object of an image is to go, and that its copy is not to be made again.
pub fn exclude(transaction: &Transaction<'_>, id: ImageId, now: Millis) -> rusqlite::Result<()> {
    bury(transaction, id, now)?;
    let sql = "update copies set state = 'excluded', lease = null, stored_at = null where seq = (select seq from images where id = ?1)";
    transaction.prepare_cached(sql)?.execute([id.as_bytes()])?;
    Ok(())
}

/// Notes that the object of an image is to go, wherever it may have been put.
pub fn bury(transaction: &Transaction<'_>, id: ImageId, now: Millis) -> rusqlite::Result<()> {
    let Some(bucket) = meta(transaction, "bucket_place")? else { return Ok(()) };
    let legacy = copy_of(transaction, id)?.and_then(|(_, key)| key);
    // The usual name carries the prefix, which is the end of the place.
    let prefix = bucket.rsplit('|').next().unwrap_or_default();
    for key in [Some(format!("{prefix}{id}")), legacy].into_iter().flatten() {
        bury_object(transaction, &Tombstone { id, bucket: bucket.clone(), key, attempts: 0 }, now)?;
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
