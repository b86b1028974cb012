//! The tables of images and of their lineage.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{blobs, search};
use crate::model::{BlobRecord, ImageId, ImageRecord, Millis, NewImage, Origin, Source};

/// What became of an insert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// The image has a row of its own.
    New(ImageId),
    /// The same upload was there already.
    Known(ImageId),
}

impl Inserted {
    /// The id that a link carries.
    pub fn id(self) -> ImageId {
        match self {
            Self::New(id) | Self::Known(id) => id,
        }
    }
}

/// Inserts an image and its blob. The same upload again is the same image.
pub fn insert(transaction: &Transaction<'_>, image: &NewImage) -> rusqlite::Result<Inserted> {
    blobs::put(transaction, &image.blob, image.created_at)?;
    let Origin { source, prompt, revised_prompt, model, upstream, upstream_model, parameters, duration_ms, made_from } = &image.origin;
    if *source == Source::Uploaded
        && let Some(id) = uploaded(transaction, &image.blob)?
    {
        touch(transaction, id, image.created_at)?;
        return Ok(Inserted::Known(id));
    }
    transaction
        .prepare_cached(
            "insert into images (id, sha256, source, prompt, revised_prompt, model, upstream, upstream_model, parameters, duration_ms,
                                 created_at, accessed_at)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11)",
        )?
        .execute(params![
            image.id.as_bytes(),
            image.blob.sha256.0,
            source.as_str(),
            prompt,
            revised_prompt,
            model,
            upstream,
            upstream_model,
            parameters,
            duration_ms,
            image.created_at,
        ])?;
    let seq = transaction.last_insert_rowid();
    let mut lineage = transaction.prepare_cached("insert into lineage (seq, position, parent_id) values (?1, ?2, ?3)")?;
    for (position, parent) in made_from.iter().enumerate() {
        lineage.execute(params![seq, position as i64, parent.as_bytes()])?;
    }
    search::index(transaction, seq, &[prompt.as_deref(), revised_prompt.as_deref()])?;
    Ok(Inserted::New(image.id))
}

/// Whether a user's upload has these bytes.
pub fn is_uploaded(connection: &Connection, blob: &BlobRecord) -> rusqlite::Result<bool> {
    uploaded(connection, blob).map(|found| found.is_some())
}

fn uploaded(connection: &Connection, blob: &BlobRecord) -> rusqlite::Result<Option<ImageId>> {
    connection
        .prepare_cached("select id from images where sha256 = ?1 and source = 'uploaded'")?
        .query_row([blob.sha256.0], |row| id(row, 0))
        .optional()
}

/// Gives a blob that was found on disk without any row an image of its own; nothing if it has a row by now.
pub fn adopt(transaction: &Transaction<'_>, image: &NewImage) -> rusqlite::Result<bool> {
    let known = transaction.prepare_cached("select 1 from images where sha256 = ?1 limit 1")?.exists([image.blob.sha256.0])?;
    if known {
        blobs::mark_present(transaction, image.blob.sha256)?;
        return Ok(false);
    }
    insert(transaction, image)?;
    Ok(true)
}

/// Looks an image up by its id.
pub fn find(connection: &Connection, id: ImageId) -> rusqlite::Result<Option<ImageRecord>> {
    let sql = const_format(blobs::COLUMNS);
    connection.prepare_cached(&sql)?.query_row([id.as_bytes()], |row| record(row, id)).optional()
}

fn const_format(columns: &str) -> String {
    format!("select i.source, i.created_at, {columns} from images i join blobs b on b.sha256 = i.sha256 where i.id = ?1")
}

fn record(row: &Row<'_>, id: ImageId) -> rusqlite::Result<ImageRecord> {
    let source: String = row.get(0)?;
    Ok(ImageRecord {
        id,
        source: Source::parse(&source).ok_or_else(|| blobs::unknown(0, &source))?,
        created_at: row.get(1)?,
        blob: blobs::read(row, 2)?,
    })
}

fn id(row: &Row<'_>, at: usize) -> rusqlite::Result<ImageId> {
    let bytes: [u8; 16] = row.get(at)?;
    ImageId::from_slice(&bytes).ok_or_else(|| blobs::unknown(at, "image id"))
}

/// Notes when an image was last looked at; never moves the time back.
pub fn touch(transaction: &Transaction<'_>, id: ImageId, at: Millis) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("update images set accessed_at = ?2 where id = ?1 and accessed_at < ?2")?
        .execute(params![id.as_bytes(), at])?;
    Ok(())
}
