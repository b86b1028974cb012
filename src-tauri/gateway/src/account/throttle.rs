//! Slows down whoever guesses: a few attempts, then a pause, for each address and for all together.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::AccountError;

/// Failures of one address within [`WINDOW`] before it has to wait.
const ADDRESS_MAX: usize = 5;

/// Failures of all addresses within [`WINDOW`]: many addresses are one guesser.
const ALL_MAX: usize = 30;

/// Failures of all addresses within [`BURST`], so that guessing never keeps the processors busy.
const BURST_MAX: usize = 10;

/// See [`BURST_MAX`].
const BURST: Duration = Duration::from_secs(60);

/// How long a failure counts.
const WINDOW: Duration = Duration::from_secs(300);

/// See the module. It remembers no more addresses than [`ALL_MAX`].
#[derive(Debug, Default)]
pub struct Throttle(Mutex<HashMap<IpAddr, Vec<Instant>>>);

/// Who shares a /64 is one visitor.
fn key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let mut octets = v6.octets();
            octets[8..].fill(0);
            IpAddr::from(octets)
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

impl Throttle {
    /// Leave to try. The attempt counts as failed from now on, so that a thousand at once are no way around the limit; who
    /// succeeds takes it back.
    ///
    /// # Errors
    /// [`AccountError::TooMany`], with how long to wait.
    pub fn begin(&self, address: IpAddr) -> Result<Attempt<'_>, AccountError> {
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
        let own = failures.get(&key(address)).and_then(|times| wait(&mut times.iter(), ADDRESS_MAX, WINDOW));
        let all = wait(&mut failures.values().flatten(), ALL_MAX, WINDOW);
        let burst = wait(&mut failures.values().flatten(), BURST_MAX, BURST);
        if let Some(after) = own.into_iter().chain(all).chain(burst).max() {
            return Err(AccountError::TooMany(after));
        }
        failures.entry(key(address)).or_default().push(now);
        Ok(Attempt { throttle: self, address: key(address), at: now })
    }
}

/// An attempt under way.
#[derive(Debug)]
pub struct Attempt<'a> {
    throttle: &'a Throttle,
    address: IpAddr,
    at: Instant,
}

impl Attempt<'_> {
    /// It was no guess: it counts no longer.
    pub fn succeeded(self) {
        let mut failures = self.throttle.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(times) = failures.get_mut(&self.address)
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
        for n in 0..ADDRESS_MAX {
            throttle.begin(guesser).expect("leave").succeeded();
            assert!(throttle.begin(guesser).is_ok(), "attempt {n}");
        }
        let neighbour = "2001:db8::ffff".parse().expect("an address");
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
