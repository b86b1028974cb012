//! Local truth: SQLite for what is known, plain files for bytes. Knows nothing of networks, buckets or HTTP.

mod activity;
mod admin;
mod blobs;
pub mod copies;
mod db;
mod drive;
mod files;
mod folder;
pub mod gallery;
mod glance;
mod images;
pub mod log_lines;
mod meta;
mod part;
mod quirks;
mod search;
mod secrets;
mod settings;
pub mod sweep;
pub mod upstreams;
mod vault;

pub use activity::{
    Day, StoredActivity, add as add_activity, days, drawn_today, first as first_activity, list as list_activity, outcomes,
    trim as trim_activity,
};
pub use admin::{
    Admin, NewSession, SessionRow, admin, delete_admin, delete_other_sessions, delete_session, insert_admin, insert_session, list_sessions,
    session_by_token, set_admin_password, touch_session,
};
pub use blobs::{
    ImageFigures, image_figures, mark_missing, mark_present, pending_thumbnails, present_digests, set_thumbnail, thumbnails_again,
};
pub use db::{Db, DbError, is_python};
pub use drive::{Drive, drive, space};
pub use files::{Blob, BlobReader, Files};
pub use folder::{Folder, FolderError, Layout};
pub use gallery::{Cursor, Detailed, GalleryFilter, Listed, Sort};
pub use glance::{Glance, Holds, glance, known_schema};
pub use images::{Inserted, adopt, find, insert, touch};
pub use meta::{meta, set_meta};
pub use part::{IMAGE_MAX, Part, PartError, Received, Seen, Verbatim};
pub use quirks::{add as add_quirk, list as list_quirks, remove as remove_quirk};
pub use secrets::{Secrets, SecretsError, SecretsFile};
pub use settings::{load as load_settings, save as save_settings};

pub use upstreams::UpstreamRow;
pub use vault::Vault;
