//! The table of what was logged, the latest lines.

use rusqlite::{Connection, Row, Transaction, params, types::Value};

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Its number; grows.
    pub seq: i64,
    /// Milliseconds since 1970-01-01 UTC.
    pub at: i64,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
    /// Where in the program.
    pub target: String,
    /// What happened.
    pub message: String,
    /// A JSON object of texts.
    pub fields: String,
    /// The request that it belongs to.
    pub request: Option<String>,
}

/// Which lines are wanted.
#[derive(Clone, Debug, Default)]
pub struct LogFilter {
    /// Only these levels; all if empty.
    pub levels: Vec<&'static str>,
    /// A piece of message, fields or request.
    pub text: Option<String>,
    /// Lines that tell of one of these events fit the text, whatever they say.
    pub events: Vec<String>,
    /// Only lines of this request.
    pub request: Option<String>,
    /// Only lines before this number.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: u32,
}

/// Adds a line; its number is made here.
pub fn add(transaction: &Transaction<'_>, line: &LogLine) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("insert into log_lines (seq, at, level, target, message, fields, request) values (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
        .execute(params![line.seq, line.at, line.level, line.target, line.message, line.fields, line.request])?;
    Ok(())
}

/// The number of the latest line; 0 if there is none.
pub fn last_seq(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("select coalesce(max(seq), 0) from log_lines", [], |row| row.get(0))
}

/// Forgets all but the latest `kept`.
pub fn trim(transaction: &Transaction<'_>, kept: i64) -> rusqlite::Result<usize> {
    transaction.prepare_cached("delete from log_lines where seq <= (select max(seq) from log_lines) - ?1")?.execute([kept])
}

/// Forgets everything.
pub fn clear(transaction: &Transaction<'_>) -> rusqlite::Result<usize> {
    transaction.execute("delete from log_lines", [])
}

fn line(row: &Row<'_>) -> rusqlite::Result<LogLine> {
    Ok(LogLine {
        seq: row.get(0)?,
        at: row.get(1)?,
        level: row.get(2)?,
        target: row.get(3)?,
        message: row.get(4)?,
        fields: row.get(5)?,
        request: row.get(6)?,
    })
}

/// Lines, the latest first.
pub fn list(connection: &Connection, filter: &LogFilter) -> rusqlite::Result<Vec<LogLine>> {
    let mut sql = String::from("select seq, at, level, target, message, fields, request from log_lines where seq < ?");
    let mut values: Vec<Value> = vec![filter.before.unwrap_or(i64::MAX).into()];
    if !filter.levels.is_empty() {
        sql.push_str(&format!(" and level in ({})", vec!["?"; filter.levels.len()].join(",")));
        values.extend(filter.levels.iter().map(|level| Value::from((*level).to_owned())));
    }
    if let Some(request) = &filter.request {
        sql.push_str(" and request = ?");
        values.push(request.clone().into());
    }
    if let Some(text) = &filter.text {
        // instr and not like: what a person types holds no wild cards. Latin letters of either case are the same.
        sql.push_str(" and (instr(lower(message || char(10) || fields || char(10) || coalesce(request, '')), lower(?)) > 0");
        values.push(text.clone().into());
        if !filter.events.is_empty() {
            sql.push_str(&format!(" or fields ->> 'event' in ({})", vec!["?"; filter.events.len()].join(",")));
            values.extend(filter.events.iter().map(|event| Value::from(event.clone())));
        }
        sql.push(')');
    }
    sql.push_str(" order by seq desc limit ?");
    values.push(i64::from(filter.limit).into());
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_map(rusqlite::params_from_iter(values), line)?.collect()
}
