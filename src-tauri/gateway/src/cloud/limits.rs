//! How much of an answer is read: the SDK would take all of it into memory, however long the server goes on.

use aws_sdk_s3::{
    config::{ConfigBag, Intercept, RuntimeComponents, interceptors::BeforeDeserializationInterceptorContextMut},
    error::BoxError,
    primitives::SdkBody,
};
use http_body_util::Limited;

/// Longest text of a refusal, in bytes; S3's are a few hundred.
const REFUSAL_MAX: usize = 64 * 1024;

/// Longest answer to a call that is not for a picture, in bytes; most are empty.
const ANSWER_MAX: usize = 64 * 1024;

/// Longest page of a list: 1000 names of at most 1 KB, whatever is said with them.
const LIST_MAX: usize = 16 * 1024 * 1024;

/// Ends answers that are longer than they may be.
#[derive(Debug)]
pub(super) struct Short {
    /// Those that say all is well; the bodies of pictures have no limit, because they are read piece by piece.
    well_max: Option<usize>,
}

impl Short {
    /// For all calls.
    pub(super) const REFUSALS: Self = Self { well_max: None };
    /// For calls whose answer says little.
    pub(super) const ANSWERS: Self = Self { well_max: Some(ANSWER_MAX) };
    /// For lists.
    pub(super) const LISTS: Self = Self { well_max: Some(LIST_MAX) };
}

impl Intercept for Short {
    fn name(&self) -> &'static str {
        "Short"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response_mut();
        let most = if response.status().is_success() { self.well_max } else { Some(REFUSAL_MAX) };
        if let Some(most) = most {
            let body = std::mem::replace(response.body_mut(), SdkBody::taken());
            *response.body_mut() = SdkBody::from_body_1_x(Limited::new(body, most));
        }
        Ok(())
    }
}
