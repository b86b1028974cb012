//! What may go from disk or be forgotten: the questions that a sweep asks, and what it does to rows. All of it looks
//! again in the transaction that acts, because much may have happened since it was asked.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::{gallery, left_behind::left};
use crate::model::{ImageId, Millis, Sha256};

/// A number of things and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// How many.
    pub count: i64,
    /// How large.
    pub bytes: i64,
}

/// Where the bytes of all images lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// On disk alone.
    pub local_only: Amount,
    /// On disk and confirmed in the bucket.
    pub both: Amount,
    /// In the bucket alone.
    pub cloud_only: Amount,
    /// In a bucket that was used before.
    pub elsewhere: Amount,
    /// Nowhere that we know of.
    pub missing: Amount,
}

/// A file that may go.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Its digest.
    pub sha256: Sha256,
    /// Its length.
    pub bytes: i64,
}

/// Every image of the blob `b` has a confirmed copy.
const SAFE: &str = "exists (select 1 from images i where i.sha256 = b.sha256)
    and not exists (select 1 from images i join copies c on c.seq = i.seq where i.sha256 = b.sha256 and c.state <> 'stored')";

/// Some image of the blob `b` has one: its object helps the others.
const SOMEWHERE: &str = "exists (select 1 from images i join copies c on c.seq = i.seq where i.sha256 = b.sha256 and c.state = 'stored')";

/// No image of the blob `b` was looked at since `?1`.
const UNUSED: &str = "not exists (select 1 from images i where i.sha256 = b.sha256 and i.accessed_at >= ?1)";

/// Counts files by where their bytes lie.
pub fn places(connection: &Connection) -> rusqlite::Result<Places> {
    let sql = format!(
        "select b.state = 'present', case b.state when 'present' then {SAFE} else {SOMEWHERE} end, b.evicted_at is not null and exists
                 (select 1 from images i join copies c on c.seq = i.seq where i.sha256 = b.sha256 and {}), count(*), coalesce(sum(b.bytes), 0)
             from blobs b group by 1, 2, 3",
        left!()
    );
    let mut places = Places::default();
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (present, safe, left): (bool, bool, bool) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let place = match (present, safe, left) {
            (true, true, _) => &mut places.both,
            (true, false, _) => &mut places.local_only,
            (false, true, _) => &mut places.cloud_only,
            (false, false, true) => &mut places.elsewhere,
            (false, false, false) => &mut places.missing,
        };
        place.count += row.get::<_, i64>(3)?;
        place.bytes += row.get::<_, i64>(4)?;
    }
    Ok(places)
}

/// What has not been looked at since `cutoff` and is confirmed in the bucket.
pub fn expired(connection: &Connection, cutoff: Millis) -> rusqlite::Result<Vec<Candidate>> {
    let sql = format!("select b.sha256, b.bytes from blobs b where b.state = 'present' and {UNUSED} and {SAFE}");
    candidates(connection, &sql, &[cutoff])
}

/// What is confirmed in the bucket (or, with `also_last`, is not), the longest unused first, not looked at since
/// `cutoff`.
pub fn longest_unused(connection: &Connection, cutoff: Millis, also_last: bool) -> rusqlite::Result<Vec<Candidate>> {
    let condition = if also_last { format!("not ({SAFE})") } else { SAFE.to_owned() };
    let sql = format!(
        "select b.sha256, b.bytes from blobs b where b.state = 'present' and {UNUSED} and {condition}
         order by (select max(i.accessed_at) from images i where i.sha256 = b.sha256)"
    );
    candidates(connection, &sql, &[cutoff])
}

/// All that is confirmed in the bucket, or all that is not.
pub fn all_local(connection: &Connection, safe: bool) -> rusqlite::Result<Vec<Candidate>> {
    let not = if safe { "" } else { "not " };
    candidates(connection, &format!("select b.sha256, b.bytes from blobs b where b.state = 'present' and {not}({SAFE})"), &[])
}

fn candidates(connection: &Connection, sql: &str, values: &[i64]) -> rusqlite::Result<Vec<Candidate>> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows =
        statement.query_map(rusqlite::params_from_iter(values), |row| Ok(Candidate { sha256: Sha256(row.get(0)?), bytes: row.get(1)? }))?;
    rows.collect()
}

/// The file is about to go because the bucket has confirmed copies; `false` if that is not so, or no longer.
pub fn evict(transaction: &Transaction<'_>, sha256: Sha256, unused_since: Option<Millis>, now: Millis) -> rusqlite::Result<bool> {
    let sql = format!(
        "update blobs as b set state = 'missing', evicted_at = ?2 where b.sha256 = ?3 and b.state = 'present' and {UNUSED} and {SAFE}"
    );
    transaction.prepare_cached(&sql)?.execute(params![unused_since.unwrap_or(Millis::MAX), now, sha256.0]).map(|n| n > 0)
}

/// Images of a blob.
pub fn images_of(connection: &Connection, sha256: Sha256) -> rusqlite::Result<Vec<ImageId>> {
    let mut statement = connection.prepare_cached("select id from images where sha256 = ?1")?;
    let ids: Vec<[u8; 16]> = statement.query_map([sha256.0], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok(ids.iter().filter_map(|id| ImageId::from_slice(id)).collect())
}

/// Images of a blob that have no confirmed copy; none if the blob is not on disk, or one of its images was looked at since
/// `unused_since`.
pub fn without_copy(connection: &Connection, sha256: Sha256, unused_since: Option<Millis>) -> rusqlite::Result<Vec<ImageId>> {
    let sql = format!(
        "select i.id from images i join copies c on c.seq = i.seq join blobs b on b.sha256 = i.sha256
         where b.sha256 = ?2 and b.state = 'present' and c.state <> 'stored' and {UNUSED}"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let ids: Vec<[u8; 16]> =
        statement.query_map(params![unused_since.unwrap_or(Millis::MAX), sha256.0], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok(ids.iter().filter_map(|id| ImageId::from_slice(id)).collect())
}

/// Images saved before `cutoff` whose copies are confirmed, the oldest first. What was taken over from elsewhere counts from
/// when its copy was confirmed here: years of pictures must not be forgotten the minute after they came.
pub fn forgettable(connection: &Connection, cutoff: Millis, limit: usize) -> rusqlite::Result<Vec<ImageId>> {
    let sql = "select i.id from images i join copies c on c.seq = i.seq where i.created_at < ?1 and c.stored_at < ?1 and c.state = 'stored'
               order by i.created_at, i.seq limit ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let ids: Vec<[u8; 16]> = statement.query_map(params![cutoff, limit as i64], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok(ids.iter().filter_map(|id| ImageId::from_slice(id)).collect())
}

/// How many there are of them.
pub fn forgettable_amount(connection: &Connection, cutoff: Millis) -> rusqlite::Result<Amount> {
    let sql = "select count(*), coalesce(sum(b.bytes), 0) from images i join copies c on c.seq = i.seq join blobs b on b.sha256 = i.sha256
               where i.created_at < ?1 and c.stored_at < ?1 and c.state = 'stored'";
    connection.prepare_cached(sql)?.query_row([cutoff], |row| Ok(Amount { count: row.get(0)?, bytes: row.get(1)? }))
}

/// Forgets an image whose copy is still confirmed; see [`gallery::delete`]. `None` if that is not so.
pub fn forget(transaction: &Transaction<'_>, id: ImageId, cutoff: Millis) -> rusqlite::Result<Option<Option<Sha256>>> {
    let sql = "select 1 from images i join copies c on c.seq = i.seq where i.id = ?1 and i.created_at < ?2 and c.stored_at < ?2 and c.state = 'stored'";
    let still = transaction.prepare_cached(sql)?.query_row(params![id.as_bytes(), cutoff], |_| Ok(())).optional()?.is_some();
    if still { gallery::delete(transaction, id) } else { Ok(None) }
}
