//! The table of requests that were handled, the latest ones.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params, types::Value};

use crate::model::ActivityRecord;

/// Adds a record.
pub fn add(transaction: &Transaction<'_>, record: &ActivityRecord) -> rusqlite::Result<()> {
    let images: Vec<String> = record.images.iter().map(|id| format!("\"{id}\"")).collect();
    let mut statement = transaction.prepare_cached(
        "insert into activity (at, endpoint, kind, streamed, model, upstream, prompt, outcome, message, images, calls, first_byte_ms, duration_ms, notes,
                              request)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
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
        record.request,
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
    /// The id of the request.
    pub request: Option<String>,
}

/// How much is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// Failures alone.
    Failures,
    /// And what went well, but for background tasks of clients.
    #[default]
    Requests,
    /// All.
    Everything,
}

/// Which records are wanted.
#[derive(Clone, Debug, Default)]
pub struct ActivityFilter {
    /// How much.
    pub wanted: Wanted,
    /// A piece of prompt, model, upstream, outcome or message.
    pub text: Option<String>,
    /// Only of this request.
    pub request: Option<String>,
    /// Only records before this number.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: u32,
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
        request: row.get(15)?,
    })
}

/// Records, the latest first.
pub fn list(connection: &Connection, filter: &ActivityFilter) -> rusqlite::Result<Vec<StoredActivity>> {
    let mut sql = String::from(
        "select seq, at, endpoint, kind, streamed, model, upstream, prompt, outcome, message, images, calls, first_byte_ms, duration_ms, notes,
                request
         from activity where cleared = 0 and seq < ?",
    );
    let mut values: Vec<Value> = vec![filter.before.unwrap_or(i64::MAX).into()];
    sql.push_str(match filter.wanted {
        Wanted::Failures => " and outcome <> 'ok'",
        Wanted::Requests => " and (kind <> 'task' or outcome <> 'ok')",
        Wanted::Everything => "",
    });
    if let Some(request) = &filter.request {
        sql.push_str(" and request = ?");
        values.push(request.clone().into());
    }
    if let Some(text) = &filter.text {
        let told = "coalesce(prompt, '') || char(10) || coalesce(model, '') || char(10) || coalesce(upstream, '') || char(10)
                    || outcome || char(10) || coalesce(message, '') || char(10) || coalesce(request, '')";
        sql.push_str(&format!(" and instr(lower({told}), lower(?)) > 0"));
        values.push(text.clone().into());
    }
    sql.push_str(" order by seq desc limit ?");
    values.push(i64::from(filter.limit).into());
    connection.prepare_cached(&sql)?.query_map(rusqlite::params_from_iter(values), stored)?.collect()
}

/// Forgets what was asked and answered. Times, kinds and outcomes stay: the plots are made of them.
pub fn clear(transaction: &Transaction<'_>) -> rusqlite::Result<usize> {
    transaction.execute(
        r#"update activity set cleared = 1, prompt = null, model = null, message = null, images = '[]', request = null,
             notes = case when notes ->> '$.test' then '{"test":true}' else '{}' end where cleared = 0"#,
        [],
    )
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

/// When the first request of a client came that is still on record; the admin UI's own test pictures are none.
pub fn first(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    let sql = "select at from activity where kind <> 'task' and notes ->> '$.test' is null order by at limit 1";
    connection.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()
}

/// How many requests are on record, by kind and outcome.
pub fn outcomes(connection: &Connection) -> rusqlite::Result<Vec<(String, String, i64)>> {
    let sql = "select kind, outcome, count(*) from activity group by kind, outcome order by kind, outcome";
    connection.prepare_cached(sql)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
}
