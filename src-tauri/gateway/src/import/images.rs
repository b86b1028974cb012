//! Images of the Python program: bytes from its folder, or from the bucket where they are there alone. What they are is told
//! from the bytes, and thumbnails are made anew.

use std::{
    collections::HashSet,
    path::{Component, Path, PathBuf},
    time::UNIX_EPOCH,
};

use tokio::io::AsyncReadExt;
use tokio_util::sync::CancellationToken;

use super::{Import, ImportError, Report, read};
use crate::{
    cloud::Fault,
    library::{Claim, Past, Standing},
    model::{ImageId, MediaType, Millis, Source, now, python_key},
    store::{Part, PartError, Received, python::PythonImage},
};

/// Rows that are read at once.
const PAGE: usize = 500;

/// Bytes of a file that are read at once.
const BLOCK: usize = 256 * 1024;

/// Files without a row that are looked at.
const STRAY_MAX: usize = 1_000_000;

impl Import {
    pub(super) async fn take_rows(
        &self,
        report: &mut Report,
        stop: &CancellationToken,
        progress: &mut (dyn FnMut(&Report) + Send),
    ) -> Result<(), ImportError> {
        let (mut after, mut seen) = (i64::MIN, HashSet::new());
        loop {
            let page = read(&self.library, &self.folder, move |db| db.images(after, PAGE)).await?;
            let Some(last) = page.last() else { break };
            after = last.row;
            for image in page {
                if stop.is_cancelled() {
                    return Ok(());
                }
                let id: Result<ImageId, ()> = image.id.parse();
                match id {
                    Ok(id) => {
                        seen.insert(id);
                        self.take_row(id, &image, report).await?;
                    }
                    // A name that is far too long was not even read.
                    Err(()) if image.id.is_empty() => report.fail(&format!("row {}", image.row), "no_image_id", "its name is no image id"),
                    Err(()) => report.fail(&image.id, "no_image_id", "its name is no image id"),
                }
                progress(report);
            }
        }
        self.take_strays(&seen, report, stop, progress).await
    }

    async fn take_row(&self, id: ImageId, image: &PythonImage, report: &mut Report) -> Result<(), ImportError> {
        if self.library.standing(id).await? != Standing::New {
            report.known += 1;
            return Ok(());
        }
        let past = Past {
            id,
            source: Source::Imported,
            created_at: sensible(image.created_at),
            accessed_at: image.accessed_at.map(|at| at.min(now())),
            // It may stand there for an upload that was never made: then that is its name when it is. Any other name may be
            // that of somebody else's object, which an upload or a deletion would hit.
            key: Some(python_key(id)).filter(|key| *key == image.key),
            copy: if image.in_bucket { Claim::There } else { Claim::None },
            imported: true,
        };
        let mut why = (
            "no_file",
            "there is no such file in the folder of images, whose links to elsewhere are not followed, and it is not in R2".to_owned(),
        );
        if let Some(path) = self.file_of(id, &image.path) {
            match self.receive(&path).await {
                Ok(received) => return self.keep(&received, past, &image.content_type, report).await,
                Err(error) => why = (code(&error), error.to_string()),
            }
        }
        if image.in_bucket {
            return self.take_from_bucket(past, &image.content_type, report).await;
        }
        report.fail(&id.to_string(), why.0, why.1);
        Ok(())
    }

    async fn keep(&self, received: &Received, past: Past, noted: &str, report: &mut Report) -> Result<(), ImportError> {
        if !self.library.take_in(received, &past).await? {
            report.known += 1;
            return Ok(());
        }
        report.images += 1;
        if past.copy == Claim::Only {
            report.in_bucket += 1;
        } else {
            report.bytes += crate::model::Measured::len(&received.blob);
        }
        report.corrected += u64::from(!noted.is_empty() && MediaType::from_mime(noted) != Some(received.media_type));
        Ok(())
    }

    /// An image that is in the bucket alone is fetched once, to learn what it is. Without its row the link works all the
    /// same: an id that nobody knows is looked for in the bucket.
    async fn take_from_bucket(&self, past: Past, noted: &str, report: &mut Report) -> Result<(), ImportError> {
        let id = past.id.to_string();
        let Some(bucket) = self.library.remote().bucket() else {
            report.fail(&id, "no_bucket", "it is in R2 alone, and no bucket is set; its link works once there is one. Import again then");
            return Ok(());
        };
        // Once the bucket is known to be away, not every image waits for it.
        if self.library.remote().pause().is_some() {
            report.fail(
                &id,
                "bucket_away",
                "it is in R2 alone, which cannot be reached now; its link works when it can. Import again then",
            );
            return Ok(());
        }
        let key = past.key.clone().unwrap_or_else(|| python_key(past.id));
        match self.library.learn(&bucket, &key).await {
            Ok(received) => {
                self.library.remote().worked(&bucket);
                self.keep(&received, Past { copy: Claim::Only, key: Some(key), ..past }, noted, report).await
            }
            Err(error) => {
                if error.fault == Fault::NoObject {
                    report.fail(&id, "not_in_bucket", format!("there is no such file, and R2 does not have it either (as {key})"));
                } else {
                    self.library.remote().refused(&bucket, &error);
                    report.fail(&id, "bucket_away", format!("it is in R2 alone, which cannot be read now ({error}). Import again later"));
                }
                Ok(())
            }
        }
    }

    /// Images whose rows the old program has forgotten, and whose links may still be somewhere.
    async fn take_strays(
        &self,
        seen: &HashSet<ImageId>,
        report: &mut Report,
        stop: &CancellationToken,
        progress: &mut (dyn FnMut(&Report) + Send),
    ) -> Result<(), ImportError> {
        let folder = self.folder.images.clone();
        let found = tokio::task::spawn_blocking(move || strays(&folder)).await.map_err(|e| ImportError::Broken(e.to_string()))?;
        for (id, path, changed) in found.into_iter().filter(|(id, ..)| !seen.contains(id)) {
            if stop.is_cancelled() {
                return Ok(());
            }
            if self.library.standing(id).await? != Standing::New {
                report.known += 1;
                continue;
            }
            let key = Some(python_key(id));
            let past = Past {
                id,
                source: Source::Imported,
                created_at: sensible(changed),
                accessed_at: None,
                key,
                copy: Claim::None,
                imported: true,
            };
            match self.receive(&path).await {
                Ok(received) => self.keep(&received, past, "", report).await?,
                Err(error) => report.fail(&id.to_string(), code(&error), error.to_string()),
            }
            progress(report);
        }
        Ok(())
    }

    /// Where the bytes of an image lie: as its row says, if that stays inside the folder, or under its id.
    fn file_of(&self, id: ImageId, path: &str) -> Option<PathBuf> {
        let inside = Path::new(path);
        let plain = !path.is_empty() && inside.components().all(|part| matches!(part, Component::Normal(_)));
        let named = plain.then(|| self.folder.images.join(inside));
        let usual = self.folder.images.join(format!("{id}.png"));
        named.into_iter().chain([usual]).find_map(|path| inside_of(&self.folder.images, &path))
    }

    async fn receive(&self, path: &Path) -> Result<Received, PartError> {
        let mut file = tokio::fs::File::open(path).await?;
        let mut part = Part::open(self.library.files());
        loop {
            let mut block = Vec::with_capacity(BLOCK);
            if (&mut file).take(BLOCK as u64).read_to_end(&mut block).await? == 0 {
                break;
            }
            part.write(block).await;
        }
        part.finish().await
    }
}

/// A stable word for why a file was not taken.
fn code(error: &PartError) -> &'static str {
    match error {
        PartError::NotAnImage => "not_an_image",
        PartError::TooLarge | PartError::TooMany => "too_large",
        PartError::Io(_) => "unreadable",
    }
}

/// A time that can be: not in the future, not before there were such pictures.
fn sensible(at: Option<Millis>) -> Millis {
    at.filter(|at| (0..=now()).contains(at)).unwrap_or_else(now)
}

/// A file, if it lies in `folder` wherever links on the way to it lead: none of them may make another file a picture.
fn inside_of(folder: &Path, path: &Path) -> Option<PathBuf> {
    let real = path.canonicalize().ok()?;
    (real.starts_with(folder.canonicalize().ok()?) && real.is_file()).then_some(real)
}

/// Files `{id}.png` of a folder, and when they were changed.
fn strays(folder: &Path) -> Vec<(ImageId, PathBuf, Option<Millis>)> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let one = |entry: std::fs::DirEntry| {
        let path = entry.path();
        let id = path.file_stem()?.to_str()?.parse().ok()?;
        let path = inside_of(folder, &path)?;
        let meta = path.metadata().ok().filter(std::fs::Metadata::is_file)?;
        let changed = meta.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_millis();
        Some((id, path, Millis::try_from(changed).ok()))
    };
    entries.flatten().take(STRAY_MAX).filter_map(one).collect()
}
