//! Images as the gallery asks for them: pages by key and not by number, filters, words of prompts, details, deletion.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params, params_from_iter, types::Value};

use super::{
    blobs,
    copies::{self, CopyState, nowhere},
    left_behind::left,
    search,
};
use crate::model::{ImageId, Sha256};

/// By what a list is sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// When it was saved.
    #[default]
    Created,
    /// When it was last looked at.
    Accessed,
    /// How large its file is.
    Size,
}

/// Where a page ends: the next one begins behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Time or size.
    pub key: i64,
    /// Digest, for [`Sort::Size`].
    pub sha256: Option<Sha256>,
    /// Number of the image.
    pub seq: i64,
}

/// Where the bytes of an image lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// On disk.
    Local,
    /// On disk and not confirmed in the bucket.
    LocalOnly,
    /// On disk and confirmed in the bucket.
    Both,
    /// Confirmed in the bucket.
    Cloud,
    /// Confirmed in the bucket and not on disk.
    CloudOnly,
    /// To be uploaded, what was tried in vain included.
    Waiting,
    /// To be uploaded and tried in vain.
    Failed,
    /// Not on disk, and in a bucket that was used before.
    Elsewhere,
    /// Nowhere that we know of.
    Missing,
}

impl Whereabouts {
    /// All of them, with their words.
    pub const ALL: [(&str, Self); 9] = [
        ("local", Self::Local),
        ("local_only", Self::LocalOnly),
        ("both", Self::Both),
        ("cloud", Self::Cloud),
        ("cloud_only", Self::CloudOnly),
        ("waiting", Self::Waiting),
        ("failed", Self::Failed),
        ("elsewhere", Self::Elsewhere),
        ("missing", Self::Missing),
    ];

    /// The one that a word names.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == word).map(|(_, place)| place)
    }

    fn conditions(self) -> &'static [&'static str] {
        const HERE: &str = "exists (select 1 from blobs p where p.sha256 = i.sha256 and p.state = 'present')";
        const NOT_HERE: &str = "not exists (select 1 from blobs p where p.sha256 = i.sha256 and p.state = 'present')";
        const THERE: &str = "exists (select 1 from copies c where c.seq = i.seq and c.state = 'stored')";
        const NOT_THERE: &str = "not exists (select 1 from copies c where c.seq = i.seq and c.state = 'stored')";
        // These are few as a rule, and found by their index.
        const PENDING: &str = "i.seq in (select c.seq from copies c where c.state = 'pending')";
        const FAILED: &str =
            concat!("i.seq in (select c.seq from copies c where c.state = 'pending' and c.attempts > 0 and not (", nowhere!(), "))");
        const LEFT: &str = concat!("i.seq in (select c.seq from copies c where c.left_in is not null and ", left!(), ")");
        const NOT_LEFT: &str = concat!(
            "not exists (select 1 from copies c join blobs p on p.sha256 = i.sha256
             where c.seq = i.seq and p.evicted_at is not null and ",
            left!(),
            ")"
        );
        const EVICTED: &str = "exists (select 1 from blobs p where p.sha256 = i.sha256 and p.evicted_at is not null)";
        match self {
            Self::Local => &[HERE],
            Self::LocalOnly => &[HERE, NOT_THERE],
            Self::Both => &[HERE, THERE],
            Self::Cloud => &[THERE],
            Self::CloudOnly => &[NOT_HERE, THERE],
            Self::Waiting => &[PENDING],
            Self::Failed => &[FAILED],
            Self::Elsewhere => &[EVICTED, LEFT],
            Self::Missing => &[NOT_HERE, NOT_THERE, NOT_LEFT],
        }
    }
}

/// Which images are wanted.
#[derive(Clone, Debug, Default)]
pub struct GalleryFilter {
    /// The order.
    pub sort: Sort,
    /// Smallest or oldest first.
    pub ascending: bool,
    /// What a person looks for in prompts.
    pub text: Option<String>,
    /// Only of this source.
    pub source: Option<&'static str>,
    /// Only of this model.
    pub model: Option<String>,
    /// Only those whose bytes lie there.
    pub place: Option<Whereabouts>,
    /// Only saved at or after this time.
    pub from: Option<i64>,
    /// Only saved before this time.
    pub to: Option<i64>,
}

/// An image in a list.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its number.
    pub seq: i64,
    /// Its id.
    pub id: ImageId,
    /// How it came to us.
    pub source: String,
    /// The user's words.
    pub prompt: Option<String>,
    /// The model name that the client used.
    pub model: Option<String>,
    /// When it was saved.
    pub created_at: i64,
    /// When it was last looked at.
    pub accessed_at: i64,
    /// Its bytes.
    pub blob: crate::model::BlobRecord,
    /// Whether they are on disk.
    pub local: bool,
    /// Whether they went from disk because a bucket had confirmed a copy.
    pub evicted: bool,
    /// Whether that was another bucket than the one that is used, or was used last.
    pub left: bool,
    /// How the copy in the bucket stands.
    pub copy: CopyState,
}

/// All that is known of one image.
#[derive(Clone, Debug)]
pub struct Detailed {
    /// What lists show.
    pub listed: Listed,
    /// What the upstream made of the prompt.
    pub revised_prompt: Option<String>,
    /// Who drew it.
    pub upstream: Option<String>,
    /// With which model.
    pub upstream_model: Option<String>,
    /// A JSON object.
    pub parameters: Option<String>,
    /// How long it took.
    pub duration_ms: Option<i64>,
    /// What it was made from; ids of images that are gone are there too.
    pub made_from: Vec<(ImageId, Option<Listed>)>,
    /// What was made from it.
    pub became: Vec<Listed>,
}

const COLUMNS: &str = concat!(
    "i.seq, i.id, i.source, i.prompt, i.model, i.created_at, i.accessed_at, b.state,
     (select c.state from copies c where c.seq = i.seq), (select c.attempts from copies c where c.seq = i.seq),
     b.evicted_at is not null, exists (select 1 from copies c where c.seq = i.seq and ",
    left!(),
    ")"
);

/// Images whose words were found.
const FOUND: &str = "images_words w cross join images i on i.seq = w.rowid cross join blobs b on b.sha256 = i.sha256";

/// Images made from one that are shown with it.
const BECAME_MAX: i64 = 50;

fn listed(row: &Row<'_>) -> rusqlite::Result<Listed> {
    let state: String = row.get(7)?;
    let id: [u8; 16] = row.get(1)?;
    Ok(Listed {
        seq: row.get(0)?,
        id: ImageId::from_slice(&id).ok_or_else(|| blobs::unknown(1, "image id"))?,
        source: row.get(2)?,
        prompt: row.get(3)?,
        model: row.get(4)?,
        created_at: row.get(5)?,
        accessed_at: row.get(6)?,
        blob: blobs::read(row, 12)?,
        local: state == "present",
        evicted: row.get(10)?,
        left: row.get(11)?,
        copy: copies::state(row, 8)?,
    })
}

/// Conditions and their values; `false` if nothing can be found.
fn conditions(filter: &GalleryFilter, sql: &mut Vec<&'static str>, values: &mut Vec<Value>) -> bool {
    if let Some(text) = &filter.text {
        let Some(query) = search::query(text) else { return false };
        sql.push("images_words match ?");
        values.push(query.into());
    }
    if let Some(source) = filter.source {
        sql.push("i.source = ?");
        values.push(source.to_owned().into());
    }
    if let Some(model) = &filter.model {
        sql.push("i.model = ?");
        values.push(model.clone().into());
    }
    if let Some(place) = filter.place {
        sql.extend(place.conditions());
    }
    for (condition, at) in [("i.created_at >= ?", filter.from), ("i.created_at < ?", filter.to)] {
        if let Some(at) = at {
            sql.push(condition);
            values.push(at.into());
        }
    }
    true
}

/// One page, at most `limit` long, behind `after`; and where it ends, if there is more.
pub fn page(
    connection: &Connection,
    filter: &GalleryFilter,
    after: Option<&Cursor>,
    limit: usize,
) -> rusqlite::Result<(Vec<Listed>, Option<Cursor>)> {
    let (mut wanted, mut values) = (Vec::new(), Vec::new());
    if !conditions(filter, &mut wanted, &mut values) {
        return Ok((Vec::new(), None));
    }
    let (order, beyond) = if filter.ascending { ("asc", ">") } else { ("desc", "<") };
    // For sizes the walk begins at the files: their index has the order.
    let searched = filter.text.is_some();
    let (tables, key) = match filter.sort {
        // The index of words hands its rows out in the order of their numbers, which is that of saving, one by one.
        Sort::Created if searched => (FOUND, vec!["w.rowid"]),
        Sort::Created => ("images i join blobs b on b.sha256 = i.sha256", vec!["i.created_at", "i.seq"]),
        Sort::Accessed if searched => (FOUND, vec!["i.accessed_at", "i.seq"]),
        Sort::Accessed => ("images i join blobs b on b.sha256 = i.sha256", vec!["i.accessed_at", "i.seq"]),
        Sort::Size if searched => (FOUND, vec!["b.bytes", "b.sha256", "i.seq"]),
        Sort::Size => ("blobs b cross join images i on i.sha256 = b.sha256", vec!["b.bytes", "b.sha256", "i.seq"]),
    };
    let mut sql = format!("select {COLUMNS}, {} from {tables}", blobs::COLUMNS);
    let mut wanted: Vec<String> = wanted.into_iter().map(str::to_owned).collect();
    if let Some(after) = after {
        wanted.push(format!("({}) {beyond} ({})", key.join(", "), vec!["?"; key.len()].join(", ")));
        if key[0] != "w.rowid" {
            values.push(after.key.into());
        }
        if filter.sort == Sort::Size {
            values.push(Value::Blob(after.sha256.map(|sha256| sha256.0.to_vec()).unwrap_or_default()));
        }
        values.push(after.seq.into());
    }
    if !wanted.is_empty() {
        sql.push_str(" where ");
        sql.push_str(&wanted.join(" and "));
    }
    let order: Vec<String> = key.iter().map(|column| format!("{column} {order}")).collect();
    sql.push_str(&format!(" order by {} limit ?", order.join(", ")));
    values.push((limit as i64 + 1).into());
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows: Vec<Listed> = statement.query_map(params_from_iter(values), listed)?.collect::<rusqlite::Result<_>>()?;
    if rows.len() <= limit {
        return Ok((rows, None));
    }
    rows.truncate(limit);
    let next = rows.last().map(|last| match filter.sort {
        Sort::Created => Cursor { key: last.created_at, sha256: None, seq: last.seq },
        Sort::Accessed => Cursor { key: last.accessed_at, sha256: None, seq: last.seq },
        Sort::Size => Cursor { key: last.blob.bytes as i64, sha256: Some(last.blob.sha256), seq: last.seq },
    });
    Ok((rows, next))
}

/// How many images there are of that kind.
pub fn count(connection: &Connection, filter: &GalleryFilter) -> rusqlite::Result<i64> {
    let (mut wanted, mut values) = (Vec::new(), Vec::new());
    if !conditions(filter, &mut wanted, &mut values) {
        return Ok(0);
    }
    let only_words = filter.text.is_some() && wanted.len() == 1;
    let mut sql = String::from(match (only_words, filter.text.is_some()) {
        (true, _) => "select count(*) from images_words",
        (false, true) => "select count(*) from images_words w cross join images i on i.seq = w.rowid",
        (false, false) => "select count(*) from images i",
    });
    if !wanted.is_empty() {
        sql.push_str(" where ");
        sql.push_str(&wanted.join(" and "));
    }
    connection.prepare_cached(&sql)?.query_row(params_from_iter(values), |row| row.get(0))
}

/// One image as lists show it.
pub fn one(connection: &Connection, id: ImageId) -> rusqlite::Result<Option<Listed>> {
    let sql = format!("select {COLUMNS}, {} from images i join blobs b on b.sha256 = i.sha256 where i.id = ?1", blobs::COLUMNS);
    connection.prepare_cached(&sql)?.query_row([id.as_bytes()], listed).optional()
}

/// The image that was drawn last, by whomever.
pub fn latest_drawn(connection: &Connection) -> rusqlite::Result<Option<ImageId>> {
    let sql = "select id from images where source in ('generated', 'edited') order by seq desc limit 1";
    let id: Option<[u8; 16]> = connection.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()?;
    Ok(id.and_then(|bytes| ImageId::from_slice(&bytes)))
}

/// All that is known of an image.
pub fn detailed(connection: &Connection, id: ImageId) -> rusqlite::Result<Option<Detailed>> {
    let Some(shown) = one(connection, id)? else { return Ok(None) };
    let sql = "select revised_prompt, upstream, upstream_model, parameters, duration_ms from images where seq = ?1";
    let (revised_prompt, upstream, upstream_model, parameters, duration_ms) = connection
        .prepare_cached(sql)?
        .query_row([shown.seq], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))?;
    let mut statement = connection.prepare_cached("select parent_id from lineage where seq = ?1 order by position")?;
    let parents: Vec<[u8; 16]> = statement.query_map([shown.seq], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let mut made_from = Vec::new();
    for parent in parents.iter().filter_map(|bytes| ImageId::from_slice(bytes)) {
        made_from.push((parent, one(connection, parent)?));
    }
    let sql = format!(
        "select {COLUMNS}, {} from lineage l join images i on i.seq = l.seq join blobs b on b.sha256 = i.sha256
         where l.parent_id = ?1 order by i.seq limit ?2",
        blobs::COLUMNS
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let became = statement.query_map(params![id.as_bytes(), BECAME_MAX], listed)?.collect::<rusqlite::Result<_>>()?;
    Ok(Some(Detailed { listed: shown, revised_prompt, upstream, upstream_model, parameters, duration_ms, made_from, became }))
}

/// Deletes an image; `None` if there is none. The digest of its bytes if no other image has them: they are doomed until
/// they are kept again or [`gone`] says so, so that a crash in between does not bring them back.
pub fn delete(transaction: &Transaction<'_>, id: ImageId) -> rusqlite::Result<Option<Option<Sha256>>> {
    let found: Option<(i64, [u8; 32])> = transaction
        .prepare_cached("select seq, sha256 from images where id = ?1")?
        .query_row([id.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((seq, sha256)) = found else { return Ok(None) };
    search::forget(transaction, seq)?;
    transaction.prepare_cached("delete from images where seq = ?1")?.execute([seq])?;
    let shared = transaction.prepare_cached("select 1 from images where sha256 = ?1 limit 1")?.exists([sha256])?;
    if shared {
        return Ok(Some(None));
    }
    transaction.prepare_cached("delete from blobs where sha256 = ?1")?.execute([sha256])?;
    transaction.prepare_cached("insert into doomed (sha256) values (?1) on conflict do nothing")?.execute([sha256])?;
    Ok(Some(Some(Sha256(sha256))))
}

/// Bytes whose images were deleted and which may still be on disk.
pub fn doomed(connection: &Connection) -> rusqlite::Result<Vec<Sha256>> {
    connection.prepare_cached("select sha256 from doomed")?.query_map([], |row| row.get(0).map(Sha256))?.collect()
}

/// Those bytes are no longer on disk.
pub fn gone(transaction: &Transaction<'_>, sha256: Sha256) -> rusqlite::Result<()> {
    transaction.prepare_cached("delete from doomed where sha256 = ?1")?.execute([sha256.0])?;
    Ok(())
}

/// Model names that occur.
pub fn models(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    // Jumps from name to name in the index instead of reading all rows.
    let sql = "with recursive names (name) as (
                   select min(model) from images
                   union all
                   select (select min(model) from images where model > name) from names where name is not null
               ) select name from names where name is not null limit 200";
    connection.prepare_cached(sql)?.query_map([], |row| row.get(0))?.collect()
}

/// Indexes the words of images from number `from` on that were saved before there was an index; the number of the last
/// one, or nothing if there are no more below `until`.
pub fn index_words(transaction: &Transaction<'_>, from: i64, until: i64, limit: i64) -> rusqlite::Result<Option<i64>> {
    let rows: Vec<(i64, Option<String>, Option<String>)> = transaction
        .prepare_cached("select seq, prompt, revised_prompt from images where seq > ?1 and seq <= ?2 order by seq limit ?3")?
        .query_map([from, until, limit], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (seq, prompt, revised) in &rows {
        search::forget(transaction, *seq)?;
        search::index(transaction, *seq, &[prompt.as_deref(), revised.as_deref()])?;
    }
    Ok(rows.last().map(|(seq, ..)| *seq))
}
