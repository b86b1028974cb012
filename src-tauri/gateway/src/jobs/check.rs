//! The job that compares what is known with what is there: files on disk, and objects in the bucket.

use std::time::{Duration, SystemTime};

use super::{registry::Job, sweep::Sweep};
use crate::{
    library::{self, Inventory, LibraryError},
    model::now,
    store::copies,
};

/// Files that are younger belong to saves that are under way.
const YOUNG: Duration = Duration::from_secs(60);

impl Sweep {
    /// The disk first, then the bucket if there is one; both are told in the log. A step is a file that was not as it should
    /// be, or a copy in the bucket that was compared.
    pub(super) async fn check_files(&self, job: &Job) -> Result<(), LibraryError> {
        let disk = library::reconcile(&self.library, self.began.max(SystemTime::now() - YOUNG)).await?;
        tracing::info!(
            event = "compared",
            adopted = disk.adopted,
            missing = disk.missing,
            strange = disk.strange,
            "disk and database were compared"
        );
        let (files, bad) = ((disk.adopted + disk.missing + disk.strange) as u64, (disk.missing + disk.strange) as u64);
        job.total(files as usize);
        job.stands(files, bad, 0);
        if self.library.remote().bucket().is_none() {
            return Ok(());
        }
        let mut total = 0;
        let mut progress = |found: &Inventory| {
            if total != found.known {
                total = found.known;
                job.total((files + total) as usize);
            }
            job.stands(files + found.compared, bad + found.again + found.lost, 0);
        };
        let found = self.library.take_inventory(job.stop(), &mut progress).await;
        let found = found.map_err(|error| LibraryError::Disk(std::io::Error::other(error)))?;
        // What was nowhere when it was looked for last.
        self.library.db().write(|t| copies::retry(t, true, now())).await?;
        self.library.remote().wake();
        tracing::info!(
            event = "compared_bucket",
            listed = found.listed,
            compared = found.compared,
            again = found.again,
            lost = found.lost,
            "bucket and database were compared"
        );
        Ok(())
    }
}
