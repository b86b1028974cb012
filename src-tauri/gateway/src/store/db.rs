//! The database: one connection that writes, a few that read, migrations at start. Which statements run is not its
//! business.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, Transaction};
use rusqlite_migration::{M, Migrations};
use tokio::sync::{mpsc, oneshot};

/// Reading connections, and so reads at once.
const READERS: usize = 4;

/// Kilobytes of pages that a connection keeps; the system keeps the file in memory anyway. SQLite's own default, 2 MB for each,
/// was a third of what the gateway grew by under load.
const PAGES_KB: i64 = 512;

/// Writes that wait for the writer; beyond it, callers wait.
const WRITE_QUEUE: usize = 256;

/// Writes that share one commit, and so one fsync, when they come at the same time.
const WRITES_PER_COMMIT: usize = 64;

/// How long another process may hold the database before we give up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Room that the database holds in reserve in its own files, in bytes: on a full disk, people must still be able to delete.
const RESERVE: usize = 2 * 1024 * 1024;

/// Bytes of it in one row.
const RESERVE_PART: usize = 64 * 1024;

/// What is in memory of it at once, in KB.
const RESERVE_PAGES_KB: i64 = 128;

/// What its rows are called, while there are any.
const RESERVED: &str = "reserve-";

/// Backups made before a migration that are kept.
const BACKUPS_KEPT: usize = 5;

/// All migrations, in order; append only.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("../../../../migrations/0001_library.sql"),
    include_str!("../../../../migrations/0002_conversations.sql"),
    include_str!("../../../../migrations/0003_admin.sql"),
    include_str!("../../../../migrations/0004_cloud.sql"),
    include_str!("../../../../migrations/0005_imported.sql"),
    include_str!("../../../../migrations/0006_activity_request.sql"),
    include_str!("../../../../migrations/0007_left_behind.sql"),
];

/// What can go wrong with the database.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The file is of a newer version of this program.
    #[error("the database {path} was written by a newer version of PicGate (schema {found}, this one knows {known}); install that version or restore a backup from {backups}", path = path.display(), backups = backups.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// Ours.
        known: usize,
        /// Where backups lie.
        backups: PathBuf,
    },
    /// The file is a database of the Python program.
    #[error("{} is a database of the Python program and is never changed", .0.display())]
    Python(PathBuf),
    /// The file is no database of ours, or a damaged one.
    #[error("{} is not a sound database of PicGate: {why}", path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A migration failed; the database is as it was.
    #[error("the database cannot be brought up to date")]
    Migration(#[from] rusqlite_migration::Error),
    /// SQLite said no.
    #[error("the database failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The transaction that held this write was not committed.
    #[error("the database did not commit: {0}")]
    Commit(String),
    /// The writing thread could not be started.
    #[error("the database's thread cannot be started")]
    Thread(#[source] std::io::Error),
    /// A copy of it could not be written.
    #[error("the database cannot be copied: {0}")]
    Backup(#[source] std::io::Error),
    /// The writer is gone: the program is stopping.
    #[error("the database is closed")]
    Closed,
}

type Job = Box<dyn FnOnce(&Transaction<'_>) -> Answer + Send>;
/// Told whether the commit succeeded.
type Answer = Box<dyn FnOnce(Result<(), DbError>) + Send>;

enum Order {
    Write(Job),
    Close,
}

/// A handle; clones share the connections.
#[derive(Clone)]
pub struct Db {
    writer: mpsc::Sender<Order>,
    readers: Arc<Readers>,
    threads: Arc<Mutex<Vec<thread::JoinHandle<()>>>>,
}

#[derive(Default)]
struct Readers {
    free: Mutex<Vec<Connection>>,
    returned: Condvar,
    closed: AtomicBool,
}

impl Db {
    /// Opens the file, creating and migrating it as needed. Before a migration of an existing file a copy is put
    /// into `backups`.
    ///
    /// # Errors
    /// [`DbError`]; nothing has been changed then.
    pub fn open(path: &Path, backups: &Path) -> Result<Self, DbError> {
        if super::python::is_python(path) {
            return Err(DbError::Python(path.to_owned()));
        }
        let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        migrate(&mut connection, path, backups)?;
        let readers = Arc::new(Readers::default());
        for _ in 0..READERS {
            readers.give_back(connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?);
        }
        let (writer, jobs) = mpsc::channel(WRITE_QUEUE);
        let file = path.to_owned();
        // Nobody waits for it: it takes longer than all the rest of the start.
        let reserve = thread::Builder::new().name("db-reserve".into()).spawn(move || {
            if let Err(error) = hold_reserve(&file) {
                tracing::warn!(%error, "the database cannot hold room in reserve; the disk may be full");
            }
        });
        let writer_thread =
            thread::Builder::new().name("db-writer".into()).spawn(move || write_all(connection, jobs)).map_err(DbError::Thread)?;
        Ok(Self { writer, readers, threads: Arc::new(Mutex::new(reserve.into_iter().chain([writer_thread]).collect())) })
    }

    /// Runs `job` in a transaction and returns once it is on disk. Writes that come together share a commit.
    ///
    /// # Errors
    /// What `job` answers, after which nothing of it is kept, or why the commit failed.
    pub async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, DbError> {
        let (sender, receiver) = oneshot::channel();
        let job: Job = Box::new(move |transaction| {
            let result = in_savepoint(transaction, job);
            Box::new(move |committed| {
                let _ = sender.send(committed.and_then(|()| result.map_err(DbError::Sqlite)));
            })
        });
        self.writer.send(Order::Write(job)).await.map_err(|_| DbError::Closed)?;
        receiver.await.map_err(|_| DbError::Closed)?
    }

    /// Runs `job` on a reading connection, off the async threads.
    ///
    /// # Errors
    /// What `job` answers.
    pub async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, DbError> {
        let readers = self.readers.clone();
        tokio::task::spawn_blocking(move || {
            let connection = readers.take().ok_or(DbError::Closed)?;
            let result = job(&connection).map_err(DbError::Sqlite);
            readers.give_back(connection);
            result
        })
        .await
        .map_err(|_| DbError::Closed)?
    }

    /// Like [`Self::read`] but on the calling thread and only if a connection is free: for look-ups by primary key
    /// that take microseconds. `None` means: use [`Self::read`].
    pub fn try_read<T>(&self, job: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Option<Result<T, DbError>> {
        let connection = self.readers.lock().pop()?;
        let result = job(&connection).map_err(DbError::Sqlite);
        self.readers.give_back(connection);
        Some(result)
    }

    /// Waits for queued writes, folds the log into the database file and closes it. Writes through other handles
    /// fail from now on.
    pub async fn close(self) {
        // The last connection to go takes SQLite's own files with it.
        self.readers.close();
        let _ = self.writer.send(Order::Close).await;
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let _ = tokio::task::spawn_blocking(move || threads.into_iter().for_each(|thread| drop(thread.join()))).await;
    }
}

impl Readers {
    fn lock(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a free connection; `None` once the database is closed.
    fn take(&self) -> Option<Connection> {
        let mut free = self.lock();
        loop {
            match free.pop() {
                _ if self.closed.load(Ordering::Relaxed) => return None,
                Some(connection) => return Some(connection),
                None => free = self.returned.wait(free).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    fn give_back(&self, connection: Connection) {
        if !self.closed.load(Ordering::Relaxed) {
            self.lock().push(connection);
            self.returned.notify_one();
        }
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.lock().clear();
        self.returned.notify_all();
    }
}

pub(super) fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, DbError> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // WAL with NORMAL loses committed rows when the power fails; a link must not.
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "cache_size", -PAGES_KB)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// The version of the tables that all migrations lead to.
pub(super) fn known_schema() -> i64 {
    MIGRATIONS.len() as i64
}

/// The schema of a file; 0 for an empty one.
pub(super) fn check_version(connection: &Connection, path: &Path, backups: &Path) -> Result<usize, DbError> {
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match usize::try_from(found) {
        Ok(version) if version <= MIGRATIONS.len() => Ok(version),
        _ => Err(DbError::Newer { path: path.to_owned(), found, known: MIGRATIONS.len(), backups: backups.to_owned() }),
    }
}

/// Brings a database up to date.
pub(super) fn to_latest(connection: &mut Connection) -> Result<(), DbError> {
    Ok(Migrations::new(MIGRATIONS.iter().map(|sql| M::up(sql)).collect()).to_latest(connection)?)
}

/// Brings an empty database to an earlier version, to compare with one that is of it.
pub(super) fn to_version(connection: &mut Connection, version: usize) -> Result<(), DbError> {
    Ok(Migrations::new(MIGRATIONS.iter().map(|sql| M::up(sql)).collect()).to_version(connection, version)?)
}

fn migrate(connection: &mut Connection, path: &Path, backups: &Path) -> Result<(), DbError> {
    let found = check_version(connection, path, backups)?;
    if found > 0 && found < MIGRATIONS.len() {
        back_up(connection, backups, found)?;
    }
    to_latest(connection)
}

/// Writes a compact copy `schema-{version}-{time}.sqlite3` and forgets the oldest beyond [`BACKUPS_KEPT`].
fn back_up(connection: &Connection, backups: &Path, version: usize) -> Result<(), DbError> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_millis());
    let target = backups.join(format!("schema-{version}-{now}.sqlite3"));
    connection.execute("vacuum into ?1", [target.to_string_lossy().as_ref()])?;
    let mut old: Vec<_> = std::fs::read_dir(backups).map_err(DbError::Backup)?.flatten().map(|entry| entry.path()).collect();
    old.retain(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("schema-")));
    old.sort_by_key(|p| p.metadata().and_then(|m| m.modified()).ok());
    for path in old.iter().rev().skip(BACKUPS_KEPT) {
        std::fs::remove_file(path).map_err(DbError::Backup)?;
    }
    Ok(())
}

/// Grows the files by [`RESERVE`]. What is deleted again stays theirs: as free pages of the database, and as a log that is written
/// from its beginning again once it was folded in. A connection of its own, so that its pages do not stay in memory.
fn hold_reserve(path: &Path) -> Result<(), DbError> {
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.pragma_update(None, "cache_size", -RESERVE_PAGES_KB)?;
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let part = " ".repeat(RESERVE_PART);
    for number in 0..RESERVE / RESERVE_PART {
        let key = format!("{RESERVED}{number}");
        transaction.execute("insert or replace into meta (key, value) values (?1, ?2)", [&key, &part])?;
    }
    transaction.commit()?;
    connection.execute("delete from meta where key glob ?1", [format!("{RESERVED}*")])?;
    // A program that was killed has left a log that others may still read; then the next fold does it.
    connection.query_row("pragma wal_checkpoint(passive)", [], |_| Ok(()))?;
    Ok(())
}

fn in_savepoint<T>(transaction: &Transaction<'_>, job: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    transaction.execute_batch("savepoint job")?;
    let result = job(transaction);
    transaction.execute_batch(if result.is_ok() { "release job" } else { "rollback to job; release job" })?;
    result
}

fn write_all(mut connection: Connection, mut orders: mpsc::Receiver<Order>) {
    let mut open = true;
    while open {
        let Some(first) = orders.blocking_recv() else { break };
        let mut jobs = Vec::new();
        let mut next = Some(first);
        while let Some(order) = next {
            match order {
                Order::Write(job) => jobs.push(job),
                Order::Close => open = false,
            }
            next = if open && jobs.len() < WRITES_PER_COMMIT { orders.try_recv().ok() } else { None };
        }
        write_together(&mut connection, jobs);
    }
    if let Err(error) = connection.execute_batch("pragma optimize; pragma wal_checkpoint(truncate);") {
        tracing::warn!(%error, "the database log could not be folded in; it will be at the next start");
    }
}

fn write_together(connection: &mut Connection, jobs: Vec<Job>) {
    if jobs.is_empty() {
        return;
    }
    let mut answers = Vec::with_capacity(jobs.len());
    let result = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).and_then(|transaction| {
        for job in jobs {
            answers.push(job(&transaction));
        }
        transaction.commit()
    });
    match result {
        Ok(()) => answers.into_iter().for_each(|answer| answer(Ok(()))),
        Err(error) => {
            // Jobs that never ran are dropped, which their callers see as closed; those that ran hear why.
            let message = error.to_string();
            for answer in answers {
                answer(Err(DbError::Commit(message.clone())));
            }
            tracing::error!(%error, "a write to the database failed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a temporary folder")
    }

    #[tokio::test]
    async fn writes_that_fail_leave_the_others_alone() {
        let dir = folder();
        let db = Db::open(&dir.path().join("a.sqlite3"), dir.path()).expect("opens");
        let put = |key: &'static str, sql: &'static str| db.write(move |t| t.execute(sql, [key]));
        let good = "insert into meta (key, value) values (?1, 'x')";
        let (a, b, c) = tokio::join!(put("a", good), put("b", "insert into nothing values (?1)"), put("c", good));
        assert!(a.is_ok() && b.is_err() && c.is_ok());
        let count = db.read(|c| c.query_row("select count(*) from meta where value = 'x'", [], |r| r.get::<_, i64>(0))).await;
        assert_eq!(count.expect("reads"), 2);
        db.clone().close().await;
        assert!(matches!(put("d", good).await, Err(DbError::Closed)));
        assert!(!dir.path().join("a.sqlite3-wal").metadata().is_ok_and(|m| m.len() > 0), "the log was folded in");
    }

    #[test]
    fn a_newer_schema_and_a_python_database_are_refused_untouched() {
        let dir = folder();
        let path = dir.path().join("new.sqlite3");
        Connection::open(&path).and_then(|c| c.pragma_update(None, "user_version", 99)).expect("made");
        assert!(matches!(Db::open(&path, dir.path()), Err(DbError::Newer { found: 99, .. })));
        let path = dir.path().join("python.db");
        Connection::open(&path).and_then(|c| c.execute_batch("create table images (image_id text, has_r2_copy boolean)")).expect("made");
        let before = std::fs::read(&path).expect("read");
        assert!(matches!(Db::open(&path, dir.path()), Err(DbError::Python(_))));
        assert_eq!(std::fs::read(&path).expect("read"), before);
    }

    #[test]
    fn a_backup_is_a_whole_database_and_old_ones_go() {
        let dir = folder();
        let connection = Connection::open_in_memory().expect("opens");
        connection.execute_batch("create table t (x); insert into t values (1)").expect("fills");
        for version in 1..=BACKUPS_KEPT + 2 {
            back_up(&connection, dir.path(), version).expect("backs up");
        }
        let kept: Vec<_> = std::fs::read_dir(dir.path()).expect("lists").flatten().collect();
        assert_eq!(kept.len(), BACKUPS_KEPT);
        let copy = Connection::open(kept[0].path()).expect("opens");
        assert_eq!(copy.query_row("select x from t", [], |r| r.get::<_, i64>(0)), Ok(1));
    }

    #[test]
    fn migrations_are_valid() {
        Migrations::new(MIGRATIONS.iter().map(|sql| M::up(sql)).collect()).validate().expect("valid");
    }
}
