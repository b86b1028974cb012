//! Local truth: SQLite for what is known, plain files for bytes. Knows nothing of networks, buckets or HTTP.

pub mod activity;
mod admin;
mod blobs;
pub mod copies;
mod db;
mod drive;
mod files;
mod folder;
pub mod gallery;
mod glance;
mod held;
mod images;
pub mod imported;
pub mod inventory;
mod key_marks;
pub mod left_behind;
pub mod log_lines;
mod meta;
mod part;
mod probe_key;
pub mod python;
mod quarantine;
mod quirks;
mod running;
mod search;
mod secrets;
mod settings;
mod snapshot;
pub mod sweep;
pub mod upstreams;
mod vault;
mod vetted;

pub use activity::{Day, add as add_activity, days, drawn_today, first as first_activity, outcomes, trim as trim_activity};
pub use admin::{
    Admin, NewSession, SessionRow, admin, delete_admin, delete_other_sessions, delete_session, insert_admin, insert_session, list_sessions,
    session_by_token, set_admin_password, touch_session,
};
pub use blobs::{
    ImageFigures, image_figures, is_known, mark_missing, mark_present, pending_thumbnail, pending_thumbnails, present_digests,
    set_thumbnail, thumbnails_again,
};
pub use db::{Db, DbError};
pub use drive::{Drive, drive, space};
pub use files::{Blob, BlobReader, Files};
pub use folder::{Folder, FolderError, Layout, REPLACED, beside, sync_folder};
pub use gallery::{Cursor, Detailed, GalleryFilter, Listed, Sort};
pub use glance::{Glance, Holds, glance, known_schema};
pub use held::HeldFiles;
pub use images::{Inserted, adopt, find, insert, insert_known, touch};
pub use key_marks::KeyMarks;
pub use meta::{meta, set_meta};
pub use part::{IMAGE_MAX, Part, PartError, Received, Seen, Verbatim};
pub use probe_key::ProbeKey;
pub use quirks::{add as add_quirk, list as list_quirks, remove as remove_quirk};
pub use running::Running;
pub use secrets::{Secrets, SecretsError, SecretsFile};
pub use settings::{load as load_settings, save as save_settings};
pub use snapshot::{Found, NamedBlob, Settled, Snapshot, count_images};
pub use upstreams::UpstreamRow;
pub use vault::Vault;
pub use vetted::Vetted;
