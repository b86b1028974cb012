//! Pictures of an answer on their way into the library, and what stands for each in what the client gets.

use std::{
    collections::{BTreeSet, HashMap},
    time::Instant,
};

use super::{LinkBase, RelayError, receive::data_url};
use crate::{
    library::{Intake, Library, Saved, Taken},
    model::{ImageId, Origin, PixelSize},
    rewrite::{
        expand::{Piece, expand},
        json::quote,
        present::drafts,
        scan::Nonce,
    },
    store::{Blob, Part, Received},
    upstream::{
        Class, Upstream, UpstreamError,
        fetch::{Download, FetchError},
    },
};

/// Largest answer of an upstream, in bytes.
pub const ANSWER_MAX: u64 = 256 * 1024 * 1024;

/// Pictures of one answer that are downloaded from elsewhere; further ones keep their address.
const FETCHES_MAX: usize = 16;

/// What became of one picture.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Safe; the link may go out.
    Saved(Saved),
    /// Received but not stored (disk full, database down): it is handed over as it is, for it was paid for.
    Inline(Received),
    /// Not received, damaged, or no picture.
    Lost,
    /// Not downloaded: the upstream's own address is handed over, escaped for a JSON string.
    Address(String),
}

impl Outcome {
    /// An address as it may stand in a JSON string: whatever the upstream wrote, it does not break out.
    fn address(url: &str, upstream: &dyn Upstream) -> Self {
        let whole = upstream.base().and_then(|base| base.join(url).ok()).map_or_else(|| url.to_owned(), String::from);
        let quoted = quote(&whole);
        Self::Address(quoted[1..quoted.len() - 1].to_owned())
    }
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
    fetches: usize,
}

impl Keeper {
    /// For one answer.
    pub fn new(library: Library, origin: Origin, links: LinkBase) -> Self {
        Self { library, origin, links, started: Instant::now(), outcomes: HashMap::new(), fetches: 0 }
    }

    /// For another answer to the same request.
    pub fn anew(&self) -> Self {
        Self::new(self.library.clone(), self.origin.clone(), self.links.clone())
    }

    /// Saves what has been received as number `index`.
    pub async fn keep(&mut self, index: usize, intake: &Intake, revised_prompt: Option<String>) {
        let outcome = match intake.get(index) {
            Some(Taken::Image(received)) => self.save(received, revised_prompt).await,
            Some(Taken::Lost(error)) => {
                tracing::error!(%error, "a picture of the answer was not received");
                Outcome::Lost
            }
            Some(Taken::Torn(received)) => self.put_aside(&received.blob, "its base64 is damaged").await,
            Some(Taken::Refused(text)) => self.put_aside(&text.0, "it is of no supported type").await,
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
                tracing::error!(event = "kept_inline", %error, "a picture could not be stored and is handed over inline");
                Outcome::Inline(received.clone())
            }
        }
    }

    async fn put_aside(&self, blob: &Blob, why: &str) -> Outcome {
        let (files, blob) = (self.library.files().clone(), blob.clone());
        let aside = tokio::task::spawn_blocking(move || files.quarantine(&blob)).await;
        let aside = aside.ok().and_then(Result::ok).map(|path| path.display().to_string());
        tracing::error!(why, aside, "a picture of the answer cannot be kept");
        Outcome::Lost
    }

    /// Downloads a picture that the answer names by its address, as number `index`.
    pub async fn fetch(&mut self, index: usize, url: String, upstream: &dyn Upstream) {
        self.fetches += 1;
        if self.fetches > FETCHES_MAX {
            tracing::warn!("the answer names too many pictures; the client gets the address of this one");
            let outcome = if upstream.may_send_to(&url) { Outcome::address(&url, upstream) } else { Outcome::Lost };
            self.outcomes.insert(index, outcome);
            return;
        }
        let outcome = match download(upstream, &self.library, &url).await {
            Ok(received) => self.save(&received, None).await,
            Err(Undownloaded::Refused) => {
                tracing::error!("a picture's address is not allowed; it is not handed over");
                Outcome::Lost
            }
            Err(Undownloaded::Failed(why)) => {
                tracing::warn!(why, "a picture could not be downloaded; the client gets its address");
                Outcome::address(&url, upstream)
            }
        };
        self.outcomes.insert(index, outcome);
    }

    /// Pictures that are the same as another of the answer but for their size: what a model drew on its way there.
    pub fn drafts(&self) -> Vec<usize> {
        let sized: Vec<(usize, PixelSize)> = self
            .outcomes
            .iter()
            .filter_map(|(index, outcome)| match outcome {
                // A stump has a size too.
                Outcome::Saved(saved) if saved.complete => Some((*index, saved.size?)),
                _ => None,
            })
            .collect();
        drafts(&sized)
    }

    /// How many pictures of the answer are damaged or no pictures.
    pub fn lost(&self) -> usize {
        self.outcomes.values().filter(|o| matches!(o, Outcome::Lost)).count()
    }

    /// An answer whose pictures are all lost is none.
    pub fn check(&self) -> Result<(), RelayError> {
        match (self.lost(), self.received()) {
            (0, _) => Ok(()),
            (lost, 0) => Err(damaged(lost, lost).into()),
            (lost, received) => {
                tracing::error!(lost, received, "not all pictures of the answer could be kept");
                Ok(())
            }
        }
    }

    /// The images that are in the library.
    pub fn ids(&self) -> BTreeSet<ImageId> {
        self.outcomes.values().filter_map(|o| if let Outcome::Saved(saved) = o { Some(saved.id) } else { None }).collect()
    }

    /// Numbers of the pictures that are worth showing, in order: received, and no drafts.
    pub fn results(&self) -> Vec<usize> {
        let drafts = self.drafts();
        let mut results: Vec<usize> = self.outcomes.iter().filter(|(_, o)| !matches!(o, Outcome::Lost)).map(|(index, _)| *index).collect();
        results.retain(|index| !drafts.contains(index));
        results.sort_unstable();
        results
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
            (Some(Outcome::Address(url)), _) => vec![Piece::Text(url.clone().into_bytes())],
            (_, Some(Taken::Verbatim(verbatim))) => vec![Piece::Raw(verbatim.0.clone())],
            // Clients show the alternative text of a picture whose address leads nowhere.
            _ => vec![Piece::Text(b"#damaged".to_vec())],
        })
    }
}

/// What is told of pictures that were lost on the way.
pub fn damaged(lost: usize, of: usize) -> UpstreamError {
    UpstreamError::ours(
        Class::BadAnswer,
        format!("上游回答的 {of} 张图片中有 {lost} 张已损坏或格式不受支持"),
        format!("{lost} of {of} pictures in the upstream's answer are damaged or of no supported type"),
    )
}

/// Why a picture was not downloaded.
enum Undownloaded {
    /// Nobody should go there.
    Refused,
    /// It did not work.
    Failed(String),
}

/// Downloads a picture that an upstream's answer names by its address.
async fn download(upstream: &dyn Upstream, library: &Library, url: &str) -> Result<Received, Undownloaded> {
    let refused = |error: &FetchError| *error == FetchError::Refused;
    match upstream.download(url).await {
        Err(error) if refused(&error) => Err(Undownloaded::Refused),
        download => fetch_picture(std::future::ready(download), library).await.map_err(Undownloaded::Failed),
    }
}

/// Receives a picture that is downloaded.
///
/// # Errors
/// Why not, in words that tell nothing of addresses.
pub async fn fetch_picture(download: impl Future<Output = Result<Download, FetchError>>, library: &Library) -> Result<Received, String> {
    let mut download = download.await.map_err(|e| e.to_string())?;
    let mut part = Part::open(library.files());
    while let Some(chunk) = download.next_chunk().await.map_err(|e| e.to_string())? {
        part.write(chunk.to_vec()).await;
    }
    part.finish().await.map_err(|e| e.to_string())
}
