//! Watches how much room the disk has, and tells when it is nearly full and when there is room again.

use std::{sync::Arc, time::Duration};

use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::{events::Events, model::Event, store::Files};

/// Someone who wants to hear whether the disk is nearly full.
pub trait DiskReport: Send + Sync + 'static {
    /// It is, or there is room again.
    fn disk_low(&self, low: bool);
}

/// With less than this the disk counts as nearly full: some dozens of large pictures and what the database needs.
const LOW: u64 = 1024 * 1024 * 1024;

/// On small disks: a twentieth of it.
const LOW_PART: u64 = 20;

/// How often it is looked at besides after every image.
const LOOK: Duration = Duration::from_secs(30);

/// Looks until `stop`.
pub async fn watch_disk(files: Files, events: Events, report: Arc<impl DiskReport>, stop: CancellationToken) {
    let mut heard = events.listen();
    let mut low = false;
    loop {
        if let Some((free, total)) = files.space()
            && is_low(free, total, low) != low
        {
            low = !low;
            report.disk_low(low);
            match low {
                true => tracing::warn!(event = "disk_low", free, total, "the disk is nearly full"),
                false => tracing::info!(event = "disk_roomy", free, "the disk has room again"),
            }
            events.tell(Event::Disk(low.then_some(free)));
        }
        let look = async {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = saved(&mut heard) => {}
            }
        };
        if stop.run_until_cancelled(look).await.is_none() {
            return;
        }
    }
}

/// Waits for something that changes how much room there is.
async fn saved(heard: &mut tokio::sync::broadcast::Receiver<Event>) {
    loop {
        match heard.recv().await {
            Ok(Event::Saved(_) | Event::Deleted(_)) | Err(RecvError::Lagged(_)) => return,
            Ok(_) => {}
            Err(RecvError::Closed) => return std::future::pending().await,
        }
    }
}

/// Whether it is nearly full; once it `was`, until there is half as much room again, so that nobody is told twice.
fn is_low(free: u64, total: u64, was: bool) -> bool {
    let limit = LOW.min(total / LOW_PART);
    free < if was { limit + limit / 2 } else { limit }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearly_full_is_told_once() {
        const GB: u64 = 1024 * 1024 * 1024;
        assert!(!is_low(2 * GB, 500 * GB, false));
        assert!(is_low(GB - 1, 500 * GB, false));
        assert!(is_low(GB + GB / 4, 500 * GB, true), "not yet room again");
        assert!(!is_low(2 * GB, 500 * GB, true));
        assert!(!is_low(GB / 2, 4 * GB, false), "a small disk is not always nearly full");
        assert!(is_low(GB / 10, 4 * GB, false));
        assert!(!is_low(0, 0, false), "a file system that does not tell");
    }
}
