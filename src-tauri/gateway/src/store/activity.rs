//! The table of requests that were handled, the latest ones.

use rusqlite::{Transaction, params};

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
