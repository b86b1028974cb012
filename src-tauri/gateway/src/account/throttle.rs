//! Slows down whoever guesses: a few attempts, then a pause, for each address or session and for all together.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::AccountError;

/// Failures of one guesser within [`WINDOW`] before it has to wait.
const OWN_MAX: usize = 5;

/// Failures of all within [`WINDOW`]: many addresses are one guesser.
const ALL_MAX: usize = 30;

/// Failures of all within [`BURST`], so that guessing never keeps the processors busy.
const BURST_MAX: usize = 10;

/// See [`BURST_MAX`].
const BURST: Duration = Duration::from_secs(60);

/// How long a failure counts.
const WINDOW: Duration = Duration::from_secs(300);

/// Who guesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Guesser {
    /// Somebody outside.
    Address(IpAddr),
    /// Somebody with a session.
    Session(i64),
}

impl From<IpAddr> for Guesser {
    /// Who shares a /64 is one visitor.
    fn from(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V6(v6) => {
                let mut octets = v6.octets();
                octets[8..].fill(0);
                IpAddr::from(octets)
            }
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

/// See the module. It remembers no more guessers than [`ALL_MAX`].
#[derive(Debug, Default)]
pub struct Throttle(Mutex<HashMap<Guesser, Vec<Instant>>>);

impl Throttle {
    /// Leave to try. The attempt counts as failed from now on, so that a thousand at once are no way around the limit; who
    /// succeeds takes it back.
    ///
    /// # Errors
    /// [`AccountError::TooMany`], with how long to wait.
    pub fn begin(&self, guesser: impl Into<Guesser>) -> Result<Attempt<'_>, AccountError> {
        let guesser = guesser.into();
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        failures.retain(|_, times| {
            times.retain(|at| now - *at < WINDOW);
            !times.is_empty()
        });
        let wait = |times: &mut dyn Iterator<Item = &Instant>, most: usize, window: Duration| {
            let mut times: Vec<Instant> = times.copied().filter(|at| now - *at < window).collect();
            times.sort_unstable();
            let oldest = times.len().checked_sub(most).map(|at| times[at])?;
            Some(window - (now - oldest))
        };
        let own = failures.get(&guesser).and_then(|times| wait(&mut times.iter(), OWN_MAX, WINDOW));
        let all = wait(&mut failures.values().flatten(), ALL_MAX, WINDOW);
        let burst = wait(&mut failures.values().flatten(), BURST_MAX, BURST);
        if let Some(after) = own.into_iter().chain(all).chain(burst).max() {
            return Err(AccountError::TooMany(after));
        }
        failures.entry(guesser).or_default().push(now);
        Ok(Attempt { throttle: self, guesser, at: now })
    }
}

/// An attempt under way.
#[derive(Debug)]
pub struct Attempt<'a> {
    throttle: &'a Throttle,
    guesser: Guesser,
    at: Instant,
}

impl Attempt<'_> {
    /// It was no guess: it counts no longer.
    pub fn succeeded(self) {
        let mut failures = self.throttle.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(times) = failures.get_mut(&self.guesser)
            && let Some(place) = times.iter().position(|at| *at == self.at)
        {
            times.remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_fails_often_has_to_wait_and_others_do_not() {
        let throttle = Throttle::default();
        let (guesser, other): (IpAddr, IpAddr) = ("2001:db8::1".parse().expect("an address"), "10.0.0.1".parse().expect("an address"));
        for n in 0..OWN_MAX {
            throttle.begin(guesser).expect("leave").succeeded();
            assert!(throttle.begin(guesser).is_ok(), "attempt {n}");
        }
        let neighbour: IpAddr = "2001:db8::ffff".parse().expect("an address");
        for address in [guesser, neighbour] {
            assert!(matches!(throttle.begin(address), Err(AccountError::TooMany(after)) if after > Duration::from_secs(290)));
        }
        assert!(throttle.begin(other).is_ok());
    }

    #[test]
    fn many_addresses_are_one_guesser() {
        let throttle = Throttle::default();
        let leave = (0..=u8::MAX).filter(|n| throttle.begin(IpAddr::from([10, 0, 0, *n])).is_ok()).count();
        assert_eq!(leave, BURST_MAX);
    }
}
