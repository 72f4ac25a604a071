//! How often somebody may call: each tenant by itself, and each address that sends wrong keys.
//!
//! Per process, since this protects the process. What a wrong key costs is little, so who sends the right
//! one is let in however many wrong ones came from the same address: behind a proxy that is everybody's.

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use governor::clock::Clock as _;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::api::caller::Caller;
use crate::api::error::ApiError;

/// Wrong keys and tokens of one address in a minute: a person who mistypes, or a page with an old link.
const FAILURES_PER_MINUTE: u32 = 60;
/// After so many looks those who have not called for a while are forgotten.
const FORGET_EVERY: u32 = 1000;

#[derive(Debug)]
pub(super) struct Limits {
    callers: Option<Limit<String>>,
    failures: Option<Limit<IpAddr>>,
}

impl Limits {
    /// 0: any number.
    pub(super) fn new(requests_per_minute: u32) -> Self {
        Self {
            callers: Limit::new(requests_per_minute),
            failures: Limit::new(FAILURES_PER_MINUTE),
        }
    }

    /// # Errors
    /// 429 for a caller that calls too often. A service calls for all its customers, and is not counted.
    pub(super) fn count(&self, caller: &Caller) -> Result<(), ApiError> {
        let name = match caller {
            Caller::Service => return Ok(()),
            Caller::Team(team) => format!("team:{team}"),
            Caller::User(user) => format!("user:{user}"),
            Caller::Viewer { job, .. } => format!("job:{job}"),
        };
        count(self.callers.as_ref(), &name)
    }

    /// # Errors
    /// 429 for an address that sends wrong keys too often.
    pub(super) fn count_failure(&self, peer: IpAddr) -> Result<(), ApiError> {
        count(self.failures.as_ref(), &household(peer))
    }
}

fn count<K: Clone + Eq + Hash>(limit: Option<&Limit<K>>, key: &K) -> Result<(), ApiError> {
    limit.map_or(Ok(()), |limit| limit.count(key))
}

/// Whoever has one address of version 6 has the 2^64 beside it.
fn household(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => IpAddr::V4(address),
            None => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        },
    }
}

/// So many in a minute, each key by itself. Who was quiet for a minute may do all of them at once.
#[derive(Debug)]
struct Limit<K: Clone + Eq + Hash> {
    limiter: DefaultKeyedRateLimiter<K>,
    counted: AtomicU32,
}

impl<K: Clone + Eq + Hash> Limit<K> {
    /// Without a number there is no limit.
    fn new(per_minute: u32) -> Option<Self> {
        Some(Self {
            limiter: RateLimiter::keyed(Quota::per_minute(NonZeroU32::new(per_minute)?)),
            counted: AtomicU32::new(0),
        })
    }

    fn count(&self, key: &K) -> Result<(), ApiError> {
        if self.counted.fetch_add(1, Ordering::Relaxed) % FORGET_EVERY == FORGET_EVERY - 1 {
            self.limiter.retain_recent();
        }
        self.limiter
            .check_key(key)
            .map_err(|over| ApiError::TooMany(self.wait(&over)))
    }

    fn wait(&self, over: &governor::NotUntil<std::time::Instant>) -> Duration {
        over.wait_time_from(self.limiter.clock().now())
    }
}

#[cfg(test)]
mod tests;
