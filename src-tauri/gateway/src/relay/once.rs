//! Nobody pays twice: an identical request joins the one that runs, or gets what the first never received. A request
//! that was answered in full is a new drawing when it comes again, for that is what "regenerate" means.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use sha2::{Digest, Sha256};

use super::{
    Client, RelayError,
    delivery::{Output, Reading},
};

/// How long an answer that was never fully delivered, or that carries an `Idempotency-Key`, is kept.
const KEPT: Duration = Duration::from_secs(10 * 60);

/// Answers that are kept at once; beyond it the oldest go.
const KEPT_MAX: usize = 256;

/// Longest `Idempotency-Key`, in bytes.
pub const KEY_MAX: usize = 256;

/// What makes two requests the same.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Of the whole request: endpoint, body, and how links are to be written.
    body: [u8; 32],
    /// The client's own word for it.
    key: Option<String>,
}

impl Claim {
    /// The claim of a request at `endpoint`; `parts` are its body, in order.
    pub fn new<'a>(endpoint: &str, client: &Client, parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hash = Sha256::new();
        let mut add = |part: &[u8]| {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        };
        add(endpoint.as_bytes());
        add(client.links.as_str().as_bytes());
        add(&[u8::from(client.prefers_base64)]);
        parts.into_iter().for_each(add);
        Self { body: hash.finalize().into(), key: client.idempotency_key.clone() }
    }

    fn id(&self, endpoint: &str) -> [u8; 32] {
        match &self.key {
            None => self.body,
            Some(key) => Sha256::digest(format!("{endpoint}\n{key}")).into(),
        }
    }
}

#[derive(Debug)]
struct Job {
    output: Output,
    body: [u8; 32],
    keyed: bool,
    ended: Option<Instant>,
}

impl Job {
    /// Whether its answer may be handed out once more.
    fn is_good(&mut self) -> bool {
        if !self.output.is_over() {
            return true;
        }
        let ended = *self.ended.get_or_insert_with(Instant::now);
        !self.output.has_failed() && ended.elapsed() < KEPT && (self.keyed || !self.output.is_delivered())
    }
}

/// What a request comes to.
pub enum Turn {
    /// Somebody asked for the same: here is that answer.
    Joined(Reading),
    /// The first of its kind: the answer is to be made.
    New(Output, Reading),
}

/// The requests that run, and answers that nobody has received yet. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Once(Arc<Mutex<HashMap<[u8; 32], Job>>>);

impl Once {
    /// The turn of a request. `None`: it is like no other.
    ///
    /// # Errors
    /// [`RelayError::BadRequest`] when the `Idempotency-Key` was used for another request.
    pub fn turn(&self, endpoint: &str, claim: Option<&Claim>) -> Result<Turn, RelayError> {
        let Some(claim) = claim else {
            let output = Output::new(false);
            let reading = output.reader().ok_or(RelayError::Panicked)?;
            return Ok(Turn::New(output, reading));
        };
        let mut jobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.retain(|_, job| job.is_good());
        while jobs.len() >= KEPT_MAX
            && let Some(oldest) = jobs.iter().filter_map(|(id, job)| Some((job.ended?, *id))).min()
        {
            jobs.remove(&oldest.1);
        }
        let id = claim.id(endpoint);
        if let Some(job) = jobs.get(&id) {
            if job.body != claim.body {
                return Err(RelayError::BadRequest {
                    message: "this Idempotency-Key was used for another request".into(),
                    param: None,
                    code: "idempotency_key_reused",
                });
            }
            if let Some(reading) = job.output.reader() {
                return Ok(Turn::Joined(reading));
            }
        }
        let output = Output::new(true);
        let reading = output.reader().ok_or(RelayError::Panicked)?;
        jobs.insert(id, Job { output: output.clone(), body: claim.body, keyed: claim.key.is_some(), ended: None });
        Ok(Turn::New(output, reading))
    }
}
