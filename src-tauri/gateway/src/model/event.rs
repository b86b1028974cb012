//! What happens while somebody watches: told to whoever listens, forgotten otherwise.

use super::{ActivityRecord, ImageId, Sha256};

/// A request that is being answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// Names it as long as it runs.
    pub id: u64,
    /// `chat`, `generations` or `edits`.
    pub endpoint: &'static str,
    /// The user's words.
    pub prompt: Option<String>,
    /// The model name that the client used.
    pub model: Option<String>,
    /// Milliseconds since 1970-01-01 UTC.
    pub began_at: i64,
}

/// See the module.
#[derive(Clone, Debug)]
pub enum Event {
    /// Requests began or ended.
    Running,
    /// An image was saved.
    Saved(ImageId),
    /// A thumbnail was made, or could not be: of the images with these bytes.
    Thumbnail(Sha256),
    /// Images were deleted.
    Deleted(Vec<ImageId>),
    /// A request was answered.
    Activity(Box<ActivityRecord>),
    /// Lines were logged: the numbers of the first and the last.
    Logged(i64, i64),
    /// The log was cleared.
    LogCleared,
    /// Settings were changed, or the key of clients.
    Settings,
    /// Upstreams were changed, or one of them answered otherwise than before.
    Upstreams,
    /// The copy of an image here or in the bucket came or went, or an attempt failed.
    Copied(ImageId),
    /// The bucket works or does not, or it is another one.
    Bucket,
    /// Long work has moved on: the job's number.
    Job(u64),
    /// Drawing was paused, or goes on.
    Paused(bool),
    /// The disk is nearly full (bytes that are left), or there is room again.
    Disk(Option<u64>),
    /// It listens elsewhere than before.
    Listening,
}
