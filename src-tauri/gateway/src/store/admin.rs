//! The tables of the admin account and its sessions.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

/// The account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Its name.
    pub username: String,
    /// The password's hash, a PHC string.
    pub password: String,
}

/// A session to be stored.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// SHA-256 of its token.
    pub token: [u8; 32],
    /// Now.
    pub at: i64,
    /// Where it was opened from.
    pub address: String,
    /// With which browser.
    pub agent: String,
}

/// A session as it is stored, without its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    /// Its number.
    pub id: i64,
    /// When it was opened.
    pub created_at: i64,
    /// When it was last used.
    pub seen_at: i64,
    /// Where it was opened from.
    pub address: String,
    /// With which browser.
    pub agent: String,
}

/// The account, if there is one.
pub fn admin(connection: &Connection) -> rusqlite::Result<Option<Admin>> {
    let row = |row: &Row<'_>| Ok(Admin { username: row.get(0)?, password: row.get(1)? });
    connection.prepare_cached("select username, password from admin where id = 1")?.query_row([], row).optional()
}

/// Makes the account; whether there was none.
pub fn insert_admin(transaction: &Transaction<'_>, admin: &Admin, now: i64) -> rusqlite::Result<bool> {
    let sql = "insert into admin (id, username, password, changed_at) values (1, ?1, ?2, ?3) on conflict (id) do nothing";
    Ok(transaction.prepare_cached(sql)?.execute(params![admin.username, admin.password, now])? == 1)
}

/// Changes the account's password.
pub fn set_admin_password(transaction: &Transaction<'_>, password: &str, now: i64) -> rusqlite::Result<()> {
    transaction.prepare_cached("update admin set password = ?1, changed_at = ?2 where id = 1")?.execute(params![password, now])?;
    Ok(())
}

/// Forgets the account and ends all sessions.
pub fn delete_admin(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch("delete from admin; delete from sessions;")
}

/// Opens a session, and forgets those that were last used, or opened, before `ended`.
pub fn insert_session(transaction: &Transaction<'_>, session: &NewSession, ended: (i64, i64)) -> rusqlite::Result<i64> {
    transaction.prepare_cached("delete from sessions where seen_at < ?1 or created_at < ?2")?.execute([ended.0, ended.1])?;
    transaction
        .prepare_cached("insert into sessions (token, created_at, seen_at, address, agent) values (?1, ?2, ?2, ?3, ?4)")?
        .execute(params![session.token, session.at, session.address, session.agent])?;
    Ok(transaction.last_insert_rowid())
}

fn session(row: &Row<'_>) -> rusqlite::Result<SessionRow> {
    Ok(SessionRow { id: row.get(0)?, created_at: row.get(1)?, seen_at: row.get(2)?, address: row.get(3)?, agent: row.get(4)? })
}

/// The session with this digest, and the account's name.
pub fn session_by_token(connection: &Connection, token: &[u8; 32]) -> rusqlite::Result<Option<(SessionRow, String)>> {
    let sql =
        "select s.id, s.created_at, s.seen_at, s.address, s.agent, a.username from sessions s join admin a on a.id = 1 where s.token = ?1";
    connection.prepare_cached(sql)?.query_row([token], |row| Ok((session(row)?, row.get(5)?))).optional()
}

/// All sessions, the one used last first.
pub fn list_sessions(connection: &Connection) -> rusqlite::Result<Vec<SessionRow>> {
    let mut statement =
        connection.prepare_cached("select id, created_at, seen_at, address, agent from sessions order by seen_at desc, id desc")?;
    statement.query_map([], session)?.collect()
}

/// Notes that a session is used.
pub fn touch_session(transaction: &Transaction<'_>, id: i64, now: i64) -> rusqlite::Result<()> {
    transaction.prepare_cached("update sessions set seen_at = ?2 where id = ?1")?.execute([id, now])?;
    Ok(())
}

/// Ends a session; whether there was one. Numbers are given again, so `created_at` tells it from a later one.
pub fn delete_session(transaction: &Transaction<'_>, id: i64, created_at: i64) -> rusqlite::Result<bool> {
    Ok(transaction.prepare_cached("delete from sessions where id = ?1 and created_at = ?2")?.execute([id, created_at])? == 1)
}

/// Ends all sessions but one.
pub fn delete_other_sessions(transaction: &Transaction<'_>, kept: i64) -> rusqlite::Result<()> {
    transaction.prepare_cached("delete from sessions where id <> ?1")?.execute([kept])?;
    Ok(())
}
