//! The database at one moment, as a file of its own: taken while a gateway writes, freed of secrets for an archive, and
//! looked at before an archive's one is trusted.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::{
    admin::{Admin, admin, delete_admin, insert_admin},
    blobs::{mark_missing, set_thumbnail},
    db::{self, DbError},
    meta::meta,
};
use crate::model::{Millis, Sha256, Thumbnail};

/// Bytes that the database names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedBlob {
    /// Their digest.
    pub sha256: Sha256,
    /// How many.
    pub bytes: u64,
    /// Whether they should be on disk.
    pub present: bool,
    /// Whether their thumbnail was made.
    pub thumbnail: bool,
}

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
        if db::check_version(&connection, path, backups)? == 0 {
            return Err(not_ours("it has no tables of ours"));
        }
        let sound: String = connection.query_row("pragma quick_check(1)", [], |row| row.get(0))?;
        if sound != "ok" {
            return Err(not_ours(&sound));
        }
        // Rules that run by themselves: a crafted archive could bring its own.
        let strange = rules(&connection)?.into_iter().find(|rule| !known_rules().is_ok_and(|known| known.contains(rule)));
        if let Some(strange) = strange {
            return Err(not_ours(&format!("it holds a rule called '{strange}'")));
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
        let sql = "select sha256, bytes, state = 'present', thumbnail = 'made' from blobs order by sha256";
        let mut statement = self.connection.prepare(sql)?;
        let rows = statement.query_map([], |row| {
            Ok(NamedBlob {
                sha256: Sha256(row.get(0)?),
                bytes: row.get::<_, i64>(1)?.max(0) as u64,
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
    /// are to be made again, and every copy in the bucket whose bytes are here is to be confirmed again, because much may
    /// have happened there since.
    ///
    /// # Errors
    /// [`DbError`].
    pub fn settle(&mut self, absent: &[Sha256], unmade: &[Sha256], account: Option<&Admin>, now: Millis) -> Result<(), DbError> {
        let transaction = self.connection.transaction()?;
        for sha256 in absent {
            mark_missing(&transaction, *sha256, now)?;
        }
        for sha256 in unmade {
            set_thumbnail(&transaction, *sha256, Thumbnail::Pending, None)?;
        }
        transaction.execute(
            "update copies set state = 'pending', lease = null, due_at = ?1 where state = 'stored' and seq in
                 (select i.seq from images i join blobs b on b.sha256 = i.sha256 where b.state = 'present')",
            [now],
        )?;
        transaction.execute("delete from sessions", [])?;
        if let Some(account) = account {
            delete_admin(&transaction)?;
            insert_admin(&transaction, account, now)?;
        }
        transaction.commit()?;
        Ok(())
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

fn rules(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let sql = "select name || ': ' || sql from sqlite_master where type in ('trigger', 'view')";
    connection.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
}

fn known_rules() -> Result<Vec<String>, DbError> {
    let mut fresh = Connection::open_in_memory()?;
    db::to_latest(&mut fresh)?;
    Ok(rules(&fresh)?)
}
