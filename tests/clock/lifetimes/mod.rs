//! Whatever happens to images, and in whatever order, nothing is lost that nobody wanted to lose, and nothing comes back
//! that was deleted. Random histories of a gateway, its bucket and its clock; after every step the promises of
//! [`invariants`] are held against the disk, the bucket and the database themselves.

mod invariants;
mod steps;
mod world;

use std::{cell::RefCell, path::Path};

use picgate_gateway::model::Millis;
use proptest::{
    prelude::*,
    sample::Index,
    test_runner::{Config, FileFailurePersistence, RngSeed, TestCaseError, TestRunner},
};

use crate::support::clock::Clock;
use world::World;

/// Histories of each of the tests here; `PICGATE_HISTORIES` asks for others.
const HISTORIES: u32 = 250;

/// Steps of a history.
const STEPS: usize = 50;

/// One step.
#[derive(Clone, Debug)]
pub enum Step {
    /// An image is saved: drawn, or sent by a user. Few different ones, so that equal bytes are frequent.
    Save { picture: u8, uploaded: bool },
    /// Somebody looks at an image.
    Get(Index),
    /// The same at another gateway behind the same bucket.
    GetElsewhere(Index),
    /// Somebody looks at its thumbnail.
    Thumbnail(Index),
    /// What is done now and then.
    Sweep,
    /// A person clears the disk, perhaps of what has no copy too.
    Clear { last_copies: bool },
    /// Somebody looks at an image while the disk is cleared.
    GetWhileClearing(Index),
    /// Uploads get time.
    Upload,
    /// The bucket behaves otherwise from now on.
    Bucket(Mood),
    /// A person deletes an image.
    Delete { image: Index, what: What, last_copies: bool },
    /// The program ends as it should and starts again.
    Restart,
    /// It is killed, perhaps while an image is saved, and starts again.
    Kill { saving: Option<u8> },
    /// The clock jumps.
    Jump(Millis),
    /// A person says that it is right.
    TrustClock,
    /// A setting is changed.
    Set(&'static str, &'static str),
}

/// What is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The image.
    All,
    /// Its bytes on disk.
    Local,
    /// Its copy in the bucket.
    Cloud,
}

/// How the bucket behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Well,
    Slow,
    Forbidden,
    NoBucket,
    ClockSkew,
    Failing,
    Busy,
    Reset,
    ResetAfterwards,
    CutsShort,
    LiesAboutLength,
    StoresHalf,
    FlipsBytes,
}

const HOUR: Millis = 3_600_000;
const YEARS: Millis = 10 * 365 * 24 * HOUR;

fn step() -> impl Strategy<Value = Step> {
    let index = any::<Index>;
    let mood = prop_oneof![
        6 => Just(Mood::Well),
        1 => Just(Mood::Slow),
        1 => Just(Mood::Forbidden),
        1 => Just(Mood::NoBucket),
        1 => Just(Mood::ClockSkew),
        1 => Just(Mood::Failing),
        1 => Just(Mood::Busy),
        1 => Just(Mood::Reset),
        1 => Just(Mood::ResetAfterwards),
        1 => Just(Mood::CutsShort),
        1 => Just(Mood::LiesAboutLength),
        1 => Just(Mood::StoresHalf),
        1 => Just(Mood::FlipsBytes),
    ];
    let what = prop_oneof![2 => Just(What::All), 2 => Just(What::Local), 1 => Just(What::Cloud)];
    let settings = prop::sample::select(vec![
        ("cache_ttl_hours", "0"),
        ("cache_ttl_hours", "1"),
        ("cache_ttl_hours", "72"),
        ("cache_cap_mb", "0"),
        ("cache_cap_mb", "1"),
        ("evict_last_copy", "true"),
        ("evict_last_copy", "false"),
        ("retention_days", "1"),
        ("retention_days", "365"),
        ("delete_cloud_with_metadata", "true"),
        ("delete_cloud_with_metadata", "false"),
        ("s3_write", "through"),
        ("s3_write", "behind"),
        ("r2_bucket", crate::support::bucket::BUCKET),
        ("r2_bucket", crate::support::bucket::BUCKET),
        ("r2_bucket", crate::support::bucket::OTHER),
        ("r2_bucket", ""),
    ]);
    let jump = prop::sample::select(vec![2 * HOUR, 30 * HOUR, 13 * 24 * HOUR, -HOUR, YEARS, -YEARS]);
    prop_oneof![
        24 => (0u8..6, prop::bool::weighted(0.25)).prop_map(|(picture, uploaded)| Step::Save { picture, uploaded }),
        18 => index().prop_map(Step::Get),
        4 => index().prop_map(Step::GetElsewhere),
        4 => index().prop_map(Step::Thumbnail),
        8 => Just(Step::Sweep),
        8 => prop::bool::weighted(0.2).prop_map(|last_copies| Step::Clear { last_copies }),
        2 => index().prop_map(Step::GetWhileClearing),
        8 => Just(Step::Upload),
        8 => mood.prop_map(Step::Bucket),
        8 => (index(), what, prop::bool::weighted(0.2)).prop_map(|(image, what, last_copies)| Step::Delete { image, what, last_copies }),
        1 => Just(Step::Restart),
        1 => prop::option::of(0u8..6).prop_map(|saving| Step::Kill { saving }),
        6 => jump.prop_map(Step::Jump),
        2 => Just(Step::TrustClock),
        8 => settings.prop_map(|(key, value)| Step::Set(key, value)),
    ]
}

/// Runs histories, and finds the shortest one that breaks a promise.
fn histories(name: &str) {
    let clock = Clock::hold();
    let asked = std::env::var("PICGATE_HISTORIES").ok().and_then(|number| number.parse().ok());
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../tests/clock/lifetimes/{name}.found"));
    let found: &'static str = Box::leak(found.to_string_lossy().into_owned().into_boxed_str());
    let config = Config {
        cases: asked.unwrap_or(HISTORIES),
        // The same ones every time, unless somebody goes looking for new ones.
        rng_seed: if asked.is_some() { RngSeed::Random } else { RngSeed::Fixed(name.len() as u64) },
        max_shrink_iters: 400,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(found))),
        ..Config::default()
    };
    let world: RefCell<Option<World>> = RefCell::default();
    let began = std::time::Instant::now();
    let mut runner = TestRunner::new(config);
    let result = runner.run(&prop::collection::vec(step(), STEPS), |steps| {
        // A world in which something went wrong is not used again.
        let mut present = world.take().unwrap_or_else(|| World::new(&clock));
        match present.live(&clock, &steps) {
            Ok(()) => {
                world.replace(Some(present));
                Ok(())
            }
            Err(broken) => Err(TestCaseError::fail(broken)),
        }
    });
    if let Some(world) = world.take() {
        eprintln!("{} in {:.1} s", world.told(), began.elapsed().as_secs_f64());
    }
    if let Err(error) = result {
        panic!("{error}");
    }
}

#[test]
fn no_history_loses_an_image_or_brings_one_back() {
    histories("first");
}

/// The same with other histories: the two run at once where tests are processes.
#[test]
fn nor_does_any_other() {
    histories("second");
}
