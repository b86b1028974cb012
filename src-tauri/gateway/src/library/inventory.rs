//! The bucket's listing compared with what is said to be in it, page by page: a person may have removed objects there, or put
//! others in their place. Listings come in the order of names, which is that of ids; whatever a listing seems to lack is asked
//! for by its name before anything is said of it, so that a server that lists in another order only costs more calls.

use std::collections::BTreeMap;

use tokio_util::sync::CancellationToken;

use super::{
    Library,
    rebuild::{ATTEMPTS, EMPTY_PAGES_MAX, PYTHON_FOLDER, RETRY_FIRST, RebuildError},
    sweep::Asked,
};
use crate::{
    cloud::{Bucket, BucketError, Fault, Listed},
    model::{ImageId, python_key},
    store::inventory::{FIRST, LAST, confirmed_between, confirmed_count},
};

/// Rows that are compared at once.
const ROWS: usize = 500;

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Copies that were confirmed once.
    pub known: u64,
    /// Objects in the listing so far.
    pub listed: u64,
    /// Copies that were compared so far.
    pub compared: u64,
    /// Of these, those that are gone or of another length and whose bytes are at hand: they are put again.
    pub again: u64,
    /// Of these, those whose bytes are nowhere.
    pub lost: u64,
}

/// Objects of ours in a page of a listing by their ids, with their lengths.
type Page = BTreeMap<[u8; 16], u64>;

impl Library {
    /// Looks through the bucket; nothing is done without one. Ends early with `stop`.
    ///
    /// # Errors
    /// [`RebuildError`]; what was found until then is noted.
    pub async fn take_inventory(
        &self,
        stop: &CancellationToken,
        progress: &mut (dyn FnMut(&Inventory) + Send),
    ) -> Result<Inventory, RebuildError> {
        let mut found = Inventory::default();
        let Some(bucket) = self.remote.bucket() else { return Ok(found) };
        found.known = self.db.read(confirmed_count).await.map_err(super::LibraryError::from)?.max(0) as u64;
        for own_name in [false, true] {
            if let Some(after) = self.look_through(&bucket, own_name, stop, &mut found, progress).await? {
                // In no order: then each is asked for.
                self.compare((after, LAST), own_name, &Page::new(), stop, &mut found, progress).await?;
            }
        }
        Ok(found)
    }

    /// Images under their usual names, or those under the Python program's. Where the listing turns out to be in no order, the id
    /// up to which they were compared.
    async fn look_through(
        &self,
        bucket: &Bucket,
        own_name: bool,
        stop: &CancellationToken,
        found: &mut Inventory,
        progress: &mut (dyn FnMut(&Inventory) + Send),
    ) -> Result<Option<[u8; 16]>, RebuildError> {
        let prefix = bucket.config().prefix.clone();
        let folder = if own_name { PYTHON_FOLDER.to_owned() } else { prefix.clone() };
        if own_name && self.next(&(FIRST, LAST), true).await?.is_empty() {
            return Ok(None);
        }
        let (mut next, mut last, mut after, mut empty) = (None, String::new(), FIRST, 0);
        while !stop.is_cancelled() {
            let (listed, further) = page_of(bucket, &folder, next.clone()).await?;
            empty = if listed.is_empty() { empty + 1 } else { 0 };
            if empty > EMPTY_PAGES_MAX {
                return Err(BucketError::new(Fault::Other, "its listing has no end").into());
            }
            for object in &listed {
                if object.key <= last {
                    return Ok(Some(after));
                }
                last.clone_from(&object.key);
            }
            found.listed += listed.len() as u64;
            let page = page(&listed, own_name, &prefix);
            let until = if further.is_none() { LAST } else { page.last_key_value().map_or(after, |(id, _)| *id) };
            self.compare((after, until), own_name, &page, stop, found, progress).await?;
            after = until;
            if further.is_none() {
                break;
            }
            next = further;
        }
        Ok(None)
    }

    async fn next(&self, range: &([u8; 16], [u8; 16]), own_name: bool) -> Result<Vec<crate::store::copies::Confirmed>, RebuildError> {
        let range = *range;
        Ok(self.db.read(move |c| confirmed_between(c, range, own_name, ROWS)).await.map_err(super::LibraryError::from)?)
    }

    /// Compares the copies in a range of ids with what was listed there.
    async fn compare(
        &self,
        mut range: ([u8; 16], [u8; 16]),
        own_name: bool,
        page: &Page,
        stop: &CancellationToken,
        found: &mut Inventory,
        progress: &mut (dyn FnMut(&Inventory) + Send),
    ) -> Result<(), RebuildError> {
        loop {
            let rows = self.next(&range, own_name).await?;
            let Some(end) = rows.last() else { return Ok(()) };
            range.0 = *end.id.as_bytes();
            for row in rows {
                if stop.is_cancelled() {
                    return Ok(());
                }
                if page.get(row.id.as_bytes()) != Some(&row.bytes) {
                    match self.ask_for(row).await? {
                        Asked::There | Asked::Elsewhere(_) => {}
                        Asked::Gone => found.again += 1,
                        Asked::Lost => found.lost += 1,
                        Asked::Unknown(error) => return Err(error.into()),
                    }
                }
                found.compared += 1;
                progress(found);
            }
        }
    }
}

/// A page of the listing; a bucket that is only away is asked again.
async fn page_of(bucket: &Bucket, folder: &str, next: Option<String>) -> Result<(Vec<Listed>, Option<String>), BucketError> {
    let mut wait = RETRY_FIRST;
    for _ in 1..ATTEMPTS {
        match bucket.list(folder, next.clone()).await {
            Err(error) if error.fault.passes() => tokio::time::sleep(wait).await,
            result => return result,
        }
        wait *= 2;
    }
    bucket.list(folder, next).await
}

/// The objects of a page that are images, under exactly the names that we give.
fn page(listed: &[Listed], own_name: bool, prefix: &str) -> Page {
    let image = |object: &Listed| {
        let name =
            if own_name { object.key.strip_prefix(PYTHON_FOLDER)?.strip_suffix(".png")? } else { object.key.strip_prefix(prefix)? };
        let id: ImageId = name.parse().ok()?;
        let expected = if own_name { python_key(id) } else { format!("{prefix}{id}") };
        (object.key == expected).then_some((*id.as_bytes(), object.bytes))
    };
    listed.iter().filter_map(image).collect()
}
