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

/// Bytes of text of answers that have ended and are kept; beyond it the oldest go.
const KEPT_BYTES_MAX: usize = 32 * 1024 * 1024;

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
        add(&[u8::from(client.prefers_base64)]);
        // A key means the same request by whatever name we are called; without one, links must be the caller's own.
        if client.idempotency_key.is_none() {
            add(client.links.as_str().as_bytes());
        }
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

fn tidy(jobs: &mut HashMap<[u8; 32], Job>) {
    jobs.retain(|_, job| job.is_good());
    let mut ended: Vec<_> = jobs.iter().filter_map(|(id, job)| Some((job.ended?, *id, job.output.weight()))).collect();
    ended.sort_unstable();
    let (mut count, mut weight) = (jobs.len(), ended.iter().map(|(.., weight)| weight).sum::<usize>());
    for (_, id, own) in ended {
        if count < KEPT_MAX && weight <= KEPT_BYTES_MAX {
            return;
        }
        jobs.remove(&id);
        (count, weight) = (count - 1, weight - own);
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
    /// Forgets answers whose time is over.
    pub fn tidy(&self) {
        tidy(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

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
        tidy(&mut jobs);
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
            if job.keyed {
                return Err(RelayError::BadRequest {
                    message: "the answer to this Idempotency-Key is too long to be handed out twice".into(),
                    param: None,
                    code: "idempotency_key_spent",
                });
            }
        }
        let output = Output::new(true);
        let reading = output.reader().ok_or(RelayError::Panicked)?;
        jobs.insert(id, Job { output: output.clone(), body: claim.body, keyed: claim.key.is_some(), ended: None });
        Ok(Turn::New(output, reading))
    }
}
