//! Local truth: SQLite for what is known, plain files for bytes. Knows nothing of networks, buckets or HTTP.

mod activity;
mod blobs;
mod db;
mod files;
mod folder;
mod images;
mod meta;
mod part;
mod quirks;
mod secrets;
mod settings;
mod upstreams;

pub use activity::{add as add_activity, trim as trim_activity};
pub use blobs::{mark_missing, mark_present, pending_thumbnails, present_digests, set_thumbnail};
pub use db::{Db, DbError, is_python};
pub use files::{Blob, BlobReader, Files};
pub use folder::{Folder, FolderError, Layout};
pub use images::{Inserted, adopt, find, insert, touch};
pub use meta::{meta, set_meta};
pub use part::{IMAGE_MAX, Part, PartError, Received, Verbatim};
pub use quirks::{add as add_quirk, list as list_quirks, remove as remove_quirk};
pub use secrets::{Secrets, SecretsError, SecretsFile};
pub use settings::load as load_settings;

pub use upstreams::{UpstreamRow, list as list_upstreams};
