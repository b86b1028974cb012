//! The promises, held against what lies on disk, in the bucket and in the database.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use picgate_gateway::model::{ImageId, Millis};

use super::world::{Fate, Image, World};
use crate::support::bucket::{BUCKET, OTHER};

/// What the database says of an image.
#[derive(Clone, Debug)]
pub struct Row {
    pub id: ImageId,
    pub sha256: [u8; 32],
    /// The bytes should be on disk.
    pub present: bool,
    pub copy: String,
    pub leased: bool,
    pub created_at: Millis,
    pub accessed_at: Millis,
}

pub fn rows(world: &World) -> Vec<Row> {
    let sql = "select i.id, i.sha256, b.state = 'present', c.state, c.lease is not null, i.created_at, i.accessed_at
               from images i join blobs b on b.sha256 = i.sha256 join copies c on c.seq = i.seq";
    let mut statement = world.database.prepare_cached(sql).unwrap();
    let row = |row: &rusqlite::Row<'_>| {
        Ok(Row {
            id: ImageId::from_slice(&row.get::<_, [u8; 16]>(0)?).unwrap(),
            sha256: row.get(1)?,
            present: row.get(2)?,
            copy: row.get(3)?,
            leased: row.get(4)?,
            created_at: row.get(5)?,
            accessed_at: row.get(6)?,
        })
    };
    statement.query_map([], row).unwrap().map(Result::unwrap).collect()
}

fn number(world: &World, sql: &str) -> i64 {
    world.database.prepare_cached(sql).unwrap().query_row([], |row| row.get(0)).unwrap()
}

pub fn last_tick(world: &World) -> Option<Millis> {
    let mut statement = world.database.prepare_cached("select value from meta where key = 'last_tick'").unwrap();
    statement.query_row([], |row| row.get::<_, String>(0)).ok().and_then(|text| text.parse().ok())
}

pub fn bytes_on_disk(world: &World) -> i64 {
    number(world, "select coalesce(sum(bytes), 0) from blobs where state = 'present'")
}

fn path(world: &World, folder: &str, hex: &str) -> std::path::PathBuf {
    world.folder.path().join("store").join(folder).join(&hex[..2]).join(hex)
}

/// Whether the picture lies on disk, whole.
pub fn on_disk(world: &World, picture: usize) -> bool {
    let picture = &world.pictures[picture];
    std::fs::read(path(world, "blobs", &picture.hex)).is_ok_and(|bytes| bytes == picture.bytes)
}

/// Whether the image lies in that bucket, whole.
pub fn in_bucket(world: &World, bucket: &str, image: &Image) -> bool {
    let object = world.bucket.object_in(bucket, &format!("picgate/{}", image.id));
    object.is_some_and(|bytes| bytes == world.pictures[image.picture].bytes)
}

/// Names of all files of pictures.
pub fn files(world: &World) -> BTreeSet<String> {
    names(world, "blobs")
}

fn names(world: &World, kind: &str) -> BTreeSet<String> {
    let folders = std::fs::read_dir(world.folder.path().join("store").join(kind)).unwrap().flatten();
    let files = folders.flat_map(|folder| std::fs::read_dir(folder.path()).unwrap().flatten());
    files.map(|file| file.file_name().to_string_lossy().into_owned()).collect()
}

/// What holds at any moment at which nothing is asked of the gateway.
pub fn after_each_step(world: &mut World) -> Result<(), String> {
    let rows = rows(world);
    for at in 0..world.images.len() {
        let image = world.images[at].clone();
        let id = image.id;
        let row = rows.iter().find(|row| row.id == id);
        match (image.fate, row) {
            (Fate::Gone, Some(row)) => return Err(format!("{id} was deleted and has a row: {row:?}")),
            (Fate::Live, None) => return Err(format!("{id} has no row")),
            // Somebody looked at it: it came back from the bucket.
            (Fate::Forgotten, Some(_)) => world.images[at].fate = Fate::Live,
            _ => {}
        }
        if image.fate == Fate::Gone {
            let shared = rows.iter().any(|row| row.sha256 == world.pictures[image.picture].sha256);
            if !shared && path(world, "blobs", &world.pictures[image.picture].hex).exists() {
                return Err(format!("{id} was deleted and its file is there"));
            }
            continue;
        }
        let file = on_disk(world, image.picture);
        let objects = [BUCKET, OTHER].map(|bucket| in_bucket(world, bucket, &image));
        if !file && objects == [false, false] {
            return Err(format!("{id} is lost: {row:?}"));
        }
        let Some(row) = row else { continue };
        let confirmed = world.place.is_some_and(|place| objects[usize::from(place == OTHER)]);
        if row.copy == "stored" && !confirmed {
            return Err(format!("{id} counts as stored and is not in {:?}: {row:?}", world.place));
        }
        if row.present && !file {
            return Err(format!("{id} should be on disk: {row:?}"));
        }
        if !file && row.copy == "excluded" {
            return Err(format!("{id} is lost, its copy was to be removed: {row:?}"));
        }
    }
    Ok(())
}

/// What is still to be done and can be done: copies of images that are here or in the bucket, and removals.
pub fn unsettled(world: &World) -> Vec<String> {
    let Some(place) = world.used else { return Vec::new() };
    let possible = |row: &&Row| {
        let image = world.images.iter().find(|image| image.id == row.id);
        let can = image.is_none_or(|image| on_disk(world, image.picture) || in_bucket(world, place, image));
        row.copy == "pending" && can
    };
    let mut waits: Vec<String> = rows(world).iter().filter(possible).map(|row| format!("{row:?}")).collect();
    let graves = format!("select count(*) from tombstones where bucket like '%|{place}|%'");
    let graves = number(world, &graves);
    waits.extend((graves > 0).then(|| format!("{graves} removals")));
    waits
}

/// What holds when nothing is left to do.
pub fn when_settled(world: &mut World) -> Result<(), String> {
    for row in rows(world) {
        if row.leased {
            return Err(format!("this rests in a state that passes: {row:?}"));
        }
    }
    for image in &world.images {
        if image.fate == Fate::Gone && world.bucket.object(&format!("picgate/{}", image.id)).is_some() {
            return Err(format!("{} was deleted and is in the bucket", image.id));
        }
    }
    agreed(world)
}

/// Files are complete and belong to rows, rows have files.
fn agreed(world: &World) -> Result<(), String> {
    let rows = rows(world);
    let hex = |sha256: &[u8; 32]| sha256.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let (files, known): (BTreeSet<String>, BTreeSet<String>) = (files(world), rows.iter().map(|row| hex(&row.sha256)).collect());
    let present: BTreeSet<String> = rows.iter().filter(|row| row.present).map(|row| hex(&row.sha256)).collect();
    if files != present {
        return Err(format!("files {files:?}, rows that say so {present:?}, all rows {known:?}"));
    }
    for name in &files {
        let bytes = std::fs::read(path(world, "blobs", name)).unwrap_or_default();
        if crate::support::pictures::sha256(&bytes) != *name {
            return Err(format!("the file {name} holds other bytes"));
        }
    }
    Ok(())
}

/// Waits for the comparison that follows a start.
pub fn until_reconciled(world: &World) -> Result<(), String> {
    let began = Instant::now();
    loop {
        match agreed(world) {
            Ok(()) => return Ok(()),
            Err(broken) if began.elapsed() > Duration::from_secs(10) => return Err(format!("after the start: {broken}")),
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// When all was deleted, nothing is left of it anywhere.
pub fn when_empty(world: &World) -> Result<(), String> {
    let began = Instant::now();
    loop {
        let left = [names(world, "blobs"), names(world, "thumbs"), world.bucket.keys("picgate").into_iter().collect()];
        if left.iter().all(BTreeSet::is_empty) {
            return Ok(());
        }
        // A thumbnail that was being made goes when it is done.
        if began.elapsed() > Duration::from_secs(5) {
            return Err(format!("files, thumbnails, objects that are left: {left:?}"));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}
