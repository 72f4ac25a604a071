//! The integration tests, one binary: what is true of safelight as a whole.
#![expect(
    clippy::unwrap_used,
    reason = "here an unwrap that panics is a test that fails, as it should"
)]

mod demo;
mod harness;
mod job;
mod tidy;
