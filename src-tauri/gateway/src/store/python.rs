//! The data folder of the Python program: read as it lies there, never changed. Its database is opened as immutable, so
//! that SQLite writes nothing beside it; where a writer left a journal, a copy is read instead.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags, Row, types::ValueRef};
use url::Url;

use super::{db::DbError, folder::beside, held::HeldFiles};
use crate::model::Millis;

/// Longest text that is read of a row, in bytes: the Python program writes 500 characters at most. Anybody may have written to
/// its database, and a page of rows is in memory at once.
const TEXT_MAX: usize = 4096;

/// Longest value of a setting, in bytes: the same that a setting here may have.
const VALUE_MAX: usize = 64 * 1024;

/// Admins that are read; only the first is taken over.
const ADMINS_MAX: usize = 20;

/// Where its files lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PythonFolder {
    /// The folder that holds all of it.
    pub root: PathBuf,
    /// The database.
    pub database: PathBuf,
    /// Its images.
    pub images: PathBuf,
}

/// An account of its admin.
#[derive(Clone, Debug)]
pub struct PythonAdmin {
    /// The name.
    pub username: String,
    /// bcrypt.
    pub hash: String,
}

/// A row of its images, as it stands there.
#[derive(Clone, Debug, Default)]
pub struct PythonImage {
    /// The row's number.
    pub row: i64,
    /// A UUID, if nothing is wrong.
    pub id: String,
    /// Below the folder of images.
    pub path: String,
    /// The object's name in R2; set for all rows, also where nothing was uploaded.
    pub key: String,
    /// What it was taken for.
    pub content_type: String,
    /// Whether there should be an object in R2.
    pub in_bucket: bool,
    /// When it was made.
    pub created_at: Option<Millis>,
    /// When it was last looked at.
    pub accessed_at: Option<Millis>,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PythonFigures {
    /// Rows of images.
    pub images: u64,
    /// Bytes of those that should be on disk.
    pub bytes: u64,
    /// Whether there are settings.
    pub settings: bool,
    /// Whether there is an admin account.
    pub account: bool,
}

impl PythonFolder {
    /// Looks for a database of the Python program at `place`: the folder itself, one that holds a folder `data`, or the
    /// database's own file.
    pub fn find(place: &Path, images: Option<&Path>) -> Option<Self> {
        let inside = ["db/picgate.db", "data/db/picgate.db", "picgate.db"];
        let candidates = std::iter::once(place.to_owned()).chain(inside.iter().map(|name| place.join(name)));
        let database = candidates.into_iter().find(|path| path.is_file() && is_python(path))?;
        let folder = database.parent().unwrap_or(place);
        let root = if folder.ends_with("db") { folder.parent().unwrap_or(folder) } else { folder }.to_owned();
        let images = images.map_or_else(|| root.join("images"), Path::to_owned);
        Some(Self { root, database, images })
    }
}

/// Its database, open for reading.
pub struct PythonDb {
    connection: Connection,
    /// A copy that goes with this value.
    _copy: Option<HeldFiles>,
}

/// Opens a file so that nothing is written beside it.
fn open_untouched(path: &Path) -> Result<Connection, DbError> {
    let not_ours = || DbError::NotOurs { path: path.to_owned(), why: "its path cannot be used".into() };
    let absolute = std::path::absolute(path).map_err(|_| not_ours())?;
    let mut url = Url::from_file_path(absolute).map_err(|()| not_ours())?;
    url.set_query(Some("mode=ro&immutable=1"));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(url.as_str(), flags)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

/// The columns of a table; none if there is no such table. Views are passed over: anybody may have made them, and they may
/// not end.
fn columns(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let sql = "select name from pragma_table_info(?1) where exists
                   (select 1 from pragma_table_list(?1) where schema = 'main' and type = 'table')";
    connection.prepare(sql)?.query_map([table], |row| row.get(0))?.collect()
}

/// Whether a file is the database of the Python program: told by a column that only it has. Changes nothing.
pub fn is_python(path: &Path) -> bool {
    let python = || -> Result<bool, DbError> { Ok(columns(&open_untouched(path)?, "images")?.iter().any(|name| name == "has_r2_copy")) };
    path.exists() && python().unwrap_or(false)
}

impl PythonDb {
    /// Opens it. `tmp` is a folder of ours for a copy, if one is needed.
    ///
    /// # Errors
    /// [`DbError`].
    pub fn open(path: &Path, tmp: &Path) -> Result<Self, DbError> {
        let has = |ending: &str| beside(path, ending).metadata().is_ok_and(|meta| meta.len() > 0);
        if !has("-wal") && !has("-journal") {
            return Ok(Self { connection: open_untouched(path)?, _copy: None });
        }
        let copy = HeldFiles::new(tmp).map_err(DbError::Backup)?;
        let target = copy.path("picgate.db");
        for ending in ["", "-wal", "-journal"] {
            let from = beside(path, ending);
            if from.exists() {
                fs::copy(from, beside(&target, ending)).map_err(DbError::Backup)?;
            }
        }
        let connection = Connection::open(&target)?;
        connection.pragma_update(None, "trusted_schema", false)?;
        // What the journal brings may be another database than the one that was looked at.
        if columns(&connection, "images")?.is_empty() {
            return Err(DbError::NotOurs { path: path.to_owned(), why: "its images are no table".into() });
        }
        Ok(Self { connection, _copy: Some(copy) })
    }

    /// Its settings as text, by the names of their columns.
    ///
    /// # Errors
    /// [`DbError`].
    pub fn settings(&self) -> Result<Option<Vec<(String, String)>>, DbError> {
        let columns = columns(&self.connection, "settings")?;
        if columns.is_empty() {
            return Ok(None);
        }
        let mut statement = self.connection.prepare("select * from settings order by id limit 1")?;
        let mut rows = statement.query([])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        Ok(Some(columns.into_iter().map(|name| (name.clone(), text(row, &name, VALUE_MAX))).collect()))
    }

    /// Its admins, the first one first.
    ///
    /// # Errors
    /// [`DbError`].
    pub fn admins(&self) -> Result<Vec<PythonAdmin>, DbError> {
        if columns(&self.connection, "admins")?.is_empty() {
            return Ok(Vec::new());
        }
        let mut statement = self.connection.prepare("select * from admins order by id limit ?1")?;
        let rows = statement.query_map([ADMINS_MAX as i64], |row| {
            Ok(PythonAdmin { username: text(row, "username", TEXT_MAX), hash: text(row, "password_hash", TEXT_MAX) })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// How much there is.
    ///
    /// # Errors
    /// [`DbError`].
    pub fn figures(&self) -> Result<PythonFigures, DbError> {
        let sql = "select count(*), coalesce(sum(case when has_local_copy then size_bytes else 0 end), 0) from images";
        let (images, bytes): (i64, i64) = self.connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let number = |n: i64| u64::try_from(n).unwrap_or(0);
        let settings = self.settings()?.is_some();
        Ok(PythonFigures { images: number(images), bytes: number(bytes), settings, account: !self.admins()?.is_empty() })
    }

    /// Up to `limit` images behind row `after`. Text that is longer than [`TEXT_MAX`] counts as none, and is not even read.
    ///
    /// # Errors
    /// [`DbError`].
    pub fn images(&self, after: i64, limit: usize) -> Result<Vec<PythonImage>, DbError> {
        let columns = columns(&self.connection, "images")?;
        let short = |name: &str| match columns.iter().any(|column| column == name) {
            true => format!("case when octet_length({name}) <= {TEXT_MAX} then {name} end"),
            false => "null".to_owned(),
        };
        // Times without a zone are UTC there.
        let time = |name: &str| format!("cast(round(unixepoch({}, 'subsec') * 1000) as integer)", short(name));
        let texts = ["image_id", "local_path", "r2_key", "content_type", "upload_status", "has_r2_copy"];
        let texts: Vec<String> = texts.iter().map(|name| format!("{} as {name}", short(name))).collect();
        let sql = format!(
            "select id, {}, {} as created_ms, {} as accessed_ms from images where id > ?1 order by id limit ?2",
            texts.join(", "),
            time("created_at"),
            time("last_accessed_at")
        );
        let mut statement = self.connection.prepare(&sql)?;
        let rows = statement.query_map([after, limit as i64], |row| {
            let text = |name: &str| text(row, name, TEXT_MAX);
            let uploaded = text("upload_status") == "uploaded";
            Ok(PythonImage {
                row: row.get("id")?,
                id: text("image_id"),
                path: text("local_path"),
                key: text("r2_key"),
                content_type: text("content_type"),
                in_bucket: uploaded || !matches!(text("has_r2_copy").as_str(), "" | "0"),
                created_at: row.get("created_ms")?,
                accessed_at: row.get("accessed_ms")?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

/// A value as text; empty for null, for what is longer than `most` bytes, and for a column that this version of the program
/// did not have.
fn text(row: &Row<'_>, name: &str, most: usize) -> String {
    match row.get_ref(name) {
        Ok(ValueRef::Text(text)) if text.len() > most => String::new(),
        Ok(ValueRef::Text(text)) => String::from_utf8_lossy(text).trim().to_owned(),
        Ok(ValueRef::Integer(number)) => number.to_string(),
        Ok(ValueRef::Real(number)) => number.to_string(),
        _ => String::new(),
    }
}
