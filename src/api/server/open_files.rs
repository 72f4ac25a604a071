//! How many files this process may have open: each connection is one.
//!
//! Where that number is reached, nothing can be opened any more, no connection to the database and no
//! picture either, so a server takes fewer connections than that.

use std::fs;

/// Files that are not callers' connections: the database, pictures that are read or written, calls to
/// providers and the pictures that they name.
const RESERVE: usize = 256;
/// Where hardly any may be open, too, somebody must be served.
const FEWEST: usize = 16;

/// The connections that there is room for, if it is known: elsewhere than on Linux it is not.
pub(super) fn room() -> Option<usize> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    room_within(&limits)
}

fn room_within(limits: &str) -> Option<usize> {
    let mut lines = limits.lines();
    let numbers = lines.find_map(|line| line.strip_prefix("Max open files"))?;
    // The soft limit, then the hard one; "unlimited" is no number.
    let soft: usize = numbers.split_whitespace().next()?.parse().ok()?;
    Some(soft.saturating_sub(RESERVE).max(FEWEST))
}

#[cfg(test)]
mod tests;
