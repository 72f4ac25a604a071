//! When a message to an app that was not taken is tried again, and when it is given up.
//!
//! The waits are those that Standard Webhooks advises: the first retries are for a deployment of the
//! receiver, the last ones for a weekend.

use std::time::Duration;

use super::backoff::Jitter;

/// Between the first try and the second, and so on; after the last one it is given up, three days later.
const WAITS: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(5),
    Duration::from_hours(10),
    Duration::from_hours(14),
    Duration::from_hours(20),
    Duration::from_hours(24),
];
/// A receiver that asks for more patience than this is asked once a day all the same.
const MOST_PATIENCE: Duration = Duration::from_hours(24);

/// How long to wait after so many tries; `stated` is what the receiver asked for. `None`: no more.
pub fn after_failure(tries: u32, stated: Option<Duration>, jitter: Jitter) -> Option<Duration> {
    let before = usize::try_from(tries.saturating_sub(1)).ok()?;
    let wait = *WAITS.get(before)?;
    let stated = stated.unwrap_or_default().min(MOST_PATIENCE);
    Some(jitter.added_to(wait.max(stated)))
}

#[cfg(test)]
mod tests;
