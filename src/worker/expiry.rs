//! When a job that is being worked expires.
//!
//! The claim says how long that is from now on the database's clock; from there on our own, which
//! never jumps, counts. What is decided here is only how long we wait: whether a call may be made
//! the database says itself, at the last gate before money.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The end of a job's time. It is not the end of its calls: one in flight is paid for, and kept.
#[derive(Debug)]
pub(super) struct Expiry {
    /// `None`: never, or later than anybody can count.
    at: Option<Instant>,
    /// The database has said so before our own clock did.
    told: CancellationToken,
}

impl Expiry {
    /// From now on, so long as the claim said.
    pub(super) fn after(left: Option<Duration>) -> Self {
        Self {
            at: left.and_then(|left| Instant::now().checked_add(left)),
            told: CancellationToken::new(),
        }
    }

    /// The database says that it is over.
    pub(super) fn tell(&self) {
        self.told.cancel();
    }

    pub(super) fn has_passed(&self) -> bool {
        self.told.is_cancelled() || self.at.is_some_and(|at| at <= Instant::now())
    }

    /// Returns when it has passed.
    pub(super) async fn passed(&self) {
        let over = async {
            match self.at {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.told.cancelled() => {}
            () = over => {}
        }
    }
}

#[cfg(test)]
mod tests;
