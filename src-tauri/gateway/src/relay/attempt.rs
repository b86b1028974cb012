//! One call to an upstream that is made again only where nothing can have been paid for: it could not be reached, it
//! asked to wait, or it refused the form of the request and not its content.

use std::{sync::Arc, time::Duration};

use super::{Relay, RelayError, note::Note};
use crate::model::Event;
use crate::upstream::{Answer, Call, Class, Quirk, Traits, Upstream, UpstreamError};

/// Attempts that are made after one that did not start.
const RETRIES_MAX: u32 = 2;

/// Pause before another attempt to reach an upstream; doubled each time.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Longest time that an upstream may ask us to wait while a person waits for us.
const RETRY_WAIT_MAX: Duration = Duration::from_secs(30);

/// Things that one request may learn of an upstream.
const LESSONS_MAX: usize = 4;

impl Relay {
    /// Sends the call that `make` makes for what is known of `upstream`.
    ///
    /// # Errors
    /// The upstream's refusal or failure.
    pub(super) async fn attempt(
        &self,
        upstream: &Arc<dyn Upstream>,
        note: &mut Note,
        make: &(dyn Fn(&Traits) -> Result<Call, RelayError> + Send + Sync),
    ) -> Result<Answer, RelayError> {
        let mut traits = self.learnt.of(&**upstream);
        let (mut lessons, mut retries) = (Vec::new(), 0);
        loop {
            let call = make(&traits)?;
            note.called(upstream.name());
            let began = std::time::Instant::now();
            let error = match upstream.send(call.clone()).await {
                Ok(answer) => {
                    if self.healths.answered(&**upstream, began.elapsed().as_millis() as i64) {
                        self.events.tell(Event::Upstreams);
                    }
                    for lesson in lessons {
                        self.learnt.learn(&**upstream, lesson).await;
                    }
                    return Ok(answer);
                }
                Err(error) => error,
            };
            if let Some(lesson) = Quirk::taught_by(&error, &call, &traits)
                && lessons.len() < LESSONS_MAX
            {
                tracing::info!(upstream = upstream.name(), ?lesson, "tried once more without what the upstream refused");
                note.count("adapted");
                lessons.push(lesson);
                traits = traits.with(lesson);
                continue;
            }
            self.healths.failed(&**upstream, &error);
            self.events.tell(Event::Upstreams);
            let Some(pause) = pause_before_retry(&error, retries) else { return Err(error.into()) };
            retries += 1;
            note.count("retries");
            tracing::info!(event = "retried", upstream = upstream.name(), %error, ms = pause.as_millis() as u64, "tried again after a pause");
            tokio::time::sleep(pause).await;
        }
    }
}

/// How long to wait before the next attempt; `None`: there is none.
fn pause_before_retry(error: &UpstreamError, retries: u32) -> Option<Duration> {
    if retries >= RETRIES_MAX || !error.not_started {
        return None;
    }
    match error.class {
        Class::Connection => Some(RETRY_PAUSE * 2u32.pow(retries)),
        Class::RateLimited => error.retry_after.filter(|after| *after <= RETRY_WAIT_MAX),
        _ => None,
    }
}

/// How sure a refusal is that the upstream has no such endpoint, or not for this model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lacks {
    /// It says nothing of the kind.
    No,
    /// A status that a server in between may send as well.
    Perhaps,
    /// It says so in words.
    Surely,
}

/// What a refusal says of the endpoint.
pub(super) fn lacks_endpoint(error: &RelayError) -> Lacks {
    const SAYS: [&str; 10] = [
        "not a chat model",
        "not supported in the v1/chat/completions",
        "only supported in v1/responses",
        "does not support chat",
        "not support image generation",
        "not supported with this method",
        "unsupported endpoint",
        "unknown endpoint",
        "invalid url",
        "不支持该接口",
    ];
    let RelayError::Upstream(error) = error else { return Lacks::No };
    let text = error.message.to_ascii_lowercase();
    match error.status {
        Some(400..=499 | 501) if SAYS.iter().any(|words| text.contains(words)) => Lacks::Surely,
        Some(404 | 405 | 501) if !error.names_model() => Lacks::Perhaps,
        _ => Lacks::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cannot_have_started_is_tried_again() {
        let error = |class, not_started, after: Option<u64>| UpstreamError {
            not_started,
            retry_after: after.map(Duration::from_secs),
            ..UpstreamError::new(class, "")
        };
        assert!(pause_before_retry(&error(Class::Connection, true, None), 0).is_some());
        assert!(pause_before_retry(&error(Class::Connection, true, None), RETRIES_MAX).is_none());
        assert!(pause_before_retry(&error(Class::Connection, false, None), 0).is_none());
        assert!(pause_before_retry(&error(Class::Server, false, None), 0).is_none());
        assert!(pause_before_retry(&error(Class::Timeout, false, None), 0).is_none());
        assert_eq!(pause_before_retry(&error(Class::RateLimited, true, Some(7)), 0), Some(Duration::from_secs(7)));
        assert!(pause_before_retry(&error(Class::RateLimited, true, Some(3600)), 0).is_none());
        assert!(pause_before_retry(&error(Class::RateLimited, true, None), 0).is_none());
        for class in [Class::Auth, Class::BlockedInput, Class::BlockedOutput, Class::BadParameter, Class::QuotaExhausted, Class::Balance] {
            assert!(pause_before_retry(&error(class, true, Some(1)), 0).is_none(), "{class:?}");
        }
    }

    #[test]
    fn a_missing_endpoint_is_no_missing_model() {
        let refusal = |status, code: &str, message: &str| {
            RelayError::Upstream(UpstreamError {
                status: Some(status),
                code: Some(code.into()),
                ..UpstreamError::new(Class::BadParameter, message)
            })
        };
        assert_eq!(lacks_endpoint(&refusal(404, "", "page not found")), Lacks::Perhaps);
        let says = "This is not a chat model and thus not supported in the v1/chat/completions endpoint.";
        assert_eq!(lacks_endpoint(&refusal(404, "", says)), Lacks::Surely);
        assert_eq!(lacks_endpoint(&refusal(404, "model_not_found", "The model `x` does not exist")), Lacks::No);
        assert_eq!(lacks_endpoint(&refusal(400, "", "invalid size")), Lacks::No);
        assert_eq!(lacks_endpoint(&refusal(400, "", "this model does not support images in the input")), Lacks::No);
        assert_eq!(lacks_endpoint(&RelayError::Busy), Lacks::No);
    }
}
