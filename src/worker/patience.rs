//! How long a job is waited for, and a call that it can do without.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A question to the small model, waiting for permission included, is given up after this.
const LOOK_WITHIN: Duration = Duration::from_secs(7);
/// In two or three seconds the small model answers: in less there is no use in asking.
const LOOK_TAKES: Duration = Duration::from_secs(2);

/// How long a job may go without a finished image. Waiting for quota is not counted.
pub(super) struct Patience {
    limit: Duration,
    since: Mutex<Instant>,
}

impl Patience {
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            limit,
            since: Mutex::new(Instant::now()),
        }
    }

    pub(super) fn renew(&self) {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Returns when it has run out.
    pub(super) async fn exhausted(&self) {
        loop {
            let until = *self.since.lock().unwrap_or_else(PoisonError::into_inner) + self.limit;
            if until <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }
}

/// Until when a call is waited for that its job can do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Until {
    /// After this moment it is not begun, ...
    pub(super) begin: Instant,
    /// ... and after this one its answer is not waited for any more.
    pub(super) end: Instant,
}

impl Until {
    /// Of a question to the small model that is asked now, permission and all.
    pub(super) fn look(now: Instant) -> Self {
        Self::answered(now + LOOK_WITHIN)
    }

    /// The same, but nobody has a use for its answer after `moment`.
    pub(super) fn look_before(moment: Instant, now: Instant) -> Self {
        Self::answered(moment.min(now + LOOK_WITHIN))
    }

    fn answered(end: Instant) -> Self {
        Self {
            begin: end.checked_sub(LOOK_TAKES).unwrap_or(end),
            end,
        }
    }

    pub(super) fn is_too_late(self, now: Instant) -> bool {
        self.begin <= now
    }

    /// How long its answer is waited for from now on, if else it were for `deadline`.
    pub(super) fn within(self, deadline: Duration, now: Instant) -> Duration {
        deadline.min(self.end.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests;
