//! How each step is taken, and what must come of it at once.

use std::{collections::HashSet, time::Duration};

use picgate_gateway::{
    jobs::JobKind,
    library::{Deleted, Removed},
    model::{ImageId, Millis, now},
};

use super::{
    Mood, Step, What,
    invariants::{self, Row},
    world::{Fate, Image, World},
};
use crate::support::clock::Clock;

/// What was looked at, or saved, so lately is not removed by a machine.
const GRACE: Millis = 10 * 60 * 1000;

impl World {
    pub fn take(&mut self, clock: &Clock, step: &Step) -> Result<(), String> {
        match *step {
            Step::Save { picture, uploaded } => self.save(usize::from(picture), uploaded),
            Step::Get(ref index) => self.pick(index).map_or(Ok(()), |image| self.get(&image)),
            Step::GetElsewhere(ref index) => self.pick(index).map_or(Ok(()), |image| self.get_elsewhere(&image)),
            Step::Thumbnail(ref index) => self.pick(index).map_or(Ok(()), |image| self.thumbnail(&image)),
            Step::Sweep => self.sweep(),
            Step::Clear { last_copies } => self.clear(last_copies),
            Step::GetWhileClearing(ref index) => self.pick(index).map_or(Ok(()), |image| self.get_while_clearing(&image)),
            Step::Upload => self.upload(),
            Step::Bucket(mood) => {
                self.feel(mood);
                Ok(())
            }
            Step::Delete { ref image, what, last_copies } => {
                self.pick(image).map_or(Ok(()), |image| self.delete(&image, what, last_copies))
            }
            Step::Restart => {
                self.restart(false);
                self.reconciled()
            }
            Step::Kill { saving } => self.kill(saving.map(usize::from)),
            Step::Jump(by) => {
                self.shift += by;
                clock.shift(self.shift);
                Ok(())
            }
            Step::TrustClock => self.trust_clock(),
            Step::Set(key, value) => {
                self.set(key, value);
                Ok(())
            }
        }
    }

    fn pick(&self, index: &proptest::sample::Index) -> Option<Image> {
        (!self.images.is_empty()).then(|| index.get(&self.images).clone())
    }

    fn become_(&mut self, id: ImageId, fate: Fate) {
        self.images.iter_mut().filter(|image| image.id == id).for_each(|image| image.fate = fate);
    }

    fn save(&mut self, picture: usize, uploaded: bool) -> Result<(), String> {
        let id = self.on_gateway(self.saving(picture, uploaded))?;
        match self.images.iter().find(|image| image.id == id) {
            Some(image) if image.fate == Fate::Gone => return Err(format!("{id} was deleted and is given out again")),
            Some(_) => {}
            None => self.images.push(Image { id, picture, fate: Fate::Live }),
        }
        Ok(())
    }

    /// Whether the bucket does what it should, however slowly.
    fn is_well(&self) -> bool {
        self.used.is_some() && matches!(self.mood, Mood::Well | Mood::Slow)
    }

    async fn fetch(http: reqwest::Client, url: String) -> (u16, String, Option<Vec<u8>>) {
        let answer = http.get(url).send().await.expect("an answer");
        let media = answer.headers().get("content-type").map(|v| v.to_str().unwrap_or_default().to_owned());
        (answer.status().as_u16(), media.unwrap_or_default(), answer.bytes().await.ok().map(|bytes| bytes.to_vec()))
    }

    pub fn get(&mut self, image: &Image) -> Result<(), String> {
        let on_disk = invariants::on_disk(self, image.picture);
        let in_bucket = self.used.is_some_and(|name| invariants::in_bucket(self, name, image));
        let url = format!("{}/images/{}", self.one().url, image.id);
        let (status, media, body) = self.side.block_on(Self::fetch(self.http.clone(), url));
        let must = match image.fate {
            Fate::Live => on_disk || (in_bucket && self.is_well()),
            Fate::Forgotten => in_bucket && self.is_well(),
            Fate::Gone => false,
        };
        let is_right = status == 200 && body.as_ref().is_some_and(|body| *body == self.pictures[image.picture].bytes);
        let id = image.id;
        if image.fate == Fate::Gone && status == 200 && body.is_some() {
            return Err(format!("{id} was deleted and is served"));
        }
        if status == 200 && body.is_some() && !is_right {
            return Err(format!("{id} is served with other bytes"));
        }
        if is_right && media != "image/png" {
            return Err(format!("{id} is served as {media}"));
        }
        if must && !is_right {
            let received = body.map(|body| body.len());
            return Err(format!("{id} should be served (disk {on_disk}, bucket {in_bucket}): status {status}, {received:?} bytes"));
        }
        Ok(())
    }

    /// Another gateway serves what is in the bucket, unless it was asked too early; never anything else.
    fn get_elsewhere(&mut self, image: &Image) -> Result<(), String> {
        let url = format!("{}/images/{}", self.elsewhere().url, image.id);
        let (status, _, body) = self.side.block_on(Self::fetch(self.http.clone(), url));
        let wrong = status == 200 && body.is_some_and(|body| body != self.pictures[image.picture].bytes);
        if wrong { Err(format!("{} is served with other bytes by another gateway", image.id)) } else { Ok(()) }
    }

    fn thumbnail(&mut self, image: &Image) -> Result<(), String> {
        // One that no upload or restore will bring about would be waited for.
        if image.fate != Fate::Live || self.pictures[image.picture].bytes.len() > 100_000 || !invariants::on_disk(self, image.picture) {
            return Ok(());
        }
        let url = format!("{}/images/{}/thumbnail", self.one().url, image.id);
        let (status, media, _) = self.side.block_on(Self::fetch(self.http.clone(), url));
        if (status, media.as_str()) == (200, "image/jpeg") { Ok(()) } else { Err(format!("the thumbnail of {}: {status}", image.id)) }
    }

    fn upload(&mut self) -> Result<(), String> {
        if self.is_well() {
            return self.settle();
        }
        self.kick();
        std::thread::sleep(Duration::from_millis(5));
        Ok(())
    }

    /// What is gone from the rows since `before` must be among those that were allowed to; what became of it is noted.
    fn went(&mut self, before: &[Row], allowed: &HashSet<ImageId>, fate: Fate) -> Result<(), String> {
        let after: HashSet<ImageId> = invariants::rows(self).into_iter().map(|row| row.id).collect();
        for row in before.iter().filter(|row| !after.contains(&row.id)) {
            if !allowed.contains(&row.id) {
                return Err(format!("{} went by itself: {row:?}", row.id));
            }
            self.become_(row.id, fate);
        }
        Ok(())
    }

    fn setting(&self, key: &str, default: &'static str) -> &'static str {
        self.settings.get(key).copied().unwrap_or(default)
    }

    fn clock_is_wrong(&self) -> bool {
        invariants::last_tick(self).is_some_and(|last| now() - last > 14 * 24 * 3_600_000 || last - now() > GRACE)
    }

    /// What is done now and then: each of its jobs, and what each may cost.
    fn sweep(&mut self) -> Result<(), String> {
        let (before, wrong) = (invariants::rows(self), self.clock_is_wrong());
        let files = invariants::files(self);
        self.on_gateway(self.one().job(JobKind::CleanExpired, false));
        self.went(&before, &HashSet::new(), Fate::Gone)?;
        if wrong && invariants::files(self) != files {
            return Err("the clock jumped and files went".into());
        }
        // Beyond the cap, and only if that was chosen, what has no copy.
        let chosen = self.setting("evict_last_copy", "false") == "true" && self.setting("cache_cap_mb", "0") != "0" && !wrong;
        let over = invariants::bytes_on_disk(self) > 1024 * 1024;
        let before = invariants::rows(self);
        let may_go = |row: &&Row| chosen && over && row.accessed_at < now() - GRACE && row.copy != "stored";
        let allowed = before.iter().filter(may_go).map(|row| row.id).collect();
        self.on_gateway(self.one().job(JobKind::EnforceCap, false));
        self.went(&before, &allowed, Fate::Gone)?;
        let before = invariants::rows(self);
        let days: Millis = self.setting("retention_days", "365").parse().expect("a number");
        let cutoff = now() - days * 24 * 3_600_000;
        let old = |row: &&Row| !wrong && row.created_at < cutoff;
        let allowed = before.iter().filter(old).map(|row| row.id).collect();
        let objects_too = self.setting("delete_cloud_with_metadata", "false") == "true";
        self.on_gateway(self.one().job(JobKind::ForgetMetadata, false));
        self.went(&before, &allowed, if objects_too { Fate::Gone } else { Fate::Forgotten })
    }

    fn clear(&mut self, last_copies: bool) -> Result<(), String> {
        let before = invariants::rows(self);
        let allowed = before.iter().filter(|row| last_copies && row.copy != "stored" && row.present).map(|row| row.id).collect();
        self.on_gateway(self.one().job(JobKind::ClearLocal, last_copies));
        self.went(&before, &allowed, Fate::Gone)
    }

    fn get_while_clearing(&mut self, image: &Image) -> Result<(), String> {
        let (clearing, url) = (self.one().job(JobKind::ClearLocal, false), format!("{}/images/{}", self.one().url, image.id));
        let on_disk = invariants::on_disk(self, image.picture) && image.fate == Fate::Live;
        let clearing = self.one().runtime.spawn(clearing);
        let (status, _, body) = self.side.block_on(Self::fetch(self.http.clone(), url));
        self.side.block_on(clearing).expect("no panic");
        let is_right = body.is_some_and(|body| body == self.pictures[image.picture].bytes);
        // What was there when it was asked for is served, from disk or from the bucket to which it had just gone.
        if on_disk && (self.is_well() || self.used.is_none()) && !is_right {
            return Err(format!("{} is not served while the disk is cleared: {status}", image.id));
        }
        Ok(())
    }

    fn delete(&mut self, image: &Image, what: What, last_copies: bool) -> Result<(), String> {
        let (library, id) = (self.one().library.clone(), image.id);
        let before = invariants::rows(self);
        let row = before.iter().find(|row| row.id == id).cloned();
        let failed = |error: picgate_gateway::library::LibraryError| error.to_string();
        match what {
            What::All => {
                let deleted = self.on_gateway(async move { library.delete(&[id]).await }).map_err(failed)?;
                if row.is_some() != (deleted == [(id, Deleted::Gone)]) {
                    return Err(format!("deleting {id}: {deleted:?}"));
                }
                self.become_(id, Fate::Gone);
            }
            What::Local => {
                let removed = self.on_gateway(async move { library.remove_local(id, last_copies).await }).map_err(failed)?;
                // The image itself goes only if it had no copy, and if that was said.
                let allowed = row.filter(|row| removed == Removed::Gone && last_copies && row.copy != "stored").map(|row| row.id);
                let without_bucket = (removed == Removed::Gone && last_copies && self.used.is_none()).then_some(id);
                return self.went(&before, &allowed.into_iter().chain(without_bucket).collect(), Fate::Gone);
            }
            What::Cloud => {
                let removed = self.on_gateway(async move { library.remove_cloud(id, last_copies).await }).map_err(failed)?;
                let allowed = row.filter(|row| removed == Removed::Gone && last_copies && !row.present).map(|row| row.id);
                return self.went(&before, &allowed.into_iter().collect(), Fate::Gone);
            }
        }
        Ok(())
    }

    fn kill(&mut self, saving: Option<usize>) -> Result<(), String> {
        if let Some(picture) = saving {
            let save = self.saving(picture, false);
            drop(self.one().runtime.spawn(save));
            self.cut_off.push(picture);
            // Some way into it, a different one each time.
            std::thread::sleep(Duration::from_micros(u64::from(std::process::id() ^ self.images.len() as u32) * 137 % 3000));
        }
        self.restart(true);
        self.reconciled()
    }

    /// After a start, disk and database agree; what a kill left of a save may be an image of its own now.
    fn reconciled(&mut self) -> Result<(), String> {
        invariants::until_reconciled(self)?;
        for row in invariants::rows(self) {
            if self.images.iter().any(|image| image.id == row.id && image.fate == Fate::Live) {
                continue;
            }
            if let Some(image) = self.images.iter().find(|image| image.id == row.id) {
                if image.fate == Fate::Gone {
                    return Err(format!("{} was deleted and is back after a start", row.id));
                }
                self.become_(row.id, Fate::Live);
                continue;
            }
            let Some(picture) = self.cut_off.iter().copied().find(|at| self.pictures[*at].sha256 == row.sha256) else {
                return Err(format!("{} came from nowhere: {row:?}", row.id));
            };
            self.images.push(Image { id: row.id, picture, fate: Fate::Live });
        }
        Ok(())
    }
}
