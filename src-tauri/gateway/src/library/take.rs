//! Images that come with an id and a past of their own: from another program's folder, or from the bucket alone.

use super::{Library, LibraryError, thumbnail};
use crate::{
    cloud::{Bucket, BucketError, Fault},
    model::{BlobRecord, Event, ImageId, Millis, NewImage, Origin, Source, Thumbnail, now},
    store::{IMAGE_MAX, Part, Received, copies, find, imported, insert_known, touch},
};

/// What is known of it besides its bytes.
#[derive(Clone, Debug)]
pub struct Past {
    /// The id that links carry.
    pub id: ImageId,
    /// How it came to us.
    pub source: Source,
    /// When it was saved.
    pub created_at: Millis,
    /// When it was last looked at.
    pub accessed_at: Option<Millis>,
    /// The object's name, if it is not the usual one.
    pub key: Option<String>,
    /// What is said of its copy in the bucket.
    pub copy: Claim,
    /// Whether it comes from the Python program, which is remembered for ever.
    pub imported: bool,
}

/// What is said of a copy in the bucket. It is believed only where there is nothing to lose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Nothing: it is to be made.
    None,
    /// There is one: it is confirmed before it counts.
    There,
    /// Its bytes came from there just now, and they are not kept on disk.
    Only,
}

/// Whether an image may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is not known.
    New,
    /// It has a row.
    Known,
    /// It was deleted.
    Deleted,
}

impl Library {
    /// Whether an image with this id may come.
    ///
    /// # Errors
    /// [`LibraryError`].
    pub async fn standing(&self, id: ImageId) -> Result<Standing, LibraryError> {
        let read = self.db.read(move |c| {
            Ok(if find(c, id)?.is_some() {
                Standing::Known
            } else if copies::is_buried(c, id)? || imported::is_imported(c, id)? {
                Standing::Deleted
            } else {
                Standing::New
            })
        });
        Ok(read.await?)
    }

    /// Gives an image its row; its bytes are kept on disk unless they are in the bucket alone. `false` if it was known or
    /// deleted meanwhile.
    ///
    /// # Errors
    /// [`LibraryError`].
    pub async fn take_in(&self, received: &Received, past: &Past) -> Result<bool, LibraryError> {
        let keeping = self.keeping.read().await;
        let (files, held, here) = (self.files.clone(), received.clone(), past.copy != Claim::Only);
        let kept = tokio::task::spawn_blocking(move || {
            let blob = if here { files.keep(&held.blob, held.sha256)? } else { held.blob };
            let path = blob.path();
            if !here
                && let Some(path) = &path
                && !files.thumbnail_path(held.sha256).exists()
                && let Ok(jpeg) = thumbnail::make(path, held.media_type)
            {
                // The only moment at which its bytes are here.
                files.keep_thumbnail(held.sha256, &jpeg)?;
            }
            Ok::<_, std::io::Error>((path.and_then(|path| thumbnail::pixel_size(&path)), files.thumbnail_path(held.sha256).exists()))
        });
        let (size, has_thumbnail) = kept.await.map_err(|e| LibraryError::Disk(std::io::Error::other(e)))??;
        let blob = BlobRecord {
            sha256: received.sha256,
            bytes: crate::model::Measured::len(&received.blob),
            media_type: received.media_type,
            size,
            complete: received.complete,
            thumbnail: if has_thumbnail { Thumbnail::Made } else { Thumbnail::Pending },
        };
        let taken = self.insert_past(blob, past.clone()).await?;
        drop(keeping);
        if here {
            if !taken {
                self.remove_orphan(received.sha256).await?;
            }
            self.thumbnails.ask(received.sha256, received.media_type);
        }
        Ok(taken)
    }

    /// The row alone.
    pub(super) async fn insert_past(&self, blob: BlobRecord, past: Past) -> Result<bool, LibraryError> {
        let id = past.id;
        let place = self.remote.bucket().map(|bucket| bucket.config().place());
        let write = self.db.write(move |t| {
            let deleted = copies::is_buried(t, id)? || (past.imported && imported::is_imported(t, id)?);
            if deleted || find(t, id)?.is_some() {
                return Ok(false);
            }
            let image = NewImage { id, blob, origin: Origin::bare(past.source), created_at: past.created_at };
            insert_known(t, &image, past.copy != Claim::Only, now())?;
            if let Some(at) = past.accessed_at {
                touch(t, id, at)?;
            }
            match past.copy {
                Claim::None => copies::set_key(t, id, past.key.as_deref(), None)?,
                Claim::There => copies::set_key(t, id, past.key.as_deref(), Some(now()))?,
                Claim::Only => {
                    copies::set_key(t, id, past.key.as_deref(), Some(now()))?;
                    copies::mark_stored(t, id, place.as_deref().unwrap_or_default(), past.key.as_deref(), now())?;
                }
            }
            if past.imported {
                imported::add(t, id)?;
            }
            Ok(true)
        });
        let taken = write.await?;
        if taken {
            self.remote.no_longer_absent(id);
            self.events.tell(Event::Saved(id));
        }
        Ok(taken)
    }

    /// Fetches an object whole into a temporary file, to learn what it is.
    ///
    /// # Errors
    /// [`BucketError`]; [`Fault::WrongBytes`] if it is no picture.
    pub async fn learn(&self, bucket: &Bucket, key: &str) -> Result<Received, BucketError> {
        let mut download = bucket.get(key).await?;
        let announced = download.found.bytes;
        if announced > IMAGE_MAX {
            return Err(BucketError::new(Fault::WrongBytes, format!("the object has {announced} bytes")));
        }
        let (mut part, mut written) = (Part::open(&self.files), 0u64);
        while let Some(chunk) = download.next().await? {
            written += chunk.len() as u64;
            part.write(chunk.into()).await;
        }
        let received = part.finish().await.map_err(|e| BucketError::new(Fault::WrongBytes, e.to_string()))?;
        if written != announced {
            return Err(BucketError::new(Fault::Busy, "the download ended early"));
        }
        if !super::upload::is_as_put(&download.found, received.blob.path()).await {
            return Err(BucketError::new(Fault::WrongBytes, "other bytes came than the server took"));
        }
        Ok(received)
    }
}
