//! A streamed answer of the Images API on its way. Finished pictures go to the library, glimpses never do; goes on to
//! its end whether the client is still there or not.

use std::sync::Arc;

use super::{
    RelayError,
    answer::{Keeper, damaged},
    chat::unreadable,
    drawn::picture,
    pump::{Next, Reader},
    receive::{STEP, data_url},
    waiting::Waiting,
};
use crate::{
    library::{Assembled, Intake, Taken},
    rewrite::{
        expand::{Piece, expand},
        image_stream::{HandOver, ImageStep, ImageStream},
        scan::{Nonce, ScanError, ScanLimits},
    },
    upstream::{Answer, Class, Upstream, UpstreamError, refusal_in},
};

/// See the module.
pub struct ImagePump<'a> {
    machine: ImageStream,
    intake: Intake,
    nonce: Nonce,
    keeper: &'a mut Keeper,
    upstream: Arc<dyn Upstream>,
    waiting: &'a mut Waiting,
    hand_over: HandOver,
    /// What the upstream said instead of a picture.
    refusal: Option<UpstreamError>,
}

impl<'a> ImagePump<'a> {
    /// For one answer.
    pub fn new(nonce: Nonce, hand_over: HandOver, keeper: &'a mut Keeper, upstream: Arc<dyn Upstream>, waiting: &'a mut Waiting) -> Self {
        Self {
            machine: ImageStream::new(nonce, ScanLimits::default(), hand_over),
            intake: Intake::new(keeper.library.files().clone()),
            nonce,
            keeper,
            upstream,
            waiting,
            hand_over,
            refusal: None,
        }
    }

    /// Pumps until the upstream ends; why the answer is not what was asked for, if it is not.
    pub async fn run(mut self, answer: Answer) -> Option<UpstreamError> {
        let mut reader = Reader::new(answer);
        let failure = loop {
            let chunk = match reader.next(self.waiting.due()).await {
                Next::Silence => {
                    self.waiting.speak().await;
                    continue;
                }
                Next::End(failure) => break failure,
                Next::Chunk(chunk) => chunk,
            };
            if let Err(error) = self.take(&chunk).await {
                break Some(unreadable(&error));
            }
        };
        let rest = self.machine.finish();
        self.perform(rest).await;
        let (lost, kept) = (self.keeper.lost(), self.keeper.received());
        if let Some(error) = failure.or_else(|| (lost > 0).then(|| damaged(lost, lost + kept))) {
            tracing::warn!(event = "stream_broken", %error, saved = kept, "the upstream's stream was not whole");
            self.waiting.fail(&RelayError::Upstream(error.clone())).await;
            return Some(self.refusal.unwrap_or(error));
        }
        if self.refusal.is_some() {
            self.waiting.out().fail();
        } else if kept == 0 {
            let error = UpstreamError::ours(Class::BlockedOutput, "上游的回答里没有图片", "the upstream's stream held no picture");
            self.waiting.fail(&RelayError::Upstream(error.clone())).await;
            return Some(error);
        }
        self.refusal
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
                ImageStep::Fetch { index, url } => {
                    let (keeper, upstream) = (&mut *self.keeper, &*self.upstream);
                    self.waiting.during(keeper.fetch(index, url, upstream)).await;
                }
                ImageStep::Finished { index, revised_prompt } => self.keeper.keep(index, &self.intake, revised_prompt).await,
                ImageStep::Send(mut text) => {
                    self.upstream.redact(&mut text);
                    self.refusal = self.refusal.take().or_else(|| refusal(&text));
                    let base64 = self.hand_over == HandOver::Base64;
                    let pieces = expand(&text, self.nonce, |index| match self.keeper.outcomes.get(&index) {
                        Some(_) => picture(self.keeper, index, base64),
                        None => self.glimpse(index),
                    });
                    let body = Assembled::new(pieces);
                    self.waiting.touch();
                    self.waiting.out().send_all(body).await;
                }
            }
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
