//! How long a job is waited for.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

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
