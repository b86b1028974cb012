//! A streamed answer of the Images API on its way. Finished pictures go to the library, glimpses never do; goes on to
//! its end whether the client is still there or not.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    answer::{Keeper, damaged},
    images::picture,
    pump::{KEEP_ALIVE, KEEP_ALIVE_COMMENT, Next, Reader, ToClient},
    receive::{STEP, data_url},
};
use crate::{
    library::{Assembled, Intake, Taken},
    rewrite::{
        expand::{Piece, expand},
        image_stream::{HandOver, ImageStep, ImageStream},
        scan::{Nonce, ScanError},
        sse::write_event,
    },
    upstream::{Answer, Class, Upstream, UpstreamError, refusal_in},
};

/// See the module.
pub struct ImagePump {
    machine: ImageStream,
    intake: Intake,
    nonce: Nonce,
    keeper: Keeper,
    upstream: Arc<dyn Upstream>,
    client: ToClient,
    hand_over: HandOver,
    /// What the upstream said instead of a picture.
    refusal: Option<UpstreamError>,
}

impl ImagePump {
    /// For one answer.
    pub fn new(
        machine: ImageStream,
        intake: Intake,
        nonce: Nonce,
        keeper: Keeper,
        upstream: Arc<dyn Upstream>,
        client: ToClient,
        hand_over: HandOver,
    ) -> Self {
        Self { machine, intake, nonce, keeper, upstream, client, hand_over, refusal: None }
    }

    /// Pumps until the upstream ends; what became of its pictures is in the keeper. With
    /// what it said if it refused.
    pub async fn run(mut self, answer: Answer) -> (Keeper, Option<UpstreamError>) {
        let mut reader = Reader::new(answer);
        let failure = loop {
            let chunk = match reader.next().await {
                Next::Silence => {
                    self.client.send(Bytes::from_static(KEEP_ALIVE_COMMENT)).await;
                    continue;
                }
                Next::End(failure) => break failure,
                Next::Chunk(chunk) => chunk,
            };
            if let Err(error) = self.take(&chunk).await {
                break Some(UpstreamError::new(Class::BadAnswer, format!("the upstream's answer cannot be read: {error}")));
            }
        };
        let rest = self.machine.finish();
        self.perform(rest).await;
        let (lost, kept) = (self.keeper.lost(), self.keeper.received());
        if let Some(error) = failure.or_else(|| (lost > 0).then(|| damaged(lost, lost + kept))) {
            tracing::warn!(%error, saved = kept, "the upstream's stream was not whole");
            let error = serde_json::json!({"message": error.message, "type": "upstream_error", "code": error.class.code(), "param": null});
            let event = serde_json::json!({"type": "error", "error": error});
            self.client.send(write_event(&[b"event: error".to_vec()], event.to_string().as_bytes()).into()).await;
        }
        tracing::info!(images = kept, ms = self.keeper.started.elapsed().as_millis() as u64, "pictures answered");
        (self.keeper, self.refusal)
    }

    async fn take(&mut self, chunk: &[u8]) -> Result<(), ScanError> {
        for step in chunk.chunks(STEP) {
            let steps = self.machine.feed(step)?;
            self.perform(steps).await;
        }
        Ok(())
    }

    async fn perform(&mut self, steps: Vec<ImageStep>) {
        for step in steps {
            match step {
                ImageStep::Blob(event) => {
                    self.intake.take(event).await;
                }
                ImageStep::Fetch { index, url } => self.fetch(index, url).await,
                ImageStep::Finished { index, revised_prompt } => self.keeper.keep(index, &self.intake, revised_prompt).await,
                ImageStep::Send(mut text) => {
                    self.upstream.redact(&mut text);
                    self.refusal = self.refusal.take().or_else(|| refusal(&text));
                    let base64 = self.hand_over == HandOver::Base64;
                    let pieces = expand(&text, self.nonce, |index| match self.keeper.outcomes.get(&index) {
                        Some(_) => picture(&self.keeper, index, base64),
                        None => self.glimpse(index),
                    });
                    self.client.send_all(&Assembled::new(pieces)).await;
                }
            }
        }
    }

    async fn fetch(&mut self, index: usize, url: String) {
        let fetch = self.keeper.fetch(index, url, &*self.upstream);
        tokio::pin!(fetch);
        while tokio::time::timeout(KEEP_ALIVE, &mut fetch).await.is_err() {
            self.client.send(Bytes::from_static(KEEP_ALIVE_COMMENT)).await;
        }
    }

    /// A partial image, or anything else that is no finished one: as it was sent.
    fn glimpse(&self, index: usize) -> Vec<Piece<crate::store::Blob>> {
        use crate::rewrite::finder::Form;
        let form = self.intake.references().get(index).map(|r| r.form);
        match self.intake.get(index) {
            Some(Taken::Image(received) | Taken::Torn(received)) if form == Some(Form::DataUrl) => {
                data_url(received.blob.clone(), received.media_type.mime())
            }
            Some(Taken::Image(received) | Taken::Torn(received)) => vec![Piece::Base64(received.blob.clone())],
            Some(Taken::Verbatim(text) | Taken::Refused(text)) => vec![Piece::Raw(text.0.clone())],
            Some(Taken::Lost(_)) | None => Vec::new(),
        }
    }
}

/// The refusal in an event for the client.
fn refusal(event: &[u8]) -> Option<UpstreamError> {
    memchr::memmem::find(event, b"\"error\"")?;
    let text = std::str::from_utf8(event).ok()?;
    text.lines().filter_map(|line| line.strip_prefix("data: ")).find_map(|data| refusal_in(&serde_json::from_str(data).ok()?))
}
