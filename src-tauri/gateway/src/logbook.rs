//! What was logged, kept in the database for the admin UI: bounded, written behind in batches, told to whoever watches.
//! The program's error output has the same lines; this is for people who have no terminal.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::{
    Event as LogEvent, Level, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use crate::{
    events::Events,
    model::{Event, now},
    store::{
        Db, DbError,
        log_lines::{self, LogLine},
    },
};

/// Lines that wait to be written; further ones are counted and left out.
const QUEUE: usize = 2048;

/// Lines that share a transaction.
const BATCH: usize = 256;

/// How long the first line of a batch waits for others.
const GATHER: Duration = Duration::from_millis(400);

/// Lines that are kept.
const KEPT: i64 = 20_000;

/// Lines after which old ones are looked for.
const TRIM_EVERY: usize = 1000;

/// Longest message or field, in characters.
const TEXT_MAX: usize = 2000;

/// Takes lines from the program.
pub struct Recorder {
    queue: mpsc::Sender<LogLine>,
    left_out: AtomicU64,
}

/// The end that lines come out of. Of its clones one writes at a time: a gateway that starts in the place of another goes on
/// where that one ended.
#[derive(Clone, Debug)]
pub struct Lines(Arc<Mutex<mpsc::Receiver<LogLine>>>);

/// A recorder and where its lines come out.
pub fn pair() -> (Recorder, Lines) {
    let (queue, lines) = mpsc::channel(QUEUE);
    (Recorder { queue, left_out: AtomicU64::new(0) }, Lines(Arc::new(Mutex::new(lines))))
}

/// The id of the request that a span belongs to.
struct RequestId(String);

#[derive(Default)]
struct Fields {
    message: String,
    others: BTreeMap<String, String>,
}

impl Fields {
    fn put(&mut self, field: &Field, text: String) {
        let text: String = text.chars().take(TEXT_MAX).collect();
        if field.name() == "message" {
            self.message = text;
        } else {
            self.others.insert(field.name().to_owned(), text);
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Recorder {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let (Some(request), Some(span)) = (fields.others.remove("id"), context.span(id)) {
            span.extensions_mut().insert(RequestId(request.trim_matches('"').to_owned()));
        }
    }

    fn on_event(&self, event: &LogEvent<'_>, context: Context<'_, S>) {
        let level = match *event.metadata().level() {
            Level::ERROR => "error",
            Level::WARN => "warn",
            Level::INFO => "info",
            Level::DEBUG => "debug",
            Level::TRACE => return,
        };
        let mut fields = Fields::default();
        event.record(&mut fields);
        let request =
            context.event_scope(event).into_iter().flatten().find_map(|span| span.extensions().get::<RequestId>().map(|id| id.0.clone()));
        let line = LogLine {
            seq: 0,
            at: now(),
            level: level.to_owned(),
            target: event.metadata().target().to_owned(),
            message: fields.message,
            fields: serde_json::to_string(&fields.others).unwrap_or_else(|_| "{}".into()),
            request,
        };
        if self.queue.try_send(line).is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Writes lines as they come, until `stop`; then those that are left.
///
/// # Errors
/// [`DbError`] if the table cannot be read.
pub async fn write(db: Db, lines: Lines, events: Events, stop: CancellationToken) -> Result<(), DbError> {
    let mut lines = lines.0.lock().await;
    let mut next = db.read(log_lines::last_seq).await? + 1;
    let (mut batch, mut written) = (Vec::new(), TRIM_EVERY);
    loop {
        // Told to stop: what is there already is still written below.
        let _ = stop.run_until_cancelled(lines.recv_many(&mut batch, BATCH)).await;
        let _ = stop.run_until_cancelled(tokio::time::sleep(GATHER)).await;
        while batch.len() < BATCH
            && let Ok(line) = lines.try_recv()
        {
            batch.push(line);
        }
        if batch.is_empty() {
            return Ok(());
        }
        let first = next;
        for line in &mut batch {
            line.seq = next;
            next += 1;
        }
        written += batch.len();
        let (trims, rows) = (written >= TRIM_EVERY, std::mem::take(&mut batch));
        let wrote = db.write(move |t| {
            rows.iter().try_for_each(|row| log_lines::add(t, row))?;
            if trims {
                log_lines::trim(t, KEPT)?;
            }
            Ok(())
        });
        // A failure is not logged: it would come back here.
        if wrote.await.is_ok() {
            if trims {
                written = 0;
            }
            events.tell(Event::Logged(first, next - 1));
        }
    }
}
