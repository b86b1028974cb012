//! Keeps a conversation within what an upstream takes: the latest images whole, older ones smaller, the oldest not at
//! all. What became of each goes into the record of the request.

use std::collections::{HashMap, HashSet};

use crate::{
    library::Library,
    model::{Measured, MediaType, Sha256},
    store::Blob,
};

/// Long edge of an older image that is sent smaller, in pixels.
const OLDER_EDGE: u32 = 1024;

/// Long edge of an image of the last turn that is sent smaller because it alone is too large.
const LATEST_EDGE: u32 = 2048;

/// An image of the conversation.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Number of its reference.
    pub number: usize,
    /// Its bytes.
    pub blob: Blob,
    /// Their digest.
    pub sha256: Sha256,
    /// What they are.
    pub media_type: MediaType,
    /// It belongs to the last turn: what the user speaks of.
    pub latest: bool,
}

/// What is sent of a conversation's images.
#[derive(Clone, Debug, Default)]
pub struct Portion {
    /// Those that go along, oldest first, as they go.
    pub sent: Vec<(usize, Blob, MediaType)>,
    /// Numbers of those that go along smaller.
    pub reduced: HashMap<usize, Blob>,
    /// Numbers of those that stay at home.
    pub dropped: HashSet<usize>,
}

/// Chooses among `candidates`, oldest first: at most `most` of them and at most `budget` bytes. Images of the last turn
/// always go along, smaller if they must.
pub async fn portion(library: &Library, candidates: Vec<Candidate>, most: usize, budget: u64) -> Portion {
    let latest = candidates.iter().filter(|candidate| candidate.latest).count();
    let (most, mut left) = (most.max(latest), budget);
    let (mut portion, mut seen) = (Portion::default(), HashSet::new());
    for candidate in candidates.into_iter().rev() {
        let Candidate { number, blob, sha256, media_type, latest } = candidate;
        // The same picture once is enough, unless the user shows it twice.
        let is_new = seen.insert(sha256) || latest;
        if portion.sent.len() >= most || !is_new {
            portion.dropped.insert(number);
            continue;
        }
        if blob.len() <= left {
            left -= blob.len();
            portion.sent.push((number, blob, media_type));
            continue;
        }
        let edge = if latest { LATEST_EDGE } else { OLDER_EDGE };
        match library.reduced(&blob, sha256, media_type, edge).await {
            Some(smaller) if latest || smaller.len() <= left => {
                left = left.saturating_sub(smaller.len());
                portion.reduced.insert(number, smaller.clone());
                portion.sent.push((number, smaller, MediaType::Jpeg));
            }
            // No decoder for it, and the user speaks of it: the upstream may yet take it.
            None if latest => {
                left = left.saturating_sub(blob.len());
                portion.sent.push((number, blob, media_type));
            }
            _ => {
                portion.dropped.insert(number);
            }
        }
    }
    portion.sent.reverse();
    portion
}
