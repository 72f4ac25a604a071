//! The integration tests, one binary: what is true of safelight as a whole.
#![expect(
    clippy::unwrap_used,
    reason = "here an unwrap that panics is a test that fails, as it should"
)]

mod alive;
mod batches;
mod by_hand;
mod crash;
mod demo;
mod fence;
mod fleet;
mod harness;
mod idle;
mod job;
mod limits;
mod log;
mod money;
mod odd;
mod ops;
mod outage;
mod pooler;
mod readme;
mod schema;
mod shutdown;
mod simulate;
mod tidy;
mod wakeup;
