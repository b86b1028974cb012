//! The words that the admin API speaks: each kind is a type of its own, so that the OpenAPI document, and with it the UI,
//! knows all of them. The layers below say them as plain text; a test build stops at one that is not in its list.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type},
};

macro_rules! words {
    ($($(#[$about:meta])* $name:ident: $($word:literal)|+;)+) => {$(
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Cow<'static, str>);

        #[allow(dead_code, reason = "not every kind is both read and made")]
        impl $name {
            /// All of them.
            pub const ALL: &'static [&'static str] = &[$($word),+];

            /// The word itself; one that a client sent may be none of [`Self::ALL`].
            pub fn word(&self) -> &str {
                &self.0
            }
        }

        impl From<&'static str> for $name {
            fn from(word: &'static str) -> Self {
                debug_assert!(Self::ALL.contains(&word), "'{word}' is missing among the words of {}", stringify!($name));
                Self(Cow::Borrowed(word))
            }
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                debug_assert!(Self::ALL.contains(&&*word), "'{word}' is missing among the words of {}", stringify!($name));
                Self(Cow::Owned(word))
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new().schema_type(Type::String).enum_values(Some(Self::ALL.iter().copied())).into()
            }
        }

        impl ToSchema for $name {}
    )+};
}

words! {
    /// How a part is.
    FindingState: "ok" | "note" | "warning" | "failed";
    /// How things stand with the visitor.
    Standing: "setup" | "signed_out" | "signed_in";
    /// The language of the server's own texts.
    Language: "auto" | "zh" | "en";
    /// Where the UI shows a setting.
    Section: "gateway" | "conversation" | "history" | "security" | "cache" | "bucket" | "appearance" | "desktop";
    /// What is wrong with a field: no such one, none of what it takes, too short or long, fixed from outside, to be changed on its own with the
    /// password, given to another one, more than there may be, no address, characters that none has, a key that was entered for another
    /// address.
    FieldFault: "unknown" | "invalid" | "length" | "locked" | "needs_password" | "taken" | "too_many" | "address" | "characters" | "moved";
    /// What an upstream is.
    UpstreamKind: "openai" | "demo";
    /// What an upstream speaks.
    UpstreamDialect: "auto" | "chat" | "images";
    /// What a request asks.
    Endpoint: "chat" | "generations" | "edits";
    /// How an image came to us.
    ImageSource: "generated" | "edited" | "uploaded" | "imported";
    /// How the copy in the bucket stands; a failed one is tried again.
    CloudState: "none" | "pending" | "failed" | "stored";
    /// How the thumbnail stands.
    ThumbnailState: "made" | "pending" | "failed";
    /// By what images are sorted.
    SortBy: "created" | "accessed" | "size";
    /// Which way.
    SortOrder: "desc" | "asc";
    /// Where the bytes of an image lie: on disk, on disk alone, in both places, in the bucket, in the bucket alone, to be uploaded (what was
    /// tried in vain included), tried in vain, nowhere that we know of.
    ImageState: "local" | "local_only" | "both" | "cloud" | "cloud_only" | "waiting" | "failed" | "elsewhere" | "missing";
    /// What is deleted of an image.
    DeleteWhat: "local" | "cloud" | "all";
    /// Why an image was not deleted.
    NotDeleted: "not_found" | "last_copy" | "no_copy";
    /// Why an action can do nothing now.
    Hindrance: "nothing" | "off" | "no_bucket" | "bucket_paused" | "clock";
    /// How the bucket is.
    BucketCondition: "off" | "unknown" | "ok" | "paused";
    /// A step of trying a bucket.
    BucketStepName: "settings" | "reach" | "write" | "read" | "delete";
    /// Why nothing goes from disk.
    SweepPause: "clock" | "bucket";
    /// What a job does.
    JobKindName: "clean_expired" | "enforce_cap" | "forget_metadata" | "clear_local" | "upload_pending" | "retry_failed"
        | "check_files" | "make_thumbnails" | "import";
    /// Why something of an older program was not taken over as it was.
    ImportProblem: "already_set" | "invalid" | "never" | "no_key" | "key_in_use" | "bad_key" | "bad_address" | "second_admin"
        | "bad_account" | "account_stays" | "no_image_id" | "no_file" | "not_an_image" | "too_large" | "unreadable" | "no_bucket"
        | "bucket_away" | "not_in_bucket";
    /// How a job stands.
    JobState: "running" | "done" | "failed" | "cancelled";
    /// Where a client runs.
    PlaceName: "host" | "lan" | "docker_desktop" | "docker_linux" | "network";
    /// What would make an address work.
    Remedy: "listen_all" | "listen_bridge";
    /// At which addresses we listen.
    Listens: "loopback" | "all" | "address";
    /// Who can reach the gateway.
    ReachName: "this_computer" | "docker" | "everyone";
    /// A page that has a window of its own in the desktop app.
    PageName: "dashboard" | "settings" | "cache" | "gallery" | "logs" | "about";
    /// A step of trying an address.
    CheckStepName: "reach" | "key" | "link";
    /// What is wrong with an address.
    CheckCode: "unreachable" | "no_answer" | "only_here" | "not_on_bridge" | "no_bridge" | "unknown_name" | "not_picgate" | "wrong_key"
        | "no_image" | "no_link" | "wrong_picture";
    /// How grave a line of the log is.
    Level: "error" | "warn" | "info" | "debug" | "trace";
    /// What a request was about.
    ActivityKind: "task" | "chat" | "drawing";
}
