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

/// How long a failure counts.
const WINDOW: Duration = Duration::from_secs(300);

/// Addresses that are remembered.
const KNOWN_MAX: usize = 4096;

/// See the module.
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
    /// Whether an attempt may be made.
    ///
    /// # Errors
    /// [`AccountError::TooMany`], with how long to wait.
    pub fn check(&self, address: IpAddr) -> Result<(), AccountError> {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        failures.retain(|_, times| {
            times.retain(|at| now - *at < WINDOW);
            !times.is_empty()
        });
        let wait = |times: &mut dyn Iterator<Item = &Instant>, most: usize| {
            let mut times: Vec<Instant> = times.copied().collect();
            times.sort_unstable();
            let oldest = times.len().checked_sub(most).map(|at| times[at])?;
            Some(WINDOW - (now - oldest))
        };
        let own = failures.get(&key(address)).and_then(|times| wait(&mut times.iter(), ADDRESS_MAX));
        let all = wait(&mut failures.values().flatten(), ALL_MAX);
        match own.into_iter().chain(all).max() {
            Some(after) => Err(AccountError::TooMany(after)),
            None => Ok(()),
        }
    }

    /// An attempt failed.
    pub fn failed(&self, address: IpAddr) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() < KNOWN_MAX || failures.contains_key(&key(address)) {
            failures.entry(key(address)).or_default().push(Instant::now());
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
            assert!(throttle.check(guesser).is_ok(), "attempt {n}");
            throttle.failed(guesser);
        }
        let neighbour = "2001:db8::ffff".parse().expect("an address");
        for address in [guesser, neighbour] {
            assert!(matches!(throttle.check(address), Err(AccountError::TooMany(after)) if after > Duration::from_secs(290)));
        }
        assert!(throttle.check(other).is_ok());
    }

    #[test]
    fn many_addresses_are_one_guesser() {
        let throttle = Throttle::default();
        for n in 0..ALL_MAX {
            throttle.failed(IpAddr::from([10, 0, 0, n as u8]));
        }
        assert!(throttle.check(IpAddr::from([10, 9, 9, 9])).is_err());
    }
}
