//! A look at a data folder from outside: whether it can be used and what the database says of itself. Changes nothing, takes
//! no lock and so disturbs no gateway that runs on it.

use std::{
    path::Path,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{UpstreamRow, admin, copies, db, image_figures, meta::meta, settings, upstreams};

/// How long another process may hold the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Most complaints of SQLite that are told.
const COMPLAINTS_MAX: usize = 3;

/// What is to be seen of a database.
#[derive(Debug)]
pub struct Glance {
    /// The version of its tables.
    pub schema: i64,
    /// What SQLite finds wrong with the file; nothing if it is sound. `None`: it was too large to find out in time.
    pub complaints: Option<Vec<String>>,
    /// What it holds, if it is of our version.
    pub holds: Option<Holds>,
}

/// What a database of our version holds.
#[derive(Debug)]
pub struct Holds {
    /// The mark that the folder of images must have.
    pub install_id: Option<String>,
    /// Settings that a person changed.
    pub settings: std::collections::BTreeMap<String, String>,
    /// Upstreams, the preferred one first.
    pub upstreams: Vec<UpstreamRow>,
    /// Whether there is an admin.
    pub has_admin: bool,
    /// Images in all, and those whose file is gone.
    pub images: (i64, i64),
    /// Copies that failed, and why the latest did.
    pub failed_copies: (i64, Option<String>),
    /// The latest image.
    pub latest: Option<crate::model::ImageId>,
    /// The latest time in it, in milliseconds since 1970.
    pub newest: i64,
}

/// The version of the tables that this program knows.
pub fn known_schema() -> i64 {
    db::known_schema()
}

/// Looks at the database at `path`, for at most `patience` at whether it is sound. Blocks.
///
/// # Errors
/// What SQLite says.
pub fn glance(path: &Path, patience: Duration) -> rusqlite::Result<Glance> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let schema = match connection.pragma_query_value(None, "user_version", |row| row.get(0)) {
        Ok(schema) => schema,
        Err(error) if is_damage(&error) => return Ok(Glance { schema: 0, complaints: Some(vec![error.to_string()]), holds: None }),
        Err(error) => return Err(error),
    };
    let complaints = complaints(&connection, patience)?;
    let is_sound = complaints.as_ref().is_none_or(Vec::is_empty);
    let holds = if schema == known_schema() && is_sound { Some(holds(&connection)?) } else { None };
    Ok(Glance { schema, complaints, holds })
}

fn complaints(connection: &Connection, patience: Duration) -> rusqlite::Result<Option<Vec<String>>> {
    let interrupt = connection.get_interrupt_handle();
    let (done, waiting) = mpsc::channel::<()>();
    let watch = thread::spawn(move || {
        if waiting.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
            interrupt.interrupt();
        }
    });
    let read = || -> rusqlite::Result<Vec<String>> {
        let mut statement = connection.prepare(&format!("pragma quick_check({COMPLAINTS_MAX})"))?;
        statement.query_map([], |row| row.get(0))?.collect()
    };
    let found = read();
    drop(done);
    let _ = watch.join();
    match found {
        Ok(lines) if lines == ["ok"] => Ok(Some(Vec::new())),
        Ok(lines) => Ok(Some(lines)),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => Ok(None),
        Err(error) if is_damage(&error) => Ok(Some(vec![error.to_string()])),
        Err(error) => Err(error),
    }
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

fn holds(connection: &Connection) -> rusqlite::Result<Holds> {
    let figures = image_figures(connection)?;
    let copied = copies::copy_figures(connection, false)?;
    let (latest, _) = super::gallery::page(connection, &super::GalleryFilter::default(), None, 1)?;
    Ok(Holds {
        install_id: meta(connection, "install_id")?,
        settings: settings::load(connection)?,
        upstreams: upstreams::list(connection)?,
        has_admin: admin(connection)?.is_some(),
        images: (figures.total, figures.missing),
        failed_copies: (copied.failed, copied.last_error),
        latest: latest.first().map(|image| image.id),
        newest: connection.query_row(
            "select max(coalesce((select max(created_at) from images), 0), coalesce((select max(at) from activity), 0))",
            [],
            |row| row.get(0),
        )?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Db;

    #[tokio::test]
    async fn a_database_is_looked_at_while_it_is_in_use() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("a.sqlite3");
        let db = Db::open(&path, dir.path()).expect("opens");
        db.write(|t| crate::store::set_meta(t, "install_id", "mark")).await.expect("writes");
        let seen = glance(&path, Duration::from_secs(60)).expect("looks");
        assert_eq!((seen.schema, seen.complaints), (known_schema(), Some(Vec::new())));
        assert_eq!(seen.holds.expect("ours").install_id.as_deref(), Some("mark"));
        db.write(|t| crate::store::set_meta(t, "a", "b")).await.expect("writes on");
        db.close().await;
    }

    #[tokio::test]
    async fn damage_is_told_and_the_file_is_left_as_it_is() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("a.sqlite3");
        Db::open(&path, dir.path()).expect("opens").close().await;
        let mut bytes = std::fs::read(&path).expect("reads");
        // The second page and all behind it: the tables of which the first one speaks.
        bytes[4096..].fill(0x5a);
        std::fs::write(&path, &bytes).expect("writes");
        let seen = glance(&path, Duration::from_secs(60)).expect("looks");
        assert!(seen.complaints.is_some_and(|complaints| !complaints.is_empty()) && seen.holds.is_none());
        assert!(std::fs::read(&path).expect("reads") == bytes);
    }
}
