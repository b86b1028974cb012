//! The table of copies in the bucket: outbox and record. Objects that are to be removed from it are in `graves`.

mod graves;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{
    blobs, inventory, left_behind,
    meta::{meta, set_meta},
};
use crate::model::{BlobRecord, ImageId, Millis, Sha256, Source};

pub(super) use graves::delete_foreign_graves;
pub use graves::{Tombstone, bury, bury_object, claim_graves, grave_done, grave_failed, grave_later, is_buried, is_own_key};

/// A time so far ahead that the clock must have been wrong when it was written.
const TOO_FAR: Millis = 3600 * 1000;

/// How long a row may be in hand, its wait for a turn included, before it is taken again; less than [`TOO_FAR`]. So no row
/// waits for a task that is no more, and whoever takes them knows which of its own are still at it.
const LEASE: Millis = 45 * 60 * 1000;

/// Buckets that are remembered after others took their place, the latest ones: an image that is deleted goes from all.
const PLACES_MAX: usize = 16;

/// The row `?1` is still that of the image `?2`: the number of the newest image, if it is deleted, is given to the next one.
const SAME_IMAGE: &str = "seq = ?1 and exists (select 1 from images i where i.seq = ?1 and i.id = ?2)";

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

/// The code of a copy whose bytes are nowhere.
pub const NOWHERE: &str = "nowhere";

/// There is nothing that could be uploaded: the bytes are not on disk, and were looked for in the bucket in vain.
macro_rules! nowhere {
    () => {
        "c.code = 'nowhere'
         and exists (select 1 from images i join blobs b on b.sha256 = i.sha256 where i.seq = c.seq and b.state = 'missing')"
    };
}
pub(super) use nowhere;

/// Copies in figures; without images that have no bytes to copy.
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
         where c.state = 'pending' and (c.due_at <= ?1 or c.due_at > ?2)
         order by c.due_at, c.seq limit ?3",
        blobs::COLUMNS
    );
    let due: Vec<Due> =
        transaction.prepare_cached(&sql)?.query_map(params![now, now + TOO_FAR, limit as i64], due)?.collect::<rusqlite::Result<_>>()?;
    for one in &due {
        lease(transaction, one.seq, run, now)?;
    }
    Ok(due)
}

/// Until the lease ends nobody else takes it up.
fn lease(transaction: &Transaction<'_>, seq: i64, run: &str, now: Millis) -> rusqlite::Result<()> {
    let sql = "update copies set lease = ?2, due_at = ?3 where seq = ?1";
    transaction.prepare_cached(sql)?.execute(params![seq, run, now + LEASE]).map(|_| ())
}

/// This run does not go on with it: due at `due_at` for whoever comes next.
pub fn release(transaction: &Transaction<'_>, due: &Due, run: &str, due_at: Millis) -> rusqlite::Result<()> {
    let sql = format!("update copies set lease = null, due_at = ?4 where {SAME_IMAGE} and lease = ?3 and state = 'pending'");
    transaction.prepare_cached(&sql)?.execute(params![due.seq, due.id.as_bytes(), run, due_at]).map(|_| ())
}

/// The same for all that this run holds.
pub fn release_all(transaction: &Transaction<'_>, run: &str, now: Millis) -> rusqlite::Result<()> {
    let sql = "update copies set lease = null, due_at = ?2 where state = 'pending' and lease = ?1";
    transaction.prepare_cached(sql)?.execute(params![run, now]).map(|_| ())
}

/// Whether this run still has the copy to make.
pub fn is_leased(connection: &Connection, seq: i64, id: ImageId, run: &str) -> rusqlite::Result<bool> {
    let sql = format!("select 1 from copies where {SAME_IMAGE} and lease = ?3 and state = 'pending'");
    connection.prepare_cached(&sql)?.exists(params![seq, id.as_bytes(), run])
}

/// One image, whether it is due or not; nothing if it is gone or its copy is not wanted.
pub fn claim_one(transaction: &Transaction<'_>, run: &str, id: ImageId, now: Millis) -> rusqlite::Result<Option<Due>> {
    let sql = format!(
        "select c.seq, i.id, i.source, i.created_at, c.key, c.attempts, c.stored_at is not null, {}
         from copies c join images i on i.seq = c.seq join blobs b on b.sha256 = i.sha256
         where i.id = ?1 and c.state = 'pending' and c.lease is null",
        blobs::COLUMNS
    );
    let found = transaction.prepare_cached(&sql)?.query_row([id.as_bytes()], due).optional()?;
    if let Some(found) = &found {
        lease(transaction, found.seq, run, now)?;
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

/// When the next one is due, in the bucket at `place`; a time that only a wrong clock can have set is now.
pub fn next_due(connection: &Connection, place: &str, now: Millis) -> rusqlite::Result<Option<Millis>> {
    let ends = |sql: &str, place: Option<&str>| {
        let row = |row: &Row<'_>| Ok((row.get::<_, Option<Millis>>(0)?, row.get::<_, Option<Millis>>(1)?));
        connection.prepare_cached(sql)?.query_row(rusqlite::params_from_iter(place), row)
    };
    // Each end by itself comes from the index.
    let copies =
        "select (select min(due_at) from copies where state = 'pending'), (select max(due_at) from copies where state = 'pending')";
    let graves = "select min(due_at), max(due_at) from tombstones where bucket = ?1";
    let all = [ends(copies, None)?, ends(graves, Some(place))?];
    let too_far = all.iter().any(|(_, last)| last.is_some_and(|last| last > now + TOO_FAR));
    Ok(if too_far { Some(now) } else { all.iter().filter_map(|(first, _)| *first).min() })
}

/// Whether anything is due now or being put.
pub fn is_busy(connection: &Connection, now: Millis) -> rusqlite::Result<bool> {
    let due = "select 1 from copies indexed by copies_due where state = 'pending' and due_at <= ?1 limit 1";
    let put = "select 1 from copies indexed by copies_due where state = 'pending' and lease is not null limit 1";
    Ok(connection.prepare_cached(due)?.exists([now])? || connection.prepare_cached(put)?.exists([])?)
}

/// The bucket at `place` confirmed it; `false` if the image is gone by now, or the bucket is no longer ours.
pub fn stored(transaction: &Transaction<'_>, seq: i64, id: ImageId, run: &str, place: &str, now: Millis) -> rusqlite::Result<bool> {
    if meta(transaction, "bucket_place")?.as_deref() != Some(place) {
        // Put into the bucket of before: in the present one nothing is confirmed.
        let sql = format!("update copies set lease = null, due_at = ?4 where {SAME_IMAGE} and lease = ?3");
        transaction.prepare_cached(&sql)?.execute(params![seq, id.as_bytes(), run, now])?;
        return Ok(false);
    }
    let sql = "update copies set state = 'stored', lease = null, code = null, error = null, attempts = 0, stored_at = ?4, left_in = null
               where seq = ?1 and lease = ?3 and state = 'pending' and exists (select 1 from images where seq = ?1 and id = ?2)";
    let noted = transaction.prepare_cached(sql)?.execute(params![seq, id.as_bytes(), run, now])? > 0;
    if noted {
        inventory::note_found(transaction, seq, now)?;
    }
    Ok(noted)
}

/// It did not work; tried again at `due_at`. `counts` is `false` if the object is not to blame. Why it failed before, if it did.
pub fn failed(
    transaction: &Transaction<'_>,
    due: &Due,
    due_at: Millis,
    code: &str,
    error: &str,
    counts: bool,
) -> rusqlite::Result<Option<String>> {
    let sql = format!("select code from copies where {SAME_IMAGE}");
    let before = transaction.prepare_cached(&sql)?.query_row(params![due.seq, due.id.as_bytes()], |row| row.get(0)).optional()?;
    let sql = format!(
        "update copies set lease = null, due_at = ?3, attempts = attempts + ?6, code = ?4, error = ?5
         where {SAME_IMAGE} and state = 'pending'"
    );
    transaction.prepare_cached(&sql)?.execute(params![due.seq, due.id.as_bytes(), due_at, code, error, i64::from(counts)])?;
    Ok(before.flatten())
}

/// The object turned out not to be what it should be: to be made again, or confirmed. If it is only away for a moment, the
/// bucket that is used is still the one that has it.
pub fn doubt(transaction: &Transaction<'_>, id: ImageId, now: Millis, code: &str, error: &str) -> rusqlite::Result<()> {
    let sql =
        "update copies set state = 'pending', lease = null, due_at = ?2, attempts = attempts + 1, code = ?3, error = ?4, stored_at = null,
                   left_in = case state when 'stored' then (select value from meta where key = 'bucket_place') else left_in end
               where seq = (select seq from images where id = ?1) and state <> 'excluded'";
    transaction.prepare_cached(sql)?.execute(params![id.as_bytes(), now, code, error])?;
    Ok(())
}

/// A row that comes from the bucket at `place` needs no upload, if that is still the one that is used.
pub fn mark_stored(transaction: &Transaction<'_>, id: ImageId, place: &str, key: Option<&str>, now: Millis) -> rusqlite::Result<()> {
    if meta(transaction, "bucket_place")?.as_deref() != Some(place) {
        return Ok(());
    }
    let sql = "update copies set state = 'stored', key = ?2, stored_at = ?3, code = null, error = null, attempts = 0, left_in = null
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

/// Makes what waits due now, removals too; how many copies.
pub fn retry(transaction: &Transaction<'_>, failed_only: bool, now: Millis) -> rusqlite::Result<usize> {
    transaction.prepare_cached("update tombstones set due_at = ?1 where due_at > ?1")?.execute([now])?;
    let sql = "update copies set due_at = ?1 where state = 'pending' and lease is null and (?2 = 0 or attempts > 0)";
    transaction.prepare_cached(sql)?.execute(params![now, i64::from(failed_only)])
}

/// The bucket at `place` is used from now on. In another one than before nothing is confirmed yet, and images whose bytes are
/// in that of before alone remember it.
pub fn move_to(transaction: &Transaction<'_>, place: &str, now: Millis) -> rusqlite::Result<bool> {
    let before = meta(transaction, "bucket_place")?;
    if before.as_deref() == Some(place) {
        return Ok(false);
    }
    if let Some(before) = &before {
        left_behind::leave(transaction, before)?;
    }
    let sql = "update copies set state = 'pending', lease = null, attempts = 0, due_at = ?1, code = null, error = null, stored_at = null
               where state <> 'excluded'";
    transaction.prepare_cached(sql)?.execute([now])?;
    let known = [place.to_owned()].into_iter().chain(places(transaction)?.into_iter().filter(|known| known != place));
    let known: Vec<String> = known.take(PLACES_MAX).collect();
    set_meta(transaction, "bucket_places", &known.join("\n"))?;
    set_meta(transaction, "bucket_place", place)?;
    Ok(before.is_some())
}

/// All buckets that were used, the present one first.
fn places(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let known = meta(connection, "bucket_places")?;
    let present = meta(connection, "bucket_place")?;
    Ok(known.map_or_else(|| present.into_iter().collect(), |known| known.lines().map(str::to_owned).collect()))
}

/// A copy that counts as confirmed.
#[derive(Clone, Debug)]
pub struct Confirmed {
    /// The image.
    pub id: ImageId,
    /// The object's name, if it is not the usual one.
    pub key: Option<String>,
    /// Its length.
    pub bytes: u64,
    /// The digest of its bytes.
    pub sha256: Sha256,
}

const CONFIRMED: &str =
    "select i.id, c.key, b.bytes, b.sha256 from images i join copies c on c.seq = i.seq join blobs b on b.sha256 = i.sha256
    where c.state = 'stored'";

/// The confirmed copies of all images of a blob.
pub fn confirmed_of(connection: &Connection, sha256: Sha256) -> rusqlite::Result<Vec<Confirmed>> {
    let sql = format!("{CONFIRMED} and i.sha256 = ?1");
    connection.prepare_cached(&sql)?.query_map([sha256.0], confirmed)?.collect()
}

/// The confirmed copy of an image.
pub fn confirmed_one(connection: &Connection, id: ImageId) -> rusqlite::Result<Option<Confirmed>> {
    let sql = format!("{CONFIRMED} and i.id = ?1");
    connection.prepare_cached(&sql)?.query_row([id.as_bytes()], confirmed).optional()
}

/// Up to `limit` confirmed copies of other images than `id` with the same bytes.
pub fn twins_of(connection: &Connection, id: ImageId, sha256: Sha256, limit: usize) -> rusqlite::Result<Vec<Confirmed>> {
    let sql = format!("{CONFIRMED} and i.sha256 = ?1 and i.id <> ?2 order by i.seq limit ?3");
    connection.prepare_cached(&sql)?.query_map(params![sha256.0, id.as_bytes(), limit as i64], confirmed)?.collect()
}

fn confirmed(row: &Row<'_>) -> rusqlite::Result<Confirmed> {
    let id: [u8; 16] = row.get(0)?;
    let bytes: i64 = row.get(2)?;
    Ok(Confirmed {
        id: ImageId::from_slice(&id).ok_or_else(|| blobs::unknown(0, "image id"))?,
        key: row.get(1)?,
        bytes: bytes.max(0) as u64,
        sha256: Sha256(row.get(3)?),
    })
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
    let failed = "select count(*) from copies c indexed by copies_failed where c.state = 'pending' and c.attempts > 0";
    let nowhere = one(&format!("{failed} and {}", nowhere!()))?;
    let failed = one(failed)? - nowhere;
    let bytes = concat!(
        "select coalesce(sum(b.bytes), 0) from copies c join images i on i.seq = c.seq join blobs b on b.sha256 = i.sha256
         where c.state = 'pending' and not (",
        nowhere!(),
        ")"
    );
    let last_error = connection
        .prepare_cached(concat!(
            "select coalesce(c.error, c.code) from copies c indexed by copies_failed where c.state = 'pending' and c.attempts > 0 and not (",
            nowhere!(),
            ") order by c.seq desc limit 1"
        ))?
        .query_row([], |row| row.get(0))
        .optional()?
        .flatten();
    Ok(CopyFigures {
        pending: pending - nowhere,
        failed,
        stored: total - pending,
        pending_bytes: if with_bytes { one(bytes)? } else { 0 },
        failed_bytes: if with_bytes { one(&format!("{bytes} and c.attempts > 0"))? } else { 0 },
        last_error,
    })
}

/// Notes that the object of an image is to go, and that its copy is not to be made again; `false` if the image's bytes are
/// not on disk (any more), so that it is the last copy.
pub fn exclude(transaction: &Transaction<'_>, id: ImageId, now: Millis) -> rusqlite::Result<bool> {
    let sql = "update copies set state = 'excluded', lease = null, stored_at = null
               where seq = (select i.seq from images i join blobs b on b.sha256 = i.sha256 where i.id = ?1 and b.state = 'present')";
    let excluded = transaction.prepare_cached(sql)?.execute([id.as_bytes()])? > 0;
    if excluded {
        bury(transaction, id, now)?;
    }
    Ok(excluded)
}

/// Another gateway removed the copy of an image from the bucket at `place`: it is not made again, and the file here is no longer
/// one that the bucket has too.
pub fn gone_there(transaction: &Transaction<'_>, id: ImageId, place: &str) -> rusqlite::Result<()> {
    if meta(transaction, "bucket_place")?.as_deref() != Some(place) {
        return Ok(());
    }
    let sql = "update copies set state = 'excluded', lease = null, stored_at = null where seq = (select seq from images where id = ?1)";
    transaction.prepare_cached(sql)?.execute([id.as_bytes()]).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{MediaType, NewImage, Origin, Sha256, Thumbnail},
        store::{Db, insert},
    };

    #[tokio::test]
    async fn what_becomes_of_a_deleted_image_says_nothing_of_the_next_one_with_its_number() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let db = Db::open(&dir.path().join("a.sqlite3"), dir.path()).expect("opens");
        let (media_type, thumbnail) = (MediaType::Png, Thumbnail::Pending);
        let began: Millis = 1_700_000_000_000;
        let image = |byte| {
            let blob = BlobRecord { sha256: Sha256([byte; 32]), bytes: 1, media_type, size: None, complete: true, thumbnail };
            NewImage { id: ImageId::random(), blob, origin: Origin::bare(Source::Generated), created_at: began }
        };
        let (first, second) = (image(1), image(2));
        let (id, next) = (first.id, second.id);
        db.write(move |t| insert(t, &first)).await.expect("writes");
        let old = db.write(move |t| claim_one(t, "run", id, began)).await.expect("writes").expect("it is due");
        db.write(move |t| crate::store::gallery::delete(t, id)).await.expect("writes");
        db.write(move |t| insert(t, &second)).await.expect("writes");
        let new = db.write(move |t| claim_one(t, "run", next, began)).await.expect("writes").expect("it is due");
        assert_eq!(new.seq, old.seq, "the case that this is about");
        let seq = old.seq;
        let held = async |id: ImageId| db.read(move |c| is_leased(c, seq, id, "run")).await.expect("reads");
        assert_eq!((held(id).await, held(next).await), (false, true));
        db.write(move |t| {
            release(t, &old, "run", began)?;
            failed(t, &old, began, "other", "words", true)?;
            stored(t, seq, id, "run", "nowhere", began)
        })
        .await
        .expect("writes");
        assert!(held(next).await);
        let state = db.read(move |c| copy_of(c, next)).await.expect("reads").map(|(state, _)| state);
        assert_eq!(state, Some(CopyState::Pending { failed: false }));
    }

    #[tokio::test]
    async fn what_a_task_holds_that_is_no_more_is_taken_up_again_whatever_the_clock_does() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let db = Db::open(&dir.path().join("a.sqlite3"), dir.path()).expect("opens");
        let (media_type, thumbnail) = (MediaType::Png, Thumbnail::Pending);
        let blob = BlobRecord { sha256: Sha256([7; 32]), bytes: 1, media_type, size: None, complete: true, thumbnail };
        let began: Millis = 1_700_000_000_000;
        let image = NewImage { id: ImageId::random(), blob, origin: Origin::bare(Source::Generated), created_at: began };
        db.write(move |t| insert(t, &image)).await.expect("writes");
        let taken = async |at: Millis| db.write(move |t| claim(t, "run", at, 4)).await.expect("writes").len();
        assert_eq!(taken(began).await, 1);
        assert_eq!(taken(began + LEASE - 1).await, 0);
        assert_eq!(taken(began + LEASE).await, 1);
        let due = async |at: Millis| db.read(move |c| next_due(c, "anywhere", at)).await.expect("reads");
        assert_eq!(due(began + LEASE).await, Some(began + 2 * LEASE));
        let years_ago = began - 10 * 365 * 24 * 3600 * 1000;
        assert_eq!(due(years_ago).await, Some(years_ago), "such a time can only be of a wrong clock");
        assert_eq!(taken(years_ago).await, 1);
    }
}
