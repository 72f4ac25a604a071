//! How long to wait before the next try. Jitter is passed in, so that each formula is a table.

use std::time::Duration;

/// First wait after a retryable error; doubles with each attempt counted before.
const RETRY_BASE: Duration = Duration::from_secs(8);
/// First wait after a 429 without a stated delay (seed 000: 500, 1000, 2000 ms).
const LIMITED_BASE: Duration = Duration::from_millis(500);
/// No wait that we choose ourselves is longer.
const CEILING: Duration = Duration::from_mins(5);
/// Up to this share of a wait is added at random, so that a fleet does not come back as one.
const JITTER_SHARE: f64 = 0.1;

/// After a retryable error: 8 s × 2ⁿ, n = attempts counted before; at most 300 s, plus jitter.
pub fn after_error(attempts_before: u32, jitter: Jitter) -> Duration {
    jitter.added_to(doubled(RETRY_BASE, attempts_before))
}

/// After a 429: the larger of what the provider stated and 500 ms × 2ⁿ, n = 429s in a row before
/// this one. The doubling stops at 2 s when a wait was stated and at 300 s when none was.
/// Returned without jitter, because the caller decides by this length how to wait.
pub fn after_limited(limited_before: u32, stated: Option<Duration>) -> Duration {
    match stated {
        Some(stated) => stated.max(doubled(LIMITED_BASE, limited_before.min(2))),
        None => doubled(LIMITED_BASE, limited_before),
    }
}

fn doubled(base: Duration, times: u32) -> Duration {
    base.saturating_mul(2_u32.saturating_pow(times))
        .min(CEILING)
}

/// A number in `0.0..1.0`, drawn by whoever has a random source.
#[derive(Clone, Copy, Debug)]
pub struct Jitter(pub f64);

impl Jitter {
    /// The wait, lengthened by up to a tenth.
    pub fn added_to(self, wait: Duration) -> Duration {
        wait + wait.mul_f64(self.0.clamp(0.0, 1.0) * JITTER_SHARE)
    }
}

#[cfg(test)]
mod tests;
