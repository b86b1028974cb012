//! Where bytes lie and what each job would do, for people: looked up anew for each visitor, and in a large library, where that
//! reads every row, only every few seconds or when something was decided.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::Mutex;

use super::{JobKind, Preview, Sweep};
use crate::{
    library::LibraryError,
    settings::SweepRules,
    store::{
        ImageFigures, image_figures,
        sweep::{self, Places},
    },
};

/// From so many images on it is remembered.
const LARGE: i64 = 2_000;

/// For so long.
const HOLD: Duration = Duration::from_secs(3);

/// The jobs that people are told of.
const KINDS: [JobKind; 6] = [
    JobKind::CleanExpired,
    JobKind::EnforceCap,
    JobKind::ForgetMetadata,
    JobKind::ClearLocal,
    JobKind::UploadPending,
    JobKind::RetryFailed,
];

/// What was found.
#[derive(Clone, Copy, Debug)]
pub struct Amounts {
    /// Images in figures.
    pub figures: ImageFigures,
    /// Where their bytes lie.
    pub places: Places,
    previews: [Preview; KINDS.len()],
}

impl Amounts {
    /// What a job would do; nothing for those that people are not told of.
    pub fn preview(&self, kind: JobKind) -> Preview {
        KINDS.iter().position(|known| *known == kind).map(|at| self.previews[at]).unwrap_or_default()
    }
}

/// What decides, besides the rows, what jobs would do. With another one nothing is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Decided {
    rules: SweepRules,
    bucket: &'static str,
    is_clock_wrong: bool,
    jobs: Vec<(u64, &'static str)>,
}

/// What was found last; one visitor looks at a time, and the others get what it found.
#[derive(Clone, Default)]
pub(super) struct Remembered(Arc<Mutex<Option<(Instant, Decided, Amounts)>>>);

impl Sweep {
    fn decided(&self) -> Decided {
        Decided {
            rules: self.rules(),
            bucket: self.library.remote().state().state,
            is_clock_wrong: self.view().paused == Some("clock"),
            jobs: self.jobs().list().iter().map(|job| (job.id, job.state)).collect(),
        }
    }

    /// Where bytes lie and what each job would do now, or, in a large library, a few seconds ago.
    ///
    /// # Errors
    /// [`LibraryError`].
    pub async fn amounts(&self) -> Result<Amounts, LibraryError> {
        let mut remembered = self.remembered.0.lock().await;
        let decided = self.decided();
        if let Some((at, before, amounts)) = &*remembered
            && amounts.figures.total >= LARGE
            && at.elapsed() < HOLD
            && *before == decided
        {
            return Ok(*amounts);
        }
        let (figures, places) = self.library.db().read(|c| Ok((image_figures(c)?, sweep::places(c)?))).await?;
        let mut previews = [Preview::default(); KINDS.len()];
        for (preview, kind) in previews.iter_mut().zip(KINDS) {
            *preview = self.preview(kind).await?;
        }
        let amounts = Amounts { figures, places, previews };
        *remembered = Some((Instant::now(), decided, amounts));
        Ok(amounts)
    }
}
