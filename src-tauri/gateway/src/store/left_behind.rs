//! Images whose bytes lie in a bucket alone, when that bucket is not, or would no longer be, the one that is used: how many
//! a change hides, and where those are that one has hidden. Using the bucket of before again brings all of them back.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::meta::{meta, set_meta};
use crate::model::ImageId;

/// Images that are not found now, and where they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftBehind {
    /// How many.
    pub count: i64,
    /// The place where most of them are.
    pub place: String,
}

/// Images whose bytes are not on disk because a bucket has, or had, confirmed them.
const EVICTED: &str = "from blobs b join images i on i.sha256 = b.sha256 join copies c on c.seq = i.seq where b.evicted_at is not null";

/// The copy `c` was left in another bucket than the one that is used, or was used last. Only with a blob whose bytes were
/// evicted does that say where they are.
macro_rules! left {
    () => {
        "c.state = 'pending' and c.left_in is not null and c.left_in <> coalesce((select value from meta where key = 'bucket_place'), '')"
    };
}
pub(super) use left;

/// Endpoint and name of a place, without the prefix.
fn bucket_of(place: &str) -> &str {
    place.rsplit_once('|').map_or(place, |(bucket, _)| bucket)
}

/// Where the number of images is kept that have no row any more and are served from `place`.
fn forgotten_key(place: &str) -> String {
    format!("forgotten_in {place}")
}

fn forgotten_in(connection: &Connection, place: &str) -> rusqlite::Result<i64> {
    Ok(meta(connection, &forgotten_key(place))?.and_then(|count| count.parse().ok()).unwrap_or(0))
}

/// So many images more have no row, and their links lead to the bucket that is used.
pub fn note_forgotten(transaction: &Transaction<'_>, count: usize) -> rusqlite::Result<()> {
    match meta(transaction, "bucket_place")? {
        Some(place) if count > 0 => {
            let all = forgotten_in(transaction, &place)?.saturating_add(i64::try_from(count).unwrap_or(i64::MAX));
            set_meta(transaction, &forgotten_key(&place), &all.to_string())
        }
        _ => Ok(()),
    }
}

/// How many images nobody would find any more if `target` were the place that is used, or none were: those that are in the
/// present one alone, those that it seems not to have now but did confirm, and those that were forgotten and go on there.
pub fn would_hide(connection: &Connection, target: Option<&str>) -> rusqlite::Result<i64> {
    let Some(present) = meta(connection, "bucket_place")?.filter(|present| Some(present.as_str()) != target) else { return Ok(0) };
    // Objects of the Python program have names of their own, whatever the prefix is.
    let same_bucket = target.is_some_and(|target| bucket_of(target) == bucket_of(&present));
    let count = |sql: &str| connection.prepare_cached(sql)?.query_row(params![present, i64::from(same_bucket)], |row| row.get::<_, i64>(0));
    let there = count(&format!("select count(*) {EVICTED} and (c.state = 'stored' or c.left_in = ?1) and (?2 = 0 or c.key is null)"))?;
    // From the index of those that were left.
    let in_doubt = count(
        "select count(*) from copies c join images i on i.seq = c.seq join blobs b on b.sha256 = i.sha256
         where c.left_in is not null and c.left_in = ?1 and c.state = 'pending' and b.state = 'missing' and b.evicted_at is null
         and (?2 = 0 or c.key is null)",
    )?;
    Ok(there + in_doubt + forgotten_in(connection, &present)?)
}

/// The bucket at `before` is about to be used no longer: its images remember it.
pub(super) fn leave(transaction: &Transaction<'_>, before: &str) -> rusqlite::Result<()> {
    let sql = format!("update copies set left_in = ?1 where state = 'stored' and seq in (select i.seq {EVICTED})");
    transaction.prepare_cached(&sql)?.execute([before]).map(|_| ())
}

/// Images that are not found because the place where they are is not `present`, the one that is used; nothing if there are
/// none.
pub fn left_behind(connection: &Connection, present: Option<&str>) -> rusqlite::Result<Option<LeftBehind>> {
    let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<String>>(1)?));
    let places: Vec<(i64, Option<String>)> = match present {
        Some(present) => {
            // From the index of those that were left: mostly there are none.
            let sql = "select count(*), c.left_in from copies c join images i on i.seq = c.seq join blobs b on b.sha256 = i.sha256
                       where c.left_in is not null and c.left_in <> ?1 and b.evicted_at is not null group by 2 order by 1 desc";
            connection.prepare_cached(sql)?.query_map([present], row)?.collect::<rusqlite::Result<_>>()?
        }
        None => {
            let sql = format!(
                "select count(*), coalesce(c.left_in, (select value from meta where key = 'bucket_place')) {EVICTED}
                 and (c.state = 'stored' or c.left_in is not null) group by 2 order by 1 desc"
            );
            connection.prepare_cached(&sql)?.query_map([], row)?.collect::<rusqlite::Result<_>>()?
        }
    };
    let count = places.iter().map(|(count, _)| count).sum();
    let place = places.into_iter().next().and_then(|(_, place)| place).unwrap_or_default();
    Ok(Some(LeftBehind { count, place }).filter(|left| left.count > 0))
}

/// Whether this image is one of them.
pub fn is_left_behind(connection: &Connection, id: ImageId, present: Option<&str>) -> rusqlite::Result<bool> {
    let sql = format!("select c.state = 'stored', c.left_in {EVICTED} and i.id = ?1");
    let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, bool>(0)?, row.get::<_, Option<String>>(1)?));
    let found = connection.prepare_cached(&sql)?.query_row([id.as_bytes()], row).optional()?;
    Ok(found.is_some_and(|(stored, left_in)| match (&left_in, present) {
        (Some(left_in), Some(present)) => left_in != present,
        (left_in, None) => stored || left_in.is_some(),
        (None, Some(_)) => false,
    }))
}
