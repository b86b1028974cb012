//! The table of requests that were handled, the latest ones.

use rusqlite::{Connection, Row, Transaction, params};

use crate::model::ActivityRecord;

/// Adds a record.
pub fn add(transaction: &Transaction<'_>, record: &ActivityRecord) -> rusqlite::Result<()> {
    let images: Vec<String> = record.images.iter().map(|id| format!("\"{id}\"")).collect();
    let mut statement = transaction.prepare_cached(
        "insert into activity (at, endpoint, kind, streamed, model, upstream, prompt, outcome, message, images, calls, first_byte_ms, duration_ms, notes)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )?;
    statement.execute(params![
        record.at,
        record.endpoint,
        record.kind.word(),
        record.streamed,
        record.model,
        record.upstream,
        record.prompt,
        record.outcome,
        record.message,
        format!("[{}]", images.join(",")),
        record.calls,
        record.first_byte_ms,
        record.duration_ms,
        record.notes,
    ])?;
    Ok(())
}

/// Forgets all but the latest `kept`.
pub fn trim(transaction: &Transaction<'_>, kept: usize) -> rusqlite::Result<usize> {
    transaction
        .prepare_cached("delete from activity where seq <= (select max(seq) from activity) - ?1")?
        .execute(params![i64::try_from(kept).unwrap_or(i64::MAX)])
}

/// A record as it is stored.
#[derive(Clone, Debug)]
pub struct StoredActivity {
    /// Its number.
    pub seq: i64,
    /// When the request came.
    pub at: i64,
    /// `chat`, `generations` or `edits`.
    pub endpoint: String,
    /// `task`, `chat` or `drawing`.
    pub kind: String,
    /// Whether the answer was to be a stream.
    pub streamed: bool,
    /// The model name that the client used.
    pub model: Option<String>,
    /// Who was asked.
    pub upstream: Option<String>,
    /// The user's words.
    pub prompt: Option<String>,
    /// `ok`, or the code of the error.
    pub outcome: String,
    /// What the client was told of the error.
    pub message: Option<String>,
    /// A JSON list of ids.
    pub images: String,
    /// Calls to upstreams.
    pub calls: i64,
    /// Milliseconds until the first byte.
    pub first_byte_ms: Option<i64>,
    /// Milliseconds until it was done.
    pub duration_ms: i64,
    /// A JSON object.
    pub notes: String,
}

fn stored(row: &Row<'_>) -> rusqlite::Result<StoredActivity> {
    Ok(StoredActivity {
        seq: row.get(0)?,
        at: row.get(1)?,
        endpoint: row.get(2)?,
        kind: row.get(3)?,
        streamed: row.get(4)?,
        model: row.get(5)?,
        upstream: row.get(6)?,
        prompt: row.get(7)?,
        outcome: row.get(8)?,
        message: row.get(9)?,
        images: row.get(10)?,
        calls: row.get(11)?,
        first_byte_ms: row.get(12)?,
        duration_ms: row.get(13)?,
        notes: row.get(14)?,
    })
}

/// Records before `before`, the latest first; only failures if `failed`.
pub fn list(connection: &Connection, before: Option<i64>, failed: bool, limit: u32) -> rusqlite::Result<Vec<StoredActivity>> {
    let sql = "select seq, at, endpoint, kind, streamed, model, upstream, prompt, outcome, message, images, calls, first_byte_ms, duration_ms, notes
               from activity where seq < ?1 and (?2 = 0 or outcome <> 'ok') order by seq desc limit ?3";
    connection.prepare_cached(sql)?.query_map(params![before.unwrap_or(i64::MAX), failed, limit], stored)?.collect()
}

/// Drawings of a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Day {
    /// `2026-11-01`, in the server's time zone.
    pub day: String,
    /// Those that came to pictures.
    pub ok: i64,
    /// Those that failed.
    pub failed: i64,
    /// How long those took that came to pictures, on average, in milliseconds.
    pub mean_ms: Option<i64>,
}

/// Drawings since `since`, by day.
pub fn days(connection: &Connection, since: i64) -> rusqlite::Result<Vec<Day>> {
    let sql = "select date(at / 1000, 'unixepoch', 'localtime') as day, sum(outcome = 'ok'), sum(outcome <> 'ok'),
                      cast(avg(case when outcome = 'ok' then duration_ms end) as integer)
               from activity where at >= ?1 and kind = 'drawing' group by day order by day";
    let row = |row: &Row<'_>| Ok(Day { day: row.get(0)?, ok: row.get(1)?, failed: row.get(2)?, mean_ms: row.get(3)? });
    connection.prepare_cached(sql)?.query_map([since], row)?.collect()
}

/// Drawings that succeeded on the day of `at`, as people here count days.
pub fn drawn_today(connection: &Connection, at: i64) -> rusqlite::Result<u32> {
    let sql = "select count(*) from activity where kind = 'drawing' and outcome = 'ok'
               and at >= 1000 * unixepoch(?1 / 1000, 'unixepoch', 'localtime', 'start of day', 'utc')";
    connection.prepare_cached(sql)?.query_row([at], |row| row.get(0))
}

/// When the first request came that is still on record.
pub fn first(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    connection.query_row("select min(at) from activity where kind <> 'task'", [], |row| row.get(0))
}

/// How many requests are on record, by kind and outcome.
pub fn outcomes(connection: &Connection) -> rusqlite::Result<Vec<(String, String, i64)>> {
    let sql = "select kind, outcome, count(*) from activity group by kind, outcome order by kind, outcome";
    connection.prepare_cached(sql)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
}
