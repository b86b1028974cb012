//! The database at one moment, as a file of its own: taken while a gateway writes, freed of secrets for an archive, and
//! looked at before an archive's one is trusted.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::{
    admin::{Admin, admin, delete_admin, insert_admin},
    blobs::{mark_missing, set_thumbnail},
    copies::delete_foreign_graves,
    db::{self, DbError},
    meta::meta,
    vetted::{Vetted, vet},
};
use crate::model::{LISTEN, MediaType, Millis, Sha256, Thumbnail};

/// Bytes that the database names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedBlob {
    /// Their digest.
    pub sha256: Sha256,
    /// How many.
    pub bytes: u64,
    /// What kind of picture it says they are.
    pub media_type: Option<MediaType>,
    /// Whether they should be on disk.
    pub present: bool,
    /// Whether their thumbnail was made.
    pub thumbnail: bool,
}

/// What came with a database in an archive, where it is not as the database says.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// Bytes that did not come.
    pub absent: &'a [Sha256],
    /// Those whose thumbnails did not come.
    pub unmade: &'a [Sha256],
    /// Pictures of another type than noted.
    pub types: &'a [(Sha256, MediaType)],
}

/// What became of a database from an archive.
#[derive(Clone, Debug, Default)]
pub struct Settled {
    /// Whether others than this computer could reach the gateway, and no longer can.
    pub closed: bool,
    /// Its settings and upstreams.
    pub vetted: Vetted,
}

/// Times, none of which can be later than now.
const TIMES: [(&str, &str); 12] = [
    ("settings", "changed_at"),
    ("upstreams", "created_at"),
    ("blobs", "created_at"),
    ("blobs", "evicted_at"),
    ("images", "created_at"),
    ("images", "accessed_at"),
    ("quirks", "learnt_at"),
    ("activity", "at"),
    ("log_lines", "at"),
    ("copies", "due_at"),
    ("copies", "stored_at"),
    ("tombstones", "due_at"),
];

/// A database that nobody else uses.
pub struct Snapshot {
    connection: Connection,
    path: PathBuf,
}

impl Snapshot {
    /// Copies `database`, whoever writes to it meanwhile, to the new file `target`, and brings the copy up to date. What
    /// was deleted is not in it.
    ///
    /// # Errors
    /// [`DbError`].
    pub fn take(database: &Path, target: &Path) -> Result<Self, DbError> {
        let source = db::connect(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        db::check_version(&source, database, target)?;
        source.execute("vacuum into ?1", [target.to_string_lossy().as_ref()])?;
        let mut connection = db::connect(target, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        db::to_latest(&mut connection)?;
        Ok(Self { connection, path: target.to_owned() })
    }

    /// Opens a database that came in an archive, and brings it up to date.
    ///
    /// # Errors
    /// [`DbError::Newer`], [`DbError::NotOurs`] if it is damaged or holds what no version of ours makes, and others.
    pub fn adopt(path: &Path, backups: &Path) -> Result<Self, DbError> {
        let not_ours = |why: &str| DbError::NotOurs { path: path.to_owned(), why: why.to_owned() };
        let mut connection = db::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.pragma_update(None, "trusted_schema", false)?;
        let version = db::check_version(&connection, path, backups)?;
        if version == 0 {
            return Err(not_ours("it has no tables of ours"));
        }
        if let Some(strange) = strange(&connection, version)? {
            return Err(not_ours(&strange));
        }
        let sound: String = connection.query_row("pragma quick_check(1)", [], |row| row.get(0))?;
        if sound != "ok" {
            return Err(not_ours(&sound));
        }
        db::to_latest(&mut connection)?;
        Ok(Self { connection, path: path.to_owned() })
    }

    /// The schema that this program writes.
    pub fn schema() -> usize {
        db::MIGRATIONS.len()
    }

    /// Images.
    ///
    /// # Errors
    /// [`DbError`].
    pub fn images(&self) -> Result<u64, DbError> {
        Ok(self.connection.query_row("select count(*) from images", [], |row| row.get::<_, i64>(0))?.max(0) as u64)
    }

    /// The mark that the folder of images must have.
    ///
    /// # Errors
    /// [`DbError`].
    pub fn mark(&self) -> Result<Option<String>, DbError> {
        Ok(meta(&self.connection, "install_id")?)
    }

    /// All bytes that it names.
    ///
    /// # Errors
    /// [`DbError`].
    pub fn blobs(&self) -> Result<Vec<NamedBlob>, DbError> {
        let sql = "select sha256, bytes, state = 'present', thumbnail = 'made', media_type from blobs order by sha256";
        let mut statement = self.connection.prepare(sql)?;
        let rows = statement.query_map([], |row| {
            Ok(NamedBlob {
                sha256: Sha256(row.get(0)?),
                bytes: row.get::<_, i64>(1)?.max(0) as u64,
                media_type: MediaType::from_mime(&row.get::<_, String>(4)?),
                present: row.get(2)?,
                thumbnail: row.get(3)?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Removes what must not lie in an archive: the account with its password's hash, which is handed over, and sessions.
    /// The time of the last look at the clock goes as well: it says nothing where this is restored.
    ///
    /// # Errors
    /// [`DbError`].
    pub fn clean(&mut self) -> Result<Option<Admin>, DbError> {
        // Deleted rows are overwritten, or they could be read from the file.
        self.connection.pragma_update(None, "secure_delete", true)?;
        let transaction = self.connection.transaction()?;
        let found = admin(&transaction)?;
        delete_admin(&transaction)?;
        transaction.execute("delete from meta where key = 'last_tick'", [])?;
        transaction.commit()?;
        Ok(found)
    }

    /// Makes a restored database fit what came with it: bytes that are `absent` are noted as such, thumbnails in `unmade`
    /// are to be made again, pictures are of the type that their bytes tell, no time is later than `now`, and every copy in the
    /// bucket whose bytes are here is to be confirmed again, because much may have happened there since. Settings and upstreams
    /// that cannot be used go, and so do the account and its sessions: `account` takes their place. So does what would remove
    /// bytes that are none of its own. Only this computer reaches the gateway afterwards, because to open it to others takes
    /// the password.
    ///
    /// # Errors
    /// [`DbError`].
    pub fn settle(&mut self, found: &Found<'_>, account: Option<&Admin>, now: Millis) -> Result<Settled, DbError> {
        let Found { absent, unmade, types } = *found;
        let transaction = self.connection.transaction()?;
        for sha256 in absent {
            mark_missing(&transaction, *sha256, now)?;
        }
        for sha256 in unmade {
            set_thumbnail(&transaction, *sha256, Thumbnail::Pending, None)?;
        }
        for (sha256, media_type) in types {
            transaction
                .prepare_cached("update blobs set media_type = ?2 where sha256 = ?1")?
                .execute((&sha256.0[..], media_type.mime()))?;
        }
        for (table, column) in TIMES {
            let sql = format!("update {table} set {column} = max(0, min({column}, ?1)) where {column} not between 0 and ?1");
            transaction.execute(&sql, [now])?;
        }
        delete_foreign_graves(&transaction)?;
        // No bytes of deleted images came along.
        transaction.execute("delete from doomed", [])?;
        let vetted = vet(&transaction)?;
        let closed = transaction.execute("delete from settings where key = ?1 and value <> 'this_computer'", [LISTEN])? > 0;
        transaction.execute(
            "update copies set state = 'pending', lease = null, due_at = ?1 where state = 'stored' and seq in
                 (select i.seq from images i join blobs b on b.sha256 = i.sha256 where b.state = 'present')",
            [now],
        )?;
        // Whoever made the archive may have put an account of their own into it: only the one that came sealed lets in.
        delete_admin(&transaction)?;
        if let Some(account) = account {
            insert_admin(&transaction, account, now)?;
        }
        transaction.commit()?;
        Ok(Settled { closed, vetted })
    }

    /// Closes it: all of it is in the one file then.
    ///
    /// # Errors
    /// [`DbError`].
    pub fn close(self) -> Result<PathBuf, DbError> {
        self.connection.query_row("pragma journal_mode = delete", [], |_| Ok(()))?;
        self.connection.close().map_err(|(_, error)| error)?;
        Ok(self.path)
    }
}

/// Images that a database of ours holds; nothing if it is none. Changes nothing.
pub fn count_images(path: &Path) -> Option<i64> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
    connection.query_row("select count(*) from images", [], |row| row.get(0)).optional().ok().flatten()
}

/// A row of SQLite's own table of what a database holds: type, name, table, and the text that made it.
type Made = (String, String, String, String);

/// What `pragma optimize` adds at the end of a run. It holds figures only.
const FIGURES: [(&str, &str); 2] = [
    ("sqlite_stat1", "CREATE TABLE sqlite_stat1(tbl,idx,stat)"),
    ("sqlite_stat4", "CREATE TABLE sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample)"),
];

/// What this database holds that ours of that version does not, or the other way round. A crafted archive could bring rules
/// that run by themselves, under whatever type SQLite lets its own table be written with.
fn strange(connection: &Connection, version: usize) -> Result<Option<String>, DbError> {
    let mut fresh = Connection::open_in_memory()?;
    db::to_version(&mut fresh, version)?;
    let (found, known) = (made(connection)?, made(&fresh)?);
    let about = |(kind, name, ..): &Made, why: &str| {
        let shown: String = format!("{kind} {name}").chars().take(100).collect();
        Some(format!("its {} {why}", shown.escape_debug()))
    };
    if let Some(lost) = known.iter().find(|one| !found.iter().any(|other| other.0 == one.0 && other.1 == one.1)) {
        return Ok(about(lost, "is missing"));
    }
    // One by one: a row that is there twice is one too many.
    let mut left = known;
    for one in &found {
        match left.iter().position(|other| other == one) {
            Some(at) => drop(left.swap_remove(at)),
            None => return Ok(about(one, "is none of ours")),
        }
    }
    Ok(left.first().and_then(|lost| about(lost, "is missing")))
}

fn made(connection: &Connection) -> rusqlite::Result<Vec<Made>> {
    let sql = "select lower(type), name, tbl_name, coalesce(sql, '') from sqlite_master";
    let mut statement = connection.prepare(sql)?;
    // A checkout on Windows may have other line ends; nothing else may differ, least of all what a comment ends with.
    let rows =
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get::<_, String>(3)?.replace("\r\n", "\n"))))?;
    let rows: Vec<Made> = rows.collect::<rusqlite::Result<_>>()?;
    let is_figures = |(kind, name, table, sql): &Made| kind == "table" && name == table && FIGURES.contains(&(name.as_str(), sql.as_str()));
    Ok(rows.into_iter().filter(|row| !is_figures(row)).collect())
}
