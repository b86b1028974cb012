//! The table of blobs.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use crate::model::{BlobRecord, MediaType, Millis, PixelSize, Sha256, Thumbnail};

/// Columns that [`read`] expects, in order, of a table called `b`.
pub const COLUMNS: &str = "b.sha256, b.bytes, b.media_type, b.width, b.height, b.complete, b.thumbnail";

/// Reads [`COLUMNS`] beginning at column `at`.
pub fn read(row: &Row<'_>, at: usize) -> rusqlite::Result<BlobRecord> {
    let media: String = row.get(at + 2)?;
    let thumbnail: String = row.get(at + 6)?;
    let size = row.get::<_, Option<u32>>(at + 3)?.zip(row.get::<_, Option<u32>>(at + 4)?);
    Ok(BlobRecord {
        sha256: Sha256(row.get(at)?),
        bytes: row.get::<_, i64>(at + 1)? as u64,
        media_type: MediaType::from_mime(&media).ok_or_else(|| unknown(at + 2, &media))?,
        size: size.map(|(width, height)| PixelSize { width, height }),
        complete: row.get(at + 5)?,
        thumbnail: Thumbnail::parse(&thumbnail).ok_or_else(|| unknown(at + 6, &thumbnail))?,
    })
}

/// A word in the database that this version does not know.
pub fn unknown(column: usize, word: &str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, format!("unknown word '{word}'").into())
}

/// Makes sure that the blob has a row.
pub fn put(transaction: &Transaction<'_>, blob: &BlobRecord, now: Millis) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "insert into blobs (sha256, bytes, media_type, width, height, complete, thumbnail, created_at)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             on conflict (sha256) do update set state = 'present', evicted_at = null",
        )?
        .execute(params![
            blob.sha256.0,
            blob.bytes as i64,
            blob.media_type.mime(),
            blob.size.map(|s| s.width),
            blob.size.map(|s| s.height),
            blob.complete,
            blob.thumbnail.as_str(),
            now,
        ])?;
    transaction.prepare_cached("delete from doomed where sha256 = ?1")?.execute([blob.sha256.0])?;
    Ok(())
}

/// Makes sure that a blob has a row whose bytes are in the bucket alone; one that is on disk stays so.
pub fn put_elsewhere(transaction: &Transaction<'_>, blob: &BlobRecord, created_at: Millis, now: Millis) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "insert into blobs (sha256, bytes, media_type, width, height, complete, thumbnail, created_at, state, evicted_at)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'missing', ?9)
             on conflict (sha256) do nothing",
        )?
        .execute(params![
            blob.sha256.0,
            blob.bytes as i64,
            blob.media_type.mime(),
            blob.size.map(|s| s.width),
            blob.size.map(|s| s.height),
            blob.complete,
            blob.thumbnail.as_str(),
            created_at,
            now,
        ])?;
    Ok(())
}

/// Digests of all blobs that should be on disk.
pub fn present_digests(connection: &Connection) -> rusqlite::Result<HashSet<Sha256>> {
    let mut statement = connection.prepare_cached("select sha256 from blobs where state = 'present'")?;
    statement.query_map([], |row| row.get(0).map(Sha256))?.collect()
}

/// Notes that a blob should be on disk and is not; `true` if a confirmed copy in the bucket stands in for it, be it that of
/// another image with the same bytes.
pub fn mark_missing(transaction: &Transaction<'_>, sha256: Sha256, now: Millis) -> rusqlite::Result<bool> {
    let safe = "exists (select 1 from images i join copies c on c.seq = i.seq where i.sha256 = ?1 and c.state = 'stored')";
    let sql =
        format!("update blobs set state = 'missing', evicted_at = case when {safe} then ?2 end where sha256 = ?1 returning evicted_at");
    let evicted: Option<Option<Millis>> =
        transaction.prepare_cached(&sql)?.query_row(params![sha256.0, now], |row| row.get(0)).optional()?;
    Ok(evicted.flatten().is_some())
}

/// Notes that a blob that has a row is on disk; `false` if it has none.
pub fn mark_present(transaction: &Transaction<'_>, sha256: Sha256) -> rusqlite::Result<bool> {
    transaction
        .prepare_cached("update blobs set state = 'present', evicted_at = null where sha256 = ?1")?
        .execute([sha256.0])
        .map(|n| n > 0)
}

/// Notes how making the thumbnail went; `false` if the blob was deleted meanwhile.
pub fn set_thumbnail(transaction: &Transaction<'_>, sha256: Sha256, state: Thumbnail, error: Option<&str>) -> rusqlite::Result<bool> {
    let sql = "update blobs set thumbnail = ?2, thumbnail_error = ?3 where sha256 = ?1";
    transaction.prepare_cached(sql)?.execute(params![sha256.0, state.as_str(), error]).map(|n| n > 0)
}

/// The type of a blob on disk whose thumbnail nobody has tried to make.
pub fn pending_thumbnail(connection: &Connection, sha256: Sha256) -> rusqlite::Result<Option<MediaType>> {
    let sql = "select media_type from blobs where sha256 = ?1 and thumbnail = 'pending' and state = 'present'";
    let media: Option<String> = connection.prepare_cached(sql)?.query_row([sha256.0], |row| row.get(0)).optional()?;
    Ok(media.and_then(|media| MediaType::from_mime(&media)))
}

/// Whether a blob has a row.
pub fn is_known(connection: &Connection, sha256: Sha256) -> rusqlite::Result<bool> {
    connection.prepare_cached("select 1 from blobs where sha256 = ?1")?.exists([sha256.0])
}

/// Blobs on disk that nobody has tried to make a thumbnail of, the newest first, at most `limit`.
pub fn pending_thumbnails(connection: &Connection, limit: usize) -> rusqlite::Result<Vec<(Sha256, MediaType)>> {
    let mut statement = connection.prepare_cached(
        "select sha256, media_type from blobs where thumbnail = 'pending' and state = 'present' order by created_at desc limit ?1",
    )?;
    let row = |row: &Row<'_>| {
        let media: String = row.get(1)?;
        Ok((Sha256(row.get(0)?), MediaType::from_mime(&media).ok_or_else(|| unknown(1, &media))?))
    };
    statement.query_map([limit as i64], row)?.collect()
}

/// Blobs on disk whose thumbnail could not be made, to be tried again.
pub fn thumbnails_again(transaction: &Transaction<'_>) -> rusqlite::Result<Vec<(Sha256, MediaType)>> {
    let sql = "update blobs set thumbnail = 'pending', thumbnail_error = null where thumbnail <> 'made' and state = 'present'
               returning sha256, media_type";
    let row = |row: &Row<'_>| {
        let media: String = row.get(1)?;
        Ok((Sha256(row.get(0)?), MediaType::from_mime(&media).ok_or_else(|| unknown(1, &media))?))
    };
    transaction.prepare_cached(sql)?.query_map([], row)?.collect()
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImageFigures {
    /// Images.
    pub total: i64,
    /// Images whose bytes are on disk.
    pub local: i64,
    /// Images whose bytes should be on disk and are not.
    pub missing: i64,
    /// Bytes on disk.
    pub bytes: i64,
}

/// Counts images and adds up their files.
pub fn image_figures(connection: &Connection) -> rusqlite::Result<ImageFigures> {
    let one = |sql: &str| connection.prepare_cached(sql)?.query_row([], |row| row.get::<_, i64>(0));
    let total = one("select count(*) from images")?;
    // Few are missing; counting those is faster than counting the others.
    let away = |evicted: &str| {
        one(&format!(
            "select count(*) from blobs b join images i on i.sha256 = b.sha256 where b.state = 'missing' and b.evicted_at is {evicted}"
        ))
    };
    let (missing, evicted) = (away("null")?, away("not null")?);
    let bytes = one("select coalesce(sum(bytes), 0) from blobs where state = 'present'")?;
    Ok(ImageFigures { total, local: total - missing - evicted, missing, bytes })
}
