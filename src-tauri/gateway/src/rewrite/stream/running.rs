//! Texts that run on from event to event: where an image in them ends, and which choice it belongs to.

use super::ChatStream;
use crate::rewrite::{
    choice::ChoiceSink,
    finder::Finder,
    response::{Known, Part},
    scan::RUNNING,
};

impl ChatStream {
    /// The texts that run on in the scanner end here.
    pub(super) fn end_running(&mut self) -> [Vec<Part>; RUNNING.len()] {
        let mut events = Vec::new();
        let rest = self.scanner.end_running(&mut events);
        self.absorb(events);
        let known = Known { nonce: self.nonce, references: &self.references };
        rest.map(|text| known.split(&text))
    }

    /// In a stream of several choices, images are found once more in the text of each: they may be split over events
    /// that are not next to each other.
    pub(super) fn look_again(&mut self, at: (usize, usize), parts: Vec<Part>, finished: bool) -> Vec<Part> {
        let channel = self.channels.entry(at).or_default();
        let (mut finder, run) = (std::mem::take(&mut channel.finder), channel.run);
        let mut found = ChoiceSink { scanner: &mut self.scanner, run, parts: Vec::new(), text: Vec::new(), events: Vec::new() };
        for part in parts {
            match part {
                Part::Text(text) => finder.plain(text.as_bytes(), &mut found),
                Part::Image(index) => {
                    finder.end(&mut found);
                    found.flush();
                    found.parts.push(Part::Image(index));
                    if let Some(decoder) = self.suspended.remove(&index) {
                        finder = Finder::resume(decoder);
                        found.run = index;
                    }
                }
            }
        }
        if finished {
            finder.end(&mut found);
        } else {
            finder.pause(&mut found);
        }
        found.flush();
        let ChoiceSink { run, parts, events, .. } = found;
        let channel = self.channels.entry(at).or_default();
        (channel.finder, channel.run) = (finder, run);
        self.absorb(events);
        if finished {
            self.close_suspended();
        }
        parts
    }
}
