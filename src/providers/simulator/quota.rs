//! What one account may ask of one model, counted over a window that truly slides.
//!
//! Stricter than a counter per minute: in no stretch of the window's length, wherever it begins,
//! do more calls pass than the quota says. The clock is a parameter: time since the start.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Limits of each account and model; what is `None` is not limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Quota {
    /// Calls accepted per [`Quota::window_ms`].
    pub requests_per_minute: Option<u32>,
    /// Calls accepted since the simulator started; its day does not end.
    pub requests_per_day: Option<u32>,
    /// Calls in flight at a time.
    pub max_concurrent: Option<u32>,
    /// Length of the "minute"; tests make it shorter.
    pub window_ms: u64,
}

impl Default for Quota {
    fn default() -> Self {
        Self {
            requests_per_minute: None,
            requests_per_day: None,
            max_concurrent: None,
            window_ms: 60_000,
        }
    }
}

/// Why a call does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// More than `limit` in the window; the next one passes after `wait`.
    Minute { wait: Duration, limit: u32 },
    /// The day's quota is used up.
    Day,
    /// Too many at a time.
    Concurrent,
}

/// The calls of one account and model.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// When the calls within the window were accepted, oldest first.
    accepted: VecDeque<Duration>,
    today: u32,
    in_flight: u32,
}

impl Meter {
    /// Accepts a call, or says why not. Only accepted calls count.
    pub(super) fn admit(&mut self, quota: &Quota, now: Duration) -> Result<(), Refusal> {
        let window = Duration::from_millis(quota.window_ms);
        while self.accepted.front().is_some_and(|at| *at + window <= now) {
            self.accepted.pop_front();
        }
        if quota
            .requests_per_day
            .is_some_and(|most| self.today >= most)
        {
            return Err(Refusal::Day);
        }
        if quota
            .max_concurrent
            .is_some_and(|most| self.in_flight >= most)
        {
            return Err(Refusal::Concurrent);
        }
        if let Some(limit) = quota.requests_per_minute {
            let most = usize::try_from(limit).unwrap_or(usize::MAX);
            if let Some(room) = self.accepted.len().checked_sub(most) {
                // The call that must leave the window before this one fits; with a quota of
                // none at all a whole window is as good an answer as any.
                let leaves = self.accepted.get(room).map_or(now, |at| *at) + window;
                return Err(Refusal::Minute {
                    wait: leaves.saturating_sub(now),
                    limit,
                });
            }
        }
        self.accepted.push_back(now);
        self.today += 1;
        self.in_flight += 1;
        Ok(())
    }

    /// An accepted call holds its place no longer.
    pub(super) fn leave(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight
    }
}

#[cfg(test)]
mod tests;
