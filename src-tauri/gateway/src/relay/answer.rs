//! Pictures of an answer on their way into the library, and what stands for each in what the client gets.

use std::{collections::HashMap, time::Instant};

use super::{LinkBase, RelayError, receive::data_url};
use crate::{
    library::{Intake, Library, Saved, Taken},
    model::Origin,
    rewrite::{
        expand::{Piece, expand},
        scan::Nonce,
    },
    store::{Blob, Part, Received},
    upstream::{Class, Upstream, UpstreamError},
};

/// Largest answer of an upstream, in bytes.
pub const ANSWER_MAX: u64 = 256 * 1024 * 1024;

/// What became of one picture.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Safe; the link may go out.
    Saved(Saved),
    /// Received but not stored (disk full, database down): it is handed over as it is, for it was paid for.
    Inline(Received),
    /// Not received: too large, or not a picture.
    Lost,
}

/// Saves the pictures of one answer.
pub struct Keeper {
    /// Where to.
    pub library: Library,
    /// What is known of all of them.
    pub origin: Origin,
    /// What their links begin with.
    pub links: LinkBase,
    /// When the request was dispatched.
    pub started: Instant,
    /// By number of the reference.
    pub outcomes: HashMap<usize, Outcome>,
}

impl Keeper {
    /// For one answer.
    pub fn new(library: Library, origin: Origin, links: LinkBase) -> Self {
        Self { library, origin, links, started: Instant::now(), outcomes: HashMap::new() }
    }

    /// Saves what has been received as number `index`.
    pub async fn keep(&mut self, index: usize, intake: &Intake, revised_prompt: Option<String>) {
        let outcome = match intake.get(index) {
            Some(Taken::Image(received)) => self.save(received, revised_prompt).await,
            Some(Taken::Lost(error)) => {
                tracing::error!(%error, "a picture of the answer was not received");
                Outcome::Lost
            }
            Some(Taken::Verbatim(_)) | None => return,
        };
        self.outcomes.insert(index, outcome);
    }

    /// Saves one picture; never fails, for the picture can still be handed over.
    pub async fn save(&self, received: &Received, revised_prompt: Option<String>) -> Outcome {
        let duration_ms = Some(self.started.elapsed().as_millis() as i64);
        let origin = Origin { revised_prompt, duration_ms, ..self.origin.clone() };
        match self.library.save(received, origin).await {
            Ok(saved) => Outcome::Saved(saved),
            Err(error) => {
                tracing::error!(%error, "a picture could not be stored and is handed over inline");
                Outcome::Inline(received.clone())
            }
        }
    }

    /// How many pictures got to safety or to the client.
    pub fn received(&self) -> usize {
        self.outcomes.values().filter(|o| !matches!(o, Outcome::Lost)).count()
    }

    /// Writes `text` out with a link where each picture stands. Verbatim runs come back as they were written.
    pub fn linked(&self, text: &[u8], nonce: Nonce, intake: &Intake) -> Vec<Piece<Blob>> {
        expand(text, nonce, |index| match (self.outcomes.get(&index), intake.get(index)) {
            (Some(Outcome::Saved(saved)), _) => vec![Piece::Text(self.links.link(saved.id).into_bytes())],
            (Some(Outcome::Inline(received)), _) => data_url(received.blob.clone(), received.media_type.mime()),
            (_, Some(Taken::Verbatim(verbatim))) => vec![Piece::Raw(verbatim.0.clone())],
            _ => Vec::new(),
        })
    }
}

/// Downloads a picture that an upstream's answer names by its address.
pub async fn download(upstream: &dyn Upstream, library: &Library, url: &str) -> Result<Received, RelayError> {
    let bad = |message: String| RelayError::Upstream(UpstreamError::new(Class::BadAnswer, message));
    let mut download = upstream.download(url).await.map_err(|e| bad(e.to_string()))?;
    let part = Part::open(library.files());
    loop {
        match download.next_chunk().await {
            Ok(Some(chunk)) => part.write(chunk.to_vec()).await,
            Ok(None) => break,
            Err(error) => return Err(bad(error.to_string())),
        }
    }
    part.finish().await.map_err(|e| bad(e.to_string()))
}
