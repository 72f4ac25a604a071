//! The integration tests, one binary: what is true of safelight as a whole.
#![expect(
    clippy::unwrap_used,
    reason = "here an unwrap that panics is a test that fails, as it should"
)]

mod adoption;
mod alive;
mod answers;
mod bad_rows;
mod batches;
mod by_hand;
mod crash;
mod credits;
mod demo;
mod doctor;
mod download;
mod enqueue;
mod expiry;
mod fence;
mod fleet;
mod harness;
mod http;
mod idle;
mod job;
mod limits;
mod log;
mod money;
mod odd;
mod openai;
mod ops;
mod order;
mod outage;
mod pauses;
mod pooler;
mod position;
mod prune;
mod quota;
mod readme;
mod schema;
mod settings;
mod shares;
mod shutdown;
mod simulate;
mod spool;
mod storage;
mod tidy;
mod tryon;
mod types;
mod wakeup;
mod webhooks;
