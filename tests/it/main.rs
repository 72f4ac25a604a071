//! The integration tests, one binary: what is true of safelight as a whole.
#![expect(
    clippy::unwrap_used,
    reason = "here an unwrap that panics is a test that fails, as it should"
)]

mod alive;
mod batches;
mod crash;
mod demo;
mod fence;
mod harness;
mod job;
mod limits;
mod money;
mod schema;
mod shutdown;
mod tidy;
mod wakeup;
