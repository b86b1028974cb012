//! Tickets open the door once: the one for the first set-up, which is in the log, and those that the desktop app hands to
//! its own windows.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use subtle::ConstantTimeEq;

/// How long a ticket of the desktop app is good.
const SHORT: Duration = Duration::from_secs(60);

/// Tickets of the desktop app at once.
const TICKETS_MAX: usize = 16;

/// See the module.
#[derive(Debug, Default)]
pub struct Tickets {
    /// Good until it is used.
    lasting: Mutex<Option<String>>,
    short: Mutex<Vec<(String, Instant)>>,
}

/// 256 random bits in hexadecimal; `None` if the system has none.
pub fn random() -> Option<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).ok()?;
    Some(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

fn is_same(a: &str, b: &str) -> bool {
    !a.is_empty() && bool::from(a.as_bytes().ct_eq(b.as_bytes()))
}

impl Tickets {
    /// With one that is good until it is used.
    pub fn with(lasting: Option<String>) -> Self {
        Self { lasting: Mutex::new(lasting), short: Mutex::default() }
    }

    /// A ticket that is good for a minute; `None` if the system has no random numbers.
    pub fn issue(&self) -> Option<String> {
        let ticket = random()?;
        let mut short = self.short.lock().unwrap_or_else(PoisonError::into_inner);
        short.retain(|(_, until)| *until > Instant::now());
        if short.len() == TICKETS_MAX {
            short.remove(0);
        }
        short.push((ticket.clone(), Instant::now() + SHORT));
        Some(ticket)
    }

    /// Whether `ticket` is good; it stays so.
    pub fn is_valid(&self, ticket: &str) -> bool {
        let lasting = self.lasting.lock().unwrap_or_else(PoisonError::into_inner);
        let short = self.short.lock().unwrap_or_else(PoisonError::into_inner);
        lasting.as_deref().is_some_and(|known| is_same(known, ticket))
            || short.iter().any(|(known, until)| *until > Instant::now() && is_same(known, ticket))
    }

    /// Uses `ticket` up; whether it was good.
    pub fn use_up(&self, ticket: &str) -> bool {
        let valid = self.is_valid(ticket);
        let mut lasting = self.lasting.lock().unwrap_or_else(PoisonError::into_inner);
        if lasting.as_deref().is_some_and(|known| is_same(known, ticket)) {
            *lasting = None;
        }
        self.short.lock().unwrap_or_else(PoisonError::into_inner).retain(|(known, _)| !is_same(known, ticket));
        valid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_opens_once() {
        let tickets = Tickets::with(Some("abc".into()));
        let short = tickets.issue().expect("random numbers");
        assert!(tickets.is_valid("abc") && tickets.is_valid(&short));
        assert!(!tickets.is_valid("") && !tickets.is_valid("abd") && !Tickets::default().is_valid(""));
        assert!(tickets.use_up("abc") && !tickets.use_up("abc"));
        assert!(tickets.use_up(&short) && !tickets.use_up(&short));
    }
}
