//! Who tells and who listens of what happens. Nobody waits for a listener: one that is too slow misses something and asks
//! for a snapshot.

use tokio::sync::broadcast;

use crate::model::Event;

/// Events that a slow listener may be behind.
const BEHIND_MAX: usize = 512;

/// A handle; clones share the listeners.
#[derive(Clone, Debug)]
pub struct Events(broadcast::Sender<Event>);

impl Default for Events {
    fn default() -> Self {
        Self(broadcast::channel(BEHIND_MAX).0)
    }
}

impl Events {
    /// Tells whoever listens.
    pub fn tell(&self, event: Event) {
        // Nobody listens: nothing is lost.
        let _ = self.0.send(event);
    }

    /// Listens from now on.
    pub fn listen(&self) -> broadcast::Receiver<Event> {
        self.0.subscribe()
    }
}
