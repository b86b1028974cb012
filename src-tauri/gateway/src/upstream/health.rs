//! How upstreams did lately: told to people, decided by nobody.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use super::{Upstream, UpstreamError};
use crate::model::now;

/// Calls that the median is of.
const RECENT: usize = 20;

/// How one did.
#[derive(Clone, Debug, Default)]
pub struct HealthState {
    /// When it last answered.
    pub last_ok_at: Option<i64>,
    /// When it last failed, the code of its class, and what it said.
    pub last_error: Option<(i64, &'static str, String)>,
    recent: VecDeque<i64>,
}

impl HealthState {
    /// Until it answered, of the last calls, in milliseconds.
    pub fn median_ms(&self) -> Option<i64> {
        let mut times: Vec<i64> = self.recent.iter().copied().collect();
        times.sort_unstable();
        times.get(times.len() / 2).copied()
    }
}

/// How all did, since the start. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Healths(Arc<Mutex<HashMap<String, HealthState>>>);

impl Healths {
    /// How `upstream` did.
    pub fn of(&self, upstream: &dyn Upstream) -> HealthState {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&upstream.identity()).cloned().unwrap_or_default()
    }

    /// It answered after `ms`; whether that is news.
    pub fn answered(&self, upstream: &dyn Upstream, ms: i64) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let state = all.entry(upstream.identity()).or_default();
        let failed_last = state.last_error.as_ref().is_some_and(|(at, ..)| state.last_ok_at.is_none_or(|ok| ok <= *at));
        let is_news = state.last_ok_at.is_none() || failed_last;
        state.last_ok_at = Some(now());
        if state.recent.len() == RECENT {
            state.recent.pop_front();
        }
        state.recent.push_back(ms);
        is_news
    }

    /// It failed.
    pub fn failed(&self, upstream: &dyn Upstream, error: &UpstreamError) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(upstream.identity()).or_default().last_error = Some((now(), error.class.code(), error.message.clone()));
    }
}
