//! Many pictures as one ZIP file: first the list, which gives an address; then the file, written while it is sent. Nothing
//! is compressed, because pictures are already; and no picture is ever whole in memory.

use std::{
    collections::{HashSet, VecDeque},
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Json,
    body::Body as HttpBody,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::stream;
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use utoipa::ToSchema;
use uuid::Uuid;
use zip::{CompressionMethod, DateTime, ZipWriter, write::SimpleFileOptions, write::StreamWriter};

use super::error::{AdminError, Body};
use crate::{
    http::App,
    library::{Assembled, Library, ReadBody},
    model::{ImageId, ImageRecord, Measured},
    store::gallery,
};

/// Most pictures of one file.
const PICTURES_MAX: usize = 1000;

/// Files that are sent at once.
const AT_ONCE: usize = 4;

/// Lists that wait to be fetched, or to be fetched again after a broken download.
const LISTS_MAX: usize = 32;

/// How long a list waits.
const LIST_TIME: Duration = Duration::from_secs(15 * 60);

/// Names the pictures that could not be read.
const LOST: &str = "missing.txt";

/// Lists that wait to be fetched.
#[derive(Clone)]
pub struct Archives {
    lists: Arc<Mutex<VecDeque<List>>>,
    sending: Arc<Semaphore>,
}

struct List {
    ticket: Uuid,
    made: Instant,
    ids: Vec<ImageId>,
}

impl Default for Archives {
    fn default() -> Self {
        Self { lists: Arc::default(), sending: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl Archives {
    fn add(&self, ids: Vec<ImageId>) -> Uuid {
        let ticket = Uuid::new_v4();
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        lists.retain(|list| list.made.elapsed() < LIST_TIME);
        while lists.len() >= LISTS_MAX {
            lists.pop_front();
        }
        lists.push_back(List { ticket, made: Instant::now(), ids });
        ticket
    }

    fn find(&self, ticket: &str) -> Option<Vec<ImageId>> {
        let ticket: Uuid = ticket.parse().ok()?;
        let lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        lists.iter().find(|list| list.ticket == ticket && list.made.elapsed() < LIST_TIME).map(|list| list.ids.clone())
    }
}

/// Which pictures.
#[derive(Debug, Deserialize, ToSchema)]
pub struct NewArchive {
    /// At most 1,000.
    ids: Vec<String>,
}

/// Where the file is to be had.
#[derive(Debug, Serialize, ToSchema)]
pub struct Archive {
    /// A path, good for a quarter of an hour.
    url: String,
    /// Pictures in it.
    count: u64,
    /// Their bytes; the file is a little larger.
    bytes: u64,
}

/// Notes a list of pictures and says where they are to be had as one ZIP file.
#[utoipa::path(post, path = "/images/archive", request_body = NewArchive, responses((status = 200, body = Archive)))]
pub async fn list(State(app): State<App>, Body(body): Body<NewArchive>) -> Result<Json<Archive>, AdminError> {
    if body.ids.is_empty() || body.ids.len() > PICTURES_MAX {
        return Err(AdminError::field("invalid_request", "ids", "invalid", format!("must be 1 to {PICTURES_MAX}")));
    }
    let mut seen = HashSet::new();
    let ids: Vec<ImageId> = body.ids.iter().filter_map(|id| id.parse().ok()).filter(|id: &ImageId| seen.insert(*id)).collect();
    let known = app.library.db().read(move |c| {
        let mut known = Vec::new();
        for id in ids {
            known.extend(gallery::one(c, id)?.map(|listed| (id, listed.blob.bytes)));
        }
        Ok(known)
    });
    let known = known.await?;
    if known.is_empty() {
        return Err(AdminError::not_found("image"));
    }
    let (count, bytes) = (known.len() as u64, known.iter().map(|(_, bytes)| bytes).sum());
    let ticket = app.archives.add(known.into_iter().map(|(id, _)| id).collect());
    Ok(Json(Archive { url: format!("{}/images/archive/{ticket}", super::document::BASE), count, bytes }))
}

/// The pictures of a list as one ZIP file. What cannot be read is named in `missing.txt`, which is in it then.
#[utoipa::path(get, path = "/images/archive/{ticket}", params(("ticket" = String, Path)),
    responses((status = 200, body = Vec<u8>, content_type = "application/zip")))]
pub async fn fetch(State(app): State<App>, Path(ticket): Path<String>) -> Result<Response, AdminError> {
    let ids = app.archives.find(&ticket).ok_or_else(|| AdminError::not_found("list of images"))?;
    let Ok(permit) = app.archives.sending.clone().try_acquire_owned() else {
        return Err(AdminError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_downloads", "several such files are being sent already"));
    };
    tracing::info!(images = ids.len(), "images are downloaded as a ZIP file");
    let name = format!("picgate-{}.zip", stamp(crate::model::now()));
    let writing = Writing::new(app.library.clone(), ids, permit);
    let bytes = stream::try_unfold(writing, |mut writing| async move {
        let next = writing.next().await.inspect_err(|error| tracing::warn!(%error, "a ZIP file breaks off"))?;
        Ok::<_, io::Error>(next.map(|bytes| (bytes, writing)))
    });
    let headers =
        [(header::CONTENT_TYPE, "application/zip".to_owned()), (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\""))];
    Ok((headers, HttpBody::from_stream(bytes)).into_response())
}

/// What was written and not yet sent.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file that is being written, one block of a picture at a time.
struct Writing {
    library: Library,
    left: VecDeque<ImageId>,
    /// Nothing once it is finished.
    zip: Option<ZipWriter<StreamWriter<Written>>>,
    written: Written,
    current: Option<ReadBody>,
    names: HashSet<String>,
    lost: Vec<String>,
    _permit: OwnedSemaphorePermit,
}

impl Writing {
    fn new(library: Library, ids: Vec<ImageId>, permit: OwnedSemaphorePermit) -> Self {
        let written = Written::default();
        let zip = Some(ZipWriter::new_stream(written.clone()));
        Self { library, left: ids.into(), zip, written, current: None, names: HashSet::new(), lost: Vec::new(), _permit: permit }
    }

    /// The next bytes; nothing at the end.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let written = self.written.take();
            if !written.is_empty() {
                return Ok(Some(written.into()));
            }
            let Some(zip) = &mut self.zip else { return Ok(None) };
            if let Some(picture) = &mut self.current {
                match picture.frame().await.transpose()?.and_then(|frame| frame.into_data().ok()) {
                    Some(block) => zip.write_all(&block)?,
                    None => self.current = None,
                }
            } else if let Some(id) = self.left.pop_front() {
                self.begin(id).await?;
            } else {
                self.finish()?;
            }
        }
    }

    /// Begins a picture, which comes back from the bucket first if it is only there.
    async fn begin(&mut self, id: ImageId) -> io::Result<()> {
        let opened = self.library.open(id).await.map_err(|error| error.to_string());
        let (record, blob) = match opened.and_then(|found| found.ok_or_else(|| "deleted".to_owned())) {
            Ok(found) => found,
            Err(why) => {
                self.lost.push(format!("{id}  {why}"));
                return Ok(());
            }
        };
        let name = self.name(&record);
        let options = stored().last_modified_time(saved_at(record.created_at)).large_file(blob.len() >= u64::from(u32::MAX));
        if let Some(zip) = &mut self.zip {
            zip.start_file(name, options)?;
        }
        let whole = 0..blob.len();
        self.current = Some(Assembled::slice(blob, whole));
        Ok(())
    }

    /// `20261101-120305-1a2b3c4d.png`; the whole id where two begin alike.
    fn name(&mut self, record: &ImageRecord) -> String {
        let (time, id, extension) = (stamp(record.created_at), record.id.to_string(), record.blob.media_type.extension());
        let short = format!("{time}-{}.{extension}", &id[..8]);
        let name = if self.names.contains(&short) { format!("{time}-{id}.{extension}") } else { short };
        self.names.insert(name.clone());
        name
    }

    fn finish(&mut self) -> io::Result<()> {
        let Some(mut zip) = self.zip.take() else { return Ok(()) };
        if !self.lost.is_empty() {
            zip.start_file(LOST, stored())?;
            let lines = self.lost.join("\n");
            write!(zip, "下列图片没能读出 · These pictures could not be read:\n\n{lines}\n")?;
        }
        zip.finish()?;
        Ok(())
    }
}

fn stored() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Stored)
}

fn utc(millis: i64) -> time::OffsetDateTime {
    time::OffsetDateTime::from_unix_timestamp(millis / 1000).unwrap_or(time::OffsetDateTime::UNIX_EPOCH)
}

/// `20261101-120305`, in UTC.
fn stamp(millis: i64) -> String {
    let at = utc(millis);
    let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
    format!("{year:04}{month:02}{day:02}-{:02}{:02}{:02}", at.hour(), at.minute(), at.second())
}

/// ZIP knows no time before 1980.
fn saved_at(millis: i64) -> DateTime {
    let at = utc(millis);
    let year = u16::try_from(at.year()).unwrap_or_default();
    DateTime::from_date_and_time(year, at.month().into(), at.day(), at.hour(), at.minute(), at.second()).unwrap_or_default()
}
